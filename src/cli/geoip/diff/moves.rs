//! What moves: decisions by the old and the new geography, summed over their overlaps.
//!
//! A decision depends on the service, the locality and the family alone, so each is made once, by [`steer::decide`]. What it gives to clients is
//! its outcome: one endpoint, or several that share them by weighted rendezvous. How many move from one outcome to another follows from the
//! rendezvous: every endpoint has one draw for a client, whichever of the others take part. So of clients shared among `A` before and `B` now,
//! the endpoint with the best draw of both together wins before if it is in `A`, now if it is in `B`, and where it is in one of them only, the
//! winner of the other is drawn among that other by weight.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use crate::catalog::{Catalog, EndpointId, RegionId, Service, ServiceId};
use crate::geo::{Code, Geo, LocalityId, Overlap, overlay};
use crate::steer::{self, Ask, Client, Family, Silent, Verdict};
use crate::world::World;

/// The families, in the order of every [`Amount`].
pub(super) const FAMILIES: [&str; 2] = ["IPv4", "IPv6"];

/// Addresses of IPv4 and of IPv6. A float counts them to 15 digits, and fractions of them where clients are shared.
pub(super) type Amount = [f64; 2];

/// Everything that is told.
#[derive(Debug, Default)]
pub(super) struct Comparison {
    /// Addresses that either geography knows anything of: all shares are of these.
    pub(super) known: Amount,
    /// Those whose country was known and is not now.
    pub(super) lost: Amount,
    /// Those whose country was not known and is now.
    pub(super) found: Amount,
    /// Those that are in another country now.
    pub(super) recountried: Amount,
    /// Addresses by country, in the old geography.
    pub(super) countries_old: BTreeMap<Code, Amount>,
    /// The same in the new one.
    pub(super) countries_new: BTreeMap<Code, Amount>,
    /// What moves, by service.
    pub(super) services: Vec<ServiceMoves>,
}

/// What moves of one service.
#[derive(Debug)]
pub(super) struct ServiceMoves {
    /// Its owner name.
    pub(super) name: String,
    /// Addresses that get another region.
    pub(super) moved: Amount,
    /// From where to where, the largest first.
    pub(super) moves: Vec<Move>,
    /// What changes by law, a row for each residency rule of the service.
    pub(super) laws: Vec<LawMoves>,
}

/// Clients that go from one region to another. `None` is an answer without endpoints.
#[derive(Debug)]
pub(super) struct Move {
    /// The region before.
    pub(super) from: Option<RegionId>,
    /// The region now.
    pub(super) to: Option<RegionId>,
    /// How many.
    pub(super) tally: Tally,
    /// By country before and now.
    pub(super) countries: BTreeMap<(Option<Code>, Option<Code>), Amount>,
}

/// Addresses, with a prefix of the most of them as an example.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    /// How many.
    pub(super) amount: Amount,
    /// The first prefix of the largest overlap among them.
    pub(super) example: [Option<IpNet>; 2],
    /// How many of that overlap.
    most: Amount,
}

/// Clients that a residency rule comes to bind, or no longer does.
#[derive(Debug)]
pub(super) struct LawMoves {
    /// The rule's name.
    pub(super) rule: Box<str>,
    /// Bound before, not now.
    pub(super) freed: Tally,
    /// Those of them that get another region, too.
    pub(super) freed_moved: Amount,
    /// Not bound before, bound now.
    pub(super) bound: Tally,
    /// Those of them that get another region, too.
    pub(super) bound_moved: Amount,
}

impl Comparison {
    /// The share of a family's addresses, 0 to 1.
    pub(super) fn share(&self, amount: Amount, family: usize) -> f64 {
        if self.known[family] > 0.0 { amount[family] / self.known[family] } else { 0.0 }
    }
}

impl Tally {
    /// Adds a fraction of one family's addresses of an overlap.
    fn add(&mut self, family: usize, addresses: f64, overlap: &Overlap) {
        self.amount[family] += addresses;
        if addresses > self.most[family] {
            self.most[family] = addresses;
            self.example[family] = overlap.largest[family];
        }
    }
}

/// Compares two geographies of one catalog.
pub(super) fn compare(catalog: &Arc<Catalog>, old: Arc<Geo>, new: Arc<Geo>) -> Comparison {
    // The unknown place in both is left aside: it is the empty part of the address space.
    let overlaps: Vec<Overlap> = overlay(&old, &new).into_iter().filter(|overlap| [overlap.old, overlap.new] != [LocalityId::UNKNOWN; 2]).collect();
    let mut comparison = Comparison::default();
    for overlap in &overlaps {
        comparison.count(overlap, old.locality(overlap.old).country, new.locality(overlap.new).country);
    }
    let world = |geo| World::unmeasured(0, Arc::clone(catalog), geo).as_if_measured_up();
    let (old, new) = (world(old), world(new));
    let services = (0..).map(ServiceId).zip(&catalog.services);
    comparison.services = services.map(|(id, service)| Moves::new(id, service, &old, &new).along(&overlaps)).collect();
    comparison
}

