//! Decisions that still hold: a fixed-size table for each worker.
//!
//! A cell is keyed by service, locality and family, and holds the version at which that *service's* inputs last changed: publishing a
//! status touches its services' cells only. The client's prefix is never in the key. A decision that gives every client of the locality
//! the same answer is kept as that answer; candidates that share clients are kept as such, and settled for each query. What does not fit a
//! cell (more candidates than it holds, a prefix wider than a leaf) is decided anew.

use super::decision::Candidate;
use super::settle::{Terms, settle};
use super::{Ask, Chosen, Client, Decision, Family, Reason, Silent, Verdict, decide};
use crate::catalog::{Catalog, EndpointId};
use crate::limits::{ANSWERS_MAX, CELL_CANDIDATES_MAX, CELLS};
use crate::world::World;

/// A worker's cells. All worlds that it is asked with must stem from one line of generations.
#[derive(Debug)]
pub struct Cells {
    /// The table, a power of two; a key has two places, next to each other.
    cells: Box<[Cell]>,
}

/// One decision, 64 octets: a cache line.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
struct Cell {
    /// Service, locality and family; [`NO_KEY`] when empty.
    key: u64,
    /// Version of the service at which it was decided.
    version: u64,
    /// Of a fixed answer, its endpoints; else the weights of the sharing candidates.
    words: [u32; CELL_CANDIDATES_MAX],
    /// Index of each candidate within the service.
    endpoints: [u8; CELL_CANDIDATES_MAX],
    /// Number of candidates, or of endpoints of a fixed answer.
    count: u8,
    /// Verdict, reason and the rest. Nobody shares in a fixed answer.
    terms: Terms,
}

const _: () = assert!(size_of::<Cell>() == 64);
const _: () = assert!(ANSWERS_MAX <= CELL_CANDIDATES_MAX, "a fixed answer fits a cell");

/// The key of an empty cell: no service has so high a number.
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
        let empty = Cell { key: NO_KEY, version: 0, words: [0; CELL_CANDIDATES_MAX], endpoints: [0; CELL_CANDIDATES_MAX], count: 0, terms };
        Self { cells: vec![empty; cells.next_power_of_two().max(2)].into() }
    }

    /// What this client gets: from a cell that still holds, or decided now.
    #[inline]
    pub fn choose(&mut self, ask: &Ask, world: &World) -> Chosen {
        if ask.client.located.wide {
            return anew(ask, world);
        }
        let key = key(ask);
        let version = world.version(ask.service);
        let place = place(key, self.cells.len());
        let holds = |cell: &Cell| cell.key == key && cell.version == version;
        let cell = match (&self.cells[place], &self.cells[place ^ 1]) {
            (first, _) if holds(first) => first,
            (_, second) if holds(second) => second,
            _ => return self.decide(ask, world, key, version, place),
        };
        if cell.terms.sharing == 0 { cell.fixed(&ask.client) } else { cell.settle(ask, world) }
    }

    /// Decides, and keeps the decision if it fits.
    #[cold]
    fn decide(&mut self, ask: &Ask, world: &World, key: u64, version: u64, place: usize) -> Chosen {
        let decision = decide(ask, world, &mut Silent);
        let chosen = decision.choose(&ask.client, &world.catalog);
        let first = world.catalog.service(ask.service).endpoints.start;
        if let Some(cell) = Cell::of(&decision, &chosen, key, version, first) {
            // The first place goes to the newcomer, and what it held moves to the second, so that two hot keys can share them.
            if self.cells[place].key != key {
                self.cells[place ^ 1] = self.cells[place];
            }
            self.cells[place] = cell;
        }
        chosen
    }
}

/// Decides without a cell.
#[cold]
fn anew(ask: &Ask, world: &World) -> Chosen {
    decide(ask, world, &mut Silent).choose(&ask.client, &world.catalog)
}

impl Cell {
    /// The cell of a decision, if its answer can be settled from what a cell holds.
    fn of(decision: &Decision, chosen: &Chosen, key: u64, version: u64, first: u32) -> Option<Self> {
        let terms = Terms::of(decision);
        let mut cell = Self { key, version, words: [0; CELL_CANDIDATES_MAX], endpoints: [0; CELL_CANDIDATES_MAX], count: chosen.count, terms };
        if decision.sharing <= 1 {
            cell.terms.sharing = 0;
            for (word, endpoint) in cell.words.iter_mut().zip(chosen.endpoints) {
                *word = endpoint.0;
            }
            return Some(cell);
        }
        // An answer of one needs only those that share; more may need all, to find distinct regions.
        let needed = usize::from(if decision.answers <= 1 { decision.sharing } else { decision.count });
        if needed > CELL_CANDIDATES_MAX {
            return None;
        }
        cell.count = u8::try_from(needed).ok()?;
        for (index, candidate) in decision.candidates[..needed].iter().enumerate() {
            cell.words[index] = candidate.weight;
            cell.endpoints[index] = u8::try_from(candidate.endpoint.0 - first).ok()?;
        }
        Some(cell)
    }

    /// The answer that every client of the locality gets.
    #[inline]
    fn fixed(&self, client: &Client) -> Chosen {
        Chosen {
            verdict: self.terms.verdict,
            reason: self.terms.reason,
            moving: self.terms.moving,
            scope: if self.terms.by_place { client.located.leaf } else { 0 },
            count: self.count,
            endpoints: self.words.map(EndpointId),
        }
    }

    /// What the client gets among those that share.
    fn settle(&self, ask: &Ask, world: &World) -> Chosen {
        let catalog: &Catalog = &world.catalog;
        let first = catalog.service(ask.service).endpoints.start;
        let count = usize::from(self.count).min(CELL_CANDIDATES_MAX);
        let mut candidates = [Candidate { endpoint: EndpointId(0), weight: 0 }; CELL_CANDIDATES_MAX];
        for (index, candidate) in candidates[..count].iter_mut().enumerate() {
            *candidate = Candidate { endpoint: EndpointId(first + u32::from(self.endpoints[index])), weight: self.words[index] };
        }
        settle(self.terms, &candidates[..count], &ask.client, catalog)
    }
}

/// Service, locality and family in one number.
#[inline]
fn key(ask: &Ask) -> u64 {
    let family = match ask.family {
        Family::Any => 0,
        Family::V4 => 1,
        Family::V6 => 2,
    };
    u64::from(ask.service.0) << 18 | u64::from(ask.client.located.locality.0) << 2 | family
}

/// The first place of a key in a table of `len` cells.
#[inline]
fn place(key: u64, len: usize) -> usize {
    let hash = key.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (hash >> 32) as usize & (len - 1)
}
