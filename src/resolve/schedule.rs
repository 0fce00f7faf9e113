//! When which name is looked up. Pure: time and the seed are arguments.
//!
//! At start every name is due at once, later when its addresses are no longer fresh: at the end of their TTL, within limits. A look-up that
//! failed is made again soon, then after twice as long each time, up to a limit. Jitter only shortens, by at most a tenth.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::catalog::{AddressType, AliasId, Catalog, Name};
use crate::control::{Lookup, Plan};
use crate::limits::{ALIAS_RETRY_MAX_MS, ALIAS_RETRY_MS, JITTER_FRACTION};
use crate::units::Moment;

/// What is looked up: the addresses of one type of one name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Question {
    /// The name.
    pub name: Name,
    /// The type.
    pub of: AddressType,
}

/// The turns of all questions of a plan.
#[derive(Debug)]
pub struct Schedule {
    /// Makes the jitter of one node another than that of the next.
    seed: u64,
    /// Most look-ups under way at once.
    room: usize,
    /// The plan's epoch.
    epoch: u64,
    /// The plan's aliases.
    catalog: Arc<Catalog>,
    /// The turns of each question.
    entries: BTreeMap<Question, Entry>,
    /// Questions that wait, the earliest first.
    due: BTreeSet<(Moment, Question)>,
    /// How many look-ups are under way, also of plans that are gone.
    in_flight: usize,
}

/// One question's turns.
#[derive(Clone, Copy, Debug)]
struct Entry {
    /// When its turn comes; `None` while it is looked up.
    due: Option<Moment>,
    /// Failures in a row.
    failed: u32,
}

impl Schedule {
    /// Of nothing yet, with room for so many look-ups at once.
    #[must_use]
    pub fn new(seed: u64, room: usize) -> Self {
        Self { seed, room: room.max(1), epoch: 0, catalog: Arc::default(), entries: BTreeMap::new(), due: BTreeSet::new(), in_flight: 0 }
    }

    /// Takes a new plan. Questions that were in the old one keep their turns; the others are due at once.
    pub fn replan(&mut self, plan: &Plan, now: Moment) {
        let mut old = std::mem::take(&mut self.entries);
        for alias in &plan.catalog.aliases {
            for of in alias.types.iter() {
                let question = Question { name: alias.name.clone(), of };
                let entry = old.remove(&question).unwrap_or(Entry { due: Some(now), failed: 0 });
                self.entries.insert(question, entry);
            }
        }
        self.due = self.entries.iter().filter_map(|(question, entry)| entry.due.map(|due| (due, question.clone()))).collect();
        self.catalog = Arc::clone(&plan.catalog);
        self.epoch = plan.epoch;
    }

    /// The next question to be asked now, if one is due and there is room. It counts as under way until [`Schedule::finish`].
    pub fn start(&mut self, now: Moment) -> Option<Question> {
        if self.in_flight >= self.room || self.due.first().is_none_or(|(due, _)| *due > now) {
            return None;
        }
        let (_, question) = self.due.pop_first()?;
        self.entries.get_mut(&question)?.due = None;
        self.in_flight += 1;
        Some(question)
    }

    /// Takes back a question that was asked, and sets its next turn. Returns the epoch and the index that the result is to be sent under;
    /// `None` when it is in the plan no more.
    pub fn finish(&mut self, question: &Question, lookup: &Lookup, now: Moment) -> Option<(u64, AliasId)> {
        self.in_flight -= 1;
        let jitter = mix(self.seed ^ now.0);
        let entry = self.entries.get_mut(question).filter(|entry| entry.due.is_none())?;
        let step = match &lookup.outcome {
            Ok(found) if !found.addresses.is_empty() => {
                entry.failed = 0;
                found.fresh_ms()
            }
            _ => {
                entry.failed = entry.failed.saturating_add(1);
                ALIAS_RETRY_MS.saturating_mul(1 << (entry.failed - 1).min(16)).min(ALIAS_RETRY_MAX_MS)
            }
        };
        let due = now.plus_millis(step - jitter % (step / JITTER_FRACTION + 1));
        entry.due = Some(due);
        self.due.insert((due, question.clone()));
        Some((self.epoch, self.catalog.alias_named(&question.name)?))
    }

    /// When the next question is due; `None` when none is, or when there is no room before one finishes.
    #[must_use]
    pub fn wake(&self) -> Option<Moment> {
        let (due, _) = self.due.first()?;
        (self.in_flight < self.room).then_some(*due)
    }

    /// How many look-ups are under way.
    #[must_use]
    pub const fn in_flight(&self) -> usize {
        self.in_flight
    }
}

/// Spreads the bits of a number: the finalizer of SplitMix64.
const fn mix(mut bits: u64) -> u64 {
    bits = bits.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}
