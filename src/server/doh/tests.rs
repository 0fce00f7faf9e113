//! Deadlines, with limits that a test can wait for.

use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::LocalSet;
use tokio_rustls::TlsConnector;
use tokio_rustls::client;

use super::*;
use crate::clock::Clock;
use crate::server::tests::{edge, trust};

/// Longer than any limit that a test sets, shorter than those it does not.
const PATIENCE: Duration = Duration::from_secs(60);

/// Serves under these limits while a client does its part with a connection that speaks this version; `None` speaks nothing yet.
fn serve_while<F: Future<Output = ()>>(
    limits: Limits,
    version: Option<&'static [u8]>,
    client: impl FnOnce(TcpStream, Option<client::TlsStream<TcpStream>>) -> F,
) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    let (edge, telemetry) = edge(Clock::system());
    let (server, config) = trust(version.as_slice());
    let counters = telemetry.counters(Transport::Https);
    let seats = Rc::new(Seats::new(Arc::new(Crowd::new(limits.caps)), edge.clock.clone(), Arc::clone(&counters.tally)));
    let desk = RefCell::new(Desk::new(&edge, counters));
    let worker = Rc::new(Worker { acceptor: TlsAcceptor::from(server), path: PATH.into(), desk, seats, limits });
    let (stop, stopped) = watch::channel(false);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, async {
        let serving = tokio::task::spawn_local(async move { serve(&RefCell::new(vec![listener]), worker, stopped).await });
        let plain = TcpStream::connect(address).await.unwrap();
        let encrypted = async {
            let stream = TcpStream::connect(address).await.unwrap();
            TlsConnector::from(config).connect(ServerName::try_from("localhost").unwrap(), stream).await.unwrap()
        };
        let encrypted = if version.is_some() { Some(encrypted.await) } else { None };
        timeout(PATIENCE, client(plain, encrypted)).await.expect("the node ends the connection");
        stop.send_replace(true);
        serving.await.unwrap().unwrap();
    });
}

/// What is said until the end.
async fn until_the_end(mut stream: impl AsyncReadExt + Unpin) -> Vec<u8> {
    let mut said = Vec::new();
    // A reset is as good an end as any.
    let _ = stream.read_to_end(&mut said).await;
    said
}

/// Limits that nobody reaches but by the one that a test sets.
fn patient() -> Limits {
    let long = 100 * PATIENCE;
    Limits { handshake: long, request: long, idle_ms: 6_000_000, life: long, ..Limits::default() }
}

#[test]
fn a_handshake_that_does_not_begin_is_not_waited_for() {
    let limits = Limits { handshake: Duration::from_millis(50), ..patient() };
    serve_while(limits, None, |plain, _| async {
        assert!(until_the_end(plain).await.is_empty());
    });
}

#[test]
fn a_connection_without_a_query_is_closed_in_either_version() {
    for version in [&b"h2"[..], b"http/1.1"] {
        let limits = Limits { idle_ms: 50, ..patient() };
        serve_while(limits, Some(version), |_, encrypted| async move {
            until_the_end(encrypted.unwrap()).await;
        });
    }
}

#[test]
fn pings_do_not_keep_an_idle_connection_open() {
    let limits = Limits { idle_ms: 50, close: Duration::from_millis(50), ..patient() };
    serve_while(limits, Some(b"h2"), |_, encrypted| async move {
        let (reading, mut writing) = tokio::io::split(encrypted.unwrap());
        let mut end = pin!(until_the_end(reading));
        writing.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
        loop {
            // The other side may have ended it meanwhile.
            let _ = writing.write_all(b"\0\0\x08\x06\0\0\0\0\0abcdefgh").await;
            let _ = writing.flush().await;
            tokio::select! {
                _ = &mut end => return,
                () = tokio::task::yield_now() => {}
            }
        }
    });
}

#[test]
fn no_connection_lives_for_ever() {
    let limits = Limits { life: Duration::from_millis(50), ..patient() };
    serve_while(limits, Some(b"h2"), |_, encrypted| async move {
        until_the_end(encrypted.unwrap()).await;
    });
}

#[test]
fn a_body_that_does_not_end_is_told_so() {
    let limits = Limits { request: Duration::from_millis(50), ..patient() };
    serve_while(limits, Some(b"http/1.1"), |_, encrypted| async move {
        let mut stream = encrypted.unwrap();
        let head = b"POST /dns-query HTTP/1.1\r\nhost: x\r\ncontent-type: application/dns-message\r\ncontent-length: 9\r\n\r\nabc";
        stream.write_all(head).await.unwrap();
        assert!(until_the_end(stream).await.starts_with(b"HTTP/1.1 408 "));
    });
}
