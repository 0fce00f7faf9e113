//! Which kinds of clients residency rules tell apart, and what each may get.

use super::clients::Clients;
use crate::catalog::known;
use crate::catalog::{Network, RegionSet, Residency, ResidencyId, Selector, UnknownClient};

/// A kind of client: which rules bind it, a bit for each ([`crate::limits::RESIDENCIES_MAX`] is 64), and one of the kind for messages.
#[derive(Clone, Debug)]
struct Class {
    /// The rules that bind it.
    rules: u64,
    /// One client of the kind: `clients from DE`.
    example: String,
}

/// The kinds of clients that the catalog's residency rules tell apart.
#[derive(Clone, Debug)]
pub(super) struct Classes {
    /// One of each kind.
    classes: Vec<Class>,
    /// The regions that each rule allows.
    allowed: Vec<RegionSet>,
}

impl Classes {
    /// The kinds that these rules tell apart: every country, the unknown place, and every subdivision, network and autonomous system that
    /// a rule names, in every country where it may be.
    pub(super) fn of(residencies: &[Residency], clients: &Clients, networks: &[Network]) -> Self {
        let binds = |test: &dyn Fn(&Residency) -> bool| {
            residencies.iter().enumerate().filter(|(_, rule)| test(rule)).fold(0_u64, |bits, (index, _)| bits | 1 << index.min(63))
        };
        let has = |rule: &Residency, selector: &Selector| clients.get(rule.clients).selectors.contains(selector);
        let in_country =
            |code: &str| binds(&|rule| has(rule, &Selector::Any) || clients.get(rule.clients).countries.iter().any(|country| country.as_ref() == code));
        let of_unknown = binds(&|rule| rule.unknown == UnknownClient::Apply || has(rule, &Selector::Any) || has(rule, &Selector::Unknown));
        let mut all = vec![Class { rules: of_unknown, example: "clients whose jurisdiction is unknown".into() }];
        let countries: Vec<(&str, u64)> = known::countries().iter().map(|country| (country.code, in_country(country.code))).collect();
        all.extend(countries.iter().map(|(code, rules)| Class { rules: *rules, example: format!("clients from {code}") }));

        let mut special: Vec<&Selector> = residencies.iter().flat_map(|rule| clients.get(rule.clients).selectors.iter()).collect();
        special.retain(|selector| matches!(selector, Selector::Subdivision(_) | Selector::Network(_) | Selector::Asn(_)));
        special.sort();
        special.dedup();
        for selector in special {
            let own = binds(&|rule| has(rule, selector));
            let (name, country) = match selector {
                Selector::Subdivision(code) => (code.to_string(), code.split('-').next()),
                Selector::Network(name) => {
                    let network = networks.iter().find(|network| network.name == *name);
                    (format!("the network {name}"), network.and_then(|network| network.country.as_deref()))
                }
                Selector::Asn(number) => (format!("AS{number}"), None),
                _ => continue,
            };
            if country.is_none() {
                all.push(Class { rules: of_unknown | own, example: format!("clients from {name} whose jurisdiction is unknown") });
            }
            let fitting = countries.iter().filter(|(code, _)| country.is_none_or(|country| country == *code));
            all.extend(fitting.map(|(code, rules)| Class { rules: rules | own, example: format!("clients from {name} in {code}") }));
        }
        // One of each kind is enough: the first, which is the same whatever the order of files.
        let mut classes: Vec<Class> = Vec::new();
        for class in all {
            if !classes.iter().any(|known| known.rules == class.rules) {
                classes.push(class);
            }
        }
        Self { classes, allowed: residencies.iter().map(|rule| rule.regions).collect() }
    }

    /// What clients of each kind may get under these rules: an example of the kind, the rules that bind it, the regions left.
    pub(super) fn under<'a>(&'a self, residency: &'a [ResidencyId]) -> impl Iterator<Item = (&'a str, Vec<ResidencyId>, RegionSet)> {
        self.classes.iter().map(move |class| {
            let binding: Vec<ResidencyId> = residency.iter().copied().filter(|rule| class.rules >> rule.0.min(63) & 1 == 1).collect();
            let mut regions = RegionSet::ALL;
            for rule in &binding {
                regions.intersect(&self.allowed[rule.index()]);
            }
            (class.example.as_str(), binding, regions)
        })
    }
}
