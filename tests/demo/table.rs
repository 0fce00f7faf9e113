//! `table.tsv` against the zones and the geography of this repository, octets in and octets out.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::sync::{Arc, OnceLock};

use aya_gslb::catalog::{Catalog, EndpointId};
use aya_gslb::config::{self, geoip};
use aya_gslb::explain::{Question, explain, with_regions_down};
use aya_gslb::geo::{Geo, Random};
use aya_gslb::health::{Health, Status};
use aya_gslb::steer::Family;
use aya_gslb::world::World;
use ipnet::IpNet;

use crate::support::ask::query;
use crate::support::{A, CNAME};

const ZONE: &str = "gslb.example.com";
const SERVICES: [&str; 6] = ["api", "shop", "batch", "www", "llm", "edge"];
/// The first of `geoip/` in precedence, by subdivision in large countries.
const PLACES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/geoip/dbip-places.mmdb");
/// The other: countries only.
const COUNTRIES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/geoip/iptoasn-country.mmdb");

/// The demo's world, every endpoint up; the last resort has no probe and is never measured.
fn world() -> World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| world_by(&[PLACES, COUNTRIES])).clone()
}

/// The same world by other databases.
fn world_by(databases: &[&str]) -> World {
    let catalog = config::load(&[Path::new(env!("CARGO_MANIFEST_DIR")).join("zones")]).unwrap().catalog;
    let geo = Geo::compile(&catalog, &geoip::read_databases(databases).unwrap()).unwrap();
    let mut world = World::unmeasured(1, Arc::new(catalog), Arc::new(geo));
    world.statuses.of.fill(Status::UP);
    world
}

/// The regions of the endpoints that hold these answers of a service.
fn regions_of(catalog: &Catalog, service: &str, answers: &[String]) -> Vec<String> {
    let service = catalog.service_named(&format!("{service}.{ZONE}.").parse().unwrap()).unwrap();
    let endpoint_of = |answer: &String| {
        let data = answer.rsplit(' ').next().unwrap();
        let holds = |id: &EndpointId| {
            let endpoint = catalog.endpoint(*id);
            endpoint.a.iter().any(|a| a.to_string() == data)
                || endpoint.cname.as_ref().is_some_and(|name| name.to_string().trim_end_matches('.') == data.trim_end_matches('.'))
        };
        let found = catalog.endpoints_of(catalog.service(service)).map(|(id, _)| id).find(holds).unwrap_or_else(|| panic!("nobody's answer: {answer}"));
        catalog.region(catalog.endpoint(found).region).name.to_string()
    };
    answers.iter().map(endpoint_of).collect()
}

/// What a client of a prefix is answered: regions.
fn asked(world: &World, service: &str, client: &str) -> Vec<String> {
    let rtype = if service == "www" { CNAME } else { A };
    regions_of(&world.catalog, service, &query(&format!("{service}.{ZONE}"), rtype).subnet(client).ask(world).answers())
}

/// The table: client, place, and the region for each service.
fn rows() -> Vec<Vec<&'static str>> {
    let mut lines = include_str!("table.tsv").lines().filter(|line| !line.starts_with('#'));
    let services: Vec<&str> = lines.next().unwrap().split('\t').skip(2).collect();
    assert_eq!(services, SERVICES);
    lines.map(|line| line.split('\t').collect()).collect()
}

#[test]
fn clients_of_six_continents_get_the_region_that_map_prices_and_rules_give_them() {
    let world = world();
    let rows = rows();
    let mut wrong = Vec::new();
    for row in &rows {
        for (service, wanted) in SERVICES.iter().zip(&row[2..]) {
            let got = asked(&world, service, row[0]);
            if *wanted != "-" && got != [*wanted] {
                wrong.push(format!("{service} for {} ({}): wanted {wanted}, got {got:?}", row[0], row[1]));
            }
        }
    }
    assert!(rows.len() >= 56);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_the_centres_of_countries_get_wrong_their_states_and_provinces_get_right() {
    let by_country = world_by(&[COUNTRIES]);
    let rows = rows();
    let wrong = rows.iter().filter(|row| row[7] != "-" && asked(&by_country, "edge", row[0]) != [row[7]]);
    let places: BTreeSet<&str> = wrong.map(|row| row[1]).collect();
    for place in ["Seattle, United States", "New York, United States", "Vancouver, Canada", "Vladivostok, Russia", "Perth, Australia", "Manaus, Brazil"] {
        assert!(places.contains(place), "the country's centre gets {place} right: {places:?}");
    }
    for place in ["Chennai, India", "Delhi, India"] {
        assert!(places.contains(place), "the country's centre gets {place} right: {places:?}");
    }
}

/// Every network of Germany that the database lists.
fn german_networks() -> Vec<IpNet> {
    #[derive(serde::Deserialize)]
    struct Row<'a> {
        #[serde(borrow)]
        country: Option<Country<'a>>,
    }
    #[derive(serde::Deserialize)]
    struct Country<'a> {
        iso_code: &'a str,
    }
    let reader = maxminddb::Reader::open_readfile(PLACES).unwrap();
    let mut found = Vec::new();
    for whole in ["0.0.0.0/0", "2000::/3"] {
        for item in reader.within(whole.parse().unwrap(), maxminddb::WithinOptions::default()).unwrap() {
            let item = item.unwrap();
            if item.decode::<Row>().unwrap().is_some_and(|row| row.country.is_some_and(|country| country.iso_code == "DE")) {
                let network = item.network().unwrap();
                found.push(IpNet::new(network.network(), network.prefix()).unwrap());
            }
        }
    }
    assert!(found.len() > 5_000, "Germany has more than {} networks", found.len());
    found
}

