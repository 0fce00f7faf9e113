//! A DNS query to one address, and what the reply must be like.
//!
//! | RFC | status |
//! |---|---|
//! | RFC 1035 §4.2.1, §4.2.2 | over UDP; over TCP when the reply is truncated |
//! | RFC 5452 §9.1, §9.2 | a reply counts only from the address that was asked, with the ID and the question that were sent: done |
//! | RFC 6891 §6 | EDNS with 1,232 octets; the extended RCODE counts |

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query};
use hickory_proto::rr::{Name, RData, RecordType};
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder, Restrict};
use rustls::crypto::aws_lc_rs;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UdpSocket;

use super::asking::{Answer, failure_of_io, words};
use super::tcp;
use crate::catalog::ProbeKind;
use crate::health::ProbeFailure;
use crate::limits::{TCP_MESSAGE_MAX, UDP_REPLY_MAX};

/// Asks, and holds the reply against what the probe expects. `kind` is [`ProbeKind::Dns`].
pub(super) async fn ask(target: SocketAddr, kind: &ProbeKind) -> Result<Answer, ProbeFailure> {
    let query = query(kind)?;
    let octets = query.to_vec().map_err(|error| ProbeFailure::NotAsked(words(&error)))?;
    let mut reply = over_udp(target, &query, &octets).await?;
    if reply.metadata.truncation {
        reply = over_tcp(target, &query, &octets).await?;
    }
    judge(&reply, kind).map(|()| Answer::default())
}

/// The query, with an ID that nobody can guess.
fn query(kind: &ProbeKind) -> Result<Message, ProbeFailure> {
    let ProbeKind::Dns { name, rtype, recursion, .. } = kind else {
        return Err(ProbeFailure::NotAsked("no probe over DNS".into()));
    };
    let mut id = [0; 2];
    aws_lc_rs::default_provider().secure_random.fill(&mut id).map_err(|_| ProbeFailure::NotAsked("the system gives no random numbers".into()))?;
    let name = Name::from_bytes(name.wire()).map_err(|error| ProbeFailure::NotAsked(words(&error)))?;
    let mut query = Message::new(u16::from_be_bytes(id), MessageType::Query, OpCode::Query);
    query.metadata.recursion_desired = *recursion;
    query.add_query(Query::query(name, RecordType::from(*rtype)));
    let mut edns = Edns::new();
    edns.set_max_payload(u16::try_from(UDP_REPLY_MAX).unwrap_or(u16::MAX)).set_version(0);
    query.set_edns(edns);
    Ok(query)
}

/// Asks over UDP. The socket is connected: what comes from anywhere else never arrives, and a closed port is told.
async fn over_udp(target: SocketAddr, query: &Message, octets: &[u8]) -> Result<Message, ProbeFailure> {
    let own: SocketAddr = if target.is_ipv4() { (Ipv4Addr::UNSPECIFIED, 0).into() } else { (Ipv6Addr::UNSPECIFIED, 0).into() };
    let socket = UdpSocket::bind(own).await.map_err(|error| failure_of_io(&error))?;
    socket.connect(target).await.map_err(|error| failure_of_io(&error))?;
    socket.send(octets).await.map_err(|error| failure_of_io(&error))?;
    let mut reply = [0; UDP_REPLY_MAX];
    loop {
        let len = socket.recv(&mut reply).await.map_err(|error| failure_of_io(&error))?;
        // What is no reply to this query may be a forgery, or one that comes late: the right one may still come.
        if let Some(reply) = reply_to(query, &reply[..len]) {
            return Ok(reply);
        }
    }
}

/// Asks over TCP.
async fn over_tcp(target: SocketAddr, query: &Message, octets: &[u8]) -> Result<Message, ProbeFailure> {
    let mut stream = tcp::ask(target).await?;
    let len = u16::try_from(octets.len()).map_err(|_| ProbeFailure::NotAsked("the query is too long".into()))?;
    let framed = [&len.to_be_bytes(), octets].concat();
    stream.write_all(&framed).await.map_err(|error| failure_of_io(&error))?;
    let len = usize::from(stream.read_u16().await.map_err(|error| failure_of_io(&error))?);
    let mut reply = vec![0; len.min(TCP_MESSAGE_MAX)];
    stream.read_exact(&mut reply).await.map_err(|error| failure_of_io(&error))?;
    reply_to(query, &reply).ok_or_else(|| ProbeFailure::Answer("what came over TCP is no reply to the query".into()))
}

/// The reply, if these octets are one to this query.
fn reply_to(query: &Message, octets: &[u8]) -> Option<Message> {
    let reply = Message::from_vec(octets).ok()?;
    let (sent, got) = (&query.metadata, &reply.metadata);
    let is_ours = got.id == sent.id && got.message_type == MessageType::Response && got.op_code == OpCode::Query && reply.queries == query.queries;
    is_ours.then_some(reply)
}

/// Holds a reply against what the probe expects.
fn judge(reply: &Message, kind: &ProbeKind) -> Result<(), ProbeFailure> {
    let ProbeKind::Dns { rtype, rcode, answers, at_least, authoritative, .. } = kind else {
        return Err(ProbeFailure::NotAsked("no probe over DNS".into()));
    };
    let wrong = |why: String| Err(ProbeFailure::Answer(words(&why)));
    let got = u16::from(reply.metadata.response_code);
    if got != *rcode {
        return wrong(format!("RCODE {got} ({}), not {rcode}", reply.metadata.response_code));
    }
    if *authoritative && !reply.metadata.authoritative {
        return wrong("it is not authoritative (AA is not set)".into());
    }
    let rtype = RecordType::from(*rtype);
    let found: Vec<&RData> = reply.answers.iter().filter(|record| record.record_type() == rtype).map(|record| &record.data).collect();
    if found.len() < usize::from(*at_least) {
        return wrong(format!("{} {rtype} records, not {at_least} at least", found.len()));
    }
    for expected in answers {
        let length = Restrict::new(u16::try_from(expected.len()).unwrap_or(u16::MAX));
        let expected = RData::read(&mut BinDecoder::new(expected), rtype, length).map_err(|error| ProbeFailure::NotAsked(words(&error)))?;
        if !found.contains(&&expected) {
            return wrong(format!("no {rtype} record is {expected}"));
        }
    }
    Ok(())
}
