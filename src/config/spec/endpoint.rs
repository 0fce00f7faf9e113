//! Endpoints as written.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::depends::{self, DependsSpec};
use super::probe::{ProbeChoice, ProbeFamilies, choice, probe_families};
use super::rules::{PriceSpec, price};
use super::{bad_word, is_word};
use crate::catalog::{AddressType, AddressTypes, Name, unusable};
use crate::config::diagnostic::{Code, Finding};
use crate::config::leaf::{ProbeAt, Rate, Signed};
use crate::config::source::{At, Place};
use crate::config::walk::{Leaf, Table};
use crate::limits::WEIGHT_MAX;
use crate::units::Micros;

/// `[service.NAME.endpoint.NAME]`.
#[derive(Debug)]
pub(in crate::config) struct EndpointSpec {
    /// Its name.
    pub(in crate::config) name: Box<str>,
    /// Where it is declared.
    pub(in crate::config) place: Place,
    /// Its region, when that is not its name.
    pub(in crate::config) region: Option<At<Box<str>>>,
    /// IPv4 addresses, sorted.
    pub(in crate::config) a: Box<[Ipv4Addr]>,
    /// IPv6 addresses, sorted.
    pub(in crate::config) aaaa: Box<[Ipv6Addr]>,
    /// Where a probe goes by default: the address written first.
    pub(in crate::config) first: Option<IpAddr>,
    /// The IPv6 address written first.
    pub(in crate::config) first_v6: Option<Ipv6Addr>,
    /// Canonical name.
    pub(in crate::config) cname: Option<Name>,
    /// The name that its addresses are looked up by.
    pub(in crate::config) alias: Option<At<Name>>,
    /// The types of its addresses: those written, or those wanted of the alias. Empty for an alias that leaves that to the service.
    pub(in crate::config) types: AddressTypes,
    /// Share of the clients.
    pub(in crate::config) weight: u32,
    /// Added to the score.
    pub(in crate::config) bias: Micros,
    /// Requests per second.
    pub(in crate::config) capacity: Option<u64>,
    /// Labels, sorted.
    pub(in crate::config) labels: Box<[(Box<str>, Box<str>)]>,
    /// Its own prices.
    pub(in crate::config) price: PriceSpec,
    /// Its own probes.
    pub(in crate::config) probe: Option<Box<ProbeChoice>>,
    /// Where it is probed.
    pub(in crate::config) probe_at: Option<ProbeAt>,
    /// The families that it is probed on, instead of what the service says; and where that stands.
    pub(in crate::config) probe_families: Option<At<ProbeFamilies>>,
    /// What it depends on, instead of what the service says.
    pub(in crate::config) depends_on: Option<DependsSpec>,
}

/// Reads an endpoint; names are relative to `apex`.
pub(super) fn read(name: At<Box<str>>, mut table: Table<'_, '_>, apex: &Name) -> Option<EndpointSpec> {
    if !is_word(&name.value) {
        table.report(bad_word(&name, "endpoint"));
        return None;
    }
    // What is written and wrong is told as that, and not as missing.
    let says_where = ["a", "aaaa", "cname", "alias"].iter().any(|key| table.says(key));
    let (a, first_a) = addresses::<Ipv4Addr>(&mut table, "a");
    let (aaaa, first_aaaa) = addresses::<Ipv6Addr>(&mut table, "aaaa");
    let cname = canonical(&mut table, apex);
    if let Some(at) = cname.as_ref().filter(|_| !(a.is_empty() && aaaa.is_empty())) {
        let message = format!("{} has both addresses and a canonical name", table.subject());
        table.report(Finding::at(Code::MixedAnswers, at.place, message).label("a CNAME stands alone (RFC 1034 section 3.6.2)"));
    }
    let wrong_alias = table.place_of("alias").is_some();
    let alias = alias(&mut table);
    let written = AddressTypes { a: !a.is_empty(), aaaa: !aaaa.is_empty() };
    if let Some(at) = alias.as_ref().filter(|_| !written.is_empty() || cname.is_some()) {
        let message = format!("{} has an alias and something beside it", table.subject());
        table.report(Finding::at(Code::MixedAnswers, at.place, message).label("an endpoint has either `a` and `aaaa`, or `alias`, or `cname`"));
    }
    if !says_where {
        let message = format!("{} has no address", table.subject());
        table.report(Finding::at(Code::NoAddress, name.place, message).label("needs `a`, `aaaa`, `alias` or `cname`"));
    }
    let types = written.or(alias_types(&mut table, alias.is_some() || wrong_alias));
    let spec = EndpointSpec {
        place: name.place,
        name: name.value,
        region: table.take_at("region"),
        a,
        aaaa,
        first_v6: first_aaaa,
        first: first_a.map(Into::into).or_else(|| first_aaaa.map(Into::into)),
        cname: cname.map(|at| at.value),
        alias,
        types,
        weight: table.whole("weight", 0..=WEIGHT_MAX).unwrap_or(100),
        bias: table.take::<Signed>("bias").map_or(Micros::ZERO, |bias| bias.0),
        capacity: table.take::<Rate>("capacity").map(|rate| rate.0),
        labels: labels(&mut table),
        price: price(&mut table),
        probe: choice(&mut table).map(Box::new),
        probe_at: table.take("probe-at"),
        probe_families: probe_families(&mut table),
        depends_on: depends::read(&mut table),
    };
    if let (Some(at), Some(_)) = (&spec.probe_families, spec.probe_at) {
        let message = format!("{} has both `probe-at` and `probe-families`", table.subject());
        table.report(Finding::at(Code::Conflict, at.place, message).label("`probe-at` says where it is asked, and nowhere else"));
    }
    table.done();
    Some(spec)
}

