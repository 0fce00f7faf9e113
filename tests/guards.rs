//! What guards a node, over real sockets: cookies whose secret rolls over at a reload, limits of replies, its name, and who may ask why.
#![allow(clippy::unwrap_used, clippy::missing_docs_in_private_items, missing_docs, reason = "a test that cannot do what it says has failed")]

mod support;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use aya_gslb::cli::load::{Content, Loaded};
use aya_gslb::cli::node::{Node, Options, ReloadError, StartError};
use aya_gslb::cli::policy::Wishes;
use aya_gslb::server::{Engine, RateLimits};
use hickory_proto::op::{Message, ResponseCode};
use support::ask::{Query, header, query};
use support::*;

const PATIENCE: Option<Duration> = Some(Duration::from_secs(20));

fn options() -> Options {
    let make = || {
        let world = world();
        Ok(Loaded { catalog: world.catalog, geo: world.geo, lints: Vec::new() })
    };
    Options::new(Content::Made(Arc::new(make)), vec!["127.0.0.1:0".parse().unwrap()])
}

fn client(server: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(server).unwrap();
    socket.set_read_timeout(PATIENCE).unwrap();
    socket
}

fn receive(socket: &UdpSocket) -> Message {
    let mut reply = vec![0; 65_535];
    let len = socket.recv(&mut reply).unwrap();
    Message::from_vec(&reply[..len]).unwrap()
}

fn ask(socket: &UdpSocket, query: &Query) -> Message {
    socket.send(&query.octets()).unwrap();
    receive(socket)
}

/// What a query with this cookie and no question is told: RCODE and cookie.
fn check_cookie(socket: &UdpSocket, cookie: &[u8]) -> (u16, Vec<u8>) {
    socket.send(&[header(9, 0, [0, 0, 0, 1]), query("a", A).option(10, cookie).opt()].concat()).unwrap();
    let reply = receive(socket);
    (reply.metadata.response_code.into(), option(&reply, 10).unwrap())
}

/// The data of an option.
fn option(reply: &Message, code: u16) -> Option<Vec<u8>> {
    let edns = reply.edns.as_ref()?;
    edns.options().as_ref().iter().find(|(other, _)| u16::from(*other) == code).map(|(_, option)| Vec::try_from(option).unwrap())
}

/// A file of this process alone.
fn scratch_file(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("aya-guards-{}-{name}", std::process::id()))
}

const OLD: &str = "e5e973e5a6b2a43f48e7dc849e37bfcf\n";
const NEW: &str = "445536bcd2513298075a5d379663c962\n";
const BADCOOKIE: u16 = 23;

#[test]
fn the_secret_of_cookies_rolls_over_by_reloads_and_a_broken_file_changes_nothing() {
    let path = scratch_file("secret");
    std::fs::write(&path, OLD).unwrap();
    let wishes = Wishes { cookie_secret: Some(path.clone()), ..Wishes::default() };
    let node = Node::start(Options { wishes, ..options() }).unwrap();
    let socket = client(node.addresses()[0]);
    let (rcode, learnt) = check_cookie(&socket, &[1; 8]);
    assert_eq!((rcode, learnt.len()), (0, 24));

    std::fs::write(&path, format!("{NEW}{OLD}")).unwrap();
    node.reload().unwrap();
    let (rcode, renewed) = check_cookie(&socket, &learnt);
    assert_eq!((rcode, renewed == learnt), (0, false), "good still, and renewed");

    std::fs::write(&path, "no secret").unwrap();
    assert!(matches!(node.reload(), Err(ReloadError::Secret(_))));
    assert_eq!(check_cookie(&socket, &learnt).0, 0, "as before");

    std::fs::write(&path, NEW).unwrap();
    node.reload().unwrap();
    assert_eq!((check_cookie(&socket, &learnt).0, check_cookie(&socket, &renewed).0), (BADCOOKIE, 0));
    node.stop();

    std::fs::remove_file(&path).unwrap();
    let wishes = Wishes { cookie_secret: Some(path), ..Wishes::default() };
    assert!(matches!(Node::start(Options { wishes, ..options() }), Err(StartError::Secret(_))));
}

