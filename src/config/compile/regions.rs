//! Regions: those declared and those of known clouds that endpoints stand in.

use std::collections::{BTreeMap, BTreeSet};

use super::clients::{Clients, check_country};
use super::too_many;
use crate::catalog::known::{CloudRegion, cloud_region, cloud_regions};
use crate::catalog::{Region, RegionId, RegionSet, glob};
use crate::config::diagnostic::{Code, Finding, Findings};
use crate::config::source::{At, Place};
use crate::config::spec::{EndpointSpec, PriceSpec, RegionSpec, Specs};
use crate::limits::REGIONS_MAX;
use crate::units::Coordinates;

/// The regions of the catalog, by name.
pub(super) struct Regions {
    /// By name.
    pub(super) all: Vec<Region>,
    /// What each costs.
    pub(super) prices: Vec<PriceSpec>,
    /// Where each is declared, if it is.
    places: Vec<Option<Place>>,
    /// Which have an endpoint.
    used: RegionSet,
    /// Declared or met, but not right, so that what refers to them is not reported again.
    broken: BTreeSet<Box<str>>,
}

impl Regions {
    /// Links declarations with what is known of clouds. Endpoints in regions that nobody knows are reported later, one by one.
    pub(super) fn link(specs: &Specs, clients: &Clients, findings: &Findings) -> Self {
        let endpoints = specs.zones.iter().flat_map(|zone| &zone.services).flat_map(|service| &service.endpoints);
        let met: BTreeSet<&str> = endpoints.map(region_name).collect();
        let mut names: BTreeSet<&str> = specs.regions.keys().map(AsRef::as_ref).collect();
        names.extend(met.iter().filter(|name| cloud_region(name).is_some()));
        too_many(findings, None, "regions", names.len(), REGIONS_MAX);
        let mut regions = Self { all: Vec::new(), prices: Vec::new(), places: Vec::new(), used: RegionSet::NONE, broken: BTreeSet::new() };
        for name in names.into_iter().take(REGIONS_MAX) {
            let (spec, known) = (specs.regions.get(name), cloud_region(name));
            match region(name, spec, known, clients, findings) {
                Some((region, price)) => {
                    regions.all.push(region);
                    regions.prices.push(price);
                    regions.places.push(spec.map(|spec| spec.place));
                }
                None => drop(regions.broken.insert(name.into())),
            }
        }
        regions
    }

    /// The region of this name.
    pub(super) fn find(&self, name: &str) -> Option<RegionId> {
        let index = self.all.binary_search_by(|region| region.name.as_ref().cmp(name)).ok()?;
        u16::try_from(index).ok().map(RegionId)
    }

    /// The region of an endpoint; reports when nobody knows it.
    pub(super) fn of_endpoint(&mut self, service: &str, spec: &EndpointSpec, findings: &Findings) -> Option<RegionId> {
        let name = region_name(spec);
        let place = spec.region.as_ref().map_or(spec.place, |region| region.place);
        let found = self.find(name);
        match found {
            Some(region) => self.used.insert(region),
            None => self.report_unknown(place, name, &format!("service \"{service}\" has an endpoint in an unknown region"), findings),
        }
        found
    }

    /// A region that a rule or table names; reports when the catalog has none of that name.
    pub(super) fn named(&self, name: &At<Box<str>>, message: &str, findings: &Findings) -> Option<RegionId> {
        let found = self.find(&name.value);
        if found.is_none() {
            self.report_unknown(name.place, &name.value, message, findings);
        }
        found
    }

    /// Reports an unknown region with what was probably meant.
    fn report_unknown(&self, place: Place, name: &str, message: &str, findings: &Findings) {
        if self.broken.contains(name) {
            return;
        }
        let mut finding = Finding::at(Code::UnknownRegion, place, message.to_owned()).label("no such region");
        let declared = self.all.iter().zip(&self.places).map(|(region, place)| (region.name.as_ref(), place));
        let candidates: BTreeMap<&str, &Option<Place>> = declared.collect();
        if let Some(near) = findings.hints.nearest(name, candidates.keys().copied()) {
            finding = finding.help(format!("did you mean \"{near}\"?"));
            if let Some(place) = candidates[near] {
                finding = finding.related(*place, "declared here");
            }
        } else if let Some(hint) = findings.hints.did_you_mean(name, cloud_regions().iter().map(|region| region.name.as_str())) {
            finding = finding.help(hint);
        } else {
            finding = finding.help(format!("declare it: `[region.{name}]` with `country` and `at`"));
        }
        findings.add(finding);
    }

    /// The set that selectors of regions name; what is wrong is reported. `None` when anything is.
    pub(super) fn select(&self, selectors: &[At<Box<str>>], clients: &Clients, findings: &Findings) -> Option<RegionSet> {
        let mut set = RegionSet::NONE;
        let mut right = !selectors.is_empty();
        for selector in selectors {
            match self.select_one(selector, clients, findings) {
                Some(found) => found.for_each(|region| set.insert(region)),
                None => right = false,
            }
        }
        right.then_some(set)
    }

