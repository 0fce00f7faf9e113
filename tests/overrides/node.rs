//! A whole node on loopback, and a client of its admin API that writes its requests by hand.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use aya_gslb::cli::load::{Content, Loaded};
use aya_gslb::cli::node::{Node, Options};
use serde_json::Value;

use crate::small::loaded;

/// Long enough for anything that is going to happen at all.
const PATIENCE: Duration = Duration::from_secs(20);

/// A node that serves this zone and keeps its state in this folder.
pub(crate) fn node(toml: &str, folder: Option<&Path>) -> Node {
    let toml = toml.to_owned();
    let make = move || {
        let (catalog, geo) = loaded(&toml);
        Ok(Loaded { catalog, geo, lints: Vec::new() })
    };
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let mut options = Options::new(Content::Made(Arc::new(make)), vec![any]);
    options.admin = Some(any);
    options.state = folder.map(Path::to_owned);
    Node::start(options).unwrap()
}

/// The status and the body of the answer to a request.
pub(crate) fn request(node: &Node, method: &str, path: &str, content_type: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(node.admin_address().unwrap()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let head =
        format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: {content_type}\r\ncontent-length: {}\r\n\r\n", body.len());
    stream.write_all((head + body).as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    if head.contains("application/problem+json") {
        let problem: Value = serde_json::from_str(body).unwrap();
        assert_eq!(problem["status"].to_string(), head[9..12], "the document says what the head says");
    }
    (head[9..12].parse().unwrap(), body.to_owned())
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
