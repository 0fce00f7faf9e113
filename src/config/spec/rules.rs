//! Regions, prices, jurisdictions, networks, residency rules and latencies as written.

use std::net::SocketAddr;

use ipnet::IpNet;

use crate::config::diagnostic::{Code, Finding};
use crate::config::keys;
use crate::config::leaf::{Latency, Money, ProbeAt};
use crate::config::source::{At, Place};
use crate::config::walk::Table;
use crate::limits::REFERENCES_MAX;
use crate::units::{Coordinates, MicroUsd, Micros};

use super::is_word;

/// `[region.NAME]`.
#[derive(Debug)]
pub(in crate::config) struct RegionSpec {
    /// Where it is declared.
    pub(in crate::config) place: Place,
    /// The cloud, if told.
    pub(in crate::config) cloud: Option<Box<str>>,
    /// The country, if told.
    pub(in crate::config) country: Option<At<Box<str>>>,
    /// Where it is, if told.
    pub(in crate::config) at: Option<Coordinates>,
    /// Words of the operator's.
    pub(in crate::config) tags: Vec<Box<str>>,
    /// Prices, if told.
    pub(in crate::config) price: PriceSpec,
}

/// `price` of a region or an endpoint.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::config) struct PriceSpec {
    /// A gigabyte of egress.
    pub(in crate::config) egress_per_gb: Option<MicroUsd>,
    /// An hour of a virtual CPU.
    pub(in crate::config) cpu_hour: Option<MicroUsd>,
}

/// `[jurisdiction.NAME]`.
#[derive(Debug)]
pub(in crate::config) struct JurisdictionSpec {
    /// Where it is declared.
    pub(in crate::config) place: Place,
    /// Its countries, or built-in unions.
    pub(in crate::config) countries: Vec<At<Box<str>>>,
}

/// `[network.NAME]`.
#[derive(Debug)]
pub(in crate::config) struct NetworkSpec {
    /// Where it is declared.
    pub(in crate::config) place: Place,
    /// Its prefixes.
    pub(in crate::config) prefixes: Vec<At<IpNet>>,
    /// Its country, if told.
    pub(in crate::config) country: Option<At<Box<str>>>,
    /// Its subdivision, if told.
    pub(in crate::config) subdivision: Option<At<Box<str>>>,
    /// Where it is, if told.
    pub(in crate::config) at: Option<Coordinates>,
}

/// `[residency.NAME]`.
#[derive(Debug)]
pub(in crate::config) struct ResidencySpec {
    /// Where it is declared.
    pub(in crate::config) place: Place,
    /// Selectors of clients.
    pub(in crate::config) clients: Vec<At<Box<str>>>,
    /// Selectors of regions.
    pub(in crate::config) regions: Vec<At<Box<str>>>,
    /// Whether it applies to unknown clients.
    pub(in crate::config) applies_to_unknown: bool,
}

/// One entry of `[latency]`.
#[derive(Debug)]
pub(in crate::config) struct LatencySpec {
    /// Selector of clients.
    pub(in crate::config) clients: At<Box<str>>,
    /// The region.
    pub(in crate::config) region: At<Box<str>>,
    /// Round-trip time.
    pub(in crate::config) rtt: Micros,
}

/// Reads a region.
pub(super) fn region(place: Place, mut table: Table<'_, '_>) -> RegionSpec {
    let spec = RegionSpec {
        place,
        cloud: word(&mut table, "cloud"),
        country: table.take_at("country"),
        at: table.take("at"),
        tags: words(&mut table, "tags"),
        price: price(&mut table),
    };
    table.done();
    spec
}

/// Reads the `price` of a region or an endpoint.
pub(super) fn price(table: &mut Table<'_, '_>) -> PriceSpec {
    let subject = format!("the price of {}", table.subject());
    let Some(mut price) = table.table("price", &keys::PRICE, subject) else { return PriceSpec::default() };
    let mut money = |key| price.take::<Money>(key).map(|money| money.0);
    let spec = PriceSpec { egress_per_gb: money("egress-per-gb"), cpu_hour: money("cpu-hour") };
    price.done();
    spec
}

