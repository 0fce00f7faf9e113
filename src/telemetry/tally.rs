//! What workers count: plain single-writer slots, summed off the path.
//!
//! Each worker has its own [`Tally`] and, for each catalog, its own sheet of a [`Ledger`]: relaxed loads and stores of slots that nobody
//! else writes, so that counting costs a few instructions, takes no lock and allocates nothing. [`crate::telemetry`] sums them when it is asked.
//!
//! The ids in an [`Outcome`] hold for one catalog only. A new catalog therefore gets a new ledger *before* its world is published, and the
//! ledger before it stays open until the one after: a worker books into whichever belongs to the world that it answered from.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;

use crate::answer::{Outcome, Steered, Transport};
use crate::catalog::{Catalog, EndpointId, ServiceId, ZoneId};
use crate::steer::Reason;
use crate::units::Moment;
use crate::world::World;

/// Slots for RCODEs: 0 to 23 (BADCOOKIE), and one for all others.
pub const RCODES: usize = 25;
/// Slots of a sheet, a power of two; half as many again as the series that are told.
const SLOTS: usize = 16_384;
/// Slots of a cache line.
const LINE_SLOTS: usize = 4;
/// Slots that are tried for a series before it is counted under `other`.
const TRIES: usize = 16;

const _: () = assert!(SLOTS.is_power_of_two() && SLOTS > crate::limits::METRIC_SERIES_MAX);

/// Adds to a slot that only this thread writes.
#[inline]
fn bump(slot: &AtomicU64, by: u64) {
    slot.store(slot.load(Ordering::Relaxed).wrapping_add(by), Ordering::Relaxed);
}

/// What a reply is to who limits replies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReplyClass {
    /// An answer, or a referral to other servers.
    Positive,
    /// The name or type does not exist.
    Negative,
    /// REFUSED: the name is not ours.
    Refused,
    /// Any other RCODE.
    Error,
}

impl ReplyClass {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 4] = [Self::Positive, Self::Negative, Self::Refused, Self::Error];

    /// Its name in labels and on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Positive => "positive",
            Self::Negative => "negative",
            Self::Refused => "refused",
            Self::Error => "error",
        }
    }
}

/// What became of replies over a limit, by class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limited {
    /// Not sent.
    pub dropped: [u64; ReplyClass::ALL.len()],
    /// Sent truncated, or as BADCOOKIE.
    pub slipped: [u64; ReplyClass::ALL.len()],
    /// Sent, since that limit only counts.
    pub would_drop: [u64; ReplyClass::ALL.len()],
}

impl Limited {
    /// The sum, class by class.
    #[must_use]
    pub fn plus(mut self, other: &Self) -> Self {
        let fates = [&mut self.dropped, &mut self.slipped, &mut self.would_drop];
        for (sums, others) in fates.into_iter().zip([&other.dropped, &other.slipped, &other.would_drop]) {
            for (sum, other) in sums.iter_mut().zip(others) {
                *sum += other;
            }
        }
        self
    }
}

/// What one worker counted, whatever the catalog. Aligned so that no two workers share a cache line.
#[derive(Debug)]
#[repr(align(128))]
pub struct Tally {
    /// How its queries came.
    pub transport: Transport,
    /// Replies by RCODE.
    replies: [AtomicU64; RCODES],
    /// Replies with TC.
    truncated: AtomicU64,
    /// Queries that were answered with silence.
    silent: AtomicU64,
    /// Panics of answering.
    panics: AtomicU64,
    /// Replies that the system did not take.
    unsent: AtomicU64,
    /// Queries that were longer than the room for them.
    cut: AtomicU64,
    /// Datagrams that the system dropped.
    overflows: AtomicU64,
    /// Times that the worker died and was started again.
    restarts: AtomicU64,
    /// When the worker last moved, in milliseconds; 0 if it does not tell.
    moved: AtomicU64,
    /// Errors of receiving or accepting.
    socket_errors: AtomicU64,
    /// Connections accepted.
    accepted: AtomicU64,
    /// Connections that had to go for a newcomer.
    evicted: AtomicU64,
    /// TLS handshakes that came to nothing.
    handshakes_failed: AtomicU64,
    /// Connections open now.
    open: AtomicU64,
    /// Requests and streams that carried no query.
    rejected: AtomicU64,
    /// Queries answered from a world whose ledger was closed already.
    unbooked: AtomicU64,
    /// Replies over a limit: not sent, sent shorter, sent all the same; each by class.
    limited: [[AtomicU64; ReplyClass::ALL.len()]; 3],
}

