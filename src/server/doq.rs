//! DNS over QUIC (RFC 9250): for each listening address one socket and one thread with a small runtime of its own, on quinn.
//!
//! One endpoint holds all connections of an address, whatever port a client comes from; so there is one thread, where TCP has one for each
//! core. A connection carries a stream for each query ([`stream`]).
//!
//! ```text
//!             ┌── address validated ──► seat ──► hands are shaken ──┐
//! Initial ──► ├── few are shaking ────► hands are shaken ──► seat ──┼──► streams ──► closed: idle, old, evicted, in error, drained
//!             └── many are ───────────► Retry: come again with a token
//! ```
//!
//! Invariants
//! - Who has not shown that it receives what is sent to its address has no seat, so that nobody is told to go for a forged one. At most
//!   [`limits::QUIC_UNVALIDATED_MAX`] such handshakes are under way; beyond, a Retry costs no memory (RFC 9000 §8.1.2).
//! - What one connection holds in memory is bounded by [`limits::QUIC_HELD_OCTETS_MAX`] either way, and tasks by the number of streams.
//! - Every state has a deadline: handshake, query, reply, idle connection, whole life.
//!
//! There is no 0-RTT: a query in it could be sent again by anybody on the way, to see what the node does (RFC 9250 §7.1, §9.1), and
//! connections are there to be kept. Nor is there migration: a resolver stays where it is, and answers depend on where it is.
//!
//! | RFC | what | state |
//! |---|---|---|
//! | 9250 §4.1 | ALPN `doq` | done |
//! | 9250 §4.2, §4.2.1 | a stream for each query, length prefix, FIN, ID 0 | done |
//! | 9250 §4.3 | error codes; what is fatal for the connection | done |
//! | 9250 §4.5 | session resumption; no 0-RTT | done |
//! | 9250 §5.5.2 | no edns-tcp-keepalive | done |
//! | 9000 §8.1 | three times what came at most; Retry | done (quinn) |

mod stream;

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io;
use std::net::UdpSocket;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use quinn::crypto::rustls::QuicServerConfig;
use quinn::{Connection, Endpoint, EndpointConfig, Incoming, ServerConfig, TransportConfig, VarInt};
use tokio::sync::watch;
use tokio::task::{JoinSet, LocalSet};
use tokio::time::{sleep, timeout};

use self::stream::Answerer;
use super::budget::Budget;
use super::desk::Desk;
use super::seats::Seats;
use super::tcp::connections::Seat;
use super::tcp::crowd::{Caps, Crowd};
use super::{Edge, Stop};
use crate::answer::Transport;
use crate::limits;
use crate::telemetry::Telemetry;
use crate::units::Moment;

/// DoQ error codes (RFC 9250 §4.3, §8.4).
mod code {
    use quinn::VarInt;

    /// Nothing is wrong.
    pub(super) const NO_ERROR: VarInt = VarInt::from_u32(0);
    /// Answering failed.
    pub(super) const INTERNAL_ERROR: VarInt = VarInt::from_u32(1);
    /// The client does what no client may.
    pub(super) const PROTOCOL_ERROR: VarInt = VarInt::from_u32(2);
    /// There are too many.
    pub(super) const EXCESSIVE_LOAD: VarInt = VarInt::from_u32(4);
    /// It took too long.
    pub(super) const UNSPECIFIED_ERROR: VarInt = VarInt::from_u32(5);
}

/// Starts a worker for each socket. `tls` says how hands are shaken; its ALPN is `doq`.
///
/// # Errors
/// The system's, when a thread or a runtime cannot be had; or a configuration without TLS 1.3.
pub(super) fn start(
    sockets: Vec<UdpSocket>,
    tls: &Arc<rustls::ServerConfig>,
    edge: &Edge,
    telemetry: &Telemetry,
    stop: &Arc<Stop>,
) -> io::Result<Vec<JoinHandle<()>>> {
    let limits = Limits::default();
    let config = configure(tls, &limits)?;
    let crowd = Arc::new(Crowd::new(limits.caps));
    let mut threads = Vec::with_capacity(sockets.len());
    for (index, socket) in sockets.into_iter().enumerate() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
        let (desk, stopped, clock) = (Desk::new(edge, telemetry, Transport::Quic), stop.subscribe(), edge.clock.clone());
        let (config, crowd) = (config.clone(), Arc::clone(&crowd));
        let thread = thread::Builder::new().name(format!("aya-quic-{index}")).spawn(move || {
            let seats = Seats::new(crowd, clock, desk.tally());
            let worker = Rc::new(Worker { desk: RefCell::new(desk), seats, limits, unvalidated: Cell::new(0) });
            LocalSet::new().block_on(&runtime, serve(socket, config, worker, stopped));
        })?;
        threads.push(thread);
    }
    Ok(threads)
}

