//! The loop: what falls due next on virtual time, until the end.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use super::account::Account;
use super::reality::{Flap, flap};
use super::scenario::names;
use super::{Amount, Expected, Reality, Report, Scenario, What};
use crate::catalog::{AddressType, AliasId, Catalog, EndpointId, ProbeKind, ProbeSpec, Safety, ServiceId, glob};
use crate::control::{Controller, Effects, EndpointName, Event, Found, Heartbeat, LoadReport, Lookup};
use crate::geo::{Geo, Random};
use crate::health::{Observation, ProbeOutcome};
use crate::limits::{
    ALIAS_FRESH_MAX_MS, HEARTBEAT_MS, PROBES_IN_FLIGHT_MAX, SIMULATION_IDLE_MS, SIMULATION_REPORT_MS, SIMULATION_SETTLE_MS, SIMULATION_WARM_UP_MS,
};
use crate::schedule::{Key, Schedule, Targets};
use crate::steer::{Ask, Cells, Client, Family};
use crate::units::{Micros, Moment};
use crate::world::World;

/// What a scenario plays on: zones, and the geography compiled for them.
#[derive(Clone, Debug)]
pub struct Ground {
    /// What exists.
    pub catalog: Arc<Catalog>,
    /// Where clients are.
    pub geo: Arc<Geo>,
}

/// Told how many milliseconds of the scenario are over, now and then.
pub type Progress<'p> = &'p mut dyn FnMut(u64);

/// The moment at which scenarios begin: any that leaves room for the warm-up before it.
const START: Moment = Moment(1_600_000_000_000);

/// Something that falls due.
#[derive(Debug)]
enum Due {
    /// What the scenario says: its number.
    Happening(usize),
    /// The prober goes on.
    Resume,
    /// Endpoints come or go.
    Turn(Flap),
    /// A probe is complete.
    Finish {
        /// How many times the node had been started when it began.
        life: u32,
        /// Which.
        key: Key,
        /// What came of it.
        outcome: ProbeOutcome,
        /// The time that it measured.
        rtt: Micros,
    },
    /// Aliases are looked up.
    LookUp,
    /// Endpoints report their loads.
    Report,
    /// Endpoints tell that they are well, where that is expected of them.
    Beat,
    /// An expectation is to be judged at this moment: its number.
    Judge(usize),
}

/// One run.
struct Engine<'s> {
    /// What is to happen.
    scenario: &'s Scenario,
    /// The zones, demands written into them.
    grounds: Vec<Ground>,
    /// What falls due, in the order of time and then of entry.
    agenda: BTreeMap<(Moment, u64), Due>,
    /// Entries so far.
    entries: u64,
    /// The node's controller.
    controller: Controller,
    /// The node's schedule of probes.
    schedule: Schedule,
    /// What aliases are to the probes.
    targets: Targets,
    /// The decisions that a worker keeps.
    cells: Cells,
    /// How many times the node was started.
    life: u32,
    /// The generation at the last look at what clients get.
    seen: u64,
    /// How endpoints really are.
    reality: Reality,
    /// Draws lots.
    random: Random,
    /// Whether the world says that its statuses are held without fresh observations.
    stale: bool,
    /// Until when the prober stands still.
    stopped: Moment,
    /// Until when the controller looks at its clock at every step.
    busy: Moment,
    /// When it looks next.
    tick: Moment,
    /// What clients get.
    account: Account<'s>,
}

