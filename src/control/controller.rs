//! The controller itself.

mod doubt;
mod judge;

use std::collections::HashMap;
use std::sync::Arc;

use super::roster::{self, Carried};
use super::state::{addresses_digest, spec_digest};
use super::{Effects, EndpointState, Event, Plan, ProbeState, Refused, Situations, State, Why, probe_label};
use crate::catalog::{Catalog, EndpointId, ProbeId};
use crate::geo::Geo;
use crate::health::{Evidence, Health, Observation, ProbeOutcome, Rule, Status, Tracker};
use crate::limits::{EVIDENCE_REFRESH_MS, READY_DEADLINE_MS, STATE_REFRESH_MS, STATE_WRITE_MS, WORLD_REFRESH_MS};
use crate::units::Moment;
use crate::world::{Statuses, World};

use doubt::{Doubt, is_silence};
use judge::{Cause, Watch};

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
    /// For each probe of the epoch before, what it is now: observations under way across a reload are not lost.
    carried: Box<[Option<ProbeId>]>,
    /// The statuses to be published next.
    statuses: Vec<Status>,
    /// Endpoints that were down, and what becomes of them.
    watch: Watch,
    /// The versions to be published next.
    versions: Vec<u64>,
    /// The situations that services were in.
    situations: Situations,
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
    /// Whether each probe was asked since the start; `None` once the node is ready.
    first_round: Option<FirstRound>,
}

/// The wait for the first round of probes.
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
type Dependants = HashMap<EndpointId, Box<[EndpointId]>>;

/// For each probe the endpoints that it judges, as ranges of one list.
#[derive(Debug, Default)]
struct Users {
    /// Where each probe's range begins; one more at the end.
    starts: Box<[u32]>,
    /// The endpoints, probe by probe.
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
            users: Users::of(&catalog),
            dependants: dependants(&catalog),
            doubt: Doubt::new(&catalog),
            carried: Box::default(),
            statuses: world.statuses.of.to_vec(),
            watch: Watch::default(),
            versions: world.statuses.versions.to_vec(),
            situations,
            evidence: None,
            touched: false,
            observed: Moment(0),
            fresh_until: deadline.plus_millis(fresh_ms_max(&catalog)),
            unsaved: false,
            saved: now,
            first_round: (probes > 0).then(|| FirstRound { asked: vec![false; probes].into(), left: probes, deadline }),
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

