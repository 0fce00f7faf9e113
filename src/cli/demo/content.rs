//! What the demo serves: the zones and the geography of this repository, built into the program so that it works in any folder.

use std::path::PathBuf;
use std::sync::Arc;

use crate::cli::load::{LoadError, Loaded};
use crate::config::{self, SourceFile};
use crate::geo::{Databases, Geo, Mmdb, Source};

/// The TOML files of `zones/`.
const ZONES: &[(&str, &str)] = &[
    ("zones/gslb.example.com.toml", include_str!("../../../zones/gslb.example.com.toml")),
    ("zones/regions.toml", include_str!("../../../zones/regions.toml")),
];
/// The master files of `zones/`.
const MASTERS: &[(&str, &str)] = &[("static.zone", include_str!("../../../zones/static.zone"))];
/// The databases of `geoip/`.
const GEOIP: &[(&str, &[u8])] =
    &[("dbip-places.mmdb", include_bytes!("../../../geoip/dbip-places.mmdb")), ("iptoasn-country.mmdb", include_bytes!("../../../geoip/iptoasn-country.mmdb"))];

/// Makes the content of the demo: the built-in zones, or those of a folder; always the built-in geography.
///
/// # Errors
/// When the folder's zones have mistakes, all of them; the built-in ones have none.
pub(super) fn make(zones: Option<&PathBuf>) -> Result<Loaded, LoadError> {
    let read = match zones {
        Some(folder) => config::load(&[folder]),
        None => config::compile(sources(), &|_, path| master(path)),
    };
    let read = read.map_err(|failure| LoadError::Zones(failure.into()))?;
    let databases = databases();
    let geo = Geo::compile(&read.catalog, &databases).map_err(LoadError::Geography)?;
    Ok(Loaded { catalog: Arc::new(read.catalog), geo: Arc::new(geo), lints: Vec::new() })
}

/// The built-in zones.
fn sources() -> Vec<SourceFile> {
    ZONES.iter().map(|(name, text)| SourceFile { name: (*name).into(), text: (*text).into() }).collect()
}

/// A built-in master file.
fn master(path: &str) -> Result<(String, String), String> {
    let found = MASTERS.iter().find(|(name, _)| *name == path);
    found.map(|(name, text)| (format!("zones/{name}"), (*text).to_owned())).ok_or_else(|| "no such file is built in".to_owned())
}

/// The built-in geography.
fn databases() -> Databases {
    let read = |octets| Mmdb::read(octets).expect("a test reads what is built in");
    Databases::new(GEOIP.iter().map(|(name, octets)| Source { name: (*name).into(), database: read(octets) }).collect())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Names of the files of a folder of the repository with one of these extensions.
    fn names(folder: &str, extensions: &[&str]) -> BTreeSet<String> {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| extensions.iter().any(|extension| name.ends_with(extension))).collect()
    }

    #[test]
    fn what_is_built_in_is_what_the_repository_has() {
        let built_in: BTreeSet<String> = ZONES.iter().map(|(name, _)| name.replace("zones/", "")).collect();
        assert_eq!(built_in, names("zones", &[".toml"]));
        assert_eq!(MASTERS.iter().map(|(name, _)| (*name).to_owned()).collect::<BTreeSet<_>>(), names("zones", &[".zone"]));
        assert_eq!(GEOIP.iter().map(|(name, _)| (*name).to_owned()).collect::<BTreeSet<_>>(), names("geoip", &[".mmdb"]));
    }

    #[test]
    fn built_in_zones_are_without_mistakes_and_their_places_are_known() {
        let made = make(None).unwrap();
        assert_eq!(made.catalog.services.len(), 6);
        assert!(made.geo.localities().count() > 100, "the databases know many countries");
    }
}
