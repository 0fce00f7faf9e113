//! Probes as written: templates, and tables in services and endpoints.

use std::fmt::Write as _;

use toml::Spanned;
use toml::de::DeValue;

use crate::catalog::{BaselineSpec, ProbeKind, StatusRange};
use crate::config::diagnostic::{Code, Finding};
use crate::config::keys;
use crate::config::leaf::{Millis, Share, Text};
use crate::config::source::At;
use crate::config::walk::Table;

/// What a service or endpoint says about its probes.
#[derive(Debug)]
pub(in crate::config) enum ProbeChoice {
    /// Templates by name; an empty list is no probe at all.
    Templates(Vec<At<Box<str>>>),
    /// Its own.
    Own(Vec<ProbeForm>),
}

/// A probe without a target.
#[derive(Clone, Debug)]
pub(in crate::config) struct ProbeForm {
    /// The port.
    pub(in crate::config) port: u16,
    /// What is asked; an empty host stands for the service's name.
    pub(in crate::config) kind: ProbeKind,
    /// Milliseconds from one probe to the next.
    pub(in crate::config) interval_ms: u32,
    /// Milliseconds after which it has failed.
    pub(in crate::config) timeout_ms: u32,
    /// Failures in a row.
    pub(in crate::config) fall: u8,
    /// Successes in a row.
    pub(in crate::config) rise: u8,
    /// Milliseconds that are slow; 0 never.
    pub(in crate::config) slow_ms: u32,
    /// Its own past.
    pub(in crate::config) baseline: Option<BaselineSpec>,
}

/// Reads the `probe` of a service or an endpoint.
pub(super) fn choice(table: &mut Table<'_, '_>) -> Option<ProbeChoice> {
    let (place, value) = table.raw("probe")?;
    if matches!(value.get_ref(), DeValue::String(_) | DeValue::Array(_)) {
        return Some(ProbeChoice::Templates(table.elements("probe", value)));
    }
    let subject = format!("the probe of {}", table.subject());
    let own = table.open("probe", place, value, &keys::PROBES, subject)?;
    Some(ProbeChoice::Own(forms(own)))
}

/// Reads a table of probes.
pub(super) fn forms(mut table: Table<'_, '_>) -> Vec<ProbeForm> {
    let mut forms = Vec::new();
    let subject = table.subject().to_owned();
    if ["http", "https", "tcp", "tls"].into_iter().all(|kind| table.place_of(kind).is_none()) {
        let message = format!("{subject} asks nothing");
        table.report(Finding::at(Code::BadProbe, table.place(), message).label("needs one of http, https, tcp, tls"));
    }
    for (key, tls) in [("http", false), ("https", true)] {
        if let Some(probe) = table.table(key, &keys::PROBE_HTTP, format!("{key} of {subject}")) {
            forms.extend(http(probe, tls));
        }
    }
    if let Some(mut probe) = table.table("tcp", &keys::PROBE_TCP, format!("tcp of {subject}")) {
        if probe.place_of("port").is_none() {
            probe.missing("port", "a number from 1 to 65535");
        }
        forms.extend(common(&mut probe, 0, ProbeKind::Tcp));
        probe.done();
    }
    if let Some(mut probe) = table.table("tls", &keys::PROBE_TLS, format!("tls of {subject}")) {
        let kind = ProbeKind::Tls { host: host(&mut probe), verify: probe.take("verify").unwrap_or(true) };
        forms.extend(common(&mut probe, 443, kind));
        probe.done();
    }
    table.done();
    forms
}

