//! Sockets: what carries queries to [`crate::answer::answer`] and replies back.
//!
//! An edge. Every engine does the same: octets in, `answer()`, octets out; no engine knows a record. Two engines:
//!
//! - [`Engine::Native`]: ours. [`udp`]: one OS thread and one `SO_REUSEPORT` socket per core and listening address; [`tcp`]: one thread
//!   with its own small runtime per core, for all listening addresses.
//! - [`Engine::Portable`]: hickory-server carries UDP and TCP ([`portable`]): the counterpart in differential tests, and the engine of
//!   systems that lack what ours uses.
//!
//! Invariants
//! - The UDP path takes no lock, allocates nothing and logs nothing; a malformed packet is a count.
//! - A worker looks at the published world once per batch, and wakes at least every [`crate::limits::WORKER_WAKE_MS`].
//! - A panic in answering is caught, counted and answered with silence; the worker goes on. One elsewhere ends the worker, which is started
//!   again within 100 ms on the same sockets ([`supervise`]).
//! - Sockets are bound before anything is served; a port in use is an error at start, never a silent share.
//!
//! On a wildcard address (`0.0.0.0`, `[::]`) each reply leaves from the address that was asked: the system tells it with the query
//! (`IP_PKTINFO`, `IPV6_RECVPKTINFO`) and is told it with the reply, which costs a little; a socket of one address does without. `[::]` is for
//! IPv6 alone. With the portable engine, and on systems other than Linux, the source is up to the routing: name each address with its own
//! `--listen` there.
//!
//! | RFC | what | state |
//! |---|---|---|
//! | 1035 §4.2.1, §4.2.2 | UDP, TCP with a length prefix | done |
//! | 7766 §6.2.1, §6.2.1.1, §6.2.3, §7, §8 | pipelining, half-closed clients, idle timeout, one write | done; replies in order |
//! | 7828 §3.3.1, §3.4 | an idle connection is kept as long as its client was told, except at a cap and in a drain | done |
//! | 7873 §5.2.3 | BADCOOKIE to a source over its limit | done |
//! | 9210 §4 | caps, total and per prefix; the most idle goes | done |
//! | 9715 §3.1 R1, R2 | no fragmentation | done (Linux) |

mod batch;
mod bind;
mod budget;
mod desk;
pub mod doh;
pub mod doq;
mod dot;
mod given;
mod guard;
pub mod handover;
pub mod portable;
mod seats;
mod supervise;
pub mod tcp;
#[cfg(test)]
mod tests;
pub mod tls;
pub mod udp;

pub use batch::give_back_large_blocks;
pub use bind::{BindError, Bound, BoundDatagrams, BoundStreams, bind, bind_datagrams, bind_streams, pin, take_or_bind, workers_of, workers_of_streams};
pub use given::Given;
pub use guard::{Mode, RateLimits, RateWord, Rule};

use std::net::{Ipv4Addr, Ipv6Addr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use arc_swap::ArcSwap;
use ipnet::IpNet;
use tokio::sync::watch;

use self::doq::Lineage;
use self::tls::{Certificates, Protocol};
use crate::answer::{Ask, Outcome, Policy, Scratch, answer};
use crate::clock::Clock;
use crate::limits;
use crate::publish::Worlds;
use crate::telemetry::{self, Telemetry};
use crate::world::World;

/// What carries the queries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Engine {
    /// Our own UDP and TCP.
    #[default]
    Native,
    /// hickory-server's UDP and TCP.
    Portable,
}

/// Tells all workers to finish.
#[derive(Debug)]
pub struct Stop {
    /// For threads that look now and then.
    flag: AtomicBool,
    /// For tasks that wait.
    sender: watch::Sender<bool>,
}

impl Stop {
    /// Not yet.
    fn new() -> Arc<Self> {
        Arc::new(Self { flag: AtomicBool::new(false), sender: watch::Sender::new(false) })
    }

    /// Whether it is time to finish.
    fn is_set(&self) -> bool {
        self.flag.load(Ordering::Relaxed)
    }

    /// From now on it is.
    fn set(&self) {
        self.flag.store(true, Ordering::Relaxed);
        self.sender.send_replace(true);
    }

    /// For a task to wait on.
    fn subscribe(&self) -> watch::Receiver<bool> {
        self.sender.subscribe()
    }
}

/// Where the policy in force stands; replaced as a whole.
pub type Policies = Arc<ArcSwap<Policy>>;

/// What every worker looks at.
#[derive(Clone, Debug)]
pub struct Edge {
    /// Where the world is published.
    pub worlds: Worlds,
    /// What the operator wants of every reply; looked at once per batch.
    pub policy: Policies,
    /// How much is replied to one prefix over UDP.
    pub rates: Arc<RateLimits>,
    /// Tells the time.
    pub clock: Clock,
}

