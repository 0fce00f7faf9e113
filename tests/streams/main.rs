//! Streams of messages, plain and encrypted: certificates, connections held against the node, hostile inputs.
#![allow(clippy::unwrap_used, clippy::missing_docs_in_private_items, missing_docs, unreachable_pub, reason = "a test that cannot do what it says has failed")]

mod certificates;
mod client;
mod hostile;
mod made;
mod newcomers;
#[path = "../support/mod.rs"]
mod support;
mod tls;
