//! Why this answer: the very decision of the data path, told for people and programs.
//!
//! Pure. [`explain`] runs [`steer::decide`] with a recording witness and the same [`steer::Decision::choose`]; nothing is ranked here,
//! only worded. What is printed and what is serialised are one value.

mod brief;
mod request;
mod table;

pub use request::{Named, NoSuchRegion, Request, RequestError, explain_request, find, regions_named};

use std::net::IpAddr;

use serde::Serialize;

use crate::catalog::{AddressType, AnswerKind, By, Endpoint, EndpointId, RegionSet, Service, ServiceId};
use crate::geo::{ClientSets, Place, RttSource};
use crate::health::{Health, Intent, Status};
use crate::steer::{self, ALL_CLIENTS, Ask, Candidate, Chosen, Client, Exclusion, Family, Recorder, Relaxation, Step, Verdict};
use crate::units::{Micros, Permille};
use crate::world::{Rehearsal, World};

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
#[cfg_attr(feature = "serve", derive(utoipa::ToSchema))]
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
#[cfg_attr(feature = "serve", derive(utoipa::ToSchema))]
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
    /// Whether it is a private or special prefix that says nothing of its place: in an ECS option it would make the resolver's place count.
    pub private: bool,
}

/// A residency rule of the service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "serve", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub struct ResidencyView {
    /// The rule's name.
    pub rule: String,
    /// Whether it binds this client.
    pub binds: bool,
}

/// An endpoint, its bill, and why it is out if it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "serve", derive(utoipa::ToSchema))]
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
    /// The override that has the say over it, if any: `drained by anna until 14:05 UTC: maintenance`.
    #[serde(rename = "override")]
    pub intent: Option<String>,
    /// The drill that it is part of, if any: `failing in drill 3 by anna until 14:05 UTC: game day`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drill: Option<String>,
    /// Share of this locality's clients, in hundredths of a percent, where several share them.
    pub share: Option<u32>,
    /// The terms of its score, in microseconds.
    pub bill: BillView,
    /// The rule that keeps it out.
    pub excluded: Option<String>,
    /// What it would put into the answer.
    pub addresses: Vec<String>,
    /// The name that its addresses are looked up by, if they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alias: Option<String>,
    /// Why what the alias was resolved to is not fresh, if it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unsettled: Option<String>,
}

/// The terms of a score, in microseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "serve", derive(utoipa::ToSchema))]
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

/// Decides once more, with a witness, and words what it saw.
#[must_use]
pub fn explain(question: &Question, world: &World) -> Explanation {
    let service = world.catalog.service(question.service);
    let client = Client::at(question.address, question.source_len, &world.geo);
    let ask = Ask { service: question.service, client, family: question.family };
    let mut recorder = Recorder::default();
    let decision = steer::decide(&ask, world, &mut recorder);
    let chosen = decision.choose(&client, world);

    let running = &decision.candidates[..usize::from(decision.count)];
    let mut ranked: Vec<EndpointId> = chosen.endpoints().to_vec();
    for candidate in running {
        if !ranked.contains(&candidate.endpoint) {
            ranked.push(candidate.endpoint);
        }
    }
    for (id, _) in world.catalog.endpoints_of(service) {
        if !ranked.contains(&id) {
            ranked.push(id);
        }
    }
    let shares = shares(&decision, world);
    let seen = Seen { steps: &recorder.steps, chosen: &chosen, running, shares: &shares };
    let endpoints = ranked.into_iter().map(|id| endpoint_view(id, question, world, client.place, &seen));
    Explanation {
        name: service.name.to_string(),
        generation: world.generation,
        client: client_view(question, client.place, world),
        by: match service.by {
            By::Score => "score",
            By::Weight => "weight",
            By::Order => "order",
        },
        residency: residency_views(service, &client.sets(&world.geo), world),
        relaxed: recorder.steps.iter().filter_map(relaxation).collect(),
        tier: recorder.steps.iter().find_map(|step| if let Step::Tier { tier, .. } = step { Some(tier + 1) } else { None }),
        geo_rule: recorder.steps.iter().find_map(|step| if let Step::Geo(index) = step { Some(index + 1) } else { None }),
        endpoints: endpoints.collect(),
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
        Step::Relaxed(Relaxation::Damped) => Some("damping"),
        Step::Relaxed(Relaxation::Down) => Some("when-all-down"),
        _ => None,
    }
}

