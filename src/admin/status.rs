//! `/v1/status`: the world as this node has it, endpoint by endpoint.

use std::collections::BTreeMap;
use std::net::IpAddr;

use axum::Router;
use axum::extract::State;
use axum::response::Json;
use axum::routing::get;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Context;
use super::api::{Guarded, Named, Reading};
use super::problem::{Params, Problem};
use super::services::{bad, find_endpoint, find_service, page};
use crate::catalog::{Endpoint, EndpointId, ProbeId};
use crate::control::probe_label;
use crate::explain;
use crate::geo::{Extent, SourceInfo};
use crate::health::Hold;
use crate::limits;
use crate::units::Moment;
use crate::world::World;

/// The path.
pub(super) fn routes() -> Router<Context> {
    Router::new().route("/v1/status", get(status))
}

/// The world, for people and for comparing nodes.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct StatusView {
    /// The program's version.
    pub version: String,
    /// Its generation on this node.
    pub generation: u64,
    /// Digest of the catalog, the same on every node with the same files.
    pub digest: String,
    /// Whether the first round of probes is over.
    pub ready: bool,
    /// Whether statuses are held without fresh observations.
    pub stale: bool,
    /// Whether that is since this node doubts its own network.
    pub doubting: bool,
    /// The drill that is announced or running, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drill: Option<String>,
    /// Milliseconds since the newest observation; absent before the first.
    pub observed_ms_ago: Option<u64>,
    /// Where clients are found.
    pub geography: GeographyStatus,
    /// The endpoints, by service, then name.
    pub endpoints: Vec<EndpointStatus>,
    /// What to ask for as `after` to be told the rest; absent when there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// The geography.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct GeographyStatus {
    /// Addresses whose country is known by all databases together.
    pub known: ExtentStatus,
    /// Every database, in order of precedence.
    pub databases: Vec<DatabaseStatus>,
}

/// One database.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct DatabaseStatus {
    /// The file's name.
    pub name: Box<str>,
    /// The type that it says it is.
    pub kind: Box<str>,
    /// When it was built (RFC 3339); absent when it does not say.
    pub built: Option<String>,
    /// How long ago that is, in seconds.
    pub age_seconds: Option<u64>,
    /// What is questionable about it, in words.
    pub warnings: Vec<String>,
    /// Prefixes.
    pub networks: u64,
    /// Distinct records.
    pub records: usize,
    /// Addresses whose country it knows.
    pub known: ExtentStatus,
    /// By continent.
    pub continents: BTreeMap<String, ContinentStatus>,
}

/// What a database knows of a continent.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct ContinentStatus {
    /// Prefixes.
    pub networks: u64,
    /// Addresses.
    #[serde(flatten)]
    pub extent: ExtentStatus,
}

/// How many addresses.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct ExtentStatus {
    /// Of IPv4.
    pub ipv4_addresses: u64,
    /// Of IPv6, in /48s.
    pub ipv6_48s: u64,
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
        let continents = source
            .census
            .continents()
            .map(|(name, count)| (name.to_owned(), ContinentStatus { networks: count.networks, extent: ExtentStatus::of(&count.extent) }));
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
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct EndpointStatus {
    /// The service's owner name.
    pub service: String,
    /// The endpoint's key.
    pub endpoint: Box<str>,
    /// Its region.
    pub region: Box<str>,
    /// Its health: `unknown`, `up`, `degraded`, `down`.
    pub health: String,
    /// Its status as eligibility reads it: its health, but `down` while something that it depends on is.
    pub status: String,
    /// The root of what blocks it, if anything that it depends on is down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocked_by: Option<Box<str>>,
    /// Since it came and went too often, it is held out of service: after how many changes, and when it will be let go at the earliest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<HoldStatus>,
    /// Whether its tier was left and waits for an operator to release it.
    pub latched: bool,
    /// Share of its usual clients that it takes, in thousandths: less than 1000 while it ramps up.
    pub ramp_permille: u16,
    /// Share of its usual clients that it keeps, in thousandths: whatever is less than 1000 is a ramp, want of room, or an operator's weight or drain.
    pub share_permille: u16,
    /// Its load as a share of its capacity, in thousandths; 0 when nobody reports it.
    pub load_permille: u16,
    /// Whether it is moving.
    pub moving: bool,
    /// The override that has the say over it, if any.
    #[serde(rename = "override", default, skip_serializing_if = "Option::is_none")]
    pub intent: Option<String>,
    /// The drill that it is part of, if any, announced or running.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drill: Option<String>,
    /// Whether it is probed at all.
    pub probed: bool,
    /// The name that its addresses are looked up by, if they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alias: Option<String>,
    /// The addresses that it was resolved to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub resolved: Vec<IpAddr>,
    /// Why they are not fresh, if they are not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unsettled: Option<String>,
    /// What its probes have shown, those that it depends on included.
    pub probes: Vec<ProbeStatus>,
}

