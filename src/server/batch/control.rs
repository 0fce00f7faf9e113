//! The octets that the system writes beside a datagram: who sent it, and which address it was sent to. Read and turned round without
//! following a pointer.
//!
//! A control message is a header (length with the header, level, type) and its data, each padded to the size of a word. On Linux the one of
//! a wildcard socket is:
//!
//! | family | level, type | data |
//! |---|---|---|
//! | IPv4 | `IPPROTO_IP`, `IP_PKTINFO` | interface, local address (the source of a reply), destination of the header |
//! | IPv6 | `IPPROTO_IPV6`, `IPV6_PKTINFO` | address, interface (RFC 3542 §6.1) |

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Octets of the largest socket address of an IP family, as headers say it: `sockaddr_in6`.
pub(super) const NAME_LEN: libc::socklen_t = 28;
/// The same, as arrays have it.
const NAME_OCTETS: usize = NAME_LEN as usize;
/// Octets of room for control messages: the larger one, of IPv6, takes 40.
pub(super) const ROOM_OCTETS: usize = 64;
/// Octets of the length in a control message's header, and what its parts are padded to.
const WORD: usize = size_of::<usize>();
/// Octets of a control message's header, padded.
const HEADER_OCTETS: usize = (WORD + 8).next_multiple_of(WORD);
/// Octets of an interface's number.
const INTERFACE_OCTETS: usize = 4;
/// Octets of a descriptor's number.
const DESCRIPTOR_OCTETS: usize = 4;
/// Octets of the largest control message that carries descriptors.
const RIGHTS_OCTETS: usize = HEADER_OCTETS + DESCRIPTOR_OCTETS * super::DESCRIPTORS_AT_ONCE;

/// Room for a socket address.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(8))]
pub(super) struct Name([u8; NAME_OCTETS]);

/// Room for control messages.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(8))]
pub(super) struct Room([u8; ROOM_OCTETS]);

impl Name {
    /// No address.
    pub(super) const EMPTY: Self = Self([0; NAME_OCTETS]);

    /// The IP address in it; `None` if it is of another family.
    #[inline]
    pub(super) fn ip(&self) -> Option<IpAddr> {
        // sockaddr_in: family, port, address. sockaddr_in6: family, port, flow label, address, scope.
        match i32::from(u16::from_ne_bytes([self.0[0], self.0[1]])) {
            libc::AF_INET => self.0[4..].first_chunk::<4>().map(|&octets| Ipv4Addr::from(octets).into()),
            // A socket of both families, which only a service manager gives, tells IPv4 addresses as mapped ones.
            libc::AF_INET6 => self.0[8..].first_chunk::<16>().map(|&octets| Ipv6Addr::from(octets).to_canonical()),
            _ => None,
        }
    }
}

impl Room {
    /// No message.
    pub(super) const EMPTY: Self = Self([0; ROOM_OCTETS]);
}

/// Room for a control message that carries descriptors.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(8))]
pub(super) struct Rights([u8; RIGHTS_OCTETS]);

impl Rights {
    /// No message.
    pub(super) const EMPTY: Self = Self([0; RIGHTS_OCTETS]);

    /// A message with these descriptors, and its octets; `None` if they are too many.
    pub(super) fn of(numbers: &[i32]) -> Option<(Self, usize)> {
        let mut octets = (HEADER_OCTETS + DESCRIPTOR_OCTETS * numbers.len()).to_ne_bytes().to_vec();
        octets.extend(libc::SOL_SOCKET.to_ne_bytes());
        octets.extend(libc::SCM_RIGHTS.to_ne_bytes());
        octets.extend(numbers.iter().flat_map(|number| number.to_ne_bytes()));
        let mut rights = Self::EMPTY;
        rights.0.get_mut(..octets.len())?.copy_from_slice(&octets);
        Some((rights, octets.len()))
    }

