//! What services have in common: those of one profile are decided alike wherever their endpoints are in the same condition.
//!
//! An operator writes a thousand services after a handful of patterns: the same regions, prices and rules, other names and addresses.
//! Deciding reads only the former. So what was decided for one service holds for the others, the endpoints counted from the service's first.

use std::collections::HashMap;

use super::{By, Families, GeoRule, Lineup, Load, ResidencyId, Service, ServiceId, WhenAllDown, WhenNoneLeft};
use crate::units::Micros;

/// Which services are decided alike.
#[derive(Clone, Debug, Default)]
pub struct Profiles {
    /// The profile of each service, numbered in the order of their first services.
    of: Box<[u32]>,
    /// How many services each profile has.
    sizes: Box<[u32]>,
}

/// All that deciding reads of a service, except whose it is. Whatever else it comes to read belongs here, too.
#[derive(PartialEq, Eq, Hash)]
struct Profile<'a> {
    /// Facts about the endpoints.
    lineup: &'a Lineup,
    /// Residency rules.
    residency: &'a [ResidencyId],
    /// Preferences by place.
    geo: &'a [GeoRule],
    /// Families, tiers, `min-live`, `max-rtt`.
    bounds: (Families, u8, u8, Option<Micros>),
    /// How the best are chosen, `spread`, `answers`.
    choice: (By, Micros, u8),
    /// What is answered when all are down; a last resort by its place among the endpoints.
    all_down: (WhenAllDown, u32),
    /// What is answered when none is left.
    none_left: WhenNoneLeft,
    /// Penalty for degraded health, and what load costs.
    terms: (Micros, Load),
}

impl<'a> Profile<'a> {
    /// Of a service.
    fn of(service: &'a Service) -> Self {
        let all_down = match service.when_all_down {
            WhenAllDown::LastResort(endpoint) => (WhenAllDown::AsIfUp, 1 + endpoint.0 - service.endpoints.start),
            other => (other, 0),
        };
        Self {
            lineup: &service.lineup,
            residency: &service.residency,
            geo: &service.geo,
            bounds: (service.families, service.tiers, service.min_live, service.max_rtt),
            choice: (service.by, service.spread, service.answers),
            all_down,
            none_left: service.when_none_left,
            terms: (service.degraded_penalty, service.load),
        }
    }
}

impl Profiles {
    /// Whether two services have one profile. Of two catalogs that means something only where [`Catalog::has_frame_of`](super::Catalog::has_frame_of) holds.
    #[must_use]
    pub fn are_one(service: &Service, other: &Service) -> bool {
        Profile::of(service) == Profile::of(other)
    }

    /// Finds them.
    #[must_use]
    pub fn of(services: &[Service]) -> Self {
        let mut known: HashMap<Profile<'_>, u32> = HashMap::new();
        let mut sizes: Vec<u32> = Vec::new();
        let of = services.iter().map(|service| {
            let next = u32::try_from(sizes.len()).unwrap_or(u32::MAX);
            let profile = *known.entry(Profile::of(service)).or_insert(next);
            if profile == next {
                sizes.push(0);
            }
            sizes[profile as usize] += 1;
            profile
        });
        Self { of: of.collect(), sizes: sizes.into() }
    }

    /// The profile of the service of this index: a number of this catalog.
    #[must_use]
    pub fn of_service(&self, service: ServiceId) -> Option<u32> {
        self.of.get(service.index()).copied()
    }

    /// The profile of the service of this index, if any other service has it.
    #[must_use]
    pub fn shared(&self, service: ServiceId) -> Option<u32> {
        self.of_service(service).filter(|profile| self.sizes[*profile as usize] > 1)
    }
}
