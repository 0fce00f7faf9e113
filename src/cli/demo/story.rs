//! What the demo tells: what a client gets and why, how the regions are, and what a change of the world moved.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use super::Node;
use crate::catalog::Name;
use crate::control::{Change, IntentChange};
use crate::explain::{Explanation, Question, explain};
use crate::health::Health;
use crate::server::doh;
use crate::steer::Family;
use crate::world::World;

/// A client that the demo speaks of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    /// The service it asks for, below [`ZONE`].
    pub(super) service: &'static str,
    /// Its address.
    pub(super) address: [u8; 4],
    /// Where it is, for people.
    pub(super) place: &'static str,
}

/// The zone of the demo.
pub(super) const ZONE: &str = "gslb.example.com";

/// Names of the demo's name servers; its certificate is for these, too.
pub(super) const NAMES: [&str; 2] = ["ns1.gslb.example.com", "ns2.gslb.example.com"];

/// A client of a service, in a place.
const fn sample(service: &'static str, address: [u8; 4], place: &'static str) -> Sample {
    Sample { service, address, place }
}

/// The clients that the demo's script asks as, and that changes are told for.
pub(super) const SAMPLES: &[Sample] = &[
    sample("api", [84, 128, 0, 0], "Germany"),
    sample("api", [73, 0, 0, 0], "United States"),
    sample("api", [126, 0, 0, 0], "Japan"),
    sample("api", [177, 32, 0, 0], "Brazil"),
    sample("shop", [90, 0, 0, 0], "France"),
    sample("shop", [1, 128, 0, 0], "Australia"),
    sample("batch", [41, 13, 0, 0], "South Africa"),
    sample("www", [49, 32, 0, 0], "India"),
    sample("llm", [99, 224, 0, 0], "Canada"),
    sample("edge", [128, 95, 0, 0], "Seattle"),
];

/// What the client of a sample gets in this world, and why; `None` if the world has no such service.
pub(super) fn explained(world: &World, sample: &Sample) -> Option<Explanation> {
    let name = Name::parse(&format!("{}.{ZONE}.", sample.service), &Name::root()).ok()?;
    let service = world.catalog.service_named(&name)?;
    Some(explain(&Question { service, family: Family::V4, address: IpAddr::from(sample.address), source_len: 24 }, world))
}

/// What is answered, in a few words: `192.0.2.10 (aws-eu-west-1)`.
fn answer(told: &Explanation) -> String {
    let given = told.endpoints.iter().filter(|endpoint| endpoint.answer.is_some());
    let words = given.map(|endpoint| format!("{} ({})", endpoint.addresses.first().unwrap_or(&endpoint.endpoint), endpoint.region));
    match told.verdict {
        "serve" => words.collect::<Vec<_>>().join(", "),
        other => other.to_owned(),
    }
}

/// Why the first of the answer is the first: its bill, or how the service chooses.
fn why(told: &Explanation) -> String {
    match told.endpoints.first() {
        Some(first) if first.answer.is_some() && told.by == "score" => first.bill.to_string(),
        _ => format!("by {}", told.by),
    }
}

/// How the probed endpoints of each region are, in a word or two.
pub(super) fn regions(world: &World) -> BTreeMap<String, String> {
    let mut counts: BTreeMap<&str, BTreeMap<Health, usize>> = BTreeMap::new();
    for (endpoint, status) in world.catalog.endpoints.iter().zip(&world.statuses.of) {
        if !endpoint.probes.is_empty() {
            *counts.entry(&world.catalog.region(endpoint.region).name).or_default().entry(status.health).or_default() += 1;
        }
    }
    let words = |healths: BTreeMap<Health, usize>| {
        if healths.len() == 1 {
            return healths.keys().map(ToString::to_string).collect();
        }
        healths.iter().map(|(health, count)| format!("{count} {health}")).collect::<Vec<_>>().join(", ")
    };
    counts.into_iter().map(|(region, healths)| (region.to_owned(), words(healths))).collect()
}

