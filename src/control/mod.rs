//! The one writer: intent and observations in, worlds out. Pure; `publish` runs it.
//!
//! Everybody who wants something of the world sends an [`Event`]; [`Controller::handle`] answers with [`Effects`], which the edge
//! carries out. Time is an argument.
//!
//! Invariants
//! - Generations only grow. A service's version grows with the generation exactly when one of its statuses changed, or catalog or geography did.
//! - Services are in one situation only if they are decided alike: the same profile, and endpoints with the same statuses.
//! - A refused reload changes nothing.
//! - An override is in force only after it was written ([`Event::Overridden`]); it ends by the controller's clock.
//! - A drill is played only after it was written ([`Event::Drilled`]). Real observations are taken in all the while.
//! - Across a reload an endpoint keeps its health if service, name, addresses and probes are the same; else it starts afresh.
//! - Statuses are held when observations cease: [`crate::world::Statuses::stale`] says so, nothing else changes.
//! - The last good addresses of an alias are held while look-ups fail, for a limited time; a look-up that brings the same ones makes no world.
//! - A tier that was left in a service with manual failback is latched until an operator releases it, or until nothing else has enough.
//! - Nothing here delays or limits the removal of an endpoint that is down.
//! - A first start, what was restored and a reload neither ramp an endpoint nor hold it down.
//!
//! Overrides meet health where [`Controller`] puts a status together. Drills meet it there, too, and at the door where observations
//! come in.

mod aliases;
mod controller;
pub mod drills;
mod effect;
mod event;
mod failback;
pub mod overrides;
mod reload;
mod roster;
mod situations;
mod spill;
mod state;

pub use aliases::{AliasChange, AliasNews, Found, Lookup};
pub use controller::Controller;
pub use effect::{Change, DrillNews, Effects, EndpointName, Held, Partial, Plan, Refused, Why, probe_label};
pub use event::{Event, Heartbeat};
pub use failback::{TierChange, TierNews, Waiting, waiting};
pub use overrides::IntentChange;
pub use situations::Situations;
pub use spill::LoadReport;
pub use state::{AliasState, EndpointState, FailbackState, ProbeState, State, addresses_digest, spec_digest};
