//! Digests of content: 64-bit FNV-1a over what derives `Hash`, integers in little-endian order.
//!
//! Two nodes of the same build that loaded the same files, in whatever order, have the same digest. It tells nodes apart, it authenticates nothing.

use std::hash::{Hash, Hasher};

use super::aliases::Aliases;
use crate::catalog::{AliasId, Aliased, Catalog, Content, Endpoint, RrSet, Service};

/// 64-bit FNV-1a, eight octets at a time where they come so.
struct Digest(u64);

impl Digest {
    /// The start of FNV.
    const START: u64 = 0xcbf2_9ce4_8422_2325;

    /// Takes in a word.
    fn word(&mut self, word: u64) {
        self.0 = (self.0 ^ word).wrapping_mul(0x0100_0000_01b3);
        self.0 ^= self.0 >> 29;
    }
}

/// Every integer as a word, so that neither the machine's order of octets nor its width shows.
impl Hasher for Digest {
    fn write(&mut self, octets: &[u8]) {
        let mut chunks = octets.chunks_exact(8);
        for chunk in &mut chunks {
            self.word(chunk.iter().rev().fold(0, |word, &octet| word << 8 | u64::from(octet)));
        }
        let rest = chunks.remainder().iter().rev().fold(0, |word, &octet| word << 8 | u64::from(octet));
        self.word(rest ^ (octets.len() as u64) << 56);
    }

    fn write_u8(&mut self, value: u8) {
        self.word(u64::from(value));
    }

    fn write_u16(&mut self, value: u16) {
        self.word(u64::from(value));
    }

    fn write_u32(&mut self, value: u32) {
        self.word(u64::from(value));
    }

    fn write_u64(&mut self, value: u64) {
        self.word(value);
    }

    fn write_usize(&mut self, value: usize) {
        self.word(value as u64);
    }

    fn write_i32(&mut self, value: i32) {
        self.word(u64::from(value.cast_unsigned()));
    }

    fn write_i64(&mut self, value: i64) {
        self.word(value.cast_unsigned());
    }

    fn write_isize(&mut self, value: isize) {
        self.word((value as i64).cast_unsigned());
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// The digest of a service with its endpoints: what its answers depend on.
pub(super) fn of_service(service: &Service, endpoints: &[Endpoint], aliases: &Aliases) -> u64 {
    let mut digest = Digest(Digest::START);
    // Indices of other services, probes and aliases change when others come and go; what is meant does not.
    Service { zone: crate::catalog::ZoneId(0), endpoints: 0..0, ..service.clone() }.hash(&mut digest);
    for endpoint in endpoints {
        let alias = endpoint.alias.map(|alias| Aliased { id: AliasId(0), ..alias });
        Endpoint { service: crate::catalog::ServiceId(0), probes: Box::default(), depends_on: None, alias, ..endpoint.clone() }.hash(&mut digest);
        endpoint.alias.and_then(|alias| aliases.name(alias.id)).hash(&mut digest);
    }
    digest.finish()
}

/// The digest of everything.
pub(super) fn of_catalog(catalog: &Catalog) -> u64 {
    let mut digest = Digest(Digest::START);
    catalog.services.hash(&mut digest);
    catalog.endpoints.hash(&mut digest);
    catalog.regions.hash(&mut digest);
    catalog.residencies.hash(&mut digest);
    catalog.client_sets.hash(&mut digest);
    catalog.latencies.hash(&mut digest);
    catalog.networks.hash(&mut digest);
    catalog.aliases.hash(&mut digest);
    catalog.probes.hash(&mut digest);
    catalog.references.hash(&mut digest);
    catalog.safety.hash(&mut digest);
    for zone in &catalog.zones {
        zone.name.hash(&mut digest);
        (zone.soa.ttl, &zone.soa.rdata).hash(&mut digest);
        set(&zone.ns, &mut digest);
    }
    for node in catalog.owners.nodes() {
        node.name.hash(&mut digest);
        node.zone.hash(&mut digest);
        let sets: Vec<&RrSet> = match &node.content {
            Content::Empty => Vec::new(),
            Content::Records(sets) | Content::Service { records: sets, .. } | Content::BelowCut { glue: sets, .. } => sets.iter().collect(),
            Content::Cut { ns, ds, glue } => std::iter::once(ns).chain(ds).chain(glue).collect(),
        };
        digest.write_usize(sets.len());
        for records in sets {
            set(records, &mut digest);
        }
    }
    digest.finish()
}

/// Takes in an RRset.
fn set(records: &RrSet, digest: &mut Digest) {
    (records.rtype, records.ttl, &records.rdata).hash(digest);
}
