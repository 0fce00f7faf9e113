//! Networks, residency rules and declared latencies.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;

use super::clients::{Clients, check_country, is_subdivision};
use super::regions::Regions;
use crate::catalog::{ClientSet, LatencyRow, Network, RegionId, RegionSet, Residency, Selector, UnknownClient};
use crate::config::diagnostic::{Code, Finding, Findings};
use crate::config::source::Place;
use crate::config::spec::{LatencySpec, NetworkSpec, ResidencySpec};
use crate::limits::RESIDENCIES_MAX;
use crate::units::Micros;

/// Links the networks, by name.
pub(super) fn networks(specs: BTreeMap<Box<str>, NetworkSpec>, _clients: &Clients, findings: &Findings) -> Box<[Network]> {
    let mut taken: BTreeMap<IpNet, Place> = BTreeMap::new();
    let link = |(name, spec): (Box<str>, NetworkSpec)| {
        for prefix in &spec.prefixes {
            if let Some(first) = taken.insert(prefix.value, prefix.place) {
                let finding = Finding::at(Code::Duplicate, prefix.place, format!("the prefix {} is declared twice", prefix.value));
                findings.add(finding.label("again here").related(first, "first here"));
            }
        }
        let country = spec.country.filter(|code| check_country(code, findings)).map(|code| code.value);
        let subdivision = spec.subdivision.filter(|code| {
            let right = is_subdivision(&code.value) && country.as_ref().is_none_or(|country| code.value.starts_with(&**country));
            if !right {
                let message = format!("\"{}\" is no subdivision of the network's country", code.value);
                findings.add(Finding::at(Code::UnknownCountry, code.place, message).label("an ISO 3166-2 code such as \"US-CA\""));
            }
            right
        });
        let subdivision = subdivision.map(|code| code.value);
        let country = country.or_else(|| subdivision.as_ref().and_then(|code| code.split('-').next()).map(Into::into));
        let mut prefixes: Vec<IpNet> = spec.prefixes.into_iter().map(|prefix| prefix.value).collect();
        prefixes.sort_unstable();
        prefixes.dedup();
        Network { name, prefixes: prefixes.into(), country, subdivision, at: spec.at }
    };
    specs.into_iter().map(link).collect()
}

/// Links the residency rules, by name. One that is wrong binds everybody to nothing here, and the load has an error.
pub(super) fn residencies(specs: &BTreeMap<Box<str>, ResidencySpec>, clients: &mut Clients, regions: &Regions, findings: &Findings) -> Vec<Residency> {
    let mut link = |name: &str, spec: &ResidencySpec| Residency {
        name: name.into(),
        clients: clients.set(&spec.clients, findings).unwrap_or(ClientSet::UNKNOWN),
        regions: regions.select(&spec.regions, clients, findings).unwrap_or(RegionSet::ALL),
        unknown: if spec.applies_to_unknown { UnknownClient::Apply } else { UnknownClient::Exempt },
    };
    specs.iter().take(RESIDENCIES_MAX).map(|(name, spec)| link(name, spec)).collect()
}

/// Links the declared latencies: one row for each selector, the most specific first.
pub(super) fn latencies(specs: &[LatencySpec], clients: &Clients, regions: &Regions, findings: &Findings) -> Box<[LatencyRow]> {
    let mut rows: BTreeMap<Selector, BTreeMap<RegionId, (Micros, Place)>> = BTreeMap::new();
    let mut wrong: BTreeSet<&str> = BTreeSet::new();
    let mut specs: Vec<&LatencySpec> = specs.iter().collect();
    specs.sort_by_key(|spec| spec.region.place);
    for spec in specs {
        if wrong.contains(spec.clients.value.as_ref()) {
            continue;
        }
        let Some(selector) = clients.selector(&spec.clients, findings) else {
            wrong.insert(&spec.clients.value);
            continue;
        };
        let message = format!("latency of \"{}\" names an unknown region", spec.clients.value);
        let Some(region) = regions.named(&spec.region, &message, findings) else { continue };
        if let Some((_, first)) = rows.entry(selector).or_default().insert(region, (spec.rtt, spec.region.place)) {
            let message = format!("the latency from \"{}\" to \"{}\" is declared twice", spec.clients.value, spec.region.value);
            findings.add(Finding::at(Code::Duplicate, spec.region.place, message).label("again here").related(first, "first here"));
        }
    }
    let row = |(selector, regions): (Selector, BTreeMap<RegionId, (Micros, Place)>)| LatencyRow {
        countries: clients.countries_of(&selector).into_iter().collect(),
        clients: selector,
        regions: regions.into_iter().map(|(region, (rtt, _))| (region, rtt)).collect(),
    };
    let mut rows: Vec<LatencyRow> = rows.into_iter().map(row).collect();
    rows.sort_by_key(rank);
    rows.into()
}

/// How specific a row is, the most specific first: network, autonomous system, subdivision, country, union, continent, unknown, any.
/// Among unions the smaller comes first.
fn rank(row: &LatencyRow) -> (u8, usize) {
    match &row.clients {
        Selector::Network(_) => (0, 0),
        Selector::Asn(_) => (1, 0),
        Selector::Subdivision(_) => (2, 0),
        Selector::Jurisdiction(_) => (3, row.countries.len()),
        Selector::Continent(_) => (4, 0),
        Selector::Unknown => (5, 0),
        Selector::Any => (6, 0),
    }
}
