//! What overrides do to statuses and answers, on a clock that is moved by hand.

use std::sync::Arc;

use aya_gslb::control::Event;
use aya_gslb::control::overrides::{Action, Refusal, Wish, moved};
use aya_gslb::explain::{Question, explain};
use aya_gslb::health::{Intent, Status};
use aya_gslb::steer::Family;
use aya_gslb::units::Permille;

use crate::desk::{Desk, ZONE, act, drain};
use crate::small::{AMERICAN, GERMAN, HOUR, MINUTE, loaded};

#[test]
fn a_drained_cloud_gives_no_answers_while_others_are_up_and_gives_them_again_when_it_is_restored() {
    let mut desk = Desk::new(ZONE);
    assert_eq!(desk.answer("shop", AMERICAN), ("aws-us-east-1".into(), false));
    desk.set(drain("cloud:aws"));
    assert_eq!(desk.answer("shop", AMERICAN), ("gcp-europe-west3".into(), false));
    assert_eq!(desk.status("api", "aws-us-east-1").intent, Intent::Drain);
    assert_eq!(desk.status("api", "gcp-europe-west3"), Status::UNMEASURED);
    let (proposal, effects) = desk.clear("cloud:aws").unwrap();
    assert_eq!(proposal.gone.len(), 1);
    assert_eq!(effects.intents.len(), 4);
    assert_eq!(effects.intents[0].to_string(), "api.gslb.example.com/aws-eu-west-1: drained → no override (set by anna: maintenance)");
    assert_eq!(desk.answer("shop", AMERICAN), ("aws-us-east-1".into(), false));
}

#[test]
fn an_override_ends_by_itself_and_says_so_once() {
    let mut desk = Desk::new(ZONE);
    let made = desk.set(drain("cloud:aws service:shop"));
    let generation = desk.world().generation;
    assert!(desk.pass(4 * HOUR - 1).expired.is_empty());
    assert_eq!(desk.world().generation, generation, "nothing is published for nothing");
    let effects = desk.pass(1);
    assert_eq!(effects.expired, [made]);
    assert_eq!(effects.intents[0].why.as_ref(), "the override has expired");
    assert_eq!(desk.status("shop", "aws-us-east-1"), Status::UNMEASURED);
    assert!(desk.world().notes.all.is_empty() && desk.controller.overrides().all.is_empty());
    assert!(desk.pass(MINUTE).expired.is_empty());
}

#[test]
fn one_that_ended_while_the_process_was_away_is_never_in_force() {
    let mut before = Desk::new(ZONE);
    before.set(drain("cloud:aws"));
    let last = before.set(Action::Weight(Permille(300)).of("region:gcp-* service:shop", 30 * MINUTE));
    let kept = Arc::clone(before.controller.overrides());
    let mut after = Desk::new(ZONE);
    after.now = last.expires;
    after.controller.handle(Event::Overridden { overrides: kept, why: "as before the restart".into() }, after.now);
    assert_eq!(after.status("shop", "gcp-europe-west3"), Status::UNMEASURED);
    assert_eq!(after.status("shop", "aws-eu-west-1").intent, Intent::Drain);
    assert_eq!(after.set(act("service:api region:aws-us-*", Action::In)).id, last.id + 1, "no number is given twice");
}

#[test]
fn the_most_restrictive_override_has_the_say_and_the_next_one_when_it_is_gone() {
    let mut desk = Desk::new(ZONE);
    let say = |desk: &Desk| {
        let status = desk.status("shop", "aws-us-east-1");
        (status.intent, status.share.0)
    };
    desk.set(act("cloud:aws service:shop", Action::In));
    assert_eq!(say(&desk), (Intent::In, 1000));
    desk.set(act("region:aws-us-* service:shop", Action::Weight(Permille(600))));
    assert_eq!(say(&desk), (Intent::None, 600));
    desk.set(act("endpoint:aws-us-* service:shop", Action::Weight(Permille(300))));
    assert_eq!(say(&desk), (Intent::None, 300));
    desk.set(drain("region:*-us-* service:shop"));
    assert_eq!(say(&desk), (Intent::Drain, 1000));
    let out = desk.set(act("region:aws-us-east-1 service:shop", Action::Out));
    assert_eq!(say(&desk), (Intent::Out, 1000));
    let note = desk.world().notes.about(desk.id("shop", "aws-us-east-1")).unwrap();
    assert_eq!(note.id, out.id);
    desk.clear(&out.id.to_string()).unwrap();
    assert_eq!(say(&desk), (Intent::Drain, 1000));
}

