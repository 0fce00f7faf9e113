//! The controller itself.

mod doubt;
mod drill;
mod failback;
mod heartbeats;
mod judge;
mod kept;
mod load;
mod reload;

use std::collections::HashMap;
use std::sync::Arc;

use super::aliases::Aliases;
use super::drills::Guard;
use super::failback::Latches;
use super::overrides::{Intents, Move, Overrides, Shift};
use super::spill::Spill;
use super::{AliasChange, AliasNews, Effects, Event, Lookup, Plan, Situations, Why, probe_label};
use crate::catalog::{AddressType, AliasId, Catalog, EndpointId, ProbeId};
use crate::geo::Geo;
use crate::health::{Evidence, Health, Observation, ProbeOutcome, Rule, Status, Tracker};
use crate::limits::{ALIAS_LOOKUP_MS, EVIDENCE_REFRESH_MS, READY_DEADLINE_MS, STATE_REFRESH_MS, STATE_WRITE_MS, WORLD_REFRESH_MS};
use crate::units::Moment;
use crate::world::{Statuses, World};

use doubt::{Doubt, is_silence};
use drill::{Stage, victim};
use heartbeats::Expected;
use judge::{Cause, Watch};
use reload::Paces;

/// The one writer. See the room's invariants.
#[derive(Debug)]
pub struct Controller {
    /// What was published last.
    world: Arc<World>,
    /// What exists.
    catalog: Arc<Catalog>,
    /// Where clients are.
    geo: Arc<Geo>,
    /// The epoch of the plan in force.
    epoch: u64,
    /// What each probe has shown.
    trackers: Box<[Tracker]>,
    /// For each probe the endpoints that it judges.
    users: Users,
    /// For each endpoint those that depend on it.
    dependants: Dependants,
    /// Whether the node has reason to doubt itself.
    doubt: Doubt,
    /// By when heartbeats are expected.
    expected: Expected,
    /// What aliases were resolved to.
    aliases: Aliases,
    /// For each alias the endpoints that have it.
    aliased: Users,
    /// For each probe of the epoch before, what it is now: observations under way across a reload are not lost.
    carried: Box<[Option<ProbeId>]>,
    /// The statuses to be published next.
    statuses: Vec<Status>,
    /// Endpoints that were down, and what becomes of them.
    watch: Watch,
    /// The versions to be published next.
    versions: Vec<u64>,
    /// What operators intend.
    intents: Intents,
    /// What reloads moved.
    paces: Paces,
    /// The drill, if there is one.
    stage: Stage,
    /// The situations that services were in.
    situations: Situations,
    /// Which tiers are in use, where clients do not return by themselves.
    latches: Latches,
    /// Whose load goes where.
    spill: Spill,
    /// Whether an endpoint was opened further by time alone, so that loads are to be fitted in the same event.
    eased: bool,
    /// What each probe has shown, as published last, and when that was put together; `None` when probes are others since.
    evidence: Option<(Arc<[Evidence]>, Moment)>,
    /// Whether they differ from what was published.
    touched: bool,
    /// When the newest observation was made.
    observed: Moment,
    /// Until when the observations so far count as fresh, all probes taken together.
    fresh_until: Moment,
    /// Whether health changed since the state was last written.
    unsaved: bool,
    /// When it was last written.
    saved: Moment,
    /// Whether each probe was asked and each alias looked up since the start; `None` once the node is ready.
    first_round: Option<FirstRound>,
}

/// The wait for the first round of probes and look-ups.
#[derive(Debug)]
struct FirstRound {
    /// For each probe whether it was asked.
    asked: Box<[bool]>,
    /// How many were not.
    left: usize,
    /// When the wait ends in any case.
    deadline: Moment,
}

/// For each endpoint that others depend on, those. Others take no room.
pub(super) type Dependants = HashMap<EndpointId, Box<[EndpointId]>>;

/// For each probe the endpoints that it judges, or for each alias those that have it, as ranges of one list.
#[derive(Debug, Default)]
struct Users {
    /// Where each one's range begins; one more at the end.
    starts: Box<[u32]>,
    /// The endpoints, one by one.
    endpoints: Box<[EndpointId]>,
}

