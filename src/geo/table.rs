//! The finished table of one family: address → locality and leaf.
//!
//! Sorted ranges behind a first level that the leading bits index. The leaf of an address is not stored: it is the shortest prefix that
//! leaves out both neighbours of its range, which two `xor`s tell. A prefix that spans several ranges takes the union of their client
//! sets from a pyramid, each level of which unites 64 entries of the one below, so that the widest prefix costs a few hundred steps.

use super::steps::Address;
use super::{ClientSets, Locality};

/// Entries of one level that an entry of the next level unites.
const FAN: usize = 64;

/// The table of one family.
#[derive(Clone, Debug)]
pub(super) struct Table<A> {
    /// Where each range starts, ascending; the first at the lowest address.
    starts: Box<[A]>,
    /// Its locality.
    places: Box<[u16]>,
    /// For each bucket, the range that holds its lowest address; at the end the last range.
    first: Box<[u32]>,
    /// Unions of client sets: of 64 ranges each, then of 64 of those each, …
    unions: Box<[Box<[ClientSets]>]>,
}

/// What the table says of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// Its locality.
    pub(super) place: u16,
    /// Length of the leaf around it.
    pub(super) leaf: u8,
}

impl<A: Address> Table<A> {
    /// From ranges: where each starts, ascending from the lowest address, and its locality.
    pub(super) fn new(starts: Vec<A>, places: Vec<u16>, localities: &[Locality]) -> Self {
        debug_assert!(starts[0] == A::ZERO && starts.is_sorted_by(|one, other| one < other), "ranges partition the space");
        debug_assert_eq!(starts.len(), places.len(), "each has a locality");
        let mut table = Self { first: first_level(&starts), starts: starts.into(), places: places.into(), unions: Box::default() };
        table.unions = table.pyramid(localities);
        table
    }

    /// What the table says of an address.
    #[inline]
    pub(super) fn find(&self, address: A) -> Found {
        let range = self.range(address);
        let below = self.starts[range].before().map_or(0, |last| last.shared_bits(address) + 1);
        let above = self.starts.get(range + 1).map_or(0, |next| next.shared_bits(address) + 1);
        Found { place: self.places[range], leaf: below.max(above) }
    }

    /// Index of the range that holds an address.
    #[inline]
    fn range(&self, address: A) -> usize {
        let bucket = address.bucket();
        let (low, high) = (self.first[bucket] as usize, self.first[bucket + 1] as usize);
        low + self.starts[low + 1..=high].partition_point(|start| *start <= address)
    }

    /// The client sets of every place from the range of `first` to the one of `last`.
    pub(super) fn sets_between(&self, first: A, last: A, localities: &[Locality]) -> ClientSets {
        self.union(self.range(first), self.range(last) + 1, localities)
    }

    /// The client sets of every place.
    pub(super) fn all_sets(&self, localities: &[Locality]) -> ClientSets {
        self.union(0, self.starts.len(), localities)
    }

    /// The union over the ranges from `low` to before `high`.
    fn union(&self, mut low: usize, mut high: usize, localities: &[Locality]) -> ClientSets {
        let mut sets = ClientSets::NONE;
        let mut level = 0;
        while low < high {
            let top = level == self.unions.len();
            while low < high && (top || !low.is_multiple_of(FAN)) {
                sets.unite(self.entry(level, low, localities));
                low += 1;
            }
            while low < high && !high.is_multiple_of(FAN) {
                high -= 1;
                sets.unite(self.entry(level, high, localities));
            }
            (low, high, level) = (low / FAN, high / FAN, level + 1);
        }
        sets
    }

    /// An entry of the pyramid; level 0 are the ranges themselves.
    fn entry<'a>(&'a self, level: usize, index: usize, localities: &'a [Locality]) -> &'a ClientSets {
        match level.checked_sub(1) {
            None => &localities[usize::from(self.places[index])].sets,
            Some(above) => &self.unions[above][index],
        }
    }

    /// The levels above the ranges, until one has no more than [`FAN`] entries.
    fn pyramid(&self, localities: &[Locality]) -> Box<[Box<[ClientSets]>]> {
        let mut levels: Vec<Box<[ClientSets]>> = Vec::new();
        if self.places.len() > FAN {
            levels.push(self.places.chunks(FAN).map(|chunk| unite(chunk.iter().map(|place| &localities[usize::from(*place)].sets))).collect());
        }
        while let Some(level) = levels.last()
            && level.len() > FAN
        {
            let next = level.chunks(FAN).map(|chunk| unite(chunk.iter())).collect();
            levels.push(next);
        }
        levels.into()
    }

    /// Number of ranges.
    pub(super) fn len(&self) -> usize {
        self.starts.len()
    }

    /// Octets on the heap.
    pub(super) fn octets(&self) -> usize {
        let unions: usize = self.unions.iter().map(|level| size_of_val(&**level)).sum();
        size_of_val(&*self.starts) + size_of_val(&*self.places) + size_of_val(&*self.first) + unions
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

/// For each bucket the range that holds its lowest address, and at the end the last range.
fn first_level<A: Address>(starts: &[A]) -> Box<[u32]> {
    let mut first = vec![0; (1 << A::FIRST_LEVEL_BITS) + 1];
    let mut from = 0;
    for (range, start) in (0..).zip(starts) {
        // The buckets up to the one that this range starts in, or before it where it starts at its lowest address, begin in earlier ranges.
        let bucket = start.bucket();
        let until = if A::of_bucket(bucket) == *start { bucket } else { bucket + 1 };
        first[from..until].fill(u32::max(range, 1) - 1);
        from = until;
    }
    let last = u32::try_from(starts.len() - 1).expect("a table has fewer ranges than a file of 1 GiB has bits");
    first[from..].fill(last);
    first.into()
}

/// What is in any of them.
fn unite<'a>(sets: impl Iterator<Item = &'a ClientSets>) -> ClientSets {
    sets.fold(ClientSets::NONE, |mut sum, sets| {
        sum.unite(sets);
        sum
    })
}
