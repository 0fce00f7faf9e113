//! Loads what a node serves: zones and geography, all or nothing.

use std::fmt::{self, Write as _};
use std::path::PathBuf;
use std::sync::Arc;

use super::draw::draw;
use crate::catalog::Catalog;
use crate::config::geoip::{GeoipError, read_databases};
use crate::config::{self, Diagnostic, Failure, SourceFile};
use crate::geo::{Geo, GeoError};
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

/// Why nothing was loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The zones have mistakes.
    #[error("{}", drawn(.0))]
    Zones(Box<Failure>),
    /// A geography file cannot be read or used.
    #[error("no geography")]
    Geoip(#[source] GeoipError),
    /// The geography does not fit the zones.
    #[error("the geography cannot be compiled for these zones")]
    Geography(#[source] GeoError),
}

/// Every mistake, as people read it.
pub(super) fn drawn(failure: &Failure) -> String {
    let mut text = draw_all(&failure.diagnostics, &failure.sources).join("\n\n");
    if failure.more > 0 {
        let _ = write!(text, "\n\nand {} more", failure.more);
    }
    text
}

/// Draws diagnostics, without colours.
fn draw_all(diagnostics: &[Diagnostic], sources: &[SourceFile]) -> Vec<String> {
    diagnostics.iter().map(|diagnostic| draw(diagnostic, sources, false)).collect()
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
            Self::Files { zones, geoip } => load_files(zones, geoip),
            Self::Made(make) => make(),
        }
    }
}

/// Loads files.
fn load_files(zones: &[PathBuf], geoip: &[PathBuf]) -> Result<Loaded, LoadError> {
    let loaded = config::load(zones).map_err(|failure| LoadError::Zones(failure.into()))?;
    let databases = read_databases(geoip).map_err(LoadError::Geoip)?;
    let geo = Geo::compile(&loaded.catalog, &databases).map_err(LoadError::Geography)?;
    let built = |source: &crate::geo::Source| (source.name.clone(), Moment(source.database.metadata().built.saturating_mul(1000)));
    Ok(Loaded {
        geo: geo.into(),
        geoip: databases.iter().map(built).collect(),
        lints: draw_all(&loaded.lints, &loaded.sources),
        catalog: loaded.catalog.into(),
    })
}
