//! Every owner name of every zone in one hash table, with what stands there.
//!
//! A name's hash is taken over its whole wire octets, eight at a time, so that the name that is asked for costs one pass and one probe. Its
//! ancestors are looked at only where there is no such name, and only those that are no deeper than the deepest name there is (RFC 1034
//! §4.3.2, RFC 4592 §3.3.1).

use super::{Name, ServiceId, ZoneId};

/// Index of a node in [`OwnerNames`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u32);

/// One owner name.
#[derive(Clone, Debug)]
pub struct Node {
    /// The name.
    pub name: Name,
    /// Its hash by [`hash_name`].
    pub hash: u64,
    /// The zone it belongs to. At and below a zone cut: the zone above the cut.
    pub zone: ZoneId,
    /// What stands there.
    pub content: Content,
    /// The child `*`, if there is one: source of synthesis for names below this one (RFC 4592 §3.3.1).
    pub wildcard: Option<NodeId>,
}

/// What stands at an owner name.
#[derive(Clone, Debug)]
pub enum Content {
    /// Nothing, but names below it exist: an empty non-terminal (RFC 4592 §2.2.2). NODATA for every type.
    Empty,
    /// Static RRsets by type. At the apex: SOA and NS among them. A CNAME stands alone.
    Records(Box<[RrSet]>),
    /// A zone cut: a referral for everything at and below it (RFC 1034 §4.2.1).
    Cut {
        /// The NS RRset of the child.
        ns: RrSet,
        /// The DS RRset, if any: the one type that the parent side answers with authority (RFC 4035 §3.1.4.1).
        ds: Option<RrSet>,
        /// A and AAAA at the cut itself, where a name server of the child is called like the child: glue, never an answer.
        glue: Box<[RrSet]>,
    },
    /// A name below the zone cut at this node: glue, never an answer.
    BelowCut {
        /// The cut.
        cut: NodeId,
        /// A and AAAA for additional sections.
        glue: Box<[RrSet]>,
    },
    /// A steered service.
    Service {
        /// Which.
        service: ServiceId,
        /// RRsets of types that are not steered (TXT, CAA, MX, …; at the apex SOA and NS). Empty for `cname` services.
        records: Box<[RrSet]>,
    },
}

/// A static RRset (RFC 2181 §5), encoded beforehand. Made by [`RrSet::new`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RrSet {
    /// TYPE code.
    pub rtype: u16,
    /// One TTL for the whole set, in seconds (RFC 2181 §5.2).
    pub ttl: u32,
    /// RDATA of each record, uncompressed, canonical order, no duplicates.
    pub rdata: Box<[Box<[u8]>]>,
    /// Owner names in our zones that hosts of this RRset's RDATA name (NS, MX, SRV, SVCB, HTTPS): their addresses go into the additional section.
    pub additional: Box<[NodeId]>,
}

impl RrSet {
    /// An RRset of these RDATA, each uncompressed wire format; put into canonical order, each once (RFC 4034 §6.3). Its hosts get no
    /// addresses in the additional section until [`RrSet::additional`] names their nodes.
    #[must_use]
    pub fn new(rtype: u16, ttl: u32, rdata: impl IntoIterator<Item = impl Into<Box<[u8]>>>) -> Self {
        let mut rdata: Vec<Box<[u8]>> = rdata.into_iter().map(Into::into).collect();
        rdata.sort_unstable();
        rdata.dedup();
        Self { rtype, ttl, rdata: rdata.into(), additional: Box::new([]) }
    }
}

/// All owner names, an open-addressed table of node indices.
#[derive(Clone, Debug, Default)]
pub struct OwnerNames {
    /// Nodes in canonical order of zone and name.
    nodes: Box<[Node]>,
    /// Power of two, at most half full: 0 is empty, else index + 1, [`PLAIN`] where the name is plain, and above that the upper half of its hash.
    slots: Box<[u64]>,
    /// Labels of the deepest name.
    depth: usize,
    /// By node: what a look-up has to touch of it.
    entries: Box<[Entry]>,
    /// The wire octets of all names, one behind the other.
    octets: Box<[u8]>,
}

