//! `aya serve`: answers queries until it is told to stop.
//!
//! | signal | what |
//! |---|---|
//! | SIGHUP | reloads zones, geography and the secret of cookies, all or nothing |
//! | SIGTERM, SIGINT | drains, then exits with 0; a second one ends at once |
//!
//! A node that is given `--handover PATH` takes the sockets of the one that was given the same path before, becomes ready, answers, and lets the
//! old one drain and end: [`crate::server::handover`].

use std::io::{self, IsTerminal};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use clap::{Args, ValueEnum};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::time::{Interval, Sleep};

use super::gate::GateArgs;
use super::load::Content;
use super::node::{Node, Options, Prepared, ReloadError, StartError};
use super::policy::PolicyArgs;
use super::{Exit, chain, manager, tell_error};
use crate::control::Refused;
use crate::limits;
use crate::probe::Roots;
use crate::publish::NotTaken;
use crate::resolve::NameServers;
use crate::server::tls::CertificateFiles;
use crate::server::{self, Engine, Given, doh};

/// What `aya serve` is told.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Address and port to answer on, over UDP and TCP; may be given several times; by default the sockets that the service manager hands over, or
    /// else port 53 of every address.
    #[arg(long, env = "AYA_LISTEN", value_delimiter = ',')]
    listen: Vec<SocketAddr>,
    /// Address, or address and port, to answer on over TLS (port 853); may be given several times.
    #[arg(long, env = "AYA_LISTEN_TLS", value_name = "ADDRESS", value_delimiter = ',', value_parser = address_of::<PORT_TLS>, requires = "tls_cert")]
    listen_tls: Vec<SocketAddr>,
    /// Address, or address and port, to answer on over HTTPS (port 443); may be given several times.
    #[arg(long, env = "AYA_LISTEN_HTTPS", value_name = "ADDRESS", value_delimiter = ',', value_parser = address_of::<PORT_HTTPS>, requires = "tls_cert")]
    listen_https: Vec<SocketAddr>,
    /// Path of queries over HTTPS.
    #[arg(long, env = "AYA_HTTPS_PATH", value_name = "PATH", default_value = doh::PATH, value_parser = path_of_queries)]
    https_path: String,
    /// Address, or address and port, to answer on over QUIC (port 853); may be given several times.
    #[arg(long, env = "AYA_LISTEN_QUIC", value_name = "ADDRESS", value_delimiter = ',', value_parser = address_of::<PORT_QUIC>, requires = "tls_cert")]
    listen_quic: Vec<SocketAddr>,
    /// PEM file of the certificate chain for TLS, HTTPS and QUIC; read again when it changes.
    #[arg(long, env = "AYA_TLS_CERT", value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// PEM file of the certificate's private key.
    #[arg(long, env = "AYA_TLS_KEY", value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// File or folder of zones; may be given several times.
    #[arg(long, env = "AYA_ZONES", value_delimiter = ',', default_value = "zones")]
    zones: Vec<PathBuf>,
    /// MMDB file or folder of them; may be given several times.
    #[arg(long, env = "AYA_GEOIP", value_delimiter = ',', default_value = "geoip")]
    geoip: Vec<PathBuf>,
    /// Folder in which health and overrides outlive the process.
    #[arg(long, env = "AYA_STATE", value_name = "DIR")]
    state: Option<PathBuf>,
    /// Where the admin API and metrics are told, and to whom.
    #[command(flatten)]
    gate: GateArgs,
    /// Folder of commands that probes (`exec`) may run; without it they run none.
    #[arg(long, env = "AYA_ALLOW_EXEC", value_name = "DIR")]
    allow_exec: Option<PathBuf>,
    /// Address, or address and port, of a recursive resolver that the hosts of `alias` are looked up with; may be given several times; by default
    /// those of the system.
    #[arg(long, env = "AYA_RESOLVER", value_name = "ADDRESS", value_delimiter = ',', value_parser = address_of::<PORT>)]
    resolver: Vec<SocketAddr>,
    /// What carries the queries.
    #[arg(long, env = "AYA_ENGINE", value_enum, default_value_t)]
    engine: Engine,
    /// Reload when the files change.
    #[arg(long, env = "AYA_WATCH")]
    watch: bool,
    /// Workers for each address; by default one for each core.
    #[arg(long, env = "AYA_WORKERS", value_parser = clap::value_parser!(u16).range(1..=1024))]
    workers: Option<u16>,
    /// Unix socket on which a node hands its sockets over to the next one that is started with the same path, so that no query is lost.
    #[arg(long, env = "AYA_HANDOVER", value_name = "PATH")]
    handover: Option<PathBuf>,
    /// Whether each datagram worker is kept on a CPU of its own.
    #[arg(long, env = "AYA_PIN", value_enum, default_value_t)]
    pin: Pin,
    /// Let reloads remove zones, more than a tenth of the services or endpoints, or more than half of the addresses whose country is known.
    #[arg(long, env = "AYA_ALLOW_SHRINK")]
    allow_shrink: bool,
    /// What is wanted of every reply.
    #[command(flatten)]
    policy: PolicyArgs,
    /// How logs are written.
    #[arg(long, env = "AYA_LOG_FORMAT", value_enum, default_value_t)]
    log_format: LogFormat,
}

