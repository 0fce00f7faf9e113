//! A certificate chain and its key, read from PEM files (RFC 7468) and checked.
//!
//! An error names the file and what is wrong with it, and never a word of what a key file holds.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;

use super::{Certificate, Validity};
use crate::limits;
use crate::units::Moment;

/// Where a certificate and its key are. Both may be in one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    /// PEM file of the chain: the server's own certificate first, then its issuers.
    pub chain: PathBuf,
    /// PEM file of the key of the first certificate: PKCS #8, PKCS #1 or SEC 1, without a pass phrase.
    pub key: PathBuf,
}

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's word.
        source: std::io::Error,
    },
    /// A file is larger than any that holds certificates.
    #[error("{} is larger than {} octets: it holds more than a certificate or a key", path.display(), limits::CERTIFICATE_FILE_OCTETS_MAX)]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// A file is not whole PEM text.
    #[error("{} is no whole PEM text: {words}", path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// What is wrong, without the text.
        words: &'static str,
    },
    /// There is no certificate in the file.
    #[error("there is no certificate in {}: no PEM block CERTIFICATE", path.display())]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// The first certificate of the file cannot be read.
    #[error("the first certificate in {} is damaged", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// There is no key in the file.
    #[error("there is no private key in {}: no PEM block PRIVATE KEY, RSA PRIVATE KEY or EC PRIVATE KEY", path.display())]
    NoKey {
        /// The file.
        path: PathBuf,
    },
    /// The key has a pass phrase.
    #[error("the private key in {} has a pass phrase, and a node has nobody to ask for it: write it without one (openssl pkey)", path.display())]
    Locked {
        /// The file.
        path: PathBuf,
    },
    /// The key is of a kind that is not used, or damaged.
    #[error("the private key in {} cannot be used: it is damaged, or neither RSA of 2048 bits or more nor ECDSA of P-256, P-384 or P-521 nor Ed25519", path.display())]
    Key {
        /// The file.
        path: PathBuf,
    },
    /// The key is another's.
    #[error("the private key in {} is not that of the first certificate in {} (the server's own comes first, then its issuers)", key.display(), chain.display())]
    Mismatch {
        /// The file of the key.
        key: PathBuf,
        /// The file of the chain.
        chain: PathBuf,
    },
    /// It is not valid at this moment.
    #[error("the first certificate in {} is valid from {} until {}, and not now", path.display(), moment(validity.from), moment(validity.until))]
    NotValid {
        /// The file.
        path: PathBuf,
        /// When it is.
        validity: Validity,
    },
}

impl CertificateFiles {
    /// Reads and checks chain and key.
    ///
    /// # Errors
    /// [`CertificateError`], but not for a certificate that is valid at another time.
    pub(super) fn read(&self, provider: &CryptoProvider) -> Result<Certificate, CertificateError> {
        let chain = read_chain(&self.chain)?;
        let key = read_key(&self.key)?;
        let validity = validity(chain.first()).ok_or_else(|| CertificateError::Damaged { path: self.chain.clone() })?;
        let key = provider.key_provider.load_private_key(key).map_err(|_| CertificateError::Key { path: self.key.clone() })?;
        let certified = CertifiedKey::new(chain, key);
        match certified.keys_match() {
            Ok(()) => Ok(Certificate { key: Arc::new(certified), validity }),
            Err(rustls::Error::InconsistentKeys(_)) => Err(CertificateError::Mismatch { key: self.key.clone(), chain: self.chain.clone() }),
            Err(_) => Err(CertificateError::Damaged { path: self.chain.clone() }),
        }
    }
}

/// The certificates of a file, in its order; at least one.
fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let text = read_file(path)?;
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&text).collect::<Result<_, _>>().map_err(|error| broken(path, &error))?;
    if chain.is_empty() { Err(CertificateError::NoCertificate { path: path.into() }) } else { Ok(chain) }
}

/// The first key of a file.
fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, CertificateError> {
    let text = read_file(path)?;
    PrivateKeyDer::from_pem_slice(&text).map_err(|error| match error {
        pem::Error::NoItemsFound if is_locked(&text) => CertificateError::Locked { path: path.into() },
        pem::Error::NoItemsFound => CertificateError::NoKey { path: path.into() },
        error => broken(path, &error),
    })
}

/// Whether a text holds a key that has a pass phrase (RFC 7468 §11).
fn is_locked(text: &[u8]) -> bool {
    let mark = b"-----BEGIN ENCRYPTED PRIVATE KEY-----";
    text.windows(mark.len()).any(|part| part == mark)
}

/// The octets of a file that is not too large.
fn read_file(path: &Path) -> Result<Vec<u8>, CertificateError> {
    let failed = |source| CertificateError::Read { path: path.into(), source };
    let mut text = Vec::new();
    std::fs::File::open(path).map_err(failed)?.take(limits::CERTIFICATE_FILE_OCTETS_MAX + 1).read_to_end(&mut text).map_err(failed)?;
    let fits = u64::try_from(text.len()).is_ok_and(|len| len <= limits::CERTIFICATE_FILE_OCTETS_MAX);
    if fits { Ok(text) } else { Err(CertificateError::TooLarge { path: path.into() }) }
}

/// What is wrong with a PEM text, without quoting it: it may be a key.
fn broken(path: &Path, error: &pem::Error) -> CertificateError {
    let words = match error {
        pem::Error::MissingSectionEnd { .. } => "a block has no END line",
        pem::Error::IllegalSectionStart { .. } => "a BEGIN line is damaged",
        pem::Error::Base64Decode(_) => "a block is no base64",
        _ => "it cannot be read",
    };
    CertificateError::Pem { path: path.into(), words }
}

/// When a certificate is valid; `None` if it is none.
fn validity(certificate: Option<&CertificateDer<'_>>) -> Option<Validity> {
    let (_, certificate) = X509Certificate::from_der(certificate?).ok()?;
    let millis = |seconds: i64| Moment(u64::try_from(seconds).unwrap_or(0).saturating_mul(1_000));
    let validity = certificate.validity();
    Some(Validity { from: millis(validity.not_before.timestamp()), until: millis(validity.not_after.timestamp()) })
}

/// A moment for people.
pub(super) fn moment(moment: Moment) -> String {
    let time = i64::try_from(moment.0).ok().and_then(|millis| jiff::Timestamp::from_millisecond(millis).ok());
    time.map_or_else(|| "a time out of range".to_owned(), |time| time.to_string())
}
