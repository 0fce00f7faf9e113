//! What exists: the compiled, immutable catalog of zones, services, endpoints, regions, rules and prices.
//!
//! Pure storey, the ground floor of deciding: plain data that cannot be wrong, made by `config` and read by everybody. Nothing here
//! parses, and nothing here measures.
//!
//! Invariants
//! - Order is canonical (by name), never the order of files: same content, same catalog, same digest.
//! - Indices (`ServiceId`, …) are valid within one catalog only; across a reload things are known by their names.
//! - The endpoints of a service are contiguous.

mod alias;
mod dependency;
mod faces;
pub mod known;
mod lineup;
mod name;
mod owner;
mod policy;
mod probe;
mod profile;
mod recovery;
mod region;
mod safety;
mod service;
mod zone;

pub use alias::{AddressType, AddressTypes, Alias, Aliased, unusable};
pub use dependency::{Dependency, Need, Needed};
pub use faces::{Face, Faces};
pub use lineup::{Bits, Lineup, Row};
pub use name::{Name, NameError};
pub use owner::{Content, Found, HASH_START, Node, NodeId, OwnerNames, RrSet, fold_case, hash_name, hash_word};
pub use policy::{ClientSet, LatencyRow, Network, Residency, Selector, UnknownClient};
pub use probe::{BaselineSpec, ProbeHost, ProbeKind, ProbeOf, ProbeSpec, ProbeTarget, StatusRange};
pub use profile::{Profiles, read_alike};
pub use recovery::{Damping, Recovery};
pub use region::{Region, RegionSet, RegionSetIter, glob};
pub use safety::{MovedMax, Safety};
pub use service::{AnswerKind, By, Endpoint, Failback, Families, GeoRule, HttpsTemplate, Load, Price, Requirement, Service, WhenAllDown, WhenNoneLeft};
pub use zone::{Soa, Zone};

use crate::near::Hints;

/// Declares an index into one of the catalog's lists.
macro_rules! index {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $inner);

        impl $name {
            /// As an index into the list.
            #[must_use]
            pub const fn index(self) -> usize {
                self.0 as usize
            }
        }
    };
}

index! {
    /// Index into [`Catalog::zones`].
    ZoneId(u16)
}
index! {
    /// Index into [`Catalog::services`].
    ServiceId(u32)
}
index! {
    /// Index into [`Catalog::endpoints`].
    EndpointId(u32)
}
index! {
    /// Index into [`Catalog::regions`].
    RegionId(u16)
}
index! {
    /// Index into [`Catalog::residencies`].
    ResidencyId(u8)
}
index! {
    /// Index into [`Catalog::client_sets`].
    ClientSetId(u8)
}
index! {
    /// Index into [`Catalog::aliases`].
    AliasId(u32)
}
index! {
    /// Index into [`Catalog::probes`].
    ProbeId(u32)
}

/// The compiled catalog. See the module's invariants.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    /// Zones by apex.
    pub zones: Box<[Zone]>,
    /// Every owner name of every zone, found by one hash.
    pub owners: OwnerNames,
    /// Services by zone, then name.
    pub services: Box<[Service]>,
    /// Which services are decided alike.
    pub profiles: Profiles,
    /// What the usual answer needs of services and endpoints.
    pub faces: Faces,
    /// Endpoints by service, then name.
    pub endpoints: Box<[Endpoint]>,
    /// Regions by name: those that endpoints stand in and those that were declared.
    pub regions: Box<[Region]>,
    /// Residency rules by name.
    pub residencies: Box<[Residency]>,
    /// Sets of clients that rules consult. The first is always [`ClientSet::UNKNOWN`].
    pub client_sets: Box<[ClientSet]>,
    /// Declared latencies between clients and regions, in order of precedence.
    pub latencies: Box<[LatencyRow]>,
    /// The operator's own knowledge of prefixes, which overrides every database.
    pub networks: Box<[Network]>,
    /// Names that endpoints take their addresses from, by name.
    pub aliases: Box<[Alias]>,
    /// What is probed: identical probes of several endpoints are one.
    pub probes: Box<[ProbeSpec]>,
    /// What is probed only as evidence of the node's own network (`vantage.reference`).
    pub references: Box<[ProbeId]>,
    /// What operators may not do by accident.
    pub safety: Safety,
    /// Digest of the content, the same on every node that loaded the same files in any order.
    pub digest: u64,
}

