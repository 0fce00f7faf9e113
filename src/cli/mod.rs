//! The command line: one file for each verb. The only room that prints.

pub mod check;
pub mod draw;
pub mod load;
pub mod node;
pub mod serve;

use std::error::Error;
use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Authoritative DNS for global server load balancing: answers by health, place, latency, price and law, and explains every answer.
#[derive(Debug, Parser)]
#[command(name = "aya", version, propagate_version = true)]
pub struct Cli {
    /// What is to be done.
    #[command(subcommand)]
    verb: Verb,
}

/// What can be done.
#[derive(Debug, Subcommand)]
enum Verb {
    /// Answer queries until told to stop.
    Serve(serve::ServeArgs),
    /// Tell every mistake in the zones.
    Check(check::CheckArgs),
}

/// What a verb came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// As wanted: 0.
    Ok,
    /// It ran, and the answer is no: lints, a name that is not served, …: 1.
    Negative,
    /// It could not be done: 2.
    Error,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Ok => 0,
            Exit::Negative => 1,
            Exit::Error => 2,
        })
    }
}

/// Does what the command line says. Wrong usage ends the process with 2, as errors do.
pub fn run(line: impl IntoIterator<Item = OsString>) -> Exit {
    match Cli::parse_from(line).verb {
        Verb::Serve(args) => serve::run(&args),
        Verb::Check(args) => check::run(&args),
    }
}

/// An error with everything that it comes from.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// Tells an error on standard error.
#[expect(clippy::print_stderr, reason = "this is where people are told")]
fn tell_error(error: &dyn Error) {
    eprintln!("aya: {}", chain(error));
}
