//! What may come over HTTPS and is no use to anybody: the connection ends or says what is wrong, and others are served as before.

use std::net::SocketAddr;

use hyper::Version;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::encrypted::{self, Fixture};
use crate::http::{Http, base64url, connect, get};
use crate::support::A;
use crate::support::ask::query;
use crate::{metric, run, soon};

/// What is sent, over what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Over {
    /// A plain TCP connection, where a handshake is expected.
    Plain,
    /// HTTP/1.1.
    One,
    /// HTTP/2.
    Two,
}

/// What is to come of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The node ends the connection, whatever it says before.
    Closed,
    /// The node says this status in HTTP/1.1, then ends the connection.
    Status(&'static str),
    /// The connection may go on; the client leaves.
    Left,
}

struct Case {
    name: &'static str,
    over: Over,
    octets: Vec<u8>,
    end: End,
}

fn case(name: &'static str, over: Over, octets: impl Into<Vec<u8>>, end: End) -> Case {
    Case { name, over, octets: octets.into(), end }
}

/// A request of HTTP/1.1 with these lines.
fn request(first: &str, lines: &str, body: &[u8]) -> Vec<u8> {
    [format!("{first}\r\nhost: x\r\n{lines}\r\n").as_bytes(), body].concat()
}

fn first_version() -> Vec<Case> {
    const POST: &str = "POST /dns-query HTTP/1.1";
    const DNS: &str = "content-type: application/dns-message\r\n";
    use End::{Closed, Left, Status};
    use Over::{One, Plain};
    let octets = query("api.example.com", A).octets();
    let url = format!("/dns-query?dns={}", base64url(&octets));
    let line = format!("GET {url} HTTP/1.1");
    let posted = |lines: &str, body: &[u8]| request(POST, &format!("{DNS}{lines}"), body);
    let chunked = |body: &[u8]| posted("transfer-encoding: chunked\r\n", body);
    vec![
        case("nothing at all over TCP", Plain, "", Left),
        case("plain HTTP where TLS is expected", Plain, request(&line, "", b""), Closed),
        case("octets at random where TLS is expected", Plain, (0..2_000_u32).map(|at| (at * 97 % 251) as u8).collect::<Vec<_>>(), Closed),
        case("the beginning of a TLS record of the largest size", Plain, [0x16, 3, 1, 0x40, 0], Left),
        case("a TLS record that is longer than any may be", Plain, [0x16, 3, 1, 0xff, 0xff, 1, 0, 0, 0], Closed),
        case("an alert instead of a hello", Plain, [0x15, 3, 3, 0, 2, 2, 40], Closed),
        case("a message of plain DNS", Plain, [&[0, 33][..], &octets].concat(), Left),
        case("nothing after the handshake", One, "", Left),
        case("empty lines", One, "\r\n\r\n\r\n", Left),
        case("octets that are no text", One, vec![0xff; 4_000], Status("400")),
        case("the preface of the other version", One, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Closed),
        case("a version that does not exist", One, request(&format!("GET {url} HTTP/9.9"), "", b""), Status("400")),
        case("no version", One, format!("GET {url}\r\n\r\n"), Closed),
        case("no host", One, format!("{line}\r\nconnection: close\r\n\r\n"), Status("400")),
        case("two hosts", One, request(&line, "host: y\r\nconnection: close\r\n", b""), Status("400")),
        case("a head of one long header", One, request(&line, &format!("x: {}\r\n", "y".repeat(40_000)), b""), Status("431")),
        case("a thousand headers", One, request(&line, &"x: y\r\n".repeat(1_000), b""), Status("431")),
        case("a URL that is longer than a head may be", One, request(&format!("GET /{} HTTP/1.1", "a".repeat(20_000)), "", b""), Status("431")),
        case("a header without a name", One, request(&line, ": y\r\n", b""), Status("400")),
        case("a header with a NUL", One, request(&line, "x: \0\r\n", b""), Status("400")),
        case("a header over two lines", One, request(&line, "x: y\r\n  z\r\n", b""), Status("400")),
        case("a negative length", One, posted("content-length: -1\r\n", b""), Status("400")),
        case("a length beyond all numbers", One, posted("content-length: 99999999999999999999999\r\n", b""), Status("400")),
        case("two lengths", One, posted("content-length: 3\r\ncontent-length: 4\r\n", b"abc"), Status("400")),
        case("a length that promises a gigabyte", One, posted("content-length: 1073741824\r\n", b"abc"), Status("413")),
        case("a length and chunks", One, posted("content-length: 3\r\ntransfer-encoding: chunked\r\nconnection: close\r\n", b"0\r\n\r\n"), Status("400")),
        case("a coding that nobody knows", One, posted("transfer-encoding: gzip\r\n", b"abc"), Status("400")),
        case("a chunk without a size", One, chunked(b"zz\r\nabc\r\n0\r\n\r\n"), Status("400")),
        case("a chunk of 2⁶⁴ octets", One, chunked(b"ffffffffffffffff1\r\n"), Status("400")),
        case(
            "chunks without an end",
            One,
            chunked(&b"4000\r\n".iter().copied().chain([7; 0x4000]).chain(*b"\r\n").collect::<Vec<_>>().repeat(5)),
            Status("413"),
        ),
        case("extensions of chunks without an end", One, chunked(format!("1;{}", "x".repeat(40_000)).as_bytes()), Status("400")),
        case("trailers without an end", One, chunked(format!("0\r\n{}", "x: y\r\n".repeat(10_000)).as_bytes()), Status("400")),
        case("a body that never ends", One, posted("content-length: 33\r\n", &octets[..20]), Status("408")),
        case(
            "a wish for another protocol",
            One,
            request(&line, "upgrade: h2c\r\nconnection: upgrade, http2-settings, close\r\nhttp2-settings: AAAA\r\n", b""),
            Status("200"),
        ),
        case("a tunnel", One, "CONNECT example.com:443 HTTP/1.1\r\nhost: example.com:443\r\nconnection: close\r\n\r\n", Status("404")),
        case("a URL of another server", One, "GET http://[::1/ HTTP/1.1\r\nhost: x\r\n\r\n", Status("400")),
        case("five hundred requests at once, none read", One, request(&line, "", b"").repeat(500), Left),
    ]
}

