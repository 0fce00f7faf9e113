//! Every transport, over real sockets, gives the same answers: UDP, TCP, TLS, HTTPS and QUIC of our engine, and hickory-server's UDP and TCP,
//! all around the same `answer()`. `AYA_QUERIES` says how many are asked, `AYA_SEED` which.
#![allow(clippy::unwrap_used, clippy::missing_docs_in_private_items, missing_docs, reason = "a test that cannot do what it says has failed")]

mod support;

#[path = "support/encrypted.rs"]
mod encrypted;

#[path = "encrypted/http.rs"]
#[allow(dead_code, unreachable_pub, reason = "another test uses the rest")]
mod http;

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use aya_gslb::cli::load::{Content, Loaded};
use aya_gslb::cli::node::{Node, Options};
use aya_gslb::server::Engine;
use hickory_proto::op::Message;
use support::ask::{Query, query};

/// Queries asked of both.
const QUERIES: usize = 10_000;

/// A plain generator of numbers, so that a seed tells the whole test: `AYA_SEED`.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        // Knuth's MMIX constants; the upper half is what is good of it.
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 32
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next()).unwrap() % limit
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    fn pick<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len())]
    }
}

/// Names of every kind that the world has, and some that it has not.
const NAMES: &[&str] = &[
    "example.com",
    "www.example.com",
    "web.example.com",
    "mail.example.com",
    "ns1.example.com",
    "deep.below.empty.example.com",
    "below.empty.example.com",
    "empty.example.com",
    "any.wild.example.com",
    "a.b.wild.example.com",
    "taken.wild.example.com",
    "under.ent.wild.example.com",
    "ent.wild.example.com",
    "x.alias.example.com",
    "new.example.com",
    "_sip._tcp.example.com",
    "large.example.com",
    "huge.example.com",
    "many.example.com",
    "child.example.com",
    "x.child.example.com",
    "ns.child.example.com",
    "own.example.com",
    "x.big.example.com",
    "inner.example.com",
    "x.inner.example.com",
    "nothing.example.com",
    "nothing.nowhere.example.com",
    "example.org",
    "com",
    ".",
    "api.example.com",
    "lawful.example.com",
    "foreign.example.com",
    "foreign-servfail.example.com",
    "silent.example.com",
    "four.example.com",
    "both.example.com",
    "apart.example.com",
    "cdn.example.com",
    "one.tenant.example.com",
    "wide.example.com",
    "x.api.example.com",
    r"\000\255.odd.example.com",
];

/// Types of every kind: data, address, service binding, DNSSEC, meta, unknown.
const TYPES: &[u16] = &[1, 1, 1, 28, 28, 65, 65, 2, 5, 6, 12, 15, 16, 33, 43, 46, 48, 64, 99, 255, 257, 65_280, 60_005];

fn random_query(numbers: &mut Numbers, id: u16) -> Query {
    let mut query = query(numbers.pick::<&str>(NAMES), *numbers.pick(TYPES));
    query.id = id;
    // 0x20: the case of letters is the client's, bit for bit.
    for octet in &mut query.name {
        if octet.is_ascii_alphabetic() && numbers.one_in(3) {
            *octet ^= 0x20;
        }
    }
    // RD, CD, AD, Z, TC.
    query.flags = [0x0100, 0x0010, 0x0020, 0x0040, 0x0200].iter().filter(|_| numbers.one_in(3)).sum();
    if numbers.one_in(50) {
        query.qclass = *numbers.pick(&[3, 255, 254]);
    }
    if numbers.one_in(4) {
        return query;
    }
    let mut query = query.udp_size(*numbers.pick(&[512, 1232, 4096, 0, 700])).edns_flags(*numbers.pick(&[0, 0x8000]));
    if numbers.one_in(40) {
        query = query.edns_flags(1 << 16);
    }
    if numbers.one_in(5) {
        query = query.option(65_001, b"what nobody knows");
    }
    if numbers.one_in(4) { query } else { query.subnet(&random_subnet(numbers)) }
}

