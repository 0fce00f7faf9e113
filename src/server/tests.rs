//! What tests of several transports need: an edge, and a certificate that its clients trust.

use std::sync::Arc;

use super::{Edge, Policies};
use crate::clock::Clock;
use crate::geo::Geo;
use crate::publish::Worlds;
use crate::telemetry::Telemetry;
use crate::world::World;

/// An edge that serves no zone: every query is refused.
pub(super) fn edge(clock: Clock) -> (Edge, Telemetry) {
    let catalog = Arc::default();
    let telemetry = Telemetry::new(2, &catalog);
    let geo = Geo::without_databases(&catalog).into();
    let worlds = Worlds::fixed(World::unmeasured(1, catalog, geo).into());
    (Edge { worlds, policy: Policies::default(), rates: Arc::default(), clock }, telemetry)
}

/// A certificate for one test: how the server shakes hands, and how a client that trusts it does.
pub(super) fn trust(names: &[&[u8]]) -> (Arc<rustls::ServerConfig>, Arc<rustls::ClientConfig>) {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let server = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider)).with_protocol_versions(&[&rustls::version::TLS13]).unwrap();
    let der = rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let mut server = server.with_no_client_auth().with_single_cert(vec![certificate.der().clone()], der).unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate.der().clone()).unwrap();
    let client = rustls::ClientConfig::builder_with_provider(provider).with_protocol_versions(&[&rustls::version::TLS13]).unwrap();
    let mut client = client.with_root_certificates(roots).with_no_client_auth();
    server.alpn_protocols = names.iter().map(|name| name.to_vec()).collect();
    client.alpn_protocols.clone_from(&server.alpn_protocols);
    (Arc::new(server), Arc::new(client))
}
