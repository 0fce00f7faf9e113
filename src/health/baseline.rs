//! `degraded` against an endpoint's own past: answers slower than it usually gives, or too many errors while `fall` is not reached.
//!
//! Robust statistics in integers, in bounded memory. The *recent* figure is the median of the last [`RECENT`] answers; the *usual* one is
//! the median of the last [`BLOCKS`] such medians, one for each [`RECENT`] answers, so that both are medians of equally many. Their median
//! absolute deviation (MAD) says how far the figure wanders by itself. A mean would be carried off by one answer of two seconds; these are not
//! before half of the answers are so.
//!
//! Nothing is learnt while the figure is out of bounds, while the endpoint is degraded, or while it is down: the new normal of an outage is
//! not normal.

use std::fmt;

use crate::catalog::BaselineSpec;
use crate::units::{Micros, Moment};

/// Answers that the recent figure is the median of. Forty seconds at the default interval.
const RECENT: usize = 8;
/// Medians that the baseline is made of. With [`RECENT`], some twenty minutes at the default interval.
const BLOCKS: usize = 32;
/// Outcomes that the share of errors is taken of: five minutes at the default interval.
const OUTCOMES: u32 = u64::BITS;
/// The least that a MAD counts as, in microseconds: a quiet network's is nothing.
const MAD_MIN: u32 = 250;
/// And the least as one part in so many of the usual figure.
const MAD_FRACTION: u32 = 16;

/// The past of one probe, and what it makes of the present.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Baseline {
    /// The last answers' times in microseconds, in a ring.
    recent: [u32; RECENT],
    /// The last blocks' medians, in a ring.
    medians: [u32; BLOCKS],
    /// Where the next answer goes.
    next: usize,
    /// Answers taken in since the last reset, up to [`RECENT`].
    answers: usize,
    /// Answers learnt towards the next block.
    towards: usize,
    /// Where the next block goes.
    block: usize,
    /// Blocks learnt, up to [`BLOCKS`].
    blocks: usize,
    /// The last outcomes, the newest lowest; a bit is a failure.
    outcomes: u64,
    /// How many of them there are.
    seen: u32,
    /// Since when the present speaks against the verdict.
    since: Option<Moment>,
    /// The verdict, and why.
    degraded: Option<Unusual>,
}

/// What is unusual.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unusual {
    /// It answers more slowly than it does.
    Slower {
        /// The recent figure.
        recent: Micros,
        /// The usual one.
        usual: Micros,
    },
    /// Too many probes failed, though never enough in a row.
    Errors {
        /// How many.
        failed: u32,
        /// Of how many.
        of: u32,
    },
}

/// For people.
impl fmt::Display for Unusual {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Slower { recent, usual } => write!(f, "answers in {recent} where {usual} is usual"),
            Self::Errors { failed, of } => write!(f, "{failed} of the last {of} probes failed"),
        }
    }
}

impl Default for Baseline {
    fn default() -> Self {
        Self {
            recent: [0; RECENT],
            medians: [0; BLOCKS],
            next: 0,
            answers: 0,
            towards: 0,
            block: 0,
            blocks: 0,
            outcomes: 0,
            seen: 0,
            since: None,
            degraded: None,
        }
    }
}

impl Baseline {
    /// Takes in an answer that took so long, or a failure.
    pub fn observe(&mut self, at: Moment, answered: Option<Micros>, spec: &BaselineSpec) {
        self.outcomes = self.outcomes << 1 | u64::from(answered.is_none());
        self.seen = (self.seen + 1).min(OUTCOMES);
        if let Some(rtt) = answered {
            self.recent[self.next] = u32::try_from(rtt.0.max(0)).unwrap_or(u32::MAX);
            self.next = (self.next + 1) % RECENT;
            self.answers = (self.answers + 1).min(RECENT);
        }
        let (unusual, usual_again) = (self.unusual(spec, 1), self.unusual(spec, 2).is_none());
        let turns = if self.degraded.is_some() { usual_again } else { unusual.is_some() };
        if !turns {
            self.since = None;
        } else if at.millis_since(*self.since.get_or_insert(at)) >= u64::from(spec.dwell_ms) {
            self.degraded = if self.degraded.is_some() { None } else { unusual };
            self.since = None;
        }
        if answered.is_some() && self.degraded.is_none() && unusual.is_none() {
            self.learn();
        }
    }

