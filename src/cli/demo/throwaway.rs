//! What lasts as long as a demo: a folder that goes when it ends, and in it a certificate, with an authority of its own.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};

use super::story::NAMES;
use crate::server::tls::CertificateFiles;
use crate::units::Moment;

/// Days that the certificate is valid for: longer than any demo.
const DAYS: i64 = 30;
/// Other names that the demo goes by.
const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// Why it cannot be made.
#[derive(Debug, thiserror::Error)]
pub(super) enum ThrowawayError {
    /// The certificate cannot be made or signed.
    #[error("cannot make a certificate")]
    Make(#[from] rcgen::Error),
    /// A file cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// The system's word.
        source: io::Error,
    },
}

/// A folder for this user only; it is removed, with what is in it, when this is dropped.
#[derive(Debug)]
pub(super) struct Folder(PathBuf);

impl Folder {
    /// Makes one.
    ///
    /// # Errors
    /// [`ThrowawayError::Write`].
    pub(super) fn make(now: Moment) -> Result<Self, ThrowawayError> {
        // A demo that was killed leaves its folder, and its number may be given again.
        let folder = std::env::temp_dir().join(format!("aya-demo-{}-{}", std::process::id(), now.0));
        // One that is there already is another's, and not to be trusted.
        DirBuilder::new().mode(0o700).create(&folder).map_err(|source| ThrowawayError::Write { path: folder.clone(), source })?;
        Ok(Self(folder))
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed is worth nothing: nobody trusts this authority but who was told to, and overrides have ended with the demo.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The certificate's files.
#[derive(Debug)]
pub(super) struct Throwaway {
    /// Chain and key.
    pub(super) files: CertificateFiles,
    /// The authority's certificate, for clients to verify by.
    pub(super) authority: PathBuf,
}

impl Throwaway {
    /// Makes and writes one that is valid at this moment.
    ///
    /// # Errors
    /// [`ThrowawayError`].
    pub(super) fn make(folder: &Folder, now: Moment) -> Result<Self, ThrowawayError> {
        let folder = folder.path();
        let files = CertificateFiles { chain: folder.join("chain.pem"), key: folder.join("key.pem") };
        let made = Self { authority: folder.join("ca.pem"), files };

        let mut authority = valid(CertificateParams::default(), "Aya demo authority", now);
        authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let authority_key = KeyPair::generate()?;
        let authority_certificate = authority.self_signed(&authority_key)?;
        let names = NAMES.iter().chain(&LOOPBACK).map(|&name| name.to_owned()).collect::<Vec<_>>();
        let key = KeyPair::generate()?;
        let server = valid(CertificateParams::new(names)?, "Aya demo", now).signed_by(&key, &Issuer::new(authority, authority_key))?;
        write(&made.authority, &authority_certificate.pem())?;
        write(&made.files.chain, &format!("{}{}", server.pem(), authority_certificate.pem()))?;
        write(&made.files.key, &key.serialize_pem())?;
        Ok(made)
    }
}

/// These parameters, in this name, valid from the day before this moment.
fn valid(mut params: CertificateParams, name: &str, now: Moment) -> CertificateParams {
    params.distinguished_name.push(DnType::CommonName, name);
    let midnight = |days: i64| {
        let millis = i64::try_from(now.0).unwrap_or(i64::MAX).saturating_add(days.saturating_mul(86_400_000));
        let date = jiff::Timestamp::from_millisecond(millis).unwrap_or_default().to_zoned(jiff::tz::TimeZone::UTC).date();
        rcgen::date_time_ymd(i32::from(date.year()), date.month().unsigned_abs(), date.day().unsigned_abs())
    };
    params.not_before = midnight(-1);
    params.not_after = midnight(DAYS);
    params
}

/// Writes a file for this user only.
fn write(path: &Path, text: &str) -> Result<(), ThrowawayError> {
    let written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|source| ThrowawayError::Write { path: path.into(), source })
}
