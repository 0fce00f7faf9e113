//! Who asks, and where their load lands: the client mix through the very decisions that answers are made of.
//!
//! Pure, and off the answer path. DNS does not see load, so all of it is told of a *mix*: so many clients at so many places, as the geography counts
//! addresses, as somebody declares countries, or as somebody recorded prefixes. [`Orders`] holds how a service's clients rank its endpoints; from it follow [`Orders::landing`], the
//! share of the clients that each endpoint gets, and [`fit()`], the share of its usual clients that each can keep without going beyond its capacity.
//!
//! Invariants
//! - Nothing is ranked here: orders are those of [`crate::steer::decide`].
//! - Load only ever goes where the law and the rules of the service let it go.

mod fit;
mod mix;
mod orders;
mod shift;
#[cfg(test)]
mod tests;

pub use fit::{Fit, fit};
pub use mix::{Clients, Group, Mix, Recorded};
pub use orders::{Landing, Orders};
pub use shift::{Asked, Flow, Key, Moves, Shift, Side, fit_declared, moves, moves_between, shift};
