//! `aya failback`: clients return to tiers that they left (`failback = "manual"`), on one node or several; without a service, what waits is told.
//!
//! Exit codes and several nodes as with overrides.

use std::fmt::Write as _;

use clap::Args;

use super::Exit;
use super::overrides::{Common, list_on_all, moves, on_all, who};
use crate::admin::failback::{FailbackView, ReleaseRequest, ReleasedView};

/// What `aya failback` is told.
#[derive(Debug, Args)]
pub struct FailbackArgs {
    /// The service whose tiers are to be released: an owner name or a label; * stands for any text. Without one, what waits is told.
    #[arg(value_name = "SERVICE", requires = "why")]
    service: Option<String>,
    /// Why.
    #[arg(long, value_name = "TEXT")]
    why: Option<String>,
    /// Go past the safety rules, for this reason; it is logged and audited.
    #[arg(long, value_name = "REASON")]
    force: Option<String>,
    /// By whom and where.
    #[command(flatten)]
    common: Common,
}

/// Runs `aya failback`.
pub fn run(args: &FailbackArgs) -> Exit {
    match (&args.service, &args.why) {
        (Some(service), Some(why)) => release(args, service, why),
        _ => list_on_all(&args.common.nodes, "/v1/failback", told),
    }
}

/// Releases the tiers of a service on every node.
fn release(args: &FailbackArgs, service: &str, why: &str) -> Exit {
    let Some(who) = who(args.common.who.as_deref()) else { return Exit::Error };
    let request = ReleaseRequest { service: service.to_owned(), why: why.to_owned(), who: Some(who), force: args.force.clone(), dry_run: false };
    on_all(
        &args.common,
        |client, dry_run| {
            let request = ReleaseRequest { dry_run, ..request.clone() };
            client.post("/v1/failback", &serde_json::to_string(&request).expect("texts have a JSON form"))
        },
        told_released,
    )
}

/// Numbers of tiers, in words.
fn tiers(numbers: &[u8]) -> String {
    let noun = if numbers.len() == 1 { "tier" } else { "tiers" };
    format!("{noun} {}", numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))
}

/// What waits, in words.
fn told(view: &FailbackView) -> String {
    if view.services.is_empty() {
        return "nothing waits to be released\n".to_owned();
    }
    view.services.iter().fold(String::new(), |mut text, one| {
        let in_use = one.in_use.map_or_else(|| "everything is down".to_owned(), |tier| format!("tier {tier} is in use"));
        let ready = if one.ready.is_empty() { String::new() } else { format!(", {} could be released", tiers(&one.ready)) };
        let failed = if one.failed.is_empty() { String::new() } else { format!(", {} with too few live endpoints still", tiers(&one.failed)) };
        let _ = writeln!(text, "{}: {in_use}{ready}{failed}", one.service);
        text
    })
}

/// What is released, or would be, in words.
fn told_released(view: &ReleasedView) -> String {
    let mut text = String::new();
    let would = if view.dry_run { "would be " } else { "" };
    for one in &view.released {
        let stay = if one.stay.is_empty() { String::new() } else { format!("; {} with too few live endpoints still", tiers(&one.stay)) };
        let _ = writeln!(text, "{would}released: {} of {}{stay}", tiers(&one.tiers), one.service);
    }
    for rule in &view.forced {
        let _ = writeln!(text, "forced: {rule}");
    }
    text.push_str(&moves(&view.moved, if view.dry_run { "would move" } else { "move" }));
    text
}
