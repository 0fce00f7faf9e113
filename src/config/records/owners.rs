//! Records and services of all zones → the zones and owner names of the catalog, with every problem at once.

use std::collections::HashMap;

use super::content::{Site, compile};
use super::refer::{self, Reference};
use super::soa::{SoaSpec, finish};
use super::types::{A, AAAA, DS, NS, type_name};
use super::{Place, Problem, Problems, StaticRecord, rdata};
use crate::catalog::{AnswerKind, Content, Name, Node, NodeId, OwnerNames, ServiceId, Zone, ZoneId, hash_name};
use crate::limits::OWNER_NAMES_MAX;

/// A zone as it was written.
#[derive(Clone, Debug)]
pub struct ZoneInput {
    /// Its apex.
    pub name: Name,
    /// Where it is named.
    pub place: Place,
    /// Its SOA, if it is not among `records`.
    pub soa: Option<SoaSpec>,
    /// Its records; NS of the apex and addresses of its name servers among them.
    pub records: Vec<StaticRecord>,
    /// Its services.
    pub services: Vec<ServiceName>,
}

/// A service as far as names go.
#[derive(Clone, Debug)]
pub struct ServiceName {
    /// Its owner name; may be a wildcard.
    pub name: Name,
    /// Its index in the catalog.
    pub id: ServiceId,
    /// What its answers are.
    pub kind: AnswerKind,
    /// Digest of what its answers depend on, the same on every node: a derived SERIAL changes with it.
    pub digest: u64,
    /// Where it is named.
    pub place: Place,
}

/// What came of it. With errors among the problems, zones and owners are not fit to be served.
#[derive(Clone, Debug, Default)]
pub struct Built {
    /// Every owner name.
    pub owners: OwnerNames,
    /// The zones, in the order given.
    pub zones: Box<[Zone]>,
    /// Mistakes and oddities, by place.
    pub problems: Problems,
}

/// Builds owner names and zones. The position of a zone in `zones` is its [`ZoneId`], so they come in the catalog's order.
///
/// The order of records and services never matters.
#[must_use]
pub fn build(zones: &[ZoneInput]) -> Built {
    let mut problems = Problems::default();
    let apexes = Apexes::of(zones, &mut problems);
    let mut items = gather(zones, &apexes, &mut problems);
    items.sort_by(|a, b| (a.zone, &a.key).cmp(&(b.zone, &b.key)));

    let mut walk = Walk { nodes: Vec::with_capacity(items.len() + zones.len()), path: Vec::new(), references: Vec::new(), problems };
    let mut spans = Vec::with_capacity(zones.len());
    let mut rest = &items[..];
    for (index, zone) in zones.iter().enumerate() {
        let here = rest.partition_point(|item| usize::from(item.zone) <= index);
        let (of_zone, others) = rest.split_at(here);
        rest = others;
        let first = walk.nodes.len();
        walk.zone(zone_id(index), zone, of_zone);
        spans.push(first..walk.nodes.len());
    }
    let Walk { mut nodes, references, mut problems, .. } = walk;
    let cnames = cname_services(zones);
    refer::resolve(&mut nodes, &references, &|name| apexes.closest(name).is_some(), &cnames, &mut problems);
    let zones = zones.iter().zip(spans).map(|(zone, span)| finish(zone, span.start, &mut nodes[span.clone()], &mut problems)).collect();
    problems.list.sort_by(|a, b| (a.place, a.severity, &a.message).cmp(&(b.place, b.severity, &b.message)));
    Built { owners: OwnerNames::new(nodes), zones, problems }
}

/// The zone at this position.
fn zone_id(index: usize) -> ZoneId {
    ZoneId(u16::try_from(index).expect("limits keep the number of zones below 2^16"))
}

/// Which services answer with a CNAME, by index.
fn cname_services(zones: &[ZoneInput]) -> Vec<bool> {
    let services = || zones.iter().flat_map(|zone| &zone.services);
    let mut cnames = vec![false; services().map(|service| service.id.index() + 1).max().unwrap_or(0)];
    for service in services() {
        cnames[service.id.index()] = service.kind == AnswerKind::Cname;
    }
    cnames
}

/// The apexes, found by name.
struct Apexes<'a> {
    /// Zone by apex in wire format.
    by_name: HashMap<&'a [u8], u16>,
}

impl<'a> Apexes<'a> {
    /// Those of `zones`. Two zones of one name are a mistake.
    fn of(zones: &'a [ZoneInput], problems: &mut Problems) -> Self {
        let mut by_name: HashMap<&[u8], u16> = HashMap::with_capacity(zones.len());
        for (index, zone) in zones.iter().enumerate() {
            if let Some(first) = by_name.get(zone.name.wire()) {
                let problem = Problem::error(zone.place, format!("zone {} is defined twice", zone.name));
                problems.push(problem.related(zones[usize::from(*first)].place, "the first definition"));
            } else {
                by_name.insert(zone.name.wire(), zone_id(index).0);
            }
        }
        Self { by_name }
    }

