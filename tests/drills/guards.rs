//! What ends a drill before its time.

use aya_gslb::control::Event;
use aya_gslb::control::drills::{Guard, Plays};
use aya_gslb::health::Health;

use crate::desk::{Desk, ZONE, fail, play};
use crate::small::{GERMAN, MINUTE, SECOND};

#[test]
fn something_that_really_goes_down_ends_the_drill_in_the_same_event() {
    let mut desk = Desk::new(ZONE);
    desk.run(&fail("service:shop region:gcp-europe-west3"));
    desk.pass(5 * SECOND);
    desk.dead.insert(1);
    desk.pass(2 * SECOND);
    assert!(desk.over().is_none(), "two failures are none");
    desk.pass(SECOND);
    assert!(desk.ceased().starts_with("aborted by its guard `incident`: ") && desk.ceased().contains("aws-eu-west-1 is really down"), "{}", desk.ceased());
    assert_eq!((desk.status("shop", "gcp-europe-west3").health, desk.status("shop", "aws-eu-west-1").health), (Health::Up, Health::Down));
    assert_eq!(desk.answer("shop", GERMAN).0, "gcp-europe-west3");
}

#[test]
fn an_announced_drill_is_called_off_by_an_incident_and_so_is_one_whose_own_region_dies() {
    let mut desk = Desk::new(ZONE);
    desk.run(&fail("service:shop region:gcp-europe-west3"));
    desk.dead.insert(2);
    desk.pass(4 * SECOND);
    assert!(desk.ceased().contains("gcp-europe-west3 is really down"), "{}", desk.ceased());
    assert_eq!(desk.status("shop", "gcp-europe-west3").health, Health::Down, "it is, with nobody playing");

    let mut desk = Desk::new(ZONE);
    let mut run = fail("service:shop region:gcp-europe-west3");
    run.pre_roll_ms = Some(MINUTE);
    desk.run(&run);
    desk.dead.insert(3);
    desk.pass(4 * SECOND);
    assert!(desk.ceased().contains("aws-us-east-1 is really down"), "{}", desk.ceased());
    assert!(desk.over().unwrap().under_way.record.started.is_none());
}

#[test]
fn a_guard_that_is_off_ends_nothing() {
    let mut desk = Desk::new(ZONE);
    let mut run = fail("service:shop region:gcp-europe-west3");
    run.without = vec![Guard::Incident];
    desk.run(&run);
    desk.dead.insert(1);
    desk.pass(10 * SECOND);
    assert!(desk.over().is_none() && desk.world().drill.is_some());
}

/// The shop takes 900 requests a second of what three can take 1000 each, and Germany has all of the clients that count.
fn loaded_zone(capacity: u32) -> String {
    let with = |toml: String, address: &str| toml.replace(&format!("a = [\"{address}\"]"), &format!("a = [\"{address}\"]\ncapacity = \"{capacity} rps\""));
    let toml = ZONE.replace("[service.shop]\n", "[service.shop]\npeak = \"900 rps\"\n");
    ["192.0.2.11", "192.0.2.12", "192.0.2.13"].into_iter().fold(toml, with)
}

#[test]
fn a_drill_that_would_leave_no_room_is_refused_and_one_whose_load_outgrows_the_others_is_ended() {
    let desk = Desk::new(&loaded_zone(400));
    let told = desk.refused(&play("service:shop region:gcp-europe-west3", Plays::Drain));
    assert!(told.starts_with("the load of shop.gslb.example.com would be "), "{told}");

    let mut desk = Desk::new(&loaded_zone(1_000));
    desk.run(&play("service:shop region:gcp-europe-west3", Plays::Drain));
    desk.pass(5 * SECOND);
    assert!(desk.over().is_none(), "{}", desk.ceased());
    let report = |endpoint: &str, rps: u64| {
        let endpoint = aya_gslb::control::EndpointName { zone: "gslb.example.com".into(), service: "shop.gslb.example.com".into(), endpoint: endpoint.into() };
        Event::LoadReported(aya_gslb::control::LoadReport { endpoint, rps })
    };
    desk.handle(report("aws-eu-west-1", 1_500));
    desk.handle(report("aws-us-east-1", 1_500));
    desk.pass(SECOND);
    assert!(desk.ceased().starts_with("aborted by its guard `headroom`: the load of shop.gslb.example.com is "), "{}", desk.ceased());
}

#[test]
fn answers_for_want_of_anything_better_end_it_once_there_are_enough_to_tell() {
    let mut desk = Desk::new(ZONE);
    desk.run(&fail("service:shop region:gcp-europe-west3"));
    desk.pass(SECOND);
    desk.count(&[], 1_000, 900);
    desk.pass(SECOND);
    assert!(desk.over().is_none(), "what was before does not count");
    desk.count(&[], 1_040, 940);
    desk.pass(SECOND);
    assert!(desk.over().is_none(), "forty tell nothing");
    desk.count(&[], 2_000, 945);
    desk.pass(SECOND);
    assert!(desk.ceased().starts_with("aborted by its guard `errors`: 4.5 % of the answers"), "{}", desk.ceased());
}

#[test]
fn whoever_aborts_it_has_everything_real_at_once() {
    let mut desk = Desk::new(ZONE);
    desk.run(&fail("service:shop region:gcp-europe-west3"));
    desk.pass(5 * SECOND);
    assert_eq!(desk.answer("shop", GERMAN).0, "aws-eu-west-1");
    desk.abort();
    assert_eq!(desk.answer("shop", GERMAN), ("gcp-europe-west3".to_owned(), false));
    assert_eq!(desk.ceased(), "aborted by bob: enough");
    desk.pass(5 * SECOND);
    assert_eq!(desk.news.len(), 2, "started, and over once");
}

/// A zone with a reference, and four targets in three clouds, each at an address of its own.
fn doubting_zone() -> String {
    let toml = (1..=3).fold(ZONE.to_owned(), |toml, region| toml.replace(&format!("127.0.0.1:{region}"), &format!("127.0.0.{region}:80")));
    let toml = toml.replace("[service.api]\n", "[vantage]\nreference = [\"192.0.2.99:53\"]\n[service.api]\n");
    toml + "[service.shop.endpoint.azure-westeurope]\na = [\"192.0.2.14\"]\nprobe-at = \"127.0.0.4:80\"\n"
}

#[test]
fn failures_of_a_drill_never_make_a_node_doubt_itself_and_one_that_does_ends_its_drill() {
    let mut desk = Desk::new(&doubting_zone());
    let mut run = fail("region:*");
    (run.force, run.without) = (Some(crate::small::words("a test")), vec![Guard::Headroom, Guard::Errors]);
    desk.dead.insert(53);
    desk.pass(5 * SECOND);
    desk.run(&run);
    desk.pass(10 * SECOND);
    assert_eq!(desk.status("shop", "azure-westeurope").health, Health::Down, "all are, by the drill");
    assert!(!desk.world().statuses.doubting && desk.over().is_none(), "{}", desk.ceased());
    desk.dead.insert(80);
    desk.pass(2 * SECOND);
    assert!(desk.world().statuses.doubting, "the same in earnest");
    assert_eq!(desk.ceased(), "aborted by its guard `incident`: this node doubts its own network");
    assert_eq!(desk.status("shop", "azure-westeurope").health, Health::Up, "and holds what it really knew");
}
