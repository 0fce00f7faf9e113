//! What depends on something goes down and comes up with it, in the same event, and says what the root is.

use std::sync::Arc;

use aya_gslb::catalog::{Catalog, EndpointId, ProbeId, ProbeSpec};
use aya_gslb::config;
use aya_gslb::control::{Controller, Effects, Event, Why};
use aya_gslb::explain;
use aya_gslb::geo::Geo;
use aya_gslb::health::{Health, Observation, Status};
use aya_gslb::units::Moment;

use crate::small::{START, passed, refused};

/// `api` needs `auth` and the database of its region, `auth` needs any of two sessions, in two regions.
const ZONE: &str = r#"
zone = "example.com"
[ns]
ns1 = ["192.0.2.53"]
ns2 = ["198.51.100.53"]
[probe.database.tcp]
port = 5432
[service.api]
probe.tcp = { port = 443 }
depends-on = ["auth", "probe:database"]
damping = "off"
ramp = "0s"
[service.api.endpoint]
aws-eu-west-1 = { a = ["192.0.2.11"] }
aws-us-east-1 = { a = ["192.0.2.21"] }
[service.auth]
probe.tcp = { port = 443 }
depends-on = { any = ["session", "spare"] }
[service.auth.endpoint]
aws-eu-west-1 = { a = ["192.0.2.12"] }
aws-us-east-1 = { a = ["192.0.2.22"] }
[service.session]
probe.tcp = { port = 443 }
[service.session.endpoint]
aws-eu-west-1 = { a = ["192.0.2.13"] }
aws-us-east-1 = { a = ["192.0.2.23"] }
[service.spare]
probe.tcp = { port = 443 }
[service.spare.endpoint]
aws-eu-west-1 = { a = ["192.0.2.14"] }
aws-us-east-1 = { a = ["192.0.2.24"] }
"#;

fn catalog(text: &str) -> Arc<Catalog> {
    let source = config::SourceFile { name: "zone.toml".into(), text: text.into() };
    Arc::new(config::compile(vec![source], &|_, _| Err("none".into())).unwrap_or_else(|failure| panic!("{failure:?}")).catalog)
}

/// A controller with everything up, and what it knows the endpoints and probes by.
struct Node {
    controller: Controller,
    seconds: u64,
}

impl Node {
    fn new(text: &str) -> Self {
        let catalog = catalog(text);
        let geo = Arc::new(Geo::without_databases(&catalog));
        let mut node = Self { controller: Controller::new(catalog, geo, START), seconds: 0 };
        for probe in 0..node.catalog().probes.len() {
            node.observe(probe, passed);
        }
        node
    }

    fn catalog(&self) -> Arc<Catalog> {
        Arc::clone(&self.controller.world().catalog)
    }

    fn observe(&mut self, probe: usize, make: fn(Moment) -> Observation) -> Effects {
        let (epoch, now) = (self.controller.plan().epoch, START.plus_millis(self.seconds * 1_000));
        self.seconds += 1;
        let probe = ProbeId(u32::try_from(probe).unwrap());
        self.controller.handle(Event::Observed { epoch, probe, observation: make(now) }, now)
    }

    /// What three observations of the target `address:port` come to: the effects of the last.
    fn thrice(&mut self, target: (&str, u16), make: fn(Moment) -> Observation) -> Effects {
        let is_it = |spec: &ProbeSpec| spec.target.to_string() == format!("{}:{}", target.0, target.1);
        let probe = self.catalog().probes.iter().position(is_it).unwrap();
        self.observe(probe, make);
        self.observe(probe, make);
        self.observe(probe, make)
    }

    fn endpoint(&self, name: &str) -> EndpointId {
        let (service, endpoint) = name.split_once('/').unwrap();
        let catalog = self.catalog();
        let place = catalog.endpoints.iter().position(|other| *other.name == *endpoint && *catalog.service(other.service).label == *service);
        EndpointId(u32::try_from(place.unwrap()).unwrap())
    }

    fn status(&self, name: &str) -> Status {
        *self.controller.world().status(self.endpoint(name))
    }
}

fn told(effects: &Effects) -> Vec<String> {
    effects.changes.iter().map(ToString::to_string).collect()
}

#[test]
fn what_depends_on_a_root_goes_down_with_it_in_the_same_event_through_several_levels() {
    let mut node = Node::new(ZONE);
    node.thrice(("192.0.2.14", 443), refused);
    assert!(!node.status("auth/aws-eu-west-1").blocked, "any of two is enough");
    let effects = node.thrice(("192.0.2.13", 443), refused);
    let root = "session.example.com/aws-eu-west-1";
    assert_eq!(
        told(&effects),
        [
            format!("{root}: up → down (tcp 192.0.2.13:443: connection refused, 3 in a row)"),
            format!("auth.example.com/aws-eu-west-1: up → down (it depends on {root}, which is down)"),
            format!("api.example.com/aws-eu-west-1: up → down (it depends on {root}, which is down)"),
        ]
    );
    assert_eq!(effects.changes[2].why, Why::DependsOn { root: root.into() });
    let status = node.status("api/aws-eu-west-1");
    assert_eq!((status.health, status.published(), status.blocked), (Health::Up, Health::Down, true), "what was measured stays what it was");
    assert!(!node.status("api/aws-us-east-1").blocked, "another region has its own");

    let effects = node.thrice(("192.0.2.14", 443), passed);
    let back: Vec<_> = effects.changes.iter().map(|change| (&*change.endpoint.service, change.to)).collect();
    assert_eq!(back, [("spare.example.com", Health::Up), ("auth.example.com", Health::Up), ("api.example.com", Health::Up)]);
    assert_eq!(effects.changes[2].why, Why::Unblocked);
    assert!(node.controller.world().note(node.endpoint("api/aws-eu-west-1")).is_none());
}

