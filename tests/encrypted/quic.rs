//! RFC 9250, as a client sees it.

use std::net::SocketAddr;
use std::sync::Arc;

use hickory_proto::op::{Message, ResponseCode};
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Connection, ConnectionError, Endpoint, VarInt};

use crate::encrypted::{self, Fixture, NAME, client};
use crate::support::ask::{Query, query};
use crate::support::{A, HTTPS, TXT};
use crate::{metric, run, soon};

/// DOQ_REQUEST_CANCELLED.
const CANCELLED: VarInt = VarInt::from_u32(3);

/// A query as clients of QUIC send it: ID 0 (RFC 9250 §4.2.1).
pub fn zero(name: &str, qtype: u16) -> Query {
    Query { id: 0, ..query(name, qtype) }
}

/// A message behind its length.
pub fn framed(octets: &[u8]) -> Vec<u8> {
    [&u16::try_from(octets.len()).unwrap().to_be_bytes()[..], octets].concat()
}

/// A client on a port of its own that offers these names.
pub fn endpoint(fixture: &Fixture, alpn: &[&[u8]]) -> Endpoint {
    let mut endpoint = Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
    let tls = QuicClientConfig::try_from(client(&fixture.certificate, alpn)).unwrap();
    endpoint.set_default_client_config(ClientConfig::new(Arc::new(tls)));
    endpoint
}

/// A connection of such a client.
pub async fn connect(fixture: &Fixture) -> Connection {
    let endpoint = endpoint(fixture, &[b"doq"]);
    soon(endpoint.connect(server(fixture), NAME).unwrap()).await.unwrap()
}

pub fn server(fixture: &Fixture) -> SocketAddr {
    fixture.node.quic_addresses()[0]
}

/// What comes back on a stream for these octets and its end.
pub async fn exchange(connection: &Connection, octets: &[u8]) -> Result<Vec<u8>, String> {
    let (mut send, mut receive) = soon(connection.open_bi()).await.map_err(|error| error.to_string())?;
    send.write_all(octets).await.map_err(|error| error.to_string())?;
    let _ = send.finish();
    soon(receive.read_to_end(70_000)).await.map_err(|error| error.to_string())
}

/// The reply to one query.
pub async fn ask(connection: &Connection, octets: &[u8]) -> Message {
    let reply = exchange(connection, &framed(octets)).await.unwrap();
    let (len, message) = reply.split_first_chunk().unwrap();
    assert_eq!(usize::from(u16::from_be_bytes(*len)), message.len(), "one message behind its length, and nothing more");
    Message::from_vec(message).unwrap()
}

/// The code that the node closed a connection with; `None` if it was not the node that did, or not with a code of DoQ.
pub async fn closing_code(connection: &Connection) -> Option<u64> {
    match soon(connection.closed()).await {
        ConnectionError::ApplicationClosed(close) => Some(close.error_code.into_inner()),
        _ => None,
    }
}

#[test]
fn rfc9250_4_2_each_query_has_a_stream_and_its_reply_with_the_end_of_it() {
    let fixture = encrypted::start("streams");
    run(async {
        let connection = connect(&fixture).await;
        for (name, qtype) in [("api.example.com", A), ("api.example.com", HTTPS), ("huge.example.com", TXT), ("nothing.example.com", A), ("example.org", A)] {
            let reply = ask(&connection, &zero(name, qtype).edns().octets()).await;
            assert_eq!((reply.metadata.id, reply.metadata.truncation), (0, false), "{name}");
        }
    });
}

#[test]
fn rfc9250_4_2_streams_are_answered_side_by_side_also_where_one_is_slow() {
    let fixture = encrypted::start("side-by-side");
    run(async {
        let connection = connect(&fixture).await;
        let octets = framed(&zero("api.example.com", A).octets());
        let (mut slow, mut slowly) = connection.open_bi().await.unwrap();
        slow.write_all(&octets[..5]).await.unwrap();
        let all: Vec<_> = (0..50)
            .map(|_| {
                let (connection, octets) = (connection.clone(), octets.clone());
                tokio::spawn(async move { exchange(&connection, &octets).await.unwrap() })
            })
            .collect();
        for one in all {
            assert!(one.await.unwrap().len() > 30);
        }
        slow.write_all(&octets[5..]).await.unwrap();
        slow.finish().unwrap();
        assert!(soon(slowly.read_to_end(70_000)).await.unwrap().len() > 30);
    });
}

#[test]
fn a_query_may_come_octet_by_octet() {
    let fixture = encrypted::start("octets");
    run(async {
        let connection = connect(&fixture).await;
        let (mut send, mut receive) = connection.open_bi().await.unwrap();
        for octet in framed(&zero("api.example.com", A).octets()) {
            send.write_all(&[octet]).await.unwrap();
            tokio::task::yield_now().await;
        }
        send.finish().unwrap();
        assert!(soon(receive.read_to_end(70_000)).await.unwrap().len() > 30);
    });
}

