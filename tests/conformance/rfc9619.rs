//! One question.

use aya_gslb::answer::Transport;

use crate::support::ask::{RESOLVER, header, query, send};
use crate::support::*;

#[test]
fn rfc9619_4_a_query_without_exactly_one_question_is_malformed() {
    let world = world();
    let query = query("web.example.com", A).edns();
    let (question, opt) = (query.question(), query.opt());
    let none = header(7, 0, [0; 4]);
    let none_with_opt = [header(7, 0, [0, 0, 0, 1]), opt.clone()].concat();
    let two = [header(7, 0, [2, 0, 0, 0]), question.clone(), question.clone()].concat();
    let two_with_opt = [header(7, 0, [2, 0, 0, 1]), question.clone(), question.clone(), opt].concat();
    let claimed = [header(7, 0, [65_535, 0, 0, 0]), question].concat();
    for (octets, opt) in [(none, 0), (none_with_opt, 1), (two, 0), (two_with_opt, 1), (claimed, 0)] {
        let reply = send(&world, &octets, RESOLVER, Transport::Udp);
        assert_eq!((reply.rcode(), reply.counts()), ("FORMERR", [0, 0, 0, opt]));
    }
}
