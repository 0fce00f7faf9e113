//! When which probe is asked. Pure: time and the seed are arguments.
//!
//! At start every probe is due at once; its second turn falls at a place in the interval that a hash of its specification chooses, so
//! that later turns are spread. Jitter only shortens, by at most a tenth. A target that has begun to fail is asked again after a fifth of
//! the interval. Intervals are counted from start to start.
//!
//! Of an alias the addresses are asked in turn, one each time: the next after a success, the same again while it fails, so that one dead
//! address of several is found as fast as that of one. Where nothing is resolved, nothing is asked until something is.
//!
//! Commands take room of their own, far less than others have, so that they neither crowd the machine nor hold up anybody else. A heartbeat comes by
//! itself, and has no turns.
//!
//! # False alarms
//!
//! If each probe is lost with probability `p`, independently, a healthy endpoint is found down so often per unit of time:
//!
//! ```text
//!                    p^k
//!   λ = ─────────────────────────────        k = fall,  t = 0.95 · interval,  r = max(0.95 · interval / 5, timeout)
//!        t + r · (p + p² + … + p^(k−1))
//! ```
//!
//! Each ordinary turn begins a run of losses with probability `p`, which takes all `k` with `p^k`; the denominator is the mean time from one
//! ordinary turn to the next, re-checks counted in. (The time that it is down then, of weight `p^k`, is left out.) Of one vantage and one
//! probe. With the default probe and `p` = 2 % it is 53 a year; with `fall = 5`, 0.02. Losses that come together, as real ones do, raise it:
//! re-checks that follow each other closely are lost together. `tests/health/false_alarms.rs` holds it against simulated years.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;

use crate::catalog::{AddressType, Catalog, Name, ProbeHost, ProbeId, ProbeKind, ProbeSpec};
use crate::control::{Plan, spec_digest};
use crate::health::{Observation, ProbeFailure, ProbeOutcome, wants_recheck};
use crate::limits::{EXECS_IN_FLIGHT_MAX, JITTER_FRACTION, RECHECK_FRACTION};
use crate::units::Moment;
use crate::world::{Rehearsal, Resolved, World};

/// Names one entry for as long as its specification is in the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Distinct among all that there ever were.
    number: u64,
    /// Its lane.
    lane: LaneId,
}

/// The turns of all probes of a plan.
#[derive(Debug)]
pub struct Schedule {
    /// Makes the spread and the jitter of one node another than that of the next.
    seed: u64,
    /// The plan's epoch.
    epoch: u64,
    /// The plan's probes.
    catalog: Arc<Catalog>,
    /// An entry for each of them.
    entries: Vec<Entry>,
    /// Where each key stands by now.
    places: HashMap<Key, ProbeId>,
    /// The next key.
    next: u64,
    /// Entries that wait for their turn, the earliest on top.
    due: BinaryHeap<Reverse<(Moment, Key)>>,
    /// Entries whose turn has come: what is asked over the network, and commands.
    lanes: [Lane; 2],
    /// Entries whose turn has come, and whose alias has no address.
    parked: Vec<Key>,
    /// Milliseconds within which turns are taken together.
    together_ms: u64,
}

/// Probes that share room.
#[derive(Debug)]
struct Lane {
    /// Most under way at once.
    room: usize,
    /// How many are, also of plans that are gone.
    in_flight: usize,
    /// Entries whose turn has come.
    ready: VecDeque<Key>,
}

impl Lane {
    /// With so much room.
    const fn new(room: usize) -> Self {
        Self { room, in_flight: 0, ready: VecDeque::new() }
    }

    /// The next one, if there is room for it.
    fn start(&mut self) -> Option<Key> {
        let key = if self.in_flight < self.room { self.ready.pop_front() } else { None };
        self.in_flight += usize::from(key.is_some());
        key
    }
}

/// Which lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum LaneId {
    /// What is asked over the network.
    Network,
    /// Commands.
    Commands,
}

