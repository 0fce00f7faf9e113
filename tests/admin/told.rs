//! What the API tells of the world, what it takes of loads, and that answering does not depend on it.

use std::net::UdpSocket;

use aya_gslb::limits::ADMIN_CONNECTIONS_MAX;
use serde_json::Value;

use crate::node::{PATIENCE, connect, get, guarded, open, post};
use crate::support::A;
use crate::support::ask::query;

/// The names that a list has under a key.
fn names<'a>(list: &'a Value, key: &str) -> Vec<&'a str> {
    list.as_array().unwrap().iter().map(|one| one[key].as_str().unwrap()).collect()
}

#[test]
fn endpoints_and_services_are_told_page_by_page() {
    let (node, tokens) = guarded("pages");
    let ask = |path: &str| get(path).with(&tokens.viewer).ask(&node).json();
    let whole = ask("/v1/status");
    assert_eq!(names(&whole["endpoints"], "endpoint"), ["aws-eu-west-1", "gcp-europe-west3", "aws-eu-west-1", "gcp-europe-west3"]);
    assert_eq!(whole.get("next"), None);
    let mut pages = Vec::new();
    let mut path = "/v1/status?limit=3".to_owned();
    loop {
        let page = ask(&path);
        pages.push(page["endpoints"].as_array().unwrap().clone());
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/v1/status?limit=3&after={next}");
    }
    assert_eq!((pages.len(), pages.concat()), (2, whole["endpoints"].as_array().unwrap().clone()));
    let shop = ask("/v1/status?service=SHOP.gslb.example.com.&limit=1");
    assert_eq!((names(&shop["endpoints"], "service"), shop["next"].as_str()), (vec!["shop.gslb.example.com"], Some("shop.gslb.example.com/aws-eu-west-1")));
    let rest = ask("/v1/status?service=shop.gslb.example.com&after=shop.gslb.example.com/aws-eu-west-1");
    assert_eq!((names(&rest["endpoints"], "endpoint"), rest.get("next")), (vec!["gcp-europe-west3"], None));
    let services = ask("/v1/services?limit=1");
    assert_eq!((names(&services["services"], "service"), services["next"].as_str()), (vec!["api.gslb.example.com"], Some("api.gslb.example.com")));
    let rest = ask("/v1/services?after=api.gslb.example.com");
    assert_eq!((names(&rest["services"], "service"), rest.get("next")), (vec!["shop.gslb.example.com"], None));
    let one = ask("/v1/services/Api.GSLB.example.com.");
    assert_eq!((one["service"].as_str(), one["endpoints"].as_u64(), one["of"].as_array().unwrap().len()), (Some("api.gslb.example.com"), Some(2), 2));
    // A label will do where one service alone has it.
    assert_eq!(ask("/v1/services/API")["service"].as_str(), Some("api.gslb.example.com"));
    assert_eq!(names(&ask("/v1/status?service=shop")["endpoints"], "service"), ["shop.gslb.example.com"; 2]);
    let unknown = get("/v1/services/shopp").with(&tokens.viewer).ask(&node);
    assert_eq!((unknown.status, unknown.detail().ends_with("did you mean shop?")), (404, true), "{unknown:?}");
    let digest = ask("/v1/digest");
    assert_eq!((digest["digest"].as_str(), digest["not-up"].as_u64(), digest["overrides"].as_u64()), (whole["digest"].as_str(), Some(0), Some(0)));
    node.stop();
}

#[test]
fn a_reported_load_is_in_the_world_soon() {
    let (node, tokens) = guarded("load");
    let mut news = node.control().news();
    let body = r#"{"reports": [{"service": "API.gslb.example.com.", "endpoint": "aws-eu-west-1", "rps": 500}, {"service": "api.gslb.example.com", "endpoint": "gcp-europe-west3", "rps": 1500}]}"#;
    let answer = post("/v1/load", body).with(&tokens.reporter).ask(&node);
    assert_eq!((answer.status, answer.json()["taken"].as_u64(), answer.json()["fresh-seconds"].as_u64()), (202, Some(2), Some(60)));
    let loads = || node.worlds().load().statuses.of.iter().map(|status| status.load.0).collect::<Vec<_>>();
    while loads()[..2] != [500, 1500] {
        // Each publication is a piece of news: nothing is waited for that does not come.
        let _ = news.blocking_recv();
    }
    let told = get("/v1/status?service=api.gslb.example.com").with(&tokens.viewer).ask(&node).json();
    assert_eq!(told["endpoints"][1]["load-permille"].as_u64(), Some(1500));
    node.stop();
}

#[test]
fn an_admin_listener_that_nobody_can_reach_any_more_holds_up_no_answer() {
    let node = open("dead");
    let idle: Vec<_> = (0..2 * ADMIN_CONNECTIONS_MAX).map(|_| connect(&node)).collect();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.connect(node.addresses()[0]).unwrap();
    for _ in 0..100 {
        socket.send(&query("api.gslb.example.com", A).octets()).unwrap();
        let mut reply = [0; 512];
        let len = socket.recv(&mut reply).unwrap();
        assert!(len > 12 && reply[3].trailing_zeros() >= 4, "an answer without an error");
    }
    drop(idle);
    node.stop();
}
