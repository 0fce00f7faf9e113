//! What happened lately, numbered, for those who follow the node: a ring of fixed length that followers read at their own pace.
//!
//! Nobody has a queue here: a follower has the number of the next event that it wants, and whoever comes to find it gone is told so. One task
//! writes, and never waits for who reads.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use tokio::sync::{broadcast, watch};
use utoipa::ToSchema;

use super::overrides::OverrideView;
use crate::clock::Clock;
use crate::control::overrides::Overrides;
use crate::limits::{ADMIN_EVENTS_AT_ONCE, ADMIN_EVENTS_KEPT};
use crate::publish::{ControlHandle, News};
use crate::units::Moment;

/// Something that happened, as it is told.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub(super) enum EventView {
    /// Queries are answered from another world.
    Published {
        /// When (RFC 3339).
        at: String,
        /// Its generation on this node.
        generation: u64,
        /// Digest of the catalog.
        digest: String,
        /// Why, in words.
        why: String,
    },
    /// An endpoint's health is another.
    Health {
        /// When.
        at: String,
        /// The service's owner name.
        service: String,
        /// The endpoint's key.
        endpoint: String,
        /// Its health before.
        from: String,
        /// Its health now.
        to: String,
        /// What changed it.
        why: String,
    },
    /// Another override has the say over an endpoint.
    Intent {
        /// When.
        at: String,
        /// The service's owner name.
        service: String,
        /// The endpoint's key.
        endpoint: String,
        /// What was intended, in words; absent if nothing.
        #[serde(skip_serializing_if = "Option::is_none")]
        from: Option<String>,
        /// What is intended; absent if nothing.
        #[serde(skip_serializing_if = "Option::is_none")]
        to: Option<String>,
        /// Who or what changed it.
        why: String,
    },
    /// An endpoint is held out of service since it comes and goes, or is let go.
    Held {
        /// When.
        at: String,
        /// The service's owner name.
        service: String,
        /// The endpoint's key.
        endpoint: String,
        /// Until when at the earliest, in words; absent if it is let go.
        #[serde(skip_serializing_if = "Option::is_none")]
        hold: Option<String>,
    },
    /// A tier of a service whose clients do not return by themselves was left, is used again, or was released.
    Tier {
        /// When.
        at: String,
        /// The service's owner name.
        service: String,
        /// The tier, counted from 1.
        tier: u8,
        /// What, in words.
        news: String,
    },
    /// Something is otherwise about an alias.
    Alias {
        /// When.
        at: String,
        /// Its name.
        alias: String,
        /// What, in words.
        news: String,
    },
    /// An override was set.
    OverrideSet {
        /// When.
        at: String,
        /// The override.
        #[serde(rename = "override")]
        one: OverrideView,
    },
    /// An override is gone: cleared, replaced, or at its end.
    OverrideGone {
        /// When.
        at: String,
        /// The override.
        #[serde(rename = "override")]
        one: OverrideView,
    },
    /// A drill is announced, begins or is over.
    Drill {
        /// When.
        at: String,
        /// Its number.
        id: u64,
        /// `announced`, `running` or `over`.
        phase: String,
        /// The endpoints that it is about.
        selector: String,
        /// What it plays with them.
        plays: String,
        /// Its reason, or what ended it.
        why: String,
    },
    /// Files were read again, and are in force.
    Reloaded {
        /// When.
        at: String,
        /// The generation of the first world that has them.
        generation: u64,
        /// Digest of the catalog.
        digest: String,
    },
    /// Files were read again, and are not in force: what was before is.
    ReloadRefused {
        /// When.
        at: String,
        /// Why.
        why: String,
    },
    /// Something that somebody should look at began.
    AlarmOn {
        /// When.
        at: String,
        /// Which: `stale`, `doubt`, `overload`, `access`.
        alarm: String,
        /// What of it.
        why: String,
    },
    /// It ended.
    AlarmOff {
        /// When.
        at: String,
        /// Which.
        alarm: String,
    },
    /// The first round of probes is over.
    Ready {
        /// When.
        at: String,
    },
    /// This node itself could not keep up with what happened.
    Overrun {
        /// When.
        at: String,
        /// How many events are missing here.
        missed: u64,
    },
}

