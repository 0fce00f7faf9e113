//! The client mix.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::geo::{Code, Geo};
use crate::steer::{ALL_CLIENTS, Client};

/// Who asks: groups of clients and their shares.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mix {
    /// The groups, the largest first.
    groups: Box<[Group]>,
}

/// Clients at one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Group {
    /// One of them, who stands for all.
    pub client: Client,
    /// Their country, if any is known.
    pub country: Option<Code>,
    /// Their share, in parts of [`ALL_CLIENTS`].
    pub share: u64,
}

impl Mix {
    /// As many clients at each place as there are addresses.
    #[must_use]
    pub fn of_addresses(geo: &Geo) -> Self {
        Self::weighed(geo, |_, addresses| addresses)
    }

    /// Countries with these weights, their clients spread as their addresses are. A country that the geography does not know has no clients;
    /// where it knows none of them, nobody has.
    #[must_use]
    pub fn of_countries(geo: &Geo, weights: &[(Code, u64)]) -> Self {
        let mut addresses: HashMap<Code, u64> = HashMap::new();
        for crowd in geo.crowds() {
            if let Some(country) = crowd.country {
                *addresses.entry(country).or_default() += crowd.addresses;
            }
        }
        let weight: HashMap<Code, u64> = weights.iter().copied().collect();
        Self::weighed(geo, |country, own| {
            let Some((weight, all)) = country.and_then(|country| Some((weight.get(&country)?, addresses.get(&country)?))) else { return 0 };
            // Weights are whatever unit the operator counts in; a million times finer, small crowds keep their part.
            u64::try_from(u128::from(*weight) * 1_000_000 * u128::from(own) / u128::from(*all)).unwrap_or(u64::MAX)
        })
    }

    /// Groups by a weight for each crowd.
    fn weighed(geo: &Geo, weight: impl Fn(Option<Code>, u64) -> u64) -> Self {
        let weighed: Vec<_> = geo.crowds().iter().map(|crowd| (crowd, weight(crowd.country, crowd.addresses))).collect();
        let total: u128 = weighed.iter().map(|(_, weight)| u128::from(*weight)).sum();
        let share = |weight: u64| u64::try_from(u128::from(weight) * u128::from(ALL_CLIENTS) / total.max(1)).unwrap_or(ALL_CLIENTS);
        let groups = weighed.into_iter().map(|(crowd, weight)| Group {
            client: Client::at(IpAddr::V4(crowd.at), 32, geo),
            country: crowd.country,
            share: share(weight),
        });
        Self { groups: groups.filter(|group| group.share > 0).collect() }
    }

    /// The groups.
    #[must_use]
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }
}
