//! Why this answer: the very decision of the data path, told for people and programs.
//!
//! Pure. [`explain`] runs [`steer::decide`] with a recording witness and the same [`steer::Decision::choose`]; nothing is ranked here,
//! only worded. What is printed and what is serialised are one value.

use std::fmt;
use std::net::IpAddr;

use serde::Serialize;

use crate::catalog::{AnswerKind, By, EndpointId, Name, NameError, RegionId, RegionSet, Service, ServiceId, ZoneId};
use crate::geo::{Located, RttSource};
use crate::health::{Health, Intent, Status};
use crate::steer::{self, Ask, Chosen, Client, Exclusion, Family, Recorder, Relaxation, Step, Verdict};
use crate::units::Micros;
use crate::world::World;

/// A question as people put it, on a command line or in an URL.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The owner name.
    pub name: &'a str,
    /// The client: an address, or a prefix as in `192.0.2.0/24`.
    pub client: &'a str,
    /// The type, in any case; absent it is `A`.
    pub qtype: Option<&'a str>,
    /// Regions taken as down: names, globs with `*`, or `cloud:NAME`, separated by commas.
    pub down: &'a str,
}

/// Why a question has no explanation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// The name does not read.
    #[error("{0:?} is no name: {1}")]
    BadName(String, #[source] NameError),
    /// The client does not read.
    #[error("{0:?} is neither an address nor a prefix such as 192.0.2.0/24")]
    BadClient(String),
    /// The type is none that a service answers.
    #[error("{0:?} is not steered: ask for A, AAAA, HTTPS, CNAME or ANY")]
    BadType(String),
    /// No region is meant.
    #[error("no region is called {0:?}")]
    NoSuchRegion(String),
    /// The name is ours, and nothing is steered there.
    #[error("{0} is not steered")]
    NotSteered(Name),
    /// No zone holds the name.
    #[error("{0} is in no zone here")]
    NotOurs(Name),
}

/// Explains what people ask.
///
/// # Errors
/// [`RequestError`] when the question does not read or asks for nothing that is steered.
pub fn explain_request(request: &Request<'_>, world: &World) -> Result<Explanation, RequestError> {
    let name: Name = request.name.parse().map_err(|error| RequestError::BadName(request.name.to_owned(), error))?;
    let (address, source_len) = parse_client(request.client).ok_or_else(|| RequestError::BadClient(request.client.to_owned()))?;
    let family = match request.qtype.map(str::to_ascii_uppercase).as_deref() {
        None | Some("A") => Family::V4,
        Some("AAAA") => Family::V6,
        Some("HTTPS" | "CNAME" | "ANY") => Family::Any,
        Some(other) => return Err(RequestError::BadType(other.to_owned())),
    };
    let service = match find(&name, world) {
        Named::Service(service) => service,
        Named::Static(_) => return Err(RequestError::NotSteered(name)),
        Named::NotOurs => return Err(RequestError::NotOurs(name)),
    };
    let question = Question { service, family, address, source_len };
    let mut down = RegionSet::NONE;
    for word in request.down.split(',').map(str::trim).filter(|word| !word.is_empty()) {
        let regions = regions_named(world, word);
        if regions.is_empty() {
            return Err(RequestError::NoSuchRegion(word.to_owned()));
        }
        for region in &regions {
            down.insert(region);
        }
    }
    Ok(if down.is_empty() { explain(&question, world) } else { explain(&question, &with_regions_down(world, &down)) })
}

/// An address with all its bits, or a prefix.
fn parse_client(text: &str) -> Option<(IpAddr, u8)> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some((address, if address.is_ipv4() { 32 } else { 128 }));
    }
    let prefix: ipnet::IpNet = text.parse().ok()?;
    Some((prefix.network(), prefix.prefix_len()))
}

