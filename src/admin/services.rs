//! `/v1/services` and `/v1/digest`: the services in short, and what nodes are compared by. And finding what a request names.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Json;
use axum::routing::get;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Context;
use super::api::{Guarded, Named, Reading};
use super::problem::{Nothing, Params, Part, Problem};
use super::status::EndpointStatus;
use crate::catalog::{By, EndpointId, Service, ServiceId};
use crate::health::Health;
use crate::limits;
use crate::near::{Hints, or_near};
use crate::world::World;

/// The paths.
pub(super) fn routes() -> Router<Context> {
    Router::new().route("/v1/services", get(services)).route("/v1/services/{name}", get(service)).route("/v1/digest", get(digest))
}

/// Which services are told.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[into_params(parameter_in = Query, rename_all = "kebab-case")]
pub(super) struct ServicesQuery {
    /// So many at most, 1 to 10,000; as many unless it is said.
    #[serde(default)]
    #[param(minimum = 1, maximum = 10_000)]
    limit: Option<usize>,
    /// Only those after this one, as `next` named it.
    #[serde(default)]
    after: Option<String>,
}

/// The services.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct ServicesView {
    /// Generation of the world on this node.
    pub generation: u64,
    /// By zone, then name.
    pub services: Vec<ServiceSummary>,
    /// What to ask for as `after` to be told the rest; absent when there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A service in short.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct ServiceSummary {
    /// Its owner name.
    pub service: String,
    /// The zone's apex.
    pub zone: String,
    /// How it chooses: `score`, `weight`, `order`.
    pub by: String,
    /// How many endpoints it has.
    pub endpoints: usize,
    /// How many of them are up, or were never measured.
    pub up: usize,
    /// How many are degraded.
    pub degraded: usize,
    /// How many are down, or lack something that they depend on.
    pub down: usize,
    /// Over how many an override has the say.
    pub overridden: usize,
}

/// A service with its endpoints.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct ServiceView {
    /// Generation of the world on this node.
    pub generation: u64,
    /// It in short.
    #[serde(flatten)]
    pub summary: ServiceSummary,
    /// Its endpoints, by name.
    pub of: Vec<EndpointStatus>,
}

impl ServiceSummary {
    /// Of a service of the world.
    fn of(service: &Service, world: &World) -> Self {
        let mut summary = Self {
            service: service.name.to_string(),
            zone: world.catalog.zones.get(service.zone.index()).map(|zone| zone.name.to_string()).unwrap_or_default(),
            by: by(service.by).to_owned(),
            endpoints: 0,
            up: 0,
            degraded: 0,
            down: 0,
            overridden: 0,
        };
        for ((id, _), status) in world.catalog.endpoints_of(service).zip(world.statuses_of(service)) {
            summary.endpoints += 1;
            match status.published() {
                Health::Down => summary.down += 1,
                Health::Degraded => summary.degraded += 1,
                Health::Up | Health::Unknown => summary.up += 1,
            }
            summary.overridden += usize::from(world.notes.about(id).is_some());
        }
        summary
    }
}

/// How a service chooses, as zones say it.
const fn by(by: By) -> &'static str {
    match by {
        By::Score => "score",
        By::Weight => "weight",
        By::Order => "order",
    }
}

/// The services in short.
#[utoipa::path(get, path = "/v1/services", tag = "watch", params(ServicesQuery), responses((status = 200, description = "The services", body = ServicesView), Reading, Named, Guarded))]
pub(super) async fn services(State(context): State<Context>, Params(query): Params<ServicesQuery>) -> Result<Json<ServicesView>, Problem> {
    let world = context.worlds.load();
    let limit = usize::try_from(page(query.limit)?).unwrap_or(usize::MAX);
    let first = match &query.after {
        Some(after) => find_service(&world, after)?.0.index() + 1,
        None => 0,
    };
    let rest = &world.catalog.services[first.min(world.catalog.services.len())..];
    let told = &rest[..limit.min(rest.len())];
    let next = told.last().filter(|_| told.len() < rest.len()).map(|service| service.name.to_string());
    Ok(Json(ServicesView { generation: world.generation, services: told.iter().map(|service| ServiceSummary::of(service, &world)).collect(), next }))
}

