//! What the controller is told.

use std::sync::Arc;

use super::drills::{Answers, Drills};
use super::overrides::{Move, Overrides};
use super::{EndpointName, LoadReport, Lookup, State};
use crate::catalog::{AddressType, AliasId, Catalog, ProbeId};
use crate::geo::Geo;
use crate::health::{Observation, ProbeOutcome};
use crate::units::Moment;

/// Something that happened, or that somebody wants.
#[derive(Clone, Debug)]
pub enum Event {
    /// A probe was made.
    Observed {
        /// The epoch of the plan that `probe` is of ([`super::Plan::epoch`]). Of the epoch before, it is still understood; an older one is dropped.
        epoch: u64,
        /// The probe, an index into that plan's catalog.
        probe: ProbeId,
        /// What came of it.
        observation: Observation,
    },
    /// An alias was looked up.
    Resolved {
        /// The epoch of the plan that `alias` is of, as with observations.
        epoch: u64,
        /// The alias, an index into that plan's catalog.
        alias: AliasId,
        /// The type of addresses.
        of: AddressType,
        /// What came of it.
        lookup: Lookup,
    },
    /// Operators changed their files, and the files are right.
    Reloaded {
        /// The new catalog.
        catalog: Arc<Catalog>,
        /// The geography compiled for it.
        geo: Arc<Geo>,
        /// Whether it may remove a zone, more than a tenth of the services or endpoints, or more than half of the addresses whose country is
        /// known ([`crate::geo::losses`]).
        allow_shrink: bool,
    },
    /// A geographic database changed.
    GeographyChanged {
        /// The new geography.
        geo: Arc<Geo>,
        /// [`Catalog::digest`] of the catalog that it was compiled for.
        digest: u64,
    },
    /// What an earlier process knew was read from its file.
    Restored(State),
    /// What an earlier process moved by reloads was read from its file, once more.
    Recalled(Vec<Move>),
    /// An endpoint told its load.
    LoadReported(LoadReport),
    /// An endpoint, or whoever speaks for it, told its health.
    Heard(Heartbeat),
    /// Operators' overrides are these from now on. They are written already.
    Overridden {
        /// All of them.
        overrides: Arc<Overrides>,
        /// Who or what changed them, and why, for those who are told.
        why: Arc<str>,
    },
    /// An operator lets clients return to tiers that they left, wherever enough endpoints are live again.
    Released {
        /// The services' owner names.
        services: Box<[Box<str>]>,
        /// Who did so and why, for those who are told.
        why: Arc<str>,
    },
    /// The node's drill is this from now on, or it has none. It is written already.
    Drilled {
        /// All that is known of drills.
        drills: Arc<Drills>,
    },
    /// Workers' counts of the drill that is running were looked at.
    Answered(Answers),
    /// Time passed.
    Tick,
}

/// What an endpoint tells of its own health.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// Which.
    pub endpoint: EndpointName,
    /// What it tells.
    pub outcome: ProbeOutcome,
    /// Milliseconds within which it will tell it again; `None` as its probe says.
    pub next_ms: Option<u64>,
    /// When this node was told.
    pub at: Moment,
}
