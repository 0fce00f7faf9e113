//! The task that asks: plans in, observations out.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use tokio::sync::{mpsc, watch};
use tokio::task::{Id, JoinError, JoinSet};

use super::asking::{Meter, Prober};
use super::http::Kept;
use crate::catalog::{Catalog, ProbeHost, ProbeId};
use crate::clock::Clock;
use crate::control::{Event, Plan};
use crate::health::{Observation, ProbeFailure, ProbeOutcome};
use crate::limits::{PROBE_TICK_MS, PROBES_IN_FLIGHT_MAX};
use crate::schedule::{Key, Schedule, Targets};
use crate::units::Micros;

/// What a probe's task brings back: what was asked, as a place in the catalog of that time, what came of it, and the connection.
type Asked = (Arc<Catalog>, ProbeId, Observation, Option<Kept>);

/// Runs the probes on a thread and a runtime of their own, until the sender of plans is gone: what asks and what is answered meet on one thread, which costs
/// far less than to wake another one each time; and however much there is to ask, no more than one core is taken from answering.
///
/// # Errors
/// The system's, when there is no thread or runtime to be had.
pub(crate) fn start(probing: impl Future<Output = ()> + Send + 'static) -> io::Result<JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    thread::Builder::new().name("aya-probe".into()).spawn(move || runtime.block_on(probing))
}

/// Asks as the plans say until their sender is gone; then probes under way are dropped with their connections.
pub(crate) async fn run(
    mut plans: watch::Receiver<Plan>,
    mut targets: watch::Receiver<Targets>,
    events: mpsc::Sender<Event>,
    prober: Prober,
    clock: Clock,
    seed: u64,
    meter: Arc<dyn Meter>,
) {
    let schedule = Schedule::new(seed, PROBES_IN_FLIGHT_MAX).taking_together(PROBE_TICK_MS);
    let mut desk = Desk { schedule, tasks: JoinSet::new(), keys: HashMap::new(), idle: HashMap::new(), events, prober, clock, meter };
    desk.schedule.replan(&plans.borrow_and_update().clone(), desk.clock.now());
    loop {
        desk.start(&targets.borrow());
        let wake = desk.schedule.wake();
        tokio::select! {
            changed = plans.changed() => {
                if changed.is_err() {
                    return;
                }
                desk.schedule.replan(&plans.borrow_and_update().clone(), desk.clock.now());
                desk.idle.retain(|key, _| desk.schedule.has(*key));
            }
            Ok(()) = targets.changed() => desk.schedule.retarget(&targets.borrow_and_update()),
            Some(joined) = desk.tasks.join_next_with_id() => {
                desk.take(joined, &targets.borrow());
                // Whoever asked together is often answered together: the controller is told of all of them before it looks.
                while let Some(joined) = desk.tasks.try_join_next_with_id() {
                    desk.take(joined, &targets.borrow());
                }
            }
            () = desk.clock.sleep_until(wake.unwrap_or_default()), if wake.is_some() => {}
        }
    }
}

/// Where turns, probes under way and kept connections meet.
struct Desk {
    /// Whose turn it is.
    schedule: Schedule,
    /// Probes under way.
    tasks: JoinSet<Asked>,
    /// What each of them is.
    keys: HashMap<Id, Key>,
    /// Connections that are kept, while nobody asks on them.
    idle: HashMap<Key, Kept>,
    /// To the controller.
    events: mpsc::Sender<Event>,
    /// Asks.
    prober: Prober,
    /// Tells the time.
    clock: Clock,
    /// Counts.
    meter: Arc<dyn Meter>,
}

impl Desk {
    /// Starts what is due.
    fn start(&mut self, targets: &Targets) {
        while let Some((key, spec)) = self.schedule.start(self.clock.now()) {
            let aimed = if let ProbeHost::Address(address) = spec.target.host {
                self.schedule.aim(key, &[address])
            } else {
                let addresses = targets.addresses(&spec.target.host);
                self.schedule.aim(key, &addresses)
            };
            let (Some(address), Some((catalog, probe))) = (aimed, self.schedule.place(key)) else { continue };
            let prober = self.prober.clone();
            let mut kept = self.idle.remove(&key);
            let task = self.tasks.spawn(async move {
                let observation = prober.ask_again(&catalog.probes[probe.index()], address, &mut kept).await;
                (catalog, probe, observation, kept)
            });
            self.keys.insert(task.id(), key);
        }
        self.meter.under_way(self.schedule.in_flight(), self.schedule.waiting());
    }

    /// Takes in what came of a probe.
    fn take(&mut self, joined: Result<(Id, Asked), JoinError>, targets: &Targets) {
        let (id, asked) = match joined {
            Ok((id, asked)) => (id, Ok(asked)),
            Err(error) => (error.id(), Err(error)),
        };
        let Some(key) = self.keys.remove(&id) else { return };
        let (outcome, observation, kept) = match asked {
            Ok((catalog, probe, observation, kept)) => {
                let spec = &catalog.probes[probe.index()];
                self.meter.probed(spec, &observation);
                // The controller is told what is so; what a drill makes of it, it knows itself.
                (targets.played(spec, &observation), observation, kept)
            }
            // A probe that panicked is a mistake of ours: it tells nothing of the target, and the next turn comes all the same.
            Err(error) => {
                let outcome = ProbeOutcome::Failed(ProbeFailure::NotAsked(error.to_string().into()));
                (outcome.clone(), Observation { at: self.clock.now(), outcome, rtt: Micros::ZERO, expires: None, drill: false }, None)
            }
        };
        if let Some((epoch, probe)) = self.schedule.finish(key, &outcome, self.clock.now()) {
            self.idle.extend(kept.map(|kept| (key, kept)));
            if let Err(mpsc::error::TrySendError::Full(_)) = self.events.try_send(Event::Observed { epoch, probe, observation }) {
                self.meter.dropped();
            }
        }
    }
}