#[test]
fn the_largest_query_is_read_and_answered() {
    let fixture = encrypted::start("largest");
    run(async {
        let connection = connect(&fixture).await;
        let mut octets = zero("api.example.com", A).octets();
        octets.resize(65_535, 0);
        assert_eq!(ask(&connection, &octets).await.answers.len(), 1);
    });
}

#[test]
fn rfc9250_4_1_who_offers_another_protocol_or_none_is_not_spoken_to() {
    let fixture = encrypted::start("alpn");
    run(async {
        for alpn in [&[b"h3".as_slice()][..], &[b"dot"], &[b"doq-i00"], &[]] {
            let endpoint = endpoint(&fixture, alpn);
            assert!(soon(endpoint.connect(server(&fixture), NAME).unwrap()).await.is_err(), "{alpn:?}");
        }
        connect(&fixture).await;
    });
}

#[test]
fn rfc9250_4_3_1_a_query_that_is_taken_back_costs_nothing_else() {
    let fixture = encrypted::start("cancelled");
    run(async {
        let connection = connect(&fixture).await;
        let octets = framed(&zero("api.example.com", A).octets());
        for turn in 0..200 {
            let (mut send, mut receive) = soon(connection.open_bi()).await.unwrap();
            if turn % 2 == 0 {
                send.write_all(&octets[..octets.len() - 1]).await.unwrap();
                send.reset(CANCELLED).unwrap();
            } else {
                send.write_all(&octets).await.unwrap();
                send.finish().unwrap();
            }
            receive.stop(CANCELLED).unwrap();
        }
        assert_eq!(ask(&connection, &octets[2..]).await.metadata.response_code, ResponseCode::NoError);
    });
}

#[test]
fn rfc9250_4_5_a_session_is_resumed_and_no_query_comes_before_hands_are_shaken() {
    let fixture = encrypted::start("resumed");
    run(async {
        let mut config = (*client(&fixture.certificate, &[b"doq"])).clone();
        config.enable_early_data = true;
        let mut endpoint = Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
        endpoint.set_default_client_config(ClientConfig::new(Arc::new(QuicClientConfig::try_from(config).unwrap())));
        for _ in 0..3 {
            let connecting = endpoint.connect(server(&fixture), NAME).unwrap();
            let Err(connecting) = connecting.into_0rtt() else { panic!("the node offers 0-RTT") };
            let connection = soon(connecting).await.unwrap();
            ask(&connection, &zero("api.example.com", A).octets()).await;
            connection.close(VarInt::from_u32(0), b"");
        }
    });
}

#[test]
fn a_node_that_stops_answers_what_came_and_says_that_nothing_is_wrong() {
    let fixture = encrypted::start("stops");
    run(async {
        let connection = connect(&fixture).await;
        let octets = framed(&zero("api.example.com", A).octets());
        ask(&connection, &octets[2..]).await;
        let (mut send, mut receive) = connection.open_bi().await.unwrap();
        send.write_all(&octets[..20]).await.unwrap();
        // The node has the beginning: it acknowledged it, as it answers what came later.
        ask(&connection, &octets[2..]).await;
        let stopping = tokio::task::spawn_blocking(move || fixture.node.stop());
        send.write_all(&octets[20..]).await.unwrap();
        send.finish().unwrap();
        assert!(soon(receive.read_to_end(70_000)).await.unwrap().len() > 30);
        assert_eq!(closing_code(&connection).await, Some(0));
        soon(stopping).await.unwrap();
    });
}

#[test]
fn metrics_tell_what_came_over_quic() {
    let fixture = encrypted::start_with("quic-metrics", |options| options.metrics = Some("127.0.0.1:0".parse().unwrap()));
    run(async {
        let connection = connect(&fixture).await;
        for _ in 0..3 {
            ask(&connection, &zero("api.example.com", A).octets()).await;
        }
        assert_eq!(metric(&fixture, r#"aya_responses_total{rcode="noerror",transport="quic"}"#).await, 3);
        assert_eq!(metric(&fixture, r#"aya_connections{transport="quic"}"#).await, 1);
        assert_eq!(metric(&fixture, r#"aya_connections_accepted_total{transport="quic"}"#).await, 1);
        assert!(exchange(&connection, &framed(&query("api.example.com", A).octets())).await.is_err());
        closing_code(&connection).await;
        assert_eq!(metric(&fixture, r#"aya_requests_rejected_total{transport="quic"}"#).await, 1);
    });
}
