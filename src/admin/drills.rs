//! `/v1/drills`: failures that are played and measured, announced, told, aborted and reported.
//!
//! | request | what | statuses |
//! |---|---|---|
//! | `GET /v1/drills` | the one that is announced or running, and reports of earlier ones | 200 |
//! | `POST /v1/drills` | announces one ([`RunRequest`]) | 201, 200 (dry run), 400, 404, 409, 413, 415, 422, 500, 503 |
//! | `GET /v1/drills/{id}` | how far one is | 200, 404 |
//! | `GET /v1/drills/{id}/report` | the report: JSON, or Markdown to whoever prefers `text/markdown` or `text/plain` | 200, 404, 409, 500 |
//! | `DELETE /v1/drills/{id}?who=&why=` | aborts it: observations are real again at once | 200, 404, 409, 422, 500, 503 |
//!
//! Who it is, is told as for overrides. With `dry-run` nothing is changed, and the answer tells who would move. A refusal is a problem document, and nothing has changed: 404 what is
//! named is not there, 409 a safety rule or the state of the node forbids it, 422 a value is wrong, 503 too busy.

use std::collections::BTreeSet;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use axum::{Extension, Router};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Context;
use super::api::{Guarded, Named, NotGrantedAnswers, Reading, Writing};
use super::gate::Actor;
use super::overrides::{MovedView, problem, who, words};
use super::problem::{Body, Nothing, Params, Part, Problem};
use crate::control::drills::{Abort, Drill, Guard, Marks, Plays, Record, Report, Run, UnderWay, Wish};
use crate::control::overrides::Selector;
use crate::limits::{DRILL_ERRORS_PERMILLE, DRILL_LIFE_MS_MAX, DRILL_REPORTS_MAX};
use crate::publish::{Drilled, NotGranted, Shelf};
use crate::telemetry::Wished;
use crate::units::{Moment, Permille};

/// The paths.
pub(super) fn routes() -> Router<Context> {
    Router::new().route("/v1/drills", get(list).post(run)).route("/v1/drills/{id}", get(show).delete(abort)).route("/v1/drills/{id}/report", get(report))
}

/// A drill that is to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RunRequest {
    /// Words that must all match, such as `service:api region:gcp-*`: cloud, region, zone, service, endpoint; `*` stands for any text.
    #[schema(min_length = 1, max_length = 512, example = "cloud:aws service:api")]
    pub selector: String,
    /// `fail`, `drain`, `slow=300ms`, or `lossy=20%`.
    #[schema(min_length = 1, example = "fail")]
    pub plays: String,
    /// Seconds from its start to its end, 60 to 7,200.
    #[schema(minimum = 60, maximum = 7_200)]
    pub for_seconds: u64,
    /// Seconds from its announcement to its start, at most 7,200. If it is not said, a second more than the longest steady TTL of its services, so that
    /// caches hold `ttl.moving` when it starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pre_roll_seconds: Option<u64>,
    /// Why: 1 to 200 octets, a line.
    #[schema(min_length = 1, max_length = 200, example = "game day")]
    pub why: String,
    /// Who, or with a token for whom: 1 to 200 octets, a line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub who: Option<String>,
    /// Guards that are off: `incident`, `headroom`, `errors`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without: Vec<String>,
    /// Share of the answers, in thousandths, that may be given for want of anything that is up before the guard `errors` aborts it; 10 if it is not said.
    #[serde(default = "errors_permille")]
    pub errors_permille: u16,
    /// Why safety rules do not count this time, if they do not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub force: Option<String>,
    /// Whether it is only to be told who would move.
    #[serde(default)]
    pub dry_run: bool,
}

/// The default of [`RunRequest::errors_permille`].
const fn errors_permille() -> u16 {
    DRILL_ERRORS_PERMILLE
}

/// By whom and why a drill is aborted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[into_params(parameter_in = Query, rename_all = "kebab-case")]
pub struct AbortQuery {
    /// Who, or with a token for whom: a line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub who: Option<String>,
    /// Why: a line; `aborted` if it is not said.
    #[serde(default = "aborted")]
    pub why: String,
    /// Whether it is only to be told what would be aborted.
    #[serde(default)]
    pub dry_run: bool,
}

/// The default of [`AbortQuery::why`].
fn aborted() -> String {
    "aborted".to_owned()
}

/// The drills of a node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[schema(as = DrillsView)]
pub struct ListView {
    /// The one that is announced or running.
    pub current: Option<DrillView>,
    /// Those that there are reports of, the newest first.
    pub reports: Vec<ReportedView>,
}

