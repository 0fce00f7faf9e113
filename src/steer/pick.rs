//! Picks: tiers first, then preferences by place, then score, weight or order.

use super::decision::{Candidate, Decision, Reason, Verdict};
use super::score::Ranked;
use super::tiers::{self, Chosen};
use super::witness::see_excluded;
use super::{Ask, Exclusion, Step, Witness};
use crate::catalog::{Bits, By, EndpointId, Service};
use crate::limits::{ENDPOINTS_PER_SERVICE_MAX, SCORE_TERM_MAX};
use crate::world::World;

/// Chooses among the field.
#[inline]
pub(super) fn choose<W: Witness>(ask: &Ask, world: &World, ranked: &Ranked, witness: &mut W) -> Decision {
    let service = world.catalog.service(ask.service);
    let mut decision = Decision {
        verdict: ranked.eligible.verdict,
        reason: ranked.eligible.reason,
        moving: ranked.eligible.moving != 0,
        by_place: consults_place(service),
        sharing: 0,
        thinned: false,
        answers: service.answers,
        count: 0,
        candidates: [Candidate::NONE; ENDPOINTS_PER_SERVICE_MAX],
    };
    if decision.verdict == Verdict::Serve {
        fill(&mut decision, ask, world, ranked, witness);
    }
    decision
}

/// Fills in the candidates.
#[inline]
fn fill<W: Witness>(decision: &mut Decision, ask: &Ask, world: &World, ranked: &Ranked, witness: &mut W) {
    let service = world.catalog.service(ask.service);
    let running = prefer_weight(service, ranked.eligible.field, witness);
    let chosen = prefer_tier(service, running, ranked.eligible.latched, witness);
    let members = chosen.members;
    if chosen.is_second && decision.reason == Reason::Best {
        decision.reason = Reason::Latched;
    }
    let near = near(ask, world, service);
    let field = prefer_place(near, service, members, witness);
    let reach = reach(service);
    if reach.is_none() && service.answers <= 1 && ranked.eligible.thin & field == 0 && !W::CURIOUS {
        take_best(decision, service, ranked, field);
    } else {
        order(decision, service, ranked, field, reach);
        if ranked.eligible.thin & field != 0 && thins(decision, world) {
            turn_to_the_next(decision, service, ranked, &Wider { running: running & chosen.open, tier: chosen.tier, members, field }, reach);
        }
    }
    if ranked.eligible.missing | ranked.eligible.moving != 0 {
        explain_missing(decision, service, ranked, near.map_or(0, |(_, near)| near), chosen.open);
    }
}

/// Whether the decision depends on where the client is.
#[inline]
fn consults_place(service: &Service) -> bool {
    service.by == By::Score || !service.residency.is_empty() || !service.geo.is_empty() || service.max_rtt.is_some()
}

/// Leaves out what has no weight, while anything that has some is left.
#[inline]
fn prefer_weight(service: &Service, field: Bits, witness: &mut impl Witness) -> Bits {
    let weighty = field & service.lineup.weighty;
    if weighty == 0 {
        return field;
    }
    see_excluded(field & !weighty, Exclusion::Weight, service, witness);
    weighty
}

/// The tier that this client is sent to.
#[inline]
fn prefer_tier(service: &Service, field: Bits, latched: Bits, witness: &mut impl Witness) -> Chosen {
    if service.tiers <= 1 {
        return Chosen { tier: 0, members: field, open: Bits::MAX, is_second: false };
    }
    let chosen = tiers::choose(service, field, latched);
    witness.see(Step::Tier { tier: chosen.tier, live: u8::try_from(chosen.members.count_ones()).unwrap_or(u8::MAX) });
    see_excluded(field & chosen.open & !chosen.members, Exclusion::Tier, service, witness);
    see_excluded(field & !chosen.open, Exclusion::Latched, service, witness);
    chosen
}

/// The endpoints that the first geo rule for this client prefers, and the rule's place in the list.
#[inline]
fn near(ask: &Ask, world: &World, service: &Service) -> Option<(u8, Bits)> {
    if service.geo.is_empty() {
        return None;
    }
    let sets = ask.client.sets(&world.geo);
    let rule = (0_u8..).zip(service.geo.iter().zip(&service.lineup.near)).find(|(_, (rule, _))| sets.has(rule.clients));
    rule.map(|(index, (_, near))| (index, *near))
}

