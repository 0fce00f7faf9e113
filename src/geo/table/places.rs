//! Localities of sorted ranges, and what sets of clients they are in together.

use crate::geo::{ClientSets, Locality};
use crate::limits::LOCALITIES_MAX;

/// Instead of a locality: the range is a block of several ranges, which stand apart. No locality has this number.
pub(super) const DEEP: u16 = u16::MAX;
/// Entries of one level that an entry of the next level unites.
const FAN: usize = 64;

const _: () = assert!(LOCALITIES_MAX <= DEEP as usize);

/// The localities of ranges in their order.
#[derive(Clone, Debug)]
pub(super) struct Places {
    /// Of each range.
    of: Box<[u16]>,
    /// Unions of client sets: of 64 ranges each, then of 64 of those each, …
    unions: Box<[Box<[ClientSets]>]>,
}

impl Places {
    /// Of ranges with these localities.
    pub(super) fn new(of: Vec<u16>, localities: &[Locality]) -> Self {
        let mut places = Self { of: of.into(), unions: Box::default() };
        places.unions = places.pyramid(localities);
        places
    }

    /// The locality of a range.
    #[inline]
    pub(super) fn of(&self, range: usize) -> u16 {
        self.of[range]
    }

    /// Number of ranges.
    pub(super) fn len(&self) -> usize {
        self.of.len()
    }

    /// Octets on the heap.
    pub(super) fn octets(&self) -> usize {
        size_of_val(&*self.of) + self.unions.iter().map(|level| size_of_val(&**level)).sum::<usize>()
    }

    /// The union over the ranges from `low` to before `high`.
    pub(super) fn union(&self, mut low: usize, mut high: usize, localities: &[Locality]) -> ClientSets {
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
            None => sets_of(self.of[index], localities),
            Some(above) => &self.unions[above][index],
        }
    }

    /// The levels above the ranges, until one has no more than [`FAN`] entries.
    fn pyramid(&self, localities: &[Locality]) -> Box<[Box<[ClientSets]>]> {
        let mut levels: Vec<Box<[ClientSets]>> = Vec::new();
        if self.of.len() > FAN {
            levels.push(self.of.chunks(FAN).map(|chunk| unite(chunk.iter().map(|place| sets_of(*place, localities)))).collect());
        }
        while let Some(level) = levels.last()
            && level.len() > FAN
        {
            let next = level.chunks(FAN).map(|chunk| unite(chunk.iter())).collect();
            levels.push(next);
        }
        levels.into()
    }
}

/// The sets of a locality. A block of several ranges is in none: its ranges are looked at where they stand.
fn sets_of(place: u16, localities: &[Locality]) -> &ClientSets {
    if place == DEEP { &ClientSets::NONE } else { &localities[usize::from(place)].sets }
}

/// What is in any of them.
fn unite<'a>(sets: impl Iterator<Item = &'a ClientSets>) -> ClientSets {
    sets.fold(ClientSets::NONE, |mut sum, sets| {
        sum.unite(sets);
        sum
    })
}
