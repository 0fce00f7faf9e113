//! How endpoints of a service come back after having been down: the ramp, and the hold-down of those that come and go.

/// How endpoints come back. Read by the controller only: what deciding sees of it stands in the status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Recovery {
    /// Milliseconds over which an endpoint that comes up takes its usual clients back; 0 takes them all at once.
    pub ramp_ms: u32,
    /// When what comes and goes is held out of service; `None` never does.
    pub damping: Option<Damping>,
}

impl Recovery {
    /// All at once, and as often as it likes.
    pub const AT_ONCE: Self = Self { ramp_ms: 0, damping: None };
}

/// What holds where the service says nothing.
impl Default for Recovery {
    fn default() -> Self {
        Self { ramp_ms: 120_000, damping: Some(Damping::default()) }
    }
}

/// An exponential hold-down in the manner of RFC 2439 §4.2. Each time that an endpoint goes down adds
/// [`crate::limits::FLAP_PENALTY`] to its penalty, which halves every half-life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Damping {
    /// Milliseconds in which a penalty halves, more than 0.
    pub half_life_ms: u32,
    /// A penalty of so much holds the endpoint out of service.
    pub suppress: u32,
    /// One below this lets it go again; above 0 and below `suppress`.
    pub reuse: u32,
    /// The longest hold in milliseconds, counted from the last time that it went down: the penalty never grows beyond what takes so long.
    pub hold_max_ms: u32,
}

/// Two falls within one half-life hold it, one never does. Half-life and thresholds are a third and three quarters of what routers have
/// (15 min, 2000, 750, 60 min): a client that is sent away is served elsewhere, a route that is suppressed is gone.
impl Default for Damping {
    fn default() -> Self {
        Self { half_life_ms: 300_000, suppress: 1_500, reuse: 750, hold_max_ms: 1_200_000 }
    }
}

impl Damping {
    /// The highest penalty: what takes the longest hold to fall to the reuse threshold.
    #[must_use]
    pub fn penalty_max(&self) -> u32 {
        // reuse · 2^(hold / half-life), by doubling whole half-lives and undoing what decays in the rest of the last one.
        let half_lives = self.hold_max_ms.div_ceil(self.half_life_ms.max(1));
        let over = u64::from(half_lives) * u64::from(self.half_life_ms) - u64::from(self.hold_max_ms);
        let whole = u64::from(self.reuse) << half_lives.min(24);
        self.decayed(u32::try_from(whole).unwrap_or(u32::MAX), over)
    }

    /// What is left of a penalty after so many milliseconds: `penalty · 2^(-millis / half-life)`, rounded down. In integers, so that every
    /// node and every run has the same.
    #[must_use]
    pub fn decayed(&self, penalty: u32, millis: u64) -> u32 {
        /// `2^(-1/2)`, `2^(-1/4)`, … `2^(-1/1024)`, in parts of 2³².
        const ROOTS: [u128; 10] = [
            3_037_000_500,
            3_611_622_603,
            3_938_502_376,
            4_112_874_773,
            4_202_935_003,
            4_248_701_965,
            4_271_771_996,
            4_283_353_945,
            4_289_156_690,
            4_292_061_010,
        ];
        let half_life = u64::from(self.half_life_ms.max(1));
        let whole = u32::try_from(millis / half_life).unwrap_or(u32::MAX);
        let fraction = (millis % half_life) * 1024 / half_life;
        let mut left = u128::from(penalty) << 32;
        for (root, bit) in ROOTS.into_iter().zip((0..10).rev()) {
            if fraction >> bit & 1 == 1 {
                left = (left * root) >> 32;
            }
        }
        u32::try_from((left >> 32).checked_shr(whole).unwrap_or(0)).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAMPING: Damping = Damping { half_life_ms: 300_000, suppress: 1_500, reuse: 750, hold_max_ms: 1_200_000 };

    #[test]
    fn a_penalty_halves_every_half_life_and_never_rises_between() {
        let mut last = 8_000;
        for second in 0..1_500 {
            let now = DAMPING.decayed(8_000, second * 1_000);
            assert!(now <= last);
            last = now;
        }
        assert_eq!([0, 300, 600, 900].map(|second| DAMPING.decayed(8_000, second * 1_000)), [8_000, 4_000, 2_000, 1_000]);
        let middle = DAMPING.decayed(8_000, 150_000);
        assert!((5_650..=5_657).contains(&middle), "8000 / √2: {middle}");
        assert_eq!(DAMPING.decayed(u32::MAX, u64::MAX), 0);
    }

    #[test]
    fn the_ceiling_takes_the_longest_hold_to_fall_to_reuse() {
        assert_eq!(DAMPING.penalty_max(), 12_000);
        let odd = Damping { hold_max_ms: 450_000, ..DAMPING };
        let (most, reuse) = (odd.penalty_max(), odd.reuse);
        assert!(odd.decayed(most, 449_000) >= reuse - 5 && odd.decayed(most, 452_000) < reuse, "{most}");
        let steep = Damping { half_life_ms: 1_000, hold_max_ms: 3_600_000, reuse: u32::MAX / 2, suppress: u32::MAX };
        assert_eq!(steep.penalty_max(), u32::MAX, "held at the end of the range");
    }
}
