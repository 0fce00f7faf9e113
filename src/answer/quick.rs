//! The way of nearly every query: a steered name that there is, asked for its addresses over UDP, and a decision that needs no word of
//! explanation.
//!
//! Nothing here is done otherwise than by [`super::Turn`]: the same client, the same decision, the same writer of replies. What is out of the
//! ordinary is left to it, and a property holds that both write the same octets. What this saves is all that lies between those.

use super::steered::write_addresses;
use super::{Ask, Asked, Outcome, Steered, Transport, reply_max};
use crate::catalog::{Content, EndpointId, Face, Families, Found, Node, ServiceId};
use crate::steer::{self, Cells, Family, Reason, Verdict};
use crate::wire::{Closing, Envelope, Reply, Section, Wanted, class, rtype};
use crate::world::World;

/// Answers a query for the addresses of a service from a cell that holds one endpoint with one address. `None` where anything is otherwise;
/// nothing has happened then.
#[inline(always)]
#[expect(clippy::inline_always, reason = "measured: what it takes and returns would be copied on the way of nearly every query")]
pub(super) fn answer(ask: &Ask<'_>, world: &World, wanted: Wanted, envelope: &Envelope<'_>, found: Found, cells: &Cells, reply: &mut [u8]) -> Option<Outcome> {
    let plan = Plan::of(ask, world, wanted, envelope, found.service, cells)?;
    let len = plan.write(ask, world, wanted.qtype, envelope, reply)?;
    let steered = Steered { service: found.service, endpoint: Some(plan.chosen), reason: plan.reason };
    Some(Outcome { len, zone: Some(found.zone), steered: Some(steered), ..Outcome::SILENCE })
}

/// What a reply will say.
struct Plan {
    /// The endpoint.
    chosen: EndpointId,
    /// TTL in seconds.
    ttl: u32,
    /// SCOPE PREFIX-LENGTH.
    scope: u8,
    /// Why this endpoint.
    reason: Reason,
}

impl Plan {
    /// Finds out.
    #[inline(never)]
    fn of(ask: &Ask<'_>, world: &World, wanted: Wanted, envelope: &Envelope<'_>, service: ServiceId, cells: &Cells) -> Option<Self> {
        let (face, family) = steered(ask, world, wanted, envelope, service)?;
        let place = match envelope.edns.as_ref().and_then(|edns| edns.ecs.as_ref()) {
            Some(ecs) if ecs.source > 0 => {
                let place = world.geo.place(ecs.address, ecs.source);
                if place.says_nothing(ecs.address, ecs.source) {
                    return None;
                }
                place
            }
            None if ask.source.is_ipv4() => world.geo.place(ask.source, 32),
            _ => return None,
        };
        let plain = cells.plain(service, family, place, world)?;
        let ttl = if plain.moving { face.ttl_moving.0 } else { face.ttl_steady.0 };
        Some(Self { chosen: EndpointId(face.first + u32::from(plain.endpoint)), ttl, scope: plain.scope, reason: plain.reason })
    }

    /// Writes it. Returns its octets; `None` when the endpoint has not exactly one address of this family, or when it does not fit.
    #[inline(never)]
    fn write(&self, ask: &Ask<'_>, world: &World, qtype: u16, envelope: &Envelope<'_>, reply: &mut [u8]) -> Option<usize> {
        let mut reply = Reply::start(reply, reply_max(ask, envelope.edns.as_ref()), envelope)?;
        let fits = if qtype == rtype::A {
            reply.need_address(rtype::A, self.ttl, world.catalog.faces.v4(self.chosen)?.octets())
        } else {
            reply.need_address(rtype::AAAA, self.ttl, world.catalog.faces.v6(self.chosen)?.octets())
        };
        fits.then(|| reply.finish(Closing { authoritative: true, scope: self.scope, ..Closing::default() }))
    }
}

/// Whether a query is of class IN, came over UDP, and its answer has nothing to tell but addresses.
#[inline(always)]
#[expect(clippy::inline_always, reason = "measured: on the way of nearly every query")]
fn is_usual(ask: &Ask<'_>, world: &World, wanted: Wanted, envelope: &Envelope<'_>) -> bool {
    let wants = envelope.edns.as_ref().is_some_and(|edns| edns.wants.is_any());
    ask.transport == Transport::Udp && wanted.qclass == class::IN && !wants && !world.statuses.stale
}

/// The same for any decision that needs no words: one that several share, or that no cell holds yet.
pub(super) fn answer_chosen(asked: &Asked<'_>, node: &Node, cells: &mut Cells, reply: &mut [u8]) -> Option<Outcome> {
    let Asked { ask, world, question, envelope } = asked;
    let wanted = Wanted { qtype: question.qtype, qclass: question.qclass };
    let Content::Service { service: id, .. } = node.content else { return None };
    let (_, family) = steered(ask, world, wanted, envelope, id)?;
    let service = world.catalog.service(id);
    let mut scope = None;
    let chosen = cells.choose(&steer::Ask { service: id, client: asked.client(&mut scope), family }, world);
    if chosen.verdict != Verdict::Serve || chosen.reason > Reason::Failover {
        return None;
    }
    let mut reply = Reply::start(reply, reply_max(ask, envelope.edns.as_ref()), envelope)?;
    if reply.need(Section::Answer, |set| write_addresses(set, world, service, &chosen, question.qtype)) == 0 {
        return None;
    }
    let len = reply.finish(Closing { authoritative: true, scope: scope.unwrap_or(chosen.scope), ..Closing::default() });
    let steered = Steered { service: id, endpoint: chosen.endpoints().first().copied(), reason: chosen.reason };
    Some(Outcome { len, zone: Some(node.zone), steered: Some(steered), ..Outcome::SILENCE })
}

/// What there is to know of a service whose addresses are asked for over UDP, if that is what is asked for and nothing beside, and the family that is
/// decided for.
#[inline(always)]
#[expect(clippy::inline_always, reason = "measured: what it returns would be copied on the way of nearly every query")]
fn steered<'w>(ask: &Ask<'_>, world: &'w World, wanted: Wanted, envelope: &Envelope<'_>, service: ServiceId) -> Option<(&'w Face, Family)> {
    let face = world.catalog.faces.service(service)?;
    let family = match (wanted.qtype, face.families) {
        (rtype::A, Families::Together) if face.gives_a => Family::Any,
        (rtype::AAAA, Families::Together) if face.gives_aaaa => Family::Any,
        (rtype::A, Families::Separate) if face.gives_a => Family::V4,
        (rtype::AAAA, Families::Separate) if face.gives_aaaa => Family::V6,
        _ => return None,
    };
    is_usual(ask, world, wanted, envelope).then_some((face, family))
}
