//! What a query may know: the immutable snapshot that queries are answered from. Published, never changed.

mod notes;

pub use notes::{Deed, Note, Notes};

use std::sync::Arc;

use crate::catalog::{Catalog, EndpointId, Service, ServiceId};
use crate::geo::Geo;
use crate::health::Status;
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
    /// Whether the statuses are held without fresh observations (EDE 3, RFC 8914 §4.4).
    pub stale: bool,
    /// When the newest observation in them was made.
    pub observed: Moment,
}

impl World {
    /// A world in which nothing has been measured yet.
    #[must_use]
    pub fn unmeasured(generation: u64, catalog: Arc<Catalog>, geo: Arc<Geo>) -> Self {
        let statuses = Statuses {
            of: vec![Status::UNMEASURED; catalog.endpoints.len()].into(),
            versions: vec![generation; catalog.services.len()].into(),
            situations: vec![0; catalog.services.len()].into(),
            stale: false,
            observed: Moment(0),
        };
        Self { generation, catalog, geo, statuses, notes: Arc::default() }
    }

    /// The status of an endpoint.
    #[must_use]
    #[inline]
    pub fn status(&self, endpoint: EndpointId) -> &Status {
        &self.statuses.of[endpoint.index()]
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
