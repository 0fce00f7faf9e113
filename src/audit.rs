//! The audit trail: who did what with overrides and failback, when and why, a line of JSON each, in a file that is only ever appended to.
//!
//! An entry is on the disk before what it tells of is in force. Files are set aside when they have grown (`audit.jsonl.1` is the newest of
//! them), and the oldest of [`AUDIT_FILES_MAX`] goes. Times are in UTC (RFC 3339).

use std::fs::{self, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::control::drills::{self, Ceased, Drill};
use crate::control::overrides::{Override, Proposal, Refusal, Released, Which, Wish};
use crate::limits::{AUDIT_FILES_MAX, AUDIT_OCTETS_MAX};
use crate::state_file::sync_folder;
use crate::units::Moment;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// An override was set.
    Set,
    /// One was set against safety rules.
    Forced,
    /// One was cleared, or replaced by another of the same selector.
    Cleared,
    /// Clients were let return to tiers that they left.
    Released,
    /// One ended by itself.
    Expired,
    /// A wish was refused.
    Refused,
    /// A wish was granted and told here, and could not be written after that: it is not in force.
    Failed,
    /// A drill was announced.
    DrillRun,
    /// One was announced against safety rules.
    DrillForced,
    /// Somebody aborted one.
    DrillAborted,
    /// One was ended by time, by a guard or by a reload.
    DrillOver,
    /// A wish for a drill, or for its end, was refused.
    DrillRefused,
    /// One was granted and told here, and could not be written after that: it is not played, or not aborted.
    DrillFailed,
}

/// One line of the trail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Entry {
    /// When.
    pub at: String,
    /// What.
    pub what: What,
    /// Who did it; absent where time alone did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub who: Option<String>,
    /// Why, in the words of who did it.
    pub why: String,
    /// The number of the override, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<u64>,
    /// The endpoints that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selector: Option<String>,
    /// What it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// When it ends, or would have ended, by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
    /// Why it was refused, which tiers are released, or which rules it went past and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<String>,
}

impl Entry {
    /// About an override.
    fn about(what: What, one: &Override, who: Option<&str>, why: &str, at: Moment) -> Self {
        Self {
            at: at.to_string(),
            what,
            who: who.map(str::to_owned),
            why: why.to_owned(),
            id: Some(one.id),
            selector: Some(one.selector.to_string()),
            action: Some(one.action.to_string()),
            expires: Some(one.expires.to_string()),
            rules: Vec::new(),
        }
    }

    /// That an override ended by itself.
    #[must_use]
    pub fn expired(one: &Override, at: Moment) -> Self {
        Self::about(What::Expired, one, None, one.why.as_str(), at)
    }

    /// What a wish that is granted comes to: what is gone, and what is new.
    #[must_use]
    pub fn granted(wish: &Wish, proposal: &Proposal, at: Moment) -> Vec<Self> {
        let (who, why) = who_and_why(wish);
        let mut entries: Vec<Self> = proposal.gone.iter().map(|one| Self::about(What::Cleared, one, Some(who), why, at)).collect();
        if let Some(made) = &proposal.made {
            let what = if proposal.forced.is_empty() { What::Set } else { What::Forced };
            let mut entry = Self::about(what, made, Some(who), why, at);
            entry.rules = proposal.forced.iter().map(ToString::to_string).collect();
            if let (What::Forced, Wish::Set(set)) = (what, wish) {
                entry.rules.extend(set.force.iter().map(|force| format!("forced: {force}")));
            }
            entries.push(entry);
        }
        if let Wish::Release(release) = wish {
            let told = |released: &Released| format!("{}: tiers {:?}", released.service, released.tiers);
            let mut rules: Vec<String> = proposal.released.iter().map(told).collect();
            rules.extend(proposal.forced.iter().map(ToString::to_string));
            rules.extend(release.force.iter().filter(|_| !proposal.forced.is_empty()).map(|force| format!("forced: {force}")));
            entries.push(Self { rules, ..Self::wished(What::Released, wish, at) });
        }
        entries
    }

    /// About a drill.
    fn about_drill(what: What, drill: &Drill, who: Option<&str>, why: String, at: Moment) -> Self {
        Self {
            at: at.to_string(),
            what,
            who: who.map(str::to_owned),
            why,
            id: Some(drill.id),
            selector: Some(drill.selector.to_string()),
            action: Some(drill.plays.to_string()),
            expires: Some(drill.ends.to_string()),
            rules: Vec::new(),
        }
    }

