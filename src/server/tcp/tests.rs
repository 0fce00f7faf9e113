//! Conversations on a stream made of a script and a clock moved by hand, and a worker on real sockets.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::pin::Pin;
use std::task::{Context, Waker};
use std::thread;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::task::LocalSet;

use super::*;
use crate::answer::Policy;
use crate::clock::{Clock, Hand};
use crate::server::Policies;
use crate::server::tests::edge;
use crate::units::Moment;

/// Longer than anything takes that is going to happen at all.
const PATIENCE: Duration = Duration::from_secs(20);
/// Where clocks that are moved by hand begin.
const START: Moment = Moment(1_000_000);

/// A client's side of a stream.
#[derive(Default)]
struct Script {
    /// What it sends; an empty one is the end of its input.
    sends: VecDeque<Vec<u8>>,
    /// What it took, write by write.
    writes: Vec<Vec<u8>>,
    /// Octets that it will still take.
    takes: usize,
    /// Whether the node took leave.
    is_shut: bool,
}

/// The node's side of it.
#[derive(Clone)]
struct Scripted(Rc<RefCell<Script>>);

impl AsyncRead for Scripted {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut script = self.0.borrow_mut();
        let Some(mut sent) = script.sends.pop_front() else { return Poll::Pending };
        let rest = sent.split_off(sent.len().min(buffer.remaining()));
        if !rest.is_empty() {
            script.sends.push_front(rest);
        }
        buffer.put_slice(&sent);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Scripted {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        let mut script = self.0.borrow_mut();
        let taken = octets.len().min(script.takes);
        if taken == 0 {
            return Poll::Pending;
        }
        script.takes -= taken;
        script.writes.push(octets[..taken].to_vec());
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.borrow_mut().is_shut = true;
        Poll::Ready(Ok(()))
    }
}

/// A worker of such an edge.
fn worker(clock: Clock, limits: Limits) -> Rc<Worker> {
    worker_of(edge(clock), limits)
}

/// A worker.
fn worker_of((edge, telemetry): (Edge, Telemetry), limits: Limits) -> Rc<Worker> {
    Worker::new(&edge, telemetry.counters(Transport::Tcp), Arc::new(Crowd::new(limits.caps)), None, limits)
}

/// A conversation that is polled by hand.
struct Talk {
    script: Rc<RefCell<Script>>,
    worker: Rc<Worker>,
    policies: Policies,
    hand: Hand,
    hold: Option<Pin<Box<dyn Future<Output = ()>>>>,
}

impl Talk {
    /// With a client that takes whatever it is sent.
    fn new() -> Self {
        let (clock, hand) = Clock::by_hand(START);
        let (edge, telemetry) = edge(clock);
        let policies = Arc::clone(&edge.policy);
        let worker = worker_of((edge, telemetry), Limits::default());
        let script = Rc::new(RefCell::new(Script { takes: usize::MAX, ..Script::default() }));
        let (stream, source) = (Scripted(Rc::clone(&script)), IpAddr::from([192, 0, 2, 1]));
        let hold = Box::pin(Conversation::new(stream, source, worker.seats.seat(source), Rc::clone(&worker)).hold());
        Self { script, worker, policies, hand, hold: Some(hold) }
    }

    /// The client sends this.
    fn send(&mut self, octets: &[u8]) -> &mut Self {
        self.script.borrow_mut().sends.push_back(octets.to_vec());
        self.go_on()
    }

    /// So many milliseconds after the start.
    fn at(&mut self, millis: u64) -> &mut Self {
        self.hand.move_to(START.plus_millis(millis));
        self.go_on()
    }

    /// Goes on as far as it can.
    fn go_on(&mut self) -> &mut Self {
        let mut context = Context::from_waker(Waker::noop());
        if self.hold.as_mut().is_some_and(|hold| hold.as_mut().poll(&mut context).is_ready()) {
            self.hold = None;
        }
        self
    }

    /// Whether it has ended.
    fn is_over(&self) -> bool {
        self.hold.is_none()
    }

    /// The IDs of the replies since the last look.
    fn replies(&self) -> Vec<u16> {
        let mut ids = Vec::new();
        let octets = std::mem::take(&mut self.script.borrow_mut().writes).concat();
        let mut rest = &octets[..];
        while let desk::Frame::Whole(reply) = desk::Frame::at(rest) {
            assert_eq!((reply[2] & 0x80, reply[3] & 0x0f), (0x80, 5), "each is a refusal");
            ids.push(u16::from_be_bytes([reply[0], reply[1]]));
            rest = &rest[2 + reply.len()..];
        }
        assert!(rest.is_empty(), "{rest:?}");
        ids
    }
}

/// A query for the root's addresses, behind its length.
fn query(id: u16) -> Vec<u8> {
    let [high, low] = id.to_be_bytes();
    vec![0, 17, high, low, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1]
}