#[test]
fn a_new_override_of_the_same_selector_takes_the_place_of_the_old_one() {
    let mut desk = Desk::new(ZONE);
    let first = desk.set(act("service:shop cloud:aws", Action::Weight(Permille(200))));
    let (proposal, _) = desk.wish(&Wish::Set(act("cloud:aws service:shop", Action::Weight(Permille(800))))).unwrap();
    assert_eq!(proposal.gone, [first]);
    assert_eq!(desk.controller.overrides().all.len(), 1);
    assert_eq!(desk.status("shop", "aws-us-east-1").share, Permille(800));
}

#[test]
fn a_gradual_drain_takes_clients_away_in_even_steps_and_nobody_comes_back() {
    let mut desk = Desk::new(ZONE);
    let everybody = desk.shop_clients_at("gcp-europe-west3");
    assert_eq!(everybody, 1_000);
    desk.set(act("region:gcp-* service:shop", Action::Drain { over_ms: 9 * MINUTE }));
    let mut left = everybody;
    for step in 1..=9 {
        let now = desk.shop_clients_at("gcp-europe-west3");
        let meant = 1_000 - 100 * step;
        assert!(now < left && now.abs_diff(meant) < 60, "{now} clients after step {step}, {left} before");
        assert!(desk.answer("shop", GERMAN).1, "TTLs are short while it is on its way");
        left = now;
        assert_eq!(desk.pass(MINUTE).intents.len(), usize::from(step == 9), "steps on the way are no news; the end is");
    }
    assert_eq!(desk.status("shop", "gcp-europe-west3").intent, Intent::Drain);
    assert_eq!(desk.answer("shop", GERMAN), ("aws-eu-west-1".into(), false), "its end is no longer moving");
}

#[test]
fn a_drain_on_its_way_has_the_say_only_once_it_restricts_more_than_a_smaller_weight() {
    let mut desk = Desk::new(ZONE);
    desk.set(act("region:gcp-* service:shop", Action::Drain { over_ms: 9 * MINUTE }));
    desk.set(act("endpoint:gcp-* service:shop", Action::Weight(Permille(450))));
    let share = |desk: &Desk| (desk.status("shop", "gcp-europe-west3").share.0, desk.status("shop", "gcp-europe-west3").moving);
    assert_eq!(share(&desk), (450, true));
    desk.pass(5 * MINUTE);
    assert_eq!(share(&desk), (400, true));
}

#[test]
fn overrides_hold_across_a_reload_by_names_and_take_in_endpoints_that_are_new() {
    let mut desk = Desk::new(ZONE);
    desk.set(drain("cloud:aws"));
    // A service that sorts first: every index is another.
    let toml =
        format!("{ZONE}\n[service.aaa.endpoint.aws-ap-northeast-1]\na = [\"192.0.2.21\"]\n[service.aaa.endpoint.gcp-europe-west3]\na = [\"192.0.2.22\"]\n");
    let (catalog, geo) = loaded(&toml);
    let effects = desk.controller.handle(Event::Reloaded { catalog, geo, allow_shrink: false }, desk.now);
    assert_eq!(effects.refusal, None);
    let drained = |service: &str, endpoint: &str| desk.status(service, endpoint).intent == Intent::Drain;
    assert!(drained("aaa", "aws-ap-northeast-1") && drained("shop", "aws-us-east-1") && drained("api", "aws-eu-west-1"));
    assert!(!drained("aaa", "gcp-europe-west3") && !drained("shop", "gcp-europe-west3"));
    assert_eq!(desk.world().notes.about(desk.id("aaa", "aws-ap-northeast-1")).unwrap().who.as_ref(), "anna");
}

#[test]
fn services_that_differ_by_an_override_are_no_longer_decided_alike() {
    let twins = ZONE.replace("[service.shop.endpoint", "[service.shop-a.endpoint") + &ZONE[ZONE.find("[service.shop.").unwrap()..].replace("shop", "shop-b");
    let mut desk = Desk::new(&twins);
    let situation =
        |desk: &Desk, label: &str| desk.world().statuses.situations[desk.world().catalog.services.iter().position(|known| &*known.label == label).unwrap()];
    assert_eq!(situation(&desk, "shop-a"), situation(&desk, "shop-b"));
    desk.set(act("service:shop-a cloud:aws", Action::Weight(Permille(500))));
    assert_ne!(situation(&desk, "shop-a"), situation(&desk, "shop-b"));
}

