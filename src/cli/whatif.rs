//! `aya whatif` and `aya diff`: who would move, before it happens.
//!
//! Both compare two worlds by the path that answers queries, for the clients of a mix: as many at each place as there are addresses, countries with
//! declared weights, or recorded prefixes. Loads are fitted to capacities on both sides, as a node would do.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::load::{Content, LoadError, Loaded, drawn};
use super::{Exit, tell_error};
use crate::catalog::{RegionSet, ServiceId, glob};
use crate::config::Failure;
use crate::config::recording::read_recording;
use crate::demand::{Clients, Mix, Shift, Side, shift};
use crate::explain::{NoSuchRegion, regions_named, with_regions_down};
use crate::geo::Code;
use crate::near::or_near;
use crate::steer::ALL_CLIENTS;
use crate::units::Permille;
use crate::world::World;

/// What both verbs are told.
#[derive(Clone, Debug, clap::Args)]
struct Common {
    /// MMDB files, or folders of them.
    #[arg(long, value_name = "PATH", env = "AYA_GEOIP", value_delimiter = ',', default_value = "geoip")]
    geoip: Vec<PathBuf>,
    /// Services to tell of: owner names or labels, or globs such as api-*; all by default.
    #[arg(long, value_name = "GLOB")]
    service: Option<String>,
    /// The client mix: countries and their weights, as in DE=40,US=60, or a file of lines "PREFIX WEIGHT". By default clients are where addresses are.
    #[arg(long, value_name = "COUNTRY=WEIGHT|FILE", value_delimiter = ',', value_parser = asking)]
    clients: Vec<Asking>,
    /// Exit with 1 when more than so many per cent of the clients of any service move.
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100))]
    fail_above: Option<u8>,
    /// One JSON object instead of text.
    #[arg(long)]
    json: bool,
}

/// What `aya whatif` is told.
#[derive(Clone, Debug, clap::Args)]
pub struct WhatifArgs {
    /// Regions that are lost: names, globs such as aws-*, or cloud:NAME.
    #[arg(long, value_name = "REGION", value_delimiter = ',', required = true)]
    down: Vec<String>,
    /// Files or folders of zones.
    #[arg(long, value_name = "PATH", env = "AYA_ZONES", value_delimiter = ',', default_value = "zones")]
    zones: Vec<PathBuf>,
    /// The rest.
    #[command(flatten)]
    common: Common,
}

/// What `aya diff` is told.
#[derive(Clone, Debug, clap::Args)]
pub struct DiffArgs {
    /// The zones in use: a file or folder.
    #[arg(value_name = "OLD")]
    old: PathBuf,
    /// The zones that are to be used instead.
    #[arg(value_name = "NEW")]
    new: PathBuf,
    /// The rest.
    #[command(flatten)]
    common: Common,
}

