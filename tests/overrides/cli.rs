//! `aya override`, `aya drain`, `aya restore` against nodes in this process.

use std::net::TcpListener;
use std::process::Command;

use aya_gslb::cli::node::Node;
use serde_json::Value;

use crate::desk::ZONE;
use crate::durable::folder;
use crate::node::{node, numbers};

/// What a command line came to: exit code, standard output, standard error.
pub(crate) fn aya(line: &[&str], nodes: &[String]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_aya"));
    for (variable, _) in std::env::vars_os().filter(|(variable, _)| variable.to_string_lossy().starts_with("AYA_")) {
        command.env_remove(variable);
    }
    command.args(line).env("USER", "anna").env("AYA_API", nodes.join(","));
    let output = command.output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
}

pub(crate) fn api(node: &Node) -> String {
    node.admin_address().unwrap().to_string()
}

/// An address that nobody answers at.
fn nobody() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

#[test]
fn a_cloud_is_drained_listed_and_restored() {
    let folder = folder("cli");
    let node = node(ZONE, Some(&folder));
    let nodes = [api(&node)];
    let (code, out, _) = aya(&["drain", "cloud:aws", "service:shop", "--why", "maintenance", "--for", "2h", "--over", "10min"], &nodes);
    assert_eq!(code, 0);
    assert!(out.starts_with("set: 1  cloud:aws service:shop  drain over 600s (draining, with 90 % of its clients left)  by anna, for 2h00min more"), "{out}");
    assert!(out.contains("shop.gslb.example.com: ") && out.contains("→ gcp-europe-west3"), "{out}");
    let (code, out, _) = aya(&["override", "list"], &nodes);
    assert_eq!((code, out.lines().count()), (0, 1));
    assert!(out.contains("maintenance  [2 endpoints]"), "{out}");
    let (code, out, _) = aya(&["override", "list", "--json"], &nodes);
    let said: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, said["api"].as_str(), said["done"]["overrides"][0]["id"].as_u64()), (0, Some(nodes[0].as_str()), Some(1)));
    assert_eq!(aya(&["restore", "cloud:aws", "service:shop"], &nodes).0, 0);
    assert_eq!(aya(&["override", "list"], &nodes).1, "no overrides\n");
    node.stop();
}

#[test]
fn a_weight_is_set_and_cleared_by_its_number_and_a_dry_run_changes_nothing() {
    let folder = folder("cli-weight");
    let node = node(ZONE, Some(&folder));
    let nodes = [api(&node)];
    let line = ["override", "set", "service:shop region:gcp-*", "weight=40%", "--why", "canary", "--who", "bob"];
    let (code, out, _) = aya(&[&line[..], &["--dry-run"]].concat(), &nodes);
    assert_eq!((code, numbers(&node)), (0, vec![]));
    assert!(out.contains("would be set: 1") && out.contains("would move"), "{out}");
    assert_eq!(aya(&line, &nodes).0, 0);
    assert_eq!(numbers(&node), [1]);
    let (code, _, error) = aya(&["override", "clear", "2"], &nodes);
    assert_eq!((code, error.trim_end()), (1, format!("aya: the node at {} refuses: there is no override 2", nodes[0]).as_str()));
    assert_eq!(aya(&["override", "clear", "1", "--why", "done"], &nodes).0, 0);
    assert!(numbers(&node).is_empty());
    node.stop();
}

#[test]
fn a_rule_refuses_and_a_reason_forces() {
    let folder = folder("cli-force");
    let node = node(ZONE, Some(&folder));
    let nodes = [api(&node)];
    let line = ["drain", "service:api", "region:*eu*", "--why", "maintenance"];
    let (code, out, error) = aya(&line, &nodes);
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(error.contains("it would take the last endpoint of api.gslb.example.com"), "{error}");
    let (code, out, _) = aya(&[&line[..], &["--force", "both are on fire"]].concat(), &nodes);
    assert_eq!(code, 0);
    assert!(out.contains("forced: it would take the last endpoint"), "{out}");
    node.stop();
}

#[test]
fn several_nodes_do_it_all_or_none_and_one_that_is_away_makes_it_partial() {
    let (one, other) = (node(ZONE, Some(&folder("cli-one"))), node(ZONE, Some(&folder("cli-other"))));
    let nodes = [api(&one), api(&other)];
    assert_eq!(aya(&["drain", "region:gcp-*", "--why", "maintenance"], &nodes).0, 0);
    assert_eq!((numbers(&one), numbers(&other)), (vec![1], vec![1]));
    // Only on one of them it would be the last: neither does it.
    assert_eq!(aya(&["restore", "region:gcp-*"], &nodes[1..]).0, 0);
    let (code, _, error) = aya(&["drain", "region:aws-eu-*", "--why", "maintenance"], &nodes);
    assert_eq!(code, 1);
    assert!(error.contains(&nodes[0]) && error.contains("last endpoint") && error.contains("1 of 2 nodes"), "{error}");
    assert_eq!((numbers(&one), numbers(&other)), (vec![1], vec![]));
    let away = [nobody(), nodes[0].clone()];
    let (code, out, error) = aya(&["restore", "region:gcp-*"], &away);
    assert_eq!(code, 3, "{error}");
    assert!(out.contains("gone: 1") && error.contains(&format!("the node at {} does not answer", away[0])) && error.contains("1 of 2 nodes"), "{out}{error}");
    assert!(numbers(&one).is_empty());
    assert_eq!(aya(&["override", "list"], &away).0, 3);
    one.stop();
    other.stop();
}

#[test]
fn what_cannot_be_done_exits_with_2() {
    let (code, out, error) = aya(&["drain", "cloud:aws", "--why", "maintenance"], &[nobody()]);
    assert_eq!((code, out.as_str()), (2, ""));
    assert!(error.contains("does not answer"), "{error}");
    let (code, _, error) = aya(&["drain", "cloud:aws"], &[nobody()]);
    assert_eq!(code, 2);
    assert!(error.contains("--why"), "nobody drains without a reason: {error}");
    let (code, _, error) = aya(&["drain", "cloud:aws", "--why", "x", "--for", "2"], &[nobody()]);
    assert_eq!(code, 2);
    assert!(error.contains("the unit is missing"), "{error}");
}
