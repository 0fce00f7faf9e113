//! An explanation drawn for people.

use std::fmt;

use super::{BillView, EndpointView, Explanation};
use crate::units::Micros;

/// The explanation as a table for people, at most 160 columns wide for usual names.
impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let several = if self.client.wide { ", several places inside: the law of all of them binds" } else { "" };
        writeln!(f, "{} for {} ({}, leaf /{}{several})", self.name, self.client.prefix, self.client.locality, self.client.leaf)?;
        if self.client.private {
            writeln!(f, "a private or special prefix says nothing: sent by a resolver, it would make the resolver's own place count")?;
        }
        let rules: Vec<String> =
            self.residency.iter().map(|view| format!("{} {}", view.rule, if view.binds { "binds this client" } else { "does not bind" })).collect();
        if !rules.is_empty() {
            writeln!(f, "residency: {}", rules.join("; "))?;
        }
        if let Some(tier) = self.tier {
            writeln!(f, "tier {tier}")?;
        }
        if let Some(rule) = self.geo_rule {
            writeln!(f, "geo rule {rule} applies")?;
        }
        if !self.relaxed.is_empty() {
            writeln!(f, "nothing was left, so these gave way: {}", self.relaxed.join(", "))?;
        }
        let width = self.endpoints.iter().map(|view| view.endpoint.chars().count()).max().unwrap_or(0);
        for view in &self.endpoints {
            writeln!(f, "{}", view.line(width))?;
        }
        match self.verdict {
            "serve" => {
                let answered = || self.endpoints.iter().filter(|view| view.answer.is_some());
                let answer: Vec<&str> = answered().flat_map(|view| &view.addresses).map(String::as_str).collect();
                let aliases: Vec<String> = answered().filter_map(|view| view.alias.as_ref()).map(|alias| format!("what {alias} is resolved to")).collect();
                write!(
                    f,
                    "answer: {}",
                    match (answer.is_empty(), aliases.is_empty()) {
                        (false, _) => answer.join(", "),
                        (true, false) => aliases.join(", "),
                        (true, true) => "no record of this type".to_owned(),
                    }
                )?;
            }
            other => write!(f, "answer: {}", other.to_uppercase())?,
        }
        let pace = if self.moving { "moving" } else { "steady" };
        write!(f, " · TTL {} s ({pace}) · scope /{} · {}, by {}", self.ttl, self.scope, self.reason, self.by)
    }
}

impl EndpointView {
    /// One line of the table.
    fn line(&self, width: usize) -> String {
        let mark = match (self.answer, &self.excluded) {
            (Some(_), _) => "→",
            (None, Some(_)) => "✗",
            (None, None) => " ",
        };
        let share = self.share.map(|share| format!(", share {}.{:02} %", share / 100, share % 100)).unwrap_or_default();
        let mut tail = match &self.excluded {
            Some(why) => format!(" · out: {why}"),
            None => self.unsettled.as_ref().map(|why| format!(" · {} is not fresh: {why}", self.alias.as_deref().unwrap_or_default())).unwrap_or_default(),
        };
        for intent in self.untold_intents() {
            tail.push_str(&format!(" · {intent}"));
        }
        format!(" {mark} {:width$}  {}  [{}{share}]{tail}", self.endpoint, self.bill, self.status)
    }
}

/// `18.2 ms rtt + 9.1 ms price + 0 load + 0 penalty = 27.3 ms`; a bias is shown when there is one.
impl fmt::Display for BillView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let term = |micros: i64| if micros == 0 { "0".to_owned() } else { Micros(micros).to_string() };
        write!(f, "{} rtt + {} price + {} load + {} penalty", Micros(self.rtt), term(self.price), term(self.load), term(self.penalty))?;
        match self.bias {
            0 => {}
            less if less < 0 => write!(f, " - {} bias", Micros(-less))?,
            more => write!(f, " + {} bias", Micros(more))?,
        }
        write!(f, " = {}", Micros(self.total))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bill_reads_like_one() {
        let bill = BillView { rtt: 18_200, price: 9_100, total: 27_300, ..BillView::default() };
        assert_eq!(bill.to_string(), "18.2 ms rtt + 9.1 ms price + 0 load + 0 penalty = 27.3 ms");
        let biased = BillView { rtt: 18_200, bias: -5_000, total: 13_200, ..BillView::default() };
        assert_eq!(biased.to_string(), "18.2 ms rtt + 0 price + 0 load + 0 penalty - 5.0 ms bias = 13.2 ms");
    }
}
