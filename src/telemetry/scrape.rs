//! Sums what was counted, and renders it.

use std::collections::HashMap;

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusRecorder};

use super::process::Process;
use super::tally::{About, Count, Ledger, Limited, RCODES, ReplyClass, Subject};
use super::{
    ACCEPTED, AGE, BLOCKED, CUT, DAMPED, DOUBT, DRILL, DRILLED, EVICTED, EVIDENCE, EXPIRES, FAILBACK, Folded, GENERATION, GEOIP_AGE, GEOIP_NETWORKS,
    HANDSHAKES_FAILED, HEADROOM, HEALTH, HELD, MAX_FDS, Metric, NONE, OPEN, OPEN_FDS, OTHER, OVERFLOWS, OVERLOADED, OVERRIDDEN, OVERRIDES, PANICS, PROBES,
    QUERIES, RAMPING, READY, REJECTED, RESIDENT, RESPONSES, RESTARTS, RRL_DROPPED, RRL_SLIPPED, RRL_WOULD_DROP, SILENT, SOCKET_ERRORS, STALE, TRUNCATED,
    Telemetry, UNRESOLVED, UNSENT, counter, describe, gauge, lock,
};
use crate::answer::Transport;
use crate::catalog::{AddressType, Catalog};
use crate::control::waiting;
use crate::health::{Health, Status};
use crate::limits;
use crate::steer::Reason;
use crate::units::{Moment, Permille};
use crate::world::World;

impl Telemetry {
    /// The Prometheus text of everything: of this world, at this moment.
    #[must_use]
    pub fn render(&self, world: &World, ready: bool, now: Moment) -> String {
        let scrape = PrometheusBuilder::new().build_recorder();
        describe(&scrape, false);
        self.tell_workers(&scrape);
        self.tell_queries(&scrape);
        tell_world(&scrape, world, ready, now);
        tell_aliases(&scrape, world, now);
        tell_geography(&scrape, world, now);
        tell_process(&scrape);
        let mut text = scrape.handle().render();
        text.push_str(&self.lasting.handle().render());
        text
    }

    /// What workers count whatever the catalog.
    fn tell_workers(&self, scrape: &PrometheusRecorder) {
        let tallies = lock(&self.tallies);
        for (transport, word) in Transport::ALL.map(|transport| (transport, transport.as_str())) {
            let count = sum(tallies.iter().filter(|tally| tally.transport == transport).map(|tally| tally.read()));
            for (rcode, &replies) in count.replies.iter().enumerate() {
                // The plain ones are there from the start, so that a rate can be taken of the first.
                if replies > 0 || rcode <= 5 {
                    counter(scrape, &RESPONSES, &[rcode_word(rcode), word.into()]).absolute(replies);
                }
            }
            let plain: [(&Metric, u64); 7] = [
                (&TRUNCATED, count.truncated),
                (&SILENT, count.silent),
                (&PANICS, count.panics),
                (&UNSENT, count.unsent),
                (&CUT, count.cut),
                (&RESTARTS, count.restarts),
                (&SOCKET_ERRORS, count.socket_errors),
            ];
            for (metric, value) in plain {
                counter(scrape, metric, &[word]).absolute(value);
            }
            if transport == Transport::Udp {
                counter(scrape, &OVERFLOWS, NONE).absolute(count.overflows);
                tell_limited(scrape, &count.limited);
            }
            if transport != Transport::Udp {
                gauge(scrape, &OPEN, &[word]).set(float(count.open));
                counter(scrape, &ACCEPTED, &[word]).absolute(count.accepted);
                counter(scrape, &EVICTED, &[word]).absolute(count.evicted);
            }
            if transport.is_encrypted() {
                counter(scrape, &HANDSHAKES_FAILED, &[word]).absolute(count.handshakes_failed);
            }
            if matches!(transport, Transport::Https | Transport::Quic) {
                counter(scrape, &REJECTED, &[word]).absolute(count.rejected);
            }
        }
    }

