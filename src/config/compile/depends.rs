//! `depends-on`: names become endpoints of the same region and probes, and what depends on itself is refused.

use std::collections::{BTreeSet, HashMap};

use super::Context;
use crate::catalog::{Dependency, Endpoint, EndpointId, Need, Needed, ProbeId, Service, ServiceId, ZoneId};
use crate::config::diagnostic::{Code, Finding, Findings};
use crate::config::source::Place;
use crate::config::spec::{DependsSpec, EndpointSpec, Least};

/// What precedes the name of a probe template.
const PROBE: &str = "probe:";

/// A dependency whose services are not looked up yet: they may be linked later.
pub(super) struct Pending {
    /// Whose it is.
    endpoint: EndpointId,
    /// The zone in which short names are meant.
    zone: ZoneId,
    /// Where it is written.
    place: Place,
    /// How many must be met.
    least: Least,
    /// What is needed.
    needs: Vec<PendingNeed>,
}

/// A need whose service is not looked up yet.
struct PendingNeed {
    /// As it is written.
    name: Box<str>,
    /// Where.
    place: Place,
    /// Its probes, if it names a template.
    probes: Option<Box<[ProbeId]>>,
}

impl Context<'_> {
    /// Notes what the endpoints of a service depend on: their own, or else the service's.
    pub(super) fn depend(&mut self, zone: ZoneId, service: &crate::catalog::Name, default: Option<&DependsSpec>, own: &[EndpointSpec], start: u32) {
        for (spec, endpoint) in own.iter().zip((start..).map(EndpointId)) {
            let Some(depends) = spec.depends_on.as_ref().or(default).filter(|depends| !depends.names.is_empty()) else { continue };
            let needs = depends.names.iter().map(|name| {
                let probes = name.value.strip_prefix(PROBE).map(|template| self.probes.of_need(template, name.place, spec, service, self.findings));
                PendingNeed { name: name.value.clone(), place: name.place, probes }
            });
            let needs = needs.collect();
            self.dependencies.push(Pending { endpoint, zone, place: depends.place, least: depends.least, needs });
        }
    }
}

/// Looks services up, now that all are linked, and puts the dependencies into the endpoints. `numbers` are the canonical numbers of probes.
pub(super) fn link(pending: Vec<Pending>, services: &[Service], endpoints: &mut [Endpoint], numbers: &[u32], findings: &Findings) {
    let ids = || services.iter().zip((0..).map(ServiceId));
    let by_label: HashMap<(ZoneId, &str), ServiceId> = ids().map(|(service, id)| ((service.zone, &*service.label), id)).collect();
    let by_name: HashMap<String, ServiceId> = ids().map(|(service, id)| (service.name.to_string(), id)).collect();
    let mut places = HashMap::new();
    for pending in pending {
        let find = |name: &str| {
            let name = name.to_ascii_lowercase();
            by_label.get(&(pending.zone, name.as_str())).or_else(|| by_name.get(name.trim_end_matches('.'))).copied()
        };
        let mut needs = Vec::with_capacity(pending.needs.len());
        for PendingNeed { name, place, probes } in pending.needs {
            let of = if let Some(probes) = probes {
                Needed::Probes(probes.iter().map(|probe| ProbeId(numbers[probe.index()])).collect())
            } else if let Some(service) = find(&name) {
                Needed::Endpoints(in_region(pending.endpoint, service, &name, place, services, endpoints, findings))
            } else {
                let known = by_label.keys().filter(|(zone, _)| *zone == pending.zone).map(|(_, label)| *label);
                let hint = findings.hints.did_you_mean(&name, known);
                let message = format!("{} depends on an unknown service \"{name}\"", called(pending.endpoint, services, endpoints));
                let help = hint.or_else(|| Some("name a service of this zone, a service's full name, or a template as \"probe:NAME\"".into()));
                findings.add(Finding::at(Code::UnknownDependency, place, message).label("no such service").maybe_help(help));
                continue;
            };
            needs.push(Need { name, of });
        }
        if needs.is_empty() {
            continue;
        }
        let most = u8::try_from(needs.len()).unwrap_or(u8::MAX);
        let least = match pending.least {
            Least::All => most,
            Least::Any => 1,
            Least::Some(count) => count.min(most),
        };
        endpoints[pending.endpoint.index()].depends_on = Some(Box::new(Dependency { least, needs: needs.into() }));
        places.insert(pending.endpoint, pending.place);
    }
    refuse_cycles(services, endpoints, &places, findings);
}