/// One drill that is announced, running or over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct DrillView {
    /// Its number on this node.
    pub id: u64,
    /// `announced`, `running` or `over`.
    pub phase: String,
    /// The endpoints that it is about.
    pub selector: String,
    /// `fail`, `drain`, `slow=300ms`, `lossy=20.0%`.
    pub plays: String,
    /// Why.
    pub why: String,
    /// Who made it.
    pub who: String,
    /// When it was announced (RFC 3339).
    pub announced: String,
    /// When it starts or started (RFC 3339).
    pub starts: String,
    /// The same in milliseconds since the Unix epoch: when it really started, once it has.
    pub starts_unix_ms: u64,
    /// When it ends by itself (RFC 3339).
    pub ends: String,
    /// Seconds until it starts; 0 once it has.
    pub starts_in_seconds: u64,
    /// Seconds until it ends.
    pub ends_in_seconds: u64,
    /// Milliseconds from its start to the first observation that it had fail.
    pub detected_ms: Option<u64>,
    /// To when all of its endpoints were given no clients.
    pub decided_ms: Option<u64>,
    /// To when the world that says so was swapped in.
    pub published_ms: Option<u64>,
    /// To the last wrong answer, as far as it has been seen.
    pub recovery_ms: Option<u64>,
}

/// A drill that is over, in a line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct ReportedView {
    /// Its number.
    pub id: u64,
    /// What it was about.
    pub selector: String,
    /// What was played.
    pub plays: String,
    /// When it was over.
    pub ended: String,
    /// Why.
    pub ceased: String,
    /// From its start to the last wrong answer.
    pub recovery_ms: Option<u64>,
    /// Whether every service that has an `rto` kept it; absent where none has.
    pub within_rto: Option<bool>,
}

/// What a request came to, or would come to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct DrilledView {
    /// Whether nothing has changed, since only that was asked.
    pub dry_run: bool,
    /// Generation of the first world that has it; of a dry run that of the present world.
    pub generation: u64,
    /// The drill.
    pub drill: DrillView,
    /// Endpoints that it plays with.
    pub endpoints: usize,
    /// Services that these are of.
    pub services: usize,
    /// Endpoints that it cannot play with, since they are not probed.
    pub unprobed: Vec<String>,
    /// Who moves at most.
    pub moved: MovedView,
    /// Safety rules that it goes past, in words.
    pub forced: Vec<String>,
}

impl DrillView {
    /// Of a drill, now.
    fn of(one: &UnderWay, now: Moment) -> Self {
        let UnderWay { drill, record } = one;
        let Record { started, all, over, .. } = record;
        let Marks { detected, decided, published, .. } = *all;
        let since = |moment: Option<Moment>| Some(moment?.millis_since((*started)?));
        let phase = match (over, started) {
            (Some(_), _) => "over",
            (None, Some(_)) => "running",
            (None, None) => "announced",
        };
        Self {
            phase: phase.to_owned(),
            starts_unix_ms: started.unwrap_or(drill.starts).0,
            starts_in_seconds: if started.is_some() { 0 } else { drill.starts.millis_since(now).div_ceil(1_000) },
            ends_in_seconds: drill.ends.millis_since(now).div_ceil(1_000),
            detected_ms: since(detected),
            decided_ms: since(decided),
            published_ms: since(published),
            recovery_ms: since(all.recovered()),
            ..Self::announced(drill)
        }
    }

    /// Of a drill of which nothing is known but what was wished.
    fn announced(drill: &Drill) -> Self {
        Self {
            id: drill.id,
            phase: "announced".to_owned(),
            selector: drill.selector.to_string(),
            plays: drill.plays.to_string(),
            why: drill.why.to_string(),
            who: drill.who.to_string(),
            announced: drill.made.to_string(),
            starts: drill.starts.to_string(),
            starts_unix_ms: drill.starts.0,
            ends: drill.ends.to_string(),
            starts_in_seconds: 0,
            ends_in_seconds: 0,
            detected_ms: None,
            decided_ms: None,
            published_ms: None,
            recovery_ms: None,
        }
    }

    /// Of one that is over and reported.
    fn reported(report: &Report) -> Self {
        Self {
            id: report.id,
            phase: "over".to_owned(),
            selector: report.selector.clone(),
            plays: report.plays.clone(),
            why: report.why.clone(),
            who: report.who.clone(),
            announced: report.announced.clone(),
            starts: report.started.clone().unwrap_or_default(),
            starts_unix_ms: report.started_unix_ms.unwrap_or(0),
            ends: report.ended.clone(),
            starts_in_seconds: 0,
            ends_in_seconds: 0,
            detected_ms: report.detected_ms,
            decided_ms: report.decided_ms,
            published_ms: report.published_ms,
            recovery_ms: report.recovery_ms,
        }
    }
}

