//! What the data path stands: wildcard addresses, worlds that change under load, a change of processes. Every query has one try.
#![allow(clippy::unwrap_used, clippy::missing_docs_in_private_items, missing_docs, reason = "a test that cannot do what it says has failed")]

mod dead;
#[path = "../support/encrypted.rs"]
mod encrypted;
mod encrypted_handover;
#[allow(dead_code, unreachable_pub, reason = "a workshop of other tests")]
#[path = "../encrypted/http.rs"]
mod http;
#[path = "../support/process.rs"]
mod process;
#[path = "../support/mod.rs"]
mod support;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use aya_gslb::clock::Clock;
use aya_gslb::geo::Geo;
use aya_gslb::health::Health;
use aya_gslb::limits::UDP_BATCH;
use aya_gslb::publish::Publisher;
use aya_gslb::server::{self, Edge, Engine, Policies, Server};
use aya_gslb::telemetry::Telemetry;
use aya_gslb::world::World;
use hickory_proto::op::Message;
use process::{Process, address};
use support::ask::query;
use support::{A, endpoint, world};

/// Long enough for anything that is going to happen at all.
const PATIENCE: Duration = Duration::from_secs(20);

/// Lets clients stop when it goes, also by a panic: else whoever waits for them would wait for ever, and nobody would learn why.
struct Finish<'a>(&'a AtomicBool);

impl Drop for Finish<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Waits for something that is going to happen.
async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("it did not happen")
}

