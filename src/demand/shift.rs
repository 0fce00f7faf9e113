//! Who moves between two worlds, from where to where, and what that does to latency, cost and load.

use std::collections::BTreeMap;

use super::{Fit, Group, Mix, Orders, fit};
use crate::catalog::{EndpointId, ServiceId};
use crate::limits::SPILL_DECLARED_PERMILLE;
use crate::steer::{ALL_CLIENTS, Ask, Client, Family, Silent, decide};
use crate::units::{MicroUsd, Micros, Permille, part};
use crate::world::World;

/// A service in a world, its load fitted as a node would fit it.
#[derive(Clone, Debug)]
pub struct Side {
    /// The world, every endpoint keeping what was fitted.
    world: World,
    /// The service.
    service: ServiceId,
    /// How the load fits; `None` where no demand or no capacity is known.
    fit: Option<Fit>,
}

impl Side {
    /// Fits the service's declared load in this world. As a node does, which knows no lots, it takes all clients as spread.
    #[must_use]
    pub fn of(world: &World, service: ServiceId, mix: &Mix) -> Self {
        let open = Orders::opened(world);
        let mut world = world.clone();
        let fit = fit_declared(&mut world, &open, service, &mix.in_world(&open));
        Self { world, service, fit }
    }

    /// By how much limits are exceeded, in thousandths of them; 1000 where the load fits, or nobody knows it.
    #[must_use]
    pub fn factor(&self) -> u32 {
        self.fit.as_ref().map_or(1000, |fit| fit.factor)
    }

    /// What the clients of a group get, who are this one here: endpoints and shares of the group, in parts of [`ALL_CLIENTS`]. Empty where they get nothing.
    fn shares(&self, group: &Group, client: Client) -> Vec<(EndpointId, u64)> {
        given(group, &Ask { service: self.service, client, family: Family::Any }, &self.world)
    }

    /// What an endpoint is known by on both sides: its region and its name.
    fn key(&self, id: EndpointId) -> Key {
        let endpoint = self.world.catalog.endpoint(id);
        Key { region: self.world.catalog.region(endpoint.region).name.clone(), endpoint: endpoint.name.clone() }
    }

    /// Every endpoint's load as a share of its capacity, where both are known, if these shares of the clients have landed there.
    fn loads(&self, landed: &BTreeMap<EndpointId, u64>) -> Vec<(Key, Permille)> {
        let written = self.world.catalog.service(self.service);
        let Some(peak) = written.peak.filter(|_| self.fit.is_some()) else { return Vec::new() };
        let loads = self.world.catalog.endpoints_of(written).filter_map(|(id, endpoint)| {
            let share = landed.get(&id).copied().unwrap_or(0);
            let load = part(share, peak.saturating_mul(1000), ALL_CLIENTS) / endpoint.capacity?.max(1);
            Some((self.key(id), Permille(u16::try_from(load).unwrap_or(u16::MAX))))
        });
        loads.collect()
    }
}

/// Fits a service's declared load in a world, and has each endpoint keep what it has room for. `open` is the world as [`Orders::opened`] makes it, `mix` that of
/// its geography. `None` where no demand or no capacity is known; then nothing changes.
#[must_use]
pub fn fit_declared(world: &mut World, open: &World, service: ServiceId, mix: &Mix) -> Option<Fit> {
    let written = world.catalog.service(service);
    let limits: Vec<Option<u64>> =
        world.catalog.endpoints_of(written).map(|(_, endpoint)| endpoint.capacity.map(|capacity| capacity * SPILL_DECLARED_PERMILLE / 1000)).collect();
    let peak = written.peak.filter(|_| limits.iter().any(Option::is_some))?;
    // A node has fitted it already: that is no reason to turn less away.
    let keeps: Vec<Permille> = world.statuses_of(written).iter().map(crate::health::Status::keeps_but_for_load).collect();
    let range = written.endpoints.start as usize..written.endpoints.end as usize;
    let fit = fit(&Orders::of(open, service, mix), peak, &limits, &keeps);
    for (status, room) in world.statuses.of[range].iter_mut().zip(&fit.rooms) {
        status.room = *room;
    }
    Some(fit)
}

