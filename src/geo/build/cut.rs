//! Cuts a step function at a prefix length, as far as the law allows.

use crate::geo::record::Code;
use crate::geo::steps::{Address, Steps};

/// The same places with at most one for each prefix of this length, unless it spans several countries: the place with the most addresses
/// of those in it, of equals the first. Prefixes over several countries, or over a country and what nobody knows, stay as they are.
pub(super) fn cut<A: Address + Into<u128>>(steps: impl Iterator<Item = (A, u32)>, len: u8, law: impl Fn(u32) -> Option<Code>) -> Steps<A> {
    // Neighbours of the same place are one before the cut, so that a block with one place is seen as such.
    let mut whole = Steps::new();
    steps.for_each(|(start, place)| whole.push(start, place));
    let steps: Vec<(A, u32)> = whole.iter().collect();
    let mut cut = Steps::new();
    let mut next = 0;
    while let Some((start, place)) = steps.get(next).copied() {
        let last = start.last_within(len);
        let inside = steps[next..].iter().take_while(|(start, _)| *start <= last).count();
        let block = start.first_within(len);
        if inside == 1 && start == block {
            cut.push(start, place);
        } else {
            // A block with boundaries inside: it begins with what holds from before, if no step starts at its lowest address.
            let before = (start != block).then(|| (block, steps[next - 1].1));
            let pieces: Vec<(A, u32)> = before.into_iter().chain(steps[next..next + inside].iter().copied()).collect();
            for (start, place) in one_or_all(&pieces, last, &law) {
                cut.push(start, place);
            }
            if let Some(after) = last.next() {
                cut.push(after, steps[next + inside - 1].1);
            }
        }
        next += inside;
    }
    cut
}

/// One piece for the whole block, if all are under one law; else all of them.
fn one_or_all<A: Address + Into<u128>>(pieces: &[(A, u32)], last: A, law: &impl Fn(u32) -> Option<Code>) -> Vec<(A, u32)> {
    let (block, first) = pieces[0];
    if pieces.iter().any(|(_, place)| law(*place) != law(first)) {
        return pieces.to_vec();
    }
    let ends = pieces[1..].iter().map(|(start, _)| (*start).into()).chain([last.into() + 1]);
    let mut sizes: Vec<(u32, u128)> = Vec::new();
    for ((start, place), end) in pieces.iter().zip(ends) {
        let size = end - (*start).into();
        match sizes.iter_mut().find(|(known, _)| known == place) {
            Some((_, sum)) => *sum += size,
            None => sizes.push((*place, size)),
        }
    }
    let mut most = sizes[0];
    for size in sizes {
        if size.1 > most.1 {
            most = size;
        }
    }
    vec![(block, most.0)]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Places 1 and 2 are of one country, 3 of another; 0 is nobody's.
    fn law(place: u32) -> Option<Code> {
        Code::parse(["", "US", "US", "CA"][place as usize])
    }

    fn cut_at_24(steps: &[(u32, u32)]) -> Vec<(u32, u32)> {
        cut(steps.iter().copied(), 24, law).iter().collect()
    }

    #[test]
    fn places_of_one_country_within_a_block_become_the_larger_one() {
        assert_eq!(cut_at_24(&[(0, 1), (0x80, 2), (0xc0, 1), (0x100, 2)]), [(0, 1), (0x100, 2)]);
        assert_eq!(cut_at_24(&[(0, 1), (0x40, 2), (0x300, 1)]), [(0, 2), (0x300, 1)], "what goes on behind the block stays");
        assert_eq!(cut_at_24(&[(0, 1), (0x180, 2), (0x400, 1)]), [(0, 1), (0x200, 2), (0x400, 1)], "of equals the first");
    }

    #[test]
    fn countries_within_a_block_stay_apart_to_the_last_address() {
        for steps in [&[(0, 1), (0x80, 3), (0x81, 2), (0x100, 1)][..], &[(0, 0), (0x7f, 1), (0x90, 0)], &[(0, 1), (0xffff_ffff, 3)]] {
            assert_eq!(cut_at_24(steps), steps);
        }
    }

    #[test]
    fn the_end_of_the_space_is_no_end_of_the_cut() {
        assert_eq!(cut_at_24(&[(0, 1), (0xffff_ff01, 2)]), [(0, 1), (0xffff_ff00, 2)]);
    }
}
