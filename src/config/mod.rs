//! TOML and master files → [`Catalog`], or every mistake at once.
//!
//! Edge storey: [`load()`] reads a folder; [`compile()`] is the same over texts, for tests, fuzzing and whoever has no disk. Nothing here
//! draws a diagnostic: that is the command line's affair.
//!
//! | file | what it does |
//! |---|---|
//! | `keys` | every key with form, default and meaning |
//! | `walk`, `leaf`, `quantity`, `near` | a tree of TOML → typed values, mistakes with places, "did you mean" |
//! | `spec` | what the files say, not yet linked |
//! | `compile` | links, judges, lints; canonical order and digest |
//! | `records` | master files and record data |
//! | `scenario` | scenario files → what is simulated |
//! | `recording` | recorded clients: prefixes and weights |
//! | `diagnostic`, `source` | findings and their places |
//!
//! Invariants
//! - All or nothing: with any error there is no catalog.
//! - Neither the order of files nor of tables shows in the catalog or in its digest.
//! - Where a text is no TOML, what seems to be missing is not reported: it may stand in what could not be read.
//! - A file's tree is dropped before the next is parsed.

mod compile;
mod diagnostic;
pub mod geoip;
pub mod keys;
mod leaf;
mod load;
mod quantity;
pub mod recording;
pub mod records;
pub mod scenario;
mod source;
mod spec;
mod walk;

pub use diagnostic::{Code, Diagnostic, Severity};
pub use load::{load, load_for};
pub use source::{SourceFile, Spot};

use std::path::PathBuf;

use crate::catalog::Catalog;
use diagnostic::{Finding, Findings};

/// Fetches a master file: the name of the TOML file that asks, and a path relative to its folder that never leaves it → the name that
/// diagnostics call the file by and its text, or why not.
pub type Masters<'m> = dyn Fn(&str, &str) -> Result<(String, String), String> + 'm;

/// What was loaded.
#[derive(Debug)]
pub struct Loaded {
    /// The catalog.
    pub catalog: Catalog,
    /// What somebody should look at, by place.
    pub lints: Vec<Diagnostic>,
    /// How many more lints there were than are listed.
    pub more: usize,
    /// The files that were read, master files among them; for excerpts, and to be watched.
    pub sources: Vec<SourceFile>,
}

/// Why nothing was loaded: every mistake, and the texts that excerpts are cut from.
#[derive(Debug, thiserror::Error)]
#[error("{}", summary(diagnostics, *more))]
pub struct Failure {
    /// Errors and lints, by place.
    pub diagnostics: Vec<Diagnostic>,
    /// How many more there were than are listed.
    pub more: usize,
    /// The files that were read.
    pub sources: Vec<SourceFile>,
}

/// Reads a duration as the files write it, such as `90s` or `2h`, in whole milliseconds.
///
/// # Errors
/// What is wrong with the text.
pub fn duration_ms(text: &str) -> Result<u32, String> {
    quantity::millis(text)
}

/// Which commands the files may have run as probes. That is not for files of zones to say, which may come from anywhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum MayRun {
    /// Whatever they name, since nothing is run: for whoever only looks at what the files say.
    #[default]
    Unrun,
    /// None.
    Nothing,
    /// Those of this folder, and of the folders in it.
    Folder(PathBuf),
}

/// Compiles TOML texts that nobody is going to run anything of. `masters` fetches the master files that they name.
///
/// # Errors
/// Every mistake that was found.
pub fn compile(sources: Vec<SourceFile>, masters: &Masters<'_>) -> Result<Loaded, Failure> {
    compile_for(sources, masters, MayRun::Unrun)
}

/// As [`compile()`], for a node that may run this.
///
/// # Errors
/// Every mistake that was found; a command that may not be run among them.
pub fn compile_for(mut sources: Vec<SourceFile>, masters: &Masters<'_>, may_run: MayRun) -> Result<Loaded, Failure> {
    // Findings are made in the order of names, so that the order given never shows.
    sources.sort_by(|one, other| one.name.cmp(&other.name));
    compile_with(sources, masters, Findings::of(may_run))
}

/// Compiles sorted texts, with what was found before.
fn compile_with(mut sources: Vec<SourceFile>, masters: &Masters<'_>, findings: Findings) -> Result<Loaded, Failure> {
    let mut specs = spec::Specs::default();
    for (file, source) in (0..).zip(&sources) {
        specs.read(&findings, file, source);
    }
    let catalog = compile::compile(specs, &mut sources, masters, &findings);
    let failed = findings.has_error();
    let (diagnostics, more) = findings.finish(&sources);
    if failed { Err(Failure { diagnostics, more, sources }) } else { Ok(Loaded { catalog, lints: diagnostics, more, sources }) }
}

/// The errors in lines of their own, for logs.
fn summary(diagnostics: &[Diagnostic], more: usize) -> String {
    let errors = diagnostics.iter().filter(|diagnostic| diagnostic.severity() == Severity::Error);
    let mut lines: Vec<String> = errors.map(ToString::to_string).collect();
    if more > 0 {
        lines.push(format!("and {more} more"));
    }
    lines.join("\n")
}

/// A finding about a file or folder that cannot be read.
fn unreadable(path: &std::path::Path, why: impl std::fmt::Display) -> Finding {
    Finding::nowhere(Code::Unreadable, format!("{} cannot be read: {why}", path.display()))
}