impl Catalog {
    /// Whether another catalog has the same regions, rules, latencies and networks, so that what services refer to by number is the same.
    #[must_use]
    pub fn has_frame_of(&self, other: &Self) -> bool {
        let Self { regions, residencies, client_sets, latencies, networks, .. } = self;
        *regions == other.regions
            && *residencies == other.residencies
            && *client_sets == other.client_sets
            && *latencies == other.latencies
            && *networks == other.networks
    }

    /// The service of this index.
    #[must_use]
    pub fn service(&self, id: ServiceId) -> &Service {
        &self.services[id.index()]
    }

    /// The endpoint of this index.
    #[must_use]
    pub fn endpoint(&self, id: EndpointId) -> &Endpoint {
        &self.endpoints[id.index()]
    }

    /// The region of this index.
    #[must_use]
    pub fn region(&self, id: RegionId) -> &Region {
        &self.regions[id.index()]
    }

    /// The endpoints of a service, each with its index.
    pub fn endpoints_of(&self, service: &Service) -> impl Iterator<Item = (EndpointId, &Endpoint)> {
        let first = service.endpoints.start;
        self.endpoints[service.endpoints.start as usize..service.endpoints.end as usize]
            .iter()
            .zip(first..)
            .map(|(endpoint, index)| (EndpointId(index), endpoint))
    }

    /// The alias of this index.
    #[must_use]
    pub fn alias(&self, id: AliasId) -> &Alias {
        &self.aliases[id.index()]
    }

    /// The alias of this name.
    #[must_use]
    pub fn alias_named(&self, name: &Name) -> Option<AliasId> {
        let index = self.aliases.binary_search_by(|alias| alias.name.cmp(name)).ok()?;
        u32::try_from(index).ok().map(AliasId)
    }

    /// The region called `name`, in any case.
    #[must_use]
    pub fn region_named(&self, name: &str) -> Option<RegionId> {
        let index = self.regions.binary_search_by(|region| region.name.as_ref().cmp(name)).ok()?;
        u16::try_from(index).ok().map(RegionId)
    }

    /// The service whose owner name this is.
    #[must_use]
    pub fn service_named(&self, name: &Name) -> Option<ServiceId> {
        let node = self.owners.find(name)?;
        match self.owners.node(node).content {
            Content::Service { service, .. } => Some(service),
            _ => None,
        }
    }

    /// The service that people mean: by its owner name, or by its label where it alone has that.
    #[must_use]
    pub fn service_called(&self, text: &str) -> Option<ServiceId> {
        let by_label = || {
            let is_meant = |(service, _): &(&Service, ServiceId)| service.label.eq_ignore_ascii_case(text);
            let mut labelled = self.services.iter().zip((0..).map(ServiceId)).filter(is_meant);
            labelled.next().filter(|_| labelled.next().is_none()).map(|(_, id)| id)
        };
        text.parse().ok().and_then(|name| self.service_named(&name)).or_else(by_label)
    }

    /// The service that was probably meant where [`Self::service_called`] finds none: a label where that will do, else a name.
    #[must_use]
    pub fn service_nearly_called(&self, text: &str) -> Option<String> {
        let text = text.trim_end_matches('.').to_ascii_lowercase();
        let hints = Hints::default();
        let zones = self.zones.iter().map(|zone| zone.name.to_string());
        // Of a name here only what stands before the zone's can be mistyped: names of one zone are all alike otherwise.
        if let Some(zone) =
            zones.filter(|zone| text.strip_suffix(zone.as_str()).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))).max_by_key(String::len)
        {
            let before = |name: &str| name.strip_suffix(&zone)?.strip_suffix('.').filter(|rest| !rest.is_empty()).map(str::to_owned);
            let others: Vec<String> = self.services.iter().filter_map(|service| before(&service.name.to_string())).collect();
            return hints.nearest(&before(&text)?, others.iter().map(String::as_str)).map(|near| format!("{near}.{zone}"));
        }
        if let Some((label, _)) = text.split_once('.') {
            // The zone's name is mistyped, and its host at most as well.
            let is_near = |name: &String| name.split('.').next().is_some_and(|first| hints.nearest(label, [first]).is_some());
            let names: Vec<String> = self.services.iter().map(|service| service.name.to_string()).filter(is_near).collect();
            return hints.nearest(&text, names.iter().map(String::as_str)).map(str::to_owned);
        }
        let near = hints.nearest(&text, self.services.iter().map(|service| &*service.label))?;
        let is_meant = |service: &&Service| &*service.label == near;
        match self.services.iter().filter(is_meant).count() {
            1 => Some(near.to_owned()),
            _ => self.services.iter().find(is_meant).map(|service| service.name.to_string()),
        }
    }
}
