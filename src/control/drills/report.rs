//! The report of a drill: what was measured, against what was wanted, and what it did to clients, load and cost.
//!
//! Reckoning it asks the code that answers for every group of clients in three worlds, so it is done beside the controller.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Marks, Played, Plays, UnderWay};
use crate::catalog::{Catalog, Service, ServiceId};
use crate::control::EndpointName;
use crate::demand::{Mix, Shift, Side, shift};
use crate::health::{Health, Intent};
use crate::limits::DRILL_SERVICES_TOLD;
use crate::steer::ALL_CLIENTS;
use crate::units::{Moment, Permille};
use crate::world::World;

/// A drill that is over, and the worlds that tell what it did.
#[derive(Clone, Debug)]
pub struct Over {
    /// The drill and its record, with how it ended.
    pub under_way: UnderWay,
    /// The world before it began; `None` if another process saw that one.
    pub before: Option<Arc<World>>,
    /// The world while it was played: as all was decided, or the last one; `None` if it never began.
    pub during: Option<Arc<World>>,
    /// What endpoints of its services told of their load before it began and at its end, in requests per second.
    pub told: [Vec<(EndpointName, u64)>; 2],
}

/// The report. Times are in milliseconds from the start of the drill, shares in hundredths of a per cent unless a name says otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Report {
    /// The drill's number.
    pub id: u64,
    /// What it was about.
    pub selector: String,
    /// What was played.
    pub plays: String,
    /// Why.
    pub why: String,
    /// Who made it.
    pub who: String,
    /// Why it went past safety rules, if it did.
    pub forced: Option<String>,
    /// When it was announced (RFC 3339).
    pub announced: String,
    /// When it began; absent if it was aborted before.
    pub started: Option<String>,
    /// The same in milliseconds since the Unix epoch.
    pub started_unix_ms: Option<u64>,
    /// When it was to end.
    pub planned_end: String,
    /// When it was over.
    pub ended: String,
    /// Whether it was aborted.
    pub aborted: bool,
    /// Why it was over.
    pub ceased: String,
    /// How long it was played, in milliseconds.
    pub played_ms: u64,
    /// Endpoints that it played with.
    pub endpoints: usize,
    /// Services that these are of.
    pub services: usize,
    /// The first observation that it had fail.
    pub detected_ms: Option<u64>,
    /// All of its endpoints were given no clients any more.
    pub decided_ms: Option<u64>,
    /// The world that says so was swapped in.
    pub published_ms: Option<u64>,
    /// A worker was seen to name one of its endpoints, first in an answer, for the last time; absent if none did.
    pub last_answer_ms: Option<u64>,
    /// The last wrong answer that this node can have given: the later one of the two. Absent where clients stayed.
    pub recovery_ms: Option<u64>,
    /// The last cache had let go of such an answer.
    pub cache_tail_ms: Option<u64>,
    /// Answers that its services gave meanwhile.
    pub answers: u64,
    /// Those for want of anything that is up.
    pub wanting: u64,
    /// Processes that took it over from the one before.
    pub restarts: u32,
    /// Whether the world before was reckoned, since another process saw it.
    pub reckoned_before: bool,
    /// Services, those with an `rto` first, then those of whose clients most moved.
    pub told: Vec<ServiceReport>,
    /// Services that are not told of.
    pub untold: usize,
}

/// What a drill did to one service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ServiceReport {
    /// The service's owner name.
    pub service: String,
    /// What it is to recover in, in milliseconds.
    pub rto_ms: Option<u64>,
    /// Whether it did; absent without an `rto`, and where the drill did not play until then.
    pub within_rto: Option<bool>,
    /// As in [`Report`].
    pub detected_ms: Option<u64>,
    /// As in [`Report`].
    pub decided_ms: Option<u64>,
    /// As in [`Report`].
    pub published_ms: Option<u64>,
    /// As in [`Report`].
    pub last_answer_ms: Option<u64>,
    /// As in [`Report`].
    pub recovery_ms: Option<u64>,
    /// TTLs: steady, and moving, in seconds.
    pub ttl_seconds: [u32; 2],
    /// When the last cache had let go of a wrong answer.
    pub cache_tail_ms: Option<u64>,
    /// Share of its clients that moved, in hundredths of a per cent.
    pub moved_basis_points: u64,
    /// From region to region; the most clients first.
    pub flows: Vec<Flow>,
    /// Mean round-trip time of its clients before, during and after, in microseconds.
    pub rtt_us: [i64; 3],
    /// Mean price of a million requests before, during and after, in millionths of a US dollar.
    pub price_micro_usd: [i64; 3],
    /// Loads as they are to be expected, where demand and capacity are declared.
    pub loads: Vec<LoadRow>,
    /// Loads as endpoints told them, where they do.
    #[serde(default)]
    pub told_loads: Vec<ToldLoad>,
}

/// Clients that moved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Flow {
    /// From this region; absent where there was no answer.
    pub from: Option<String>,
    /// To this one; absent where there was none.
    pub to: Option<String>,
    /// Share of the service's clients, in hundredths of a per cent.
    pub clients_basis_points: u64,
}

