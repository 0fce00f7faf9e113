//! Probes over HTTP as written.

use std::fmt::Write as _;

use toml::Spanned;
use toml::de::DeValue;

use super::{ProbeForm, common, expiry_warning, host, port, tested};
use crate::catalog::{ProbeKind, StatusRange};
use crate::config::diagnostic::{Code, Finding};
use crate::config::leaf::{Millis, Text};
use crate::config::walk::Table;

/// Headers that say where a request ends, or what the connection becomes after it (RFC 9112 §6, RFC 9110 §7.8, §10.1.1): a wrong one spoils the requests after it.
const FRAMING: [&str; 6] = ["content-length", "expect", "te", "trailer", "transfer-encoding", "upgrade"];

/// Reads one, over TLS or not.
pub(super) fn read(mut probe: Table<'_, '_>, tls: bool) -> Option<ProbeForm> {
    for key in ["verify", "expiry-warning"] {
        if let Some(place) = probe.place_of(key).filter(|_| !tls) {
            let message = format!("{}: there is no certificate", probe.subject());
            probe.report(Finding::at(Code::BadProbe, place, message).label("only https has one"));
        }
    }
    let (verify, expiry_warning_s) = (probe.take("verify").unwrap_or(true), expiry_warning(&mut probe));
    let (verify, expiry_warning_s) = if tls { (verify, expiry_warning_s) } else { (true, 0) };
    let mut statuses: Vec<StatusRange> = probe.list("statuses").into_iter().map(|at| at.value).collect();
    statuses.sort_unstable();
    statuses.dedup();
    if statuses.is_empty() {
        statuses.push(StatusRange { first: 200, last: 399 });
    }
    let kind = ProbeKind::Http {
        tls,
        method: method(&mut probe),
        path: path(&mut probe),
        host: host(&mut probe),
        headers: headers(&mut probe),
        body: probe.take::<Text>("body").map(|text| text.0),
        statuses: statuses.into(),
        contains: probe.take::<Text>("contains").map(|text| text.0).filter(|text| !text.is_empty()),
        json: json(&mut probe),
        first_byte_ms: probe.take::<Millis>("first-byte").map_or(0, |time| time.0),
        verify,
        expiry_warning_s,
        keep_alive: probe.take("keep-alive").unwrap_or(false),
    };
    let port = port(&mut probe, if tls { 443 } else { 80 });
    let form = common(&mut probe, port, kind);
    probe.done();
    form
}

/// Whether an octet may stand in a token (RFC 9110 §5.6.2).
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&octet))
}

/// The method.
fn method(probe: &mut Table<'_, '_>) -> Box<str> {
    let is_method = |text: &str| is_token(text) && text.bytes().all(|octet| !octet.is_ascii_lowercase());
    tested(probe, "method", is_method, "a method is a word in capitals").unwrap_or_else(|| "GET".into())
}

/// Path and query.
fn path(probe: &mut Table<'_, '_>) -> Box<str> {
    let is_path = |text: &str| text.starts_with('/') && text.bytes().all(|octet| octet.is_ascii_graphic() && octet != b'#');
    tested(probe, "path", is_path, "a path begins with `/` and has no spaces").unwrap_or_else(|| "/".into())
}

/// Further headers.
fn headers(probe: &mut Table<'_, '_>) -> Box<[(Box<str>, Box<str>)]> {
    let mut headers = Vec::new();
    for (name, value) in probe.named("headers") {
        let Some(text) = probe.leaf::<Box<str>>(&name.value, &value) else { continue };
        if FRAMING.iter().any(|framing| name.value.eq_ignore_ascii_case(framing)) {
            let message = format!("{}: the header \"{}\" says how a request is framed", probe.subject(), name.value);
            probe.report(Finding::at(Code::BadProbe, name.place, message).label("it is set by what the request is"));
        } else if is_token(&name.value) && text.value.bytes().all(|octet| octet == b'\t' || (b' '..=b'~').contains(&octet)) {
            headers.push((name.value, text.value));
        } else {
            let message = format!("{}: the header \"{}\" cannot be sent so", probe.subject(), name.value.escape_default());
            probe.report(Finding::at(Code::BadProbe, name.place, message).label("only ASCII without control characters, and no spaces in the name"));
        }
    }
    headers.into()
}

/// JSON pointers and what must stand there.
fn json(probe: &mut Table<'_, '_>) -> Box<[(Box<str>, Box<str>)]> {
    let mut assertions = Vec::new();
    for (pointer, value) in probe.named("json") {
        if !pointer.value.is_empty() && !pointer.value.starts_with('/') {
            let message = format!("{}: \"{}\" is no JSON pointer", probe.subject(), pointer.value.escape_default());
            let finding = Finding::at(Code::BadProbe, pointer.place, message).label("begins with `/` (RFC 6901)");
            probe.report(finding.help(format!("write \"/{}\"", pointer.value.escape_default())));
            continue;
        }
        if let Some(text) = json_text(&value) {
            assertions.push((pointer.value, text));
        } else {
            let message = format!("{}: `json` compares with a text, a number, true or false", probe.subject());
            probe.report(Finding::at(Code::BadProbe, pointer.place, message).label("none of these"));
        }
    }
    assertions.into()
}

/// A scalar as compact JSON.
fn json_text(value: &Spanned<DeValue<'_>>) -> Option<Box<str>> {
    match value.get_ref() {
        DeValue::String(text) => Some(quoted(text).into()),
        DeValue::Boolean(value) => Some(value.to_string().into()),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix()).ok().map(|number| number.to_string().into()),
        DeValue::Float(number) => number.as_str().parse::<f64>().ok().filter(|number| number.is_finite()).map(|number| number.to_string().into()),
        _ => None,
    }
}

/// A text as a JSON string (RFC 8259 §7).
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            // Writing to a text never fails.
            control if control < ' ' => drop(write!(quoted, "\\u{:04x}", u32::from(control))),
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}
