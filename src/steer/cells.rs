//! Decisions that still hold: a fixed-size table for each worker.
//!
//! A cell is keyed by what is decided for, locality and family. What is decided for is the service's situation, which it shares with every
//! service that is decided alike: a thousand services of one pattern need the cells of one, and publishing a status makes new cells for the
//! situations that it leads to, once for each. A service that nobody is like is decided for by itself; its cells hold the version at which
//! its inputs last changed. The client's prefix is never in the key. Endpoints are counted from the service's first.
//!
//! A decision that gives every client of the locality the same answer is kept as that answer; candidates that share clients are kept as
//! such, and settled for each query. What does not fit a cell (more candidates than it holds, a prefix wider than a leaf) is decided anew.

use super::decision::Candidate;
use super::settle::{Terms, settle, settle_thinned};
use super::{Ask, Chosen, Client, Decision, Family, Reason, Silent, Verdict, decide};
use crate::catalog::{EndpointId, ServiceId};
use crate::geo::Place;
use crate::limits::{ANSWERS_MAX, CELL_CANDIDATES_MAX, CELLS, WEIGHT_MAX};
use crate::world::World;

/// A worker's cells. All worlds that it is asked with must stem from one line of generations.
#[derive(Debug)]
pub struct Cells {
    /// The table, a power of two of pairs: a key has two places, next to each other.
    pairs: Box<[[Cell; 2]]>,
}

/// An answer of one endpoint that every client at a place gets, for no reason that needs words: the best, or what failed over to.
#[derive(Clone, Copy, Debug)]
pub struct Plain {
    /// The endpoint, counted from the service's first.
    pub endpoint: u8,
    /// As [`Chosen::moving`].
    pub moving: bool,
    /// As [`Chosen::reason`].
    pub reason: Reason,
    /// As [`Chosen::scope`].
    pub scope: u8,
}

/// One decision, 64 octets: a cache line.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
struct Cell {
    /// What is decided for, locality and family; [`NO_KEY`] when empty.
    key: u64,
    /// Version of the service at which it was decided; 0 where a situation is decided for, whose number says all.
    version: u64,
    /// The weights of the candidates, [`WITH_PREVIOUS`] added; of a fixed answer, nothing.
    weights: [u32; CELL_CANDIDATES_MAX],
    /// Index within the service of each candidate, or of each endpoint of a fixed answer.
    endpoints: [u8; CELL_CANDIDATES_MAX],
    /// Number of candidates, or of endpoints of a fixed answer.
    count: u8,
    /// How a client's answer is told from it.
    kind: Kind,
    /// Verdict, reason and the rest.
    terms: Terms,
}

/// How a client's answer is told from a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Kind {
    /// Every client gets one endpoint, and there is nothing to speak of: as [`Cells::plain`] wants it.
    Plain,
    /// Every client gets the same.
    Fixed,
    /// The leading candidates share the clients.
    Shared,
    /// Candidates turn clients to the next.
    Thinned,
}

/// Marks the weight of a candidate that shares the clients with the one before it.
const WITH_PREVIOUS: u32 = 1 << 31;
const _: () = assert!(WEIGHT_MAX < WITH_PREVIOUS);

const _: () = assert!(size_of::<Cell>() == 64);
const _: () = assert!(ANSWERS_MAX <= CELL_CANDIDATES_MAX, "a fixed answer fits a cell");

/// The key of an empty cell: neither service nor situation has so high a number.
const NO_KEY: u64 = u64::MAX;

impl Default for Cells {
    fn default() -> Self {
        Self::with_capacity(CELLS)
    }
}

impl Cells {
    /// A table of so many cells, rounded up to a power of two, at least two.
    #[must_use]
    pub fn with_capacity(cells: usize) -> Self {
        let terms = Terms { verdict: Verdict::Nodata, reason: Reason::NoneLeft, moving: false, by_place: false, sharing: 0, answers: 0 };
        let empty =
            Cell { key: NO_KEY, version: 0, weights: [0; CELL_CANDIDATES_MAX], endpoints: [0; CELL_CANDIDATES_MAX], count: 0, kind: Kind::Fixed, terms };
        Self { pairs: vec![[empty; 2]; (cells.next_power_of_two() / 2).max(1)].into() }
    }

    /// What every client at a place gets of a service, if a cell that holds knows, and if it is one endpoint and nothing to speak of.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "measured: on the way of nearly every query")]
    pub fn plain(&self, service: ServiceId, family: Family, place: Place, world: &World) -> Option<Plain> {
        let (key, version) = key(service, family, place, world);
        let [first, second] = self.pairs.get(place_of(key, self.pairs.len()))?;
        let cell = if first.holds(key, version) { first } else { second };
        let is_plain = !place.wide && cell.kind == Kind::Plain && cell.holds(key, version);
        let scope = if cell.terms.by_place { place.leaf } else { 0 };
        is_plain.then_some(Plain { endpoint: cell.endpoints[0], moving: cell.terms.moving, reason: cell.terms.reason, scope })
    }

    /// What this client gets: from a cell that still holds, or decided now.
    #[inline]
    pub fn choose(&mut self, ask: &Ask, world: &World) -> Chosen {
        if ask.client.place.wide {
            return anew(ask, world);
        }
        let (key, version) = key(ask.service, ask.family, ask.client.place, world);
        let place = place_of(key, self.pairs.len());
        let [first, second] = &self.pairs[place];
        let cell = if first.holds(key, version) { first } else { second };
        if !cell.holds(key, version) {
            return self.decide(ask, world, key, version, place);
        }
        let first = world.catalog.service(ask.service).endpoints.start;
        if matches!(cell.kind, Kind::Plain | Kind::Fixed) { cell.fixed(&ask.client, first) } else { cell.settle(ask, world, first) }
    }

