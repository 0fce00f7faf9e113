//! A zone as written: apex, name servers, SOA, records, services.

use std::net::IpAddr;

use toml::Spanned;
use toml::de::DeValue;

use super::service::{self, ServiceSpec};
use crate::catalog::{HttpsTemplate, Name};
use crate::config::diagnostic::{Code, Finding};
use crate::config::keys;
use crate::config::leaf::{Seconds, Text};
use crate::config::records::base64;
use crate::config::source::{At, Place};
use crate::config::walk::Table;
use crate::units::Ttl;

/// Most octets of HTTPS parameters beside hints: with the question, hints and OPT they fit one datagram.
const HTTPS_PARAMS_OCTETS_MAX: usize = 512;

/// A zone.
#[derive(Debug)]
pub(in crate::config) struct ZoneSpec {
    /// Its apex.
    pub(in crate::config) apex: At<Name>,
    /// Master files.
    pub(in crate::config) masters: Vec<At<Box<str>>>,
    /// TTL of records that say none.
    pub(in crate::config) record_ttl: Ttl,
    /// Name servers with their addresses, in order of names.
    pub(in crate::config) ns: Vec<(At<Name>, Vec<At<IpAddr>>)>,
    /// The SOA record.
    pub(in crate::config) soa: SoaSpec,
    /// Inline records.
    pub(in crate::config) records: Vec<RecordSpec>,
    /// Services by key.
    pub(in crate::config) services: Vec<ServiceSpec>,
}

/// `[soa]`.
#[derive(Debug)]
pub(in crate::config) struct SoaSpec {
    /// Where it is written: `[soa]` or the zone's name.
    pub(in crate::config) place: Place,
    /// Primary name server, if told.
    pub(in crate::config) mname: Option<Name>,
    /// Mailbox, if told.
    pub(in crate::config) rname: Option<Name>,
    /// Serial, if told.
    pub(in crate::config) serial: Option<u32>,
    /// Seconds.
    pub(in crate::config) refresh: Ttl,
    /// Seconds.
    pub(in crate::config) retry: Ttl,
    /// Seconds.
    pub(in crate::config) expire: Ttl,
    /// Seconds.
    pub(in crate::config) minimum: Ttl,
    /// Where `minimum` is written.
    pub(in crate::config) minimum_place: Option<Place>,
    /// Seconds.
    pub(in crate::config) ttl: Ttl,
}

/// An inline record.
#[derive(Debug)]
pub(in crate::config) struct RecordSpec {
    /// Its owner.
    pub(in crate::config) owner: Name,
    /// Its type as written, and where.
    pub(in crate::config) rtype: At<Box<str>>,
    /// Its data as in a master file.
    pub(in crate::config) data: At<Box<str>>,
    /// Its TTL, if told.
    pub(in crate::config) ttl: Option<Ttl>,
}

/// Reads the zone of a file, if it defines one.
pub(super) fn read(top: &mut Table<'_, '_>) -> Option<ZoneSpec> {
    let Some(apex) = top.take_at::<Box<str>>("zone") else {
        let homeless = ["service", "ns", "soa", "record", "records", "record-ttl"].into_iter().find_map(|key| Some((key, top.place_of(key)?)));
        if let Some((key, place)) = homeless {
            let finding = Finding::at(Code::MissingKey, place, format!("the file has `{key}` but names no zone"));
            top.report(finding.label("belongs to a zone").help("begin the file with `zone = \"gslb.example.com\"`"));
        }
        for key in ["service", "ns", "soa", "record", "records", "record-ttl"] {
            top.raw(key);
        }
        return None;
    };
    let parsed = apex.value.parse::<Name>();
    if let Err(wrong) = &parsed {
        top.report(Finding::at(Code::BadName, apex.place, "`zone` must be a domain name").label(wrong.to_string()));
    }
    // Without a name of its own the rest is read all the same, for its mistakes.
    let named = parsed.is_ok();
    let apex = At { value: parsed.unwrap_or_else(|_| Name::root()), place: apex.place };
    let service_tables = top.tables("service", &keys::SERVICE, "service", "");
    let services = service_tables.into_iter().filter_map(|(key, table)| service::read(&key, table, &apex.value)).collect();
    let spec = ZoneSpec {
        masters: top.list("records"),
        record_ttl: top.take::<Seconds>("record-ttl").map_or(Ttl(3600), |ttl| ttl.0),
        ns: name_servers(top, &apex),
        soa: soa(top, &apex),
        records: records(top, &apex.value),
        services,
        apex,
    };
    named.then_some(spec)
}

/// Reads a name relative to `origin`.
fn name(table: &Table<'_, '_>, text: &At<Box<str>>, origin: &Name) -> Option<Name> {
    match Name::parse(&text.value, origin) {
        Ok(name) => Some(name),
        Err(wrong) => {
            let message = format!("\"{}\" is no domain name", text.value.escape_default());
            table.report(Finding::at(Code::BadName, text.place, message).label(wrong.to_string()));
            None
        }
    }
}

/// Reads `[ns]`.
fn name_servers(top: &mut Table<'_, '_>, apex: &At<Name>) -> Vec<(At<Name>, Vec<At<IpAddr>>)> {
    let mut servers = Vec::new();
    for (host, value) in top.named("ns") {
        let addresses = top.elements::<IpAddr>("ns", value);
        if let Some(value) = name(top, &host, &apex.value) {
            servers.push((At { value, place: host.place }, addresses));
        }
    }
    servers.sort_by(|one, other| one.0.value.cmp(&other.0.value));
    servers
}