fn random_subnet(numbers: &mut Numbers) -> String {
    let known: [IpAddr; 6] = ["198.51.100.7", "203.0.113.9", "10.20.3.4", "2001:db8:100::7", "2001:db8:200::9", "192.0.2.1"].map(|text| text.parse().unwrap());
    let address = match numbers.below(4) {
        0 => IpAddr::V4(Ipv4Addr::from_bits(u32::try_from(numbers.next()).unwrap())),
        1 => IpAddr::V6(Ipv6Addr::from_bits(u128::from(numbers.next()) << 96 | u128::from(numbers.next()) << 64)),
        _ => *numbers.pick(&known),
    };
    let len = numbers.below(if address.is_ipv4() { 33 } else { 129 });
    ipnet::IpNet::new(address, u8::try_from(len).unwrap()).unwrap().trunc().to_string()
}

/// Whether an owner name is that of a service.
fn is_steered(owner: &str) -> bool {
    let services = ["api", "lawful", "foreign", "four", "both", "apart", "cdn", "wide", "one.tenant"];
    services.iter().any(|service| owner.eq_ignore_ascii_case(&format!("{service}.example.com.")))
}

/// A client of one engine.
struct Client {
    udp: UdpSocket,
    tcp: TcpStream,
}

impl Client {
    fn new(server: SocketAddr) -> Self {
        let patience = Some(Duration::from_secs(20));
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        udp.connect(server).unwrap();
        udp.set_read_timeout(patience).unwrap();
        let tcp = TcpStream::connect(server).unwrap();
        tcp.set_read_timeout(patience).unwrap();
        tcp.set_nodelay(true).unwrap();
        Self { udp, tcp }
    }

    fn ask(&mut self, octets: &[u8], over_tcp: bool) -> Vec<u8> {
        let mut reply = vec![0; 65_535];
        let len = if over_tcp {
            self.tcp.write_all(&[&u16::try_from(octets.len()).unwrap().to_be_bytes()[..], octets].concat()).unwrap();
            let mut len = [0; 2];
            self.tcp.read_exact(&mut len).unwrap();
            let len = usize::from(u16::from_be_bytes(len));
            self.tcp.read_exact(&mut reply[..len]).unwrap();
            len
        } else {
            self.udp.send(octets).unwrap();
            self.udp.recv(&mut reply).unwrap()
        };
        reply.truncate(len);
        reply
    }
}

fn start(engine: Engine) -> Node {
    let make = || {
        let world = support::world();
        Ok(Loaded { catalog: world.catalog, geo: world.geo, lints: Vec::new() })
    };
    Node::start(Options { engine, ..Options::new(Content::Made(Arc::new(make)), vec!["127.0.0.1:0".parse().unwrap()]) }).unwrap()
}

#[test]
fn ten_thousand_random_queries_get_the_same_answers_from_both_engines() {
    let seed = std::env::var("AYA_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(2026);
    let (native, portable) = (start(Engine::Native), start(Engine::Portable));
    let mut clients = [Client::new(native.addresses()[0]), Client::new(portable.addresses()[0])];
    let mut numbers = Numbers(seed);
    let mut rcodes = std::collections::BTreeMap::<u16, usize>::new();
    let (mut truncated, mut steered) = (0, 0);
    for turn in 0..QUERIES {
        let query = random_query(&mut numbers, u16::try_from(turn % 65_536).unwrap());
        let (octets, over_tcp) = (query.octets(), numbers.one_in(5));
        let [ours, theirs] = [0, 1].map(|engine| {
            let reply = clients[engine].ask(&octets, over_tcp);
            Message::from_vec(&reply).unwrap_or_else(|error| panic!("seed {seed}, query {turn} {query:?}: {error} in {reply:02x?}"))
        });
        assert_eq!(ours, theirs, "seed {seed}, query {turn}: {query:?}");
        *rcodes.entry(ours.metadata.response_code.into()).or_default() += 1;
        truncated += usize::from(ours.metadata.truncation);
        steered += usize::from(ours.answers.iter().any(|record| is_steered(&record.name.to_string())));
    }
    // What was compared was worth comparing: every kind of outcome was among it.
    for rcode in [0, 3, 5, 16] {
        assert!(rcodes.get(&rcode).is_some_and(|&count| count >= 20), "{rcodes:?}");
    }
    assert!(truncated >= 100 && steered >= 500, "{truncated} truncated, {steered} steered");
}

/// Waits for something that is going to happen.
async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), what).await.expect("it did not happen")
}

