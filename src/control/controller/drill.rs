//! The drill, as the controller plays it: its own view of the probes of the endpoints that it is about, its guards, its times.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use super::Controller;
use super::judge::Cause;
use crate::catalog::{Catalog, EndpointId, ProbeId, ServiceId};
use crate::control::drills::{Answers, Ceased, Drills, Guard, Marks, Outcome, Over, Record, ServiceMarks, UnderWay, probes};
use crate::control::{DrillNews, Effects, EndpointName, Why, spec_digest};
use crate::health::{Comeback, Health, Intent, Observation, Rule, Status, Tracker, Verdict};
use crate::limits::DRILL_SERVICES_MAX;
use crate::units::{Moment, Permille};
use crate::world::{Played, Rehearsal, World};

/// The drill of a node, if it has one.
#[derive(Debug, Default)]
pub(super) struct Stage {
    /// What is known of drills, as it is written.
    drills: Arc<Drills>,
    /// The drill as worlds have it, while it is announced or running.
    rehearsal: Option<Arc<Rehearsal>>,
    /// What the probes of its endpoints would have shown if what it plays were so. Real trackers go on beside them.
    played: HashMap<ProbeId, Tracker>,
    /// The pasts of endpoints as they were before it began, of those too that depend on what it plays with.
    pasts: BTreeMap<EndpointId, Comeback>,
    /// The marks of its services.
    marks: BTreeMap<ServiceId, Marks>,
    /// The world before it began.
    before: Option<Arc<World>>,
    /// The world in which all was decided.
    during: Option<Arc<World>>,
    /// What endpoints of its services told of their load before it began and at its end, in requests per second.
    told: [Vec<(EndpointName, u64)>; 2],
    /// Workers' counts as they were looked at last.
    counted: Option<Answers>,
    /// Services whose load did not fit before it began.
    overloaded: HashSet<ServiceId>,
    /// What a guard saw.
    alarm: Option<(Guard, Box<str>)>,
    /// Whether a status of its endpoints changed since its times were looked at.
    stirred: bool,
    /// Whether something was really found that it may hide.
    hidden: bool,
}

impl Stage {
    /// What is known of drills.
    pub(super) const fn drills(&self) -> &Arc<Drills> {
        &self.drills
    }

    /// The drill as worlds have it.
    pub(super) const fn rehearsal(&self) -> Option<&Arc<Rehearsal>> {
        self.rehearsal.as_ref()
    }

    /// Whether it plays with observations of this endpoint.
    pub(super) fn plays_with(&self, id: EndpointId) -> bool {
        self.rehearsal.as_ref().is_some_and(|drill| drill.running && drill.deed != Played::Drain && drill.touches(id))
    }

    /// What a probe has shown an endpoint, if that is not what it has really shown.
    pub(super) fn shown(&self, id: EndpointId, probe: ProbeId) -> Option<&Tracker> {
        if self.plays_with(id) { self.played.get(&probe) } else { None }
    }

    /// Puts into a status what the drill makes of its endpoint.
    pub(super) fn mark(&self, id: EndpointId, status: &mut Status) {
        let Some(drill) = self.rehearsal.as_ref().filter(|drill| drill.touches(id)) else { return };
        status.moving = true;
        if drill.running && drill.deed == Played::Drain && status.intent != Intent::Out {
            status.intent = Intent::Drain;
        }
    }

    /// That the status of an endpoint changed.
    pub(super) fn note_change(&mut self, id: EndpointId) {
        self.stirred |= self.rehearsal.as_ref().is_some_and(|drill| drill.touches(id));
    }

    /// The pasts of endpoints as they were before it began, of those too that depend on what it plays with; none where nothing is played.
    pub(super) const fn pasts(&self) -> &BTreeMap<EndpointId, Comeback> {
        &self.pasts
    }

    /// That a probe has really shown something else.
    pub(super) fn note_fact(&mut self) {
        self.hidden |= !self.pasts.is_empty();
    }

    /// Whether something was really found that it may hide, since that was asked last.
    pub(super) const fn take_facts(&mut self) -> bool {
        std::mem::replace(&mut self.hidden, false)
    }

    /// Takes in what an observation would have been if what is played were so. `None` where nothing is played with this probe.
    pub(super) fn observe(&mut self, catalog: &Catalog, probe: ProbeId, real: &Observation, rule: &Rule) -> Option<(Verdict, Observation)> {
        let tracker = self.played.get_mut(&probe)?;
        let spec = catalog.probes.get(probe.index())?;
        let digest = spec_digest(spec);
        let fault = self.rehearsal.as_ref()?.fault_of(|| digest)?;
        let observation = fault.befall(spec, digest, real);
        let verdict = tracker.observe(&observation, rule);
        Some((verdict, observation))
    }

