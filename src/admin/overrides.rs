//! `/v1/overrides`: what operators intend with endpoints, told, set and cleared.
//!
//! | request | what | statuses |
//! |---|---|---|
//! | `GET /v1/overrides` | those in force | 200 |
//! | `POST /v1/overrides` | sets one ([`SetRequest`]); one of the same selector is replaced | 201, 200 (dry run), 400, 404, 409, 413, 415, 422, 500, 503 |
//! | `DELETE /v1/overrides/{id}?who=&why=` | clears the one of this number | 200, 400, 404, 409, 422, 500, 503 |
//! | `DELETE /v1/overrides?selector=&who=&why=` | clears those that are about nothing but what this selects | 200, 400, 404, 409, 422, 500, 503 |
//!
//! Who did it is the holder of the token; `who` says for whom, and stands behind it in the audit trail: `ci for anna`. Only where no tokens are asked
//! for does `who` stand alone, and then it must be said.
//!
//! With `dry-run` nothing is changed, and the answer tells who would move. A refusal is a problem document, and nothing has changed:
//! 404 what is named is not there, 409 a safety rule or the state of the node forbids it, 422 a value is wrong, 503 too busy.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{delete, get};
use axum::{Extension, Router};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Context;
use super::api::{Guarded, NotGrantedAnswers, Reading, Writing};
use super::gate::Actor;
use super::problem::{Body, Nothing, Params, Part, Problem};
use crate::control::drills::Refusal as Undrilled;
use crate::control::overrides::{Action, Clear, Moved, NoReturn, Override, Refusal, Selector, ServiceMoved, Set, Way, Which, Wish, Words};
use crate::limits::{OVERRIDE_LIFE_MS, OVERRIDE_LIFE_MS_MAX};
use crate::publish::{Granted, NotGranted};
use crate::telemetry::Wished;
use crate::units::{Moment, Permille};

/// The paths.
pub(super) fn routes() -> Router<Context> {
    Router::new().route("/v1/overrides", get(list).post(set).delete(clear_selected)).route("/v1/overrides/{id}", delete(clear_one))
}

/// An override that is to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SetRequest {
    /// Words that must all match, such as `service:api region:gcp-*`: cloud, region, zone, service, endpoint; `*` stands for any text.
    #[schema(min_length = 1, max_length = 512, example = "cloud:aws service:api")]
    pub selector: String,
    /// `drain`, `out`, `in`, or `weight=40%`.
    #[schema(min_length = 1, example = "drain")]
    pub action: String,
    /// Seconds over which a drain takes the clients away; 0 is at once.
    #[serde(default)]
    pub over_seconds: u64,
    /// Seconds until it ends by itself, 60 to 259,200; four hours if it is not said.
    #[serde(default = "for_seconds")]
    #[schema(minimum = 60, maximum = 259_200)]
    pub for_seconds: u64,
    /// Why: 1 to 200 octets, a line.
    #[schema(min_length = 1, max_length = 200, example = "maintenance")]
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

/// The default of [`SetRequest::for_seconds`].
const fn for_seconds() -> u64 {
    OVERRIDE_LIFE_MS / 1_000
}

/// Which overrides are to be gone, by whom and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[into_params(parameter_in = Query, rename_all = "kebab-case")]
pub struct ClearQuery {
    /// Those that are about nothing but what this selects; only where the path names no number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<String>,
    /// Who, or with a token for whom: a line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub who: Option<String>,
    /// Why: a line; `restored` if it is not said.
    #[serde(default = "restored")]
    pub why: String,
    /// Whether it is only to be told who would move.
    #[serde(default)]
    pub dry_run: bool,
}

/// The default of [`ClearQuery::why`].
fn restored() -> String {
    "restored".to_owned()
}

/// The overrides in force.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct ListView {
    /// By number.
    pub overrides: Vec<OverrideView>,
}

