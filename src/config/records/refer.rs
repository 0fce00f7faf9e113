//! Names within RDATA: whether the hosts that records name can be reached, and whose addresses go into the additional section.

use std::collections::HashMap;

use super::types::{A, AAAA, CNAME, HTTPS, MX, NS, SRV, SVCB, type_name};
use super::{Place, Problem, Problems};
use crate::catalog::{Content, Name, Node, NodeId, RrSet};

/// Longest chain of CNAMEs that is followed while a loop is looked for.
const CHAIN_MAX: usize = 16;

/// A name that a record's RDATA names.
#[derive(Clone, Debug)]
pub(super) struct Reference {
    /// The record's owner.
    pub(super) node: NodeId,
    /// The record's type.
    pub(super) rtype: u16,
    /// The host.
    pub(super) host: Name,
    /// Whether an SVCB or HTTPS record is an alias (priority 0).
    pub(super) alias_mode: bool,
    /// Where the record stands.
    pub(super) place: Place,
}

/// Whether records of this type name a host that matters here.
pub(super) fn refers(rtype: u16) -> bool {
    matches!(rtype, NS | CNAME | MX | SRV | SVCB | HTTPS)
}

/// What is known of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Host {
    /// In no zone of ours.
    Elsewhere,
    /// It has addresses, at this node.
    At(NodeId),
    /// It has addresses by a wildcard.
    Synthesised,
    /// A CNAME stands there.
    Alias,
    /// The name exists without addresses.
    Bare,
    /// The name does not exist.
    Absent,
    /// It is at or below a zone cut that has no address for it.
    Delegated,
}

/// The owner names, for looking up hosts.
struct Hosts<'a> {
    /// All nodes.
    nodes: &'a [Node],
    /// Index by name in wire format.
    by_name: HashMap<&'a [u8], u32>,
    /// Whether a name is in one of our zones.
    is_ours: &'a dyn Fn(&Name) -> bool,
    /// Which services answer with a CNAME.
    cnames: &'a [bool],
}

/// Judges all references, and fills in [`RrSet::additional`].
pub(super) fn resolve(nodes: &mut [Node], references: &[Reference], is_ours: &dyn Fn(&Name) -> bool, cnames: &[bool], problems: &mut Problems) {
    let mut additional: Vec<(NodeId, u16, NodeId)> = Vec::new();
    {
        let mut by_name = HashMap::with_capacity(nodes.len());
        for (index, node) in (0_u32..).zip(nodes.iter()) {
            by_name.insert(node.name.wire(), index);
        }
        let hosts = Hosts { nodes, by_name, is_ours, cnames };
        for reference in references {
            additional.extend(hosts.judge(reference, problems).map(|host| (reference.node, reference.rtype, host)));
        }
    }
    additional.sort_unstable();
    additional.dedup();
    for group in additional.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1)) {
        let (node, rtype, _) = group[0];
        if let Some(set) = set_mut(&mut nodes[node.0 as usize].content, rtype) {
            set.additional = group.iter().map(|entry| entry.2).collect();
        }
    }
}

/// The RRset of a type that may have additional data.
fn set_mut(content: &mut Content, rtype: u16) -> Option<&mut RrSet> {
    match content {
        Content::Records(sets) | Content::Service { records: sets, .. } => sets.iter_mut().find(|set| set.rtype == rtype),
        Content::Cut { ns, .. } if rtype == NS => Some(ns),
        _ => None,
    }
}