/// The endpoints of a service in the region of another; reports when there are none.
fn in_region(
    id: EndpointId,
    service: ServiceId,
    name: &str,
    place: Place,
    services: &[Service],
    endpoints: &[Endpoint],
    findings: &Findings,
) -> Box<[EndpointId]> {
    let region = endpoints[id.index()].region;
    let range = services[service.index()].endpoints.clone();
    let found: Box<[EndpointId]> = range.map(EndpointId).filter(|other| endpoints[other.index()].region == region).collect();
    if found.is_empty() {
        let message = format!("{} depends on service \"{name}\", which has no endpoint in its region", called(id, services, endpoints));
        let finding = Finding::at(Code::UnknownDependency, place, message).label("nothing there to depend on");
        findings.add(finding.help("add one there, or write the endpoint's own `depends-on`; `depends-on = []` is none"));
    }
    found
}

/// How messages call an endpoint.
fn called(id: EndpointId, services: &[Service], endpoints: &[Endpoint]) -> String {
    let endpoint = &endpoints[id.index()];
    format!("endpoint \"{}\" of service \"{}\"", endpoint.name, services[endpoint.service.index()].label)
}

/// Reports every cycle, by a depth-first search that keeps its own stack: chains may be as long as there are endpoints.
fn refuse_cycles(services: &[Service], endpoints: &[Endpoint], places: &HashMap<EndpointId, Place>, findings: &Findings) {
    /// What the search knows of an endpoint.
    #[derive(Clone, Copy, PartialEq, Eq)]
    enum Mark {
        /// Not reached.
        New,
        /// On the present path.
        Open,
        /// Done with.
        Done,
    }
    let needs = |id: EndpointId| endpoints[id.index()].depends_on.iter().flat_map(|depends| depends.endpoints()).collect::<Vec<_>>();
    let mut marks = vec![Mark::New; endpoints.len()];
    let mut told: BTreeSet<Vec<&str>> = BTreeSet::new();
    for root in (0..).map(EndpointId).take(endpoints.len()) {
        let mut path: Vec<(EndpointId, Vec<EndpointId>)> = Vec::new();
        if marks[root.index()] == Mark::New {
            marks[root.index()] = Mark::Open;
            path.push((root, needs(root)));
        }
        while let Some((id, left)) = path.last_mut() {
            let id = *id;
            let Some(next) = left.pop() else {
                marks[id.index()] = Mark::Done;
                path.pop();
                continue;
            };
            match marks[next.index()] {
                Mark::Done => {}
                Mark::New => {
                    marks[next.index()] = Mark::Open;
                    path.push((next, needs(next)));
                }
                Mark::Open => {
                    let begin = path.iter().position(|(on, _)| *on == next).unwrap_or(0);
                    let cycle: Vec<EndpointId> = path[begin..].iter().map(|(on, _)| *on).collect();
                    let labels: Vec<&str> = cycle.iter().map(|on| &*services[endpoints[on.index()].service.index()].label).collect();
                    let mut members = labels.clone();
                    members.sort_unstable();
                    // The same services depend on each other in every region that they share: once is enough.
                    if told.insert(members) {
                        let message = format!("service \"{}\" depends on itself: {} → {}", labels[0], labels.join(" → "), labels[0]);
                        let place = cycle.iter().rev().find_map(|on| places.get(on)).copied();
                        let finding = place.map_or_else(
                            || Finding::nowhere(Code::DependencyCycle, message.clone()),
                            |place| Finding::at(Code::DependencyCycle, place, message.clone()),
                        );
                        findings.add(finding.label("closes the circle").help("what depends on itself could never come up again"));
                    }
                }
            }
        }
    }
}
