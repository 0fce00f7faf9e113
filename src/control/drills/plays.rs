//! What a drill plays.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::health::Fault;
use crate::limits::DRILL_SLOW_MS_MAX;
use crate::units::Permille;
use crate::world::Played;

/// What is played with endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Plays {
    /// Their probes fail.
    Fail,
    /// They are drained.
    Drain,
    /// Their probes take so many milliseconds longer, 1 to [`DRILL_SLOW_MS_MAX`]; beyond the time-out they fail.
    Slow(u32),
    /// This share of their probes fails, above 0 and at most the whole.
    Lossy(Permille),
}

impl Plays {
    /// As a world has it. The draws of a lossy drill are those of its number.
    #[must_use]
    pub const fn played(self, id: u64) -> Played {
        match self {
            Self::Fail => Played::Fault(Fault::Fail),
            Self::Drain => Played::Drain,
            Self::Slow(by_ms) => Played::Fault(Fault::Slow { by_ms }),
            Self::Lossy(share) => Played::Fault(Fault::Lossy { share, seed: id }),
        }
    }

    /// Names the kind: `fail`, `drain`, `slow`, `lossy`.
    #[must_use]
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Fail => "fail",
            Self::Drain => "drain",
            Self::Slow(_) => "slow",
            Self::Lossy(_) => "lossy",
        }
    }

    /// Whether its numbers are within their limits.
    #[must_use]
    pub fn is_sound(self) -> bool {
        match self {
            Self::Fail | Self::Drain => true,
            Self::Slow(by_ms) => (1..=DRILL_SLOW_MS_MAX).contains(&u64::from(by_ms)),
            Self::Lossy(share) => (Permille(1)..=Permille::WHOLE).contains(&share),
        }
    }
}

/// Why a text is no [`Plays`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlaysError {
    /// It is none of the words.
    #[error("{0:?} is nothing that a drill plays: fail, drain, slow with a time as in slow=300ms, or lossy with a share as in lossy=20%")]
    Unknown(Box<str>),
    /// The time is none.
    #[error("{0:?} is no time from 1ms to 60s")]
    Time(Box<str>),
    /// The share is none.
    #[error("{0:?} is no share from 0.1% to 100%, with one digit behind the point at most")]
    Share(Box<str>),
}

/// Reads `fail`, `drain`, `slow=300ms`, `slow=2s`, `lossy=20%`.
impl FromStr for Plays {
    type Err = PlaysError;

    fn from_str(text: &str) -> Result<Self, PlaysError> {
        match text.trim() {
            "fail" => Ok(Self::Fail),
            "drain" => Ok(Self::Drain),
            other => {
                let (plays, error) = match other.split_once('=') {
                    Some(("slow", time)) => (millis(time).map(Self::Slow), PlaysError::Time(time.into())),
                    Some(("lossy", share)) => (percent(share).map(Self::Lossy), PlaysError::Share(share.into())),
                    _ => (None, PlaysError::Unknown(other.into())),
                };
                plays.filter(|plays| plays.is_sound()).ok_or(error)
            }
        }
    }
}

/// Reads `300ms` or `2 s`.
fn millis(text: &str) -> Option<u32> {
    let text = text.trim();
    let (number, factor) = match text.strip_suffix("ms") {
        Some(number) => (number, 1),
        None => (text.strip_suffix('s')?, 1_000),
    };
    number.trim_end().bytes().all(|octet| octet.is_ascii_digit()).then(|| number.trim_end().parse::<u32>().ok()?.checked_mul(factor)).flatten()
}

/// Reads `20%` or `12.5 %`.
fn percent(text: &str) -> Option<Permille> {
    let number = text.trim().strip_suffix('%')?.trim_end();
    let (whole, tenth) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |text: &str, most: usize| (1..=most).contains(&text.len()) && text.bytes().all(|octet| octet.is_ascii_digit());
    if !digits(whole, 3) || !digits(tenth, 1) {
        return None;
    }
    Some(Permille(whole.parse::<u16>().ok()? * 10 + tenth.parse::<u16>().ok()?))
}

/// As it is read.
impl fmt::Display for Plays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fail | Self::Drain => f.write_str(self.kind()),
            Self::Slow(by_ms) => write!(f, "slow={by_ms}ms"),
            Self::Lossy(share) => write!(f, "lossy={}.{}%", share.0 / 10, share.0 % 10),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_played_reads_as_operators_write_it() {
        assert_eq!(" fail ".parse(), Ok(Plays::Fail));
        assert_eq!("slow=300ms".parse(), Ok(Plays::Slow(300)));
        assert_eq!("slow=2 s".parse(), Ok(Plays::Slow(2_000)));
        assert_eq!("lossy=12.5%".parse(), Ok(Plays::Lossy(Permille(125))));
        assert_eq!("lossy=100%".parse(), Ok(Plays::Lossy(Permille(1_000))));
        for wrong in ["slow=0ms", "slow=61s", "slow=1m", "slow=", "slow=-1s", "slow=99999999999s"] {
            assert!(matches!(wrong.parse::<Plays>(), Err(PlaysError::Time(_))), "{wrong}");
        }
        for wrong in ["lossy=0%", "lossy=100.1%", "lossy=20", "lossy=1.25%", "lossy=%"] {
            assert!(matches!(wrong.parse::<Plays>(), Err(PlaysError::Share(_))), "{wrong}");
        }
        for wrong in ["", "failed", "slow", "Fail"] {
            assert!(matches!(wrong.parse::<Plays>(), Err(PlaysError::Unknown(_))), "{wrong}");
        }
        for plays in [Plays::Fail, Plays::Drain, Plays::Slow(300), Plays::Lossy(Permille(125))] {
            assert_eq!(plays.to_string().parse(), Ok(plays));
        }
    }
}
