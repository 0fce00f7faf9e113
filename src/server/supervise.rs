//! Keeps workers alive: a body that dies is started again, on the sockets that its thread holds open meanwhile.
//!
//! ```text
//!          ┌──────────── pause: 10 ms, twice as long each time, 1 s at most ◄─┐
//!          ▼                                                                  │
//! start ─► body ── panics, or cannot begin: counted ──────────────────────────┘
//!          └────── returns: told to finish ─► the thread ends
//! ```

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::LocalSet;

use super::Stop;
use crate::clock::Stopwatch;
use crate::limits::{WORKER_RESTART_MAX_MS, WORKER_RESTART_MS, WORKER_STEADY_MS};
use crate::telemetry::tally::Tally;
use crate::units::Micros;

/// Starts a worker of connections on a thread with a small runtime of its own. The body is run anew after a panic, and told when to stop.
///
/// # Errors
/// The system's, when a thread or a runtime cannot be had.
pub(super) fn start(
    name: String,
    stop: &Arc<Stop>,
    tally: Arc<Tally>,
    mut body: impl AsyncFnMut(watch::Receiver<bool>) -> io::Result<()> + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    let (mut first, stop) = (Some(runtime()?), Arc::clone(stop));
    thread::Builder::new().name(name.clone()).spawn(move || {
        supervise(&name, &stop, &tally, || {
            let runtime = first.take().map_or_else(runtime, Ok)?;
            // The connections of a worker that died went with it.
            tally.set_open(0);
            LocalSet::new().block_on(&runtime, body(stop.subscribe()))
        });
    })
}

/// A worker's own small runtime.
fn runtime() -> io::Result<Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()
}

/// Runs a worker's body on this thread until it returns, and again whenever it panics or fails. Whatever the body must not lose (sockets,
/// counters) it borrows; whatever may be broken by a panic (buffers, decisions) it makes anew.
pub(super) fn supervise(worker: &str, stop: &Stop, tally: &Tally, mut body: impl FnMut() -> io::Result<()>) {
    let mut pause_ms = WORKER_RESTART_MS;
    loop {
        let life = Stopwatch::start();
        let why = match catch_unwind(AssertUnwindSafe(&mut body)) {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            // The panic hook has told what it was.
            Err(_) => "panic".to_owned(),
        };
        if stop.is_set() {
            return;
        }
        tally.count_restart();
        if life.so_far() >= Micros::from_millis(WORKER_STEADY_MS) {
            pause_ms = WORKER_RESTART_MS;
        }
        // At most one line a pause; not on the path of any query.
        tracing::error!(worker, why, pause_ms, "a worker died and is started again");
        thread::park_timeout(Duration::from_millis(pause_ms));
        pause_ms = (2 * pause_ms).min(WORKER_RESTART_MAX_MS);
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, UdpSocket};

    use super::*;
    use crate::answer::Transport;

    #[test]
    fn a_worker_that_panics_is_started_again_and_its_socket_keeps_answering() {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let client = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        client.connect(socket.local_addr().unwrap()).unwrap();
        client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let (stop, tally) = (Stop::new(), Tally::new(Transport::Udp));
        let ask = |words: &[u8]| {
            client.send(words).unwrap();
        };
        let answer = || {
            let mut reply = [0; 16];
            let len = client.recv(&mut reply).unwrap();
            reply[..len].to_vec()
        };
        thread::scope(|scope| {
            scope.spawn(|| {
                supervise("aya-test", &stop, &tally, || {
                    loop {
                        let mut query = [0; 16];
                        let (len, from) = socket.recv_from(&mut query)?;
                        match &query[..len] {
                            b"end" => return Ok(()),
                            b"panic" => panic!("as it was asked to"),
                            b"fail" => return Err(io::ErrorKind::OutOfMemory.into()),
                            words => socket.send_to(words, from)?,
                        };
                    }
                });
            });
            ask(b"first");
            assert_eq!((answer(), tally.read().restarts), (b"first".to_vec(), 0));
            for (restarts, cause) in (1..).zip([b"panic".as_slice(), b"fail", b"panic"]) {
                ask(cause);
                // What comes while nobody is there waits in the socket.
                ask(b"next");
                assert_eq!((answer(), tally.read().restarts), (b"next".to_vec(), restarts));
            }
            ask(b"end");
        });
        assert_eq!(tally.read().restarts, 3);
    }

    #[test]
    fn a_worker_that_dies_while_it_is_told_to_finish_is_not_started_again() {
        let (stop, tally) = (Stop::new(), Tally::new(Transport::Udp));
        let mut lives = 0;
        supervise("aya-test", &stop, &tally, || {
            lives += 1;
            stop.set();
            panic!("at the end")
        });
        assert_eq!((lives, tally.read().restarts), (1, 0));
    }
}
