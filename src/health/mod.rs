//! Observations → status. Pure: time is an argument.
//!
//! Three facts that never mix: *health* is what was measured, an *override* is what an operator intends, a *status* is what is published
//! and what eligibility reads. Staleness never changes a status: the last one is held, its age is told.
//!
//! Invariants
//! - From `unknown` the first observation decides; afterwards no single observation changes a verdict, unless `fall` or `rise` is 1.
//! - A probe that could not be made tells nothing of its target.
//! - An endpoint is as well as the worst of its probes; without probes it is never measured.
//!
//! - What comes back ramps up, what comes and goes is held down ([`Comeback`]); both are parts of the status, never of health. Going down
//!   is never delayed.

mod baseline;
mod comeback;
mod fault;
mod tracker;

pub use baseline::{Baseline, Unusual};
pub use comeback::{Comeback, Hold};
pub use fault::Fault;
pub use tracker::{Rule, Tracker, Verdict, of_all, wants_recheck};

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::catalog::{AddressType, AddressTypes};
use crate::units::{Micros, Moment, Permille};

/// What was measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Health {
    /// Never measured: eligible, but ranked after those known to be up.
    #[default]
    Unknown,
    /// It answers as it should.
    Up,
    /// It answers, but slowly or erratically.
    Degraded,
    /// It does not.
    Down,
}

/// In lower case: `unknown`, `up`, `degraded`, `down`.
impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Unknown => "unknown",
            Self::Up => "up",
            Self::Degraded => "degraded",
            Self::Down => "down",
        })
    }
}

/// What an operator intends with an endpoint, if anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Intent {
    /// Nothing in particular.
    #[default]
    None,
    /// In, whatever the probes say.
    In,
    /// No answers while another lawful endpoint is up.
    Drain,
    /// No answers at all.
    Out,
}

/// What is published of one endpoint and what eligibility reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Status {
    /// What was measured.
    pub health: Health,
    /// What the operator intends.
    pub intent: Intent,
    /// Something is changing: a first failed probe, `degraded`, a ramp, an announced drill, an alias that cannot be looked up. Answers that it matters to carry `ttl.moving`.
    pub moving: bool,
    /// Held out of service, since it came and went too often: treated as down while anything else is up, whatever its probes say.
    pub damped: bool,
    /// Something that it depends on is down: it is treated as down, whatever its own probes say.
    pub blocked: bool,
    /// Its tier was left for want of live endpoints, and no operator has released it since (`failback = "manual"`): it is passed over while another
    /// tier has enough.
    pub latched: bool,
    /// Share of its usual clients that it takes while it ramps up; the whole otherwise.
    pub ramp: Permille,
    /// Share of its usual clients that its capacity leaves room for; the whole unless load spills over to others.
    pub room: Permille,
    /// Share of its usual clients that an operator leaves it: a smaller weight, or a gradual drain on its way; the whole otherwise.
    pub share: Permille,
    /// Load as a share of capacity; above the whole when overloaded. Zero when nobody reports it.
    pub load: Permille,
    /// Further microseconds on the score (a cold region, …).
    pub penalty: Micros,
    /// The types of addresses that it should have by its `alias` and has not, as that is not resolved.
    pub lacks: AddressTypes,
    /// The types of addresses whose own probes find it down, where its service decides for each type by itself: for these alone it is down.
    pub fails: AddressTypes,
}

impl Status {
    /// Of an endpoint that nobody has measured yet.
    pub const UNMEASURED: Self = Self {
        health: Health::Unknown,
        intent: Intent::None,
        moving: false,
        damped: false,
        blocked: false,
        latched: false,
        ramp: Permille::WHOLE,
        room: Permille::WHOLE,
        share: Permille::WHOLE,
        load: Permille(0),
        penalty: Micros::ZERO,
        lacks: AddressTypes::NONE,
        fails: AddressTypes::NONE,
    };

    /// Of an endpoint that is up and at rest.
    pub const UP: Self = Self { health: Health::Up, ..Self::UNMEASURED };

    /// Whether nothing about it is out of the ordinary for eligibility: up, at rest, with all its addresses, open to all its clients, and no
    /// operator's word on it.
    #[must_use]
    #[inline]
    pub const fn is_plain(&self) -> bool {
        matches!(self.health, Health::Up)
            && matches!(self.intent, Intent::None)
            && !(self.moving | self.damped | self.blocked | self.latched)
            && self.keeps_all()
            && self.lacks.is_empty()
            && self.fails.is_empty()
    }

