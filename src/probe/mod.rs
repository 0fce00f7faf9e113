//! Asking endpoints how they are.
//!
//! An edge, but for [`schedule`], which is pure. Probes report facts; they decide nothing.
//!
//! Invariants
//! - One probe of a specification at a time, and at most [`crate::limits::PROBES_IN_FLIGHT_MAX`] of all.
//! - Every probe is a new connection to the very address that its specification names, or to one that its alias was resolved to: no name is resolved here,
//!   no redirect followed, no proxy asked. A kept connection would hide a server that has stopped accepting.
//! - A failed probe is a value, never an error; a probe that could not be made from here is told apart from one that failed there.

#[cfg(feature = "serve")]
mod asking;
#[cfg(feature = "serve")]
mod http;
#[cfg(feature = "serve")]
mod run;
pub mod schedule;
#[cfg(feature = "serve")]
mod tcp;
#[cfg(feature = "serve")]
mod tls;

#[cfg(feature = "serve")]
pub use asking::{Meter, NoMeter, Prober};
#[cfg(feature = "serve")]
pub(crate) use run::run;
#[cfg(feature = "serve")]
pub use tls::Roots;

pub use schedule::Targets;
