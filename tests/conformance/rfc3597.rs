//! Types and classes that nobody has heard of.

use crate::support::ask::query;
use crate::support::*;

#[test]
fn rfc3597_3_records_of_unknown_types_are_answered_as_they_are() {
    let world = world();
    let reply = query("new.example.com", 65_280).ask(&world);
    assert_eq!((reply.rcode(), reply.counts()), ("NOERROR", [1, 1, 0, 0]));
    assert!(reply.octets.ends_with(&[0xff, 0x00, 0, 1, 0, 0, 1, 44, 0, 4, 0, 1, 2, 3]));
}

#[test]
fn rfc3597_5_classes_other_than_in_are_refused() {
    let world = world();
    for class in [0, 2, 3, 4, 254, 255, 65_535] {
        let reply = query("web.example.com", A).class(class).edns().ask(&world);
        assert_eq!((reply.rcode(), reply.is_authoritative(), reply.counts()), ("REFUSED", false, [1, 0, 0, 1]), "class {class}");
    }
    assert_eq!(query("version.bind", TXT).class(3).ask(&world).rcode(), "REFUSED");
}
