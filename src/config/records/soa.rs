//! The last of a zone: its SOA record, given, spelled or derived, and its name servers.

use super::owners::ZoneInput;
use super::types::{NS, SOA};
use super::{Place, Problem, Problems};
use crate::catalog::{Content, Name, Node, NodeId, RrSet, Soa, Zone};

/// What an SOA record says, where it is not given as a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SoaSpec {
    /// TTL of the record in seconds.
    pub ttl: u32,
    /// MNAME; by default the first name server in canonical order.
    pub mname: Option<Name>,
    /// RNAME; by default `hostmaster` in the zone.
    pub rname: Option<Name>,
    /// SERIAL; 0 or nothing derives it from the zone's content.
    pub serial: Option<u32>,
    /// REFRESH in seconds.
    pub refresh: u32,
    /// RETRY in seconds.
    pub retry: u32,
    /// EXPIRE in seconds.
    pub expire: u32,
    /// MINIMUM in seconds: how long a negative answer is kept (RFC 2308 §4).
    pub minimum: u32,
    /// Where it is said.
    pub place: Place,
}

/// Refreshing and expiring follow RIPE-203; nobody transfers the zone, so that only MINIMUM matters: a minute, because an answer may be
/// empty while everything is down, and resolvers would keep that.
impl Default for SoaSpec {
    fn default() -> Self {
        Self { ttl: 3600, mname: None, rname: None, serial: None, refresh: 86_400, retry: 7_200, expire: 3_600_000, minimum: 60, place: Place::default() }
    }
}

/// Completes a zone whose nodes are `nodes`, the first of them the apex with the index `first`.
pub(super) fn finish(zone: &ZoneInput, first: usize, nodes: &mut [Node], problems: &mut Problems) -> Zone {
    let ns = at_apex(nodes, NS).cloned().unwrap_or_else(|| {
        let problem = Problem::error(zone.place, format!("zone {} has no name servers", zone.name));
        problems.push(problem.help("name them under `[ns]` or with NS records at `@`"));
        RrSet::new(NS, 0, Vec::<Box<[u8]>>::new())
    });
    if ns.rdata.len() == 1 {
        let problem = Problem::lint(zone.place, format!("zone {} has only one name server", zone.name));
        problems.push(problem.help("two or more, apart from each other, survive the loss of one (RFC 2182 §5)"));
    }
    let given = at_apex(nodes, SOA).cloned();
    if let (Some(spec), Some(_)) = (&zone.soa, &given) {
        problems.push(Problem::error(spec.place, format!("zone {} has an SOA record as well", zone.name)).help("say it in one place"));
    }
    let set = given.unwrap_or_else(|| spelled(zone, &ns));
    let set = with_serial(zone, set, nodes);
    place_soa(&mut nodes[0], set.clone());
    let rdata = set.rdata.first().cloned().unwrap_or_default();
    let tail = |back: usize| rdata.len().checked_sub(back).and_then(|at| rdata[at..].first_chunk()).map_or(0, |octets| u32::from_be_bytes(*octets));
    let apex = NodeId(u32::try_from(first).expect("limits keep the number of owner names far below 2^32"));
    Zone { name: zone.name.clone(), apex, soa: Soa { ttl: set.ttl, minimum: tail(4), serial: tail(20), rdata }, ns }
}

/// The RRset of a type at the apex.
fn at_apex(nodes: &[Node], rtype: u16) -> Option<&RrSet> {
    match &nodes[0].content {
        Content::Records(sets) | Content::Service { records: sets, .. } => sets.iter().find(|set| set.rtype == rtype),
        _ => None,
    }
}

/// Puts the SOA among the apex's RRsets, in order of type.
fn place_soa(apex: &mut Node, soa: RrSet) {
    let (Content::Records(sets) | Content::Service { records: sets, .. }) = &mut apex.content else {
        apex.content = Content::Records(Box::new([soa]));
        return;
    };
    let mut list = std::mem::take(sets).into_vec();
    list.retain(|set| set.rtype != SOA);
    list.push(soa);
    list.sort_by_key(|set| set.rtype);
    *sets = list.into();
}

