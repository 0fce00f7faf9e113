//! EDNS.

use aya_gslb::answer::Transport;

use crate::support::ask::{RESOLVER, header, query, send};
use crate::support::*;

#[test]
fn rfc6891_7_opt_is_in_every_reply_to_a_query_with_opt_and_in_no_other() {
    let world = world();
    for (asked, qtype, class) in [
        ("web.example.com", A, 1),
        ("api.example.com", A, 1),
        ("missing.example.com", A, 1),
        ("web.example.com", MX, 1),
        ("host.child.example.com", A, 1),
        ("huge.example.com", TXT, 1),
        ("example.org", A, 1),
        ("web.example.com", A, 3),
        ("web.example.com", 252, 1),
        ("web.example.com", 128, 1),
    ] {
        for flags in [0, 0x2000, 0x7800] {
            let query = query(asked, qtype).class(class).flags(flags);
            assert!(!query.ask(&world).has_opt(), "{asked}");
            let reply = query.edns().ask(&world);
            assert!(reply.has_opt(), "{asked}");
            let opt = reply.message().edns.unwrap();
            assert_eq!((opt.max_payload(), opt.version()), (1232, 0));
        }
    }
}

#[test]
fn rfc6891_6_1_3_an_unknown_version_gets_badvers_and_no_answer() {
    let world = world();
    for version in [1, 2, 255] {
        let reply = query("web.example.com", A).edns_flags(version << 16 | 0x8000).ask(&world);
        assert_eq!((reply.rcode(), reply.counts(), reply.outcome.rcode), ("BADVERS", [1, 0, 0, 1], 16));
        assert_eq!(reply.message().edns.unwrap().version(), 0);
        let reply = query("web.example.com", A).edns_flags(version << 16).option(8, &[9; 9]).ask(&world);
        assert_eq!((reply.rcode(), reply.options()), ("BADVERS", vec![]), "its options are not ours to judge");
    }
}

#[test]
fn rfc6891_6_1_2_unknown_options_are_ignored_and_not_echoed() {
    let world = world();
    let plain = query("api.example.com", A).edns().ask(&world);
    for code in [0, 1, 2, 4, 5, 6, 7, 9, 13, 14, 15, 16, 17, 18, 20, 26, 100, 65_001, 65_535] {
        let reply = query("api.example.com", A).option(code, b"whatever").option(code, b"").ask(&world);
        assert_eq!(reply.octets, plain.octets, "option {code}");
    }
}

#[test]
fn rfc6891_6_1_4_unknown_flags_are_ignored_and_sent_as_zero() {
    let world = world();
    let reply = query("web.example.com", A).edns_flags(0xff00_7fff).ask(&world);
    assert_eq!(reply.rcode(), "NOERROR");
    assert!(reply.octets.ends_with(&[0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0, 0, 0]));
}

#[test]
fn rfc6891_6_1_1_two_opts_or_one_that_is_not_at_the_root_are_malformed() {
    let world = world();
    let query = query("web.example.com", A).edns();
    let twice = [header(7, 0, [1, 0, 0, 2]), query.question(), query.opt(), query.opt()].concat();
    let owned = [&header(7, 0, [1, 0, 0, 1]), &query.question(), &b"\xc0\x0c"[..], &query.opt()[1..]].concat();
    let elsewhere = [header(7, 0, [1, 1, 0, 0]), query.question(), query.opt()].concat();
    for (octets, opt) in [(twice, true), (owned, false), (elsewhere, false)] {
        let reply = send(&world, &octets, RESOLVER, Transport::Udp);
        assert_eq!((reply.rcode(), reply.counts()), ("FORMERR", [1, 0, 0, u16::from(opt)]));
    }
}

#[test]
fn rfc6891_6_1_2_options_that_overrun_their_opt_are_malformed_and_get_an_opt_back() {
    let world = world();
    for options in [&[0][..], &[0, 3, 0], &[0, 3, 0, 1], &[0, 8, 0, 9, 0, 1, 24, 0, 198, 51, 100]] {
        let mut query = query("web.example.com", A).edns();
        query.opt.as_mut().unwrap().2 = options.to_vec();
        let reply = query.ask(&world);
        assert_eq!((reply.rcode(), reply.counts(), reply.options()), ("FORMERR", [1, 0, 0, 1], vec![]), "{options:?}");
    }
}

#[test]
fn rfc6891_6_2_3_a_udp_reply_is_at_most_as_long_as_the_client_says_and_never_longer_than_1232() {
    let world = world();
    // With QNAME and the compressed owner, this answer has 1,0xx octets.
    let full = query("large.example.com", TXT).udp_size(65_535).ask(&world).octets.len();
    assert!((513..=1232).contains(&full));
    for (size, fits) in
        [(0, false), (1, false), (511, false), (512, false), (u16::try_from(full).unwrap() - 1, false), (u16::try_from(full).unwrap(), true), (4096, true)]
    {
        let reply = query("large.example.com", TXT).udp_size(size).ask(&world);
        assert_eq!(reply.is_truncated(), !fits, "{size} octets");
        assert!(reply.octets.len() <= usize::from(size.max(512)));
    }
    assert!(query("huge.example.com", TXT).udp_size(65_535).ask(&world).is_truncated());
    let reply = query("huge.example.com", TXT).udp_size(512).tcp().ask(&world);
    assert!(!reply.is_truncated() && reply.octets.len() > 4000, "the size is about UDP");
    for size in [0, 511] {
        assert!(!query("web.example.com", A).udp_size(size).ask(&world).is_truncated(), "less than 512 counts as 512");
    }
}

#[test]
fn rfc1035_4_2_1_without_edns_a_udp_reply_has_at_most_512_octets() {
    let world = world();
    for (asked, qtype, fits) in
        [("large.example.com", TXT, false), ("huge.example.com", TXT, false), ("wide.example.com", AAAA, false), ("api.example.com", A, true)]
    {
        let reply = query(asked, qtype).ask(&world);
        assert!(reply.octets.len() <= 512 && reply.is_truncated() != fits, "{asked}");
        assert!(!query(asked, qtype).tcp().ask(&world).is_truncated(), "{asked} over TCP");
    }
}

#[test]
fn rfc6891_6_2_5_every_steered_answer_fits_one_datagram() {
    let world = world();
    for qtype in [A, AAAA] {
        let reply = query("wide.example.com", qtype).edns_flags(0x8000).subnet("2001:db8:100::/128").ask(&world);
        assert!(!reply.is_truncated() && reply.octets.len() <= 1232);
        assert_eq!(reply.answers().len(), if qtype == A { 16 } else { 32 }, "both endpoints; the second has no IPv4 addresses of its own");
    }
}
