//! What becomes of an endpoint that was down: its ramp, and its hold-down if it comes and goes.
//!
//! Neither is health. Probes keep telling the truth; a [`Comeback`] says which share of its clients the endpoint gets meanwhile, and
//! whether it gets any. Going down resets the ramp at once, and nothing here ever delays it.
//!
//! | RFC 2439 | §4.2 figure of merit, exponential decay, ceiling, cut-off and reuse thresholds | done, per endpoint, in integers |

use std::fmt;

use crate::catalog::{Damping, Recovery};
use crate::limits::FLAP_PENALTY;
use crate::units::{Moment, Permille};

/// Shares of its usual clients that an endpoint takes while it ramps up, one for each equal part of the ramp; then the whole.
const STEPS: [Permille; 3] = [Permille(50), Permille(250), Permille(500)];

/// What is remembered of an endpoint that was down.
///
/// ```text
///             fall: penalty + 1000, ramp gone              penalty < reuse
///   up ─────────────────────────────────────▶ down   held ────────────────▶ not held; if up, the ramp begins
///    ▲                                         │      ▲
///    └───── rise: the ramp begins if not held ─┘      └── penalty ≥ suppress, at a fall
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Comeback {
    /// Whether it is down, as this process has measured, not merely restored.
    down: bool,
    /// When its ramp began.
    ramping: Option<Moment>,
    /// The penalty as it was at `since`.
    penalty: u32,
    /// When the penalty was reckoned last.
    since: Moment,
    /// Whether it is held out of service.
    held: bool,
    /// How often it went down or came up since it was last at rest.
    changes: u16,
}

/// That an endpoint is held out of service, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hold {
    /// How often it went down or came up since it was last at rest.
    pub changes: u16,
    /// When it will be let go if it does not go down again.
    pub until: Moment,
}

/// As in `held down after 4 changes, back at 12:03:10 UTC at the earliest`. Going down and coming up are a change each.
impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.until.0.div_ceil(1_000) % 86_400;
        let (hours, minutes) = (seconds / 3_600, seconds / 60 % 60);
        let changes = self.changes;
        write!(f, "held down after {changes} changes, back at {hours:02}:{minutes:02}:{:02} UTC at the earliest", seconds % 60)
    }
}

impl Comeback {
    /// It went down, from having been up; or was found down by this process.
    pub fn fall(&mut self, was_up: bool, now: Moment, terms: &Recovery) {
        self.down = true;
        self.ramping = None;
        let Some(damping) = terms.damping.filter(|_| was_up) else { return };
        self.penalty = damping.decayed(self.penalty, now.millis_since(self.since)).saturating_add(FLAP_PENALTY).min(damping.penalty_max());
        self.since = now;
        self.changes = self.changes.saturating_add(1);
        self.held |= self.penalty >= damping.suppress;
    }

    /// It is up. If it was measured down before, it ramps, provided that anybody else `shares` the clients meanwhile.
    pub fn rise(&mut self, shares: bool, now: Moment) {
        if !std::mem::take(&mut self.down) {
            return;
        }
        if self.penalty > 0 {
            self.changes = self.changes.saturating_add(1);
        }
        if shares && !self.held {
            self.ramping = Some(now);
        }
    }

    /// Clients are let return to it, after having been kept off though it was up: it ramps, unless it is down or held, for then it will.
    pub const fn readmit(&mut self, now: Moment) {
        if !self.down && !self.held {
            self.ramping = Some(now);
        }
    }

    /// It is not down any more for a reason that is nobody's recovery, such as a reload: it never ramps for that.
    pub const fn forgive(&mut self) {
        self.down = false;
    }

    /// A drill is over, of which nothing counts but whether it left the endpoint `down`, so that this one comes back from something.
    pub const fn be_down(&mut self, down: bool) {
        self.down = down;
    }

    /// It has got all the clients anyway: nobody else was there.
    pub const fn take_all(&mut self) {
        self.ramping = None;
    }

