//! How a status is put together: health as measured, then what the endpoint's past makes of it.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use super::Controller;
use crate::catalog::{AddressType, AddressTypes, AliasId, Endpoint, EndpointId, Families, Needed, ProbeId, Recovery};
use crate::control::{Change, Effects, EndpointName, Held, Partial, Why, probe_label};
use crate::health::{Comeback, Health, Note, Status, Tracker, of_all};
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

/// What some probes found together.
pub(super) struct Found {
    /// The worst of them.
    pub(super) health: Health,
    /// Whether any of them is on the move.
    moving: bool,
    /// Whether this process measured any of them down, rather than an earlier one.
    down_here: bool,
}

impl Found {
    /// By these.
    pub(super) fn by<'a>(trackers: impl Iterator<Item = &'a Tracker> + Clone) -> Self {
        let (health, moving) = of_all(trackers.clone());
        Self { health, moving, down_here: trackers.into_iter().any(|tracker| tracker.health() == Health::Down && tracker.is_measured()) }
    }
}

/// That an endpoint lacks too much of what it depends on.
struct Lack {
    /// The root: what is down by itself.
    root: Box<str>,
    /// Whether this process measured that.
    here: bool,
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
    pub(super) fn past(&self, id: EndpointId) -> Comeback {
        self.of.get(&id).map(|(past, _)| *past).unwrap_or_default()
    }

    /// Remembers the past of an endpoint, and when to look at it again.
    pub(super) fn remember(&mut self, id: EndpointId, past: Comeback, due: Option<Moment>) {
        let before = if past.is_at_rest() { self.of.remove(&id) } else { self.of.insert(id, (past, due)) };
        if let Some((_, Some(before))) = before {
            self.agenda.remove(&(before, id));
        }
        self.agenda.extend(due.filter(|_| !past.is_at_rest()).map(|due| (due, id)));
    }

