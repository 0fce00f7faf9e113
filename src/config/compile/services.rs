//! Services and their endpoints.

use super::aliases::{self, check_families, settle_types};
use super::price::per_million;
use super::tiers::{Standing, stand};
use super::{Context, too_many};
use crate::catalog::{
    AddressType, AnswerKind, Endpoint, EndpointId, GeoRule, Lineup, RegionId, RegionSet, Requirement, ResidencyId, Selector, Service, ServiceId, WhenAllDown,
    ZoneId,
};
use crate::config::diagnostic::{Code, Finding};
use crate::config::source::At;
use crate::config::spec::{AllDownSpec, EndpointSpec, PriceSpec, ServiceSpec};
use crate::limits::{ENDPOINTS_PER_SERVICE_MAX, STEERED_ADDRESSES_MAX};
use crate::units::Micros;

impl Context<'_> {
    /// Links one service and adds its endpoints to `endpoints`.
    pub(super) fn service(&mut self, zone: ZoneId, id: ServiceId, mut spec: ServiceSpec, endpoints: &mut Vec<Endpoint>) -> Service {
        let findings = self.findings;
        if spec.endpoints.is_empty() {
            let message = format!("service \"{}\" has no endpoints", spec.label);
            let finding = Finding::at(Code::NoEndpoints, spec.place, message).label("nothing to answer with");
            findings.add(finding.help(format!("write `[service.{}.endpoint.REGION]` with `a = [\"192.0.2.10\"]`", spec.label)));
        }
        too_many(findings, Some(spec.place), "endpoints in one service", spec.endpoints.len(), ENDPOINTS_PER_SERVICE_MAX);
        settle_types(&mut spec);
        let kind = self.kind(&spec);
        check_families(&spec, kind, findings);
        check_answer_size(self, &spec);
        let residency = self.residency_of(&spec);
        let (standings, tiers) = stand(self, &spec);
        let geo = self.geo(&spec);
        let start = u32::try_from(endpoints.len()).unwrap_or(u32::MAX);
        let when_all_down = self.when_all_down(&spec, start);
        let own = std::mem::take(&mut spec.endpoints);
        let linked = self.endpoints(id, &spec, &own, &standings);
        self.depend(zone, &spec.name, spec.depends_on.as_ref(), &own, start);
        endpoints.extend(linked);
        let mine = &endpoints[start as usize..];
        self.check_reach(&spec, &own, mine, &residency, tiers);
        self.lint_service(&spec, &own, mine);
        Service {
            name: spec.name,
            label: spec.label,
            zone,
            endpoints: start..u32::try_from(endpoints.len()).unwrap_or(u32::MAX),
            kind,
            families: spec.families,
            ttl_steady: spec.ttl_steady.0,
            ttl_moving: spec.ttl_moving.0,
            residency: residency.into(),
            tiers,
            min_live: spec.min_live,
            failback: spec.failback.0,
            geo,
            max_rtt: spec.max_rtt,
            by: spec.by,
            spread: spec.spread,
            answers: spec.answers,
            when_all_down,
            when_none_left: spec.when_none_left,
            degraded_penalty: spec.degraded_penalty,
            load: spec.load,
            recovery: spec.recovery,
            peak: spec.peak,
            rto_ms: spec.rto_ms,
            https: spec.https.map(|https| https.value),
            latency_per_usd: spec.latency_per_usd.0,
            lineup: Lineup::default(),
            require: spec.require,
            prefer: spec.prefer,
        }
    }

    /// Addresses or a canonical name; reports a mixture, and canonical names where they cannot be.
    fn kind(&self, spec: &ServiceSpec) -> AnswerKind {
        let Some(named) = spec.endpoints.iter().find(|endpoint| endpoint.cname.is_some()) else { return AnswerKind::Addresses };
        if let Some(other) = spec.endpoints.iter().find(|endpoint| endpoint.cname.is_none() && !endpoint.types.is_empty()) {
            let message = format!("service \"{}\" mixes addresses and canonical names", spec.label);
            let finding = Finding::at(Code::MixedAnswers, other.place, message).label("has addresses");
            self.findings.add(finding.related(named.place, "has a canonical name").help("a service is all addresses or all `cname`"));
        }
        let misplaced = |place, message: String, label: &str| self.findings.add(Finding::at(Code::CnameMisplaced, place, message).label(label));
        if let Some(https) = &spec.https {
            let message = format!("service \"{}\" has both `cname` and `https`", spec.label);
            misplaced(https.place, message, "a CNAME stands alone (RFC 1034 section 3.6.2)");
        }
        if spec.answers > 1 {
            let message = format!("service \"{}\" answers with one canonical name, not {}", spec.label, spec.answers);
            misplaced(spec.place, message, "there is only ever one CNAME (RFC 2181 section 10.1)");
        }
        AnswerKind::Cname
    }

    /// The residency rules that a service names, sorted.
    fn residency_of(&mut self, spec: &ServiceSpec) -> Vec<ResidencyId> {
        let mut rules = Vec::new();
        for name in &spec.residency {
            let found = self.residencies.binary_search_by(|rule| rule.name.as_ref().cmp(&name.value));
            if let Ok(index) = found {
                self.residencies_used[index] = true;
                rules.extend(u8::try_from(index).ok().map(ResidencyId));
            } else {
                let hint = self.findings.hints.did_you_mean(&name.value, self.residencies.iter().map(|rule| rule.name.as_ref()));
                let message = format!("service \"{}\" names an unknown residency rule", spec.label);
                self.findings.add(Finding::at(Code::UnknownResidency, name.place, message).label("no such rule").maybe_help(hint));
            }
        }
        rules.sort_unstable();
        rules.dedup();
        rules
    }

    /// The preferences by place; those shadowed by earlier ones are linted.
    fn geo(&mut self, spec: &ServiceSpec) -> Box<[GeoRule]> {
        let mut rules: Vec<GeoRule> = Vec::new();
        for rule in &spec.geo {
            let clients = self.clients.set(&rule.clients, self.findings);
            let regions = self.regions.select(&rule.regions, &self.clients, self.findings);
            let (Some(clients), Some(regions)) = (clients, regions) else { continue };
            let selectors = &self.clients.get(clients).selectors;
            if !rules.is_empty() && selectors.iter().all(|selector| self.is_covered(selector, &rules)) {
                let message = format!("service \"{}\" has a geo rule that never applies", spec.label);
                let finding = Finding::at(Code::IdleGeoRule, rule.place, message).label("earlier rules take all of these clients");
                self.findings.add(finding.related(spec.geo[0].place, "the first that matches counts"));
            }
            if !spec.endpoints.iter().any(|endpoint| self.region_of(endpoint).is_some_and(|region| regions.has(region))) {
                let message = format!("service \"{}\" has a geo rule that prefers nothing", spec.label);
                self.findings.add(Finding::at(Code::IdleGeoRule, rule.place, message).label("no endpoint of the service stands in these regions"));
            }
            rules.push(GeoRule { clients, regions });
        }
        rules.into()
    }

    /// Whether every client of a selector is taken by one of these rules.
    fn is_covered(&self, selector: &Selector, earlier: &[GeoRule]) -> bool {
        let sets = || earlier.iter().map(|rule| self.clients.get(rule.clients));
        if sets().any(|set| set.selectors.contains(selector) || set.selectors.contains(&Selector::Any)) {
            return true;
        }
        let taken = |code: &str| sets().any(|set| set.countries.iter().any(|country| country.as_ref() == code));
        match selector {
            Selector::Jurisdiction(_) | Selector::Continent(_) => self.clients.countries_of(selector).iter().all(|code| taken(code)),
            Selector::Subdivision(code) => code.split('-').next().is_some_and(taken),
            _ => false,
        }
    }

    /// What is answered when all are down.
    fn when_all_down(&self, spec: &ServiceSpec, start: u32) -> WhenAllDown {
        let name = match &spec.when_all_down {
            AllDownSpec::AsIfUp => return WhenAllDown::AsIfUp,
            AllDownSpec::Nodata => return WhenAllDown::Nodata,
            AllDownSpec::Servfail => return WhenAllDown::Servfail,
            AllDownSpec::LastResort(name) => name,
        };
        if let Some(index) = spec.endpoints.iter().position(|endpoint| endpoint.name == name.value) {
            return WhenAllDown::LastResort(EndpointId(start.saturating_add(u32::try_from(index).unwrap_or(0))));
        }
        let hint = self.findings.hints.did_you_mean(&name.value, spec.endpoints.iter().map(|endpoint| endpoint.name.as_ref()));
        let message = format!("service \"{}\" has an unknown endpoint as its last resort", spec.label);
        self.findings.add(Finding::at(Code::UnknownEndpoint, name.place, message).label("no such endpoint").maybe_help(hint));
        WhenAllDown::AsIfUp
    }

    /// The region of an endpoint, silently.
    fn region_of(&self, spec: &EndpointSpec) -> Option<RegionId> {
        self.regions.find(spec.region.as_ref().map_or(&spec.name, |region| &region.value))
    }

    /// Links the endpoints of a service. One whose region is not known stands in the first, and the load has an error.
    fn endpoints(&mut self, service: ServiceId, spec: &ServiceSpec, own: &[EndpointSpec], standings: &[Standing]) -> Vec<Endpoint> {
        let default_forms = spec.probe.as_ref().map(|choice| self.probes.forms(choice, self.findings)).unwrap_or_default();
        let mut linked = Vec::with_capacity(own.len());
        for (endpoint, standing) in own.iter().zip(standings) {
            let region = self.regions.of_endpoint(&spec.label, endpoint, self.findings);
            let prices = region.map_or(PriceSpec::default(), |region| self.regions.prices[region.index()]);
            let prices =
                PriceSpec { egress_per_gb: endpoint.price.egress_per_gb.or(prices.egress_per_gb), cpu_hour: endpoint.price.cpu_hour.or(prices.cpu_hour) };
            if region.is_some() {
                self.check_prices(spec, endpoint, prices);
            }
            let own_forms = endpoint.probe.as_deref().map(|choice| self.probes.forms(choice, self.findings));
            let forms = own_forms.as_ref().unwrap_or(&default_forms);
            let last_resort = matches!(&spec.when_all_down, AllDownSpec::LastResort(name) if name.value == endpoint.name);
            // The last resort is never probed: it is what is left when probes say that nothing is.
            let forms = if last_resort { &[] } else { &forms[..] };
            let probes = self.probes.of_endpoint(forms, spec.probe_families, endpoint, &spec.name);
            if probes.len() < forms.len().min(1) {
                let message = format!("endpoint \"{}\" of service \"{}\" cannot be probed", endpoint.name, spec.label);
                self.findings.add(Finding::at(Code::Unprobed, endpoint.place, message).label("has no address to ask").help("say `probe-at = \"192.0.2.10\"`"));
            }
            linked.push(Endpoint {
                name: endpoint.name.clone(),
                service,
                seed: Endpoint::seed_of(&spec.name, &endpoint.name),
                region: region.unwrap_or(RegionId(0)),
                tier: standing.tier,
                order: standing.order,
                meets_require: meets(&spec.require, &endpoint.labels),
                preferred: meets(&spec.prefer, &endpoint.labels),
                last_resort,
                weight: endpoint.weight,
                bias: endpoint.bias,
                price: per_million(spec.egress, spec.cpu, prices, spec.latency_per_usd.0),
                capacity: endpoint.capacity,
                a: endpoint.a.clone(),
                aaaa: endpoint.aaaa.clone(),
                cname: endpoint.cname.clone(),
                alias: self.aliases.of_endpoint(endpoint, spec.answers, self.findings),
                labels: endpoint.labels.clone(),
                probes,
                depends_on: None,
            });
        }
        linked
    }

    /// Reports a price that decides and is not known.
    fn check_prices(&self, spec: &ServiceSpec, endpoint: &EndpointSpec, prices: PriceSpec) {
        if spec.latency_per_usd.0 == Micros::ZERO {
            return;
        }
        let missing =
            [("egress-per-gb", spec.egress > 0 && prices.egress_per_gb.is_none()), ("cpu-hour", spec.cpu > Micros::ZERO && prices.cpu_hour.is_none())];
        let region: &At<Box<str>> = &At { value: endpoint.name.clone(), place: endpoint.place };
        let region = &endpoint.region.as_ref().unwrap_or(region).value;
        for (key, _) in missing.into_iter().filter(|(_, missing)| *missing) {
            let message = format!("service \"{}\" weighs prices, and one is not known", spec.label);
            let finding = Finding::at(Code::MissingPrice, endpoint.place, message).label(format!("region \"{region}\" has no `{key}`"));
            self.findings.add(finding.help(format!("write `price.{key} = \"0.05 USD\"` under `[region.{region}]`")));
        }
    }

    /// Reports clients that residency leaves nobody, and lints endpoints and tiers that no client can ever get.
    fn check_reach(&self, spec: &ServiceSpec, own: &[EndpointSpec], linked: &[Endpoint], residency: &[ResidencyId], tiers: u8) {
        let given = |endpoint: &&Endpoint| endpoint.meets_require && !endpoint.last_resort;
        let mut reached = RegionSet::NONE;
        let mut left_alone = false;
        for (example, binding, regions) in self.classes.under(residency) {
            let mut any = false;
            for endpoint in linked.iter().filter(given).filter(|endpoint| regions.has(endpoint.region)) {
                reached.insert(endpoint.region);
                any = true;
            }
            if !any && !binding.is_empty() && !left_alone && !linked.is_empty() {
                left_alone = true;
                let rules: Vec<String> = binding.iter().map(|rule| format!("\"{}\"", self.residencies[rule.index()].name)).collect();
                let place = spec.residency.first().map_or(spec.place, |name| name.place);
                let message = format!("residency leaves {example} no endpoint of service \"{}\"", spec.label);
                let label = format!("bound by {}", rules.join(" and "));
                let help = "add an endpoint in a region that these rules allow, or change the rules";
                self.findings.add(Finding::at(Code::ResidencyLeavesNobody, place, message).label(label).help(help));
            }
        }
        let mut tier_reached = [false; 256];
        let some_meets_require = linked.iter().any(|endpoint| endpoint.meets_require);
        for (endpoint, spec_of) in linked.iter().zip(own) {
            let why = if endpoint.last_resort {
                continue;
            } else if !endpoint.meets_require {
                // Labels move from endpoint to endpoint while a release rolls out; only when nobody has them it is a mistake.
                if some_meets_require {
                    continue;
                }
                "no endpoint has what the service requires"
            } else if endpoint.weight == 0 {
                "its weight is 0"
            } else if !reached.has(endpoint.region) {
                "residency allows no client its region"
            } else {
                tier_reached[usize::from(endpoint.tier)] = true;
                continue;
            };
            let message = format!("no client can ever get endpoint \"{}\" of service \"{}\"", endpoint.name, spec.label);
            self.findings.add(Finding::at(Code::UnreachableEndpoint, spec_of.place, message).label(why));
        }
        for (tier, (place, names)) in (0..tiers).zip(&spec.tiers) {
            let size = linked.iter().filter(|endpoint| endpoint.tier == tier && !endpoint.last_resort).count();
            if !tier_reached[usize::from(tier)] && (size > 0 || names.is_empty()) {
                let message = format!("no client can ever get tier {} of service \"{}\"", tier + 1, spec.label);
                self.findings.add(Finding::at(Code::UnreachableTier, *place, message).label("nothing in it can be given"));
            } else if size > 0 && size < usize::from(spec.min_live) {
                let message = format!("tier {} of service \"{}\" never has enough endpoints", tier + 1, spec.label);
                let finding = Finding::at(Code::UnreachableTier, *place, message).label(format!("it has {size}, `min-live` is {}", spec.min_live));
                self.findings.add(finding.help("it is only chosen when no tier has enough"));
            }
        }
    }

    /// Lints what is allowed and probably not meant.
    fn lint_service(&self, spec: &ServiceSpec, own: &[EndpointSpec], linked: &[Endpoint]) {
        if !own.is_empty() && spec.probe.is_none() && linked.iter().all(|endpoint| endpoint.probes.is_empty()) && own.iter().all(|one| one.probe.is_none()) {
            let message = format!("service \"{}\" has no probes", spec.label);
            let finding = Finding::at(Code::NoProbes, spec.place, message).label("its endpoints are never measured");
            self.findings.add(finding.help(format!("write `[service.{}.probe.https]`, or `probe = []` when that is meant", spec.label)));
        }
        for (key, (ttl, place)) in [("steady", spec.ttl_steady), ("moving", spec.ttl_moving)] {
            // Only what was written is to be doubted.
            let Some(place) = place else { continue };
            if ttl.0 == 0 {
                let message = format!("`{key}` of service \"{}\" is zero", spec.label);
                self.findings.add(Finding::at(Code::TtlZero, place, message).label("every client asks every time; some resolvers keep it anyway"));
            } else if ttl.0 > 60 {
                let message = format!("`{key}` of service \"{}\" is longer than a minute", spec.label);
                self.findings.add(Finding::at(Code::TtlLong, place, message).label("so long does a dead region stay in caches"));
            }
        }
        if spec.latency_per_usd.0 > Micros::ZERO && !spec.has_request {
            let place = spec.latency_per_usd.1.unwrap_or(spec.place);
            let message = format!("service \"{}\" weighs prices, but not what a request takes", spec.label);
            let finding = Finding::at(Code::MissingPrice, place, message).label("needs `request`");
            self.findings.add(finding.help(format!("write `[service.{}.request]` with `egress = \"50 kB\"` and `cpu = \"20 ms\"`", spec.label)));
        }
    }
}

