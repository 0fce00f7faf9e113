//! The client's subnet.

use aya_gslb::answer::Transport;
use aya_gslb::health::Status;

use crate::support::ask::{RESOLVER, query, send, subnet};
use crate::support::*;

#[test]
fn rfc7871_7_2_1_the_option_comes_back_in_every_reply_to_a_query_that_has_it() {
    let world = world();
    for (asked, qtype) in [
        ("api.example.com", A),
        ("api.example.com", AAAA),
        ("api.example.com", HTTPS),
        ("api.example.com", TXT),
        ("cdn.example.com", A),
        ("example.com", SOA),
        ("example.com", NS),
        ("missing.example.com", A),
        ("web.example.com", AAAA),
        ("host.child.example.com", A),
        ("huge.example.com", TXT),
        ("example.org", A),
        ("example.com", 252),
        ("example.com", 128),
    ] {
        let reply = query(asked, qtype).subnet("198.51.100.0/24").ask(&world);
        assert_eq!(reply.subnet().map(|(address, source, _)| (address.to_string(), source)), Some(("198.51.100.0".into(), 24)), "{asked} {qtype}");
        let reply = query(asked, qtype).edns().ask(&world);
        assert_eq!(reply.subnet(), None, "none in the query, none in the reply, even when it is tailored");
    }
}

#[test]
fn rfc7871_7_2_1_family_source_and_address_come_back_unchanged() {
    let world = world();
    for prefix in [
        "198.51.100.0/24",
        "198.51.100.32/27",
        "198.51.100.7/32",
        "198.0.0.0/7",
        "198.51.96.0/21",
        "2001:db8:100::/48",
        "2001:db8:100:8000::/49",
        "2001:db8:100::1/128",
        "2000::/3",
    ] {
        let sent = subnet(prefix, 0);
        let reply = query("api.example.com", A).subnet(prefix).ask(&world);
        let echoed = &reply.octets[reply.octets.len() - sent.len()..];
        assert_eq!((&echoed[..3], &echoed[4..]), (&sent[..3], &sent[4..]), "{prefix}");
    }
}

#[test]
fn rfc7871_7_2_1_the_answer_is_that_of_the_subnet_and_not_of_the_resolver() {
    let world = world();
    for (prefix, expected) in
        [("198.51.100.0/24", "192.0.2.1"), ("203.0.113.0/24", "192.0.2.2"), ("2001:db8:100::/56", "192.0.2.1"), ("2001:db8:200::/56", "192.0.2.2")]
    {
        for resolver in ["198.51.100.1", "203.0.113.1"] {
            let reply = query("api.example.com", A).from(resolver).subnet(prefix).ask(&world);
            assert_eq!(reply.answers(), [format!("api.example.com. 30 A {expected}")], "{prefix} through {resolver}");
        }
    }
}

#[test]
fn rfc7871_7_2_2_without_the_option_the_resolver_is_the_client() {
    let world = world();
    for (resolver, expected) in
        [("198.51.100.9", "192.0.2.1"), ("203.0.113.9", "192.0.2.2"), ("2001:db8:200::9", "192.0.2.2"), ("::ffff:203.0.113.9", "192.0.2.2")]
    {
        let reply = query("api.example.com", A).from(resolver).ask(&world);
        assert_eq!(reply.answers(), [format!("api.example.com. 30 A {expected}")], "{resolver}");
    }
}

