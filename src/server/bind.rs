//! Binds the listening sockets, before anything is served.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::fd::OwnedFd;

use socket2::{Domain, Protocol, SockRef, Socket, Type};

use super::{Given, batch};
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
    pub(super) udp: Vec<DatagramSocket>,
    /// Listening sockets.
    pub(super) tcp: Vec<TcpListener>,
}

/// A datagram socket, and what its worker has to know of it.
#[derive(Debug)]
pub(super) struct DatagramSocket {
    /// The socket.
    pub(super) socket: UdpSocket,
    /// Whether it is bound to no address of its own, so that each reply has to be told where to leave from.
    pub(super) is_wildcard: bool,
    /// The CPU that its worker is kept on, if it is.
    pub(super) cpu: Option<usize>,
}

/// Keeps the datagram workers on a CPU each, wherever an address has as many of them as this process has CPUs: the i-th worker on the i-th
/// CPU. With fewer, a worker could be stuck on a busy CPU while another one idles; with more, two would share one for ever. The system
/// places those better.
pub fn pin(bound: &mut [Bound]) {
    let Ok(cpus) = batch::allowed_cpus() else { return };
    for one in bound.iter_mut().filter(|one| one.udp.len() == cpus.len()) {
        for (socket, &cpu) in one.udp.iter_mut().zip(&cpus) {
            socket.cpu = Some(cpu);
        }
    }
}

/// Binds every address for `workers` workers. Port 0 means any port that is free for both UDP and TCP.
///
/// # Errors
/// [`BindError`] for the first address that cannot be had; a port that another process listens on is one, although `SO_REUSEPORT` would
/// let a process of the same user share it silently.
pub fn bind(listen: &[SocketAddr], workers: usize) -> Result<Vec<Bound>, BindError> {
    take_or_bind(listen, workers, &mut Given::default())
}

/// The same, but sockets that are there already are taken instead of bound. Where there are fewer of them than workers, several workers
/// share one; where there are more, each gets a worker, since what waits in it must be answered.
///
/// # Errors
/// As [`bind`].
pub fn take_or_bind(listen: &[SocketAddr], workers: usize, given: &mut Given) -> Result<Vec<Bound>, BindError> {
    let one = |&address: &SocketAddr| if address.port() == 0 { bind_any_port(address, workers) } else { bind_one(address, workers, given) };
    listen.iter().map(one).collect()
}

/// Workers that the sockets get at most, whatever the engine.
#[must_use]
pub fn workers_of(bound: &[Bound]) -> usize {
    let datagrams: usize = bound.iter().map(|one| one.udp.len()).sum();
    datagrams + bound.iter().map(|one| one.tcp.len()).max().unwrap_or(0) + 1
}

/// Workers that the listeners of a transport over TCP alone get.
#[must_use]
pub fn workers_of_streams(bound: &[BoundStreams]) -> usize {
    bound.iter().map(|one| one.listeners.len()).max().unwrap_or(0)
}

