//! The walker over a tree of TOML: every key once, every mistake reported with its place, none of them fatal.
//!
//! A derived type would stop at the first mistake and lose places inside tagged and flattened tables. Here each leaf is read by its own
//! [`Leaf`], arrays element by element, and [`Table::done`] reports the keys that nobody read.

use std::borrow::Cow;
use std::ops::RangeInclusive;

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::diagnostic::{Code, Finding, Findings};
use super::keys::Section;
use super::source::{At, Place};

/// What a leaf has to say against its value.
pub(super) enum Wrong {
    /// It is of another type.
    Kind,
    /// It is of the right type, but this is wrong.
    What(String),
}

/// A value without parts.
pub(super) trait Leaf: Sized {
    /// What is expected, as it continues "must be".
    const EXPECTED: &'static str;

    /// Reads it.
    fn read(value: &DeValue<'_>) -> Result<Self, Wrong>;
}

/// A table that is being read.
pub(super) struct Table<'f, 'i> {
    /// Where mistakes go.
    findings: &'f Findings,
    /// The file that it is of.
    file: u32,
    /// The keys that it may have.
    section: &'static Section,
    /// How messages call it: `service "api"`.
    subject: String,
    /// Where it begins: its key.
    place: Place,
    /// What has not been read yet.
    entries: DeTable<'i>,
}

impl<'f, 'i> Table<'f, 'i> {
    /// The top of a file.
    pub(super) fn top(findings: &'f Findings, file: u32, section: &'static Section, entries: DeTable<'i>) -> Self {
        let place = Place::new(file, 0..0);
        Self { findings, file, section, subject: "the file".into(), place, entries }
    }

    /// Where it begins.
    pub(super) fn place(&self) -> Place {
        self.place
    }

    /// How messages call it.
    pub(super) fn subject(&self) -> &str {
        &self.subject
    }

    /// Where mistakes go.
    pub(super) fn findings(&self) -> &'f Findings {
        self.findings
    }

    /// Reports a mistake at a place.
    pub(super) fn report(&self, finding: Finding) {
        self.findings.add(finding);
    }

    /// Where the key stands, if it is there and has not been read.
    pub(super) fn place_of(&self, key: &str) -> Option<Place> {
        self.entries.get_key_value(key).map(|(key, _)| Place::new(self.file, key.span()))
    }

    /// Whether a key that was not taken yet says anything: it is there, and is no empty list.
    pub(super) fn says(&self, key: &str) -> bool {
        self.entries.get(key).is_some_and(|value| !matches!(value.get_ref(), DeValue::Array(list) if list.is_empty()))
    }

    /// The value of a key as it is, with the key's place.
    pub(super) fn raw(&mut self, key: &'static str) -> Option<(Place, Spanned<DeValue<'i>>)> {
        debug_assert!(self.section.keys.iter().any(|known| known.name == key), "`{key}` stands in no section of keys.rs");
        self.entries.remove_entry(key).map(|(key, value)| (Place::new(self.file, key.span()), value))
    }

    /// The value of a key; `None` when it is not there, or wrong (which is reported).
    pub(super) fn take<T: Leaf>(&mut self, key: &'static str) -> Option<T> {
        self.take_at(key).map(|at| at.value)
    }

    /// As [`Table::take`], with its place.
    pub(super) fn take_at<T: Leaf>(&mut self, key: &'static str) -> Option<At<T>> {
        let (_, value) = self.raw(key)?;
        self.leaf(key, &value)
    }

    /// As [`Table::take_at`]; reports when it is not there.
    pub(super) fn need<T: Leaf>(&mut self, key: &'static str) -> Option<At<T>> {
        let Some((_, value)) = self.raw(key) else {
            self.missing(key, T::EXPECTED);
            return None;
        };
        self.leaf(key, &value)
    }