impl EventView {
    /// Its kind, as `event:` tells it.
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Published { .. } => "published",
            Self::Health { .. } => "health",
            Self::Intent { .. } => "intent",
            Self::Held { .. } => "held",
            Self::Tier { .. } => "tier",
            Self::Alias { .. } => "alias",
            Self::Drill { .. } => "drill",
            Self::OverrideSet { .. } => "override-set",
            Self::OverrideGone { .. } => "override-gone",
            Self::Reloaded { .. } => "reloaded",
            Self::ReloadRefused { .. } => "reload-refused",
            Self::AlarmOn { .. } => "alarm-on",
            Self::AlarmOff { .. } => "alarm-off",
            Self::Ready { .. } => "ready",
            Self::Overrun { .. } => "overrun",
        }
    }

    /// Of a piece of news.
    fn of(news: News) -> Self {
        match news {
            News::Published { generation, digest, why, at } => {
                Self::Published { at: at.to_string(), generation, digest: format!("{digest:016x}"), why: why.into() }
            }
            News::Health(change) => Self::Health {
                at: change.at.to_string(),
                service: change.endpoint.service.into(),
                endpoint: change.endpoint.endpoint.into(),
                from: change.from.to_string(),
                to: change.to.to_string(),
                why: change.why.to_string(),
            },
            News::Intent(change) => Self::Intent {
                at: change.at.to_string(),
                service: change.endpoint.service.into(),
                endpoint: change.endpoint.endpoint.into(),
                from: change.from.map(|note| note.deed.to_string()),
                to: change.to.map(|note| note.deed.to_string()),
                why: change.why.to_string(),
            },
            News::Held(held) => Self::Held {
                at: held.at.to_string(),
                service: held.endpoint.service.into(),
                endpoint: held.endpoint.endpoint.into(),
                hold: held.hold.map(|hold| hold.to_string()),
            },
            News::Tier(change) => Self::Tier { at: change.at.to_string(), news: change.to_string(), service: change.service.into(), tier: change.tier },
            News::Alias(change) => {
                Self::Alias { at: change.at.to_string(), alias: change.alias.to_string(), news: format!("{}: {}", change.of.as_str(), change.news) }
            }
            News::Drill { drill, phase, why, at } => Self::Drill {
                at: at.to_string(),
                id: drill.id,
                phase: phase.to_owned(),
                selector: drill.selector.to_string(),
                plays: drill.plays.to_string(),
                why: why.into(),
            },
            News::Reloaded { generation, digest, at } => Self::Reloaded { at: at.to_string(), generation, digest: format!("{digest:016x}") },
            News::ReloadRefused { why, at } => Self::ReloadRefused { at: at.to_string(), why: why.into() },
            News::Alarm { alarm, is_on: true, at } => Self::AlarmOn { at: at.to_string(), alarm: alarm.to_owned(), why: about(alarm).to_owned() },
            News::Alarm { alarm, is_on: false, at } => Self::AlarmOff { at: at.to_string(), alarm: alarm.to_owned() },
        }
    }
}

/// What an alarm is about.
fn about(alarm: &str) -> &'static str {
    match alarm {
        "stale" => "statuses are held without fresh observations",
        "doubt" => "no reference answers: this node doubts its own network, and holds the statuses that it has",
        "overload" => "there are services whose load does not fit the endpoints that their clients may be given",
        _ => "",
    }
}

/// The ring.
#[derive(Debug)]
pub(super) struct Feed {
    /// What is kept.
    ring: Mutex<Ring>,
    /// The number of the newest event, for those who wait for another.
    newest: watch::Sender<u64>,
}

/// What is kept, and its numbers.
#[derive(Debug)]
struct Ring {
    /// The number of the first event that is kept, or of the next one to come.
    first: u64,
    /// The events, each as its kind and its JSON.
    events: VecDeque<(&'static str, Arc<str>)>,
}

/// What a follower finds.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// These, in order; empty when there is nothing new.
    Events(Vec<Numbered>),
    /// What it wants is no longer kept; the first that is.
    Missed(u64),
}

/// An event with its number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Numbered {
    /// Its number.
    pub number: u64,
    /// Its kind.
    pub kind: &'static str,
    /// Its JSON.
    pub json: Arc<str>,
}

impl Feed {
    /// An empty one. Numbers begin with the time, in microseconds, so that those of a process before are always lower: who comes back with one of them
    /// is told that it missed something, and is never given something else for it.
    pub(super) fn new(now: Moment) -> Self {
        let first = now.0.saturating_mul(1_000);
        Self { ring: Mutex::new(Ring { first, events: VecDeque::with_capacity(ADMIN_EVENTS_KEPT) }), newest: watch::Sender::new(first.saturating_sub(1)) }
    }

    /// Adds an event; the oldest goes if there is no room.
    pub(super) fn tell(&self, event: &EventView) {
        let json = serde_json::to_string(event).expect("texts and numbers have a JSON form").into();
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        if ring.events.len() >= ADMIN_EVENTS_KEPT {
            ring.events.pop_front();
            ring.first += 1;
        }
        ring.events.push_back((event.kind(), json));
        let newest = ring.first + ring.events.len() as u64 - 1;
        drop(ring);
        self.newest.send_replace(newest);
    }