    /// Decides, and keeps the decision if it fits.
    #[cold]
    fn decide(&mut self, ask: &Ask, world: &World, key: u64, version: u64, place: usize) -> Chosen {
        let decision = decide(ask, world, &mut Silent);
        let chosen = decision.choose(&ask.client, world);
        let first = world.catalog.service(ask.service).endpoints.start;
        if let Some(cell) = Cell::of(&decision, &chosen, key, version, first) {
            // The first place goes to the newcomer, and what it held moves to the second, so that two hot keys can share them.
            let [one, other] = &mut self.pairs[place];
            if one.key != key {
                *other = *one;
            }
            *one = cell;
        }
        chosen
    }
}

/// Decides without a cell.
#[cold]
fn anew(ask: &Ask, world: &World) -> Chosen {
    decide(ask, world, &mut Silent).choose(&ask.client, world)
}

impl Cell {
    /// The cell of a decision, if its answer can be settled from what a cell holds.
    fn of(decision: &Decision, chosen: &Chosen, key: u64, version: u64, first: u32) -> Option<Self> {
        let terms = Terms::of(decision);
        let mut cell =
            Self { key, version, weights: [0; CELL_CANDIDATES_MAX], endpoints: [0; CELL_CANDIDATES_MAX], count: chosen.count, kind: Kind::Fixed, terms };
        if decision.sharing <= 1 && !decision.thinned {
            let is_plain = terms.verdict == Verdict::Serve && terms.reason <= Reason::Failover && chosen.count == 1;
            cell.kind = if is_plain { Kind::Plain } else { Kind::Fixed };
            for (place, endpoint) in cell.endpoints.iter_mut().zip(chosen.endpoints()) {
                *place = u8::try_from(endpoint.0 - first).ok()?;
            }
            return Some(cell);
        }
        cell.kind = if decision.thinned { Kind::Thinned } else { Kind::Shared };
        // An answer of one needs only those that share; more may need all, to find distinct regions or somebody who keeps the client.
        let needed = usize::from(if decision.answers <= 1 && !decision.thinned { decision.sharing } else { decision.count });
        if needed > CELL_CANDIDATES_MAX {
            return None;
        }
        cell.count = u8::try_from(needed).ok()?;
        for (index, candidate) in decision.candidates[..needed].iter().enumerate() {
            cell.weights[index] = candidate.weight | if candidate.with_previous { WITH_PREVIOUS } else { 0 };
            cell.endpoints[index] = u8::try_from(candidate.endpoint.0 - first).ok()?;
        }
        Some(cell)
    }

    /// Whether it is of this key and version.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "measured: on the way of nearly every query")]
    const fn holds(&self, key: u64, version: u64) -> bool {
        self.key == key && self.version == version
    }

    /// The answer that every client of the locality gets; `first` is the service's first endpoint.
    fn fixed(&self, client: &Client, first: u32) -> Chosen {
        let mut chosen = Chosen {
            verdict: self.terms.verdict,
            reason: self.terms.reason,
            moving: self.terms.moving,
            scope: if self.terms.by_place { client.place.leaf } else { 0 },
            count: self.count,
            endpoints: [EndpointId(0); ANSWERS_MAX],
        };
        if self.count > 0 {
            chosen.endpoints[0] = EndpointId(first + u32::from(self.endpoints[0]));
        }
        if self.count > 1 {
            self.name_others(&mut chosen, first);
        }
        chosen
    }

    /// Fills in the endpoints behind the first.
    #[inline(never)]
    fn name_others(&self, chosen: &mut Chosen, first: u32) {
        for (place, index) in chosen.endpoints.iter_mut().zip(self.endpoints).take(usize::from(self.count)).skip(1) {
            *place = EndpointId(first + u32::from(index));
        }
    }

    /// What the client gets among those that share it or turn it to the next.
    #[inline(never)]
    fn settle(&self, ask: &Ask, world: &World, first: u32) -> Chosen {
        let count = usize::from(self.count).min(CELL_CANDIDATES_MAX);
        let mut candidates = [Candidate::NONE; CELL_CANDIDATES_MAX];
        for (index, candidate) in candidates[..count].iter_mut().enumerate() {
            *candidate = Candidate {
                endpoint: EndpointId(first + u32::from(self.endpoints[index])),
                weight: self.weights[index] & !WITH_PREVIOUS,
                with_previous: self.weights[index] & WITH_PREVIOUS != 0,
            };
        }
        let candidates = &candidates[..count];
        match self.kind {
            Kind::Thinned => settle_thinned(self.terms, candidates, &ask.client, world),
            _ => settle(self.terms, candidates, &ask.client, world),
        }
    }
}

/// Marks a key as of a situation.
const SITUATION: u64 = 1 << 62;

/// What is decided for, locality and family in one number; and the version, where it is a service by itself.
#[inline(always)]
#[expect(clippy::inline_always, reason = "measured: on the way of nearly every query")]
fn key(service: ServiceId, family: Family, place: Place, world: &World) -> (u64, u64) {
    let place = u64::from(place.locality.0) << 2 | family as u64;
    match world.situation(service) {
        0 => (u64::from(service.0) << 18 | place, world.version(service)),
        situation => (situation << 18 | place | SITUATION, 0),
    }
}

/// The place of a key in a table of so many pairs. Cells of one thing that is decided for stand side by side, by locality: so those that are in use
/// fill few pages of memory, wherever they begin.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "a locality has 16 bits")]
fn place_of(key: u64, pairs: usize) -> usize {
    let what = key & !(u64::from(u16::MAX) << 2);
    let hash = what.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    ((hash >> 32) as usize).wrapping_add(usize::from((key >> 2) as u16)) & (pairs - 1)
}
