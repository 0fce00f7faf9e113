//! Health, from a probe on the wire to a world in the workers' hands.
#![allow(clippy::unwrap_used, clippy::missing_docs_in_private_items, reason = "a test may panic, and its names are sentences")]

mod aliases;
mod comeback;
mod controller;
mod depends;
mod detection;
mod doubt;
mod failback;
mod false_alarms;
mod load;
mod lookups;
#[cfg(feature = "serve")]
mod probes;
#[cfg(feature = "serve")]
mod publishing;
mod removal;
#[cfg(feature = "serve")]
mod resolving;
mod schedule;
mod small;
#[cfg(feature = "serve")]
mod state_file;
mod tracker;
