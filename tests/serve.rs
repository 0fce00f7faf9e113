//! A whole node over loopback: sockets, reloads, admin API, signals. Every wait is for an event or has a deadline; nothing sleeps.
#![allow(clippy::unwrap_used, clippy::missing_docs_in_private_items, missing_docs, reason = "a test that cannot do what it says has failed")]

mod support;

#[path = "support/process.rs"]
mod process;

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use aya_gslb::cli::load::{Content, LoadError, Loaded};
use aya_gslb::cli::node::{Node, Options, ReloadError, StartError};
use aya_gslb::clock::Clock;
use aya_gslb::config::{self, SourceFile};
use aya_gslb::geo::Geo;
use aya_gslb::health::Health;
use aya_gslb::publish::Worlds;
use aya_gslb::server::{self, Edge, Engine, Policies, Server};
use aya_gslb::telemetry::Telemetry;
use aya_gslb::world::World;
use process::{Process, address};
use support::ask::query;
use support::{A, AAAA, NS};

use hickory_proto::op::{Message, ResponseCode};

/// Long enough for anything that is going to happen at all.
const PATIENCE: Duration = Duration::from_secs(20);
const ANY_V4: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
const ANY_V6: SocketAddr = SocketAddr::new(std::net::IpAddr::V6(Ipv6Addr::LOCALHOST), 0);

/// A zone with one service at one address.
fn zone(address: &str) -> String {
    format!(
        r#"
zone = "test.example"
[ns]
ns1 = ["192.0.2.53"]
ns2 = ["198.51.100.53"]
[service.api]
[service.api.endpoint.aws-eu-west-1]
a = ["{address}"]
aaaa = ["2001:db8::10"]
"#
    )
}

fn loaded(toml: &str) -> Result<Loaded, LoadError> {
    let source = SourceFile { name: "test.toml".into(), text: toml.into() };
    let loaded = config::compile(vec![source], &|_, _| Err("there is none".into())).map_err(|failure| LoadError::Zones(failure.into()))?;
    Ok(Loaded { geo: Geo::without_databases(&loaded.catalog).into(), catalog: loaded.catalog.into(), lints: Vec::new() })
}

/// Each load makes the next of these, the last for ever.
fn one_after_another(tomls: Vec<String>) -> Content {
    let next = AtomicUsize::new(0);
    Content::Made(Arc::new(move || loaded(&tomls[next.fetch_add(1, Ordering::Relaxed).min(tomls.len() - 1)])))
}

fn start(tomls: Vec<String>) -> Node {
    Node::start(Options::new(one_after_another(tomls), vec![ANY_V4])).unwrap()
}

fn udp(server: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind(if server.is_ipv4() { ANY_V4 } else { ANY_V6 }).unwrap();
    socket.connect(server).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

fn tcp(server: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(server).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

fn ask_udp(socket: &UdpSocket, octets: &[u8]) -> Message {
    socket.send(octets).unwrap();
    let mut reply = [0; 4096];
    let len = socket.recv(&mut reply).unwrap();
    Message::from_vec(&reply[..len]).unwrap()
}

fn framed(octets: &[u8]) -> Vec<u8> {
    [&u16::try_from(octets.len()).unwrap().to_be_bytes()[..], octets].concat()
}

fn read_tcp(stream: &mut TcpStream) -> Message {
    let mut len = [0; 2];
    stream.read_exact(&mut len).unwrap();
    let mut reply = vec![0; usize::from(u16::from_be_bytes(len))];
    stream.read_exact(&mut reply).unwrap();
    Message::from_vec(&reply).unwrap()
}

/// Whether the other side has closed. A reset is as good an end as any.
fn is_closed(stream: &mut TcpStream) -> bool {
    match stream.read(&mut [0; 1]) {
        Ok(octets) => octets == 0,
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
    }
}

fn answers(message: &Message) -> Vec<String> {
    message.answers.iter().map(|record| record.data.to_string()).collect()
}

/// Status, head and body of `GET path`.
fn get(server: SocketAddr, path: &str) -> (u16, String, String) {
    let mut stream = tcp(server);
    write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), head.to_owned(), body.to_owned())
}

/// A series whose value is whole.
fn metric(text: &str, series: &str) -> u64 {
    let line = text.lines().find(|line| line.strip_prefix(series).is_some_and(|rest| rest.starts_with(' ')));
    line.unwrap_or_else(|| panic!("no {series} in\n{text}")).rsplit(' ').next().unwrap().parse().unwrap()
}

