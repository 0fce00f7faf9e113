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

mod encrypted;
mod logs;
mod meter;

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::sync::{broadcast, watch};
use tokio::task::JoinHandle;

use self::encrypted::{Encrypted, load_certificate};
use self::logs::{log_changes, log_intents, log_lints};
use self::meter::{ProbeMeter, keep_up};
use super::chain;
use super::load::{Content, LoadError, Loaded};
use super::policy::{SecretError, Wishes};
use crate::admin::access::{Access, AccessError, AccessFiles};
use crate::admin::{self, Admin, Context, Listeners};
use crate::clock::Clock;
use crate::config::MayRun;
use crate::control::Change;
use crate::limits;
use crate::probe::{Commands, Roots};
use crate::publish::{self, ControlHandle, NotTaken, Worlds};
use crate::resolve::NameServers;
use crate::server::doq::Lineage;
use crate::server::handover::{self, HandoverError, Offer, Predecessor, Successor};
use crate::server::tls::{self, CertificateError, CertificateFiles, Certificates};
use crate::server::{self, Bound, Edge, Engine, Given, Policies, RateLimits, Server};
use crate::telemetry::{Reloaded, Telemetry};

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
    /// Where sockets are taken over from the process before this one, and offered to the next.
    pub handover: Option<PathBuf>,
    /// Whether datagram workers are kept on a CPU each, where there is one for each CPU.
    pub pin: bool,
    /// What carries the queries.
    pub engine: Engine,
    /// The folder in which health and overrides outlive the process, if they are to.
    pub state: Option<PathBuf>,
    /// Where the admin API listens; elsewhere than on loopback it needs tokens and a certificate.
    pub admin: Option<SocketAddr>,
    /// What keeps others out of it.
    pub access: AccessFiles,
    /// Where metrics are told beside the admin API.
    pub metrics: Option<SocketAddr>,
    /// Whether reloads may remove zones, more than a tenth of the services or endpoints, or more than half of the known addresses.
    pub allow_shrink: bool,
    /// The certificates that probes trust.
    pub roots: Roots,
    /// The folder of commands that probes may run.
    pub commands: Option<PathBuf>,
    /// Whom aliases are asked of.
    pub name_servers: NameServers,
    /// What is wanted of every reply.
    pub wishes: Wishes,
    /// How much is replied to one prefix over UDP.
    pub rates: RateLimits,
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
            handover: None,
            pin: false,
            engine: Engine::Native,
            state: None,
            admin: None,
            access: AccessFiles::default(),
            metrics: None,
            allow_shrink: false,
            roots: Roots::of_system(),
            commands: None,
            name_servers: NameServers::System,
            wishes: Wishes::default(),
            rates: RateLimits::default(),
        }
    }

    /// What its files may have run.
    fn may_run(&self) -> MayRun {
        self.commands.clone().map_or(MayRun::Nothing, MayRun::Folder)
    }
}

