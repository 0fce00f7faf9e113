//! Extended errors.

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
    let ede = |world: &aya_gslb::world::World, asked: &str, qtype| query(asked, qtype).edns().ask(world).ede();
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
fn rfc8914_3_an_extended_error_is_left_out_when_it_does_not_fit() {
    let mut world = world();
    world.statuses.stale = true;
    // Sizes around the length of the reply without the extended error, which takes six octets.
    let full = query("wide.example.com", A).udp_size(1232).ask(&world);
    let len = u16::try_from(full.octets.len()).unwrap();
    assert_eq!((full.ede(), len > 512 + 6), (Some(3), false));
    let wide = query("wide.example.com", AAAA).udp_size(1232).ask(&world);
    let len = u16::try_from(wide.octets.len()).unwrap();
    for (size, ede) in [(len, Some(3)), (len - 1, None), (len - 6, None)] {
        let reply = query("wide.example.com", AAAA).udp_size(size).ask(&world);
        assert_eq!((reply.ede(), reply.is_truncated(), reply.answers().len()), (ede, false, 32), "{size} of {len} octets");
    }
}
