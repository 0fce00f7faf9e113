//! Where overrides outlive the process, and the trail of who made them.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::audit::{Entry, Trail};
use crate::control::overrides::{Overrides, Proposal, Refusal, Wish, propose};
use crate::state_file::{self, StateFileError};
use crate::units::Moment;
use crate::world::World;

/// The file of overrides in the state folder.
const OVERRIDES: &str = "overrides.state";
/// The audit trail in the state folder.
const AUDIT: &str = "audit.jsonl";

/// Why a wish is not granted. Nothing has changed, unless it says so.
#[derive(Debug, thiserror::Error)]
pub enum NotGranted {
    /// It cannot be, or may not be.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Nothing would outlive the process.
    #[error("this node has no state folder, so an override would be lost with the process: start it with --state DIR")]
    NoFolder,
    /// So many wait already.
    #[error("other overrides are being written; try again")]
    Busy,
    /// The trail cannot be written.
    #[error("the audit trail {} cannot be written", path.display())]
    Audit {
        /// The file.
        path: PathBuf,
        /// The system's word.
        source: io::Error,
    },
    /// The file cannot be written.
    #[error(transparent)]
    Write(#[from] StateFileError),
    /// It is in force, and would be forgotten with the process.
    #[error("clients return, but the state cannot be written: if this process ends now, the next one holds them off again")]
    Unwritten(#[source] StateFileError),
    /// The controller has ended.
    #[error("the controller has ended")]
    Ended,
}

/// Overrides on the disk.
#[derive(Debug)]
pub(super) struct Keeper {
    /// The file.
    path: PathBuf,
    /// The trail.
    trail: Trail,
}

impl Keeper {
    /// In this folder.
    pub(super) fn new(folder: &Path) -> Self {
        Self { path: folder.join(OVERRIDES), trail: Trail::new(folder.join(AUDIT)) }
    }

    /// What the file holds; nothing when there is none. One that is not whole is moved aside, told loudly, and `None` is returned.
    pub(super) fn load(&self) -> Option<Overrides> {
        let why = match state_file::read::<Overrides>(&self.path) {
            Ok(None) => return Some(Overrides::default()),
            Ok(Some(overrides)) if overrides.is_sound() => return Some(overrides),
            Ok(Some(_)) => "it has overrides that nobody can have made".to_owned(),
            Err(error) => match std::error::Error::source(&error) {
                Some(source) => format!("{error}: {source}"),
                None => error.to_string(),
            },
        };
        let aside = state_file::set_aside(&self.path).map_or_else(|error| format!("it could not be moved aside: {error}"), |aside| aside.display().to_string());
        tracing::error!(why, aside, "OVERRIDES ARE LOST: the file is not whole; what was drained or out may be answered again. Look at it, and set them anew");
        None
    }

    /// Grants a wish, or tells why not; when this returns what is granted is on the disk. `present` are the overrides in force.
    pub(super) fn grant(&self, world: &World, present: &Overrides, wish: &Wish, now: Moment) -> Result<Proposal, NotGranted> {
        // The file comes first: while nodes hand over, the process before this one may have written to it.
        let read = state_file::read::<Overrides>(&self.path).ok().flatten().filter(|read| read.is_sound() && read.last >= present.last);
        let proposal = match propose(world, read.as_ref().unwrap_or(present), wish, now) {
            Ok(proposal) => proposal,
            Err(refusal) => {
                self.tell(&[Entry::refused(wish, &refusal, now)]);
                return Err(refusal.into());
            }
        };
        // The trail comes before the file: nothing is ever in force that nobody answers for.
        let audited = self.trail.append(&Entry::granted(wish, &proposal, now));
        audited.map_err(|source| NotGranted::Audit { path: self.trail.path().to_owned(), source })?;
        if let Err(error) = state_file::write(&self.path, &proposal.next) {
            // It may have been renamed and only its folder not synced: what is not acknowledged should not come back.
            if let Err(again) = state_file::write(&self.path, read.as_ref().unwrap_or(present)) {
                tracing::error!(%again, "the overrides before cannot be written back either");
            }
            self.tell(&[Entry::failed(wish, now)]);
            return Err(error.into());
        }
        Ok(proposal)
    }

    /// Appends to the trail what has happened in any case; that it cannot be written is logged.
    pub(super) fn tell(&self, entries: &[Entry]) {
        if let Err(error) = self.trail.append(entries) {
            tracing::error!(%error, path = %self.trail.path().display(), lost = entries.len(), "the audit trail cannot be written");
        }
    }
}

/// What is to be done beside the controller: it may take a while, and must hold up nobody.
pub(super) enum Job {
    /// To grant a wish.
    Grant {
        /// The wish.
        wish: Wish,
        /// Whether it is only to be told what that would mean.
        dry_run: bool,
        /// The world that it is judged by.
        world: Arc<World>,
        /// The overrides in force.
        present: Arc<Overrides>,
        /// When.
        now: Moment,
    },
    /// To read the file again.
    Read,
    /// To write down what has happened.
    Tell(Vec<Entry>),
}

/// What a job came to.
pub(super) enum Done {
    /// A wish is granted and written.
    Granted(Wish, Box<Proposal>),
    /// What it would mean if it were.
    Would(Box<Proposal>),
    /// It is not.
    Not(NotGranted),
    /// What the file holds, if it is whole.
    Read(Option<Overrides>),
    /// It is written down.
    Told,
}

/// Does a job. Blocks.
pub(super) fn work(keeper: Option<&Keeper>, job: Job) -> Done {
    match (job, keeper) {
        (Job::Grant { wish, dry_run: true, world, present, now }, _) => match propose(&world, &present, &wish, now) {
            Ok(proposal) => Done::Would(Box::new(proposal)),
            Err(refusal) => Done::Not(refusal.into()),
        },
        (Job::Grant { wish, world, present, now, .. }, Some(keeper)) => match keeper.grant(&world, &present, &wish, now) {
            Ok(proposal) => Done::Granted(wish, Box::new(proposal)),
            Err(error) => Done::Not(error),
        },
        // Without a folder no latch outlives the process, so neither need its release.
        (Job::Grant { wish: wish @ Wish::Release(_), world, present, now, .. }, None) => match propose(&world, &present, &wish, now) {
            Ok(proposal) => Done::Granted(wish, Box::new(proposal)),
            Err(refusal) => Done::Not(refusal.into()),
        },
        (Job::Grant { .. }, None) => Done::Not(NotGranted::NoFolder),
        (Job::Read, keeper) => Done::Read(keeper.and_then(Keeper::load)),
        (Job::Tell(entries), keeper) => {
            if let Some(keeper) = keeper {
                keeper.tell(&entries);
            }
            Done::Told
        }
    }
}
