//! What is left when everything around answering is dead: probes, the admin API, the state folder, one by one and together. Answers go on as they were, and say how
//! old the view is that they are made from.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use aya_gslb::admin::access::{Access, AccessFiles};
use aya_gslb::admin::{Admin, Context, Listeners};
use aya_gslb::answer::Policy;
use aya_gslb::catalog::{Catalog, EndpointId, ProbeSpec};
use aya_gslb::clock::{Clock, Hand};
use aya_gslb::config;
use aya_gslb::geo::Geo;
use aya_gslb::health::{Health, Observation};
use aya_gslb::probe::{Meter, Roots};
use aya_gslb::publish::{ControlHandle, NoDrillMeter, Start, spawn};
use aya_gslb::resolve::{self, NameServers};
use aya_gslb::server::{self, Edge, Engine, Policies, Server};
use aya_gslb::telemetry::Telemetry;
use aya_gslb::units::Moment;
use aya_gslb::world::World;
use hickory_proto::op::Message;

use crate::support::A;
use crate::support::ask::query;
use crate::{PATIENCE, client};

/// TXT (RFC 1035 §3.3.14).
const TXT: u16 = 16;
/// When it all begins.
const START: Moment = Moment(1_700_000_000_000);

/// Lets the task that probes die when it is told to, in the midst of its work.
#[derive(Default)]
struct Fuse(AtomicBool);

impl Meter for Fuse {
    fn probed(&self, _spec: &ProbeSpec, _observation: &Observation) {
        assert!(!self.0.load(Ordering::SeqCst), "the prober dies, as this test wants it to");
    }
}

/// A web service that is there until it is told to go.
struct Web {
    address: SocketAddr,
    gone: Arc<AtomicBool>,
}

impl Web {
    fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let (address, gone) = (listener.local_addr().unwrap(), Arc::new(AtomicBool::new(false)));
        let is_gone = Arc::clone(&gone);
        thread::spawn(move || {
            for stream in listener.incoming() {
                if is_gone.load(Ordering::SeqCst) {
                    return;
                }
                let mut stream = stream.unwrap();
                let _ = stream.read(&mut [0; 1_024]);
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
            }
        });
        Self { address, gone }
    }

    fn go(&self) {
        self.gone.store(true, Ordering::SeqCst);
        // Wakes it up, so that it hears of it.
        drop(TcpStream::connect(self.address));
    }
}

/// A whole node with a clock that is moved by hand.
struct Node {
    runtime: tokio::runtime::Runtime,
    hand: Hand,
    now: Moment,
    fuse: Arc<Fuse>,
    web: Web,
    control: ControlHandle,
    telemetry: Arc<Telemetry>,
    server: Server,
    address: SocketAddr,
    admin: Option<Admin>,
    admin_address: SocketAddr,
    state: PathBuf,
}

fn catalog(probe_at: SocketAddr) -> Arc<Catalog> {
    let zone = format!(
        "zone = \"test.example\"\n[ns]\nns1 = [\"192.0.2.53\"]\nns2 = [\"198.51.100.53\"]\n[service.api.probe.http]\npath = \"/\"\n\
         [service.api.endpoint.aws-eu-west-1]\na = [\"192.0.2.10\"]\nprobe-at = \"{probe_at}\"\n"
    );
    let source = config::SourceFile { name: "zone.toml".into(), text: zone.into() };
    Arc::new(config::compile(vec![source], &|_, _| Err("none".into())).unwrap().catalog)
}