    /// It is down: what `fall` has judged is not judged again when it comes up. What is usual stays.
    pub const fn fall(&mut self) {
        (self.answers, self.towards) = (0, 0);
        (self.outcomes, self.seen) = (0, 0);
        (self.since, self.degraded) = (None, None);
    }

    /// Why it is degraded, if it is.
    #[must_use]
    pub const fn degraded(&self) -> Option<Unusual> {
        self.degraded
    }

    /// What is unusual now, with the margins divided by `part`: 1 to become degraded, 2 to remain so.
    fn unusual(&self, spec: &BaselineSpec, part: u32) -> Option<Unusual> {
        let failed = self.outcomes.count_ones();
        if self.seen == OUTCOMES && failed * 1_000 * part > u32::from(spec.errors.0) * OUTCOMES {
            return Some(Unusual::Errors { failed, of: OUTCOMES });
        }
        if self.answers < RECENT || self.blocks < usize::from(spec.samples).div_ceil(RECENT).min(BLOCKS) {
            return None;
        }
        let known = &self.medians[..self.blocks];
        let usual = median(known);
        let mut deviations = [0; BLOCKS];
        for (deviation, known) in deviations.iter_mut().zip(known) {
            *deviation = known.abs_diff(usual);
        }
        let mad = median(&deviations[..known.len()]).max(MAD_MIN).max(usual / MAD_FRACTION);
        let margin = u64::from(mad) * u64::from(spec.deviations) / u64::from(part);
        let recent = median(&self.recent);
        let is_slow = u64::from(recent) > u64::from(usual) + margin;
        is_slow.then(|| Unusual::Slower { recent: Micros(i64::from(recent)), usual: Micros(i64::from(usual)) })
    }

    /// Learns the answer that was taken in last.
    fn learn(&mut self) {
        self.towards += 1;
        if self.towards == RECENT {
            self.towards = 0;
            if self.answers == RECENT {
                self.medians[self.block] = median(&self.recent);
                self.block = (self.block + 1) % BLOCKS;
                self.blocks = (self.blocks + 1).min(BLOCKS);
            }
        }
    }
}

