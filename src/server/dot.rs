//! DNS over TLS (RFC 7858): the engine of [`super::tcp`] behind a handshake.

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio_rustls::TlsAcceptor;

use super::tls::{Certificates, Protocol};
use super::{Edge, Stop, tcp};
use crate::telemetry::Telemetry;

/// Starts a worker for each list of listeners.
///
/// # Errors
/// The system's, when a thread or a runtime cannot be had.
pub(super) fn start(
    listeners: Vec<Vec<TcpListener>>,
    certificates: &Certificates,
    edge: &Edge,
    telemetry: &Telemetry,
    stop: &Arc<Stop>,
) -> io::Result<Vec<JoinHandle<()>>> {
    let acceptor = TlsAcceptor::from(Arc::new(certificates.server_config(Protocol::Tls)));
    tcp::start(listeners, Some(&acceptor), edge, telemetry, stop)
}
