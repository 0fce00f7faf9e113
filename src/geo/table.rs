//! The finished table of one family: address → locality and leaf.
//!
//! Sorted ranges behind a first level that the leading bits index; of where a range starts, only the bits behind the first level are kept, so
//! that millions of ranges of IPv6 take six octets each. Ranges that start within a block of first level and suffix (a /52 of IPv6; databases
//! have few) stand apart, whole, in [`Deep`]. The leaf of an address is not stored: it is the shortest prefix that leaves out both neighbours
//! of its range, which two `xor`s tell. A prefix that spans several ranges takes the union of their client sets from a pyramid, so that the
//! widest prefix costs a few hundred steps.

mod places;

use self::places::{DEEP, Places};
use super::steps::Address;
use super::{ClientSets, Locality};

/// The table of one family.
#[derive(Clone, Debug)]
pub(super) struct Table<A: Address> {
    /// The first level, and a last entry behind it.
    buckets: Box<[Bucket]>,
    /// Where each range starts behind its bucket, ascending within a bucket.
    suffixes: Box<[A::Suffix]>,
    /// The locality of each range, or that it stands apart.
    places: Places,
    /// Blocks of several ranges.
    deep: Deep<A>,
}

/// An entry of the first level.
#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    /// Ranges that start before its lowest address: the index of the first that does not.
    first: u32,
    /// Length of the shortest prefix of its lowest address that leaves out what lies before that address's range.
    below: u8,
    /// Length of the shortest prefix of its highest address that leaves out what lies behind that address's range.
    above: u8,
}

/// Ranges within blocks that have several. The first of each block starts with it.
#[derive(Clone, Debug)]
struct Deep<A> {
    /// Where each starts, ascending.
    starts: Box<[A]>,
    /// Its locality.
    places: Places,
}

/// What the table says of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// Its locality.
    pub(super) place: u16,
    /// Length of the leaf around it.
    pub(super) leaf: u8,
}

impl Found {
    /// Of an address that the table does not have; there is none.
    const NOWHERE: Self = Self { place: 0, leaf: 0 };
}

/// Bits of the first level and the suffix together.
const fn block_bits<A: Address>() -> u8 {
    A::FIRST_LEVEL_BITS + A::SUFFIX_BITS
}

impl<A: Address> Table<A> {
    /// From ranges: where each starts, ascending from the lowest address, and its locality.
    pub(super) fn new(starts: &[A], places: &[u16], localities: &[Locality]) -> Self {
        debug_assert!(starts[0] == A::ZERO && starts.is_sorted_by(|one, other| one < other), "ranges partition the space");
        debug_assert_eq!(starts.len(), places.len(), "each has a locality");
        let mut split = Split::default();
        for (start, place) in starts.iter().zip(places) {
            split.add(*start, *place);
        }
        split.close(None);
        Self {
            buckets: first_level(&split.starts),
            suffixes: split.starts.iter().map(|start| start.suffix()).collect(),
            places: Places::new(split.places, localities),
            deep: Deep { starts: split.deep_starts.into(), places: Places::new(split.deep_places, localities) },
        }
    }

    /// What the table says of an address.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "measured: on the way of nearly every query")]
    pub(super) fn find(&self, address: A) -> Found {
        let Some([bucket, next]) = self.buckets.get(address.bucket()..).and_then(|from| from.first_chunk::<2>()) else { return Found::NOWHERE };
        let starts = self.suffixes.get(bucket.first as usize..next.first as usize).unwrap_or_default();
        let suffix = address.suffix().into();
        let within = starts.partition_point(|start| (*start).into() <= suffix);
        let place = self.places.of((bucket.first as usize + within).wrapping_sub(1));
        if place == DEEP {
            return self.find_deep(address);
        }
        let below = match starts.get(within.wrapping_sub(1)).map(|start| (*start).into()) {
            Some(start) if start > 0 => leaving_out::<A>(start - 1, suffix),
            _ => bucket.below,
        };
        let above = starts.get(within).map_or(bucket.above, |next| leaving_out::<A>((*next).into(), suffix));
        Found { place, leaf: below.max(above) }
    }

    /// Reads what [`Table::find`] will most likely read, so that it is near when it does; what is returned means nothing. The ranges of a bucket are taken to
    /// be spread evenly.
    #[inline]
    pub(super) fn touch(&self, address: A) -> u32 {
        let Some([bucket, next]) = self.buckets.get(address.bucket()..).and_then(|from| from.first_chunk::<2>()) else { return 0 };
        let suffix: u32 = address.suffix().into();
        let within = (u64::from(next.first - bucket.first) * u64::from(suffix)) >> A::SUFFIX_BITS;
        let at = bucket.first as usize + usize::try_from(within).unwrap_or(0);
        self.suffixes.get(at).map_or(0, |start| (*start).into()) ^ u32::from(self.places.of(at.saturating_sub(1)))
    }

