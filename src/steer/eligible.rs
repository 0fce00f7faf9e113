//! Eligibility: who may be answered at all, and what gives way when nobody is left.
//!
//! Endpoints of the service are bits of a `u64`: at most 64 (`limits::ENDPOINTS_PER_SERVICE_MAX`). What the law, an operator's `out` or
//! `require` excludes never comes back; the rest gives way in a fixed order.

use super::witness::see_excluded;
use super::{Ask, Exclusion, Family, Reason, Relaxation, Step, Verdict, Witness};
use crate::catalog::{AddressType, Bits, ClientSet, Families, Lineup, Residency, Service, UnknownClient, WhenAllDown, WhenNoneLeft};
use crate::geo::ClientSets;
use crate::health::{Intent, Status};
use crate::world::World;

/// What eligibility leaves.
#[derive(Clone, Copy, Debug)]
pub(super) struct Eligible {
    /// What is answered at all.
    pub(super) verdict: Verdict,
    /// Endpoints that may be answered now. Empty unless the verdict is to serve.
    pub(super) field: Bits,
    /// Lawful endpoints that are not in the field because of their status (down, held down, drained, without addresses): their recovery may change the
    /// answer.
    pub(super) missing: Bits,
    /// Lawful endpoints whose status is moving.
    pub(super) moving: Bits,
    /// Endpoints of the field that were never measured; they rank after the others.
    pub(super) unknown: Bits,
    /// Endpoints of the field that do not keep all of their clients.
    pub(super) thin: Bits,
    /// Endpoints whose tier was left and not released since.
    pub(super) latched: Bits,
    /// Why the field is what it is: [`Reason::Best`] unless something gave way.
    pub(super) reason: Reason,
}

/// What statuses say, a bit for each endpoint.
#[derive(Clone, Copy, Default)]
struct Facts {
    /// Taken out by an operator.
    out: Bits,
    /// Being drained.
    drain: Bits,
    /// Measured down, and no operator says otherwise.
    down: Bits,
    /// Held out of service for coming and going.
    damped: Bits,
    /// Never measured.
    unknown: Bits,
    /// Status on the move.
    moving: Bits,
    /// Without the IPv4 addresses that an alias should give it.
    no_v4: Bits,
    /// Without the IPv6 addresses that an alias should give it.
    no_v6: Bits,
    /// Measured down at its IPv4 addresses alone.
    down_v4: Bits,
    /// Measured down at its IPv6 addresses alone.
    down_v6: Bits,
    /// Not open to all of its clients.
    thin: Bits,
    /// In a tier that was left and not released since.
    latched: Bits,
}

/// Admits endpoints.
pub(super) fn admit(ask: &Ask, world: &World, witness: &mut impl Witness) -> Eligible {
    let service = world.catalog.service(ask.service);
    let lineup = &service.lineup;
    let mut facts = Facts::of(world.statuses_of(service));
    facts.down |= facts.down_for(ask, service);
    let allowed = allowed(ask, service, world, witness);
    let capable = capable(ask, service);
    let blank = facts.blank(ask.family, service);
    // Those that may be given once they have addresses, and those of them that have.
    let entitled = allowed & !facts.out & capable & lineup.able;
    let lawful = entitled & !blank;
    // The last resort is not measured.
    let resorts = allowed & !facts.out & capable & !lineup.lacking & !blank;
    for (exclusion, bits) in [
        (Exclusion::Out, allowed & facts.out),
        (Exclusion::Require, allowed & !facts.out & lineup.lacking),
        (Exclusion::LastResort, allowed & !facts.out & !lineup.lacking & lineup.resort),
        (Exclusion::Family, allowed & !facts.out & lineup.able & !capable),
        (Exclusion::Unresolved, allowed & !facts.out & capable & !lineup.lacking & blank),
        (Exclusion::Down, lawful & facts.down),
        (Exclusion::Damped, lawful & facts.damped & !facts.down),
    ] {
        see_excluded(bits, exclusion, service, witness);
    }
    if lawful == 0 && !(entitled != 0 && may_resort(service, resorts)) {
        let verdict = match service.when_none_left {
            WhenNoneLeft::Nodata => Verdict::Nodata,
            WhenNoneLeft::Servfail => Verdict::Servfail,
        };
        return Eligible { verdict, field: 0, missing: 0, moving: 0, unknown: 0, thin: 0, latched: 0, reason: Reason::NoneLeft };
    }
    let far = far(ask, world, service);
    let mut alive = lawful & !facts.down & !facts.damped;
    if alive == 0 && lawful & !facts.down != 0 {
        // What comes and goes, and is up at the moment, is better than what is down.
        witness.see(Step::Relaxed(Relaxation::Damped));
        alive = lawful & !facts.down;
    }
    let (verdict, field, reason) = if alive == 0 {
        all_down(service, resorts, lawful, &facts, far, witness)
    } else {
        let (field, reason) = narrow(alive, &facts, far, service, witness);
        (Verdict::Serve, field, reason)
    };
    let missing = entitled & (facts.down | facts.drain | facts.damped | blank) & !field;
    let (moving, unknown, thin) = (facts.moving & entitled, facts.unknown & field, facts.thin & field);
    Eligible { verdict, field, missing, moving, unknown, thin, latched: facts.latched, reason }
}

