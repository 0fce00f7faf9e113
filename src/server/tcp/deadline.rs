//! A deadline that moves with each message and costs nothing when it does.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use crate::clock::Clock;
use crate::units::Moment;

/// Wakes a task when a moment has passed. Moving that moment into the future, as every message does, leaves the timer as it is: when it rings
/// too early, it is set anew.
pub(super) struct Deadline {
    /// Tells the time.
    clock: Clock,
    /// When the timer rings.
    set_to: Moment,
    /// The timer; `None` once it has rung.
    timer: Option<Pin<Box<dyn Future<Output = ()>>>>,
}

impl Deadline {
    /// Set to a moment.
    pub(super) fn new(clock: &Clock, at: Moment) -> Self {
        let mut deadline = Self { clock: clock.clone(), set_to: at, timer: None };
        deadline.set(at);
        deadline
    }

    /// Sets the timer.
    fn set(&mut self, at: Moment) {
        let clock = self.clock.clone();
        self.set_to = at;
        self.timer = Some(Box::pin(async move { clock.sleep_until(at).await }));
    }

    /// `Ready` when this moment has passed; else the task is woken when it has.
    pub(super) fn poll(&mut self, at: Moment, context: &mut Context<'_>) -> Poll<()> {
        loop {
            if at < self.set_to {
                self.set(at);
            }
            if let Some(timer) = &mut self.timer {
                ready!(timer.as_mut().poll(context));
                self.timer = None;
            }
            if at <= self.set_to {
                return Poll::Ready(());
            }
            self.set(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    #[test]
    fn it_follows_the_moment_in_both_directions() {
        let (clock, hand) = Clock::by_hand(Moment(1_000));
        let mut deadline = Deadline::new(&clock, Moment(2_000));
        let mut context = Context::from_waker(Waker::noop());
        let mut is_over = |at| deadline.poll(Moment(at), &mut context).is_ready();
        assert!(!is_over(2_000) && !is_over(3_000));
        hand.move_to(Moment(2_000));
        assert!(!is_over(3_000), "it rang too early");
        assert!(is_over(2_000) && is_over(1_500) && is_over(1_500));
        assert!(!is_over(2_500));
        hand.move_to(Moment(3_000));
        assert!(is_over(2_500) && is_over(3_000) && !is_over(3_001));
    }
}
