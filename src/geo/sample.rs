//! Addresses drawn at random from those that a database knows, the same in every run: to measure one geography by another.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::Mmdb;
use super::special::is_special;

/// Numbers that look random and are the same in every run: SplitMix64. Of no use where somebody must not guess them.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// By their seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next; there is always one.
    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// An index below this.
    #[expect(clippy::missing_panics_doc, reason = "it is less than `end`")]
    pub fn below(&mut self, end: usize) -> usize {
        let drawn = (u128::from(self.next()) * end as u128) >> 64;
        usize::try_from(drawn).expect("less than `end`")
    }
}

impl Mmdb {
    /// So many IPv4 addresses that it knows the country of, each as likely as the other. Fewer when nearly all of them are private or special.
    #[must_use]
    pub fn sample_v4(&self, count: usize, seed: u64) -> Vec<Ipv4Addr> {
        let steps: Vec<(u32, u32)> = self.v4.iter().collect();
        let ends = steps[1..].iter().map(|(start, _)| start - 1).chain([u32::MAX]);
        // Of each range that is known, how many known addresses lie before it, and where it starts.
        let (mut known, mut ranges) = (0, Vec::new());
        for ((start, value), end) in steps.iter().zip(ends) {
            if self.records[*value as usize].country.is_some() {
                ranges.push((known, *start));
                known += end.abs_diff(*start) as usize + 1;
            }
        }
        if known == 0 {
            return Vec::new();
        }
        let mut random = Random::new(seed);
        let drawn = std::iter::repeat_with(|| {
            let index = random.below(known);
            let (before, start) = ranges[ranges.partition_point(|(before, _)| *before <= index) - 1];
            #[expect(clippy::cast_possible_truncation, reason = "within a range of IPv4")]
            Ipv4Addr::from_bits(start + (index - before) as u32)
        });
        drawn.take(count.saturating_mul(64)).filter(|address| !is_special((*address).into(), 32)).take(count).collect()
    }

    /// So many IPv6 addresses that it knows the country of: each range as likely as the other, for of the addresses of IPv6 nearly all are
    /// in the few largest. None when it knows no range.
    #[must_use]
    pub fn sample_v6(&self, count: usize, seed: u64) -> Vec<Ipv6Addr> {
        let starts: Vec<(u128, u32)> = self.v6.iter().collect();
        let ends = starts[1..].iter().map(|(start, _)| start - 1).chain([u128::MAX]);
        let is_known = |value: u32| self.records[value as usize].country.is_some();
        let ranges: Vec<(u128, u128)> = starts.iter().zip(ends).filter(|((_, value), _)| is_known(*value)).map(|((start, _), end)| (*start, end)).collect();
        if ranges.is_empty() {
            return Vec::new();
        }
        let mut random = Random::new(seed);
        let drawn = std::iter::repeat_with(|| {
            let (start, end) = ranges[random.below(ranges.len())];
            let offset = u128::from(random.next()) << 64 | u128::from(random.next());
            Ipv6Addr::from_bits((end - start).checked_add(1).map_or(offset, |len| start + offset % len))
        });
        drawn.take(count).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geo::{Code, Record};

    #[test]
    fn what_is_drawn_is_known_and_the_same_in_every_run() {
        let of = |code: &str| Record { country: Code::parse(code), ..Record::default() };
        let prefixes =
            [("100.0.0.0/7", of("US")), ("10.0.0.0/8", of("US")), ("50.0.0.0/8", Record { asn: Some(1), ..Record::default() }), ("2001:db8::/32", of("DE"))];
        let database = Mmdb::from_prefixes("test", prefixes.map(|(prefix, record)| (prefix.parse().unwrap(), record))).unwrap();
        let v4 = database.sample_v4(20, 1);
        assert_eq!(v4.len(), 20);
        assert!(v4.iter().all(|address| [100, 101].contains(&address.octets()[0])), "{v4:?}");
        assert!(database.sample_v6(20, 1).iter().all(|address| address.segments()[..2] == [0x2001, 0xdb8]));
        assert_eq!((database.sample_v4(20, 1), database.sample_v6(5, 1)), (v4, database.sample_v6(5, 1)));
        let empty = Mmdb::from_prefixes("empty", []).unwrap();
        assert_eq!((empty.sample_v4(5, 1).len(), empty.sample_v6(5, 1).len()), (0, 0));
    }
}
