//! Links what the files say into a [`Catalog`]: names become indices, selectors sets, prices latencies.
//!
//! Everything is put into canonical order here, so that neither the order of files nor of lines within them shows in the outcome.

mod aliases;
mod clients;
mod depends;
mod digest;
mod price;
mod probes;
mod regions;
mod residency;
mod rules;
mod services;
mod tiers;
mod zones;

use super::Masters;
use super::diagnostic::{Code, Finding, Findings};
use super::source::{Place, SourceFile};
use super::spec::{Specs, ZoneSpec};
use crate::catalog::{AliasId, Catalog, ClientSetId, Faces, Lineup, ProbeId, Profiles};
use crate::limits::{CLIENT_SETS_MAX, ENDPOINTS_MAX, NETWORKS_MAX, REGIONS_MAX, RESIDENCIES_MAX, SERVICES_MAX, ZONES_MAX};

use aliases::Aliases;
use clients::Clients;
use probes::Probes;
use regions::Regions;
use residency::Classes;

const _: () = assert!(CLIENT_SETS_MAX <= 256, "the number of a client set has 8 bits");

/// What services are linked against.
struct Context<'a> {
    /// Where mistakes go.
    findings: &'a Findings,
    /// Regions.
    regions: Regions,
    /// Jurisdictions and sets of clients.
    clients: Clients,
    /// Residency rules by name.
    residencies: Vec<crate::catalog::Residency>,
    /// Kinds of clients that residency rules tell apart.
    classes: Classes,
    /// Names that addresses are looked up by.
    aliases: Aliases,
    /// Probes and templates.
    probes: Probes,
    /// Which residency rules bind a service.
    residencies_used: Vec<bool>,
    /// What endpoints depend on, to be looked up when all services are linked.
    dependencies: Vec<depends::Pending>,
}

/// Compiles the catalog. It is only good when nothing found is an error.
pub(super) fn compile(mut specs: Specs, sources: &mut Vec<SourceFile>, masters: &Masters<'_>, findings: &Findings) -> Catalog {
    limit_specs(&specs, findings);
    let mut clients = Clients::new(&specs, findings);
    let regions = Regions::link(&specs, &clients, findings);
    let networks = rules::networks(std::mem::take(&mut specs.networks), &clients, findings);
    let residency_places: Vec<Place> = specs.residencies.values().map(|spec| spec.place).collect();
    let residencies = rules::residencies(&specs.residencies, &mut clients, &regions, findings);
    let latencies = rules::latencies(&specs.latencies, &clients, &regions, findings);
    let classes = Classes::of(&residencies, &clients, &networks);
    let residencies_used = vec![false; residencies.len()];
    let probes = Probes::new(std::mem::take(&mut specs.probes));
    let aliases = Aliases::new(specs.zones.iter().map(|zone| zone.apex.value.clone()).collect());
    let mut context = Context { findings, regions, clients, residencies, classes, aliases, probes, residencies_used, dependencies: Vec::new() };

    let vantage = std::mem::take(&mut specs.vantage);
    let safety = specs.safety.map(|(_, safety)| safety).unwrap_or_default();
    let specs_of_zones = distinct(std::mem::take(&mut specs.zones), findings);
    drop(specs);
    let mut inputs = Vec::with_capacity(specs_of_zones.len());
    let mut catalog = Catalog::default();
    let (mut services, mut endpoints) = (Vec::new(), Vec::new());
    for (index, zone) in specs_of_zones.into_iter().enumerate() {
        let id = crate::catalog::ZoneId(u16::try_from(index).unwrap_or(u16::MAX));
        inputs.push(zones::input(id, zone, &mut context, &mut services, &mut endpoints));
    }
    context.lint_unused(&residency_places);
    let references: Vec<ProbeId> = vantage.into_iter().flat_map(|(_, references)| references).map(|reference| context.probes.reference(reference)).collect();
    let (sets, set_ids) = context.clients.finish(findings);
    let (specs_of_probes, probe_ids) = context.probes.finish();
    let (aliases, alias_ids) = context.aliases.finish();
    for residency in &mut context.residencies {
        residency.clients = ClientSetId(set_ids[residency.clients.index()]);
    }
    for rule in services.iter_mut().flat_map(|service: &mut crate::catalog::Service| service.geo.iter_mut()) {
        rule.clients = ClientSetId(set_ids[rule.clients.index()]);
    }
    for probe in endpoints.iter_mut().flat_map(|endpoint: &mut crate::catalog::Endpoint| endpoint.probes.iter_mut()) {
        *probe = ProbeId(probe_ids[probe.index()]);
    }
    for endpoint in &mut endpoints {
        endpoint.probes.sort_unstable();
        if let Some(alias) = &mut endpoint.alias {
            alias.id = AliasId(alias_ids[alias.id.index()]);
        }
    }
    depends::link(context.dependencies, &services, &mut endpoints, &probe_ids, findings);
    catalog.references = canonical(references, &probe_ids);
    for service in &mut services {
        let own = endpoints.get(service.endpoints.start as usize..service.endpoints.end as usize).unwrap_or_default();
        service.lineup = Lineup::of(own, &service.residency, &context.residencies, &service.geo);
    }
    catalog.profiles = Profiles::of(&services);
    catalog.faces = Faces::of(&services, &endpoints);
    catalog.services = services.into();
    catalog.endpoints = endpoints.into();
    catalog.regions = context.regions.all.into();
    catalog.residencies = context.residencies.into();
    catalog.client_sets = sets;
    catalog.latencies = latencies;
    catalog.networks = networks;
    catalog.aliases = aliases;
    catalog.probes = specs_of_probes;
    catalog.safety = safety;
    zones::build(inputs, &mut catalog, sources, masters, findings);
    catalog.digest = digest::of_catalog(&catalog);
    catalog
}