    /// How many outcomes of the last kind a played probe has shown in a row.
    pub(super) fn in_row(&self, probe: ProbeId) -> u8 {
        self.played.get(&probe).and_then(Tracker::last).map_or(1, |(_, in_row)| in_row)
    }

    /// Raises an alarm, unless there is one, nothing is on, or the guard is off.
    pub(super) fn alarm(&mut self, guard: Guard, saw: impl FnOnce() -> String) {
        let is_on = self.drills.current().is_some_and(|one| !one.drill.without.contains(&guard));
        if is_on && self.alarm.is_none() {
            self.alarm = Some((guard, saw().into()));
        }
    }

    /// The record as it is now, changed.
    fn record(&mut self, change: impl FnOnce(&mut Record, &BTreeMap<ServiceId, Marks>)) {
        let mut drills = (*self.drills).clone();
        if let Some(one) = &mut drills.now {
            change(&mut one.record, &self.marks);
        }
        self.drills = Arc::new(drills);
    }
}

impl Controller {
    /// What is known of drills.
    #[must_use]
    pub const fn drills(&self) -> &Arc<Drills> {
        self.stage.drills()
    }

    /// Takes in what is known of drills from now on.
    pub(super) fn take_drills(&mut self, drills: &Arc<Drills>, now: Moment, effects: &mut Effects) {
        let known = self.stage.drills.current().map(|one| one.drill.id);
        let next = drills.current().map(|one| one.drill.id);
        if known.is_some() && known == next {
            // The same one; what this process has measured of it is newer.
            return;
        }
        if let Some(id) = known {
            match &drills.now {
                // It was aborted: this process has measured it. Whether clients were moved at all, who aborted it knows.
                Some(UnderWay { drill, record: Record { over: Some(over), .. } }) if drill.id == id => {
                    self.stage.drills = Arc::new(Drills { moves: drills.moves.clone(), ..(*self.stage.drills).clone() });
                    return self.close(over.clone(), now, effects);
                }
                // Another process has ended it, and reports it.
                _ => self.leave(Cause::Known, now, effects),
            }
        }
        self.stage = Stage { drills: Arc::clone(drills), ..Stage::default() };
        match &drills.now {
            Some(UnderWay { record: Record { over: Some(_), .. }, .. }) => self.tell_over(effects),
            Some(one) => {
                let started = one.record.started.is_some();
                let rehearsal = one.drill.rehearsal(&self.catalog, false);
                self.enter(rehearsal);
                if started {
                    self.stage.record(|record, _| record.restarts += 1);
                    effects.keep_drill = true;
                    self.begin(now, effects);
                }
                self.judge_stage(Cause::Happened, now, effects);
            }
            None => {}
        }
    }

    /// Sets the stage for a drill over the present catalog.
    fn enter(&mut self, rehearsal: Rehearsal) {
        let one = self.stage.drills.current();
        let known: HashMap<&str, Marks> = one.into_iter().flat_map(|one| &one.record.services).map(|one| (&*one.service, one.marks)).collect();
        let marks = rehearsal.services.iter().map(|id| {
            let name = self.catalog.service(*id).name.to_string();
            (*id, known.get(&*name).copied().unwrap_or_default())
        });
        self.stage.marks = marks.collect();
        self.stage.rehearsal = Some(Arc::new(rehearsal));
        self.touched = true;
    }

    /// Begins to play, or goes on where another process was.
    fn begin(&mut self, now: Moment, effects: &mut Effects) {
        let Some(rehearsal) = self.stage.rehearsal.take() else { return };
        let is_first = self.stage.drills.current().is_some_and(|one| one.record.started.is_none());
        let decided = |service: &ServiceId| self.stage.marks.get(service).is_some_and(|marks| marks.decided.is_some());
        if rehearsal.deed != Played::Drain {
            let mut played = HashMap::new();
            for id in &rehearsal.endpoints {
                let endpoint = self.catalog.endpoint(*id);
                for probe in &endpoint.probes {
                    let tracker = played.entry(*probe).or_insert_with(|| self.trackers[probe.index()].clone());
                    if decided(&endpoint.service) {
                        // As the process before had it: nobody is sent back there until the next observation.
                        *tracker = Tracker::default();
                        tracker.restore(Health::Down, now, &Rule::of(&self.catalog.probes[probe.index()]));
                    }
                }
            }
            self.stage.played = played;
        }
        self.stage.pasts = self.pasts(&rehearsal.endpoints);
        if is_first {
            self.stage.overloaded = self.world.outlook.overload.iter().map(|(id, _)| *id).collect();
            self.stage.before = Some(Arc::clone(&self.world));
            self.stage.told[0] = self.told_loads(&rehearsal);
        }
        self.stage.rehearsal = Some(Arc::new(Rehearsal { running: true, ..(*rehearsal).clone() }));
        self.stage.stirred = true;
        self.touched = true;
        if is_first {
            self.stage.record(|record, _| record.started = Some(now));
            effects.keep_drill = true;
            effects.drill.extend(self.stage.drills.current().map(|one| DrillNews::Started(Box::new(one.drill.clone()))));
        }
    }

