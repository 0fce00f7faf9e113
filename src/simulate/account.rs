//! What clients were given: shares, loads, moves, the law, and who was given what is down.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use super::blame::{Blame, Wrong, moves};
use super::report::{Entry, Load, Report};
use super::{Expected, Reality, Scenario};
use crate::catalog::{Bits, Catalog, EndpointId, Selector, Service, ServiceId, UnknownClient};
use crate::demand::{Group, Mix};
use crate::geo::Geo;
use crate::limits::{SIMULATION_ENTRIES_MAX, SIMULATION_SETTLE_MS};
use crate::steer::{ALL_CLIENTS, Ask, Client, Family, Silent, decide};
use crate::units::{Moment, part};
use crate::world::World;

/// The number of no endpoint at all: where clients are that get no answer.
pub(super) const NOBODY: u32 = u32::MAX;
/// Milliseconds over which moves of one client are counted together: an hour.
const HOUR_MS: u64 = 3_600_000;

/// Endpoints and services by numbers that outlive a reload.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// `SERVICE/ENDPOINT` and the region, by number.
    endpoints: Vec<(String, Box<str>)>,
    /// Owner names, by number.
    services: Vec<Box<str>>,
    /// The numbers of both.
    known: HashMap<String, u32>,
}

impl Names {
    /// The number of a service.
    fn of_service(&mut self, name: &str) -> u32 {
        let next = u32::try_from(self.services.len()).unwrap_or(NOBODY);
        let number = *self.known.entry(name.to_owned()).or_insert(next);
        if number == next {
            self.services.push(name.into());
        }
        number
    }

    /// The number of an endpoint.
    fn of_endpoint(&mut self, name: String, region: &str) -> u32 {
        let next = u32::try_from(self.endpoints.len()).unwrap_or(NOBODY);
        let number = *self.known.entry(name.clone()).or_insert(next);
        if number == next {
            self.endpoints.push((name, region.into()));
        }
        number
    }

    /// A service's owner name.
    pub(super) fn service(&self, number: u32) -> &str {
        self.services.get(number as usize).map_or("", |name| name)
    }

    /// An endpoint's region.
    pub(super) fn region(&self, number: u32) -> &str {
        self.endpoints.get(number as usize).map_or("no answer", |(_, region)| region)
    }

    /// `SERVICE/ENDPOINT`.
    fn endpoint(&self, number: u32) -> &str {
        self.endpoints.get(number as usize).map_or("", |(name, _)| name)
    }
}

/// What the clients of one service are given, from the last look on.
#[derive(Debug, Default)]
struct Served {
    /// Its number.
    service: u32,
    /// By group: the endpoints that the law leaves it.
    lawful: Vec<Bits>,
    /// By group: endpoints and shares of the group.
    given: Vec<Vec<(u32, u64)>>,
    /// Who is given though it is down and another could be.
    wrong: Vec<Wrong>,
    /// Loads of endpoints, in thousandths of their capacity.
    loads: Vec<(u32, u64)>,
    /// What its clients ask for without any surge, in requests per second.
    demand: Option<u64>,
    /// Thousandths of that.
    surge: u32,
    /// By group: when which share of it was moved, within the last hour.
    moved: Vec<VecDeque<(Moment, u64)>>,
}

/// The accounts of one run.
#[derive(Debug)]
pub(super) struct Account<'s> {
    /// What is expected.
    scenario: &'s Scenario,
    /// When it begins.
    start: Moment,
    /// Who asks.
    mix: Mix,
    /// The groups in the present geography.
    clients: Vec<Client>,
    /// Who is who.
    names: Names,
    /// The numbers of the present catalog's endpoints.
    numbers: Vec<u32>,
    /// By service of the present catalog.
    services: Vec<Served>,
    /// Since when all this holds.
    since: Moment,
    /// When something happened last.
    disturbed: Moment,
    /// The highest loads: of all time with its moment, and after the settling time.
    peaks: BTreeMap<u32, (u64, u64, u64)>,
    /// What went down.
    blame: Blame,
    /// What is known by now.
    pub(super) report: Report,
}

/// A share of all clients, in millionths.
pub(super) fn ppm(share: u64) -> u64 {
    u64::try_from((u128::from(share) * 1_000_000 + u128::from(ALL_CLIENTS) / 2) / u128::from(ALL_CLIENTS)).unwrap_or(u64::MAX)
}