impl Controller {
    /// A controller that knows nothing yet but what exists. Its first world is generation 1.
    #[must_use]
    pub fn new(catalog: Arc<Catalog>, geo: Arc<Geo>, now: Moment) -> Self {
        let probes = catalog.probes.len();
        let deadline = now.plus_millis(first_round_ms(&catalog));
        let mut world = World::unmeasured(1, Arc::clone(&catalog), Arc::clone(&geo));
        let mut situations = Situations::default();
        situations.tell(&catalog, 1, &mut world.statuses);
        Self {
            epoch: 1,
            trackers: vec![Tracker::default(); probes].into(),
            users: Users::of_probes(&catalog),
            dependants: dependants(&catalog),
            doubt: Doubt::new(&catalog),
            expected: Expected::of(&catalog, now),
            aliases: Aliases::of(&catalog, now),
            aliased: Users::of_aliases(&catalog),
            carried: Box::default(),
            statuses: world.statuses.of.to_vec(),
            watch: Watch::default(),
            versions: world.statuses.versions.to_vec(),
            intents: Intents::default(),
            paces: Paces::default(),
            stage: Stage::default(),
            situations,
            latches: Latches::of(&catalog),
            spill: Spill::new(&catalog, &geo),
            eased: false,
            evidence: None,
            touched: false,
            observed: Moment(0),
            fresh_until: deadline.plus_millis(fresh_ms_max(&catalog)),
            unsaved: false,
            saved: now,
            first_round: (probes + catalog.aliases.len() > 0).then(|| FirstRound { asked: vec![false; probes].into(), left: probes, deadline }),
            world: Arc::new(world),
            catalog,
            geo,
        }
    }

    /// What was published last; of a new controller, what is to be published first.
    #[must_use]
    pub const fn world(&self) -> &Arc<World> {
        &self.world
    }

    /// What is to be probed, as a new controller wants it.
    #[must_use]
    pub fn plan(&self) -> Plan {
        Plan { epoch: self.epoch, catalog: Arc::clone(&self.catalog), fresh: vec![true; self.trackers.len()].into() }
    }

    /// Whether every probe was asked and every alias looked up at least once, or the longest wait for that is over. Once ready, always ready.
    #[must_use]
    pub const fn is_ready(&self) -> bool {
        self.first_round.is_none()
    }

    /// The overrides in force.
    #[must_use]
    pub const fn overrides(&self) -> &Arc<Overrides> {
        self.intents.overrides()
    }

    /// When reloads moved clients and how many, earliest first: safety rules count those with the others.
    #[must_use]
    pub fn moves(&self) -> &[Move] {
        self.paces.moves()
    }

    /// What a probe of the present catalog has shown.
    #[must_use]
    pub fn tracker(&self, probe: ProbeId) -> &Tracker {
        &self.trackers[probe.index()]
    }

    /// Handles one event.
    pub fn handle(&mut self, event: Event, now: Moment) -> Effects {
        self.handle_all([event], now)
    }

    /// Handles events in their order and publishes one world for all of them.
    pub fn handle_all(&mut self, events: impl IntoIterator<Item = Event>, now: Moment) -> Effects {
        let mut effects = Effects::default();
        let mut ticks = false;
        for event in events {
            match event {
                Event::Observed { epoch, probe, observation } => self.observe(epoch, probe, &observation, now, &mut effects),
                Event::Resolved { epoch, alias, of, lookup } => self.resolve(epoch, alias, of, &lookup, now, &mut effects),
                Event::Reloaded { catalog, geo, allow_shrink } => self.reload(catalog, geo, allow_shrink, now, &mut effects),
                Event::GeographyChanged { geo, digest } => self.change_geography(geo, digest, &mut effects),
                Event::Restored(state) => self.restore(&state, now, &mut effects),
                Event::Recalled(moves) => self.paces.learn(&moves, now),
                Event::LoadReported(report) => self.take_load(&report, now),
                Event::Released { services, why } => self.release(&services, &why, now, &mut effects),
                Event::Drilled { drills } => self.take_drills(&drills, now, &mut effects),
                Event::Answered(answers) => self.take_answers(answers, now),
                Event::Heard(heartbeat) => self.hear(heartbeat, now, &mut effects),
                Event::Tick => ticks = true,
                Event::Overridden { overrides, why } => {
                    let shift = self.intents.replace(&overrides, &why, &self.catalog, now);
                    self.shift(shift, now, &mut effects);
                }
            }
        }
        self.look_at_the_clock(now, &mut effects);
        if ticks | std::mem::take(&mut self.eased) {
            self.look_at_the_load(now, &mut effects);
        }
        effects
    }