    /// Whether it takes all clients that would have it.
    #[must_use]
    #[inline]
    pub const fn keeps_all(&self) -> bool {
        self.ramp.0 >= Permille::WHOLE.0 && self.room.0 >= Permille::WHOLE.0 && self.share.0 >= Permille::WHOLE.0
    }

    /// The share of its usual clients that it keeps; the others are turned to whoever is next for them.
    #[must_use]
    pub fn keeps(&self) -> Permille {
        let whole = u64::from(Permille::WHOLE.0);
        let [ramp, room, share] = [self.ramp, self.room, self.share].map(|share| u64::from(share.0).min(whole));
        Permille(u16::try_from(ramp * room * share / (whole * whole)).unwrap_or(Permille::WHOLE.0))
    }

    /// As [`Status::keeps`], but for what load leaves: what there is to be fitted.
    #[must_use]
    pub fn keeps_but_for_load(&self) -> Permille {
        Self { room: Permille::WHOLE, ..*self }.keeps()
    }

    /// Whether eligibility counts it as down: it or something that it depends on is measured so, and no operator says otherwise.
    #[must_use]
    pub const fn is_down(&self) -> bool {
        matches!(self.published(), Health::Down) && !matches!(self.intent, Intent::In)
    }

    /// Whether eligibility counts it as down for answers of this type alone.
    #[must_use]
    pub const fn is_down_for(&self, of: AddressType) -> bool {
        self.fails.has(of) && !matches!(self.intent, Intent::In)
    }

    /// Whether it is held out of service while anything else is up. An operator's `in` vouches for it.
    #[must_use]
    pub const fn is_damped(&self) -> bool {
        self.damped && !matches!(self.intent, Intent::In)
    }

    /// Health as it is told to the world: as measured, but down while something that it depends on is.
    #[must_use]
    pub const fn published(&self) -> Health {
        if self.blocked { Health::Down } else { self.health }
    }

    /// Whether its score bears the penalty for slow or erratic answers. An operator's `in` vouches for it, whatever the probes say.
    #[must_use]
    pub const fn is_degraded(&self) -> bool {
        matches!(self.published(), Health::Degraded) && !matches!(self.intent, Intent::In)
    }

    /// Whether it ranks after those known to be up.
    #[must_use]
    pub const fn is_unknown(&self) -> bool {
        matches!(self.published(), Health::Unknown) && !matches!(self.intent, Intent::In)
    }
}

/// What is to be told of an endpoint beside its status; deciding never reads it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Note {
    /// That it is held out of service.
    pub hold: Option<Hold>,
    /// The root of what blocks it: an endpoint as `service/endpoint`, or a probe.
    pub root: Option<Box<str>>,
}

/// What one probe has shown, for people and programs; deciding never reads it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// What it says of its target.
    pub health: Health,
    /// When the last evidence was observed; `None` if never.
    pub observed: Option<Moment>,
    /// Failures in a row, counted towards `fall` while it is not down.
    pub failed: u8,
    /// Answers in a row, counted towards `rise` while it is down.
    pub answered: u8,
    /// Round-trip time of answers, smoothed.
    pub rtt: Option<Micros>,
    /// What is unusual about it.
    pub unusual: Option<Unusual>,
    /// What the last evidence came to, in words, unless it passed.
    pub trouble: Option<Arc<str>>,
    /// When the certificate that it saw last ends.
    pub expires: Option<Moment>,
}

/// One result of a probe. A failed probe is a value, not an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observation {
    /// When it was complete.
    pub at: Moment,
    /// What came of it.
    pub outcome: ProbeOutcome,
    /// Round-trip time of the whole exchange, in microseconds; of a failure: the time until it failed.
    pub rtt: Micros,
    /// When the certificate that was shown ends, where one was.
    pub expires: Option<Moment>,
    /// Whether a drill made it come out so: then it counts for health as any other, and never for the node's doubt of itself.
    pub drill: bool,
}

/// What came of a probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProbeOutcome {
    /// As it should be.
    Passed,
    /// As it should be, but slower than the probe allows.
    Slow,
    /// It passed, and something is amiss: it counts as a slow answer does.
    Warned(ProbeWarning),
    /// It failed.
    Failed(ProbeFailure),
}

