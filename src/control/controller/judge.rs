//! How a status is put together: health as measured, then what the endpoint's past makes of it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::Controller;
use crate::catalog::{EndpointId, ProbeId};
use crate::control::{Change, Effects, EndpointName, Held, Why};
use crate::health::{Comeback, Health, Note, Status, of_all};
use crate::units::{Moment, Permille};

/// Endpoints that have a past, and when to look at them again. Those that do not take no room.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// Their pasts, each with when to look at it next.
    of: HashMap<EndpointId, (Comeback, Option<Moment>)>,
    /// When to look at whom, the earliest first.
    agenda: BTreeSet<(Moment, EndpointId)>,
    /// What is to be told of them.
    notes: BTreeMap<EndpointId, Note>,
    /// The notes as published last.
    told: Arc<[(EndpointId, Note)]>,
    /// Whether they are others by now.
    news: bool,
}

/// Whether what is judged happened to the endpoint, or only came to be known: a reload and a restart are nobody's recovery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// It happened.
    Happened,
    /// It came to be known.
    Known,
}

impl Watch {
    /// The pasts of endpoints that live on, by what they are called now.
    pub(super) fn carried(mut self, from: &[Option<EndpointId>]) -> Self {
        let of = from.iter().zip((0..).map(EndpointId)).filter_map(|(from, to)| Some((to, (self.of.remove(&(*from)?)?.0, None)))).collect();
        Self { of, ..Self::default() }
    }

    /// The notes, for a world.
    pub(super) fn notes(&mut self) -> Arc<[(EndpointId, Note)]> {
        if std::mem::take(&mut self.news) {
            self.told = self.notes.iter().map(|(id, note)| (*id, note.clone())).collect();
        }
        Arc::clone(&self.told)
    }

    /// Whether the notes differ from what was published.
    pub(super) const fn has_news(&self) -> bool {
        self.news
    }

    /// The past of an endpoint.
    fn past(&self, id: EndpointId) -> Comeback {
        self.of.get(&id).map(|(past, _)| *past).unwrap_or_default()
    }

    /// Remembers the past of an endpoint, and when to look at it again.
    fn remember(&mut self, id: EndpointId, past: Comeback, due: Option<Moment>) {
        let before = if past.is_at_rest() { self.of.remove(&id) } else { self.of.insert(id, (past, due)) };
        if let Some((_, Some(before))) = before {
            self.agenda.remove(&(before, id));
        }
        self.agenda.extend(due.filter(|_| !past.is_at_rest()).map(|due| (due, id)));
    }

    /// Keeps a note, or none.
    fn note(&mut self, id: EndpointId, note: &Note) {
        let before = if *note == Note::default() { self.notes.remove(&id) } else { self.notes.insert(id, note.clone()) };
        self.news |= before.unwrap_or_default() != *note;
    }

    /// The next endpoint that is to be looked at by now.
    fn due(&mut self, now: Moment) -> Option<EndpointId> {
        let (due, id) = *self.agenda.first()?;
        (due <= now).then(|| {
            self.agenda.pop_first();
            id
        })
    }
}

impl Controller {
    /// Judges anew every endpoint that the probe is of.
    pub(super) fn judge_users(&mut self, probe: ProbeId, cause: Cause, now: Moment, why: impl Fn() -> Why, effects: &mut Effects) {
        for index in self.users.range(probe) {
            let id = self.users.endpoints[index];
            if let Some((from, to)) = self.judge(id, cause, now, effects) {
                let endpoint = EndpointName::of(&self.catalog, id);
                effects.changes.push(Change { endpoint, from, to, why: why(), at: now });
            }
        }
    }

    /// Judges every endpoint after a reload. `before` is the health of endpoints that were changed.
    pub(super) fn judge_all(&mut self, before: &[Health], now: Moment, effects: &mut Effects) {
        for (id, &before) in (0..).map(EndpointId).zip(before) {
            self.judge(id, Cause::Known, now, effects);
            let to = self.statuses[id.index()].health;
            if before != Health::Unknown && before != to {
                let endpoint = EndpointName::of(&self.catalog, id);
                effects.changes.push(Change { endpoint, from: before, to, why: Why::Reloaded, at: now });
            }
        }
    }

