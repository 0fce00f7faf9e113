//! `depends-on` as written, of a service or an endpoint.

use toml::de::DeValue;

use crate::config::diagnostic::{Code, Finding};
use crate::config::keys;
use crate::config::source::{At, Place};
use crate::config::walk::Table;
use crate::limits::NEEDS_MAX;

/// What a service or an endpoint depends on. Without names: nothing.
#[derive(Clone, Debug)]
pub(in crate::config) struct DependsSpec {
    /// Where it is written.
    pub(in crate::config) place: Place,
    /// How many must be met.
    pub(in crate::config) least: Least,
    /// Services' names, or `probe:NAME`.
    pub(in crate::config) names: Vec<At<Box<str>>>,
}

/// How many must be met.
#[derive(Clone, Copy, Debug)]
pub(in crate::config) enum Least {
    /// All.
    All,
    /// Any.
    Any,
    /// So many.
    Some(u8),
}

/// Reads `depends-on`: a name, a list of names that are all needed, or a table.
pub(super) fn read(whole: &mut Table<'_, '_>) -> Option<DependsSpec> {
    let (place, value) = whole.raw("depends-on")?;
    if matches!(value.get_ref(), DeValue::String(_) | DeValue::Array(_)) {
        let names = limited(whole, place, whole.elements("depends-on", value));
        return Some(DependsSpec { place, least: Least::All, names });
    }
    let subject = format!("depends-on of {}", whole.subject());
    let mut table = whole.open("depends-on", place, value, &keys::DEPENDS_ON, subject)?;
    let written: Vec<(&str, Place)> = ["all", "any", "of"].into_iter().filter_map(|key| Some((key, table.place_of(key)?))).collect();
    let (all, any, of) = (table.list("all"), table.list("any"), table.list("of"));
    let least = table.whole("at-least", 1..=u32::try_from(NEEDS_MAX).unwrap_or(1)).and_then(|count| u8::try_from(count).ok());
    let spec = match written[..] {
        [("all", _)] => DependsSpec { place, least: Least::All, names: all },
        [("any", _)] => DependsSpec { place, least: Least::Any, names: any },
        [("of", of_place)] => {
            let Some(count) = least else {
                table.missing("at-least", "how many of them are needed");
                table.done();
                return None;
            };
            if usize::from(count) > of.len() {
                let message = format!("{}: `at-least` is more than there are", table.subject());
                table.report(Finding::at(Code::Conflict, of_place, message).label(format!("{} of {count}", of.len())));
            }
            DependsSpec { place, least: Least::Some(count), names: of }
        }
        _ => {
            let message = format!("{} needs one of `all`, `any`, or `at-least` and `of`", table.subject());
            table.report(Finding::at(Code::Conflict, place, message).label(if written.is_empty() { "has none" } else { "has several" }));
            table.done();
            return None;
        }
    };
    if least.is_some() && !matches!(spec.least, Least::Some(_)) {
        let message = format!("{}: `at-least` counts those of `of`", table.subject());
        table.report(Finding::at(Code::Conflict, place, message).label("has no `of`"));
    }
    table.done();
    let names = limited(whole, place, spec.names);
    Some(DependsSpec { names, ..spec })
}

/// The names without those that stand there twice; reports those, and too many.
fn limited(table: &Table<'_, '_>, place: Place, names: Vec<At<Box<str>>>) -> Vec<At<Box<str>>> {
    let mut distinct: Vec<At<Box<str>>> = Vec::with_capacity(names.len());
    for name in names {
        if distinct.iter().any(|other| other.value == name.value) {
            let message = format!("{}: \"{}\" stands in `depends-on` twice", table.subject(), name.value.escape_default());
            table.report(Finding::at(Code::Duplicate, name.place, message).label("again here"));
        } else {
            distinct.push(name);
        }
    }
    if distinct.len() > NEEDS_MAX {
        let message = format!("{} depends on {} things, more than the limit of {NEEDS_MAX}", table.subject(), distinct.len());
        table.report(Finding::at(Code::TooMany, place, message));
    }
    distinct
}
