//! Geography: the table agrees with plain look-ups in what it was compiled from, and its leaves are honest ECS scopes.
#![allow(clippy::unwrap_used, missing_docs, clippy::missing_docs_in_private_items, reason = "tests say by their names what they hold")]

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use aya_gslb::catalog::{Catalog, ClientSet, ClientSetId, LatencyRow, Network, Region, RegionId, Selector, known};
use aya_gslb::geo::{ClientSets, Code, Geo, LocalityId, Mmdb, Record, RttSource, Source, is_special, lookup};
use aya_gslb::units::{Coordinates, Micros};
use ipnet::IpNet;
use proptest::prelude::*;

#[path = "geography/files.rs"]
mod files;
#[path = "geography/node.rs"]
mod node;

const SHIPPED: &[u8] = include_bytes!("../geoip/iptoasn-country.mmdb");

// ---- a catalog that consults everything ----

fn set(selectors: &[Selector], countries: &[&str]) -> ClientSet {
    let mut selectors = selectors.to_vec();
    selectors.sort();
    ClientSet { selectors: selectors.into(), countries: countries.iter().map(|code| (*code).into()).collect() }
}

fn region(name: &str) -> Region {
    let region = known::cloud_region(name).unwrap();
    Region {
        name: name.into(),
        cloud: region.cloud.into(),
        country: region.country.into(),
        at: region.at,
        tags: Box::default(),
        jurisdictions: Box::new([region.country.into()]),
    }
}

fn network(name: &str, prefixes: &[IpNet], country: Option<&str>) -> Network {
    Network { name: name.into(), prefixes: prefixes.into(), country: country.map(Into::into), subdivision: None, at: None }
}

const EU: &[&str] = &["AT", "DE", "ES", "FR", "IE", "IT", "NL", "PL", "SE"];

fn catalog(networks: Vec<Network>) -> Catalog {
    Catalog {
        regions: ["aws-ap-northeast-1", "aws-eu-west-1", "aws-us-east-1"].map(region).into(),
        client_sets: Box::new([
            set(&[Selector::Unknown], &[]),
            set(&[Selector::Jurisdiction("EU".into())], EU),
            set(&[Selector::Jurisdiction("US".into())], &["US"]),
            set(&[Selector::Subdivision("US-CA".into())], &[]),
            set(&[Selector::Asn(64500)], &[]),
            set(&[Selector::Network("office".into())], &[]),
            set(&[Selector::Any], &[]),
            set(&[Selector::Continent("AS".into())], &["CN", "IN", "JP", "SG"]),
        ]),
        networks: networks.into(),
        ..Catalog::default()
    }
}

fn record(country: &str, at: Option<(f64, f64)>) -> Record {
    Record { country: Code::parse(country), at: at.and_then(|(latitude, longitude)| Coordinates::from_degrees(latitude, longitude)), ..Record::default() }
}

fn source(prefixes: impl IntoIterator<Item = (IpNet, Record)>) -> Source {
    Source { name: "test".into(), database: Mmdb::from_prefixes("test", prefixes).unwrap() }
}

fn sets_of(numbers: &[u8]) -> ClientSets {
    let mut sets = ClientSets::NONE;
    for number in numbers {
        sets.insert(ClientSetId(*number));
    }
    sets
}

fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

// ---- random worlds, judged by a naive oracle ----

/// What the oracle needs to know of a prefix: the longest prefix around each address, of the database and of the networks.
#[derive(Clone, Debug)]
struct Small {
    database: Vec<(IpNet, Record)>,
    networks: Vec<(IpNet, Option<&'static str>)>,
}

impl Small {
    fn catalog(&self) -> Catalog {
        let networks = self.networks.iter().enumerate();
        catalog(networks.map(|(index, (prefix, country))| network(if index == 0 { "office" } else { "other" }, &[*prefix], *country)).collect())
    }

    fn geo(&self) -> Geo {
        Geo::compile(&self.catalog(), &[source(self.database.clone())]).unwrap()
    }

