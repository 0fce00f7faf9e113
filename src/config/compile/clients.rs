//! Selectors of clients, jurisdictions, and sets of clients known by one number each.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::too_many;
use crate::catalog::known::{self, country};
use crate::catalog::{ClientSet, ClientSetId, Selector};
use crate::config::diagnostic::{Code, Finding, Findings};
use crate::config::source::{At, Place};
use crate::config::spec::{JurisdictionSpec, Specs};
use crate::limits::CLIENT_SETS_MAX;

/// The continents.
const CONTINENTS: [&str; 7] = ["AF", "AN", "AS", "EU", "NA", "OC", "SA"];

/// Countries of a union or of anything, sorted.
pub(super) type Countries = BTreeSet<Box<str>>;

/// Jurisdictions, and the sets of clients met so far.
pub(super) struct Clients {
    /// Unions of countries, built in and declared.
    unions: BTreeMap<Box<str>, Countries>,
    /// Names of networks.
    networks: BTreeSet<Box<str>>,
    /// Sets in the order in which they were met, the first is [`ClientSet::UNKNOWN`].
    sets: Vec<ClientSet>,
    /// Their numbers.
    numbers: HashMap<ClientSet, usize>,
    /// Where the first set beyond the limit was met.
    overflow: Option<Place>,
}

impl Clients {
    /// With the built-in unions and those declared.
    pub(super) fn new(specs: &Specs, findings: &Findings) -> Self {
        let mut unions: BTreeMap<Box<str>, Countries> = BTreeMap::new();
        for country in known::countries() {
            for union in &country.unions {
                unions.entry((*union).into()).or_default().insert(country.code.into());
            }
        }
        let declared: Vec<_> = specs.jurisdictions.iter().filter_map(|(name, spec)| Some((name.clone(), declared(name, spec, &unions, findings)?))).collect();
        unions.extend(declared);
        let unknown = ClientSet { selectors: [Selector::Unknown].into(), countries: Box::default() };
        let numbers = HashMap::from([(unknown.clone(), 0)]);
        Self { unions, networks: specs.networks.keys().cloned().collect(), sets: vec![unknown], numbers, overflow: None }
    }

    /// The set that these selectors name; `None` when one of them is wrong, which is reported.
    pub(super) fn set(&mut self, selectors: &[At<Box<str>>], findings: &Findings) -> Option<ClientSetId> {
        let read: Option<BTreeSet<Selector>> = selectors.iter().map(|text| self.selector(text, findings)).collect();
        let read = read.filter(|read| !read.is_empty())?;
        let countries: Countries = read.iter().flat_map(|selector| self.countries_of(selector)).collect();
        let set = ClientSet { selectors: read.into_iter().collect(), countries: countries.into_iter().collect() };
        let number = *self.numbers.entry(set.clone()).or_insert_with(|| {
            self.sets.push(set);
            self.sets.len() - 1
        });
        let id = u8::try_from(number).ok().map(ClientSetId);
        if id.is_none() {
            self.overflow = self.overflow.or(selectors.first().map(|text| text.place));
        }
        id
    }

    /// The set of this number, as long as [`Clients::finish`] has not renumbered them.
    pub(super) fn get(&self, id: ClientSetId) -> &ClientSet {
        &self.sets[id.index()]
    }

    /// The sets in canonical order, and for each number given so far its number in that order.
    pub(super) fn finish(&mut self, findings: &Findings) -> (Box<[ClientSet]>, Vec<u8>) {
        too_many(findings, self.overflow, "sets of clients", self.sets.len(), CLIENT_SETS_MAX);
        let mut sets = std::mem::take(&mut self.sets);
        let met = sets.clone();
        sets.sort();
        let number = |set: &ClientSet| sets.binary_search(set).ok().and_then(|number| u8::try_from(number).ok()).unwrap_or(0);
        let numbers = met.iter().map(number).collect();
        (sets.into(), numbers)
    }

    /// The countries that a selector covers by what is built in and declared.
    pub(super) fn countries_of(&self, selector: &Selector) -> Countries {
        match selector {
            Selector::Jurisdiction(name) => self.unions.get(name).cloned().unwrap_or_else(|| Countries::from([name.clone()])),
            Selector::Continent(continent) => {
                known::countries().iter().filter(|country| country.continent == continent.as_ref()).map(|country| country.code.into()).collect()
            }
            _ => Countries::new(),
        }
    }

    /// The unions that a country belongs to.
    pub(super) fn unions_of<'a>(&'a self, country: &'a str) -> impl Iterator<Item = &'a str> {
        self.unions.iter().filter(move |(_, countries)| countries.contains(country)).map(|(name, _)| name.as_ref())
    }

    /// Whether a text names a country or a union.
    pub(super) fn is_jurisdiction(&self, text: &str) -> bool {
        self.unions.contains_key(text) || country(text).is_some()
    }

