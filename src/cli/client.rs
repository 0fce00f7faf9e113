//! The CLI's side of the admin API: a request, a limit on how long and how much, and what a problem document says.
//!
//! A token comes from a file or from `AYA_TOKEN`, never from the command line, which everybody on the system can read; it is shown by nothing, and
//! goes over TLS or to this machine only.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use rustls::ClientConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem};
use rustls::sign::{CertifiedKey, SingleCertAndKey};

use crate::probe::Roots;

/// How long a node may take to answer.
const PATIENCE: Duration = Duration::from_secs(11);
/// Octets of a node's answer that are read: a page of endpoints with some probes each.
const ANSWER_OCTETS_MAX: usize = 16 << 20;

/// What a node's admin API wants to see.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct Reach {
    /// File that holds the API's token and nothing else; instead, AYA_TOKEN may hold the token itself.
    #[arg(long, value_name = "FILE", env = "AYA_TOKEN_FILE")]
    token_file: Option<PathBuf>,
    /// PEM file of the certificates that are trusted for https addresses, instead of the system's.
    #[arg(long, value_name = "FILE", env = "AYA_CA_FILE")]
    ca_file: Option<PathBuf>,
    /// PEM file of the certificate chain that is shown to a node that asks for one.
    #[arg(long, value_name = "FILE", env = "AYA_CLIENT_CERT", requires = "client_key")]
    client_cert: Option<PathBuf>,
    /// PEM file of its private key.
    #[arg(long, value_name = "FILE", env = "AYA_CLIENT_KEY", requires = "client_cert")]
    client_key: Option<PathBuf>,
}

/// The same, read.
#[derive(Clone, Debug)]
struct Keys {
    /// What is presented; shown as `Sensitive`.
    token: Option<HeaderValue>,
    /// How handshakes are made.
    tls: Arc<ClientConfig>,
}

impl Reach {
    /// The clients of these nodes; what is wrong with the files is told before anybody is asked.
    ///
    /// # Errors
    /// [`ClientError::Keys`], [`ClientError::InTheClear`].
    pub(super) fn clients(&self, apis: &[String]) -> Result<Vec<Client>, ClientError> {
        let keys = self.read()?;
        apis.iter().map(|api| Client::new(api, keys.clone())).collect()
    }

    /// Reads the files.
    fn read(&self) -> Result<Keys, ClientError> {
        let token = match &self.token_file {
            Some(path) => {
                let text = std::fs::read_to_string(path).map_err(|error| wrong(path, &error))?;
                Some(text.trim().to_owned())
            }
            None => std::env::var("AYA_TOKEN").ok().map(|token| token.trim().to_owned()),
        };
        let token = token.filter(|token| !token.is_empty()).map(|token| presented(&token)).transpose()?;
        let roots = match &self.ca_file {
            None => Roots::of_system(),
            Some(path) => Roots::of_certificates(chain_of(path)?).map_err(|error| wrong(path, &error))?,
        };
        let mut tls = roots.into_client_config();
        if let (Some(chain), Some(key)) = (&self.client_cert, &self.client_key) {
            let private = PrivateKeyDer::from_pem_file(key).map_err(|error| wrong_pem(key, &error))?;
            let pair = CertifiedKey::from_der(chain_of(chain)?, private, &aws_lc_rs::default_provider()).map_err(|error| wrong(key, &error))?;
            tls.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(pair));
        }
        Ok(Keys { token, tls: Arc::new(tls) })
    }
}

/// A token as a header.
fn presented(token: &str) -> Result<HeaderValue, ClientError> {
    let mut value =
        HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| ClientError::Keys("the token has characters that no token has".to_owned()))?;
    value.set_sensitive(true);
    Ok(value)
}

/// The certificates of a file.
fn chain_of(path: &Path) -> Result<Vec<CertificateDer<'static>>, ClientError> {
    let chain = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>).map_err(|error| wrong_pem(path, &error))?;
    if chain.is_empty() { Err(ClientError::Keys(format!("there is no certificate in {}", path.display()))) } else { Ok(chain) }
}

