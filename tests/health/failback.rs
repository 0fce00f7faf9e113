//! Failback by hand: tiers that are left, what waits, what is released, and what outlives a restart and a reload.

use std::sync::Arc;

use aya_gslb::catalog::{EndpointId, ProbeId};
use aya_gslb::control::overrides::{Action, NoReturn, Overrides, Refusal, Release, Set, Unsafe, Wish, propose};
use aya_gslb::control::{Controller, Effects, Event, State, TierNews, waiting};
use aya_gslb::units::{Moment, Permille};

use crate::small::{START, passed, refused};
use crate::two::{AMERICAN, GERMAN, chosen, endpoint_id, loaded, words};

/// Three tiers of databases; Germans may only be sent to Frankfurt and Ireland. Clients of 20.0.0.0/8 are in Germany, those of 30.0.0.0/8 in the
/// United States. No ramp, no damping, so that answers show at once.
const ZONE: &str = r#"
zone = "example.com"
[ns]
ns1 = ["192.0.2.53"]
ns2 = ["198.51.100.53"]
[network.germany]
prefixes = ["20.0.0.0/8"]
country = "DE"
[network.america]
prefixes = ["30.0.0.0/8"]
country = "US"
[residency.german-law]
clients = ["DE"]
regions = ["EU"]
unknown = "exempt"
[service.db]
residency = ["german-law"]
tiers = [["frankfurt"], ["virginia", "ireland"], ["tokyo"]]
failback = "manual"
ramp = "0s"
damping = "off"
probe.tcp = { port = 5432 }
[service.db.endpoint.frankfurt]
region = "gcp-europe-west3"
a = ["192.0.2.1"]
[service.db.endpoint.virginia]
region = "aws-us-east-1"
a = ["192.0.2.2"]
[service.db.endpoint.ireland]
region = "aws-eu-west-1"
a = ["192.0.2.3"]
[service.db.endpoint.tokyo]
region = "azure-japaneast"
a = ["192.0.2.4"]
"#;

/// A node, a clock that is moved by hand, and an operator.
struct Node {
    controller: Controller,
    now: Moment,
}

fn release() -> Release {
    Release { service: "db".into(), why: words("synced"), who: words("anna"), force: None }
}

impl Node {
    /// Nothing was measured yet.
    fn new(toml: &str) -> Self {
        let (catalog, geo) = loaded(toml);
        Self { controller: Controller::new(catalog, geo, START), now: START }
    }

    /// Every endpoint was found up.
    fn settled(toml: &str) -> Self {
        let mut node = Self::new(toml);
        for name in ["frankfurt", "virginia", "ireland", "tokyo"] {
            node.up(name);
        }
        node
    }

    fn id(&self, name: &str) -> EndpointId {
        let catalog = &self.controller.world().catalog;
        catalog.endpoints.iter().zip((0..).map(EndpointId)).find(|(endpoint, _)| &*endpoint.name == name).unwrap().1
    }

    /// The endpoint of the database.
    fn db(&self, name: &str) -> EndpointId {
        endpoint_id(&self.controller.world().catalog, "db", name)
    }

    fn probe(&self, name: &str) -> ProbeId {
        self.controller.world().catalog.endpoint(self.id(name)).probes[0]
    }

    /// Three observations of an endpoint, a second apart.
    fn thrice(&mut self, name: &str, make: fn(Moment) -> aya_gslb::health::Observation) -> Effects {
        let (probe, epoch) = (self.probe(name), self.controller.plan().epoch);
        let mut all = Effects::default();
        for _ in 0..3 {
            self.now = self.now.plus_millis(1_000);
            let effects = self.controller.handle(Event::Observed { epoch, probe, observation: make(self.now) }, self.now);
            all.tiers.extend(effects.tiers);
            all.persist |= effects.persist;
        }
        all
    }

    fn up(&mut self, name: &str) -> Effects {
        self.thrice(name, passed)
    }

    fn down(&mut self, name: &str) -> Effects {
        self.thrice(name, refused)
    }

