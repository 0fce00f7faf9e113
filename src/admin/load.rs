//! `POST /v1/load`: what endpoints serve, as they say themselves. It decides how many of their clients spill over to others.
//!
//! Reports come every twenty seconds or so, several in one request if somebody collects them. They are taken all or not at all; of two about one
//! endpoint the later counts.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::post;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Context;
use super::api::{Guarded, Named, Writing};
use super::problem::{Body, Nothing, Params, Problem};
use super::services::find_endpoint;
use crate::control::{EndpointName, Event, LoadReport};
use crate::limits::{ADMIN_REPORTS_MAX, LOAD_FRESH_MS, LOAD_REPORTED_RPS_MAX};

/// The path.
pub(super) fn routes() -> Router<Context> {
    Router::new().route("/v1/load", post(report))
}

/// Reports of loads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct LoadRequest {
    /// 1 to 500 of them.
    #[schema(min_items = 1, max_items = 500)]
    pub reports: Vec<LoadOf>,
}

/// What one endpoint serves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct LoadOf {
    /// The service's owner name.
    #[schema(example = "api.gslb.example.com")]
    pub service: String,
    /// The endpoint's key.
    #[schema(example = "aws-eu-west-1")]
    pub endpoint: String,
    /// Requests per second that it serves; counts for a minute.
    #[schema(minimum = 0, maximum = 1_000_000_000)]
    pub rps: u64,
}

/// That reports were taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct LoadTaken {
    /// How many.
    pub taken: usize,
    /// Seconds for which they count.
    pub fresh_seconds: u64,
}

/// Takes in what endpoints report of their loads.
#[utoipa::path(
    post, path = "/v1/load", tag = "report", request_body = LoadRequest,
    responses((status = 202, description = "They count from the controller's next look on", body = LoadTaken), Named, Writing, Guarded)
)]
pub(super) async fn report(State(context): State<Context>, _: Params<Nothing>, Body(request): Body<LoadRequest>) -> Result<Response, Problem> {
    if request.reports.is_empty() || request.reports.len() > ADMIN_REPORTS_MAX {
        return Err(Problem::wrong(format!("`reports` has 1 to {ADMIN_REPORTS_MAX} of them, not {}", request.reports.len())));
    }
    let world = context.worlds.load();
    let mut events = Vec::with_capacity(request.reports.len());
    for LoadOf { service, endpoint, rps } in &request.reports {
        if *rps > LOAD_REPORTED_RPS_MAX {
            return Err(Problem::wrong(format!("`rps` of {service}/{endpoint} is more than {LOAD_REPORTED_RPS_MAX}")));
        }
        let id = find_endpoint(&world, service, endpoint)?;
        events.push(Event::LoadReported(LoadReport { endpoint: EndpointName::of(&world.catalog, id), rps: *rps }));
    }
    let taken = events.len();
    // Whoever finds the queue full sends all of them again: a report that is taken twice is the same report.
    if !events.into_iter().all(|event| context.control.send(event)) {
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the controller is busy: send them again").retry_after(1));
    }
    Ok((StatusCode::ACCEPTED, Json(LoadTaken { taken, fresh_seconds: LOAD_FRESH_MS / 1_000 })).into_response())
}
