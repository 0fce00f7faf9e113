//! Probes: templates filled in, identical ones made one.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;

use crate::catalog::{AddressType, Name, ProbeHost, ProbeId, ProbeKind, ProbeOf, ProbeSpec, ProbeTarget};
use crate::config::diagnostic::{Code, Finding, Findings};
use crate::config::source::{At, Place};
use crate::config::spec::{EndpointSpec, ProbeChoice, ProbeFamilies, ProbeForm};
use crate::limits::REFERENCE_INTERVAL_MS;

/// Templates, and the probes met so far.
pub(super) struct Probes {
    /// Templates by name.
    templates: BTreeMap<Box<str>, (Place, Vec<ProbeForm>)>,
    /// Templates that something names.
    used: BTreeSet<Box<str>>,
    /// Probes met so far, with their numbers.
    met: HashMap<ProbeSpec, u32>,
}

impl Probes {
    /// With these templates.
    pub(super) fn new(templates: BTreeMap<Box<str>, (Place, Vec<ProbeForm>)>) -> Self {
        Self { templates, used: BTreeSet::new(), met: HashMap::new() }
    }

    /// The probes that a choice names; unknown templates are reported.
    pub(super) fn forms(&mut self, choice: &ProbeChoice, findings: &Findings) -> Vec<ProbeForm> {
        let names = match choice {
            ProbeChoice::Own(forms) => return forms.clone(),
            ProbeChoice::Templates(names) => names,
        };
        let mut forms = Vec::new();
        for name in names {
            if let Some((_, template)) = self.templates.get(&name.value) {
                forms.extend(template.iter().cloned());
                self.used.insert(name.value.clone());
            } else {
                let hint = findings.hints.did_you_mean(&name.value, self.templates.keys().map(AsRef::as_ref));
                let message = format!("there is no probe template \"{}\"", name.value);
                findings.add(Finding::at(Code::UnknownProbe, name.place, message).label("no such template").maybe_help(hint));
            }
        }
        forms
    }

    /// The probes of an endpoint. Without an address only heartbeats are.
    pub(super) fn of_endpoint(&mut self, forms: &[ProbeForm], families: ProbeFamilies, spec: &EndpointSpec, service: &Name) -> Box<[ProbeId]> {
        let families = spec.probe_families.map_or(families, |at| at.value);
        let hosts = hosts_of(spec, families);
        let port = spec.probe_at.and_then(|at| at.port);
        let mut ids = Vec::with_capacity(forms.len());
        for form in forms {
            if matches!(form.kind, ProbeKind::Push(_)) {
                ids.push(self.intern(form, ProbeTarget::NOBODY, service, Some(spec)));
                continue;
            }
            for host in &hosts {
                ids.push(self.intern(form, ProbeTarget { host: host.clone(), port: port.unwrap_or(form.port) }, service, Some(spec)));
            }
        }
        ids.sort_unstable();
        ids.dedup();
        ids.into()
    }

    /// The probes of a template that an endpoint depends on, asked at the template's own ports; an unknown template and an endpoint without
    /// an address are reported.
    pub(super) fn of_need(&mut self, template: &str, place: Place, spec: &EndpointSpec, service: &Name, findings: &Findings) -> Box<[ProbeId]> {
        let name = At { value: template.into(), place };
        let forms = self.forms(&ProbeChoice::Templates(vec![name]), findings);
        let host = hosts_of(spec, ProbeFamilies::First).into_iter().next();
        if host.is_none() && forms.iter().any(|form| !matches!(form.kind, ProbeKind::Push(_))) {
            let message = format!("endpoint \"{}\" depends on a probe and cannot be asked", spec.name);
            findings.add(Finding::at(Code::BadProbe, place, message).label("has no address").help("say `probe-at = \"192.0.2.10\"`"));
        }
        let target = |form: &ProbeForm| match form.kind {
            ProbeKind::Push(_) => Some(ProbeTarget::NOBODY),
            _ => host.clone().map(|host| ProbeTarget { host, port: form.port }),
        };
        forms.iter().filter_map(|form| target(form).map(|target| self.intern(form, target, service, Some(spec)))).collect()
    }

