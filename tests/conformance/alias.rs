//! Endpoints by host names: what their names were resolved to is answered as addresses, at the apex as anywhere (RFC 1034 §3.6.2 forbids a
//! CNAME there).

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, OnceLock};

use aya_gslb::catalog::{AddressTypes, Catalog};
use aya_gslb::config::{SourceFile, compile};
use aya_gslb::explain::{Question, explain};
use aya_gslb::geo::Geo;
use aya_gslb::health::Status;
use aya_gslb::limits::{COOKIE_OCTETS, STEERED_ADDRESSES_MAX, UDP_REPLY_MAX};
use aya_gslb::steer::Family;
use aya_gslb::units::Moment;
use aya_gslb::world::{Held, LookupFailure, Resolved, Trouble, World};

use crate::support::ask::query;
use crate::support::*;

/// Germans, whom the law keeps in Germany, are those of 198.51.100.0/24, Americans those of 203.0.113.0/24.
const ZONE: &str = r#"
zone = "example.com"
[ns]
ns1 = ["192.0.2.53"]
ns2 = ["198.51.100.53"]
[network.germans]
prefixes = ["198.51.100.0/24"]
country = "DE"
[network.americans]
prefixes = ["203.0.113.0/24"]
country = "US"
[residency.german]
clients = ["DE"]
regions = ["DE"]
unknown = "exempt"

[service."@"]
probe = []
residency = ["german"]
https = { alpn = ["h2"] }
[service."@".endpoint.aws-eu-central-1]
alias = "lb-eu.example.net"
alias-types = ["A", "AAAA"]
[service."@".endpoint.aws-us-east-1]
alias = "lb-us.example.net"
alias-types = ["A", "AAAA"]

[service.half]
probe = []
[service.half.endpoint.aws-eu-central-1]
a = ["192.0.2.1"]
[service.half.endpoint.aws-us-east-1]
alias = "lb-us.example.net"

[service.apart]
probe = []
families = "separate"
[service.apart.endpoint.aws-eu-central-1]
alias = "lb-eu.example.net"
alias-types = ["A", "AAAA"]
[service.apart.endpoint.aws-us-east-1]
a = ["192.0.2.2"]
aaaa = ["2001:db8::2"]

[service.resort]
probe = []
when-all-down = { last-resort = "aws-eu-central-1" }
[service.resort.endpoint.aws-eu-central-1]
a = ["192.0.2.1"]
[service.resort.endpoint.aws-us-east-1]
alias = "lb-us.example.net"

[service.wide]
probe = []
answers = 8
[service.wide.endpoint]
aws-eu-central-1 = { alias = "wide.example.net", alias-types = ["AAAA"] }
aws-eu-west-1 = { alias = "wide2.example.net", alias-types = ["AAAA"] }
aws-us-east-1 = { alias = "wide3.example.net", alias-types = ["AAAA"] }
aws-us-west-2 = { alias = "wide4.example.net", alias-types = ["AAAA"] }
gcp-europe-west3 = { alias = "wide5.example.net", alias-types = ["AAAA"] }
gcp-us-central1 = { alias = "wide6.example.net", alias-types = ["AAAA"] }
gcp-asia-east1 = { alias = "wide7.example.net", alias-types = ["AAAA"] }
azure-westeurope = { alias = "wide8.example.net", alias-types = ["AAAA"] }
"#;

const GERMAN: &str = "198.51.100.0/24";
const AMERICAN: &str = "203.0.113.0/24";
const BOTH: AddressTypes = AddressTypes { a: true, aaaa: true };

/// Everything up and resolved: `lb-eu` to 192.0.2.11 and .12, `lb-us` to 192.0.2.21, and so in IPv6; the wide ones to forty addresses each.
fn world() -> World {
    static BUILT: OnceLock<(Arc<Catalog>, Arc<Geo>)> = OnceLock::new();
    let (catalog, geo) = BUILT.get_or_init(|| {
        let source = SourceFile { name: "example.com.toml".into(), text: ZONE.into() };
        let catalog = compile(vec![source], &|_, _| Err("none".into())).unwrap_or_else(|failure| panic!("{failure}")).catalog;
        let geo = Geo::compile(&catalog, &[]).unwrap();
        (Arc::new(catalog), Arc::new(geo))
    });
    let mut world = World::unmeasured(1, Arc::clone(catalog), Arc::clone(geo));
    world.statuses.of.fill(Status::UP);
    let resolved = world.catalog.aliases.iter().map(|alias| match alias.name.to_string().as_str() {
        "lb-eu.example.net" => resolved(&[11, 12]),
        "lb-us.example.net" => resolved(&[21]),
        _ => resolved(&(1..=32).collect::<Vec<u8>>()),
    });
    world.statuses.resolved = resolved.map(Arc::new).collect();
    world
}

