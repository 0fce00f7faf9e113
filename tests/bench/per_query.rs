//! Instructions of a whole query as a UDP worker spends them: its source, its answer, its place in the counts; over worlds of several sizes and
//! random clients. `scripts/bench-instructions` runs it and says what is promised; the limits stand below.
#![allow(missing_docs, clippy::missing_docs_in_private_items, clippy::unwrap_used)] // what the macros make has no docs

use std::fmt::Write as _;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, OnceLock};

use aya_gslb::answer::{Ask, Policy, Scratch, Transport, answer, foresee};
use aya_gslb::config::{SourceFile, compile};
use aya_gslb::control::Situations;
use aya_gslb::geo::{Databases, Geo, Mmdb, Source};
use aya_gslb::health::Status;
use aya_gslb::telemetry::Telemetry;
use aya_gslb::telemetry::tally::Counters;
use aya_gslb::units::Moment;
use aya_gslb::world::World;
use gungraun::prelude::*;
use gungraun::{Callgrind, EventKind};

/// Queries of one receive.
const BATCH: usize = 64;
/// Queries that are measured.
const QUERIES: usize = 128 * BATCH;
/// Queries that a core under full load answers from one world where a new one is published every 100 ms.
const QUERIES_OF_A_WORLD: usize = 320 * BATCH;
/// Queries that the worker has answered before.
const BEFORE: usize = 150_000;

/// Most instructions of a query, the worker's loop and its counts included. The aim is 650.
const QUERY_MAX: u64 = 1_100;

/// Regions of three clouds over the world.
const REGIONS: [&str; 12] = [
    "aws-eu-west-1",
    "aws-us-east-1",
    "aws-ap-southeast-1",
    "gcp-us-central1",
    "aws-eu-central-1",
    "aws-us-west-2",
    "aws-sa-east-1",
    "gcp-europe-west3",
    "gcp-asia-northeast1",
    "azure-westeurope",
    "azure-eastus",
    "azure-australiaeast",
];

/// A world to ask.
#[derive(Clone, Copy)]
struct Size {
    /// Its services.
    services: usize,
    /// Endpoints of each, in as many regions.
    regions: usize,
    /// Whether each service has prices of its own, so that no two are decided alike.
    each_its_own: bool,
}

/// A thousand services of one pattern in four regions.
const USUAL: Size = Size { services: 1_000, regions: 4, each_its_own: false };

/// How the clients ask.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Clients {
    /// Resolvers tell their clients' subnets.
    Subnets,
    /// Resolvers tell nothing, and there are many of them.
    Resolvers,
}

/// A worker, and what it will receive.
struct Worker {
    world: Arc<World>,
    next_world: Arc<World>,
    policy: Policy,
    scratch: Scratch,
    counters: Counters,
    _telemetry: Telemetry,
    datagrams: Vec<Datagram>,
    reply: [u8; 1232],
}

struct Datagram {
    source: SocketAddr,
    query: Vec<u8>,
}

/// Random numbers, the same in every run (SplitMix64).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() >> 33).unwrap() % end
    }
}

impl Size {
    /// Its files: five thousand services to a zone.
    fn files(self) -> Vec<SourceFile> {
        let numbers: Vec<usize> = (0..self.services).collect();
        let zones = numbers.chunks(5_000).enumerate().map(|(zone, services)| {
            let mut text = format!("zone = \"z{zone}.gslb.example.com\"\nns = {{ ns1 = [\"192.0.2.53\"], ns2 = [\"198.51.100.53\"] }}\n");
            for number in services {
                let egress = if self.each_its_own { number + 1 } else { 50 };
                write!(text, "[service.s{number}]\nrequest = {{ egress = \"{egress} kB\" }}\nsteering = {{ by = \"score\", latency-per-usd = \"2 ms\" }}\n")
                    .unwrap();
                for region in 0..self.regions {
                    let (net, high, low) = (40 + region + 20 * (number / 50_000), number / 250 % 200, number % 250 + 1);
                    writeln!(text, "endpoint.{} = {{ a = [\"198.{net}.{high}.{low}\"] }}", REGIONS[(number + region) % self.span()]).unwrap();
                }
            }
            SourceFile { name: format!("zone{zone}.toml").into(), text: text.into() }
        });
        zones.collect()
    }

