//! The writer's end and the workers' ends of the world, and the task that runs the controller.
//!
//! Workers load the world without a lock. The writer keeps every world that it replaced until nobody else holds it, and frees it
//! itself: a worker never pays for dropping a catalog.

mod bench;
mod drills;
mod failback;
mod handle;
mod keeper;
mod news;
mod shelf;
mod state;
mod worlds;

pub use drills::{DrillMeter, Drilled, NoDrillMeter};
pub use handle::{ControlHandle, Granted, NotTaken};
pub use keeper::NotGranted;
pub use news::News;
pub use shelf::Shelf;
pub use worlds::{Publisher, Reader, Worlds};

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use tokio::sync::{broadcast, mpsc, watch};
use tokio::task::JoinHandle;

use crate::audit::Entry;
use crate::catalog::Catalog;
use crate::clock::Clock;
use crate::control::drills::Drills;
use crate::control::overrides::{Override, Overrides, Wish};
use crate::control::{Change, Controller, Effects, Event, IntentChange, Plan, Refused};
use crate::geo::Geo;
use crate::limits::{AUDIT_QUEUED_MAX, CHANGES_QUEUED_MAX, CONTROL_TICK_MS, EVENTS_AT_ONCE_MAX, EVENTS_QUEUED_MAX, PROPOSALS_QUEUED_MAX};
use crate::probe::{self, Commands, Meter, Prober, Roots, Targets};
use crate::resolve::{self, NameServers};
use crate::units::Moment;
use bench::Bench;
use drills::{DrillNotes, Drilling};
use handle::{AnyWish, Command, Reply, Wished};
use keeper::{Case, Done, Job, Keeper};
use news::{Teller, log_alias, log_doubt, log_held, log_partial};
use state::read_state;

/// What the controller's task starts with.
pub struct Start {
    /// What exists.
    pub catalog: Arc<Catalog>,
    /// Where clients are.
    pub geo: Arc<Geo>,
    /// Tells the time.
    pub clock: Clock,
    /// Where health outlives the process, if it is to.
    pub state: Option<PathBuf>,
    /// The folder in which overrides outlive the process; without one they are refused.
    pub overrides: Option<PathBuf>,
    /// The certificates that probes trust.
    pub roots: Roots,
    /// The commands that probes may run.
    pub commands: Option<Commands>,
    /// Makes this node's turns of probes others than the next node's; a digest of its name will do.
    pub seed: u64,
    /// Counts what probes do.
    pub meter: Arc<dyn Meter>,
    /// Whom aliases are asked of.
    pub name_servers: NameServers,
    /// Counts what look-ups do.
    pub lookups: Arc<dyn resolve::Meter>,
    /// Tells a drill what workers have answered.
    pub drills: Arc<dyn DrillMeter>,
}