/// Takes or binds every address for `workers` workers, for a transport over TCP alone: for each address its port and a listener for each
/// worker.
///
/// # Errors
/// [`BindError`], as [`bind`] does; `transport` is what it calls itself there.
pub fn bind_streams(listen: &[SocketAddr], workers: usize, transport: &'static str, given: &mut Given) -> Result<Vec<BoundStreams>, BindError> {
    let mut bind_one = |&address: &SocketAddr| {
        let there = given.take_tcp(address);
        // Without SO_REUSEPORT first: only so is a port that somebody else shares seen as taken.
        let free = if there.is_empty() { probe_tcp(address)?.local_addr()?.as_socket() } else { None };
        let address = free.unwrap_or(address);
        let listeners = share_or_make(there, workers, TcpListener::try_clone, || listening_socket(address))?;
        listeners.iter().try_for_each(|listener| listener.set_nonblocking(true))?;
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

impl BoundStreams {
    /// Its sockets, as another process can have them.
    ///
    /// # Errors
    /// The system's, when there are no descriptors left.
    pub fn share(&self) -> io::Result<Vec<OwnedFd>> {
        self.listeners.iter().map(|listener| listener.try_clone().map(OwnedFd::from)).collect()
    }
}

/// Takes or binds every address once, for a transport over UDP that is not plain DNS.
///
/// # Errors
/// [`BindError`], as [`bind`] does; `transport` is what it calls itself there.
pub fn bind_datagrams(listen: &[SocketAddr], transport: &'static str, given: &mut Given) -> Result<Vec<BoundDatagrams>, BindError> {
    let mut bind_one = |&address: &SocketAddr| {
        let socket = given.take_udp(address).pop().map_or_else(|| probe_udp(address).map(UdpSocket::from), Ok)?;
        // Best effort: the system caps it at net.core.rmem_max.
        let _ = SockRef::from(&socket).set_recv_buffer_size(limits::UDP_SOCKET_BUFFER_OCTETS);
        socket.set_nonblocking(true)?;
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

impl BoundDatagrams {
    /// Its socket, as another process can have it.
    ///
    /// # Errors
    /// The system's, when there are no descriptors left.
    pub fn share(&self) -> io::Result<OwnedFd> {
        self.socket.try_clone().map(OwnedFd::from)
    }
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
pub(super) fn split(bound: Vec<Bound>) -> (Vec<DatagramSocket>, Vec<Vec<TcpListener>>) {
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
    /// Another process may have the UDP port, or take either between our two looks; that often in a row it does not.
    const TRIES: usize = 32;
    let mut last = None;
    for _ in 0..TRIES {
        // TCP's ports are the scarce ones: connections that ended hold theirs for a minute.
        let free = probe_tcp(address).and_then(|socket| socket.local_addr()).map_err(|source| BindError { address, transport: "TCP", source })?;
        let port = free.as_socket().map_or(0, |free| free.port());
        match bind_one(SocketAddr::new(address.ip(), port), workers, &mut Given::default()) {
            Ok(bound) => return Ok(bound),
            Err(error) => last = Some(error),
        }
    }
    Err(last.expect("the loop ran and did not return"))
}

/// Binds one address, or takes what is given of it.
fn bind_one(address: SocketAddr, workers: usize, given: &mut Given) -> Result<Bound, BindError> {
    let failed = |transport| move |source| BindError { address, transport, source };
    let (udp, tcp) = (given.take_udp(address), given.take_tcp(address));
    // Without SO_REUSEPORT first: only so is a port that somebody else shares seen as taken.
    if udp.is_empty() {
        drop(probe_udp(address).map_err(failed("UDP"))?);
    }
    if tcp.is_empty() {
        drop(probe_tcp(address).map_err(failed("TCP"))?);
    }
    let udp = share_or_make(udp, workers, UdpSocket::try_clone, || datagram_socket(address)).map_err(failed("UDP"))?;
    let udp = udp.into_iter().map(|socket| prepare(socket, address)).collect::<io::Result<_>>().map_err(failed("UDP"))?;
    let tcp: Vec<TcpListener> = share_or_make(tcp, workers, TcpListener::try_clone, || listening_socket(address)).map_err(failed("TCP"))?;
    tcp.iter().try_for_each(|listener| listener.set_nonblocking(true)).map_err(failed("TCP"))?;
    Ok(Bound { address, udp, tcp })
}

/// As many sockets as workers, at least: those that there are, shared by turns, or new ones if there are none.
fn share_or_make<S>(mut there: Vec<S>, workers: usize, share: impl Fn(&S) -> io::Result<S>, make: impl Fn() -> io::Result<S>) -> io::Result<Vec<S>> {
    let given = there.len();
    for worker in given..workers {
        let next = if given == 0 { make()? } else { share(&there[worker % given])? };
        there.push(next);
    }
    Ok(there)
}

impl Bound {
    /// Its sockets, as another process can have them.
    ///
    /// # Errors
    /// The system's, when there are no descriptors left.
    pub fn share(&self) -> io::Result<impl Iterator<Item = OwnedFd>> {
        let udp = self.udp.iter().map(|socket| socket.socket.try_clone().map(OwnedFd::from));
        let tcp = self.tcp.iter().map(|listener| listener.try_clone().map(OwnedFd::from));
        Ok(udp.chain(tcp).collect::<io::Result<Vec<_>>>()?.into_iter())
    }
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
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// Sets what a worker needs of a datagram socket that is bound.
fn prepare(socket: UdpSocket, address: SocketAddr) -> io::Result<DatagramSocket> {
    // Best effort: the system caps them at net.core.rmem_max and net.core.wmem_max.
    let _ = SockRef::from(&socket).set_recv_buffer_size(limits::UDP_SOCKET_BUFFER_OCTETS);
    let _ = SockRef::from(&socket).set_send_buffer_size(limits::UDP_SOCKET_BUFFER_OCTETS);
    batch::forbid_fragmentation(&socket, address.is_ipv6())?;
    let is_wildcard = address.ip().is_unspecified();
    if is_wildcard {
        batch::tell_destinations(&socket, address.is_ipv6())?;
    }
    Ok(DatagramSocket { socket, is_wildcard, cpu: None })
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
        assert!(bound[0].udp.iter().all(|socket| socket.socket.local_addr().unwrap().port() == port));
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

    #[test]
    fn sockets_that_are_there_are_taken_and_shared_among_more_workers() {
        let first = bind(&[SocketAddr::from(([127, 0, 0, 1], 0))], 2).unwrap();
        let address = first[0].address;
        for (workers, expected) in [(1, 2), (2, 2), (5, 5)] {
            let mut given = Given::default();
            first[0].share().unwrap().try_for_each(|descriptor| given.add(descriptor)).unwrap();
            let taken = take_or_bind(&[address], workers, &mut given).unwrap();
            assert!(given.is_empty());
            assert_eq!((taken[0].address, taken[0].udp.len(), taken[0].tcp.len()), (address, expected, expected));
        }
    }
}
