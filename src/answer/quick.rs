//! The way of nearly every query: a steered name that there is, asked for its addresses over UDP, and a decision that needs no word of
//! explanation.
//!
//! Nothing here is done otherwise than by [`super::Turn`]: the same client, the same decision, the same writer of replies. What is out of the
//! ordinary is left to it, and a property holds that both write the same octets. What this saves is all that lies between those.

use super::steered::{has_any, write_addresses};
use super::{Ask, Asked, Outcome, Steered, Transport, reply_max};
use crate::catalog::{AnswerKind, Content, Endpoint, EndpointId, Families, Node, Service, ServiceId};
use crate::steer::{self, Cells, Family, Reason, Verdict};
use crate::wire::{Closing, Envelope, Reply, Section, Wanted, class, rtype};
use crate::world::World;

/// Answers a query for the addresses of a service from a cell that holds one endpoint with one address. `None` where anything is otherwise;
/// nothing has happened then.
#[inline(always)]
#[expect(clippy::inline_always, reason = "measured: what it takes and returns would be copied on the way of nearly every query")]
pub(super) fn answer(ask: &Ask<'_>, world: &World, wanted: Wanted, envelope: &Envelope<'_>, node: &Node, cells: &Cells, reply: &mut [u8]) -> Option<Outcome> {
    let plan = Plan::of(ask, world, wanted, envelope, node, cells)?;
    let len = plan.write(ask, wanted.qtype, envelope, reply)?;
    let steered = Steered { service: plan.service, endpoint: Some(plan.chosen), reason: plan.reason };
    Some(Outcome { len, zone: Some(node.zone), steered: Some(steered), ..Outcome::SILENCE })
}

/// What a reply will say.
struct Plan<'w> {
    /// The endpoint.
    endpoint: &'w Endpoint,
    /// Its index.
    chosen: EndpointId,
    /// The service.
    service: ServiceId,
    /// TTL in seconds.
    ttl: u32,
    /// SCOPE PREFIX-LENGTH.
    scope: u8,
    /// Why this endpoint.
    reason: Reason,
}

impl<'w> Plan<'w> {
    /// Finds out.
    #[inline(never)]
    fn of(ask: &Ask<'_>, world: &'w World, wanted: Wanted, envelope: &Envelope<'_>, node: &Node, cells: &Cells) -> Option<Self> {
        let (id, service, family) = steered(ask, world, wanted, envelope, node)?;
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
        let plain = cells.plain(id, family, place, world)?;
        let chosen = EndpointId(service.endpoints.start + u32::from(plain.endpoint));
        let endpoint = world.catalog.endpoint(chosen);
        let ttl = if plain.moving { service.ttl_moving.0 } else { service.ttl_steady.0 };
        Some(Self { endpoint, chosen, service: id, ttl, scope: plain.scope, reason: plain.reason })
    }

    /// Writes it. Returns its octets; `None` when the endpoint has not exactly one address of this family, or when it does not fit.
    #[inline(never)]
    fn write(&self, ask: &Ask<'_>, qtype: u16, envelope: &Envelope<'_>, reply: &mut [u8]) -> Option<usize> {
        let mut reply = Reply::start(reply, reply_max(ask, envelope.edns.as_ref()), envelope)?;
        let fits = match (qtype, &*self.endpoint.a, &*self.endpoint.aaaa) {
            (rtype::A, [address], _) => reply.need_address(rtype::A, self.ttl, address.octets()),
            (rtype::AAAA, _, [address]) => reply.need_address(rtype::AAAA, self.ttl, address.octets()),
            _ => false,
        };
        fits.then(|| reply.finish(Closing { authoritative: true, scope: self.scope, ..Closing::default() }))
    }
}

/// The same for any decision that needs no words: one that several share, or that no cell holds yet.
pub(super) fn answer_chosen(asked: &Asked<'_>, node: &Node, cells: &mut Cells, reply: &mut [u8]) -> Option<Outcome> {
    let Asked { ask, world, question, envelope } = asked;
    let wanted = Wanted { qtype: question.qtype, qclass: question.qclass };
    let (id, service, family) = steered(ask, world, wanted, envelope, node)?;
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

/// The service whose addresses are asked for over UDP, if that is what is asked for and nothing beside, and the family that is decided for.
#[inline(always)]
#[expect(clippy::inline_always, reason = "measured: what it returns would be copied on the way of nearly every query")]
fn steered<'w>(
    ask: &Ask<'_>,
    world: &'w World,
    Wanted { qtype, qclass }: Wanted,
    envelope: &Envelope<'_>,
    node: &Node,
) -> Option<(ServiceId, &'w Service, Family)> {
    let Content::Service { service: id, .. } = node.content else { return None };
    let service = world.catalog.service(id);
    let family = match (qtype, service.families) {
        (rtype::A | rtype::AAAA, Families::Together) => Family::Any,
        (rtype::A, Families::Separate) => Family::V4,
        (rtype::AAAA, Families::Separate) => Family::V6,
        _ => return None,
    };
    if envelope.edns.as_ref().is_some_and(|edns| edns.wants.is_any()) {
        return None;
    }
    let is_usual = ask.transport == Transport::Udp && qclass == class::IN && service.kind == AnswerKind::Addresses && !world.statuses.stale;
    (is_usual && has_any(service, qtype)).then_some((id, service, family))
}
