//! Tiers that were left, as the controller latches and releases them.

use std::sync::Arc;

use super::Controller;
use super::judge::Cause;
use crate::catalog::EndpointId;
use crate::control::failback::{is_manual, members, range, set, waiting_of};
use crate::control::{Effects, TierChange, TierNews};
use crate::units::Moment;

impl Controller {
    /// Latches tiers that are left by what is about to be published, and lets go of those that are in use again. What was latched is written at once:
    /// a process that dies must not send its clients back.
    pub(super) fn settle_tiers(&mut self, now: Moment, effects: &mut Effects) {
        let catalog = Arc::clone(&self.catalog);
        for id in self.latches.services().to_vec() {
            if self.versions[id.index()] != self.world.generation + 1 {
                continue;
            }
            let service = catalog.service(id);
            for (tier, news) in self.latches.settle(service, id, &mut self.statuses[range(service)]) {
                effects.tiers.push(TierChange { service: service.name.to_string().into(), tier: tier + 1, news, at: now });
                self.write_soon(now, effects);
            }
        }
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
    fn write_soon(&mut self, now: Moment, effects: &mut Effects) {
        effects.persist = true;
        self.unsaved = false;
        self.saved = now;
    }
}
