//! The paths and what they tell.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::rejection::QueryRejection;
use axum::extract::{DefaultBodyLimit, Query, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use serde::{Deserialize, Serialize};

use super::Context;
use crate::catalog::{Endpoint, EndpointId, ProbeId};
use crate::control::probe_label;
use crate::explain::{self, RequestError};
use crate::geo::{Extent, SourceInfo};
use crate::health::Hold;
use crate::limits;
use crate::units::Moment;
use crate::world::World;

/// Everything.
pub(super) fn admin(context: Context) -> Router {
    let router = Router::new()
        .route("/v1/explain", get(explain))
        .route("/v1/status", get(status))
        .merge(super::overrides::routes())
        .merge(super::pushes::routes())
        .merge(common());
    finish(router, context)
}

/// Metrics and readiness only.
pub(super) fn metrics(context: Context) -> Router {
    finish(common(), context)
}

/// What both listeners tell.
fn common() -> Router<Context> {
    Router::new().route("/healthz", get(healthz)).route("/readyz", get(readyz)).route("/metrics", get(metrics_text))
}

/// Adds what every path has: limits, and problem documents for what there is not.
fn finish(router: Router<Context>, context: Context) -> Router {
    router
        .fallback(async || Problem::new(StatusCode::NOT_FOUND, "there is nothing at this path"))
        .method_not_allowed_fallback(async || Problem::new(StatusCode::METHOD_NOT_ALLOWED, "this path does not take this method"))
        .layer(DefaultBodyLimit::max(limits::ADMIN_BODY_OCTETS_MAX))
        .layer(middleware::from_fn(in_time))
        .with_state(context)
}

/// Gives up on a request that takes too long.
async fn in_time(request: Request, next: Next) -> Response {
    let answer = tokio::time::timeout(Duration::from_millis(limits::ADMIN_REQUEST_MS), next.run(request)).await;
    answer.unwrap_or_else(|_| Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the request took too long").into_response())
}

/// A problem document (RFC 9457 §3).
#[derive(Clone, Debug, Serialize)]
pub(super) struct Problem {
    /// The status again.
    status: u16,
    /// The status in words.
    title: &'static str,
    /// What is wrong with this request.
    detail: String,
}

impl Problem {
    /// With the status's own title.
    pub(super) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status: status.as_u16(), title: status.canonical_reason().unwrap_or("Error"), detail: detail.into() }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, [(header::CONTENT_TYPE, "application/problem+json")], Json(self).into_response().into_body()).into_response()
    }
}

/// The process lives.
async fn healthz() -> &'static str {
    "ok\n"
}

/// The first round of probes is over.
async fn readyz(State(context): State<Context>) -> Response {
    if *context.ready.borrow() {
        "ready\n".into_response()
    } else {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the first round of probes is not over; queries are answered all the same").into_response()
    }
}

/// The Prometheus text.
async fn metrics_text(State(context): State<Context>) -> Response {
    let ready = *context.ready.borrow();
    let text = context.telemetry.render(&context.worlds.load(), ready, context.clock.now());
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

/// What is to be explained.
#[derive(Debug, Deserialize)]
struct ExplainQuery {
    /// The name.
    name: String,
    /// The client: an address, or a prefix as in `192.0.2.0/24`.
    client: String,
    /// `A`, `AAAA` or anything else.
    #[serde(rename = "type", default)]
    qtype: Option<String>,
    /// Regions taken as down: names, globs or `cloud:NAME`, separated by commas.
    #[serde(default)]
    down: Option<String>,
}

/// Why this client gets this answer: JSON, or the table for people to whoever prefers plain text.
async fn explain(State(context): State<Context>, headers: HeaderMap, query: Result<Query<ExplainQuery>, QueryRejection>) -> Result<Response, Problem> {
    let Query(query) = query.map_err(|rejection| Problem::new(StatusCode::BAD_REQUEST, rejection.body_text()))?;
    let down = query.down.unwrap_or_default();
    let request = explain::Request { name: &query.name, client: &query.client, qtype: query.qtype.as_deref(), down: &down };
    let explanation = explain::explain_request(&request, &context.worlds.load()).map_err(|error| {
        let status = match error {
            RequestError::NotSteered(_) | RequestError::NotOurs(_) => StatusCode::NOT_FOUND,
            _ => StatusCode::BAD_REQUEST,
        };
        Problem::new(status, error.to_string())
    })?;
    let plain = headers.get(header::ACCEPT).is_some_and(|accept| accept.as_bytes().starts_with(b"text/plain"));
    Ok(if plain { format!("{explanation}\n").into_response() } else { Json(explanation).into_response() })
}

/// The world, for people and for comparing nodes.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct StatusView {
    /// Its generation on this node.
    generation: u64,
    /// Digest of the catalog, the same on every node with the same files.
    digest: String,
    /// Whether the first round of probes is over.
    ready: bool,
    /// Whether statuses are held without fresh observations.
    stale: bool,
    /// Whether that is since this node doubts its own network.
    doubting: bool,
    /// Milliseconds since the newest observation; absent before the first.
    observed_ms_ago: Option<u64>,
    /// Where clients are found.
    geography: GeographyStatus,
    /// Every endpoint.
    endpoints: Vec<EndpointStatus>,
}

