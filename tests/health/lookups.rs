//! When which name is looked up, and which of its addresses a probe asks.

use std::net::IpAddr;
use std::sync::Arc;

use aya_gslb::catalog::{AddressType, AddressTypes, Catalog, ProbeHost, ProbeSpec, ProbeTarget};
use aya_gslb::control::{Controller, Event, Found, Lookup, Plan};
use aya_gslb::health::{ProbeFailure, ProbeOutcome};
use aya_gslb::limits::{ALIAS_FRESH_MAX_MS, ALIAS_FRESH_MIN_MS, ALIAS_RETRY_MAX_MS, ALIAS_RETRY_MS, JITTER_FRACTION};
use aya_gslb::probe::schedule::{Schedule as ProbeSchedule, Targets};
use aya_gslb::resolve::schedule::{Question, Schedule};
use aya_gslb::units::Moment;
use aya_gslb::world::LookupFailure;

use crate::small::{Build, START, geo, tcp};

const A: AddressTypes = AddressTypes { a: true, aaaa: false };

fn catalog(hosts: &[&str]) -> Arc<Catalog> {
    let build = Build::default().zone("example.com").service("api");
    hosts.iter().fold(build, |build, host| build.aliased(host, host, A, &[])).finish()
}

fn plan(epoch: u64, hosts: &[&str]) -> Plan {
    Plan { epoch, catalog: catalog(hosts), fresh: [].into() }
}

#[expect(clippy::unnecessary_wraps, reason = "an outcome is what it stands for")]
fn found(ttl_s: u32) -> Result<Found, LookupFailure> {
    Ok(Found { addresses: ["192.0.2.1".parse().unwrap()].into(), ttl_s })
}

/// A schedule of one name that is due at the start.
fn one() -> Schedule {
    let mut schedule = Schedule::new(1, 4);
    schedule.replan(&plan(1, &["lb.example.net"]), START);
    schedule
}

/// Takes the next turn, and returns how long after it the one after that comes.
fn step(schedule: &mut Schedule, outcome: Result<Found, LookupFailure>) -> u64 {
    let now = schedule.wake().unwrap();
    let question = schedule.start(now).unwrap();
    assert!(schedule.finish(&question, &Lookup { at: now, outcome }, now).is_some());
    schedule.wake().unwrap().millis_since(now)
}

/// Whether jitter has taken at most its share, and added nothing.
fn is_about(step: u64, full: u64) -> bool {
    (full - full / JITTER_FRACTION..=full).contains(&step)
}

#[test]
fn a_name_is_looked_up_again_at_the_end_of_its_ttl_within_limits() {
    let mut schedule = one();
    for (ttl_s, full) in
        [(60, 60_000), (0, ALIAS_FRESH_MIN_MS), (1, ALIAS_FRESH_MIN_MS), (300, 300_000), (86_400, ALIAS_FRESH_MAX_MS), (u32::MAX, ALIAS_FRESH_MAX_MS)]
    {
        for _ in 0..20 {
            let step = step(&mut schedule, found(ttl_s));
            assert!(is_about(step, full), "TTL {ttl_s}: {step} ms");
        }
    }
}

#[test]
fn after_failures_it_is_looked_up_later_each_time_up_to_a_bound_and_a_success_forgets_them() {
    let mut schedule = one();
    let mut full = ALIAS_RETRY_MS;
    for _ in 0..100 {
        let step = step(&mut schedule, Err(LookupFailure::TimedOut));
        assert!(is_about(step, full), "{step} ms, not {full}");
        full = (full * 2).min(ALIAS_RETRY_MAX_MS);
    }
    step(&mut schedule, found(60));
    assert!(is_about(step(&mut schedule, Err(LookupFailure::NoSuchName)), ALIAS_RETRY_MS));
    let nothing = Ok(Found { addresses: [].into(), ttl_s: 3_600 });
    assert!(is_about(step(&mut schedule, nothing), 2 * ALIAS_RETRY_MS), "no addresses are a failure, whatever their TTL");
}

#[test]
fn one_question_is_under_way_once_and_all_of_them_within_the_room() {
    let mut schedule = Schedule::new(1, 2);
    schedule.replan(&plan(1, &["a.example.net", "b.example.net", "c.example.net"]), START);
    let (one, two) = (schedule.start(START).unwrap(), schedule.start(START).unwrap());
    assert_ne!(one, two);
    assert_eq!((schedule.start(START), schedule.wake(), schedule.in_flight()), (None, None, 2));
    schedule.finish(&one, &Lookup { at: START, outcome: found(60) }, START);
    assert_eq!(schedule.start(START).unwrap().name.to_string(), "c.example.net");
}

#[test]
fn each_type_that_is_wanted_is_a_question_of_its_own() {
    let both = AddressTypes { a: true, aaaa: true };
    let catalog = Build::default().zone("example.com").service("api").aliased("east", "lb.example.net", both, &[]).finish();
    let mut schedule = Schedule::new(1, 4);
    schedule.replan(&Plan { epoch: 1, catalog, fresh: [].into() }, START);
    let types: Vec<AddressType> = std::iter::from_fn(|| schedule.start(START)).map(|question| question.of).collect();
    assert_eq!(types, AddressType::ALL);
}

