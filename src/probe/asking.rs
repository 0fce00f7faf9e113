//! One probe, from start to observation.

use std::error::Error;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::exec::{self, Commands};
use super::http::Kept;
use super::tls::{Roots, TlsConfigs};
use super::{dns, http, tcp, tls};
use crate::catalog::{ProbeKind, ProbeSpec};
use crate::clock::{Clock, Stopwatch};
use crate::health::{Observation, ProbeFailure, ProbeOutcome, ProbeWarning};
use crate::limits::PROBE_WORDS_MAX;
use crate::units::{Micros, Moment};

/// Counts what probes do. Every method may be called from any task and must not block.
pub trait Meter: Send + Sync + 'static {
    /// A probe is complete.
    fn probed(&self, _spec: &ProbeSpec, _observation: &Observation) {}
    /// An observation was dropped since the controller's queue was full.
    fn dropped(&self) {}
    /// So many probes are under way, and so many are due and wait for room.
    fn under_way(&self, _in_flight: usize, _waiting: usize) {}
}

/// Counts nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoMeter;

impl Meter for NoMeter {}

/// Makes single probes. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Prober {
    /// Tells when an observation was made.
    clock: Clock,
    /// Shared by all probes over TLS.
    tls: TlsConfigs,
    /// What may be run.
    commands: Option<Commands>,
}

/// What an answer that passed told beside that.
#[derive(Debug, Default)]
pub(super) struct Answer {
    /// When the certificate that was shown ends.
    pub(super) expires: Option<Moment>,
    /// What is amiss.
    pub(super) warning: Option<ProbeWarning>,
}

impl Prober {
    /// A prober that verifies certificates against `roots`.
    #[must_use]
    pub fn new(clock: Clock, roots: Roots) -> Self {
        Self { clock, tls: TlsConfigs::new(roots), commands: None }
    }

    /// One that also runs the commands of a folder.
    #[must_use]
    pub fn with_commands(self, commands: Option<Commands>) -> Self {
        Self { commands, ..self }
    }

    /// Asks once, at an address of the specification's host. Takes no longer than the specification's time-out.
    pub async fn ask(&self, spec: &ProbeSpec, address: IpAddr) -> Observation {
        self.ask_again(spec, address, &mut None).await
    }

    /// As [`Prober::ask`], on the connection that was kept the last time, if the specification wants that.
    pub(super) async fn ask_again(&self, spec: &ProbeSpec, address: IpAddr, kept: &mut Option<Kept>) -> Observation {
        let stopwatch = Stopwatch::start();
        let limit = Duration::from_millis(u64::from(spec.timeout_ms));
        let result = tokio::time::timeout(limit, self.ask_unbounded(spec, address, kept)).await;
        let (rtt, at) = (stopwatch.so_far(), self.clock.now());
        let (outcome, expires) = match result {
            Ok(Ok(answer)) => (judge(spec, answer.warning, answer.expires, rtt, at), answer.expires),
            Ok(Err(failure)) => (ProbeOutcome::Failed(failure), None),
            Err(_) => (ProbeOutcome::Failed(ProbeFailure::TimedOut), None),
        };
        Observation { at, outcome, rtt, expires, drill: false }
    }

    /// Asks, for as long as it takes.
    async fn ask_unbounded(&self, spec: &ProbeSpec, address: IpAddr, kept: &mut Option<Kept>) -> Result<Answer, ProbeFailure> {
        let target = SocketAddr::new(address, spec.target.port);
        match &spec.kind {
            ProbeKind::Tcp => tcp::ask(target).await.map(|_| Answer::default()),
            ProbeKind::Tls { host, verify, .. } => tls::ask(target, host, self.tls.config(*verify)).await,
            ProbeKind::Http { verify, .. } => http::ask(target, &spec.kind, self.tls.config(*verify), kept, self.clock.now()).await,
            ProbeKind::Dns { .. } => dns::ask(target, &spec.kind).await,
            ProbeKind::Exec { .. } => exec::ask(self.commands.as_ref(), target, &spec.kind, spec.timeout_ms).await,
            ProbeKind::Push(_) => Err(ProbeFailure::NotAsked("a heartbeat comes by itself".into())),
        }
    }
}

