//! What the controller's task does for drills: wishes, times, counts, files, reports.

use std::sync::Arc;

use tokio::sync::{oneshot, watch};

use super::keeper::{Done, Job, NotGranted};
use super::shelf::Shelf;
use super::{AnyWish, ControlHandle, Reply, Task, Wished};
use crate::audit::Entry;
use crate::control::drills::{Answers, Ceased, Drills, Over, Proposal, Wish};
use crate::control::{DrillNews, Event};
use crate::limits::{CONTROL_TICK_MS, DRILL_LOOK_MS, DRILL_TICK_MS};
use crate::units::Moment;
use crate::world::World;

/// Tells what workers have answered, and counts drills. Every method may be called from any task and must not block.
pub trait DrillMeter: Send + Sync + 'static {
    /// What workers have counted so far of the services of the drill of this world; `None` where nobody counts.
    fn answers(&self, _world: &World) -> Option<Answers> {
        None
    }
    /// A drill is over; whether it was aborted.
    fn over(&self, _aborted: bool) {}
}

/// Knows nothing, and counts nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoDrillMeter;

impl DrillMeter for NoDrillMeter {}

/// What a wish for a drill came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drilled {
    /// The drill, and what that means.
    pub proposal: Proposal,
    /// The generation of the first world that has it; of a dry run that of the present world.
    pub generation: u64,
}

/// What the controller says of the drill.
#[derive(Debug, Default)]
pub(super) struct DrillNotes {
    /// What is new about it.
    pub(super) told: Vec<DrillNews>,
    /// Whether what is known of it is to be written.
    pub(super) keep: bool,
}

/// What the task has to do with drills.
pub(super) struct Drilling {
    /// Tells what workers have answered.
    meter: Arc<dyn DrillMeter>,
    /// Tells what is known of drills.
    told: watch::Sender<Arc<Drills>>,
    /// When workers' counts were looked at last.
    counted: Moment,
}

impl Drilling {
    /// With nothing counted yet.
    pub(super) const fn new(meter: Arc<dyn DrillMeter>, told: watch::Sender<Arc<Drills>>) -> Self {
        Self { meter, told, counted: Moment(0) }
    }
}

impl ControlHandle {
    /// What is known of drills.
    #[must_use]
    pub fn drills(&self) -> Arc<Drills> {
        Arc::clone(&self.drills.borrow())
    }

    /// Where reports of drills are kept; `None` without a state folder.
    #[must_use]
    pub const fn shelf(&self) -> Option<&Shelf> {
        self.shelf.as_ref()
    }

    /// Announces a drill or aborts it. When this returns, what was granted is on the disk, in the audit trail and in the published world. A dry run
    /// tells what that would mean, and changes nothing.
    ///
    /// # Errors
    /// [`NotGranted`]: nothing has changed.
    pub async fn drill(&self, wish: Wish, dry_run: bool) -> Result<Drilled, NotGranted> {
        let (reply, answer) = oneshot::channel();
        self.wish_for(Wished { wish: AnyWish::Drill(wish), dry_run, reply: Reply::Drill(reply) })?;
        answer.await.map_err(|_| NotGranted::Ended)?
    }
}

impl Task {
    /// Milliseconds until the clock is looked at next.
    pub(super) fn tick_ms(&self) -> u64 {
        let is_near = |drills: &Drills| drills.current().is_some_and(|one| one.record.started.is_none() || one.record.is_unsettled(self.clock.now()));
        if is_near(self.controller.drills()) { DRILL_TICK_MS } else { CONTROL_TICK_MS }
    }

    /// Tells the controller what workers have counted, while a drill runs.
    pub(super) fn count_answers(&mut self) {
        let now = self.clock.now();
        let Some(one) = self.controller.drills().current() else { return };
        let is_due = one.record.is_unsettled(now) || now.millis_since(self.drilling.counted) >= DRILL_LOOK_MS;
        if one.record.started.is_some() && is_due {
            self.drilling.counted = now;
            if let Some(answers) = self.drilling.meter.answers(self.controller.world()) {
                self.handle([Event::Answered(answers)]);
            }
        }
    }

