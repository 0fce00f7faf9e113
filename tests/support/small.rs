//! A zone of two countries, and what an answer of it comes to: for tests that move a controller's clock by hand.
#![allow(
    dead_code,
    unused_imports,
    unused_macros,
    missing_docs,
    unreachable_pub,
    clippy::missing_docs_in_private_items,
    clippy::unwrap_used,
    clippy::missing_panics_doc
)] // a workshop of tests: each crate uses a part of it

use std::sync::Arc;

use aya_gslb::catalog::{Catalog, EndpointId, ServiceId};
use aya_gslb::config::{SourceFile, compile};
use aya_gslb::control::overrides::Words;
use aya_gslb::geo::Geo;
use aya_gslb::steer::{Ask, Chosen, Client, Family, Silent, decide};
use aya_gslb::units::Moment;
use aya_gslb::world::World;

pub const START: Moment = Moment(1_700_000_000_000);
pub const SECOND: u64 = 1_000;
pub const MINUTE: u64 = 60 * SECOND;
pub const HOUR: u64 = 60 * MINUTE;

/// The head of a zone without a service. Clients of 20.0.0.0/8 are in Germany and may be sent to the EU only where `eu-personal` holds; those of 30.0.0.0/8 are in the
/// United States. A macro, for `concat!`.
macro_rules! two_countries {
    () => {
        r#"
zone = "gslb.example.com"
[ns]
ns1 = ["192.0.2.53"]
ns2 = ["198.51.100.53"]
[network.germany]
prefixes = ["20.0.0.0/8"]
country = "DE"
at = [50.1, 8.7]
[network.america]
prefixes = ["30.0.0.0/8"]
country = "US"
at = [38.9, -77.0]
[residency.eu-personal]
clients = ["EU"]
regions = ["EU"]
unknown = "exempt"
"#
    };
}
pub(crate) use two_countries;

pub const GERMAN: [u8; 4] = [20, 0, 0, 0];
pub const AMERICAN: [u8; 4] = [30, 0, 0, 0];

/// A zone compiled, with the geography that its own networks make.
pub fn loaded(toml: &str) -> (Arc<Catalog>, Arc<Geo>) {
    let source = SourceFile { name: "test.toml".into(), text: toml.into() };
    let catalog = compile(vec![source], &|_, _| Err("there is none".into())).unwrap_or_else(|failure| panic!("{failure}: {:?}", failure.diagnostics)).catalog;
    let geo = Geo::without_databases(&catalog);
    (Arc::new(catalog), Arc::new(geo))
}

pub fn words(text: &str) -> Words {
    Words::parse(text).unwrap()
}

/// The service of this label.
pub fn service_id(catalog: &Catalog, label: &str) -> ServiceId {
    catalog.services.iter().zip((0..).map(ServiceId)).find(|(service, _)| &*service.label == label).unwrap().1
}

/// The endpoint of a service.
pub fn endpoint_id(catalog: &Catalog, service: &str, endpoint: &str) -> EndpointId {
    let service = catalog.service(service_id(catalog, service));
    catalog.endpoints_of(service).find(|(_, known)| &*known.name == endpoint).unwrap().0
}

/// What a client of this /24 gets over IPv4.
pub fn chosen(world: &World, service: &str, client: [u8; 4]) -> Chosen {
    let service = service_id(&world.catalog, service);
    let client = Client::at(client.into(), 24, &world.geo);
    decide(&Ask { service, client, family: Family::V4 }, world, &mut Silent).choose(&client, world)
}

/// The first endpoint that a client gets, with whether the answer is moving.
pub fn answer(world: &World, service: &str, client: [u8; 4]) -> (String, bool) {
    let chosen = chosen(world, service, client);
    let first = chosen.endpoints().first().map_or_else(|| "nothing".to_owned(), |id| world.catalog.endpoint(*id).name.to_string());
    (first, chosen.moving)
}