/// Share of each candidate where several share the clients, in hundredths of a percent.
fn shares(decision: &steer::Decision, world: &World) -> Vec<(EndpointId, u32)> {
    if decision.sharing < 2 && !decision.thinned {
        return Vec::new();
    }
    let rounded = |share: u64| u32::try_from((share * 10_000 + ALL_CLIENTS / 2) / ALL_CLIENTS).unwrap_or(10_000);
    let shares = decision.shares(world).into_iter().map(|(endpoint, share)| (endpoint, rounded(share)));
    shares.take(if decision.thinned { usize::MAX } else { usize::from(decision.sharing) }).collect()
}

/// Who asks.
fn client_view(question: &Question, place: Place, world: &World) -> ClientView {
    ClientView {
        prefix: format!("{}/{}", question.address, question.source_len),
        locality: world.geo.locality(place.locality).label.to_string(),
        leaf: place.leaf,
        wide: place.wide,
        private: place.says_nothing(question.address, question.source_len),
    }
}

/// The rules of the service over this client.
fn residency_views(service: &Service, sets: &ClientSets, world: &World) -> Vec<ResidencyView> {
    service
        .residency
        .iter()
        .map(|id| {
            let rule = &world.catalog.residencies[id.index()];
            ResidencyView { rule: rule.name.to_string(), binds: steer::binds(rule, sets) }
        })
        .collect()
}

/// What was seen of a decision.
struct Seen<'a> {
    /// Its steps.
    steps: &'a [Step],
    /// What the client gets.
    chosen: &'a Chosen,
    /// Who is in the running.
    running: &'a [Candidate],
    /// How they share the clients, if they do.
    shares: &'a [(EndpointId, u32)],
}

/// One endpoint, from what the witness saw of it.
fn endpoint_view(id: EndpointId, question: &Question, world: &World, place: Place, seen: &Seen<'_>) -> EndpointView {
    let endpoint = world.catalog.endpoint(id);
    let region = world.catalog.region(endpoint.region);
    let answered = seen.chosen.endpoints().iter().position(|other| *other == id);
    // What is in the answer, or next in line, is not out: a step that excluded it was given up again.
    let excluded = match answered {
        Some(_) => None,
        None if seen.running.iter().any(|candidate| candidate.endpoint == id) => None,
        None => seen.steps.iter().rev().find_map(|step| match step {
            Step::Excluded(other, exclusion) if *other == id => Some(*exclusion),
            _ => None,
        }),
    };
    let mut addresses: Vec<String> = Vec::new();
    match world.catalog.service(question.service).kind {
        AnswerKind::Cname => addresses.extend(endpoint.cname.iter().map(ToString::to_string)),
        AnswerKind::Addresses => {
            let given = world.addresses(endpoint);
            if question.family != Family::V6 {
                addresses.extend(given.a.iter().map(ToString::to_string));
            }
            if question.family != Family::V4 {
                addresses.extend(given.aaaa.iter().map(ToString::to_string));
            }
        }
    }
    EndpointView {
        endpoint: endpoint.name.to_string(),
        region: region.name.to_string(),
        status: status_text(id, world),
        intent: world.notes.about(id).map(ToString::to_string),
        drill: world.drill_of(id).map(ToString::to_string),
        answer: answered.and_then(|place| u8::try_from(place + 1).ok()),
        share: seen.shares.iter().find(|(other, _)| *other == id).map(|(_, share)| *share),
        bill: bill_view(id, world, place, seen.steps),
        excluded: excluded.map(|exclusion| exclusion_text(exclusion, id, world)),
        addresses,
        alias: endpoint.alias.map(|alias| world.catalog.alias(alias.id).name.to_string()),
        unsettled: unsettled(endpoint, world),
    }
}

/// Why what an endpoint's alias was resolved to is not fresh, if it is not.
#[must_use]
pub fn unsettled(endpoint: &Endpoint, world: &World) -> Option<String> {
    let alias = endpoint.alias?;
    let resolved = world.statuses.resolved.get(alias.id.index())?;
    alias.types.iter().find_map(|of| resolved.trouble(of).map(|trouble| format!("{} {trouble}", of.as_str())))
}

