//! Every metric name, once; and the one place that sums what was counted.
//!
//! Workers count into plain slots of their own ([`tally`]); probes, reloads and the publisher tell this room. It is summed
//! and rendered when somebody scrapes: the Prometheus text is made by metrics-exporter-prometheus. Series that come and go with the catalog
//! are registered anew for each scrape, so that an endpoint that was removed leaves no series behind; at most
//! [`limits::METRIC_SERIES_MAX`] of one name are told, the rest is summed under `other`.

mod drill;
mod process;
mod scrape;
pub mod tally;

pub use process::descriptor_limit;

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use metrics::{Counter, Gauge, Histogram, Key, Label, Metadata, Recorder, Unit};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusRecorder};

use self::tally::{Counters, Ledger, Ledgers, Tally};
use crate::answer::Transport;
use crate::catalog::{Catalog, EndpointId, ProbeSpec};
use crate::control::Lookup;
use crate::health::{Observation, ProbeOutcome};
use crate::limits;
use crate::units::Moment;
use crate::world::{LookupFailure, World};

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only ever grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts by bucket.
    Histogram,
}

/// One metric.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// Its name; the unit is last.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// Its unit.
    pub unit: Unit,
    /// Its labels.
    pub labels: &'static [&'static str],
    /// What it says, for people.
    pub help: &'static str,
}

