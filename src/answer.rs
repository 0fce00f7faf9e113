//! Query + world → reply, in the order of RFC 1034 §4.3.2. Every transport goes through [`answer`].
//!
//! Pure: bytes in, length out, 0 = silence. No lock, no allocation, no log line.

use std::net::IpAddr;

use crate::catalog::{EndpointId, ServiceId, ZoneId};
use crate::steer::{Cells, Reason};
use crate::units::Moment;
use crate::world::World;

/// What is known of a query beside its octets.
#[derive(Clone, Copy, Debug)]
pub struct Ask {
    /// The address that it came from.
    pub source: IpAddr,
    /// How it came.
    pub transport: Transport,
    /// When.
    pub now: Moment,
}

/// How a query came. It decides how long a reply may be and which options are allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// UDP: at most the client's size, at most [`crate::limits::UDP_REPLY_MAX`].
    Udp,
    /// TCP, without the length prefix.
    Tcp,
}

/// What a worker keeps from query to query.
#[derive(Debug, Default)]
pub struct Scratch {
    /// Decisions that still hold.
    pub cells: Cells,
}

/// What came of a query, for counting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Octets of the reply; 0: send nothing.
    pub len: usize,
    /// RCODE, the extended bits included (RFC 6891 §6.1.3).
    pub rcode: u16,
    /// Whether TC was set.
    pub truncated: bool,
    /// The zone that the QNAME is in.
    pub zone: Option<ZoneId>,
    /// What was steered, if anything was.
    pub steered: Option<Steered>,
}

/// The steered part of an outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Steered {
    /// The service.
    pub service: ServiceId,
    /// The first endpoint of the answer, if one was given.
    pub endpoint: Option<EndpointId>,
    /// Why this one.
    pub reason: Reason,
}

/// Answers one query. `reply` is as long as the transport allows at most.
pub fn answer(_query: &[u8], _ask: &Ask, _world: &World, _scratch: &mut Scratch, _reply: &mut [u8]) -> Outcome {
    Outcome { len: 0, rcode: 0, truncated: false, zone: None, steered: None }
}
