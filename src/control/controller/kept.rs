//! What outlives the process: told to be written, and taken in again.

use std::collections::HashMap;
use std::sync::Arc;

use super::Controller;
use super::judge::Cause;
use crate::catalog::{AliasId, EndpointId, ProbeId};
use crate::control::state::{addresses_digest, spec_digest};
use crate::control::{Effects, EndpointState, ProbeState, State, Why, roster};
use crate::health::Rule;
use crate::units::Moment;

impl Controller {
    /// What is worth keeping beyond the process.
    #[must_use]
    pub fn state(&self, now: Moment) -> State {
        let catalog = &self.catalog;
        let known = |id: &ProbeId| {
            let tracker = &self.trackers[id.index()];
            let observed = tracker.observed()?.0;
            Some(ProbeState { spec: spec_digest(&catalog.probes[id.index()]), health: tracker.health(), observed })
        };
        let endpoints = catalog.endpoints.iter().filter_map(|endpoint| {
            let probes: Vec<ProbeState> = endpoint.all_probes().filter_map(|probe| known(&probe)).collect();
            (!probes.is_empty()).then(|| EndpointState {
                service: catalog.service(endpoint.service).name.to_string().into(),
                endpoint: endpoint.name.clone(),
                addresses: addresses_digest(catalog, endpoint),
                probes,
            })
        });
        State {
            saved: now.0,
            endpoints: endpoints.collect(),
            aliases: self.aliases.state(catalog),
            failback: self.latches.state(catalog, &self.statuses),
            moves: self.moves().to_vec(),
        }
    }

    /// Takes in what an earlier process knew of endpoints and probes that are still the same.
    pub(super) fn restore(&mut self, state: &State, now: Moment, effects: &mut Effects) {
        let catalog = Arc::clone(&self.catalog);
        let known: HashMap<(String, &str), EndpointId> =
            roster::by_name(&catalog).into_iter().map(|((service, endpoint), id)| ((service.to_string(), endpoint), id)).collect();
        self.paces.learn(&state.moves, now);
        self.aliases.restore(&catalog, &state.aliases, now);
        for id in self.latches.restore(&catalog, &state.failback, &mut self.statuses) {
            self.versions[id.index()] = self.world.generation + 1;
            self.touched = true;
        }
        for id in (0..).map(AliasId).take(catalog.aliases.len()) {
            self.judge_aliased(id, now, effects);
        }
        for kept in &state.endpoints {
            let Some(&id) = known.get(&(kept.service.to_string(), &*kept.endpoint)) else { continue };
            let endpoint = catalog.endpoint(id);
            if addresses_digest(&catalog, endpoint) != kept.addresses {
                continue;
            }
            for probe in endpoint.all_probes() {
                let spec = &catalog.probes[probe.index()];
                let digest = spec_digest(spec);
                let Some(kept) = kept.probes.iter().find(|kept| kept.spec == digest) else { continue };
                // A wall clock that was set back between the processes makes no evidence of the future.
                let observed = Moment(kept.observed).min(now);
                if self.trackers[probe.index()].restore(kept.health, observed, &Rule::of(spec)) {
                    self.observed = self.observed.max(observed);
                    self.judge_users(probe, Cause::Known, now, || Why::Restored, effects);
                }
            }
        }
    }
}
