//! What keeps others out of the admin listener: tokens, the certificate, and the issuers of clients' certificates; all from files, all replaced without
//! a restart.
//!
//! A file that cannot be used is told in the log, in the stream of events and by [`Access::renew`]'s return, and what was read before counts on.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

use super::tokens::{Tokens, TokensError};
use crate::limits::{ADMIN_TOKENS_OCTETS_MAX, CERTIFICATE_FILE_OCTETS_MAX};
use crate::server::tls::{Attention, CertificateError, CertificateFiles, Certificates, ClientVerifier, Protocol, Renewed, Seen, warn_of_end};
use crate::units::Moment;

/// The files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccessFiles {
    /// Tokens; without them everybody who comes to the listener is an operator, and it must be on loopback.
    pub tokens: Option<PathBuf>,
    /// Certificate and key; without them the listener speaks plain HTTP.
    pub certificate: Option<CertificateFiles>,
    /// Issuers one of which must have signed a client's certificate; needs `certificate`.
    pub client_ca: Option<PathBuf>,
}

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// It cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's word.
        source: io::Error,
    },
    /// It is too large.
    #[error("{} is larger than {octets} octets", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// How large it may be.
        octets: u64,
    },
    /// Its tokens cannot be read.
    #[error("the tokens in {} cannot be used: {error}", path.display())]
    Tokens {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        error: TokensError,
    },
    /// The certificate cannot be used.
    #[error("the certificate of the admin listener cannot be used")]
    Certificate(#[from] CertificateError),
    /// There is nobody in the file to trust.
    #[error("there is no certificate in {} that could have issued others", path.display())]
    NoIssuer {
        /// The file.
        path: PathBuf,
    },
    /// Clients are to have certificates, and the listener has none.
    #[error("clients can be asked for certificates over TLS only: give --admin-tls-cert and --admin-tls-key")]
    NoCertificate,
}

/// What counts at present.
#[derive(Debug)]
pub struct Access {
    /// Where it is read from.
    files: AccessFiles,
    /// Who may do what.
    tokens: Option<ArcSwap<Tokens>>,
    /// How a handshake is made.
    door: Option<Door>,
    /// Whether the files have changed, and when somebody was last warned of a certificate that ends.
    attention: Mutex<(Attention, Option<Moment>)>,
}

/// How TLS is spoken.
#[derive(Debug)]
struct Door {
    /// The certificate.
    certificates: Arc<Certificates>,
    /// The configuration of the next handshake.
    config: ArcSwap<ServerConfig>,
}

impl Access {
    /// Reads all files.
    ///
    /// # Errors
    /// [`AccessError`]: the first that cannot be used.
    pub fn load(files: AccessFiles) -> Result<Self, AccessError> {
        let tokens = files.tokens.as_deref().map(read_tokens).transpose()?;
        let door = match &files.certificate {
            Some(certificate) => {
                let certificates = Certificates::load(certificate.clone())?;
                let config = ArcSwap::from_pointee(configuration(&certificates, files.client_ca.as_deref())?);
                Some(Door { certificates, config })
            }
            None if files.client_ca.is_some() => return Err(AccessError::NoCertificate),
            None => None,
        };
        Ok(Self { tokens: tokens.map(ArcSwap::from_pointee), door, attention: Mutex::new((Attention::UNREAD, None)), files })
    }

    /// The tokens that count; `None` where none are asked for.
    #[must_use]
    pub fn tokens(&self) -> Option<Arc<Tokens>> {
        self.tokens.as_ref().map(ArcSwap::load_full)
    }

    /// How the next handshake is made; `None` where there is no TLS.
    #[must_use]
    pub fn tls(&self) -> Option<Arc<ServerConfig>> {
        self.door.as_ref().map(|door| door.config.load_full())
    }

    /// Whether the listener may stand where others come to it.
    #[must_use]
    pub const fn is_guarded(&self) -> bool {
        self.tokens.is_some() && self.door.is_some()
    }