impl<'s> Account<'s> {
    /// Opens the accounts. `demands` are those of the services, as they really are.
    pub(super) fn new(scenario: &'s Scenario, seed: u64, world: &World, demands: &[Option<u64>], start: Moment) -> Self {
        let mix = Mix::of(&world.geo, &scenario.clients);
        let mut account = Self {
            scenario,
            start,
            mix,
            clients: Vec::new(),
            names: Names::default(),
            numbers: Vec::new(),
            services: Vec::new(),
            since: start,
            disturbed: Moment(0),
            peaks: BTreeMap::new(),
            blame: Blame::default(),
            report: Report { seed, length_ms: scenario.length_ms, ..Report::default() },
        };
        account.move_to(world, demands);
        account
    }

    /// Whether anybody asks at all.
    pub(super) fn has_clients(&self) -> bool {
        !self.mix.groups().is_empty()
    }

    /// Another catalog or geography is in force: what services were given goes with their names.
    pub(super) fn move_to(&mut self, world: &World, demands: &[Option<u64>]) {
        let catalog = &world.catalog;
        let mut before: HashMap<u32, Served> = std::mem::take(&mut self.services).into_iter().map(|served| (served.service, served)).collect();
        self.clients = self.mix.groups().iter().map(|group| group.client.in_world(world)).collect();
        self.numbers = catalog
            .endpoints
            .iter()
            .map(|endpoint| {
                let name = format!("{}/{}", catalog.service(endpoint.service).name, endpoint.name);
                self.names.of_endpoint(name, &catalog.region(endpoint.region).name)
            })
            .collect();
        let (groups, clients) = (self.mix.groups(), &self.clients);
        let names = &mut self.names;
        let serve = |(service, demand): (&Service, &Option<u64>)| {
            let number = names.of_service(&service.name.to_string());
            let kept = before.remove(&number).unwrap_or_else(|| Served {
                service: number,
                given: vec![Vec::new(); groups.len()],
                moved: vec![VecDeque::new(); groups.len()],
                surge: 1000,
                ..Served::default()
            });
            Served { lawful: groups.iter().zip(clients).map(|(group, client)| lawful(service, group, client, world)).collect(), demand: *demand, ..kept }
        };
        self.services = catalog.services.iter().zip(demands).map(serve).collect();
    }

    /// Milliseconds from the start.
    fn at_ms(&self, now: Moment) -> u64 {
        now.millis_since(self.start)
    }

    /// Writes into the timeline.
    pub(super) fn tell(&mut self, now: Moment, kind: &'static str, text: String) {
        if now < self.start {
            return;
        }
        if self.report.timeline.len() < SIMULATION_ENTRIES_MAX {
            let at_ms = self.at_ms(now);
            self.report.timeline.push(Entry { at_ms, kind, text });
        } else {
            self.report.more += 1;
        }
    }

    /// Something happens: loads may be what they like for a while.
    pub(super) fn disturb(&mut self, now: Moment) {
        self.settle(now);
        self.disturbed = now;
    }

    /// Services are asked for more or less.
    pub(super) fn surge(&mut self, word: &str, factor: u32, catalog: &Catalog) {
        for (served, service) in self.services.iter_mut().zip(&catalog.services) {
            if super::scenario::names(word, service) {
                served.surge = factor;
            }
        }
    }

    /// The numbers of endpoints.
    fn numbers(&self, ids: impl Iterator<Item = EndpointId>) -> BTreeSet<u32> {
        ids.map(|id| self.numbers[id.index()]).collect()
    }

    /// Endpoints went down.
    pub(super) fn fail(&mut self, now: Moment, what: String, ids: impl Iterator<Item = EndpointId>) {
        let endpoints = self.numbers(ids);
        self.blame.open(now, self.at_ms(now), what, endpoints);
    }

    /// Endpoints came back, or something else befell them.
    pub(super) fn heal(&mut self, ids: impl Iterator<Item = EndpointId>) {
        let endpoints = self.numbers(ids);
        self.blame.close_of(&endpoints);
    }

    /// A probe of an endpoint failed.
    pub(super) fn detect(&mut self, id: EndpointId, now: Moment) {
        self.blame.detect(self.numbers[id.index()], now);
    }