/// A frame of HTTP/2 (RFC 9113 §4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let [_, l0, l1, l2] = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&[l0, l1, l2, kind, flags][..], &stream.to_be_bytes(), payload].concat()
}

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PUSH_PROMISE: u8 = 5;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// The preface and empty settings.
fn preface() -> Vec<u8> {
    [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), frame(SETTINGS, 0, 0, &[])].concat()
}

/// A header that is neither indexed nor compressed (RFC 7541 §6.2.2).
fn literal(name: &str, value: &str) -> Vec<u8> {
    [&[0, u8::try_from(name.len()).unwrap()], name.as_bytes(), &integer(value.len()), value.as_bytes()].concat()
}

/// A length with a prefix of seven bits (RFC 7541 §5.1).
fn integer(len: usize) -> Vec<u8> {
    let Some(mut rest) = len.checked_sub(127) else { return vec![u8::try_from(len).unwrap()] };
    let mut octets = vec![127];
    while rest >= 128 {
        octets.push(u8::try_from(rest % 128).unwrap() | 128);
        rest /= 128;
    }
    octets.push(u8::try_from(rest).unwrap());
    octets
}

/// The header block of GET, or of POST.
fn block(is_get: bool) -> Vec<u8> {
    let path = if is_get { get(&query("api.example.com", A).octets()).target } else { "/dns-query".into() };
    let mut block = vec![if is_get { 0x82 } else { 0x83 }, 0x87];
    block.extend(literal(":path", &path));
    block.extend(literal(":authority", "ns1.example.com"));
    block.extend(literal("content-type", "application/dns-message"));
    block
}

fn get_on(stream: u32) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, stream, &block(true))
}

fn post_on(stream: u32) -> Vec<u8> {
    frame(HEADERS, END_HEADERS, stream, &block(false))
}

/// One thing on each of so many streams.
fn on_streams(count: u32, what: impl Fn(u32) -> Vec<u8>) -> Vec<u8> {
    (0..count).flat_map(|index| what(2 * index + 1)).collect()
}

