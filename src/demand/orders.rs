//! How the clients of a service rank its endpoints.

use std::collections::HashMap;

use super::Mix;
use crate::catalog::{EndpointId, ServiceId};
use crate::steer::{ALL_CLIENTS, Ask, Candidate, Decision, Family, Silent, Verdict, decide};
use crate::units::{Permille, part};
use crate::world::World;

/// The distinct decisions of one service, each with the share of the clients that it is for.
#[derive(Clone, Debug)]
pub struct Orders {
    /// The service's first endpoint.
    first: EndpointId,
    /// How many endpoints it has.
    endpoints: usize,
    /// The decisions, every candidate in line, and the shares in parts of [`ALL_CLIENTS`].
    decisions: Vec<(Decision, u64)>,
}

/// Where a service's clients land.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Landing {
    /// The share of the clients that has each endpoint first, in parts of [`ALL_CLIENTS`]; by place within the service.
    pub shares: Box<[u64]>,
    /// The share that gets no address.
    pub nobody: u64,
}

impl Orders {
    /// Decides for every group of the mix, once. `open` is the world as it is, but every endpoint keeps nearly all of its clients: so that each
    /// decision has the whole line of those to whom clients may be turned ([`Orders::opened`]).
    #[must_use]
    pub fn of(open: &World, service: ServiceId, mix: &Mix) -> Self {
        let endpoints = open.catalog.service(service).endpoints.clone();
        let mut known: HashMap<Box<[Candidate]>, usize> = HashMap::new();
        let mut decisions: Vec<(Decision, u64)> = Vec::new();
        for group in mix.groups() {
            let decision = decide(&Ask { service, client: group.client, family: Family::Any }, open, &mut Silent);
            let line = &decision.candidates[..usize::from(decision.count)];
            if let Some(index) = known.get(line) {
                decisions[*index].1 += group.share;
            } else {
                known.insert(line.into(), decisions.len());
                decisions.push((decision, group.share));
            }
        }
        Self { first: EndpointId(endpoints.start), endpoints: endpoints.len(), decisions }
    }

    /// A world in which every endpoint turns some clients away, and whatever else decides is the same.
    #[must_use]
    pub fn opened(world: &World) -> World {
        let mut open = world.clone();
        for status in &mut open.statuses.of {
            status.room = Permille(Permille::WHOLE.0 - 1);
        }
        open
    }

    /// Where clients land if each endpoint, by its place within the service, keeps this share of those that would have it.
    #[must_use]
    pub fn landing(&self, keeps: &[Permille]) -> Landing {
        let mut landing = Landing { shares: vec![0; self.endpoints].into(), nobody: 0 };
        let kept = |id: EndpointId| keeps.get(self.place(id)).copied().unwrap_or(Permille::WHOLE);
        for (decision, clients) in &self.decisions {
            if decision.verdict != Verdict::Serve {
                landing.nobody += clients;
                continue;
            }
            for (id, share) in decision.shares_if(kept) {
                landing.shares[self.place(id)] += part(*clients, share, ALL_CLIENTS);
            }
        }
        landing
    }

    /// Whether any client may come to the endpoint at this place.
    #[must_use]
    pub fn reach(&self, place: usize) -> bool {
        self.decisions.iter().any(|(decision, _)| {
            let line = &decision.candidates[..usize::from(decision.count)];
            decision.verdict == Verdict::Serve && line.iter().any(|candidate| self.place(candidate.endpoint) == place)
        })
    }

    /// An endpoint's place within the service.
    const fn place(&self, id: EndpointId) -> usize {
        (id.0 - self.first.0) as usize
    }
}
