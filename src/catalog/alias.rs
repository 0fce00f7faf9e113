//! Names that stand for addresses: what an endpoint's `alias` is looked up as.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::{AliasId, Name};

/// A host name whose addresses endpoints answer with. Identical ones of several endpoints are one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Alias {
    /// The name.
    pub name: Name,
    /// The types that any of its endpoints wants.
    pub types: AddressTypes,
}

/// An endpoint's share in an alias.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Aliased {
    /// Which.
    pub id: AliasId,
    /// The types that the endpoint declares: at least one.
    pub types: AddressTypes,
    /// Most addresses of one type that it gives to an answer, so that the largest answer of its service has at most
    /// [`crate::limits::STEERED_ADDRESSES_MAX`].
    pub most: u8,
}

/// A type of address records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum AddressType {
    /// IPv4 (RFC 1035 §3.4.1).
    A,
    /// IPv6 (RFC 3596 §2.1).
    Aaaa,
}

impl AddressType {
    /// Both.
    pub const ALL: [Self; 2] = [Self::A, Self::Aaaa];

    /// As it is written: `A` or `AAAA`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::Aaaa => "AAAA",
        }
    }

    /// Whether records of this type hold such an address.
    #[must_use]
    pub const fn holds(self, address: IpAddr) -> bool {
        matches!((self, address), (Self::A, IpAddr::V4(_)) | (Self::Aaaa, IpAddr::V6(_)))
    }
}

/// Some types of address records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct AddressTypes {
    /// IPv4.
    pub a: bool,
    /// IPv6.
    pub aaaa: bool,
}

impl AddressTypes {
    /// Neither.
    pub const NONE: Self = Self { a: false, aaaa: false };

    /// Whether a type is among them.
    #[must_use]
    pub const fn has(self, of: AddressType) -> bool {
        match of {
            AddressType::A => self.a,
            AddressType::Aaaa => self.aaaa,
        }
    }

    /// With a type beside.
    #[must_use]
    pub const fn with(self, of: AddressType) -> Self {
        match of {
            AddressType::A => Self { a: true, ..self },
            AddressType::Aaaa => Self { aaaa: true, ..self },
        }
    }

    /// Those of both.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self { a: self.a || other.a, aaaa: self.aaaa || other.aaaa }
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        !self.a && !self.aaaa
    }

    /// Them, A first.
    pub fn iter(self) -> impl Iterator<Item = AddressType> {
        AddressType::ALL.into_iter().filter(move |of| self.has(*of))
    }
}

/// Why no client can ever use an address; `None` for any other. Private and loopback addresses are the operator's own business.
#[must_use]
pub fn unusable(address: IpAddr) -> Option<&'static str> {
    match address {
        _ if address.is_unspecified() => Some("the unspecified address"),
        _ if address.is_multicast() => Some("a multicast address"),
        IpAddr::V4(v4) if v4.is_broadcast() => Some("the broadcast address"),
        IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some() => Some("an IPv4 address in the form of IPv6 (RFC 4291 section 2.5.5.2)"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_no_client_can_use_are_told_apart() {
        for address in ["0.0.0.0", "255.255.255.255", "224.0.0.1", "::", "ff02::1", "::ffff:192.0.2.1"] {
            assert!(unusable(address.parse().unwrap()).is_some(), "{address}");
        }
        for address in ["192.0.2.1", "10.0.0.1", "127.0.0.1", "::1", "2001:db8::1", "fe80::1"] {
            assert_eq!(unusable(address.parse().unwrap()), None, "{address}");
        }
    }
}