/// Declares the metrics and the list of all.
macro_rules! metrics {
    ($($(#[$doc:meta])* $constant:ident = $name:literal, $kind:ident, $unit:ident, [$($label:literal),*], $help:literal;)*) => {
        $($(#[$doc])* const $constant: Metric = Metric { name: $name, kind: Kind::$kind, unit: Unit::$unit, labels: &[$($label),*], help: $help };)*
        /// All of them.
        pub const METRICS: &[Metric] = &[$($constant),*];
    };
}

metrics! {
    /// Queries by what they asked.
    QUERIES = "aya_queries_total", Counter, Count, ["zone", "service", "region", "reason"],
        "Queries answered, by zone, service, region of the first endpoint answered, and reason";
    /// Replies by RCODE.
    RESPONSES = "aya_responses_total", Counter, Count, ["rcode", "transport"], "Replies sent, by RCODE and transport";
    /// Truncated replies.
    TRUNCATED = "aya_responses_truncated_total", Counter, Count, ["transport"], "Replies sent with TC";
    /// Silence.
    SILENT = "aya_queries_dropped_total", Counter, Count, ["transport"], "Messages that deserve no reply: shorter than a header, or no queries";
    /// Limited replies not sent.
    RRL_DROPPED = "aya_rrl_dropped_total", Counter, Count, ["class"], "Replies that were not sent, since their source was over its limit, by class";
    /// Limited replies sent shorter.
    RRL_SLIPPED = "aya_rrl_slipped_total", Counter, Count, ["class"], "Replies sent truncated, or as BADCOOKIE, since their source was over its limit";
    /// Replies over a limit that only counts.
    RRL_WOULD_DROP = "aya_rrl_would_drop_total", Counter, Count, ["class"], "Replies sent although their source was over a limit that only counts";
    /// Panics.
    PANICS = "aya_answer_panics_total", Counter, Count, ["transport"], "Panics of answering: each is a defect; the query got no reply";
    /// Replies not sent.
    UNSENT = "aya_responses_unsent_total", Counter, Count, ["transport"], "Replies that the system did not take";
    /// Queries cut.
    CUT = "aya_queries_cut_total", Counter, Count, ["transport"], "Queries longer than any sensible one, of which the first 4096 octets were read";
    /// Queries lost before they were read.
    OVERFLOWS = "aya_udp_overflows_total", Counter, Count, [], "Datagrams that the system dropped because a socket's buffer was full (Linux)";
    /// Restarts of workers.
    RESTARTS = "aya_worker_restarts_total", Counter, Count, ["transport"], "Workers that died and were started again: each is a defect";
    /// Socket errors.
    SOCKET_ERRORS = "aya_socket_errors_total", Counter, Count, ["transport"], "Errors of receiving or accepting";
    /// Open connections.
    OPEN = "aya_connections", Gauge, Count, ["transport"], "Connections open now";
    /// Accepted connections.
    ACCEPTED = "aya_connections_accepted_total", Counter, Count, ["transport"], "Connections accepted";
    /// Evicted connections.
    EVICTED = "aya_connections_evicted_total", Counter, Count, ["transport"], "Connections that had to go for a newcomer at a cap";
    /// Failed handshakes.
    HANDSHAKES_FAILED = "aya_tls_handshakes_failed_total", Counter, Count, ["transport"],
        "TLS handshakes that came to nothing: no common ground, broken off, too slow, or evicted";
    /// Rejected requests.
    REJECTED = "aya_requests_rejected_total", Counter, Count, ["transport"], "HTTP requests and QUIC streams that carried no query";
    /// Probe results.
    PROBES = "aya_probe_results_total", Counter, Count, ["service", "endpoint", "outcome"], "Results of probes";
    /// Probe times.
    PROBE_RTT = "aya_probe_rtt_seconds", Histogram, Seconds, ["region"], "Time that probes which passed took, by the endpoint's region";
    /// Health.
    HEALTH = "aya_endpoint_health", Gauge, Count, ["service", "endpoint"], "Health as measured: 1 up, 0.5 degraded, 0 down, -1 unknown";
    /// Age of the evidence.
    EVIDENCE = "aya_endpoint_evidence_age_seconds", Gauge, Seconds, ["service", "endpoint"],
        "Age of the oldest evidence among the endpoint's probes; -1 while any of them has none";
    /// End of certificates.
    EXPIRES = "aya_certificate_expires_seconds", Gauge, Seconds, ["service", "endpoint"],
        "Time until the first end of a certificate that the endpoint's probes were shown; negative when that is over";
    /// Held endpoints.
    DAMPED = "aya_endpoints_damped", Gauge, Count, [], "Endpoints held out of service, since they came and went too often";
    /// Ramping endpoints.
    RAMPING = "aya_endpoints_ramping", Gauge, Count, [], "Endpoints that were down and take their clients back step by step";
    /// Blocked endpoints.
    BLOCKED = "aya_endpoints_blocked", Gauge, Count, [], "Endpoints taken as down, since something that they depend on is";
    /// Look-ups.
    LOOKUPS = "aya_alias_lookups_total", Counter, Count, ["outcome"], "Look-ups of aliases, by outcome";
    /// Addresses left out.
    UNUSABLE = "aya_alias_addresses_unusable_total", Counter, Count, [], "Addresses that look-ups of aliases brought and no client can use";
    /// Aliases without addresses.
    UNRESOLVED = "aya_aliases_unresolved", Gauge, Count, ["type"], "Aliases without an address of a type that endpoints want";
    /// Age of held addresses.
    HELD = "aya_alias_held_seconds", Gauge, Seconds, [], "Age of the oldest addresses of an alias that are held while look-ups fail; 0 when none are";
    /// Generation.
    GENERATION = "aya_world_generation", Gauge, Count, [], "Generation of the world that queries are answered from";
    /// Age of the statuses.
    AGE = "aya_world_age_seconds", Gauge, Seconds, [], "Age of the newest observation in the world; -1 before the first";
    /// Staleness.
    STALE = "aya_world_stale", Gauge, Count, [], "1 while statuses are held without fresh observations";
    /// What a lost region would leave.
    HEADROOM = "aya_headroom_if_lost", Gauge, Count, ["region"], "What the fullest endpoint would have left of its capacity if the region were lost, as a share; below 0 when there is not room for all";
    /// Services without room.
    OVERLOADED = "aya_overloaded_services", Gauge, Count, [], "Services whose load does not fit the endpoints that their clients may be given";
    /// Self-doubt.
    DOUBT = "aya_vantage_doubt", Gauge, Count, [], "1 while statuses are held, since this node doubts its own network";
    /// Readiness.
    READY = "aya_ready", Gauge, Count, [], "1 once the first round of probes is over";
    /// Reloads.
    RELOADS = "aya_reloads_total", Counter, Count, ["outcome"], "Reloads of zones and geography, by outcome";
    /// Age of the geography.
    GEOIP_AGE = "aya_geoip_age_seconds", Gauge, Seconds, ["source"], "Age of each geography file, from its build date; -1 when it has none";
    /// Networks of the geography.
    GEOIP_NETWORKS = "aya_geoip_networks", Gauge, Count, ["source", "continent"], "Networks of each geography file, by continent";
    /// End of the certificate.
    CERTIFICATE_END = "aya_tls_certificate_expiry_timestamp_seconds", Gauge, Seconds, [],
        "When the certificate in use ends, as seconds since the Unix epoch; absent without one";
    /// Renewals of the certificate.
    CERTIFICATES = "aya_tls_certificate_renewals_total", Counter, Count, ["outcome"], "Changes of the certificate's files, by outcome; absent without one";
    /// Overrides.
    OVERRIDES = "aya_overrides", Gauge, Count, ["action"], "Overrides in force, by what they do";
    /// Overridden endpoints.
    OVERRIDDEN = "aya_overridden_endpoints", Gauge, Count, [], "Endpoints that an override has the say over";
    /// Services that wait for an operator.
    FAILBACK = "aya_failback_waiting", Gauge, Count, [], "Services whose clients could return to a better tier, and wait for an operator to release it (`aya failback`)";
    /// Lost overrides.
    OVERRIDES_LOST = "aya_overrides_lost", Gauge, Count, [], "1 if the file of overrides was not whole at the start, and was set aside";
    /// Wishes.
    WISHES = "aya_override_requests_total", Counter, Count, ["outcome"], "Requests to set or clear overrides, or to release tiers, by outcome; dry runs are left out";
    /// Requests that were not let in.
    NOT_LET_IN = "aya_api_refused_total", Counter, Count, ["why"], "Requests that the admin API did not let in: no token that it knows, a role that may not, too often, a host that is not ours";
    /// The drill.
    DRILL = "aya_drill", Gauge, Count, ["phase"], "1 while a drill is announced, and again while one is running";
    /// Drilled endpoints.
    DRILLED = "aya_drilled_endpoints", Gauge, Count, [], "Endpoints that the drill which is announced or running is about";
    /// Drills.
    DRILLS = "aya_drills_total", Counter, Count, ["outcome"], "Drills that are over, by outcome: ended by themselves, or aborted";
    /// Wishes for drills.
    DRILL_WISHES = "aya_drill_requests_total", Counter, Count, ["outcome"], "Requests to run or abort drills, by outcome; dry runs are left out";
    /// Dropped events.
    DROPPED = "aya_events_dropped_total", Counter, Count, [], "Events for the controller that found its queue full";
    /// Open descriptors.
    OPEN_FDS = "process_open_fds", Gauge, Count, [], "Descriptors that the process has open: sockets and files (Linux)";
    /// Limit of descriptors.
    MAX_FDS = "process_max_fds", Gauge, Count, [], "Descriptors that it may have open";
    /// Memory.
    RESIDENT = "process_resident_memory_bytes", Gauge, Bytes, [], "Memory that is its own";
    /// Version.
    BUILD = "aya_build_info", Gauge, Count, ["version"], "1, with the version of the program";
}

/// Upper bounds of the buckets of probe times, in seconds.
const RTT_BUCKETS: [f64; 12] = [0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];
/// What a look-up that brought addresses is counted as.
const FOUND: &str = "found";
/// Outcomes of reloads.
const RELOAD_OUTCOMES: [&str; 2] = ["applied", "refused"];
/// The values of a metric without labels.
const NONE: &[&str] = &[];
/// What stands for a series that is not told by itself.
const OTHER: &str = "other";

/// What a reload came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reloaded {
    /// The new files are in use.
    Applied,
    /// The old ones still are.
    Refused,
}

/// Why requests are not let in, in the order of [`NotLetIn`].
const NOT_LET_IN_WHYS: [&str; 4] = ["token", "role", "rate", "host"];

/// Why a request to the admin API is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotLetIn {
    /// It has no token, or one that nobody knows.
    Unknown,
    /// Its token's role may not do that.
    Role,
    /// It is one too many.
    TooOften,
    /// It is meant for a host that this is not.
    Host,
}

/// Outcomes of requests for overrides, in the order of [`Wished`].
const WISH_OUTCOMES: [&str; 3] = ["granted", "refused", "failed"];

/// What a request for overrides came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wished {
    /// It is in force.
    Granted,
    /// It may not be.
    Refused,
    /// It could not be written.
    Failed,
}

/// Everything that is counted in one node.
#[derive(Debug)]
pub struct Telemetry {
    /// Metrics that last as long as the node.
    lasting: PrometheusRecorder,
    /// The workers' tallies, in the order of their sheets.
    tallies: Mutex<Vec<Arc<Tally>>>,
    /// The open ledgers.
    ledgers: Arc<ArcSwap<Ledgers>>,
    /// Sums that no worker writes.
    folded: Mutex<Folded>,
    /// Most workers that there will be.
    workers: usize,
    /// Reloads by outcome, in the order of [`RELOAD_OUTCOMES`].
    reloads: [Counter; 2],
    /// Events that found the controller's queue full.
    dropped: Counter,
    /// Look-ups by outcome: found, then the kinds of failure.
    lookups: [Counter; 1 + LookupFailure::KINDS.len()],
    /// Addresses left out.
    unusable: Counter,
    /// What each probe judges.
    probed: Mutex<Probed>,
    /// Histograms of probe times by region.
    probe_rtt: Mutex<HashMap<Box<str>, Histogram>>,
}

/// Sums that no worker writes.
#[derive(Debug, Default)]
struct Folded {
    /// Queries of closed ledgers, by the labels of [`QUERIES`].
    queries: HashMap<[Box<str>; 4], u64>,
    /// Probe results, by the labels of [`PROBES`].
    probes: HashMap<[Box<str>; 3], u64>,
}

/// For each probe the endpoints that it judges.
#[derive(Debug)]
struct Probed {
    /// The catalog that the endpoints are of.
    catalog: Arc<Catalog>,
    /// By [`digest`] of the probe: two that collide would be counted as one, no more.
    endpoints: HashMap<u64, Vec<EndpointId>>,
    /// What was counted of each endpoint, by outcome, and is not among [`Folded::probes`] yet: that has names, which would be made anew for each probe.
    results: HashMap<(EndpointId, &'static str), u64>,
}

impl Probed {
    /// Of a catalog.
    fn of(catalog: &Arc<Catalog>) -> Self {
        let mut endpoints: HashMap<u64, Vec<EndpointId>> = HashMap::new();
        let digests: Vec<u64> = catalog.probes.iter().map(digest).collect();
        for (id, endpoint) in (0..).map(EndpointId).zip(&catalog.endpoints) {
            for probe in endpoint.all_probes() {
                endpoints.entry(digests[probe.index()]).or_default().push(id);
            }
        }
        Self { catalog: Arc::clone(catalog), endpoints, results: HashMap::new() }
    }

    /// Counts a result for every endpoint that the probe judges. Says which.
    fn count(&mut self, spec: &ProbeSpec, outcome: &ProbeOutcome) -> &[EndpointId] {
        let ids: &[EndpointId] = self.endpoints.get(&digest(spec)).map_or(&[], Vec::as_slice);
        for id in ids {
            *self.results.entry((*id, outcome.kind())).or_default() += 1;
        }
        ids
    }
}

/// Tells probes apart.
fn digest(spec: &ProbeSpec) -> u64 {
    let mut hasher = DefaultHasher::new();
    spec.hash(&mut hasher);
    hasher.finish()
}

impl Telemetry {
    /// For a node with at most `workers` workers, that begins with this catalog.
    #[must_use]
    pub fn new(workers: usize, catalog: &Arc<Catalog>) -> Self {
        let lasting = rtt_builder().build_recorder();
        describe(&lasting, true);
        let reloads = RELOAD_OUTCOMES.map(|outcome| counter(&lasting, &RELOADS, &[outcome]));
        for reloads in &reloads {
            reloads.absolute(0);
        }
        let dropped = counter(&lasting, &DROPPED, NONE);
        dropped.absolute(0);
        let kind = |place: usize| place.checked_sub(1).map_or(FOUND, |place| LookupFailure::KINDS[place]);
        let lookups = std::array::from_fn(|place| counter(&lasting, &LOOKUPS, &[kind(place)]));
        let unusable = counter(&lasting, &UNUSABLE, NONE);
        for counter in lookups.iter().chain([&unusable]) {
            counter.absolute(0);
        }
        gauge(&lasting, &BUILD, &[env!("CARGO_PKG_VERSION")]).set(1.0);
        let ledgers = Ledgers { current: Ledger::new(Arc::clone(catalog), workers), previous: None };
        Self {
            lasting,
            tallies: Mutex::default(),
            ledgers: Arc::new(ArcSwap::from_pointee(ledgers)),
            folded: Mutex::default(),
            workers,
            reloads,
            dropped,
            lookups,
            unusable,
            probed: Mutex::new(Probed::of(catalog)),
            probe_rtt: Mutex::default(),
        }
    }

    /// What a new worker counts into.
    #[must_use]
    pub fn counters(&self, transport: Transport) -> Counters {
        let mut tallies = lock(&self.tallies);
        let tally = Arc::new(Tally::new(transport));
        tallies.push(Arc::clone(&tally));
        Counters { tally, sheet: tallies.len() - 1, ledgers: Arc::clone(&self.ledgers) }
    }

    /// How long the worker that has moved least lately has not, in milliseconds.
    #[must_use]
    pub fn longest_still(&self, now: Moment) -> u64 {
        lock(&self.tallies).iter().filter_map(|tally| tally.moved()).map(|moved| now.millis_since(moved)).max().unwrap_or(0)
    }

    /// Opens a ledger for a catalog that is about to be published; `published` is the world that is answered from until then. To be called
    /// before the controller hears of the new catalog.
    pub fn expect(&self, catalog: &Arc<Catalog>, published: &World) {
        let mut folded = lock(&self.folded);
        let open = self.ledgers.load();
        // A catalog that was expected and then refused has a ledger that nobody wrote to; the one of the published world is kept.
        let kept = open.iter().find(|ledger| ledger.is_of(&published.catalog)).unwrap_or(&open.current);
        for closed in open.iter().filter(|ledger| !Arc::ptr_eq(ledger, kept)) {
            scrape::add_ledger(&mut folded.queries, closed);
        }
        let next = Ledgers { current: Ledger::new(Arc::clone(catalog), self.workers), previous: Some(Arc::clone(kept)) };
        self.ledgers.store(Arc::new(next));
        drop(folded);
        self.fold_probes();
        *lock(&self.probed) = Probed::of(catalog);
    }

    /// The expected catalog is in force: what was counted of services that it does not have is let go.
    pub fn adopt(&self, catalog: &Catalog) {
        self.fold_probes();
        let services: HashSet<String> = catalog.services.iter().map(|service| service.name.to_string()).collect();
        lock(&self.folded).probes.retain(|[service, ..], _| services.contains(service.as_ref()) || service.as_ref() == OTHER);
    }

    /// The expected catalog was refused: probes are those of the published world, as before.
    pub fn dismiss(&self, published: &World) {
        self.fold_probes();
        *lock(&self.probed) = Probed::of(&published.catalog);
    }

    /// Counts a reload.
    pub fn count_reload(&self, outcome: Reloaded) {
        self.reloads[usize::from(outcome == Reloaded::Refused)].increment(1);
    }

    /// Counts events that found the controller's queue full.
    pub fn count_dropped(&self, events: u64) {
        self.dropped.increment(events);
    }

    /// Says whether overrides were lost at the start, since their file was not whole.
    pub fn set_overrides_lost(&self, lost: bool) {
        gauge(&self.lasting, &OVERRIDES_LOST, NONE).set(f64::from(u8::from(lost)));
        for why in NOT_LET_IN_WHYS {
            counter(&self.lasting, &NOT_LET_IN, &[why]).increment(0);
        }
        for outcome in WISH_OUTCOMES {
            counter(&self.lasting, &WISHES, &[outcome]).increment(0);
        }
        self.register_drills();
    }

    /// Counts a request to set or clear overrides.
    pub fn count_wish(&self, outcome: Wished) {
        counter(&self.lasting, &WISHES, &[WISH_OUTCOMES[outcome as usize]]).increment(1);
    }

    /// Counts a request that the admin API did not let in.
    pub fn count_not_let_in(&self, why: NotLetIn) {
        counter(&self.lasting, &NOT_LET_IN, &[NOT_LET_IN_WHYS[why as usize]]).increment(1);
    }

    /// Counts a look-up of an alias.
    pub fn count_lookup(&self, lookup: &Lookup) {
        let place = match &lookup.outcome {
            Ok(_) => 0,
            Err(failure) => LookupFailure::KINDS.iter().position(|kind| *kind == failure.kind()).map_or(0, |place| place + 1),
        };
        self.lookups[place].increment(1);
    }

    /// Counts addresses of aliases that no client can use.
    pub fn count_unusable(&self, addresses: u32) {
        self.unusable.increment(u64::from(addresses));
    }

    /// Says when the certificate in use ends.
    pub fn set_certificate_end(&self, end: Moment) {
        gauge(&self.lasting, &CERTIFICATE_END, NONE).set(scrape::seconds(end.0));
        for outcome in RELOAD_OUTCOMES {
            // Both are told from the start, so that a rate can be taken of the first.
            counter(&self.lasting, &CERTIFICATES, &[outcome]).increment(0);
        }
    }

    /// Counts a change of the certificate's files.
    pub fn count_certificate(&self, outcome: Reloaded) {
        counter(&self.lasting, &CERTIFICATES, &[RELOAD_OUTCOMES[usize::from(outcome == Reloaded::Refused)]]).increment(1);
    }

    /// Counts the result of a probe, for every endpoint that it judges.
    pub fn count_probe(&self, spec: &ProbeSpec, observation: &Observation) {
        let mut probed = lock(&self.probed);
        let catalog = Arc::clone(&probed.catalog);
        for id in probed.count(spec, &observation.outcome) {
            if !matches!(observation.outcome, ProbeOutcome::Failed(_)) {
                self.record_rtt(&catalog.region(catalog.endpoint(*id).region).name, observation);
            }
        }
    }

    /// Counts a heartbeat, as the result of a probe.
    pub fn count_pushed(&self, spec: &ProbeSpec, observation: &Observation) {
        lock(&self.probed).count(spec, &observation.outcome);
    }

    /// Adds what was counted of endpoints to what is told by their names, under `other` when there are too many series.
    fn fold_probes(&self) {
        let mut probed = lock(&self.probed);
        let results = std::mem::take(&mut probed.results);
        let catalog = Arc::clone(&probed.catalog);
        drop(probed);
        let mut folded = lock(&self.folded);
        for ((id, outcome), count) in results {
            let endpoint = catalog.endpoint(id);
            let series = [catalog.service(endpoint.service).name.to_string().into(), endpoint.name.clone(), outcome.into()];
            let full = folded.probes.len() >= limits::METRIC_SERIES_MAX && !folded.probes.contains_key(&series);
            *folded.probes.entry(if full { [OTHER, OTHER, OTHER].map(Into::into) } else { series }).or_default() += count;
        }
    }

    /// Records how long a probe took that passed.
    fn record_rtt(&self, region: &str, observation: &Observation) {
        let mut histograms = lock(&self.probe_rtt);
        if !histograms.contains_key(region) {
            histograms.insert(region.into(), histogram(&self.lasting, &PROBE_RTT, &[region]));
        }
        if let (Some(histogram), Ok(micros)) = (histograms.get(region), u64::try_from(observation.rtt.0)) {
            histogram.record(Duration::from_micros(micros));
        }
    }

    /// Writes what is not summed on demand to where it is kept; to be called now and then, so that samples do not pile up between scrapes.
    pub fn upkeep(&self) {
        self.lasting.handle().run_upkeep();
    }
}

/// A recorder's builder with the buckets of probe times.
fn rtt_builder() -> PrometheusBuilder {
    PrometheusBuilder::new().set_buckets(&RTT_BUCKETS).expect("there are buckets")
}

/// The lock, whoever panicked while holding it: sums are sums.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether a metric lasts as long as the node, rather than being summed for each scrape.
fn is_lasting(metric: &Metric) -> bool {
    metric.kind == Kind::Histogram
        || [
            RELOADS.name,
            DROPPED.name,
            LOOKUPS.name,
            UNUSABLE.name,
            BUILD.name,
            CERTIFICATE_END.name,
            CERTIFICATES.name,
            OVERRIDES_LOST.name,
            WISHES.name,
            NOT_LET_IN.name,
            DRILLS.name,
            DRILL_WISHES.name,
        ]
        .contains(&metric.name)
}

/// Describes the metrics of one recorder.
fn describe(recorder: &PrometheusRecorder, lasting: bool) {
    for metric in METRICS.iter().filter(|metric| is_lasting(metric) == lasting) {
        let (name, unit, help) = (metric.name.into(), Some(metric.unit), metric.help.into());
        match metric.kind {
            Kind::Counter => recorder.describe_counter(name, unit, help),
            Kind::Gauge => recorder.describe_gauge(name, unit, help),
            Kind::Histogram => recorder.describe_histogram(name, unit, help),
        }
    }
}

/// The key of a series.
fn key(metric: &Metric, values: &[impl AsRef<str>]) -> Key {
    let labels: Vec<Label> = metric.labels.iter().zip(values).map(|(label, value)| Label::new(*label, value.as_ref().to_owned())).collect();
    Key::from_parts(metric.name, labels)
}

/// Where metrics are registered from.
const METADATA: Metadata<'static> = Metadata::new(module_path!(), metrics::Level::INFO, None);

/// A counter of this recorder.
fn counter(recorder: &PrometheusRecorder, metric: &Metric, values: &[impl AsRef<str>]) -> Counter {
    recorder.register_counter(&key(metric, values), &METADATA)
}

/// A gauge of this recorder.
fn gauge(recorder: &PrometheusRecorder, metric: &Metric, values: &[impl AsRef<str>]) -> Gauge {
    recorder.register_gauge(&key(metric, values), &METADATA)
}

/// A histogram of this recorder.
fn histogram(recorder: &PrometheusRecorder, metric: &Metric, values: &[impl AsRef<str>]) -> Histogram {
    recorder.register_histogram(&key(metric, values), &METADATA)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_distinct_and_end_as_their_kind_and_unit_say() {
        let mut names: Vec<_> = METRICS.iter().map(|metric| metric.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), METRICS.len());
        for metric in METRICS {
            // What every process tells has the name that it has everywhere.
            assert!(metric.name.starts_with("aya_") || metric.name.starts_with("process_"), "{}", metric.name);
            assert_eq!(metric.name.ends_with("_bytes"), metric.unit == Unit::Bytes, "{}", metric.name);
            assert_eq!(metric.name.ends_with("_total"), metric.kind == Kind::Counter, "{}", metric.name);
            assert_eq!(metric.name.ends_with("_seconds"), metric.unit == Unit::Seconds, "{}", metric.name);
        }
    }
}