/// The geography.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct GeographyStatus {
    /// Addresses whose country is known by all databases together.
    known: ExtentStatus,
    /// Every database, in order of precedence.
    databases: Vec<DatabaseStatus>,
}

/// One database.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct DatabaseStatus {
    /// The file's name.
    name: Box<str>,
    /// The type that it says it is.
    kind: Box<str>,
    /// When it was built (RFC 3339); absent when it does not say.
    built: Option<String>,
    /// How long ago that is, in seconds.
    age_seconds: Option<u64>,
    /// What is questionable about it, in words.
    warnings: Vec<String>,
    /// Prefixes.
    networks: u64,
    /// Distinct records.
    records: usize,
    /// Addresses whose country it knows.
    known: ExtentStatus,
    /// By continent.
    continents: BTreeMap<&'static str, ContinentStatus>,
}

/// What a database knows of a continent.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct ContinentStatus {
    /// Prefixes.
    networks: u64,
    /// Addresses.
    #[serde(flatten)]
    extent: ExtentStatus,
}

/// How many addresses.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct ExtentStatus {
    /// Of IPv4.
    ipv4_addresses: u64,
    /// Of IPv6, in /48s.
    ipv6_48s: u64,
}

impl ExtentStatus {
    /// The same for programs.
    fn of(extent: &Extent) -> Self {
        Self { ipv4_addresses: extent.v4, ipv6_48s: extent.v6_sites() }
    }
}

impl DatabaseStatus {
    /// About a database, now.
    fn of(source: &SourceInfo, now: Moment) -> Self {
        let metadata = &source.metadata;
        let built = i64::try_from(metadata.built).ok().filter(|built| *built > 0).and_then(|built| jiff::Timestamp::from_second(built).ok());
        let age = metadata.age_ms(now).map(|age| age / 1000);
        let mut warnings = Vec::new();
        match age {
            None => warnings.push("it has no build date, so that nobody can tell its age".to_owned()),
            Some(_) if metadata.is_old(now) => warnings.push(format!("it is older than {} days", limits::GEOIP_AGE_DAYS_MAX)),
            Some(_) => {}
        }
        let continents =
            source.census.continents().map(|(name, count)| (name, ContinentStatus { networks: count.networks, extent: ExtentStatus::of(&count.extent) }));
        Self {
            name: source.name.clone(),
            kind: metadata.kind.clone(),
            built: built.map(|built| built.to_string()),
            age_seconds: age,
            warnings,
            networks: metadata.networks,
            records: metadata.records,
            known: ExtentStatus::of(&source.census.known),
            continents: continents.collect(),
        }
    }
}

/// One endpoint.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct EndpointStatus {
    /// The service's owner name.
    service: String,
    /// The endpoint's key.
    endpoint: Box<str>,
    /// Its region.
    region: Box<str>,
    /// Its health: `unknown`, `up`, `degraded`, `down`.
    health: String,
    /// Its status as eligibility reads it: its health, but `down` while something that it depends on is.
    status: String,
    /// The root of what blocks it, if anything that it depends on is down.
    #[serde(skip_serializing_if = "Option::is_none")]
    blocked_by: Option<Box<str>>,
    /// Since it came and went too often, it is held out of service: after how many changes, and when it will be let go at the earliest.
    #[serde(skip_serializing_if = "Option::is_none")]
    held: Option<HoldStatus>,
    /// Share of its usual clients that it takes, in thousandths: less than 1000 while it ramps up.
    ramp_permille: u16,
    /// Whether it is moving.
    moving: bool,
    /// The override that has the say over it, if any.
    #[serde(rename = "override", skip_serializing_if = "Option::is_none")]
    intent: Option<String>,
    /// Whether it is probed at all.
    probed: bool,
    /// The name that its addresses are looked up by, if they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    alias: Option<String>,
    /// The addresses that it was resolved to.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    resolved: Vec<IpAddr>,
    /// Why they are not fresh, if they are not.
    #[serde(skip_serializing_if = "Option::is_none")]
    unsettled: Option<String>,
    /// What its probes have shown, those that it depends on included.
    probes: Vec<ProbeStatus>,
}

