//! Loads what a node serves: zones and geography, all or nothing.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use crate::catalog::Catalog;
use crate::geo::Geo;
use crate::units::Moment;

/// Zones and geography that fit together.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What exists.
    pub catalog: Arc<Catalog>,
    /// Where clients are, compiled for it.
    pub geo: Arc<Geo>,
    /// The geography files, with the dates they were built.
    pub geoip: Vec<(Box<str>, Moment)>,
    /// What is allowed but questionable, drawn for people.
    pub lints: Vec<String>,
}

impl Loaded {
    /// Logs what is questionable.
    pub fn log_lints(&self) {
        for lint in &self.lints {
            tracing::warn!(%lint, "questionable");
        }
    }
}

/// Why nothing was loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The zones have mistakes; all of them, drawn for people.
    #[error("{0}")]
    Zones(String),
}

/// Where zones and geography come from.
#[derive(Clone)]
pub enum Content {
    /// Files.
    Files {
        /// Files or folders of zones.
        zones: Vec<PathBuf>,
        /// Files or folders of geography.
        geoip: Vec<PathBuf>,
    },
    /// Made by the program itself: the demo, tests.
    Made(Maker),
}

/// Makes the content anew, for each load.
pub type Maker = Arc<dyn Fn() -> Result<Loaded, LoadError> + Send + Sync>;

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Files { zones, geoip } => f.debug_struct("Files").field("zones", zones).field("geoip", geoip).finish(),
            Self::Made(_) => f.write_str("Made"),
        }
    }
}

impl Content {
    /// Loads it.
    ///
    /// # Errors
    /// [`LoadError`], with every mistake that there is.
    pub fn load(&self) -> Result<Loaded, LoadError> {
        match self {
            Self::Files { .. } => Err(LoadError::Zones("the next commit".into())),
            Self::Made(make) => make(),
        }
    }
}
