//! The smallest HTTP there is: enough for the demo's regional services and its own control port, on loopback only.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

/// Longest request head that is read, in octets.
const HEAD_OCTETS_MAX: usize = 4096;
/// A request must be there, and its answer taken, within this time.
const EXCHANGE_TIME: Duration = Duration::from_secs(2);
/// Connections of one listener at once.
const CONNECTIONS_MAX: usize = 256;

/// A request, as far as the demo looks at it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Request {
    /// For instance `GET`.
    pub(super) method: String,
    /// For instance `/healthz`.
    pub(super) path: String,
}

/// An answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Response {
    /// The status code.
    pub(super) status: u16,
    /// `Content-Type`.
    pub(super) content_type: &'static str,
    /// The body.
    pub(super) body: String,
}

impl Response {
    /// A text for people.
    pub(super) fn text(status: u16, body: impl Into<String>) -> Self {
        Self { status, content_type: "text/plain; charset=utf-8", body: body.into() }
    }

    /// A JSON document.
    pub(super) fn json(body: String) -> Self {
        Self { status: 200, content_type: "application/json", body }
    }
}

/// Serves a listener for ever, one request a connection. Dropping the future closes the listener: further connections are refused.
pub(super) async fn serve<H, F>(listener: TcpListener, handle: H)
where
    H: Fn(Request) -> F + Send + Sync + 'static,
    F: Future<Output = Response> + Send + 'static,
{
    let handle = Arc::new(handle);
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            // No descriptors, most likely: let the others finish first.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let handle = Arc::clone(&handle);
        tokio::spawn(async move {
            // A client that breaks off is none of our business.
            let _ = tokio::time::timeout(EXCHANGE_TIME, exchange(stream, &*handle)).await;
            drop(place);
        });
    }
}

/// One request and its answer; then the connection is closed.
async fn exchange<H, F>(mut stream: TcpStream, handle: &H) -> std::io::Result<()>
where
    H: Fn(Request) -> F,
    F: Future<Output = Response>,
{
    let mut head = Vec::with_capacity(512);
    while !head.windows(4).any(|four| four == b"\r\n\r\n") && head.len() < HEAD_OCTETS_MAX {
        if stream.read_buf(&mut head).await? == 0 {
            break;
        }
    }
    let response = match request_of(&head) {
        Some(request) => handle(request).await,
        None => Response::text(400, "not a request\n"),
    };
    let reply = format!(
        "HTTP/1.1 {} {}\r\nContent-Type: {}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{}",
        response.status,
        if response.status < 400 { "OK" } else { "Error" },
        response.content_type,
        response.body.len(),
        response.body
    );
    stream.write_all(reply.as_bytes()).await?;
    stream.shutdown().await
}

/// The request of a head, if it is one.
fn request_of(head: &[u8]) -> Option<Request> {
    let line = head.split(|octet| *octet == b'\r').next()?;
    let mut words = std::str::from_utf8(line).ok()?.split(' ');
    let (method, path, version) = (words.next()?, words.next()?, words.next()?);
    version.starts_with("HTTP/1.").then(|| Request { method: method.to_owned(), path: path.to_owned() })
}

/// Sends a request without a body and returns status and body.
///
/// # Errors
/// When nobody listens there, or what answers is not HTTP.
pub(super) async fn ask(address: SocketAddr, method: &str, path: &str) -> std::io::Result<(u16, String)> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").as_bytes()).await?;
    let mut reply = String::new();
    stream.take(1 << 20).read_to_string(&mut reply).await?;
    let status = reply.split(' ').nth(1).and_then(|word| word.parse().ok());
    let body = reply.split_once("\r\n\r\n").map(|(_, body)| body.to_owned());
    status.zip(body).ok_or_else(|| std::io::Error::other("the answer is not HTTP"))
}