    /// Queries by what they asked, and probe results.
    fn tell_queries(&self, scrape: &PrometheusRecorder) {
        self.fold_probes();
        let folded = lock(&self.folded);
        let mut queries = folded.queries.clone();
        for ledger in self.ledgers.load().iter() {
            add_ledger(&mut queries, ledger);
        }
        let unbooked: u64 = lock(&self.tallies).iter().map(|tally| tally.read().unbooked).sum();
        if unbooked > 0 {
            *queries.entry([OTHER, OTHER, OTHER, OTHER].map(Into::into)).or_default() += unbooked;
        }
        let mut told: Vec<_> = queries.into_iter().collect();
        if told.len() > limits::METRIC_SERIES_MAX {
            told.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
            let rest = told.split_off(limits::METRIC_SERIES_MAX - 1).into_iter().map(|(_, count)| count).sum();
            told.push(([OTHER, OTHER, OTHER, OTHER].map(Into::into), rest));
        }
        for (labels, count) in told {
            counter(scrape, &QUERIES, &labels).absolute(count);
        }
        let Folded { probes, .. } = &*folded;
        for (labels, &count) in probes {
            counter(scrape, &PROBES, labels).absolute(count);
        }
    }
}

/// What became of replies over a limit.
fn tell_limited(scrape: &PrometheusRecorder, limited: &Limited) {
    for (metric, by_class) in [(&RRL_DROPPED, limited.dropped), (&RRL_SLIPPED, limited.slipped), (&RRL_WOULD_DROP, limited.would_drop)] {
        for (class, count) in ReplyClass::ALL.into_iter().zip(by_class) {
            counter(scrape, metric, &[class.as_str()]).absolute(count);
        }
    }
}

/// The world's own numbers.
fn tell_world(scrape: &PrometheusRecorder, world: &World, ready: bool, now: Moment) {
    gauge(scrape, &GENERATION, NONE).set(float(world.generation));
    let age = if world.statuses.observed == Moment(0) { -1.0 } else { seconds(now.millis_since(world.statuses.observed)) };
    gauge(scrape, &AGE, NONE).set(age);
    gauge(scrape, &STALE, NONE).set(f64::from(u8::from(world.statuses.stale)));
    gauge(scrape, &DOUBT, NONE).set(f64::from(u8::from(world.statuses.doubting)));
    gauge(scrape, &READY, NONE).set(f64::from(u8::from(ready)));
    let count = |is: fn(&Status) -> bool| float(world.statuses.of.iter().filter(|status| is(status)).count() as u64);
    gauge(scrape, &DAMPED, NONE).set(count(|status| status.damped));
    gauge(scrape, &RAMPING, NONE).set(count(|status| status.ramp < Permille::WHOLE));
    gauge(scrape, &BLOCKED, NONE).set(count(|status| status.blocked));
    for action in ["drain", "out", "in", "weight"] {
        let count = world.notes.all.iter().filter(|note| note.deed.kind() == action).count();
        gauge(scrape, &OVERRIDES, &[action]).set(float(count as u64));
    }
    gauge(scrape, &FAILBACK, NONE).set(float(waiting(world).filter(|waiting| waiting.holds).count() as u64));
    gauge(scrape, &OVERRIDDEN, NONE).set(float(world.notes.of.len() as u64));
    for (phase, running) in [("announced", false), ("running", true)] {
        let is_on = world.drill.as_ref().is_some_and(|drill| drill.running == running);
        gauge(scrape, &DRILL, &[phase]).set(f64::from(u8::from(is_on)));
    }
    gauge(scrape, &DRILLED, NONE).set(float(world.drill.as_ref().map_or(0, |drill| drill.endpoints.len() as u64)));
    let catalog = &world.catalog;
    gauge(scrape, &OVERLOADED, NONE).set(float(world.outlook.overload.len() as u64));
    for (region, headroom) in catalog.regions.iter().zip(&world.outlook.headroom) {
        if let Some(headroom) = headroom {
            gauge(scrape, &HEADROOM, &[&region.name]).set(f64::from(*headroom) / 1000.0);
        }
    }
    let statuses = || catalog.endpoints.iter().zip(&world.statuses.of).filter(|(endpoint, _)| !endpoint.probes.is_empty());
    // Where there are more endpoints than series, those in trouble come first.
    let (well, troubled): (Vec<_>, Vec<_>) = statuses().partition(|(_, status)| status.health == Health::Up);
    for (endpoint, status) in troubled.into_iter().chain(well).take(limits::METRIC_SERIES_MAX) {
        let labels = [catalog.service(endpoint.service).name.to_string(), endpoint.name.to_string()];
        gauge(scrape, &HEALTH, &labels).set(health_value(status));
        let observed = endpoint.all_probes().map(|probe| world.statuses.evidence.get(probe.index())?.observed);
        let oldest = observed.min().flatten();
        gauge(scrape, &EVIDENCE, &labels).set(oldest.map_or(-1.0, |observed| seconds(now.millis_since(observed))));
        let ends = endpoint.all_probes().filter_map(|probe| world.statuses.evidence.get(probe.index())?.expires);
        if let Some(first) = ends.min() {
            let left = if first >= now { seconds(first.millis_since(now)) } else { -seconds(now.millis_since(first)) };
            gauge(scrape, &EXPIRES, &labels).set(left);
        }
    }
}