/// One override.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct OverrideView {
    /// Its number on this node.
    pub id: u64,
    /// The endpoints that it is about.
    pub selector: String,
    /// `drain`, `out`, `in`, `weight=40.0%`.
    pub action: String,
    /// Seconds over which it drains; absent where it does not, or at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub over_seconds: Option<u64>,
    /// What it does at this moment, in words.
    pub now: String,
    /// Why.
    pub why: String,
    /// Who made it.
    pub who: String,
    /// When it was made (RFC 3339).
    pub made: String,
    /// When it ends by itself (RFC 3339).
    pub expires: String,
    /// Seconds until then.
    pub expires_in_seconds: u64,
    /// Endpoints that it has the say over; of one that is only proposed, those that it is about.
    pub endpoints: usize,
}

/// What a request came to, or would come to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct GrantedView {
    /// Whether nothing has changed, since only that was asked.
    pub dry_run: bool,
    /// Generation of the first world that has it; of a dry run that of the present world.
    pub generation: u64,
    /// The new override, if one is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made: Option<OverrideView>,
    /// Those that are gone: cleared, or replaced by the new one.
    pub gone: Vec<OverrideView>,
    /// Who moves, in the end.
    pub moved: MovedView,
    /// Safety rules that it goes past, in words.
    pub forced: Vec<String>,
}

/// Who moves. Shares are those of a sample of places and clients.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct MovedView {
    /// Share of all clients of all services, in per cent.
    pub clients_percent: f64,
    /// Endpoints whose status is another.
    pub endpoints: usize,
    /// Services that have such endpoints.
    pub services: usize,
    /// The services of whose clients most move.
    pub most: Vec<ServiceMovedView>,
}

/// Who of a service moves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct ServiceMovedView {
    /// The service's owner name.
    pub service: String,
    /// Share of its clients, in per cent.
    pub clients_percent: f64,
    /// From where to where; the most clients first.
    pub ways: Vec<WayView>,
}

/// Clients that go from one endpoint to another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct WayView {
    /// The endpoint before; absent where there was no answer.
    pub from: Option<String>,
    /// The endpoint after; absent where there is none.
    pub to: Option<String>,
    /// Share of the service's clients, in per cent.
    pub clients_percent: f64,
}

/// A share in per cent.
fn percent(share: Permille) -> f64 {
    f64::from(share.0) / 10.0
}

impl OverrideView {
    /// Of an override, now.
    pub(super) fn of(one: &Override, endpoints: usize, now: Moment) -> Self {
        let over_seconds = match one.action {
            Action::Drain { over_ms } if over_ms > 0 => Some(over_ms / 1_000),
            _ => None,
        };
        Self {
            id: one.id,
            selector: one.selector.to_string(),
            action: one.action.to_string(),
            over_seconds,
            now: one.deed(now).to_string(),
            why: one.why.to_string(),
            who: one.who.to_string(),
            made: one.made.to_string(),
            expires: one.expires.to_string(),
            expires_in_seconds: one.expires.millis_since(now).div_ceil(1_000),
            endpoints,
        }
    }
}

impl GrantedView {
    /// What a wish came to.
    fn of(granted: &Granted, dry_run: bool, now: Moment) -> Self {
        let proposal = &granted.proposal;
        Self {
            dry_run,
            generation: granted.generation,
            made: proposal.made.as_ref().map(|one| OverrideView::of(one, proposal.endpoints, now)),
            gone: proposal.gone.iter().map(|one| OverrideView::of(one, 0, now)).collect(),
            moved: MovedView::of(&proposal.moved),
            forced: proposal.forced.iter().map(ToString::to_string).collect(),
        }
    }
}

impl MovedView {
    /// The same for programs.
    pub(super) fn of(moved: &Moved) -> Self {
        let most = moved.told.iter().map(|ServiceMoved { service, clients, ways }| ServiceMovedView {
            service: service.to_string(),
            clients_percent: percent(*clients),
            ways: ways
                .iter()
                .map(|Way { from, to, clients }| WayView {
                    from: from.as_ref().map(ToString::to_string),
                    to: to.as_ref().map(ToString::to_string),
                    clients_percent: percent(*clients),
                })
                .collect(),
        });
        Self { clients_percent: percent(moved.clients), endpoints: moved.endpoints, services: moved.services, most: most.collect() }
    }
}

