//! Streams: TCP, and DNS over TLS, which is the same behind a handshake. One thread with its own small runtime per core, for all
//! listening addresses of a transport.
//!
//! A connection pipelines as it likes. Answers are computed at once, each when its query is read, so that none ever waits for another and
//! they come in order (RFC 7766 §6.2.1.1 lets them come in any). It may be idle for [`limits::TCP_IDLE_MS`], or for as long as its client was
//! told when it asked (RFC 7828); a half-sent message may take [`limits::TCP_MESSAGE_MS`], and so may replies that the client does not read; a
//! handshake, [`limits::TLS_HANDSHAKE_MS`]. After [`limits::TCP_LIFE_MS`] it ends in any case.
//!
//! At the caps, total or of one client prefix, the most idle connection goes, never the newcomer (RFC 9210 §4): a connection that
//! shakes hands, or has sent half a message, is as idle as one that is silent. Plain TCP and TLS have caps and threads of their own, so that a
//! flood of handshakes leaves plain TCP alone.
//!
//! ```text
//!                             ┌───────────────────────────────────────┐
//! accept ──► (shake hands) ──► answer what is whole ─► send ─► receive │ ──► over: end of input, less than 12 octets announced,
//!                             │        ▲                          │   │           too late, evicted, drained
//!                             │        └──────────────────────────┘   │
//!                             └───────────────────────────────────────┘
//! ```

pub(super) mod connections;
mod conversation;
pub(super) mod crowd;
mod deadline;
mod desk;

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::thread::JoinHandle;

use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use self::connections::Fate;
use self::conversation::Conversation;
use self::crowd::{Caps, Crowd};
use self::deadline::Deadline;
use self::desk::Desk;
use super::seats::{Seated, Seats};
use super::{Edge, Stop, connections_max, supervise};
use crate::answer::Transport;
use crate::limits;
use crate::telemetry::Telemetry;
use crate::telemetry::tally::Counters;

/// Starts a worker for each list of listeners; with an acceptor, over TLS.
///
/// # Errors
/// The system's, when a thread or a runtime cannot be had.
pub(super) fn start(
    listeners: Vec<Vec<TcpListener>>,
    acceptor: Option<&TlsAcceptor>,
    edge: &Edge,
    telemetry: &Telemetry,
    stop: &Arc<Stop>,
) -> io::Result<Vec<JoinHandle<()>>> {
    let transport = if acceptor.is_some() { Transport::Tls } else { Transport::Tcp };
    let limits = Limits::default();
    let crowd = Arc::new(Crowd::new(limits.caps));
    let mut threads = Vec::with_capacity(listeners.len());
    for (index, listeners) in listeners.into_iter().enumerate() {
        let (edge, counters, crowd, acceptor) = (edge.clone(), telemetry.counters(transport), Arc::clone(&crowd), acceptor.cloned());
        let (name, tally, kept) = (format!("aya-{}-{index}", transport.as_str()), Arc::clone(&counters.tally), RefCell::new(listeners));
        threads.push(supervise::start(name, stop, tally, async move |stopped| {
            serve(&kept, Worker::new(&edge, counters.clone(), Arc::clone(&crowd), acceptor.clone(), limits), stopped).await
        })?);
    }
    Ok(threads)
}

/// The limits of one transport; tests lower them.
#[derive(Clone, Copy, Debug)]
struct Limits {
    /// Connections.
    caps: Caps,
    /// How long things may take.
    times: Times,
}

/// How long things may take.
#[expect(clippy::struct_field_names, reason = "the unit is last in every name")]
#[derive(Clone, Copy, Debug)]
struct Times {
    /// To the next message, of a client that was told nothing else.
    idle_ms: u64,
    /// One message, in either direction.
    message_ms: u64,
    /// A handshake.
    handshake_ms: u64,
    /// A whole connection.
    life_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            caps: Caps { total: connections_max(), per_prefix: limits::TCP_CONNECTIONS_PER_PREFIX_MAX },
            times: Times {
                idle_ms: limits::TCP_IDLE_MS,
                message_ms: limits::TCP_MESSAGE_MS,
                handshake_ms: limits::TLS_HANDSHAKE_MS,
                life_ms: limits::TCP_LIFE_MS,
            },
        }
    }
}

/// What all connections of one thread share.
struct Worker {
    /// What shakes hands; `None` for plain TCP.
    acceptor: Option<TlsAcceptor>,
    /// Its limits.
    limits: Limits,
    /// What answers; never borrowed across an await, as the next.
    desk: RefCell<Desk>,
    /// Room for what one read brings.
    received: RefCell<Box<[u8]>>,
    /// Who is connected.
    seats: Rc<Seats>,
}

impl Worker {
    /// With nobody connected.
    fn new(edge: &Edge, counters: Counters, crowd: Arc<Crowd>, acceptor: Option<TlsAcceptor>, limits: Limits) -> Rc<Self> {
        let seats = Rc::new(Seats::new(crowd, edge.clock.clone(), Arc::clone(&counters.tally)));
        Rc::new(Self {
            acceptor,
            limits,
            desk: RefCell::new(Desk::new(edge, counters)),
            received: RefCell::new(vec![0; limits::TCP_READ_OCTETS].into()),
            seats,
        })
    }
}

/// Serves all listeners until told to stop, then drains.
///
/// # Errors
/// The system's, when the listeners cannot be listened on.
async fn serve(kept: &RefCell<Vec<TcpListener>>, worker: Rc<Worker>, stopped: watch::Receiver<bool>) -> io::Result<()> {
    let attending = Rc::clone(&worker);
    let attend = move |stream, peer: SocketAddr, seat| attend(stream, peer.ip(), seat, Rc::clone(&attending));
    worker.seats.serve(kept, stopped, || worker.desk.borrow_mut().look(), attend).await
}

/// One connection, from its seat to the end.
async fn attend(stream: TcpStream, source: IpAddr, seat: Seated, worker: Rc<Worker>) {
    let Some(acceptor) = &worker.acceptor else {
        return Conversation::new(stream, source, seat, Rc::clone(&worker)).hold().await;
    };
    match shake_hands(acceptor, stream, &seat, &worker).await {
        Some(stream) => {
            seat.touch();
            Conversation::new(stream, source, seat, Rc::clone(&worker)).hold().await;
        }
        None => worker.seats.tally().count_handshake_failed(),
    }
}

/// Shakes hands; `None` if that came to nothing, took too long, or the seat is taken before it is over.
async fn shake_hands(acceptor: &TlsAcceptor, stream: TcpStream, seat: &Seated, worker: &Worker) -> Option<TlsStream<TcpStream>> {
    let mut handshake = pin!(acceptor.accept(stream));
    let until = worker.seats.now().plus_millis(worker.limits.times.handshake_ms);
    let mut deadline = Deadline::new(worker.seats.clock(), until);
    poll_fn(|context| {
        // Nobody who has not even said hello is waited for while the node stops.
        if seat.fate(context) != Fate::Stay {
            return Poll::Ready(None);
        }
        match handshake.as_mut().poll(context) {
            Poll::Ready(shaken) => Poll::Ready(shaken.ok()),
            Poll::Pending => deadline.poll(until, context).map(|()| None),
        }
    })
    .await
}

#[cfg(test)]
mod tests;
