//! Endpoints that are asked on both of their families: one that fails is the endpoint's failure, or its own where the service decides for each.

use std::sync::Arc;

use aya_gslb::catalog::{AddressType, AddressTypes, Catalog, EndpointId, ProbeId};
use aya_gslb::control::{Controller, Effects, Event};
use aya_gslb::explain;
use aya_gslb::health::{Health, Observation};
use aya_gslb::steer::{Ask, Client, Family, Recorder, decide};
use aya_gslb::units::Moment;

use crate::small::{START, passed, refused};
use crate::two::loaded;

fn zone(families: &str) -> String {
    format!(
        r#"
zone = "example.com"
[ns]
ns1 = ["192.0.2.53"]
ns2 = ["198.51.100.53"]
[service.api]
{families}
probe.tcp = {{ port = 443 }}
probe-families = "each"
damping = "off"
ramp = "0s"
[service.api.endpoint]
aws-eu-west-1 = {{ a = ["192.0.2.1"], aaaa = ["2001:db8::1"] }}
aws-us-east-1 = {{ a = ["192.0.2.2"], aaaa = ["2001:db8::2"] }}
"#
    )
}

fn catalog(text: &str) -> Arc<Catalog> {
    loaded(text).0
}

struct Node {
    controller: Controller,
    seconds: u64,
}

impl Node {
    fn new(text: &str) -> Self {
        let (catalog, geo) = loaded(text);
        let mut node = Self { controller: Controller::new(Arc::clone(&catalog), geo, START), seconds: 0 };
        for probe in (0..).map(ProbeId).take(catalog.probes.len()) {
            node.observe(probe, passed);
        }
        node
    }

    fn observe(&mut self, probe: ProbeId, make: fn(Moment) -> Observation) -> Effects {
        self.seconds += 1;
        let now = START.plus_millis(self.seconds * 1_000);
        self.controller.handle(Event::Observed { epoch: 1, probe, observation: make(now) }, now)
    }

    /// Three observations of one of the endpoint's probes.
    fn thrice(&mut self, endpoint: u32, of: AddressType, make: fn(Moment) -> Observation) -> Effects {
        let catalog = Arc::clone(&self.controller.world().catalog);
        let probes = &catalog.endpoint(EndpointId(endpoint)).probes;
        let probe = *probes.iter().find(|probe| catalog.probes[probe.index()].family() == Some(of)).unwrap();
        self.observe(probe, make);
        self.observe(probe, make);
        self.observe(probe, make)
    }

    /// The endpoints that may be answered.
    fn field(&self, family: Family) -> Vec<u32> {
        let world = self.controller.world();
        let client = Client::at("198.51.100.1".parse().unwrap(), 32, &world.geo);
        let ask = Ask { service: aya_gslb::catalog::ServiceId(0), client, family };
        let decision = decide(&ask, world, &mut Recorder::default());
        let mut field: Vec<u32> = decision.candidates[..usize::from(decision.count)].iter().map(|candidate| candidate.endpoint.0).collect();
        field.sort_unstable();
        field
    }
}

#[test]
fn each_family_is_asked_where_that_is_wanted_and_one_is_by_default() {
    assert_eq!(catalog(&zone("")).probes.len(), 4);
    assert_eq!(catalog(&zone("").replace("\"each\"", "\"first\"")).probes.len(), 2);
    let one = zone("").replace("aws-us-east-1 = { a", "aws-us-east-1 = { probe-families = \"first\", a");
    assert_eq!(catalog(&one).probes.len(), 3);
    let alias = zone("").replace("a = [\"192.0.2.1\"], aaaa = [\"2001:db8::1\"]", "alias = \"lb.example.net\"");
    assert_eq!(catalog(&alias).probes.len(), 4, "an alias is asked at its addresses of each family");
}

#[test]
fn one_decision_for_both_families_makes_one_that_fails_the_endpoints_failure() {
    let mut node = Node::new(&zone(""));
    let effects = node.thrice(0, AddressType::Aaaa, refused);
    assert_eq!(effects.changes.len(), 1);
    let status = *node.controller.world().status(EndpointId(0));
    assert_eq!((status.health, status.fails), (Health::Down, AddressTypes::NONE));
    for family in [Family::V4, Family::V6, Family::Any] {
        assert_eq!(node.field(family), [1], "{family:?}");
    }
}

#[test]
fn separate_families_let_the_one_that_fails_go_alone() {
    let mut node = Node::new(&zone("families = \"separate\""));
    let effects = node.thrice(0, AddressType::Aaaa, refused);
    assert_eq!((effects.changes.len(), effects.partial.len()), (0, 1));
    let status = *node.controller.world().status(EndpointId(0));
    assert_eq!((status.health, status.fails), (Health::Up, AddressTypes::NONE.with(AddressType::Aaaa)));
    assert_eq!((node.field(Family::V4), node.field(Family::V6), node.field(Family::Any)), (vec![0, 1], vec![1], vec![0, 1]));

    let world = node.controller.world();
    let request = explain::Request { name: "api.example.com", client: "198.51.100.1", qtype: Some("AAAA"), down: "" };
    let explained = explain::explain_request(&request, world).unwrap();
    let told = explained.endpoints.iter().find(|endpoint| endpoint.endpoint == "aws-eu-west-1").unwrap();
    assert_eq!(told.excluded.as_deref(), Some("its AAAA addresses are down"));
    assert_eq!(told.status, "up, its AAAA addresses are down");

    node.thrice(1, AddressType::Aaaa, refused);
    assert_eq!((node.field(Family::V4), node.field(Family::V6)), (vec![0, 1], vec![0, 1]), "where all are down, it is answered as if all were up");
    node.thrice(0, AddressType::A, refused);
    let status = *node.controller.world().status(EndpointId(0));
    assert_eq!((status.health, status.fails), (Health::Down, AddressTypes::NONE), "both have failed");
    node.thrice(0, AddressType::Aaaa, passed);
    assert_eq!((node.field(Family::V4), node.field(Family::V6)), (vec![1], vec![0]));
}

#[test]
fn what_one_family_alone_has_lost_was_not_left_and_comes_back_by_itself() {
    let manual = "families = \"separate\"\ntiers = [[\"aws-eu-west-1\"], [\"aws-us-east-1\"]]\nfailback = \"manual\"";
    let mut node = Node::new(&zone(manual));
    node.thrice(0, AddressType::Aaaa, refused);
    assert_eq!((node.field(Family::V4), node.field(Family::V6)), (vec![0], vec![1]));
    node.thrice(0, AddressType::Aaaa, passed);
    assert_eq!((node.field(Family::V6), node.controller.world().status(EndpointId(0)).latched), (vec![0], false));
    for of in AddressType::ALL {
        node.thrice(0, of, refused);
    }
    for of in AddressType::ALL {
        node.thrice(0, of, passed);
    }
    assert_eq!((node.field(Family::V4), node.field(Family::V6)), (vec![1], vec![1]), "the tier was left as a whole, and waits");
}
