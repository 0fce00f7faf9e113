//! Zones: their records and services become owner names.

use super::Context;
use super::digest;
use crate::catalog::{Catalog, Endpoint, Name, Service, ServiceId, ZoneId};
use crate::config::Masters;
use crate::config::diagnostic::{Code, Finding, Findings};
use crate::config::records::{self, Problem, Problems, ServiceName, StaticRecord, ZoneInput, master, parse_rdata};
use crate::config::source::{At, Place, SourceFile};
use crate::config::spec::{RecordSpec, SoaSpec, ZoneSpec};

/// A zone whose services are linked and whose master files have not been read.
pub(super) struct Pending {
    /// What is known so far.
    input: ZoneInput,
    /// TTL of records that say none.
    record_ttl: u32,
    /// Master files still to be read.
    masters: Vec<At<Box<str>>>,
    /// Where `soa` is written, if it is: it must not stand in a master file, too.
    soa: records::SoaSpec,
    /// Whether `[soa]` is written.
    soa_written: bool,
}

/// Links a zone's services, and reads its inline records.
pub(super) fn input(id: ZoneId, mut spec: ZoneSpec, context: &mut Context<'_>, services: &mut Vec<Service>, endpoints: &mut Vec<Endpoint>) -> Pending {
    let findings = context.findings;
    let mut own = std::mem::take(&mut spec.services);
    own.sort_by(|one, other| (&one.name, one.place).cmp(&(&other.name, other.place)));
    let mut names: Vec<ServiceName> = Vec::with_capacity(own.len());
    for service in own {
        if let Some(first) = names.last().filter(|last| last.name == service.name) {
            let finding = Finding::at(Code::Duplicate, service.place, format!("service {} is declared twice", service.name));
            findings.add(finding.label("declared again here").related(first.place, "first declared here"));
            continue;
        }
        let service_id = ServiceId(u32::try_from(services.len()).unwrap_or(u32::MAX));
        let (place, first) = (service.place, endpoints.len());
        let linked = context.service(id, service_id, service, endpoints);
        let digest = digest::of_service(&linked, &endpoints[first..], &context.aliases);
        names.push(ServiceName { name: linked.name.clone(), id: service_id, kind: linked.kind, digest, place });
        services.push(linked);
    }
    lint_negative_ttl(&spec.soa, &spec.apex.value, findings);
    let soa_written = spec.soa.place != spec.apex.place;
    Pending {
        record_ttl: spec.record_ttl.0,
        masters: std::mem::take(&mut spec.masters),
        soa: soa(&spec.soa),
        soa_written,
        input: ZoneInput { records: inline(&spec, findings), name: spec.apex.value, place: spec.apex.place, soa: None, services: names },
    }
}

/// Reads the master files and builds zones and owner names.
pub(super) fn build(zones: Vec<Pending>, catalog: &mut Catalog, sources: &mut Vec<SourceFile>, masters: &Masters<'_>, findings: &Findings) {
    let mut inputs = Vec::with_capacity(zones.len());
    for mut zone in zones {
        for file in &zone.masters {
            read_master(&mut zone.input, file, zone.record_ttl, sources, masters, findings);
        }
        let has_soa = zone.input.records.iter().any(|record| record.rtype == SOA && record.owner == zone.input.name);
        zone.input.soa = (zone.soa_written || !has_soa).then_some(zone.soa);
        inputs.push(zone.input);
    }
    if findings.has_syntax_error() {
        return;
    }
    let built = records::build(&inputs);
    add_problems(built.problems, findings);
    catalog.owners = built.owners;
    catalog.zones = built.zones;
}

/// TYPE of SOA.
const SOA: u16 = 6;

