//! What `gate` and `max-moved` ask of a reload, and what a reload's moves mean to others.

use std::sync::Arc;

use aya_gslb::control::drills::{self, Drills, Plays, Run};
use aya_gslb::control::overrides::{Action, Move, Refusal, Unsafe};
use aya_gslb::control::{Controller, Event, Refused};
use aya_gslb::health::Intent;
use aya_gslb::units::Permille;

use crate::desk::{Desk, ZONE, act, drain, run};
use crate::small::{GERMAN, HOUR, MINUTE, loaded};

const FRANKFURT: &str = "[service.shop.endpoint.gcp-europe-west3]\n";
const VIRGINIA: &str = "[service.shop.endpoint.aws-us-east-1]\n";
const LIMITED: &str = "\n[safety]\nmax-moved = \"30 %\"\nper = \"10min\"\n";
const GATED: &str = "\n[safety]\ngate = \"30s\"\n";

/// The zone with these rules.
fn with(safety: &str) -> String {
    format!("{ZONE}{safety}")
}

/// The zone without clients for the shop in Frankfurt: Germans, half of its clients, go to Ireland.
fn without_frankfurt(toml: &str) -> String {
    toml.replace(FRANKFURT, &format!("{FRANKFURT}weight = 0\n"))
}

/// The zone without clients for the shop in Virginia: Americans, the other half, go to Europe.
fn without_virginia(toml: &str) -> String {
    toml.replace(VIRGINIA, &format!("{VIRGINIA}weight = 0\n"))
}

impl Desk {
    /// Loads other files, and tells why they are refused if they are.
    pub(crate) fn reload(&mut self, toml: &str) -> Option<Refused> {
        let (catalog, geo) = loaded(toml);
        let was = self.controller.moves().to_vec();
        let effects = self.controller.handle(Event::Reloaded { catalog, geo, allow_shrink: false }, self.now);
        assert_eq!(effects.plan.is_some(), effects.refusal.is_none(), "what is refused changes nothing");
        assert!(effects.persist || *self.controller.moves() == *was, "what was moved is written at once");
        effects.refusal
    }

    /// The share of all clients that the last reload moved.
    pub(crate) fn moved(&self) -> Option<u16> {
        self.controller.moves().last().map(|moved| moved.share.0)
    }
}

