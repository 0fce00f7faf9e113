//! Coming back: the ramp of what was down, and the hold-down of what comes and goes, as the controller publishes them.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use aya_gslb::catalog::{Catalog, EndpointId, ProbeId, Recovery, ServiceId};
use aya_gslb::config;
use aya_gslb::control::{Controller, Effects, Event};
use aya_gslb::geo::Geo;
use aya_gslb::health::{Health, Observation, Status};
use aya_gslb::probe::schedule::Schedule;
use aya_gslb::steer::{self, Ask, Client, Family, Silent};
use aya_gslb::units::{Moment, Permille};

use crate::small::{Build, START, geo, passed, refused, tcp};

/// One service of endpoints at .1, .2, …, each with its own probe.
fn service(endpoints: &[&str], recovery: Recovery) -> Arc<Catalog> {
    let build = Build::default().zone("example.com").service("api").recovery(recovery);
    endpoints.iter().zip(1..).fold(build, |build, (name, last)| build.endpoint(name, last, &[tcp(last)])).finish()
}

fn observe(controller: &mut Controller, probe: u32, observation: Observation) -> Effects {
    let (epoch, now) = (controller.plan().epoch, observation.at);
    controller.handle(Event::Observed { epoch, probe: ProbeId(probe), observation }, now)
}

/// Three observations of a kind, a second apart, the last of them at `now`.
fn thrice(controller: &mut Controller, probe: u32, make: fn(Moment) -> Observation, now: Moment) {
    for second in (0..3).rev() {
        observe(controller, probe, make(Moment(now.0 - second * 1_000)));
    }
}

/// A controller of this catalog that has seen every probe pass.
fn settled(catalog: Arc<Catalog>) -> Controller {
    let probes = u32::try_from(catalog.probes.len()).unwrap();
    let mut controller = Controller::new(catalog, geo(), START);
    for probe in 0..probes {
        observe(&mut controller, probe, passed(START));
    }
    controller
}

fn status(controller: &Controller, endpoint: u32) -> Status {
    *controller.world().status(EndpointId(endpoint))
}

fn at(seconds: u64) -> Moment {
    START.plus_millis(seconds * 1_000)
}

#[test]
fn what_comes_up_after_having_been_down_takes_its_clients_back_step_by_step_on_the_clock() {
    let mut controller = settled(service(&["east", "west"], Recovery::default()));
    thrice(&mut controller, 0, refused, at(10));
    thrice(&mut controller, 0, passed, at(100));
    let ramping = Status { moving: true, ramp: Permille(50), ..Status::UP };
    assert_eq!(status(&controller, 0), ramping, "in the very world that has it up");
    let mut steps = Vec::new();
    for second in 101..=300 {
        let before = status(&controller, 0);
        controller.handle(Event::Tick, at(second));
        let after = status(&controller, 0);
        if after != before {
            steps.push((second - 100, after.ramp.0, after.moving));
        }
    }
    assert_eq!(steps, [(40, 250, true), (80, 500, true), (120, 1000, false)]);
    assert_eq!(status(&controller, 0), Status::UP);
}

#[test]
fn down_ends_a_ramp_in_the_very_event() {
    let mut controller = settled(service(&["east", "west"], Recovery { damping: None, ..Recovery::default() }));
    thrice(&mut controller, 0, refused, at(10));
    thrice(&mut controller, 0, passed, at(100));
    thrice(&mut controller, 0, refused, at(110));
    assert_eq!(status(&controller, 0), Status { health: Health::Down, ..Status::UP });
}

#[test]
fn first_start_restored_state_and_reload_never_ramp() {
    let catalog = service(&["east", "west"], Recovery::default());
    let mut first = settled(Arc::clone(&catalog));
    assert_eq!(status(&first, 0), Status::UP, "first start");
    thrice(&mut first, 0, refused, at(10));
    first.handle(Event::Reloaded { catalog: Arc::clone(&catalog), geo: geo(), allow_shrink: false }, at(11));
    assert_eq!(status(&first, 0).health, Health::Down);
    let kept = first.state(at(12));

    let mut second = Controller::new(Arc::clone(&catalog), geo(), at(500));
    second.handle(Event::Restored(kept), at(500));
    assert_eq!(status(&second, 0).health, Health::Down);
    observe(&mut second, 0, passed(at(501)));
    observe(&mut second, 1, passed(at(501)));
    assert_eq!(status(&second, 0), Status::UP, "it may have been up for long");

    let moved = Build::default().zone("example.com").service("api").endpoint("east", 77, &[tcp(77)]).endpoint("west", 2, &[tcp(2)]).finish();
    first.handle(Event::Reloaded { catalog: moved, geo: geo(), allow_shrink: false }, at(20));
    observe(&mut first, 1, passed(at(21)));
    observe(&mut first, 0, passed(at(21)));
    assert_eq!([0, 1].map(|endpoint| status(&first, endpoint)), [Status::UP; 2], "another address is another endpoint");
}

