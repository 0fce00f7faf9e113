//! What may come over QUIC and is no use to anybody: the stream or the connection ends, and others are served as before.

use std::net::UdpSocket;
use std::time::Duration;

use quinn::{Connection, VarInt};
use tokio::task::JoinSet;

use crate::encrypted::{self, Fixture};
use crate::quic::{ask, closing_code, connect, endpoint, exchange, framed, server, zero};
use crate::support::A;
use crate::support::ask::{header, query};
use crate::{metric, run, soon};

/// DOQ_PROTOCOL_ERROR.
const PROTOCOL_ERROR: u64 = 2;

/// What is sent on one stream, and what is to come of it.
struct Case {
    name: &'static str,
    octets: Vec<u8>,
    /// Whether the client says that nothing follows.
    is_finished: bool,
    end: End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The node closes the connection with DOQ_PROTOCOL_ERROR (RFC 9250 §4.3.3).
    Fatal,
    /// The node gives up the stream; the connection goes on.
    Stream,
    /// The node answers.
    Answered,
}

fn cases() -> Vec<Case> {
    use End::{Answered, Fatal, Stream};
    let plain = zero("api.example.com", A);
    let octets = plain.octets();
    let whole = framed(&octets);
    let case = |name, octets: Vec<u8>, end| Case { name, octets, is_finished: true, end };
    let open = |name, octets: Vec<u8>, end| Case { name, octets, is_finished: false, end };
    let mut response = octets.clone();
    response[2] |= 0x80;
    let counted = |counts| framed(&[header(0, 0, counts), plain.question()].concat());
    vec![
        case("the end of the stream and nothing else", Vec::new(), Fatal),
        case("half a length", vec![0], Fatal),
        case("a length and nothing else", vec![0, 33], Fatal),
        case("a length of nothing", vec![0, 0], Fatal),
        case("a length that is shorter than a header", framed(&octets[..11]), Fatal),
        case("a message that is shorter than its length", whole[..whole.len() - 1].to_vec(), Fatal),
        case("a message that is longer than its length", [&whole[..], &[0]].concat(), Fatal),
        case("two messages on one stream", [&whole[..], &whole].concat(), Fatal),
        case("a hundred messages on one stream", whole.repeat(100), Fatal),
        case("a message without a length", octets.clone(), Fatal),
        case("the largest length and a short message", [&[0xff, 0xff][..], &octets].concat(), Fatal),
        case("more than the largest message", [&[0xff, 0xff][..], &vec![0; 65_535], &[0; 2_000]].concat(), Fatal),
        case("an ID other than 0", framed(&query("api.example.com", A).octets()), Fatal),
        case("an ID of 1", framed(&[&[0, 1][..], &octets[2..]].concat()), Fatal),
        case("an ID of 256", framed(&[&[1, 0][..], &octets[2..]].concat()), Fatal),
        case("edns-tcp-keepalive", framed(&plain.clone().option(11, &[]).octets()), Fatal),
        case(
            "edns-tcp-keepalive with a time, behind other options",
            framed(&plain.clone().option(3, &[]).option(12, &[0; 9]).option(11, &[0, 99]).octets()),
            Fatal,
        ),
        case("a response", framed(&response), Fatal),
        case("octets at random", (0..500_u32).map(|at| (at * 89 % 253) as u8).collect(), Fatal),
        case("a request of HTTP/1.1", b"GET /dns-query HTTP/1.1\r\nhost: x\r\n\r\n".to_vec(), Fatal),
        open("a whole query without the end of the stream", whole.clone(), Fatal),
        open("half a query without the end of the stream", whole[..20].to_vec(), Stream),
        open("half a length without the end of the stream", vec![0], Stream),
        open("nothing without the end of the stream", Vec::new(), Stream),
        open("a query and the beginning of another", [&whole[..], &whole[..10]].concat(), Fatal),
        case("a bare header", framed(&[0; 12]), Answered),
        case("no question", counted([0, 0, 0, 0]), Answered),
        case("two questions", counted([2, 0, 0, 0]), Answered),
        case("counts of everything", counted([0xffff; 4]), Answered),
        case("another opcode", framed(&plain.clone().flags(0x2800).octets()), Answered),
        case("another version of EDNS", framed(&plain.clone().edns_flags(7 << 16).octets()), Answered),
        case("a malformed subnet", framed(&plain.clone().option(8, &[0, 9, 200]).octets()), Answered),
        case(
            "options that overrun",
            framed(&[header(0, 0, [1, 0, 0, 1]), plain.question(), vec![0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 4, 0, 11, 0, 99]].concat()),
            Answered,
        ),
        case("a name that points to itself", framed(&[header(0, 0, [1, 0, 0, 0]), vec![0xc0, 12, 0, 1, 0, 1]].concat()), Answered),
        case("a transfer", framed(&zero("example.com", 252).octets()), Answered),
    ]
}

