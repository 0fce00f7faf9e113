//! Reads MMDB files of any layout into step functions over both families.
//!
//! The file's tree is walked once and each distinct record is decoded once; then the file's octets are not needed any more. What is
//! kept is small enough to compile every later catalog from it without reading the file again.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use ipnet::IpNet;
use maxminddb::Reader;

use super::GeoError;
use super::census::Census;
use super::record::{Raw, Record};
use super::steps::{Address, Steps};
use super::tree::Tree;
use crate::limits::MMDB_OCTETS_MAX;

/// A database: what it says of every prefix.
#[derive(Clone, Debug)]
pub struct Mmdb {
    /// Number of a record by IPv4 address; 0 is nothing.
    pub(super) v4: Steps<u32>,
    /// The same for IPv6.
    pub(super) v6: Steps<u128>,
    /// Records by number. The first says nothing.
    pub(super) records: Vec<Record>,
    /// What the file says of itself.
    metadata: Metadata,
    /// How much it knows.
    census: Census,
}

/// What a database says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// Its type, for instance `GeoLite2-City`.
    pub kind: Box<str>,
    /// When it was built, in seconds since the Unix epoch.
    pub built: u64,
    /// Number of prefixes with a record.
    pub networks: u64,
    /// Number of distinct records.
    pub records: usize,
}

/// Distinct records with their numbers.
struct Records {
    /// By number.
    list: Vec<Record>,
    /// Number of a record.
    numbers: HashMap<Record, u32>,
}

impl Records {
    /// Only the empty one, number 0.
    fn new() -> Self {
        Self { list: vec![Record::default()], numbers: HashMap::from([(Record::default(), 0)]) }
    }

    /// The number of this record.
    fn number(&mut self, record: Record) -> Result<u32, GeoError> {
        if let Some(number) = self.numbers.get(&record) {
            return Ok(*number);
        }
        let number = u32::try_from(self.list.len()).map_err(|_| GeoError::TooLarge)?;
        self.list.push(record.clone());
        self.numbers.insert(record, number);
        Ok(number)
    }
}

impl Mmdb {
    /// Reads the octets of a file.
    ///
    /// # Errors
    /// [`GeoError`] when they are empty, too many, no MMDB, broken, or say nothing of any place or autonomous system.
    pub fn read(octets: &[u8]) -> Result<Self, GeoError> {
        if octets.is_empty() {
            return Err(GeoError::Empty);
        }
        if octets.len() as u64 > MMDB_OCTETS_MAX {
            return Err(GeoError::TooLarge);
        }
        let reader = Reader::from_source(octets).map_err(|source| GeoError::Open { source: source.into() })?;
        let mut mmdb = Self::walk(&reader, octets)?;
        if mmdb.records.len() == 1 {
            return Err(GeoError::Nothing { kind: mmdb.metadata.kind });
        }
        mmdb.v4.shrink();
        mmdb.v6.shrink();
        Ok(mmdb)
    }

    /// Walks the tree and decodes each distinct record once.
    fn walk(reader: &Reader<&[u8]>, octets: &[u8]) -> Result<Self, GeoError> {
        let about = reader.metadata();
        let mut records = Records::new();
        let mut numbers: HashMap<u32, u32> = HashMap::new(); // of records, by the value of the leaves that lead to them
        let (mut v4, mut v6) = (Steps::<u32>::new(), Steps::<u128>::new());
        let mut networks: Vec<u64> = vec![0]; // by record
        for leaf in Tree::new(octets, about) {
            let leaf = leaf?;
            let number = match numbers.entry(leaf.value) {
                Entry::Occupied(known) => *known.get(),
                Entry::Vacant(unknown) => {
                    let found = reader.lookup(leaf.lowest()).map_err(|source| GeoError::Walk { source: source.into() })?;
                    let raw = found.decode::<Raw>().map_err(|source| GeoError::Decode { source: source.into() })?;
                    *unknown.insert(records.number(raw.unwrap_or_default().record())?)
                }
            };
            networks.resize(records.list.len(), 0);
            networks[number as usize] += 1;
            match leaf.v4() {
                Some((address, len)) => put(&mut v4, address, len, number),
                None => put(&mut v6, leaf.address, leaf.depth, number),
            }
        }
        let (kind, built) = (about.database_type.as_str().into(), about.build_epoch);
        Ok(Self::new(kind, built, v4, v6, records.list, &networks))
    }

