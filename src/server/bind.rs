//! Binds the listening sockets, before anything is served.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};

use socket2::{Domain, Protocol, Socket, Type};

use super::batch;
use crate::limits;

/// Why an address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} over {transport}")]
pub struct BindError {
    /// The address.
    pub address: SocketAddr,
    /// `UDP`, `TCP` or what is carried by it.
    pub transport: &'static str,
    /// The system's word.
    pub source: io::Error,
}

/// The sockets of one listening address: one of each kind for each worker, all on the same port.
#[derive(Debug)]
pub struct Bound {
    /// The address; its port is the one that was given when 0 was asked for.
    pub address: SocketAddr,
    /// Datagram sockets.
    pub(super) udp: Vec<UdpSocket>,
    /// Listening sockets.
    pub(super) tcp: Vec<TcpListener>,
}

/// Binds every address for `workers` workers. Port 0 means any port that is free for both UDP and TCP.
///
/// # Errors
/// [`BindError`] for the first address that cannot be had; a port that another process listens on is one, although `SO_REUSEPORT` would
/// let a process of the same user share it silently.
pub fn bind(listen: &[SocketAddr], workers: usize) -> Result<Vec<Bound>, BindError> {
    listen.iter().map(|&address| if address.port() == 0 { bind_any_port(address, workers) } else { bind_one(address, workers) }).collect()
}

/// Binds every address for `workers` workers, for a transport over TCP alone: for each address its port and a listener for each worker.
///
/// # Errors
/// [`BindError`], as [`bind`] does; `transport` is what it calls itself there.
pub fn bind_streams(listen: &[SocketAddr], workers: usize, transport: &'static str) -> Result<Vec<BoundStreams>, BindError> {
    let bind_one = |&address: &SocketAddr| {
        // Without SO_REUSEPORT first: only so is a port that somebody else shares seen as taken.
        let probed = probe_tcp(address)?.local_addr()?.as_socket().map_or(address.port(), |bound| bound.port());
        let address = SocketAddr::new(address.ip(), probed);
        let listeners = (0..workers).map(|_| listening_socket(address)).collect::<io::Result<_>>()?;
        Ok(BoundStreams { address, listeners })
    };
    listen.iter().map(|address| bind_one(address).map_err(|source| BindError { address: *address, transport, source })).collect()
}

/// The listeners of one address of a transport over TCP alone.
#[derive(Debug)]
pub struct BoundStreams {
    /// The address; its port is the one that was given when 0 was asked for.
    pub address: SocketAddr,
    /// One for each worker.
    pub(super) listeners: Vec<TcpListener>,
}

/// Binds every address once, for a transport over UDP that is not plain DNS.
///
/// # Errors
/// [`BindError`], as [`bind`] does; `transport` is what it calls itself there.
pub fn bind_datagrams(listen: &[SocketAddr], transport: &'static str) -> Result<Vec<BoundDatagrams>, BindError> {
    let bind_one = |&address: &SocketAddr| {
        let socket = probe_udp(address)?;
        // Best effort: the system caps it at net.core.rmem_max.
        let _ = socket.set_recv_buffer_size(limits::UDP_SOCKET_BUFFER_OCTETS);
        socket.set_nonblocking(true)?;
        let socket = UdpSocket::from(socket);
        Ok(BoundDatagrams { address: socket.local_addr()?, socket })
    };
    listen.iter().map(|address| bind_one(address).map_err(|source| BindError { address: *address, transport, source })).collect()
}

/// The socket of one address of a transport over UDP that is not plain DNS. Nobody shares its port: which connection a datagram belongs to is
/// known to one endpoint only.
#[derive(Debug)]
pub struct BoundDatagrams {
    /// The address; its port is the one that was given when 0 was asked for.
    pub address: SocketAddr,
    /// The socket.
    pub(super) socket: UdpSocket,
}

/// For each worker one listener of every address.
pub(super) fn split_streams(bound: Vec<BoundStreams>) -> Vec<Vec<TcpListener>> {
    let mut listeners: Vec<Vec<TcpListener>> = Vec::new();
    for one in bound {
        for (worker, listener) in one.listeners.into_iter().enumerate() {
            if listeners.len() <= worker {
                listeners.push(Vec::new());
            }
            listeners[worker].push(listener);
        }
    }
    listeners
}