/// Reads a union of countries.
pub(super) fn jurisdiction(place: Place, mut table: Table<'_, '_>) -> JurisdictionSpec {
    let spec = JurisdictionSpec { place, countries: table.need_list("countries") };
    table.done();
    spec
}

/// Reads a network.
pub(super) fn network(place: Place, mut table: Table<'_, '_>) -> NetworkSpec {
    let spec = NetworkSpec {
        place,
        prefixes: table.need_list("prefixes"),
        country: table.take_at("country"),
        subdivision: table.take_at("subdivision"),
        at: table.take("at"),
    };
    table.done();
    spec
}

/// Reads a residency rule.
pub(super) fn residency(place: Place, mut table: Table<'_, '_>) -> ResidencySpec {
    if table.place_of("unknown").is_none() {
        table.missing("unknown", "\"apply\" or \"exempt\": what holds for clients whose jurisdiction nobody knows has no default");
    }
    let spec = ResidencySpec {
        place,
        applies_to_unknown: table.choice("unknown", &[("apply", true), ("exempt", false)]).unwrap_or(true),
        clients: table.need_list("clients"),
        regions: table.need_list("regions"),
    };
    table.done();
    spec
}

/// Reads the tables of `[latency]`.
pub(super) fn latencies(top: &mut Table<'_, '_>, all: &mut Vec<LatencySpec>) {
    for (clients, value) in top.named("latency") {
        let subject = format!("latency of \"{}\"", clients.value);
        let Some(table) = top.open(&clients.value, clients.place, value, &keys::FILE, subject.clone()) else { continue };
        for (region, value) in table.into_named() {
            if let Some(rtt) = top.leaf::<Latency>(&region.value, &value) {
                all.push(LatencySpec { clients: clients.clone(), region, rtt: rtt.value.0 });
            }
        }
    }
}

/// Reads `[vantage]`: the references, distinct.
pub(super) fn vantage(mut table: Table<'_, '_>) -> Vec<SocketAddr> {
    let mut references = Vec::new();
    for at in table.need_list::<ProbeAt>("reference") {
        let wrong = match at.value.port.map(|port| SocketAddr::new(at.value.address, port)) {
            None => "has no port, as in \"192.0.2.1:53\"",
            Some(reference) if references.contains(&reference) => "stands here twice",
            Some(_) if references.len() == REFERENCES_MAX => "is one too many",
            Some(reference) => {
                references.push(reference);
                continue;
            }
        };
        let message = format!("{}: `reference` must be up to {REFERENCES_MAX} distinct addresses with ports", table.subject());
        table.report(Finding::at(Code::WrongValue, at.place, message).label(wrong));
    }
    table.done();
    references
}

/// A word: letters, digits, hyphens, underscores, dots.
pub(super) fn word(table: &mut Table<'_, '_>, key: &'static str) -> Option<Box<str>> {
    let at = table.take_at::<Box<str>>(key)?;
    checked(table, key, at)
}

/// A list of words.
pub(super) fn words(table: &mut Table<'_, '_>, key: &'static str) -> Vec<Box<str>> {
    let list = table.list::<Box<str>>(key);
    let mut words: Vec<Box<str>> = list.into_iter().filter_map(|at| checked(table, key, at)).collect();
    words.sort();
    words.dedup();
    words
}

/// The text, if it is a word; else reports it.
fn checked(table: &Table<'_, '_>, key: &str, at: At<Box<str>>) -> Option<Box<str>> {
    if is_word(&at.value) {
        return Some(at.value);
    }
    let message = format!("{}: `{key}` must be a word", table.subject());
    table.report(Finding::at(Code::WrongValue, at.place, message).label("only letters, digits, `-`, `_` and `.`"));
    None
}
