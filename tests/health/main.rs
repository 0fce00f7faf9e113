//! Health, from a probe on the wire to a world in the workers' hands.
#![allow(clippy::unwrap_used, clippy::missing_docs_in_private_items, reason = "a test may panic, and its names are sentences")]

mod aliases;
#[cfg(feature = "serve")]
mod answers;
mod comeback;
#[cfg(all(feature = "serve", target_os = "linux"))]
mod commands;
mod controller;
mod depends;
mod detection;
mod doubt;
mod failback;
mod false_alarms;
mod families;
mod heartbeats;
#[cfg(feature = "serve")]
mod kept;
mod load;
mod lookups;
#[cfg(feature = "serve")]
mod probes;
#[cfg(feature = "serve")]
mod publishing;
#[cfg(feature = "serve")]
mod pushing;
mod removal;
#[cfg(feature = "serve")]
mod resolving;
mod schedule;
mod small;
#[cfg(feature = "serve")]
mod state_file;
mod tracker;
#[path = "../support/small.rs"]
mod two;
