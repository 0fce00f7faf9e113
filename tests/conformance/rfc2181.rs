//! Clarifications: RRsets, TTLs, truncation, what a label may hold.

use crate::support::ask::query;
use crate::support::*;

#[test]
fn rfc2181_9_tc_is_set_when_an_answer_does_not_fit_and_the_rrset_is_dropped_whole() {
    let world = world();
    for (asked, plain, edns) in [("large.example.com", true, false), ("huge.example.com", true, true)] {
        let reply = query(asked, TXT).ask(&world);
        assert_eq!((reply.is_truncated(), reply.counts(), reply.rcode()), (plain, [1, 0, 0, 0], "NOERROR"), "{asked} in 512 octets");
        let reply = query(asked, TXT).udp_size(65_535).ask(&world);
        assert_eq!(reply.is_truncated(), edns, "{asked} in 1232 octets");
        assert_eq!(reply.counts(), [1, if edns { 0 } else { 4 }, 0, 1], "question and OPT stay");
        assert!(reply.outcome.truncated == edns && reply.octets.len() <= 1232);
        let reply = query(asked, TXT).tcp().ask(&world);
        assert_eq!((reply.is_truncated(), reply.answers().len()), (false, if edns { 20 } else { 4 }), "{asked} over TCP");
    }
}

#[test]
fn rfc2181_9_tc_is_not_set_when_only_additional_addresses_do_not_fit() {
    let world = world();
    let reply = query("many.example.com", MX).ask(&world);
    assert!(!reply.is_truncated() && reply.octets.len() <= 512);
    assert_eq!(reply.answers().len(), 15);
    let additional = reply.additionals();
    assert!(additional.len() < 75, "the world is too small for this test");
    for host in 0..15 {
        let owner = format!("mx{host}.example.com. ");
        assert!([0, 5].contains(&additional.iter().filter(|record| record.starts_with(&owner)).count()), "half an RRset of {owner}");
    }
    assert_eq!(query("many.example.com", MX).tcp().ask(&world).additionals().len(), 75);
}

#[test]
fn rfc2181_9_a_truncated_reply_keeps_the_subnet() {
    let world = world();
    let reply = query("huge.example.com", TXT).subnet("198.51.100.0/24").ask(&world);
    assert_eq!((reply.is_truncated(), reply.scope()), (true, Some(0)));
    let reply = query("wide.example.com", AAAA).udp_size(512).subnet("198.51.100.0/24").ask(&world);
    assert_eq!((reply.is_truncated(), reply.counts(), reply.scope()), (true, [1, 0, 0, 1], Some(24)));
}

#[test]
fn rfc2181_5_2_an_rrset_has_one_ttl_and_a_steered_one_has_that_of_its_service() {
    let mut world = world();
    let ttls =
        |world: &aya_gslb::world::World| -> Vec<u32> { query("both.example.com", A).ask(world).message().answers.iter().map(|record| record.ttl).collect() };
    assert_eq!(ttls(&world), [30, 30, 30]);
    let moving = aya_gslb::health::Status { moving: true, ..aya_gslb::health::Status::UP };
    publish(&mut world, "both.example.com", "us", moving);
    assert_eq!(ttls(&world), [5, 5, 5], "one endpoint of the answer is moving");
}

#[test]
fn rfc2181_5_an_rrset_has_no_duplicates() {
    let world = world();
    let reply = query("both.example.com", A).subnet("198.51.100.0/24").ask(&world);
    assert_eq!(
        reply.answers(),
        ["both.example.com. 30 A 192.0.2.4", "both.example.com. 30 A 192.0.2.5", "both.example.com. 30 A 192.0.2.6"],
        "192.0.2.4 is an address of both endpoints; the nearer endpoint comes first"
    );
}

#[test]
fn rfc2181_11_a_label_may_hold_any_octet() {
    let world = world();
    let reply = query(r"\000\255\.odd.example.com", TXT).ask(&world);
    assert_eq!((reply.rcode(), reply.answers().len()), ("NOERROR", 1));
    assert_eq!(query(r"\000\254\.odd.example.com", TXT).ask(&world).rcode(), "NXDOMAIN");
}
