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
mod shares;
mod tiers;
mod witness;

pub use cells::{Cells, Plain};
pub use decision::{Candidate, Chosen, Decision, Reason, Verdict};
pub use eligible::binds;
pub use shares::ALL_CLIENTS;
pub use tiers::{Standing, standing};
pub use witness::{Exclusion, Recorder, Relaxation, Silent, Step, Witness};

use std::net::IpAddr;

use crate::catalog::ServiceId;
use crate::geo::{ClientSets, Geo, Place};
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
    pub place: Place,
    /// Its prefix: bits behind the length mean nothing.
    address: IpAddr,
    /// How many bits of it are known.
    source_len: u8,
}

impl Client {
    /// The client behind a prefix: an ECS option's address and SOURCE, or a resolver's address and its full length.
    #[must_use]
    #[inline]
    pub fn at(address: IpAddr, source_len: u8, geo: &Geo) -> Self {
        Self { place: geo.place(address, source_len), address, source_len }
    }

    /// The same client in another world, whose geography may place it elsewhere.
    #[must_use]
    pub fn in_world(&self, world: &World) -> Self {
        Self::at(self.address, self.source_len, &world.geo)
    }

    /// The client sets that it is in.
    #[must_use]
    #[inline]
    pub fn sets(&self, geo: &Geo) -> ClientSets {
        geo.sets(self.place, self.address, self.source_len)
    }

    /// How many bits shares of clients are told apart by: min(source, /24 or /56).
    #[must_use]
    pub fn hashed_len(&self) -> u8 {
        self.source_len.min(if self.address.is_ipv4() { V4_HASHED_MAX } else { V6_HASHED_MAX })
    }

    /// Its address cut to [`Client::hashed_len`] bits, left-aligned: what draws lots for it, and nothing more of it.
    #[must_use]
    pub fn prefix(&self) -> u128 {
        let bits = match self.address {
            IpAddr::V4(address) => u128::from(address.to_bits()) << 96,
            IpAddr::V6(address) => address.to_bits(),
        };
        match self.hashed_len() {
            0 => 0,
            len => bits & (u128::MAX << (128 - u32::from(len))),
        }
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
