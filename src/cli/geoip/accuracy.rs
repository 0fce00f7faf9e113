//! `aya geoip accuracy`: for how many addresses a database finds the region that a finer one finds.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::catalog::{Catalog, ClientSet, Region, Selector, known};
use crate::cli::load::drawn;
use crate::cli::{Exit, chain};
use crate::config;
use crate::config::geoip::read_databases;
use crate::geo::build::LARGE_COUNTRIES;
use crate::geo::{Code, Databases, Geo, rtt_between};

/// What is measured, and by what.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct AccuracyArgs {
    /// The databases to measure (MMDB), or folders of them, the first in precedence first.
    #[arg(value_name = "PATH", required = true, value_delimiter = ',')]
    measured: Vec<PathBuf>,
    /// The databases that are taken for the truth.
    #[arg(long, value_name = "PATH", required = true, value_delimiter = ',')]
    against: Vec<PathBuf>,
    /// A database of what is routed: only addresses whose country it knows are drawn. Without it, those that the truth knows.
    #[arg(long, value_name = "PATH")]
    routed: Option<PathBuf>,
    /// Regions of this cloud, other than a government's own.
    #[arg(long, value_name = "NAME", default_value = "aws")]
    cloud: String,
    /// The regions of these zones instead.
    #[arg(long, value_name = "DIR")]
    zones: Option<PathBuf>,
    /// How many IPv4 addresses are drawn.
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    v4: usize,
    /// How many IPv6 addresses are drawn.
    #[arg(long, value_name = "N", default_value_t = 40_000)]
    v6: usize,
    /// Another number draws other addresses.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Exit with 1 when fewer than so many per cent of all addresses find their region.
    #[arg(long, value_name = "PERCENT", default_value_t = 0.0)]
    require: f64,
    /// Exit with 1 when fewer than so many per cent do in any of the large countries (AU BR CA CN IN RU US).
    #[arg(long, value_name = "PERCENT", default_value_t = 0.0)]
    require_large: f64,
    /// One JSON object instead of a table.
    #[arg(long)]
    json: bool,
}

/// How many addresses find their region.
#[derive(Clone, Copy, Debug, Default)]
struct Score {
    /// All.
    all: u32,
    /// Those that find it by the measured databases.
    found: u32,
    /// Those that would by the centre of their country's population.
    by_country: u32,
}

impl Score {
    /// The measured databases' share in per cent.
    fn percent(&self) -> f64 {
        f64::from(self.found) * 100.0 / f64::from(self.all.max(1))
    }

    /// The countries' share in per cent.
    fn percent_by_country(&self) -> f64 {
        f64::from(self.by_country) * 100.0 / f64::from(self.all.max(1))
    }
}

/// Counts by family and by country.
#[derive(Debug, Default)]
struct Scores {
    /// IPv4 and IPv6.
    families: [Score; 2],
    /// Each country.
    countries: BTreeMap<Code, Score>,
}

/// Measures and tells. [`Exit::Negative`] when fewer find their region than are required.
#[expect(clippy::print_stderr, reason = "this is where people are told")]
pub(super) fn answer(args: &AccuracyArgs) -> Result<(String, Exit), String> {
    let read = |paths: &[PathBuf]| read_databases(paths).map_err(|error| chain(&error));
    let catalog = catalog(args)?;
    if catalog.regions.is_empty() {
        return Err(format!("no region of {} is known", args.cloud));
    }
    let geo = |databases: &Databases| Geo::compile(&catalog, databases).map_err(|error| chain(&error));
    let measured = geo(&read(&args.measured)?)?;
    let truth = read(&args.against)?;
    let routed = args.routed.as_ref().map(|path| read(std::slice::from_ref(path))).transpose()?;
    let true_geo = geo(&truth)?;
    let mut scores = Scores::default();
    for address in drawn_from(routed.as_ref().unwrap_or(&truth), args) {
        let country = truth.iter().find_map(|source| source.database.record(address).and_then(|record| record.country));
        if let Some(country) = country {
            scores.count(address, country, nearest(&catalog, country), &measured, &true_geo);
        }
    }
    let text = if args.json { scores.as_json(&catalog) } else { scores.as_text(&catalog) };
    let [v4, v6] = scores.families;
    let whole = Score { all: v4.all + v6.all, found: v4.found + v6.found, by_country: 0 };
    let large = scores.countries.iter().filter(|(code, _)| LARGE_COUNTRIES.contains(&code.as_str()));
    let worst = large.map(|(_, score)| score.percent()).fold(100.0, f64::min);
    if whole.percent() < args.require || worst < args.require_large {
        eprintln!("aya: {:.2} % in all and {worst:.2} % in the worst large country: less than required", whole.percent());
        return Ok((text, Exit::Negative));
    }
    Ok((text, Exit::Ok))
}

/// Addresses drawn from what databases know, of each the share that it has of them.
fn drawn_from(databases: &Databases, args: &AccuracyArgs) -> Vec<IpAddr> {
    let mut drawn: Vec<IpAddr> = Vec::new();
    for source in databases.iter() {
        let missing = |count: usize, is: fn(&IpAddr) -> bool, drawn: &[IpAddr]| count.saturating_sub(drawn.iter().filter(|address| is(address)).count());
        let v4 = source.database.sample_v4(missing(args.v4, IpAddr::is_ipv4, &drawn), args.seed);
        let v6 = source.database.sample_v6(missing(args.v6, IpAddr::is_ipv6, &drawn), args.seed);
        drawn.extend(v4.into_iter().map(IpAddr::from).chain(v6.into_iter().map(IpAddr::from)));
    }
    drawn
}

