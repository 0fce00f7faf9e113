//! One running node: files, controller, probes, sockets and admin API, wired together. `aya serve` runs one, the demo and tests embed it.
//!
//! ```text
//! files ──► Loaded ──► controller ──► world ──► workers (server/)
//!   ▲ reload             ▲ observations            │ counts
//!   │                  probes ──────────────► telemetry ──► admin/
//! ```
//!
//! Invariants
//! - Sockets are bound before anything is served; whatever fails at start, nothing runs.
//! - A reload is all or nothing: on any error the old world stays, and the error is told and counted.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::sync::{broadcast, watch};

use super::load::{Content, LoadError, Loaded, age_lints, newly_undated};
use crate::admin::{self, Admin, Context, Listeners};
use crate::catalog::ProbeSpec;
use crate::clock::Clock;
use crate::control::Change;
use crate::geo::SourceInfo;
use crate::health::Observation;
use crate::limits;
use crate::probe::{Meter, Roots};
use crate::publish::{self, ControlHandle, NotTaken, Worlds};
use crate::server::tls::{self, CertificateError, CertificateFiles, Certificates};
use crate::server::{self, BoundDatagrams, BoundStreams, Edge, Engine, Policies, Server};
use crate::telemetry::{Reloaded, Telemetry};
use crate::units::Moment;

/// What a node is to be.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where zones and geography come from.
    pub content: Content,
    /// Addresses to answer on, over UDP and TCP.
    pub listen: Vec<SocketAddr>,
    /// The certificate of the encrypted transports.
    pub certificate: Option<CertificateFiles>,
    /// Addresses to answer on over TLS (RFC 7858); they need a certificate, as the next two do.
    pub listen_tls: Vec<SocketAddr>,
    /// Addresses to answer on over HTTPS (RFC 8484).
    pub listen_https: Vec<SocketAddr>,
    /// The path of queries over HTTPS, of the URI template `https://NAME/PATH{?dns}`.
    pub https_path: String,
    /// Addresses to answer on over QUIC (RFC 9250).
    pub listen_quic: Vec<SocketAddr>,
    /// Workers for each address; at least 1.
    pub workers: usize,
    /// What carries the queries.
    pub engine: Engine,
    /// The folder in which health outlives the process, if it is to.
    pub state: Option<PathBuf>,
    /// Where the admin API listens; loopback only.
    pub admin: Option<SocketAddr>,
    /// Where metrics are told beside the admin API.
    pub metrics: Option<SocketAddr>,
    /// Whether reloads may remove zones, more than a tenth of the services or endpoints, or more than half of the known addresses.
    pub allow_shrink: bool,
    /// The certificates that probes trust.
    pub roots: Roots,
}

impl Options {
    /// Serves this content on these addresses, with one worker and nothing else: for tests and the demo.
    #[must_use]
    pub fn new(content: Content, listen: Vec<SocketAddr>) -> Self {
        Self {
            content,
            listen,
            certificate: None,
            listen_tls: Vec::new(),
            listen_https: Vec::new(),
            https_path: server::doh::PATH.into(),
            listen_quic: Vec::new(),
            workers: 1,
            engine: Engine::Native,
            state: None,
            admin: None,
            metrics: None,
            allow_shrink: false,
            roots: Roots::of_system(),
        }
    }
}

