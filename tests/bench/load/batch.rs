//! Batches of datagrams by `recvmmsg` and `sendmmsg`: the one file of the load generator that is unsafe.
#![expect(unsafe_code, reason = "the standard library has no call for many datagrams at once")]

use std::io;
use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::ptr;
use std::time::Duration;

/// Room for one datagram, in octets.
pub(crate) const OCTETS: usize = 2_048;

/// Octets of queries and replies that the system is asked to hold for a socket.
const SOCKET_BUFFER_OCTETS: libc::c_int = 4 << 20;

/// Room for so many datagrams, with what the system calls need to find them. Allocated once.
pub(crate) struct Batch {
    /// The datagrams.
    buffers: Box<[[u8; OCTETS]]>,
    /// Octets of each: those that came, or those that shall go.
    lens: Box<[usize]>,
    /// Where each came from, and where it goes if [`send`](Self::send) is told so.
    peers: Box<[libc::sockaddr_storage]>,
    /// Octets of each of `peers`.
    peer_lens: Box<[libc::socklen_t]>,
    /// What the headers point at. Written anew for each call, so that nothing in here is moved away from under it.
    vectors: Box<[libc::iovec]>,
    /// What the kernel reads and writes.
    headers: Box<[libc::mmsghdr]>,
}

impl Batch {
    /// Room for `count` datagrams.
    pub(crate) fn new(count: usize) -> Self {
        // SAFETY: both are plain structures of the C library: integers and pointers, for which all zeros is a valid value.
        let (peer, header): (libc::sockaddr_storage, libc::mmsghdr) = unsafe { (std::mem::zeroed(), std::mem::zeroed()) };
        Self {
            buffers: vec![[0; OCTETS]; count].into(),
            lens: vec![0; count].into(),
            peers: vec![peer; count].into(),
            peer_lens: vec![0; count].into(),
            vectors: vec![libc::iovec { iov_base: ptr::null_mut(), iov_len: 0 }; count].into(),
            headers: vec![header; count].into(),
        }
    }

    /// How many datagrams there is room for.
    pub(crate) fn capacity(&self) -> usize {
        self.buffers.len()
    }

    /// The octets of a datagram that came.
    pub(crate) fn datagram(&self, index: usize) -> &[u8] {
        &self.buffers[index][..self.lens[index].min(OCTETS)]
    }

    /// All the room of a datagram, and its length, to be changed.
    pub(crate) fn datagram_mut(&mut self, index: usize) -> (&mut [u8; OCTETS], &mut usize) {
        (&mut self.buffers[index], &mut self.lens[index])
    }

    /// Receives what there is, as much as there is room for; `wait` waits for the first.
    ///
    /// # Errors
    /// The system's; `WouldBlock` when nothing is there and it shall not wait.
    pub(crate) fn receive(&mut self, socket: &UdpSocket, wait: bool) -> io::Result<usize> {
        self.lens.fill(OCTETS);
        let count = self.capacity();
        let headers = self.lay_out(0, count, true);
        // Narrow on one system, wide on the other.
        let flags = if wait { libc::MSG_WAITFORONE } else { libc::MSG_DONTWAIT } as _;
        // SAFETY: the headers point at buffers, names and vectors of `self` with their true lengths, which nobody else touches during
        // the call; there are `count` of them; no time limit is given.
        let received = unsafe { libc::recvmmsg(socket.as_raw_fd(), headers, count_of(count), flags, ptr::null_mut()) };
        let received = usize::try_from(received).map_err(|_| io::Error::last_os_error())?;
        for index in 0..received {
            self.lens[index] = self.headers[index].msg_len as usize;
            self.peer_lens[index] = self.headers[index].msg_hdr.msg_namelen;
        }
        Ok(received)
    }

    /// Sends the datagrams `from..to`, to whom they came from or (`back` is false) to whom the socket is connected to. Says how many went.
    ///
    /// # Errors
    /// The system's, when not even the first went.
    pub(crate) fn send(&mut self, socket: &UdpSocket, from: usize, to: usize, back: bool) -> io::Result<usize> {
        let headers = self.lay_out(from, to, back);
        // SAFETY: as for `receive`; the headers `from..to` were laid out.
        let sent = unsafe { libc::sendmmsg(socket.as_raw_fd(), headers, count_of(to - from), 0) };
        usize::try_from(sent).map_err(|_| io::Error::last_os_error())
    }

    /// Points the headers `from..to` at their datagrams, and tells where the first of them is.
    fn lay_out(&mut self, from: usize, to: usize, named: bool) -> *mut libc::mmsghdr {
        for index in from..to {
            self.vectors[index] = libc::iovec { iov_base: self.buffers[index].as_mut_ptr().cast(), iov_len: self.lens[index].min(OCTETS) };
            let header = &mut self.headers[index].msg_hdr;
            header.msg_iov = &raw mut self.vectors[index];
            header.msg_iovlen = 1;
            if named {
                header.msg_name = (&raw mut self.peers[index]).cast();
                // What came is shorter; for receiving it must have all its room.
                let room = count_of(size_of::<libc::sockaddr_storage>());
                header.msg_namelen = if self.peer_lens[index] == 0 || self.lens[index] == OCTETS { room } else { self.peer_lens[index] };
            } else {
                header.msg_name = ptr::null_mut();
                header.msg_namelen = 0;
            }
        }
        self.headers[from..].as_mut_ptr()
    }
}

/// A count as the system calls want it.
fn count_of(count: usize) -> libc::c_uint {
    libc::c_uint::try_from(count).expect("a batch is small")
}

/// Asks the system for room for bursts; it gives what it may.
pub(crate) fn enlarge_buffers(socket: &UdpSocket) {
    for name in [libc::SO_RCVBUF, libc::SO_SNDBUF] {
        let size = libc::socklen_t::try_from(size_of::<libc::c_int>()).expect("four octets");
        let octets = SOCKET_BUFFER_OCTETS;
        // SAFETY: the descriptor is open as long as `socket` is borrowed; `octets` is a live c_int and `size` is its size.
        unsafe { libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, name, (&raw const octets).cast(), size) };
    }
}

/// Sleeps until one of the sockets has something to read, at most so long.
pub(crate) fn wait_readable<'a>(sockets: impl Iterator<Item = &'a UdpSocket>, longest: Duration) {
    let mut polled: Vec<libc::pollfd> = sockets.map(|socket| libc::pollfd { fd: socket.as_raw_fd(), events: libc::POLLIN, revents: 0 }).collect();
    let seconds = libc::time_t::try_from(longest.as_secs()).unwrap_or(libc::time_t::MAX);
    let timeout = libc::timespec { tv_sec: seconds, tv_nsec: libc::c_long::from(longest.subsec_nanos().cast_signed()) };
    // SAFETY: `polled` and `timeout` live through the call, and the length is the true one; no signal mask is given. What it returns does not
    // matter: the caller looks itself.
    unsafe { libc::ppoll(polled.as_mut_ptr(), libc::nfds_t::try_from(polled.len()).expect("a few"), &raw const timeout, ptr::null()) };
}
