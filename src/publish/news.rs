//! What happens to a node, told to whoever follows it: the admin API's stream of events.

use std::fmt::Write as _;

use tokio::sync::broadcast;

use crate::catalog::AddressType;
use crate::control::drills::{Ceased, Drill};
use crate::control::{AliasChange, Change, DrillNews, Effects, Held, IntentChange, Partial, TierChange};
use crate::limits::NEWS_QUEUED_MAX;
use crate::units::Moment;
use crate::world::World;

/// Something that happened.
#[derive(Clone, Debug)]
pub enum News {
    /// Another world is published.
    Published {
        /// Its generation.
        generation: u64,
        /// [`crate::catalog::Catalog::digest`] of its catalog.
        digest: u64,
        /// Why, in words.
        why: Box<str>,
        /// When.
        at: Moment,
    },
    /// An endpoint's health is another.
    Health(Change),
    /// Another override has the say over an endpoint.
    Intent(IntentChange),
    /// An endpoint is held out of service, or let go.
    Held(Held),
    /// A tier was left, used again or released.
    Tier(TierChange),
    /// Something is otherwise about an alias.
    Alias(AliasChange),
    /// A drill is announced, begins or is over.
    Drill {
        /// Which.
        drill: Box<Drill>,
        /// `announced`, `running` or `over`.
        phase: &'static str,
        /// Why: its reason, or what ended it.
        why: Box<str>,
        /// When.
        at: Moment,
    },
    /// Files were read again, and are in force.
    Reloaded {
        /// The generation of the first world that has them.
        generation: u64,
        /// Digest of the catalog.
        digest: u64,
        /// When.
        at: Moment,
    },
    /// Files were read again, and are not in force.
    ReloadRefused {
        /// Why.
        why: Box<str>,
        /// When.
        at: Moment,
    },
    /// Something that somebody should look at began or ended.
    Alarm {
        /// Which: `stale`, `doubt`, `overload`.
        alarm: &'static str,
        /// Whether it began.
        is_on: bool,
        /// When.
        at: Moment,
    },
}

/// Tells news. Nobody need listen, and nobody who listens holds it up.
#[derive(Clone, Debug)]
pub(super) struct Teller(broadcast::Sender<News>);

impl Teller {
    /// One that nobody listens to yet.
    pub(super) fn new() -> Self {
        Self(broadcast::channel(NEWS_QUEUED_MAX).0)
    }

    /// News from now on.
    pub(super) fn listen(&self) -> broadcast::Receiver<News> {
        self.0.subscribe()
    }

    /// Tells something.
    pub(super) fn tell(&self, news: News) {
        // An error means that nobody listens.
        let _ = self.0.send(news);
    }

    /// Tells what a drill has come to.
    pub(super) fn tell_drill(&self, drill: &Drill, phase: &'static str, why: &str, at: Moment) {
        self.tell(News::Drill { drill: Box::new(drill.clone()), phase, why: why.into(), at });
    }

    /// Tells what follows from events; `before` was published until then.
    pub(super) fn tell_effects(&self, effects: &Effects, before: &World, now: Moment) {
        if self.0.receiver_count() == 0 {
            return;
        }
        effects.changes.iter().cloned().for_each(|change| self.tell(News::Health(change)));
        effects.intents.iter().cloned().for_each(|change| self.tell(News::Intent(change)));
        effects.holds.iter().cloned().for_each(|held| self.tell(News::Held(held)));
        effects.tiers.iter().cloned().for_each(|change| self.tell(News::Tier(change)));
        effects.aliases.iter().cloned().for_each(|change| self.tell(News::Alias(change)));
        for news in &effects.drill {
            match news {
                DrillNews::Started(drill) => self.tell_drill(drill, "running", drill.why.as_str(), now),
                DrillNews::Over(over) => {
                    let why = over.under_way.record.over.as_ref().map_or(&Ceased::Time, |outcome| &outcome.ceased);
                    self.tell_drill(&over.under_way.drill, "over", &why.to_string(), now);
                }
            }
        }
        if let Some(is_on) = effects.doubt {
            self.tell(News::Alarm { alarm: "doubt", is_on, at: now });
        }
        let Some(world) = &effects.publish else { return };
        let (stale, overload) = ((before.statuses.stale, world.statuses.stale), (!before.outlook.overload.is_empty(), !world.outlook.overload.is_empty()));
        for (alarm, (was_on, is_on)) in [("stale", stale), ("overload", overload)] {
            if was_on != is_on {
                self.tell(News::Alarm { alarm, is_on, at: now });
            }
        }
        let (generation, digest) = (world.generation, world.catalog.digest);
        if effects.plan.is_some() {
            self.tell(News::Reloaded { generation, digest, at: now });
        }
        self.tell(News::Published { generation, digest, why: why(effects).into(), at: now });
    }
}

/// Why a world is published, in words.
fn why(effects: &Effects) -> String {
    let mut words = String::new();
    let mut say = |count: usize, one: &str, many: &str| {
        if count > 0 {
            let comma = if words.is_empty() { "" } else { ", " };
            let _ = match count {
                1 => write!(words, "{comma}{one}"),
                _ => write!(words, "{comma}{count} {many}"),
            };
        }
    };
    say(usize::from(effects.plan.is_some()), "reloaded files", "");
    say(effects.changes.len(), "a change of health", "changes of health");
    say(effects.intents.len() + effects.intents_untold, "a change of intent", "changes of intent");
    say(effects.holds.len(), "a hold", "holds");
    say(effects.tiers.len(), "a tier", "tiers");
    say(effects.aliases.len(), "an alias", "aliases");
    say(usize::from(effects.doubt.is_some()), "doubt in the own network", "");
    if words.is_empty() { "observations, loads or time".to_owned() } else { words }
}

/// Logs what is otherwise about an alias.
pub(super) fn log_alias(change: &AliasChange) {
    let (alias, of, news) = (&change.alias, change.of.as_str(), change.news.to_string());
    if change.news.is_trouble() {
        tracing::warn!(%alias, r#type = of, news, "alias");
    } else {
        tracing::info!(%alias, r#type = of, news, "alias");
    }
}

/// Logs that the node begins or ceases to doubt itself.
pub(super) fn log_doubt(doubts: bool) {
    if doubts {
        tracing::error!(
            "no reference answers, and targets in several clouds fell silent: this node doubts its own network, and holds the statuses that it has"
        );
    } else {
        tracing::warn!("this node trusts its network again");
    }
}

/// Logs that an endpoint is held out of service, or let go.
pub(super) fn log_held(held: &Held) {
    if let Some(hold) = held.hold {
        tracing::warn!(endpoint = %held.endpoint, "{hold}");
    } else {
        tracing::info!(endpoint = %held.endpoint, "no longer held down");
    }
}

/// Logs that an endpoint is down for one family of addresses alone, or no longer.
pub(super) fn log_partial(Partial { endpoint, fails }: &Partial) {
    if fails.is_empty() {
        tracing::info!(%endpoint, "its addresses of both types are up or down together again");
    } else {
        let types = fails.iter().map(AddressType::as_str).collect::<Vec<_>>().join(" and ");
        tracing::warn!(%endpoint, "its {types} addresses are down");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_publication_says_what_it_was_for() {
        let quiet = Effects::default();
        assert_eq!(why(&quiet), "observations, loads or time");
        assert_eq!(why(&Effects { intents_untold: 7, doubt: Some(true), ..quiet }), "7 changes of intent, doubt in the own network");
    }
}