/// The overrides in force.
#[utoipa::path(get, path = "/v1/overrides", tag = "intend", responses((status = 200, description = "By number", body = ListView), Reading, Guarded))]
pub(super) async fn list(State(context): State<Context>, _: Params<Nothing>) -> Json<ListView> {
    let (overrides, world, now) = (context.control.overrides(), context.worlds.load(), context.clock.now());
    let governed = |id: u64| {
        let index = world.notes.all.iter().position(|note| note.id == id);
        world.notes.of.iter().filter(|(_, by)| Some(usize::from(*by)) == index).count()
    };
    Json(ListView { overrides: overrides.all.iter().map(|one| OverrideView::of(one, governed(one.id), now)).collect() })
}

/// Sets an override; one of the same selector is replaced.
#[utoipa::path(
    post, path = "/v1/overrides", tag = "intend", request_body = SetRequest,
    responses(
        (status = 201, description = "It is in force, on the disk and in the trail", body = GrantedView),
        (status = 200, description = "A dry run: what it would come to", body = GrantedView),
        NotGrantedAnswers, Writing, Guarded
    )
)]
pub(super) async fn set(
    State(context): State<Context>,
    Extension(actor): Extension<Actor>,
    _: Params<Nothing>,
    Body(request): Body<SetRequest>,
) -> Result<Response, Problem> {
    let dry_run = request.dry_run;
    let wish = Wish::Set(read_set(&request, &actor)?);
    let granted = grant(&context, wish, dry_run).await?;
    Ok((if dry_run { StatusCode::OK } else { StatusCode::CREATED }, Json(granted)).into_response())
}

/// Clears the override of a number.
#[utoipa::path(
    delete, path = "/v1/overrides/{id}", tag = "intend", params(("id" = u64, Path, description = "Its number"), ClearQuery),
    responses((status = 200, description = "It is gone", body = GrantedView), NotGrantedAnswers, Reading, Guarded)
)]
pub(super) async fn clear_one(
    State(context): State<Context>,
    Extension(actor): Extension<Actor>,
    Part(id): Part<String>,
    Params(query): Params<ClearQuery>,
) -> Result<Json<GrantedView>, Problem> {
    let id = id.parse().map_err(|_| Problem::new(StatusCode::NOT_FOUND, "overrides have numbers, such as /v1/overrides/17"))?;
    if query.selector.is_some() {
        return Err(Problem::wrong("a number and a selector: which is meant?"));
    }
    clear(&context, Which::Id(id), &query, &actor).await
}

/// Clears the overrides that are about nothing but what a selector selects.
#[utoipa::path(
    delete, path = "/v1/overrides", tag = "intend", params(ClearQuery),
    responses((status = 200, description = "They are gone", body = GrantedView), NotGrantedAnswers, Reading, Guarded)
)]
pub(super) async fn clear_selected(
    State(context): State<Context>,
    Extension(actor): Extension<Actor>,
    Params(query): Params<ClearQuery>,
) -> Result<Json<GrantedView>, Problem> {
    let selector = query.selector.as_deref().ok_or_else(|| Problem::wrong("no selector: which overrides are to be cleared?"))?;
    let selector = selector.parse::<Selector>().map_err(|error| Problem::wrong(error.to_string()))?;
    clear(&context, Which::Selector(selector), &query, &actor).await
}

/// Clears some.
async fn clear(context: &Context, which: Which, query: &ClearQuery, actor: &Actor) -> Result<Json<GrantedView>, Problem> {
    let wish = Wish::Clear(Clear { which, why: words("why", &query.why)?, who: who(actor, query.who.as_deref())? });
    grant(context, wish, query.dry_run).await.map(Json)
}

/// Has a wish granted, as overrides are told.
async fn grant(context: &Context, wish: Wish, dry_run: bool) -> Result<GrantedView, Problem> {
    wish_for(context, wish, dry_run).await.map(|granted| GrantedView::of(&granted, dry_run, context.clock.now()))
}

