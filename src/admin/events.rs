//! `GET /v1/events`: what happens, as it happens (Server-Sent Events, WHATWG HTML §9.2).
//!
//! `id:` is the event's number. Who comes back with `Last-Event-ID` is given what it missed, or is told `missed` when that is no longer kept. A
//! follower that is slower than what happens is told `dropped`, and its stream ends: when it comes back, it learns what it missed. A stream also ends
//! with its connection, after five minutes at most, so that a token that is taken away is of no use for longer.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body as HttpBody, Bytes};
use axum::extract::Extension;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hyper::body::{Body, Frame};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::Context;
use super::api::{Guarded, Reading};
use super::feed::{EventView, Feed, Found, Numbered};
use super::problem::{Nothing, Params, Problem};
use crate::limits::{ADMIN_EVENTS_PING_MS, ADMIN_SUBSCRIBERS_MAX};

/// What followers need: what happened, and a place.
#[derive(Clone, Debug)]
pub(super) struct Stream {
    /// What happened.
    pub feed: Arc<Feed>,
    /// Places for followers.
    seats: Arc<Semaphore>,
}

impl Stream {
    /// Of a feed.
    pub(super) fn new(feed: Arc<Feed>) -> Self {
        Self { feed, seats: Arc::new(Semaphore::new(ADMIN_SUBSCRIBERS_MAX)) }
    }
}

/// The path.
pub(super) fn routes() -> Router<Context> {
    Router::new().route("/v1/events", get(events))
}

/// Milliseconds after which a browser comes back, as `retry:` tells it.
const RETRY_MS: u32 = 2_000;

/// What happens, as it happens.
///
/// Each event has its number as `id:`, its kind as `event:`, and an `EventView` as `data:`. Two more kinds are about the stream itself: `missed` says that events
/// after `Last-Event-ID` are no longer kept, `dropped` that the reader is too slow; then the stream ends. Streams end after five minutes at most; come back with
/// `Last-Event-ID`.
#[utoipa::path(
    get, path = "/v1/events", tag = "watch",
    params(("Last-Event-ID" = Option<u64>, Header, description = "The number of the last event that was seen; those after it are told first")),
    responses((status = 200, description = "The stream", body = EventView, content_type = "text/event-stream"), Reading, Guarded)
)]
pub(super) async fn events(Extension(stream): Extension<Stream>, _: Params<Nothing>, headers: HeaderMap) -> Result<Response, Problem> {
    let next = match headers.get("last-event-id") {
        None => *stream.feed.newest().borrow() + 1,
        Some(value) => {
            let number = value.to_str().ok().and_then(|text| text.parse::<u64>().ok());
            let number = number.ok_or_else(|| Problem::new(StatusCode::BAD_REQUEST, "`Last-Event-ID` is the number of an event"))?;
            number.saturating_add(1)
        }
    };
    let seat = Arc::clone(&stream.seats).try_acquire_owned().map_err(|_| {
        let detail = format!("{ADMIN_SUBSCRIBERS_MAX} streams are open already");
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).retry_after(30)
    })?;
    // One piece is on its way at a time: a follower that does not read holds up nothing but itself.
    let (pieces, piece) = mpsc::channel(1);
    tokio::spawn(follow(stream.feed, next, pieces, seat));
    let head = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-store")];
    Ok((head, HttpBody::new(Pieces(piece))).into_response())
}

/// Gives a follower what happens, from this number on, until it is gone or too slow.
async fn follow(feed: Arc<Feed>, mut next: u64, pieces: mpsc::Sender<Bytes>, seat: OwnedSemaphorePermit) {
    let mut newest = feed.newest();
    let mut piece = format!("retry: {RETRY_MS}\n\n");
    let mut has_begun = false;
    // Whoever names an event that is still to come has it from another node, or from a process with another clock.
    if next > *newest.borrow() + 1 {
        let after = next - 1;
        next = *newest.borrow() + 1;
        piece.push_str(&missed(after, next));
    }
    loop {
        let end = newest.borrow_and_update().saturating_add(1);
        match feed.since(next) {
            Found::Missed(first) if has_begun => {
                let last = format!("event: dropped\ndata: {{\"kind\":\"dropped\",\"after\":{},\"first-kept\":{first}}}\n\n", next - 1);
                let _ = pieces.send(last.into()).await;
                break;
            }
            Found::Missed(first) => {
                piece.push_str(&missed(next - 1, first));
                next = first;
            }
            Found::Events(events) => {
                next = events.last().map_or(next, |event| event.number + 1);
                for event in &events {
                    write_event(&mut piece, event);
                }
            }
        }
        has_begun = true;
        if !piece.is_empty() && pieces.send(std::mem::take(&mut piece).into()).await.is_err() {
            break;
        }
        if next < end {
            continue;
        }
        tokio::select! {
            changed = newest.changed() => if changed.is_err() { break },
            () = pieces.closed() => break,
            () = tokio::time::sleep(Duration::from_millis(ADMIN_EVENTS_PING_MS)) => piece.push_str(": still here\n\n"),
        }
    }
    drop(seat);
}

