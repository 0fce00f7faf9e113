//! `aya whatif` and `aya diff` for clients of every kind.
#![cfg(feature = "serve")]
#![allow(clippy::unwrap_used, clippy::missing_docs_in_private_items, reason = "a test may panic, and its names are sentences")]

use std::path::Path;
use std::process::Command;

fn aya(arguments: &[&str]) -> (String, String, Option<i32>) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_aya"));
    command.args(arguments).current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios"));
    // The zones say where their clients are; a small database of others takes nothing from that.
    let output = command.env("AYA_GEOIP", "../geography/asn.mmdb").output().unwrap();
    (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap(), output.status.code())
}

#[test]
fn clients_are_countries_or_a_recording() {
    let lost = |clients: &str| aya(&["whatif", "--zones", "world", "--down", "gcp-europe-west3", "--service", "bank", "--clients", clients]);
    let (out, error, code) = lost("DE=60,US=40");
    assert!(out.starts_with("bank.example.com: 60.00 % of the clients move") && code == Some(0), "{out}{error}");
    let (out, error, code) = lost("clients/query-log.csv");
    assert!(out.starts_with("bank.example.com: 30.00 % of the clients move") && code == Some(0), "{out}{error}");
}

#[test]
fn resolvers_that_were_recorded_move_as_a_whole() {
    let moved = ["gcp-europe-west3", "aws-eu-west-1", "aws-us-east-1"].map(|region| {
        let (out, error, code) = aya(&["whatif", "--zones", "resolvers", "--down", region, "--clients", "clients/resolvers.csv", "--json"]);
        assert_eq!(code, Some(0), "{error}");
        serde_json::from_str::<serde_json::Value>(&out).unwrap()["services"][0]["moved"].as_f64().unwrap()
    });
    let tenths = moved.map(|moved| (moved * 10.0).round());
    assert!(moved.iter().zip(tenths).all(|(moved, tenths)| (moved * 10.0 - tenths).abs() < 0.001), "{moved:?}");
    assert!((tenths.iter().sum::<f64>() - 10.0).abs() < 0.001, "each resolver has one endpoint: {moved:?}");
}

#[test]
fn a_name_that_is_not_quite_right_is_answered_with_the_one_that_was_probably_meant() {
    let zones = ["--zones", "world"];
    let told = |verb: &[&str]| {
        let (out, error, code) = aya(&[verb, &zones].concat());
        (out + &error, code)
    };
    let (error, code) = told(&["whatif", "--down", "gcp-europe-wset3"]);
    assert!(error.contains("no region is called \"gcp-europe-wset3\"; did you mean gcp-europe-west3?") && code == Some(2), "{error}");
    let (error, _) = told(&["whatif", "--down", "cloud:gpc"]);
    assert!(error.contains("did you mean cloud:gcp?"), "{error}");
    let (error, code) = told(&["whatif", "--down", "gcp-europe-west3", "--service", "bnak"]);
    assert!(error.contains("no service is called \"bnak\"; did you mean bank?") && code == Some(2), "{error}");
    let (error, code) = told(&["explain", "bnak.example.com", "--client", "192.0.2.1"]);
    assert!(error.contains("bnak.example.com is not steered; did you mean bank.example.com?") && code == Some(1), "{error}");
    let (error, _) = told(&["explain", "bank.exmaple.com", "--client", "192.0.2.1"]);
    assert!(error.contains("bank.exmaple.com is in no zone here; did you mean bank.example.com?"), "{error}");
    for other in ["www.example.com", "example.com", "www.example.org"] {
        let (error, code) = told(&["explain", other, "--client", "192.0.2.1"]);
        assert!(!error.contains("did you mean") && code == Some(1), "{error}");
    }
    let (error, code) = told(&["explain", "bnak", "--client", "192.0.2.1"]);
    assert!(error.contains("bnak is in no zone here; did you mean bank?") && code == Some(1), "{error}");
    let (out, code) = told(&["explain", "bank", "--client", "192.0.2.1"]);
    assert!(out.starts_with("bank.example.com") && code == Some(0), "a label will do: {out}");
}

#[test]
fn what_is_wrong_with_recorded_clients_is_told() {
    let diff = |clients: &str| aya(&["diff", "world", "world", "--clients", clients]);
    let (_, error, code) = diff("few-resolvers.toml");
    assert!(error.contains("few-resolvers.toml:3:1") && error.contains("a line must begin with a prefix") && code == Some(2), "{error}");
    let (_, error, code) = diff("nowhere.csv");
    assert!(error.contains("nowhere.csv cannot be read") && code == Some(2), "{error}");
    let (_, error, code) = diff("DE=1,clients/query-log.csv");
    assert!(error.contains("--clients takes countries, or one file") && code == Some(2), "{error}");
    let (_, error, code) = diff("DE=many");
    assert!(error.contains("not a country and a whole number") && code == Some(2), "{error}");
}