    /// Clients are let return to an endpoint: it ramps.
    pub(super) fn readmit(&mut self, id: EndpointId, terms: &Recovery, now: Moment) {
        let mut past = self.past(id);
        past.readmit(now);
        self.remember(id, past, past.due(now, terms));
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
    /// Judges anew every endpoint that the probe is of, and what depends on those.
    pub(super) fn judge_users(&mut self, probe: ProbeId, cause: Cause, now: Moment, why: impl Fn() -> Why, effects: &mut Effects) {
        for index in self.users.range(probe.index()) {
            self.judge_all_of(self.users.endpoints[index], cause, now, &why, effects);
        }
    }

    /// Judges anew every endpoint that the probe is of and that a drill plays with, or every other one.
    pub(super) fn judge_some(&mut self, probe: ProbeId, played: bool, now: Moment, why: impl Fn() -> Why, effects: &mut Effects) {
        for index in self.users.range(probe.index()) {
            let id = self.users.endpoints[index];
            if self.stage.shown(id, probe).is_some() == played {
                self.judge_all_of(id, Cause::Happened, now, &why, effects);
            }
        }
    }

    /// Judges every endpoint after a reload. `before` is what was published of each, as far as there was one of its name.
    pub(super) fn judge_all(&mut self, before: &[Health], now: Moment, effects: &mut Effects) {
        let mut silent = Effects::default();
        for id in (0..).map(EndpointId).take(before.len()) {
            self.judge_all_of(id, Cause::Known, now, &|| Why::Reloaded, &mut silent);
        }
        effects.holds.append(&mut silent.holds);
        effects.partial.append(&mut silent.partial);
        for (id, &from) in (0..).map(EndpointId).zip(before) {
            let to = self.statuses[id.index()].published();
            if from != Health::Unknown && from != to {
                let why = self.root(id).map_or(Why::Reloaded, |root| Why::DependsOn { root });
                effects.changes.push(Change { endpoint: EndpointName::of(&self.catalog, id), from, to, why, at: now });
            }
        }
    }

    /// Judges anew every endpoint that has the alias. Look-ups change no health.
    pub(super) fn judge_aliased(&mut self, alias: AliasId, now: Moment, effects: &mut Effects) {
        for index in self.aliased.range(alias.index()) {
            self.judge_all_of(self.aliased.endpoints[index], Cause::Happened, now, &|| Why::Unblocked, effects);
        }
    }

    /// Looks at the endpoints whose ramp or hold is due.
    pub(super) fn judge_due(&mut self, now: Moment, effects: &mut Effects) {
        while let Some(id) = self.watch.due(now) {
            self.eased = true;
            self.judge(id, Cause::Happened, now, effects);
        }
    }

    /// Judges an endpoint, then all that depends on it, in the same event. It ends, since nothing depends on itself.
    pub(super) fn judge_all_of(&mut self, first: EndpointId, cause: Cause, now: Moment, why: &impl Fn() -> Why, effects: &mut Effects) {
        let mut queue = VecDeque::from([first]);
        while let Some(id) = queue.pop_front() {
            let matters = |controller: &Self| {
                let status = &controller.statuses[id.index()];
                (status.is_down(), status.moving, controller.watch.past(id).is_down(), controller.root(id))
            };
            let (before, mattered) = (self.statuses[id.index()].published(), matters(self));
            self.judge(id, cause, now, effects);
            let after = self.statuses[id.index()].published();
            if before != after {
                let why = match self.root(id) {
                    Some(root) => Why::DependsOn { root },
                    None if id == first => why(),
                    None => Why::Unblocked,
                };
                effects.changes.push(Change { endpoint: EndpointName::of(&self.catalog, id), from: before, to: after, why, at: now });
            }
            if mattered != matters(self) {
                queue.extend(self.dependants.get(&id).into_iter().flatten());
            }
        }
    }

    /// Puts an endpoint's status together from what is known of it.
    pub(super) fn judge(&mut self, id: EndpointId, cause: Cause, now: Moment, effects: &mut Effects) {
        let before = self.statuses[id.index()];
        let status = self.reckon(id, cause, now);
        self.statuses[id.index()] = status;
        if status != before {
            self.versions[self.catalog.endpoint(id).service.index()] = self.world.generation + 1;
            self.touched = true;
            self.stage.note_change(id);
        }
        if status.fails != before.fails {
            effects.partial.push(Partial { endpoint: EndpointName::of(&self.catalog, id), fails: status.fails });
        }
        if status.damped != before.damped {
            let hold = self.watch.notes.get(&id).and_then(|note| note.hold);
            effects.holds.push(Held { endpoint: EndpointName::of(&self.catalog, id), hold, at: now });
        }
        self.unsaved |= before.health != status.health;
        if serves(&before) && !serves(&status) {
            self.spare_the_last(id, now, effects);
        }
    }

    /// The status of an endpoint as of now; what is to be remembered of it is.
    fn reckon(&mut self, id: EndpointId, cause: Cause, now: Moment) -> Status {
        let endpoint = self.catalog.endpoint(id);
        let terms = self.catalog.service(endpoint.service).recovery;
        let (own, fails) = self.find(id, endpoint);
        let (lack, needs_move) = self.lack(endpoint);
        let (lacks, unsettled) = (self.aliases.lacks(endpoint), self.aliases.is_moving(endpoint));
        let health = own.health;
        let down = health == Health::Down || lack.is_some();
        let before = self.statuses[id.index()];
        let shares = self.others(id).any(|other| serves(&self.statuses[other.index()]));
        let mut past = self.watch.past(id);
        let happened = cause == Cause::Happened;
        if down && happened && !past.is_down() && (own.down_here || lack.as_ref().is_some_and(|lack| lack.here)) {
            past.fall(matches!(before.published(), Health::Up | Health::Degraded), now, &terms);
        } else if !down && matches!(health, Health::Up | Health::Degraded) {
            if happened { past.rise(shares, now) } else { past.forgive() }
        }
        past.look(shares, now, &terms);
        let (ramp, hold) = (past.ramp(now, &terms), past.hold(&terms));
        let moving = own.moving || needs_move || unsettled || ramp != Permille::WHOLE;
        let blocked = lack.is_some();
        self.watch.remember(id, past, past.due(now, &terms));
        self.watch.note(id, &Note { hold, root: lack.map(|lack| lack.root) });
        let mut status = Status { health, moving, damped: hold.is_some(), blocked, lacks, fails, ramp, ..before };
        self.intents.mark(id, &mut status);
        self.stage.mark(id, &mut status);
        status
    }

    /// What an endpoint's own probes found, and the types of addresses for which alone it is down. Where one decision is for all types, or where all
    /// that is asked is of one family, it is as the worst of its probes. Otherwise one family may fail by itself, and then the other one speaks for
    /// the endpoint.
    fn find(&self, id: EndpointId, endpoint: &Endpoint) -> (Found, AddressTypes) {
        self.find_by(endpoint, |probe| self.stage.shown(id, probe).unwrap_or(&self.trackers[probe.index()]))
    }

    /// The same, by what its probes are `shown` to have found.
    pub(super) fn find_by<'a>(&self, endpoint: &Endpoint, shown: impl Fn(ProbeId) -> &'a Tracker) -> (Found, AddressTypes) {
        let by = |is: &dyn Fn(ProbeId) -> bool| Found::by(endpoint.probes.iter().copied().filter(|probe| is(*probe)).map(&shown));
        let family = |probe: ProbeId| self.catalog.probes[probe.index()].family();
        let own = by(&|_| true);
        let is_asked = |of| endpoint.probes.iter().any(|probe| family(*probe) == Some(of));
        let is_separate = self.catalog.service(endpoint.service).families == Families::Separate;
        if own.health != Health::Down || !is_separate || !AddressType::ALL.into_iter().all(is_asked) {
            return (own, AddressTypes::NONE);
        }
        let [v4, v6] = AddressType::ALL.map(|of| by(&|probe| family(probe).is_none_or(|other| other == of)));
        let (left, fails) = match (v4.health, v6.health) {
            (Health::Down, Health::Down) => return (own, AddressTypes::NONE),
            (Health::Down, _) => (v6, AddressType::A),
            _ => (v4, AddressType::Aaaa),
        };
        (Found { moving: own.moving, ..left }, AddressTypes::NONE.with(fails))
    }

