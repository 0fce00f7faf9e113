//! Loads, as the controller takes them in and acts on them.

use super::Controller;
use crate::catalog::EndpointId;
use crate::control::{Effects, LoadReport, roster};
use crate::units::{Moment, Permille};

impl Controller {
    /// Takes in what an endpoint says of its load. One that is not there any more, or not yet, says it in vain.
    pub(super) fn take_load(&mut self, report: &LoadReport, now: Moment) {
        let Some(id) = roster::find(&self.catalog, &report.endpoint) else { return };
        let published = self.statuses[id.index()].load;
        if let Some(load) = self.spill.report(&self.catalog, id.index(), report.rps, now, published) {
            self.set_load(id, load);
        }
    }

    /// Has a load published.
    fn set_load(&mut self, id: EndpointId, load: Permille) {
        self.statuses[id.index()].load = load;
        self.versions[self.catalog.endpoint(id).service.index()] = self.world.generation + 1;
        self.touched = true;
    }

    /// Fits loads to capacities, and forecasts. What made that necessary is published by now.
    pub(super) fn look_at_the_load(&mut self, now: Moment, effects: &mut Effects) {
        for index in self.spill.expire(&self.catalog, now) {
            let id = EndpointId(u32::try_from(index).unwrap_or(u32::MAX));
            if self.statuses[index].load > Permille(0) {
                self.set_load(id, Permille(0));
            }
        }
        let told = self.world.outlook.overload.clone();
        for (service, rooms) in self.spill.fit_some(&self.world) {
            let first = self.catalog.service(service).endpoints.start as usize;
            for (status, room) in self.statuses[first..].iter_mut().zip(&rooms) {
                status.room = *room;
            }
            self.versions[service.index()] = self.world.generation + 1;
            self.touched = true;
        }
        self.guard_headroom();
        self.look_at_the_drill(now, effects);
        let is_news = self.spill.look_ahead(&self.world) || told != self.spill.outlook().overload;
        if self.touched || is_news {
            self.publish(self.world.statuses.stale, now, effects);
        }
    }
}
