//! Drills: a failure that is played with observations, or with what is intended, for a bounded time, and measured.
//!
//! A drill names endpoints as an override does, says what is to be played with them ([`Plays`]), why and who, and ends by itself. It never touches a
//! real service: a failing endpoint is one whose observations are read as failures at the controller's door.
//!
//! ```text
//! Wish ─► propose(world, drills, overrides, moves of reloads, now) ─► Refusal
//!                     │
//!                     ▼
//!       Proposal ─► written to disk ─► Event::Drilled ─► announced ──starts──► running ──ends──► over ─► report
//!                                                           │ abort, guard        │ abort, guard  ▲
//!                                                           └─────────────────────┴───────────────┘
//! ```
//!
//! Invariants
//! - One drill at a time on a node. What is not written is not played; what is over is not played again, also after a restart.
//! - Endpoints outside the selector see their probes as they are, also where a probe is shared with one inside.
//! - Real observations are taken in all the while: when a drill ends or is aborted they count again at once, with what they showed meanwhile.
//! - What a drill takes counts as drained for safety rules, from its announcement on.
//! - A drill leaves no trace in what an endpoint's past makes of it, but for the ramp of one that comes back when the drill ends by itself.

mod guards;
mod markdown;
mod plays;
mod propose;
mod record;
mod report;

pub use guards::{Ceased, Guard, GuardError};
pub use plays::{Plays, PlaysError};
pub(in crate::control) use propose::block_dependants;
pub use propose::{Abort, Hazard, Proposal, Refusal, Run, Wish, propose};
pub use record::{Answers, Marks, Outcome, Record, ServiceMarks};
pub(in crate::control) use report::without;
pub use report::{Flow, LoadRow, Over, Report, ServiceReport, ToldLoad, report};

use serde::{Deserialize, Serialize};

use super::overrides::{Move, Selector, Words};
use super::state::spec_digest;
use crate::catalog::{Catalog, EndpointId, ProbeId, ServiceId};
use crate::limits::{DRILL_LIFE_MS_MAX, DRILL_LIFE_MS_MIN, DRILL_PRE_ROLL_MS_MAX, DRILL_SERVICES_MAX, MOVES_MAX};
use crate::units::{Moment, Permille};
use crate::world::{Played, Rehearsal};

/// What is played with some endpoints for some time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Drill {
    /// Its number, never given twice on one node.
    pub id: u64,
    /// The endpoints that it is about.
    pub selector: Selector,
    /// What is played.
    pub plays: Plays,
    /// Why, in the operator's words.
    pub why: Words,
    /// Who made it.
    pub who: Words,
    /// Why it goes past safety rules, if it does.
    pub forced: Option<Words>,
    /// When it was announced: from then on answers carry `ttl.moving`.
    pub made: Moment,
    /// When it begins.
    pub starts: Moment,
    /// When it ends by itself.
    pub ends: Moment,
    /// What does not end it, though it would by default.
    pub without: Vec<Guard>,
    /// Share of the answers of its services that may be given for want of anything that is up.
    pub errors: Permille,
}

impl Drill {
    /// What it plays, as observations and statuses have it.
    #[must_use]
    pub const fn played(&self) -> Played {
        self.plays.played(self.id)
    }

    /// The endpoints that it plays with, and those that it cannot: without probes there is no observation to play with.
    #[must_use]
    pub fn endpoints(&self, catalog: &Catalog) -> (Box<[EndpointId]>, Box<[EndpointId]>) {
        endpoints(&self.selector, self.plays, catalog)
    }

    /// As a world has it.
    #[must_use]
    pub fn rehearsal(&self, catalog: &Catalog, running: bool) -> Rehearsal {
        let (endpoints, _) = self.endpoints(catalog);
        let mut services: Vec<ServiceId> = endpoints.iter().map(|id| catalog.endpoint(*id).service).collect();
        services.sort_unstable();
        services.dedup();
        let mut probes: Vec<u64> = probes(&endpoints, catalog).map(|probe| spec_digest(&catalog.probes[probe.index()])).collect();
        probes.sort_unstable();
        probes.dedup();
        Rehearsal {
            id: self.id,
            deed: self.played(),
            running,
            who: self.who.as_str().into(),
            why: self.why.as_str().into(),
            starts: self.starts,
            ends: self.ends,
            endpoints,
            services: services.into(),
            probes: probes.into(),
        }
    }
}

/// The endpoints of a selector that something can be played with, and those that it cannot.
fn endpoints(selector: &Selector, plays: Plays, catalog: &Catalog) -> (Box<[EndpointId]>, Box<[EndpointId]>) {
    let all = selector.endpoints(catalog);
    let (able, unable): (Vec<_>, Vec<_>) = all.iter().copied().partition(|id| plays == Plays::Drain || !catalog.endpoint(*id).probes.is_empty());
    (able.into(), unable.into())
}

/// The probes of these endpoints, as often as they are theirs.
pub(in crate::control) fn probes<'a>(endpoints: &'a [EndpointId], catalog: &'a Catalog) -> impl Iterator<Item = ProbeId> + 'a {
    endpoints.iter().flat_map(|id| catalog.endpoint(*id).probes.iter().copied())
}

/// A drill and what was measured of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct UnderWay {
    /// The drill.
    pub drill: Drill,
    /// The measurements.
    pub record: Record,
}

/// The drill of a node, if there is one, and what is remembered of earlier ones. Written and replaced as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Drills {
    /// The highest number that was ever given.
    pub last: u64,
    /// The one that is announced, running, or over and not yet reported.
    pub now: Option<UnderWay>,
    /// When drills moved clients away and how many, earliest first, as far back as a rule may look.
    pub moves: Vec<Move>,
}

impl Drills {
    /// Whether these could have come from here: what was read from a file is asked.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let is_one = |one: &UnderWay| {
            let drill = &one.drill;
            let (pre_roll, life) = (drill.starts.millis_since(drill.made), drill.ends.millis_since(drill.starts));
            let in_time = drill.made <= drill.starts && pre_roll <= DRILL_PRE_ROLL_MS_MAX && (DRILL_LIFE_MS_MIN..=DRILL_LIFE_MS_MAX).contains(&life);
            drill.id <= self.last
                && in_time
                && drill.plays.is_sound()
                && drill.without.len() <= Guard::ALL.len()
                && one.record.services.len() <= DRILL_SERVICES_MAX
        };
        self.now.as_ref().is_none_or(is_one) && self.moves.len() <= MOVES_MAX && self.moves.is_sorted_by_key(|moved| moved.at)
    }

    /// The drill that is announced or running.
    #[must_use]
    pub fn current(&self) -> Option<&UnderWay> {
        self.now.as_ref().filter(|one| one.record.over.is_none())
    }
}
