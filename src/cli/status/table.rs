//! The table of `aya status`: as wide as the terminal at most, what is not well first where not all of it fits.

use std::fmt::Write as _;

use super::{differ, is_fit, is_well};
use crate::admin::status::{EndpointStatus, StatusView};

/// Heads of the columns.
const HEADS: [&str; 8] = ["SERVICE", "ENDPOINT", "REGION", "HEALTH", "OVERRIDE", "SHARE", "RTT", "AGE"];
/// Those of them that are cut where the terminal is narrow; figures never are.
const CUT: [usize; 5] = [0, 1, 2, 3, 4];
/// Characters that a column is cut to at most.
const LEAST: usize = 8;
/// Characters between two columns.
const GAP: &str = "  ";

/// The texts of one line.
type Row = [String; HEADS.len()];

/// Draws what nodes say, or why they say nothing: no wider than `columns`, no longer than `lines`.
pub(super) fn draw(nodes: &[(&str, Result<&StatusView, String>)], columns: Option<usize>, lines: Option<usize>) -> String {
    let mut text = String::new();
    for (api, outcome) in nodes {
        let line = match outcome {
            Ok(view) => head(api, view),
            Err(error) => format!("{api}  {error}"),
        };
        let _ = writeln!(text, "{}", cut(&line, columns.unwrap_or(usize::MAX)));
    }
    let views: Vec<(&str, &StatusView)> = nodes.iter().filter_map(|(api, outcome)| Some((*api, *outcome.as_ref().ok()?))).collect();
    if differ(views.iter().map(|(_, view)| *view)) {
        text.push_str("The digests differ: these nodes do not serve the same files.\n");
    }
    // Each table has its share of the lines that are left, less its head, what is left out, and a line between.
    let taken = text.lines().count() + 1;
    let each = lines.map(|lines| (lines.saturating_sub(taken) / views.len().max(1)).saturating_sub(4).max(1));
    for (api, view) in &views {
        let name = if views.len() > 1 { format!("{api}:\n") } else { String::new() };
        let _ = write!(text, "\n{name}{}", table(&view.endpoints, columns, each));
    }
    text
}

/// A node in a line.
fn head(api: &str, view: &StatusView) -> String {
    let age = view.observed_ms_ago.map_or_else(|| "nothing observed yet".to_owned(), |ms| format!("observed {} ago", millis(ms)));
    let mut state = vec![if view.ready { "ready" } else { "NOT READY" }];
    if view.stale {
        state.push("STALE");
    }
    if view.doubting {
        state.push("DOUBTING ITS NETWORK");
    }
    if view.drill.is_some() {
        state.push("DRILL");
    }
    let unwell = view.endpoints.iter().filter(|endpoint| !is_well(endpoint)).count();
    let endpoints = match unwell {
        0 if is_fit(view) => format!("all {} endpoints well", view.endpoints.len()),
        _ => format!("{unwell} of {} endpoints not well", view.endpoints.len()),
    };
    format!("{api}  {}  {endpoints}  generation {}  digest {}  {age}  aya {}", state.join(" "), view.generation, view.digest, view.version)
}

/// The endpoints of a node; if not all fit, those first that are not well.
fn table(endpoints: &[EndpointStatus], columns: Option<usize>, most: Option<usize>) -> String {
    let mut told: Vec<&EndpointStatus> = endpoints.iter().collect();
    let most = most.unwrap_or(usize::MAX);
    let left_out = told.len().saturating_sub(most);
    if left_out > 0 {
        told.sort_by_key(|endpoint| is_well(endpoint));
        told.truncate(most);
    }
    let rows: Vec<Row> = std::iter::once(HEADS.map(str::to_owned)).chain(told.iter().map(|endpoint| row(endpoint))).collect();
    let widths = widths(&rows, columns);
    let mut text = String::new();
    for row in &rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{:width$}", cut(cell, *width)));
        let line = cells.collect::<Vec<_>>().join(GAP);
        let _ = writeln!(text, "{}", cut(line.trim_end(), columns.unwrap_or(usize::MAX)));
    }
    if left_out > 0 {
        let _ = writeln!(text, "… and {left_out} more; --service NAME tells those of one service");
    }
    text
}

/// An endpoint's line.
fn row(endpoint: &EndpointStatus) -> Row {
    let health = match (&endpoint.blocked_by, &endpoint.held, &endpoint.unsettled) {
        (Some(root), ..) => format!("down: needs {root}"),
        (_, Some(held), _) => format!("{}, held until {}", endpoint.health, held.until),
        (_, _, Some(unsettled)) => format!("{}: {unsettled}", endpoint.health),
        _ if endpoint.latched => format!("{}, waits for failback", endpoint.health),
        _ => endpoint.health.clone(),
    };
    let own = || endpoint.probes.iter();
    let rtt = own().filter_map(|probe| probe.rtt_us).min();
    let age = own().filter_map(|probe| probe.age_ms).max();
    let none = || "–".to_owned();
    [
        endpoint.service.clone(),
        endpoint.endpoint.to_string(),
        endpoint.region.to_string(),
        health,
        endpoint.intent.as_ref().or(endpoint.drill.as_ref()).cloned().unwrap_or_else(none),
        format!("{}.{} %", endpoint.share_permille / 10, endpoint.share_permille % 10).replace(".0 %", " %"),
        rtt.map_or_else(none, |micros| format!("{}.{} ms", micros / 1_000, micros % 1_000 / 100)),
        age.map_or_else(none, millis),
    ]
}