    /// Reads all files again. What can be used counts from the next request or handshake on; what cannot is returned, logged, and what was read before
    /// counts on.
    pub fn renew(&self, now: Moment) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut complain = |what: &'static str, error: AccessError| {
            let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
            tracing::error!("{what} of the admin listener: {error}{cause}; what was read before counts on");
            wrong.push(format!("{error}{cause}"));
        };
        if let (Some(path), Some(tokens)) = (&self.files.tokens, &self.tokens) {
            match read_tokens(path) {
                Ok(read) => {
                    tracing::info!(file = %path.display(), tokens = read.len(), "the API's tokens were read");
                    tokens.store(Arc::new(read));
                }
                Err(error) => complain("tokens", error),
            }
        }
        if let Some(door) = &self.door {
            match door.certificates.renew(now) {
                Ok(Renewed::Other(_)) => tracing::info!("a renewed certificate of the admin listener is in use"),
                Ok(Renewed::Same(_)) => {}
                Err(error) => complain("certificate", error.into()),
            }
            // Another configuration also has other keys of session tickets: nobody comes back in with a certificate that would be refused by now.
            match configuration(&door.certificates, self.files.client_ca.as_deref()) {
                Ok(config) => door.config.store(Arc::new(config)),
                Err(error) => complain("issuers of clients", error),
            }
        }
        wrong
    }

    /// Reads the files again if they have changed since they were read, and have stayed as they are since the last look.
    pub(super) fn look(&self, now: Moment) -> Vec<String> {
        let certificate = self.files.certificate.as_ref();
        let files = [self.files.tokens.as_ref(), self.files.client_ca.as_ref(), certificate.map(|files| &files.chain), certificate.map(|files| &files.key)];
        let seen = Seen::of(files.map(|path| path.map(PathBuf::as_path)));
        let mut held = self.attention.lock().unwrap_or_else(PoisonError::into_inner);
        let (attention, warned) = &mut *held;
        let wrong = if attention.is_due(seen) { self.renew(now) } else { Vec::new() };
        if let Some(door) = &self.door {
            warn_of_end(&door.certificates, now, warned);
        }
        wrong
    }
}

/// Reads the file of tokens, and warns of one that others can write, or everybody read.
fn read_tokens(path: &Path) -> Result<Tokens, AccessError> {
    let text = read(path, ADMIN_TOKENS_OCTETS_MAX)?;
    let mode = fs::metadata(path).map_or(0, |told| told.permissions().mode());
    if mode & 0o022 != 0 {
        tracing::warn!(file = %path.display(), mode = format!("{:o}", mode & 0o777), "others than its owner can write the API's tokens: whoever does is an operator; chmod 600");
    } else if mode & 0o004 != 0 {
        tracing::warn!(file = %path.display(), mode = format!("{:o}", mode & 0o777), "everybody on this system can read who has which role; chmod 600");
    }
    let text = String::from_utf8_lossy(&text);
    Tokens::parse(&text).map_err(|error| AccessError::Tokens { path: path.into(), error })
}

/// The octets of a file that is not too large.
fn read(path: &Path, octets_max: u64) -> Result<Vec<u8>, AccessError> {
    let failed = |source| AccessError::Read { path: path.into(), source };
    let mut text = Vec::new();
    File::open(path).map_err(failed)?.take(octets_max + 1).read_to_end(&mut text).map_err(failed)?;
    let fits = u64::try_from(text.len()).is_ok_and(|len| len <= octets_max);
    if fits { Ok(text) } else { Err(AccessError::TooLarge { path: path.into(), octets: octets_max }) }
}

/// How handshakes are made: with this certificate, and with clients that one of these issuers vouches for if there is such a file.
fn configuration(certificates: &Certificates, client_ca: Option<&Path>) -> Result<ServerConfig, AccessError> {
    let clients = client_ca.map(|path| issuers(certificates, path)).transpose()?;
    Ok(certificates.server_config_for(Protocol::Admin, clients))
}

/// Who verifies clients by the issuers of a file.
fn issuers(certificates: &Certificates, path: &Path) -> Result<ClientVerifier, AccessError> {
    let nobody = || AccessError::NoIssuer { path: path.into() };
    let text = read(path, CERTIFICATE_FILE_OCTETS_MAX)?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&text) {
        roots.add(certificate.map_err(|_| nobody())?).map_err(|_| nobody())?;
    }
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(certificates.provider())).build().map_err(|_| nobody())
}
