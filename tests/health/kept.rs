//! Probes over HTTP on connections that are kept, and what they tell of first octets and certificates.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aya_gslb::catalog::{Catalog, EndpointId, ProbeKind, ProbeSpec, ProbeTarget, StatusRange};
use aya_gslb::clock::Clock;
use aya_gslb::health::{Health, Observation, ProbeFailure, ProbeOutcome, ProbeWarning};
use aya_gslb::probe::{Prober, Roots};
use aya_gslb::units::{Micros, Moment};
use rcgen::{CertificateParams, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::publishing::{Count, start};
use crate::small::{Build, tcp};

fn http(address: SocketAddr, tls: bool) -> ProbeSpec {
    let kind = ProbeKind::Http {
        tls,
        method: "GET".into(),
        path: "/".into(),
        host: "api.example.com".into(),
        headers: Box::default(),
        body: None,
        statuses: [StatusRange { first: 200, last: 299 }].into(),
        contains: Some("well".into()),
        json: Box::default(),
        first_byte_ms: 0,
        verify: false,
        expiry_warning_s: 14 * 86_400,
        keep_alive: true,
    };
    let target = ProbeTarget { host: address.ip().into(), port: address.port() };
    ProbeSpec { target, kind, interval_ms: 100, timeout_ms: 20_000, ..tcp(1) }
}

fn catalog(spec: ProbeSpec) -> Arc<Catalog> {
    Build::default().zone("example.com").service("api").endpoint("east", 1, &[spec]).finish()
}

/// Reads the head of a request; says whether there was one.
async fn is_asked(stream: &mut TcpStream) -> bool {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(octet) => head.push(octet),
            Err(_) => return false,
        }
    }
    true
}

/// The text is found in the first chunk; what follows must be read all the same for the connection to serve again.
const CHUNKED: [&str; 2] = ["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nwell\r\n", "5\r\n, yes\r\n0\r\n\r\n"];

/// Answers requests on a connection: so many, then it closes it without a word.
async fn answer(mut stream: TcpStream, parts: &'static [&'static str], most: usize, answered: Arc<AtomicUsize>) {
    for _ in 0..most {
        if !is_asked(&mut stream).await {
            return;
        }
        answered.fetch_add(1, Ordering::SeqCst);
        for part in parts {
            stream.write_all(part.as_bytes()).await.unwrap();
        }
    }
}

/// A server that takes so many requests on one connection, and counts both.
async fn server(most: usize) -> (SocketAddr, Arc<AtomicUsize>, Arc<AtomicUsize>) {
    server_of(&CHUNKED, most).await
}

/// A server that always answers with this, to so many requests on one connection, and counts both.
async fn server_of(parts: &'static [&'static str], most: usize) -> (SocketAddr, Arc<AtomicUsize>, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (accepted, answered) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let counts = (Arc::clone(&accepted), Arc::clone(&answered));
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            counts.0.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(answer(stream, parts, most, Arc::clone(&counts.1)));
        }
    });
    (address, accepted, answered)
}

