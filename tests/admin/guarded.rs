//! Whom the API lets in: tokens, roles, TLS, certificates of clients.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use aya_gslb::admin::access::{AccessError, AccessFiles};
use aya_gslb::admin::tokens::{NewToken, Role};
use aya_gslb::cli::node::{Node, StartError};
use aya_gslb::server::tls::CertificateFiles;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::node::{Answer, Request, Tokens, connect, folder, get, guarded, open, options, post, state, tokens};

/// An override that would be granted.
const DRAIN: &str = r#"{"selector": "cloud:aws service:shop", "action": "drain", "why": "maintenance"}"#;
/// A release.
const RELEASE: &str = r#"{"service": "api", "why": "replica is in sync"}"#;
/// A report that would be taken.
const REPORT: &str = r#"{"reports": [{"service": "api.gslb.example.com", "endpoint": "aws-eu-west-1", "rps": 10}]}"#;

#[test]
fn without_a_token_only_liveness_and_readiness_are_told() {
    let (node, tokens) = guarded("no-token");
    let before = state(&node);
    for path in ["/healthz", "/readyz"] {
        assert_eq!(get(path).ask(&node).status, 200, "{path}");
    }
    let paths = ["/metrics", "/v1/status", "/v1/services", "/v1/digest", "/v1/explain", "/v1/events", "/v1/overrides", "/v1/openapi.json", "/v1/nothing"];
    for path in paths {
        let answer = get(path).ask(&node);
        assert_eq!((answer.status, answer.header("www-authenticate")), (401, Some("bearer realm=\"aya\"")), "{path}: {answer:?}");
        assert!(answer.detail().contains("this needs a token"));
    }
    for token in ["", "aya_", &tokens.operator[..20], &tokens.operator.to_uppercase()] {
        for request in [get("/v1/status"), post("/v1/overrides", DRAIN), post("/v1/load", REPORT)] {
            let answer = request.with(token).ask(&node);
            assert_eq!((answer.status, answer.header("www-authenticate")), (401, Some("bearer realm=\"aya\", error=\"invalid_token\"")), "{answer:?}");
        }
    }
    let basic = Request { headers: "authorization: Basic b2xnYTpvbGdh\r\n", ..get("/v1/status") };
    assert_eq!(basic.ask(&node).status, 401);
    assert_eq!(get(&format!("/v1/status?access_token={}", tokens.operator)).ask(&node).status, 401, "a token in a URL ends up in logs");
    assert_eq!(state(&node), before);
    let metrics = get("/metrics").with(&tokens.viewer).ask(&node).body;
    assert!(metrics.contains("aya_api_refused_total{why=\"token\"} 23"), "{metrics}");
    assert!(![&tokens.viewer, &tokens.operator].iter().any(|token| metrics.contains(token.as_str())));
    node.stop();
}

#[test]
fn a_role_may_do_what_it_is_for_and_nothing_else() {
    let (node, tokens) = guarded("roles");
    let Tokens { viewer, reporter, operator, .. } = &tokens;
    let before = state(&node);
    let refused = [
        (get("/v1/status").with(reporter), "viewer"),
        (get("/metrics").with(reporter), "viewer"),
        (post("/v1/overrides", DRAIN).with(reporter), "operator"),
        (post("/v1/overrides", DRAIN).with(viewer), "operator"),
        (Request { method: "DELETE", ..get("/v1/overrides/1") }.with(viewer), "operator"),
        (post("/v1/failback", RELEASE).with(viewer), "operator"),
        (post("/v1/load", REPORT).with(viewer), "reporter"),
        (post("/v1/nothing", "{}").with(viewer), "operator"),
    ];
    for (request, needed) in refused {
        let answer = request.ask(&node);
        let challenge = format!("bearer realm=\"aya\", error=\"insufficient_scope\", scope=\"{needed}\"");
        assert_eq!((answer.status, answer.header("www-authenticate")), (403, Some(challenge.as_str())), "{request:?}: {answer:?}");
        assert!(answer.detail().starts_with(&format!("this needs the role {needed}")), "{answer:?}");
    }
    assert_eq!(state(&node), before);
    for request in [get("/v1/status").with(viewer), get("/v1/status").with(operator), get("/v1/overrides").with(viewer), get("/v1/failback").with(viewer)] {
        assert_eq!(request.ask(&node).status, 200, "{request:?}");
    }
    for token in [reporter, operator] {
        assert_eq!(post("/v1/load", REPORT).with(token).ask(&node).status, 202);
    }
    assert_eq!(post("/v1/overrides", DRAIN).with(operator).ask(&node).status, 201);
    node.stop();
}