/// Does what a case says, on a connection of its own.
async fn act(connection: Connection, case: Case) {
    let Case { name, octets, is_finished, end } = case;
    if end == End::Answered {
        assert!(exchange(&connection, &octets).await.is_ok_and(|reply| reply.len() >= 14), "{name}");
        return;
    }
    let (mut send, mut receive) = soon(connection.open_bi()).await.unwrap();
    // The other side may have ended it meanwhile.
    let _ = soon(send.write_all(&octets)).await;
    if is_finished {
        let _ = send.finish();
    }
    if octets.is_empty() && !is_finished {
        // A stream exists once something of it was sent.
        send.set_priority(1).unwrap();
        send.write_all(&[0]).await.unwrap();
    }
    assert!(soon(receive.read_to_end(70_000)).await.is_err(), "{name}");
    match end {
        End::Fatal => assert_eq!(closing_code(&connection).await, Some(PROTOCOL_ERROR), "{name}"),
        _ => assert!(exchange(&connection, &framed(&zero("api.example.com", A).octets())).await.is_ok(), "{name}"),
    }
}

async fn ten_newcomers_are_served(fixture: &Fixture) {
    for _ in 0..10 {
        let connection = connect(fixture).await;
        assert_eq!(ask(&connection, &zero("api.example.com", A).octets()).await.answers.len(), 1);
    }
}

fn start(name: &str) -> Fixture {
    encrypted::start_with(name, |options| options.metrics = Some("127.0.0.1:0".parse().unwrap()))
}

#[test]
fn rfc9250_4_3_3_no_stream_holds_up_others_or_leaves_anything_behind() {
    let cases = cases();
    assert!(cases.len() >= 35);
    let fixture = start("quic-hostile");
    run(async {
        let mut acting = JoinSet::new();
        for case in cases {
            let connection = connect(&fixture).await;
            acting.spawn(act(connection, case));
        }
        while let Some(acted) = acting.join_next().await {
            acted.unwrap();
        }
        ten_newcomers_are_served(&fixture).await;
        soon(async {
            while metric(&fixture, r#"aya_connections{transport="quic"}"#).await > 0 {
                tokio::task::yield_now().await;
            }
        })
        .await;
    });
    fixture.node.stop();
}

#[test]
fn rfc9250_4_3_3_a_stream_in_one_direction_is_not_had() {
    let fixture = start("one-way");
    run(async {
        let connection = connect(&fixture).await;
        let opened = tokio::time::timeout(Duration::from_millis(50), connection.open_uni()).await;
        assert!(opened.is_err(), "the node allows none");
        assert!(connection.max_datagram_size().is_none(), "nor datagrams");
    });
}

#[test]
fn more_streams_than_are_allowed_wait_for_their_turn() {
    let fixture = start("many-streams");
    run(async {
        let connection = connect(&fixture).await;
        let octets = framed(&zero("api.example.com", A).octets());
        let mut open = Vec::new();
        while let Ok(stream) = tokio::time::timeout(Duration::from_millis(50), connection.open_bi()).await {
            let (mut send, receive) = stream.unwrap();
            send.write_all(&octets[..9]).await.unwrap();
            open.push((send, receive));
        }
        assert_eq!(open.len(), usize::try_from(aya_gslb::limits::QUIC_STREAMS_MAX).unwrap());
        for (send, _) in &mut open {
            send.write_all(&octets[9..]).await.unwrap();
            send.finish().unwrap();
        }
        for (_, receive) in &mut open {
            assert!(soon(receive.read_to_end(70_000)).await.is_ok());
        }
        ask(&connection, &octets[2..]).await;
    });
}

