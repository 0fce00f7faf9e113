//! Who is moved at will by other files, and who is not: what endpoints are going through meanwhile makes no move of its own, and hides none.

use std::net::IpAddr;
use std::sync::Arc;

use aya_gslb::catalog::{ProbeHost, ProbeId};
use aya_gslb::control::drills::{self, Plays};
use aya_gslb::control::overrides::{Overrides, Unsafe};
use aya_gslb::control::{Event, FailbackState, Refused, State};
use aya_gslb::health::{Health, Observation, ProbeFailure, ProbeOutcome};
use aya_gslb::units::{Micros, Permille};

use crate::desk::{Desk, run};
use crate::failback::DATABASE;
use crate::reload::held;
use crate::small::{AMERICAN, GERMAN, MINUTE, START, two_countries};

const LIMITED: &str = "[safety]\nmax-moved = \"30 %\"\nper = \"1min\"\n";
const ANYTHING: &str = "[safety]\nmax-moved = \"100 %\"\nper = \"1min\"\n";

/// A shop that is probed every second. Germans, half of its clients, go to Frankfurt, else to Ireland.
const PROBED: &str = concat!(
    two_countries!(),
    r#"[service.shop]
damping = "off"
ramp = "0s"
peak = "1000 rps"
probe.tcp = { port = 80, interval = "1s", timeout = "500ms", fall = 3, rise = 3 }
[service.shop.endpoint.aws-eu-west-1]
a = ["192.0.2.11"]
capacity = "9000 rps"
[service.shop.endpoint.gcp-europe-west3]
a = ["192.0.2.12"]
capacity = "9000 rps"
[service.shop.endpoint.aws-us-east-1]
a = ["192.0.2.13"]
capacity = "9000 rps"
"#
);

fn without_frankfurt(toml: &str) -> String {
    toml.replace("a = [\"192.0.2.12\"]\n", "a = [\"192.0.2.12\"]\nweight = 0\n")
}

/// The probed shop after some seconds; what these hosts' probes ask is down.
fn probed(zone: &str, dead: &[&str]) -> Desk {
    let mut desk = Desk::new(zone);
    desk.probe(&[], 3);
    desk.probe(dead, 5);
    desk
}

impl Desk {
    /// Probes everything every second; these hosts do not answer.
    fn probe(&mut self, dead: &[&str], seconds: u64) {
        for _ in 0..seconds {
            self.now = self.now.plus_millis(1_000);
            let plan = self.controller.plan();
            let asked = plan.catalog.probes.iter().zip((0..).map(ProbeId));
            let events: Vec<Event> = asked
                .map(|(spec, probe)| {
                    let is_dead = dead.iter().any(|host| spec.target.host == ProbeHost::from(host.parse::<IpAddr>().unwrap()));
                    let outcome = if is_dead { ProbeOutcome::Failed(ProbeFailure::TimedOut) } else { ProbeOutcome::Passed };
                    let observation = Observation { at: self.now, outcome, rtt: Micros::from_millis(20), expires: None, drill: false };
                    Event::Observed { epoch: plan.epoch, probe, observation }
                })
                .chain([Event::Tick])
                .collect();
            self.controller.handle_all(events, self.now);
        }
    }

    /// Begins a drill with Frankfurt at once.
    fn drill(&mut self, plays: Plays) {
        let wish = drills::Wish::Run(run("service:shop region:gcp-*", plays));
        let proposal = drills::propose(self.world(), self.controller.drills(), &Overrides::default(), &[], &wish, self.now).unwrap();
        self.controller.handle(Event::Drilled { drills: Arc::new(proposal.next) }, self.now);
    }
}

/// The database whose first tier was left.
fn latched() -> Desk {
    let mut desk = Desk::new(&format!("{DATABASE}{LIMITED}"));
    let failback = FailbackState { service: "db.gslb.example.com".into(), latched: vec!["gcp-europe-west3".into()], others: vec!["aws-eu-west-1".into()] };
    desk.controller.handle(Event::Restored(State { saved: START.0, failback: vec![failback], ..State::default() }), desk.now);
    desk.pass(1_000);
    assert_eq!(desk.answer("db", GERMAN).0, "aws-eu-west-1");
    desk
}

