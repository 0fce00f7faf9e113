//! Steered answers: the addresses, the HTTPS record or the CNAME of the endpoints that were chosen for this client.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::{Asked, Said, Steered, Turn};
use crate::catalog::{AnswerKind, Families, HttpsTemplate, RrSet, Service, ServiceId, ZoneId};
use crate::limits::STEERED_ADDRESSES_MAX;
use crate::steer::{self, Chosen, Family, Reason, Verdict};
use crate::wire::{Ede, Owner, Rcode, Section, Set, rtype};
use crate::world::{Addresses, World};

impl<'a> Turn<'a> {
    /// Answers for a service. What is not steered there is static, or NODATA for everybody.
    pub(super) fn service(&mut self, zone: ZoneId, id: ServiceId, records: &'a [RrSet]) -> Said {
        let service = self.world.catalog.service(id);
        let served = Served { zone, id, service };
        let qtype = match self.question.qtype {
            // RFC 8482 §4.1: one RRset is enough.
            rtype::ANY if service.lineup.v4 != 0 => rtype::A,
            rtype::ANY => rtype::AAAA,
            asked => asked,
        };
        match (service.kind, qtype) {
            (AnswerKind::Cname, _) => self.canonical_name(&served),
            (AnswerKind::Addresses, rtype::A | rtype::AAAA) if has_any(service, qtype) => self.addresses(&served, qtype),
            (AnswerKind::Addresses, rtype::HTTPS) => match &service.https {
                Some(template) => self.https(&served, template),
                None => self.records(zone, records),
            },
            (AnswerKind::Addresses, _) => self.records(zone, records),
        }
    }

    /// Answers with the addresses of one family.
    fn addresses(&mut self, served: &Served<'_>, rtype: u16) -> Said {
        let (chosen, said) = self.choose(served, if rtype == rtype::A { Family::V4 } else { Family::V6 });
        if chosen.verdict != Verdict::Serve {
            return self.nothing(served, &chosen, said);
        }
        if self.put_addresses(Section::Answer, served, &chosen, rtype) == 0 && !self.reply.is_truncated() {
            return self.nothing(served, &chosen, said);
        }
        said
    }

    /// Adds the addresses of one family, in the order of the endpoints, each once. Returns how many.
    fn put_addresses(&mut self, section: Section, served: &Served<'_>, chosen: &Chosen, rtype: u16) -> u16 {
        let write = |set: &mut Set<'_>| write_addresses(set, self.world, served.service, chosen, rtype);
        if section == Section::Answer { self.reply.need(section, write) } else { self.reply.offer(section, write) }
    }

    /// Answers with the HTTPS record (RFC 9460 §2.2), its target the service itself. Hints and additional addresses are those of the very
    /// decision that A and AAAA get (§7.3). Where families are decided apart there is no such one decision, hence no hints; and without
    /// hints the record is the same for everybody.
    fn https(&mut self, served: &Served<'_>, template: &HttpsTemplate) -> Said {
        if !template.hints || served.service.families == Families::Separate {
            let ttl = served.service.ttl_steady.0;
            self.reply.need(Section::Answer, |set| put_https(set, ttl, template, [].into_iter()));
            return Said::AUTHORITATIVE;
        }
        let (chosen, said) = self.choose(served, Family::Any);
        if chosen.verdict != Verdict::Serve {
            return self.nothing(served, &chosen, said);
        }
        let (ttl, world) = (served.ttl(&chosen), self.world);
        let hints = chosen.endpoints().iter().map(|&id| world.addresses(world.catalog.endpoint(id)));
        self.reply.need(Section::Answer, |set| put_https(set, ttl, template, hints));
        self.put_addresses(Section::Additional, served, &chosen, rtype::A);
        self.put_addresses(Section::Additional, served, &chosen, rtype::AAAA);
        said
    }

    /// Answers with the one CNAME, whatever was asked (RFC 1034 §3.6.2). It is not followed (RFC 7871 §7.2.1).
    fn canonical_name(&mut self, served: &Served<'_>) -> Said {
        let (chosen, said) = self.choose(served, Family::Any);
        if chosen.verdict != Verdict::Serve {
            return self.nothing(served, &chosen, said);
        }
        let catalog = &self.world.catalog;
        let Some(target) = chosen.endpoints().first().and_then(|&id| catalog.endpoint(id).cname.as_ref()) else { return self.nothing(served, &chosen, said) };
        self.reply.need(Section::Answer, |set| set.record(Owner::QNAME, rtype::CNAME, served.ttl(&chosen), target.wire()));
        said
    }

