//! Everything that is known of one address, for people.

use std::net::IpAddr;

use ipnet::IpNet;

use super::facts::Facts;
use super::record::Code;
use super::{Geo, LocalityId, Source};
use crate::catalog::{Catalog, Network, Selector, known};
use crate::units::Coordinates;

/// Everything that is known of an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lookup {
    /// The leaf around it: every address within is in the same locality.
    pub leaf: IpNet,
    /// Number of its locality in this geography.
    pub locality: LocalityId,
    /// The locality's name.
    pub label: Box<str>,
    /// Who says so: the name of the database, `network:` and the operator's network, or nobody.
    pub source: Option<Box<str>>,
    /// The country.
    pub country: Option<Code>,
    /// The subdivision (ISO 3166-2).
    pub subdivision: Option<Box<str>>,
    /// The subdivision's English name.
    pub subdivision_name: Option<Box<str>>,
    /// The continent.
    pub continent: Option<Code>,
    /// The autonomous system.
    pub asn: Option<u32>,
    /// Where it is: the prefix's coordinates, or else the centre of its country's population.
    pub at: Option<Coordinates>,
    /// Whether `at` is of the country as a whole.
    pub at_is_of_country: bool,
    /// Jurisdictions over it, sorted: its country and the unions of that. Empty: unknown.
    pub jurisdictions: Vec<Box<str>>,
}

/// Looks an address up in the databases and networks that a geography was compiled from.
#[must_use]
pub fn lookup(catalog: &Catalog, sources: &[Source], geo: &Geo, address: IpAddr) -> Lookup {
    let address = address.to_canonical();
    let located = geo.locate(address, u8::MAX);
    let leaf = IpNet::new(address, located.leaf).map_or_else(|_| address.into(), |net| net.trunc());
    let mut facts = super::facts::of_address(sources, address);
    if let Some(network) = network_around(catalog, address) {
        facts = facts.inside(network);
    }
    let told = facts.at.is_some();
    let facts = facts.completed();
    let network = facts.network.filter(|network| network.country.is_some() || network.subdivision.is_some() || network.at.is_some());
    Lookup {
        leaf,
        locality: located.locality,
        label: geo.locality(located.locality).label.clone(),
        source: match (network, facts.source) {
            (Some(network), _) => Some(format!("network:{}", network.name).into()),
            (None, Some(source)) => Some(sources[source].name.clone()),
            (None, None) => None,
        },
        country: facts.country,
        subdivision: facts.subdivision.map(Into::into),
        subdivision_name: facts.subdivision_name.map(Into::into),
        continent: facts.continent,
        asn: facts.asn,
        at: facts.at,
        at_is_of_country: facts.at.is_some() && !told,
        jurisdictions: jurisdictions(catalog, &facts),
    }
}

/// The operator's network with the longest prefix around an address; of equal ones the first.
fn network_around(catalog: &Catalog, address: IpAddr) -> Option<&Network> {
    let prefixes = catalog.networks.iter().rev().flat_map(|network| network.prefixes.iter().map(move |prefix| (super::steps::unmapped(prefix), network)));
    prefixes.filter(|(prefix, _)| prefix.contains(&address)).max_by_key(|(prefix, _)| prefix.prefix_len()).map(|(_, network)| network)
}

/// The jurisdictions over a client: its country, the unions that are built in, and those that the catalog's rules name by themselves.
fn jurisdictions(catalog: &Catalog, facts: &Facts<'_>) -> Vec<Box<str>> {
    let Some(code) = facts.country else { return Vec::new() };
    let built_in = known::country(code.as_str()).map(|country| country.unions.iter().copied()).into_iter().flatten();
    let declared = catalog.client_sets.iter().filter_map(|set| match &*set.selectors {
        [Selector::Jurisdiction(name)] if facts.are_covered(&set.countries) => Some(&**name),
        _ => None,
    });
    let mut names: Vec<Box<str>> = std::iter::once(code.as_str()).chain(built_in).chain(declared).map(Into::into).collect();
    names.sort();
    names.dedup();
    names
}
