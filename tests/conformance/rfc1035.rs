//! Domain names: implementation. The header, the question, names in messages.

use aya_gslb::answer::Transport;

use crate::support::ask::{RESOLVER, header, query, send};
use crate::support::*;

#[test]
fn rfc1035_4_1_1_what_is_no_query_is_met_with_silence() {
    let world = world();
    let octets = query("api.example.com", A).octets();
    for len in 0..12 {
        assert!(send(&world, &octets[..len], RESOLVER, Transport::Udp).is_silence(), "{len} octets");
    }
    for flags in [0x8000, 0x8180, 0xa800, 0xffff] {
        assert!(query("api.example.com", A).flags(flags).ask(&world).is_silence(), "a reply is never answered: {flags:04x}");
    }
}

#[test]
fn rfc1035_4_1_1_id_rd_and_question_come_back_bit_for_bit() {
    let world = world();
    for (asked, qtype) in
        [("aPi.ExAmPlE.cOm", A), ("API.example.com", TXT), ("nO.ExAmPlE.cOm", A), ("cHiLd.example.com", A), ("Example.ORG", A), ("www.EXAMPLE.com", A)]
    {
        for flags in [0, 0x0100] {
            let mut query = query(asked, qtype).flags(flags);
            // In the case in which it was asked: resolvers check it (0x20).
            query.name = octets_of(asked);
            query.id = 0xfe01;
            let reply = query.ask(&world);
            assert_eq!(reply.octets[..2], [0xfe, 0x01]);
            assert_eq!(reply.flags() & 0x0100, flags, "RD");
            assert_eq!(reply.octets[12..12 + query.question().len()], query.question());
            for name in [reply.message().answers, reply.message().authorities].concat().iter().map(|record| record.name.to_string()) {
                assert!(asked.ends_with(name.trim_end_matches('.')), "owner names take the case of the question: {name} for {asked}");
            }
        }
    }
}

#[test]
fn rfc1035_4_1_1_other_flags_of_a_query_mean_nothing_and_come_back_as_zero() {
    let world = world();
    // AA, TC, RA, Z, AD, CD and RCODE, one by one and together.
    for flags in [0x0400, 0x0200, 0x0080, 0x0040, 0x0020, 0x0010, 0x000f, 0x06ff] {
        let reply = query("web.example.com", A).flags(flags).ask(&world);
        assert_eq!(reply.flags(), 0x8400, "query flags {flags:04x}");
        assert_eq!(reply.answers().len(), 1);
    }
}

#[test]
fn rfc1035_4_1_4_a_question_with_anything_but_plain_labels_is_malformed() {
    let world = world();
    let names: [&[u8]; 9] = [
        b"\xc0\x0c",        // a pointer to itself
        b"\x03www\xc0\x0c", // a loop
        b"\xc0\x20",        // forward
        b"\xc0\x00",        // into the header
        b"\x41aaa\0",       // label type 0x40
        b"\x81aaa\0",       // label type 0x80
        b"\x03ww",          // cut off
        b"\x3f",            // cut off
        b"",                // nothing at all
    ];
    for (index, name) in names.into_iter().enumerate() {
        let octets = [&header(7, 0x0100, [1, 0, 0, 0]), name].concat();
        let reply = send(&world, &octets, RESOLVER, Transport::Udp);
        assert_eq!((reply.rcode(), reply.counts(), reply.octets.len()), ("FORMERR", [0; 4], 12), "{name:?}");
        if index < 6 {
            let octets = [&header(7, 0x0100, [1, 0, 0, 0]), name, &[0, 1, 0, 1, 0, 0, 0]].concat();
            let reply = send(&world, &octets, RESOLVER, Transport::Udp);
            assert_eq!((reply.rcode(), reply.counts(), reply.octets.len()), ("FORMERR", [0; 4], 12), "{name:?}, with more behind it");
        }
    }
}

