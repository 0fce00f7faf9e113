//! HTTPS records.

use aya_gslb::health::Status;

use crate::support::ask::query;
use crate::support::*;

#[test]
fn rfc9460_7_3_hints_are_the_addresses_that_a_and_aaaa_get() {
    let mut world = world();
    for (prefix, down) in [("198.51.100.0/24", ""), ("203.0.113.0/24", ""), ("203.0.113.0/24", "us"), ("2001:db8:100::/48", "eu")] {
        for endpoint in ["eu", "us"] {
            publish(&mut world, "api.example.com", endpoint, if endpoint == down { DOWN } else { Status::UP });
        }
        let rdata = |qtype| query("api.example.com", qtype).subnet(prefix).ask(&world).answers()[0].rsplit(' ').next().unwrap().to_owned();
        let (a, aaaa) = (rdata(A), rdata(AAAA));
        let reply = query("api.example.com", HTTPS).subnet(prefix).ask(&world);
        let [record] = &reply.answers()[..] else { panic!("one record") };
        assert_eq!(*record, format!("api.example.com. 30 HTTPS 1 . alpn=h2, ipv4hint={a}, ipv6hint={aaaa},"));
        assert_eq!(reply.additionals(), [format!("api.example.com. 30 A {a}"), format!("api.example.com. 30 AAAA {aaaa}")]);
    }
}

#[test]
fn rfc9460_7_3_there_are_no_hints_where_families_are_decided_apart_or_none_are_wanted() {
    let world = world();
    for asked in ["apart.example.com", "four.example.com"] {
        let reply = query(asked, HTTPS).subnet("198.51.100.0/24").ask(&world);
        assert_eq!(reply.answers(), [format!("{asked}. 30 HTTPS 1 . alpn=h2,")]);
        assert_eq!((reply.additionals(), reply.scope()), (vec![], Some(0)), "it is the same for everybody");
    }
}

#[test]
fn rfc9460_9_a_service_without_a_template_has_nodata() {
    let world = world();
    let reply = query("lawful.example.com", HTTPS).ask(&world);
    assert_eq!((reply.rcode(), reply.counts()), ("NOERROR", [1, 0, 1, 0]));
}

#[test]
fn rfc9460_3_families_decided_apart_get_what_each_has() {
    let world = world();
    assert_eq!(query("apart.example.com", A).subnet("203.0.113.0/24").ask(&world).answers(), ["apart.example.com. 30 A 192.0.2.7"]);
    assert_eq!(query("apart.example.com", AAAA).subnet("198.51.100.0/24").ask(&world).answers(), ["apart.example.com. 30 AAAA 2001:db8::8"]);
}