/// What is to be explained.
#[derive(Clone, Copy, Debug)]
pub struct Question {
    /// The service.
    pub service: ServiceId,
    /// The family that the asked type wants.
    pub family: Family,
    /// The client's address.
    pub address: IpAddr,
    /// How many of its bits are known.
    pub source_len: u8,
}

/// An answer with its reasons.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Explanation {
    /// The service's owner name.
    pub name: String,
    /// Generation of the world that was asked.
    pub generation: u64,
    /// The client.
    pub client: ClientView,
    /// How the service chooses.
    pub by: &'static str,
    /// Residency rules of the service, and whether they bind this client.
    pub residency: Vec<ResidencyView>,
    /// What was given up because nothing was left, in order.
    pub relaxed: Vec<&'static str>,
    /// The tier that was chosen, 1 first; absent when the service has but one.
    pub tier: Option<u8>,
    /// The preference by place that applied, 1 first.
    pub geo_rule: Option<u8>,
    /// Every endpoint: those in the answer first, then the others in the running, then those that are out.
    pub endpoints: Vec<EndpointView>,
    /// What is answered: `serve`, `nodata` or `servfail`.
    pub verdict: &'static str,
    /// Why: the label that metrics count it under.
    pub reason: &'static str,
    /// TTL of the answer, in seconds.
    pub ttl: u32,
    /// Whether that is `ttl.moving`.
    pub moving: bool,
    /// SCOPE prefix length that a client with ECS is told.
    pub scope: u8,
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct ClientView {
    /// Its prefix.
    pub prefix: String,
    /// Its locality, for people.
    pub locality: String,
    /// Length of the geographic leaf that it is in.
    pub leaf: u8,
    /// Whether the prefix holds several localities, so that the law of all of them binds it.
    pub wide: bool,
}

/// A residency rule of the service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct ResidencyView {
    /// The rule's name.
    pub rule: String,
    /// Whether it binds this client.
    pub binds: bool,
}

/// An endpoint, its bill, and why it is out if it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct EndpointView {
    /// Its name.
    pub endpoint: String,
    /// Its region.
    pub region: String,
    /// Its status, for people: `up`, `degraded`, `down`, `unknown`, with the operator's intent.
    pub status: String,
    /// Its place in the answer, 1 first.
    pub answer: Option<u8>,
    /// Share of this locality's clients, in hundredths of a percent, where several share them.
    pub share: Option<u32>,
    /// The terms of its score, in microseconds.
    pub bill: BillView,
    /// The rule that keeps it out.
    pub excluded: Option<String>,
    /// What it would put into the answer.
    pub addresses: Vec<String>,
}

/// The terms of a score, in microseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct BillView {
    /// Round-trip time.
    pub rtt: i64,
    /// Where that is from: `declared`, `distance` or `unknown`.
    pub rtt_source: &'static str,
    /// Price.
    pub price: i64,
    /// What a million requests cost, in millionths of a dollar.
    pub price_micro_usd: i64,
    /// Load.
    pub load: i64,
    /// Penalties.
    pub penalty: i64,
    /// Bias.
    pub bias: i64,
    /// The sum.
    pub total: i64,
}

/// The world with every endpoint of these regions measured down: for "what if".
#[must_use]
pub fn with_regions_down(world: &World, regions: &RegionSet) -> World {
    let mut world = world.clone();
    for (endpoint, status) in world.catalog.endpoints.iter().zip(&mut world.statuses.of) {
        if regions.has(endpoint.region) {
            *status = Status { health: Health::Down, ..*status };
        }
    }
    world
}

/// The world with every endpoint that nobody measured taken as up: for explanations from files alone.
#[must_use]
pub fn as_if_measured_up(world: &World) -> World {
    let mut world = world.clone();
    for status in &mut world.statuses.of {
        if status.health == Health::Unknown {
            status.health = Health::Up;
        }
    }
    world
}