    /// In how many regions there are services. Where they have few endpoints each, they stand in different ones.
    fn span(self) -> usize {
        self.regions.max(4)
    }

    /// The world with everything up, and the world in which one region has moved.
    fn worlds(self) -> (Arc<World>, Arc<World>) {
        let catalog = compile(self.files(), &|_, _| Err("none".into())).unwrap_or_else(|failure| panic!("{failure}")).catalog;
        let geo = Geo::compile(&catalog, databases()).unwrap();
        let mut world = World::unmeasured(1, Arc::new(catalog), Arc::new(geo));
        let mut situations = Situations::default();
        world.statuses.of.fill(Status::UP);
        situations.tell(&world.catalog, 1, &mut world.statuses);
        let mut next = World { generation: 2, ..world.clone() };
        for (endpoint, status) in next.catalog.endpoints.iter().zip(&mut next.statuses.of) {
            if &*next.catalog.region(endpoint.region).name == REGIONS[0] {
                status.moving = true;
                next.statuses.versions[endpoint.service.index()] = 2;
            }
        }
        situations.tell(&next.catalog, 2, &mut next.statuses);
        (Arc::new(world), Arc::new(next))
    }

    /// Any query for one of its services by any client of the internet.
    fn datagram(self, clients: Clients, dice: &mut Dice) -> Datagram {
        let number = dice.below(self.services);
        let name = format!("s{number}.z{}.gslb.example.com", number / 5_000);
        let [a, b, c, d] = loop {
            let octets @ [first, ..] = u32::try_from(dice.next() >> 32).unwrap().to_be_bytes();
            if !matches!(first, 0 | 10 | 127 | 224..) {
                break octets;
            }
        };
        let source = match clients {
            Clients::Subnets => Ipv4Addr::new(192, 0, 2, 250),
            Clients::Resolvers => Ipv4Addr::new(a, b, c, d),
        };
        let labels = name.split('.').flat_map(|label| std::iter::once(u8::try_from(label.len()).unwrap()).chain(label.bytes()));
        let opt = match clients {
            Clients::Subnets => vec![0, 0, 41, 4, 208, 0, 0, 0x80, 0, 0, 11, 0, 8, 0, 7, 0, 1, 24, 0, a, b, c],
            Clients::Resolvers => vec![0, 0, 41, 4, 208, 0, 0, 0x80, 0, 0, 0],
        };
        let query = [a, d, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1].into_iter().chain(labels).chain([0, 0, 1, 0, 1]).chain(opt).collect();
        Datagram { source: SocketAddr::new(IpAddr::V4(source), 4053), query }
    }
}

/// The geography that the project ships.
fn databases() -> &'static Databases {
    static READ: OnceLock<Databases> = OnceLock::new();
    READ.get_or_init(|| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("geoip/dbip-places.mmdb");
        let database = Mmdb::read(&std::fs::read(path).unwrap()).unwrap();
        Databases::new(vec![Source { name: "dbip-places.mmdb".into(), database }])
    })
}

/// A worker that has been at it for a while. It lives for ever, so that dropping it is not measured.
fn worker(size: Size, clients: Clients) -> &'static mut Worker {
    worker_with(size, clients, QUERIES)
}

/// The same with so many queries to be measured.
fn worker_with(size: Size, clients: Clients, queries: usize) -> &'static mut Worker {
    let (world, next_world) = size.worlds();
    let telemetry = Telemetry::new(1, &world.catalog);
    let mut dice = Dice(7);
    let mut worker = Box::new(Worker {
        counters: telemetry.counters(Transport::Udp),
        _telemetry: telemetry,
        policy: Policy::default(),
        scratch: Scratch::default(),
        datagrams: (0..BEFORE).map(|_| size.datagram(clients, &mut dice)).collect(),
        reply: [0; 1232],
        world,
        next_world,
    });
    let world = Arc::clone(&worker.world);
    worker.answer_all(&world);
    worker.datagrams = (0..queries).map(|_| size.datagram(clients, &mut dice)).collect();
    Box::leak(worker)
}

