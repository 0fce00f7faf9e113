//! Looking up the names that endpoints take their addresses from.
//!
//! An edge, but for [`schedule`], which is pure. Look-ups report what they find; what is given to clients the controller decides.
//!
//! Invariants
//! - One look-up of a name and type at a time, and at most [`crate::limits::ALIAS_LOOKUPS_MAX`] of all.
//! - Nothing is kept here: every look-up asks a name server, and what that says of its age is what counts.
//! - A failed look-up is a value, never an error.
//!
//! | RFC | what | |
//! |---|---|---|
//! | RFC 1034 | §5.3.1 stub resolver; §3.6.2 CNAMEs are followed | done, by hickory-resolver |
//! | RFC 2181 | §5.2, §8 the TTL of what was found is the smallest of the chain | done |
//! | RFC 2308 | §5 negative answers are not kept: a failure is asked again by our own step | deliberately otherwise |
//! | RFC 8767 | §5 what is known is given while nothing better can be found | done, by the controller |

#[cfg(feature = "serve")]
mod ask;
#[cfg(feature = "serve")]
mod run;
pub mod schedule;

#[cfg(feature = "serve")]
pub use ask::{NameServers, Resolver};
#[cfg(feature = "serve")]
pub(crate) use run::run;
#[cfg(feature = "serve")]
pub use run::{Meter, NoMeter};