impl LaneId {
    /// The lane of a probe.
    const fn of(spec: &ProbeSpec) -> Self {
        if matches!(spec.kind, ProbeKind::Exec { .. }) { Self::Commands } else { Self::Network }
    }

    /// As an index into the lanes.
    const fn index(self) -> usize {
        self as usize
    }
}

/// What aliases were resolved to, as probes see it. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Targets {
    /// The catalog that the aliases are of.
    catalog: Arc<Catalog>,
    /// By alias.
    resolved: Arc<[Arc<Resolved>]>,
    /// The drill that plays with what probes observe, if there is one.
    drill: Option<Arc<Rehearsal>>,
}

impl Targets {
    /// Those of a world.
    #[must_use]
    pub fn of(world: &World) -> Self {
        Self { catalog: Arc::clone(&world.catalog), resolved: Arc::clone(&world.statuses.resolved), drill: world.drill.clone() }
    }

    /// Whether a world has the same.
    #[must_use]
    pub fn are_of(&self, world: &World) -> bool {
        let same_drill = self.drill.as_ref().map(Arc::as_ptr) == world.drill.as_ref().map(Arc::as_ptr);
        same_drill && Arc::ptr_eq(&self.resolved, &world.statuses.resolved) && Arc::ptr_eq(&self.catalog, &world.catalog)
    }

    /// What an observation of this probe is to whoever a drill plays with. A target that it has fail is asked again soon, as one that really fails.
    #[must_use]
    pub fn played(&self, spec: &ProbeSpec, observation: &Observation) -> ProbeOutcome {
        let digest = || spec_digest(spec);
        let fault = self.drill.as_ref().and_then(|drill| drill.fault_of(digest));
        fault.map_or_else(|| observation.outcome.clone(), |fault| fault.befall(spec, digest(), observation).outcome)
    }

    /// The addresses of a host: those of an alias, IPv4 first, or the one that it is.
    #[must_use]
    pub fn addresses(&self, host: &ProbeHost) -> Vec<IpAddr> {
        match host {
            ProbeHost::Address(address) => vec![*address],
            ProbeHost::Alias(name) => self.resolved(name).map(|resolved| addresses_of(resolved).collect()).unwrap_or_default(),
            ProbeHost::AliasOf(name, of) => {
                let all = self.resolved(name).into_iter().flat_map(addresses_of);
                all.filter(|address| of.holds(*address)).collect()
            }
        }
    }

    /// Whether a host has any address.
    fn has_any(&self, host: &ProbeHost) -> bool {
        match host {
            ProbeHost::Address(_) => true,
            ProbeHost::Alias(name) => self.resolved(name).is_some_and(|resolved| addresses_of(resolved).next().is_some()),
            ProbeHost::AliasOf(name, of) => self.resolved(name).is_some_and(|resolved| match of {
                AddressType::A => !resolved.a.addresses.is_empty(),
                AddressType::Aaaa => !resolved.aaaa.addresses.is_empty(),
            }),
        }
    }

    /// What an alias was resolved to.
    fn resolved(&self, name: &Name) -> Option<&Resolved> {
        self.resolved.get(self.catalog.alias_named(name)?.index()).map(|resolved| &**resolved)
    }
}

/// All addresses, IPv4 first.
fn addresses_of(resolved: &Resolved) -> impl Iterator<Item = IpAddr> {
    resolved.a.addresses.iter().copied().map(IpAddr::V4).chain(resolved.aaaa.addresses.iter().copied().map(IpAddr::V6))
}

/// One probe's turns.
#[derive(Debug)]
struct Entry {
    /// Its name.
    key: Key,
    /// Spreads it among the others.
    hash: u64,
    /// What it is doing.
    turn: Turn,
    /// Failures in a row.
    failed: u8,
    /// Turns taken, for the jitter.
    turns: u64,
    /// Whether it has found its place in the interval.
    placed: bool,
    /// The address that was asked last.
    asked: Option<IpAddr>,
}

