//! Failback by hand: which tiers of a service were left, and wait for an operator to release them.
//!
//! ```text
//!            it is left, since it has too few live endpoints
//!   free ─────────────────────────────────────────────────────▶ latched
//!    ▲                                                             │
//!    └── an operator releases it, and it has enough again; or ─────┘
//!        no other tier has enough, and clients are sent there again
//! ```
//!
//! A tier is left for a service as a whole: where the clients are sent whom no rule binds, as [`crate::steer::standing`] tells. What residency or
//! distance leaves to some of them differs from client to client; deciding looks at that, with the latches of the whole. What an operator drains or
//! takes out is left by intention, and comes back as it was meant to. What was never measured has not been left.
//!
//! The latch is a fact of the endpoints' statuses ([`Status::latched`]), the same for all of a tier; what is remembered here is the tier in use.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use super::FailbackState;
use crate::catalog::{Catalog, EndpointId, Failback, Service, ServiceId};
use crate::health::{Health, Status};
use crate::steer::{Standing, standing};
use crate::units::Moment;
use crate::world::World;

/// Something happened to a tier of a service with manual failback.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TierChange {
    /// The service's owner name.
    pub service: Box<str>,
    /// The tier, 1 first.
    pub tier: u8,
    /// What.
    pub news: TierNews,
    /// When.
    pub at: Moment,
}

/// What happened to a tier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TierNews {
    /// It has too few live endpoints, and was left for another, 1 first: it is latched from now on.
    Left {
        /// The tier that clients are sent to.
        to: u8,
    },
    /// No other has enough: clients are sent to it again, although nobody released it.
    UsedAgain,
    /// An operator released it.
    Released {
        /// Who and why.
        why: Arc<str>,
    },
}

/// As in `api.gslb.example.com: tier 1 was left for tier 2, and waits from now on until it is released`.
impl fmt::Display for TierChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { service, tier, .. } = self;
        match &self.news {
            TierNews::Left { to } => write!(f, "{service}: tier {tier} was left for tier {to}, and waits from now on until it is released"),
            TierNews::UsedAgain => write!(f, "{service}: tier {tier} is used again, since no other has enough"),
            TierNews::Released { why } => write!(f, "{service}: tier {tier} was released ({why})"),
        }
    }
}

/// A service with tiers that were left and not released since.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// The service.
    pub service: ServiceId,
    /// The tiers that are latched and have enough live endpoints again, 0 first.
    pub ready: Vec<u8>,
    /// The tiers that are latched and have not, 0 first.
    pub failed: Vec<u8>,
    /// The tier that clients are sent to; `None` where everything is down.
    pub in_use: Option<u8>,
    /// Whether clients would be sent to another if all were released.
    pub holds: bool,
}

/// The services of a world that have latched tiers, in the catalog's order.
pub fn waiting(world: &World) -> impl Iterator<Item = Waiting> {
    let services = world.catalog.services.iter().zip((0..).map(ServiceId)).filter(|(service, _)| is_manual(service));
    services.filter_map(|(service, id)| waiting_of(service, id, world.statuses_of(service)))
}

/// The latched tiers of a service, if it has any.
pub(super) fn waiting_of(service: &Service, id: ServiceId, statuses: &[Status]) -> Option<Waiting> {
    let is_latched = |tier: &u8| members(service, *tier).any(|index| statuses[index].latched);
    let latched: Vec<u8> = (0..service.tiers).filter(is_latched).collect();
    if latched.is_empty() {
        return None;
    }
    let Some(standing) = standing(service, statuses) else {
        return Some(Waiting { service: id, ready: Vec::new(), failed: latched, in_use: None, holds: false });
    };
    let (failed, ready) = latched.into_iter().partition(|tier| standing.failed >> tier & 1 == 1);
    Some(Waiting { service: id, ready, failed, in_use: Some(standing.in_use), holds: standing.in_use != standing.preferred })
}

/// Whether clients of the service return to tiers only when an operator says so.
pub(super) const fn is_manual(service: &Service) -> bool {
    matches!(service.failback, Failback::Manual) && service.tiers > 1
}

/// The endpoints of a tier, by their places within the service.
pub(super) fn members(service: &Service, tier: u8) -> impl Iterator<Item = usize> {
    service.lineup.rows.iter().enumerate().filter(move |(_, row)| row.tier == tier).map(|(index, _)| index)
}

/// The range of a service's endpoints.
pub(super) fn range(service: &Service) -> std::ops::Range<usize> {
    service.endpoints.start as usize..service.endpoints.end as usize
}

/// What is remembered of the services with manual failback.
#[derive(Clone, Debug, Default)]
pub(super) struct Latches {
    /// Those services.
    services: Box<[ServiceId]>,
    /// The tier that each one's clients are sent to, once anything of it was measured.
    in_use: HashMap<ServiceId, u8>,
}

impl Latches {
    /// Of a catalog of which nothing was measured.
    pub(super) fn of(catalog: &Catalog) -> Self {
        let services = catalog.services.iter().zip((0..).map(ServiceId)).filter(|(service, _)| is_manual(service)).map(|(_, id)| id).collect();
        Self { services, in_use: HashMap::new() }
    }