    /// The starts of ranges in an address's bucket, and how many of them are not above it.
    #[inline]
    fn within(&self, address: A) -> (&[A::Suffix], usize) {
        let bucket = address.bucket();
        let starts = &self.suffixes[self.buckets[bucket].first as usize..self.buckets[bucket + 1].first as usize];
        let suffix = address.suffix().into();
        (starts, starts.partition_point(|start| (*start).into() <= suffix))
    }

    /// Index of the range that holds an address.
    fn range(&self, address: A) -> usize {
        self.buckets[address.bucket()].first as usize + self.within(address).1 - 1
    }

    /// What the table says of an address in a block of several ranges.
    #[cold]
    fn find_deep(&self, address: A) -> Found {
        let end = address.last_within(block_bits::<A>());
        let above = self.deep.starts.partition_point(|start| *start <= address);
        let next = self.deep.starts.get(above).copied().filter(|next| *next <= end).or(end.next());
        let below = self.deep.starts[above - 1].before().map_or(0, |last| last.shared_bits(address) + 1);
        Found { place: self.deep.places.of(above - 1), leaf: below.max(next.map_or(0, |next| next.shared_bits(address) + 1)) }
    }

    /// The client sets of every place from the range of `first` to the one of `last`.
    pub(super) fn sets_between(&self, first: A, last: A, localities: &[Locality]) -> ClientSets {
        let (low, high) = (self.range(first), self.range(last));
        let mut sets = self.places.union(low, high + 1, localities);
        // Of the blocks at both ends only what lies between counts.
        let deep_low = self.deep.starts.partition_point(|start| *start <= first) - usize::from(self.places.of(low) == DEEP);
        sets.unite(&self.deep.places.union(deep_low, self.deep.starts.partition_point(|start| *start <= last), localities));
        sets
    }

    /// The client sets of every place.
    pub(super) fn all_sets(&self, localities: &[Locality]) -> ClientSets {
        let mut sets = self.places.union(0, self.places.len(), localities);
        sets.unite(&self.deep.places.union(0, self.deep.places.len(), localities));
        sets
    }

    /// Number of ranges.
    pub(super) fn len(&self) -> usize {
        self.places.len() + self.deep.places.len()
    }

    /// Octets on the heap.
    pub(super) fn octets(&self) -> usize {
        let deep = size_of_val(&*self.deep.starts) + self.deep.places.octets();
        size_of_val(&*self.buckets) + size_of_val(&*self.suffixes) + self.places.octets() + deep
    }

    /// The ranges in order: where each starts, and its locality. Neighbours are of different ones.
    pub(super) fn ranges(&self) -> impl Iterator<Item = (A, u32)> {
        let mut before = None;
        self.leaves().filter_map(move |(start, _, place)| (before.replace(place) != Some(place)).then_some((start, u32::from(place))))
    }

    /// The leaves in order: lowest address, length, locality.
    pub(super) fn leaves(&self) -> impl Iterator<Item = (A, u8, u16)> {
        let mut next = Some(A::ZERO);
        std::iter::from_fn(move || {
            let address = next?;
            let found = self.find(address);
            next = address.last_within(found.leaf).next();
            Some((address, found.leaf, found.place))
        })
    }
}

/// Length of the shortest prefix of an address that leaves out another of its bucket, both by their suffixes.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "at most 32")]
fn leaving_out<A: Address>(other: u32, suffix: u32) -> u8 {
    A::FIRST_LEVEL_BITS + A::SUFFIX_BITS + 1 - (u32::BITS - (other ^ suffix).leading_zeros()) as u8
}

/// Ranges on their way into a table: those that start with a block, and those of blocks that have several.
struct Split<A> {
    /// Where the former start.
    starts: Vec<A>,
    /// Their localities; [`DEEP`] for a block that has several.
    places: Vec<u16>,
    /// Where the latter start.
    deep_starts: Vec<A>,
    /// Their localities.
    deep_places: Vec<u16>,
    /// The lowest address of the block of several ranges that was not left yet.
    open: Option<A>,
    /// The locality of the last range.
    last: u16,
}

impl<A> Default for Split<A> {
    fn default() -> Self {
        Self { starts: Vec::new(), places: Vec::new(), deep_starts: Vec::new(), deep_places: Vec::new(), open: None, last: 0 }
    }
}

impl<A: Address> Split<A> {
    /// Adds the next range.
    fn add(&mut self, start: A, place: u16) {
        self.close(Some(start));
        let block = start.first_within(block_bits::<A>());
        if block == start {
            self.push(start, place);
        } else {
            if self.open.is_none() {
                self.open_block(block);
            }
            self.deep_starts.push(start);
            self.deep_places.push(place);
        }
        self.last = place;
    }

