//! TCP: one thread with its own small runtime per core, for all listening addresses.
//!
//! A connection pipelines as it likes; its replies come in order (RFC 7766 §6.2.1 allows it). It may be idle for
//! [`limits::TCP_IDLE_MS`], a half-sent message may take [`limits::TCP_MESSAGE_MS`], and so may a reply that the client does not read. At
//! the caps, total or of one client prefix, the most idle connection goes, never the newcomer (RFC 9210 §4).
//!
//! ```text
//!            ┌────────────────────────────────────────────┐
//! accept ──► │ answer what is complete ─► write ─► wait   │ ──► closed: end of input, less than 12 octets announced, time-out,
//!            │        ▲                             │     │             evicted, drained
//!            │        └───────── read ──────────────┘     │
//!            └────────────────────────────────────────────┘
//! ```

use std::cell::RefCell;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::LocalSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::connections::{Caps, Connections, Seat};
use super::{Edge, Policies, Stop, answer_or_silence};
use crate::answer::{Ask, Scratch, Transport};
use crate::clock::Clock;
use crate::limits;
use crate::publish::Reader;
use crate::telemetry::Telemetry;
use crate::telemetry::tally::Counters;
use crate::units::Moment;

/// Octets of a DNS header; a message that announces less closes the connection (RFC 1035 §4.1.1).
const HEADER_OCTETS: usize = 12;
/// Octets that one read has room for, at least.
const READ_OCTETS: usize = 2_048;
/// Octets of the length prefix.
const PREFIX_OCTETS: usize = 2;

/// Starts a worker for each list of listeners.
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
    let mut threads = Vec::with_capacity(listeners.len());
    for (index, listeners) in listeners.into_iter().enumerate() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
        let (edge, counters, stopped, acceptor) = (edge.clone(), telemetry.counters(transport), stop.subscribe(), acceptor.cloned());
        let thread = thread::Builder::new().name(format!("aya-{}-{index}", transport.as_str())).spawn(move || {
            LocalSet::new().block_on(&runtime, serve(listeners, Worker::new(&edge, counters, acceptor, Limits::default()), stopped));
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
    /// How long a connection may be idle.
    idle: Duration,
    /// How long one message may take, in either direction.
    message_ms: u64,
    /// How long to wait for connections in a drain.
    drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            caps: Caps { total: limits::TCP_CONNECTIONS_MAX, per_prefix: limits::TCP_CONNECTIONS_PER_PREFIX_MAX },
            idle: Duration::from_millis(limits::TCP_IDLE_MS),
            message_ms: limits::TCP_MESSAGE_MS,
            drain: Duration::from_millis(limits::DRAIN_MS),
        }
    }
}

/// What all connections of one thread share.
struct Worker {
    /// Tells the time.
    clock: Clock,
    /// What it counts.
    counters: Counters,
    /// What shakes hands over TLS; `None` for plain TCP.
    acceptor: Option<TlsAcceptor>,
    /// Its limits.
    limits: Limits,
    /// Decisions that still hold, and room for one reply; never borrowed across an await.
    desk: RefCell<Desk>,
    /// Who is connected.
    connections: RefCell<Connections>,
}

/// What answering needs.
struct Desk {
    /// The hold on the world.
    reader: Reader,
    /// Where the policy stands.
    policies: Policies,
    /// Decisions that still hold.
    scratch: Scratch,
    /// Room for the largest reply.
    reply: Box<[u8]>,
}

impl Worker {
    /// With nobody connected.
    fn new(edge: &Edge, counters: Counters, acceptor: Option<TlsAcceptor>, limits: Limits) -> Rc<Self> {
        let desk = Desk {
            reader: edge.worlds.reader(),
            policies: Arc::clone(&edge.policy),
            scratch: Scratch::default(),
            reply: vec![0; limits::TCP_MESSAGE_MAX].into(),
        };
        Rc::new(Self {
            clock: edge.clock.clone(),
            counters,
            acceptor,
            limits,
            desk: RefCell::new(desk),
            connections: RefCell::new(Connections::new(limits.caps)),
        })
    }

    /// Seats a newcomer; somebody idle may have to go.
    fn seat(&self, address: IpAddr) -> Rc<Seat> {
        let mut connections = self.connections.borrow_mut();
        let (seat, evicted) = connections.seat(address, self.clock.now());
        self.counters.tally.count_accepted();
        for _ in 0..evicted {
            self.counters.tally.count_evicted();
        }
        self.counters.tally.set_open(connections.len());
        seat
    }

    /// Frees a seat.
    fn leave(&self, seat: &Seat) {
        let mut connections = self.connections.borrow_mut();
        connections.leave(seat);
        self.counters.tally.set_open(connections.len());
    }