#[test]
fn what_was_restored_as_down_and_found_down_again_ramps() {
    let catalog = service(&["east", "west"], Recovery::default());
    let mut first = settled(Arc::clone(&catalog));
    thrice(&mut first, 0, refused, at(10));
    let mut second = Controller::new(catalog, geo(), at(12));
    second.handle(Event::Restored(first.state(at(11))), at(12));
    observe(&mut second, 0, refused(at(13)));
    observe(&mut second, 1, passed(at(13)));
    thrice(&mut second, 0, passed, at(60));
    assert_eq!(status(&second, 0).ramp, Permille(50));
}

#[test]
fn a_reload_keeps_a_ramp_and_a_hold_that_are_under_way() {
    let catalog = service(&["east", "west"], Recovery::default());
    let mut controller = settled(Arc::clone(&catalog));
    thrice(&mut controller, 0, refused, at(10));
    thrice(&mut controller, 0, passed, at(20));
    controller.handle(Event::Reloaded { catalog: Arc::clone(&catalog), geo: geo(), allow_shrink: false }, at(65));
    assert_eq!(status(&controller, 0).ramp, Permille(250));
    controller.handle(Event::Tick, at(101));
    assert_eq!(status(&controller, 0).ramp, Permille(500));
    thrice(&mut controller, 0, refused, at(110));
    assert!(status(&controller, 0).damped);
    controller.handle(Event::Reloaded { catalog: Arc::clone(&catalog), geo: geo(), allow_shrink: false }, at(111));
    assert!(status(&controller, 0).damped && controller.world().note(EndpointId(0)).unwrap().hold.is_some());
    let off = service(&["east", "west"], Recovery::AT_ONCE);
    controller.handle(Event::Reloaded { catalog: off, geo: geo(), allow_shrink: false }, at(112));
    assert!(!status(&controller, 0).damped && controller.world().note(EndpointId(0)).is_none(), "switched off, it holds nobody");
}

#[test]
fn where_nobody_else_is_up_there_is_no_ramp() {
    let mut controller = settled(service(&["east", "west"], Recovery { damping: None, ..Recovery::default() }));
    thrice(&mut controller, 0, refused, at(10));
    thrice(&mut controller, 1, refused, at(12));
    thrice(&mut controller, 0, passed, at(100));
    assert_eq!(status(&controller, 0), Status::UP, "it gets everybody anyway");
    thrice(&mut controller, 1, passed, at(104));
    assert_eq!(status(&controller, 1).ramp, Permille(50));
    thrice(&mut controller, 0, refused, at(110));
    assert_eq!(status(&controller, 1), Status::UP, "left alone, it takes all at once");
}

#[test]
fn a_ramp_of_zero_is_off() {
    let mut controller = settled(service(&["east", "west"], Recovery { ramp_ms: 0, damping: None }));
    thrice(&mut controller, 0, refused, at(10));
    thrice(&mut controller, 0, passed, at(100));
    assert_eq!(status(&controller, 0), Status::UP);
}

