//! DNS probes: what a reply must be like, and which replies count at all.

use std::net::SocketAddr;

use aya_gslb::catalog::{Name, ProbeKind, ProbeSpec, ProbeTarget};
use aya_gslb::clock::Clock;
use aya_gslb::health::{ProbeFailure, ProbeOutcome};
use aya_gslb::probe::{Prober, Roots};
use hickory_proto::op::{Message, MessageType, ResponseCode};
use hickory_proto::rr::rdata::{A, CNAME};
use hickory_proto::rr::{RData, Record};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};

use crate::small::tcp;

/// What the tests want of a probe, the rest as by default.
#[derive(Clone)]
struct Dns {
    rcode: u16,
    answers: &'static [[u8; 4]],
    at_least: u8,
    authoritative: bool,
}

const PLAIN: Dns = Dns { rcode: 0, answers: &[], at_least: 1, authoritative: false };

impl Dns {
    fn spec(&self, address: SocketAddr) -> ProbeSpec {
        let kind = ProbeKind::Dns {
            name: Name::parse("Health.example.net", &Name::root()).unwrap(),
            rtype: 1,
            rcode: self.rcode,
            answers: self.answers.iter().map(|address| address.as_slice().into()).collect(),
            at_least: self.at_least,
            authoritative: self.authoritative,
            recursion: false,
        };
        ProbeSpec { target: ProbeTarget { host: address.ip().into(), port: address.port() }, kind, timeout_ms: 20_000, ..tcp(1) }
    }

    async fn ask(&self, address: SocketAddr) -> ProbeOutcome {
        Prober::new(Clock::system(), Roots::of_certificates([]).unwrap()).ask(&self.spec(address), address.ip()).await.outcome
    }
}

/// The reply to a query with these addresses behind an alias of its name.
fn reply(query: &[u8], addresses: &[[u8; 4]]) -> Message {
    let query = Message::from_vec(query).unwrap();
    assert!(query.edns.is_some() && !query.metadata.recursion_desired && query.queries.len() == 1);
    let name = query.queries[0].name.clone();
    let mut reply = Message::response(query.metadata.id, query.metadata.op_code);
    reply.add_query(query.queries[0].clone());
    reply.add_answer(Record::from_rdata(name.clone(), 60, RData::CNAME(CNAME(name.clone()))));
    for &[a, b, c, d] in addresses {
        reply.add_answer(Record::from_rdata(name.clone(), 60, RData::A(A::new(a, b, c, d))));
    }
    reply
}

/// Answers one query over UDP with what is made of it: as many datagrams as that.
async fn serve(make: impl Fn(&[u8]) -> Vec<Vec<u8>> + Send + 'static) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut query = [0; 1_232];
        let (len, from) = socket.recv_from(&mut query).await.unwrap();
        for reply in make(&query[..len]) {
            socket.send_to(&reply, from).await.unwrap();
        }
    });
    address
}

async fn asked(probe: &Dns, change: impl Fn(&mut Message) + Send + 'static) -> ProbeOutcome {
    let address = serve(move |query| {
        let mut reply = reply(query, &[[192, 0, 2, 1], [192, 0, 2, 2]]);
        change(&mut reply);
        vec![reply.to_vec().unwrap()]
    })
    .await;
    probe.ask(address).await
}

#[tokio::test]
async fn a_reply_must_be_as_the_probe_says() {
    assert_eq!(asked(&PLAIN, |_| {}).await, ProbeOutcome::Passed);
    let both = Dns { answers: &[[192, 0, 2, 2], [192, 0, 2, 1]], at_least: 2, ..PLAIN };
    assert_eq!(asked(&both, |_| {}).await, ProbeOutcome::Passed);
    let authoritative = Dns { authoritative: true, ..PLAIN };
    assert_eq!(asked(&authoritative, |reply| reply.metadata.authoritative = true).await, ProbeOutcome::Passed);
    let refused = |reply: &mut Message| {
        reply.metadata.response_code = ResponseCode::Refused;
        reply.answers.clear();
    };
    assert_eq!(asked(&Dns { rcode: 5, at_least: 0, ..PLAIN }, refused).await, ProbeOutcome::Passed);
    for (probe, change, why) in [
        (PLAIN, refused as fn(&mut Message), "RCODE 5 (Query refused), not 0"),
        (PLAIN, |reply| reply.answers.truncate(1), "0 A records, not 1 at least"),
        (Dns { at_least: 3, ..PLAIN }, |_| {}, "2 A records, not 3 at least"),
        (Dns { answers: &[[192, 0, 2, 3]], ..PLAIN }, |_| {}, "no A record is 192.0.2.3"),
        (authoritative, |_| {}, "it is not authoritative (AA is not set)"),
    ] {
        let outcome = asked(&probe, change).await;
        let ProbeOutcome::Failed(ProbeFailure::Answer(told)) = &outcome else { panic!("{why}: {outcome:?}") };
        assert!(told.contains(why.split(" (Q").next().unwrap()), "{told}");
    }
}

#[tokio::test]
async fn rfc5452_9_1_what_is_no_reply_to_this_query_is_passed_over() {
    let address = serve(|query| {
        let right = reply(query, &[[192, 0, 2, 1]]);
        let (mut id, mut question, mut no_response) = (right.clone(), right.clone(), right.clone());
        id.metadata.id ^= 1;
        question.queries[0].name = "other.example.net.".parse().unwrap();
        no_response.metadata.message_type = MessageType::Query;
        let mut datagrams: Vec<Vec<u8>> = [id, question, no_response].iter().map(|message| message.to_vec().unwrap()).collect();
        datagrams.extend([Vec::new(), vec![0; 7], right.to_vec().unwrap()]);
        datagrams
    })
    .await;
    assert_eq!(PLAIN.ask(address).await, ProbeOutcome::Passed);
}

#[tokio::test]
async fn a_truncated_reply_is_asked_for_again_over_tcp() {
    let (listener, socket) = loop {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        if let Ok(socket) = UdpSocket::bind(listener.local_addr().unwrap()).await {
            break (listener, socket);
        }
    };
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move {
        let mut query = [0; 1_232];
        let (len, from) = socket.recv_from(&mut query).await.unwrap();
        let mut cut = reply(&query[..len], &[]);
        cut.metadata.truncation = true;
        socket.send_to(&cut.to_vec().unwrap(), from).await.unwrap();
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut query = vec![0; usize::from(stream.read_u16().await.unwrap())];
        stream.read_exact(&mut query).await.unwrap();
        let whole = reply(&query, &[[192, 0, 2, 1]]).to_vec().unwrap();
        stream.write_u16(u16::try_from(whole.len()).unwrap()).await.unwrap();
        stream.write_all(&whole).await.unwrap();
    });
    assert_eq!(PLAIN.ask(address).await, ProbeOutcome::Passed);
    server.await.unwrap();
}

#[tokio::test]
async fn a_closed_port_refuses_and_silence_is_a_time_out() {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let prober = Prober::new(Clock::system(), Roots::of_certificates([]).unwrap());
    let silent = prober.ask(&ProbeSpec { timeout_ms: 30, ..PLAIN.spec(address) }, address.ip()).await;
    assert_eq!(silent.outcome, ProbeOutcome::Failed(ProbeFailure::TimedOut));
    drop(socket);
    assert_eq!(PLAIN.ask(address).await, ProbeOutcome::Failed(ProbeFailure::Refused));
}
