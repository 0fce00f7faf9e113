//! `/v1/failback` and `aya failback`: what waits is told and released, and a release outlives the process.

use std::path::Path;

use aya_gslb::cli::node::Node;
use aya_gslb::control::{FailbackState, State};
use aya_gslb::state_file;
use serde_json::Value;

use crate::cli::{api, aya};
use crate::durable::folder;
use crate::node::{get, node, request};
use crate::small::two_countries;

/// A database in two places that nobody probes; clients of 20.0.0.0/8 are in Germany.
pub(crate) const DATABASE: &str = concat!(
    two_countries!(),
    r#"[service.db]
tiers = [["gcp-europe-west3"], ["aws-eu-west-1"]]
failback = "manual"
ramp = "0s"
[service.db.endpoint.gcp-europe-west3]
a = ["192.0.2.1"]
[service.db.endpoint.aws-eu-west-1]
a = ["192.0.2.2"]
[service.shop]
tiers = [["gcp-europe-west3"], ["aws-eu-west-1"]]
[service.shop.endpoint.gcp-europe-west3]
a = ["192.0.2.11"]
[service.shop.endpoint.aws-eu-west-1]
a = ["192.0.2.12"]
"#
);

/// What a process leaves behind that saw the first tier fail.
fn left(folder: &Path) {
    let failback = FailbackState { service: "db.gslb.example.com".into(), latched: vec!["gcp-europe-west3".into()], others: vec!["aws-eu-west-1".into()] };
    state_file::write(&folder.join("health.state"), &State { failback: vec![failback], ..State::default() }).unwrap();
}

fn answered(node: &Node) -> String {
    let told = get(node, "/v1/explain?name=db.gslb.example.com&client=20.0.0.1");
    let first = told["endpoints"].as_array().unwrap().iter().find(|endpoint| endpoint["answer"] == 1).unwrap();
    first["endpoint"].as_str().unwrap().to_owned()
}

fn post(node: &Node, body: &str) -> (u16, Value) {
    let (status, body) = request(node, "POST", "/v1/failback", "application/json", body);
    (status, serde_json::from_str(&body).unwrap())
}

