use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::*;
use crate::limits::{UDP_BATCH, UDP_QUERY_MAX, UDP_REPLY_MAX};

/// A bound socket and a client of it.
fn pair() -> (UdpSocket, UdpSocket) {
    let server = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let client = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    client.connect(server.local_addr().unwrap()).unwrap();
    for socket in [&server, &client] {
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    }
    (server, client)
}

/// A socket that knows nothing of IPv4.
fn only_v6(address: std::net::Ipv6Addr) -> UdpSocket {
    let socket = socket2::Socket::new(socket2::Domain::IPV6, socket2::Type::DGRAM, None).unwrap();
    socket.set_only_v6(true).unwrap();
    socket.bind(&SocketAddr::from((address, 0)).into()).unwrap();
    socket.into()
}

/// Replies with the query, but is silent to what begins with `-`.
fn echo(_source: std::net::IpAddr, query: &[u8], reply: &mut [u8]) -> usize {
    if query.starts_with(b"-") {
        return 0;
    }
    let len = query.len().min(reply.len());
    reply[..len].copy_from_slice(&query[..len]);
    len
}

fn received(client: &UdpSocket) -> Vec<u8> {
    let mut reply = [0; 8_192];
    let len = client.recv(&mut reply).unwrap();
    reply[..len].to_vec()
}

/// The tests of both kinds of batch.
macro_rules! tests_of {
    ($name:ident, $batch:ty) => {
        mod $name {
            use super::*;

            #[test]
            fn a_lone_query_is_answered_at_once_and_nothing_comes_after_it() {
                let (server, client) = pair();
                let mut batch = <$batch>::new(false);
                client.send(b"one").unwrap();
                batch.receive(&server, Wait::ForOne).unwrap();
                let mut seen = Vec::new();
                batch.answer_each(|source, query, reply| {
                    seen.push((source, query.to_vec()));
                    echo(source, query, reply)
                });
                assert_eq!(seen, [(Ipv4Addr::LOCALHOST.into(), b"one".to_vec())]);
                assert_eq!(batch.send(&server), 0);
                assert_eq!(received(&client), b"one");
                assert_eq!(batch.receive(&server, Wait::Not).unwrap_err().kind(), io::ErrorKind::WouldBlock);
                assert_eq!(batch.answer_each(|_, _, _| panic!("there is no query")), 0);
            }

            #[test]
            fn replies_go_to_who_asked_in_order_and_silence_sends_nothing() {
                let (server, first) = pair();
                let second = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
                second.connect(server.local_addr().unwrap()).unwrap();
                second.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
                for round in 0..3 * UDP_BATCH {
                    first.send(format!("first {round}").as_bytes()).unwrap();
                    second.send(b"-silence").unwrap();
                    second.send(format!("second {round}").as_bytes()).unwrap();
                    if round % 20 == 19 {
                        let mut batch = <$batch>::new(round % 40 == 39);
                        while batch.receive(&server, Wait::Not).is_ok() {
                            batch.answer_each(echo);
                            assert_eq!(batch.send(&server), 0);
                        }
                        for round in round - 19..=round {
                            assert_eq!(received(&first), format!("first {round}").as_bytes());
                            assert_eq!(received(&second), format!("second {round}").as_bytes());
                        }
                    }
                }
            }

            #[test]
            fn an_empty_datagram_is_a_query_of_no_octets() {
                let (server, client) = pair();
                let mut batch = <$batch>::new(false);
                client.send(b"").unwrap();
                client.send(b"more").unwrap();
                let mut seen = Vec::new();
                while seen.len() < 2 {
                    batch.receive(&server, Wait::ForOne).unwrap();
                    batch.answer_each(|_, query, _| {
                        seen.push(query.to_vec());
                        0
                    });
                }
                assert_eq!(seen, [b"".to_vec(), b"more".to_vec()]);
            }
        }
    };
}

tests_of!(several, Batch);
tests_of!(one, super::super::plain::Batch);