#[test]
fn files_that_help_clients_of_what_is_down_are_never_held() {
    let zone = format!("{PROBED}{LIMITED}");
    let mut desk = probed(&zone, &["192.0.2.11", "192.0.2.12", "192.0.2.13"]);
    assert_eq!(desk.status("shop", "gcp-europe-west3").health, Health::Down);
    let more = zone.clone() + "[service.shop.endpoint.aws-eu-central-1]\na = [\"192.0.2.19\"]\n";
    assert_eq!(desk.reload(&more), None);
    assert_eq!((desk.moved(), desk.answer("shop", GERMAN).0), (None, "aws-eu-central-1".into()));
}

#[test]
fn an_endpoint_that_is_mended_takes_its_clients_back() {
    let zone = format!("{PROBED}{LIMITED}");
    let mut desk = probed(&zone, &["192.0.2.12"]);
    assert_eq!(desk.answer("shop", GERMAN).0, "aws-eu-west-1");
    assert_eq!(desk.reload(&zone.replace("192.0.2.12", "192.0.2.112")), None);
    desk.probe(&[], 5);
    assert_eq!((desk.moved(), desk.answer("shop", GERMAN).0), (None, "gcp-europe-west3".into()));
}

#[test]
fn a_drill_hides_nothing_that_files_change_behind_it() {
    let zone = format!("{PROBED}{ANYTHING}");
    for plays in [Plays::Fail, Plays::Drain] {
        let mut desk = probed(&zone, &[]);
        desk.drill(plays);
        desk.probe(&[], 70);
        assert_eq!(desk.answer("shop", GERMAN).0, "aws-eu-west-1", "{plays:?}");
        assert_eq!(desk.reload(&without_frankfurt(&zone)), None);
        assert_eq!(desk.moved(), Some(500), "they do not return when the drill is over: {plays:?}");
    }
}

#[test]
fn a_tier_that_files_release_counts_and_one_that_they_widen_does_not() {
    let mut desk = latched();
    let auto = format!("{DATABASE}{LIMITED}").replace("failback = \"manual\"\n", "");
    assert!(matches!(held(desk.reload(&auto)), Unsafe::TooMuchMoved { would: Permille(500), .. }));
    let wider = format!("{DATABASE}{LIMITED}").replacen("[[\"gcp-europe-west3\"]", "[[\"gcp-europe-west3\", \"aws-eu-central-1\"]", 1);
    let wider = wider + "[service.db.endpoint.aws-eu-central-1]\na = [\"192.0.2.3\"]\n";
    assert_eq!(desk.reload(&wider), None);
    desk.pass(1_000);
    assert_eq!((desk.moved(), desk.answer("db", AMERICAN).0), (None, "aws-eu-west-1".into()));
}

#[test]
fn what_needs_a_service_that_is_down_loses_its_clients_by_the_file_that_says_so() {
    let needed =
        "[service.db]\nprobe.tcp = { port = 81, interval = \"1s\", timeout = \"500ms\" }\n[service.db.endpoint.gcp-europe-west3]\na = [\"192.0.2.77\"]\n";
    let zone = format!("{PROBED}{LIMITED}{needed}");
    let needing = zone.replace("a = [\"192.0.2.12\"]\n", "a = [\"192.0.2.12\"]\ndepends-on = [\"db\"]\n");
    let mut desk = probed(&zone, &["192.0.2.77"]);
    assert_eq!(desk.reload(&needing), None);
    assert_eq!((desk.moved(), desk.answer("shop", GERMAN).0), (Some(250), "aws-eu-west-1".into()));
    desk.pass(MINUTE);
    // And the file that says it no more gives them back, which is a move of its own.
    assert_eq!(desk.reload(&(zone.clone() + "[service.other.endpoint.aws-eu-west-1]\na = [\"192.0.2.78\"]\n")), None);
    assert_eq!((desk.controller.moves().len(), desk.answer("shop", GERMAN).0), (2, "gcp-europe-west3".into()));
}