    /// Takes in one observation.
    fn observe(&mut self, epoch: u64, probe: ProbeId, observation: &Observation, now: Moment, effects: &mut Effects) {
        let Some(probe) = self.understand(epoch, probe) else {
            effects.dropped += 1;
            return;
        };
        let catalog = Arc::clone(&self.catalog);
        let spec = &catalog.probes[probe.index()];
        if let Some(round) = &mut self.first_round {
            round.ask(probe);
        }
        let rule = Rule::of(spec);
        self.doubt.note(probe, observation);
        let is_reference = catalog.references.contains(&probe);
        // What a node without a network would see everywhere is no evidence while the node may be one.
        if is_silence(observation) && !is_reference && self.doubt.is_due(&catalog, &self.users, now) {
            return;
        }
        let (usual, was) = (self.trackers[probe.index()].unusual(), self.trackers[probe.index()].health());
        let verdict = self.trackers[probe.index()].observe(observation, &rule);
        if !verdict.evidence || is_reference && self.users.range(probe.index()).is_empty() {
            return;
        }
        self.observed = self.observed.max(observation.at);
        self.fresh_until = self.fresh_until.max(observation.at.plus_millis(rule.fresh_ms));
        let played = self.stage.observe(&catalog, probe, observation, &rule);
        if verdict.changed && was != Health::Down && self.trackers[probe.index()].health() == Health::Down && victim(self, probe).is_some() {
            let saw = victim(self, probe).map(|victim| format!("{victim} is really down ({}: {})", probe_label(spec), observation.outcome));
            self.stage.alarm(Guard::Incident, || saw.unwrap_or_default());
        }
        if let Some((played, observation)) = played {
            self.detect(probe, &observation, effects);
            if played.changed {
                let in_row = self.stage.in_row(probe);
                let why = || Why::Observed { probe: probe_label(spec).into(), outcome: observation.outcome.clone(), in_row };
                self.judge_some(probe, true, now, why, effects);
            }
        }
        if verdict.changed {
            self.stage.note_fact();
            let tracker = &self.trackers[probe.index()];
            let (in_row, unusual) = (tracker.last().map_or(1, |(_, in_row)| in_row), tracker.unusual());
            let why = || match observation.outcome {
                ProbeOutcome::Failed(_) | ProbeOutcome::Slow | ProbeOutcome::Warned(_) if unusual.is_none() => {
                    Why::Observed { probe: probe_label(spec).into(), outcome: observation.outcome.clone(), in_row }
                }
                _ if unusual.is_some() != usual.is_some() => Why::Baseline { probe: probe_label(spec).into(), unusual },
                _ => Why::Observed { probe: probe_label(spec).into(), outcome: observation.outcome.clone(), in_row },
            };
            self.judge_some(probe, false, now, why, effects);
        }
    }

    /// The probe of the present epoch that an observation is of.
    fn understand(&self, epoch: u64, probe: ProbeId) -> Option<ProbeId> {
        if epoch == self.epoch {
            return (probe.index() < self.trackers.len()).then_some(probe);
        }
        if epoch + 1 == self.epoch { self.carried.get(probe.index()).copied().flatten() } else { None }
    }