    /// What an endpoint serves of its capacity, and that, in requests per second; `None` where nobody knows.
    pub(super) fn rps(&self, catalog: &Catalog, id: EndpointId) -> Option<u64> {
        let endpoint = catalog.endpoint(id);
        let number = self.numbers[id.index()];
        let (_, load) = self.services[endpoint.service.index()].loads.iter().find(|(other, _)| *other == number)?;
        Some(part(*load, endpoint.capacity?, 1000))
    }

    /// A look at what the clients of services are given from now on: those whose version is another, or all.
    pub(super) fn look(&mut self, world: &World, reality: &Reality, now: Moment, is_due: impl Fn(ServiceId) -> bool) {
        self.settle(now);
        let due: Vec<ServiceId> = (0..).map(ServiceId).take(self.services.len()).filter(|id| is_due(*id)).collect();
        for id in due {
            self.look_at(id, world, reality, now);
        }
        let wrong = self.services.iter().flat_map(|served| &served.wrong).map(|wrong| wrong.endpoint).collect();
        self.blame.is_given(&wrong);
        if self.blame.is_waiting() {
            let ids = || world.catalog.endpoints.iter().zip((0..).map(EndpointId));
            let measured = self.numbers(ids().filter(|(endpoint, _)| !endpoint.probes.is_empty()).map(|(_, id)| id));
            let down = self.numbers(ids().filter(|(_, id)| world.status(*id).is_down()).map(|(_, id)| id));
            self.blame.publish(&measured, &down, now);
        }
    }

    /// One service.
    fn look_at(&mut self, id: ServiceId, world: &World, reality: &Reality, now: Moment) {
        let service = world.catalog.service(id);
        let first = service.endpoints.start;
        let mut served = std::mem::take(&mut self.services[id.index()]);
        let down =
            (service.endpoints.clone()).filter(|index| reality.is_down(EndpointId(*index), now)).fold(0, |bits: Bits, index| bits | 1 << (index - first));
        let mut landing: BTreeMap<u32, u64> = BTreeMap::new();
        let mut wrong: BTreeMap<u32, (u64, u64)> = BTreeMap::new();
        let mut flows: BTreeMap<(u32, u32), u64> = BTreeMap::new();
        let mut moved_often = Vec::new();
        for (index, group) in self.mix.groups().iter().enumerate() {
            let decision = decide(&Ask { service: id, client: self.clients[index], family: Family::Any }, world, &mut Silent);
            let shares = group.given(&decision, &self.clients[index], world);
            let ttl_ms = 1000 * u64::from(if decision.moving { service.ttl_moving.0 } else { service.ttl_steady.0 });
            let saviours = served.lawful[index] & service.lineup.able & !down;
            let mut given = Vec::with_capacity(shares.len());
            for (endpoint, share) in shares.into_iter().filter(|(_, share)| *share > 0) {
                let (number, bit) = (self.numbers[endpoint.index()], endpoint.0 - first);
                given.push((number, share));
                let clients = part(group.share, share, ALL_CLIENTS);
                *landing.entry(number).or_default() += clients;
                if down >> bit & 1 == 1 && saviours != 0 {
                    let (sum, longest) = wrong.entry(number).or_default();
                    (*sum, *longest) = (*sum + clients, ttl_ms.max(*longest));
                }
                if served.lawful[index] >> bit & 1 == 0 {
                    breach_law(self.scenario, &mut self.report, now.millis_since(self.start), || {
                        let region = &world.catalog.region(world.catalog.endpoint(endpoint).region).name;
                        format!("clients in {} of {} are given {region}", place_of(&self.clients[index], &world.geo), service.name)
                    });
                }
            }
            given.sort_unstable();
            if given.is_empty() && now >= self.start {
                breach_empty(self.scenario, &mut self.report, now.millis_since(self.start), || {
                    format!("clients in {} of {} get no answer", place_of(&self.clients[index], &world.geo), service.name)
                });
            }
            if now > self.start {
                let moved = moves(&served.given[index], &given);
                let all: u64 = moved.iter().filter(|(from, _, _)| *from != NOBODY).map(|(_, _, share)| share).sum();
                if all > 0 {
                    note_moves(&mut served.moved[index], all, now);
                    moved_often.push((index, served.moved[index].iter().map(|(_, share)| share).sum::<u64>()));
                }
                for (from, to, share) in moved {
                    *flows.entry((from, to)).or_default() += part(group.share, share, ALL_CLIENTS);
                }
            }
            served.given[index] = given;
        }
        for (index, sum) in moved_often {
            self.judge_moves(sum, service, index, &world.geo, now);
        }
        served.wrong = wrong.into_iter().map(|(endpoint, (share, ttl_ms))| Wrong { endpoint, share, ttl_ms }).collect();
        served.loads = loads(&served, &landing, world, service, &self.numbers);
        for ((from, to), share) in &flows {
            self.blame.moved(served.service, *from, *to, *share);
        }
        self.tell_flows(service, &flows, now);
        self.services[id.index()] = served;
    }

