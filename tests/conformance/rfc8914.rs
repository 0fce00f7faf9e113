//! Extended errors.

use std::sync::Arc;

use aya_gslb::health::{Intent, Status};
use aya_gslb::units::Moment;
use aya_gslb::world::{Statuses, World};

use crate::support::ask::query;
use crate::support::*;

#[test]
fn rfc8914_2_an_extended_error_needs_an_opt() {
    let world = world();
    assert_eq!(query("example.org", A).ask(&world).counts(), [1, 0, 0, 0]);
    assert_eq!(query("example.org", A).edns().ask(&world).options(), [15]);
}

#[test]
fn rfc8914_4_21_names_of_other_zones_are_not_authoritative() {
    let world = world();
    for query in [query("example.org", A).edns(), query("web.example.com", A).class(3).edns()] {
        let reply = query.ask(&world);
        assert_eq!((reply.rcode(), reply.ede()), ("REFUSED", Some(20)));
    }
}

#[test]
fn rfc8914_4_4_a_steered_answer_from_a_view_of_health_that_is_no_longer_fed_is_stale() {
    let mut world = world();
    let ede = |world: &World, asked: &str, qtype| query(asked, qtype).edns().ask(world).ede();
    assert_eq!(ede(&world, "api.example.com", A), None);
    world.statuses.stale = true;
    for (asked, qtype) in [("api.example.com", A), ("api.example.com", AAAA), ("api.example.com", HTTPS), ("cdn.example.com", A)] {
        assert_eq!(ede(&world, asked, qtype), Some(3), "{asked} {qtype}");
    }
    for (asked, qtype) in [("web.example.com", A), ("missing.example.com", A), ("api.example.com", TXT)] {
        assert_eq!(ede(&world, asked, qtype), None, "{asked} {qtype} does not depend on health");
    }
}

#[test]
fn rfc9824_3_5_types_that_must_not_be_asked_for_are_malformed() {
    let world = world();
    for qtype in [128, OPT, 250] {
        let reply = query("web.example.com", qtype).edns().ask(&world);
        assert_eq!((reply.rcode(), reply.ede(), reply.counts()), ("FORMERR", Some(30), [1, 0, 0, 1]), "QTYPE {qtype}");
    }
}

#[test]
fn rfc8914_3_an_extended_error_is_left_out_when_it_does_not_fit_and_its_text_goes_first() {
    let mut world = world();
    world.statuses.stale = true;
    // Sizes around the length of the reply, whose extended error takes six octets and its text.
    let full = query("wide.example.com", A).udp_size(1232).ask(&world);
    let len = u16::try_from(full.octets.len()).unwrap();
    assert_eq!((full.ede(), len > 512 + 6), (Some(3), false));
    let wide = query("wide.example.com", AAAA).udp_size(1232).ask(&world);
    let text = u16::try_from(wide.ede_text().unwrap().len()).unwrap();
    let len = u16::try_from(wide.octets.len()).unwrap();
    for (size, ede, said) in [(len, Some(3), true), (len - 1, Some(3), false), (len - text, Some(3), false), (len - text - 1, None, false)] {
        let reply = query("wide.example.com", AAAA).udp_size(size).ask(&world);
        assert_eq!((reply.ede(), reply.is_truncated(), reply.answers().len()), (ede, false, 32), "{size} of {len} octets");
        assert_eq!(reply.ede_text().is_some_and(|text| !text.is_empty()), said, "{size} of {len} octets");
    }
}

#[test]
fn rfc8914_4_15_a_node_without_zones_is_not_ready() {
    let world = World { catalog: Arc::default(), statuses: Statuses::default(), ..world() };
    let reply = query("api.example.com", A).edns().ask(&world);
    assert_eq!((reply.rcode(), reply.ede(), reply.ede_text().as_deref()), ("REFUSED", Some(14), Some("no zones are loaded yet")));
}

#[test]
fn rfc8914_4_19_transfers_are_prohibited_and_4_22_other_operations_are_not_supported() {
    let world = world();
    for qtype in [251, 252] {
        let reply = query("example.com", qtype).edns().tcp().ask(&world);
        assert_eq!((reply.rcode(), reply.ede(), reply.ede_text().as_deref()), ("REFUSED", Some(18), Some("zones are not transferred")));
    }
    let notify = query("example.com", SOA).flags(0x2000).edns().ask(&world);
    assert_eq!((notify.rcode(), notify.ede()), ("NOTIMP", Some(21)));
}

#[test]
fn rfc8914_2_the_text_says_how_long_nobody_has_looked() {
    let mut world = world();
    world.statuses.stale = true;
    let text = |world: &World| query("api.example.com", A).edns().at(1_040).ask(world).ede_text();
    assert_eq!(text(&world).as_deref(), Some("stale: nothing was observed yet"));
    world.statuses.observed = Moment(1_000_000);
    assert_eq!(text(&world).as_deref(), Some("stale: no fresh observations for 40 s"));
    for endpoint in ["eu", "us"] {
        publish(&mut world, "api.example.com", endpoint, DOWN);
    }
    let both = "stale: no fresh observations for 40 s; all endpoints down: answered as if up";
    assert_eq!(text(&world).as_deref(), Some(both));
    world.statuses.doubting = true;
    let doubt = "stale: this node doubts its own network and holds what it knew; all endpoints down: answered as if up";
    assert_eq!(text(&world).as_deref(), Some(doubt));
}

#[test]
fn rfc8914_4_1_the_text_says_what_was_given_up_for_an_answer_and_an_ordinary_answer_says_nothing() {
    let mut world = world();
    for service in ["api", "silent"] {
        for endpoint in ["eu", "us"] {
            publish(&mut world, &format!("{service}.example.com"), endpoint, DOWN);
        }
    }
    let draining = Status { intent: Intent::Drain, ..Status::UP };
    publish(&mut world, "both.example.com", "eu", DOWN);
    publish(&mut world, "both.example.com", "us", draining);
    publish(&mut world, "four.example.com", "eu", DOWN);
    for (asked, said) in [
        ("api.example.com", Some("all endpoints down: answered as if up")),
        ("silent.example.com", Some("all endpoints down: no answer, as the service says")),
        ("foreign.example.com", Some("residency and overrides leave nothing for this client")),
        ("foreign-servfail.example.com", Some("residency and overrides leave nothing for this client")),
        ("both.example.com", Some("only draining endpoints are up: answered from them")),
        ("four.example.com", None),
        ("lawful.example.com", None),
        ("web.example.com", None),
    ] {
        let reply = query(asked, A).subnet("198.51.100.0/24").ask(&world);
        assert_eq!((reply.ede(), reply.ede_text().as_deref()), (said.map(|_| 0), said), "{asked}");
        assert_eq!(query(asked, A).ask(&world).answers(), query(asked, A).edns().ask(&world).answers(), "{asked}: the text changes no answer");
    }
}
