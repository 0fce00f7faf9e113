//! Picks: tiers first, then preferences by place, then score, weight or order; shares by weighted rendezvous.

use super::eligible::Bits;
use super::rendezvous::Draw;
use super::score::Ranked;
use super::{Ask, Client, Exclusion, Step, Witness};
use crate::catalog::{By, Catalog, EndpointId, GeoRule, RegionSet, Service};
use crate::health::Status;
use crate::limits::{ANSWERS_MAX, ENDPOINTS_PER_SERVICE_MAX};
use crate::world::World;

/// An endpoint that may be answered, with its share of the clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Which.
    pub endpoint: EndpointId,
    /// Its weight in the rendezvous: the endpoint's weight in thousandths of its ramp. Counts among sharing candidates only.
    pub weight: u32,
}

/// What is to be answered at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// The endpoints chosen.
    Serve,
    /// An empty answer with the SOA.
    Nodata,
    /// SERVFAIL.
    Servfail,
}

/// Why this answer and not the plain best; a label of metrics, so there are few.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// The best by the service's rules; nothing better is missing.
    Best,
    /// Something that would rank better is down or drained, or its tier has too few: failed over.
    Failover,
    /// Nothing was within `max-rtt`.
    BeyondMaxRtt,
    /// Nothing had what `prefer` wants.
    NotPreferred,
    /// Only endpoints in `drain` were up.
    Draining,
    /// All lawful ones are down: as if they were up.
    AsIfUp,
    /// All lawful ones are down: the last resort.
    LastResort,
    /// All lawful ones are down, and the service wants no answer then.
    AllDown,
    /// Residency, `out` and `require` leave nothing.
    NoneLeft,
}

impl Reason {
    /// Every reason, in the order of their numbers.
    pub const ALL: [Self; 9] =
        [Self::Best, Self::Failover, Self::BeyondMaxRtt, Self::NotPreferred, Self::Draining, Self::AsIfUp, Self::LastResort, Self::AllDown, Self::NoneLeft];

    /// As metrics and explanations write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Best => "best",
            Self::Failover => "failover",
            Self::BeyondMaxRtt => "beyond-max-rtt",
            Self::NotPreferred => "not-preferred",
            Self::Draining => "draining",
            Self::AsIfUp => "as-if-up",
            Self::LastResort => "last-resort",
            Self::AllDown => "all-down",
            Self::NoneLeft => "none-left",
        }
    }
}

/// The outcome of deciding for one cell: every client of a locality shares it; [`Decision::choose`] adds the client's prefix.
#[derive(Clone, Copy, Debug)]
pub struct Decision {
    /// What is answered at all.
    pub verdict: Verdict,
    /// Why.
    pub reason: Reason,
    /// Whether something that matters to the answer is moving, so that `ttl.moving` is due.
    pub moving: bool,
    /// Whether the place of the client was consulted at all.
    pub by_place: bool,
    /// How many of the leading candidates share the clients: the client's prefix orders them. 0 or 1: the order is fixed.
    pub sharing: u8,
    /// How many endpoints are answered at most, of distinct regions.
    pub answers: u8,
    /// Number of candidates.
    pub count: u8,
    /// The candidates, best first; valid up to `count`.
    pub candidates: [Candidate; ENDPOINTS_PER_SERVICE_MAX],
}

/// What one client gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chosen {
    /// What is answered at all. With anything but [`Verdict::Serve`], no endpoints.
    pub verdict: Verdict,
    /// Why.
    pub reason: Reason,
    /// Whether `ttl.moving` is due rather than `ttl.steady`.
    pub moving: bool,
    /// SCOPE for a client that sent ECS: never shorter than what was consulted (RFC 7871 §7.2.1).
    pub scope: u8,
    /// Number of endpoints.
    pub count: u8,
    /// The endpoints, the best first; valid up to `count`.
    pub endpoints: [EndpointId; ANSWERS_MAX],
}

impl Chosen {
    /// The endpoints, the best first.
    #[must_use]
    pub fn endpoints(&self) -> &[EndpointId] {
        &self.endpoints[..usize::from(self.count)]
    }
}

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

