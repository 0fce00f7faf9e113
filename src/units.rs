//! Quantities with their unit in the type: micros, time to live, moments, shares.
//!
//! Pure. Integers only: what is ranked is never a float.

use std::fmt;

/// A latency-equivalent in integer microseconds; may be negative (a bias that favours an endpoint).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Micros(pub i64);

impl Micros {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// From whole milliseconds.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis.saturating_mul(1000))
    }

    /// The sum, held at the ends of the range instead of wrapping.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

/// Written as milliseconds with one decimal, as in `18.2 ms`; integer arithmetic, rounded half away from zero.
impl fmt::Display for Micros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenths = (self.0.unsigned_abs() + 50) / 100;
        let sign = if self.0 < 0 && tenths > 0 { "-" } else { "" };
        write!(f, "{sign}{}.{} ms", tenths / 10, tenths % 10)
    }
}

/// A time to live in seconds, 0 to 2³¹ − 1 (RFC 2181 §8).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ttl(pub u32);

/// A moment: milliseconds since the Unix epoch. `clock.rs` makes them; within one process they never run backwards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(pub u64);

impl Moment {
    /// The moment `millis` milliseconds later.
    #[must_use]
    pub const fn plus_millis(self, millis: u64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// Milliseconds from `earlier` to this moment; zero when `earlier` is later.
    #[must_use]
    pub const fn millis_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// Thousandths. 1000 is the whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Permille(pub u16);

impl Permille {
    /// The whole.
    pub const WHOLE: Self = Self(1000);
}

/// US dollars in millionths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MicroUsd(pub i64);

/// Written as dollars with four decimals, as in `4.5500 USD`.
impl fmt::Display for MicroUsd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenthousandths = (self.0.unsigned_abs() + 50) / 100;
        let sign = if self.0 < 0 && tenthousandths > 0 { "-" } else { "" };
        write!(f, "{sign}{}.{:04} USD", tenthousandths / 10_000, tenthousandths % 10_000)
    }
}

/// A place on the globe in millionths of a degree: integers, so that a place compares, hashes and prints the same everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Coordinates {
    /// Latitude, −90,000,000 to 90,000,000, north positive.
    pub latitude: i32,
    /// Longitude, −180,000,000 to 180,000,000, east positive.
    pub longitude: i32,
}

impl Coordinates {
    /// From degrees; `None` when out of range or not a number.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "the range is checked first: 180 million fits")]
    pub fn from_degrees(latitude: f64, longitude: f64) -> Option<Self> {
        let fits = (-90.0..=90.0).contains(&latitude) && (-180.0..=180.0).contains(&longitude);
        fits.then(|| Self { latitude: libm::round(latitude * 1e6) as i32, longitude: libm::round(longitude * 1e6) as i32 })
    }

    /// Latitude and longitude in degrees.
    #[must_use]
    pub fn degrees(self) -> (f64, f64) {
        (f64::from(self.latitude) / 1e6, f64::from(self.longitude) / 1e6)
    }
}
