//! DNS over HTTPS (RFC 8484), over HTTP/2 and HTTP/1.1: threads with a small runtime each, as over TCP.
//!
//! A request becomes the octets of a query ([`request`]), the query goes to the same `answer()` as any other, and its reply is the body
//! of the response. What is no query is answered with a status and a problem document (RFC 9457), and counted.
//!
//! Invariants
//! - A connection has a seat from the moment that it is accepted, its TLS handshake included: at the caps the most idle goes, never
//!   the newcomer.
//! - What one connection holds in memory, queries that are not whole and replies that were not sent, is bounded by
//!   [`limits::HTTPS_HELD_OCTETS_MAX`], whatever windows its client opens.
//! - Every state has a deadline: handshake, head, request, idle connection, whole life, end.
//!
//! | RFC | what | state |
//! |---|---|---|
//! | 8484 §4.1 | GET with `dns=`, POST with a body, HEAD | done |
//! | 8484 §4.2.1 | 200 for whatever is a DNS message, other statuses for what is none | done |
//! | 8484 §5.1 | max-age: the smallest TTL, or SOA MINIMUM; errors are not stored | done |
//! | 8484 §5.2 | HTTP/2, by ALPN; HTTP/1.1 for who has no other | done |
//! | 9111 §5.2.2.7 | `private` on what was decided for this client | done |
//! | 9113 §5.1.2, §10.5 | streams, header lists, resets, pings: limited | done |

mod request;
mod response;

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use self::response::{Payload, Problem};
use super::budget::Budget;
use super::desk::Desk;
use super::seats::{Seated, Seats};
use super::tcp::crowd::{Caps, Crowd};
use super::{Edge, Stop, connections_max, supervise};
use crate::answer::Transport;
use crate::limits;
use crate::telemetry::Telemetry;
use crate::units::Moment;

/// Where queries are asked, if nothing else is said.
pub const PATH: &str = "/dns-query";

/// Starts a worker for each list of listeners. `tls` says how hands are shaken; its ALPN has `h2` and `http/1.1`. Queries are asked at
/// `path`.
///
/// # Errors
/// The system's, when a thread or a runtime cannot be had.
pub(super) fn start(
    listeners: Vec<Vec<TcpListener>>,
    tls: &Arc<rustls::ServerConfig>,
    path: &str,
    edge: &Edge,
    telemetry: &Telemetry,
    stop: &Arc<Stop>,
) -> io::Result<Vec<JoinHandle<()>>> {
    let limits = Limits::default();
    let crowd = Arc::new(Crowd::new(limits.caps));
    let mut threads = Vec::with_capacity(listeners.len());
    for (index, listeners) in listeners.into_iter().enumerate() {
        let (edge, counters, crowd, acceptor) = (edge.clone(), telemetry.counters(Transport::Https), Arc::clone(&crowd), TlsAcceptor::from(Arc::clone(tls)));
        let (tally, kept, path) = (Arc::clone(&counters.tally), RefCell::new(listeners), Box::<str>::from(path));
        threads.push(supervise::start(format!("aya-https-{index}"), stop, tally, async move |stopped| {
            let seats = Rc::new(Seats::new(Arc::clone(&crowd), edge.clock.clone(), Arc::clone(&counters.tally)));
            let desk = RefCell::new(Desk::new(&edge, counters.clone()));
            let worker = Rc::new(Worker { acceptor: acceptor.clone(), path: path.clone(), desk, seats, limits });
            serve(&kept, worker, stopped).await
        })?);
    }
    Ok(threads)
}

/// The limits of one worker; tests lower them.
#[derive(Clone, Copy, Debug)]
struct Limits {
    /// Connections.
    caps: Caps,
    /// How long shaking hands may take.
    handshake: Duration,
    /// How long one request may take, head or body.
    request: Duration,
    /// How long a connection may be without a whole query.
    idle_ms: u64,
    /// How long a connection may live.
    life: Duration,
    /// How long a connection that was told to end may take to.
    close: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            caps: Caps { total: connections_max(), per_prefix: limits::TCP_CONNECTIONS_PER_PREFIX_MAX },
            handshake: Duration::from_millis(limits::TLS_HANDSHAKE_MS),
            request: Duration::from_millis(limits::TCP_MESSAGE_MS),
            idle_ms: limits::TCP_IDLE_MS,
            life: Duration::from_millis(limits::HTTPS_CONNECTION_MS),
            close: Duration::from_millis(limits::HTTPS_CLOSE_MS),
        }
    }
}

