//! The removal of what is down, against everything that may hold clients: over any sequence of events, what failed `fall` times in a row is in no answer of
//! the next world while another lawful endpoint is up. Overrides, latches, holds, ramps and spill move clients; none of them keeps clients with the dead.
//!
//! `AYA_SEED=…` replays one sequence.

use std::sync::Arc;

use aya_gslb::catalog::{Catalog, EndpointId, ProbeId, ServiceId};
use aya_gslb::control::overrides::{Action, Clear, Set, Which, Wish, propose};
use aya_gslb::control::{Controller, EndpointName, Event, LoadReport, State};
use aya_gslb::geo::Geo;
use aya_gslb::health::{Intent, Observation, ProbeFailure};
use aya_gslb::steer::{Ask, Client, Family, Silent, Verdict, decide};
use aya_gslb::units::{Moment, Permille};

use crate::small::{START, failed, passed, refused};
use crate::two::{loaded, words};

/// Every way of steering, a law, capacities, tiers with and without manual failback, and rules of safety as strict as can be.
const ZONE: &str = r#"
zone = "example.com"
[ns]
ns1 = ["192.0.2.53"]
ns2 = ["198.51.100.53"]
[safety]
min-regions = 2
gate = "1h"
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
[service.manual]
residency = ["german-law"]
tiers = [["frankfurt", "virginia"], ["ireland", "tokyo"]]
failback = "manual"
peak = "900 rps"
probe.tcp = { port = 1 }
[service.auto]
residency = ["german-law"]
tiers = [["frankfurt", "virginia"], ["ireland", "tokyo"]]
min-live = 2
peak = "900 rps"
probe.tcp = { port = 2 }
steering.by = "weight"
[service.flat]
residency = ["german-law"]
peak = "900 rps"
probe.tcp = { port = 3 }
steering.spread = "200 ms"
answers = 2
"#;
const PLACES: [(&str, &str); 4] =
    [("frankfurt", "gcp-europe-west3"), ("ireland", "aws-eu-west-1"), ("tokyo", "azure-japaneast"), ("virginia", "aws-us-east-1")];
/// `fall` of every probe.
const FALL: u8 = 3;

fn zone() -> (Arc<Catalog>, Arc<Geo>) {
    let mut text = ZONE.to_owned();
    for (service, third) in ["manual", "auto", "flat"].into_iter().zip(1..) {
        for ((name, region), last) in PLACES.into_iter().zip(1..) {
            text += &format!("[service.{service}.endpoint.{name}]\nregion = \"{region}\"\na = [\"192.0.{third}.{last}\"]\ncapacity = \"400 rps\"\n");
        }
    }
    loaded(&text)
}

/// A seeded source of choices (SplitMix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % bound as u64).unwrap()
    }
}

/// One sequence under way.
struct Story {
    controller: Controller,
    now: Moment,
    dice: Dice,
    /// By probe: failures in a row, counted here and not by the controller.
    failed: Vec<u8>,
    /// By probe: whether it failed `fall` times, and has not passed since.
    dead: Vec<bool>,
}

impl Story {
    fn new(seed: u64) -> Self {
        let (catalog, geo) = zone();
        let probes = catalog.probes.len();
        Self { controller: Controller::new(catalog, geo, START), now: START, dice: Dice(seed), failed: vec![0; probes], dead: vec![false; probes] }
    }

    /// Something happens.
    fn go_on(&mut self) {
        self.now = self.now.plus_millis(self.dice.below(3_000) as u64);
        let event = match self.dice.below(20) {
            0 => self.wish(),
            1 => Event::Released { services: ["manual.example.com".into()].into(), why: "test".into() },
            2 => self.load(),
            3 | 4 => Event::Tick,
            5 => {
                self.now = self.now.plus_millis(self.dice.below(600_000) as u64);
                Event::Tick
            }
            6 if self.dice.below(4) == 0 => return self.restart(),
            7 if self.dice.below(4) == 0 => {
                let (catalog, geo) = zone();
                Event::Reloaded { catalog, geo, allow_shrink: false }
            }
            _ => self.observe(),
        };
        let is_reload = matches!(event, Event::Reloaded { .. });
        let effects = self.controller.handle(event, self.now);
        assert!(!is_reload || effects.refusal.is_none() || effects.plan.is_none());
    }

    /// An endpoint is asked: some are in bad shape for a while.
    fn observe(&mut self) -> Event {
        let probe = self.dice.below(self.failed.len());
        let is_bad = self.now.0 / 20_000 % 3 == probe as u64 % 3 || self.dice.below(4) == 0;
        let observation: Observation = match self.dice.below(2) {
            _ if !is_bad => passed(self.now),
            0 => refused(self.now),
            _ => failed(self.now, ProbeFailure::TimedOut),
        };
        self.failed[probe] = if is_bad { self.failed[probe].saturating_add(1) } else { 0 };
        self.dead[probe] = is_bad && (self.dead[probe] || self.failed[probe] >= FALL);
        Event::Observed { epoch: self.controller.plan().epoch, probe: ProbeId(u32::try_from(probe).unwrap()), observation }
    }