#[test]
fn what_is_no_override_is_refused_with_a_hint_and_nothing_changes() {
    let desk = Desk::new(ZONE);
    let told = |selector: &str| desk.refused(drain(selector)).to_string();
    assert!(told("cloud:awz").contains("did you mean cloud:aws?"));
    assert!(told("region:aws-eu-wset-1").contains("did you mean region:aws-eu-west-1?"));
    assert!(told("service:shp").contains("did you mean service:shop?"));
    assert!(told("service:shop.gslb.exmple.com").contains("did you mean service:shop.gslb.example.com?"));
    assert!(told("zone:gslb.example.org").contains("did you mean zone:gslb.example.com?"));
    assert!(told("endpoint:gcp-europe-west4").contains("did you mean endpoint:gcp-europe-west3?"));
    assert!(told("cloud:aws region:gcp-*").contains("no endpoint matches all of them"));
    assert_eq!(desk.refused(crate::desk::drain("cloud:aws").living(MINUTE - 1)), Refusal::Life);
    assert_eq!(desk.refused(crate::desk::drain("cloud:aws").living(72 * HOUR + 1)), Refusal::Life);
    assert_eq!(desk.refused(act("cloud:aws", Action::Drain { over_ms: 4 * HOUR })), Refusal::Over);
    assert_eq!(desk.world().generation, 1);
}

#[test]
fn so_many_overrides_are_enough() {
    let mut desk = Desk::new(ZONE);
    for number in 0..aya_gslb::limits::OVERRIDES_MAX {
        desk.set(act(&format!("service:shop region:{}aws-us-*", "*".repeat(number + 1)), Action::In));
    }
    assert_eq!(desk.refused(act("service:api cloud:aws", Action::In)), Refusal::TooMany);
    desk.set(act("service:shop region:*aws-us-*", Action::In)); // takes the place of one
}

#[test]
fn a_selector_clears_what_is_about_its_endpoints_alone() {
    let mut desk = Desk::new(ZONE);
    desk.set(drain("region:aws-us-east-1 service:shop"));
    let wide = desk.set(act("service:shop", Action::Weight(Permille(500))));
    let refusal = desk.clear("region:aws-eu-*").unwrap_err();
    assert!(refusal.to_string().ends_with(&format!("clear by number what is about these and other endpoints: {}", wide.id)), "{refusal}");
    assert_eq!(desk.clear("cloud:aws").unwrap().0.gone.len(), 1, "the drain is about a part of it, the weight about more");
    assert_eq!(desk.clear("77").unwrap_err(), Refusal::NoSuch(77));
    assert_eq!(desk.clear(&wide.id.to_string()).unwrap().0.gone, [wide]);
}

#[test]
fn explanations_name_the_override() {
    let mut desk = Desk::new(ZONE);
    desk.set(drain("cloud:aws service:shop"));
    desk.set(act("region:gcp-* service:shop", Action::Weight(Permille(400))));
    let service = desk.world().catalog.service_named(&"shop.gslb.example.com".parse().unwrap()).unwrap();
    let told = explain(&Question { service, family: Family::V4, address: AMERICAN.into(), source_len: 24 }, desk.world());
    let text = told.to_string();
    assert!(text.contains("out: it is drained by anna until 02:13 UTC: maintenance"), "{text}");
    assert!(
        text.contains(
            "keeps 40.0 % of its clients (as an operator wishes), share 100.00 %] · held to 40 % of its clients by anna until 02:13 UTC: maintenance"
        ),
        "{text}"
    );
    assert_eq!(text.matches("drained by anna").count(), 2, "each endpoint says it once: {text}");
    assert!(told.brief(5).iter().any(|line| line.contains("drained by anna")), "{:?}", told.brief(5));
}

#[test]
fn who_would_move_is_told_by_the_code_that_answers() {
    let mut desk = Desk::new(ZONE);
    let before = desk.world().clone();
    let (proposal, _) = desk.wish(&Wish::Set(drain("region:gcp-* service:shop"))).unwrap();
    assert_eq!(proposal.moved, moved(&before, desk.world()));
    assert_eq!((proposal.moved.endpoints, proposal.moved.services), (1, 1));
    let service = &proposal.moved.told[0];
    assert_eq!(&*service.service, "shop.gslb.example.com");
    assert!(service.ways.iter().all(|way| way.from.as_deref() == Some("gcp-europe-west3") && way.to.is_some()), "{service:?}");
    assert!(service.clients > Permille(0) && proposal.moved.clients < service.clients, "{:?}", proposal.moved);
    assert_eq!(moved(desk.world(), desk.world()).clients, Permille(0));
}

/// Shorter ways to say some overrides.
trait Terms {
    fn of(self, selector: &str, life_ms: u64) -> aya_gslb::control::overrides::Set;
}

impl Terms for Action {
    fn of(self, selector: &str, life_ms: u64) -> aya_gslb::control::overrides::Set {
        act(selector, self).living(life_ms)
    }
}

trait Living {
    fn living(self, life_ms: u64) -> Self;
}

impl Living for aya_gslb::control::overrides::Set {
    fn living(mut self, life_ms: u64) -> Self {
        self.life_ms = life_ms;
        self
    }
}
