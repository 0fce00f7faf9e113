//! What an explanation says of operators' overrides: who did what, until when, and why. A status has what deciding needs of them.

use std::fmt;

use crate::catalog::EndpointId;
use crate::units::{Moment, Permille};

/// The overrides in force, and which of them has the say over which endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notes {
    /// Every override, by number.
    pub all: Box<[Note]>,
    /// By endpoint, ascending: an index into `all`.
    pub of: Box<[(EndpointId, u16)]>,
}

impl Notes {
    /// The override that has the say over an endpoint.
    #[must_use]
    pub fn about(&self, endpoint: EndpointId) -> Option<&Note> {
        let at = self.of.binary_search_by_key(&endpoint, |(id, _)| *id).ok()?;
        self.all.get(usize::from(self.of[at].1))
    }
}

/// One override, as people are told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Its number.
    pub id: u64,
    /// What it does.
    pub deed: Deed,
    /// Who made it.
    pub who: Box<str>,
    /// Why.
    pub why: Box<str>,
    /// When it was made.
    pub made: Moment,
    /// When it ends by itself.
    pub until: Moment,
}

/// What an override does to its endpoints at this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Deed {
    /// In, whatever the probes say.
    In,
    /// They keep a share of their usual clients.
    Held(Permille),
    /// They keep a share that grows smaller, step by step, until they are drained.
    Draining(Permille),
    /// No answers while another lawful endpoint is up.
    Drained,
    /// No answers at all.
    Out,
}

impl Deed {
    /// Names its kind, for counting: `in`, `weight`, `drain`, `out`.
    #[must_use]
    pub const fn kind(self) -> &'static str {
        match self {
            Self::In => "in",
            Self::Held(_) => "weight",
            Self::Draining(_) | Self::Drained => "drain",
            Self::Out => "out",
        }
    }
}

/// As in `drained` and `held to 40 % of its clients`.
impl fmt::Display for Deed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::In => f.write_str("forced in"),
            Self::Held(share) => write!(f, "held to {share} of its clients"),
            Self::Draining(share) => write!(f, "draining, with {share} of its clients left"),
            Self::Drained => f.write_str("drained"),
            Self::Out => f.write_str("taken out"),
        }
    }
}

/// As in `drained by anna until 14:05 UTC: maintenance`; with the day where the time alone does not tell it.
impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let comma = if matches!(self.deed, Deed::Draining(_)) { "," } else { "" };
        write!(f, "{}{comma} by {} until ", self.deed, self.who)?;
        if self.until.millis_since(self.made) < 86_400_000 {
            write!(f, "{} UTC: {}", self.until.time_of_day(), self.why)
        } else {
            write!(f, "{}: {}", self.until, self.why)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_says_who_did_what_until_when_and_why() {
        let note = Note { id: 1, deed: Deed::Drained, who: "anna".into(), why: "maintenance".into(), made: Moment(0), until: Moment(50_700_000) };
        assert_eq!(note.to_string(), "drained by anna until 14:05 UTC: maintenance");
        let gradual = Note { deed: Deed::Draining(Permille(900)), ..note.clone() };
        assert_eq!(gradual.to_string(), "draining, with 90 % of its clients left, by anna until 14:05 UTC: maintenance");
        let longer = Note { deed: Deed::Held(Permille(400)), until: Moment(86_400_000 + 50_700_000), ..note };
        assert_eq!(longer.to_string(), "held to 40 % of its clients by anna until 1970-01-02T14:05:00Z: maintenance");
    }
}