fn second_version() -> Vec<Case> {
    use End::{Closed, Left};
    let two = |name, octets: Vec<u8>, end| case(name, Over::Two, [preface(), octets].concat(), end);
    let reset = |stream| frame(RST_STREAM, 0, stream, &[0, 0, 0, 8]);
    // 4,000 octets into the table, then 15,000 references to them: 60 MB of headers in 20,000 octets.
    let bomb = [&block(true)[..], &[0x40, 1, b'x'], &integer(4_000), &[b'y'; 4_000], &[0xbe; 15_000]].concat();
    let (bomb_head, bomb_rest) = bomb.split_at(16_000);
    vec![
        case("another preface", Over::Two, "GET / HTTP/1.1\r\nhost: x\r\n\r\n", Closed),
        case("half a preface", Over::Two, "PRI * HTTP/2.0\r\n", Left),
        two("nothing after the preface", Vec::new(), Left),
        two("rapid reset: two thousand requests, each taken back at once", on_streams(2_000, |stream| [get_on(stream), reset(stream)].concat()), Closed),
        two("the same of requests that would have a body", on_streams(2_000, |stream| [post_on(stream), reset(stream)].concat()), Closed),
        two(
            "a thousand mistakes that make the node take back",
            on_streams(1_000, |stream| [get_on(stream), frame(WINDOW_UPDATE, 0, stream, &[0; 4])].concat()),
            Closed,
        ),
        two("a thousand streams at once that wait for their bodies", on_streams(1_000, post_on), Closed),
        two("headers that never end", [frame(HEADERS, 0, 1, &block(true)), frame(CONTINUATION, 0, 1, &literal("x", "y")).repeat(20_000)].concat(), Closed),
        two("continuations of nothing", [frame(HEADERS, 0, 1, &block(true)), frame(CONTINUATION, 0, 1, b"").repeat(20_000)].concat(), Closed),
        two("a header bomb", [frame(HEADERS, END_STREAM, 1, bomb_head), frame(CONTINUATION, END_HEADERS, 1, bomb_rest)].concat(), Left),
        two("headers that nobody can decode", frame(HEADERS, END_HEADERS | END_STREAM, 1, &[0xff; 100]), Closed),
        two("a table that is larger than was allowed", frame(HEADERS, END_HEADERS | END_STREAM, 1, &[0x3f, 0xff, 0xff, 0xff, 0x7f]), Closed),
        two("a header in capital letters", frame(HEADERS, END_HEADERS | END_STREAM, 1, &[block(true), literal("X", "y")].concat()), Left),
        two("no path", frame(HEADERS, END_HEADERS | END_STREAM, 1, &[0x82, 0x87]), Left),
        two("two methods", frame(HEADERS, END_HEADERS | END_STREAM, 1, &[vec![0x82], block(true)].concat()), Left),
        two("a tunnel", frame(HEADERS, END_HEADERS, 1, &[literal(":method", "CONNECT"), literal(":authority", "x:443")].concat()), Left),
        two("a stream that is the server's", get_on(2), Closed),
        two("streams that run backwards", [get_on(5), get_on(3)].concat(), Closed),
        two("headers on stream 0", get_on(0), Closed),
        two("data on stream 0", frame(DATA, 0, 0, b"abc"), Closed),
        two("data on a stream that nobody opened", frame(DATA, 0, 7, b"abc"), Closed),
        two("a reset of a stream that nobody opened", reset(7), Closed),
        two("a promise", frame(PUSH_PROMISE, END_HEADERS, 1, &[0, 0, 0, 2, 0x82]), Closed),
        two("settings on a stream", frame(SETTINGS, 0, 1, &[]), Closed),
        two("settings of a wrong length", frame(SETTINGS, 0, 0, &[0; 5]), Closed),
        two("a window beyond 2³¹", frame(SETTINGS, 0, 0, &[0, 4, 0xff, 0xff, 0xff, 0xff]), Closed),
        two("a window that is opened beyond 2³¹", frame(WINDOW_UPDATE, 0, 0, &[0x7f, 0xff, 0xff, 0xff]).repeat(2), Closed),
        two("a window that is opened by nothing", frame(WINDOW_UPDATE, 0, 0, &[0; 4]), Closed),
        two("a frame that is larger than was allowed", frame(DATA, 0, 1, &vec![0; 100_000]), Closed),
        two("a ping of a wrong length", frame(PING, 0, 0, &[0; 7]), Closed),
        two("ten thousand pings", frame(PING, 0, 0, &[0; 8]).repeat(10_000), Left),
        two("ten thousand settings", frame(SETTINGS, 0, 0, &[0, 4, 0, 1, 0, 0]).repeat(10_000), Left),
        two("ten thousand frames that nobody knows", frame(0xfa, 0xff, 0, &[7; 16]).repeat(10_000), Left),
        two("a stream that depends on itself", frame(PRIORITY, 0, 1, &[0, 0, 0, 1, 7]), Left),
        two("ten thousand empty parts of a body", [post_on(1), frame(DATA, 0, 1, b"").repeat(10_000)].concat(), Left),
        two("more data than the window has", [post_on(1), frame(DATA, 0, 1, &[7; 16_000]).repeat(20)].concat(), Left),
        two("a body after its end", [get_on(1), frame(DATA, 0, 1, b"abc").repeat(100)].concat(), Left),
        two("padding that is longer than its frame", [post_on(1), frame(DATA, 8, 1, &[200, 1, 2])].concat(), Closed),
        two("requests after a farewell", [frame(GOAWAY, 0, 0, &[0; 8]), on_streams(10, get_on)].concat(), Closed),
        two("a response that never fits the window", [frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]), on_streams(60, get_on)].concat(), Left),
    ]
}

