//! `aya override`, `aya drain`, `aya restore`: what an operator intends with endpoints, on one node or several.
//!
//! Nodes have their overrides each for itself. With several `--api` addresses all of them are first asked what they would do: if one refuses,
//! nothing is changed anywhere. One that cannot be reached holds up nobody; that the others went ahead is told, and the exit code says so.
//!
//! | exit code | what |
//! |---|---|
//! | 0 | done on every node |
//! | 1 | refused: nothing has changed |
//! | 2 | it could not be done: nothing has changed, as far as is known |
//! | 3 | done on some nodes only |

use std::fmt::Write as _;
use std::io::Write as _;

use clap::{Args, Subcommand};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::client::{Client, ClientError, Reach};
use super::{Exit, chain, tell_error};
use crate::admin::overrides::{GrantedView, ListView, MovedView, OverrideView, SetRequest};
use crate::config::duration_ms;
use crate::units::counted;

/// What `aya override` is told.
#[derive(Debug, Args)]
pub struct OverrideArgs {
    /// What is to be done.
    #[command(subcommand)]
    verb: OverrideVerb,
}

/// What can be done with overrides.
#[derive(Debug, Subcommand)]
enum OverrideVerb {
    /// Set one; one of the same selector is replaced.
    Set(SetArgs),
    /// Tell those in force.
    List(ListArgs),
    /// Clear one by its number, or those that are about nothing but what a selector selects.
    Clear(ClearArgs),
}

/// What `aya override set` is told.
#[derive(Debug, Args)]
struct SetArgs {
    /// Words that must all match, as in "service:api region:gcp-*": cloud, region, zone, service, endpoint.
    selector: String,
    /// drain (no answers while another lawful endpoint is up), out (no answers), in (whatever the probes say), or weight=40% of its clients.
    action: String,
    /// How and for how long.
    #[command(flatten)]
    terms: Terms,
}

/// What `aya drain` is told.
#[derive(Debug, Args)]
pub struct DrainArgs {
    /// Words that must all match, as in service:api region:gcp-*: cloud, region, zone, service, endpoint.
    #[arg(required = true)]
    selector: Vec<String>,
    /// How and for how long.
    #[command(flatten)]
    terms: Terms,
}

/// How and for how long an override is to be.
#[derive(Debug, Args)]
struct Terms {
    /// Why; shows in every explanation.
    #[arg(long, value_name = "TEXT")]
    why: String,
    /// How long, from 1min to 72h.
    #[arg(long = "for", value_name = "TIME", default_value = "4h", value_parser = seconds)]
    life: u64,
    /// Take the clients away in even steps over this time, then drain.
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = seconds)]
    over: u64,
    /// Go past the safety rules, for this reason; it is logged and audited.
    #[arg(long, value_name = "REASON")]
    force: Option<String>,
    /// By whom and where.
    #[command(flatten)]
    common: Common,
}

/// What `aya override clear` is told.
#[derive(Debug, Args)]
pub struct ClearArgs {
    /// A number, or words that must all match.
    #[arg(required = true, value_name = "ID|SELECTOR")]
    what: Vec<String>,
    /// Why.
    #[arg(long, value_name = "TEXT", default_value = "restored")]
    why: String,
    /// By whom and where.
    #[command(flatten)]
    common: Common,
}

/// What `aya override list` is told.
#[derive(Debug, Args)]
struct ListArgs {
    /// Where.
    #[command(flatten)]
    nodes: Nodes,
}

/// By whom and where.
#[derive(Debug, Args)]
pub(super) struct Common {
    /// Who; by default the user of this system.
    #[arg(long, value_name = "NAME", env = "AYA_WHO")]
    pub(super) who: Option<String>,
    /// Only tell who would move.
    #[arg(long)]
    dry_run: bool,
    /// Where.
    #[command(flatten)]
    pub(super) nodes: Nodes,
}

/// Which nodes, and how they are told of.
#[derive(Debug, Args)]
pub(super) struct Nodes {
    /// Admin address of a node; may be given several times.
    #[arg(long, value_name = "ADDRESS", env = "AYA_API", value_delimiter = ',', default_value = "127.0.0.1:8053")]
    pub(super) api: Vec<String>,
    /// One JSON object for each node instead of words.
    #[arg(long)]
    pub(super) json: bool,
    /// What they want to see.
    #[command(flatten)]
    pub(super) reach: Reach,
}

impl Nodes {
    /// Their APIs; `None` where what they want to see cannot be read, which is told.
    pub(super) fn clients(&self) -> Option<Vec<Client>> {
        self.reach.clients(&self.api).inspect_err(|error| tell_error(error)).ok()
    }
}

/// Reads a time in whole seconds.
pub(super) fn seconds(text: &str) -> Result<u64, String> {
    match duration_ms(text)? {
        millis if millis % 1_000 == 0 => Ok(u64::from(millis) / 1_000),
        _ => Err("finer than a second".to_owned()),
    }
}

