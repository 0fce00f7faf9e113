//! What operators may not do by accident.

use aya_gslb::control::overrides::{Action, Refusal, Unsafe, Wish};
use aya_gslb::control::{Controller, Event, Refused};
use aya_gslb::health::{Health, Intent, Observation, ProbeFailure, ProbeOutcome};
use aya_gslb::units::{Micros, Permille};

use crate::desk::{Desk, ZONE, act, drain};
use crate::small::{GERMAN, MINUTE, loaded, words};

/// The zone with these rules.
fn with(safety: &str) -> String {
    format!("{ZONE}\n[safety]\n{safety}\n")
}

fn broken(refusal: &Refusal) -> &Unsafe {
    match refusal {
        Refusal::Unsafe(rule) => rule,
        other => panic!("it is refused for another reason: {other}"),
    }
}

#[test]
fn the_last_endpoint_of_a_class_of_clients_is_never_taken_even_without_a_rule() {
    let mut desk = Desk::new(ZONE);
    // Americans have another one left, Germans by their law have none.
    let refusal = desk.refused(drain("service:api region:*eu*"));
    assert_eq!(broken(&refusal), &Unsafe::LastEndpoint { service: "api.gslb.example.com".into() });
    assert!(refusal.to_string().ends_with("force it with a reason"), "{refusal}");
    desk.set(drain("service:api region:aws-eu-*"));
    for action in [Action::Out, Action::Drain { over_ms: 0 }, Action::Drain { over_ms: MINUTE }, Action::Weight(Permille(0))] {
        assert!(matches!(broken(&desk.refused(act("service:api region:gcp-*", action))), Unsafe::LastEndpoint { .. }), "{action:?}");
    }
    desk.set(act("service:api region:gcp-*", Action::Weight(Permille(1))));
    desk.set(drain("service:shop region:*eu*"));
}

#[test]
fn a_forced_override_goes_past_the_rules_and_says_which() {
    let mut desk = Desk::new(ZONE);
    let mut set = act("service:api region:*eu*", Action::Out);
    set.force = Some(words("the law has changed"));
    let (proposal, _) = desk.wish(&Wish::Set(set)).unwrap();
    assert_eq!(proposal.forced, [Unsafe::LastEndpoint { service: "api.gslb.example.com".into() }]);
    assert_eq!(desk.answer("api", GERMAN).0, "nothing", "the law holds whatever is forced");
}

#[test]
fn so_many_regions_are_kept_for_every_class_of_clients() {
    let mut desk = Desk::new(&with("min-regions = 2"));
    let refusal = desk.refused(drain("service:api region:gcp-*"));
    assert_eq!(broken(&refusal), &Unsafe::FewRegions { service: "api.gslb.example.com".into(), left: 1, least: 2 });
    desk.set(drain("service:api region:aws-us-*")); // Germans never had it, and others keep two
    desk.set(drain("service:shop region:gcp-*"));
    assert!(matches!(broken(&desk.refused(drain("service:shop region:aws-us-*"))), Unsafe::FewRegions { left: 1, .. }));
    desk.clear("service:shop").unwrap();
}

#[test]
fn clients_are_moved_away_once_in_a_time_and_given_back_at_any() {
    let mut desk = Desk::new(&with("gate = \"30s\""));
    desk.set(drain("service:shop region:gcp-*"));
    desk.pass(29_999);
    assert_eq!(broken(&desk.refused(drain("service:api region:gcp-*"))), &Unsafe::Gate { ago_s: 29, gate_s: 30 });
    desk.set(act("service:api region:gcp-*", Action::In)); // keeps nobody away
    desk.clear("service:shop").unwrap();
    desk.pass(1);
    desk.set(drain("service:api region:gcp-*"));
}

#[test]
fn so_many_clients_are_moved_in_a_time_and_a_share_that_is_not_used_up_can_be() {
    let mut desk = Desk::new(&with("max-moved = \"40 %\"\nper = \"10min\""));
    let first = desk.propose(&Wish::Set(drain("service:shop region:gcp-*"))).unwrap().moved.clients;
    assert!(first > Permille(0) && first <= Permille(400), "{first}");
    desk.set(drain("service:shop region:gcp-*"));
    let refusal = desk.refused(drain("service:shop region:aws-eu-*"));
    let Unsafe::TooMuchMoved { would, already, most, per_s } = broken(&refusal) else { panic!("{refusal}") };
    assert_eq!((*already, *most, *per_s), (first, Permille(400), 600));
    assert!(already.0 + would.0 > most.0);
    desk.pass(10 * MINUTE);
    desk.set(drain("service:shop region:aws-eu-*"));
}