/// That a file cannot be used.
fn wrong(path: &Path, error: &dyn std::error::Error) -> ClientError {
    ClientError::Keys(format!("{} cannot be used: {error}", path.display()))
}

/// That a PEM file cannot be used. Its text is not quoted: it may be a key.
fn wrong_pem(path: &Path, error: &pem::Error) -> ClientError {
    let words = match error {
        pem::Error::Io(error) => error.to_string(),
        pem::Error::NoItemsFound => "there is no such PEM block in it".to_owned(),
        _ => "it is no whole PEM text".to_owned(),
    };
    ClientError::Keys(format!("{} cannot be used: {words}", path.display()))
}

/// One node's admin API.
#[derive(Clone, Debug)]
pub(super) struct Client {
    /// The address, as it was given.
    api: String,
    /// What every URL begins with.
    base: String,
    /// What the node wants to see.
    keys: Keys,
}

/// Why a node did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum ClientError {
    /// It does not answer.
    #[error("the node at {0} does not answer")]
    Ask(String, #[source] reqwest::Error),
    /// It says no; the status, and what its problem document says.
    #[error("the node at {api} refuses: {detail}")]
    Refused {
        /// The node.
        api: String,
        /// The status of HTTP.
        status: u16,
        /// Why.
        detail: String,
    },
    /// It answers with what this program does not understand.
    #[error("the node at {0} answers with something else: {1}")]
    Strange(String, String),
    /// What it is to be shown cannot be read.
    #[error("{0}")]
    Keys(String),
    /// A token would be read by whoever listens on the way.
    #[error("a token is not sent to {0} in the clear: use an https:// address, or one of this machine")]
    InTheClear(String),
    /// There is no runtime to ask with.
    #[error("cannot ask a node from here")]
    Runtime(#[source] std::io::Error),
}

impl ClientError {
    /// Whether the node said no to what it understood, rather than not being able to.
    #[must_use]
    pub(super) const fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused { status: 400..=499, .. })
    }
}

impl Client {
    /// Of the node at this address: a host and port, or a URL.
    fn new(api: &str, keys: Keys) -> Result<Self, ClientError> {
        let base = if api.contains("://") { api.trim_end_matches('/').to_owned() } else { format!("http://{api}") };
        if keys.token.is_some() && !base.starts_with("https://") && !is_on_this_machine(&base) {
            return Err(ClientError::InTheClear(api.to_owned()));
        }
        Ok(Self { api: api.to_owned(), base, keys })
    }

    /// The address, as it was given.
    #[must_use]
    pub(super) fn api(&self) -> &str {
        &self.api
    }

    /// Asks for a path with these values behind it; `accept` is the type that is wanted.
    ///
    /// # Errors
    /// [`ClientError`].
    pub(super) fn get(&self, path: &str, query: &[(&str, &str)], accept: &str) -> Result<String, ClientError> {
        self.send(|client| client.get(self.url(path, query)).header("accept", accept))
    }

    /// Sends JSON.
    ///
    /// # Errors
    /// [`ClientError`].
    pub(super) fn post(&self, path: &str, json: &str) -> Result<String, ClientError> {
        self.send(|client| client.post(self.url(path, &[])).header("content-type", "application/json").body(json.to_owned()))
    }

    /// Has something deleted.
    ///
    /// # Errors
    /// [`ClientError`].
    pub(super) fn delete(&self, path: &str, query: &[(&str, &str)]) -> Result<String, ClientError> {
        self.send(|client| client.delete(self.url(path, query)))
    }

    /// The URL of a path with these values behind it.
    fn url(&self, path: &str, query: &[(&str, &str)]) -> String {
        let pairs: Vec<String> = query.iter().map(|(key, value)| format!("{key}={}", percent_encoded(value))).collect();
        let question = if pairs.is_empty() { "" } else { "?" };
        format!("{}{path}{question}{}", self.base, pairs.join("&"))
    }

