//! An HTTP request to one address, and what the answer must be like.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use reqwest::header::{CONNECTION, HOST, HeaderMap, HeaderName, HeaderValue};
use reqwest::tls::TlsInfo;
use reqwest::{Client, Method, Request, Response, Url, redirect};
use rustls::ClientConfig;
use serde_json::Value;

use super::asking::{Answer, failure_of, words};
use super::certificate;
use crate::catalog::{ProbeKind, StatusRange};
use crate::clock::Stopwatch;
use crate::health::{ProbeFailure, ProbeWarning};
use crate::limits::{PROBE_BODY_OCTETS_MAX, PROBE_CONNECTION_LIFE_MS};
use crate::units::{Micros, Moment};

/// Says who asks.
const USER_AGENT: &str = concat!("aya/", env!("CARGO_PKG_VERSION"));

/// A connection that is kept from one time to the next, and what is asked on it.
#[derive(Debug)]
pub(super) struct Kept {
    /// Whose connection it is.
    line: Line,
    /// Where it goes.
    target: SocketAddr,
    /// Until when it is used.
    until: Moment,
}

impl Kept {
    /// One that was just made. It lives for half of the longest time at least, and how much longer is another for each, so that connections which were made together are
    /// not made again together.
    fn new(line: Line, target: SocketAddr, now: Moment) -> Self {
        let mut hasher = DefaultHasher::new();
        (target, now).hash(&mut hasher);
        let half = PROBE_CONNECTION_LIFE_MS / 2;
        Self { line, target, until: now.plus_millis(half + hasher.finish() % half) }
    }

    /// Whether it may be used once more.
    fn is_good(&self, target: SocketAddr, now: Moment) -> bool {
        self.target == target && now < self.until
    }
}

/// A client that knows no address but the target's, and the request that it makes.
#[derive(Debug)]
struct Line {
    /// The client.
    client: Client,
    /// The request.
    request: Request,
}

/// Asks, and holds the answer against what the probe expects. `kind` is [`ProbeKind::Http`].
///
/// Where connections are kept, the one in `kept` is used if it is good, and put back if the answer passed. One that breaks is replaced at once: the
/// server may have closed it just now, which is no fault.
pub(super) async fn ask(
    target: SocketAddr,
    kind: &ProbeKind,
    config: &Arc<ClientConfig>,
    kept: &mut Option<Kept>,
    now: Moment,
) -> Result<Answer, ProbeFailure> {
    let watch = Stopwatch::start();
    if let Some(old) = kept.take().filter(|old| old.is_good(target, now)) {
        match ask_on(&old.line, kind, watch).await {
            Ok(answer) => {
                *kept = Some(old);
                return Ok(answer);
            }
            Err(ProbeFailure::Broken) => {}
            Err(failure) => return Err(failure),
        }
    }
    let line = Line::new(target, kind, config)?;
    let answer = ask_on(&line, kind, watch).await?;
    if kind.is_kept() {
        *kept = Some(Kept::new(line, target, now));
    }
    Ok(answer)
}

/// Asks on a line.
async fn ask_on(line: &Line, kind: &ProbeKind, watch: Stopwatch) -> Result<Answer, ProbeFailure> {
    let ProbeKind::Http { statuses, contains, json, first_byte_ms, keep_alive, .. } = kind else {
        return Err(ProbeFailure::NotAsked("no probe over HTTP".into()));
    };
    let request = line.request.try_clone().ok_or_else(|| ProbeFailure::NotAsked("the request cannot be made twice".into()))?;
    let mut response = line.client.execute(request).await.map_err(|error| failure_of(&error))?;
    let status = response.status().as_u16();
    if !statuses.iter().any(|range: &StatusRange| (range.first..=range.last).contains(&status)) {
        return Err(ProbeFailure::Status(status));
    }
    let shown = response.extensions().get::<TlsInfo>().and_then(TlsInfo::peer_certificate);
    let mut answer = Answer { expires: shown.and_then(certificate::end_of), warning: None };
    let is_judged = contains.is_some() || !json.is_empty();
    // A body that breaks off is a failure, a server that is heard out has nothing to complain of, and only then its connection serves again. But one
    // without a known length may be a stream without an end.
    let is_short = response.content_length().is_some_and(|octets| octets <= PROBE_BODY_OCTETS_MAX as u64);
    let is_heard_out = is_short || *keep_alive;
    if !is_judged && !is_heard_out && *first_byte_ms == 0 {
        return Ok(answer);
    }
    let mut body = Body::default();
    body.read(&mut response).await?;
    let after = watch.so_far();
    if *first_byte_ms > 0 && after > Micros::from_millis(i64::from(*first_byte_ms)) {
        answer.warning = Some(ProbeWarning::Late(after));
    }
    if is_judged {
        body.judge(&mut response, contains.as_deref(), json).await?;
    }
    while is_heard_out && body.read(&mut response).await? {}
    Ok(answer)
}

