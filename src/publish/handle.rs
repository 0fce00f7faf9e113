//! The rest of the program's hold on the controller's task, and what it may ask of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::{broadcast, mpsc, oneshot, watch};

use super::keeper::NotGranted;
use super::news::{News, Teller};
use super::{Drilled, Shelf, Worlds};
use crate::catalog::Catalog;
use crate::control::drills::{self as staged, Drills};
use crate::control::overrides::{Overrides, Proposal, Wish};
use crate::control::{Change, Event, IntentChange, Refused};
use crate::geo::Geo;
use crate::units::Moment;

/// The rest of the program's hold on the controller. When it and its clones are gone, the controller writes its state and ends, and the
/// probes with it.
#[derive(Clone, Debug)]
pub struct ControlHandle {
    /// Asks for something.
    pub(super) commands: mpsc::Sender<Command>,
    /// Takes wishes for overrides and drills.
    pub(super) wishes: mpsc::Sender<Wished>,
    /// Takes observations; what finds it full is dropped by its sender, and counted there.
    pub(super) events: mpsc::Sender<Event>,
    /// Hands out the world.
    pub(super) worlds: Worlds,
    /// Tells changes of health.
    pub(super) changes: broadcast::Sender<Change>,
    /// Tells changes of what is intended.
    pub(super) intents: broadcast::Sender<IntentChange>,
    /// Tells news of all kinds.
    pub(super) news: Teller,
    /// The overrides in force.
    pub(super) overrides: watch::Receiver<Arc<Overrides>>,
    /// What is known of drills.
    pub(super) drills: watch::Receiver<Arc<Drills>>,
    /// Where reports of drills are kept, if they are.
    pub(super) shelf: Option<Shelf>,
    /// Whether the file of overrides was not whole at the start.
    pub(super) lost: bool,
    /// Tells when the first round of probes is complete.
    pub(super) ready: watch::Receiver<bool>,
    /// Whether a process that is to follow this one may have read its files already.
    pub(super) followed: Arc<AtomicBool>,
}

/// Something that is asked of the controller and answered.
#[derive(Debug)]
pub(super) enum Command {
    /// To handle an event; answered with the generation of the world that has it, or with why not.
    Handle(Event, oneshot::Sender<Result<u64, Refused>>),
    /// To read the file of overrides again.
    ReadOverrides,
    /// To write the state and to end; answered when that is done.
    Stop(oneshot::Sender<()>),
}

/// Takes what came of a wish.
#[derive(Debug)]
pub(super) enum Reply {
    /// For overrides.
    Override(oneshot::Sender<Result<Granted, NotGranted>>),
    /// For a drill.
    Drill(oneshot::Sender<Result<Drilled, NotGranted>>),
}

/// A wish for overrides or a drill.
#[derive(Debug)]
pub(super) struct Wished {
    /// The wish.
    pub(super) wish: AnyWish,
    /// Whether it is only to be told what that would mean.
    pub(super) dry_run: bool,
    /// Takes the answer.
    pub(super) reply: Reply,
}

/// What is wished.
#[derive(Debug)]
pub(super) enum AnyWish {
    /// Overrides.
    Override(Wish),
    /// A drill.
    Drill(staged::Wish),
}

/// What a wish came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Granted {
    /// The overrides in force, and what that means.
    pub proposal: Proposal,
    /// The generation of the first world that has them; of a dry run that of the present world.
    pub generation: u64,
}

/// Why a reload or a geography is not in force.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotTaken {
    /// The controller refused it.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The controller has ended.
    #[error("the controller has ended")]
    Ended,
}

impl ControlHandle {
    /// Hands out the world.
    #[must_use]
    pub const fn worlds(&self) -> &Worlds {
        &self.worlds
    }

    /// Changes of health from now on. A listener that falls behind by more than [`crate::limits::CHANGES_QUEUED_MAX`] misses the oldest.
    #[must_use]
    pub fn changes(&self) -> broadcast::Receiver<Change> {
        self.changes.subscribe()
    }

    /// Changes of what is intended with endpoints, from now on; as [`ControlHandle::changes`].
    #[must_use]
    pub fn intents(&self) -> broadcast::Receiver<IntentChange> {
        self.intents.subscribe()
    }

