//! One stream: a query behind its length, the end of the client's side, the reply behind its length, the end of ours (RFC 9250 §4.2).

use std::rc::Rc;

use quinn::{ReadError, ReadExactError, RecvStream, SendStream, VarInt};
use tokio::time::timeout;

use super::{Client, code};
use crate::limits;
use crate::server::budget::{Budget, Charged};
use crate::wire;

/// Octets of a DNS header; what is announced as shorter can be no message (RFC 1035 §4.1.1).
const HEADER_OCTETS: usize = 12;
/// OPTION-CODE of edns-tcp-keepalive (RFC 7828 §3.1), which has no place here (RFC 9250 §5.5.2).
const OPTION_KEEPALIVE: u16 = 11;

/// Answers the streams of one connection.
pub(super) struct Answerer {
    /// Who asks.
    client: Rc<Client>,
    /// What queries that are not whole may take.
    budget: Budget,
}

/// Why a stream is not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// The client takes its query back (§4.3.1).
    Cancelled,
    /// This stream is given up, with this code.
    Stream(VarInt),
    /// The whole connection is, with this code (§4.3.3).
    Connection(VarInt),
}

/// Something that no client may do: fatal (§4.3.3).
const PROTOCOL_ERROR: Fault = Fault::Connection(code::PROTOCOL_ERROR);

impl Answerer {
    /// For one client.
    pub(super) fn new(client: Rc<Client>, budget: Budget) -> Self {
        Self { client, budget }
    }

    /// Answers one stream.
    ///
    /// # Errors
    /// The code to close the whole connection with.
    pub(super) async fn attend(&self, mut send: SendStream, mut receive: RecvStream) -> Result<(), VarInt> {
        let answered = match self.query(&mut receive).await {
            Ok(query) => self.reply(query.as_ref()),
            Err(fault) => Err(fault),
        };
        let Err(fault) = (match answered {
            Ok(reply) => self.send(&mut send, &reply).await,
            Err(fault) => Err(fault),
        }) else {
            return Ok(());
        };
        let code = match fault {
            Fault::Cancelled => VarInt::from_u32(3),
            Fault::Stream(code) | Fault::Connection(code) => code,
        };
        if fault != Fault::Cancelled {
            self.client.worker.seats.tally().count_rejected();
        }
        // Errors mean that the stream is gone already.
        let _ = send.reset(code);
        let _ = receive.stop(code);
        if matches!(fault, Fault::Connection(_)) { Err(code) } else { Ok(()) }
    }

    /// The query of a stream, once the client has said that nothing follows it.
    async fn query(&self, receive: &mut RecvStream) -> Result<Charged, Fault> {
        let mut query = Charged { octets: Vec::new(), share: self.budget.share() };
        let mut announced = None;
        let read = async {
            let mut prefix = [0; 2];
            receive.read_exact(&mut prefix).await.map_err(|error| match error {
                ReadExactError::FinishedEarly(_) => PROTOCOL_ERROR,
                ReadExactError::ReadError(error) => fault_of(&error),
            })?;
            let len = usize::from(u16::from_be_bytes(prefix));
            if len < HEADER_OCTETS {
                return Err(PROTOCOL_ERROR);
            }
            announced = Some(len);
            // One octet more than is announced shows that another message follows.
            while let Some(part) = receive.read_chunk(len + 1 - query.octets.len(), true).await.map_err(|error| fault_of(&error))? {
                if query.octets.len() + part.bytes.len() > len {
                    return Err(PROTOCOL_ERROR);
                }
                if !query.share.take(part.bytes.len()) {
                    return Err(Fault::Stream(code::EXCESSIVE_LOAD));
                }
                query.octets.extend_from_slice(&part.bytes);
            }
            if query.octets.len() == len { Ok(()) } else { Err(PROTOCOL_ERROR) }
        };
        match timeout(self.client.worker.limits.message, read).await {
            Ok(read) => read.map(|()| query),
            // The whole query without an end of the stream is an error of the client's; half a query may be one of the network's.
            Err(_late) if announced == Some(query.octets.len()) => Err(PROTOCOL_ERROR),
            Err(_late) => Err(Fault::Stream(code::UNSPECIFIED_ERROR)),
        }
    }

    /// The reply to one query, behind its length.
    fn reply(&self, query: &[u8]) -> Result<Vec<u8>, Fault> {
        if query.first_chunk() != Some(&[0, 0]) || wire::has_option(query, OPTION_KEEPALIVE) {
            return Err(PROTOCOL_ERROR);
        }
        let desk = &mut *self.client.worker.desk.borrow_mut();
        let Ok((reply, _)) = desk.answer(query, self.client.source) else { return Err(Fault::Stream(code::INTERNAL_ERROR)) };
        let Ok(len @ 1..) = u16::try_from(reply.len()) else {
            // A client that sends responses.
            return Err(PROTOCOL_ERROR);
        };
        self.client.touch();
        Ok([&len.to_be_bytes(), reply].concat())
    }

    /// Sends a reply, says that nothing follows it, and waits until the client has it: a connection that is closed before takes it back.
    async fn send(&self, send: &mut SendStream, reply: &[u8]) -> Result<(), Fault> {
        let sent = async {
            send.write_all(reply).await.ok()?;
            send.finish().ok()?;
            send.stopped().await.ok()?;
            Some(())
        };
        match timeout(self.client.worker.limits.message, sent).await {
            Ok(Some(())) => Ok(()),
            // Gone: nobody wants it any more.
            Ok(None) => Err(Fault::Cancelled),
            Err(_late) => Err(Fault::Stream(code::UNSPECIFIED_ERROR)),
        }
    }
}

/// What it means that a stream cannot be read to its end.
fn fault_of(error: &ReadError) -> Fault {
    match error {
        ReadError::Reset(_) | ReadError::ConnectionLost(_) | ReadError::ClosedStream => Fault::Cancelled,
        ReadError::IllegalOrderedRead | ReadError::ZeroRttRejected => Fault::Stream(code::INTERNAL_ERROR),
    }
}

const _: () = assert!(limits::QUIC_HELD_OCTETS_MAX >= limits::TCP_MESSAGE_MAX, "the largest query fits");
