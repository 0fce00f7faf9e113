//! `_why.SERVICE`: the decision told in TXT, to networks that may ask.

use std::sync::Arc;

use aya_gslb::answer::Policy;
use aya_gslb::health::{Fault, Intent, Status};
use aya_gslb::units::Moment;
use aya_gslb::world::{Deed, Note, Played, Rehearsal};

use crate::support::ask::{Query, Reply, query};
use crate::support::*;

fn policy() -> Policy {
    Policy { why_networks: ["192.0.2.0/24", "127.0.0.0/8"].map(|prefix| prefix.parse().unwrap()).into(), ..Policy::default() }
}

fn why(name: &str) -> Query {
    query(&format!("_why.{name}.example.com"), TXT).edns()
}

/// The texts of the answer.
fn texts(reply: &Reply) -> Vec<String> {
    let text = |record: &hickory_proto::rr::Record| match &record.data {
        hickory_proto::rr::RData::TXT(txt) => {
            assert_eq!(record.ttl, 1, "it tells of this moment");
            txt.txt_data.iter().flat_map(|string| string.iter().map(|octet| char::from(*octet))).collect()
        }
        other => panic!("{other:?}"),
    };
    reply.message().answers.iter().map(text).collect()
}

#[test]
fn whoever_may_ask_is_told_the_decision_for_its_own_place() {
    let world = world();
    for (subnet, first) in [("198.51.100.0/24", "eu"), ("203.0.113.0/24", "us")] {
        let reply = why("api").subnet(subnet).ask_by(&policy(), &world);
        let texts = texts(&reply);
        assert!(
            texts[0].starts_with(&format!("api.example.com. for {subnet} (")) || texts[0].starts_with(&format!("api.example.com for {subnet} (")),
            "{texts:?}"
        );
        assert!(texts[1].starts_with(&format!("1. {first} (up, answered): ")) && texts[1].contains(" rtt + "), "{texts:?}");
        assert!(texts[2].starts_with("2. "), "{texts:?}");
        assert!(texts[3].starts_with(&format!("answer: {first}, TTL 30 s (steady), scope /")), "{texts:?}");
        let scope = query("api.example.com", A).subnet(subnet).ask(&world).scope();
        assert_eq!((reply.is_authoritative(), reply.scope()), (true, scope), "SCOPE is that of the decision");
    }
}