    /// Answers one message onto the end of `output`, length prefix and message together (RFC 7766 §8).
    fn answer(&self, query: &[u8], source: IpAddr, now: Moment, output: &mut Vec<u8>) {
        let desk = &mut *self.desk.borrow_mut();
        let world = desk.reader.world();
        let policy = desk.policies.load();
        let ask = Ask { source, transport: self.counters.tally.transport, now, policy: &policy };
        let Ok(outcome) = answer_or_silence(query, &ask, world, &mut desk.scratch, &mut desk.reply) else {
            return self.counters.tally.count_panic();
        };
        self.counters.open(world).record(&outcome);
        if let (true, Ok(len)) = (outcome.len > 0, u16::try_from(outcome.len)) {
            output.extend_from_slice(&len.to_be_bytes());
            output.extend_from_slice(&desk.reply[..outcome.len]);
        }
    }
}

/// Serves all listeners until told to stop, then drains.
async fn serve(listeners: Vec<TcpListener>, worker: Rc<Worker>, mut stopped: watch::Receiver<bool>) {
    let accepting: Vec<_> = listeners.into_iter().map(|listener| tokio::task::spawn_local(accept(listener, Rc::clone(&worker), stopped.clone()))).collect();
    // An error is a sender that is gone: nobody will ask for more either.
    while let Err(_later) = timeout(Duration::from_millis(limits::WORKER_WAKE_MS), stopped.wait_for(|stopped| *stopped)).await {
        // A look lets go of a world that was replaced, so that the writer can free it.
        worker.desk.borrow_mut().reader.world();
    }
    for task in accepting {
        let _ = task.await;
    }
    let empty = async {
        while !worker.connections.borrow().is_empty() {
            tokio::time::sleep(Duration::from_millis(limits::DRAIN_LOOK_MS)).await;
        }
    };
    let _ = timeout(worker.limits.drain, empty).await;
}

