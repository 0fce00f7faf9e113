//! A small catalog with probes, a controller with a clock that is moved by hand, and an operator.

use std::collections::BTreeSet;
use std::sync::Arc;

use aya_gslb::catalog::{EndpointId, ProbeId};
use aya_gslb::control::drills::{Abort, Answers, Drills, Over, Plays, Proposal, Refusal, Run, Wish, propose};
use aya_gslb::control::overrides::Overrides;
use aya_gslb::control::{Controller, DrillNews, Effects, EndpointName, Event, LoadReport};
use aya_gslb::health::{Observation, ProbeFailure, ProbeOutcome, Status};
use aya_gslb::units::{Micros, Moment, Permille};
use aya_gslb::world::World;

use crate::small::{MINUTE, SECOND, START, answer, endpoint_id, loaded, service_id, two_countries, words};

/// `api` serves Germans from the EU only: from Frankfurt, else from Ireland; `shop` serves anybody from anywhere. Both are seen through the same probes of their
/// regions, every second. `bare` is not probed. Clients of 20.0.0.0/8 are in Germany, those of 30.0.0.0/8 in the United States.
pub(crate) const ZONE: &str = concat!(
    two_countries!(),
    r#"[probe.region.tcp]
port = 80
interval = "1s"
timeout = "500ms"
fall = 3
rise = 3
[service.api]
residency = ["eu-personal"]
probe = "region"
rto = "5s"
damping = "off"
ramp = "0s"
[service.api.endpoint.aws-eu-west-1]
a = ["192.0.2.1"]
probe-at = "127.0.0.1:1"
[service.api.endpoint.gcp-europe-west3]
a = ["192.0.2.2"]
probe-at = "127.0.0.1:2"
[service.api.endpoint.aws-us-east-1]
a = ["192.0.2.3"]
probe-at = "127.0.0.1:3"
[service.shop]
probe = "region"
[service.shop.endpoint.aws-eu-west-1]
a = ["192.0.2.11"]
probe-at = "127.0.0.1:1"
[service.shop.endpoint.gcp-europe-west3]
a = ["192.0.2.12"]
probe-at = "127.0.0.1:2"
[service.shop.endpoint.aws-us-east-1]
a = ["192.0.2.13"]
probe-at = "127.0.0.1:3"
[service.bare]
probe = []
[service.bare.endpoint.aws-eu-west-1]
a = ["192.0.2.21"]
[service.bare.endpoint.aws-us-east-1]
a = ["192.0.2.23"]
"#
);

/// A drill of this selector by anna for practice, for a minute, at once.
pub(crate) fn play(selector: &str, plays: Plays) -> Run {
    Run {
        selector: selector.parse().unwrap(),
        plays,
        why: words("practice"),
        who: words("anna"),
        life_ms: MINUTE,
        pre_roll_ms: Some(0),
        without: Vec::new(),
        errors: Permille(10),
        force: None,
    }
}

pub(crate) fn fail(selector: &str) -> Run {
    play(selector, Plays::Fail)
}

/// A controller, the services that it looks at, and the operator before it.
pub(crate) struct Desk {
    pub(crate) controller: Controller,
    pub(crate) now: Moment,
    /// Ports that nobody answers at.
    pub(crate) dead: BTreeSet<u16>,
    /// What was said of drills.
    pub(crate) news: Vec<DrillNews>,
    /// Every change of health that was told.
    pub(crate) changes: Vec<String>,
    /// What happened to tiers.
    pub(crate) tiers: Vec<String>,
}

impl Desk {
    /// Everything is up.
    pub(crate) fn new(toml: &str) -> Self {
        let (catalog, geo) = loaded(toml);
        let controller = Controller::new(catalog, geo, START);
        let mut desk = Self { controller, now: START, dead: BTreeSet::new(), news: Vec::new(), changes: Vec::new(), tiers: Vec::new() };
        desk.pass(SECOND);
        desk.changes.clear();
        desk
    }

    /// Another process, with what is on the disk.
    pub(crate) fn restarted(&self, toml: &str) -> Self {
        let (catalog, geo) = loaded(toml);
        let mut controller = Controller::new(catalog, geo, self.now);
        let drills: Drills = serde_json::from_str(&serde_json::to_string(&**self.controller.drills()).unwrap()).unwrap();
        assert!(drills.is_sound());
        let known = [Event::Restored(self.controller.state(self.now)), Event::Drilled { drills: Arc::new(drills) }, Event::Tick];
        let effects = controller.handle_all(known, self.now);
        let mut desk = Self { controller, now: self.now, dead: self.dead.clone(), news: Vec::new(), changes: Vec::new(), tiers: Vec::new() };
        desk.take(effects);
        desk
    }

