//! From what an operator wishes to the drill that would be played, or to why not. Pure: changes nothing.

use std::collections::VecDeque;
use std::sync::Arc;

use super::{Ceased, Drill, Drills, Guard, Outcome, Plays, Record, UnderWay, endpoints};
use crate::catalog::{Catalog, EndpointId, Needed, ServiceId};
use crate::control::EndpointName;
use crate::control::controller::dependants;
use crate::control::overrides::{Move, Moved, Overrides, Selector, Unsafe, Words, earlier, moved, remember, unsafe_of, with_overrides};
use crate::demand::{Mix, Side};
use crate::health::{Health, Intent, Status};
use crate::limits::{DRILL_LIFE_MS_MAX, DRILL_LIFE_MS_MIN, DRILL_PRE_ROLL_MARGIN_MS, DRILL_PRE_ROLL_MS_MAX, MOVED_SERVICES, SAFETY_SPAN_MS_MAX};
use crate::units::{Micros, Moment, Permille};
use crate::world::World;

/// What an operator wishes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// A drill.
    Run(Run),
    /// The end of one.
    Abort(Abort),
}

/// A drill that is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// The endpoints that it is about.
    pub selector: Selector,
    /// What is played with them.
    pub plays: Plays,
    /// Why.
    pub why: Words,
    /// Who wishes it.
    pub who: Words,
    /// Milliseconds from its start to its end.
    pub life_ms: u64,
    /// Milliseconds from its announcement to its start; `None` waits out the longest steady TTL of its services.
    pub pre_roll_ms: Option<u64>,
    /// Guards that are off.
    pub without: Vec<Guard>,
    /// Share of answers that may be given for want of anything that is up.
    pub errors: Permille,
    /// Why safety rules do not count this time, if they do not.
    pub force: Option<Words>,
}

/// A drill that is to end now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Abort {
    /// Its number; `None` is whichever there is.
    pub id: Option<u64>,
    /// Why.
    pub why: Words,
    /// Who wishes it.
    pub who: Words,
}

/// The drill that would be played, and what that means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// What is to be written.
    pub next: Drills,
    /// The drill that is new, or that is aborted.
    pub drill: Drill,
    /// How many endpoints it plays with.
    pub endpoints: usize,
    /// How many services these are of.
    pub services: usize,
    /// Endpoints that it cannot play with, for want of probes.
    pub unprobed: Vec<EndpointName>,
    /// Who moves at most.
    pub moved: Moved,
    /// Safety rules that it goes past, since it is forced.
    pub forced: Vec<Hazard>,
}

/// Why a wish is not granted. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It would take too short or too long.
    #[error("a drill takes from 1 minute to 2 hours, and is announced for 2 hours at most")]
    Life,
    /// Its numbers are out of their limits.
    #[error("a drill slows down by 1 ms to 60 s, and loses from 0.1 % to 100 % of the probes")]
    Plays,
    /// It matches nothing.
    #[error("{selector:?} matches no endpoint: {why}")]
    MatchesNothing {
        /// The selector.
        selector: String,
        /// Which word of it does not, and what was probably meant.
        why: String,
    },
    /// Nothing that it matches is probed.
    #[error("{selector:?} matches no endpoint that is probed, and without probes there is no observation to play with: a drill that drains them needs none")]
    Unprobed {
        /// The selector.
        selector: String,
    },
    /// There is one already.
    #[error("drill {0} is not over: a node plays one at a time; wait for its end, or abort it")]
    OneAtATime(u64),
    /// There is none of this number.
    #[error("there is no drill {0} under way")]
    NoSuch(u64),
    /// There is none.
    #[error("there is no drill under way")]
    None,
    /// It would break a safety rule.
    #[error("{0}; to do it all the same, force it with a reason")]
    Unsafe(#[from] Hazard),
}

/// A safety rule that would be broken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Hazard {
    /// One that binds overrides, too.
    #[error(transparent)]
    Rule(#[from] Unsafe),
    /// Something is down already.
    #[error("{endpoint} is down: this is no time to practise")]
    Incident {
        /// An endpoint of a service that the drill is about.
        endpoint: EndpointName,
    },
    /// The node does not know how things are.
    #[error("this node has no fresh observations: whatever it saw of a drill would mean nothing")]
    Blind,
    /// Those that are left have no room.
    #[error("the load of {service} would be {percent} % of what those that are left are filled to")]
    Headroom {
        /// The service's owner name.
        service: Box<str>,
        /// The load, in per cent of the limits that nobody should exceed.
        percent: u32,
    },
}

