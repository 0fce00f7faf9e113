//! How long it takes until a failure is published, on virtual time: schedule and controller together, over many phases.

use aya_gslb::catalog::{EndpointId, ProbeSpec};
use aya_gslb::control::{Controller, Event};
use aya_gslb::health::{Health, Observation, ProbeFailure, ProbeOutcome};
use aya_gslb::probe::schedule::Schedule;
use aya_gslb::units::{Micros, Moment};

use crate::small::{Build, START, geo, tcp};

/// Milliseconds from the failure at `fails` until a world says so. Answers and refusals take one millisecond, time-outs the whole time-out.
fn detected_after(spec: &ProbeSpec, failure: &ProbeFailure, seed: u64, fails: Moment) -> u64 {
    let catalog = Build::default().zone("example.com").service("api").endpoint("east", 1, std::slice::from_ref(spec)).finish();
    let mut controller = Controller::new(catalog, geo(), START);
    let mut schedule = Schedule::new(seed, 512);
    schedule.replan(&controller.plan(), START);
    let mut now = START;
    loop {
        let Some((key, _)) = schedule.start(now) else {
            now = schedule.wake().unwrap();
            continue;
        };
        let (outcome, takes) = match failure {
            _ if now < fails => (ProbeOutcome::Passed, 1),
            ProbeFailure::TimedOut => (ProbeOutcome::Failed(ProbeFailure::TimedOut), u64::from(spec.timeout_ms)),
            other => (ProbeOutcome::Failed(other.clone()), 1),
        };
        now = now.plus_millis(takes);
        let (epoch, probe) = schedule.finish(key, &outcome, now).unwrap();
        let observation = Observation { at: now, outcome, rtt: Micros::from_millis(1), expires: None, drill: false };
        let effects = controller.handle(Event::Observed { epoch, probe, observation }, now);
        if let Some(world) = effects.publish
            && world.status(EndpointId(0)).health == Health::Down
        {
            return now.millis_since(fails);
        }
    }
}

/// The longest detection over seeds and moments of failure.
fn worst(spec: &ProbeSpec, failure: &ProbeFailure) -> u64 {
    let cases = (0..40).flat_map(|seed| (0..50).map(move |phase| (seed, START.plus_millis(20_000 + phase * 101))));
    cases.map(|(seed, fails)| detected_after(spec, failure, seed, fails)).max().unwrap()
}

#[test]
fn a_refused_connection_is_published_within_7_2_seconds_by_default() {
    let worst = worst(&tcp(1), &ProbeFailure::Refused);
    assert!((5_000..=7_100).contains(&worst), "{worst} ms");
}

#[test]
fn a_black_hole_is_published_within_13_seconds_by_default() {
    let worst = worst(&tcp(1), &ProbeFailure::TimedOut);
    assert!((7_000..=13_000).contains(&worst), "{worst} ms");
}

#[test]
fn an_interval_of_a_second_finds_either_within_4_seconds() {
    let spec = ProbeSpec { interval_ms: 1_000, timeout_ms: 800, ..tcp(1) };
    for failure in [ProbeFailure::Refused, ProbeFailure::TimedOut] {
        let worst = worst(&spec, &failure);
        assert!((1_000..=3_900).contains(&worst), "{failure}: {worst} ms");
    }
}

#[test]
fn what_hardly_ever_raises_a_false_alarm_still_finds_either_soon() {
    let steady = ProbeSpec { fall: 5, ..tcp(1) };
    let quick = ProbeSpec { interval_ms: 2_000, timeout_ms: 1_000, ..steady.clone() };
    for (spec, refused_ms, silent_ms) in [(steady, 9_100, 17_000), (quick, 3_700, 8_000)] {
        assert!(worst(&spec, &ProbeFailure::Refused) <= refused_ms);
        assert!(worst(&spec, &ProbeFailure::TimedOut) <= silent_ms);
    }
}