/// What all connections of one thread share.
struct Worker {
    /// Shakes hands.
    acceptor: TlsAcceptor,
    /// Where queries are asked.
    path: Box<str>,
    /// Where they are answered.
    desk: RefCell<Desk>,
    /// Who is connected.
    seats: Rc<Seats>,
    /// Its limits.
    limits: Limits,
}

/// Serves all listeners until told to stop, then drains.
///
/// # Errors
/// The system's, when the listeners cannot be listened on.
async fn serve(kept: &RefCell<Vec<TcpListener>>, worker: Rc<Worker>, stopped: watch::Receiver<bool>) -> io::Result<()> {
    let (attending, stopping) = (Rc::clone(&worker), stopped.clone());
    let attend = move |stream, peer, seat| attend(stream, peer, seat, Rc::clone(&attending), stopping.clone());
    worker.seats.serve(kept, stopped, || worker.desk.borrow_mut().look(), attend).await
}

/// One connection, from its seat to the end.
async fn attend(stream: TcpStream, peer: SocketAddr, seat: Seated, worker: Rc<Worker>, stopped: watch::Receiver<bool>) {
    let _ = stream.set_nodelay(true);
    let seat = Rc::new(seat);
    let shaken = seat.keeps(timeout(worker.limits.handshake, worker.acceptor.accept(stream))).await;
    let Some(Ok(Ok(stream))) = shaken else { return worker.seats.tally().count_handshake_failed() };
    let active = Cell::new(worker.seats.now());
    let client = Client { source: peer.ip(), seat: Rc::clone(&seat), worker, active, budget: Budget::new(limits::HTTPS_HELD_OCTETS_MAX) };
    // Who was told to go is not spoken to any more.
    let _ = seat.keeps(Box::pin(converse(stream, Rc::new(client), stopped))).await;
}

/// Speaks the version of HTTP that the handshake agreed on; who agreed on none speaks HTTP/1.1.
async fn converse(stream: TlsStream<TcpStream>, client: Rc<Client>, stopped: watch::Receiver<bool>) {
    let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let answering = Rc::clone(&client);
    let service = service_fn(move |request| {
        let client = Rc::clone(&answering);
        async move { Ok::<_, Infallible>(client.respond(request).await) }
    });
    let io = TokioIo::new(stream);
    if is_http2 {
        hold(second_version().serve_connection(io, service), &client, stopped).await;
    } else {
        hold(first_version(client.worker.limits.request).serve_connection(io, service), &client, stopped).await;
    }
}

/// HTTP/1.1 with limits. The head of a request must be there in time, that of the first as that of the next.
fn first_version(patience: Duration) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(patience.max(Duration::from_millis(limits::TCP_IDLE_MS)))
        .max_headers(limits::HTTPS_HEADERS_MAX)
        .max_buf_size(limits::HTTPS_HEAD_OCTETS_MAX);
    builder
}

/// HTTP/2 with limits (RFC 9113 §10.5): streams, the size of heads, resets of streams that nobody answered yet or that were wrong
/// (CVE-2023-44487, CVE-2025-8671), and clients that do not answer pings.
fn second_version() -> http2::Builder<OnThisThread> {
    let mut builder = http2::Builder::new(OnThisThread);
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits::HTTPS_STREAMS_MAX)
        .max_header_list_size(limits::HTTPS_HEADER_LIST_OCTETS_MAX)
        .max_pending_accept_reset_streams(limits::HTTPS_RESETS_MAX)
        .max_local_error_reset_streams(limits::HTTPS_RESETS_MAX)
        .initial_stream_window_size(limits::HTTPS_STREAM_WINDOW_OCTETS)
        .initial_connection_window_size(limits::HTTPS_CONNECTION_WINDOW_OCTETS)
        .keep_alive_interval(Duration::from_millis(limits::HTTPS_PING_MS))
        .keep_alive_timeout(Duration::from_millis(limits::HTTPS_PING_ANSWER_MS));
    builder
}

