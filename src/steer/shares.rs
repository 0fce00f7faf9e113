//! What share of a locality's clients each candidate of a decision gets, without drawing them.

use super::decision::{Candidate, Decision, Verdict};
use crate::catalog::EndpointId;
use crate::limits::THINNED_GROUP_MAX;
use crate::units::{Permille, part};
use crate::world::World;

/// All clients, in the unit of [`Decision::shares`]: a share is an integer of 2⁻³².
pub const ALL_CLIENTS: u64 = 1 << 32;

impl Decision {
    /// The share of the clients whose first endpoint is each candidate, in parts of [`ALL_CLIENTS`]; by candidates, in their order. Clients are
    /// taken as spread evenly over prefixes. The sum is all of them, but for rounding; nothing where nothing is served.
    ///
    /// Where more than [`THINNED_GROUP_MAX`] candidates that share turn clients away, those are taken to be turned to the next group at once.
    #[must_use]
    pub fn shares(&self, world: &World) -> Vec<(EndpointId, u64)> {
        self.shares_if(|endpoint| if self.thinned { world.status(endpoint).keeps() } else { Permille::WHOLE })
    }

    /// The same if each endpoint kept these shares of the clients that would have it. Clients are turned only to who is in the decision: it has to be one
    /// that was made where the leading endpoints turn clients away.
    #[must_use]
    pub fn shares_if(&self, keeps: impl Fn(EndpointId) -> Permille) -> Vec<(EndpointId, u64)> {
        let candidates = &self.candidates[..usize::from(self.count)];
        let mut shares: Vec<(EndpointId, u64)> = candidates.iter().map(|candidate| (candidate.endpoint, 0)).collect();
        if self.verdict != Verdict::Serve || candidates.is_empty() {
            return shares;
        }
        let leading = usize::from(self.sharing.max(1)).min(candidates.len());
        let mut left = ALL_CLIENTS;
        let mut from = 0;
        while from < candidates.len() && left > 0 {
            let group = if from == 0 { leading } else { 1 + candidates[from + 1..].iter().take_while(|candidate| candidate.with_previous).count() };
            left = share_out(&candidates[from..from + group], &mut shares[from..from + group], left, |candidate| keeps(candidate.endpoint));
            from += group;
        }
        // Whom nobody keeps has the very first of its order.
        let total: u64 = candidates[..leading].iter().map(|candidate| u64::from(candidate.weight.max(1))).sum();
        for (candidate, (_, share)) in candidates[..leading].iter().zip(&mut shares) {
            *share += part(left, u64::from(candidate.weight.max(1)), total);
        }
        shares
    }
}

/// Shares out the clients that come to a group by weighted lots without replacement: each goes to one of those that have not turned it away yet.
/// Returns how many all of them turned away.
///
/// The state is the set of those that turned a client away, so the work is exponential in the number of candidates that turn clients away.
fn share_out(group: &[Candidate], shares: &mut [(EndpointId, u64)], arriving: u64, keeps: impl Fn(&Candidate) -> Permille) -> u64 {
    let kept: Vec<u64> = group.iter().map(|candidate| u64::from(keeps(candidate).0)).collect();
    let weight = |index: usize| u64::from(group[index].weight.max(1));
    let total: u64 = (0..group.len()).map(weight).sum();
    let thin: Vec<usize> = (0..group.len()).filter(|index| kept[*index] < 1000).collect();
    if thin.len() > THINNED_GROUP_MAX {
        let mut left = arriving;
        for (index, (_, share)) in shares.iter_mut().enumerate() {
            let takes = part(part(arriving, weight(index), total), kept[index], 1000);
            *share += takes;
            left -= takes.min(left);
        }
        return left;
    }
    // By the set of those that turned them away, a bit for each of `thin`. Sets only grow, so each is complete when its turn comes.
    let mut waiting = vec![0_u64; 1 << thin.len()];
    waiting[0] = arriving;
    let mut left = 0;
    for asked in 0..waiting.len() {
        let here = waiting[asked];
        if here == 0 {
            continue;
        }
        let has_asked = |index: usize| thin.iter().position(|other| *other == index).is_some_and(|bit| asked >> bit & 1 == 1);
        let weights: u64 = (0..group.len()).filter(|index| !has_asked(*index)).map(weight).sum();
        if weights == 0 {
            left += here;
            continue;
        }
        for index in (0..group.len()).filter(|index| !has_asked(*index)) {
            let comes = part(here, weight(index), weights);
            let takes = part(comes, kept[index], 1000);
            shares[index].1 += takes;
            if let Some(bit) = thin.iter().position(|other| *other == index) {
                waiting[asked | 1 << bit] += comes - takes;
            }
        }
    }
    left
}
