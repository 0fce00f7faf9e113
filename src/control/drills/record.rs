//! What is measured of a drill while it is under way.

use serde::{Deserialize, Serialize};

use super::Ceased;
use crate::catalog::ServiceId;
use crate::limits::{DRILL_ANSWERS_MIN, DRILL_SETTLE_MS};
use crate::units::{Moment, Permille};

/// When what happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Marks {
    /// The first observation that the drill had fail.
    pub detected: Option<Moment>,
    /// No endpoint of the drill was given clients any more: all are down, or drained.
    pub decided: Option<Moment>,
    /// The world that says so was swapped in: from then on a worker finds it with its next query.
    pub published: Option<Moment>,
    /// A worker was seen to have named an endpoint of the drill, as the first of an answer, for the last time.
    pub answered: Option<Moment>,
    /// They were given clients again while the drill played, as one that only loses some probes is. What is answered from then on is not wrong.
    pub again: Option<Moment>,
}

impl Marks {
    /// When the last wrong answer was given, at the latest: one was seen, or could have been given until the world was swapped in. `None` while
    /// the endpoints of the drill are given clients.
    #[must_use]
    pub fn recovered(&self) -> Option<Moment> {
        self.published.map(|published| self.answered.map_or(published, |answered| answered.max(published)))
    }
}

/// The marks of one service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ServiceMarks {
    /// The service's owner name.
    pub service: Box<str>,
    /// Its marks.
    pub marks: Marks,
}

/// How a drill ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Outcome {
    /// When.
    pub at: Moment,
    /// Why.
    pub ceased: Ceased,
}

/// What was measured of a drill.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Record {
    /// When it began to play; `None` while it is announced.
    pub started: Option<Moment>,
    /// Of all services together: the first detection, and the last of everything else.
    pub all: Marks,
    /// By service, in the catalog's order; of [`crate::limits::DRILL_SERVICES_MAX`] at most.
    pub services: Vec<ServiceMarks>,
    /// Answers of its services that were given while it ran.
    pub answers: u64,
    /// Those of them that were given for want of anything that is up.
    pub wanting: u64,
    /// Processes that took it over from one before.
    pub restarts: u32,
    /// How it ended, once it has.
    pub over: Option<Outcome>,
}

impl Record {
    /// Whether the last wrong answer is still to be looked for closely.
    #[must_use]
    pub fn is_unsettled(&self, now: Moment) -> bool {
        self.started.is_some() && self.all.recovered().is_none_or(|recovered| now.millis_since(recovered) < DRILL_SETTLE_MS)
    }

    /// The share of answers that were given for want of anything that is up; `None` while there are too few to tell.
    #[must_use]
    pub fn wanting_share(&self) -> Option<Permille> {
        let share = u128::from(self.wanting) * 1_000 / u128::from(self.answers.max(1));
        (self.answers >= DRILL_ANSWERS_MIN).then(|| Permille(u16::try_from(share).unwrap_or(1_000)))
    }
}

/// What workers have counted since they started, of the services of a drill. Counts only grow, but for a reload.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answers {
    /// By service: answers that name an endpoint of the drill first. Services without any may be missing.
    pub named: Vec<(ServiceId, u64)>,
    /// Answers of its services.
    pub all: u64,
    /// Those given for want of anything that is up.
    pub wanting: u64,
}
