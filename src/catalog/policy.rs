//! What rules speak of: sets of clients, residency, declared latencies, the operator's networks.

use ipnet::IpNet;

use super::{ClientSetId, Region, RegionSet};
use crate::units::{Coordinates, Micros};

/// One way to say which clients are meant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Selector {
    /// Clients whose jurisdiction is unknown: no database and no network names their country. Written `unknown`.
    Unknown,
    /// Every client. Written `*`.
    Any,
    /// A jurisdiction: an ISO 3166-1 alpha-2 country, or a union of countries (`EU`, `EEA`, or one of the operator's). Upper case.
    Jurisdiction(Box<str>),
    /// A subdivision (ISO 3166-2), for instance `US-CA`.
    Subdivision(Box<str>),
    /// A continent: `AF`, `AN`, `AS`, `EU`, `NA`, `OC`, `SA`. Written `continent:EU`.
    Continent(Box<str>),
    /// An autonomous system. Written `asn:64500`.
    Asn(u32),
    /// One of the operator's networks, by name. Written `network:office`.
    Network(Box<str>),
}

/// A set of clients: those that any selector names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientSet {
    /// Sorted, no duplicates, not empty. Jurisdictions that unite countries stand here as such; [`ClientSet::countries`] says which they are.
    pub selectors: Box<[Selector]>,
    /// The countries that the selectors' jurisdictions and continents cover, sorted.
    pub countries: Box<[Box<str>]>,
}

impl ClientSet {
    /// The first set of every catalog: clients whose jurisdiction is unknown.
    pub const UNKNOWN: ClientSetId = ClientSetId(0);
}

/// What a residency rule does with a client whose jurisdiction is unknown. Has no default: the rule must say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UnknownClient {
    /// The rule applies to it.
    Apply,
    /// The rule does not apply to it.
    Exempt,
}

/// A data-residency rule: clients of some jurisdictions get regions of some jurisdictions only. A veto, never relaxed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Residency {
    /// Its name.
    pub name: Box<str>,
    /// Whom it binds.
    pub clients: ClientSetId,
    /// The regions that those clients may get.
    pub regions: RegionSet,
    /// What applies to unknown clients.
    pub unknown: UnknownClient,
}

/// Declared latency between a set of clients and regions: it comes before distance.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LatencyRow {
    /// The clients; not interned as a [`ClientSetId`], since rows are resolved when the geography is compiled. The most specific row that matches wins
    /// (network, subdivision or ASN, country, union of countries, continent, any), then the earlier in the canonical order.
    pub clients: Selector,
    /// Countries that the selector covers, as in [`ClientSet::countries`].
    pub countries: Box<[Box<str>]>,
    /// Round-trip time to each region named.
    pub regions: Box<[(super::RegionId, Micros)]>,
}

/// What the operator knows of some prefixes; comes before every database.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Network {
    /// Its name.
    pub name: Box<str>,
    /// The prefixes, sorted.
    pub prefixes: Box<[IpNet]>,
    /// ISO 3166-1 alpha-2 code, if told. Otherwise what the databases say.
    pub country: Option<Box<str>>,
    /// ISO 3166-2 code, if told.
    pub subdivision: Option<Box<str>>,
    /// Where it is, if told.
    pub at: Option<Coordinates>,
}

impl Region {
    /// Whether a jurisdiction of this name lies over it.
    #[must_use]
    pub fn is_under(&self, jurisdiction: &str) -> bool {
        self.jurisdictions.iter().any(|own| own.as_ref() == jurisdiction)
    }
}
