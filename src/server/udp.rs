//! UDP: one OS thread and one socket per core and listening address.

use std::io;
use std::net::UdpSocket;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::batch::Batch;
use super::guard::Guard;
use super::{Edge, Policies, Stop, answer_or_silence};
use crate::answer::{Ask, Scratch, Transport};
use crate::clock::Clock;
use crate::limits::{SOCKET_PAUSE_MS, UDP_DRAIN_MAX, WORKER_WAKE_MS};
use crate::publish::Reader;
use crate::telemetry::Telemetry;
use crate::telemetry::tally::Counters;

/// Starts a worker for each socket.
///
/// # Errors
/// The system's, when a thread cannot be had or a socket refuses its options.
pub(super) fn start(sockets: Vec<UdpSocket>, edge: &Edge, telemetry: &Telemetry, stop: &Arc<Stop>) -> io::Result<Vec<JoinHandle<()>>> {
    let mut threads = Vec::with_capacity(sockets.len());
    // The sockets of one address share its sources.
    let address = |socket: &UdpSocket| socket.local_addr().ok();
    let sharing: Vec<usize> = sockets.iter().map(|one| sockets.iter().filter(|other| address(other) == address(one)).count()).collect();
    for (index, (socket, sharing)) in sockets.into_iter().zip(sharing).enumerate() {
        socket.set_read_timeout(Some(Duration::from_millis(WORKER_WAKE_MS)))?;
        let worker = Worker {
            socket,
            reader: edge.worlds.reader(),
            policies: Arc::clone(&edge.policy),
            guard: Guard::new(&edge.rates, sharing),
            clock: edge.clock.clone(),
            counters: telemetry.counters(Transport::Udp),
            stop: Arc::clone(stop),
        };
        threads.push(thread::Builder::new().name(format!("aya-udp-{index}")).spawn(move || worker.run())?);
    }
    Ok(threads)
}

/// One socket, one thread.
struct Worker {
    /// The socket.
    socket: UdpSocket,
    /// Its hold on the world.
    reader: Reader,
    /// Where the policy stands.
    policies: Policies,
    /// Whom it replied to how often.
    guard: Guard,
    /// Tells the time.
    clock: Clock,
    /// What it counts.
    counters: Counters,
    /// When to finish.
    stop: Arc<Stop>,
}

impl Worker {
    /// Answers until it is told to finish.
    fn run(mut self) {
        let mut batch = Batch::new();
        let mut scratch = Scratch::default();
        while !self.stop.is_set() {
            match batch.receive(&self.socket) {
                Ok(()) => self.answer(&mut batch, &mut scratch),
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted) => {
                    // A look lets go of a world that was replaced, so that the writer can free it.
                    self.reader.world();
                }
                Err(_) => {
                    self.counters.tally.count_socket_error();
                    thread::park_timeout(Duration::from_millis(SOCKET_PAUSE_MS));
                }
            }
        }
        self.drain(&mut batch, &mut scratch);
    }

    /// Answers a batch.
    fn answer(&mut self, batch: &mut Batch, scratch: &mut Scratch) {
        let world = self.reader.world();
        let policy = self.policies.load();
        let now = self.clock.now();
        let book = self.counters.open(world);
        for datagram in batch.datagrams() {
            let ask = Ask { source: datagram.source.ip(), transport: Transport::Udp, now, policy: &policy };
            let (query, reply) = datagram.split();
            match answer_or_silence(query, &ask, world, scratch, reply) {
                Ok(outcome) => {
                    let Some(outcome) = self.guard.admit(query, &ask, outcome, scratch, reply, &self.counters.tally) else { continue };
                    datagram.reply_len = outcome.len;
                    book.record(&outcome);
                }
                Err(_) => self.counters.tally.count_panic(),
            }
        }
        let unsent = batch.send(&self.socket);
        if unsent > 0 {
            self.counters.tally.count_unsent(unsent);
        }
    }

    /// Answers what the socket still holds.
    fn drain(&mut self, batch: &mut Batch, scratch: &mut Scratch) {
        if self.socket.set_nonblocking(true).is_err() {
            return;
        }
        for _ in 0..UDP_DRAIN_MAX {
            match batch.receive(&self.socket) {
                Ok(()) => self.answer(batch, scratch),
                Err(_) => return,
            }
        }
    }
}
