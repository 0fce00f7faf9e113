//! Response rate limiting: what a node does not let itself be used for against others.
//!
//! UDP sources can be forged, and then replies hit somebody who never asked. So replies to one prefix (/24, /56) are counted by their class
//! ([`ReplyClass`]), and what is over the rate is dropped; every n-th goes out truncated instead, so that an honest client comes back over
//! TCP, and who offered a cookie is asked to come back with it (RFC 7873 §5.2.3). Exempt are sources that a good cookie proves, prefixes
//! that the operator names, and whatever does not come over UDP: that is never judged.
//!
//! By default refusals and errors are limited, and answers are counted only: a big public resolver asks hundreds of times a second from one
//! prefix, and it must get its answers.

mod limiter;

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::str::FromStr;
use std::sync::Arc;

use ipnet::IpNet;

use self::limiter::{Limiter, Verdict};
use crate::answer::{Ask, Cookie, Outcome, Scratch, answer_limited};
use crate::limits::{RRL_ANSWERS_PER_S, RRL_ERRORS_PER_S, RRL_PER_S_MAX, RRL_SLIP, RRL_V4_PREFIX, RRL_V6_PREFIX};
use crate::telemetry::tally::{ReplyClass, Tally};

/// What is done about a class of replies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Nothing; it is not even counted.
    Off,
    /// What is over the rate is counted, and sent.
    Log,
    /// What is over the rate is not sent.
    On,
}

/// The limit of one class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// What is done.
    pub mode: Mode,
    /// Replies a second that one prefix gets; also how many at once.
    pub per_second: u32,
}

/// The limits of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateLimits {
    /// The rule of each class, in the order of [`ReplyClass::ALL`].
    pub rules: [Rule; ReplyClass::ALL.len()],
    /// Every so many limited replies one goes out truncated; 0: none does.
    pub slip: u8,
    /// Prefixes that nothing is limited for.
    pub exempt: Box<[IpNet]>,
}

impl Default for RateLimits {
    /// Refusals and errors are limited, answers counted. Who asks from this machine is exempt: nobody else can send from there.
    fn default() -> Self {
        let answers = Rule { mode: Mode::Log, per_second: RRL_ANSWERS_PER_S };
        let errors = Rule { mode: Mode::On, per_second: RRL_ERRORS_PER_S };
        Self { rules: [answers, answers, errors, errors], slip: RRL_SLIP, exempt: super::loopback() }
    }
}

impl RateLimits {
    /// Sets what a word of the operator's says.
    pub fn set(&mut self, word: RateWord) {
        match word {
            RateWord::Off => self.rules = self.rules.map(|rule| Rule { mode: Mode::Off, ..rule }),
            RateWord::Class(class, rule) => self.rules[class as usize] = rule,
        }
    }
}

/// A word of `--rrl`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RateWord {
    /// `off`: nothing is limited or counted.
    Off,
    /// `CLASS=RATE`, `CLASS=RATE:log` or `CLASS=off`.
    Class(ReplyClass, Rule),
}

impl FromStr for RateWord {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self::Off);
        }
        let (class, rate) = text.split_once('=').ok_or("neither \"off\" nor CLASS=RATE, as in refused=20")?;
        let class = ReplyClass::ALL.into_iter().find(|known| known.as_str() == class).ok_or_else(|| {
            let known = ReplyClass::ALL.map(ReplyClass::as_str).join(", ");
            format!("{class:?} is no class of replies: there are {known}")
        })?;
        if rate == "off" {
            return Ok(Self::Class(class, Rule { mode: Mode::Off, per_second: 1 }));
        }
        let (rate, mode) = rate.strip_suffix(":log").map_or((rate, Mode::On), |rate| (rate, Mode::Log));
        match rate.parse() {
            Ok(per_second @ 1..=RRL_PER_S_MAX) => Ok(Self::Class(class, Rule { mode, per_second })),
            _ => Err(format!("a rate is 1 to {RRL_PER_S_MAX} replies a second, with \":log\" to count only, or \"off\"")),
        }
    }
}

