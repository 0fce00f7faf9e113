//! `/v1/explain`: why a client gets its answer, from the world that is answered from.

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use serde::Deserialize;
use utoipa::IntoParams;

use super::Context;
use super::api::{Guarded, Named, Reading};
use super::problem::{Params, Problem};
use crate::explain::{self, Explanation, RequestError};

/// The path.
pub(super) fn routes() -> Router<Context> {
    Router::new().route("/v1/explain", get(explain))
}

/// What is to be explained.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[into_params(parameter_in = Query, rename_all = "kebab-case")]
pub(super) struct ExplainQuery {
    /// The name.
    name: String,
    /// The client: an address, or a prefix as in `192.0.2.0/24`.
    client: String,
    /// `A`, `AAAA` or anything else; `A` unless it is said.
    #[serde(rename = "type", default)]
    qtype: Option<String>,
    /// Regions taken as down: names, globs or `cloud:NAME`, separated by commas.
    #[serde(default)]
    down: Option<String>,
}

/// Why this client gets this answer.
///
/// JSON, or the table for people to whoever prefers `text/plain`.
#[utoipa::path(
    get, path = "/v1/explain", tag = "watch", params(ExplainQuery),
    responses(
        (status = 200, description = "The bill of every endpoint, and the rule that excluded the others", content((Explanation = "application/json"), (String = "text/plain"))),
        Reading, Named, Guarded
    )
)]
pub(super) async fn explain(State(context): State<Context>, headers: HeaderMap, Params(query): Params<ExplainQuery>) -> Result<Response, Problem> {
    let down = query.down.unwrap_or_default();
    let request = explain::Request { name: &query.name, client: &query.client, qtype: query.qtype.as_deref(), down: &down };
    let explanation = explain::explain_request(&request, &context.worlds.load()).map_err(|error| {
        let status = match error {
            RequestError::NotSteered { .. } | RequestError::NotOurs { .. } => StatusCode::NOT_FOUND,
            _ => StatusCode::BAD_REQUEST,
        };
        Problem::new(status, error.to_string())
    })?;
    let plain = headers.get(header::ACCEPT).is_some_and(|accept| accept.as_bytes().starts_with(b"text/plain"));
    Ok(if plain { format!("{explanation}\n").into_response() } else { Json(explanation).into_response() })
}
