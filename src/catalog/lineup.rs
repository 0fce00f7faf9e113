//! A service's endpoints as steering reads them: one row each, side by side, and every fact that never changes as a bit for each.
//!
//! Derived from the endpoints when the catalog is compiled, so that a decision touches two cache lines a service instead of one an
//! endpoint, and asks "which of them" with one `and`.

use super::{AddressType, Endpoint, GeoRule, RegionId, Residency, ResidencyId};
use crate::limits::{ENDPOINTS_PER_SERVICE_MAX, SCORE_TERM_MAX, TIERS_MAX};

/// Bits of a service's endpoints, the first endpoint the lowest bit.
pub type Bits = u64;

const _: () = assert!(ENDPOINTS_PER_SERVICE_MAX <= Bits::BITS as usize);

/// What steering reads of a service's endpoints.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Lineup {
    /// One for each endpoint, in the catalog's order.
    pub rows: Box<[Row]>,
    /// Those that may be answered at all as far as labels go: they meet `require` and are no mere last resort.
    pub able: Bits,
    /// Those that lack what the service requires.
    pub lacking: Bits,
    /// Those that are only the last resort.
    pub resort: Bits,
    /// Those that have what the service prefers.
    pub preferred: Bits,
    /// Those with a weight above zero.
    pub weighty: Bits,
    /// Those with IPv4 addresses, or that should have them by an alias.
    pub v4: Bits,
    /// Those with IPv6 addresses, or that should have them by an alias.
    pub v6: Bits,
    /// Those of each tier.
    pub tiers: [Bits; TIERS_MAX],
    /// Those that each residency rule of the service allows, in the order of [`super::Service::residency`].
    pub lawful: Box<[Bits]>,
    /// Those that each geo rule of the service prefers, in the order of [`super::Service::geo`].
    pub near: Box<[Bits]>,
}

/// One endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Row {
    /// Price and bias in microseconds, within ± [`SCORE_TERM_MAX`].
    pub cost: i64,
    /// Its weight.
    pub weight: u32,
    /// Its region.
    pub region: RegionId,
    /// Its tier.
    pub tier: u8,
    /// Its place in the service's order.
    pub order: u8,
}

impl Lineup {
    /// Derives it. The endpoints are at most [`ENDPOINTS_PER_SERVICE_MAX`]; what is beyond is left out.
    #[must_use]
    pub fn of(endpoints: &[Endpoint], rules: &[ResidencyId], residencies: &[Residency], geo: &[GeoRule]) -> Self {
        let endpoints = &endpoints[..endpoints.len().min(ENDPOINTS_PER_SERVICE_MAX)];
        let those = |is: &dyn Fn(&Endpoint) -> bool| {
            endpoints.iter().enumerate().filter(|(_, endpoint)| is(endpoint)).fold(0, |bits: Bits, (index, _)| bits | 1 << index)
        };
        let mut tiers = [0; TIERS_MAX];
        for (tier, bits) in (0..).zip(&mut tiers) {
            *bits = those(&|endpoint| endpoint.tier == tier);
        }
        Self {
            rows: endpoints.iter().map(Row::of).collect(),
            able: those(&|endpoint| endpoint.meets_require && !endpoint.last_resort),
            lacking: those(&|endpoint| !endpoint.meets_require),
            resort: those(&|endpoint| endpoint.last_resort),
            preferred: those(&|endpoint| endpoint.preferred),
            weighty: those(&|endpoint| endpoint.weight > 0),
            v4: those(&|endpoint| endpoint.declares(AddressType::A)),
            v6: those(&|endpoint| endpoint.declares(AddressType::Aaaa)),
            tiers,
            lawful: rules.iter().map(|id| those(&|endpoint| residencies[id.index()].regions.has(endpoint.region))).collect(),
            near: geo.iter().map(|rule| those(&|endpoint| rule.regions.has(endpoint.region))).collect(),
        }
    }

    /// All of them.
    #[must_use]
    pub const fn all(&self) -> Bits {
        match self.rows.len() {
            0 => 0,
            count => Bits::MAX >> (Bits::BITS as usize - count),
        }
    }
}

impl Row {
    /// Derives it.
    fn of(endpoint: &Endpoint) -> Self {
        let cost = endpoint.price.micros.plus(endpoint.bias).0.clamp(-SCORE_TERM_MAX, SCORE_TERM_MAX);
        Self { cost, weight: endpoint.weight, region: endpoint.region, tier: endpoint.tier, order: endpoint.order }
    }
}