/// What a [`Tally`] held at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Replies by RCODE; the last is all others.
    pub replies: [u64; RCODES],
    /// Replies with TC.
    pub truncated: u64,
    /// Queries answered with silence.
    pub silent: u64,
    /// Panics of answering.
    pub panics: u64,
    /// Replies that the system did not take.
    pub unsent: u64,
    /// Queries that were longer than the room for them.
    pub cut: u64,
    /// Datagrams that the system dropped.
    pub overflows: u64,
    /// Restarts of workers.
    pub restarts: u64,
    /// Errors of receiving or accepting.
    pub socket_errors: u64,
    /// Connections accepted.
    pub accepted: u64,
    /// Connections that had to go for a newcomer.
    pub evicted: u64,
    /// TLS handshakes that came to nothing.
    pub handshakes_failed: u64,
    /// Connections open now.
    pub open: u64,
    /// Requests and streams without a query.
    pub rejected: u64,
    /// Queries without a ledger.
    pub unbooked: u64,
    /// Replies over a limit.
    pub limited: Limited,
}

impl Tally {
    /// Nothing counted yet.
    #[must_use]
    pub fn new(transport: Transport) -> Self {
        let zero = || AtomicU64::new(0);
        Self {
            transport,
            replies: std::array::from_fn(|_| zero()),
            truncated: zero(),
            silent: zero(),
            panics: zero(),
            unsent: zero(),
            cut: zero(),
            overflows: zero(),
            restarts: zero(),
            moved: zero(),
            socket_errors: zero(),
            accepted: zero(),
            evicted: zero(),
            handshakes_failed: zero(),
            open: zero(),
            rejected: zero(),
            unbooked: zero(),
            limited: std::array::from_fn(|_| std::array::from_fn(|_| zero())),
        }
    }

    /// Counts a reply.
    #[inline]
    fn count(&self, outcome: &Outcome) {
        bump(&self.replies[usize::from(outcome.rcode).min(RCODES - 1)], 1);
        if outcome.truncated {
            bump(&self.truncated, 1);
        }
    }

    /// Counts a reply over its limit that is not sent.
    pub fn count_rrl_dropped(&self, class: ReplyClass) {
        bump(&self.limited[0][class as usize], 1);
    }

    /// Counts a reply over its limit that is sent truncated, or as BADCOOKIE.
    pub fn count_rrl_slipped(&self, class: ReplyClass) {
        bump(&self.limited[1][class as usize], 1);
    }

    /// Counts a reply over a limit that only counts.
    pub fn count_would_drop(&self, class: ReplyClass) {
        bump(&self.limited[2][class as usize], 1);
    }

    /// Counts a panic of answering.
    pub fn count_panic(&self) {
        bump(&self.panics, 1);
    }

    /// Counts replies that the system did not take.
    pub fn count_unsent(&self, replies: u64) {
        bump(&self.unsent, replies);
    }

    /// Counts queries that were longer than the room for them.
    pub fn count_cut(&self, queries: u64) {
        bump(&self.cut, queries);
    }

    /// Says how many datagrams the system has dropped so far.
    pub fn set_overflows(&self, datagrams: u64) {
        self.overflows.store(datagrams, Ordering::Relaxed);
    }

    /// Says that the worker moves.
    pub fn set_moved(&self, now: Moment) {
        self.moved.store(now.0, Ordering::Relaxed);
    }

    /// When the worker last moved, if it tells.
    #[must_use]
    pub fn moved(&self) -> Option<Moment> {
        Some(self.moved.load(Ordering::Relaxed)).filter(|&moved| moved > 0).map(Moment)
    }

