//! What happens, and what is expected.

use std::net::IpAddr;
use std::path::Path;

use super::{Draft, Word, keys};
use crate::config::diagnostic::{Code, Finding};
use crate::config::leaf::{Millis, Ratio, Share};
use crate::config::quantity;
use crate::config::source::At;
use crate::config::walk::Table;
use crate::limits::{SCENARIO_LINES_MAX, SIMULATION_SETTLE_MS};
use crate::simulate::{Expectation, Expected, Happening, How, Target, What};
use crate::units::Permille;

/// The keys of an event of which it has one.
const HAPPENINGS: &[&str] = &["down", "up", "slow", "certificate", "lossy", "flap", "cut", "failback", "surge", "reload", "restart", "stale"];
/// The keys of an expectation of which it has one.
const EXPECTATIONS: &[&str] = &["residency", "rto", "max-load", "moves-per-client", "never-empty", "answers"];

/// Reads what happens.
pub(super) fn events(top: &mut Table<'_, '_>, draft: &mut Draft, folder: &Path) {
    let place = top.place_of("event");
    let mut happenings = Vec::new();
    for mut table in top.array("event", &keys::EVENT, "event") {
        let at = table.need::<Millis>("at");
        let what = if is_one(&table, HAPPENINGS) { event(&mut table, draft, folder) } else { None };
        if !matches!(what, Some(What::Down { .. }) | None)
            && let Some(place) = table.place_of("how")
        {
            let message = format!("{}: only what is `down` is so in some way", table.subject());
            table.report(Finding::at(Code::Conflict, place, message).label("leave this out"));
        }
        if let Some(at) = at.as_ref().filter(|at| u64::from(at.value.0) > draft.scenario.length_ms && draft.scenario.length_ms > 0) {
            let message = format!("{}: `at` is after the end", table.subject());
            table.report(Finding::at(Code::WrongValue, at.place, message).label("see `for`"));
        }
        if let (Some(at), Some(what)) = (at, what) {
            happenings.push(Happening { at_ms: at.value.0.into(), what });
            table.done();
        }
    }
    happenings.sort_by_key(|happening| happening.at_ms);
    limit(top, place, happenings.len(), "events");
    draft.scenario.happenings = happenings.into();
}

/// Reports a list that is too long.
fn limit(top: &Table<'_, '_>, place: Option<crate::config::source::Place>, len: usize, noun: &str) {
    if let Some(place) = place.filter(|_| len > SCENARIO_LINES_MAX) {
        let message = format!("there are {len} {noun}, more than the limit of {SCENARIO_LINES_MAX}");
        top.report(Finding::at(Code::TooMany, place, message).label("too many"));
    }
}

