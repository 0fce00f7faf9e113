//! The comparison agrees with asking for every address, one after the other.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use ipnet::IpNet;
use proptest::prelude::*;

use super::moves::{Comparison, Move, compare};
use super::report;
use crate::catalog::{Catalog, RegionId};
use crate::config::{self, SourceFile};
use crate::geo::{Code, Geo, Mmdb, Record, Source};
use crate::steer::{self, Ask, Client, Family, Silent};
use crate::world::World;

/// Three regions on three continents; a service by score and law, one that prefers by continent, one that shares clients, one that keeps
/// families apart.
const ZONE: &str = r#"
zone = "test.example"
[ns]
ns1 = ["192.0.2.53"]
ns2 = ["198.51.100.53"]

[residency.eu]
clients = ["EU"]
regions = ["aws-eu-*"]
unknown = "apply"

[service.near.endpoint]
aws-us-east-1 = { a = ["192.0.2.1"] }
aws-eu-west-1 = { a = ["192.0.2.2"] }
aws-ap-northeast-1 = { a = ["192.0.2.3"] }

[service.law]
residency = ["eu"]
[service.law.endpoint]
aws-us-east-1 = { a = ["192.0.2.1"] }
aws-eu-west-1 = { a = ["192.0.2.2"] }

[service.shared]
geo = [{ clients = ["continent:EU"], regions = ["aws-eu-*", "aws-us-*"] }, { clients = ["continent:AS"], regions = ["aws-ap-*", "aws-us-*"] }]
[service.shared.steering]
by = "weight"
[service.shared.endpoint]
aws-us-east-1 = { a = ["192.0.2.1"], weight = 1 }
aws-eu-west-1 = { a = ["192.0.2.2"], weight = 2 }
aws-ap-northeast-1 = { a = ["192.0.2.3"], weight = 3 }
"#;

fn catalog() -> Arc<Catalog> {
    let source = SourceFile { name: "test.toml".into(), text: ZONE.into() };
    config::compile(vec![source], &|_, _| Err("there is none".into())).unwrap_or_else(|failure| panic!("{failure:#?}")).catalog.into()
}

fn geo(catalog: &Catalog, prefixes: &[(IpNet, Option<&str>)]) -> Arc<Geo> {
    let record = |country: Option<&str>| Record { country: country.and_then(Code::parse), ..Record::default() };
    let prefixes = prefixes.iter().map(|(prefix, country)| (*prefix, record(*country)));
    let source = Source { name: "test.mmdb".into(), database: Mmdb::from_prefixes("test", prefixes).unwrap() };
    Geo::compile(catalog, &[source]).unwrap().into()
}

fn nets<'a>(prefixes: &[(&str, &'a str)]) -> Vec<(IpNet, Option<&'a str>)> {
    prefixes.iter().map(|(prefix, country)| (prefix.parse().unwrap(), Some(*country))).collect()
}

fn comparison(old: &[(&str, &str)], new: &[(&str, &str)]) -> (Comparison, Arc<Catalog>) {
    let catalog = catalog();
    (compare(&catalog, geo(&catalog, &nets(old)), geo(&catalog, &nets(new))), catalog)
}

fn words(one: &Move, catalog: &Catalog) -> (String, String) {
    let name = |region: Option<RegionId>| region.map_or_else(|| "no answer".to_owned(), |id| catalog.region(id).name.to_string());
    (name(one.from), name(one.to))
}

#[test]
fn a_prefix_moves_and_one_does_not_and_what_neither_knows_is_no_part_of_it() {
    let (found, catalog) = comparison(
        &[("192.0.2.0/24", "DE"), ("198.51.100.0/24", "DE"), ("2001:db8::/47", "US")],
        &[("192.0.2.0/24", "DE"), ("198.51.100.0/25", "US"), ("198.51.100.128/25", "FR"), ("2001:db8::/48", "DE"), ("2001:db8:1::/48", "US")],
    );
    assert_eq!((found.known, found.recountried), ([512.0, 2.0 * 80_f64.exp2()], [256.0, 80_f64.exp2()]));
    let near = found.services.iter().find(|service| service.name == "near.test.example").unwrap();
    assert_eq!((found.share(near.moved, 0), found.share(near.moved, 1)), (0.25, 0.5));
    let eu_to_us = ("aws-eu-west-1".to_owned(), "aws-us-east-1".to_owned());
    assert_eq!(words(&near.moves[0], &catalog), eu_to_us);
    assert_eq!(near.moves[0].tally.example[0], Some("198.51.100.0/25".parse().unwrap()));
    let countries: Vec<_> = near.moves[0].countries.keys().map(|(old, new)| [old, new].map(|code| code.unwrap().to_string()).concat()).collect();
    assert_eq!(countries, ["DEUS"]);
    assert_eq!(words(&near.moves[1], &catalog), (eu_to_us.1, eu_to_us.0));
}