    /// Counts that the worker died and is started again.
    pub fn count_restart(&self) {
        bump(&self.restarts, 1);
    }

    /// Counts an error of receiving or accepting.
    pub fn count_socket_error(&self) {
        bump(&self.socket_errors, 1);
    }

    /// Counts a connection accepted.
    pub fn count_accepted(&self) {
        bump(&self.accepted, 1);
    }

    /// Counts a connection that had to go for a newcomer.
    pub fn count_evicted(&self) {
        bump(&self.evicted, 1);
    }

    /// Counts a TLS handshake that came to nothing.
    pub fn count_handshake_failed(&self) {
        bump(&self.handshakes_failed, 1);
    }

    /// Counts a request or a stream that carried no query.
    pub fn count_rejected(&self) {
        bump(&self.rejected, 1);
    }

    /// Says how many connections are open now.
    pub fn set_open(&self, open: usize) {
        self.open.store(open as u64, Ordering::Relaxed);
    }

    /// What it holds now.
    #[must_use]
    pub fn read(&self) -> Count {
        let get = |slot: &AtomicU64| slot.load(Ordering::Relaxed);
        Count {
            replies: std::array::from_fn(|rcode| get(&self.replies[rcode])),
            truncated: get(&self.truncated),
            silent: get(&self.silent),
            panics: get(&self.panics),
            unsent: get(&self.unsent),
            cut: get(&self.cut),
            overflows: get(&self.overflows),
            restarts: get(&self.restarts),
            socket_errors: get(&self.socket_errors),
            accepted: get(&self.accepted),
            evicted: get(&self.evicted),
            handshakes_failed: get(&self.handshakes_failed),
            open: get(&self.open),
            rejected: get(&self.rejected),
            unbooked: get(&self.unbooked),
            limited: {
                let [dropped, slipped, would_drop] = std::array::from_fn(|fate| std::array::from_fn(|class| get(&self.limited[fate][class])));
                Limited { dropped, slipped, would_drop }
            },
        }
    }
}

/// What a query was about, packed into one word; the key of a series. Never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Subject(u64);

/// A [`Subject`], unpacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// A name in none of our zones.
    NotOurs,
    /// A name in a zone that is not steered.
    Zone(ZoneId),
    /// A service that gave no endpoint, and why.
    Service(ServiceId, u8),
    /// The endpoint that came first in the answer, and why.
    Endpoint(EndpointId, u8),
}

impl Subject {
    /// Packs.
    #[inline]
    const fn pack(kind: u64, reason: u8, id: u32) -> Self {
        Self(kind << 56 | (reason as u64) << 48 | id as u64)
    }

    /// Of an outcome.
    #[inline]
    #[must_use]
    pub fn of(outcome: &Outcome) -> Self {
        match (outcome.steered, outcome.zone) {
            (Some(Steered { endpoint: Some(endpoint), reason, .. }), _) => Self::pack(4, reason_number(reason), endpoint.0),
            (Some(Steered { service, reason, .. }), _) => Self::pack(3, reason_number(reason), service.0),
            (None, Some(zone)) => Self::pack(2, 0, u32::from(zone.0)),
            (None, None) => Self::pack(1, 0, 0),
        }
    }

    /// Unpacks.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "each field is taken out at its width")]
    pub const fn about(self) -> About {
        let (reason, id) = ((self.0 >> 48) as u8, self.0 as u32);
        match self.0 >> 56 {
            4 => About::Endpoint(EndpointId(id), reason),
            3 => About::Service(ServiceId(id), reason),
            2 => About::Zone(ZoneId(id as u16)),
            _ => About::NotOurs,
        }
    }
}

/// A reason as a small number, for packing.
#[inline]
const fn reason_number(reason: Reason) -> u8 {
    reason as u8
}

/// One series of a sheet.
#[derive(Debug, Default)]
struct Slot {
    /// The [`Subject`]; 0 while the slot is free.
    key: AtomicU64,
    /// How many.
    count: AtomicU64,
}

/// Slots that fill a cache line.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Line([Slot; LINE_SLOTS]);

