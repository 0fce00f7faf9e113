//! Which endpoints, for this client: `decide = eligible → score → pick`.
//!
//! Pure: a function of world and client. Explanations run the very same [`decide`] with a recording [`Witness`]; there is no second
//! ranking. Integers only.
//!
//! Invariants
//! - Residency, `out` and `require` are never relaxed, not even when everything is down.
//! - Making an endpoint worse never improves its rank; the order of files never matters.
//! - No published answer set is empty because of health unless the zone's policy says so.

mod cells;
mod decision;
mod eligible;
mod pick;
mod rendezvous;
mod score;
mod settle;
mod witness;

pub use cells::Cells;
pub use decision::{Candidate, Chosen, Decision, Reason, Verdict};
pub use eligible::binds;
pub use witness::{Exclusion, Recorder, Relaxation, Silent, Step, Witness};

use std::net::IpAddr;

use crate::catalog::ServiceId;
use crate::geo::{Geo, Located};
use crate::limits::{V4_HASHED_MAX, V6_HASHED_MAX};
use crate::world::World;

/// What is to be decided, and for whom.
#[derive(Clone, Copy, Debug)]
pub struct Ask {
    /// The service.
    pub service: ServiceId,
    /// The client.
    pub client: Client,
    /// The family that QTYPE wants; matters to services with `families = "separate"` only.
    pub family: Family,
}

/// A family of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// QTYPE names none (HTTPS, CNAME services, …).
    Any,
    /// A.
    V4,
    /// AAAA.
    V6,
}

/// A client as steering sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    /// Where it is.
    pub located: Located,
    /// Its address, left-aligned in 128 bits.
    bits: u128,
    /// How many bits shares of clients are told apart by: min(source, /24 or /56).
    pub hashed_len: u8,
}

impl Client {
    /// The client behind a prefix: an ECS option's address and SOURCE, or a resolver's address and its full length.
    #[must_use]
    #[inline]
    pub fn at(address: IpAddr, source_len: u8, geo: &Geo) -> Self {
        let (bits, cap) = match address {
            IpAddr::V4(address) => (u128::from(address.to_bits()) << 96, V4_HASHED_MAX),
            IpAddr::V6(address) => (address.to_bits(), V6_HASHED_MAX),
        };
        let hashed_len = source_len.min(cap);
        Self { located: geo.locate(address, source_len), bits, hashed_len }
    }

    /// Its address cut to [`Client::hashed_len`] bits: what draws lots for it, and nothing more of it.
    #[must_use]
    pub const fn prefix(&self) -> u128 {
        if self.hashed_len == 0 { 0 } else { self.bits & (u128::MAX << (128 - self.hashed_len as u32)) }
    }
}

/// Decides: which endpoints this client gets, in what order or shares, and why.
#[must_use]
pub fn decide(ask: &Ask, world: &World, witness: &mut impl Witness) -> Decision {
    let eligible = eligible::admit(ask, world, witness);
    let mut ranked = score::Ranked::of(eligible);
    score::rank(ask, world, &mut ranked, witness);
    pick::choose(ask, world, &ranked, witness)
}
