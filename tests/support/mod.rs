//! One small world, and the means to ask it: shared by the tests of the data path.
#![allow(dead_code, missing_docs, unreachable_pub, clippy::missing_docs_in_private_items, clippy::unwrap_used, clippy::missing_panics_doc)] // a workshop of tests: each crate uses a part of it

pub mod ask;

use std::sync::{Arc, OnceLock};

use aya_gslb::catalog::{Catalog, EndpointId, ServiceId};
use aya_gslb::config::{SourceFile, compile};
use aya_gslb::geo::Geo;
use aya_gslb::health::{Health, Intent, Status};
use aya_gslb::world::World;

pub const A: u16 = 1;
pub const NS: u16 = 2;
pub const CNAME: u16 = 5;
pub const SOA: u16 = 6;
pub const MX: u16 = 15;
pub const TXT: u16 = 16;
pub const AAAA: u16 = 28;
pub const SRV: u16 = 33;
pub const OPT: u16 = 41;
pub const DS: u16 = 43;
pub const HTTPS: u16 = 65;
pub const ANY: u16 = 255;

/// The zones of `zones/` beside this file, everything up. Clients of 198.51.100.0/24, 2001:db8:100::/48 and 10.20.0.0/16 are in Germany,
/// those of 203.0.113.0/24 and 2001:db8:200::/48 in the United States; nobody knows where others are. The Irish endpoints of `foreign` and
/// `foreign-servfail` are out: Germans have none left there.
pub fn world() -> World {
    static BUILT: OnceLock<(Arc<Catalog>, Arc<Geo>)> = OnceLock::new();
    let (catalog, geo) = BUILT.get_or_init(|| {
        let catalog = load();
        let geo = Geo::compile(&catalog, &[]).unwrap();
        (Arc::new(catalog), Arc::new(geo))
    });
    let mut world = World::unmeasured(1, Arc::clone(catalog), Arc::clone(geo));
    world.statuses.of.fill(Status::UP);
    for service in ["foreign.example.com", "foreign-servfail.example.com"] {
        let id = endpoint(&world, service, "eu");
        world.statuses.of[id.index()] = Status { intent: Intent::Out, ..Status::UP };
    }
    world
}

fn load() -> Catalog {
    let file = |name: &str, text: &str| SourceFile { name: name.into(), text: text.into() };
    let sources = vec![
        file("example.com.toml", include_str!("zones/example.com.toml")),
        file("inner.example.com.toml", include_str!("zones/inner.example.com.toml")),
        file("signed.example.com.toml", include_str!("zones/signed.example.com.toml")),
    ];
    compile(sources, &|_, path| Ok((path.into(), include_str!("zones/example.com.zone").into()))).unwrap_or_else(|failure| panic!("{failure}")).catalog
}

/// The endpoint of this name in the service of this name.
pub fn endpoint(world: &World, service: &str, endpoint: &str) -> EndpointId {
    let service = world.catalog.service(service_id(world, service));
    world.catalog.endpoints_of(service).find(|(_, other)| other.name.as_ref() == endpoint).unwrap().0
}

pub fn service_id(world: &World, service: &str) -> ServiceId {
    world.catalog.service_named(&service.parse().unwrap()).unwrap()
}

/// Publishes another status of one endpoint.
pub fn publish(world: &mut World, service: &str, name: &str, status: Status) {
    let id = endpoint(world, service, name);
    world.generation += 1;
    world.statuses.of[id.index()] = status;
    world.statuses.versions[service_id(world, service).index()] = world.generation;
}

pub const DOWN: Status = Status { health: Health::Down, ..Status::UP };
