//! `aya check`: reads zones as `serve` would, and tells every mistake at once.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;

use serde_json::json;

use super::Exit;
use super::draw::{as_json, draw};
use crate::config::{Diagnostic, Failure, Loaded, MayRun, Severity, SourceFile, load_for};
use crate::units::counted;

/// What `aya check` is told.
#[derive(Clone, Debug, clap::Args)]
pub struct CheckArgs {
    /// Files or folders of zones.
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// The same, as other verbs have it.
    #[arg(long, value_name = "PATH", env = "AYA_ZONES", value_delimiter = ',', default_value = "zones")]
    zones: Vec<PathBuf>,
    /// Folder of commands that the node is going to be allowed to run as probes.
    #[arg(long, env = "AYA_ALLOW_EXEC", value_name = "DIR")]
    allow_exec: Option<PathBuf>,
    /// One JSON object instead of drawings.
    #[arg(long)]
    json: bool,
}

/// Checks. Exits with 0 when all is well, 1 with lints only, 2 with errors.
pub fn run(args: &CheckArgs) -> Exit {
    let paths = if args.paths.is_empty() { &args.zones } else { &args.paths };
    let report = match load_for(paths, args.allow_exec.clone().map_or(MayRun::Nothing, MayRun::Folder)) {
        Ok(loaded) => Report::of_loaded(loaded),
        Err(failure) => Report::of_failure(failure),
    };
    let stdout = std::io::stdout();
    let text = if args.json { report.json() } else { report.text(stdout.is_terminal()) };
    // Whoever closes the pipe early has seen enough.
    let _ = writeln!(stdout.lock(), "{text}");
    report.exit()
}

/// What came of it.
struct Report {
    /// What there is, when it loads.
    summary: Option<Summary>,
    /// What was found, by place.
    diagnostics: Vec<Diagnostic>,
    /// How many more than are listed.
    more: usize,
    /// Where excerpts are cut from.
    sources: Vec<SourceFile>,
}

/// How much there is.
struct Summary {
    /// Zones.
    zones: usize,
    /// Services.
    services: usize,
    /// Endpoints.
    endpoints: usize,
    /// Regions.
    regions: usize,
    /// Probes.
    probes: usize,
    /// The digest, the same on every node with the same content.
    digest: u64,
}

impl Report {
    /// Of zones that load.
    fn of_loaded(loaded: Loaded) -> Self {
        let Loaded { catalog, lints, more, sources } = loaded;
        let summary = Summary {
            zones: catalog.zones.len(),
            services: catalog.services.len(),
            endpoints: catalog.endpoints.len(),
            regions: catalog.regions.len(),
            probes: catalog.probes.len(),
            digest: catalog.digest,
        };
        Self { summary: Some(summary), diagnostics: lints, more, sources }
    }

    /// Of zones that do not.
    fn of_failure(failure: Failure) -> Self {
        let Failure { diagnostics, more, sources } = failure;
        Self { summary: None, diagnostics, more, sources }
    }

    /// How many there are of a severity among those listed.
    fn count(&self, severity: Severity) -> usize {
        self.diagnostics.iter().filter(|diagnostic| diagnostic.severity() == severity).count()
    }

    /// What the process comes to.
    fn exit(&self) -> Exit {
        match &self.summary {
            None => Exit::Error,
            Some(_) if self.diagnostics.is_empty() && self.more == 0 => Exit::Ok,
            Some(_) => Exit::Negative,
        }
    }

    /// For people.
    fn text(&self, colour: bool) -> String {
        let mut text = String::new();
        for diagnostic in &self.diagnostics {
            text.push_str(&draw(diagnostic, &self.sources, colour));
            text.push_str("\n\n");
        }
        if self.more > 0 {
            text.push_str(&format!("and {} more\n\n", self.more));
        }
        let (errors, lints) = (self.count(Severity::Error), self.count(Severity::Lint));
        match &self.summary {
            None => text.push_str(&format!("nothing can be served: {}, {}", counted(errors, "error"), counted(lints, "lint"))),
            Some(summary) => text.push_str(&format!(
                "{}, {}, {} in {}, {}: {}",
                counted(summary.zones, "zone"),
                counted(summary.services, "service"),
                counted(summary.endpoints, "endpoint"),
                counted(summary.regions, "region"),
                counted(summary.probes, "probe"),
                if lints == 0 { "all is well".into() } else { counted(lints, "lint") },
            )),
        }
        text
    }

    /// For programs.
    fn json(&self) -> String {
        let catalog = self.summary.as_ref().map(|summary| {
            json!({
                "zones": summary.zones,
                "services": summary.services,
                "endpoints": summary.endpoints,
                "regions": summary.regions,
                "probes": summary.probes,
                "digest": format!("{:016x}", summary.digest),
            })
        });
        let diagnostics: Vec<_> = self.diagnostics.iter().map(as_json).collect();
        json!({
            "errors": self.count(Severity::Error),
            "lints": self.count(Severity::Lint),
            "more": self.more,
            "catalog": catalog,
            "diagnostics": diagnostics,
        })
        .to_string()
    }
}
