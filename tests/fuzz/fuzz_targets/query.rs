//! Any octets → silence or a reply: no panic, ID copied, QR set, within the limit, read by hickory-proto. The first octet chooses transport
//! and health, the rest is the message.
#![no_main]

#[path = "../../support/mod.rs"]
mod support;

use std::cell::RefCell;

use aya_gslb::answer::{Ask, Policy, Scratch, Transport, answer};
use aya_gslb::units::Moment;
use aya_gslb::wire::{Lowered, Parsed, parse};
use aya_gslb::world::World;
use hickory_proto::op::Message;
use libfuzzer_sys::fuzz_target;

thread_local! {
    static KEPT: RefCell<(World, Scratch, Vec<u8>)> = RefCell::new((support::world(), Scratch::with_cells(64), vec![0; 65_535]));
}

fuzz_target!(|octets: &[u8]| {
    let Some((&choice, query)) = octets.split_first() else { return };
    KEPT.with_borrow_mut(|(world, scratch, reply)| {
        world.statuses.stale = choice & 2 != 0;
        let transport = if choice & 1 == 0 { Transport::Udp } else { Transport::Tcp };
        let ask = Ask { source: support::ask::RESOLVER, transport, now: Moment(1), policy: &Policy::default() };
        let outcome = answer(query, &ask, world, scratch, reply);
        let reply = &reply[..outcome.len];
        if query.len() < 12 || query[2] & 0x80 != 0 {
            assert!(reply.is_empty(), "silence");
            return;
        }
        assert_eq!(reply[..2], query[..2], "ID");
        assert_eq!(reply[2] & 0xf9, 0x80 | query[2] & 0x79, "QR, OPCODE, RD");
        assert_eq!(reply[3] & 0xf0, 0, "RA, Z, AD, CD");
        assert_eq!(reply[2] & 2 != 0, outcome.truncated, "TC");
        let edns = match parse(query, &mut Lowered::default()) {
            Parsed::Query { envelope, question } => {
                let end = 12 + question.name.len() + 4;
                assert_eq!(reply[12..end], query[12..end], "the question comes back");
                envelope.edns
            }
            Parsed::Broken { envelope, .. } => envelope.edns,
            Parsed::Silent => unreachable!("it has a header and is no reply"),
        };
        let limit = match transport {
            Transport::Udp => edns.map_or(512, |edns| usize::from(edns.udp_size).clamp(512, 1232)),
            _ => 65_535,
        };
        assert!(reply.len() <= limit, "{} octets of {limit}", reply.len());
        let message = Message::from_vec(reply).expect("hickory-proto reads every reply");
        assert_eq!(message.edns.is_some(), edns.is_some(), "OPT for OPT");
    });
});
