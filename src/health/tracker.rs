//! Rise and fall: what the observations of one probe say of its target.

use std::sync::Arc;

use super::{Baseline, Evidence, Health, Observation, ProbeFailure, ProbeOutcome, Unusual};
use crate::catalog::{BaselineSpec, ProbeSpec};
use crate::limits::FRESH_INTERVALS;
use crate::units::{Micros, Moment};

/// How many outcomes in a row change a verdict, and how long evidence is fresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Failures in a row that make it down; also slow answers in a row that make it degraded. At least 1.
    pub fall: u8,
    /// Successes in a row that make it up again. At least 1.
    pub rise: u8,
    /// Milliseconds for which an observation is fresh: [`FRESH_INTERVALS`] intervals and one time-out.
    pub fresh_ms: u64,
    /// When its own past makes it degraded.
    pub baseline: Option<BaselineSpec>,
}

impl Rule {
    /// The rule that a probe's specification sets.
    #[must_use]
    pub fn of(spec: &ProbeSpec) -> Self {
        let fresh_ms = FRESH_INTERVALS * u64::from(spec.interval_ms) + u64::from(spec.timeout_ms);
        Self { fall: spec.fall.max(1), rise: spec.rise.max(1), fresh_ms, baseline: spec.baseline }
    }
}

/// Whether a probe is asked again soon, rather than at its next interval: its target has begun to fail, and is not yet down.
#[must_use]
pub const fn wants_recheck(failures_in_row: u8, fall: u8) -> bool {
    0 < failures_in_row && failures_in_row < fall
}

/// What the observations of one probe say of its target.
///
/// ```text
///             Passed                  fall × Failed
///  Unknown ───────────▶ Up ─────────────────────────────────▶ Down
///    │ │                │ ▲ ◀──────────────────────────────── │ ▲ ▲
///    │ │                │ │   rise × answered, last Passed    │ │ │
///    │ │   fall × Slow  │ │  rise × Passed                    │ │ │
///    │ │                ▼ │           fall × Failed           │ │ │
///    │ └───────────▶ Degraded ────────────────────────────────┼─┘ │
///    │     Slow           ▲     rise × answered, last Slow    │   │
///    │                    └───────────────────────────────────┘   │
///    └────────────────────────────────────────────────────────────┘
///                                  Failed
///
///  Held (restored at start) ── first observation ──▶ as from the held verdict while that is fresh, else as from Unknown
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tracker {
    /// Where in the diagram.
    state: State,
    /// How many outcomes of the last kind came in a row.
    in_row: u8,
    /// The last outcome that was evidence.
    last: Option<ProbeOutcome>,
    /// When that was.
    observed: Option<Moment>,
    /// Smoothed round-trip time of answers.
    rtt: Option<Micros>,
    /// When the certificate that was shown last ends.
    expires: Option<Moment>,
    /// Its own past, where that counts. What it finds unusual makes an endpoint that is up degraded.
    baseline: Option<Box<Baseline>>,
}

/// A state of the diagram, with what has been counted towards leaving it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// Never measured.
    #[default]
    Unknown,
    /// Restored at start, not yet measured by this process.
    Held {
        /// The restored verdict.
        health: Health,
        /// Until when it is fresh enough to be outvoted by a single observation only through rise and fall.
        until: Moment,
    },
    /// It answers as it should.
    Up {
        /// Failures in a row.
        failed: u8,
        /// Slow answers since the last one that was not.
        slow: u8,
    },
    /// It answers slowly.
    Degraded {
        /// Failures in a row.
        failed: u8,
        /// Answers in a row that were not slow.
        passed: u8,
    },
    /// It does not answer.
    Down {
        /// Answers in a row, slow or not.
        answered: u8,
    },
}

/// What an outcome is to the diagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// An answer in time.
    Passed,
    /// An answer, slowly, or with something amiss.
    Slow,
    /// None.
    Failed,
}

/// What one observation changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Health or the moving flag is another now, or this process has measured for the first time what was only restored.
    pub changed: bool,
    /// The observation was evidence: neither a probe that could not be made nor older than what is known.
    pub evidence: bool,
}