/// The zones in the order of their names, each once.
fn distinct(mut zones: Vec<ZoneSpec>, findings: &Findings) -> Vec<ZoneSpec> {
    zones.sort_by(|one, other| (&one.apex.value, one.apex.place).cmp(&(&other.apex.value, other.apex.place)));
    zones.dedup_by(|again, first| {
        let same = again.apex.value == first.apex.value;
        if same {
            let finding = Finding::at(Code::Duplicate, again.apex.place, format!("zone {} is defined twice", again.apex.value));
            findings.add(finding.label("defined again here").related(first.apex.place, "first defined here"));
        }
        same
    });
    zones
}

/// Probes by their canonical numbers, sorted and distinct.
fn canonical(probes: Vec<ProbeId>, numbers: &[u32]) -> Box<[ProbeId]> {
    let mut probes: Vec<ProbeId> = probes.into_iter().map(|probe| ProbeId(numbers[probe.index()])).collect();
    probes.sort_unstable();
    probes.dedup();
    probes.into()
}

impl Context<'_> {
    /// Lints what is declared and never used.
    fn lint_unused(&self, residency_places: &[Place]) {
        self.regions.lint_unused(self.findings);
        self.probes.lint_unused(self.findings);
        let residencies = self.residencies.iter().zip(&self.residencies_used).zip(residency_places);
        for ((residency, _), &place) in residencies.filter(|((_, used), _)| !**used) {
            let message = format!("residency rule \"{}\" binds no service", residency.name);
            let finding = Finding::at(Code::UnusedResidency, place, message).label("no service names it");
            self.findings.add(finding.help(format!("write `residency = [\"{}\"]` in the services that it should bind", residency.name)));
        }
    }
}

/// Reports the limits that are exceeded as a whole.
fn limit_specs(specs: &Specs, findings: &Findings) {
    let services: usize = specs.zones.iter().map(|zone| zone.services.len()).sum();
    let endpoints: usize = specs.zones.iter().flat_map(|zone| &zone.services).map(|service| service.endpoints.len()).sum();
    let counts = [
        ("zones", specs.zones.len(), ZONES_MAX),
        ("services", services, SERVICES_MAX),
        ("endpoints", endpoints, ENDPOINTS_MAX),
        ("residency rules", specs.residencies.len(), RESIDENCIES_MAX),
        ("networks", specs.networks.len(), NETWORKS_MAX),
        ("declared regions", specs.regions.len(), REGIONS_MAX),
    ];
    for (what, count, most) in counts {
        too_many(findings, None, what, count, most);
    }
    if specs.zones.is_empty() && !findings.has_error() {
        let finding = Finding::nowhere(Code::NoZone, "no file defines a zone");
        findings.add(finding.help("begin a file of the folder with `zone = \"gslb.example.com\"`"));
    }
}

/// Reports when there are more of something than the limit allows.
fn too_many(findings: &Findings, place: Option<Place>, what: &str, count: usize, most: usize) {
    if count > most {
        let message = format!("there are {count} {what}, more than the limit of {most}");
        findings.add(place.map_or_else(|| Finding::nowhere(Code::TooMany, message.clone()), |place| Finding::at(Code::TooMany, place, message.clone())));
    }
}