/// The load that an endpoint told, in requests per second. Absent where it told nothing, or nothing that still counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ToldLoad {
    /// The endpoint.
    pub endpoint: String,
    /// Before the drill.
    pub before_rps: Option<u64>,
    /// When it ended.
    pub end_rps: Option<u64>,
}

/// The load of an endpoint, reckoned from its service's `peak`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct LoadRow {
    /// The endpoint.
    pub endpoint: String,
    /// In thousandths of its capacity, before, during and after.
    pub permille: [Option<u16>; 3],
}

/// Writes the report of a drill. `after` is the world after its end; what ramps up in it is told as it will be then.
#[must_use]
pub fn report(over: &Over, after: &World) -> Report {
    let UnderWay { drill, record } = &over.under_way;
    let during: &World = over.during.as_deref().unwrap_or(after);
    let reckoned = over.before.is_none().then(|| without(during));
    let before: &World = over.before.as_deref().or(reckoned.as_ref()).unwrap_or(after);
    let catalog = &before.catalog;
    let rehearsal = drill.rehearsal(catalog, false);
    let since = |moment: Option<Moment>| Some(moment?.millis_since(record.started?));
    let (ended, ceased) = record.over.as_ref().map_or((drill.ends, String::new()), |over| (over.at, over.ceased.to_string()));
    let mix = Mix::of_addresses(&before.geo);
    let after = &ramped_up(after);
    let mut told: Vec<ServiceReport> = with_rto_first(&rehearsal.services, catalog)
        .into_iter()
        .take(DRILL_SERVICES_TOLD)
        .map(|id| {
            let service = catalog.service(id);
            let name = service.name.to_string();
            let marks = record.services.iter().find(|one| *one.service == *name).map_or(Marks::default(), |one| one.marks);
            let worlds = [before, during, after].map(|world| side(world, service, &mix));
            let told = of_service(service, drill.plays, &marks, record.started.map(|started| (drill.made, started)), ended, &worlds, &mix);
            ServiceReport { told_loads: told_loads(&name, &over.told), ..told }
        })
        .collect();
    told.sort_by_key(|one| (one.rto_ms.is_none(), std::cmp::Reverse(one.moved_basis_points)));
    Report {
        id: drill.id,
        selector: drill.selector.to_string(),
        plays: drill.plays.to_string(),
        why: drill.why.to_string(),
        who: drill.who.to_string(),
        forced: drill.forced.as_ref().map(ToString::to_string),
        announced: drill.made.to_string(),
        started: record.started.map(|started| started.to_string()),
        started_unix_ms: record.started.map(|started| started.0),
        planned_end: drill.ends.to_string(),
        ended: ended.to_string(),
        aborted: record.over.as_ref().is_some_and(|over| over.ceased != super::Ceased::Time),
        ceased,
        played_ms: record.started.map_or(0, |started| ended.millis_since(started)),
        endpoints: rehearsal.endpoints.len(),
        services: rehearsal.services.len(),
        detected_ms: since(record.all.detected),
        decided_ms: since(record.all.decided),
        published_ms: since(record.all.published),
        last_answer_ms: since(record.all.answered),
        recovery_ms: since(record.all.recovered()),
        cache_tail_ms: record.all.recovered().and_then(|_| told.iter().map(|one| one.cache_tail_ms).max().flatten()),
        answers: record.answers,
        wanting: record.wanting,
        restarts: record.restarts,
        reckoned_before: reckoned.is_some() && record.started.is_some(),
        untold: rehearsal.services.len() - told.len(),
        told,
    }
}

/// The world once whatever ramps up in it is open to all its clients.
fn ramped_up(world: &World) -> World {
    let mut world = world.clone();
    for status in &mut world.statuses.of {
        status.ramp = Permille::WHOLE;
    }
    world
}

/// The services of a drill, those with an `rto` first.
fn with_rto_first(services: &[ServiceId], catalog: &Catalog) -> Vec<ServiceId> {
    let (with, without): (Vec<_>, Vec<_>) = services.iter().copied().partition(|id| catalog.service(*id).rto_ms.is_some());
    [with, without].concat()
}

/// The service of the same name in a world, its load fitted.
fn side(world: &World, service: &Service, mix: &Mix) -> Option<Side> {
    world.catalog.service_named(&service.name).map(|id| Side::of(world, id, mix))
}

