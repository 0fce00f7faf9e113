//! `/v1/overrides`.

use crate::desk::ZONE;
use crate::durable::folder;
use crate::node::{delete, get, node, numbers, post, request};

/// A drain of a cloud's shop, with more keys.
fn drain(more: &str) -> String {
    format!(r#"{{"selector": "cloud:aws service:shop", "action": "drain", "why": "maintenance", "who": "anna"{more}}}"#)
}

#[test]
fn an_override_is_set_told_explained_and_cleared() {
    let folder = folder("api");
    let node = node(ZONE, Some(&folder));
    let (status, granted) = post(&node, &drain(r#", "over-seconds": 600, "for-seconds": 7200"#));
    assert_eq!(status, 201, "{granted}");
    let made = &granted["made"];
    assert_eq!((made["id"].as_u64(), made["selector"].as_str(), made["endpoints"].as_u64()), (Some(1), Some("cloud:aws service:shop"), Some(2)));
    assert_eq!((granted["moved"]["endpoints"].as_u64(), granted["dry-run"].as_bool()), (Some(2), Some(false)));
    assert_eq!(granted["generation"].as_u64(), Some(node.worlds().load().generation));
    let list = get(&node, "/v1/overrides");
    let one = &list["overrides"][0];
    assert_eq!((one["action"].as_str(), one["over-seconds"].as_u64(), one["endpoints"].as_u64()), (Some("drain"), Some(600), Some(2)));
    assert_eq!(one["now"].as_str(), Some("draining, with 90 % of its clients left"));
    assert!((7_180..=7_200).contains(&one["expires-in-seconds"].as_u64().unwrap()), "{one}");
    let explained = get(&node, "/v1/explain?name=shop.gslb.example.com&client=30.0.0.1");
    let named =
        |told: &serde_json::Value| told["override"].as_str().is_some_and(|note| note.starts_with("draining, with 90 % of its clients left, by anna until "));
    assert_eq!(explained["endpoints"].as_array().unwrap().iter().filter(|endpoint| named(endpoint)).count(), 2, "{explained}");
    assert_eq!(get(&node, "/v1/status")["endpoints"].as_array().unwrap().iter().filter(|endpoint| named(endpoint)).count(), 2);
    let (_, metrics) = request(&node, "GET", "/metrics", "text/plain", "");
    for line in
        ["aya_overrides{action=\"drain\"} 1", "aya_overridden_endpoints 2", "aya_overrides_lost 0", "aya_override_requests_total{outcome=\"granted\"} 1"]
    {
        assert!(metrics.contains(line), "{line}");
    }
    let (status, gone) = delete(&node, "/1?who=bob&why=done");
    assert_eq!((status, gone["gone"][0]["id"].as_u64()), (200, Some(1)));
    assert!(numbers(&node).is_empty());
    node.stop();
}

#[test]
fn a_dry_run_tells_who_would_move_and_changes_nothing() {
    let folder = folder("api-dry");
    let node = node(ZONE, Some(&folder));
    let generation = node.worlds().load().generation;
    let (status, would) = post(&node, &drain(r#", "dry-run": true"#));
    assert_eq!((status, would["dry-run"].as_bool()), (200, Some(true)));
    let most = &would["moved"]["most"][0];
    assert_eq!(most["service"].as_str(), Some("shop.gslb.example.com"));
    assert_eq!(most["ways"][0]["to"].as_str(), Some("gcp-europe-west3"), "{would}");
    assert_eq!((numbers(&node), node.worlds().load().generation), (Vec::new(), generation));
    node.stop();
}

#[test]
fn overrides_are_cleared_by_selector_and_after_a_restart_too() {
    let folder = folder("api-selector");
    let first = node(ZONE, Some(&folder));
    assert_eq!(post(&first, &drain("")).0, 201);
    first.stop();
    let second = node(ZONE, Some(&folder));
    assert_eq!(numbers(&second), [1]);
    assert_eq!(delete(&second, "?selector=cloud%3Aaws&who=bob&dry-run=true").0, 200);
    assert_eq!(numbers(&second), [1], "a dry run");
    assert_eq!(delete(&second, "?selector=cloud%3Aaws&who=bob").0, 200);
    assert!(numbers(&second).is_empty());
    second.stop();
}

#[test]
fn every_refusal_is_a_problem_document_and_changes_nothing() {
    let folder = folder("api-refusals");
    let node = node(&format!("{ZONE}\n[safety]\nmin-regions = 2\n"), Some(&folder));
    assert_eq!(post(&node, &drain(r#", "force": "a test""#)).0, 201);
    let generation = node.worlds().load().generation;
    let with = |from: &str, to: &str| drain("").replace(from, to);
    let cases = [
        (422, drain(r#", "nonsense": 1"#), "unknown field `nonsense`"),
        (422, with(r#", "who": "anna""#, ""), "missing field `who`"),
        (422, with("anna", " "), "`who` must be a line of 1 to 200 octets: it is empty"),
        (422, with("maintenance", "a\\nb"), "it has control characters"),
        (422, with("maintenance", &"x".repeat(201)), "it is longer than 200 octets"),
        (422, with("cloud:aws service:shop", ""), "the selector is empty"),
        (422, with("cloud:aws", "clod:aws"), "did you mean \\\"cloud\\\"?"),
        (422, with("drain", "drown"), "is nothing that can be done"),
        (422, with("drain", "weight=100%"), "no share below the whole"),
        (422, with("drain", "out").replace('}', r#", "over-seconds": 1}"#), "only a drain takes time"),
        (422, drain(r#", "for-seconds": 59"#), "from 1 minute to 72 hours"),
        (422, drain(r#", "for-seconds": 18446744073709551615"#), "from 1 minute to 72 hours"),
        (422, drain(r#", "over-seconds": 14400"#), "nothing would ever be drained"),
        (422, drain(r#", "for-seconds": -1"#), "invalid value"),
        (422, drain(r#", "force": """#), "`force` must be a line"),
        (404, with("cloud:aws", "cloud:awz"), "did you mean cloud:aws?"),
        (409, with("cloud:aws service:shop", "region:gcp-* service:api"), "min-regions"),
        (409, with("cloud:aws service:shop", "region:*eu* service:api"), "last endpoint of api.gslb.example.com"),
        (400, drain("").replace('}', ""), "EOF"),
    ];
    for (wanted, body, detail) in cases {
        let (status, problem) = post(&node, &body);
        assert_eq!(status, wanted, "{body}: {problem}");
        assert!(problem.to_string().contains(detail), "{body}: {problem}");
    }
    let cases = [
        (404, "/77?who=bob", "no override 77"),
        (404, "/x?who=bob", "overrides have numbers"),
        (404, "?selector=service:api&who=bob", "no override is about"),
        (422, "/1", "missing field `who`"),
        (422, "?who=bob", "no selector"),
        (422, "?selector=x&who=bob", "does not say what it looks at"),
        (422, "/1?who=bob&selector=cloud:aws", "which is meant?"),
        (400, "/1?who=bob&wyh=x", "unknown field `wyh`"),
    ];
    for (wanted, rest, detail) in cases {
        let (status, problem) = delete(&node, rest);
        assert_eq!(status, wanted, "{rest}: {problem}");
        assert!(problem["detail"].as_str().unwrap().contains(detail), "{rest}: {problem}");
    }
    assert_eq!(request(&node, "POST", "/v1/overrides", "text/plain", &drain("")).0, 415);
    assert_eq!(request(&node, "POST", "/v1/overrides", "application/json", &drain(&format!(", \"force\": \"{}\"", "x".repeat(70_000)))).0, 413);
    assert_eq!(request(&node, "PUT", "/v1/overrides", "application/json", "{}").0, 405);
    assert_eq!((numbers(&node), node.worlds().load().generation), (vec![1], generation), "nothing has changed");
    node.stop();
}

#[test]
fn a_node_without_a_state_folder_refuses_and_says_what_it_needs() {
    let node = node(ZONE, None);
    let (status, problem) = post(&node, &drain(""));
    assert_eq!(status, 409);
    assert!(problem["detail"].as_str().unwrap().contains("--state DIR"), "{problem}");
    assert_eq!(post(&node, &drain(r#", "dry-run": true"#)).0, 200);
    node.stop();
}