    /// Does what time alone makes due: lets go of what was held long enough, and ends what has ramped up. Whether anybody else `shares`
    /// the clients counts as in [`Comeback::rise`].
    pub fn look(&mut self, shares: bool, now: Moment, terms: &Recovery) {
        if let Some(damping) = terms.damping {
            if now >= self.reuse(&damping) {
                // What was let go comes back as if it had risen now.
                if std::mem::take(&mut self.held) && !self.down && shares {
                    self.ramping = Some(now);
                }
                if !self.down && damping.decayed(self.penalty, now.millis_since(self.since)) < (damping.reuse / 2).max(1) {
                    (self.penalty, self.changes) = (0, 0);
                }
            }
        } else {
            (self.penalty, self.changes, self.held) = (0, 0, false);
        }
        if self.ramping.is_some_and(|began| now.millis_since(began) >= u64::from(terms.ramp_ms)) {
            self.ramping = None;
        }
    }

    /// The share of its usual clients that it takes now.
    #[must_use]
    pub fn ramp(&self, now: Moment, terms: &Recovery) -> Permille {
        let Some(began) = self.ramping else { return Permille::WHOLE };
        let part = now.millis_since(began) * STEPS.len() as u64 / u64::from(terms.ramp_ms.max(1));
        usize::try_from(part).ok().and_then(|part| STEPS.get(part)).copied().unwrap_or(Permille::WHOLE)
    }

    /// Whether it is down, as this process has measured.
    #[must_use]
    pub const fn is_down(&self) -> bool {
        self.down
    }

    /// Whether it is held out of service, how often it went down, and when it will be let go at the earliest.
    #[must_use]
    pub fn hold(&self, terms: &Recovery) -> Option<Hold> {
        let damping = terms.damping.filter(|_| self.held)?;
        Some(Hold { changes: self.changes, until: self.reuse(&damping) })
    }

    /// When [`Comeback::look`] has something to do next; `None` when never.
    #[must_use]
    pub fn due(&self, now: Moment, terms: &Recovery) -> Option<Moment> {
        let step = self.ramping.map(|began| {
            let parts = STEPS.len() as u64;
            let part = now.millis_since(began) * parts / u64::from(terms.ramp_ms.max(1)) + 1;
            began.plus_millis((part.min(parts) * u64::from(terms.ramp_ms)).div_ceil(parts)).max(now.plus_millis(1))
        });
        let release = self.hold(terms).map(|hold| hold.until.max(now.plus_millis(1)));
        let rest = terms.damping.filter(|_| self.penalty > 0 && !self.held && !self.down);
        let rest = rest.map(|damping| self.below(damping.reuse / 2, &damping).max(now.plus_millis(1)));
        [step, release, rest].into_iter().flatten().min()
    }

    /// Whether nothing of it matters any more.
    #[must_use]
    pub const fn is_at_rest(&self) -> bool {
        !self.down && self.ramping.is_none() && self.penalty == 0 && !self.held
    }

    /// When the penalty falls below the reuse threshold.
    fn reuse(&self, damping: &Damping) -> Moment {
        self.below(damping.reuse, damping)
    }

