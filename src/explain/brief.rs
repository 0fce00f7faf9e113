//! An explanation in a few plain lines, for a TXT record: ASCII words, the best first, so that `dig +short` reads well.

use super::{EndpointView, Explanation};

impl Explanation {
    /// The explanation in lines: who asks, what narrowed the field, the bills of at most `endpoints` endpoints in the order of the answer, and
    /// what is answered. Each line says what it is, since a resolver may put them into another order.
    #[must_use]
    pub fn brief(&self, endpoints: usize) -> Vec<String> {
        let several = if self.client.wide { ", several places: the law of all binds" } else { "" };
        let mut lines = vec![format!("{} for {} ({}, leaf /{}{several})", self.name, self.client.prefix, self.client.locality, self.client.leaf)];
        let binding: Vec<&str> = self.residency.iter().filter(|view| view.binds).map(|view| view.rule.as_str()).collect();
        if !binding.is_empty() {
            lines.push(format!("residency: {} binds this client", binding.join(", ")));
        }
        if !self.relaxed.is_empty() {
            lines.push(format!("nothing was left, so these gave way: {}", self.relaxed.join(", ")));
        }
        for (place, view) in (1..).zip(self.endpoints.iter().take(endpoints)) {
            lines.push(format!("{place}. {}", view.brief()));
        }
        match self.endpoints.len().saturating_sub(endpoints) {
            0 => {}
            more => lines.push(format!("and {more} more: aya explain tells of all")),
        }
        let rule =
            [self.tier.map(|tier| format!("tier {tier}, ")), self.geo_rule.map(|rule| format!("geo rule {rule}, "))].into_iter().flatten().collect::<String>();
        let pace = if self.moving { "moving" } else { "steady" };
        lines.push(format!("answer: {}, TTL {} s ({pace}), scope /{}, {rule}{}, by {}", self.answer(), self.ttl, self.scope, self.reason, self.by));
        lines
    }

    /// What is answered, in a few words.
    fn answer(&self) -> String {
        let answered: Vec<&str> = self.endpoints.iter().filter(|view| view.answer.is_some()).map(|view| view.endpoint.as_str()).collect();
        match self.verdict {
            "serve" => answered.join(", "),
            other => other.to_uppercase(),
        }
    }
}

impl EndpointView {
    /// One endpoint in a line.
    fn brief(&self) -> String {
        let answered = if self.answer.is_some() { ", answered" } else { "" };
        let share = self.share.map(|share| format!(", share {}.{:02} %", share / 100, share % 100)).unwrap_or_default();
        let out = self.excluded.as_ref().map(|why| format!(", out: {why}")).unwrap_or_default();
        let intent = self.untold_intents().fold(String::new(), |told, intent| told + ", " + intent);
        format!("{} ({}{share}{answered}{out}{intent}): {}", self.endpoint, self.status, self.bill)
    }
}
