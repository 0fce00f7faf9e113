//! What is to happen, and what is expected: plain data, as a scenario file says it.

use std::fmt;
use std::net::IpAddr;

use crate::catalog::{Catalog, EndpointId, Service, glob};
use crate::demand::Clients;
use crate::units::Permille;

/// A scenario.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scenario {
    /// How long it lasts, in milliseconds.
    pub length_ms: u64,
    /// How often the controller looks at its clock while something is going on, in milliseconds.
    pub step_ms: u64,
    /// What draws are made from.
    pub seed: u64,
    /// Who asks.
    pub clients: Clients,
    /// Demands that replace those of the zones.
    pub demands: Box<[Demand]>,
    /// By how many thousandths what is asked differs from what the controller believes.
    pub wrong_by: i32,
    /// Whether endpoints report their load.
    pub reported: bool,
    /// What happens, in its order.
    pub happenings: Box<[Happening]>,
    /// What must hold.
    pub expectations: Box<[Expectation]>,
}

/// What the clients of services ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Demand {
    /// The services: owner names or labels, `*` stands for any text.
    pub service: Box<str>,
    /// How much.
    pub amount: Amount,
}

/// How much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount {
    /// Requests per second.
    Rps(u64),
    /// Thousandths of the service's declared peak.
    OfPeak(u32),
}

/// Something that happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Happening {
    /// When, in milliseconds from the start.
    pub at_ms: u64,
    /// What.
    pub what: What,
}

/// What happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// Endpoints answer no more.
    Down {
        /// Which.
        target: Target,
        /// What asking them comes to.
        how: How,
    },
    /// Endpoints are well again, whatever was the matter with them.
    Up(Target),
    /// Endpoints answer later by so many milliseconds.
    Slow {
        /// Which.
        target: Target,
        /// By how much.
        by_ms: u64,
    },
    /// The certificates of endpoints end after so many milliseconds.
    Certificate {
        /// Which.
        target: Target,
        /// After how long.
        ends_in_ms: u64,
    },
    /// A share of what is asked of endpoints is never answered.
    Lossy {
        /// Which.
        target: Target,
        /// The share.
        share: Permille,
    },
    /// Endpoints come and go; they begin by going.
    Flap {
        /// Which.
        target: Target,
        /// How long they are there each time, in milliseconds.
        up_ms: u64,
        /// And gone.
        down_ms: u64,
        /// For how long this goes on.
        for_ms: u64,
    },
    /// More is asked of services, or less, than before; the controller is not told.
    Surge {
        /// The services, as in [`Demand::service`].
        service: Box<str>,
        /// Thousandths of the demand without any surge.
        factor: u32,
    },
    /// The node does not get through to endpoints any more, whom clients reach as before: a share of what it asks them is never answered.
    Cut {
        /// Which.
        target: Target,
        /// The share; all of it where the node is cut off.
        share: Permille,
        /// Whether the same holds of the node's references.
        references: bool,
        /// For how long, in milliseconds.
        for_ms: u64,
    },
    /// An operator lets clients return to tiers that they left.
    Failback {
        /// The services, as in [`Demand::service`].
        service: Box<str>,
    },
    /// Other zones are loaded: which of the grounds.
    Reload(usize),
    /// The node dies and is started again with what its state file holds.
    Restart,
    /// The prober stops for so many milliseconds.
    Stale {
        /// For how long.
        for_ms: u64,
    },
}

/// What asking an endpoint that is down comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// It refuses at once.
    Refused,
    /// Nothing ever comes back.
    BlackHole,
}

/// Which endpoints are meant; `*` stands for any text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Those in regions of this name.
    Region(Box<str>),
    /// Those in regions of this cloud.
    Cloud(Box<str>),
    /// Those of this name, or `SERVICE/NAME`.
    Endpoint(Box<str>),
}

/// Something that must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expectation {
    /// As it was written.
    pub text: Box<str>,
    /// What.
    pub what: Expected,
}