/// Tells the witness that these endpoints are out.
pub(super) fn see_excluded(bits: Bits, exclusion: Exclusion, service: &Service, witness: &mut impl Witness) {
    let mut rest = bits;
    while rest != 0 {
        witness.see(Step::Excluded(at(service, rest.trailing_zeros()), exclusion));
        rest &= rest - 1;
    }
}

impl Decision {
    /// What the client of this prefix gets.
    #[must_use]
    pub fn choose(&self, client: &Client, catalog: &Catalog) -> Chosen {
        settle(Terms::of(self), &self.candidates[..usize::from(self.count)], client, catalog)
    }
}

/// What [`settle`] needs of a decision beside its candidates; a cell keeps the same.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    /// As [`Decision::verdict`].
    pub(super) verdict: Verdict,
    /// As [`Decision::reason`].
    pub(super) reason: Reason,
    /// As [`Decision::moving`].
    pub(super) moving: bool,
    /// As [`Decision::by_place`].
    pub(super) by_place: bool,
    /// As [`Decision::sharing`].
    pub(super) sharing: u8,
    /// As [`Decision::answers`].
    pub(super) answers: u8,
}

impl Terms {
    /// Those of a decision.
    pub(super) const fn of(decision: &Decision) -> Self {
        Self {
            verdict: decision.verdict,
            reason: decision.reason,
            moving: decision.moving,
            by_place: decision.by_place,
            sharing: decision.sharing,
            answers: decision.answers,
        }
    }
}

/// Lets the client's prefix order those that share, and takes the first of distinct regions.
#[inline]
pub(super) fn settle(terms: Terms, candidates: &[Candidate], client: &Client, catalog: &Catalog) -> Chosen {
    let mut chosen = Chosen {
        verdict: terms.verdict,
        reason: terms.reason,
        moving: terms.moving,
        scope: if terms.by_place { client.located.leaf } else { 0 },
        count: 0,
        endpoints: [EndpointId(0); ANSWERS_MAX],
    };
    let sharing = usize::from(terms.sharing).min(candidates.len());
    if sharing > 1 {
        chosen.scope = chosen.scope.max(client.hashed_len);
        draw_lots(&mut chosen, terms, &candidates[..sharing], client, catalog);
    }
    let rest = if sharing > 1 { &candidates[sharing..] } else { candidates };
    for candidate in rest {
        if chosen.count >= terms.answers {
            break;
        }
        take(&mut chosen, candidate.endpoint, catalog);
    }
    chosen
}

/// Takes the winners of the rendezvous, the best draw first, until the answer is full.
fn draw_lots(chosen: &mut Chosen, terms: Terms, sharing: &[Candidate], client: &Client, catalog: &Catalog) {
    let mut left: Bits = (1_u64 << (sharing.len() - 1) << 1).wrapping_sub(1);
    while left != 0 && chosen.count < terms.answers {
        let mut best: Option<(usize, Draw)> = None;
        let mut rest = left;
        while rest != 0 {
            let index = rest.trailing_zeros() as usize;
            rest &= rest - 1;
            let candidate = &sharing[index];
            let draw = Draw::new(client.prefix, catalog.endpoint(candidate.endpoint).seed, candidate.weight);
            if best.as_ref().is_none_or(|(_, leading)| draw.beats(leading)) {
                best = Some((index, draw));
            }
        }
        let Some((winner, _)) = best else { return };
        left &= !(1 << winner);
        take(chosen, sharing[winner].endpoint, catalog);
    }
}

/// Adds an endpoint to the answer unless its region is there.
#[inline]
fn take(chosen: &mut Chosen, endpoint: EndpointId, catalog: &Catalog) {
    let count = usize::from(chosen.count);
    if count > 0 {
        let region = catalog.endpoint(endpoint).region;
        if chosen.endpoints().iter().any(|other| catalog.endpoint(*other).region == region) {
            return;
        }
    }
    if let Some(place) = chosen.endpoints.get_mut(count) {
        *place = endpoint;
        chosen.count += 1;
    }
}