    /// The pasts of endpoints and of all that depends on them.
    fn pasts(&self, first: &[EndpointId]) -> BTreeMap<EndpointId, Comeback> {
        let mut pasts = BTreeMap::new();
        let mut queue: VecDeque<EndpointId> = first.iter().copied().collect();
        while let Some(id) = queue.pop_front() {
            if pasts.insert(id, self.watch.past(id)).is_none() {
                queue.extend(self.dependants.get(&id).into_iter().flatten());
            }
        }
        pasts
    }

    /// Judges anew every endpoint that the drill is about.
    fn judge_stage(&mut self, cause: Cause, now: Moment, effects: &mut Effects) {
        let Some(rehearsal) = self.stage.rehearsal.clone() else { return };
        for id in &rehearsal.endpoints {
            self.judge_all_of(*id, cause, now, &|| Why::Drill { id: rehearsal.id }, effects);
        }
    }

    /// Does what is due about the drill: its start, its times, its guards, its end. To be called whenever anything may have changed.
    pub(super) fn look_at_the_drill(&mut self, now: Moment, effects: &mut Effects) {
        let Some(one) = self.stage.drills.current() else { return };
        let (drill, started) = (&one.drill, one.record.started.is_some());
        if let Some((guard, saw)) = self.stage.alarm.take() {
            return self.close(Outcome { at: now, ceased: Ceased::Guarded { guard, saw } }, now, effects);
        }
        if now >= drill.ends {
            return self.close(Outcome { at: now, ceased: Ceased::Time }, now, effects);
        }
        if !started && now >= drill.starts {
            self.begin(now, effects);
            self.judge_stage(Cause::Happened, now, effects);
        }
        self.take_times(now, effects);
    }

    /// Looks which services are taken off the endpoints of the drill.
    fn take_times(&mut self, now: Moment, effects: &mut Effects) {
        let Some(rehearsal) = self.stage.rehearsal.clone().filter(|drill| drill.running) else { return };
        if !std::mem::take(&mut self.stage.stirred) {
            return;
        }
        let mut serving: HashSet<ServiceId> = HashSet::new();
        for id in &rehearsal.endpoints {
            if super::judge::serves(&self.statuses[id.index()]) {
                serving.insert(self.catalog.endpoint(*id).service);
            }
        }
        let mut news = false;
        for (id, marks) in &mut self.stage.marks {
            let mark = match (marks.decided, serving.contains(id)) {
                (None, false) => &mut marks.decided,
                (Some(_), true) => &mut marks.again,
                _ => continue,
            };
            news |= mark.is_none();
            mark.get_or_insert(now);
        }
        if news {
            self.keep_marks(effects);
        }
    }

    /// Keeps the marks in the record.
    fn keep_marks(&mut self, effects: &mut Effects) {
        let catalog = Arc::clone(&self.catalog);
        self.stage.record(|record, marks| {
            let named = |(id, marks): (&ServiceId, &Marks)| ServiceMarks { service: catalog.service(*id).name.to_string().into(), marks: *marks };
            record.services = marks.iter().take(DRILL_SERVICES_MAX).map(named).collect();
            record.all = Marks {
                detected: marks.values().filter_map(|marks| marks.detected).min(),
                decided: marks.values().map(|marks| marks.decided).collect::<Option<Vec<_>>>().and_then(|all| all.into_iter().max()),
                published: marks.values().map(|marks| marks.published).collect::<Option<Vec<_>>>().and_then(|all| all.into_iter().max()),
                answered: marks.values().filter_map(|marks| marks.answered).max(),
                again: marks.values().filter_map(|marks| marks.again).min(),
            };
        });
        effects.keep_drill = true;
    }

