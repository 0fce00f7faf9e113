//! Datagrams in and out, a batch at a time, and the system calls that neither std nor socket2 offers. The only file that may be `unsafe`.
//!
//! The shape is that of a batch: receive what has come, answer each, send all replies. On Linux that is one `recvmmsg` and one `sendmmsg`
//! into memory that the batch owns and allocates once; elsewhere `batch/plain.rs` does the same with a batch of one.
//!
//! Invariants
//! - Headers point into the batch's own slots and nowhere else. What the system writes into a header (`msg_namelen`, `msg_controllen`,
//!   `msg_flags`) is set back before the next call.
//! - A lone query is not kept waiting for a batch to fill: the wait ends with the first datagram (`MSG_WAITFORONE`).
//! - Nothing is allocated, locked or logged between two batches.

#[cfg(target_os = "linux")]
mod control;
#[cfg(any(test, not(target_os = "linux")))]
mod plain;

#[cfg(not(target_os = "linux"))]
pub(super) use self::plain::Batch;
#[cfg(target_os = "linux")]
pub(super) use self::several::Batch;

#[cfg(target_os = "linux")]
use std::io;
#[cfg(target_os = "linux")]
use std::net::UdpSocket;
#[cfg(target_os = "linux")]
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
#[cfg(target_os = "linux")]
use std::os::unix::net::UnixStream;

/// How long to wait for a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// For the first one, as long as the socket's read timeout allows.
    ForOne,
    /// Not at all: only what is there already.
    Not,
}

/// Many datagrams in one system call.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "recvmmsg and sendmmsg take headers full of pointers; no safe crate has both without losing control messages")]
mod several {
    use std::cell::UnsafeCell;
    use std::io;
    use std::mem::MaybeUninit;
    use std::net::{IpAddr, UdpSocket};
    use std::os::fd::AsRawFd;
    use std::ptr;

    use super::{Wait, control};
    use crate::limits::{UDP_BATCH, UDP_QUERY_MAX, UDP_REPLY_MAX};

    /// Room for one datagram, its reply, and everything that the system tells of it.
    #[repr(C, align(64))]
    struct Slot {
        /// The sender's socket address, as the system writes it.
        name: control::Name,
        /// Where the query goes, and where the reply stands.
        buffers: [libc::iovec; 2],
        /// On a wildcard socket: the address that was asked, and then the one that the reply leaves from.
        control: control::Room,
        /// The query.
        query: [u8; UDP_QUERY_MAX],
        /// The reply.
        reply: [u8; UDP_REPLY_MAX],
    }

    /// A batch of datagrams. Allocated once per worker, whose thread it never leaves.
    pub(in crate::server) struct Batch {
        /// The slots; the headers below point into them. They are only looked at through `UnsafeCell::get`, so that no reference
        /// outlives a call and the headers' pointers stay good.
        slots: Vec<UnsafeCell<Slot>>,
        /// A header for each slot, for receiving.
        incoming: Vec<libc::mmsghdr>,
        /// Headers of the replies, in a row.
        outgoing: Vec<libc::mmsghdr>,
        /// How many datagrams were received.
        filled: usize,
        /// How many replies there are.
        replies: usize,
        /// Octets of a control message that the system may write; 0 where the address that was asked is known anyway.
        control_max: usize,
    }

    impl Batch {
        /// Room for [`UDP_BATCH`] datagrams. `is_wildcard`: the socket is bound to no address of its own, so that each reply has to be told
        /// where to leave from.
        pub(in crate::server) fn new(is_wildcard: bool) -> Self {
            let control_max = if is_wildcard { control::ROOM_OCTETS } else { 0 };
            let slots: Vec<UnsafeCell<Slot>> = (0..UDP_BATCH).map(|_| UnsafeCell::new(Slot::empty())).collect();
            let incoming = slots.iter().map(|slot| header_into(slot, control_max)).collect();
            let outgoing = (0..UDP_BATCH).map(|_| empty_header()).collect();
            Self { slots, incoming, outgoing, filled: 0, replies: 0, control_max }
        }

