//! Step functions over an address space: sorted starts, each with the value that holds from there to the next start.
//!
//! Everything that geography does to prefixes is done to these: databases are read into them, sources and the operator's networks are
//! laid over each other, and the finished table is one.

use std::fmt::Debug;

use ipnet::IpNet;

/// An address of one family as an integer.
pub(super) trait Address: Copy + Ord + Debug {
    /// Bits of an address.
    const BITS: u8;
    /// Bits that a table's first level tells apart.
    const FIRST_LEVEL_BITS: u8;
    /// The lowest address.
    const ZERO: Self;
    /// The bits behind the first level that a table's ranges are kept by.
    type Suffix: Copy + Into<u32> + Debug;
    /// How many those are. First level and suffix together are a block.
    const SUFFIX_BITS: u8;

    /// The address above this one; `None` above the highest.
    fn next(self) -> Option<Self>;
    /// The address below this one; `None` below the lowest.
    fn before(self) -> Option<Self>;
    /// The highest address of the prefix of this length around this address.
    fn last_within(self, len: u8) -> Self;
    /// The lowest address of the prefix of this length around this address.
    fn first_within(self, len: u8) -> Self;
    /// Whether the prefix holds all IPv4-mapped addresses of IPv6.
    fn holds_mapped(self, len: u8) -> bool;
    /// How many addresses there are from this one to before `next`, or to the end of the space; one less where 128 bits do not count them.
    fn until(self, next: Option<Self>) -> u128;
    /// How many leading bits two addresses share.
    fn shared_bits(self, other: Self) -> u8;
    /// The bucket of a table's first level.
    fn bucket(self) -> usize;
    /// The lowest address of a bucket of the first level.
    fn of_bucket(bucket: usize) -> Self;
    /// The bits behind the first level.
    fn suffix(self) -> Self::Suffix;
    /// The lowest address and the length of a prefix of this family; `None` for the other family. An IPv4-mapped IPv6 prefix is of IPv4.
    fn of_prefix(prefix: &IpNet) -> Option<(Self, u8)>;
}

/// Implements [`Address`] for an unsigned integer.
macro_rules! address {
    ($integer:ty, $bits:literal, $first_level:literal, $suffix:ty, $of_prefix:expr) => {
        impl Address for $integer {
            const BITS: u8 = $bits;
            const FIRST_LEVEL_BITS: u8 = $first_level;
            const ZERO: Self = 0;
            type Suffix = $suffix;
            #[expect(clippy::cast_possible_truncation, reason = "16 or 32")]
            const SUFFIX_BITS: u8 = <$suffix>::BITS as u8;

            #[inline]
            fn next(self) -> Option<Self> {
                self.checked_add(1)
            }

            #[inline]
            fn before(self) -> Option<Self> {
                self.checked_sub(1)
            }

            #[inline]
            fn last_within(self, len: u8) -> Self {
                self | Self::MAX.checked_shr(u32::from(len)).unwrap_or(0)
            }

            #[inline]
            fn first_within(self, len: u8) -> Self {
                self & !Self::MAX.checked_shr(u32::from(len)).unwrap_or(0)
            }

            fn holds_mapped(self, len: u8) -> bool {
                $bits == 128 && len <= 96 && (u128::from(self) ^ MAPPED).leading_zeros() >= u32::from(len)
            }

            fn until(self, next: Option<Self>) -> u128 {
                match next {
                    Some(next) => u128::from(next - self),
                    None => u128::from(Self::MAX - self).saturating_add(1),
                }
            }

            #[inline]
            #[expect(clippy::cast_possible_truncation, reason = "at most 128")]
            fn shared_bits(self, other: Self) -> u8 {
                (self ^ other).leading_zeros() as u8
            }

            #[inline]
            fn bucket(self) -> usize {
                (self >> ($bits - $first_level)) as usize
            }

            fn of_bucket(bucket: usize) -> Self {
                Self::try_from(bucket).expect("a bucket has FIRST_LEVEL_BITS bits") << ($bits - $first_level)
            }

            #[inline]
            #[expect(clippy::cast_possible_truncation, reason = "the bits of the first level are cut off on purpose")]
            fn suffix(self) -> $suffix {
                (self >> ($bits - $first_level - <$suffix>::BITS)) as $suffix
            }

            fn of_prefix(prefix: &IpNet) -> Option<(Self, u8)> {
                $of_prefix(unmapped(prefix))
            }
        }
    };
}