#[test]
fn clients_become_unknown_and_countries_come_and_go() {
    let (found, catalog) = comparison(&[("192.0.2.0/24", "US"), ("203.0.113.0/24", "JP")], &[("192.0.2.0/25", "US"), ("198.51.100.0/24", "BR")]);
    assert_eq!((found.lost[0], found.found[0], found.recountried[0]), (128.0 + 256.0, 256.0, 0.0));
    let text = report::as_text(&found, &catalog, &[vec!["a".into()], vec!["b".into()]], 5);
    assert!(text.contains("gained      BR\nlost        JP\n"), "{text}");
    assert!(text.contains("50.00 % of IPv4 and 0.00 % of IPv6 known before, unknown now"), "{text}");
}

#[test]
fn who_comes_under_a_law_or_out_of_it_is_told_with_what_moves() {
    let (found, catalog) = comparison(
        &[("192.0.2.0/24", "US"), ("198.51.100.0/24", "DE"), ("203.0.113.0/24", "DE")],
        &[("192.0.2.0/24", "FR"), ("198.51.100.0/25", "US"), ("198.51.100.128/25", "DE"), ("203.0.113.0/24", "PL")],
    );
    let law = found.services.iter().find(|service| service.name == "law.test.example").unwrap();
    let [eu] = &*law.laws else { panic!("one rule: {:?}", law.laws) };
    assert_eq!((eu.bound.amount[0], eu.bound_moved[0], eu.freed.amount[0], eu.freed_moved[0]), (256.0, 256.0, 128.0, 128.0));
    let text = report::as_text(&found, &catalog, &[vec![], vec![]], 5);
    assert!(text.contains("newly bound by eu, such as 192.0.2.0/24; another region for 33.33 % of IPv4"), "{text}");
    assert!(text.contains("no longer bound by eu, such as 198.51.100.0/25; another region for 16.67 % of IPv4"), "{text}");
    let value: serde_json::Value = serde_json::from_str(&report::as_json(&found, &catalog, &[vec![], vec![]], 5)).unwrap();
    let law = value["services"].as_array().unwrap().iter().find(|service| service["service"] == "law.test.example").unwrap();
    assert_eq!(law["residency"][0]["newly-bound"]["share"]["ipv4"].as_f64(), Some(1.0 / 3.0));
}

/// The region of the first endpoint that this client is answered.
fn region(world: &World, service: usize, address: IpAddr) -> Option<RegionId> {
    let client = Client::at(address, if address.is_ipv4() { 32 } else { 128 }, &world.geo);
    let family = if address.is_ipv4() { Family::V4 } else { Family::V6 };
    let service = crate::catalog::ServiceId(u32::try_from(service).unwrap());
    let chosen = steer::decide(&Ask { service, client, family }, world, &mut Silent).choose(&client, world);
    chosen.endpoints().first().map(|endpoint| world.catalog.endpoint(*endpoint).region)
}

/// Whether an amount is this count.
fn is(amount: f64, count: u32) -> bool {
    (amount - f64::from(count)).abs() < 1e-6
}

/// How many addresses move, by service, from and to.
type Counted = HashMap<(usize, Option<RegionId>, Option<RegionId>), u32>;

/// Moves by service, from and to, and how many addresses are known, one address after the other.
fn one_by_one(catalog: &Arc<Catalog>, old: &Arc<Geo>, new: &Arc<Geo>, addresses: &[IpAddr]) -> (Counted, u32) {
    let world = |geo: &Arc<Geo>| World::unmeasured(0, Arc::clone(catalog), Arc::clone(geo)).as_if_measured_up();
    let (old, new) = (world(old), world(new));
    let (mut moves, mut known) = (Counted::new(), 0);
    for address in addresses {
        let is_known = |world: &World| world.geo.locality(world.geo.locate(*address, u8::MAX).locality).country.is_some();
        if !is_known(&old) && !is_known(&new) {
            continue;
        }
        known += 1;
        for service in 0..catalog.services.len() {
            let (from, to) = (region(&old, service, *address), region(&new, service, *address));
            if from != to {
                *moves.entry((service, from, to)).or_default() += 1;
            }
        }
    }
    (moves, known)
}