/// The regions that a word names: one region, or all that a glob with `*` matches, or `cloud:NAME`.
#[must_use]
pub fn regions_named(world: &World, word: &str) -> RegionSet {
    let regions = (0_u16..).map(RegionId).zip(&world.catalog.regions);
    match word.strip_prefix("cloud:") {
        Some(cloud) => regions.filter(|(_, region)| region.cloud.as_ref() == cloud).map(|(id, _)| id).collect(),
        None => regions.filter(|(_, region)| glob_matches(word, &region.name)).map(|(id, _)| id).collect(),
    }
}

/// Whether `text` is as `pattern` says, where `*` stands for any run of characters.
#[must_use]
pub fn glob_matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((head, rest)) => {
            let Some(after) = text.strip_prefix(head) else { return false };
            (0..=after.len()).filter(|at| after.is_char_boundary(*at)).any(|at| glob_matches(rest, &after[at..]))
        }
    }
}

/// Decides once more, with a witness, and words what it saw.
#[must_use]
pub fn explain(question: &Question, world: &World) -> Explanation {
    let service = world.catalog.service(question.service);
    let client = Client::at(question.address, question.source_len, &world.geo);
    let ask = Ask { service: question.service, client, family: question.family };
    let mut recorder = Recorder::default();
    let decision = steer::decide(&ask, world, &mut recorder);
    let chosen = decision.choose(&client, &world.catalog);

    let mut ranked: Vec<EndpointId> = chosen.endpoints().to_vec();
    for candidate in &decision.candidates[..usize::from(decision.count)] {
        if !ranked.contains(&candidate.endpoint) {
            ranked.push(candidate.endpoint);
        }
    }
    for (id, _) in world.catalog.endpoints_of(service) {
        if !ranked.contains(&id) {
            ranked.push(id);
        }
    }
    let shares = shares(&decision);
    let endpoints = ranked.into_iter().map(|id| endpoint_view(id, question, world, client.located, &recorder.steps, &chosen, &shares)).collect();
    Explanation {
        name: service.name.to_string(),
        generation: world.generation,
        client: client_view(question, client.located, world),
        by: match service.by {
            By::Score => "score",
            By::Weight => "weight",
            By::Order => "order",
        },
        residency: residency_views(service, client.located, world),
        relaxed: recorder.steps.iter().filter_map(relaxation).collect(),
        tier: recorder.steps.iter().find_map(|step| if let Step::Tier { tier, .. } = step { Some(tier + 1) } else { None }),
        geo_rule: recorder.steps.iter().find_map(|step| if let Step::Geo(index) = step { Some(index + 1) } else { None }),
        endpoints,
        verdict: match chosen.verdict {
            Verdict::Serve => "serve",
            Verdict::Nodata => "nodata",
            Verdict::Servfail => "servfail",
        },
        reason: chosen.reason.as_str(),
        ttl: ttl(service, &chosen),
        moving: chosen.moving,
        scope: chosen.scope,
    }
}

/// TTL that the answer carries, in seconds.
fn ttl(service: &Service, chosen: &Chosen) -> u32 {
    if chosen.moving || chosen.verdict != Verdict::Serve { service.ttl_moving.0 } else { service.ttl_steady.0 }
}

/// What was given up, in words.
fn relaxation(step: &Step) -> Option<&'static str> {
    match step {
        Step::Relaxed(Relaxation::MaxRtt) => Some("max-rtt"),
        Step::Relaxed(Relaxation::Prefer) => Some("prefer"),
        Step::Relaxed(Relaxation::Drain) => Some("drain"),
        Step::Relaxed(Relaxation::Down) => Some("when-all-down"),
        _ => None,
    }
}

/// Share of each candidate that shares the clients, in hundredths of a percent.
fn shares(decision: &steer::Decision) -> Vec<(EndpointId, u32)> {
    let sharing = &decision.candidates[..usize::from(decision.sharing.min(decision.count))];
    let total: u64 = sharing.iter().map(|candidate| u64::from(candidate.weight)).sum();
    if sharing.len() < 2 || total == 0 {
        return Vec::new();
    }
    let share = |weight: u32| u32::try_from((u64::from(weight) * 10_000 + total / 2) / total).unwrap_or(10_000);
    sharing.iter().map(|candidate| (candidate.endpoint, share(candidate.weight))).collect()
}

