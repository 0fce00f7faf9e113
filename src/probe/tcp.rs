//! A TCP connection: made, and closed again.

use std::net::SocketAddr;

use tokio::net::TcpStream;

use super::asking::failure_of_io;
use crate::health::ProbeFailure;

/// Connects.
pub(super) async fn ask(target: SocketAddr) -> Result<TcpStream, ProbeFailure> {
    let stream = TcpStream::connect(target).await.map_err(|error| failure_of_io(&error))?;
    // Requests are small and complete: nothing is gained by waiting for more of them.
    let _ = stream.set_nodelay(true);
    Ok(stream)
}