/// Who does it: as told, or the user of this system.
#[expect(clippy::print_stderr, reason = "this is where people are told")]
pub(super) fn who(told: Option<&str>) -> Option<String> {
    let user = || ["USER", "LOGNAME"].iter().find_map(|name| std::env::var(name).ok().filter(|user| !user.is_empty()));
    // In a container neither is set.
    let listed = || name_of(rustix::process::getuid().as_raw(), &std::fs::read_to_string("/etc/passwd").ok()?);
    let who = told.map(str::to_owned).or_else(user).or_else(listed);
    if who.is_none() {
        eprintln!("aya: nobody knows who you are: say it with --who NAME");
    }
    who
}

/// The name of a user in the system's list of them, passwd(5).
fn name_of(user: u32, list: &str) -> Option<String> {
    let mut names = list.lines().filter_map(|line| {
        let mut fields = line.split(':');
        Some((fields.next()?, fields.nth(1)?.parse::<u32>().ok()?))
    });
    names.find(|(name, id)| *id == user && !name.is_empty()).map(|(name, _)| name.to_owned())
}

/// Runs `aya override`.
pub fn run(args: &OverrideArgs) -> Exit {
    match &args.verb {
        OverrideVerb::Set(set) => set_on_all(set.selector.clone(), set.action.clone(), &set.terms),
        OverrideVerb::List(list) => list_all(&list.nodes),
        OverrideVerb::Clear(clear) => restore(clear),
    }
}

/// Runs `aya drain`.
pub fn drain(args: &DrainArgs) -> Exit {
    set_on_all(args.selector.join(" "), "drain".to_owned(), &args.terms)
}

/// Runs `aya restore`, and `aya override clear`.
pub fn restore(args: &ClearArgs) -> Exit {
    let Some(who) = who(args.common.who.as_deref()) else { return Exit::Error };
    let what = args.what.join(" ");
    let number = what.parse::<u64>().ok();
    let selector = number.is_none().then_some(what);
    on_all(
        &args.common,
        |client, dry_run| {
            let path = number.map_or_else(|| "/v1/overrides".to_owned(), |id| format!("/v1/overrides/{id}"));
            let mut pairs = vec![("who", who.as_str()), ("why", args.why.as_str())];
            pairs.extend(selector.as_deref().map(|selector| ("selector", selector)));
            pairs.push(("dry-run", if dry_run { "true" } else { "false" }));
            client.delete(&path, &pairs)
        },
        told,
    )
}

/// Sets an override on every node.
fn set_on_all(selector: String, action: String, terms: &Terms) -> Exit {
    let Some(who) = who(terms.common.who.as_deref()) else { return Exit::Error };
    let request = SetRequest {
        selector,
        action,
        over_seconds: terms.over,
        for_seconds: terms.life,
        why: terms.why.clone(),
        who: Some(who),
        force: terms.force.clone(),
        dry_run: false,
    };
    on_all(
        &terms.common,
        |client, dry_run| {
            let request = SetRequest { dry_run, ..request.clone() };
            client.post("/v1/overrides", &serde_json::to_string(&request).expect("texts and numbers have a JSON form"))
        },
        told,
    )
}

/// What one node says.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Said<T> {
    /// The node.
    pub api: String,
    /// What it did, or how it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub done: Option<T>,
    /// Why it did not, or does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Has every node do something, and tells what came of it. Of several each is asked first whether it would.
pub(super) fn on_all<T: Serialize + DeserializeOwned>(
    common: &Common,
    ask: impl Fn(&Client, bool) -> Result<String, ClientError>,
    told: impl Fn(&T) -> String,
) -> Exit {
    let Some(clients) = common.nodes.clients() else { return Exit::Error };
    let granted = |client: &Client, dry_run: bool| {
        let body = ask(client, dry_run)?;
        serde_json::from_str::<T>(&body).map_err(|error| ClientError::Strange(client.api().to_owned(), error.to_string()))
    };
    let asked: Vec<_> = if common.dry_run || clients.len() > 1 { clients.iter().map(|client| granted(client, true)).collect() } else { Vec::new() };
    let is_refused = asked.iter().any(|asked| asked.as_ref().is_err_and(ClientError::is_refusal));
    let outcomes: Vec<Result<T, ClientError>> = if common.dry_run || is_refused {
        asked
    } else {
        // A node that did not answer is asked again: it costs a moment, and it may have been that only.
        clients.iter().map(|client| granted(client, false)).collect()
    };
    tell_all(&common.nodes, &clients, &outcomes, told);
    if is_refused {
        return Exit::Negative;
    }
    exit_of(&outcomes)
}

/// What outcomes on all nodes come to.
pub(super) fn exit_of<T>(outcomes: &[Result<T, ClientError>]) -> Exit {
    let done = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    let refused = outcomes.iter().any(|outcome| outcome.as_ref().is_err_and(ClientError::is_refusal));
    match done {
        all if all == outcomes.len() => Exit::Ok,
        0 if refused => Exit::Negative,
        0 => Exit::Error,
        _ => Exit::Partial,
    }
}

