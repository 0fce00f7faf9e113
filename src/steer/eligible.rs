//! Eligibility: who may be answered at all, and what gives way when nobody is left.
//!
//! Endpoints of the service are bits of a `u64`: at most 64 (`limits::ENDPOINTS_PER_SERVICE_MAX`). What the law, an operator's `out` or
//! `require` excludes never comes back; the rest gives way in a fixed order.

use super::decision::Bits;
use super::witness::see_excluded;
use super::{Ask, Exclusion, Family, Reason, Relaxation, Step, Verdict, Witness};
use crate::catalog::{Catalog, ClientSet, Endpoint, EndpointId, Families, RegionSet, Residency, Service, UnknownClient, WhenAllDown, WhenNoneLeft};
use crate::geo::ClientSets;
use crate::health::Intent;
use crate::world::World;

/// What eligibility leaves.
#[derive(Clone, Copy, Debug)]
pub(super) struct Eligible {
    /// What is answered at all.
    pub(super) verdict: Verdict,
    /// Endpoints that may be answered now. Empty unless the verdict is to serve.
    pub(super) field: Bits,
    /// Lawful endpoints that are not in the field because of their status (down, drained): their recovery may change the answer.
    pub(super) missing: Bits,
    /// Lawful endpoints whose status is moving.
    pub(super) moving: Bits,
    /// Endpoints of the field that were never measured; they rank after the others.
    pub(super) unknown: Bits,
    /// Endpoints whose weight is zero.
    pub(super) weightless: Bits,
    /// Why the field is what it is: [`Reason::Best`] unless something gave way.
    pub(super) reason: Reason,
}

/// The regions that every residency rule of the service leaves to this client, and the first rule that excludes a region.
struct Law<'a> {
    /// The rules that bind the client.
    service: &'a Service,
    /// The catalog that they stand in.
    catalog: &'a Catalog,
    /// Whom they bind.
    sets: ClientSets,
    /// What they leave.
    allowed: RegionSet,
}

/// Masks over the endpoints of a service, one for each fact that eligibility asks for.
#[derive(Clone, Copy, Default)]
struct Masks {
    /// May be given by law, by the operator and by `require`; has the family.
    lawful: Bits,
    /// Measured down, and no operator says otherwise.
    down: Bits,
    /// Being drained.
    drain: Bits,
    /// Beyond `max-rtt`.
    far: Bits,
    /// Lacks what `prefer` wants.
    plain: Bits,
    /// Never measured.
    unknown: Bits,
    /// Status on the move.
    moving: Bits,
    /// Weight zero.
    weightless: Bits,
}

/// Admits endpoints.
pub(super) fn admit(ask: &Ask, world: &World, witness: &mut impl Witness) -> Eligible {
    let service = world.catalog.service(ask.service);
    let law = Law::over(service, &world.catalog, ask.client.located.sets);
    let masks = survey(ask, world, service, &law, witness);
    if masks.lawful == 0 {
        let verdict = match service.when_none_left {
            WhenNoneLeft::Nodata => Verdict::Nodata,
            WhenNoneLeft::Servfail => Verdict::Servfail,
        };
        return Eligible { verdict, field: 0, missing: 0, moving: 0, unknown: 0, weightless: 0, reason: Reason::NoneLeft };
    }
    let alive = masks.lawful & !masks.down;
    let (verdict, field, reason) = if alive == 0 {
        all_down(service, &law, &masks, ask, world, witness)
    } else {
        let (field, reason) = narrow(alive, &masks, service, witness);
        (Verdict::Serve, field, reason)
    };
    let missing = masks.lawful & (masks.down | masks.drain) & !field;
    Eligible { verdict, field, missing, moving: masks.moving & masks.lawful, unknown: masks.unknown & field, weightless: masks.weightless, reason }
}

/// Looks at every endpoint once.
fn survey(ask: &Ask, world: &World, service: &Service, law: &Law<'_>, witness: &mut impl Witness) -> Masks {
    let rtt = world.geo.rtt_row(ask.client.located.locality);
    let farthest = service.max_rtt.map_or(i64::MAX, |rtt| rtt.0);
    let mut masks = Masks::default();
    let mut bit: Bits = 1;
    for (id, endpoint) in world.catalog.endpoints_of(service) {
        let status = world.status(id);
        if let Some(exclusion) = unlawful(ask, service, endpoint, status.intent, law) {
            witness.see(Step::Excluded(id, exclusion));
        } else {
            masks.lawful |= bit;
            let down = status.is_down();
            masks.down |= if down { bit } else { 0 };
            masks.drain |= if status.intent == Intent::Drain { bit } else { 0 };
            masks.far |= if i64::from(rtt[endpoint.region.index()]) > farthest { bit } else { 0 };
            masks.plain |= if endpoint.preferred { 0 } else { bit };
            masks.unknown |= if status.is_unknown() { bit } else { 0 };
            masks.moving |= if status.moving { bit } else { 0 };
            masks.weightless |= if endpoint.weight == 0 { bit } else { 0 };
            if down {
                witness.see(Step::Excluded(id, Exclusion::Down));
            }
        }
        bit <<= 1;
    }
    masks
}

