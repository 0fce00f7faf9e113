//! Negative answers.

use aya_gslb::health::Status;

use crate::support::ask::query;
use crate::support::*;

const SOA_OF_NEGATIVES: &str = "example.com. 60 SOA ns1.example.com. hostmaster.example.com. 1 7200 900 1209600 60";

#[test]
fn rfc2308_2_1_a_name_that_does_not_exist_is_nxdomain_for_every_type() {
    let world = world();
    for qtype in [A, NS, SOA, CNAME, DS, HTTPS, ANY, 65_280] {
        let reply = query("missing.example.com", qtype).ask(&world);
        assert_eq!((reply.rcode(), reply.is_authoritative(), reply.counts()), ("NXDOMAIN", true, [1, 0, 1, 0]), "QTYPE {qtype}");
        assert_eq!(reply.authorities(), [SOA_OF_NEGATIVES]);
    }
}

#[test]
fn rfc2308_2_2_a_type_that_does_not_exist_is_nodata() {
    let world = world();
    for (asked, qtype) in [("example.com", A), ("web.example.com", AAAA), ("web.example.com", DS), ("example.com", DS), ("ns1.example.com", NS)] {
        let reply = query(asked, qtype).ask(&world);
        assert_eq!((reply.rcode(), reply.is_authoritative(), reply.counts()), ("NOERROR", true, [1, 0, 1, 0]), "{asked} {qtype}");
        assert_eq!(reply.authorities(), [SOA_OF_NEGATIVES]);
    }
}

#[test]
fn rfc2308_3_the_soa_of_a_negative_answer_lives_for_the_smaller_of_its_ttl_and_minimum() {
    let world = world();
    assert_eq!(query("missing.example.com", A).ask(&world).message().authorities[0].ttl, 60, "MINIMUM is the smaller");
    assert_eq!(query("missing.inner.example.com", A).ask(&world).message().authorities[0].ttl, 30, "the TTL is the smaller");
}

#[test]
fn rfc2308_2_2_a_service_has_nodata_for_types_that_it_does_not_have() {
    let world = world();
    // RFC 4074 §4: never NXDOMAIN, never SERVFAIL; resolvers ask for AAAA, HTTPS and CAA of everything.
    for qtype in [AAAA, CNAME, MX, NS, SOA, DS, 257, 65_280] {
        let reply = query("four.example.com", qtype).subnet("198.51.100.0/24").ask(&world);
        assert_eq!((reply.rcode(), reply.is_authoritative(), reply.counts()), ("NOERROR", true, [1, 0, 1, 1]), "QTYPE {qtype}");
        assert_eq!(reply.authorities(), [SOA_OF_NEGATIVES]);
        assert_eq!(reply.scope(), Some(0), "it is so for everybody");
        assert_eq!(reply.outcome.steered, None);
    }
    assert_eq!(query("api.example.com", TXT).ask(&world).answers(), ["api.example.com. 300 TXT steered"], "other types are static");
}

#[test]
fn rfc2308_5_an_empty_answer_by_policy_is_forgotten_as_soon_as_something_moving() {
    let mut world = world();
    let soa = "example.com. 5 SOA ns1.example.com. hostmaster.example.com. 1 7200 900 1209600 60";
    for endpoint in ["eu", "us"] {
        publish(&mut world, "silent.example.com", endpoint, DOWN);
    }
    let reply = query("silent.example.com", A).ask(&world);
    assert_eq!((reply.rcode(), reply.counts(), reply.authorities()), ("NOERROR", [1, 0, 1, 0], vec![soa.into()]), "when-all-down = nodata");
    let reply = query("foreign.example.com", A).subnet("198.51.100.0/24").ask(&world);
    assert_eq!((reply.rcode(), reply.authorities()), ("NOERROR", vec![soa.into()]), "when-none-left = nodata");
    assert_eq!(reply.scope(), Some(24), "it is so for this client only");
    assert_eq!(query("foreign.example.com", A).subnet("203.0.113.0/24").ask(&world).answers(), ["foreign.example.com. 30 A 192.0.2.2"]);
}

#[test]
fn rfc2308_7_a_service_fails_only_if_its_policy_says_so() {
    let mut world = world();
    let reply = query("foreign-servfail.example.com", A).subnet("198.51.100.0/24").ask(&world);
    assert_eq!((reply.rcode(), reply.is_authoritative(), reply.counts()), ("SERVFAIL", false, [1, 0, 0, 1]));
    for endpoint in ["eu", "us"] {
        publish(&mut world, "api.example.com", endpoint, DOWN);
    }
    let reply = query("api.example.com", A).subnet("198.51.100.0/24").ask(&world);
    assert_eq!((reply.rcode(), reply.answers().len()), ("NOERROR", 1), "all down: as if up");
    publish(&mut world, "api.example.com", "us", Status::UP);
    assert!(query("api.example.com", A).subnet("198.51.100.0/24").ask(&world).answers()[0].ends_with(" A 192.0.2.2"));
}
