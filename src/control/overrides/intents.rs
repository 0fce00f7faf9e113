//! The controller's hold on the overrides in force: which has the say over which endpoint, and what changes as time passes.

use std::fmt;
use std::sync::Arc;

use super::{Override, Overrides, rank};
use crate::catalog::{Catalog, EndpointId};
use crate::control::EndpointName;
use crate::health::{Intent, Status};
use crate::limits::INTENTS_TOLD_MAX;
use crate::units::{Moment, Permille};
use crate::world::{Deed, Note, Notes};

/// Another override has the say over an endpoint than before, or does something else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IntentChange {
    /// The endpoint.
    pub endpoint: EndpointName,
    /// The override that had the say, as it was.
    pub from: Option<Note>,
    /// The override that has it now.
    pub to: Option<Note>,
    /// Who or what changed it, and why.
    pub why: Arc<str>,
    /// When.
    pub at: Moment,
}

/// As in `api.gslb.example.com/aws-eu-west-1: nothing → drained (set by anna: maintenance)`.
impl fmt::Display for IntentChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let told = |note: &Option<Note>| note.as_ref().map_or_else(|| "no override".to_owned(), |note| note.deed.to_string());
        write!(f, "{}: {} → {} ({})", self.endpoint, told(&self.from), told(&self.to), self.why)
    }
}

/// What became of a change of overrides or of time.
#[derive(Debug, Default)]
pub(in crate::control) struct Shift {
    /// Endpoints whose status is to be put together anew.
    pub(in crate::control) touched: Vec<EndpointId>,
    /// Overrides that have ended by themselves.
    pub(in crate::control) expired: Vec<Override>,
    /// What is to be told of, at most [`INTENTS_TOLD_MAX`].
    pub(in crate::control) told: Vec<IntentChange>,
    /// How many more there were.
    pub(in crate::control) untold: usize,
}

/// The overrides in force, linked to the endpoints of a catalog.
#[derive(Debug, Default)]
pub(in crate::control) struct Intents {
    /// The overrides.
    overrides: Arc<Overrides>,
    /// For each the endpoints that it is about.
    matched: Vec<Box<[EndpointId]>>,
    /// For each what it does at the moment.
    deeds: Vec<Deed>,
    /// By endpoint, what is said of it; empty when there are no overrides.
    said: Vec<Option<Said>>,
    /// The same for explanations.
    notes: Arc<Notes>,
}

/// What is said of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Said {
    /// Index of the override that has the say.
    by: u16,
    /// Its number.
    id: u64,
    /// What it does.
    deed: Deed,
    /// Whether any gradual drain is on its way.
    moving: bool,
}

impl Intents {
    /// The overrides in force.
    pub(in crate::control) const fn overrides(&self) -> &Arc<Overrides> {
        &self.overrides
    }

    /// What explanations say of them.
    pub(in crate::control) const fn notes(&self) -> &Arc<Notes> {
        &self.notes
    }

    /// Puts into a status what is intended with its endpoint.
    pub(in crate::control) fn mark(&self, id: EndpointId, status: &mut Status) {
        let said = self.said.get(id.index()).copied().flatten();
        (status.intent, status.share) = match said.map(|said| said.deed) {
            None => (Intent::None, Permille::WHOLE),
            Some(Deed::In) => (Intent::In, Permille::WHOLE),
            Some(Deed::Held(share) | Deed::Draining(share)) => (Intent::None, share),
            Some(Deed::Drained) => (Intent::Drain, Permille::WHOLE),
            Some(Deed::Out) => (Intent::Out, Permille::WHOLE),
        };
        status.moving |= said.is_some_and(|said| said.moving);
    }

    /// Takes these overrides instead of those in force. What has ended by now is left out.
    pub(in crate::control) fn replace(&mut self, next: &Overrides, why: &Arc<str>, catalog: &Catalog, now: Moment) -> Shift {
        let next = next.in_force(now);
        let link = |one: &Override| {
            let known = self.overrides.all.iter().position(|other| other.id == one.id && other.selector == one.selector);
            known.map_or_else(|| one.selector.endpoints(catalog), |index| self.matched[index].clone())
        };
        let matched = next.all.iter().map(link).collect();
        self.settle(Arc::new(next), matched, why, catalog, now)
    }

