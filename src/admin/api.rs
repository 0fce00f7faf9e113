//! Which paths there are, what each of them has, and what the description says of all of them alike.
//!
//! A room of paths is a file with `routes()`, merged here, and named in [`super::description`]; the gate stands before all of them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use utoipa::openapi::{ContentBuilder, Ref, RefOr, ResponseBuilder, ResponsesBuilder, response};
use utoipa::{IntoResponses, ToSchema};

use super::Context;
use super::events::Stream;
use super::gate::{self, Gate};
use super::problem::{Nothing, Params, Problem};
use super::{description, drills, events, explanation, failback, load, overrides, pushes, services, status};
use crate::limits;

/// Everything.
pub(super) fn admin(context: Context, gate: Arc<Gate>, stream: Stream) -> Router {
    let router = Router::new()
        .merge(status::routes())
        .merge(services::routes())
        .merge(explanation::routes())
        .merge(overrides::routes())
        .merge(drills::routes())
        .merge(failback::routes())
        .merge(load::routes())
        .merge(pushes::routes())
        .merge(events::routes())
        .merge(description::routes())
        .merge(common());
    finish(router.layer(Extension(stream)), context, gate)
}

/// Metrics and readiness only.
pub(super) fn metrics(context: Context, gate: Arc<Gate>) -> Router {
    finish(common(), context, gate)
}

/// What both listeners tell.
fn common() -> Router<Context> {
    Router::new().route("/healthz", get(healthz)).route("/readyz", get(readyz)).route("/metrics", get(metrics_text))
}

/// Adds what every path has: the gate, limits, and problem documents for what there is not.
fn finish(router: Router<Context>, context: Context, gate: Arc<Gate>) -> Router {
    router
        .fallback(async || Problem::new(StatusCode::NOT_FOUND, "there is nothing at this path"))
        .method_not_allowed_fallback(async || Problem::new(StatusCode::METHOD_NOT_ALLOWED, "this path does not take this method"))
        .layer(DefaultBodyLimit::max(limits::ADMIN_BODY_OCTETS_MAX))
        .layer(middleware::from_fn(in_time))
        .layer(middleware::from_fn_with_state(gate, gate::pass))
        .with_state(context)
}

/// Gives up on a request that takes too long.
async fn in_time(request: Request, next: Next) -> Response {
    let answer = tokio::time::timeout(Duration::from_millis(limits::ADMIN_REQUEST_MS), next.run(request)).await;
    answer.unwrap_or_else(|_| Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the request took too long").into_response())
}

/// The process lives.
#[utoipa::path(get, path = "/healthz", tag = "probe", security(()), responses((status = 200, description = "It lives", body = String), Reading, Open))]
pub(super) async fn healthz(_: Params<Nothing>) -> &'static str {
    "ok\n"
}

/// The first round of probes is over.
#[utoipa::path(
    get, path = "/readyz", tag = "probe", security(()),
    responses(
        (status = 200, description = "It is over", body = String),
        (status = 503, description = "It is not; queries are answered all the same", body = Problem, content_type = "application/problem+json"),
        Reading, Open
    )
)]
pub(super) async fn readyz(State(context): State<Context>, _: Params<Nothing>) -> Response {
    if *context.ready.borrow() {
        "ready\n".into_response()
    } else {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the first round of probes is not over; queries are answered all the same").into_response()
    }
}

/// The metrics, as Prometheus reads them.
#[utoipa::path(get, path = "/metrics", tag = "probe", responses((status = 200, description = "The text format 0.0.4", body = String), Reading, Guarded))]
pub(super) async fn metrics_text(State(context): State<Context>, _: Params<Nothing>) -> Response {
    let ready = *context.ready.borrow();
    let text = context.telemetry.render(&context.worlds.load(), ready, context.clock.now());
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

//--- What the description says of refusals

/// Declares a set of refusals, each a problem document.
macro_rules! refusals {
    ($(#[$doc:meta])* $name:ident: $($status:literal $words:literal),+) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub(super) struct $name;

        impl IntoResponses for $name {
            fn responses() -> BTreeMap<String, RefOr<response::Response>> {
                let problem = || ContentBuilder::new().schema(Some(Ref::from_schema_name(Problem::name()))).build();
                let one = |words: &str| ResponseBuilder::new().description(words).content("application/problem+json", problem()).build();
                ResponsesBuilder::new()$(.response($status, one($words)))+.build().into()
            }
        }
    };
}

refusals! {
    /// Of every path, whoever asks.
    Open: "429" "Too often; `Retry-After` says when again"
}
refusals! {
    /// Of every path that needs a token.
    Guarded:
        "401" "No token, or one that nobody has; `WWW-Authenticate` says how to present one",
        "403" "The token's role may not do this",
        "421" "Without a file of tokens: asked for by a name that is neither an address nor localhost",
        "429" "Too often; `Retry-After` says when again",
        "503" "Too busy, or not in time"
}
refusals! {
    /// Of what has parameters.
    Reading: "400" "A parameter is wrong, missing, or one that nobody reads"
}
refusals! {
    /// Of what names something.
    Named: "404" "What is named is not there; the detail says what was probably meant"
}
refusals! {
    /// Of what takes JSON.
    Writing:
        "400" "No JSON, or a parameter that nobody reads",
        "413" "Too much of it",
        "415" "Not called JSON",
        "422" "A key or a value is wrong"
}
refusals! {
    /// Of wishes for overrides, drills and releases.
    NotGrantedAnswers:
        "404" "What is named is not there, or nothing is selected",
        "409" "A safety rule or the state of the node forbids it",
        "422" "A key or a value is wrong",
        "500" "It could not be written"
}