    /// The regions that one selector names.
    fn select_one<'s>(&'s self, selector: &'s At<Box<str>>, clients: &Clients, findings: &Findings) -> Option<Box<dyn Iterator<Item = RegionId> + 's>> {
        let word = selector.value.as_ref();
        let (kind, what) = word.split_once(':').unwrap_or(("", word));
        let test: Box<dyn Fn(&Region) -> bool + 's> = match kind {
            "" if clients.is_jurisdiction(word) => return Some(self.passing(move |region| region.is_under(word))),
            "" if word.chars().all(|letter| letter.is_ascii_uppercase() || letter == '-') && word != "-" => {
                let hint = clients.jurisdiction_hint(word, findings);
                let finding = Finding::at(Code::UnknownJurisdiction, selector.place, format!("there is no jurisdiction \"{word}\""));
                findings.add(finding.label("no country (ISO 3166-1) or union of countries").maybe_help(hint));
                return None;
            }
            "" | "region" => Box::new(move |region| glob(what, &region.name)),
            "tag" => Box::new(move |region| region.tags.iter().any(|tag| tag.as_ref() == what)),
            "cloud" => Box::new(move |region| glob(what, &region.cloud)),
            _ => {
                let hint = findings.hints.did_you_mean(kind, ["tag", "cloud", "region"]);
                let finding = Finding::at(Code::BadSelector, selector.place, format!("regions cannot be selected by \"{kind}\""));
                findings.add(finding.label("tag:, cloud: or region:").maybe_help(hint));
                return None;
            }
        };
        let found: Vec<RegionId> = self.passing(test).collect();
        if found.is_empty() {
            let mut finding = Finding::at(Code::NoSuchRegions, selector.place, format!("\"{word}\" selects no region")).label("none of the catalog's regions");
            if kind.is_empty() || kind == "region" {
                finding = finding.maybe_help(findings.hints.did_you_mean(what, self.all.iter().map(|region| region.name.as_ref())));
            } else if kind == "tag" {
                finding = finding.maybe_help(findings.hints.did_you_mean(what, self.all.iter().flat_map(|region| &region.tags).map(AsRef::as_ref)));
            }
            findings.add(finding);
            return None;
        }
        Some(Box::new(found.into_iter()))
    }

    /// The regions that pass a test.
    fn passing<'s>(&'s self, test: impl Fn(&Region) -> bool + 's) -> Box<dyn Iterator<Item = RegionId> + 's> {
        Box::new((0_u16..).zip(&self.all).filter(move |(_, region)| test(region)).map(|(index, _)| RegionId(index)))
    }

    /// Lints regions that are declared and have no endpoint.
    pub(super) fn lint_unused(&self, findings: &Findings) {
        for ((index, region), place) in (0_u16..).zip(&self.all).zip(&self.places) {
            if let (false, Some(place)) = (self.used.has(RegionId(index)), place) {
                let message = format!("no client can ever get region \"{}\"", region.name);
                findings.add(Finding::at(Code::UnusedRegion, *place, message).label("no service has an endpoint there"));
            }
        }
    }
}

/// The name of the region that an endpoint stands in.
fn region_name(spec: &EndpointSpec) -> &str {
    spec.region.as_ref().map_or(&spec.name, |region| &region.value)
}

/// One region with its prices; `None` when something is missing or wrong, which is reported.
fn region(name: &str, spec: Option<&RegionSpec>, known: Option<&'static CloudRegion>, clients: &Clients, findings: &Findings) -> Option<(Region, PriceSpec)> {
    let told = spec.and_then(|spec| spec.country.as_ref());
    if told.is_some_and(|code| !check_country(code, findings)) {
        return None;
    }
    let country: Option<&str> = told.map(|code| code.value.as_ref()).or(known.map(|known| known.country));
    let at: Option<Coordinates> = spec.and_then(|spec| spec.at).or(known.map(|known| known.at));
    let (Some(country), Some(at)) = (country, at) else {
        if let Some(spec) = spec {
            let missing = match (country, at) {
                (None, None) => "neither `country` nor `at`",
                (None, _) => "no `country`",
                _ => "no `at`",
            };
            let finding = Finding::at(Code::MissingKey, spec.place, format!("region \"{name}\" has {missing}")).label("no region of a known cloud");
            findings.add(finding.maybe_help(findings.hints.did_you_mean(name, cloud_regions().iter().map(|region| region.name.as_str()))));
        }
        return None;
    };
    let mut jurisdictions: Vec<Box<str>> = clients.unions_of(country).map(Into::into).collect();
    jurisdictions.push(country.into());
    jurisdictions.sort();
    let cloud = spec.and_then(|spec| spec.cloud.clone()).or(known.map(|known| known.cloud.into()));
    let price = spec.map_or(PriceSpec::default(), |spec| spec.price);
    let price = PriceSpec {
        egress_per_gb: price.egress_per_gb.or(known.and_then(|known| known.egress_per_gb)),
        cpu_hour: price.cpu_hour.or(known.and_then(|known| known.cpu_hour)),
    };
    let tags = spec.map_or_else(Vec::new, |spec| spec.tags.clone());
    let region = Region {
        name: name.into(),
        cloud: cloud.unwrap_or_else(|| "on-prem".into()),
        country: country.into(),
        at,
        tags: tags.into(),
        jurisdictions: jurisdictions.into(),
    };
    Some((region, price))
}
