//! A node and its databases: what it tells of them, and which it refuses to reload.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aya_gslb::cli::load::{Content, Loaded};
use aya_gslb::cli::node::{Node, Options};
use aya_gslb::config::{self, SourceFile};
use aya_gslb::geo::{Code, Geo, Mmdb, Record, Source};

const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
const ZONE: &str = r#"
zone = "test.example"
[ns]
ns1 = ["192.0.2.53"]
ns2 = ["198.51.100.53"]
[service.api.endpoint.aws-eu-west-1]
a = ["192.0.2.10"]
"#;

/// A zone with a geography of one database, whose file knows Germany by these prefixes and was built at this time, in seconds.
fn loaded(prefixes: &[&str], built: u64) -> Loaded {
    let source = SourceFile { name: "test.toml".into(), text: ZONE.into() };
    let catalog = config::compile(vec![source], &|_, _| Err("there is none".into())).unwrap().catalog;
    let germany = Record { country: Code::parse("DE"), ..Record::default() };
    let database = Mmdb::from_prefixes("test", prefixes.iter().map(|prefix| (prefix.parse().unwrap(), germany.clone()))).unwrap().built_at(built);
    let geo = Geo::compile(&catalog, &[Source { name: "places.mmdb".into(), database }]).unwrap();
    Loaded { geo: geo.into(), catalog: catalog.into(), lints: Vec::new() }
}

fn start(content: impl Fn() -> Loaded + Send + Sync + 'static, allow_shrink: bool) -> Node {
    let content = Content::Made(Arc::new(move || Ok(content())));
    Node::start(Options { admin: Some(ANY), allow_shrink, ..Options::new(content, vec![ANY]) }).unwrap()
}

/// What the admin API tells at this path.
fn told(node: &Node, path: &str) -> String {
    let mut stream = TcpStream::connect(node.admin_address().unwrap()).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn a_reload_that_loses_most_of_the_geography_is_refused_unless_it_is_allowed() {
    for allow_shrink in [false, true] {
        let loads = AtomicUsize::new(0);
        let content = move || match loads.fetch_add(1, Ordering::Relaxed) {
            0 => loaded(&["10.0.0.0/16", "2001:db8::/32"], 0),
            1 => loaded(&["10.0.0.0/18", "2001:db8::/32"], 0),
            _ => loaded(&["10.0.0.0/17", "2001:db8::/33"], 0),
        };
        let node = start(content, allow_shrink);
        let known = || node.worlds().load().geo.known().v4;
        let reloaded = node.reload();
        assert_eq!((reloaded.is_ok(), known()), if allow_shrink { (true, 1 << 14) } else { (false, 1 << 16) });
        if let Err(error) = reloaded {
            let error = error.to_string();
            assert!(error.contains("places.mmdb knows the country of 16384 IPv4 addresses, and of 65536 before"), "{error}");
            assert!(error.contains("--allow-shrink") && error.contains("restart") && !error.contains("IPv6"), "{error}");
            let metrics = told(&node, "/metrics");
            assert!(metrics.contains("aya_reloads_total{outcome=\"refused\"} 1\n"), "{metrics}");
        }
        node.reload().unwrap();
        assert_eq!(known(), 1 << 15, "half may go");
    }
}

#[test]
fn the_size_of_a_database_is_told_by_continent() {
    let node = start(|| loaded(&["192.0.2.0/24", "198.51.100.0/24"], 0), false);
    let metrics = told(&node, "/metrics");
    for (continent, networks) in [("EU", 2), ("AF", 0), ("unknown", 0)] {
        let series = format!("aya_geoip_networks{{source=\"places.mmdb\",continent=\"{continent}\"}} {networks}\n");
        assert!(metrics.contains(&series), "{series}: {metrics}");
    }
    let status = told(&node, "/v1/status");
    for expected in [
        r#""geography":{"known":{"ipv4-addresses":512,"ipv6-48s":0},"databases":[{"name":"places.mmdb","kind":"test","#,
        r#""networks":2,"records":1,"known":{"ipv4-addresses":512,"ipv6-48s":0}"#,
        r#""EU":{"networks":2,"ipv4-addresses":512,"ipv6-48s":0}"#,
    ] {
        assert!(status.contains(expected), "{expected}: {status}");
    }
}

#[test]
fn the_age_of_a_database_is_told_and_one_without_a_date_has_none() {
    let age = |node: &Node| {
        let metrics = told(node, "/metrics");
        let age = metrics.lines().find_map(|line| line.strip_prefix(r#"aya_geoip_age_seconds{source="places.mmdb"} "#));
        age.unwrap_or_else(|| panic!("{metrics}")).parse::<f64>().unwrap()
    };
    let dated = start(|| loaded(&["192.0.2.0/24"], 1_700_000_000), false);
    assert!(age(&dated) > 90.0 * 86_400.0);
    let status = told(&dated, "/v1/status");
    assert!(status.contains(r#""built":"2023-11-14T22:13:20Z""#) && status.contains(r#""warnings":["it is older than 90 days"]"#), "{status}");

    let undated = start(|| loaded(&["192.0.2.0/24"], 0), false);
    assert_eq!(age(&undated).to_string(), "-1");
    let status = told(&undated, "/v1/status");
    assert!(status.contains(r#""built":null,"age-seconds":null,"warnings":["it has no build date"#), "{status}");
}
