//! `_why.SERVICE`: a TXT record that explains the decision for whoever asks, for networks that the operator allows.
//!
//! The one arm of answering that allocates: it runs the decision anew with a recording witness, and words it. Rare by its nature, as it
//! answers allowed networks only; for everybody else such a name is what the zone says it is.

use std::net::IpAddr;

use super::{Said, Turn};
use crate::catalog::{Content, Families, ServiceId, ZoneId};
use crate::explain::{self, explain};
use crate::limits::{LABELS_MAX, WHY_ENDPOINTS_MAX};
use crate::steer::{Client, Family};
use crate::wire::{Ede, Owner, Rcode, Section, rtype};

/// The label in front of a service's name, in lower case, with its length.
const WHY: &[u8] = b"\x04_why";
/// TTL of an explanation, in seconds: it tells of this moment. No TTL here is zero; one is the least.
const TTL: u32 = 1;
/// Octets of a character-string of a TXT record (RFC 1035 §3.3).
const STRING_OCTETS_MAX: usize = 255;

impl Turn<'_> {
    /// Whether QNAME may ask why.
    #[inline]
    pub(super) fn asks_why(&self) -> bool {
        self.name.octets().starts_with(WHY)
    }

    /// Explains, if there is a service to explain and the source may ask; else nothing, and the name is an ordinary one.
    #[cold]
    pub(super) fn why(&mut self, zone: ZoneId) -> Option<Said> {
        let source = self.ask.source.to_canonical();
        if !self.ask.policy.why_networks.iter().any(|network| network.contains(&source)) {
            return None;
        }
        let service = self.service_in_question()?;
        if !matches!(self.question.qtype, rtype::TXT | rtype::ANY) {
            // To who may ask it, the name exists.
            return Some(self.negative(zone, Rcode::NOERROR, None));
        }
        let (address, source_len, scope) = self.client_in_question(source);
        let family = match self.world.catalog.service(service) {
            service if service.families == Families::Together => Family::Any,
            service if service.lineup.v4 != 0 => Family::V4,
            _ => Family::V6,
        };
        let explanation = explain(&explain::Question { service, family, address, source_len }, self.world);
        let lines = explanation.brief(WHY_ENDPOINTS_MAX);
        self.reply.need(Section::Answer, |set| {
            for line in &lines {
                set.record_with(Owner::QNAME, rtype::TXT, TTL, |set| {
                    for string in line.as_bytes().chunks(STRING_OCTETS_MAX) {
                        set.put_slice(&[u8::try_from(string.len()).unwrap_or(u8::MAX)]);
                        set.put_slice(string);
                    }
                });
            }
        });
        let ede = self.world.statuses.stale.then_some(Ede::STALE_ANSWER);
        Some(Said { scope: scope.unwrap_or(explanation.scope), ede, ..Said::AUTHORITATIVE })
    }

    /// The service that stands at QNAME without its first label: by its own name, or by a wildcard.
    fn service_in_question(&self) -> Option<ServiceId> {
        let owners = &self.world.catalog.owners;
        let (octets, hash) = self.name.ancestors(LABELS_MAX).next()?;
        let node = match owners.find_hashed(hash, octets) {
            Some(exact) => exact,
            None => owners.node(self.nearest_above()?.wildcard?),
        };
        match &node.content {
            Content::Service { service, .. } => Some(*service),
            _ => None,
        }
    }

    /// Whom the decision is for, as for any other type: address, known bits, and SCOPE where that is not the decision's.
    fn client_in_question(&self, source: IpAddr) -> (IpAddr, u8, Option<u8>) {
        let resolver = (source, if source.is_ipv4() { 32 } else { 128 });
        let Some(ecs) = self.envelope.edns.as_ref().and_then(|edns| edns.ecs.as_ref()) else { return (resolver.0, resolver.1, None) };
        if ecs.source == 0 {
            return (resolver.0, resolver.1, Some(0));
        }
        let place = Client::at(ecs.address, ecs.source, &self.world.geo).place;
        if place.says_nothing(ecs.address, ecs.source) {
            return (resolver.0, resolver.1, Some(place.leaf));
        }
        (ecs.address, ecs.source, None)
    }
}
