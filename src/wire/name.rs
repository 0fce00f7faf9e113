//! Names in messages: their end, and a query name in lower case with its hash, from which its ancestors can be had.

use crate::catalog::{HASH_START, fold_case, hash_name, hash_word};
use crate::limits::{LABEL_OCTETS_MAX, NAME_OCTETS_MAX};

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

/// A query name in lower case, with its hash: what looking it up needs. Kept by a worker from query to query, so that nothing is cleared.
#[derive(Debug)]
pub struct Lowered {
    /// The name in lower case, valid up to `len`.
    octets: [u8; BUFFER_OCTETS],
    /// Octets of the name.
    len: usize,
    /// Its hash.
    hash: u64,
}

/// Octets of the buffer: the longest name, in whole words.
const BUFFER_OCTETS: usize = NAME_OCTETS_MAX.next_multiple_of(8);

impl Default for Lowered {
    fn default() -> Self {
        Self { octets: [0; BUFFER_OCTETS], len: 1, hash: hash_name(&[0]) }
    }
}

impl Lowered {
    /// Takes in the uncompressed name that begins at `start` of a message, behind its header. Returns where it ends; `None` when it is cut off,
    /// longer than 255 octets, or holds anything but plain labels: in a question a pointer has nothing to point back to (RFC 1035 §4.1.4).
    #[must_use]
    #[inline]
    pub fn read(&mut self, message: &[u8], start: usize) -> Option<usize> {
        let window = message.get(start..)?;
        let window = window.get(..NAME_OCTETS_MAX).unwrap_or(window);
        let mut at = 0;
        loop {
            let len = usize::from(*window.get(at)?);
            at += 1 + len;
            if len == 0 {
                break;
            }
            if len > LABEL_OCTETS_MAX {
                return None;
            }
        }
        let name = &window[..at];
        let (words, rest) = name.as_chunks::<8>();
        let (places, tail) = self.octets.as_chunks_mut::<8>().0.split_at_mut(words.len());
        let mut hash = HASH_START;
        for (word, place) in words.iter().zip(places) {
            let word = lower(u64::from_le_bytes(*word));
            *place = word.to_le_bytes();
            hash = hash_word(hash, word);
        }
        // The last word is loaded from where it ends: a header stands before every name, so there are always eight octets up to there.
        if let (Some(place), false) = (tail.first_mut(), rest.is_empty()) {
            let word = u64::from_le_bytes(*message[..start + at].last_chunk()?);
            let word = lower(word >> (64 - 8 * rest.len()));
            *place = word.to_le_bytes();
            hash = hash_word(hash, word);
        }
        (self.len, self.hash) = (at, hash);
        Some(start + at)
    }

    /// As [`Lowered::read`], for a name that is most likely one of the catalog's. It is taken to end with its first zero octet, its labels are
    /// not looked at, and case is only folded ([`fold_case`]): so what this takes in is good for [`OwnerNames::find_folded`], which finds
    /// nothing but the very name. Where that finds nothing, the name must be read. `None` where this is of no use.
    ///
    /// [`OwnerNames::find_folded`]: crate::catalog::OwnerNames::find_folded
    #[must_use]
    #[inline(never)]
    pub fn glance(&mut self, message: &[u8], start: usize) -> Option<usize> {
        let words = message.get(start..)?.as_chunks::<8>().0;
        let mut hash = HASH_START;
        let mut at = 0;
        while let (Some(word), Some(place)) = (words.get(at), self.octets.as_chunks_mut::<8>().0.get_mut(at)) {
            let word = u64::from_le_bytes(*word);
            let zero = lowest_zero(word);
            if zero != 0 {
                let folded = fold_case(word & (zero ^ zero.wrapping_sub(1)));
                *place = folded.to_le_bytes();
                return self.end_glance(start, 8 * at, hash_word(hash, folded), zero);
            }
            let folded = fold_case(word);
            *place = folded.to_le_bytes();
            hash = hash_word(hash, folded);
            at += 1;
        }
        self.glance_at_end(message, start, 8 * at, hash)
    }