    /// The jurisdiction that was probably meant.
    pub(super) fn jurisdiction_hint(&self, text: &str, findings: &Findings) -> Option<String> {
        let upper = text.to_ascii_uppercase();
        let upper = if upper == "UK" { "GB".into() } else { upper };
        if upper != text && self.is_jurisdiction(&upper) {
            return Some(format!("did you mean \"{upper}\"?"));
        }
        findings.hints.did_you_mean(text, self.unions.keys().map(AsRef::as_ref).filter(|name| name.len() > 2))
    }

    /// Reads one selector, or reports why it is none.
    pub(super) fn selector(&self, text: &At<Box<str>>, findings: &Findings) -> Option<Selector> {
        let word = text.value.as_ref();
        let report = |code, message: String, label: &str, hint: Option<String>| {
            findings.add(Finding::at(code, text.place, message).label(label).maybe_help(hint));
            None
        };
        match word.split_once(':') {
            Some(("continent", continent)) if CONTINENTS.contains(&continent) => Some(Selector::Continent(continent.into())),
            Some(("continent", continent)) => report(Code::BadSelector, format!("\"{continent}\" is no continent"), "one of AF, AN, AS, EU, NA, OC, SA", None),
            Some(("asn", number)) => match number.parse::<u32>() {
                Ok(number) if number > 0 => Some(Selector::Asn(number)),
                _ => report(Code::BadSelector, format!("\"{number}\" is no number of an autonomous system"), "a number from 1", None),
            },
            Some(("network", name)) if self.networks.contains(name) => Some(Selector::Network(name.into())),
            Some(("network", name)) => {
                let hint = findings.hints.did_you_mean(name, self.networks.iter().map(AsRef::as_ref));
                report(Code::UnknownNetwork, format!("there is no network \"{name}\""), "no such network", hint)
            }
            Some((kind, _)) => {
                let hint = findings.hints.did_you_mean(kind, ["continent", "asn", "network"]);
                report(Code::BadSelector, format!("clients cannot be selected by \"{kind}\""), "continent:, asn: or network:", hint)
            }
            None if word == "*" => Some(Selector::Any),
            None if word == "unknown" => Some(Selector::Unknown),
            None if self.is_jurisdiction(word) => Some(Selector::Jurisdiction(word.into())),
            None if is_subdivision(word) => Some(Selector::Subdivision(word.into())),
            None => {
                let hint = self.jurisdiction_hint(word, findings);
                let label = "no country (ISO 3166-1), subdivision, or union of countries";
                report(Code::UnknownJurisdiction, format!("there is no jurisdiction \"{word}\""), label, hint)
            }
        }
    }
}

/// The countries of a declared union.
fn declared(name: &str, spec: &JurisdictionSpec, unions: &BTreeMap<Box<str>, Countries>, findings: &Findings) -> Option<Countries> {
    if unions.contains_key(name) || country(name).is_some() {
        findings.add(Finding::at(Code::Duplicate, spec.place, format!("jurisdiction \"{name}\" is built in")).label("give it another name"));
        return None;
    }
    let form = name.len() > 2 && name.bytes().all(|octet| octet.is_ascii_uppercase() || octet.is_ascii_digit() || octet == b'-');
    if !form {
        let finding = Finding::at(Code::BadName, spec.place, format!("jurisdiction \"{name}\" has an impossible name"));
        findings.add(finding.label("three or more capital letters, digits and hyphens"));
        return None;
    }
    let mut countries = Countries::new();
    for code in &spec.countries {
        if let Some(union) = unions.get(&code.value) {
            countries.extend(union.iter().cloned());
        } else if check_country(code, findings) {
            countries.insert(code.value.clone());
        }
    }
    Some(countries)
}

/// Whether this is a country; reports when not.
pub(super) fn check_country(code: &At<Box<str>>, findings: &Findings) -> bool {
    if country(&code.value).is_some() {
        return true;
    }
    let upper = code.value.to_ascii_uppercase();
    let upper = if upper == "UK" { "GB".into() } else { upper };
    let hint = country(&upper).map(|known| format!("did you mean \"{}\" ({})?", known.code, known.name));
    let by_name = || known::countries().iter().find(|known| known.name.eq_ignore_ascii_case(&code.value));
    let hint = hint.or_else(|| by_name().map(|known| format!("write \"{}\"", known.code)));
    let message = format!("\"{}\" is no country", code.value);
    findings.add(Finding::at(Code::UnknownCountry, code.place, message).label("no ISO 3166-1 alpha-2 code").maybe_help(hint));
    false
}

/// Whether a text has the form of an ISO 3166-2 code of a country that exists.
pub(super) fn is_subdivision(text: &str) -> bool {
    let Some((code, part)) = text.split_once('-') else { return false };
    country(code).is_some() && (1..=3).contains(&part.len()) && part.bytes().all(|octet| octet.is_ascii_uppercase() || octet.is_ascii_digit())
}
