//! Weighted rendezvous hashing (straw2) in integers: who wins a prefix depends on the contenders' own draws only.
//!
//! Each contender draws `−log₂(u) ÷ weight`, with `u` uniform in (0, 1] from a hash of the client's prefix and the contender's name;
//! the smallest draw wins. So contenders win in proportion to their weights, and when one goes or its weight shrinks, only its own
//! clients move. Quotients are compared by cross-multiplication: no float, no division, the same on every node.

use crate::units::Permille;

/// One contender's draw.
#[derive(Clone, Copy, Debug)]
pub(super) struct Draw {
    /// −log₂ of the uniform number, in 2⁻³².
    length: u64,
    /// The weight, more than zero.
    weight: u32,
}

impl Draw {
    /// The draw of a contender for a client.
    #[inline]
    pub(super) fn new(prefix: u128, seed: u64, weight: u32) -> Self {
        Self { length: negative_log2(mix(prefix, seed)), weight: weight.max(1) }
    }

    /// Whether this draw wins over `other`.
    #[inline]
    pub(super) fn beats(&self, other: &Self) -> bool {
        u128::from(self.length) * u128::from(other.weight) < u128::from(other.length) * u128::from(self.weight)
    }
}

/// Sets the lots by which an endpoint turns clients away apart from those by which it wins them.
const TURNS_AWAY: u64 = 0x5bd1_e995_7b93_2d4f;

/// Whether an endpoint keeps a client, of which it is to keep a share. As the share grows, clients only come; as it shrinks, they only go.
#[inline]
pub(super) fn keeps(prefix: u128, seed: u64, share: Permille) -> bool {
    let lot = u128::from(mix(prefix, seed ^ TURNS_AWAY));
    lot * u128::from(Permille::WHOLE.0) < u128::from(share.0) << 64
}

/// A 64-bit hash of prefix and seed. Not secret: a client that can choose its own prefix can choose its endpoint by asking, too.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "the halves are what is wanted")]
fn mix(prefix: u128, seed: u64) -> u64 {
    let mut hash = avalanche(seed ^ (prefix >> 64) as u64);
    hash = avalanche(hash ^ prefix as u64);
    hash
}

/// The finaliser of SplitMix64: every bit of the input moves about half of the output's.
#[inline]
const fn avalanche(mut hash: u64) -> u64 {
    hash = hash.wrapping_add(0x9e37_79b9_7f4a_7c15);
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

/// Steps of the table of logarithms.
const STEPS: usize = 256;

/// log₂(1 + i ÷ 256) in 2⁻³², by repeated squaring, computed by the compiler.
static LOG2: [u64; STEPS + 1] = {
    let mut table = [0; STEPS + 1];
    let mut index = 0;
    while index < STEPS {
        // A number from 1 to 2 in 2⁻⁶³; each squaring yields one binary digit of the logarithm.
        let mut number = ((STEPS + index) as u128) << 55;
        let mut digits = 0_u64;
        let mut left = 32;
        while left > 0 {
            number = (number * number) >> 63;
            digits <<= 1;
            if number >= 1 << 64 {
                digits |= 1;
                number >>= 1;
            }
            left -= 1;
        }
        table[index] = digits;
        index += 1;
    }
    table[STEPS] = 1 << 32;
    table
};

/// −log₂(`number` ÷ 2⁶⁴) in 2⁻³², at least 1: linear between the steps of the table, so it falls as `number` rises.
#[inline]
fn negative_log2(number: u64) -> u64 {
    let number = number | 1;
    let zeros = number.leading_zeros();
    let mantissa = number << zeros << 1;
    let step = (mantissa >> 56) as usize;
    let between = (mantissa >> 24) & 0xffff_ffff;
    let (low, high) = (LOG2[step], LOG2[step + 1]);
    let log2 = low + (((high - low) * between) >> 32);
    ((u64::from(zeros) + 1) << 32).saturating_sub(log2).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logarithms_are_right_to_a_part_in_a_hundred_thousand() {
        for (number, expected) in [(1_u64 << 63, 1.0), (u64::MAX, 0.0), (3 << 62, 0.415_037_5), (1 << 62, 2.0), (5 << 60, 1.678_071_9)] {
            #[expect(clippy::cast_precision_loss, reason = "a test compares with five digits")]
            let found = negative_log2(number) as f64 / 4_294_967_296.0;
            assert!((found - expected).abs() < 1e-5, "{number:#x}: {found} for {expected}");
        }
    }

    #[test]
    fn logarithms_never_rise_with_the_number() {
        let mut last = u64::MAX;
        for number in (0..=u64::MAX).step_by(1 << 44) {
            let log = negative_log2(number);
            assert!(log <= last, "{number:#x}");
            last = log;
        }
    }

    /// Who wins each of many prefixes.
    fn winners(weights: &[u32]) -> Vec<usize> {
        (0..100_000_u128)
            .map(|client| {
                let draws: Vec<Draw> = weights.iter().zip(1_u64..).map(|(weight, seed)| Draw::new(client << 104, seed, *weight)).collect();
                (1..draws.len()).fold(0, |best, next| if draws[next].beats(&draws[best]) { next } else { best })
            })
            .collect()
    }

    #[test]
    fn clients_are_shared_in_proportion_to_weight() {
        let weights = [1, 2, 5];
        let winners = winners(&weights);
        for (index, weight) in weights.iter().enumerate() {
            let share = winners.iter().filter(|winner| **winner == index).count();
            let expected = 100_000 * *weight as usize / 8;
            assert!(share.abs_diff(expected) < 600, "weight {weight}: {share} for {expected}");
        }
    }

    #[test]
    fn a_share_of_the_clients_is_kept_and_grows_by_newcomers_alone() {
        let kept = |share| (0..100_000_u128).filter(move |client| keeps(client << 104, 7, Permille(share)));
        for share in [0, 50, 250, 999, 1000] {
            assert!(kept(share).count().abs_diff(usize::from(share) * 100) < 500, "{share}: {}", kept(share).count());
        }
        assert!(kept(50).all(|client| keeps(client << 104, 7, Permille(250))));
        // Whom it turns away has nothing to do with whom it wins.
        let won = winners(&[1, 1]).into_iter().zip(0_u128..).filter(|(winner, client)| *winner == 0 && keeps(client << 104, 1, Permille(500))).count();
        assert!(won.abs_diff(25_000) < 600, "{won}");
    }

    #[test]
    fn only_the_clients_of_a_shrinking_contender_move() {
        let before = winners(&[4, 4, 4]);
        let after = winners(&[4, 2, 4]);
        for (before, after) in before.iter().zip(after) {
            assert!(*before == after || *before == 1, "a client left {before} for {after}");
        }
    }
}