    /// The services with manual failback.
    pub(super) fn services(&self) -> &[ServiceId] {
        &self.services
    }

    /// Latches what was left and lets go of what is in use again; tells of both, by tier. Which endpoints are known although they were not measured,
    /// `is_known` tells.
    pub(super) fn settle(&mut self, service: &Service, id: ServiceId, statuses: &mut [Status], is_known: impl Fn(usize) -> bool) -> Vec<(u8, TierNews)> {
        // Where everything is down nothing is chosen among tiers, and so nothing is left.
        let Some(Standing { in_use, failed, latched, .. }) = standing(service, statuses) else { return Vec::new() };
        let was = self.in_use.get(&id).copied();
        let mut news = Vec::new();
        for tier in 0..service.tiers {
            let is = |bits: u16| bits >> tier & 1 == 1;
            if tier == in_use && is(latched) {
                news.push((tier, TierNews::UsedAgain));
            } else if was.is_some_and(|was| was != in_use && (tier < in_use || tier == was)) && tier != in_use && is(failed) && !is(latched) {
                news.push((tier, TierNews::Left { to: in_use + 1 }));
            }
        }
        for (tier, what) in &news {
            set(service, *tier, statuses, matches!(what, TierNews::Left { .. }));
        }
        if was.is_some() || members(service, in_use).any(|index| statuses[index].health != Health::Unknown || is_known(index)) {
            self.in_use.insert(id, in_use);
        }
        news
    }

    /// What is worth keeping beyond the process.
    pub(super) fn state(&self, catalog: &Catalog, statuses: &[Status]) -> Vec<FailbackState> {
        let kept = self.services.iter().filter_map(|id| {
            let service = catalog.service(*id);
            let (latched, others): (Vec<_>, Vec<_>) = range(service).partition(|index| statuses[*index].latched);
            let names = |of: Vec<usize>| of.into_iter().map(|index| catalog.endpoints[index].name.clone()).collect();
            (!latched.is_empty()).then(|| FailbackState { service: service.name.to_string().into(), latched: names(latched), others: names(others) })
        });
        kept.collect()
    }

    /// Takes in what an earlier process knew. Returns the services with latched tiers.
    pub(super) fn restore(&self, catalog: &Catalog, kept: &[FailbackState], statuses: &mut [Status]) -> Vec<ServiceId> {
        let mut latched = Vec::new();
        let kept: HashMap<&str, &FailbackState> = kept.iter().map(|kept| (&*kept.service, kept)).collect();
        for id in &self.services {
            let service = catalog.service(*id);
            let Some(kept) = kept.get(&*service.name.to_string()) else { continue };
            let was = |index: usize| {
                let name = &catalog.endpoints[index].name;
                if kept.latched.contains(name) { Some(true) } else { kept.others.contains(name).then_some(false) }
            };
            carry(service, &mut statuses[range(service)], |index| was(service.endpoints.start as usize + index));
            if statuses[range(service)].iter().any(|status| status.latched) {
                latched.push(*id);
            }
        }
        latched
    }

    /// The same after a reload; `namesake` tells for each new endpoint the old one of its name. Tiers are known by their endpoints.
    pub(super) fn carried(
        self,
        (old, was): (&Catalog, &[Status]),
        (new, statuses): (&Catalog, &mut [Status]),
        namesake: impl Fn(EndpointId) -> Option<EndpointId>,
    ) -> Self {
        let mut latches = Self::of(new);
        // Whatever is not manual any more has nothing to wait for.
        for status in statuses.iter_mut() {
            status.latched = false;
        }
        for id in &latches.services {
            let service = new.service(*id);
            let earlier = |index: usize| namesake(EndpointId(service.endpoints.start + u32::try_from(index).ok()?));
            carry(service, &mut statuses[range(service)], |index| earlier(index).map(|earlier| was[earlier.index()].latched));
            let was_in_use = |index: &usize| {
                earlier(*index).is_some_and(|earlier| {
                    let endpoint = old.endpoint(earlier);
                    self.in_use.get(&endpoint.service) == Some(&endpoint.tier)
                })
            };
            if let Some(index) = (0..service.lineup.rows.len()).find(was_in_use) {
                latches.in_use.insert(*id, service.lineup.rows[index].tier);
            }
        }
        latches
    }
}

/// Latches the tiers all of whose endpoints that were there before were latched. `was` tells that of each, `None` of newcomers.
fn carry(service: &Service, statuses: &mut [Status], was: impl Fn(usize) -> Option<bool>) {
    for tier in 0..service.tiers {
        let before: Vec<bool> = members(service, tier).filter_map(&was).collect();
        set(service, tier, statuses, !before.is_empty() && before.iter().all(|latched| *latched));
    }
}

/// Latches a tier, or lets it go.
pub(super) fn set(service: &Service, tier: u8, statuses: &mut [Status], latched: bool) {
    for index in members(service, tier) {
        statuses[index].latched = latched;
    }
}
