//! `aya geoip diff`: whom an update of the databases moves, before it is served.
//!
//! Exact, not sampled: both geographies are compiled for the zones' catalog and laid over each other, and every overlap of two localities is
//! decided by the very path that answers queries, with all endpoints taken as up. Each address counts as if it asked with all its bits.

mod moves;
#[cfg(test)]
mod naive;
mod report;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::catalog::Catalog;
use crate::cli::load::drawn;
use crate::cli::{Exit, chain, day};
use crate::config;
use crate::config::geoip::read_databases;
use crate::geo::{Geo, SourceInfo};
use moves::{Comparison, FAMILIES, compare};

/// What is compared, and for whom.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct DiffArgs {
    /// The databases in use: MMDB files or folders of them, separated by commas, the first in precedence first.
    #[arg(value_name = "OLD", value_parser = side)]
    old: Side,
    /// The databases that are to be used instead.
    #[arg(value_name = "NEW", value_parser = side)]
    new: Side,
    /// Files or folders of zones: whose services are decided for.
    #[arg(long, visible_alias = "zone", value_name = "PATH", env = "AYA_ZONES", value_delimiter = ',', default_value = "zones")]
    zones: Vec<PathBuf>,
    /// How many of the largest moves of a service are told.
    #[arg(long, value_name = "N", default_value_t = 5)]
    top: usize,
    /// Exit with 1 when more than so many per cent of a family's addresses move for any service.
    #[arg(long, value_name = "PERCENT", default_value_t = 100.0, value_parser = percent)]
    fail_above: f64,
    /// One JSON object instead of tables.
    #[arg(long)]
    json: bool,
}

/// The databases of one side.
#[derive(Clone, Debug)]
struct Side(Vec<PathBuf>);

/// Reads paths that commas separate.
fn side(text: &str) -> Result<Side, String> {
    let paths: Vec<PathBuf> = text.split(',').filter(|path| !path.is_empty()).map(PathBuf::from).collect();
    if paths.is_empty() { Err("no path".to_owned()) } else { Ok(Side(paths)) }
}

/// Reads per cent.
fn percent(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|percent| (0.0..=100.0).contains(percent)).ok_or_else(|| "not a number from 0 to 100".to_owned())
}

/// Compares and tells. [`Exit::Negative`] when more moves than may.
#[expect(clippy::print_stderr, reason = "this is where people are told")]
pub(super) fn answer(args: &DiffArgs) -> Result<(String, Exit), String> {
    let catalog = config::load(&args.zones).map(|loaded| loaded.catalog).map_err(|failure| drawn(&failure))?;
    if catalog.services.is_empty() {
        return Err("the zones have no service: nothing is steered, so nothing moves".to_owned());
    }
    let catalog = Arc::new(catalog);
    let (old, new) = (read(&args.old.0, &catalog)?, read(&args.new.0, &catalog)?);
    let told = [told(old.sources()), told(new.sources())];
    let comparison = compare(&catalog, old, new);
    let text = if args.json { report::as_json(&comparison, &catalog, &told, args.top) } else { report::as_text(&comparison, &catalog, &told, args.top) };
    let moved = too_many(&comparison, args.fail_above);
    for (service, family, percent) in &moved {
        eprintln!("aya: {percent:.2} % of {family} moves for {service}, more than {} %", args.fail_above);
    }
    Ok((text, if moved.is_empty() { Exit::Ok } else { Exit::Negative }))
}

/// Reads and compiles one side.
fn read(paths: &[impl AsRef<Path>], catalog: &Catalog) -> Result<Arc<Geo>, String> {
    let databases = read_databases(paths).map_err(|error| chain(&error))?;
    Geo::compile(catalog, &databases).map(Arc::new).map_err(|error| chain(&error))
}

/// The databases of one side for people, with their dates.
fn told(sources: &[SourceInfo]) -> Vec<String> {
    let of = |source: &SourceInfo| match day(source.metadata.built) {
        Some(day) => format!("{} ({day})", source.name),
        None => source.name.to_string(),
    };
    sources.iter().map(of).collect()
}

/// Services and families of which more moves than this, with how much, in per cent.
fn too_many(comparison: &Comparison, percent: f64) -> Vec<(&str, &'static str, f64)> {
    let mut found = Vec::new();
    for service in &comparison.services {
        for (family, name) in FAMILIES.into_iter().enumerate() {
            let moved = comparison.share(service.moved, family) * 100.0;
            if moved > percent {
                found.push((service.name.as_str(), name, moved));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `aya geoip diff` with these words says.
    fn says(words: &[&str]) -> Result<(String, Exit), String> {
        #[derive(Debug, clap::Parser)]
        struct Line {
            #[command(flatten)]
            args: DiffArgs,
        }
        let root = |word: &str| word.replace("ROOT", env!("CARGO_MANIFEST_DIR"));
        let words = std::iter::once("diff".to_owned()).chain(words.iter().map(|word| root(word)));
        answer(&<Line as clap::Parser>::try_parse_from(words).expect("a command line").args)
    }

    #[test]
    fn the_shipped_databases_move_nobody_from_themselves() {
        let (text, exit) = says(&["ROOT/geoip", "ROOT/geoip/dbip-places.mmdb,ROOT/geoip/iptoasn-country.mmdb", "--zone", "ROOT/zones", "--fail-above", "0"])
            .expect("the shipped databases");
        assert_eq!(exit, Exit::Ok, "{text}");
        assert!(text.contains("0.00 %") && !text.contains(" → "), "{text}");
    }

    #[test]
    fn a_country_database_against_the_shipped_one_moves_clients_of_large_countries() {
        let words = ["ROOT/geoip/iptoasn-country.mmdb", "ROOT/geoip/dbip-places.mmdb", "--zones", "ROOT/zones", "--json", "--fail-above", "10"];
        let (text, exit) = says(&words).expect("the shipped databases");
        assert_eq!(exit, Exit::Negative, "the edge service tells states apart");
        let value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        let edge = value["services"].as_array().expect("a list").iter().find(|service| service["service"] == "edge.gslb.example.com").expect("edge");
        assert!(edge["moved"]["ipv4"].as_f64().expect("a share") > 0.1, "{edge}");
        assert!(edge["moves"][0]["countries"].as_array().expect("a list").iter().any(|country| country["new"] == "US"), "{edge}");
    }

    #[test]
    fn what_cannot_be_read_is_an_error() {
        assert!(says(&["no/such.mmdb", "ROOT/geoip", "--zones", "ROOT/zones"]).expect_err("no such file").contains("no/such.mmdb"));
        assert!(says(&["ROOT/geoip", "ROOT/geoip", "--zones", "no/such/folder"]).is_err());
        assert!(side("").is_err() && side(",").is_err());
        assert!(percent("101").is_err() && percent("-1").is_err() && percent("NaN").is_err());
    }
}
