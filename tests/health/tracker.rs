//! Rise and fall of one probe.

use aya_gslb::catalog::{BaselineSpec, ProbeSpec};
use aya_gslb::health::{Health, Observation, ProbeFailure, Rule, Tracker, of_all, wants_recheck};
use aya_gslb::units::{Micros, Moment};

use crate::small::{START, failed, passed, refused, slow, tcp};

/// Feeds observations a second apart and returns the health after each.
fn feed(tracker: &mut Tracker, observations: &[fn(Moment) -> Observation]) -> Vec<Health> {
    let first = tracker.observed().unwrap_or(START);
    let rule = Rule::of(&tcp(1));
    let moments = (1..).map(|second| first.plus_millis(second * 1_000));
    let after = observations.iter().zip(moments).map(|(make, at)| {
        tracker.observe(&make(at), &rule);
        tracker.health()
    });
    after.collect()
}

#[test]
fn the_first_observation_decides() {
    for (make, health) in [(passed as fn(Moment) -> _, Health::Up), (slow, Health::Degraded), (refused, Health::Down)] {
        assert_eq!(feed(&mut Tracker::default(), &[make]), [health]);
    }
}

#[test]
fn one_lost_probe_does_not_flip_but_shows() {
    let mut tracker = Tracker::default();
    assert_eq!(feed(&mut tracker, &[passed, refused]), [Health::Up, Health::Up]);
    assert!(tracker.is_moving());
    assert_eq!(feed(&mut tracker, &[passed]), [Health::Up]);
    assert!(!tracker.is_moving());
}

#[test]
fn falls_after_three_failures_in_a_row_and_rises_after_three_answers_in_a_row() {
    use Health::{Down, Up};
    let mut tracker = Tracker::default();
    assert_eq!(feed(&mut tracker, &[passed, refused, refused, refused]), [Up, Up, Up, Down]);
    assert!(!tracker.is_moving());
    assert_eq!(feed(&mut tracker, &[passed, passed, refused, passed, passed, passed]), [Down, Down, Down, Down, Down, Up]);
}

#[test]
fn an_endpoint_that_flaps_is_published_once_and_not_with_every_flap() {
    let mut tracker = Tracker::default();
    let healths = feed(&mut tracker, &[passed, refused, refused, passed, refused, refused, passed, refused]);
    assert!(healths.iter().all(|&health| health == Health::Up), "{healths:?}");
    assert!(tracker.is_moving());

    let mut tracker = Tracker::default();
    let healths = feed(&mut tracker, &[refused, passed, passed, refused, passed, passed, refused]);
    assert!(healths.iter().all(|&health| health == Health::Down), "{healths:?}");
}

#[test]
fn slow_answers_degrade_as_failures_fell_and_quick_ones_restore() {
    use Health::{Degraded, Down, Up};
    let mut tracker = Tracker::default();
    assert_eq!(feed(&mut tracker, &[passed, slow, slow, slow]), [Up, Up, Up, Degraded]);
    assert!(tracker.is_moving());
    assert_eq!(feed(&mut tracker, &[passed, passed, slow, passed, passed, passed]), [Degraded, Degraded, Degraded, Degraded, Degraded, Up]);
    assert_eq!(feed(&mut tracker, &[slow, slow, refused, slow]), [Up, Up, Up, Degraded]);
    assert_eq!(feed(&mut tracker, &[refused, refused, refused]), [Degraded, Degraded, Down]);
    assert_eq!(feed(&mut tracker, &[slow, slow, slow]), [Down, Down, Degraded]);
}

#[test]
fn a_probe_that_could_not_be_made_is_no_evidence() {
    let not_asked = |at| failed(at, ProbeFailure::NotAsked("no descriptors".into()));
    let mut tracker = Tracker::default();
    assert_eq!(feed(&mut tracker, &[not_asked]), [Health::Unknown]);
    assert_eq!(tracker.observed(), None);
    feed(&mut tracker, &[passed, refused, refused]);
    let before = tracker.clone();
    feed(&mut tracker, &[not_asked, not_asked, not_asked]);
    assert_eq!(tracker, before);
}

#[test]
fn an_observation_older_than_what_is_known_is_passed_over() {
    let mut tracker = Tracker::default();
    feed(&mut tracker, &[passed]);
    let before = tracker.clone();
    tracker.observe(&refused(START), &Rule::of(&tcp(1)));
    assert_eq!(tracker, before);
}

#[test]
fn restored_health_is_held_and_counts_only_while_it_is_fresh() {
    let rule = Rule::of(&tcp(1));
    let restored = |health| {
        let mut tracker = Tracker::default();
        assert!(tracker.restore(health, START, &rule));
        assert_eq!(tracker.health(), health);
        assert!(!tracker.is_measured());
        tracker
    };
    let soon = START.plus_millis(10_000);
    let late = START.plus_millis(rule.fresh_ms + 1);

    let mut tracker = restored(Health::Up);
    tracker.observe(&refused(soon), &rule);
    assert_eq!(tracker.health(), Health::Up, "one lost probe after a quick restart");
    let mut tracker = restored(Health::Up);
    tracker.observe(&refused(late), &rule);
    assert_eq!(tracker.health(), Health::Down, "old evidence does not vote");
    let mut tracker = restored(Health::Down);
    tracker.observe(&passed(soon), &rule);
    assert_eq!(tracker.health(), Health::Down);
    let mut tracker = restored(Health::Down);
    tracker.observe(&passed(late), &rule);
    assert_eq!(tracker.health(), Health::Up);
}