#[test]
fn two_hundred_silent_handshakes_do_not_hold_up_ten_newcomers() {
    let fixture = start("quic-silent");
    run(async {
        // The first datagram of a connection, as a client sends it, from two hundred ports that never say another word.
        let initial = first_datagram(&fixture).await;
        let mut silent = Vec::new();
        for turn in 0..200_u8 {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            socket.send_to(&initial, server(&fixture)).unwrap();
            silent.push(socket);
            if turn % 20 == 19 {
                ten_newcomers_are_served(&fixture).await;
            }
        }
        ten_newcomers_are_served(&fixture).await;
        drop(silent);
    });
}

#[test]
fn datagrams_that_are_no_quic_are_passed_over() {
    let fixture = start("no-quic");
    run(async {
        let initial = first_datagram(&fixture).await;
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut version = initial.clone();
        version[1..5].copy_from_slice(&[0x0a, 0x0a, 0x0a, 0x0a]);
        let mut damaged = initial.clone();
        damaged[60..].fill(0x5a);
        let mut long_id = initial.clone();
        long_id[5] = 0xff;
        let datagrams: Vec<Vec<u8>> = vec![
            Vec::new(),
            vec![0],
            vec![0x40],
            vec![0xc0],
            vec![0xff; 1_200],
            vec![0x40; 1_200],
            (0..1_400_u32).map(|at| (at * 31 % 255) as u8).collect(),
            initial[..100].to_vec(),
            initial[..6].to_vec(),
            version,
            damaged,
            long_id,
            zero("api.example.com", A).octets(),
        ];
        for _ in 0..100 {
            for datagram in &datagrams {
                socket.send_to(datagram, server(&fixture)).unwrap();
            }
        }
        ten_newcomers_are_served(&fixture).await;
    });
}

#[test]
fn two_hundred_connections_of_one_client_leave_room_for_ten_newcomers() {
    let fixture = start("quic-crowd");
    run(async {
        let mut crowd = Vec::new();
        for _ in 0..200 {
            crowd.push(connect(&fixture).await);
        }
        ten_newcomers_are_served(&fixture).await;
        let open = metric(&fixture, r#"aya_connections{transport="quic"}"#).await;
        assert!(open <= aya_gslb::limits::TCP_CONNECTIONS_PER_PREFIX_MAX as u64, "{open}");
        // DOQ_EXCESSIVE_LOAD to the most idle.
        assert_eq!(closing_code(&crowd[0]).await, Some(4));
        drop(crowd);
    });
}

#[test]
fn who_leaves_without_a_word_is_forgotten() {
    let fixture = start("leavers");
    run(async {
        for _ in 0..20 {
            let endpoint = endpoint(&fixture, &[b"doq"]);
            let connection = soon(endpoint.connect(server(&fixture), encrypted::NAME).unwrap()).await.unwrap();
            connection.close(VarInt::from_u32(0), b"");
        }
        soon(async {
            while metric(&fixture, r#"aya_connections{transport="quic"}"#).await > 0 {
                tokio::task::yield_now().await;
            }
        })
        .await;
    });
}

/// The first datagram that a client sends: caught by a socket that answers nothing.
async fn first_datagram(fixture: &Fixture) -> Vec<u8> {
    let trap = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let endpoint = endpoint(fixture, &[b"doq"]);
    let connecting = endpoint.connect(trap.local_addr().unwrap(), encrypted::NAME).unwrap();
    let mut datagram = vec![0; 2_000];
    let (len, _) = soon(trap.recv_from(&mut datagram)).await.unwrap();
    drop(connecting);
    datagram.truncate(len);
    assert!(len >= 1_200);
    datagram
}
