//! Where a node's admin API and metrics are told, and to whom: flags of `aya serve`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use crate::admin::access::AccessFiles;
use crate::server::tls::CertificateFiles;

/// Where they are told, and to whom.
#[derive(Debug, Args)]
pub(super) struct GateArgs {
    /// Address of the admin API, or "off"; elsewhere than on loopback it needs tokens and a certificate.
    #[arg(long, env = "AYA_ADMIN", default_value = "127.0.0.1:8053", value_parser = address_or_off)]
    admin: AddressOrOff,
    /// TOML file of the API's tokens, as `aya token new` makes them; read again when it changes.
    #[arg(long, env = "AYA_API_TOKENS", value_name = "FILE")]
    api_tokens: Option<PathBuf>,
    /// PEM file of the admin listener's certificate chain; read again when it changes.
    #[arg(long, env = "AYA_ADMIN_TLS_CERT", value_name = "FILE", requires = "admin_tls_key")]
    admin_tls_cert: Option<PathBuf>,
    /// PEM file of its private key.
    #[arg(long, env = "AYA_ADMIN_TLS_KEY", value_name = "FILE", requires = "admin_tls_cert")]
    admin_tls_key: Option<PathBuf>,
    /// PEM file of issuers: who comes to the admin listener must show a certificate of one of them; read again when it changes.
    #[arg(long, env = "AYA_ADMIN_CLIENT_CA", value_name = "FILE", requires = "admin_tls_cert")]
    admin_client_ca: Option<PathBuf>,
    /// Address that tells /metrics, /healthz and /readyz only; any address.
    #[arg(long, env = "AYA_METRICS")]
    metrics: Option<SocketAddr>,
}

/// An address, or nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct AddressOrOff(Option<SocketAddr>);

/// Reads an address and port, or `off`.
fn address_or_off(text: &str) -> Result<AddressOrOff, String> {
    match text {
        "off" => Ok(AddressOrOff(None)),
        _ => text.parse().map(|address| AddressOrOff(Some(address))).map_err(|_| "neither an address and port nor \"off\"".to_owned()),
    }
}

impl GateArgs {
    /// Where the admin API listens.
    pub(super) const fn admin(&self) -> Option<SocketAddr> {
        self.admin.0
    }

    /// Where metrics are told.
    pub(super) const fn metrics(&self) -> Option<SocketAddr> {
        self.metrics
    }

    /// What keeps others out.
    pub(super) fn access(&self) -> AccessFiles {
        AccessFiles {
            tokens: self.api_tokens.clone(),
            certificate: self.admin_tls_cert.clone().zip(self.admin_tls_key.clone()).map(|(chain, key)| CertificateFiles { chain, key }),
            client_ca: self.admin_client_ca.clone(),
        }
    }
}
