//! Drills where clients do not return by themselves: only what is really left waits for its release.

use aya_gslb::control::drills::{Guard, Plays, Run};
use aya_gslb::control::{Event, waiting};

use crate::desk::{Desk, fail, play};
use crate::small::{AMERICAN, MINUTE, SECOND, two_countries};

/// A database in three tiers, seen through a probe every second, and what stands on it. Both wait for their operator.
const ZONE: &str = concat!(
    two_countries!(),
    r#"[probe.region.tcp]
port = 5432
interval = "1s"
timeout = "500ms"
fall = 3
rise = 3
[service.db]
probe = "region"
tiers = [["gcp-europe-west3"], ["aws-eu-west-1"], ["aws-us-east-1"]]
failback = "manual"
damping = "off"
ramp = "0s"
[service.db.endpoint.gcp-europe-west3]
a = ["192.0.2.1"]
probe-at = "127.0.0.1:1"
[service.db.endpoint.aws-eu-west-1]
a = ["192.0.2.2"]
probe-at = "127.0.0.1:2"
[service.db.endpoint.aws-us-east-1]
a = ["192.0.2.3"]
probe-at = "127.0.0.1:3"
[service.app]
probe = []
depends-on = "db"
tiers = [["gcp-europe-west3"], ["aws-eu-west-1"]]
failback = "manual"
damping = "off"
ramp = "0s"
[service.app.endpoint.gcp-europe-west3]
a = ["192.0.2.11"]
[service.app.endpoint.aws-eu-west-1]
a = ["192.0.2.12"]
"#
);

const FIRST: &str = "gcp-europe-west3";
const SECOND_TIER: &str = "aws-eu-west-1";

/// Where the clients of both are sent.
fn answers(desk: &Desk) -> [String; 2] {
    ["db", "app"].map(|service| desk.answer(service, AMERICAN).0)
}

/// Who is kept off its tiers, and which tiers these are.
fn waits(desk: &Desk) -> Vec<(String, Vec<u8>, Vec<u8>)> {
    let world = desk.world();
    waiting(world).map(|one| (world.catalog.service(one.service).label.to_string(), one.ready, one.failed)).collect()
}

/// Drills of the first and the second tier of the database.
fn drills() -> [Run; 4] {
    let each = |plays: Plays| [FIRST, SECOND_TIER].map(|region| play(&format!("service:db region:{region}"), plays));
    let [[a, b], [c, d]] = [Plays::Fail, Plays::Drain].map(each);
    [a, b, c, d]
}

#[test]
fn what_a_drill_takes_has_its_clients_back_when_it_is_over() {
    for run in drills() {
        let mut desk = Desk::new(ZONE);
        desk.run(&run);
        desk.pass(10 * SECOND);
        let is_first = run.selector.to_string().contains(FIRST);
        assert_eq!(answers(&desk)[0], if is_first { SECOND_TIER } else { FIRST }, "{}", run.plays);
        assert_eq!((waits(&desk), desk.controller.state(desk.now).failback), (vec![], vec![]), "{} {}", run.selector, run.plays);
        desk.pass(MINUTE);
        assert_eq!((answers(&desk), waits(&desk)), ([FIRST, FIRST].map(str::to_owned), vec![]), "{} {}", run.selector, run.plays);
        assert_eq!(desk.tiers, Vec::<String>::new(), "{} {}", run.selector, run.plays);
    }
}

#[test]
fn what_depends_on_it_waits_for_nobody_either() {
    let mut desk = Desk::new(ZONE);
    desk.run(&fail(&format!("service:db region:{FIRST}")));
    desk.pass(10 * SECOND);
    assert_eq!((answers(&desk), waits(&desk)), ([SECOND_TIER, SECOND_TIER].map(str::to_owned), vec![]));
    desk.abort();
    assert_eq!((answers(&desk), waits(&desk), desk.tiers.len()), ([FIRST, FIRST].map(str::to_owned), vec![], 0));
}

/// Both were left, and are up again.
fn left() -> Desk {
    let mut desk = Desk::new(ZONE);
    desk.dead.insert(1);
    desk.pass(5 * SECOND);
    desk.dead.clear();
    desk.pass(5 * SECOND);
    assert_eq!(answers(&desk), [SECOND_TIER, SECOND_TIER]);
    assert_eq!(waits(&desk), [("db".to_owned(), vec![0], vec![]), ("app".to_owned(), vec![0], vec![])]);
    desk.tiers.clear();
    desk
}