async fn until(count: &AtomicUsize, least: usize) {
    while count.load(Ordering::SeqCst) < least {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_connection_that_is_to_be_kept_serves_again_and_again() {
    let (address, accepted, answered) = server(usize::MAX).await;
    let handle = start(catalog(http(address, false)), None, Arc::new(Count::default()));
    until(&answered, 8).await;
    assert_eq!(accepted.load(Ordering::SeqCst), 1);
    assert_eq!(handle.worlds().load().status(EndpointId(0)).health, Health::Up);
    handle.stop().await;
}

#[tokio::test]
async fn a_kept_connection_that_the_server_closed_is_replaced_and_no_failure() {
    let (address, accepted, answered) = server(2).await;
    let handle = start(catalog(http(address, false)), None, Arc::new(Count::default()));
    let mut changes = handle.changes();
    until(&answered, 9).await;
    assert!(accepted.load(Ordering::SeqCst) >= 4);
    let world = handle.worlds().load();
    assert_eq!((world.status(EndpointId(0)).health, world.status(EndpointId(0)).moving), (Health::Up, false));
    assert_eq!(changes.try_recv().map(|change| change.to).ok(), Some(Health::Up));
    assert!(changes.try_recv().is_err(), "nothing else ever changed");
    handle.stop().await;
}

#[tokio::test]
async fn a_body_too_long_to_be_heard_out_passes_and_its_connection_is_not_asked_on_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let handle = start(catalog(http(address, false)), None, Arc::new(Count::default()));
    let mut held = Vec::new();
    for _ in 0..3 {
        // One that is asked on the same connection waits for the rest of the body, and the next one never comes.
        let next = tokio::time::timeout(std::time::Duration::from_secs(15), listener.accept()).await;
        let (mut stream, _) = next.expect("a new connection each time").unwrap();
        assert!(is_asked(&mut stream).await);
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nwell").await.unwrap();
        // Of what follows as much is taken as is looked at; then nobody reads it any more.
        let _ = stream.write_all(&vec![b'.'; 100_000]).await;
        held.push(stream);
    }
    let world = handle.worlds().load();
    assert_eq!((world.status(EndpointId(0)).health, world.status(EndpointId(0)).moving), (Health::Up, false));
    handle.stop().await;
}

/// Asks until there were so many answers; tells whether the endpoint was up all along, and how many connections that took.
async fn connections_for(spec: &ProbeSpec, (_, accepted, answered): &(SocketAddr, Arc<AtomicUsize>, Arc<AtomicUsize>), answers: usize) -> usize {
    let handle = start(catalog(spec.clone()), None, Arc::new(Count::default()));
    let mut changes = handle.changes();
    until(answered, answers).await;
    assert_eq!(changes.try_recv().map(|change| change.to).ok(), Some(Health::Up));
    assert!(changes.try_recv().is_err(), "nothing else ever changed");
    handle.stop().await;
    accepted.load(Ordering::SeqCst)
}

#[tokio::test]
async fn a_server_that_keeps_no_connection_is_asked_on_a_new_one_each_time_and_is_up() {
    const CLOSING: [&[&str]; 4] = [
        &["HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nwell"],
        &["HTTP/1.0 200 OK\r\nContent-Length: 4\r\n\r\nwell"],
        &["HTTP/1.0 200 OK\r\n\r\n", "we", "ll"],
        &["HTTP/1.1 200 OK\r\n\r\nwell"], // until it is closed (RFC 9112 section 6.3)
    ];
    for parts in CLOSING {
        let server = server_of(parts, 1).await;
        let connections = connections_for(&http(server.0, false), &server, 4).await;
        assert!(connections >= 4, "{connections} connections: {parts:?}");
    }
}

#[tokio::test]
async fn what_comes_before_an_answer_or_has_no_body_leaves_the_connection_whole() {
    const INTERIM: [&str; 2] =
        ["HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nwell"];
    let server = server_of(&INTERIM, usize::MAX).await;
    assert_eq!(connections_for(&http(server.0, false), &server, 6).await, 1, "interim answers (RFC 9110 section 15.2)");

    let no_content = server_of(&["HTTP/1.1 204 No Content\r\n\r\n"], usize::MAX).await;
    assert_eq!(connections_for(&bodiless(no_content.0, "GET"), &no_content, 6).await, 1, "no body (RFC 9112 section 6.3)");

    let head = server_of(&["HTTP/1.1 200 OK\r\nContent-Length: 4000\r\n\r\n"], usize::MAX).await;
    assert_eq!(connections_for(&bodiless(head.0, "HEAD"), &head, 6).await, 1, "HEAD (RFC 9110 section 9.3.2)");
}

/// A probe that looks at the status alone.
fn bodiless(address: SocketAddr, word: &str) -> ProbeSpec {
    let mut spec = http(address, false);
    if let ProbeKind::Http { method, contains, .. } = &mut spec.kind {
        (*method, *contains) = (word.into(), None);
    }
    spec
}

#[tokio::test]
async fn probes_connect_anew_each_time_unless_told_otherwise() {
    let (address, accepted, answered) = server(usize::MAX).await;
    let mut spec = http(address, false);
    if let ProbeKind::Http { keep_alive, .. } = &mut spec.kind {
        *keep_alive = false;
    }
    let handle = start(catalog(spec), None, Arc::new(Count::default()));
    until(&answered, 5).await;
    assert!(accepted.load(Ordering::SeqCst) >= 5);
    handle.stop().await;
}

async fn ask(spec: &ProbeSpec, certificates: &[CertificateDer<'static>]) -> Observation {
    let roots = Roots::of_certificates(certificates.iter().cloned()).unwrap();
    Prober::new(Clock::system(), roots).ask(spec, "127.0.0.1".parse().unwrap()).await
}

#[tokio::test]
async fn a_first_octet_that_comes_late_degrades_however_soon_the_head_was_there() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move {
        for waits in [true, false] {
            let (mut stream, _) = listener.accept().await.unwrap();
            let watch = aya_gslb::clock::Stopwatch::start();
            stream.read_u8().await.unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n").await.unwrap();
            while waits && watch.so_far() < Micros::from_millis(8) {
                tokio::task::yield_now().await;
            }
            stream.write_all(b"well").await.unwrap();
            // Until the prober hangs up.
            let _ = stream.read_to_end(&mut Vec::new()).await;
        }
    });
    let limited = |ms| {
        let mut spec = http(address, false);
        if let ProbeKind::Http { first_byte_ms, keep_alive, .. } = &mut spec.kind {
            (*first_byte_ms, *keep_alive) = (ms, false);
        }
        spec
    };
    let outcome = ask(&limited(4), &[]).await.outcome;
    assert!(matches!(&outcome, ProbeOutcome::Warned(ProbeWarning::Late(after)) if *after >= Micros::from_millis(8)), "{outcome:?}");
    assert_eq!(ask(&limited(20_000), &[]).await.outcome, ProbeOutcome::Passed);
    server.await.unwrap();
}

