//! `/v1/events`: what happens, as it happens.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

use aya_gslb::cli::node::Node;
use aya_gslb::limits::ADMIN_SUBSCRIBERS_MAX;
use serde_json::Value;

use crate::node::{Request, connect, get, guarded, post};

/// A stream of events that is being read.
struct Stream(BufReader<TcpStream>);

/// Opens one.
fn follow(node: &Node, token: &str, last: Option<u64>) -> Stream {
    let headers = last.map(|last| format!("last-event-id: {last}\r\n")).unwrap_or_default();
    let mut stream = connect(node);
    stream.write_all(Request { headers: &headers, ..get("/v1/events") }.with(token).octets().as_bytes()).unwrap();
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    assert!(line.contains(" 200 "), "{line}");
    let mut is_stream = false;
    while line != "\r\n" {
        is_stream |= line.eq_ignore_ascii_case("content-type: text/event-stream\r\n");
        line.clear();
        reader.read_line(&mut line).unwrap();
    }
    assert!(is_stream);
    Stream(reader)
}

impl Stream {
    /// The next event of this kind: its number and its data.
    fn next(&mut self, kind: &str) -> (u64, Value) {
        let (mut id, mut event, mut line) = (0, String::new(), String::new());
        loop {
            line.clear();
            assert!(self.0.read_line(&mut line).unwrap() > 0, "the stream ended before {kind}");
            if let Some(number) = line.strip_prefix("id: ") {
                id = number.trim().parse().unwrap();
            } else if let Some(name) = line.strip_prefix("event: ") {
                name.trim().clone_into(&mut event);
            } else if let Some(data) = line.strip_prefix("data: ").filter(|_| event == kind) {
                return (id, serde_json::from_str(data).unwrap());
            }
        }
    }
}

#[test]
fn an_override_a_reload_and_what_follows_from_them_are_told_as_they_happen() {
    let (node, tokens) = guarded("events");
    let mut stream = follow(&node, &tokens.viewer, None);
    let drain = r#"{"selector": "cloud:aws service:shop", "action": "drain", "why": "maintenance"}"#;
    let made = post("/v1/overrides", drain).with(&tokens.operator).ask(&node);
    assert_eq!(made.status, 201, "{made:?}");
    let (_, set) = stream.next("override-set");
    assert_eq!((set["override"]["who"].as_str(), set["override"]["id"].as_u64()), (Some("olga"), Some(1)), "{set}");
    node.reload().unwrap();
    let (_, reloaded) = stream.next("reloaded");
    assert_eq!(reloaded["digest"].as_str(), Some(format!("{:016x}", node.worlds().load().catalog.digest).as_str()));
    let (_, published) = stream.next("published");
    assert!(published["why"].as_str().unwrap().starts_with("reloaded files"), "{published}");
    assert_eq!(Request { method: "DELETE", ..get("/v1/overrides/1?why=done") }.with(&tokens.operator).ask(&node).status, 200);
    assert_eq!(stream.next("override-gone").1["override"]["id"].as_u64(), Some(1));
    node.stop();
}

#[test]
fn a_drill_is_told_from_its_announcement_to_its_end() {
    let (node, tokens) = guarded("drilled");
    let mut stream = follow(&node, &tokens.viewer, None);
    let drain = r#"{"selector": "service:shop region:aws-*", "plays": "drain", "for-seconds": 60, "pre-roll-seconds": 0, "why": "practice"}"#;
    let made = post("/v1/drills", drain).with(&tokens.operator).ask(&node);
    assert_eq!(made.status, 201, "{made:?}");
    for phase in ["announced", "running"] {
        let (_, told) = stream.next("drill");
        assert_eq!((told["phase"].as_str(), told["plays"].as_str(), told["why"].as_str()), (Some(phase), Some("drain"), Some("practice")), "{told}");
    }
    assert_eq!(Request { method: "DELETE", ..get("/v1/drills/1?why=enough") }.with(&tokens.operator).ask(&node).status, 200);
    let (_, over) = stream.next("drill");
    assert_eq!((over["phase"].as_str(), over["why"].as_str()), (Some("over"), Some("aborted by olga: enough")), "{over}");
    node.stop();
}

#[test]
fn who_comes_back_is_given_what_it_missed_and_who_comes_too_late_is_told() {
    let (node, tokens) = guarded("resume");
    let mut stream = follow(&node, &tokens.viewer, None);
    node.reload().unwrap();
    let (seen, _) = stream.next("reloaded");
    drop(stream);
    node.reload().unwrap();
    node.reload().unwrap();
    let mut stream = follow(&node, &tokens.viewer, Some(seen));
    let (first, _) = stream.next("reloaded");
    let (second, _) = stream.next("reloaded");
    assert!(seen < first && first < second);
    let mut stream = follow(&node, &tokens.viewer, Some(17));
    let (_, missed) = stream.next("missed");
    assert_eq!(missed["after"].as_u64(), Some(17), "{missed}");
    assert!(stream.next("reloaded").0 <= first, "what is kept is told all the same");
    node.stop();
}

#[test]
fn there_are_so_many_streams_and_the_next_is_told_to_come_again() {
    let (node, tokens) = guarded("seats");
    let streams: Vec<_> = (0..ADMIN_SUBSCRIBERS_MAX).map(|_| follow(&node, &tokens.viewer, None)).collect();
    let answer = get("/v1/events").with(&tokens.viewer).ask(&node);
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("30")), "{answer:?}");
    assert_eq!(get("/v1/digest").with(&tokens.viewer).ask(&node).status, 200, "everything else goes on");
    drop(streams);
    node.stop();
}
