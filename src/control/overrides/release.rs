//! Tiers that were left and are to be released: who would move, and why not. A voluntary move, so the pace that `[safety]` sets binds it.

use super::propose::{Proposal, Refusal};
use super::safety::pace;
use super::{Move, Overrides, Words, moved, remember};
use crate::catalog::{Service, ServiceId, glob};
use crate::control::failback::{is_manual, range, set, waiting_of};
use crate::near::Hints;
use crate::units::{Moment, Permille};
use crate::world::World;

/// A wish that clients return to tiers that they left, wherever enough endpoints are live again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// The services: an owner name or a label, `*` stands for any text.
    pub service: Box<str>,
    /// Why.
    pub why: Words,
    /// Who wishes it.
    pub who: Words,
    /// Why safety rules do not count this time, if they do not.
    pub force: Option<Words>,
}

/// A service whose tiers are released.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Released {
    /// Its owner name.
    pub service: Box<str>,
    /// The tiers, 1 first.
    pub tiers: Vec<u8>,
    /// Those that stay latched since they have too few live endpoints, 1 first.
    pub stay: Vec<u8>,
}

/// Why nothing is to be released.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoReturn {
    /// No service is called so.
    #[error("no service is called {service:?}{}", .hint.as_ref().map(|hint| format!(": {hint}")).unwrap_or_default())]
    NoService {
        /// The word.
        service: Box<str>,
        /// What was probably meant.
        hint: Option<String>,
    },
    /// Clients return by themselves.
    #[error("clients of {0:?} return to a tier by themselves: it has no `failback = \"manual\"`")]
    Auto(Box<str>),
    /// Nothing was left.
    #[error("no tier of {0:?} waits to be released")]
    Nothing(Box<str>),
    /// What was left has too few live endpoints still.
    #[error("tier {tier} of {service} has still too few live endpoints: clients would leave it at once")]
    StillFailed {
        /// The service's owner name.
        service: Box<str>,
        /// The tier, 1 first.
        tier: u8,
    },
}

/// With what was left released.
pub(super) fn propose_release(world: &World, present: &Overrides, earlier: &[Move], release: &Release, now: Moment) -> Result<Proposal, Refusal> {
    let catalog = &world.catalog;
    let word = &release.service;
    let is_named = |service: &Service| glob(word, &service.label) || glob(word, &service.name.to_string());
    let named: Vec<(&Service, ServiceId)> = catalog.services.iter().zip((0..).map(ServiceId)).filter(|(service, _)| is_named(service)).collect();
    if named.is_empty() {
        let hint = Hints::default().did_you_mean(word, catalog.services.iter().map(|service| &*service.label));
        return Err(NoReturn::NoService { service: word.clone(), hint }.into());
    }
    if !named.iter().any(|(service, _)| is_manual(service)) {
        return Err(NoReturn::Auto(word.clone()).into());
    }
    let (mut after, mut released, mut failed) = (world.clone(), Vec::new(), None);
    for (service, id) in named.into_iter().filter(|(service, _)| is_manual(service)) {
        let Some(waiting) = waiting_of(service, id, world.statuses_of(service)) else { continue };
        let name: Box<str> = service.name.to_string().into();
        let told = |tiers: &[u8]| tiers.iter().map(|tier| tier + 1).collect::<Vec<u8>>();
        if waiting.ready.is_empty() {
            failed = failed.or_else(|| waiting.failed.first().map(|tier| NoReturn::StillFailed { service: name, tier: tier + 1 }));
            continue;
        }
        for tier in &waiting.ready {
            set(service, *tier, &mut after.statuses.of[range(service)], false);
        }
        released.push(Released { service: name, tiers: told(&waiting.ready), stay: told(&waiting.failed) });
    }
    if released.is_empty() {
        return Err(failed.unwrap_or_else(|| NoReturn::Nothing(word.clone())).into());
    }
    let moved = moved(world, &after);
    let forced = pace(&catalog.safety, moved.clients, earlier, now);
    if let Some(first) = forced.first().filter(|_| release.force.is_none()) {
        return Err(Refusal::Unsafe(first.clone()));
    }
    let mut next = present.clone();
    if moved.clients > Permille(0) {
        remember(&mut next.moves, Move { at: now, share: moved.clients });
    }
    Ok(Proposal { next, made: None, endpoints: 0, gone: Vec::new(), released, moved, forced })
}