/// Narrows the field to what a geo rule prefers; never to nothing.
#[inline]
fn prefer_place(near: Option<(u8, Bits)>, service: &Service, field: Bits, witness: &mut impl Witness) -> Bits {
    match near {
        Some((index, near)) if field & near != 0 => {
            witness.see(Step::Geo(index));
            see_excluded(field & !near, Exclusion::Geo, service, witness);
            field & near
        }
        _ => field,
    }
}

/// Bits of a sort key that hold the endpoint's index.
const INDEX_BITS: u32 = ENDPOINTS_PER_SERVICE_MAX.trailing_zeros();
/// What puts an endpoint that was never measured behind all others: more than any score.
const UNKNOWN: i64 = 1 << 60;
const _: () = assert!(1 << INDEX_BITS == ENDPOINTS_PER_SERVICE_MAX);
const _: () = assert!((8 * SCORE_TERM_MAX) << INDEX_BITS < UNKNOWN, "a sum of at most eight terms stays below");

/// What the service ranks by, lower first, in one number with the index: equal ones stand in the order of their names.
#[inline]
fn key(service: &Service, ranked: &Ranked, index: u32) -> i64 {
    let unknown = if ranked.eligible.unknown >> index & 1 == 1 { UNKNOWN } else { 0 };
    key_among_peers(service, ranked, index) + unknown
}

/// The same among endpoints of which all were measured, or none.
#[inline]
fn key_among_peers(service: &Service, ranked: &Ranked, index: u32) -> i64 {
    let place = index as usize % ENDPOINTS_PER_SERVICE_MAX;
    let rank = match service.by {
        By::Score => ranked.scores[place],
        By::Order => service.lineup.rows.get(place).map_or(0, |row| i64::from(row.order)),
        By::Weight => 0,
    };
    (rank << INDEX_BITS) + i64::from(index)
}

/// How much more than the best others may score and still share its clients; `None` where nobody shares.
#[inline]
fn reach(service: &Service) -> Option<i64> {
    match service.by {
        By::Order => None,
        By::Score => (service.spread.0 > 0).then(|| service.spread.0.min(SCORE_TERM_MAX)),
        By::Weight => Some(0),
    }
}

/// Puts only the best into the decision, where the answer needs no other: the first of what [`order`] would put there.
#[inline]
fn take_best(decision: &mut Decision, service: &Service, ranked: &Ranked, field: Bits) {
    // Those that were never measured rank after all others, so they matter only where there are no others.
    let known = field & !ranked.eligible.unknown;
    let mut rest = if known == 0 { field } else { known };
    let mut best = i64::MAX;
    while rest != 0 {
        best = best.min(key_among_peers(service, ranked, rest.trailing_zeros()));
        rest &= rest - 1;
    }
    decision.candidates[0].endpoint = at(service, index_of(best));
    decision.count = 1;
}

/// Puts the field into the decision, best first, and finds who shares the clients with the best.
fn order(decision: &mut Decision, service: &Service, ranked: &Ranked, field: Bits, reach: Option<i64>) {
    decision.sharing = append(decision, service, ranked, field, reach);
}

/// Adds endpoints to the candidates, best first. Returns how many of them share the clients.
fn append(decision: &mut Decision, service: &Service, ranked: &Ranked, field: Bits, reach: Option<i64>) -> u8 {
    let mut keys = [0_i64; ENDPOINTS_PER_SERVICE_MAX];
    let mut count = 0;
    let mut rest = field;
    while rest != 0 {
        keys[count] = key(service, ranked, rest.trailing_zeros());
        rest &= rest - 1;
        count += 1;
    }
    let keys = &mut keys[..count];
    keys.sort_unstable();
    let places = decision.candidates.iter_mut().skip(usize::from(decision.count));
    let within = reach.map_or(0, |reach| within(keys, reach));
    for ((index, key), candidate) in (0..).zip(&*keys).zip(places) {
        let weight = if index < within { service.lineup.rows.get(index_of(*key) as usize).map_or(1, |row| row.weight.max(1)) } else { 0 };
        *candidate = Candidate { endpoint: at(service, index_of(*key)), weight, with_previous: 0 < index && index < within };
        decision.count += 1;
    }
    u8::try_from(within).unwrap_or(u8::MAX)
}

