//! Who moves when other files are loaded: `gate` and `max-moved` bind a reload as they bind an override.
//!
//! Both worlds are taken as they are once overrides have done what they will do, drills have ended and whatever is new was measured up: what the files
//! change is compared, and nothing else. Services that only one of the catalogs has move nobody from one answer to another.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;

use super::moved::{every, share};
use super::propose::{earlier, in_the_end, pace};
use super::{Move, Moved, Overrides};
use crate::catalog::{Catalog, EndpointId, Profiles, Service, ServiceId};
use crate::control::Refused;
use crate::demand::{Asked, Mix, moves_between};
use crate::geo::Geo;
use crate::health::Status;
use crate::limits::MOVED_SERVICES;
use crate::units::{Moment, Permille};
use crate::world::World;

/// Files that are to take the place of others.
pub(in crate::control) struct Reload<'a> {
    /// The world in force.
    pub(in crate::control) before: &'a World,
    /// The overrides in force.
    pub(in crate::control) overrides: &'a Overrides,
    /// What would exist.
    pub(in crate::control) catalog: &'a Arc<Catalog>,
    /// Where clients would be.
    pub(in crate::control) geo: &'a Arc<Geo>,
    /// For each endpoint that would exist, the one of that name that there is, changed or not.
    pub(in crate::control) namesakes: &'a dyn Fn(EndpointId) -> Option<EndpointId>,
}

/// What decides where clients of a service go before and after, and where its endpoints were before. Services that have it in common move alike.
#[derive(PartialEq, Eq, Hash)]
struct Alike<'a> {
    /// The profiles.
    profiles: [Option<u32>; 2],
    /// The statuses.
    statuses: [&'a [Status]; 2],
    /// For each endpoint after, its place before.
    places: Box<[Option<u32>]>,
}

impl Reload<'_> {
    /// The share of all clients who would go to another endpoint, counted as [`super::moved`] counts them; nobody where no rule asks.
    pub(in crate::control) fn moved(&self) -> Permille {
        let (old, new) = (&self.before.catalog, self.catalog);
        if !old.safety.sets_a_pace() && !new.safety.sets_a_pace() {
            return Permille(0);
        }
        let (before, after) = self.worlds();
        let is_framed_alike = new.has_frame_of(old) && self.geo.sources() == self.before.geo.sources();
        let mut kinds: HashMap<Alike<'_>, usize> = HashMap::new();
        let mut found: Vec<(ServiceId, ServiceId, usize)> = Vec::new();
        let mut both = 0;
        for (id, service) in (0..).map(ServiceId).zip(&new.services) {
            let Some(earlier) = old.service_named(&service.name) else { continue };
            both += 1;
            let was = old.service(earlier);
            let alike = Alike {
                profiles: [old.profiles.of_service(earlier), new.profiles.of_service(id)],
                statuses: [before.statuses_of(was), after.statuses_of(service)],
                places: service.endpoints.clone().map(|index| Some(self.same(EndpointId(index))?.0 - was.endpoints.start)).collect(),
            };
            if is_framed_alike && alike.moves_nobody(was, service) {
                continue;
            }
            let next = found.len();
            let kind = *kinds.entry(alike).or_insert(next);
            if kind == next {
                found.push((earlier, id, 0));
            }
            found[kind].2 += 1;
        }
        let touched: usize = found.iter().map(|(.., services)| services).sum();
        // The kind that most services are of comes first: of many kinds it should be among those that are asked.
        found.sort_by_key(|(_, id, services)| (Reverse(*services), *id));
        let asked = every(&found, MOVED_SERVICES);
        let counted: usize = asked.iter().map(|(.., services)| services).sum();
        let here = Mix::of_addresses(&before.geo);
        let there = here.in_world(&after);
        let mut sum = 0;
        for (earlier, id, services) in asked {
            let sides = (Asked { world: &before, service: earlier, mix: &here }, Asked { world: &after, service: id, mix: &there });
            // One that is new has a number that none had.
            let known_as = |id: EndpointId| self.same(id).unwrap_or(EndpointId(u32::MAX - id.0));
            let gone: u128 = moves_between(sides.0, sides.1, known_as).values().map(|share| u128::from(*share)).sum();
            sum += gone * services as u128;
        }
        share(sum * touched as u128, counted * both)
    }

    /// Refuses it if it would move so many clients of all, and so soon, that the rules in force forbid it. `moves` are those that rules remember.
    pub(in crate::control) fn refuse(&self, clients: Permille, moves: [&[Move]; 3], now: Moment) -> Option<Refused> {
        let [overrides, drills, reloads] = moves;
        let before = earlier(&earlier(overrides, drills, now), reloads, now);
        let moved = Moved { clients, ..Moved::default() };
        pace(&self.before.catalog.safety, &moved, &before, now).into_iter().next().map(Refused::MovesClients)
    }

    /// The world in force and the one that would be, as they are to be compared.
    fn worlds(&self) -> (World, World) {
        let mut after = World::unmeasured(self.before.generation + 1, Arc::clone(self.catalog), Arc::clone(self.geo));
        for (id, status) in (0..).map(EndpointId).zip(&mut after.statuses.of) {
            if let Some(known) = (self.namesakes)(id) {
                *status = *self.before.status(known);
            }
        }
        let before = World { drill: None, ..self.before.clone() };
        let settled = |world: World| in_the_end(&world, self.overrides).as_if_measured_up();
        (settled(before), settled(after))
    }

    /// The endpoint before that clients of one after were sent to if they do not move: of one name, in one region.
    fn same(&self, id: EndpointId) -> Option<EndpointId> {
        (self.namesakes)(id).filter(|known| region_of(&self.before.catalog, *known) == region_of(self.catalog, id))
    }
}

/// The name of the region that an endpoint stands in.
fn region_of(catalog: &Catalog, id: EndpointId) -> &str {
    &catalog.region(catalog.endpoint(id).region).name
}

impl Alike<'_> {
    /// Whether nothing is otherwise. Asked of two catalogs of one frame.
    fn moves_nobody(&self, was: &Service, is: &Service) -> bool {
        let [before, after] = self.statuses;
        before == after && self.places.iter().zip(0..).all(|(place, index)| *place == Some(index)) && Profiles::are_one(was, is)
    }
}