/// The running workers.
#[derive(Debug)]
pub struct Server {
    /// Tells them to finish.
    stop: Arc<Stop>,
    /// All of them.
    threads: Vec<JoinHandle<()>>,
}

impl Server {
    /// Starts the workers on sockets that are bound already. They answer from now on.
    ///
    /// # Errors
    /// The system's, when a thread or a runtime cannot be had.
    pub fn start(bound: Vec<Bound>, engine: Engine, edge: &Edge, telemetry: &Telemetry) -> std::io::Result<Self> {
        let stop = Stop::new();
        let threads = match engine {
            Engine::Native => {
                let (datagrams, listeners) = bind::split(bound);
                let mut threads = udp::start(datagrams, edge, telemetry, &stop)?;
                threads.extend(tcp::start(listeners, None, edge, telemetry, &stop)?);
                threads
            }
            Engine::Portable => vec![portable::start(bound, edge, telemetry, &stop)?],
        };
        Ok(Self { stop, threads })
    }

    /// Starts the workers of DNS over TLS, in the same way.
    ///
    /// # Errors
    /// The system's, when a thread or a runtime cannot be had.
    pub fn start_tls(&mut self, bound: Vec<BoundStreams>, certificates: &Certificates, edge: &Edge, telemetry: &Telemetry) -> std::io::Result<()> {
        let listeners = bind::split_streams(bound);
        self.threads.extend(dot::start(listeners, certificates, edge, telemetry, &self.stop)?);
        Ok(())
    }

    /// Starts the workers of DNS over HTTPS, in the same way. Queries are asked at `path`.
    ///
    /// # Errors
    /// The system's, when a thread or a runtime cannot be had.
    pub fn start_https(
        &mut self,
        bound: Vec<BoundStreams>,
        path: &str,
        certificates: &Certificates,
        edge: &Edge,
        telemetry: &Telemetry,
    ) -> std::io::Result<()> {
        let tls = Arc::new(certificates.server_config(Protocol::Https));
        self.threads.extend(doh::start(bind::split_streams(bound), &tls, path, edge, telemetry, &self.stop)?);
        Ok(())
    }

    /// Starts the workers of DNS over QUIC, in the same way.
    ///
    /// # Errors
    /// The system's, when a thread or a runtime cannot be had.
    pub fn start_quic(
        &mut self,
        bound: Vec<BoundDatagrams>,
        certificates: &Certificates,
        lineage: &Lineage,
        edge: &Edge,
        telemetry: &Telemetry,
    ) -> std::io::Result<()> {
        let tls = Arc::new(certificates.server_config(Protocol::Quic));
        let sockets = bound.into_iter().map(|bound| bound.socket).collect();
        self.threads.extend(doq::start(sockets, &tls, lineage, edge, telemetry, &self.stop)?);
        Ok(())
    }

    /// Drains: nothing new is accepted, what was received is answered. Returns when all workers have finished, at most
    /// [`crate::limits::DRAIN_MS`] and a little later.
    pub fn drain(self) {
        self.stop.set();
        for thread in self.threads {
            // A worker that panicked outside of answering has nothing left to drain.
            let _ = thread.join();
        }
    }
}

/// Connections that all workers of one transport may hold, so that all transports together take less than half of the process's descriptors.
fn connections_max() -> usize {
    let fair = telemetry::descriptor_limit().map(|limit| limit / limits::DESCRIPTORS_FRACTION);
    fair.and_then(|fair| usize::try_from(fair).ok()).unwrap_or(usize::MAX).clamp(1, limits::TCP_CONNECTIONS_MAX)
}

/// Lets the process have as many descriptors as it needs, if the system allows; to be called at the start.
pub fn raise_descriptor_limit() {
    if let Err(error) = batch::raise_descriptor_limit(limits::DESCRIPTORS_WANTED) {
        tracing::warn!(%error, "the limit of descriptors stays as it is");
    }
}

/// The prefixes of this machine's own addresses.
#[must_use]
pub fn loopback() -> Box<[IpNet]> {
    [IpNet::new_assert(Ipv4Addr::LOCALHOST.into(), 8).trunc(), IpNet::new_assert(Ipv6Addr::LOCALHOST.into(), 128)].into()
}

/// Answers one query, whatever happens: a panic is silence, and the scratch begins anew.
///
/// `Err` is a panic.
#[inline]
fn answer_or_silence(query: &[u8], ask: &Ask<'_>, world: &World, scratch: &mut Scratch, reply: &mut [u8]) -> Result<Outcome, Panicked> {
    catch_unwind(AssertUnwindSafe(|| answer(query, ask, world, scratch, reply))).map_err(|_| {
        *scratch = Scratch::default();
        Panicked
    })
}

/// Answering panicked.
#[derive(Clone, Copy, Debug)]
struct Panicked;
