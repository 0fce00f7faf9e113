//! DNSSEC: only what an unsigned zone has to do with it.

use crate::support::ask::query;
use crate::support::*;

#[test]
fn rfc4035_3_1_4_1_ds_of_a_cut_is_answered_by_the_parent_side() {
    let world = world();
    let reply = query("child.example.com", DS).ask(&world);
    assert_eq!((reply.rcode(), reply.is_authoritative(), reply.counts()), ("NOERROR", true, [1, 1, 0, 0]));
    let reply = query("big.example.com", DS).ask(&world);
    assert_eq!((reply.rcode(), reply.is_authoritative(), reply.counts()), ("NOERROR", true, [1, 0, 1, 0]), "an insecure delegation has none");
    assert!(reply.authorities()[0].starts_with("example.com. "));
    let reply = query("host.child.example.com", DS).ask(&world);
    assert_eq!((reply.is_authoritative(), reply.counts()[2]), (false, 3), "below the cut it is the child's");
}

#[test]
fn rfc4035_3_1_4_1_ds_of_an_apex_is_answered_by_the_zone_above_if_it_is_ours() {
    let world = world();
    let reply = query("inner.example.com", DS).ask(&world);
    assert_eq!((reply.rcode(), reply.is_authoritative()), ("NOERROR", true));
    assert!(reply.authorities()[0].starts_with("example.com. "), "{:?}", reply.authorities());
    let reply = query("example.com", DS).ask(&world);
    assert!(reply.authorities()[0].starts_with("example.com. "), "the zone above is not ours");
    let reply = query("signed.example.com", DS).ask(&world);
    assert_eq!((reply.rcode(), reply.is_authoritative(), reply.counts()), ("NOERROR", true, [1, 1, 0, 0]), "what the parent says of it is kept");
}

#[test]
fn rfc4035_3_1_6_ad_and_cd_are_clear() {
    let world = world();
    let reply = query("web.example.com", A).flags(0x0030).edns_flags(0x8000).ask(&world);
    assert_eq!(reply.flags() & 0x0030, 0);
}
