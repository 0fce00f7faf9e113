//! What a node logs of health and of what is intended.

use tokio::sync::broadcast;

use crate::control::{Change, IntentChange};
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