    /// What a wish for a drill that is granted comes to.
    #[must_use]
    pub fn drilled(wish: &drills::Wish, proposal: &drills::Proposal, at: Moment) -> Self {
        let (what, who, why) = match wish {
            drills::Wish::Run(run) if proposal.forced.is_empty() => (What::DrillRun, &run.who, &run.why),
            drills::Wish::Run(run) => (What::DrillForced, &run.who, &run.why),
            drills::Wish::Abort(abort) => (What::DrillAborted, &abort.who, &abort.why),
        };
        let mut entry = Self::about_drill(what, &proposal.drill, Some(who.as_str()), why.to_string(), at);
        entry.rules = proposal.forced.iter().map(ToString::to_string).collect();
        if what == What::DrillForced {
            entry.rules.extend(proposal.drill.forced.iter().map(|force| format!("forced: {force}")));
        }
        entry.rules.extend(proposal.drill.without.iter().map(|guard| format!("without its guard: {guard}")));
        entry
    }

    /// That a drill is over, and why.
    #[must_use]
    pub fn drill_over(drill: &Drill, ceased: &Ceased, at: Moment) -> Self {
        Self::about_drill(What::DrillOver, drill, None, ceased.to_string(), at)
    }

    /// That a wish for a drill was refused.
    #[must_use]
    pub fn drill_refused(wish: &drills::Wish, refusal: &drills::Refusal, at: Moment) -> Self {
        Self { rules: vec![refusal.to_string()], ..Self::drill_wished(What::DrillRefused, wish, at) }
    }

    /// That a wish for a drill which was told of as granted came to nothing.
    #[must_use]
    pub fn drill_failed(wish: &drills::Wish, at: Moment) -> Self {
        Self::drill_wished(What::DrillFailed, wish, at)
    }

    /// About what was wished of a drill.
    fn drill_wished(what: What, wish: &drills::Wish, at: Moment) -> Self {
        let (who, why, id, selector, action) = match wish {
            drills::Wish::Run(run) => (&run.who, &run.why, None, Some(run.selector.to_string()), run.plays.to_string()),
            drills::Wish::Abort(abort) => (&abort.who, &abort.why, abort.id, None, "abort".to_owned()),
        };
        let (who, why) = (Some(who.to_string()), why.to_string());
        Self { at: at.to_string(), what, who, why, id, selector, action: Some(action), expires: None, rules: Vec::new() }
    }

    /// That a wish was refused.
    #[must_use]
    pub fn refused(wish: &Wish, refusal: &Refusal, at: Moment) -> Self {
        Self { rules: vec![refusal.to_string()], ..Self::wished(What::Refused, wish, at) }
    }

    /// That a wish which was told of as granted is not in force.
    #[must_use]
    pub fn failed(wish: &Wish, at: Moment) -> Self {
        Self::wished(What::Failed, wish, at)
    }

    /// About what was wished.
    fn wished(what: What, wish: &Wish, at: Moment) -> Self {
        let (who, why) = who_and_why(wish);
        let (id, selector, action) = match wish {
            Wish::Set(set) => (None, Some(set.selector.to_string()), Some(set.action.to_string())),
            Wish::Clear(clear) => match &clear.which {
                Which::Id(id) => (Some(*id), None, Some("clear".to_owned())),
                Which::Selector(selector) => (None, Some(selector.to_string()), Some("clear".to_owned())),
            },
            Wish::Release(release) => (None, Some(format!("service:{}", release.service)), Some("failback".to_owned())),
        };
        Self { at: at.to_string(), what, who: Some(who.to_owned()), why: why.to_owned(), id, selector, action, expires: None, rules: Vec::new() }
    }
}

/// Who wishes it, and why.
fn who_and_why(wish: &Wish) -> (&str, &str) {
    match wish {
        Wish::Set(set) => (set.who.as_str(), set.why.as_str()),
        Wish::Clear(clear) => (clear.who.as_str(), clear.why.as_str()),
        Wish::Release(release) => (release.who.as_str(), release.why.as_str()),
    }
}

/// The trail on the disk.
#[derive(Clone, Debug)]
pub struct Trail {
    /// The file that is appended to.
    path: PathBuf,
    /// Octets at which it is set aside.
    octets_max: u64,
    /// How many are kept beside it.
    files_max: usize,
}

impl Trail {
    /// The trail in this file.
    #[must_use]
    pub const fn new(path: PathBuf) -> Self {
        Self { path, octets_max: AUDIT_OCTETS_MAX, files_max: AUDIT_FILES_MAX }
    }

