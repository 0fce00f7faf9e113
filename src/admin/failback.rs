//! `/v1/failback`: tiers that clients left and do not return to by themselves (`failback = "manual"`), told and released.
//!
//! | request | what | statuses |
//! |---|---|---|
//! | `GET /v1/failback` | services with latched tiers | 200 |
//! | `POST /v1/failback` | releases those of a service ([`ReleaseRequest`]) | 200, 400, 404, 409, 413, 415, 422, 500, 503 |
//!
//! Who it is, is told as for overrides. With `dry-run` nothing is changed, and the answer tells who would move. A refusal is a problem document, and nothing has changed: 404 there is no such
//! service, 409 nothing waits, it has too few live endpoints still, or a safety rule forbids it. 500 says what has changed.

use axum::extract::State;
use axum::response::Json;
use axum::routing::get;
use axum::{Extension, Router};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Context;
use super::api::{Guarded, NotGrantedAnswers, Reading, Writing};
use super::gate::Actor;
use super::overrides::{MovedView, who, wish_for, words};
use super::problem::{Body, Nothing, Params, Problem};
use crate::control::overrides::{Release, Released, Wish};
use crate::control::{Waiting, waiting};
use crate::world::World;

/// The paths.
pub(super) fn routes() -> Router<Context> {
    Router::new().route("/v1/failback", get(list).post(release))
}

/// What is to be released.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ReleaseRequest {
    /// The services: an owner name or a label; `*` stands for any text.
    #[schema(min_length = 1, example = "db")]
    pub service: String,
    /// Why: 1 to 200 octets, a line.
    #[schema(min_length = 1, max_length = 200, example = "replica is in sync")]
    pub why: String,
    /// Who, or with a token for whom: 1 to 200 octets, a line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub who: Option<String>,
    /// Why safety rules do not count this time, if they do not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub force: Option<String>,
    /// Whether it is only to be told who would move.
    #[serde(default)]
    pub dry_run: bool,
}

/// What has latched tiers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct FailbackView {
    /// By service.
    pub services: Vec<WaitingView>,
}

/// A service with latched tiers. Tiers are counted from 1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct WaitingView {
    /// The service's owner name.
    pub service: String,
    /// The tier that clients are sent to; absent where everything is down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_use: Option<u8>,
    /// Latched tiers that have enough live endpoints again.
    pub ready: Vec<u8>,
    /// Latched tiers that have not.
    pub failed: Vec<u8>,
    /// Whether clients would be sent to another tier if they were released.
    pub waiting: bool,
}

impl WaitingView {
    /// The same for programs.
    fn of(waiting: &Waiting, world: &World) -> Self {
        let told = |tiers: &[u8]| tiers.iter().map(|tier| tier + 1).collect();
        Self {
            service: world.catalog.service(waiting.service).name.to_string(),
            in_use: waiting.in_use.map(|tier| tier + 1),
            ready: told(&waiting.ready),
            failed: told(&waiting.failed),
            waiting: waiting.holds,
        }
    }
}

/// What a release came to, or would come to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct ReleasedView {
    /// Whether nothing has changed, since only that was asked.
    pub dry_run: bool,
    /// Generation of the first world that has it; of a dry run that of the present world.
    pub generation: u64,
    /// What is released.
    pub released: Vec<ReleasedTiers>,
    /// Who moves, in the end.
    pub moved: MovedView,
    /// Safety rules that it goes past, in words.
    pub forced: Vec<String>,
}

/// The tiers of a service that are released, counted from 1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct ReleasedTiers {
    /// The service's owner name.
    pub service: String,
    /// The tiers.
    pub tiers: Vec<u8>,
    /// Those that stay latched, since they have too few live endpoints.
    pub stay: Vec<u8>,
}

impl ReleasedTiers {
    /// The same for programs.
    fn of(Released { service, tiers, stay }: &Released) -> Self {
        Self { service: service.to_string(), tiers: tiers.clone(), stay: stay.clone() }
    }
}

/// Services with tiers that clients left and do not return to by themselves.
#[utoipa::path(get, path = "/v1/failback", tag = "intend", responses((status = 200, description = "By service", body = FailbackView), Reading, Guarded))]
pub(super) async fn list(State(context): State<Context>, _: Params<Nothing>) -> Json<FailbackView> {
    let world = context.worlds.load();
    Json(FailbackView { services: waiting(&world).map(|waiting| WaitingView::of(&waiting, &world)).collect() })
}

/// Lets clients return to tiers that they left, as far as these have enough live endpoints again.
#[utoipa::path(
    post, path = "/v1/failback", tag = "intend", request_body = ReleaseRequest,
    responses(
        (status = 200, description = "It is in force, and on the disk; or of a dry run what it would come to", body = ReleasedView),
        NotGrantedAnswers, Writing, Guarded
    )
)]
pub(super) async fn release(
    State(context): State<Context>,
    Extension(actor): Extension<Actor>,
    _: Params<Nothing>,
    Body(request): Body<ReleaseRequest>,
) -> Result<Json<ReleasedView>, Problem> {
    let granted = wish_for(&context, Wish::Release(read_release(&request, &actor)?), request.dry_run).await?;
    let proposal = &granted.proposal;
    Ok(Json(ReleasedView {
        dry_run: request.dry_run,
        generation: granted.generation,
        released: proposal.released.iter().map(ReleasedTiers::of).collect(),
        moved: MovedView::of(&proposal.moved),
        forced: proposal.forced.iter().map(ToString::to_string).collect(),
    }))
}

/// Reads what is to be released.
fn read_release(request: &ReleaseRequest, actor: &Actor) -> Result<Release, Problem> {
    if request.service.is_empty() {
        return Err(Problem::wrong("`service` is empty: which service is meant?"));
    }
    let force = request.force.as_deref().map(|force| words("force", force)).transpose()?;
    Ok(Release { service: request.service.as_str().into(), why: words("why", &request.why)?, who: who(actor, request.who.as_deref())?, force })
}
