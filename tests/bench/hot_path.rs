//! Instructions of the hot path under valgrind, with the limits that they must keep. `scripts/bench-instructions` runs it.
#![allow(missing_docs, clippy::missing_docs_in_private_items, clippy::unwrap_used)] // what the macros make has no docs

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use aya_gslb::answer::{Ask, Outcome, Policy, Scratch, Transport, answer};
use aya_gslb::config::{SourceFile, compile};
use aya_gslb::geo::Geo;
use aya_gslb::health::Status;
use aya_gslb::steer::{self, Client, Decision, Family, Silent, decide};
use aya_gslb::units::Moment;
use aya_gslb::world::World;
use gungraun::prelude::*;
use gungraun::{Callgrind, EventKind};

/// Twelve regions of three clouds.
const REGIONS: [&str; 12] = [
    "aws-eu-west-1",
    "aws-eu-central-1",
    "aws-us-east-1",
    "aws-us-west-2",
    "aws-ap-southeast-1",
    "aws-sa-east-1",
    "gcp-europe-west3",
    "gcp-us-central1",
    "gcp-asia-northeast1",
    "azure-westeurope",
    "azure-eastus",
    "azure-australiaeast",
];

/// What a query needs, and its octets.
struct Case {
    world: World,
    ask: Ask<'static>,
    query: Vec<u8>,
    scratch: Scratch,
    reply: Vec<u8>,
}

/// Two services in all regions, scored by distance, under a residency rule: `api` by price as well, `shared` with near equals sharing the
/// clients.
fn world() -> World {
    let mut text = String::from(
        r#"
        zone = "gslb.example.com"
        network.office = { prefixes = ["198.51.100.0/24"], country = "DE", at = [50.1, 8.7] }
        network.branch = { prefixes = ["203.0.113.0/24"], country = "US", at = [40.7, -74.0] }
        residency.eu = { clients = ["EU"], regions = ["EU"], unknown = "exempt" }
        ns = { ns1 = ["192.0.2.53"], ns2 = ["198.51.100.53"] }
        [record.static]
        A = "192.0.2.80"
        [service.api]
        residency = ["eu"]
        request = { egress = "50 kB" }
        steering = { by = "score", latency-per-usd = "2 ms" }
        "#,
    );
    let endpoints = |service: &str| -> String {
        let endpoint = |(number, region)| format!("[service.{service}.endpoint.{region}]\na = [\"192.0.2.{number}\"]\naaaa = [\"2001:db8::{number}\"]\n");
        REGIONS.iter().enumerate().map(endpoint).collect()
    };
    text += &endpoints("api");
    text += "[service.shared]\nresidency = [\"eu\"]\nsteering = { by = \"score\", spread = \"20 ms\" }\n";
    text += &endpoints("shared");
    let source = SourceFile { name: "bench.toml".into(), text: text.into() };
    let catalog = compile(vec![source], &|_, _| Err("none".into())).unwrap_or_else(|failure| panic!("{failure}")).catalog;
    let geo = Geo::compile(&catalog, &[]).unwrap();
    let mut world = World::unmeasured(1, Arc::new(catalog), Arc::new(geo));
    world.statuses.of.fill(Status::UP);
    world
}

/// A query that has been answered before. It lives for ever, so that dropping it is not measured.
fn case(name: &str, subnet: Option<[u8; 3]>) -> &'static mut Case {
    let opt = match subnet {
        Some([a, b, c]) => vec![0, 0, 41, 4, 208, 0, 0, 0x80, 0, 0, 11, 0, 8, 0, 7, 0, 1, 24, 0, a, b, c],
        None => vec![0, 0, 41, 4, 208, 0, 0, 0x80, 0, 0, 0],
    };
    let labels = name.split('.').flat_map(|label| std::iter::once(u8::try_from(label.len()).unwrap()).chain(label.bytes()));
    let query = [0x12, 0x34, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1].into_iter().chain(labels).chain([0, 0, 1, 0, 1]).chain(opt).collect();
    let policy: &'static Policy = Box::leak(Box::default());
    let ask = Ask { source: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 250)), transport: Transport::Udp, now: Moment(1), policy };
    let mut case = Box::new(Case { world: world(), ask, query, scratch: Scratch::default(), reply: vec![0; 1232] });
    let outcome = answer(&case.query, &case.ask, &case.world, &mut case.scratch, &mut case.reply);
    assert_eq!(case.reply[7], 1, "an answer: {outcome:?}");
    Box::leak(case)
}

#[library_benchmark]
#[bench::steered_with_subnet(case("api.gslb.example.com", Some([198, 51, 100])))]
#[bench::steered_with_subnet_mixed_case(case("aPi.GsLb.ExAmPlE.cOm", Some([203, 0, 113])))]
#[bench::steered_without_subnet(case("api.gslb.example.com", None))]
fn answer_warm(case: &'static mut Case) -> Outcome {
    black_box(answer(&case.query, &case.ask, &case.world, &mut case.scratch, &mut case.reply))
}

// What is not steered goes the general way.
#[library_benchmark]
#[bench::static_name(case("static.gslb.example.com", None))]
fn answer_static(case: &'static mut Case) -> Outcome {
    black_box(answer(&case.query, &case.ask, &case.world, &mut case.scratch, &mut case.reply))
}

/// What is to be decided for a client in New York, whom no rule binds.
fn decision() -> (&'static World, steer::Ask) {
    let world = Box::leak(Box::new(world()));
    let client = Client::at(IpAddr::V4(Ipv4Addr::new(203, 0, 113, 0)), 24, &world.geo);
    let service = world.catalog.service_named(&"api.gslb.example.com".parse().unwrap()).unwrap();
    (world, steer::Ask { service, client, family: Family::Any })
}

// Where several share the clients, a lot is drawn for each of them: by the client's prefix, so that it cannot be kept in the cell.
#[library_benchmark]
#[bench::shared_with_subnet(case("shared.gslb.example.com", Some([198, 51, 100])))]
fn answer_shared(case: &'static mut Case) -> Outcome {
    black_box(answer(&case.query, &case.ask, &case.world, &mut case.scratch, &mut case.reply))
}

#[library_benchmark]
#[bench::twelve_endpoints(decision())]
fn decide_cold((world, ask): (&'static World, steer::Ask)) -> Decision {
    black_box(decide(&ask, world, &mut Silent))
}

library_benchmark_group!(
    name = answering,
    config = LibraryBenchmarkConfig::default().tool(Callgrind::default().hard_limits([(EventKind::Ir, 905)])),
    benchmarks = answer_warm
);
library_benchmark_group!(
    name = resting,
    config = LibraryBenchmarkConfig::default().tool(Callgrind::default().hard_limits([(EventKind::Ir, 1015)])),
    benchmarks = answer_static
);
library_benchmark_group!(
    name = sharing,
    config = LibraryBenchmarkConfig::default().tool(Callgrind::default().hard_limits([(EventKind::Ir, 1880)])),
    benchmarks = answer_shared
);
library_benchmark_group!(
    name = deciding,
    config = LibraryBenchmarkConfig::default().tool(Callgrind::default().hard_limits([(EventKind::Ir, 1460)])),
    benchmarks = decide_cold
);

main!(library_benchmark_groups = [answering, resting, sharing, deciding]);
