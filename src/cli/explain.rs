//! `aya explain`: why a client gets its answer, from files or from a running node.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use super::load::{Content, LoadError};
use super::{Exit, chain};
use crate::explain::{Explanation, Request, RequestError, as_if_measured_up, explain_request};
use crate::probe::Roots;
use crate::world::World;

/// How long a node may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Octets of a node's answer that are read.
const ANSWER_OCTETS_MAX: usize = 1 << 20;

/// What `aya explain` is told.
#[derive(Clone, Debug, clap::Args)]
pub struct ExplainArgs {
    /// The service's name, for instance api.gslb.example.com.
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
    /// The node does not answer.
    #[error("the node at {0} does not answer")]
    Ask(String, #[source] reqwest::Error),
    /// The node refuses.
    #[error("the node at {0} refuses: {1}")]
    Refused(String, String),
    /// There is no runtime to ask with.
    #[error("cannot ask a node from here")]
    Runtime(#[source] std::io::Error),
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
                ExplainError::Request(RequestError::NotSteered(_) | RequestError::NotOurs(_)) => Exit::Negative,
                _ => Exit::Error,
            }
        }
    }
}

/// From files, with everything that was never measured taken as up.
fn read(args: &ExplainArgs) -> Result<String, ExplainError> {
    let loaded = Content::Files { zones: args.zones.clone(), geoip: args.geoip.clone() }.load()?;
    let world = as_if_measured_up(&World::unmeasured(0, loaded.catalog, loaded.geo));
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
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(ExplainError::Runtime)?;
    runtime.block_on(async {
        let failed = |error| ExplainError::Ask(api.to_owned(), error);
        let base = if api.contains("://") { api.to_owned() } else { format!("http://{api}") };
        let query = [("name", args.name.as_str()), ("client", &args.client), ("type", &args.qtype), ("down", &args.down.join(","))]
            .map(|(key, value)| format!("{key}={}", percent_encoded(value)))
            .join("&");
        let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).tls_backend_preconfigured(Roots::of_system().into_client_config());
        let client = client.build().map_err(failed)?;
        let accept = if args.json { "application/json" } else { "text/plain" };
        let request = client.get(format!("{base}/v1/explain?{query}")).header("accept", accept);
        let mut response = request.send().await.map_err(failed)?;
        let status = response.status();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            body.extend_from_slice(&chunk);
            if body.len() > ANSWER_OCTETS_MAX {
                return Err(ExplainError::Refused(api.to_owned(), "its answer is too long".to_owned()));
            }
        }
        let body = String::from_utf8_lossy(&body).into_owned();
        if status.is_success() { Ok(body) } else { Err(ExplainError::Refused(api.to_owned(), detail(&body))) }
    })
}

/// What a problem document says (RFC 9457 §3.1.4), or the body itself.
fn detail(body: &str) -> String {
    let problem: Option<serde_json::Value> = serde_json::from_str(body).ok();
    problem.as_ref().and_then(|problem| problem.get("detail")?.as_str()).map_or_else(|| body.trim().to_owned(), str::to_owned)
}

/// A value as it stands in the query of an URL (RFC 3986 §2.1).
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for octet in text.bytes() {
        match octet {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(char::from(octet)),
            other => encoded.push_str(&format!("%{other:02X}")),
        }
    }
    encoded
}