/// That events are no longer kept.
fn missed(after: u64, first: u64) -> String {
    format!("event: missed\ndata: {{\"kind\":\"missed\",\"after\":{after},\"first-kept\":{first}}}\n\n")
}

/// An event as it goes over the wire. JSON has no line breaks.
fn write_event(text: &mut String, event: &Numbered) {
    text.push_str(&format!("id: {}\nevent: {}\ndata: {}\n\n", event.number, event.kind, event.json));
}

/// A body of pieces that come when they come.
struct Pieces(mpsc::Receiver<Bytes>);

impl Body for Pieces {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.0.poll_recv(task).map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::ADMIN_EVENTS_KEPT;
    use crate::units::Moment;

    /// A follower of a feed, and a runtime to follow in.
    fn follower(feed: &Arc<Feed>, next: u64) -> (tokio::runtime::Runtime, mpsc::Receiver<Bytes>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let (pieces, piece) = mpsc::channel(1);
        let seat = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
        runtime.spawn(follow(Arc::clone(feed), next, pieces, seat));
        (runtime, piece)
    }

    /// Adds so many events.
    fn tell(feed: &Feed, count: usize) {
        (0..count).for_each(|number| feed.tell(&EventView::Ready { at: number.to_string() }));
    }

    /// The next piece.
    fn text(runtime: &tokio::runtime::Runtime, piece: &mut mpsc::Receiver<Bytes>) -> Option<String> {
        runtime.block_on(piece.recv()).map(|octets| String::from_utf8(octets.to_vec()).unwrap())
    }

    #[test]
    fn who_comes_back_is_given_what_it_missed_and_then_what_happens() {
        let feed = Arc::new(Feed::new(Moment(1)));
        tell(&feed, 3);
        let (runtime, mut piece) = follower(&feed, 1_001);
        let first = text(&runtime, &mut piece).unwrap();
        assert!(first.starts_with("retry: 2000\n\nid: 1001\nevent: ready\ndata: {"), "{first}");
        assert!(first.contains("id: 1002\n") && !first.contains("id: 1000\n"), "{first}");
        tell(&feed, 1);
        assert!(text(&runtime, &mut piece).unwrap().starts_with("id: 1003\n"));
    }

    #[test]
    fn who_comes_back_too_late_or_from_elsewhere_is_told_so() {
        let feed = Arc::new(Feed::new(Moment(1)));
        tell(&feed, ADMIN_EVENTS_KEPT + 1);
        let (runtime, mut piece) = follower(&feed, 1_000);
        let first = text(&runtime, &mut piece).unwrap();
        assert!(first.contains("event: missed\ndata: {\"kind\":\"missed\",\"after\":999,\"first-kept\":1001}\n\n"), "{first}");
        assert!(text(&runtime, &mut piece).unwrap().starts_with("id: 1001\n"));
        let (runtime, mut piece) = follower(&feed, u64::MAX);
        assert!(text(&runtime, &mut piece).unwrap().contains("event: missed\n"));
        tell(&feed, 1);
        assert!(text(&runtime, &mut piece).unwrap().starts_with("id: "), "it is given what happens from now on");
    }

    #[test]
    fn who_does_not_read_is_told_and_let_go_when_the_ring_has_overtaken_it() {
        let feed = Arc::new(Feed::new(Moment(1)));
        tell(&feed, 1);
        let (runtime, mut piece) = follower(&feed, 1_000);
        runtime.block_on(tokio::task::yield_now());
        tell(&feed, 2 * ADMIN_EVENTS_KEPT);
        let mut all = Vec::new();
        while let Some(piece) = text(&runtime, &mut piece) {
            all.push(piece);
        }
        assert!(all.last().unwrap().starts_with("event: dropped\ndata: {\"kind\":\"dropped\",\"after\":"), "{all:?}");
    }
}