    /// The descriptors in a message of `len` octets.
    pub(super) fn numbers(&self, len: usize) -> impl Iterator<Item = i32> {
        let message = Message::read(self.0.get(..len).unwrap_or_default()).filter(|message| message.kind == (libc::SOL_SOCKET, libc::SCM_RIGHTS));
        message.map_or(&[][..], |message| message.data).chunks_exact(DESCRIPTOR_OCTETS).filter_map(|octets| octets.try_into().ok().map(i32::from_ne_bytes))
    }
}

/// The first control message of some octets.
struct Message<'a> {
    /// Level and type.
    kind: (i32, i32),
    /// The data.
    data: &'a [u8],
}

impl<'a> Message<'a> {
    /// Reads it; `None` if it is not there as a whole.
    fn read(octets: &'a [u8]) -> Option<Self> {
        let (header, data) = octets.split_at_checked(HEADER_OCTETS)?;
        let (size, kind) = header.split_first_chunk::<WORD>()?;
        let data = data.get(..usize::from_ne_bytes(*size).checked_sub(HEADER_OCTETS)?)?;
        let (&level, kind) = kind.split_first_chunk::<4>()?;
        let &kind = kind.first_chunk::<4>()?;
        Some(Self { kind: (i32::from_ne_bytes(level), i32::from_ne_bytes(kind)), data })
    }
}

