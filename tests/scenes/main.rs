//! Scenes of steering: a world in TOML, statuses, and who gets what. An operator can read them; this file only plays them.
//!
//! ```text
//! --- world                                   TOML until the next line of three hyphens
//! --- a sentence that is the scene's name
//! status api/eu = down drain moving damped blocked latched load=900 ramp=500 weight=400 penalty=5   (unnamed endpoints are up)
//! ask api from 20.0.0.1/24 -> eu, us ; failover moving scope=16   (what stands behind the semicolon is optional, in any order)
//! ask api AAAA from 20.0.0.1 -> nodata
//! share api from 20.0.0.0/16 -> eu 75, us 25                      (per cent of 20,000 client prefixes, give or take 1.5)
//! ```
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;

use aya_gslb::catalog::{EndpointId, ServiceId};
use aya_gslb::config;
use aya_gslb::geo::Geo;
use aya_gslb::health::{Health, Intent, Status};
use aya_gslb::steer::{self, Ask, Chosen, Client, Family, Silent, Verdict};
use aya_gslb::units::{Micros, Permille};
use aya_gslb::world::World;

#[test]
fn every_scene_plays_as_written() {
    let mut played = 0;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenes");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut failures = Vec::new();
    for file in files.iter().filter(|file| file.extension().is_some_and(|extension| extension == "scene")) {
        let text = std::fs::read_to_string(file).unwrap();
        let name = file.file_name().unwrap().to_string_lossy();
        let mut world = None;
        for (line, title, body) in parts(&text) {
            if title == "world" {
                world = Some(compile(&body, &name));
                continue;
            }
            let world = world.as_ref().unwrap_or_else(|| panic!("{name}:{line}: a scene before its world"));
            failures.extend(play(world, &body, line).into_iter().map(|failure| format!("{name}: {title}\n    {failure}")));
            played += 1;
        }
    }
    assert!(failures.is_empty(), "{} of {played} scenes:\n{}", failures.len(), failures.join("\n"));
    assert!(played >= 30, "only {played} scenes were found");
}

/// The parts of a file: line number, title, body.
fn parts(text: &str) -> Vec<(usize, String, String)> {
    let mut parts: Vec<(usize, String, String)> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if let Some(title) = line.strip_prefix("--- ") {
            parts.push((number + 1, title.trim().to_owned(), String::new()));
        } else if let Some((_, _, body)) = parts.last_mut() {
            body.push_str(line);
            body.push('\n');
        }
    }
    parts
}

/// The world of a TOML text, everything up.
fn compile(text: &str, name: &str) -> World {
    let head = "zone = \"example.com\"\n[ns]\nns1 = [\"192.0.2.53\"]\nns2 = [\"198.51.100.53\"]\n";
    let source = config::SourceFile { name: name.into(), text: format!("{head}{text}").into() };
    let loaded = config::compile(vec![source], &|_, _| Err("no master files here".into())).unwrap_or_else(|failure| panic!("{name}: {failure:?}"));
    let geo = Geo::without_databases(&loaded.catalog);
    let mut world = World::unmeasured(1, Arc::new(loaded.catalog), Arc::new(geo));
    world.statuses.of.fill(Status::UP);
    world
}

/// Plays one scene; says what went otherwise.
fn play(world: &World, body: &str, first_line: usize) -> Vec<String> {
    let mut world = world.clone();
    let mut failures = Vec::new();
    for (line, number) in body.lines().zip(first_line + 1..) {
        let line = line.split('#').next().unwrap().trim();
        let outcome = match line.split_once(' ') {
            None if line.is_empty() => Ok(()),
            Some(("status", rest)) => set_status(&mut world, rest),
            Some(("ask", rest)) => play_ask(&world, rest),
            Some(("share", rest)) => play_share(&world, rest),
            _ => Err("cannot read this".to_owned()),
        };
        if let Err(why) = outcome {
            failures.push(format!("line {number}: {line}\n    {why}"));
        }
    }
    failures
}

/// `api/eu = down drain moving load=900`.
fn set_status(world: &mut World, text: &str) -> Result<(), String> {
    let (who, how) = text.split_once('=').ok_or("no =")?;
    let (service, endpoint) = who.trim().split_once('/').ok_or("no service/endpoint")?;
    let id = endpoint_named(world, service_named(world, service)?, endpoint)?;
    let mut status = Status::UP;
    for word in how.split_whitespace() {
        match word.split_once('=') {
            Some(("load", value)) => status.load = Permille(value.parse().unwrap()),
            Some(("ramp", value)) => status.ramp = Permille(value.parse().unwrap()),
            Some(("room", value)) => status.room = Permille(value.parse().unwrap()),
            Some(("weight", value)) => status.share = Permille(value.parse().unwrap()),
            Some(("penalty", value)) => status.penalty = Micros::from_millis(value.parse().unwrap()),
            _ => match word {
                "up" => status.health = Health::Up,
                "unknown" => status.health = Health::Unknown,
                "degraded" => status.health = Health::Degraded,
                "down" => status.health = Health::Down,
                "in" => status.intent = Intent::In,
                "drain" => status.intent = Intent::Drain,
                "out" => status.intent = Intent::Out,
                "moving" => status.moving = true,
                "damped" => status.damped = true,
                "blocked" => status.blocked = true,
                "latched" => status.latched = true,
                other => return Err(format!("no such status: {other}")),
            },
        }
    }
    world.statuses.of[id.index()] = status;
    Ok(())
}