/// One probe.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct ProbeStatus {
    /// What is asked, as in `https 192.0.2.10:443/healthz`.
    probe: String,
    /// What it says of its target.
    health: String,
    /// Milliseconds since the last evidence; absent before the first.
    age_ms: Option<u64>,
    /// Failures in a row.
    failed: u8,
    /// So many make it down.
    fall: u8,
    /// Answers in a row while it is down or degraded.
    answered: u8,
    /// So many make it up again.
    rise: u8,
    /// Round-trip time of answers, smoothed, in microseconds.
    rtt_us: Option<i64>,
    /// What is unusual about it, compared with its own past.
    #[serde(skip_serializing_if = "Option::is_none")]
    unusual: Option<String>,
    /// What the last evidence came to, unless it passed.
    #[serde(skip_serializing_if = "Option::is_none")]
    trouble: Option<String>,
    /// When the certificate that it was shown ends (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate_expires: Option<String>,
}

impl ProbeStatus {
    /// Of a probe of the world, now.
    fn of(probe: ProbeId, world: &World, now: Moment) -> Self {
        let spec = &world.catalog.probes[probe.index()];
        let evidence = world.statuses.evidence.get(probe.index()).cloned().unwrap_or_default();
        Self {
            probe: probe_label(spec),
            health: evidence.health.to_string(),
            age_ms: evidence.observed.map(|observed| now.millis_since(observed)),
            failed: evidence.failed,
            fall: spec.fall,
            answered: evidence.answered,
            rise: spec.rise,
            rtt_us: evidence.rtt.map(|rtt| rtt.0),
            unusual: evidence.unusual.map(|unusual| unusual.to_string()),
            trouble: evidence.trouble.map(|trouble| trouble.to_string()),
            certificate_expires: evidence.expires.map(|end| end.to_string()),
        }
    }
}

/// That an endpoint is held out of service.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct HoldStatus {
    /// How often it went down or came up since it was last at rest.
    changes: u16,
    /// When it will be let go if it does not go down again (RFC 3339).
    until: String,
}

impl HoldStatus {
    /// The same for programs.
    fn of(hold: Hold) -> Self {
        let until = i64::try_from(hold.until.0).ok().and_then(|millis| jiff::Timestamp::from_millisecond(millis).ok());
        Self { changes: hold.changes, until: until.map(|until| until.to_string()).unwrap_or_default() }
    }
}

/// The addresses that an endpoint gives.
fn addresses_of(endpoint: &Endpoint, world: &World) -> Vec<IpAddr> {
    let addresses = world.addresses(endpoint);
    addresses.a.iter().copied().map(IpAddr::V4).chain(addresses.aaaa.iter().copied().map(IpAddr::V6)).collect()
}

/// The world.
async fn status(State(context): State<Context>) -> Json<StatusView> {
    let world = context.worlds.load();
    let (catalog, now) = (&world.catalog, context.clock.now());
    let endpoints = catalog.endpoints.iter().zip(&world.statuses.of).zip((0..).map(EndpointId)).map(|((endpoint, status), id)| EndpointStatus {
        service: catalog.service(endpoint.service).name.to_string(),
        endpoint: endpoint.name.clone(),
        region: catalog.region(endpoint.region).name.clone(),
        health: status.health.to_string(),
        status: status.published().to_string(),
        blocked_by: world.note(id).and_then(|note| note.root.clone()),
        held: world.note(id).and_then(|note| note.hold).map(HoldStatus::of),
        ramp_permille: status.ramp.0,
        moving: status.moving,
        intent: world.notes.about(id).map(ToString::to_string),
        probed: !endpoint.probes.is_empty(),
        alias: endpoint.alias.map(|alias| catalog.alias(alias.id).name.to_string()),
        resolved: if endpoint.alias.is_some() { addresses_of(endpoint, &world) } else { Vec::new() },
        unsettled: explain::unsettled(endpoint, &world),
        probes: endpoint.all_probes().map(|probe| ProbeStatus::of(probe, &world, now)).collect(),
    });
    let geography = GeographyStatus {
        known: ExtentStatus::of(&world.geo.known()),
        databases: world.geo.sources().iter().map(|source| DatabaseStatus::of(source, now)).collect(),
    };
    let observed = Some(world.statuses.observed).filter(|observed| observed.0 > 0);
    Json(StatusView {
        generation: world.generation,
        digest: format!("{:016x}", catalog.digest),
        ready: *context.ready.borrow(),
        stale: world.statuses.stale,
        doubting: world.statuses.doubting,
        observed_ms_ago: observed.map(|observed| now.millis_since(observed)),
        geography,
        endpoints: endpoints.collect(),
    })
}