    pub(crate) fn world(&self) -> &World {
        self.controller.world()
    }

    /// What would come of a wish; nothing changes.
    pub(crate) fn propose(&self, run: &Run) -> Result<Proposal, Refusal> {
        propose(self.controller.world(), self.controller.drills(), self.controller.overrides(), self.controller.moves(), &Wish::Run(run.clone()), self.now)
    }

    /// Has a drill announced, as the edge does it.
    pub(crate) fn run(&mut self, run: &Run) -> Proposal {
        let proposal = self.propose(run).unwrap_or_else(|refusal| panic!("{refusal}"));
        self.handle(Event::Drilled { drills: Arc::new(proposal.next.clone()) });
        proposal
    }

    pub(crate) fn refused(&self, run: &Run) -> String {
        self.propose(run).expect_err("it is granted").to_string()
    }

    pub(crate) fn abort(&mut self) {
        let wish = Wish::Abort(Abort { id: None, why: words("enough"), who: words("bob") });
        let proposal = propose(self.controller.world(), self.controller.drills(), &Overrides::default(), &[], &wish, self.now).unwrap();
        self.handle(Event::Drilled { drills: Arc::new(proposal.next) });
    }

    pub(crate) fn handle(&mut self, event: Event) {
        let effects = self.controller.handle(event, self.now);
        self.take(effects);
    }

    /// Workers have counted so many answers that name endpoints of the drill for each service, and of so many in all some for want of better.
    pub(crate) fn count(&mut self, named: &[(&str, u64)], all: u64, wanting: u64) {
        let catalog = &self.world().catalog;
        let named = named.iter().map(|(label, count)| (service_id(catalog, label), *count)).collect();
        self.handle(Event::Answered(Answers { named, all, wanting }));
    }

    /// An endpoint tells its load.
    pub(crate) fn load(&mut self, service: &str, endpoint: &str, rps: u64) {
        let endpoint = EndpointName::of(&self.world().catalog, self.id(service, endpoint));
        self.handle(Event::LoadReported(LoadReport { endpoint, rps }));
    }

    /// Carries out effects as the edge does.
    fn take(&mut self, effects: Effects) {
        if let Some(world) = effects.publish {
            self.controller.swapped(&world, self.now);
        }
        self.news.extend(effects.drill);
        self.changes.extend(effects.changes.iter().map(ToString::to_string));
        self.tiers.extend(effects.tiers.iter().map(ToString::to_string));
    }

    /// Lets time pass: every quarter of a second the controller looks at its clock, every second each probe is asked.
    pub(crate) fn pass(&mut self, millis: u64) {
        let end = self.now.plus_millis(millis);
        while self.now < end {
            self.now = self.now.plus_millis(250).min(end);
            if self.now.millis_since(START).is_multiple_of(SECOND) {
                self.ask_all();
            }
            self.handle(Event::Tick);
        }
    }

    /// Asks every probe.
    fn ask_all(&mut self) {
        let (plan, now) = (self.controller.plan(), self.now);
        let probes = plan.catalog.probes.iter().zip((0..).map(ProbeId));
        let observed: Vec<Event> = probes
            .map(|(spec, probe)| {
                let is_dead = self.dead.contains(&spec.target.port);
                let outcome = if is_dead { ProbeOutcome::Failed(ProbeFailure::TimedOut) } else { ProbeOutcome::Passed };
                Event::Observed {
                    epoch: plan.epoch,
                    probe,
                    observation: Observation { at: now, outcome, rtt: Micros::from_millis(20), expires: None, drill: false },
                }
            })
            .collect();
        let effects = self.controller.handle_all(observed, now);
        self.take(effects);
    }

    pub(crate) fn id(&self, service: &str, endpoint: &str) -> EndpointId {
        endpoint_id(&self.world().catalog, service, endpoint)
    }

    pub(crate) fn status(&self, service: &str, endpoint: &str) -> Status {
        *self.world().status(self.id(service, endpoint))
    }

    /// The endpoint that a client gets, with whether the answer is moving.
    pub(crate) fn answer(&self, service: &str, client: [u8; 4]) -> (String, bool) {
        answer(self.world(), service, client)
    }

    /// The drill that is over, if one is.
    pub(crate) fn over(&self) -> Option<&Over> {
        self.news.iter().find_map(|news| match news {
            DrillNews::Over(over) => Some(&**over),
            DrillNews::Started(_) => None,
        })
    }

    /// Why it is over, in words.
    pub(crate) fn ceased(&self) -> String {
        self.over().and_then(|over| over.under_way.record.over.as_ref()).map(|over| over.ceased.to_string()).unwrap_or_default()
    }
}
