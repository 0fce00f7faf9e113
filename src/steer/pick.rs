//! Picks: tiers, preferences by place, then by score, weight or order; shares by weighted rendezvous.

use crate::catalog::EndpointId;
use crate::limits::{ANSWERS_MAX, ENDPOINTS_PER_SERVICE_MAX};

/// An endpoint that may be answered, with its share of the clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Which.
    pub endpoint: EndpointId,
    /// Its weight in the rendezvous; more than zero.
    pub weight: u32,
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
    /// Something that would rank better is down, or its tier has too few: failed over.
    Failover,
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

/// The outcome of deciding for one cell: every client of a locality shares it; [`Decision::choose`] adds the client's prefix.
#[derive(Clone, Copy, Debug)]
pub struct Decision {
    /// What is answered at all.
    pub verdict: Verdict,
    /// Why.
    pub reason: Reason,
    /// Whether something that matters to the answer is moving, so that `ttl.moving` is due.
    pub moving: bool,
    /// Whether the candidates share the clients (the client's prefix picks) instead of being the answer in this order.
    pub shared: bool,
    /// How many endpoints are answered.
    pub answers: u8,
    /// Number of candidates.
    pub count: u8,
    /// The candidates, best first.
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

impl Decision {
    /// What the client of this prefix gets.
    #[must_use]
    pub fn choose(&self, _client: &super::Client) -> Chosen {
        Chosen { verdict: self.verdict, reason: self.reason, moving: self.moving, scope: 0, count: 0, endpoints: [EndpointId(0); ANSWERS_MAX] }
    }
}