/// A catalog with nothing but the regions.
fn catalog(args: &AccuracyArgs) -> Result<Catalog, String> {
    if let Some(zones) = &args.zones {
        return config::load(&[zones]).map(|loaded| loaded.catalog).map_err(|failure| drawn(&failure));
    }
    let regions = known::cloud_regions().iter().filter(|region| region.cloud == args.cloud && !region.name.contains("-gov-"));
    let regions = regions.map(|known| Region {
        name: known.name.as_str().into(),
        cloud: known.cloud.into(),
        country: known.country.into(),
        at: known.at,
        tags: Box::default(),
        jurisdictions: [known.country.into()].into(),
    });
    let unknown = ClientSet { selectors: [Selector::Unknown].into(), countries: Box::default() };
    Ok(Catalog { regions: regions.collect(), client_sets: [unknown].into(), ..Catalog::default() })
}

/// The region nearest to a country's centre, by index.
fn nearest(catalog: &Catalog, country: Code) -> Option<usize> {
    let at = known::country(country.as_str())?.at?;
    first_least(catalog.regions.iter().map(|region| rtt_between(at, region.at)))
}

/// Index of the least, of equals the first.
fn first_least(values: impl Iterator<Item = u32>) -> Option<usize> {
    values.enumerate().min_by_key(|(_, value)| *value).map(|(index, _)| index)
}

/// Index of the region with the least round-trip time.
fn region_of(geo: &Geo, address: IpAddr) -> Option<usize> {
    first_least(geo.rtt_row(geo.locate(address, u8::MAX).locality).iter().copied())
}

impl Scores {
    /// Counts one address.
    fn count(&mut self, address: IpAddr, country: Code, by_country: Option<usize>, measured: &Geo, truth: &Geo) {
        let wanted = region_of(truth, address);
        let found = region_of(measured, address) == wanted;
        for score in [&mut self.families[usize::from(address.is_ipv6())], self.countries.entry(country).or_default()] {
            score.all += 1;
            score.found += u32::from(found);
            score.by_country += u32::from(by_country == wanted);
        }
    }

    /// The families and every country, for programs.
    fn as_json(&self, catalog: &Catalog) -> String {
        let of = |score: &Score| json!({ "addresses": score.all, "found-percent": score.percent(), "country-centres-percent": score.percent_by_country() });
        let countries: serde_json::Map<String, Value> = self.countries.iter().map(|(code, score)| (code.to_string(), of(score))).collect();
        let told = json!({ "regions": catalog.regions.len(), "ipv4": of(&self.families[0]), "ipv6": of(&self.families[1]), "countries": countries });
        format!("{told:#}\n")
    }

    /// A table for people: the families, then the countries with the most addresses.
    fn as_text(&self, catalog: &Catalog) -> String {
        let mut text = format!("Nearest of {} regions\n{:<14}{:>10}{:>12}{:>18}\n", catalog.regions.len(), "", "addresses", "found", "country centres");
        let mut line = |name: &str, score: &Score| {
            let (found, by_country) = (score.percent(), score.percent_by_country());
            _ = writeln!(text, "{name:<14}{:>10}{found:>10.2} %{by_country:>16.2} %", score.all);
        };
        line("IPv4", &self.families[0]);
        line("IPv6", &self.families[1]);
        let mut countries: Vec<(&Code, &Score)> = self.countries.iter().collect();
        countries.sort_by_key(|(code, score)| (std::cmp::Reverse(score.all), **code));
        let is_large = |code: &Code| LARGE_COUNTRIES.contains(&code.as_str());
        for (code, score) in countries.iter().filter(|(code, _)| is_large(code)) {
            line(code.as_str(), score);
        }
        for (code, score) in countries.iter().filter(|(code, _)| !is_large(code)).take(20) {
            line(code.as_str(), score);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_country_database_is_measured_by_the_shipped_one_and_fails_what_is_required() {
        #[derive(Debug, clap::Parser)]
        struct Line {
            #[command(flatten)]
            args: AccuracyArgs,
        }
        let geoip = concat!(env!("CARGO_MANIFEST_DIR"), "/geoip/");
        let (measured, truth) = (format!("{geoip}iptoasn-country.mmdb"), format!("{geoip}dbip-places.mmdb"));
        let words = ["accuracy", &measured, "--against", &truth, "--v4", "2000", "--v6", "500", "--json", "--require", "100"];
        let (text, exit) = answer(&<Line as clap::Parser>::try_parse_from(words).expect("a command line").args).expect("the shipped databases");
        assert_eq!(exit, Exit::Negative, "{text}");
        let told: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!((told["regions"].as_u64(), told["ipv4"]["addresses"].as_u64(), told["ipv6"]["addresses"].as_u64()), (Some(36), Some(2_000), Some(500)));
        let found = told["ipv4"]["found-percent"].as_f64().expect("a share");
        assert!(found > 30.0 && found < 70.0 && told["countries"]["US"]["addresses"].as_u64().expect("a count") > 100, "{text}");
    }
}
