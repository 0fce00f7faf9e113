//! Times what a node does with a GeoIP database: reading it, compiling it, asking it. Prints, judges nothing; `scripts/bench-geography`
//! runs it. Takes paths of databases; without any, the one that is shipped.
#![expect(clippy::disallowed_methods, clippy::print_stdout, reason = "a benchmark reads the clock and prints")]

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Instant;

use aya_gslb::catalog::{Catalog, ClientSet, Region, Selector, known};
use aya_gslb::config::geoip::read_databases;
use aya_gslb::geo::Geo;

/// Look-ups of each kind.
const LOOKUPS: u32 = 4_000_000;

fn main() {
    let paths: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let paths = if paths.is_empty() { vec![concat!(env!("CARGO_MANIFEST_DIR"), "/geoip").to_owned()] } else { paths };
    let catalog = catalog();

    let start = Instant::now();
    let databases = read_databases(&paths).expect("databases that can be read");
    let read = start.elapsed();
    let start = Instant::now();
    let geo = Geo::compile(&catalog, &databases).expect("places enough for every rule");
    let compiled = start.elapsed();
    let peak = peak_kib();
    let decoded: usize = databases.iter().map(|source| source.database.octets()).sum();
    println!("read and decoded   {:8.1} ms  {:6.1} MB kept for the next catalog", millis(read), megabytes(decoded));
    println!(
        "compiled           {:8.1} ms  {:6.1} MB table, {} ranges, {} localities",
        millis(compiled),
        megabytes(geo.octets()),
        geo.ranges(),
        geo.localities().count()
    );
    println!("both               {:8.1} ms  {:6.1} MB VmHWM", millis(read + compiled), megabytes(peak * 1024));

    let v4 = |random: u64| IpAddr::V4(Ipv4Addr::from_bits(u32::try_from(random >> 32).expect("32 bits are left")));
    let v6 = |random: u64| IpAddr::V6(Ipv6Addr::from_bits((0x2000 << 112) | (u128::from(random >> 3) << 64)));
    for (name, address, len) in [("IPv4 /24", &v4 as &dyn Fn(u64) -> IpAddr, 24), ("IPv6 /56", &v6, 56), ("IPv4 /8, wide", &v4, 8), ("IPv6 /16, wide", &v6, 16)]
    {
        let start = Instant::now();
        let mut random = 0x9e37_79b9_7f4a_7c15_u64;
        for _ in 0..LOOKUPS {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            black_box(geo.locate(address(random), len));
        }
        println!("locate {name:<15} {:5.1} ns", start.elapsed().as_secs_f64() * 1e9 / f64::from(LOOKUPS));
    }
}

/// A catalog with a dozen regions, and rules for the EU, the US and unknown clients.
fn catalog() -> Catalog {
    let names = ["aws-ap-northeast-1", "aws-ap-south-1", "aws-ap-southeast-1", "aws-ap-southeast-2", "aws-ca-central-1", "aws-eu-central-1"];
    let more = ["aws-eu-west-1", "aws-sa-east-1", "aws-us-east-1", "aws-us-west-2", "gcp-europe-west3", "gcp-us-central1"];
    let regions = names.iter().chain(&more).map(|name| {
        let known = known::cloud_region(name).expect("a known region");
        let jurisdictions = Box::new([known.country.into()]);
        Region { name: (*name).into(), cloud: known.cloud.into(), country: known.country.into(), at: known.at, tags: Box::default(), jurisdictions }
    });
    let union = |name: &str| ClientSet {
        selectors: [Selector::Jurisdiction(name.into())].into(),
        countries: known::countries()
            .iter()
            .filter(|country| country.unions.contains(&name) || country.code == name)
            .map(|country| country.code.into())
            .collect(),
    };
    let unknown = ClientSet { selectors: [Selector::Unknown].into(), countries: Box::default() };
    Catalog { regions: regions.collect(), client_sets: [unknown, union("EU"), union("US")].into(), ..Catalog::default() }
}

/// Milliseconds of a duration.
fn millis(duration: std::time::Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// Millions of octets.
#[expect(clippy::cast_precision_loss, reason = "printed with one decimal")]
fn megabytes(octets: usize) -> f64 {
    octets as f64 / 1e6
}

/// The most memory that the process has had, in KiB; 0 where the system does not tell.
fn peak_kib() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}
