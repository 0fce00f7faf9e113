//! Deadlines, with limits that a test can wait for.

use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, ConnectionError};
use tokio::task::LocalSet;

use super::*;
use crate::clock::Clock;
use crate::server::tests::{edge, trust};

/// Longer than any limit that a test sets, shorter than those it does not.
const PATIENCE: Duration = Duration::from_secs(60);

/// Serves under these limits while a client does its part with a connection.
fn serve_while<F: Future<Output = ()>>(limits: Limits, client: impl FnOnce(Connection) -> F) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_nonblocking(true).unwrap();
    let address = socket.local_addr().unwrap();
    let (edge, telemetry) = edge(Clock::system());
    let (server, config) = trust(&[b"doq"]);
    let counters = telemetry.counters(Transport::Quic);
    let seats = Rc::new(Seats::new(Arc::new(Crowd::new(limits.caps)), edge.clock.clone(), Arc::clone(&counters.tally)));
    let desk = RefCell::new(Desk::new(&edge, counters));
    let worker = Rc::new(Worker { desk, seats, limits, unvalidated: Cell::new(0) });
    // QUIC itself is patient: what is idle is for us to say.
    let server = configure(&server, &patient()).unwrap();
    let (stop, stopped) = watch::channel(false);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, async {
        let serving = tokio::task::spawn_local(async move { serve(&socket, &Lineage::after(None).unwrap(), server, worker, stopped).await });
        let mut endpoint = Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
        endpoint.set_default_client_config(ClientConfig::new(Arc::new(QuicClientConfig::try_from(config).unwrap())));
        let connection = endpoint.connect(address, "localhost").unwrap().await.unwrap();
        timeout(PATIENCE, client(connection)).await.expect("the node ends the connection");
        stop.send_replace(true);
        serving.await.unwrap().unwrap();
    });
}

/// Limits that nobody reaches but by the one that a test sets.
fn patient() -> Limits {
    let long = 100 * PATIENCE;
    Limits { handshake: long, message: long, idle_ms: 6_000_000, life: long, ..Limits::default() }
}

/// The code that the node closed a connection with.
async fn code_of(connection: &Connection) -> Option<VarInt> {
    match connection.closed().await {
        ConnectionError::ApplicationClosed(close) => Some(close.error_code),
        _ => None,
    }
}

#[test]
fn rfc9250_5_5_a_connection_without_a_query_is_closed_and_nothing_is_wrong() {
    serve_while(Limits { idle_ms: 50, ..patient() }, |connection| async move {
        assert_eq!(code_of(&connection).await, Some(code::NO_ERROR));
    });
}

#[test]
fn no_connection_lives_for_ever() {
    serve_while(Limits { life: Duration::from_millis(50), ..patient() }, |connection| async move {
        assert_eq!(code_of(&connection).await, Some(code::NO_ERROR));
    });
}

#[test]
fn a_stream_that_does_not_end_is_given_up_and_the_connection_goes_on() {
    serve_while(Limits { message: Duration::from_millis(50), ..patient() }, |connection| async move {
        for _ in 0..3 {
            let (mut send, mut receive) = connection.open_bi().await.unwrap();
            send.write_all(&[0, 33, 0, 0]).await.unwrap();
            assert!(receive.read_to_end(100).await.is_err());
        }
        assert!(connection.close_reason().is_none());
    });
}

#[test]
fn with_many_handshakes_under_way_a_newcomer_comes_again_with_a_token() {
    // None may be under way without one, so that this client had to come twice.
    serve_while(Limits { unvalidated: 0, ..patient() }, |connection| async move {
        let (mut send, mut receive) = connection.open_bi().await.unwrap();
        send.write_all(&[&[0, 17][..], &[0; 5], &[1], &[0; 8], &[1, 0, 1]].concat()).await.unwrap();
        send.finish().unwrap();
        assert!(receive.read_to_end(100).await.is_ok());
    });
}
