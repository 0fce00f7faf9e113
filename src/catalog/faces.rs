//! What the usual answer needs of services and endpoints, side by side.
//!
//! Derived when the catalog is compiled. Services and endpoints are large, and their addresses stand elsewhere: an answer that reads them touches
//! eight cache lines of megabytes, and waits for most of them. These few octets of each stay near.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::{AnswerKind, Endpoint, EndpointId, Families, Service, ServiceId};
use crate::units::Ttl;

/// Columns over all services and all endpoints.
#[derive(Clone, Debug, Default)]
pub struct Faces {
    /// By service.
    services: Box<[Face]>,
    /// By endpoint: its IPv4 address, if it has exactly one and that is written.
    v4: Box<[Option<Ipv4Addr>]>,
    /// The same for IPv6.
    v6: Box<[Option<Ipv6Addr>]>,
}

/// What the usual answer needs of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Face {
    /// As the start of [`Service::endpoints`].
    pub first: u32,
    /// As [`Service::ttl_steady`].
    pub ttl_steady: Ttl,
    /// As [`Service::ttl_moving`].
    pub ttl_moving: Ttl,
    /// As [`Service::families`].
    pub families: Families,
    /// Whether A is answered with addresses of endpoints.
    pub gives_a: bool,
    /// Whether AAAA is.
    pub gives_aaaa: bool,
}

impl Faces {
    /// Derives them.
    #[must_use]
    pub fn of(services: &[Service], endpoints: &[Endpoint]) -> Self {
        let face = |service: &Service| {
            let steers = service.kind == AnswerKind::Addresses;
            Face {
                first: service.endpoints.start,
                ttl_steady: service.ttl_steady,
                ttl_moving: service.ttl_moving,
                families: service.families,
                gives_a: steers && service.lineup.v4 != 0,
                gives_aaaa: steers && service.lineup.v6 != 0,
            }
        };
        let only = |endpoint: &Endpoint| endpoint.alias.is_none();
        Self {
            services: services.iter().map(face).collect(),
            v4: endpoints.iter().map(|endpoint| if let ([address], true) = (&*endpoint.a, only(endpoint)) { Some(*address) } else { None }).collect(),
            v6: endpoints.iter().map(|endpoint| if let ([address], true) = (&*endpoint.aaaa, only(endpoint)) { Some(*address) } else { None }).collect(),
        }
    }

    /// That of a service. `None` where the number is of no service.
    #[must_use]
    #[inline]
    pub fn service(&self, id: ServiceId) -> Option<&Face> {
        self.services.get(id.index())
    }

    /// The one IPv4 address of an endpoint; `None` where it has none, several, or those of an alias.
    #[must_use]
    #[inline]
    pub fn v4(&self, id: EndpointId) -> Option<Ipv4Addr> {
        self.v4.get(id.index()).copied().flatten()
    }

    /// The same for IPv6.
    #[must_use]
    #[inline]
    pub fn v6(&self, id: EndpointId) -> Option<Ipv6Addr> {
        self.v6.get(id.index()).copied().flatten()
    }
}
