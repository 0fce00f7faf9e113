//! The load generator, and the kernel's floor to compare with. `scripts/bench-peers` and its like run it; so can you:
//!
//! ```sh
//! cargo bench --bench load -- udp --target 127.0.0.1:5300 --zone gslb.example.com --help
//! ```
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it is a program")]

mod batch;
mod check;
mod floor;
mod histogram;
mod options;
mod queries;
mod run;

use std::fmt::Write;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use crate::check::WORDS;
use crate::options::{Line, Options, Verb};
use crate::run::{Report, Run};

fn main() -> ExitCode {
    let result = match Line::parse().verb {
        // `cargo bench` without a verb runs every benchmark; this one has nothing to measure by itself.
        None => {
            println!("{}", Line::command().render_help());
            return ExitCode::SUCCESS;
        }
        Some(Verb::Floor(args)) => floor::serve(args.listen, usize::from(args.batch), args.reply).map(|()| ExitCode::SUCCESS),
        Some(Verb::Udp(args)) => args.options().and_then(|options| ask(&options)),
    };
    result.unwrap_or_else(|error| {
        eprintln!("load: {error}");
        ExitCode::FAILURE
    })
}

/// Asks, and prints what came of it.
fn ask(options: &Options) -> std::io::Result<ExitCode> {
    let mut run = Run::new(options)?;
    run.finish()?;
    let report = run.report();
    let tally: Vec<(String, u64)> = run.checker.tally.iter().map(|(address, count)| (address.to_string(), *count)).collect();
    if options.json {
        println!("{}", as_json(report, run.checker.full, &tally));
    } else {
        print_for_people(report, run.checker.full, &tally);
    }
    let right = report.good > 0 && report.wrong.iter().all(|count| *count == 0);
    Ok(if right { ExitCode::SUCCESS } else { ExitCode::from(2) })
}

/// The quantiles that are told, in thousandths.
const QUANTILES: [(&str, u64); 4] = [("p50", 500), ("p90", 900), ("p99", 990), ("p999", 999)];

/// A count as a number to divide.
#[expect(clippy::cast_precision_loss, reason = "printed with few digits")]
fn float(count: u64) -> f64 {
    count as f64
}

/// Right replies a second.
fn rate_of(report: &Report) -> f64 {
    float(report.in_time) / report.seconds.max(1e-9)
}

/// Lost queries of a hundred.
fn loss_percent(report: &Report) -> f64 {
    100.0 * float(report.lost) / float(report.sent.max(1))
}

/// A wrong reply as hexadecimal digits.
fn hex(octets: &[u8]) -> String {
    octets.iter().fold(String::new(), |mut digits, octet| {
        // Writing to a text does not fail.
        let _ = write!(digits, "{octet:02x}");
        digits
    })
}

/// All of it as one JSON object.
fn as_json(report: &Report, full: u64, tally: &[(String, u64)]) -> serde_json::Value {
    let wrong: serde_json::Map<_, _> = WORDS.iter().zip(report.wrong).map(|(word, count)| ((*word).to_owned(), count.into())).collect();
    let mut latency: serde_json::Map<_, _> = QUANTILES.iter().map(|(word, at)| ((*word).to_owned(), report.took.quantile_us(*at).into())).collect();
    latency.insert("max".into(), report.took.longest_us().into());
    serde_json::json!({
        "seconds": report.seconds,
        "sent": report.sent,
        "good": report.good,
        "lost": report.lost,
        "stray": report.stray,
        "wrong": report.wrong.iter().sum::<u64>(),
        "wrong_by_kind": wrong,
        "first_wrong": report.first_wrong.as_deref().map(hex),
        "qps": rate_of(report),
        "loss_percent": loss_percent(report),
        "latency_us": latency,
        "reply_octets": float(report.octets) / float(report.good.max(1)),
        "read_in_full": full,
        "tally": tally.iter().cloned().collect::<std::collections::BTreeMap<_, _>>(),
    })
}

/// The same in a few lines.
fn print_for_people(report: &Report, full: u64, tally: &[(String, u64)]) {
    println!("{:.0} answers a second for {:.2} s", rate_of(report), report.seconds);
    println!("sent {}, good {}, lost {} ({:.4} %), stray {}", report.sent, report.good, report.lost, loss_percent(report), report.stray);
    let wrong: Vec<String> = WORDS.iter().zip(report.wrong).filter(|(_, count)| *count > 0).map(|(word, count)| format!("{word} {count}")).collect();
    println!("wrong {}", if wrong.is_empty() { "0".to_owned() } else { wrong.join(", ") });
    let latency: Vec<String> = QUANTILES.iter().map(|(word, at)| format!("{word} {:.1}", report.took.quantile_us(*at))).collect();
    println!("latency in microseconds: {}, longest {:.1}", latency.join(", "), report.took.longest_us());
    println!("octets of a reply {:.1}; read in full {full}", float(report.octets) / float(report.good.max(1)));
    for (address, count) in tally.iter().take(40) {
        println!("  {address} {count}");
    }
    if let Some(octets) = &report.first_wrong {
        eprintln!("the first wrong reply: {}", hex(octets));
    }
}
