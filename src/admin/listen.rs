//! HTTP/1 connections with limits: how many, how long a head may be and take, how long a connection may live.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::sync::{Semaphore, watch};

use crate::limits;

/// Serves one listener until told to stop.
pub(super) async fn serve(listener: TcpListener, router: Router, mut stopped: watch::Receiver<bool>) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
    let seats = Arc::new(Semaphore::new(limits::ADMIN_CONNECTIONS_MAX));
    loop {
        let Ok(seat) = Arc::clone(&seats).acquire_owned().await else { return };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopped.wait_for(|stopped| *stopped) => return,
        };
        let Ok((stream, _)) = accepted else {
            // Out of descriptors: the connection stays in the backlog, and without a pause this would be a busy loop.
            tokio::time::sleep(Duration::from_millis(limits::SOCKET_PAUSE_MS)).await;
            continue;
        };
        let service = TowerToHyperService::new(router.clone());
        tokio::spawn(async move {
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(Duration::from_millis(limits::ADMIN_REQUEST_MS))
                .max_buf_size(limits::ADMIN_HEAD_OCTETS_MAX)
                .serve_connection(TokioIo::new(stream), service);
            // A client that breaks off is no news; neither is one that we cut off.
            let _ = tokio::time::timeout(Duration::from_millis(limits::ADMIN_CONNECTION_MS), connection).await;
            drop(seat);
        });
    }
}
