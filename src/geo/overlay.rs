//! Two geographies laid over each other: which addresses are where by one and by the other.

use std::collections::HashMap;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::census::Extent;
use super::steps::{Address, zip};
use super::table::Table;
use super::{Geo, LocalityId};

/// The addresses that are in one place by the old geography and in one by the new.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overlap {
    /// Their locality in the old one.
    pub old: LocalityId,
    /// Their locality in the new one.
    pub new: LocalityId,
    /// How many they are.
    pub extent: Extent,
    /// The first prefix of the largest range of IPv4 among them, and of IPv6.
    pub largest: [Option<IpNet>; 2],
}

/// Lays two geographies over each other: every address is in exactly one of the overlaps. IPv4-mapped addresses are IPv4's.
#[must_use]
pub fn overlay(old: &Geo, new: &Geo) -> Vec<Overlap> {
    let mut overlaps: HashMap<(u32, u32), Overlap> = HashMap::new();
    let net_v4 = |address: u32, len: u8| Ipv4Net::new_assert(address.into(), len).into();
    along(&old.v4, &new.v4, &mut overlaps, 0, net_v4, |extent, addresses| extent.v4 += u64::try_from(addresses).unwrap_or(u64::MAX));
    let net_v6 = |address: u128, len: u8| Ipv6Net::new_assert(address.into(), len).into();
    along(&old.v6, &new.v6, &mut overlaps, 1, net_v6, |extent, addresses| extent.v6 = extent.v6.saturating_add(addresses));
    let mut overlaps: Vec<Overlap> = overlaps.into_values().collect();
    overlaps.sort_unstable_by_key(|overlap| (overlap.old, overlap.new));
    overlaps
}

/// Counts along the tables of one family.
fn along<A: Address>(
    old: &Table<A>,
    new: &Table<A>,
    overlaps: &mut HashMap<(u32, u32), Overlap>,
    family: usize,
    net: impl Fn(A, u8) -> IpNet,
    count: impl Fn(&mut Extent, u128),
) {
    let mut largest: HashMap<(u32, u32), u128> = HashMap::new();
    let mut ranges = zip(old.ranges(), new.ranges()).peekable();
    while let Some((start, from, to)) = ranges.next() {
        let end = ranges.peek().map(|(start, ..)| *start);
        let addresses = start.until(end);
        let overlap = overlaps.entry((from, to)).or_insert_with(|| Overlap {
            old: LocalityId(u16::try_from(from).expect("a table has 16 bits for a locality")),
            new: LocalityId(u16::try_from(to).expect("a table has 16 bits for a locality")),
            extent: Extent::default(),
            largest: [None; 2],
        });
        count(&mut overlap.extent, addresses);
        let so_far = largest.entry((from, to)).or_default();
        if addresses > *so_far {
            *so_far = addresses;
            overlap.largest[family] = Some(net(start, first_len(start, end)));
        }
    }
}

/// Length of the shortest prefix that begins at `start` and ends before `end`.
fn first_len<A: Address>(start: A, end: Option<A>) -> u8 {
    let fits = |len: &u8| start.first_within(*len) == start && end.is_none_or(|end| start.last_within(*len) < end);
    (0..=A::BITS).find(fits).unwrap_or(A::BITS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Catalog;
    use crate::geo::{Code, Mmdb, Record, Source};

    fn geo(prefixes: &[(&str, &str)]) -> Geo {
        let record = |country| Record { country: Code::parse(country), ..Record::default() };
        let prefixes = prefixes.iter().map(|(prefix, country)| (prefix.parse().unwrap(), record(country)));
        Geo::compile(&Catalog::default(), &[Source { name: "test".into(), database: Mmdb::from_prefixes("test", prefixes).unwrap() }]).unwrap()
    }

    #[test]
    fn every_address_is_in_one_overlap_and_the_largest_range_is_its_example() {
        let old = geo(&[("192.0.2.0/24", "DE"), ("2001:db8::/32", "DE")]);
        let new = geo(&[("192.0.2.0/27", "FR"), ("192.0.2.64/26", "FR"), ("192.0.2.32/27", "DE"), ("2001:db8::/33", "FR")]);
        let told: Vec<_> = overlay(&old, &new)
            .into_iter()
            .map(|overlap| (old.locality(overlap.old).country, new.locality(overlap.new).country, overlap.extent, overlap.largest))
            .collect();
        let (de, fr) = (Code::parse("DE"), Code::parse("FR"));
        let extents: Vec<_> = told.iter().map(|(from, to, extent, _)| (*from, *to, extent.v4, extent.v6_sites())).collect();
        assert!(extents.contains(&(de, fr, 96, 1 << 31 >> 16)), "{extents:?}");
        assert!(extents.contains(&(de, None, 128, 1 << 31 >> 16)), "{extents:?}");
        assert!(extents.contains(&(de, de, 32, 0)), "{extents:?}");
        assert_eq!(extents.iter().map(|(_, _, v4, _)| v4).sum::<u64>(), 1 << 32);
        let moved = told.iter().find(|(from, to, ..)| (*from, *to) == (de, fr)).unwrap().3;
        assert_eq!(moved.map(|net| net.unwrap().to_string()), ["192.0.2.64/26", "2001:db8::/33"]);
    }
}