#[test]
fn law_and_health_are_told() {
    let mut world = world();
    let texts_of = |world: &aya_gslb::world::World, name: &str| texts(&why(name).subnet("198.51.100.0/24").ask_by(&policy(), world)).join("\n");
    let lawful = texts_of(&world, "lawful");
    assert!(lawful.contains("residency: german-data binds this client"), "{lawful}");
    assert!(lawful.contains(r#"us (up, out: residency "german-data" does not allow a region in US for this client)"#), "{lawful}");
    assert!(texts_of(&world, "foreign").contains("answer: NODATA"));
    publish(&mut world, "api.example.com", "eu", DOWN);
    let down = texts_of(&world, "api");
    assert!(down.contains("eu (down, out: it is down)") && down.contains("answer: us"), "{down}");
}

#[test]
fn the_resolver_is_the_client_where_no_subnet_is() {
    let text = texts(&why("api").from("127.0.0.1").ask_by(&policy(), &world()));
    assert!(text[0].contains(" for 127.0.0.1/32 ("), "{text:?}");
    for (subnet, scope) in [("0.0.0.0/0", 0), ("192.168.0.0/16", 16)] {
        let reply = why("api").subnet(subnet).ask_by(&policy(), &world());
        let same = query("api.example.com", A).subnet(subnet).ask(&world()).scope();
        assert!(texts(&reply)[0].contains(" for 192.0.2.250/32 ("), "{subnet}");
        assert_eq!((reply.scope(), same), (Some(scope), Some(scope)), "{subnet}");
    }
}

#[test]
fn to_others_the_name_is_what_the_zone_says() {
    let world = world();
    for name in ["api", "one.tenant"] {
        for (policy, source) in [(policy(), "198.51.100.1"), (Policy::default(), "127.0.0.1")] {
            let reply = why(name).from(source).ask_by(&policy, &world);
            let plain = query(&format!("_other.{name}.example.com"), TXT).edns().from(source).ask(&world);
            assert_eq!((reply.rcode(), reply.counts()), (plain.rcode(), plain.counts()), "{name} from {source}");
        }
    }
    assert_eq!(why("api").from("198.51.100.1").ask_by(&policy(), &world).rcode(), "NXDOMAIN");
}

#[test]
fn a_service_by_wildcard_is_explained_and_what_is_no_service_is_not() {
    let world = world();
    let reply = why("one.tenant").ask_by(&policy(), &world);
    assert!(texts(&reply)[0].contains("tenant.example.com"), "{reply:?}");
    for name in ["web", "missing", "empty", "any.wild"] {
        let reply = why(name).ask_by(&policy(), &world);
        let plain = query(&format!("_other.{name}.example.com"), TXT).edns().ask(&world);
        assert_eq!((reply.rcode(), reply.counts()), (plain.rcode(), plain.counts()), "{name}");
    }
    assert_eq!(query("_why.example.org", TXT).ask_by(&policy(), &world).rcode(), "REFUSED");
    assert_eq!(query("_why", TXT).ask_by(&policy(), &world).rcode(), "REFUSED");
}

#[test]
fn the_name_exists_with_other_types_for_who_may_ask() {
    let world = world();
    for qtype in [A, AAAA, MX] {
        let reply = query("_WHY.api.example.com", qtype).ask_by(&policy(), &world);
        assert_eq!((reply.rcode(), reply.counts()), ("NOERROR", [1, 0, 1, 0]));
    }
    assert_eq!(query("_wHy.api.example.com", ANY).edns().ask_by(&policy(), &world).rcode(), "NOERROR");
}

#[test]
fn an_explanation_that_does_not_fit_is_truncated_whole() {
    let world = world();
    let small = query("_why.api.example.com", TXT).udp_size(512).ask_by(&policy(), &world);
    let large = why("api").ask_by(&policy(), &world);
    assert!(!large.is_truncated() && large.octets.len() <= 1232);
    assert_eq!(small.is_truncated(), large.octets.len() > 512);
    assert_eq!(small.answers().len(), if small.is_truncated() { 0 } else { large.answers().len() });
}

#[test]
fn who_may_ask_is_told_who_drained_what_and_why_and_nobody_else_is() {
    let mut world = world();
    let note = Note { id: 7, deed: Deed::Drained, who: "anna".into(), why: "maintenance".into(), made: Moment(0), until: Moment(50_700_000) };
    for service in ["api", "foreign"] {
        let id = endpoint(&world, &format!("{service}.example.com"), "eu");
        let (intent, deed) = if service == "api" { (Intent::Drain, Deed::Drained) } else { (Intent::Out, Deed::Out) };
        world.statuses.of[id.index()] = Status { intent, ..Status::UP };
        let mut notes = (*world.notes).clone();
        notes.of = notes.of.iter().copied().chain([(id, u16::try_from(notes.all.len()).unwrap())]).collect();
        notes.all = notes.all.into_iter().chain([Note { deed, ..note.clone() }]).collect();
        world.notes = notes.into();
    }
    let told = texts(&why("api").subnet("198.51.100.0/24").ask_by(&policy(), &world)).join("\n");
    assert!(told.contains("eu (up, draining, out: it is drained by anna until 14:05 UTC: maintenance)"), "{told}");
    publish(&mut world, "api.example.com", "us", DOWN);
    for (name, plain, named) in [
        ("api.example.com", "only draining endpoints are up: answered from them", "; drained by anna until 14:05 UTC: maintenance"),
        ("foreign.example.com", "residency and overrides leave nothing for this client", "; taken out by anna until 14:05 UTC: maintenance"),
    ] {
        let text = |policy: &Policy| query(name, A).subnet("198.51.100.0/24").ask_by(policy, &world).ede_text();
        assert_eq!(text(&policy()), Some(format!("{plain}{named}")));
        assert_eq!(text(&Policy::default()).as_deref(), Some(plain), "an error's text goes to anybody");
    }
}

#[test]
fn the_text_of_an_extended_error_names_the_drill_only_to_networks_that_may_ask() {
    let mut world = world();
    for endpoint in ["eu", "us"] {
        publish(&mut world, "api.example.com", endpoint, DOWN);
    }
    let endpoints: Vec<_> = ["eu", "us"].iter().map(|name| endpoint(&world, "api.example.com", name)).collect();
    let services = [world.catalog.endpoint(endpoints[0]).service].into();
    let mut endpoints = endpoints.into_boxed_slice();
    endpoints.sort_unstable();
    let drill = Rehearsal {
        id: 3,
        deed: Played::Fault(Fault::Fail),
        running: true,
        who: "anna".into(),
        why: "game day".into(),
        starts: Moment(0),
        ends: Moment(50_700_000),
        endpoints,
        services,
        probes: [].into(),
    };
    world.drill = Some(Arc::new(drill));
    let ask = |policy: &Policy| query("api.example.com", A).edns().ask_by(policy, &world).ede_text();
    let told = "all endpoints down: answered as if up; failing in drill 3 by anna until 14:05 UTC: game day";
    assert_eq!(ask(&policy()).as_deref(), Some(told));
    assert_eq!(ask(&Policy::default()).as_deref(), Some("all endpoints down: answered as if up"));
}
