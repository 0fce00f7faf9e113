//! OPT: sizes, DO, the client's subnet (RFC 7871), extended errors (RFC 8914), and what else a query asks to be told. Unknown options and
//! flags are ignored (RFC 6891 §6.1.2).
//!
//! The subnet is read on the way of nearly every query; the other options are rare, and read apart.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Rcode, Wants};
use crate::limits::UDP_REPLY_PLAIN;

/// OPTION-CODE of the name server's identifier (RFC 5001 §4).
pub const OPTION_NSID: u16 = 3;
/// OPTION-CODE of the client's subnet (RFC 7871 §6).
pub const OPTION_ECS: u16 = 8;
/// OPTION-CODE of cookies (RFC 7873 §4).
pub const OPTION_COOKIE: u16 = 10;
/// OPTION-CODE of edns-tcp-keepalive (RFC 7828 §3.1).
pub const OPTION_KEEPALIVE: u16 = 11;
/// OPTION-CODE of padding (RFC 7830 §3).
pub const OPTION_PADDING: u16 = 12;
/// OPTION-CODE of extended errors (RFC 8914 §2).
pub const OPTION_EDE: u16 = 15;
/// Octets of an OPT without options: root, TYPE, CLASS, TTL, RDLENGTH.
pub const OPT_OCTETS: usize = 11;

/// What a query's OPT says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Edns<'a> {
    /// Largest UDP reply that the client can take, in octets, as it says; less than 512 counts as 512 (RFC 6891 §6.2.3).
    pub udp_size: u16,
    /// DO (RFC 3225 §3).
    pub dnssec_ok: bool,
    /// The client's subnet, if there is one.
    pub ecs: Option<Ecs<'a>>,
    /// What it asks to be told beside the answer.
    pub wants: Wants,
    /// The cookie as it came: the client's 8 octets and, if it has learnt one, 8 to 32 of a server's. Empty without one.
    pub cookie: &'a [u8],
}

impl<'a> Edns<'a> {
    /// What the CLASS and TTL of OPT say (RFC 6891 §6.1.3).
    #[inline]
    pub(super) fn of(class: u16, ttl: u32) -> Self {
        let [_, _, flags, _] = ttl.to_be_bytes();
        Self { udp_size: class, dnssec_ok: flags & 0x80 != 0, ..Self::default() }
    }

    /// Reads the RDATA of OPT so far as the reply needs it.
    ///
    /// # Errors
    /// BADVERS for a version other than 0, whose options are not looked at; FORMERR for options that overrun RDATA, a malformed subnet or a
    /// malformed cookie.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "measured: on the way of every query")]
    pub(super) fn read(&mut self, ttl: u32, rdata: &'a [u8]) -> Result<(), Rcode> {
        let [_, version, ..] = ttl.to_be_bytes();
        if version != 0 {
            return Err(Rcode::BADVERS);
        }
        match rdata.split_first_chunk() {
            None if rdata.is_empty() => Ok(()),
            // Mostly a subnet is the only option.
            Some((&[code_high, code_low, len_high, len_low], data))
                if u32::from_be_bytes([code_high, code_low, len_high, len_low]) as usize == usize::from(OPTION_ECS) << 16 | data.len() =>
            {
                self.ecs = Some(Ecs::read(data).ok_or(Rcode::FORMERR)?);
                Ok(())
            }
            _ => self.read_options(rdata),
        }
    }

    /// Reads the options.
    #[inline(never)]
    fn read_options(&mut self, mut rdata: &'a [u8]) -> Result<(), Rcode> {
        while !rdata.is_empty() {
            let (&[code_high, code_low, len_high, len_low], rest) = rdata.split_first_chunk().ok_or(Rcode::FORMERR)?;
            let len = usize::from(u16::from_be_bytes([len_high, len_low]));
            let (data, rest) = rest.split_at_checked(len).ok_or(Rcode::FORMERR)?;
            rdata = rest;
            if u16::from_be_bytes([code_high, code_low]) == OPTION_ECS {
                // Two subnets contradict each other: no reply could echo both.
                if self.ecs.is_some() {
                    return Err(Rcode::FORMERR);
                }
                self.ecs = Some(Ecs::read(data).ok_or(Rcode::FORMERR)?);
            } else {
                self.read_rare(u16::from_be_bytes([code_high, code_low]), data)?;
            }
        }
        Ok(())
    }

