//! Asking endpoints how they are.
//!
//! An edge; when which probe is asked says [`crate::schedule`], which is pure. Probes report facts; they decide nothing.
//!
//! Invariants
//! - One probe of a specification at a time, and at most [`crate::limits::PROBES_IN_FLIGHT_MAX`] of all; commands have room of their own.
//! - A probe goes to the very address that its specification names, or to one that its alias was resolved to: no name is resolved here, no redirect
//!   followed, no proxy asked. It is a new connection, since a kept one would hide a server that has stopped accepting, unless the specification
//!   wants it kept: then it is another one after a while, and after whatever did not pass.
//! - Nothing is run but commands of the folder that the node was given, whatever files of zones say.
//! - A failed probe is a value, never an error; a probe that could not be made from here is told apart from one that failed there.

#[cfg(feature = "serve")]
mod asking;
#[cfg(feature = "serve")]
mod certificate;
#[cfg(feature = "serve")]
mod dns;
#[cfg(feature = "serve")]
mod exec;
#[cfg(feature = "serve")]
mod http;
#[cfg(feature = "serve")]
mod run;
#[cfg(feature = "serve")]
mod tcp;
#[cfg(feature = "serve")]
mod tls;

#[cfg(feature = "serve")]
pub use asking::{Meter, NoMeter, Prober};
#[cfg(feature = "serve")]
pub use exec::Commands;
#[cfg(feature = "serve")]
pub(crate) use run::{run, start};
#[cfg(feature = "serve")]
pub use tls::Roots;

pub use crate::schedule::{self, Targets};
