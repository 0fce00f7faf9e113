//! The portable engine: hickory-server carries UDP and TCP, and hands every query to the same [`crate::answer::answer`].
//!
//! Its handler gets the raw query; our reply is decoded by hickory-proto and its sections are handed over, because hickory-server takes
//! records, not octets. Known differences to the native engine, all on malformed input or under attack:
//!
//! - what hickory-proto cannot decode it answers itself: FORMERR with an empty question and no OPT;
//! - queries are decoded whole before they are judged;
//! - names may be compressed differently, and options of the OPT may change their order;
//! - there are no caps on TCP connections; each is served until it has been silent for [`limits::TCP_KEEPALIVE_MS`], as hickory-server has one
//!   time-out for all of them, and those who asked were told so much (RFC 7828).

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use hickory_proto::op::{Header, HeaderCounts, Message, MessageType, Metadata, ResponseCode};
use hickory_proto::serialize::binary::BinDecoder;
use hickory_server::net::runtime::Time;
use hickory_server::net::xfer::Protocol;
use hickory_server::server::{Request, RequestHandler, ResponseHandler, ResponseInfo, Server};
use hickory_server::zone_handler::{MessageResponseBuilder, Queries};

use super::bind::DatagramSocket;
use super::guard::Guard;
use super::{Bound, Edge, Policies, Stop, answer_or_silence};
use crate::answer::{Ask, Scratch, Transport};
use crate::clock::Clock;
use crate::limits;
use crate::publish::Worlds;
use crate::telemetry::Telemetry;
use crate::telemetry::tally::Counters;

/// Replies that wait to be sent on one TCP connection.
const REPLIES_QUEUED: usize = 32;

/// Starts the engine on a thread and a runtime of its own, for all sockets.
///
/// # Errors
/// The system's, when the thread or the runtime cannot be had.
pub(super) fn start(mut bound: Vec<Bound>, edge: &Edge, telemetry: &Telemetry, stop: &Arc<Stop>) -> io::Result<JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    let handler = Handler {
        worlds: edge.worlds.clone(),
        policies: Arc::clone(&edge.policy),
        clock: edge.clock.clone(),
        desk: Mutex::new(Desk {
            scratch: Scratch::default(),
            guard: Guard::new(&edge.rates, 1),
            reply: vec![0; limits::TCP_MESSAGE_MAX].into(),
            udp: telemetry.counters(Transport::Udp),
            tcp: telemetry.counters(Transport::Tcp),
        }),
    };
    // The others are closed before anybody is told that the node answers: the system would spread queries over them, too.
    for address in &mut bound {
        address.udp.truncate(1);
        address.tcp.truncate(1);
    }
    let mut stopped = stop.subscribe();
    thread::Builder::new().name("aya-portable".into()).spawn(move || {
        runtime.block_on(async move {
            let mut server = Server::new(handler);
            for address in bound {
                register(&mut server, address);
            }
            let _ = stopped.wait_for(|stopped| *stopped).await;
            let _ = tokio::time::timeout(Duration::from_millis(limits::DRAIN_MS), server.shutdown_gracefully()).await;
        });
    })
}

/// Hands the sockets of one address to hickory-server.
fn register(server: &mut Server<Handler>, bound: Bound) {
    for DatagramSocket { socket, .. } in bound.udp {
        let ready = socket.set_nonblocking(true).and_then(|()| tokio::net::UdpSocket::from_std(socket));
        server.register_socket(ready.expect("an open socket on a runtime with IO"));
    }
    for listener in bound.tcp {
        let ready = tokio::net::TcpListener::from_std(listener).expect("an open listener on a runtime with IO");
        server.register_listener(ready, Duration::from_millis(limits::TCP_KEEPALIVE_MS), REPLIES_QUEUED);
    }
}

/// Answers what hickory-server received.
struct Handler {
    /// Where the world is published.
    worlds: Worlds,
    /// Where the policy stands.
    policies: Policies,
    /// Tells the time.
    clock: Clock,
    /// What answering needs; one query at a time, as there is one thread.
    desk: Mutex<Desk>,
}

/// What answering needs.
struct Desk {
    /// Decisions that still hold.
    scratch: Scratch,
    /// Whom it replied to how often over UDP.
    guard: Guard,
    /// Room for the largest reply.
    reply: Box<[u8]>,
    /// What came over UDP.
    udp: Counters,
    /// What came over TCP.
    tcp: Counters,
}

impl Handler {
    /// Our reply, decoded again; `None` is silence.
    fn reply(&self, request: &Request) -> Option<Message> {
        let desk = &mut *self.desk.lock().unwrap_or_else(PoisonError::into_inner);
        let (transport, counters, room) = match request.protocol() {
            Protocol::Udp => (Transport::Udp, &desk.udp, limits::UDP_REPLY_MAX),
            _ => (Transport::Tcp, &desk.tcp, limits::TCP_MESSAGE_MAX),
        };
        let world = self.worlds.load();
        let policy = self.policies.load();
        let ask = Ask { source: request.src().ip(), transport, now: self.clock.now(), policy: &policy };
        let Ok(outcome) = answer_or_silence(request.as_slice(), &ask, &world, &mut desk.scratch, &mut desk.reply[..room]) else {
            counters.tally.count_panic();
            return None;
        };
        let outcome = match transport {
            Transport::Udp => desk.guard.admit(request.as_slice(), &ask, outcome, &mut desk.scratch, &mut desk.reply[..room], &counters.tally)?,
            _ => outcome,
        };
        counters.open(&world).record(&outcome);
        let reply = desk.reply.get(..outcome.len).filter(|reply| !reply.is_empty())?;
        let undecodable = |_| Message::error_msg(request.metadata.id, request.metadata.op_code, ResponseCode::ServFail);
        Some(Message::from_vec(reply).unwrap_or_else(undecodable))
    }
}

#[async_trait::async_trait]
impl RequestHandler for Handler {
    async fn handle_request<R: ResponseHandler, T: Time>(&self, request: &Request, mut response: R) -> ResponseInfo {
        let unsent = || {
            let metadata = Metadata::new(request.metadata.id, MessageType::Response, request.metadata.op_code);
            ResponseInfo::from(Header { metadata, counts: HeaderCounts::default() })
        };
        let Some(reply) = self.reply(request) else { return unsent() };
        let nothing = Queries::read(&mut BinDecoder::new(&[]), 0).expect("no question can be read from anything");
        let queries = if reply.queries.is_empty() { &nothing } else { &request.queries };
        let message =
            MessageResponseBuilder::new(queries, reply.edns.as_ref()).build(reply.metadata, &reply.answers, &reply.authorities, [], &reply.additionals);
        response.send_response(message).await.unwrap_or_else(|_| unsent())
    }
}
