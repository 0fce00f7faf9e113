//! The one writer.

use std::sync::Arc;

use aya_gslb::catalog::{BaselineSpec, Catalog, EndpointId, ProbeId, ProbeSpec, ServiceId};
use aya_gslb::control::{Controller, Effects, Event, Refused, Why};
use aya_gslb::geo::Geo;
use aya_gslb::health::{Health, Observation, ProbeFailure, ProbeOutcome, Status};
use aya_gslb::units::{Micros, Moment};
use aya_gslb::world::World;

use crate::small::{Build, START, failed, geo, passed, refused, slow, tcp, two_services};

fn controller(catalog: Arc<Catalog>) -> Controller {
    Controller::new(catalog, geo(), START)
}

/// Tells the controller of an observation of the present plan.
fn observe(controller: &mut Controller, probe: u32, observation: Observation) -> Effects {
    let (epoch, now) = (controller.plan().epoch, observation.at);
    controller.handle(Event::Observed { epoch, probe: ProbeId(probe), observation }, now)
}

/// Lets every probe pass once.
fn settle(controller: &mut Controller, now: Moment) {
    for probe in 0..u32::try_from(controller.world().catalog.probes.len()).unwrap() {
        observe(controller, probe, passed(now));
    }
}

fn health(world: &World, endpoint: u32) -> Health {
    world.status(EndpointId(endpoint)).health
}

fn reload(controller: &mut Controller, catalog: Arc<Catalog>, allow_shrink: bool, now: Moment) -> Effects {
    controller.handle(Event::Reloaded { catalog, geo: geo(), allow_shrink }, now)
}

#[test]
fn a_verdict_is_in_the_world_that_the_very_event_publishes() {
    let mut controller = controller(two_services());
    settle(&mut controller, START);
    for second in 1..=2 {
        let effects = observe(&mut controller, 1, refused(START.plus_millis(second * 1_000)));
        assert!(effects.changes.is_empty());
        assert_eq!(health(controller.world(), 1), Health::Up);
    }
    let effects = observe(&mut controller, 1, refused(START.plus_millis(3_000)));
    let world = effects.publish.expect("published at once");
    assert_eq!(health(&world, 1), Health::Down);
    let [change] = effects.changes.as_slice() else { panic!("{:?}", effects.changes) };
    assert_eq!((change.from, change.to, change.at), (Health::Up, Health::Down, START.plus_millis(3_000)));
    assert_eq!(change.to_string(), "api.gslb.example.com/west: up → down (tcp 192.0.2.2:443: connection refused, 3 in a row)");
    assert_eq!(&*change.endpoint.zone, "gslb.example.com");
}

#[test]
fn the_first_failure_is_published_as_moving_and_the_second_is_no_news() {
    let mut controller = controller(two_services());
    settle(&mut controller, START);
    let world = observe(&mut controller, 0, refused(START.plus_millis(1))).publish.unwrap();
    assert_eq!(*world.status(EndpointId(0)), Status { moving: true, ..Status::UP });
    assert!(observe(&mut controller, 0, refused(START.plus_millis(2))).publish.is_none());
    let world = observe(&mut controller, 0, passed(START.plus_millis(3))).publish.unwrap();
    assert_eq!(*world.status(EndpointId(0)), Status::UP);
}

#[test]
fn only_the_services_whose_statuses_changed_get_a_new_version() {
    let mut controller = controller(two_services());
    settle(&mut controller, START);
    let before = Arc::clone(controller.world());
    let world = observe(&mut controller, 2, refused(START.plus_millis(1))).publish.unwrap();
    assert_eq!(world.generation, before.generation + 1);
    assert_eq!(world.version(ServiceId(0)), before.version(ServiceId(0)));
    assert_eq!(world.version(ServiceId(1)), world.generation);
    assert!(Arc::ptr_eq(&world.catalog, &before.catalog), "publishing copies statuses only");
}

