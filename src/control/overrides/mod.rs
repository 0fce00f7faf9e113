//! Overrides: what operators intend with endpoints, whatever was measured.
//!
//! An override names endpoints by their names ([`Selector`]), says what is to be done ([`Action`]), why and who, and ends by itself. It never
//! touches health; it sets [`Status::intent`](crate::health::Status::intent) and [`share`](crate::health::Status::share).
//!
//! ```text
//! Wish ─► propose(world, overrides, other moves, now) ─► Refusal
//!                     │
//!                     ▼
//!                 Proposal ─► written to disk ─► Event::Overridden ─► statuses, notes, Effects::intents
//! ```
//!
//! Invariants
//! - What is not written is not in force, and not acknowledged.
//! - The most restrictive override has the say over an endpoint: out, drained, the smaller share, in.
//! - The age of overrides is told by the controller's clock, across a restart, too; none outlives its end.
//! - Safety rules bind operators and reloads, never the removal of an endpoint that is down. What was moved by anybody counts for everybody.

mod action;
mod intents;
mod moved;
mod propose;
mod release;
mod safety;
mod selector;

pub use action::{Action, ActionError};
pub use intents::IntentChange;
pub(super) use intents::{Intents, Shift};
pub use moved::{Moved, ServiceMoved, Way, moved};
pub(in crate::control) use moved::{every, share};
pub(in crate::control) use propose::in_the_end as with_overrides;
pub use propose::{Clear, Proposal, Refusal, Set, Which, Wish, propose};
pub use release::{NoReturn, Release, Released};
pub use safety::Unsafe;
pub(in crate::control) use safety::{earlier, pace, refuse_reload, unsafe_of};
pub use selector::{Selector, SelectorError};

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::limits::{MOVES_MAX, OVERRIDE_LIFE_MS_MAX, OVERRIDE_LIFE_MS_MIN, OVERRIDE_WORDS_OCTETS_MAX, OVERRIDES_MAX};
use crate::units::{Moment, Permille};
use crate::world::{Deed, Note};

/// What an operator intends with some endpoints for some time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Override {
    /// Its number, never given twice on one node.
    pub id: u64,
    /// The endpoints that it is about.
    pub selector: Selector,
    /// What is to be done with them.
    pub action: Action,
    /// Why, in the operator's words.
    pub why: Words,
    /// Who made it.
    pub who: Words,
    /// When it was made, in milliseconds since the Unix epoch.
    pub made: Moment,
    /// When it ends by itself, in milliseconds since the Unix epoch.
    pub expires: Moment,
}

impl Override {
    /// What it does to its endpoints at this moment.
    #[must_use]
    pub fn deed(&self, now: Moment) -> Deed {
        self.action.deed(now.millis_since(self.made))
    }

    /// As people are told of it at this moment.
    #[must_use]
    pub fn note(&self, now: Moment) -> Note {
        Note { id: self.id, deed: self.deed(now), who: self.who.0.clone(), why: self.why.0.clone(), made: self.made, until: self.expires }
    }
}

/// How much a deed restricts: less is more restrictive.
const fn rank(deed: Deed) -> u16 {
    match deed {
        Deed::Out => 0,
        Deed::Drained => 1,
        Deed::Held(share) | Deed::Draining(share) => 2 + share.0,
        Deed::In => 2 + Permille::WHOLE.0 + 1,
    }
}

/// All overrides of a node, and what safety rules remember of earlier ones. Written and replaced as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Overrides {
    /// The highest number that was ever given.
    pub last: u64,
    /// Those in force, by number.
    pub all: Vec<Override>,
    /// When overrides moved clients away and how many, earliest first, as far back as a rule may look.
    pub moves: Vec<Move>,
}

/// That clients were moved, by an override, a drill, a release of a tier or a reload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Move {
    /// When.
    pub at: Moment,
    /// Share of all clients.
    pub share: Permille,
}

impl Overrides {
    /// Those that have not ended at this moment.
    #[must_use]
    pub fn in_force(&self, now: Moment) -> Self {
        Self { all: self.all.iter().filter(|one| one.expires > now).cloned().collect(), ..self.clone() }
    }

    /// The override of this number.
    #[must_use]
    pub fn find(&self, id: u64) -> Option<&Override> {
        self.all.iter().find(|one| one.id == id)
    }

    /// Whether these could have come from here: numbers that grow, lives and shares within their limits. What was read from a file is asked.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let is_one = |one: &Override| {
            let life_ms = one.expires.millis_since(one.made);
            let is_share = !matches!(one.action, Action::Weight(share) if share >= Permille::WHOLE);
            one.id <= self.last && (OVERRIDE_LIFE_MS_MIN..=OVERRIDE_LIFE_MS_MAX).contains(&life_ms) && is_share
        };
        let (numbers_grow, times_grow) = (self.all.is_sorted_by(|one, next| one.id < next.id), self.moves.is_sorted_by_key(|moved| moved.at));
        self.all.len() <= OVERRIDES_MAX && self.moves.len() <= MOVES_MAX && numbers_grow && times_grow && self.all.iter().all(is_one)
    }
}

