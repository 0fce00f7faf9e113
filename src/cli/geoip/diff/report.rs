//! What moves, for people and for programs.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use ipnet::IpNet;
use serde_json::{Value, json};

use super::moves::{Amount, Comparison, FAMILIES, LawMoves, Move, ServiceMoves, Tally};
use crate::catalog::{Catalog, RegionId};
use crate::geo::Code;

/// Countries that are named of one move.
const COUNTRIES_TOLD: usize = 3;
/// Countries gained or lost that are named; the rest is counted.
const COUNTRIES_LISTED: usize = 12;
/// Addresses of a /48 of IPv6: 2⁸⁰.
const SITE: f64 = 1_208_925_819_614_629_174_706_176.0;

/// Tables. `told` names the databases of both sides.
pub(super) fn as_text(comparison: &Comparison, catalog: &Catalog, told: &[Vec<String>; 2], top: usize) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: &str| _ = writeln!(text, "{name:<12}{value}");
    line("old", &told[0].join(", "));
    line("new", &told[1].join(", "));
    let [v4, v6] = comparison.known;
    line("compared", &format!("{} IPv4 addresses, {} /48s of IPv6: what either knows", thousands(v4), thousands(v6 / SITE)));
    line("country", &format!("{} in another one", both(comparison, comparison.recountried)));
    line("", &format!("{} known before, unknown now", both(comparison, comparison.lost)));
    line("", &format!("{} unknown before, known now", both(comparison, comparison.found)));
    for (name, countries) in [("gained", gained(comparison)), ("lost", lost(comparison))] {
        if !countries.is_empty() {
            line(name, &listed(&countries));
        }
    }
    let width = comparison.services.iter().map(|service| service.name.len()).max().unwrap_or(0).max("moves to another region".len());
    _ = writeln!(text, "\n{:<width$}{:>11}{:>11}", "moves to another region", FAMILIES[0], FAMILIES[1]);
    for service in &comparison.services {
        _ = writeln!(text, "{:<width$}{}", service.name, columns(comparison, service.moved));
    }
    for service in &comparison.services {
        tell_service(&mut text, service, comparison, catalog, top);
    }
    text
}

/// One service: its largest moves, and what changes by law. Nothing where nothing does.
fn tell_service(text: &mut String, service: &ServiceMoves, comparison: &Comparison, catalog: &Catalog, top: usize) {
    let laws: Vec<&LawMoves> = service.laws.iter().filter(|law| [law.freed.amount, law.bound.amount] != [Amount::default(); 2]).collect();
    if service.moves.is_empty() && laws.is_empty() {
        return;
    }
    _ = writeln!(text, "\n{}", service.name);
    let name = |region| region_name(region, catalog);
    let words: Vec<String> = service.moves.iter().take(top).map(|one| format!("{} → {}", name(one.from), name(one.to))).collect();
    let width = words.iter().map(|word| word.chars().count()).max().unwrap_or(0);
    for (one, words) in service.moves.iter().zip(&words) {
        let countries = countries_told(one);
        let example = example(&one.tally).map(|net| format!("such as {net}")).unwrap_or_default();
        _ = writeln!(text, "{}  {words:<width$}  {example}: {countries}", columns(comparison, one.tally.amount));
    }
    let rest = service.moves.iter().skip(top).fold(Amount::default(), |sum, one| [sum[0] + one.tally.amount[0], sum[1] + one.tally.amount[1]]);
    if service.moves.len() > top {
        _ = writeln!(text, "{}  {} more", columns(comparison, rest), service.moves.len() - top);
    }
    for law in laws {
        for (tally, moved, words) in [(&law.freed, law.freed_moved, "no longer bound"), (&law.bound, law.bound_moved, "newly bound")] {
            if let Some(example) = example(tally) {
                let moved = both(comparison, moved);
                _ = writeln!(text, "{}  {words} by {}, such as {example}; another region for {moved}", columns(comparison, tally.amount), law.rule);
            }
        }
    }
}

/// One object.
pub(super) fn as_json(comparison: &Comparison, catalog: &Catalog, told: &[Vec<String>; 2], top: usize) -> String {
    let share = |amount| shares(comparison, amount);
    let codes = |countries: Vec<(Code, Amount)>| -> Vec<Value> {
        countries.into_iter().map(|(code, amount)| json!({ "country": code.to_string(), "share": share(amount) })).collect()
    };
    let services = comparison.services.iter().map(|service| {
        let moves: Vec<Value> = service.moves.iter().take(top).map(|one| move_as_json(one, comparison, catalog)).collect();
        let laws: Vec<Value> = service.laws.iter().map(|law| law_as_json(law, comparison)).collect();
        json!({ "service": service.name, "moved": share(service.moved), "moves": moves, "more": service.moves.len().saturating_sub(top), "residency": laws })
    });
    let [v4, v6] = comparison.known;
    let value = json!({
        "old": told[0],
        "new": told[1],
        "compared": { "ipv4-addresses": v4, "ipv6-48s": (v6 / SITE).floor() },
        "another-country": share(comparison.recountried),
        "known-to-unknown": share(comparison.lost),
        "unknown-to-known": share(comparison.found),
        "countries-gained": codes(gained(comparison)),
        "countries-lost": codes(lost(comparison)),
        "services": services.collect::<Vec<_>>(),
    });
    format!("{value:#}\n")
}