/// The limits of one worker; tests lower them.
#[derive(Clone, Copy, Debug)]
struct Limits {
    /// Connections.
    caps: Caps,
    /// Handshakes of those whose address may be forged.
    unvalidated: usize,
    /// How long shaking hands may take.
    handshake: Duration,
    /// How long a query may take to come, and a reply to go.
    message: Duration,
    /// How long a connection may be without a query.
    idle_ms: u64,
    /// How long a connection may live.
    life: Duration,
    /// How long to wait for connections in a drain.
    drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            caps: Caps { total: limits::QUIC_CONNECTIONS_MAX, per_prefix: limits::TCP_CONNECTIONS_PER_PREFIX_MAX },
            unvalidated: limits::QUIC_UNVALIDATED_MAX,
            handshake: Duration::from_millis(limits::TLS_HANDSHAKE_MS),
            message: Duration::from_millis(limits::TCP_MESSAGE_MS),
            idle_ms: limits::TCP_IDLE_MS,
            life: Duration::from_millis(limits::QUIC_CONNECTION_MS),
            drain: Duration::from_millis(limits::DRAIN_MS),
        }
    }
}

/// What quinn is told.
fn configure(tls: &Arc<rustls::ServerConfig>, limits: &Limits) -> io::Result<ServerConfig> {
    let crypto = QuicServerConfig::try_from(Arc::clone(tls)).map_err(io::Error::other)?;
    let idle = Duration::from_millis(limits.idle_ms).try_into().map_err(io::Error::other)?;
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(VarInt::from_u32(limits::QUIC_STREAMS_MAX))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .max_idle_timeout(Some(idle))
        .stream_receive_window(VarInt::from_u32(limits::QUIC_STREAM_WINDOW_OCTETS))
        .receive_window(VarInt::from_u32(limits::QUIC_CONNECTION_WINDOW_OCTETS))
        .send_window(limits::QUIC_UNSENT_OCTETS_MAX)
        .datagram_receive_buffer_size(None)
        // Whoever looks on learns the round-trip time from it, and nobody here needs it.
        .allow_spin(false);
    let mut config = ServerConfig::with_crypto(Arc::new(crypto));
    config
        .transport_config(Arc::new(transport))
        .migration(false)
        .max_incoming(limits::QUIC_INCOMING_MAX)
        .incoming_buffer_size(limits::QUIC_INCOMING_OCTETS_MAX)
        .incoming_buffer_size_total(limits::QUIC_INCOMING_OCTETS_MAX * limits::QUIC_INCOMING_MAX as u64);
    Ok(config)
}

/// What all connections of one thread share.
struct Worker {
    /// Where queries are answered.
    desk: RefCell<Desk>,
    /// Who is connected.
    seats: Seats,
    /// Its limits.
    limits: Limits,
    /// Handshakes under way of those whose address may be forged.
    unvalidated: Cell<usize>,
}

/// Serves one socket until told to stop, then drains.
async fn serve(socket: UdpSocket, config: ServerConfig, worker: Rc<Worker>, mut stopped: watch::Receiver<bool>) {
    let runtime = Arc::new(quinn::TokioRuntime);
    let Ok(endpoint) = Endpoint::new(EndpointConfig::default(), Some(config), socket, runtime) else {
        return worker.seats.tally().count_socket_error();
    };
    let accepting = tokio::task::spawn_local(accept(endpoint.clone(), Rc::clone(&worker), stopped.clone()));
    // An error is a sender that is gone: nobody will ask for more either.
    while let Err(_later) = timeout(Duration::from_millis(limits::WORKER_WAKE_MS), stopped.wait_for(|stopped| *stopped)).await {
        worker.desk.borrow_mut().look();
    }
    endpoint.set_server_config(None);
    let _ = accepting.await;
    worker.seats.drain(worker.limits.drain).await;
    endpoint.close(code::NO_ERROR, b"");
    // So that the last words are sent; who does not hear them finds out by itself.
    let _ = timeout(Duration::from_millis(limits::DRAIN_LAST_CALL_MS), endpoint.wait_idle()).await;
}