    /// Leaves the open block if the next range starts behind it: what its last range has beyond the block is a range of its own.
    fn close(&mut self, next: Option<A>) {
        let Some(end) = self.open.map(|block| block.last_within(block_bits::<A>())) else { return };
        if next.is_some_and(|next| next <= end) {
            return;
        }
        self.open = None;
        if let Some(after) = end.next()
            && next != Some(after)
        {
            self.push(after, self.last);
        }
    }

    /// Begins a block of several ranges, the first of which is the last one so far.
    fn open_block(&mut self, block: A) {
        self.open = Some(block);
        self.deep_starts.push(block);
        self.deep_places.push(self.last);
        if self.starts.last() == Some(&block) {
            self.places.pop();
            self.starts.pop();
        }
        self.push(block, DEEP);
    }

    /// Adds a range that starts with a block.
    fn push(&mut self, start: A, place: u16) {
        self.starts.push(start);
        self.places.push(place);
    }
}

/// The first level over ranges.
fn first_level<A: Address>(starts: &[A]) -> Box<[Bucket]> {
    let mut buckets = vec![Bucket::default(); (1 << A::FIRST_LEVEL_BITS) + 1];
    let mut first = 0;
    for index in 0..buckets.len() - 1 {
        let lowest = A::of_bucket(index);
        let highest = lowest.last_within(A::FIRST_LEVEL_BITS);
        let here = first;
        while starts.get(first).is_some_and(|start| *start <= highest) {
            first += 1;
        }
        let holds_lowest = if starts.get(here) == Some(&lowest) { here } else { here - 1 };
        let below = starts[holds_lowest].before().map_or(0, |last| last.shared_bits(lowest) + 1);
        let above = starts.get(first).map_or(0, |next| next.shared_bits(highest) + 1);
        let number = u32::try_from(here).expect("a table has fewer ranges than a file of 1 GiB has bits");
        buckets[index] = Bucket { first: number, below, above };
    }
    if let Some(last) = buckets.last_mut() {
        last.first = u32::try_from(first).expect("a table has fewer ranges than a file of 1 GiB has bits");
    }
    buckets.into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::catalog::ClientSetId;

    /// Localities, each in the client set of its own number.
    fn localities(count: u8) -> Vec<Locality> {
        let of = |number| {
            let mut sets = ClientSets::NONE;
            sets.insert(ClientSetId(number));
            Locality { sets, ..Locality::default() }
        };
        (0..count).map(of).collect()
    }

    /// Addresses that crowd in a few blocks, at their ends and across them.
    fn crowded() -> impl Strategy<Value = u128> {
        let block = prop_oneof![Just(0), Just(1), Just(0x2_0010_db80_0000_u128), Just(0x2_0010_db80_0001), Just(0x2_0011_0000_0000), Just((1 << 52) - 1)];
        let within = prop_oneof![Just(0), Just(1), Just(1 << 12), Just((1 << 76) - 1), 0_u128..1 << 76];
        (block, within).prop_map(|(block, within)| block << 76 | within)
    }

    proptest! {
        #[test]
        fn ranges_within_a_block_are_told_apart_like_any_others(mut starts in prop::collection::btree_set(crowded(), 0..24), asked in prop::collection::vec(crowded(), 32)) {
            starts.insert(0);
            let starts: Vec<u128> = starts.into_iter().collect();
            let places: Vec<u16> = (0..).map(|number| number % 7).take(starts.len()).collect();
            let localities = localities(7);
            let table = Table::new(&starts, &places, &localities);
            let range_of = |address: u128| starts.partition_point(|start| *start <= address) - 1;
            for address in asked.iter().chain(&starts).copied().chain(starts.iter().filter_map(|start| start.before())) {
                let (found, range) = (table.find(address), range_of(address));
                let _ = table.touch(address);
                prop_assert_eq!(found.place, places[range]);
                prop_assert_eq!((range_of(address.first_within(found.leaf)), range_of(address.last_within(found.leaf))), (range, range), "{:x}/{}", address, found.leaf);
            }
            for pair in asked.windows(2) {
                let (first, last) = (pair[0].min(pair[1]), pair[0].max(pair[1]));
                let mut wanted = ClientSets::NONE;
                (range_of(first)..=range_of(last)).for_each(|range| wanted.unite(&localities[usize::from(places[range])].sets));
                prop_assert_eq!(table.sets_between(first, last, &localities), wanted, "{:x} to {:x}", first, last);
            }
            let mut all = ClientSets::NONE;
            for place in &places {
                all.unite(&localities[usize::from(*place)].sets);
            }
            prop_assert_eq!(table.all_sets(&localities), all);
        }
    }
}