#[test]
fn what_waits_is_told_everywhere_and_released_for_good() {
    let folder = folder("failback");
    left(&folder);
    let first = node(DATABASE, Some(&folder));
    assert_eq!(answered(&first), "aws-eu-west-1");
    let explained = get(&first, "/v1/explain?name=db.gslb.example.com&client=20.0.0.1");
    assert_eq!(explained["reason"], "latched");
    assert!(explained.to_string().contains("tier 1 was left, and waits for an operator to release it"), "{explained}");
    let waits = &get(&first, "/v1/failback")["services"];
    assert_eq!(waits[0].to_string(), r#"{"failed":[],"in-use":2,"ready":[1],"service":"db.gslb.example.com","waiting":true}"#);
    assert_eq!(get(&first, "/v1/status")["endpoints"].as_array().unwrap().iter().filter(|endpoint| endpoint["latched"] == true).count(), 1);
    let waiting = |node: &Node| {
        let (_, metrics) = request(node, "GET", "/metrics", "text/plain", "");
        metrics.lines().find_map(|line| line.strip_prefix("aya_failback_waiting ")).unwrap().to_owned()
    };
    assert_eq!(waiting(&first), "1");
    let (status, would) = post(&first, r#"{"service": "db", "why": "synced", "who": "anna", "dry-run": true}"#);
    assert_eq!((status, would["dry-run"].as_bool(), would["moved"]["most"][0]["clients-percent"].as_f64()), (200, Some(true), Some(100.0)), "{would}");
    assert_eq!(answered(&first), "aws-eu-west-1", "to ask changes nothing");
    let (status, done) = post(&first, r#"{"service": "db", "why": "synced", "who": "anna"}"#);
    assert_eq!((status, done["released"][0]["tiers"].to_string().as_str()), (200, "[1]"), "{done}");
    assert_eq!((answered(&first).as_str(), waiting(&first).as_str()), ("gcp-europe-west3", "0"));
    // What was acknowledged is on the disk already, whatever becomes of the process.
    let kept = state_file::read::<State>(&folder.join("health.state")).unwrap().unwrap();
    assert_eq!(kept.failback, []);
    let trail = std::fs::read_to_string(folder.join("audit.jsonl")).unwrap();
    for told in [r#""what":"released""#, r#""who":"anna""#, r#""why":"synced""#, r#""selector":"service:db""#, "db.gslb.example.com: tiers [1]"] {
        assert!(trail.contains(told), "{told}: {trail}");
    }
    first.stop();
    let second = node(DATABASE, Some(&folder));
    assert_eq!(answered(&second), "gcp-europe-west3");
    second.stop();
}

#[test]
fn nothing_is_released_while_another_process_takes_over_which_would_not_know_of_it() {
    let folder = folder("failback-handover");
    left(&folder);
    let node = node(DATABASE, Some(&folder));
    let release = r#"{"service": "db", "why": "synced", "who": "anna"}"#;
    node.control().be_followed(true);
    let (status, problem) = post(&node, release);
    assert_eq!((status, problem["detail"].as_str().unwrap().contains("another process is taking over")), (503, true), "{problem}");
    assert_eq!(answered(&node), "aws-eu-west-1");
    assert_eq!(post(&node, &release.replace('}', r#", "dry-run": true}"#)).0, 200, "to ask changes nothing");
    node.control().be_followed(false);
    assert_eq!(post(&node, release).0, 200, "the other one has ended");
    node.stop();
}

#[test]
fn what_cannot_be_released_is_refused_and_changes_nothing() {
    let folder = folder("failback-refused");
    left(&folder);
    let node = node(DATABASE, Some(&folder));
    for (wanted, service, detail) in [(404, "bd", "did you mean"), (409, "shop", "return to a tier by themselves"), (422, "", "which service is meant")] {
        let (status, problem) = post(&node, &format!(r#"{{"service": "{service}", "why": "synced", "who": "anna"}}"#));
        assert_eq!(status, wanted, "{problem}");
        assert!(problem["detail"].as_str().unwrap().contains(detail), "{problem}");
    }
    let (status, problem) = post(&node, r#"{"service": "db", "why": " ", "who": "anna"}"#);
    assert_eq!((status, problem["detail"].as_str().unwrap().contains("`why` must be a line")), (422, true));
    assert_eq!(post(&node, r#"{"service": "db", "why": "x"}"#).0, 422);
    assert_eq!(answered(&node), "aws-eu-west-1");
    assert_eq!(post(&node, r#"{"service": "db", "why": "synced", "who": "anna"}"#).0, 200);
    let (status, problem) = post(&node, r#"{"service": "db", "why": "synced", "who": "anna"}"#);
    assert_eq!((status, problem["detail"].as_str().unwrap()), (409, "no tier of \"db\" waits to be released"));
    node.stop();
}

#[test]
fn the_command_line_tells_what_waits_and_releases_it() {
    let folder = folder("failback-cli");
    left(&folder);
    let node = node(DATABASE, Some(&folder));
    let nodes = [api(&node)];
    let (code, out, error) = aya(&["failback"], &nodes);
    assert_eq!((code, out.as_str()), (0, "db.gslb.example.com: tier 2 is in use, tier 1 could be released\n"), "{error}");
    assert_eq!(aya(&["failback", "db"], &nodes).0, 2, "nobody knows why");
    let (code, out, _) = aya(&["failback", "db", "--why", "synced", "--dry-run"], &nodes);
    assert_eq!(code, 0);
    assert!(out.starts_with("would be released: tier 1 of db.gslb.example.com\n") && out.contains("aws-eu-west-1 → gcp-europe-west3 100 %"), "{out}");
    assert_eq!(answered(&node), "aws-eu-west-1");
    let (code, out, _) = aya(&["failback", "db", "--why", "synced"], &nodes);
    assert!(code == 0 && out.starts_with("released: tier 1 of db.gslb.example.com\n"), "{out}");
    assert_eq!(answered(&node), "gcp-europe-west3");
    assert_eq!(aya(&["failback"], &nodes), (0, "nothing waits to be released\n".to_owned(), String::new()));
    let (code, _, error) = aya(&["failback", "db", "--why", "synced"], &nodes);
    assert!(code == 1 && error.contains("no tier of \"db\" waits to be released"), "{error}");
    node.stop();
}
