//! Reads GeoIP databases from files: one or several, or all of a folder.

use std::io;
use std::path::{Path, PathBuf};

use crate::geo::{Databases, GeoError, Mmdb, Source};
use crate::limits::MMDB_OCTETS_MAX;

/// Why the databases cannot be read. Names the file.
#[derive(Debug, thiserror::Error)]
pub enum GeoipError {
    /// The file or folder cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It was read and is no database that can be used.
    #[error("{} cannot be used", path.display())]
    Use {
        /// Which.
        path: PathBuf,
        /// Why.
        source: GeoError,
    },
    /// The folder has no file that ends with `.mmdb`.
    #[error("{} has no file that ends with .mmdb", path.display())]
    NoDatabase {
        /// Which.
        path: PathBuf,
    },
}

/// Reads the databases at these paths, in this order of precedence. A folder stands for its `.mmdb` files by name.
///
/// # Errors
/// [`GeoipError`] for the first path that cannot be read or used.
pub fn read_databases<P: AsRef<Path>>(paths: &[P]) -> Result<Databases, GeoipError> {
    let mut sources = Vec::new();
    for path in paths {
        let path = path.as_ref();
        if path.is_dir() {
            for file in files_of(path)? {
                sources.push(read_database(&file)?);
            }
        } else {
            sources.push(read_database(path)?);
        }
    }
    Ok(Databases::new(sources))
}

/// Reads one file.
fn read_database(path: &Path) -> Result<Source, GeoipError> {
    let failed = |source| GeoipError::Read { path: path.to_owned(), source };
    let about = std::fs::metadata(path).map_err(failed)?;
    if about.len() > MMDB_OCTETS_MAX {
        return Err(GeoipError::Use { path: path.to_owned(), source: GeoError::TooLarge });
    }
    let octets = std::fs::read(path).map_err(failed)?;
    let database = Mmdb::read(&octets).map_err(|source| GeoipError::Use { path: path.to_owned(), source })?;
    let name = path.file_name().map_or_else(|| path.to_string_lossy(), |name| name.to_string_lossy());
    Ok(Source { name: name.into(), database })
}

/// The `.mmdb` files of a folder, by name.
fn files_of(folder: &Path) -> Result<Vec<PathBuf>, GeoipError> {
    let failed = |source| GeoipError::Read { path: folder.to_owned(), source };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|extension| extension == "mmdb") {
            files.push(path);
        }
    }
    if files.is_empty() {
        return Err(GeoipError::NoDatabase { path: folder.to_owned() });
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The error and what it comes from, as people read it.
    fn told(error: &dyn std::error::Error) -> String {
        std::iter::successors(Some(error), |error| error.source()).map(ToString::to_string).collect::<Vec<_>>().join(": ")
    }

    #[test]
    fn the_shipped_folder_is_a_database() {
        let databases = read_databases(&[concat!(env!("CARGO_MANIFEST_DIR"), "/geoip")]).expect("the shipped database");
        assert_eq!(databases.iter().map(|source| &*source.name).collect::<Vec<_>>(), ["dbip-places.mmdb", "iptoasn-country.mmdb"]);
    }

    #[test]
    fn what_cannot_be_read_or_used_is_named() {
        let missing = read_databases(&["no/such.mmdb"]).expect_err("it is missing");
        assert!(told(&missing).starts_with("cannot read no/such.mmdb: "), "{}", told(&missing));
        let toml = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
        let no_mmdb = read_databases(&[toml]).expect_err("it is no database");
        assert!(told(&no_mmdb).starts_with(&format!("{toml} cannot be used: the file is no MMDB, or was cut short: ")), "{}", told(&no_mmdb));
        let sources = concat!(env!("CARGO_MANIFEST_DIR"), "/src");
        let empty = read_databases(&[sources]).expect_err("it has none");
        assert_eq!(told(&empty), format!("{sources} has no file that ends with .mmdb"));
    }
}
