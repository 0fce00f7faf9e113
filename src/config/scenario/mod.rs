//! A scenario file → what is simulated, or every mistake at once, those of its zones among them.

pub mod keys;
mod lines;

use std::path::{Path, PathBuf};

use toml::de::DeTable;

use super::diagnostic::{Code, Finding, Findings};
use super::leaf::{Deviation, Millis, Rate, Ratio};
use super::load::{folder_of, load, read};
use super::source::{At, Place, SourceFile};
use super::walk::{Leaf, Table};
use super::{Failure, recording, unreadable};
use crate::catalog::{Catalog, glob, known};
use crate::demand::Clients;
use crate::geo::Code as Country;
use crate::limits::{CONTROL_TICK_MS, RECORDING_OCTETS_MAX, TOML_FILE_OCTETS_MAX};
use crate::simulate::{Amount, Demand, Scenario, Target};

/// A scenario, and what it plays on.
#[derive(Debug)]
pub struct ScenarioFile {
    /// What is to happen and to hold.
    pub scenario: Scenario,
    /// The zones: those of the start first, then those that are loaded, in the order of their events.
    pub catalogs: Vec<Catalog>,
    /// MMDB files, or folders of them.
    pub geoip: Vec<PathBuf>,
}

/// A word of the file that must mean something in the zones.
enum Word {
    /// Endpoints.
    Target(Target),
    /// Services.
    Service(Box<str>),
    /// Regions.
    Region(Box<str>),
}

/// What a file says, its words not yet looked up.
#[derive(Default)]
struct Draft {
    /// The scenario.
    scenario: Scenario,
    /// Paths of the first zones, then of those of each reload.
    zones: Vec<Vec<PathBuf>>,
    /// Paths of geography.
    geoip: Vec<PathBuf>,
    /// The path of recorded clients.
    recording: Option<At<PathBuf>>,
    /// Words and where they stand.
    words: Vec<(Place, Word)>,
}

/// Reads a scenario and its zones.
///
/// # Errors
/// Every mistake in either; a file that cannot be read among them.
pub fn read_scenario(path: &Path) -> Result<ScenarioFile, Failure> {
    let findings = Findings::default();
    let text = read(path, TOML_FILE_OCTETS_MAX).unwrap_or_else(|why| {
        findings.add(unreadable(path, why));
        String::new()
    });
    let source = SourceFile { name: path.display().to_string().into(), text: text.into() };
    let mut draft = if findings.has_error() { Draft::default() } else { draft(&findings, &source, folder_of(path)) };
    let mut sources = vec![source];
    if let Some(At { value: path, place }) = draft.recording.take() {
        match read(&path, RECORDING_OCTETS_MAX) {
            Ok(text) => {
                draft.scenario.clients = Clients::Recorded(recording::entries(&findings, 1, &text));
                sources.push(SourceFile { name: path.display().to_string().into(), text: text.into() });
            }
            Err(why) => findings.add(Finding::at(Code::Unreadable, place, format!("{} cannot be read", path.display())).label(why)),
        }
    }
    let (mut catalogs, mut failures) = (Vec::new(), Vec::new());
    for zones in draft.zones.iter().filter(|zones| !zones.is_empty()) {
        match load(zones) {
            Ok(loaded) => catalogs.push(loaded.catalog),
            Err(failure) => failures.push(failure),
        }
    }
    if failures.is_empty() && !catalogs.is_empty() {
        draft.words.iter().for_each(|(place, word)| look_up(&findings, *place, word, &catalogs));
    }
    let is_wrong = findings.has_error() || !failures.is_empty();
    let (mut diagnostics, mut more) = findings.finish(&sources);
    for failure in failures {
        diagnostics.extend(failure.diagnostics);
        more += failure.more;
        sources.extend(failure.sources);
        // The same zones may be loaded twice.
        diagnostics.dedup();
    }
    if is_wrong { Err(Failure { diagnostics, more, sources }) } else { Ok(ScenarioFile { scenario: draft.scenario, catalogs, geoip: draft.geoip }) }
}

