//! Names in messages: their end, and a query name in lower case with the hash of each of its ancestors.

use crate::catalog::{hash_label_in, hash_root};
use crate::limits::{LABEL_OCTETS_MAX, LABELS_MAX, NAME_OCTETS_MAX};

/// The end of the owner name that begins at `start`, which may end in a pointer. The pointer is not followed, only required to point to
/// somewhere before the name and behind the header, so that loops and forward pointers are refused without walking them.
#[must_use]
pub fn end(message: &[u8], start: usize) -> Option<usize> {
    let mut at = start;
    loop {
        let len = usize::from(*message.get(at)?);
        if len >= 0xc0 {
            let target = (len & 0x3f) << 8 | usize::from(*message.get(at + 1)?);
            return (12..start).contains(&target).then_some(at + 2);
        }
        at += 1 + len;
        if len == 0 {
            return (at - start <= NAME_OCTETS_MAX).then_some(at);
        }
        if len > LABEL_OCTETS_MAX || at - start >= NAME_OCTETS_MAX {
            return None;
        }
    }
}

/// Octets of the buffer: the longest name, and as many more as are loaded at once from its end.
const BUFFER_OCTETS: usize = NAME_OCTETS_MAX + 1 + 8;

/// A query name in lower case, with the place of each label and the hash of each suffix: what every look-up of it and of its ancestors
/// needs. Kept by a worker from query to query, so that nothing is cleared.
#[derive(Debug)]
pub struct Lowered {
    /// The name in lower case, valid up to `len`.
    octets: [u8; BUFFER_OCTETS],
    /// Where each label begins, the leftmost first and the root last.
    starts: [u8; LABELS_MAX + 1],
    /// The hash of the suffix that begins at that label.
    hashes: [u64; LABELS_MAX + 1],
    /// Octets of the name.
    len: usize,
    /// Labels of the name, the root not counted.
    labels: usize,
}

impl Default for Lowered {
    fn default() -> Self {
        let mut hashes = [0; LABELS_MAX + 1];
        hashes[0] = hash_root();
        Self { octets: [0; BUFFER_OCTETS], starts: [0; LABELS_MAX + 1], hashes, len: 1, labels: 0 }
    }
}

impl Lowered {
    /// Takes in the uncompressed name that `octets` begin with. Returns its octets; `None` when it is cut off, longer than 255 octets, or
    /// holds anything but plain labels: in a question a pointer has nothing to point back to (RFC 1035 §4.1.4). Then this is the root.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "a name has at most 255 octets")]
    pub fn read<'m>(&mut self, octets: &'m [u8]) -> Option<&'m [u8]> {
        (self.len, self.labels) = (0, 0);
        let (mut at, mut labels) = (0, 0);
        loop {
            let len = usize::from(*octets.get(at)?);
            // The number of labels bounds the walk; that the whole is not too long is seen at its end.
            *self.starts.get_mut(labels)? = at as u8;
            at += 1 + len;
            if len == 0 {
                break;
            }
            if len > LABEL_OCTETS_MAX {
                return None;
            }
            labels += 1;
        }
        if at > NAME_OCTETS_MAX {
            return None;
        }
        let name = &octets[..at];
        self.take_lowered(octets, at);
        let mut hash = hash_root();
        *self.hashes.get_mut(labels)? = hash;
        let mut end = at - 1;
        for (start, place) in self.starts[..labels].iter().zip(&mut self.hashes).rev() {
            let start = usize::from(*start);
            hash = hash_label_in(hash, &self.octets, start + 1, end - start - 1);
            *place = hash;
            end = start;
        }
        (self.len, self.labels) = (at, labels);
        Some(name)
    }

    /// Takes the first `len` of some octets in lower case, and mostly a few more, for they go eight at a time.
    #[inline]
    fn take_lowered(&mut self, octets: &[u8], len: usize) {
        if let Some(words) = octets.get(..len.next_multiple_of(8)) {
            for (word, place) in words.as_chunks::<8>().0.iter().zip(self.octets.as_chunks_mut::<8>().0) {
                *place = lower(u64::from_ne_bytes(*word)).to_ne_bytes();
            }
        } else {
            let place = &mut self.octets[..len];
            place.copy_from_slice(&octets[..len]);
            place.make_ascii_lowercase();
        }
    }

    /// Number of labels, the root not counted.
    #[must_use]
    pub fn labels(&self) -> usize {
        self.labels
    }

    /// The name without its `skip` leftmost labels, at most all of them.
    #[must_use]
    #[inline]
    pub fn suffix(&self, skip: usize) -> Suffix<'_> {
        let skip = skip.min(self.labels);
        let start = self.starts[skip];
        Suffix { hash: self.hashes[skip], octets: &self.octets[usize::from(start)..self.len], start }
    }

    /// The octets from `start` to the end, lower case.
    #[must_use]
    pub fn octets_from(&self, start: u8) -> &[u8] {
        self.octets[..self.len].get(usize::from(start)..).unwrap_or_default()
    }

    /// Where the suffix of so many octets begins in the name; `None` when no label begins there.
    #[must_use]
    pub fn start_of_suffix(&self, octets: usize) -> Option<u8> {
        let start = u8::try_from(self.len.checked_sub(octets)?).ok()?;
        self.starts[..=self.labels].binary_search(&start).is_ok().then_some(start)
    }
}