    /// The endpoint that a client gets, and why.
    fn answer(&self, client: [u8; 4]) -> (String, &'static str) {
        let world = self.controller.world();
        let chosen = chosen(world, "db", client);
        (world.catalog.endpoint(chosen.endpoints()[0]).name.to_string(), chosen.reason.as_str())
    }

    fn latched(&self) -> Vec<&str> {
        let world = self.controller.world();
        let those = world.catalog.endpoints.iter().zip(&world.statuses.of).filter(|(_, status)| status.latched);
        those.map(|(endpoint, _)| &*endpoint.name).collect()
    }

    /// Has an operator release what waits, as the edge does it.
    fn release(&mut self, release: Release) -> Result<Effects, Refusal> {
        let proposal = propose(self.controller.world(), self.controller.overrides(), &[], &Wish::Release(release), self.now)?;
        let services = proposal.released.iter().map(|released| released.service.clone()).collect();
        let overridden = Event::Overridden { overrides: Arc::new(proposal.next), why: "released".into() };
        Ok(self.controller.handle_all([overridden, Event::Released { services, why: "by anna: synced".into() }], self.now))
    }

    fn over(&mut self, selector: &str, action: Option<Action>) {
        let overrides = match action {
            Some(action) => {
                let set =
                    Set { selector: selector.parse().unwrap(), action, why: words("test"), who: words("anna"), life_ms: 3_600_000, force: Some(words("test")) };
                propose(self.controller.world(), self.controller.overrides(), &[], &Wish::Set(set), self.now).unwrap().next
            }
            None => Overrides::default(),
        };
        self.controller.handle(Event::Overridden { overrides: Arc::new(overrides), why: "test".into() }, self.now);
    }

    /// The next process, with what the state file of this one holds.
    fn restarted(&self, toml: &str) -> Self {
        let state = serde_json::to_string(&self.controller.state(self.now)).unwrap();
        let mut next = Self { now: self.now, ..Self::new(toml) };
        let state: State = serde_json::from_str(&state).unwrap();
        next.controller.handle(Event::Restored(state), self.now);
        next
    }

    fn reload(&mut self, toml: &str) {
        let (catalog, geo) = loaded(toml);
        let effects = self.controller.handle(Event::Reloaded { catalog, geo, allow_shrink: true }, self.now);
        assert_eq!(effects.refusal, None);
    }
}

#[test]
fn clients_return_to_a_tier_that_they_left_only_when_it_is_released() {
    let mut node = Node::settled(ZONE);
    assert_eq!(node.answer(AMERICAN), ("frankfurt".into(), "best"));
    let effects = node.down("frankfurt");
    assert_eq!(node.answer(AMERICAN), ("virginia".into(), "failover"));
    assert_eq!(
        effects.tiers.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["db.example.com: tier 1 was left for tier 2, and waits from now on until it is released"]
    );
    assert!(effects.persist, "a process that dies now must not send its clients back");
    node.up("frankfurt");
    assert_eq!((node.answer(AMERICAN), node.answer(GERMAN)), (("virginia".into(), "latched"), ("ireland".into(), "latched")));
    let waits: Vec<_> = waiting(node.controller.world()).collect();
    assert_eq!((waits.len(), waits[0].ready.as_slice(), waits[0].in_use, waits[0].holds), (1, &[0][..], Some(1), true));
    let effects = node.release(release()).unwrap();
    assert!(matches!(&*effects.tiers, [change] if matches!(change.news, TierNews::Released { .. })) && effects.persist, "{effects:?}");
    assert_eq!((node.answer(AMERICAN), node.latched()), (("frankfurt".into(), "best"), vec![]));
    assert_eq!(waiting(node.controller.world()).count(), 0);
}

#[test]
fn without_the_word_clients_return_by_themselves() {
    let mut node = Node::settled(&ZONE.replace("failback = \"manual\"\n", ""));
    node.down("frankfurt");
    node.up("frankfurt");
    assert_eq!((node.answer(AMERICAN), node.latched()), (("frankfurt".into(), "best"), vec![]));
    assert_eq!(node.release(release()).unwrap_err(), Refusal::NoReturn(NoReturn::Auto("db".into())));
}