/// Who asks.
fn client_view(question: &Question, located: Located, world: &World) -> ClientView {
    ClientView {
        prefix: format!("{}/{}", question.address, question.source_len),
        locality: world.geo.locality(located.locality).label.to_string(),
        leaf: located.leaf,
        wide: located.wide,
    }
}

/// The rules of the service over this client.
fn residency_views(service: &Service, located: Located, world: &World) -> Vec<ResidencyView> {
    service
        .residency
        .iter()
        .map(|id| {
            let rule = &world.catalog.residencies[id.index()];
            ResidencyView { rule: rule.name.to_string(), binds: steer::binds(rule, located.sets) }
        })
        .collect()
}

/// One endpoint, from what the witness saw of it.
fn endpoint_view(
    id: EndpointId,
    question: &Question,
    world: &World,
    located: Located,
    steps: &[Step],
    chosen: &Chosen,
    shares: &[(EndpointId, u32)],
) -> EndpointView {
    let endpoint = world.catalog.endpoint(id);
    let region = world.catalog.region(endpoint.region);
    let answered = chosen.endpoints().iter().position(|other| *other == id);
    // What is in the answer is not out: a step that excluded it was given up again.
    let excluded = match answered {
        Some(_) => None,
        None => steps.iter().rev().find_map(|step| match step {
            Step::Excluded(other, exclusion) if *other == id => Some(*exclusion),
            _ => None,
        }),
    };
    let mut addresses: Vec<String> = Vec::new();
    match world.catalog.service(question.service).kind {
        AnswerKind::Cname => addresses.extend(endpoint.cname.iter().map(ToString::to_string)),
        AnswerKind::Addresses => {
            if question.family != Family::V6 {
                addresses.extend(endpoint.a.iter().map(ToString::to_string));
            }
            if question.family != Family::V4 {
                addresses.extend(endpoint.aaaa.iter().map(ToString::to_string));
            }
        }
    }
    EndpointView {
        endpoint: endpoint.name.to_string(),
        region: region.name.to_string(),
        status: status_text(world.status(id)),
        answer: answered.and_then(|place| u8::try_from(place + 1).ok()),
        share: shares.iter().find(|(other, _)| *other == id).map(|(_, share)| *share),
        bill: bill_view(id, world, located, steps),
        excluded: excluded.map(|exclusion| exclusion_text(exclusion, id, world)),
        addresses,
    }
}

/// The bill that the witness saw.
fn bill_view(id: EndpointId, world: &World, located: Located, steps: &[Step]) -> BillView {
    let endpoint = world.catalog.endpoint(id);
    let rtt_source = match world.geo.rtt_source(located.locality, endpoint.region) {
        RttSource::Declared => "declared",
        RttSource::Distance => "distance",
        RttSource::Unknown => "unknown",
    };
    let price_micro_usd = endpoint.price.compute.0.saturating_add(endpoint.price.egress.0);
    steps
        .iter()
        .find_map(|step| match *step {
            Step::Scored { endpoint, rtt, price, load, penalty, bias, total } if endpoint == id => {
                Some(BillView { rtt: rtt.0, rtt_source, price: price.0, price_micro_usd, load: load.0, penalty: penalty.0, bias: bias.0, total: total.0 })
            }
            _ => None,
        })
        .unwrap_or_else(|| BillView { rtt_source, price_micro_usd, ..BillView::default() })
}