/// What an entry is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// It waits until then, or for room.
    Waits(Moment),
    /// It is under way since then.
    UnderWay(Moment),
}

impl Schedule {
    /// A schedule with nothing to ask, and at most `room` probes under way at once, of which at most [`EXECS_IN_FLIGHT_MAX`] are commands.
    #[must_use]
    pub fn new(seed: u64, room: usize) -> Self {
        Self {
            seed,
            epoch: 0,
            catalog: Arc::default(),
            entries: Vec::new(),
            places: HashMap::new(),
            next: 0,
            due: BinaryHeap::new(),
            lanes: [room.max(1), room.clamp(1, EXECS_IN_FLIGHT_MAX)].map(Lane::new),
            parked: Vec::new(),
            together_ms: 0,
        }
    }

    /// One that starts whatever is due within so many milliseconds as soon as anything is: who asks wakes once for many.
    #[must_use]
    pub fn taking_together(self, together_ms: u64) -> Self {
        Self { together_ms, ..self }
    }

    /// Takes a new plan. Probes that were in the old one and are not to start afresh keep their turns; the others are due at once.
    pub fn replan(&mut self, plan: &Plan, now: Moment) {
        let mut old: HashMap<&ProbeSpec, Entry> = self.catalog.probes.iter().zip(self.entries.drain(..)).collect();
        for (spec, &fresh) in plan.catalog.probes.iter().zip(plan.fresh.iter()) {
            let kept = old.remove(spec).filter(|_| !fresh);
            let entry = kept.unwrap_or_else(|| {
                self.next += 1;
                let hash = mix(spec_digest(spec) ^ self.seed);
                let key = Key { number: self.next, lane: LaneId::of(spec) };
                Entry { key, hash, turn: Turn::Waits(now), failed: 0, turns: 0, placed: false, asked: None }
            });
            self.entries.push(entry);
        }
        self.places = self.entries.iter().zip((0..).map(ProbeId)).map(|(entry, id)| (entry.key, id)).collect();
        // They come to be ready at once, and are parked anew where nothing has changed.
        self.parked.clear();
        for lane in &mut self.lanes {
            lane.ready.retain(|key| self.places.contains_key(key));
        }
        let is_ready: HashSet<Key> = self.lanes.iter().flat_map(|lane| &lane.ready).copied().collect();
        let waits = self.entries.iter().zip(&plan.catalog.probes).filter_map(|(entry, spec)| match entry.turn {
            Turn::Waits(due) if !is_ready.contains(&entry.key) && !matches!(spec.kind, ProbeKind::Push(_)) => Some(Reverse((due, entry.key))),
            _ => None,
        });
        self.due = waits.collect();
        self.catalog = Arc::clone(&plan.catalog);
        self.epoch = plan.epoch;
    }

    /// The next probe to be asked now, if one is due and there is room. It counts as under way until [`Schedule::finish`].
    pub fn start(&mut self, now: Moment) -> Option<(Key, &ProbeSpec)> {
        // Nothing is started early by itself, or a lone probe would always be.
        let is_due = self.due.peek().is_some_and(|Reverse((due, _))| *due <= now);
        let soon = if is_due { now.plus_millis(self.together_ms) } else { now };
        while let Some(&Reverse((due, key))) = self.due.peek()
            && due <= soon
        {
            self.due.pop();
            self.lanes[key.lane.index()].ready.push_back(key);
        }
        let key = self.lanes.iter_mut().find_map(Lane::start)?;
        let place = self.places[&key].index();
        self.entries[place].turn = Turn::UnderWay(now);
        Some((key, &self.catalog.probes[place]))
    }