/// Tells what every node has at a path.
pub(super) fn list_on_all<T: Serialize + DeserializeOwned>(nodes: &Nodes, path: &str, told: impl Fn(&T) -> String) -> Exit {
    let Some(clients) = nodes.clients() else { return Exit::Error };
    let list = |client: &Client| {
        let body = client.get(path, &[], "application/json")?;
        serde_json::from_str::<T>(&body).map_err(|error| ClientError::Strange(client.api().to_owned(), error.to_string()))
    };
    let outcomes: Vec<Result<T, ClientError>> = clients.iter().map(list).collect();
    tell_all(nodes, &clients, &outcomes, told);
    exit_of(&outcomes)
}

/// Tells the overrides of every node.
fn list_all(nodes: &Nodes) -> Exit {
    list_on_all(nodes, "/v1/overrides", |list: &ListView| {
        if list.overrides.is_empty() {
            return "no overrides\n".to_owned();
        }
        list.overrides.iter().fold(String::new(), |mut text, one| {
            let _ = writeln!(text, "{}", line(one));
            text
        })
    })
}

/// Tells what every node said: errors on standard error, the rest on standard output.
#[expect(clippy::print_stderr, reason = "this is where people are told")]
pub(super) fn tell_all<T: Serialize>(nodes: &Nodes, clients: &[Client], outcomes: &[Result<T, ClientError>], told: impl Fn(&T) -> String) {
    let mut out = std::io::stdout().lock();
    for (client, outcome) in clients.iter().zip(outcomes) {
        let text = match outcome {
            _ if nodes.json => {
                let error = outcome.as_ref().err().map(|error| chain(error));
                let said = Said { api: client.api().to_owned(), done: outcome.as_ref().ok(), error };
                serde_json::to_string(&said).expect("texts and numbers have a JSON form") + "\n"
            }
            Ok(done) if clients.len() > 1 => format!("{}:\n{}", client.api(), told(done)),
            Ok(done) => told(done),
            Err(error) => {
                eprintln!("aya: {}", chain(error));
                continue;
            }
        };
        // Whoever closes the pipe early has seen enough.
        let _ = out.write_all(text.as_bytes());
    }
    let done = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    if clients.len() > 1 && done < clients.len() {
        eprintln!("aya: {done} of {} nodes; what each said stands above", clients.len());
    }
}

/// An override in a line.
fn line(one: &OverrideView) -> String {
    let left = one.expires_in_seconds.div_ceil(60);
    let (hours, minutes) = (left / 60, left % 60);
    let left = if hours > 0 { format!("{hours}h{minutes:02}min") } else { format!("{minutes}min") };
    let over = one.over_seconds.map(|seconds| format!(" over {seconds}s")).unwrap_or_default();
    format!(
        "{}  {}  {}{over} ({})  by {}, for {left} more (until {}): {}  [{} endpoints]",
        one.id, one.selector, one.action, one.now, one.who, one.expires, one.why, one.endpoints
    )
}

/// What a node did, or would do, in words.
fn told(granted: &GrantedView) -> String {
    let mut text = String::new();
    let would = if granted.dry_run { "would be " } else { "" };
    for one in &granted.gone {
        let _ = writeln!(text, "{would}gone: {} {} {}", one.id, one.selector, one.action);
    }
    if let Some(made) = &granted.made {
        let _ = writeln!(text, "{would}set: {}", line(made));
    }
    for rule in &granted.forced {
        let _ = writeln!(text, "forced: {rule}");
    }
    text.push_str(&moves(&granted.moved, if granted.dry_run { "would move" } else { "move" }));
    text
}

/// Who moves, in words.
pub(super) fn moves(moved: &MovedView, verb: &str) -> String {
    let mut text = String::new();
    let _ = writeln!(
        text,
        "{} % of the clients {verb} ({} of {})",
        moved.clients_percent,
        counted(moved.endpoints, "endpoint"),
        counted(moved.services, "service")
    );
    for service in &moved.most {
        let nowhere = || "no answer".to_owned();
        let ways: Vec<String> = service
            .ways
            .iter()
            .take(3)
            .map(|way| format!("{} → {} {} %", way.from.clone().unwrap_or_else(nowhere), way.to.clone().unwrap_or_else(nowhere), way.clients_percent))
            .collect();
        let more = if service.ways.len() > ways.len() { ", …" } else { "" };
        let _ = writeln!(text, "  {}: {} % ({}{more})", service.service, service.clients_percent, ways.join(", "));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_has_no_name_in_the_environment_has_one_in_the_list_of_users() {
        let list = "root:x:0:0:root:/root:/bin/bash\n\n# no user\n:x:7:7::/:/bin/false\nanna:x:1000:1000:Anna:/home/anna:/bin/sh\n";
        assert_eq!((name_of(0, list).as_deref(), name_of(1_000, list).as_deref()), (Some("root"), Some("anna")));
        assert_eq!((name_of(7, list), name_of(1, list)), (None, None));
    }
}
