//! What operators intend with endpoints: from a wish to answers, to the disk, over the API and the command line.
#![allow(clippy::unwrap_used, clippy::missing_docs_in_private_items, reason = "a test may panic, and its names are sentences")]

mod api;
mod at_will;
mod cli;
mod desk;
mod durable;
mod failback;
mod killed;
mod node;
mod reload;
mod safety;
mod scenes;

#[path = "../support/small.rs"]
mod small;
#[path = "../support/node.rs"]
mod whole;