/// The SOA as the specification says it. The serial is still to be derived where it is 0.
fn spelled(zone: &ZoneInput, ns: &RrSet) -> RrSet {
    let default = SoaSpec::default();
    let spec = zone.soa.as_ref().unwrap_or(&default);
    let first = || ns.rdata.first().and_then(|rdata| Name::from_wire(rdata).ok());
    let mname = spec.mname.clone().or_else(first).unwrap_or_else(|| zone.name.clone());
    let rname = spec.rname.clone().or_else(|| zone.name.child(b"hostmaster").ok()).unwrap_or_else(Name::root);
    let mut rdata = [mname.wire(), rname.wire()].concat();
    for number in [spec.serial.unwrap_or(0), spec.refresh, spec.retry, spec.expire, spec.minimum] {
        rdata.extend(number.to_be_bytes());
    }
    RrSet::new(SOA, spec.ttl, [rdata])
}

/// Derives the serial where it is 0.
///
/// It is a digest of all that the zone says, so that nodes with the same files say the same serial and a difference is seen with one
/// `dig`. It does not ascend: nobody transfers zones from here, and nobody compares serials of different times. Who needs ascending
/// ones (RFC 1982) writes them.
fn with_serial(zone: &ZoneInput, mut set: RrSet, nodes: &[Node]) -> RrSet {
    let Some(at) = set.rdata.first().and_then(|rdata| rdata.len().checked_sub(20)) else { return set };
    if set.rdata[0][at..at + 4] != [0; 4] {
        return set;
    }
    let mut digest = mix_in(0x9e37_79b9_7f4a_7c15, &set.rdata[0]);
    let mut services: Vec<(&Name, u64)> = zone.services.iter().map(|service| (&service.name, service.digest)).collect();
    services.sort_unstable();
    for (name, of_service) in services {
        digest = mix_in(mix_in(digest, name.wire()), &of_service.to_be_bytes());
    }
    for node in nodes {
        for rrset in sets_of(&node.content).filter(|rrset| rrset.rtype != SOA) {
            digest = mix_in(mix_in(digest, node.name.wire()), &[&rrset.rtype.to_be_bytes()[..], &rrset.ttl.to_be_bytes()].concat());
            digest = rrset.rdata.iter().fold(digest, |digest, rdata| mix_in(digest, rdata));
        }
    }
    #[expect(clippy::cast_possible_truncation, reason = "both halves go in")]
    let serial = ((digest ^ (digest >> 32)) as u32).max(1);
    set.rdata[0][at..at + 4].copy_from_slice(&serial.to_be_bytes());
    set
}

/// The digest with some more octets. Serials that were told depend on every bit of it.
fn mix_in(digest: u64, octets: &[u8]) -> u64 {
    const MULTIPLIER: u64 = 0xf135_7aea_2e62_a9c5;
    let start = (digest ^ octets.len() as u64).wrapping_mul(MULTIPLIER);
    let digest = octets.chunks(8).fold(start, |digest, chunk| {
        let word = chunk.iter().rev().fold(0, |word, octet| word << 8 | u64::from(*octet));
        (digest.rotate_left(23) ^ word).wrapping_mul(MULTIPLIER)
    });
    digest ^ (digest >> 29)
}

/// All RRsets at a node.
fn sets_of(content: &Content) -> Box<dyn Iterator<Item = &RrSet> + '_> {
    match content {
        Content::Empty => Box::new(std::iter::empty()),
        Content::Records(sets) | Content::Service { records: sets, .. } | Content::BelowCut { glue: sets, .. } => Box::new(sets.iter()),
        Content::Cut { ns, ds, glue } => Box::new(std::iter::once(ns).chain(ds).chain(glue)),
    }
}
