//! Endpoints as written.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::depends::{self, DependsSpec};
use super::probe::{ProbeChoice, choice};
use super::rules::{PriceSpec, price};
use super::{bad_word, is_word};
use crate::catalog::Name;
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
    pub(in crate::config) first: Option<std::net::IpAddr>,
    /// Canonical name.
    pub(in crate::config) cname: Option<Name>,
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
    /// What it depends on, instead of what the service says.
    pub(in crate::config) depends_on: Option<DependsSpec>,
}

/// Reads an endpoint; names are relative to `apex`.
pub(super) fn read(name: At<Box<str>>, mut table: Table<'_, '_>, apex: &Name) -> Option<EndpointSpec> {
    if !is_word(&name.value) {
        table.report(bad_word(&name, "endpoint"));
        return None;
    }
    let (a, first_a) = addresses::<Ipv4Addr>(&mut table, "a");
    let (aaaa, first_aaaa) = addresses::<Ipv6Addr>(&mut table, "aaaa");
    let cname = canonical(&mut table, apex);
    if let Some(at) = cname.as_ref().filter(|_| !(a.is_empty() && aaaa.is_empty())) {
        let message = format!("{} has both addresses and a canonical name", table.subject());
        table.report(Finding::at(Code::MixedAnswers, at.place, message).label("a CNAME stands alone (RFC 1034 section 3.6.2)"));
    }
    if a.is_empty() && aaaa.is_empty() && cname.is_none() && table.place_of("cname").is_none() {
        let message = format!("{} has no address", table.subject());
        table.report(Finding::at(Code::NoAddress, name.place, message).label("needs `a`, `aaaa` or `cname`"));
    }
    let spec = EndpointSpec {
        place: name.place,
        name: name.value,
        region: table.take_at("region"),
        a,
        aaaa,
        first: first_a.map(Into::into).or_else(|| first_aaaa.map(Into::into)),
        cname: cname.map(|at| at.value),
        weight: table.whole("weight", 0..=WEIGHT_MAX).unwrap_or(100),
        bias: table.take::<Signed>("bias").map_or(Micros::ZERO, |bias| bias.0),
        capacity: table.take::<Rate>("capacity").map(|rate| rate.0),
        labels: labels(&mut table),
        price: price(&mut table),
        probe: choice(&mut table).map(Box::new),
        probe_at: table.take("probe-at"),
        depends_on: depends::read(&mut table),
    };
    table.done();
    Some(spec)
}

/// Addresses of one family, sorted; and the one written first.
fn addresses<T: Leaf + Ord + Copy + std::fmt::Display>(table: &mut Table<'_, '_>, key: &'static str) -> (Box<[T]>, Option<T>) {
    let list = table.list::<T>(key);
    let first = list.first().map(|at| at.value);
    let mut addresses: Vec<T> = Vec::with_capacity(list.len());
    for at in list {
        if addresses.contains(&at.value) {
            let message = format!("{}: {} stands in `{key}` twice", table.subject(), at.value);
            table.report(Finding::at(Code::Duplicate, at.place, message).label("again here"));
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

/// Labels, sorted by key.
fn labels(table: &mut Table<'_, '_>) -> Box<[(Box<str>, Box<str>)]> {
    let named = table.named("labels");
    named.into_iter().filter_map(|(key, value)| Some((key.value, table.leaf::<Box<str>>("labels", &value)?.value))).collect()
}