#[test]
fn what_was_never_left_comes_before_what_was_and_that_before_nothing() {
    let mut node = Node::settled(ZONE);
    node.down("frankfurt");
    node.up("frankfurt");
    node.down("virginia");
    assert_eq!(node.answer(AMERICAN).0, "ireland", "one is enough for the tier");
    node.down("ireland");
    assert_eq!(node.answer(AMERICAN), ("tokyo".into(), "latched"), "Tokyo was never left");
    assert_eq!(node.latched(), ["frankfurt", "ireland", "virginia"]);
    let effects = node.down("tokyo");
    assert_eq!(node.answer(AMERICAN).0, "frankfurt", "rather than nobody");
    let news: Vec<_> = effects.tiers.iter().map(|change| (change.tier, &change.news)).collect();
    assert_eq!(news, [(1, &TierNews::UsedAgain), (3, &TierNews::Left { to: 1 })]);
    node.up("virginia");
    node.up("tokyo");
    assert_eq!(node.answer(AMERICAN), ("frankfurt".into(), "best"), "whoever is in use stays");
    assert_eq!(node.latched(), ["ireland", "tokyo", "virginia"]);
}

#[test]
fn the_law_gives_a_client_the_latched_tier_rather_than_a_foreign_one() {
    let mut node = Node::settled(ZONE);
    node.down("frankfurt");
    node.up("frankfurt");
    node.down("ireland");
    assert_eq!(node.answer(AMERICAN).0, "virginia", "the tier is in use for the service as a whole");
    assert_eq!(node.answer(GERMAN).0, "frankfurt", "and has nobody for Germans, who are not sent abroad, nor nowhere");
    node.down("frankfurt");
    assert_eq!(node.answer(GERMAN), ("ireland".into(), "as-if-up"), "as if the tier in use was up");
}

#[test]
fn nothing_is_left_where_everything_is_down() {
    let mut node = Node::settled(ZONE);
    for name in ["frankfurt", "virginia", "ireland", "tokyo"] {
        node.down(name);
    }
    let before = node.latched().len();
    assert_eq!(before, 3, "all but the last one that served: {:?}", node.latched());
    node.up("frankfurt");
    assert_eq!(node.answer(AMERICAN).0, "frankfurt");
    let mut at_once = Node::settled(ZONE);
    let epoch = at_once.controller.plan().epoch;
    for _ in 0..3 {
        at_once.now = at_once.now.plus_millis(1_000);
        let observed =
            ["frankfurt", "virginia", "ireland", "tokyo"].map(|name| Event::Observed { epoch, probe: at_once.probe(name), observation: refused(at_once.now) });
        at_once.controller.handle_all(observed, at_once.now);
    }
    assert_eq!((at_once.answer(AMERICAN), at_once.latched()), (("frankfurt".into(), "as-if-up"), vec![]));
}

#[test]
fn what_an_operator_drains_comes_back_as_it_was_meant_to() {
    let mut node = Node::settled(ZONE);
    node.over("endpoint:frankfurt", Some(Action::Drain { over_ms: 0 }));
    assert_eq!(node.answer(AMERICAN).0, "virginia");
    node.over("", None);
    assert_eq!((node.answer(AMERICAN), node.latched()), (("frankfurt".into(), "best"), vec![]));
    node.over("endpoint:frankfurt", Some(Action::In));
    node.down("frankfurt");
    assert_eq!((node.answer(AMERICAN).0, node.latched()), ("frankfurt".into(), vec![]), "an operator vouches for it");
    node.over("", None);
    assert_eq!((node.answer(AMERICAN).0, node.latched()), ("virginia".into(), vec!["frankfurt"]));
}

#[test]
fn what_a_first_start_finds_down_was_never_left() {
    let mut node = Node::new(ZONE);
    node.down("frankfurt");
    node.up("virginia");
    assert_eq!(node.answer(AMERICAN).0, "virginia");
    node.up("frankfurt");
    assert_eq!((node.answer(AMERICAN), node.latched()), (("frankfurt".into(), "best"), vec![]));
}