/// One probe.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct ProbeStatus {
    /// What is asked, as in `https 192.0.2.10:443/healthz`.
    pub probe: String,
    /// What it says of its target.
    pub health: String,
    /// Milliseconds since the last evidence; absent before the first.
    pub age_ms: Option<u64>,
    /// Failures in a row.
    pub failed: u8,
    /// So many make it down.
    pub fall: u8,
    /// Answers in a row while it is down or degraded.
    pub answered: u8,
    /// So many make it up again.
    pub rise: u8,
    /// Round-trip time of answers, smoothed, in microseconds.
    pub rtt_us: Option<i64>,
    /// What is unusual about it, compared with its own past.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unusual: Option<String>,
    /// What the last evidence came to, unless it passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    /// When the certificate that it was shown ends (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_expires: Option<String>,
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
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct HoldStatus {
    /// How often it went down or came up since it was last at rest.
    pub changes: u16,
    /// When it will be let go if it does not go down again (RFC 3339).
    pub until: String,
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

/// Which endpoints are told.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[into_params(parameter_in = Query, rename_all = "kebab-case")]
pub(super) struct StatusQuery {
    /// Only those of this service.
    #[serde(default)]
    service: Option<String>,
    /// So many at most, 1 to 10,000; as many unless it is said.
    #[serde(default)]
    #[param(minimum = 1, maximum = 10_000)]
    limit: Option<usize>,
    /// Only those after this one, as `next` named it: `SERVICE/ENDPOINT`.
    #[serde(default)]
    after: Option<String>,
}

/// The world: generation, digest, readiness, geography, endpoints.
#[utoipa::path(get, path = "/v1/status", tag = "watch", params(StatusQuery), responses((status = 200, description = "The world", body = StatusView), Reading, Named, Guarded))]
pub(super) async fn status(State(context): State<Context>, Params(query): Params<StatusQuery>) -> Result<Json<StatusView>, Problem> {
    let world = context.worlds.load();
    let (catalog, now) = (&world.catalog, context.clock.now());
    let limit = page(query.limit)?;
    let mut range = match &query.service {
        Some(name) => find_service(&world, name)?.1.endpoints.clone(),
        None => 0..u32::try_from(catalog.endpoints.len()).unwrap_or(u32::MAX),
    };
    if let Some(after) = &query.after {
        let (service, endpoint) = after.split_once('/').ok_or_else(|| bad("`after` is SERVICE/ENDPOINT, as `next` named it"))?;
        range.start = range.start.max(find_endpoint(&world, service, endpoint)?.0 + 1);
    }
    let end = range.end.min(range.start.saturating_add(limit));
    let last = end.checked_sub(1).filter(|_| end < range.end).map(|last| catalog.endpoint(EndpointId(last)));
    let endpoints = (range.start..end).map(|id| EndpointStatus::of(EndpointId(id), &world, now)).collect();
    let geography = GeographyStatus {
        known: ExtentStatus::of(&world.geo.known()),
        databases: world.geo.sources().iter().map(|source| DatabaseStatus::of(source, now)).collect(),
    };
    let observed = Some(world.statuses.observed).filter(|observed| observed.0 > 0);
    Ok(Json(StatusView {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        generation: world.generation,
        digest: format!("{:016x}", catalog.digest),
        ready: *context.ready.borrow(),
        stale: world.statuses.stale,
        doubting: world.statuses.doubting,
        drill: world.drill.as_ref().map(ToString::to_string),
        observed_ms_ago: observed.map(|observed| now.millis_since(observed)),
        geography,
        endpoints,
        next: last.map(|endpoint| format!("{}/{}", catalog.service(endpoint.service).name, endpoint.name)),
    }))
}

impl EndpointStatus {
    /// Of an endpoint of the world, now.
    pub(super) fn of(id: EndpointId, world: &World, now: Moment) -> Self {
        let (catalog, endpoint) = (&world.catalog, world.catalog.endpoint(id));
        let status = world.statuses.of.get(id.index()).copied().unwrap_or_default();
        Self {
            service: catalog.service(endpoint.service).name.to_string(),
            endpoint: endpoint.name.clone(),
            region: catalog.region(endpoint.region).name.clone(),
            health: status.health.to_string(),
            status: status.published().to_string(),
            blocked_by: world.note(id).and_then(|note| note.root.clone()),
            latched: status.latched,
            held: world.note(id).and_then(|note| note.hold).map(HoldStatus::of),
            ramp_permille: status.ramp.0,
            share_permille: status.keeps().0,
            load_permille: status.load.0,
            moving: status.moving,
            intent: world.notes.about(id).map(ToString::to_string),
            drill: world.drill_of(id).map(ToString::to_string),
            probed: !endpoint.probes.is_empty(),
            alias: endpoint.alias.map(|alias| catalog.alias(alias.id).name.to_string()),
            resolved: if endpoint.alias.is_some() { addresses_of(endpoint, world) } else { Vec::new() },
            unsettled: explain::unsettled(endpoint, world),
            probes: endpoint.all_probes().map(|probe| ProbeStatus::of(probe, world, now)).collect(),
        }
    }
}