impl Facts {
    /// Reads the statuses of a service's endpoints.
    #[inline]
    fn of(statuses: &[Status]) -> Self {
        let mut facts = Self::default();
        let mut bit: Bits = 1;
        for status in statuses {
            if !status.is_plain() {
                facts.out |= if status.intent == Intent::Out { bit } else { 0 };
                facts.drain |= if status.intent == Intent::Drain { bit } else { 0 };
                facts.down |= if status.is_down() { bit } else { 0 };
                facts.damped |= if status.is_damped() { bit } else { 0 };
                facts.unknown |= if status.is_unknown() { bit } else { 0 };
                facts.moving |= if status.moving { bit } else { 0 };
                facts.no_v4 |= if status.lacks.a { bit } else { 0 };
                facts.no_v6 |= if status.lacks.aaaa { bit } else { 0 };
                facts.down_v4 |= if status.is_down_for(AddressType::A) { bit } else { 0 };
                facts.down_v6 |= if status.is_down_for(AddressType::Aaaa) { bit } else { 0 };
                facts.thin |= if status.keeps_all() { 0 } else { bit };
                facts.latched |= if status.latched { bit } else { 0 };
            }
            bit <<= 1;
        }
        facts
    }

    /// The endpoints that are down for this answer alone: for the family that is asked for where each is decided by itself. Where one decision is for
    /// both, for either. Who asks for anything else is told of both, and one of them is up.
    #[inline]
    fn down_for(&self, ask: &Ask, service: &Service) -> Bits {
        match (service.families, ask.family) {
            (Families::Together, _) => self.down_v4 | self.down_v6,
            (Families::Separate, Family::V4) => self.down_v4,
            (Families::Separate, Family::V6) => self.down_v6,
            (Families::Separate, Family::Any) => 0,
        }
    }

    /// The endpoints without an address to answer with: of any family that they should have where one decision is for both, else of the
    /// family that is asked for.
    #[inline]
    fn blank(&self, family: Family, service: &Service) -> Bits {
        match (service.families, family) {
            (Families::Together, _) => self.no_v4 | self.no_v6,
            (Families::Separate, Family::V4) => self.no_v4,
            (Families::Separate, Family::V6) => self.no_v6,
            (Families::Separate, Family::Any) => (self.no_v4 | !service.lineup.v4) & (self.no_v6 | !service.lineup.v6) & (self.no_v4 | self.no_v6),
        }
    }
}

/// The endpoints of a service that are live, whatever operators intend with them; and those that clients whom no rule binds are sent to. What was never
/// measured, and only waits for its first address, has not failed. Nobody is sent anywhere by health where everything is down.
pub(super) fn live(service: &Service, statuses: &[Status]) -> (Bits, Bits) {
    let (lineup, facts) = (&service.lineup, Facts::of(statuses));
    let (able, blank) = (lineup.able & !facts.down, facts.blank(Family::Any, service));
    let steady = if able & !blank & !facts.damped == 0 { Bits::MAX } else { !facts.damped };
    // As `narrow` and `prefer_weight` do it, but for what is far: that differs from client to client.
    let prefer = |field: Bits, wanted: Bits| if field & wanted == 0 { field } else { field & wanted };
    let wanted = [!facts.drain, lineup.preferred, lineup.weighty];
    let field = wanted.into_iter().fold(able & !blank & steady & !facts.out, prefer);
    (able & (!blank | facts.unknown) & steady, field)
}

/// Whether the service has a last resort that is among these.
fn may_resort(service: &Service, resorts: Bits) -> bool {
    matches!(service.when_all_down, WhenAllDown::LastResort(id) if resorts >> (id.0 - service.endpoints.start) & 1 == 1)
}