fn client() -> UdpSocket {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

fn answers(reply: &[u8]) -> Vec<String> {
    Message::from_vec(reply).unwrap().answers.iter().map(|record| record.data.to_string()).collect()
}

#[test]
fn on_a_wildcard_address_each_reply_leaves_from_the_address_that_was_asked() {
    let world = Arc::new(world());
    let telemetry = Telemetry::new(8, &world.catalog);
    let edge = Edge { worlds: Publisher::new(world).worlds(), policy: Policies::default(), rates: Arc::default(), clock: Clock::system() };
    let bound = server::bind(&[(Ipv4Addr::UNSPECIFIED, 0).into()], 2).unwrap();
    let port = bound[0].address.port();
    let server = Server::start(bound, Engine::Native, &edge, &telemetry).unwrap();
    for last in [1, 2, 3, 2, 1] {
        let asked = SocketAddr::from(([127, 0, 0, last], port));
        let client = client();
        client.send_to(&query("api.example.com", A).octets(), asked).unwrap();
        let mut reply = [0; 1_232];
        let (len, from) = client.recv_from(&mut reply).unwrap();
        assert_eq!(from, asked);
        assert!(!answers(&reply[..len]).is_empty());
    }
    server.drain();
}

/// Worlds in which one of two endpoints of a service is down, by turns, and in which the geography is another one now and then.
fn by_turns(generation: u64) -> Arc<World> {
    let mut world = world();
    world.generation = generation;
    world.statuses.versions.fill(generation);
    let down = endpoint(&world, "api.example.com", if generation.is_multiple_of(2) { "eu" } else { "us" });
    world.statuses.of[down.index()].health = Health::Down;
    if generation.is_multiple_of(3) {
        world.geo = Arc::new(Geo::compile(&world.catalog, &[]).unwrap());
    }
    Arc::new(world)
}

#[test]
fn worlds_and_geographies_published_under_load_lose_no_query_and_no_answer_mixes_two() {
    let first = by_turns(1);
    let telemetry = Telemetry::new(8, &first.catalog);
    let mut publisher = Publisher::new(first);
    let edge = Edge { worlds: publisher.worlds(), policy: Policies::default(), rates: Arc::default(), clock: Clock::system() };
    let bound = server::bind(&[(Ipv4Addr::LOCALHOST, 0).into()], 2).unwrap();
    let address = bound[0].address;
    let server = Server::start(bound, Engine::Native, &edge, &telemetry).unwrap();
    let octets = query("api.example.com", A).octets();
    let (done, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    let hammer = || {
        let (client, mut seen) = (client(), Vec::new());
        client.connect(address).unwrap();
        while !done.load(Ordering::Relaxed) {
            // As many as a batch holds, so that a change of worlds falls into the midst of them.
            for _ in 0..UDP_BATCH {
                client.send(&octets).unwrap();
            }
            for _ in 0..UDP_BATCH {
                let mut reply = [0; 1_232];
                let len = client.recv(&mut reply).expect("no query is lost");
                let answer = answers(&reply[..len]);
                if !seen.contains(&answer) {
                    seen.push(answer);
                }
            }
            answered.fetch_add(UDP_BATCH, Ordering::Relaxed);
        }
        seen
    };
    thread::scope(|scope| {
        let finish = Finish(&done);
        let clients = [scope.spawn(hammer), scope.spawn(hammer)];
        for generation in 2..=200 {
            assert!(publisher.publish(by_turns(generation)));
            let so_far = answered.load(Ordering::Relaxed);
            while answered.load(Ordering::Relaxed) == so_far && !clients.iter().any(thread::ScopedJoinHandle::is_finished) {
                thread::yield_now();
            }
        }
        drop(finish);
        for client in clients {
            let mut seen = client.join().unwrap();
            seen.sort();
            assert_eq!(seen.len(), 2, "every answer is one of two worlds': {seen:?}");
            assert!(seen.iter().all(|answer| answer.len() == 1), "{seen:?}");
        }
    });
    server.drain();
    drop(edge);
    assert_eq!(publisher.reclaim(), 0, "workers hold no world that was replaced");
}

/// A zone with one service at one address.
const ZONE: &str = r#"
zone = "test.example"
[ns]
ns1 = ["192.0.2.53"]
ns2 = ["198.51.100.53"]
[service.api]
[service.api.endpoint.aws-eu-west-1]
a = ["192.0.2.10"]
"#;

/// A folder of its own with the zone, removed with it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        Self::with(name, ZONE)
    }

    fn with(name: &str, zone: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("aya-survival-{name}-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("zones")).unwrap();
        std::fs::write(folder.join("zones/test.toml"), zone).unwrap();
        Self(folder)
    }

    fn zones(&self) -> PathBuf {
        self.0.join("zones")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Asks over a socket of its own, as each question of a resolver is.
fn ask_udp(server: SocketAddr, octets: &[u8]) -> Vec<String> {
    let (client, mut reply) = (client(), [0; 1_232]);
    client.send_to(octets, server).unwrap();
    let len = client.recv(&mut reply).expect("no query over UDP is lost");
    answers(&reply[..len])
}

/// Asks over a connection of its own. It is reset in the end: tens of thousands that were closed in peace would hold every port that the system
/// has for a minute, and the next process that wants one, of this test or another, would find none.
fn ask_tcp(server: SocketAddr, octets: &[u8]) -> Vec<String> {
    let mut stream = TcpStream::connect(server).expect("nobody is turned away");
    socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(&[&u16::try_from(octets.len()).unwrap().to_be_bytes(), octets].concat()).unwrap();
    let mut len = [0; 2];
    stream.read_exact(&mut len).expect("no query over TCP is lost");
    let mut reply = vec![0; usize::from(u16::from_be_bytes(len))];
    stream.read_exact(&mut reply).unwrap();
    answers(&reply)
}

#[test]
fn a_node_that_is_replaced_under_load_loses_no_query_over_udp_or_tcp() {
    let folder = Folder::new("handover");
    let path = folder.0.join("handover.sock");
    let serve = |listen: &str, workers: &str| {
        let more = ["--listen", listen, "--workers", workers, "--admin", "127.0.0.1:0", "--handover", path.to_str().unwrap()];
        Process::start(Process::command(&folder.zones(), &more))
    };
    let mut old = serve("127.0.0.1:0", "2");
    let serving = old.wait_for("\"serving\"");
    let address = address(&serving, "listen");
    let octets = query("api.test.example", A).octets();
    let (done, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    let hammer = |ask: fn(SocketAddr, &[u8]) -> Vec<String>| {
        while !done.load(Ordering::Relaxed) {
            assert_eq!(ask(address, &octets), ["192.0.2.10"]);
            answered.fetch_add(1, Ordering::Relaxed);
        }
    };
    thread::scope(|scope| {
        let finish = Finish(&done);
        let clients = [ask_udp, ask_udp, ask_tcp, ask_tcp].map(|ask| scope.spawn(move || hammer(ask)));
        let some_more = || {
            let so_far = answered.load(Ordering::Relaxed);
            while answered.load(Ordering::Relaxed) < so_far + 200 && !clients.iter().any(thread::ScopedJoinHandle::is_finished) {
                thread::yield_now();
            }
        };
        // More workers than before, fewer, and as many.
        for workers in ["3", "1", "3"] {
            some_more();
            let new = serve(&address.to_string(), workers);
            new.wait_for("\"serving\"");
            old.wait_for("another process has taken over");
            old.assert_ends_well();
            old = new;
            some_more();
        }
        // A successor whose files are wrong changes nothing.
        let broken = Process::start(Process::command(&folder.zones(), &["--handover", path.to_str().unwrap(), "--zones", "no/such/folder"]));
        broken.wait_for("no/such/folder");
        some_more();
        drop(finish);
        for client in clients {
            client.join().unwrap();
        }
    });
    old.signal("TERM");
    old.assert_ends_well();
}

/// Waits for news of this kind.
fn wait_for_news(manager: &UnixDatagram, news: &str) -> String {
    let mut words = [0; 512];
    loop {
        let len = manager.recv(&mut words).unwrap_or_else(|error| panic!("no {news}: {error}"));
        let told = String::from_utf8(words[..len].to_vec()).unwrap();
        if told.lines().any(|line| line == news) {
            return told;
        }
    }
}

/// Sockets of both kinds on one port.
fn both_kinds() -> (UdpSocket, TcpListener) {
    loop {
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        // Somebody else may have the port for UDP.
        if let Ok(udp) = UdpSocket::bind(tcp.local_addr().unwrap()) {
            return (udp, tcp);
        }
    }
}

#[test]
fn sockets_of_a_service_manager_are_answered_on_and_what_comes_between_two_processes_waits_for_the_second() {
    let folder = Folder::new("activation");
    let (udp, tcp) = both_kinds();
    let address = udp.local_addr().unwrap();
    let path = folder.0.join("notify.sock");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_read_timeout(Some(3 * PATIENCE)).unwrap();
    let activate = || {
        let mut command = Process::command(&folder.zones(), &["--admin", "off", "--workers", "2"]);
        // The descriptors 0 and 1, rather than 3 and 4.
        command.stdin(OwnedFd::from(udp.try_clone().unwrap())).stdout(OwnedFd::from(tcp.try_clone().unwrap()));
        command.env("LISTEN_FDS", "2").env("LISTEN_FDS_FIRST_FD", "0").env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "200000");
        Process::start(command)
    };
    let octets = query("api.test.example", A).octets();
    let waiting = client();
    for turn in 0..2 {
        let mut process = activate();
        let ready = wait_for_news(&manager, "READY=1");
        assert!(ready.contains(&format!("STATUS=answering on {address}")), "{ready}");
        if turn > 0 {
            let mut reply = [0; 1_232];
            let len = waiting.recv(&mut reply).unwrap();
            assert_eq!(answers(&reply[..len]), ["192.0.2.10"]);
        }
        assert_eq!(ask_udp(address, &octets), ["192.0.2.10"]);
        assert_eq!(ask_tcp(address, &octets), ["192.0.2.10"]);
        wait_for_news(&manager, "WATCHDOG=1");
        process.signal("HUP");
        assert!(wait_for_news(&manager, "RELOADING=1").contains("MONOTONIC_USEC="));
        wait_for_news(&manager, "READY=1");
        process.signal("TERM");
        wait_for_news(&manager, "STOPPING=1");
        process.assert_ends_well();
        waiting.send_to(&octets, address).unwrap();
    }
}
