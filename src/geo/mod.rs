//! Address → locality: a flat table compiled from MMDB files, the operator's networks and the catalog that consults it.
//!
//! Pure storey: octets of files in, an immutable [`Geo`] out; no file is opened here. Distances and latencies are computed once, at
//! compile time, with the `libm` crate, so that every node has the same matrix to the bit.
//!
//! Invariants
//! - Localities are interned over what the catalog consults only; number 0 is the unknown place.
//! - The leaves of the table partition the address space: two scopes with different localities never overlap (RFC 7871 §7.2.1).
//! - [`Geo::locate`] takes no lock and allocates nothing.
//!
//! What databases tell apart is kept to the last bit, also within a /24 or /48: a client's subnet over several places is under the law of
//! all of them, and must not take on that of its first address alone.
//!
//! | source | what | how |
//! |---|---|---|
//! | RFC 7871 §7.2.1 | a scope covers one answer only; scopes with different answers never overlap | the leaf is the shortest prefix within one range |
//! | RFC 7871 §6 | FAMILY 2 with an IPv4-mapped address | located as the IPv4 address it is, the leaf 96 bits longer |

pub mod build;
mod census;
mod compile;
mod crowds;
mod distance;
mod facts;
mod lookup;
mod mmdb;
mod overlay;
mod record;
mod sample;
mod special;
mod steps;
mod subdivision;
mod table;
mod tree;

pub use census::{CONTINENTS, Census, Count, Extent, Loss, losses};
pub use crowds::Crowd;
pub use distance::{UNKNOWN_RTT_US, metres_between, rtt_between};
pub use lookup::{Lookup, lookup};
pub use mmdb::{Metadata, Mmdb};
pub use overlay::{Overlap, overlay};
pub use record::{Code, Record};
pub use sample::Random;
pub use special::is_special;

use std::net::{IpAddr, Ipv6Addr};
use std::ops::Deref;
use std::sync::Arc;

use steps::Address;
use table::Table;

use crate::catalog::{Catalog, ClientSetId, RegionId};
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
    /// The country, if it is known: a locality never holds two.
    pub country: Option<Code>,
    /// Where it is, on the grid; `None` when not known.
    pub at: Option<Coordinates>,
    /// Names the place for people: `DE`, `US-CA`, `network:office`, `unknown`.
    pub label: Box<str>,
}

/// Where a client is: what a decision is kept under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The locality of the first address of the prefix.
    pub locality: LocalityId,
    /// Length of the table's leaf around that address, after de-aggregation: the shortest prefix within which every address has this locality.
    pub leaf: u8,
    /// Whether the prefix is shorter than the leaf, so that it may hold more places than that locality.
    pub wide: bool,
}

impl Place {
    /// Whether this says nothing of the client, for the whole prefix is private or special and no network of the operator's is in it: then it
    /// is the resolver's place that counts (RFC 7871 §11.3).
    #[must_use]
    #[inline]
    pub fn says_nothing(&self, address: IpAddr, source_len: u8) -> bool {
        self.locality == LocalityId::UNKNOWN && !self.wide && is_special(address, source_len)
    }
}

/// Where a client is, and what follows from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Located {
    /// As [`Place::locality`].
    pub locality: LocalityId,
    /// As [`Place::leaf`].
    pub leaf: u8,
    /// The client sets: the locality's, or, when the prefix is shorter than the leaf, those of every place inside the prefix.
    pub sets: ClientSets,
    /// As [`Place::wide`]: whether `sets` may be more than the locality's.
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

/// A database and what to call it.
#[derive(Clone, Debug)]
pub struct Source {
    /// Its name for people: the file's.
    pub name: Box<str>,
    /// What it says.
    pub database: Mmdb,
}

/// Databases that were read, kept so that the next catalog is compiled without reading the files again. The first that knows a prefix's
/// country decides on it; the others add what it does not say (see [`Geo::compile`]).
#[derive(Clone, Debug, Default)]
pub struct Databases(Arc<[Source]>);

impl Databases {
    /// These, in order of precedence.
    #[must_use]
    pub fn new(sources: Vec<Source>) -> Self {
        Self(sources.into())
    }
}

impl Deref for Databases {
    type Target = [Source];

    fn deref(&self) -> &[Source] {
        &self.0
    }
}

/// What a compiled geography was made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceInfo {
    /// The database's name.
    pub name: Box<str>,
    /// What it says of itself.
    pub metadata: Metadata,
    /// How much it knows.
    pub census: Census,
}

impl SourceInfo {
    /// About this source.
    fn of(source: &Source) -> Self {
        Self { name: source.name.clone(), metadata: source.database.metadata().clone(), census: *source.database.census() }
    }
}

