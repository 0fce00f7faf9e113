//! `aya status`, `aya token`, `aya completions`, and how the command line shows its token.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use aya_gslb::admin::access::AccessFiles;
use aya_gslb::cli::node::Node;
use rcgen::{CertificateParams, KeyPair};
use serde_json::Value;

use crate::node::{folder, guarded, open, options, tokens};

/// What a command line came to: exit code, standard output, standard error.
fn aya(line: &[&str], variables: &[(&str, &str)]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_aya"));
    for (variable, _) in std::env::vars_os().filter(|(variable, _)| variable.to_string_lossy().starts_with("AYA_")) {
        command.env_remove(variable);
    }
    let output = command.args(line).env("USER", "anna").envs(variables.iter().copied()).output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
}

fn api(node: &Node) -> String {
    node.admin_address().unwrap().to_string()
}

/// An address that nobody answers at.
fn nobody() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

#[test]
fn status_tells_how_nodes_and_endpoints_are_and_the_exit_code_says_whether_all_is_well() {
    let (one, other) = (open("status"), open("status-other"));
    let (code, out, error) = aya(&["status", "--api", &api(&one)], &[]);
    assert_eq!((code, error.as_str()), (0, ""), "{out}");
    assert!(out.starts_with(&format!("{}  ready  all 4 endpoints well  generation ", api(&one))), "{out}");
    assert_eq!(out.lines().filter(|line| line.contains("gcp-europe-west3")).count(), 2, "{out}");
    let (code, out, _) = aya(&["status", "--api", &api(&one), "--api", &api(&other), "--service", "shop.gslb.example.com", "--json"], &[]);
    let said: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((code, said.len(), said[1]["done"]["endpoints"].as_array().unwrap().len()), (0, 2, 2), "{out}");
    let away = nobody();
    let (code, out, _) = aya(&["status", "--api", &api(&one), "--api", &away], &[]);
    assert_eq!(code, 3, "{out}");
    assert!(out.contains(&format!("{away}  the node at {away} does not answer")), "{out}");
    assert_eq!(aya(&["status", "--api", &away], &[]).0, 2);
    let (code, out, _) = aya(&["status", "--api", &api(&one), "--service", "hsop.gslb.example.com"], &[]);
    assert_eq!(code, 2, "{out}");
    assert!(out.contains("did you mean shop.gslb.example.com?"), "{out}");
    one.stop();
    other.stop();
}

#[test]
fn a_token_comes_from_a_file_or_the_environment_and_is_never_shown() {
    let (node, tokens) = guarded("cli-token");
    let (api, file) = (api(&node), tokens.file.with_file_name("token"));
    fs::write(&file, format!("{}\n", tokens.operator)).unwrap();
    let (code, out, error) = aya(&["override", "list", "--api", &api], &[]);
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(error.contains("refuses: this needs a token"), "{error}");
    let line = ["drain", "cloud:aws", "service:shop", "--why", "maintenance", "--api", &api];
    let (code, _, error) = aya(&line, &[("AYA_TOKEN", &tokens.viewer)]);
    assert_eq!(code, 1);
    assert!(error.contains("this needs the role operator") && !error.contains(&tokens.viewer), "{error}");
    let (code, out, error) = aya(&[&line[..], &["--token-file", file.to_str().unwrap()]].concat(), &[]);
    assert_eq!((code, error.as_str()), (0, ""));
    assert!(out.contains("by olga for anna"), "{out}");
    let explain = ["explain", "shop.gslb.example.com", "--client", "20.0.0.1", "--api", &api];
    assert_eq!(aya(&explain, &[("AYA_TOKEN", &tokens.viewer)]).0, 0);
    let (code, _, error) = aya(&["status", "--api", "http://192.0.2.1:8053"], &[("AYA_TOKEN", &tokens.viewer)]);
    assert_eq!(code, 2);
    assert!(error.contains("a token is not sent to http://192.0.2.1:8053 in the clear") && !error.contains(&tokens.viewer), "{error}");
    let (code, _, error) = aya(&["status", "--api", &api, "--token-file", "/nowhere"], &[]);
    assert_eq!(code, 2);
    assert!(error.contains("/nowhere cannot be used"), "{error}");
    node.stop();
}

