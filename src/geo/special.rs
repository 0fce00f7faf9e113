//! Blocks of addresses that say nothing of a place in the world: private, local, reserved (RFC 6890, RFC 7871 §11.3).
//!
//! They are barriers of the table: no leaf reaches over the end of one, so that what is answered to a private subnet never has a scope
//! that overlaps its public neighbours'. Documentation addresses count as ordinary ones.

use std::net::IpAddr;

use super::steps::{MAPPED, Steps};

/// The blocks of IPv4: lowest address and length.
const V4: [(u32, u8); 12] = [
    (0x0000_0000, 8),  // 0.0.0.0/8: this network
    (0x0a00_0000, 8),  // 10.0.0.0/8: private use
    (0x6440_0000, 10), // 100.64.0.0/10: shared by carriers
    (0x7f00_0000, 8),  // 127.0.0.0/8: loopback
    (0xa9fe_0000, 16), // 169.254.0.0/16: link-local
    (0xac10_0000, 12), // 172.16.0.0/12: private use
    (0xc000_0000, 24), // 192.0.0.0/24: protocol assignments
    (0xc0a8_0000, 16), // 192.168.0.0/16: private use
    (0xc612_0000, 15), // 198.18.0.0/15: benchmarks
    (0xe000_0000, 4),  // 224.0.0.0/4: multicast
    (0xf000_0000, 4),  // 240.0.0.0/4: reserved
    (0xffff_ffff, 32), // 255.255.255.255/32: broadcast
];

/// The blocks of IPv6: lowest address and length.
const V6: [(u128, u8); 5] = [
    (0, 127),            // ::/127: unspecified, loopback
    (MAPPED, 96),        // ::ffff:0:0/96: IPv4-mapped
    (0xfc00 << 112, 7),  // fc00::/7: unique local
    (0xfe80 << 112, 10), // fe80::/10: link-local
    (0xff00 << 112, 8),  // ff00::/8: multicast
];

/// Where the blocks of IPv4 begin and end.
pub(super) fn barriers_v4() -> Steps<u32> {
    Steps::of_prefixes(V4.into_iter().zip(1..).map(|((address, len), number)| (address, len, number)))
}

/// Where the blocks of IPv6 begin and end.
pub(super) fn barriers_v6() -> Steps<u128> {
    Steps::of_prefixes(V6.into_iter().zip(1..).map(|((address, len), number)| (address, len, number)))
}

/// Whether the whole prefix lies in one of the blocks, so that only an operator's own network could tell where it is. An IPv4-mapped prefix is
/// the IPv4 prefix in it.
#[must_use]
pub fn is_special(address: IpAddr, len: u8) -> bool {
    match address {
        IpAddr::V6(address) if len >= 96 && address.to_ipv4_mapped().is_some() => is_special(IpAddr::V6(address).to_canonical(), len - 96),
        IpAddr::V6(address) if (address.to_bits() ^ MAPPED) >> 32 == 0 => false,
        IpAddr::V4(address) => V4.iter().any(|(block, block_len)| len >= *block_len && (address.to_bits() ^ block) >> (32 - block_len) == 0),
        IpAddr::V6(address) => V6.iter().any(|(block, block_len)| len >= *block_len && (address.to_bits() ^ block) >> (128 - block_len) == 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Catalog;
    use crate::geo::Geo;

    #[test]
    fn a_prefix_is_special_if_all_of_it_is() {
        let cases = [
            ("10.1.2.0", 24, true),
            ("10.0.0.0", 7, false),
            ("100.64.0.0", 10, true),
            ("100.128.0.0", 24, false),
            ("172.31.255.0", 24, true),
            ("172.32.0.0", 24, false),
            ("192.0.0.0", 24, true),
            ("192.0.2.0", 24, false),
            ("198.19.0.0", 16, true),
            ("240.0.0.0", 4, true),
            ("fd00::", 56, true),
            ("fec0::", 64, false),
            ("::1", 128, true),
            ("::2", 128, false),
            ("::ffff:10.0.0.0", 104, true),
            ("::ffff:192.0.2.0", 120, false),
            ("::ffff:0.0.0.0", 96, false),
            ("2001:db8::", 32, false),
        ];
        for (address, len, expected) in cases {
            assert_eq!(is_special(address.parse().unwrap(), len), expected, "{address}/{len}");
        }
    }

    #[test]
    fn no_leaf_reaches_over_the_end_of_a_block() {
        let geo = Geo::without_databases(&Catalog::default());
        for (address, leaf) in [
            ("10.1.2.3", 8),
            ("11.0.0.0", 8),
            ("9.255.255.255", 7),
            ("8.0.0.0", 7),
            ("192.168.7.0", 16),
            ("1.0.0.0", 8),
            ("64.0.0.0", 3),
            ("fd00::1", 7),
            ("2001:db8::", 3),
        ] {
            assert_eq!(geo.locate(address.parse().unwrap(), 128).leaf, leaf, "{address}");
        }
    }
}