fn resolved(last: &[u8]) -> Resolved {
    let a = last.iter().map(|&last| Ipv4Addr::new(192, 0, 2, last)).collect();
    let aaaa = last.iter().map(|&last| Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last.into())).collect();
    Resolved { a: Held { addresses: a, trouble: None }, aaaa: Held { addresses: aaaa, trouble: None } }
}

/// Publishes that a name is not resolved, as the controller does.
fn lose(world: &mut World, name: &str) {
    let alias = world.catalog.alias_named(&name.parse().unwrap()).unwrap();
    let trouble = || Some(Trouble { failure: LookupFailure::NoSuchName, since: Moment(1_700_000_000_000), found: None });
    let nothing = Resolved { a: Held { trouble: trouble(), ..Held::default() }, aaaa: Held { trouble: trouble(), ..Held::default() } };
    let mut table = world.statuses.resolved.to_vec();
    table[alias.index()] = nothing.into();
    world.statuses.resolved = table.into();
    world.generation += 1;
    for (endpoint, status) in world.catalog.endpoints.iter().zip(&mut world.statuses.of) {
        if let Some(aliased) = endpoint.alias.filter(|aliased| aliased.id == alias) {
            *status = Status { lacks: aliased.types, moving: true, ..*status };
        }
    }
    world.statuses.versions.fill(world.generation);
}

#[test]
fn rfc1034_3_6_2_at_the_apex_a_name_is_answered_as_the_addresses_that_it_stands_for() {
    let world = world();
    let reply = query("example.com", A).subnet(GERMAN).ask(&world);
    assert_eq!(reply.answers(), ["example.com. 30 A 192.0.2.11", "example.com. 30 A 192.0.2.12"]);
    assert!(reply.is_authoritative());
    assert_eq!(query("example.com", AAAA).subnet(AMERICAN).ask(&world).answers(), ["example.com. 30 AAAA 2001:db8::15"]);
    assert_eq!(query("example.com", CNAME).subnet(GERMAN).ask(&world).counts()[1], 0, "there is no such record");
    for qtype in [SOA, NS] {
        assert!(!query("example.com", qtype).tcp().ask(&world).answers().is_empty(), "{qtype} stands beside");
    }
    assert_eq!(query("example.com", ANY).subnet(AMERICAN).ask(&world).answers(), ["example.com. 30 A 192.0.2.21"]);
}

#[test]
fn rfc9460_7_3_hints_and_additional_addresses_are_those_that_were_resolved() {
    let reply = query("example.com", HTTPS).subnet(GERMAN).ask(&world());
    assert_eq!(reply.answers(), ["example.com. 30 HTTPS 1 . alpn=h2, ipv4hint=192.0.2.11,192.0.2.12, ipv6hint=2001:db8::b,2001:db8::c,"]);
    assert_eq!(reply.additionals().len(), 4);
}

#[test]
fn rfc7871_7_2_1_scope_is_that_of_the_decision_as_for_any_endpoint() {
    let world = world();
    for (name, prefix) in [("example.com", GERMAN), ("example.com", AMERICAN), ("half.example.com", AMERICAN)] {
        assert_eq!(query(name, A).subnet(prefix).ask(&world).scope(), Some(24), "{name} for {prefix}");
    }
}

#[test]
fn an_endpoint_that_is_not_resolved_is_not_answered_and_the_next_best_is_with_the_moving_ttl() {
    let mut world = world();
    assert_eq!(query("half.example.com", A).subnet(AMERICAN).ask(&world).answers(), ["half.example.com. 30 A 192.0.2.21"]);
    lose(&mut world, "lb-us.example.net");
    let reply = query("half.example.com", A).subnet(AMERICAN).ask(&world);
    assert_eq!(reply.answers(), ["half.example.com. 5 A 192.0.2.1"]);
    assert_eq!(reply.ede(), None, "a plain failover");
}