/// Whether each datagram worker is kept on a CPU of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Pin {
    /// Where there is a worker for each CPU that the process may use.
    #[default]
    Auto,
    /// Never: the system places them.
    Off,
}

/// How logs are written. What is logged is said by `AYA_LOG`, as in `info,aya_gslb::probe=debug`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// A line for people.
    #[default]
    Text,
    /// A JSON object a line.
    Json,
}

/// Port of DNS over TLS (RFC 7858 §3.1).
const PORT_TLS: u16 = 853;
/// Port of DNS over HTTPS.
const PORT_HTTPS: u16 = 443;
/// Port of DNS over QUIC (RFC 9250 §4.1.1).
const PORT_QUIC: u16 = 853;

/// Reads an address and port, or an address alone, which has its transport's port.
fn address_of<const PORT: u16>(text: &str) -> Result<SocketAddr, String> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let alone = || bare.parse::<IpAddr>().ok().map(|address| SocketAddr::new(address, PORT));
    text.parse().ok().or_else(alone).ok_or_else(|| "neither an address nor an address and port".to_owned())
}

/// Reads a path that stands in a URL as it is (RFC 3986 §3.3), so that it is found in requests by comparing.
fn path_of_queries(text: &str) -> Result<String, String> {
    let stands = |octet: u8| octet.is_ascii_alphanumeric() || b"/-._~!$&'()*+,;=:@".contains(&octet);
    if text.starts_with('/') && text.bytes().all(stands) {
        Ok(text.to_owned())
    } else {
        Err("no path such as /dns-query: letters, digits and -._~/".to_owned())
    }
}

/// Where queries are answered unless somebody says otherwise: on every address.
const LISTEN: [SocketAddr; 2] = [SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), PORT), SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), PORT)];
/// The port of DNS.
const PORT: u16 = 53;

impl ServeArgs {
    /// What it means, beside these sockets of the service manager: what they are bound to is answered on, whatever else is.
    fn options(&self, given: &Given) -> Options {
        let mut listen = self.listen.clone();
        let encrypted = |address: &SocketAddr| [&self.listen_tls, &self.listen_https, &self.listen_quic].iter().any(|listen| listen.contains(address));
        let is_for_others = |address: &SocketAddr| self.gate.admin() == Some(*address) || self.gate.metrics() == Some(*address) || encrypted(address);
        let more: Vec<SocketAddr> = given.addresses().into_iter().filter(|address| !listen.contains(address) && !is_for_others(address)).collect();
        listen.extend(more);
        if listen.is_empty() {
            listen.extend(LISTEN);
        }
        let cores = || std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
        Options {
            content: Content::Files { zones: self.zones.clone(), geoip: self.geoip.clone() },
            listen,
            certificate: self.tls_cert.clone().zip(self.tls_key.clone()).map(|(chain, key)| CertificateFiles { chain, key }),
            listen_tls: self.listen_tls.clone(),
            listen_https: self.listen_https.clone(),
            https_path: self.https_path.clone(),
            listen_quic: self.listen_quic.clone(),
            handover: self.handover.clone(),
            workers: self.workers.map_or_else(cores, usize::from),
            pin: self.pin == Pin::Auto,
            engine: self.engine,
            state: self.state.clone(),
            admin: self.gate.admin(),
            access: self.gate.access(),
            metrics: self.gate.metrics(),
            allow_shrink: self.allow_shrink,
            roots: Roots::of_system(),
            commands: self.allow_exec.clone(),
            name_servers: if self.resolver.is_empty() { NameServers::System } else { NameServers::Of(self.resolver.clone()) },
            wishes: self.policy.wishes(),
            rates: self.policy.rates(),
        }
    }
}

