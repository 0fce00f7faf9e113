//! Picks: tiers first, then preferences by place, then score, weight or order.

use super::decision::{Bits, Candidate, Decision, Reason, Verdict};
use super::score::Ranked;
use super::witness::see_excluded;
use super::{Ask, Exclusion, Step, Witness};
use crate::catalog::{By, Catalog, EndpointId, GeoRule, RegionSet, Service};
use crate::health::Status;
use crate::limits::ENDPOINTS_PER_SERVICE_MAX;
use crate::world::World;

/// Chooses among the field.
pub(super) fn choose(ask: &Ask, world: &World, ranked: &Ranked, witness: &mut impl Witness) -> Decision {
    let service = world.catalog.service(ask.service);
    let mut decision = Decision {
        verdict: ranked.eligible.verdict,
        reason: ranked.eligible.reason,
        moving: ranked.eligible.moving != 0,
        by_place: consults_place(service),
        sharing: 0,
        answers: service.answers,
        count: 0,
        candidates: [Candidate { endpoint: EndpointId(0), weight: 0 }; ENDPOINTS_PER_SERVICE_MAX],
    };
    if decision.verdict != Verdict::Serve {
        return decision;
    }
    let field = prefer_weight(service, ranked, witness);
    let field = prefer_tier(world, service, field, witness);
    let rule = rule_for(ask, service);
    let field = prefer_place(rule, world, service, field, witness);
    order(&mut decision, service, world, ranked, field);
    share(&mut decision, service, world, ranked);
    explain_missing(&mut decision, service, &world.catalog, ranked, rule.map(|(_, rule)| &rule.regions));
    decision
}

/// Whether the decision depends on where the client is.
fn consults_place(service: &Service) -> bool {
    service.by == By::Score || !service.residency.is_empty() || !service.geo.is_empty() || service.max_rtt.is_some()
}

/// Leaves out what has no weight, while anything that has some is left.
fn prefer_weight(service: &Service, ranked: &Ranked, witness: &mut impl Witness) -> Bits {
    let (field, weightless) = (ranked.eligible.field, ranked.eligible.weightless);
    if field & !weightless == 0 {
        return field;
    }
    see_excluded(field & weightless, Exclusion::Weight, service, witness);
    field & !weightless
}

/// The first tier with `min-live` endpoints in the field; if none has so many, the first that has any.
fn prefer_tier(world: &World, service: &Service, field: Bits, witness: &mut impl Witness) -> Bits {
    if service.tiers <= 1 {
        return field;
    }
    let mut fallback = None;
    for tier in 0..service.tiers {
        let members = members_of_tier(world, service, field, tier);
        let live = members.count_ones();
        if live >= u32::from(service.min_live.max(1)) {
            fallback = Some((tier, members));
            break;
        }
        if live > 0 && fallback.is_none() {
            fallback = Some((tier, members));
        }
    }
    let Some((tier, members)) = fallback else { return field };
    witness.see(Step::Tier { tier, live: u8::try_from(members.count_ones()).unwrap_or(u8::MAX) });
    see_excluded(field & !members, Exclusion::Tier, service, witness);
    members
}

/// The endpoints of the field that stand in this tier.
fn members_of_tier(world: &World, service: &Service, field: Bits, tier: u8) -> Bits {
    let mut members = 0;
    let mut rest = field;
    while rest != 0 {
        let bit = rest & rest.wrapping_neg();
        rest ^= bit;
        if world.catalog.endpoint(at(service, bit.trailing_zeros())).tier == tier {
            members |= bit;
        }
    }
    members
}

/// The first geo rule that names the client, and its place in the list.
#[inline]
fn rule_for<'a>(ask: &Ask, service: &'a Service) -> Option<(u8, &'a GeoRule)> {
    let sets = ask.client.located.sets;
    (0_u8..).zip(&service.geo).find(|(_, rule)| sets.has(rule.clients))
}

/// Narrows the field to the regions that a geo rule prefers; never to nothing.
fn prefer_place(rule: Option<(u8, &GeoRule)>, world: &World, service: &Service, field: Bits, witness: &mut impl Witness) -> Bits {
    let Some((index, rule)) = rule else { return field };
    let mut preferred = 0;
    let mut rest = field;
    while rest != 0 {
        let bit = rest & rest.wrapping_neg();
        rest ^= bit;
        if rule.regions.has(world.catalog.endpoint(at(service, bit.trailing_zeros())).region) {
            preferred |= bit;
        }
    }
    if preferred == 0 {
        return field;
    }
    witness.see(Step::Geo(index));
    see_excluded(field & !preferred, Exclusion::Geo, service, witness);
    preferred
}

