//! What an endpoint cannot do without: other services in its region, and what named probes find there.

use super::{EndpointId, ProbeId};

/// What an endpoint depends on. While fewer than [`Dependency::least`] of the needs are met, it is taken as down. Over all endpoints this is
/// a directed graph without cycles.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Dependency {
    /// How many of the needs must be met: 1 for `any`, all of them for `all`. At least 1, at most as many as there are.
    pub least: u8,
    /// The needs, in the order in which they are written.
    pub needs: Box<[Need]>,
}

/// One thing that is needed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Need {
    /// As it is written: a service's name, or `probe:NAME`.
    pub name: Box<str>,
    /// What that is.
    pub of: Needed,
}

/// What a need means.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Needed {
    /// Endpoints of a service in the same region: met while any of them is not down.
    Endpoints(Box<[EndpointId]>),
    /// Probes of a template, asked where the endpoint is asked: met while none of them finds it down.
    Probes(Box<[ProbeId]>),
}

impl Dependency {
    /// The probes among the needs.
    pub fn probes(&self) -> impl Iterator<Item = ProbeId> {
        self.needs
            .iter()
            .flat_map(|need| match &need.of {
                Needed::Probes(probes) => &probes[..],
                Needed::Endpoints(_) => &[],
            })
            .copied()
    }

    /// The endpoints among the needs.
    pub fn endpoints(&self) -> impl Iterator<Item = EndpointId> {
        self.needs
            .iter()
            .flat_map(|need| match &need.of {
                Needed::Endpoints(endpoints) => &endpoints[..],
                Needed::Probes(_) => &[],
            })
            .copied()
    }
}