/// Whether a residency rule binds a client. A prefix may hold known and unknown places at once: then either binds.
#[inline]
#[must_use]
pub fn binds(rule: &Residency, sets: &ClientSets) -> bool {
    sets.has(rule.clients) || (rule.unknown == UnknownClient::Apply && sets.has(ClientSet::UNKNOWN))
}

/// The endpoints that every residency rule of the service leaves to this client.
#[inline]
fn allowed(ask: &Ask, service: &Service, world: &World, witness: &mut impl Witness) -> Bits {
    let mut allowed = service.lineup.all();
    if service.residency.is_empty() {
        return allowed;
    }
    let sets = ask.client.sets(&world.geo);
    for (id, lawful) in service.residency.iter().zip(&service.lineup.lawful) {
        if binds(&world.catalog.residencies[id.index()], &sets) {
            see_excluded(allowed & !lawful, Exclusion::Residency(*id), service, witness);
            allowed &= lawful;
        }
    }
    allowed
}

/// The endpoints that have an address of the family that is asked for, if the service decides by family.
#[inline]
fn capable(ask: &Ask, service: &Service) -> Bits {
    match (service.families, ask.family) {
        (Families::Together, _) | (Families::Separate, Family::Any) => Bits::MAX,
        (Families::Separate, Family::V4) => service.lineup.v4,
        (Families::Separate, Family::V6) => service.lineup.v6,
    }
}

/// The endpoints beyond `max-rtt`.
#[inline]
fn far(ask: &Ask, world: &World, service: &Service) -> Bits {
    let Some(farthest) = service.max_rtt else { return 0 };
    let rtt = world.geo.rtt_row(ask.client.place.locality);
    let is_far = |lineup: &Lineup, index: usize| i64::from(rtt[lineup.rows[index].region.index()]) > farthest.0;
    (0..service.lineup.rows.len()).fold(0, |bits, index| if is_far(&service.lineup, index) { bits | 1 << index } else { bits })
}

/// Applies `max-rtt`, `prefer` and `drain` to endpoints that count as alive, and gives them up in this order until something is left.
#[inline]
fn narrow(alive: Bits, facts: &Facts, far: Bits, service: &Service, witness: &mut impl Witness) -> (Bits, Reason) {
    let undrained = alive & !facts.drain;
    let preferred = undrained & service.lineup.preferred;
    let near = preferred & !far;
    let (field, reason) = if near != 0 { (near, Reason::Best) } else { relax(alive, undrained, preferred, service, witness) };
    for (exclusion, bits) in
        [(Exclusion::Drain, alive & facts.drain & !field), (Exclusion::Prefer, undrained & !preferred & !field), (Exclusion::MaxRtt, preferred & far & !field)]
    {
        see_excluded(bits, exclusion, service, witness);
    }
    (field, reason)
}

/// Gives up wishes, one after the other.
#[cold]
fn relax(alive: Bits, undrained: Bits, preferred: Bits, service: &Service, witness: &mut impl Witness) -> (Bits, Reason) {
    // A service that set no such wish never gave it up.
    if service.max_rtt.is_some() {
        witness.see(Step::Relaxed(Relaxation::MaxRtt));
    }
    if preferred != 0 {
        return (preferred, Reason::BeyondMaxRtt);
    }
    if !service.prefer.is_empty() {
        witness.see(Step::Relaxed(Relaxation::Prefer));
    }
    if undrained != 0 {
        return (undrained, Reason::NotPreferred);
    }
    witness.see(Step::Relaxed(Relaxation::Drain));
    (alive, Reason::Draining)
}

/// What is answered when every lawful endpoint is down, or without an address. `resorts` are those that the last resort may be: it is not measured.
#[cold]
fn all_down(service: &Service, resorts: Bits, lawful: Bits, facts: &Facts, far: Bits, witness: &mut impl Witness) -> (Verdict, Bits, Reason) {
    match service.when_all_down {
        WhenAllDown::Nodata => (Verdict::Nodata, 0, Reason::AllDown),
        WhenAllDown::Servfail => (Verdict::Servfail, 0, Reason::AllDown),
        WhenAllDown::LastResort(id) if resorts >> (id.0 - service.endpoints.start) & 1 == 1 => {
            witness.see(Step::Relaxed(Relaxation::Down));
            (Verdict::Serve, 1 << (id.0 - service.endpoints.start), Reason::LastResort)
        }
        WhenAllDown::LastResort(_) | WhenAllDown::AsIfUp => {
            witness.see(Step::Relaxed(Relaxation::Down));
            let (field, _) = narrow(lawful, facts, far, service, witness);
            (Verdict::Serve, field, Reason::AsIfUp)
        }
    }
}