/// What is amiss with an answer that passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProbeWarning {
    /// Its first octet came later than the probe allows.
    Late(Micros),
    /// Its certificate ends soon; or has ended, where nobody verifies it.
    Expires(Moment),
    /// It says so itself: a heartbeat, or the exit code of a command, with the reason.
    Said(Box<str>),
}

impl ProbeWarning {
    /// Names the kind, for counting.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Late(_) => "late",
            Self::Expires(_) => "expires",
            Self::Said(_) => "warned",
        }
    }
}

/// For people: `the first octet came after 412.0 ms`, …
impl fmt::Display for ProbeWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Late(after) => write!(f, "the first octet came after {after}"),
            Self::Expires(end) => write!(f, "the certificate ends at {end}"),
            Self::Said(why) if why.is_empty() => f.write_str("it says that it is degraded"),
            Self::Said(why) => write!(f, "it says that it is degraded: {why}"),
        }
    }
}

/// Why a probe failed. The kinds matter: only time-outs, missed heartbeats and unreachability may ever make a node doubt itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProbeFailure {
    /// No answer within the time-out.
    TimedOut,
    /// No route, network or host unreachable.
    Unreachable,
    /// The connection was refused.
    Refused,
    /// The connection broke.
    Broken,
    /// The TLS handshake or the certificate.
    Tls(Box<str>),
    /// A status that the probe does not allow.
    Status(u16),
    /// The body is not as the probe wants it.
    Body(Box<str>),
    /// A drill has it fail.
    Drill,
    /// The answer to a DNS query is not as the probe wants it.
    Answer(Box<str>),
    /// It says so itself: a heartbeat, or the exit code of a command, with the reason.
    Said(Box<str>),
    /// No heartbeat for as long as one was expected within.
    Missed,
    /// The probe could not be made at all here (no descriptors, …): tells nothing of the target.
    NotAsked(Box<str>),
}

impl ProbeOutcome {
    /// Names the kind, for counting: `passed`, `slow`, or the kind of warning or failure.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Slow => "slow",
            Self::Warned(warning) => warning.kind(),
            Self::Failed(failure) => failure.kind(),
        }
    }

    /// Whether it speaks against the target. A probe that could not be made does not.
    #[must_use]
    pub const fn is_failure(&self) -> bool {
        matches!(self, Self::Failed(failure) if !matches!(failure, ProbeFailure::NotAsked(_)))
    }
}

/// For people: `passed`, `slow`, `connection refused`, …
impl fmt::Display for ProbeOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passed => f.write_str("passed"),
            Self::Slow => f.write_str("slow"),
            Self::Warned(warning) => warning.fmt(f),
            Self::Failed(failure) => failure.fmt(f),
        }
    }
}

impl ProbeFailure {
    /// Names the kind, for counting.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::TimedOut => "timed-out",
            Self::Unreachable => "unreachable",
            Self::Refused => "refused",
            Self::Broken => "broken",
            Self::Tls(_) => "tls",
            Self::Status(_) => "status",
            Self::Body(_) => "body",
            Self::Drill => "drill",
            Self::Answer(_) => "answer",
            Self::Said(_) => "said",
            Self::Missed => "missed",
            Self::NotAsked(_) => "not-asked",
        }
    }
}

/// For people: `connection refused`, `status 500`, …
impl fmt::Display for ProbeFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimedOut => f.write_str("no answer in time"),
            Self::Unreachable => f.write_str("unreachable"),
            Self::Refused => f.write_str("connection refused"),
            Self::Broken => f.write_str("connection broken"),
            Self::Tls(why) => write!(f, "TLS: {why}"),
            Self::Status(status) => write!(f, "status {status}"),
            Self::Body(why) => write!(f, "body: {why}"),
            Self::Drill => f.write_str("a drill has it fail"),
            Self::Answer(why) => write!(f, "answer: {why}"),
            Self::Said(why) if why.is_empty() => f.write_str("it says that it is down"),
            Self::Said(why) => write!(f, "it says that it is down: {why}"),
            Self::Missed => f.write_str("no heartbeat in time"),
            Self::NotAsked(why) => write!(f, "could not be asked from here: {why}"),
        }
    }
}