impl Hosts<'_> {
    /// The node of this index.
    fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0 as usize]
    }

    /// Judges one reference. Gives the node whose addresses go along with the record.
    fn judge(&self, reference: &Reference, problems: &mut Problems) -> Option<NodeId> {
        let owner = self.node(reference.node);
        if matches!(owner.content, Content::BelowCut { .. }) || !holds(&owner.content, reference.rtype) {
            return None;
        }
        let service_mode = matches!(reference.rtype, SVCB | HTTPS) && !reference.alias_mode;
        if reference.host.is_root() {
            return (service_mode && matches!(self.look(&owner.name), Host::At(_))).then_some(reference.node);
        }
        let found = self.look(&reference.host);
        match reference.rtype {
            NS => self.judge_ns(reference, owner, found, problems),
            CNAME => self.judge_cname(reference, owner, found, problems),
            _ => judge_target(reference, owner, found, problems),
        }
        match found {
            Host::At(node) if reference.rtype != CNAME => Some(node),
            _ => None,
        }
    }

    /// What is known of `name`.
    fn look(&self, name: &Name) -> Host {
        if !(self.is_ours)(name) {
            return Host::Elsewhere;
        }
        if let Some(&index) = self.by_name.get(name.wire()) {
            return self.content(NodeId(index));
        }
        let mut above = name.parent();
        while let Some(ancestor) = above {
            if let Some(&index) = self.by_name.get(ancestor.wire()) {
                let node = &self.nodes[index as usize];
                return match (&node.content, node.wildcard) {
                    (Content::Cut { .. } | Content::BelowCut { .. }, _) => Host::Delegated,
                    (_, Some(wildcard)) => match self.content(wildcard) {
                        Host::At(_) => Host::Synthesised,
                        other => other,
                    },
                    (_, None) => Host::Absent,
                };
            }
            above = ancestor.parent();
        }
        Host::Absent
    }

    /// What stands at a node, as far as hosts go.
    fn content(&self, id: NodeId) -> Host {
        let has = |sets: &[RrSet]| sets.iter().any(|set| matches!(set.rtype, A | AAAA));
        match &self.node(id).content {
            Content::Records(sets) if sets.iter().any(|set| set.rtype == CNAME) => Host::Alias,
            Content::Records(sets) if has(sets) => Host::At(id),
            Content::Empty | Content::Records(_) => Host::Bare,
            Content::Cut { glue, .. } | Content::BelowCut { glue, .. } => {
                if has(glue) {
                    Host::At(id)
                } else {
                    Host::Delegated
                }
            }
            Content::Service { service, .. } => {
                if self.cnames.get(service.index()).copied().unwrap_or(false) {
                    Host::Alias
                } else {
                    Host::At(id)
                }
            }
        }
    }

    /// Name servers must have addresses (RFC 1034 §4.2.1) and must not be aliases (RFC 2181 §10.3).
    fn judge_ns(&self, reference: &Reference, owner: &Node, found: Host, problems: &mut Problems) {
        let (name, host) = (&owner.name, &reference.host);
        match found {
            Host::Alias => {
                let problem = Problem::error(reference.place, format!("the name server {host} of {name} is an alias (RFC 2181 §10.3)"));
                problems.push(problem.help("name the host itself, or give this name addresses"));
            }
            Host::Bare | Host::Absent => {
                let problem = Problem::error(reference.place, format!("the name server {host} of {name} has no address here"));
                problems.push(problem.help(format!("{host} is within a zone of ours: give it A or AAAA, or end another host's name with a dot")));
            }
            // Without glue nobody can find a server that is within what it serves.
            Host::Delegated if matches!(owner.content, Content::Cut { .. }) && host.is_within(name) => {
                let problem = Problem::error(reference.place, format!("the name server {host} is within {name} itself and has no glue"));
                problems.push(problem.help(format!("give {host} its A or AAAA in this zone (RFC 9471)")));
            }
            Host::Delegated if !matches!(owner.content, Content::Cut { .. }) => {
                let problem = Problem::error(reference.place, format!("the name server {host} of {name} is below a zone cut and has no glue"));
                problems.push(problem.help(format!("give {host} its A or AAAA in this zone")));
            }
            Host::At(node) if matches!(self.node(node).content, Content::Service { .. }) => {
                let problem = Problem::lint(reference.place, format!("the name server {host} of {name} is a service: its address is another for each client"));
                problems.push(problem.help("give name servers names of their own; a referral says the addresses of ordinary records only"));
            }
            Host::Delegated | Host::Elsewhere | Host::At(_) | Host::Synthesised => {}
        }
    }

    /// An alias to nothing is odd; one to itself answers nobody.
    fn judge_cname(&self, reference: &Reference, owner: &Node, found: Host, problems: &mut Problems) {
        if found == Host::Absent {
            problems.push(Problem::lint(reference.place, format!("{} is an alias of {}, which does not exist", owner.name, reference.host)));
        }
        let mut at = reference.host.clone();
        for _ in 0..CHAIN_MAX {
            if at == owner.name {
                problems.push(Problem::error(reference.place, format!("the alias {} leads back to itself", owner.name)));
                return;
            }
            let Some(next) = self.by_name.get(at.wire()).and_then(|&index| alias_of(&self.nodes[index as usize].content)) else { return };
            at = next;
        }
    }
}

/// The target of a static CNAME.
fn alias_of(content: &Content) -> Option<Name> {
    let Content::Records(sets) = content else { return None };
    let set = sets.iter().find(|set| set.rtype == CNAME)?;
    Name::from_wire(set.rdata.first()?).ok()
}

/// Whether an RRset of this type stands there.
fn holds(content: &Content, rtype: u16) -> bool {
    match content {
        Content::Records(sets) | Content::Service { records: sets, .. } => sets.iter().any(|set| set.rtype == rtype),
        Content::Cut { .. } => rtype == NS,
        Content::Empty | Content::BelowCut { .. } => false,
    }
}

/// Hosts of MX, SRV, SVCB and HTTPS should exist; those of MX and SRV should be no aliases (RFC 2181 §10.3, RFC 2782).
fn judge_target(reference: &Reference, owner: &Node, found: Host, problems: &mut Problems) {
    let (name, host, rtype) = (&owner.name, &reference.host, type_name(reference.rtype));
    if reference.alias_mode && *host == *name && matches!(reference.rtype, SVCB | HTTPS) {
        problems.push(Problem::error(reference.place, format!("{name} {rtype} is an alias of itself (RFC 9460 §2.4.2)")));
        return;
    }
    match found {
        Host::Alias if matches!(reference.rtype, MX | SRV) => {
            problems.push(Problem::lint(reference.place, format!("{name} {rtype} names {host}, which is an alias (RFC 2181 §10.3)")));
        }
        Host::Bare | Host::Absent => {
            let what = if found == Host::Bare { "has no address" } else { "does not exist" };
            let problem = Problem::lint(reference.place, format!("{name} {rtype} names {host}, which {what}"));
            problems.push(problem.help("a name of another zone ends with a dot"));
        }
        _ => {}
    }
}