#[test]
fn who_did_it_is_the_holder_of_the_token_whatever_the_request_says() {
    let (node, tokens) = guarded("actor");
    let set = |who: &str| {
        let body = DRAIN.replace('}', who);
        post("/v1/overrides", &body).with(&tokens.operator).ask(&node).json()["made"]["who"].as_str().map(str::to_owned)
    };
    assert_eq!(set("}").as_deref(), Some("olga"));
    assert_eq!(set(r#", "who": "olga"}"#).as_deref(), Some("olga"));
    assert_eq!(set(r#", "who": "vera"}"#).as_deref(), Some("olga for vera"));
    let cleared = Request { method: "DELETE", ..get("/v1/overrides?selector=cloud%3Aaws&who=vera") }.with(&tokens.operator).ask(&node);
    assert_eq!(cleared.status, 200, "{cleared:?}");
    node.stop();
    let trail = fs::read_to_string(tokens.file.with_file_name("audit.log")).or_else(|_| read_trail(tokens.file.parent().unwrap())).unwrap();
    assert!(trail.contains("olga for vera") && !trail.contains(&tokens.operator), "{trail}");
}

/// The audit trail in a state folder, whatever it is called.
fn read_trail(folder: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().contains("audit")) {
            text.push_str(&fs::read_to_string(path)?);
        }
    }
    Ok(text)
}

#[test]
fn tokens_are_read_again_and_a_broken_file_keeps_the_old_ones() {
    let (node, tokens) = guarded("reload");
    let status = |token: &str| get("/v1/digest").with(token).ask(&node).status;
    let other = NewToken::make("anna", Role::Viewer).unwrap();
    fs::write(&tokens.file, &other.row).unwrap();
    node.reload().unwrap();
    assert_eq!((status(&other.secret), status(&tokens.operator)), (200, 401), "what is gone from the file is gone");
    for broken in ["", "[[token]]\nname = 1\n", &other.row.replace("viewer", "boss")] {
        fs::write(&tokens.file, broken).unwrap();
        node.reload().unwrap();
        assert_eq!((status(&other.secret), status(&tokens.operator)), (200, 401), "{broken:?}");
    }
    fs::remove_file(&tokens.file).unwrap();
    node.reload().unwrap();
    assert_eq!(status(&other.secret), 200);
    node.stop();
}

#[test]
fn where_others_come_there_must_be_tokens_and_tls() {
    let folder = folder("public");
    let (tokens, made) = (tokens(&folder), certificate(&folder, "node", "127.0.0.1"));
    let start = |access: AccessFiles| {
        let mut options = options(&folder);
        options.admin = Some("0.0.0.0:0".parse().unwrap());
        options.access = access;
        Node::start(options)
    };
    for access in [
        AccessFiles::default(),
        AccessFiles { tokens: Some(tokens.file.clone()), ..AccessFiles::default() },
        AccessFiles { certificate: Some(made.clone()), ..AccessFiles::default() },
    ] {
        let Err(error) = start(access) else { panic!("it listens where others come") };
        assert!(error.to_string().contains("needs --api-tokens, --admin-tls-cert and --admin-tls-key"), "{error}");
    }
    start(AccessFiles { tokens: Some(tokens.file), certificate: Some(made), client_ca: None }).unwrap().stop();
}

#[test]
fn a_file_that_cannot_be_used_is_told_at_the_start() {
    let folder = folder("broken");
    let missing = folder.join("missing");
    let start = |access: AccessFiles| {
        let mut options = options(&folder);
        options.access = access;
        Node::start(options).err().unwrap()
    };
    let error = start(AccessFiles { tokens: Some(missing.clone()), ..AccessFiles::default() });
    assert!(matches!(&error, StartError::Access(AccessError::Read { path, .. }) if *path == missing), "{error}");
    let broken = folder.join("broken.toml");
    fs::write(&broken, "[[token]]\nnmae = \"x\"\n").unwrap();
    let error = start(AccessFiles { tokens: Some(broken), ..AccessFiles::default() });
    assert!(error.to_string().contains("line 2, column 1: unknown field `nmae`"), "{error}");
    let error = start(AccessFiles { client_ca: Some(missing), ..AccessFiles::default() });
    assert!(error.to_string().contains("over TLS only"), "{error}");
}

#[test]
fn a_page_of_somebody_elses_cannot_speak_to_a_node_without_tokens() {
    let node = open("rebinding");
    let mut stream = connect(&node);
    stream.write_all(b"GET /v1/status HTTP/1.1\r\nhost: evil.example:8053\r\nconnection: close\r\n\r\n").unwrap();
    let answer = Answer::read(stream);
    assert_eq!(answer.status, 421, "{answer:?}");
    assert_eq!(get("/v1/status").ask(&node).status, 200);
    node.stop();
}

//--- TLS

/// A certificate of its own for this address, in files.
fn certificate(folder: &Path, name: &str, address: &str) -> CertificateFiles {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec![address.to_owned()]).unwrap().self_signed(&key).unwrap();
    write(folder, name, &certificate.pem(), &key)
}

/// Writes a certificate and its key.
fn write(folder: &Path, name: &str, pem: &str, key: &KeyPair) -> CertificateFiles {
    let files = CertificateFiles { chain: folder.join(format!("{name}.pem")), key: folder.join(format!("{name}.key")) };
    fs::write(&files.chain, pem).unwrap();
    fs::write(&files.key, key.serialize_pem()).unwrap();
    files
}

/// An issuer of clients' certificates, and a certificate that it issued.
fn clients(folder: &Path, name: &str) -> (std::path::PathBuf, CertificateFiles) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let path = folder.join(format!("{name}-ca.pem"));
    fs::write(&path, issuer.pem()).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec![format!("{name}.example")]).unwrap().signed_by(&key, &issuer).unwrap();
    (path, write(folder, name, &certificate.pem(), &key))
}