/// A time for people.
fn millis(ms: u64) -> String {
    match ms {
        0..60_000 => format!("{}.{} s", ms / 1_000, ms % 1_000 / 100),
        60_000..3_600_000 => format!("{} min", ms / 60_000),
        _ => format!("{} h", ms / 3_600_000),
    }
}

/// How wide each column is: as its widest text, and where that is too much for the terminal, the widest ones less.
fn widths(rows: &[Row], columns: Option<usize>) -> [usize; HEADS.len()] {
    let mut widths = [0; HEADS.len()];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let Some(columns) = columns else { return widths };
    let room = columns.saturating_sub(GAP.len() * (HEADS.len() - 1));
    while widths.iter().sum::<usize>() > room {
        let Some(widest) = CUT.into_iter().filter(|column| widths[*column] > LEAST).max_by_key(|column| widths[*column]) else { break };
        widths[widest] -= 1;
    }
    widths
}

/// A text of so many characters at most; what is cut off is told by `…`.
fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::super::{Seen, exit_of};
    use super::*;
    use crate::admin::status::{ExtentStatus, GeographyStatus};
    use crate::cli::Exit;
    use crate::cli::client::ClientError;

    /// An endpoint of this health.
    fn endpoint(service: &str, name: &str, health: &str) -> EndpointStatus {
        EndpointStatus {
            service: service.into(),
            endpoint: name.into(),
            region: name.into(),
            health: health.into(),
            status: health.into(),
            blocked_by: None,
            held: None,
            latched: false,
            ramp_permille: 1000,
            share_permille: 405,
            load_permille: 0,
            moving: false,
            intent: None,
            drill: None,
            probed: true,
            alias: None,
            resolved: Vec::new(),
            unsettled: None,
            probes: Vec::new(),
        }
    }

    /// A node with endpoints.
    fn view(digest: &str, endpoints: Vec<EndpointStatus>) -> StatusView {
        StatusView {
            version: "0.1.0".into(),
            generation: 7,
            digest: digest.into(),
            ready: true,
            stale: false,
            doubting: false,
            drill: None,
            observed_ms_ago: Some(1_250),
            geography: GeographyStatus { known: ExtentStatus { ipv4_addresses: 0, ipv6_48s: 0 }, databases: Vec::new() },
            endpoints,
            next: None,
        }
    }

    #[test]
    fn the_table_fits_the_terminal_and_its_figures_are_never_cut() {
        let mut one = endpoint("checkout.with-a-long-name.gslb.example.com", "aws-eu-central-1", "up");
        one.intent = Some("draining, with 90 % of its clients left, by anna until 14:05 UTC: maintenance of the racks".into());
        let view = view("00", vec![one]);
        for columns in [200, 120, 80] {
            let text = draw(&[("127.0.0.1:8053", Ok(&view))], Some(columns), None);
            assert!(text.lines().all(|line| line.chars().count() <= columns), "{columns}: {text}");
            assert!(text.contains("40.5 %") && text.contains("SHARE"), "{text}");
        }
        let whole = draw(&[("127.0.0.1:8053", Ok(&view))], None, None);
        assert!(
            whole.contains("maintenance of the racks")
                && whole.starts_with("127.0.0.1:8053  ready  all 1 endpoints well  generation 7  digest 00  observed 1.2 s ago"),
            "{whole}"
        );
    }

    #[test]
    fn where_not_all_fit_those_that_are_not_well_come_first_and_the_rest_is_counted() {
        let mut endpoints: Vec<_> = (0..50).map(|number| endpoint("shop", &format!("r{number}"), "up")).collect();
        endpoints.push(endpoint("shop", "broken", "down"));
        let text = draw(&[("a", Ok(&view("00", endpoints)))], Some(80), Some(24));
        assert!(text.lines().count() <= 24, "{text}");
        assert!(text.lines().nth(3).unwrap().contains("broken") && text.contains("more; --service"), "{text}");
    }

    #[test]
    fn nodes_that_serve_other_files_are_told_apart() {
        let (one, other) = (view("00", vec![]), view("01", vec![]));
        assert!(draw(&[("a", Ok(&one)), ("b", Ok(&other))], None, None).contains("The digests differ"));
        assert!(!draw(&[("a", Ok(&one)), ("b", Ok(&one))], None, None).contains("differ"));
    }

    #[test]
    fn the_exit_code_says_whether_all_is_well() {
        let well = || -> Seen { Ok(view("00", vec![endpoint("shop", "a", "up"), endpoint("shop", "b", "unknown")])) };
        let away = || -> Seen { Err(ClientError::Strange("a".into(), "b".into())) };
        let with = |change: &dyn Fn(&mut StatusView)| -> Seen {
            let mut view = well().unwrap();
            change(&mut view);
            Ok(view)
        };
        assert_eq!(exit_of(&[well(), well()]), Exit::Ok);
        assert_eq!(exit_of(&[with(&|view| view.stale = true)]), Exit::Negative);
        assert_eq!(exit_of(&[with(&|view| view.ready = false)]), Exit::Negative);
        assert_eq!(exit_of(&[with(&|view| view.endpoints[0].status = "degraded".into())]), Exit::Negative);
        assert_eq!(exit_of(&[well(), with(&|view| view.digest = "01".into())]), Exit::Negative);
        assert_eq!(exit_of(&[well(), away()]), Exit::Partial);
        assert_eq!(exit_of(&[away()]), Exit::Error);
    }
}