/// A query that wants to know how long its connection is kept when it is idle (RFC 7828 §3.2.1).
fn curious(id: u16) -> Vec<u8> {
    let mut query = query(id);
    query.extend([0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 4, 0, 11, 0, 0]);
    (query[1], query[13]) = (32, 1);
    query
}

/// Many queries, one behind the other.
fn queries(ids: std::ops::Range<u16>) -> Vec<u8> {
    ids.flat_map(query).collect()
}

#[test]
fn rfc7766_6_2_1_1_queries_are_answered_in_their_order_however_they_are_cut() {
    let octets = queries(0..100);
    for cut in [1, 2, 3, 18, 19, 20, 37, 500, 1_899] {
        let mut talk = Talk::new();
        for piece in octets.chunks(cut) {
            talk.send(piece);
        }
        assert_eq!(talk.replies(), (0..100).collect::<Vec<_>>(), "pieces of {cut}");
    }
}

#[test]
fn rfc7766_7_a_half_closed_client_is_answered_and_then_taken_leave_of() {
    let mut talk = Talk::new();
    talk.script.borrow_mut().sends.extend([queries(0..3), Vec::new()]);
    talk.go_on();
    assert_eq!(talk.replies(), [0, 1, 2]);
    assert!(talk.is_over() && talk.script.borrow().is_shut);
    assert!(talk.worker.seats.connections().is_empty());
}

#[test]
fn rfc7766_8_length_and_message_are_one_write_and_replies_to_pipelined_queries_share_it() {
    let mut talk = Talk::new();
    talk.send(&query(7));
    assert_eq!(talk.script.borrow().writes, [[&[0, 17, 0, 7, 0x80, 5][..], &query(7)[6..]].concat()]);
    talk.script.borrow_mut().writes.clear();
    talk.send(&queries(0..60));
    assert_eq!(talk.script.borrow().writes.len(), 1);
    assert_eq!(talk.replies().len(), 60);
}

#[test]
fn rfc1035_4_2_2_a_length_below_that_of_a_header_ends_the_connection_after_earlier_answers() {
    for len in 0..12 {
        let mut talk = Talk::new();
        talk.send(&[query(1), vec![0, len, 9, 9], query(2)].concat());
        assert_eq!(talk.replies(), [1], "{len}");
        assert!(talk.is_over() && talk.script.borrow().is_shut, "{len}");
    }
}

#[test]
fn rfc7766_6_2_3_an_idle_connection_ends_ten_seconds_after_its_last_message() {
    let mut talk = Talk::new();
    assert!(!talk.at(9_999).is_over());
    talk.send(&query(1));
    assert!(!talk.at(19_998).is_over());
    assert!(talk.at(19_999).is_over());
    assert_eq!((talk.replies(), talk.script.borrow().is_shut), (vec![1], true));
    let mut silent = Talk::new();
    assert!(!silent.at(9_999).is_over() && silent.at(10_000).is_over());
}

#[test]
fn rfc7828_3_3_1_a_connection_is_kept_as_long_as_its_client_was_told() {
    let told = limits::TCP_KEEPALIVE_MS;
    let mut talk = Talk::new();
    talk.send(&[query(1), curious(2), query(3)].concat());
    assert!(!talk.at(told - 1).is_over());
    // What was told holds for what follows, too, whether that asks again or not.
    talk.send(&query(4));
    assert!(!talk.at(2 * told - 2).is_over());
    assert!(talk.at(2 * told - 1).is_over() && talk.script.borrow().is_shut);
    assert_eq!(talk.replies(), [1, 2, 3, 4]);
}

#[test]
fn rfc7828_3_3_2_the_last_word_on_the_idle_time_holds() {
    let mut talk = Talk::new();
    talk.send(&curious(1));
    let policy = Policy { keepalive_ms: 3_000, ..Policy::default() };
    talk.policies.store(policy.into());
    assert!(!talk.at(20_000).send(&query(2)).at(40_000).is_over(), "nothing else was said yet");
    talk.send(&curious(3));
    assert!(!talk.at(42_999).is_over() && talk.at(43_000).is_over());
}

#[test]
fn rfc7828_3_4_who_was_told_to_stay_goes_at_the_cap_when_the_node_stops_and_after_an_hour_all_the_same() {
    let mut talk = Talk::new();
    talk.send(&curious(1));
    talk.worker.seats.connections().evict_most_idle();
    assert!(talk.go_on().is_over());
    let mut talk = Talk::new();
    talk.send(&curious(1));
    talk.worker.seats.connections().call_last();
    assert!(talk.go_on().at(limits::DRAIN_LAST_CALL_MS).is_over());
    let mut talk = Talk::new();
    for second in (0..3_600).step_by(30) {
        assert!(!talk.at(second * 1_000).send(&curious(1)).is_over(), "{second}");
    }
    assert!(!talk.at(3_599_999).is_over() && talk.at(3_600_000).is_over());
}

