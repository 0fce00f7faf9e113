//! Every owner name of every zone in one hash table, with what stands there.
//!
//! A name's hash is built label by label from the root, so that one pass over a query name yields the hash of each of its ancestors:
//! finding the closest encloser of a name that does not exist costs no second hashing (RFC 1034 §4.3.2, RFC 4592 §3.3.1).

use super::{Name, ServiceId, ZoneId};

/// Index of a node in [`OwnerNames`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u32);

/// One owner name.
#[derive(Clone, Debug)]
pub struct Node {
    /// The name.
    pub name: Name,
    /// Its hash by [`hash_root`] and [`hash_label`].
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
    /// Power of two, at most half full: 0 is empty, else index + 1.
    slots: Box<[u32]>,
}

/// The hash of the root name.
#[must_use]
pub const fn hash_root() -> u64 {
    0x9e37_79b9_7f4a_7c15
}

/// The hash of the name that `label` (lower case) makes in front of a name with the hash `parent`.
#[must_use]
pub fn hash_label(parent: u64, label: &[u8]) -> u64 {
    let mut hash = hash_start(parent, label.len());
    for chunk in label.chunks(8) {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        hash = hash_word(hash, u64::from_le_bytes(word));
    }
    hash ^ (hash >> 29)
}

/// As [`hash_label`], for the label of `len` octets that begins at `at`: eight octets are loaded at once, whatever follows the label. Where
/// fewer than eight follow the beginning of the last word, the result is that of another name; so keep `octets` that much longer.
#[must_use]
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "one to eight octets are left")]
pub fn hash_label_in(parent: u64, octets: &[u8], mut at: usize, len: usize) -> u64 {
    let mut hash = hash_start(parent, len);
    let mut left = len;
    while left > 8 {
        hash = hash_word(hash, word_at(octets, at));
        (at, left) = (at + 8, left - 8);
    }
    // One to eight octets are left of any label.
    hash = hash_word(hash, word_at(octets, at) & u64::MAX.wrapping_shr(64_u32.wrapping_sub(8 * left as u32)));
    hash ^ (hash >> 29)
}

/// The eight octets from `at` on, the first of them lowest; 0 where there are fewer.
#[inline]
fn word_at(octets: &[u8], at: usize) -> u64 {
    octets.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |word| u64::from_le_bytes(*word))
}

/// What every word is multiplied by.
const MULTIPLIER: u64 = 0xf135_7aea_2e62_a9c5;

/// The hash before a label's first word.
#[inline]
const fn hash_start(parent: u64, len: usize) -> u64 {
    (parent ^ len as u64).wrapping_mul(MULTIPLIER)
}

/// The hash with eight more octets, the first of them lowest; zeros behind the last.
#[inline]
const fn hash_word(hash: u64, word: u64) -> u64 {
    (hash.rotate_left(23) ^ word).wrapping_mul(MULTIPLIER)
}

/// The hash of a whole name.
#[must_use]
pub fn hash_name(name: &Name) -> u64 {
    let mut labels: Vec<&[u8]> = name.labels().collect();
    labels.reverse();
    labels.into_iter().fold(hash_root(), hash_label)
}

impl OwnerNames {
    /// Builds the table. Nodes refer to each other by their index in `nodes`; names are distinct.
    ///
    /// # Panics
    /// When there are more than 2³¹ nodes, which no limit of the catalog allows.
    #[must_use]
    pub fn new(nodes: Vec<Node>) -> Self {
        let mut slots = vec![0_u32; (nodes.len() * 2).next_power_of_two().max(2)].into_boxed_slice();
        let mask = slots.len() - 1;
        for (index, node) in nodes.iter().enumerate() {
            let mut slot = fold(node.hash) & mask;
            while slots[slot] != 0 {
                slot = (slot + 1) & mask;
            }
            slots[slot] = u32::try_from(index + 1).expect("limits keep the number of owner names far below 2^32");
        }
        Self { nodes: nodes.into(), slots }
    }

    /// The node of this index.
    #[must_use]
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
    #[inline]
    pub fn find_hashed(&self, hash: u64, wire: &[u8]) -> Option<NodeId> {
        let mask = self.slots.len().checked_sub(1)?;
        let mut slot = fold(hash) & mask;
        loop {
            let found = self.slots[slot].checked_sub(1)?;
            let node = &self.nodes[found as usize];
            if node.hash == hash && node.name.wire() == wire {
                return Some(NodeId(found));
            }
            slot = (slot + 1) & mask;
        }
    }

    /// The node called `name`.
    #[must_use]
    pub fn find(&self, name: &Name) -> Option<NodeId> {
        self.find_hashed(hash_name(name), name.wire())
    }
}

/// A hash as a place in the table, before the mask.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "the low bits are what is wanted")]
const fn fold(hash: u64) -> usize {
    (hash ^ (hash >> 32)) as usize
}