#[test]
fn residency_is_never_relaxed_for_want_of_an_address() {
    let mut world = world();
    lose(&mut world, "lb-eu.example.net");
    for qtype in [A, AAAA, HTTPS] {
        let reply = query("example.com", qtype).subnet(GERMAN).ask(&world);
        assert_eq!((reply.rcode(), reply.counts()[1], reply.ede()), ("NOERROR", 0, Some(0)), "{qtype}: nobody else is lawful");
        assert!(reply.authorities()[0].starts_with("example.com. 5 SOA"), "{:?}", reply.authorities());
        assert!(!query("example.com", qtype).subnet(AMERICAN).ask(&world).answers().is_empty());
    }
}

#[test]
fn where_families_are_decided_together_one_that_is_missing_takes_the_endpoint_out_for_both() {
    let mut world = world();
    for (endpoint, status) in world.catalog.endpoints.iter().zip(&mut world.statuses.of) {
        if endpoint.alias.is_some_and(|alias| alias.types == BOTH) && &*endpoint.name == "aws-us-east-1" {
            status.lacks = AddressTypes { a: false, aaaa: true };
        }
    }
    assert_eq!(query("example.com", A).subnet(AMERICAN).ask(&world).answers().len(), 2, "the German ones");
}

#[test]
fn where_families_are_decided_apart_only_the_one_that_is_missing_goes_elsewhere() {
    let mut world = world();
    let id = endpoint(&world, "apart.example.com", "aws-eu-central-1");
    world.statuses.of[id.index()].lacks = AddressTypes { a: false, aaaa: true };
    assert_eq!(query("apart.example.com", A).subnet(GERMAN).ask(&world).answers().len(), 2);
    assert_eq!(query("apart.example.com", AAAA).subnet(GERMAN).ask(&world).answers(), ["apart.example.com. 30 AAAA 2001:db8::2"]);
}

#[test]
fn when_no_endpoint_has_an_address_the_last_resort_is_answered() {
    let mut world = world();
    lose(&mut world, "lb-us.example.net");
    let reply = query("resort.example.com", A).subnet(AMERICAN).ask(&world);
    assert_eq!((reply.answers(), reply.ede()), (vec!["resort.example.com. 5 A 192.0.2.1".to_owned()], Some(0)));
}

#[test]
fn the_largest_answer_of_aliases_fits_a_datagram_with_subnet_and_cookie() {
    let reply = query("wide.example.com", AAAA).udp_size(1232).subnet(GERMAN).option(10, &[7; 8]).ask(&world());
    assert!(!reply.is_truncated());
    assert_eq!(reply.answers().len(), 4, "all names have the same addresses here, and each gives its share: a fourth of the eight");
    let mut world = world();
    // Each name has thirty-two of its own.
    let own = |alias: u8| (0..32).map(|last| Ipv6Addr::new(0x2001, 0xdb8, alias.into(), 0, 0, 0, 0, last)).collect();
    world.statuses.resolved = (0..)
        .zip(&world.catalog.aliases)
        .map(|(alias, _)| Arc::new(Resolved { aaaa: Held { addresses: own(alias), trouble: None }, ..Resolved::default() }))
        .collect();
    let reply = query("wide.example.com", AAAA).udp_size(1232).subnet(GERMAN).option(10, &[7; 8]).ask(&world);
    assert_eq!((reply.answers().len(), reply.is_truncated()), (STEERED_ADDRESSES_MAX, false));
    assert!(reply.octets.len() + COOKIE_OCTETS <= UDP_REPLY_MAX, "{} octets", reply.octets.len());
}

#[test]
fn an_explanation_says_which_name_was_not_resolved_why_and_since_when() {
    let mut world = world();
    lose(&mut world, "lb-eu.example.net");
    let question = Question { service: service_id(&world, "example.com"), family: Family::Any, address: "203.0.113.9".parse().unwrap(), source_len: 32 };
    let explained = explain(&question, &world);
    let [us, eu] = explained.endpoints.as_slice() else { panic!("{explained}") };
    assert_eq!((us.alias.as_deref(), us.addresses.len(), &us.unsettled), (Some("lb-us.example.net"), 2, &None));
    let why = "no address: lb-eu.example.net was not resolved: A no such name (NXDOMAIN), since 2023-11-14T22:13:20Z";
    assert_eq!(eu.excluded.as_deref(), Some(why));
    assert!(explained.to_string().contains(why));
}