#[test]
fn a_probe_that_is_needed_blocks_by_its_name() {
    let mut node = Node::new(ZONE);
    let effects = node.thrice(("192.0.2.11", 5432), refused);
    assert_eq!(told(&effects), ["api.example.com/aws-eu-west-1: up → down (it depends on probe:database (tcp 192.0.2.11:5432), which is down)"]);
    assert!(node.status("api/aws-eu-west-1").is_down());
    let question = explain::Request { name: "api.example.com", client: "192.0.2.200", qtype: None, down: "" };
    let explanation = explain::explain_request(&question, node.controller.world()).unwrap();
    let view = explanation.endpoints.iter().find(|view| view.endpoint == "aws-eu-west-1").unwrap();
    assert_eq!(view.excluded.as_deref(), Some("probe:database (tcp 192.0.2.11:5432) is down, and it depends on that"));
    assert_eq!(view.status, "up, something that it depends on is down");
}

#[test]
fn what_is_down_itself_and_blocked_is_up_only_when_neither_holds() {
    let mut node = Node::new(ZONE);
    node.thrice(("192.0.2.11", 443), refused);
    let effects = node.thrice(("192.0.2.12", 443), refused);
    assert_eq!(effects.changes.len(), 1, "it was down already: {:?}", told(&effects));
    assert!(node.thrice(("192.0.2.11", 443), passed).changes.is_empty(), "it still lacks what it needs");
    assert!(node.status("api/aws-eu-west-1").is_down());
    let effects = node.thrice(("192.0.2.12", 443), passed);
    assert_eq!(effects.changes.len(), 2);
    assert!(!node.status("api/aws-eu-west-1").is_down());
}

#[test]
fn at_least_n_counts() {
    let text = ZONE.replace(r#"depends-on = ["auth", "probe:database"]"#, r#"depends-on = { at-least = 2, of = ["session", "spare", "probe:database"] }"#);
    let mut node = Node::new(&text);
    node.thrice(("192.0.2.13", 443), refused);
    assert!(!node.status("api/aws-eu-west-1").blocked, "two of three are up");
    node.thrice(("192.0.2.11", 5432), refused);
    assert!(node.status("api/aws-eu-west-1").blocked);
    let root = node.controller.world().note(node.endpoint("api/aws-eu-west-1")).unwrap().root.clone();
    assert_eq!(root.as_deref(), Some("session.example.com/aws-eu-west-1"), "the first that fails, in the order in which they are written");
    node.thrice(("192.0.2.13", 443), passed);
    assert!(!node.status("api/aws-eu-west-1").blocked);
}

#[test]
fn the_first_failure_of_a_root_shortens_the_ttl_of_all_that_depends_on_it() {
    let mut node = Node::new(ZONE);
    let probe = node.catalog().probes.iter().position(|spec| spec.target.to_string() == "192.0.2.12:443").unwrap();
    node.observe(probe, refused);
    assert!(node.status("auth/aws-eu-west-1").moving && node.status("api/aws-eu-west-1").moving);
    assert!(!node.status("session/aws-eu-west-1").moving && !node.status("api/aws-us-east-1").moving);
}

#[test]
fn a_reload_that_adds_or_removes_a_dependency_counts_at_once_and_is_told() {
    let free = ZONE.replace("depends-on = [\"auth\", \"probe:database\"]\n", "");
    let mut node = Node::new(&free.replace("[probe.database.tcp]\nport = 5432\n", ""));
    node.thrice(("192.0.2.12", 443), refused);
    assert!(!node.status("api/aws-eu-west-1").blocked);
    let reload = |node: &mut Node, text: &str| {
        let catalog = catalog(text);
        let geo = Arc::new(Geo::without_databases(&catalog));
        let now = START.plus_millis(node.seconds * 1_000);
        node.controller.handle(Event::Reloaded { catalog, geo, allow_shrink: false }, now)
    };
    let effects = reload(&mut node, ZONE);
    assert_eq!(told(&effects), ["api.example.com/aws-eu-west-1: up → down (it depends on auth.example.com/aws-eu-west-1, which is down)"]);
    reload(&mut node, &free.replace("[probe.database.tcp]\nport = 5432\n", ""));
    assert_eq!(node.status("api/aws-eu-west-1"), Status::UP, "and no ramp for a reload");
}

#[test]
fn the_state_keeps_what_is_needed_too() {
    let mut node = Node::new(ZONE);
    node.thrice(("192.0.2.11", 5432), refused);
    let kept = node.controller.state(START.plus_millis(100_000));
    let catalog = catalog(ZONE);
    let mut second = Controller::new(Arc::clone(&catalog), Arc::new(Geo::without_databases(&catalog)), START.plus_millis(101_000));
    second.handle(Event::Restored(kept), START.plus_millis(101_000));
    assert!(second.world().status(node.endpoint("api/aws-eu-west-1")).blocked);
}