impl Comparison {
    /// Counts what holds whatever the service.
    fn count(&mut self, overlap: &Overlap, old: Option<Code>, new: Option<Code>) {
        let amount = amount(overlap);
        add(&mut self.known, amount);
        match (old, new) {
            (Some(_), None) => add(&mut self.lost, amount),
            (None, Some(_)) => add(&mut self.found, amount),
            (Some(old), Some(new)) if old != new => add(&mut self.recountried, amount),
            _ => {}
        }
        for (country, countries) in [(old, &mut self.countries_old), (new, &mut self.countries_new)] {
            if let Some(country) = country {
                add(countries.entry(country).or_default(), amount);
            }
        }
    }
}

/// Addresses of an overlap.
#[expect(clippy::cast_precision_loss, reason = "shares are told with two decimals")]
fn amount(overlap: &Overlap) -> Amount {
    [overlap.extent.v4 as f64, overlap.extent.v6 as f64]
}

/// Adds.
fn add(sum: &mut Amount, other: Amount) {
    sum[0] += other[0];
    sum[1] += other[1];
}

/// Who is given to the clients of a place, by endpoint, each with its weight. Empty: an answer without endpoints.
type Outcome = Box<[(EndpointId, u32)]>;

/// The share of clients that go from one region to another.
type Flow = ((Option<RegionId>, Option<RegionId>), f64);

/// One service, decided for again and again.
struct Moves<'a> {
    /// Which.
    id: ServiceId,
    /// The same.
    service: &'a Service,
    /// The world with the old geography, and with the new one.
    worlds: [&'a World; 2],
    /// Outcomes by number.
    outcomes: Vec<Outcome>,
    /// Number of an outcome.
    numbers: HashMap<Outcome, usize>,
    /// The number of the outcome by world, family and locality.
    decided: HashMap<(usize, usize, LocalityId), usize>,
    /// What moves from one outcome to another.
    flows: HashMap<(usize, usize), Arc<[Flow]>>,
}

impl<'a> Moves<'a> {
    /// Nothing decided yet.
    fn new(id: ServiceId, service: &'a Service, old: &'a World, new: &'a World) -> Self {
        Self { id, service, worlds: [old, new], outcomes: Vec::new(), numbers: HashMap::new(), decided: HashMap::new(), flows: HashMap::new() }
    }

    /// Sums over overlaps.
    fn along(mut self, overlaps: &[Overlap]) -> ServiceMoves {
        let catalog = &self.worlds[0].catalog;
        let mut laws: Vec<LawMoves> = self.service.residency.iter().map(|id| LawMoves::of(&catalog.residencies[id.index()].name)).collect();
        let mut moved = Amount::default();
        let mut moves: HashMap<(Option<RegionId>, Option<RegionId>), Move> = HashMap::new();
        for overlap in overlaps {
            let countries = (self.country(0, overlap.old), self.country(1, overlap.new));
            let addresses = amount(overlap);
            let mut moving = Amount::default();
            for family in 0..FAMILIES.len() {
                let Some(example) = overlap.largest[family] else { continue };
                for &((from, to), share) in self.flows(overlap, family, example.addr()).iter() {
                    let part = share * addresses[family];
                    moving[family] += part;
                    let entry = moves.entry((from, to)).or_insert_with(|| Move { from, to, tally: Tally::default(), countries: BTreeMap::new() });
                    entry.tally.add(family, part, overlap);
                    entry.countries.entry(countries).or_default()[family] += part;
                }
            }
            add(&mut moved, moving);
            self.judge(&mut laws, overlap, addresses, moving);
        }
        let mut moves: Vec<Move> = moves.into_values().collect();
        moves.sort_by(|one, other| {
            let [one_v4, one_v6] = one.tally.amount;
            let [other_v4, other_v6] = other.tally.amount;
            other_v4.total_cmp(&one_v4).then(other_v6.total_cmp(&one_v6)).then((one.from, one.to).cmp(&(other.from, other.to)))
        });
        ServiceMoves { name: self.service.name.to_string(), moved, moves, laws }
    }

    /// The country of a locality of one of the worlds.
    fn country(&self, world: usize, locality: LocalityId) -> Option<Code> {
        self.worlds[world].geo.locality(locality).country
    }

