//! The client mix.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use ipnet::IpNet;

use crate::catalog::EndpointId;
use crate::geo::{Code, Geo};
use crate::limits::{V4_HASHED_MAX, V6_HASHED_MAX};
use crate::steer::{ALL_CLIENTS, Client, Decision, Verdict};
use crate::world::World;

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
    /// Whether they draw one lot, so that all of them get the same: who sits behind a resolver that sends no client subnet, or in one subnet as
    /// resolvers send it. Others are spread over prefixes that draw one each.
    pub is_one: bool,
}

/// Who is said to ask, wherever that is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Clients {
    /// As many clients at each place as there are addresses.
    #[default]
    Addresses,
    /// Countries and weights, as [`Mix::of_countries`] takes them.
    Countries(Box<[(Code, u64)]>),
    /// A recording, as [`Mix::of_prefixes`] takes it.
    Recorded(Box<[Recorded]>),
}

/// A prefix that asked, and how much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// The client subnet, or the resolver's address; without bits behind its length, and IPv4 as such rather than mapped into IPv6.
    pub prefix: IpNet,
    /// How much, in whatever unit all are counted in.
    pub weight: u64,
}

impl Group {
    /// What the group gets of the decision for `client`, which is its own in this world: endpoints and shares of the group, in parts of [`ALL_CLIENTS`].
    /// Empty where nothing is served.
    #[must_use]
    pub fn given(&self, decision: &Decision, client: &Client, world: &World) -> Vec<(EndpointId, u64)> {
        if decision.verdict != Verdict::Serve {
            return Vec::new();
        }
        if !self.is_one {
            return decision.shares(world);
        }
        decision.choose(client, world).endpoints().first().map(|first| (*first, ALL_CLIENTS)).into_iter().collect()
    }
}

impl Mix {
    /// Whoever is said to ask.
    #[must_use]
    pub fn of(geo: &Geo, clients: &Clients) -> Self {
        match clients {
            Clients::Addresses => Self::of_addresses(geo),
            Clients::Countries(weights) => Self::of_countries(geo, weights),
            Clients::Recorded(recorded) => Self::of_prefixes(geo, recorded),
        }
    }

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

    /// A recording: each prefix is decided for as the client subnet that it is, and what was recorded of it twice is added up. One as long as what lots are
    /// drawn by (/24, /56), or longer, gets one answer and moves as a whole; a shorter one holds many that do, and is spread.
    #[must_use]
    pub fn of_prefixes(geo: &Geo, recorded: &[Recorded]) -> Self {
        let mut weights: BTreeMap<IpNet, u128> = BTreeMap::new();
        for Recorded { prefix, weight } in recorded {
            *weights.entry(*prefix).or_default() += u128::from(*weight);
        }
        let total: u128 = weights.values().sum();
        let mut weighed: Vec<(IpNet, u128)> = weights.into_iter().collect();
        weighed.sort_by_key(|(_, weight)| Reverse(*weight));
        let groups = weighed.into_iter().map(|(prefix, weight)| {
            let client = Client::at(prefix.addr(), prefix.prefix_len(), geo);
            let hashed = if prefix.addr().is_ipv4() { V4_HASHED_MAX } else { V6_HASHED_MAX };
            Group {
                client,
                country: geo.locality(client.place.locality).country,
                share: u64::try_from(weight * u128::from(ALL_CLIENTS) / total.max(1)).unwrap_or(ALL_CLIENTS),
                is_one: prefix.prefix_len() >= hashed,
            }
        });
        Self { groups: groups.filter(|group| group.share > 0).collect() }
    }

    /// The same clients in another world, whose geography may place them elsewhere.
    #[must_use]
    pub fn in_world(&self, world: &World) -> Self {
        Self { groups: self.groups.iter().map(|group| Group { client: group.client.in_world(world), ..*group }).collect() }
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
            is_one: false,
        });
        Self { groups: groups.filter(|group| group.share > 0).collect() }
    }

    /// The groups.
    #[must_use]
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }
}