    /// Ends a glance with the word behind `len` octets, in which `zero` marks the name's end.
    #[inline]
    fn end_glance(&mut self, start: usize, mut len: usize, hash: u64, zero: u64) -> Option<usize> {
        len += zero.trailing_zeros() as usize / 8 + 1;
        (self.len, self.hash) = (len, hash);
        (len <= NAME_OCTETS_MAX).then_some(start + len)
    }

    /// Ends a glance where less than a word is left of the message: that is loaded from where it ends.
    #[cold]
    fn glance_at_end(&mut self, message: &[u8], start: usize, len: usize, hash: u64) -> Option<usize> {
        let left = message.len().checked_sub(start + len).filter(|left| (1..8).contains(left))?;
        let word = u64::from_le_bytes(*message.last_chunk()?) >> (64 - 8 * left);
        let zero = lowest_zero(word);
        let folded = fold_case(word & (zero ^ zero.wrapping_sub(1)));
        *self.octets.get_mut(len..)?.first_chunk_mut()? = folded.to_le_bytes();
        if zero.trailing_zeros() as usize >= 8 * left {
            return None;
        }
        self.end_glance(start, len, hash_word(hash, folded), zero)
    }

    /// The name: its octets in lower case.
    #[must_use]
    #[inline]
    pub fn octets(&self) -> &[u8] {
        &self.octets[..self.len]
    }

    /// Its hash by [`crate::catalog::hash_name`].
    #[must_use]
    #[inline]
    pub const fn hash(&self) -> u64 {
        self.hash
    }

    /// The name's ancestors from its parent to the root, without those of more than `depth` labels, each with its hash.
    pub fn ancestors(&self, depth: usize) -> impl Iterator<Item = (&[u8], u64)> {
        let labels = self.starts().count() - 1;
        let too_deep = labels.saturating_sub(depth).max(1);
        self.starts().skip(too_deep).map(|start| (&self.octets()[start..], hash_name(&self.octets()[start..])))
    }

    /// Where each label begins, the root's last.
    fn starts(&self) -> impl Iterator<Item = usize> {
        let octets = self.octets();
        let mut next = Some(0);
        std::iter::from_fn(move || {
            let start = next?;
            let len = usize::from(*octets.get(start)?);
            next = (len > 0).then_some(start + 1 + len);
            Some(start)
        })
    }

    /// Where in the name this suffix of it begins, given in lower case; `None` when the name does not end so.
    #[must_use]
    pub fn start_of(&self, suffix: &[u8]) -> Option<u8> {
        let start = self.len.checked_sub(suffix.len())?;
        if self.octets()[start..] != *suffix || !self.starts().any(|label| label == start) {
            return None;
        }
        u8::try_from(start).ok()
    }
}

