//! `aya status`: how the nodes and their endpoints are, for people.
//!
//! | exit code | what |
//! |---|---|
//! | 0 | every node was asked, is ready and fresh, serves the same as the others, and every endpoint is up |
//! | 1 | every node was asked, and something is not as it should be: an endpoint down, degraded or held, a node not ready or stale, digests that differ |
//! | 2 | no node could be asked |
//! | 3 | some nodes could not be asked |

mod table;

use std::io::{self, IsTerminal, Write as _};
use std::time::Duration;

use clap::Args;

use super::client::{Client, ClientError, Reach};
use super::overrides::Said;
use super::{Exit, chain, tell_error};
use crate::admin::status::{EndpointStatus, StatusView};

/// What `aya status` is told.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Admin address of a node; may be given several times: their digests are compared.
    #[arg(long, value_name = "ADDRESS", env = "AYA_API", value_delimiter = ',', default_value = "127.0.0.1:8053")]
    api: Vec<String>,
    /// Only the endpoints of this service.
    #[arg(long, value_name = "NAME")]
    service: Option<String>,
    /// Look again every so many seconds, and redraw, until told to stop.
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, require_equals = true, default_missing_value = "2", value_parser = clap::value_parser!(u64).range(1..=3600))]
    watch: Option<u64>,
    /// One JSON object for each node instead of a table.
    #[arg(long)]
    json: bool,
    /// What the nodes want to see.
    #[command(flatten)]
    reach: Reach,
}

/// Endpoints that are asked for at once.
const PAGE: &str = "2000";

/// What a node says, or why it says nothing.
type Seen = Result<StatusView, ClientError>;

/// Runs `aya status`.
pub fn run(args: &StatusArgs) -> Exit {
    let clients = match args.reach.clients(&args.api) {
        Ok(clients) => clients,
        Err(error) => {
            tell_error(&error);
            return Exit::Error;
        }
    };
    let Some(seconds) = args.watch else {
        let seen = look(&clients, args.service.as_deref());
        tell(args, &clients, &seen, None);
        return exit_of(&seen);
    };
    let Ok(waiting) = tokio::runtime::Builder::new_current_thread().enable_time().build() else { return Exit::Error };
    loop {
        let seen = look(&clients, args.service.as_deref());
        let is_seen = tell(args, &clients, &seen, terminal().map(|(_, lines)| lines));
        if !is_seen {
            // Whoever closes the pipe has seen enough.
            return exit_of(&seen);
        }
        waiting.block_on(tokio::time::sleep(Duration::from_secs(seconds)));
    }
}

/// Asks all nodes at once.
fn look(clients: &[Client], service: Option<&str>) -> Vec<Seen> {
    std::thread::scope(|scope| {
        let asked: Vec<_> = clients.iter().map(|client| scope.spawn(move || ask(client, service))).collect();
        let strange = |client: &Client| ClientError::Strange(client.api().to_owned(), "nothing that this program can read".to_owned());
        asked.into_iter().zip(clients).map(|(asked, client)| asked.join().unwrap_or_else(|_| Err(strange(client)))).collect()
    })
}

/// Asks a node, page by page.
fn ask(client: &Client, service: Option<&str>) -> Seen {
    let page = |after: Option<&str>| {
        let pairs: Vec<(&str, &str)> =
            [Some(("limit", PAGE)), service.map(|service| ("service", service)), after.map(|after| ("after", after))].into_iter().flatten().collect();
        let body = client.get("/v1/status", &pairs, "application/json")?;
        serde_json::from_str::<StatusView>(&body).map_err(|error| ClientError::Strange(client.api().to_owned(), error.to_string()))
    };
    let mut whole = page(None)?;
    while let Some(after) = whole.next.take() {
        let more = page(Some(&after))?;
        whole.endpoints.extend(more.endpoints);
        whole.next = more.next;
    }
    Ok(whole)
}

/// Tells what was seen; on a terminal of so many lines, no more than fits it. Returns whether anybody takes it.
fn tell(args: &StatusArgs, clients: &[Client], seen: &[Seen], lines: Option<usize>) -> bool {
    let text = if args.json {
        clients.iter().zip(seen).map(|(client, seen)| as_json(client, seen)).collect()
    } else {
        let nodes: Vec<(&str, Result<&StatusView, String>)> =
            clients.iter().zip(seen).map(|(client, seen)| (client.api(), seen.as_ref().map_err(|error| chain(error)))).collect();
        table::draw(&nodes, terminal().map(|(columns, _)| columns), lines)
    };
    // To the corner, and away with what stood there.
    let clear = if lines.is_some() && !args.json { "\x1b[H\x1b[2J" } else { "" };
    let mut out = io::stdout().lock();
    write!(out, "{clear}{text}").and_then(|()| out.flush()).is_ok()
}

/// A node in a line of JSON.
fn as_json(client: &Client, seen: &Seen) -> String {
    let said = Said { api: client.api().to_owned(), done: seen.as_ref().ok(), error: seen.as_ref().err().map(|error| chain(error)) };
    serde_json::to_string(&said).expect("texts and numbers have a JSON form") + "\n"
}

/// Columns and lines of the terminal, if this is one.
fn terminal() -> Option<(usize, usize)> {
    let (terminal_size::Width(columns), terminal_size::Height(lines)) = io::stdout().is_terminal().then(terminal_size::terminal_size).flatten()?;
    Some((columns.into(), lines.into()))
}

/// Whether an endpoint is as it should be. What an operator intends is.
fn is_well(endpoint: &EndpointStatus) -> bool {
    matches!(endpoint.status.as_str(), "up" | "unknown") && endpoint.held.is_none() && endpoint.unsettled.is_none()
}

/// Whether a node is as it should be.
const fn is_fit(view: &StatusView) -> bool {
    view.ready && !view.stale && !view.doubting
}

/// Whether nodes serve different files.
fn differ<'a>(views: impl IntoIterator<Item = &'a StatusView>) -> bool {
    let mut digests = views.into_iter().map(|view| &view.digest);
    let first = digests.next();
    digests.any(|digest| Some(digest) != first)
}

/// What it comes to.
fn exit_of(seen: &[Seen]) -> Exit {
    let views: Vec<&StatusView> = seen.iter().flatten().collect();
    if views.len() < seen.len() {
        return if views.is_empty() { Exit::Error } else { Exit::Partial };
    }
    let all_well = !differ(views.iter().copied()) && views.iter().all(|view| is_fit(view) && view.endpoints.iter().all(is_well));
    if all_well { Exit::Ok } else { Exit::Negative }
}