/// A service with its endpoints.
#[utoipa::path(
    get, path = "/v1/services/{name}", tag = "watch",
    params(("name" = String, Path, description = "The service's owner name, in any case, with or without the final dot")),
    responses((status = 200, description = "The service", body = ServiceView), Reading, Named, Guarded)
)]
pub(super) async fn service(State(context): State<Context>, Part(name): Part<String>, _: Params<Nothing>) -> Result<Json<ServiceView>, Problem> {
    let (world, now) = (context.worlds.load(), context.clock.now());
    let (_, service) = find_service(&world, &name)?;
    let of = world.catalog.endpoints_of(service).map(|(id, _)| EndpointStatus::of(id, &world, now)).collect();
    Ok(Json(ServiceView { generation: world.generation, summary: ServiceSummary::of(service, &world), of }))
}

/// What nodes are compared by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct DigestView {
    /// Generation of the world; each node counts for itself.
    pub generation: u64,
    /// Digest of the catalog, the same on every node with the same files.
    pub digest: String,
    /// Whether the first round of probes is over.
    pub ready: bool,
    /// Whether statuses are held without fresh observations.
    pub stale: bool,
    /// Endpoints that are not up; nodes that see the same have the same number.
    pub not_up: usize,
    /// Overrides in force.
    pub overrides: usize,
}

/// The world in a few figures.
#[utoipa::path(get, path = "/v1/digest", tag = "watch", responses((status = 200, description = "The figures", body = DigestView), Reading, Guarded))]
pub(super) async fn digest(State(context): State<Context>, _: Params<Nothing>) -> Json<DigestView> {
    let world = context.worlds.load();
    let not_up = world.statuses.of.iter().filter(|status| matches!(status.published(), Health::Down | Health::Degraded)).count();
    Json(DigestView {
        generation: world.generation,
        digest: format!("{:016x}", world.catalog.digest),
        ready: *context.ready.borrow(),
        stale: world.statuses.stale,
        not_up,
        overrides: world.notes.all.len(),
    })
}

/// A limit of what one answer tells.
pub(super) fn page(limit: Option<usize>) -> Result<u32, Problem> {
    match limit.unwrap_or(limits::ADMIN_PAGE_MAX) {
        limit @ 1..=limits::ADMIN_PAGE_MAX => Ok(u32::try_from(limit).unwrap_or(u32::MAX)),
        _ => Err(bad(format!("`limit` is 1 to {}", limits::ADMIN_PAGE_MAX))),
    }
}

/// What stands behind the `?` is wrong.
pub(super) fn bad(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, detail)
}

/// The service that is called so.
pub(super) fn find_service<'w>(world: &'w World, name: &str) -> Result<(ServiceId, &'w Service), Problem> {
    let catalog = &world.catalog;
    let found = catalog.service_called(name);
    found.map(|id| (id, catalog.service(id))).ok_or_else(|| unknown("service", name, catalog.service_nearly_called(name).as_deref()))
}

/// The endpoint that is called so.
pub(super) fn find_endpoint(world: &World, service: &str, endpoint: &str) -> Result<EndpointId, Problem> {
    let (_, service) = find_service(world, service)?;
    let all = || world.catalog.endpoints_of(service);
    let found = all().find(|(_, one)| *one.name == *endpoint).map(|(id, _)| id);
    found.ok_or_else(|| {
        let near = Hints::default().nearest(endpoint, all().map(|(_, one)| &*one.name));
        unknown(&format!("endpoint of {}", service.name), endpoint, near)
    })
}

/// That something of this kind is not there, and what was probably meant.
fn unknown(kind: &str, told: &str, near: Option<&str>) -> Problem {
    let told: String = told.chars().take(limits::NAME_OCTETS_MAX).collect();
    Problem::new(StatusCode::NOT_FOUND, format!("there is no {kind} called {told:?}{}", or_near(near)))
}
