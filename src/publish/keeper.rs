//! Where overrides outlive the process, and the trail of who made them.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::shelf::Shelf;
use crate::audit::{Entry, Trail};
use crate::control::State;
use crate::control::drills::{self, Drills, Over};
use crate::control::overrides::{Move, Overrides, Proposal, Refusal, Wish, propose};
use crate::state_file::{self, StateFileError};
use crate::units::Moment;
use crate::world::World;

/// The file of overrides in the state folder.
const OVERRIDES: &str = "overrides.state";
/// The file of the drill in the state folder.
const DRILL: &str = "drill.state";
/// The audit trail in the state folder.
const AUDIT: &str = "audit.jsonl";

/// Why a wish is not granted. Nothing has changed, unless it says so.
#[derive(Debug, thiserror::Error)]
pub enum NotGranted {
    /// It cannot be, or may not be.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// A drill cannot be, or may not be.
    #[error(transparent)]
    Drill(#[from] drills::Refusal),
    /// Nothing would outlive the process.
    #[error("this node has no state folder, so an override or a drill would be lost with the process: start it with --state DIR")]
    NoFolder,
    /// So many wait already.
    #[error("other overrides or drills are being written; try again")]
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
    /// Another process is about to take over, and would know nothing of it.
    #[error("another process is taking over, and what waits is released there: try again when it has")]
    Followed,
    /// The controller has ended.
    #[error("the controller has ended")]
    Ended,
}

/// Overrides on the disk.
#[derive(Debug)]
pub(super) struct Keeper {
    /// The file.
    path: PathBuf,
    /// The drill's file.
    drill: PathBuf,
    /// The reports of drills.
    shelf: Shelf,
    /// The trail.
    trail: Trail,
}

impl Keeper {
    /// In this folder.
    pub(super) fn new(folder: &Path) -> Self {
        let (path, drill, trail) = (folder.join(OVERRIDES), folder.join(DRILL), Trail::new(folder.join(AUDIT)));
        Self { path, drill, shelf: Shelf::new(folder), trail }
    }

    /// The reports of drills.
    pub(super) fn shelf(&self) -> Shelf {
        self.shelf.clone()
    }

    /// What is known of drills by their file. One that is not whole is moved aside, and no drill goes on: that is the safe side.
    pub(super) fn drills(&self) -> Drills {
        let why = match state_file::read::<Drills>(&self.drill) {
            Ok(None) => return Drills::default(),
            Ok(Some(drills)) if drills.is_sound() => return drills,
            Ok(Some(_)) => "it has a drill that nobody can have made".to_owned(),
            Err(error) => error.to_string(),
        };
        let aside =
            state_file::set_aside(&self.drill).map_or_else(|error| format!("it could not be moved aside: {error}"), |aside| aside.display().to_string());
        tracing::error!(why, aside, "the file of the drill is not whole: no drill goes on");
        Drills::default()
    }

    /// What the file says of drills, if it is whole and not older than what is known.
    fn newer_drills(&self, known: &Drills) -> Option<Drills> {
        state_file::read::<Drills>(&self.drill).ok().flatten().filter(|read| read.is_sound() && read.last >= known.last)
    }

    /// Grants a wish for a drill, or tells why not; when this returns what is granted is on the disk.
    fn drill(&self, wish: &drills::Wish, Case { world, present: overrides, drills: known, reloads, now }: &Case) -> Result<drills::Proposal, NotGranted> {
        let (known, now) = (&**known, *now);
        let read = self.newer_drills(known);
        let present = match (&read, known.current()) {
            // What this process has measured of the same drill is newer than what it wrote.
            (Some(read), Some(one)) if read.current().is_some_and(|other| other.drill.id == one.drill.id) => known,
            (Some(read), _) => read,
            (None, _) => known,
        };
        let proposal = match drills::propose(world, present, overrides, reloads, wish, now) {
            Ok(proposal) => proposal,
            Err(refusal) => {
                self.tell(&[Entry::drill_refused(wish, &refusal, now)]);
                return Err(refusal.into());
            }
        };
        let audited = self.trail.append(&[Entry::drilled(wish, &proposal, now)]);
        audited.map_err(|source| NotGranted::Audit { path: self.trail.path().to_owned(), source })?;
        if let Err(error) = state_file::write(&self.drill, &proposal.next) {
            if let Err(again) = state_file::write(&self.drill, present) {
                tracing::error!(%again, "what was known of drills before cannot be written back either");
            }
            self.tell(&[Entry::drill_failed(wish, now)]);
            return Err(error.into());
        }
        Ok(proposal)
    }

