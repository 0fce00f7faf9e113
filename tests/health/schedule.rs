//! When which probe is asked.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use aya_gslb::catalog::{Catalog, ProbeSpec};
use aya_gslb::control::Plan;
use aya_gslb::health::{ProbeFailure, ProbeOutcome};
use aya_gslb::probe::schedule::Schedule;
use aya_gslb::units::Moment;

use crate::small::{Build, START, tcp};

fn plan(epoch: u64, specs: &[ProbeSpec]) -> Plan {
    let build = specs.iter().zip(0..).fold(Build::default().zone("example.com").service("api"), |build, (spec, index)| {
        build.endpoint(&format!("e{index}"), index, std::slice::from_ref(spec))
    });
    let catalog: Arc<Catalog> = build.finish();
    let fresh = vec![false; catalog.probes.len()].into();
    Plan { epoch, catalog, fresh }
}

/// Runs one probe for `turns` turns, each of which takes `takes_ms` and comes out as told; returns when they started.
fn starts(schedule: &mut Schedule, turns: usize, takes_ms: u64, outcome: impl Fn(usize) -> ProbeOutcome) -> Vec<Moment> {
    let mut now = START;
    let mut starts = Vec::new();
    while starts.len() < turns {
        if let Some((key, _)) = schedule.start(now) {
            starts.push(now);
            now = now.plus_millis(takes_ms);
            schedule.finish(key, &outcome(starts.len() - 1), now).unwrap();
        }
        now = now.max(schedule.wake().unwrap());
    }
    starts
}

fn steps(starts: &[Moment]) -> Vec<u64> {
    starts.windows(2).map(|pair| pair[1].millis_since(pair[0])).collect()
}

#[test]
fn everything_is_asked_at_once_at_start_and_spread_afterwards() {
    let specs: Vec<ProbeSpec> = (0..100).map(tcp).collect();
    let mut schedule = Schedule::new(7, 512);
    schedule.replan(&plan(1, &specs), START);
    let mut keys = Vec::new();
    while let Some((key, _)) = schedule.start(START) {
        keys.push(key);
    }
    assert_eq!(keys.len(), 100);
    for key in keys {
        schedule.finish(key, &ProbeOutcome::Passed, START.plus_millis(10)).unwrap();
    }
    let mut tenths = [0; 10];
    for millis in 10..=5_010 {
        let now = START.plus_millis(millis);
        while schedule.start(now).is_some() {
            tenths[usize::try_from((millis - 10) / 501).unwrap()] += 1;
        }
    }
    assert_eq!(tenths.iter().sum::<i32>(), 100, "all within one interval");
    assert!(tenths.iter().all(|&tenth| (1..=30).contains(&tenth)), "spread over it: {tenths:?}");
}

#[test]
fn turns_that_are_due_within_a_moment_are_taken_together_early_rather_than_late() {
    let specs: Vec<ProbeSpec> = (0..100).map(tcp).collect();
    let second_turns = |together_ms| {
        let mut schedule = Schedule::new(7, 512).taking_together(together_ms);
        schedule.replan(&plan(1, &specs), START);
        while let Some((key, _)) = schedule.start(START) {
            schedule.finish(key, &ProbeOutcome::Passed, START.plus_millis(10)).unwrap();
        }
        let mut turns = BTreeMap::new();
        while let Some(now) = schedule.wake() {
            while let Some((key, _)) = schedule.start(now) {
                turns.insert(schedule.place(key).unwrap().1.0, now);
            }
        }
        turns
    };
    let (alone, together) = (second_turns(0), second_turns(50));
    let moments = |turns: &BTreeMap<u32, Moment>| turns.values().collect::<HashSet<_>>().len();
    assert!(moments(&together) * 2 < moments(&alone), "{} and {}", moments(&together), moments(&alone));
    for (probe, due) in &alone {
        assert!(together[probe] <= *due && due.millis_since(together[probe]) <= 50);
    }
    assert_eq!(together.values().min(), alone.values().min(), "nothing is early by itself");
}

#[test]
fn two_nodes_spread_the_same_probes_differently_and_one_node_always_the_same() {
    let turns = |seed| {
        let mut schedule = Schedule::new(seed, 512);
        schedule.replan(&plan(1, &[tcp(1)]), START);
        starts(&mut schedule, 20, 5, |_| ProbeOutcome::Passed)
    };
    assert_eq!(turns(1), turns(1));
    assert_ne!(turns(1), turns(2));
}

#[test]
fn jitter_only_shortens_and_by_a_tenth_at_most() {
    let mut schedule = Schedule::new(3, 512);
    schedule.replan(&plan(1, &[tcp(1)]), START);
    let starts = starts(&mut schedule, 500, 5, |_| ProbeOutcome::Passed);
    let steps = steps(&starts[1..]);
    assert!(steps.iter().all(|step| (4_500..=5_000).contains(step)), "{steps:?}");
    assert!(steps.iter().collect::<HashSet<_>>().len() > 100, "there is jitter at all");
}

