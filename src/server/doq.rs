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
//! There is no 0-RTT: a query in it could be sent again by anybody on the way, to see what the node does (RFC 9250 §7.1), and
//! connections are there to be kept. Nor is there migration: a resolver stays where it is, and answers depend on where it is.
//!
//! | RFC | what | state |
//! |---|---|---|
//! | 9250 §4.1 | ALPN `doq` | done |
//! | 9250 §4.2, §4.2.1 | a stream for each query, length prefix, FIN, ID 0 | done |
//! | 9250 §4.3 | error codes; what is fatal for the connection | done |
//! | 9250 §4.5 | session resumption; no 0-RTT | done |
//! | 9250 §5.5.2 | no edns-tcp-keepalive | done |
//! | 9000 §10.3 | stateless resets, also for the process before ([`lineage`]) | done |
//! | 9000 §8.1 | three times what came at most; Retry | done (quinn) |

mod lineage;
mod stream;

pub use lineage::{Legacy, Lineage};

use std::cell::{Cell, RefCell};
use std::io;
use std::net::UdpSocket;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use quinn::crypto::rustls::QuicServerConfig;
use quinn::{Connection, Endpoint, Incoming, ServerConfig, TransportConfig, VarInt};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use self::stream::Answerer;
use super::budget::Budget;
use super::desk::Desk;
use super::seats::{Seated, Seats, look_until_stopped};
use super::tcp::crowd::{Caps, Crowd};
use super::{Edge, Stop, supervise};
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

/// Starts a worker for each socket. `tls` says how hands are shaken; its ALPN is `doq`. The lineage says whose connections are to be ended.
///
/// # Errors
/// The system's, when a thread or a runtime cannot be had; or a configuration without TLS 1.3.
pub(super) fn start(
    sockets: Vec<UdpSocket>,
    tls: &Arc<rustls::ServerConfig>,
    lineage: &Lineage,
    edge: &Edge,
    telemetry: &Telemetry,
    stop: &Arc<Stop>,
) -> io::Result<Vec<JoinHandle<()>>> {
    let limits = Limits::default();
    let config = configure(tls, &limits)?;
    let crowd = Arc::new(Crowd::new(limits.caps));
    let mut threads = Vec::with_capacity(sockets.len());
    for (index, socket) in sockets.into_iter().enumerate() {
        let (edge, counters, crowd, config) = (edge.clone(), telemetry.counters(Transport::Quic), Arc::clone(&crowd), config.clone());
        let lineage = lineage.clone();
        threads.push(supervise::start(format!("aya-quic-{index}"), stop, Arc::clone(&counters.tally), async move |stopped| {
            let seats = Rc::new(Seats::new(Arc::clone(&crowd), edge.clock.clone(), Arc::clone(&counters.tally)));
            let desk = RefCell::new(Desk::new(&edge, counters.clone()));
            let worker = Rc::new(Worker { desk, seats, limits, unvalidated: Cell::new(0) });
            serve(&socket, &lineage, config.clone(), worker, stopped).await
        })?);
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
    seats: Rc<Seats>,
    /// Its limits.
    limits: Limits,
    /// Handshakes under way of those whose address may be forged.
    unvalidated: Cell<usize>,
}

/// Serves one socket until told to stop, then drains. `kept` holds it open if this worker dies.
///
/// # Errors
/// The system's, when the socket cannot be used.
async fn serve(kept: &UdpSocket, lineage: &Lineage, config: ServerConfig, worker: Rc<Worker>, mut stopped: watch::Receiver<bool>) -> io::Result<()> {
    let endpoint = Endpoint::new(lineage.endpoint_config(kept.local_addr()?), Some(config), kept.try_clone()?, Arc::new(quinn::TokioRuntime))?;
    let mut accepting = JoinSet::new();
    accepting.spawn_local(accept(endpoint.clone(), Rc::clone(&worker), stopped.clone()));
    look_until_stopped(|| worker.desk.borrow_mut().look(), &mut accepting, &mut stopped).await;
    endpoint.set_server_config(None);
    while accepting.join_next().await.is_some() {}
    worker.seats.drain(worker.limits.drain).await;
    endpoint.close(code::NO_ERROR, b"");
    // So that the last words are sent; who does not hear them finds out by itself.
    let _ = timeout(Duration::from_millis(limits::DRAIN_LAST_CALL_MS), endpoint.wait_idle()).await;
    Ok(())
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
            tokio::task::spawn_local(attend(incoming, seat, Rc::clone(&worker), stopped.clone()));
        } else if worker.unvalidated.get() < worker.limits.unvalidated {
            let guest = Unvalidated::enter(&worker);
            tokio::task::spawn_local(welcome(incoming, guest, stopped.clone()));
        } else {
            // An error is a client that has a token already, which it has not.
            let _ = incoming.retry();
        }
    }
}

/// One of those who shake hands and whose address may be forged; counted until this is dropped.
struct Unvalidated(Rc<Worker>);

impl Unvalidated {
    /// One more.
    fn enter(worker: &Rc<Worker>) -> Self {
        worker.unvalidated.update(|handshakes| handshakes + 1);
        Self(Rc::clone(worker))
    }
}

impl Drop for Unvalidated {
    fn drop(&mut self) {
        self.0.unvalidated.update(|handshakes| handshakes - 1);
    }
}

/// A connection whose client's address may be forged until hands are shaken; then it has a seat.
async fn welcome(incoming: Incoming, guest: Unvalidated, stopped: watch::Receiver<bool>) {
    let worker = Rc::clone(&guest.0);
    let address = incoming.remote_address().ip();
    let shaken = shake_hands(incoming, &worker).await;
    drop(guest);
    match shaken {
        Some(connection) => talk(connection, worker.seats.seat(address), worker, stopped).await,
        None => worker.seats.tally().count_handshake_failed(),
    }
}

/// A connection whose client's address is its own: it has a seat from the start.
async fn attend(incoming: Incoming, seat: Seated, worker: Rc<Worker>, stopped: watch::Receiver<bool>) {
    match seat.keeps(shake_hands(incoming, &worker)).await.flatten() {
        Some(connection) => talk(connection, seat, worker, stopped).await,
        None => worker.seats.tally().count_handshake_failed(),
    }
}

/// A connection from the end of its handshake to its own, or until its seat is taken away.
async fn talk(connection: Connection, seat: Seated, worker: Rc<Worker>, stopped: watch::Receiver<bool>) {
    let (source, active, seat) = (connection.remote_address().ip(), Cell::new(worker.seats.now()), Rc::new(seat));
    let client = Rc::new(Client { source, seat: Rc::clone(&seat), worker, active });
    let code = seat.keeps(converse(&connection, client, stopped)).await.unwrap_or(code::EXCESSIVE_LOAD);
    connection.close(code, b"");
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
    seat: Rc<Seated>,
    /// What it shares with the others.
    worker: Rc<Worker>,
    /// When it last sent a whole query, or came.
    active: Cell<Moment>,
}

impl Client {
    /// It sent a whole query.
    fn touch(&self) {
        self.active.set(self.worker.seats.now());
        self.seat.touch();
    }

    /// How long it may take from now until its next query is whole.
    fn patience(&self) -> Duration {
        let idle_ms = self.worker.seats.now().millis_since(self.active.get());
        Duration::from_millis(self.worker.limits.idle_ms.saturating_sub(idle_ms))
    }
}

#[cfg(test)]
mod tests;
