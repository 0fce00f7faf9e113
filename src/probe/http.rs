//! An HTTP request to one address, and what the answer must be like.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{CONNECTION, HOST, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method, Response, Url, redirect};
use rustls::ClientConfig;
use serde_json::Value;

use super::asking::{failure_of, words};
use crate::catalog::{ProbeKind, StatusRange};
use crate::health::ProbeFailure;
use crate::limits::PROBE_BODY_OCTETS_MAX;

/// Says who asks.
const USER_AGENT: &str = concat!("aya/", env!("CARGO_PKG_VERSION"));

/// Asks, and holds the answer against what the probe expects. `kind` is [`ProbeKind::Http`].
pub(super) async fn ask(target: SocketAddr, kind: &ProbeKind, config: &Arc<ClientConfig>) -> Result<(), ProbeFailure> {
    let ProbeKind::Http { method, body, statuses, contains, json, first_byte_ms, .. } = kind else {
        return Err(ProbeFailure::NotAsked("no probe over HTTP".into()));
    };
    let (url, headers) = address(target, kind)?;
    let method = Method::from_bytes(method.as_bytes()).map_err(|error| ProbeFailure::NotAsked(words(&error)))?;
    let mut request = client(target, &url, config)?.request(method, url).headers(headers);
    if let Some(body) = body {
        request = request.body(body.to_string());
    }
    let sent = request.send();
    let response = if *first_byte_ms == 0 {
        sent.await
    } else {
        let limit = Duration::from_millis(u64::from(*first_byte_ms));
        tokio::time::timeout(limit, sent).await.map_err(|_| ProbeFailure::TimedOut)?
    };
    let response = response.map_err(|error| failure_of(&error))?;
    let status = response.status().as_u16();
    if !statuses.iter().any(|range: &StatusRange| (range.first..=range.last).contains(&status)) {
        return Err(ProbeFailure::Status(status));
    }
    if contains.is_some() || !json.is_empty() { judge_body(response, contains.as_deref(), json).await } else { read_out(response).await }
}

/// A client that knows no address but the target's. It lives for one request: it costs microseconds, and a kept connection would
/// hide that the server accepts no more.
fn client(target: SocketAddr, url: &Url, config: &Arc<ClientConfig>) -> Result<Client, ProbeFailure> {
    Client::builder()
        .tls_backend_preconfigured(ClientConfig::clone(config))
        .resolve(url.host_str().unwrap_or_default(), target)
        .redirect(redirect::Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy()
        .referer(false)
        .http1_only()
        .pool_max_idle_per_host(0)
        .user_agent(USER_AGENT)
        .build()
        .map_err(|error| ProbeFailure::NotAsked(words(&error)))
}

/// The URL and the headers. The URL's host decides the server name and what the certificate must say; the `Host` header says exactly what
/// the specification says. A host that is itself an address cannot be resolved to another: then the URL names the target.
fn address(target: SocketAddr, kind: &ProbeKind) -> Result<(Url, HeaderMap), ProbeFailure> {
    let ProbeKind::Http { tls, path, host, headers, .. } = kind else {
        return Err(ProbeFailure::NotAsked("no probe over HTTP".into()));
    };
    let scheme = if *tls { "https" } else { "http" };
    let authority = match host.parse::<IpAddr>() {
        Ok(_) => target.to_string(),
        Err(_) => format!("{host}:{}", target.port()),
    };
    let url = Url::parse(&format!("{scheme}://{authority}{path}")).map_err(|error| ProbeFailure::NotAsked(words(&error)))?;
    let mut map = HeaderMap::with_capacity(headers.len() + 2);
    map.insert(HOST, HeaderValue::from_str(host).map_err(|error| ProbeFailure::NotAsked(words(&error)))?);
    map.insert(CONNECTION, HeaderValue::from_static("close"));
    for (name, value) in headers {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|error| ProbeFailure::NotAsked(words(&error)))?;
        let value = HeaderValue::from_str(value).map_err(|error| ProbeFailure::NotAsked(words(&error)))?;
        if name == HOST || name == CONNECTION {
            map.insert(name, value);
        } else {
            map.append(name, value);
        }
    }
    Ok((url, map))
}

/// Reads a body of which nothing is asserted, if its length is known and small: one that breaks off is a failure, and a server that is heard
/// out has nothing to complain of. A body without a known length may be a stream without an end: it is not waited for.
async fn read_out(mut response: Response) -> Result<(), ProbeFailure> {
    if response.content_length().is_some_and(|octets| octets <= PROBE_BODY_OCTETS_MAX as u64) {
        while response.chunk().await.map_err(|error| failure_of(&error))?.is_some() {}
    }
    Ok(())
}

/// Reads at most [`PROBE_BODY_OCTETS_MAX`] octets of the body and holds them against what it must have. Reads no further than it needs.
async fn judge_body(mut response: Response, contains: Option<&str>, json: &[(Box<str>, Box<str>)]) -> Result<(), ProbeFailure> {
    let mut body: Vec<u8> = Vec::new();
    let mut is_whole = true;
    let mut has_text = contains.is_none();
    loop {
        if has_text && json.is_empty() {
            return Ok(());
        }
        let Some(chunk) = response.chunk().await.map_err(|error| failure_of(&error))? else { break };
        let room = PROBE_BODY_OCTETS_MAX - body.len();
        let searched = body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        has_text = has_text || contains.is_some_and(|text| has(&body, text.as_bytes(), searched));
        if chunk.len() > room {
            is_whole = false;
            break;
        }
    }
    if !has_text {
        return Err(ProbeFailure::Body(if is_whole { "the text is not in it" } else { "the text is not in its first 64 KiB" }.into()));
    }
    if json.is_empty() {
        return Ok(());
    }
    if !is_whole {
        return Err(ProbeFailure::Body("it is longer than 64 KiB".into()));
    }
    let document: Value = serde_json::from_slice(&body).map_err(|error| ProbeFailure::Body(words(&format!("not JSON: {error}"))))?;
    json.iter().try_for_each(|(pointer, expected)| judge_json(&document, pointer, expected))
}

/// Whether `text` stands in `body`. Of the first `searched` octets it is known that it does not stand in them alone.
fn has(body: &[u8], text: &[u8], searched: usize) -> bool {
    let from = searched.saturating_sub(text.len());
    text.is_empty() || body[from..].windows(text.len()).any(|window| window == text)
}

/// Holds the value at a JSON pointer (RFC 6901) against the one that is expected, as JSON values, not as text.
fn judge_json(document: &Value, pointer: &str, expected: &str) -> Result<(), ProbeFailure> {
    let found = document.pointer(pointer).ok_or_else(|| ProbeFailure::Body(words(&format!("nothing at {pointer}"))))?;
    let expected: Value = serde_json::from_str(expected).map_err(|error| ProbeFailure::NotAsked(words(&error)))?;
    if *found == expected { Ok(()) } else { Err(ProbeFailure::Body(words(&format!("{pointer} is {found}, not {expected}")))) }
}