/// Why a node does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Zones or geography are wrong.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The secret of cookies cannot be had.
    #[error(transparent)]
    Secret(#[from] SecretError),
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
    /// What keeps others out of the admin API cannot be used.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// The state folder cannot be made.
    #[error("cannot make the state folder {}", path.display())]
    State {
        /// The folder.
        path: PathBuf,
        /// The system's word.
        source: io::Error,
    },
    /// The folder of commands is not there.
    #[error("cannot use {} as the folder of commands", path.display())]
    Commands {
        /// The folder.
        path: PathBuf,
        /// The system's word.
        source: io::Error,
    },
    /// What the service manager hands over is no socket to answer on.
    #[error("cannot use the sockets of the service manager")]
    Given(#[source] io::Error),
    /// The process before this one cannot be asked for its sockets, or the next could not ask for ours.
    #[error(transparent)]
    Handover(#[from] HandoverError),
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
    /// The secret of cookies cannot be had.
    #[error(transparent)]
    Secret(#[from] SecretError),
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
    /// What the files may have run.
    may_run: MayRun,
    /// Whether reloads may shrink the catalog.
    allow_shrink: bool,
    /// What is wanted of every reply.
    wishes: Wishes,
    /// Where that stands for the workers.
    policies: Policies,
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
    /// Who may come in there.
    access: Arc<Access>,
    /// The admin thread, if there is one.
    admin: Option<Admin>,
    /// Offers the sockets to the next process, if it may have them.
    offer: Option<JoinHandle<Successor>>,
    /// Whether it has taken over.
    succeeded: watch::Receiver<bool>,
    /// Runs controller and probes. Last: it goes when all others have gone.
    runtime: Runtime,
}

/// A node that is loaded and probes, and does not answer yet.
#[derive(Debug)]
pub struct Prepared {
    /// What is to be.
    options: Options,
    /// Where what is wanted of every reply will stand for the workers.
    policies: Policies,
    /// Sockets for queries.
    bound: Vec<Bound>,
    /// The certificate of the encrypted transports.
    certificates: Option<Arc<Certificates>>,
    /// Sockets of the encrypted transports.
    encrypted: Encrypted,
    /// Sockets for the admin API and metrics.
    listeners: Listeners,
    /// Who may come in there.
    access: Arc<Access>,
    /// Who answers until this one does.
    predecessor: Option<Predecessor>,
    /// What is known of QUIC connections of processes before.
    lineage: Lineage,
    /// Tells the time.
    clock: Clock,
    /// The controller's end.
    control: ControlHandle,
    /// What will be counted.
    telemetry: Arc<Telemetry>,
    /// Runs controller and probes.
    runtime: Runtime,
}

impl Prepared {
    /// Whether another process answers until this one does; then there is time to become ready first.
    #[must_use]
    pub const fn has_predecessor(&self) -> bool {
        self.predecessor.is_some()
    }

    /// Whether the first round of probes is over, and news of it.
    #[must_use]
    pub fn ready(&self) -> watch::Receiver<bool> {
        self.control.ready()
    }

    /// Answers from the moment that this returns.
    ///
    /// # Errors
    /// [`StartError`]; nothing is left running, and a process before this one goes on.
    pub fn go(self) -> Result<Node, StartError> {
        let Self { options, policies, bound, certificates, encrypted, listeners, access, predecessor, lineage, clock, control, telemetry, runtime } = self;
        let addresses = bound.iter().map(|bound| bound.address).collect();
        let may_run = options.may_run();
        let [tls_addresses, https_addresses, quic_addresses] = encrypted.addresses();
        let (admin_address, metrics_address) = (listeners.admin_address(), listeners.metrics_address());
        let heirlooms = options.handover.is_some().then(|| share(&bound, &encrypted, &listeners)).transpose().map_err(StartError::System)?;
        let edge = Edge { worlds: control.worlds().clone(), policy: Arc::clone(&policies), rates: options.rates.into(), clock: clock.clone() };
        let mut server = Server::start(bound, options.engine, &edge, &telemetry).map_err(StartError::System)?;
        if let Some(certificates) = &certificates {
            runtime.spawn(tls::watch(Arc::downgrade(certificates), Arc::downgrade(&telemetry), clock.clone()));
            encrypted.start(&mut server, &options.https_path, certificates, &lineage, &edge, &telemetry).map_err(StartError::System)?;
        }
        let context =
            Context { worlds: edge.worlds, clock: clock.clone(), telemetry: Arc::clone(&telemetry), control: control.clone(), ready: control.ready() };
        let wanted = admin_address.is_some() || metrics_address.is_some();
        let admin = wanted.then(|| Admin::start(listeners, context, Arc::clone(&access))).transpose().map_err(StartError::System)?;
        let (tell, succeeded) = watch::channel(false);
        let offer = match (options.handover, heirlooms) {
            (Some(path), Some(heirlooms)) => {
                let _inside = runtime.enter();
                let offer = Offer::new(&path, heirlooms, lineage.legacy())?;
                let followed = control.clone();
                Some(runtime.spawn(async move {
                    let successor = offer.taken(|is_followed| followed.be_followed(is_followed)).await;
                    tell.send_replace(true);
                    successor
                }))
            }
            _ => None,
        };
        // Nothing can fail any more.
        // Until it is gone, the process before this one may have granted overrides.
        let heir = control.clone();
        match predecessor.map(Predecessor::relieve) {
            Some(Ok(leaving)) => drop(runtime.spawn(async move {
                leaving.gone().await;
                lineage.be_alone();
                heir.read_overrides().await;
            })),
            Some(Err(error)) => {
                tracing::warn!(%error, "the process before this one has ended by itself");
                lineage.be_alone();
                drop(runtime.spawn(async move { heir.read_overrides().await }));
            }
            None => {}
        }
        Ok(Node {
            control,
            telemetry,
            clock,
            may_run,
            content: options.content,
            allow_shrink: options.allow_shrink,
            wishes: options.wishes,
            policies,
            reloading: Mutex::default(),
            addresses,
            admin_address,
            metrics_address,
            certificates,
            tls_addresses,
            https_addresses,
            quic_addresses,
            server,
            access,
            admin,
            offer,
            succeeded,
            runtime,
        })
    }
}

/// All sockets, as another process can have them.
fn share(bound: &[Bound], encrypted: &Encrypted, listeners: &Listeners) -> io::Result<Vec<OwnedFd>> {
    let mut sockets: Vec<OwnedFd> = listeners.share()?.into_iter().map(OwnedFd::from).collect();
    for bound in bound {
        sockets.extend(bound.share()?);
    }
    sockets.extend(encrypted.share()?);
    Ok(sockets)
}

impl Node {
    /// Loads, binds, and answers from the moment that this returns; [`Node::ready`] tells when the first round of probes is over.
    ///
    /// # Errors
    /// [`StartError`]; nothing is left running.
    pub fn start(options: Options) -> Result<Self, StartError> {
        Self::prepare(options, Given::default())?.go()
    }

    /// Loads, takes the sockets that there are and binds those that are missing, and probes. Sockets that are given and that nobody wants
    /// are closed.
    ///
    /// # Errors
    /// [`StartError`]; nothing is left running.
    pub fn prepare(options: Options, mut given: Given) -> Result<Prepared, StartError> {
        server::give_back_large_blocks();
        let commands = options.commands.as_deref().map(allow_commands).transpose()?;
        let loaded = options.content.load_for(options.may_run())?;
        let clock = Clock::system();
        log_lints(&loaded, &[], clock.now());
        let policies = Policies::new(Arc::new(options.wishes.policy(None)?).into());
        let predecessor = match options.handover.as_deref().map(handover::take_over).transpose()?.flatten() {
            Some((predecessor, theirs)) => {
                given = theirs;
                Some(predecessor)
            }
            None => None,
        };
        let mut bound = server::take_or_bind(&options.listen, options.workers.max(1), &mut given)?;
        if options.pin {
            server::pin(&mut bound);
        }
        let lineage = Lineage::after(predecessor.as_ref().map(Predecessor::legacy)).map_err(StartError::System)?;
        let certificates = load_certificate(&options)?;
        let encrypted = Encrypted::bind(&options, &mut given)?;
        let access = Arc::new(Access::load(options.access.clone())?);
        let listeners = Listeners::bind(options.admin, options.metrics, &access, |address| given.take_tcp(address).pop())?;
        for address in given.addresses() {
            tracing::warn!(%address, "a socket was handed over that nothing is to listen on; it is closed");
        }
        let state = options.state.clone().map(make_state_folder).transpose()?;
        let telemetry = Arc::new(Telemetry::new(server::workers_of(&bound) + encrypted.workers(), &loaded.catalog));

        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).thread_name("aya-control").enable_all().build().map_err(StartError::System)?;
        let control = {
            let _inside = runtime.enter();
            publish::spawn(publish::Start {
                catalog: loaded.catalog,
                geo: loaded.geo,
                clock: clock.clone(),
                state: state.as_deref().map(|folder| folder.join(STATE_FILE)),
                overrides: state,
                roots: options.roots.clone(),
                commands,
                seed: u64::from(std::process::id()),
                meter: Arc::new(ProbeMeter(Arc::clone(&telemetry))),
                name_servers: options.name_servers.clone(),
                lookups: Arc::new(ProbeMeter(Arc::clone(&telemetry))),
                drills: Arc::new(ProbeMeter(Arc::clone(&telemetry))),
            })
        };
        runtime.spawn(log_changes(control.changes()));
        runtime.spawn(log_intents(control.intents()));
        telemetry.set_overrides_lost(control.lost_overrides());
        runtime.spawn(keep_up(Arc::downgrade(&telemetry)));
        Ok(Prepared { options, policies, bound, certificates, encrypted, listeners, access, predecessor, lineage, clock, control, telemetry, runtime })
    }

    /// Loads again, and answers from what was loaded when this returns. The certificates' and the API's files are read, too; a mistake in them is logged,
    /// and keeps nothing else from being reloaded.
    ///
    /// # Errors
    /// [`ReloadError`]: the old world is answered from, as before.
    pub fn reload(&self) -> Result<u64, ReloadError> {
        let _one_at_a_time = self.reloading.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(certificates) = &self.certificates {
            tls::renew(certificates, &self.telemetry, self.clock.now());
        }
        // What cannot be used was logged, and is no reason not to read the rest.
        let _ = self.access.renew(self.clock.now());
        let reloaded = self.content.load_for(self.may_run.clone()).map_err(ReloadError::from).and_then(|loaded| {
            let policy = self.wishes.policy(Some(&self.policies.load()))?;
            let generation = self.apply(loaded)?;
            self.policies.store(policy.into());
            Ok(generation)
        });
        if let Err(error) = &reloaded {
            self.control.tell_refused_reload(&chain(error), self.clock.now());
        }
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

    /// Whether every datagram worker moves.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.telemetry.longest_still(self.clock.now()) < limits::WORKER_STUCK_MS
    }

    /// Whether another process has taken over, and news of it.
    #[must_use]
    pub fn succeeded(&self) -> watch::Receiver<bool> {
        self.succeeded.clone()
    }

    /// Waits until the first round of probes is over. To be called from outside of a runtime.
    pub fn wait_until_ready(&self) {
        let mut ready = self.ready();
        // An error means that the controller ended; then there is nothing to wait for.
        let _ = self.runtime.block_on(async move { ready.wait_for(|ready| *ready).await.map(|_| ()) });
    }

    /// Drains and ends: queries received are answered, TCP connections get [`limits::DRAIN_MS`], health is written to its file.
    pub fn stop(self) {
        if let Some(offer) = &self.offer {
            // What it holds of the sockets would keep them open while they are drained.
            offer.abort();
        }
        // The next process has the listeners, too, and tells what is true from now on. Without one, whoever looks may see the drain.
        let (now, later) = if *self.succeeded.borrow() { (self.admin, None) } else { (None, self.admin) };
        now.into_iter().for_each(Admin::stop);
        self.server.drain();
        later.into_iter().for_each(Admin::stop);
        // From now on the next process speaks for this one.
        drop(self.offer);
        self.runtime.block_on(self.control.stop());
        self.runtime.shutdown_timeout(Duration::from_millis(limits::DRAIN_MS));
    }
}

/// The folder of commands, which must be there.
fn allow_commands(folder: &Path) -> Result<Commands, StartError> {
    Commands::of(folder).map_err(|source| StartError::Commands { path: folder.to_owned(), source })
}

/// The state folder, which exists from now on.
fn make_state_folder(folder: PathBuf) -> Result<PathBuf, StartError> {
    match std::fs::create_dir_all(&folder) {
        Ok(()) => Ok(folder),
        Err(source) => Err(StartError::State { path: folder, source }),
    }
}

/// The file of health in the state folder.
const STATE_FILE: &str = "health.state";