    /// Writes what was measured of a drill. Returns what the file says where that is another drill, or none: another process has ended it.
    fn keep(&self, drills: &Drills) -> Option<Drills> {
        let number = |drills: &Drills| drills.current().map(|one| one.drill.id);
        let read = self.newer_drills(drills);
        if read.as_ref().is_some_and(|read| number(read) != number(drills)) {
            return read;
        }
        if let Err(error) = state_file::write(&self.drill, drills) {
            tracing::error!(%error, "what was measured of the drill would be lost with the process");
        }
        None
    }

    /// Writes the report of a drill that is over. It is over on the disk before that, and forgotten only after.
    fn report(&self, over: &Over, after: &World, drills: &Drills) {
        let ended = Drills { now: Some(over.under_way.clone()), ..drills.clone() };
        let told = state_file::write(&self.drill, &ended).map_err(|error| error.to_string());
        let report = drills::report(over, after);
        let kept = self.shelf.keep(&report).map_err(|error| error.to_string());
        match &kept {
            Ok(path) => tracing::info!(id = report.id, path = %path.display(), recovery_ms = report.recovery_ms, "the drill is reported"),
            Err(error) => tracing::error!(id = report.id, error, "the report of the drill cannot be written; it is tried again at the next start"),
        }
        let forgotten = kept.and_then(|_| state_file::write(&self.drill, drills).map_err(|error| error.to_string()));
        if let Err(error) = told.and(forgotten) {
            tracing::error!(id = report.id, error, "the file of the drill cannot be written");
        }
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

    /// Grants a wish, or tells why not; when this returns what is granted is on the disk.
    fn grant(&self, wish: &Wish, Case { world, present, drills, reloads, now }: &Case) -> Result<Proposal, NotGranted> {
        let (present, now) = (&**present, *now);
        // The process before this one may have played a drill since.
        let newer = self.newer_drills(drills);
        let others = [&newer.as_ref().unwrap_or(drills).moves, &**reloads].concat();
        // The file comes first: while nodes hand over, the process before this one may have written to it.
        let read = state_file::read::<Overrides>(&self.path).ok().flatten().filter(|read| read.is_sound() && read.last >= present.last);
        let proposal = match propose(world, read.as_ref().unwrap_or(present), &others, wish, now) {
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

/// What a wish is judged by: how things are when it comes.
pub(super) struct Case {
    /// The world.
    pub(super) world: Arc<World>,
    /// The overrides in force.
    pub(super) present: Arc<Overrides>,
    /// What is known of drills.
    pub(super) drills: Arc<Drills>,
    /// When reloads moved clients.
    pub(super) reloads: Box<[Move]>,
    /// When it is.
    pub(super) now: Moment,
}

/// What is to be done beside the controller: it may take a while, and must hold up nobody.
pub(super) enum Job {
    /// To grant a wish, or only to tell what that would mean.
    Grant {
        /// The wish.
        wish: Wish,
        /// Whether it is a dry run.
        dry_run: bool,
        /// How things are.
        case: Case,
    },
    /// To grant a wish for a drill, or only to tell what that would mean.
    Drill {
        /// The wish.
        wish: drills::Wish,
        /// Whether it is a dry run.
        dry_run: bool,
        /// How things are.
        case: Case,
    },
    /// To write what was measured of a drill.
    Keep(Arc<Drills>),
    /// To report a drill that is over.
    Report {
        /// The drill, and the worlds before and while it was played.
        over: Box<Over>,
        /// The world after it.
        after: Arc<World>,
        /// What is known of drills from now on.
        drills: Arc<Drills>,
    },
    /// To read the files again, and of the state what reloads moved.
    Read(Option<PathBuf>),
    /// To write down what has happened.
    Tell(Vec<Entry>),
}

impl Case {
    /// What would come of a wish.
    fn propose(&self, wish: &Wish) -> Result<Proposal, Refusal> {
        propose(&self.world, &self.present, &[&self.drills.moves, &*self.reloads].concat(), wish, self.now)
    }
}

impl Job {
    /// Whether something would be lost if it were not done.
    pub(super) const fn must_be_done(&self) -> bool {
        matches!(self, Self::Keep(_) | Self::Report { .. })
    }
}

/// What a job came to.
pub(super) enum Done {
    /// A wish is granted and written.
    Granted(Wish, Box<Proposal>),
    /// What it would mean if it were.
    Would(Box<Proposal>),
    /// It is not.
    Not(NotGranted),
    /// A wish for a drill is granted and written.
    Drilled(drills::Wish, Box<drills::Proposal>),
    /// What it would mean if it were.
    WouldDrill(Box<drills::Proposal>),
    /// What was measured is written, or what the file says instead.
    Kept(Option<Drills>),
    /// What the files hold, if they are whole; and what reloads moved.
    Read(Option<Overrides>, Option<Drills>, Vec<Move>),
    /// It is written down.
    Told,
}

/// Does a job. Blocks.
pub(super) fn work(keeper: Option<&Keeper>, job: Job) -> Done {
    match (job, keeper) {
        (Job::Grant { wish, dry_run: true, case }, _) => match case.propose(&wish) {
            Ok(proposal) => Done::Would(Box::new(proposal)),
            Err(refusal) => Done::Not(refusal.into()),
        },
        (Job::Grant { wish, case, .. }, Some(keeper)) => match keeper.grant(&wish, &case) {
            Ok(proposal) => Done::Granted(wish, Box::new(proposal)),
            Err(error) => Done::Not(error),
        },
        // Without a folder no latch outlives the process, so neither need its release.
        (Job::Grant { wish: wish @ Wish::Release(_), case, .. }, None) => match case.propose(&wish) {
            Ok(proposal) => Done::Granted(wish, Box::new(proposal)),
            Err(refusal) => Done::Not(refusal.into()),
        },
        (Job::Drill { wish, dry_run: true, case }, _) => match drills::propose(&case.world, &case.drills, &case.present, &case.reloads, &wish, case.now) {
            Ok(proposal) => Done::WouldDrill(Box::new(proposal)),
            Err(refusal) => Done::Not(refusal.into()),
        },
        (Job::Drill { wish, case, .. }, Some(keeper)) => match keeper.drill(&wish, &case) {
            Ok(proposal) => Done::Drilled(wish, Box::new(proposal)),
            Err(error) => Done::Not(error),
        },
        (Job::Grant { .. } | Job::Drill { .. }, None) => Done::Not(NotGranted::NoFolder),
        (Job::Keep(drills), keeper) => Done::Kept(keeper.and_then(|keeper| keeper.keep(&drills))),
        (Job::Report { over, after, drills }, keeper) => {
            if let Some(keeper) = keeper {
                keeper.report(&over, &after, &drills);
            }
            Done::Told
        }
        (Job::Read(state), keeper) => {
            let moves = state.and_then(|path| state_file::read::<State>(&path).ok().flatten()).map_or_else(Vec::new, |state| state.moves);
            Done::Read(keeper.and_then(Keeper::load), keeper.map(Keeper::drills), moves)
        }
        (Job::Tell(entries), keeper) => {
            if let Some(keeper) = keeper {
                keeper.tell(&entries);
            }
            Done::Told
        }
    }
}