impl Line {
    /// A client of its own for one target: it costs microseconds, and knows nobody else's connections.
    fn new(target: SocketAddr, kind: &ProbeKind, config: &Arc<ClientConfig>) -> Result<Self, ProbeFailure> {
        let ProbeKind::Http { tls, method, body, keep_alive, .. } = kind else {
            return Err(ProbeFailure::NotAsked("no probe over HTTP".into()));
        };
        let (url, headers) = address(target, kind)?;
        let method = Method::from_bytes(method.as_bytes()).map_err(|error| ProbeFailure::NotAsked(words(&error)))?;
        let client = Client::builder()
            .tls_backend_preconfigured(ClientConfig::clone(config))
            .tls_info(*tls)
            .resolve(url.host_str().unwrap_or_default(), target)
            .redirect(redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .referer(false)
            .http1_only()
            .pool_max_idle_per_host(usize::from(*keep_alive))
            .pool_idle_timeout(None)
            .user_agent(USER_AGENT)
            .build()
            .map_err(|error| ProbeFailure::NotAsked(words(&error)))?;
        let mut request = client.request(method, url).headers(headers);
        if let Some(body) = body {
            request = request.body(body.to_string());
        }
        let request = request.build().map_err(|error| ProbeFailure::NotAsked(words(&error)))?;
        Ok(Self { client, request })
    }
}

/// The URL and the headers. The URL's host decides the server name and what the certificate must say; the `Host` header says exactly what
/// the specification says. A host that is itself an address cannot be resolved to another: then the URL names the target.
fn address(target: SocketAddr, kind: &ProbeKind) -> Result<(Url, HeaderMap), ProbeFailure> {
    let ProbeKind::Http { tls, path, host, headers, keep_alive, .. } = kind else {
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
    if !keep_alive {
        map.insert(CONNECTION, HeaderValue::from_static("close"));
    }
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

/// As much of a body as was read: at most [`PROBE_BODY_OCTETS_MAX`] octets.
#[derive(Debug, Default)]
struct Body {
    /// The octets.
    octets: Vec<u8>,
    /// Whether there are no more.
    is_over: bool,
    /// Whether there are more than are read.
    is_cut: bool,
}

impl Body {
    /// Reads what comes next; says whether there may be more that is to be read.
    async fn read(&mut self, response: &mut Response) -> Result<bool, ProbeFailure> {
        if self.is_over || self.is_cut {
            return Ok(false);
        }
        match response.chunk().await.map_err(|error| failure_of(&error))? {
            None => self.is_over = true,
            Some(chunk) => {
                let room = PROBE_BODY_OCTETS_MAX - self.octets.len();
                self.octets.extend_from_slice(&chunk[..chunk.len().min(room)]);
                self.is_cut = chunk.len() > room;
            }
        }
        Ok(!self.is_over && !self.is_cut)
    }

    /// Holds it against what it must have. Reads no further than it needs.
    async fn judge(&mut self, response: &mut Response, contains: Option<&str>, json: &[(Box<str>, Box<str>)]) -> Result<(), ProbeFailure> {
        let mut searched = 0;
        let mut has_text = contains.is_none();
        loop {
            has_text = has_text || contains.is_some_and(|text| has(&self.octets, text.as_bytes(), searched));
            if has_text && json.is_empty() {
                return Ok(());
            }
            searched = self.octets.len();
            if !self.read(response).await? && searched == self.octets.len() {
                break;
            }
        }
        if !has_text {
            return Err(ProbeFailure::Body(if self.is_cut { "the text is not in its first 64 KiB" } else { "the text is not in it" }.into()));
        }
        if self.is_cut {
            return Err(ProbeFailure::Body("it is longer than 64 KiB".into()));
        }
        let document: Value = serde_json::from_slice(&self.octets).map_err(|error| ProbeFailure::Body(words(&format!("not JSON: {error}"))))?;
        json.iter().try_for_each(|(pointer, expected)| judge_json(&document, pointer, expected))
    }
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