#[test]
fn what_waits_goes_on_waiting_whatever_was_played() {
    for run in drills() {
        let mut desk = left();
        let before = waits(&desk);
        desk.run(&run);
        desk.pass(10 * SECOND);
        let is_first = run.selector.to_string().contains(FIRST);
        assert_eq!(answers(&desk)[0], if is_first { SECOND_TIER } else { "aws-us-east-1" }, "{} {}", run.selector, run.plays);
        assert_eq!(desk.restarted(ZONE).controller.state(desk.now).failback, desk.controller.state(desk.now).failback);
        desk.pass(MINUTE);
        assert_eq!((answers(&desk), waits(&desk)), ([SECOND_TIER, SECOND_TIER].map(str::to_owned), before), "{} {}", run.selector, run.plays);
        assert_eq!(desk.tiers, Vec::<String>::new(), "{} {}", run.selector, run.plays);
    }
}

#[test]
fn what_is_really_left_ends_the_drill_and_waits_from_then_on() {
    let mut desk = Desk::new(ZONE);
    desk.run(&fail(&format!("service:db region:{FIRST}")));
    desk.pass(10 * SECOND);
    desk.dead.insert(1);
    desk.pass(4 * SECOND);
    assert!(desk.ceased().contains("gcp-europe-west3 is really down"), "{}", desk.ceased());
    desk.dead.clear();
    desk.pass(5 * SECOND);
    assert_eq!(answers(&desk), [SECOND_TIER, SECOND_TIER]);
    assert_eq!(waits(&desk), [("db".to_owned(), vec![0], vec![]), ("app".to_owned(), vec![0], vec![])]);
}

#[test]
fn what_really_failed_and_came_back_behind_a_drill_waits_when_that_is_over() {
    for region in [FIRST, SECOND_TIER] {
        let mut desk = Desk::new(ZONE);
        desk.run(&Run { without: vec![Guard::Incident], ..fail(&format!("service:db region:{region}")) });
        desk.pass(10 * SECOND);
        desk.dead.insert(1);
        desk.pass(5 * SECOND);
        desk.dead.clear();
        desk.pass(10 * SECOND);
        assert!(desk.over().is_none(), "{}", desk.ceased());
        let left = |service: &str| format!("{service}.gslb.example.com: tier 1 was left for tier 2, and waits from now on until it is released");
        assert_eq!(desk.tiers, [left("db"), left("app")], "as it would have been without the drill of {region}");
        desk.pass(MINUTE);
        assert_eq!(answers(&desk), [SECOND_TIER, SECOND_TIER], "{region}");
        assert_eq!(waits(&desk), [("db".to_owned(), vec![0], vec![]), ("app".to_owned(), vec![0], vec![])], "{region}");
    }
}

#[test]
fn a_process_that_goes_on_with_a_drill_latches_nothing_either() {
    let mut desk = Desk::new(ZONE);
    desk.run(&fail(&format!("service:db region:{FIRST}")));
    desk.pass(10 * SECOND);
    let mut next = desk.restarted(ZONE);
    assert_eq!(next.answer("db", AMERICAN).0, SECOND_TIER);
    next.pass(MINUTE);
    assert_eq!(next.ceased(), "its time was over");
    assert_eq!((answers(&next), waits(&next)), ([FIRST, FIRST].map(str::to_owned), vec![]));
}

#[test]
fn a_release_while_a_drill_runs_is_one_afterwards() {
    let mut desk = left();
    desk.run(&fail(&format!("service:db region:{SECOND_TIER}")));
    desk.pass(10 * SECOND);
    assert_eq!(desk.answer("db", AMERICAN).0, "aws-us-east-1", "the first tier waits still");
    desk.handle(Event::Released { services: ["db.gslb.example.com".into()].into(), why: "by anna: synced".into() });
    assert_eq!(desk.answer("db", AMERICAN).0, FIRST);
    desk.pass(MINUTE);
    assert_eq!((answers(&desk)[0].as_str(), waits(&desk)), (FIRST, vec![("app".to_owned(), vec![0], vec![])]));
}