    /// News of all kinds from now on; as [`ControlHandle::changes`].
    #[must_use]
    pub fn news(&self) -> broadcast::Receiver<News> {
        self.news.listen()
    }

    /// Tells those who follow the node that files were read, and not taken.
    pub fn tell_refused_reload(&self, why: &str, at: Moment) {
        self.news.tell(News::ReloadRefused { why: why.into(), at });
    }

    /// The overrides in force, and news of them.
    #[must_use]
    pub fn overrides_news(&self) -> watch::Receiver<Arc<Overrides>> {
        self.overrides.clone()
    }

    /// The overrides in force.
    #[must_use]
    pub fn overrides(&self) -> Arc<Overrides> {
        Arc::clone(&self.overrides.borrow())
    }

    /// Whether overrides were lost at the start, since their file was not whole.
    #[must_use]
    pub const fn lost_overrides(&self) -> bool {
        self.lost
    }

    /// Sets or clears overrides. When this returns, what was granted is on the disk, in the audit trail and in the published world. A dry run
    /// tells what that would mean, and changes nothing.
    ///
    /// # Errors
    /// [`NotGranted`]: nothing has changed.
    pub async fn wish(&self, wish: Wish, dry_run: bool) -> Result<Granted, NotGranted> {
        if matches!(wish, Wish::Release(_)) && !dry_run && self.followed.load(Ordering::Acquire) {
            return Err(NotGranted::Followed);
        }
        let (reply, answer) = oneshot::channel();
        self.wish_for(Wished { wish: AnyWish::Override(wish), dry_run, reply: Reply::Override(reply) })?;
        answer.await.map_err(|_| NotGranted::Ended)?
    }

    /// Has a wish wait for its turn.
    pub(super) fn wish_for(&self, wished: Wished) -> Result<(), NotGranted> {
        self.wishes.try_send(wished).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => NotGranted::Busy,
            mpsc::error::TrySendError::Closed(_) => NotGranted::Ended,
        })
    }

    /// Tells that a process that is to follow this one is about to read its files, or that it has ended. Overrides and drills are read from their files
    /// when it has taken over; what is latched is not, since it has been at work on that itself: meanwhile nothing is released here.
    pub fn be_followed(&self, is_followed: bool) {
        self.followed.store(is_followed, Ordering::Release);
    }

    /// Has the files of overrides and of the drill read again: the process before this one may have written to it until it was relieved.
    pub async fn read_overrides(&self) {
        // An error means that it has ended.
        let _ = self.commands.send(Command::ReadOverrides).await;
    }

    /// Whether the first round of probes is complete, and news of it.
    #[must_use]
    pub fn ready(&self) -> watch::Receiver<bool> {
        self.ready.clone()
    }

    /// Sends an event that needs no answer, such as an observation. Says whether there was room for it.
    #[must_use]
    pub fn send(&self, event: Event) -> bool {
        self.events.try_send(event).is_ok()
    }

    /// Replaces the catalog. Returns the generation of the first world that has it.
    ///
    /// # Errors
    /// When it would remove too much and may not; the old world stays. Or when the controller has ended.
    pub async fn reload(&self, catalog: Arc<Catalog>, geo: Arc<Geo>, allow_shrink: bool) -> Result<u64, NotTaken> {
        self.ask(Event::Reloaded { catalog, geo, allow_shrink }).await
    }

    /// Replaces the geography; `digest` is that of the catalog that it was compiled for.
    ///
    /// # Errors
    /// When another catalog is in force by now, or when more than half of the known addresses would go; the old geography stays. Or when the controller has ended.
    pub async fn change_geography(&self, geo: Arc<Geo>, digest: u64) -> Result<u64, NotTaken> {
        self.ask(Event::GeographyChanged { geo, digest }).await
    }

    /// Has the controller write its state and end, and the probes with it. Returns when that is done.
    pub async fn stop(&self) {
        let (reply, done) = oneshot::channel();
        if self.commands.send(Command::Stop(reply)).await.is_ok() {
            // An error means that it ended by itself: done all the same.
            let _ = done.await;
        }
    }

    /// Has an event handled and waits for the answer.
    pub(super) async fn ask(&self, event: Event) -> Result<u64, NotTaken> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(Command::Handle(event, reply)).await.map_err(|_| NotTaken::Ended)?;
        Ok(answer.await.map_err(|_| NotTaken::Ended)??)
    }
}
