//! What a drill makes of observations, statuses and answers, from its announcement to what is left of it.

use std::sync::Arc;

use aya_gslb::control::Event;
use aya_gslb::control::drills::Plays;
use aya_gslb::control::overrides::{Action, Set, Wish, propose};
use aya_gslb::explain::{Question, explain};
use aya_gslb::health::{Health, Intent};
use aya_gslb::steer::Family;
use aya_gslb::units::Permille;

use crate::desk::{Desk, ZONE, fail, play};
use crate::small::{AMERICAN, GERMAN, MINUTE, SECOND, loaded, words};

#[test]
fn a_failing_region_is_detected_as_a_real_one_is_and_comes_back_when_the_drill_ends_by_itself() {
    let mut desk = Desk::new(ZONE);
    assert_eq!(desk.answer("api", GERMAN).0, "gcp-europe-west3");
    desk.run(&fail("region:gcp-europe-west3"));
    assert_eq!(desk.status("api", "gcp-europe-west3").health, Health::Up, "the first failed observation is yet to come");
    desk.pass(2 * SECOND);
    assert_eq!(desk.status("api", "gcp-europe-west3").health, Health::Up, "it takes as many as of a real failure");
    desk.pass(SECOND);
    assert_eq!(desk.status("api", "gcp-europe-west3").health, Health::Down);
    assert_eq!(desk.answer("api", GERMAN).0, "aws-eu-west-1", "and the law is kept: not America");
    assert!(desk.changes.iter().any(|told| told.contains("up → down") && told.contains("a drill has it fail, 3 in a row")), "{:?}", desk.changes);
    desk.pass(MINUTE - 3 * SECOND);
    assert!(desk.world().drill.is_none());
    assert_eq!((desk.ceased().as_str(), desk.answer("api", GERMAN)), ("its time was over", ("gcp-europe-west3".to_owned(), false)));
    assert_eq!(desk.status("api", "gcp-europe-west3").health, Health::Up, "what was really observed meanwhile counts at once");
}

#[test]
fn an_endpoint_outside_sees_a_probe_that_it_shares_as_it_is() {
    let mut desk = Desk::new(ZONE);
    assert_eq!(desk.world().catalog.probes.len(), 3, "api and shop share the probes of their regions");
    desk.run(&fail("service:api region:gcp-europe-west3"));
    desk.pass(10 * SECOND);
    assert_eq!((desk.status("api", "gcp-europe-west3").health, desk.status("shop", "gcp-europe-west3").health), (Health::Down, Health::Up));
    assert!(!desk.status("shop", "gcp-europe-west3").moving);
    assert!(desk.changes.iter().all(|told| !told.contains("shop")), "{:?}", desk.changes);
    // What the shared probe finds wrong in earnest, both see.
    desk.dead.insert(2);
    desk.pass(5 * SECOND);
    assert_eq!((desk.status("api", "gcp-europe-west3").health, desk.status("shop", "gcp-europe-west3").health), (Health::Down, Health::Down));
}

#[test]
fn an_announced_drill_shortens_the_ttl_and_changes_nothing_else_until_it_starts() {
    let mut desk = Desk::new(ZONE);
    assert!(!desk.answer("shop", GERMAN).1);
    let mut run = fail("region:gcp-europe-west3 service:shop");
    run.pre_roll_ms = None;
    let proposal = desk.run(&run);
    assert_eq!(proposal.drill.starts.millis_since(proposal.drill.made), 31 * SECOND, "the steady TTL of 30 s and a margin");
    assert_eq!(desk.answer("shop", GERMAN), ("gcp-europe-west3".to_owned(), true));
    assert!(!desk.answer("shop", AMERICAN).1, "who never gets it keeps the long one");
    desk.pass(31 * SECOND - 250);
    assert_eq!((desk.status("shop", "gcp-europe-west3").health, desk.controller.drills().current().unwrap().record.started), (Health::Up, None));
    desk.pass(5 * SECOND);
    assert_eq!(desk.answer("shop", GERMAN).0, "aws-eu-west-1");
    assert_eq!(desk.controller.drills().current().unwrap().record.started, Some(proposal.drill.starts));
}

#[test]
fn a_drill_drains_as_an_override_does_and_needs_no_probes() {
    let mut desk = Desk::new(ZONE);
    let proposal = desk.run(&play("region:aws-us-east-1", Plays::Drain));
    assert_eq!((proposal.endpoints, proposal.unprobed.len()), (3, 0));
    assert_eq!((desk.status("bare", "aws-us-east-1").intent, desk.status("bare", "aws-us-east-1").health), (Intent::Drain, Health::Unknown));
    assert_eq!(desk.answer("shop", AMERICAN).0, "aws-eu-west-1");
    desk.pass(MINUTE);
    assert_eq!((desk.status("bare", "aws-us-east-1").intent, desk.answer("shop", AMERICAN).0.as_str()), (Intent::None, "aws-us-east-1"));
}

#[test]
fn slowness_within_the_time_out_keeps_an_endpoint_and_beyond_it_takes_it() {
    let mut desk = Desk::new(ZONE);
    desk.run(&play("region:aws-us-east-1 service:shop", Plays::Slow(400)));
    desk.pass(10 * SECOND);
    assert_eq!(desk.status("shop", "aws-us-east-1").health, Health::Up);
    desk.abort();
    desk.run(&play("region:aws-us-east-1 service:shop", Plays::Slow(481)));
    desk.pass(10 * SECOND);
    assert_eq!(desk.status("shop", "aws-us-east-1").health, Health::Down);
}