/// What a node answers over TLS; the error of a connection that did not come to it.
fn ask_over_tls(node: &Node, trusted: &CertificateFiles, shown: Option<&CertificateFiles>, request: &Request<'_>) -> Result<Answer, String> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(&trusted.chain).unwrap()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().unwrap().with_root_certificates(roots);
    let config = match shown {
        None => builder.with_no_client_auth(),
        Some(files) => {
            let chain = vec![CertificateDer::from_pem_file(&files.chain).unwrap()];
            builder.with_client_auth_cert(chain, PrivateKeyDer::from_pem_file(&files.key).unwrap()).unwrap()
        }
    };
    let connection = ClientConnection::new(Arc::new(config), ServerName::try_from("127.0.0.1").unwrap()).unwrap();
    let mut stream = StreamOwned::new(connection, connect(node));
    stream.write_all(request.octets().as_bytes()).map_err(|error| error.to_string())?;
    // In TLS 1.3 a client learns that its certificate is refused when it reads.
    let mut first = [0];
    std::io::Read::read_exact(&mut stream, &mut first).map_err(|error| error.to_string())?;
    Ok(Answer::read(std::io::Read::chain(&first[..], stream)))
}

#[test]
fn the_admin_listener_speaks_tls_and_its_certificate_is_replaced_without_a_restart() {
    let folder = folder("tls");
    let (tokens, made) = (tokens(&folder), certificate(&folder, "node", "127.0.0.1"));
    let mut options = options(&folder);
    options.access = AccessFiles { tokens: Some(tokens.file.clone()), certificate: Some(made.clone()), client_ca: None };
    let node = Node::start(options).unwrap();
    let request = get("/v1/digest").with(&tokens.viewer);
    assert_eq!(ask_over_tls(&node, &made, None, &request).unwrap().status, 200);
    assert_eq!(ask_over_tls(&node, &made, None, &get("/v1/digest")).unwrap().status, 401);
    let before = CertificateFiles { chain: folder.join("before.pem"), key: made.key.clone() };
    fs::copy(&made.chain, &before.chain).unwrap();
    certificate(&folder, "node", "127.0.0.1");
    node.reload().unwrap();
    assert_eq!(ask_over_tls(&node, &made, None, &request).unwrap().status, 200);
    assert!(ask_over_tls(&node, &before, None, &request).is_err(), "the one before is no longer shown");
    let now = CertificateFiles { chain: folder.join("now.pem"), key: made.key.clone() };
    fs::copy(&made.chain, &now.chain).unwrap();
    fs::write(&made.chain, "nothing").unwrap();
    node.reload().unwrap();
    assert_eq!(ask_over_tls(&node, &now, None, &request).unwrap().status, 200, "a broken file is never used");
    node.stop();
}

#[test]
fn a_node_that_wants_certificates_of_clients_takes_those_of_its_issuer_only() {
    let folder = folder("mtls");
    let (tokens, made) = (tokens(&folder), certificate(&folder, "node", "127.0.0.1"));
    let ((ca, known), (other_ca, other)) = (clients(&folder, "known"), clients(&folder, "other"));
    let mut options = options(&folder);
    options.access = AccessFiles { tokens: Some(tokens.file.clone()), certificate: Some(made.clone()), client_ca: Some(ca.clone()) };
    let node = Node::start(options).unwrap();
    let request = get("/v1/digest").with(&tokens.viewer);
    assert_eq!(ask_over_tls(&node, &made, Some(&known), &request).unwrap().status, 200);
    assert_eq!(ask_over_tls(&node, &made, Some(&known), &get("/v1/digest")).unwrap().status, 401, "a certificate is no token");
    for nobody in [None, Some(&other), Some(&made)] {
        assert!(ask_over_tls(&node, &made, nobody, &request).is_err(), "{nobody:?}");
    }
    // Issuers are replaced without a restart; a broken file keeps those before.
    fs::copy(&other_ca, &ca).unwrap();
    node.reload().unwrap();
    assert_eq!(ask_over_tls(&node, &made, Some(&other), &request).unwrap().status, 200);
    assert!(ask_over_tls(&node, &made, Some(&known), &request).is_err());
    fs::write(&ca, "nothing").unwrap();
    node.reload().unwrap();
    assert_eq!(ask_over_tls(&node, &made, Some(&other), &request).unwrap().status, 200);
    node.stop();
}