    /// Does what time alone makes due: ends, and steps of gradual drains. Nothing if nothing is due.
    pub(in crate::control) fn pass(&mut self, catalog: &Catalog, now: Moment) -> Option<Shift> {
        let is_due = |(one, deed): (&Override, &Deed)| one.expires <= now || one.deed(now) != *deed;
        if !self.overrides.all.iter().zip(&self.deeds).any(is_due) {
            return None;
        }
        let (mut kept, mut matched, mut expired) = (Vec::new(), Vec::new(), Vec::new());
        for (one, endpoints) in self.overrides.all.iter().zip(std::mem::take(&mut self.matched)) {
            if one.expires > now {
                kept.push(one.clone());
                matched.push(endpoints);
            } else {
                expired.push(one.clone());
            }
        }
        let why = if expired.is_empty() { "its time to drain is over" } else { "the override has expired" };
        let next = Overrides { all: kept, ..(*self.overrides).clone() };
        let shift = self.settle(Arc::new(next), matched, &why.into(), catalog, now);
        Some(Shift { expired, ..shift })
    }

    /// The same overrides over another catalog.
    pub(in crate::control) fn linked(&self, catalog: &Catalog, now: Moment) -> Self {
        let mut linked = Self::default();
        let matched = self.overrides.all.iter().map(|one| one.selector.endpoints(catalog)).collect();
        // Whoever asks for this puts every status together anew; nobody is told of what goes on as before.
        let _ = linked.settle(Arc::clone(&self.overrides), matched, &"".into(), catalog, now);
        linked
    }

    /// Finds out who has the say, and what is new about that.
    fn settle(&mut self, overrides: Arc<Overrides>, matched: Vec<Box<[EndpointId]>>, why: &Arc<str>, catalog: &Catalog, now: Moment) -> Shift {
        let deeds: Vec<Deed> = overrides.all.iter().map(|one| one.deed(now)).collect();
        let mut said: Vec<Option<Said>> = if overrides.all.is_empty() { Vec::new() } else { vec![None; catalog.endpoints.len()] };
        for ((by, one), (endpoints, &deed)) in (0..).zip(&overrides.all).zip(matched.iter().zip(&deeds)) {
            let moving = matches!(deed, Deed::Draining(_));
            for id in endpoints {
                let there = &mut said[id.index()];
                // Of two that restrict alike the earlier one keeps the say.
                let (is_stricter, is_moving) = there.map_or((true, moving), |there| (rank(deed) < rank(there.deed), there.moving || moving));
                *there = there.filter(|_| !is_stricter).or(Some(Said { by, id: one.id, deed, moving })).map(|said| Said { moving: is_moving, ..said });
            }
        }
        let notes = Notes {
            all: overrides.all.iter().map(|one| one.note(now)).collect(),
            of: (0..).map(EndpointId).zip(&said).filter_map(|(id, said)| Some((id, (*said)?.by))).collect(),
        };
        let before = std::mem::replace(&mut self.notes, Arc::new(notes));
        let mut shift = Shift::default();
        for id in (0..catalog.endpoints.len()).filter_map(|index| u32::try_from(index).ok()).map(EndpointId) {
            let (was, is) = (self.said.get(id.index()).copied().flatten(), said.get(id.index()).copied().flatten());
            let what = |said: Option<Said>| said.map(|said| (said.id, said.deed, said.moving));
            if what(was) == what(is) {
                continue;
            }
            shift.touched.push(id);
            let kind =
                |said: Option<Said>| said.map(|said| (said.id, if matches!(said.deed, Deed::Draining(_)) { Deed::Draining(Permille(0)) } else { said.deed }));
            if kind(was) == kind(is) {
                continue;
            }
            if shift.told.len() >= INTENTS_TOLD_MAX {
                shift.untold += 1;
                continue;
            }
            let (from, to) = (before.about(id).cloned(), self.notes.about(id).cloned());
            shift.told.push(IntentChange { endpoint: EndpointName::of(catalog, id), from, to, why: Arc::clone(why), at: now });
        }
        (self.overrides, self.matched, self.deeds, self.said) = (overrides, matched, deeds, said);
        shift
    }
}
