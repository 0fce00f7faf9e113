//! DNS over HTTPS and over QUIC, as clients see them: what they are told, and what they cannot do to the node.
#![allow(clippy::unwrap_used, clippy::missing_docs_in_private_items, missing_docs, unreachable_pub, reason = "a test that cannot do what it says has failed")]

#[path = "../support/mod.rs"]
mod support;

#[path = "../support/encrypted.rs"]
mod encrypted;

mod http;
mod https;
mod https_hostile;
mod quic;
mod quic_hostile;

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use encrypted::Fixture;

/// Long enough for anything that is going to happen at all.
const PATIENCE: Duration = Duration::from_secs(20);

/// Runs a client.
fn run<T>(client: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(4 * PATIENCE, client).await.expect("nothing takes that long") })
}

/// Waits for something that is going to happen.
async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("it did not happen")
}

/// The value of a series.
async fn metric(fixture: &Fixture, series: &str) -> u64 {
    let mut stream = TcpStream::connect(fixture.node.metrics_address().unwrap()).await.unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text.lines().find_map(|line| line.strip_prefix(series)?.trim().parse().ok()).unwrap_or_else(|| panic!("no {series} in\n{text}"))
}