/// What a look-up has to touch of a node. Nodes themselves are large and lead to octets elsewhere: a query for one name of thousands would wait for
/// memory several times.
#[derive(Clone, Copy, Debug)]
struct Entry {
    /// Where the name's octets begin.
    start: u32,
    /// The service that stands there, or [`NO_SERVICE`].
    service: u32,
    /// The node's zone.
    zone: ZoneId,
    /// Octets of the name.
    len: u8,
}

/// No service has so high a number.
const NO_SERVICE: u32 = u32::MAX;

/// What was found of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its node.
    pub node: NodeId,
    /// The node's zone.
    pub zone: ZoneId,
    /// The service that stands there, or a number that no service has.
    pub service: ServiceId,
}

/// What a name's hash begins with.
pub const HASH_START: u64 = 0x9e37_79b9_7f4a_7c15;

/// The hash with eight more octets of the name, the first of them lowest; zeros behind the last.
#[must_use]
#[inline]
pub const fn hash_word(hash: u64, word: u64) -> u64 {
    (hash.rotate_left(23) ^ word).wrapping_mul(0xf135_7aea_2e62_a9c5)
}

/// The hash of a name: of its wire octets in lower case, from the first to the root label.
#[must_use]
pub fn hash_name(wire: &[u8]) -> u64 {
    let (words, rest) = wire.as_chunks::<8>();
    let hash = words.iter().fold(HASH_START, |hash, word| hash_word(hash, u64::from_le_bytes(*word)));
    if rest.is_empty() { hash } else { hash_word(hash, rest.iter().rev().fold(0, |word, octet| word << 8 | u64::from(*octet))) }
}

impl OwnerNames {
    /// Builds the table. Nodes refer to each other by their index in `nodes`; names are distinct.
    ///
    /// # Panics
    /// When there are more than 2³¹ nodes, which no limit of the catalog allows.
    #[must_use]
    pub fn new(nodes: Vec<Node>) -> Self {
        let mut slots = vec![0_u64; (nodes.len() * 2).next_power_of_two().max(2)].into_boxed_slice();
        let mask = slots.len() - 1;
        for (index, node) in nodes.iter().enumerate() {
            let mut slot = place_of(node.hash) & mask;
            while slots[slot] != 0 {
                slot = (slot + 1) & mask;
            }
            let number = u64::try_from(index + 1).ok().filter(|number| *number < PLAIN);
            let number = number.expect("limits keep the number of owner names far below 2^31");
            let plain = if is_plain(node.name.wire()) { PLAIN } else { 0 };
            slots[slot] = node.hash >> 32 << 32 | plain | number;
        }
        let depth = nodes.iter().map(|node| node.name.label_count()).max().unwrap_or(0);
        let mut octets = Vec::with_capacity(nodes.iter().map(|node| node.name.wire().len()).sum());
        let entries = nodes.iter().map(|node| {
            let (start, wire) = (octets.len(), node.name.wire());
            octets.extend_from_slice(wire);
            Entry {
                start: u32::try_from(start).expect("limits keep the octets of all owner names far below 2^32"),
                service: if let Content::Service { service, .. } = node.content { service.0 } else { NO_SERVICE },
                zone: node.zone,
                len: u8::try_from(wire.len()).expect("a name has at most 255 octets (RFC 1035 §2.3.4)"),
            }
        });
        let entries = entries.collect();
        Self { nodes: nodes.into(), slots, depth, entries, octets: octets.into() }
    }

    /// Labels of the deepest name, the root not counted: no name with more labels is here.
    #[must_use]
    pub const fn depth(&self) -> usize {
        self.depth
    }

