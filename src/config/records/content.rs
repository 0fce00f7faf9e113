//! The records and the service of one owner name → what stands there, or why that cannot be.

use super::types::{A, AAAA, CNAME, DS, HTTPS, MX, NS, SOA, SVCB, type_name};
use super::{Problem, Problems, ServiceName, StaticRecord};
use crate::catalog::{AnswerKind, Content, Name, NodeId, RrSet};
use crate::limits::TCP_MESSAGE_MAX;

/// Octets of a reply that are not the answer's RDATA: header, question, the longest owner name once, OPT with its options.
const REPLY_OVERHEAD: usize = 12 + 259 + 255 + 128;

/// An owner name and where it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Site<'a> {
    /// The name.
    pub(super) name: &'a Name,
    /// Whether it is its zone's apex.
    pub(super) is_apex: bool,
    /// The zone cut above it, if there is one.
    pub(super) cut: Option<(NodeId, &'a Name)>,
}

/// What stands at `site`, given its records and its service. Mistakes are noted and what is wrong is left out.
pub(super) fn compile(site: &Site<'_>, mut records: Vec<&StaticRecord>, service: Option<&ServiceName>, problems: &mut Problems) -> Content {
    records.sort_by(|a, b| (a.rtype, &a.rdata, a.ttl, a.place).cmp(&(b.rtype, &b.rdata, b.ttl, b.place)));
    if let Some((cut, above)) = site.cut {
        if let Some(service) = service {
            let message = format!("service {} is below the zone cut at {above}, where another server answers", site.name);
            problems.push(Problem::error(service.place, message));
        }
        let beneath = format!("is below the zone cut at {above}: only A and AAAA for its name servers may stand there");
        return Content::BelowCut { cut, glue: glue_only(site, records, &beneath, problems) };
    }
    if let Some(service) = service {
        return with_service(site, records, service, problems);
    }
    if !site.is_apex {
        keep_soa_out(site, &mut records, problems);
        if records.iter().any(|record| record.rtype == NS) {
            return cut(site, records, problems);
        }
        drop_lone_ds(site, &mut records, problems);
    }
    judge_cname(site, &mut records, problems);
    let sets = rrsets(site, &records, problems);
    if sets.is_empty() { Content::Empty } else { Content::Records(sets) }
}

/// A zone cut: NS and DS, and addresses if a server of the child is called like the child.
fn cut(site: &Site<'_>, records: Vec<&StaticRecord>, problems: &mut Problems) -> Content {
    let (servers, others): (Vec<_>, Vec<_>) = records.into_iter().partition(|record| record.rtype == NS);
    let (ds, others): (Vec<_>, Vec<_>) = others.into_iter().partition(|record| record.rtype == DS);
    if site.name.is_wildcard() {
        problems.push(Problem::error(servers[0].place, format!("NS records at the wildcard {} have no meaning (RFC 4592 §4.2)", site.name)));
    }
    let ns = rrset(site, &servers, problems);
    let ds = (!ds.is_empty()).then(|| rrset(site, &ds, problems));
    let glue = glue_only(site, others, "stands at a zone cut: the name belongs to the servers of its NS records", problems);
    Content::Cut { ns, ds, glue }
}

/// Keeps A and AAAA; what else there is, `why` says is wrong.
fn glue_only(site: &Site<'_>, records: Vec<&StaticRecord>, why: &str, problems: &mut Problems) -> Box<[RrSet]> {
    let (glue, others): (Vec<_>, Vec<_>) = records.into_iter().partition(|record| matches!(record.rtype, A | AAAA));
    for record in others {
        problems.push(Problem::error(record.place, format!("{} {} {why}", site.name, type_name(record.rtype))));
    }
    rrsets(site, &glue, problems)
}

/// A service, with the records that are not steered.
fn with_service(site: &Site<'_>, mut records: Vec<&StaticRecord>, service: &ServiceName, problems: &mut Problems) -> Content {
    let name = site.name;
    if !site.is_apex {
        keep_soa_out(site, &mut records, problems);
    }
    if service.kind == AnswerKind::Cname && site.is_apex {
        problems.push(
            Problem::error(service.place, format!("a cname service cannot stand at the apex {name}, beside SOA and NS (RFC 1034 §3.6.2)"))
                .help("give its endpoints addresses, or put it below the apex"),
        );
    }
    let is_apex = site.is_apex;
    let collides = |rtype: u16| match rtype {
        A | AAAA | HTTPS | CNAME => true,
        NS | DS => !is_apex,
        _ => service.kind == AnswerKind::Cname && !is_apex,
    };
    records.retain(|record| {
        if !collides(record.rtype) {
            return true;
        }
        let rtype = type_name(record.rtype);
        let message = match record.rtype {
            A | AAAA | HTTPS => format!("{name} {rtype} is answered by the service of that name"),
            NS | DS => format!("{name} {rtype} would delegate the name of a service"),
            _ => format!("{name} {rtype} cannot stand beside a CNAME (RFC 2181 §10.1)"),
        };
        problems.push(Problem::error(record.place, message).related(service.place, "the service"));
        false
    });
    Content::Service { service: service.id, records: rrsets(site, &records, problems) }
}

