//! Aya: argv → verb → exit code.

use std::process::ExitCode;

use aya_gslb::cli;

fn main() -> ExitCode {
    cli::run(std::env::args_os())
}