/// Whether a table has one of these keys; reports when it has none or several.
fn is_one(table: &Table<'_, '_>, keys: &[&'static str]) -> bool {
    let mut there = keys.iter().filter_map(|key| Some((key, table.place_of(key)?)));
    let words = || keys.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ");
    match (there.next(), there.next()) {
        (Some(_), None) => true,
        (Some((first, first_place)), Some((other, place))) => {
            let message = format!("{} has both `{first}` and `{other}`", table.subject());
            table.report(Finding::at(Code::Conflict, place, message).label("only one in each table").related(first_place, "the other"));
            false
        }
        (None, _) => {
            let message = format!("{} says nothing that is known", table.subject());
            table.report(Finding::at(Code::MissingKey, table.place(), message).label(format!("needs one of {}", words())));
            false
        }
    }
}

/// A target that must mean something.
fn target(at: Option<At<Target>>, draft: &mut Draft) -> Option<Target> {
    let At { value, place } = at?;
    draft.words.push((place, Word::Target(value.clone())));
    Some(value)
}

/// Reads the one thing that happens.
fn event(table: &mut Table<'_, '_>, draft: &mut Draft, folder: &Path) -> Option<What> {
    let subject = table.subject().to_owned();
    if let Some(at) = table.take_at("down") {
        let how = table.choice("how", &[("refused", How::Refused), ("blackhole", How::BlackHole)]).unwrap_or(How::Refused);
        return target(Some(at), draft).map(|target| What::Down { target, how });
    }
    if let Some(at) = table.take_at("up") {
        return target(Some(at), draft).map(What::Up);
    }
    if let Some(mut slow) = table.table("slow", &keys::SLOW, format!("slow of {subject}")) {
        let (what, by) = (target(slow.need("what"), draft), slow.need::<Millis>("by"));
        slow.done();
        return Some(What::Slow { target: what?, by_ms: by?.value.0.into() });
    }
    if let Some(mut certificate) = table.table("certificate", &keys::CERTIFICATE, format!("certificate of {subject}")) {
        let (what, ends_in) = (target(certificate.need("what"), draft), certificate.need::<Millis>("ends-in"));
        certificate.done();
        return Some(What::Certificate { target: what?, ends_in_ms: ends_in?.value.0.into() });
    }
    if let Some(mut lossy) = table.table("lossy", &keys::LOSSY, format!("lossy of {subject}")) {
        let (what, share) = (target(lossy.need("what"), draft), lossy.need::<Share>("share"));
        lossy.done();
        return Some(What::Lossy { target: what?, share: share?.value.0 });
    }
    if let Some(mut flap) = table.table("flap", &keys::FLAP, format!("flap of {subject}")) {
        let what = target(flap.need("what"), draft);
        let [up, down, length] = ["up", "down", "for"].map(|key| {
            let at = flap.need::<Millis>(key)?;
            if at.value.0 == 0 {
                let message = format!("{}: `{key}` must be more than zero", flap.subject());
                flap.report(Finding::at(Code::WrongValue, at.place, message).label("no time at all"));
            }
            Some(u64::from(at.value.0))
        });
        flap.done();
        return Some(What::Flap { target: what?, up_ms: up?, down_ms: down?, for_ms: length? });
    }
    if let Some(mut cut) = table.table("cut", &keys::CUT, format!("cut of {subject}")) {
        let (what, length) = (target(cut.need("what"), draft), cut.need::<Millis>("for"));
        let share = cut.take::<Share>("share").map_or(Permille::WHOLE, |share| share.0);
        let references = cut.take("references").unwrap_or(false);
        cut.done();
        return Some(What::Cut { target: what?, share, references, for_ms: length?.value.0.into() });
    }
    if let Some(service) = table.take_at::<Box<str>>("failback") {
        draft.words.push((service.place, Word::Service(service.value.clone())));
        return Some(What::Failback { service: service.value });
    }
    if let Some(mut surge) = table.table("surge", &keys::SURGE, format!("surge of {subject}")) {
        let (service, factor) = (surge.need::<Box<str>>("service"), surge.need::<Ratio>("factor"));
        surge.done();
        let service = service?;
        draft.words.push((service.place, Word::Service(service.value.clone())));
        return Some(What::Surge { service: service.value, factor: factor?.value.0 });
    }
    let paths = table.list::<Box<str>>("reload");
    if !paths.is_empty() {
        draft.zones.push(paths.into_iter().map(|at| folder.join(&*at.value)).collect());
        return Some(What::Reload(draft.zones.len() - 1));
    }
    if yes(table, "restart") {
        return Some(What::Restart);
    }
    table.take::<Millis>("stale").map(|time| What::Stale { for_ms: time.0.into() })
}

/// Whether a key says yes, which is all that it can say.
fn yes(table: &mut Table<'_, '_>, key: &'static str) -> bool {
    let Some(at) = table.take_at::<bool>(key) else { return false };
    if !at.value {
        let message = format!("{}: `{key}` can only be true", table.subject());
        table.report(Finding::at(Code::WrongValue, at.place, message).label("leave it out instead"));
    }
    at.value
}

/// Reads what is expected.
pub(super) fn expectations(top: &mut Table<'_, '_>, draft: &mut Draft) {
    let place = top.place_of("expect");
    let mut expectations = Vec::new();
    for mut table in top.array("expect", &keys::EXPECT, "expectation") {
        if !is_one(&table, EXPECTATIONS) {
            continue;
        }
        if let Some(place) = table.place_of("after").filter(|_| table.place_of("max-load").is_none()) {
            let message = format!("{}: only `max-load` counts after a while", table.subject());
            table.report(Finding::at(Code::Conflict, place, message).label("leave this out"));
        }
        if let Some(expectation) = expectation(&mut table, draft) {
            expectations.push(expectation);
            table.done();
        }
    }
    limit(top, place, expectations.len(), "expectations");
    draft.scenario.expectations = expectations.into();
}

/// Reads the one thing that is expected.
fn expectation(table: &mut Table<'_, '_>, draft: &mut Draft) -> Option<Expectation> {
    let told = |text: String, what| Some(Expectation { text: text.into(), what });
    if table.place_of("residency").is_some() {
        table.choice("residency", &[("never-broken", ())])?;
        return told("residency = never-broken".to_owned(), Expected::Residency);
    }
    if let Some((text, most)) = at_most(table, "rto", quantity::millis) {
        return told(format!("rto {text}"), Expected::Recovery { most_ms: most.into() });
    }
    if let Some((text, most)) = at_most(table, "max-load", quantity::ratio) {
        let after_ms = table.take::<Millis>("after").map_or(SIMULATION_SETTLE_MS, |after| after.0.into());
        return told(format!("max-load {text} after {}.{:03} s", after_ms / 1000, after_ms % 1000), Expected::MaxLoad { most, after_ms });
    }
    if let Some((text, most)) = at_most(table, "moves-per-client", quantity::count) {
        return told(format!("moves-per-client {text}"), Expected::Moves { most });
    }
    if yes(table, "never-empty") {
        return told("never-empty".to_owned(), Expected::NeverEmpty);
    }
    let mut answers = table.table("answers", &keys::ANSWERS, format!("answers of {}", table.subject()))?;
    let (service, region) = (answers.need::<Box<str>>("service"), answers.need::<Box<str>>("region"));
    let (client, at) = (answers.need::<IpAddr>("client"), answers.need::<Millis>("at"));
    answers.done();
    let (service, region, client, at) = (service?, region?, client?.value, at?);
    if u64::from(at.value.0) > draft.scenario.length_ms {
        answers_late(table, at.place);
    }
    draft.words.push((service.place, Word::Service(service.value.clone())));
    draft.words.push((region.place, Word::Region(region.value.clone())));
    let at_ms = u64::from(at.value.0);
    let text = format!("{} answers {client} with {} at {}.{:03} s", service.value, region.value, at_ms / 1000, at_ms % 1000);
    told(text, Expected::Answers { service: service.value, client, region: region.value, at_ms })
}

/// Reports an answer that is expected after the end.
fn answers_late(table: &Table<'_, '_>, place: crate::config::source::Place) {
    let message = format!("{}: `at` is after the end", table.subject());
    table.report(Finding::at(Code::WrongValue, place, message).label("see `for`"));
}

/// Reads `"<= X"`: as it was written, and X.
fn at_most<T>(table: &mut Table<'_, '_>, key: &'static str, read: impl Fn(&str) -> Result<T, String>) -> Option<(Box<str>, T)> {
    let At { value, place } = table.take_at::<Box<str>>(key)?;
    let limit = value.trim().strip_prefix("<=").ok_or_else(|| "does not begin with \"<=\"".to_owned()).and_then(|rest| read(rest.trim()));
    match limit {
        Ok(limit) => Some((value, limit)),
        Err(wrong) => {
            let message = format!("{}: `{key}` must be a limit such as \"<= …\"", table.subject());
            table.report(Finding::at(Code::WrongValue, place, message).label(wrong));
            None
        }
    }
}