#[test]
fn what_goes_down_twice_within_minutes_is_held_and_comes_back_by_itself_with_a_ramp() {
    let mut controller = settled(service(&["east", "west"], Recovery::default()));
    thrice(&mut controller, 0, refused, at(10));
    thrice(&mut controller, 0, passed, at(40));
    thrice(&mut controller, 0, refused, at(70));
    let held = controller.world().note(EndpointId(0)).unwrap().hold.unwrap();
    assert_eq!(held.changes, 3);
    thrice(&mut controller, 0, passed, at(100));
    assert_eq!(status(&controller, 0), Status { damped: true, ..Status::UP }, "measured up, and held");
    let before = controller.handle(Event::Tick, Moment(held.until.0 - 1));
    assert!(before.holds.is_empty() && status(&controller, 0).damped);
    let effects = controller.handle(Event::Tick, held.until);
    let [freed] = &effects.holds[..] else { panic!("{:?}", effects.holds) };
    assert_eq!(freed.to_string(), "api.example.com/east: no longer held down");
    assert_eq!(status(&controller, 0), Status { moving: true, ramp: Permille(50), ..Status::UP });
    assert!(effects.changes.is_empty(), "its health is what it was");
}

/// Two regions as an operator writes them, `east` the better one; the default probe, ramp and damping.
const FLAPPING: &str = r#"
zone = "example.com"
[ns]
ns1 = ["192.0.2.53"]
ns2 = ["198.51.100.53"]
[service.score]
probe.tcp = { port = 443 }
[service.score.endpoint.east]
region = "aws-us-east-1"
a = ["192.0.2.1"]
bias = "-1s"
[service.score.endpoint.west]
region = "aws-us-west-2"
a = ["192.0.2.2"]
[service.weight]
probe.tcp = { port = 443 }
steering.by = "weight"
[service.weight.endpoint.east]
region = "aws-us-east-1"
a = ["192.0.2.1"]
[service.weight.endpoint.west]
region = "aws-us-west-2"
a = ["192.0.2.2"]
"#;

#[test]
fn a_region_that_flaps_20_s_up_20_s_down_changes_no_answer_more_than_3_times_in_an_hour() {
    let source = config::SourceFile { name: "zone.toml".into(), text: FLAPPING.into() };
    let catalog = Arc::new(config::compile(vec![source], &|_, _| Err("none".into())).unwrap().catalog);
    let geo = Arc::new(Geo::without_databases(&catalog));
    let clients: Vec<Client> = (0..50_u32).map(|client| Client::at(Ipv4Addr::from_bits(0x1400_0000 + (client << 8)).into(), 24, &geo)).collect();
    let asks: Vec<Ask> =
        (0..2).flat_map(|service| clients.iter().map(move |&client| Ask { service: ServiceId(service), client, family: Family::Any })).collect();
    for seed in 0..5 {
        let mut controller = Controller::new(Arc::clone(&catalog), Arc::clone(&geo), START);
        let mut schedule = Schedule::new(seed, 512);
        schedule.replan(&controller.plan(), START);
        let mut given: Vec<Option<EndpointId>> = vec![None; asks.len()];
        let mut changes = vec![0_u32; asks.len()];
        let (mut now, mut seen, mut generation) = (START, BTreeSet::new(), 0);
        while now < at(3_600) {
            let Some((key, spec)) = schedule.start(now) else {
                now = schedule.wake().unwrap().min(now.plus_millis(250)).max(now.plus_millis(1));
                controller.handle(Event::Tick, now);
                let world = controller.world();
                if std::mem::replace(&mut generation, world.generation) != world.generation {
                    for (ask, (given, changes)) in asks.iter().zip(given.iter_mut().zip(&mut changes)) {
                        let answer = steer::decide(ask, world, &mut Silent).choose(&ask.client, world).endpoints()[0];
                        *changes += u32::from(given.replace(answer).is_some_and(|before| before != answer));
                    }
                }
                continue;
            };
            let fails = spec.target.host == IpAddr::from([192, 0, 2, 1]).into() && now.millis_since(START) % 40_000 >= 20_000;
            let observation = if fails { refused(now) } else { passed(now) };
            let (epoch, probe) = schedule.finish(key, &observation.outcome, now).unwrap();
            controller.handle(Event::Observed { epoch, probe, observation }, now);
            seen.insert(controller.world().status(EndpointId(0)).health);
        }
        assert!(seen.contains(&Health::Up) && seen.contains(&Health::Down), "it flapped, as measured");
        assert!(controller.world().status(EndpointId(0)).damped, "and is still held");
        assert!(changes.iter().all(|&changes| changes <= 3), "seed {seed}: {changes:?}");
        assert!(changes.iter().any(|&changes| changes > 0), "seed {seed}: somebody was there");
    }
}
