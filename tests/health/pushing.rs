//! `POST /v1/health`: heartbeats by the admin API of a whole node.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use aya_gslb::catalog::EndpointId;
use aya_gslb::cli::load::{Content, Loaded};
use aya_gslb::cli::node::{Node, Options};
use aya_gslb::config;
use aya_gslb::geo::Geo;
use aya_gslb::health::Health;

const ZONE: &str = r#"
zone = "example.com"
[ns]
ns1 = ["192.0.2.53"]
ns2 = ["198.51.100.53"]
[service.api]
probe.push = { expect-every = "1h", fall = 1, rise = 1 }
[service.api.endpoint]
aws-eu-west-1 = { a = ["192.0.2.1"] }
aws-us-east-1 = { a = ["192.0.2.2"], probe = [] }
"#;

fn node() -> Node {
    let make = || {
        let source = config::SourceFile { name: "zone.toml".into(), text: ZONE.into() };
        let catalog = Arc::new(config::compile(vec![source], &|_, _| Err("none".into())).unwrap().catalog);
        Ok(Loaded { geo: Arc::new(Geo::without_databases(&catalog)), catalog, lints: Vec::new() })
    };
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    Node::start(Options { admin: Some(any), ..Options::new(Content::Made(Arc::new(make)), vec![any]) }).unwrap()
}

fn request(node: &Node, method: &str, path: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(node.admin_address().unwrap()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let head =
        format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len());
    stream.write_all((head + body).as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head[9..12].parse().unwrap(), body.to_owned())
}

fn push(node: &Node, more: &str) -> (u16, String) {
    request(node, "POST", "/v1/health", &format!(r#"{{"service": "api.example.com", "endpoint": "aws-eu-west-1"{more}}}"#))
}

fn wait_for(node: &Node, health: Health) {
    while node.worlds().load().status(EndpointId(0)).health != health {
        thread::yield_now();
    }
}

#[test]
fn an_endpoint_tells_how_it_is_and_everybody_is_told_why() {
    let node = node();
    let (status, body) = push(&node, r#", "health": "up""#);
    assert_eq!((status, body.as_str()), (202, r#"{"endpoint":"api.example.com/aws-eu-west-1","next-within-seconds":3600}"#));
    wait_for(&node, Health::Up);
    assert_eq!(push(&node, r#", "health": "degraded", "reason": "queue of 90", "ttl": 60"#).0, 202);
    wait_for(&node, Health::Degraded);
    assert_eq!(push(&node, r#", "health": "down", "reason": "out of memory""#).0, 202);
    wait_for(&node, Health::Down);
    let (_, metrics) = request(&node, "GET", "/metrics", "");
    for outcome in ["passed", "warned", "said"] {
        let line = format!(r#"aya_probe_results_total{{service="api.example.com",endpoint="aws-eu-west-1",outcome="{outcome}"}} 1"#);
        assert!(metrics.contains(&line), "{line}");
    }
    // What probes have shown is put together once a second.
    let mut told = String::new();
    while !told.contains(r#""trouble":"it says that it is down: out of memory""#) {
        push(&node, r#", "health": "down", "reason": "out of memory""#);
        told = request(&node, "GET", "/v1/status", "").1;
    }
    assert!(told.contains(r#""probe":"push api.example.com/aws-eu-west-1""#), "{told}");
    node.stop();
}

#[test]
fn what_is_wrong_with_a_heartbeat_is_told_and_nothing_is_heard() {
    let node = node();
    let long = "x".repeat(201);
    let cases = [
        (422, push(&node, r#", "health": "fine""#), "unknown variant `fine`"),
        (422, push(&node, ""), "missing field `health`"),
        (422, push(&node, r#", "health": "up", "helath": "up""#), "unknown field `helath`"),
        (422, push(&node, r#", "health": "up", "ttl": 0"#), "`ttl` must be from 1 to 86400 seconds"),
        (422, push(&node, r#", "health": "up", "ttl": 86401"#), "`ttl` must be from"),
        (422, push(&node, &format!(r#", "health": "down", "reason": "{long}""#)), "`reason` must be a line"),
        (422, push(&node, r#", "health": "down", "reason": "a\nb""#), "`reason` must be a line"),
        (400, request(&node, "POST", "/v1/health", "{"), "Failed to parse"),
        (
            404,
            request(&node, "POST", "/v1/health", r#"{"service": "shop.example.com", "endpoint": "x", "health": "up"}"#),
            "there is no service shop.example.com",
        ),
        (404, request(&node, "POST", "/v1/health", r#"{"service": "api.example.com", "endpoint": "x", "health": "up"}"#), "has no endpoint \\\"x\\\""),
        (409, request(&node, "POST", "/v1/health", r#"{"service": "api.example.com", "endpoint": "aws-us-east-1", "health": "up"}"#), "has no `push` probe"),
        (422, request(&node, "POST", "/v1/health", r#"{"service": "a..b", "endpoint": "x", "health": "up"}"#), "`service` must be an owner name"),
        (405, request(&node, "GET", "/v1/health", ""), "does not take this method"),
    ];
    for (wanted, (status, body), detail) in cases {
        assert_eq!(status, wanted, "{body}");
        assert!(body.contains(detail), "{detail}: {body}");
    }
    assert_eq!(node.worlds().load().status(EndpointId(0)).health, Health::Unknown);
    node.stop();
}