#[test]
fn generations_only_grow_and_versions_never_run_ahead_of_them() {
    let mut controller = controller(two_services());
    let mut generation = controller.world().generation;
    for step in 0..2_000_u64 {
        let now = START.plus_millis(step * 317);
        let observation = match step * 7 % 11 {
            0..4 => refused(now),
            4..6 => slow(now),
            _ => passed(now),
        };
        let effects = match step % 401 {
            400 => reload(&mut controller, two_services(), false, now),
            _ => observe(&mut controller, u32::try_from(step * 13 % 4).unwrap(), observation),
        };
        if let Some(world) = effects.publish {
            assert_eq!(world.generation, generation + 1);
            generation = world.generation;
            assert!(world.statuses.versions.iter().all(|&version| version <= generation));
        }
    }
    assert!(generation > 100);
}

#[test]
fn a_batch_of_events_is_one_world() {
    let mut controller = controller(two_services());
    let events = (0..4).map(|probe| Event::Observed { epoch: 1, probe: ProbeId(probe), observation: passed(START) });
    let effects = controller.handle_all(events, START);
    assert_eq!(effects.publish.unwrap().generation, 2);
    assert_eq!(effects.changes.len(), 4);
}

#[test]
fn one_probe_of_two_endpoints_judges_both_and_one_endpoint_needs_all_its_probes() {
    let catalog = Build::default()
        .zone("example.com")
        .service("api")
        .endpoint("east", 1, &[tcp(1), tcp(9)])
        .endpoint("west", 2, &[tcp(2)])
        .service("shop")
        .endpoint("east", 1, &[tcp(1)])
        .finish();
    let mut controller = controller(catalog);
    settle(&mut controller, START);
    for second in 1..=3 {
        observe(&mut controller, 0, failed(START.plus_millis(second), ProbeFailure::Status(503)));
    }
    let world = controller.world();
    assert_eq!([0, 1, 2].map(|endpoint| health(world, endpoint)), [Health::Down, Health::Up, Health::Down]);
}

#[test]
fn an_endpoint_without_probes_stays_unmeasured() {
    let catalog = Build::default().zone("example.com").service("api").endpoint("east", 1, &[]).endpoint("west", 2, &[tcp(2)]).finish();
    let mut controller = controller(catalog);
    settle(&mut controller, START);
    assert_eq!(*controller.world().status(EndpointId(0)), Status::UNMEASURED);
}

#[test]
fn a_reload_keeps_health_by_names_wherever_they_stand() {
    let mut controller = controller(two_services());
    settle(&mut controller, START);
    for second in 1..=3 {
        observe(&mut controller, 3, refused(START.plus_millis(second)));
    }
    let catalog = Build::default()
        .zone("another.example")
        .service("aaa")
        .endpoint("new", 50, &[tcp(50)])
        .zone("gslb.example.com")
        .service("shop")
        .endpoint("west", 4, &[tcp(4)])
        .endpoint("east", 3, &[tcp(3)])
        .service("api")
        .endpoint("west", 2, &[tcp(2)])
        .endpoint("east", 1, &[tcp(1)])
        .finish();
    let effects = reload(&mut controller, catalog, false, START.plus_millis(10));
    let world = effects.publish.unwrap();
    assert_eq!([0, 1, 2, 3, 4].map(|endpoint| health(&world, endpoint)), [Health::Unknown, Health::Down, Health::Up, Health::Up, Health::Up]);
    assert!(effects.changes.is_empty(), "{:?}", effects.changes);
    let plan = effects.plan.unwrap();
    assert_eq!(*plan.fresh, [true, false, false, false, false]);
    assert!(world.statuses.versions.iter().all(|&version| version == world.generation), "a new catalog touches all");
}

#[test]
fn what_was_counted_against_an_endpoint_still_counts_after_a_reload() {
    let mut controller = controller(two_services());
    settle(&mut controller, START);
    observe(&mut controller, 0, refused(START.plus_millis(1)));
    observe(&mut controller, 0, refused(START.plus_millis(2)));
    reload(&mut controller, two_services(), false, START.plus_millis(3));
    assert!(controller.world().status(EndpointId(0)).moving);
    let world = observe(&mut controller, 0, refused(START.plus_millis(4))).publish.unwrap();
    assert_eq!(health(&world, 0), Health::Down);
}