/// Does what a case says.
async fn act(server: SocketAddr, certificate: rustls::pki_types::CertificateDer<'static>, case: Case) {
    let Case { name, over, octets, end } = case;
    let said = match over {
        Over::Plain => converse(TcpStream::connect(server).await.unwrap(), &octets, end).await,
        Over::One => converse(connect(server, &certificate, &[b"http/1.1"]).await.unwrap(), &octets, end).await,
        Over::Two => converse(connect(server, &certificate, &[b"h2"]).await.unwrap(), &octets, end).await,
    };
    if let End::Status(status) = end {
        let said = String::from_utf8_lossy(&said);
        assert!(said.starts_with(&format!("HTTP/1.1 {status} ")), "{name}: {said}");
    }
    if let (Over::Two, End::Closed) = (over, end) {
        // It says why: a GOAWAY is the last word. Where it was lost to a reset of the connection, the end alone says enough.
        assert!(said.is_empty() || said.windows(9).any(|head| head[3..] == [GOAWAY, 0, 0, 0, 0, 0]) || said.len() < 1 << 20, "{name}");
    }
}

/// Writes what is to be written, and reads what there is until the end.
async fn converse<S: AsyncReadExt + AsyncWriteExt + Unpin>(mut stream: S, octets: &[u8], end: End) -> Vec<u8> {
    // The other side may have ended it meanwhile.
    let _ = soon(stream.write_all(octets)).await;
    let _ = soon(stream.flush()).await;
    let mut said = Vec::new();
    if end != End::Left {
        let _ = soon(stream.read_to_end(&mut said)).await;
    }
    said
}

/// Asks ten times, each time as somebody new.
async fn ten_newcomers_are_served(fixture: &Fixture) {
    for turn in 0..10 {
        let version = if turn % 2 == 0 { Version::HTTP_2 } else { Version::HTTP_11 };
        let mut client = Http::connect(fixture, version).await;
        let got = client.send(&get(&query("api.example.com", A).octets())).await;
        assert!(got.is_dns(), "{got:?}");
    }
}

#[test]
fn nothing_that_comes_over_https_holds_up_others_or_leaves_anything_behind() {
    let cases: Vec<Case> = first_version().into_iter().chain(second_version()).collect();
    assert!(cases.len() >= 70, "{}", cases.len());
    let fixture = encrypted::start_with("hostile", |options| options.metrics = Some("127.0.0.1:0".parse().unwrap()));
    let server = fixture.node.https_addresses()[0];
    run(async {
        ten_newcomers_are_served(&fixture).await;
        let mut acting = JoinSet::new();
        for case in cases {
            // Fewer at once than one client may have.
            while acting.len() >= 20 {
                acting.join_next().await.unwrap().unwrap();
            }
            acting.spawn(act(server, fixture.certificate.clone(), case));
        }
        while let Some(acted) = acting.join_next().await {
            acted.unwrap();
        }
        ten_newcomers_are_served(&fixture).await;
        soon(async {
            while metric(&fixture, r#"aya_connections{transport="https"}"#).await > 0 {
                tokio::task::yield_now().await;
            }
        })
        .await;
    });
    fixture.node.stop();
}

#[test]
fn two_hundred_silent_connections_do_not_hold_up_ten_newcomers() {
    let fixture = encrypted::start("silent");
    let server = fixture.node.https_addresses()[0];
    run(async {
        let mut silent = Vec::new();
        for _ in 0..200 {
            silent.push(soon(TcpStream::connect(server)).await.unwrap());
        }
        ten_newcomers_are_served(&fixture).await;
        drop(silent);
    });
}

#[test]
fn two_hundred_connections_that_begin_a_request_do_not_hold_up_ten_newcomers() {
    let fixture = encrypted::start("slow");
    run(async {
        let mut slow = Vec::new();
        for turn in 0..200 {
            let alpn: &[u8] = if turn % 2 == 0 { b"h2" } else { b"http/1.1" };
            let mut stream = soon(connect(fixture.node.https_addresses()[0], &fixture.certificate, &[alpn])).await.unwrap();
            let _ = stream.write_all(if turn % 2 == 0 { b"PRI * HTTP/2.0\r\n" } else { b"GET /dns-query?dns=" }).await;
            slow.push(stream);
        }
        ten_newcomers_are_served(&fixture).await;
        drop(slow);
    });
}