        /// Receives what has come, up to a full batch.
        ///
        /// # Errors
        /// The system's; `WouldBlock` when nothing came in time.
        pub(in crate::server) fn receive(&mut self, socket: &UdpSocket, wait: Wait) -> io::Result<()> {
            // A call that failed may have touched the first header.
            for header in &mut self.incoming[..self.filled.max(1)] {
                header.msg_hdr.msg_namelen = control::NAME_LEN;
                header.msg_hdr.msg_controllen = self.control_max as _;
                header.msg_hdr.msg_flags = 0;
            }
            (self.filled, self.replies) = (0, 0);
            let flags = match wait {
                Wait::ForOne => libc::MSG_WAITFORONE,
                Wait::Not => libc::MSG_DONTWAIT,
            };
            let (headers, count) = (self.incoming.as_mut_ptr(), headers_count(self.incoming.len()));
            // SAFETY: there are `count` headers, whose pointers lead into slots of this batch with the lengths that they say; nothing else
            // refers to the slots during the call, and the system keeps none of the pointers.
            let received = unsafe { libc::recvmmsg(socket.as_raw_fd(), headers, count, flags as _, ptr::null_mut()) };
            self.filled = usize::try_from(received).map_err(|_| io::Error::last_os_error())?.min(self.incoming.len());
            Ok(())
        }

        /// Shows each query, before any is answered.
        pub(in crate::server) fn look_at_each(&self, mut look: impl FnMut(&[u8])) {
            for (header, slot) in self.incoming[..self.filled].iter().zip(&self.slots) {
                let len = usize::try_from(header.msg_len).unwrap_or(UDP_QUERY_MAX).min(UDP_QUERY_MAX);
                // SAFETY: nothing writes into the slot while this reference lives, which ends with this turn of the loop.
                look(unsafe { &(&(*slot.get()).query)[..len] });
            }
        }

        /// Has each datagram answered: `answer` is given who sent it, the query and room for the reply, and says how long the reply is; 0 is
        /// silence. Returns how many queries were longer than the room for them, and so were cut.
        pub(in crate::server) fn answer_each(&mut self, mut answer: impl FnMut(IpAddr, &[u8], &mut [u8]) -> usize) -> u64 {
            let mut cut = 0;
            for (header, slot) in self.incoming[..self.filled].iter_mut().zip(&self.slots) {
                // SAFETY: this is the only reference into the slot, and it ends with this turn of the loop; the system is not writing.
                let slot = unsafe { &mut *slot.get() };
                let len = usize::try_from(header.msg_len).unwrap_or(UDP_QUERY_MAX).min(UDP_QUERY_MAX);
                cut += u64::from(header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0);
                let Some(source) = slot.name.ip() else { continue };
                let reply_len = answer(source, &slot.query[..len], &mut slot.reply).min(UDP_REPLY_MAX);
                if reply_len == 0 {
                    continue;
                }
                slot.buffers[1].iov_len = reply_len;
                let reply = &mut self.outgoing[self.replies].msg_hdr;
                reply.msg_name = header.msg_hdr.msg_name;
                reply.msg_namelen = header.msg_hdr.msg_namelen;
                reply.msg_iov = header.msg_hdr.msg_iov.wrapping_add(1);
                if self.control_max > 0 {
                    let told = control::turn_round(&mut slot.control, header.msg_hdr.msg_controllen as _);
                    reply.msg_control = if told > 0 { header.msg_hdr.msg_control } else { ptr::null_mut() };
                    reply.msg_controllen = told as _;
                }
                self.replies += 1;
            }
            cut
        }

        /// Sends the replies that there are; says how many the system did not take.
        pub(in crate::server) fn send(&mut self, socket: &UdpSocket) -> u64 {
            let (mut sent, mut unsent) = (0, 0);
            while sent < self.replies {
                let left = &mut self.outgoing[sent..self.replies];
                let (headers, count) = (left.as_mut_ptr(), headers_count(left.len()));
                // SAFETY: there are `count` headers, made by `answer_each` out of pointers into slots of this batch; nothing else refers to
                // the slots during the call, and the system keeps none of the pointers.
                let taken = unsafe { libc::sendmmsg(socket.as_raw_fd(), headers, count, 0) };
                match usize::try_from(taken) {
                    Ok(taken) if taken > 0 => sent += taken,
                    _ => match io::Error::last_os_error().kind() {
                        io::ErrorKind::Interrupted => {}
                        // The interface takes no more. The rest would wait as long in vain, while queries pile up.
                        io::ErrorKind::WouldBlock => {
                            unsent += (self.replies - sent) as u64;
                            break;
                        }
                        // It is about the first of them; the others go elsewhere.
                        _ => {
                            unsent += 1;
                            sent += 1;
                        }
                    },
                }
            }
            self.replies = 0;
            unsent
        }
    }