    /// The number of the probe of a reference.
    pub(super) fn reference(&mut self, at: std::net::SocketAddr) -> ProbeId {
        let form = ProbeForm {
            port: at.port(),
            kind: ProbeKind::Tcp,
            interval_ms: REFERENCE_INTERVAL_MS,
            timeout_ms: REFERENCE_INTERVAL_MS,
            fall: 1,
            rise: 1,
            slow_ms: 0,
            baseline: None,
        };
        self.intern(&form, ProbeTarget { host: at.ip().into(), port: at.port() }, &Name::root(), None)
    }

    /// The number of a probe of a target, of an endpoint of a service.
    fn intern(&mut self, form: &ProbeForm, target: ProbeTarget, service: &Name, endpoint: Option<&EndpointSpec>) -> ProbeId {
        let mut kind = form.kind.clone();
        match &mut kind {
            ProbeKind::Http { host, .. } | ProbeKind::Tls { host, .. } if host.is_empty() => *host = service.to_string().into(),
            ProbeKind::Exec { of, .. } | ProbeKind::Push(of) => **of = endpoint.map(|endpoint| named(service, endpoint)).unwrap_or_default(),
            _ => {}
        }
        let ProbeForm { interval_ms, timeout_ms, fall, rise, slow_ms, baseline, .. } = *form;
        let spec = ProbeSpec { target, kind, interval_ms, timeout_ms, fall, rise, slow_ms, baseline };
        let next = u32::try_from(self.met.len()).unwrap_or(u32::MAX);
        ProbeId(*self.met.entry(spec).or_insert(next))
    }

    /// The probes in canonical order, and for each number given so far its number in that order.
    pub(super) fn finish(&mut self) -> (Box<[ProbeSpec]>, Vec<u32>) {
        let mut met: Vec<(ProbeSpec, u32)> = std::mem::take(&mut self.met).into_iter().collect();
        met.sort_unstable();
        let mut numbers = vec![0; met.len()];
        for (number, (_, before)) in (0..).zip(&met) {
            numbers[*before as usize] = number;
        }
        (met.into_iter().map(|(spec, _)| spec).collect(), numbers)
    }

    /// Lints templates that nothing names.
    pub(super) fn lint_unused(&self, findings: &Findings) {
        for (name, (place, _)) in self.templates.iter().filter(|(name, _)| !self.used.contains(*name)) {
            findings
                .add(Finding::at(Code::UnusedProbe, *place, format!("nothing uses the probe template \"{name}\"")).label("no service or endpoint names it"));
        }
    }
}

/// An endpoint by its names.
fn named(service: &Name, spec: &EndpointSpec) -> ProbeOf {
    let region = spec.region.as_ref().map_or(&spec.name, |region| &region.value);
    ProbeOf { service: service.to_string().into(), endpoint: spec.name.clone(), region: region.clone() }
}

/// Where an endpoint is asked: at `probe-at`; else at the address written first, or at the first of each family; else at its alias.
fn hosts_of(spec: &EndpointSpec, families: ProbeFamilies) -> Vec<ProbeHost> {
    if let Some(at) = spec.probe_at {
        return vec![at.address.into()];
    }
    let is_each = families == ProbeFamilies::Each && AddressType::ALL.into_iter().all(|of| spec.types.has(of));
    match (&spec.alias, spec.first) {
        (_, Some(first)) => [Some(first), spec.first_v6.map(IpAddr::V6).filter(|v6| is_each && *v6 != first)].into_iter().flatten().map(Into::into).collect(),
        (Some(alias), None) if is_each => AddressType::ALL.map(|of| ProbeHost::AliasOf(alias.value.clone(), of)).into(),
        (Some(alias), None) => vec![ProbeHost::Alias(alias.value.clone())],
        (None, None) => Vec::new(),
    }
}
