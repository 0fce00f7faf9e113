//! The report for people: Markdown that reads well as plain text, too.

use std::fmt;

use super::{Flow, LoadRow, Report, ServiceReport, ToldLoad};
use crate::units::{MicroUsd, Micros, counted};

/// In Markdown.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, selector, plays, who, why, announced, ceased, ended, .. } = self;
        writeln!(f, "# Drill {id}: {plays} {selector}\n")?;
        writeln!(f, "{who}: {why}\n")?;
        if let Some(forced) = &self.forced {
            writeln!(f, "It went past safety rules: {forced}\n")?;
        }
        writeln!(f, "- announced {announced}")?;
        match &self.started {
            Some(started) => writeln!(f, "- started   {started}, with {} of {}", counted(self.endpoints, "endpoint"), counted(self.services, "service"))?,
            None => writeln!(f, "- never started")?,
        }
        writeln!(f, "- over      {ended} after {}: {ceased}", seconds(self.played_ms))?;
        if self.started.is_none() {
            return Ok(());
        }
        if self.restarts > 0 {
            writeln!(
                f,
                "- restarted meanwhile, {}{}",
                counted(self.restarts as usize, "time"),
                if self.reckoned_before { "; what was before is reckoned, not seen" } else { "" }
            )?;
        }
        self.timeline(f)?;
        writeln!(f, "\nAnswers of these services meanwhile: {}, of which {} for want of anything that is up.", self.answers, self.wanting)?;
        for service in &self.told {
            service.fmt(f)?;
        }
        match self.untold {
            0 => Ok(()),
            more => writeln!(f, "\nAnd {more} services more."),
        }
    }
}

impl Report {
    /// What happened when.
    fn timeline(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n## From the start\n\n| what | after |\n|---|---|")?;
        let rows = [
            ("detected: the first observation that failed", self.detected_ms),
            ("decided: all its endpoints are given no clients", self.decided_ms),
            ("published: the world that says so was swapped in", self.published_ms),
            ("last answer that named one of them first, as workers counted", self.last_answer_ms),
            ("**recovery: the last wrong answer, at the latest**", self.recovery_ms),
            ("cache tail: the last cache has let go of one", self.cache_tail_ms),
        ];
        for (what, millis) in rows {
            writeln!(f, "| {what} | {} |", millis.map_or_else(|| "–".to_owned(), seconds))?;
        }
        writeln!(f, "\n{}", self.measured())
    }

    /// How recovery was measured, or why it was not.
    const fn measured(&self) -> &'static str {
        match (self.recovery_ms, self.last_answer_ms) {
            (None, _) => "There was no recovery: endpoints of the drill were given clients all the while. What is only slow or lossy may do, and need not go.",
            (Some(_), None) => {
                "No worker was seen to name one of them: recovery is when the new world was swapped in. A worker finds it with its next query, and looks \
                 every 250 ms without one."
            }
            (Some(_), Some(_)) => "Workers' counts are looked at every 100 ms; a worker finds a new world with its next query.",
        }
    }
}

/// A chapter of the report.
impl fmt::Display for ServiceReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n## {}\n", self.service)?;
        let recovery = self.recovery_ms.map_or_else(|| "none".to_owned(), seconds);
        match (self.rto_ms, self.within_rto) {
            (Some(rto), Some(true)) => writeln!(f, "Recovery {recovery}: within its rto of {}.", seconds(rto))?,
            (Some(rto), Some(false)) => writeln!(f, "Recovery {recovery}: MISSED its rto of {}.", seconds(rto))?,
            (Some(rto), None) => writeln!(f, "Recovery {recovery}; its rto is {}.", seconds(rto))?,
            (None, _) => writeln!(f, "Recovery {recovery}; it has no rto.")?,
        }
        let [steady, moving] = self.ttl_seconds;
        if let Some(tail) = self.cache_tail_ms {
            writeln!(f, "Caches let go after {} (TTL {steady} s steady, {moving} s moving).", seconds(tail))?;
        }
        writeln!(f, "{} of its clients moved.\n", percent(self.moved_basis_points))?;
        if !self.flows.is_empty() {
            writeln!(f, "| from | to | clients |\n|---|---|---|")?;
            self.flows.iter().try_for_each(|flow| flow.fmt(f))?;
            writeln!(f)?;
        }
        writeln!(f, "| | before | during | after |\n|---|---|---|---|")?;
        let [rtts, prices] = [self.rtt_us.map(|rtt| Micros(rtt).to_string()), self.price_micro_usd.map(|price| MicroUsd(price).to_string())];
        writeln!(f, "| round trip | {} |", rtts.join(" | "))?;
        writeln!(f, "| a million requests | {} |", prices.join(" | "))?;
        self.loads.iter().try_for_each(|row| row.fmt(f))?;
        if !self.told_loads.is_empty() {
            writeln!(f, "\n| load as told, in requests per second | before | at the end |\n|---|---|---|")?;
            self.told_loads.iter().try_for_each(|row| row.fmt(f))?;
        }
        Ok(())
    }
}

/// A row of a table.
impl fmt::Display for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |name: &Option<String>| name.clone().unwrap_or_else(|| "no answer".to_owned());
        writeln!(f, "| {} | {} | {} |", name(&self.from), name(&self.to), percent(self.clients_basis_points))
    }
}

/// A row of a table.
impl fmt::Display for LoadRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let told = self.permille.map(|load| load.map_or_else(|| "–".to_owned(), |load| format!("{}.{} %", load / 10, load % 10)));
        writeln!(f, "| load of {} | {} |", self.endpoint, told.join(" | "))
    }
}

/// A row of a table.
impl fmt::Display for ToldLoad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let told = [self.before_rps, self.end_rps].map(|rps| rps.map_or_else(|| "–".to_owned(), |rps| rps.to_string()));
        writeln!(f, "| {} | {} |", self.endpoint, told.join(" | "))
    }
}

/// Milliseconds in seconds, to the hundredth.
fn seconds(millis: u64) -> String {
    format!("{}.{:02} s", millis / 1_000, millis % 1_000 / 10)
}

/// Hundredths of a per cent.
fn percent(hundredths: u64) -> String {
    format!("{}.{:02} %", hundredths / 100, hundredths % 100)
}
