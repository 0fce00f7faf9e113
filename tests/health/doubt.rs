//! Self-doubt: only when every reference is silent and targets in several clouds are, and not a moment longer.

use std::sync::Arc;

use aya_gslb::catalog::{Catalog, ProbeId};
use aya_gslb::config;
use aya_gslb::control::{Controller, Effects, Event};
use aya_gslb::geo::Geo;
use aya_gslb::health::{Health, Observation, ProbeFailure};
use aya_gslb::units::Moment;

use crate::small::{START, failed, passed, refused};

/// Five targets in two clouds.
const ZONE: &str = r#"
zone = "example.com"
[ns]
ns1 = ["192.0.2.53"]
ns2 = ["198.51.100.53"]
[service.api]
probe.tcp = { port = 443 }
[service.api.endpoint]
aws-eu-west-1 = { a = ["192.0.2.11"] }
aws-us-east-1 = { a = ["192.0.2.12"] }
aws-us-west-2 = { a = ["192.0.2.13"] }
gcp-europe-west3 = { a = ["192.0.2.14"] }
gcp-us-central1 = { a = ["192.0.2.15"] }
"#;
const VANTAGE: &str = "[vantage]\nreference = [\"198.51.100.1:53\", \"198.51.100.2:53\"]\n";
const TARGETS: [&str; 5] = ["192.0.2.11", "192.0.2.12", "192.0.2.13", "192.0.2.14", "192.0.2.15"];
const REFERENCES: [&str; 2] = ["198.51.100.1", "198.51.100.2"];

struct Node {
    controller: Controller,
    now: Moment,
}

fn silent(at: Moment) -> Observation {
    failed(at, ProbeFailure::TimedOut)
}

impl Node {
    fn new(text: &str) -> Self {
        let source = config::SourceFile { name: "zone.toml".into(), text: text.into() };
        let catalog: Arc<Catalog> = Arc::new(config::compile(vec![source], &|_, _| Err("none".into())).unwrap().catalog);
        let geo = Arc::new(Geo::without_databases(&catalog));
        let mut node = Self { controller: Controller::new(catalog, geo, START), now: START };
        for target in TARGETS.into_iter().chain(REFERENCES) {
            node.find(target, passed);
        }
        node
    }

    /// With references, and all that is configured up.
    fn with_references() -> Self {
        Self::new(&format!("{ZONE}{VANTAGE}"))
    }

    /// A probe of this address finds something, 100 ms after what was before. Nothing happens where nobody asks it.
    fn find(&mut self, address: &str, make: impl Fn(Moment) -> Observation) -> Effects {
        self.now = self.now.plus_millis(100);
        let probes = &self.controller.world().catalog.probes;
        let Some(probe) = probes.iter().position(|spec| spec.target.to_string().split(':').next() == Some(address)) else { return Effects::default() };
        let event = Event::Observed { epoch: self.controller.plan().epoch, probe: ProbeId(u32::try_from(probe).unwrap()), observation: make(self.now) };
        self.controller.handle(event, self.now)
    }

    /// Every target of these finds it, so many times over.
    fn rounds(&mut self, rounds: usize, addresses: &[&str], make: impl Fn(Moment) -> Observation + Copy) {
        for _ in 0..rounds {
            for address in addresses {
                self.find(address, make);
            }
        }
    }

    fn down(&self) -> usize {
        self.controller.world().statuses.of.iter().filter(|status| status.health == Health::Down).count()
    }

    fn doubts(&self) -> bool {
        let statuses = &self.controller.world().statuses;
        assert!(!statuses.doubting || statuses.stale, "and answers say that they are stale");
        statuses.doubting
    }
}

#[test]
fn a_node_that_lost_its_network_holds_what_it_knew_and_says_so() {
    let mut node = Node::with_references();
    node.rounds(1, &REFERENCES, silent);
    node.rounds(1, &TARGETS[..3], silent);
    assert!(!node.doubts());
    let effects = node.find(TARGETS[3], silent);
    assert_eq!((effects.doubt, node.doubts()), (Some(true), true), "four targets in two clouds");
    for _ in 0..10 {
        node.rounds(1, &REFERENCES, silent);
        node.rounds(1, &TARGETS, silent);
    }
    assert_eq!((node.down(), node.doubts()), (0, true));
}

