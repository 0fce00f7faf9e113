//! `aya drill` against nodes in this process.

use std::net::TcpListener;
use std::process::{Command, Stdio};

use aya_gslb::cli::node::Node;
use serde_json::Value;

use crate::api::node;
use crate::durable::{folder, unprobed};

/// What a command line came to: exit code, standard output, standard error.
fn aya(line: &[&str], nodes: &[String]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_aya"));
    for (variable, _) in std::env::vars_os().filter(|(variable, _)| variable.to_string_lossy().starts_with("AYA_")) {
        command.env_remove(variable);
    }
    command.arg("drill").args(line).env("USER", "anna").env("AYA_API", nodes.join(",")).stdin(Stdio::null());
    let output = command.output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
}

fn api(node: &Node) -> String {
    node.admin_address().unwrap().to_string()
}

const DRAIN: [&str; 6] = ["run", "--drain", "service:shop", "region:aws-us-east-1", "--for", "1min"];

#[test]
fn a_drill_is_announced_listed_aborted_and_reported() {
    let folder = folder("cli");
    let node = node(&unprobed(), Some(&folder));
    let nodes = [api(&node)];
    assert_eq!(aya(&["report"], &nodes).0, 1, "there is none yet");
    let (code, out, _) = aya(&[&DRAIN[..], &["--dry-run"]].concat(), &nodes);
    assert_eq!((code, out.starts_with("would be announced: drill 1, drain ")), (0, true), "{out}");
    let (code, _, err) = aya(&DRAIN, &nodes);
    assert_eq!((code, err.contains("shop.gslb.example.com: ") && err.contains("say --yes")), (2, true), "{err}");
    assert!(node.worlds().load().drill.is_none(), "nobody said yes");
    let (code, out, _) = aya(&[&DRAIN[..], &["--yes", "--why", "game day"]].concat(), &nodes);
    assert_eq!((code, out.contains("(in 31 s)"), out.contains("aws-us-east-1 → ")), (0, true, true), "{out}");
    let (code, out, _) = aya(&["list"], &nodes);
    assert_eq!((code, out.contains("by anna: game day") && out.contains("announced: it starts at ")), (0, true), "{out}");
    let (code, _, err) = aya(&[&DRAIN[..], &["--yes"]].concat(), &nodes);
    assert_eq!((code, err.contains("one at a time")), (1, true), "{err}");
    let (code, out, _) = aya(&["abort", "--why", "enough"], &nodes);
    assert_eq!((code, out.as_str()), (0, "aborted: drill 1 drain region:aws-us-east-1 service:shop\n"));
    let (code, _, err) = aya(&["abort", "--why", "enough"], &nodes);
    assert_eq!((code, err.contains("no drill is announced or running")), (1, true), "{err}");
    let (_, report, _) = (0..100).map(|_| aya(&["report", "1"], &nodes)).find(|told| told.0 == 0).unwrap();
    assert!(report.starts_with("# Drill 1: drain ") && report.contains("aborted by anna: enough") && report.contains("never started"), "{report}");
    let (code, out, _) = aya(&["show", "--json"], &nodes);
    let said: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, said["done"]["phase"].as_str()), (0, Some("over")));
    node.stop();
}

#[test]
fn several_nodes_are_asked_first_and_one_refusal_stops_all() {
    let (one, other) = (folder("cli-one"), folder("cli-other"));
    let first = node(&unprobed(), Some(&one));
    let second = node(&format!("{}\n[safety]\nmin-regions = 3\n", unprobed()), Some(&other));
    let nodes = [api(&first), api(&second)];
    let (code, _, err) = aya(&[&DRAIN[..], &["--yes", "--no-pre-roll"]].concat(), &nodes);
    assert_eq!((code, err.contains("min-regions")), (1, true), "{err}");
    assert!(first.worlds().load().drill.is_none());
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let (code, _, err) = aya(&[&DRAIN[..], &["--yes", "--no-pre-roll"]].concat(), &[api(&first), nobody.clone()]);
    assert_eq!((code, err.contains("1 of 2 nodes")), (3, true), "{err}");
    assert!(first.worlds().load().drill.is_some());
    assert_eq!(aya(&["list"], &[nobody]).0, 2);
    first.stop();
    second.stop();
}

#[test]
fn wrong_usage_says_what_is_missing() {
    for line in [
        &["run", "service:shop", "--for", "1min"][..],
        &["run", "--fail", "--for", "1min"],
        &["run", "--fail", "--drain", "cloud:aws", "--for", "1min"],
        &["run", "--fail", "cloud:aws"],
    ] {
        assert_eq!(aya(line, &[]).0, 2, "{line:?}");
    }
}
