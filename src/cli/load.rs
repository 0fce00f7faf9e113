//! Loads what a node serves: zones and geography, all or nothing.

use std::fmt::{self, Write as _};
use std::path::PathBuf;
use std::sync::Arc;

use super::day;
use super::draw::draw;
use crate::catalog::Catalog;
use crate::config::geoip::{GeoipError, read_databases};
use crate::config::{self, Diagnostic, Failure, MayRun, SourceFile};
use crate::geo::{Geo, GeoError, SourceInfo};
use crate::limits::{GEOIP_AGE_DAYS_MAX, OTHER_DESCRIPTORS_MAX, PROBES_IN_FLIGHT_MAX};
use crate::units::Moment;

/// Zones and geography that fit together.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What exists.
    pub catalog: Arc<Catalog>,
    /// Where clients are, compiled for it.
    pub geo: Arc<Geo>,
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
    /// Loads it, to look at.
    ///
    /// # Errors
    /// [`LoadError`], with every mistake that there is.
    pub fn load(&self) -> Result<Loaded, LoadError> {
        self.load_for(MayRun::Unrun)
    }

    /// As [`Content::load`], for a node that may run this.
    ///
    /// # Errors
    /// As [`Content::load`].
    pub fn load_for(&self, may_run: MayRun) -> Result<Loaded, LoadError> {
        match self {
            Self::Files { zones, geoip } => load_files(zones, geoip, may_run),
            Self::Made(make) => make(),
        }
    }
}

/// Loads files.
fn load_files(zones: &[PathBuf], geoip: &[PathBuf], may_run: MayRun) -> Result<Loaded, LoadError> {
    let loaded = config::load_for(zones, may_run).map_err(|failure| LoadError::Zones(failure.into()))?;
    let databases = read_databases(geoip).map_err(LoadError::Geoip)?;
    let geo = Geo::compile(&loaded.catalog, &databases).map_err(LoadError::Geography)?;
    Ok(Loaded { geo: geo.into(), lints: draw_all(&loaded.lints, &loaded.sources), catalog: loaded.catalog.into() })
}

/// Milliseconds of a day.
const DAY_MS: u64 = 86_400_000;

/// What is questionable about the databases, worded as other lints are: those that are old.
pub(super) fn age_lints(sources: &[SourceInfo], now: Moment) -> Vec<String> {
    let old = sources.iter().filter_map(|source| source.metadata.age_ms(now).filter(|_| source.metadata.is_old(now)).map(|age| (source, age)));
    let lint = |(source, age): (&SourceInfo, u64)| {
        let built = day(source.metadata.built).unwrap_or_default();
        format!(
            "lint[old-geography]: {} was built on {built}, {} days ago\n  = help: a database older than {GEOIP_AGE_DAYS_MAX} days misplaces clients; move a newer \
             one over it and reload",
            source.name,
            age / DAY_MS
        )
    };
    old.map(lint).collect()
}

/// That the process has not the descriptors for the connections that probes keep, worded as other lints are. `limit` is how many it may have.
pub(super) fn descriptor_lint(catalog: &Catalog, limit: Option<u64>) -> Option<String> {
    let kept = catalog.probes.iter().filter(|spec| spec.kind.is_kept()).count() as u64;
    // All that the transports may take, and the probes that connect anew.
    let others = limit? / 2 + PROBES_IN_FLIGHT_MAX as u64;
    (kept > 0 && kept + others.min(OTHER_DESCRIPTORS_MAX) > limit?).then(|| {
        format!(
            "lint[descriptors]: {kept} probes keep their connections, and the process may have {} descriptors only\n  = help: raise its limit (`LimitNOFILE=` of \
             systemd, `ulimit -n`), or write `keep-alive = false`; what finds none is not asked, and what is known of it grows old",
            limit.unwrap_or_default()
        )
    })
}

/// Databases without a date that were not among the ones before: their age is not known, and that is said once.
pub(super) fn newly_undated<'a>(sources: &'a [SourceInfo], before: &[SourceInfo]) -> Vec<&'a str> {
    let is_undated = |source: &&SourceInfo| source.metadata.built == 0;
    let told = |name: &str| before.iter().filter(is_undated).any(|source| *source.name == *name);
    sources.iter().filter(is_undated).map(|source| &*source.name).filter(|name| !told(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geo::{Census, Metadata};

    /// A database built at this time, in seconds.
    fn built(name: &str, built: u64) -> SourceInfo {
        SourceInfo { name: name.into(), metadata: Metadata { built, ..Metadata::default() }, census: Census::default() }
    }

    #[test]
    fn a_database_is_old_after_ninety_days_and_not_before() {
        let sources = [built("places.mmdb", 1_780_617_600), built("undated.mmdb", 0)];
        let after = |days: u64| Moment((1_780_617_600 + days * 86_400) * 1000);
        assert_eq!(age_lints(&sources, after(90)), [""; 0]);
        let told = age_lints(&sources, after(91));
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(
            told[0].starts_with("lint[old-geography]: places.mmdb was built on 2026-06-05, 91 days ago\n  = help: a database older than 90 days"),
            "{told:?}"
        );
    }

    #[test]
    fn connections_that_are_kept_must_fit_the_limit_of_descriptors() {
        let kept = |count: usize| {
            let endpoint = |n: usize| format!("[service.api.endpoint.e{n}]\nregion = \"aws-eu-west-1\"\na = [\"192.0.2.{n}\"]\n");
            let endpoints = (0..count).map(endpoint).collect::<Vec<_>>().concat();
            let zone = "zone = \"example.com\"\n[ns]\nns1 = [\"192.0.2.53\"]\n[service.api.probe.http]\nkeep-alive = true\n";
            let source = SourceFile { name: "zone.toml".into(), text: format!("{zone}{endpoints}").into() };
            config::compile(vec![source], &|_, _| Err("none".into())).unwrap_or_else(|failure| panic!("{failure}")).catalog
        };
        assert_eq!(descriptor_lint(&crate::catalog::Catalog::default(), Some(8)), None, "nothing is kept");
        assert_eq!(descriptor_lint(&kept(20), None), None, "without a limit");
        assert_eq!(descriptor_lint(&kept(20), Some(65_536)), None);
        let told = descriptor_lint(&kept(20), Some(1_024)).unwrap();
        assert!(told.starts_with("lint[descriptors]: 20 probes keep their connections, and the process may have 1024"), "{told}");
    }

    #[test]
    fn a_database_without_a_date_is_told_of_once() {
        let (dated, undated) = (built("a.mmdb", 1), built("b.mmdb", 0));
        let sources = [dated.clone(), undated.clone()];
        assert_eq!(newly_undated(&sources, &[]), ["b.mmdb"]);
        assert_eq!(newly_undated(&sources, &sources), [""; 0]);
        assert_eq!(newly_undated(&sources, &[dated, built("b.mmdb", 1)]), ["b.mmdb"], "it lost its date");
    }
}
