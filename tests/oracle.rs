//! Our octets against hickory-proto: what either writes, the other reads alike; and whatever comes in, what goes out is a reply.
#![allow(missing_docs, clippy::missing_docs_in_private_items, clippy::unwrap_used)] // test names are sentences

#[path = "support/mod.rs"]
mod support;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use aya_gslb::answer::Transport;
use aya_gslb::catalog::{Content, Name, NodeId, RrSet};
use aya_gslb::wire::{Lowered, Parsed, parse};
use hickory_proto::op::{Edns, Message, OpCode, Query as HickoryQuery};
use hickory_proto::rr::rdata::opt::{ClientSubnet, EdnsOption};
use hickory_proto::rr::{DNSClass, Name as HickoryName, Record, RecordType};
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder, BinEncodable, BinEncoder, NameEncoding};
use proptest::prelude::*;
use support::ask::{RESOLVER, Reply, query, send};
use support::*;

/// Labels of any octets that make a name.
fn labels() -> impl Strategy<Value = Vec<Vec<u8>>> {
    prop::collection::vec(prop_oneof![3 => "[a-zA-Z0-9_*-]{1,12}".prop_map(String::into_bytes), 1 => prop::collection::vec(any::<u8>(), 1..=63)], 0..5)
}

/// A prefix as ECS has it.
fn prefix() -> impl Strategy<Value = (IpAddr, u8)> {
    let v4 =
        (any::<u32>(), 0..=32_u8).prop_map(|(bits, len)| (IpAddr::V4(Ipv4Addr::from_bits(bits & u32::MAX.checked_shl(32 - u32::from(len)).unwrap_or(0))), len));
    let v6 = (any::<u128>(), 0..=128_u8)
        .prop_map(|(bits, len)| (IpAddr::V6(Ipv6Addr::from_bits(bits & u128::MAX.checked_shl(128 - u32::from(len)).unwrap_or(0))), len));
    prop_oneof![v4, v6]
}

/// Names of the world, and names beside and below them.
fn names() -> impl Strategy<Value = String> {
    let known: Vec<String> = world().catalog.owners.nodes().iter().map(|node| node.name.to_string()).collect();
    let below = |name: String| if name == "." { "x".to_owned() } else { format!("x.{name}") };
    prop_oneof![6 => prop::sample::select(known.clone()), 2 => prop::sample::select(known).prop_map(below), 1 => Just("example.org".to_owned())]
}

/// Types that the world has, and others.
fn types() -> impl Strategy<Value = u16> {
    prop_oneof![4 => prop::sample::select(vec![A, NS, CNAME, SOA, MX, TXT, AAAA, SRV, DS, HTTPS, ANY, 65_280]), 1 => any::<u16>()]
}