const _: () = assert!(size_of::<Line>() == 64);

/// One worker's series for one catalog: an open hash table of fixed size.
#[derive(Debug)]
struct Sheet {
    /// The table; its size is known, so that no look at it is checked.
    lines: Box<[Line; SLOTS / LINE_SLOTS]>,
    /// What found no slot.
    other: AtomicU64,
}

impl Sheet {
    /// Empty.
    fn new() -> Self {
        let lines: Box<[Line]> = (0..SLOTS / LINE_SLOTS).map(|_| Line::default()).collect();
        Self { lines: lines.try_into().expect("as many as were made"), other: AtomicU64::new(0) }
    }

    /// Counts one query. Only the sheet's own worker calls it. Neighbours in number begin in one cache line: mostly
    /// the endpoints of one service.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "the upper bits of the product are the index, and there are few")]
    fn count(&self, Subject(key): Subject) {
        let (neighbours, within) = (key / LINE_SLOTS as u64, key as usize % LINE_SLOTS);
        let line = (neighbours.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (64 - (SLOTS / LINE_SLOTS).trailing_zeros())) as usize;
        let start = line * LINE_SLOTS + within;
        let first = self.slot(start);
        if first.key.load(Ordering::Relaxed) == key {
            return bump(&first.count, 1);
        }
        self.count_apart(key, start);
    }

    /// A slot; behind the last comes the first.
    #[inline]
    fn slot(&self, index: usize) -> &Slot {
        &self.lines[index % SLOTS / LINE_SLOTS].0[index % LINE_SLOTS]
    }

    /// The same for a series that is not in its first slot.
    #[inline(never)]
    fn count_apart(&self, key: u64, start: usize) {
        for step in 0..TRIES {
            let slot = self.slot(start + step);
            let held = slot.key.load(Ordering::Relaxed);
            if held == key {
                return bump(&slot.count, 1);
            }
            if held == 0 {
                slot.count.store(1, Ordering::Relaxed);
                // A reader that sees the key sees the count.
                return slot.key.store(key, Ordering::Release);
            }
        }
        bump(&self.other, 1);
    }
}

/// Every worker's series for one catalog.
#[derive(Debug)]
pub struct Ledger {
    /// The catalog that the ids are of.
    pub catalog: Arc<Catalog>,
    /// A sheet for each worker, each with a count of its holders of its own: no two workers touch the same one.
    sheets: Box<[Arc<Sheet>]>,
}

impl Ledger {
    /// An empty one for `workers` workers.
    #[must_use]
    pub fn new(catalog: Arc<Catalog>, workers: usize) -> Arc<Self> {
        Arc::new(Self { catalog, sheets: (0..workers).map(|_| Arc::new(Sheet::new())).collect() })
    }

    /// Whether it is of this catalog.
    #[must_use]
    pub fn is_of(&self, catalog: &Arc<Catalog>) -> bool {
        Arc::ptr_eq(&self.catalog, catalog)
    }

    /// Tells every series with its count; a series comes once for each worker that counted it.
    pub fn read(&self, mut tell: impl FnMut(Subject, u64)) {
        for slot in self.sheets.iter().flat_map(|sheet| sheet.lines.iter().flat_map(|line| &line.0)) {
            let key = slot.key.load(Ordering::Acquire);
            if key != 0 {
                tell(Subject(key), slot.count.load(Ordering::Relaxed));
            }
        }
    }

    /// What found no slot.
    #[must_use]
    pub fn other(&self) -> u64 {
        self.sheets.iter().map(|sheet| sheet.other.load(Ordering::Relaxed)).sum()
    }
}

/// The ledgers that workers may book into.
#[derive(Clone, Debug)]
pub struct Ledgers {
    /// Of the catalog that is published, or is about to be.
    pub current: Arc<Ledger>,
    /// Of the catalog before, while workers may still answer from it.
    pub previous: Option<Arc<Ledger>>,
}

impl Ledgers {
    /// Both.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Ledger>> {
        std::iter::once(&self.current).chain(&self.previous)
    }
}

