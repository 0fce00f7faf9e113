//! Probes against servers on loopback.

use std::net::SocketAddr;
use std::sync::Arc;

use aya_gslb::catalog::{ProbeHost, ProbeKind, ProbeSpec, ProbeTarget, StatusRange};
use aya_gslb::clock::{Clock, Stopwatch};
use aya_gslb::health::{ProbeFailure, ProbeOutcome};
use aya_gslb::probe::{Prober, Roots};
use aya_gslb::units::Micros;
use rcgen::{CertifiedKey, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::small::tcp;

/// What the tests want of a probe over HTTP, the rest as in an ordinary one.
struct Http {
    method: &'static str,
    host: &'static str,
    tls: bool,
    verify: bool,
    headers: &'static [(&'static str, &'static str)],
    body: Option<&'static str>,
    contains: Option<&'static str>,
    json: &'static [(&'static str, &'static str)],
    first_byte_ms: u32,
    expiry_warning_s: u32,
    keep_alive: bool,
}

const PLAIN: Http = Http {
    method: "GET",
    host: "api.example.com",
    tls: false,
    verify: true,
    headers: &[],
    body: None,
    contains: None,
    json: &[],
    first_byte_ms: 0,
    expiry_warning_s: 0,
    keep_alive: false,
};

fn spec(target: SocketAddr, kind: ProbeKind) -> ProbeSpec {
    ProbeSpec { target: ProbeTarget { host: target.ip().into(), port: target.port() }, kind, ..tcp(1) }
}

impl Http {
    fn spec(self, target: SocketAddr) -> ProbeSpec {
        let pairs = |pairs: &[(&str, &str)]| pairs.iter().map(|&(key, value)| (key.into(), value.into())).collect();
        let kind = ProbeKind::Http {
            tls: self.tls,
            method: self.method.into(),
            path: "/healthz?deep=1".into(),
            host: self.host.into(),
            headers: pairs(self.headers),
            body: self.body.map(Into::into),
            statuses: [StatusRange { first: 200, last: 299 }].into(),
            contains: self.contains.map(Into::into),
            json: pairs(self.json),
            first_byte_ms: self.first_byte_ms,
            verify: self.verify,
            expiry_warning_s: self.expiry_warning_s,
            keep_alive: self.keep_alive,
        };
        spec(target, kind)
    }
}

/// Asks once; the time-out is ample, so that only what a test makes fail fails.
async fn ask(spec: ProbeSpec) -> ProbeOutcome {
    ask_trusting(spec, &[]).await
}

async fn ask_trusting(spec: ProbeSpec, certificates: &[CertificateDer<'static>]) -> ProbeOutcome {
    let roots = Roots::of_certificates(certificates.iter().cloned()).unwrap();
    let ProbeHost::Address(address) = spec.target.host else { panic!("no address to ask") };
    Prober::new(Clock::system(), roots).ask(&ProbeSpec { timeout_ms: 20_000, ..spec }, address).await.outcome
}

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Reads a request's head and as much of its body as `Content-Length` says.
async fn read_request(stream: &mut (impl AsyncReadExt + Unpin)) -> String {
    let mut octets = Vec::new();
    loop {
        octets.push(stream.read_u8().await.unwrap());
        if octets.ends_with(b"\r\n\r\n") {
            break;
        }
    }
    let head = String::from_utf8(octets).unwrap();
    let len = head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ").map(|len| len.parse().unwrap()));
    let mut body = vec![0; len.unwrap_or(0)];
    stream.read_exact(&mut body).await.unwrap();
    head + &String::from_utf8(body).unwrap()
}

/// Answers one request with these octets, then closes. Returns the request.
async fn serve_once(reply: impl Into<Vec<u8>>) -> (SocketAddr, JoinHandle<String>) {
    let (listener, address) = listener().await;
    let reply = reply.into();
    let task = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let request = read_request(&mut stream).await;
        stream.write_all(&reply).await.unwrap();
        request
    });
    (address, task)
}

/// A reply with this body.
fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

