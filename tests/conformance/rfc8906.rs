//! Common failures: a server answers everything, also what it does not know.

use aya_gslb::answer::Transport;

use crate::support::ask::{RESOLVER, header, query, send};
use crate::support::*;

#[test]
fn rfc8906_8_1_2_unknown_types_are_nodata() {
    let world = world();
    for qtype in [0, 3, 99, 249, 253, 254, 256, 1000, 32_768, 65_279, 65_534, 65_535] {
        let reply = query("web.example.com", qtype).ask(&world);
        assert_eq!((reply.rcode(), reply.counts()), ("NOERROR", [1, 0, 1, 0]), "QTYPE {qtype}");
    }
}

#[test]
fn rfc8906_8_1_4_other_opcodes_are_not_implemented() {
    let world = world();
    for opcode in 1..16_u16 {
        let bare = send(&world, &header(7, opcode << 11 | 0x0100, [0; 4]), RESOLVER, Transport::Udp);
        assert_eq!((bare.rcode(), bare.flags(), bare.counts()), ("NOTIMP", 0x8104 | opcode << 11, [0; 4]), "opcode {opcode}, a bare header");
        let reply = query("example.com", SOA).flags(opcode << 11).edns().ask(&world);
        assert_eq!((reply.rcode(), reply.flags(), reply.counts()), ("NOTIMP", 0x8004 | opcode << 11, [1, 0, 0, 1]), "opcode {opcode}");
        assert_eq!(reply.ede(), Some(21));
        let garbage = send(&world, &[&header(7, opcode << 11, [1, 2, 3, 4])[..], &[0xff; 20]].concat(), RESOLVER, Transport::Udp);
        assert_eq!((garbage.rcode(), garbage.counts()), ("NOTIMP", [0; 4]));
    }
}

#[test]
fn rfc8906_8_2_edns_in_its_odd_forms_gets_an_ordinary_answer() {
    let world = world();
    let plain = query("web.example.com", A).ask(&world).answers();
    let odd = [
        query("web.example.com", A).option(100, b""),
        query("web.example.com", A).edns_flags(0x0040),
        query("web.example.com", A).edns_flags(0x8000).udp_size(512),
        query("web.example.com", A).option(3, b"").option(10, b"\0\x01\x02\x03\x04\x05\x06\x07").option(8, &[0, 1, 0, 0]),
    ];
    for query in odd {
        let reply = query.ask(&world);
        assert_eq!((reply.rcode(), reply.answers()), ("NOERROR", plain.clone()));
    }
}
