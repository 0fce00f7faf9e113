//! What the controller wants done, and what it tells.

use std::fmt;
use std::sync::Arc;

use super::AliasChange;
use super::drills::{Drill, Over};
use super::failback::TierChange;
use super::overrides::{IntentChange, Override, Unsafe};
use crate::catalog::{AddressTypes, Catalog, EndpointId, ProbeKind, ProbeSpec};
use crate::geo::Loss;
use crate::health::{Health, Hold, ProbeOutcome, Unusual};
use crate::units::Moment;
use crate::world::World;

/// What is to be done after events were handled.
#[derive(Clone, Debug, Default)]
pub struct Effects {
    /// A world to publish, at once.
    pub publish: Option<Arc<World>>,
    /// Endpoints whose health is another now, in the order in which it happened.
    pub changes: Vec<Change>,
    /// Endpoints that are held out of service from now on, or no more, in the order in which it happened.
    pub holds: Vec<Held>,
    /// Endpoints of which other types of addresses are down by themselves now.
    pub partial: Vec<Partial>,
    /// Whether the node doubts itself from now on, or no more; `None` when that is as before.
    pub doubt: Option<bool>,
    /// Endpoints over which another override has the say now, or that are drained at last; at most [`crate::limits::INTENTS_TOLD_MAX`] of one change.
    pub intents: Vec<IntentChange>,
    /// How many more there are.
    pub intents_untold: usize,
    /// Overrides that ended by themselves.
    pub expired: Vec<Override>,
    /// What happened to tiers of services with manual failback, in its order.
    pub tiers: Vec<TierChange>,
    /// What is new about the drill, in the order in which it happened.
    pub drill: Vec<DrillNews>,
    /// Whether what is known of the drill is due to be written.
    pub keep_drill: bool,
    /// What is otherwise about aliases, in the order in which it happened.
    pub aliases: Vec<AliasChange>,
    /// Addresses that look-ups brought and no client can use.
    pub unusable: u32,
    /// Whether [`super::Controller::state`] is due to be written.
    pub persist: bool,
    /// What is to be probed from now on.
    pub plan: Option<Plan>,
    /// Why a reload or a geography was not taken.
    pub refusal: Option<Refused>,
    /// Observations and look-ups of plans too old to be understood.
    pub dropped: u32,
}

/// What is new about a drill.
#[derive(Clone, Debug)]
pub enum DrillNews {
    /// It plays from now on.
    Started(Box<Drill>),
    /// It is over, and is to be reported.
    Over(Box<Over>),
}

/// What is to be probed.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Greater with every plan.
    pub epoch: u64,
    /// Its probes and aliases are the plan.
    pub catalog: Arc<Catalog>,
    /// For each probe, whether it starts afresh: it is asked at once, even if an identical one was in the plan before.
    pub fresh: Arc<[bool]>,
}

/// An endpoint by its names, which outlive a reload.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EndpointName {
    /// The zone's apex, without the final dot.
    pub zone: Box<str>,
    /// The service's owner name, without the final dot.
    pub service: Box<str>,
    /// The endpoint's key.
    pub endpoint: Box<str>,
}

impl EndpointName {
    /// The names of an endpoint of the catalog.
    #[must_use]
    pub fn of(catalog: &Catalog, id: EndpointId) -> Self {
        let endpoint = catalog.endpoint(id);
        let service = catalog.service(endpoint.service);
        Self {
            zone: catalog.zones.get(service.zone.index()).map(|zone| zone.name.to_string()).unwrap_or_default().into(),
            service: service.name.to_string().into(),
            endpoint: endpoint.name.clone(),
        }
    }
}

/// As in `api.gslb.example.com/aws-eu-west-1`.
impl fmt::Display for EndpointName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.service, self.endpoint)
    }
}

/// An endpoint's health changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The endpoint.
    pub endpoint: EndpointName,
    /// Its health before.
    pub from: Health,
    /// Its health now.
    pub to: Health,
    /// What changed it.
    pub why: Why,
    /// When.
    pub at: Moment,
}

/// As in `api.gslb.example.com/aws-eu-west-1: up → down (tcp 192.0.2.1:80: connection refused, 3 in a row)`.
impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} → {} ({})", self.endpoint, self.from, self.to, self.why)
    }
}

/// An endpoint is held out of service for coming and going, or is let go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The endpoint.
    pub endpoint: EndpointName,
    /// The hold; `None` when it is let go.
    pub hold: Option<Hold>,
    /// When.
    pub at: Moment,
}

/// As in `api.gslb.example.com/aws-eu-west-1: held down after 4 changes, back at 12:03:10 UTC at the earliest`.
impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.hold {
            Some(hold) => write!(f, "{}: {hold}", self.endpoint),
            None => write!(f, "{}: no longer held down", self.endpoint),
        }
    }
}

