//! The command line: one file for each verb. The only room that prints.

pub mod check;
mod client;
pub mod demo;
pub mod draw;
pub mod drill;
pub mod explain;
pub mod failback;
mod gate;
pub mod geoip;
pub mod load;
mod manager;
pub mod node;
pub mod overrides;
pub mod policy;
pub mod serve;
pub mod simulate;
pub mod status;
pub mod token;
pub mod whatif;

use std::error::Error;
use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

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
    Serve(Box<serve::ServeArgs>),
    /// Read zones as serve would, and tell every mistake at once.
    Check(check::CheckArgs),
    /// Tell why a client gets its answer: the bill of every endpoint, and the rule that excluded the others.
    Explain(explain::ExplainArgs),
    /// Tell who would move if regions were lost: shares of the clients, latency, cost and load.
    Whatif(whatif::WhatifArgs),
    /// Tell who would move if other zones were served.
    Diff(whatif::DiffArgs),
    /// Play a scenario on virtual time: failures, surges, reloads; who was given what, how soon, how full the others became.
    Simulate(simulate::SimulateArgs),
    /// Say what is intended with endpoints, whatever the probes say: drain, out, in, a smaller weight.
    Override(overrides::OverrideArgs),
    /// Give no answers of these endpoints while others are up: short for `override set SELECTOR drain`.
    Drain(overrides::DrainArgs),
    /// Take back what is intended with these endpoints: short for `override clear`.
    Restore(overrides::ClearArgs),
    /// Let clients return to tiers that they left, where `failback` is manual; without a service, tell what waits.
    Failback(failback::FailbackArgs),
    /// Tell how the nodes and their endpoints are.
    Status(status::StatusArgs),
    /// Make tokens of the admin API.
    Token(token::TokenArgs),
    /// Play a failure with observations, never with a service, and measure how answers leave it.
    Drill(drill::DrillArgs),
    /// Tell what is known of addresses.
    Geoip(geoip::GeoipArgs),
    /// Try it: regional services, a zone and drills on this machine, in one command.
    Demo(demo::DemoArgs),
    /// Write what a shell needs to complete command lines, for instance: aya completions bash > /etc/bash_completion.d/aya
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
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
    /// It was done on some of several nodes: 3.
    Partial,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Ok => 0,
            Exit::Negative => 1,
            Exit::Error => 2,
            Exit::Partial => 3,
        })
    }
}

/// Does what the command line says. Wrong usage ends the process with 2, as errors do.
pub fn run(line: impl IntoIterator<Item = OsString>) -> ExitCode {
    match Cli::parse_from(line).verb {
        Verb::Serve(args) => serve::run(&args).into(),
        Verb::Check(args) => check::run(&args).into(),
        Verb::Explain(args) => explain::run(&args).into(),
        Verb::Whatif(args) => whatif::run(&args).into(),
        Verb::Diff(args) => whatif::diff(&args).into(),
        Verb::Simulate(args) => simulate::run(&args).into(),
        Verb::Override(args) => overrides::run(&args).into(),
        Verb::Drain(args) => overrides::drain(&args).into(),
        Verb::Restore(args) => overrides::restore(&args).into(),
        Verb::Failback(args) => failback::run(&args).into(),
        Verb::Status(args) => status::run(&args).into(),
        Verb::Token(args) => token::run(&args).into(),
        Verb::Completions { shell } => {
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "aya", &mut text);
            // Whoever closes the pipe early has seen enough.
            let _ = std::io::Write::write_all(&mut std::io::stdout().lock(), &text);
            Exit::Ok.into()
        }
        Verb::Drill(args) => drill::run(&args).into(),
        Verb::Geoip(args) => geoip::run(&args).into(),
        Verb::Demo(args) => demo::run(&args).into(),
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

/// The day of a moment in seconds since the Unix epoch; 0 is none.
fn day(seconds: u64) -> Option<String> {
    let moment = jiff::Timestamp::from_second(i64::try_from(seconds).ok()?).ok()?;
    (seconds > 0).then(|| moment.strftime("%Y-%m-%d").to_string())
}

/// Tells an error on standard error.
#[expect(clippy::print_stderr, reason = "this is where people are told")]
fn tell_error(error: &dyn Error) {
    eprintln!("aya: {}", chain(error));
}