impl Node {
    fn start(name: &str) -> Self {
        let state = std::env::temp_dir().join(format!("aya-dead-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&state).unwrap();
        let (web, fuse) = (Web::start(), Arc::new(Fuse::default()));
        let (clock, hand) = Clock::by_hand(START);
        let catalog = catalog(web.address);
        let telemetry = Arc::new(Telemetry::new(8, &catalog));
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let control = {
            let _inside = runtime.enter();
            spawn(Start {
                geo: Arc::new(Geo::without_databases(&catalog)),
                catalog,
                clock: clock.clone(),
                state: Some(state.join("health.state")),
                overrides: Some(state.clone()),
                roots: Roots::of_certificates([]).unwrap(),
                commands: None,
                seed: 1,
                meter: Arc::clone(&fuse) as _,
                name_servers: NameServers::Of(Vec::new()),
                lookups: Arc::new(resolve::NoMeter),
                drills: Arc::new(NoDrillMeter),
            })
        };
        let policy = Policy { why_networks: server::loopback(), ..Policy::default() };
        let edge = Edge { worlds: control.worlds().clone(), policy: Policies::new(Arc::new(policy).into()), rates: Arc::default(), clock: clock.clone() };
        let bound = server::bind(&[(Ipv4Addr::LOCALHOST, 0).into()], 1).unwrap();
        let address = bound[0].address;
        let server = Server::start(bound, Engine::Native, &edge, &telemetry).unwrap();
        let access = Arc::new(Access::load(AccessFiles::default()).unwrap());
        let listeners = Listeners::bind(Some((Ipv4Addr::LOCALHOST, 0).into()), None, &access, |_| None).unwrap();
        let admin_address = listeners.admin_address().unwrap();
        let context = Context { worlds: edge.worlds, clock, telemetry: Arc::clone(&telemetry), control: control.clone(), ready: control.ready() };
        let admin = Some(Admin::start(listeners, context, access).unwrap());
        let node = Self { runtime, hand, now: START, fuse, web, control, telemetry, server, address, admin, admin_address, state };
        node.wait_for(|world| world.status(EndpointId(0)).health == Health::Up);
        node
    }

    /// Waits until the world is so. What makes it so is on its way already.
    fn wait_for(&self, is: impl Fn(&World) -> bool) {
        while !is(&self.control.worlds().load()) {
            thread::yield_now();
        }
    }

    /// Lets time pass.
    fn pass(&mut self, seconds: u64) {
        self.now = self.now.plus_millis(seconds * 1_000);
        self.hand.move_to(self.now);
    }

    fn ask(&self, name: &str, qtype: u16) -> Message {
        let (client, mut reply) = (client(), [0; 1_232]);
        client.send_to(&query(name, qtype).edns().octets(), self.address).unwrap();
        let len = client.recv(&mut reply).expect("every query is answered");
        Message::from_vec(&reply[..len]).unwrap()
    }

    /// The addresses of an answer, and the text of its extended error, if there is one.
    fn answer(&self) -> (Vec<String>, Option<(u16, String)>) {
        let reply = self.ask("api.test.example", A);
        (reply.answers.iter().map(|record| record.data.to_string()).collect(), extended_error(&reply))
    }

    fn metrics(&self) -> String {
        self.telemetry.render(&self.control.worlds().load(), true, self.now)
    }

    fn kill_probes(&mut self) {
        self.fuse.0.store(true, Ordering::SeqCst);
        // The next turn is the last one.
        self.pass(6);
    }

    fn kill_admin(&mut self) {
        self.admin.take().unwrap().stop();
        assert!(TcpStream::connect(self.admin_address).is_err());
    }

    /// The folder is gone, and where it was is a file, so that nothing can be written there any more.
    fn kill_state(&self) {
        std::fs::remove_dir_all(&self.state).unwrap();
        std::fs::write(&self.state, "no folder").unwrap();
    }

    fn stop(self) {
        self.admin.into_iter().for_each(Admin::stop);
        self.server.drain();
        self.runtime.block_on(self.control.stop());
        remove(&self.state);
    }
}

fn remove(path: &Path) {
    let _ = std::fs::remove_dir_all(path);
    let _ = std::fs::remove_file(path);
}

/// The code and text of the extended error (RFC 8914 §2).
fn extended_error(reply: &Message) -> Option<(u16, String)> {
    use hickory_proto::rr::rdata::opt::{EdnsCode, EdnsOption};
    let Some(EdnsOption::Unknown(15, octets)) = reply.edns.as_ref()?.option(EdnsCode::from(15)) else { return None };
    Some((u16::from_be_bytes([octets[0], octets[1]]), String::from_utf8(octets[2..].to_vec()).unwrap()))
}

fn http(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn with_probes_admin_api_and_state_folder_dead_in_any_combination_answers_go_on_and_tell_their_age() {
    for dead in 0..8_u8 {
        let (no_probes, no_admin, no_state) = (dead & 1 != 0, dead & 2 != 0, dead & 4 != 0);
        let mut node = Node::start(&format!("{dead}"));
        assert_eq!(node.answer(), (vec!["192.0.2.10".to_owned()], None), "nothing is unusual yet");
        if no_state {
            node.kill_state();
        }
        if no_admin {
            node.kill_admin();
        }
        if no_probes {
            node.kill_probes();
        }
        // Ten minutes: states are written in vain, probes have their turns, if there are any left.
        for _ in 0..100 {
            let observed = node.control.worlds().load().statuses.observed;
            node.pass(6);
            if no_probes {
                assert_eq!(node.answer().0, ["192.0.2.10"], "{dead}");
            } else {
                node.wait_for(|world| world.statuses.observed > observed);
            }
        }
        let world = || node.control.worlds().load();
        assert_eq!(world().status(EndpointId(0)).health, Health::Up, "staleness changes no status");
        if no_probes {
            node.wait_for(|world| world.statuses.stale);
            let (addresses, error) = node.answer();
            assert_eq!(addresses, ["192.0.2.10"]);
            let (code, text) = error.expect("it says how old it is");
            assert_eq!(code, 3, "Stale Answer (RFC 8914 §4.4)");
            assert!(text.starts_with("stale: no fresh observations for 6"), "{text}");
            let why = node.ask("_why.api.test.example", TXT);
            assert!(!why.answers.is_empty());
            assert_eq!(extended_error(&why).map(|(code, _)| code), Some(3));
            let metrics = node.metrics();
            let age: f64 = metrics.lines().find_map(|line| line.strip_prefix("aya_world_age_seconds ")).unwrap().parse().unwrap();
            assert!(metrics.contains("aya_world_stale 1") && age >= 600.0, "{age}");
        } else {
            assert_eq!(node.answer(), (vec!["192.0.2.10".to_owned()], None), "{dead}");
            assert!(node.metrics().contains("aya_world_stale 0"));
        }
        if !no_admin {
            assert!(http(node.admin_address, "/healthz").starts_with("HTTP/1.1 200"));
            assert!(http(node.admin_address, "/v1/status").contains(&format!("\"stale\":{no_probes}")));
        }
        assert_eq!(node.state.is_file(), no_state);
        node.stop();
    }
}

#[test]
fn what_is_probed_may_be_gone_and_the_state_folder_and_the_admin_api_with_it() {
    let mut node = Node::start("responder");
    node.kill_state();
    node.kill_admin();
    node.web.go();
    while node.control.worlds().load().status(EndpointId(0)).health != Health::Down {
        let observed = node.control.worlds().load().statuses.observed;
        node.pass(6);
        node.wait_for(|world| world.statuses.observed > observed);
    }
    let (addresses, error) = node.answer();
    assert_eq!((addresses, error.map(|(code, _)| code)), (vec!["192.0.2.10".to_owned()], Some(0)), "all are down: answered as if up, and it says so");
    node.stop();
}
