//! `aya drill`: a failure that is played with observations, or a drain, for a bounded time; never a real service.
//!
//! Nodes play their drills each for itself. Before one is announced every node is asked who would move: if one refuses, nothing is changed
//! anywhere; then whoever asked is asked, unless `--yes` says it. One that cannot be reached holds up nobody; the exit code says so.
//!
//! | exit code | what |
//! |---|---|
//! | 0 | done on every node; with `--wait`, over by itself, and every `rto` kept |
//! | 1 | refused, or not wanted after all: nothing has changed. With `--wait`: aborted, or an `rto` missed |
//! | 2 | it could not be done, as far as is known |
//! | 3 | done on some nodes only |

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::time::Duration;

use clap::{Args, Subcommand};

use super::Exit;
use super::client::{Client, ClientError};
use super::overrides::{Nodes, exit_of, moves, seconds, tell_all, who};
use crate::admin::drills::{DrillView, DrilledView, ListView, RunRequest};
use crate::control::drills::Report;
use crate::limits::{CONTROL_TICK_MS, DRILL_ERRORS_PERMILLE, DRILL_LIFE_MS_MAX, DRILL_PRE_ROLL_MS_MAX};
use crate::units::counted;

/// How often a node is asked how far its drill is.
const LOOK_AGAIN: Duration = Duration::from_millis(4 * CONTROL_TICK_MS);
/// How often at most, until the longest drill is over.
const LOOKS_MAX: u64 = (DRILL_LIFE_MS_MAX + DRILL_PRE_ROLL_MS_MAX) / (4 * CONTROL_TICK_MS) + 60;

/// What `aya drill` is told.
#[derive(Debug, Args)]
pub struct DrillArgs {
    /// What is to be done.
    #[command(subcommand)]
    verb: DrillVerb,
}

/// What can be done with drills.
#[derive(Debug, Subcommand)]
enum DrillVerb {
    /// Announce one: tells who will move, asks, and plays it when caches hold the shorter TTL. It ends by itself.
    Run(Box<RunArgs>),
    /// Tell the one that is under way, and those that are reported.
    List(ListArgs),
    /// Tell how far one is.
    Show(OneArgs),
    /// End one now: observations are real again at once.
    Abort(AbortArgs),
    /// Tell the report of one that is over, in Markdown; with --json, in JSON.
    Report(OneArgs),
}

/// What `aya drill run` is told.
#[derive(Debug, Args)]
struct RunArgs {
    /// Words that must all match, as in cloud:aws or "service:api region:gcp-*": cloud, region, zone, service, endpoint.
    #[arg(required = true)]
    selector: Vec<String>,
    /// What is played.
    #[command(flatten)]
    plays: PlaysArgs,
    /// How long it is played, from 1min to 2h.
    #[arg(long = "for", value_name = "TIME", value_parser = seconds)]
    life: u64,
    /// Announce it for this long before; by default a second more than the longest steady TTL, so that caches hold the moving one.
    #[arg(long, value_name = "TIME", value_parser = seconds)]
    pre_roll: Option<u64>,
    /// Begin at once, with steady TTLs in the caches.
    #[arg(long, conflicts_with = "pre_roll")]
    no_pre_roll: bool,
    /// Why; shows in every explanation.
    #[arg(long, value_name = "TEXT", default_value = "drill")]
    why: String,
    /// Who; by default the user of this system.
    #[arg(long, value_name = "NAME", env = "AYA_WHO")]
    who: Option<String>,
    /// A guard that does not abort it: incident, headroom or errors; may be given several times.
    #[arg(long, value_name = "GUARD")]
    without: Vec<String>,
    /// Answers, in thousandths, that may be given for want of anything that is up.
    #[arg(long, value_name = "PERMILLE", default_value_t = DRILL_ERRORS_PERMILLE)]
    errors_permille: u16,
    /// Go past the safety rules, for this reason; it is logged and audited.
    #[arg(long, value_name = "REASON")]
    force: Option<String>,
    /// Only tell who would move.
    #[arg(long)]
    dry_run: bool,
    /// Do not ask.
    #[arg(long, short)]
    yes: bool,
    /// Tell what happens until it is over, then the report. Whoever interrupts this interrupts no drill.
    #[arg(long)]
    wait: bool,
    /// Where.
    #[command(flatten)]
    nodes: Nodes,
}