/// What must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// No client is ever given a region that a residency rule does not allow it.
    Residency,
    /// So many milliseconds after endpoints went down, nobody is given them any more to whom another could be given.
    Recovery {
        /// At most.
        most_ms: u64,
    },
    /// No endpoint is loaded beyond so many thousandths of its capacity.
    MaxLoad {
        /// At most.
        most: u32,
        /// For how long after something happened that does not count, in milliseconds.
        after_ms: u64,
    },
    /// No client is moved more often in any hour.
    Moves {
        /// At most, in thousandths of a move.
        most: u32,
    },
    /// Every client always gets an answer.
    NeverEmpty,
    /// A client gets a region.
    Answers {
        /// Of the service: its owner name or label.
        service: Box<str>,
        /// The client.
        client: IpAddr,
        /// The region; `*` stands for any text.
        region: Box<str>,
        /// When, in milliseconds from the start.
        at_ms: u64,
    },
}

impl Target {
    /// The endpoints of a catalog that are meant, in its order.
    pub fn endpoints<'c>(&'c self, catalog: &'c Catalog) -> impl Iterator<Item = EndpointId> + 'c {
        catalog.endpoints.iter().zip((0..).map(EndpointId)).filter_map(move |(endpoint, id)| {
            let region = catalog.region(endpoint.region);
            let is_meant = match self {
                Self::Region(name) => glob(name, &region.name),
                Self::Cloud(name) => glob(name, &region.cloud),
                Self::Endpoint(name) => glob(name, &endpoint.name) || glob(name, &format!("{}/{}", catalog.service(endpoint.service).name, endpoint.name)),
            };
            is_meant.then_some(id)
        })
    }
}

/// Whether a word that may have `*` names the service, by its owner name or its label.
pub(super) fn names(word: &str, service: &Service) -> bool {
    glob(word, &service.label) || glob(word, &service.name.to_string())
}

/// As a scenario file writes it.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Region(name) => write!(f, "region:{name}"),
            Self::Cloud(name) => write!(f, "cloud:{name}"),
            Self::Endpoint(name) => write!(f, "endpoint:{name}"),
        }
    }
}

/// For people.
impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = |ms: &u64| format!("{}.{:03} s", ms / 1000, ms % 1000);
        match self {
            Self::Down { target, how: How::Refused } => write!(f, "{target} refuses connections"),
            Self::Down { target, how: How::BlackHole } => write!(f, "{target} is a black hole"),
            Self::Up(target) => write!(f, "{target} is well again"),
            Self::Slow { target, by_ms } => write!(f, "{target} answers {by_ms} ms later"),
            Self::Certificate { target, ends_in_ms } => write!(f, "certificates of {target} end in {}", seconds(ends_in_ms)),
            Self::Lossy { target, share } => write!(f, "{target} loses {}.{} %", share.0 / 10, share.0 % 10),
            Self::Flap { target, up_ms, down_ms, .. } => write!(f, "{target} flaps: {} down, {} up", seconds(down_ms), seconds(up_ms)),
            Self::Surge { service, factor } => write!(f, "{service} is asked for {}.{} % of its demand", factor / 10, factor % 10),
            Self::Cut { target, share: Permille::WHOLE, references: false, for_ms } => write!(f, "the node does not reach {target} for {}", seconds(for_ms)),
            Self::Cut { target, share: Permille::WHOLE, references: true, for_ms } => {
                write!(f, "the node reaches neither {target} nor its references for {}", seconds(for_ms))
            }
            Self::Cut { target, share, references, for_ms } => {
                let also = if *references { " and its references" } else { "" };
                write!(f, "the node loses {}.{} % of what it asks {target}{also} for {}", share.0 / 10, share.0 % 10, seconds(for_ms))
            }
            Self::Failback { service } => write!(f, "an operator lets the clients of {service} return"),
            Self::Reload(_) => f.write_str("other zones are loaded"),
            Self::Restart => f.write_str("the node is started again"),
            Self::Stale { for_ms } => write!(f, "the prober stops for {}", seconds(for_ms)),
        }
    }
}