    /// An observation was played: whose first that was.
    pub(super) fn detect(&mut self, probe: ProbeId, observation: &Observation, effects: &mut Effects) {
        if !observation.drill || !observation.outcome.is_failure() {
            return;
        }
        let mut news = false;
        for index in self.users.range(probe.index()) {
            let id = self.users.endpoints[index];
            if self.stage.shown(id, probe).is_none() {
                continue;
            }
            if let Some(marks) = self.stage.marks.get_mut(&self.catalog.endpoint(id).service)
                && marks.detected.is_none()
            {
                marks.detected = Some(observation.at);
                news = true;
            }
        }
        if news {
            self.keep_marks(effects);
        }
    }

    /// A world was swapped in at this moment. Returns whether what is known of the drill is due to be written.
    pub fn swapped(&mut self, world: &Arc<World>, at: Moment) -> bool {
        let mut news = false;
        for marks in self.stage.marks.values_mut() {
            if marks.decided.is_some() && marks.published.is_none() {
                marks.published = Some(at);
                news = true;
            }
        }
        if news {
            self.keep_marks(&mut Effects::default());
            if self.stage.during.is_none() && self.stage.marks.values().all(|marks| marks.published.is_some()) {
                self.stage.during = Some(Arc::clone(world));
            }
        }
        news
    }

    /// Takes in what workers have counted.
    pub(super) fn take_answers(&mut self, answers: Answers, now: Moment) {
        if !self.stage.rehearsal.as_ref().is_some_and(|drill| drill.running) {
            return;
        }
        let Some(before) = self.stage.counted.take() else {
            self.stage.counted = Some(answers);
            return;
        };
        let earlier: HashMap<ServiceId, u64> = before.named.into_iter().collect();
        let mut news = false;
        for (id, count) in &answers.named {
            // A count that is smaller was begun anew by a reload.
            if earlier.get(id).copied().unwrap_or(0) < *count
                && let Some(marks) = self.stage.marks.get_mut(id).filter(|marks| marks.again.is_none())
            {
                marks.answered = Some(now);
                news = true;
            }
        }
        let (all, wanting) = (answers.all.saturating_sub(before.all), answers.wanting.saturating_sub(before.wanting));
        self.stage.counted = Some(answers);
        if all > 0 {
            self.stage.record(|record, _| {
                record.answers += all;
                record.wanting += wanting.min(all);
            });
        }
        if news {
            // It is written with what comes next: workers count all the time.
            self.keep_marks(&mut Effects::default());
        }
        let Some(one) = self.stage.drills.current() else { return };
        let (most, share) = (one.drill.errors, one.record.wanting_share());
        if let Some(share) = share.filter(|share| *share > most) {
            self.stage.alarm(Guard::Errors, || format!("{share} of the answers were given for want of anything that is up, and {most} may be"));
        }
    }

    /// Looks whether the load of any service ceased to fit.
    pub(super) fn guard_headroom(&mut self) {
        if !self.stage.rehearsal.as_ref().is_some_and(|drill| drill.running) {
            return;
        }
        let over = self.spill.outlook().overload.iter().find(|(id, _)| !self.stage.overloaded.contains(id)).copied();
        if let Some((id, factor)) = over {
            let name = self.catalog.service(id).name.to_string();
            self.stage.alarm(Guard::Headroom, || {
                format!("the load of {name} is {} of what those that are left are filled to", Permille(u16::try_from(factor).unwrap_or(u16::MAX)))
            });
        }
    }

    /// Ends the drill: observations and intents are real again in this very event.
    fn close(&mut self, over: Outcome, now: Moment, effects: &mut Effects) {
        let cause = if over.ceased == Ceased::Time { Cause::Happened } else { Cause::Known };
        let is_running = self.stage.rehearsal.as_ref().is_some_and(|drill| drill.running);
        self.stage.during = self.stage.during.take().or_else(|| is_running.then(|| Arc::clone(&self.world)));
        self.stage.told[1] = self.stage.rehearsal.as_deref().map(|drill| self.told_loads(drill)).unwrap_or_default();
        self.stage.record(|record, _| record.over = Some(over));
        self.leave(cause, now, effects);
        self.tell_over(effects);
    }

