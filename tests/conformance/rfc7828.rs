//! edns-tcp-keepalive.

use aya_gslb::answer::{Policy, Transport};

use crate::support::ask::query;
use crate::support::*;

#[test]
fn rfc7828_3_3_2_who_asks_over_tcp_or_tls_is_told_how_long_an_idle_connection_is_kept() {
    let world = world();
    for transport in [Transport::Tcp, Transport::Tls] {
        let asked = query("api.example.com", A).option(11, b"").over(transport);
        let reply = asked.ask(&world);
        assert_eq!((reply.option(11), reply.outcome.keepalive), (Some(370_u16.to_be_bytes().to_vec()), true), "{transport:?}: 37 seconds");
        let policy = Policy { keepalive_ms: 120_000, ..Policy::default() };
        assert_eq!(asked.ask_by(&policy, &world).option(11), Some(1_200_u16.to_be_bytes().to_vec()));
        let silent = query("api.example.com", A).edns().over(transport).ask(&world);
        assert_eq!((silent.option(11), silent.outcome.keepalive), (None, false), "nobody asked");
    }
}

#[test]
fn rfc7828_3_2_1_over_udp_the_option_is_ignored() {
    let reply = query("api.example.com", A).option(11, b"").ask(&world());
    assert_eq!((reply.rcode(), reply.option(11), reply.outcome.keepalive), ("NOERROR", None, false));
}

#[test]
fn rfc9250_5_5_2_over_quic_and_https_connections_are_kept_by_other_means() {
    for transport in [Transport::Quic, Transport::Https] {
        let reply = query("api.example.com", A).option(11, b"").over(transport).ask(&world());
        assert_eq!((reply.rcode(), reply.option(11)), ("NOERROR", None));
    }
}