// A /16 first level: 512 KiB, and a search among a handful of ranges behind it. Blocks are single addresses.
address!(u32, 32, 16, u16, |prefix| match prefix {
    IpNet::V4(net) => Some((net.network().to_bits(), net.prefix_len())),
    IpNet::V6(_) => None,
});
// A /20 first level: 8 MiB, of which clients touch 2000::/3 only. A /16 would leave tens of thousands of ranges behind 2a0x::/16. Blocks are /52s.
address!(u128, 128, 20, u32, |prefix| match prefix {
    IpNet::V6(net) => Some((net.network().to_bits(), net.prefix_len())),
    IpNet::V4(_) => None,
});

/// First of the IPv4-mapped IPv6 addresses, `::ffff:0:0/96` (RFC 4291 §2.5.5.2).
pub(super) const MAPPED: u128 = 0xffff_0000_0000;

/// An IPv4-mapped IPv6 prefix as the IPv4 prefix that it is; others as they are.
pub(super) fn unmapped(prefix: &IpNet) -> IpNet {
    if let IpNet::V6(net) = prefix
        && net.prefix_len() >= 96
        && let Some(address) = net.network().to_ipv4_mapped()
        && let Ok(mapped) = IpNet::new(address.into(), net.prefix_len() - 96)
    {
        return mapped;
    }
    *prefix
}

/// A step function. Never empty: the first step starts at the lowest address. Neighbours have different values.
#[derive(Clone, Debug)]
pub(super) struct Steps<A> {
    /// Where each step starts, ascending.
    starts: Vec<A>,
    /// Its value.
    values: Vec<u32>,
}

impl<A: Address> Steps<A> {
    /// The value 0 everywhere.
    pub(super) fn new() -> Self {
        Self { starts: vec![A::ZERO], values: vec![0] }
    }

    /// Number of steps.
    pub(super) fn len(&self) -> usize {
        self.starts.len()
    }

    /// Octets on the heap.
    pub(super) fn octets(&self) -> usize {
        self.starts.capacity() * size_of::<A>() + self.values.capacity() * size_of::<u32>()
    }

    /// Gives back what the vectors hold beyond their length.
    pub(super) fn shrink(&mut self) {
        self.starts.shrink_to_fit();
        self.values.shrink_to_fit();
    }

    /// Sets the value from `start` on, to the end of the space. `start` is not below any earlier one; at the same start the later wins.
    pub(super) fn push(&mut self, start: A, value: u32) {
        let last = self.len() - 1;
        debug_assert!(self.starts[last] <= start, "steps ascend");
        if self.starts[last] == start {
            if last > 0 && self.values[last - 1] == value {
                self.starts.pop();
                self.values.pop();
            } else {
                self.values[last] = value;
            }
        } else if self.values[last] != value {
            self.starts.push(start);
            self.values.push(value);
        }
    }

    /// The steps in order: start and value.
    pub(super) fn iter(&self) -> impl Iterator<Item = (A, u32)> + Clone {
        self.starts.iter().copied().zip(self.values.iter().copied())
    }

    /// The steps in order: how many addresses each has, and its value.
    pub(super) fn sizes(&self) -> impl Iterator<Item = (u128, u32)> {
        let ends = self.starts.iter().skip(1).copied().map(Some).chain([None]);
        self.iter().zip(ends).map(|((start, value), end)| (start.until(end), value))
    }

    /// Whether a step starts at this address.
    pub(super) fn has_start(&self, address: A) -> bool {
        self.starts.binary_search(&address).is_ok()
    }

    /// The value at an address.
    pub(super) fn at(&self, address: A) -> u32 {
        let above = self.starts.partition_point(|start| *start <= address);
        self.values[above - 1]
    }

