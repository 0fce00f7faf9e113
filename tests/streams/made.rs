//! Certificates made for a test, and folders to put them in.

use std::fs;
use std::path::{Path, PathBuf};

use aya_gslb::server::tls::CertificateFiles;
use aya_gslb::units::Moment;
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};

/// Milliseconds of a day.
pub const DAY: u64 = 86_400_000;
/// The first of January 2026.
pub const NEW_YEAR: Moment = Moment(1_767_225_600_000);

/// A certificate that nobody signed but itself, with its key, as PEM texts.
pub struct Made {
    pub certificate: String,
    pub key: String,
}

impl Made {
    /// Valid from the first of January 2026 until the first of January of this year.
    pub fn until(year: i32) -> Self {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let mut params = CertificateParams::new(vec!["ns1.test.example".to_owned(), "127.0.0.1".to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2026, 1, 1);
        params.not_after = rcgen::date_time_ymd(year, 1, 1);
        let certificate = params.self_signed(&key).unwrap();
        Self { certificate: certificate.pem(), key: key.serialize_pem() }
    }

    /// Writes both into a folder; whatever reads them must take the pair.
    pub fn write(&self, folder: &Path) -> CertificateFiles {
        write(folder, &self.certificate, &self.key)
    }
}

/// Writes these texts as chain and key.
pub fn write(folder: &Path, chain: &str, key: &str) -> CertificateFiles {
    let files = CertificateFiles { chain: folder.join("chain.pem"), key: folder.join("key.pem") };
    fs::write(&files.chain, chain).unwrap();
    fs::write(&files.key, key).unwrap();
    files
}

/// A folder of this test's own, empty.
pub fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("streams-{name}"));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}
