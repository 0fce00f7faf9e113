//! The task that looks up: plans in, results out.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio::task::{Id, JoinSet};

use super::ask::{NameServers, Resolver};
use super::schedule::{Question, Schedule};
use crate::clock::Clock;
use crate::control::{Event, Lookup, Plan};
use crate::limits::ALIAS_LOOKUPS_MAX;
use crate::units::Moment;
use crate::world::LookupFailure;

/// Counts what look-ups do. Every method may be called from any task and must not block.
pub trait Meter: Send + Sync + 'static {
    /// A look-up is complete.
    fn looked_up(&self, _lookup: &Lookup) {}
    /// A result was dropped since the controller's queue was full.
    fn dropped(&self) {}
    /// So many addresses were left out, as no client can use them.
    fn unusable(&self, _addresses: u32) {}
}

/// Counts nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoMeter;

impl Meter for NoMeter {}

/// Looks up as the plans say until their sender is gone; then look-ups under way are dropped.
pub(crate) async fn run(mut plans: watch::Receiver<Plan>, events: mpsc::Sender<Event>, servers: NameServers, clock: Clock, seed: u64, meter: Arc<dyn Meter>) {
    let mut schedule = Schedule::new(seed, ALIAS_LOOKUPS_MAX);
    let mut tasks: JoinSet<Lookup> = JoinSet::new();
    let mut questions: HashMap<Id, Question> = HashMap::new();
    let mut resolver = None;
    schedule.replan(&plans.borrow_and_update().clone(), clock.now());
    loop {
        while let Some(question) = schedule.start(clock.now()) {
            // Nobody reads the system's name servers where nothing is to be looked up.
            let resolver = resolver.get_or_insert_with(|| Resolver::new(clock.clone(), &servers)).clone();
            let asked = question.clone();
            let task = tasks.spawn(async move { resolver.ask(&asked).await });
            questions.insert(task.id(), question);
        }
        let wake = schedule.wake();
        tokio::select! {
            changed = plans.changed() => {
                if changed.is_err() {
                    return;
                }
                schedule.replan(&plans.borrow_and_update().clone(), clock.now());
                // Who reloads expects the system's name servers to be read again, too.
                resolver = None;
            }
            Some(joined) = tasks.join_next_with_id() => {
                let (id, lookup) = match joined {
                    Ok((id, lookup)) => (id, lookup),
                    // A look-up that panicked is a mistake of ours: the next turn comes all the same.
                    Err(error) => (error.id(), Lookup { at: clock.now(), outcome: Err(LookupFailure::Other(error.to_string().into())) }),
                };
                let Some(question) = questions.remove(&id) else { continue };
                meter.looked_up(&lookup);
                finish(&mut schedule, &question, lookup, &events, clock.now(), &*meter);
            }
            () = clock.sleep_until(wake.unwrap_or_default()), if wake.is_some() => {}
        }
    }
}

/// Sends a result; one that finds no room counts as a failure, so that it is looked up again soon.
fn finish(schedule: &mut Schedule, question: &Question, lookup: Lookup, events: &mpsc::Sender<Event>, now: Moment, meter: &dyn Meter) {
    if let Ok(room) = events.try_reserve() {
        if let Some((epoch, alias)) = schedule.finish(question, &lookup, now) {
            room.send(Event::Resolved { epoch, alias, of: question.of, lookup });
        }
    } else {
        meter.dropped();
        schedule.finish(question, &Lookup { outcome: Err(LookupFailure::Other("no room".into())), ..lookup }, now);
    }
}
