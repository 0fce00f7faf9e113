//! What a running node tells over HTTP, and takes: health, readiness, metrics, explanations, status, overrides.
//!
//! An edge, on one thread with a small runtime of its own: answering queries never depends on it, nor it on them. The admin listener binds
//! to loopback only, as it has no authentication; the metrics listener may stand anywhere and tells only `/healthz`, `/readyz` and `/metrics`.
//! Errors are problem documents (RFC 9457).
//!
//! | path | what | statuses |
//! |---|---|---|
//! | `GET /healthz` | the process lives | 200 |
//! | `GET /readyz` | the first round of probes is over | 200, 503 |
//! | `GET /metrics` | Prometheus text | 200 |
//! | `GET /v1/explain?name=&client=&type=&down=` | why this client gets this answer | 200, 400, 404 |
//! | `GET /v1/status` | the world: generation, digest, endpoints | 200 |
//! | `/v1/overrides` | what operators intend with endpoints: [`overrides`] | |
//! | `POST /v1/health` | how an endpoint says that it is: [`pushes`] | |

mod api;
mod listen;
pub mod overrides;
pub mod pushes;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use tokio::sync::watch;

use crate::clock::Clock;
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
    /// Takes wishes for overrides.
    pub control: ControlHandle,
    /// Whether the first round of probes is over.
    pub ready: watch::Receiver<bool>,
}

/// Why an address cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The admin listener has no authentication.
    #[error("the admin API has no authentication and listens on loopback only, not on {0}; metrics alone may be told elsewhere")]
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
    /// [`BindError`]: the first address that cannot be had.
    pub fn bind(admin: Option<SocketAddr>, metrics: Option<SocketAddr>, mut take: impl FnMut(SocketAddr) -> Option<TcpListener>) -> Result<Self, BindError> {
        if let Some(address) = admin.filter(|address| !address.ip().is_loopback()) {
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
    /// Starts telling.
    ///
    /// # Errors
    /// The system's, when the thread or its runtime cannot be had.
    pub fn start(listeners: Listeners, context: Context) -> io::Result<Self> {
        let (stop, stopped) = watch::channel(false);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
        let thread = thread::Builder::new().name("aya-admin".into()).spawn(move || {
            runtime.block_on(async {
                let mut serving = tokio::task::JoinSet::new();
                if let Some(listener) = listeners.admin {
                    serving.spawn(listen::serve(listener, api::admin(context.clone()), stopped.clone()));
                }
                if let Some(listener) = listeners.metrics {
                    serving.spawn(listen::serve(listener, api::metrics(context), stopped));
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
