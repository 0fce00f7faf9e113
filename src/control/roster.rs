//! Who is who across a reload: names, never indices.

use std::collections::{HashMap, HashSet};

use super::state::alias_of;
use super::{EndpointName, Refused};
use crate::catalog::{Alias, Catalog, Endpoint, EndpointId, Name, ProbeId};
use crate::geo::{Geo, losses};

/// An endpoint's key in one catalog.
type Key<'a> = (&'a Name, &'a str);

/// What of the old catalog lives on in the new one.
#[derive(Debug)]
pub(super) struct Carried {
    /// For each new endpoint the old one that it continues: same service, name, addresses and probes.
    pub endpoints: Box<[Option<EndpointId>]>,
    /// For each new endpoint, whether the old catalog had one of that name, changed or not.
    pub changed: Box<[Option<EndpointId>]>,
    /// For each old probe the new one that it continues: identical, and of an endpoint that is continued.
    pub probes: Box<[Option<ProbeId>]>,
}

/// Finds what of `old` lives on in `new`.
pub(super) fn carried(old: &Catalog, new: &Catalog) -> Carried {
    let known = by_name(old);
    let mut probes = vec![None; old.probes.len()].into_boxed_slice();
    let mut endpoints = Vec::with_capacity(new.endpoints.len());
    let mut changed = Vec::with_capacity(new.endpoints.len());
    for endpoint in &new.endpoints {
        let namesake = known.get(&key(new, endpoint)).copied();
        let continued = namesake.filter(|&id| is_same(old, old.endpoint(id), new, endpoint));
        if let Some(id) = continued {
            for (before, after) in old.endpoint(id).probes.iter().zip(&endpoint.probes) {
                probes[before.index()] = Some(*after);
            }
            carry_needs(old, old.endpoint(id), new, endpoint, &mut probes);
        }
        endpoints.push(continued);
        changed.push(if continued.is_none() { namesake } else { None });
    }
    for before in &old.references {
        let same = new.references.iter().find(|after| new.probes[after.index()] == old.probes[before.index()]);
        probes[before.index()] = probes[before.index()].or(same.copied());
    }
    Carried { endpoints: endpoints.into(), changed: changed.into(), probes }
}

/// Carries the probes that both endpoints depend on.
fn carry_needs(old: &Catalog, before: &Endpoint, new: &Catalog, after: &Endpoint, probes: &mut [Option<ProbeId>]) {
    let Some(needs) = &before.depends_on else { return };
    for need in needs.probes() {
        let same = after.all_probes().find(|probe| new.probes[probe.index()] == old.probes[need.index()]);
        probes[need.index()] = probes[need.index()].or(same);
    }
}

/// Whether two endpoints of one name are measured the same and answer the same.
fn is_same(old: &Catalog, before: &Endpoint, new: &Catalog, after: &Endpoint) -> bool {
    let specs_before = before.probes.iter().map(|id| &old.probes[id.index()]);
    let specs_after = after.probes.iter().map(|id| &new.probes[id.index()]);
    let alias = |catalog, endpoint: &Endpoint| alias_of(catalog, endpoint).map(|alias: &Alias| alias.name.clone());
    before.a == after.a && before.aaaa == after.aaaa && before.cname == after.cname && alias(old, before) == alias(new, after) && specs_before.eq(specs_after)
}

/// Refuses a geography that has lost more than half of the addresses whose country is known.
pub(super) fn refuse_losing(old: &Geo, new: &Geo) -> Option<Refused> {
    let losses = losses(old, new);
    (!losses.is_empty()).then_some(Refused::LosesAddresses(losses))
}

/// Refuses a catalog that has lost a zone, or more than a tenth of the services or endpoints.
pub(super) fn refuse_shrinking(old: &Catalog, new: &Catalog) -> Option<Refused> {
    let zones: HashSet<&Name> = new.zones.iter().map(|zone| &zone.name).collect();
    let lost: Vec<Box<str>> = old.zones.iter().filter(|zone| !zones.contains(&zone.name)).map(|zone| zone.name.to_string().into()).collect();
    if !lost.is_empty() {
        return Some(Refused::RemovesZones(lost));
    }
    let services: HashSet<&Name> = new.services.iter().map(|service| &service.name).collect();
    let removed = old.services.iter().filter(|service| !services.contains(&service.name)).count();
    if is_more_than_a_tenth(removed, old.services.len()) {
        return Some(Refused::RemovesServices { removed, of: old.services.len() });
    }
    let endpoints = by_name(new);
    let removed = old.endpoints.iter().filter(|endpoint| !endpoints.contains_key(&key(old, endpoint))).count();
    is_more_than_a_tenth(removed, old.endpoints.len()).then_some(Refused::RemovesEndpoints { removed, of: old.endpoints.len() })
}

/// Whether `part` is more than a tenth of `whole`.
const fn is_more_than_a_tenth(part: usize, whole: usize) -> bool {
    part * 10 > whole
}

/// The endpoint of these names.
pub(super) fn find(catalog: &Catalog, names: &EndpointName) -> Option<EndpointId> {
    let service = catalog.service_named(&names.service.parse().ok()?)?;
    catalog.endpoints_of(catalog.service(service)).find(|(_, endpoint)| endpoint.name == names.endpoint).map(|(id, _)| id)
}

/// The endpoints of a catalog by their names.
pub(super) fn by_name(catalog: &Catalog) -> HashMap<Key<'_>, EndpointId> {
    catalog.endpoints.iter().zip(0..).map(|(endpoint, index)| (key(catalog, endpoint), EndpointId(index))).collect()
}

/// The names that an endpoint is known by.
fn key<'a>(catalog: &'a Catalog, endpoint: &'a Endpoint) -> Key<'a> {
    (&catalog.service(endpoint.service).name, &endpoint.name)
}