    /// Takes in one look-up.
    fn resolve(&mut self, epoch: u64, alias: AliasId, of: AddressType, lookup: &Lookup, now: Moment, effects: &mut Effects) {
        let current = if epoch == self.epoch { Some(alias) } else { self.aliases.carried(alias).filter(|_| epoch.checked_add(1) == Some(self.epoch)) };
        let Some(id) = current.filter(|id| id.index() < self.catalog.aliases.len()) else {
            effects.dropped += 1;
            return;
        };
        let taken = self.aliases.take(id, of, lookup);
        effects.unusable += taken.unusable;
        for news in taken.news {
            self.tell_of_alias(id, of, news, lookup.at, effects);
        }
        self.judge_aliased(id, now, effects);
        if let Some(round) = &mut self.first_round
            && self.aliases.is_in_vain(&self.catalog, id)
        {
            // Nobody can be asked.
            let name = &self.catalog.alias(id).name;
            for (spec, probe) in self.catalog.probes.iter().zip((0..).map(ProbeId)) {
                if spec.target.host.alias() == Some(name) {
                    round.ask(probe);
                }
            }
        }
    }

    /// Tells what is otherwise about an alias.
    fn tell_of_alias(&mut self, id: AliasId, of: AddressType, news: AliasNews, at: Moment, effects: &mut Effects) {
        self.unsaved |= matches!(news, AliasNews::Resolved(_) | AliasNews::LetGo);
        effects.aliases.push(AliasChange { alias: self.catalog.alias(id).name.to_string().into(), of, news, at });
    }

    /// Puts together anew what overrides or the end of them changed, and tells it.
    fn shift(&mut self, shift: Shift, now: Moment, effects: &mut Effects) {
        for id in shift.touched {
            // Health stays what it was.
            self.judge_all_of(id, Cause::Happened, now, &|| Why::Unblocked, effects);
        }
        // What explanations say may be another also where no status is.
        self.touched = true;
        effects.intents.extend(shift.told);
        effects.intents_untold += shift.untold;
        effects.expired.extend(shift.expired);
    }

    /// Does what time alone makes due, and publishes if anything is new.
    fn look_at_the_clock(&mut self, now: Moment, effects: &mut Effects) {
        self.miss(now, effects);
        self.judge_due(now, effects);
        for (id, of, news) in self.aliases.expire(&self.catalog, now) {
            self.tell_of_alias(id, of, news, now, effects);
            self.judge_aliased(id, now, effects);
        }
        let is_over = |round: &FirstRound| now >= round.deadline || round.left == 0 && self.aliases.unasked(&self.catalog) == 0;
        let became_ready = self.first_round.as_ref().is_some_and(is_over);
        if became_ready {
            self.first_round = None;
        }
        if let Some(shift) = self.intents.pass(&self.catalog, now) {
            self.shift(shift, now, effects);
        }
        let doubting = self.doubt.is_due(&self.catalog, &self.users, now);
        if doubting != std::mem::replace(&mut self.doubt.holds, doubting) {
            effects.doubt = Some(doubting);
        }
        if doubting {
            self.stage.alarm(Guard::Incident, || "this node doubts its own network".to_owned());
        }
        self.look_at_the_drill(now, effects);
        self.settle_tiers(became_ready, now, effects);
        let stale = doubting || !self.trackers.is_empty() && now > self.fresh_until;
        let published = &self.world.statuses;
        let aged = self.observed.millis_since(published.observed) >= WORLD_REFRESH_MS;
        if self.touched || self.watch.has_news() || self.aliases.has_changed() || stale != published.stale || doubting != published.doubting || aged {
            self.publish(stale, now, effects);
        }
        let since = now.millis_since(self.saved);
        let is_worth_it = !self.trackers.is_empty() || !self.catalog.aliases.is_empty();
        if is_worth_it && since >= if self.unsaved { STATE_WRITE_MS } else { STATE_REFRESH_MS } {
            effects.persist = true;
            self.unsaved = false;
            self.saved = now;
        }
    }

    /// What each probe has shown, at most [`EVIDENCE_REFRESH_MS`] old: a world is made for every status that changes, and there are many probes.
    fn evidence(&mut self, now: Moment) -> Arc<[Evidence]> {
        if let Some((evidence, _)) = self.evidence.as_ref().filter(|(_, at)| now.millis_since(*at) < EVIDENCE_REFRESH_MS) {
            return Arc::clone(evidence);
        }
        let evidence: Arc<[Evidence]> = self.trackers.iter().map(Tracker::evidence).collect();
        self.evidence = Some((Arc::clone(&evidence), now));
        evidence
    }

