//! A service, its endpoints, how it is steered and how it is probed.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::Range;

use super::{AddressType, Aliased, ClientSetId, Dependency, EndpointId, Lineup, Name, ProbeId, Recovery, RegionId, RegionSet, ResidencyId, ServiceId, ZoneId};
use crate::units::{MicroUsd, Micros, Permille, Ttl};

/// An owner name whose answer is steered.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Service {
    /// Its owner name.
    pub name: Name,
    /// Its key in the zone's file, for instance `api`; `@` at the apex.
    pub label: Box<str>,
    /// Its zone.
    pub zone: ZoneId,
    /// Its endpoints, a range of [`super::Catalog::endpoints`], at most [`crate::limits::ENDPOINTS_PER_SERVICE_MAX`].
    pub endpoints: Range<u32>,
    /// Addresses or a canonical name.
    pub kind: AnswerKind,
    /// Whether the families of addresses are decided together.
    pub families: Families,
    /// TTL while nothing that matters to the answer is moving.
    pub ttl_steady: Ttl,
    /// TTL while something is.
    pub ttl_moving: Ttl,
    /// Residency rules that bind it; all of them at once.
    pub residency: Box<[ResidencyId]>,
    /// Number of tiers, at least 1. Endpoints say which is theirs.
    pub tiers: u8,
    /// How many endpoints eligible for the client a tier needs to be chosen.
    pub min_live: u8,
    /// How clients return to a tier that they left. Read by the controller only: what deciding sees of it stands in the status.
    pub failback: Failback,
    /// Preferences by place, the first that matches counts.
    pub geo: Box<[GeoRule]>,
    /// Longest round-trip time an endpoint may have; relaxed first when nothing is left.
    pub max_rtt: Option<Micros>,
    /// How the best of a tier are chosen.
    pub by: By,
    /// Endpoints whose score is within this of the best share the clients.
    pub spread: Micros,
    /// How many endpoints an answer names, of distinct regions, 1 to [`crate::limits::ANSWERS_MAX`].
    pub answers: u8,
    /// What is answered when every lawful endpoint is down.
    pub when_all_down: WhenAllDown,
    /// What is answered when no endpoint may ever be given to this client.
    pub when_none_left: WhenNoneLeft,
    /// Microseconds that `degraded` health adds to the score.
    pub degraded_penalty: Micros,
    /// The load term.
    pub load: Load,
    /// How its endpoints come back after having been down.
    pub recovery: Recovery,
    /// Declared demand at the busiest hour, in requests per second; counts until endpoints report theirs.
    pub peak: Option<u64>,
    /// Milliseconds in which it is to recover from the loss of endpoints: the last wrong answer. Drills hold it against what they measure.
    pub rto_ms: Option<u32>,
    /// HTTPS records (RFC 9460) with hints from the same decision, if wanted.
    pub https: Option<HttpsTemplate>,
    /// Latency worth one US dollar per million requests, for explanations; zero when price plays no part.
    pub latency_per_usd: Micros,
    /// Its endpoints as steering reads them.
    pub lineup: Lineup,
    /// What an endpoint must have, for explanations: labels, already judged in [`Endpoint::meets_require`].
    pub require: Box<[Requirement]>,
    /// What an endpoint should have, already judged in [`Endpoint::preferred`]; relaxed second.
    pub prefer: Box<[Requirement]>,
}

/// What the answers of a service are. Never mixed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AnswerKind {
    /// A, AAAA, HTTPS.
    Addresses,
    /// One CNAME, whatever was asked (RFC 1034 §3.6.2).
    Cname,
}

/// Whether one decision serves A and AAAA alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Families {
    /// One decision for all types: every endpoint has the same families.
    Together,
    /// QTYPE takes part in eligibility.
    Separate,
}

/// How clients return to a tier that they left because too few of its endpoints were live.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Failback {
    /// By themselves, as soon as enough of its endpoints are live.
    #[default]
    Auto,
    /// When an operator releases it.
    Manual,
}

/// How the best of a tier are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum By {
    /// Lowest score first.
    Score,
    /// Clients are shared by weight.
    Weight,
    /// The order that the service lists ([`Endpoint::order`]).
    Order,
}

/// For these clients, these regions first; never to nothing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct GeoRule {
    /// The clients.
    pub clients: ClientSetId,
    /// The regions they prefer.
    pub regions: RegionSet,
}

/// What is answered when every lawful endpoint is down. Residency, `out` and `require` hold even then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WhenAllDown {
    /// The normal ranking over lawful endpoints that are not `out`, as if all were up.
    AsIfUp,
    /// One named endpoint, never probed, if it is lawful for the client; else as if up.
    LastResort(EndpointId),
    /// An empty answer.
    Nodata,
    /// SERVFAIL.
    Servfail,
}

