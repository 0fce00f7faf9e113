//! Quantities with their unit in the type: micros, time to live, moments, shares.
//!
//! Pure. Integers only: what is ranked is never a float.

use std::fmt;

use serde::{Deserialize, Serialize};

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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
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

    /// The time of day in UTC, as in `14:05`.
    #[must_use]
    pub const fn time_of_day(self) -> TimeOfDay {
        TimeOfDay { minutes: self.0 / 60_000 % 1_440 }
    }
}

/// A time of day in UTC, to the minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeOfDay {
    /// Minutes since midnight.
    minutes: u64,
}

/// As in `14:05`.
impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.minutes / 60, self.minutes % 60)
    }
}

/// In UTC to the second, as in `2026-11-26T12:00:00Z` (RFC 3339 §5.6).
impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// Days of 400 years, after which the calendar repeats itself.
        const ERA: u64 = 146_097;
        let seconds = self.0 / 1_000;
        // Years begin in March here, so that the leap day is the last of a year.
        let days = seconds / 86_400 + 719_468;
        let day_of_era = days % ERA;
        let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / (ERA - 1)) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
        let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
        let year = year_of_era + days / ERA * 400 + u64::from(month <= 2);
        write!(f, "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60)
    }
}

/// Thousandths. 1000 is the whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Permille(pub u16);

impl Permille {
    /// The whole.
    pub const WHOLE: Self = Self(1000);
}

/// As in `40 %` and `12.5 %`.
impl fmt::Display for Permille {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 % 10 {
            0 => write!(f, "{} %", self.0 / 10),
            tenths => write!(f, "{}.{tenths} %", self.0 / 10),
        }
    }
}

/// `1 zone`, `2 zones`: so many of what a regular noun names.
#[must_use]
pub fn counted(count: usize, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

/// `whole · numerator ÷ denominator`, rounded down, without overflow on the way; a denominator of 0 counts as 1, and what does not fit is the highest number.
#[must_use]
pub fn part(whole: u64, numerator: u64, denominator: u64) -> u64 {
    u64::try_from(u128::from(whole) * u128::from(numerator) / u128::from(denominator.max(1))).unwrap_or(u64::MAX)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_day_and_shares_read_as_people_write_them() {
        assert_eq!([0, 1_700_000_000_000].map(|millis| Moment(millis).time_of_day().to_string()), ["00:00", "22:13"]);
        assert_eq!([1000, 400, 125, 0].map(|share| Permille(share).to_string()), ["100 %", "40 %", "12.5 %", "0 %"]);
    }

    #[test]
    fn a_moment_is_written_in_the_calendar_of_people() {
        let told = |seconds: u64| Moment(seconds * 1_000 + 999).to_string();
        assert_eq!(told(0), "1970-01-01T00:00:00Z");
        assert_eq!(told(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(told(951_868_800), "2000-03-01T00:00:00Z");
        assert_eq!(told(1_709_251_199), "2024-02-29T23:59:59Z");
        assert_eq!(told(1_767_225_599), "2025-12-31T23:59:59Z");
        assert_eq!(told(1_795_651_200), "2026-11-26T00:00:00Z");
        assert_eq!(told(4_107_542_400), "2100-03-01T00:00:00Z");
    }
}