#[test]
fn what_this_process_measured_is_not_overwritten_by_what_an_earlier_one_knew() {
    let mut tracker = Tracker::default();
    feed(&mut tracker, &[passed]);
    assert!(!tracker.restore(Health::Down, START, &Rule::of(&tcp(1))));
    assert_eq!(tracker.health(), Health::Up);
}

#[test]
fn a_fall_and_rise_of_one_decide_at_once() {
    let rule = Rule { fall: 1, rise: 1, ..Rule::of(&tcp(1)) };
    let mut tracker = Tracker::default();
    for (observation, health) in [(passed(START), Health::Up), (refused(START), Health::Down), (passed(START), Health::Up), (slow(START), Health::Degraded)] {
        tracker.observe(&observation, &rule);
        assert_eq!(tracker.health(), health);
    }
}

#[test]
fn round_trip_times_are_smoothed_over_answers_only() {
    let mut tracker = Tracker::default();
    feed(&mut tracker, &[passed, refused, slow]);
    assert_eq!(tracker.rtt(), Some(Micros(20_000 + (900_000 - 20_000) / 8)));
}

#[test]
fn a_recheck_is_wanted_from_the_first_failure_until_the_fall() {
    let wanted: Vec<bool> = (0..5).map(|failures| wants_recheck(failures, 3)).collect();
    assert_eq!(wanted, [false, true, true, false, false]);
    assert!(!wants_recheck(1, 1));
}

#[test]
fn an_endpoint_is_as_well_as_the_worst_of_its_probes() {
    let tracker = |observations: &[fn(Moment) -> Observation]| {
        let mut tracker = Tracker::default();
        feed(&mut tracker, observations);
        tracker
    };
    let (unknown, up, degraded, down) = (Tracker::default(), tracker(&[passed]), tracker(&[slow]), tracker(&[refused]));
    assert_eq!(of_all([].into_iter()), (Health::Unknown, false));
    assert_eq!(of_all([&up, &up].into_iter()), (Health::Up, false));
    assert_eq!(of_all([&up, &degraded].into_iter()), (Health::Degraded, true));
    assert_eq!(of_all([&up, &unknown, &degraded].into_iter()).0, Health::Unknown);
    assert_eq!(of_all([&unknown, &down, &up].into_iter()), (Health::Down, false));
}

#[test]
fn an_endpoint_that_is_up_is_degraded_while_its_own_past_says_so_and_down_when_it_fails() {
    let spec = ProbeSpec { baseline: Some(BaselineSpec::default()), ..tcp(1) };
    let rule = Rule::of(&spec);
    let mut tracker = Tracker::default();
    let mut turns = 0_u64;
    let mut feed = |tracker: &mut Tracker, count: u64, millis: Option<i64>| {
        let healths = (0..count).map(|_| {
            turns += 1;
            let at = START.plus_millis(turns * 5_000);
            let observation = millis.map_or_else(|| refused(at), |millis| Observation { rtt: Micros::from_millis(millis), ..passed(at) });
            tracker.observe(&observation, &rule);
            tracker.health()
        });
        healths.collect::<Vec<_>>()
    };
    assert!(feed(&mut tracker, 100, Some(20)).iter().all(|health| *health == Health::Up));
    let healths = feed(&mut tracker, 30, Some(60));
    let after = healths.iter().position(|health| *health == Health::Degraded).unwrap();
    assert!((6..15).contains(&after) && healths[after..].iter().all(|health| *health == Health::Degraded), "{healths:?}");
    assert!(tracker.is_moving());
    assert_eq!(tracker.evidence().unusual.unwrap().to_string(), "answers in 60.0 ms where 20.0 ms is usual");
    assert_eq!(feed(&mut tracker, 3, None), [Health::Degraded, Health::Degraded, Health::Down], "fall is not delayed by it");
    assert_eq!(feed(&mut tracker, 3, Some(60)), [Health::Down, Health::Down, Health::Up], "up again, and judged anew");
    assert!(feed(&mut tracker, 30, Some(60)).contains(&Health::Degraded));
    assert_eq!(feed(&mut tracker, 40, Some(20)).last(), Some(&Health::Up));
}

#[test]
fn evidence_tells_what_is_counted_towards_fall_and_rise() {
    let mut tracker = Tracker::default();
    feed(&mut tracker, &[passed, refused, refused]);
    assert_eq!((tracker.evidence().failed, tracker.evidence().answered), (2, 0));
    feed(&mut tracker, &[refused, passed]);
    let evidence = tracker.evidence();
    assert_eq!((evidence.health, evidence.failed, evidence.answered), (Health::Down, 0, 1));
    assert_eq!(evidence.observed, Some(START.plus_millis(5_000)));
}