/// Starts the controller, the probes and the look-ups on the present tokio runtime. The first world is published when this returns, and what the state
/// file and the overrides' file hold is in it.
pub fn spawn(start: Start) -> ControlHandle {
    let Start { catalog, geo, clock, state, overrides, roots, commands: allowed, seed, meter, name_servers, lookups, drills } = start;
    for complaint in roots.complaints() {
        tracing::warn!(complaint, "trusted certificates");
    }
    let mut controller = Controller::new(catalog, geo, clock.now());
    let mut publisher = Publisher::new(Arc::clone(controller.world()));
    let keeper = overrides.as_deref().map(|folder| Arc::new(Keeper::new(folder)));
    let (known, lost) = recollect(state.as_deref(), keeper.as_deref());
    let mut notes = DrillNotes::default();
    if !known.is_empty() {
        // Nobody listens yet: what was restored is in the first world, its changes are no news. The tick fits loads to it, so that the first answers are
        // not those of a world in which everybody has room for all.
        let effects = controller.handle_all(known.into_iter().chain([Event::Tick]), clock.now());
        if let Some(world) = effects.publish {
            publisher.publish(world);
        }
        notes = DrillNotes { told: effects.drill, keep: effects.keep_drill };
    }
    let (events, observed) = mpsc::channel(EVENTS_QUEUED_MAX);
    let (commands, asked) = mpsc::channel(16);
    let (wishes, wished) = mpsc::channel(PROPOSALS_QUEUED_MAX);
    let (changes, _) = broadcast::channel(CHANGES_QUEUED_MAX);
    let (intents, _) = broadcast::channel(CHANGES_QUEUED_MAX);
    let (tell_overrides, overrides) = watch::channel(Arc::clone(controller.overrides()));
    let (tell_drills, drills_told) = watch::channel(Arc::clone(controller.drills()));
    let shelf = keeper.as_ref().map(|keeper| keeper.shelf());
    let (plans, plan) = watch::channel(controller.plan());
    let (targets, target) = watch::channel(Targets::of(controller.world()));
    let (readiness, ready) = watch::channel(controller.is_ready());
    let news = Teller::new();
    let handle = ControlHandle {
        commands,
        wishes,
        events: events.clone(),
        worlds: publisher.worlds(),
        changes: changes.clone(),
        intents: intents.clone(),
        news: news.clone(),
        overrides,
        drills: drills_told,
        shelf,
        lost,
        ready,
        followed: Arc::default(),
    };
    let prober = Prober::new(clock.clone(), roots).with_commands(allowed);
    tokio::spawn(resolve::run(plan.clone(), events.clone(), name_servers, clock.clone(), seed, Arc::clone(&lookups)));
    // Without it, statuses are held as they are: answering goes on, and tells how old they are.
    let prober = probe::start(probe::run(plan, target, events, prober, clock.clone(), seed, meter))
        .inspect_err(|error| tracing::error!(%error, "nothing is probed: there is no thread for it"))
        .ok();
    let bench = Bench { keeper, job: None, jobs: Vec::new(), entries: Vec::new(), overrides: tell_overrides, intents };
    let mut task = Task {
        controller,
        publisher,
        clock,
        followed: Arc::clone(&handle.followed),
        plans,
        targets,
        lookups,
        changes,
        news,
        readiness,
        state,
        writing: None,
        unwritten: false,
        prober,
        bench,
        drilling: Drilling::new(drills, tell_drills),
    };
    task.carry_out_drill(notes);
    tokio::spawn(task.run(observed, asked, wished));
    handle
}

/// What an earlier process knew, and whether its file of overrides was not whole.
fn recollect(state: Option<&std::path::Path>, keeper: Option<&Keeper>) -> (Vec<Event>, bool) {
    let kept = keeper.map(Keeper::load);
    let lost = matches!(kept, Some(None));
    let restored = state.and_then(read_state).map(Event::Restored);
    let overridden = kept
        .flatten()
        .filter(|kept| *kept != Overrides::default())
        .map(|overrides| Event::Overridden { overrides: Arc::new(overrides), why: "as before the restart".into() });
    let drilled = keeper.map(Keeper::drills).filter(|drills| *drills != Drills::default()).map(|drills| Event::Drilled { drills: Arc::new(drills) });
    (restored.into_iter().chain(overridden).chain(drilled).collect(), lost)
}

/// The controller's task: the one place where effects are carried out.
struct Task {
    /// Decides.
    controller: Controller,
    /// Publishes.
    publisher: Publisher,
    /// Tells the time.
    clock: Clock,
    /// Whether a process that is to follow this one may have read its files already.
    followed: Arc<AtomicBool>,
    /// Tells probes and look-ups what to ask. When it goes, they end.
    plans: watch::Sender<Plan>,
    /// Tells the probes what aliases were resolved to.
    targets: watch::Sender<Targets>,
    /// Counts what look-ups do.
    lookups: Arc<dyn resolve::Meter>,
    /// Tells changes of health.
    changes: broadcast::Sender<Change>,
    /// Tells news of all kinds.
    news: Teller,
    /// Tells readiness.
    readiness: watch::Sender<bool>,
    /// Where the state is kept.
    state: Option<PathBuf>,
    /// A state that is being written.
    writing: Option<JoinHandle<()>>,
    /// Whether another falls due meanwhile.
    unwritten: bool,
    /// The thread of the probes.
    prober: Option<std::thread::JoinHandle<()>>,
    /// What is done beside, for overrides and drills.
    bench: Bench,
    /// What it has to do with drills.
    drilling: Drilling,
}

