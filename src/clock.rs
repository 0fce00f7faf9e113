//! The only file that reads the time.
//!
//! A [`Moment`] is the wall clock as it was when the process started plus what a monotonic clock has counted since: it means something to
//! people and to the next process, and never runs backwards within this one.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::watch;
use tokio::time::Instant;

use crate::units::{Micros, Moment};

/// Tells the time. Clones tell the same.
#[derive(Clone, Debug)]
pub struct Clock(Source);

/// Where the time comes from.
#[derive(Clone, Debug)]
enum Source {
    /// The system.
    System {
        /// The monotonic clock at the start.
        start: Instant,
        /// The wall clock at the start.
        anchor: Moment,
    },
    /// A [`Hand`], in tests and simulations.
    Hand(watch::Receiver<Moment>),
}

/// Moves the clocks that [`Clock::by_hand`] made.
#[derive(Debug)]
pub struct Hand(watch::Sender<Moment>);

/// Measures a span of time.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(Instant);

impl Clock {
    /// The system's clock. One for the whole process.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the file that reads the time")]
    pub fn system() -> Self {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(Source::System { start: Instant::now(), anchor: Moment(millis(wall)) })
    }

    /// A clock that stands at `start` until its hand is moved.
    #[must_use]
    pub fn by_hand(start: Moment) -> (Self, Hand) {
        let (sender, receiver) = watch::channel(start);
        (Self(Source::Hand(receiver)), Hand(sender))
    }

    /// The present moment.
    #[must_use]
    pub fn now(&self) -> Moment {
        match &self.0 {
            Source::System { start, anchor } => anchor.plus_millis(millis(start.elapsed())),
            Source::Hand(moment) => *moment.borrow(),
        }
    }

    /// Sleeps until a moment, at least; returns at once if it has passed. Of a clock whose hand is gone: for ever.
    pub async fn sleep_until(&self, moment: Moment) {
        match &self.0 {
            Source::System { start, anchor } => {
                tokio::time::sleep_until(*start + Duration::from_millis(moment.millis_since(*anchor))).await;
            }
            Source::Hand(hand) => {
                if hand.clone().wait_for(|&now| now >= moment).await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        }
    }
}

impl Hand {
    /// Moves the clocks to a moment; never backwards.
    pub fn move_to(&self, moment: Moment) {
        self.0.send_modify(|now| *now = moment.max(*now));
    }
}

impl Stopwatch {
    /// Starts one. It runs on the monotonic clock, also where moments are moved by hand.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the file that reads the time")]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// The time since it was started.
    #[must_use]
    pub fn so_far(&self) -> Micros {
        Micros(i64::try_from(self.0.elapsed().as_micros()).unwrap_or(i64::MAX))
    }
}

/// Whole milliseconds of a duration.
fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