    /// Decides, and says what every reply by that decision says.
    fn choose(&mut self, served: &Served<'_>, family: Family) -> (Chosen, Said) {
        let family = if served.service.families == Families::Separate { family } else { Family::Any };
        let mut scope = None;
        let asked = Asked { ask: self.ask, world: self.world, question: self.question, envelope: self.envelope };
        let ask = steer::Ask { service: served.id, client: asked.client(&mut scope), family };
        let chosen = self.cells.choose(&ask, self.world);
        let said = Said {
            scope: scope.unwrap_or(chosen.scope),
            ede: if self.world.statuses.stale {
                Some(Ede::STALE_ANSWER)
            } else {
                // What is neither the best nor a plain failover is worth a word: something was given up.
                (chosen.reason > Reason::Failover).then_some(Ede::OTHER)
            },
            steered: Some(Steered { service: served.id, endpoint: (chosen.count > 0).then_some(chosen.endpoints[0]), reason: chosen.reason }),
            ..Said::AUTHORITATIVE
        };
        (chosen, said)
    }

    /// Says that this client gets nothing, and only for as long as something moving is remembered. Unlike the NODATA of a type that the
    /// service does not have, it is for this client: so SCOPE stays that of the decision, lest a resolver give it to everybody.
    #[cold]
    fn nothing(&mut self, served: &Served<'_>, chosen: &Chosen, said: Said) -> Said {
        if chosen.verdict == Verdict::Servfail {
            return Said { rcode: Rcode::SERVFAIL, authoritative: false, ..said };
        }
        self.negative(served.zone, Rcode::NOERROR, Some(served.service.ttl_moving.0));
        said
    }
}

/// Writes the addresses of one family of what was chosen, in the order of the endpoints, each once.
#[inline(always)]
#[expect(clippy::inline_always, reason = "measured: a call for each answer costs as much as the answer")]
pub(super) fn write_addresses(set: &mut Set<'_>, world: &World, service: &Service, chosen: &Chosen, rtype: u16) {
    let ttl = ttl_of(service, chosen);
    for &id in chosen.endpoints() {
        let addresses = world.addresses(world.catalog.endpoint(id));
        if rtype == rtype::A {
            addresses.a.iter().for_each(|address| set.address(rtype, ttl, address.octets()));
        } else {
            addresses.aaaa.iter().for_each(|address| set.address(rtype, ttl, address.octets()));
        }
    }
}

/// The TTL of what was chosen, in seconds.
#[inline]
pub(super) fn ttl_of(service: &Service, chosen: &Chosen) -> u32 {
    if chosen.moving { service.ttl_moving.0 } else { service.ttl_steady.0 }
}

/// Whether any endpoint of the service has an address that A, or else AAAA, asks for.
#[inline]
fn has_any(service: &Service, rtype: u16) -> bool {
    (if rtype == rtype::A { service.lineup.v4 } else { service.lineup.v6 }) != 0
}

/// The service that is answered for.
struct Served<'s> {
    /// The zone of the node, for its SOA.
    zone: ZoneId,
    /// The service's index.
    id: ServiceId,
    /// The service.
    service: &'s Service,
}

impl Served<'_> {
    /// The TTL of what was chosen, in seconds.
    fn ttl(&self, chosen: &Chosen) -> u32 {
        ttl_of(self.service, chosen)
    }
}

/// SvcParamKey `ipv4hint` (RFC 9460 §14.3.2).
const IPV4HINT: u16 = 4;
/// SvcParamKey `ipv6hint`.
const IPV6HINT: u16 = 6;

/// Writes an HTTPS record with the target `.`, its parameters in ascending order (RFC 9460 §2.2).
fn put_https<'e>(set: &mut Set<'_>, ttl: u32, template: &HttpsTemplate, hints: impl Iterator<Item = Addresses<'e>> + Clone) {
    set.record_with(Owner::QNAME, rtype::HTTPS, ttl, |set| {
        set.put(&template.priority.to_be_bytes());
        set.put(&[0]);
        set.put_slice(&template.before_hints);
        put_hint(set, IPV4HINT, hints.clone().flat_map(|addresses| addresses.a).map(Ipv4Addr::octets));
        set.put_slice(&template.between_hints);
        put_hint(set, IPV6HINT, hints.flat_map(|addresses| addresses.aaaa).map(Ipv6Addr::octets));
        set.put_slice(&template.after_hints);
    });
}

/// Writes a list of addresses as a parameter, if there are any (RFC 9460 §7.3).
fn put_hint<const N: usize>(set: &mut Set<'_>, key: u16, addresses: impl Iterator<Item = [u8; N]> + Clone) {
    let addresses = addresses.take(STEERED_ADDRESSES_MAX);
    let Ok(len @ 1..) = u16::try_from(addresses.clone().count() * N) else { return };
    set.put(&key.to_be_bytes());
    set.put(&len.to_be_bytes());
    addresses.for_each(|address| set.put(&address));
}
