//! What an override does with its endpoints.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::limits::DRAIN_STEPS;
use crate::units::Permille;
use crate::world::Deed;

/// What is to be done with endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// No answers while another lawful endpoint is up. Over a time their share of usual clients goes down in even steps before; 0 is at once.
    Drain {
        /// That time, in milliseconds.
        #[serde(rename = "over-ms")]
        over_ms: u64,
    },
    /// No answers at all.
    Out,
    /// In, whatever the probes say.
    In,
    /// They keep this share of their usual clients; less than the whole.
    Weight(Permille),
}

impl Action {
    /// What it does so many milliseconds after it was made.
    ///
    /// A gradual drain takes one of [`DRAIN_STEPS`] parts away at once and one after each even span; with the last one the endpoint is drained.
    #[must_use]
    pub fn deed(&self, age_ms: u64) -> Deed {
        match *self {
            Self::Out => Deed::Out,
            Self::In => Deed::In,
            Self::Weight(share) => Deed::Held(share),
            Self::Drain { over_ms } if age_ms >= over_ms => Deed::Drained,
            Self::Drain { over_ms } => {
                let spans = u128::from(DRAIN_STEPS - 1);
                let step = u128::from(age_ms) * spans / u128::from(over_ms);
                let left = DRAIN_STEPS - 1 - u16::try_from(step).unwrap_or(DRAIN_STEPS - 2);
                Deed::Draining(Permille(left * (Permille::WHOLE.0 / DRAIN_STEPS)))
            }
        }
    }

    /// What it does in the end.
    #[must_use]
    pub fn last_deed(&self) -> Deed {
        self.deed(u64::MAX)
    }
}

/// Why a text is no [`Action`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ActionError {
    /// It is none of the words.
    #[error("{0:?} is nothing that can be done: drain, out, in, or weight with a share as in weight=40%")]
    Unknown(Box<str>),
    /// The share is none.
    #[error("{0:?} is no share below the whole: from 0% to 99.9%, with one digit behind the point at most")]
    Share(Box<str>),
}

/// Reads `drain` (at once), `out`, `in`, `weight=40%`.
impl FromStr for Action {
    type Err = ActionError;

    fn from_str(text: &str) -> Result<Self, ActionError> {
        match text.trim() {
            "drain" => Ok(Self::Drain { over_ms: 0 }),
            "out" => Ok(Self::Out),
            "in" => Ok(Self::In),
            other => match other.split_once('=') {
                Some(("weight", share)) => percent(share).map(Self::Weight).ok_or_else(|| ActionError::Share(share.into())),
                _ => Err(ActionError::Unknown(other.into())),
            },
        }
    }
}

/// Reads `40%` or `12.5 %`, below the whole.
fn percent(text: &str) -> Option<Permille> {
    let number = text.trim().strip_suffix('%')?.trim_end();
    let (whole, tenth) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |text: &str, most: usize| (1..=most).contains(&text.len()) && text.bytes().all(|octet| octet.is_ascii_digit());
    if !digits(whole, 2) || !digits(tenth, 1) {
        return None;
    }
    Some(Permille(whole.parse::<u16>().ok()? * 10 + tenth.parse::<u16>().ok()?))
}

/// As it is read, without the time of a gradual drain.
impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Drain { .. } => f.write_str("drain"),
            Self::Out => f.write_str("out"),
            Self::In => f.write_str("in"),
            Self::Weight(share) => write!(f, "weight={}.{}%", share.0 / 10, share.0 % 10),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gradual_drain_goes_down_in_even_steps_and_drains_when_its_time_is_over() {
        let drain = Action::Drain { over_ms: 90_000 };
        let shares: Vec<Deed> = (0..9).map(|step| drain.deed(step * 10_000)).collect();
        assert_eq!(shares, [900, 800, 700, 600, 500, 400, 300, 200, 100].map(|share| Deed::Draining(Permille(share))));
        assert_eq!(drain.deed(9_999), Deed::Draining(Permille(900)));
        assert_eq!(drain.deed(89_999), Deed::Draining(Permille(100)));
        assert_eq!(drain.deed(90_000), Deed::Drained);
        assert_eq!(Action::Drain { over_ms: 0 }.deed(0), Deed::Drained);
        assert_eq!(Action::Drain { over_ms: u64::MAX }.deed(u64::MAX - 1), Deed::Draining(Permille(100)));
    }

    #[test]
    fn actions_read_as_operators_write_them() {
        assert_eq!("weight=40%".parse(), Ok(Action::Weight(Permille(400))));
        assert_eq!("weight=12.5 %".parse(), Ok(Action::Weight(Permille(125))));
        assert_eq!("weight=0%".parse(), Ok(Action::Weight(Permille(0))));
        for wrong in ["weight=100%", "weight=40", "weight=%", "weight=-1%", "weight=1.25%", "weight=.5%", "weight=+4%"] {
            assert!(matches!(wrong.parse::<Action>(), Err(ActionError::Share(_))), "{wrong}");
        }
        for wrong in ["", "drained", "weight", "Out", "drain=1"] {
            assert!(matches!(wrong.parse::<Action>(), Err(ActionError::Unknown(_))), "{wrong}");
        }
        for action in [Action::Out, Action::In, Action::Drain { over_ms: 0 }, Action::Weight(Permille(125))] {
            assert_eq!(action.to_string().parse(), Ok(action));
        }
    }
}
