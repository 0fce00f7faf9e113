//! What outlives the process: written beside everything else, read at the start.

use super::Task;
use crate::state_file::{self, StateFileError};

impl Task {
    /// Writes the state without holding up anything else; after one that is still being written.
    pub(super) fn write_state(&mut self) {
        self.write_state_then(|_| {});
    }

    /// The same, and does something with what came of it.
    pub(super) fn write_state_then(&mut self, then: impl FnOnce(Result<(), StateFileError>) + Send + 'static) {
        self.unwritten = false;
        let Some(path) = self.state.clone() else { return then(Ok(())) };
        let state = self.controller.state(self.clock.now());
        let earlier = self.writing.take();
        self.writing = Some(tokio::spawn(async move {
            if let Some(earlier) = earlier {
                let _ = earlier.await;
            }
            let written = tokio::task::spawn_blocking(move || state_file::write(&path, &state)).await;
            if let Ok(Err(error)) = &written {
                let source = std::error::Error::source(error).map(ToString::to_string);
                tracing::warn!(%error, source, "health will not outlive the process");
            }
            // A task that panicked has been reported by the panic hook.
            if let Ok(written) = written {
                then(written);
            }
        }));
    }
}

/// Reads the state file. A broken one is told and passed over.
pub(super) fn read_state(path: &std::path::Path) -> Option<crate::control::State> {
    state_file::read(path).unwrap_or_else(|error| {
        let source = std::error::Error::source(&error).map(ToString::to_string);
        tracing::warn!(%error, source, "starting without what was known before");
        None
    })
}
