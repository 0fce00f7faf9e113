//! Spill: who keeps how many of its clients so that nobody is given more than it can take, and what would be left if a region were lost.
//!
//! Looked at when time passes, a few services at a time, and always after what made it necessary was published: the removal of an endpoint
//! never waits for this.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::EndpointName;
use crate::catalog::{Catalog, EndpointId, RegionId, ServiceId};
use crate::demand::{Fit, Mix, Orders, fit};
use crate::geo::Geo;
use crate::health::{Health, Status};
use crate::limits::{
    LOAD_DEAD_BAND_PERMILLE, LOAD_FRESH_MS, OUTLOOK_SERVICES_AT_ONCE, SPILL_DEAD_BAND_PERMILLE, SPILL_DECLARED_PERMILLE, SPILL_REPORTED_PERMILLE,
    SPILL_SERVICES_AT_ONCE,
};
use crate::units::{Moment, Permille};
use crate::world::{Outlook, World};

/// What an endpoint reported.
#[derive(Clone, Copy, Debug)]
struct Report {
    /// Requests per second.
    rps: u64,
    /// When.
    at: Moment,
}

/// The loads, and what is still to be fitted.
#[derive(Debug, Default)]
pub(super) struct Spill {
    /// Who asks.
    mix: Mix,
    /// By endpoint: what it reported last.
    reports: Box<[Option<Report>]>,
    /// By service: the version for which its load was fitted.
    fitted: Box<[u64]>,
    /// Services whose load must be fitted.
    due: BTreeSet<ServiceId>,
    /// What is told of it.
    outlook: Outlook,
    /// How far the forecast of lost regions has come: region and service.
    next: (u16, u32),
    /// The least headroom among the services of the region under way.
    lowest: Option<i32>,
}

/// A share of its usual clients for an endpoint.
pub(super) type Rooms = Vec<(ServiceId, Box<[Permille]>)>;

impl Spill {
    /// Nothing fitted, nothing reported.
    pub(super) fn new(catalog: &Catalog, geo: &Geo) -> Self {
        Self {
            mix: Mix::of_addresses(geo),
            reports: vec![None; catalog.endpoints.len()].into(),
            fitted: vec![0; catalog.services.len()].into(),
            outlook: Outlook { headroom: vec![None; catalog.regions.len()].into(), overload: Box::default() },
            ..Self::default()
        }
    }

    /// For another catalog or geography: `carried` tells for each endpoint which one it was.
    pub(super) fn carry(&mut self, catalog: &Catalog, geo: &Geo, carried: impl Iterator<Item = Option<usize>>) {
        let reports = carried.map(|from| from.and_then(|index| self.reports.get(index).copied().flatten())).collect();
        *self = Self { reports, ..Self::new(catalog, geo) };
    }

    /// What is told of the loads.
    pub(super) const fn outlook(&self) -> &Outlook {
        &self.outlook
    }

    /// Takes in what an endpoint reports. Returns its load as a share of its capacity if that is to be published: it has a capacity, and the load has
    /// left the dead band around what is.
    pub(super) fn report(&mut self, catalog: &Catalog, index: usize, rps: u64, now: Moment, published: Permille) -> Option<Permille> {
        let endpoint = catalog.endpoints.get(index)?;
        *self.reports.get_mut(index)? = Some(Report { rps, at: now });
        self.due.insert(endpoint.service);
        let capacity = endpoint.capacity?.max(1);
        let load = Permille(u16::try_from(u128::from(rps) * 1000 / u128::from(capacity)).unwrap_or(u16::MAX));
        (load.0.abs_diff(published.0) >= LOAD_DEAD_BAND_PERMILLE).then_some(load)
    }

    /// What an endpoint reported last, in requests per second, if that still counts.
    pub(super) fn reported(&self, id: EndpointId) -> Option<u64> {
        self.reports.get(id.index()).copied().flatten().map(|report| report.rps)
    }

    /// The endpoints whose reports are too old to count; they count no more.
    pub(super) fn expire(&mut self, catalog: &Catalog, now: Moment) -> Vec<usize> {
        let mut gone = Vec::new();
        for (index, report) in self.reports.iter_mut().enumerate() {
            if report.is_some_and(|report| now.millis_since(report.at) > LOAD_FRESH_MS) {
                *report = None;
                self.due.extend(catalog.endpoints.get(index).map(|endpoint| endpoint.service));
                gone.push(index);
            }
        }
        gone
    }

    /// Fits a few of the services whose statuses are others than those that they were fitted for, and returns the rooms that are to be published.
    pub(super) fn fit_some(&mut self, world: &World) -> Rooms {
        let catalog = &world.catalog;
        for (index, (fitted, version)) in (0..).zip(self.fitted.iter_mut().zip(&world.statuses.versions)) {
            if *fitted != *version {
                *fitted = *version;
                self.due.insert(ServiceId(index));
            }
        }
        let mut rooms = Rooms::new();
        let mut open = None;
        let mut left = SPILL_SERVICES_AT_ONCE;
        while let Some(id) = self.due.pop_first() {
            let Some((demand, limits)) = self.question(catalog, id) else {
                // Nobody knows the demand any more: there is nothing to turn clients away for.
                self.outlook.tell(id, None);
                rooms.extend(opened(world, id).map(|rooms| (id, rooms)));
                continue;
            };
            let orders = Orders::of(open.get_or_insert_with(|| Orders::opened(world)), id, &self.mix);
            let fit = fit(&orders, demand, &limits, &ramps(world, id));
            self.outlook.tell(id, Some(&fit));
            if is_worth_it(world, id, &fit) {
                rooms.push((id, fit.rooms));
            }
            left -= 1;
            if left == 0 {
                break;
            }
        }
        rooms
    }