    /// Reads any other option. What NSID, keepalive and padding hold in a query means nothing: that they are there does.
    #[cold]
    fn read_rare(&mut self, code: u16, data: &'a [u8]) -> Result<(), Rcode> {
        match code {
            // Of several cookies the first counts (RFC 7873 §5.2); its length must be that of a client's, or of both (§5.2.2).
            OPTION_COOKIE if !self.wants.has(Wants::COOKIE) => {
                if !matches!(data.len(), 8 | 16..=40) {
                    return Err(Rcode::FORMERR);
                }
                self.cookie = data;
                self.wants.insert(Wants::COOKIE);
            }
            OPTION_NSID => self.wants.insert(Wants::NSID),
            OPTION_KEEPALIVE => self.wants.insert(Wants::KEEPALIVE),
            OPTION_PADDING => self.wants.insert(Wants::PADDING),
            _ => {}
        }
        Ok(())
    }

    /// Largest UDP reply that the client can take, in octets.
    #[must_use]
    pub fn reply_max(&self) -> usize {
        usize::from(self.udp_size).max(UDP_REPLY_PLAIN)
    }
}

/// A client's subnet (RFC 7871 §6), valid as a query must have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ecs<'a> {
    /// The first address of the prefix.
    pub address: IpAddr,
    /// SOURCE PREFIX-LENGTH, 0 to 32 or 128.
    pub source: u8,
    /// The option's data as it came: FAMILY, SOURCE, SCOPE, ADDRESS. All but SCOPE goes back unchanged (§7.2.1).
    pub data: &'a [u8],
}

impl<'a> Ecs<'a> {
    /// Reads the option's data. `None` when it is malformed (§6, §7.1.2): an unknown FAMILY, a SOURCE longer than an address, SCOPE other
    /// than zero, ADDRESS of another length than SOURCE needs, or bits set beyond SOURCE.
    #[must_use]
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "measured: on the way of nearly every query")]
    pub fn read(data: &'a [u8]) -> Option<Self> {
        let (&[family_high, family_low, source, scope], octets) = data.split_first_chunk()?;
        if scope != 0 || octets.len() != usize::from(source).div_ceil(8) {
            return None;
        }
        let address = match u16::from_be_bytes([family_high, family_low]) {
            1 if source <= 32 => IpAddr::V4(Ipv4Addr::from_bits(prefix_v4(octets, source)?)),
            2 if source <= 128 => IpAddr::V6(prefix_v6(octets, source)?),
            _ => return None,
        };
        Some(Self { address, source, data })
    }

    /// Octets of the option in a reply, its code and length included.
    #[must_use]
    pub fn option_octets(&self) -> usize {
        4 + self.data.len()
    }
}

/// The first address of an IPv4 prefix of at most 32 bits; `None` when bits are set beyond them.
#[inline(always)]
#[expect(clippy::inline_always, reason = "measured: on the way of nearly every query")]
fn prefix_v4(octets: &[u8], source: u8) -> Option<u32> {
    let bits = match *octets {
        // Nearly every resolver tells 24 bits.
        [a, b, c] => u32::from_be_bytes([a, b, c, 0]),
        _ => few_bits(octets),
    };
    let beyond = u64::from(u32::MAX) >> source;
    (u64::from(bits) & beyond == 0).then_some(bits)
}

/// The bits of an IPv4 prefix, zeros behind them.
#[inline(never)]
fn few_bits(octets: &[u8]) -> u32 {
    octets.iter().rev().fold(0, |bits, octet| bits >> 8 | u32::from(*octet) << 24)
}

/// The first address of an IPv6 prefix of at most 128 bits; `None` when bits are set beyond them.
#[inline(never)]
fn prefix_v6(octets: &[u8], source: u8) -> Option<Ipv6Addr> {
    let mut bits = [0; 16];
    bits.get_mut(..octets.len())?.copy_from_slice(octets);
    let bits = u128::from_be_bytes(bits);
    let beyond = u128::MAX.checked_shr(u32::from(source)).unwrap_or(0);
    (bits & beyond == 0).then_some(Ipv6Addr::from_bits(bits))
}

/// Extended error codes (RFC 8914 §4; RFC 9824 §8 for the last).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ede(pub u16);

impl Ede {
    /// Something unusual that has no code of its own; the text says what (§4.1).
    pub const OTHER: Self = Self(0);
    /// The answer comes from a view of health that is no longer fed (§4.4).
    pub const STALE_ANSWER: Self = Self(3);
    /// The node cannot answer yet (§4.15).
    pub const NOT_READY: Self = Self(14);
    /// This client may not have that (§4.19).
    pub const PROHIBITED: Self = Self(18);
    /// The name is in none of our zones (§4.21).
    pub const NOT_AUTHORITATIVE: Self = Self(20);
    /// The operation is not supported (§4.22).
    pub const NOT_SUPPORTED: Self = Self(21);
    /// A type that must not be asked for.
    pub const INVALID_QUERY_TYPE: Self = Self(30);

    /// Octets of the option without text, its code and length included.
    pub const OCTETS: usize = 6;
}
