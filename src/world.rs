//! What a query may know: the immutable snapshot that queries are answered from. Published, never changed.

mod drill;
mod notes;
mod resolved;

pub use drill::{Played, Rehearsal};
pub use notes::{Deed, Note, Notes};
pub use resolved::{Held, LookupFailure, Resolved, Trouble};

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use crate::catalog::{AddressTypes, Aliased, Catalog, Endpoint, EndpointId, Service, ServiceId};
use crate::geo::Geo;
use crate::health::{self, Evidence, Health, Status};
use crate::units::Moment;

/// The snapshot. Catalog, geography and statuses change behind one pointer, so that a query sees one world.
#[derive(Clone, Debug)]
pub struct World {
    /// Greater with every publication; a world is applied only if its generation is newer.
    pub generation: u64,
    /// What exists.
    pub catalog: Arc<Catalog>,
    /// Where clients are; compiled for this catalog.
    pub geo: Arc<Geo>,
    /// How endpoints are.
    pub statuses: Statuses,
    /// Which override has its say in which status, for explanations. Deciding never reads it.
    pub notes: Arc<Notes>,
    /// The drill that is announced or under way. What deciding needs of it stands in statuses.
    pub drill: Option<Arc<Rehearsal>>,
    /// What is told about load. Deciding never reads it.
    pub outlook: Arc<Outlook>,
}

/// How load fits capacities, for metrics and people.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outlook {
    /// By region: what the fullest endpoint would have left if the region were lost, in thousandths of its capacity; below zero where there is not
    /// room for all. `None` where no demand or no capacity is known, and before it was computed.
    pub headroom: Box<[Option<i32>]>,
    /// Services whose load does not fit the endpoints that their clients may be given, and by how much every limit is exceeded, in thousandths of it.
    pub overload: Box<[(ServiceId, u32)]>,
}

/// The addresses that an endpoint gives to an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Addresses<'w> {
    /// IPv4.
    pub a: &'w [Ipv4Addr],
    /// IPv6.
    pub aaaa: &'w [Ipv6Addr],
}

/// The statuses of all endpoints. Publishing copies these only.
#[derive(Clone, Debug, Default)]
pub struct Statuses {
    /// By endpoint.
    pub of: Box<[Status]>,
    /// By service: the generation at which its inputs last changed. A new catalog or geography is a change of all.
    pub versions: Box<[u64]>,
    /// By service: the number of its situation, which names all that a decision for it reads beside the client; 0 where no other service could
    /// be in the same one. Services in one situation are decided alike, whenever that was.
    pub situations: Box<[u64]>,
    /// What is to be told of endpoints in trouble beside their statuses, by endpoint. Nothing decides by it.
    pub notes: Arc<[(EndpointId, health::Note)]>,
    /// What each probe has shown, as of a few seconds ago at most while observations arrive. Nothing decides by it.
    pub evidence: Arc<[Evidence]>,
    /// By alias: what it was resolved to.
    pub resolved: Arc<[Arc<Resolved>]>,
    /// Whether the statuses are held without fresh observations, or since the node doubts itself (EDE 3, RFC 8914 §4.4).
    pub stale: bool,
    /// Whether the node doubts itself: all its references are silent, and so are targets in several clouds.
    pub doubting: bool,
    /// When the newest observation in them was made.
    pub observed: Moment,
}

impl World {
    /// A world in which nothing has been measured or looked up yet.
    #[must_use]
    pub fn unmeasured(generation: u64, catalog: Arc<Catalog>, geo: Arc<Geo>) -> Self {
        let statuses = Statuses {
            of: catalog.endpoints.iter().map(unmeasured).collect(),
            versions: vec![generation; catalog.services.len()].into(),
            situations: vec![0; catalog.services.len()].into(),
            notes: Arc::default(),
            evidence: vec![Evidence::default(); catalog.probes.len()].into(),
            resolved: vec![Arc::default(); catalog.aliases.len()].into(),
            stale: false,
            doubting: false,
            observed: Moment(0),
        };
        Self { generation, catalog, geo, statuses, outlook: Arc::default(), notes: Arc::default(), drill: None }
    }

    /// This world with every endpoint that nobody measured taken as up, and every alias as resolved: how things will be if all goes well, for whoever asks of
    /// files alone.
    #[must_use]
    pub fn as_if_measured_up(mut self) -> Self {
        for status in &mut self.statuses.of {
            if status.health == Health::Unknown {
                status.health = Health::Up;
            }
            if !status.lacks.is_empty() {
                (status.lacks, status.moving) = (AddressTypes::NONE, false);
            }
        }
        self
    }

    /// The status of an endpoint.
    #[must_use]
    #[inline]
    pub fn status(&self, endpoint: EndpointId) -> &Status {
        &self.statuses.of[endpoint.index()]
    }

    /// What is to be told of an endpoint beside its status.
    #[must_use]
    pub fn note(&self, endpoint: EndpointId) -> Option<&health::Note> {
        let notes = &self.statuses.notes;
        notes.binary_search_by_key(&endpoint, |(id, _)| *id).ok().map(|index| &notes[index].1)
    }

    /// The drill, if it is about this endpoint.
    #[must_use]
    pub fn drill_of(&self, endpoint: EndpointId) -> Option<&Rehearsal> {
        self.drill.as_deref().filter(|drill| drill.touches(endpoint))
    }

    /// The addresses that an endpoint gives to an answer: its own, or what its alias was resolved to.
    #[must_use]
    #[inline]
    pub fn addresses<'w>(&'w self, endpoint: &'w Endpoint) -> Addresses<'w> {
        match endpoint.alias {
            None => Addresses { a: &endpoint.a, aaaa: &endpoint.aaaa },
            Some(alias) => self.resolved(alias),
        }
    }

    /// The addresses that an aliased endpoint gives to an answer.
    fn resolved(&self, alias: Aliased) -> Addresses<'_> {
        let Some(resolved) = self.statuses.resolved.get(alias.id.index()) else { return Addresses::default() };
        Addresses {
            a: if alias.types.a { first(&resolved.a.addresses, alias.most) } else { &[] },
            aaaa: if alias.types.aaaa { first(&resolved.aaaa.addresses, alias.most) } else { &[] },
        }
    }

    /// The statuses of a service's endpoints, in their order.
    #[must_use]
    #[inline]
    pub fn statuses_of(&self, service: &Service) -> &[Status] {
        &self.statuses.of[service.endpoints.start as usize..service.endpoints.end as usize]
    }

    /// The generation at which the service's inputs last changed.
    #[must_use]
    #[inline]
    pub fn version(&self, service: ServiceId) -> u64 {
        self.statuses.versions[service.index()]
    }

    /// The number of the service's situation; 0 where no other service could be in it.
    #[must_use]
    #[inline]
    pub fn situation(&self, service: ServiceId) -> u64 {
        self.statuses.situations[service.index()]
    }
}

/// The status of an endpoint that nobody has measured, and whose alias nobody has looked up.
fn unmeasured(endpoint: &Endpoint) -> Status {
    let lacks = endpoint.alias.map_or(AddressTypes::NONE, |alias| alias.types);
    Status { lacks, moving: !lacks.is_empty(), ..Status::UNMEASURED }
}

/// The first so many.
fn first<T>(all: &[T], most: u8) -> &[T] {
    &all[..all.len().min(usize::from(most))]
}