#[test]
fn rfc1035_4_1_2_a_question_that_is_cut_off_is_malformed() {
    let world = world();
    let octets = query("api.example.com", A).octets();
    for len in 12..octets.len() {
        let reply = send(&world, &octets[..len], RESOLVER, Transport::Udp);
        assert_eq!((reply.rcode(), reply.counts()), ("FORMERR", [0; 4]), "{len} octets");
    }
}

#[test]
fn rfc1035_4_1_3_a_record_that_is_cut_off_or_ill_named_is_malformed_and_the_question_comes_back() {
    let world = world();
    let with_opt = query("api.example.com", A).subnet("198.51.100.0/24");
    let octets = with_opt.octets();
    let question_end = 12 + with_opt.question().len();
    for len in question_end..octets.len() {
        let reply = send(&world, &octets[..len], RESOLVER, Transport::Udp);
        assert_eq!((reply.rcode(), reply.counts()), ("FORMERR", [1, 0, 0, 0]), "{len} octets");
    }
    for owner in [&b"\xc0\xff"[..], b"\xc0\x00", b"\x41a\0", b"\x05ab"] {
        let octets = [&header(7, 0, [1, 1, 0, 0]), &with_opt.question(), owner, &[0, 1, 0, 1, 0, 0, 0, 0, 0, 0]].concat();
        let reply = send(&world, &octets, RESOLVER, Transport::Udp);
        assert_eq!((reply.rcode(), reply.counts()), ("FORMERR", [1, 0, 0, 0]), "{owner:?}");
    }
}

#[test]
fn rfc1035_4_1_1_other_sections_of_a_query_are_read_over() {
    let world = world();
    let plain = query("web.example.com", A);
    let record = b"\xc0\x0c\0\x10\0\x01\0\0\0\0\0\x02\x01x";
    let octets = [&header(7, 0, [1, 1, 2, 1]), &plain.question(), &record[..], record, record, record].concat();
    let reply = send(&world, &octets, RESOLVER, Transport::Udp);
    assert_eq!((reply.rcode(), reply.answers().len()), ("NOERROR", 1));
}

#[test]
fn rfc1035_2_3_4_a_name_of_255_octets_is_legal_and_one_of_256_is_not() {
    let world = world();
    let tail = octets_of("example.com");
    let name_of = |octets: usize| {
        let mut name = Vec::new();
        while name.len() + tail.len() < octets {
            let label = (octets - name.len() - tail.len() - 1).min(50);
            name.push(u8::try_from(label).unwrap());
            name.extend(std::iter::repeat_n(b'a', label));
        }
        [name, tail.clone()].concat()
    };
    let mut longest = query("example.com", A);
    longest.name = name_of(255);
    assert_eq!(longest.name.len(), 255);
    assert_eq!(longest.ask(&world).rcode(), "NXDOMAIN");
    longest.name = name_of(256);
    assert_eq!(longest.ask(&world).rcode(), "FORMERR");
    longest.name = [[1, b'a'].repeat(127 - 6), octets_of("example.com")].concat();
    assert_eq!(longest.name.len(), 255);
    assert_eq!(longest.ask(&world).rcode(), "NXDOMAIN", "123 labels");
    longest.name = [[1, b'A'].repeat(127), vec![0]].concat();
    assert_eq!(longest.ask(&world).rcode(), "REFUSED", "127 labels");
}

#[test]
fn rfc1035_4_1_octets_behind_the_message_are_ignored() {
    let world = world();
    let query = query("api.example.com", A).subnet("198.51.100.0/24");
    let octets = [query.octets(), vec![0xff; 100]].concat();
    assert_eq!(send(&world, &octets, RESOLVER, Transport::Udp).octets, query.ask(&world).octets);
}

/// A name in wire format, in the case in which it is written.
fn octets_of(text: &str) -> Vec<u8> {
    let labels = text.split('.').flat_map(|label| std::iter::once(u8::try_from(label.len()).unwrap()).chain(label.bytes()));
    labels.chain([0]).collect()
}