#[test]
fn an_endpoint_whose_address_or_probe_changed_starts_afresh() {
    let api = |last, spec| Build::default().zone("example.com").service("api").endpoint("east", last, &[spec]).endpoint("west", 2, &[tcp(2)]).finish();
    let mut other = tcp(1);
    other.fall = 5;
    for changed in [api(77, tcp(1)), api(1, tcp(77)), api(1, other)] {
        let mut controller = controller(api(1, tcp(1)));
        settle(&mut controller, START);
        let effects = reload(&mut controller, changed, false, START.plus_millis(5));
        let world = effects.publish.unwrap();
        assert_eq!([0, 1].map(|endpoint| health(&world, endpoint)), [Health::Unknown, Health::Up]);
        let [change] = effects.changes.as_slice() else { panic!("{:?}", effects.changes) };
        assert_eq!((change.from, change.to, &change.why), (Health::Up, Health::Unknown, &Why::Reloaded));
        assert_eq!(*effects.plan.unwrap().fresh, [true, false]);
        let effects = observe(&mut controller, 0, refused(START.plus_millis(9)));
        assert_eq!(health(&effects.publish.unwrap(), 0), Health::Down, "its first observation decides");
    }
}

#[test]
fn an_observation_from_before_a_reload_finds_its_probe_and_an_older_one_is_dropped() {
    let mut controller = controller(two_services());
    let turned = Build::default()
        .zone("gslb.example.com")
        .service("api")
        .endpoint("west", 2, &[tcp(2)])
        .endpoint("east", 1, &[tcp(1)])
        .service("shop")
        .endpoint("east", 3, &[tcp(3)])
        .endpoint("west", 4, &[tcp(4)])
        .finish();
    reload(&mut controller, turned, false, START);
    let late = |observation| Event::Observed { epoch: 1, probe: ProbeId(0), observation };
    let effects = controller.handle(late(passed(START)), START);
    let world = effects.publish.unwrap();
    assert_eq!((health(&world, 0), health(&world, 1)), (Health::Unknown, Health::Up), "probe 0 was that of east");
    reload(&mut controller, two_services(), false, START);
    let effects = controller.handle(late(refused(START)), START);
    assert_eq!((effects.dropped, effects.publish.is_none()), (1, true));
    let unknown = Event::Observed { epoch: controller.plan().epoch, probe: ProbeId(99), observation: passed(START) };
    assert_eq!(controller.handle(unknown, START).dropped, 1);
}

#[test]
fn a_reload_that_loses_a_zone_or_a_tenth_is_refused_unless_allowed() {
    let of = |services: u8, endpoints: u8| {
        (0..services).fold(Build::default().zone("example.com"), |build, service| {
            let build = build.service(&format!("s{service}"));
            (0..endpoints).fold(build, |build, endpoint| build.endpoint(&format!("e{endpoint}"), endpoint, &[tcp(endpoint)]))
        })
    };
    let whole = of(20, 2).zone("other.example").finish();
    let cases = [
        (of(20, 2).finish(), Some(Refused::RemovesZones(vec!["other.example".into()]))),
        (of(18, 2).zone("other.example").finish(), None),
        (of(17, 2).zone("other.example").finish(), Some(Refused::RemovesServices { removed: 3, of: 20 })),
        (of(20, 1).zone("other.example").finish(), Some(Refused::RemovesEndpoints { removed: 20, of: 40 })),
        (of(30, 3).zone("other.example").finish(), None),
    ];
    for (next, refusal) in cases {
        let mut controller = controller(Arc::clone(&whole));
        settle(&mut controller, START);
        let before = Arc::clone(controller.world());
        let effects = reload(&mut controller, Arc::clone(&next), false, START);
        assert_eq!(effects.refusal, refusal);
        if refusal.is_some() {
            assert!(effects.publish.is_none() && effects.plan.is_none() && effects.changes.is_empty());
            assert!(Arc::ptr_eq(controller.world(), &before), "the old world stays");
            let allowed = reload(&mut controller, Arc::clone(&next), true, START);
            assert!(Arc::ptr_eq(&allowed.publish.unwrap().catalog, &next));
        }
    }
}

