//! What ends a drill before its time.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What a drill is watched by. All of them are on unless the operator says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Guard {
    /// Something really goes down, or the node comes to doubt its own network.
    Incident,
    /// The load of a service does not fit those that are left.
    Headroom,
    /// Too many answers are given for want of anything that is up.
    Errors,
}

impl Guard {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Incident, Self::Headroom, Self::Errors];

    /// As it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Incident => "incident",
            Self::Headroom => "headroom",
            Self::Errors => "errors",
        }
    }
}

/// As it is written.
impl fmt::Display for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// That a text names no guard.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no guard: incident, headroom, errors")]
pub struct GuardError(Box<str>);

impl FromStr for Guard {
    type Err = GuardError;

    fn from_str(text: &str) -> Result<Self, GuardError> {
        Self::ALL.into_iter().find(|guard| guard.as_str() == text).ok_or_else(|| GuardError(text.into()))
    }
}

/// Why a drill is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Ceased {
    /// Its time was over.
    Time,
    /// Somebody aborted it.
    Aborted {
        /// Who.
        who: Box<str>,
        /// Why.
        why: Box<str>,
    },
    /// A guard did.
    Guarded {
        /// Which.
        guard: Guard,
        /// What it saw.
        saw: Box<str>,
    },
    /// A reload left nothing that it is about.
    Gone,
}

/// As in `its time was over` and `a guard (incident): …`.
impl fmt::Display for Ceased {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Time => f.write_str("its time was over"),
            Self::Aborted { who, why } => write!(f, "aborted by {who}: {why}"),
            Self::Guarded { guard, saw } => write!(f, "aborted by its guard `{guard}`: {saw}"),
            Self::Gone => f.write_str("aborted: a reload left nothing that it is about"),
        }
    }
}