impl ReportedView {
    /// Of a report.
    fn of(report: &Report) -> Self {
        let kept: Vec<bool> = report.told.iter().filter_map(|service| service.within_rto).collect();
        Self {
            id: report.id,
            selector: report.selector.clone(),
            plays: report.plays.clone(),
            ended: report.ended.clone(),
            ceased: report.ceased.clone(),
            recovery_ms: report.recovery_ms,
            within_rto: (!kept.is_empty()).then(|| kept.iter().all(|kept| *kept)),
        }
    }
}

impl DrilledView {
    /// What a wish came to.
    fn of(drilled: &Drilled, dry_run: bool, now: Moment) -> Self {
        let proposal = &drilled.proposal;
        let drill = match &proposal.next.now {
            Some(one) if one.drill.id == proposal.drill.id => DrillView::of(one, now),
            _ => DrillView::announced(&proposal.drill),
        };
        Self {
            dry_run,
            generation: drilled.generation,
            drill,
            endpoints: proposal.endpoints,
            services: proposal.services,
            unprobed: proposal.unprobed.iter().map(ToString::to_string).collect(),
            moved: MovedView::of(&proposal.moved),
            forced: proposal.forced.iter().map(ToString::to_string).collect(),
        }
    }
}

/// The drill under way, and those reported.
#[utoipa::path(get, path = "/v1/drills", tag = "intend", responses((status = 200, description = "The newest first", body = ListView), Reading, Guarded))]
pub(super) async fn list(State(context): State<Context>, _: Params<Nothing>) -> Result<Json<ListView>, Problem> {
    let current = context.control.drills().current().map(|one| DrillView::of(one, context.clock.now()));
    let reports = on_shelf(&context, |shelf| {
        let numbers = shelf.numbers()?;
        let reports = numbers.iter().rev().take(DRILL_REPORTS_MAX).map(|id| shelf.read(*id)).collect::<std::io::Result<Vec<_>>>()?;
        Ok(reports.iter().flatten().map(ReportedView::of).collect())
    });
    Ok(Json(ListView { current, reports: reports.await? }))
}

/// Announces a drill.
#[utoipa::path(
    post, path = "/v1/drills", tag = "intend", request_body = RunRequest,
    responses(
        (status = 201, description = "It is announced, on the disk and in the trail", body = DrilledView),
        (status = 200, description = "A dry run: what it would come to", body = DrilledView),
        NotGrantedAnswers, Writing, Guarded
    )
)]
pub(super) async fn run(
    State(context): State<Context>,
    Extension(actor): Extension<Actor>,
    _: Params<Nothing>,
    Body(request): Body<RunRequest>,
) -> Result<Response, Problem> {
    let dry_run = request.dry_run;
    let drilled = grant(&context, Wish::Run(read_run(&request, &actor)?), dry_run).await?;
    Ok((if dry_run { StatusCode::OK } else { StatusCode::CREATED }, Json(drilled)).into_response())
}

/// How far a drill is.
#[utoipa::path(
    get, path = "/v1/drills/{id}", tag = "intend", params(("id" = u64, Path, description = "Its number")),
    responses((status = 200, description = "Announced, running or over", body = DrillView), Named, Reading, Guarded)
)]
pub(super) async fn show(State(context): State<Context>, Part(id): Part<String>, _: Params<Nothing>) -> Result<Json<DrillView>, Problem> {
    let id = number(&id)?;
    if let Some(one) = context.control.drills().now.as_ref().filter(|one| one.drill.id == id) {
        return Ok(Json(DrillView::of(one, context.clock.now())));
    }
    let report = on_shelf(&context, move |shelf| shelf.read(id)).await?;
    report.map(|report| Json(DrillView::reported(&report))).ok_or_else(|| no_such(id))
}

/// The report of a drill that is over: JSON, or Markdown to whoever prefers `text/markdown` or `text/plain`.
#[utoipa::path(
    get, path = "/v1/drills/{id}/report", tag = "intend", params(("id" = u64, Path, description = "Its number")),
    responses(
        (status = 200, description = "The report", content((Object = "application/json"), (String = "text/markdown; charset=utf-8"))),
        (status = 409, description = "It is not over", body = Problem, content_type = "application/problem+json"),
        Named, Reading, Guarded
    )
)]
pub(super) async fn report(State(context): State<Context>, headers: HeaderMap, Part(id): Part<String>, _: Params<Nothing>) -> Result<Response, Problem> {
    let id = number(&id)?;
    if context.control.drills().current().is_some_and(|one| one.drill.id == id) {
        return Err(Problem::new(StatusCode::CONFLICT, format!("drill {id} is not over; its report is written then")));
    }
    let report = on_shelf(&context, move |shelf| shelf.read(id)).await?.ok_or_else(|| no_such(id))?;
    let wants = |kind: &[u8]| headers.get(header::ACCEPT).is_some_and(|accept| accept.as_bytes().starts_with(kind));
    if wants(b"text/markdown") || wants(b"text/plain") {
        return Ok(([(header::CONTENT_TYPE, "text/markdown; charset=utf-8")], report.to_string()).into_response());
    }
    Ok(Json(report).into_response())
}

