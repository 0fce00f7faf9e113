//! An HTTP request to one address, and what the answer must be like.
//!
//! hyper's connection and nothing around it: a probe knows its address, follows nothing and shares its connection with nobody, so that a client's resolver, pool
//! and layers would only cost it. The connection is driven by whoever asks on it, in the same task; between two turns it lies still.

use std::future::poll_fn;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use hyper::body::{Body as _, Incoming};
use hyper::client::conn::http1::{self, Connection, SendRequest};
use hyper::header::{ACCEPT, CONNECTION, HOST, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use hyper::{Method, Request, Response, Uri};
use hyper_util::rt::TokioIo;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use rustls::ClientConfig;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};

use super::asking::{Answer, failure_of, words};
use super::{tcp, tls};
use crate::catalog::{ProbeKind, StatusRange};
use crate::clock::Stopwatch;
use crate::health::{ProbeFailure, ProbeWarning};
use crate::limits::{PROBE_BODY_OCTETS_MAX, PROBE_CONNECTION_LIFE_MS, PROBE_HEAD_OCTETS_MAX};
use crate::units::{Micros, Moment};

/// Says who asks.
const WHO_ASKS: &str = concat!("aya/", env!("CARGO_PKG_VERSION"));

/// A connection that is kept from one time to the next, and what is asked on it.
pub(super) struct Kept {
    /// The connection.
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

/// What HTTP is spoken over: TCP, or TLS.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// A connection, and the request that is made on it.
struct Line {
    /// Takes requests.
    sender: SendRequest<String>,
    /// What must be driven for anything to happen; `None` when it is over.
    connection: Option<Connection<TokioIo<Box<dyn Stream>>, String>>,
    /// The request.
    request: Request<String>,
    /// When the certificate that was shown ends; `None` without TLS, too.
    expires: Option<Moment>,
    /// Whether it is over TLS.
    is_tls: bool,
    /// Whether it may be asked on once more: it is to be kept, both sides have left it open, and nothing of an answer is left in it.
    serves_again: bool,
}

/// What came of an answer that passed.
struct Heard {
    /// What is amiss.
    warning: Option<ProbeWarning>,
    /// Whether it was read to its end.
    is_whole: bool,
}

/// Says goodbye over TLS, so that the server logs no broken connection; as far as that is possible at once.
impl Drop for Line {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take().filter(|_| self.is_tls) {
            let mut stream = connection.into_parts().io.into_inner();
            let _ = Pin::new(&mut stream).poll_shutdown(&mut Context::from_waker(Waker::noop()));
        }
    }
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
    if let Some(mut old) = kept.take().filter(|old| old.is_good(target, now)) {
        match old.line.ask(kind, watch).await {
            Ok(answer) => {
                *kept = Some(old).filter(|old| old.line.serves_again);
                return Ok(answer);
            }
            // A server that closes an idle connection may say so (RFC 9110 §15.5.9).
            Err(ProbeFailure::Broken | ProbeFailure::Status(408)) => {}
            Err(failure) => return Err(failure),
        }
    }
    let mut line = Line::new(target, kind, config).await?;
    let answer = line.ask(kind, watch).await?;
    if line.serves_again {
        *kept = Some(Kept::new(line, target, now));
    }
    Ok(answer)
}

impl Line {
    /// Connects.
    async fn new(target: SocketAddr, kind: &ProbeKind, config: &Arc<ClientConfig>) -> Result<Self, ProbeFailure> {
        let ProbeKind::Http { tls, host, .. } = kind else {
            return Err(ProbeFailure::NotAsked("no probe over HTTP".into()));
        };
        let request = request(kind)?;
        let (stream, expires): (Box<dyn Stream>, _) = if *tls {
            let stream = tls::connect(target, host, config).await?;
            let expires = tls::end_of_shown(&stream);
            (Box::new(stream), expires)
        } else {
            (Box::new(tcp::ask(target).await?), None)
        };
        let made = http1::Builder::new().max_buf_size(PROBE_HEAD_OCTETS_MAX).handshake(TokioIo::new(stream)).await;
        let (sender, connection) = made.map_err(|error| failure_of(&error))?;
        Ok(Self { sender, connection: Some(connection), request, expires, is_tls: *tls, serves_again: false })
    }

    /// Asks on it.
    async fn ask(&mut self, kind: &ProbeKind, watch: Stopwatch) -> Result<Answer, ProbeFailure> {
        let Heard { warning, is_whole } = self.drive(kind, watch).await?;
        self.serves_again = kind.is_kept() && is_whole && self.connection.is_some() && !self.sender.is_closed();
        Ok(Answer { expires: self.expires, warning })
    }

    /// Asks, and drives the connection meanwhile.
    async fn drive(&mut self, kind: &ProbeKind, watch: Stopwatch) -> Result<Heard, ProbeFailure> {
        let Self { sender, connection, request, .. } = self;
        let mut asking = pin!(ask_by(sender, request.clone(), kind, watch));
        poll_fn(|context| {
            loop {
                if let done @ Poll::Ready(_) = asking.as_mut().poll(context) {
                    return done;
                }
                // What ended it is told to whoever waits for the answer.
                let Some(moving) = connection else { return Poll::Pending };
                if Pin::new(moving).poll(context).is_pending() {
                    return Poll::Pending;
                }
                *connection = None;
            }
        })
        .await
    }
}