#[test]
fn a_reload_that_leaves_nobody_because_of_overrides_is_refused_unless_it_may_shrink() {
    let mut desk = Desk::new(ZONE);
    desk.set(drain("service:shop cloud:aws"));
    let law = "[residency.american]\nclients = [\"*\"]\nregions = [\"US\"]\nunknown = \"apply\"\n[service.shop]\nresidency = [\"american\"]\n";
    let stricter = ZONE.replace("[service.shop.endpoint.aws-eu-west-1]", &format!("{law}[service.shop.endpoint.aws-eu-west-1]"));
    let reload = |desk: &mut Desk, allow_shrink: bool| {
        let (catalog, geo) = loaded(&stricter);
        desk.controller.handle(Event::Reloaded { catalog, geo, allow_shrink }, desk.now).refusal
    };
    assert_eq!(reload(&mut desk, false), Some(Refused::LeavesFewRegions { service: "shop.gslb.example.com".into(), left: 0, least: 1 }));
    assert_eq!(reload(&mut desk, true), None);
    let mut desk = Desk::new(ZONE);
    assert_eq!(reload(&mut desk, false), None, "without the override it is as lawful as any");
}

#[test]
fn a_reload_that_leaves_too_few_regions_is_refused_unless_it_may_shrink() {
    let mut desk = Desk::new(&with("min-regions = 2"));
    desk.set(drain("service:shop region:gcp-*"));
    // The endpoint stays, by its name, and stands in a region that is there already.
    let moved = with("min-regions = 2").replace("[service.shop.endpoint.aws-us-east-1]", "[service.shop.endpoint.aws-us-east-1]\nregion = \"aws-eu-west-1\"");
    let reload = |desk: &mut Desk, allow_shrink: bool| {
        let (catalog, geo) = loaded(&moved);
        desk.controller.handle(Event::Reloaded { catalog, geo, allow_shrink }, desk.now).refusal
    };
    let generation = desk.world().generation;
    assert_eq!(reload(&mut desk, false), Some(Refused::LeavesFewRegions { service: "shop.gslb.example.com".into(), left: 1, least: 2 }));
    assert_eq!((desk.world().generation, desk.status("shop", "gcp-europe-west3").intent), (generation, Intent::Drain), "nothing has changed");
    assert_eq!(reload(&mut desk, true), None);
}

/// The zone with everything probed.
fn probed(safety: &str) -> String {
    let probe = "probe.tcp = { port = 443 }\n";
    let api = ZONE.replace("residency = [\"eu-personal\"]\n", &format!("residency = [\"eu-personal\"]\n{probe}"));
    let shop = api.replace("[service.shop.endpoint.aws-eu-west-1]", &format!("[service.shop]\n{probe}[service.shop.endpoint.aws-eu-west-1]"));
    format!("{shop}\n[safety]\n{safety}\n")
}

/// Lets the probe of an endpoint fail until it is down.
fn fail(controller: &mut Controller, endpoint: aya_gslb::catalog::EndpointId, desk_now: &mut aya_gslb::units::Moment) {
    let probe = controller.world().catalog.endpoint(endpoint).probes[0];
    for _ in 0..3 {
        *desk_now = desk_now.plus_millis(1_000);
        let epoch = controller.plan().epoch;
        let observation = Observation { at: *desk_now, outcome: ProbeOutcome::Failed(ProbeFailure::Refused), rtt: Micros(1_000), expires: None, drill: false };
        controller.handle(Event::Observed { epoch, probe, observation }, *desk_now);
    }
}

#[test]
fn no_rule_holds_up_the_removal_of_what_is_down_nor_counts_it_as_left() {
    let mut desk = Desk::new(&probed("min-regions = 2\ngate = \"24h\"\nmax-moved = \"0.1%\""));
    let [one, other] = [desk.id("shop", "gcp-europe-west3"), desk.id("shop", "aws-eu-west-1")];
    fail(&mut desk.controller, one, &mut desk.now);
    fail(&mut desk.controller, other, &mut desk.now);
    assert_eq!(desk.status("shop", "gcp-europe-west3").health, Health::Down);
    assert_eq!(desk.status("shop", "aws-eu-west-1").health, Health::Down, "fewer regions than the rule wants, and it is out of the answers all the same");
    assert_eq!(desk.answer("shop", GERMAN).0, "aws-us-east-1");
    assert!(matches!(broken(&desk.refused(drain("service:shop region:aws-us-*"))), Unsafe::LastEndpoint { .. }), "what is down is nobody to fall back on");
    desk.set(drain("service:shop region:gcp-*")); // nobody is moved from what is down
}

#[test]
fn each_family_that_is_decided_by_itself_keeps_an_endpoint() {
    let both = "a = [\"192.0.2.31\"]\naaaa = [\"2001:db8::31\"]";
    let toml = format!(
        "{ZONE}\n[service.six]\nfamilies = \"separate\"\n[service.six.endpoint.aws-eu-west-1]\n{both}\n[service.six.endpoint.gcp-europe-west3]\na = [\"192.0.2.32\"]\n"
    );
    let mut desk = Desk::new(&toml);
    assert!(matches!(broken(&desk.refused(drain("service:six region:aws-*"))), Unsafe::LastEndpoint { .. }), "nobody else has IPv6");
    desk.set(drain("service:six region:gcp-*"));
}