/// Prefixes within 192.0.2.0/24 and within 2001:db8::/120, with a country or none.
fn prefixes() -> impl Strategy<Value = Vec<(IpNet, Option<&'static str>)>> {
    let country = prop::sample::select(vec![Some("DE"), Some("FR"), Some("US"), Some("CA"), Some("JP"), Some("SG"), None]);
    let prefix = (any::<bool>(), any::<u8>(), 0_u8..=8).prop_map(|(is_v4, host, len)| {
        let net = if is_v4 {
            IpNet::new(Ipv4Addr::new(192, 0, 2, host).into(), 24 + len)
        } else {
            IpNet::new(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, host.into()).into(), 120 + len)
        };
        net.unwrap().trunc()
    });
    prop::collection::vec((prefix, country), 0..12)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn sums_are_those_of_asking_for_every_address(old in prefixes(), new in prefixes()) {
        let catalog = catalog();
        let (old, new) = (geo(&catalog, &old), geo(&catalog, &new));
        let found = compare(&catalog, Arc::clone(&old), Arc::clone(&new));
        let v4: Vec<IpAddr> = (0..=255).map(|host| Ipv4Addr::new(192, 0, 2, host).into()).collect();
        let v6: Vec<IpAddr> = (0..=255).map(|host| Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, host).into()).collect();
        for (family, addresses) in [v4, v6].iter().enumerate() {
            let (moves, known) = one_by_one(&catalog, &old, &new, addresses);
            prop_assert!(is(found.known[family], known));
            for (index, service) in found.services.iter().enumerate() {
                let sum: f64 = service.moves.iter().map(|one| one.tally.amount[family]).sum();
                prop_assert!((sum - service.moved[family]).abs() < 1e-6, "moves add up");
                if service.name.starts_with("shared") {
                    continue; // clients of one /24 share a draw: a test of its own takes many
                }
                let counted: u32 = moves.iter().filter(|((service, ..), _)| *service == index).map(|(_, count)| count).sum();
                prop_assert!(is(service.moved[family], counted), "{}: {counted} {:?}", service.name, service.moved);
                for one in &service.moves {
                    let counted = moves.get(&(index, one.from, one.to)).copied().unwrap_or(0);
                    prop_assert!(is(one.tally.amount[family], counted), "{}: {counted} {one:?}", service.name);
                }
            }
        }
    }
}

#[test]
fn clients_that_endpoints_share_move_as_often_as_the_rendezvous_moves_them() {
    let catalog = catalog();
    let [old, new] = ["DE", "JP"].map(|country| geo(&catalog, &nets(&[("11.0.0.0/8", country)])));
    let found = compare(&catalog, Arc::clone(&old), Arc::clone(&new));
    let addresses: Vec<IpAddr> = (0..65_536_u32).map(|subnet| Ipv4Addr::from_bits(11 << 24 | subnet << 8 | 1).into()).collect();
    let (moves, known) = one_by_one(&catalog, &old, &new, &addresses);
    let index = found.services.iter().position(|service| service.name == "shared.test.example").unwrap();
    let service = &found.services[index];
    // Of {us 1, eu 2} before and {us 1, ap 3} now: us stays for one in six, and so on.
    let expected = [
        (("aws-eu-west-1", "aws-ap-northeast-1"), 7.0 / 12.0),
        (("aws-us-east-1", "aws-ap-northeast-1"), 1.0 / 6.0),
        (("aws-eu-west-1", "aws-us-east-1"), 1.0 / 12.0),
    ];
    assert_eq!(service.moves.len(), expected.len());
    for ((from, to), share) in expected {
        let one = service.moves.iter().find(|one| words(one, &catalog) == (from.to_owned(), to.to_owned())).unwrap();
        assert!((found.share(one.tally.amount, 0) - share).abs() < 1e-9, "{from} {to}: {}", found.share(one.tally.amount, 0));
        let counted = f64::from(moves[&(index, one.from, one.to)]) / f64::from(known);
        assert!((counted - share).abs() < 0.01, "{from} {to}: {counted} of the draws, {share} by reckoning");
    }
}