    /// What is to be fitted of a service: its demand, and the limits of its endpoints. `None` where nobody knows the demand or no endpoint has a
    /// capacity.
    fn question(&self, catalog: &Catalog, id: ServiceId) -> Option<(u64, Vec<Option<u64>>)> {
        let service = catalog.services.get(id.index())?;
        let range = service.endpoints.start as usize..service.endpoints.end as usize;
        let reported: Vec<u64> = self.reports[range.clone()].iter().flatten().map(|report| report.rps).collect();
        let (demand, part) = if reported.is_empty() { (service.peak?, SPILL_DECLARED_PERMILLE) } else { (reported.iter().sum(), SPILL_REPORTED_PERMILLE) };
        let limits: Vec<Option<u64>> = catalog.endpoints[range].iter().map(|endpoint| endpoint.capacity.map(|capacity| capacity * part / 1000)).collect();
        limits.iter().any(Option::is_some).then_some((demand, limits))
    }

    /// Forecasts a little further: what would be left of the capacities if a region were lost. Returns whether anything that is told changed.
    pub(super) fn look_ahead(&mut self, world: &World) -> bool {
        let catalog = &world.catalog;
        let (region, first) = self.next;
        if usize::from(region) >= catalog.regions.len() {
            self.next = (0, 0);
            return false;
        }
        let lost = RegionId(region);
        let ids = (first..u32::try_from(catalog.services.len()).unwrap_or(u32::MAX)).map(ServiceId);
        let services: Vec<ServiceId> = ids.filter(|id| has_in(catalog, *id, lost)).collect();
        let mut open: Option<World> = None;
        for (done, id) in services.iter().enumerate() {
            if done == OUTLOOK_SERVICES_AT_ONCE {
                self.next = (region, id.0);
                return false;
            }
            let Some((demand, _)) = self.question(catalog, *id) else { continue };
            let service = catalog.service(*id);
            let endpoints = &catalog.endpoints[service.endpoints.start as usize..service.endpoints.end as usize];
            let limits: Vec<Option<u64>> = endpoints.iter().map(|endpoint| endpoint.capacity).collect();
            let open = open.get_or_insert_with(|| without(Orders::opened(world), lost));
            let fit = fit(&Orders::of(open, *id, &self.mix), demand, &limits, &ramps(world, *id));
            let headroom = 1000 - i32::try_from(fullest(&fit, &limits)).unwrap_or(i32::MAX);
            self.lowest = Some(self.lowest.map_or(headroom, |lowest| lowest.min(headroom)));
        }
        self.next = (region + 1, 0);
        let (told, now) = (&mut self.outlook.headroom[usize::from(region)], self.lowest.take());
        let is_news = match (*told, now) {
            (Some(before), Some(now)) => before.abs_diff(now) >= u32::from(SPILL_DEAD_BAND_PERMILLE),
            (before, now) => before != now,
        };
        if is_news {
            *told = now;
        }
        is_news
    }
}

impl Outlook {
    /// Takes in how a service's load fits, or that nobody knows its load.
    fn tell(&mut self, id: ServiceId, fit: Option<&Fit>) {
        let own = fit.filter(|fit| !fit.fits()).map(|fit| (id, fit.factor));
        if own.is_none() && self.overload.iter().all(|(other, _)| *other != id) {
            return;
        }
        let others = self.overload.iter().copied().filter(|(other, _)| *other != id);
        self.overload = others.chain(own).collect();
    }
}

/// Whether the service has an endpoint in the region.
fn has_in(catalog: &Catalog, id: ServiceId, region: RegionId) -> bool {
    catalog.endpoints_of(catalog.service(id)).any(|(_, endpoint)| endpoint.region == region)
}

/// The world with the endpoints of a region down.
fn without(mut world: World, region: RegionId) -> World {
    let catalog = Arc::clone(&world.catalog);
    for (endpoint, status) in catalog.endpoints.iter().zip(&mut world.statuses.of) {
        if endpoint.region == region {
            *status = Status { health: Health::Down, ..*status };
        }
    }
    world
}

/// Rooms for all, for a service whose endpoints turn clients away for want of it.
fn opened(world: &World, id: ServiceId) -> Option<Box<[Permille]>> {
    let statuses = world.statuses_of(world.catalog.service(id));
    let is_narrow = statuses.iter().any(|status| status.room != Permille::WHOLE);
    is_narrow.then(|| vec![Permille::WHOLE; statuses.len()].into())
}

/// What each endpoint keeps for other reasons than its capacity.
fn ramps(world: &World, id: ServiceId) -> Vec<Permille> {
    world.statuses_of(world.catalog.service(id)).iter().map(Status::keeps_but_for_load).collect()
}

/// The load of the fullest endpoint, in thousandths of its capacity.
fn fullest(fit: &Fit, limits: &[Option<u64>]) -> u64 {
    let full = fit.loads.iter().zip(limits).filter_map(|(load, limit)| Some(load / limit.as_ref()?.max(&1)));
    full.max().unwrap_or(0)
}

/// Whether rooms differ from those that are published by enough to be published: clients are not moved for a trifle.
fn is_worth_it(world: &World, id: ServiceId, fit: &Fit) -> bool {
    let statuses = world.statuses_of(world.catalog.service(id));
    statuses.iter().zip(&fit.rooms).any(|(status, room)| {
        let opens = *room == Permille::WHOLE && status.room != Permille::WHOLE;
        opens || room.0.abs_diff(status.room.0) >= SPILL_DEAD_BAND_PERMILLE
    })
}

/// An endpoint's report, by its names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadReport {
    /// The endpoint.
    pub endpoint: EndpointName,
    /// What it serves, in requests per second.
    pub rps: u64,
}