/// Makes of the message that told where a query was sent to the one that has its reply leave from there: in place, since both look
/// alike. `len` octets were received. Returns how many are to be sent; 0 leaves the source to the system's routing.
///
/// The interface is forgotten, for the way back is up to the routing, except where the address means something on one link only. A
/// multicast destination is no source.
pub(super) fn turn_round(room: &mut Room, len: usize) -> usize {
    let Some(Message { kind, data }) = room.0.get(..len).and_then(Message::read) else { return 0 };
    let size = data.len();
    let data = &mut room.0[HEADER_OCTETS..HEADER_OCTETS + size];
    let is_usable = match kind {
        (libc::IPPROTO_IP, libc::IP_PKTINFO) => turn_round_v4(data),
        (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => turn_round_v6(data),
        _ => false,
    };
    if is_usable { HEADER_OCTETS + size.next_multiple_of(WORD) } else { 0 }
}

/// The data of IPv4. Says whether a reply can leave from there.
fn turn_round_v4(data: &mut [u8]) -> bool {
    let Some((interface, addresses)) = data.split_first_chunk_mut::<INTERFACE_OCTETS>() else { return false };
    let Some(&local) = addresses.first_chunk::<4>() else { return false };
    let local = Ipv4Addr::from(local);
    if !local.is_link_local() {
        *interface = [0; INTERFACE_OCTETS];
    }
    !local.is_unspecified()
}

/// The data of IPv6. Says whether a reply can leave from there.
fn turn_round_v6(data: &mut [u8]) -> bool {
    let Some((&mut address, interface)) = data.split_first_chunk_mut::<16>() else { return false };
    let address = Ipv6Addr::from(address);
    if !address.is_unicast_link_local() {
        interface.fill(0);
    }
    !address.is_multicast() && !address.is_unspecified()
}

#[cfg(test)]
#[cfg(all(target_pointer_width = "64", target_endian = "little"))]
mod tests {
    use super::*;

    /// What the system writes: length, level, type, data, padding.
    fn message(level: u8, kind: u8, data: &[u8]) -> (Room, usize) {
        let mut room = Room::EMPTY;
        let padded = 16 + data.len().next_multiple_of(8);
        room.0[0] = u8::try_from(16 + data.len()).unwrap();
        (room.0[8], room.0[12]) = (level, kind);
        room.0[16..16 + data.len()].copy_from_slice(data);
        (room, padded)
    }

    #[test]
    fn the_reply_over_ipv4_leaves_from_the_local_address_by_any_interface() {
        let (mut room, len) = message(0, 8, &[3, 0, 0, 0, 192, 0, 2, 7, 192, 0, 2, 255]);
        assert_eq!(turn_round(&mut room, len), 32);
        assert_eq!(room.0[..32], message(0, 8, &[0, 0, 0, 0, 192, 0, 2, 7, 192, 0, 2, 255]).0.0[..32]);
    }

    #[test]
    fn the_reply_over_ipv6_leaves_from_the_address_that_was_asked_by_any_interface() {
        let address: Ipv6Addr = "2001:db8::7".parse().unwrap();
        let (mut room, len) = message(41, 50, &[&address.octets()[..], &[3, 0, 0, 0]].concat());
        assert_eq!(turn_round(&mut room, len), 40);
        assert_eq!(room.0[..40], message(41, 50, &[&address.octets()[..], &[0, 0, 0, 0]].concat()).0.0[..40]);
    }

    #[test]
    fn an_address_of_one_link_keeps_its_interface() {
        let address: Ipv6Addr = "fe80::7".parse().unwrap();
        let (before, len) = message(41, 50, &[&address.octets()[..], &[3, 0, 0, 0]].concat());
        let mut room = before;
        assert_eq!((turn_round(&mut room, len), room.0), (40, before.0));
        let (before, len) = message(0, 8, &[3, 0, 0, 0, 169, 254, 1, 1, 169, 254, 1, 1]);
        let mut room = before;
        assert_eq!((turn_round(&mut room, len), room.0), (32, before.0));
    }

    #[test]
    fn what_cannot_be_a_source_is_left_to_the_routing() {
        let multicast: Ipv6Addr = "ff02::1".parse().unwrap();
        let (mut room, len) = message(41, 50, &[&multicast.octets()[..], &[3, 0, 0, 0]].concat());
        assert_eq!(turn_round(&mut room, len), 0);
        let (mut room, len) = message(0, 8, &[3, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255]);
        assert_eq!(turn_round(&mut room, len), 0);
        let (mut other, len) = message(1, 40, &[0; 4]);
        assert_eq!(turn_round(&mut other, len), 0);
    }

    #[test]
    fn a_message_that_is_cut_or_lies_about_its_length_is_left_alone() {
        let (whole, len) = message(0, 8, &[3, 0, 0, 0, 192, 0, 2, 7, 192, 0, 2, 255]);
        for short in 0..28 {
            let mut room = whole;
            assert_eq!(turn_round(&mut room, short), 0, "{short} of {len} octets");
        }
        for lie in [0, 1, 15, 16, 19, 23, 255] {
            let mut room = whole;
            room.0[0] = lie;
            assert_eq!(turn_round(&mut room, len), 0, "a length of {lie}");
        }
    }

    #[test]
    fn descriptors_are_read_as_they_were_written_and_no_more_than_fit() {
        let numbers: Vec<i32> = (3..67).collect();
        let (rights, len) = Rights::of(&numbers).unwrap();
        assert_eq!(rights.numbers(len).collect::<Vec<_>>(), numbers);
        assert_eq!((0..len).map(|short| rights.numbers(short).count()).max(), Some(0));
        assert!(Rights::of(&[3; 65]).is_none());
        let (rights, len) = Rights::of(&[]).unwrap();
        assert_eq!((len, rights.numbers(len).count()), (16, 0));
    }

    #[test]
    fn names_of_both_families_have_their_address_and_others_none() {
        let mut name = Name::EMPTY;
        assert_eq!(name.ip(), None);
        name.0[..8].copy_from_slice(&[2, 0, 0, 53, 192, 0, 2, 7]);
        assert_eq!(name.ip(), Some("192.0.2.7".parse().unwrap()));
        name.0[0] = 10;
        name.0[8..24].copy_from_slice(&"2001:db8::7".parse::<Ipv6Addr>().unwrap().octets());
        assert_eq!(name.ip(), Some("2001:db8::7".parse().unwrap()));
        name.0[8..24].copy_from_slice(&Ipv4Addr::new(192, 0, 2, 7).to_ipv6_mapped().octets());
        assert_eq!(name.ip(), Some("192.0.2.7".parse().unwrap()));
    }
}
