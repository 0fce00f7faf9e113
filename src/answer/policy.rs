//! What a node's operator wants of every reply, beside the zones.

/// Settings of one node that answering consults. Replaced as a whole, never changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// What the node calls itself to who asks for NSID (RFC 5001 §2.1); empty: nothing.
    pub nsid: Box<[u8]>,
}