/// What all kinds have: port, times, rise and fall.
fn common(probe: &mut Table<'_, '_>, default_port: u16, kind: ProbeKind) -> Option<ProbeForm> {
    let port = probe.whole("port", 1..=65_535).and_then(|port| u16::try_from(port).ok()).unwrap_or(default_port);
    let interval = probe.take_at::<Millis>("interval");
    let timeout = probe.take_at::<Millis>("timeout");
    let interval_ms = interval.map_or(5_000, |at| at.value.0);
    // A shorter interval shortens the default time-out: only what was written can be a mistake.
    let timeout_ms = timeout.map_or(interval_ms.min(2_000), |at| at.value.0);
    let count = |probe: &mut Table<'_, '_>, key| probe.whole(key, 1..=100).and_then(|count| u8::try_from(count).ok()).unwrap_or(3);
    let (fall, rise) = (count(probe, "fall"), count(probe, "rise"));
    let slow_ms = probe.take::<Millis>("slow").map_or(0, |slow| slow.0);
    let baseline = baseline(probe);
    if let Some(at) = interval.filter(|at| !(100..=3_600_000).contains(&at.value.0)) {
        let message = format!("{}: `interval` must be from 100 ms to 1 h", probe.subject());
        probe.report(Finding::at(Code::BadProbe, at.place, message).label("out of range"));
        return None;
    }
    if let Some(at) = timeout.filter(|at| at.value.0 == 0 || at.value.0 > interval_ms) {
        let message = format!("{}: `timeout` must be more than zero and at most the interval", probe.subject());
        probe.report(Finding::at(Code::BadProbe, at.place, message).label(format!("the interval is {interval_ms} ms")));
        return None;
    }
    Some(ProbeForm { port, kind, interval_ms, timeout_ms, fall, rise, slow_ms, baseline })
}

/// When its own past makes it degraded: a table, or "off", which is the default.
fn baseline(probe: &mut Table<'_, '_>) -> Option<BaselineSpec> {
    let (place, value) = probe.raw("baseline")?;
    if let DeValue::String(_) = value.get_ref() {
        let word = probe.leaf::<Box<str>>("baseline", &value)?;
        probe.choose("baseline", &word, &[("off", ())]);
        return None;
    }
    let subject = format!("the baseline of {}", probe.subject());
    let mut table = probe.open("baseline", place, value, &keys::BASELINE, subject)?;
    let default = BaselineSpec::default();
    let deviations = table.whole("deviations", 1..=100).and_then(|count| u8::try_from(count).ok()).unwrap_or(default.deviations);
    let dwell_ms = table.take::<Millis>("dwell").map_or(default.dwell_ms, |dwell| dwell.0);
    let errors = table.take::<Share>("errors").map_or(default.errors, |share| share.0);
    let samples = table.whole("samples", 8..=256).and_then(|count| u16::try_from(count).ok()).unwrap_or(default.samples);
    table.done();
    Some(BaselineSpec { deviations, dwell_ms, errors, samples })
}

/// Reads an HTTP probe.
fn http(mut probe: Table<'_, '_>, tls: bool) -> Option<ProbeForm> {
    let verify = match probe.place_of("verify") {
        Some(place) if !tls => {
            let message = format!("{}: there is no certificate to verify", probe.subject());
            probe.report(Finding::at(Code::BadProbe, place, message).label("only https has one"));
            probe.take::<bool>("verify");
            true
        }
        _ => probe.take("verify").unwrap_or(true),
    };
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
    };
    let form = common(&mut probe, if tls { 443 } else { 80 }, kind);
    probe.done();
    form
}

/// A text that passes a test, or the default; reports when it does not pass.
fn tested(probe: &mut Table<'_, '_>, key: &'static str, test: impl Fn(&str) -> bool, label: &str) -> Option<Box<str>> {
    let at = probe.take_at::<Box<str>>(key)?;
    if test(&at.value) {
        return Some(at.value);
    }
    let message = format!("{}: `{key}` cannot be sent so", probe.subject());
    probe.report(Finding::at(Code::BadProbe, at.place, message).label(label.to_owned()));
    None
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

/// The host; empty when it is to be the service's name.
fn host(probe: &mut Table<'_, '_>) -> Box<str> {
    let is_host = |text: &str| text.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"-._:[]".contains(&octet));
    tested(probe, "host", is_host, "only letters, digits, `-`, `.`").unwrap_or_default()
}

/// Further headers.
fn headers(probe: &mut Table<'_, '_>) -> Box<[(Box<str>, Box<str>)]> {
    let mut headers = Vec::new();
    for (name, value) in probe.named("headers") {
        let Some(text) = probe.leaf::<Box<str>>(&name.value, &value) else { continue };
        if is_token(&name.value) && text.value.is_ascii() {
            headers.push((name.value, text.value));
        } else {
            let message = format!("{}: the header \"{}\" cannot be sent so", probe.subject(), name.value.escape_default());
            probe.report(Finding::at(Code::BadProbe, name.place, message).label("only ASCII, and no spaces in the name"));
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
