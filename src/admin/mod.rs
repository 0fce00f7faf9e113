//! What a running node tells over HTTP, and takes: health, readiness, metrics, explanations, status, events, overrides, failback, drills, loads.
//!
//! An edge, on one thread with a small runtime of its own: answering queries never depends on it, nor it on them. Without tokens the admin listener
//! binds to loopback only; elsewhere it needs tokens and TLS ([`access`], [`gate`]). The metrics listener may stand anywhere and tells only `/healthz`,
//! `/readyz` and `/metrics`. Errors are problem documents (RFC 9457), and each path is described ([`description`]).
//!
//! | path | what |
//! |---|---|
//! | `GET /healthz` | the process lives |
//! | `GET /readyz` | the first round of probes is over |
//! | `GET /metrics` | Prometheus text |
//! | `GET /v1/status?service=&limit=&after=` | the world: generation, digest, endpoints |
//! | `GET /v1/services`, `GET /v1/services/{name}` | services in short, and one with its endpoints |
//! | `GET /v1/digest` | what nodes are compared by |
//! | `GET /v1/explain?name=&client=&type=&down=` | why this client gets this answer |
//! | `GET /v1/events` | what happens, as it happens ([`events`]) |
//! | `/v1/overrides` | what operators intend with endpoints: [`overrides`] |
//! | `/v1/failback` | tiers that clients left and do not return to by themselves: [`failback`] |
//! | `/v1/drills` | failures that are played and measured: [`drills`] |
//! | `POST /v1/load` | what endpoints serve, as they say themselves: [`load`] |
//! | `POST /v1/health` | how an endpoint says that it is: [`pushes`] |
//! | `GET /v1/openapi.json` | all of this for programs |

pub mod access;
mod api;
pub mod description;
pub mod drills;
mod events;
mod explanation;
pub mod failback;
mod feed;
mod gate;
mod listen;
pub mod load;
pub mod overrides;
mod problem;
pub mod pushes;
pub mod services;
pub mod status;
pub mod tokens;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::sync::watch;

use self::access::Access;
use self::events::Stream;
use self::feed::{EventView, Feed};
use self::gate::Gate;
use crate::clock::Clock;
use crate::limits;
use crate::publish::{ControlHandle, Worlds};
use crate::telemetry::Telemetry;

/// What requests are answered from.
#[derive(Clone, Debug)]
pub struct Context {
    /// Where the world is published.
    pub worlds: Worlds,
    /// Tells the time.
    pub clock: Clock,
    /// What was counted.
    pub telemetry: Arc<Telemetry>,
    /// Takes wishes for overrides and drills.
    pub control: ControlHandle,
    /// Whether the first round of probes is over.
    pub ready: watch::Receiver<bool>,
}

/// Why an address cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Others come to the admin listener, and nothing tells them apart.
    #[error(
        "the admin API listens on {0}, where others come to it: that needs --api-tokens, --admin-tls-cert and --admin-tls-key; without them it listens on loopback only, and --metrics tells metrics elsewhere"
    )]
    NotLoopback(SocketAddr),
    /// The system refused.
    #[error("cannot listen on {address} for {purpose}")]
    Refused {
        /// The address.
        address: SocketAddr,
        /// `the admin API` or `metrics`.
        purpose: &'static str,
        /// The system's word.
        source: io::Error,
    },
}

/// The listeners, bound.
#[derive(Debug, Default)]
pub struct Listeners {
    /// Everything.
    admin: Option<TcpListener>,
    /// Metrics and readiness only.
    metrics: Option<TcpListener>,
}

impl Listeners {
    /// Binds what is wanted, unless `take` has a listener of that address.
    ///
    /// # Errors
    /// [`BindError`]: the first address that cannot be had, or the admin listener's if others come to it and `access` lets in everybody.
    pub fn bind(
        admin: Option<SocketAddr>,
        metrics: Option<SocketAddr>,
        access: &Access,
        mut take: impl FnMut(SocketAddr) -> Option<TcpListener>,
    ) -> Result<Self, BindError> {
        if let Some(address) = admin.filter(|address| !address.ip().is_loopback() && !access.is_guarded()) {
            return Err(BindError::NotLoopback(address));
        }
        let mut bind = |address: SocketAddr, purpose| {
            let listener = take(address).map_or_else(|| TcpListener::bind(address), Ok).and_then(|listener| listener.set_nonblocking(true).map(|()| listener));
            listener.map_err(|source| BindError::Refused { address, purpose, source })
        };
        let admin = admin.map(|address| bind(address, "the admin API")).transpose()?;
        let metrics = metrics.map(|address| bind(address, "metrics")).transpose()?;
        Ok(Self { admin, metrics })
    }

    /// Where the admin API listens.
    #[must_use]
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin.as_ref()?.local_addr().ok()
    }

    /// Both, as another process can have them.
    ///
    /// # Errors
    /// The system's, when there are no descriptors left.
    pub fn share(&self) -> io::Result<Vec<TcpListener>> {
        self.admin.iter().chain(&self.metrics).map(TcpListener::try_clone).collect()
    }

    /// Where metrics are told.
    #[must_use]
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics.as_ref()?.local_addr().ok()
    }
}

/// The running listeners.
#[derive(Debug)]
pub struct Admin {
    /// Tells them to finish.
    stop: watch::Sender<bool>,
    /// Their thread.
    thread: JoinHandle<()>,
}

impl Admin {
    /// Starts telling, to those whom `access` lets in.
    ///
    /// # Errors
    /// The system's, when the thread or its runtime cannot be had.
    pub fn start(listeners: Listeners, context: Context, access: Arc<Access>) -> io::Result<Self> {
        let (stop, stopped) = watch::channel(false);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
        let feed = Arc::new(Feed::new(context.clock.now()));
        let thread = thread::Builder::new().name("aya-admin".into()).spawn(move || {
            runtime.block_on(async {
                let mut serving = tokio::task::JoinSet::new();
                let gate = |access, is_open| Arc::new(Gate::new(access, context.clock.clone(), Arc::clone(&context.telemetry), is_open));
                if let Some(listener) = listeners.admin {
                    tokio::spawn(feed::write(Arc::clone(&feed), context.control.clone(), context.clock.clone()));
                    tokio::spawn(look(Arc::clone(&access), Arc::clone(&feed), context.clock.clone()));
                    let router = api::admin(context.clone(), gate(Arc::clone(&access), false), Stream::new(feed));
                    serving.spawn(listen::serve(listener, router, Some(Arc::clone(&access)), stopped.clone()));
                }
                if let Some(listener) = listeners.metrics {
                    serving.spawn(listen::serve(listener, api::metrics(context.clone(), gate(access, true)), None, stopped));
                }
                while serving.join_next().await.is_some() {}
            });
        })?;
        Ok(Self { stop, thread })
    }

    /// Stops telling. Requests under way are dropped.
    pub fn stop(self) {
        self.stop.send_replace(true);
        // A panic there has been reported by the panic hook; nothing is left to do.
        let _ = self.thread.join();
    }
}

/// Looks after the files of who may come in, and tells those who follow the node of one that cannot be used.
async fn look(access: Arc<Access>, feed: Arc<Feed>, clock: Clock) {
    loop {
        let now = clock.now();
        for why in access.look(now) {
            feed.tell(&EventView::AlarmOn { at: now.to_string(), alarm: "access".to_owned(), why });
        }
        tokio::time::sleep(Duration::from_millis(limits::ADMIN_LOOK_MS)).await;
    }
}
