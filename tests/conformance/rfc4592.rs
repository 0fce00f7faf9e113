//! Wildcards.

use crate::support::ask::query;
use crate::support::*;

#[test]
fn rfc4592_3_3_1_a_wildcard_stands_in_for_names_that_do_not_exist_below_its_parent() {
    let world = world();
    for asked in ["any.wild.example.com", "a.b.c.wild.example.com", "_x.any.wild.example.com"] {
        let reply = query(asked, TXT).ask(&world);
        assert_eq!((reply.rcode(), reply.is_authoritative()), ("NOERROR", true));
        assert_eq!(reply.answers(), [format!("{asked}. 300 TXT any card")], "the owner is QNAME");
    }
}

#[test]
fn rfc4592_2_2_1_a_name_that_exists_is_not_covered_nor_is_what_lies_below_it() {
    let world = world();
    let reply = query("taken.wild.example.com", TXT).ask(&world);
    assert_eq!((reply.rcode(), reply.counts()), ("NOERROR", [1, 0, 1, 0]));
    assert_eq!(query("below.taken.wild.example.com", TXT).ask(&world).rcode(), "NXDOMAIN");
}

#[test]
fn rfc4592_2_2_2_an_empty_non_terminal_exists() {
    let world = world();
    for asked in ["empty.example.com", "below.empty.example.com", "ent.wild.example.com", "wild.example.com", "_tcp.example.com"] {
        let reply = query(asked, TXT).ask(&world);
        assert_eq!((reply.rcode(), reply.is_authoritative(), reply.counts()), ("NOERROR", true, [1, 0, 1, 0]), "{asked}");
    }
    assert_eq!(query("other.ent.wild.example.com", TXT).ask(&world).rcode(), "NXDOMAIN", "and its wildcard would have to be its own child");
}

#[test]
fn rfc4592_3_3_1_a_wildcard_without_the_type_is_nodata() {
    let world = world();
    let reply = query("any.wild.example.com", A).ask(&world);
    assert_eq!((reply.rcode(), reply.counts()), ("NOERROR", [1, 0, 1, 0]));
}

#[test]
fn rfc4592_2_1_1_the_wildcard_itself_can_be_asked_for() {
    let world = world();
    assert_eq!(query("*.wild.example.com", TXT).ask(&world).answers(), ["*.wild.example.com. 300 TXT any card"]);
    assert_eq!(query("x.*.wild.example.com", TXT).ask(&world).rcode(), "NXDOMAIN");
}

#[test]
fn rfc4592_3_3_3_a_wildcard_cname_is_synthesised() {
    let world = world();
    assert_eq!(query("any.alias.example.com", A).ask(&world).answers(), ["any.alias.example.com. 300 CNAME web.example.com."]);
}

#[test]
fn rfc4592_3_3_1_a_steered_wildcard_answers_in_the_name_of_each_tenant() {
    let world = world();
    for tenant in ["one", "two"] {
        let asked = format!("{tenant}.tenant.example.com");
        let reply = query(&asked, A).subnet("203.0.113.0/24").ask(&world);
        assert_eq!(reply.answers(), [format!("{asked}. 30 A 192.0.2.2")]);
    }
}
