//! One small world, built by hand, and the means to ask it: shared by the tests of the data path.
#![allow(dead_code, missing_docs, unreachable_pub, clippy::missing_docs_in_private_items, clippy::unwrap_used, clippy::missing_panics_doc)] // a workshop of tests: each crate uses a part of it

pub mod ask;
pub mod build;

use std::sync::{Arc, OnceLock};

use aya_gslb::catalog::{AnswerKind, Catalog, EndpointId, Families, HttpsTemplate, Service, ServiceId, UnknownClient, WhenAllDown, WhenNoneLeft};
use aya_gslb::geo::Geo;
use aya_gslb::health::{Health, Status};
use aya_gslb::world::World;

use build::{Builder, a, aaaa, mx, name, ptr, soa, srv, txt};

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

/// The zone `example.com`: static names of every kind, and services that are steered between Ireland and Virginia. Clients of
/// 198.51.100.0/24, 2001:db8:100::/48 and 10.20.0.0/16 are in Germany, those of 203.0.113.0/24 and 2001:db8:200::/48 in the United States.
pub fn world() -> World {
    let catalog = Arc::clone(catalog());
    let geo = Geo::compile(&catalog, &[]).unwrap();
    let mut world = World::unmeasured(1, catalog, Arc::new(geo));
    for status in &mut world.statuses.of {
        *status = Status::UP;
    }
    world
}

pub fn catalog() -> &'static Arc<Catalog> {
    static CATALOG: OnceLock<Arc<Catalog>> = OnceLock::new();
    CATALOG.get_or_init(|| Arc::new(build_catalog()))
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

/// Text that makes an RRset of `octets` octets of TXT RDATA in records of 200.
fn long_text(octets: usize) -> Vec<Vec<u8>> {
    (0..octets / 200).map(|index| txt(&format!("{index:03}{}", "x".repeat(196)))).collect()
}

fn build_catalog() -> Catalog {
    let mut b = Builder::default();
    for (region, cloud, country, latitude, longitude) in [("aws-eu-west-1", "aws", "IE", 53.3, -6.2), ("aws-us-east-1", "aws", "US", 38.9, -77.4)] {
        b.region(region, cloud, country, latitude, longitude);
    }
    b.network("germany", &["198.51.100.0/24", "2001:db8:100::/48", "10.20.0.0/16"], "DE", 50.1, 8.7);
    b.network("america", &["203.0.113.0/24", "2001:db8:200::/48"], "US", 40.7, -74.0);
    b.residency("german-data", "DE", &["aws-eu-west-1"], UnknownClient::Exempt);
    static_names(&mut b);
    services(&mut b);
    b.finish()
}

fn static_names(b: &mut Builder) {
    b.zone("example.com", 3600, 60);
    b.records("example.com", SOA, 3600, [soa("ns1.example.com", 60)]);
    b.records("example.com", NS, 3600, [name("ns1.example.com"), name("ns2.example.com"), name("ns.elsewhere.net")]);
    b.records("example.com", MX, 300, [mx(10, "mail.example.com")]);
    b.records("example.com", TXT, 300, [txt("v=spf1 -all")]);
    b.records("ns1.example.com", A, 3600, [a("192.0.2.53")]);
    b.records("ns1.example.com", AAAA, 3600, [aaaa("2001:db8::53")]);
    b.records("ns2.example.com", A, 3600, [a("198.51.100.53")]);
    b.records("mail.example.com", A, 300, [a("192.0.2.25"), a("192.0.2.26")]);
    b.records("www.example.com", CNAME, 300, [name("web.example.com")]);
    b.records("web.example.com", A, 300, [a("192.0.2.80")]);
    b.records("web.example.com", TXT, 300, [txt("a much longer text than the address is")]);
    b.records("deep.below.empty.example.com", TXT, 300, [txt("down here")]);
    b.records("*.wild.example.com", TXT, 300, [txt("any card")]);
    b.records("*.wild.example.com", CNAME + 60_000, 300, [vec![1, 2, 3]]);
    b.records("taken.wild.example.com", A, 300, [a("192.0.2.81")]);
    b.records("under.ent.wild.example.com", A, 300, [a("192.0.2.82")]);
    b.records("*.alias.example.com", CNAME, 300, [name("web.example.com")]);
    b.records("new.example.com", 65_280, 300, [vec![0, 1, 2, 3]]);
    b.records("_sip._tcp.example.com", SRV, 300, [srv(5060, "mail.example.com"), srv(5060, "api.example.com")]);
    b.records("large.example.com", TXT, 300, long_text(900));
    b.records("huge.example.com", TXT, 300, long_text(4000));
    b.records("many.example.com", MX, 300, (0..15).map(|index| mx(index, &format!("mx{index}.example.com"))));
    for index in 0..15 {
        b.records(&format!("mx{index}.example.com"), A, 300, (0..5).map(|host| a(&format!("192.0.2.{}", index * 5 + host))));
    }
    b.records(r"\000\255\.odd.example.com", TXT, 300, [txt("any octet")]);

    b.cut("child.example.com", &["ns.child.example.com", "ns1.example.com", "ns.elsewhere.net"], Some(vec![0x12, 0x34, 13, 2, 0xaa, 0xbb]));
    b.glue("ns.child.example.com", "child.example.com", A, [a("192.0.2.153")]);
    b.glue("ns.child.example.com", "child.example.com", AAAA, [aaaa("2001:db8::153")]);
    b.cut("own.example.com", &["own.example.com"], None);
    b.records("own.example.com", A, 86_400, [a("192.0.2.154")]);
    let hosts: Vec<String> = (0..13).map(|index| format!("ns{index}.big.example.com")).collect();
    b.cut("big.example.com", &hosts.iter().map(String::as_str).collect::<Vec<_>>(), None);
    for host in &hosts {
        b.glue(host, "big.example.com", A, (1..8).map(|index| a(&format!("198.51.100.{index}"))));
    }

    b.zone("inner.example.com", 30, 600);
    b.records("inner.example.com", SOA, 30, [soa("ns1.example.com", 600)]);
    b.records("inner.example.com", NS, 3600, [name("ns1.example.com")]);
    b.records("x.inner.example.com", ptr(), 300, [name("web.example.com")]);
}

