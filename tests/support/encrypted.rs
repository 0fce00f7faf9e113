//! A node that answers over every transport, and what a client needs to trust it.
#![allow(dead_code, unreachable_pub, reason = "a workshop of tests: each crate uses a part of it")]

use std::path::PathBuf;
use std::sync::Arc;

use aya_gslb::cli::load::{Content, Loaded};
use aya_gslb::cli::node::{Node, Options};
use aya_gslb::server::tls::CertificateFiles;
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};

/// The name in the certificate.
pub const NAME: &str = "ns1.example.com";

/// A certificate in files, made for one test.
pub struct Made {
    pub files: CertificateFiles,
    pub certificate: CertificateDer<'static>,
}

/// A certificate in a folder of this name.
pub fn certificate(name: &str) -> Made {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("encrypted-{name}"));
    std::fs::create_dir_all(&folder).unwrap();
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let certificate = CertificateParams::new(vec![NAME.to_owned()]).unwrap().self_signed(&key).unwrap();
    let files = CertificateFiles { chain: folder.join("chain.pem"), key: folder.join("key.pem") };
    std::fs::write(&files.chain, certificate.pem()).unwrap();
    std::fs::write(&files.key, key.serialize_pem()).unwrap();
    Made { files, certificate: certificate.der().clone() }
}

/// A client that trusts this certificate and no other.
pub fn client(certificate: &CertificateDer<'static>, alpn: &[&[u8]]) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()));
    let mut config = builder.with_safe_default_protocol_versions().unwrap().with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    Arc::new(config)
}

/// The world of `support` on every transport, on loopback and ports of its own.
pub fn options(made: &Made) -> Options {
    let any = "127.0.0.1:0".parse().unwrap();
    let make = || {
        let world = crate::support::world();
        Ok(Loaded { catalog: world.catalog, geo: world.geo, lints: Vec::new() })
    };
    Options {
        certificate: Some(made.files.clone()),
        listen_tls: vec![any],
        listen_https: vec![any],
        listen_quic: vec![any],
        ..Options::new(Content::Made(Arc::new(make)), vec![any])
    }
}

/// A node with the certificate that its clients trust.
pub struct Fixture {
    pub node: Node,
    pub certificate: CertificateDer<'static>,
}

/// Starts one. Its folder has this name.
pub fn start(name: &str) -> Fixture {
    start_with(name, |_| {})
}

/// Starts one with other options.
pub fn start_with(name: &str, change: impl FnOnce(&mut Options)) -> Fixture {
    let made = certificate(name);
    let mut options = options(&made);
    change(&mut options);
    Fixture { node: Node::start(options).unwrap(), certificate: made.certificate }
}