#[test]
fn judgement_resumes_at_once_when_a_reference_answers_even_by_refusing() {
    for answer in [passed, refused] {
        let mut node = Node::with_references();
        for _ in 0..5 {
            node.rounds(1, &REFERENCES, silent);
            node.rounds(1, &TARGETS, silent);
        }
        assert!(node.doubts());
        assert_eq!(node.find(REFERENCES[0], answer).doubt, Some(false));
        assert!(!node.doubts());
        node.rounds(3, &TARGETS, silent);
        assert_eq!(node.down(), 5, "what is silent now is down");
    }
}

#[test]
fn without_references_a_node_never_doubts_itself() {
    let mut node = Node::new(ZONE);
    node.rounds(3, &TARGETS, silent);
    assert_eq!((node.down(), node.doubts()), (5, false));
}

#[test]
fn one_reference_that_answers_is_enough_to_judge() {
    let mut node = Node::with_references();
    node.rounds(1, &REFERENCES[..1], silent);
    node.rounds(3, &TARGETS, silent);
    assert_eq!((node.down(), node.doubts()), (5, false));
}

#[test]
fn three_targets_or_one_cloud_are_no_reason() {
    for targets in [&TARGETS[..3], &TARGETS[2..]] {
        let mut node = Node::with_references();
        for _ in 0..3 {
            node.rounds(1, &REFERENCES, silent);
            node.rounds(1, targets, silent);
        }
        assert_eq!((node.down(), node.doubts()), (3, false));
    }
}

#[test]
fn what_refuses_breaks_or_answers_500_has_answered() {
    let failures = [ProbeFailure::Refused, ProbeFailure::Broken, ProbeFailure::Status(503), ProbeFailure::Tls("expired".into())];
    for failure in failures {
        let mut node = Node::with_references();
        node.rounds(1, &REFERENCES, silent);
        for _ in 0..3 {
            for target in TARGETS {
                node.find(target, |at| failed(at, failure.clone()));
            }
            node.rounds(1, &REFERENCES, silent);
        }
        assert_eq!((node.down(), node.doubts()), (5, false), "{failure}");
    }
}

#[test]
fn unreachable_is_silence_too() {
    let mut node = Node::with_references();
    for _ in 0..4 {
        node.rounds(1, &REFERENCES, |at| failed(at, ProbeFailure::Unreachable));
        node.rounds(1, &TARGETS, |at| failed(at, ProbeFailure::Unreachable));
    }
    assert_eq!((node.down(), node.doubts()), (0, true));
}

#[test]
fn failures_made_by_a_drill_never_count() {
    let mut node = Node::with_references();
    for _ in 0..3 {
        node.rounds(1, &REFERENCES, silent);
        node.rounds(1, &TARGETS, |at| Observation { drill: true, ..silent(at) });
    }
    assert_eq!((node.down(), node.doubts()), (5, false));
}

#[test]
fn silence_of_long_ago_is_no_reason() {
    let mut node = Node::with_references();
    node.rounds(1, &TARGETS, silent);
    node.now = node.now.plus_millis(8_000);
    node.rounds(1, &REFERENCES, silent);
    assert!(!node.doubts(), "not within one interval");
}

#[test]
fn references_judge_nobody_and_a_reload_keeps_the_doubt() {
    let mut node = Node::with_references();
    for _ in 0..2 {
        node.rounds(1, &REFERENCES, silent);
        node.rounds(1, &TARGETS, silent);
    }
    let world = Arc::clone(node.controller.world());
    let reloaded = Event::Reloaded { catalog: Arc::clone(&world.catalog), geo: Arc::clone(&world.geo), allow_shrink: false };
    let effects = node.controller.handle(reloaded, node.now);
    assert_eq!((effects.doubt, node.doubts(), node.down()), (None, true, 0));
}
