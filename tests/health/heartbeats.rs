//! Heartbeats, and what their absence means.

use std::sync::Arc;

use aya_gslb::catalog::{Catalog, EndpointId, ProbeId};
use aya_gslb::config;
use aya_gslb::control::{Controller, Effects, EndpointName, Event, Heartbeat};
use aya_gslb::geo::Geo;
use aya_gslb::health::{Health, ProbeFailure, ProbeOutcome, ProbeWarning};
use aya_gslb::schedule::Schedule;

use crate::small::START;

/// `api` tells of itself every ten seconds; what `web` depends on does.
const ZONE: &str = r#"
zone = "example.com"
[ns]
ns1 = ["192.0.2.53"]
ns2 = ["198.51.100.53"]
[probe.beat.push]
expect-every = "10s"
[service.api]
probe = "beat"
damping = "off"
ramp = "0s"
[service.api.endpoint]
aws-eu-west-1 = { cname = "api.example.net." }
aws-us-east-1 = { cname = "api.example.org." }
"#;

fn catalog(text: &str) -> Arc<Catalog> {
    let source = config::SourceFile { name: "zone.toml".into(), text: text.into() };
    Arc::new(config::compile(vec![source], &|_, _| Err("none".into())).unwrap_or_else(|failure| panic!("{failure:?}")).catalog)
}

struct Node(Controller);

impl Node {
    fn new(text: &str) -> Self {
        let catalog = catalog(text);
        let geo = Arc::new(Geo::without_databases(&catalog));
        Self(Controller::new(catalog, geo, START))
    }

    /// The endpoint in Ireland tells this, after so many seconds.
    fn hear(&mut self, seconds: u64, outcome: ProbeOutcome, next_ms: Option<u64>) -> Effects {
        let at = START.plus_millis(seconds * 1_000);
        let endpoint = EndpointName { zone: "example.com".into(), service: "api.example.com".into(), endpoint: "aws-eu-west-1".into() };
        self.0.handle(Event::Heard(Heartbeat { endpoint, outcome, next_ms, at }), at)
    }

    /// The controller looks at its clock, every quarter of a second until then.
    fn wait(&mut self, from: u64, to: u64) -> Vec<(u64, Health)> {
        let mut changes = Vec::new();
        for quarter in from * 4..=to * 4 {
            let effects = self.0.handle(Event::Tick, START.plus_millis(quarter * 250));
            changes.extend(effects.changes.iter().filter(|change| &*change.endpoint.endpoint == "aws-eu-west-1").map(|change| (quarter / 4, change.to)));
        }
        changes
    }

    fn health(&self) -> Health {
        self.0.world().status(EndpointId(0)).health
    }
}

#[test]
fn the_first_heartbeat_decides_and_silence_counts_towards_fall() {
    let mut node = Node::new(ZONE);
    assert_eq!(node.hear(1, ProbeOutcome::Passed, None).changes.len(), 1);
    assert_eq!(node.health(), Health::Up);
    assert_eq!(node.wait(1, 30), [], "two heartbeats are missing");
    assert!(node.0.world().status(EndpointId(0)).moving);
    assert_eq!(node.wait(30, 40), [(31, Health::Down)]);
    assert_eq!(node.0.tracker(ProbeId(0)).last().unwrap().0, &ProbeOutcome::Failed(ProbeFailure::Missed));
}

#[test]
fn heartbeats_that_come_in_time_keep_it_up_and_rise_brings_it_back() {
    let mut node = Node::new(ZONE);
    for beat in 0..50 {
        node.hear(beat * 9, ProbeOutcome::Passed, None);
        assert_eq!(node.wait(beat * 9, beat * 9 + 9).into_iter().filter(|(_, to)| *to != Health::Up).count(), 0);
    }
    assert_eq!(node.wait(450, 500), [(471, Health::Down)]);
    for (second, health) in [(500, Health::Down), (505, Health::Down), (510, Health::Up)] {
        node.hear(second, ProbeOutcome::Passed, None);
        assert_eq!(node.health(), health, "{second}");
    }
}

#[test]
fn what_was_never_heard_is_down_when_others_would_be() {
    let mut node = Node::new(ZONE);
    assert_eq!(node.wait(0, 29), []);
    assert_eq!(node.wait(29, 60), [(30, Health::Down)]);
}

#[test]
fn a_heartbeat_may_say_when_the_next_one_comes() {
    let mut node = Node::new(ZONE);
    node.hear(0, ProbeOutcome::Passed, Some(120_000));
    assert_eq!(node.wait(0, 139), []);
    assert_eq!(node.wait(139, 160), [(140, Health::Down)]);
}

#[test]
fn an_endpoint_may_say_that_it_is_down_or_degraded_and_why() {
    let mut node = Node::new(ZONE);
    node.hear(0, ProbeOutcome::Passed, None);
    let degraded = || ProbeOutcome::Warned(ProbeWarning::Said("queue of 90".into()));
    for second in 1..=3 {
        node.hear(second, degraded(), None);
    }
    assert_eq!(node.health(), Health::Degraded);
    let mut told = Vec::new();
    for second in 4..=6 {
        told.extend(node.hear(second, ProbeOutcome::Failed(ProbeFailure::Said("out of memory".into())), None).changes);
    }
    assert_eq!(
        told[0].to_string(),
        "api.example.com/aws-eu-west-1: degraded → down (push api.example.com/aws-eu-west-1: it says that it is down: out of memory, 3 in a row)"
    );
}

#[test]
fn heartbeats_survive_a_reload_and_are_nobodys_turn() {
    let mut node = Node::new(ZONE);
    node.hear(0, ProbeOutcome::Passed, Some(60_000));
    let (catalog, now) = (catalog(&ZONE.replace("ramp = \"0s\"", "ramp = \"1s\"")), START.plus_millis(5_000));
    let geo = Arc::new(Geo::without_databases(&catalog));
    assert!(node.0.handle(Event::Reloaded { catalog, geo, allow_shrink: false }, now).refusal.is_none());
    assert_eq!(node.health(), Health::Up);
    assert_eq!(node.wait(5, 79), [], "it was told of a minute");
    assert_eq!(node.wait(79, 100), [(80, Health::Down)]);
    let mut schedule = Schedule::new(1, 8);
    schedule.replan(&node.0.plan(), now);
    assert!(schedule.start(now).is_none() && schedule.wake().is_none(), "nobody is asked");
}

#[test]
fn a_node_that_stood_still_counts_the_silence_once() {
    let mut node = Node::new(ZONE);
    node.hear(0, ProbeOutcome::Passed, None);
    assert_eq!(node.wait(3_600, 3_600), []);
    assert_eq!(node.0.tracker(ProbeId(0)).evidence().failed, 1);
}

#[test]
fn a_heartbeat_of_nobody_is_dropped() {
    let mut node = Node::new(ZONE);
    let endpoint = EndpointName { zone: "example.com".into(), service: "api.example.com".into(), endpoint: "mars".into() };
    let effects = node.0.handle(Event::Heard(Heartbeat { endpoint, outcome: ProbeOutcome::Passed, next_ms: None, at: START }), START);
    assert_eq!(effects.dropped, 1);
}