/// An endpoint by its names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Its region.
    pub region: Box<str>,
    /// Its name.
    pub endpoint: Box<str>,
}

/// Clients that move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flow {
    /// From which region; `None` where they had no answer.
    pub from: Option<Box<str>>,
    /// To which region; `None` where they have none any more.
    pub to: Option<Box<str>>,
    /// Their share, in parts of [`ALL_CLIENTS`].
    pub share: u64,
}

/// What changes for the clients of one service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shift {
    /// The share of the clients whose first endpoint is another, in parts of [`ALL_CLIENTS`].
    pub moved: u64,
    /// From region to region, the largest first.
    pub flows: Vec<Flow>,
    /// Mean round-trip time before and after, of those that get an answer.
    pub rtt: [Micros; 2],
    /// Mean price of a million requests before and after.
    pub price: [MicroUsd; 2],
    /// Load by endpoint before and after, where demand and capacity are known and either is not zero.
    pub loads: Vec<(Key, Option<Permille>, Option<Permille>)>,
    /// By how much limits are exceeded before and after, in thousandths of them; 1000 where the load fits.
    pub factors: [u32; 2],
}

/// Sums over one side.
#[derive(Default)]
struct Sums {
    /// Clients that get an answer, weighed.
    served: u128,
    /// Their round-trip times, weighed.
    rtt: u128,
    /// Their prices, weighed.
    price: i128,
}

impl Sums {
    /// Adds what a part of a group gets.
    fn add(&mut self, side: &Side, client: Client, id: EndpointId, share: u64) {
        let endpoint = side.world.catalog.endpoint(id);
        let rtt = side.world.geo.rtt(client.place.locality, endpoint.region);
        self.served += u128::from(share);
        self.rtt += u128::from(share) * u128::from(rtt.0.unsigned_abs());
        self.price += i128::from(share) * i128::from(endpoint.price.compute.0.saturating_add(endpoint.price.egress.0));
    }

    /// The means.
    fn means(&self) -> (Micros, MicroUsd) {
        let served = self.served.max(1);
        let rtt = i64::try_from(self.rtt / served).unwrap_or(i64::MAX);
        let price = i64::try_from(self.price / i128::try_from(served).unwrap_or(1)).unwrap_or(i64::MAX);
        (Micros(rtt), MicroUsd(price))
    }
}

/// Compares two sides for the clients of a mix, which is of the first side's geography; clients are the same on both.
#[must_use]
pub fn shift(before: &Side, after: &Side, mix: &Mix) -> Shift {
    let mut flows: Moves<Key> = Moves::new();
    let mut sums = [Sums::default(), Sums::default()];
    let mut landed = [BTreeMap::new(), BTreeMap::new()];
    for group in mix.groups() {
        let mut both: BTreeMap<Option<Key>, [u64; 2]> = BTreeMap::new();
        for (side, what) in [before, after].into_iter().enumerate() {
            let client = group.client.in_world(&what.world);
            let shares = what.shares(group, client);
            for (id, share) in &shares {
                let share = part(group.share, *share, ALL_CLIENTS);
                both.entry(Some(what.key(*id))).or_default()[side] += share;
                sums[side].add(what, client, *id, share);
                *landed[side].entry(*id).or_default() += share;
            }
            if shares.is_empty() {
                both.entry(None).or_default()[side] += group.share;
            }
        }
        couple(&both, &mut flows);
    }
    let moved = flows.values().sum();
    let flows = by_region(&flows);
    let [(rtt_before, price_before), (rtt_after, price_after)] = [sums[0].means(), sums[1].means()];
    Shift {
        moved,
        flows,
        rtt: [rtt_before, rtt_after],
        price: [price_before, price_after],
        loads: loads(&before.loads(&landed[0]), &after.loads(&landed[1])),
        factors: [before.factor(), after.factor()],
    }
}

