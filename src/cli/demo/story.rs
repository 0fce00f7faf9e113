//! What the demo tells: what a client gets and why, how the regions are, and what a change of the world moved.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::IpAddr;

use crate::catalog::{Name, ServiceId};
use crate::health::Health;
use crate::steer::{Ask, Client, Family, Reason, Recorder, Step, Verdict, decide};
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
];

/// What a client gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Given {
    /// Addresses or name, and regions; or what is answered instead.
    pub(super) what: String,
    /// Why this and not the plain best.
    pub(super) reason: Reason,
    /// The bill of the first endpoint, if it was scored.
    pub(super) bill: Option<String>,
}

/// What the client of a sample gets in this world; `None` if the world has no such service.
pub(super) fn given(world: &World, sample: &Sample) -> Option<Given> {
    let name = Name::parse(&format!("{}.{ZONE}.", sample.service), &Name::root()).ok()?;
    Some(given_to(world, world.catalog.service_named(&name)?, sample))
}

/// What the client of a sample gets from a service.
fn given_to(world: &World, service: ServiceId, sample: &Sample) -> Given {
    let client = Client::at(IpAddr::from(sample.address), 24, &world.geo);
    let mut recorder = Recorder::default();
    let chosen = decide(&Ask { service, client, family: Family::Any }, world, &mut recorder).choose(&client);
    let endpoints = chosen.endpoints();
    let what = match chosen.verdict {
        Verdict::Serve => endpoints.iter().map(|id| words_for(world, *id)).collect::<Vec<_>>().join(", "),
        Verdict::Nodata => "no address".to_owned(),
        Verdict::Servfail => "SERVFAIL".to_owned(),
    };
    Given { what, reason: chosen.reason, bill: endpoints.first().and_then(|first| bill(&recorder.steps, *first)) }
}

/// An endpoint as answered: `192.0.2.10 (aws-eu-west-1)`.
fn words_for(world: &World, id: crate::catalog::EndpointId) -> String {
    let endpoint = world.catalog.endpoint(id);
    let region = &world.catalog.region(endpoint.region).name;
    let first = endpoint.a.first().map(ToString::to_string).or_else(|| endpoint.cname.as_ref().map(ToString::to_string));
    format!("{} ({region})", first.unwrap_or_else(|| endpoint.name.to_string()))
}

/// The bill of an endpoint: `18.2 ms rtt + 9.1 ms price = 27.3 ms`.
fn bill(steps: &[Step], wanted: crate::catalog::EndpointId) -> Option<String> {
    steps.iter().find_map(|step| match *step {
        Step::Scored { endpoint, rtt, price, load, penalty, bias, total } if endpoint == wanted => {
            let mut text = format!("{rtt} rtt");
            for (amount, what) in [(price, "price"), (load, "load"), (penalty, "penalty"), (bias, "bias")] {
                if amount.0 != 0 {
                    let _ = write!(text, " + {amount} {what}");
                }
            }
            let _ = write!(text, " = {total}");
            Some(text)
        }
        _ => None,
    })
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
        let word = |health: &Health| match health {
            Health::Unknown => "unknown",
            Health::Up => "up",
            Health::Degraded => "degraded",
            Health::Down => "down",
        };
        if healths.len() == 1 {
            return healths.keys().map(word).collect();
        }
        healths.iter().map(|(health, count)| format!("{count} {}", word(health))).collect::<Vec<_>>().join(", ")
    };
    counts.into_iter().map(|(region, healths)| (region.to_owned(), words(healths))).collect()
}

/// The script to try: a `dig` line for each sample and what it will say.
pub(super) fn script(world: &World, server: std::net::SocketAddr) -> String {
    let mut text = String::new();
    for sample in SAMPLES {
        let Some(given) = given(world, sample) else { continue };
        let [a, b, c, d] = sample.address;
        let _ = writeln!(
            text,
            "  dig +short +subnet={a}.{b}.{c}.{d}/24 @{} -p {} {}.{ZONE}\n      {} → {}{}",
            server.ip(),
            server.port(),
            sample.service,
            sample.place,
            given.what,
            given.bill.map(|bill| format!(": {bill}")).unwrap_or_default()
        );
    }
    text
}

/// What changed from one world to the next, a line each; empty when nothing that the demo tells did.
pub(super) fn changes(before: &World, after: &World) -> String {
    let mut text = String::new();
    let earlier = regions(before);
    for (region, health) in regions(after) {
        if let Some(was) = earlier.get(&region).filter(|was| **was != health) {
            let _ = writeln!(text, "{region}: {was} → {health}");
        }
    }
    for sample in SAMPLES {
        let (Some(was), Some(is)) = (given(before, sample), given(after, sample)) else { continue };
        if was.what != is.what || was.reason != is.reason {
            let _ = writeln!(text, "  {:5} for {}: {} → {} [{}]", sample.service, sample.place, was.what, is.what, is.reason.as_str());
        }
    }
    text
}