/// Reads `[soa]`.
fn soa(top: &mut Table<'_, '_>, apex: &At<Name>) -> SoaSpec {
    let mut spec = SoaSpec {
        place: apex.place,
        mname: None,
        rname: None,
        serial: None,
        refresh: Ttl(3600),
        retry: Ttl(600),
        expire: Ttl(14 * 86_400),
        minimum: Ttl(30),
        minimum_place: None,
        ttl: Ttl(3600),
    };
    let Some(mut table) = top.table("soa", &keys::SOA, "the soa") else { return spec };
    spec.place = table.place();
    spec.mname = table.take_at("mname").and_then(|text| name(&table, &text, &apex.value));
    spec.rname = table.take_at("rname").and_then(|text| name(&table, &text, &apex.value));
    spec.serial = table.whole("serial", 0..=u32::MAX);
    spec.minimum_place = table.place_of("minimum");
    let mut seconds = |key, default: Ttl| table.take::<Seconds>(key).map_or(default, |ttl| ttl.0);
    spec.refresh = seconds("refresh", spec.refresh);
    spec.retry = seconds("retry", spec.retry);
    spec.expire = seconds("expire", spec.expire);
    spec.minimum = seconds("minimum", spec.minimum);
    spec.ttl = seconds("ttl", spec.ttl);
    table.done();
    spec
}

/// Reads the tables of `[record]`.
fn records(top: &mut Table<'_, '_>, apex: &Name) -> Vec<RecordSpec> {
    let mut records = Vec::new();
    for (key, mut table) in top.tables("record", &keys::RECORD, "record", "") {
        let ttl = table.take::<Seconds>("ttl").map(|ttl| ttl.0);
        let Some(owner) = name(&table, &key, apex) else { continue };
        for (rtype, value) in table.into_named() {
            records.extend(data(top, &rtype, value).into_iter().map(|data| RecordSpec { owner: owner.clone(), rtype: rtype.clone(), data, ttl }));
        }
    }
    records
}

/// The data of one type: a text or a list of them.
fn data(top: &Table<'_, '_>, rtype: &At<Box<str>>, value: Spanned<DeValue<'_>>) -> Vec<At<Box<str>>> {
    let texts = top.elements::<Text>(&rtype.value, value);
    texts.into_iter().map(|at| At { value: at.value.0, place: at.place }).collect()
}

/// Reads `https` of a service.
pub(super) fn https(service: &mut Table<'_, '_>) -> Option<HttpsTemplate> {
    let subject = format!("the https of {}", service.subject());
    let mut table = service.table("https", &keys::HTTPS, subject)?;
    let priority = table.whole("priority", 1..=65_535).and_then(|number| u16::try_from(number).ok()).unwrap_or(1);
    let mut before_hints = Vec::new();
    let alpn = alpn(&mut table);
    let has_alpn = !alpn.is_empty();
    if has_alpn {
        param(&mut before_hints, 1, &alpn);
    }
    let no_default_alpn_place = table.place_of("no-default-alpn");
    if table.take("no-default-alpn").unwrap_or(false) {
        param(&mut before_hints, 2, &[]);
        if let (false, Some(place)) = (has_alpn, no_default_alpn_place) {
            let message = format!("{}: `no-default-alpn` needs `alpn`", table.subject());
            table.report(Finding::at(Code::Conflict, place, message).label("would leave no protocol (RFC 9460 section 7.1.1)"));
        }
    }
    if let Some(port) = table.whole("port", 1..=65_535).and_then(|number| u16::try_from(number).ok()) {
        param(&mut before_hints, 3, &port.to_be_bytes());
    }
    let mut between_hints = Vec::new();
    if let Some(ech) = table.take_at::<Box<str>>("ech") {
        if let Some(octets) = base64(&ech.value) {
            param(&mut between_hints, 5, &octets);
        } else {
            let message = format!("{}: `ech` must be base64", table.subject());
            table.report(Finding::at(Code::WrongValue, ech.place, message).label("no base64 (RFC 4648 section 4)"));
        }
    }
    let hints = table.take("hints").unwrap_or(true);
    if before_hints.len() + between_hints.len() > HTTPS_PARAMS_OCTETS_MAX {
        let message = format!("{} is too long for one datagram", table.subject());
        let label = format!("{} octets of parameters, at most {HTTPS_PARAMS_OCTETS_MAX}", before_hints.len() + between_hints.len());
        table.report(Finding::at(Code::AnswerTooLarge, table.place(), message).label(label));
    }
    table.done();
    Some(HttpsTemplate { priority, before_hints: before_hints.into(), between_hints: between_hints.into(), after_hints: Box::default(), hints })
}

/// The value of the parameter `alpn`: each word behind its length.
fn alpn(table: &mut Table<'_, '_>) -> Vec<u8> {
    let mut value = Vec::new();
    for at in table.list::<Box<str>>("alpn") {
        match u8::try_from(at.value.len()) {
            Ok(len) if at.value.is_ascii() && value.len() < 512 => {
                value.push(len);
                value.extend_from_slice(at.value.as_bytes());
            }
            _ => {
                let message = format!("{}: `alpn` cannot be sent so", table.subject());
                table.report(Finding::at(Code::WrongValue, at.place, message).label("too long, or not ASCII"));
            }
        }
    }
    value
}

/// Adds a SvcParam (RFC 9460 §2.2).
fn param(params: &mut Vec<u8>, key: u16, value: &[u8]) {
    params.extend_from_slice(&key.to_be_bytes());
    params.extend_from_slice(&u16::try_from(value.len()).unwrap_or(0).to_be_bytes());
    params.extend_from_slice(value);
}
