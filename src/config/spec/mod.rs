//! What the files say, before anything is looked up: typed, with places, not yet linked.
//!
//! One file's tree is read into these and dropped before the next file is parsed, since a tree takes some forty times its text.

mod depends;
mod endpoint;
mod probe;
mod rules;
mod safety;
mod service;
mod zone;

use std::collections::BTreeMap;

use toml::de::DeTable;

pub(super) use depends::{DependsSpec, Least};
pub(super) use endpoint::EndpointSpec;
pub(super) use probe::{ProbeChoice, ProbeFamilies, ProbeForm};
pub(super) use rules::{JurisdictionSpec, LatencySpec, NetworkSpec, PriceSpec, RegionSpec, ResidencySpec};
pub(super) use service::{AllDownSpec, ServiceSpec};
pub(super) use zone::{RecordSpec, SoaSpec, ZoneSpec};

use super::diagnostic::{Code, Finding, Findings};
use super::keys;
use super::source::{At, Place, SourceFile};
use super::walk::Table;
use crate::catalog::Safety;

/// All that the files say.
#[derive(Debug, Default)]
pub(super) struct Specs {
    /// Declared regions by name.
    pub(super) regions: BTreeMap<Box<str>, RegionSpec>,
    /// Declared unions of countries by name.
    pub(super) jurisdictions: BTreeMap<Box<str>, JurisdictionSpec>,
    /// Networks by name.
    pub(super) networks: BTreeMap<Box<str>, NetworkSpec>,
    /// Residency rules by name.
    pub(super) residencies: BTreeMap<Box<str>, ResidencySpec>,
    /// Probe templates by name.
    pub(super) probes: BTreeMap<Box<str>, (Place, Vec<ProbeForm>)>,
    /// Declared latencies.
    pub(super) latencies: Vec<LatencySpec>,
    /// References of the vantage, and where they are declared.
    pub(super) vantage: Option<(Place, Vec<std::net::SocketAddr>)>,
    /// What operators may not do by accident, and where that stands.
    pub(super) safety: Option<(Place, Safety)>,
    /// Zones.
    pub(super) zones: Vec<ZoneSpec>,
}

impl Specs {
    /// Reads one file. Its mistakes go to `findings`, whatever is right is kept.
    pub(super) fn read(&mut self, findings: &Findings, file: u32, source: &SourceFile) {
        let (tree, errors) = DeTable::parse_recoverable(&source.text);
        for error in errors {
            let span = error.span().unwrap_or(0..0);
            findings.add(Finding::at(Code::Syntax, Place::new(file, span), error.message().to_owned()).label("here"));
        }
        let mut top = Table::top(findings, file, &keys::FILE, tree.into_inner());
        self.read_shared(&mut top);
        self.zones.extend(zone::read(&mut top));
        top.done();
    }

    /// Reads what may stand in any file.
    fn read_shared(&mut self, top: &mut Table<'_, '_>) {
        let findings = top.findings();
        for (name, table) in top.tables("region", &keys::REGION, "region", "") {
            let spec = rules::region(name.place, table);
            declare(findings, &mut self.regions, name, spec, "region", |spec| spec.place);
        }
        for (name, table) in top.tables("jurisdiction", &keys::JURISDICTION, "jurisdiction", "") {
            let spec = rules::jurisdiction(name.place, table);
            declare(findings, &mut self.jurisdictions, name, spec, "jurisdiction", |spec| spec.place);
        }
        for (name, table) in top.tables("network", &keys::NETWORK, "network", "") {
            let spec = rules::network(name.place, table);
            declare(findings, &mut self.networks, name, spec, "network", |spec| spec.place);
        }
        for (name, table) in top.tables("residency", &keys::RESIDENCY, "residency rule", "") {
            let spec = rules::residency(name.place, table);
            declare(findings, &mut self.residencies, name, spec, "residency rule", |spec| spec.place);
        }
        for (name, table) in top.tables("probe", &keys::PROBES, "probe template", "") {
            let spec = (name.place, probe::forms(table));
            declare(findings, &mut self.probes, name, spec, "probe template", |spec| spec.0);
        }
        rules::latencies(top, &mut self.latencies);
        if let Some(table) = top.table("vantage", &keys::VANTAGE, "the vantage") {
            let place = table.place();
            let references = rules::vantage(table);
            match &self.vantage {
                Some((first, _)) => {
                    let finding = Finding::at(Code::Duplicate, place, "the vantage is declared twice".to_owned());
                    findings.add(finding.label("declared again here").related(*first, "first declared here"));
                }
                None => self.vantage = Some((place, references)),
            }
        }
        safety::read(top, &mut self.safety);
    }
}

/// Puts a declaration under its name, or reports that the name is taken or is no name.
fn declare<S>(findings: &Findings, all: &mut BTreeMap<Box<str>, S>, name: At<Box<str>>, spec: S, noun: &str, place: impl Fn(&S) -> Place) {
    if !is_word(&name.value) {
        return findings.add(bad_word(&name, noun));
    }
    if let Some(first) = all.get(&name.value) {
        let message = format!("{noun} \"{}\" is declared twice", name.value);
        findings.add(Finding::at(Code::Duplicate, name.place, message).label("declared again here").related(place(first), "first declared here"));
        return;
    }
    all.insert(name.value, spec);
}

/// Whether a text can be a name of the operator's: letters, digits, hyphens, underscores, dots.
fn is_word(text: &str) -> bool {
    !text.is_empty() && text.len() <= 128 && text.bytes().all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_' | b'.'))
}

/// That a text cannot be a name of the operator's.
fn bad_word(name: &At<Box<str>>, noun: &str) -> Finding {
    let message = format!("{noun} \"{}\" has an impossible name", name.value.escape_default());
    Finding::at(Code::BadName, name.place, message).label("only letters, digits, `-`, `_` and `.`")
}