    impl Slot {
        /// Nothing in it.
        const fn empty() -> Self {
            const NOWHERE: libc::iovec = libc::iovec { iov_base: ptr::null_mut(), iov_len: 0 };
            Self { name: control::Name::EMPTY, buffers: [NOWHERE; 2], control: control::Room::EMPTY, query: [0; UDP_QUERY_MAX], reply: [0; UDP_REPLY_MAX] }
        }
    }

    /// A header that receives into a slot, and the slot's buffers set.
    fn header_into(slot: &UnsafeCell<Slot>, control_max: usize) -> libc::mmsghdr {
        let slot = slot.get();
        let mut header = empty_header();
        // SAFETY: `slot` leads to a live slot that nothing else refers to; the pointers that are made of it are only followed while the
        // batch that owns it lives, since the headers are fields of the same batch.
        unsafe {
            (*slot).buffers = [
                libc::iovec { iov_base: (&raw mut (*slot).query).cast(), iov_len: UDP_QUERY_MAX },
                libc::iovec { iov_base: (&raw mut (*slot).reply).cast(), iov_len: 0 },
            ];
            header.msg_hdr.msg_name = (&raw mut (*slot).name).cast();
            header.msg_hdr.msg_iov = (&raw mut (*slot).buffers).cast();
            if control_max > 0 {
                header.msg_hdr.msg_control = (&raw mut (*slot).control).cast();
            }
        }
        header.msg_hdr.msg_namelen = control::NAME_LEN;
        header.msg_hdr.msg_controllen = control_max as _;
        header
    }

    /// A header of one buffer that leads nowhere yet.
    fn empty_header() -> libc::mmsghdr {
        // SAFETY: a header is integers and pointers, for all of which zero is a value. (It has private padding on some systems.)
        let mut header: libc::mmsghdr = unsafe { MaybeUninit::zeroed().assume_init() };
        header.msg_hdr.msg_iovlen = 1;
        header
    }

    /// A number of headers as the system takes it.
    fn headers_count(count: usize) -> libc::c_uint {
        libc::c_uint::try_from(count).expect("a batch has some dozens")
    }
}

/// Lets no datagram of this socket be fragmented, and no forged ICMP message shorten its path MTU: `IP_PMTUDISC_PROBE` sets DF and
/// ignores what was learned of the path (RFC 9715 §3.1 R1, R2). Replies have at most 1232 octets and fit every path of IPv6.
///
/// # Errors
/// The system's.
#[cfg(target_os = "linux")]
pub(super) fn forbid_fragmentation(socket: &UdpSocket, v6: bool) -> io::Result<()> {
    if v6 {
        set_option(socket, libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, libc::IPV6_PMTUDISC_PROBE)
    } else {
        set_option(socket, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_PROBE)
    }
}

/// Has the system tell with each datagram which address it was sent to, for sockets that are bound to none.
///
/// # Errors
/// The system's.
#[cfg(target_os = "linux")]
pub(super) fn tell_destinations(socket: &UdpSocket, v6: bool) -> io::Result<()> {
    if v6 { set_option(socket, libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, 1) } else { set_option(socket, libc::IPPROTO_IP, libc::IP_PKTINFO, 1) }
}

/// Sets an option whose value is a number.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "neither std nor socket2 offers these options")]
fn set_option(socket: &UdpSocket, level: libc::c_int, name: libc::c_int, value: libc::c_int) -> io::Result<()> {
    let size = libc::socklen_t::try_from(size_of::<libc::c_int>()).expect("four octets");
    // SAFETY: the descriptor is open as long as `socket` is borrowed; `value` is a live c_int and `size` is its size; the call keeps neither.
    let result = unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, (&raw const value).cast(), size) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Has the C library give every large block of memory back to the system when it is freed. By itself it raises the size from which it does so to that of