/// What one worker counts into. A clone is for the worker that comes after it.
#[derive(Clone, Debug)]
pub struct Counters {
    /// Its own tally.
    pub tally: Arc<Tally>,
    /// The number of its sheet.
    pub sheet: usize,
    /// The open ledgers.
    pub ledgers: Arc<ArcSwap<Ledgers>>,
}

impl Counters {
    /// Opens the sheet that belongs to this world; once per batch.
    #[inline]
    #[must_use]
    pub fn open(&self, world: &World) -> Book<'_> {
        let ledgers = self.ledgers.load();
        let ledger = ledgers.iter().find(|ledger| ledger.is_of(&world.catalog));
        Book { tally: &self.tally, page: ledger.and_then(|ledger| ledger.sheets.get(self.sheet)).map(Arc::clone) }
    }
}

/// An open sheet.
#[derive(Debug)]
pub struct Book<'a> {
    /// The worker's tally.
    tally: &'a Tally,
    /// The sheet of the right catalog, unless its ledger was closed.
    page: Option<Arc<Sheet>>,
}

impl Book<'_> {
    /// Records an outcome.
    #[inline]
    pub fn record(&self, outcome: &Outcome) {
        if outcome.len == 0 {
            bump(&self.tally.silent, 1);
            return;
        }
        self.tally.count(outcome);
        match &self.page {
            Some(sheet) => sheet.count(Subject::of(outcome)),
            None => bump(&self.tally.unbooked, 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(endpoint: u32) -> Outcome {
        let steered = Steered { service: ServiceId(7), endpoint: Some(EndpointId(endpoint)), reason: Reason::Failover };
        Outcome { len: 40, rcode: 0, truncated: false, zone: Some(ZoneId(0)), steered: Some(steered), ..Outcome::SILENCE }
    }

    #[test]
    fn subjects_unpack_to_what_was_packed() {
        let reason = reason_number(Reason::Failover);
        assert_eq!(Subject::of(&outcome(199_999)).about(), About::Endpoint(EndpointId(199_999), reason));
        let mut other = outcome(0);
        other.steered = Some(Steered { service: ServiceId(7), endpoint: None, reason: Reason::NoneLeft });
        assert_eq!(Subject::of(&other).about(), About::Service(ServiceId(7), reason_number(Reason::NoneLeft)));
        other.steered = None;
        assert_eq!(Subject::of(&other).about(), About::Zone(ZoneId(0)));
        other.zone = None;
        assert_eq!(Subject::of(&other).about(), About::NotOurs);
    }

    #[test]
    fn a_full_sheet_counts_under_other_and_loses_nothing() {
        let sheet = Sheet::new();
        let queries = 3 * SLOTS;
        for endpoint in 0..queries {
            sheet.count(Subject::of(&outcome(u32::try_from(endpoint).unwrap())));
        }
        let ledger = Ledger { catalog: Arc::default(), sheets: [Arc::new(sheet)].into() };
        let mut told = 0;
        ledger.read(|_, count| told += count);
        assert!(told > crate::limits::METRIC_SERIES_MAX as u64);
        assert_eq!(told + ledger.other(), queries as u64);
    }

    #[test]
    fn a_worker_that_still_answers_from_the_old_catalog_books_into_the_old_ledger() {
        let (old, new): (Arc<Catalog>, Arc<Catalog>) = (Arc::default(), Arc::default());
        let (first, second) = (Ledger::new(Arc::clone(&old), 1), Ledger::new(new, 1));
        let ledgers = Ledgers { current: Arc::clone(&second), previous: Some(Arc::clone(&first)) };
        let counters = Counters { tally: Arc::new(Tally::new(Transport::Udp)), sheet: 0, ledgers: Arc::new(ArcSwap::from_pointee(ledgers)) };
        counters.open(&World::unmeasured(1, old, Arc::default())).record(&outcome(3));
        let mut told = Vec::new();
        first.read(|subject, count| told.push((subject.about(), count)));
        assert_eq!(told, [(About::Endpoint(EndpointId(3), reason_number(Reason::Failover)), 1)]);
        second.read(|_, _| panic!("nothing was asked of the new catalog"));
    }
}
