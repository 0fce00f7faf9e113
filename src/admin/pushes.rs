//! `/v1/health`: heartbeats. An endpoint with a `push` probe, or whoever speaks for it, tells each node how it is.
//!
//! | request | what | statuses |
//! |---|---|---|
//! | `POST /v1/health` | one heartbeat ([`PushRequest`]) | 202, 400, 404, 409, 413, 415, 422, 503 |
//!
//! A heartbeat counts as what a probe found: `fall` and `rise` decide what it changes. A refusal is a problem document, and nothing was heard: 404 there is
//! no such service or endpoint, 409 the endpoint has no `push` probe, 422 a value is wrong, 503 the controller has no room for it just now.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Json;
use axum::routing::post;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Context;
use super::api::{Guarded, Named, Writing};
use super::problem::{Body, Nothing, Params, Problem};
use crate::catalog::{Catalog, EndpointId, Name, ProbeKind, ProbeSpec};
use crate::control::{EndpointName, Event, Heartbeat};
use crate::health::{Observation, ProbeFailure, ProbeOutcome, ProbeWarning};
use crate::limits::{HEARTBEAT_MS_MAX, HEARTBEAT_MS_MIN, PROBE_WORDS_MAX};
use crate::units::Micros;

/// The paths.
pub(super) fn routes() -> Router<Context> {
    Router::new().route("/v1/health", post(push))
}

/// One heartbeat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PushRequest {
    /// The service's owner name, such as `api.gslb.example.com`.
    pub service: String,
    /// The endpoint's key, such as `aws-eu-west-1`.
    pub endpoint: String,
    /// How it is.
    pub health: PushedHealth,
    /// Why, if it is not up: a line of at most 200 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Seconds within which the next heartbeat will come, 1 to 86,400; `expect-every` of the probe if it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<u64>,
}

/// How an endpoint says that it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PushedHealth {
    /// All is well.
    Up,
    /// It answers, and should not get more than it must.
    Degraded,
    /// It should get nobody.
    Down,
}

/// What a heartbeat came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct PushedView {
    /// The endpoint, as `service/endpoint`.
    pub endpoint: String,
    /// Seconds within which the next one is expected.
    pub next_within_seconds: u64,
}

/// Takes in a heartbeat.
#[utoipa::path(
    post, path = "/v1/health", tag = "report", request_body = PushRequest,
    responses(
        (status = 202, description = "The controller has it", body = PushedView),
        (status = 409, description = "The endpoint has no `push` probe", body = Problem, content_type = "application/problem+json"),
        Named, Writing, Guarded
    )
)]
pub(super) async fn push(
    State(context): State<Context>,
    _: Params<Nothing>,
    Body(request): Body<PushRequest>,
) -> Result<(StatusCode, Json<PushedView>), Problem> {
    let next_ms = request.ttl.map(ttl_ms).transpose()?;
    let outcome = outcome(&request)?;
    let world = context.worlds.load();
    let (id, spec) = find(&world.catalog, &request)?;
    let endpoint = EndpointName::of(&world.catalog, id);
    let at = context.clock.now();
    let view = PushedView { endpoint: endpoint.to_string(), next_within_seconds: next_ms.unwrap_or(u64::from(spec.interval_ms)).div_ceil(1_000) };
    let observation = Observation { at, outcome: outcome.clone(), rtt: Micros::ZERO, expires: None, drill: false };
    if !context.control.send(Event::Heard(Heartbeat { endpoint, outcome, next_ms, at })) {
        context.telemetry.count_dropped(1);
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the controller has no room for it just now; tell it again"));
    }
    context.telemetry.count_pushed(spec, &observation);
    Ok((StatusCode::ACCEPTED, Json(view)))
}

/// A time in seconds, in milliseconds.
fn ttl_ms(seconds: u64) -> Result<u64, Problem> {
    let (least, most) = (u64::from(HEARTBEAT_MS_MIN) / 1_000, u64::from(HEARTBEAT_MS_MAX) / 1_000);
    if (least..=most).contains(&seconds) { Ok(seconds * 1_000) } else { Err(Problem::wrong(format!("`ttl` must be from {least} to {most} seconds"))) }
}

/// What it says, as a probe would.
fn outcome(request: &PushRequest) -> Result<ProbeOutcome, Problem> {
    let reason = request.reason.as_deref().unwrap_or_default();
    if reason.chars().count() > PROBE_WORDS_MAX || reason.contains(char::is_control) {
        return Err(Problem::wrong(format!("`reason` must be a line of at most {PROBE_WORDS_MAX} characters")));
    }
    Ok(match request.health {
        PushedHealth::Up => ProbeOutcome::Passed,
        PushedHealth::Degraded => ProbeOutcome::Warned(ProbeWarning::Said(reason.into())),
        PushedHealth::Down => ProbeOutcome::Failed(ProbeFailure::Said(reason.into())),
    })
}

/// The endpoint that is meant, and its probe.
fn find<'c>(catalog: &'c Catalog, request: &PushRequest) -> Result<(EndpointId, &'c ProbeSpec), Problem> {
    let missing = |detail: String| Problem::new(StatusCode::NOT_FOUND, detail);
    let name = Name::parse(&request.service, &Name::root()).map_err(|error| Problem::wrong(format!("`service` must be an owner name: {error}")))?;
    let service = catalog.service_named(&name).ok_or_else(|| missing(format!("there is no service {name}")))?;
    let mut endpoints = catalog.endpoints_of(catalog.service(service));
    let (id, endpoint) = endpoints
        .find(|(_, endpoint)| *endpoint.name == *request.endpoint)
        .ok_or_else(|| missing(format!("service {name} has no endpoint {:?}", request.endpoint.chars().take(PROBE_WORDS_MAX).collect::<String>())))?;
    let probe = endpoint.all_probes().map(|probe| &catalog.probes[probe.index()]).find(|spec| matches!(spec.kind, ProbeKind::Push(_)));
    let none = || Problem::new(StatusCode::CONFLICT, format!("{name}/{} has no `push` probe: nobody expects its heartbeats", endpoint.name));
    Ok((id, probe.ok_or_else(none)?))
}