/// Takes in newcomers, or asks them to come again with a token.
async fn accept(endpoint: Endpoint, worker: Rc<Worker>, mut stopped: watch::Receiver<bool>) {
    loop {
        let incoming = tokio::select! {
            incoming = endpoint.accept() => incoming,
            _ = stopped.wait_for(|stopped| *stopped) => return,
        };
        let Some(incoming) = incoming else { return };
        if endpoint.open_connections() >= limits::QUIC_STATES_MAX {
            // Those that were closed are still remembered for a moment. A refusal has no state.
            incoming.refuse();
        } else if incoming.remote_address_validated() {
            let seat = worker.seats.seat(incoming.remote_address().ip());
            tokio::task::spawn_local(attend(incoming, Some(seat), Rc::clone(&worker), stopped.clone()));
        } else if worker.unvalidated.get() < worker.limits.unvalidated {
            tokio::task::spawn_local(attend(incoming, None, Rc::clone(&worker), stopped.clone()));
            worker.unvalidated.update(|handshakes| handshakes + 1);
        } else {
            // An error is a client that has a token already, which it has not.
            let _ = incoming.retry();
        }
    }
}

/// One connection, from its first datagram to the end. Without a seat, its address may be forged until hands are shaken.
async fn attend(incoming: Incoming, seat: Option<Rc<Seat>>, worker: Rc<Worker>, stopped: watch::Receiver<bool>) {
    let (is_unvalidated, address) = (seat.is_none(), incoming.remote_address().ip());
    let shaken = evictable(&worker, seat.as_deref(), shake_hands(incoming, &worker)).await.flatten();
    if is_unvalidated {
        worker.unvalidated.update(|handshakes| handshakes - 1);
    }
    if shaken.is_none() {
        worker.seats.tally().count_handshake_failed();
    }
    let seat = match (seat, &shaken) {
        (Some(seat), _) => seat,
        (None, Some(_)) => worker.seats.seat(address),
        (None, None) => return,
    };
    if let Some(connection) = shaken {
        let active = Cell::new(worker.seats.now());
        let client = Rc::new(Client { source: address, seat: Rc::clone(&seat), worker: Rc::clone(&worker), active });
        let conversation = converse(&connection, client, stopped);
        let code = evictable(&worker, Some(&seat), conversation).await.unwrap_or(code::EXCESSIVE_LOAD);
        connection.close(code, b"");
    }
    worker.seats.leave(&seat);
}

/// Does something as long as the seat is one's own.
async fn evictable<T>(worker: &Worker, seat: Option<&Seat>, what: impl Future<Output = T>) -> Option<T> {
    let Some(seat) = seat else { return Some(what.await) };
    tokio::select! {
        () = worker.seats.evicted(seat) => None,
        done = what => Some(done),
    }
}

/// Shakes hands, in time.
async fn shake_hands(incoming: Incoming, worker: &Worker) -> Option<Connection> {
    let connecting = incoming.accept().ok()?;
    timeout(worker.limits.handshake, connecting).await.ok()?.ok()
}

/// Answers the streams of a connection until it ends; returns the code to close it with.
async fn converse(connection: &Connection, client: Rc<Client>, mut stopped: watch::Receiver<bool>) -> VarInt {
    let limits = client.worker.limits;
    let answerer = Rc::new(Answerer::new(Rc::clone(&client), Budget::new(limits::QUIC_HELD_OCTETS_MAX)));
    let mut life = pin!(sleep(limits.life));
    let mut streams = JoinSet::new();
    loop {
        let answered = tokio::select! {
            opened = connection.accept_bi() => {
                // An error is the end of the connection: its code is the other side's.
                let Ok((send, receive)) = opened else { return code::NO_ERROR };
                let answerer = Rc::clone(&answerer);
                streams.spawn_local(async move { answerer.attend(send, receive).await });
                continue;
            }
            Some(answered) = streams.join_next() => answered,
            _ = stopped.wait_for(|stopped| *stopped) => break,
            () = life.as_mut() => break,
            () = sleep(client.patience()) => if client.patience().is_zero() { break } else { continue },
        };
        match answered {
            Ok(Ok(())) => {}
            Ok(Err(fatal)) => return fatal,
            Err(_panicked) => return code::INTERNAL_ERROR,
        }
    }
    // What came is answered; what its client has not heard by then it will ask somebody else.
    let rest = async { while streams.join_next().await.is_some() {} };
    let _ = timeout(limits.message, rest).await;
    code::NO_ERROR
}

/// Who is at the other end of one connection.
struct Client {
    /// The address.
    source: std::net::IpAddr,
    /// The seat.
    seat: Rc<Seat>,
    /// What it shares with the others.
    worker: Rc<Worker>,
    /// When it last sent a whole query, or came.
    active: Cell<Moment>,
}

impl Client {
    /// It sent a whole query.
    fn touch(&self) {
        self.active.set(self.worker.seats.now());
        self.worker.seats.touch(&self.seat);
    }

    /// How long it may take from now until its next query is whole.
    fn patience(&self) -> Duration {
        let idle_ms = self.worker.seats.now().millis_since(self.active.get());
        Duration::from_millis(self.worker.limits.idle_ms.saturating_sub(idle_ms))
    }
}

#[cfg(test)]
mod tests;