/// The sockets, by kind: for each address its datagram sockets, and for each worker one listener of every address.
pub(super) fn split(bound: Vec<Bound>) -> (Vec<UdpSocket>, Vec<Vec<TcpListener>>) {
    let mut datagrams = Vec::new();
    let mut listeners: Vec<Vec<TcpListener>> = Vec::new();
    for one in bound {
        datagrams.extend(one.udp);
        for (worker, listener) in one.tcp.into_iter().enumerate() {
            if listeners.len() <= worker {
                listeners.push(Vec::new());
            }
            listeners[worker].push(listener);
        }
    }
    (datagrams, listeners)
}

/// Tries ports until one is free for both transports.
fn bind_any_port(address: SocketAddr, workers: usize) -> Result<Bound, BindError> {
    /// Another process may take the TCP port between our two looks; that often in a row it does not.
    const TRIES: usize = 32;
    let mut last = None;
    for _ in 0..TRIES {
        let free = probe_udp(address).and_then(|socket| socket.local_addr()).map_err(|source| BindError { address, transport: "UDP", source })?;
        let port = free.as_socket().map_or(0, |free| free.port());
        match bind_one(SocketAddr::new(address.ip(), port), workers) {
            Ok(bound) => return Ok(bound),
            Err(error) => last = Some(error),
        }
    }
    Err(last.expect("the loop ran and did not return"))
}

/// Binds one address.
fn bind_one(address: SocketAddr, workers: usize) -> Result<Bound, BindError> {
    let failed = |transport| move |source| BindError { address, transport, source };
    // Without SO_REUSEPORT first: only so is a port that somebody else shares seen as taken.
    drop(probe_udp(address).map_err(failed("UDP"))?);
    drop(probe_tcp(address).map_err(failed("TCP"))?);
    let udp = (0..workers).map(|_| datagram_socket(address)).collect::<io::Result<_>>().map_err(failed("UDP"))?;
    let tcp = (0..workers).map(|_| listening_socket(address)).collect::<io::Result<_>>().map_err(failed("TCP"))?;
    Ok(Bound { address, udp, tcp })
}

/// Binds a datagram socket that shares its port with nobody.
fn probe_udp(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())?;
    Ok(socket)
}

/// Binds a stream socket; `SO_REUSEADDR` lets it pass connections in TIME-WAIT, not listeners.
fn probe_tcp(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(1)?;
    Ok(socket)
}

/// A datagram socket of one worker.
fn datagram_socket(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_port(true)?;
    // Best effort: the system caps it at net.core.rmem_max.
    let _ = socket.set_recv_buffer_size(limits::UDP_SOCKET_BUFFER_OCTETS);
    socket.bind(&address.into())?;
    let socket = UdpSocket::from(socket);
    batch::forbid_fragmentation(&socket, address.is_ipv6())?;
    Ok(socket)
}

/// A listening socket of one worker.
fn listening_socket(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    // What is accepted has all of these from its listener. Buffers of fixed size keep clients that never read from filling the system's memory.
    socket.set_tcp_nodelay(true)?;
    socket.set_send_buffer_size(limits::TCP_SOCKET_BUFFER_OCTETS)?;
    socket.set_recv_buffer_size(limits::TCP_SOCKET_BUFFER_OCTETS)?;
    socket.bind(&address.into())?;
    socket.listen(limits::TCP_BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_transports_and_all_workers_share_one_port() {
        let bound = bind(&[SocketAddr::from(([127, 0, 0, 1], 0))], 3).unwrap();
        let port = bound[0].address.port();
        assert_ne!(port, 0);
        assert_eq!((bound[0].udp.len(), bound[0].tcp.len()), (3, 3));
        assert!(bound[0].udp.iter().all(|socket| socket.local_addr().unwrap().port() == port));
        assert!(bound[0].tcp.iter().all(|socket| socket.local_addr().unwrap().port() == port));
    }

    #[test]
    fn a_port_that_is_shared_by_somebody_else_is_in_use() {
        let first = bind(&[SocketAddr::from(([127, 0, 0, 1], 0))], 1).unwrap();
        let error = bind(&[first[0].address], 1).unwrap_err();
        assert_eq!(error.source.kind(), io::ErrorKind::AddrInUse);
        assert_eq!(error.to_string(), format!("cannot listen on {} over UDP", first[0].address));
    }

    #[test]
    fn a_port_of_which_only_tcp_is_taken_is_in_use() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let error = bind(&[taken.local_addr().unwrap()], 1).unwrap_err();
        assert_eq!((error.transport, error.source.kind()), ("TCP", io::ErrorKind::AddrInUse));
    }
}