impl Tracker {
    /// Takes in one observation.
    pub fn observe(&mut self, observation: &Observation, rule: &Rule) -> Verdict {
        let kind = match &observation.outcome {
            ProbeOutcome::Failed(ProbeFailure::NotAsked(_)) => return Verdict { changed: false, evidence: false },
            ProbeOutcome::Failed(_) => Kind::Failed,
            ProbeOutcome::Slow | ProbeOutcome::Warned(_) => Kind::Slow,
            ProbeOutcome::Passed => Kind::Passed,
        };
        if self.observed.is_some_and(|known| observation.at < known) {
            return Verdict { changed: false, evidence: false };
        }
        let before = (self.health(), self.is_moving(), self.is_measured());
        self.state = self.state.at(observation.at).next(kind, rule);
        self.in_row = match &self.last {
            Some(last) if last.kind() == observation.outcome.kind() => self.in_row.saturating_add(1),
            _ => 1,
        };
        self.last = Some(observation.outcome.clone());
        self.observed = Some(observation.at);
        self.expires = observation.expires.or(self.expires);
        if kind != Kind::Failed {
            self.rtt = Some(self.rtt.map_or(observation.rtt, |smoothed| smooth(smoothed, observation.rtt)));
        }
        self.compare(observation.at, (kind != Kind::Failed).then_some(observation.rtt), rule);
        Verdict { changed: before != (self.health(), self.is_moving(), self.is_measured()), evidence: true }
    }

    /// Compares it with its own past, where that counts.
    fn compare(&mut self, at: Moment, answered: Option<Micros>, rule: &Rule) {
        let Some(spec) = &rule.baseline else {
            self.baseline = None;
            return;
        };
        let baseline = self.baseline.get_or_insert_default();
        if matches!(self.state, State::Down { .. }) {
            baseline.fall();
        } else {
            baseline.observe(at, answered, spec);
        }
    }

    /// Takes in what an earlier process knew, unless this one knows better already. It is held until the first observation; while
    /// `observed` is fresh, that one counts as one of many, afterwards it decides.
    pub fn restore(&mut self, health: Health, observed: Moment, rule: &Rule) -> bool {
        let is_news = self.state == State::Unknown && health != Health::Unknown;
        if is_news {
            self.state = State::Held { health, until: observed.plus_millis(rule.fresh_ms) };
            self.observed = Some(observed);
        }
        is_news
    }

    /// The verdict.
    #[must_use]
    pub fn health(&self) -> Health {
        match self.state {
            State::Unknown => Health::Unknown,
            State::Held { health, .. } => health,
            State::Up { .. } if self.unusual().is_some() => Health::Degraded,
            State::Up { .. } => Health::Up,
            State::Degraded { .. } => Health::Degraded,
            State::Down { .. } => Health::Down,
        }
    }

    /// What is unusual about it, compared with its own past.
    #[must_use]
    pub fn unusual(&self) -> Option<Unusual> {
        self.baseline.as_ref().and_then(|baseline| baseline.degraded())
    }

    /// All of it, for people and programs.
    #[must_use]
    pub fn evidence(&self) -> Evidence {
        let (failed, answered) = match self.state {
            State::Unknown | State::Held { .. } => (0, 0),
            State::Up { failed, .. } => (failed, 0),
            State::Degraded { failed, passed } => (failed, passed),
            State::Down { answered } => (0, answered),
        };
        Evidence {
            health: self.health(),
            observed: self.observed,
            failed,
            answered,
            rtt: self.rtt,
            unusual: self.unusual(),
            trouble: self.trouble(),
            expires: self.expires,
        }
    }

    /// What the last evidence came to, in words, unless it passed.
    fn trouble(&self) -> Option<Arc<str>> {
        self.last.as_ref().filter(|last| **last != ProbeOutcome::Passed).map(|last| last.to_string().into())
    }

    /// Whether the verdict may change soon: degraded, or something has been counted against it.
    #[must_use]
    pub fn is_moving(&self) -> bool {
        match self.state {
            State::Unknown => false,
            State::Held { health, .. } => matches!(health, Health::Degraded),
            State::Up { failed, slow } => failed > 0 || slow > 0 || self.unusual().is_some(),
            State::Degraded { .. } => true,
            State::Down { answered } => answered > 0,
        }
    }

    /// Whether it was observed by this process, rather than restored or never seen.
    #[must_use]
    pub const fn is_measured(&self) -> bool {
        self.last.is_some()
    }

