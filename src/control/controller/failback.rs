//! Tiers that were left, as the controller latches and releases them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::Controller;
use super::judge::{Cause, Found};
use crate::catalog::{EndpointId, Need, Needed, ProbeId};
use crate::control::failback::{is_manual, members, range, set, waiting_of};
use crate::control::{Effects, TierChange, TierNews};
use crate::health::{Comeback, Health, Status};
use crate::units::Moment;

impl Controller {
    /// Latches tiers that are left by what is about to be published, and lets go of those that are in use again. What was latched is written at once:
    /// a process that dies must not send its clients back.
    ///
    /// What a drill plays is no reason for either: tiers are settled as they would be without it, so that its end leaves no trace, and what is really
    /// left while it runs is latched all the same.
    ///
    /// What is not probed is known by what it depends on: once the first round is over, of which `became_ready` tells.
    pub(super) fn settle_tiers(&mut self, became_ready: bool, now: Moment, effects: &mut Effects) {
        let is_ready = self.is_ready();
        let hidden = self.stage.take_facts();
        let mut really = None;
        let catalog = Arc::clone(&self.catalog);
        for id in self.latches.services().to_vec() {
            let service = catalog.service(id);
            let is_played = self.stage.pasts().range(EndpointId(service.endpoints.start)..EndpointId(service.endpoints.end)).next().is_some();
            if !became_ready && self.versions[id.index()] != self.world.generation + 1 && !(hidden && is_played) {
                continue;
            }
            let endpoints = &catalog.endpoints[range(service)];
            let is_known = |index: usize| is_ready && endpoints[index].probes.is_empty();
            let news = if is_played {
                let really = really.get_or_insert_with(|| self.really(now));
                let mut statuses = self.statuses[range(service)].to_vec();
                for (endpoint, status) in really.range(EndpointId(service.endpoints.start)..EndpointId(service.endpoints.end)) {
                    statuses[(endpoint.0 - service.endpoints.start) as usize] = *status;
                }
                let news = self.latches.settle(service, id, &mut statuses, is_known);
                for (shown, settled) in self.statuses[range(service)].iter_mut().zip(&statuses) {
                    shown.latched = settled.latched;
                }
                news
            } else {
                self.latches.settle(service, id, &mut self.statuses[range(service)], is_known)
            };
            for (tier, news) in news {
                effects.tiers.push(TierChange { service: service.name.to_string().into(), tier: tier + 1, news, at: now });
                self.versions[id.index()] = self.world.generation + 1;
                self.touched = true;
                self.write_soon(now, effects);
            }
        }
    }

    /// The statuses of all that the drill which is running can have changed, as they would be without it, but for ramps.
    fn really(&self, now: Moment) -> BTreeMap<EndpointId, Status> {
        let real = |probe: ProbeId| &self.trackers[probe.index()];
        let alone = |(id, past): (&EndpointId, &Comeback)| {
            let endpoint = self.catalog.endpoint(*id);
            let terms = self.catalog.service(endpoint.service).recovery;
            let (own, fails) = self.find_by(endpoint, real);
            let mut past = *past;
            past.look(true, now, &terms);
            let mut status = Status { health: own.health, fails, damped: past.hold(&terms).is_some(), blocked: false, ..self.statuses[id.index()] };
            self.intents.mark(*id, &mut status);
            (*id, status)
        };
        let mut of: BTreeMap<EndpointId, Status> = self.stage.pasts().iter().map(alone).collect();
        // Whoever turns out to be blocked may block others. Each does so once.
        let mut queue: VecDeque<EndpointId> = of.keys().copied().collect();
        while let Some(id) = queue.pop_front() {
            let Some(depends) = self.catalog.endpoint(id).depends_on.as_ref().filter(|_| of.get(&id).is_some_and(|status| !status.blocked)) else { continue };
            let is_down = |id: &EndpointId| of.get(id).unwrap_or(&self.statuses[id.index()]).is_down();
            let is_met = |need: &&Need| match &need.of {
                Needed::Probes(probes) => Found::by(probes.iter().map(|probe| real(*probe))).health != Health::Down,
                Needed::Endpoints(ids) => !ids.iter().all(is_down),
            };
            if depends.needs.iter().filter(is_met).count() < usize::from(depends.least)
                && let Some(status) = of.get_mut(&id)
            {
                status.blocked = true;
                queue.extend(self.dependants.get(&id).into_iter().flatten().filter(|id| of.contains_key(id)));
            }
        }
        of
    }

    /// An operator lets clients return: tiers that have enough live endpoints again are released, and take their clients back in the steps of `ramp`.
    pub(super) fn release(&mut self, services: &[Box<str>], why: &Arc<str>, now: Moment, effects: &mut Effects) {
        let catalog = Arc::clone(&self.catalog);
        let named = services.iter().filter_map(|name| catalog.service_named(&name.parse().ok()?));
        for id in named {
            let service = catalog.service(id);
            let Some(waiting) = waiting_of(service, id, &self.statuses[range(service)]).filter(|_| is_manual(service)) else { continue };
            for tier in waiting.ready {
                set(service, tier, &mut self.statuses[range(service)], false);
                for index in members(service, tier) {
                    let endpoint = EndpointId(service.endpoints.start + u32::try_from(index).unwrap_or(u32::MAX));
                    self.readmit(endpoint, now, effects);
                }
                let news = TierNews::Released { why: Arc::clone(why) };
                effects.tiers.push(TierChange { service: service.name.to_string().into(), tier: tier + 1, news, at: now });
                self.versions[id.index()] = self.world.generation + 1;
                self.touched = true;
                self.write_soon(now, effects);
            }
        }
    }

    /// Has an endpoint take its clients back in steps.
    fn readmit(&mut self, id: EndpointId, now: Moment, effects: &mut Effects) {
        let terms = self.catalog.service(self.catalog.endpoint(id).service).recovery;
        self.watch.readmit(id, &terms, now);
        self.judge(id, Cause::Happened, now, effects);
    }

    /// The state is worth writing now.
    pub(super) fn write_soon(&mut self, now: Moment, effects: &mut Effects) {
        effects.persist = true;
        self.unsaved = false;
        self.saved = now;
    }
}