/// What a drill plays.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct PlaysArgs {
    /// Their probes fail.
    #[arg(long)]
    fail: bool,
    /// They are drained.
    #[arg(long)]
    drain: bool,
    /// Their probes take so much longer, as in 300ms; beyond their time-out they fail.
    #[arg(long, value_name = "TIME")]
    slow: Option<String>,
    /// This share of their probes fails, as in 20%.
    #[arg(long, value_name = "SHARE")]
    lossy: Option<String>,
}

impl PlaysArgs {
    /// As the API reads it.
    fn word(&self) -> String {
        match (&self.slow, &self.lossy) {
            (Some(time), _) => format!("slow={time}"),
            (_, Some(share)) => format!("lossy={share}"),
            _ if self.drain => "drain".to_owned(),
            _ => "fail".to_owned(),
        }
    }
}

/// What `aya drill list` is told.
#[derive(Debug, Args)]
struct ListArgs {
    /// Where.
    #[command(flatten)]
    nodes: Nodes,
}

/// What `aya drill show` and `report` are told.
#[derive(Debug, Args)]
struct OneArgs {
    /// Its number; by default the newest.
    id: Option<u64>,
    /// Where.
    #[command(flatten)]
    nodes: Nodes,
}

/// What `aya drill abort` is told.
#[derive(Debug, Args)]
struct AbortArgs {
    /// Its number; by default the one under way.
    id: Option<u64>,
    /// Why.
    #[arg(long, value_name = "TEXT", default_value = "aborted")]
    why: String,
    /// Who; by default the user of this system.
    #[arg(long, value_name = "NAME", env = "AYA_WHO")]
    who: Option<String>,
    /// Where.
    #[command(flatten)]
    nodes: Nodes,
}

/// Runs `aya drill`.
pub fn run(args: &DrillArgs) -> Exit {
    match &args.verb {
        DrillVerb::Run(args) => announce(args),
        DrillVerb::List(args) => on_all(&args.nodes, list, told_list),
        DrillVerb::Show(args) => on_all(&args.nodes, |client| show(client, newest(client, args.id)?), told_view),
        DrillVerb::Abort(args) => abort(args),
        DrillVerb::Report(args) => on_all(&args.nodes, |client| report(client, newest(client, args.id)?), ToString::to_string),
    }
}

/// Asks every node something and tells what it says.
fn on_all<T: serde::Serialize>(nodes: &Nodes, ask: impl Fn(&Client) -> Result<T, ClientError>, told: impl Fn(&T) -> String) -> Exit {
    let Some(clients) = nodes.clients() else { return Exit::Error };
    let outcomes: Vec<Result<T, ClientError>> = clients.iter().map(ask).collect();
    tell_all(nodes, &clients, &outcomes, told);
    exit_of(&outcomes)
}

/// Reads what a node answered.
fn read<T: serde::de::DeserializeOwned>(client: &Client, body: &str) -> Result<T, ClientError> {
    serde_json::from_str(body).map_err(|error| ClientError::Strange(client.api().to_owned(), error.to_string()))
}

/// The drills of a node.
fn list(client: &Client) -> Result<ListView, ClientError> {
    read(client, &client.get("/v1/drills", &[], "application/json")?)
}

/// How far a drill is.
fn show(client: &Client, id: u64) -> Result<DrillView, ClientError> {
    read(client, &client.get(&format!("/v1/drills/{id}"), &[], "application/json")?)
}

/// The report of a drill.
fn report(client: &Client, id: u64) -> Result<Report, ClientError> {
    read(client, &client.get(&format!("/v1/drills/{id}/report"), &[], "application/json")?)
}

/// The drill that is meant on a node: this one, or the newest.
fn newest(client: &Client, id: Option<u64>) -> Result<u64, ClientError> {
    let Some(id) = id else {
        let list = list(client)?;
        let newest = list.current.map(|one| one.id).or_else(|| list.reports.first().map(|one| one.id));
        let none = || ClientError::Refused { api: client.api().to_owned(), status: 404, detail: "there was no drill yet".to_owned() };
        return newest.ok_or_else(none);
    };
    Ok(id)
}