/// Why a node does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Zones or geography are wrong.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// An address for queries cannot be had.
    #[error(transparent)]
    Bind(#[from] server::BindError),
    /// The certificate cannot be used.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// An encrypted transport is to be listened to without a certificate.
    #[error("listening on {0} over {1} needs a certificate: give --tls-cert and --tls-key")]
    NoCertificate(SocketAddr, &'static str),
    /// An address for the admin API or metrics cannot be had.
    #[error(transparent)]
    Admin(#[from] admin::BindError),
    /// The state folder cannot be made.
    #[error("cannot make the state folder {}", path.display())]
    State {
        /// The folder.
        path: PathBuf,
        /// The system's word.
        source: io::Error,
    },
    /// Threads or runtimes cannot be had.
    #[error("cannot start the node's threads")]
    System(#[source] io::Error),
}

/// Why a reload is not in force. The old world is.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// Zones or geography are wrong.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// They are right, and the controller refused them all the same.
    #[error(transparent)]
    NotTaken(#[from] NotTaken),
}

/// A running node.
#[derive(Debug)]
pub struct Node {
    /// The controller's end.
    control: ControlHandle,
    /// What was counted.
    telemetry: Arc<Telemetry>,
    /// Tells the time.
    clock: Clock,
    /// Where zones and geography come from.
    content: Content,
    /// Whether reloads may shrink the catalog.
    allow_shrink: bool,
    /// Held while a reload is under way.
    reloading: Mutex<()>,
    /// Where queries are answered.
    addresses: Vec<SocketAddr>,
    /// Where the admin API listens.
    admin_address: Option<SocketAddr>,
    /// Where metrics are told.
    metrics_address: Option<SocketAddr>,
    /// The certificate of the encrypted transports.
    certificates: Option<Arc<Certificates>>,
    /// Where queries are answered over TLS.
    tls_addresses: Vec<SocketAddr>,
    /// Where queries are answered over HTTPS.
    https_addresses: Vec<SocketAddr>,
    /// Where queries are answered over QUIC.
    quic_addresses: Vec<SocketAddr>,
    /// The workers.
    server: Server,
    /// The admin thread, if there is one.
    admin: Option<Admin>,
    /// Runs controller and probes. Last: it goes when all others have gone.
    runtime: Runtime,
}

impl Node {
    /// Loads, binds, and answers from the moment that this returns; [`Node::ready`] tells when the first round of probes is over.
    ///
    /// # Errors
    /// [`StartError`]; nothing is left running.
    pub fn start(options: Options) -> Result<Self, StartError> {
        server::descriptors::raise_limit();
        let loaded = options.content.load()?;
        let clock = Clock::system();
        log_lints(&loaded, &[], clock.now());
        let bound = server::bind(&options.listen, options.workers.max(1))?;
        let addresses = bound.iter().map(|bound| bound.address).collect();
        let certificates = load_certificate(&options)?;
        let encrypted = Encrypted::bind(&options)?;
        let [tls_addresses, https_addresses, quic_addresses] = encrypted.addresses();
        let listeners = Listeners::bind(options.admin, options.metrics)?;
        let (admin_address, metrics_address) = (listeners.admin_address(), listeners.metrics_address());
        let state = options.state.clone().map(make_state_folder).transpose()?;
        let telemetry = Arc::new(Telemetry::new(most_workers(&options), &loaded.catalog));

        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).thread_name("aya-control").enable_all().build().map_err(StartError::System)?;
        let control = {
            let _inside = runtime.enter();
            publish::spawn(publish::Start {
                catalog: loaded.catalog,
                geo: loaded.geo,
                clock: clock.clone(),
                state,
                roots: options.roots,
                seed: u64::from(std::process::id()),
                meter: Arc::new(ProbeMeter(Arc::clone(&telemetry))),
            })
        };
        runtime.spawn(log_changes(control.changes()));
        runtime.spawn(keep_up(Arc::downgrade(&telemetry)));
        let edge = Edge { worlds: control.worlds().clone(), policy: Policies::default(), clock: clock.clone() };
        let mut server = Server::start(bound, options.engine, &edge, &telemetry).map_err(StartError::System)?;
        if let Some(certificates) = &certificates {
            runtime.spawn(tls::watch(Arc::downgrade(certificates), Arc::downgrade(&telemetry), clock.clone()));
            encrypted.start(&mut server, &options.https_path, certificates, &edge, &telemetry).map_err(StartError::System)?;
        }
        let context = Context { worlds: edge.worlds, clock: clock.clone(), telemetry: Arc::clone(&telemetry), ready: control.ready() };
        let wanted = admin_address.is_some() || metrics_address.is_some();
        let admin = wanted.then(|| Admin::start(listeners, context)).transpose().map_err(StartError::System)?;
        Ok(Self {
            control,
            telemetry,
            clock,
            content: options.content,
            allow_shrink: options.allow_shrink,
            reloading: Mutex::default(),
            addresses,
            admin_address,
            metrics_address,
            certificates,
            tls_addresses,
            https_addresses,
            quic_addresses,
            server,
            admin,
            runtime,
        })
    }

    /// Loads again, and answers from what was loaded when this returns. The certificate's files are read, too; a mistake in them is logged and
    /// counted, and keeps nothing else from being reloaded.
    ///
    /// # Errors
    /// [`ReloadError`]: the old world is answered from, as before.
    pub fn reload(&self) -> Result<u64, ReloadError> {
        let _one_at_a_time = self.reloading.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(certificates) = &self.certificates {
            tls::renew(certificates, &self.telemetry, self.clock.now());
        }
        let reloaded = self.content.load().map_err(ReloadError::from).and_then(|loaded| self.apply(loaded));
        self.telemetry.count_reload(if reloaded.is_ok() { Reloaded::Applied } else { Reloaded::Refused });
        reloaded
    }

    /// Hands what was loaded to the controller.
    fn apply(&self, loaded: Loaded) -> Result<u64, ReloadError> {
        let published = self.worlds().load();
        log_lints(&loaded, published.geo.sources(), self.clock.now());
        // Before its world is published, so that every worker finds the ledger of the world that it answers from.
        self.telemetry.expect(&loaded.catalog, &published);
        drop(published);
        let catalog = Arc::clone(&loaded.catalog);
        let reloaded = self.runtime.block_on(self.control.reload(loaded.catalog, loaded.geo, self.allow_shrink));
        match &reloaded {
            Ok(_) => self.telemetry.adopt(&catalog),
            Err(_) => self.telemetry.dismiss(&self.worlds().load()),
        }
        Ok(reloaded?)
    }

    /// Where queries are answered; with the ports that were given where 0 was asked for.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Where queries are answered over TLS; with the ports that were given where 0 was asked for.
    #[must_use]
    pub fn tls_addresses(&self) -> &[SocketAddr] {
        &self.tls_addresses
    }

    /// Where queries are answered over HTTPS; with the ports that were given where 0 was asked for.
    #[must_use]
    pub fn https_addresses(&self) -> &[SocketAddr] {
        &self.https_addresses
    }

    /// Where queries are answered over QUIC; with the ports that were given where 0 was asked for.
    #[must_use]
    pub fn quic_addresses(&self) -> &[SocketAddr] {
        &self.quic_addresses
    }

    /// Where the admin API listens.
    #[must_use]
    pub const fn admin_address(&self) -> Option<SocketAddr> {
        self.admin_address
    }

    /// Where metrics are told.
    #[must_use]
    pub const fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics_address
    }

    /// Hands out the world.
    #[must_use]
    pub const fn worlds(&self) -> &Worlds {
        self.control.worlds()
    }

    /// The controller's end.
    #[must_use]
    pub const fn control(&self) -> &ControlHandle {
        &self.control
    }

    /// Changes of health from now on.
    #[must_use]
    pub fn changes(&self) -> broadcast::Receiver<Change> {
        self.control.changes()
    }

    /// Whether the first round of probes is over, and news of it.
    #[must_use]
    pub fn ready(&self) -> watch::Receiver<bool> {
        self.control.ready()
    }

    /// Waits until the first round of probes is over. To be called from outside of a runtime.
    pub fn wait_until_ready(&self) {
        let mut ready = self.ready();
        // An error means that the controller ended; then there is nothing to wait for.
        let _ = self.runtime.block_on(async move { ready.wait_for(|ready| *ready).await.map(|_| ()) });
    }

    /// Drains and ends: queries received are answered, TCP connections get [`limits::DRAIN_MS`], health is written to its file.
    pub fn stop(self) {
        self.server.drain();
        if let Some(admin) = self.admin {
            admin.stop();
        }
        self.runtime.block_on(self.control.stop());
        self.runtime.shutdown_timeout(Duration::from_millis(limits::DRAIN_MS));
    }
}

/// How many workers there are at most: a thread for each core, and of UDP for each address, too; over QUIC one for each address.
fn most_workers(options: &Options) -> usize {
    let streams = [&options.listen, &options.listen_tls, &options.listen_https].iter().filter(|listen| !listen.is_empty()).count();
    // The portable engine has a tally for UDP and one for TCP.
    options.workers.max(1) * (options.listen.len() + streams) + options.listen_quic.len() + 1
}

/// The sockets of the encrypted transports, bound.
struct Encrypted {
    /// Of TLS.
    tls: Vec<BoundStreams>,
    /// Of HTTPS.
    https: Vec<BoundStreams>,
    /// Of QUIC.
    quic: Vec<BoundDatagrams>,
}

impl Encrypted {
    /// Binds what is wanted.
    fn bind(options: &Options) -> Result<Self, StartError> {
        let workers = options.workers.max(1);
        Ok(Self {
            tls: server::bind_streams(&options.listen_tls, workers, "TLS")?,
            https: server::bind_streams(&options.listen_https, workers, "HTTPS")?,
            quic: server::bind_datagrams(&options.listen_quic, "QUIC")?,
        })
    }

    /// The addresses of TLS, HTTPS and QUIC.
    fn addresses(&self) -> [Vec<SocketAddr>; 3] {
        let streams = |bound: &[BoundStreams]| bound.iter().map(|bound| bound.address).collect();
        [streams(&self.tls), streams(&self.https), self.quic.iter().map(|bound| bound.address).collect()]
    }

    /// Starts the workers of all that was bound.
    fn start(self, server: &mut Server, path: &str, certificates: &Certificates, edge: &Edge, telemetry: &Telemetry) -> io::Result<()> {
        server.start_tls(self.tls, certificates, edge, telemetry)?;
        server.start_https(self.https, path, certificates, edge, telemetry)?;
        server.start_quic(self.quic, certificates, edge, telemetry)
    }
}

/// Loads the certificate, if there is to be one.
fn load_certificate(options: &Options) -> Result<Option<Arc<Certificates>>, StartError> {
    let Some(files) = &options.certificate else {
        let wanted = [(&options.listen_tls, "TLS"), (&options.listen_https, "HTTPS"), (&options.listen_quic, "QUIC")];
        let first = wanted.iter().find_map(|(listen, transport)| listen.first().map(|&address| (address, *transport)));
        return first.map_or(Ok(None), |(address, transport)| Err(StartError::NoCertificate(address, transport)));
    };
    Ok(Some(Certificates::load(files.clone())?))
}

/// Logs what is questionable in the files. `before` are the databases in use so far.
fn log_lints(loaded: &Loaded, before: &[SourceInfo], now: Moment) {
    let sources = loaded.geo.sources();
    for lint in loaded.lints.iter().chain(&age_lints(sources, now)) {
        tracing::warn!("{lint}");
    }
    for database in newly_undated(sources, before) {
        tracing::info!(database, "this geography file has no build date: nobody can tell its age");
    }
}

/// Counts what probes do.
struct ProbeMeter(Arc<Telemetry>);

impl Meter for ProbeMeter {
    fn probed(&self, spec: &ProbeSpec, observation: &Observation) {
        self.0.count_probe(spec, observation);
    }

    fn dropped(&self) {
        self.0.count_dropped(1);
    }
}

/// The state file in a folder that exists.
fn make_state_folder(folder: PathBuf) -> Result<PathBuf, StartError> {
    match std::fs::create_dir_all(&folder) {
        Ok(()) => Ok(folder.join(STATE_FILE)),
        Err(source) => Err(StartError::State { path: folder, source }),
    }
}

/// The file in the state folder.
const STATE_FILE: &str = "health.state";

/// Logs every change of health.
async fn log_changes(mut changes: broadcast::Receiver<Change>) {
    loop {
        match changes.recv().await {
            Ok(change) => {
                tracing::info!(endpoint = %change.endpoint, from = %change.from, to = %change.to, why = %change.why, "health changed");
            }
            Err(broadcast::error::RecvError::Lagged(missed)) => tracing::warn!(missed, "more changes of health than could be logged"),
            Err(broadcast::error::RecvError::Closed) => return,
        }
    }
}

/// Folds histogram samples now and then, so that they do not pile up where nobody scrapes.
async fn keep_up(telemetry: std::sync::Weak<Telemetry>) {
    while let Some(telemetry) = telemetry.upgrade() {
        telemetry.upkeep();
        drop(telemetry);
        tokio::time::sleep(Duration::from_millis(limits::TELEMETRY_UPKEEP_MS)).await;
    }
}
