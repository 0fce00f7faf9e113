//! Address → locality: a flat table compiled from MMDB files, the operator's networks and the catalog that consults it.
//!
//! Pure storey: octets of files in, an immutable [`Geo`] out; no file is opened here. Distances and latencies are computed once, at
//! compile time, with the `libm` crate, so that every node has the same matrix to the bit.
//!
//! Invariants
//! - Localities are interned over what the catalog consults only; number 0 is the unknown place.
//! - The leaves of the table partition the address space: two scopes with different localities never overlap (RFC 7871 §7.2.1).
//! - [`Geo::locate`] takes no lock and allocates nothing.

use std::net::IpAddr;

use crate::catalog::{ClientSetId, RegionId};
use crate::limits::CLIENT_SETS_MAX;
use crate::units::{Coordinates, Micros};

/// Number of a locality in one [`Geo`]. 0 is the unknown place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LocalityId(pub u16);

impl LocalityId {
    /// The place of addresses that nobody knows.
    pub const UNKNOWN: Self = Self(0);
}

/// Which client sets of the catalog a client belongs to, a bit for each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientSets([u64; CLIENT_SETS_MAX / 64]);

impl ClientSets {
    /// In no set.
    pub const NONE: Self = Self([0; CLIENT_SETS_MAX / 64]);

    /// Whether the client is in the set.
    #[must_use]
    #[inline]
    pub const fn has(&self, set: ClientSetId) -> bool {
        self.0[set.0 as usize / 64] >> (set.0 % 64) & 1 == 1
    }

    /// Puts the client into the set.
    pub const fn insert(&mut self, set: ClientSetId) {
        self.0[set.0 as usize / 64] |= 1 << (set.0 % 64);
    }

    /// What either is in.
    #[inline]
    pub fn unite(&mut self, other: &Self) {
        for (word, other) in self.0.iter_mut().zip(other.0) {
            *word |= other;
        }
    }
}

/// What an address tells about its place, as far as the catalog consults it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Locality {
    /// The client sets that clients of this place are in. [`crate::catalog::ClientSet::UNKNOWN`] is among them when the country is not known.
    pub sets: ClientSets,
    /// Where it is, on the grid; `None` when not known.
    pub at: Option<Coordinates>,
    /// Names the place for people: `DE`, `US-CA`, `network:office`, `unknown`.
    pub label: Box<str>,
}

/// Where a client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Located {
    /// The locality of the first address of the prefix.
    pub locality: LocalityId,
    /// Length of the table's leaf around that address, after de-aggregation: the shortest prefix within which every address has this locality.
    pub leaf: u8,
    /// The client sets: the locality's, or, when the prefix is shorter than the leaf, those of every place inside the prefix.
    pub sets: ClientSets,
    /// Whether the prefix is shorter than the leaf, so that `sets` may be more than the locality's.
    pub wide: bool,
}

/// Where a round-trip time comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RttSource {
    /// Declared in the catalog's latency table.
    Declared,
    /// Estimated from great-circle distance.
    Distance,
    /// The place is not known: the same for every region.
    Unknown,
}

/// The compiled geography. See the module's invariants.
#[derive(Clone, Debug, Default)]
pub struct Geo {
    /// Localities by number.
    localities: Box<[Locality]>,
    /// Round-trip time in microseconds, locality by locality, a column for each region.
    rtt: Box<[u32]>,
    /// Number of regions.
    regions: usize,
}

impl Geo {
    /// Where the clients of a prefix are. `source_len` is the length of the prefix in the address's family.
    #[must_use]
    pub fn locate(&self, _address: IpAddr, _source_len: u8) -> Located {
        let mut sets = ClientSets::NONE;
        sets.insert(crate::catalog::ClientSet::UNKNOWN);
        Located { locality: LocalityId::UNKNOWN, leaf: 0, sets, wide: false }
    }

    /// The locality of this number.
    #[must_use]
    pub fn locality(&self, id: LocalityId) -> &Locality {
        &self.localities[usize::from(id.0)]
    }

    /// Round-trip times from a locality in microseconds, one for each region.
    #[must_use]
    #[inline]
    pub fn rtt_row(&self, id: LocalityId) -> &[u32] {
        let start = usize::from(id.0) * self.regions;
        &self.rtt[start..start + self.regions]
    }

    /// Round-trip time from a locality to a region.
    #[must_use]
    pub fn rtt(&self, id: LocalityId, region: RegionId) -> Micros {
        Micros(i64::from(self.rtt_row(id)[region.index()]))
    }

    /// Where that round-trip time comes from.
    #[must_use]
    pub fn rtt_source(&self, _id: LocalityId, _region: RegionId) -> RttSource {
        RttSource::Unknown
    }
}
