//! A zone: its apex and what every answer from it needs.

use super::{Name, NodeId, RrSet};

/// A delegated apex.
#[derive(Clone, Debug)]
pub struct Zone {
    /// The apex.
    pub name: Name,
    /// The apex's node.
    pub apex: NodeId,
    /// The SOA record.
    pub soa: Soa,
    /// The NS RRset of the apex.
    pub ns: RrSet,
}

/// The SOA record (RFC 1035 §3.3.13).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Soa {
    /// TTL of the record itself, in seconds.
    pub ttl: u32,
    /// MINIMUM, in seconds: with the TTL it bounds how long a negative answer is kept (RFC 2308 §3, §5).
    pub minimum: u32,
    /// SERIAL, configured or derived from the content: the same on every node.
    pub serial: u32,
    /// RDATA, uncompressed.
    pub rdata: Box<[u8]>,
}

impl Soa {
    /// TTL of the SOA in a negative answer: the smaller of its own TTL and MINIMUM (RFC 2308 §3).
    #[must_use]
    pub const fn negative_ttl(&self) -> u32 {
        if self.ttl < self.minimum { self.ttl } else { self.minimum }
    }
}