    /// From prefixes that may lie within each other; the longest that holds an address counts, of equal ones the first. 0 elsewhere.
    pub(super) fn of_prefixes(prefixes: impl IntoIterator<Item = (A, u8, u32)>) -> Self {
        let mut sorted: Vec<(A, u8, u32)> = prefixes.into_iter().collect();
        sorted.sort_by_key(|(address, len, _)| (*address, *len)); // stable: of equal prefixes the first stays first
        sorted.dedup_by_key(|(address, len, _)| (*address, *len));
        let mut steps = Self::new();
        let mut open: Vec<(A, u32)> = Vec::new(); // last address and value of the prefixes around the present place, the outermost first
        for (address, len, value) in sorted {
            steps.close(&mut open, Some(address));
            steps.push(address, value);
            open.push((address.last_within(len), value));
        }
        steps.close(&mut open, None);
        steps
    }

    /// Ends the open prefixes that end before `place`, or all.
    fn close(&mut self, open: &mut Vec<(A, u32)>, place: Option<A>) {
        while let Some((last, _)) = open.last().copied() {
            if place.is_some_and(|place| last >= place) {
                return;
            }
            open.pop();
            if let Some(after) = last.next() {
                self.push(after, open.last().map_or(0, |(_, value)| *value));
            }
        }
    }
}

/// Walks two step functions at once: every start of either, with both values there. Of equal starts within one, the last counts.
pub(super) fn zip<A, L, R>(left: L, right: R) -> impl Iterator<Item = (A, u32, u32)>
where
    A: Address,
    L: Iterator<Item = (A, u32)>,
    R: Iterator<Item = (A, u32)>,
{
    let (mut left, mut right) = (left.peekable(), right.peekable());
    let (mut left_value, mut right_value) = (0, 0);
    std::iter::from_fn(move || {
        let start = match (left.peek(), right.peek()) {
            (Some((one, _)), Some((other, _))) => *one.min(other),
            (Some((one, _)), None) | (None, Some((one, _))) => *one,
            (None, None) => return None,
        };
        while let Some((_, value)) = left.next_if(|(at, _)| *at == start) {
            left_value = value;
        }
        while let Some((_, value)) = right.next_if(|(at, _)| *at == start) {
            right_value = value;
        }
        Some((start, left_value, right_value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(prefixes: &[(&str, u32)]) -> Steps<u32> {
        Steps::of_prefixes(prefixes.iter().map(|(text, value)| {
            let (address, len) = u32::of_prefix(&text.parse().unwrap()).unwrap();
            (address, len, *value)
        }))
    }

    fn v4(text: &str) -> u32 {
        text.parse::<std::net::Ipv4Addr>().unwrap().to_bits()
    }

    #[test]
    fn the_longest_prefix_around_an_address_counts() {
        let steps = steps(&[("10.0.0.0/8", 1), ("10.1.0.0/16", 2), ("10.1.255.0/24", 3), ("10.1.255.0/24", 9), ("255.0.0.0/8", 4)]);
        for (address, value) in
            [("9.255.255.255", 0), ("10.0.0.0", 1), ("10.1.0.0", 2), ("10.1.255.7", 3), ("10.2.0.0", 1), ("11.0.0.0", 0), ("255.255.255.255", 4)]
        {
            assert_eq!(steps.at(v4(address)), value, "{address}");
        }
        let starts: Vec<u32> = steps.iter().map(|(start, _)| start).collect();
        assert!(starts.is_sorted_by(|one, other| one < other));
    }

    #[test]
    fn an_ipv4_mapped_prefix_is_one_of_ipv4() {
        let prefix: IpNet = "::ffff:192.0.2.0/120".parse().unwrap();
        assert_eq!(u32::of_prefix(&prefix), Some((v4("192.0.2.0"), 24)));
        assert_eq!(u128::of_prefix(&prefix), None);
        assert_eq!(MAPPED, "::ffff:0:0".parse::<std::net::Ipv6Addr>().unwrap().to_bits());
    }
}