    /// Tells who moved, by region, the largest first.
    fn tell_flows(&mut self, service: &Service, flows: &BTreeMap<(u32, u32), u64>, now: Moment) {
        let mut regions: BTreeMap<(&str, &str), u64> = BTreeMap::new();
        for ((from, to), share) in flows {
            *regions.entry((self.names.region(*from), self.names.region(*to))).or_default() += share;
        }
        let mut regions: Vec<_> = regions.into_iter().filter(|(_, share)| ppm(*share) >= 100).collect();
        regions.sort_by_key(|(names, share)| (std::cmp::Reverse(*share), *names));
        if regions.is_empty() {
            return;
        }
        let told: Vec<String> = regions.iter().map(|((from, to), share)| format!("{} {from} → {to}", percent(*share))).collect();
        self.tell(now, "moved", format!("{}: {}", service.name, told.join(", ")));
    }

    /// Holds how often clients were moved within an hour against what may be.
    fn judge_moves(&mut self, sum: u64, service: &Service, index: usize, geo: &Geo, now: Moment) {
        let permille = part(sum, 1000, ALL_CLIENTS);
        if permille > self.report.moves_per_hour {
            self.report.moves_per_hour = permille;
            self.report.most_moved = Some(format!("clients in {} of {}", place_of(&self.clients[index], geo), service.name).into());
        }
        let at_ms = self.at_ms(now);
        for expectation in &self.scenario.expectations {
            if let Expected::Moves { most } = expectation.what
                && permille > u64::from(most)
            {
                self.report.breach(&expectation.text, at_ms, || {
                    let place = place_of(&self.clients[index], geo);
                    format!("clients in {place} of {} were moved {}.{:03} times within an hour", service.name, permille / 1000, permille % 1000)
                });
            }
        }
    }

    /// Closes the accounts of what held until now.
    pub(super) fn settle(&mut self, now: Moment) {
        if now <= self.since {
            return;
        }
        let began = self.at_ms(self.since);
        let calm = self.disturbed.plus_millis(SIMULATION_SETTLE_MS);
        for served in &self.services {
            if !served.wrong.is_empty() {
                self.blame.charge(&served.wrong, now);
            }
            for (endpoint, load) in &served.loads {
                let (peak, at_ms, settled) = self.peaks.entry(*endpoint).or_default();
                if *load > *peak {
                    (*peak, *at_ms) = (*load, began);
                }
                if now > calm {
                    *settled = (*settled).max(*load);
                }
                for expectation in &self.scenario.expectations {
                    let Expected::MaxLoad { most, after_ms } = expectation.what else { continue };
                    let counts = self.disturbed.plus_millis(after_ms);
                    if *load > u64::from(most) && now > counts {
                        let at_ms = self.since.max(counts).millis_since(self.start);
                        self.report.breach(&expectation.text, at_ms, || format!("{} is at {}.{} %", self.names.endpoint(*endpoint), load / 10, load % 10));
                    }
                }
            }
        }
        self.since = now;
    }