    /// A world was swapped in: where it takes a service off what is drilled, that is its time, and what workers counted so far was before.
    pub(super) fn note_swap(&mut self, world: &Arc<World>) {
        if self.controller.swapped(world, self.clock.now()) {
            self.keep_drill();
            self.drilling.counted = Moment(0);
            self.count_answers();
        }
    }

    /// Carries out what the controller says of the drill.
    pub(super) fn carry_out_drill(&mut self, notes: DrillNotes) {
        for news in notes.told {
            match news {
                DrillNews::Started(drill) => {
                    let (id, selector, plays) = (drill.id, drill.selector.to_string(), drill.plays.to_string());
                    tracing::warn!(id, selector, plays, who = %drill.who, why = %drill.why, ends = %drill.ends, "a drill begins");
                }
                DrillNews::Over(over) => self.report(over),
            }
        }
        if notes.keep {
            self.keep_drill();
        }
        let drills = self.controller.drills();
        if !Arc::ptr_eq(drills, &self.drilling.told.borrow()) {
            self.drilling.told.send_replace(Arc::clone(drills));
        }
    }

    /// Has what is known of the drill written; the newest is enough.
    fn keep_drill(&mut self) {
        if self.controller.drills().current().is_some() {
            self.bench.jobs.retain(|job| !matches!(job, Job::Keep(_)));
            self.bench.jobs.insert(0, Job::Keep(Arc::clone(self.controller.drills())));
        }
    }

    /// Has a drill that is over reported.
    fn report(&mut self, over: Box<Over>) {
        let now = self.clock.now();
        let (drill, outcome) = (&over.under_way.drill, &over.under_way.record.over);
        let ceased = outcome.as_ref().map_or(&Ceased::Time, |outcome| &outcome.ceased);
        tracing::warn!(id = drill.id, selector = %drill.selector, plays = %drill.plays, why = %ceased, "the drill is over");
        self.drilling.meter.over(*ceased != Ceased::Time);
        // Who aborted it by hand stands in the trail already.
        if !matches!(ceased, Ceased::Aborted { .. }) {
            self.bench.entries.push(Entry::drill_over(drill, ceased, now));
        }
        self.bench.jobs.retain(|job| !matches!(job, Job::Keep(_)));
        let (after, drills) = (Arc::clone(self.controller.world()), Arc::clone(self.controller.drills()));
        self.bench.jobs.push(Job::Report { over, after, drills });
    }

    /// Puts into force what a wish for a drill came to, and tells who waits for it.
    pub(super) fn take_drill(&mut self, done: Option<Done>, reply: oneshot::Sender<Result<Drilled, NotGranted>>) {
        let answer = match done {
            Some(Done::Drilled(wish, proposal)) => {
                let drill = &proposal.drill;
                let (id, selector, plays) = (drill.id, drill.selector.to_string(), drill.plays.to_string());
                match &wish {
                    Wish::Run(run) => {
                        let past = &proposal.forced;
                        tracing::warn!(id, selector, plays, who = %run.who, why = %run.why, starts = %drill.starts, ends = %drill.ends, ?past, "a drill is announced");
                        self.news.tell_drill(drill, "announced", run.why.as_str(), drill.made);
                    }
                    Wish::Abort(abort) => tracing::warn!(id, selector, plays, who = %abort.who, why = %abort.why, "a drill is aborted"),
                }
                self.handle([Event::Drilled { drills: Arc::new(proposal.next.clone()) }]);
                Ok(Drilled { proposal: *proposal, generation: self.controller.world().generation })
            }
            Some(Done::WouldDrill(proposal)) => Ok(Drilled { proposal: *proposal, generation: self.controller.world().generation }),
            Some(Done::Not(refused)) => {
                tracing::warn!(%refused, "a drill was refused");
                Err(refused)
            }
            _ => Err(NotGranted::Ended),
        };
        // Whoever asked may have gone away meanwhile.
        let _ = reply.send(answer);
    }

    /// Takes what the file says of drills, where another process has written to it.
    pub(super) fn take_read_drills(&mut self, drills: Option<Drills>) {
        if let Some(drills) = drills.filter(|read| read.last >= self.controller.drills().last) {
            self.handle([Event::Drilled { drills: Arc::new(drills) }]);
        }
    }
}
