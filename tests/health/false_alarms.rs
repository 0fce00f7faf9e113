//! How often a healthy endpoint is found down because packets are lost: the formula of `probe::schedule`, against schedule and tracker
//! over simulated years.

use aya_gslb::catalog::ProbeSpec;
use aya_gslb::control::Plan;
use aya_gslb::health::{Health, Observation, ProbeFailure, ProbeOutcome, Rule, Tracker};
use aya_gslb::probe::schedule::Schedule;
use aya_gslb::units::Micros;

use crate::small::{Build, START, tcp};

/// Milliseconds of a year of 365.25 days.
const YEAR_MS: u64 = 31_557_600_000;

/// Loss in thousandths, and what the formula says of it: false alarms a year, times a million, in integers.
///
/// `p^k / (t + r · (p + p² + … + p^(k−1)))`, with `t` and `r` the mean steps after an answer and after a loss.
fn predicted_millionths(spec: &ProbeSpec, permille: u64) -> u64 {
    let (interval, timeout, fall) = (u128::from(spec.interval_ms), u128::from(spec.timeout_ms), u32::from(spec.fall));
    let (p, one) = (u128::from(permille), 1_000_u128);
    // Jitter takes a twentieth off on average. A lost probe is over after its time-out, which may be later than the re-check is due.
    let (step, recheck) = (interval * 19 / 20, (interval / 5 * 19 / 20).max(timeout));
    // All in parts of 1000^fall, so that nothing is rounded before the end.
    let whole = one.pow(fall);
    let rechecks: u128 = (1..fall).map(|lost| p.pow(lost) * one.pow(fall - lost)).sum();
    u64::try_from(p.pow(fall) * u128::from(YEAR_MS) * 1_000_000 / (step * whole + recheck * rechecks)).unwrap()
}

/// How often an endpoint that is always up is found down within so many milliseconds.
fn false_alarms(spec: &ProbeSpec, permille: u64, seed: u64, millis: u64) -> u64 {
    let catalog = Build::default().zone("example.com").service("api").endpoint("east", 1, std::slice::from_ref(spec)).finish();
    let mut schedule = Schedule::new(seed, 1);
    schedule.replan(&Plan { epoch: 1, catalog, fresh: [true].into() }, START);
    let (rule, mut tracker) = (Rule::of(spec), Tracker::default());
    let mut dice = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let (mut now, end) = (START, START.plus_millis(millis));
    let mut alarms = 0;
    let mut first = true;
    while now < end {
        now = now.max(schedule.wake().unwrap());
        let (key, _) = schedule.start(now).unwrap();
        dice = dice.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = dice;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        // The first observation decides by itself: it is no alarm that rise and fall could keep back.
        let is_lost = !std::mem::take(&mut first) && (bits ^ (bits >> 31)) % 1_000 < permille;
        let outcome = if is_lost { ProbeOutcome::Failed(ProbeFailure::TimedOut) } else { ProbeOutcome::Passed };
        now = now.plus_millis(if is_lost { u64::from(spec.timeout_ms) } else { 1 });
        schedule.finish(key, &outcome, now).unwrap();
        let was_up = tracker.health() != Health::Down;
        tracker.observe(&Observation { at: now, outcome, rtt: Micros(1_000), expires: None, drill: false }, &rule);
        alarms += u64::from(was_up && tracker.health() == Health::Down);
    }
    alarms
}

/// Simulated against predicted, in thousandths, over these seeds; and how many alarms that is.
fn ratio_permille(spec: &ProbeSpec, permille: u64, seeds: u64, millis: u64) -> (u64, u64) {
    let half = |from: u64| (from..seeds).step_by(2).map(|seed| false_alarms(spec, permille, seed, millis)).sum::<u64>();
    let alarms = std::thread::scope(|scope| {
        let odd = scope.spawn(|| half(1));
        half(0) + odd.join().unwrap()
    });
    let predicted = u128::from(predicted_millionths(spec, permille)) * u128::from(seeds * millis) / u128::from(YEAR_MS);
    (u64::try_from(u128::from(alarms) * 1_000_000_000 / predicted).unwrap(), alarms)
}

#[test]
fn at_2_per_cent_loss_the_simulated_rate_is_that_of_the_formula() {
    assert_eq!(predicted_millionths(&tcp(1), 20) / 1_000_000, 52, "a year, with the default probe");
    // Some 840 alarms: their number alone wanders by 3.4 per cent.
    let (ratio, alarms) = ratio_permille(&tcp(1), 20, 32, YEAR_MS / 2);
    assert!((900..=1_100).contains(&ratio), "{ratio} thousandths, {alarms} alarms");
}

#[test]
fn the_formula_holds_for_other_losses_falls_and_intervals() {
    let quick = ProbeSpec { interval_ms: 1_000, timeout_ms: 150, ..tcp(1) };
    for (spec, permille, days) in [(tcp(1), 100, 20), (ProbeSpec { fall: 2, ..tcp(1) }, 50, 10), (ProbeSpec { fall: 4, ..tcp(1) }, 200, 10), (quick, 100, 4)] {
        let (ratio, alarms) = ratio_permille(&spec, permille, 30, days * 86_400_000);
        assert!((940..=1_060).contains(&ratio) && alarms > 5_000, "{spec:?} at {permille}: {ratio} thousandths, {alarms} alarms");
    }
}

#[test]
fn a_fall_of_5_raises_less_than_one_false_alarm_in_a_year_for_all_probes_of_a_region() {
    for spec in [ProbeSpec { fall: 5, ..tcp(1) }, ProbeSpec { fall: 5, interval_ms: 2_000, timeout_ms: 1_000, ..tcp(1) }] {
        let a_year = predicted_millionths(&spec, 20);
        assert!(a_year > 0 && a_year * if spec.interval_ms == 5_000 { 40 } else { 15 } < 1_000_000, "{a_year} millionths");
    }
    let none: u64 = (0..4).map(|seed| false_alarms(&ProbeSpec { fall: 5, ..tcp(1) }, 20, seed, YEAR_MS / 4)).sum();
    assert_eq!(none, 0, "one year of it");
}
