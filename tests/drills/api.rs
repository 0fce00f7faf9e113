//! `/v1/drills`.

use aya_gslb::cli::node::Node;
use serde_json::Value;

use crate::durable::{folder, unprobed};
pub(crate) use crate::whole::node;

/// The status, the head and the body of the answer to a request.
fn request(node: &Node, method: &str, path: &str, accept: &str, body: &str) -> (u16, String, String) {
    crate::whole::ask(node, method, path, &[("accept", accept), ("content-type", "application/json")], body)
}

fn json(node: &Node, method: &str, path: &str, body: &str) -> (u16, Value) {
    let (status, head, body) = request(node, method, path, "application/json", body);
    assert_eq!(status >= 400, head.contains("application/problem+json"), "{head}");
    (status, serde_json::from_str(&body).unwrap())
}

fn drain(more: &str) -> String {
    format!(
        r#"{{"selector": "service:shop region:aws-us-east-1", "plays": "drain", "for-seconds": 60, "pre-roll-seconds": 0, "why": "practice", "who": "anna"{more}}}"#
    )
}

#[test]
fn an_override_so_soon_after_a_drill_that_moved_clients_is_refused() {
    let folder = folder("api-gate");
    let node = node(&format!("{}\n[safety]\ngate = \"10m\"\n", unprobed()), Some(&folder));
    assert_eq!(json(&node, "POST", "/v1/drills", &drain("")).0, 201);
    assert_eq!(json(&node, "DELETE", "/v1/drills/1?who=anna&why=enough", "").0, 200);
    let wish = r#"{"selector": "service:shop region:gcp-*", "action": "drain", "why": "maintenance", "who": "anna"}"#;
    let (status, problem) = json(&node, "POST", "/v1/overrides", wish);
    assert_eq!((status, problem["detail"].as_str().unwrap().contains("`gate` wants 600 s")), (409, true), "{problem}");
    node.stop();
}

#[test]
fn a_drill_is_announced_shown_explained_aborted_and_reported() {
    let folder = folder("api");
    let node = node(&unprobed(), Some(&folder));
    let (status, drilled) = json(&node, "POST", "/v1/drills", &drain(""));
    assert_eq!(status, 201, "{drilled}");
    assert_eq!((drilled["drill"]["id"].as_u64(), drilled["endpoints"].as_u64(), drilled["dry-run"].as_bool()), (Some(1), Some(1), Some(false)));
    let list = json(&node, "GET", "/v1/drills", "").1;
    assert_eq!((list["current"]["phase"].as_str(), list["reports"].as_array().unwrap().len()), (Some("running"), 0));
    let shown = json(&node, "GET", "/v1/drills/1", "").1;
    assert_eq!((shown["plays"].as_str(), shown["decided-ms"].as_u64()), (Some("drain"), Some(0)));
    let (status, problem) = json(&node, "GET", "/v1/drills/1/report", "");
    assert_eq!((status, problem["detail"].as_str().unwrap().contains("is not over")), (409, true));
    let told = json(&node, "GET", "/v1/status", "").1;
    assert!(told["drill"].as_str().unwrap().starts_with("drained in drill 1 by anna until "), "{}", told["drill"]);
    assert_eq!(told["endpoints"].as_array().unwrap().iter().filter(|endpoint| endpoint["drill"].is_string()).count(), 1);
    let explained = json(&node, "GET", "/v1/explain?name=shop.gslb.example.com&client=30.0.0.1", "").1;
    assert!(explained.to_string().contains("it is drained in drill 1 by anna until "), "{explained}");
    let (_, _, metrics) = request(&node, "GET", "/metrics", "text/plain", "");
    let lines =
        ["aya_drill{phase=\"running\"} 1", "aya_drill{phase=\"announced\"} 0", "aya_drilled_endpoints 1", "aya_drill_requests_total{outcome=\"granted\"} 1"];
    for line in lines {
        assert!(metrics.contains(line), "{line}");
    }
    let (status, aborted) = json(&node, "DELETE", "/v1/drills/1?who=bob&why=enough", "");
    assert_eq!((status, aborted["drill"]["phase"].as_str()), (200, Some("over")));
    assert!(node.worlds().load().drill.is_none());
    // The report is written beside; asked often enough it is there.
    let report = (0..1_000).find_map(|_| Some(request(&node, "GET", "/v1/drills/1/report", "application/json", "")).filter(|told| told.0 == 200)).unwrap();
    let report: Value = serde_json::from_str(&report.2).unwrap();
    assert_eq!((report["aborted"].as_bool(), report["ceased"].as_str()), (Some(true), Some("aborted by bob: enough")));
    let (status, head, markdown) = request(&node, "GET", "/v1/drills/1/report", "text/markdown", "");
    assert_eq!((status, head.contains("text/markdown"), markdown.starts_with("# Drill 1: drain ")), (200, true, true));
    assert_eq!(json(&node, "GET", "/v1/drills", "").1["reports"][0]["id"].as_u64(), Some(1));
    assert_eq!(json(&node, "GET", "/v1/drills/1", "").1["phase"].as_str(), Some("over"));
    assert!(request(&node, "GET", "/metrics", "text/plain", "").2.contains("aya_drills_total{outcome=\"aborted\"} 1"));
    node.stop();
}