/// Runs the tasks of streams on the thread of their connection. There are as many as [`limits::HTTPS_STREAMS_MAX`] allows.
#[derive(Clone, Copy, Debug)]
struct OnThisThread;

impl<F: Future<Output: 'static> + 'static> Executor<F> for OnThisThread {
    fn execute(&self, task: F) {
        tokio::task::spawn_local(task);
    }
}

/// A connection that can be told to end.
trait Closing: Future {
    /// Answers what is under way, takes nothing new.
    fn close_gracefully(self: Pin<&mut Self>);
}

impl<S> Closing for http1::Connection<TokioIo<TlsStream<TcpStream>>, S>
where
    S: hyper::service::HttpService<Incoming, ResBody = Payload>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    fn close_gracefully(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

impl<S> Closing for http2::Connection<TokioIo<TlsStream<TcpStream>>, S, OnThisThread>
where
    S: hyper::service::HttpService<Incoming, ResBody = Payload>,
    S::Future: 'static,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    fn close_gracefully(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

/// Serves a connection until it ends by itself, has been idle or has lived for too long, or the node stops.
async fn hold(connection: impl Closing, client: &Client, mut stopped: watch::Receiver<bool>) {
    let mut connection = pin!(connection);
    let limits = &client.worker.limits;
    let mut life = pin!(tokio::time::sleep(limits.life));
    loop {
        tokio::select! {
            _ = connection.as_mut() => return,
            _ = stopped.wait_for(|stopped| *stopped) => break,
            () = life.as_mut() => break,
            () = tokio::time::sleep(client.patience()) => if client.patience().is_zero() {
                break;
            },
        }
    }
    connection.as_mut().close_gracefully();
    let _ = timeout(limits.close, connection).await;
}

/// Who is at the other end of one connection.
struct Client {
    /// The address.
    source: IpAddr,
    /// The seat.
    seat: Rc<Seated>,
    /// What it shares with the others.
    worker: Rc<Worker>,
    /// When it last sent a whole query, or came.
    active: Cell<Moment>,
    /// What it may have us hold.
    budget: Budget,
}

impl Client {
    /// How long it may take from now until its next query is whole.
    fn patience(&self) -> Duration {
        let idle_ms = self.worker.seats.now().millis_since(self.active.get());
        Duration::from_millis(self.worker.limits.idle_ms.saturating_sub(idle_ms))
    }

    /// The response to one request, whatever it is.
    async fn respond(&self, request: Request<Incoming>) -> Response<Payload> {
        let is_head = request.method() == Method::HEAD;
        let patience = self.worker.limits.request;
        let (head, mut body) = request.into_parts();
        let asked = timeout(patience, request::query(&head, &mut body, &self.worker.path, &self.budget)).await;
        if matches!(asked, Ok(Err(_))) {
            let _ = timeout(patience, request::pass_over(&head, &mut body)).await;
        }
        let answered = match asked {
            Ok(Ok(query)) => self.answer(query.as_ref()),
            Ok(Err(problem)) => Err(problem),
            Err(_late) => Err(Problem::LATE),
        };
        let response = answered.unwrap_or_else(|problem| {
            self.worker.seats.tally().count_rejected();
            problem.response()
        });
        if is_head { response::without_body(response) } else { response }
    }

    /// Answers one query.
    fn answer(&self, query: &[u8]) -> Result<Response<Payload>, Problem> {
        let desk = &mut *self.worker.desk.borrow_mut();
        let Ok((reply, outcome)) = desk.answer(query, self.source) else { return Err(Problem::PANICKED) };
        if reply.is_empty() {
            return Err(Problem::NO_QUERY);
        }
        self.active.set(self.worker.seats.now());
        self.seat.touch();
        let mut share = self.budget.share();
        if !share.take(reply.len()) {
            return Err(Problem::UNREAD);
        }
        Ok(response::reply(reply, outcome.steered.is_some(), share))
    }
}

#[cfg(test)]
mod tests;
