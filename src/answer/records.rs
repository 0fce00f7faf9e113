//! Static answers: RRsets, CNAME, referrals with glue, and the SOA of what is not there.

use super::{Said, Turn};
use crate::catalog::{Content, Node, NodeId, RrSet, ZoneId};
use crate::wire::{Owner, Rcode, Section, Set, rtype};

impl<'a> Turn<'a> {
    /// Answers from the RRsets of one name. SCOPE is 0: they are the same for every client.
    #[inline(never)]
    pub(super) fn records(&mut self, zone: ZoneId, records: &'a [RrSet]) -> Said {
        let qtype = self.question.qtype;
        let found = match qtype {
            // RFC 8482 §4.1: one RRset is enough; the smallest, so that nobody is flooded with it.
            rtype::ANY => records.iter().min_by_key(|set| (octets(set), set.rtype)),
            // A CNAME stands for every type, and is not followed: the resolver asks again (RFC 7871 §7.2.1).
            _ => find(records, qtype).or_else(|| find(records, rtype::CNAME)),
        };
        let Some(found) = found else { return self.negative(zone, Rcode::NOERROR, None) };
        self.reply.need(Section::Answer, |set| put(set, Owner::QNAME, found));
        self.add_addresses(&found.additional);
        Said::AUTHORITATIVE
    }

    /// Says that there is no such name or type: the zone's SOA, its TTL how long that may be remembered (RFC 2308 §3), at most `ttl_max`.
    #[inline(never)]
    pub(super) fn negative(&mut self, zone: ZoneId, rcode: Rcode, ttl_max: Option<u32>) -> Said {
        let zone = &self.world.catalog.zones[zone.index()];
        let owner = Owner::of(zone.name.wire(), self.name);
        let ttl = ttl_max.map_or(zone.soa.negative_ttl(), |max| max.min(zone.soa.negative_ttl()));
        self.reply.need(Section::Authority, |set| set.record(owner, rtype::SOA, ttl, &zone.soa.rdata));
        Said { rcode, ..Said::AUTHORITATIVE }
    }

    /// Refers to the name servers below a zone cut (RFC 1034 §4.2.1): without AA, with the glue.
    pub(super) fn refer(&mut self, cut: &'a Node) -> Said {
        let Content::Cut { ns, .. } = &cut.content else {
            // A node below a cut names the cut; if it does not, the name is treated as empty.
            return self.negative(cut.zone, Rcode::NOERROR, None);
        };
        let owner = Owner::of(cut.name.wire(), self.name);
        self.reply.need(Section::Authority, |set| put(set, owner, ns));
        // RFC 9471 §3.1: the addresses of name servers inside the delegation are needed, those of others help.
        for inside in [true, false] {
            for &host in &ns.additional {
                if self.world.catalog.owners.node(host).name.is_within(&cut.name) == inside {
                    self.add_addresses_of(host, inside);
                }
            }
        }
        Said::default()
    }

    /// Answers a query for the DS RRset of one of our apexes from the zone above it, if we serve that, too: what DS records it has for the
    /// delegation are kept at the apex. Otherwise the apex itself says that it has none (RFC 4035 §3.1.4.1).
    pub(super) fn delegation_signer(&mut self, apex: &'a Node) -> Said {
        if let Content::Records(sets) | Content::Service { records: sets, .. } = &apex.content
            && find(sets, rtype::DS).is_some()
        {
            return self.records(apex.zone, sets);
        }
        let parent = self.nearest_above().filter(|node| node.zone != apex.zone);
        self.negative(parent.unwrap_or(apex).zone, Rcode::NOERROR, None)
    }

    /// Offers the addresses of hosts that an RRset names.
    fn add_addresses(&mut self, hosts: &[NodeId]) {
        for &host in hosts {
            self.add_addresses_of(host, false);
        }
    }

    /// Adds a host's addresses. Those of a service are left out: they are somebody's, and what is additional must be everybody's (RFC
    /// 7871 §7.4).
    fn add_addresses_of(&mut self, host: NodeId, needed: bool) {
        let node = self.world.catalog.owners.node(host);
        let (Content::Records(sets) | Content::BelowCut { glue: sets, .. } | Content::Cut { glue: sets, .. }) = &node.content else { return };
        let owner = Owner::of(node.name.wire(), self.name);
        for addresses in [rtype::A, rtype::AAAA].into_iter().filter_map(|rtype| find(sets, rtype)) {
            if needed {
                self.reply.need(Section::Additional, |set| put(set, owner, addresses));
            } else {
                self.reply.offer(Section::Additional, |set| put(set, owner, addresses));
            }
        }
    }
}

/// The RRset of a type.
#[inline]
fn find(records: &[RrSet], rtype: u16) -> Option<&RrSet> {
    records.iter().find(|set| set.rtype == rtype)
}

/// Octets of an RRset's RDATA.
fn octets(set: &RrSet) -> usize {
    set.rdata.iter().map(|rdata| rdata.len() + 12).sum()
}

/// Writes a whole RRset.
fn put(set: &mut Set<'_>, owner: Owner<'_>, records: &RrSet) {
    for rdata in &records.rdata {
        set.record(owner, records.rtype, records.ttl, rdata);
    }
}