#[test]
fn every_refusal_is_a_problem_document_and_changes_nothing() {
    let folder = folder("api-refusals");
    let node = node(&format!("{}\n[safety]\nmin-regions = 2\n", unprobed()), Some(&folder));
    let generation = node.worlds().load().generation;
    let with = |from: &str, to: &str| drain("").replace(from, to);
    let cases = [
        (422, drain(r#", "nonsense": 1"#), "unknown field `nonsense`"),
        (422, with(r#", "who": "anna""#, ""), "missing field `who`"),
        (422, with(r#""for-seconds": 60, "#, ""), "missing field `for-seconds`"),
        (422, with("60", "59"), "from 1 minute to 2 hours"),
        (422, with("60", "18446744073709551615"), "from 1 minute to 2 hours"),
        (422, with(r#"-roll-seconds": 0"#, r#"-roll-seconds": 7201"#), "announced for 2 hours at most"),
        (422, with("drain", "drown"), "is nothing that a drill plays"),
        (422, with("drain", "slow=2h"), "is no time"),
        (422, with("drain", "lossy=101%"), "is no share"),
        (422, with("anna", " "), "`who` must be a line"),
        (422, drain(r#", "without": ["safety"]"#), "is no guard"),
        (422, drain(r#", "errors-permille": 1001"#), "0 to 1000"),
        (422, with("service:shop", "servce:shop"), "did you mean"),
        (404, with("aws-us-east-1", "aws-us-eats-1"), "did you mean region:aws-us-east-1?"),
        (409, with("drain", "fail"), "matches no endpoint that is probed"),
        (409, with("service:shop region:aws-us-east-1", "service:api region:gcp-*"), "min-regions"),
        (409, with("service:shop region:aws-us-east-1", "service:api region:*eu*"), "the last endpoint of api.gslb.example.com"),
        (400, drain("").replace('}', ""), "EOF"),
    ];
    for (wanted, body, detail) in cases {
        let (status, problem) = json(&node, "POST", "/v1/drills", &body);
        assert_eq!(status, wanted, "{body}: {problem}");
        assert!(problem["detail"].as_str().unwrap().contains(detail), "{body}: {problem}");
    }
    for (wanted, method, path) in
        [(404, "GET", "/v1/drills/7"), (404, "GET", "/v1/drills/x"), (404, "GET", "/v1/drills/7/report"), (404, "DELETE", "/v1/drills/7?who=bob")]
    {
        assert_eq!(json(&node, method, path, "").0, wanted, "{method} {path}");
    }
    assert_eq!(json(&node, "DELETE", "/v1/drills/7", "").0, 422, "nobody says who");
    let (status, would) = json(&node, "POST", "/v1/drills", &drain(r#", "dry-run": true"#));
    assert_eq!((status, would["moved"]["most"][0]["service"].as_str()), (200, Some("shop.gslb.example.com")));
    let world = node.worlds().load();
    assert_eq!((world.generation, world.drill.is_none(), folder.join("drill.state").exists()), (generation, true, false), "nothing has changed");
    node.stop();
}

#[test]
fn a_node_without_a_state_folder_refuses_and_says_what_it_needs() {
    let node = node(&unprobed(), None);
    let (status, problem) = json(&node, "POST", "/v1/drills", &drain(""));
    assert_eq!((status, problem["detail"].as_str().unwrap().contains("--state DIR")), (409, true));
    assert_eq!(json(&node, "GET", "/v1/drills", "").1["reports"].as_array().unwrap().len(), 0);
    node.stop();
}
