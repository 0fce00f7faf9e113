//! What a node logs of health and of what is intended.

use tokio::sync::broadcast;

use super::super::load::{Loaded, age_lints, descriptor_lint, newly_undated};
use crate::control::{Change, IntentChange};
use crate::geo::SourceInfo;
use crate::telemetry::descriptor_limit;
use crate::units::Moment;
use crate::world::Note;

/// Logs every change of health.
pub(super) async fn log_changes(mut changes: broadcast::Receiver<Change>) {
    loop {
        match changes.recv().await {
            Ok(change) => {
                tracing::info!(endpoint = %change.endpoint, from = %change.from, to = %change.to, why = %change.why, "health changed");
            }
            Err(broadcast::error::RecvError::Lagged(missed)) => tracing::warn!(missed, "more changes of health than could be logged"),
            Err(broadcast::error::RecvError::Closed) => return,
        }
    }
}

/// Logs over which endpoints another override has the say.
pub(super) async fn log_intents(mut intents: broadcast::Receiver<IntentChange>) {
    loop {
        match intents.recv().await {
            Ok(change) => {
                let told = |note: Option<&Note>| note.map_or_else(|| "no override".to_owned(), |note| note.deed.to_string());
                let (from, to) = (told(change.from.as_ref()), told(change.to.as_ref()));
                tracing::info!(endpoint = %change.endpoint, from, to, why = %change.why, "intent changed");
            }
            Err(broadcast::error::RecvError::Lagged(missed)) => tracing::warn!(missed, "more changes of intent than could be logged"),
            Err(broadcast::error::RecvError::Closed) => return,
        }
    }
}

/// Logs what is questionable in the files. `before` are the databases in use so far.
pub(super) fn log_lints(loaded: &Loaded, before: &[SourceInfo], now: Moment) {
    let sources = loaded.geo.sources();
    for lint in loaded.lints.iter().chain(&age_lints(sources, now)).chain(&descriptor_lint(&loaded.catalog, descriptor_limit())) {
        tracing::warn!("{lint}");
    }
    for database in newly_undated(sources, before) {
        tracing::info!(database, "this geography file has no build date: nobody can tell its age");
    }
}
