//! A region: a place in a cloud, or on premises; and sets of regions.

use super::RegionId;
use crate::limits::REGIONS_MAX;
use crate::units::Coordinates;

/// A place where endpoints stand.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Region {
    /// Its name, for instance `aws-eu-west-1`.
    pub name: Box<str>,
    /// The cloud: `aws`, `azure`, `gcp`, `oci`, `alibaba`, `on-prem` or any word of the operator's.
    pub cloud: Box<str>,
    /// ISO 3166-1 alpha-2 code of the country that it stands in.
    pub country: Box<str>,
    /// Where it is.
    pub at: Coordinates,
    /// Words of the operator's, sorted.
    pub tags: Box<[Box<str>]>,
    /// The jurisdictions over it, sorted: its country and the unions of that (`DE`, `EEA`, `EU`).
    pub jurisdictions: Box<[Box<str>]>,
}

/// A set of regions of one catalog, a bit for each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct RegionSet([u64; REGIONS_MAX / 64]);

impl RegionSet {
    /// No region.
    pub const NONE: Self = Self([0; REGIONS_MAX / 64]);
    /// Every region.
    pub const ALL: Self = Self([u64::MAX; REGIONS_MAX / 64]);

    /// Whether the region is in the set.
    #[must_use]
    #[inline]
    pub const fn has(&self, region: RegionId) -> bool {
        self.0[(region.0 as usize / 64) % (REGIONS_MAX / 64)] >> (region.0 % 64) & 1 == 1
    }

    /// Puts the region into the set.
    pub const fn insert(&mut self, region: RegionId) {
        self.0[(region.0 as usize / 64) % (REGIONS_MAX / 64)] |= 1 << (region.0 % 64);
    }

    /// Keeps only what is in `other`, too.
    #[inline]
    pub fn intersect(&mut self, other: &Self) {
        for (word, other) in self.0.iter_mut().zip(other.0) {
            *word &= other;
        }
    }

    /// Whether it is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0 == [0; REGIONS_MAX / 64]
    }

    /// The regions in it, lowest first.
    #[must_use]
    pub const fn iter(&self) -> RegionSetIter {
        RegionSetIter { set: *self, next: 0 }
    }
}

impl IntoIterator for &RegionSet {
    type Item = RegionId;
    type IntoIter = RegionSetIter;

    fn into_iter(self) -> RegionSetIter {
        self.iter()
    }
}

impl FromIterator<RegionId> for RegionSet {
    fn from_iter<I: IntoIterator<Item = RegionId>>(regions: I) -> Self {
        let mut set = Self::NONE;
        for region in regions {
            set.insert(region);
        }
        set
    }
}

/// Walks a [`RegionSet`].
#[derive(Clone, Debug)]
pub struct RegionSetIter {
    /// What is walked.
    set: RegionSet,
    /// The next bit to look at.
    next: u16,
}

impl Iterator for RegionSetIter {
    type Item = RegionId;

    fn next(&mut self) -> Option<RegionId> {
        while usize::from(self.next) < REGIONS_MAX {
            let region = RegionId(self.next);
            self.next += 1;
            if self.set.has(region) {
                return Some(region);
            }
        }
        None
    }
}

/// Whether a text matches a pattern in which `*` stands for any text. One pass, whatever the pattern.
#[must_use]
pub fn glob(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::glob;

    #[test]
    fn a_star_stands_for_any_text_and_everything_else_for_itself() {
        assert!(glob("aws-*", "aws-eu-west-1") && glob("*", "x") && glob("*-eu-*-1", "aws-eu-west-1") && glob("a", "a"));
        assert!(!glob("aws-*", "gcp-europe-west3") && !glob("a", "ab") && !glob("a*a", "a") && !glob("", "a"));
    }
}
