//! Server cookies as all nodes of one address make them: the RFC's own vectors, and their time.

use aya_gslb::answer::{Cookie, CookieSecrets, Policy};

use crate::support::ask::{Reply, query};
use crate::support::*;

fn octets(hex: &str) -> Vec<u8> {
    hex.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

fn hex(octets: &[u8]) -> String {
    octets.iter().flat_map(|octet| [octet >> 4, octet & 0xf]).map(|digit| char::from_digit(digit.into(), 16).unwrap()).collect()
}

/// What a node with these secrets says to this cookie.
fn ask(secrets: &str, source: &str, cookie: &str, seconds: u64) -> Reply {
    let policy = Policy { cookies: Some(CookieSecrets::parse(secrets).unwrap()), ..Policy::default() };
    query("web.example.com", A).option(10, &octets(cookie)).from(source).at(seconds).ask_by(&policy, &world())
}

const SECRET: &str = "e5e973e5a6b2a43f48e7dc849e37bfcf";
const SOURCE: &str = "198.51.100.100";
const CLIENT: &str = "2464c4abcf10c957";
const LEARNT: &str = "2464c4abcf10c957010000005cf79f111f8130c3eee29480";
const AT: u64 = 1_559_731_985;

#[test]
fn rfc9018_a_1_learning_a_new_server_cookie() {
    let reply = ask(SECRET, SOURCE, CLIENT, AT);
    assert_eq!((hex(&reply.option(10).unwrap()).as_str(), reply.outcome.cookie), (LEARNT, Cookie::Offered));
}

#[test]
fn rfc9018_a_2_the_same_client_learning_a_renewed_server_cookie() {
    let reply = ask(SECRET, SOURCE, LEARNT, 1_559_734_385);
    assert_eq!(hex(&reply.option(10).unwrap()), "2464c4abcf10c957010000005cf7a871d4a564a1442aca77");
    assert_eq!(reply.outcome.cookie, Cookie::Good);
}

#[test]
fn rfc9018_a_3_another_client_learning_a_renewed_server_cookie() {
    // Its reserved octets are set, and hashed along. The vector's cookie is 6,715 seconds old: it is renewed, and proves nothing any more.
    let reply = ask(SECRET, "203.0.113.203", "fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5", 1_559_734_700);
    assert_eq!(hex(&reply.option(10).unwrap()), "fc93fc62807ddb86010000005cf7a9acf73a7810aca2381e");
    assert_eq!(reply.outcome.cookie, Cookie::Offered);
    let young = ask(SECRET, "203.0.113.203", "fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5", 1_559_727_985 + 3_600);
    assert_eq!(young.outcome.cookie, Cookie::Good);
}

#[test]
fn rfc9018_a_4_an_ipv6_query_with_a_rolled_over_secret() {
    let secrets = "445536bcd2513298075a5d379663c962\ndd3bdf9344b678b185a6f5cb60fca715";
    let reply = ask(secrets, "2001:db8:220:1:59de:d0f4:8769:82b8", "22681ab97d52c298010000005cf7c57926556bd0934c72f8", 1_559_741_961);
    assert_eq!(hex(&reply.option(10).unwrap()), "22681ab97d52c298010000005cf7c609a6bb79d16625507a");
    assert_eq!(reply.outcome.cookie, Cookie::Good);
    let expired = "445536bcd2513298075a5d379663c962";
    let reply = ask(expired, "2001:db8:220:1:59de:d0f4:8769:82b8", "22681ab97d52c298010000005cf7c57926556bd0934c72f8", 1_559_741_961);
    assert_eq!(reply.outcome.cookie, Cookie::Offered, "the old secret is gone");
}

#[test]
fn rfc9018_4_3_a_cookie_is_good_for_an_hour_renewed_after_half_of_it_and_may_be_five_minutes_ahead() {
    for (seconds, good, same) in [
        (AT - 301, false, false),
        (AT - 300, true, true),
        (AT, true, true),
        (AT + 1_800, true, true),
        (AT + 1_801, true, false),
        (AT + 3_600, true, false),
        (AT + 3_601, false, false),
        (AT + (1 << 31), false, false),
    ] {
        let reply = ask(SECRET, SOURCE, LEARNT, seconds);
        let cookie = hex(&reply.option(10).unwrap());
        assert_eq!((reply.outcome.cookie == Cookie::Good, cookie == LEARNT), (good, same), "{seconds}");
        assert_eq!(reply.rcode(), "NOERROR");
    }
}

#[test]
fn rfc9018_4_3_time_goes_round_after_136_years() {
    let last = u64::from(u32::MAX) - 10;
    let learnt = hex(&ask(SECRET, SOURCE, CLIENT, last).option(10).unwrap());
    assert_eq!(ask(SECRET, SOURCE, &learnt, last + 60).outcome.cookie, Cookie::Good);
}

#[test]
fn rfc9018_5_while_secrets_roll_over_every_node_takes_the_cookies_of_every_other() {
    let (old, new) = ("e5e973e5a6b2a43f48e7dc849e37bfcf", "445536bcd2513298075a5d379663c962");
    // First the new one is accepted everywhere, then it is active everywhere, then the old one goes.
    let stages = [old.to_owned(), format!("{old}\n{new}"), format!("{new}\n{old}"), new.to_owned()];
    for (earlier, later) in stages.iter().zip(&stages[1..]) {
        for (made_by, asked) in [(earlier, later), (later, earlier)] {
            let learnt = hex(&ask(made_by, SOURCE, CLIENT, AT).option(10).unwrap());
            let by_active = made_by.lines().next() == asked.lines().next();
            let reply = ask(asked, SOURCE, &learnt, AT + 1);
            assert_eq!(reply.outcome.cookie, Cookie::Good, "made by {made_by}, asked of {asked}");
            assert_eq!(hex(&reply.option(10).unwrap()) == learnt, by_active, "one by another secret than the active is renewed");
        }
    }
}

#[test]
fn the_fuzzers_seed_holds_a_good_cookie() {
    let seed = include_bytes!("../fuzz/seeds/query/cookie-good");
    let policy = Policy { cookies: Some(CookieSecrets::new([7; 16], Some([8; 16]))), ..Policy::default() };
    let ask = aya_gslb::answer::Ask {
        source: crate::support::ask::RESOLVER,
        transport: aya_gslb::answer::Transport::Udp,
        now: aya_gslb::units::Moment(1_000_000),
        policy: &policy,
    };
    let reply = crate::support::ask::reply_to(&seed[1..], &ask, &world());
    assert_eq!(reply.outcome.cookie, Cookie::Good, "{}", hex(&reply.option(10).unwrap()));
}
