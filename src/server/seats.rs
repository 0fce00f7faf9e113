//! Who is connected to one worker of a transport with connections: seats newcomers under the caps, and counts.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::watch;

use super::tcp::connections::{Connections, Fate, Seat};
use super::tcp::crowd::Crowd;
use crate::clock::Clock;
use crate::limits;
use crate::telemetry::tally::Tally;
use crate::units::Moment;

/// The seats of one worker.
pub(super) struct Seats {
    /// Who sits there; never borrowed across an await.
    connections: RefCell<Connections>,
    /// Tells the time.
    clock: Clock,
    /// What is counted.
    tally: Arc<Tally>,
}

impl Seats {
    /// With nobody connected; the crowd are those of all workers of the transport.
    pub(super) fn new(crowd: Arc<Crowd>, clock: Clock, tally: Arc<Tally>) -> Self {
        Self { connections: RefCell::new(Connections::new(crowd)), clock, tally }
    }

    /// The present moment.
    pub(super) fn now(&self) -> Moment {
        self.clock.now()
    }

    /// What is counted.
    pub(super) fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Seats a newcomer; somebody idle may have to go.
    pub(super) fn seat(&self, address: IpAddr) -> Rc<Seat> {
        let mut connections = self.connections.borrow_mut();
        let (seat, evicted) = connections.seat(address);
        self.tally.count_accepted();
        for _ in 0..evicted {
            self.tally.count_evicted();
        }
        self.tally.set_open(connections.len());
        seat
    }

    /// Its connection sent a whole query: it is the last to go now.
    pub(super) fn touch(&self, seat: &Seat) {
        self.connections.borrow_mut().touch(seat);
    }

    /// Waits until its connection has to go.
    pub(super) async fn evicted(&self, seat: &Seat) {
        poll_fn(|context| if seat.fate(context) == Fate::Go { Poll::Ready(()) } else { Poll::Pending }).await;
    }

    /// Frees a seat.
    pub(super) fn leave(&self, seat: &Seat) {
        let mut connections = self.connections.borrow_mut();
        connections.leave(seat);
        self.tally.set_open(connections.len());
    }

    /// Accepts the connections of one listener until told to stop, each with its seat.
    pub(super) async fn accept(&self, listener: TcpListener, mut stopped: watch::Receiver<bool>, attend: impl Fn(TcpStream, SocketAddr, Rc<Seat>)) {
        let Ok(listener) = tokio::net::TcpListener::from_std(listener) else {
            return self.tally.count_socket_error();
        };
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                _ = stopped.wait_for(|stopped| *stopped) => return,
            };
            match accepted {
                Ok((stream, peer)) => attend(stream, peer, self.seat(peer.ip())),
                Err(error) => {
                    self.tally.count_socket_error();
                    if is_out_of_descriptors(&error) && self.connections.borrow_mut().evict_most_idle() {
                        self.tally.count_evicted();
                    }
                    // The connection stays in the backlog: without a pause this would be a busy loop.
                    tokio::time::sleep(Duration::from_millis(limits::SOCKET_PAUSE_MS)).await;
                }
            }
        }
    }

    /// Waits until nobody is connected any more, at most so long.
    pub(super) async fn drain(&self, patience: Duration) {
        let empty = async {
            while !self.connections.borrow().is_empty() {
                tokio::time::sleep(Duration::from_millis(limits::DRAIN_LOOK_MS)).await;
            }
        };
        let _ = tokio::time::timeout(patience, empty).await;
    }
}

/// Whether the process or the system has no descriptor left.
fn is_out_of_descriptors(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
}