    /// Looks at the endpoints whose ramp or hold is due.
    pub(super) fn judge_due(&mut self, now: Moment, effects: &mut Effects) {
        while let Some(id) = self.watch.due(now) {
            self.judge(id, Cause::Happened, now, effects);
        }
    }

    /// Puts an endpoint's status together from what is known of it. Returns its health before and now if that is another.
    fn judge(&mut self, id: EndpointId, cause: Cause, now: Moment, effects: &mut Effects) -> Option<(Health, Health)> {
        let before = self.statuses[id.index()];
        let status = self.reckon(id, cause, now);
        self.statuses[id.index()] = status;
        let service = self.catalog.endpoint(id).service;
        if status != before {
            self.versions[service.index()] = self.world.generation + 1;
            self.touched = true;
        }
        if status.damped != before.damped {
            let hold = self.watch.notes.get(&id).and_then(|note| note.hold);
            effects.holds.push(Held { endpoint: EndpointName::of(&self.catalog, id), hold, at: now });
        }
        self.unsaved |= before.health != status.health;
        if serves(&before) && !serves(&status) {
            self.spare_the_last(id, now, effects);
        }
        (before.health != status.health).then_some((before.health, status.health))
    }

    /// The status of an endpoint as of now; what is to be remembered of it is.
    fn reckon(&mut self, id: EndpointId, cause: Cause, now: Moment) -> Status {
        let endpoint = self.catalog.endpoint(id);
        let terms = self.catalog.service(endpoint.service).recovery;
        let trackers = || endpoint.probes.iter().map(|probe| &self.trackers[probe.index()]);
        let (health, moving) = of_all(trackers());
        let found_down = trackers().any(|tracker| tracker.health() == Health::Down && tracker.is_measured());
        let before = self.statuses[id.index()];
        let shares = self.others(id).any(|other| serves(&self.statuses[other.index()]));
        let mut past = self.watch.past(id);
        match health {
            Health::Down if cause == Cause::Happened => {
                if found_down && !past.is_down() {
                    past.fall(matches!(before.health, Health::Up | Health::Degraded), now, &terms);
                }
            }
            Health::Up | Health::Degraded if cause == Cause::Happened => past.rise(shares, now),
            Health::Up | Health::Degraded => past.forgive(),
            Health::Down | Health::Unknown => {}
        }
        past.look(shares, now, &terms);
        let (ramp, hold) = (past.ramp(now, &terms), past.hold(&terms));
        self.watch.remember(id, past, past.due(now, &terms));
        self.watch.note(id, &Note { hold, ..Note::default() });
        Status { health, moving: moving || ramp != Permille::WHOLE, damped: hold.is_some(), ramp, ..before }
    }

    /// An endpoint has left: if but one is left of its service, that one gets all the clients, and a ramp of its own is over.
    fn spare_the_last(&mut self, gone: EndpointId, now: Moment, effects: &mut Effects) {
        let left: Vec<EndpointId> = self.others(gone).filter(|other| serves(&self.statuses[other.index()])).take(2).collect();
        let [last] = left[..] else { return };
        let mut past = self.watch.past(last);
        past.take_all();
        let terms = self.catalog.service(self.catalog.endpoint(last).service).recovery;
        self.watch.remember(last, past, past.due(now, &terms));
        self.judge(last, Cause::Happened, now, effects);
    }

    /// The endpoints beside this one that clients of its service may be sent to.
    fn others(&self, id: EndpointId) -> impl Iterator<Item = EndpointId> {
        let service = self.catalog.service(self.catalog.endpoint(id).service);
        self.catalog
            .endpoints_of(service)
            .filter(move |(other, endpoint)| *other != id && endpoint.meets_require && !endpoint.last_resort)
            .map(|(other, _)| other)
    }
}

/// Whether clients are sent there while all is well.
fn serves(status: &Status) -> bool {
    use crate::health::Intent;
    !status.is_down() && !status.is_damped() && !matches!(status.intent, Intent::Out | Intent::Drain)
}