    /// The sets of one address, by looking at every prefix.
    fn sets(&self, address: IpAddr) -> ClientSets {
        let found = longest(self.database.iter().map(|(prefix, record)| (*prefix, record)), address);
        let network = longest(self.networks.iter().enumerate().map(|(index, network)| (network.0, (index, network.1))), address);
        let told = found.and_then(|record| record.country).map(|code| code.to_string());
        let country = network.and_then(|(_, country)| country.map(String::from)).or(told.clone());
        let same = country == told;
        let part = found.filter(|_| same).and_then(|record| record.subdivision.as_deref());
        let country = country.as_deref();
        let mut sets = sets_of(&[6]);
        for (number, holds) in [
            (0, country.is_none()),
            (1, country.is_some_and(|code| EU.contains(&code))),
            (2, country == Some("US")),
            (3, part == Some("US-CA")),
            (4, found.and_then(|record| record.asn) == Some(64500)),
            (5, network.is_some_and(|(index, _)| index == 0)),
            (7, matches!(country, Some("CN" | "IN" | "JP" | "SG"))),
        ] {
            if holds {
                sets.insert(ClientSetId(number));
            }
        }
        sets
    }

    /// Every address at which anything may change, and its neighbours.
    fn edges(&self) -> Vec<IpAddr> {
        let prefixes = self.database.iter().map(|(prefix, _)| prefix).chain(self.networks.iter().map(|(prefix, _)| prefix));
        let mut edges: Vec<IpAddr> = prefixes
            .flat_map(|prefix| match prefix {
                IpNet::V4(net) => {
                    let (first, last) = (net.network().to_bits(), net.broadcast().to_bits());
                    [first.wrapping_sub(1), first, last, last.wrapping_add(1)].map(|bits| IpAddr::V4(Ipv4Addr::from_bits(bits))).to_vec()
                }
                IpNet::V6(net) => {
                    let (first, last) = (net.network().to_bits(), net.broadcast().to_bits());
                    [first.wrapping_sub(1), first, last, last.wrapping_add(1)].map(|bits| IpAddr::V6(Ipv6Addr::from_bits(bits))).to_vec()
                }
            })
            .collect();
        edges.extend(["0.0.0.0", "255.255.255.255", "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"].map(ip));
        edges.retain(|address| address.to_canonical() == *address);
        edges.sort();
        edges.dedup();
        edges
    }
}

fn longest<T>(prefixes: impl Iterator<Item = (IpNet, T)>, address: IpAddr) -> Option<T> {
    let mut best: Option<(u8, T)> = None;
    for (prefix, value) in prefixes {
        if prefix.contains(&address) && best.as_ref().is_none_or(|(len, _)| prefix.prefix_len() > *len) {
            best = Some((prefix.prefix_len(), value));
        }
    }
    best.map(|(_, value)| value)
}

/// Prefixes in two small corners of the space, so that they lie within each other and side by side.
fn prefix() -> impl Strategy<Value = IpNet> {
    let v4 = (any::<u16>(), 8_u8..=32).prop_map(|(low, len)| IpNet::new(Ipv4Addr::from_bits(0x0a00_0000 | u32::from(low) << 3).into(), len).unwrap().trunc());
    let v6 = (any::<u16>(), 20_u8..=128).prop_map(|(low, len)| {
        let bits = 0x2001_0db8_u128 << 96 | u128::from(low & 0xff) << 72 | u128::from(low >> 8) << 40;
        IpNet::new(Ipv6Addr::from_bits(bits).into(), len).unwrap().trunc()
    });
    prop_oneof![v4, v6]
}

fn small() -> impl Strategy<Value = Small> {
    let country = prop::sample::select(vec!["DE", "FR", "US", "JP", "BR", "CH"]);
    let records = (prop::option::of(country.clone()), any::<bool>(), prop::option::of(64499_u32..64502)).prop_map(|(country, part, asn)| Record {
        country: country.and_then(Code::parse),
        subdivision: (country == Some("US") && part).then(|| "US-CA".into()),
        asn,
        ..Record::default()
    });
    let database = prop::collection::vec((prefix(), records), 0..24);
    let networks = prop::collection::vec((prefix(), prop::option::of(country)), 0..6);
    // Prefixes stand once: which of two equal ones counts is not the oracle's business.
    (database, networks).prop_map(|(mut database, mut networks)| {
        database.sort_by_key(|(prefix, _)| *prefix);
        database.dedup_by_key(|(prefix, _)| *prefix);
        networks.sort_by_key(|(prefix, _)| *prefix);
        networks.dedup_by_key(|(prefix, _)| *prefix);
        Small { database, networks }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn every_address_is_where_the_longest_prefix_around_it_says(world in small()) {
        let geo = world.geo();
        for address in world.edges() {
            let located = geo.locate(address, u8::MAX);
            prop_assert_eq!(located.sets, world.sets(address), "{}", address);
            prop_assert_eq!(geo.locality(located.locality).sets, located.sets);
            prop_assert!(!located.wide);
        }
    }

    #[test]
    fn leaves_partition_the_space_and_neighbours_of_one_locality_are_one(world in small()) {
        let geo = world.geo();
        let mut next = Some(0_u32);
        let mut before: Option<(ipnet::Ipv4Net, LocalityId)> = None;
        for (leaf, locality) in geo.leaves_v4() {
            prop_assert_eq!(Some(leaf.network().to_bits()), next);
            next = leaf.broadcast().to_bits().checked_add(1);
            // Two leaves of one locality that make up their parent would be one shorter prefix, but for the ends of special blocks.
            let special = |leaf: ipnet::Ipv4Net| is_special(leaf.network().into(), leaf.prefix_len());
            if let Some((left, of)) = before.filter(|(left, _)| !special(*left) && !special(leaf)) {
                prop_assert!(of != locality || left.supernet() != leaf.supernet() || left.prefix_len() != leaf.prefix_len(), "{} and {}", left, leaf);
            }
            before = Some((leaf, locality));
        }
        prop_assert_eq!(next, None);
        let mut next = Some(0_u128);
        for (leaf, _) in geo.leaves_v6() {
            prop_assert_eq!(Some(leaf.network().to_bits()), next);
            next = leaf.broadcast().to_bits().checked_add(1);
        }
        prop_assert_eq!(next, None);
    }

    #[test]
    fn rfc7871_7_2_1_scopes_with_different_localities_never_overlap(world in small()) {
        let geo = world.geo();
        let mut scopes: HashMap<IpNet, LocalityId> = HashMap::new();
        for address in world.edges() {
            let located = geo.locate(address, u8::MAX);
            let scope = IpNet::new(address, located.leaf).unwrap().trunc();
            scopes.insert(scope, located.locality);
            for other in [scope.network(), scope.broadcast()] {
                prop_assert_eq!(geo.locate(other, u8::MAX), located, "{} of the scope of {}", other, address);
            }
        }
        for (one, of_one) in &scopes {
            for (other, of_other) in &scopes {
                prop_assert!(of_one == of_other || !(one.contains(other) || other.contains(one)), "{} and {}", one, other);
            }
        }
    }

    #[test]
    fn a_leaf_is_the_shortest_prefix_of_one_locality(world in small()) {
        let geo = world.geo();
        for address in world.edges() {
            let located = geo.locate(address, u8::MAX);
            if let Some(parent) = IpNet::new(address, located.leaf).unwrap().trunc().supernet() {
                let wider = geo.locate(address, parent.prefix_len());
                prop_assert!(wider.wide, "{} of {}", parent, address);
            }
        }
    }

    #[test]
    fn a_prefix_shorter_than_its_leaf_has_every_set_inside_it(world in small(), len in 0_u8..=128) {
        let geo = world.geo();
        let edges = world.edges();
        for address in edges.iter().copied() {
            let len = if address.is_ipv4() { len % 33 } else { len };
            let prefix = IpNet::new(address, len).unwrap().trunc();
            let located = geo.locate(address, len);
            prop_assert_eq!(located.locality, geo.locate(prefix.network(), u8::MAX).locality);
            prop_assert_eq!(located.wide, len < located.leaf);
            let mut union = ClientSets::NONE;
            for inside in edges.iter().copied().chain([prefix.network(), prefix.broadcast()]).filter(|inside| prefix.contains(inside)) {
                union.unite(&world.sets(inside));
            }
            let mapped = net("::ffff:0:0/96");
            if prefix.contains(&mapped) {
                edges.iter().filter(|edge| edge.is_ipv4()).for_each(|edge| union.unite(&world.sets(*edge)));
                union.insert(ClientSet::UNKNOWN);
            }
            prop_assert_eq!(located.sets, union, "{}", prefix);
        }
    }

    #[test]
    fn the_order_of_a_databases_prefixes_does_not_matter(world in small(), seed in any::<u64>()) {
        let mut shuffled = world.clone();
        shuffled.database.sort_by_key(|(prefix, _)| (u64::from(prefix.prefix_len()) ^ seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ prefix_seed(prefix));
        let (one, other) = (world.geo(), shuffled.geo());
        for address in world.edges() {
            prop_assert_eq!(one.locate(address, u8::MAX), other.locate(address, u8::MAX));
        }
    }
}

fn prefix_seed(prefix: &IpNet) -> u64 {
    match prefix {
        IpNet::V4(net) => u64::from(net.network().to_bits()),
        IpNet::V6(net) => (net.network().to_bits() >> 40 & u128::from(u64::MAX)).try_into().unwrap(),
    }
    .wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

// ---- the shipped database ----

fn shipped() -> Source {
    Source { name: "iptoasn-country.mmdb".into(), database: Mmdb::read(SHIPPED).unwrap() }
}

#[test]
fn well_known_addresses_are_in_the_countries_that_everybody_knows() {
    let (catalog, sources) = (catalog(Vec::new()), [shipped()]);
    let geo = Geo::compile(&catalog, &sources).unwrap();
    for (address, label) in [
        ("8.8.8.8", "US"),
        ("84.128.0.1", "DE"),       // Deutsche Telekom
        ("133.11.0.1", "JP"),       // University of Tokyo
        ("193.0.6.139", "NL"),      // RIPE NCC
        ("200.160.2.3", "BR"),      // NIC.br
        ("202.12.29.1", "AU"),      // APNIC
        ("130.60.1.1", "CH"),       // University of Zurich
        ("2001:200::1", "JP"),      // WIDE
        ("2001:67c:2e8::1", "NL"),  // RIPE NCC
        ("192.0.2.1", "unknown"),   // documentation
        ("10.0.0.1", "unknown"),    // private
        ("2001:db8::1", "unknown"), // documentation
        ("::ffff:84.128.0.1", "DE"),
    ] {
        let found = geo.locate(ip(address), u8::MAX);
        assert_eq!(&*geo.locality(found.locality).label, label, "{address}");
        let told = lookup(&catalog, &sources, &geo, ip(address));
        assert_eq!(told.country.map_or("unknown".to_owned(), |code| code.to_string()), label, "{address}");
        assert_eq!(told.source.is_some(), label != "unknown");
    }
    assert_eq!(geo.sources()[0].metadata.kind.as_ref(), "country ipvAll");
}

#[test]
fn every_prefix_of_the_shipped_database_is_found_as_a_plain_look_up_finds_it() {
    let reader = maxminddb::Reader::from_source(SHIPPED).unwrap();
    let geo = Geo::compile(&catalog(Vec::new()), &[shipped()]).unwrap();
    let plain = |address: IpAddr| -> String {
        let code = reader.lookup(address).unwrap().decode_path::<String>(&maxminddb::path!["country_code"]).unwrap();
        code.filter(|code| known::country(code).is_some()).unwrap_or("unknown".into())
    };
    let mut checked = 0;
    for found in reader.networks(maxminddb::WithinOptions::default().include_networks_without_data()).unwrap() {
        let network = found.unwrap().network().unwrap();
        let net = IpNet::new(network.ip(), network.prefix()).unwrap();
        for edge in [Some(net.network()), Some(net.broadcast()), below(net.network()), above(net.broadcast())].into_iter().flatten() {
            if edge.to_canonical() != edge {
                continue;
            }
            let located = geo.locate(edge, u8::MAX);
            assert_eq!(*geo.locality(located.locality).label, *plain(edge), "{edge}");
            checked += 1;
        }
    }
    assert!(checked > 1_000_000, "{checked}");
}

fn below(address: IpAddr) -> Option<IpAddr> {
    match address {
        IpAddr::V4(address) => address.to_bits().checked_sub(1).map(|bits| Ipv4Addr::from_bits(bits).into()),
        IpAddr::V6(address) => address.to_bits().checked_sub(1).map(|bits| Ipv6Addr::from_bits(bits).into()),
    }
}

fn above(address: IpAddr) -> Option<IpAddr> {
    match address {
        IpAddr::V4(address) => address.to_bits().checked_add(1).map(|bits| Ipv4Addr::from_bits(bits).into()),
        IpAddr::V6(address) => address.to_bits().checked_add(1).map(|bits| Ipv6Addr::from_bits(bits).into()),
    }
}

#[test]
fn the_widest_prefix_is_everywhere_at_once() {
    let geo = Geo::compile(&catalog(Vec::new()), &[shipped()]).unwrap();
    let everywhere = sets_of(&[0, 1, 2, 6, 7]);
    for address in ["0.0.0.0", "84.128.0.1", "::", "2a00::"] {
        let located = geo.locate(ip(address), 0);
        assert!(located.wide);
        assert_eq!(located.sets, everywhere, "{address}");
    }
    assert_eq!(geo.locate(ip("84.128.0.1"), 24).sets, sets_of(&[1, 6]), "a German /24 is in the union and nowhere else");
}

#[test]
fn the_shipped_database_makes_a_small_table() {
    let geo = Geo::compile(&catalog(Vec::new()), &[shipped()]).unwrap();
    assert!(geo.octets() < 16 << 20, "{}", geo.octets());
    assert!(geo.localities().count() < 300);
}

// ---- what the operator says ----

#[test]
fn networks_come_before_databases_and_are_kept_to_the_last_bit() {
    let networks = vec![network("office", &[net("84.128.7.16/28"), net("2003::5/128")], None), network("lab", &[net("192.0.2.0/24")], Some("CH"))];
    let catalog = catalog(networks);
    let sources = [shipped()];
    let geo = Geo::compile(&catalog, &sources).unwrap();
    let office = geo.locate(ip("84.128.7.20"), 32);
    assert_eq!((office.leaf, office.sets), (28, sets_of(&[1, 5, 6])), "an office in Germany stays in the union");
    assert_eq!(&*geo.locality(office.locality).label, "network:office");
    assert_eq!(geo.locate(ip("84.128.7.15"), 32).sets, sets_of(&[1, 6]));
    assert_eq!(geo.locate(ip("2003::5"), 128).sets, sets_of(&[1, 5, 6]));
    assert_eq!(geo.locate(ip("2003::4"), 128).sets, sets_of(&[1, 6]));
    let beside = geo.locate(ip("84.128.7.0"), 24);
    assert!(beside.wide, "its /24 is partly the office's");
    assert_eq!(beside.sets, sets_of(&[1, 5, 6]));
    assert_eq!(geo.locate(ip("192.0.2.9"), 32).sets, sets_of(&[6]), "a country that no rule consults");
    let told = lookup(&catalog, &sources, &geo, ip("192.0.2.9"));
    assert_eq!((told.source.as_deref(), told.country, told.leaf), (Some("network:lab"), Code::parse("CH"), net("192.0.2.0/24")));
    assert_eq!(told.jurisdictions, ["ADEQUATE", "CH", "UK-ADEQUATE"].map(Box::from));
}

#[test]
fn a_network_in_another_country_does_not_keep_the_databases_place() {
    let san_francisco = Record { subdivision: Some("US-CA".into()), ..record("US", Some((37.8, -122.4))) };
    let source = source([(net("198.51.100.0/24"), san_francisco)]);
    let catalog = catalog(vec![network("office", &[net("198.51.100.128/25")], Some("DE"))]);
    let geo = Geo::compile(&catalog, &[source]).unwrap();
    assert_eq!(geo.locate(ip("198.51.100.1"), 32).sets, sets_of(&[2, 3, 6]));
    let office = geo.locate(ip("198.51.100.200"), 32);
    assert_eq!(office.sets, sets_of(&[1, 5, 6]));
    let at = geo.locality(office.locality).at.unwrap();
    assert!(aya_gslb::geo::metres_between(at, known::country("DE").unwrap().at.unwrap()) < 20_000, "{at:?}");
}

#[test]
fn the_first_database_decides_on_the_country_and_later_ones_add_to_it() {
    let country = source([(net("192.0.2.0/24"), record("US", None)), (net("198.51.100.0/24"), record("FR", None))]);
    let city = source([
        (net("192.0.2.0/25"), Record { subdivision: Some("US-CA".into()), ..record("US", Some((37.8, -122.4))) }),
        (net("198.51.100.0/24"), record("DE", Some((52.5, 13.4)))),
        (net("203.0.113.0/24"), record("JP", None)),
    ]);
    let numbers = source([(net("192.0.2.0/23"), Record { asn: Some(64500), ..Record::default() })]);
    let catalog = catalog(Vec::new());
    let sources = [country, city, numbers];
    let geo = Geo::compile(&catalog, &sources).unwrap();
    assert_eq!(geo.locate(ip("192.0.2.1"), 32).sets, sets_of(&[2, 3, 4, 6]));
    assert_eq!(geo.locate(ip("192.0.3.1"), 32).sets, sets_of(&[0, 4, 6]), "an AS is no country");
    let french = lookup(&catalog, &sources, &geo, ip("198.51.100.1"));
    assert_eq!(french.country, Code::parse("FR"));
    assert!(french.at_is_of_country, "coordinates in another country are not taken");
    assert_eq!(geo.locate(ip("203.0.113.1"), 32).sets, sets_of(&[6, 7]));
}

#[test]
fn declared_latencies_come_before_distance_the_most_specific_first() {
    use RttSource::{Declared, Distance, Unknown};
    let row = |clients: Selector, countries: &[&str], rtts: &[(u16, i64)]| LatencyRow {
        clients,
        countries: countries.iter().map(|code| (*code).into()).collect(),
        regions: rtts.iter().map(|(region, millis)| (RegionId(*region), Micros::from_millis(*millis))).collect(),
    };
    let mut catalog = catalog(vec![network("office", &[net("84.128.7.0/24")], None)]);
    catalog.latencies = Box::new([
        row(Selector::Any, &[], &[(0, 90), (1, 80)]),
        row(Selector::Jurisdiction("EU".into()), EU, &[(0, 70), (1, 60)]),
        row(Selector::Jurisdiction("DE".into()), &["DE"], &[(1, 20)]),
        row(Selector::Network("office".into()), &[], &[(1, 3)]),
    ]);
    let geo = Geo::compile(&catalog, &[shipped()]).unwrap();
    let rtts = |address: &str| {
        let place = geo.locate(ip(address), u8::MAX).locality;
        [0, 1, 2].map(|region| (geo.rtt(place, RegionId(region)).0 / 1000, geo.rtt_source(place, RegionId(region))))
    };
    assert_eq!(rtts("84.128.7.1")[..2], [(70, Declared), (3, Declared)], "the office");
    assert_eq!(rtts("84.128.0.1")[..2], [(70, Declared), (20, Declared)], "Germany");
    assert_eq!(rtts("193.0.6.139")[..2], [(70, Declared), (60, Declared)], "the Netherlands");
    assert_eq!(rtts("8.8.8.8")[..2], [(90, Declared), (80, Declared)], "anywhere");
    assert_eq!(rtts("8.8.8.8")[2].1, Distance);
    assert_eq!(rtts("192.0.2.1"), [(90, Declared), (80, Declared), (100, Unknown)], "nobody knows where");
}

#[test]
fn distance_finds_the_region_that_the_atlas_calls_nearest() {
    let geo = Geo::compile(&catalog(Vec::new()), &[shipped()]).unwrap();
    let nearest = |address: &str| {
        let row = geo.rtt_row(geo.locate(ip(address), u8::MAX).locality);
        ["Tokyo", "Ireland", "Virginia"][(0..3).min_by_key(|region| row[*region]).unwrap()]
    };
    for (address, region) in
        [("84.128.0.1", "Ireland"), ("133.11.0.1", "Tokyo"), ("8.8.8.8", "Virginia"), ("200.160.2.3", "Virginia"), ("202.12.29.1", "Tokyo")]
    {
        assert_eq!(nearest(address), region, "{address}");
    }
}

#[test]
fn localities_are_as_few_as_the_catalog_can_tell_apart() {
    let everywhere = |step: f64| {
        (0_u32..200_000).map(move |index| {
            let at = (f64::from(index % 400) * step - 60.0, f64::from(index / 400) * step - 120.0);
            (IpNet::new(Ipv4Addr::from_bits(0x0b00_0000 + index * 256).into(), 24).unwrap(), record("US", Some(at)))
        })
    };
    let geo = Geo::compile(&catalog(Vec::new()), &[source(everywhere(0.3))]).unwrap();
    let count = geo.localities().count();
    assert!((10_000..=65_536).contains(&count), "the grid grew coarser until they fit: {count}");
    let dense = Geo::compile(&catalog(Vec::new()), &[source(everywhere(0.001))]).unwrap();
    assert!(dense.localities().count() <= 12, "one place of a quarter of a degree is one locality");
}