#[test]
fn a_new_plan_keeps_the_turns_of_names_that_stay_and_forgets_those_that_go() {
    let mut schedule = Schedule::new(1, 4);
    schedule.replan(&plan(1, &["goes.example.net", "stays.example.net"]), START);
    let goes = schedule.start(START).unwrap();
    let stays = schedule.start(START).unwrap();
    schedule.finish(&stays, &Lookup { at: START, outcome: found(60) }, START);
    let turn = schedule.wake();
    let now = START.plus_millis(1_000);
    schedule.replan(&plan(2, &["new.example.net", "stays.example.net"]), now);
    assert_eq!(schedule.start(now).unwrap().name.to_string(), "new.example.net");
    assert_eq!(schedule.wake(), turn);
    assert_eq!(schedule.finish(&goes, &Lookup { at: now, outcome: found(60) }, now), None);
    assert_eq!(schedule.in_flight(), 1);
    let later = turn.unwrap();
    let question: Question = schedule.start(later).unwrap();
    let (epoch, alias) = schedule.finish(&question, &Lookup { at: later, outcome: found(60) }, later).unwrap();
    assert_eq!((epoch, alias.0), (2, 1), "the name's number in the new plan");
}

/// A schedule of one probe of an alias, and a controller that knows what that is resolved to.
fn probing() -> (ProbeSchedule, Controller) {
    let probe = ProbeSpec { target: ProbeTarget { host: ProbeHost::Alias("lb.example.net".parse().unwrap()), port: 443 }, ..tcp(1) };
    let catalog = Build::default().zone("example.com").service("api").aliased("east", "lb.example.net", A, &[probe]).finish();
    let controller = Controller::new(catalog, geo(), START);
    let mut schedule = ProbeSchedule::new(1, 4);
    schedule.replan(&controller.plan(), START);
    (schedule, controller)
}

fn resolve(controller: &mut Controller, addresses: &[&str]) -> Targets {
    let alias = controller.world().catalog.alias_named(&"lb.example.net".parse().unwrap()).unwrap();
    let addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
    let lookup = Lookup { at: START, outcome: Ok(Found { addresses, ttl_s: 60 }) };
    controller.handle(Event::Resolved { epoch: 1, alias, of: AddressType::A, lookup }, START);
    Targets::of(controller.world())
}

/// Takes the probe's next turn; returns the address that it asks.
fn ask(schedule: &mut ProbeSchedule, targets: &Targets, outcome: &ProbeOutcome, now: &mut Moment) -> Option<IpAddr> {
    let (key, host) = schedule.start(*now).map(|(key, spec)| (key, spec.target.host.clone()))?;
    let address = schedule.aim(key, &targets.addresses(&host))?;
    schedule.finish(key, outcome, *now);
    *now = schedule.wake().unwrap();
    Some(address)
}

#[test]
fn a_probe_asks_the_addresses_of_an_alias_in_turn() {
    let (mut schedule, mut controller) = probing();
    let targets = resolve(&mut controller, &["192.0.2.3", "192.0.2.1", "192.0.2.2"]);
    let mut now = START;
    let asked: Vec<IpAddr> = (0..6).map(|_| ask(&mut schedule, &targets, &ProbeOutcome::Passed, &mut now).unwrap()).collect();
    assert_eq!(asked[..3], asked[3..]);
    let mut sorted = asked[..3].to_vec();
    sorted.sort_unstable();
    assert_eq!(sorted, ["192.0.2.1", "192.0.2.2", "192.0.2.3"].map(|address| address.parse::<IpAddr>().unwrap()));
}

#[test]
fn a_probe_stays_with_an_address_that_fails_for_as_long_as_the_alias_has_it() {
    let (mut schedule, mut controller) = probing();
    let targets = resolve(&mut controller, &["192.0.2.1", "192.0.2.2"]);
    let (mut now, failed) = (START, ProbeOutcome::Failed(ProbeFailure::Refused));
    let dead = ask(&mut schedule, &targets, &failed, &mut now).unwrap();
    for _ in 0..5 {
        assert_eq!(ask(&mut schedule, &targets, &failed, &mut now), Some(dead));
    }
    let other = if dead == "192.0.2.1".parse::<IpAddr>().unwrap() { "192.0.2.2" } else { "192.0.2.1" };
    let targets = resolve(&mut controller, &[other]);
    assert_eq!(ask(&mut schedule, &targets, &failed, &mut now), Some(other.parse().unwrap()), "it is of the alias no more");
}

#[test]
fn where_nothing_is_resolved_nothing_is_probed_until_it_is_and_then_at_once() {
    let (mut schedule, mut controller) = probing();
    let mut now = START;
    let nothing = Targets::of(controller.world());
    assert_eq!(ask(&mut schedule, &nothing, &ProbeOutcome::Passed, &mut now), None);
    assert_eq!((schedule.in_flight(), schedule.wake(), schedule.waiting()), (0, None, 0), "nobody waits for it in vain");
    schedule.retarget(&nothing);
    assert!(schedule.start(now).is_none());
    let targets = resolve(&mut controller, &["192.0.2.1"]);
    schedule.retarget(&targets);
    assert!(ask(&mut schedule, &targets, &ProbeOutcome::Passed, &mut now).is_some());
    assert!(schedule.wake().is_some());
}

#[test]
fn a_probe_that_waits_for_an_alias_is_not_lost_in_a_reload() {
    let (mut schedule, mut controller) = probing();
    let mut now = START;
    assert_eq!(ask(&mut schedule, &Targets::of(controller.world()), &ProbeOutcome::Passed, &mut now), None);
    schedule.replan(&Plan { fresh: [false].into(), ..controller.plan() }, now);
    let targets = resolve(&mut controller, &["192.0.2.1"]);
    schedule.retarget(&targets);
    assert!(ask(&mut schedule, &targets, &ProbeOutcome::Passed, &mut now).is_some());
    assert!(schedule.start(START).is_none(), "and it is asked once");
}
