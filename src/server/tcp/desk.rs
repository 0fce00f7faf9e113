//! Answers messages out of what was received: framing, and the room for replies that all connections of a worker share.

use std::net::IpAddr;
use std::sync::Arc;

use super::super::{Edge, Policies, answer_or_silence};
use crate::answer::{Ask, Outcome, Scratch};
use crate::limits;
use crate::publish::Reader;
use crate::telemetry::tally::Counters;
use crate::units::Moment;

/// Octets of a DNS header; a message that announces less closes the connection (RFC 1035 §4.1.1).
const HEADER_OCTETS: usize = 12;
/// Octets of the length prefix.
const PREFIX_OCTETS: usize = 2;

/// What answering needs; never borrowed across an await.
pub(super) struct Desk {
    /// The hold on the world.
    reader: Reader,
    /// Where the policy stands.
    policies: Policies,
    /// Decisions that still hold.
    scratch: Scratch,
    /// What is counted.
    counters: Counters,
    /// Replies, each behind its length.
    output: Box<[u8]>,
}

/// What stands at the start of what was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Frame<'a> {
    /// A whole message.
    Whole(&'a [u8]),
    /// Nothing, or the beginning of a message.
    Partial,
    /// Something that can be no message: the connection ends (RFC 7766 §8 has nothing to resynchronise by).
    Broken,
}

impl<'a> Frame<'a> {
    /// At the start of these octets.
    pub(super) fn at(octets: &'a [u8]) -> Self {
        let Some((prefix, rest)) = octets.split_first_chunk::<PREFIX_OCTETS>() else { return Self::Partial };
        let len = usize::from(u16::from_be_bytes(*prefix));
        match rest.get(..len) {
            _ if len < HEADER_OCTETS => Self::Broken,
            Some(message) => Self::Whole(message),
            None => Self::Partial,
        }
    }
}

/// Whether a connection goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// What is left, if anything, is the beginning of a message.
    Wait,
    /// There may be more whole messages, for which there was no room.
    Again,
    /// The client announced a message that can be none.
    Close,
}

/// What came of some messages.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turn {
    /// Octets of them.
    pub(super) taken: usize,
    /// Octets of their replies.
    pub(super) len: usize,
    /// What is left.
    pub(super) next: Next,
    /// The idle time in milliseconds that the client was told to count on, if it asked for it.
    pub(super) promised_ms: Option<u64>,
}

impl Desk {
    /// On this edge.
    pub(super) fn new(edge: &Edge, counters: Counters) -> Self {
        Self {
            reader: edge.worlds.reader(),
            policies: Arc::clone(&edge.policy),
            scratch: Scratch::default(),
            counters,
            output: vec![0; limits::TCP_UNSENT_OCTETS_MAX].into(),
        }
    }

    /// Lets go of a world that was replaced, so that the writer can free it.
    pub(super) fn look(&mut self) {
        self.reader.world();
    }

    /// Answers whole messages in their order, at most [`limits::TCP_IN_FLIGHT_MAX`] and as many as there is room for replies. Length prefix and
    /// message stand together, to be sent in one go (RFC 7766 §8).
    pub(super) fn answer(&mut self, input: &[u8], source: IpAddr, now: Moment) -> Turn {
        let world = self.reader.world();
        let policy = self.policies.load();
        let ask = Ask { source, transport: self.counters.tally.transport, now, policy: &policy };
        let book = self.counters.open(world);
        let mut turn = Turn { taken: 0, len: 0, next: Next::Again, promised_ms: None };
        for _ in 0..limits::TCP_IN_FLIGHT_MAX {
            let Some(room) = self.output.get_mut(turn.len..turn.len + PREFIX_OCTETS + limits::TCP_MESSAGE_MAX) else { return turn };
            let query = match Frame::at(&input[turn.taken..]) {
                Frame::Whole(query) => query,
                Frame::Partial => return Turn { next: Next::Wait, ..turn },
                Frame::Broken => {
                    book.record(&Outcome::SILENCE);
                    return Turn { next: Next::Close, ..turn };
                }
            };
            turn.taken += PREFIX_OCTETS + query.len();
            let (prefix, reply) = room.split_at_mut(PREFIX_OCTETS);
            match answer_or_silence(query, &ask, world, &mut self.scratch, reply) {
                Ok(outcome) => {
                    book.record(&outcome);
                    if outcome.keepalive {
                        turn.promised_ms = Some(policy.keepalive_ms);
                    }
                    if let (true, Ok(len)) = (outcome.len > 0, u16::try_from(outcome.len)) {
                        prefix.copy_from_slice(&len.to_be_bytes());
                        turn.len += PREFIX_OCTETS + outcome.len;
                    }
                }
                Err(_) => self.counters.tally.count_panic(),
            }
        }
        turn
    }

    /// The replies of the last turn.
    pub(super) fn replies(&self, turn: &Turn) -> &[u8] {
        &self.output[..turn.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc1035_4_2_2_frames_are_whole_partial_or_broken() {
        let header = [7; 12];
        let whole = [&[0, 12][..], &header, &[0, 1]].concat();
        assert_eq!(Frame::at(&whole), Frame::Whole(&header));
        for len in [0, 1, 2, 13] {
            assert_eq!(Frame::at(&whole[..len]), Frame::Partial, "{len}");
        }
        for len in 0..12 {
            assert_eq!(Frame::at(&[0, len]), Frame::Broken, "{len}");
        }
        let largest = vec![0xff; 65_537];
        assert_eq!(Frame::at(&largest[1..]), Frame::Partial);
        assert_eq!(Frame::at(&largest), Frame::Whole(&largest[2..]));
    }
}
