//! A client of DNS over HTTPS in either version of HTTP, and one that writes octets as it likes.

use std::net::SocketAddr;

use axum::body::{Body, Bytes, to_bytes};
use hyper::client::conn::{http1, http2};
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HOST, HeaderMap};
use hyper::{Method, Request, StatusCode, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::encrypted::{Fixture, NAME, client};
use crate::soon;

/// The type of DNS messages.
pub const DNS_MESSAGE: &str = "application/dns-message";

/// A connection on which requests are sent one after the other.
pub struct Http {
    sender: Sender,
}

enum Sender {
    One(http1::SendRequest<Body>),
    Two(http2::SendRequest<Body>),
}

/// What is sent.
#[derive(Clone, Debug)]
pub struct Sent {
    pub method: Method,
    pub target: String,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
}

/// What comes back.
#[derive(Debug)]
pub struct Got {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Got {
    pub fn header(&self, name: impl hyper::header::AsHeaderName) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub fn cache(&self) -> &str {
        self.header(CACHE_CONTROL)
    }

    pub fn is_dns(&self) -> bool {
        self.status == StatusCode::OK && self.header(CONTENT_TYPE) == DNS_MESSAGE
    }

    /// Whether this is a problem document of its own status.
    pub fn is_problem(&self) -> bool {
        let document: Result<serde_json::Value, _> = serde_json::from_slice(&self.body);
        self.header(CONTENT_TYPE) == "application/problem+json"
            && document.is_ok_and(|document| document["status"] == self.status.as_u16())
            && self.cache() == "no-store"
    }
}

/// GET of a query.
pub fn get(query: &[u8]) -> Sent {
    Sent { method: Method::GET, target: format!("/dns-query?dns={}", base64url(query)), headers: Vec::new(), body: Vec::new() }
}

/// POST of a query.
pub fn post(query: &[u8]) -> Sent {
    Sent { method: Method::POST, target: "/dns-query".into(), headers: vec![("content-type", DNS_MESSAGE.into())], body: query.to_vec() }
}

/// Base64url without padding, as the table of RFC 4648 §5 has it.
pub fn base64url(octets: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for group in octets.chunks(3) {
        let bits = group.iter().fold(0_u32, |bits, &octet| bits << 8 | u32::from(octet)) << (8 * (3 - group.len()));
        text.extend((0..=group.len()).map(|at| char::from(LETTERS[(bits >> (18 - 6 * at) & 63) as usize])));
    }
    text
}

/// A TLS connection that offers these names.
pub async fn connect(server: SocketAddr, certificate: &CertificateDer<'static>, alpn: &[&[u8]]) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(server).await?;
    stream.set_nodelay(true)?;
    TlsConnector::from(client(certificate, alpn)).connect(ServerName::try_from(NAME).unwrap(), stream).await
}

impl Http {
    /// Speaks this version to the node.
    pub async fn connect(fixture: &Fixture, version: Version) -> Self {
        Self::try_connect(fixture.node.https_addresses()[0], &fixture.certificate, version).await.unwrap()
    }

    pub async fn try_connect(server: SocketAddr, certificate: &CertificateDer<'static>, version: Version) -> std::io::Result<Self> {
        let name: &[u8] = if version == Version::HTTP_2 { b"h2" } else { b"http/1.1" };
        let stream = soon(connect(server, certificate, &[name])).await?;
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(name));
        let sender = if version == Version::HTTP_2 {
            let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.map_err(std::io::Error::other)?;
            tokio::spawn(connection);
            Sender::Two(sender)
        } else {
            let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(std::io::Error::other)?;
            tokio::spawn(connection);
            Sender::One(sender)
        };
        Ok(Self { sender })
    }

    pub async fn send(&mut self, sent: &Sent) -> Got {
        self.try_send(sent).await.unwrap()
    }

    pub async fn try_send(&mut self, sent: &Sent) -> hyper::Result<Got> {
        let mut request = Request::builder().method(sent.method.clone());
        request = match &self.sender {
            Sender::One(_) => request.uri(&sent.target).header(HOST, NAME),
            Sender::Two(_) => request.uri(format!("https://{NAME}{}", sent.target)),
        };
        for (name, value) in &sent.headers {
            request = request.header(*name, value);
        }
        let request = request.body(Body::from(sent.body.clone())).unwrap();
        let response = match &mut self.sender {
            Sender::One(sender) => {
                soon(sender.ready()).await?;
                soon(sender.send_request(request)).await?
            }
            Sender::Two(sender) => {
                soon(sender.ready()).await?;
                soon(sender.send_request(request)).await?
            }
        };
        let (head, body) = response.into_parts();
        let body = soon(to_bytes(Body::new(body), 1 << 20)).await.unwrap();
        Ok(Got { status: head.status, headers: head.headers, body })
    }
}

/// So that a test that has a fixture needs to say no more.
pub async fn raw(fixture: &Fixture, alpn: &'static [u8]) -> TlsStream<TcpStream> {
    soon(connect(fixture.node.https_addresses()[0], &fixture.certificate, &[alpn])).await.unwrap()
}
