//! Who moves when other files are loaded: `gate` and `max-moved` bind a reload as they bind an override.
//!
//! What the files change is compared, and nothing else: both worlds are taken as they are once overrides have done what they will do, drills have ended,
//! ramps are over and declared loads are fitted; an endpoint keeps the health that one of its name has, and whatever is to be measured is up.
//!
//! Only who is moved at will counts. Clients of an endpoint that is down were to leave it anyway, so a reload that helps them is never held; services that
//! only one of the catalogs has move nobody from one answer to another; and what a database of places says is no word of the operator's.

use std::collections::HashMap;
use std::sync::Arc;

use super::Refused;
use super::drills::{block_dependants, without};
use super::overrides::{Move, Overrides, earlier, every, pace, share, with_overrides};
use crate::catalog::{AddressTypes, Catalog, Endpoint, EndpointId, Families, Needed, Service, ServiceId, read_alike};
use crate::demand::{Asked, Mix, Orders, fit_declared, moves_between};
use crate::geo::Geo;
use crate::health::{Health, Status};
use crate::limits::{MOVED_SERVICES, MOVED_SERVICES_LEAST};
use crate::steer::Family;
use crate::units::{Moment, Permille};
use crate::world::World;

/// Files that are to take the place of others.
pub(super) struct Reload<'a> {
    /// The world in force.
    pub(super) before: World,
    /// The overrides in force.
    pub(super) overrides: &'a Overrides,
    /// What would exist.
    pub(super) catalog: &'a Arc<Catalog>,
    /// Where clients would be.
    pub(super) geo: &'a Arc<Geo>,
    /// The statuses that would be, of those that go on as they were; of others only what a tier hands to them.
    pub(super) statuses: &'a [Status],
    /// For each endpoint that would exist, the one of that name that there is, changed or not.
    pub(super) namesakes: &'a dyn Fn(EndpointId) -> Option<EndpointId>,
}

/// What decides where clients of a service go before and after, and where its endpoints were before. Services that have it in common move alike.
#[derive(PartialEq, Eq, Hash)]
struct Alike<'a> {
    /// The profiles.
    profiles: [Option<u32>; 2],
    /// The statuses.
    statuses: [&'a [Status]; 2],
    /// The declared demands.
    peaks: [Option<u64>; 2],
    /// The declared capacities, before and after.
    capacities: Box<[Option<u64>]>,
    /// For each endpoint after, its place before.
    places: Box<[Option<u32>]>,
}

/// Services that move alike.
struct Kind {
    /// One of them, before.
    was: ServiceId,
    /// The same after.
    is: ServiceId,
    /// How many there are.
    services: usize,
}