/// A client of every encrypted transport of a node.
struct Encrypted {
    runtime: tokio::runtime::Runtime,
    tls: tokio_rustls::client::TlsStream<tokio::net::TcpStream>,
    https: [http::Http; 2],
    quic: quinn::Connection,
}

impl Encrypted {
    fn new(fixture: &encrypted::Fixture) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (tls, https, quic) = runtime.block_on(async {
            let tls = http::connect(fixture.node.tls_addresses()[0], &fixture.certificate, &[b"dot"]).await.unwrap();
            let https = [http::Http::connect(fixture, hyper::Version::HTTP_11).await, http::Http::connect(fixture, hyper::Version::HTTP_2).await];
            let mut endpoint = quinn::Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
            let crypto = quinn::crypto::rustls::QuicClientConfig::try_from(encrypted::client(&fixture.certificate, &[b"doq"])).unwrap();
            endpoint.set_default_client_config(quinn::ClientConfig::new(Arc::new(crypto)));
            (tls, https, endpoint.connect(fixture.node.quic_addresses()[0], encrypted::NAME).unwrap().await.unwrap())
        });
        Self { runtime, tls, https, quic }
    }

    /// The replies over TLS, HTTPS and QUIC. Over the latter the ID is 0, and put back into the reply.
    fn ask(&mut self, octets: &[u8], turn: usize) -> [(&'static str, Vec<u8>); 3] {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let framed = [&u16::try_from(octets.len()).unwrap().to_be_bytes()[..], octets].concat();
        self.runtime.block_on(soon(async {
            self.tls.write_all(&framed).await.unwrap();
            self.tls.flush().await.unwrap();
            let mut over_tls = vec![0; usize::from(self.tls.read_u16().await.unwrap())];
            self.tls.read_exact(&mut over_tls).await.unwrap();
            let sent = if turn % 4 < 2 { http::get(octets) } else { http::post(octets) };
            let got = self.https[turn % 2].send(&sent).await;
            assert!(got.is_dns(), "{got:?}");
            let (mut send, mut receive) = self.quic.open_bi().await.unwrap();
            send.write_all(&[&framed[..2], &[0, 0], &framed[4..]].concat()).await.unwrap();
            send.finish().unwrap();
            let mut over_quic = receive.read_to_end(70_000).await.unwrap();
            over_quic[2..4].copy_from_slice(&octets[..2]);
            [("TLS", over_tls), ("HTTPS", got.body.to_vec()), ("QUIC", over_quic.split_off(2))]
        }))
    }
}

#[test]
fn random_queries_get_the_same_answers_over_every_transport() {
    let number = |name: &str, default| std::env::var(name).ok().and_then(|number| number.parse().ok()).unwrap_or(default);
    let (seed, queries) = (number("AYA_SEED", 2026), number("AYA_QUERIES", 2_000));
    let (native, portable) = (encrypted::start("engines"), start(Engine::Portable));
    let mut ours = Client::new(native.node.addresses()[0]);
    let mut theirs = Client::new(portable.addresses()[0]);
    let mut others = Encrypted::new(&native);
    let mut numbers = Numbers(seed);
    let (mut whole, mut cut) = (0, 0);
    for turn in 0..usize::try_from(queries).unwrap() {
        let query = random_query(&mut numbers, u16::try_from(turn % 65_536).unwrap());
        let octets = query.octets();
        let reference = ours.ask(&octets, true);
        // Behind the same `answer()`: the same to the octet.
        for (transport, reply) in others.ask(&octets, turn) {
            assert_eq!(reply, reference, "seed {seed}, query {turn} over {transport}: {query:?}");
        }
        let datagram = ours.ask(&octets, false);
        if datagram[2] & 0x02 == 0 {
            // Where there is room for all that helps as well.
            whole += usize::from(datagram == reference);
        } else {
            cut += 1;
        }
        let message = Message::from_vec(&reference).unwrap();
        assert_eq!(Message::from_vec(&theirs.ask(&octets, true)).unwrap(), message, "seed {seed}, query {turn}, the portable engine: {query:?}");
    }
    let least = usize::try_from(queries).unwrap();
    assert!(whole > least * 8 / 10 && cut > least / 200, "{whole} whole and {cut} truncated of {queries}");
}