#[test]
fn udp_and_tcp_over_both_families_give_the_same_answer() {
    let content = one_after_another(vec![zone("192.0.2.10")]);
    for engine in [Engine::Native, Engine::Portable] {
        let node = Node::start(Options { engine, workers: 2, ..Options::new(content.clone(), vec![ANY_V4, ANY_V6]) }).unwrap();
        assert_eq!(node.addresses().len(), 2);
        for &address in node.addresses() {
            for (qtype, expected) in [(A, "192.0.2.10"), (AAAA, "2001:db8::10")] {
                let octets = query("api.test.example", qtype).octets();
                assert_eq!(answers(&ask_udp(&udp(address), &octets)), [expected], "{engine:?} {address}");
                let mut stream = tcp(address);
                stream.write_all(&framed(&octets)).unwrap();
                assert_eq!(answers(&read_tcp(&mut stream)), [expected], "{engine:?} {address}");
            }
        }
        node.stop();
    }
}

#[test]
fn rfc7766_6_2_1_pipelined_queries_are_answered_in_one_connection() {
    let node = start(vec![zone("192.0.2.10")]);
    let mut stream = tcp(node.addresses()[0]);
    let mut queries = Vec::new();
    for id in 0..200 {
        let mut one = query("api.test.example", if id % 2 == 0 { A } else { AAAA });
        one.id = id;
        queries.extend(framed(&one.octets()));
    }
    stream.write_all(&queries).unwrap();
    let ids: Vec<u16> = (0..200).map(|_| read_tcp(&mut stream).metadata.id).collect();
    assert_eq!(ids, (0..200).collect::<Vec<u16>>());
}

#[test]
fn rfc7766_6_2_1_1_a_half_closed_client_gets_its_answers() {
    let node = start(vec![zone("192.0.2.10")]);
    let mut stream = tcp(node.addresses()[0]);
    stream.write_all(&framed(&query("api.test.example", A).octets())).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(answers(&read_tcp(&mut stream)), ["192.0.2.10"]);
    assert!(is_closed(&mut stream));
}

#[test]
fn rfc1035_4_1_1_a_message_shorter_than_a_header_closes_the_connection_after_earlier_answers() {
    let node = start(vec![zone("192.0.2.10")]);
    let mut stream = tcp(node.addresses()[0]);
    stream.write_all(&[framed(&query("api.test.example", A).octets()), framed(&[0; 11])].concat()).unwrap();
    assert_eq!(answers(&read_tcp(&mut stream)), ["192.0.2.10"]);
    assert!(is_closed(&mut stream));
}

#[test]
fn rfc9210_4_at_the_cap_of_one_client_the_most_idle_connection_goes_and_the_newcomer_is_served() {
    let node = start(vec![zone("192.0.2.10")]);
    let octets = framed(&query("api.test.example", A).octets());
    let mut idle = tcp(node.addresses()[0]);
    let mut busy: Vec<TcpStream> = (1..aya_gslb::limits::TCP_CONNECTIONS_PER_PREFIX_MAX).map(|_| tcp(node.addresses()[0])).collect();
    for stream in &mut busy {
        stream.write_all(&octets).unwrap();
        read_tcp(stream);
    }
    let mut newcomer = tcp(node.addresses()[0]);
    newcomer.write_all(&octets).unwrap();
    assert_eq!(answers(&read_tcp(&mut newcomer)), ["192.0.2.10"]);
    assert!(is_closed(&mut idle));
    for stream in &mut busy {
        stream.write_all(&octets).unwrap();
        read_tcp(stream);
    }
}

#[test]
fn what_was_half_sent_when_the_node_stops_is_still_answered() {
    let node = start(vec![zone("192.0.2.10")]);
    let octets = framed(&query("api.test.example", A).octets());
    // An answer on each shows that both were accepted, so that they are drained rather than refused.
    let [mut stream, mut idle] = [0, 1].map(|_| {
        let mut stream = tcp(node.addresses()[0]);
        stream.write_all(&octets).unwrap();
        read_tcp(&mut stream);
        stream
    });
    stream.write_all(&octets[..octets.len() / 2]).unwrap();
    let stopping = thread::spawn(move || node.stop());
    assert!(is_closed(&mut idle), "the drain is under way once idle connections are closed");
    stream.write_all(&octets[octets.len() / 2..]).unwrap();
    assert_eq!(answers(&read_tcp(&mut stream)), ["192.0.2.10"]);
    assert!(is_closed(&mut stream));
    stopping.join().unwrap();
}