    /// Appends entries; when this returns they are on the disk. Either all of them are whole there, or an error is returned.
    ///
    /// # Errors
    /// The system's.
    #[expect(clippy::missing_panics_doc, reason = "entries always have a JSON form")]
    pub fn append(&self, entries: &[Entry]) -> io::Result<()> {
        if entries.is_empty() {
            return Ok(());
        }
        let mut lines = String::new();
        for entry in entries {
            lines.push_str(&serde_json::to_string(entry).expect("texts and numbers have a JSON form"));
            lines.push('\n');
        }
        let size = fs::metadata(&self.path).map_or(0, |file| file.len());
        if size > 0 && size + lines.len() as u64 > self.octets_max {
            self.rotate()?;
        }
        let is_new = !self.path.exists();
        let mut file = OpenOptions::new().create(true).append(true).read(true).mode(0o600).open(&self.path)?;
        if !is_new && !ends_a_line(&mut file)? {
            // Somebody ended in the midst of a line; it stays, and the next begins on its own.
            lines.insert(0, '\n');
        }
        file.write_all(lines.as_bytes()).and_then(|()| file.sync_data())?;
        if is_new { sync_folder(&self.path) } else { Ok(()) }
    }

    /// Sets the file aside, and each that was set aside one further.
    fn rotate(&self) -> io::Result<()> {
        let name = |number: usize| {
            let mut name = self.path.as_os_str().to_owned();
            name.push(format!(".{number}"));
            PathBuf::from(name)
        };
        let is_gone = |moved: io::Result<()>| match moved {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        };
        for number in (1..self.files_max).rev() {
            is_gone(fs::rename(name(number), name(number + 1)))?;
        }
        is_gone(fs::rename(&self.path, name(1)))?;
        sync_folder(&self.path)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Whether a file is empty or its last octet ends a line.
fn ends_a_line(file: &mut fs::File) -> io::Result<bool> {
    if file.seek(SeekFrom::End(0))? == 0 {
        return Ok(true);
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A trail of small files in a folder of its own, empty.
    fn trail(name: &str) -> Trail {
        let folder = std::env::temp_dir().join(format!("aya-audit-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        Trail { path: folder.join("audit.jsonl"), octets_max: 400, files_max: 2 }
    }

    fn entry(why: &str) -> Entry {
        let (at, why) = (Moment(1_700_000_000_000).to_string(), why.to_owned());
        Entry { at, what: What::Expired, who: None, why, id: Some(7), selector: None, action: None, expires: None, rules: Vec::new() }
    }

    #[test]
    fn entries_are_lines_of_json_and_a_torn_one_spoils_no_other() {
        let trail = trail("torn");
        trail.append(&[entry("one")]).unwrap();
        let mut file = OpenOptions::new().append(true).open(trail.path()).unwrap();
        file.write_all(b"{\"at\":\"20").unwrap();
        trail.append(&[entry("two")]).unwrap();
        let text = fs::read_to_string(trail.path()).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], r#"{"at":"2023-11-14T22:13:20Z","what":"expired","why":"one","id":7}"#);
        assert_eq!((lines.len(), lines[1], lines[2].contains("two")), (3, "{\"at\":\"20", true));
        fs::remove_dir_all(trail.path().parent().unwrap()).unwrap();
    }

    #[test]
    fn files_are_set_aside_when_they_have_grown_and_the_oldest_goes() {
        let trail = trail("grown");
        for number in 0..30 {
            trail.append(&[entry(&number.to_string())]).unwrap();
        }
        let folder = trail.path().parent().unwrap();
        let mut names: Vec<String> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        assert_eq!(names, ["audit.jsonl", "audit.jsonl.1", "audit.jsonl.2"]);
        let texts: Vec<String> = ["audit.jsonl.2", "audit.jsonl.1", "audit.jsonl"].iter().map(|name| fs::read_to_string(folder.join(name)).unwrap()).collect();
        assert!(texts.iter().all(|text| text.len() <= 400));
        let numbers: Vec<String> =
            texts.concat().lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["why"].as_str().unwrap().to_owned()).collect();
        let last: Vec<String> = (30 - numbers.len()..30).map(|number| number.to_string()).collect();
        assert_eq!(numbers, last, "nothing is lost between what was set aside and what is written");
        fs::remove_dir_all(folder).unwrap();
    }
}