/// Runs `aya serve`.
pub fn run(args: &ServeArgs) -> Exit {
    start_logging(args.log_format);
    limit_panic_reports();
    server::raise_descriptor_limit();
    let served = manager::sockets().map_err(StartError::Given).and_then(|given| serve(args, given));
    match served {
        Ok(()) => Exit::Ok,
        Err(error) => {
            tell_error(&error);
            Exit::Error
        }
    }
}

/// Starts, then waits for signals and changes of files.
fn serve(args: &ServeArgs, given: Given) -> Result<(), StartError> {
    // Signals are listened to before anything else: a SIGHUP while files are loaded would end the process.
    let waiting = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(StartError::System)?;
    let mut wakes = waiting.block_on(async { Wakes::new(args) }).map_err(StartError::System)?;
    let prepared = Node::prepare(args.options(&given), given)?;
    if prepared.has_predecessor() && !waiting.block_on(wakes.is_ready(&prepared)) {
        tracing::info!("told to stop before taking over; the other process goes on");
        return Ok(());
    }
    let node = prepared.go()?;
    let world = node.worlds().load();
    let (zones, services, endpoints) = (world.catalog.zones.len(), world.catalog.services.len(), world.catalog.endpoints.len());
    drop(world);
    let (listen, tls) = (told(node.addresses()), told(node.tls_addresses()));
    let (https, quic) = (told(node.https_addresses()), told(node.quic_addresses()));
    let (admin, metrics) = (told(node.admin_address().as_slice()), told(node.metrics_address().as_slice()));
    let status = format!("answering on {listen}");
    tracing::info!(listen, tls, https, quic, admin, metrics, zones, services, endpoints, "serving");
    (wakes.ready, wakes.succeeded) = (Some(node.ready()), Some(node.succeeded()));
    while let Some(cause) = waiting.block_on(wakes.next()) {
        match cause {
            Cause::Ready => {
                tracing::info!(generation = node.worlds().load().generation, "ready: the first round of probes is over");
                manager::tell_ready(&status);
            }
            Cause::Reload(why) => {
                manager::tell_reloading();
                let refused = reload(&node, why);
                // Nobody may touch the files again, and they are to be followed.
                wakes.again = refused.as_ref().and_then(passes_in).filter(|_| wakes.follows()).map(|wait| {
                    let _inside = waiting.enter();
                    Box::pin(tokio::time::sleep(wait))
                });
                manager::tell_ready(if refused.is_none() { &status } else { "the last reload was refused; answering as before it" });
            }
            Cause::Watchdog if node.is_alive() => manager::tell_alive(),
            Cause::Watchdog => tracing::error!("a worker does not move; the service manager is not told that the node is alive"),
        }
    }
    tracing::info!("draining");
    manager::tell_stopping();
    std::thread::spawn(move || {
        // A second signal ends at once, as people expect it to.
        waiting.block_on(wakes.stop_signal());
        std::process::exit(ENDED_BY_SIGNAL);
    });
    node.stop();
    tracing::info!("stopped");
    Ok(())
}

/// Addresses for people; `off` when there is none.
fn told(addresses: &[SocketAddr]) -> String {
    let words: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    if words.is_empty() { "off".into() } else { words.join(", ") }
}