/// Tells which drill would be played if a wish were granted. `drills` and `overrides` are those of this world's node; `reloads` is when
/// reloads of it moved clients.
///
/// # Errors
/// [`Refusal`]; nothing changes in any case.
pub fn propose(world: &World, drills: &Drills, overrides: &Overrides, reloads: &[Move], wish: &Wish, now: Moment) -> Result<Proposal, Refusal> {
    match wish {
        Wish::Run(run) => propose_run(world, drills, (overrides, reloads), run, now),
        Wish::Abort(abort) => propose_abort(world, drills, abort, now),
    }
}

/// A new one.
fn propose_run(world: &World, drills: &Drills, (overrides, reloads): (&Overrides, &[Move]), run: &Run, now: Moment) -> Result<Proposal, Refusal> {
    let catalog = &world.catalog;
    if !run.plays.is_sound() {
        return Err(Refusal::Plays);
    }
    if let Some(one) = drills.current() {
        return Err(Refusal::OneAtATime(one.drill.id));
    }
    let selector = || run.selector.to_string();
    let (able, unable) = endpoints(&run.selector, run.plays, catalog);
    if able.is_empty() {
        return Err(if unable.is_empty() {
            Refusal::MatchesNothing { selector: selector(), why: run.selector.why_nothing(catalog) }
        } else {
            Refusal::Unprobed { selector: selector() }
        });
    }
    let mut services: Vec<ServiceId> = able.iter().map(|id| catalog.endpoint(*id).service).collect();
    services.dedup();
    let pre_roll_ms = run.pre_roll_ms.unwrap_or_else(|| usual_pre_roll_ms(catalog, &services));
    if !(DRILL_LIFE_MS_MIN..=DRILL_LIFE_MS_MAX).contains(&run.life_ms) || pre_roll_ms > DRILL_PRE_ROLL_MS_MAX {
        return Err(Refusal::Life);
    }
    let mut next = drills.clone();
    next.moves.retain(|moved| now.millis_since(moved.at) <= u64::from(SAFETY_SPAN_MS_MAX));
    next.last += 1;
    let starts = now.plus_millis(pre_roll_ms);
    let mut drill = Drill {
        id: next.last,
        selector: run.selector.clone(),
        plays: run.plays,
        why: run.why.clone(),
        who: run.who.clone(),
        forced: None,
        made: now,
        starts,
        ends: starts.plus_millis(run.life_ms),
        without: run.without.clone(),
        errors: run.errors,
    };
    let (before, after) = (world, played(world, &able, run.plays));
    let moved = moved(before, &after);
    // Rules ask what is left when all overrides have done what they will do, and take what the drill has fail as drained.
    let in_force = overrides.in_force(now);
    let (safe_before, mut safe_after) = (with_overrides(world, &in_force), with_overrides(world, &in_force));
    for (id, status) in (0..).map(EndpointId).zip(&mut safe_after.statuses.of) {
        let falls = after.status(id).is_down() && !before.status(id).is_down() || able.binary_search(&id).is_ok() && takes_away(&after, id);
        if falls && status.intent != Intent::Out {
            status.intent = Intent::Drain;
        }
    }
    let earlier = earlier(&earlier(&in_force.moves, &next.moves, now), reloads, now);
    let mut forced: Vec<Hazard> = unsafe_of(&safe_before, &safe_after, &moved, &earlier, now).into_iter().map(Hazard::Rule).collect();
    forced.extend(other_hazards(world, &after, &services, &run.without));
    if moved.clients > Permille(0) {
        // Clients move when it begins, not when it is announced.
        remember(&mut next.moves, Move { at: starts, share: moved.clients });
    }
    if let Some(first) = forced.first() {
        drill.forced.clone_from(&run.force);
        if run.force.is_none() {
            return Err(Refusal::Unsafe(first.clone()));
        }
    }
    next.now = Some(UnderWay { drill: drill.clone(), record: Record::default() });
    let unprobed = unable.iter().map(|id| EndpointName::of(catalog, *id)).collect();
    Ok(Proposal { next, drill, endpoints: able.len(), services: services.len(), unprobed, moved, forced })
}

/// The end of one.
fn propose_abort(world: &World, drills: &Drills, abort: &Abort, now: Moment) -> Result<Proposal, Refusal> {
    let current = drills.current().filter(|one| abort.id.is_none_or(|id| id == one.drill.id));
    let Some(one) = current else { return Err(abort.id.map_or(Refusal::None, Refusal::NoSuch)) };
    let drill = one.drill.clone();
    let ceased = Ceased::Aborted { who: abort.who.as_str().into(), why: abort.why.as_str().into() };
    let record = Record { over: Some(Outcome { at: now, ceased }), ..one.record.clone() };
    let mut next = Drills { now: Some(UnderWay { drill: drill.clone(), record }), ..drills.clone() };
    if one.record.started.is_none() {
        next.moves.retain(|moved| moved.at < drill.starts);
    }
    let (able, unable) = drill.endpoints(&world.catalog);
    let unprobed = unable.iter().map(|id| EndpointName::of(&world.catalog, *id)).collect();
    Ok(Proposal { next, drill, endpoints: able.len(), services: 0, unprobed, moved: Moved::default(), forced: Vec::new() })
}