/// How many are within `reach` of the best.
fn within(keys: &[i64], reach: i64) -> usize {
    // The shift leaves the rank without the index; a key's unknown bit is far above any reach.
    let farthest = keys.first().map_or(0, |best| (best >> INDEX_BITS) + reach);
    keys.iter().take_while(|key| **key >> INDEX_BITS <= farthest).count()
}

/// Whether any candidate that may come into the answer turns clients away. Those behind enough that take everybody never do.
fn thins(decision: &Decision, world: &World) -> bool {
    if decision.answers > 1 {
        // Which regions are distinct is found out with the answer; so all of them may matter.
        return true;
    }
    let leading = usize::from(decision.sharing.max(1));
    decision.candidates[..usize::from(decision.count)].iter().take(leading).any(|candidate| !world.status(candidate.endpoint).keeps_all())
}

/// Who is in the running beside the field, from the narrowest to the widest.
struct Wider {
    /// All but those of tiers that were left and wait to be released.
    running: Bits,
    /// The tier that was chosen.
    tier: u8,
    /// Those of them in it.
    members: Bits,
    /// Those of the tier that a preference by place left: the candidates so far.
    field: Bits,
}

/// Adds those to whom clients are turned when nobody of the field keeps them: the rest of the tier, the later tiers, the earlier ones.
#[cold]
fn turn_to_the_next(decision: &mut Decision, service: &Service, ranked: &Ranked, wider: &Wider, reach: Option<i64>) {
    decision.thinned = true;
    append(decision, service, ranked, wider.members & !wider.field, reach);
    let tiers = (wider.tier.saturating_add(1)..service.tiers).chain(0..wider.tier);
    for tier in tiers {
        let others = service.lineup.tiers.get(usize::from(tier)).map_or(0, |tier| tier & wider.running & !wider.members);
        append(decision, service, ranked, others, reach);
    }
}

/// The index in a key.
#[inline]
const fn index_of(key: i64) -> u32 {
    (key.cast_unsigned() & ((1 << INDEX_BITS) - 1)) as u32
}

/// Says whether something better is missing, and whether what moves could change this answer. Those that are not `open` cannot by coming back.
#[cold]
fn explain_missing(decision: &mut Decision, service: &Service, ranked: &Ranked, near: Bits, open: Bits) {
    let needed = usize::from(decision.answers.max(decision.sharing).max(1)).min(usize::from(decision.count));
    let index = |candidate: &Candidate| candidate.endpoint.0 - service.endpoints.start;
    let answer = decision.candidates[..needed].iter().fold(0, |bits: Bits, candidate| bits | 1 << index(candidate));
    let mut better = 0;
    if let Some(last) = decision.candidates[..needed].last() {
        let mut rest = (ranked.eligible.missing | ranked.eligible.moving) & !answer;
        while rest != 0 {
            let one = rest.trailing_zeros();
            rest &= rest - 1;
            if would_rank_before(one, index(last), service, ranked, near) {
                better |= 1 << one;
            }
        }
    }
    if decision.reason == Reason::Best && better & ranked.eligible.missing != 0 {
        decision.reason = Reason::Failover;
    }
    better &= open;
    // Whoever is turned away may come to any candidate.
    let next = if decision.thinned {
        decision.candidates[..usize::from(decision.count)].iter().fold(0, |bits: Bits, candidate| bits | 1 << index(candidate))
    } else {
        0
    };
    decision.moving = ranked.eligible.moving & (answer | better | next) != 0;
}

/// Whether an endpoint, were it up, would take a place in the answer from `last`. Doubtful cases count as yes: they only shorten a TTL.
fn would_rank_before(endpoint: u32, last: u32, service: &Service, ranked: &Ranked, near: Bits) -> bool {
    let rows = &service.lineup.rows;
    let (Some(one), Some(other)) = (rows.get(endpoint as usize), rows.get(last as usize)) else { return false };
    if one.tier != other.tier {
        return one.tier < other.tier;
    }
    let is_near = |index: u32| near >> index & 1 == 1;
    if is_near(endpoint) != is_near(last) {
        return is_near(endpoint);
    }
    let score = |index: u32| ranked.scores[index as usize % ENDPOINTS_PER_SERVICE_MAX];
    match service.by {
        By::Weight => one.weight > 0,
        By::Order => one.order < other.order,
        By::Score => score(endpoint) <= score(last).saturating_add(service.spread.0),
    }
}

/// The endpoint at this index within the service.
#[inline]
fn at(service: &Service, index: u32) -> EndpointId {
    EndpointId(service.endpoints.start + index)
}