/// What the world's aliases were resolved to.
fn tell_aliases(scrape: &PrometheusRecorder, world: &World, now: Moment) {
    let aliases = || world.catalog.aliases.iter().zip(world.statuses.resolved.iter());
    for of in AddressType::ALL {
        let unresolved = aliases().filter(|(alias, resolved)| alias.types.has(of) && resolved.lacks(of)).count();
        gauge(scrape, &UNRESOLVED, &[of.as_str()]).set(float(unresolved as u64));
    }
    let troubles = aliases().flat_map(|(alias, resolved)| alias.types.iter().filter_map(|of| resolved.trouble(of)));
    let oldest = troubles.filter_map(|trouble| trouble.found).map(|found| now.millis_since(found)).max();
    gauge(scrape, &HELD, NONE).set(seconds(oldest.unwrap_or(0)));
}

/// The databases that the world's geography was made of.
fn tell_geography(scrape: &PrometheusRecorder, world: &World, now: Moment) {
    let sources = || world.geo.sources().iter();
    for source in sources().take(limits::METRIC_SERIES_MAX) {
        gauge(scrape, &GEOIP_AGE, &[&source.name]).set(source.metadata.age_ms(now).map_or(-1.0, seconds));
    }
    let counts = sources().flat_map(|source| source.census.continents().map(|(continent, count)| (&*source.name, continent, count.networks)));
    for (source, continent, networks) in counts.take(limits::METRIC_SERIES_MAX) {
        gauge(scrape, &GEOIP_NETWORKS, &[source, continent]).set(float(networks));
    }
}

/// What the process takes of the system.
fn tell_process(scrape: &PrometheusRecorder) {
    let Some(process) = Process::read() else { return };
    gauge(scrape, &OPEN_FDS, NONE).set(float(process.descriptors));
    gauge(scrape, &RESIDENT, NONE).set(float(process.resident));
    if let Some(most) = process.descriptors_max {
        gauge(scrape, &MAX_FDS, NONE).set(float(most));
    }
}

/// Adds what a ledger holds.
pub(super) fn add_ledger(queries: &mut HashMap<[Box<str>; 4], u64>, ledger: &Ledger) {
    let mut by_subject: HashMap<Subject, u64> = HashMap::new();
    ledger.read(|subject, count| *by_subject.entry(subject).or_default() += count);
    for (subject, count) in by_subject {
        *queries.entry(labels_of(subject, &ledger.catalog)).or_default() += count;
    }
    if ledger.other() > 0 {
        *queries.entry([OTHER, OTHER, OTHER, OTHER].map(Into::into)).or_default() += ledger.other();
    }
}