impl Task {
    /// Handles what comes until it is told to stop, or until nobody holds a handle.
    async fn run(mut self, mut observed: mpsc::Receiver<Event>, mut asked: mpsc::Receiver<Command>, mut wished: mpsc::Receiver<Wished>) {
        let mut batch = Vec::with_capacity(EVENTS_AT_ONCE_MAX);
        let mut tick = self.clock.now().plus_millis(CONTROL_TICK_MS);
        let reply = loop {
            self.bench.go_on();
            tokio::select! {
                command = asked.recv() => match command {
                    Some(Command::Handle(event, reply)) => {
                        let refusal = self.handle([event]);
                        // Whoever asked may have gone away meanwhile.
                        let _ = reply.send(refusal.map_or(Ok(self.controller.world().generation), Err));
                    }
                    Some(Command::ReadOverrides) => {
                        self.bench.jobs.retain(Job::must_be_done);
                        self.bench.jobs.push(Job::Read(self.state.clone()));
                    }
                    Some(Command::Stop(reply)) => break Some(reply),
                    None => break None,
                },
                _ = observed.recv_many(&mut batch, EVENTS_AT_ONCE_MAX) => {
                    if let Some(refused) = self.handle(batch.drain(..)) {
                        tracing::warn!(%refused, "an event was refused");
                    }
                }
                Some(Wished { wish, dry_run, reply }) = wished.recv(), if self.bench.job.is_none() => {
                    let case = Case {
                        world: Arc::clone(self.controller.world()),
                        present: Arc::clone(self.controller.overrides()),
                        drills: Arc::clone(self.controller.drills()),
                        reloads: self.controller.moves().into(),
                        now: self.clock.now(),
                    };
                    let job = match wish {
                        AnyWish::Override(wish) => Job::Grant { wish, dry_run, case },
                        AnyWish::Drill(wish) => Job::Drill { wish, dry_run, case },
                    };
                    self.bench.begin(job, Some(reply));
                }
                (done, reply) = self.bench.done() => self.take(done, reply),
                () = self.clock.sleep_until(tick) => {
                    self.handle([Event::Tick]);
                    self.publisher.reclaim();
                    self.count_answers();
                    tick = self.clock.now().plus_millis(self.tick_ms());
                }
            }
        };
        // What was begun is brought to its end: who waits for it is told, and nothing that happened stays untold.
        self.bench.jobs.retain(Job::must_be_done);
        self.bench.go_on();
        while self.bench.job.is_some() {
            let (done, reply) = self.bench.done().await;
            self.take(done, reply);
            self.bench.go_on();
        }
        self.write_state();
        if let Some(writing) = self.writing.take() {
            // It logs its own failure.
            let _ = writing.await;
        }
        // Nobody plans any more: the probes under way are given up, with the commands that they run.
        drop(self.plans);
        if let Some(prober) = self.prober.take() {
            // A panic there has been reported by the panic hook.
            let _ = tokio::task::spawn_blocking(move || prober.join()).await;
        }
        if let Some(reply) = reply {
            let _ = reply.send(());
        }
    }