/// Why there is no geography.
#[derive(Debug, thiserror::Error)]
pub enum GeoError {
    /// The file has no octets.
    #[error("the file is empty")]
    Empty,
    /// More than [`crate::limits::MMDB_OCTETS_MAX`] octets, or more distinct records than 32 bits count.
    #[error("the database is too large")]
    TooLarge,
    /// The end of the file does not describe an MMDB, or not one that fits the file.
    #[error("the file is no MMDB, or was cut short")]
    Open {
        /// What is wrong.
        source: Box<maxminddb::MaxMindDbError>,
    },
    /// The search tree is broken.
    #[error("the database's search tree is broken")]
    Walk {
        /// What is wrong.
        source: Box<maxminddb::MaxMindDbError>,
    },
    /// A record is broken.
    #[error("a record of the database is broken")]
    Decode {
        /// What is wrong.
        source: Box<maxminddb::MaxMindDbError>,
    },
    /// Branches of the search tree share nodes or lead in a circle, so that there is no end to it.
    #[error("the database's search tree is broken: its branches share nodes or lead in a circle")]
    NoTree,
    /// No record says anything that is understood here.
    #[error("the database ({kind}) names no country, no coordinates and no autonomous system of any prefix")]
    Nothing {
        /// The type that it says it is.
        kind: Box<str>,
    },
    /// The catalog tells more places apart than [`crate::limits::LOCALITIES_MAX`], even on the coarsest grid.
    #[error("the rules tell more than {} places apart", crate::limits::LOCALITIES_MAX)]
    TooManyLocalities,
}

/// The compiled geography. See the module's invariants.
#[derive(Clone, Debug)]
pub struct Geo {
    /// Localities by number.
    localities: Box<[Locality]>,
    /// Round-trip time in microseconds, locality by locality, a column for each region.
    rtt: Box<[u32]>,
    /// A bit for each of those: whether it is declared.
    declared: Box<[u64]>,
    /// Number of regions.
    regions: usize,
    /// Localities of IPv4 addresses.
    v4: Table<u32>,
    /// Localities of IPv6 addresses.
    v6: Table<u128>,
    /// What it was made of.
    sources: Box<[SourceInfo]>,
    /// Addresses whose country the databases know, all together.
    known: Extent,
    /// How many addresses are where.
    crowds: Box<[Crowd]>,
}

/// Every address is in the unknown place, and there are no regions.
impl Default for Geo {
    fn default() -> Self {
        Self::without_databases(&Catalog::default())
    }
}

impl Geo {
    /// Compiles the geography that this catalog consults from databases and the catalog's own networks, which come before them. The first
    /// database that knows a prefix's country decides on it; later ones add the subdivision, the coordinates and the autonomous system
    /// that are missing, as far as they name the same country.
    ///
    /// # Errors
    /// [`GeoError::TooManyLocalities`] when the rules tell too many places apart; [`GeoError::TooLarge`] when the databases have too many
    /// combinations of records.
    pub fn compile(catalog: &Catalog, sources: &[Source]) -> Result<Self, GeoError> {
        compile::compile(catalog, sources)
    }

    /// The geography of a catalog whose own networks are all that is known.
    ///
    /// # Panics
    /// When the catalog's rules tell more than [`crate::limits::LOCALITIES_MAX`] places apart, which [`Geo::compile`] returns as an error.
    #[must_use]
    pub fn without_databases(catalog: &Catalog) -> Self {
        Self::compile(catalog, &[]).expect("a catalog for which no database was read has few places")
    }

    /// Where the clients of a prefix are. `source_len` is the length of the prefix in the address's family; a longer one than the family
    /// has counts as its whole length. Bits behind it are not looked at.
    #[must_use]
    #[inline]
    pub fn place(&self, address: IpAddr, source_len: u8) -> Place {
        match address {
            IpAddr::V4(address) => self.place_v4(address.to_bits(), source_len),
            IpAddr::V6(address) => self.place_v6(address, source_len),
        }
    }

    /// Reads what [`Geo::place`] will most likely read of the place of an IPv4 address; what is returned means nothing.
    #[must_use]
    #[inline]
    pub fn touch_v4(&self, address: u32) -> u32 {
        self.v4.touch(address)
    }

    /// The same for IPv4.
    #[inline(never)]
    fn place_v4(&self, address: u32, source_len: u8) -> Place {
        place_in(&self.v4, address, source_len)
    }

    /// The same for IPv6, where IPv4 may be mapped.
    #[inline(never)]
    fn place_v6(&self, address: Ipv6Addr, source_len: u8) -> Place {
        match address.to_ipv4_mapped() {
            Some(mapped) if source_len >= 96 => {
                let place = place_in(&self.v4, mapped.to_bits(), source_len - 96);
                Place { leaf: place.leaf + 96, ..place }
            }
            _ => place_in(&self.v6, address.to_bits(), source_len),
        }
    }