/// The labels of a series: zone, service, region, reason.
fn labels_of(subject: Subject, catalog: &Catalog) -> [Box<str>; 4] {
    let of_service = |id: crate::catalog::ServiceId| {
        let service = catalog.services.get(id.index())?;
        let zone = catalog.zones.get(usize::from(service.zone.0))?;
        Some((zone.name.to_string().into_boxed_str(), service.name.to_string().into_boxed_str()))
    };
    let labels = match subject.about() {
        About::NotOurs => Some(["", "", "", "not-ours"].map(Into::into)),
        About::Zone(id) => catalog.zones.get(usize::from(id.0)).map(|zone| [zone.name.to_string().into(), "".into(), "".into(), "static".into()]),
        About::Service(id, reason) => of_service(id).map(|(zone, service)| [zone, service, "".into(), reason_word(reason).into()]),
        About::Endpoint(id, reason) => catalog.endpoints.get(id.index()).and_then(|endpoint| {
            let (zone, service) = of_service(endpoint.service)?;
            Some([zone, service, catalog.region(endpoint.region).name.clone(), reason_word(reason).into()])
        }),
    };
    labels.unwrap_or_else(|| [OTHER, OTHER, OTHER, OTHER].map(Into::into))
}

/// A reason's number as a label.
fn reason_word(number: u8) -> &'static str {
    Reason::ALL.get(usize::from(number)).map_or(OTHER, |reason| reason.as_str())
}

/// An RCODE as a label, in the RFCs' words (RFC 6895 §2.3); the last slot is all others.
fn rcode_word(rcode: usize) -> String {
    /// The first.
    const WORDS: [&str; 12] =
        ["noerror", "formerr", "servfail", "nxdomain", "notimp", "refused", "yxdomain", "yxrrset", "nxrrset", "notauth", "notzone", "dsotypeni"];
    match rcode {
        16 => "badvers".into(),
        23 => "badcookie".into(),
        _ if rcode == RCODES - 1 => OTHER.into(),
        _ => WORDS.get(rcode).map_or_else(|| rcode.to_string(), |&word| word.into()),
    }
}

/// Health as a number.
fn health_value(status: &Status) -> f64 {
    match status.health {
        Health::Up => 1.0,
        Health::Degraded => 0.5,
        Health::Down => 0.0,
        Health::Unknown => -1.0,
    }
}

/// The sum of counts.
fn sum(counts: impl Iterator<Item = Count>) -> Count {
    counts.fold(Count::default(), |mut sum, count| {
        for (sum, replies) in sum.replies.iter_mut().zip(count.replies) {
            *sum += replies;
        }
        Count {
            replies: sum.replies,
            truncated: sum.truncated + count.truncated,
            silent: sum.silent + count.silent,
            panics: sum.panics + count.panics,
            unsent: sum.unsent + count.unsent,
            cut: sum.cut + count.cut,
            overflows: sum.overflows + count.overflows,
            restarts: sum.restarts + count.restarts,
            socket_errors: sum.socket_errors + count.socket_errors,
            accepted: sum.accepted + count.accepted,
            evicted: sum.evicted + count.evicted,
            handshakes_failed: sum.handshakes_failed + count.handshakes_failed,
            open: sum.open + count.open,
            rejected: sum.rejected + count.rejected,
            unbooked: sum.unbooked + count.unbooked,
            limited: sum.limited.plus(&count.limited),
        }
    })
}

/// Milliseconds as seconds.
#[expect(clippy::cast_precision_loss, reason = "a gauge is a float; exact up to 285,000 years")]
pub(super) fn seconds(millis: u64) -> f64 {
    millis as f64 / 1000.0
}

/// A number as a gauge takes it.
#[expect(clippy::cast_precision_loss, reason = "a gauge is a float; exact up to 2⁵³")]
fn float(number: u64) -> f64 {
    number as f64
}
