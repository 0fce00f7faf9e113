//! What the controller makes of look-ups.

use std::net::IpAddr;
use std::sync::Arc;

use aya_gslb::catalog::{AddressType, AddressTypes, AliasId, Catalog, EndpointId, ProbeHost, ProbeId, ProbeSpec, ProbeTarget, ServiceId};
use aya_gslb::control::{AliasNews, Controller, Effects, Event, Found, Lookup};
use aya_gslb::health::{Health, Status};
use aya_gslb::limits::{ALIAS_FRESH_MAX_MS, ALIAS_FRESH_MIN_MS, ALIAS_KEPT_MS, ALIAS_LATE_MS, STEERED_ADDRESSES_MAX};
use aya_gslb::units::Moment;
use aya_gslb::world::{LookupFailure, World};

use crate::small::{Build, START, geo, passed, tcp};

const A: AddressTypes = AddressTypes { a: true, aaaa: false };
const BOTH: AddressTypes = AddressTypes { a: true, aaaa: true };
const LB: AliasId = AliasId(0);

/// A service of one endpoint that is looked up.
fn one_alias(types: AddressTypes) -> Arc<Catalog> {
    Build::default().zone("example.com").service("api").aliased("east", "lb.example.net", types, &[]).finish()
}

fn controller(catalog: Arc<Catalog>) -> Controller {
    Controller::new(catalog, geo(), START)
}

fn addresses(texts: &[&str]) -> Box<[IpAddr]> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

#[expect(clippy::unnecessary_wraps, reason = "an outcome is what it stands for")]
fn found(texts: &[&str], ttl_s: u32) -> Result<Found, LookupFailure> {
    Ok(Found { addresses: addresses(texts), ttl_s })
}

/// Tells the controller of a look-up of the present plan.
fn resolve_of(controller: &mut Controller, alias: AliasId, of: AddressType, outcome: Result<Found, LookupFailure>, at: Moment) -> Effects {
    let epoch = controller.plan().epoch;
    controller.handle(Event::Resolved { epoch, alias, of, lookup: Lookup { at, outcome } }, at)
}

fn resolve(controller: &mut Controller, outcome: Result<Found, LookupFailure>, at: Moment) -> Effects {
    resolve_of(controller, LB, AddressType::A, outcome, at)
}

fn after(seconds: u64) -> Moment {
    START.plus_millis(seconds * 1_000)
}

/// What the first endpoint answers with.
fn given(world: &World) -> Vec<String> {
    let given = world.addresses(world.catalog.endpoint(EndpointId(0)));
    given.a.iter().map(ToString::to_string).chain(given.aaaa.iter().map(ToString::to_string)).collect()
}

fn status(world: &World) -> Status {
    *world.status(EndpointId(0))
}

#[test]
fn before_the_first_look_up_an_endpoint_lacks_its_addresses_and_after_it_has_them() {
    let mut controller = controller(one_alias(A));
    assert_eq!(status(controller.world()), Status { lacks: A, moving: true, ..Status::UNMEASURED });
    let effects = resolve(&mut controller, found(&["192.0.2.9", "192.0.2.1"], 60), START);
    let world = effects.publish.unwrap();
    assert_eq!(given(&world), ["192.0.2.1", "192.0.2.9"]);
    assert_eq!(status(&world), Status::UNMEASURED);
    assert_eq!(world.version(ServiceId(0)), world.generation, "who may be answered is another question now");
    assert_eq!(effects.aliases[0].to_string(), "lb.example.net A: 192.0.2.1, 192.0.2.9");
}

#[test]
fn the_same_set_in_any_order_is_the_same_world_and_another_set_is_one_new_one() {
    let mut controller = controller(one_alias(A));
    resolve(&mut controller, found(&["192.0.2.1", "192.0.2.2"], 60), START);
    for (second, order) in [(60, ["192.0.2.2", "192.0.2.1"]), (120, ["192.0.2.1", "192.0.2.2"])] {
        let effects = resolve(&mut controller, found(&order, 30), after(second));
        assert!(effects.publish.is_none() && effects.aliases.is_empty());
    }
    let before = Arc::clone(controller.world());
    let world = resolve(&mut controller, found(&["192.0.2.3"], 60), after(150)).publish.unwrap();
    assert_eq!((given(&world), world.generation), (vec!["192.0.2.3".to_owned()], before.generation + 1));
    assert_eq!(world.version(ServiceId(0)), before.version(ServiceId(0)), "deciding reads no addresses");
    assert!(controller.handle(Event::Tick, after(151)).publish.is_none());
}