#[test]
fn a_node_without_a_secret_makes_one_and_keeps_it_over_reloads() {
    let node = Node::start(options()).unwrap();
    let socket = client(node.addresses()[0]);
    let learnt = check_cookie(&socket, &[1; 8]).1;
    node.reload().unwrap();
    assert_eq!(check_cookie(&socket, &learnt), (0, learnt));
    node.stop();
}

#[test]
fn a_node_tells_its_name_and_why_to_this_machine_by_either_engine() {
    for engine in [Engine::Native, Engine::Portable] {
        let wishes = Wishes { nsid: b"fra-2".as_slice().into(), ..Wishes::default() };
        let node = Node::start(Options { wishes, engine, ..options() }).unwrap();
        let socket = client(node.addresses()[0]);
        let reply = ask(&socket, &query("web.example.com", A).option(3, b""));
        assert_eq!(option(&reply, 3), Some(b"fra-2".to_vec()));
        let why = ask(&socket, &query("_why.api.example.com", TXT).udp_size(1232).subnet("198.51.100.0/24"));
        let said: Vec<String> = why.answers.iter().map(|record| record.data.to_string()).collect();
        assert!(said.iter().any(|line| line.contains("answer: eu, TTL")), "{said:?}");
        node.stop();
    }
}

/// Refusals among replies that are sent before a marker comes, whole and truncated.
fn flood(socket: &UdpSocket, queries: u16) -> (usize, usize) {
    let mut refused = query("example.org", A);
    for id in 0..queries {
        refused.id = id;
        socket.send(&refused.octets()).unwrap();
    }
    let mut marker = query("web.example.com", A);
    marker.id = queries;
    socket.send(&marker.octets()).unwrap();
    let (mut whole, mut truncated) = (0, 0);
    loop {
        let reply = receive(socket);
        match (reply.metadata.id == queries, reply.metadata.truncation) {
            (true, _) => return (whole, truncated),
            (false, true) => truncated += 1,
            (false, false) => {
                assert_eq!(reply.metadata.response_code, ResponseCode::Refused);
                whole += 1;
            }
        }
    }
}

#[test]
fn a_flood_of_refusals_is_limited_counted_and_still_answered_over_tcp() {
    let rates = RateLimits { exempt: Box::default(), ..RateLimits::default() };
    let admin = Some("127.0.0.1:0".parse().unwrap());
    let node = Node::start(Options { rates, admin, ..options() }).unwrap();
    let socket = client(node.addresses()[0]);
    let (whole, truncated) = flood(&socket, 100);
    // Some more than a second's worth where sending takes long.
    assert!((20..100).contains(&whole) && truncated >= 1, "{whole} whole, {truncated} truncated");

    let mut tcp = TcpStream::connect(node.addresses()[0]).unwrap();
    tcp.set_read_timeout(PATIENCE).unwrap();
    let octets = query("example.org", A).octets();
    tcp.write_all(&[&u16::try_from(octets.len()).unwrap().to_be_bytes()[..], &octets].concat()).unwrap();
    let mut reply = [0; 6];
    tcp.read_exact(&mut reply).unwrap();
    assert_eq!(reply[5] & 0x0f, 5, "REFUSED, whatever went over UDP");

    let mut http = TcpStream::connect(node.admin_address().unwrap()).unwrap();
    http.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut metrics = String::new();
    http.read_to_string(&mut metrics).unwrap();
    for (metric, least) in [("aya_rrl_dropped_total", 1), ("aya_rrl_slipped_total", 1), ("aya_rrl_would_drop_total", 0)] {
        let line = metrics.lines().find(|line| line.starts_with(&format!("{metric}{{class=\"refused\"}}"))).unwrap();
        let count: u64 = line.rsplit(' ').next().unwrap().parse().unwrap();
        assert!(count >= least, "{line}");
    }
    node.stop();
}

#[test]
fn this_machine_is_not_limited_unless_the_operator_says_so() {
    let node = Node::start(options()).unwrap();
    assert_eq!(flood(&client(node.addresses()[0]), 100), (100, 0));
    node.stop();
}