/// Eight octets with every `A` to `Z` in lower case. In a name the length octets may go along: they are at most 63, below every letter.
#[inline]
const fn lower(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let low_bits = word & (0x7f * ONES);
    let from_a = low_bits + (0x80 - b'A' as u64) * ONES;
    let beyond_z = low_bits + (0x7f - b'Z' as u64) * ONES;
    // The highest bit of each octet says: an ASCII octet, not below `A`, not beyond `Z`. A quarter of it is 0x20.
    let upper = from_a & !beyond_z & !word & (0x80 * ONES);
    word | upper >> 2
}

/// A query name or one of its ancestors.
#[derive(Clone, Copy, Debug)]
pub struct Suffix<'a> {
    /// Its hash by [`crate::catalog::hash_label`].
    pub hash: u64,
    /// Its wire octets, lower case.
    pub octets: &'a [u8],
    /// Where it begins in the query name.
    pub start: u8,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{Name, hash_name};

    #[test]
    fn every_suffix_has_the_hash_that_the_catalog_gives_that_name() {
        let mut lowered = Lowered::default();
        for text in ["API.gslb.Example.com", "x", ".", "a.very-long-label-of-more-than-eight-octets.b"] {
            let mut name: Name = text.parse().unwrap();
            let mut wire = name.wire().to_vec();
            wire.make_ascii_uppercase();
            assert_eq!(lowered.read(&[&wire[..], b"what follows"].concat()), Some(&wire[..]));
            assert_eq!(lowered.labels(), name.label_count());
            for skip in 0..=lowered.labels() {
                let suffix = lowered.suffix(skip);
                assert_eq!((suffix.octets, suffix.hash), (name.wire(), hash_name(&name)));
                assert_eq!(lowered.start_of_suffix(suffix.octets.len()), Some(suffix.start));
                name = name.parent().unwrap_or(name);
            }
        }
    }

    #[test]
    fn letters_and_only_letters_are_lowered() {
        for octet in 0..=u8::MAX {
            let lowered = lower(u64::from_ne_bytes([octet, b'A', octet, 0xff, b'z', octet, 0, octet])).to_ne_bytes();
            let octet = octet.to_ascii_lowercase();
            assert_eq!(lowered, [octet, b'a', octet, 0xff, b'z', octet, 0, octet]);
        }
    }

    #[test]
    fn the_longest_name_and_the_most_labels_fit() {
        let most: Vec<u8> = [1, b'A'].repeat(127).into_iter().chain([0]).collect();
        let mut lowered = Lowered::default();
        assert_eq!(lowered.read(&most), Some(&most[..]));
        assert_eq!(lowered.labels(), 127);
        assert_eq!(lowered.suffix(126).octets, b"\x01a\0");
        let too_long: Vec<u8> = [1, b'A'].repeat(128).into_iter().chain([0]).collect();
        assert_eq!(end(&too_long, 0), None);
        assert_eq!(lowered.read(&too_long), None);
        assert_eq!((lowered.labels(), lowered.suffix(0).octets), (0, &b""[..]));
    }

    #[test]
    fn pointers_point_back_or_nowhere() {
        let mut message = vec![0; 12];
        message.extend_from_slice(b"\x01a\0\x01b\xc0\x0c\xc0\x0f\xc0\x15\xc0\x00\x40\x80");
        assert_eq!(end(&message, 12), Some(15));
        assert_eq!(end(&message, 15), Some(19));
        assert_eq!(end(&message, 19), Some(21));
        assert_eq!(end(&message, 21), None, "a pointer to itself");
        assert_eq!(end(&message, 23), None, "a pointer into the header");
        assert_eq!(end(&message, 25), None, "label type 0x40");
        assert_eq!(end(&message, 26), None, "label type 0x80");
        assert_eq!(end(&message, 27), None, "nothing at all");
        assert_eq!(Lowered::default().read(&message[15..]), None);
    }
}
