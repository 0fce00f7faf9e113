//! Answering allocates nothing: not for a static name, not for a steered one, with warm cells or cold, not for what is no query at all.
#![allow(missing_docs, clippy::missing_docs_in_private_items, clippy::unwrap_used)] // test names are sentences
#![allow(unsafe_code)] // a global allocator is unsafe by its trait; this one only counts

#[path = "support/mod.rs"]
mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aya_gslb::answer::{Ask, CookieSecrets, Policy, Scratch, Transport, answer, answer_limited};
use aya_gslb::clock::Clock;
use aya_gslb::config::{SourceFile, compile};
use aya_gslb::geo::Geo;
use aya_gslb::health::Status;
use aya_gslb::publish::Publisher;
use aya_gslb::server::{self, Edge, Engine, Policies, Server};
use aya_gslb::telemetry::Telemetry;
use aya_gslb::units::Moment;
use aya_gslb::world::{Held, Resolved, World};
use support::ask::query;
use support::*;

/// The system's allocator, counting the calls of each thread.
struct Counting;

thread_local! {
    static CALLS: Cell<usize> = const { Cell::new(0) };
    static THREAD: Cell<usize> = const { Cell::new(0) };
}

/// Calls by the system's number of the thread, for who looks from outside.
static CALLS_OF: [AtomicUsize; 1 << 16] = [const { AtomicUsize::new(0) }; 1 << 16];

fn count() {
    CALLS.with(|calls| calls.set(calls.get() + 1));
    if THREAD.get() == 0 {
        // SAFETY: it takes nothing and cannot fail.
        THREAD.set(usize::try_from(unsafe { libc::gettid() }).unwrap_or_default());
    }
    calls_of(THREAD.get()).fetch_add(1, Ordering::Relaxed);
}

fn calls_of(thread: usize) -> &'static AtomicUsize {
    &CALLS_OF[thread % CALLS_OF.len()]
}

/// The thread of this name.
fn thread_named(name: &str) -> usize {
    let threads = std::fs::read_dir("/proc/self/task").unwrap().map(|thread| thread.unwrap());
    let named = |thread: &std::fs::DirEntry| std::fs::read_to_string(thread.path().join("comm")).is_ok_and(|comm| comm.trim_end() == name);
    threads.into_iter().find(named).unwrap().file_name().to_str().unwrap().parse().unwrap()
}

unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        count();
        unsafe { System.dealloc(place, layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        unsafe { System.realloc(place, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn the_allocator_counts() {
    let before = CALLS.get();
    drop(vec![1_u8; 100]);
    assert_eq!(CALLS.get() - before, 2);
}

#[test]
fn answering_allocates_nothing() {
    let mut world = world();
    let mut scratch = Scratch::default();
    let mut reply = vec![0; 65_535];
    let names = [
        ("api.example.com", A),
        ("api.example.com", AAAA),
        ("api.example.com", HTTPS),
        ("both.example.com", A),
        ("apart.example.com", AAAA),
        ("cdn.example.com", A),
        ("x.tenant.example.com", A),
        ("foreign.example.com", A),
        ("foreign-servfail.example.com", A),
        ("web.example.com", A),
        ("www.example.com", A),
        ("huge.example.com", TXT),
        ("many.example.com", MX),
        ("host.big.example.com", A),
        ("child.example.com", DS),
        ("inner.example.com", DS),
        ("missing.example.com", A),
        ("any.wild.example.com", TXT),
        ("example.org", A),
        ("example.com", ANY),
        ("example.com", 252),
    ];
    let cookies = Some(CookieSecrets::new([7; 16], Some([8; 16])));
    let policy = Policy { nsid: b"fra-2".as_slice().into(), cookies, ..Policy::default() };
    let mut queries: Vec<_> = names
        .iter()
        .flat_map(|&(name, qtype)| {
            let query = query(name, qtype);
            [
                query.clone(),
                query.clone().tcp().from("2001:db8:200::9"),
                query.clone().edns_flags(0x8000),
                query.clone().subnet("198.51.100.0/24"),
                query.clone().subnet("0.0.0.0/1"),
                query.clone().subnet("10.1.0.0/16"),
                query.clone().subnet("2001:db8:200::/56"),
                query.clone().flags(0x2800),
                query.clone().option(10, &[1; 8]).option(3, b""),
                query.clone().option(10, &[1; 24]).option(11, b"").option(12, b"").over(Transport::Tls),
                query.option(8, b"malformed"),
            ]
        })
        .map(|query| (query.octets(), Ask { source: query.source, transport: query.transport, now: Moment(1), policy: &policy }))
        .collect();
    let cut: Vec<_> = queries.iter().step_by(7).flat_map(|(octets, ask)| (0..octets.len()).map(|len| (octets[..len].to_vec(), *ask))).collect();
    queries.extend(cut);
    for round in 0..4 {
        // Then with everything unusual, so that there is much to say.
        world.statuses.stale = round == 2;
        if round == 3 {
            world.statuses.of.fill(DOWN);
        }
        for (octets, ask) in &queries {
            let before = CALLS.get();
            let outcome = answer(octets, ask, &world, &mut scratch, &mut reply);
            assert_eq!(CALLS.get(), before, "round {round}: {octets:02x?} {outcome:?}");
            let outcome = answer_limited(octets, ask, &mut scratch, &mut reply);
            assert_eq!(CALLS.get(), before, "round {round}: {octets:02x?} {outcome:?}");
        }
        // Every cell goes cold.
        world.generation += 1;
        world.statuses.versions.fill(world.generation);
    }
}

#[test]
fn answering_with_what_a_name_was_resolved_to_allocates_nothing() {
    let zone = "zone = \"example.com\"\n[ns]\nns1 = [\"192.0.2.53\"]\nns2 = [\"198.51.100.53\"]\n[service.\"@\"]\nprobe = []\nhttps = { alpn = [\"h2\"] }\n\
        [service.\"@\".endpoint.aws-eu-west-1]\nalias = \"lb.example.net\"\nalias-types = [\"A\", \"AAAA\"]\n";
    let source = SourceFile { name: "example.com.toml".into(), text: zone.into() };
    let catalog = compile(vec![source], &|_, _| Err("none".into())).unwrap_or_else(|failure| panic!("{failure}")).catalog;
    let geo = Geo::without_databases(&catalog);
    let mut world = World::unmeasured(1, Arc::new(catalog), Arc::new(geo));
    let (mut scratch, mut reply, policy) = (Scratch::default(), vec![0; 65_535], Policy::default());
    for addresses in [0, 1, 8] {
        let held = |octet: u8| (1..=addresses).map(move |last| (octet, last));
        let a = Held { addresses: held(192).map(|(first, last)| Ipv4Addr::new(first, 0, 2, last)).collect(), trouble: None };
        let aaaa = Held { addresses: held(1).map(|(_, last)| Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last.into())).collect(), trouble: None };
        world.statuses.resolved = [Arc::new(Resolved { a, aaaa })].into();
        world.generation += 1;
        world.statuses.versions.fill(world.generation);
        if addresses > 0 {
            world.statuses.of.fill(Status::UP);
        }
        for (qtype, turn) in [A, AAAA, HTTPS].into_iter().flat_map(|qtype| (0..3).map(move |turn| (qtype, turn))) {
            let (octets, source) = (query("example.com", qtype).udp_size(1232).octets(), Ipv4Addr::new(198, 51, 100, 9).into());
            let before = CALLS.get();
            let outcome = answer(&octets, &Ask { source, transport: Transport::Udp, now: Moment(1), policy: &policy }, &world, &mut scratch, &mut reply);
            assert_eq!(CALLS.get(), before, "{addresses} addresses, type {qtype}, turn {turn}");
            assert_eq!(outcome.steered.unwrap().endpoint.is_some(), addresses > 0);
        }
    }
}

/// A client of the node.
fn client(server: SocketAddr) -> UdpSocket {
    let own: SocketAddr = if server.is_ipv4() { (Ipv4Addr::LOCALHOST, 0).into() } else { (Ipv6Addr::LOCALHOST, 0).into() };
    let socket = UdpSocket::bind(own).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    socket.connect(server).unwrap();
    socket
}

#[test]
fn datagram_workers_allocate_nothing_from_query_to_reply_while_worlds_are_published() {
    let mut next: Vec<Arc<World>> = (1..=50)
        .map(|generation| {
            let mut world = world();
            world.generation = generation;
            Arc::new(world)
        })
        .rev()
        .collect();
    let first = next.pop().unwrap();
    let telemetry = Telemetry::new(8, &first.catalog);
    let mut publisher = Publisher::new(first);
    let edge = Edge { worlds: publisher.worlds(), policy: Policies::default(), rates: Arc::default(), clock: Clock::system() };
    // One worker is told where its queries were sent to, the other knows.
    let bound = server::bind(&[(Ipv4Addr::UNSPECIFIED, 0).into(), (Ipv6Addr::LOCALHOST, 0).into()], 1).unwrap();
    let addresses = [(Ipv4Addr::LOCALHOST, bound[0].address.port()).into(), bound[1].address];
    let server = Server::start(bound, Engine::Native, &edge, &telemetry).unwrap();
    let names = ["api.example.com", "both.example.com", "cdn.example.com", "missing.example.com", "huge.example.com", "example.org"];
    let mut queries: Vec<Vec<u8>> = names.iter().flat_map(|name| [query(name, A).octets(), query(name, AAAA).subnet("198.51.100.0/24").octets()]).collect();
    queries.push(vec![0; 4_097]);
    let clients = addresses.map(client);
    let ask_all = || {
        for client in &clients {
            for query in &queries {
                client.send(query).unwrap();
            }
            for _ in &queries {
                client.recv(&mut [0; 2_048]).unwrap();
            }
        }
    };
    // What a thread makes once for itself.
    ask_all();
    let workers = ["aya-udp-0", "aya-udp-1"].map(thread_named);
    let before = workers.map(|worker| calls_of(worker).load(Ordering::Relaxed));
    while let Some(world) = next.pop() {
        assert!(publisher.publish(world));
        ask_all();
    }
    assert_eq!(workers.map(|worker| calls_of(worker).load(Ordering::Relaxed)), before);
    server.drain();
}
