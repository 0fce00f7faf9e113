//! Heartbeats: what endpoints tell of themselves, and what it means that they do not.

use std::collections::{BTreeSet, HashMap};

use super::Controller;
use crate::catalog::{Catalog, ProbeId, ProbeKind};
use crate::control::{Effects, Heartbeat, roster};
use crate::health::{Observation, ProbeFailure, ProbeOutcome};
use crate::units::{Micros, Moment};

/// By when each heartbeat is expected. What is not a heartbeat takes no room.
#[derive(Debug, Default)]
pub(super) struct Expected {
    /// By probe.
    by: HashMap<ProbeId, Moment>,
    /// The same, the earliest first.
    agenda: BTreeSet<(Moment, ProbeId)>,
}

impl Expected {
    /// Those of a catalog of which nothing was heard. The first silence of all decides by itself, so it is given the time in which others fall.
    pub(super) fn of(catalog: &Catalog, now: Moment) -> Self {
        let mut expected = Self::default();
        for (spec, id) in catalog.probes.iter().zip((0..).map(ProbeId)) {
            if matches!(spec.kind, ProbeKind::Push(_)) {
                expected.expect(id, now.plus_millis(u64::from(spec.interval_ms) * u64::from(spec.fall.max(1))));
            }
        }
        expected
    }

    /// After a reload: each probe of `before` is `probes[before]` by now.
    pub(super) fn carried(&self, catalog: &Catalog, probes: &[Option<ProbeId>], now: Moment) -> Self {
        let mut expected = Self::of(catalog, now);
        for (before, by) in &self.by {
            if let Some(after) = probes.get(before.index()).copied().flatten() {
                expected.expect(after, *by);
            }
        }
        expected
    }

    /// The next one is expected by then.
    fn expect(&mut self, probe: ProbeId, by: Moment) {
        if let Some(before) = self.by.insert(probe, by) {
            self.agenda.remove(&(before, probe));
        }
        self.agenda.insert((by, probe));
    }

    /// One that is missing by now. It is expected again within its time from now, so that a node which stood still itself counts that once.
    fn missed(&mut self, catalog: &Catalog, now: Moment) -> Option<ProbeId> {
        let (by, probe) = *self.agenda.first()?;
        (by < now).then(|| {
            self.expect(probe, now.plus_millis(u64::from(catalog.probes[probe.index()].interval_ms).max(1)));
            probe
        })
    }
}

impl Controller {
    /// Takes in what an endpoint tells of itself. One that is not there any more, or not yet, tells it in vain.
    pub(super) fn hear(&mut self, heartbeat: Heartbeat, now: Moment, effects: &mut Effects) {
        let catalog = std::sync::Arc::clone(&self.catalog);
        let Some(id) = roster::find(&catalog, &heartbeat.endpoint) else {
            effects.dropped += 1;
            return;
        };
        let observation = Observation { at: heartbeat.at, outcome: heartbeat.outcome, rtt: Micros::ZERO, expires: None, drill: false };
        for probe in heartbeats_of(&catalog, id) {
            let within = heartbeat.next_ms.unwrap_or_else(|| u64::from(catalog.probes[probe.index()].interval_ms));
            self.expected.expect(probe, heartbeat.at.plus_millis(within));
            self.observe(self.epoch, probe, &observation, now, effects);
        }
    }

    /// Counts the heartbeats that are missing by now.
    pub(super) fn miss(&mut self, now: Moment, effects: &mut Effects) {
        let catalog = std::sync::Arc::clone(&self.catalog);
        while let Some(probe) = self.expected.missed(&catalog, now) {
            let outcome = ProbeOutcome::Failed(ProbeFailure::Missed);
            let observation = Observation { at: now, outcome, rtt: Micros::ZERO, expires: None, drill: false };
            self.observe(self.epoch, probe, &observation, now, effects);
        }
    }
}

/// The probes of an endpoint that are heartbeats, those that it depends on among them.
fn heartbeats_of(catalog: &Catalog, id: crate::catalog::EndpointId) -> Vec<ProbeId> {
    let mut probes: Vec<ProbeId> = catalog.endpoint(id).all_probes().filter(|probe| matches!(catalog.probes[probe.index()].kind, ProbeKind::Push(_))).collect();
    probes.sort_unstable();
    probes.dedup();
    probes
}
