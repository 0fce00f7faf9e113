//! The controller's task with real probes on loopback, and how worlds come to workers and go.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aya_gslb::catalog::{Catalog, EndpointId, ProbeSpec, ProbeTarget};
use aya_gslb::clock::Clock;
use aya_gslb::control::{Change, Refused};
use aya_gslb::health::{Health, Observation};
use aya_gslb::probe::{Meter, Roots};
use aya_gslb::publish::{ControlHandle, NotTaken, Publisher, Start, spawn};
use aya_gslb::resolve::{self, NameServers};
use aya_gslb::units::Moment;
use aya_gslb::world::World;
use tokio::net::TcpListener;
use tokio::sync::broadcast;

use crate::small::{Build, START, geo, tcp, two_services};
use crate::state_file::folder;

/// Counts probes.
#[derive(Default)]
pub(crate) struct Count(AtomicUsize);

impl Meter for Count {
    fn probed(&self, _spec: &ProbeSpec, _observation: &Observation) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn probe_of(target: SocketAddr) -> ProbeSpec {
    let target = ProbeTarget { host: target.ip().into(), port: target.port() };
    ProbeSpec { target, interval_ms: 20, timeout_ms: 5_000, fall: 2, rise: 2, ..tcp(1) }
}

fn catalog_of(target: SocketAddr) -> Arc<Catalog> {
    Build::default().zone("example.com").service("api").endpoint("east", 1, &[probe_of(target)]).finish()
}

pub(crate) fn start(catalog: Arc<Catalog>, state: Option<PathBuf>, meter: Arc<dyn Meter>) -> ControlHandle {
    let roots = Roots::of_certificates([]).unwrap();
    spawn(Start {
        catalog,
        geo: geo(),
        clock: Clock::system(),
        state,
        overrides: None,
        roots,
        commands: None,
        seed: 1,
        meter,
        name_servers: NameServers::Of(Vec::new()),
        lookups: Arc::new(resolve::NoMeter),
        drills: Arc::new(aya_gslb::publish::NoDrillMeter),
    })
}

async fn next(changes: &mut broadcast::Receiver<Change>) -> (Health, Health) {
    let change = changes.recv().await.unwrap();
    (change.from, change.to)
}

fn health(handle: &ControlHandle) -> Health {
    handle.worlds().load().status(EndpointId(0)).health
}

#[tokio::test]
async fn a_service_that_stops_and_starts_goes_down_and_comes_up_in_the_world() {
    let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = server.local_addr().unwrap();
    let count = Arc::new(Count::default());
    let handle = start(catalog_of(address), None, Arc::clone(&count) as _);
    let mut changes = handle.changes();
    assert_eq!(next(&mut changes).await, (Health::Unknown, Health::Up));
    assert_eq!(health(&handle), Health::Up, "published before it is told");
    handle.ready().wait_for(|&ready| ready).await.unwrap();
    drop(server);
    assert_eq!(next(&mut changes).await, (Health::Up, Health::Down));
    assert_eq!(health(&handle), Health::Down);
    let _server = TcpListener::bind(address).await.unwrap();
    assert_eq!(next(&mut changes).await, (Health::Down, Health::Up));
    assert_eq!(health(&handle), Health::Up);
    assert!(count.0.load(Ordering::Relaxed) >= 5);
    handle.stop().await;
}

#[tokio::test]
async fn health_outlives_the_process_and_is_in_the_first_world_of_the_next() {
    let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let catalog = catalog_of(server.local_addr().unwrap());
    drop(server);
    let path = folder("restart").join("state");
    let first = start(Arc::clone(&catalog), Some(path.clone()), Arc::new(Count::default()));
    assert_eq!(next(&mut first.changes()).await, (Health::Unknown, Health::Down));
    first.stop().await;
    let second = start(Arc::clone(&catalog), Some(path.clone()), Arc::new(Count::default()));
    assert_eq!(health(&second), Health::Down, "before any probe");
    second.stop().await;
    std::fs::write(&path, "not a state").unwrap();
    let third = start(catalog, Some(path), Arc::new(Count::default()));
    assert_eq!(health(&third), Health::Unknown, "a broken file is no reason not to start");
    third.stop().await;
}

#[tokio::test]
async fn a_reload_is_answered_with_its_generation_or_with_why_not() {
    let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = server.local_addr().unwrap();
    let handle = start(catalog_of(address), None, Arc::new(Count::default()));
    let mut changes = handle.changes();
    assert_eq!(next(&mut changes).await, (Health::Unknown, Health::Up));

    let other = Build::default().zone("other.example").service("api").endpoint("east", 1, &[probe_of(address)]).finish();
    let refused = handle.reload(Arc::clone(&other), geo(), false).await;
    assert_eq!(refused, Err(NotTaken::Refused(Refused::RemovesZones(vec!["example.com".into()]))));
    let generation = handle.reload(Arc::clone(&other), geo(), true).await.unwrap();
    let world = handle.worlds().load();
    assert!(world.generation >= generation && Arc::ptr_eq(&world.catalog, &other));
    assert_eq!(next(&mut changes).await, (Health::Unknown, Health::Up), "the new endpoint is probed");
    assert!(handle.change_geography(geo(), other.digest).await.unwrap() > generation);

    handle.stop().await;
    let late = handle.reload(other, geo(), true).await;
    assert_eq!(late, Err(NotTaken::Ended));
}

/// A world of the given generation and a catalog of its own.
fn world(generation: u64) -> Arc<World> {
    Arc::new(World::unmeasured(generation, two_services(), geo()))
}

#[test]
fn a_world_is_published_only_if_it_is_newer() {
    let mut publisher = Publisher::new(world(5));
    let mut reader = publisher.worlds().reader();
    assert!(!publisher.publish(world(5)));
    assert!(!publisher.publish(world(4)));
    assert_eq!(reader.world().generation, 5);
    assert!(publisher.publish(world(6)));
    assert_eq!(reader.world().generation, 6);
}

#[test]
fn a_replaced_world_is_freed_by_the_writer_and_only_when_no_worker_holds_it() {
    let first = world(1);
    let catalog = Arc::downgrade(&first.catalog);
    let mut publisher = Publisher::new(first);
    let mut reader = publisher.worlds().reader();
    assert_eq!(reader.world().generation, 1);
    publisher.publish(world(2));
    assert_eq!(publisher.reclaim(), 1, "the reader has not looked yet");
    assert_eq!(reader.world().generation, 2);
    assert!(catalog.upgrade().is_some(), "the worker's letting go frees nothing");
    assert_eq!(publisher.reclaim(), 0);
    assert!(catalog.upgrade().is_none());
}

#[tokio::test]
async fn a_clock_by_hand_moves_only_forwards_and_wakes_who_sleeps() {
    let (clock, hand) = Clock::by_hand(START);
    let sleeper = tokio::spawn({
        let clock = clock.clone();
        async move {
            clock.sleep_until(START.plus_millis(10)).await;
            clock.now()
        }
    });
    hand.move_to(Moment(0));
    assert_eq!(clock.now(), START);
    hand.move_to(START.plus_millis(12));
    assert_eq!(sleeper.await.unwrap(), START.plus_millis(12));
}

#[tokio::test]
async fn the_system_clock_never_runs_backwards_and_sleeps_long_enough() {
    let clock = Clock::system();
    let start = clock.now();
    assert!(start > START, "a wall clock of this century");
    clock.sleep_until(start.plus_millis(3)).await;
    assert!(clock.now() >= start.plus_millis(3));
}
