//! A node whose endpoint is a host name, and another node that serves that name: look-ups, answers at the apex, probes, metrics, reasons.
//! Every wait is for an event or has a deadline; nothing sleeps.
#![allow(clippy::unwrap_used, clippy::missing_docs_in_private_items, missing_docs, reason = "a test that cannot do what it says has failed")]

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use aya_gslb::cli::load::{Content, LoadError, Loaded};
use aya_gslb::cli::node::{Node, Options};
use aya_gslb::config::{self, SourceFile};
use aya_gslb::geo::Geo;
use aya_gslb::resolve::NameServers;
use aya_gslb::server::Engine;
use hickory_proto::op::Message;
use support::ask::query;
use support::{A, HTTPS};

/// Long enough for anything that is going to happen at all.
const PATIENCE: Duration = Duration::from_secs(20);
const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// The zone of a provider of load balancers: `lb` is a CNAME, as they often are.
const PROVIDER: &str = r#"
zone = "example.net"
[ns]
ns1 = ["192.0.2.53"]
ns2 = ["198.51.100.53"]
[record.lb]
CNAME = "pool"
[record.pool]
A = "127.0.0.1"
"#;

fn zone(probe: &str) -> String {
    format!(
        r#"
zone = "test.example"
[ns]
ns1 = ["192.0.2.53"]
ns2 = ["198.51.100.53"]
[service."@"]
https = {{ alpn = ["h2"] }}
{probe}
[service."@".endpoint.aws-eu-west-1]
alias = "lb.example.net"
[service."@".endpoint.aws-us-east-1]
alias = "gone.example.net"
probe = []
"#
    )
}

fn loaded(toml: &str) -> Result<Loaded, LoadError> {
    let source = SourceFile { name: "test.toml".into(), text: toml.into() };
    let loaded = config::compile(vec![source], &|_, _| Err("there is none".into())).map_err(|failure| LoadError::Zones(failure.into()))?;
    Ok(Loaded { geo: Geo::without_databases(&loaded.catalog).into(), catalog: loaded.catalog.into(), lints: Vec::new() })
}

fn options(toml: String) -> Options {
    Options::new(Content::Made(Arc::new(move || loaded(&toml))), vec![ANY])
}

fn ask(server: SocketAddr, name: &str, qtype: u16) -> Message {
    let socket = UdpSocket::bind(ANY).unwrap();
    socket.connect(server).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.send(&query(name, qtype).octets()).unwrap();
    let mut reply = [0; 4096];
    let len = socket.recv(&mut reply).unwrap();
    Message::from_vec(&reply[..len]).unwrap()
}

fn answers(message: &Message) -> Vec<String> {
    message.answers.iter().map(|record| record.data.to_string()).collect()
}

fn get(server: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(server).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn an_alias_is_resolved_probed_and_answered_at_the_apex_before_the_node_is_ready() {
    let provider = Node::start(options(PROVIDER.into())).unwrap();
    let web = TcpListener::bind(ANY).unwrap();
    let probe = format!("[service.\"@\".probe.tcp]\nport = {}", web.local_addr().unwrap().port());
    for engine in [Engine::Native, Engine::Portable] {
        let name_servers = NameServers::Of(vec![provider.addresses()[0]]);
        let node = Node::start(Options { name_servers, engine, admin: Some(ANY), ..options(zone(&probe)) }).unwrap();
        node.wait_until_ready();
        let (server, admin) = (node.addresses()[0], node.admin_address().unwrap());
        assert_eq!(answers(&ask(server, "test.example", A)), ["127.0.0.1"]);
        assert_eq!(answers(&ask(server, "test.example", HTTPS)), ["1 . alpn=h2, ipv4hint=127.0.0.1,"]);

        let status = get(admin, "/v1/status");
        assert!(status.contains(r#""health":"up""#), "the probe has asked what the name was resolved to: {status}");
        assert!(status.contains(r#""alias":"lb.example.net","resolved":["127.0.0.1"]"#), "{status}");
        let metrics = get(admin, "/metrics");
        for line in ["aya_aliases_unresolved{type=\"A\"} 1", "aya_alias_held_seconds 0", "aya_alias_addresses_unusable_total 0"] {
            assert!(metrics.contains(line), "no {line} in {metrics}");
        }
        for outcome in ["found", "no-such-name"] {
            let series = format!("aya_alias_lookups_total{{outcome=\"{outcome}\"}} ");
            let count = metrics.lines().find_map(|line| line.strip_prefix(&series)).unwrap_or_else(|| panic!("no {series} in {metrics}"));
            assert_ne!(count, "0", "{outcome}");
        }
        let why = get(admin, "/v1/explain?name=test.example&client=192.0.2.1");
        assert!(why.contains("no address: gone.example.net was not resolved: A no such name (NXDOMAIN), since "), "{why}");
        node.stop();
    }
    provider.stop();
}

/// A process that ends with the test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn serve_asks_the_name_servers_that_it_is_told_and_logs_changes_only() {
    let provider = Node::start(options(PROVIDER.into())).unwrap();
    let folder = std::path::PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("alias-serve");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("test.toml"), zone("probe = []")).unwrap();
    let resolver = provider.addresses()[0].to_string();
    let mut command = Command::new(env!("CARGO_BIN_EXE_aya"));
    command.args(["serve", "--log-format", "json", "--admin", "off", "--geoip", "geoip", "--listen", "127.0.0.1:0", "--resolver", &resolver, "--zones"]);
    let mut process = Process(command.arg(&folder).stderr(Stdio::piped()).stdin(Stdio::null()).spawn().unwrap());
    let mut log = Vec::new();
    for line in BufReader::new(process.0.stderr.take().unwrap()).lines() {
        log.push(line.unwrap());
        if log.last().unwrap().contains("\"ready: ") {
            break;
        }
    }
    let address = log.iter().find_map(|line| line.split(r#""listen":""#).nth(1)).unwrap_or_else(|| panic!("{log:?}")).split('"').next().unwrap();
    assert_eq!(answers(&ask(address.parse().unwrap(), "test.example", A)), ["127.0.0.1"]);
    let told: Vec<&String> = log.iter().filter(|line| line.contains(r#""message":"alias""#)).collect();
    assert_eq!(told.len(), 2, "{log:?}");
    assert!(told.iter().any(|line| line.contains("lb.example.net") && line.contains(r#""news":"127.0.0.1""#)), "{told:?}");
    assert!(told.iter().any(|line| line.contains("gone.example.net") && line.contains("WARN")), "{told:?}");
    assert!(log.iter().all(|line| !line.contains("hickory")), "{log:?}");
    provider.stop();
}