/// What a drill did to one service. `began` is when it was announced and when it started.
fn of_service(
    service: &Service,
    plays: Plays,
    marks: &Marks,
    began: Option<(Moment, Moment)>,
    ended: Moment,
    [before, during, after]: &[Option<Side>; 3],
    mix: &Mix,
) -> ServiceReport {
    let since = |moment: Option<Moment>| Some(moment?.millis_since(began?.1));
    let compare = |one: &Option<Side>, other: &Option<Side>| match (one, other) {
        (Some(one), Some(other)) => shift(one, other, mix),
        _ => Shift::default(),
    };
    let (there, back) = (compare(before, during), compare(before, after));
    let recovery_ms = since(marks.recovered());
    let rto_ms = service.rto_ms.map(u64::from);
    // A service that had not recovered when it was all over failed if it was to by then; before that nobody knows.
    // What is only slow may stay in service, and then there is nothing to recover from; what loses some goes when chance has it, which is no time to measure from.
    let is_partial = matches!(plays, Plays::Lossy(share) if share < Permille::WHOLE);
    let must_go = matches!(plays, Plays::Fail | Plays::Drain);
    let missed = |rto: u64| must_go && began.is_some_and(|(_, started)| ended.millis_since(started) >= rto && marks.detected.is_some());
    let within_rto = rto_ms.filter(|_| !is_partial).and_then(|rto| recovery_ms.map_or_else(|| missed(rto).then_some(false), |recovery| Some(recovery <= rto)));
    let flows = there.flows.iter().map(|flow| Flow {
        from: flow.from.as_ref().map(ToString::to_string),
        to: flow.to.as_ref().map(ToString::to_string),
        clients_basis_points: hundredths(flow.share),
    });
    ServiceReport {
        service: service.name.to_string(),
        rto_ms,
        within_rto,
        detected_ms: since(marks.detected),
        decided_ms: since(marks.decided),
        published_ms: since(marks.published),
        last_answer_ms: since(marks.answered),
        recovery_ms,
        ttl_seconds: [service.ttl_steady.0, service.ttl_moving.0],
        cache_tail_ms: began.and_then(|began| cache_tail(service, marks, began)).map(|tail| tail.millis_since(began.map_or(tail, |(_, started)| started))),
        moved_basis_points: hundredths(there.moved),
        flows: flows.collect(),
        rtt_us: [there.rtt[0].0, there.rtt[1].0, back.rtt[1].0],
        price_micro_usd: [there.price[0].0, there.price[1].0, back.price[1].0],
        loads: loads(&there, &back),
        told_loads: Vec::new(),
    }
}

/// When the last cache has let go of a wrong answer: one given last has the moving TTL, one given before the TTL changed has the steady one. It
/// changed with the announcement, or, where there was none to speak of, with the start.
fn cache_tail(service: &Service, marks: &Marks, (made, _): (Moment, Moment)) -> Option<Moment> {
    let last = marks.recovered()?;
    let [steady, moving] = [service.ttl_steady, service.ttl_moving].map(|ttl| u64::from(ttl.0) * 1_000);
    Some(made.plus_millis(steady).max(last.plus_millis(moving)))
}

/// Loads before, during and after.
fn loads(there: &Shift, back: &Shift) -> Vec<LoadRow> {
    let after = |key: &crate::demand::Key| back.loads.iter().find(|(other, ..)| other == key).and_then(|(_, _, after)| *after);
    let row = |(key, before, during): &(crate::demand::Key, Option<crate::units::Permille>, Option<crate::units::Permille>)| LoadRow {
        endpoint: key.endpoint.to_string(),
        permille: [*before, *during, after(key)].map(|load| load.map(|load| load.0)),
    };
    there.loads.iter().map(row).collect()
}

/// What the endpoints of a service told of their load: before, and at the end, for clients and their load follow answers slowly.
fn told_loads(service: &str, [before, end]: &[Vec<(EndpointName, u64)>; 2]) -> Vec<ToldLoad> {
    let mut rows: BTreeMap<String, ToldLoad> = BTreeMap::new();
    let mut tell = |told: &[(EndpointName, u64)], put: fn(&mut ToldLoad, u64)| {
        for (name, rps) in told.iter().filter(|(name, _)| &*name.service == service) {
            let row = rows.entry(name.endpoint.to_string()).or_default();
            put(row, *rps);
        }
    };
    tell(before, |row, rps| row.before_rps = Some(rps));
    tell(end, |row, rps| row.end_rps = Some(rps));
    rows.into_iter().map(|(endpoint, row)| ToldLoad { endpoint, ..row }).collect()
}

/// A share of all clients in hundredths of a per cent, rounded.
fn hundredths(share: u64) -> u64 {
    u64::try_from((u128::from(share) * 10_000 + u128::from(ALL_CLIENTS) / 2) / u128::from(ALL_CLIENTS)).unwrap_or(10_000)
}

/// The world without the drill that is played in it, as far as one can tell: what it plays with is up and at rest.
pub(in crate::control) fn without(during: &World) -> World {
    let mut world = during.clone();
    let Some(drill) = world.drill.take().filter(|drill| drill.running) else { return world };
    for id in &drill.endpoints {
        let status = &mut world.statuses.of[id.index()];
        match drill.deed {
            Played::Drain => status.intent = Intent::None,
            Played::Fault(_) => status.health = Health::Up,
        }
    }
    for (status, endpoint) in world.statuses.of.iter_mut().zip(&during.catalog.endpoints) {
        status.blocked &= endpoint.depends_on.is_none();
    }
    world
}
