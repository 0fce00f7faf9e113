//! What is decided: verdict, reason, candidates; and what one client gets of it.

use crate::catalog::EndpointId;
use crate::limits::{ANSWERS_MAX, ENDPOINTS_PER_SERVICE_MAX};

/// An endpoint that may be answered, with its share of the clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Candidate {
    /// Which.
    pub endpoint: EndpointId,
    /// Its weight in the rendezvous, at least 1. Counts among sharing candidates only.
    pub weight: u32,
    /// Whether it shares the clients with the candidate before it.
    pub with_previous: bool,
}

impl Candidate {
    /// What an unused place holds.
    pub(super) const NONE: Self = Self { endpoint: EndpointId(0), weight: 0, with_previous: false };
}

/// What is to be answered at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// The endpoints chosen.
    Serve,
    /// An empty answer with the SOA.
    Nodata,
    /// SERVFAIL.
    Servfail,
}

/// Why this answer and not the plain best; a label of metrics, so there are few.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// The best by the service's rules; nothing better is missing.
    Best,
    /// Something that would rank better is down or drained, or its tier has too few: failed over.
    Failover,
    /// A better tier has enough again, and waits for an operator to release it.
    Latched,
    /// Nothing was within `max-rtt`.
    BeyondMaxRtt,
    /// Nothing had what `prefer` wants.
    NotPreferred,
    /// Only endpoints in `drain` were up.
    Draining,
    /// All lawful ones are down: as if they were up.
    AsIfUp,
    /// All lawful ones are down: the last resort.
    LastResort,
    /// All lawful ones are down, and the service wants no answer then.
    AllDown,
    /// Residency, `out` and `require` leave nothing.
    NoneLeft,
}

impl Reason {
    /// Every reason, in the order of their numbers.
    pub const ALL: [Self; 10] = [
        Self::Best,
        Self::Failover,
        Self::Latched,
        Self::BeyondMaxRtt,
        Self::NotPreferred,
        Self::Draining,
        Self::AsIfUp,
        Self::LastResort,
        Self::AllDown,
        Self::NoneLeft,
    ];

    /// As metrics and explanations write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Best => "best",
            Self::Failover => "failover",
            Self::Latched => "latched",
            Self::BeyondMaxRtt => "beyond-max-rtt",
            Self::NotPreferred => "not-preferred",
            Self::Draining => "draining",
            Self::AsIfUp => "as-if-up",
            Self::LastResort => "last-resort",
            Self::AllDown => "all-down",
            Self::NoneLeft => "none-left",
        }
    }
}

/// The outcome of deciding for one cell: every client of a locality shares it; [`Decision::choose`] adds the client's prefix.
#[derive(Clone, Copy, Debug)]
pub struct Decision {
    /// What is answered at all.
    pub verdict: Verdict,
    /// Why.
    pub reason: Reason,
    /// Whether something that matters to the answer is moving, so that `ttl.moving` is due.
    pub moving: bool,
    /// Whether the place of the client was consulted at all.
    pub by_place: bool,
    /// How many of the leading candidates share the clients: the client's prefix orders them. 0 or 1: the first is the same for all.
    pub sharing: u8,
    /// Whether a candidate that counts keeps but a share of its clients ([`crate::health::Status::keeps`]): the client's prefix tells whom it turns
    /// to the next.
    pub thinned: bool,
    /// How many endpoints are answered at most, of distinct regions.
    pub answers: u8,
    /// Number of candidates. A decision that gives every client one fixed endpoint has only that one, unless a curious witness looks on.
    pub count: u8,
    /// The candidates, best first; valid up to `count`.
    pub candidates: [Candidate; ENDPOINTS_PER_SERVICE_MAX],
}

/// What one client gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chosen {
    /// What is answered at all. With anything but [`Verdict::Serve`], no endpoints.
    pub verdict: Verdict,
    /// Why.
    pub reason: Reason,
    /// Whether `ttl.moving` is due rather than `ttl.steady`.
    pub moving: bool,
    /// SCOPE for a client that sent ECS: never shorter than what was consulted (RFC 7871 §7.2.1).
    pub scope: u8,
    /// Number of endpoints.
    pub count: u8,
    /// The endpoints, the best first; valid up to `count`.
    pub endpoints: [EndpointId; ANSWERS_MAX],
}

impl Chosen {
    /// The endpoints, the best first.
    #[must_use]
    pub fn endpoints(&self) -> &[EndpointId] {
        &self.endpoints[..usize::from(self.count)]
    }
}