    /// Clears the stage of what is played. Pasts are as before; who comes back from something ramps only if `cause` happened.
    fn leave(&mut self, cause: Cause, now: Moment, effects: &mut Effects) {
        let Some(rehearsal) = self.stage.rehearsal.take() else { return };
        self.stage.played.clear();
        for (id, mut past) in std::mem::take(&mut self.stage.pasts) {
            past.be_down(cause == Cause::Happened && self.watch.past(id).is_down());
            let terms = self.catalog.service(self.catalog.endpoint(id).service).recovery;
            self.watch.remember(id, past, past.due(now, &terms));
        }
        for id in &rehearsal.endpoints {
            // What is down in earnest went down in earnest, whatever ended the drill.
            let is_down = self.catalog.endpoint(*id).probes.iter().any(|probe| self.trackers[probe.index()].health() == Health::Down);
            let cause = if is_down { Cause::Happened } else { cause };
            self.judge_all_of(*id, cause, now, &|| Why::DrillOver { id: rehearsal.id }, effects);
        }
        self.touched = true;
    }

    /// What endpoints of the drill's services tell of their load.
    fn told_loads(&self, drill: &Rehearsal) -> Vec<(EndpointName, u64)> {
        let endpoints = drill.services.iter().flat_map(|id| self.catalog.endpoints_of(self.catalog.service(*id)));
        endpoints.filter_map(|(id, _)| Some((EndpointName::of(&self.catalog, id), self.spill.reported(id)?))).collect()
    }

    /// Hands over what is to be reported, and forgets the drill.
    fn tell_over(&mut self, effects: &mut Effects) {
        let stage = std::mem::take(&mut self.stage);
        if let Some(under_way) = stage.drills.now.clone() {
            effects.drill.push(DrillNews::Over(Box::new(Over { under_way, before: stage.before, during: stage.during, told: stage.told })));
        }
        self.stage.drills = Arc::new(Drills { now: None, ..(*stage.drills).clone() });
    }

    /// The drill over another catalog: `known` tells for each probe of the one before what it is now, and `carried` for each endpoint which it was.
    pub(super) fn restage(&mut self, known: &[Option<ProbeId>], carried: &[Option<EndpointId>], now: Moment, effects: &mut Effects) {
        let Some(before) = self.stage.rehearsal.take() else { return };
        let Some(one) = self.stage.drills.current() else { return };
        let rehearsal = one.drill.rehearsal(&self.catalog, before.running);
        if rehearsal.endpoints.is_empty() {
            self.stage.rehearsal = Some(Arc::new(Rehearsal { endpoints: [].into(), services: [].into(), ..(*before).clone() }));
            self.stage.pasts.clear();
            return self.close(Outcome { at: now, ceased: Ceased::Gone }, now, effects);
        }
        let mut old = std::mem::take(&mut self.stage.played);
        let mut played: HashMap<ProbeId, Tracker> = HashMap::new();
        for (from, to) in (0..).map(ProbeId).zip(known) {
            if let (Some(tracker), Some(to)) = (old.remove(&from), to) {
                played.insert(*to, tracker);
            }
        }
        if before.running && before.deed != Played::Drain {
            let wanted: HashSet<ProbeId> = probes(&rehearsal.endpoints, &self.catalog).collect();
            played.retain(|probe, _| wanted.contains(probe));
            for probe in wanted {
                played.entry(probe).or_insert_with(|| self.trackers[probe.index()].clone());
            }
        }
        let was: BTreeMap<EndpointId, EndpointId> = (0..).map(EndpointId).zip(carried).filter_map(|(to, from)| Some(((*from)?, to))).collect();
        let pasts = std::mem::take(&mut self.stage.pasts);
        let mut pasts: BTreeMap<EndpointId, Comeback> = pasts.into_iter().filter_map(|(from, past)| Some((*was.get(&from)?, past))).collect();
        for (id, past) in self.pasts(&rehearsal.endpoints) {
            pasts.entry(id).or_insert(past);
        }
        (self.stage.played, self.stage.pasts) = (played, pasts);
        // Services that are new begin to be measured; those that are known by their names go on. Counts are those of another catalog.
        (self.stage.counted, self.stage.overloaded, self.stage.stirred) = (None, HashSet::new(), true);
        self.enter(rehearsal);
    }
}

/// The endpoint that a real failure of a probe is told of: one outside of the drill before one inside.
pub(super) fn victim(controller: &Controller, probe: ProbeId) -> Option<EndpointName> {
    let users = || controller.users.range(probe.index()).map(|index| controller.users.endpoints[index]);
    let outside = users().find(|id| !controller.stage.rehearsal().is_some_and(|drill| drill.touches(*id)));
    outside.or_else(|| users().next()).map(|id| EndpointName::of(&controller.catalog, id))
}
