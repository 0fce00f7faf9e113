//! What a drill makes of observations: the fault that it plays.

use super::{Observation, ProbeFailure, ProbeOutcome};
use crate::catalog::ProbeSpec;
use crate::units::{Micros, Permille};

/// A fault that is played with observations, never with a real service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing answers.
    Fail,
    /// Every round trip takes so many milliseconds longer. What is beyond the probe's time-out by that has failed.
    Slow {
        /// Milliseconds.
        by_ms: u32,
    },
    /// A share of the probes is lost. Which is drawn from the seed, the probe and the time: the same wherever it is asked.
    Lossy {
        /// The share.
        share: Permille,
        /// Makes one drill's draws others than the next one's.
        seed: u64,
    },
}

impl Fault {
    /// What is seen of an observation of this probe while the fault is played; `digest` tells the probe from others. What failed by itself stays as
    /// it was, and what could not be asked tells nothing as before.
    #[must_use]
    pub fn befall(self, spec: &ProbeSpec, digest: u64, observation: &Observation) -> Observation {
        if matches!(observation.outcome, ProbeOutcome::Failed(_)) {
            return observation.clone();
        }
        let timeout = Micros::from_millis(i64::from(spec.timeout_ms));
        let failed =
            |rtt| Observation { at: observation.at, outcome: ProbeOutcome::Failed(ProbeFailure::Drill), rtt, expires: observation.expires, drill: true };
        match self {
            Self::Fail => failed(observation.rtt),
            Self::Lossy { share, seed } if draw(seed ^ digest.rotate_left(32) ^ observation.at.0) < u64::from(share.0) => failed(timeout),
            Self::Lossy { .. } => observation.clone(),
            Self::Slow { by_ms } => {
                let rtt = observation.rtt.plus(Micros::from_millis(i64::from(by_ms)));
                if rtt > timeout {
                    return failed(timeout);
                }
                let is_slow = spec.slow_ms > 0 && rtt > Micros::from_millis(i64::from(spec.slow_ms));
                let outcome = if is_slow { ProbeOutcome::Slow } else { observation.outcome.clone() };
                Observation { at: observation.at, outcome, rtt, expires: observation.expires, drill: true }
            }
        }
    }
}

/// A number below 1000 out of a seed (the finalizer of SplitMix64).
const fn draw(seed: u64) -> u64 {
    let mut mixed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (mixed ^ (mixed >> 31)) % 1_000
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{ProbeHost, ProbeKind, ProbeTarget};
    use crate::units::Moment;

    fn spec() -> ProbeSpec {
        let target = ProbeTarget { host: ProbeHost::Address([192, 0, 2, 1].into()), port: 80 };
        ProbeSpec { target, kind: ProbeKind::Tcp, interval_ms: 5_000, timeout_ms: 2_000, fall: 3, rise: 3, slow_ms: 500, baseline: None }
    }

    fn observed(at: u64, rtt_ms: i64, outcome: ProbeOutcome) -> Observation {
        Observation { at: Moment(at), outcome, rtt: Micros::from_millis(rtt_ms), expires: None, drill: false }
    }

    #[test]
    fn what_passes_fails_by_the_drill_and_what_failed_by_itself_stays_real() {
        let played = Fault::Fail.befall(&spec(), 7, &observed(1, 20, ProbeOutcome::Passed));
        assert_eq!((played.outcome, played.drill), (ProbeOutcome::Failed(ProbeFailure::Drill), true));
        for failure in [ProbeFailure::Refused, ProbeFailure::NotAsked("no descriptors".into())] {
            let real = observed(1, 20, ProbeOutcome::Failed(failure));
            assert_eq!(Fault::Fail.befall(&spec(), 7, &real), real);
        }
    }

    #[test]
    fn slowness_adds_to_the_round_trip_and_fails_beyond_the_time_out() {
        let by = |by_ms| Fault::Slow { by_ms }.befall(&spec(), 7, &observed(1, 20, ProbeOutcome::Passed));
        assert_eq!((by(300).outcome, by(300).rtt), (ProbeOutcome::Passed, Micros::from_millis(320)));
        assert_eq!(by(481).outcome, ProbeOutcome::Slow);
        assert_eq!(by(1_980).outcome, ProbeOutcome::Slow);
        assert_eq!(by(1_981).outcome, ProbeOutcome::Failed(ProbeFailure::Drill));
    }

    #[test]
    fn a_share_of_the_probes_is_lost_and_the_same_ones_each_time() {
        let lost = |seed| -> Vec<u64> {
            let is_lost = |at: &u64| {
                let played = Fault::Lossy { share: Permille(200), seed }.befall(&spec(), 7, &observed(*at, 20, ProbeOutcome::Passed));
                played.outcome.is_failure()
            };
            (0..5_000).filter(is_lost).collect()
        };
        assert_eq!(lost(1), lost(1));
        assert_ne!(lost(1), lost(2));
        assert!((900..=1_100).contains(&lost(1).len()), "{}", lost(1).len());
    }
}
