//! The core of response rate limiting: a token bucket for each client prefix and class of reply, in a table of fixed size.
//!
//! Pure: time is an argument. Nothing is allocated after the start. Two places may hold a bucket; a newcomer takes the one that was asked of
//! longest ago, so that a flood from ever new prefixes costs honest ones their history, never memory. Whose bucket is whose is told by a hash
//! with a random seed, so that nobody can choose addresses that meet in one place.

use std::net::IpAddr;

use super::{Mode, RateLimits, Rule};
use crate::limits::{RRL_CHALLENGE_PER_S, RRL_SLOTS, RRL_V4_PREFIX, RRL_V6_PREFIX};
use crate::telemetry::tally::ReplyClass;
use crate::units::Moment;

/// What becomes of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Its source is within its limit, or nothing limits it.
    Within,
    /// It is over a limit that only counts.
    Over,
    /// It is dropped.
    Drop,
    /// It is sent truncated, so that an honest client comes back over TCP.
    Slip,
}

/// One bucket.
#[derive(Clone, Copy, Debug)]
struct Slot {
    /// The upper half of the hash of prefix and class; 0: empty.
    tag: u32,
    /// When it was last asked of, in milliseconds of a clock of 49 days.
    at: u32,
    /// Thousandths of replies that may be sent.
    credit: u32,
    /// Replies over the limit so far, for every n-th to slip.
    over: u32,
}

/// Thousandths of a reply that one reply takes.
const REPLY: u32 = 1_000;

/// The buckets of one worker.
#[derive(Debug)]
pub(super) struct Limiter {
    /// The table; its length is a power of two.
    slots: Box<[Slot]>,
    /// What keys are hashed with.
    seed: u64,
    /// The rule of each class, in the order of [`ReplyClass::ALL`].
    rules: [Rule; ReplyClass::ALL.len()],
    /// The rule of BADCOOKIE.
    challenge: Rule,
    /// Every so many limited replies one slips; 0: none.
    slip: u32,
}

impl Limiter {
    /// For one of `workers` workers that the sources' ports spread over, so that each holds its share of the rates.
    pub(super) fn new(limits: &RateLimits, workers: usize, seed: u64) -> Self {
        let workers = u32::try_from(workers.max(1)).unwrap_or(u32::MAX);
        let share = |rule: Rule| Rule { per_second: rule.per_second.div_ceil(workers), ..rule };
        let empty = Slot { tag: 0, at: 0, credit: 0, over: 0 };
        Self {
            slots: vec![empty; RRL_SLOTS].into(),
            seed,
            rules: limits.rules.map(share),
            challenge: share(Rule { mode: Mode::On, per_second: RRL_CHALLENGE_PER_S }),
            slip: u32::from(limits.slip),
        }
    }

    /// Judges a reply of this class to this source, and counts it.
    #[inline]
    pub(super) fn judge(&mut self, source: IpAddr, class: ReplyClass, now: Moment) -> Verdict {
        let rule = self.rules[class as usize];
        if rule.mode == Mode::Off {
            return Verdict::Within;
        }
        self.take(key(source, class as u64), rule, now)
    }

    /// Judges BADCOOKIE instead of a reply that is over its limit: a reply that is as long as its query needs a limit as well.
    pub(super) fn may_challenge(&mut self, source: IpAddr, now: Moment) -> bool {
        self.take(key(source, CHALLENGE), self.challenge, now) == Verdict::Within
    }

    /// Fills the bucket of a source and class, whose prefix is exempt: so that it is asked whether it is once for many replies.
    pub(super) fn forgive(&mut self, source: IpAddr, class: ReplyClass, now: Moment) {
        let full = self.rules[class as usize].per_second.saturating_mul(REPLY);
        #[expect(clippy::cast_possible_truncation, reason = "as in `take`")]
        let slot = self.slot(key(source, class as u64), full, now.0 as u32);
        slot.credit = full;
    }

    /// Takes a reply's worth out of a bucket.
    #[inline]
    fn take(&mut self, key: u64, rule: Rule, now: Moment) -> Verdict {
        #[expect(clippy::cast_possible_truncation, reason = "a clock of 49 days; a bucket that slept longer is fuller than it seems")]
        let now = now.0 as u32;
        let full = rule.per_second.saturating_mul(REPLY);
        let slot = self.slot(key, full, now);
        // As many thousandths a millisecond as replies a second.
        let earned = u64::from(now.wrapping_sub(slot.at)) * u64::from(rule.per_second);
        let credit = u32::try_from((u64::from(slot.credit) + earned).min(u64::from(full))).unwrap_or(full);
        slot.at = now;
        if credit >= REPLY {
            slot.credit = credit - REPLY;
            return Verdict::Within;
        }
        slot.credit = credit;
        if rule.mode == Mode::Log {
            return Verdict::Over;
        }
        slot.over = slot.over.wrapping_add(1);
        let over = slot.over;
        if over.checked_rem(self.slip) == Some(0) { Verdict::Slip } else { Verdict::Drop }
    }