    /// What an endpoint lacks of what it depends on, if too much; and whether any of that is on the move.
    fn lack(&self, endpoint: &Endpoint) -> (Option<Lack>, bool) {
        let Some(depends) = &endpoint.depends_on else { return (None, false) };
        let mut met = 0;
        let (mut first, mut here, mut moving) = (None, false, false);
        for need in &depends.needs {
            let lack = match &need.of {
                Needed::Probes(probes) => {
                    let found = Found::by(probes.iter().map(|probe| &self.trackers[probe.index()]));
                    moving |= found.moving;
                    (found.health == Health::Down).then(|| {
                        let down = probes.iter().find(|probe| self.trackers[probe.index()].health() == Health::Down);
                        let label = down.map(|probe| probe_label(&self.catalog.probes[probe.index()])).unwrap_or_default();
                        Lack { root: format!("{} ({label})", need.name).into(), here: found.down_here }
                    })
                }
                Needed::Endpoints(ids) => {
                    let statuses = || ids.iter().map(|id| &self.statuses[id.index()]);
                    moving |= statuses().any(|status| status.moving && status.ramp == Permille::WHOLE);
                    let down = statuses().all(Status::is_down);
                    ids.first().filter(|_| down).map(|&id| Lack {
                        root: self.root(id).unwrap_or_else(|| EndpointName::of(&self.catalog, id).to_string().into()),
                        here: ids.iter().any(|id| self.watch.past(*id).is_down()),
                    })
                }
            };
            match lack {
                None => met += 1,
                Some(lack) => {
                    here |= lack.here;
                    first = first.or(Some(lack.root));
                }
            }
        }
        let lack = first.filter(|_| met < depends.least).map(|root| Lack { root, here });
        (lack, moving)
    }

    /// The root of what blocks an endpoint, if anything does.
    fn root(&self, id: EndpointId) -> Option<Box<str>> {
        self.watch.notes.get(&id)?.root.clone()
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
pub(super) fn serves(status: &Status) -> bool {
    use crate::health::Intent;
    !status.is_down() && !status.is_damped() && status.lacks.is_empty() && !matches!(status.intent, Intent::Out | Intent::Drain)
}
