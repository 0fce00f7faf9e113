//! Tiers: which of the ordered failover groups clients are sent to.
//!
//! A tier that was left and not released since is *latched* ([`Status::latched`]): it is passed over while another has enough, and is better
//! than one that has too few. So latching never leaves a client without an answer, and asks nothing of the law: it only orders what is eligible.

use super::eligible::live;
use crate::catalog::{Bits, Service};
use crate::health::Status;
use crate::limits::TIERS_MAX;

/// The tier that was chosen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chosen {
    /// Its number, 0 first.
    pub(super) tier: u8,
    /// Those of the field in it.
    pub(super) members: Bits,
    /// Those that clients may be turned to, of whatever tier: not the latched ones, unless one of theirs was chosen.
    pub(super) open: Bits,
    /// Whether another would be chosen if nothing was latched.
    pub(super) is_second: bool,
}

/// Chooses: the first tier with `min-live` endpoints in the field that are not latched, else the first with as many that are, else the first that
/// has any.
#[inline]
pub(super) fn choose(service: &Service, field: Bits, latched: Bits) -> Chosen {
    if field & latched == 0 {
        let (tier, members) = first(service, field, service.min_live).or_else(|| first(service, field, 1)).unwrap_or((0, field));
        return Chosen { tier, members, open: !latched, is_second: false };
    }
    choose_with_latches(service, field, latched)
}

/// The same where something is latched.
#[cold]
fn choose_with_latches(service: &Service, field: Bits, latched: Bits) -> Chosen {
    let freely = choose(service, field, 0);
    let open = field & !latched;
    let enough = first(service, open, service.min_live).map(|found| (found, !latched));
    let latched_enough = || first(service, field, service.min_live).map(|found| (found, Bits::MAX));
    let any = || first(service, open, 1).map(|found| (found, !latched));
    let ((tier, members), open) = enough.or_else(latched_enough).or_else(any).unwrap_or(((freely.tier, freely.members), Bits::MAX));
    Chosen { tier, members, open, is_second: tier != freely.tier }
}

/// The first tier with so many of the field, and those.
#[inline]
fn first(service: &Service, field: Bits, least: u8) -> Option<(u8, Bits)> {
    let mut tiers = (0_u8..service.tiers).zip(&service.lineup.tiers).map(|(tier, members)| (tier, field & members));
    tiers.find(|(_, members)| members.count_ones() >= u32::from(least.max(1)))
}

/// How the tiers of a service stand for its clients as a whole: those whom no rule binds and to whom nothing is far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The tier that they are sent to.
    pub in_use: u8,
    /// The tier that they would be sent to if nothing was latched.
    pub preferred: u8,
    /// The tiers that have too few live endpoints, whatever operators intend with them: a bit each, tier 0 the lowest.
    pub failed: u16,
    /// The tiers that are latched, likewise.
    pub latched: u16,
}

const _: () = assert!(TIERS_MAX <= u16::BITS as usize);

/// How the tiers of a service stand with these statuses of its endpoints. `None` where everything is down: then nothing is chosen among tiers.
#[must_use]
pub fn standing(service: &Service, statuses: &[Status]) -> Option<Standing> {
    let (live, field) = live(service, statuses);
    if field == 0 {
        return None;
    }
    let latched = statuses.iter().enumerate().filter(|(_, status)| status.latched).fold(0, |bits: Bits, (index, _)| bits | 1 << index);
    let those = |is: &dyn Fn(Bits) -> bool| {
        let tiers = service.lineup.tiers.iter().take(usize::from(service.tiers)).enumerate();
        tiers.filter(|(_, members)| **members != 0 && is(**members)).fold(0, |bits: u16, (tier, _)| bits | 1 << tier)
    };
    Some(Standing {
        in_use: choose(service, field, latched).tier,
        preferred: choose(service, field, 0).tier,
        failed: those(&|members| (members & live).count_ones() < u32::from(service.min_live.max(1))),
        latched: those(&|members| members & latched != 0),
    })
}
