//! Datagrams in and out, and the one place where socket options are set that the libraries lack.
//!
//! The shape is that of a batch: receive some, answer each, send all. A batch has one datagram as long as the plain `recv_from` carries it.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};

use crate::limits::{UDP_QUERY_MAX, UDP_REPLY_MAX};

/// Datagrams received together. Allocated once per worker.
#[derive(Debug)]
pub(super) struct Batch {
    /// Room for them.
    datagrams: Box<[Datagram]>,
    /// How many there are.
    filled: usize,
}

/// A query and the room for its reply.
#[derive(Debug)]
pub(super) struct Datagram {
    /// Where it came from and where the reply goes.
    pub(super) source: SocketAddr,
    /// Octets of the query.
    query_len: usize,
    /// The query.
    query: [u8; UDP_QUERY_MAX],
    /// Octets of the reply; 0 sends nothing.
    pub(super) reply_len: usize,
    /// The reply.
    reply: [u8; UDP_REPLY_MAX],
}

impl Datagram {
    /// Query and room for the reply.
    pub(super) fn split(&mut self) -> (&[u8], &mut [u8]) {
        (&self.query[..self.query_len], &mut self.reply)
    }
}

impl Batch {
    /// Room for a batch.
    pub(super) fn new() -> Self {
        let empty = || Datagram {
            source: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            query_len: 0,
            query: [0; UDP_QUERY_MAX],
            reply_len: 0,
            reply: [0; UDP_REPLY_MAX],
        };
        Self { datagrams: std::iter::once_with(empty).collect(), filled: 0 }
    }

    /// Waits for datagrams, as long as the socket's read timeout allows.
    ///
    /// # Errors
    /// The system's; a time-out is `WouldBlock`.
    pub(super) fn receive(&mut self, socket: &UdpSocket) -> io::Result<()> {
        self.filled = 0;
        let datagram = &mut self.datagrams[0];
        (datagram.query_len, datagram.source) = socket.recv_from(&mut datagram.query)?;
        datagram.reply_len = 0;
        self.filled = 1;
        Ok(())
    }

    /// The datagrams received.
    pub(super) fn datagrams(&mut self) -> &mut [Datagram] {
        &mut self.datagrams[..self.filled]
    }

    /// Sends the replies that there are; says how many the system did not take.
    pub(super) fn send(&self, socket: &UdpSocket) -> u64 {
        let mut unsent = 0;
        for datagram in &self.datagrams[..self.filled] {
            if datagram.reply_len > 0 && socket.send_to(&datagram.reply[..datagram.reply_len], datagram.source).is_err() {
                unsent += 1;
            }
        }
        unsent
    }
}

/// Lets no datagram of this socket be fragmented, and no forged ICMP message shorten its path MTU: `IP_PMTUDISC_PROBE` sets DF and
/// ignores what was learned of the path (RFC 9715 §3.1 R1, R2). Replies have at most 1232 octets and fit every path of IPv6.
///
/// # Errors
/// The system's.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "neither std nor socket2 offers IP_MTU_DISCOVER")]
pub(super) fn forbid_fragmentation(socket: &UdpSocket, v6: bool) -> io::Result<()> {
    use std::os::fd::AsRawFd;

    let (level, name, value) = if v6 {
        (libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, libc::IPV6_PMTUDISC_PROBE)
    } else {
        (libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_PROBE)
    };
    let size = libc::socklen_t::try_from(size_of::<libc::c_int>()).expect("four octets");
    // SAFETY: the descriptor is open as long as `socket` is borrowed; `value` is a live c_int and `size` is its size; the call keeps neither.
    let result = unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, (&raw const value).cast(), size) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Elsewhere the system's default stands: the largest reply fits an Ethernet frame.
#[cfg(not(target_os = "linux"))]
pub(super) fn forbid_fragmentation(_socket: &UdpSocket, _v6: bool) -> io::Result<()> {
    Ok(())
}