/// The exit code of a process that did not drain to the end.
const ENDED_BY_SIGNAL: i32 = 130;

/// Reloads, says what came of it, and returns why the new files are not in use, if they are not.
fn reload(node: &Node, why: &'static str) -> Option<ReloadError> {
    let reloaded = node.reload();
    match &reloaded {
        Ok(generation) => {
            let world = node.worlds().load();
            tracing::info!(why, generation, zones = world.catalog.zones.len(), services = world.catalog.services.len(), "reloaded");
        }
        Err(error) => tracing::error!(why, "reload refused, the old world is served as before:\n{}", chain(error)),
    }
    reloaded.err()
}

/// How long to wait until the same files would be taken, if time alone is in their way.
const fn passes_in(error: &ReloadError) -> Option<Duration> {
    match error {
        ReloadError::NotTaken(NotTaken::Refused(Refused::MovesClients { passes_ms: Some(wait), .. })) => Some(Duration::from_millis(*wait)),
        _ => None,
    }
}

/// Why the node woke, unless it is to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    /// The first round of probes is over.
    Ready,
    /// Files are to be read again.
    Reload(&'static str),
    /// The service manager wants to hear that the node is alive.
    Watchdog,
}

/// What the serving node waits for.
struct Wakes {
    /// Reload.
    hangup: Signal,
    /// Stop.
    terminate: Signal,
    /// Stop.
    interrupt: Signal,
    /// Tells that the first round of probes is over; `None` before the start and once that was told.
    ready: Option<watch::Receiver<bool>>,
    /// Tells that another process has taken over; `None` before the start.
    succeeded: Option<watch::Receiver<bool>>,
    /// How often the service manager wants to hear that the node is alive.
    watchdog: Option<Interval>,
    /// Files changed.
    changes: mpsc::Receiver<()>,
    /// Files changed, and nobody has been told yet.
    pending: bool,
    /// When to read files again that were held only for a time.
    again: Option<std::pin::Pin<Box<Sleep>>>,
    /// Tells that files changed; kept, since dropping it ends the watch.
    watcher: Option<RecommendedWatcher>,
}

