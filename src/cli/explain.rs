//! `aya explain`: why a client gets its answer, from files or from a running node.

use std::io::Write;
use std::path::PathBuf;

use super::client::{ClientError, Reach};
use super::load::{Content, LoadError};
use super::{Exit, chain};
use crate::explain::{Explanation, Request, RequestError, explain_request};
use crate::world::World;

/// What `aya explain` is told.
#[derive(Clone, Debug, clap::Args)]
pub struct ExplainArgs {
    /// The service: its name, for instance api.gslb.example.com, or its label where no other has it, as in api.
    #[arg(value_name = "NAME")]
    name: String,
    /// The client: an address, or a prefix such as 192.0.2.0/24.
    #[arg(long, value_name = "IP")]
    client: String,
    /// The type that is asked for: A, AAAA, HTTPS, CNAME or ANY.
    #[arg(long = "type", value_name = "TYPE", default_value = "A")]
    qtype: String,
    /// What if these regions were down? Names, globs such as aws-*, or cloud:NAME.
    #[arg(long, value_name = "REGION", value_delimiter = ',')]
    down: Vec<String>,
    /// Ask a running node at its admin address instead of reading files.
    #[arg(long, value_name = "ADDR", env = "AYA_API")]
    api: Option<String>,
    /// Files or folders of zones.
    #[arg(long, value_name = "PATH", env = "AYA_ZONES", value_delimiter = ',', default_value = "zones")]
    zones: Vec<PathBuf>,
    /// MMDB files, or folders of them.
    #[arg(long, value_name = "PATH", env = "AYA_GEOIP", value_delimiter = ',', default_value = "geoip")]
    geoip: Vec<PathBuf>,
    /// What it wants to see.
    #[command(flatten)]
    reach: Reach,
    /// One JSON object instead of a table.
    #[arg(long)]
    json: bool,
}

/// Why there is no explanation.
#[derive(Debug, thiserror::Error)]
enum ExplainError {
    /// The files do not load.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The question has no explanation.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The node does not answer, or refuses.
    #[error(transparent)]
    Node(#[from] ClientError),
}

/// Explains. Exits with 0, with 1 when the name is not steered, with 2 on errors.
#[expect(clippy::print_stderr, reason = "this is where people are told")]
pub fn run(args: &ExplainArgs) -> Exit {
    let text = match &args.api {
        Some(api) => ask(api, args),
        None => read(args),
    };
    match text {
        Ok(text) => {
            // Whoever closes the pipe early has seen enough.
            let _ = writeln!(std::io::stdout().lock(), "{}", text.trim_end());
            Exit::Ok
        }
        Err(error) => {
            eprintln!("aya: {}", chain(&error));
            match error {
                ExplainError::Request(RequestError::NotSteered { .. } | RequestError::NotOurs { .. })
                | ExplainError::Node(ClientError::Refused { status: 404, .. }) => Exit::Negative,
                _ => Exit::Error,
            }
        }
    }
}

/// From files, with everything that was never measured taken as up.
fn read(args: &ExplainArgs) -> Result<String, ExplainError> {
    let loaded = Content::Files { zones: args.zones.clone(), geoip: args.geoip.clone() }.load()?;
    let world = World::unmeasured(0, loaded.catalog, loaded.geo).as_if_measured_up();
    let down = args.down.join(",");
    let explanation = explain_request(&Request { name: &args.name, client: &args.client, qtype: Some(&args.qtype), down: &down }, &world)?;
    Ok(if args.json { as_json(&explanation) } else { explanation.to_string() })
}

/// As `--json` prints it.
fn as_json(explanation: &Explanation) -> String {
    serde_json::to_string_pretty(explanation).expect("an explanation has string keys only")
}

/// From a running node.
fn ask(api: &str, args: &ExplainArgs) -> Result<String, ExplainError> {
    let down = args.down.join(",");
    // AYA_API may name several nodes for other verbs; the first one is asked.
    let api = api.split(',').next().unwrap_or(api);
    let query = [("name", args.name.as_str()), ("client", &args.client), ("type", &args.qtype), ("down", &down)];
    let clients = args.reach.clients(&[api.to_owned()])?;
    let accept = if args.json { "application/json" } else { "text/plain" };
    clients.iter().map(|client| Ok(client.get("/v1/explain", &query, accept)?)).collect()
}
