//! Where reports of drills are kept: two files each, for people and for programs, in a folder beside the other state.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use crate::control::drills::Report;
use crate::limits::{DRILL_REPORT_OCTETS_MAX, DRILL_REPORTS_MAX};
use crate::state_file::sync_folder;

/// The folder of reports in the state folder.
const DRILLS: &str = "drills";

/// The reports of drills on the disk. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Shelf {
    /// The folder.
    folder: PathBuf,
}

impl Shelf {
    /// In this state folder.
    #[must_use]
    pub fn new(state: &Path) -> Self {
        Self { folder: state.join(DRILLS) }
    }

    /// Where the report of a drill stands, with this ending.
    fn path(&self, id: u64, ending: &str) -> PathBuf {
        self.folder.join(format!("drill-{id:06}.{ending}"))
    }

    /// Keeps a report, and lets go of the oldest where there are more than [`DRILL_REPORTS_MAX`]. Returns where the one for people stands.
    ///
    /// # Errors
    /// The system's.
    #[expect(clippy::missing_panics_doc, reason = "a report always has a JSON form")]
    pub fn keep(&self, report: &Report) -> io::Result<PathBuf> {
        fs::create_dir_all(&self.folder)?;
        let json = serde_json::to_string_pretty(report).expect("texts and numbers have a JSON form") + "\n";
        let (people, programs) = (self.path(report.id, "md"), self.path(report.id, "json"));
        write(&people, &report.to_string())?;
        write(&programs, &json)?;
        sync_folder(&programs)?;
        let numbers = self.numbers()?;
        for id in numbers.iter().take(numbers.len().saturating_sub(DRILL_REPORTS_MAX)) {
            for ending in ["md", "json"] {
                match fs::remove_file(self.path(*id, ending)) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
            }
        }
        Ok(people)
    }

    /// The numbers of the drills that there are reports of, ascending.
    ///
    /// # Errors
    /// The system's.
    pub fn numbers(&self) -> io::Result<Vec<u64>> {
        let entries = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other?,
        };
        let mut numbers = Vec::new();
        for entry in entries {
            let name = entry?.file_name();
            let number = name.to_str().and_then(|name| name.strip_prefix("drill-")?.strip_suffix(".json")?.parse::<u64>().ok());
            numbers.extend(number);
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// The report of a drill; `None` if there is none, or nobody can read it any more.
    ///
    /// # Errors
    /// The system's.
    pub fn read(&self, id: u64) -> io::Result<Option<Report>> {
        let file = match fs::File::open(self.path(id, "json")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        let mut text = String::new();
        file.take(DRILL_REPORT_OCTETS_MAX).read_to_string(&mut text)?;
        Ok(serde_json::from_str(&text).ok())
    }
}

/// Writes a file whole, or not at all.
fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let mut file = fs::File::create(&beside)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all())?;
    fs::rename(beside, path)
}