/// What is answered when residency, `out` and `require` leave nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WhenNoneLeft {
    /// An empty answer, its SOA's TTL lowered to `ttl.moving`.
    Nodata,
    /// SERVFAIL.
    Servfail,
}

/// The load term: zero below the target, then convex up to `at_capacity` at the whole capacity, and further above.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Load {
    /// Load below this share of capacity costs nothing.
    pub target: Permille,
    /// Microseconds at load = capacity.
    pub at_capacity: Micros,
}

/// A label and the values that are allowed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Requirement {
    /// The label's key.
    pub label: Box<str>,
    /// Any of these values, sorted.
    pub values: Box<[Box<str>]>,
}

/// The parts of an HTTPS record that do not depend on the decision (RFC 9460 §2.2: params in ascending order of key).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HttpsTemplate {
    /// SvcPriority, at least 1 (ServiceMode).
    pub priority: u16,
    /// SvcParams with keys below 4 (mandatory, alpn, no-default-alpn, port), encoded.
    pub before_hints: Box<[u8]>,
    /// SvcParam 5 (ech), encoded.
    pub between_hints: Box<[u8]>,
    /// SvcParams with keys above 6, encoded.
    pub after_hints: Box<[u8]>,
    /// Whether hints are given.
    pub hints: bool,
}

/// One place where a service can be had.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// Its key under the service, by default the region's name.
    pub name: Box<str>,
    /// Its service.
    pub service: ServiceId,
    /// What its draws in the rendezvous are made from: [`Endpoint::seed_of`] its names, so that it survives every other change of the catalog.
    pub seed: u64,
    /// Its region.
    pub region: RegionId,
    /// Its tier, 0 first.
    pub tier: u8,
    /// Its place in the service's order, 0 first; distinct within the service.
    pub order: u8,
    /// Whether it has every label that the service requires.
    pub meets_require: bool,
    /// Whether it has every label that the service prefers.
    pub preferred: bool,
    /// Whether it is only given as the last resort.
    pub last_resort: bool,
    /// Share of clients under `by = "weight"` and within `spread`; 0 gets none while anything with weight is left.
    pub weight: u32,
    /// What the operator adds to the score or takes off.
    pub bias: Micros,
    /// What a million requests cost there.
    pub price: Price,
    /// Requests per second that it can take.
    pub capacity: Option<u64>,
    /// IPv4 addresses.
    pub a: Box<[Ipv4Addr]>,
    /// IPv6 addresses.
    pub aaaa: Box<[Ipv6Addr]>,
    /// Canonical name, for `cname` services.
    pub cname: Option<Name>,
    /// The name that its addresses are looked up by; it has none of its own then.
    pub alias: Option<Aliased>,
    /// Labels, sorted by key.
    pub labels: Box<[(Box<str>, Box<str>)]>,
    /// Its probes; all must pass. Empty: never measured.
    pub probes: Box<[ProbeId]>,
    /// What it cannot do without, if anything.
    pub depends_on: Option<Box<Dependency>>,
}

impl Endpoint {
    /// Every probe that matters to its status: its own, then those that it depends on.
    pub fn all_probes(&self) -> impl Iterator<Item = ProbeId> {
        self.probes.iter().copied().chain(self.depends_on.iter().flat_map(|depends| depends.probes()))
    }

    /// Whether it has addresses of this type, or should have them by its alias.
    #[must_use]
    pub fn declares(&self, of: AddressType) -> bool {
        let written = match of {
            AddressType::A => !self.a.is_empty(),
            AddressType::Aaaa => !self.aaaa.is_empty(),
        };
        written || self.alias.is_some_and(|alias| alias.types.has(of))
    }

    /// The seed of an endpoint of this name in the service of this name: FNV-1a over both, then stirred.
    #[must_use]
    pub fn seed_of(service: &Name, endpoint: &str) -> u64 {
        let octets = service.wire().iter().chain(endpoint.as_bytes());
        let hash = octets.fold(0xcbf2_9ce4_8422_2325_u64, |hash, octet| (hash ^ u64::from(*octet)).wrapping_mul(0x0100_0000_01b3));
        (hash ^ (hash >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }
}

/// The price of a million requests, and what that is in latency.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Price {
    /// Compute.
    pub compute: MicroUsd,
    /// Egress.
    pub egress: MicroUsd,
    /// The sum × the service's latency per dollar: what the score takes.
    pub micros: Micros,
}