/// A query for something that may exist, with or without OPT and subnet.
fn queries() -> impl Strategy<Value = support::ask::Query> {
    let opt = prop::option::of((any::<u16>(), any::<bool>(), prop::option::of(prefix())));
    (names(), types(), opt, any::<u16>(), any::<bool>(), any::<bool>()).prop_map(|(name, qtype, opt, id, rd, tcp)| {
        let mut query = query(&name, qtype).flags(u16::from(rd) << 8);
        query.id = id;
        if let Some((size, dnssec_ok, subnet)) = opt {
            query = query.udp_size(size).edns_flags(u32::from(dnssec_ok) << 15);
            query = subnet.into_iter().fold(query, |query, (address, len)| query.subnet(&format!("{address}/{len}")));
        }
        if tcp { query.tcp() } else { query }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

    #[test]
    fn every_query_that_hickory_writes_is_read_alike(
        labels in labels(), qtype in any::<u16>(), qclass in any::<u16>(), id in any::<u16>(), rd in any::<bool>(),
        opt in prop::option::of((512..=u16::MAX, any::<bool>(), prop::option::of(prefix()))),
    ) {
        let Ok(name) = HickoryName::from_labels(labels) else { return Ok(()) };
        let mut asked = HickoryQuery::query(name.clone(), RecordType::from(qtype));
        asked.set_query_class(DNSClass::from(qclass));
        let mut message = Message::new(id, hickory_proto::op::MessageType::Query, OpCode::Query);
        message.metadata.recursion_desired = rd;
        message.add_query(asked);
        if let Some((size, dnssec_ok, subnet)) = opt {
            let mut edns = Edns::new();
            edns.set_max_payload(size).set_dnssec_ok(dnssec_ok);
            if let Some((address, len)) = subnet {
                edns.options_mut().insert(EdnsOption::Subnet(ClientSubnet::new(address, len, 0)));
            }
            message.set_edns(edns);
        }
        let octets = message.to_vec().unwrap();
        let Parsed::Query { envelope, question } = parse(&octets, &mut Lowered::default()) else { panic!("{octets:02x?}") };
        prop_assert_eq!((envelope.id, envelope.opcode, envelope.recursion_desired), (id, 0, rd));
        prop_assert_eq!((question.qtype, question.qclass), (qtype, qclass));
        let mut decoder = BinDecoder::new(question.name);
        prop_assert!(HickoryName::read(&mut decoder).unwrap().eq_case(&name));
        prop_assert_eq!(envelope.edns.map(|edns| (edns.udp_size, edns.dnssec_ok)), opt.map(|(size, dnssec_ok, _)| (size, dnssec_ok)));
        let subnet = envelope.edns.and_then(|edns| edns.ecs).map(|ecs| (ecs.address, ecs.source));
        prop_assert_eq!(subnet, opt.and_then(|(_, _, subnet)| subnet));
    }

    #[test]
    fn every_reply_is_read_by_hickory_and_says_what_the_catalog_has(query in queries()) {
        let world = world();
        let reply = query.ask(&world);
        uphold(&query.octets(), &reply, query.transport)?;
        let message = reply.message();
        for record in message.answers.iter().chain(&message.authorities).chain(&message.additionals) {
            prop_assert!(exists(&world, record), "{}", record);
        }
        prop_assert_eq!(reply.subnet().map(|(address, source, _)| (address, source)), subnet_of(&query.octets()));
    }

    #[test]
    fn whatever_comes_in_what_goes_out_is_a_reply_to_it(
        query in queries(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut in prop::option::of(any::<prop::sample::Index>()),
        more in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let mut octets = query.octets();
        for (place, octet) in changes {
            let place = place.index(octets.len());
            octets[place] = octet;
        }
        if let Some(cut) = cut {
            octets.truncate(cut.index(octets.len()));
        }
        octets.extend(more);
        uphold(&octets, &send(&world(), &octets, RESOLVER, query.transport), query.transport)?;
    }

    #[test]
    fn noise_is_met_with_silence_or_a_reply(octets in prop::collection::vec(any::<u8>(), 0..600)) {
        uphold(&octets, &send(&world(), &octets, RESOLVER, Transport::Udp), Transport::Udp)?;
    }
}

#[test]
fn every_static_rrset_of_the_catalog_is_answered_whole() {
    let world = world();
    let mut asked = 0;
    for node in world.catalog.owners.nodes() {
        let (Content::Records(sets) | Content::Service { records: sets, .. }) = &node.content else { continue };
        for set in sets {
            let message = query(&node.name.to_string(), set.rtype).tcp().ask(&world).message();
            let answered: Vec<Vec<u8>> = message.answers.iter().map(rdata_of).collect();
            assert_eq!(answered, set.rdata.iter().map(|rdata| rdata.to_vec()).collect::<Vec<_>>(), "{} {}", node.name, set.rtype);
            assert!(message.answers.iter().all(|record| record.ttl == set.ttl && name_of(&record.name) == node.name));
            asked += 1;
        }
    }
    assert!(asked > 30, "{asked}");
}

/// What holds for every reply to any octets.
fn uphold(octets: &[u8], reply: &Reply, transport: Transport) -> Result<(), TestCaseError> {
    let is_query = octets.len() >= 12 && octets[2] & 0x80 == 0;
    prop_assert_eq!(reply.is_silence(), !is_query);
    if !is_query {
        return Ok(());
    }
    prop_assert_eq!(&reply.octets[..2], &octets[..2], "ID");
    prop_assert_eq!(reply.octets[2] & 0xf9, 0x80 | octets[2] & 0x79, "QR, OPCODE and RD");
    prop_assert_eq!(reply.octets[3] & 0xf0, 0, "RA, Z, AD, CD");
    let limit = match (transport, parse(octets, &mut Lowered::default())) {
        (Transport::Tcp | Transport::Tls | Transport::Https | Transport::Quic, _) => 65_535,
        (_, Parsed::Query { envelope, .. } | Parsed::Broken { envelope, .. } | Parsed::Cookie { envelope }) => {
            envelope.edns.map_or(512, |edns| usize::from(edns.udp_size).clamp(512, 1232))
        }
        (_, Parsed::Silent) => 0,
    };
    prop_assert!(reply.octets.len() <= limit, "{} octets of {}", reply.octets.len(), limit);
    prop_assert_eq!(reply.is_truncated(), reply.outcome.truncated);
    let message = Message::from_vec(&reply.octets);
    prop_assert!(message.is_ok(), "{:?}: {:02x?}", message, reply.octets);
    Ok(())
}

/// The subnet of a query as hickory reads it.
fn subnet_of(octets: &[u8]) -> Option<(IpAddr, u8)> {
    match Message::from_vec(octets).unwrap().edns?.option(hickory_proto::rr::rdata::opt::EdnsCode::Subnet)? {
        EdnsOption::Subnet(subnet) => Some((subnet.addr(), subnet.source_prefix())),
        other => panic!("{other:?}"),
    }
}

/// Whether the catalog has this record: at its owner, or at the wildcard that stands in for it.
fn exists(world: &aya_gslb::world::World, record: &Record) -> bool {
    let owners = &world.catalog.owners;
    let owner = name_of(&record.name);
    let node = owners.find(&owner).or_else(|| wildcard_for(world, &owner)).map(|id| owners.node(id)).unwrap();
    let rtype = u16::from(record.record_type());
    let rdata = rdata_of(record);
    let holds = |sets: &[RrSet]| sets.iter().any(|set| set.rtype == rtype && set.rdata.iter().any(|one| **one == rdata[..]));
    match &node.content {
        Content::Records(sets) | Content::BelowCut { glue: sets, .. } => holds(sets),
        Content::Cut { ns, ds, glue } => holds(std::slice::from_ref(ns)) || holds(ds.as_slice()) || holds(glue),
        Content::Empty => false,
        Content::Service { service, records } => {
            let service = world.catalog.service(*service);
            holds(records)
                || world.catalog.endpoints_of(service).any(|(_, endpoint)| match rtype {
                    A => endpoint.a.iter().any(|a| a.octets() == rdata[..]),
                    AAAA => endpoint.aaaa.iter().any(|aaaa| aaaa.octets() == rdata[..]),
                    CNAME => endpoint.cname.as_ref().is_some_and(|cname| cname.wire() == rdata),
                    HTTPS => service.https.is_some(),
                    _ => false,
                })
        }
    }
}

fn wildcard_for(world: &aya_gslb::world::World, owner: &Name) -> Option<NodeId> {
    let owners = &world.catalog.owners;
    let mut ancestor = owner.parent();
    while let Some(name) = ancestor {
        if let Some(node) = owners.find(&name) {
            return owners.node(node).wildcard;
        }
        ancestor = name.parent();
    }
    None
}

/// RDATA as hickory writes it, uncompressed.
fn rdata_of(record: &Record) -> Vec<u8> {
    let mut octets = Vec::new();
    let mut encoder = BinEncoder::new(&mut octets);
    encoder.set_name_encoding(NameEncoding::Uncompressed);
    record.data.emit(&mut encoder).unwrap();
    octets
}

fn name_of(name: &HickoryName) -> Name {
    let labels = name.iter().flat_map(|label| std::iter::once(u8::try_from(label.len()).unwrap()).chain(label.iter().copied()));
    Name::from_wire(&labels.chain([0]).collect::<Vec<u8>>()).unwrap()
}
