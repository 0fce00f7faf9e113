//! The search tree of an MMDB file, leaf by leaf in the order of addresses.
//!
//! `maxminddb` has such a walk, but it passes over what it takes for an alias of IPv4 without an end: a file of a kilobyte, in which both
//! sides of each node lead to the next, keeps it busy for 2⁹⁶ steps. Here every node that is visited counts.
//!
//! | source | what |
//! |---|---|
//! | MaxMind DB 2.0, "Binary Search Tree Section" | a node has two records of 24, 28 or 32 bits; below the number of nodes a record is a node, equal it is nothing, above it leads to data |
//! | same, "IPv4 addresses in an IPv6 tree" | IPv4 is under `::/96`; other ways to that node (`::ffff:0:0/96`, `2002::/16`, …) are aliases |

use std::net::IpAddr;

use maxminddb::Metadata;

use super::GeoError;

/// Walks the leaves that lead to data, in ascending order of addresses. Aliases of IPv4 are passed over.
pub(super) struct Tree<'a> {
    /// The file; the tree is at its beginning.
    octets: &'a [u8],
    /// Bits of a record.
    record_bits: usize,
    /// Number of nodes.
    nodes: u32,
    /// Bits of an address.
    address_bits: u8,
    /// The node of `::/96` in a tree of IPv6, if it is one.
    v4_node: Option<u32>,
    /// What is left to visit, the next last: a record's value, the lowest address below it and its depth.
    left: Vec<Leaf>,
    /// How many more visits a tree of this size can need.
    visits: u64,
}

/// A place in the tree: a record and where it stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Leaf {
    /// The record's value.
    pub(super) value: u32,
    /// The lowest address below it, right-aligned.
    pub(super) address: u128,
    /// Its depth: the length of its prefix.
    pub(super) depth: u8,
    /// Bits of an address of this tree.
    address_bits: u8,
}

impl Leaf {
    /// The lowest address below it, as the tree's own family.
    pub(super) fn lowest(&self) -> IpAddr {
        match u32::try_from(self.address) {
            Ok(address) if self.address_bits == 32 => IpAddr::V4(address.into()),
            _ => IpAddr::V6(self.address.into()),
        }
    }

    /// As a prefix of IPv4, if it is one: in a tree of IPv6 those below `::/96`.
    pub(super) fn v4(&self) -> Option<(u32, u8)> {
        let len = self.depth.checked_sub(self.address_bits - 32)?;
        u32::try_from(self.address).ok().map(|address| (address, len))
    }
}

impl<'a> Tree<'a> {
    /// The tree of a file whose metadata were found to fit it.
    pub(super) fn new(octets: &'a [u8], about: &Metadata) -> Self {
        let address_bits = if about.ip_version == 4 { 32 } else { 128 };
        let nodes = about.node_count;
        let root = Leaf { value: 0, address: 0, depth: 0, address_bits };
        let visits = u64::from(nodes) * 16 + 64; // TEMP
        let mut tree = Self { octets, record_bits: about.record_size.into(), nodes, address_bits, v4_node: None, left: vec![root], visits };
        if address_bits == 128 {
            let node = (0..96).try_fold(0, |node, _| (node < nodes).then(|| tree.record(node, 0)));
            tree.v4_node = node.filter(|node| *node < nodes);
        }
        tree
    }

    /// The left (0) or right (1) record of a node.
    fn record(&self, node: u32, side: usize) -> u32 {
        let start = node as usize * self.record_bits / 4;
        let octets = &self.octets[start..start + self.record_bits / 4];
        let whole = |octets: &[u8]| octets.iter().fold(0, |value, octet| value << 8 | u32::from(*octet));
        match (self.record_bits, side) {
            // 24 bits of the left, its upper 4 bits and the right's, 24 bits of the right.
            (28, 0) => u32::from(octets[3] >> 4) << 24 | whole(&octets[..3]),
            (28, _) => u32::from(octets[3] & 15) << 24 | whole(&octets[4..]),
            (_, 0) => whole(&octets[..octets.len() / 2]),
            (_, _) => whole(&octets[octets.len() / 2..]),
        }
    }
}

impl Iterator for Tree<'_> {
    type Item = Result<Leaf, GeoError>;

    fn next(&mut self) -> Option<Self::Item> {
        while let Some(place) = self.left.pop() {
            let Some(visits) = self.visits.checked_sub(1) else {
                self.left.clear();
                return Some(Err(GeoError::NoTree));
            };
            self.visits = visits;
            let is_alias = self.v4_node == Some(place.value) && (place.address, place.depth) != (0, 96);
            if is_alias || place.value == self.nodes {
                continue;
            }
            if place.value > self.nodes {
                return Some(Ok(place));
            }
            if place.depth == self.address_bits {
                self.left.clear();
                return Some(Err(GeoError::NoTree));
            }
            let depth = place.depth + 1;
            let upper = place.address | 1 << (self.address_bits - depth);
            let (left, right) = (self.record(place.value, 0), self.record(place.value, 1));
            self.left.push(Leaf { value: right, address: upper, depth, ..place });
            self.left.push(Leaf { value: left, depth, ..place });
        }
        None
    }
}
