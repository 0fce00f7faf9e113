//! A TLS handshake, and the configurations that all probes over TLS share.
//!
//! One configuration that verifies and one that does not, made once: a client of its own for each probe would cost milliseconds and a
//! hundred kilobytes. Sessions are never resumed, since a resumed one would not look at the certificate again. No ALPN is offered: a
//! server of another protocol would refuse it, and a server of HTTP takes that as HTTP/1.1.

use std::net::SocketAddr;
use std::sync::Arc;

use hyper::http::uri::Authority;
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::asking::{Answer, failure_of, words};
use super::{certificate, tcp};
use crate::health::ProbeFailure;
use crate::units::Moment;

/// The certificates that probes trust.
#[derive(Clone, Debug)]
pub struct Roots {
    /// The store.
    store: RootCertStore,
    /// What went wrong while they were read, for a warning.
    complaints: Vec<String>,
}

impl Roots {
    /// Those that the system trusts, `SSL_CERT_FILE` and `SSL_CERT_DIR` considered.
    #[must_use]
    pub fn of_system() -> Self {
        let found = rustls_native_certs::load_native_certs();
        let mut roots = Self { store: RootCertStore::empty(), complaints: found.errors.iter().map(ToString::to_string).collect() };
        // Systems carry certificates that no verifier takes; the others still serve.
        let (taken, _) = roots.store.add_parsable_certificates(found.certs);
        if taken == 0 {
            roots.complaints.push("the system trusts no certificate at all: every verified probe over TLS will fail".to_owned());
        }
        roots
    }

    /// Exactly these.
    ///
    /// # Errors
    /// When one is no certificate.
    pub fn of_certificates(certificates: impl IntoIterator<Item = CertificateDer<'static>>) -> Result<Self, rustls::Error> {
        let mut store = RootCertStore::empty();
        for certificate in certificates {
            store.add(certificate)?;
        }
        Ok(Self { store, complaints: Vec::new() })
    }

    /// A configuration that verifies by them, for our own clients of the admin API.
    #[must_use]
    pub fn into_client_config(self) -> ClientConfig {
        ClientConfig::clone(&TlsConfigs::new(self).verified)
    }

    /// What went wrong while they were read.
    #[must_use]
    pub fn complaints(&self) -> &[String] {
        &self.complaints
    }
}

/// The two configurations.
#[derive(Clone, Debug)]
pub(super) struct TlsConfigs {
    /// Verifies names, chains and validity.
    verified: Arc<ClientConfig>,
    /// Takes any certificate whose key the server has.
    unverified: Arc<ClientConfig>,
}

impl TlsConfigs {
    /// Makes both.
    pub(super) fn new(roots: Roots) -> Self {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = || {
            ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions().expect("aws-lc-rs has suites for TLS 1.2 and 1.3")
        };
        let mut verified = builder().with_root_certificates(roots.store).with_no_client_auth();
        let anybody = Arc::new(Anybody(Arc::clone(&provider)));
        let mut unverified = builder().dangerous().with_custom_certificate_verifier(anybody).with_no_client_auth();
        verified.resumption = Resumption::disabled();
        unverified.resumption = Resumption::disabled();
        Self { verified: Arc::new(verified), unverified: Arc::new(unverified) }
    }

    /// The one that verifies, or the one that does not.
    pub(super) const fn config(&self, verify: bool) -> &Arc<ClientConfig> {
        if verify { &self.verified } else { &self.unverified }
    }
}

/// Connects and shakes hands, as a client that wants `host`.
pub(super) async fn connect(target: SocketAddr, host: &str, config: &Arc<ClientConfig>) -> Result<TlsStream<TcpStream>, ProbeFailure> {
    let name = ServerName::try_from(name_in(host)).map_err(|error| ProbeFailure::NotAsked(words(&error)))?;
    let stream = tcp::ask(target).await?;
    TlsConnector::from(Arc::clone(config)).connect(name, stream).await.map_err(|error| failure_of(&error))
}

/// The name or address in what may be a `Host` header: without a port, and without the brackets of an IPv6 address (RFC 9110 §7.2).
fn name_in(host: &str) -> String {
    let authority = host.parse::<Authority>();
    authority.as_ref().map_or(host, Authority::host).trim_matches(['[', ']']).to_owned()
}

/// When the certificate ends that the server has shown.
pub(super) fn end_of_shown(stream: &TlsStream<TcpStream>) -> Option<Moment> {
    let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
    shown.and_then(|certificate| certificate::end_of(certificate))
}

/// Shakes hands, and no more.
pub(super) async fn ask(target: SocketAddr, host: &str, config: &Arc<ClientConfig>) -> Result<Answer, ProbeFailure> {
    let mut stream = connect(target, host, config).await?;
    let expires = end_of_shown(&stream);
    // Says goodbye, so that the server logs no broken connection; whether it hears that is no part of the probe.
    let _ = stream.shutdown().await;
    Ok(Answer { expires, warning: None })
}

/// Takes any certificate, but has the server prove that it holds its key.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _certificate: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_are_held_against_the_name_in_a_host_header() {
        let hosts = [("api.example.com", "api.example.com"), ("api.example.com:8443", "api.example.com"), ("192.0.2.1:8443", "192.0.2.1")];
        let literals = [("[2001:db8::1]:8443", "2001:db8::1"), ("[2001:db8::1]", "2001:db8::1"), ("2001:db8::1", "2001:db8::1")];
        for (host, name) in hosts.into_iter().chain(literals) {
            assert_eq!(name_in(host), name);
            assert!(ServerName::try_from(name).is_ok(), "{name}");
        }
    }
}