#[tokio::test]
async fn a_request_says_what_the_specification_says_and_who_asks() {
    let (address, request) = serve_once(ok("fine")).await;
    let probe = Http { method: "POST", headers: &[("X-Deep", "yes"), ("X-Deep", "very")], body: Some("are you well?"), ..PLAIN };
    assert_eq!(ask(probe.spec(address)).await, ProbeOutcome::Passed);
    let request = request.await.unwrap().to_ascii_lowercase();
    assert!(request.starts_with("post /healthz?deep=1 http/1.1\r\n"), "{request}");
    for line in ["\r\nhost: api.example.com\r\n", "\r\nx-deep: yes\r\n", "\r\nx-deep: very\r\n", "\r\nconnection: close\r\n", "\r\n\r\nare you well?"] {
        assert!(request.contains(line), "{line:?} in {request}");
    }
    assert!(request.contains(concat!("\r\nuser-agent: aya/", env!("CARGO_PKG_VERSION"), "\r\n")), "{request}");
    assert!(!request.contains("cookie") && !request.contains("referer"), "{request}");
}

#[tokio::test]
async fn a_host_of_its_own_and_one_that_is_an_address_reach_the_target_all_the_same() {
    let (address, request) = serve_once(ok("")).await;
    let probe = Http { host: "192.0.2.1", headers: &[("User-Agent", "mine")], ..PLAIN };
    assert_eq!(ask(probe.spec(address)).await, ProbeOutcome::Passed);
    let request = request.await.unwrap().to_ascii_lowercase();
    assert!(request.contains("\r\nhost: 192.0.2.1\r\n"), "{request}");
    assert_eq!(request.matches("user-agent").count(), 1, "{request}");
    let (address, request) = serve_once(ok("")).await;
    let probe = Http { headers: &[("Host", "other.example.com")], ..PLAIN };
    assert_eq!(ask(probe.spec(address)).await, ProbeOutcome::Passed);
    let request = request.await.unwrap().to_ascii_lowercase();
    assert!(request.contains("\r\nhost: other.example.com\r\n") && !request.contains("api.example.com"), "{request}");
}

#[tokio::test]
async fn a_status_that_is_not_allowed_fails_and_a_redirect_is_not_followed() {
    let (address, _request) = serve_once("HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n").await;
    assert_eq!(ask(PLAIN.spec(address)).await, ProbeOutcome::Failed(ProbeFailure::Status(500)));
    let (elsewhere, untouched) = serve_once(ok("")).await;
    let (address, _request) = serve_once(format!("HTTP/1.1 302 There\r\nLocation: http://{elsewhere}/\r\nContent-Length: 0\r\n\r\n")).await;
    assert_eq!(ask(PLAIN.spec(address)).await, ProbeOutcome::Failed(ProbeFailure::Status(302)));
    assert!(!untouched.is_finished());
}

#[tokio::test]
async fn a_body_without_the_text_fails() {
    let probe = || Http { contains: Some("all well"), ..PLAIN };
    let (address, _request) = serve_once(ok("today all well here")).await;
    assert_eq!(ask(probe().spec(address)).await, ProbeOutcome::Passed);
    let (address, _request) = serve_once(ok("maintenance")).await;
    assert!(matches!(ask(probe().spec(address)).await, ProbeOutcome::Failed(ProbeFailure::Body(_))));
}

#[tokio::test]
async fn text_is_found_across_chunks_and_no_octet_further_is_read() {
    let (listener, address) = listener().await;
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        read_request(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nall w\r\n").await.unwrap();
        stream.write_all(b"3\r\nell\r\n").await.unwrap();
        // The body never ends; the prober hangs up.
        let _ = stream.read_u8().await;
    });
    assert_eq!(ask(Http { contains: Some("all well"), ..PLAIN }.spec(address)).await, ProbeOutcome::Passed);
    server.await.unwrap();
}

