//! Aya: an authoritative DNS server that balances services over regions of several clouds.
//!
//! Operators write intent, probes report facts, one controller turns both into an immutable *world*, and each worker answers queries
//! from the world it holds. Deciding is pure; only edges touch the outside. The modules stand in reading order.

// Deciding: values in, values out; no sockets, no clock, no tasks, no logs.
pub mod answer;
pub mod catalog;
pub mod control;
pub mod demand;
pub mod explain;
pub mod geo;
pub mod health;
pub mod limits;
pub mod near;
pub mod schedule;
pub mod simulate;
pub mod steer;
pub mod units;
pub mod wire;
pub mod world;

// Touching the outside. `config` reads files and nothing else; of `resolve` the schedule is pure.
#[cfg(feature = "serve")]
pub mod admin;
#[cfg(feature = "serve")]
pub mod audit;
#[cfg(feature = "serve")]
pub mod cli;
#[cfg(feature = "serve")]
pub mod clock;
pub mod config;
pub mod probe;
#[cfg(feature = "serve")]
pub mod publish;
pub mod resolve;
#[cfg(feature = "serve")]
pub mod server;
#[cfg(feature = "serve")]
pub mod state_file;
#[cfg(feature = "serve")]
pub mod telemetry;