    /// Makes the next world.
    fn publish(&mut self, stale: bool, now: Moment, effects: &mut Effects) {
        let generation = self.world.generation + 1;
        let mut statuses = Statuses {
            of: self.statuses.as_slice().into(),
            versions: self.versions.as_slice().into(),
            situations: self.world.statuses.situations.clone(),
            notes: self.watch.notes(),
            evidence: self.evidence(now),
            resolved: self.aliases.publish(),
            stale,
            doubting: self.doubt.holds,
            observed: self.observed,
        };
        self.situations.tell(&self.catalog, generation, &mut statuses);
        self.world = Arc::new(World {
            generation,
            catalog: Arc::clone(&self.catalog),
            geo: Arc::clone(&self.geo),
            statuses,
            outlook: Arc::new(self.spill.outlook().clone()),
            notes: Arc::clone(self.intents.notes()),
            drill: self.stage.rehearsal().cloned(),
        });
        self.touched = false;
        effects.publish = Some(Arc::clone(&self.world));
    }
}

impl FirstRound {
    /// A probe was asked, or cannot be.
    fn ask(&mut self, probe: ProbeId) {
        self.left -= usize::from(!std::mem::replace(&mut self.asked[probe.index()], true));
    }
}

impl Users {
    /// Turns the catalog's endpoint → probes around.
    fn of_probes(catalog: &Catalog) -> Self {
        let endpoints = catalog.endpoints.iter().zip((0..).map(EndpointId));
        Self::of(catalog.probes.len(), endpoints.flat_map(|(endpoint, id)| endpoint.all_probes().map(move |probe| (probe.index(), id))))
    }

    /// Turns the catalog's endpoint → alias around.
    fn of_aliases(catalog: &Catalog) -> Self {
        let endpoints = catalog.endpoints.iter().zip((0..).map(EndpointId));
        Self::of(catalog.aliases.len(), endpoints.filter_map(|(endpoint, id)| endpoint.alias.map(|alias| (alias.id.index(), id))))
    }

    /// Of so many things, each of which pairs say the endpoints of.
    fn of(count: usize, pairs: impl Iterator<Item = (usize, EndpointId)>) -> Self {
        let mut pairs: Vec<(usize, EndpointId)> = pairs.collect();
        pairs.sort_unstable();
        pairs.dedup();
        let mut starts = vec![0_u32; count + 1];
        for (thing, _) in &pairs {
            starts[thing + 1] += 1;
        }
        for index in 1..starts.len() {
            starts[index] += starts[index - 1];
        }
        Self { starts: starts.into(), endpoints: pairs.into_iter().map(|(_, id)| id).collect() }
    }

    /// Where in `endpoints` those of a thing stand.
    fn range(&self, thing: usize) -> std::ops::Range<usize> {
        self.starts[thing] as usize..self.starts[thing + 1] as usize
    }
}

/// Turns the catalog's endpoint → what it depends on around.
pub(super) fn dependants(catalog: &Catalog) -> Dependants {
    let mut dependants: HashMap<EndpointId, Vec<EndpointId>> = HashMap::new();
    for (endpoint, id) in catalog.endpoints.iter().zip((0..).map(EndpointId)) {
        for needed in endpoint.depends_on.iter().flat_map(|depends| depends.endpoints()) {
            dependants.entry(needed).or_default().push(id);
        }
    }
    dependants.into_iter().map(|(needed, by)| (needed, by.into())).collect()
}

/// Milliseconds within which a first round of all probes and look-ups must be complete: the longest interval and time-out, at most
/// [`READY_DEADLINE_MS`]; a look-up may take its time before.
fn first_round_ms(catalog: &Catalog) -> u64 {
    let longest = catalog.probes.iter().map(|spec| u64::from(spec.interval_ms) + u64::from(spec.timeout_ms)).max();
    let lookup = if catalog.aliases.is_empty() { 0 } else { ALIAS_LOOKUP_MS };
    (longest.unwrap_or(0) + lookup).min(READY_DEADLINE_MS)
}

/// Milliseconds for which an observation of the slowest probe is fresh.
fn fresh_ms_max(catalog: &Catalog) -> u64 {
    catalog.probes.iter().map(|spec| Rule::of(spec).fresh_ms).max().unwrap_or(0)
}
