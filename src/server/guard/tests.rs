//! What becomes of replies to sources that are over their limit.

use super::*;
use crate::answer::{CookieSecrets, Policy, Transport, answer};
use crate::geo::Geo;
use crate::units::Moment;
use crate::world::World;

/// A worker's guard and what it works with. There are no zones: every name is REFUSED.
struct Desk {
    world: World,
    policy: Policy,
    guard: Guard,
    tally: Tally,
    scratch: Scratch,
    reply: Vec<u8>,
}

impl Desk {
    fn new(limits: RateLimits) -> Self {
        let policy = Policy { cookies: Some(CookieSecrets::new([7; 16], None)), ..Policy::default() };
        let world = World::unmeasured(1, Arc::default(), Arc::<Geo>::default());
        let guard = Guard::new(&Arc::new(limits), 1);
        Self { world, policy, guard, tally: Tally::new(Transport::Udp), scratch: Scratch::with_cells(2), reply: vec![0; 1232] }
    }

    /// What is sent to a source that asks this; empty: nothing.
    fn ask(&mut self, source: &str, query: &[u8]) -> Vec<u8> {
        let ask = Ask { source: source.parse().unwrap(), transport: Transport::Udp, now: Moment(1_000_000), policy: &self.policy };
        let outcome = answer(query, &ask, &self.world, &mut self.scratch, &mut self.reply);
        let outcome = self.guard.admit(query, &ask, outcome, &mut self.scratch, &mut self.reply, &self.tally);
        self.reply[..outcome.map_or(0, |outcome| outcome.len)].to_vec()
    }
}

/// A query for A of the root with these options.
fn query(options: &[u8]) -> Vec<u8> {
    let len = u8::try_from(options.len()).unwrap();
    [&[0x12, 0x34, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 1, 0, 1, 0, 0, 41, 4, 0xd0, 0, 0, 0, 0, 0, len][..], options].concat()
}

/// A cookie option.
fn cookie(octets: &[u8]) -> Vec<u8> {
    [&[0, 10, 0, u8::try_from(octets.len()).unwrap()][..], octets].concat()
}

/// RCODE without its extended bits, and TC.
fn says(reply: &[u8]) -> (u8, bool) {
    (reply[3] & 0x0f, reply[2] & 0x02 != 0)
}

const SOURCE: &str = "192.0.2.1";

#[test]
fn refusals_over_the_limit_are_dropped_and_every_second_is_truncated() {
    let mut desk = Desk::new(RateLimits::default());
    let replies: Vec<_> = (0..120).map(|_| desk.ask(SOURCE, &query(&[]))).collect();
    assert!(replies[..20].iter().all(|reply| says(reply) == (5, false)));
    let (sent, dropped): (Vec<_>, Vec<_>) = replies[20..].iter().partition(|reply| !reply.is_empty());
    assert_eq!((sent.len(), dropped.len()), (50, 50));
    assert!(sent.iter().all(|reply| says(reply) == (0, true) && reply.len() <= query(&[]).len()), "a limited reply is no longer than its query");
    let count = desk.tally.read();
    assert_eq!((count.limited.dropped, count.limited.slipped), ([0, 0, 50, 0], [0, 0, 50, 0]));
    assert_eq!(says(&desk.ask("198.51.100.1", &query(&[]))), (5, false), "others are not meant");
}

#[test]
fn rfc7873_5_2_3_a_client_that_offers_a_cookie_is_asked_for_it_and_is_free_once_it_has_one() {
    let mut desk = Desk::new(RateLimits::default());
    let offered = query(&cookie(&[1; 8]));
    let replies: Vec<_> = (0..40).map(|_| desk.ask(SOURCE, &offered)).collect();
    assert!(replies[..20].iter().all(|reply| says(reply) == (5, false)));
    for reply in &replies[20..] {
        // BADCOOKIE is 23: 7, and 1 in the extended bits.
        assert_eq!((says(reply), reply[22]), ((7, false), 1));
    }
    let learnt = replies[39][replies[39].len() - 24..].to_vec();
    for _ in 0..200 {
        assert_eq!(says(&desk.ask(SOURCE, &query(&cookie(&learnt)))), (5, false), "a good cookie exempts");
    }
    assert_ne!(says(&desk.ask("192.0.2.2", &query(&cookie(&learnt)))), (5, false), "but no other address of the prefix");
}