#[test]
fn a_latch_outlives_the_process_and_its_release_does_too() {
    let mut node = Node::settled(ZONE);
    node.down("frankfurt");
    node.up("frankfurt");
    let mut next = node.restarted(ZONE);
    assert_eq!((next.answer(AMERICAN), next.latched()), (("virginia".into(), "latched"), vec!["frankfurt"]));
    next.release(release()).unwrap();
    let next = next.restarted(ZONE);
    assert_eq!((next.answer(AMERICAN), next.latched()), (("frankfurt".into(), "best"), vec![]));
    assert!(!serde_json::to_string(&next.controller.state(next.now)).unwrap().contains("frankfurt\"],\"others"));
}

#[test]
fn a_restart_with_a_tier_down_latches_it_only_if_it_was_left() {
    let mut node = Node::settled(ZONE);
    node.down("frankfurt");
    let mut next = node.restarted(ZONE);
    next.up("frankfurt");
    assert_eq!(next.answer(AMERICAN), ("virginia".into(), "latched"));
    let auto = ZONE.replace("\"manual\"", "\"auto\"");
    let mut node = Node::settled(&auto);
    node.down("frankfurt");
    let mut next = node.restarted(ZONE);
    next.up("frankfurt");
    assert_eq!(next.answer(AMERICAN), ("frankfurt".into(), "best"), "it was left while clients were to return by themselves");
}

#[test]
fn across_a_reload_tiers_are_known_by_their_endpoints() {
    let mut node = Node::settled(ZONE);
    node.down("frankfurt");
    node.up("frankfurt");
    // Another order, another address, and a newcomer in the latched tier.
    let newcomer = "[service.db.endpoint.oregon]\nregion = \"aws-us-west-2\"\na = [\"192.0.2.9\"]\n";
    let moved =
        ZONE.replace("[[\"frankfurt\"], [\"virginia\", \"ireland\"], [\"tokyo\"]]", "[[\"tokyo\"], [\"frankfurt\", \"oregon\"], [\"virginia\", \"ireland\"]]");
    node.reload(&(moved + newcomer));
    assert_eq!(node.latched(), ["frankfurt", "oregon"]);
    assert_eq!(node.answer(AMERICAN).0, "tokyo", "an operator wrote that it comes first");
    node.down("tokyo");
    assert_eq!(node.answer(AMERICAN).0, "virginia");
    node.reload(&ZONE.replace("192.0.2.1\"", "192.0.2.77\""));
    assert_eq!(node.latched(), ["frankfurt", "tokyo"], "another address is the same tier");
    node.reload(&ZONE.replace("[\"frankfurt\"], [\"virginia\", \"ireland\"]", "[\"ireland\"], [\"virginia\", \"frankfurt\"]"));
    assert_eq!(node.latched(), ["tokyo"], "among others that were not left, it was not left either");
    node.reload(&ZONE.replace("\"manual\"", "\"auto\""));
    assert_eq!(node.latched(), Vec::<&str>::new());
}

#[test]
fn what_has_too_few_still_is_not_released_and_what_is_not_there_is_told() {
    let mut node = Node::settled(ZONE);
    assert_eq!(node.release(release()).unwrap_err(), Refusal::NoReturn(NoReturn::Nothing("db".into())));
    node.down("frankfurt");
    assert_eq!(node.release(release()).unwrap_err(), Refusal::NoReturn(NoReturn::StillFailed { service: "db.example.com".into(), tier: 1 }));
    let refusal = node.release(Release { service: "bd".into(), ..release() }).unwrap_err();
    assert!(matches!(&refusal, Refusal::NoReturn(NoReturn::NoService { .. })), "{refusal}");
    node.down("virginia");
    node.down("ireland");
    node.up("virginia");
    node.release(Release { service: "*.example.com".into(), ..release() }).unwrap();
    assert_eq!((node.answer(AMERICAN).0, node.latched()), ("virginia".into(), vec!["frankfurt"]), "tier 2 is back, tier 1 is not");
}

