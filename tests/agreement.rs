//! What a node answers and what it explains are one decision: the zones of this repository, the shipped geography, a thousand clients.
#![allow(clippy::unwrap_used, clippy::missing_docs_in_private_items, missing_docs, reason = "a test that cannot do what it says has failed")]

mod support;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use aya_gslb::cli::load::{Content, Loaded};
use aya_gslb::cli::node::{Node, Options};
use aya_gslb::explain::{Request, explain_request};
use aya_gslb::world::World;
use hickory_proto::op::Message;
use hickory_proto::rr::RecordType;
use support::ask::query;
use support::{A, AAAA};

const PATIENCE: Duration = Duration::from_secs(20);
const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
const SERVICES: [&str; 5] = ["api", "shop", "batch", "www", "llm"];

/// The repository's zones without their probes, so that nothing changes between an answer and its explanation.
fn unprobed() -> Content {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = Content::Files { zones: vec![root.join("zones")], geoip: vec![root.join("geoip")] };
    Content::Made(Arc::new(move || {
        let loaded: Loaded = files.load()?;
        let mut catalog = aya_gslb::catalog::Catalog::clone(&loaded.catalog);
        catalog.probes = Box::default();
        for endpoint in &mut catalog.endpoints {
            endpoint.probes = Box::default();
        }
        Ok(Loaded { catalog: catalog.into(), ..loaded })
    }))
}

/// What `dig +subnet` shows: the records' data, sorted, and their TTL.
fn dig(socket: &UdpSocket, name: &str, qtype: u16, subnet: &str) -> (Vec<String>, u32) {
    socket.send(&query(name, qtype).subnet(subnet).octets()).unwrap();
    let mut reply = [0; 1232];
    let len = socket.recv(&mut reply).unwrap();
    let message = Message::from_vec(&reply[..len]).unwrap();
    let wanted = |rtype| [RecordType::A, RecordType::AAAA, RecordType::CNAME].contains(&rtype);
    let mut data: Vec<String> = message.answers.iter().filter(|record| wanted(record.record_type())).map(|record| record.data.to_string()).collect();
    data.sort();
    (data, message.answers.first().map_or(0, |record| record.ttl))
}

/// What the node's admin API explains for the same client.
fn explain(admin: SocketAddr, name: &str, qtype: &str, client: &str) -> (Vec<String>, u32) {
    let mut stream = TcpStream::connect(admin).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "GET /v1/explain?name={name}&type={qtype}&client={client} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{head}\n{body}");
    let explanation: serde_json::Value = serde_json::from_str(body).unwrap();
    let answered = explanation["endpoints"].as_array().unwrap().iter().filter(|endpoint| !endpoint["answer"].is_null());
    let mut data: Vec<String> = answered
        .flat_map(|endpoint| endpoint["addresses"].as_array().unwrap())
        .map(|address| address.as_str().unwrap().to_owned())
        .map(|address| if address.ends_with("example.net") { format!("{address}.") } else { address })
        .collect();
    data.sort();
    (data, u32::try_from(explanation["ttl"].as_u64().unwrap()).unwrap())
}

#[test]
fn explain_and_dig_agree_for_a_thousand_clients() {
    let node = Node::start(Options { admin: Some(LOOPBACK), ..Options::new(unprobed(), vec![LOOPBACK]) }).unwrap();
    let socket = UdpSocket::bind(LOOPBACK).unwrap();
    socket.connect(node.addresses()[0]).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let admin = node.admin_address().unwrap();

    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    let mut seen = std::collections::BTreeSet::new();
    for round in 0..1_000 {
        let name = format!("{}.gslb.example.com", SERVICES[round % SERVICES.len()]);
        let (qtype, rtype) = if next() % 2 == 0 { (A, "A") } else { (AAAA, "AAAA") };
        let client = if next() % 4 == 0 {
            let address = Ipv6Addr::from_bits(0x2000_u128 << 112 | u128::from(next()) << 61 & !(u128::MAX >> 56));
            format!("{}/{}", Ipv6Addr::from_bits(address.to_bits() & !(u128::MAX >> 48)), 48)
        } else {
            // Unicast addresses that are not special: those would be taken for the resolver's.
            let first = 11 + u32::try_from(next() % 89).unwrap();
            let rest = u32::try_from(next() & 0x00ff_ff00).unwrap();
            format!("{}/24", Ipv4Addr::from_bits(first << 24 | rest))
        };
        let answer = dig(&socket, &name, qtype, &client);
        let (explained, ttl) = explain(admin, &name, rtype, &client);
        // A service without IPv6 answers AAAA with no record, which has no TTL.
        let ttl = if explained.is_empty() { 0 } else { ttl };
        assert_eq!(answer, (explained, ttl), "{name} {rtype} for {client}");
        seen.extend(answer.0);
    }
    assert!(seen.len() >= 15, "the clients saw only {seen:?}");
    node.stop();
}

/// The folder of this repository's zones loads without a finding: it is the living example.
#[test]
fn the_living_example_has_nothing_to_complain_of() {
    let zones: Vec<PathBuf> = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("zones")];
    let loaded = aya_gslb::config::load(&zones).unwrap();
    assert!(loaded.lints.is_empty(), "{:#?}", loaded.lints);
}

/// The shipped database knows 13.34.111.128/25 as German and the rest of that /24 as American.
#[test]
fn a_subnet_over_two_countries_is_under_the_law_of_both() {
    let loaded = unprobed().load().unwrap();
    let world = World::unmeasured(1, loaded.catalog, loaded.geo);
    for client in ["13.34.111.0/24", "13.34.111.200"] {
        let request = Request { name: "api.gslb.example.com", client, qtype: None, down: "" };
        let explanation = explain_request(&request, &world).unwrap();
        assert!(explanation.residency.iter().all(|rule| rule.binds), "{client}: {explanation}");
        let answered = explanation.endpoints.iter().find(|endpoint| endpoint.answer == Some(1)).unwrap();
        assert!(["aws-eu-west-1", "gcp-europe-west3", "dc-frankfurt"].contains(&answered.region.as_str()), "{client}: {explanation}");
    }
}