/// Reads what the file says.
fn draft(findings: &Findings, source: &SourceFile, folder: &Path) -> Draft {
    let (tree, errors) = DeTable::parse_recoverable(&source.text);
    for error in errors {
        findings.add(Finding::at(Code::Syntax, Place::new(0, error.span().unwrap_or(0..0)), error.message().to_owned()).label("here"));
    }
    let mut top = Table::top(findings, 0, &keys::FILE, tree.into_inner());
    let mut draft = Draft::default();
    let beside = |paths: Vec<At<Box<str>>>| paths.into_iter().map(|at| folder.join(&*at.value)).collect();
    draft.zones.push(beside(top.need_list("zones")));
    draft.geoip = beside(top.list("geoip"));
    let length = top.need::<Millis>("for");
    if let Some(at) = length.filter(|at| at.value.0 == 0) {
        findings.add(Finding::at(Code::WrongValue, at.place, "the file: `for` must be more than zero").label("nothing can happen"));
    }
    draft.scenario.length_ms = length.map_or(0, |at| u64::from(at.value.0));
    draft.scenario.seed = top.whole("seed", 0..=u32::MAX).map_or(1, u64::from);
    draft.scenario.step_ms = step(&mut top);
    clients(&mut top, &mut draft, folder);
    demand(&mut top, &mut draft);
    lines::events(&mut top, &mut draft, folder);
    lines::expectations(&mut top, &mut draft);
    top.done();
    draft
}

/// Reads how often the controller looks at its clock.
fn step(top: &mut Table<'_, '_>) -> u64 {
    let Some(at) = top.take_at::<Millis>("step") else { return CONTROL_TICK_MS };
    if !(10..=60_000).contains(&at.value.0) {
        top.report(Finding::at(Code::WrongValue, at.place, "the file: `step` must be from 10 ms to 1 min").label("out of range"));
    }
    u64::from(at.value.0)
}

/// Reads who asks: countries, or where they are recorded.
fn clients(top: &mut Table<'_, '_>, draft: &mut Draft, folder: &Path) {
    let Some((place, value)) = top.raw("clients") else { return };
    if matches!(value.get_ref(), toml::de::DeValue::String(_)) {
        draft.recording = top.leaf::<Box<str>>("clients", &value).map(|at| At { value: folder.join(&*at.value), place: at.place });
    } else if matches!(value.get_ref(), toml::de::DeValue::Table(_)) {
        let named = top.open("clients", place, value, &keys::FILE, String::new()).map(Table::into_named).unwrap_or_default();
        let countries = countries(top, named);
        if !countries.is_empty() {
            draft.scenario.clients = Clients::Countries(countries.into());
        }
    } else if !value.span().is_empty() {
        let place = Place::new(0, value.span());
        let message = "the file: `clients` must be a table of countries or the path of a recording";
        top.report(Finding::at(Code::WrongValue, place, message).label("neither"));
    }
}

