//! `aya simulate`: plays a scenario on virtual time, and tells what came of it.

use std::fmt::Write as _;
use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::json;

use super::load::drawn;
use super::{Exit, tell_error};
use crate::config::Failure;
use crate::config::geoip::{GeoipError, read_databases};
use crate::config::scenario::{ScenarioFile, read_scenario};
use crate::geo::{Databases, Geo, GeoError};
use crate::limits::SIMULATION_SEEDS_MAX;
use crate::simulate::{self, Ground, Report};

/// What `aya simulate` is told.
#[derive(Clone, Debug, clap::Args)]
pub struct SimulateArgs {
    /// The scenario.
    #[arg(value_name = "SCENARIO")]
    scenario: PathBuf,
    /// Another seed than the scenario's.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Play it so many times, with one seed after the other, and tell median and worst.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=i64::from(SIMULATION_SEEDS_MAX)))]
    seeds: u32,
    /// One JSON object instead of text.
    #[arg(long)]
    json: bool,
}

/// Why nothing can be played.
#[derive(Debug, thiserror::Error)]
enum SimulateError {
    /// The scenario or its zones have mistakes.
    #[error("{}", drawn(.0))]
    Files(Box<Failure>),
    /// A geography file cannot be read or used.
    #[error("no geography")]
    Geoip(#[source] GeoipError),
    /// The geography does not fit the zones.
    #[error("the geography cannot be compiled for these zones")]
    Geography(#[source] GeoError),
    /// Nobody asks.
    #[error("the geography knows no address of any client: name databases in `geoip`, or a `network` for each country of `clients`")]
    NoClients,
}

/// Plays. Exits with 0; with 1 when something that is expected did not hold; with 2 on errors.
pub fn run(args: &SimulateArgs) -> Exit {
    match play(args) {
        Ok(runs) => {
            let name = args.scenario.display().to_string();
            let text = match &*runs {
                _ if args.json => as_json(&name, runs.clone()),
                [run] => as_text(&name, run),
                runs => as_summary(&name, runs),
            };
            // Whoever closes the pipe early has seen enough.
            let _ = writeln!(std::io::stdout().lock(), "{}", text.trim_end());
            if runs.iter().all(|run| run.breaches.is_empty()) { Exit::Ok } else { Exit::Negative }
        }
        Err(error) => {
            tell_error(&error);
            Exit::Error
        }
    }
}

/// Loads, and plays once for each seed.
fn play(args: &SimulateArgs) -> Result<Vec<Report>, SimulateError> {
    let ScenarioFile { scenario, catalogs, geoip } = read_scenario(&args.scenario).map_err(|failure| SimulateError::Files(failure.into()))?;
    let databases = if geoip.is_empty() { Databases::new(Vec::new()) } else { read_databases(&geoip).map_err(SimulateError::Geoip)? };
    let ground = |catalog| {
        let geo = Geo::compile(&catalog, &databases).map_err(SimulateError::Geography)?;
        Ok(Ground { catalog: Arc::new(catalog), geo: Arc::new(geo) })
    };
    let grounds = catalogs.into_iter().map(ground).collect::<Result<Vec<Ground>, SimulateError>>()?;
    let first = args.seed.unwrap_or(scenario.seed);
    let mut bar = Bar::new(scenario.length_ms, args.seeds);
    let runs = (0..args.seeds).map(|run| {
        let seed = first.wrapping_add(u64::from(run));
        simulate::run(&scenario, &grounds, seed, &mut |done| bar.draw(run, done)).ok_or(SimulateError::NoClients)
    });
    let runs = runs.collect();
    bar.wipe();
    runs
}

/// How far it has come, on standard error if that is a terminal.
struct Bar {
    /// Whether anybody sees it.
    is_seen: bool,
    /// Milliseconds of one run.
    length_ms: u64,
    /// How many runs there are.
    runs: u32,
    /// The per cent that were drawn last.
    drawn: Option<u64>,
}

impl Bar {
    /// Characters of the whole bar.
    const WIDTH: usize = 40;

    /// Nothing is done yet.
    fn new(length_ms: u64, runs: u32) -> Self {
        Self { is_seen: std::io::stderr().is_terminal(), length_ms: length_ms.max(1), runs, drawn: None }
    }

    /// So much of a run is over. Draws when that makes another per cent of all.
    fn draw(&mut self, run: u32, done_ms: u64) {
        let done = u64::from(run) * self.length_ms + done_ms.min(self.length_ms);
        let percent = done.saturating_mul(100) / (self.length_ms * u64::from(self.runs));
        if !self.is_seen || self.drawn == Some(percent) {
            return;
        }
        self.drawn = Some(percent);
        let full = usize::try_from(percent).unwrap_or(0) * Self::WIDTH / 100;
        // A terminal that is gone is no reason to stop.
        let _ = write!(std::io::stderr(), "\r[{}{}] {percent} %", "#".repeat(full), " ".repeat(Self::WIDTH.saturating_sub(full)));
    }

    /// Takes it off the screen.
    fn wipe(&self) {
        if self.drawn.is_some() {
            let _ = write!(std::io::stderr(), "\r{}\r", " ".repeat(Self::WIDTH + 10));
        }
    }
}

/// Milliseconds as seconds.
fn seconds(ms: u64) -> String {
    format!("{}.{:03} s", ms / 1000, ms % 1000)
}

/// The same, if there are any.
fn maybe(ms: Option<u64>) -> String {
    ms.map_or("–".to_owned(), seconds)
}

/// Thousandths as per cent.
fn permille(load: u64) -> String {
    format!("{}.{} %", load / 10, load % 10)
}

/// Millionths as per cent.
fn ppm(share: u64) -> String {
    format!("{}.{:02} %", share / 10_000, share / 100 % 100)
}

/// One run, for people.
fn as_text(name: &str, run: &Report) -> String {
    let mut text = format!("{name}, seed {}: {} of virtual time, {} probes, {} worlds\n\n", run.seed, seconds(run.length_ms), run.probes, run.worlds);
    for entry in &run.timeline {
        let _ = writeln!(text, "  {:>12}  {:<6}  {}", seconds(entry.at_ms), entry.kind, entry.text);
    }
    if run.more > 0 {
        let _ = writeln!(text, "  and {} more", run.more);
    }
    if !run.failures.is_empty() {
        let _ = writeln!(text, "\n  {:>12}  {:>10}  {:>10}  {:>10}  {:>12}  what went down", "at", "detected", "published", "last wrong", "cached until");
    }
    for failure in &run.failures {
        let times = [failure.detected_ms, failure.published_ms, failure.last_wrong_ms, failure.tail_ms].map(maybe);
        let still = if failure.unfinished { ", and still answered when that ended" } else { "" };
        let _ =
            writeln!(text, "  {:>12}  {:>10}  {:>10}  {:>10}  {:>12}  {}{still}", seconds(failure.at_ms), times[0], times[1], times[2], times[3], failure.what);
        for flow in &failure.flows {
            let _ = writeln!(text, "  {:>66}{}: {} {} → {}", "", flow.service, ppm(flow.ppm), flow.from, flow.to);
        }
    }
    if !run.loads.is_empty() {
        let _ = writeln!(text, "\n  {:>12}  {:>12}  {:>12}  load of", "peak", "at", "settled");
    }
    for load in &run.loads {
        let _ = writeln!(text, "  {:>12}  {:>12}  {:>12}  {}", permille(load.peak), seconds(load.at_ms), permille(load.settled), load.endpoint);
    }
    if let Some(who) = &run.most_moved {
        let _ = writeln!(text, "\n  most moves within an hour: {}.{:03}, of {who}", run.moves_per_hour / 1000, run.moves_per_hour % 1000);
    }
    text.push('\n');
    for breach in &run.breaches {
        let _ = writeln!(text, "  BROKEN {}: at {}: {} ({} times)", breach.expectation, seconds(breach.at_ms), breach.who, breach.times);
    }
    if run.breaches.is_empty() {
        text.push_str("  nothing that is expected was broken\n");
    }
    text
}

/// Median and worst of figures, of which some may be missing.
fn spread(figures: impl Iterator<Item = Option<u64>>, show: impl Fn(u64) -> String) -> String {
    let all: Vec<Option<u64>> = figures.collect();
    let mut there: Vec<u64> = all.iter().copied().flatten().collect();
    there.sort_unstable();
    let Some(worst) = there.last() else { return "never".to_owned() };
    let middle = there.len() / 2;
    let median = if there.len() % 2 == 1 { there[middle] } else { there[middle - 1].midpoint(there[middle]) };
    let missing = if there.len() < all.len() { format!(", {} times never", all.len() - there.len()) } else { String::new() };
    format!("median {}, worst {}{missing}", show(median), show(*worst))
}

/// Several runs, for people.
fn as_summary(name: &str, runs: &[Report]) -> String {
    let Some(first) = runs.first() else { return String::new() };
    let mut text = format!("{name}, {} seeds from {}: {} of virtual time each\n\n", runs.len(), first.seed, seconds(first.length_ms));
    for (index, failure) in first.failures.iter().enumerate() {
        let of = |figure: fn(&simulate::Failure) -> Option<u64>| spread(runs.iter().map(|run| run.failures.get(index).and_then(figure)), seconds);
        let _ = writeln!(text, "  at {}: {}", seconds(failure.at_ms), failure.what);
        let _ = writeln!(text, "    detected      {}", of(|failure| failure.detected_ms));
        let _ = writeln!(text, "    published     {}", of(|failure| failure.published_ms));
        let _ = writeln!(text, "    last wrong    {}", of(|failure| failure.last_wrong_ms));
        let _ = writeln!(text, "    cached until  {}", of(|failure| failure.tail_ms));
    }
    for (index, load) in first.loads.iter().enumerate() {
        let of = |figure: fn(&simulate::Load) -> u64| spread(runs.iter().map(|run| run.loads.get(index).map(figure)), permille);
        let _ = writeln!(text, "  load of {}: peak {}; settled {}", load.endpoint, of(|load| load.peak), of(|load| load.settled));
    }
    let moves = spread(runs.iter().map(|run| Some(run.moves_per_hour)), |moves| format!("{}.{:03}", moves / 1000, moves % 1000));
    let _ = writeln!(text, "  most moves of a client within an hour: {moves}\n");
    let mut told: Vec<&str> = Vec::new();
    for run in runs {
        for breach in run.breaches.iter().filter(|breach| !told.contains(&&*breach.expectation)).collect::<Vec<_>>() {
            told.push(&breach.expectation);
            let broken = runs.iter().filter(|run| run.breaches.iter().any(|other| other.expectation == breach.expectation)).count();
            let _ = writeln!(
                text,
                "  BROKEN {}: with {broken} of {} seeds, first with {}: at {}: {}",
                breach.expectation,
                runs.len(),
                run.seed,
                seconds(breach.at_ms),
                breach.who
            );
        }
    }
    if told.is_empty() {
        text.push_str("  nothing that is expected was broken\n");
    }
    text
}

/// For programs. Of several runs the timelines are left out.
fn as_json(name: &str, mut runs: Vec<Report>) -> String {
    if runs.len() > 1 {
        for run in &mut runs {
            run.more += run.timeline.len() as u64;
            run.timeline.clear();
        }
    }
    serde_json::to_string_pretty(&json!({ "scenario": name, "runs": runs })).expect("string keys only")
}
