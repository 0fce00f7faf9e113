//! A batch of one, for systems without `recvmmsg`.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};

use super::Wait;
use crate::limits::{UDP_QUERY_MAX, UDP_REPLY_MAX};

/// Room for one datagram and its reply.
pub(in crate::server) struct Batch {
    /// Where it came from and where the reply goes.
    source: SocketAddr,
    /// Octets of the query, if there is one.
    query_len: Option<usize>,
    /// The query.
    query: Box<[u8]>,
    /// Octets of the reply; 0 sends nothing.
    reply_len: usize,
    /// The reply.
    reply: Box<[u8]>,
}

impl Batch {
    /// Room for it. Replies on a wildcard address leave from where the system's routing says.
    pub(in crate::server) fn new(_is_wildcard: bool) -> Self {
        Self {
            source: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            query_len: None,
            query: vec![0; UDP_QUERY_MAX].into(),
            reply_len: 0,
            reply: vec![0; UDP_REPLY_MAX].into(),
        }
    }

    /// Receives one datagram.
    ///
    /// # Errors
    /// The system's; `WouldBlock` when nothing came in time.
    pub(in crate::server) fn receive(&mut self, socket: &UdpSocket, wait: Wait) -> io::Result<()> {
        (self.query_len, self.reply_len) = (None, 0);
        if wait == Wait::Not {
            socket.set_nonblocking(true)?;
        }
        let received = socket.recv_from(&mut self.query);
        if wait == Wait::Not {
            socket.set_nonblocking(false)?;
        }
        let (len, source) = received?;
        (self.query_len, self.source) = (Some(len), source);
        Ok(())
    }

    /// Has it answered, as the batch of several does. How long a query is that was cut is not told here: none is counted.
    pub(in crate::server) fn answer_each(&mut self, mut answer: impl FnMut(IpAddr, &[u8], &mut [u8]) -> usize) -> u64 {
        if let Some(len) = self.query_len.take() {
            self.reply_len = answer(self.source.ip(), &self.query[..len], &mut self.reply).min(UDP_REPLY_MAX);
        }
        0
    }

    /// Sends the reply if there is one; says how many the system did not take.
    pub(in crate::server) fn send(&mut self, socket: &UdpSocket) -> u64 {
        let reply = &self.reply[..std::mem::take(&mut self.reply_len)];
        u64::from(!reply.is_empty() && socket.send_to(reply, self.source).is_err())
    }
}
