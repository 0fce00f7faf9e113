//! Settles what one client gets of a decision: the client's prefix orders those that share, by weighted rendezvous.

use super::Client;
use super::decision::{Candidate, Chosen, Decision, Reason, Verdict};
use super::rendezvous::Draw;
use crate::catalog::{Bits, Catalog, EndpointId};
use crate::limits::ANSWERS_MAX;

impl Decision {
    /// What the client of this prefix gets.
    #[must_use]
    pub fn choose(&self, client: &Client, catalog: &Catalog) -> Chosen {
        settle(Terms::of(self), &self.candidates[..usize::from(self.count)], client, catalog)
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

/// Lets the client's prefix order those that share, and takes the first of distinct regions.
#[inline]
pub(super) fn settle(terms: Terms, candidates: &[Candidate], client: &Client, catalog: &Catalog) -> Chosen {
    let mut chosen = Chosen {
        verdict: terms.verdict,
        reason: terms.reason,
        moving: terms.moving,
        scope: if terms.by_place { client.place.leaf } else { 0 },
        count: 0,
        endpoints: [EndpointId(0); ANSWERS_MAX],
    };
    let sharing = usize::from(terms.sharing).min(candidates.len());
    if sharing > 1 {
        chosen.scope = chosen.scope.max(client.hashed_len());
        draw_lots(&mut chosen, terms, &candidates[..sharing], client, catalog);
    }
    let rest = if sharing > 1 { &candidates[sharing..] } else { candidates };
    for candidate in rest {
        if chosen.count >= terms.answers {
            break;
        }
        take(&mut chosen, candidate.endpoint, catalog);
    }
    chosen
}

/// Takes the winners of the rendezvous, the best draw first, until the answer is full.
fn draw_lots(chosen: &mut Chosen, terms: Terms, sharing: &[Candidate], client: &Client, catalog: &Catalog) {
    let prefix = client.prefix();
    let mut left: Bits = (1_u64 << (sharing.len() - 1) << 1).wrapping_sub(1);
    while left != 0 && chosen.count < terms.answers {
        let mut best: Option<(usize, Draw)> = None;
        let mut rest = left;
        while rest != 0 {
            let index = rest.trailing_zeros() as usize;
            rest &= rest - 1;
            let candidate = &sharing[index];
            let draw = Draw::new(prefix, catalog.endpoint(candidate.endpoint).seed, candidate.weight);
            if best.as_ref().is_none_or(|(_, leading)| draw.beats(leading)) {
                best = Some((index, draw));
            }
        }
        let Some((winner, _)) = best else { return };
        left &= !(1 << winner);
        take(chosen, sharing[winner].endpoint, catalog);
    }
}

/// Adds an endpoint to the answer unless its region is there.
#[inline]
fn take(chosen: &mut Chosen, endpoint: EndpointId, catalog: &Catalog) {
    let count = usize::from(chosen.count);
    if count > 0 {
        let region = catalog.endpoint(endpoint).region;
        if chosen.endpoints().iter().any(|other| catalog.endpoint(*other).region == region) {
            return;
        }
    }
    if let Some(place) = chosen.endpoints.get_mut(count) {
        *place = endpoint;
        chosen.count += 1;
    }
}