    /// Whether every probe was asked at least once, or the longest wait for that is over. Once ready, always ready.
    #[must_use]
    pub const fn is_ready(&self) -> bool {
        self.first_round.is_none()
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
                Event::Reloaded { catalog, geo, allow_shrink } => self.reload(catalog, geo, allow_shrink, now, &mut effects),
                Event::GeographyChanged { geo, digest } => self.change_geography(geo, digest, &mut effects),
                Event::Restored(state) => self.restore(&state, now, &mut effects),
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
            let probes: Vec<ProbeState> = endpoint.all_probes().filter_map(|probe| known(&probe)).collect();
            (!probes.is_empty()).then(|| EndpointState {
                service: catalog.service(endpoint.service).name.to_string().into(),
                endpoint: endpoint.name.clone(),
                addresses: addresses_digest(endpoint),
                probes,
            })
        });
        State { saved: now.0, endpoints: endpoints.collect() }
    }

    /// Takes in one observation.
    fn observe(&mut self, epoch: u64, probe: ProbeId, observation: &Observation, now: Moment, effects: &mut Effects) {
        let Some(probe) = self.understand(epoch, probe) else {
            effects.dropped += 1;
            return;
        };
        if let Some(round) = &mut self.first_round {
            round.left -= usize::from(!std::mem::replace(&mut round.asked[probe.index()], true));
        }
        let catalog = Arc::clone(&self.catalog);
        let spec = &catalog.probes[probe.index()];
        let rule = Rule::of(spec);
        self.doubt.note(probe, observation);
        let is_reference = catalog.references.contains(&probe);
        // What a node without a network would see everywhere is no evidence while the node may be one.
        if is_silence(observation) && !is_reference && self.doubt.is_due(&catalog, &self.users, now) {
            return;
        }
        let usual = self.trackers[probe.index()].unusual();
        let verdict = self.trackers[probe.index()].observe(observation, &rule);
        if !verdict.evidence || is_reference && self.users.range(probe).is_empty() {
            return;
        }
        self.observed = self.observed.max(observation.at);
        self.fresh_until = self.fresh_until.max(observation.at.plus_millis(rule.fresh_ms));
        if verdict.changed {
            let tracker = &self.trackers[probe.index()];
            let (in_row, unusual) = (tracker.last().map_or(1, |(_, in_row)| in_row), tracker.unusual());
            let why = || match observation.outcome {
                ProbeOutcome::Failed(_) | ProbeOutcome::Slow if unusual.is_none() => {
                    Why::Observed { probe: probe_label(spec).into(), outcome: observation.outcome.clone(), in_row }
                }
                _ if unusual.is_some() != usual.is_some() => Why::Baseline { probe: probe_label(spec).into(), unusual },
                _ => Why::Observed { probe: probe_label(spec).into(), outcome: observation.outcome.clone(), in_row },
            };
            self.judge_users(probe, Cause::Happened, now, why, effects);
        }
    }

    /// The probe of the present epoch that an observation is of.
    fn understand(&self, epoch: u64, probe: ProbeId) -> Option<ProbeId> {
        if epoch == self.epoch {
            return (probe.index() < self.trackers.len()).then_some(probe);
        }
        if epoch + 1 == self.epoch { self.carried.get(probe.index()).copied().flatten() } else { None }
    }

    /// Replaces the catalog, keeping by names what is known.
    fn reload(&mut self, catalog: Arc<Catalog>, geo: Arc<Geo>, allow_shrink: bool, now: Moment, effects: &mut Effects) {
        let refused = || roster::refuse_shrinking(&self.catalog, &catalog).or_else(|| roster::refuse_losing(&self.geo, &geo));
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
        let before = endpoints.iter().zip(&changed).map(|(same, other)| same.or(*other).map_or(Health::Unknown, |id| self.statuses[id.index()].published()));
        let before: Vec<Health> = before.collect();

        self.epoch += 1;
        self.trackers = trackers;
        self.users = Users::of(&catalog);
        self.dependants = dependants(&catalog);
        self.doubt = self.doubt.carried(&catalog, &probes);
        self.carried = probes;
        self.statuses = statuses;
        self.watch = std::mem::take(&mut self.watch).carried(&endpoints);
        self.versions = vec![self.world.generation + 1; catalog.services.len()];
        self.situations.forget();
        self.evidence = None;
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
        for kept in &state.endpoints {
            let Some(&id) = known.get(&(kept.service.to_string(), &*kept.endpoint)) else { continue };
            let endpoint = catalog.endpoint(id);
            if addresses_digest(endpoint) != kept.addresses {
                continue;
            }
            for probe in endpoint.all_probes() {
                let spec = &catalog.probes[probe.index()];
                let digest = spec_digest(spec);
                let Some(kept) = kept.probes.iter().find(|kept| kept.spec == digest) else { continue };
                // A wall clock that was set back between the processes makes no evidence of the future.
                let observed = Moment(kept.observed).min(now);
                if self.trackers[probe.index()].restore(kept.health, observed, &Rule::of(spec)) {
                    self.observed = self.observed.max(observed);
                    self.judge_users(probe, Cause::Known, now, || Why::Restored, effects);
                }
            }
        }
    }

    /// Does what time alone makes due, and publishes if anything is new.
    fn look_at_the_clock(&mut self, now: Moment, effects: &mut Effects) {
        self.judge_due(now, effects);
        if self.first_round.as_ref().is_some_and(|round| now >= round.deadline || round.left == 0) {
            self.first_round = None;
        }
        let doubting = self.doubt.is_due(&self.catalog, &self.users, now);
        if doubting != std::mem::replace(&mut self.doubt.holds, doubting) {
            effects.doubt = Some(doubting);
        }
        let stale = doubting || !self.trackers.is_empty() && now > self.fresh_until;
        let published = &self.world.statuses;
        let aged = self.observed.millis_since(published.observed) >= WORLD_REFRESH_MS;
        if self.touched || self.watch.has_news() || stale != published.stale || doubting != published.doubting || aged {
            self.publish(stale, now, effects);
        }
        let since = now.millis_since(self.saved);
        if !self.trackers.is_empty() && since >= if self.unsaved { STATE_WRITE_MS } else { STATE_REFRESH_MS } {
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
            stale,
            doubting: self.doubt.holds,
            observed: self.observed,
        };
        self.situations.tell(&self.catalog, generation, &mut statuses);
        self.world = Arc::new(World { generation, catalog: Arc::clone(&self.catalog), geo: Arc::clone(&self.geo), statuses });
        self.touched = false;
        effects.publish = Some(Arc::clone(&self.world));
    }
}

impl Users {
    /// Turns the catalog's endpoint → probes around.
    fn of(catalog: &Catalog) -> Self {
        let mut pairs: Vec<(ProbeId, EndpointId)> = Vec::new();
        for (endpoint, id) in catalog.endpoints.iter().zip((0..).map(EndpointId)) {
            pairs.extend(endpoint.all_probes().map(|probe| (probe, id)));
        }
        pairs.sort_unstable();
        pairs.dedup();
        let mut starts = vec![0_u32; catalog.probes.len() + 1];
        for (probe, _) in &pairs {
            starts[probe.index() + 1] += 1;
        }
        for index in 1..starts.len() {
            starts[index] += starts[index - 1];
        }
        Self { starts: starts.into(), endpoints: pairs.into_iter().map(|(_, id)| id).collect() }
    }

    /// Where in `endpoints` those of a probe stand.
    fn range(&self, probe: ProbeId) -> std::ops::Range<usize> {
        self.starts[probe.index()] as usize..self.starts[probe.index() + 1] as usize
    }
}

/// Turns the catalog's endpoint → what it depends on around.
fn dependants(catalog: &Catalog) -> Dependants {
    let mut dependants: HashMap<EndpointId, Vec<EndpointId>> = HashMap::new();
    for (endpoint, id) in catalog.endpoints.iter().zip((0..).map(EndpointId)) {
        for needed in endpoint.depends_on.iter().flat_map(|depends| depends.endpoints()) {
            dependants.entry(needed).or_default().push(id);
        }
    }
    dependants.into_iter().map(|(needed, by)| (needed, by.into())).collect()
}

/// Milliseconds within which a first round of all probes must be complete: the longest interval and time-out, at most [`READY_DEADLINE_MS`].
fn first_round_ms(catalog: &Catalog) -> u64 {
    let longest = catalog.probes.iter().map(|spec| u64::from(spec.interval_ms) + u64::from(spec.timeout_ms)).max();
    longest.unwrap_or(0).min(READY_DEADLINE_MS)
}

/// Milliseconds for which an observation of the slowest probe is fresh.
fn fresh_ms_max(catalog: &Catalog) -> u64 {
    catalog.probes.iter().map(|spec| Rule::of(spec).fresh_ms).max().unwrap_or(0)
}
