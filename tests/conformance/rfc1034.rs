//! Domain names: concepts. Zones, CNAME, referrals, what is not ours.

use crate::support::ask::query;
use crate::support::*;

#[test]
fn rfc1034_4_2_1_an_apex_has_one_soa_and_at_least_two_name_servers() {
    let world = world();
    let soa = query("example.com", SOA).ask(&world);
    assert!(soa.is_authoritative());
    assert_eq!(soa.answers(), ["example.com. 3600 SOA ns1.example.com. hostmaster.example.com. 1 7200 900 1209600 60"]);
    let ns = query("example.com", NS).ask(&world);
    assert!(ns.is_authoritative());
    assert_eq!(ns.answers().len(), 3);
    assert_eq!(
        ns.additionals(),
        ["ns1.example.com. 3600 A 192.0.2.53", "ns1.example.com. 3600 AAAA 2001:db8::53", "ns2.example.com. 3600 A 198.51.100.53"],
        "name servers in the zone come with their addresses"
    );
}

#[test]
fn rfc1034_3_6_2_a_cname_stands_for_every_type_but_its_own_and_is_not_followed() {
    let world = world();
    for qtype in [A, AAAA, TXT, CNAME, ANY, 65_280] {
        let reply = query("www.example.com", qtype).ask(&world);
        assert_eq!((reply.rcode(), reply.is_authoritative()), ("NOERROR", true));
        assert_eq!(reply.answers(), ["www.example.com. 300 CNAME web.example.com."], "QTYPE {qtype}");
        assert_eq!(reply.counts(), [1, 1, 0, 0]);
    }
}

#[test]
fn rfc1034_3_6_2_a_steered_cname_is_the_answer_to_every_type() {
    let world = world();
    for qtype in [A, AAAA, HTTPS, CNAME, ANY, TXT] {
        let reply = query("cdn.example.com", qtype).subnet("203.0.113.0/24").ask(&world);
        assert_eq!(reply.answers(), ["cdn.example.com. 30 CNAME us.cdn.net."], "QTYPE {qtype}");
        assert_eq!(reply.scope(), Some(24));
    }
}

#[test]
fn rfc1034_4_3_2_a_name_below_a_cut_is_referred_without_authority() {
    let world = world();
    for asked in ["child.example.com", "host.child.example.com", "a.b.c.child.example.com", "ns.child.example.com"] {
        let reply = query(asked, A).ask(&world);
        assert_eq!((reply.rcode(), reply.is_authoritative()), ("NOERROR", false), "{asked}");
        assert_eq!(reply.answers(), [""; 0]);
        assert_eq!(
            reply.authorities(),
            [
                "child.example.com. 86400 NS ns.child.example.com.",
                "child.example.com. 86400 NS ns.elsewhere.net.",
                "child.example.com. 86400 NS ns1.example.com."
            ]
        );
        assert_eq!(
            reply.additionals(),
            [
                "ns.child.example.com. 86400 A 192.0.2.153",
                "ns.child.example.com. 86400 AAAA 2001:db8::153",
                "ns1.example.com. 3600 A 192.0.2.53",
                "ns1.example.com. 3600 AAAA 2001:db8::53",
            ]
        );
    }
    let reply = query("child.example.com", NS).ask(&world);
    assert_eq!((reply.is_authoritative(), reply.counts()), (false, [1, 0, 3, 4]), "the parent side's NS RRset is no answer");
}

#[test]
fn rfc1034_4_3_2_the_nearest_zone_answers() {
    let world = world();
    let reply = query("nowhere.inner.example.com", A).ask(&world);
    assert_eq!(reply.authorities(), ["inner.example.com. 30 SOA ns1.example.com. hostmaster.example.com. 1 7200 900 1209600 600"]);
}

#[test]
fn rfc1034_4_3_1_names_of_other_zones_are_refused_without_a_referral() {
    let world = world();
    for asked in [".", "com", "example.org", "notexample.com", "aexample.com"] {
        let reply = query(asked, NS).ask(&world);
        assert_eq!((reply.rcode(), reply.is_authoritative(), reply.counts()), ("REFUSED", false, [1, 0, 0, 0]), "{asked}");
        assert_eq!(reply.outcome.zone, None);
    }
}

#[test]
fn rfc1034_3_3_additional_addresses_are_those_of_static_hosts_only() {
    let world = world();
    let reply = query("_sip._tcp.example.com", SRV).subnet("198.51.100.0/24").ask(&world);
    assert_eq!(reply.answers().len(), 2);
    assert_eq!(
        reply.additionals(),
        ["mail.example.com. 300 A 192.0.2.25", "mail.example.com. 300 A 192.0.2.26"],
        "api.example.com is steered: its addresses are for one client"
    );
    assert_eq!(reply.scope(), Some(0));
}

#[test]
fn rfc1034_5_3_3_zone_transfers_are_refused() {
    let world = world();
    for qtype in [251, 252] {
        let reply = query("example.com", qtype).edns().tcp().ask(&world);
        assert_eq!((reply.rcode(), reply.counts(), reply.ede()), ("REFUSED", [1, 0, 0, 1], Some(18)));
    }
}
