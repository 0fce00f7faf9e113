//! Requests: the octets of a query, or why there are none (RFC 8484 §4.1).

use std::future::poll_fn;
use std::pin::Pin;

use hyper::body::{Body, Bytes, Frame, Incoming};
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE, EXPECT, HOST, HeaderMap};
use hyper::http::request::Parts;
use hyper::{Method, Version};

use super::response::Problem;
use crate::limits;
use crate::server::budget::{Budget, Charged};

/// The type of bodies (RFC 8484 §6).
pub(super) const MEDIA_TYPE: &str = "application/dns-message";

/// The query of one request.
pub(super) async fn query(head: &Parts, body: &mut Incoming, path: &str, budget: &Budget) -> Result<Charged, Problem> {
    if head.version == Version::HTTP_11 && head.headers.get_all(HOST).iter().count() != 1 {
        return Err(Problem::HOST);
    }
    if head.uri.path() != path {
        return Err(Problem::PATH);
    }
    match head.method {
        Method::GET | Method::HEAD => from_parameters(head.uri.query().unwrap_or_default(), budget),
        Method::POST => {
            check_type(&head.headers)?;
            from_body(body, budget).await
        }
        _ => Err(Problem::METHOD),
    }
}

/// Reads on a body that is not wanted, up to some length. Over HTTP/1.1 the connection ends after a response that comes early, and what its client
/// still sends then would reset it, and the response with it; over HTTP/2 some clients take an early response for an error of the stream. A
/// client that asked before it sent needs none of this.
pub(super) async fn pass_over(head: &Parts, body: &mut Incoming) {
    if head.headers.contains_key(EXPECT) {
        return;
    }
    let mut passed = 0;
    while let Some(Ok(frame)) = next(body).await {
        passed += frame.data_ref().map_or(0, Bytes::len);
        if passed > limits::HTTPS_PASSED_OVER_OCTETS_MAX {
            return;
        }
    }
}

/// The next part of a body.
async fn next(body: &mut Incoming) -> Option<hyper::Result<Frame<Bytes>>> {
    poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await
}

/// Refuses a body of another type, or one that must be decoded first.
fn check_type(headers: &HeaderMap) -> Result<(), Problem> {
    let essence = |value: &[u8]| value.split(|&octet| octet == b';').next().unwrap_or_default().trim_ascii().eq_ignore_ascii_case(MEDIA_TYPE.as_bytes());
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    if !types.next().is_some_and(|value| essence(value.as_bytes())) || types.next().is_some() {
        return Err(Problem::TYPE);
    }
    if headers.contains_key(CONTENT_ENCODING) {
        return Err(Problem::ENCODING);
    }
    Ok(())
}

/// The query of GET: the one parameter `dns`, in base64url without padding.
fn from_parameters(parameters: &str, budget: &Budget) -> Result<Charged, Problem> {
    let mut values = parameters.split('&').filter_map(|parameter| parameter.strip_prefix("dns="));
    let (Some(value), None) = (values.next(), values.next()) else { return Err(Problem::PARAMETER) };
    let octets = decode(value.as_bytes()).ok_or(Problem::BASE64)?;
    let mut share = budget.share();
    if !share.take(octets.len()) {
        return Err(Problem::UNREAD);
    }
    Ok(Charged { octets, share })
}

/// The query of POST: the body to its end, as long as it is no longer than a message can be.
async fn from_body(body: &mut Incoming, budget: &Budget) -> Result<Charged, Problem> {
    let is_too_large = |octets: usize| octets > limits::TCP_MESSAGE_MAX;
    if usize::try_from(body.size_hint().lower()).map_or(true, is_too_large) {
        return Err(Problem::LARGE);
    }
    let mut query = Charged { octets: Vec::new(), share: budget.share() };
    while let Some(frame) = next(body).await {
        // Trailers mean nothing here.
        let Ok(part) = frame.map_err(|_| Problem::BROKEN)?.into_data() else { continue };
        if is_too_large(query.octets.len() + part.len()) {
            return Err(Problem::LARGE);
        }
        if !query.share.take(part.len()) {
            return Err(Problem::UNREAD);
        }
        query.octets.extend_from_slice(&part);
    }
    Ok(query)
}

/// Decodes base64url without padding (RFC 4648 §5, §3.2). Strictly: other letters, a letter too many, and bits that stand for nothing are
/// errors, so that a query has one URL only.
fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let mut octets = Vec::with_capacity(text.len() / 4 * 3 + 2);
    for group in text.chunks(4) {
        let mut bits = 0_u32;
        for &letter in group {
            bits = bits << 6 | value(letter)?;
        }
        let [_, first, second, third] = (bits << (6 * (4 - group.len()))).to_be_bytes();
        match group.len() {
            4 => octets.extend([first, second, third]),
            3 if third == 0 => octets.extend([first, second]),
            2 if second == 0 && third == 0 => octets.push(first),
            _ => return None,
        }
    }
    Some(octets)
}

/// The six bits that a letter stands for.
fn value(letter: u8) -> Option<u32> {
    let value = match letter {
        b'A'..=b'Z' => letter - b'A',
        b'a'..=b'z' => letter - b'a' + 26,
        b'0'..=b'9' => letter - b'0' + 52,
        b'-' => 62,
        b'_' => 63,
        _ => return None,
    };
    Some(u32::from(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc4648_10_and_rfc8484_4_1_1_base64url_is_decoded() {
        for (text, expected) in [("", ""), ("Zg", "f"), ("Zm8", "fo"), ("Zm9v", "foo"), ("Zm9vYg", "foob"), ("Zm9vYmE", "fooba"), ("Zm9vYmFy", "foobar")] {
            assert_eq!(decode(text.as_bytes()).unwrap(), expected.as_bytes());
        }
        assert_eq!(decode(b"-_8").unwrap(), [0xfb, 0xff]);
        let query = decode(b"AAABAAABAAAAAAAAA3d3dwdleGFtcGxlA2NvbQAAAQAB").unwrap();
        assert_eq!((query.len(), &query[..2], &query[12..17]), (33, &[0, 0][..], &b"\x03www\x07"[..]));
    }

    #[test]
    fn a_query_has_one_text_only() {
        for text in ["Z", "Zg==", "Zg=", "Zm9vY", "Zh", "Zm9=", "Zm8+", "Zm/v", "Zm 8", "Zm8\n", "Zm9vYh", "%5a", "Zm8é"] {
            assert_eq!(decode(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn every_octet_survives() {
        /// RFC 4648 §5, table 2.
        const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let octets: Vec<u8> = (0..=255).collect();
        for len in 0..=octets.len() {
            let mut text = Vec::new();
            for group in octets[..len].chunks(3) {
                let bits = group.iter().fold(0_u32, |bits, &octet| bits << 8 | u32::from(octet)) << (8 * (3 - group.len()));
                text.extend((0..=group.len()).map(|at| LETTERS[(bits >> (18 - 6 * at) & 63) as usize]));
            }
            assert_eq!(decode(&text).unwrap(), octets[..len]);
        }
    }
}
