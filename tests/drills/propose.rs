//! What may be played, and what may not.

use aya_gslb::control::drills::Plays;
use aya_gslb::control::overrides;
use aya_gslb::units::Permille;

use crate::desk::{Desk, ZONE, fail, play};
use crate::small::{MINUTE, SECOND, words};

#[test]
fn a_proposal_tells_who_will_move_and_what_nothing_can_be_played_with() {
    let desk = Desk::new(ZONE);
    let generation = desk.world().generation;
    let proposal = desk.propose(&fail("region:aws-us-east-1")).unwrap();
    assert_eq!((proposal.endpoints, proposal.services), (2, 2));
    assert_eq!(proposal.unprobed.iter().map(ToString::to_string).collect::<Vec<_>>(), ["bare.gslb.example.com/aws-us-east-1"]);
    let shop = proposal.moved.told.iter().find(|told| &*told.service == "shop.gslb.example.com").unwrap();
    assert_eq!((shop.ways[0].from.as_deref(), shop.ways[0].to.as_deref()), (Some("aws-us-east-1"), Some("aws-eu-west-1")));
    assert_eq!((desk.world().generation, desk.controller.drills().now.is_none()), (generation, true), "nothing has changed");
}

#[test]
fn wishes_that_cannot_be_are_refused_with_the_reason() {
    let desk = Desk::new(ZONE);
    assert!(desk.refused(&fail("region:aws-us-eats-1")).contains("did you mean region:aws-us-east-1?"));
    assert!(desk.refused(&fail("service:bare")).contains("matches no endpoint that is probed"));
    assert!(desk.propose(&play("service:bare region:aws-us-east-1", Plays::Drain)).is_ok());
    assert!(desk.refused(&aya_gslb::control::drills::Run { life_ms: 59 * SECOND, ..fail("service:shop region:aws-*") }).contains("from 1 minute to 2 hours"));
    assert!(desk.refused(&aya_gslb::control::drills::Run { life_ms: 121 * MINUTE, ..fail("service:shop region:aws-*") }).contains("from 1 minute to 2 hours"));
    let long = aya_gslb::control::drills::Run { pre_roll_ms: Some(121 * MINUTE), ..fail("service:shop region:aws-*") };
    assert!(desk.refused(&long).contains("announced for 2 hours at most"));
    assert!(desk.refused(&play("service:shop", Plays::Lossy(Permille(0)))).contains("0.1 %"));
}

#[test]
fn one_drill_at_a_time_is_played() {
    let mut desk = Desk::new(ZONE);
    desk.run(&fail("service:shop region:aws-us-east-1"));
    assert!(desk.refused(&fail("service:api region:aws-us-east-1")).starts_with("drill 1 is not over: a node plays one at a time"));
    desk.pass(MINUTE);
    assert_eq!(desk.run(&fail("service:api region:aws-us-east-1")).drill.id, 2);
}

#[test]
fn safety_rules_bind_drills_as_they_bind_overrides_and_yield_to_force_with_a_reason() {
    let desk = Desk::new(&format!("{ZONE}\n[safety]\nmin-regions = 2\n"));
    let last = desk.refused(&fail("service:api region:*eu*"));
    assert!(last.starts_with("it would take the last endpoint of api.gslb.example.com"), "{last}");
    let few = desk.refused(&fail("service:api region:gcp-*"));
    assert!(few.contains("`min-regions`"), "{few}");
    let mut forced = fail("service:api region:gcp-*");
    forced.force = Some(words("a game day"));
    let proposal = desk.propose(&forced).unwrap();
    assert_eq!((proposal.forced.len(), proposal.drill.forced.as_ref().map(aya_gslb::control::overrides::Words::as_str)), (1, Some("a game day")));
    assert!(desk.propose(&fail("service:shop region:gcp-*")).is_ok());
}

#[test]
fn drills_in_a_row_count_for_the_share_that_may_be_moved() {
    let mut desk = Desk::new(&format!("{ZONE}\n[safety]\nmax-moved = \"30%\"\n"));
    let run = fail("service:api region:gcp-*");
    let moved = desk.run(&run).moved.clients;
    assert!(moved > Permille(100) && moved < Permille(300), "{moved}");
    desk.pass(MINUTE);
    assert!(desk.refused(&run).contains("`max-moved` allows 30 %"));
}

/// The wish for a drain of what the drills here play with.
fn drain() -> overrides::Wish {
    overrides::Wish::Set(overrides::Set {
        selector: "service:api region:gcp-*".parse().unwrap(),
        action: overrides::Action::Drain { over_ms: 0 },
        why: words("maintenance"),
        who: words("anna"),
        life_ms: 60 * MINUTE,
        force: None,
    })
}

#[test]
fn a_drill_that_is_announced_closes_the_gate_and_says_when_it_begins() {
    let mut desk = Desk::new(&format!("{ZONE}\n[safety]\ngate = \"30s\"\n"));
    let mut run = fail("service:api region:aws-us-*");
    run.pre_roll_ms = Some(20_000);
    desk.run(&run);
    desk.pass(5_000);
    let refusal = overrides::propose(desk.world(), desk.controller.overrides(), &desk.controller.drills().moves, &drain(), desk.now).unwrap_err();
    assert!(refusal.to_string().starts_with("a drill that is announced moves clients in 15 s, and `gate` wants 30 s"), "{refusal}");
}

#[test]
fn what_a_drill_moved_counts_for_the_overrides_after_it() {
    let mut desk = Desk::new(&format!("{ZONE}\n[safety]\nmax-moved = \"30%\"\ngate = \"10m\"\n"));
    desk.run(&fail("service:api region:gcp-*"));
    desk.abort();
    desk.pass(MINUTE);
    let wish = drain();
    let propose = |drilled: &[overrides::Move]| overrides::propose(desk.world(), desk.controller.overrides(), drilled, &wish, desk.now);
    let refusal = propose(&desk.controller.drills().moves).expect_err("it is granted").to_string();
    assert!(refusal.contains("60 s ago, and `gate` wants 600 s"), "{refusal}");
    assert!(propose(&[]).is_ok(), "but for the drill it would be");
}

#[test]
fn what_a_drill_moves_counts_from_its_start_and_not_at_all_if_it_is_aborted_before() {
    let mut desk = Desk::new(ZONE);
    let mut run = fail("service:api region:gcp-*");
    run.pre_roll_ms = Some(MINUTE);
    let starts = desk.run(&run).drill.starts;
    let moves = |desk: &Desk| desk.controller.drills().moves.iter().map(|moved| moved.at).collect::<Vec<_>>();
    assert_eq!(moves(&desk), [starts]);
    desk.abort();
    assert_eq!(moves(&desk), []);
    run.pre_roll_ms = Some(0);
    desk.run(&run);
    desk.pass(SECOND);
    desk.abort();
    assert_eq!(moves(&desk).len(), 1);
}

#[test]
fn what_is_down_already_and_a_node_that_sees_nothing_are_no_place_to_practise() {
    let mut desk = Desk::new(ZONE);
    desk.dead.insert(1);
    desk.pass(5 * SECOND);
    assert_eq!(
        desk.refused(&fail("service:shop region:aws-us-east-1")),
        "shop.gslb.example.com/aws-eu-west-1 is down: this is no time to practise; to do it all the same, force it with a reason"
    );
    let mut desk = Desk::new(ZONE);
    desk.now = desk.now.plus_millis(MINUTE);
    desk.handle(aya_gslb::control::Event::Tick);
    assert!(desk.refused(&fail("service:shop region:aws-us-east-1")).contains("no fresh observations"));
}