    /// The number of the newest event, and news of it.
    pub(super) fn newest(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }

    /// A few of the events from this number on.
    pub(super) fn since(&self, number: u64) -> Found {
        let ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(skip) = number.checked_sub(ring.first) else { return Found::Missed(ring.first) };
        let skip = usize::try_from(skip).unwrap_or(usize::MAX);
        let some = (number..).zip(ring.events.iter().skip(skip)).take(ADMIN_EVENTS_AT_ONCE);
        Found::Events(some.map(|(number, (kind, json))| Numbered { number, kind, json: Arc::clone(json) }).collect())
    }
}

/// Writes down what happens, for as long as the controller lives.
pub(super) async fn write(feed: Arc<Feed>, control: ControlHandle, clock: Clock) {
    let (mut news, mut overrides, mut ready) = (control.news(), control.overrides_news(), control.ready());
    // The handle would keep the controller from ending.
    drop(control);
    let mut known = Arc::clone(&overrides.borrow_and_update());
    let mut is_ready = *ready.borrow_and_update();
    loop {
        tokio::select! {
            told = news.recv() => match told {
                Ok(news) => feed.tell(&EventView::of(news)),
                Err(broadcast::error::RecvError::Lagged(missed)) => feed.tell(&EventView::Overrun { at: clock.now().to_string(), missed }),
                Err(broadcast::error::RecvError::Closed) => return,
            },
            Ok(()) = overrides.changed() => {
                let next = Arc::clone(&overrides.borrow_and_update());
                for event in &compare(&known, &next, clock.now()) {
                    feed.tell(event);
                }
                known = next;
            }
            Ok(()) = ready.changed(), if !is_ready => {
                is_ready = *ready.borrow_and_update();
                if is_ready {
                    feed.tell(&EventView::Ready { at: clock.now().to_string() });
                }
            }
            else => return,
        }
    }
}

/// What became of overrides.
fn compare(before: &Overrides, after: &Overrides, now: Moment) -> Vec<EventView> {
    let at = now.to_string();
    let gone = before.all.iter().filter(|one| after.all.iter().all(|other| other.id != one.id));
    let set = after.all.iter().filter(|one| before.all.iter().all(|other| other.id != one.id));
    let gone = gone.map(|one| EventView::OverrideGone { at: at.clone(), one: OverrideView::of(one, 0, now) });
    gone.chain(set.map(|one| EventView::OverrideSet { at: at.clone(), one: OverrideView::of(one, 0, now) })).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A feed with so many events.
    fn feed_of(count: usize) -> Feed {
        let feed = Feed::new(Moment(5));
        for number in 0..count {
            feed.tell(&EventView::Ready { at: number.to_string() });
        }
        feed
    }

    /// The numbers found.
    fn numbers(found: Found) -> Vec<u64> {
        match found {
            Found::Events(events) => events.into_iter().map(|event| event.number).collect(),
            Found::Missed(first) => panic!("missed, the first is {first}"),
        }
    }

    #[test]
    fn events_are_found_by_their_numbers_a_few_at_a_time() {
        let feed = feed_of(ADMIN_EVENTS_AT_ONCE + 2);
        assert_eq!(*feed.newest().borrow(), 5_000 + ADMIN_EVENTS_AT_ONCE as u64 + 1);
        assert_eq!(numbers(feed.since(5_000)), (5_000..5_000 + ADMIN_EVENTS_AT_ONCE as u64).collect::<Vec<_>>());
        assert_eq!(numbers(feed.since(5_000 + ADMIN_EVENTS_AT_ONCE as u64)).len(), 2);
        assert!(numbers(feed.since(6_000)).is_empty(), "nothing is there yet");
        let Found::Events(events) = feed.since(5_001) else { panic!("it is there") };
        assert_eq!((events[0].kind, &*events[0].json), ("ready", r#"{"kind":"ready","at":"1"}"#));
    }

    #[test]
    fn what_is_no_longer_kept_is_missed_and_so_is_what_another_process_told() {
        let feed = feed_of(ADMIN_EVENTS_KEPT + 3);
        assert_eq!(feed.since(5_002), Found::Missed(5_003));
        assert_eq!(numbers(feed.since(5_003))[0], 5_003);
        assert_eq!(feed.since(4_999), Found::Missed(5_003));
        assert_eq!(feed.ring.lock().unwrap().events.len(), ADMIN_EVENTS_KEPT);
    }
}
