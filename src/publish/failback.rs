//! Tiers that clients are let return to: in force, then written, then acknowledged.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::oneshot;

use super::{Granted, NotGranted, Task};
use crate::control::overrides::{Proposal, Release};
use crate::control::{Event, TierChange, TierNews};

impl Task {
    /// Puts a release into force, and tells who waits for it when the state without the latch is on the disk: a process that dies after that does not
    /// hold the clients off again.
    pub(super) fn release(&mut self, release: &Release, proposal: Proposal, reply: Option<oneshot::Sender<Result<Granted, NotGranted>>>) {
        let Release { who, why, .. } = release;
        if !proposal.forced.is_empty() {
            tracing::warn!(service = &*release.service, %who, %why, past = ?proposal.forced, "failback forced");
        }
        let told: Arc<str> = format!("by {who}: {why}").into();
        let services = proposal.released.iter().map(|released| released.service.clone()).collect();
        let moves = Event::Overridden { overrides: Arc::new(proposal.next.clone()), why: Arc::clone(&told) };
        self.handle([moves, Event::Released { services, why: told }]);
        let generation = self.controller.world().generation;
        let followed = Arc::clone(&self.followed);
        self.write_state_then(move |written| {
            let granted = match written {
                // It may have read the state before this was written.
                Ok(()) if followed.load(Ordering::Acquire) => Err(NotGranted::Followed),
                Ok(()) => Ok(Granted { proposal, generation }),
                Err(error) => Err(NotGranted::Unwritten(error)),
            };
            if let Some(reply) = reply {
                // Whoever asked may have gone away meanwhile.
                let _ = reply.send(granted);
            }
        });
    }
}

/// Logs what happened to a tier.
pub(super) fn log(change: &TierChange) {
    match change.news {
        TierNews::Left { .. } | TierNews::UsedAgain => tracing::warn!("{change}"),
        TierNews::Released { .. } => tracing::info!("{change}"),
    }
}
