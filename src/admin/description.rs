//! `/v1/openapi.json`: the API's description (OpenAPI 3.1), made of the code that it describes.

use std::sync::LazyLock;

use axum::Router;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};

use super::Context;
use super::api::{self, Guarded, Reading};
use super::problem::{Nothing, Params, Problem};
use super::tokens::Role;
use super::{drills, events, explanation, failback, load, overrides, pushes, services, status};

/// The path.
pub(super) fn routes() -> Router<Context> {
    Router::new().route("/v1/openapi.json", get(describe))
}

/// All of it. A handler that is not here is one that nobody is told of.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Aya's admin API",
        description = "What a node tells, and takes. Every refusal is a problem document (RFC 9457), and nothing has changed. Unknown keys and parameters are refused."
    ),
    paths(
        api::healthz,
        api::readyz,
        api::metrics_text,
        status::status,
        services::services,
        services::service,
        services::digest,
        explanation::explain,
        events::events,
        overrides::list,
        overrides::set,
        overrides::clear_one,
        overrides::clear_selected,
        failback::list,
        failback::release,
        drills::list,
        drills::run,
        drills::show,
        drills::report,
        drills::abort,
        load::report,
        pushes::push,
        describe
    ),
    components(schemas(Problem, Role)),
    modifiers(&Tokens),
    security(("token" = [])),
    tags(
        (name = "watch", description = "For viewers"),
        (name = "intend", description = "For operators; listing is for viewers"),
        (name = "report", description = "For reporters: endpoints, and whoever collects for them"),
        (name = "probe", description = "For whoever restarts, drains and measures nodes")
    )
)]
struct Description;

/// Says what a token is.
struct Tokens;

impl Modify for Tokens {
    fn modify(&self, description: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some("A token of the node's file, as `aya token new` makes it")).build();
        description.components.get_or_insert_default().add_security_scheme("token", SecurityScheme::Http(scheme));
    }
}

/// The description as it is served, and as it is committed.
#[must_use]
pub fn text() -> &'static str {
    static TEXT: LazyLock<String> = LazyLock::new(|| Description::openapi().to_pretty_json().expect("a description has a JSON form") + "\n");
    &TEXT
}

/// This description.
#[utoipa::path(get, path = "/v1/openapi.json", tag = "watch", responses((status = 200, description = "The description", body = Object, content_type = "application/json"), Reading, Guarded))]
pub(super) async fn describe(_: Params<Nothing>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], text()).into_response()
}