    /// Ends the run, and judges what can be judged only then.
    pub(super) fn finish(mut self, now: Moment) -> Report {
        self.settle(now);
        let load = |(number, (peak, at_ms, settled)): (u32, (u64, u64, u64))| Load { endpoint: self.names.endpoint(number).to_owned(), peak, at_ms, settled };
        self.report.loads = self.peaks.into_iter().map(load).collect();
        self.report.loads.sort_by(|one, other| one.endpoint.cmp(&other.endpoint));
        self.report.failures = self.blame.finish(&self.names);
        let failures = self.report.failures.clone();
        for expectation in &self.scenario.expectations {
            let Expected::Recovery { most_ms } = expectation.what else { continue };
            for failure in &failures {
                let Some(last) = failure.last_wrong_ms.filter(|last| *last > most_ms) else { continue };
                self.report.breach(&expectation.text, failure.at_ms + most_ms, || {
                    let at = format!("{}.{:03} s", last / 1000, last % 1000);
                    format!("{}: it was still answered after {at}, to {} of a service's clients at most", failure.what, percent_of_ppm(failure.wrong_ppm))
                });
            }
        }
        self.report
    }
}

/// Takes note of a move, and forgets those of more than an hour ago.
fn note_moves(moved: &mut VecDeque<(Moment, u64)>, share: u64, now: Moment) {
    moved.push_back((now, share));
    while moved.front().is_some_and(|(at, _)| now.millis_since(*at) >= HOUR_MS) {
        moved.pop_front();
    }
}

/// How full the endpoints of a service are, in thousandths.
fn loads(served: &Served, landing: &BTreeMap<u32, u64>, world: &World, service: &Service, numbers: &[u32]) -> Vec<(u32, u64)> {
    let Some(demand) = served.demand.map(|demand| part(demand, u64::from(served.surge), 1000)) else { return Vec::new() };
    let load = |(id, capacity): (EndpointId, u64)| {
        let number = numbers[id.index()];
        let share = landing.get(&number).copied().unwrap_or(0);
        (number, part(part(share, demand.saturating_mul(1000), ALL_CLIENTS), 1, capacity))
    };
    world.catalog.endpoints_of(service).filter_map(|(id, endpoint)| Some((id, endpoint.capacity?))).map(load).collect()
}

/// Tells that the law was not kept.
fn breach_law(scenario: &Scenario, report: &mut Report, at_ms: u64, who: impl Fn() -> String) {
    for expectation in scenario.expectations.iter().filter(|expectation| expectation.what == Expected::Residency) {
        report.breach(&expectation.text, at_ms, &who);
    }
}

/// Tells that somebody got nothing.
fn breach_empty(scenario: &Scenario, report: &mut Report, at_ms: u64, who: impl Fn() -> String) {
    for expectation in scenario.expectations.iter().filter(|expectation| expectation.what == Expected::NeverEmpty) {
        report.breach(&expectation.text, at_ms, &who);
    }
}

/// The endpoints that the law leaves a group, from the rules as they are written: a judge of steering must not read what steering reads. Only what a
/// geography does not keep by itself (subdivisions, networks, autonomous systems) is asked of it.
fn lawful(service: &Service, group: &Group, client: &Client, world: &World) -> Bits {
    let catalog = &world.catalog;
    let country = world.geo.locality(client.place.locality).country.or(group.country);
    let binds = |rule: &crate::catalog::Residency| {
        let set = &catalog.client_sets[rule.clients.index()];
        let is_meant = set.selectors.iter().any(|selector| match selector {
            Selector::Unknown => country.is_none(),
            Selector::Any => true,
            Selector::Jurisdiction(_) | Selector::Continent(_) => country.is_some_and(|country| set.countries.iter().any(|own| **own == *country.as_str())),
            Selector::Subdivision(_) | Selector::Asn(_) | Selector::Network(_) => client.sets(&world.geo).has(rule.clients),
        });
        is_meant || (country.is_none() && rule.unknown == UnknownClient::Apply)
    };
    let rules: Vec<_> = service.residency.iter().map(|id| &catalog.residencies[id.index()]).filter(|rule| binds(rule)).collect();
    catalog.endpoints_of(service).zip(0..).fold(0, |bits, ((_, endpoint), index)| {
        let is_lawful = rules.iter().all(|rule| rule.regions.has(endpoint.region));
        bits | Bits::from(is_lawful) << index
    })
}

/// Names the place of clients for people.
fn place_of(client: &Client, geo: &Geo) -> String {
    geo.locality(client.place.locality).label.to_string()
}

/// A share of all clients in per cent, with two decimals.
fn percent(share: u64) -> String {
    percent_of_ppm(ppm(share))
}

/// The same of millionths.
fn percent_of_ppm(ppm: u64) -> String {
    format!("{}.{:02} %", ppm / 10_000, ppm / 100 % 100)
}
