//! DNS probes as written.

use super::{ProbeForm, common, port};
use crate::catalog::{Name, ProbeKind};
use crate::config::diagnostic::{Code, Finding};
use crate::config::records::{parse_rdata, type_code};
use crate::config::walk::Table;
use crate::limits::PROBE_ANSWERS_MAX;

/// The RCODEs that a probe may expect (RFC 6895 §2.3), those of messages that are answered at all.
const RCODES: [(&str, u16); 8] =
    [("noerror", 0), ("formerr", 1), ("servfail", 2), ("nxdomain", 3), ("notimp", 4), ("refused", 5), ("notauth", 9), ("notzone", 10)];

/// Reads one.
pub(super) fn read(mut probe: Table<'_, '_>) -> Option<ProbeForm> {
    let name = name(&mut probe);
    let (mnemonic, rtype) = rtype(&mut probe);
    let rcode = probe.choice("rcode", &RCODES).unwrap_or(0);
    let answers = answers(&mut probe, &mnemonic);
    // Who says an RCODE other than NOERROR has no answer to give.
    let least = u8::from(rcode == 0);
    let at_least = probe.whole("at-least", 0..=255).and_then(|count| u8::try_from(count).ok()).unwrap_or(least);
    let (authoritative, recursion) = (probe.take("authoritative").unwrap_or(false), probe.take("recursion").unwrap_or(false));
    let port = port(&mut probe, 53);
    let kind = name.map(|name| ProbeKind::Dns { name, rtype, rcode, answers, at_least, authoritative, recursion });
    let form = common(&mut probe, port, kind.clone().unwrap_or(ProbeKind::Tcp));
    probe.done();
    kind.and(form)
}

/// The name, which is a whole one: a template is of no zone.
fn name(probe: &mut Table<'_, '_>) -> Option<Name> {
    let at = probe.need::<Box<str>>("name")?;
    match Name::parse(&at.value, &Name::root()) {
        Ok(name) => Some(name),
        Err(why) => {
            let message = format!("{}: `name` must be a domain name", probe.subject());
            probe.report(Finding::at(Code::BadName, at.place, message).label(why.to_string()));
            None
        }
    }
}

/// The type: as it was written, and its code.
fn rtype(probe: &mut Table<'_, '_>) -> (Box<str>, u16) {
    let default = ("A".into(), 1);
    let Some(at) = probe.take_at::<Box<str>>("type") else { return default };
    if let Some(code) = type_code(&at.value) {
        return (at.value, code);
    }
    let message = format!("{}: `type` must be a record type", probe.subject());
    let finding = Finding::at(Code::BadProbe, at.place, message).label("no type known here");
    probe.report(finding.help("other types are written by number, as in \"TYPE65280\" (RFC 3597)"));
    default
}

/// The data that must be among the answers, names in it whole.
fn answers(probe: &mut Table<'_, '_>, mnemonic: &str) -> Box<[Box<[u8]>]> {
    let place = probe.place_of("answers");
    let list = probe.list::<Box<str>>("answers");
    if let Some(place) = place.filter(|_| list.len() > PROBE_ANSWERS_MAX) {
        let message = format!("{}: more than {PROBE_ANSWERS_MAX} `answers`", probe.subject());
        probe.report(Finding::at(Code::TooMany, place, message).label("too many"));
    }
    let mut answers = Vec::with_capacity(list.len());
    for at in list {
        match parse_rdata(mnemonic, &at.value, &Name::root()) {
            Ok((_, rdata)) => answers.push(rdata),
            Err(error) => {
                let message = format!("{}: `answers` must be data of {mnemonic} records", probe.subject());
                probe.report(Finding::at(Code::BadProbe, at.place, message).label(error.message).maybe_help(error.help));
            }
        }
    }
    answers.sort_unstable();
    answers.dedup();
    answers.into()
}