#[test]
fn a_new_geography_touches_every_service_and_one_for_another_catalog_is_refused() {
    let mut controller = controller(two_services());
    settle(&mut controller, START);
    let before = Arc::clone(controller.world());
    let geo = Arc::new(Geo::default());
    let effects = controller.handle(Event::GeographyChanged { geo: Arc::clone(&geo), digest: 1 }, START);
    assert_eq!((effects.refusal, effects.publish.is_none()), (Some(Refused::OtherCatalog), true));
    let digest = before.catalog.digest;
    let world = controller.handle(Event::GeographyChanged { geo: Arc::clone(&geo), digest }, START).publish.unwrap();
    assert!(Arc::ptr_eq(&world.geo, &geo) && Arc::ptr_eq(&world.catalog, &before.catalog));
    assert!(world.statuses.versions.iter().all(|&version| version == world.generation));
    assert_eq!(world.statuses.of, before.statuses.of);
}

#[test]
fn statuses_are_held_when_observations_cease_and_the_world_says_so() {
    let mut controller = controller(two_services());
    let mut now = START;
    for _ in 0..10 {
        now = now.plus_millis(5_000);
        settle(&mut controller, now);
    }
    observe(&mut controller, 1, refused(now));
    let held = Arc::clone(controller.world());
    assert!(controller.handle(Event::Tick, now.plus_millis(17_000)).publish.is_none(), "three intervals and a time-out are fresh");
    let world = controller.handle(Event::Tick, now.plus_millis(17_001)).publish.unwrap();
    assert!(world.statuses.stale);
    assert_eq!((&world.statuses.of, &world.statuses.versions), (&held.statuses.of, &held.statuses.versions));
    assert_eq!(world.statuses.observed, now);
    let much_later = now.plus_millis(86_400_000);
    assert!(controller.handle(Event::Tick, much_later).publish.is_none(), "said once");
    let not_asked = ProbeOutcome::Failed(ProbeFailure::NotAsked("no descriptors".into()));
    let effects = observe(&mut controller, 1, Observation { outcome: not_asked, ..passed(much_later) });
    assert!(effects.publish.is_none(), "no evidence, still stale");
    let world = observe(&mut controller, 1, passed(much_later)).publish.unwrap();
    assert!(!world.statuses.stale);
}

#[test]
fn a_world_without_probes_is_ready_at_once_and_never_stale() {
    let catalog = Build::default().zone("example.com").service("api").endpoint("east", 1, &[]).finish();
    let mut controller = controller(catalog);
    assert!(controller.is_ready());
    let effects = controller.handle(Event::Tick, START.plus_millis(86_400_000));
    assert!(effects.publish.is_none() && !effects.persist);
}

#[test]
fn ready_when_every_probe_was_asked_or_the_wait_is_over() {
    let mut one = controller(two_services());
    for probe in 0..4 {
        assert!(!one.is_ready());
        observe(&mut one, 0, passed(START));
        assert!(!one.is_ready() || probe == 3);
        observe(&mut one, probe, failed(START, ProbeFailure::NotAsked("no descriptors".into())));
    }
    assert!(one.is_ready(), "even one that could not be asked had its turn");

    let mut two = controller(two_services());
    two.handle(Event::Tick, START.plus_millis(6_999));
    assert!(!two.is_ready());
    two.handle(Event::Tick, START.plus_millis(7_000));
    assert!(two.is_ready(), "an interval and a time-out");
    reload(&mut two, Build::default().zone("gslb.example.com").service("x").endpoint("y", 9, &[tcp(9)]).finish(), true, START.plus_millis(8_000));
    assert!(two.is_ready(), "once ready, always ready");

    let mut slow = tcp(1);
    slow.interval_ms = 3_600_000;
    let mut three = controller(Build::default().zone("example.com").service("api").endpoint("east", 1, &[slow]).finish());
    three.handle(Event::Tick, START.plus_millis(10_000));
    assert!(three.is_ready(), "ten seconds at most");
}