impl Reload<'_> {
    /// The share of all clients who would be moved at will, counted as [`super::overrides::moved()`] counts them; nobody where no rule asks.
    pub(super) fn moved(&self) -> Permille {
        let (old, new) = (&self.before.catalog, self.catalog);
        if !old.safety.sets_a_pace() && !new.safety.sets_a_pace() {
            return Permille(0);
        }
        let real = self.real();
        let (mut before, mut after) = (self.settled(real.clone()), self.settled(self.after(&real)));
        let ([own, others], both) = self.kinds(&before, &after);
        let here = Mix::of_addresses(&before.geo);
        let there = here.in_world(&after);
        let (open_before, open_after) = (Orders::opened(&before), Orders::opened(&after));
        let most_others = MOVED_SERVICES.saturating_sub(own.len()).max(MOVED_SERVICES_LEAST);
        let mut moved = 0;
        let strata = [(own, MOVED_SERVICES), (others, most_others)].into_iter().flat_map(|(mut kinds, most)| {
            // Those that most services are of count for themselves; of the others some stand for all.
            kinds.sort_by_key(|kind| (std::cmp::Reverse(kind.services), kind.is));
            let rest = kinds.split_off(kinds.len().min(most / 2));
            [(kinds, most / 2), (rest, most - most / 2)]
        });
        for (kinds, most) in strata {
            let all: usize = kinds.iter().map(|kind| kind.services).sum();
            let (mut sum, mut counted) = (0, 0);
            for Kind { was, is, services } in every(&kinds, most) {
                // What the node has fitted to loads that it was told of is as true before as after: both are fitted alike.
                let fitted = fit_declared(&mut before, &open_before, *was, &here);
                if fit_declared(&mut after, &open_after, *is, &there).is_none() && fitted.is_some() {
                    // Nobody would know any more that there is no room.
                    let range = self.catalog.service(*is).endpoints.clone();
                    after.statuses.of[range.start as usize..range.end as usize].iter_mut().for_each(|status| status.room = Permille::WHOLE);
                }
                sum += self.gone(&real, (&before, *was, &here), (&after, *is, &there)) * *services as u128;
                counted += services;
            }
            // Those that were asked stand for the others of their sort.
            moved += sum * all as u128 / counted.max(1) as u128;
        }
        share(moved, both)
    }

    /// Refuses it if it would move so many clients of all, or so soon, that the rules in force forbid it. `moves` are those that rules remember.
    pub(super) fn refuse(&self, clients: Permille, moves: [&[Move]; 3], now: Moment) -> Option<Refused> {
        let [overrides, drills, reloads] = moves;
        let safety = &self.before.catalog.safety;
        let earlier = earlier(&earlier(overrides, drills, now), reloads, now);
        let rule = pace(safety, clients, &earlier, now).into_iter().next()?;
        let spans = [u64::from(safety.gate_ms), safety.moved.map_or(0, |most| u64::from(most.per_ms))];
        let changes = earlier.iter().flat_map(|moved| spans.map(|span| moved.at.plus_millis(span))).filter(|at| *at > now);
        let passes = changes.filter(|at| pace(safety, clients, &earlier, *at).is_empty()).min();
        Some(Refused::MovesClients { rule, passes_ms: passes.map(|at| at.millis_since(now)) })
    }

    /// The kinds of services that both catalogs have and of which anything is otherwise, first those that are themselves, then those of which only the
    /// surroundings are; and how many services both catalogs have.
    fn kinds(&self, before: &World, after: &World) -> ([Vec<Kind>; 2], usize) {
        let (old, new) = (&before.catalog, &after.catalog);
        let is_framed_alike = new.has_frame_of(old);
        let mut known: HashMap<Alike<'_>, (usize, usize)> = HashMap::new();
        let mut kinds = [Vec::new(), Vec::new()];
        let mut both = 0;
        for (is, service) in (0..).map(ServiceId).zip(&new.services) {
            let Some(was) = old.service_named(&service.name) else { continue };
            both += 1;
            let earlier = old.service(was);
            let alike = self.alike((before, was), (after, is));
            let is_same = alike.is_as_before() && read_alike((old, earlier), (new, service));
            if is_same && is_framed_alike {
                continue;
            }
            let sort = usize::from(is_same);
            let next = (sort, kinds[sort].len());
            let (sort, kind) = *known.entry(alike).or_insert(next);
            if kind == kinds[sort].len() {
                kinds[sort].push(Kind { was, is, services: 0 });
            }
            kinds[sort][kind].services += 1;
        }
        (kinds, both)
    }

    /// What decides about a service.
    fn alike<'w>(&self, (before, was): (&'w World, ServiceId), (after, is): (&'w World, ServiceId)) -> Alike<'w> {
        let (earlier, service) = (before.catalog.service(was), after.catalog.service(is));
        let capacities = |world: &'w World, service: &'w Service| world.catalog.endpoints_of(service).map(|(_, endpoint)| endpoint.capacity);
        Alike {
            profiles: [before.catalog.profiles.of_service(was), after.catalog.profiles.of_service(is)],
            statuses: [before.statuses_of(earlier), after.statuses_of(service)],
            peaks: [earlier.peak, service.peak],
            capacities: capacities(before, earlier).chain(capacities(after, service)).collect(),
            places: service.endpoints.clone().map(|index| Some(self.same(EndpointId(index))?.0 - earlier.endpoints.start)).collect(),
        }
    }

    /// Clients of a service that would be sent elsewhere at will, in parts of [`crate::steer::ALL_CLIENTS`]; of two families that are decided each by itself, those of the
    /// one that more are of.
    fn gone(&self, real: &World, (before, was, here): (&World, ServiceId, &Mix), (after, is, there): (&World, ServiceId, &Mix)) -> u128 {
        let is_separate = |world: &World, id: ServiceId| world.catalog.service(id).families == Families::Separate;
        let families: &[Family] = if is_separate(before, was) || is_separate(after, is) { &[Family::V4, Family::V6] } else { &[Family::Any] };
        // One that is new has a number that none had.
        let known_as = |id: EndpointId| self.same(id).unwrap_or(EndpointId(u32::MAX - id.0));
        let of_family = |family: &Family| -> u128 {
            let (one, other) =
                (Asked { world: before, service: was, family: *family, mix: here }, Asked { world: after, service: is, family: *family, mix: there });
            let at_will =
                |(from, _): &(Option<EndpointId>, Option<EndpointId>)| from.is_some_and(|id| has_clients(real.status(id)) && !before.status(id).is_down());
            moves_between(one, other, known_as).iter().filter(|(way, _)| at_will(way)).map(|(_, clients)| u128::from(*clients)).sum()
        };
        families.iter().map(of_family).max().unwrap_or(0)
    }

    /// The world in force without the drill that is played in it.
    fn real(&self) -> World {
        let mut real = without(&self.before);
        for (id, (status, endpoint)) in (0..).map(EndpointId).zip(real.statuses.of.iter_mut().zip(&self.before.catalog.endpoints)) {
            status.blocked |= self.before.status(id).blocked && needs_probes(endpoint);
        }
        real
    }

    /// The world that would be.
    fn after(&self, before: &World) -> World {
        let mut after = World::unmeasured(self.before.generation + 1, Arc::clone(self.catalog), Arc::clone(self.geo));
        for (id, (status, carried)) in (0..).map(EndpointId).zip(after.statuses.of.iter_mut().zip(self.statuses)) {
            if let Some(known) = (self.namesakes)(id) {
                *status = *before.status(known);
            }
            status.latched = carried.latched;
        }
        after
    }

    /// A world as it is to be compared.
    fn settled(&self, world: World) -> World {
        let mut world = with_overrides(&world.as_if_measured_up(), self.overrides);
        let catalog = Arc::clone(&world.catalog);
        for (status, endpoint) in world.statuses.of.iter_mut().zip(&catalog.endpoints) {
            status.ramp = Permille::WHOLE;
            if endpoint.probes.is_empty() {
                // Nobody will ever measure it, whatever was known of one of its name.
                (status.health, status.damped, status.fails) = (Health::Unknown, false, AddressTypes::NONE);
            }
            // What needs probes is known by those alone, and stays as it is.
            status.blocked &= needs_probes(endpoint);
        }
        let all: Vec<EndpointId> = (0..).map(EndpointId).take(catalog.endpoints.len()).collect();
        block_dependants(&mut world, &all);
        world
    }

    /// The endpoint before that clients of one after were sent to if they do not move: of one name, in one region.
    fn same(&self, id: EndpointId) -> Option<EndpointId> {
        (self.namesakes)(id).filter(|known| region_of(&self.before.catalog, *known) == region_of(self.catalog, id))
    }
}

/// Whether an endpoint depends on probes.
fn needs_probes(endpoint: &Endpoint) -> bool {
    endpoint.depends_on.as_ref().is_some_and(|depends| depends.needs.iter().any(|need| matches!(need.of, Needed::Probes(_))))
}

/// Whether clients are sent there as long as anything else is there for them: whoever leaves what has trouble does not do so at will.
fn has_clients(status: &Status) -> bool {
    !status.is_down() && !status.is_damped() && status.lacks.is_empty() && status.fails.is_empty()
}

/// The name of the region that an endpoint stands in.
fn region_of(catalog: &Catalog, id: EndpointId) -> &str {
    &catalog.region(catalog.endpoint(id).region).name
}

impl Alike<'_> {
    /// Whether its endpoints are those that it had, and as they were.
    fn is_as_before(&self) -> bool {
        let [before, after] = self.statuses;
        before == after && self.places.iter().zip(0..).all(|(place, index)| *place == Some(index))
    }
}