/// One move.
fn move_as_json(one: &Move, comparison: &Comparison, catalog: &Catalog) -> Value {
    let code = |code: Option<Code>| code.map(|code| code.to_string());
    let countries = by_size(&one.countries).into_iter().take(COUNTRIES_TOLD);
    let countries = countries.map(|((old, new), amount)| json!({ "old": code(old), "new": code(new), "share": shares(comparison, amount) }));
    let region = |region: Option<RegionId>| region.map(|id| catalog.region(id).name.clone());
    json!({
        "from": region(one.from),
        "to": region(one.to),
        "share": shares(comparison, one.tally.amount),
        "example": examples(&one.tally),
        "countries": countries.collect::<Vec<_>>(),
    })
}

/// What changes by one rule.
fn law_as_json(law: &LawMoves, comparison: &Comparison) -> Value {
    let side = |tally: &Tally, moved| json!({ "share": shares(comparison, tally.amount), "moved": shares(comparison, moved), "example": examples(tally) });
    json!({ "rule": law.rule, "no-longer-bound": side(&law.freed, law.freed_moved), "newly-bound": side(&law.bound, law.bound_moved) })
}

/// Shares by family, 0 to 1.
fn shares(comparison: &Comparison, amount: Amount) -> Value {
    json!({ "ipv4": comparison.share(amount, 0), "ipv6": comparison.share(amount, 1) })
}

/// Examples by family.
fn examples(tally: &Tally) -> Value {
    let [v4, v6] = tally.example.map(|net| net.map(|net| net.to_string()));
    json!({ "ipv4": v4, "ipv6": v6 })
}

/// An example, of IPv4 if there is one.
fn example(tally: &Tally) -> Option<IpNet> {
    let [v4, v6] = tally.example;
    v4.or(v6)
}

/// A region for people.
fn region_name(region: Option<RegionId>, catalog: &Catalog) -> &str {
    region.map_or("no answer", |id| &catalog.region(id).name)
}

/// Shares of both families in two columns.
fn columns(comparison: &Comparison, amount: Amount) -> String {
    [0, 1].map(|family| format!("{:>11}", percent(comparison.share(amount, family)))).concat()
}

/// Shares of both families in words.
fn both(comparison: &Comparison, amount: Amount) -> String {
    format!("{} of IPv4 and {} of IPv6", percent(comparison.share(amount, 0)), percent(comparison.share(amount, 1)))
}

/// A share in per cent. What is there and rounds to nothing is told apart from nothing.
fn percent(share: f64) -> String {
    if share > 0.0 && share < 0.000_05 { "< 0.01 %".to_owned() } else { format!("{:.2} %", share * 100.0) }
}

/// A whole number with its thousands apart.
fn thousands(number: f64) -> String {
    let digits = format!("{:.0}", number.floor());
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The countries that a move concerns most: `DE`, or `DE → FR` where they are in another one now.
fn countries_told(one: &Move) -> String {
    let all = by_size(&one.countries);
    let word = |code: Option<Code>| code.map_or_else(|| "unknown".to_owned(), |code| code.to_string());
    let told = all.iter().take(COUNTRIES_TOLD).map(|((old, new), _)| if old == new { word(*old) } else { format!("{} → {}", word(*old), word(*new)) });
    let mut told = told.collect::<Vec<_>>().join(", ");
    if all.len() > COUNTRIES_TOLD {
        _ = write!(told, " and {} more", all.len() - COUNTRIES_TOLD);
    }
    told
}

/// By size, the largest first.
fn by_size<K: Copy + Ord>(amounts: &BTreeMap<K, Amount>) -> Vec<(K, Amount)> {
    let mut sorted: Vec<(K, Amount)> = amounts.iter().map(|(key, amount)| (*key, *amount)).collect();
    sorted.sort_by(|(_, one), (_, other)| other[0].total_cmp(&one[0]).then(other[1].total_cmp(&one[1])));
    sorted
}

/// Countries that only the new geography knows.
fn gained(comparison: &Comparison) -> Vec<(Code, Amount)> {
    only_in(&comparison.countries_new, &comparison.countries_old)
}

/// Countries that only the old geography knows.
fn lost(comparison: &Comparison) -> Vec<(Code, Amount)> {
    only_in(&comparison.countries_old, &comparison.countries_new)
}

/// Countries of one side that are not on the other, the largest first.
fn only_in(one: &BTreeMap<Code, Amount>, other: &BTreeMap<Code, Amount>) -> Vec<(Code, Amount)> {
    by_size(one).into_iter().filter(|(code, _)| !other.contains_key(code)).collect()
}

/// Names countries, and counts what is too much to name.
fn listed(countries: &[(Code, Amount)]) -> String {
    let mut text = countries.iter().take(COUNTRIES_LISTED).map(|(code, _)| code.to_string()).collect::<Vec<_>>().join(" ");
    if countries.len() > COUNTRIES_LISTED {
        _ = write!(text, " and {} more", countries.len() - COUNTRIES_LISTED);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_told_as_people_write_them() {
        assert_eq!([0.0, 7.9, 999.0, 1000.0, 1_234_567.0].map(thousands), ["0", "7", "999", "1,000", "1,234,567"]);
        assert_eq!([0.0, 1e-9, 0.000_1, 0.123_456, 1.0].map(percent), ["0.00 %", "< 0.01 %", "0.01 %", "12.35 %", "100.00 %"]);
    }
}