/// Reports answers that could not fit.
fn check_answer_size(context: &Context<'_>, spec: &ServiceSpec) {
    for of in AddressType::ALL {
        let count = |endpoint: &EndpointSpec| match of {
            _ if endpoint.alias.is_some() => usize::from(endpoint.types.has(of)) * aliases::share(spec.answers),
            AddressType::A => endpoint.a.len(),
            AddressType::Aaaa => endpoint.aaaa.len(),
        };
        let mut counts: Vec<usize> = spec.endpoints.iter().map(count).collect();
        counts.sort_unstable_by(|one, other| other.cmp(one));
        let most: usize = counts.iter().take(usize::from(spec.answers)).sum();
        if most > STEERED_ADDRESSES_MAX {
            let message = format!("an answer of service \"{}\" could have {most} addresses", spec.label);
            let finding = Finding::at(Code::AnswerTooLarge, spec.place, message).label(format!("at most {STEERED_ADDRESSES_MAX} in one answer"));
            context.findings.add(finding.help(format!("fewer `answers`, or fewer addresses in `{}`", of.as_str().to_lowercase())));
        }
    }
}

/// Whether labels satisfy every requirement.
fn meets(requirements: &[Requirement], labels: &[(Box<str>, Box<str>)]) -> bool {
    requirements.iter().all(|wanted| labels.iter().any(|(key, value)| *key == wanted.label && wanted.values.contains(value)))
}
