//! The file in which health outlives the process.
//!
//! One line of head (`aya-state 1 CHECKSUM`), then JSON. It is replaced whole: written beside, synced, renamed, the folder synced. A file
//! that cannot be read is a warning, never a reason not to start.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use crate::control::State;
use crate::limits::STATE_FILE_OCTETS_MAX;

/// What the first line begins with: the format and its version.
const HEAD: &str = "aya-state 1";

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

/// Reads the state; `None` when there is no file yet.
///
/// # Errors
/// When there is one that cannot be read or is not whole.
pub fn read(path: &Path) -> Result<Option<State>, StateFileError> {
    let mut text = String::new();
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(StateFileError::Read { path: path.to_owned(), source }),
    };
    let broken = |why: String| StateFileError::Broken { path: path.to_owned(), why };
    match file.take(STATE_FILE_OCTETS_MAX + 1).read_to_string(&mut text) {
        Ok(octets) if octets as u64 > STATE_FILE_OCTETS_MAX => return Err(broken("it is too long".to_owned())),
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
pub fn write(path: &Path, state: &State) -> Result<(), StateFileError> {
    let failed = |source| StateFileError::Write { path: path.to_owned(), source };
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    let text = encode(state);
    let mut file = File::create(&beside).map_err(failed)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
    drop(file);
    fs::rename(&beside, path).map_err(failed)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // The rename itself is durable only with its folder.
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)
}

/// The file's text.
fn encode(state: &State) -> String {
    let body = serde_json::to_string(state).expect("strings, numbers and lists of them have a JSON form");
    format!("{HEAD} {:016x}\n{body}\n", checksum(&body))
}

/// The state in a file's text, or what is wrong with it.
fn decode(text: &str) -> Result<State, String> {
    let (head, body) = text.split_once('\n').ok_or("it has no head")?;
    let sum = head.strip_prefix(HEAD).map(str::trim).ok_or("it is of another version, or no state file")?;
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