#[test]
fn a_query_longer_than_the_room_is_cut_and_counted_and_the_next_is_whole_again() {
    let (server, client) = pair();
    let mut batch = Batch::new(false);
    for (len, read, cut) in [(UDP_QUERY_MAX, UDP_QUERY_MAX, 0), (UDP_QUERY_MAX + 1, UDP_QUERY_MAX, 1), (3, 3, 0)] {
        client.send(&vec![7; len]).unwrap();
        batch.receive(&server, Wait::ForOne).unwrap();
        let counted = batch.answer_each(|_, query, _| {
            assert_eq!(query.len(), read);
            0
        });
        assert_eq!(counted, cut, "{len} octets");
    }
}

#[test]
fn a_reply_that_cannot_be_sent_is_counted_and_does_not_hold_up_the_others() {
    let (server, client) = pair();
    let nobody = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    for _ in 0..3 {
        client.send(b"one").unwrap();
        nobody.send_to(b"two", server.local_addr().unwrap()).unwrap();
    }
    let mut batch = Batch::new(false);
    batch.receive(&server, Wait::ForOne).unwrap();
    batch.answer_each(echo);
    // A socket of the other family takes no reply to an IPv4 address.
    let other = only_v6(std::net::Ipv6Addr::LOCALHOST);
    assert_eq!(batch.send(&other), 6);
    assert_eq!(batch.send(&server), 0, "they are gone");
}

#[test]
fn on_a_wildcard_address_the_reply_leaves_from_the_address_that_was_asked() {
    let server = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
    tell_destinations(&server, false).unwrap();
    let port = server.local_addr().unwrap().port();
    let mut batch = Batch::new(true);
    // More than a batch, so that every header is used again.
    for round in 0..2 * UDP_BATCH {
        let asked = Ipv4Addr::from([127, 0, 0, u8::try_from(round % 7 + 1).unwrap()]);
        let client = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        client.send_to(b"where", (asked, port)).unwrap();
        batch.receive(&server, Wait::ForOne).unwrap();
        batch.answer_each(echo);
        assert_eq!(batch.send(&server), 0);
        let (_, from) = client.recv_from(&mut [0; UDP_REPLY_MAX]).unwrap();
        assert_eq!(from, SocketAddr::from((asked, port)));
    }
}

#[test]
fn on_the_wildcard_address_of_ipv6_the_reply_leaves_from_the_address_that_was_asked() {
    let server = only_v6(std::net::Ipv6Addr::UNSPECIFIED);
    tell_destinations(&server, true).unwrap();
    let asked = SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, server.local_addr().unwrap().port()));
    let client = UdpSocket::bind((std::net::Ipv6Addr::LOCALHOST, 0)).unwrap();
    client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    client.send_to(b"where", asked).unwrap();
    let mut batch = Batch::new(true);
    batch.receive(&server, Wait::ForOne).unwrap();
    batch.answer_each(echo);
    assert_eq!(batch.send(&server), 0);
    assert_eq!(client.recv_from(&mut [0; UDP_REPLY_MAX]).unwrap().1, asked);
}

#[test]
fn what_does_not_fit_the_sockets_buffer_is_told() {
    let (server, client) = pair();
    socket2::SockRef::from(&server).set_recv_buffer_size(1).unwrap();
    assert_eq!(overflows(&server).unwrap(), 0);
    for _ in 0..100 {
        client.send(&[0; 1_000]).unwrap();
    }
    assert!(overflows(&server).unwrap() > 0);
}

#[test]
fn a_thread_is_pinned_to_a_cpu_that_it_may_run_on() {
    let cpus = allowed_cpus().unwrap();
    assert!(!cpus.is_empty());
    std::thread::spawn(move || {
        let last = *cpus.last().unwrap();
        pin_to(last).unwrap();
        assert_eq!(allowed_cpus().unwrap(), [last]);
        assert!(pin_to(1 << 20).is_err());
    })
    .join()
    .unwrap();
}