#[test]
fn rfc9210_4_a_message_may_take_two_seconds_however_often_a_piece_of_it_comes() {
    let mut talk = Talk::new();
    talk.send(&queries(0..2)[..30]);
    for (millis, octet) in (500..2_000).step_by(500).zip(&query(1)[11..]) {
        assert!(!talk.at(millis).send(&[*octet]).is_over(), "{millis}");
    }
    assert!(talk.at(2_000).is_over());
    assert_eq!(talk.replies(), [0]);
    // Each message has its own two seconds.
    let mut talk = Talk::new();
    for (turn, piece) in queries(0..10).chunks(19).flat_map(|query| [&query[..9], &query[9..]]).enumerate() {
        assert!(!talk.at(1_500 * turn as u64).send(piece).is_over(), "{turn}");
    }
    assert_eq!(talk.replies().len(), 10);
}

#[test]
fn rfc9210_4_replies_that_are_not_taken_end_the_connection_after_two_seconds_and_stop_it_from_being_read() {
    let mut talk = Talk::new();
    talk.script.borrow_mut().takes = 10;
    talk.send(&queries(0..200)).send(&queries(200..400));
    assert_eq!(talk.script.borrow().sends.len(), 1, "the second part was left with the client");
    assert!(!talk.at(1_999).is_over());
    talk.script.borrow_mut().takes = usize::MAX;
    talk.go_on();
    assert_eq!(talk.replies(), (0..400).collect::<Vec<_>>());
    talk.script.borrow_mut().takes = 0;
    talk.send(&query(1));
    assert!(!talk.at(3_998).is_over() && talk.at(3_999).is_over());
    assert!(talk.replies().is_empty() && !talk.script.borrow().is_shut);
}

#[test]
fn rfc9210_4_a_connection_lives_an_hour_at_most() {
    let mut talk = Talk::new();
    for second in (0..3_600).step_by(5) {
        assert!(!talk.at(second * 1_000).send(&query(1)).is_over(), "{second}");
    }
    assert!(talk.at(3_600_000).is_over() && talk.script.borrow().is_shut);
}

#[test]
fn at_most_sixty_four_queries_of_a_connection_are_in_flight() {
    let (clock, _hand) = Clock::by_hand(START);
    let worker = worker(clock, Limits::default());
    let mut desk = worker.desk.borrow_mut();
    let octets = queries(0..100);
    let turn = desk.answer(&octets, IpAddr::from([192, 0, 2, 1]), START);
    assert_eq!((turn.taken, turn.len, turn.next), (64 * 19, 64 * 19, desk::Next::Again));
    let turn = desk.answer(&octets[turn.taken..], IpAddr::from([192, 0, 2, 1]), START);
    assert_eq!((turn.taken, turn.next), (36 * 19, desk::Next::Wait));
}

#[test]
fn a_large_message_is_answered_and_its_room_given_back() {
    let mut large = query(1);
    large.resize(2 + 65_535, 0xff);
    large[..2].copy_from_slice(&[0xff, 0xff]);
    let mut talk = Talk::new();
    for piece in large.chunks(7_000) {
        talk.send(piece);
    }
    assert_eq!(talk.replies().len(), 1);
    let mut buffer = Vec::with_capacity(100_000);
    buffer.extend([0; 10]);
    conversation::give_back(&mut buffer);
    assert!(buffer.capacity() <= limits::TCP_KEPT_OCTETS_MAX);
}

#[test]
fn who_has_to_go_is_taken_leave_of_and_who_is_called_last_is_answered_first() {
    let mut talk = Talk::new();
    talk.send(&query(1));
    talk.worker.seats.connections().evict_most_idle();
    assert!(talk.go_on().is_over() && talk.script.borrow().is_shut);
    let mut talk = Talk::new();
    talk.send(&query(1)[..5]);
    talk.worker.seats.connections().call_last();
    assert!(!talk.go_on().at(1_000).is_over());
    talk.send(&query(1)[5..]);
    assert_eq!((talk.replies(), talk.is_over()), (vec![1], true));
    let mut idle = Talk::new();
    idle.worker.seats.connections().call_last();
    assert!(!idle.go_on().is_over() && idle.at(limits::DRAIN_LAST_CALL_MS).is_over());
}

/// Serves on a real socket under these limits while a client does its part.
fn serve_while(limits: Limits, client: impl FnOnce(SocketAddr) + Send + 'static) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = watch::channel(false);
    let client = thread::spawn(move || {
        client(address);
        stop.send_replace(true);
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, serve(&RefCell::new(vec![listener]), worker(Clock::system(), limits), stopped)).unwrap();
    client.join().unwrap();
}

/// A connection that is patient.
fn connect(address: SocketAddr) -> std::net::TcpStream {
    let stream = std::net::TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

#[test]
fn silence_is_no_reply_and_does_not_end_the_connection() {
    serve_while(Limits::default(), |address| {
        // A response deserves no reply (RFC 1035 §4.1.1: QR); the query behind it does: REFUSED, since there is no zone.
        let messages = [vec![0, 12, 7, 7, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0], query(0x0808)].concat();
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
