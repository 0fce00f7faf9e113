//! The node's certificate: read from PEM files, checked, shared by every encrypted transport, and replaced without a restart.
//!
//! All configurations that [`Certificates::server_config`] makes ask one resolver for the certificate, so that a renewed one is used by the
//! next handshake of each transport; connections that are open go on. What cannot be used is never taken into use: the certificate
//! before stays, and that is logged and counted ([`renewal`]).
//!
//! There is no early data (a replayed query is answered like any other, but would tell an observer that it was one), no client
//! certificate but where the admin API asks for one, and one certificate whatever name the client wants: resolvers that authenticate a server verify by its names.
//!
//! | RFC | what | state |
//! |---|---|---|
//! | 7858 §3.2 | ALPN `dot`, or none at all | done |
//! | 8484 §5.2 | ALPN `h2`, `http/1.1` | done |
//! | 9250 §4.1 | ALPN `doq`, TLS 1.3 | done |
//! | 8310 §9, 9325 §3.1.1 | TLS 1.2 at least | done |
//! | 8446 §4.6.1, 5077 | session tickets, their keys rotated | done |

mod files;
mod renewal;

pub use files::{CertificateError, CertificateFiles};
pub use renewal::{Attention, Seen, renew, warn_of_end, watch};

use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{self, Ticketer};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{ServerConfig, SupportedProtocolVersion};

use crate::units::Moment;

/// A transport as a TLS handshake knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// DNS over TLS (RFC 7858).
    Tls,
    /// DNS over HTTPS (RFC 8484).
    Https,
    /// DNS over QUIC (RFC 9250).
    Quic,
    /// The admin API, which is no DNS.
    Admin,
}

impl Protocol {
    /// What it is called in ALPN, the preferred first. A client that offers other names only is refused; one that offers none is taken,
    /// except over QUIC (RFC 9001 §8.1).
    const fn names(self) -> &'static [&'static [u8]] {
        match self {
            Self::Tls => &[b"dot"],
            Self::Https => &[b"h2", b"http/1.1"],
            Self::Quic => &[b"doq"],
            Self::Admin => &[b"http/1.1"],
        }
    }

    /// The versions of TLS that it is spoken over.
    const fn versions(self) -> &'static [&'static SupportedProtocolVersion] {
        match self {
            Self::Tls | Self::Https | Self::Admin => &VERSIONS,
            Self::Quic => &VERSIONS_OF_QUIC,
        }
    }
}

/// TLS 1.2 is what some resolvers still speak (RFC 9325 §3.1.1).
static VERSIONS: [&SupportedProtocolVersion; 2] = [&TLS13, &TLS12];
/// QUIC is made of TLS 1.3 (RFC 9001 §4.2).
static VERSIONS_OF_QUIC: [&SupportedProtocolVersion; 1] = [&TLS13];

/// The certificate that is in use, and where the next will come from.
#[derive(Debug)]
pub struct Certificates {
    /// Where they are read from.
    files: CertificateFiles,
    /// What does the cryptography.
    provider: Arc<CryptoProvider>,
    /// The one in use.
    current: Arc<Current>,
}

/// Who says whether a client's certificate is good.
pub type ClientVerifier = Arc<dyn ClientCertVerifier>;

/// What a renewal came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewed {
    /// The files hold another certificate; it is in use.
    Other(Validity),
    /// The files hold the one that is in use.
    Same(Validity),
}

impl Certificates {
    /// Reads and checks the certificate. One that is not valid now is taken all the same: a node that does not start answers nobody.
    ///
    /// # Errors
    /// [`CertificateError`]: the files cannot be read, or what they hold cannot be used.
    pub fn load(files: CertificateFiles) -> Result<Arc<Self>, CertificateError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let certificate = files.read(&provider)?;
        let current = Arc::new(Current(ArcSwap::from_pointee(certificate)));
        Ok(Arc::new(Self { files, provider, current }))
    }

    /// Reads the files again, and uses what they hold from the next handshake on.
    ///
    /// # Errors
    /// [`CertificateError`], also for a certificate that is not valid at `now`; the one before stays in use.
    pub fn renew(&self, now: Moment) -> Result<Renewed, CertificateError> {
        let next = self.files.read(&self.provider)?;
        if next.key.cert == self.current.0.load().key.cert {
            return Ok(Renewed::Same(next.validity));
        }
        if !next.validity.holds(now) {
            return Err(CertificateError::NotValid { path: self.files.chain.clone(), validity: next.validity });
        }
        let validity = next.validity;
        self.current.0.store(Arc::new(next));
        Ok(Renewed::Other(validity))
    }

    /// When the certificate in use is valid.
    #[must_use]
    pub fn validity(&self) -> Validity {
        self.current.0.load().validity
    }

    /// Where certificates are read from.
    #[must_use]
    pub const fn files(&self) -> &CertificateFiles {
        &self.files
    }

    /// A configuration for servers of this protocol; all follow the certificate in use.
    #[must_use]
    pub fn server_config(&self, protocol: Protocol) -> ServerConfig {
        self.server_config_for(protocol, None)
    }

    /// What does the cryptography.
    #[must_use]
    pub const fn provider(&self) -> &Arc<CryptoProvider> {
        &self.provider
    }

    /// The same for clients that must show a certificate, if there is somebody to say which are good.
    #[must_use]
    #[expect(clippy::missing_panics_doc, reason = "the provider is ours, and has what is wanted of it")]
    pub fn server_config_for(&self, protocol: Protocol, clients: Option<ClientVerifier>) -> ServerConfig {
        let builder = ServerConfig::builder_with_provider(Arc::clone(&self.provider)).with_protocol_versions(protocol.versions());
        let current: Arc<dyn ResolvesServerCert> = self.current.clone();
        let builder = builder.expect("aws-lc-rs has suites for TLS 1.2 and 1.3");
        let builder = match clients {
            Some(clients) => builder.with_client_cert_verifier(clients),
            None => builder.with_no_client_auth(),
        };
        let mut config = builder.with_cert_resolver(current);
        config.alpn_protocols = protocol.names().iter().map(|name| name.to_vec()).collect();
        // Nothing is kept of a session here: the client keeps it, in a ticket. Without randomness there are no tickets, and handshakes are whole.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        if let Ok(ticketer) = Ticketer::new() {
            config.ticketer = ticketer;
        }
        config
    }
}

/// When a certificate is valid (RFC 5280 §4.1.2.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// From when.
    pub from: Moment,
    /// Until when.
    pub until: Moment,
}

impl Validity {
    /// Whether it is valid at this moment.
    #[must_use]
    pub fn holds(self, now: Moment) -> bool {
        (self.from..=self.until).contains(&now)
    }

    /// Whether it should have been renewed by now: less than a tenth of its time is left.
    #[must_use]
    pub fn is_ending(self, now: Moment) -> bool {
        self.until.millis_since(now) < self.until.millis_since(self.from) / 10
    }
}

/// A certificate with its key.
#[derive(Debug)]
struct Certificate {
    /// Chain and key, as handshakes want them.
    key: Arc<CertifiedKey>,
    /// When the first of the chain is valid.
    validity: Validity,
}

/// The certificate in use; read by every handshake, replaced by a renewal.
#[derive(Debug)]
struct Current(ArcSwap<Certificate>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.load().key))
    }
}
