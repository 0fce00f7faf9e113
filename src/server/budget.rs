//! Octets that one connection may hold in memory: of queries that are not whole, and of replies that were not sent.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What is held of one connection, in octets.
#[derive(Clone, Debug)]
pub(super) struct Budget {
    /// Held by somebody.
    held: Arc<AtomicUsize>,
    /// At most.
    max: usize,
}

/// A part of a budget; it returns when this is dropped.
#[derive(Debug)]
pub(super) struct Share {
    /// Whose.
    budget: Budget,
    /// How much.
    octets: usize,
}

impl Budget {
    /// Of so many octets.
    pub(super) fn new(max: usize) -> Self {
        Self { held: Arc::default(), max }
    }

    /// A part of nothing yet.
    pub(super) fn share(&self) -> Share {
        Share { budget: self.clone(), octets: 0 }
    }
}

impl Share {
    /// Takes so many octets more, if they are left.
    pub(super) fn take(&mut self, octets: usize) -> bool {
        // One thread takes; others may only give back meanwhile.
        let held = self.budget.held.load(Ordering::Relaxed);
        let fits = held.saturating_add(octets) <= self.budget.max;
        if fits {
            self.budget.held.fetch_add(octets, Ordering::Relaxed);
            self.octets += octets;
        }
        fits
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.held.fetch_sub(self.octets, Ordering::Relaxed);
    }
}

/// Octets with the part of the budget that they take; whoever sends them drops both.
#[derive(Debug)]
pub(super) struct Charged {
    /// The octets.
    pub(super) octets: Vec<u8>,
    /// What they take.
    pub(super) share: Share,
}

impl AsRef<[u8]> for Charged {
    fn as_ref(&self) -> &[u8] {
        &self.octets
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_dropped_returns_and_what_does_not_fit_is_not_taken() {
        let budget = Budget::new(100);
        let (mut first, mut second) = (budget.share(), budget.share());
        assert!(first.take(60));
        assert!(!second.take(50), "110 are too many");
        assert!(second.take(40));
        assert!(!second.take(1));
        drop(first);
        assert!(second.take(60));
        assert!(!second.take(usize::MAX), "no sum overflows");
    }
}