/// A bit for the first of eight octets, the lowest first, that is zero: its highest; bits above it mean nothing. 0 where none is zero.
#[inline]
const fn lowest_zero(word: u64) -> u64 {
    word.wrapping_sub(0x0101_0101_0101_0101) & !word & 0x8080_8080_8080_8080
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{Name, hash_name};

    /// Reads a name as a message has it: behind a header, and with something behind it.
    fn read(lowered: &mut Lowered, wire: &[u8]) -> Option<usize> {
        lowered.read(&[&[0; 12][..], wire, b"What Follows"].concat(), 12)
    }

    #[test]
    fn a_name_and_its_ancestors_have_the_hashes_that_the_catalog_gives_them() {
        let mut lowered = Lowered::default();
        for text in ["API.gslb.Example.com", "x", ".", "abcdefg.h", "abcdef.", "a.very-long-label-of-more-than-eight-octets.b"] {
            let name: Name = text.parse().unwrap();
            let mut wire = name.wire().to_vec();
            wire.make_ascii_uppercase();
            assert_eq!(read(&mut lowered, &wire), Some(12 + wire.len()));
            assert_eq!((lowered.octets(), lowered.hash()), (name.wire(), hash_name(name.wire())));
            let mut ancestors = lowered.ancestors(127);
            let mut start = 0;
            let mut child = name;
            while let Some(parent) = child.parent() {
                assert_eq!(ancestors.next(), Some((parent.wire(), hash_name(parent.wire()))));
                start += child.wire().len() - parent.wire().len();
                assert_eq!(lowered.start_of(parent.wire()).map(usize::from), Some(start));
                child = parent;
            }
            assert_eq!(ancestors.next(), None);
            assert_eq!(lowered.start_of(b"\x06absent\0"), None);
        }
    }

    #[test]
    fn ancestors_that_are_too_deep_are_passed_over_and_a_name_is_none_of_its_own() {
        let mut lowered = Lowered::default();
        read(&mut lowered, b"\x01a\x01b\x01c\0").unwrap();
        let names = |depth| lowered.ancestors(depth).map(|(octets, _)| octets.len()).collect::<Vec<_>>();
        assert_eq!((names(9), names(2), names(1), names(0)), (vec![5, 3, 1], vec![5, 3, 1], vec![3, 1], vec![1]));
    }

    #[test]
    fn a_suffix_begins_where_a_label_does() {
        let mut lowered = Lowered::default();
        read(&mut lowered, b"\x03x\x01a\0").unwrap();
        assert_eq!(lowered.start_of(b"\x01a\0"), None, "these octets end the name, but are no suffix of it");
        assert_eq!(lowered.start_of(b"\0"), Some(4));
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
    fn a_glance_takes_in_what_reading_does() {
        let (mut glanced, mut lowered) = (Lowered::default(), Lowered::default());
        for text in ["API.gslb.Example.com", "x", ".", "abcdefg.h", "abcdef.", "abcdefgh.ijklmnop", "a.very-long-label-of-more-than-eight-octets.b"] {
            let wire = text.parse::<Name>().unwrap().wire().to_ascii_uppercase();
            let message = [&[0; 12][..], &wire, b"What Follows"].concat();
            assert_eq!(glanced.glance(&message, 12), lowered.read(&message, 12));
            assert_eq!((glanced.octets(), glanced.hash()), (lowered.octets(), lowered.hash()));
        }
        for behind in 0..9 {
            let message = [&[0; 12][..], b"\x03API\x04GSLB\0", &b"\xff\xff\0\0\0\0\0\0\0"[..behind]].concat();
            assert_eq!(glanced.glance(&message, 12), Some(22), "{behind} octets behind");
            assert_eq!(glanced.octets(), b"\x03api\x04gslb\0");
            assert_eq!(glanced.glance(&message[..21], 12), None, "cut off");
        }
        assert_eq!(glanced.glance(&[7; 400], 12), None);
        assert_eq!(glanced.glance(&[7; 12], 12), None);
    }

    #[test]
    fn the_first_zero_octet_is_found_whatever_the_others_are() {
        for place in 0..8 {
            for other in [1_u8, 0x7f, 0x80, 0xff] {
                let mut octets = [other; 8];
                octets[place..].fill(0);
                assert_eq!(lowest_zero(u64::from_le_bytes(octets)).trailing_zeros() as usize, 8 * place + 7);
            }
        }
        assert_eq!(lowest_zero(0x0180_ff7f_0101_8001), 0);
    }

    #[test]
    fn the_longest_name_and_the_most_labels_fit() {
        let most: Vec<u8> = [1, b'A'].repeat(127).into_iter().chain([0]).collect();
        let mut lowered = Lowered::default();
        assert_eq!(read(&mut lowered, &most), Some(12 + 255));
        assert_eq!(lowered.ancestors(127).count(), 127);
        assert_eq!(lowered.ancestors(1).next().map(|(octets, _)| octets), Some(&b"\x01a\0"[..]));
        let too_long: Vec<u8> = [1, b'A'].repeat(128).into_iter().chain([0]).collect();
        assert_eq!(end(&too_long, 0), None);
        assert_eq!(read(&mut lowered, &too_long), None);
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
        assert_eq!(Lowered::default().read(&message, 15), None);
    }
}
