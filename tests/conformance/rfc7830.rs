//! Padding, and how much of it (RFC 8467).

use aya_gslb::answer::Transport;

use crate::support::ask::query;
use crate::support::*;

#[test]
fn rfc8467_4_1_encrypted_replies_to_padded_queries_are_padded_to_blocks_of_468_octets() {
    let world = world();
    for transport in [Transport::Tls, Transport::Https, Transport::Quic] {
        for (asked, qtype, blocks) in
            [("api.example.com", A, 1), ("missing.example.com", A, 1), ("example.org", A, 1), ("wide.example.com", AAAA, 3), ("huge.example.com", TXT, 0)]
        {
            let reply = query(asked, qtype).option(12, &[0; 60]).over(transport).ask(&world);
            assert_eq!(reply.octets.len() % 468, 0, "{asked} over {transport:?}");
            assert!(blocks == 0 || reply.octets.len() == blocks * 468, "{asked}: {} octets", reply.octets.len());
            assert!(reply.option(12).unwrap().iter().all(|octet| *octet == 0), "RFC 7830 3: padding is zeros");
        }
    }
}

#[test]
fn rfc7830_4_a_query_without_padding_gets_none() {
    let reply = query("api.example.com", A).edns().over(Transport::Tls).ask(&world());
    assert_eq!(reply.option(12), None);
    let reply = query("api.example.com", A).over(Transport::Tls).ask(&world());
    assert!(!reply.has_opt());
}

#[test]
fn rfc7830_6_nothing_is_padded_that_anybody_can_read() {
    for transport in [Transport::Udp, Transport::Tcp] {
        let reply = query("api.example.com", A).option(12, &[0; 60]).over(transport).ask(&world());
        assert_eq!((reply.rcode(), reply.option(12)), ("NOERROR", None), "{transport:?}");
    }
}
