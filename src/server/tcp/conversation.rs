//! One conversation: messages in, replies out, over plain TCP or TLS alike, until either side ends it.
//!
//! What a read brings is answered out of the worker's one buffer into its other one, and written at once. A connection holds octets of
//! its own only while it has sent a part of a message, or does not take its replies; an idle one holds none.

use std::future::poll_fn;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::connections::Fate;
use super::deadline::Deadline;
use super::desk::Next;
use super::{Times, Worker};
use crate::limits;
use crate::server::seats::Seated;
use crate::units::Moment;

/// What a conversation is held over.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin {}

impl<S: AsyncRead + AsyncWrite + Unpin> Stream for S {}

/// One connection's state.
pub(super) struct Conversation<S> {
    /// The connection.
    stream: S,
    /// The client.
    source: IpAddr,
    /// Its seat, free again when the conversation is over.
    seat: Seated,
    /// What it shares with the others.
    worker: Rc<Worker>,
    /// Received, not answered yet.
    held: Vec<u8>,
    /// Whether there may be whole messages in that.
    again: bool,
    /// Replies that the stream did not take yet.
    unsent: Vec<u8>,
    /// How many octets of them it has taken.
    sent: usize,
    /// Whether the stream itself holds octets back that are to be sent.
    unflushed: bool,
    /// Whether it ends when everything is sent.
    closing: bool,
    /// What is waited for.
    times: Waits,
    /// Wakes the task when that did not come.
    deadline: Deadline,
}

/// Since when something is waited for.
struct Waits {
    /// The next message: since the last whole one, or the beginning.
    idle: Moment,
    /// How long that may take: what the client was told last, if it was told anything (RFC 7828 §3.3.1).
    idle_ms: u64,
    /// The rest of a message.
    message: Option<Moment>,
    /// That the client takes its replies.
    reply: Option<Moment>,
    /// What is on its way while the node stops.
    last_call: Option<Moment>,
    /// When the connection ends in any case.
    end: Moment,
}

impl Waits {
    /// When the first of them is over.
    fn due(&self, times: &Times) -> Moment {
        let due = match (self.reply.or(self.message), self.last_call) {
            (Some(began), _) => began.plus_millis(times.message_ms),
            (None, Some(told)) => told.plus_millis(limits::DRAIN_LAST_CALL_MS),
            (None, None) => self.idle.plus_millis(self.idle_ms),
        };
        due.min(self.end)
    }
}

/// How a conversation came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// Both sides have said what they had to say, or took too long.
    Over,
    /// Nothing can be said any more.
    Broken,
    /// The seat is taken.
    Evicted,
}

impl<S: Stream> Conversation<S> {
    /// About to begin.
    pub(super) fn new(stream: S, source: IpAddr, seat: Seated, worker: Rc<Worker>) -> Self {
        let now = worker.seats.now();
        let Times { idle_ms, life_ms, .. } = worker.limits.times;
        let times = Waits { idle: now, idle_ms, message: None, reply: None, last_call: None, end: now.plus_millis(life_ms) };
        let deadline = Deadline::new(worker.seats.clock(), times.due(&worker.limits.times));
        let (held, unsent) = (Vec::new(), Vec::new());
        Self { stream, source, seat, worker, held, again: false, unsent, sent: 0, unflushed: false, closing: false, times, deadline }
    }

    /// Answers until either side ends it, and takes leave. The client's end of input comes after its queries, so a half-closed client is
    /// answered (RFC 7766 §6.2.1.1).
    pub(super) async fn hold(mut self) {
        let end = poll_fn(|context| self.poll_end(context)).await;
        if end == End::Broken {
            return;
        }
        // Over TLS this is a close_notify (RFC 8446 §6.1). Who does not take it in time misses nothing else.
        let until = self.worker.seats.now().plus_millis(if end == End::Evicted { 0 } else { self.worker.limits.times.message_ms });
        poll_fn(|context| match Pin::new(&mut self.stream).poll_shutdown(context) {
            Poll::Ready(_) => Poll::Ready(()),
            Poll::Pending => self.deadline.poll(until, context),
        })
        .await;
    }

    /// Goes on until there is something to wait for, or nothing more to do.
    fn poll_end(&mut self, context: &mut Context<'_>) -> Poll<End> {
        match self.seat.fate(context) {
            Fate::Stay => {}
            Fate::LastCall if self.times.last_call.is_some() => {}
            Fate::LastCall => self.times.last_call = Some(self.worker.seats.now()),
            Fate::Go => return Poll::Ready(End::Evicted),
        }
        loop {
            match self.poll_step(context) {
                Poll::Ready(Ok(true)) => {}
                Poll::Ready(Ok(false)) => return Poll::Ready(End::Over),
                Poll::Ready(Err(_)) => return Poll::Ready(End::Broken),
                Poll::Pending => break,
            }
        }
        self.deadline.poll(self.times.due(&self.worker.limits.times), context).map(|()| if self.times.reply.is_some() { End::Broken } else { End::Over })
    }