impl Worker {
    /// What the loop of a UDP worker does between receiving a batch and sending its replies.
    fn answer_all(&mut self, world: &World) {
        for batch in self.datagrams.chunks(BATCH) {
            let book = self.counters.open(world);
            for datagram in batch {
                black_box(foresee(&datagram.query, world));
            }
            for datagram in batch {
                let ask = Ask { source: datagram.source.ip(), transport: Transport::Udp, now: Moment(1), policy: &self.policy };
                let (scratch, reply) = (&mut self.scratch, &mut self.reply);
                match catch_unwind(AssertUnwindSafe(|| answer(&datagram.query, &ask, world, scratch, reply))) {
                    Ok(outcome) => book.record(black_box(&outcome)),
                    Err(_) => self.counters.tally.count_panic(),
                }
            }
        }
    }
}

#[library_benchmark]
#[bench::subnets(worker(USUAL, Clients::Subnets))]
#[bench::resolvers(worker(USUAL, Clients::Resolvers))]
#[bench::ten_services(worker(Size { services: 10, ..USUAL }, Clients::Subnets))]
fn query(worker: &'static mut Worker) {
    let world = Arc::clone(&worker.world);
    worker.answer_all(&world);
}

#[library_benchmark]
#[bench::twelve_regions(worker(Size { regions: 12, ..USUAL }, Clients::Subnets))]
fn query_among_regions(worker: &'static mut Worker) {
    let world = Arc::clone(&worker.world);
    worker.answer_all(&world);
}

#[library_benchmark]
#[bench::a_hundred_thousand(worker(Size { services: 100_000, regions: 2, ..USUAL }, Clients::Subnets))]
fn query_among_services(worker: &'static mut Worker) {
    let world = Arc::clone(&worker.world);
    worker.answer_all(&world);
}

// Every service has an endpoint in the region that moved: all cells are of no more use at once, as bad as it gets.
#[library_benchmark]
#[bench::every_100_ms(worker_with(USUAL, Clients::Subnets, QUERIES_OF_A_WORLD))]
fn query_after_publishing(worker: &'static mut Worker) {
    let world = Arc::clone(&worker.next_world);
    worker.answer_all(&world);
}

// Every service has prices of its own, so that none shares what was decided for another: most cells are cold.
#[library_benchmark]
#[bench::each_its_own(worker(Size { each_its_own: true, ..USUAL }, Clients::Subnets))]
fn query_of_its_own(worker: &'static mut Worker) {
    let world = Arc::clone(&worker.world);
    worker.answer_all(&world);
}

/// Limits of a group: so many hundredths of [`QUERY_MAX`] for each query.
fn at_most(hundredths: u64, queries: usize) -> LibraryBenchmarkConfig {
    let mut config = LibraryBenchmarkConfig::default();
    config.tool(Callgrind::default().hard_limits([(EventKind::Ir, QUERY_MAX * hundredths / 100 * queries as u64)]));
    config
}

library_benchmark_group!(name = usual, config = at_most(100, QUERIES), benchmarks = query);
library_benchmark_group!(name = regions, config = at_most(105, QUERIES), benchmarks = query_among_regions);
library_benchmark_group!(name = services, config = at_most(125, QUERIES), benchmarks = query_among_services);
library_benchmark_group!(name = publishing, config = at_most(110, QUERIES_OF_A_WORLD), benchmarks = query_after_publishing);
library_benchmark_group!(name = alone, config = at_most(185, QUERIES), benchmarks = query_of_its_own);

main!(library_benchmark_groups = [usual, regions, services, publishing, alone]);