/// A server with a certificate that ends at this day, in the year's first month.
async fn serve_tls(year: i32) -> (SocketAddr, CertificateDer<'static>) {
    let mut params = CertificateParams::new(["api.example.com".to_owned()]).unwrap();
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(year, 1, 1);
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap().der().clone();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_no_client_auth().with_single_cert(vec![certificate.clone()], key).unwrap();
    let (acceptor, listener) = (TlsAcceptor::from(Arc::new(config)), TcpListener::bind("127.0.0.1:0").await.unwrap());
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            if stream.read_u8().await.is_ok() {
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nwell").await.unwrap();
                let _ = stream.shutdown().await;
            }
        }
    });
    (address, certificate)
}

/// The same question over HTTPS and over TLS alone.
fn over_tls(address: SocketAddr, verify: bool, warning_s: u32) -> [ProbeSpec; 2] {
    let mut https = http(address, true);
    if let ProbeKind::Http { verify: verifies, expiry_warning_s, .. } = &mut https.kind {
        (*verifies, *expiry_warning_s) = (verify, warning_s);
    }
    let kind = ProbeKind::Tls { host: "api.example.com".into(), verify, expiry_warning_s: warning_s };
    [https.clone(), ProbeSpec { kind, ..https }]
}

#[tokio::test]
async fn a_certificate_that_ends_soon_degrades_and_one_that_is_verified_and_over_fails() {
    // 2100-01-01, of which it is never known how soon that is.
    let end = Moment(4_102_444_800_000);
    let (address, certificate) = serve_tls(2100).await;
    for spec in over_tls(address, true, u32::MAX) {
        let observation = ask(&spec, std::slice::from_ref(&certificate)).await;
        assert_eq!((observation.expires, observation.outcome), (Some(end), ProbeOutcome::Warned(ProbeWarning::Expires(end))), "{:?}", spec.kind);
    }
    for spec in over_tls(address, true, 14 * 86_400).into_iter().chain(over_tls(address, true, 0)) {
        let observation = ask(&spec, std::slice::from_ref(&certificate)).await;
        assert_eq!((observation.expires, observation.outcome), (Some(end), ProbeOutcome::Passed));
    }
    let (address, certificate) = serve_tls(2021).await;
    for spec in over_tls(address, true, 14 * 86_400) {
        let outcome = ask(&spec, std::slice::from_ref(&certificate)).await.outcome;
        assert!(matches!(outcome, ProbeOutcome::Failed(ProbeFailure::Tls(_))), "{outcome:?}");
    }
    for spec in over_tls(address, false, 14 * 86_400) {
        let outcome = ask(&spec, &[]).await.outcome;
        assert!(matches!(outcome, ProbeOutcome::Warned(ProbeWarning::Expires(_))), "nobody verifies it, and it is over: {outcome:?}");
    }
}
