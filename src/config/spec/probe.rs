//! Probes as written: templates, and tables in services and endpoints.

mod dns;
mod exec;
mod http;

use toml::de::DeValue;

use crate::catalog::{BaselineSpec, ProbeKind};
use crate::config::diagnostic::{Code, Finding};
use crate::config::keys;
use crate::config::leaf::{ExpiryWarning, Millis, Share};
use crate::config::source::At;
use crate::config::walk::Table;
use crate::limits::{EXPIRY_WARNING_S, HEARTBEAT_MS, HEARTBEAT_MS_MAX, HEARTBEAT_MS_MIN};

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
    /// What is asked; an empty host stands for the service's name, and whom it is of is not known yet.
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

/// On which of its families an endpoint is asked that has both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::config) enum ProbeFamilies {
    /// That of the address which is written first. The default: many a node has one family only, and would find all of the other's silent.
    #[default]
    First,
    /// Each.
    Each,
}

/// Reads the `probe-families` of a service or an endpoint.
pub(super) fn probe_families(table: &mut Table<'_, '_>) -> Option<At<ProbeFamilies>> {
    let at = table.take_at::<Box<str>>("probe-families")?;
    let value = table.choose("probe-families", &at, &[("first", ProbeFamilies::First), ("each", ProbeFamilies::Each)])?;
    Some(At { value, place: at.place })
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
    const KINDS: [&str; 7] = ["http", "https", "tcp", "tls", "dns", "exec", "push"];
    let mut forms = Vec::new();
    let subject = table.subject().to_owned();
    if KINDS.into_iter().all(|kind| table.place_of(kind).is_none()) {
        let message = format!("{subject} asks nothing");
        table.report(Finding::at(Code::BadProbe, table.place(), message).label(format!("needs one of {}", KINDS.join(", "))));
    }
    for (key, tls) in [("http", false), ("https", true)] {
        if let Some(probe) = table.table(key, &keys::PROBE_HTTP, format!("{key} of {subject}")) {
            forms.extend(http::read(probe, tls));
        }
    }
    if let Some(mut probe) = table.table("tcp", &keys::PROBE_TCP, format!("tcp of {subject}")) {
        if probe.place_of("port").is_none() {
            probe.missing("port", "a number from 1 to 65535");
        }
        let port = port(&mut probe, 0);
        forms.extend(common(&mut probe, port, ProbeKind::Tcp));
        probe.done();
    }
    if let Some(mut probe) = table.table("tls", &keys::PROBE_TLS, format!("tls of {subject}")) {
        let (host, verify) = (host(&mut probe), probe.take("verify").unwrap_or(true));
        let kind = ProbeKind::Tls { host, verify, expiry_warning_s: expiry_warning(&mut probe) };
        let port = port(&mut probe, 443);
        forms.extend(common(&mut probe, port, kind));
        probe.done();
    }
    if let Some(probe) = table.table("dns", &keys::PROBE_DNS, format!("dns of {subject}")) {
        forms.extend(dns::read(probe));
    }
    if let Some(probe) = table.table("exec", &keys::PROBE_EXEC, format!("exec of {subject}")) {
        forms.extend(exec::read(probe));
    }
    if let Some(probe) = table.table("push", &keys::PROBE_PUSH, format!("push of {subject}")) {
        forms.extend(push(probe));
    }
    table.done();
    forms
}

/// The port.
fn port(probe: &mut Table<'_, '_>, default: u16) -> u16 {
    probe.whole("port", 1..=65_535).and_then(|port| u16::try_from(port).ok()).unwrap_or(default)
}

/// A number of outcomes in a row.
fn in_row(probe: &mut Table<'_, '_>, key: &'static str) -> u8 {
    probe.whole(key, 1..=100).and_then(|count| u8::try_from(count).ok()).unwrap_or(3)
}

/// What all kinds have that ask: times, rise and fall.
fn common(probe: &mut Table<'_, '_>, port: u16, kind: ProbeKind) -> Option<ProbeForm> {
    let interval = probe.take_at::<Millis>("interval");
    let timeout = probe.take_at::<Millis>("timeout");
    let interval_ms = interval.map_or(5_000, |at| at.value.0);
    // A shorter interval shortens the default time-out: only what was written can be a mistake.
    let timeout_ms = timeout.map_or(interval_ms.min(2_000), |at| at.value.0);
    let (fall, rise) = (in_row(probe, "fall"), in_row(probe, "rise"));
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

/// Reads a heartbeat.
fn push(mut probe: Table<'_, '_>) -> Option<ProbeForm> {
    let every = probe.take_at::<Millis>("expect-every");
    let (fall, rise) = (in_row(&mut probe, "fall"), in_row(&mut probe, "rise"));
    let interval_ms = every.map_or(HEARTBEAT_MS, |at| at.value.0);
    let wrong = every.filter(|at| !(HEARTBEAT_MS_MIN..=HEARTBEAT_MS_MAX).contains(&at.value.0));
    if let Some(at) = wrong {
        let message = format!("{}: `expect-every` must be from 1 s to 24 h", probe.subject());
        probe.report(Finding::at(Code::BadProbe, at.place, message).label("out of range"));
    }
    probe.done();
    let kind = ProbeKind::Push(Box::default());
    wrong.is_none().then_some(ProbeForm { port: 0, kind, interval_ms, timeout_ms: 0, fall, rise, slow_ms: 0, baseline: None })
}

/// Seconds before the end of a certificate from which on it is degraded; 0 where that is off.
fn expiry_warning(probe: &mut Table<'_, '_>) -> u32 {
    probe.take::<ExpiryWarning>("expiry-warning").map_or(EXPIRY_WARNING_S, |warning| warning.0)
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

/// The host; empty when it is to be the service's name.
fn host(probe: &mut Table<'_, '_>) -> Box<str> {
    let is_host = |text: &str| text.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"-._:[]".contains(&octet));
    tested(probe, "host", is_host, "only letters, digits, `-`, `.`").unwrap_or_default()
}
