//! The admin API as its clients see it: what it refuses, whom it lets in, what it tells as it happens, and that answering never depends on it.
#![allow(clippy::unwrap_used, clippy::missing_docs_in_private_items, missing_docs, unreachable_pub, reason = "a test that cannot do what it says has failed")]

#[path = "../support/mod.rs"]
mod support;

mod cli;
mod described;
mod events;
mod guarded;
mod node;
mod refusals;
mod told;

#[path = "../support/small.rs"]
mod small;
