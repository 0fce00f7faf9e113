//! What is measured of a drill, and how it is told.

use aya_gslb::control::drills::{Plays, Report, report};
use aya_gslb::units::{Moment, Permille};

use crate::desk::{Desk, ZONE, fail, play};
use crate::small::{GERMAN, MINUTE, SECOND};

/// The report of the drill that is over.
fn told(desk: &Desk) -> Report {
    report(desk.over().unwrap(), desk.world())
}

#[test]
fn a_report_tells_the_times_against_what_was_wanted_and_who_went_where() {
    let mut desk = Desk::new(ZONE);
    desk.run(&fail("region:gcp-europe-west3 service:api"));
    desk.count(&[("api", 10)], 10, 0);
    desk.pass(2_500);
    desk.count(&[("api", 17)], 17, 0);
    desk.pass(SECOND);
    // A worker that was late: the last wrong answer was given half a second after the new world was there.
    desk.count(&[("api", 18)], 20, 0);
    desk.pass(2 * SECOND);
    desk.count(&[("api", 18)], 99, 0);
    desk.pass(MINUTE);
    let report = told(&desk);
    assert_eq!((report.detected_ms, report.decided_ms, report.published_ms), (Some(1_000), Some(3_000), Some(3_000)));
    assert_eq!((report.last_answer_ms, report.recovery_ms), (Some(3_500), Some(3_500)));
    assert_eq!((report.aborted, report.played_ms, report.answers, report.wanting), (false, MINUTE, 89, 0));
    let api = &report.told[0];
    assert_eq!((api.service.as_str(), api.rto_ms, api.within_rto), ("api.gslb.example.com", Some(5_000), Some(true)));
    assert_eq!((api.flows[0].from.as_deref(), api.flows[0].to.as_deref()), (Some("gcp-europe-west3"), Some("aws-eu-west-1")));
    assert_eq!(api.moved_basis_points, api.flows.iter().map(|flow| flow.clients_basis_points).sum::<u64>());
    assert!(api.rtt_us[1] > api.rtt_us[0] && api.rtt_us[2] == api.rtt_us[0], "{:?}", api.rtt_us);
    // Without a pre-roll, who asked just before the start has the steady TTL of 30 s.
    assert_eq!((api.cache_tail_ms, report.cache_tail_ms), (Some(30_000), Some(30_000)));
    let markdown = report.to_string();
    for line in [
        "# Drill 1: fail region:gcp-europe-west3 service:api",
        "| **recovery: the last wrong answer, at the latest** | 3.50 s |",
        "Recovery 3.50 s: within its rto of 5.00 s.",
        "| gcp-europe-west3 | aws-eu-west-1 | ",
    ] {
        assert!(markdown.contains(line), "{line}\n{markdown}");
    }
    let json = serde_json::to_string(&report).unwrap();
    assert_eq!(serde_json::from_str::<Report>(&json).unwrap(), report);
}

#[test]
fn after_is_once_all_has_ramped_up() {
    let mut desk = Desk::new(ZONE);
    desk.run(&fail("region:gcp-europe-west3 service:shop"));
    desk.pass(MINUTE + 100);
    assert!(desk.over().is_some() && desk.status("shop", "gcp-europe-west3").ramp < Permille::WHOLE, "{:?}", desk.status("shop", "gcp-europe-west3"));
    let shop = &told(&desk).told[0];
    assert!(shop.rtt_us[1] > shop.rtt_us[0] && shop.rtt_us[2] == shop.rtt_us[0], "{:?}", shop.rtt_us);
}

#[test]
fn loads_that_endpoints_tell_stand_in_the_report_as_they_were_before_and_at_the_end() {
    let mut desk = Desk::new(ZONE);
    desk.load("api", "gcp-europe-west3", 600);
    desk.run(&fail("region:gcp-europe-west3 service:api"));
    desk.pass(MINUTE / 2);
    desk.load("api", "gcp-europe-west3", 0);
    desk.load("api", "aws-eu-west-1", 550);
    desk.pass(MINUTE);
    let report = told(&desk);
    let loads: Vec<_> = report.told[0].told_loads.iter().map(|row| (row.endpoint.as_str(), row.before_rps, row.end_rps)).collect();
    assert_eq!(loads, [("aws-eu-west-1", None, Some(550)), ("gcp-europe-west3", Some(600), Some(0))]);
    assert!(report.to_string().contains("| aws-eu-west-1 | – | 550 |\n| gcp-europe-west3 | 600 | 0 |"), "{report}");
}