/// The bill that the witness saw.
fn bill_view(id: EndpointId, world: &World, place: Place, steps: &[Step]) -> BillView {
    let endpoint = world.catalog.endpoint(id);
    let rtt_source = match world.geo.rtt_source(place.locality, endpoint.region) {
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

impl EndpointView {
    /// The override and the drill, where what keeps the endpoint out does not tell of them already.
    fn untold_intents(&self) -> impl Iterator<Item = &str> {
        let is_told = |intent: &&str| self.excluded.as_ref().is_some_and(|why| why.contains(intent));
        self.intent.as_deref().into_iter().chain(self.drill.as_deref()).filter(move |intent| !is_told(intent))
    }
}

/// A status in words: health, then what is made of it, then the operator's intent.
fn status_text(id: EndpointId, world: &World) -> String {
    let status = world.status(id);
    let mut text = status.health.to_string();
    if let Some(trouble) = trouble(id, world).filter(|_| matches!(status.health, Health::Degraded | Health::Down)) {
        text.push_str(&format!(" ({trouble})"));
    }
    if !status.fails.is_empty() {
        text.push_str(&format!(", its {} addresses are down", fails_text(status)));
    }
    if status.blocked {
        text.push_str(", something that it depends on is down");
    }
    if status.damped {
        text.push_str(", held down");
    }
    if status.latched {
        text.push_str(", its tier is latched");
    }
    text.push_str(match status.intent {
        Intent::None => "",
        Intent::In => ", forced in",
        Intent::Drain => ", draining",
        Intent::Out => ", taken out",
    });
    for (share, why) in [(status.ramp, "ramping up"), (status.room, "near its capacity"), (status.share, "as an operator wishes")] {
        if share < Permille::WHOLE {
            text.push_str(&format!(", keeps {}.{} % of its clients ({why})", share.0 / 10, share.0 % 10));
        }
    }
    text
}

/// The drill that plays with an endpoint now, if one does.
fn running(id: EndpointId, world: &World) -> Option<&Rehearsal> {
    world.drill_of(id).filter(|drill| drill.running)
}

/// What the worst of an endpoint's probes came to last, in words, if that is what its health is.
fn trouble(id: EndpointId, world: &World) -> Option<&str> {
    let health = world.status(id).health;
    let evidence = world.catalog.endpoint(id).probes.iter().filter_map(|probe| world.statuses.evidence.get(probe.index()));
    evidence.filter(|evidence| evidence.health == health).find_map(|evidence| evidence.trouble.as_deref())
}

/// The types of addresses for which alone an endpoint is down.
fn fails_text(status: &Status) -> String {
    status.fails.iter().map(AddressType::as_str).collect::<Vec<_>>().join(" and ")
}

/// The rule that keeps an endpoint out, in words.
fn exclusion_text(exclusion: Exclusion, id: EndpointId, world: &World) -> String {
    let endpoint = world.catalog.endpoint(id);
    let service = world.catalog.service(endpoint.service);
    match exclusion {
        Exclusion::Family => "it has no address of the asked family".to_owned(),
        Exclusion::Unresolved => {
            let alias = endpoint.alias.map(|alias| world.catalog.alias(alias.id).name.to_string()).unwrap_or_default();
            match unsettled(endpoint, world) {
                Some(why) => format!("no address: {alias} was not resolved: {why}"),
                None => format!("no address: {alias} was not resolved yet"),
            }
        }
        Exclusion::Residency(rule) => {
            let country = &world.catalog.region(endpoint.region).country;
            format!("residency \"{}\" does not allow a region in {country} for this client", world.catalog.residencies[rule.index()].name)
        }
        Exclusion::Out => world.notes.about(id).map_or_else(|| "an operator took it out".to_owned(), |note| format!("it is {note}")),
        Exclusion::Require => {
            let wanted: Vec<String> = service.require.iter().map(|need| format!("{} = {}", need.label, need.values.join(" | "))).collect();
            format!("it lacks what the service requires: {}", wanted.join(", "))
        }
        Exclusion::Down => match world.note(id).and_then(|note| note.root.as_ref()) {
            Some(root) if world.status(id).blocked => format!("{root} is down, and it depends on that"),
            _ if !world.status(id).is_down() && !world.status(id).fails.is_empty() => {
                format!("its {} addresses are down", fails_text(world.status(id)))
            }
            _ => running(id, world).map_or_else(|| "it is down".to_owned(), |drill| format!("it is down: {drill}")),
        },
        Exclusion::Damped => world.note(id).and_then(|note| note.hold).map_or_else(|| "it is held down".to_owned(), |hold| format!("it is {hold}")),
        Exclusion::Drain => match (running(id, world), world.notes.about(id)) {
            (Some(drill), _) => format!("it is {drill}"),
            (None, Some(note)) => format!("it is {note}"),
            (None, None) => "it is being drained".to_owned(),
        },
        Exclusion::MaxRtt => format!("it is farther than max-rtt, {}", service.max_rtt.unwrap_or(Micros::ZERO)),
        Exclusion::Prefer => "it lacks what the service prefers".to_owned(),
        Exclusion::LastResort => "it is the last resort".to_owned(),
        Exclusion::Weight => "its weight is 0".to_owned(),
        Exclusion::Tier => format!("it stands in tier {}", endpoint.tier + 1),
        Exclusion::Latched => format!("tier {} was left, and waits for an operator to release it", endpoint.tier + 1),
        Exclusion::Geo => "a geo rule prefers other regions for this client".to_owned(),
    }
}