/// Why an endpoint may never be given to this client, if so.
#[inline]
fn unlawful(ask: &Ask, service: &Service, endpoint: &Endpoint, intent: Intent, law: &Law<'_>) -> Option<Exclusion> {
    if !law.allowed.has(endpoint.region) {
        return Some(law.excluding(endpoint));
    }
    if intent == Intent::Out {
        return Some(Exclusion::Out);
    }
    if !endpoint.meets_require {
        return Some(Exclusion::Require);
    }
    if endpoint.last_resort {
        return Some(Exclusion::LastResort);
    }
    (service.families == Families::Separate && !has_family(endpoint, ask.family)).then_some(Exclusion::Family)
}

/// Whether the endpoint has an address of the family.
#[inline]
fn has_family(endpoint: &Endpoint, family: Family) -> bool {
    match family {
        Family::Any => true,
        Family::V4 => !endpoint.a.is_empty(),
        Family::V6 => !endpoint.aaaa.is_empty(),
    }
}

/// Applies `max-rtt`, `prefer` and `drain` to endpoints that count as alive, and gives them up in this order until something is left.
fn narrow(alive: Bits, masks: &Masks, service: &Service, witness: &mut impl Witness) -> (Bits, Reason) {
    let undrained = alive & !masks.drain;
    let preferred = undrained & !masks.plain;
    let steps = [
        (preferred & !masks.far, Reason::Best, None),
        (preferred, Reason::BeyondMaxRtt, Some(Relaxation::MaxRtt)),
        (undrained, Reason::NotPreferred, Some(Relaxation::Prefer)),
        (alive, Reason::Draining, Some(Relaxation::Drain)),
    ];
    let mut reason = Reason::Best;
    let mut field = 0;
    for (left, why, relaxation) in steps {
        if let Some(relaxation) = relaxation.filter(|relaxation| matters(*relaxation, service)) {
            witness.see(Step::Relaxed(relaxation));
        }
        field = left;
        reason = why;
        if left != 0 {
            break;
        }
    }
    for (exclusion, bits) in [
        (Exclusion::Drain, alive & masks.drain & !field),
        (Exclusion::Prefer, undrained & masks.plain & !field),
        (Exclusion::MaxRtt, preferred & masks.far & !field),
    ] {
        see_excluded(bits, exclusion, service, witness);
    }
    (field, reason)
}

/// Whether giving this up is worth a word: services that set no such wish never gave it up.
fn matters(relaxation: Relaxation, service: &Service) -> bool {
    match relaxation {
        Relaxation::MaxRtt => service.max_rtt.is_some(),
        Relaxation::Prefer => !service.prefer.is_empty(),
        Relaxation::Drain | Relaxation::Down => true,
    }
}

/// What is answered when every lawful endpoint is down.
#[cold]
fn all_down(service: &Service, law: &Law<'_>, masks: &Masks, ask: &Ask, world: &World, witness: &mut impl Witness) -> (Verdict, Bits, Reason) {
    match service.when_all_down {
        WhenAllDown::Nodata => (Verdict::Nodata, 0, Reason::AllDown),
        WhenAllDown::Servfail => (Verdict::Servfail, 0, Reason::AllDown),
        WhenAllDown::LastResort(id) if law.admits(id, ask, world) => {
            witness.see(Step::Relaxed(Relaxation::Down));
            (Verdict::Serve, 1 << (id.0 - service.endpoints.start), Reason::LastResort)
        }
        WhenAllDown::LastResort(_) | WhenAllDown::AsIfUp => {
            witness.see(Step::Relaxed(Relaxation::Down));
            let (field, _) = narrow(masks.lawful, masks, service, witness);
            (Verdict::Serve, field, Reason::AsIfUp)
        }
    }
}

/// Whether a residency rule binds a client. A prefix may hold known and unknown places at once: then either binds.
#[inline]
#[must_use]
pub fn binds(rule: &Residency, sets: ClientSets) -> bool {
    sets.has(rule.clients) || (rule.unknown == UnknownClient::Apply && sets.has(ClientSet::UNKNOWN))
}

impl<'a> Law<'a> {
    /// The law of a service over a client.
    #[inline]
    fn over(service: &'a Service, catalog: &'a Catalog, sets: ClientSets) -> Self {
        let mut law = Self { service, catalog, sets, allowed: RegionSet::ALL };
        for id in &service.residency {
            let rule = &catalog.residencies[id.index()];
            if binds(rule, sets) {
                law.allowed.intersect(&rule.regions);
            }
        }
        law
    }

    /// The first rule that excludes the endpoint.
    #[cold]
    fn excluding(&self, endpoint: &Endpoint) -> Exclusion {
        self.service
            .residency
            .iter()
            .find(|id| {
                let rule = &self.catalog.residencies[id.index()];
                binds(rule, self.sets) && !rule.regions.has(endpoint.region)
            })
            .map_or(Exclusion::Require, |id| Exclusion::Residency(*id))
    }

    /// Whether the last resort may be given: everything but being measured and being the last resort counts for it, too.
    fn admits(&self, id: EndpointId, ask: &Ask, world: &World) -> bool {
        let endpoint = world.catalog.endpoint(id);
        self.allowed.has(endpoint.region)
            && world.status(id).intent != Intent::Out
            && endpoint.meets_require
            && (self.service.families == Families::Together || has_family(endpoint, ask.family))
    }
}