/// the largest block that was ever freed: then the third of a gigabyte that reading a geography takes for a second stays with the process, in pieces.
///
/// To be called before such blocks are asked for. Says whether it was done; other C libraries do so anyway, or cannot be told.
#[expect(unsafe_code, reason = "no safe crate sets an option of the C library's allocator alone")]
pub fn give_back_large_blocks() -> bool {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        // SAFETY: it sets a number under the allocator's own lock; any value is allowed.
        unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, crate::limits::LARGE_BLOCK_OCTETS) == 1 }
    }
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    false
}

/// Datagrams that the system dropped since the socket was made, nearly always because its buffer was full.
///
/// # Errors
/// The system's; Linux before 4.12 does not know the option.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "neither std nor socket2 offers SO_MEMINFO")]
pub(super) fn overflows(socket: &UdpSocket) -> io::Result<u64> {
    /// The option; libc has the places of its values, not its name.
    const SO_MEMINFO: libc::c_int = 55;
    /// Where the count stands among the option's numbers (`SK_MEMINFO_DROPS`).
    const DROPS: usize = 8;
    let mut numbers = [0_u32; DROPS + 1];
    let mut size = libc::socklen_t::try_from(size_of_val(&numbers)).expect("some dozen octets");
    // SAFETY: the descriptor is open as long as `socket` is borrowed; `numbers` is live, writable and `size` octets long; the call keeps neither.
    let result = unsafe { libc::getsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, SO_MEMINFO, (&raw mut numbers).cast(), &raw mut size) };
    if result == 0 { Ok(u64::from(numbers[DROPS])) } else { Err(io::Error::last_os_error()) }
}

/// Most descriptors that one message carries; the system takes up to 253.
pub(super) const DESCRIPTORS_AT_ONCE: usize = 64;

/// Sends descriptors of this process to another one, with one octet.
///
/// # Errors
/// The system's.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "std has no stable SCM_RIGHTS")]
pub(super) fn send_descriptors(stream: &UnixStream, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    let numbers: Vec<libc::c_int> = descriptors.iter().map(AsRawFd::as_raw_fd).collect();
    let (mut rights, len) = control::Rights::of(&numbers).ok_or(io::ErrorKind::InvalidInput)?;
    let mut octet = [0_u8; 1];
    let mut buffer = libc::iovec { iov_base: (&raw mut octet).cast(), iov_len: octet.len() };
    let header = rights_header(&mut buffer, &mut rights, len);
    // SAFETY: the header leads to one live octet and to `len` octets of a live control message, and the call keeps neither; the descriptors
    // are open as long as they are borrowed.
    let sent = unsafe { libc::sendmsg(stream.as_raw_fd(), &raw const header, 0) };
    if sent == 1 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Receives descriptors that another process sent with one octet.
///
/// # Errors
/// The system's; `UnexpectedEof` when the other side has closed; `InvalidData` when there were more than fit.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "std has no stable SCM_RIGHTS")]
pub(super) fn receive_descriptors(stream: &UnixStream) -> io::Result<Vec<OwnedFd>> {
    let mut rights = control::Rights::EMPTY;
    let mut octet = [0_u8; 1];
    let mut buffer = libc::iovec { iov_base: (&raw mut octet).cast(), iov_len: octet.len() };
    let mut header = rights_header(&mut buffer, &mut rights, size_of::<control::Rights>());
    // SAFETY: the header leads to one live octet and to live room for a control message of the length that it says; the call keeps neither.
    let received = unsafe { libc::recvmsg(stream.as_raw_fd(), &raw mut header, libc::MSG_CMSG_CLOEXEC) };
    match received {
        1 => {}
        0 => return Err(io::ErrorKind::UnexpectedEof.into()),
        _ => return Err(io::Error::last_os_error()),
    }
    // SAFETY: the system has just made these descriptors for this process, and nothing else knows of them.
    let descriptors = rights.numbers(header.msg_controllen as _).map(|number| unsafe { OwnedFd::from_raw_fd(number) }).collect();
    if header.msg_flags & libc::MSG_CTRUNC != 0 { Err(io::ErrorKind::InvalidData.into()) } else { Ok(descriptors) }
}

/// A header of one octet with a control message of `len` octets.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "a header has private padding on some systems, and can only be made of zeros")]
fn rights_header(buffer: &mut libc::iovec, rights: &mut control::Rights, len: usize) -> libc::msghdr {
    // SAFETY: a header is integers and pointers, for all of which zero is a value.
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    header.msg_iov = buffer;
    header.msg_iovlen = 1;
    header.msg_control = (&raw mut *rights).cast();
    header.msg_controllen = len as _;
    header
}

/// Lets the process have `wanted` descriptors open, or as many as it may. A limit that is higher stays.
///
/// # Errors
/// The system's.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "std has no limits of the process")]
pub(super) fn raise_descriptor_limit(wanted: u64) -> io::Result<()> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is live and writable; the call keeps nothing.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    if limit.rlim_cur >= wanted.min(limit.rlim_max) {
        return Ok(());
    }
    limit.rlim_cur = wanted.min(limit.rlim_max);
    // SAFETY: `limit` is live; the call keeps nothing.
    if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) } == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// The CPUs that this process may run on, in order.