    /// An operator sets or clears something; what is refused changes nothing.
    fn wish(&mut self) -> Event {
        let selector = || ["cloud:aws", "cloud:gcp", "service:manual", "service:auto endpoint:frankfurt", "endpoint:tokyo"];
        let selector = selector()[self.dice.below(5)].parse().unwrap();
        let (why, who) = (words("test"), words("anna"));
        let action = match self.dice.below(6) {
            0 => Action::Out,
            1 => Action::Drain { over_ms: 0 },
            2 => Action::Drain { over_ms: 60_000 },
            3 => Action::Weight(Permille(u16::try_from(self.dice.below(1_000)).unwrap())),
            _ => {
                let clear = Wish::Clear(Clear { which: Which::Selector(selector), why, who });
                let overrides = propose(self.controller.world(), self.controller.overrides(), &[], &clear, self.now)
                    .map_or_else(|_| (**self.controller.overrides()).clone(), |proposal| proposal.next);
                return Event::Overridden { overrides: Arc::new(overrides), why: "test".into() };
            }
        };
        let set = Wish::Set(Set { selector, action, why: why.clone(), who, life_ms: 600_000, force: Some(why) });
        let overrides = propose(self.controller.world(), self.controller.overrides(), &[], &set, self.now)
            .map_or_else(|_| (**self.controller.overrides()).clone(), |proposal| proposal.next);
        Event::Overridden { overrides: Arc::new(overrides), why: "test".into() }
    }

    /// An endpoint tells its load.
    fn load(&mut self) -> Event {
        let catalog = &self.controller.world().catalog;
        let id = EndpointId(u32::try_from(self.dice.below(catalog.endpoints.len())).unwrap());
        Event::LoadReported(LoadReport { endpoint: EndpointName::of(catalog, id), rps: self.dice.below(900) as u64 })
    }

    /// The process dies, and the next one reads its files.
    fn restart(&mut self) {
        let state: State = serde_json::from_str(&serde_json::to_string(&self.controller.state(self.now)).unwrap()).unwrap();
        let overrides = Arc::clone(self.controller.overrides());
        let (catalog, geo) = zone();
        self.controller = Controller::new(catalog, geo, self.now);
        let overridden = Event::Overridden { overrides, why: "as before".into() };
        self.controller.handle_all([Event::Restored(state), overridden, Event::Tick], self.now);
        // Whoever was not down has no failures yet in the eyes of the next process.
        for (failed, dead) in self.failed.iter_mut().zip(&self.dead) {
            *failed = if *dead { FALL } else { 0 };
        }
    }

    /// Whether an endpoint is dead by this test's own account.
    fn is_dead(&self, id: EndpointId) -> bool {
        self.controller.world().catalog.endpoint(id).probes.iter().any(|probe| self.dead[probe.index()])
    }

    /// Holds the world to it. Returns how many answers were judged in which somebody was dead.
    fn judge(&self, seed: u64) -> usize {
        let world = self.controller.world();
        let catalog = &world.catalog;
        let mut judged = 0;
        for (service, id) in catalog.services.iter().zip((0..).map(ServiceId)) {
            for (network, is_german) in [(20_u8, true), (30, false)] {
                let lawful = |endpoint: EndpointId| {
                    !is_german
                        || &*catalog.region(catalog.endpoint(endpoint).region).country != "US"
                            && &*catalog.region(catalog.endpoint(endpoint).region).country != "JP"
                };
                let all = || (service.endpoints.start..service.endpoints.end).map(EndpointId).filter(|endpoint| lawful(*endpoint));
                // What counts as up by measurement: what an operator took out is not to be given in any case.
                let any_up = all().any(|endpoint| !self.is_dead(endpoint) && world.status(endpoint).intent != Intent::Out && !world.status(endpoint).is_down());
                for third in 0..8 {
                    let client = Client::at([network, 0, third, 0].into(), 24, &world.geo);
                    let chosen = decide(&Ask { service: id, client, family: Family::Any }, world, &mut Silent).choose(&client, world);
                    let given = chosen.endpoints();
                    assert!(given.iter().all(|endpoint| lawful(*endpoint)), "seed {seed}: {} breaks the law", service.label);
                    let out = all().all(|endpoint| world.status(endpoint).intent == Intent::Out);
                    assert_eq!(chosen.verdict == Verdict::Serve, !out, "seed {seed}: {} has an empty answer", service.label);
                    if any_up {
                        for endpoint in given {
                            let name = &catalog.endpoint(*endpoint).name;
                            assert!(!self.is_dead(*endpoint), "seed {seed}: {} answers {name}, which is dead: {:?}", service.label, world.status(*endpoint));
                        }
                        judged += usize::from(all().any(|endpoint| self.is_dead(endpoint)));
                    }
                }
            }
            let latched = |tier: u8| -> Vec<bool> {
                service.lineup.rows.iter().zip(world.statuses_of(service)).filter(|(row, _)| row.tier == tier).map(|(_, status)| status.latched).collect()
            };
            for tier in 0..service.tiers {
                let latched = latched(tier);
                assert!(latched.iter().all(|one| *one == latched[0]), "seed {seed}: a tier of {} is latched in part", service.label);
            }
            assert!((0..service.tiers).any(|tier| latched(tier).iter().all(|latched| !latched)), "seed {seed}: every tier of {} is latched", service.label);
            assert!(&*service.label == "manual" || (0..service.tiers).all(|tier| !latched(tier)[0]), "seed {seed}: {} has no manual failback", service.label);
        }
        judged
    }
}

#[test]
fn nothing_ever_keeps_clients_with_what_failed_often_enough_while_a_lawful_endpoint_is_up() {
    let seeds: Vec<u64> = std::env::var("AYA_SEED").map_or_else(|_| (0..60).collect(), |seed| vec![seed.parse().unwrap()]);
    let (mut judged, mut latched) = (0, 0);
    for seed in &seeds {
        let mut story = Story::new(*seed);
        for _ in 0..1_500 {
            story.go_on();
            judged += story.judge(*seed);
            latched += usize::from(story.controller.world().statuses.of.iter().any(|status| status.latched));
        }
    }
    assert!(seeds.len() == 1 || judged > 500_000 && latched > 10_000, "{judged} answers with somebody dead, {latched} worlds with latches: too tame");
}
