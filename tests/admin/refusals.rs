//! What the API refuses: each with a problem document, and nothing has changed.

use std::io::{Read, Write};

use aya_gslb::limits::{ADMIN_REPORTS_MAX, ADMIN_REQUESTS_BURST};

use crate::node::{Request, connect, get, guarded, post, state};

/// An override that would be granted.
const DRAIN: &str = r#"{"selector": "cloud:aws service:shop", "action": "drain", "why": "maintenance"}"#;
/// A report that would be taken.
const REPORT: &str = r#"{"reports": [{"service": "api.gslb.example.com", "endpoint": "aws-eu-west-1", "rps": 10}]}"#;

#[test]
fn every_refusal_is_a_problem_document_and_changes_nothing() {
    let (node, tokens) = guarded("refusals");
    let before = state(&node);
    let many = format!(r#"{{"reports": [{}]}}"#, vec![r#"{"service": "a", "endpoint": "b", "rps": 1}"#; ADMIN_REPORTS_MAX + 1].join(","));
    let long = format!(r#"{{"selector": "{}"}}"#, "x".repeat(70_000));
    let text = Request { headers: "content-type: text/plain\r\n", ..post("/v1/overrides", DRAIN) };
    let none = Request { headers: "", ..post("/v1/load", REPORT) };
    let put = Request { method: "PUT", ..post("/v1/overrides", DRAIN) };
    let delete = |path| Request { method: "DELETE", ..get(path) };
    let cases = [
        (404, get("/"), "nothing at this path"),
        (404, get("/v1/secrets"), "nothing at this path"),
        (404, get("/v1/services/pai.gslb.example.com"), "did you mean api.gslb.example.com?"),
        (404, get("/v1/services/moon"), "there is no service called \"moon\""),
        (404, get("/v1/services/%00%ff"), "nothing at this path"),
        (404, get("/v1/status?service=moon"), "there is no service"),
        (404, get("/v1/status?after=api.gslb.example.com/moon"), "there is no endpoint of api.gslb.example.com"),
        (404, delete("/v1/overrides/x"), "overrides have numbers"),
        (404, delete("/v1/overrides/7"), "no override 7"),
        (405, put, "does not take this method"),
        (405, post("/v1/status", "{}"), "does not take this method"),
        (400, get("/v1/status?servise=x"), "unknown field `servise`"),
        (400, get("/v1/status?limit=0"), "`limit` is 1 to 10000"),
        (400, get("/v1/status?limit=-1"), "invalid digit"),
        (400, get("/v1/status?after=moon"), "SERVICE/ENDPOINT"),
        (400, get("/v1/digest?x=1"), "unknown field `x`"),
        (400, get("/v1/overrides?x=1"), "unknown field `x`"),
        (400, get("/v1/explain?name=api.gslb.example.com"), "missing field `client`"),
        (400, get("/v1/explain?name=api.gslb.example.com&client=x"), "x"),
        (404, get("/v1/explain?name=moon.example.net&client=20.0.0.1"), "moon.example.net"),
        (400, Request { headers: "last-event-id: x\r\n", ..get("/v1/events") }, "is the number of an event"),
        (400, post("/v1/overrides", "{"), "EOF"),
        (400, post("/v1/overrides", "\u{1}"), "expected value"),
        (400, post("/v1/overrides", DRAIN.replace('}', "}}")), "trailing"),
        (400, post("/v1/overrides?dry-run=true", DRAIN), "unknown field `dry-run`"),
        (422, post("/v1/overrides", "[]"), "invalid"),
        (422, post("/v1/overrides", DRAIN.replace("why", "wyh")), "unknown field `wyh`"),
        (422, post("/v1/overrides", DRAIN.replace('}', r#", "why": "again"}"#)), "duplicate field `why`"),
        (415, text, "content-type"),
        (415, none, "content-type"),
        (413, post("/v1/overrides", &long), "length limit"),
        (422, post("/v1/load", r#"{"reports": []}"#), "1 to 500"),
        (422, post("/v1/load", &many), "not 501"),
        (422, post("/v1/load", REPORT.replace("10", "-1")), "invalid value"),
        (422, post("/v1/load", REPORT.replace("10", "1000000001")), "is more than 1000000000"),
        (422, post("/v1/load", REPORT.replace("rps", "rsp")), "unknown field `rsp`"),
        (404, post("/v1/load", REPORT.replace("api.", "aip.")), "did you mean api.gslb.example.com?"),
        (404, post("/v1/load", REPORT.replace("aws-eu-west-1", "aws-eu-wset-1")), "did you mean aws-eu-west-1?"),
    ];
    for (wanted, request, detail) in cases {
        let answer = request.clone().with(&tokens.operator).ask(&node);
        assert_eq!(answer.status, wanted, "{request:?}: {answer:?}");
        assert!(answer.detail().to_lowercase().contains(&detail.to_lowercase()), "{request:?}: {answer:?}");
    }
    assert_eq!(state(&node), before, "nothing has changed");
    node.stop();
}

#[test]
fn a_path_that_does_not_take_a_method_says_which_it_takes() {
    let (node, tokens) = guarded("allow");
    let answer = Request { method: "PUT", ..get("/v1/overrides") }.with(&tokens.operator).ask(&node);
    assert_eq!((answer.status, answer.header("allow")), (405, Some("get,head,post,delete")), "{answer:?}");
    node.stop();
}

#[test]
fn several_reports_are_taken_all_or_not_at_all() {
    let (node, tokens) = guarded("all-or-none");
    let before = state(&node);
    let half = r#"{"reports": [{"service": "api.gslb.example.com", "endpoint": "aws-eu-west-1", "rps": 900}, {"service": "api.gslb.example.com", "endpoint": "moon", "rps": 1}]}"#;
    assert_eq!(post("/v1/load", half).with(&tokens.reporter).ask(&node).status, 404);
    assert_eq!(state(&node), before);
    node.stop();
}

#[test]
fn who_comes_too_often_is_told_when_to_come_again_and_others_are_not_concerned() {
    let (node, tokens) = guarded("often");
    // All in one go over one connection: no client is so slow that they are within the rate.
    let (mut stream, stranger) = (connect(&node), get("/v1/digest").with("aya_nobodys"));
    let one = stranger.octets().replace("connection: close\r\n", "");
    let many = one.repeat(usize::try_from(10 * ADMIN_REQUESTS_BURST).unwrap()) + &stranger.octets();
    let mut writer = stream.try_clone().unwrap();
    let writing = std::thread::spawn(move || writer.write_all(many.as_bytes()));
    let mut answers = String::new();
    stream.read_to_string(&mut answers).unwrap();
    writing.join().unwrap().unwrap();
    let refused = answers.split("HTTP/1.1 ").find(|answer| answer.starts_with("429 ")).expect("nobody comes so often");
    assert!(refused.contains("\r\nretry-after: 1\r\n") && refused.contains("requests a second"), "{refused}");
    assert!(answers.starts_with("HTTP/1.1 401 "), "a burst is looked at");
    assert_eq!(get("/v1/digest").with(&tokens.viewer).ask(&node).status, 200, "whoever has a token is counted by it");
    node.stop();
}