/// Milliseconds after which nothing that was answered before is in a cache.
fn usual_pre_roll_ms(catalog: &Catalog, services: &[ServiceId]) -> u64 {
    let longest = services.iter().map(|id| u64::from(catalog.service(*id).ttl_steady.0)).max().unwrap_or(0);
    (longest * 1_000 + DRILL_PRE_ROLL_MARGIN_MS).min(DRILL_PRE_ROLL_MS_MAX)
}

/// Whether what is played takes clients away from an endpoint of the drill in this world.
fn takes_away(after: &World, id: EndpointId) -> bool {
    let status = after.status(id);
    status.is_down() || status.intent == Intent::Drain
}

/// The world as a drill makes it at its worst, and all that depends on what it plays with.
pub(super) fn played(world: &World, able: &[EndpointId], plays: Plays) -> World {
    let mut after = world.clone();
    for id in able {
        let worst = match plays {
            Plays::Drain => None,
            Plays::Fail | Plays::Lossy(_) => Some(Health::Down),
            Plays::Slow(by_ms) => Some(slowed(world, *id, by_ms)),
        };
        let status = &mut after.statuses.of[id.index()];
        match worst {
            None if status.intent != Intent::Out => status.intent = Intent::Drain,
            None => {}
            Some(worst) => status.health = status.health.max(worst),
        }
    }
    block_dependants(&mut after, able);
    after
}

/// What becomes of an endpoint whose probes take so much longer: as far as is known of how long they take.
fn slowed(world: &World, id: EndpointId, by_ms: u32) -> Health {
    let falls = world.catalog.endpoint(id).probes.iter().any(|probe| {
        let spec = &world.catalog.probes[probe.index()];
        let usual = world.statuses.evidence.get(probe.index()).and_then(|evidence| evidence.rtt).unwrap_or(Micros::ZERO);
        usual.plus(Micros::from_millis(i64::from(by_ms))) > Micros::from_millis(i64::from(spec.timeout_ms))
    });
    if falls { Health::Down } else { Health::Degraded }
}

/// Blocks what depends on endpoints that are down now. It ends, since nothing depends on itself.
pub(in crate::control) fn block_dependants(world: &mut World, first: &[EndpointId]) {
    let catalog = Arc::clone(&world.catalog);
    let by = dependants(&catalog);
    let mut queue: VecDeque<EndpointId> = first.iter().copied().filter(|id| world.status(*id).is_down()).collect();
    while let Some(gone) = queue.pop_front() {
        for &id in by.get(&gone).into_iter().flatten() {
            let Some(depends) = &catalog.endpoint(id).depends_on else { continue };
            let is_down = |id: &EndpointId| world.status(*id).is_down();
            let unmet = depends.needs.iter().filter(|need| matches!(&need.of, Needed::Endpoints(ids) if ids.iter().all(is_down))).count();
            let was_down = world.status(id).is_down();
            if depends.needs.len() - unmet < usize::from(depends.least) {
                let status: &mut Status = &mut world.statuses.of[id.index()];
                status.blocked = true;
                if !was_down {
                    queue.push_back(id);
                }
            }
        }
    }
}

/// What guards would see at once, and whether anybody could see at all.
fn other_hazards(world: &World, after: &World, services: &[ServiceId], without: &[Guard]) -> Vec<Hazard> {
    let catalog = &world.catalog;
    let mut found = Vec::new();
    if world.statuses.stale || world.statuses.doubting {
        found.push(Hazard::Blind);
    }
    if !without.contains(&Guard::Incident) {
        let endpoints = services.iter().flat_map(|id| catalog.endpoints_of(catalog.service(*id)));
        let down = endpoints.map(|(id, _)| id).find(|id| world.status(*id).published() == Health::Down);
        found.extend(down.map(|id| Hazard::Incident { endpoint: EndpointName::of(catalog, id) }));
    }
    if !without.contains(&Guard::Headroom) {
        let mix = Mix::of_addresses(&world.geo);
        let priced: Vec<ServiceId> = services.iter().copied().filter(|id| catalog.service(*id).peak.is_some()).collect();
        let step = priced.len().div_ceil(MOVED_SERVICES).max(1);
        let worst = priced.iter().step_by(step).filter_map(|id| {
            let factor = Side::of(after, *id, &mix).factor();
            (factor > 1_000 && factor > Side::of(world, *id, &mix).factor()).then_some((factor, *id))
        });
        found.extend(worst.max().map(|(factor, id)| Hazard::Headroom { service: catalog.service(id).name.to_string().into(), percent: factor / 10 }));
    }
    found
}
