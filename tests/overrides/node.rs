//! What these tests ask of a node's admin API.

use aya_gslb::cli::node::Node;
use serde_json::Value;

pub(crate) use crate::whole::node;

/// The status and the body of the answer to a request.
pub(crate) fn request(node: &Node, method: &str, path: &str, content_type: &str, body: &str) -> (u16, String) {
    let (status, _, body) = crate::whole::ask(node, method, path, &[("content-type", content_type)], body);
    (status, body)
}

pub(crate) fn get(node: &Node, path: &str) -> Value {
    let (status, body) = request(node, "GET", path, "text/plain", "");
    assert_eq!(status, 200, "{body}");
    serde_json::from_str(&body).unwrap()
}

pub(crate) fn post(node: &Node, body: &str) -> (u16, Value) {
    let (status, body) = request(node, "POST", "/v1/overrides", "application/json", body);
    (status, serde_json::from_str(&body).unwrap())
}

pub(crate) fn delete(node: &Node, rest: &str) -> (u16, Value) {
    let (status, body) = request(node, "DELETE", &format!("/v1/overrides{rest}"), "text/plain", "");
    (status, serde_json::from_str(&body).unwrap())
}

/// The numbers of the overrides in force.
pub(crate) fn numbers(node: &Node) -> Vec<u64> {
    get(node, "/v1/overrides")["overrides"].as_array().unwrap().iter().map(|one| one["id"].as_u64().unwrap()).collect()
}