    /// Reports that a key is not there.
    pub(super) fn missing(&self, key: &str, expected: &str) {
        let message = format!("{} has no `{key}`", self.subject);
        self.report(Finding::at(Code::MissingKey, self.place, message).label(format!("needs `{key}`, {expected}")));
    }

    /// A whole number within a range.
    pub(super) fn whole(&mut self, key: &'static str, range: RangeInclusive<u32>) -> Option<u32> {
        let at = self.take_at::<i64>(key)?;
        let value = u32::try_from(at.value).ok().filter(|value| range.contains(value));
        if value.is_none() {
            let message = format!("{}: `{key}` must be a whole number from {} to {}", self.subject, range.start(), range.end());
            self.report(Finding::at(Code::WrongValue, at.place, message).label("out of range"));
        }
        value
    }

    /// One of some words.
    pub(super) fn choice<T: Copy>(&mut self, key: &'static str, words: &[(&'static str, T)]) -> Option<T> {
        let at = self.take_at::<Box<str>>(key)?;
        self.choose(key, &at, words)
    }

    /// One of some words that were read already.
    pub(super) fn choose<T: Copy>(&self, key: &str, at: &At<Box<str>>, words: &[(&'static str, T)]) -> Option<T> {
        let found = words.iter().find(|(word, _)| *word == at.value.as_ref()).map(|(_, value)| *value);
        if found.is_none() {
            let all = words.iter().map(|(word, _)| format!("\"{word}\"")).collect::<Vec<_>>().join(", ");
            let hint = self.findings.hints.did_you_mean(&at.value, words.iter().map(|(word, _)| *word));
            let message = format!("{}: `{key}` must be one of {all}", self.subject);
            self.report(Finding::at(Code::WrongValue, at.place, message).label("no such word").maybe_help(hint));
        }
        found
    }

    /// The elements of a list, or the one value that stands for a list of itself.
    pub(super) fn list<T: Leaf>(&mut self, key: &'static str) -> Vec<At<T>> {
        match self.raw(key) {
            None => Vec::new(),
            Some((_, value)) => self.elements(key, value),
        }
    }

    /// As [`Table::list`]; reports when it is not there or empty.
    pub(super) fn need_list<T: Leaf>(&mut self, key: &'static str) -> Vec<At<T>> {
        let Some((place, value)) = self.raw(key) else {
            self.missing(key, &format!("a list of which each is {}", T::EXPECTED));
            return Vec::new();
        };
        if matches!(value.get_ref(), DeValue::Array(array) if array.is_empty()) {
            let message = format!("{}: `{key}` must not be empty", self.subject);
            self.report(Finding::at(Code::WrongValue, place, message).label("nothing in it"));
        }
        self.elements(key, value)
    }

    /// The elements of a value that is a list, or stands for one.
    pub(super) fn elements<T: Leaf>(&self, key: &str, value: Spanned<DeValue<'i>>) -> Vec<At<T>> {
        let span = value.span();
        match value.into_inner() {
            DeValue::Array(array) => array.into_iter().filter_map(|element| self.leaf(key, &element)).collect(),
            other => self.leaf(key, &Spanned::new(span, other)).into_iter().collect(),
        }
    }

    /// Reads a leaf, or reports what is wrong with it.
    pub(super) fn leaf<T: Leaf>(&self, key: &str, value: &Spanned<DeValue<'i>>) -> Option<At<T>> {
        let place = Place::new(self.file, value.span());
        match T::read(value.get_ref()) {
            Ok(value) => Some(At { value, place }),
            // What the parser put in place of something that it could not read, and has reported.
            Err(_) if value.span().is_empty() => None,
            Err(wrong) => {
                let label = match wrong {
                    Wrong::Kind => format!("this is {}", kind_of(value.get_ref())),
                    Wrong::What(what) => what,
                };
                let message = format!("{}: `{key}` must be {}", self.subject, T::EXPECTED);
                self.report(Finding::at(Code::WrongValue, place, message).label(label));
                None
            }
        }
    }

    /// A table under a key.
    pub(super) fn table(&mut self, key: &'static str, section: &'static Section, subject: impl Into<String>) -> Option<Table<'f, 'i>> {
        let (place, value) = self.raw(key)?;
        self.open(key, place, value, section, subject.into())
    }

    /// A value as a table; reports when it is none.
    pub(super) fn open(&self, key: &str, place: Place, value: Spanned<DeValue<'i>>, section: &'static Section, subject: String) -> Option<Table<'f, 'i>> {
        let span = value.span();
        match value.into_inner() {
            DeValue::Table(entries) => Some(Table { findings: self.findings, file: self.file, section, subject, place, entries }),
            _ if span.is_empty() => None,
            other => {
                let message = format!("{}: `{key}` must be a table", self.subject);
                let place = Place::new(self.file, span);
                self.report(Finding::at(Code::WrongValue, place, message).label(format!("this is {}", kind_of(&other))));
                None
            }
        }
    }

    /// The entries of a table whose keys are names that the operator chooses.
    pub(super) fn named(&mut self, key: &'static str) -> Vec<(At<Box<str>>, Spanned<DeValue<'i>>)> {
        let Some((place, value)) = self.raw(key) else { return Vec::new() };
        let Some(table) = self.open(key, place, value, self.section, String::new()) else { return Vec::new() };
        table.into_named()
    }

    /// The entries that have not been read yet, as names and values.
    pub(super) fn into_named(self) -> Vec<(At<Box<str>>, Spanned<DeValue<'i>>)> {
        let file = self.file;
        let entries = self.entries.into_iter();
        entries.map(|(key, value)| (At { place: Place::new(file, key.span()), value: key.into_inner().into() }, value)).collect()
    }

    /// The tables under a key whose names the operator chooses: `[service.api]`, `[service.shop]`.
    pub(super) fn tables(&mut self, key: &'static str, section: &'static Section, noun: &str, of: &str) -> Vec<(At<Box<str>>, Table<'f, 'i>)> {
        let named = self.named(key);
        let open = |(name, value): (At<Box<str>>, Spanned<DeValue<'i>>)| {
            let subject = format!("{noun} \"{}\"{of}", name.value);
            let table = self.open(&name.value, name.place, value, section, subject)?;
            Some((name, table))
        };
        named.into_iter().filter_map(open).collect()
    }

    /// The tables of an array of tables.
    pub(super) fn array(&mut self, key: &'static str, section: &'static Section, subject: &str) -> Vec<Table<'f, 'i>> {
        let Some((place, value)) = self.raw(key) else { return Vec::new() };
        let array = match value.into_inner() {
            DeValue::Array(array) => array,
            other => {
                let message = format!("{}: `{key}` must be a list of tables", self.subject);
                self.report(Finding::at(Code::WrongValue, place, message).label(format!("this is {}", kind_of(&other))));
                DeArray::default()
            }
        };
        let open = |(index, element): (usize, Spanned<DeValue<'i>>)| {
            let place = Place::new(self.file, element.span());
            self.open(key, place, element, section, format!("{subject} {}", index + 1))
        };
        array.into_iter().enumerate().filter_map(open).collect()
    }

    /// Reports the keys that nobody has read. Ends the reading.
    pub(super) fn done(self) {
        for key in self.entries.keys() {
            let place = Place::new(self.file, key.span());
            let hint = self.findings.hints.did_you_mean(key.get_ref(), self.section.keys.iter().map(|known| known.name));
            let message = format!("{} has an unknown key `{}`", self.subject, key.get_ref());
            self.report(Finding::at(Code::UnknownKey, place, message).label("nobody reads this").maybe_help(hint));
        }
    }
}

/// What a value is, with its article.
fn kind_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// The text of a value.
pub(super) fn text<'v>(value: &'v DeValue<'_>) -> Result<&'v Cow<'v, str>, Wrong> {
    match value {
        DeValue::String(text) => Ok(text),
        _ => Err(Wrong::Kind),
    }
}