/// Why nothing can be told.
#[derive(Debug, thiserror::Error)]
enum WhatifError {
    /// The files do not load.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// No region is meant.
    #[error(transparent)]
    NoSuchRegion(#[from] NoSuchRegion),
    /// No service is meant.
    #[error("no service is called {word:?}{}", or_near(.near.as_deref()))]
    NoSuchService {
        /// What should have been one.
        word: String,
        /// The one that was probably meant.
        near: Option<String>,
    },
    /// Nobody asks.
    #[error("the geography knows no address of the countries in --clients")]
    NoClients,
    /// The recorded clients have mistakes.
    #[error("{}", drawn(.0))]
    Recording(Box<Failure>),
    /// Clients are said in two ways.
    #[error("--clients takes countries, or one file")]
    TwoMixes,
}

/// One part of `--clients`.
#[derive(Clone, Debug)]
enum Asking {
    /// A country and its weight.
    Country(Code, u64),
    /// Where clients are recorded.
    Recorded(PathBuf),
}

/// Reads `DE=40`, or a path: whatever has no `=`, or a `/`.
fn asking(text: &str) -> Result<Asking, String> {
    let Some((country, weight)) = text.split_once('=').filter(|_| !text.contains('/')) else { return Ok(Asking::Recorded(text.into())) };
    let parsed = Code::parse(country).and_then(|country| Some(Asking::Country(country, weight.parse().ok()?)));
    parsed.ok_or_else(|| "not a country and a whole number, as in DE=40".to_owned())
}

/// Who asks.
fn clients(parts: &[Asking]) -> Result<Clients, WhatifError> {
    let (mut countries, mut files): (Vec<(Code, u64)>, Vec<&Path>) = (Vec::new(), Vec::new());
    for part in parts {
        match part {
            Asking::Country(country, weight) => countries.push((*country, *weight)),
            Asking::Recorded(path) => files.push(path),
        }
    }
    match (countries.is_empty(), &*files) {
        (true, []) => Ok(Clients::Addresses),
        (false, []) => Ok(Clients::Countries(countries.into())),
        (true, [file]) => read_recording(file).map(Clients::Recorded).map_err(|failure| WhatifError::Recording(failure.into())),
        _ => Err(WhatifError::TwoMixes),
    }
}

/// A service on both sides.
struct Told {
    /// Its name.
    name: String,
    /// Whether it is there before and after.
    there: [bool; 2],
    /// What changes.
    shift: Shift,
}

/// Tells who moves when regions are lost. Exits with 0; with 1 when more move than may; with 2 on errors.
pub fn run(args: &WhatifArgs) -> Exit {
    tell(&args.common, || {
        let before = read(&args.zones, &args.common)?;
        let mut lost = RegionSet::NONE;
        for word in &args.down {
            regions_named(&before, word)?.iter().for_each(|region| lost.insert(region));
        }
        let after = with_regions_down(&before, &lost);
        Ok([before, after])
    })
}

/// Tells who moves when other zones are served. Exits as [`run`].
pub fn diff(args: &DiffArgs) -> Exit {
    tell(&args.common, || Ok([read(std::slice::from_ref(&args.old), &args.common)?, read(std::slice::from_ref(&args.new), &args.common)?]))
}

/// From files, with everything that was never measured taken as up.
fn read(zones: &[PathBuf], common: &Common) -> Result<World, WhatifError> {
    let Loaded { catalog, geo, .. } = Content::Files { zones: zones.to_vec(), geoip: common.geoip.clone() }.load()?;
    Ok(World::unmeasured(0, catalog, geo).as_if_measured_up())
}

/// Compares and prints.
fn tell(common: &Common, worlds: impl FnOnce() -> Result<[World; 2], WhatifError>) -> Exit {
    match worlds().and_then(|[before, after]| compare(&before, &after, common)) {
        Ok(told) => {
            let text = if common.json { as_json(&told) } else { as_text(&told) };
            // Whoever closes the pipe early has seen enough.
            let _ = writeln!(std::io::stdout().lock(), "{}", text.trim_end());
            let most = told.iter().map(|told| told.shift.moved).max().unwrap_or(0);
            match common.fail_above {
                Some(percent) if most * 100 > u64::from(percent) * ALL_CLIENTS => Exit::Negative,
                _ => Exit::Ok,
            }
        }
        Err(error) => {
            tell_error(&error);
            Exit::Error
        }
    }
}

/// Compares every service that is meant.
fn compare(before: &World, after: &World, common: &Common) -> Result<Vec<Told>, WhatifError> {
    let mix = Mix::of(&before.geo, &clients(&common.clients)?);
    if mix.groups().is_empty() {
        return Err(WhatifError::NoClients);
    }
    let mut names: Vec<_> =
        [before, after].into_iter().flat_map(|world| world.catalog.services.iter()).map(|service| (service.name.clone(), service.label.clone())).collect();
    names.sort();
    names.dedup();
    let is_meant = |name: &str, label: &str| common.service.as_deref().is_none_or(|wanted| glob(wanted, name) || glob(wanted, label));
    names.retain(|(name, label)| is_meant(&name.to_string(), label));
    if let (Some(wanted), true) = (&common.service, names.is_empty()) {
        let near = [after, before].into_iter().find_map(|world| world.catalog.service_nearly_called(wanted));
        return Err(WhatifError::NoSuchService { word: wanted.clone(), near });
    }
    let side = |world: &World, id: Option<ServiceId>| id.map(|id| Side::of(world, id, &mix));
    let told = names.into_iter().map(|(name, _)| {
        let sides = [side(before, before.catalog.service_named(&name)), side(after, after.catalog.service_named(&name))];
        let there = sides.each_ref().map(Option::is_some);
        let shift = match &sides {
            [Some(before), Some(after)] => shift(before, after, &mix),
            // Everybody loses it, or everybody wins it: nobody moves from one answer to another.
            _ => Shift { moved: ALL_CLIENTS, factors: [1000; 2], ..Shift::default() },
        };
        Told { name: name.to_string(), there, shift }
    });
    Ok(told.collect())
}

/// A share in per cent, with two decimals.
fn percent(share: u64) -> String {
    let hundredths = (u128::from(share) * 10_000 + u128::from(ALL_CLIENTS) / 2) / u128::from(ALL_CLIENTS);
    format!("{}.{:02} %", hundredths / 100, hundredths % 100)
}

/// For people.
fn as_text(told: &[Told]) -> String {
    let mut text = String::new();
    for Told { name, there, shift } in told {
        match there {
            [true, false] => {
                let _ = writeln!(text, "{name}: is removed\n");
                continue;
            }
            [false, true] => {
                let _ = writeln!(text, "{name}: is new\n");
                continue;
            }
            _ => {}
        }
        let _ = writeln!(text, "{name}: {} of the clients move", percent(shift.moved));
        for flow in &shift.flows {
            let region = |region: &Option<Box<str>>| region.as_deref().unwrap_or("no answer").to_owned();
            let _ = writeln!(text, "  {:>8}  {} → {}", percent(flow.share), region(&flow.from), region(&flow.to));
        }
        let _ = writeln!(text, "  latency   {} → {}", shift.rtt[0], shift.rtt[1]);
        if shift.price.iter().any(|price| price.0 != 0) {
            let _ = writeln!(text, "  cost      {} → {} per million requests", shift.price[0], shift.price[1]);
        }
        for (key, before, after) in &shift.loads {
            let load = |load: &Option<Permille>| load.map_or("none".to_owned(), |load| format!("{}.{} %", load.0 / 10, load.0 % 10));
            let _ = writeln!(text, "  load      {} {} → {} of its capacity", key.endpoint, load(before), load(after));
        }
        if shift.factors[1] > 1000 && shift.loads.iter().any(|(_, _, after)| after.is_some_and(|after| after.0 > 1000)) {
            let _ = writeln!(text, "  there is not room for all: whoever can help is beyond its capacity");
        }
        text.push('\n');
    }
    text
}

/// For programs.
fn as_json(told: &[Told]) -> String {
    // Six digits of a share fit a u32, and so a float exactly.
    let millionths = |share: u64| u32::try_from(u128::from(share) * 1_000_000 / u128::from(ALL_CLIENTS)).unwrap_or(1_000_000);
    let share = |share: u64| json!(f64::from(millionths(share)) / 1_000_000.0);
    let services: Vec<_> = told
        .iter()
        .map(|Told { name, there, shift }| {
            json!({
                "service": name,
                "before": there[0],
                "after": there[1],
                "moved": share(shift.moved),
                "flows": shift.flows.iter().map(|flow| json!({ "from": flow.from, "to": flow.to, "share": share(flow.share) })).collect::<Vec<_>>(),
                "rtt-us": shift.rtt.map(|rtt| rtt.0),
                "micro-usd-per-million": shift.price.map(|price| price.0),
                "loads": shift.loads.iter().map(|(key, before, after)| json!({
                    "endpoint": key.endpoint, "region": key.region, "before-permille": before.map(|load| load.0), "after-permille": after.map(|load| load.0),
                })).collect::<Vec<_>>(),
                "fits": shift.factors.map(|factor| factor <= 1000),
            })
        })
        .collect();
    serde_json::to_string_pretty(&json!({ "services": services })).expect("string keys only")
}