/// Reads countries and their weights.
fn countries(top: &Table<'_, '_>, named: Vec<(At<Box<str>>, toml::Spanned<toml::de::DeValue<'_>>)>) -> Vec<(Country, u64)> {
    let mut clients = Vec::new();
    for (country, value) in named {
        let weight = top.leaf::<i64>(&country.value, &value);
        let Some(code) = Country::parse(&country.value).filter(|code| known::country(code.as_str()).is_some()) else {
            let message = format!("clients: there is no country \"{}\"", country.value.escape_default());
            top.report(Finding::at(Code::UnknownCountry, country.place, message).label("no ISO 3166-1 code"));
            continue;
        };
        let Some(weight) = weight else { continue };
        if let Ok(number) = u32::try_from(weight.value) {
            clients.push((code, number.into()));
        } else {
            let message = "clients: a weight must be a whole number from 0 to 4294967295";
            top.report(Finding::at(Code::WrongValue, weight.place, message).label("out of range"));
        }
    }
    clients
}

/// Reads what is asked for.
fn demand(top: &mut Table<'_, '_>, draft: &mut Draft) {
    let Some(mut table) = top.table("demand", &keys::DEMAND, "the demand") else { return };
    let mut demands = Vec::new();
    for (service, value) in table.named("service") {
        // With `%` it is a share of the peak.
        let is_share = matches!(value.get_ref(), toml::de::DeValue::String(text) if text.trim_end().ends_with('%'));
        let amount = if is_share {
            table.leaf::<Ratio>(&service.value, &value).map(|at| Amount::OfPeak(at.value.0))
        } else {
            table.leaf::<Rate>(&service.value, &value).map(|at| Amount::Rps(at.value.0))
        };
        draft.words.push((service.place, Word::Service(service.value.clone())));
        demands.extend(amount.map(|amount| Demand { service: service.value, amount }));
    }
    draft.scenario.demands = demands.into();
    draft.scenario.wrong_by = table.take::<Deviation>("wrong-by").map_or(0, |wrong| wrong.0);
    draft.scenario.reported = table.take("reported").unwrap_or(false);
    table.done();
}

/// Which endpoints are meant.
impl Leaf for Target {
    const EXPECTED: &'static str = "a target such as \"region:aws-eu-west-1\", \"cloud:aws\" or \"endpoint:api.example.com/frankfurt\"";

    fn read(value: &toml::de::DeValue<'_>) -> Result<Self, super::walk::Wrong> {
        let text = super::walk::text(value)?;
        let wrong = || super::walk::Wrong::What("neither region:, cloud: nor endpoint:".into());
        let (kind, name) = text.split_once(':').filter(|(_, name)| !name.is_empty()).ok_or_else(wrong)?;
        match kind {
            "region" => Ok(Self::Region(name.into())),
            "cloud" => Ok(Self::Cloud(name.into())),
            "endpoint" => Ok(Self::Endpoint(name.into())),
            _ => Err(wrong()),
        }
    }
}

/// Reports a word that means nothing in any of the zones.
fn look_up(findings: &Findings, place: Place, word: &Word, catalogs: &[Catalog]) {
    let services = || catalogs.iter().flat_map(|catalog| &catalog.services);
    let regions = || catalogs.iter().flat_map(|catalog| &catalog.regions);
    let (is_known, message, hint) = match word {
        Word::Target(target) => {
            let hint = match target {
                Target::Region(name) => findings.hints.did_you_mean(name, regions().map(|region| &*region.name)),
                Target::Cloud(name) => findings.hints.did_you_mean(name, regions().map(|region| &*region.cloud)),
                Target::Endpoint(name) => {
                    let names = catalogs.iter().flat_map(|catalog| &catalog.endpoints).map(|endpoint| &*endpoint.name);
                    findings.hints.did_you_mean(name.rsplit('/').next().unwrap_or_default(), names)
                }
            };
            (catalogs.iter().any(|catalog| target.endpoints(catalog).next().is_some()), format!("no endpoint of the zones is meant by \"{target}\""), hint)
        }
        Word::Service(name) => {
            let is_known = services().any(|service| glob(name, &service.label) || glob(name, &service.name.to_string()));
            (is_known, format!("no service is called \"{name}\""), findings.hints.did_you_mean(name, services().map(|service| &*service.label)))
        }
        Word::Region(name) => {
            let hint = findings.hints.did_you_mean(name, regions().map(|region| &*region.name));
            (regions().any(|region| glob(name, &region.name)), format!("no region is called \"{name}\""), hint)
        }
    };
    if !is_known {
        findings.add(Finding::at(Code::BadSelector, place, message).label("names nothing").maybe_help(hint));
    }
}