#[test]
fn a_demand_that_nobody_declares_any_more_lets_clients_back() {
    let zone = format!("{PROBED}{ANYTHING}").replace("a = [\"192.0.2.12\"]\ncapacity = \"9000 rps\"", "a = [\"192.0.2.12\"]\ncapacity = \"50 rps\"");
    let mut desk = probed(&zone, &[]);
    assert_eq!(desk.reload(&zone.replace("peak = \"1000 rps\"\n", "")), None);
    assert!(desk.moved().is_some_and(|moved| (430..470).contains(&moved)), "{:?}", desk.moved());
}

#[test]
fn an_endpoint_that_has_no_addresses_is_replaced_without_waiting() {
    let zone = format!("{PROBED}{LIMITED}").replace("a = [\"192.0.2.12\"]", "alias = \"lb.example.net\"");
    let mut desk = probed(&zone, &[]);
    assert_eq!(desk.answer("shop", GERMAN).0, "aws-eu-west-1", "the alias is not resolved");
    let without = zone.replace("alias = \"lb.example.net\"", "alias = \"lb.example.net\"\nweight = 0");
    let without = without + "[service.shop.endpoint.gcp-europe-west4]\na = [\"192.0.2.12\"]\n";
    assert_eq!((desk.reload(&without), desk.moved()), (None, None));
}

#[test]
fn a_capacity_that_is_taken_away_moves_clients() {
    let zone = format!("{PROBED}{ANYTHING}");
    let mut desk = probed(&zone, &[]);
    let smaller = zone.replace("a = [\"192.0.2.12\"]\ncapacity = \"9000 rps\"", "a = [\"192.0.2.12\"]\ncapacity = \"50 rps\"");
    assert_eq!(desk.reload(&smaller), None);
    let moved = desk.moved().unwrap();
    desk.probe(&[], 5);
    let left = (0..=255u8).filter(|number| desk.answer("shop", [20, *number, 7, 0]).0 == "gcp-europe-west3").count();
    assert!((430..470).contains(&moved) && left < 40, "{moved} of a thousand moved, {left} of 256 Germans are left");
}

#[test]
fn of_families_that_are_decided_apart_the_one_that_moves_more_counts() {
    let separate = format!("{PROBED}{ANYTHING}").replace("[service.shop]\n", "[service.shop]\nfamilies = \"separate\"\n");
    let both = separate.replace("12\"]", "12\"]\naaaa = [\"2001:db8::12\"]").replace("11\"]", "11\"]\naaaa = [\"2001:db8::11\"]");
    let mut desk = probed(&both, &[]);
    assert_eq!(desk.reload(&both.replace("\naaaa = [\"2001:db8::12\"]", "")), None);
    assert!(desk.moved().is_some_and(|moved| moved >= 500), "{:?}", desk.moved());
}

#[test]
fn what_is_measured_no_more_takes_its_clients_back_by_the_file_that_says_so() {
    let zone = format!("{PROBED}{ANYTHING}");
    let mut desk = probed(&zone, &["192.0.2.12"]);
    let blind = zone.replace("probe.tcp = { port = 80, interval = \"1s\", timeout = \"500ms\", fall = 3, rise = 3 }\n", "probe = []\n");
    assert_eq!(desk.reload(&blind), None);
    assert_eq!((desk.moved(), desk.answer("shop", GERMAN).0), (Some(500), "gcp-europe-west3".into()));
}

#[test]
fn regions_that_are_down_are_none_of_those_that_are_kept() {
    let zone = format!("{PROBED}[safety]\nmin-regions = 2\n");
    let without = |toml: &str, region: &str| {
        toml.replace(&format!("[service.shop.endpoint.{region}]\n"), &format!("[service.shop.endpoint.{region}]\nregion = \"aws-eu-west-1\"\n"))
    };
    // Frankfurt is down: to give it up leaves as many as there were, to give up Virginia leaves one.
    let mut desk = probed(&zone, &["192.0.2.12"]);
    assert_eq!(desk.reload(&without(&zone, "aws-us-east-1")), Some(Refused::LeavesFewRegions { service: "shop.gslb.example.com".into(), left: 1, least: 2 }));
    let looser = without(&zone, "aws-us-east-1").replace("min-regions = 2", "min-regions = 1");
    assert!(desk.reload(&looser).is_some(), "a rule is loosened by a reload of its own");
    assert_eq!(desk.reload(&without(&zone, "gcp-europe-west3")), None);
}
