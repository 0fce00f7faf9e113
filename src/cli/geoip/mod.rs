//! `aya geoip`: asks GeoIP databases.

mod lookup;

use std::io::Write as _;

use super::Exit;
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
}

/// Runs `aya geoip`: [`Exit::Error`] when a file cannot be read.
#[expect(clippy::print_stderr, reason = "this is where people are told")]
pub fn run(args: &GeoipArgs) -> Exit {
    let answer = match &args.verb {
        GeoipVerb::Lookup(args) => lookup::answer(args),
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
