//! What the RFCs demand of an authoritative server's replies, clause by clause: a file for each RFC, a name for each clause.
#![allow(missing_docs, clippy::missing_docs_in_private_items, clippy::unwrap_used)] // test names are sentences

#[path = "../support/mod.rs"]
mod support;

mod alias;
mod rfc1034;
mod rfc1035;
mod rfc2181;
mod rfc2308;
mod rfc3225;
mod rfc3597;
mod rfc4035;
mod rfc4592;
mod rfc5001;
mod rfc6891;
mod rfc7828;
mod rfc7830;
mod rfc7871;
mod rfc7873;
mod rfc8020;
mod rfc8482;
mod rfc8906;
mod rfc8914;
mod rfc9018;
mod rfc9460;
mod rfc9471;
mod rfc9619;
mod why;
