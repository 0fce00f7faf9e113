//! A whole node on loopback, and a client of its admin API that writes its requests by hand.
#![allow(dead_code, missing_docs, unreachable_pub, clippy::missing_docs_in_private_items, clippy::unwrap_used, clippy::missing_panics_doc)] // a workshop of tests: each crate uses a part of it

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
pub fn node(toml: &str, folder: Option<&Path>) -> Node {
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

/// The status, the head and the body of the answer to a request with these further headers.
pub fn ask(node: &Node, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> (u16, String, String) {
    let mut stream = TcpStream::connect(node.admin_address().unwrap()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let more = headers.iter().fold(String::new(), |more, (name, value)| more + name + ": " + value + "\r\n");
    let head = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{more}content-length: {}\r\n\r\n", body.len());
    stream.write_all((head + body).as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    if head.contains("application/problem+json") {
        let problem: Value = serde_json::from_str(body).unwrap();
        assert_eq!(problem["status"].to_string(), head[9..12], "the document says what the head says");
    }
    (head[9..12].parse().unwrap(), head.to_owned(), body.to_owned())
}
