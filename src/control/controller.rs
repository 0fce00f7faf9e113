//! The controller itself.

use std::collections::HashMap;
use std::sync::Arc;

use super::aliases::Aliases;
use super::overrides::{Intents, Overrides, Shift, refuse_reload};
use super::roster::{self, Carried};
use super::state::{addresses_digest, spec_digest};
use super::{
    AliasChange, AliasNews, Change, Effects, EndpointName, EndpointState, Event, Lookup, Plan, ProbeState, Refused, Situations, State, Why, probe_label,
};
use crate::catalog::{AddressType, AliasId, Catalog, EndpointId, ProbeHost, ProbeId};
use crate::geo::Geo;
use crate::health::{Health, Observation, Rule, Status, Tracker, of_all};
use crate::limits::{ALIAS_LOOKUP_MS, READY_DEADLINE_MS, STATE_REFRESH_MS, STATE_WRITE_MS, WORLD_REFRESH_MS};
use crate::units::Moment;
use crate::world::{Statuses, World};

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
    /// What aliases were resolved to.
    aliases: Aliases,
    /// For each alias the endpoints that have it.
    aliased: Users,
    /// For each probe of the epoch before, what it is now: observations under way across a reload are not lost.
    carried: Box<[Option<ProbeId>]>,
    /// The statuses to be published next.
    statuses: Vec<Status>,
    /// The versions to be published next.
    versions: Vec<u64>,
    /// What operators intend.
    intents: Intents,
    /// The situations that services were in.
    situations: Situations,
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
            aliases: Aliases::of(&catalog, now),
            aliased: Users::of_aliases(&catalog),
            carried: Box::default(),
            statuses: world.statuses.of.to_vec(),
            versions: world.statuses.versions.to_vec(),
            intents: Intents::default(),
            situations,
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
        for event in events {
            match event {
                Event::Observed { epoch, probe, observation } => self.observe(epoch, probe, &observation, now, &mut effects),
                Event::Resolved { epoch, alias, of, lookup } => self.resolve(epoch, alias, of, &lookup, &mut effects),
                Event::Reloaded { catalog, geo, allow_shrink } => self.reload(catalog, geo, allow_shrink, now, &mut effects),
                Event::GeographyChanged { geo, digest } => self.change_geography(geo, digest, &mut effects),
                Event::Restored(state) => self.restore(&state, now, &mut effects),
                Event::Overridden { overrides, why } => {
                    let shift = self.intents.replace(&overrides, &why, &self.catalog, now);
                    self.shift(shift, &mut effects);
                }
                Event::Tick => {}
            }
        }
        self.look_at_the_clock(now, &mut effects);
        effects
    }

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
            let probes: Vec<ProbeState> = endpoint.probes.iter().filter_map(known).collect();
            (!probes.is_empty()).then(|| EndpointState {
                service: catalog.service(endpoint.service).name.to_string().into(),
                endpoint: endpoint.name.clone(),
                addresses: addresses_digest(catalog, endpoint),
                probes,
            })
        });
        State { saved: now.0, endpoints: endpoints.collect(), aliases: self.aliases.state(catalog) }
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
        let verdict = self.trackers[probe.index()].observe(observation, &rule);
        if !verdict.evidence {
            return;
        }
        self.observed = self.observed.max(observation.at);
        self.fresh_until = self.fresh_until.max(observation.at.plus_millis(rule.fresh_ms));
        if verdict.changed {
            let in_row = self.trackers[probe.index()].last().map_or(1, |(_, in_row)| in_row);
            let why = || Why::Observed { probe: probe_label(spec).into(), outcome: observation.outcome.clone(), in_row };
            self.judge_users(probe, now, why, effects);
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
    fn resolve(&mut self, epoch: u64, alias: AliasId, of: AddressType, lookup: &Lookup, effects: &mut Effects) {
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
        self.judge_aliased(id);
        if let Some(round) = &mut self.first_round
            && self.aliases.is_in_vain(&self.catalog, id)
        {
            // Nobody can be asked.
            let name = &self.catalog.alias(id).name;
            for (spec, probe) in self.catalog.probes.iter().zip((0..).map(ProbeId)) {
                if matches!(&spec.target.host, ProbeHost::Alias(host) if host == name) {
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

    /// Judges anew every endpoint that has the alias.
    fn judge_aliased(&mut self, id: AliasId) {
        for index in self.aliased.range(id.index()) {
            // Look-ups change no health.
            self.judge(self.aliased.endpoints[index]);
        }
    }

    /// Judges anew every endpoint that the probe is of.
    fn judge_users(&mut self, probe: ProbeId, now: Moment, why: impl Fn() -> Why, effects: &mut Effects) {
        for index in self.users.range(probe.index()) {
            let id = self.users.endpoints[index];
            if let Some((from, to)) = self.judge(id) {
                let endpoint = EndpointName::of(&self.catalog, id);
                effects.changes.push(Change { endpoint, from, to, why: why(), at: now });
            }
        }
    }

    /// Puts an endpoint's status together from what is known of it. Returns its health before and now if that is another.
    fn judge(&mut self, id: EndpointId) -> Option<(Health, Health)> {
        let endpoint = self.catalog.endpoint(id);
        let (health, moving) = of_all(endpoint.probes.iter().map(|probe| &self.trackers[probe.index()]));
        let (lacks, unsettled) = (self.aliases.lacks(endpoint), self.aliases.is_moving(endpoint));
        let status = &mut self.statuses[id.index()];
        let before = *status;
        (status.health, status.moving, status.lacks) = (health, moving || unsettled, lacks);
        self.intents.mark(id, status);
        if *status != before {
            self.versions[endpoint.service.index()] = self.world.generation + 1;
            self.touched = true;
        }
        self.unsaved |= before.health != health;
        (before.health != health).then_some((before.health, health))
    }

    /// Replaces the catalog, keeping by names what is known.
    fn reload(&mut self, catalog: Arc<Catalog>, geo: Arc<Geo>, allow_shrink: bool, now: Moment, effects: &mut Effects) {
        let intents = self.intents.linked(&catalog, now);
        let refused = || {
            let refused = roster::refuse_shrinking(&self.catalog, &catalog).or_else(|| roster::refuse_losing(&self.geo, &geo));
            refused.or_else(|| refuse_reload((&self.catalog, &self.geo, &self.statuses), (&catalog, &geo, &intents.statuses(&catalog))))
        };
        if !allow_shrink && let Some(refused) = refused() {
            effects.refusal = Some(refused);
            return;
        }
        let Carried { endpoints, changed, probes } = roster::carried(&self.catalog, &catalog);
        let mut trackers = vec![Tracker::default(); catalog.probes.len()].into_boxed_slice();
        let mut fresh = vec![true; catalog.probes.len()];
        let mut asked = vec![false; catalog.probes.len()].into_boxed_slice();
        for (before, after) in probes.iter().enumerate() {
            let Some(after) = after else { continue };
            trackers[after.index()] = std::mem::take(&mut self.trackers[before]);
            fresh[after.index()] = false;
            asked[after.index()] = self.first_round.as_ref().is_some_and(|round| round.asked[before]);
        }
        let statuses = endpoints.iter().map(|from| from.map_or(Status::UNMEASURED, |id| self.statuses[id.index()]));
        let statuses: Vec<Status> = statuses.collect();
        let before: Vec<Health> = changed.iter().map(|id| id.map_or(Health::Unknown, |id| self.statuses[id.index()].health)).collect();

        self.epoch += 1;
        self.intents = intents;
        self.trackers = trackers;
        self.users = Users::of_probes(&catalog);
        self.aliases.carry(&self.catalog, &catalog, now);
        self.aliased = Users::of_aliases(&catalog);
        self.carried = probes;
        self.statuses = statuses;
        self.versions = vec![self.world.generation + 1; catalog.services.len()];
        self.situations.forget();
        self.touched = true;
        self.unsaved = true;
        if fresh.contains(&true) {
            self.fresh_until = self.fresh_until.max(now.plus_millis(first_round_ms(&catalog) + fresh_ms_max(&catalog)));
        }
        if let Some(round) = &mut self.first_round {
            round.left = asked.iter().filter(|&&asked| !asked).count();
            round.asked = asked;
        }
        effects.plan = Some(Plan { epoch: self.epoch, catalog: Arc::clone(&catalog), fresh: fresh.into() });
        (self.catalog, self.geo) = (catalog, geo);
        self.judge_all(&before, now, effects);
    }

    /// Judges every endpoint after a reload. `before` is the health of endpoints that were changed.
    fn judge_all(&mut self, before: &[Health], now: Moment, effects: &mut Effects) {
        for (id, &before) in (0..).map(EndpointId).zip(before) {
            self.judge(id);
            let to = self.statuses[id.index()].health;
            if before != Health::Unknown && before != to {
                let endpoint = EndpointName::of(&self.catalog, id);
                effects.changes.push(Change { endpoint, from: before, to, why: Why::Reloaded, at: now });
            }
        }
    }

    /// Puts together anew what overrides or the end of them changed, and tells it.
    fn shift(&mut self, shift: Shift, effects: &mut Effects) {
        for id in shift.touched {
            // Health stays what it was.
            let _ = self.judge(id);
        }
        // What explanations say may be another also where no status is.
        self.touched = true;
        effects.intents.extend(shift.told);
        effects.intents_untold += shift.untold;
        effects.expired.extend(shift.expired);
    }

    /// Replaces the geography.
    fn change_geography(&mut self, geo: Arc<Geo>, digest: u64, effects: &mut Effects) {
        if digest != self.catalog.digest {
            effects.refusal = Some(Refused::OtherCatalog);
            return;
        }
        if let Some(refused) = roster::refuse_losing(&self.geo, &geo) {
            effects.refusal = Some(refused);
            return;
        }
        self.geo = geo;
        self.versions.fill(self.world.generation + 1);
        self.situations.forget();
        self.touched = true;
    }

    /// Takes in what an earlier process knew of endpoints and probes that are still the same.
    fn restore(&mut self, state: &State, now: Moment, effects: &mut Effects) {
        let catalog = Arc::clone(&self.catalog);
        let known: HashMap<(String, &str), EndpointId> =
            roster::by_name(&catalog).into_iter().map(|((service, endpoint), id)| ((service.to_string(), endpoint), id)).collect();
        self.aliases.restore(&catalog, &state.aliases, now);
        for id in (0..).map(AliasId).take(catalog.aliases.len()) {
            self.judge_aliased(id);
        }
        for kept in &state.endpoints {
            let Some(&id) = known.get(&(kept.service.to_string(), &*kept.endpoint)) else { continue };
            let endpoint = catalog.endpoint(id);
            if addresses_digest(&catalog, endpoint) != kept.addresses {
                continue;
            }
            for &probe in &endpoint.probes {
                let spec = &catalog.probes[probe.index()];
                let digest = spec_digest(spec);
                let Some(kept) = kept.probes.iter().find(|kept| kept.spec == digest) else { continue };
                // A wall clock that was set back between the processes makes no evidence of the future.
                let observed = Moment(kept.observed).min(now);
                if self.trackers[probe.index()].restore(kept.health, observed, &Rule::of(spec)) {
                    self.observed = self.observed.max(observed);
                    self.judge_users(probe, now, || Why::Restored, effects);
                }
            }
        }
    }

    /// Does what time alone makes due, and publishes if anything is new.
    fn look_at_the_clock(&mut self, now: Moment, effects: &mut Effects) {
        for (id, of, news) in self.aliases.expire(&self.catalog, now) {
            self.tell_of_alias(id, of, news, now, effects);
            self.judge_aliased(id);
        }
        let is_over = |round: &FirstRound| now >= round.deadline || round.left == 0 && self.aliases.unasked(&self.catalog) == 0;
        if self.first_round.as_ref().is_some_and(is_over) {
            self.first_round = None;
        }
        if let Some(shift) = self.intents.pass(&self.catalog, now) {
            self.shift(shift, effects);
        }
        let stale = !self.trackers.is_empty() && now > self.fresh_until;
        let published = &self.world.statuses;
        let aged = self.observed.millis_since(published.observed) >= WORLD_REFRESH_MS;
        if self.touched || self.aliases.has_changed() || stale != published.stale || aged {
            self.publish(stale, effects);
        }
        let since = now.millis_since(self.saved);
        let is_worth_it = !self.trackers.is_empty() || !self.catalog.aliases.is_empty();
        if is_worth_it && since >= if self.unsaved { STATE_WRITE_MS } else { STATE_REFRESH_MS } {
            effects.persist = true;
            self.unsaved = false;
            self.saved = now;
        }
    }

    /// Makes the next world.
    fn publish(&mut self, stale: bool, effects: &mut Effects) {
        let generation = self.world.generation + 1;
        let mut statuses = Statuses {
            of: self.statuses.as_slice().into(),
            versions: self.versions.as_slice().into(),
            situations: self.world.statuses.situations.clone(),
            resolved: self.aliases.publish(),
            stale,
            observed: self.observed,
        };
        self.situations.tell(&self.catalog, generation, &mut statuses);
        self.world =
            Arc::new(World { generation, catalog: Arc::clone(&self.catalog), geo: Arc::clone(&self.geo), statuses, notes: Arc::clone(self.intents.notes()) });
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
        Self::of(catalog.probes.len(), endpoints.flat_map(|(endpoint, id)| endpoint.probes.iter().map(move |probe| (probe.index(), id))))
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
