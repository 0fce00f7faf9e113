//! Reads a folder of zones from disk.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::diagnostic::{Code, Finding, Findings};
use super::source::SourceFile;
use super::{Failure, Loaded, MayRun, compile_with, unreadable};
use crate::limits::{MASTER_FILE_OCTETS_MAX, TOML_FILE_OCTETS_MAX, ZONE_FILES_MAX};

/// Loads zones that nobody is going to run anything of: files, or folders of which every `*.toml` is read (not those in folders below), and the master files that they name.
///
/// # Errors
/// Every mistake that was found, a file or folder that cannot be read among them.
pub fn load<P: AsRef<Path>>(paths: &[P]) -> Result<Loaded, Failure> {
    load_for(paths, MayRun::Unrun)
}

/// As [`load`], for a node that may run this.
///
/// # Errors
/// As [`load`]; a command that may not be run is among the mistakes.
pub fn load_for<P: AsRef<Path>>(paths: &[P], may_run: MayRun) -> Result<Loaded, Failure> {
    let findings = Findings::of(may_run);
    let mut files = Vec::new();
    for path in paths.iter().map(AsRef::as_ref) {
        match toml_files(path) {
            Ok(found) => files.extend(found),
            Err(error) => findings.add(unreadable(path, error)),
        }
    }
    files.sort();
    files.dedup();
    if files.len() > ZONE_FILES_MAX {
        findings.add(Finding::nowhere(Code::TooMany, format!("there are {} files, more than the limit of {ZONE_FILES_MAX}", files.len())));
    }
    let mut sources = Vec::new();
    for file in files.iter().take(ZONE_FILES_MAX) {
        match read(file, TOML_FILE_OCTETS_MAX) {
            Ok(text) => sources.push(SourceFile { name: file.display().to_string().into(), text: text.into() }),
            Err(why) => findings.add(unreadable(file, why)),
        }
    }
    sources.sort_by(|one: &SourceFile, other| one.name.cmp(&other.name));
    let masters = |asking: &str, path: &str| {
        let folder = folder_of(Path::new(asking));
        let file = inside(folder, path)?;
        read(&file, MASTER_FILE_OCTETS_MAX).map(|text| (folder.join(path).display().to_string(), text))
    };
    compile_with(sources, &masters, findings)
}

/// The folder of a file.
pub(super) fn folder_of(file: &Path) -> &Path {
    file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The TOML files of a folder; or the single file itself.
fn toml_files(path: &Path) -> std::io::Result<Vec<PathBuf>> {
    if path.is_file() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path)? {
        let file = entry?.path();
        let hidden = file.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if !hidden && file.extension().is_some_and(|extension| extension == "toml") && file.is_file() {
            files.push(file);
        }
    }
    Ok(files)
}

/// The file of a path that has been confined to the folder as a text; links must not lead out of it either.
pub(super) fn inside(folder: &Path, path: &str) -> Result<PathBuf, String> {
    let file = folder.join(path).canonicalize().map_err(|error| error.to_string())?;
    let folder = folder.canonicalize().map_err(|error| error.to_string())?;
    if file.starts_with(folder) { Ok(file) } else { Err("it leads out of the folder of the zones".into()) }
}

/// The text of a file of at most `most` octets, or why there is none.
pub(super) fn read(path: &Path, most: u64) -> Result<String, String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    let mut octets = Vec::new();
    file.take(most + 1).read_to_end(&mut octets).map_err(|error| error.to_string())?;
    if octets.len() as u64 > most {
        return Err(format!("it is larger than {most} octets"));
    }
    String::from_utf8(octets).map_err(|error| format!("it is not UTF-8 at octet {}", error.utf8_error().valid_up_to()))
}