    /// Makes a database of prefixes, which may lie within each other: the longest around an address counts, of equal ones the first.
    ///
    /// # Errors
    /// [`GeoError::TooLarge`] with more than 2³² distinct records.
    pub fn from_prefixes(kind: &str, prefixes: impl IntoIterator<Item = (IpNet, Record)>) -> Result<Self, GeoError> {
        let mut records = Records::new();
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        let mut networks: Vec<u64> = vec![0]; // by record
        for (prefix, record) in prefixes {
            let number = records.number(record)?;
            networks.resize(records.list.len(), 0);
            networks[number as usize] += 1;
            v4.extend(u32::of_prefix(&prefix).map(|(address, len)| (address, len, number)));
            v6.extend(u128::of_prefix(&prefix).map(|(address, len)| (address, len, number)));
        }
        Ok(Self::new(kind.into(), 0, Steps::of_prefixes(v4), Steps::of_prefixes(v6), records.list, &networks))
    }

    /// Of step functions over records; `networks` are the prefixes of each record.
    fn new(kind: Box<str>, built: u64, v4: Steps<u32>, v6: Steps<u128>, records: Vec<Record>, networks: &[u64]) -> Self {
        let metadata = Metadata { kind, built, networks: networks.iter().sum(), records: records.len() - 1 };
        let census = Census::of(&v4, &v6, &records, networks);
        Self { v4, v6, records, metadata, census }
    }

    /// The same database, built at another time: in seconds since the Unix epoch, 0 for none.
    #[must_use]
    pub fn built_at(mut self, built: u64) -> Self {
        self.metadata.built = built;
        self
    }

    /// What it says of an address, if anything. An IPv4-mapped IPv6 address is one of IPv4.
    #[must_use]
    pub fn record(&self, address: std::net::IpAddr) -> Option<&Record> {
        let number = match address.to_canonical() {
            std::net::IpAddr::V4(address) => self.v4.at(address.to_bits()),
            std::net::IpAddr::V6(address) => self.v6.at(address.to_bits()),
        };
        (number != 0).then(|| &self.records[number as usize])
    }

    /// What the file says of itself.
    #[must_use]
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// How much it knows.
    #[must_use]
    pub const fn census(&self) -> &Census {
        &self.census
    }

    /// Octets that it holds on the heap, about.
    #[must_use]
    pub fn octets(&self) -> usize {
        self.v4.octets() + self.v6.octets() + self.records.capacity() * size_of::<Record>()
    }
}

/// Appends a leaf of the tree. Leaves come in ascending order.
fn put<A: Address>(steps: &mut Steps<A>, address: A, len: u8, number: u32) {
    steps.push(address, number);
    if let Some(after) = address.last_within(len).next() {
        steps.push(after, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_database_is_told_apart() {
        assert!(matches!(Mmdb::read(b""), Err(GeoError::Empty)));
        assert!(matches!(Mmdb::read(b"<html>503 Service Unavailable</html>"), Err(GeoError::Open { .. })));
    }

    #[test]
    fn the_shipped_database_cut_short_is_an_error_not_a_smaller_world() {
        let octets = include_bytes!("../../geoip/iptoasn-country.mmdb");
        assert!(matches!(Mmdb::read(&octets[..octets.len() / 2]), Err(GeoError::Open { .. })));
        assert!(matches!(Mmdb::read(&octets[octets.len() / 2..]), Err(GeoError::Open { .. } | GeoError::Walk { .. })));
    }
}
