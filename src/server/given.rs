//! Sockets that somebody else has bound: the service manager, or the process before this one.

use std::collections::BTreeSet;
use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::fd::OwnedFd;

use socket2::{Socket, Type};

/// Sockets by what they are. Whoever binds an address looks here first.
#[derive(Debug, Default)]
pub struct Given {
    /// Datagram sockets.
    udp: Vec<(SocketAddr, UdpSocket)>,
    /// Listening sockets.
    tcp: Vec<(SocketAddr, TcpListener)>,
}

impl Given {
    /// Adds a descriptor.
    ///
    /// # Errors
    /// When it is neither a bound UDP socket nor a TCP listener.
    pub fn add(&mut self, descriptor: OwnedFd) -> io::Result<()> {
        let socket = Socket::from(descriptor);
        let address = socket.local_addr()?.as_socket().filter(|address| address.port() != 0);
        match (address, socket.r#type()?) {
            (Some(address), Type::DGRAM) => self.udp.push((address, socket.into())),
            (Some(address), Type::STREAM) if is_listener(&socket)? => self.tcp.push((address, socket.into())),
            _ => return Err(io::Error::new(io::ErrorKind::InvalidInput, "neither a bound UDP socket nor a TCP listener")),
        }
        Ok(())
    }

    /// Whether there are none, or none left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.udp.is_empty() && self.tcp.is_empty()
    }

    /// The addresses of those that are left, each once.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        let all = self.udp.iter().map(|(address, _)| *address).chain(self.tcp.iter().map(|(address, _)| *address));
        all.collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// Takes the datagram sockets of an address.
    pub fn take_udp(&mut self, address: SocketAddr) -> Vec<UdpSocket> {
        self.udp.extract_if(.., |(bound, _)| *bound == address).map(|(_, socket)| socket).collect()
    }

    /// Takes the listening sockets of an address.
    pub fn take_tcp(&mut self, address: SocketAddr) -> Vec<TcpListener> {
        self.tcp.extract_if(.., |(bound, _)| *bound == address).map(|(_, listener)| listener).collect()
    }
}

/// Whether a stream socket listens, rather than being a connection.
#[cfg(target_os = "linux")]
fn is_listener(socket: &Socket) -> io::Result<bool> {
    socket.is_listener()
}

/// Not told elsewhere; a connection would fail at the first accept.
#[cfg(not(target_os = "linux"))]
#[expect(clippy::unnecessary_wraps, reason = "as it is on Linux")]
fn is_listener(_socket: &Socket) -> io::Result<bool> {
    Ok(true)
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpStream};

    use super::*;

    #[test]
    fn sockets_are_found_by_address_and_kind_and_given_once() {
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let (of_udp, of_tcp) = (udp.local_addr().unwrap(), tcp.local_addr().unwrap());
        let mut given = Given::default();
        given.add(udp.try_clone().unwrap().into()).unwrap();
        given.add(udp.into()).unwrap();
        given.add(tcp.into()).unwrap();
        let mut addresses = [of_udp, of_tcp];
        addresses.sort();
        assert_eq!(given.addresses(), addresses);
        assert_eq!(given.take_udp("192.0.2.1:53".parse().unwrap()).len(), 0);
        assert_eq!((given.take_udp(of_udp).len(), given.take_udp(of_udp).len()), (2, 0));
        assert_eq!((given.take_tcp(of_tcp).len(), given.take_tcp(of_tcp).len()), (1, 0));
        assert!(given.is_empty());
    }

    #[test]
    fn what_cannot_be_served_on_is_refused() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let connection = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (pipe, _writer) = io::pipe().unwrap();
        let unbound = Socket::new(socket2::Domain::IPV4, Type::DGRAM, None).unwrap();
        for descriptor in [connection.into(), OwnedFd::from(pipe), unbound.into()] {
            assert!(Given::default().add(descriptor).is_err());
        }
    }
}
