//! Responses: a DNS message with how long it may be kept, or a problem.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::body::{Body, Bytes, Frame, SizeHint};
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use serde::Serialize;

use super::request::MEDIA_TYPE;
use crate::server::budget::{Charged, Share};
use crate::wire;

/// The response that carries a reply. What was decided for this client is not for others, not even where a cache serves several (RFC 9111
/// §5.2.2.7): the URL says nothing about the client's address. What has no TTL is not stored at all.
pub(super) fn reply(reply: &[u8], is_steered: bool, share: Share) -> Response<Payload> {
    let cache = match (wire::freshness(reply), is_steered) {
        (None, _) => HeaderValue::from_static("no-store"),
        (Some(seconds), true) => text(format!("private, max-age={seconds}")),
        (Some(seconds), false) => text(format!("max-age={seconds}")),
    };
    let mut response = Response::new(Payload::charged(Charged { octets: reply.to_vec(), share }));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
    response.headers_mut().insert(CACHE_CONTROL, cache);
    response
}

/// The response to HEAD: what GET gets, without the body (RFC 9110 §9.3.2).
pub(super) fn without_body(response: Response<Payload>) -> Response<Payload> {
    let (mut head, body) = response.into_parts();
    head.headers.insert(CONTENT_LENGTH, text(body.len().to_string()));
    Response::from_parts(head, Payload::default())
}

/// A value of letters and digits.
fn text(value: String) -> HeaderValue {
    HeaderValue::try_from(value).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// Why a request is not answered with a DNS message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    /// The status.
    status: StatusCode,
    /// What is wrong with this request.
    detail: &'static str,
}

impl Problem {
    /// Another path.
    pub(super) const PATH: Self = Self::new(StatusCode::NOT_FOUND, "there is nothing at this path; DNS queries are asked at the path of the URI template");
    /// Another method.
    pub(super) const METHOD: Self = Self::new(StatusCode::METHOD_NOT_ALLOWED, "DNS queries are asked by GET or POST");
    /// No authority (RFC 9112 §3.2).
    pub(super) const HOST: Self = Self::new(StatusCode::BAD_REQUEST, "a request of HTTP/1.1 has exactly one host");
    /// GET without a query.
    pub(super) const PARAMETER: Self = Self::new(StatusCode::BAD_REQUEST, "GET takes exactly one parameter \"dns\"");
    /// GET with something else.
    pub(super) const BASE64: Self = Self::new(StatusCode::BAD_REQUEST, "the parameter \"dns\" is no base64url without padding (RFC 8484, section 6)");
    /// POST with something else.
    pub(super) const TYPE: Self = Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "the body of POST is of the type application/dns-message");
    /// POST with something that must be decoded first.
    pub(super) const ENCODING: Self = Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "the body of POST has no content coding");
    /// A body that can be no DNS message.
    pub(super) const LARGE: Self = Self::new(StatusCode::PAYLOAD_TOO_LARGE, "a DNS message has 65,535 octets at most");
    /// A body that broke off.
    pub(super) const BROKEN: Self = Self::new(StatusCode::BAD_REQUEST, "the body cannot be read to its end");
    /// A request that is not whole in time.
    pub(super) const LATE: Self = Self::new(StatusCode::REQUEST_TIMEOUT, "the request took too long");
    /// Octets that are no query.
    pub(super) const NO_QUERY: Self = Self::new(StatusCode::BAD_REQUEST, "this is no DNS query: it is shorter than a header, or says that it is a response");
    /// More is under way on this connection than is held for one.
    pub(super) const UNREAD: Self =
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "too much of this connection is under way: responses are not read, or bodies not ended");
    /// A defect.
    pub(super) const PANICKED: Self = Self::new(StatusCode::INTERNAL_SERVER_ERROR, "answering failed; this is a defect");

    /// Of a status.
    const fn new(status: StatusCode, detail: &'static str) -> Self {
        Self { status, detail }
    }

    /// The problem document (RFC 9457 §3). It is about one request, and not to be kept.
    pub(super) fn response(self) -> Response<Payload> {
        /// Its members, in the order of the admin API's.
        #[derive(Serialize)]
        struct Document {
            /// The status again.
            status: u16,
            /// The status in words.
            title: &'static str,
            /// What is wrong with this request.
            detail: &'static str,
        }
        let document = Document { status: self.status.as_u16(), title: self.status.canonical_reason().unwrap_or("Error"), detail: self.detail };
        // Numbers and texts always become JSON; without them the status still says what there is to say.
        let body = serde_json::to_vec(&document).unwrap_or_default();
        let mut response = Response::new(Payload::of(body));
        *response.status_mut() = self.status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if self.status == StatusCode::METHOD_NOT_ALLOWED {
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD, POST"));
        }
        response
    }
}

/// A body that is there at once.
#[derive(Debug, Default)]
pub(super) struct Payload(Bytes);

impl Payload {
    /// Of octets that a budget is charged for until they are sent.
    fn charged(octets: Charged) -> Self {
        Self(Bytes::from_owner(octets))
    }

    /// Of octets.
    fn of(octets: Vec<u8>) -> Self {
        Self(octets.into())
    }

    /// Octets left.
    fn len(&self) -> usize {
        self.0.len()
    }
}

impl Body for Payload {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let octets = std::mem::take(&mut self.0);
        Poll::Ready((!octets.is_empty()).then(|| Ok(Frame::data(octets))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(u64::try_from(self.0.len()).unwrap_or(u64::MAX))
    }
}
