//! What a query, an explanation and a probe may know of the drill that is announced or under way.

use std::fmt;

use crate::catalog::{EndpointId, ServiceId};
use crate::health::Fault;
use crate::units::{Moment, Permille};

/// The drill of a node, of which there is one at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rehearsal {
    /// Its number.
    pub id: u64,
    /// What it plays.
    pub deed: Played,
    /// Whether it has begun; before, answers only carry the shorter TTL.
    pub running: bool,
    /// Who made it.
    pub who: Box<str>,
    /// Why.
    pub why: Box<str>,
    /// When it begins.
    pub starts: Moment,
    /// When it ends by itself.
    pub ends: Moment,
    /// The endpoints that it is about, ascending; of those without probes only where it needs none.
    pub endpoints: Box<[EndpointId]>,
    /// The services of these, ascending.
    pub services: Box<[ServiceId]>,
    /// Digests of the probes whose observations it plays with, ascending. Endpoints that are not in it see them as they are.
    pub probes: Box<[u64]>,
}

/// What a drill plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Played {
    /// With observations.
    Fault(Fault),
    /// With what is intended.
    Drain,
}

impl Rehearsal {
    /// Whether it is about this endpoint.
    #[must_use]
    pub fn touches(&self, endpoint: EndpointId) -> bool {
        self.endpoints.binary_search(&endpoint).is_ok()
    }

    /// Whether it is about endpoints of this service.
    #[must_use]
    pub fn touches_service(&self, service: ServiceId) -> bool {
        self.services.binary_search(&service).is_ok()
    }

    /// The fault that it plays with observations of the probe of this digest at the moment.
    #[must_use]
    pub fn fault_of(&self, probe: impl FnOnce() -> u64) -> Option<Fault> {
        match self.deed {
            Played::Fault(fault) if self.running && self.probes.binary_search(&probe()).is_ok() => Some(fault),
            _ => None,
        }
    }
}

/// As in `failing`, `300 ms slower`, `losing 20 % of its probes`, `drained`.
impl fmt::Display for Played {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Fault(Fault::Fail) => f.write_str("failing"),
            Self::Fault(Fault::Slow { by_ms }) => write!(f, "{by_ms} ms slower"),
            Self::Fault(Fault::Lossy { share: Permille(share), .. }) => write!(f, "losing {} of its probes", Permille(share)),
            Self::Drain => f.write_str("drained"),
        }
    }
}

/// As in `failing in drill 3 by anna until 14:05 UTC: game day`, and `to be failing in …` before it begins.
impl fmt::Display for Rehearsal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, deed, who, why, .. } = self;
        if self.running {
            write!(f, "{deed} in drill {id} by {who} until {} UTC: {why}", self.ends.time_of_day())
        } else {
            write!(f, "to be {deed} in drill {id} by {who} from {} to {} UTC: {why}", self.starts.time_of_day(), self.ends.time_of_day())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rehearsal_says_what_is_played_by_whom_until_when_and_why() {
        let drill = Rehearsal {
            id: 3,
            deed: Played::Fault(Fault::Fail),
            running: true,
            who: "anna".into(),
            why: "game day".into(),
            starts: Moment(50_640_000),
            ends: Moment(50_700_000),
            endpoints: [EndpointId(1)].into(),
            services: [ServiceId(0)].into(),
            probes: [9].into(),
        };
        assert_eq!(drill.to_string(), "failing in drill 3 by anna until 14:05 UTC: game day");
        let announced = Rehearsal { running: false, deed: Played::Fault(Fault::Lossy { share: Permille(200), seed: 1 }), ..drill.clone() };
        assert_eq!(announced.to_string(), "to be losing 20 % of its probes in drill 3 by anna from 14:04 to 14:05 UTC: game day");
        assert_eq!((drill.fault_of(|| 9), drill.fault_of(|| 8), announced.fault_of(|| 9)), (Some(Fault::Fail), None, None));
    }
}