/// Accepts connections of one listener.
async fn accept(listener: TcpListener, worker: Rc<Worker>, mut stopped: watch::Receiver<bool>) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else {
        return worker.counters.tally.count_socket_error();
    };
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopped.wait_for(|stopped| *stopped) => return,
        };
        match accepted {
            Ok((stream, peer)) => {
                let seat = worker.seat(peer.ip());
                tokio::task::spawn_local(attend(stream, peer, seat, Rc::clone(&worker), stopped.clone()));
            }
            Err(error) => {
                worker.counters.tally.count_socket_error();
                if is_out_of_descriptors(&error) && worker.connections.borrow_mut().evict_most_idle() {
                    worker.counters.tally.count_evicted();
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
async fn attend(stream: TcpStream, peer: SocketAddr, seat: Rc<Seat>, worker: Rc<Worker>, stopped: watch::Receiver<bool>) {
    let _ = stream.set_nodelay(true);
    let talk = async {
        let Some(acceptor) = &worker.acceptor else { return converse(stream, peer, &seat, &worker, stopped).await };
        let patience = Duration::from_millis(limits::TLS_HANDSHAKE_MS);
        if let Ok(Ok(stream)) = timeout(patience, acceptor.accept(stream)).await {
            converse(stream, peer, &seat, &worker, stopped).await;
        }
    };
    tokio::select! {
        () = seat.evicted() => {}
        () = talk => {}
    }
    worker.leave(&seat);
}

/// Converses over a stream that is ready for messages.
async fn converse<S: Stream>(stream: S, peer: SocketAddr, seat: &Rc<Seat>, worker: &Rc<Worker>, stopped: watch::Receiver<bool>) {
    let conversation =
        Conversation { stream, source: peer.ip(), seat: Rc::clone(seat), worker: Rc::clone(worker), input: Vec::new(), began: None, output: Vec::new() };
    conversation.hold(stopped).await;
}

/// What a conversation is held over: plain TCP, or TLS.
trait Stream: AsyncRead + AsyncWrite + Unpin {}

impl<S: AsyncRead + AsyncWrite + Unpin> Stream for S {}

/// Whether a connection goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// More may come.
    Wait,
    /// More complete messages are waiting in the input.
    Again,
    /// The client announced a message that can be none.
    Close,
}

/// One connection's state.
struct Conversation<S> {
    /// The connection.
    stream: S,
    /// The client.
    source: IpAddr,
    /// Its seat.
    seat: Rc<Seat>,
    /// What it shares with the others.
    worker: Rc<Worker>,
    /// Received, not answered yet: at most one incomplete message after [`Conversation::answer_complete`].
    input: Vec<u8>,
    /// When the incomplete message began to come, if there is one.
    began: Option<Moment>,
    /// Replies not written yet.
    output: Vec<u8>,
}

impl<S: Stream> Conversation<S> {
    /// Answers until either side ends it. The client's end of input comes after its queries, so a half-closed client is answered.
    async fn hold(mut self, mut stopped: watch::Receiver<bool>) {
        let mut is_last_call = false;
        loop {
            self.input.reserve(READ_OCTETS);
            let next = self.answer_complete();
            if !self.write().await || next == Next::Close {
                return;
            }
            if next == Next::Again {
                continue;
            }
            let draining = *stopped.borrow();
            let patience = if draining && self.input.is_empty() {
                // What is on its way is still waited for, once.
                if std::mem::replace(&mut is_last_call, true) {
                    return;
                }
                Duration::from_millis(limits::DRAIN_LAST_CALL_MS)
            } else {
                self.patience()
            };
            let received = tokio::select! {
                received = timeout(patience, self.stream.read_buf(&mut self.input)) => received.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())),
                _ = stopped.wait_for(|stopped| *stopped), if !draining => continue,
            };
            match received {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
        }
    }

    /// How long the client may take from now: with a message that it began, or with the next.
    fn patience(&mut self) -> Duration {
        if self.input.is_empty() {
            return self.worker.limits.idle;
        }
        let now = self.worker.clock.now();
        let began = *self.began.get_or_insert(now);
        Duration::from_millis(self.worker.limits.message_ms.saturating_sub(now.millis_since(began)))
    }

    /// Answers complete messages, in order, until too much is unsent.
    fn answer_complete(&mut self) -> Next {
        let now = self.worker.clock.now();
        let mut at = 0;
        let next = loop {
            let rest = &self.input[at..];
            let Some(prefix) = rest.first_chunk::<PREFIX_OCTETS>() else { break Next::Wait };
            let len = usize::from(u16::from_be_bytes(*prefix));
            if len < HEADER_OCTETS {
                break Next::Close;
            }
            let Some(query) = rest.get(PREFIX_OCTETS..PREFIX_OCTETS + len) else { break Next::Wait };
            self.worker.answer(query, self.source, now, &mut self.output);
            at += PREFIX_OCTETS + len;
            if self.output.len() >= limits::TCP_UNSENT_OCTETS_MAX - limits::TCP_MESSAGE_MAX {
                break Next::Again;
            }
        };
        if at > 0 {
            self.input.drain(..at);
            self.began = None;
            self.seat.touch(now);
        }
        next
    }

    /// Writes what is to be written; says whether that worked, in time.
    async fn write(&mut self) -> bool {
        if self.output.is_empty() {
            return true;
        }
        let patience = Duration::from_millis(self.worker.limits.message_ms);
        let written = timeout(patience, self.stream.write_all(&self.output)).await;
        self.output.clear();
        matches!(written, Ok(Ok(())))
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{Shutdown, TcpStream};

    use super::*;
    use crate::geo::Geo;
    use crate::world::World;

    /// Longer than any limit that a test sets, shorter than those it does not.
    const PATIENCE: Duration = Duration::from_secs(20);

    /// Serves an empty catalog under these limits while a client does its part.
    fn serve_while(limits: Limits, client: impl FnOnce(SocketAddr) + Send + 'static) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let catalog = Arc::default();
        let telemetry = Telemetry::new(1, &catalog);
        let geo = Arc::new(Geo::without_databases(&catalog));
        let edge =
            Edge { worlds: crate::publish::Worlds::fixed(World::unmeasured(1, catalog, geo).into()), policy: Policies::default(), clock: Clock::system() };
        let (stop, stopped) = watch::channel(false);
        let client = thread::spawn(move || {
            client(address);
            stop.send_replace(true);
        });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let worker = Worker::new(&edge, telemetry.counters(Transport::Tcp), None, limits);
        LocalSet::new().block_on(&runtime, serve(vec![listener], worker, stopped));
        client.join().unwrap();
    }

    /// A connection that is patient.
    fn connect(address: SocketAddr) -> TcpStream {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    #[test]
    fn rfc7766_6_2_3_a_silent_connection_is_closed() {
        let limits = Limits { idle: Duration::from_millis(50), ..Limits::default() };
        serve_while(limits, |address| assert_eq!(connect(address).read(&mut [0; 1]).unwrap(), 0));
    }

    #[test]
    fn a_message_that_is_sent_too_slowly_closes_the_connection_long_before_it_would_be_idle() {
        let limits = Limits { idle: 100 * PATIENCE, message_ms: 50, ..Limits::default() };
        serve_while(limits, |address| {
            let mut slow = connect(address);
            slow.write_all(&[0, 40, 1, 2, 3]).unwrap();
            assert_eq!(slow.read(&mut [0; 1]).unwrap(), 0);
        });
    }

    #[test]
    fn silence_is_no_reply_and_does_not_end_the_connection() {
        serve_while(Limits::default(), |address| {
            // A response deserves no reply (RFC 1035 §4.1.1: QR); the query behind it does: REFUSED, since there is no zone.
            let mut messages = vec![0, 12, 7, 7, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0];
            messages.extend([0, 17, 8, 8, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1]);
            let mut stream = connect(address);
            stream.write_all(&messages).unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
            let mut replies = Vec::new();
            stream.read_to_end(&mut replies).unwrap();
            assert_eq!((&replies[2..4], replies[5] & 0x0f, replies.len()), (&[8, 8][..], 5, 2 + 17));
        });
    }

    #[test]
    fn at_the_cap_of_the_worker_the_most_idle_is_told_to_go() {
        let limits = Limits { caps: Caps { total: 1, per_prefix: 50 }, ..Limits::default() };
        serve_while(limits, |address| {
            let mut first = connect(address);
            let newcomer = connect(address);
            assert_eq!(first.read(&mut [0; 1]).unwrap(), 0);
            drop(newcomer);
        });
    }
}