/// Announces a drill on every node, if all would and whoever asked wants it.
fn announce(args: &RunArgs) -> Exit {
    let Some(who) = who(args.who.as_deref()) else { return Exit::Error };
    let request = RunRequest {
        selector: args.selector.join(" "),
        plays: args.plays.word(),
        for_seconds: args.life,
        pre_roll_seconds: if args.no_pre_roll { Some(0) } else { args.pre_roll },
        why: args.why.clone(),
        who: Some(who),
        without: args.without.clone(),
        errors_permille: args.errors_permille,
        force: args.force.clone(),
        dry_run: false,
    };
    let Some(clients) = args.nodes.clients() else { return Exit::Error };
    let ask = |client: &Client, dry_run: bool| {
        let request = RunRequest { dry_run, ..request.clone() };
        let body = client.post("/v1/drills", &serde_json::to_string(&request).expect("texts and numbers have a JSON form"))?;
        read::<DrilledView>(client, &body)
    };
    let asked: Vec<Result<DrilledView, ClientError>> = clients.iter().map(|client| ask(client, true)).collect();
    let is_refused = asked.iter().any(|asked| asked.as_ref().is_err_and(ClientError::is_refusal));
    let nobody = asked.iter().all(Result::is_err);
    if args.dry_run || is_refused || nobody {
        tell_all(&args.nodes, &clients, &asked, told_drilled);
        return if is_refused { Exit::Negative } else { exit_of(&asked) };
    }
    if !args.yes {
        let told = clients.iter().zip(&asked).filter_map(|(client, asked)| Some(format!("{}:\n{}", client.api(), told_drilled(asked.as_ref().ok()?))));
        match confirm(&told.collect::<String>()) {
            Some(true) => {}
            Some(false) => return Exit::Negative,
            None => return Exit::Error,
        }
    }
    let outcomes: Vec<Result<DrilledView, ClientError>> = clients.iter().map(|client| ask(client, false)).collect();
    tell_all(&args.nodes, &clients, &outcomes, told_drilled);
    let exit = exit_of(&outcomes);
    if args.wait && exit != Exit::Negative && exit != Exit::Error {
        let running = clients.iter().zip(&outcomes).filter_map(|(client, outcome)| Some((client, outcome.as_ref().ok()?.drill.id)));
        let ended = wait_for_all(&args.nodes, &running.collect::<Vec<_>>());
        return if exit == Exit::Ok { ended } else { exit };
    }
    exit
}

/// Asks whoever types whether the drill is to be; `None` where nobody does.
#[expect(clippy::print_stderr, reason = "this is where people are asked")]
fn confirm(told: &str) -> Option<bool> {
    eprint!("{told}");
    if !std::io::stdin().is_terminal() {
        eprintln!("aya: a drill moves real clients, and nobody is there to be asked: say --yes");
        return None;
    }
    eprint!("This moves real clients. Run the drill? [y/N] ");
    let _ = std::io::stderr().flush();
    let mut line = String::new();
    let read = std::io::stdin().lock().read_line(&mut line);
    Some(read.is_ok() && matches!(line.trim(), "y" | "Y" | "yes"))
}

/// Tells what happens until every drill is over, then the reports.
#[expect(clippy::print_stderr, reason = "this is where people are told")]
fn wait_for_all(nodes: &Nodes, running: &[(&Client, u64)]) -> Exit {
    let mut told: BTreeMap<&str, String> = BTreeMap::new();
    let mut left: Vec<(&Client, u64)> = running.to_vec();
    let mut reports: BTreeMap<&str, Result<Report, ClientError>> = BTreeMap::new();
    for _ in 0..LOOKS_MAX {
        left.retain(|(client, id)| match report(client, *id) {
            // Not over yet, or not reported yet.
            Err(ClientError::Refused { status: 404 | 409, .. } | ClientError::Ask(..)) => {
                if let Ok(view) = show(client, *id) {
                    let line = progress(&view);
                    if told.insert(client.api(), line.clone()).is_none_or(|before| before != line) {
                        eprintln!("{}{line}", if running.len() > 1 { format!("{}: ", client.api()) } else { String::new() });
                    }
                }
                true
            }
            other => {
                reports.insert(client.api(), other);
                false
            }
        });
        if left.is_empty() {
            break;
        }
        pause();
    }
    for (client, _) in &left {
        eprintln!("aya: the drill of the node at {} is not reported", client.api());
    }
    let clients: Vec<Client> = running.iter().filter(|(client, _)| reports.contains_key(client.api())).map(|(client, _)| (*client).clone()).collect();
    let outcomes: Vec<Result<Report, ClientError>> = clients.iter().filter_map(|client| reports.remove(client.api())).collect();
    tell_all(nodes, &clients, &outcomes, ToString::to_string);
    let is_missed = |report: &Report| report.aborted || report.told.iter().any(|service| service.within_rto == Some(false));
    match exit_of(&outcomes) {
        Exit::Ok if !left.is_empty() => Exit::Error,
        Exit::Ok if outcomes.iter().flatten().any(is_missed) => Exit::Negative,
        other => other,
    }
}