#[test]
fn a_first_failure_is_rechecked_after_a_fifth_until_it_is_down() {
    let mut schedule = Schedule::new(3, 512);
    schedule.replan(&plan(1, &[tcp(1)]), START);
    let outcome = |turn| if turn < 2 { ProbeOutcome::Passed } else { ProbeOutcome::Failed(ProbeFailure::Refused) };
    let steps = steps(&starts(&mut schedule, 8, 5, outcome));
    assert!((4_500..=5_000).contains(&steps[1]), "{steps:?}");
    assert!(steps[2..4].iter().all(|step| (900..=1_000).contains(step)), "{steps:?}");
    assert!(steps[4..].iter().all(|step| (4_500..=5_000).contains(step)), "down is asked as seldom as up: {steps:?}");
}

#[test]
fn a_probe_that_outlasts_its_turn_is_never_asked_twice_at_once() {
    let mut schedule = Schedule::new(3, 512);
    schedule.replan(&plan(1, &[tcp(1)]), START);
    let outcome = |_| ProbeOutcome::Failed(ProbeFailure::TimedOut);
    let steps = steps(&starts(&mut schedule, 3, 2_000, outcome));
    assert_eq!(steps, [2_000, 2_000], "the recheck was due while it was under way");
}

#[test]
fn those_that_find_no_room_wait_their_turn_and_are_counted() {
    let specs: Vec<ProbeSpec> = (0..10).map(tcp).collect();
    let mut schedule = Schedule::new(7, 4);
    schedule.replan(&plan(1, &specs), START);
    let mut asked = HashSet::new();
    let mut keys = Vec::new();
    while let Some((key, spec)) = schedule.start(START) {
        asked.insert(spec.clone());
        keys.push(key);
    }
    assert_eq!((schedule.in_flight(), schedule.waiting(), schedule.wake()), (4, 6, None));
    while let Some(key) = keys.pop() {
        schedule.finish(key, &ProbeOutcome::Passed, START).unwrap();
        if let Some((key, spec)) = schedule.start(START) {
            asked.insert(spec.clone());
            keys.push(key);
        }
        assert!(schedule.in_flight() <= 4);
    }
    assert_eq!(asked.len(), 10, "the first round is complete");
    assert_eq!(schedule.waiting(), 0);
}

#[test]
fn a_new_plan_keeps_the_turns_of_what_did_not_change() {
    let mut schedule = Schedule::new(7, 512);
    schedule.replan(&plan(1, &[tcp(1), tcp(2)]), START);
    let (one, _) = schedule.start(START).unwrap();
    let (two, _) = schedule.start(START).unwrap();
    schedule.finish(one, &ProbeOutcome::Passed, START).unwrap();
    schedule.finish(two, &ProbeOutcome::Passed, START).unwrap();
    let due = schedule.wake().unwrap();

    schedule.replan(&plan(2, &[tcp(3), tcp(2), tcp(1)]), START);
    let (three, spec) = schedule.start(START).unwrap();
    assert_eq!(*spec, tcp(3), "only the new one is due at once");
    assert!(schedule.start(START).is_none());
    assert_eq!(schedule.wake(), Some(due));
    assert_eq!(schedule.finish(three, &ProbeOutcome::Passed, START).unwrap().0, 2, "reported under the new epoch");
}

#[test]
fn what_is_under_way_across_a_new_plan_is_reported_under_its_new_number_or_dropped() {
    let mut schedule = Schedule::new(7, 512);
    schedule.replan(&plan(1, &[tcp(1), tcp(2)]), START);
    let (one, spec) = schedule.start(START).unwrap();
    assert_eq!(*spec, tcp(1));
    let (two, _) = schedule.start(START).unwrap();
    schedule.replan(&plan(2, &[tcp(9), tcp(8), tcp(1)]), START);
    let (epoch, probe) = schedule.finish(one, &ProbeOutcome::Passed, START).unwrap();
    assert_eq!((epoch, probe.index()), (2, 2));
    assert_eq!(schedule.finish(two, &ProbeOutcome::Passed, START), None, "its endpoint is gone");
    assert_eq!(schedule.in_flight(), 0);
}

#[test]
fn a_probe_that_starts_afresh_is_asked_at_once_even_if_it_was_there_before() {
    let mut schedule = Schedule::new(7, 512);
    schedule.replan(&plan(1, &[tcp(1)]), START);
    let (key, _) = schedule.start(START).unwrap();
    schedule.finish(key, &ProbeOutcome::Passed, START).unwrap();
    assert!(schedule.start(START).is_none());
    schedule.replan(&Plan { fresh: [true].into(), ..plan(2, &[tcp(1)]) }, START);
    assert!(schedule.start(START).is_some());
}
