//! What aliases were resolved to, as it is published.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use serde::Serialize;

use crate::catalog::AddressType;
use crate::units::Moment;

/// What an alias was resolved to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resolved {
    /// IPv4.
    pub a: Held<Ipv4Addr>,
    /// IPv6.
    pub aaaa: Held<Ipv6Addr>,
}

/// The addresses of one type that are given until better ones are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held<T> {
    /// The addresses, sorted; none when none was ever found, or none for too long.
    pub addresses: Box<[T]>,
    /// Why they are not fresh, if they are not.
    pub trouble: Option<Trouble>,
}

/// Why addresses are not fresh.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// What came of the look-ups.
    pub failure: LookupFailure,
    /// Since when.
    pub since: Moment,
    /// When the addresses that are held were found; `None` when none are.
    pub found: Option<Moment>,
}

/// Why a look-up brought no addresses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LookupFailure {
    /// There is no such name (NXDOMAIN).
    NoSuchName,
    /// The name has no address of this type (NODATA).
    NoAddress,
    /// The name servers answer with an error: its RCODE.
    Refused(Box<str>),
    /// They do not answer in time.
    TimedOut,
    /// Every address was one that no client can use.
    Unusable,
    /// Nobody has looked since the addresses were to be looked up again.
    Late,
    /// Anything else, in the resolver's words.
    Other(Box<str>),
}

impl<T> Default for Held<T> {
    fn default() -> Self {
        Self { addresses: Box::default(), trouble: None }
    }
}

impl Resolved {
    /// Why its addresses of a type are not fresh, if they are not.
    #[must_use]
    pub const fn trouble(&self, of: AddressType) -> Option<&Trouble> {
        match of {
            AddressType::A => self.a.trouble.as_ref(),
            AddressType::Aaaa => self.aaaa.trouble.as_ref(),
        }
    }

    /// Whether it has no address of a type.
    #[must_use]
    pub const fn lacks(&self, of: AddressType) -> bool {
        match of {
            AddressType::A => self.a.addresses.is_empty(),
            AddressType::Aaaa => self.aaaa.addresses.is_empty(),
        }
    }
}

impl LookupFailure {
    /// Every kind, as [`LookupFailure::kind`] names it.
    pub const KINDS: [&'static str; 7] = ["no-such-name", "no-address", "refused", "timed-out", "unusable", "late", "other"];

    /// Names the kind, for counting.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::NoSuchName => Self::KINDS[0],
            Self::NoAddress => Self::KINDS[1],
            Self::Refused(_) => Self::KINDS[2],
            Self::TimedOut => Self::KINDS[3],
            Self::Unusable => Self::KINDS[4],
            Self::Late => Self::KINDS[5],
            Self::Other(_) => Self::KINDS[6],
        }
    }
}

/// For people.
impl fmt::Display for LookupFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchName => f.write_str("no such name (NXDOMAIN)"),
            Self::NoAddress => f.write_str("no address of this type (NODATA)"),
            Self::Refused(rcode) => write!(f, "the name servers answer {rcode}"),
            Self::TimedOut => f.write_str("no answer in time"),
            Self::Unusable => f.write_str("only addresses that no client can use"),
            Self::Late => f.write_str("nobody looked it up"),
            Self::Other(why) => f.write_str(why),
        }
    }
}

/// As in `no such name (NXDOMAIN), since 2026-11-26T12:00:00Z`.
impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, since {}", self.failure, self.since)
    }
}