impl Wakes {
    /// Listens from now on. To be called inside of a runtime.
    fn new(args: &ServeArgs) -> io::Result<Self> {
        let (tell, changes) = mpsc::channel(1);
        let watcher = if args.watch { Some(watch_files(args.zones.iter().chain(&args.geoip), tell).map_err(io::Error::other)?) } else { None };
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            ready: None,
            succeeded: None,
            watchdog: manager::watchdog().map(tokio::time::interval),
            changes,
            pending: false,
            again: None,
            watcher,
        })
    }

    /// Whether changes of the files are to be followed.
    const fn follows(&self) -> bool {
        self.watcher.is_some()
    }

    /// Waits for the next cause; `None` means stop.
    async fn next(&mut self) -> Option<Cause> {
        let (ready, succeeded) = (told_once(self.ready.as_mut()), told_once(self.succeeded.as_mut()));
        let watchdog = async {
            match &mut self.watchdog {
                Some(interval) => interval.tick().await,
                None => std::future::pending().await,
            }
        };
        let again = async {
            match &mut self.again {
                Some(sleep) => sleep.await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.terminate.recv() => None,
            _ = self.interrupt.recv() => None,
            () = again => Some(Cause::Reload("it was held for a time")),
            _ = self.hangup.recv() => Some(Cause::Reload("SIGHUP")),
            Some(()) = settled(&mut self.changes, &mut self.pending) => Some(Cause::Reload("files changed")),
            () = ready => {
                self.ready = None;
                Some(Cause::Ready)
            }
            () = succeeded => {
                tracing::info!("another process has taken over");
                None
            }
            _ = watchdog => Some(Cause::Watchdog),
        }
    }

    /// Waits until a node may take over; false if it is told to stop before.
    async fn is_ready(&mut self, prepared: &Prepared) -> bool {
        let mut ready = prepared.ready();
        tokio::select! {
            () = told_once(Some(&mut ready)) => true,
            () = self.stop_signal() => false,
        }
    }

    /// Waits for a signal to stop.
    async fn stop_signal(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Waits until something becomes true. What was told already, or will never be since its teller is gone, is waited for without end.
async fn told_once(news: Option<&mut watch::Receiver<bool>>) {
    let told = match news {
        Some(news) => news.wait_for(|told| *told).await.is_ok(),
        None => false,
    };
    if !told {
        std::future::pending::<()>().await;
    }
}

/// Waits for a change of files, and then until they were left alone for [`limits::WATCH_SETTLE_MS`]: editors and copies write in steps. A file
/// that is never left alone is read all the same, after [`limits::WATCH_SETTLES_MAX`] such waits. `pending` survives when the wait is given
/// up for something else, so that no change is forgotten.
async fn settled(changes: &mut mpsc::Receiver<()>, pending: &mut bool) -> Option<()> {
    if !*pending {
        changes.recv().await?;
        *pending = true;
    }
    for _ in 0..limits::WATCH_SETTLES_MAX {
        let Ok(Some(())) = tokio::time::timeout(Duration::from_millis(limits::WATCH_SETTLE_MS), changes.recv()).await else { break };
    }
    *pending = false;
    Some(())
}

/// Watches files and folders. Of a file, the folder that holds it is watched: a file that is replaced by a rename is another file.
fn watch_files<'a>(paths: impl Iterator<Item = &'a PathBuf>, tell: mpsc::Sender<()>) -> notify::Result<RecommendedWatcher> {
    // The system names files by the paths that are watched, so these are made whole and plain first.
    let watched: Vec<PathBuf> = paths.map(|path| path.canonicalize().unwrap_or_else(|_| path.clone())).collect();
    let wanted = watched.clone();
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // Something else in a file's folder (a state file of our own, say) is no change.
        let matters = |event: &notify::Event| event.paths.is_empty() || event.paths.iter().any(|path| wanted.iter().any(|wanted| path.starts_with(wanted)));
        if event.is_ok_and(|event| !event.kind.is_access() && matters(&event)) {
            // A full channel has told already.
            let _ = tell.try_send(());
        }
    })?;
    for path in &watched {
        if path.is_dir() {
            watcher.watch(path, RecursiveMode::Recursive)?;
        } else {
            watcher.watch(path.parent().unwrap_or(Path::new("/")), RecursiveMode::NonRecursive)?;
        }
    }
    Ok(watcher)
}

/// What is logged when nothing else is said. What these libraries warn of is what anybody may send, and is counted.
const LOGGED: &str = "info,quinn=error,quinn_proto=off,quinn_udp=error,rustls=error";

/// Sends logs to standard error.
fn start_logging(format: LogFormat) {
    let filter = tracing_subscriber::EnvFilter::try_from_env("AYA_LOG").unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(LOGGED));
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_target(false).with_ansi(io::stderr().is_terminal());
    // An error means that somebody in this process logs already.
    let _ = match format {
        LogFormat::Text => logs.try_init(),
        LogFormat::Json => logs.json().flatten_event(true).try_init(),
    };
}