    /// The address that a probe that was started is to ask. Where there is none its turn is given back, and comes again when there is one.
    pub fn aim(&mut self, key: Key, addresses: &[IpAddr]) -> Option<IpAddr> {
        let entry = &mut self.entries[self.places.get(&key)?.index()];
        if addresses.is_empty() {
            if let Turn::UnderWay(since) = entry.turn {
                entry.turn = Turn::Waits(since);
                self.lanes[key.lane.index()].in_flight -= 1;
                self.parked.push(key);
            }
            return None;
        }
        let next = match entry.asked {
            Some(last) if entry.failed > 0 && addresses.contains(&last) => Some(last),
            Some(last) => addresses.iter().find(|address| **address > last).or(addresses.first()).copied(),
            None => usize::try_from(entry.hash % addresses.len() as u64).ok().and_then(|place| addresses.get(place)).copied(),
        };
        entry.asked = next;
        next
    }

    /// Lets the probes come to their turns that waited for an alias to have addresses.
    pub fn retarget(&mut self, targets: &Targets) {
        let Self { parked, lanes, places, catalog, .. } = self;
        parked.retain(|key| {
            let host = places.get(key).map(|place| &catalog.probes[place.index()].target.host);
            let goes = host.is_none_or(|host| targets.has_any(host));
            lanes[key.lane.index()].ready.extend((goes && host.is_some()).then_some(*key));
            !goes
        });
    }

    /// Takes back a probe that was asked, and sets its next turn. Returns the epoch and the index that its observation is to be sent
    /// under; `None` when it is in the plan no more.
    pub fn finish(&mut self, key: Key, outcome: &ProbeOutcome, now: Moment) -> Option<(u64, ProbeId)> {
        self.lanes[key.lane.index()].in_flight -= 1;
        let id = *self.places.get(&key)?;
        let spec = &self.catalog.probes[id.index()];
        let entry = &mut self.entries[id.index()];
        entry.failed = match outcome {
            ProbeOutcome::Failed(ProbeFailure::NotAsked(_)) => entry.failed,
            ProbeOutcome::Failed(_) => entry.failed.saturating_add(1),
            ProbeOutcome::Passed | ProbeOutcome::Slow | ProbeOutcome::Warned(_) => 0,
        };
        let Turn::UnderWay(started) = entry.turn else { return None };
        let due = started.plus_millis(entry.step(spec)).max(now);
        entry.turn = Turn::Waits(due);
        self.due.push(Reverse((due, key)));
        Some((self.epoch, id))
    }

    /// When the next probe is due; `None` when none is, or when there is no room before one finishes.
    #[must_use]
    pub fn wake(&self) -> Option<Moment> {
        let Reverse((due, _)) = self.due.peek()?;
        self.lanes.iter().any(|lane| lane.in_flight < lane.room).then_some(*due)
    }

    /// What a probe is: a place in the plan's catalog.
    #[must_use]
    pub fn place(&self, key: Key) -> Option<(Arc<Catalog>, ProbeId)> {
        self.places.get(&key).map(|place| (Arc::clone(&self.catalog), *place))
    }

    /// Whether a probe is in the plan still.
    #[must_use]
    pub fn has(&self, key: Key) -> bool {
        self.places.contains_key(&key)
    }

    /// How many probes are under way.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.lanes.iter().map(|lane| lane.in_flight).sum()
    }

    /// How many probes are due and wait for room, as of the last [`Schedule::start`].
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.lanes.iter().map(|lane| lane.ready.len()).sum()
    }
}

impl Entry {
    /// Milliseconds from the turn that was just taken to the next.
    fn step(&mut self, spec: &ProbeSpec) -> u64 {
        let interval = u64::from(spec.interval_ms).max(1);
        let full = if wants_recheck(self.failed, spec.fall) {
            (interval / RECHECK_FRACTION).max(1)
        } else if self.placed {
            interval
        } else {
            self.placed = true;
            return self.hash % interval + 1;
        };
        self.turns = self.turns.wrapping_add(1);
        full - mix(self.hash ^ self.turns) % (full / JITTER_FRACTION + 1)
    }
}

/// Spreads the bits of a number: the finalizer of SplitMix64.
const fn mix(mut bits: u64) -> u64 {
    bits = bits.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}