/// A status in words.
fn status_text(status: &Status) -> String {
    let health = match status.health {
        Health::Unknown => "unknown",
        Health::Up => "up",
        Health::Degraded => "degraded",
        Health::Down => "down",
    };
    match status.intent {
        Intent::None => health.to_owned(),
        Intent::In => format!("{health}, forced in"),
        Intent::Drain => format!("{health}, draining"),
        Intent::Out => format!("{health}, taken out"),
    }
}

/// The rule that keeps an endpoint out, in words.
fn exclusion_text(exclusion: Exclusion, id: EndpointId, world: &World) -> String {
    let endpoint = world.catalog.endpoint(id);
    let service = world.catalog.service(endpoint.service);
    match exclusion {
        Exclusion::Family => "it has no address of the asked family".to_owned(),
        Exclusion::Residency(rule) => {
            let country = &world.catalog.region(endpoint.region).country;
            format!("residency \"{}\" does not allow a region in {country} for this client", world.catalog.residencies[rule.index()].name)
        }
        Exclusion::Out => "an operator took it out".to_owned(),
        Exclusion::Require => {
            let wanted: Vec<String> = service.require.iter().map(|need| format!("{} = {}", need.label, need.values.join(" | "))).collect();
            format!("it lacks what the service requires: {}", wanted.join(", "))
        }
        Exclusion::Down => "it is down".to_owned(),
        Exclusion::Drain => "it is being drained".to_owned(),
        Exclusion::MaxRtt => format!("it is farther than max-rtt, {}", service.max_rtt.unwrap_or(Micros::ZERO)),
        Exclusion::Prefer => "it lacks what the service prefers".to_owned(),
        Exclusion::LastResort => "it is the last resort".to_owned(),
        Exclusion::Weight => "its weight is 0".to_owned(),
        Exclusion::Tier => format!("it stands in tier {}", endpoint.tier + 1),
        Exclusion::Geo => "a geo rule prefers other regions for this client".to_owned(),
    }
}

/// The explanation as a table for people, at most 160 columns wide for usual names.
impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let several = if self.client.wide { ", several places inside: the law of all of them binds" } else { "" };
        writeln!(f, "{} for {} ({}, leaf /{}{several})", self.name, self.client.prefix, self.client.locality, self.client.leaf)?;
        let rules: Vec<String> =
            self.residency.iter().map(|view| format!("{} {}", view.rule, if view.binds { "binds this client" } else { "does not bind" })).collect();
        if !rules.is_empty() {
            writeln!(f, "residency: {}", rules.join("; "))?;
        }
        if let Some(tier) = self.tier {
            writeln!(f, "tier {tier}")?;
        }
        if let Some(rule) = self.geo_rule {
            writeln!(f, "geo rule {rule} applies")?;
        }
        if !self.relaxed.is_empty() {
            writeln!(f, "nothing was left, so these gave way: {}", self.relaxed.join(", "))?;
        }
        let width = self.endpoints.iter().map(|view| view.endpoint.chars().count()).max().unwrap_or(0);
        for view in &self.endpoints {
            writeln!(f, "{}", view.line(width))?;
        }
        match self.verdict {
            "serve" => {
                let answer: Vec<&str> =
                    self.endpoints.iter().filter(|view| view.answer.is_some()).flat_map(|view| &view.addresses).map(String::as_str).collect();
                write!(f, "answer: {}", if answer.is_empty() { "no record of this type".to_owned() } else { answer.join(", ") })?;
            }
            other => write!(f, "answer: {}", other.to_uppercase())?,
        }
        let pace = if self.moving { "moving" } else { "steady" };
        write!(f, " · TTL {} s ({pace}) · scope /{} · {}, by {}", self.ttl, self.scope, self.reason, self.by)
    }
}

impl EndpointView {
    /// One line of the table.
    fn line(&self, width: usize) -> String {
        let mark = match (self.answer, &self.excluded) {
            (Some(_), _) => "→",
            (None, Some(_)) => "✗",
            (None, None) => " ",
        };
        let share = self.share.map(|share| format!(", share {}.{:02} %", share / 100, share % 100)).unwrap_or_default();
        let tail = match &self.excluded {
            Some(why) => format!(" · out: {why}"),
            None => String::new(),
        };
        format!(" {mark} {:width$}  {}  [{}{share}]{tail}", self.endpoint, self.bill, self.status)
    }
}