/// Remembers that clients were moved. Clocks of two processes differ: a move that comes earlier than the last one counts as one at its time, and the order stays.
pub(in crate::control) fn remember(moves: &mut Vec<Move>, moved: Move) {
    let moved = Move { at: moves.last().map_or(moved.at, |last| last.at.max(moved.at)), ..moved };
    if moves.len() < MOVES_MAX {
        moves.push(moved);
    } else if let Some(last) = moves.last_mut() {
        // Both count for as long as the later one does: too strict rather than too lax.
        *last = Move { at: moved.at, share: Permille(last.share.0.saturating_add(moved.share.0)) };
    }
}

/// A line of the operator's: 1 to [`OVERRIDE_WORDS_OCTETS_MAX`] octets without control characters, so that it can stand in a log and a terminal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Words(Box<str>);

/// Why a text is no [`Words`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WordsError {
    /// It says nothing.
    #[error("it is empty")]
    Empty,
    /// It is too long.
    #[error("it is longer than {OVERRIDE_WORDS_OCTETS_MAX} octets")]
    TooLong,
    /// It may do something to whoever reads it.
    #[error("it has control characters")]
    Control,
}

impl Words {
    /// Reads a line; spaces around it are left out.
    ///
    /// # Errors
    /// [`WordsError`].
    pub fn parse(text: &str) -> Result<Self, WordsError> {
        let text = text.trim();
        // What turns the direction of writing is none of Unicode's control characters, and worse than they are in a log.
        let turns =
            |character: char| matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2028}' | '\u{2029}' | '\u{2066}'..='\u{2069}');
        match text {
            "" => Err(WordsError::Empty),
            _ if text.len() > OVERRIDE_WORDS_OCTETS_MAX => Err(WordsError::TooLong),
            _ if text.contains(|character: char| character.is_control() || turns(character)) => Err(WordsError::Control),
            _ => Ok(Self(text.into())),
        }
    }

    /// The line.
    #[must_use]
    pub const fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Words {
    type Error = WordsError;

    fn try_from(text: String) -> Result<Self, WordsError> {
        Self::parse(&text)
    }
}

impl From<Words> for String {
    fn from(words: Words) -> Self {
        words.0.into()
    }
}

impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_a_line_of_some_length() {
        assert_eq!(Words::parse(" maintenance ").unwrap().as_str(), "maintenance");
        assert_eq!(Words::parse(" \t"), Err(WordsError::Empty));
        assert_eq!(Words::parse("a\nb"), Err(WordsError::Control));
        assert_eq!(Words::parse("\u{202e}rm"), Err(WordsError::Control));
        assert_eq!(Words::parse("\u{1b}[2J"), Err(WordsError::Control));
        assert_eq!(Words::parse(&"é".repeat(101)), Err(WordsError::TooLong));
        assert!(Words::parse(&"é".repeat(100)).is_ok());
    }

    #[test]
    fn out_restricts_most_then_drained_then_the_smaller_share_and_in_least() {
        let deeds = [Deed::Out, Deed::Drained, Deed::Held(Permille(0)), Deed::Draining(Permille(400)), Deed::Held(Permille(401)), Deed::In];
        assert!(deeds.windows(2).all(|pair| rank(pair[0]) < rank(pair[1])));
        assert_eq!(rank(Deed::Draining(Permille(7))), rank(Deed::Held(Permille(7))));
    }

    #[test]
    fn moves_that_are_too_many_are_remembered_as_fewer_and_never_as_less() {
        let mut overrides = Overrides::default();
        for at in 0..2 * MOVES_MAX as u64 {
            remember(&mut overrides.moves, Move { at: Moment(at), share: Permille(1) });
        }
        assert_eq!(overrides.moves.len(), MOVES_MAX);
        assert_eq!(overrides.moves.iter().map(|moved| usize::from(moved.share.0)).sum::<usize>(), 2 * MOVES_MAX);
    }

    #[test]
    fn a_clock_that_runs_behind_that_of_the_process_before_loses_nothing() {
        let mut overrides = Overrides::default();
        for at in [Moment(2_000), Moment(1_500), Moment(2_500)] {
            remember(&mut overrides.moves, Move { at, share: Permille(1) });
        }
        assert!(overrides.is_sound(), "{overrides:?}");
        assert_eq!(overrides.moves.len(), 3);
    }
}