#[test]
fn a_look_up_that_fails_holds_the_last_good_addresses_and_shortens_the_ttl() {
    let failures = [LookupFailure::NoSuchName, LookupFailure::NoAddress, LookupFailure::Refused("SERVFAIL".into()), LookupFailure::TimedOut];
    for failure in failures {
        let mut controller = controller(one_alias(A));
        resolve(&mut controller, found(&["192.0.2.1"], 60), START);
        let effects = resolve(&mut controller, Err(failure.clone()), after(60));
        let world = effects.publish.unwrap();
        assert_eq!(given(&world), ["192.0.2.1"], "{failure}");
        assert_eq!(status(&world), Status { moving: true, ..Status::UNMEASURED });
        assert_eq!(effects.aliases[0].news, AliasNews::Failing(failure.clone(), 1));
        let effects = resolve(&mut controller, Err(failure.clone()), after(62));
        assert!(effects.publish.is_none() && effects.aliases.is_empty(), "said once");
        let effects = resolve(&mut controller, found(&["192.0.2.1"], 60), after(66));
        assert_eq!(status(&effects.publish.unwrap()), Status::UNMEASURED);
        assert_eq!(effects.aliases[0].news, AliasNews::Recovered);
    }
}

#[test]
fn a_failure_of_another_kind_is_news_and_has_begun_when_the_first_did() {
    let mut controller = controller(one_alias(A));
    resolve(&mut controller, Err(LookupFailure::TimedOut), after(1));
    let world = resolve(&mut controller, Err(LookupFailure::NoSuchName), after(3)).publish.unwrap();
    let trouble = world.statuses.resolved[0].trouble(AddressType::A).unwrap().clone();
    assert_eq!((&trouble.failure, trouble.since, trouble.found), (&LookupFailure::NoSuchName, after(1), None));
    assert_eq!(trouble.to_string(), "no such name (NXDOMAIN), since 2023-11-14T22:13:21Z");
}

#[test]
fn addresses_are_let_go_when_they_are_too_old_and_not_a_moment_before() {
    let mut controller = controller(one_alias(A));
    resolve(&mut controller, found(&["192.0.2.1"], 60), START);
    resolve(&mut controller, Err(LookupFailure::TimedOut), after(60));
    let effects = controller.handle(Event::Tick, START.plus_millis(ALIAS_KEPT_MS));
    assert!(effects.publish.is_none());
    let effects = controller.handle(Event::Tick, START.plus_millis(ALIAS_KEPT_MS + 1));
    let world = effects.publish.unwrap();
    assert_eq!((given(&world), status(&world).lacks), (vec![], A));
    assert_eq!(effects.aliases[0].news, AliasNews::LetGo);
    let world = resolve(&mut controller, found(&["192.0.2.7"], 60), START.plus_millis(ALIAS_KEPT_MS + 2)).publish.unwrap();
    assert_eq!((given(&world), status(&world)), (vec!["192.0.2.7".to_owned()], Status::UNMEASURED));
}

#[test]
fn where_nobody_looks_any_more_the_addresses_are_held_and_not_fresh() {
    for (ttl_s, fresh_ms) in [(0, ALIAS_FRESH_MIN_MS), (60, 60_000), (u32::MAX, ALIAS_FRESH_MAX_MS)] {
        let mut controller = controller(one_alias(A));
        resolve(&mut controller, found(&["192.0.2.1"], ttl_s), START);
        assert!(controller.handle(Event::Tick, START.plus_millis(fresh_ms + ALIAS_LATE_MS - 1)).publish.is_none(), "TTL {ttl_s}");
        let effects = controller.handle(Event::Tick, START.plus_millis(fresh_ms + ALIAS_LATE_MS));
        let world = effects.publish.unwrap();
        assert_eq!(given(&world), ["192.0.2.1"]);
        assert!(status(&world).moving);
        assert_eq!(effects.aliases[0].news, AliasNews::Failing(LookupFailure::Late, 1));
    }
}

