//! `aya geoip`: asks, makes, compares and measures GeoIP databases.

mod accuracy;
mod build;
mod diff;
mod lookup;

use std::io::Write as _;

use super::Exit;
use accuracy::AccuracyArgs;
use build::BuildArgs;
use diff::DiffArgs;
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
    /// Tell whom other databases would move: which share of the address space changes region, for each service.
    ///
    /// Every address that either side knows is decided for by the path that answers queries, with every endpoint up, as if it asked with all its
    /// bits: A for IPv4, AAAA for IPv6. Of an answer with several endpoints the first counts. Where endpoints share the clients of a place, those
    /// that move are the expected share of them. IPv6 is counted in /48s. Nothing is sampled.
    Diff(DiffArgs),
    /// Measure for how many addresses a database finds the region that a finer one finds.
    Accuracy(AccuracyArgs),
}

/// Runs `aya geoip`: [`Exit::Error`] when a file cannot be read, [`Exit::Negative`] when a comparison finds more, or a measurement less, than it may.
#[expect(clippy::print_stderr, reason = "this is where people are told")]
pub fn run(args: &GeoipArgs) -> Exit {
    let well = |text| (text, Exit::Ok);
    let answer = match &args.verb {
        GeoipVerb::Lookup(args) => lookup::answer(args).map(well),
        GeoipVerb::Build(args) => build::answer(args).map(well),
        GeoipVerb::Diff(args) => diff::answer(args),
        GeoipVerb::Accuracy(args) => accuracy::answer(args),
    };
    match answer {
        // A reader that has gone away, as `head` does, is no failure.
        Ok((text, exit)) => {
            _ = std::io::stdout().write_all(text.as_bytes());
            exit
        }
        Err(message) => {
            eprintln!("aya: {message}");
            Exit::Error
        }
    }
}
