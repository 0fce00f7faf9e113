//! HTTP/1 connections with limits: how many, of whom, how long a head may be and take, how long a connection may live. Over TLS where that is wanted.

use std::net::{IpAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};
use tokio_rustls::TlsAcceptor;

use super::access::Access;
use super::gate::Peer;
use crate::limits;

/// Serves one listener until told to stop; over TLS if `access` says how.
pub(super) async fn serve(listener: TcpListener, router: Router, access: Option<Arc<Access>>, mut stopped: watch::Receiver<bool>) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
    let seats = Arc::new(Semaphore::new(limits::ADMIN_CONNECTIONS_MAX));
    let guests = Guests::default();
    loop {
        let Ok(seat) = Arc::clone(&seats).acquire_owned().await else { return };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopped.wait_for(|stopped| *stopped) => return,
        };
        let Ok((stream, from)) = accepted else {
            // Out of descriptors: the connection stays in the backlog, and without a pause this would be a busy loop.
            tokio::time::sleep(Duration::from_millis(limits::SOCKET_PAUSE_MS)).await;
            continue;
        };
        // One that has too many is closed without a word.
        let Some(guest) = guests.seat(from.ip()) else { continue };
        let router = router.clone().layer(Extension(Peer(from.ip())));
        let tls = access.as_ref().and_then(|access| access.tls());
        tokio::spawn(async move {
            // A client that breaks off is no news; neither is one that we cut off.
            match tls {
                None => converse(stream, router).await,
                Some(config) => {
                    let hands = TlsAcceptor::from(config).accept(stream);
                    if let Ok(Ok(stream)) = tokio::time::timeout(Duration::from_millis(limits::TLS_HANDSHAKE_MS), hands).await {
                        converse::<tokio_rustls::server::TlsStream<TcpStream>>(stream, router).await;
                    }
                }
            }
            drop((guest, seat));
        });
    }
}

/// Answers the requests of one connection.
async fn converse<S: AsyncRead + AsyncWrite + Unpin>(stream: S, router: Router) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_millis(limits::ADMIN_REQUEST_MS))
        .max_buf_size(limits::ADMIN_HEAD_OCTETS_MAX)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let _ = tokio::time::timeout(Duration::from_millis(limits::ADMIN_CONNECTION_MS), connection).await;
}

/// Who is connected: at most as many as there are connections.
#[derive(Clone, Debug, Default)]
struct Guests(Arc<Mutex<Vec<IpAddr>>>);

/// One connection of somebody's; gives its place back.
struct Guest {
    /// Whose.
    address: IpAddr,
    /// Where that is written.
    guests: Guests,
}

impl Guests {
    /// A place for a connection, unless its address has as many as it may. Loopback is us.
    fn seat(&self, address: IpAddr) -> Option<Guest> {
        let mut present = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let has = present.iter().filter(|other| **other == address).count();
        if has >= limits::ADMIN_CONNECTIONS_PER_PEER_MAX && !address.is_loopback() {
            return None;
        }
        present.push(address);
        Some(Guest { address, guests: self.clone() })
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let mut present = self.guests.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = present.iter().position(|address| *address == self.address) {
            present.swap_remove(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_never_takes_every_connection() {
        let (guests, one, other) = (Guests::default(), IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        let mut seated: Vec<Guest> = (0..limits::ADMIN_CONNECTIONS_PER_PEER_MAX).map(|_| guests.seat(one).unwrap()).collect();
        assert!(guests.seat(one).is_none() && guests.seat(other).is_some());
        seated.pop();
        assert!(guests.seat(one).is_some(), "a place is given back");
        let here: Vec<_> = (0..limits::ADMIN_CONNECTIONS_MAX).map(|_| guests.seat(IpAddr::from([127, 0, 0, 1]))).collect();
        assert!(here.iter().all(Option::is_some));
    }
}