/// What the service ranks by, lower first; equal ones stand in the order of their names.
#[inline]
fn key(service: &Service, world: &World, ranked: &Ranked, index: u32) -> (bool, i64) {
    let unknown = ranked.eligible.unknown >> index & 1 == 1;
    let key = match service.by {
        By::Score => ranked.scores[index as usize % ENDPOINTS_PER_SERVICE_MAX],
        By::Order => i64::from(world.catalog.endpoint(at(service, index)).order),
        By::Weight => 0,
    };
    (unknown, key)
}

/// Puts the field into the decision, best first: an insertion sort, for fields are small.
fn order(decision: &mut Decision, service: &Service, world: &World, ranked: &Ranked, field: Bits) {
    let mut keys = [(false, 0_i64); ENDPOINTS_PER_SERVICE_MAX];
    let mut count = 0;
    let mut rest = field;
    while rest != 0 {
        let index = rest.trailing_zeros();
        rest &= rest - 1;
        let key = key(service, world, ranked, index);
        let mut place = count;
        while place > 0 && keys[place - 1] > key {
            keys[place] = keys[place - 1];
            decision.candidates[place] = decision.candidates[place - 1];
            place -= 1;
        }
        keys[place] = key;
        decision.candidates[place] = Candidate { endpoint: at(service, index), weight: 0 };
        count += 1;
    }
    decision.count = u8::try_from(count).unwrap_or(u8::MAX);
}

/// Finds who shares the clients with the best, and their weights.
fn share(decision: &mut Decision, service: &Service, world: &World, ranked: &Ranked) {
    let count = usize::from(decision.count);
    let Some(best) = decision.candidates[..count].first() else { return };
    let (unknown, lowest) = key(service, world, ranked, best.endpoint.0 - service.endpoints.start);
    let reach = match service.by {
        By::Order => return,
        By::Score if service.spread.0 <= 0 => return,
        By::Score => lowest.saturating_add(service.spread.0),
        By::Weight => lowest,
    };
    let within = decision.candidates[..count]
        .iter()
        .take_while(|candidate| {
            let (other, score) = key(service, world, ranked, candidate.endpoint.0 - service.endpoints.start);
            other == unknown && score <= reach
        })
        .count();
    for candidate in &mut decision.candidates[..within] {
        candidate.weight = effective_weight(world.catalog.endpoint(candidate.endpoint).weight, world.status(candidate.endpoint));
    }
    decision.sharing = u8::try_from(within).unwrap_or(u8::MAX);
}

/// An endpoint's weight in thousandths of its ramp; at least 1, for a field in which nobody has any weight shares alike.
fn effective_weight(weight: u32, status: &Status) -> u32 {
    let ramp = u32::from(status.ramp.0.clamp(1, 1000));
    weight.saturating_mul(ramp).max(1)
}

/// Says whether something better is missing, and whether what moves could change this answer.
fn explain_missing(decision: &mut Decision, service: &Service, catalog: &Catalog, ranked: &Ranked, preferred: Option<&RegionSet>) {
    let interesting = ranked.eligible.missing | ranked.eligible.moving;
    if interesting == 0 {
        return;
    }
    let needed = usize::from(decision.answers.max(decision.sharing).max(1)).min(usize::from(decision.count));
    let answer = decision.candidates[..needed].iter().fold(0, |bits: Bits, candidate| bits | 1 << (candidate.endpoint.0 - service.endpoints.start));
    let mut better = 0;
    if let Some(last) = decision.candidates[..needed].last() {
        let mut rest = interesting & !answer;
        while rest != 0 {
            let bit = rest & rest.wrapping_neg();
            rest ^= bit;
            if would_rank_before(at(service, bit.trailing_zeros()), last.endpoint, service, catalog, ranked, preferred) {
                better |= bit;
            }
        }
    }
    if decision.reason == Reason::Best && better & ranked.eligible.missing != 0 {
        decision.reason = Reason::Failover;
    }
    decision.moving = ranked.eligible.moving & (answer | better) != 0;
}

/// Whether an endpoint, were it up, would take a place in the answer from `last`. Doubtful cases count as yes: they only shorten a TTL.
fn would_rank_before(endpoint: EndpointId, last: EndpointId, service: &Service, catalog: &Catalog, ranked: &Ranked, preferred: Option<&RegionSet>) -> bool {
    let (one, other) = (catalog.endpoint(endpoint), catalog.endpoint(last));
    if one.tier != other.tier {
        return one.tier < other.tier;
    }
    let is_preferred = |region| preferred.is_some_and(|regions| regions.has(region));
    if is_preferred(one.region) != is_preferred(other.region) {
        return is_preferred(one.region);
    }
    let score = |id: EndpointId| ranked.scores[(id.0 - service.endpoints.start) as usize % ENDPOINTS_PER_SERVICE_MAX];
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
