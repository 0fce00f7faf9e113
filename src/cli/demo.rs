//! `aya demo`: the main job in one command, with nothing to install.
//!
//! Small regional web services on loopback, the zone that is built in, and the very node that `aya serve` runs. From another terminal,
//! `aya demo fail REGION` stops a web service and `aya demo heal REGION` starts it again, through a control port that is bound to
//! loopback only; nothing else of the node is touched, the probes find out by themselves.

mod content;
mod control;
mod regions;
mod story;
mod throwaway;
mod web;

use std::io::{self, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Subcommand};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use super::load::{Content, LoadError};
use super::node::{Node, Options, StartError};
use super::{Exit, tell_error};
use crate::clock::Clock;
use crate::control::{Change, IntentChange};
use crate::publish::Worlds;
use crate::server::Engine;
use crate::world::World;
use regions::{RegionError, Regions};
use throwaway::{Folder, Throwaway, ThrowawayError};

/// A change of the world is told when nothing further has changed for this long, so that what belongs together is told together.
const QUIET_BEFORE_TOLD: Duration = Duration::from_millis(200);

/// What `aya demo` is told.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = false)]
pub struct DemoArgs {
    /// Address and port that answers are given on, over UDP and TCP.
    #[arg(long, default_value_t = SocketAddr::from((Ipv4Addr::LOCALHOST, 5300)))]
    listen: SocketAddr,
    /// Answer over TLS, HTTPS and QUIC, too, with a certificate that is made for this demo and thrown away after it.
    #[arg(long)]
    tls: bool,
    /// Address and port that answers are given on over TLS.
    #[arg(long, default_value_t = SocketAddr::from((Ipv4Addr::LOCALHOST, 8853)), requires = "tls")]
    listen_tls: SocketAddr,
    /// Address and port that answers are given on over HTTPS.
    #[arg(long, default_value_t = SocketAddr::from((Ipv4Addr::LOCALHOST, 8443)), requires = "tls")]
    listen_https: SocketAddr,
    /// Address and port that answers are given on over QUIC.
    #[arg(long, default_value_t = SocketAddr::from((Ipv4Addr::LOCALHOST, 8853)), requires = "tls")]
    listen_quic: SocketAddr,
    /// Address and port that `fail` and `heal` speak to; loopback only.
    #[arg(long, global = true, default_value_t = SocketAddr::from((Ipv4Addr::LOCALHOST, 5380)), value_parser = loopback)]
    control: SocketAddr,
    /// Address and port of the admin API, for `aya explain --api` and metrics; loopback only.
    #[arg(long, default_value_t = SocketAddr::from((Ipv4Addr::LOCALHOST, 5381)), value_parser = loopback)]
    admin: SocketAddr,
    /// Folder of zones to serve instead of the built-in ones; loopback addresses that they probe get a web service.
    #[arg(long, value_name = "DIR")]
    zones: Option<PathBuf>,
    /// What carries the queries.
    #[arg(long, value_enum, default_value_t)]
    engine: Engine,
    /// What is to be done with a running demo; without it, one is started.
    #[command(subcommand)]
    outage: Option<Outage>,
}

/// What can be done with a running demo.
#[derive(Debug, Subcommand)]
enum Outage {
    /// Stop the web service of a region: connections to it are refused until it is healed.
    Fail {
        /// The region, for instance dc-frankfurt.
        region: String,
    },
    /// Start the web service of a region again.
    Heal {
        /// The region.
        region: String,
    },
}