#[test]
fn a_release_is_told_beforehand_and_keeps_the_pace_of_safety() {
    let mut node = Node::settled(&format!("{ZONE}[safety]\ngate = \"10min\"\n"));
    node.down("frankfurt");
    node.up("frankfurt");
    let wish = Wish::Release(release());
    let told = propose(node.controller.world(), node.controller.overrides(), &[], &wish, node.now).unwrap();
    assert_eq!(told.moved.clients, Permille::WHOLE);
    let ways: Vec<_> = told.moved.told[0].ways.iter().map(|way| (way.from.as_deref(), way.to.as_deref())).collect();
    assert!(ways.contains(&(Some("virginia"), Some("frankfurt"))) && ways.contains(&(Some("ireland"), Some("frankfurt"))), "{ways:?}");
    assert_eq!(node.answer(AMERICAN).0, "virginia", "to ask changes nothing");
    node.release(release()).unwrap();
    node.down("frankfurt");
    node.up("frankfurt");
    let refused = node.release(release()).unwrap_err();
    assert!(matches!(refused, Refusal::Unsafe(Unsafe::Gate { gate_s: 600, .. })), "{refused}");
    node.release(Release { force: Some(words("the other one burns")), ..release() }).unwrap();
    assert_eq!(node.answer(AMERICAN).0, "frankfurt");
}

#[test]
fn who_is_released_takes_its_clients_back_in_steps() {
    let mut node = Node::settled(&ZONE.replace("ramp = \"0s\"", "ramp = \"2min\""));
    node.down("frankfurt");
    node.up("frankfurt");
    node.now = node.now.plus_millis(600_000);
    node.controller.handle(Event::Tick, node.now);
    let ramp = |node: &Node| node.controller.world().status(node.id("frankfurt")).ramp;
    assert_eq!(ramp(&node), Permille::WHOLE, "while nobody was there it ramped for nothing");
    node.release(release()).unwrap();
    assert_eq!(ramp(&node), Permille(50));
    node.now = node.now.plus_millis(120_000);
    node.controller.handle(Event::Tick, node.now);
    assert_eq!(ramp(&node), Permille::WHOLE);
}

#[test]
fn what_is_not_probed_is_left_by_what_it_depends_on_but_not_before_that_was_asked() {
    let app = "[service.app]\nprobe = []\ndepends-on = \"db\"\ntiers = [[\"frankfurt\"], [\"ireland\"]]\nfailback = \"manual\"\ndamping = \"off\"\n\
        [service.app.endpoint.frankfurt]\nregion = \"gcp-europe-west3\"\na = [\"192.0.2.11\"]\n\
        [service.app.endpoint.ireland]\nregion = \"aws-eu-west-1\"\na = [\"192.0.2.12\"]\n";
    let toml = format!("{ZONE}{app}");
    let waiting =
        |node: &Node| waiting(node.controller.world()).map(|one| node.controller.world().catalog.service(one.service).label.to_string()).collect::<Vec<_>>();
    let mut node = Node::new(&toml);
    let all = |node: &mut Node, first: fn(Moment) -> aya_gslb::health::Observation| {
        let probe = |name: &str| node.controller.world().catalog.endpoint(node.db(name)).probes[0];
        for (probe, make) in [(probe("frankfurt"), first), (probe("virginia"), passed), (probe("ireland"), passed), (probe("tokyo"), passed)] {
            let epoch = node.controller.plan().epoch;
            node.controller.handle(Event::Observed { epoch, probe, observation: make(node.now) }, node.now);
        }
    };
    all(&mut node, refused);
    assert!(node.controller.is_ready());
    assert_eq!(waiting(&node), Vec::<String>::new(), "a first round leaves nothing");
    let mut node = Node::new(&toml);
    all(&mut node, passed);
    for _ in 0..3 {
        node.now = node.now.plus_millis(1_000);
        all(&mut node, refused);
    }
    assert_eq!(waiting(&node), ["db", "app"]);
}