    /// The bucket of a key; a full one, if it had none.
    #[inline]
    fn slot(&mut self, key: u64, full: u32, now: u32) -> &mut Slot {
        let hash = mix(key ^ self.seed);
        let tag = (hash >> 32) as u32 | 1;
        #[expect(clippy::cast_possible_truncation, reason = "the lower half chooses a place")]
        let first = hash as u32 as usize & (self.slots.len() - 1);
        let second = first ^ 1;
        let place = if self.slots[first].tag == tag {
            first
        } else if self.slots[second].tag == tag {
            second
        } else {
            let age = |slot: &Slot| if slot.tag == 0 { u32::MAX } else { now.wrapping_sub(slot.at) };
            let place = if age(&self.slots[first]) >= age(&self.slots[second]) { first } else { second };
            self.slots[place] = Slot { tag, at: now, credit: full, over: 0 };
            place
        };
        &mut self.slots[place]
    }
}

/// What stands for BADCOOKIE among the classes.
const CHALLENGE: u64 = ReplyClass::ALL.len() as u64;

/// Prefix, family and class in one number.
#[inline]
fn key(source: IpAddr, class: u64) -> u64 {
    const V4_SHIFT: u32 = 32 - RRL_V4_PREFIX;
    const V6_SHIFT: u32 = 128 - RRL_V6_PREFIX;
    const V6: u64 = 1 << 60;
    let prefix = match source.to_canonical() {
        IpAddr::V4(address) => u64::from(address.to_bits() >> V4_SHIFT),
        IpAddr::V6(address) => (address.to_bits() >> V6_SHIFT) as u64 | V6,
    };
    class << 61 | prefix
}