/// Runs a scenario. `grounds` are its zones: the first at the start, others when they are loaded.
///
/// Returns `None` where there is no ground, or where nobody asks: the geography knows no address of the scenario's countries.
#[must_use]
pub fn run(scenario: &Scenario, grounds: &[Ground], seed: u64, progress: Progress<'_>) -> Option<Report> {
    let believed = |ground: &Ground| Ground { catalog: with_demands(&ground.catalog, scenario), geo: Arc::clone(&ground.geo) };
    let grounds: Vec<Ground> = grounds.iter().map(believed).collect();
    let first = grounds.first()?.clone();
    let warm_up = SIMULATION_WARM_UP_MS.max(2 * first.catalog.probes.iter().map(|spec| u64::from(spec.interval_ms)).max().unwrap_or(0));
    let begin = Moment(START.0 - warm_up);
    let controller = Controller::new(Arc::clone(&first.catalog), Arc::clone(&first.geo), begin);
    let account = Account::new(scenario, seed, controller.world(), &truths(&first.catalog, scenario), START);
    if !account.has_clients() {
        return None;
    }
    let mut engine = Engine {
        scenario,
        grounds,
        agenda: BTreeMap::new(),
        entries: 0,
        schedule: Schedule::new(seed, PROBES_IN_FLIGHT_MAX),
        targets: Targets::of(controller.world()),
        controller,
        cells: Cells::default(),
        life: 0,
        seen: 0,
        reality: Reality::new(&first.catalog),
        random: Random::new(seed),
        stale: false,
        stopped: Moment(0),
        busy: begin.plus_millis(SIMULATION_SETTLE_MS),
        tick: begin,
        account,
    };
    engine.begin(begin);
    Some(engine.play(begin, progress))
}

/// The catalog with what the controller is to believe of demands.
fn with_demands(catalog: &Arc<Catalog>, scenario: &Scenario) -> Arc<Catalog> {
    if scenario.demands.is_empty() && catalog.safety == Safety::default() {
        return Arc::clone(catalog);
    }
    // What files do is asked for, whether or not a node would take them at once.
    let mut catalog = Catalog { safety: Safety::default(), ..Catalog::clone(catalog) };
    for service in &mut catalog.services {
        let Some(demand) = scenario.demands.iter().find(|demand| names(&demand.service, service)) else { continue };
        service.peak = match demand.amount {
            Amount::Rps(rps) => Some(rps),
            Amount::OfPeak(factor) => service.peak.map(|peak| peak.saturating_mul(u64::from(factor)) / 1000),
        };
    }
    Arc::new(catalog)
}

/// What is really asked of the services, in requests per second.
fn truths(catalog: &Catalog, scenario: &Scenario) -> Vec<Option<u64>> {
    let factor = u64::try_from(1000 + i64::from(scenario.wrong_by)).unwrap_or(0);
    catalog.services.iter().map(|service| service.peak.map(|peak| peak.saturating_mul(factor) / 1000)).collect()
}

