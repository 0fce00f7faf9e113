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
use std::net::{IpAddr, TcpListener};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::{JoinSet, LocalSet};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use self::connections::{Connections, Fate, Seat};
use self::conversation::Conversation;
use self::crowd::{Caps, Crowd};
use self::deadline::Deadline;
use self::desk::Desk;
use super::supervise::supervise;
use super::{Edge, Stop, connections_max};
use crate::answer::Transport;
use crate::clock::Clock;
use crate::limits;
use crate::telemetry::Telemetry;
use crate::telemetry::tally::{Counters, Tally};

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
        let mut first = Some(runtime()?);
        let (edge, counters, crowd, acceptor) = (edge.clone(), telemetry.counters(transport), Arc::clone(&crowd), acceptor.cloned());
        let (name, stop, kept) = (format!("aya-{}-{index}", transport.as_str()), Arc::clone(stop), RefCell::new(listeners));
        let thread = thread::Builder::new().name(name.clone()).spawn(move || {
            supervise(&name, &stop, &counters.tally, || {
                let runtime = first.take().map_or_else(runtime, Ok)?;
                // The connections of a worker that died went with it.
                counters.tally.set_open(0);
                let worker = Worker::new(&edge, counters.clone(), Arc::clone(&crowd), acceptor.clone(), limits);
                LocalSet::new().block_on(&runtime, serve(&kept, worker, stop.subscribe()))
            });
        })?;
        threads.push(thread);
    }
    Ok(threads)
}

/// A worker's own small runtime.
///
/// # Errors
/// The system's.
pub(super) fn runtime() -> io::Result<Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()
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
    /// Tells the time.
    clock: Clock,
    /// What it counts.
    tally: Arc<Tally>,
    /// What shakes hands; `None` for plain TCP.
    acceptor: Option<TlsAcceptor>,
    /// Its limits.
    limits: Limits,
    /// What answers; never borrowed across an await, as the next two.
    desk: RefCell<Desk>,
    /// Room for what one read brings.
    received: RefCell<Box<[u8]>>,
    /// Who is connected.
    connections: RefCell<Connections>,
}

impl Worker {
    /// With nobody connected.
    fn new(edge: &Edge, counters: Counters, crowd: Arc<Crowd>, acceptor: Option<TlsAcceptor>, limits: Limits) -> Rc<Self> {
        Rc::new(Self {
            clock: edge.clock.clone(),
            tally: Arc::clone(&counters.tally),
            acceptor,
            limits,
            desk: RefCell::new(Desk::new(edge, counters)),
            received: RefCell::new(vec![0; limits::TCP_READ_OCTETS].into()),
            connections: RefCell::new(Connections::new(crowd)),
        })
    }

    /// Seats a newcomer; somebody idle may have to go.
    fn seat(self: &Rc<Self>, address: IpAddr) -> Seated {
        let mut connections = self.connections.borrow_mut();
        let (seat, evicted) = connections.seat(address);
        self.tally.count_accepted();
        for _ in 0..evicted {
            self.tally.count_evicted();
        }
        self.tally.set_open(connections.len());
        Seated { seat, worker: Rc::clone(self) }
    }
}

/// Holds a seat, and frees it however the connection ends.
struct Seated {
    /// The seat.
    seat: Rc<Seat>,
    /// Whose.
    worker: Rc<Worker>,
}

impl Drop for Seated {
    fn drop(&mut self) {
        let mut connections = self.worker.connections.borrow_mut();
        connections.leave(&self.seat);
        self.worker.tally.set_open(connections.len());
    }
}

/// Serves all listeners until told to stop, then drains. `kept` holds them open if this worker dies; who is told to stop lets go of them,
/// so that newcomers turn elsewhere.
///
/// # Errors
/// The system's, when the listeners cannot be listened on.
async fn serve(kept: &RefCell<Vec<TcpListener>>, worker: Rc<Worker>, mut stopped: watch::Receiver<bool>) -> io::Result<()> {
    let listeners = kept.borrow().iter().map(TcpListener::try_clone).collect::<io::Result<Vec<_>>>()?;
    let mut accepting = JoinSet::new();
    for listener in listeners {
        accepting.spawn_local(accept(tokio::net::TcpListener::from_std(listener)?, Rc::clone(&worker), stopped.clone()));
    }
    loop {
        tokio::select! {
            // An error is a sender that is gone: nobody will ask for more either.
            _ = stopped.wait_for(|stopped| *stopped) => break,
            Some(Err(died)) = accepting.join_next() => std::panic::resume_unwind(died.into_panic()),
            () = tokio::time::sleep(Duration::from_millis(limits::WORKER_WAKE_MS)) => worker.desk.borrow_mut().look(),
        }
    }
    while accepting.join_next().await.is_some() {}
    kept.borrow_mut().clear();
    worker.connections.borrow().call_last();
    let empty = async {
        while !worker.connections.borrow().is_empty() {
            tokio::time::sleep(Duration::from_millis(limits::DRAIN_LOOK_MS)).await;
        }
    };
    let _ = timeout(Duration::from_millis(limits::DRAIN_MS), empty).await;
    Ok(())
}

/// Accepts connections of one listener.
async fn accept(listener: tokio::net::TcpListener, worker: Rc<Worker>, mut stopped: watch::Receiver<bool>) {
    let mut stopped = pin!(stopped.wait_for(|stopped| *stopped));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = &mut stopped => return,
        };
        match accepted {
            Ok((stream, peer)) => {
                let seated = worker.seat(peer.ip());
                tokio::task::spawn_local(attend(stream, peer.ip(), seated));
            }
            Err(error) => {
                worker.tally.count_socket_error();
                if is_out_of_descriptors(&error) && worker.connections.borrow_mut().evict_most_idle() {
                    worker.tally.count_evicted();
                }
                // The connection stays in the backlog: without a pause this would be a busy loop.
                tokio::time::sleep(Duration::from_millis(limits::SOCKET_PAUSE_MS)).await;
            }
        }
    }
}

/// Whether the process or the system has no descriptor left.
fn is_out_of_descriptors(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
}

/// One connection, from its seat to the end.
async fn attend(stream: TcpStream, source: IpAddr, seated: Seated) {
    let Seated { seat, worker } = &seated;
    let Some(acceptor) = &worker.acceptor else {
        return Conversation::new(stream, source, Rc::clone(seat), Rc::clone(worker)).hold().await;
    };
    match shake_hands(acceptor, stream, seat, worker).await {
        Some(stream) => {
            worker.connections.borrow_mut().touch(seat);
            Conversation::new(stream, source, Rc::clone(seat), Rc::clone(worker)).hold().await;
        }
        None => worker.tally.count_handshake_failed(),
    }
}

/// Shakes hands; `None` if that came to nothing, took too long, or the seat is taken before it is over.
async fn shake_hands(acceptor: &TlsAcceptor, stream: TcpStream, seat: &Seat, worker: &Worker) -> Option<TlsStream<TcpStream>> {
    let mut handshake = pin!(acceptor.accept(stream));
    let until = worker.clock.now().plus_millis(worker.limits.times.handshake_ms);
    let mut deadline = Deadline::new(&worker.clock, until);
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
