//! Cookies: what a server does with them.

use aya_gslb::answer::{Ask, Cookie, CookieSecrets, Policy, Scratch, Transport, answer_limited};

use crate::support::ask::{Query, RESOLVER, header, query, reply_to};
use crate::support::*;

const CLIENT: [u8; 8] = [1, 2, 3, 4, 5, 6, 7, 8];

fn policy() -> Policy {
    Policy { cookies: Some(CookieSecrets::new([7; 16], None)), ..Policy::default() }
}

/// The whole cookie that a client has learnt.
fn learnt() -> Vec<u8> {
    query("web.example.com", A).option(10, &CLIENT).ask_by(&policy(), &world()).option(10).unwrap()
}

#[test]
fn rfc7873_5_2_1_a_query_without_a_cookie_is_answered_as_ever_and_gets_none() {
    let reply = query("api.example.com", A).edns().ask_by(&policy(), &world());
    assert_eq!((reply.rcode(), reply.answers().len(), reply.option(10), reply.outcome.cookie), ("NOERROR", 1, None, Cookie::None));
}

#[test]
fn rfc7873_5_2_2_cookies_of_wrong_lengths_are_malformed() {
    let world = world();
    for len in 0..=64 {
        let reply = query("api.example.com", A).subnet("198.51.100.0/24").option(10, &vec![1; len]).ask_by(&policy(), &world);
        if matches!(len, 8 | 16..=40) {
            assert_eq!((reply.rcode(), reply.answers().len()), ("NOERROR", 1), "{len} octets");
        } else {
            assert_eq!((reply.rcode(), reply.counts(), reply.options()), ("FORMERR", [1, 0, 0, 1], vec![]), "{len} octets");
        }
    }
}

#[test]
fn rfc7873_5_2_3_a_client_cookie_alone_gets_an_answer_and_a_server_cookie() {
    let world = world();
    for (asked, rcode) in [("api.example.com", "NOERROR"), ("web.example.com", "NOERROR"), ("missing.example.com", "NXDOMAIN"), ("example.org", "REFUSED")] {
        let reply = query(asked, A).option(10, &CLIENT).ask_by(&policy(), &world);
        let cookie = reply.option(10).unwrap();
        assert_eq!((reply.rcode(), &cookie[..8], cookie.len(), reply.outcome.cookie), (rcode, &CLIENT[..], 24, Cookie::Offered), "{asked}");
    }
}

#[test]
fn rfc7873_5_2_4_a_wrong_server_cookie_gets_an_answer_and_a_right_one() {
    let world = world();
    let mut forged = learnt();
    forged[23] ^= 1;
    for wrong in [forged, [&CLIENT[..], &[9; 8]].concat(), [&CLIENT[..], &[9; 32]].concat()] {
        let reply = query("api.example.com", A).option(10, &wrong).ask_by(&policy(), &world);
        assert_eq!((reply.rcode(), reply.answers().len(), reply.outcome.cookie), ("NOERROR", 1, Cookie::Offered));
        assert_eq!(reply.option(10), Some(learnt()));
    }
}

#[test]
fn rfc7873_5_2_5_a_right_cookie_proves_its_source_and_no_other() {
    let world = world();
    let asked = query("api.example.com", A).option(10, &learnt());
    let reply = asked.ask_by(&policy(), &world);
    assert_eq!((reply.rcode(), reply.outcome.cookie, reply.option(10)), ("NOERROR", Cookie::Good, Some(learnt())));
    assert_eq!(asked.clone().from("192.0.2.251").ask_by(&policy(), &world).outcome.cookie, Cookie::Offered);
    let mapped = format!("::ffff:{RESOLVER}");
    assert_eq!(asked.from(&mapped).ask_by(&policy(), &world).outcome.cookie, Cookie::Good, "a socket of both families sees the same client");
}

#[test]
fn rfc7873_5_2_of_several_cookies_the_first_counts() {
    let reply = query("api.example.com", A).option(10, &learnt()).option(10, &[9; 3]).ask_by(&policy(), &world());
    assert_eq!((reply.rcode(), reply.outcome.cookie), ("NOERROR", Cookie::Good));
}

/// A query with no question.
fn without_question(cookie: &[u8]) -> Vec<u8> {
    let opt = query("web.example.com", A).option(10, cookie).opt();
    [header(7, 0, [0, 0, 0, 1]), opt].concat()
}