    /// Takes one step: sends what is to be sent, else answers what is there, else receives. `false` when it was the last.
    fn poll_step(&mut self, context: &mut Context<'_>) -> Poll<io::Result<bool>> {
        if self.unflushed || !self.unsent.is_empty() {
            ready!(self.poll_send(context))?;
        } else if self.closing {
            return Poll::Ready(Ok(false));
        } else if self.again {
            let held = std::mem::take(&mut self.held);
            let taken = self.answer(&held, context)?;
            self.hold_back(held, taken);
        } else {
            ready!(self.poll_receive(context))?;
        }
        Poll::Ready(Ok(true))
    }

    /// Receives into the worker's buffer, and answers.
    fn poll_receive(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let worker = Rc::clone(&self.worker);
        let mut room = worker.received.borrow_mut();
        let mut buffer = ReadBuf::new(&mut room);
        if Pin::new(&mut self.stream).poll_read(context, &mut buffer)?.is_pending() {
            // TLS may have something to say of its own that no reply will carry: an alert, a new key.
            let _ = Pin::new(&mut self.stream).poll_flush(context)?;
            return Poll::Pending;
        }
        let received = buffer.filled();
        if received.is_empty() {
            self.closing = true;
        } else if self.held.is_empty() {
            let taken = self.answer(received, context)?;
            self.held.extend_from_slice(&received[taken..]);
        } else {
            let mut held = std::mem::take(&mut self.held);
            held.extend_from_slice(received);
            let taken = self.answer(&held, context)?;
            self.hold_back(held, taken);
        }
        Poll::Ready(Ok(()))
    }

    /// Keeps what was not answered yet, in no more room than it needs.
    fn hold_back(&mut self, mut held: Vec<u8>, taken: usize) {
        held.drain(..taken);
        self.held = held;
        give_back(&mut self.held);
    }

    /// Answers whole messages from the start, and sends the replies; says how many octets they were. It stops when the stream takes no more.
    fn answer(&mut self, input: &[u8], context: &mut Context<'_>) -> io::Result<usize> {
        let worker = Rc::clone(&self.worker);
        let mut desk = worker.desk.borrow_mut();
        let now = worker.seats.now();
        let mut taken = 0;
        let next = loop {
            let turn = desk.answer(&input[taken..], self.source, now);
            taken += turn.taken;
            self.times.idle_ms = turn.promised_ms.unwrap_or(self.times.idle_ms);
            self.send(desk.replies(&turn), now, context)?;
            if turn.next != Next::Again || !self.unsent.is_empty() {
                break turn.next;
            }
        };
        self.again = next == Next::Again;
        self.closing = next == Next::Close;
        if taken > 0 {
            self.times.idle = now;
            self.seat.touch();
        }
        let is_partial = next == Next::Wait && taken < input.len();
        self.times.message = if !is_partial {
            None
        } else if taken > 0 {
            Some(now)
        } else {
            self.times.message.or(Some(now))
        };
        Ok(taken)
    }

    /// Sends what the stream takes at once, and keeps the rest.
    fn send(&mut self, replies: &[u8], now: Moment, context: &mut Context<'_>) -> io::Result<()> {
        let mut sent = 0;
        while sent < replies.len() {
            match Pin::new(&mut self.stream).poll_write(context, &replies[sent..]) {
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(octets) => sent += octets?,
                Poll::Pending => break,
            }
        }
        self.unsent.extend_from_slice(&replies[sent..]);
        self.unflushed |= sent > 0;
        if self.unsent.is_empty() && self.unflushed {
            self.unflushed = !is_done(Pin::new(&mut self.stream).poll_flush(context))?;
        }
        self.times.reply = (self.unflushed || !self.unsent.is_empty()).then_some(now);
        Ok(())
    }

    /// Sends the rest.
    fn poll_send(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.sent < self.unsent.len() {
            match ready!(Pin::new(&mut self.stream).poll_write(context, &self.unsent[self.sent..]))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                octets => self.sent += octets,
            }
            self.unflushed = true;
        }
        ready!(Pin::new(&mut self.stream).poll_flush(context))?;
        self.unsent.clear();
        give_back(&mut self.unsent);
        (self.sent, self.unflushed, self.times.reply) = (0, false, None);
        Poll::Ready(Ok(()))
    }
}

/// Whether something is done, and has not failed.
fn is_done(poll: Poll<io::Result<()>>) -> io::Result<bool> {
    match poll {
        Poll::Ready(done) => done.map(|()| true),
        Poll::Pending => Ok(false),
    }
}

/// Gives back the room that a large message took.
pub(super) fn give_back(buffer: &mut Vec<u8>) {
    if buffer.capacity() > limits::TCP_KEPT_OCTETS_MAX {
        buffer.shrink_to(buffer.len());
    }
}