/// Waits a moment before a node is asked again.
#[expect(clippy::disallowed_methods, reason = "a command that waits for a drill has nothing else to do")]
fn pause() {
    std::thread::sleep(LOOK_AGAIN);
}

/// Aborts a drill on every node.
fn abort(args: &AbortArgs) -> Exit {
    let Some(who) = who(args.who.as_deref()) else { return Exit::Error };
    let ask = |client: &Client| {
        let none = || ClientError::Refused { api: client.api().to_owned(), status: 404, detail: "no drill is announced or running".to_owned() };
        let id = args.id.map_or_else(|| list(client)?.current.map(|one| one.id).ok_or_else(none), Ok)?;
        let body = client.delete(&format!("/v1/drills/{id}"), &[("who", &who), ("why", &args.why)])?;
        read::<DrilledView>(client, &body)
    };
    on_all(&args.nodes, ask, |drilled| format!("aborted: drill {} {} {}\n", drilled.drill.id, drilled.drill.plays, drilled.drill.selector))
}

/// What a node will play, or would, in words.
fn told_drilled(drilled: &DrilledView) -> String {
    let mut text = String::new();
    let DrillView { id, plays, selector, starts, starts_in_seconds, ends, why, .. } = &drilled.drill;
    let would = if drilled.dry_run { "would be announced: " } else { "announced: " };
    let _ = writeln!(text, "{would}drill {id}, {plays} {selector}: {why}");
    let _ = writeln!(
        text,
        "  {} of {}, from {starts} (in {starts_in_seconds} s) to {ends}",
        counted(drilled.endpoints, "endpoint"),
        counted(drilled.services, "service")
    );
    if !drilled.unprobed.is_empty() {
        let _ = writeln!(text, "  not probed, so nothing can be played with them: {}", drilled.unprobed.join(", "));
    }
    for rule in &drilled.forced {
        let _ = writeln!(text, "forced: {rule}");
    }
    text.push_str(&moves(&drilled.moved, "will move at most"));
    text
}

/// How far a drill is, in words.
fn told_view(one: &DrillView) -> String {
    format!("drill {}, {} {} by {}: {}\n{}\n", one.id, one.plays, one.selector, one.who, one.why, progress(one))
}

/// How far a drill is, in a line that only changes with what happens.
fn progress(one: &DrillView) -> String {
    let mut line = match one.phase.as_str() {
        "announced" => format!("announced: it starts at {}", one.starts),
        "running" => format!("running since {}, until {}", one.starts, one.ends),
        _ => format!("over since {}", one.ends),
    };
    for (what, millis) in [("detected", one.detected_ms), ("decided", one.decided_ms), ("published", one.published_ms)] {
        if let Some(millis) = millis {
            let _ = write!(line, "; {what} after {}.{:02} s", millis / 1_000, millis % 1_000 / 10);
        }
    }
    line
}

/// The drills of a node, in lines.
fn told_list(list: &ListView) -> String {
    let mut text = list.current.as_ref().map_or_else(|| "no drill is under way\n".to_owned(), told_view);
    for one in &list.reports {
        let recovery = one.recovery_ms.map_or_else(|| "none".to_owned(), |millis| format!("{}.{:02} s", millis / 1_000, millis % 1_000 / 10));
        let kept = match one.within_rto {
            Some(true) => ", within every rto",
            Some(false) => ", an rto MISSED",
            None => "",
        };
        let _ = writeln!(text, "{}  {} {}  over {}: {}; recovery {recovery}{kept}", one.id, one.plays, one.selector, one.ended, one.ceased);
    }
    text
}