#[test]
fn rfc7873_5_4_a_cookie_without_a_question_is_learnt_or_checked() {
    let world = world();
    let policy = policy();
    let mut forged = learnt();
    forged[20] ^= 1;
    for (cookie, rcode) in [(CLIENT.to_vec(), "NOERROR"), (learnt(), "NOERROR"), (forged, "BADCOOKIE")] {
        let ask = Ask { source: RESOLVER, transport: Transport::Udp, now: query("a", A).now, policy: &policy };
        let reply = reply_to(&without_question(&cookie), &ask, &world);
        assert_eq!((reply.rcode(), reply.counts(), reply.option(10)), (rcode, [0, 0, 0, 1], Some(learnt())));
    }
}

#[test]
fn rfc9619_4_no_question_and_no_cookie_is_malformed_and_so_is_a_cookie_that_nobody_takes() {
    let world = world();
    let (with, without) = (policy(), Policy::default());
    let plain = [header(7, 0, [0, 0, 0, 1]), query("web.example.com", A).edns().opt()].concat();
    for (octets, policy, counts) in
        [(&plain, &with, [0, 0, 0, 1]), (&header(7, 0, [0; 4]), &with, [0; 4]), (&without_question(&CLIENT), &without, [0, 0, 0, 1])]
    {
        let ask = Ask { source: RESOLVER, transport: Transport::Udp, now: query("a", A).now, policy };
        let reply = reply_to(octets, &ask, &world);
        assert_eq!((reply.rcode(), reply.counts()), ("FORMERR", counts));
    }
}

/// The reply to a query whose source is over its limit.
fn limited(query: &Query, policy: &Policy) -> crate::support::ask::Reply {
    let mut octets = vec![0xaa; 1232];
    let ask = Ask { source: query.source, transport: query.transport, now: query.now, policy };
    let outcome = answer_limited(&query.octets(), &ask, &mut Scratch::with_cells(2), &mut octets);
    octets.truncate(outcome.len);
    crate::support::ask::Reply { outcome, octets }
}

#[test]
fn rfc7873_5_2_3_a_source_over_its_limit_is_asked_for_the_cookie_that_it_offered() {
    let policy = policy();
    let asked = query("api.example.com", A).subnet("198.51.100.0/24").option(10, &CLIENT);
    let reply = limited(&asked, &policy);
    assert_eq!((reply.rcode(), reply.counts(), reply.is_truncated(), reply.scope()), ("BADCOOKIE", [1, 0, 0, 1], false, Some(0)));
    assert_eq!(reply.outcome.rcode, 23);
    // Who comes back with it is itself.
    let again = query("api.example.com", A).option(10, &reply.option(10).unwrap()).ask_by(&policy, &world());
    assert_eq!((again.rcode(), again.outcome.cookie), ("NOERROR", Cookie::Good));
}

#[test]
fn a_source_over_its_limit_without_a_cookie_is_sent_to_tcp() {
    for asked in [query("api.example.com", A), query("api.example.com", A).edns()] {
        let opt = u16::from(asked.opt.is_some());
        let reply = limited(&asked, &policy());
        assert_eq!((reply.rcode(), reply.counts(), reply.is_truncated()), ("NOERROR", [1, 0, 0, opt], true));
    }
}

#[test]
fn rfc7873_5_3_a_cookie_comes_before_every_other_option_that_helps_and_never_pushes_a_record_out() {
    let mut world = world();
    world.statuses.stale = true;
    let plain = query("wide.example.com", AAAA).udp_size(1232).ask(&world);
    let len = u16::try_from(plain.octets.len() - plain.option(15).unwrap().len() - 4).unwrap();
    for (size, cookie, ede) in [(len + 28 + 6, true, true), (len + 28 + 5, true, false), (len + 28, true, false), (len + 27, false, true), (len, false, false)]
    {
        let reply = query("wide.example.com", AAAA).udp_size(size).option(10, &CLIENT).ask_by(&policy(), &world);
        assert_eq!((reply.option(10).is_some(), reply.ede().is_some()), (cookie, ede), "{size} octets");
        assert_eq!((reply.is_truncated(), reply.answers().len()), (false, 32), "{size} octets");
        assert!(reply.octets.len() <= usize::from(size));
    }
}
