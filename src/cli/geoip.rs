//! `aya geoip lookup`: what is known of addresses, and who says so.

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::catalog::Catalog;
use crate::config::geoip::read_databases;
use crate::geo::{Geo, Lookup, Source, lookup};

/// What to ask the GeoIP databases.
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

/// Which addresses to look up, and where.
#[derive(Clone, Debug, clap::Args)]
struct LookupArgs {
    /// Addresses, IPv4 or IPv6.
    #[arg(value_name = "IP", required = true)]
    addresses: Vec<IpAddr>,
    /// MMDB files, or folders of them, the first in precedence first.
    #[arg(long, value_name = "PATH", env = "AYA_GEOIP", value_delimiter = ',', default_value = "geoip")]
    geoip: Vec<PathBuf>,
    /// Folder of zones, whose networks and rules count too.
    #[arg(long, value_name = "DIR")]
    zones: Option<PathBuf>,
    /// Answer as JSON, one array.
    #[arg(long)]
    json: bool,
}

/// Runs `aya geoip`. The exit code is 2 when a file cannot be read.
pub fn run(args: &GeoipArgs) -> ExitCode {
    let GeoipVerb::Lookup(args) = &args.verb;
    match answer(args) {
        // A reader that has gone away, as `head` does, is no failure.
        Ok(text) => {
            _ = std::io::stdout().write_all(text.as_bytes());
            ExitCode::SUCCESS
        }
        Err(message) => {
            _ = writeln!(std::io::stderr(), "error: {message}");
            ExitCode::from(2)
        }
    }
}

/// The text to print, or why there is none.
fn answer(args: &LookupArgs) -> Result<String, String> {
    let databases = read_databases(&args.geoip).map_err(|error| chain(&error))?;
    let catalog = catalog(args)?;
    let geo = Geo::compile(&catalog, &databases).map_err(|error| chain(&error))?;
    let facts = args.addresses.iter().map(|address| (*address, lookup(&catalog, &databases, &geo, *address)));
    if args.json {
        let list: Vec<_> = facts.map(|(address, facts)| as_json(address, &facts)).collect();
        return serde_json::to_string_pretty(&list).map(|text| text + "\n").map_err(|error| error.to_string());
    }
    let texts: Vec<String> = facts.map(|(address, facts)| as_text(address, &facts, &databases)).collect();
    Ok(texts.join("\n"))
}

/// The catalog of the zones folder, or an empty one.
fn catalog(args: &LookupArgs) -> Result<Catalog, String> {
    match &args.zones {
        None => Ok(Catalog::default()),
        Some(_) => Err("--zones is not known yet".into()),
    }
}

/// An error with what it comes from.
fn chain(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |error| error.source()).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// The facts for people: a line each.
fn as_text(address: IpAddr, facts: &Lookup, sources: &[Source]) -> String {
    let mut text = format!("{address}\n");
    let mut line = |name: &str, value: &str| _ = writeln!(text, "  {name:<14}{value}");
    line("locality", &facts.label);
    line("leaf", &facts.leaf.to_string());
    let built = sources.iter().find(|source| Some(&source.name) == facts.source.as_ref()).and_then(|source| built(source.database.metadata().built));
    match (&facts.source, built) {
        (Some(source), Some(built)) => line("source", &format!("{source} ({built})")),
        (Some(source), None) => line("source", source),
        (None, _) => line("source", "none knows it"),
    }
    if let Some(country) = facts.country {
        line("country", country.as_str());
    }
    if let Some(subdivision) = &facts.subdivision {
        line("subdivision", subdivision);
    }
    if let Some(continent) = facts.continent {
        line("continent", continent.as_str());
    }
    let jurisdictions = if facts.jurisdictions.is_empty() { "unknown".to_owned() } else { facts.jurisdictions.join(", ") };
    line("jurisdictions", &jurisdictions);
    if let Some(at) = facts.at {
        let (latitude, longitude) = at.degrees();
        let of = if facts.at_is_of_country { " (of the country)" } else { "" };
        line("coordinates", &format!("{latitude}, {longitude}{of}"));
    }
    if let Some(asn) = facts.asn {
        line("asn", &asn.to_string());
    }
    text
}

/// The facts for programs.
fn as_json(address: IpAddr, facts: &Lookup) -> serde_json::Value {
    serde_json::json!({
        "address": address,
        "locality": facts.label,
        "leaf": facts.leaf.to_string(),
        "source": facts.source,
        "country": facts.country.map(|code| code.to_string()),
        "subdivision": facts.subdivision,
        "continent": facts.continent.map(|code| code.to_string()),
        "jurisdictions": facts.jurisdictions,
        "coordinates": facts.at.map(|at| [at.degrees().0, at.degrees().1]),
        "coordinates-of-country": facts.at_is_of_country,
        "asn": facts.asn,
    })
}

/// The day on which a database was built, as people write it.
fn built(seconds: u64) -> Option<String> {
    let moment = jiff::Timestamp::from_second(i64::try_from(seconds).ok()?).ok()?;
    (seconds > 0).then(|| format!("built {}", moment.strftime("%Y-%m-%d")))
}
