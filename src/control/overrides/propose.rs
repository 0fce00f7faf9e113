//! From what an operator wishes to the overrides that would be in force, or to why not. Pure: changes nothing.

use super::release::propose_release;
use super::safety::{earlier, unsafe_of};
use super::{Action, Move, Moved, NoReturn, Override, Overrides, Release, Released, Selector, Unsafe, Words, moved, rank, remember};
use crate::catalog::EndpointId;
use crate::health::{Intent, Status};
use crate::limits::{OVERRIDE_LIFE_MS_MAX, OVERRIDE_LIFE_MS_MIN, OVERRIDES_MAX, SAFETY_SPAN_MS_MAX};
use crate::units::{Moment, Permille};
use crate::world::{Deed, World};

/// What an operator wishes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// An override; one of the same selector is replaced.
    Set(Set),
    /// Some overrides to be gone.
    Clear(Clear),
    /// Clients to return to tiers that they left.
    Release(Release),
}

/// An override that is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Set {
    /// The endpoints that it is about.
    pub selector: Selector,
    /// What is to be done with them.
    pub action: Action,
    /// Why.
    pub why: Words,
    /// Who wishes it.
    pub who: Words,
    /// Milliseconds until it ends by itself.
    pub life_ms: u64,
    /// Why safety rules do not count this time, if they do not.
    pub force: Option<Words>,
}

/// Overrides that are to be gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clear {
    /// Which.
    pub which: Which,
    /// Why.
    pub why: Words,
    /// Who wishes it.
    pub who: Words,
}

/// Which overrides are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// The one of this number.
    Id(u64),
    /// Those of this selector, and those that are about endpoints that it selects and about no others.
    Selector(Selector),
}

/// The overrides that would be in force, and what that means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// All of them.
    pub next: Overrides,
    /// The new one, if one is set.
    pub made: Option<Override>,
    /// How many endpoints it is about.
    pub endpoints: usize,
    /// Those that are gone.
    pub gone: Vec<Override>,
    /// Services whose tiers are released.
    pub released: Vec<Released>,
    /// Who moves, in the end.
    pub moved: Moved,
    /// Safety rules that it goes past, since it is forced.
    pub forced: Vec<Unsafe>,
}

