//! Who is connected to one worker of a transport with connections: seats newcomers under the caps, and counts.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;

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

    /// Who sits there, for a test to meddle with.
    #[cfg(test)]
    pub(super) fn connections(&self) -> std::cell::RefMut<'_, Connections> {
        self.connections.borrow_mut()
    }

    /// What tells the time.
    pub(super) fn clock(&self) -> &Clock {
        &self.clock
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
    pub(super) fn seat(self: &Rc<Self>, address: IpAddr) -> Seated {
        let mut connections = self.connections.borrow_mut();
        let (seat, evicted) = connections.seat(address);
        self.tally.count_accepted();
        for _ in 0..evicted {
            self.tally.count_evicted();
        }
        self.tally.set_open(connections.len());
        Seated { seat, seats: Rc::clone(self) }
    }

    /// Serves all listeners until told to stop, then drains: each connection is attended with its seat, and the world is looked at now and then.
    /// `kept` holds the listeners open if this worker dies; who is told to stop lets go of them, so that newcomers turn elsewhere.
    ///
    /// # Errors
    /// The system's, when the listeners cannot be listened on.
    pub(super) async fn serve<A: Future<Output = ()> + 'static>(
        self: &Rc<Self>,
        kept: &RefCell<Vec<TcpListener>>,
        mut stopped: watch::Receiver<bool>,
        look: impl Fn(),
        attend: impl Fn(TcpStream, SocketAddr, Seated) -> A + 'static,
    ) -> io::Result<()> {
        let listeners = kept.borrow().iter().map(TcpListener::try_clone).collect::<io::Result<Vec<_>>>()?;
        let attend = Rc::new(attend);
        let mut accepting = JoinSet::new();
        for listener in listeners {
            let (listener, seats) = (tokio::net::TcpListener::from_std(listener)?, Rc::clone(self));
            let (attend, stopped) = (Rc::clone(&attend), stopped.clone());
            accepting.spawn_local(async move { seats.accept(listener, &*attend, stopped).await });
        }
        look_until_stopped(look, &mut accepting, &mut stopped).await;
        while accepting.join_next().await.is_some() {}
        kept.borrow_mut().clear();
        self.connections.borrow().call_last();
        self.drain(Duration::from_millis(limits::DRAIN_MS)).await;
        Ok(())
    }

    /// Accepts the connections of one listener until told to stop, each with its seat.
    async fn accept<A: Future<Output = ()> + 'static>(
        self: &Rc<Self>,
        listener: tokio::net::TcpListener,
        attend: &impl Fn(TcpStream, SocketAddr, Seated) -> A,
        mut stopped: watch::Receiver<bool>,
    ) {
        let mut stopped = pin!(stopped.wait_for(|stopped| *stopped));
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                _ = &mut stopped => return,
            };
            match accepted {
                Ok((stream, peer)) => drop(tokio::task::spawn_local(attend(stream, peer, self.seat(peer.ip())))),
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

/// A seat that somebody has; it is free again when this is dropped, however that comes about.
pub(super) struct Seated {
    /// The seat.
    seat: Rc<Seat>,
    /// Among these.
    seats: Rc<Seats>,
}

impl Seated {
    /// Its connection sent a whole query: it is the last to go now.
    pub(super) fn touch(&self) {
        self.seats.connections.borrow_mut().touch(&self.seat);
    }

    /// What is to become of its connection; the task is woken when that changes.
    pub(super) fn fate(&self, context: &Context<'_>) -> Fate {
        self.seat.fate(context)
    }

    /// Does something as long as the seat is not taken away; `None` if it was.
    pub(super) async fn keeps<T>(&self, what: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            () = self.evicted() => None,
            done = what => Some(done),
        }
    }

    /// Waits until the connection has to go.
    async fn evicted(&self) {
        poll_fn(|context| if self.fate(context) == Fate::Go { Poll::Ready(()) } else { Poll::Pending }).await;
    }
}

impl Drop for Seated {
    fn drop(&mut self) {
        let mut connections = self.seats.connections.borrow_mut();
        connections.leave(&self.seat);
        self.seats.tally.set_open(connections.len());
    }
}

/// Looks at the world at least every [`limits::WORKER_WAKE_MS`] until told to stop. A task that dies takes its worker with it.
pub(super) async fn look_until_stopped(look: impl Fn(), accepting: &mut JoinSet<()>, stopped: &mut watch::Receiver<bool>) {
    loop {
        tokio::select! {
            // An error is a sender that is gone: nobody will ask for more either.
            _ = stopped.wait_for(|stopped| *stopped) => return,
            Some(Err(died)) = accepting.join_next() => std::panic::resume_unwind(died.into_panic()),
            () = tokio::time::sleep(Duration::from_millis(limits::WORKER_WAKE_MS)) => look(),
        }
    }
}

/// Whether the process or the system has no descriptor left.
fn is_out_of_descriptors(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
}