#[test]
fn with_a_pre_roll_the_cache_tail_is_the_moving_ttl_after_the_last_wrong_answer() {
    let mut desk = Desk::new(ZONE);
    let mut run = fail("region:gcp-europe-west3 service:api");
    run.pre_roll_ms = None;
    desk.run(&run);
    desk.pass(31 * SECOND + MINUTE);
    let report = told(&desk);
    assert_eq!((report.recovery_ms, report.cache_tail_ms), (Some(3_000), Some(8_000)));
    assert_eq!(report.last_answer_ms, None);
    assert!(report.to_string().contains("No worker was seen to name one of them"));
}

#[test]
fn a_service_that_is_too_slow_to_recover_has_missed_its_rto() {
    let mut desk = Desk::new(&ZONE.replace("rto = \"5s\"", "rto = \"2s\""));
    desk.run(&fail("region:gcp-europe-west3 service:api"));
    desk.pass(MINUTE);
    let report = told(&desk);
    assert_eq!(report.told[0].within_rto, Some(false));
    assert!(report.to_string().contains("MISSED its rto of 2.00 s"));
}

#[test]
fn a_drill_that_never_took_clients_away_has_no_recovery_and_one_that_never_began_no_times() {
    let mut desk = Desk::new(ZONE);
    desk.run(&play("region:gcp-europe-west3 service:api", Plays::Slow(100)));
    desk.pass(MINUTE);
    let report = told(&desk);
    assert_eq!((report.detected_ms, report.recovery_ms, report.told[0].within_rto, report.told[0].moved_basis_points), (None, None, None, 0));
    let mut desk = Desk::new(ZONE);
    let mut run = fail("region:gcp-europe-west3 service:api");
    run.pre_roll_ms = Some(MINUTE);
    desk.run(&run);
    desk.abort();
    let report = told(&desk);
    assert_eq!((report.started, report.aborted, report.cache_tail_ms), (None, true, None));
}

#[test]
fn a_drill_goes_on_in_the_next_process_which_finishes_its_report() {
    let mut first = Desk::new(ZONE);
    let started = first.now;
    first.run(&fail("region:gcp-europe-west3 service:api"));
    first.pass(10 * SECOND);
    let mut second = first.restarted(ZONE);
    assert_eq!(second.answer("api", GERMAN).0, "aws-eu-west-1", "the first answer after the restart is that of the drill");
    second.pass(MINUTE - 10 * SECOND);
    assert_eq!(second.ceased(), "its time was over");
    assert_eq!(second.answer("api", GERMAN).0, "gcp-europe-west3");
    let report = told(&second);
    assert_eq!((report.restarts, report.reckoned_before, report.started_unix_ms), (1, true, Some(started.0)));
    assert_eq!((report.detected_ms, report.recovery_ms), (Some(1_000), Some(3_000)), "what the process before measured");
    assert!(report.told[0].moved_basis_points > 0);
    assert!(first.over().is_none());
}

#[test]
fn a_drill_whose_end_nobody_saw_is_ended_and_reported_by_the_process_that_finds_it() {
    let mut first = Desk::new(ZONE);
    first.run(&fail("region:gcp-europe-west3 service:api"));
    first.pass(10 * SECOND);
    first.now = Moment(first.now.0 + 10 * MINUTE);
    let second = first.restarted(ZONE);
    assert_eq!((second.ceased().as_str(), second.world().drill.is_none()), ("its time was over", true));
    assert_eq!(second.answer("api", GERMAN).0, "gcp-europe-west3");
    assert_eq!(told(&second).recovery_ms, Some(3_000));
}

#[test]
fn what_a_lossy_endpoint_is_given_after_it_came_back_is_no_wrong_answer() {
    let marks_of = |share| {
        let mut desk = Desk::new(ZONE);
        desk.run(&play("region:gcp-europe-west3 service:api", Plays::Lossy(share)));
        let mut counted = 0;
        for _ in 0..59 {
            desk.pass(SECOND);
            counted += u64::from(desk.answer("api", GERMAN).0 == "gcp-europe-west3");
            desk.count(&[("api", counted)], counted, 0);
        }
        desk.pass(2 * SECOND);
        desk.over().unwrap().under_way.record.all
    };
    // Some share has it go and come back within the minute.
    let marks = [400, 450, 500, 550].map(|share| marks_of(Permille(share)));
    let marks = marks.iter().find(|marks| marks.again.is_some()).unwrap();
    assert!(marks.published.unwrap() < marks.again.unwrap(), "{marks:?}");
    assert!(marks.recovered().unwrap() < marks.again.unwrap(), "{marks:?}");
}

#[test]
fn a_lossy_drill_whose_failures_come_by_chance_is_held_to_no_rto() {
    let mut desk = Desk::new(ZONE);
    desk.run(&play("region:gcp-europe-west3 service:api", Plays::Lossy(Permille(200))));
    desk.pass(MINUTE);
    let report = told(&desk);
    assert_eq!((report.told[0].rto_ms, report.told[0].within_rto), (Some(5_000), None), "{report}");
    assert!(!report.to_string().contains("MISSED"), "{report}");
}