#[tokio::test]
async fn json_assertions_compare_values_not_text() {
    let probe = || Http { json: &[("/status", "\"ok\""), ("/lag/seconds", "0"), ("/list/1", "{\"a\":1,\"b\":[]}")], ..PLAIN };
    let bodies = [
        (r#"{ "list": [0, {"b": [], "a": 1}], "lag": {"seconds": 0}, "status": "ok" }"#, None),
        (r#"{"status": "failing", "lag": {"seconds": 0}, "list": []}"#, Some("/status is \"failing\", not \"ok\"")),
        (r#"{"status": "ok", "lag": 0, "list": []}"#, Some("nothing at /lag/seconds")),
        ("<html>", Some("not JSON")),
    ];
    for (body, complaint) in bodies {
        let (address, _request) = serve_once(ok(body)).await;
        match (ask(probe().spec(address)).await, complaint) {
            (ProbeOutcome::Passed, None) => {}
            (ProbeOutcome::Failed(ProbeFailure::Body(why)), Some(complaint)) => assert!(why.contains(complaint), "{why}"),
            (outcome, _) => panic!("{body}: {outcome:?}"),
        }
    }
}

#[tokio::test]
async fn only_the_first_64_kib_of_a_body_are_read() {
    let body = |before: usize| format!("{}all well{}", "x".repeat(before), "y".repeat(100_000));
    let probe = || Http { contains: Some("all well"), ..PLAIN };
    let (listener, address) = listener().await;
    let server = tokio::spawn(async move {
        for before in [65_536 - 8, 65_536 - 7] {
            let (mut stream, _) = listener.accept().await.unwrap();
            read_request(&mut stream).await;
            // The prober may hang up before the end.
            let _ = stream.write_all(ok(&body(before)).as_bytes()).await;
        }
    });
    assert_eq!(ask(probe().spec(address)).await, ProbeOutcome::Passed);
    assert!(matches!(ask(probe().spec(address)).await, ProbeOutcome::Failed(ProbeFailure::Body(_))));
    server.await.unwrap();
}

#[tokio::test]
async fn silence_is_a_time_out_within_the_time_out() {
    let (listener, address) = listener().await;
    let prober = Prober::new(Clock::system(), Roots::of_certificates([]).unwrap());
    for kind in [PLAIN.spec(address).kind, ProbeKind::Tls { host: "api.example.com".into(), verify: true, expiry_warning_s: 0 }] {
        let observation = prober.ask(&ProbeSpec { timeout_ms: 30, ..spec(address, kind) }, address.ip()).await;
        assert_eq!(observation.outcome, ProbeOutcome::Failed(ProbeFailure::TimedOut));
        assert!(observation.rtt >= Micros::from_millis(30), "{}", observation.rtt);
    }
    drop(listener);
}

#[tokio::test]
async fn an_answer_slower_than_slow_is_slow() {
    let (listener, address) = listener().await;
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let stopwatch = Stopwatch::start();
        read_request(&mut stream).await;
        while stopwatch.so_far() < Micros::from_millis(5) {
            tokio::task::yield_now().await;
        }
        stream.write_all(ok("").as_bytes()).await.unwrap();
    });
    assert_eq!(ask(ProbeSpec { slow_ms: 2, ..PLAIN.spec(address) }).await, ProbeOutcome::Slow);
    server.await.unwrap();
}

#[tokio::test]
async fn a_closed_port_refuses_and_an_open_one_passes() {
    let (listener, address) = listener().await;
    let kinds = || [ProbeKind::Tcp, ProbeKind::Tls { host: "api.example.com".into(), verify: false, expiry_warning_s: 0 }, PLAIN.spec(address).kind];
    assert_eq!(ask(spec(address, ProbeKind::Tcp)).await, ProbeOutcome::Passed);
    drop(listener);
    for kind in kinds() {
        assert_eq!(ask(spec(address, kind)).await, ProbeOutcome::Failed(ProbeFailure::Refused));
    }
}

#[tokio::test]
async fn a_connection_closed_without_an_answer_is_broken() {
    let (listener, address) = listener().await;
    let server = tokio::spawn(async move {
        for _ in 0..2 {
            let (mut stream, _): (TcpStream, _) = listener.accept().await.unwrap();
            stream.read_u8().await.unwrap();
        }
    });
    assert_eq!(ask(PLAIN.spec(address)).await, ProbeOutcome::Failed(ProbeFailure::Broken));
    let tls = ProbeKind::Tls { host: "api.example.com".into(), verify: false, expiry_warning_s: 0 };
    assert_eq!(ask(spec(address, tls)).await, ProbeOutcome::Failed(ProbeFailure::Broken));
    server.await.unwrap();
}

#[tokio::test]
async fn a_body_that_breaks_off_is_broken_and_one_without_an_end_is_not_waited_for() {
    let (address, _request) = serve_once("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf").await;
    assert_eq!(ask(PLAIN.spec(address)).await, ProbeOutcome::Failed(ProbeFailure::Broken));
    let (listener, address) = listener().await;
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        read_request(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n").await.unwrap();
        // Until the prober hangs up.
        let _ = stream.read_u8().await;
    });
    assert_eq!(ask(PLAIN.spec(address)).await, ProbeOutcome::Passed);
    server.await.unwrap();
    let (address, _request) = serve_once("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n").await;
    assert_eq!(ask(Http { method: "HEAD", ..PLAIN }.spec(address)).await, ProbeOutcome::Passed);
}

