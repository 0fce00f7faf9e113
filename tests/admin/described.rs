//! The API's description: made of the code, committed, compared. `UPDATE_EXPECT=1 cargo test --test admin` rewrites it.

use std::path::PathBuf;

use aya_gslb::admin::description;
use serde_json::Value;

use crate::node::{Request, get, guarded};

#[test]
fn the_committed_description_is_that_of_the_code() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/admin/api.json");
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(&path, description::text()).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == description::text(), "tests/admin/api.json is not what the code says; if that is meant, UPDATE_EXPECT=1 rewrites it");
}

#[test]
fn every_path_that_is_described_is_there_and_takes_the_methods_that_it_says() {
    let (node, tokens) = guarded("described");
    let described: Value = get("/v1/openapi.json").with(&tokens.viewer).ask(&node).json();
    assert_eq!(described["openapi"].as_str(), Some("3.1.0"));
    let paths = described["paths"].as_object().unwrap();
    assert!(paths.len() >= 11, "{}", paths.len());
    for (path, methods) in paths {
        let path = path.replace("{name}", "api.gslb.example.com").replace("{id}", "1");
        let answer = Request { method: "TRACE", ..get(&path) }.with(&tokens.operator).ask(&node);
        assert_eq!(answer.status, 405, "{path}");
        let mut taken: Vec<&str> = answer.header("allow").unwrap().split(',').filter(|method| *method != "head").collect();
        let mut told: Vec<&str> = methods.as_object().unwrap().keys().map(String::as_str).collect();
        taken.sort_unstable();
        told.sort_unstable();
        assert_eq!(taken, told, "{path}");
    }
    node.stop();
}

#[test]
fn every_operation_says_how_it_refuses() {
    let described: Value = serde_json::from_str(description::text()).unwrap();
    for (path, methods) in described["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let responses = operation["responses"].as_object().unwrap();
            let is_open = matches!(path.as_str(), "/healthz" | "/readyz");
            for status in ["401", "403"] {
                assert_ne!(responses.contains_key(status), is_open, "{method} {path}: {status}");
            }
            assert!(responses.contains_key("429") && responses.contains_key("400"), "{method} {path}");
            for (status, response) in responses.iter().filter(|(status, _)| status.starts_with(['4', '5'])) {
                assert!(response["content"]["application/problem+json"].is_object(), "{method} {path}: {status}");
            }
        }
    }
}