#[test]
fn forged_sources_with_cookies_are_limited_as_well() {
    let mut desk = Desk::new(RateLimits::default());
    let replies: Vec<_> = (0..1_000).map(|_| desk.ask(SOURCE, &query(&cookie(&[1; 8])))).collect();
    assert_eq!(replies.iter().filter(|reply| !reply.is_empty()).count(), 20 + 100);
}

#[test]
fn answers_over_the_limit_are_counted_and_sent_unless_told_otherwise() {
    let mut limits = RateLimits::default();
    limits.set("refused=20:log".parse().unwrap());
    let mut desk = Desk::new(limits);
    assert!((0..120).all(|_| says(&desk.ask(SOURCE, &query(&[]))) == (5, false)));
    assert_eq!(desk.tally.read().limited.would_drop, [0, 0, 100, 0]);
}

#[test]
fn exempt_prefixes_are_not_limited() {
    let exempt = [SOURCE.parse::<IpAddr>().unwrap().into()].into();
    let mut desk = Desk::new(RateLimits { exempt, ..RateLimits::default() });
    assert!((0..120).all(|_| says(&desk.ask(SOURCE, &query(&[]))) == (5, false)));
    assert!((0..120).all(|_| says(&desk.ask("::ffff:192.0.2.1", &query(&[]))) == (5, false)));
    assert_eq!(desk.tally.read().limited, crate::telemetry::tally::Limited::default());
    let mut desk = Desk::new(RateLimits::default());
    assert!((0..120).all(|_| says(&desk.ask("127.0.0.1", &query(&[]))) == (5, false)), "this machine's own");
}

#[test]
fn an_exempt_address_gives_its_neighbours_nothing() {
    let exempt = [SOURCE.parse::<IpAddr>().unwrap().into()].into();
    let mut desk = Desk::new(RateLimits { exempt, slip: 0, ..RateLimits::default() });
    assert!((0..120).all(|_| says(&desk.ask(SOURCE, &query(&[]))) == (5, false)));
    assert!((0..120).all(|_| desk.ask("192.0.2.2", &query(&[])).is_empty()), "the prefix is over its limit");
}

#[test]
fn what_is_no_query_is_dropped_over_the_limit() {
    let mut desk = Desk::new(RateLimits::default());
    let notify: Vec<_> = query(&[]).into_iter().enumerate().map(|(at, octet)| if at == 2 { 0x20 } else { octet }).collect();
    let replies: Vec<_> = (0..120).map(|_| desk.ask(SOURCE, &notify)).collect();
    assert_eq!(replies.iter().filter(|reply| !reply.is_empty()).count(), 20);
    assert_eq!(desk.tally.read().limited.dropped, [0, 0, 0, 100]);
    assert!(desk.ask(SOURCE, &[1, 2, 3]).is_empty());
}

#[test]
fn replies_are_classed_by_what_they_hold() {
    let class = |rcode, flags: u8, answers: u8| {
        let reply = [0, 0, 0x80 | flags, 0, 0, 1, 0, answers, 0, 1, 0, 0];
        class_of(&Outcome { len: 12, rcode, ..Outcome::SILENCE }, &reply)
    };
    assert_eq!(class(0, 4, 1), ReplyClass::Positive);
    assert_eq!(class(0, 0, 0), ReplyClass::Positive, "a referral");
    assert_eq!(class(0, 6, 0), ReplyClass::Positive, "too much to be sent");
    assert_eq!(class(0, 4, 0), ReplyClass::Negative);
    assert_eq!(class(3, 4, 0), ReplyClass::Negative);
    assert_eq!(class(5, 0, 0), ReplyClass::Refused);
    for rcode in [1, 2, 4, 16, 23] {
        assert_eq!(class(rcode, 0, 0), ReplyClass::Error);
    }
}

#[test]
fn words_of_the_command_line() {
    let mut limits = RateLimits::default();
    for word in ["positive=500", "negative=off", "error=7:log"] {
        limits.set(word.parse().unwrap());
    }
    let [positive, negative, refused, error] = limits.rules;
    assert_eq!(positive, Rule { mode: Mode::On, per_second: 500 });
    assert_eq!((negative.mode, refused), (Mode::Off, Rule { mode: Mode::On, per_second: RRL_ERRORS_PER_S }));
    assert_eq!(error, Rule { mode: Mode::Log, per_second: 7 });
    limits.set("off".parse().unwrap());
    assert!(limits.rules.iter().all(|rule| rule.mode == Mode::Off));
    for wrong in ["", "on", "refused", "refused=", "refused=0", "refused=-1", "refused=1000001", "refused=5:drop", "answers=5"] {
        assert!(wrong.parse::<RateWord>().is_err(), "{wrong}");
    }
}