/// Addresses of one family, sorted; and the one written first.
fn addresses<T: Leaf + Ord + Copy + Into<IpAddr> + std::fmt::Display>(table: &mut Table<'_, '_>, key: &'static str) -> (Box<[T]>, Option<T>) {
    let list = table.list::<T>(key);
    let first = list.first().map(|at| at.value);
    let mut addresses: Vec<T> = Vec::with_capacity(list.len());
    for at in list {
        if addresses.contains(&at.value) {
            let message = format!("{}: {} stands in `{key}` twice", table.subject(), at.value);
            table.report(Finding::at(Code::Duplicate, at.place, message).label("again here"));
        } else if let Some(why) = unusable(at.value.into()) {
            let message = format!("{}: no client can use {} in `{key}`", table.subject(), at.value);
            table.report(Finding::at(Code::WrongValue, at.place, message).label(format!("this is {why}")));
        } else {
            addresses.push(at.value);
        }
    }
    addresses.sort_unstable();
    (addresses.into(), first)
}

/// The canonical name.
fn canonical(table: &mut Table<'_, '_>, apex: &Name) -> Option<At<Name>> {
    let text = table.take_at::<Box<str>>("cname")?;
    match Name::parse(&text.value, apex) {
        Ok(value) => Some(At { value, place: text.place }),
        Err(wrong) => {
            let message = format!("{}: `cname` must be a domain name", table.subject());
            table.report(Finding::at(Code::BadName, text.place, message).label(wrong.to_string()));
            None
        }
    }
}

/// The name that addresses are looked up by: a whole one, of a host (RFC 1123 §2.1).
fn alias(table: &mut Table<'_, '_>) -> Option<At<Name>> {
    let text = table.take_at::<Box<str>>("alias")?;
    let message = format!("{}: `alias` must be the whole name of a host", table.subject());
    let wrong = |label: String| Finding::at(Code::BadName, text.place, message).label(label);
    if text.value.parse::<IpAddr>().is_ok() {
        table.report(wrong("this is an address".into()).help("write it as `a` or `aaaa`"));
        return None;
    }
    let is_host = |label: &[u8]| {
        let ends_well = |octet: Option<&u8>| octet.is_some_and(u8::is_ascii_alphanumeric);
        ends_well(label.first()) && ends_well(label.last()) && label.iter().all(|octet| octet.is_ascii_alphanumeric() || *octet == b'-')
    };
    match Name::parse(&text.value, &Name::root()) {
        Err(why) => table.report(wrong(why.to_string())),
        Ok(name) if !name.labels().all(is_host) => {
            table.report(wrong("labels of hosts are of letters, digits and inner hyphens (RFC 1123 section 2.1)".into()));
        }
        Ok(name) if name.label_count() < 2 => table.report(wrong("this is no whole name".into()).help("it is not relative to the zone")),
        Ok(value) => return Some(At { value, place: text.place }),
    }
    None
}

/// The types that an alias is to be looked up for, if they are written.
fn alias_types(table: &mut Table<'_, '_>, has_alias: bool) -> AddressTypes {
    let place = table.place_of("alias-types");
    let mut types = AddressTypes::NONE;
    let list = if place.is_some() { table.need_list::<Box<str>>("alias-types") } else { Vec::new() };
    for at in list {
        let Some(of) = table.choose("alias-types", &at, &AddressType::ALL.map(|of| (of.as_str(), of))) else { continue };
        if types.has(of) {
            let message = format!("{}: {} stands in `alias-types` twice", table.subject(), of.as_str());
            table.report(Finding::at(Code::Duplicate, at.place, message).label("again here"));
        }
        types = types.with(of);
    }
    match place {
        Some(place) if !has_alias => {
            let message = format!("{} has `alias-types` and no `alias`", table.subject());
            table.report(Finding::at(Code::Conflict, place, message).label("nothing is looked up"));
            AddressTypes::NONE
        }
        _ => types,
    }
}

/// Labels, sorted by key.
fn labels(table: &mut Table<'_, '_>) -> Box<[(Box<str>, Box<str>)]> {
    let named = table.named("labels");
    named.into_iter().filter_map(|(key, value)| Some((key.value, table.leaf::<Box<str>>("labels", &value)?.value))).collect()
}