    /// When the last evidence was observed, also by an earlier process.
    #[must_use]
    pub const fn observed(&self) -> Option<Moment> {
        self.observed
    }

    /// The last outcome that was evidence, and how many of its kind came in a row (held at 255).
    #[must_use]
    pub fn last(&self) -> Option<(&ProbeOutcome, u8)> {
        self.last.as_ref().map(|outcome| (outcome, self.in_row))
    }

    /// Round-trip time of answers, smoothed: each new one counts an eighth (as SRTT, RFC 6298 §2.3). For display only.
    #[must_use]
    pub const fn rtt(&self) -> Option<Micros> {
        self.rtt
    }
}

impl State {
    /// The state from which an observation made at `now` counts: a held verdict is taken up while fresh, and forgotten afterwards.
    const fn at(self, now: Moment) -> Self {
        match self {
            Self::Held { health, until } if now.0 <= until.0 => match health {
                Health::Unknown => Self::Unknown,
                Health::Up => Self::Up { failed: 0, slow: 0 },
                Health::Degraded => Self::Degraded { failed: 0, passed: 0 },
                Health::Down => Self::Down { answered: 0 },
            },
            Self::Held { .. } => Self::Unknown,
            other => other,
        }
    }

    /// The state after an outcome. See the diagram of [`Tracker`].
    const fn next(self, kind: Kind, rule: &Rule) -> Self {
        const UP: State = State::Up { failed: 0, slow: 0 };
        const DEGRADED: State = State::Degraded { failed: 0, passed: 0 };
        const DOWN: State = State::Down { answered: 0 };
        match (self, kind) {
            (Self::Unknown | Self::Held { .. } | Self::Up { .. }, Kind::Passed) => UP,
            (Self::Unknown | Self::Held { .. } | Self::Degraded { .. }, Kind::Slow) => DEGRADED,
            (Self::Unknown | Self::Held { .. } | Self::Down { .. }, Kind::Failed) => DOWN,

            (Self::Up { slow, .. }, Kind::Slow) if slow + 1 >= rule.fall => DEGRADED,
            (Self::Up { slow, .. }, Kind::Slow) => Self::Up { failed: 0, slow: slow + 1 },
            (Self::Degraded { passed, .. }, Kind::Passed) if passed + 1 >= rule.rise => UP,
            (Self::Degraded { passed, .. }, Kind::Passed) => Self::Degraded { failed: 0, passed: passed + 1 },

            (Self::Up { failed, .. } | Self::Degraded { failed, .. }, Kind::Failed) if failed + 1 >= rule.fall => DOWN,
            (Self::Up { failed, slow }, Kind::Failed) => Self::Up { failed: failed + 1, slow },
            (Self::Degraded { failed, .. }, Kind::Failed) => Self::Degraded { failed: failed + 1, passed: 0 },

            (Self::Down { answered }, Kind::Passed) if answered + 1 >= rule.rise => UP,
            (Self::Down { answered }, Kind::Slow) if answered + 1 >= rule.rise => DEGRADED,
            (Self::Down { answered }, Kind::Passed | Kind::Slow) => Self::Down { answered: answered + 1 },
        }
    }
}

/// The exponential average with a weight of an eighth, in integers.
const fn smooth(smoothed: Micros, new: Micros) -> Micros {
    Micros(smoothed.0 + (new.0 - smoothed.0) / 8)
}

/// The health of an endpoint from all its probes, and whether it is moving. Down if any is down, else unknown if any is unknown, else
/// degraded if any is degraded. Without probes it is unknown and at rest.
#[must_use]
pub fn of_all<'a>(trackers: impl Iterator<Item = &'a Tracker>) -> (Health, bool) {
    /// Orders verdicts from best to worst for an endpoint that needs all its probes.
    const fn badness(health: Health) -> u8 {
        match health {
            Health::Up => 0,
            Health::Degraded => 1,
            Health::Unknown => 2,
            Health::Down => 3,
        }
    }
    trackers
        .map(|tracker| (tracker.health(), tracker.is_moving()))
        .reduce(|(health, moving), (other, also)| (if badness(other) > badness(health) { other } else { health }, moving || also))
        .unwrap_or((Health::Unknown, false))
}