/// Takes out SOA records that are not at an apex.
fn keep_soa_out(site: &Site<'_>, records: &mut Vec<&StaticRecord>, problems: &mut Problems) {
    records.retain(|record| {
        if record.rtype == SOA {
            problems.push(Problem::error(record.place, format!("{} is no apex: an SOA record stands at the zone's own name only", site.name)));
        }
        record.rtype != SOA
    });
}

/// Takes out DS records without a zone cut.
fn drop_lone_ds(site: &Site<'_>, records: &mut Vec<&StaticRecord>, problems: &mut Problems) {
    records.retain(|record| {
        if record.rtype == DS {
            let problem = Problem::error(record.place, format!("{} has a DS record, but no NS records", site.name));
            problems.push(problem.help("DS belongs to a zone cut, in the parent's zone (RFC 4034 §5)"));
        }
        record.rtype != DS
    });
}

/// A CNAME stands alone and once (RFC 2181 §10.1), and never at an apex.
fn judge_cname(site: &Site<'_>, records: &mut Vec<&StaticRecord>, problems: &mut Problems) {
    let Some(cname) = records.iter().copied().find(|record| record.rtype == CNAME) else { return };
    if site.is_apex {
        problems.push(
            Problem::error(cname.place, format!("a CNAME cannot stand at the apex {}, beside SOA and NS (RFC 1034 §3.6.2)", site.name))
                .help("an HTTPS record in AliasMode (`HTTPS 0 target.`) may"),
        );
        records.retain(|record| record.rtype != CNAME);
        return;
    }
    for other in records.iter() {
        if other.rtype != CNAME {
            let message = format!("{} {} cannot stand beside a CNAME (RFC 2181 §10.1)", site.name, type_name(other.rtype));
            problems.push(Problem::error(other.place, message).related(cname.place, "the CNAME"));
        } else if other.rdata != cname.rdata {
            let message = format!("{} has two CNAMEs (RFC 2181 §10.1)", site.name);
            problems.push(Problem::error(other.place, message).related(cname.place, "the other"));
        }
    }
    records.retain(|record| record.rtype == CNAME && record.rdata == cname.rdata);
}

/// The RRsets of sorted records.
fn rrsets(site: &Site<'_>, records: &[&StaticRecord], problems: &mut Problems) -> Box<[RrSet]> {
    records.chunk_by(|a, b| a.rtype == b.rtype).map(|set| rrset(site, set, problems)).collect()
}

/// One RRset of sorted records: the smallest TTL is the set's (RFC 2181 §5.2), and each datum counts once (§5).
fn rrset(site: &Site<'_>, records: &[&StaticRecord], problems: &mut Problems) -> RrSet {
    let least = records.iter().min_by_key(|record| (record.ttl, record.place)).expect("a chunk has at least one record");
    let rtype = least.rtype;
    let what = |text: &str| format!("{} {} {text}", site.name, type_name(rtype));
    for pair in records.windows(2).filter(|pair| pair[0].rdata == pair[1].rdata) {
        let (first, second) = if pair[0].place <= pair[1].place { (pair[0], pair[1]) } else { (pair[1], pair[0]) };
        problems.push(Problem::lint(second.place, what("is given twice with the same data")).related(first.place, "the first"));
    }
    if let Some(longer) = records.iter().filter(|record| record.ttl != least.ttl).min_by_key(|record| record.place) {
        let message = what(&format!("has TTLs that differ; the smallest, {} s, holds for all (RFC 2181 §5.2)", least.ttl));
        problems.push(Problem::lint(longer.place, message).related(least.place, "the smallest"));
    }
    if least.ttl == 0 && rtype != SOA {
        problems.push(Problem::lint(least.place, what("has TTL 0: no resolver keeps it, and some mistake it for an error")));
    }
    if rtype == SOA
        && let Some(second) = records.iter().filter(|record| record.rdata != records[0].rdata).map(|record| record.place).max()
    {
        problems.push(Problem::error(second, what("stands twice: a zone has one SOA (RFC 2181 §6.1)")).related(records[0].place, "the other"));
    }
    judge_set(&what, records, problems);
    let octets: usize = records.iter().map(|record| 12 + record.rdata.len()).sum();
    if octets + REPLY_OVERHEAD > TCP_MESSAGE_MAX {
        problems.push(Problem::error(least.place, what("is too large a set: it does not fit any DNS message")));
    }
    RrSet::new(rtype, least.ttl, records.iter().map(|record| record.rdata.clone()))
}

/// Rules among the records of one set: a null MX stands alone (RFC 7505 §3), an alias of services too (RFC 9460 §2.4.1, §2.4.2).
fn judge_set(what: &dyn Fn(&str) -> String, records: &[&StaticRecord], problems: &mut Problems) {
    let distinct = |record: &&&StaticRecord| record.rdata != records[0].rdata;
    let Some(second) = records.iter().find(distinct) else { return };
    match records[0].rtype {
        MX => {
            if let Some(null) = records.iter().find(|record| record.rdata.get(2..) == Some(&[0])) {
                problems.push(Problem::error(null.place, what("says that no mail is taken, beside other MX records (RFC 7505 §3)")));
            }
        }
        // The smallest SvcPriority comes first.
        SVCB | HTTPS if records[0].rdata.starts_with(&[0, 0]) => {
            let problem = Problem::lint(second.place, what("has an alias (priority 0) beside other records, which clients then ignore (RFC 9460 §2.4.1)"));
            problems.push(problem.related(records[0].place, "the alias"));
        }
        _ => {}
    }
}
