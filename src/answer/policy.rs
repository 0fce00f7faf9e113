//! What a node's operator wants of every reply, beside the zones.

use ipnet::IpNet;

use super::CookieSecrets;
use crate::limits::TCP_KEEPALIVE_MS;

/// Settings of one node that answering consults. Replaced as a whole, never changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// What the node calls itself to who asks for NSID (RFC 5001 §2.1); empty: nothing.
    pub nsid: Box<[u8]>,
    /// How long a client of TCP or TLS that asks is told that its idle connection is kept, in milliseconds (RFC 7828 §3.3.2).
    pub keepalive_ms: u64,
    /// What server cookies are made and checked with; without any, cookies are ignored as an unknown option is.
    pub cookies: Option<CookieSecrets>,
    /// Who may ask for `_why.SERVICE`.
    pub why_networks: Box<[IpNet]>,
}

impl Default for Policy {
    /// No name, no cookies, no explanations.
    fn default() -> Self {
        Self { nsid: Box::default(), keepalive_ms: TCP_KEEPALIVE_MS, cookies: None, why_networks: Box::default() }
    }
}