/// Serves TLS with a certificate for `api.example.com` that nobody signed but itself; answers requests, if any come. Returns the server
/// names that clients asked for.
async fn serve_tls(connections: usize) -> (SocketAddr, CertificateDer<'static>, JoinHandle<Vec<Option<String>>>) {
    let CertifiedKey::<KeyPair> { cert, signing_key } = rcgen::generate_simple_self_signed(["api.example.com".to_owned()]).unwrap();
    let certificate = cert.der().clone();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_no_client_auth().with_single_cert(vec![certificate.clone()], key).unwrap();
    let (listener, address) = listener().await;
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let task = tokio::spawn(async move {
        let mut names = Vec::new();
        for _ in 0..connections {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            names.push(stream.get_ref().1.server_name().map(str::to_owned));
            let mut first = [0];
            if stream.read(&mut first).await.is_ok_and(|octets| octets == 1) {
                read_request(&mut stream).await;
                stream.write_all(ok("secret").as_bytes()).await.unwrap();
                let _ = stream.shutdown().await;
            }
        }
        names
    });
    (address, certificate, task)
}

#[tokio::test]
async fn a_certificate_is_verified_unless_the_specification_says_not_to() {
    let (address, certificate, server) = serve_tls(8).await;
    let tls = |host: &str, verify| spec(address, ProbeKind::Tls { host: host.into(), verify, expiry_warning_s: 0 });
    let https = |host, verify| Http { tls: true, host, verify, contains: Some("secret"), ..PLAIN }.spec(address);
    let trusted = [certificate];
    for make in [&tls as &dyn Fn(&'static str, bool) -> ProbeSpec, &https] {
        assert_eq!(ask_trusting(make("api.example.com", true), &trusted).await, ProbeOutcome::Passed);
        assert_eq!(ask_trusting(make("shop.example.com", false), &[]).await, ProbeOutcome::Passed);
        let wrong_name = ask_trusting(make("shop.example.com", true), &trusted).await;
        let untrusted = ask_trusting(make("api.example.com", true), &[]).await;
        for outcome in [wrong_name, untrusted] {
            assert!(matches!(outcome, ProbeOutcome::Failed(ProbeFailure::Tls(_))), "{outcome:?}");
        }
    }
    let names = server.await.unwrap();
    assert_eq!(names.iter().flatten().map(String::as_str).collect::<Vec<_>>(), ["api.example.com", "shop.example.com", "api.example.com", "shop.example.com"]);
}

#[tokio::test]
async fn a_server_that_speaks_no_tls_fails_as_tls() {
    let (listener, address) = listener().await;
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"SSH-2.0-OpenSSH_9.9\r\n").await.unwrap();
        // Until the prober hangs up.
        let _ = stream.read_to_end(&mut Vec::new()).await;
    });
    let outcome = ask(Http { tls: true, verify: false, ..PLAIN }.spec(address)).await;
    assert!(matches!(outcome, ProbeOutcome::Failed(ProbeFailure::Tls(_))), "{outcome:?}");
    server.await.unwrap();
}

#[tokio::test]
async fn what_cannot_be_asked_from_here_tells_nothing_of_the_target() {
    let (listener, address) = listener().await;
    let probe = Http { headers: &[("bad header", "x")], ..PLAIN };
    assert!(matches!(ask(probe.spec(address)).await, ProbeOutcome::Failed(ProbeFailure::NotAsked(_))));
    let probe = spec(address, ProbeKind::Tls { host: "not a name".into(), verify: true, expiry_warning_s: 0 });
    assert!(matches!(ask(probe).await, ProbeOutcome::Failed(ProbeFailure::NotAsked(_))));
    drop(listener);
}