    /// Counts whom the service's rules bind by one geography and not by the other.
    fn judge(&self, laws: &mut [LawMoves], overlap: &Overlap, addresses: Amount, moving: Amount) {
        let sets = [self.worlds[0].geo.locality(overlap.old).sets, self.worlds[1].geo.locality(overlap.new).sets];
        for (law, id) in laws.iter_mut().zip(&self.service.residency) {
            let rule = &self.worlds[0].catalog.residencies[id.index()];
            let (tally, moved) = match sets.map(|sets| steer::binds(rule, &sets)) {
                [true, false] => (&mut law.freed, &mut law.freed_moved),
                [false, true] => (&mut law.bound, &mut law.bound_moved),
                _ => continue,
            };
            for (family, addresses) in addresses.into_iter().enumerate() {
                tally.add(family, addresses, overlap);
            }
            add(moved, moving);
        }
    }

    /// What moves of one family of an overlap; `example` is one of its addresses.
    fn flows(&mut self, overlap: &Overlap, family: usize, example: IpAddr) -> Arc<[Flow]> {
        let pair = (self.outcome(0, family, overlap.old, example), self.outcome(1, family, overlap.new, example));
        let Self { flows, outcomes, worlds, .. } = self;
        Arc::clone(flows.entry(pair).or_insert_with(|| flows_between(&outcomes[pair.0], &outcomes[pair.1], &worlds[0].catalog).into()))
    }

    /// The number of what clients of a locality get, of which `example` is one.
    fn outcome(&mut self, world: usize, family: usize, locality: LocalityId, example: IpAddr) -> usize {
        if let Some(number) = self.decided.get(&(world, family, locality)) {
            return *number;
        }
        let asked = self.worlds[world];
        let client = Client::at(example, if example.is_ipv4() { 32 } else { 128 }, &asked.geo);
        debug_assert_eq!(client.place.locality, locality, "an overlap's example is in its locality");
        let outcome = decide(&Ask { service: self.id, client, family: if family == 0 { Family::V4 } else { Family::V6 } }, asked);
        let next = self.outcomes.len();
        let number = *self.numbers.entry(outcome).or_insert_with_key(|outcome| {
            self.outcomes.push(outcome.clone());
            next
        });
        self.decided.insert((world, family, locality), number);
        number
    }
}

impl LawMoves {
    /// Of a rule, nothing counted yet.
    fn of(rule: &str) -> Self {
        Self { rule: rule.into(), freed: Tally::default(), freed_moved: Amount::default(), bound: Tally::default(), bound_moved: Amount::default() }
    }
}

/// Decides as for a query. Of several endpoints in one answer the first counts.
fn decide(ask: &Ask, world: &World) -> Outcome {
    let decision = steer::decide(ask, world, &mut Silent);
    if decision.verdict != Verdict::Serve {
        return Outcome::default();
    }
    let leading = usize::from(decision.sharing.max(1).min(decision.count));
    // The rendezvous takes no weight below 1; an endpoint that shares with nobody may have none.
    let mut outcome: Outcome = decision.candidates[..leading].iter().map(|candidate| (candidate.endpoint, candidate.weight.max(1))).collect();
    outcome.sort_unstable();
    outcome
}

/// The shares of clients that go from one region to another when one outcome follows on another.
fn flows_between(old: &Outcome, new: &Outcome, catalog: &Catalog) -> Vec<Flow> {
    let sum = |outcome: &Outcome| outcome.iter().map(|(_, weight)| f64::from(*weight)).sum::<f64>();
    let region = |endpoint: EndpointId| Some(catalog.endpoint(endpoint).region);
    let mut flows: BTreeMap<(Option<RegionId>, Option<RegionId>), f64> = BTreeMap::new();
    let mut flow = |from: Option<RegionId>, to: Option<RegionId>, share: f64| {
        if from != to && share > 0.0 {
            *flows.entry((from, to)).or_default() += share;
        }
    };
    let (old_sum, new_sum) = (sum(old), sum(new));
    if old.is_empty() || new.is_empty() {
        old.iter().for_each(|(endpoint, weight)| flow(region(*endpoint), None, f64::from(*weight) / old_sum));
        new.iter().for_each(|(endpoint, weight)| flow(None, region(*endpoint), f64::from(*weight) / new_sum));
        return flows.into_iter().collect();
    }
    let ids = |outcome: &Outcome| outcome.iter().map(|(endpoint, _)| *endpoint).collect::<HashSet<_>>();
    let (in_old, in_new) = (ids(old), ids(new));
    let union_sum = old_sum + new.iter().filter(|(endpoint, _)| !in_old.contains(endpoint)).map(|(_, weight)| f64::from(*weight)).sum::<f64>();
    for &(before, before_weight) in old {
        for &(now, now_weight) in new {
            let (before_weight, now_weight) = (f64::from(before_weight), f64::from(now_weight));
            let left = if in_new.contains(&before) { 0.0 } else { before_weight / union_sum * now_weight / new_sum };
            let came = if in_old.contains(&now) { 0.0 } else { now_weight / union_sum * before_weight / old_sum };
            flow(region(before), region(now), left + came);
        }
    }
    flows.into_iter().collect()
}
