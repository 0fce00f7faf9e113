//! The files in which health, overrides and the drill outlive the process.
//!
//! One line of head (`aya-state 1 CHECKSUM`), then JSON. A file is replaced whole: written beside, synced, renamed, the folder synced. One
//! that cannot be read is a warning, never a reason not to start.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::control::State;
use crate::control::drills::Drills;
use crate::control::overrides::Overrides;
use crate::limits::{DRILL_FILE_OCTETS_MAX, OVERRIDES_FILE_OCTETS_MAX, STATE_FILE_OCTETS_MAX};

/// What is kept in a file of its own.
pub trait Kept: Serialize + DeserializeOwned {
    /// What the first line begins with: the format and its version.
    const HEAD: &'static str;
    /// Octets of the largest file that is read.
    const OCTETS_MAX: u64;
}

impl Kept for State {
    const HEAD: &'static str = "aya-state 1";
    const OCTETS_MAX: u64 = STATE_FILE_OCTETS_MAX;
}

impl Kept for Overrides {
    const HEAD: &'static str = "aya-overrides 1";
    const OCTETS_MAX: u64 = OVERRIDES_FILE_OCTETS_MAX;
}

impl Kept for Drills {
    const HEAD: &'static str = "aya-drill 1";
    const OCTETS_MAX: u64 = DRILL_FILE_OCTETS_MAX;
}

/// Why a state file could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StateFileError {
    /// Reading failed.
    #[error("the state file {} cannot be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Writing failed.
    #[error("the state file {} cannot be written", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It is of another version, cut off, altered, or no state file at all.
    #[error("the state file {} is not whole: {why}", path.display())]
    Broken {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}

/// Reads what is kept; `None` when there is no file yet.
///
/// # Errors
/// When there is one that cannot be read or is not whole.
pub fn read<T: Kept>(path: &Path) -> Result<Option<T>, StateFileError> {
    let mut text = String::new();
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(StateFileError::Read { path: path.to_owned(), source }),
    };
    let broken = |why: String| StateFileError::Broken { path: path.to_owned(), why };
    match file.take(T::OCTETS_MAX + 1).read_to_string(&mut text) {
        Ok(octets) if octets as u64 > T::OCTETS_MAX => return Err(broken("it is too long".to_owned())),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::InvalidData => return Err(broken("it is no text".to_owned())),
        Err(source) => return Err(StateFileError::Read { path: path.to_owned(), source }),
    }
    decode(&text).map(Some).map_err(broken)
}

/// Replaces the file.
///
/// # Errors
/// When the folder cannot be written to.
pub fn write<T: Kept>(path: &Path, state: &T) -> Result<(), StateFileError> {
    let failed = |source| StateFileError::Write { path: path.to_owned(), source };
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    let text = encode(state);
    let mut file = File::create(&beside).map_err(failed)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
    drop(file);
    fs::rename(&beside, path).and_then(|()| sync_folder(path)).map_err(failed)
}

/// Moves a file that is not whole out of the way, so that somebody can look at it. Returns where to; an earlier one there is gone.
///
/// # Errors
/// The system's.
pub fn set_aside(path: &Path) -> io::Result<PathBuf> {
    let mut aside = path.as_os_str().to_owned();
    aside.push(".broken");
    let aside = PathBuf::from(aside);
    fs::rename(path, &aside).and_then(|()| sync_folder(path))?;
    Ok(aside)
}

/// Makes durable what is called how in a file's folder: a rename is only with its folder.
///
/// # Errors
/// The system's.
pub fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

/// The file's text.
fn encode<T: Kept>(state: &T) -> String {
    let body = serde_json::to_string(state).expect("strings, numbers and lists of them have a JSON form");
    format!("{} {:016x}\n{body}\n", T::HEAD, checksum(&body))
}

/// What is kept in a file's text, or what is wrong with it.
fn decode<T: Kept>(text: &str) -> Result<T, String> {
    let (head, body) = text.split_once('\n').ok_or("it has no head")?;
    let sum = head.strip_prefix(T::HEAD).map(str::trim).ok_or("it is of another version, or no state file")?;
    let body = body.strip_suffix('\n').ok_or("it is cut off")?;
    if u64::from_str_radix(sum, 16) != Ok(checksum(body)) {
        return Err("its checksum does not match".to_owned());
    }
    serde_json::from_str(body).map_err(|error| error.to_string())
}

/// FNV-1a: tells a torn or edited file, and is not meant to tell a forged one.
fn checksum(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |sum, octet| (sum ^ u64::from(octet)).wrapping_mul(0x0100_0000_01b3))
}