/// Aborts a drill: observations are real again at once.
#[utoipa::path(
    delete, path = "/v1/drills/{id}", tag = "intend", params(("id" = u64, Path, description = "Its number"), AbortQuery),
    responses((status = 200, description = "It is over", body = DrilledView), NotGrantedAnswers, Reading, Guarded)
)]
pub(super) async fn abort(
    State(context): State<Context>,
    Extension(actor): Extension<Actor>,
    Part(id): Part<String>,
    Params(query): Params<AbortQuery>,
) -> Result<Json<DrilledView>, Problem> {
    let id = number(&id)?;
    let wish = Wish::Abort(Abort { id: Some(id), why: words("why", &query.why)?, who: who(&actor, query.who.as_deref())? });
    grant(&context, wish, query.dry_run).await.map(Json)
}

/// Has a wish granted.
async fn grant(context: &Context, wish: Wish, dry_run: bool) -> Result<DrilledView, Problem> {
    let outcome = context.control.drill(wish, dry_run).await;
    if !dry_run {
        context.telemetry.count_drill_wish(match &outcome {
            Ok(_) => Wished::Granted,
            Err(NotGranted::Refused(_) | NotGranted::Drill(_) | NotGranted::NoFolder | NotGranted::Busy | NotGranted::Followed) => Wished::Refused,
            Err(NotGranted::Audit { .. } | NotGranted::Write(_) | NotGranted::Unwritten(_) | NotGranted::Ended) => Wished::Failed,
        });
    }
    outcome.map(|drilled| DrilledView::of(&drilled, dry_run, context.clock.now())).map_err(|refused| problem(&refused))
}

/// Looks at the reports, which may block. Without a state folder there are none.
async fn on_shelf<T: Default + Send + 'static>(context: &Context, look: impl FnOnce(&Shelf) -> std::io::Result<T> + Send + 'static) -> Result<T, Problem> {
    let Some(shelf) = context.control.shelf().cloned() else { return Ok(T::default()) };
    let looked = tokio::task::spawn_blocking(move || look(&shelf)).await;
    let unreadable = |why: String| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, format!("the reports of drills cannot be read: {why}"));
    looked.map_err(|error| unreadable(error.to_string()))?.map_err(|error| unreadable(error.to_string()))
}

/// The number that a path names.
fn number(id: &str) -> Result<u64, Problem> {
    id.parse().map_err(|_| Problem::new(StatusCode::NOT_FOUND, "drills have numbers, such as /v1/drills/3"))
}

/// That there is no drill of a number.
fn no_such(id: u64) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, format!("there is no drill {id}, and no report of one"))
}

/// Reads what is to be played.
fn read_run(request: &RunRequest, actor: &Actor) -> Result<Run, Problem> {
    let selector = request.selector.parse::<Selector>().map_err(|error| Problem::wrong(error.to_string()))?;
    let plays = request.plays.parse::<Plays>().map_err(|error| Problem::wrong(error.to_string()))?;
    let without =
        request.without.iter().map(|guard| guard.parse::<Guard>()).collect::<Result<BTreeSet<_>, _>>().map_err(|error| Problem::wrong(error.to_string()))?;
    if request.errors_permille > Permille::WHOLE.0 {
        return Err(Problem::wrong("`errors-permille` is a share in thousandths: 0 to 1000"));
    }
    let force = request.force.as_deref().map(|force| words("force", force)).transpose()?;
    // What is longer than any drill stays longer.
    let millis = |seconds: u64| seconds.saturating_mul(1_000).min(DRILL_LIFE_MS_MAX + 1);
    Ok(Run {
        selector,
        plays,
        why: words("why", &request.why)?,
        who: who(actor, request.who.as_deref())?,
        life_ms: millis(request.for_seconds),
        pre_roll_ms: request.pre_roll_seconds.map(millis),
        without: without.into_iter().collect(),
        errors: Permille(request.errors_permille),
        force,
    })
}