/// Flows between regions, the largest first.
fn by_region(flows: &Moves<Key>) -> Vec<Flow> {
    let region = |key: &Option<Key>| key.as_ref().map(|key| key.region.clone());
    let mut sums: Vec<Flow> = Vec::new();
    for ((from, to), share) in flows {
        let (from, to) = (region(from), region(to));
        match sums.iter_mut().find(|flow| flow.from == from && flow.to == to) {
            Some(flow) => flow.share += share,
            None => sums.push(Flow { from, to, share: *share }),
        }
    }
    sums.sort_by_key(|flow| std::cmp::Reverse(flow.share));
    sums
}

/// A service in a world, and who asks for it there.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The world.
    pub world: &'a World,
    /// The service.
    pub service: ServiceId,
    /// The family that it is asked for.
    pub family: Family,
    /// Its clients, where this world has them.
    pub mix: &'a Mix,
}

/// The moves of a service's clients between two worlds of one catalog and geography, loads as they are: from which endpoint to which, in parts of
/// [`ALL_CLIENTS`]. An endpoint is absent where there is no answer.
#[must_use]
pub fn moves(service: ServiceId, before: &World, after: &World, mix: &Mix) -> Moves<EndpointId> {
    let asked = |world| Asked { world, service, family: Family::Any, mix };
    moves_between(asked(before), asked(after), |id| id)
}

/// The moves of a service's clients between any two worlds, loads as they are, as [`moves`] tells them. The mixes are of the same groups; `known_as` tells
/// which number an endpoint of the second world has in the first one, or would have that is not there.
#[must_use]
pub fn moves_between(before: Asked<'_>, after: Asked<'_>, known_as: impl Fn(EndpointId) -> EndpointId) -> Moves<EndpointId> {
    let mut moves = Moves::new();
    for (group, there) in before.mix.groups().iter().zip(after.mix.groups()) {
        let mut both: BTreeMap<Option<EndpointId>, [u64; 2]> = BTreeMap::new();
        for (side, (group, Asked { world, service, family, .. })) in [(group, before), (there, after)].into_iter().enumerate() {
            let shares = given(group, &Ask { service, client: group.client, family }, world);
            for (id, share) in &shares {
                let known = if side == 0 { *id } else { known_as(*id) };
                both.entry(Some(known)).or_default()[side] += part(group.share, *share, ALL_CLIENTS);
            }
            if shares.is_empty() {
                both.entry(None).or_default()[side] += group.share;
            }
        }
        couple(&both, &mut moves);
    }
    moves
}

/// Decides for a group, and tells what it gets; as [`Group::given`].
fn given(group: &Group, ask: &Ask, world: &World) -> Vec<(EndpointId, u64)> {
    group.given(&decide(ask, world, &mut Silent), &ask.client, world)
}

/// From where to where how many go.
pub type Moves<K> = BTreeMap<(Option<K>, Option<K>), u64>;

/// Adds the moves of one group: what an endpoint lost went to those that won, in proportion to what they won. Where each client of the group gets the
/// same, as mostly, that is what happens; else it is the most even guess.
fn couple<K: Clone + Ord>(both: &BTreeMap<Option<K>, [u64; 2]>, flows: &mut Moves<K>) {
    let won: u64 = both.values().map(|[before, after]| after.saturating_sub(*before)).sum();
    for (from, [before, after]) in both {
        let lost = before.saturating_sub(*after);
        if lost == 0 || won == 0 {
            continue;
        }
        for (to, [before, after]) in both {
            let share = part(lost, after.saturating_sub(*before), won);
            if share > 0 {
                *flows.entry((from.clone(), to.clone())).or_default() += share;
            }
        }
    }
}

/// Loads by endpoint, both sides together.
fn loads(before: &[(Key, Permille)], after: &[(Key, Permille)]) -> Vec<(Key, Option<Permille>, Option<Permille>)> {
    let mut loads: BTreeMap<Key, (Option<Permille>, Option<Permille>)> = BTreeMap::new();
    for (key, load) in before {
        loads.entry(key.clone()).or_default().0 = Some(*load);
    }
    for (key, load) in after {
        loads.entry(key.clone()).or_default().1 = Some(*load);
    }
    let any = |load: Option<Permille>| load.is_some_and(|load| load.0 > 0);
    loads.into_iter().filter(|(_, (before, after))| any(*before) || any(*after)).map(|(key, (before, after))| (key, before, after)).collect()
}