/// Why a wish is not granted. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It would live too short or too long.
    #[error("an override lives from 1 minute to 72 hours: what is to last belongs into the zones' files")]
    Life,
    /// It would end before it has drained anything.
    #[error("the drain would take as long as the override lives, or longer: nothing would ever be drained")]
    Over,
    /// It matches nothing.
    #[error("{selector:?} matches no endpoint: {why}")]
    MatchesNothing {
        /// The selector.
        selector: String,
        /// Which word of it does not, and what was probably meant.
        why: String,
    },
    /// There are too many.
    #[error("there are {OVERRIDES_MAX} overrides already: clear some, or select more with one")]
    TooMany,
    /// There is none of this number.
    #[error("there is no override {0}")]
    NoSuch(u64),
    /// There is none of this selector.
    #[error("no override is about {selector:?} alone{}", if .others.is_empty() { String::new() } else { format!("; clear by number what is about these and other endpoints: {}", words(.others)) })]
    NoneOf {
        /// The selector.
        selector: String,
        /// Overrides about some of these endpoints and others.
        others: Vec<u64>,
    },
    /// Nothing can be released.
    #[error(transparent)]
    NoReturn(#[from] NoReturn),
    /// It would break a safety rule.
    #[error("{0}; to do it all the same, force it with a reason")]
    Unsafe(#[from] Unsafe),
}

/// Numbers, for people.
fn words(numbers: &[u64]) -> String {
    numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// Tells which overrides would be in force if a wish were granted. `present` are those in force, as of this world; `others` is when drills and reloads moved
/// clients, since rules count those, too.
///
/// # Errors
/// [`Refusal`]; nothing changes in any case.
pub fn propose(world: &World, present: &Overrides, others: &[Move], wish: &Wish, now: Moment) -> Result<Proposal, Refusal> {
    let mut present = present.in_force(now);
    present.moves.retain(|moved| now.millis_since(moved.at) <= u64::from(SAFETY_SPAN_MS_MAX));
    let earlier = earlier(&present.moves, others, now);
    match wish {
        Wish::Set(set) => propose_set(world, &present, &earlier, set, now),
        Wish::Clear(clear) => propose_clear(world, &present, clear),
        Wish::Release(release) => propose_release(world, &present, &earlier, release, now),
    }
}

/// With one more.
fn propose_set(world: &World, present: &Overrides, earlier: &[Move], set: &Set, now: Moment) -> Result<Proposal, Refusal> {
    if !(OVERRIDE_LIFE_MS_MIN..=OVERRIDE_LIFE_MS_MAX).contains(&set.life_ms) {
        return Err(Refusal::Life);
    }
    if matches!(set.action, Action::Drain { over_ms } if over_ms >= set.life_ms) {
        return Err(Refusal::Over);
    }
    let catalog = &world.catalog;
    let endpoints = set.selector.endpoints(catalog).len();
    if endpoints == 0 {
        return Err(Refusal::MatchesNothing { selector: set.selector.to_string(), why: set.selector.why_nothing(catalog) });
    }
    let mut next = present.clone();
    let gone: Vec<Override> = next.all.extract_if(.., |one| one.selector == set.selector).collect();
    if next.all.len() >= OVERRIDES_MAX {
        return Err(Refusal::TooMany);
    }
    next.last += 1;
    let made = Override {
        id: next.last,
        selector: set.selector.clone(),
        action: set.action,
        why: set.why.clone(),
        who: set.who.clone(),
        made: now,
        expires: now.plus_millis(set.life_ms),
    };
    next.all.push(made.clone());
    let (before, after) = (in_the_end(world, present), in_the_end(world, &next));
    let moved = moved(&before, &after);
    let mut forced = Vec::new();
    if before.statuses.of.iter().zip(&after.statuses.of).any(|(was, is)| restricts(is) < restricts(was)) {
        forced = unsafe_of(&before, &after, &moved, earlier, now);
        if moved.clients > Permille(0) {
            remember(&mut next.moves, Move { at: now, share: moved.clients });
        }
    }
    match forced.first() {
        Some(first) if set.force.is_none() => Err(Refusal::Unsafe(first.clone())),
        _ => Ok(Proposal { next, made: Some(made), endpoints, gone, released: Vec::new(), moved, forced }),
    }
}

/// With fewer.
fn propose_clear(world: &World, present: &Overrides, clear: &Clear) -> Result<Proposal, Refusal> {
    let mut next = present.clone();
    let gone: Vec<Override> = match &clear.which {
        Which::Id(id) => next.all.extract_if(.., |one| one.id == *id).collect(),
        Which::Selector(selector) => {
            let selected = selector.endpoints(&world.catalog);
            let is_within = |endpoints: &[EndpointId]| !endpoints.is_empty() && endpoints.iter().all(|id| selected.binary_search(id).is_ok());
            next.all.extract_if(.., |one| one.selector == *selector || is_within(&one.selector.endpoints(&world.catalog))).collect()
        }
    };
    if gone.is_empty() {
        return Err(match &clear.which {
            Which::Id(id) => Refusal::NoSuch(*id),
            Which::Selector(selector) => {
                let selected = selector.endpoints(&world.catalog);
                let overlaps = |one: &&Override| one.selector.endpoints(&world.catalog).iter().any(|id| selected.binary_search(id).is_ok());
                Refusal::NoneOf { selector: selector.to_string(), others: present.all.iter().filter(overlaps).map(|one| one.id).collect() }
            }
        });
    }
    let moved = moved(&in_the_end(world, present), &in_the_end(world, &next));
    Ok(Proposal { next, made: None, endpoints: 0, gone, released: Vec::new(), moved, forced: Vec::new() })
}

/// The world as these overrides make it when every gradual drain is over. What a drill takes, or will take, is drained.
pub(in crate::control) fn in_the_end(world: &World, overrides: &Overrides) -> World {
    let mut world = world.clone();
    for status in &mut world.statuses.of {
        (status.intent, status.share) = (Intent::None, Permille::WHOLE);
    }
    // The most restrictive comes last and stays.
    let mut ordered: Vec<&Override> = overrides.all.iter().collect();
    ordered.sort_by_key(|one| std::cmp::Reverse(rank(one.action.last_deed())));
    for one in ordered {
        let (intent, share) = match one.action.last_deed() {
            Deed::In => (Intent::In, Permille::WHOLE),
            Deed::Held(share) | Deed::Draining(share) => (Intent::None, share),
            Deed::Drained => (Intent::Drain, Permille::WHOLE),
            Deed::Out => (Intent::Out, Permille::WHOLE),
        };
        for id in one.selector.endpoints(&world.catalog) {
            let status = &mut world.statuses.of[id.index()];
            (status.intent, status.share) = (intent, share);
        }
    }
    let drill = world.drill.clone();
    for id in drill.iter().flat_map(|drill| &drill.endpoints) {
        let status = &mut world.statuses.of[id.index()];
        if status.intent != Intent::Out {
            (status.intent, status.share) = (Intent::Drain, Permille::WHOLE);
        }
    }
    world
}

/// How much of its clients an override leaves an endpoint; less is more restrictive.
const fn restricts(status: &Status) -> u16 {
    match status.intent {
        Intent::Out => 0,
        Intent::Drain => 1,
        Intent::None | Intent::In => 2 + status.share.0,
    }
}
