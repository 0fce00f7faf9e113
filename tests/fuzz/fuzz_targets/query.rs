//! Any octets → silence or a reply: no panic, ID copied, QR set, within the limit, read by hickory-proto; with every option that a node
//! knows. The first octet chooses transport, health and what the operator wants, the rest is the message.
#![no_main]

#[path = "../../support/mod.rs"]
mod support;

use std::cell::RefCell;

use aya_gslb::answer::{Ask, CookieSecrets, Policy, Scratch, Transport, answer, answer_limited, foresee};
use aya_gslb::units::Moment;
use aya_gslb::wire::{Lowered, Parsed, parse};
use aya_gslb::world::World;
use hickory_proto::op::Message;
use libfuzzer_sys::fuzz_target;

thread_local! {
    static KEPT: RefCell<Kept> = RefCell::new(Kept::new());
}

/// What lasts from input to input.
struct Kept {
    world: World,
    scratch: Scratch,
    reply: Vec<u8>,
    /// Of a node that was told nothing, and of one that was told everything.
    policies: [Policy; 2],
}

impl Kept {
    fn new() -> Self {
        // The seeds hold a cookie by this secret.
        let cookies = Some(CookieSecrets::new([7; 16], Some([8; 16])));
        let told = Policy { nsid: vec![b'n'; 64].into(), cookies, why_networks: ["192.0.2.0/24".parse().expect("a prefix")].into(), ..Policy::default() };
        Self { world: support::world(), scratch: Scratch::with_cells(64), reply: vec![0; 65_535], policies: [Policy::default(), told] }
    }
}

fuzz_target!(|octets: &[u8]| {
    let Some((&choice, query)) = octets.split_first() else { return };
    KEPT.with_borrow_mut(|Kept { world, scratch, reply, policies }| {
        world.statuses.stale = choice & 2 != 0;
        let transport = match choice & 9 {
            0 => Transport::Udp,
            1 => Transport::Tcp,
            8 => Transport::Tls,
            _ => Transport::Https,
        };
        let policy = &policies[usize::from(choice >> 2 & 1)];
        let ask = Ask { source: support::ask::RESOLVER, transport, now: Moment(1_000_000), policy };
        let limited = answer_limited(query, &ask, scratch, reply);
        if limited.len > 0 {
            let message = Message::from_vec(&reply[..limited.len]).expect("hickory-proto reads every reply");
            assert!(limited.len <= query.len() + 60 + 64 + 468, "{} octets are few", limited.len);
            assert!(message.answers.is_empty() && message.authorities.is_empty(), "nothing is looked up");
        }
        let _ = foresee(query, world);
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
            Parsed::Broken { envelope, .. } | Parsed::Cookie { envelope } => envelope.edns,
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