/// `18.2 ms rtt + 9.1 ms price + 0 load + 0 penalty = 27.3 ms`; a bias is shown when there is one.
impl fmt::Display for BillView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let term = |micros: i64| if micros == 0 { "0".to_owned() } else { Micros(micros).to_string() };
        write!(f, "{} rtt + {} price + {} load + {} penalty", Micros(self.rtt), term(self.price), term(self.load), term(self.penalty))?;
        match self.bias {
            0 => {}
            less if less < 0 => write!(f, " - {} bias", Micros(-less))?,
            more => write!(f, " + {} bias", Micros(more))?,
        }
        write!(f, " = {}", Micros(self.total))
    }
}

/// What a name is, when it is asked to be explained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named {
    /// A service: it can be explained.
    Service(ServiceId),
    /// A name of ours with static records, or below one: nothing is steered there.
    Static(ZoneId),
    /// No zone of ours holds it.
    NotOurs,
}

/// What `name` is: an exact service, a service by wildcard, a static name, or not ours.
#[must_use]
pub fn find(name: &Name, world: &World) -> Named {
    let catalog = &world.catalog;
    if let Some(service) = catalog.service_named(name) {
        return Named::Service(service);
    }
    let mut ancestor = Some(name.clone());
    while let Some(candidate) = ancestor {
        if let Some(node) = catalog.owners.find(&candidate) {
            let node = catalog.owners.node(node);
            let source = if candidate == *name { None } else { node.wildcard };
            return match source.map(|id| &catalog.owners.node(id).content) {
                Some(crate::catalog::Content::Service { service, .. }) => Named::Service(*service),
                _ => Named::Static(node.zone),
            };
        }
        ancestor = candidate.parent();
    }
    Named::NotOurs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_an_address_or_a_prefix() {
        assert_eq!(parse_client("192.0.2.1"), Some(([192, 0, 2, 1].into(), 32)));
        assert_eq!(parse_client("2001:db8::/32").map(|(_, len)| len), Some(32));
        for wrong in ["", "192.0.2.0/33", "192.0.2", "2001:db8::/129", "192.0.2.0/", "192.0.2.0/-1"] {
            assert_eq!(parse_client(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn globs_match_whole_names() {
        for (pattern, text, expected) in
            [("aws-*", "aws-eu-west-1", true), ("*-eu-*", "aws-eu-west-1", true), ("aws", "aws-eu-west-1", false), ("*", "", true), ("a*a", "a", false)]
        {
            assert_eq!(glob_matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn clients_are_addresses_or_prefixes() {
        assert_eq!(parse_client("192.0.2.1"), Some(([192, 0, 2, 1].into(), 32)));
        assert_eq!(parse_client("192.0.2.1/24"), Some(([192, 0, 2, 0].into(), 24)));
        assert_eq!(parse_client("2001:db8::/32").map(|(_, len)| len), Some(32));
        for wrong in ["", "192.0.2.1/33", "192.0.2", "2001:db8::/129", "192.0.2.1/"] {
            assert_eq!(parse_client(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_bill_reads_like_one() {
        let bill = BillView { rtt: 18_200, price: 9_100, total: 27_300, ..BillView::default() };
        assert_eq!(bill.to_string(), "18.2 ms rtt + 9.1 ms price + 0 load + 0 penalty = 27.3 ms");
        let biased = BillView { rtt: 18_200, bias: -5_000, total: 13_200, ..BillView::default() };
        assert_eq!(biased.to_string(), "18.2 ms rtt + 0 price + 0 load + 0 penalty - 5.0 ms bias = 13.2 ms");
    }
}
