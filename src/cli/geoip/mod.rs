//! `aya geoip`: asks makes and measures GeoIP databases.

mod accuracy;
mod build;
mod lookup;

use std::io::Write as _;

use super::Exit;
use accuracy::AccuracyArgs;
use build::BuildArgs;
use lookup::LookupArgs;

/// What to do with GeoIP databases.
#[derive(Clone, Debug, clap::Args)]
pub struct GeoipArgs {
    /// What to do.
    #[command(subcommand)]
    verb: GeoipVerb,
}

/// The verbs of `aya geoip`.
#[derive(Clone, Debug, clap::Subcommand)]
enum GeoipVerb {
    /// Tell what is known of addresses: locality, leaf prefix, country, jurisdictions, coordinates, and which source says so.
    Lookup(LookupArgs),
    /// Make a small database from city databases: as coarse as steering between cloud regions allows.
    Build(BuildArgs),
    /// Measure for how many addresses a database finds the region that a finer one finds.
    Accuracy(AccuracyArgs),
}

/// Runs `aya geoip`: [`Exit::Error`] when a file cannot be read.
#[expect(clippy::print_stderr, reason = "this is where people are told")]
pub fn run(args: &GeoipArgs) -> Exit {
    let answer = match &args.verb {
        GeoipVerb::Lookup(args) => lookup::answer(args),
        GeoipVerb::Build(args) => build::answer(args),
        GeoipVerb::Accuracy(args) => accuracy::answer(args),
    };
    match answer {
        // A reader that has gone away, as `head` does, is no failure.
        Ok(text) => {
            _ = std::io::stdout().write_all(text.as_bytes());
            Exit::Ok
        }
        Err(message) => {
            eprintln!("aya: {message}");
            Exit::Error
        }
    }
}

/// The day of a moment in seconds since the Unix epoch; 0 is none.
fn day(seconds: u64) -> Option<String> {
    let moment = jiff::Timestamp::from_second(i64::try_from(seconds).ok()?).ok()?;
    (seconds > 0).then(|| moment.strftime("%Y-%m-%d").to_string())
}