    /// The node of this index.
    #[must_use]
    #[inline]
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0 as usize]
    }

    /// All nodes.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The node whose name has these lower-case wire octets and this hash.
    #[must_use]
    pub fn find_hashed(&self, hash: u64, wire: &[u8]) -> Option<&Node> {
        self.nodes.get(self.index_of(hash, wire, 0)?.0 as usize)
    }

    /// The node whose name is plain and has these wire octets, brought to lower case by [`fold_case`], and their hash.
    #[must_use]
    #[inline(never)]
    pub fn find_folded(&self, hash: u64, wire: &[u8]) -> Option<Found> {
        let (index, entry) = self.index_of(hash, wire, PLAIN)?;
        Some(Found { node: NodeId(index), zone: entry.zone, service: ServiceId(entry.service) })
    }

    /// The node called `name`.
    #[must_use]
    pub fn find(&self, name: &Name) -> Option<NodeId> {
        let (index, _) = self.index_of(hash_name(name.wire()), name.wire(), 0)?;
        Some(NodeId(index))
    }

    /// The node whose name has these octets and this hash, and is plain if `plain` is [`PLAIN`]: its index, and what there is to touch of it.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "measured: on the way of every query")]
    fn index_of(&self, hash: u64, wire: &[u8], plain: u64) -> Option<(u32, &Entry)> {
        let mask = self.slots.len().wrapping_sub(1);
        let mut slot = place_of(hash) & mask;
        loop {
            let held = *self.slots.get(slot)?;
            if held == 0 {
                return None;
            }
            if (held ^ hash) >> 32 == 0 && held & plain == plain {
                let index = (held & (PLAIN - 1)) as u32 - 1;
                let entry = self.entries.get(index as usize)?;
                if usize::from(entry.len) == wire.len() && self.octets.get(entry.start as usize..).is_some_and(|rest| begins(rest, wire)) {
                    return Some((index, entry));
                }
            }
            slot = (slot + 1) & mask;
        }
    }
}

/// Marks a slot of a plain name.
const PLAIN: u64 = 1 << 31;

/// Whether [`fold_case`] brings to these octets, lower case, only what differs from them in case. That is so unless there is an octet with the
/// bit 0x40 that is no letter.
fn is_plain(wire: &[u8]) -> bool {
    wire.iter().all(|octet| octet & 0x40 == 0 || octet.is_ascii_lowercase())
}

/// Eight octets with the bit 0x20 in each that has the bit 0x40: letters in lower case, and some others as what they are not.
#[must_use]
#[inline]
pub const fn fold_case(word: u64) -> u64 {
    word | (word >> 1) & 0x2020_2020_2020_2020
}

/// Whether octets begin with a name, compared eight at a time: a call would cost more than that.
#[inline]
fn begins(octets: &[u8], name: &[u8]) -> bool {
    let Some(octets) = octets.get(..name.len()) else { return false };
    match (octets.last_chunk::<8>(), name.last_chunk::<8>()) {
        (Some(last), Some(name_last)) => last == name_last && octets.as_chunks::<8>().0.iter().zip(name.as_chunks::<8>().0).all(|(word, other)| word == other),
        _ => octets.iter().zip(name).all(|(octet, other)| octet == other),
    }
}

/// A hash as a place in the table, before the mask.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "the low bits are what is wanted")]
const fn place_of(hash: u64) -> usize {
    (hash ^ (hash >> 32)) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folding_brings_to_a_plain_octet_only_its_own_cases() {
        for octet in 0..=u8::MAX {
            let folded = fold_case(u64::from_le_bytes([octet; 8])).to_le_bytes()[0];
            if is_plain(&[folded]) {
                assert_eq!(folded, octet.to_ascii_lowercase(), "{octet:#x}");
            }
        }
        assert!(is_plain(b"\x03api\x04gs-1\0") && !is_plain(b"\x04_tcp\0") && !is_plain(b"\x01A\0") && !is_plain(b"\x01\xe4\0"));
    }
}