    /// Where the clients of a prefix are, and the client sets that they are in.
    #[must_use]
    pub fn locate(&self, address: IpAddr, source_len: u8) -> Located {
        let place = self.place(address, source_len);
        Located { locality: place.locality, leaf: place.leaf, sets: self.sets(place, address, source_len), wide: place.wide }
    }

    /// The client sets of the clients of a prefix that is at `place`.
    #[must_use]
    #[inline]
    pub fn sets(&self, place: Place, address: IpAddr, source_len: u8) -> ClientSets {
        if place.wide { self.sets_of_prefix(address, source_len) } else { self.locality(place.locality).sets }
    }

    /// The client sets of every place within a prefix.
    #[cold]
    fn sets_of_prefix(&self, address: IpAddr, source_len: u8) -> ClientSets {
        match address {
            IpAddr::V4(address) => self.sets_within(&self.v4, address.to_bits(), source_len),
            IpAddr::V6(address) => match address.to_ipv4_mapped() {
                Some(mapped) if source_len >= 96 => self.sets_within(&self.v4, mapped.to_bits(), source_len - 96),
                _ => self.sets_within(&self.v6, address.to_bits(), source_len),
            },
        }
    }

    /// The client sets of every place within a prefix of one family.
    fn sets_within<A: Address>(&self, table: &Table<A>, address: A, len: u8) -> ClientSets {
        let first = address.first_within(len);
        let mut sets = table.sets_between(first, first.last_within(len), &self.localities);
        if first.holds_mapped(len) {
            sets.unite(&self.v4.all_sets(&self.localities));
        }
        sets
    }

    /// The locality of this number.
    #[must_use]
    #[inline]
    pub fn locality(&self, id: LocalityId) -> &Locality {
        &self.localities[usize::from(id.0)]
    }

    /// Every locality, with its number.
    pub fn localities(&self) -> impl Iterator<Item = (LocalityId, &Locality)> {
        (0..=u16::MAX).map(LocalityId).zip(&self.localities)
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
    pub fn rtt_source(&self, id: LocalityId, region: RegionId) -> RttSource {
        let index = usize::from(id.0) * self.regions + region.index();
        if self.declared[index / 64] >> (index % 64) & 1 == 1 {
            RttSource::Declared
        } else if self.locality(id).at.is_some() {
            RttSource::Distance
        } else {
            RttSource::Unknown
        }
    }

    /// What it was made of, in order of precedence. Empty where no database was read: such a node knows the operator's networks only.
    #[must_use]
    pub fn sources(&self) -> &[SourceInfo] {
        &self.sources
    }

    /// Addresses whose country the databases know, all together. The operator's networks are left aside.
    #[must_use]
    pub const fn known(&self) -> Extent {
        self.known
    }

    /// How many IPv4 addresses are where, the largest crowd first; at most [`crate::limits::CROWDS_MAX`]. Never empty.
    #[must_use]
    pub fn crowds(&self) -> &[Crowd] {
        &self.crowds
    }

    /// Number of ranges of addresses, both families together.
    #[must_use]
    pub fn ranges(&self) -> usize {
        self.v4.len() + self.v6.len()
    }

    /// Octets that it holds on the heap, labels left aside.
    #[must_use]
    pub fn octets(&self) -> usize {
        self.v4.octets() + self.v6.octets() + size_of_val(&*self.localities) + size_of_val(&*self.rtt) + size_of_val(&*self.declared)
    }

    /// Every leaf of IPv4, in order: the table de-aggregated to prefixes. For tests and listings.
    pub fn leaves_v4(&self) -> impl Iterator<Item = (ipnet::Ipv4Net, LocalityId)> {
        self.v4.leaves().map(|(address, len, place)| (ipnet::Ipv4Net::new_assert(address.into(), len), LocalityId(place)))
    }

    /// Every leaf of IPv6, in order. IPv4-mapped addresses are found in IPv4's.
    pub fn leaves_v6(&self) -> impl Iterator<Item = (ipnet::Ipv6Net, LocalityId)> {
        self.v6.leaves().map(|(address, len, place)| (ipnet::Ipv6Net::new_assert(address.into(), len), LocalityId(place)))
    }
}

/// Where the clients of a prefix of one family are.
#[inline]
fn place_in<A: Address>(table: &Table<A>, address: A, source_len: u8) -> Place {
    let source_len = source_len.min(A::BITS);
    let found = table.find(address.first_within(source_len));
    Place { locality: LocalityId(found.place), leaf: found.leaf, wide: source_len < found.leaf }
}