/// Why the demo, or an outage in it, did not come about.
#[derive(Debug, thiserror::Error)]
enum DemoError {
    /// The zones have mistakes.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The node does not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The web services do not start, most likely because another demo runs.
    #[error(transparent)]
    Region(#[from] RegionError),
    /// The certificate cannot be made.
    #[error(transparent)]
    Certificate(#[from] ThrowawayError),
    /// The control port is taken.
    #[error("cannot listen on {0} for `aya demo fail` and `heal` (does another demo run?)")]
    Control(SocketAddr, #[source] io::Error),
    /// No demo runs there.
    #[error("no demo answers on {0}; start one with `aya demo`")]
    NoDemo(SocketAddr, #[source] io::Error),
    /// A running demo said no.
    #[error("{0}")]
    Refused(String),
    /// The region's health did not follow.
    #[error("{0} is still {1}")]
    Unmoved(String, String),
    /// Signals or a runtime cannot be had.
    #[error("cannot start the demo's tasks")]
    System(#[source] io::Error),
}

/// Runs `aya demo`.
pub fn run(args: &DemoArgs) -> Exit {
    let done = match &args.outage {
        None => serve(args),
        Some(outage) => have_there(args.control, outage),
    };
    match done {
        Ok(()) => Exit::Ok,
        Err(error) => {
            tell_error(&error);
            Exit::Error
        }
    }
}

/// Fails or heals a region of the demo that runs there.
fn have_there(there: SocketAddr, outage: &Outage) -> Result<(), DemoError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(DemoError::System)?;
    runtime.block_on(match outage {
        Outage::Fail { region } => control::have(there, "fail", region, "down"),
        Outage::Heal { region } => control::have(there, "heal", region, "up"),
    })
}

/// Starts the web services and the node, tells what to try, then every change until it is interrupted.
fn serve(args: &DemoArgs) -> Result<(), DemoError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().map_err(DemoError::System)?;
    // Before anything is told: whoever reads of Ctrl-C may press it at once.
    let mut interrupts = runtime.block_on(async { Interrupts::listen() }).map_err(DemoError::System)?;
    let made = content::make(args.zones.as_ref())?;
    let (regions, listener) = runtime.block_on(async {
        let regions = Regions::start(regions::expected(&made.catalog)).await?;
        let listener = TcpListener::bind(args.control).await.map_err(|error| DemoError::Control(args.control, error))?;
        Ok::<_, DemoError>((regions, listener))
    })?;
    let mut options = Options::new(Content::Made(Arc::new(move || Ok(made.clone()))), vec![args.listen]);
    options.engine = args.engine;
    options.wishes.nsid = b"aya-demo".as_slice().into();
    options.admin = Some(args.admin);
    let folder = Folder::make(Clock::system().now())?;
    options.state = Some(folder.path().join("state"));
    let certificate = args.tls.then(|| Throwaway::make(&folder, Clock::system().now())).transpose()?;
    if let Some(certificate) = &certificate {
        options.certificate = Some(certificate.files.clone());
        options.listen_tls = vec![args.listen_tls];
        options.listen_https = vec![args.listen_https];
        options.listen_quic = vec![args.listen_quic];
    }
    let node = Node::start(options)?;
    let (changes, intents) = (node.changes(), node.control().intents());
    let control = runtime.spawn(control::serve(listener, regions.clone(), node.worlds().clone()));
    node.wait_until_ready();

    let world = node.worlds().load();
    let address = node.addresses().first().copied().unwrap_or(args.listen);
    let names = runtime.block_on(regions.names()).join(", ");
    let admin = args.admin;
    print(&format!(
        "Aya answers for {} on {address}, over UDP and TCP. Regional web services: {names}.\nAsk it, from another terminal:\n\n{}\n{}\
         Why is it so? Let a region refuse connections, ask again, and heal it:\n\n\
         \x20 aya explain api.{} --client 84.128.0.1 --api {admin}\n  aya demo fail dc-frankfurt\n  aya demo heal dc-frankfurt\n\n\
         Or take a whole cloud out of the answers, and give it back:\n\n\
         \x20 aya drain cloud:aws --why test --api {admin}\n  aya restore cloud:aws --api {admin}\n\n\
         Or rehearse an outage without one, and read what was measured:\n\n\
         \x20 aya drill run --fail region:dc-frankfurt --for 1min --wait --api {admin}\n\n\
         Every change is told here; Ctrl-C ends the demo.\n",
        story::ZONE,
        story::script(&world, address),
        certificate.as_ref().map(|certificate| story::encrypted(&certificate.authority, &node)).unwrap_or_default(),
        story::ZONE,
    ));
    runtime.block_on(watch(node.worlds().clone(), world, changes, intents, &mut interrupts));
    control.abort();
    node.stop();
    Ok(())
}

/// The signals that end the demo.
struct Interrupts {
    /// Ctrl-C.
    interrupt: Signal,
    /// What `kill` sends.
    terminate: Signal,
}

impl Interrupts {
    /// Listens from now on. To be called inside of a runtime.
    fn listen() -> io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// Waits for one.
    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Tells what changes, until the process is interrupted or terminated.
async fn watch(
    worlds: Worlds,
    mut told: Arc<World>,
    mut changes: broadcast::Receiver<Change>,
    mut intents: broadcast::Receiver<IntentChange>,
    interrupts: &mut Interrupts,
) {
    let (mut causes, mut intended): (Vec<Change>, Vec<IntentChange>) = (Vec::new(), Vec::new());
    loop {
        let closed = tokio::select! {
            () = interrupts.next() => return,
            // Something changed: wait for what belongs to it. If some were missed, the worlds tell all the same.
            heard = changes.recv() => heard.map(|change| causes.push(change)) == Err(RecvError::Closed),
            heard = intents.recv() => heard.map(|change| intended.push(change)) == Err(RecvError::Closed),
            () = tokio::time::sleep(QUIET_BEFORE_TOLD) => {
                let now = worlds.load();
                if now.generation != told.generation {
                    print(&(story::intents(&intended) + &story::changes(&told, &now, &causes)));
                    told = now;
                }
                causes.clear();
                intended.clear();
                false
            }
        };
        if closed {
            return;
        }
    }
}

/// A loopback address and port.
fn loopback(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr = text.parse().map_err(|_| "not an address and port".to_owned())?;
    if address.ip().is_loopback() { Ok(address) } else { Err("not on loopback, where only people on this machine reach it".to_owned()) }
}

/// Prints for people. That nobody reads on is no reason to stop.
fn print(text: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
