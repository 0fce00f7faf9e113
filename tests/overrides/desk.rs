//! A small catalog, a controller with a clock that is moved by hand, and an operator.

use std::sync::Arc;

use aya_gslb::catalog::EndpointId;
use aya_gslb::control::drills::{Plays, Run};
use aya_gslb::control::overrides::{Action, Clear, Override, Proposal, Refusal, Set, Which, Wish, propose};
use aya_gslb::control::{Controller, Effects, Event};
use aya_gslb::health::Status;
use aya_gslb::units::{Moment, Permille};
use aya_gslb::world::World;

use crate::small::{HOUR, MINUTE, START, answer, endpoint_id, loaded, two_countries, words};

/// `api` serves Germans from the EU only: from Frankfurt, else from Ireland; `shop` serves anybody from anywhere. Clients of 20.0.0.0/8 are in
/// Germany, those of 30.0.0.0/8 in the United States. Nothing is probed.
pub(crate) const ZONE: &str = concat!(
    two_countries!(),
    r#"[service.api]
residency = ["eu-personal"]
[service.api.endpoint.aws-eu-west-1]
a = ["192.0.2.1"]
[service.api.endpoint.gcp-europe-west3]
a = ["192.0.2.2"]
[service.api.endpoint.aws-us-east-1]
a = ["192.0.2.3"]
[service.shop.endpoint.aws-eu-west-1]
a = ["192.0.2.11"]
[service.shop.endpoint.gcp-europe-west3]
a = ["192.0.2.12"]
[service.shop.endpoint.aws-us-east-1]
a = ["192.0.2.13"]
"#
);

/// A drain of this selector by anna for maintenance, for four hours, at once.
pub(crate) fn drain(selector: &str) -> Set {
    Set {
        selector: selector.parse().unwrap(),
        action: Action::Drain { over_ms: 0 },
        why: words("maintenance"),
        who: words("anna"),
        life_ms: 4 * HOUR,
        force: None,
    }
}

pub(crate) fn act(selector: &str, action: Action) -> Set {
    Set { action, ..drain(selector) }
}

/// A drill that begins at once, by anna for practice, for five minutes.
pub(crate) fn run(selector: &str, plays: Plays) -> Run {
    Run {
        selector: selector.parse().unwrap(),
        plays,
        life_ms: 5 * MINUTE,
        pre_roll_ms: Some(0),
        why: words("practice"),
        who: words("anna"),
        force: None,
        without: Vec::new(),
        errors: Permille(1_000),
    }
}

/// A controller, and the operator before it.
pub(crate) struct Desk {
    pub(crate) controller: Controller,
    pub(crate) now: Moment,
}

impl Desk {
    pub(crate) fn new(toml: &str) -> Self {
        let (catalog, geo) = loaded(toml);
        Self { controller: Controller::new(catalog, geo, START), now: START }
    }

    pub(crate) fn world(&self) -> &World {
        self.controller.world()
    }

    /// What would come of a wish; nothing changes.
    pub(crate) fn propose(&self, wish: &Wish) -> Result<Proposal, Refusal> {
        propose(self.controller.world(), self.controller.overrides(), &[&self.controller.drills().moves, self.controller.moves()].concat(), wish, self.now)
    }

    /// Has a wish granted, as the edge does it.
    pub(crate) fn wish(&mut self, wish: &Wish) -> Result<(Proposal, Effects), Refusal> {
        let proposal = self.propose(wish)?;
        let event = Event::Overridden { overrides: Arc::new(proposal.next.clone()), why: "set by anna: maintenance".into() };
        let effects = self.controller.handle(event, self.now);
        Ok((proposal, effects))
    }

    pub(crate) fn set(&mut self, set: Set) -> Override {
        self.wish(&Wish::Set(set)).unwrap_or_else(|refusal| panic!("{refusal}")).0.made.unwrap()
    }

    pub(crate) fn refused(&self, set: Set) -> Refusal {
        self.propose(&Wish::Set(set)).expect_err("it is granted")
    }

    pub(crate) fn clear(&mut self, selector: &str) -> Result<(Proposal, Effects), Refusal> {
        let which = selector.parse::<u64>().map_or_else(|_| Which::Selector(selector.parse().unwrap()), Which::Id);
        self.wish(&Wish::Clear(Clear { which, why: words("restored"), who: words("bob") }))
    }

    pub(crate) fn pass(&mut self, millis: u64) -> Effects {
        self.now = self.now.plus_millis(millis);
        self.controller.handle(Event::Tick, self.now)
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

    /// How many of a thousand German clients of the shop get each endpoint.
    pub(crate) fn shop_clients_at(&self, endpoint: &str) -> usize {
        let client = |number: u16| [20, number.to_be_bytes()[0], number.to_be_bytes()[1], 0];
        (0..1_000).filter(|number| self.answer("shop", client(*number)).0 == endpoint).count()
    }
}