/// An endpoint is down for some types of addresses, or no more, whatever its health is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partial {
    /// The endpoint.
    pub endpoint: EndpointName,
    /// The types for which alone it is down; none, when that is over.
    pub fails: AddressTypes,
}

/// What changed an endpoint's health.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// An observation.
    Observed {
        /// The probe, as [`probe_label`] writes it.
        probe: Box<str>,
        /// What came of it.
        outcome: ProbeOutcome,
        /// How many such outcomes came in a row.
        in_row: u8,
    },
    /// Its own past.
    Baseline {
        /// The probe, as [`probe_label`] writes it.
        probe: Box<str>,
        /// What is unusual; `None` when it is as usual again.
        unusual: Option<Unusual>,
    },
    /// Something that it depends on went down.
    DependsOn {
        /// The root: what is down by itself, as `service/endpoint` or as a probe.
        root: Box<str>,
    },
    /// What it depends on is up again.
    Unblocked,
    /// A drill is announced or begins.
    Drill {
        /// Its number.
        id: u64,
    },
    /// A drill is over: what was really observed counts again.
    DrillOver {
        /// Its number.
        id: u64,
    },
    /// Its addresses or probes are others since a reload: it starts afresh.
    Reloaded,
    /// An earlier process knew it.
    Restored,
}

/// For people.
impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Observed { probe, outcome, in_row: 0 | 1 } => write!(f, "{probe}: {outcome}"),
            Self::Observed { probe, outcome, in_row } => write!(f, "{probe}: {outcome}, {in_row} in a row"),
            Self::Baseline { probe, unusual: Some(unusual) } => write!(f, "{probe}: {unusual}"),
            Self::Baseline { probe, unusual: None } => write!(f, "{probe}: as usual again"),
            Self::DependsOn { root } => write!(f, "it depends on {root}, which is down"),
            Self::Drill { id } => write!(f, "drill {id}"),
            Self::DrillOver { id } => write!(f, "drill {id} is over"),
            Self::Unblocked => f.write_str("what it depends on is up again"),
            Self::Reloaded => f.write_str("its addresses or probes were changed"),
            Self::Restored => f.write_str("as it was before the restart"),
        }
    }
}

/// Names a probe for people, as in `https 192.0.2.10:443/healthz`.
#[must_use]
pub fn probe_label(spec: &ProbeSpec) -> String {
    let at = &spec.target;
    match &spec.kind {
        ProbeKind::Http { path, .. } => format!("{} {at}{path}", spec.kind.word()),
        ProbeKind::Tcp | ProbeKind::Tls { .. } => format!("{} {at}", spec.kind.word()),
        ProbeKind::Dns { name, .. } => format!("dns {at} {name}"),
        ProbeKind::Exec { command, .. } => format!("exec {command} {at}"),
        ProbeKind::Push(of) => format!("push {}/{}", of.service, of.endpoint),
    }
}

/// Why a catalog or a geography was not taken. The old world stays.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Zones would go.
    #[error("the reload would remove {} {}; allow it if that is meant", if .0.len() == 1 { "the zone" } else { "the zones" }, .0.join(", "))]
    RemovesZones(Vec<Box<str>>),
    /// More than a tenth of the services would go.
    #[error("the reload would remove {removed} of {of} services, more than a tenth; allow it if that is meant")]
    RemovesServices {
        /// How many would go.
        removed: usize,
        /// Of how many.
        of: usize,
    },
    /// More than a tenth of the endpoints would go.
    #[error("the reload would remove {removed} of {of} endpoints, more than a tenth; allow it if that is meant")]
    RemovesEndpoints {
        /// How many would go.
        removed: usize,
        /// Of how many.
        of: usize,
    },
    /// More than half of the addresses whose country was known would be unknown.
    #[error(
        "the geography would lose more than half of its addresses: {}; if that is meant, allow it (--allow-shrink) or restart",
        .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    )]
    LosesAddresses(Vec<Loss>),
    /// With the overrides in force too few regions would be left.
    #[error(
        "the reload would leave {service} with {left} of the {least} regions that it must keep for every class of clients, overrides counted; clear overrides, or allow it if that is meant"
    )]
    LeavesFewRegions {
        /// The service's owner name.
        service: Box<str>,
        /// How many would be left.
        left: usize,
        /// How many are to be left.
        least: usize,
    },
    /// Too many clients would be moved, or too soon after others.
    #[error(
        "the reload is held: {rule}; {}loosen `[safety]` in a reload of its own first",
        .passes_ms.map_or_else(|| "move them in parts, or ".to_owned(), |wait| format!("reload again in {} s, or ", wait.div_ceil(1_000)))
    )]
    MovesClients {
        /// The rule that is in its way.
        rule: Unsafe,
        /// Milliseconds after which it would pass; `None` where time alone does not help.
        passes_ms: Option<u64>,
    },
    /// The geography was compiled for another catalog than the one that is published by now.
    #[error("the geography was compiled for another catalog")]
    OtherCatalog,
}
