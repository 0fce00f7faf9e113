//! The task that asks: plans in, observations out.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use tokio::sync::{mpsc, watch};
use tokio::task::{Id, JoinSet};

use super::asking::{Meter, Prober};
use super::http::Kept;
use crate::catalog::{Catalog, ProbeHost, ProbeId};
use crate::clock::Clock;
use crate::control::{Event, Plan};
use crate::health::{Observation, ProbeFailure, ProbeOutcome};
use crate::limits::PROBES_IN_FLIGHT_MAX;
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
    let mut schedule = Schedule::new(seed, PROBES_IN_FLIGHT_MAX);
    let mut tasks: JoinSet<Asked> = JoinSet::new();
    let mut keys: HashMap<Id, Key> = HashMap::new();
    // Connections that are kept, while nobody asks on them.
    let mut idle: HashMap<Key, Kept> = HashMap::new();
    schedule.replan(&plans.borrow_and_update().clone(), clock.now());
    loop {
        while let Some((key, spec)) = schedule.start(clock.now()) {
            let aimed = if let ProbeHost::Address(address) = spec.target.host {
                schedule.aim(key, &[address])
            } else {
                let addresses = targets.borrow().addresses(&spec.target.host);
                schedule.aim(key, &addresses)
            };
            let (Some(address), Some((catalog, probe))) = (aimed, schedule.place(key)) else { continue };
            let prober = prober.clone();
            let mut kept = idle.remove(&key);
            let task = tasks.spawn(async move {
                let observation = prober.ask_again(&catalog.probes[probe.index()], address, &mut kept).await;
                (catalog, probe, observation, kept)
            });
            keys.insert(task.id(), key);
        }
        meter.under_way(schedule.in_flight(), schedule.waiting());
        let wake = schedule.wake();
        tokio::select! {
            changed = plans.changed() => {
                if changed.is_err() {
                    return;
                }
                schedule.replan(&plans.borrow_and_update().clone(), clock.now());
                idle.retain(|key, _| schedule.has(*key));
            }
            Ok(()) = targets.changed() => schedule.retarget(&targets.borrow_and_update()),
            Some(joined) = tasks.join_next_with_id() => {
                let (id, asked) = match joined {
                    Ok((id, asked)) => (id, Ok(asked)),
                    Err(error) => (error.id(), Err(error)),
                };
                let Some(key) = keys.remove(&id) else { continue };
                let (outcome, observation, kept) = match asked {
                    Ok((catalog, probe, observation, kept)) => {
                        let spec = &catalog.probes[probe.index()];
                        meter.probed(spec, &observation);
                        // The controller is told what is so; what a drill makes of it, it knows itself.
                        (targets.borrow().played(spec, &observation), observation, kept)
                    }
                    // A probe that panicked is a mistake of ours: it tells nothing of the target, and the next turn comes all the same.
                    Err(error) => {
                        let outcome = ProbeOutcome::Failed(ProbeFailure::NotAsked(error.to_string().into()));
                        (outcome.clone(), Observation { at: clock.now(), outcome, rtt: Micros::ZERO, expires: None, drill: false }, None)
                    }
                };
                if let Some((epoch, probe)) = schedule.finish(key, &outcome, clock.now()) {
                    idle.extend(kept.map(|kept| (key, kept)));
                    if let Err(mpsc::error::TrySendError::Full(_)) = events.try_send(Event::Observed { epoch, probe, observation }) {
                        meter.dropped();
                    }
                }
            }
            () = clock.sleep_until(wake.unwrap_or_default()), if wake.is_some() => {}
        }
    }
}
