//! ANY.

use aya_gslb::catalog::Content;

use crate::support::ask::query;
use crate::support::*;

#[test]
fn rfc8482_4_1_any_gets_one_rrset() {
    let world = world();
    assert_eq!(query("web.example.com", ANY).ask(&world).answers(), ["web.example.com. 300 A 192.0.2.80"], "the smallest one");
    assert_eq!(query("api.example.com", ANY).ask(&world).answers(), ["api.example.com. 30 A 192.0.2.1"]);
    let reply = query("example.com", ANY).ask(&world);
    assert_eq!((reply.rcode(), reply.answers().len()), ("NOERROR", 1));
}

#[test]
fn rfc8482_4_1_any_never_gets_more_than_one_rrset_of_a_static_name() {
    let world = world();
    for node in world.catalog.owners.nodes() {
        let (Content::Records(sets) | Content::Service { records: sets, .. }) = &node.content else { continue };
        let reply = query(&node.name.to_string(), ANY).tcp().ask(&world);
        let mut types: Vec<_> = reply.message().answers.iter().map(|record| u16::from(record.record_type())).collect();
        types.dedup();
        assert_eq!((reply.rcode(), types.len()), ("NOERROR", 1), "{}: {} sets", node.name, sets.len());
    }
}

#[test]
fn rfc8482_4_any_of_a_name_that_is_empty_or_missing_is_what_it_is_for_other_types() {
    let world = world();
    assert_eq!(query("missing.example.com", ANY).ask(&world).rcode(), "NXDOMAIN");
    let reply = query("empty.example.com", ANY).ask(&world);
    assert_eq!((reply.rcode(), reply.counts()), ("NOERROR", [1, 0, 1, 0]));
    assert!(!query("child.example.com", ANY).ask(&world).is_authoritative());
}