/// The lower median of some numbers, at most [`BLOCKS`]; 0 of none.
fn median(numbers: &[u32]) -> u32 {
    let mut sorted = [0; BLOCKS];
    let sorted = &mut sorted[..numbers.len().min(BLOCKS)];
    sorted.copy_from_slice(&numbers[..sorted.len()]);
    sorted.sort_unstable();
    sorted.get(sorted.len().saturating_sub(1) / 2).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Permille;

    const SPEC: BaselineSpec = BaselineSpec { deviations: 6, dwell_ms: 30_000, errors: Permille(200), samples: 64 };

    /// An endpoint that is asked every five seconds.
    struct Endpoint {
        baseline: Baseline,
        turns: u64,
    }

    impl Endpoint {
        fn new() -> Self {
            Self { baseline: Baseline::default(), turns: 0 }
        }

        /// Answers so many times, each in what `micros` says of the turn; returns after how many it was first otherwise than at the beginning.
        fn answers(&mut self, count: u64, micros: impl Fn(u64) -> Option<i64>) -> Option<u64> {
            let before = self.is_degraded();
            let mut changed = None;
            for turn in 1..=count {
                self.turns += 1;
                self.baseline.observe(Moment(1_700_000_000_000 + self.turns * 5_000), micros(self.turns).map(Micros), &SPEC);
                if changed.is_none() && self.is_degraded() != before {
                    changed = Some(turn);
                }
            }
            changed
        }

        fn is_degraded(&self) -> bool {
            self.baseline.degraded().is_some()
        }
    }

    /// Some 20 ms, give or take two, and now and then a second.
    fn usual_micros(turn: u64) -> i64 {
        if turn % 10 == 7 { 1_000_000 } else { 18_000 + i64::try_from(turn * 2_654_435_761 % 4_000).unwrap() }
    }

    #[expect(clippy::unnecessary_wraps, reason = "an answer, as opposed to none")]
    fn usual(turn: u64) -> Option<i64> {
        Some(usual_micros(turn))
    }

    #[test]
    fn an_endpoint_that_answers_as_it_does_is_never_degraded() {
        let mut endpoint = Endpoint::new();
        assert_eq!(endpoint.answers(20_000, usual), None, "a day of it, one answer in ten a second late");
    }

    #[test]
    fn twice_as_slow_for_a_minute_is_degraded_and_says_from_what_to_what() {
        let mut endpoint = Endpoint::new();
        endpoint.answers(200, usual);
        let after = endpoint.answers(40, |turn| Some(usual_micros(turn) + 20_000)).unwrap();
        assert!((7..=14).contains(&after), "half of the recent answers and the dwell: {after}");
        let Some(Unusual::Slower { recent, usual }) = endpoint.baseline.degraded() else { panic!() };
        assert!((35_000..45_000).contains(&recent.0) && (17_000..23_000).contains(&usual.0), "{recent} {usual}");
    }

    #[test]
    fn a_short_burst_degrades_nobody() {
        let mut endpoint = Endpoint::new();
        endpoint.answers(200, usual);
        assert_eq!(endpoint.answers(5, |_| Some(500_000)), None);
        assert_eq!(endpoint.answers(500, usual), None);
    }

    #[test]
    fn what_is_slow_for_hours_never_becomes_the_new_normal_and_is_well_again_when_it_is_as_it_was() {
        let mut endpoint = Endpoint::new();
        endpoint.answers(200, usual);
        endpoint.answers(3_000, |turn| Some(usual_micros(turn) * 3));
        assert!(endpoint.is_degraded());
        let after = endpoint.answers(100, usual).unwrap();
        assert!((7..=16).contains(&after), "{after}");
    }

    #[test]
    fn between_the_margins_the_verdict_stays_what_it_was() {
        let (mut well, mut ill) = (Endpoint::new(), Endpoint::new());
        well.answers(200, |_| Some(20_000));
        ill.answers(200, |_| Some(20_000));
        ill.answers(50, |_| Some(60_000));
        // The margin is six sixteenths of 20 ms: 7.5 ms; half of it is 3.75 ms.
        assert_eq!((well.answers(100, |_| Some(25_500)), ill.answers(100, |_| Some(25_500))), (None, None));
        assert!(!well.is_degraded() && ill.is_degraded());
    }

    #[test]
    fn slow_drift_is_learnt() {
        let mut endpoint = Endpoint::new();
        endpoint.answers(200, usual);
        let drift = |turn: u64| Some(usual_micros(turn) + i64::try_from(turn).unwrap() * 5);
        assert_eq!(endpoint.answers(8_000, drift), None, "40 ms more over eleven hours");
    }

    #[test]
    fn too_few_answers_judge_nobody() {
        let mut endpoint = Endpoint::new();
        endpoint.answers(30, |_| Some(20_000));
        assert_eq!(endpoint.answers(33, |_| Some(90_000)), None, "63 of the 64 that it takes");
    }

    #[test]
    fn errors_that_never_come_in_a_row_degrade_and_their_end_restores() {
        let mut endpoint = Endpoint::new();
        endpoint.answers(200, usual);
        let failing = |turn: u64| if turn.is_multiple_of(3) { None } else { usual(turn) };
        assert!(endpoint.answers(100, failing).is_some());
        assert!(matches!(endpoint.baseline.degraded(), Some(Unusual::Errors { of: 64, .. })));
        let after = endpoint.answers(200, usual).unwrap();
        assert!(after <= 64 + 7, "{after}");
    }

    #[test]
    fn one_lost_probe_in_fifty_degrades_nobody() {
        let mut endpoint = Endpoint::new();
        assert_eq!(endpoint.answers(20_000, |turn| if (turn * 2_654_435_761).is_multiple_of(50) { None } else { usual(turn) }), None);
    }

    #[test]
    fn what_was_down_is_not_degraded_for_having_been_down() {
        let mut endpoint = Endpoint::new();
        endpoint.answers(200, usual);
        endpoint.answers(60, |_| None);
        endpoint.baseline.fall();
        assert_eq!(endpoint.answers(200, usual), None);
        assert!(endpoint.answers(40, |turn| Some(usual_micros(turn) * 3)).is_some(), "it knows what was usual");
    }
}