impl Engine<'_> {
    /// Puts everything on the agenda that is known to come.
    fn begin(&mut self, begin: Moment) {
        let plan = self.controller.plan();
        self.schedule.replan(&plan, begin);
        self.enter(begin, Due::LookUp);
        self.enter(begin, Due::Beat);
        for (index, happening) in self.scenario.happenings.iter().enumerate() {
            self.enter(START.plus_millis(happening.at_ms), Due::Happening(index));
        }
        for (index, expectation) in self.scenario.expectations.iter().enumerate() {
            if let Expected::Answers { at_ms, .. } = expectation.what {
                self.enter(START.plus_millis(at_ms), Due::Judge(index));
            }
        }
        if self.scenario.reported {
            self.enter(begin.plus_millis(SIMULATION_REPORT_MS), Due::Report);
        }
        self.look(begin, true);
    }

    /// Puts something on the agenda.
    fn enter(&mut self, at: Moment, due: Due) {
        self.entries += 1;
        self.agenda.insert((at, self.entries), due);
    }

    /// Plays to the end.
    fn play(mut self, begin: Moment, progress: Progress<'_>) -> Report {
        let end = START.plus_millis(self.scenario.length_ms);
        let mut now = begin;
        loop {
            while let Some(entry) = self.agenda.first_entry().filter(|entry| entry.key().0 <= now) {
                let due = entry.remove();
                self.meet(due, now);
            }
            if self.tick <= now {
                let effects = self.controller.handle(Event::Tick, now);
                self.tick = now.plus_millis(if now < self.busy { self.scenario.step_ms } else { SIMULATION_IDLE_MS.max(self.scenario.step_ms) });
                self.carry_out(effects, now);
            }
            if now >= self.stopped {
                self.ask(now);
            }
            let wake = if now >= self.stopped { self.schedule.wake() } else { None };
            let next = self.agenda.first_key_value().map(|((at, _), _)| *at).into_iter().chain(wake).fold(self.tick, Moment::min);
            if next > end {
                break;
            }
            now = next.max(now);
            progress(now.millis_since(START));
        }
        let Self { mut account, controller, .. } = self;
        account.report.worlds += controller.world().generation;
        account.finish(end)
    }

    /// Starts the probes whose turn it is.
    fn ask(&mut self, now: Moment) {
        while let Some((key, spec)) = self.schedule.start(now) {
            let spec = spec.clone();
            if self.schedule.aim(key, &self.targets.addresses(&spec.target.host)).is_none() {
                continue;
            }
            let (outcome, takes, rtt) = self.reality.outcome(&spec, now, &mut self.random);
            self.account.report.probes += 1;
            self.enter(now.plus_millis(takes.max(1)), Due::Finish { life: self.life, key, outcome, rtt });
        }
    }

    /// Meets what falls due.
    fn meet(&mut self, due: Due, now: Moment) {
        match due {
            Due::Happening(index) => self.happen(&self.scenario.happenings[index].what, now),
            Due::Resume => {}
            Due::Turn(flap) => {
                self.stir(now);
                if let Some(next) = flap.next(now) {
                    self.enter(next, Due::Turn(flap));
                }
                self.look(now, true);
            }
            Due::Finish { life, key, outcome, rtt } => self.finish(life, key, outcome, rtt, now),
            Due::LookUp => self.look_up(now),
            Due::Report => self.report_loads(now),
            Due::Beat => self.beat(now),
            Due::Judge(index) => self.judge(index, now),
        }
    }

    /// The controller looks at its clock at every step for a while.
    fn stir(&mut self, now: Moment) {
        self.busy = self.busy.max(now.plus_millis(SIMULATION_SETTLE_MS));
        self.tick = self.tick.min(now.plus_millis(self.scenario.step_ms));
    }

    /// Lets something happen.
    fn happen(&mut self, what: &What, now: Moment) {
        self.stir(now);
        self.account.disturb(now);
        self.account.tell(now, "event", what.to_string());
        let catalog = Arc::clone(&self.controller.world().catalog);
        self.reality.happen(&catalog, what, now);
        match what {
            What::Down { target, .. } => self.account.fail(now, what.to_string(), target.endpoints(&catalog)),
            What::Up(target) => self.account.heal(target.endpoints(&catalog)),
            What::Slow { .. } | What::Lossy { .. } | What::Cut { .. } | What::Certificate { .. } => {}
            What::Failback { service } => {
                let named = catalog.services.iter().filter(|known| names(service, known)).map(|known| known.name.to_string().into());
                let released = Event::Released { services: named.collect(), why: "as the scenario says".into() };
                let effects = self.controller.handle(released, now);
                self.carry_out(effects, now);
            }
            What::Flap { .. } => {
                if let Some(flap) = flap(what, now)
                    && let Some(next) = flap.next(now)
                {
                    self.enter(next, Due::Turn(flap));
                }
            }
            What::Surge { service, factor } => self.account.surge(service, *factor, &catalog),
            What::Reload(index) => self.reload(*index, now),
            What::Restart => self.restart(now),
            What::Stale { for_ms } => {
                self.stopped = now.plus_millis(*for_ms);
                self.busy = self.busy.max(self.stopped);
                self.enter(self.stopped, Due::Resume);
            }
        }
        self.look(now, true);
    }

    /// Loads other zones.
    fn reload(&mut self, index: usize, now: Moment) {
        let Some(Ground { catalog, geo }) = self.grounds.get(index).cloned() else { return };
        self.reality = self.reality.over(&catalog);
        let truths = truths(&catalog, self.scenario);
        let effects = self.controller.handle(Event::Reloaded { catalog, geo, allow_shrink: true }, now);
        self.account.move_to(self.controller.world(), &truths);
        self.seen = 0;
        self.carry_out(effects, now);
        self.look_up_all(now);
    }

    /// Starts the node again with what its state file holds.
    fn restart(&mut self, now: Moment) {
        let world = Arc::clone(self.controller.world());
        let state = self.controller.state(now);
        self.account.report.worlds += world.generation;
        self.controller = Controller::new(Arc::clone(&world.catalog), Arc::clone(&world.geo), now);
        self.schedule = Schedule::new(self.account.report.seed, PROBES_IN_FLIGHT_MAX);
        self.targets = Targets::of(self.controller.world());
        self.cells = Cells::default();
        self.life += 1;
        self.seen = 0;
        // What is restored is in the first world that anybody sees.
        self.controller.handle_all([Event::Restored(state), Event::Tick], now);
        let plan = self.controller.plan();
        self.schedule.replan(&plan, now);
        self.look_up_all(now);
    }

    /// Takes back a probe.
    fn finish(&mut self, life: u32, key: Key, outcome: ProbeOutcome, rtt: Micros, now: Moment) {
        if life != self.life {
            return;
        }
        let Some((epoch, probe)) = self.schedule.finish(key, &outcome, now) else { return };
        if outcome.is_failure() {
            for id in self.reality.asked(probe.index()).to_vec() {
                if self.reality.is_down(id, now) {
                    self.account.detect(id, now);
                }
            }
        }
        let observation = Observation { at: now, outcome, rtt, expires: None, drill: false };
        let effects = self.controller.handle(Event::Observed { epoch, probe, observation }, now);
        self.carry_out(effects, now);
    }

    /// Looks up all aliases, now and again for as long as it lasts.
    fn look_up(&mut self, now: Moment) {
        self.look_up_all(now);
        if !self.controller.world().catalog.aliases.is_empty() || self.grounds.len() > 1 {
            self.enter(now.plus_millis(ALIAS_FRESH_MAX_MS / 2), Due::LookUp);
        }
    }

    /// Looks up all aliases: each has one address of each type, the same for ever, of those that are kept for benchmarks (RFC 2544, RFC 5180).
    fn look_up_all(&mut self, now: Moment) {
        let catalog = Arc::clone(&self.controller.world().catalog);
        let epoch = self.controller.plan().epoch;
        for (alias, number) in catalog.aliases.iter().zip(0_u32..) {
            for of in alias.types.iter() {
                let address = match of {
                    AddressType::A => IpAddr::V4(Ipv4Addr::from_bits(0xc612_0001 + number % 0x1_ffff)),
                    AddressType::Aaaa => IpAddr::V6(Ipv6Addr::from_bits((0x2001_0002_0000 << 80) + 1 + u128::from(number))),
                };
                let found = Found { addresses: [address].into(), ttl_s: 3_600 };
                let lookup = Lookup { at: now, outcome: Ok(found) };
                let effects = self.controller.handle(Event::Resolved { epoch, alias: AliasId(number), of, lookup }, now);
                self.carry_out(effects, now);
            }
        }
    }

    /// Every endpoint that is there reports what it serves.
    fn report_loads(&mut self, now: Moment) {
        let catalog = Arc::clone(&self.controller.world().catalog);
        for id in (0..).map(EndpointId).take(catalog.endpoints.len()) {
            let Some(rps) = self.account.rps(&catalog, id).filter(|_| !self.reality.is_down(id, now)) else { continue };
            let report = LoadReport { endpoint: EndpointName::of(&catalog, id), rps };
            let effects = self.controller.handle(Event::LoadReported(report), now);
            self.carry_out(effects, now);
        }
        self.stir(now);
        self.enter(now.plus_millis(SIMULATION_REPORT_MS), Due::Report);
    }

    /// Every endpoint that is there and has to, tells that it is well: twice in the time within which that is expected of the most eager.
    fn beat(&mut self, now: Moment) {
        let catalog = Arc::clone(&self.controller.world().catalog);
        let is_pushed = |spec: &&ProbeSpec| matches!(spec.kind, ProbeKind::Push(_));
        let Some(within) = catalog.probes.iter().filter(is_pushed).map(|spec| spec.interval_ms).min() else {
            if self.grounds.len() > 1 {
                self.enter(now.plus_millis(HEARTBEAT_MS.into()), Due::Beat);
            }
            return;
        };
        for (endpoint, id) in catalog.endpoints.iter().zip((0..).map(EndpointId)) {
            let has_to = endpoint.all_probes().any(|probe| is_pushed(&&catalog.probes[probe.index()]));
            if has_to && !self.reality.is_down(id, now) && now >= self.stopped {
                let heartbeat = Heartbeat { endpoint: EndpointName::of(&catalog, id), outcome: ProbeOutcome::Passed, next_ms: None, at: now };
                let effects = self.controller.handle(Event::Heard(heartbeat), now);
                self.carry_out(effects, now);
            }
        }
        self.enter(now.plus_millis(u64::from(within) / 2), Due::Beat);
    }

    /// Carries out what the controller wants.
    fn carry_out(&mut self, effects: Effects, now: Moment) {
        for change in &effects.changes {
            self.account.tell(now, "health", change.to_string());
        }
        for change in &effects.tiers {
            self.account.tell(now, "tier", change.to_string());
        }
        if let Some(plan) = &effects.plan {
            self.schedule.replan(plan, now);
        }
        if let Some(world) = effects.publish {
            if std::mem::replace(&mut self.stale, world.statuses.stale) != world.statuses.stale {
                let text = if world.statuses.stale { "no fresh observations: what was seen last is held" } else { "observations are fresh again" };
                self.account.tell(now, "stale", text.to_owned());
            }
            if !self.targets.are_of(&world) {
                self.targets = Targets::of(&world);
                self.schedule.retarget(&self.targets);
            }
            self.look(now, false);
        }
    }

    /// Looks at what clients get in the present world: of services that changed since the last look, or of all.
    fn look(&mut self, now: Moment, all: bool) {
        let world: Arc<World> = Arc::clone(self.controller.world());
        let seen = std::mem::replace(&mut self.seen, world.generation);
        let is_due = |version: u64| all || version > seen;
        if world.statuses.versions.iter().any(|version| is_due(*version)) {
            self.account.look(&world, &self.reality, now, |id| is_due(world.version(id)));
            self.stir(now);
        }
    }

    /// Judges an answer that is expected at this moment.
    fn judge(&mut self, index: usize, now: Moment) {
        let expectation = &self.scenario.expectations[index];
        let Expected::Answers { service: word, client, region: wanted, at_ms } = &expectation.what else { return };
        let world = Arc::clone(self.controller.world());
        let len = if client.is_ipv4() { 32 } else { 128 };
        let client = Client::at(*client, len, &world.geo);
        for (service, id) in world.catalog.services.iter().zip((0..).map(ServiceId)).filter(|(service, _)| names(word, service)) {
            let chosen = self.cells.choose(&Ask { service: id, client, family: Family::Any }, &world);
            let region = chosen.endpoints().first().map_or("no answer", |id| &world.catalog.region(world.catalog.endpoint(*id).region).name);
            if !glob(wanted, region) {
                self.account.settle(now);
                self.account.report.breach(&expectation.text, *at_ms, || format!("{} answers {region}", service.name));
            }
        }
    }
}