    /// Sends a request and reads the answer; what is no success is an error.
    fn send(&self, request: impl FnOnce(&reqwest::Client) -> reqwest::RequestBuilder) -> Result<String, ClientError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(ClientError::Runtime)?;
        let failed = |error| ClientError::Ask(self.api.clone(), error);
        runtime.block_on(async {
            // A redirect would take the token to wherever it says.
            let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).redirect(reqwest::redirect::Policy::none());
            let client = client.tls_backend_preconfigured(ClientConfig::clone(&self.keys.tls)).build().map_err(failed)?;
            let mut request = request(&client);
            if let Some(token) = &self.keys.token {
                request = request.header(AUTHORIZATION, token.clone());
            }
            let mut response = request.send().await.map_err(failed)?;
            let status = response.status();
            let mut body = Vec::new();
            while let Some(chunk) = response.chunk().await.map_err(failed)? {
                body.extend_from_slice(&chunk);
                if body.len() > ANSWER_OCTETS_MAX {
                    return Err(ClientError::Strange(self.api.clone(), "its answer is too long".to_owned()));
                }
            }
            let body = String::from_utf8_lossy(&body).into_owned();
            if status.is_success() {
                return Ok(body);
            }
            Err(ClientError::Refused { api: self.api.clone(), status: status.as_u16(), detail: detail(&body) })
        })
    }
}

/// Whether a URL's host is an address of this machine's own, or `localhost`.
fn is_on_this_machine(base: &str) -> bool {
    let url = reqwest::Url::parse(base).ok();
    let host = url.as_ref().and_then(reqwest::Url::host_str).unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// What a problem document says (RFC 9457 §3.1.4), or the body itself.
fn detail(body: &str) -> String {
    let problem: Option<serde_json::Value> = serde_json::from_str(body).ok();
    problem.as_ref().and_then(|problem| problem.get("detail")?.as_str()).map_or_else(|| body.trim().to_owned(), str::to_owned)
}

/// A value as it stands in the query of an URL (RFC 3986 §2.1).
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for octet in text.bytes() {
        match octet {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(char::from(octet)),
            other => encoded.push_str(&format!("%{other:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of the node at this address, with this token.
    fn client(api: &str, token: Option<&str>) -> Result<Client, ClientError> {
        let tls = Arc::new(Roots::of_certificates([]).unwrap().into_client_config());
        Client::new(api, Keys { token: token.map(|token| presented(token).unwrap()), tls })
    }

    #[test]
    fn values_stand_in_urls_as_they_are_meant() {
        let url = client("127.0.0.1:8053", None).unwrap().url("/v1/overrides", &[("selector", "service:api region:gcp-*"), ("who", "Ännchen")]);
        assert_eq!(url, "http://127.0.0.1:8053/v1/overrides?selector=service%3Aapi%20region%3Agcp-%2A&who=%C3%84nnchen");
        assert_eq!(client("https://node.example/", None).unwrap().url("/x", &[]), "https://node.example/x");
    }

    #[test]
    fn a_token_goes_over_tls_or_to_this_machine_and_is_shown_by_nothing() {
        for here in ["https://node.example", "127.0.0.1:8053", "[::1]:8053", "http://localhost:8053"] {
            let client = client(here, Some("aya_b7f1c3")).unwrap();
            assert!(!format!("{client:?}").contains("b7f1c3"), "{client:?}");
        }
        for elsewhere in ["node.example:8053", "http://192.0.2.1:8053", "http://localhost.example"] {
            assert!(matches!(client(elsewhere, Some("aya_b7f1c3")), Err(ClientError::InTheClear(_))), "{elsewhere}");
            assert!(client(elsewhere, None).is_ok());
        }
    }

    #[test]
    fn the_detail_of_a_problem_is_told_and_anything_else_as_it_is() {
        assert_eq!(detail(r#"{"status":409,"detail":"no"}"#), "no");
        assert_eq!(detail(" gone \n"), "gone");
    }
}