    /// When the penalty falls below `threshold`: found by halving, since a penalty only ever decays.
    fn below(&self, threshold: u32, damping: &Damping) -> Moment {
        let is_below = |millis| damping.decayed(self.penalty, millis) < threshold.max(1);
        let (mut low, mut high) = (0, u64::from(damping.half_life_ms) * 33);
        while low < high {
            let middle = u64::midpoint(low, high);
            if is_below(middle) {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        self.since.plus_millis(low)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TERMS: Recovery =
        Recovery { ramp_ms: 120_000, damping: Some(Damping { half_life_ms: 300_000, suppress: 1_500, reuse: 750, hold_max_ms: 1_200_000 }) };
    const START: Moment = Moment(1_700_000_000_000);

    fn after(millis: u64) -> Moment {
        START.plus_millis(millis)
    }

    #[test]
    fn one_fall_holds_nobody_and_two_within_a_half_life_do() {
        let mut endpoint = Comeback::default();
        endpoint.fall(true, START, &TERMS);
        assert_eq!(endpoint.hold(&TERMS), None);
        endpoint.rise(true, after(20_000));
        endpoint.fall(true, after(40_000), &TERMS);
        let hold = endpoint.hold(&TERMS).unwrap();
        assert_eq!(hold.changes, 3, "down, up, down");
        assert_eq!(Hold { changes: 4, until: Moment(1_764_158_589_001) }.to_string(), "held down after 4 changes, back at 12:03:10 UTC at the earliest");
        let held = hold.until.millis_since(after(40_000));
        assert!((400_000..410_000).contains(&held), "from 1912 to 750: {held} ms");
        endpoint.rise(true, after(60_000));
        endpoint.look(true, Moment(hold.until.0 - 1), &TERMS);
        assert!(endpoint.hold(&TERMS).is_some());
        endpoint.look(true, hold.until, &TERMS);
        assert_eq!(endpoint.hold(&TERMS), None);
        assert_eq!(endpoint.ramp(hold.until, &TERMS), Permille(50), "let go, it ramps as if it had come up now");
    }

    #[test]
    fn two_falls_an_hour_apart_hold_nobody() {
        let mut endpoint = Comeback::default();
        for hour in 0..5 {
            endpoint.fall(true, after(hour * 3_600_000), &TERMS);
            endpoint.rise(true, after(hour * 3_600_000 + 60_000));
            assert_eq!(endpoint.hold(&TERMS), None);
        }
    }

    #[test]
    fn the_longest_hold_is_kept_however_often_it_falls() {
        let mut endpoint = Comeback::default();
        for second in 0..3_600 {
            endpoint.fall(true, after(second * 1_000), &TERMS);
        }
        let held = endpoint.hold(&TERMS).unwrap().until.millis_since(after(3_599_000));
        assert!((1_199_000..=1_201_000).contains(&held), "{held}");
    }

    #[test]
    fn an_endpoint_that_comes_up_takes_5_25_50_100_per_cent_over_two_minutes() {
        let mut endpoint = Comeback::default();
        endpoint.fall(true, START, &TERMS);
        endpoint.rise(true, START);
        let shares = [0, 39_999, 40_000, 79_999, 80_000, 119_999, 120_000].map(|millis| endpoint.ramp(after(millis), &TERMS).0);
        assert_eq!(shares, [50, 50, 250, 250, 500, 500, 1000]);
        let mut due = Vec::new();
        let mut now = START;
        while let Some(next) = endpoint.due(now, &TERMS).filter(|_| endpoint.ramping.is_some()) {
            due.push(next.millis_since(START));
            now = next;
            endpoint.look(true, now, &TERMS);
        }
        assert_eq!(due, [40_000, 80_000, 120_000]);
    }

    #[test]
    fn going_down_resets_the_ramp_at_once() {
        let mut endpoint = Comeback::default();
        endpoint.fall(true, START, &TERMS);
        endpoint.rise(true, after(400_000));
        endpoint.fall(true, after(480_000), &TERMS);
        endpoint.rise(true, after(900_000));
        assert_eq!(endpoint.ramp(after(900_000), &TERMS), Permille(50), "from the beginning");
    }

    #[test]
    fn what_was_never_measured_down_never_ramps() {
        let mut endpoint = Comeback::default();
        endpoint.rise(true, START);
        assert_eq!(endpoint.ramp(START, &TERMS), Permille::WHOLE);
        endpoint.fall(false, START, &TERMS);
        endpoint.forgive();
        endpoint.rise(true, after(1_000));
        assert_eq!(endpoint.ramp(after(1_000), &TERMS), Permille::WHOLE);
        assert!(endpoint.is_at_rest());
    }

    #[test]
    fn nothing_is_remembered_for_ever() {
        let least = Damping { reuse: 1, ..TERMS.damping.unwrap() };
        for (terms, minutes) in [(TERMS, 15), (Recovery { damping: Some(least), ..TERMS }, 60)] {
            let mut endpoint = Comeback::default();
            endpoint.fall(true, START, &terms);
            endpoint.rise(true, after(5_000));
            let mut now = after(5_000);
            let mut looks = 0;
            while let Some(due) = endpoint.due(now, &terms) {
                assert!(due > now);
                now = due;
                endpoint.look(true, now, &terms);
                looks += 1;
            }
            assert!(endpoint.is_at_rest(), "{endpoint:?}");
            assert!((4..8).contains(&looks), "{looks}");
            assert!(now.millis_since(START) < minutes * 60_000, "{now:?}");
        }
    }

    #[test]
    fn without_damping_and_ramp_it_is_back_at_once_as_often_as_it_likes() {
        let mut endpoint = Comeback::default();
        for second in 0..100 {
            endpoint.fall(true, after(second * 2_000), &Recovery::AT_ONCE);
            endpoint.rise(true, after(second * 2_000 + 1_000));
            endpoint.look(true, after(second * 2_000 + 1_000), &Recovery::AT_ONCE);
            assert!(endpoint.is_at_rest(), "{endpoint:?}");
        }
    }
}
