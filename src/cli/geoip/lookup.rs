//! `aya geoip lookup`: what is known of addresses, and who says so.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::path::PathBuf;

use crate::catalog::Catalog;
use crate::cli::load::drawn;
use crate::cli::{chain, day};
use crate::config;
use crate::config::geoip::read_databases;
use crate::geo::{Geo, Lookup, Source, lookup};

/// Which addresses to look up, and where.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct LookupArgs {
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

/// The text to print, or why there is none.
pub(super) fn answer(args: &LookupArgs) -> Result<String, String> {
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
        Some(zones) => config::load(&[zones]).map(|loaded| loaded.catalog).map_err(|failure| drawn(&failure)),
    }
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
    match (&facts.subdivision, &facts.subdivision_name) {
        (Some(code), Some(name)) => line("subdivision", &format!("{code} ({name})")),
        (Some(text), None) | (None, Some(text)) => line("subdivision", text),
        (None, None) => {}
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
        "subdivision-name": facts.subdivision_name,
        "continent": facts.continent.map(|code| code.to_string()),
        "jurisdictions": facts.jurisdictions,
        "coordinates": facts.at.map(|at| [at.degrees().0, at.degrees().1]),
        "coordinates-of-country": facts.at_is_of_country,
        "asn": facts.asn,
    })
}

/// The day on which a database was built, as people write it.
fn built(seconds: u64) -> Option<String> {
    day(seconds).map(|day| format!("built {day}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `aya geoip lookup` with these words says.
    fn says(words: &[&str]) -> Result<String, String> {
        #[derive(clap::Parser)]
        struct Line {
            #[command(flatten)]
            args: LookupArgs,
        }
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/geoip");
        let line = <Line as clap::Parser>::try_parse_from(["lookup"].iter().chain(words).chain(&["--geoip", folder])).expect("a command line");
        answer(&line.args)
    }

    #[test]
    fn an_address_is_told_with_place_prefix_source_and_law() {
        let text = says(&["84.128.0.1"]).expect("the shipped database");
        let expected = "84.128.0.1\n  locality      DE (Hesse)\n  leaf          84.128.0.0/20\n  source        dbip-places.mmdb (built 2026-06-05)\n  \
                        country       DE\n  subdivision   Hesse\n  continent     EU\n  jurisdictions ADEQUATE, DE, EEA, EU, UK-ADEQUATE\n";
        assert_eq!(&text[..expected.len().min(text.len())], expected);
        assert!(!text.contains("(of the country)"), "{text}");
    }

    #[test]
    fn what_nobody_knows_is_unknown_and_no_error() {
        let text = says(&["192.0.2.1", "2001:db8::1", "--json"]).expect("the shipped database");
        let list: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!((&list[0]["locality"], &list[1]["source"]), (&"unknown".into(), &serde_json::Value::Null));
    }

    #[test]
    fn zones_that_cannot_be_read_are_an_error() {
        assert!(says(&["192.0.2.1", "--zones", "no/such/folder"]).is_err());
    }
}