/// What an answer that passed comes to: what is amiss with it counts before how long it took.
fn judge(spec: &ProbeSpec, warning: Option<ProbeWarning>, expires: Option<Moment>, rtt: Micros, now: Moment) -> ProbeOutcome {
    let warning_ms = u64::from(spec.kind.expiry_warning_s()) * 1_000;
    let ends_soon = expires.filter(|end| warning_ms > 0 && now.plus_millis(warning_ms) > *end);
    match warning.or(ends_soon.map(ProbeWarning::Expires)) {
        Some(warning) => ProbeOutcome::Warned(warning),
        None if spec.slow_ms > 0 && rtt > Micros::from_millis(i64::from(spec.slow_ms)) => ProbeOutcome::Slow,
        None => ProbeOutcome::Passed,
    }
}

/// What an error of the system says of the target: the kinds that tell nothing of it are told apart.
pub(super) fn failure_of_io(error: &io::Error) -> ProbeFailure {
    /// Numbers of the system's errors that std has no kind for (Linux): no permission, no memory, too many open files.
    const OURS: [i32; 4] = [1, 12, 23, 24];
    match error.kind() {
        ErrorKind::ConnectionRefused => ProbeFailure::Refused,
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => ProbeFailure::Unreachable,
        ErrorKind::TimedOut => ProbeFailure::TimedOut,
        ErrorKind::AddrNotAvailable | ErrorKind::AddrInUse | ErrorKind::PermissionDenied | ErrorKind::OutOfMemory => ProbeFailure::NotAsked(words(&error)),
        _ if error.raw_os_error().is_some_and(|number| OURS.contains(&number)) => ProbeFailure::NotAsked(words(&error)),
        _ => ProbeFailure::Broken,
    }
}

/// What an error says of the target, found in its chain of sources: TLS first, then the system.
pub(super) fn failure_of(error: &(dyn Error + 'static)) -> ProbeFailure {
    let mut found = None;
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref::<rustls::Error>() {
            return ProbeFailure::Tls(words(error));
        }
        if let Some(io) = error.downcast_ref::<io::Error>() {
            if let Some(inner) = io.get_ref() {
                // An io::Error skips what it wraps when asked for its source.
                if let failure @ ProbeFailure::Tls(_) = failure_of(inner) {
                    return failure;
                }
            }
            found.get_or_insert_with(|| failure_of_io(io));
        }
        next = error.source();
    }
    found.unwrap_or(ProbeFailure::Broken)
}

/// A peer's or a library's words, cut to [`PROBE_WORDS_MAX`] characters.
pub(super) fn words(text: &impl ToString) -> Box<str> {
    text.to_string().chars().take(PROBE_WORDS_MAX).collect::<String>().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_ours_are_told_apart_from_errors_of_the_target() {
        // Linux: EPERM, ENOMEM, ENFILE, EMFILE, EACCES, EADDRNOTAVAIL.
        for ours in [1, 12, 23, 24, 13, 99] {
            let failure = failure_of_io(&io::Error::from_raw_os_error(ours));
            assert!(matches!(failure, ProbeFailure::NotAsked(_)), "{ours}: {failure:?}");
        }
        // ENETUNREACH, EHOSTUNREACH, ETIMEDOUT, ECONNREFUSED, ECONNRESET, EPIPE.
        let theirs = [
            (101, ProbeFailure::Unreachable),
            (113, ProbeFailure::Unreachable),
            (110, ProbeFailure::TimedOut),
            (111, ProbeFailure::Refused),
            (104, ProbeFailure::Broken),
            (32, ProbeFailure::Broken),
        ];
        for (number, failure) in theirs {
            assert_eq!(failure_of_io(&io::Error::from_raw_os_error(number)), failure, "{number}");
        }
    }

    #[test]
    fn a_tls_error_is_found_however_deep_it_is_wrapped() {
        let tls = io::Error::new(ErrorKind::InvalidData, rustls::Error::DecryptError);
        let wrapped = io::Error::other(io::Error::other(tls));
        assert!(matches!(failure_of(&wrapped), ProbeFailure::Tls(_)));
    }

    #[test]
    fn a_long_complaint_is_cut_between_characters() {
        assert_eq!(words(&"\u{e9}".repeat(1_000)).chars().count(), PROBE_WORDS_MAX);
    }
}
