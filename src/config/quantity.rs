//! Quantities as they are written: a decimal number, a space if wanted, and always the unit.

use crate::units::{MicroUsd, Micros, Permille, Ttl};

/// What is wrong with a text that should be a quantity; said at its place.
pub(super) type Wrong = String;

/// A unit and how many of the smallest parts it is.
type Unit = (&'static str, i128);

/// Units of time in microseconds.
const TIME: &[Unit] =
    &[("us", 1), ("µs", 1), ("ms", 1_000), ("s", 1_000_000), ("min", 60_000_000), ("m", 60_000_000), ("h", 3_600_000_000), ("d", 86_400_000_000)];
/// Units of data in octets.
const DATA: &[Unit] = &[("B", 1), ("kB", 1_000), ("MB", 1_000_000), ("GB", 1_000_000_000), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];
/// Units of rate in requests per second.
const RATE: &[Unit] = &[("rps", 1)];
/// Units of money in millionths of a dollar.
const MONEY: &[Unit] = &[("USD", 1_000_000)];
/// Units of share in thousandths.
const SHARE: &[Unit] = &[("%", 10)];

/// A time, possibly negative, in microseconds.
///
/// # Errors
/// What is wrong with the text.
pub(super) fn time(text: &str) -> Result<Micros, Wrong> {
    let parts = decimal(text, TIME, "30s\", \"2 ms\" or \"500 us")?;
    i64::try_from(parts).ok().filter(|parts| parts.unsigned_abs() < 1 << 53).map(Micros).ok_or_else(|| "too long".into())
}

/// A duration that is not negative, in whole milliseconds.
///
/// # Errors
/// What is wrong with the text.
pub(super) fn millis(text: &str) -> Result<u32, Wrong> {
    let micros = time(text)?;
    if micros.0 % 1000 != 0 {
        return Err("finer than a millisecond".into());
    }
    u32::try_from(micros.0 / 1000).map_err(|_| if micros.0 < 0 { "must not be negative".into() } else { "too long".into() })
}

/// A time to live: whole seconds.
///
/// # Errors
/// What is wrong with the text.
pub(super) fn ttl(text: &str) -> Result<Ttl, Wrong> {
    let micros = time(text)?;
    if micros.0 % 1_000_000 != 0 {
        return Err("a TTL has whole seconds".into());
    }
    let seconds = u32::try_from(micros.0 / 1_000_000).ok().filter(|&seconds| seconds <= i32::MAX.unsigned_abs());
    seconds.map(Ttl).ok_or_else(|| "a TTL is between 0 and 2^31 - 1 seconds (RFC 2181 section 8)".into())
}

/// An amount of data in octets.
///
/// # Errors
/// What is wrong with the text.
pub(super) fn data(text: &str) -> Result<u64, Wrong> {
    unsigned(decimal(text, DATA, "50 kB\" or \"2 MiB")?)
}

/// A rate in requests per second.
///
/// # Errors
/// What is wrong with the text.
pub(super) fn rate(text: &str) -> Result<u64, Wrong> {
    unsigned(decimal(text, RATE, "4000 rps")?)
}

/// An amount of money, not negative.
///
/// # Errors
/// What is wrong with the text.
pub(super) fn money(text: &str) -> Result<MicroUsd, Wrong> {
    let parts = unsigned(decimal(text, MONEY, "0.085 USD")?)?;
    i64::try_from(parts).ok().filter(|&parts| parts < 1 << 53).map(MicroUsd).ok_or_else(|| "too much".into())
}

/// A share, 0 to 100 %.
///
/// # Errors
/// What is wrong with the text.
pub(super) fn share(text: &str) -> Result<Permille, Wrong> {
    let parts = unsigned(decimal(text, SHARE, "80%")?)?;
    u16::try_from(parts).ok().filter(|&parts| parts <= 1000).map(Permille).ok_or_else(|| "more than 100%".into())
}

/// A share that may be more than the whole, in thousandths; up to a hundred times.
///
/// # Errors
/// What is wrong with the text.
pub(super) fn ratio(text: &str) -> Result<u32, Wrong> {
    let parts = unsigned(decimal(text, SHARE, "150%")?)?;
    u32::try_from(parts).ok().filter(|&parts| parts <= 100_000).ok_or_else(|| "more than 10000%".into())
}

/// A difference from the whole, in thousandths: from nothing at all to ten times more.
///
/// # Errors
/// What is wrong with the text.
pub(super) fn deviation(text: &str) -> Result<i32, Wrong> {
    let parts = decimal(text, SHARE, "30%\" or \"-20%")?;
    i32::try_from(parts).ok().filter(|parts| (-1_000..=10_000).contains(parts)).ok_or_else(|| "from -100% to 1000%".into())
}

/// A plain number, in thousandths.
///
/// # Errors
/// What is wrong with the text.
pub(super) fn count(text: &str) -> Result<u32, Wrong> {
    let parts = unsigned(decimal(&format!("{} x", text.trim()), &[("x", 1_000)], "2").map_err(|_| "not a number such as \"2\" or \"1.5\"".to_owned())?)?;
    u32::try_from(parts).map_err(|_| "too large".into())
}

/// Not negative, and within 53 bits so that products of two never overflow 128 bits.
fn unsigned(parts: i128) -> Result<u64, Wrong> {
    if parts < 0 {
        return Err("must not be negative".into());
    }
    u64::try_from(parts).ok().filter(|&parts| parts < 1 << 53).ok_or_else(|| "too large".into())
}

/// A decimal number and a unit, as a number of smallest parts; never through a float.
fn decimal(text: &str, units: &[Unit], example: &str) -> Result<i128, Wrong> {
    let text = text.trim();
    let (negative, unsigned) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let end = unsigned.find(|character: char| !character.is_ascii_digit() && character != '.').unwrap_or(unsigned.len());
    let (number, unit) = (&unsigned[..end], unsigned[end..].trim_start());
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() || fraction.contains('.') || number.ends_with('.') {
        return Err(format!("not a number with a unit, such as \"{example}\""));
    }
    if unit.is_empty() {
        return Err(format!("the unit is missing: write for instance \"{example}\""));
    }
    let names = || if units.len() == 1 { "is" } else { "are" }.to_owned() + " " + &units.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    let Some((_, parts)) = units.iter().find(|(name, _)| *name == unit) else {
        return Err(format!("\"{unit}\" is no unit here; there {}", names()));
    };
    if whole.len() > 18 || fraction.len() > 12 {
        return Err("too many digits".into());
    }
    let digits = |text: &str| text.bytes().fold(0_i128, |sum, digit| sum * 10 + i128::from(digit - b'0'));
    let scale = 10_i128.pow(u32::try_from(fraction.len()).unwrap_or(12));
    let scaled = (digits(whole) * scale + digits(fraction)) * parts;
    if scaled % scale != 0 {
        return Err(format!("finer than the smallest unit; there {}", names()));
    }
    let value = scaled / scale;
    Ok(if negative { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_read_as_people_write_them() {
        assert_eq!(time("5s"), Ok(Micros(5_000_000)));
        assert_eq!(time("-1.5 ms"), Ok(Micros(-1_500)));
        assert_eq!(time("500 us"), Ok(Micros(500)));
        assert_eq!(millis("2 min"), Ok(120_000));
        assert_eq!(ttl("1h"), Ok(Ttl(3600)));
        assert_eq!(data("50 kB"), Ok(50_000));
        assert_eq!(data("1.5 KiB"), Ok(1536));
        assert_eq!(rate("4000 rps"), Ok(4000));
        assert_eq!(money("0.085 USD"), Ok(MicroUsd(85_000)));
        assert_eq!(share("12.5%"), Ok(Permille(125)));
    }

    #[test]
    fn a_missing_or_foreign_unit_is_told_with_an_example() {
        assert!(time("5").is_err_and(|wrong| wrong.contains("unit is missing") && wrong.contains("30s")));
        assert!(time("5 kB").is_err_and(|wrong| wrong.contains("no unit here") && wrong.contains("ms")));
        assert!(money("5 EUR").is_err_and(|wrong| wrong.contains("USD")));
        assert!(ttl("1500 ms").is_err_and(|wrong| wrong.contains("whole seconds")));
    }

    #[test]
    fn nonsense_and_extremes_are_refused_without_overflow() {
        for text in ["", " ", "s", "1..2s", ".5s", "5.s", "1e3 s", "999999999999999999 d", "0.0000000000001 s", "-", "--1s", "+1s"] {
            assert!(time(text).is_err(), "{text:?}");
        }
        assert!(rate("-1 rps").is_err());
        assert!(rate("1.5 rps").is_err());
        assert!(share("100.1%").is_err());
        assert!(ttl("2147483648s").is_err());
        assert_eq!(ttl("2147483647s"), Ok(Ttl(2_147_483_647)));
    }
}