/// The script to try: a `dig` line for each sample, and what it will say.
pub(super) fn script(world: &World, server: SocketAddr) -> String {
    let mut text = String::new();
    for sample in SAMPLES {
        let Some(told) = explained(world, sample) else { continue };
        let [a, b, c, d] = sample.address;
        let (ip, port, service) = (server.ip(), server.port(), sample.service);
        let _ = writeln!(text, "  dig +short +subnet={a}.{b}.{c}.{d}/24 @{ip} -p {port} {service}.{ZONE}");
        let _ = writeln!(text, "      {}: {}; {}", sample.place, answer(&told), why(&told));
    }
    text
}

/// How to ask over the encrypted transports, verified by the authority in this file.
pub(super) fn encrypted(authority: &Path, node: &Node) -> String {
    let authority = authority.display();
    let mut text = format!("Encrypted, verified by the certificate of this demo's own authority, {authority}:\n\n");
    let mut tell = |transport: &str, server: &SocketAddr| {
        let (ip, port, name) = (server.ip(), server.port(), NAMES[0]);
        let _ = writeln!(text, "  kdig +short +tls-ca={authority} +tls-hostname={name} {transport} @{ip} -p {port} api.{ZONE}");
    };
    node.tls_addresses().iter().for_each(|server| tell("+tls", server));
    node.https_addresses().iter().for_each(|server| tell("+https", server));
    node.quic_addresses().iter().for_each(|server| tell("+quic", server));
    for server in node.https_addresses() {
        let (ip, port, name, path) = (server.ip(), server.port(), NAMES[0], doh::PATH);
        let _ = writeln!(text, "  dig +short +https +tls-ca={authority} +tls-hostname={name} @{ip} -p {port} api.{ZONE}");
        // The query for the address of api, in base64url (RFC 8484 §4.1).
        let query = "AAABAAABAAAAAAAAA2FwaQRnc2xiB2V4YW1wbGUDY29tAAABAAE";
        let _ = writeln!(text, "  curl -sD- -o /dev/null --cacert {authority} --connect-to {name}:443:{server} 'https://{name}{path}?dns={query}'");
    }
    text.push('\n');
    text
}

/// Over which endpoints another override has the say, a line for each override.
pub(super) fn intents(changes: &[IntentChange]) -> String {
    let mut groups: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for change in changes {
        let told = match (&change.to, &change.from) {
            (Some(note), _) => note.to_string(),
            (None, Some(note)) => format!("no longer {} ({})", note.deed, change.why),
            (None, None) => continue,
        };
        groups.entry(told).or_default().push(change.endpoint.endpoint.to_string());
    }
    let mut text = String::new();
    for (told, mut endpoints) in groups {
        endpoints.sort();
        endpoints.dedup();
        let _ = writeln!(text, "{}: {told}", endpoints.join(", "));
    }
    text
}

/// What changed from one world to the next, a line each; empty when nothing that the demo tells did. `causes` say why a region is
/// other than it was.
pub(super) fn changes(before: &World, after: &World, causes: &[Change]) -> String {
    let mut text = String::new();
    let earlier = regions(before);
    for (region, health) in regions(after) {
        if let Some(was) = earlier.get(&region).filter(|was| **was != health) {
            let cause = causes.iter().find(|change| *change.endpoint.endpoint == *region).map(|change| format!(" ({})", change.why));
            let _ = writeln!(text, "{region}: {was} → {health}{}", cause.unwrap_or_default());
        }
    }
    for sample in SAMPLES {
        let (Some(was), Some(is)) = (explained(before, sample), explained(after, sample)) else { continue };
        let (was, now) = (answer(&was), answer(&is));
        if was != now {
            let _ = writeln!(text, "  {:5} for {}: {was} → {now} [{}]", sample.service, sample.place, is.reason);
        }
    }
    text
}