fn services(b: &mut Builder) {
    let both = [("eu", "aws-eu-west-1", &["192.0.2.1"][..], &["2001:db8::1"][..]), ("us", "aws-us-east-1", &["192.0.2.2"], &["2001:db8::2"])];
    let hints = HttpsTemplate {
        priority: 1,
        before_hints: b"\0\x01\0\x03\x02h2".as_slice().into(),
        between_hints: Box::new([]),
        after_hints: Box::new([]),
        hints: true,
    };
    b.service("api.example.com", |service| service.https = Some(hints.clone()));
    b.endpoints(&both);
    b.records("api.example.com", TXT, 300, [txt("steered")]);
    b.service("lawful.example.com", |service| service.residency = b_residency());
    b.endpoints(&both);
    b.service("foreign.example.com", |service| service.residency = b_residency());
    b.endpoints(&both[1..]);
    b.service("foreign-servfail.example.com", |service: &mut Service| {
        service.residency = b_residency();
        service.when_none_left = WhenNoneLeft::Servfail;
    });
    b.endpoints(&both[1..]);
    b.service("silent.example.com", |service| service.when_all_down = WhenAllDown::Nodata);
    b.endpoints(&both);
    b.service("four.example.com", |service| service.https = Some(HttpsTemplate { hints: false, ..hints.clone() }));
    b.endpoints(&[("eu", "aws-eu-west-1", &["192.0.2.4", "192.0.2.5", "192.0.2.4"], &[]), ("us", "aws-us-east-1", &["192.0.2.6", "192.0.2.4"], &[])]);
    b.service("both.example.com", |service| service.answers = 2);
    b.endpoints(&[("eu", "aws-eu-west-1", &["192.0.2.4", "192.0.2.5"], &[]), ("us", "aws-us-east-1", &["192.0.2.6", "192.0.2.4"], &[])]);
    b.service("apart.example.com", |service: &mut Service| {
        service.families = Families::Separate;
        service.https = Some(hints.clone());
    });
    b.endpoints(&[("eu", "aws-eu-west-1", &["192.0.2.7"], &[]), ("us", "aws-us-east-1", &[], &["2001:db8::8"])]);
    b.service("cdn.example.com", |service| service.kind = AnswerKind::Cname);
    b.endpoints(&both);
    b.canonical_names(&["eu.cdn.net", "us.cdn.net"]);
    b.service("*.tenant.example.com", |_| {});
    b.endpoints(&both);
    let wide: Vec<String> = (0..16).map(|index| format!("192.0.2.{}", 100 + index)).collect();
    let wide: Vec<&str> = wide.iter().map(String::as_str).collect();
    let wide6: Vec<String> = (0..16).map(|index| format!("2001:db8::{index}:1")).collect();
    let wide6: Vec<&str> = wide6.iter().map(String::as_str).collect();
    b.service("wide.example.com", |service| service.answers = 2);
    b.endpoints(&[("eu", "aws-eu-west-1", &wide, &wide6), ("us", "aws-us-east-1", &wide[..8], &wide6[..8])]);
}

fn b_residency() -> Box<[aya_gslb::catalog::ResidencyId]> {
    Box::new([aya_gslb::catalog::ResidencyId(0)])
}