/// Spreads a key over 64 bits: the finaliser of MurmurHash3.
#[inline]
const fn mix(mut key: u64) -> u64 {
    key = (key ^ key >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd);
    key = (key ^ key >> 33).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    key ^ key >> 33
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A limiter with this rule for every class.
    fn limiter(mode: Mode, per_second: u32, slip: u8) -> Limiter {
        let limits = RateLimits { rules: [Rule { mode, per_second }; 4], slip, exempt: Box::default() };
        Limiter::new(&limits, 1, 0x5eed)
    }

    /// Judges so many replies at once.
    fn judge(limiter: &mut Limiter, source: &str, class: ReplyClass, now: u64, replies: usize) -> Vec<Verdict> {
        (0..replies).map(|_| limiter.judge(source.parse().unwrap(), class, Moment(now))).collect()
    }

    fn count(verdicts: &[Verdict], wanted: Verdict) -> usize {
        verdicts.iter().filter(|verdict| **verdict == wanted).count()
    }

    #[test]
    fn a_prefix_gets_its_rate_and_no_more() {
        let mut limiter = limiter(Mode::On, 20, 0);
        let start = 1_000_000;
        // A second's worth at once, then what each second earns.
        assert_eq!(count(&judge(&mut limiter, "192.0.2.1", ReplyClass::Refused, start, 100), Verdict::Within), 20);
        assert_eq!(count(&judge(&mut limiter, "192.0.2.77", ReplyClass::Refused, start, 100), Verdict::Within), 0, "the same /24");
        assert_eq!(count(&judge(&mut limiter, "192.0.2.1", ReplyClass::Refused, start + 100, 100), Verdict::Within), 2);
        assert_eq!(count(&judge(&mut limiter, "192.0.2.1", ReplyClass::Refused, start + 1_100, 100), Verdict::Within), 20);
        assert_eq!(count(&judge(&mut limiter, "192.0.2.1", ReplyClass::Refused, start + 90_000, 100), Verdict::Within), 20, "nothing is saved up");
    }

    #[test]
    fn every_prefix_and_class_has_a_bucket_of_its_own() {
        let mut limiter = limiter(Mode::On, 5, 0);
        let sources = ["192.0.2.1", "192.0.3.1", "2001:db8:0:100::1", "2001:db8:0:200::1"];
        for source in sources {
            for class in ReplyClass::ALL {
                assert_eq!(count(&judge(&mut limiter, source, class, 1, 9), Verdict::Within), 5, "{source} {class:?}");
            }
        }
        assert_eq!(count(&judge(&mut limiter, "2001:db8:0:1ff::2", ReplyClass::Error, 1, 9), Verdict::Within), 0, "the same /56");
        assert_eq!(count(&judge(&mut limiter, "::ffff:192.0.2.9", ReplyClass::Error, 1, 9), Verdict::Within), 0, "the same client through IPv6");
    }

    #[test]
    fn every_nth_limited_reply_slips() {
        for (slip, slipped) in [(0, 0), (1, 60), (2, 30), (3, 20)] {
            let verdicts = judge(&mut limiter(Mode::On, 10, slip), "192.0.2.1", ReplyClass::Error, 7, 70);
            assert_eq!((count(&verdicts, Verdict::Within), count(&verdicts, Verdict::Slip)), (10, slipped), "slip {slip}");
            assert_eq!(count(&verdicts, Verdict::Drop), 60 - slipped);
        }
    }

    #[test]
    fn a_limit_that_only_counts_drops_nothing_and_one_that_is_off_counts_nothing() {
        let verdicts = judge(&mut limiter(Mode::Log, 10, 2), "192.0.2.1", ReplyClass::Positive, 7, 70);
        assert_eq!((count(&verdicts, Verdict::Within), count(&verdicts, Verdict::Over)), (10, 60));
        let verdicts = judge(&mut limiter(Mode::Off, 10, 2), "192.0.2.1", ReplyClass::Positive, 7, 70);
        assert_eq!(count(&verdicts, Verdict::Within), 70);
    }

    #[test]
    fn what_is_forgiven_has_a_full_bucket_again_and_nobody_else_has() {
        let mut limiter = limiter(Mode::On, 5, 0);
        for source in ["127.0.0.1", "192.0.2.1"] {
            assert_eq!(count(&judge(&mut limiter, source, ReplyClass::Error, 1, 9), Verdict::Within), 5);
        }
        limiter.forgive([127, 0, 0, 9].into(), ReplyClass::Error, Moment(1));
        assert_eq!(count(&judge(&mut limiter, "127.0.0.1", ReplyClass::Error, 1, 9), Verdict::Within), 5);
        assert_eq!(count(&judge(&mut limiter, "192.0.2.1", ReplyClass::Error, 1, 9), Verdict::Within), 0);
    }

    #[test]
    fn workers_share_a_rate() {
        let limits = RateLimits { rules: [Rule { mode: Mode::On, per_second: 20 }; 4], slip: 0, exempt: Box::default() };
        for (workers, within) in [(1, 20), (4, 5), (3, 7), (64, 1)] {
            let mut limiter = Limiter::new(&limits, workers, 1);
            assert_eq!(count(&judge(&mut limiter, "192.0.2.1", ReplyClass::Error, 7, 70), Verdict::Within), within, "one of {workers}");
        }
    }

    #[test]
    fn a_flood_from_ever_new_prefixes_takes_no_more_memory_and_one_that_is_busy_keeps_its_bucket() {
        let mut limiter = limiter(Mode::On, 5, 0);
        let slots = limiter.slots.len();
        let mut within = 0;
        for turn in 0..300_000_u32 {
            let now = u64::from(turn / 1_000);
            limiter.judge(IpAddr::V4((turn << 8).into()), ReplyClass::Refused, Moment(now));
            if turn % 10 == 0 {
                within += count(&judge(&mut limiter, "192.0.2.1", ReplyClass::Refused, now, 1), Verdict::Within);
            }
        }
        assert_eq!(limiter.slots.len(), slots);
        // In 0.3 seconds it earns 1 beside the 5; each time that its bucket is lost, it gets 5 anew.
        assert!(within <= 6 + 5 * 5, "{within} of 30,000");
    }

    #[test]
    fn the_clock_goes_round_without_harm() {
        let mut limiter = limiter(Mode::On, 5, 0);
        let round = u64::from(u32::MAX);
        assert_eq!(count(&judge(&mut limiter, "192.0.2.1", ReplyClass::Error, round, 9), Verdict::Within), 5);
        assert_eq!(count(&judge(&mut limiter, "192.0.2.1", ReplyClass::Error, round + 1_000, 9), Verdict::Within), 5);
    }
}
