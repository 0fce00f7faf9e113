//! The tests of this room, as far as they go through its doors.

mod master;
mod owners;
mod rdata;
mod svcb;

use super::master::{Master, read};
use super::{Built, Problem, Severity, ZoneInput, build};
use crate::catalog::Name;

/// A name.
fn name(text: &str) -> Name {
    text.parse().expect(text)
}

/// A master file of `example.com` without includes.
fn master(text: &str) -> Master {
    read(0, text, &name("example.com"), None, &mut |_, _| Err("there are no other files".into()))
}

/// `line:column severity: message`.
fn shown(problem: &Problem, text: &str) -> String {
    let before = &text[..problem.place.start as usize];
    let line = before.matches('\n').count() + 1;
    let column = before.len() - before.rfind('\n').map_or(0, |at| at + 1) + 1;
    let severity = if problem.severity == Severity::Error { "error" } else { "lint" };
    format!("{line}:{column} {severity}: {}", problem.message)
}

/// A zone of this apex with the records of a master file, which must be free of mistakes.
fn zone(apex: &str, text: &str) -> ZoneInput {
    let master = read(0, text, &name(apex), Some(300), &mut |_, _| Err("there are no other files".into()));
    assert_eq!(master.problems.list, vec![], "{text}");
    ZoneInput { name: name(apex), place: super::Place::default(), soa: None, records: master.records, services: Vec::new() }
}

/// `example.com` with two name servers elsewhere, and `text` from line 3 on: what is built, and what is wrong.
fn built(text: &str) -> (Built, Vec<String>) {
    let text = format!("@ NS ns1.example.net.\n@ NS ns2.example.net.\n{text}");
    let built = build(&[zone("example.com", &text)]);
    let problems = built.problems.list.iter().map(|problem| shown(problem, &text)).collect();
    (built, problems)
}

/// What is wrong with a zone.
fn wrong(text: &str) -> Vec<String> {
    built(text).1
}
