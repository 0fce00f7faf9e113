//! Aliases: identical ones made one, and the types that each is looked up for.

use std::collections::BTreeMap;

use crate::catalog::{AddressType, AddressTypes, Alias, AliasId, Aliased, AnswerKind, Name};
use crate::config::diagnostic::{Code, Finding, Findings};
use crate::config::spec::{EndpointSpec, ServiceSpec};
use crate::limits::STEERED_ADDRESSES_MAX;

/// The aliases met so far.
pub(super) struct Aliases {
    /// The apexes of all zones.
    apexes: Vec<Name>,
    /// By name: their types, and the numbers that were given for them.
    met: BTreeMap<Name, (AddressTypes, u32)>,
    /// Their names in the order of those numbers.
    names: Vec<Name>,
}

impl Aliases {
    /// Of zones with these apexes.
    pub(super) const fn new(apexes: Vec<Name>) -> Self {
        Self { apexes, met: BTreeMap::new(), names: Vec::new() }
    }

    /// An endpoint's share in its alias, if it has one. `answers` is how many endpoints an answer of its service names.
    pub(super) fn of_endpoint(&mut self, endpoint: &EndpointSpec, answers: u8, findings: &Findings) -> Option<Aliased> {
        let name = endpoint.alias.as_ref()?;
        if let Some(apex) = self.apexes.iter().find(|apex| name.value.is_within(apex)) {
            let message = format!("endpoint \"{}\" has an alias inside of zone {apex}", endpoint.name);
            let finding = Finding::at(Code::BadName, name.place, message).label("this node would ask itself in a circle");
            findings.add(finding.help("write the addresses themselves"));
            return None;
        }
        let next = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        let (types, id) = self.met.entry(name.value.clone()).or_insert((AddressTypes::NONE, next));
        *types = types.or(endpoint.types);
        if *id == next {
            self.names.push(name.value.clone());
        }
        Some(Aliased { id: AliasId(*id), types: endpoint.types, most: u8::try_from(share(answers)).unwrap_or(u8::MAX) })
    }

    /// The name of an alias met so far.
    pub(super) fn name(&self, id: AliasId) -> Option<&Name> {
        self.names.get(id.index())
    }

    /// The aliases in canonical order, and for each number given so far its number in that order.
    pub(super) fn finish(self) -> (Box<[Alias]>, Vec<u32>) {
        let mut numbers = vec![0; self.met.len()];
        let aliases = (0..).zip(self.met).map(|(number, (name, (types, before)))| {
            numbers[before as usize] = number;
            Alias { name, types }
        });
        (aliases.collect(), numbers)
    }
}

/// Most addresses of one type that an aliased endpoint gives to an answer of so many endpoints: nobody knows beforehand how many it will have.
pub(super) fn share(answers: u8) -> usize {
    STEERED_ADDRESSES_MAX / usize::from(answers.max(1))
}

/// Decides what aliases that do not say it are looked up for: what the other endpoints of the service have, else A.
pub(super) fn settle_types(spec: &mut ServiceSpec) {
    let told = spec.endpoints.iter().fold(AddressTypes::NONE, |types, endpoint| types.or(endpoint.types));
    let default = if told.is_empty() { told.with(AddressType::A) } else { told };
    for endpoint in spec.endpoints.iter_mut().filter(|endpoint| endpoint.alias.is_some() && endpoint.types.is_empty()) {
        endpoint.types = default;
    }
}

/// Reports endpoints of different families in a service that decides for all types at once.
pub(super) fn check_families(spec: &ServiceSpec, kind: AnswerKind, findings: &Findings) {
    if kind == AnswerKind::Cname || spec.families == crate::catalog::Families::Separate {
        return;
    }
    for of in AddressType::ALL {
        let with = spec.endpoints.iter().find(|endpoint| endpoint.types.has(of));
        let without = spec.endpoints.iter().find(|endpoint| !endpoint.types.has(of) && !endpoint.types.is_empty());
        let (Some(with), Some(without)) = (with, without) else { continue };
        let written = |endpoint: &EndpointSpec| {
            if endpoint.alias.is_some() { format!("{} in `alias-types`", of.as_str()) } else { format!("`{}`", of.as_str().to_lowercase()) }
        };
        let message = format!("service \"{}\" has endpoints of different address families", spec.label);
        let finding = Finding::at(Code::MixedFamilies, without.place, message).label(format!("has no {}", written(without)));
        let help = format!("one decision serves A and AAAA: give it {}, or write `families = \"separate\"` in the service", written(without));
        findings.add(finding.related(with.place, format!("has {}", written(with))).help(help));
    }
}