#[test]
fn a_lossy_region_fails_the_same_probes_in_every_process() {
    let downs = || {
        let mut desk = Desk::new(ZONE);
        desk.run(&play("region:aws-us-east-1 service:shop", Plays::Lossy(Permille(600))));
        desk.pass(MINUTE - SECOND);
        desk.changes.iter().filter(|told| told.contains("→ down")).cloned().collect::<Vec<_>>()
    };
    assert!(!downs().is_empty());
    assert_eq!(downs(), downs());
}

#[test]
fn a_drill_leaves_no_penalty_behind_and_who_comes_back_by_itself_ramps() {
    let damped = ZONE.replace("[service.shop]", "[service.shop]\ndamping = { suppress = 1000, reuse = 500 }\nramp = \"2min\"");
    let mut desk = Desk::new(&damped);
    let run = fail("service:shop region:gcp-europe-west3");
    desk.run(&run);
    desk.pass(10 * SECOND);
    assert!(desk.status("shop", "gcp-europe-west3").damped, "while it lasts it is as if it were so");
    desk.pass(MINUTE - 10 * SECOND);
    let status = desk.status("shop", "gcp-europe-west3");
    assert_eq!((status.health, status.damped, status.ramp), (Health::Up, false, Permille(50)));
    let mut desk = Desk::new(&damped);
    desk.run(&run);
    desk.pass(10 * SECOND);
    desk.abort();
    let status = desk.status("shop", "gcp-europe-west3");
    assert_eq!((status.health, status.damped, status.ramp), (Health::Up, false, Permille::WHOLE), "aborted, everything is as before at once");
}

#[test]
fn what_depends_on_a_failing_endpoint_goes_with_it_and_comes_back() {
    let needy = ZONE.replace("[service.bare]", "[service.bare]\ndepends-on = [\"shop\"]\nramp = \"0s\"");
    let mut desk = Desk::new(&needy);
    let proposal = desk.run(&fail("service:shop region:aws-us-east-1"));
    assert!(proposal.moved.told.iter().any(|told| &*told.service == "bare.gslb.example.com"), "{:?}", proposal.moved);
    desk.pass(5 * SECOND);
    assert!(desk.status("bare", "aws-us-east-1").blocked);
    desk.abort();
    assert!(!desk.status("bare", "aws-us-east-1").blocked);
}

#[test]
fn an_explanation_names_the_drill() {
    let mut desk = Desk::new(ZONE);
    desk.run(&fail("service:shop region:gcp-europe-west3"));
    let told = |desk: &Desk| {
        let service = desk.world().catalog.service_named(&"shop.gslb.example.com".parse().unwrap()).unwrap();
        let told = explain(&Question { service, family: Family::V4, address: GERMAN.into(), source_len: 24 }, desk.world());
        told.endpoints.into_iter().find(|view| view.endpoint == "gcp-europe-west3").unwrap()
    };
    assert!(told(&desk).drill.unwrap().starts_with("failing in drill 1 by anna until "));
    desk.pass(5 * SECOND);
    let out = told(&desk).excluded.unwrap();
    assert!(out.starts_with("it is down: failing in drill 1 by anna until ") && out.ends_with(": practice"), "{out}");
}

#[test]
fn a_reload_keeps_the_drill_by_its_selector_and_ends_it_where_nothing_is_left() {
    let mut desk = Desk::new(ZONE);
    desk.run(&fail("service:shop region:gcp-europe-west3"));
    desk.pass(5 * SECOND);
    let reload = |desk: &mut Desk, toml: &str| {
        let (catalog, geo) = loaded(toml);
        desk.handle(Event::Reloaded { catalog, geo, allow_shrink: true });
    };
    let more = ZONE.replace(
        "[service.api]",
        "[service.aaa]\nprobe = \"region\"\n[service.aaa.endpoint.aws-eu-west-1]\na = [\"192.0.2.99\"]\nprobe-at = \"127.0.0.1:9\"\n[service.api]",
    );
    reload(&mut desk, &more);
    assert_eq!(desk.status("shop", "gcp-europe-west3").health, Health::Down, "indices are others, names are not");
    assert!(desk.world().drill.as_ref().unwrap().touches(desk.id("shop", "gcp-europe-west3")));
    desk.pass(5 * SECOND);
    assert_eq!((desk.status("shop", "gcp-europe-west3").health, desk.status("api", "gcp-europe-west3").health), (Health::Down, Health::Up));
    let less = ZONE.replace("[service.shop.endpoint.gcp-europe-west3]\na = [\"192.0.2.12\"]\nprobe-at = \"127.0.0.1:2\"\n", "");
    reload(&mut desk, &less);
    assert_eq!((desk.ceased().as_str(), desk.world().drill.is_none()), ("aborted: a reload left nothing that it is about", true));
}

#[test]
fn an_override_does_not_take_what_a_drill_leaves_the_last() {
    let mut desk = Desk::new(ZONE);
    let mut run = fail("service:api region:gcp-europe-west3");
    run.pre_roll_ms = Some(MINUTE);
    desk.run(&run);
    let set = Set {
        selector: "service:api region:aws-eu-west-1".parse().unwrap(),
        action: Action::Drain { over_ms: 0 },
        why: words("maintenance"),
        who: words("bob"),
        life_ms: 10 * MINUTE,
        force: None,
    };
    let wish = Wish::Set(set);
    let refusal = propose(desk.world(), desk.controller.overrides(), &[], &wish, desk.now).unwrap_err().to_string();
    assert!(refusal.contains("the last endpoint of api.gslb.example.com"), "{refusal}");
    desk.abort();
    let granted = propose(desk.world(), desk.controller.overrides(), &[], &wish, desk.now).unwrap();
    desk.handle(Event::Overridden { overrides: Arc::new(granted.next), why: "a test".into() });
    assert!(desk.refused(&run).contains("the last endpoint of api.gslb.example.com"), "and the other way round");
}