/// Has a wish granted.
pub(super) async fn wish_for(context: &Context, wish: Wish, dry_run: bool) -> Result<Granted, Problem> {
    let outcome = context.control.wish(wish, dry_run).await;
    if !dry_run {
        context.telemetry.count_wish(match &outcome {
            Ok(_) => Wished::Granted,
            Err(NotGranted::Refused(_) | NotGranted::Drill(_) | NotGranted::NoFolder | NotGranted::Busy | NotGranted::Followed) => Wished::Refused,
            Err(NotGranted::Audit { .. } | NotGranted::Write(_) | NotGranted::Unwritten(_) | NotGranted::Ended) => Wished::Failed,
        });
    }
    outcome.map_err(|refused| problem(&refused))
}

/// A refusal as a problem document.
pub(super) fn problem(refused: &NotGranted) -> Problem {
    let status = match refused {
        NotGranted::Refused(Refusal::Life | Refusal::Over) | NotGranted::Drill(Undrilled::Life | Undrilled::Plays) => StatusCode::UNPROCESSABLE_ENTITY,
        NotGranted::Refused(Refusal::MatchesNothing { .. } | Refusal::NoSuch(_) | Refusal::NoneOf { .. } | Refusal::NoReturn(NoReturn::NoService { .. }))
        | NotGranted::Drill(Undrilled::MatchesNothing { .. } | Undrilled::NoSuch(_) | Undrilled::None) => StatusCode::NOT_FOUND,
        NotGranted::Refused(Refusal::TooMany | Refusal::Unsafe(_) | Refusal::NoReturn(_))
        | NotGranted::Drill(Undrilled::Unprobed { .. } | Undrilled::OneAtATime(_) | Undrilled::Unsafe(_))
        | NotGranted::NoFolder => StatusCode::CONFLICT,
        NotGranted::Audit { .. } | NotGranted::Write(_) | NotGranted::Unwritten(_) => StatusCode::INTERNAL_SERVER_ERROR,
        NotGranted::Busy | NotGranted::Followed | NotGranted::Ended => StatusCode::SERVICE_UNAVAILABLE,
    };
    let mut detail = refused.to_string();
    if let Some(source) = std::error::Error::source(refused).filter(|_| status == StatusCode::INTERNAL_SERVER_ERROR) {
        detail.push_str(&format!(": {source}"));
    }
    Problem::new(status, detail)
}

/// Reads what is to be set.
fn read_set(request: &SetRequest, actor: &Actor) -> Result<Set, Problem> {
    let selector = request.selector.parse::<Selector>().map_err(|error| Problem::wrong(error.to_string()))?;
    let action = match (request.action.parse::<Action>().map_err(|error| Problem::wrong(error.to_string()))?, request.over_seconds) {
        (Action::Drain { .. }, seconds) => Action::Drain { over_ms: millis(seconds) },
        (other, 0) => other,
        (other, _) => return Err(Problem::wrong(format!("only a drain takes time, `{other}` is at once"))),
    };
    let force = request.force.as_deref().map(|force| words("force", force)).transpose()?;
    Ok(Set { selector, action, why: words("why", &request.why)?, who: who(actor, request.who.as_deref())?, life_ms: millis(request.for_seconds), force })
}

/// Seconds in milliseconds; what is longer than any override lives stays longer.
fn millis(seconds: u64) -> u64 {
    seconds.saturating_mul(1_000).min(OVERRIDE_LIFE_MS_MAX + 1)
}

/// Reads a line.
pub(super) fn words(field: &str, text: &str) -> Result<Words, Problem> {
    Words::parse(text).map_err(|error| Problem::wrong(format!("`{field}` must be a line of 1 to 200 octets: {error}")))
}

/// Who does it: the token's holder, and for whom; or whoever says so, where no tokens are asked for.
pub(super) fn who(actor: &Actor, told: Option<&str>) -> Result<Words, Problem> {
    match (&actor.name, told) {
        (Some(name), None) => words("who", name),
        (Some(name), Some(told)) if **name == *told => words("who", name),
        (Some(name), Some(told)) => {
            // First by itself, so that what is wrong is told of what was written.
            words("who", told)?;
            words("who", &format!("{name} for {told}"))
        }
        (None, Some(told)) => words("who", told),
        (None, None) => Err(Problem::wrong("missing field `who`: who is it?")),
    }
}