/// The rule that a reload broke.
pub(crate) fn held(refused: Option<Refused>) -> Unsafe {
    match refused {
        Some(Refused::MovesClients { rule, .. }) => rule,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_reload_that_moves_too_many_clients_is_refused_and_may_be_done_in_parts() {
    let mut desk = Desk::new(&with(LIMITED));
    let both = without_virginia(&without_frankfurt(&with(LIMITED)));
    let generation = desk.world().generation;
    let refused = desk.reload(&both).unwrap();
    assert!(
        refused.to_string().contains("it would move 50 % of all clients after 0 %") && refused.to_string().contains("move them in parts, or loosen"),
        "{refused}"
    );
    assert_eq!(held(Some(refused)), Unsafe::TooMuchMoved { would: Permille(500), already: Permille(0), most: Permille(300), per_s: 600 });
    assert_eq!((desk.world().generation, desk.answer("shop", GERMAN).0), (generation, "gcp-europe-west3".into()), "nothing has changed");
    assert_eq!(desk.reload(&without_frankfurt(&with(LIMITED))), None);
    desk.pass(10 * MINUTE);
    assert_eq!(desk.reload(&both), None);
    assert_eq!(desk.answer("shop", GERMAN).0, "aws-eu-west-1");
}

#[test]
fn what_is_held_tells_when_it_passes_and_then_does() {
    let mut desk = Desk::new(&(with(LIMITED) + "gate = \"30s\"\n"));
    assert_eq!(desk.reload(&without_frankfurt(&(with(LIMITED) + "gate = \"30s\"\n"))), None);
    desk.pass(1_500);
    let both = without_virginia(&without_frankfurt(&(with(LIMITED) + "gate = \"30s\"\n")));
    // The gate opens after half a minute, and then `max-moved` is still in the way.
    let Some(Refused::MovesClients { rule: Unsafe::Gate { ago_s: 1, gate_s: 30 }, passes_ms: Some(wait) }) = desk.reload(&both) else { panic!() };
    assert_eq!(wait, 10 * MINUTE - 1_500);
    desk.pass(wait - 1);
    assert!(desk.reload(&both).unwrap().to_string().contains("; reload again in 1 s, or loosen"));
    desk.pass(1);
    assert_eq!(desk.reload(&both), None);
}

#[test]
fn the_way_back_is_never_held_and_the_way_forth_is_again() {
    for rule in [GATED, LIMITED] {
        let mut desk = Desk::new(&with(rule));
        assert_eq!(desk.reload(&without_frankfurt(&with(rule))), None);
        desk.pass(10_000);
        assert_eq!(desk.reload(&with(rule)), None, "{rule}");
        assert_eq!((desk.moved(), desk.answer("shop", GERMAN).0), (Some(250), "gcp-europe-west3".into()));
        assert_eq!(desk.controller.moves().len(), 2, "back is a move, too");
        desk.pass(25_000);
        // The first move is past any gate, the way back is not.
        held(desk.reload(&without_frankfurt(&with(rule))));
    }
}

#[test]
fn the_way_back_goes_over_as_many_parts_as_the_way_forth_and_ends_after_a_day() {
    let parts = [with(LIMITED), without_frankfurt(&with(LIMITED)), without_virginia(&without_frankfurt(&with(LIMITED)))];
    let forth = |desk: &mut Desk| {
        for part in &parts[1..] {
            desk.pass(10 * MINUTE);
            assert_eq!(desk.reload(part), None);
        }
    };
    let mut desk = Desk::new(&parts[0]);
    forth(&mut desk);
    assert_eq!(desk.reload(&parts[0]), None);
    assert_eq!(desk.moved(), Some(500));
    let mut desk = Desk::new(&parts[0]);
    forth(&mut desk);
    desk.pass(25 * HOUR);
    held(desk.reload(&parts[0]));
}

#[test]
fn what_one_reload_moved_counts_for_the_next_one_until_the_time_is_over() {
    let mut desk = Desk::new(&with(LIMITED));
    assert_eq!(desk.reload(&without_frankfurt(&with(LIMITED))), None);
    assert_eq!(desk.moved(), Some(250));
    let both = without_virginia(&without_frankfurt(&with(LIMITED)));
    desk.pass(10 * MINUTE - 1);
    let rule = held(desk.reload(&both));
    assert_eq!(rule, Unsafe::TooMuchMoved { would: Permille(250), already: Permille(250), most: Permille(300), per_s: 600 });
    desk.pass(1);
    assert_eq!(desk.reload(&both), None);
}

#[test]
fn a_rule_is_loosened_by_a_reload_of_its_own_and_not_by_the_one_that_breaks_it() {
    let mut desk = Desk::new(&with(LIMITED));
    let looser = LIMITED.replace("30 %", "60 %");
    let both = |safety: &str| without_virginia(&without_frankfurt(&with(safety)));
    assert!(matches!(held(desk.reload(&both(&looser))), Unsafe::TooMuchMoved { most: Permille(300), .. }));
    assert_eq!(desk.reload(&with(&looser)), None);
    assert_eq!(desk.moved(), None, "a rule moves nobody");
    assert_eq!(desk.reload(&both(&looser)), None);
}

#[test]
fn a_reload_that_moves_nobody_passes_any_gate() {
    let mut desk = Desk::new(&with(GATED));
    desk.set(drain("service:shop region:gcp-*"));
    // Another address, a service more, a region that nobody is in: indices and frames are others, clients get what they got.
    let renewed = with(GATED).replace("192.0.2.12", "192.0.2.112")
        + "\n[region.aaa]\ncountry = \"DE\"\nat = [50.0, 8.0]\n[service.aaa.endpoint.aws-eu-west-1]\na = [\"192.0.2.21\"]\n";
    assert_eq!(desk.reload(&renewed), None);
    assert_eq!(desk.moved(), None);
    assert_eq!(desk.status("shop", "gcp-europe-west3").intent, Intent::Drain);
}

#[test]
fn a_new_endpoint_that_clients_will_go_to_counts_before_it_was_measured() {
    let mut desk = Desk::new(&with(LIMITED));
    let nearer = with(LIMITED) + "[region.here]\ncloud = \"on-prem\"\ncountry = \"DE\"\nat = [50.1, 8.7]\n[latency]\nDE.here = \"1 ms\"\n";
    let nearer = nearer + "[service.shop.endpoint.here]\na = [\"192.0.2.14\"]\nprobe.tcp = { port = 443 }\n[service.api.endpoint.here]\na = [\"192.0.2.4\"]\n";
    // Germans of the API; and of the shop everybody, for what is measured up comes before what nobody measures.
    assert!(matches!(held(desk.reload(&nearer)), Unsafe::TooMuchMoved { would: Permille(750), .. }));
}

#[test]
fn an_endpoint_of_the_same_name_in_another_region_is_another_one() {
    let mut desk = Desk::new(&with(LIMITED));
    let elsewhere = with(LIMITED).replace(FRANKFURT, &format!("{FRANKFURT}region = \"gcp-europe-west1\"\n"));
    assert_eq!(desk.reload(&elsewhere), None);
    assert_eq!(desk.moved(), Some(250));
}

#[test]
fn overrides_drills_and_reloads_wait_for_each_other_at_the_gate() {
    let mut desk = Desk::new(&with(GATED));
    desk.set(drain("service:api region:gcp-*"));
    desk.pass(29_999);
    assert_eq!(held(desk.reload(&without_frankfurt(&with(GATED)))), Unsafe::Gate { ago_s: 29, gate_s: 30 });
    desk.pass(1);
    assert_eq!(desk.reload(&without_frankfurt(&with(GATED))), None);
    desk.pass(1_000);
    assert!(matches!(desk.refused(drain("service:shop region:aws-us-*")), Refusal::Unsafe(Unsafe::Gate { ago_s: 1, gate_s: 30 })));
    let mut drill = run("service:shop region:aws-us-*", Plays::Drain);
    let propose = |desk: &Desk, drill: Run| {
        let known = (desk.controller.drills(), desk.controller.overrides(), desk.controller.moves());
        drills::propose(desk.world(), known.0, known.1, known.2, &drills::Wish::Run(drill), desk.now)
    };
    let refusal = propose(&desk, drill.clone()).unwrap_err().to_string();
    assert!(refusal.contains("moved 1 s ago"), "{refusal}");
    desk.pass(MINUTE);
    drill.pre_roll_ms = Some(50_000);
    let announced = propose(&desk, drill).unwrap().next;
    desk.controller.handle(Event::Drilled { drills: Arc::new(announced) }, desk.now);
    let both = without_virginia(&without_frankfurt(&with(GATED)));
    desk.pass(20_001);
    assert_eq!(held(desk.reload(&both)), Unsafe::Announced { in_s: 30, gate_s: 30 });
}

#[test]
fn a_drill_that_is_far_enough_ahead_closes_no_gate() {
    let mut desk = Desk::new(&with(GATED));
    let ahead = Drills { moves: vec![Move { at: desk.now.plus_millis(30_000), share: Permille(250) }], ..Drills::default() };
    desk.controller.handle(Event::Drilled { drills: Arc::new(ahead) }, desk.now);
    assert_eq!(desk.reload(&without_frankfurt(&with(GATED))), None);
}

#[test]
fn what_overrides_hold_away_already_is_not_moved_again() {
    let mut desk = Desk::new(&with(LIMITED));
    desk.set(drain("service:shop region:gcp-*"));
    desk.pass(10 * MINUTE);
    assert_eq!(desk.reload(&without_frankfurt(&with(LIMITED))), None);
    assert_eq!(desk.moved(), None, "they were gone");
    desk.set(act("service:shop region:gcp-*", Action::In));
}

#[test]
fn what_was_moved_is_known_after_a_restart() {
    let mut desk = Desk::new(&with(GATED));
    assert_eq!(desk.reload(&without_frankfurt(&with(GATED))), None);
    let state = desk.controller.state(desk.now);
    let (catalog, geo) = loaded(&without_frankfurt(&with(GATED)));
    let mut next = Desk { controller: Controller::new(catalog, geo, desk.now), now: desk.now };
    next.controller.handle(Event::Restored(state), next.now);
    next.pass(29_999);
    assert!(matches!(next.refused(drain("service:shop region:aws-us-*")), Refusal::Unsafe(Unsafe::Gate { ago_s: 29, .. })));
    next.pass(1);
    next.set(drain("service:shop region:aws-us-*"));
}

#[test]
fn of_many_services_those_that_are_changed_are_counted_and_no_others() {
    let shop = &ZONE[ZONE.find("[service.shop.").unwrap()..];
    let zone = |changed: usize| {
        let services = (0..400).map(|number| {
            // Each is of its own kind, so that none stands for another.
            let text =
                shop.replace("shop", &format!("shop-{number}")) + &format!("[service.shop-{number}.steering]\ndegraded-penalty = \"{} ms\"\n", 1 + number);
            if number < changed { text.replace("gcp-europe-west3]\n", "gcp-europe-west3]\nweight = 0\n") } else { text }
        });
        with(LIMITED) + &services.collect::<String>()
    };
    // Whatever else is around them, such as a region that nobody stands in.
    let region = "[region.aaa]\ncountry = \"DE\"\nat = [50.0, 8.0]\n";
    for (around, changed, moved) in [("", 1, 1), ("", 4, 4), ("", 200, 248), (region, 1, 1), (region, 127, 157), (region, 200, 248)] {
        let mut desk = Desk::new(&zone(0));
        assert_eq!(desk.reload(&(zone(changed) + around)), None);
        assert_eq!(desk.moved(), Some(moved), "half the clients of {changed} of 402 services; {around}");
    }
}
