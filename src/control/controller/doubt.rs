//! Self-doubt: whether it is this node that has lost its network, rather than all the others.
//!
//! Narrow on purpose. Only if the operator configured references, and every one of them was asked and did not answer, and at least
//! [`DOUBT_TARGETS_MIN`] targets in [`DOUBT_CLOUDS_MIN`] clouds did not answer within one interval, does the node hold the statuses that it
//! has. What refuses, breaks off, fails its handshake or answers 500 has answered. What a drill makes fail never counts. The first
//! reference, or target, that answers ends it.

use std::collections::BTreeSet;

use super::Users;
use crate::catalog::{Catalog, ProbeHost, ProbeId};
use crate::health::{Observation, ProbeFailure, ProbeOutcome};
use crate::limits::{DOUBT_CLOUDS_MIN, DOUBT_TARGETS_MIN};
use crate::units::Moment;

/// What is known for and against the node's own network.
#[derive(Debug, Default)]
pub(super) struct Doubt {
    /// For each probe, when it last found silence; `None` if it found anything else since, or nothing at all. Empty without references.
    silent: Box<[Option<Moment>]>,
    /// Whether the statuses are held.
    pub(super) holds: bool,
}

impl Doubt {
    /// Knows nothing yet.
    pub(super) fn new(catalog: &Catalog) -> Self {
        let probes = if catalog.references.is_empty() { 0 } else { catalog.probes.len() };
        Self { silent: vec![None; probes].into(), holds: false }
    }

    /// What is known, after a reload: each probe of `before` is `probes[before]` by now.
    pub(super) fn carried(&self, catalog: &Catalog, probes: &[Option<ProbeId>]) -> Self {
        let mut doubt = Self { holds: self.holds, ..Self::new(catalog) };
        for (silent, after) in self.silent.iter().zip(probes) {
            if let Some(place) = after.and_then(|after| doubt.silent.get_mut(after.index())) {
                *place = *silent;
            }
        }
        doubt
    }

    /// Takes in what a probe found.
    pub(super) fn note(&mut self, probe: ProbeId, observation: &Observation) {
        let Some(silent) = self.silent.get_mut(probe.index()) else { return };
        match &observation.outcome {
            // Made here, or on purpose: says nothing of the network.
            ProbeOutcome::Failed(ProbeFailure::NotAsked(_)) => {}
            ProbeOutcome::Failed(_) if observation.drill => *silent = None,
            ProbeOutcome::Failed(ProbeFailure::TimedOut | ProbeFailure::Missed | ProbeFailure::Unreachable) => *silent = Some(observation.at),
            _ => *silent = None,
        }
    }

    /// Whether the node has reason to doubt itself now.
    pub(super) fn is_due(&self, catalog: &Catalog, users: &Users, now: Moment) -> bool {
        let is_silent = |probe: ProbeId| {
            let spec = &catalog.probes[probe.index()];
            // A failure is complete a time-out after the turn that its interval gave it.
            let recent = u64::from(spec.interval_ms) + u64::from(spec.timeout_ms);
            self.silent.get(probe.index()).copied().flatten().is_some_and(|at| now.millis_since(at) <= recent)
        };
        if catalog.references.is_empty() || !catalog.references.iter().all(|reference| is_silent(*reference)) {
            return false;
        }
        let (mut targets, mut clouds): (BTreeSet<&ProbeHost>, BTreeSet<&str>) = (BTreeSet::new(), BTreeSet::new());
        for (spec, probe) in catalog.probes.iter().zip((0..).map(ProbeId)).filter(|(_, probe)| is_silent(*probe)) {
            for id in &users.endpoints[users.range(probe.index())] {
                targets.insert(&spec.target.host);
                clouds.insert(&catalog.region(catalog.endpoint(*id).region).cloud);
            }
            if targets.len() >= DOUBT_TARGETS_MIN && clouds.len() >= DOUBT_CLOUDS_MIN {
                return true;
            }
        }
        false
    }
}

/// Whether an observation is the silence that a node without a network would see everywhere.
pub(super) const fn is_silence(observation: &Observation) -> bool {
    matches!(observation.outcome, ProbeOutcome::Failed(ProbeFailure::TimedOut | ProbeFailure::Missed | ProbeFailure::Unreachable)) && !observation.drill
}