#[test]
fn what_was_known_survives_a_restart_by_names() {
    let mut first = controller(two_services());
    settle(&mut first, START);
    for second in 1..=3 {
        observe(&mut first, 3, refused(START.plus_millis(second * 1_000)));
    }
    let kept = first.state(START.plus_millis(4_000));

    let now = START.plus_millis(9_000);
    let turned = Build::default()
        .zone("gslb.example.com")
        .service("shop")
        .endpoint("west", 4, &[tcp(4)])
        .endpoint("east", 33, &[tcp(3)])
        .service("api")
        .endpoint("east", 1, &[tcp(11)])
        .endpoint("west", 2, &[tcp(2)])
        .finish();
    let mut second = Controller::new(turned, geo(), now);
    let effects = second.handle(Event::Restored(kept), now);
    let world = effects.publish.unwrap();
    let healths = [0, 1, 2, 3].map(|endpoint| health(&world, endpoint));
    assert_eq!(healths, [Health::Down, Health::Unknown, Health::Unknown, Health::Up], "changed ones start afresh");
    assert_eq!(world.statuses.observed, START.plus_millis(3_000), "the evidence keeps its age");
    assert!(effects.changes.iter().all(|change| change.why == Why::Restored && change.from == Health::Unknown));
    assert!(!second.is_ready(), "what is restored replaces no first round");
    observe(&mut second, 0, passed(now));
    assert_eq!(health(second.world(), 0), Health::Down, "fresh enough to count: it rises as it would have");
}

#[test]
fn evidence_of_the_future_counts_as_of_now() {
    let mut first = controller(two_services());
    settle(&mut first, START.plus_millis(1_000_000));
    let kept = first.state(START);
    let mut second = controller(two_services());
    let world = second.handle(Event::Restored(kept), START).publish.unwrap();
    assert_eq!(world.statuses.observed, START);
    let effects = observe(&mut second, 0, refused(START.plus_millis(1)));
    assert_eq!(effects.dropped, 0);
    assert!(second.world().status(EndpointId(0)).moving, "the new observation counts");
}

#[test]
fn the_state_is_due_soon_after_a_change_and_seldom_otherwise() {
    let mut controller = controller(two_services());
    settle(&mut controller, START);
    let tick = |controller: &mut Controller, millis| controller.handle(Event::Tick, START.plus_millis(millis)).persist;
    assert!(!tick(&mut controller, 1_999));
    assert!(tick(&mut controller, 2_000));
    assert!(!tick(&mut controller, 61_999));
    assert!(tick(&mut controller, 62_000), "so that its evidence has a true age");
}

#[test]
fn the_world_tells_what_each_probe_has_shown() {
    let mut controller = controller(two_services());
    settle(&mut controller, START);
    for second in 2..=3 {
        observe(&mut controller, 1, refused(START.plus_millis(second * 1_000)));
    }
    let now = START.plus_millis(9_000);
    observe(&mut controller, 0, passed(now));
    let evidence = &controller.world().statuses.evidence;
    assert_eq!((evidence[0].observed, evidence[0].failed), (Some(now), 0));
    assert_eq!((evidence[1].observed, evidence[1].failed), (Some(START.plus_millis(3_000)), 2));
}

#[test]
fn why_an_endpoint_is_degraded_against_its_own_past_is_told() {
    let spec = ProbeSpec { baseline: Some(BaselineSpec::default()), ..tcp(1) };
    let catalog = Build::default().zone("example.com").service("api").endpoint("east", 1, &[spec]).finish();
    let mut controller = controller(catalog);
    let mut told = Vec::new();
    for turn in 0..300_u64 {
        let millis = if (100..200).contains(&turn) { 60 } else { 20 };
        let observation = Observation { rtt: Micros::from_millis(millis), ..passed(START.plus_millis(turn * 5_000)) };
        told.extend(observe(&mut controller, 0, observation).changes.iter().map(ToString::to_string));
    }
    assert_eq!(
        told,
        [
            "api.example.com/east: unknown → up (tcp 192.0.2.1:443: passed)",
            "api.example.com/east: up → degraded (tcp 192.0.2.1:443: answers in 60.0 ms where 20.0 ms is usual)",
            "api.example.com/east: degraded → up (tcp 192.0.2.1:443: as usual again)",
        ]
    );
}
