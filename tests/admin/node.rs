//! A whole node on loopback with tokens, and a client of its admin API that writes its requests by hand.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use aya_gslb::admin::access::AccessFiles;
use aya_gslb::admin::tokens::{NewToken, Role};
use aya_gslb::cli::load::{Content, Loaded};
use aya_gslb::cli::node::{Node, Options};
use serde_json::Value;

use crate::small::{loaded, two_countries};

/// Long enough for anything that is going to happen at all.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Two services; nothing is probed. The Frankfurt endpoint of `api` has a capacity.
pub const ZONE: &str = concat!(
    two_countries!(),
    r#"[service.api.endpoint.aws-eu-west-1]
a = ["192.0.2.1"]
capacity = "1000 rps"
[service.api.endpoint.gcp-europe-west3]
a = ["192.0.2.2"]
capacity = "1000 rps"
[service.shop.endpoint.aws-eu-west-1]
a = ["192.0.2.11"]
[service.shop.endpoint.gcp-europe-west3]
a = ["192.0.2.12"]
"#
);

/// A folder of this test's own, empty.
pub fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("admin-{name}"));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// Tokens of each role, in a file.
#[derive(Clone, Debug)]
pub struct Tokens {
    pub file: PathBuf,
    pub viewer: String,
    pub reporter: String,
    pub operator: String,
}

/// Makes them.
pub fn tokens(folder: &Path) -> Tokens {
    let [viewer, reporter, operator] =
        [("vera", Role::Viewer), ("agent-1", Role::Reporter), ("olga", Role::Operator)].map(|(name, role)| NewToken::make(name, role).unwrap());
    let file = folder.join("tokens.toml");
    fs::write(&file, [&viewer, &reporter, &operator].map(|token| token.row.clone()).join("\n")).unwrap();
    Tokens { file, viewer: viewer.secret, reporter: reporter.secret, operator: operator.secret }
}

/// What a node of [`ZONE`] that keeps its state in this folder is to be.
pub fn options(folder: &Path) -> Options {
    let make = || {
        let (catalog, geo) = loaded(ZONE);
        Ok(Loaded { catalog, geo, lints: Vec::new() })
    };
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let mut options = Options::new(Content::Made(Arc::new(make)), vec![any]);
    options.admin = Some(any);
    options.state = Some(folder.to_owned());
    options
}

/// A node that asks for tokens.
pub fn guarded(name: &str) -> (Node, Tokens) {
    let folder = folder(name);
    let tokens = tokens(&folder);
    let mut options = options(&folder);
    options.access = AccessFiles { tokens: Some(tokens.file.clone()), ..AccessFiles::default() };
    (Node::start(options).unwrap(), tokens)
}

/// A node that asks for none.
pub fn open(name: &str) -> Node {
    Node::start(options(&folder(name))).unwrap()
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    /// Reads one to its end.
    pub fn read(mut stream: impl Read) -> Self {
        let mut octets = Vec::new();
        // Without a farewell of TLS the end is an error, and what came before is whole all the same.
        let _ = stream.read_to_end(&mut octets);
        let text = String::from_utf8(octets).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no head: {text:?}"));
        Self { status: head[9..12].parse().unwrap(), head: head.to_ascii_lowercase(), body: body.to_owned() }
    }

    /// A header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// What its problem document says, which says what the head says.
    pub fn detail(&self) -> String {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        let problem = self.json();
        assert_eq!(problem["status"].as_u64(), Some(self.status.into()), "{problem}");
        assert!(problem["title"].as_str().is_some_and(|title| !title.is_empty()), "{problem}");
        problem["detail"].as_str().unwrap().to_owned()
    }
}

/// A request.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    pub method: &'a str,
    pub path: &'a str,
    pub token: Option<&'a str>,
    /// Further header lines.
    pub headers: &'a str,
    pub body: String,
}

/// Asks for a path.
pub fn get(path: &str) -> Request<'_> {
    Request { method: "GET", path, token: None, headers: "", body: String::new() }
}

/// Sends JSON.
pub fn post(path: &str, body: impl Into<String>) -> Request<'_> {
    Request { method: "POST", path, headers: "content-type: application/json\r\n", body: body.into(), token: None }
}

impl<'a> Request<'a> {
    /// With a token.
    pub fn with(self, token: &'a str) -> Self {
        Self { token: Some(token), ..self }
    }

    /// The octets of it.
    pub fn octets(&self) -> String {
        let Self { method, path, token, headers, body } = self;
        let token = token.map(|token| format!("authorization: Bearer {token}\r\n")).unwrap_or_default();
        let len = body.len();
        format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{token}{headers}content-length: {len}\r\n\r\n{body}")
    }

    /// What the node answers.
    pub fn ask(&self, node: &Node) -> Answer {
        let mut stream = connect(node);
        stream.write_all(self.octets().as_bytes()).unwrap();
        Answer::read(stream)
    }
}

/// A connection to the admin listener.
pub fn connect(node: &Node) -> TcpStream {
    let stream = TcpStream::connect(node.admin_address().unwrap()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// What a node has that a request could change.
pub fn state(node: &Node) -> (Vec<u64>, Vec<aya_gslb::health::Status>) {
    (node.control().overrides().all.iter().map(|one| one.id).collect(), node.worlds().load().statuses.of.to_vec())
}