    /// Puts into force what a job came to, and tells who waits for it.
    fn take(&mut self, done: Option<Done>, reply: Option<Reply>) {
        let reply = match reply {
            Some(Reply::Drill(reply)) => return self.take_drill(done, reply),
            Some(Reply::Override(reply)) => Some(reply),
            None => None,
        };
        let answer = match done {
            Some(Done::Granted(Wish::Release(release), proposal)) => {
                self.release(&release, *proposal, reply);
                return;
            }
            Some(Done::Granted(wish, proposal)) => {
                let (deed, who, why) = match &wish {
                    Wish::Set(set) => (if proposal.forced.is_empty() { "set" } else { "forced" }, &set.who, &set.why),
                    Wish::Clear(clear) => ("cleared", &clear.who, &clear.why),
                    Wish::Release(release) => ("released", &release.who, &release.why),
                };
                for one in proposal.made.iter().chain(&proposal.gone) {
                    let (id, selector, action) = (one.id, one.selector.to_string(), one.action.to_string());
                    if proposal.forced.is_empty() {
                        tracing::info!(id, selector, action, %who, %why, "override {deed}");
                    } else {
                        tracing::warn!(id, selector, action, %who, %why, past = ?proposal.forced, "override {deed}");
                    }
                }
                let why = format!("{deed} by {who}: {why}").into();
                self.handle([Event::Overridden { overrides: Arc::new(proposal.next.clone()), why }]);
                Ok(Granted { proposal: *proposal, generation: self.controller.world().generation })
            }
            Some(Done::Would(proposal)) => Ok(Granted { proposal: *proposal, generation: self.controller.world().generation }),
            Some(Done::Not(refused)) => {
                tracing::warn!(%refused, "an override was refused");
                Err(refused)
            }
            Some(Done::Read(overrides, drills, moves)) => {
                self.handle([Event::Recalled(moves)]);
                if let Some(overrides) = overrides.filter(|read| read.last >= self.controller.overrides().last) {
                    self.handle([Event::Overridden { overrides: Arc::new(overrides), why: "as in the file".into() }]);
                }
                return self.take_read_drills(drills);
            }
            Some(Done::Kept(drills)) => return self.take_read_drills(drills),
            Some(Done::Told | Done::WouldDrill(_) | Done::Drilled(..)) => return,
            None => Err(NotGranted::Ended),
        };
        if let Some(reply) = reply {
            // Whoever asked may have gone away meanwhile.
            let _ = reply.send(answer);
        }
    }

    /// Handles events and carries out what follows.
    fn handle(&mut self, events: impl IntoIterator<Item = Event>) -> Option<Refused> {
        let now = self.clock.now();
        let before = Arc::clone(self.controller.world());
        let effects = self.controller.handle_all(events, now);
        self.news.tell_effects(&effects, &before, now);
        drop(before);
        let Effects {
            drill,
            keep_drill,
            publish,
            changes,
            holds,
            tiers,
            partial,
            doubt,
            aliases,
            unusable,
            intents,
            intents_untold,
            expired,
            persist,
            plan,
            refusal,
            dropped: _,
        } = effects;
        if let Some(world) = publish {
            if !self.targets.borrow().are_of(&world) {
                self.targets.send_replace(Targets::of(&world));
            }
            self.publisher.publish(Arc::clone(&world));
            self.note_swap(&world);
        }
        self.carry_out_drill(DrillNotes { told: drill, keep: keep_drill });
        aliases.iter().for_each(log_alias);
        tiers.iter().for_each(failback::log);
        if unusable > 0 {
            self.lookups.unusable(unusable);
        }
        for change in changes {
            // Nobody need listen.
            let _ = self.changes.send(change);
        }
        doubt.into_iter().for_each(log_doubt);
        holds.iter().for_each(log_held);
        partial.iter().for_each(log_partial);
        self.tell_intents(intents, intents_untold, &expired, now);
        if let Some(plan) = plan {
            self.plans.send_replace(plan);
        }
        self.readiness.send_if_modified(|ready| std::mem::replace(ready, self.controller.is_ready()) != *ready);
        self.unwritten |= persist;
        if self.unwritten && self.writing.as_ref().is_none_or(JoinHandle::is_finished) {
            self.write_state();
        }
        refusal
    }

    /// Tells what is new about overrides.
    fn tell_intents(&mut self, intents: Vec<IntentChange>, untold: usize, expired: &[Override], now: Moment) {
        for change in intents {
            // Nobody need listen.
            let _ = self.bench.intents.send(change);
        }
        if untold > 0 {
            tracing::info!(untold, "more endpoints over which another override has the say");
        }
        for one in expired {
            tracing::info!(id = one.id, selector = %one.selector, action = %one.action, who = %one.who, why = %one.why, "override expired");
            if self.bench.entries.len() < AUDIT_QUEUED_MAX {
                self.bench.entries.push(Entry::expired(one, now));
            } else {
                tracing::error!(id = one.id, "the audit trail is not written for so long that it lacks an override that expired");
            }
        }
        let overrides = self.controller.overrides();
        if !Arc::ptr_eq(overrides, &self.bench.overrides.borrow()) {
            self.bench.overrides.send_replace(Arc::clone(overrides));
        }
    }
}