/// Asks by a sender whose connection somebody drives; says what is amiss with an answer that passes.
async fn ask_by(sender: &mut SendRequest<String>, request: Request<String>, kind: &ProbeKind, watch: Stopwatch) -> Result<Heard, ProbeFailure> {
    let ProbeKind::Http { statuses, contains, json, first_byte_ms, keep_alive, .. } = kind else {
        return Err(ProbeFailure::NotAsked("no probe over HTTP".into()));
    };
    sender.ready().await.map_err(|error| failure_of(&error))?;
    let mut response = sender.send_request(request).await.map_err(|error| failure_of(&error))?;
    let status = response.status().as_u16();
    if !statuses.iter().any(|range: &StatusRange| (range.first..=range.last).contains(&status)) {
        return Err(ProbeFailure::Status(status));
    }
    let is_judged = contains.is_some() || !json.is_empty();
    // A body that breaks off is a failure, a server that is heard out has nothing to complain of, and only then its connection serves again. But one
    // without a known length may be a stream without an end.
    let is_short = response.body().size_hint().exact().is_some_and(|octets| octets <= PROBE_BODY_OCTETS_MAX as u64);
    let is_heard_out = is_short || *keep_alive;
    if !is_judged && !is_heard_out && *first_byte_ms == 0 {
        return Ok(Heard { warning: None, is_whole: false });
    }
    let mut body = Body::default();
    body.read(&mut response).await?;
    let after = watch.so_far();
    let is_late = *first_byte_ms > 0 && after > Micros::from_millis(i64::from(*first_byte_ms));
    if is_judged {
        body.judge(&mut response, contains.as_deref(), json).await?;
    }
    while is_heard_out && body.read(&mut response).await? {}
    Ok(Heard { warning: is_late.then_some(ProbeWarning::Late(after)), is_whole: body.is_over })
}

/// The request. The `Host` header says exactly what the specification says.
fn request(kind: &ProbeKind) -> Result<Request<String>, ProbeFailure> {
    let ProbeKind::Http { method, path, host, headers, body, keep_alive, .. } = kind else {
        return Err(ProbeFailure::NotAsked("no probe over HTTP".into()));
    };
    let mut map = HeaderMap::with_capacity(headers.len() + 4);
    map.insert(HOST, HeaderValue::from_str(host).map_err(|error| ProbeFailure::NotAsked(words(&error)))?);
    map.insert(USER_AGENT, HeaderValue::from_static(WHO_ASKS));
    map.insert(ACCEPT, HeaderValue::from_static("*/*"));
    if !keep_alive {
        map.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    let ours: Vec<HeaderName> = map.keys().cloned().collect();
    for (name, value) in headers {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|error| ProbeFailure::NotAsked(words(&error)))?;
        let value = HeaderValue::from_str(value).map_err(|error| ProbeFailure::NotAsked(words(&error)))?;
        if ours.contains(&name) {
            map.insert(name, value);
        } else {
            map.append(name, value);
        }
    }
    let mut request = Request::new(body.as_deref().unwrap_or_default().to_owned());
    *request.method_mut() = Method::from_bytes(method.as_bytes()).map_err(|error| ProbeFailure::NotAsked(words(&error)))?;
    *request.uri_mut() = target_of(path)?;
    *request.headers_mut() = map;
    Ok(request)
}

/// What may not stand in a path or query (RFC 3986 §2.2, §2.3).
const UNSENDABLE: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'<').add(b'>').add(b'\\').add(b'^').add(b'`').add(b'{').add(b'|').add(b'}');

/// A path and query as a request has it.
fn target_of(path: &str) -> Result<Uri, ProbeFailure> {
    let encoded = utf8_percent_encode(path, UNSENDABLE).to_string();
    encoded.parse().map_err(|error: hyper::http::uri::InvalidUri| ProbeFailure::NotAsked(words(&error)))
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
    async fn read(&mut self, response: &mut Response<Incoming>) -> Result<bool, ProbeFailure> {
        if self.is_over || self.is_cut {
            return Ok(false);
        }
        let body = response.body_mut();
        match poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await {
            None => self.is_over = true,
            Some(frame) => {
                // What is no data are trailers, behind which nothing comes.
                let chunk = frame.map_err(|error| failure_of(&error))?.into_data().unwrap_or_default();
                let room = PROBE_BODY_OCTETS_MAX - self.octets.len();
                self.octets.extend_from_slice(&chunk[..chunk.len().min(room)]);
                self.is_cut = chunk.len() > room;
            }
        }
        Ok(!self.is_over && !self.is_cut)
    }

    /// Holds it against what it must have. Reads no further than it needs.
    async fn judge(&mut self, response: &mut Response<Incoming>, contains: Option<&str>, json: &[(Box<str>, Box<str>)]) -> Result<(), ProbeFailure> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_sent_as_it_is_written_but_for_what_may_not_stand_there() {
        assert_eq!(target_of("/a/../b?c=%20d&e='f'").map(|uri| uri.to_string()), Ok("/a/../b?c=%20d&e='f'".to_owned()));
        assert_eq!(target_of("/{\"q\":<1>|`\\^}").map(|uri| uri.to_string()), Ok("/%7B%22q%22:%3C1%3E%7C%60%5C%5E%7D".to_owned()));
    }
}