/// Reads one master file, and what it includes.
fn read_master(zone: &mut ZoneInput, file: &At<Box<str>>, record_ttl: u32, sources: &mut Vec<SourceFile>, masters: &Masters<'_>, findings: &Findings) {
    let folder_of = |name: &str| name.rsplit_once('/').map(|(folder, _)| folder.to_owned()).unwrap_or_default();
    let asking = sources.get(file.place.file as usize).map(|source| source.name.clone()).unwrap_or_default();
    let mut fetch = |folder: &str, path: &str| -> Result<(u32, String), String> {
        let path = master::confined(folder, path).ok_or_else(|| "only files within the folder of the zones can be read".to_owned())?;
        let (name, text) = masters(&asking, &path)?;
        let number = u32::try_from(sources.len()).unwrap_or(u32::MAX);
        sources.push(SourceFile { name: name.into(), text: text.as_str().into() });
        Ok((number, text))
    };
    let (number, text) = match fetch("", &file.value) {
        Ok(read) => read,
        Err(wrong) => {
            let message = format!("the records of zone {} cannot be read", zone.name);
            return findings.add(Finding::at(Code::BadRecord, file.place, message).label(wrong));
        }
    };
    let top = folder_of(&file.value);
    let mut include = |_from: u32, path: &str| fetch(&top, path);
    let read = master::read(number, &text, &zone.name, Some(record_ttl), &mut include);
    add_problems(read.problems, findings);
    zone.records.extend(read.records);
}

/// The inline records, and those of the name servers.
fn inline(spec: &ZoneSpec, findings: &Findings) -> Vec<StaticRecord> {
    let mut records = Vec::new();
    let apex = &spec.apex.value;
    for (host, addresses) in &spec.ns {
        records.push(StaticRecord::ns(apex.clone(), &host.value, spec.record_ttl.0, host.place));
        if let (false, Some(first)) = (host.value.is_within(apex), addresses.first()) {
            let finding = Finding::at(Code::BadRecord, first.place, format!("name server {} is not within zone {apex}", host.value));
            findings.add(finding.label("its addresses belong to its own zone").help("write an empty list"));
            continue;
        }
        records.extend(addresses.iter().map(|address| StaticRecord::address(host.value.clone(), address.value, spec.record_ttl.0, address.place)));
    }
    records.extend(spec.records.iter().filter_map(|record| inline_record(record, spec, findings)));
    records
}

/// One inline record.
fn inline_record(record: &RecordSpec, spec: &ZoneSpec, findings: &Findings) -> Option<StaticRecord> {
    match parse_rdata(&record.rtype.value, &record.data.value, &spec.apex.value) {
        Ok((rtype, rdata)) => {
            let ttl = record.ttl.unwrap_or(spec.record_ttl).0;
            Some(StaticRecord { owner: record.owner.clone(), rtype, ttl, rdata, place: record.data.place })
        }
        Err(wrong) => {
            let message = format!("this {} record of {} does not read", record.rtype.value, record.owner);
            let place = within(record.data.place, &record.data.value, &wrong.span);
            findings.add(Finding::at(Code::BadRecord, place, message).label(wrong.message).maybe_help(wrong.help));
            None
        }
    }
}

/// The piece `span` of a text that stands between quotes at a place; the whole where escapes or long quotes hide which octets those are.
fn within(place: Place, text: &str, span: &std::ops::Range<usize>) -> Place {
    let written = (place.end - place.start) as usize;
    if written != text.len() + 2 || span.end > text.len() || span.is_empty() {
        return place;
    }
    let start = place.start as usize + 1;
    Place::new(place.file, start + span.start..start + span.end)
}

/// What the SOA record says.
fn soa(spec: &SoaSpec) -> records::SoaSpec {
    records::SoaSpec {
        ttl: spec.ttl.0,
        mname: spec.mname.clone(),
        rname: spec.rname.clone(),
        serial: spec.serial,
        refresh: spec.refresh.0,
        retry: spec.retry.0,
        expire: spec.expire.0,
        minimum: spec.minimum.0,
        place: spec.place,
    }
}

/// Lints negative answers that live long: an empty answer while everything is down would stay as long.
fn lint_negative_ttl(soa: &SoaSpec, apex: &Name, findings: &Findings) {
    if let (true, Some(place)) = (soa.minimum.0.min(soa.ttl.0) > 60, soa.minimum_place) {
        let message = format!("negative answers of zone {apex} live longer than a minute");
        findings.add(Finding::at(Code::NegativeTtlLong, place, message).label("so long does a name that was missing stay missing in caches"));
    }
}

/// Takes over what the reader of records found.
fn add_problems(problems: Problems, findings: &Findings) {
    for Problem { severity, place, message, help, related } in problems.list {
        let code = if severity == records::Severity::Error { Code::BadRecord } else { Code::OddRecord };
        let mut finding = Finding::at(code, place, message).maybe_help(help);
        if let Some((place, what)) = related {
            finding = finding.related(place, what);
        }
        findings.add(finding);
    }
    findings.count_more(problems.unlisted);
}
