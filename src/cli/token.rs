//! `aya token`: tokens of the admin API.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{Exit, tell_error};
use crate::admin::access::AccessError;
use crate::admin::tokens::{NewToken, Role, Tokens, check_name};

/// What `aya token` is told.
#[derive(Debug, Args)]
pub struct TokenArgs {
    /// What is to be done.
    #[command(subcommand)]
    verb: TokenVerb,
}

/// What can be done with tokens.
#[derive(Debug, Subcommand)]
enum TokenVerb {
    /// Make a token: it is told once, and the node's file gets its hash only.
    New(NewArgs),
}

/// What `aya token new` is told.
#[derive(Debug, Args)]
struct NewArgs {
    /// Whose it is: stands in the audit trail; letters, digits and ._@-.
    #[arg(long, value_parser = name)]
    name: String,
    /// What that may do: viewer (see), reporter (report loads), operator (everything).
    #[arg(long)]
    role: Role,
    /// Write the row to this file of tokens, which is made if it is not there, and tell the token alone.
    #[arg(long, value_name = "FILE")]
    append_to: Option<PathBuf>,
    /// One JSON object instead of words.
    #[arg(long)]
    json: bool,
}

/// Reads a name.
fn name(text: &str) -> Result<String, String> {
    check_name(text).map(|()| text.to_owned())
}

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
enum TokenError {
    /// The system has none to give.
    #[error("cannot make a token: {0}")]
    Random(&'static str),
    /// The file cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's word.
        source: io::Error,
    },
    /// With the new row the file could not be used.
    #[error(transparent)]
    File(#[from] AccessError),
}

/// Runs `aya token`.
pub fn run(args: &TokenArgs) -> Exit {
    let TokenVerb::New(args) = &args.verb;
    match make(args) {
        Ok(text) => {
            // Whoever closes the pipe early has seen enough.
            let _ = io::stdout().lock().write_all(text.as_bytes());
            Exit::Ok
        }
        Err(error) => {
            tell_error(&error);
            Exit::Error
        }
    }
}

/// Makes a token, and returns what is to be told.
fn make(args: &NewArgs) -> Result<String, TokenError> {
    let NewToken { secret, row } = NewToken::make(&args.name, args.role).map_err(TokenError::Random)?;
    if let Some(path) = &args.append_to {
        let failed = |source| TokenError::Write { path: path.clone(), source };
        let before = match std::fs::read_to_string(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            read => read.map_err(failed)?,
        };
        // A second token of one name is told before it is written.
        Tokens::parse(&format!("{before}\n{row}")).map_err(|error| AccessError::Tokens { path: path.clone(), error })?;
        let gap = if before.is_empty() { "" } else { "\n" };
        let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(path).map_err(failed)?;
        file.write_all(format!("{gap}{row}").as_bytes()).map_err(failed)?;
    }
    Ok(match (args.json, args.append_to.is_some()) {
        (true, _) => serde_json::json!({ "token": secret, "name": args.name, "role": args.role, "row": row }).to_string() + "\n",
        (false, true) => secret + "\n",
        (false, false) => format!("The token, which is told this once:\n\n{secret}\n\nIts row for the file of --api-tokens:\n\n{row}"),
    })
}