/// What one UDP worker keeps in mind of whom it replied to.
#[derive(Debug)]
pub(super) struct Guard {
    /// The limits.
    limits: Arc<RateLimits>,
    /// The buckets.
    limiter: Limiter,
}

impl Guard {
    /// For one of `workers` workers of one listening address.
    pub(super) fn new(limits: &Arc<RateLimits>, workers: usize) -> Self {
        // Seeded by the system, for each guard anew.
        let seed = RandomState::new().hash_one(0);
        Self { limits: Arc::clone(limits), limiter: Limiter::new(limits, workers, seed) }
    }

    /// Lets a reply pass, or puts a shorter one into its place; `None`: nothing is sent, and that is counted already.
    #[inline]
    pub(super) fn admit(&mut self, query: &[u8], ask: &Ask<'_>, outcome: Outcome, scratch: &mut Scratch, reply: &mut [u8], tally: &Tally) -> Option<Outcome> {
        if outcome.len == 0 || outcome.cookie == Cookie::Good {
            return Some(outcome);
        }
        let class = class_of(&outcome, reply);
        match self.limiter.judge(ask.source, class, ask.now) {
            Verdict::Within => Some(outcome),
            verdict => self.restrain(verdict, class, query, ask, outcome, scratch, reply, tally),
        }
    }

    /// What becomes of a reply that is over its limit.
    #[cold]
    #[expect(clippy::too_many_arguments, reason = "the way on from admit, apart only to be cold")]
    fn restrain(
        &mut self,
        verdict: Verdict,
        class: ReplyClass,
        query: &[u8],
        ask: &Ask<'_>,
        outcome: Outcome,
        scratch: &mut Scratch,
        reply: &mut [u8],
        tally: &Tally,
    ) -> Option<Outcome> {
        if let Some(exempt) = self.exemption(ask.source) {
            let bucket = if exempt.addr().is_ipv4() { RRL_V4_PREFIX } else { RRL_V6_PREFIX };
            if u32::from(exempt.prefix_len()) <= bucket {
                // Nobody else counts on this bucket.
                self.limiter.forgive(ask.source, class, ask.now);
            }
            return Some(outcome);
        }
        if verdict == Verdict::Over {
            tally.count_would_drop(class);
            return Some(outcome);
        }
        let is_challenged = outcome.cookie == Cookie::Offered && self.limiter.may_challenge(ask.source, ask.now);
        if !is_challenged && (verdict == Verdict::Drop || outcome.cookie == Cookie::Offered) {
            tally.count_rrl_dropped(class);
            return None;
        }
        let shorter = catch_unwind(AssertUnwindSafe(|| answer_limited(query, ask, scratch, reply))).unwrap_or_else(|_| {
            *scratch = Scratch::default();
            tally.count_panic();
            Outcome::SILENCE
        });
        if shorter.len == 0 {
            // Not a query that could be asked again: no reply is needed.
            tally.count_rrl_dropped(class);
            return None;
        }
        tally.count_rrl_slipped(class);
        Some(Outcome { zone: outcome.zone, ..shorter })
    }

    /// The exempt prefix around a source, if there is one.
    fn exemption(&self, source: IpAddr) -> Option<IpNet> {
        let source = source.to_canonical();
        self.limits.exempt.iter().find(|prefix| prefix.contains(&source)).copied()
    }
}

/// The class of a reply: by RCODE, and by what it holds.
#[inline]
fn class_of(outcome: &Outcome, reply: &[u8]) -> ReplyClass {
    match outcome.rcode {
        0 => {
            let (flags, answers) = (reply.get(2).copied().unwrap_or(0), reply.get(6..8).unwrap_or(&[0, 0]));
            // An authoritative reply without an answer is NODATA; one that is not refers to other servers, one that is truncated has too much.
            let is_empty = answers == [0, 0] && flags & 0x04 != 0 && flags & 0x02 == 0;
            if is_empty { ReplyClass::Negative } else { ReplyClass::Positive }
        }
        3 => ReplyClass::Negative,
        5 => ReplyClass::Refused,
        _ => ReplyClass::Error,
    }
}

#[cfg(test)]
mod tests;