#[test]
fn rfc7871_7_2_1_a_malformed_option_is_formerr_without_the_option() {
    let world = world();
    let malformed: [(&str, &[u8]); 17] = [
        ("no data", &[]),
        ("one octet", &[0]),
        ("no SOURCE", &[0, 1]),
        ("no SCOPE", &[0, 1, 24]),
        ("family 0", &[0, 0, 0, 0]),
        ("family 3", &[0, 3, 24, 0, 198, 51, 100]),
        ("family 256 + 1", &[1, 1, 24, 0, 198, 51, 100]),
        ("SOURCE 33", &[0, 1, 33, 0, 198, 51, 100, 0, 0]),
        ("SOURCE 129", &[0, 2, 129, 0, 0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        ("too few octets", &[0, 1, 24, 0, 198, 51]),
        ("too many octets", &[0, 1, 24, 0, 198, 51, 100, 0]),
        ("a whole address for /24", &[0, 1, 24, 0, 198, 51, 100, 7]),
        ("an octet for /0", &[0, 1, 0, 0, 0]),
        ("bits beyond /27", &[0, 1, 27, 0, 198, 51, 100, 0x30]),
        ("bits beyond /1", &[0, 1, 1, 0, 0xc0]),
        ("bits beyond IPv6 /33", &[0, 2, 33, 0, 0x20, 1, 0xd, 0xb8, 0x40]),
        ("SCOPE in a query", &[0, 1, 24, 24, 198, 51, 100]),
    ];
    for (what, data) in malformed {
        let reply = query("api.example.com", A).option(8, data).ask(&world);
        assert_eq!((reply.rcode(), reply.counts(), reply.options()), ("FORMERR", [1, 0, 0, 1], vec![]), "{what}");
    }
    let twice = query("api.example.com", A).subnet("198.51.100.0/24").subnet("203.0.113.0/24").ask(&world);
    assert_eq!((twice.rcode(), twice.options()), ("FORMERR", vec![]), "two subnets");
}

#[test]
fn rfc7871_7_1_2_source_0_is_answered_by_the_resolvers_place_with_scope_0() {
    let world = world();
    for prefix in ["0.0.0.0/0", "::/0"] {
        let reply = query("api.example.com", A).from("203.0.113.9").subnet(prefix).ask(&world);
        assert_eq!(reply.answers(), ["api.example.com. 30 A 192.0.2.2"]);
        assert_eq!(reply.subnet().map(|(_, source, scope)| (source, scope)), Some((0, 0)));
    }
}

#[test]
fn rfc7871_7_2_1_scope_is_zero_when_the_answer_ignores_the_subnet() {
    let world = world();
    for (asked, qtype) in [
        ("web.example.com", A),
        ("www.example.com", A),
        ("example.com", SOA),
        ("missing.example.com", A),
        ("web.example.com", AAAA),
        ("host.child.example.com", A),
        ("child.example.com", DS),
        ("api.example.com", TXT),
        ("api.example.com", MX),
        ("four.example.com", HTTPS),
        ("example.org", A),
    ] {
        let reply = query(asked, qtype).subnet("198.51.100.0/24").ask(&world);
        assert_eq!(reply.scope(), Some(0), "{asked} {qtype}");
    }
}

#[test]
fn rfc7871_7_2_1_scope_is_the_leaf_within_which_every_client_gets_the_same() {
    let world = world();
    for prefix in ["198.51.100.0/24", "198.51.100.128/25", "198.51.100.7/32", "203.0.113.0/24"] {
        assert_eq!(query("api.example.com", A).subnet(prefix).ask(&world).scope(), Some(24), "{prefix}");
    }
    assert_eq!(query("api.example.com", A).subnet("2001:db8:100:aa00::/56").ask(&world).scope(), Some(48));
    let wide = query("api.example.com", A).subnet("198.0.0.0/8").ask(&world).scope().unwrap();
    assert!(wide > 8, "a prefix that holds several places gets an answer for one of them: {wide}");
}

#[test]
fn rfc7871_7_2_1_scopes_with_different_answers_never_overlap() {
    let world = world();
    let mut seen: Vec<(u32, u8, Vec<String>)> = Vec::new();
    for block in (0..=0xffff_u32)
        .step_by(7)
        .map(|block| block << 16)
        .chain((0..=255).map(|last| 0xc633_6400 | last))
        .chain((0..512).map(|block| 0xcb00_0000 | block << 8))
    {
        let address = std::net::Ipv4Addr::from_bits(block);
        let reply = query("api.example.com", A).subnet(&format!("{address}/32")).ask(&world);
        seen.push((block, reply.scope().unwrap(), reply.answers()));
    }
    seen.sort();
    for pair in seen.windows(2) {
        let (one, other) = (&pair[0], &pair[1]);
        let shorter = u32::from(one.1.min(other.1));
        let overlap = shorter == 0 || one.0 >> (32 - shorter) == other.0 >> (32 - shorter);
        assert!(!overlap || (one.1, &one.2) == (other.1, &other.2), "{one:?} and {other:?}");
    }
}

#[test]
fn rfc7871_7_4_the_same_scope_serves_a_and_aaaa_and_https() {
    let world = world();
    let scopes = [A, AAAA, HTTPS].map(|qtype| query("api.example.com", qtype).subnet("203.0.113.0/24").ask(&world).scope());
    assert_eq!(scopes, [Some(24); 3]);
}

#[test]
fn rfc7871_11_3_a_private_or_special_subnet_is_ignored_and_scope_is_its_block() {
    let world = world();
    for (prefix, block) in [
        ("10.1.2.0/24", 12),
        ("192.168.3.0/24", 16),
        ("172.16.5.0/24", 12),
        ("127.0.0.1/32", 8),
        ("100.64.0.0/10", 10),
        ("fd00:1::/56", 7),
        ("fe80::/64", 10),
        ("::1/128", 127),
    ] {
        let reply = query("api.example.com", A).from("203.0.113.9").subnet(prefix).ask(&world);
        assert_eq!(
            (reply.answers(), reply.scope()),
            (vec!["api.example.com. 30 A 192.0.2.2".into()], Some(block)),
            "{prefix}: the resolver is in America; 10.0.0.0/8 holds a network of the operator's"
        );
    }
}

#[test]
fn rfc7871_11_3_a_private_subnet_that_the_operator_names_is_a_place() {
    let world = world();
    let reply = query("api.example.com", A).from("203.0.113.9").subnet("10.20.5.0/24").ask(&world);
    assert_eq!(reply.answers(), ["api.example.com. 30 A 192.0.2.1"]);
    assert!(reply.scope().unwrap() >= 16);
}

#[test]
fn rfc7871_11_3_a_private_subnet_around_a_network_of_the_operators_is_under_its_law() {
    let world = world();
    for prefix in ["10.0.0.0/8", "10.16.0.0/12", "::ffff:10.0.0.0/104"] {
        let reply = query("lawful.example.com", A).from("203.0.113.9").subnet(prefix).ask(&world);
        assert_eq!(reply.answers(), ["lawful.example.com. 30 A 192.0.2.1"], "{prefix} holds the German 10.20.0.0/16; the resolver is in America");
    }
}

#[test]
fn rfc7871_7_2_1_masked_and_unknown_clients_stay_within_the_law() {
    let mut world = world();
    publish(&mut world, "lawful.example.com", "eu", DOWN);
    for prefix in ["198.51.100.0/24", "198.51.100.0/23", "198.0.0.0/8", "192.0.0.0/3"] {
        let reply = query("lawful.example.com", A).from("203.0.113.9").subnet(prefix).ask(&world);
        assert_eq!(reply.answers(), ["lawful.example.com. 30 A 192.0.2.1"], "{prefix} holds Germans: Ireland or nothing, also when it is down");
    }
    publish(&mut world, "lawful.example.com", "eu", Status::UP);
    let reply = query("lawful.example.com", A).subnet("203.0.113.0/24").ask(&world);
    assert_eq!(reply.answers(), ["lawful.example.com. 30 A 192.0.2.2"], "Americans are not bound");
}

#[test]
fn rfc7871_7_2_1_the_option_is_judged_before_the_name_and_over_tcp_alike() {
    let world = world();
    for asked in ["api.example.com", "missing.example.com", "example.org"] {
        assert_eq!(query(asked, A).option(8, &[0, 1, 24, 1, 1, 2, 3]).ask(&world).rcode(), "FORMERR");
    }
    let query = query("api.example.com", A).subnet("198.51.100.0/24");
    assert_eq!(send(&world, &query.octets(), RESOLVER, Transport::Tcp).octets, query.ask(&world).octets);
}

#[test]
fn rfc7871_7_2_1_where_clients_share_endpoints_scope_is_as_long_as_what_tells_them_apart() {
    let world = world();
    // The leaf of 10.20.0.0/16 is /16, that of 2001:db8:100::/48 is /48; shares are told apart by /24 and /56 at most.
    for (subnet, scope) in
        [("10.20.0.0/16", 16), ("10.20.16.0/20", 20), ("10.20.3.0/24", 24), ("10.20.3.16/28", 24), ("2001:db8:100::/48", 48), ("2001:db8:100:100::/64", 56)]
    {
        assert_eq!(query("shared.example.com", A).subnet(subnet).ask(&world).scope(), Some(scope), "{subnet}");
    }
    let answers = |subnet: &str| query("shared.example.com", A).subnet(subnet).ask(&world).answers();
    let mut distinct: Vec<_> = (0..64).map(|third| answers(&format!("10.20.{third}.0/24"))).collect();
    for third in 0..64 {
        assert_eq!(answers(&format!("10.20.{third}.77/32")), answers(&format!("10.20.{third}.0/24")), "one scope, one answer");
    }
    distinct.sort();
    distinct.dedup();
    assert_eq!(distinct.len(), 2, "and they do share");
}

#[test]
fn rfc7871_7_4_negative_answers_and_referrals_are_for_everybody() {
    let world = world();
    for (asked, qtype) in [("api.example.com", TXT), ("missing.example.com", A), ("empty.example.com", A), ("x.child.example.com", A), ("example.com", SOA)] {
        assert_eq!(query(asked, qtype).subnet("198.51.100.0/24").ask(&world).scope(), Some(0), "{asked}");
    }
}