/// Logs the first panics only: a query that makes a worker panic could be sent without end. All are counted.
fn limit_panic_reports() {
    let reported = AtomicU32::new(0);
    std::panic::set_hook(Box::new(move |panic| {
        if reported.fetch_add(1, Ordering::Relaxed) < limits::PANICS_LOGGED_MAX {
            tracing::error!(%panic, "a defect; please report it");
        }
    }));
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    /// What a command line of its own would be.
    #[derive(Debug, Parser)]
    struct Line {
        /// The verb's.
        #[command(flatten)]
        serve: ServeArgs,
    }

    #[test]
    fn without_flags_everything_is_found_in_the_working_directory_and_all_addresses_are_answered_on() {
        let options = Line::try_parse_from(["aya"]).unwrap().serve.options(&Given::default());
        assert_eq!(options.listen, ["0.0.0.0:53".parse().unwrap(), "[::]:53".parse().unwrap()]);
        assert!(matches!(options.content, Content::Files { zones, geoip } if zones == [Path::new("zones")] && geoip == [Path::new("geoip")]));
        assert_eq!(options.admin, Some("127.0.0.1:8053".parse().unwrap()));
        assert!(options.workers >= 1);
    }

    #[test]
    fn an_encrypted_transport_has_its_port_and_needs_a_certificate() {
        let files = ["--tls-cert", "chain.pem", "--tls-key", "key.pem"];
        let listen = ["--listen-tls", "127.0.0.1", "--listen-tls", "[::1]", "--listen-https", "::1", "--listen-quic", "127.0.0.1:8853"];
        let options = Line::try_parse_from(["aya"].iter().chain(&files).chain(&listen)).unwrap().serve.options(&Given::default());
        assert_eq!(options.listen_tls, ["127.0.0.1:853".parse().unwrap(), "[::1]:853".parse().unwrap()]);
        assert_eq!(options.listen_https, ["[::1]:443".parse().unwrap()]);
        assert_eq!(options.listen_quic, ["127.0.0.1:8853".parse().unwrap()]);
        assert_eq!(options.certificate, Some(CertificateFiles { chain: "chain.pem".into(), key: "key.pem".into() }));
        assert!(Line::try_parse_from(["aya"].iter().chain(&listen)).is_err());
        assert!(Line::try_parse_from(["aya"].iter().chain(&files[..2])).is_err());
    }

    #[test]
    fn aliases_are_looked_up_with_the_name_servers_of_the_system_or_with_those_that_are_named() {
        let read = |line: &[&str]| Line::try_parse_from(line).map(|line| line.serve.options(&Given::default()).name_servers);
        assert_eq!(read(&["aya"]).unwrap(), NameServers::System);
        let named = read(&["aya", "--resolver", "192.0.2.53", "--resolver", "[2001:db8::53]:5353"]).unwrap();
        assert_eq!(named, NameServers::Of(vec!["192.0.2.53:53".parse().unwrap(), "[2001:db8::53]:5353".parse().unwrap()]));
        assert!(read(&["aya", "--resolver", "resolver.example.net"]).is_err());
    }

    #[test]
    fn the_path_of_queries_over_https_is_one() {
        let read = |path| Line::try_parse_from(["aya", "--https-path", path]).map(|line| line.serve.options(&Given::default()).https_path);
        assert_eq!(Line::try_parse_from(["aya"]).unwrap().serve.options(&Given::default()).https_path, "/dns-query");
        assert_eq!(read("/a/b~c").unwrap(), "/a/b~c");
        for wrong in ["", "dns-query", "/dns query", "/dns?x", "/dns#x", "/dns{?dns}", "/%64ns"] {
            assert!(read(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn the_admin_api_can_be_off_and_listen_comes_several_times() {
        let options =
            Line::try_parse_from(["aya", "--admin", "off", "--listen", "127.0.0.1:5300", "--listen", "[::1]:5300"]).unwrap().serve.options(&Given::default());
        assert_eq!((options.admin, options.listen.len()), (None, 2));
        assert!(Line::try_parse_from(["aya", "--admin", "maybe"]).is_err());
        assert!(Line::try_parse_from(["aya", "--workers", "0"]).is_err());
    }

    #[test]
    fn what_the_service_manager_hands_over_is_answered_on_instead_of_all_addresses_and_beside_those_that_are_named() {
        let socket = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let admin = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let (address, of_admin) = (socket.local_addr().unwrap(), admin.local_addr().unwrap());
        let mut given = Given::default();
        given.add(socket.into()).unwrap();
        given.add(admin.into()).unwrap();
        let listen = |more: &[&str]| {
            let admin = of_admin.to_string();
            let line = [&["aya", "--admin", &admin], more].concat();
            Line::try_parse_from(line).unwrap().serve.options(&given).listen
        };
        assert_eq!(listen(&[]), [address]);
        assert_eq!(listen(&["--listen", "127.0.0.1:5300"]), ["127.0.0.1:5300".parse().unwrap(), address]);
        assert_eq!(listen(&["--listen", &address.to_string()]), [address]);
    }
}