#[test]
fn no_german_client_leaves_the_law_whatever_is_down() {
    const LAWFUL: [&str; 3] = ["aws-eu-west-1", "dc-frankfurt", "gcp-europe-west3"];
    let world = world();
    let regions: Vec<String> = world.catalog.regions.iter().map(|region| region.name.to_string()).collect();
    let lawful: BTreeSet<&str> = LAWFUL.into();
    let networks = german_networks();
    let mut random = Random::new(11);
    // Every subset of the lawful regions, with none of the others down, all of them, and random ones.
    for turn in 0_u64..64 {
        let others = [0, u64::MAX, random.next(), random.next()][usize::try_from(turn / 8 % 4).unwrap()];
        let down: BTreeSet<&str> = regions
            .iter()
            .enumerate()
            .filter(|(at, name)| match LAWFUL.iter().position(|lawful| lawful == name) {
                Some(bit) => turn >> bit & 1 == 1,
                None => others >> at & 1 == 1,
            })
            .map(|(_, name)| name.as_str())
            .collect();
        let is_down = |region: &str| down.contains(region);
        let mut worse = world.clone();
        for (endpoint, status) in worse.catalog.endpoints.iter().zip(&mut worse.statuses.of) {
            if is_down(&worse.catalog.region(endpoint.region).name) {
                status.health = Health::Down;
            }
        }
        // Every network when the law's own regions alone are down; a sample of them otherwise.
        let step = if down == lawful { 1 } else { 997 };
        for network in networks.iter().step_by(step) {
            let len = network.prefix_len().min(if network.addr().is_ipv4() { 24 } else { 56 });
            for service in SERVICES {
                let got = asked(&worse, service, &IpNet::new(network.addr(), len).unwrap().trunc().to_string());
                assert!(!got.is_empty(), "{service} for {network}: nothing, with {down:?} down");
                assert!(got.iter().all(|region| LAWFUL.contains(&region.as_str())), "{service} for {network}: {got:?}, with {down:?} down");
            }
        }
    }
}

#[test]
fn all_lawful_regions_down_are_served_as_if_they_were_up() {
    let world = world();
    let lawful = world.catalog.regions.iter().filter(|region| region.is_under("EEA")).map(|region| world.catalog.region_named(&region.name).unwrap());
    let worse = with_regions_down(&world, &lawful.collect());
    for service in ["api", "batch", "llm"] {
        assert_eq!(asked(&worse, service, "84.128.0.0/24"), asked(&world, service, "84.128.0.0/24"), "{service}");
    }
    assert_eq!(asked(&worse, "shop", "84.128.0.0/24"), ["dc-frankfurt"], "shop names a last resort");
}

#[test]
fn explanations_and_answers_agree_for_a_thousand_random_clients() {
    let mut random = Random::new(7);
    let mut world = world();
    for turn in 0..1_000 {
        if turn % 50 == 0 {
            for status in &mut world.statuses.of {
                status.health = [Health::Up, Health::Up, Health::Degraded, Health::Down][random.below(4)];
            }
        }
        let service = SERVICES[random.below(SERVICES.len())];
        let (address, len) = client(&mut random);
        let reply = query(&format!("{service}.{ZONE}"), if service == "www" { CNAME } else { A }).subnet(&format!("{address}/{len}")).ask(&world);
        let name = format!("{service}.{ZONE}.").parse().unwrap();
        let question = Question { service: world.catalog.service_named(&name).unwrap(), family: Family::V4, address, source_len: len };
        let told = explain(&question, &world);
        let explained: Vec<&str> = told.endpoints.iter().filter(|endpoint| endpoint.answer.is_some()).map(|endpoint| endpoint.region.as_str()).collect();
        assert_eq!(regions_of(&world.catalog, service, &reply.answers()), explained, "{service} for {address}/{len}");
        assert_eq!(reply.scope(), Some(told.scope), "{service} for {address}/{len}");
    }
}

/// A client that is no special address: of those a server asks the resolver's place instead (RFC 7871 §11.3).
fn client(random: &mut Random) -> (IpAddr, u8) {
    if random.below(4) == 0 {
        let top = 0x2003_u128 + u128::from(random.next() % 0x0c00);
        return (Ipv6Addr::from_bits(top << 112 | u128::from(random.next() >> 32) << 80).into(), 48);
    }
    loop {
        let [a, b, c, ..] = random.next().to_be_bytes();
        if (1..224).contains(&a) && ![10, 100, 127, 169, 172, 192, 198, 203].contains(&a) {
            return (Ipv4Addr::new(a, b, c, 0).into(), 24);
        }
    }
}
