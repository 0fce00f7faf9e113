//! How long replies took: 64 steps for each power of two of nanoseconds, so that a quantile is right to 1.6 %.

/// Steps of one power of two.
const STEPS: usize = 64;

/// Counts of durations.
pub(crate) struct Histogram {
    /// Count of each step.
    counts: Vec<u64>,
    /// Count of all.
    total: u64,
    /// Longest, in nanoseconds.
    longest: u64,
}

impl Histogram {
    /// Nothing counted.
    pub(crate) fn new() -> Self {
        Self { counts: vec![0; STEPS * STEPS], total: 0, longest: 0 }
    }

    /// Counts a duration in nanoseconds.
    pub(crate) fn add(&mut self, nanos: u64) {
        self.counts[step_of(nanos)] += 1;
        self.total += 1;
        self.longest = self.longest.max(nanos);
    }

    /// The longest, in microseconds.
    pub(crate) fn longest_us(&self) -> f64 {
        micros(self.longest)
    }

    /// The duration that so many thousandths of all are within, in microseconds; 0 when nothing was counted.
    pub(crate) fn quantile_us(&self, thousandths: u64) -> f64 {
        let wanted = (self.total * thousandths).div_ceil(1000);
        let mut seen = 0;
        for (step, count) in self.counts.iter().enumerate() {
            seen += count;
            if *count > 0 && seen >= wanted {
                return micros(start_of(step));
            }
        }
        0.0
    }
}

/// Nanoseconds as microseconds.
#[expect(clippy::cast_precision_loss, reason = "printed with one decimal")]
fn micros(nanos: u64) -> f64 {
    nanos as f64 / 1000.0
}

/// The step that a duration counts in.
fn step_of(nanos: u64) -> usize {
    let width = nanos.checked_ilog2().map_or(0, |bits| bits.saturating_sub(STEPS.ilog2()));
    let within = usize::try_from(nanos >> width).expect("less than two powers of steps");
    width as usize * STEPS + within
}

/// The shortest duration of a step.
fn start_of(step: usize) -> u64 {
    let width = (step / STEPS).saturating_sub(1);
    let within = step - width * STEPS;
    (within as u64) << width
}
