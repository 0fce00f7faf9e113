//! Who watches a decision: nobody on the hot path, a recorder for explanations.

use crate::catalog::{Bits, EndpointId, ResidencyId, Service};
use crate::units::Micros;

/// Told every step of a decision. The silent one compiles to nothing.
pub trait Witness {
    /// Whether it wants to know who is out and why, the bill of every endpoint, also of those that are out of the running, and the whole
    /// ranking, also where only the best is answered. It changes nothing in the answer.
    const CURIOUS: bool = false;

    /// One step.
    fn see(&mut self, step: Step);
}

/// Sees nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Witness for Silent {
    #[inline]
    fn see(&mut self, _step: Step) {}
}

/// Records every step.
#[derive(Clone, Debug, Default)]
pub struct Recorder {
    /// The steps, in order.
    pub steps: Vec<Step>,
}

impl Witness for Recorder {
    const CURIOUS: bool = true;

    fn see(&mut self, step: Step) {
        self.steps.push(step);
    }
}

/// One step of a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The endpoint is out of the running, for this (first) reason.
    Excluded(EndpointId, Exclusion),
    /// Nothing was left, so this no longer counts.
    Relaxed(Relaxation),
    /// The bill of an endpoint.
    Scored {
        /// Which endpoint.
        endpoint: EndpointId,
        /// Round-trip time.
        rtt: Micros,
        /// Price.
        price: Micros,
        /// Load.
        load: Micros,
        /// Penalties: `degraded`, cold.
        penalty: Micros,
        /// Bias.
        bias: Micros,
        /// The sum.
        total: Micros,
    },
    /// The tier that was chosen, and how many of the running endpoints it has.
    Tier {
        /// Number of the tier, 0 first.
        tier: u8,
        /// Endpoints of it that are in the running.
        live: u8,
    },
    /// The preference by place that narrowed the field: its index in the service's list.
    Geo(u8),
}

/// Why an endpoint is out of the running.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exclusion {
    /// It has no address of the asked type (`families = "separate"`).
    Family,
    /// It has no address, since its `alias` is not resolved.
    Unresolved,
    /// A residency rule.
    Residency(ResidencyId),
    /// An operator took it out.
    Out,
    /// It lacks a label that the service requires.
    Require,
    /// It is measured down, or something that it depends on is.
    Down,
    /// It came and went too often, and is held out of service.
    Damped,
    /// It is being drained.
    Drain,
    /// Its round-trip time is beyond `max-rtt`.
    MaxRtt,
    /// It lacks what the service prefers.
    Prefer,
    /// It is only the last resort.
    LastResort,
    /// Its weight is zero.
    Weight,
    /// It stands in a lower tier.
    Tier,
    /// Its tier was left, and no operator has released it since.
    Latched,
    /// A preference by place names others.
    Geo,
}

/// What was given up when nothing was left, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relaxation {
    /// `max-rtt`.
    MaxRtt,
    /// `prefer`.
    Prefer,
    /// That endpoints in `drain` are not given.
    Drain,
    /// That endpoints that are held down for coming and going are not given.
    Damped,
    /// That endpoints that are down are not given (`when-all-down`).
    Down,
}

/// Tells the witness that these endpoints are out.
#[inline]
pub(super) fn see_excluded<W: Witness>(bits: Bits, exclusion: Exclusion, service: &Service, witness: &mut W) {
    if !W::CURIOUS {
        return;
    }
    let mut rest = bits;
    while rest != 0 {
        witness.see(Step::Excluded(EndpointId(service.endpoints.start + rest.trailing_zeros()), exclusion));
        rest &= rest - 1;
    }
}