#[test]
fn a_node_over_tls_is_asked_with_its_issuer_and_a_certificate_of_ours() {
    let folder = folder("cli-tls");
    let tokens = tokens(&folder);
    let made = |name: &str| {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap().self_signed(&key).unwrap();
        let (chain, private) = (folder.join(format!("{name}.pem")), folder.join(format!("{name}.key")));
        fs::write(&chain, certificate.pem()).unwrap();
        fs::write(&private, key.serialize_pem()).unwrap();
        (chain, private)
    };
    let ((chain, key), (mine, my_key)) = (made("node"), made("mine"));
    let mut options = options(&folder);
    let certificate = aya_gslb::server::tls::CertificateFiles { chain: chain.clone(), key };
    // What is signed by itself is its own issuer.
    options.access = AccessFiles { tokens: Some(tokens.file.clone()), certificate: Some(certificate), client_ca: Some(mine.clone()) };
    let node = Node::start(options).unwrap();
    let api = format!("https://{}", api(&node));
    let text = |path: &std::path::Path| path.to_str().unwrap().to_owned();
    let (chain, mine, my_key) = (text(&chain), text(&mine), text(&my_key));
    let whole = ["status", "--api", &api, "--ca-file", &chain, "--client-cert", &mine, "--client-key", &my_key];
    let (code, out, error) = aya(&whole, &[("AYA_TOKEN", &tokens.viewer)]);
    assert_eq!(code, 0, "{out}{error}");
    for part in [&whole[..3], &whole[..5]] {
        assert_eq!(aya(part, &[("AYA_TOKEN", &tokens.viewer)]).0, 2, "{part:?}");
    }
    node.stop();
}

#[test]
fn a_new_token_is_told_once_and_its_row_is_what_the_node_reads() {
    let file = folder("cli-new").join("tokens.toml");
    let path = file.to_str().unwrap();
    let (code, out, _) = aya(&["token", "new", "--name", "ci", "--role", "viewer"], &[]);
    assert_eq!(code, 0);
    assert!(out.contains("aya_") && out.contains("[[token]]\nname = \"ci\"\nrole = \"viewer\"\nsha256 = \""), "{out}");
    let (code, token, _) = aya(&["token", "new", "--name", "olga", "--role", "operator", "--append-to", path], &[]);
    assert_eq!((code, token.trim_end().len(), token.lines().count()), (0, 68, 1), "{token}");
    assert_eq!(aya(&["token", "new", "--name", "vera", "--role", "viewer", "--append-to", path], &[]).0, 0);
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.matches("[[token]]").count() == 2 && !text.contains(token.trim_end()), "{text}");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let (code, _, error) = aya(&["token", "new", "--name", "vera", "--role", "viewer", "--append-to", path], &[]);
    assert_eq!(code, 2);
    assert!(error.contains("vera has two tokens"), "{error}");
    assert_eq!(fs::read_to_string(&file).unwrap(), text, "nothing is lost");
    assert_eq!(aya(&["token", "new", "--name", "a b", "--role", "viewer"], &[]).0, 2);
    assert_eq!(aya(&["token", "new", "--name", "a", "--role", "boss"], &[]).0, 2);
    let (_, out, _) = aya(&["token", "new", "--name", "ci", "--role", "reporter", "--json"], &[]);
    let told: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((told["role"].as_str(), told["token"].as_str().unwrap().len()), (Some("reporter"), 68));
}

#[test]
fn shells_are_told_what_there_is_to_complete() {
    for shell in ["bash", "zsh", "fish"] {
        let (code, out, _) = aya(&["completions", shell], &[]);
        assert_eq!(code, 0);
        assert!(out.contains("override") && out.contains("token-file"), "{shell}");
    }
}