#[test]
fn addresses_that_no_client_can_use_are_left_out_counted_and_told_once() {
    let mut controller = controller(one_alias(A));
    let texts = ["0.0.0.0", "192.0.2.1", "224.0.0.5", "2001:db8::1", "192.0.2.1"];
    let effects = resolve(&mut controller, found(&texts, 60), START);
    assert_eq!(given(&effects.publish.unwrap()), ["192.0.2.1"], "an AAAA is no answer to A");
    assert_eq!((effects.unusable, effects.aliases.len()), (2, 3));
    assert_eq!(effects.aliases[0].to_string(), "lb.example.net A: 0.0.0.0 is left out: the unspecified address");
    let effects = resolve(&mut controller, found(&texts, 60), after(60));
    assert_eq!((effects.unusable, effects.aliases.len()), (2, 0));
    let world = resolve(&mut controller, found(&["0.0.0.0"], 60), after(120)).publish.unwrap();
    assert_eq!(given(&world), ["192.0.2.1"], "nothing that is any good: the last good ones are held");
    assert_eq!(world.statuses.resolved[0].trouble(AddressType::A).unwrap().failure, LookupFailure::Unusable);
}

#[test]
fn of_a_thousand_addresses_as_many_are_kept_as_an_answer_holds() {
    let mut controller = controller(one_alias(A));
    let many: Vec<IpAddr> = (0..1_000_u32).rev().map(|index| IpAddr::from((0x0a00_0000 + index).to_be_bytes())).collect();
    let world = resolve(&mut controller, Ok(Found { addresses: many.into(), ttl_s: 60 }), START).publish.unwrap();
    assert_eq!(world.statuses.resolved[0].a.addresses.len(), STEERED_ADDRESSES_MAX);
    assert_eq!(given(&world)[..2], ["10.0.0.0", "10.0.0.1"], "the lowest, the same on every node");
}

#[test]
fn each_type_is_resolved_by_itself_and_an_endpoint_lacks_what_is_missing() {
    let mut controller = controller(one_alias(BOTH));
    let world = resolve(&mut controller, found(&["192.0.2.1"], 60), START).publish.unwrap();
    assert_eq!(status(&world).lacks, AddressTypes { a: false, aaaa: true });
    let world = resolve_of(&mut controller, LB, AddressType::Aaaa, found(&["2001:db8::1"], 60), START).publish.unwrap();
    assert_eq!((status(&world).lacks, given(&world).len()), (AddressTypes::NONE, 2));
}

#[test]
fn an_endpoint_that_wants_one_type_of_a_shared_name_is_not_troubled_by_the_other() {
    let catalog = Build::default()
        .zone("example.com")
        .service("api")
        .aliased("east", "lb.example.net", A, &[])
        .service("shop")
        .aliased("east", "LB.example.net", BOTH, &[])
        .finish();
    let mut controller = controller(catalog);
    resolve(&mut controller, found(&["192.0.2.1"], 60), START);
    let world = resolve_of(&mut controller, LB, AddressType::Aaaa, Err(LookupFailure::NoAddress), START).publish.unwrap();
    assert_eq!(status(&world), Status::UNMEASURED);
    assert!(world.status(EndpointId(1)).moving);
}

#[test]
fn a_reload_carries_what_was_resolved_by_name_and_understands_look_ups_under_way() {
    let mut controller = controller(one_alias(A));
    let old = controller.plan().epoch;
    resolve(&mut controller, found(&["192.0.2.1"], 60), START);
    let catalog =
        Build::default().zone("example.com").service("api").aliased("east", "lb.example.net", BOTH, &[]).aliased("west", "a.example.net", A, &[]).finish();
    assert_eq!(catalog.alias_named(&"lb.example.net".parse().unwrap()), Some(AliasId(1)), "another number");
    let world = controller.handle(Event::Reloaded { catalog, geo: geo(), allow_shrink: false }, after(1)).publish.unwrap();
    assert_eq!(given(&world), ["192.0.2.1"]);
    assert_eq!(status(&world).lacks, AddressTypes { a: false, aaaa: true }, "a type that is wanted anew");
    assert_eq!(world.status(EndpointId(1)).lacks, A);
    let lookup = Lookup { at: after(2), outcome: found(&["192.0.2.2"], 60) };
    let world = controller.handle(Event::Resolved { epoch: old, alias: LB, of: AddressType::A, lookup: lookup.clone() }, after(2)).publish.unwrap();
    assert_eq!(given(&world), ["192.0.2.2"]);
    for (epoch, alias) in [(0, LB), (old, AliasId(7)), (old + 1, AliasId(2)), (u64::MAX, LB)] {
        let effects = controller.handle(Event::Resolved { epoch, alias, of: AddressType::A, lookup: lookup.clone() }, after(3));
        assert_eq!((effects.dropped, effects.publish.is_none()), (1, true));
    }
}

