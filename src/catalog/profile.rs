//! What services have in common: those of one profile are decided alike wherever their endpoints are in the same condition.
//!
//! An operator writes a thousand services after a handful of patterns: the same regions, prices and rules, other names and addresses.
//! Deciding reads only the former. So what was decided for one service holds for the others, the endpoints counted from the service's first.

use std::collections::HashMap;

use super::{
    By, Catalog, ClientSet, ClientSetId, Families, GeoRule, Lineup, Load, RegionId, ResidencyId, Row, Service, ServiceId, UnknownClient, WhenAllDown,
    WhenNoneLeft,
};
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

/// Whether services of two catalogs read the same to whoever decides and fits loads, by names and not by numbers. Where clients are and what regions are is not looked at.
#[must_use]
pub fn read_alike((old, service): (&Catalog, &Service), (new, other): (&Catalog, &Service)) -> bool {
    type Clients<'a> = (&'a ClientSet, Option<(&'a str, UnknownClient)>);
    fn clients<'a>(catalog: &'a Catalog, service: &'a Service) -> impl Iterator<Item = Clients<'a>> {
        let set = |id: ClientSetId| &catalog.client_sets[id.index()];
        let rules = service.residency.iter().map(|id| &catalog.residencies[id.index()]);
        let bound = rules.map(move |rule| (set(rule.clients), Some((&*rule.name, rule.unknown))));
        bound.chain(service.geo.iter().map(move |rule| (set(rule.clients), None)))
    }
    fn rows<'a>(catalog: &'a Catalog, service: &'a Service) -> impl Iterator<Item = (&'a str, Row, Option<u64>)> {
        let rows = service.lineup.rows.iter().zip(catalog.endpoints_of(service));
        rows.map(|(row, (_, endpoint))| (&*catalog.region(row.region).name, Row { region: RegionId(0), ..*row }, endpoint.capacity))
    }
    let of_numbers = |service: &Service| (service.peak, service.residency.len(), service.geo.len());
    let (one, two) = (Profile::of(service), Profile::of(other));
    // Which regions a rule allows or prefers stands in the endpoints' bits.
    let unnumbered = |lineup: &Lineup| Lineup { rows: Box::default(), ..lineup.clone() };
    let rest = |profile: &Profile<'_>| (profile.bounds, profile.choice, profile.all_down, profile.none_left, profile.terms);
    rest(&one) == rest(&two)
        && of_numbers(service) == of_numbers(other)
        && rows(old, service).eq(rows(new, other))
        && clients(old, service).eq(clients(new, other))
        && unnumbered(one.lineup) == unnumbered(two.lineup)
}

impl Profiles {
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