#[test]
fn twenty_reloads_drop_no_query() {
    let tomls = (0..=20).map(|turn| zone(if turn % 2 == 0 { "192.0.2.10" } else { "192.0.2.20" })).collect();
    let node = start(tomls);
    let address = node.addresses()[0];
    let (stop, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    let octets = query("api.test.example", A).octets();
    let count = |message: &Message, seen: &mut [usize; 2]| {
        match answers(message)[..] {
            [ref one] if one == "192.0.2.10" => seen[0] += 1,
            [ref one] if one == "192.0.2.20" => seen[1] += 1,
            ref other => panic!("{other:?}"),
        }
        answered.fetch_add(1, Ordering::Relaxed);
    };
    let hammer_udp = || {
        let (socket, mut seen) = (udp(address), [0; 2]);
        while !stop.load(Ordering::Relaxed) {
            count(&ask_udp(&socket, &octets), &mut seen);
        }
        seen
    };
    let hammer_tcp = || {
        let (mut stream, mut seen) = (tcp(address), [0; 2]);
        while !stop.load(Ordering::Relaxed) {
            stream.write_all(&framed(&octets)).unwrap();
            count(&read_tcp(&mut stream), &mut seen);
        }
        seen
    };
    thread::scope(|scope| {
        let clients = [scope.spawn(hammer_udp), scope.spawn(hammer_tcp)];
        for turn in 0..20 {
            assert_eq!(node.reload().unwrap(), node.worlds().load().generation, "reload {turn}");
            let so_far = answered.load(Ordering::Relaxed);
            while answered.load(Ordering::Relaxed) < so_far + 20 && !clients.iter().any(thread::ScopedJoinHandle::is_finished) {
                thread::yield_now();
            }
        }
        stop.store(true, Ordering::Relaxed);
        for client in clients {
            let seen = client.join().unwrap();
            assert!(seen.iter().all(|&count| count > 0), "both contents were answered from: {seen:?}");
        }
    });
}

#[test]
fn a_reload_that_fails_keeps_the_old_world_and_is_counted() {
    let options = Options::new(one_after_another(vec![zone("192.0.2.10"), "zone = 7".into(), zone("192.0.2.20")]), vec![ANY_V4]);
    let node = Node::start(Options { admin: Some(ANY_V4), ..options }).unwrap();
    let generation = node.worlds().load().generation;
    let octets = query("api.test.example", A).octets();
    assert!(matches!(node.reload(), Err(ReloadError::Load(LoadError::Zones(_)))));
    assert_eq!(node.worlds().load().generation, generation);
    assert_eq!(answers(&ask_udp(&udp(node.addresses()[0]), &octets)), ["192.0.2.10"]);
    node.reload().unwrap();
    assert_eq!(answers(&ask_udp(&udp(node.addresses()[0]), &octets)), ["192.0.2.20"]);
    let (_, _, text) = get(node.admin_address().unwrap(), "/metrics");
    assert_eq!(metric(&text, r#"aya_reloads_total{outcome="applied"}"#), 1);
    assert_eq!(metric(&text, r#"aya_reloads_total{outcome="refused"}"#), 1);
}

#[test]
fn a_reload_that_removes_a_zone_is_refused_unless_it_is_allowed() {
    let other = zone("192.0.2.20").replace("test.example", "other.example");
    for allow_shrink in [false, true] {
        let options = Options::new(one_after_another(vec![zone("192.0.2.10"), other.clone()]), vec![ANY_V4]);
        let node = Node::start(Options { allow_shrink, ..options }).unwrap();
        assert_eq!(node.reload().is_ok(), allow_shrink);
        let rcode = |name| ask_udp(&udp(node.addresses()[0]), &query(name, A).octets()).metadata.response_code;
        let (served, gone) = if allow_shrink { ("api.other.example", "api.test.example") } else { ("api.test.example", "api.other.example") };
        assert_eq!((rcode(served), rcode(gone)), (ResponseCode::NoError, ResponseCode::Refused));
    }
}

#[test]
fn metrics_tell_what_was_answered_and_a_reload_loses_none_of_it() {
    let options = Options::new(one_after_another(vec![zone("192.0.2.10")]), vec![ANY_V4]);
    let node = Node::start(Options { metrics: Some(ANY_V4), workers: 2, ..options }).unwrap();
    let metrics = || get(node.metrics_address().unwrap(), "/metrics").2;
    let ask = |name| {
        ask_udp(&udp(node.addresses()[0]), &query(name, A).octets());
    };
    (0..3).for_each(|_| ask("api.test.example"));
    ask("nothing.test.example");
    ask("elsewhere.example");
    node.reload().unwrap();
    ask("api.test.example");
    let text = metrics();
    let queries = |zone: &str, service: &str, region: &str, reason: &str| {
        metric(&text, &format!(r#"aya_queries_total{{zone="{zone}",service="{service}",region="{region}",reason="{reason}"}}"#))
    };
    assert_eq!(queries("test.example", "api.test.example", "aws-eu-west-1", "best"), 4);
    assert_eq!(queries("test.example", "", "", "static"), 1);
    assert_eq!(queries("", "", "", "not-ours"), 1);
    for (rcode, replies) in [("noerror", 4), ("nxdomain", 1), ("refused", 1), ("servfail", 0)] {
        assert_eq!(metric(&text, &format!(r#"aya_responses_total{{rcode="{rcode}",transport="udp"}}"#)), replies, "{rcode}");
    }
    assert_eq!(metric(&text, r#"aya_answer_panics_total{transport="udp"}"#), 0);
    assert!(metric(&text, "aya_world_generation") >= 2);
    assert_eq!(metric(&text, r#"aya_connections{transport="tcp"}"#), 0);
    assert_eq!(get(node.metrics_address().unwrap(), "/v1/status").0, 404, "the metrics listener tells nothing else");
}

/// A web service that answers when it is told to.
struct Web {
    address: SocketAddr,
    answer: mpsc::Sender<()>,
}

impl Web {
    fn start() -> Self {
        let listener = TcpListener::bind(ANY_V4).unwrap();
        let address = listener.local_addr().unwrap();
        let (answer, answering) = mpsc::channel();
        thread::spawn(move || {
            let mut is_waiting = true;
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                if is_waiting && answering.recv().is_err() {
                    return;
                }
                is_waiting = false;
                // A probe that has given up is no concern of a web service.
                let _ = stream.read(&mut [0; 1024]);
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok");
            }
        });
        Self { address, answer }
    }
}

#[test]
fn a_node_answers_at_once_and_is_ready_after_the_first_round_of_probes() {
    let web = Web::start();
    let probed = format!("{}probe-at = \"{}\"\n[service.api.probe.http]\npath = \"/healthz\"\n", zone("192.0.2.10"), web.address);
    let options = Options::new(one_after_another(vec![probed]), vec![ANY_V4]);
    let node = Node::start(Options { admin: Some(ANY_V4), ..options }).unwrap();
    let admin = node.admin_address().unwrap();
    let mut changes = node.changes();

    assert_eq!(get(admin, "/healthz").0, 200);
    let (status, head, body) = get(admin, "/readyz");
    assert_eq!(status, 503, "{body}");
    assert!(head.contains("application/problem+json"), "{head}");
    assert_eq!(answers(&ask_udp(&udp(node.addresses()[0]), &query("api.test.example", A).octets())), ["192.0.2.10"]);

    web.answer.send(()).unwrap();
    node.wait_until_ready();
    assert_eq!(get(admin, "/readyz").0, 200);
    let change = changes.blocking_recv().unwrap();
    assert_eq!((change.from, change.to), (Health::Unknown, Health::Up));
    let (_, _, text) = get(admin, "/metrics");
    assert_eq!(metric(&text, r#"aya_endpoint_health{service="api.test.example",endpoint="aws-eu-west-1"}"#), 1);
    assert!(metric(&text, r#"aya_probe_results_total{service="api.test.example",endpoint="aws-eu-west-1",outcome="passed"}"#) >= 1);
    assert!(metric(&text, r#"aya_probe_rtt_seconds_count{region="aws-eu-west-1"}"#) >= 1);
    let (_, _, status) = get(admin, "/v1/status");
    assert!(status.contains(r#""endpoint":"aws-eu-west-1""#) && status.contains(r#""health":"up""#), "{status}");
    assert!(status.contains(r#""failed":0,"fall":3,"answered":0,"rise":3"#) && status.contains(r#""doubting":false"#), "{status}");
    assert!(text.contains(r#"aya_endpoint_evidence_age_seconds{service="api.test.example",endpoint="aws-eu-west-1"}"#), "{text}");
}

#[test]
fn the_admin_api_explains_and_tells_problems_as_documents() {
    let options = Options::new(one_after_another(vec![zone("192.0.2.10")]), vec![ANY_V4]);
    let node = Node::start(Options { admin: Some(ANY_V4), ..options }).unwrap();
    let admin = node.admin_address().unwrap();
    let (status, _, body) = get(admin, "/v1/explain?name=api.test.example&client=192.0.2.0/24&type=A");
    assert_eq!(status, 200, "{body}");
    assert!(body.contains(r#""verdict":"serve""#) && body.contains("192.0.2.10"), "{body}");
    let (status, _, body) = get(admin, "/v1/explain?name=api.test.example&client=192.0.2.1&down=aws-eu-west-1");
    assert!(status == 200 && body.contains(r#""reason":"as-if-up""#), "{body}");
    for (path, expected) in [
        ("/v1/explain", 400),
        ("/v1/explain?name=api.test.example&client=nowhere", 400),
        ("/v1/explain?name=a..b&client=192.0.2.1", 400),
        ("/v1/explain?name=api.test.example&client=192.0.2.1&down=mars", 400),
        ("/v1/explain?name=test.example&client=192.0.2.1", 404),
        ("/v1/explain?name=elsewhere.example&client=192.0.2.1", 404),
        ("/nothing", 404),
    ] {
        let (status, head, body) = get(admin, path);
        assert_eq!(status, expected, "{path} {body}");
        assert!(head.contains("application/problem+json") && body.contains(&format!(r#""status":{expected}"#)), "{path} {head} {body}");
    }
}

#[test]
fn the_admin_api_listens_on_loopback_only() {
    let options = Options::new(one_after_another(vec![zone("192.0.2.10")]), vec![ANY_V4]);
    let error = Node::start(Options { admin: Some("0.0.0.0:0".parse().unwrap()), ..options }).unwrap_err();
    assert!(matches!(error, StartError::Admin(_)), "{error}");
}

#[test]
fn a_port_in_use_is_an_error_at_start() {
    let node = start(vec![zone("192.0.2.10")]);
    let taken = node.addresses()[0];
    let error = Node::start(Options::new(one_after_another(vec![zone("192.0.2.10")]), vec![taken])).unwrap_err();
    assert_eq!(error.to_string(), format!("cannot listen on {taken} over UDP"));
}

/// A folder of its own, removed with it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("aya-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn write(&self, name: &str, text: &str) {
        // As editors do: a whole new file under the old name.
        let beside = self.0.join(format!(".{name}.new"));
        std::fs::write(&beside, text).unwrap();
        std::fs::rename(beside, self.0.join(name)).unwrap();
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// `aya serve` on these zones.
fn serve(folder: &Folder, more: &[&str]) -> Process {
    Process::start(Process::command(&folder.0, &[&["--admin", "off"], more].concat()))
}

#[test]
fn serve_reloads_on_sighup_and_on_file_change_and_drains_on_sigterm() {
    let folder = Folder::new("serve");
    folder.write("test.toml", &zone("192.0.2.10"));
    let mut process = serve(&folder, &["--listen", "127.0.0.1:0", "--watch"]);
    let serving = process.wait_for("\"serving\"");
    let address = address(&serving, "listen");
    let ask = || answers(&ask_udp(&udp(address), &query("api.test.example", A).octets()));
    process.wait_for("ready");
    assert_eq!(ask(), ["192.0.2.10"]);

    folder.write("test.toml", &zone("192.0.2.20"));
    let reloaded = process.wait_for("\"reloaded\"");
    assert!(reloaded.contains("files changed"), "{reloaded}");
    assert_eq!(ask(), ["192.0.2.20"]);

    folder.write("test.toml", "zone = \"test.example\"\nns = 7\n");
    let refused = process.wait_for("reload refused");
    assert!(refused.contains("test.toml:2"), "{refused}");
    assert_eq!(ask(), ["192.0.2.20"]);

    process.signal("HUP");
    let refused = process.wait_for("reload refused");
    assert!(refused.contains("SIGHUP"), "{refused}");

    process.signal("TERM");
    process.assert_ends_well();
}

#[test]
fn files_that_are_held_for_a_time_are_read_again_when_it_is_over_if_files_are_followed() {
    let folder = Folder::new("held");
    let gated = |first: &str| {
        let endpoint = |region: &str| format!("[service.api.endpoint.{region}]\na = [\"192.0.2.1\"]\nweight = {}\n", u8::from(region == first));
        let head = "zone = \"test.example\"\n[ns]\nns1 = [\"192.0.2.53\"]\nns2 = [\"198.51.100.53\"]\n[safety]\ngate = \"5s\"\n";
        let clients = "[network.clients]\nprefixes = [\"203.0.113.0/24\"]\ncountry = \"DE\"\n";
        [head, clients].concat() + &["aws-eu-west-1", "aws-us-east-1", "gcp-europe-west3"].map(endpoint).concat()
    };
    folder.write("test.toml", &gated("aws-eu-west-1"));
    let mut process = serve(&folder, &["--listen", "127.0.0.1:0", "--watch"]);
    process.wait_for("\"serving\"");
    // On a slow machine the gate may be open again before the files are read: then the next ones are too soon.
    let regions = ["aws-us-east-1", "gcp-europe-west3", "aws-eu-west-1"].into_iter().cycle().take(60);
    let mut lines = regions.map(|region| {
        folder.write("test.toml", &gated(region));
        process.wait_for("files changed")
    });
    let refused = lines.find(|line| line.contains("reload refused")).expect("one of them is held");
    assert!(refused.contains("`gate` wants 5 s in between; reload again in"), "{refused}");
    let reloaded = process.wait_for("\"reloaded\"");
    assert!(reloaded.contains("it was held for a time"), "{reloaded}");
    process.signal("TERM");
    process.assert_ends_well();
}

#[test]
fn serve_says_what_is_wrong_and_exits_with_2() {
    let folder = Folder::new("wrong");
    folder.write("test.toml", "zone = 7\n");
    let broken = serve(&folder, &["--listen", "127.0.0.1:0"]);
    broken.wait_for("test.toml:1");
    folder.write("test.toml", &zone("192.0.2.10"));
    let taken = UdpSocket::bind(ANY_V4).unwrap().local_addr().unwrap();
    let _listener = UdpSocket::bind(taken).unwrap();
    let in_use = serve(&folder, &["--listen", &taken.to_string()]);
    in_use.wait_for(&format!("cannot listen on {taken} over UDP"));
    let no_geoip = serve(&folder, &["--listen", "127.0.0.1:0", "--geoip", "no/such/folder"]);
    no_geoip.wait_for("no/such/folder");
    for mut process in [broken, in_use, no_geoip] {
        assert_eq!(process.exit_code(), Some(2));
    }
}

#[test]
fn a_panic_of_answering_is_silence_and_a_count_and_the_worker_goes_on() {
    // A world without statuses: what is static is answered, what is steered is a defect.
    let Loaded { catalog, geo, .. } = loaded(&zone("192.0.2.10")).unwrap();
    let mut world = World::unmeasured(1, Arc::clone(&catalog), geo);
    (world.statuses.of, world.statuses.versions) = (Box::new([]), Box::new([]));
    let edge = Edge { worlds: Worlds::fixed(world.into()), policy: Policies::default(), rates: Arc::default(), clock: Clock::system() };
    for engine in [Engine::Native, Engine::Portable] {
        let telemetry = Telemetry::new(4, &catalog);
        let bound = server::bind(&[ANY_V4], 1).unwrap();
        let address = bound[0].address;
        let server = Server::start(bound, engine, &edge, &telemetry).unwrap();
        let socket = udp(address);
        socket.send(&query("api.test.example", A).octets()).unwrap();
        let mut steady = query("test.example", NS);
        steady.id = 77;
        assert_eq!(ask_udp(&socket, &steady.octets()).metadata.id, 77, "the first reply is to the second query");
        let text = telemetry.render(&edge.worlds.load(), true, edge.clock.now());
        assert_eq!(metric(&text, r#"aya_answer_panics_total{transport="udp"}"#), 1, "{engine:?}");
        server.drain();
    }
}