///
/// # Errors
/// The system's, for instance on a machine with more CPUs than the mask has bits.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "std tells how many CPUs there are, not which")]
pub(super) fn allowed_cpus() -> io::Result<Vec<usize>> {
    // SAFETY: a mask is an array of integers, for which zero is a value.
    let mut mask: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: `mask` is live, writable and as long as is said; 0 is the calling thread; the call keeps nothing.
    let result = unsafe { libc::sched_getaffinity(0, size_of_val(&mask), &raw mut mask) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    let bits = 8 * size_of_val(&mask);
    // SAFETY: every `cpu` is less than the mask's number of bits.
    Ok((0..bits).filter(|&cpu| unsafe { libc::CPU_ISSET(cpu, &mask) }).collect())
}

/// Keeps the calling thread on one CPU, which [`allowed_cpus`] told.
///
/// # Errors
/// The system's, for instance when the CPU is gone.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "std has no affinity of threads")]
pub(super) fn pin_to(cpu: usize) -> io::Result<()> {
    // SAFETY: a mask is an array of integers, for which zero is a value.
    let mut mask: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    if cpu >= 8 * size_of_val(&mask) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: `cpu` is less than the mask's number of bits.
    unsafe { libc::CPU_SET(cpu, &mut mask) };
    // SAFETY: `mask` is live and as long as is said; 0 is the calling thread; the call keeps nothing.
    let result = unsafe { libc::sched_setaffinity(0, size_of_val(&mask), &raw const mask) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(not(target_os = "linux"))]
pub(super) use self::elsewhere::*;

/// What other systems have instead.
#[cfg(not(target_os = "linux"))]
mod elsewhere {
    use std::io;
    use std::net::UdpSocket;
    use std::os::fd::{BorrowedFd, OwnedFd};
    use std::os::unix::net::UnixStream;

    /// The limit stays as it is.
    pub(in crate::server) fn raise_descriptor_limit(_wanted: u64) -> io::Result<()> {
        Ok(())
    }

    /// Sockets are not handed over.
    pub(in crate::server) fn send_descriptors(_stream: &UnixStream, _descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Sockets are not handed over.
    pub(in crate::server) fn receive_descriptors(_stream: &UnixStream) -> io::Result<Vec<OwnedFd>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// The system's default stands: the largest reply fits an Ethernet frame.
    pub(in crate::server) fn forbid_fragmentation(_socket: &UdpSocket, _v6: bool) -> io::Result<()> {
        Ok(())
    }

    /// Replies leave from the address that routing chooses.
    pub(in crate::server) fn tell_destinations(_socket: &UdpSocket, _v6: bool) -> io::Result<()> {
        Ok(())
    }

    /// Not told.
    pub(in crate::server) fn overflows(_socket: &UdpSocket) -> io::Result<u64> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Not told.
    pub(in crate::server) fn allowed_cpus() -> io::Result<Vec<usize>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Threads run where the system likes.
    pub(in crate::server) fn pin_to(_cpu: usize) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

#[cfg(test)]
mod tests;