#[test]
fn an_endpoint_with_another_alias_starts_afresh() {
    let probe = |host: &str| ProbeSpec { target: ProbeTarget { host: ProbeHost::Alias(host.parse().unwrap()), port: 443 }, ..tcp(1) };
    let catalog = |host: &str| Build::default().zone("example.com").service("api").aliased("east", host, A, &[probe(host)]).finish();
    let mut controller = controller(catalog("lb-1.example.net"));
    resolve(&mut controller, found(&["192.0.2.1"], 60), START);
    controller.handle(Event::Observed { epoch: 1, probe: ProbeId(0), observation: passed(START) }, START);
    assert_eq!(status(controller.world()), Status::UP);
    let event = Event::Reloaded { catalog: catalog("lb-2.example.net"), geo: geo(), allow_shrink: false };
    let world = controller.handle(event, after(1)).publish.unwrap();
    assert_eq!(status(&world), Status { lacks: A, moving: true, ..Status::UNMEASURED });
}

#[test]
fn what_was_resolved_outlives_the_process_unless_it_is_too_old_or_nobody_wants_it() {
    let mut first = controller(one_alias(A));
    let effects = resolve(&mut first, found(&["192.0.2.1"], 60), START);
    assert!(!effects.persist);
    assert!(first.handle(Event::Tick, after(2)).persist, "a new set is worth writing");
    let kept = first.state(after(2));
    assert_eq!((kept.aliases.len(), kept.aliases[0].found), (1, START.0));

    let restored = |catalog, now: Moment| {
        let mut second = Controller::new(catalog, geo(), now);
        second.handle(Event::Restored(kept.clone()), now);
        (given(second.world()), status(second.world()), second.is_ready())
    };
    assert_eq!(restored(one_alias(A), after(3_600)), (vec!["192.0.2.1".to_owned()], Status::UNMEASURED, false));
    assert_eq!(restored(one_alias(A), START.plus_millis(ALIAS_KEPT_MS + 1)).1.lacks, A);
    let other = Build::default().zone("example.com").service("api").aliased("east", "other.example.net", A, &[]).finish();
    assert_eq!(restored(other, after(1)).1.lacks, A);
    assert_eq!(restored(one_alias(A), Moment(START.0 - 5_000)).0, ["192.0.2.1"], "a clock that was set back");
}

#[test]
fn a_node_is_ready_when_everything_was_looked_up_and_asked_or_after_the_deadline() {
    let probe = ProbeSpec { target: ProbeTarget { host: ProbeHost::Alias("lb.example.net".parse().unwrap()), port: 443 }, ..tcp(1) };
    let catalog = || Build::default().zone("example.com").service("api").aliased("east", "lb.example.net", A, std::slice::from_ref(&probe)).finish();
    let mut well = controller(catalog());
    resolve(&mut well, found(&["192.0.2.1"], 60), START);
    assert!(!well.is_ready(), "its probe can be made now");
    well.handle(Event::Observed { epoch: 1, probe: ProbeId(0), observation: passed(START) }, START);
    assert!(well.is_ready());
    assert_eq!(well.world().status(EndpointId(0)).health, Health::Up);

    let mut missing = controller(catalog());
    resolve(&mut missing, Err(LookupFailure::NoSuchName), START);
    assert!(missing.is_ready(), "nobody can be asked");

    let mut silent = controller(catalog());
    assert!(!silent.is_ready());
    silent.handle(Event::Tick, after(10));
    assert!(silent.is_ready(), "the deadline");
}