    /// The zone whose apex is closest above `name` or `name` itself.
    fn closest(&self, name: &Name) -> Option<u16> {
        let mut rest = name.wire();
        loop {
            if let Some(zone) = self.by_name.get(rest) {
                return Some(*zone);
            }
            let len = usize::from(rest[0]);
            if len == 0 {
                return None;
            }
            rest = &rest[1 + len..];
        }
    }
}

/// Something at an owner name.
struct Item<'a> {
    /// Position of the zone.
    zone: u16,
    /// Orders names canonically (RFC 4034 §6.1), ancestors first.
    key: Box<[u8]>,
    /// The owner name.
    name: Name,
    /// What it is.
    what: What<'a>,
}

/// What an item is.
enum What<'a> {
    /// A record.
    Record(&'a StaticRecord),
    /// A service.
    Service(&'a ServiceName),
    /// The name exists because a child zone that we hold stands below it.
    Exists,
}

/// The name as octets whose order is the canonical order of names: labels from the right, each ended by 0; 0 and 1 within a label are
/// written as 1 1 and 1 2.
fn canonical_key(name: &Name) -> Box<[u8]> {
    let labels: Vec<&[u8]> = name.labels().collect();
    let mut key = Vec::with_capacity(name.wire().len() + 2);
    for label in labels.into_iter().rev() {
        for &octet in label {
            match octet {
                0 | 1 => key.extend([1, octet + 1]),
                _ => key.push(octet),
            }
        }
        key.push(0);
    }
    key.into()
}

/// All records and services, each with the zone that holds it. Those that stand in the wrong zone are reported.
fn gather<'a>(zones: &'a [ZoneInput], apexes: &Apexes<'a>, problems: &mut Problems) -> Vec<Item<'a>> {
    let mut items = Vec::new();
    for (index, zone) in zones.iter().enumerate() {
        let here = zone_id(index).0;
        let mut add = |zone: u16, name: &Name, what: What<'a>| items.push(Item { zone, key: canonical_key(name), name: name.clone(), what });
        for record in &zone.records {
            match home(here, zones, apexes, &record.owner) {
                Home::Here if record.rtype == DS && record.owner == zone.name => {
                    let problem = Problem::error(record.place, format!("{} DS stands at the apex of its own zone", record.owner));
                    problems.push(problem.help("DS belongs into the parent's zone (RFC 4034 §5)"));
                }
                Home::Here => add(here, &record.owner, What::Record(record)),
                Home::Outside => problems.push(outside(&record.owner, &type_name(record.rtype), zone, record.place)),
                Home::Child(child) => {
                    let apex = &zones[usize::from(child)].name;
                    match record.rtype {
                        // The parent's DS is all that anybody can ask the parent for, and we are asked for both.
                        DS if record.owner == *apex => add(child, &record.owner, What::Record(record)),
                        // A delegation to ourselves and its glue: the child's own data answer.
                        NS if record.owner == *apex => {}
                        A | AAAA => {}
                        _ => {
                            let message = format!("{} {} belongs to the zone {apex}, which stands here too", record.owner, type_name(record.rtype));
                            problems.push(Problem::error(record.place, message).related(zones[usize::from(child)].place, "that zone"));
                        }
                    }
                }
            }
        }
        for service in &zone.services {
            match home(here, zones, apexes, &service.name) {
                Home::Here => add(here, &service.name, What::Service(service)),
                Home::Outside => problems.push(outside(&service.name, "service", zone, service.place)),
                Home::Child(child) => {
                    let child = &zones[usize::from(child)];
                    let message = format!("service {} belongs to the zone {}, which stands here too", service.name, child.name);
                    problems.push(Problem::error(service.place, message).related(child.place, "that zone"));
                }
            }
        }
        if let Some(above) = zone.name.parent()
            && let Some(parent) = apexes.closest(&above)
        {
            add(parent, &above, What::Exists);
        }
    }
    items
}

/// Where an owner name stands.
enum Home {
    /// In the zone that gives it.
    Here,
    /// In a zone below, held as well.
    Child(u16),
    /// Elsewhere.
    Outside,
}

/// Where `name`, given by the zone `here`, stands.
fn home(here: u16, zones: &[ZoneInput], apexes: &Apexes<'_>, name: &Name) -> Home {
    let zone = &zones[usize::from(here)].name;
    if !name.is_within(zone) {
        return Home::Outside;
    }
    match apexes.closest(name) {
        Some(closest) if zones[usize::from(closest)].name != *zone => Home::Child(closest),
        _ => Home::Here,
    }
}

/// The mistake of a name outside its zone.
fn outside(name: &Name, what: &str, zone: &ZoneInput, place: Place) -> Problem {
    Problem::error(place, format!("{name} {what} is not within the zone {}", zone.name))
        .help(format!("names without a final dot are relative; {name} ends elsewhere"))
}

/// A node on the way from the apex to the name at hand.
struct Level {
    /// Its index.
    node: NodeId,
    /// The cut at or above it.
    cut: Option<NodeId>,
}

/// The state of walking over all names in canonical order.
struct Walk {
    /// Nodes so far.
    nodes: Vec<Node>,
    /// From the apex down to the last name's ancestors.
    path: Vec<Level>,
    /// Names in RDATA.
    references: Vec<Reference>,
    /// What is wrong.
    problems: Problems,
}

impl Walk {
    /// Walks over one zone's items, sorted by name.
    fn zone(&mut self, id: ZoneId, zone: &ZoneInput, items: &[Item<'_>]) {
        self.path.clear();
        let mut groups = items.chunk_by(|a, b| a.key == b.key).peekable();
        let at_apex = groups.next_if(|group| group[0].name == zone.name).unwrap_or(&[]);
        self.name(id, zone, &zone.name, at_apex);
        for group in groups {
            let name = &group[0].name;
            if self.nodes.len() > OWNER_NAMES_MAX {
                self.problems.push(Problem::error(zone.place, format!("there are more than {OWNER_NAMES_MAX} owner names")));
                return;
            }
            while self.path.last().is_some_and(|level| !name.is_within(&self.node(level.node).name)) {
                self.path.pop();
            }
            let mut missing = Vec::new();
            let mut above = name.parent();
            while let Some(ancestor) = above.filter(|ancestor| self.path.last().is_some_and(|level| self.node(level.node).name != *ancestor)) {
                above = ancestor.parent();
                missing.push(ancestor);
            }
            for ancestor in missing.iter().rev() {
                self.name(id, zone, ancestor, &[]);
            }
            self.name(id, zone, name, group);
        }
    }

    /// The node of this index.
    fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0 as usize]
    }

    /// Makes the node of one name.
    fn name(&mut self, zone_id: ZoneId, zone: &ZoneInput, name: &Name, items: &[Item<'_>]) {
        let node = NodeId(u32::try_from(self.nodes.len()).expect("limits keep the number of owner names far below 2^32"));
        let cut = self.path.last().and_then(|level| level.cut);
        let records: Vec<&StaticRecord> = items.iter().filter_map(|item| if let What::Record(record) = item.what { Some(record) } else { None }).collect();
        let mut services: Vec<&ServiceName> =
            items.iter().filter_map(|item| if let What::Service(service) = item.what { Some(service) } else { None }).collect();
        services.sort_by_key(|service| (service.place, service.id));
        for twin in services.iter().skip(1) {
            let problem = Problem::error(twin.place, format!("service {name} is defined twice"));
            self.problems.push(problem.related(services[0].place, "the first definition"));
        }
        self.lint_doubled_apex(zone, name, &records, services.first().copied());
        self.note_references(node, zone, name, &records);
        let above = cut.map(|cut| self.node(cut).name.clone());
        let site = Site { name, is_apex: *name == zone.name, cut: cut.zip(above.as_ref()) };
        let content = compile(&site, records, services.first().copied(), &mut self.problems);
        let cut = cut.or(matches!(content, Content::Cut { .. }).then_some(node));
        if let Some(level) = self.path.last().filter(|_| name.is_wildcard()) {
            self.nodes[level.node.0 as usize].wildcard = Some(node);
        }
        self.nodes.push(Node { name: name.clone(), hash: hash_name(name.wire()), zone: zone_id, content, wildcard: None });
        self.path.push(Level { node, cut });
    }

    /// Notes the hosts that records name.
    fn note_references(&mut self, node: NodeId, zone: &ZoneInput, name: &Name, records: &[&StaticRecord]) {
        for record in records.iter().filter(|record| refer::refers(record.rtype)) {
            let Some(host) = rdata::host(record.rtype, &record.rdata) else { continue };
            if has_apex_twice(&host, &zone.name) {
                let message = format!("{name} {} names {host}, which has the zone's name twice", type_name(record.rtype));
                self.problems.push(Problem::lint(record.place, message).help("end the name with a dot"));
            }
            let alias_mode = record.rdata.starts_with(&[0, 0]);
            self.references.push(Reference { node, rtype: record.rtype, host, alias_mode, place: record.place });
        }
    }

    /// Notes an owner that ends in the zone's name twice, the mark of a forgotten final dot.
    fn lint_doubled_apex(&mut self, zone: &ZoneInput, name: &Name, records: &[&StaticRecord], service: Option<&ServiceName>) {
        let place = records.iter().map(|record| record.place).chain(service.map(|service| service.place)).min();
        if let Some(place) = place.filter(|_| has_apex_twice(name, &zone.name)) {
            self.problems.push(Problem::lint(place, format!("{name} has the zone's name twice")).help("end the name with a dot"));
        }
    }
}

/// Whether `name` is like `www.example.com.example.com` in `example.com`.
fn has_apex_twice(name: &Name, apex: &Name) -> bool {
    if apex.is_root() || !name.is_within(apex) {
        return false;
    }
    let (front, _) = name.wire().split_at(name.wire().len() - apex.wire().len());
    let relative = Name::from_wire(&[front, &[0]].concat());
    front.len() + 1 >= apex.wire().len() && relative.is_ok_and(|relative| relative.is_within(apex))
}