/// `api [AAAA] from 20.0.0.1/24 -> eu, us ; failover moving scope=16`.
fn play_ask(world: &World, text: &str) -> Result<(), String> {
    let (question, expected) = text.split_once("->").ok_or("no ->")?;
    let (expected, facts) = expected.split_once(';').unwrap_or((expected, ""));
    let (chosen, service) = ask(world, question)?;
    let names: Vec<&str> = chosen.endpoints().iter().map(|id| world.catalog.endpoint(*id).name.as_ref()).collect();
    let found = match chosen.verdict {
        Verdict::Serve => names.join(", "),
        Verdict::Nodata => "nodata".to_owned(),
        Verdict::Servfail => "servfail".to_owned(),
    };
    let mut wrong = Vec::new();
    if found != expected.split(',').map(str::trim).collect::<Vec<_>>().join(", ") {
        wrong.push(format!("{} answers {found} ({})", world.catalog.service(service).label, chosen.reason.as_str()));
    }
    for fact in facts.split_whitespace() {
        let holds = match fact.split_once('=') {
            Some(("scope", scope)) => scope.parse() == Ok(chosen.scope),
            _ if fact == "moving" => chosen.moving,
            _ if fact == "steady" => !chosen.moving,
            _ => fact == chosen.reason.as_str(),
        };
        if !holds {
            wrong.push(format!("not {fact}, but {} moving={} scope={}", chosen.reason.as_str(), chosen.moving, chosen.scope));
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("; ")) }
}

/// `api from 20.0.0.0/16 -> eu 75, us 25`.
fn play_share(world: &World, text: &str) -> Result<(), String> {
    const CLIENTS: u32 = 20_000;
    let (question, expected) = text.split_once("->").ok_or("no ->")?;
    let (service, from) = question.split_once(" from ").ok_or("no from")?;
    let base: Ipv4Addr = from.trim().split('/').next().unwrap().parse().unwrap();
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    for client in 0..CLIENTS {
        let address = Ipv4Addr::from_bits(base.to_bits() + (client << 8));
        let (chosen, _) = ask(world, &format!("{service} from {address}/24"))?;
        *counts.entry(&world.catalog.endpoint(chosen.endpoints()[0]).name).or_default() += 1;
    }
    let told = told_shares(world, &format!("{service} from {base}/24"))?;
    for share in expected.split(',') {
        let (name, percent) = share.trim().split_once(' ').ok_or("no share")?;
        let wanted = percent.trim().parse::<f64>().unwrap();
        let found = f64::from(counts.remove(name).unwrap_or(0)) * 100.0 / f64::from(CLIENTS);
        if (found - wanted).abs() > 1.5 {
            return Err(format!("{name} has {found:.1} %"));
        }
        let told = told.get(name).copied().unwrap_or(0.0);
        if (told - found).abs() > 1.5 {
            return Err(format!("{name} is told to have {told:.1} %, and has {found:.1} %"));
        }
    }
    if counts.is_empty() { Ok(()) } else { Err(format!("others have some, too: {counts:?}")) }
}

/// What share of the clients at a place the decision says each endpoint has, in percent.
fn told_shares(world: &World, question: &str) -> Result<BTreeMap<String, f64>, String> {
    let ask = asked(world, question)?;
    let shares = steer::decide(&ask, world, &mut Silent).shares(world);
    #[expect(clippy::cast_precision_loss, reason = "a test compares with three digits")]
    let percent = |share: u64| share as f64 * 100.0 / steer::ALL_CLIENTS as f64;
    Ok(shares.into_iter().map(|(id, share)| (world.catalog.endpoint(id).name.to_string(), percent(share))).collect())
}

/// Asks and decides.
fn ask(world: &World, question: &str) -> Result<(Chosen, ServiceId), String> {
    let ask = asked(world, question)?;
    Ok((steer::decide(&ask, world, &mut Silent).choose(&ask.client, world), ask.service))
}

/// What is asked.
fn asked(world: &World, question: &str) -> Result<Ask, String> {
    let (what, from) = question.split_once(" from ").ok_or("no from")?;
    let (service, family) = match what.trim().split_once(' ') {
        Some((service, "AAAA")) => (service, Family::V6),
        Some((service, "A")) => (service, Family::V4),
        Some(_) => return Err("no such type".to_owned()),
        None => (what.trim(), Family::Any),
    };
    let (address, len) = from.trim().split_once('/').unwrap_or((from.trim(), ""));
    let address: IpAddr = address.parse().map_err(|_| "no address".to_owned())?;
    let len = if len.is_empty() { if address.is_ipv4() { 32 } else { 128 } } else { len.parse().unwrap() };
    let service = service_named(world, service)?;
    Ok(Ask { service, client: Client::at(address, len, &world.geo), family })
}

/// The service of this label.
fn service_named(world: &World, label: &str) -> Result<ServiceId, String> {
    let index = world.catalog.services.iter().position(|service| *service.label == *label).ok_or(format!("no service {label}"))?;
    Ok(ServiceId(u32::try_from(index).unwrap()))
}

/// The endpoint of this name.
fn endpoint_named(world: &World, service: ServiceId, name: &str) -> Result<EndpointId, String> {
    let found = world.catalog.endpoints_of(world.catalog.service(service)).find(|(_, endpoint)| *endpoint.name == *name);
    found.map(|(id, _)| id).ok_or(format!("no endpoint {name}"))
}
