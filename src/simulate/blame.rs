//! What came of everything that went down: who was given it, until when, and where its clients went.

use std::collections::{BTreeMap, BTreeSet};

use super::account::{NOBODY, Names, ppm};
use super::report::{Failure, Flow};
use crate::units::Moment;

/// An endpoint that clients are given while it is down and another could be given.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wrong {
    /// The endpoint, by its number in [`Names`].
    pub endpoint: u32,
    /// The share of the service's clients.
    pub share: u64,
    /// The longest TTL of such an answer, in milliseconds.
    pub ttl_ms: u64,
}

/// Everything that went down.
#[derive(Debug, Default)]
pub(super) struct Blame {
    /// In the order in which it did.
    cases: Vec<Case>,
}

/// One of them.
#[derive(Debug)]
struct Case {
    /// When.
    at: Moment,
    /// What of it is known by now.
    failure: Failure,
    /// Its endpoints.
    endpoints: BTreeSet<u32>,
    /// The service, from and to which endpoint: which share of the clients.
    flows: BTreeMap<(u32, u32, u32), u64>,
    /// Whether it is still down, for all that was said.
    is_open: bool,
}

impl Blame {
    /// Endpoints went down.
    pub(super) fn open(&mut self, at: Moment, at_ms: u64, what: String, endpoints: BTreeSet<u32>) {
        self.close_of(&endpoints);
        let failure = Failure { at_ms, what, ..Failure::default() };
        self.cases.push(Case { at, failure, endpoints, flows: BTreeMap::new(), is_open: true });
    }

    /// Endpoints are otherwise than they were: what is told of them ends.
    pub(super) fn close_of(&mut self, endpoints: &BTreeSet<u32>) {
        for case in &mut self.cases {
            case.is_open &= case.endpoints.is_disjoint(endpoints);
        }
    }

    /// A probe of an endpoint failed.
    pub(super) fn detect(&mut self, endpoint: u32, now: Moment) {
        for case in self.cases.iter_mut().filter(|case| case.is_open && case.endpoints.contains(&endpoint)) {
            case.failure.detected_ms.get_or_insert(now.millis_since(case.at));
        }
    }

    /// Whether it is of interest which endpoints a world says are down.
    pub(super) fn is_waiting(&self) -> bool {
        self.cases.iter().any(|case| case.is_open && case.failure.published_ms.is_none())
    }

    /// A world says that these endpoints are down, of those that are measured.
    pub(super) fn publish(&mut self, measured: &BTreeSet<u32>, down: &BTreeSet<u32>, now: Moment) {
        for case in self.cases.iter_mut().filter(|case| case.is_open && case.failure.published_ms.is_none()) {
            let mut own = case.endpoints.iter().filter(|id| measured.contains(id)).peekable();
            if own.peek().is_some() && own.all(|id| down.contains(id)) {
                case.failure.published_ms = Some(now.millis_since(case.at));
            }
        }
    }

    /// Until now a service's clients were given this.
    pub(super) fn charge(&mut self, wrong: &[Wrong], until: Moment) {
        for case in self.cases.iter_mut().filter(|case| case.is_open) {
            let own = || wrong.iter().filter(|wrong| case.endpoints.contains(&wrong.endpoint));
            let Some(ttl_ms) = own().map(|wrong| wrong.ttl_ms).max() else { continue };
            let (last, share) = (until.millis_since(case.at), own().map(|wrong| wrong.share).sum());
            case.failure.last_wrong_ms = case.failure.last_wrong_ms.max(Some(last));
            case.failure.tail_ms = case.failure.tail_ms.max(Some(last + ttl_ms));
            case.failure.wrong_ppm = case.failure.wrong_ppm.max(ppm(share));
        }
    }

    /// What is given from now on: whether a failure goes on being answered.
    pub(super) fn is_given(&mut self, wrong: &BTreeSet<u32>) {
        for case in self.cases.iter_mut().filter(|case| case.is_open) {
            case.failure.unfinished = !case.endpoints.is_disjoint(wrong);
        }
    }

    /// Clients of a service moved from one endpoint to another.
    pub(super) fn moved(&mut self, service: u32, from: u32, to: u32, share: u64) {
        for case in self.cases.iter_mut().filter(|case| case.is_open && case.endpoints.contains(&from)) {
            *case.flows.entry((service, from, to)).or_default() += share;
        }
    }

    /// All that is known, in the order in which it happened.
    pub(super) fn finish(self, names: &Names) -> Vec<Failure> {
        let finish = |case: Case| {
            let mut regions: BTreeMap<(u32, &str, &str), u64> = BTreeMap::new();
            for ((service, from, to), share) in &case.flows {
                *regions.entry((*service, names.region(*from), names.region(*to))).or_default() += share;
            }
            let flow = |((service, from, to), share): ((u32, &str, &str), u64)| Flow {
                service: names.service(service).into(),
                from: from.into(),
                to: to.into(),
                ppm: ppm(share),
            };
            let mut flows: Vec<Flow> = regions.into_iter().map(flow).collect();
            flows.retain(|flow| flow.ppm > 0);
            flows.sort_by(|one, other| (&one.service, std::cmp::Reverse(one.ppm), &one.to).cmp(&(&other.service, std::cmp::Reverse(other.ppm), &other.to)));
            Failure { flows, ..case.failure }
        };
        self.cases.into_iter().map(finish).collect()
    }
}

/// The moves of one group of clients between what it was given and what it is given, by endpoint, in shares of the group: what an endpoint lost went to
/// those that won, in proportion to what they won.
pub(super) fn moves(before: &[(u32, u64)], after: &[(u32, u64)]) -> Vec<(u32, u32, u64)> {
    let mut change: BTreeMap<u32, i128> = BTreeMap::new();
    for (shares, sign) in [(before, -1), (after, 1)] {
        for (id, share) in shares {
            *change.entry(*id).or_default() += sign * i128::from(*share);
        }
    }
    if before.is_empty() != after.is_empty() {
        let whole = |shares: &[(u32, u64)]| shares.iter().map(|(_, share)| i128::from(*share)).sum::<i128>();
        change.insert(NOBODY, whole(before) - whole(after));
    }
    let won: i128 = change.values().filter(|change| **change > 0).sum();
    let mut moves = Vec::new();
    for (from, lost) in change.iter().filter(|(_, change)| **change < 0) {
        for (to, gained) in change.iter().filter(|(_, change)| **change > 0) {
            let share = u64::try_from(-lost * gained / won.max(1)).unwrap_or(0);
            if share > 0 {
                moves.push((*from, *to, share));
            }
        }
    }
    moves
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_lost_others_won_in_proportion() {
        assert_eq!(moves(&[(1, 100)], &[(1, 100)]), []);
        assert_eq!(moves(&[(1, 100)], &[(2, 75), (3, 25)]), [(1, 2, 75), (1, 3, 25)]);
        assert_eq!(moves(&[(1, 60), (2, 40)], &[(1, 50), (2, 50)]), [(1, 2, 10)]);
        assert_eq!(moves(&[(1, 100)], &[]), [(1, NOBODY, 100)]);
        assert_eq!(moves(&[], &[(1, 100)]), [(NOBODY, 1, 100)]);
    }
}
