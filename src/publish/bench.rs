//! Where what may take a while is done for overrides, so that it holds up nobody.

use std::sync::Arc;

use tokio::sync::{broadcast, watch};
use tokio::task::JoinHandle;

use super::Reply;
use super::keeper::{Done, Job, Keeper, work};
use crate::audit::Entry;
use crate::control::IntentChange;
use crate::control::overrides::Overrides;

/// What is done for overrides beside the controller, one job after the other.
pub(super) struct Bench {
    /// Where they are kept, if they are.
    pub(super) keeper: Option<Arc<Keeper>>,
    /// The job under way, and who waits for it.
    pub(super) job: Option<(JoinHandle<Done>, Option<Reply>)>,
    /// Jobs that nobody waits for and that come next; at most one of each kind.
    pub(super) jobs: Vec<Job>,
    /// What has happened by itself and is to be written down; at most [`crate::limits::AUDIT_QUEUED_MAX`].
    pub(super) entries: Vec<Entry>,
    /// Tells the overrides in force.
    pub(super) overrides: watch::Sender<Arc<Overrides>>,
    /// Tells changes of what is intended.
    pub(super) intents: broadcast::Sender<IntentChange>,
}

impl Bench {
    /// Begins a job.
    pub(super) fn begin(&mut self, job: Job, reply: Option<Reply>) {
        let keeper = self.keeper.clone();
        self.job = Some((tokio::task::spawn_blocking(move || work(keeper.as_deref(), job)), reply));
    }

    /// Begins what nobody waits for, if there is anything and nothing else is under way.
    pub(super) fn go_on(&mut self) {
        if self.job.is_none() {
            let entries = std::mem::take(&mut self.entries);
            if let Some(job) = self.jobs.pop() {
                self.entries = entries;
                self.begin(job, None);
            } else if !entries.is_empty() {
                self.begin(Job::Tell(entries), None);
            }
        }
    }

    /// Waits for the job under way; for ever if there is none.
    pub(super) async fn done(&mut self) -> (Option<Done>, Option<Reply>) {
        let Some((job, reply)) = &mut self.job else { return std::future::pending().await };
        // A job that panicked has been reported by the panic hook; who waits for it is told that nothing came of it.
        let done = job.await.ok();
        let reply = reply.take();
        self.job = None;
        (done, reply)
    }
}
