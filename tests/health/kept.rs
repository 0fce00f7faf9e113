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

/// Answers requests on a connection: so many, then it closes it without a word.
async fn answer(mut stream: TcpStream, most: usize, answered: Arc<AtomicUsize>) {
    for _ in 0..most {
        if !is_asked(&mut stream).await {
            return;
        }
        answered.fetch_add(1, Ordering::SeqCst);
        // The text is found in the first chunk; what follows must be read all the same for the connection to serve again.
        stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nwell\r\n").await.unwrap();
        stream.write_all(b"5\r\n, yes\r\n0\r\n\r\n").await.unwrap();
    }
}

/// A server that takes so many requests on one connection, and counts both.
async fn server(most: usize) -> (SocketAddr, Arc<AtomicUsize>, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (accepted, answered) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let counts = (Arc::clone(&accepted), Arc::clone(&answered));
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            counts.0.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(answer(stream, most, Arc::clone(&counts.1)));
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
        let (mut stream, _) = listener.accept().await.unwrap();
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
