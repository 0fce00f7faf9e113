//! A node on virtual time: the same controller, trackers, probe schedule and steering, over zones and misfortunes that somebody thought up.
//!
//! Pure: a [`Scenario`] and the [`Ground`]s that it plays on go in, a [`Report`] comes out, the same to the letter for the same seed. What the
//! endpoints are *really* like is known here ([`Reality`]), so it can be told who was given a dead one, for how long, and how full the others became.
//!
//! Invariants
//! - Nothing is decided here: observations go through [`crate::control::Controller::handle`], answers come from [`crate::steer::decide`].
//! - That the law was kept is judged by a predicate of its own, from the rules as they are written, not by the bits that steering reads.
//! - Draws depend on the seed only, never on the order of a hash table.
//!
//! What is simplified, and in whose favour: an observation reaches the controller in no time, and workers answer from a world as soon as it is published
//! (a node takes 100 ms at most); there is one prober, near every endpoint; a share of the answers counts as a share of the load, at once, where
//! real load follows as caches expire. That is why the end of the cached answers is told, too.

mod account;
mod blame;
mod engine;
mod reality;
mod report;
mod scenario;

pub use engine::{Ground, Progress, run};
pub use report::{Breach, Entry, Failure, Flow, Load, Report};
pub use scenario::{Amount, Demand, Expectation, Expected, Happening, How, Scenario, Target, What};

use reality::Reality;
