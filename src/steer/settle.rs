//! Settles what one client gets of a decision: the client's prefix orders those that share, by weighted rendezvous, and tells who turns it
//! to the next.

use super::Client;
use super::decision::{Candidate, Chosen, Decision, Reason, Verdict};
use super::rendezvous::{Draw, keeps};
use crate::catalog::{Bits, EndpointId};
use crate::limits::ANSWERS_MAX;
use crate::world::World;

impl Decision {
    /// What the client of this prefix gets, in the world that was decided in.
    #[must_use]
    pub fn choose(&self, client: &Client, world: &World) -> Chosen {
        let candidates = &self.candidates[..usize::from(self.count)];
        if self.thinned { settle_thinned(Terms::of(self), candidates, client, world) } else { settle(Terms::of(self), candidates, client, world) }
    }
}

/// What [`settle`] needs of a decision beside its candidates; a cell keeps the same.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    /// As [`Decision::verdict`].
    pub(super) verdict: Verdict,
    /// As [`Decision::reason`].
    pub(super) reason: Reason,
    /// As [`Decision::moving`].
    pub(super) moving: bool,
    /// As [`Decision::by_place`].
    pub(super) by_place: bool,
    /// As [`Decision::sharing`].
    pub(super) sharing: u8,
    /// As [`Decision::answers`].
    pub(super) answers: u8,
}

impl Terms {
    /// Those of a decision.
    pub(super) const fn of(decision: &Decision) -> Self {
        Self {
            verdict: decision.verdict,
            reason: decision.reason,
            moving: decision.moving,
            by_place: decision.by_place,
            sharing: decision.sharing,
            answers: decision.answers,
        }
    }
}

impl Terms {
    /// An answer by these terms that has no endpoint yet.
    #[inline]
    fn begin(self, client: &Client) -> Chosen {
        Chosen {
            verdict: self.verdict,
            reason: self.reason,
            moving: self.moving,
            scope: if self.by_place { client.place.leaf } else { 0 },
            count: 0,
            endpoints: [EndpointId(0); ANSWERS_MAX],
        }
    }
}

/// Lets the client's prefix order those that share, and takes the first of distinct regions.
#[inline]
pub(super) fn settle(terms: Terms, candidates: &[Candidate], client: &Client, world: &World) -> Chosen {
    let mut chosen = terms.begin(client);
    let sharing = usize::from(terms.sharing).min(candidates.len());
    if sharing > 1 {
        chosen.scope = chosen.scope.max(client.hashed_len());
        draw_lots(&candidates[..sharing], client, world, |winner| {
            take(&mut chosen, winner, world);
            chosen.count < terms.answers
        });
    }
    let rest = if sharing > 1 { &candidates[sharing..] } else { candidates };
    for candidate in rest {
        if chosen.count >= terms.answers {
            break;
        }
        take(&mut chosen, candidate.endpoint, world);
    }
    chosen
}

/// The same where candidates turn clients away: the first that keeps this one, in the order that is the client's. If nobody does, the very first
/// has it all the same: no share is a reason for an empty answer.
#[inline(never)]
pub(super) fn settle_thinned(terms: Terms, candidates: &[Candidate], client: &Client, world: &World) -> Chosen {
    let mut chosen = terms.begin(client);
    chosen.scope = chosen.scope.max(client.hashed_len());
    let mut first = None;
    let mut rest = candidates;
    while !rest.is_empty() && chosen.count < terms.answers {
        let sharing = 1 + rest[1..].iter().take_while(|candidate| candidate.with_previous).count();
        let (group, others) = rest.split_at(sharing);
        rest = others;
        draw_lots(group, client, world, |winner| {
            first = first.or(Some(winner));
            if keeps(client.prefix(), world.catalog.endpoint(winner).seed, world.status(winner).keeps()) {
                take(&mut chosen, winner, world);
            }
            chosen.count < terms.answers
        });
    }
    if let (0, Some(first)) = (chosen.count, first) {
        take(&mut chosen, first, world);
    }
    chosen
}

/// Tells the winners of the rendezvous, the best draw first, for as long as more are wanted.
#[inline]
fn draw_lots(sharing: &[Candidate], client: &Client, world: &World, mut is_wanted: impl FnMut(EndpointId) -> bool) {
    let prefix = client.prefix();
    let mut left: Bits = (1_u64 << (sharing.len() - 1) << 1).wrapping_sub(1);
    while left != 0 {
        let mut best: Option<(usize, Draw)> = None;
        let mut rest = left;
        while rest != 0 {
            let index = rest.trailing_zeros() as usize;
            rest &= rest - 1;
            let candidate = &sharing[index];
            let draw = Draw::new(prefix, world.catalog.endpoint(candidate.endpoint).seed, candidate.weight);
            if best.as_ref().is_none_or(|(_, leading)| draw.beats(leading)) {
                best = Some((index, draw));
            }
        }
        let Some((winner, _)) = best else { return };
        left &= !(1 << winner);
        if !is_wanted(sharing[winner].endpoint) {
            return;
        }
    }
}

/// Adds an endpoint to the answer unless its region is there.
#[inline]
fn take(chosen: &mut Chosen, endpoint: EndpointId, world: &World) {
    let count = usize::from(chosen.count);
    if count > 0 {
        let region = world.catalog.endpoint(endpoint).region;
        if chosen.endpoints().iter().any(|other| world.catalog.endpoint(*other).region == region) {
            return;
        }
    }
    if let Some(place) = chosen.endpoints.get_mut(count) {
        *place = endpoint;
        chosen.count += 1;
    }
}
