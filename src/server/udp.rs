//! UDP: one OS thread and one socket per core and listening address.

use std::hint::black_box;
use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::batch::{self, Batch, Wait};
use super::bind::DatagramSocket;
use super::guard::Guard;
use super::supervise::supervise;
use super::{Edge, Stop, answer_or_silence};
use crate::answer::{Ask, Scratch, Transport, foresee};
use crate::limits::{SOCKET_PAUSE_MS, UDP_BATCH, UDP_DRAIN_MAX, UDP_SEND_MS, WORKER_WAKE_MS};
use crate::publish::Reader;
use crate::telemetry::Telemetry;
use crate::telemetry::tally::Counters;
use crate::units::Moment;

/// Starts a worker for each socket.
///
/// # Errors
/// The system's, when a thread cannot be had or a socket refuses its options.
pub(super) fn start(sockets: Vec<DatagramSocket>, edge: &Edge, telemetry: &Telemetry, stop: &Arc<Stop>) -> io::Result<Vec<JoinHandle<()>>> {
    let mut threads = Vec::with_capacity(sockets.len());
    // The sockets of one address share its sources.
    let address = |socket: &DatagramSocket| socket.socket.local_addr().ok();
    let sharing: Vec<usize> = sockets.iter().map(|one| sockets.iter().filter(|other| address(other) == address(one)).count()).collect();
    for (index, (socket, sharing)) in sockets.into_iter().zip(sharing).enumerate() {
        socket.socket.set_nonblocking(false)?;
        socket.socket.set_read_timeout(Some(Duration::from_millis(WORKER_WAKE_MS)))?;
        socket.socket.set_write_timeout(Some(Duration::from_millis(UDP_SEND_MS)))?;
        let post = Post { socket, sharing, edge: edge.clone(), counters: telemetry.counters(Transport::Udp), stop: Arc::clone(stop) };
        let name = format!("aya-udp-{index}");
        threads.push(thread::Builder::new().name(name.clone()).spawn(move || post.man(&name))?);
    }
    Ok(threads)
}

/// What outlives a worker that dies.
struct Post {
    /// The socket.
    socket: DatagramSocket,
    /// How many sockets share its address, and so its sources.
    sharing: usize,
    /// What every worker looks at.
    edge: Edge,
    /// What is counted here.
    counters: Counters,
    /// When to finish.
    stop: Arc<Stop>,
}

impl Post {
    /// Keeps a worker on this thread until it is told to finish.
    fn man(&self, name: &str) {
        if let Some(cpu) = self.socket.cpu
            && let Err(error) = batch::pin_to(cpu)
        {
            tracing::warn!(worker = name, cpu, %error, "cannot be kept on its CPU");
        }
        supervise(name, &self.stop, &self.counters.tally, || {
            Worker::new(self).run();
            Ok(())
        });
    }
}

/// One socket, one thread.
struct Worker<'a> {
    /// Where it stands.
    post: &'a Post,
    /// Its hold on the world.
    reader: Reader,
    /// Decisions that still hold.
    scratch: Scratch,
    /// Whom it replied to how often.
    guard: Guard,
    /// When it last looked round.
    looked: Moment,
}

impl<'a> Worker<'a> {
    /// That has answered nothing yet.
    fn new(post: &'a Post) -> Self {
        Self { post, reader: post.edge.worlds.reader(), scratch: Scratch::default(), guard: Guard::new(&post.edge.rates, post.sharing), looked: Moment(0) }
    }

    /// Answers until it is told to finish.
    fn run(mut self) {
        let mut batch = Batch::new(self.post.socket.is_wildcard);
        while !self.post.stop.is_set() {
            match batch.receive(&self.post.socket.socket, Wait::ForOne) {
                Ok(()) => self.answer(&mut batch),
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted) => {
                    // A look lets go of a world that was replaced, so that the writer can free it.
                    self.reader.world();
                    self.look_round(self.post.edge.clock.now());
                }
                Err(_) => {
                    self.post.counters.tally.count_socket_error();
                    thread::park_timeout(Duration::from_millis(SOCKET_PAUSE_MS));
                }
            }
        }
        self.drain(&mut batch);
    }

    /// Answers a batch.
    fn answer(&mut self, batch: &mut Batch) {
        let Post { socket, edge, counters, .. } = self.post;
        let world = self.reader.world();
        let policy = edge.policy.load();
        let now = edge.clock.now();
        let book = counters.open(world);
        batch.look_at_each(|query| {
            black_box(foresee(query, world));
        });
        let cut = batch.answer_each(|source, query, reply| {
            let ask = Ask { source, transport: Transport::Udp, now, policy: &policy };
            let Ok(outcome) = answer_or_silence(query, &ask, world, &mut self.scratch, reply) else {
                counters.tally.count_panic();
                return 0;
            };
            let Some(outcome) = self.guard.admit(query, &ask, outcome, &mut self.scratch, reply, &counters.tally) else { return 0 };
            book.record(&outcome);
            outcome.len
        });
        let unsent = batch.send(&socket.socket);
        if cut + unsent > 0 {
            counters.tally.count_cut(cut);
            counters.tally.count_unsent(unsent);
        }
        self.look_round(now);
    }

    /// Tells that it moves, and looks how many datagrams the system dropped, but not for each batch.
    fn look_round(&mut self, now: Moment) {
        if now.millis_since(self.looked) < WORKER_WAKE_MS {
            return;
        }
        self.looked = now;
        self.post.counters.tally.set_moved(now);
        if let Ok(overflows) = batch::overflows(&self.post.socket.socket) {
            self.post.counters.tally.set_overflows(overflows);
        }
    }

    /// Answers what the socket still holds.
    fn drain(&mut self, batch: &mut Batch) {
        for _ in 0..UDP_DRAIN_MAX / UDP_BATCH {
            match batch.receive(&self.post.socket.socket, Wait::Not) {
                Ok(()) => self.answer(batch),
                Err(_) => return,
            }
        }
    }
}
