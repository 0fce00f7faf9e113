//! `aya geoip build`: makes a small database from city databases.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::cli::{chain, day};
use crate::config::geoip::read_databases;
use crate::geo::Code;
use crate::geo::build::{LARGE_COUNTRIES, Reduction, Summary, reduce};

/// From what, and where to.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct BuildArgs {
    /// City databases (MMDB), or folders of them, the first in precedence first.
    #[arg(long, value_name = "PATH", value_delimiter = ',', num_args = 1.., required = true)]
    from: Vec<PathBuf>,
    /// The file to make; what stood there is replaced when it is complete.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Countries that are told apart by subdivision in any case; others are where the nearest cloud region changes by it.
    #[arg(long, value_name = "CODE", value_delimiter = ',', default_values = LARGE_COUNTRIES, value_parser = country)]
    split: Vec<Code>,
    /// What the file says of itself in addition to its sources: attribution, for one.
    #[arg(long, value_name = "TEXT", default_value = "")]
    about: String,
    /// One JSON object instead of a list.
    #[arg(long)]
    json: bool,
}

/// A country's code.
fn country(text: &str) -> Result<Code, String> {
    Code::parse(text).filter(|code| crate::catalog::known::country(code.as_str()).is_some()).ok_or_else(|| "not a country of ISO 3166-1".to_owned())
}

/// Makes the file and tells what is in it.
pub(super) fn answer(args: &BuildArgs) -> Result<String, String> {
    let databases = read_databases(&args.from).map_err(|error| chain(&error))?;
    let told = databases.iter().map(|source| {
        let about = source.database.metadata();
        format!("{} ({}{})", source.name, about.kind, day(about.built).map(|day| format!(", {day}")).unwrap_or_default())
    });
    let mut description = format!("Countries and subdivisions with the centre of their addresses. Made from {}.", told.collect::<Vec<_>>().join(", "));
    if !args.about.is_empty() {
        let _ = write!(description, " {}", args.about);
    }
    let made = reduce(&databases, &Reduction { split: args.split.clone(), description }).map_err(|error| chain(&error))?;
    replace(&args.out, &made.octets).map_err(|error| format!("cannot write {}: {error}", args.out.display()))?;
    let tell = if args.json { as_json } else { as_text };
    Ok(tell(&args.out, made.octets.len(), &made.summary))
}

/// Puts a file in the place of another, so that at no time half of it stands there.
fn replace(path: &Path, octets: &[u8]) -> std::io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let mut file = std::fs::File::create(&beside)?;
    let written = file.write_all(octets).and_then(|()| file.sync_all()).and_then(|()| std::fs::rename(&beside, path));
    if written.is_err() {
        _ = std::fs::remove_file(&beside);
    }
    written
}

/// What is in the file, for programs.
fn as_json(path: &Path, octets: usize, about: &Summary) -> String {
    let kept: serde_json::Map<String, Value> = about.kept.iter().map(|(cloud, kept)| ((*cloud).to_owned(), json!(f64::from(*kept) / 10_000.0))).collect();
    let split: Vec<String> = about.split.iter().map(ToString::to_string).collect();
    let told = json!({
        "file": path.display().to_string(),
        "octets": octets,
        "nodes": about.nodes,
        "sources-of": day(about.built),
        "ranges": { "ipv4": about.v4_ranges, "ipv6": about.v6_ranges },
        "places": about.places,
        "by-subdivision": split,
        "nearest-kept-percent": kept,
    });
    format!("{told:#}\n")
}

/// What is in the file, for people.
fn as_text(path: &Path, octets: usize, about: &Summary) -> String {
    let mut text = format!("{}\n", path.display());
    let mut line = |name: &str, value: &str| _ = writeln!(text, "  {name:<15}{value}");
    line("size", &format!("{}.{} MB, {} nodes", octets / 1_000_000, octets / 100_000 % 10, about.nodes));
    if let Some(day) = day(about.built) {
        line("sources of", &day);
    }
    line("ranges", &format!("{} of IPv4, {} of IPv6", about.v4_ranges, about.v6_ranges));
    line("places", &about.places.to_string());
    let split: Vec<String> = about.split.iter().map(ToString::to_string).collect();
    line("by subdivision", &split.join(" "));
    for (cloud, kept) in &about.kept {
        line("nearest kept", &format!("{cloud} {}.{:02} %", kept / 10_000, kept / 100 % 100));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_is_told_to_programs() {
        #[derive(Debug, clap::Parser)]
        struct Line {
            #[command(flatten)]
            args: BuildArgs,
        }
        let from = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/geography/nested-city.mmdb");
        let out = std::env::temp_dir().join(format!("aya-made-{}.mmdb", std::process::id())).display().to_string();
        let words = ["build", "--from", from, "--out", &out, "--json"];
        let text = answer(&<Line as clap::Parser>::try_parse_from(words).expect("a command line").args).expect("the fixture");
        let told: Value = serde_json::from_str(&text).expect("JSON");
        let written = std::fs::metadata(&out).ok().map(|file| file.len());
        _ = std::fs::remove_file(&out);
        assert_eq!(told["octets"].as_u64(), written, "{text}");
        assert!(told["ranges"]["ipv4"].as_u64().is_some_and(|ranges| ranges > 0) && told["nearest-kept-percent"]["aws"].is_f64(), "{text}");
    }
}
