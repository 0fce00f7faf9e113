//! The CLI's side of the admin API: a request, a limit on how long and how much, and what a problem document says.

use std::time::Duration;

use crate::probe::Roots;

/// How long a node may take to answer.
const PATIENCE: Duration = Duration::from_secs(11);
/// Octets of a node's answer that are read.
const ANSWER_OCTETS_MAX: usize = 1 << 20;

/// One node's admin API.
#[derive(Clone, Debug)]
pub(super) struct Client {
    /// The address, as it was given.
    api: String,
    /// What every URL begins with.
    base: String,
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
    #[must_use]
    pub(super) fn new(api: &str) -> Self {
        let base = if api.contains("://") { api.trim_end_matches('/').to_owned() } else { format!("http://{api}") };
        Self { api: api.to_owned(), base }
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
            let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).tls_backend_preconfigured(Roots::of_system().into_client_config());
            let mut response = request(&client.build().map_err(failed)?).send().await.map_err(failed)?;
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

    #[test]
    fn values_stand_in_urls_as_they_are_meant() {
        let client = Client::new("127.0.0.1:8053");
        let url = client.url("/v1/overrides", &[("selector", "service:api region:gcp-*"), ("who", "Ännchen")]);
        assert_eq!(url, "http://127.0.0.1:8053/v1/overrides?selector=service%3Aapi%20region%3Agcp-%2A&who=%C3%84nnchen");
        assert_eq!(Client::new("https://node.example/").url("/x", &[]), "https://node.example/x");
    }

    #[test]
    fn the_detail_of_a_problem_is_told_and_anything_else_as_it_is() {
        assert_eq!(detail(r#"{"status":409,"detail":"no"}"#), "no");
        assert_eq!(detail(" gone \n"), "gone");
    }
}
