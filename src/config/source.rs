//! The texts that are read, and places in them.

use std::ops::Range;

pub(super) use super::records::Place;

/// One file's text under the name that diagnostics call it by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFile {
    /// Its name, a path as the operator would write it.
    pub name: Box<str>,
    /// Its text.
    pub text: Box<str>,
}

/// A value and where it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct At<T> {
    /// The value.
    pub(super) value: T,
    /// Where it stands.
    pub(super) place: Place,
}

/// Where something stands, for people: file, span, line and column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spot {
    /// Name of the file.
    pub file: Box<str>,
    /// The octets that are meant.
    pub span: Range<usize>,
    /// Line of the first, from 1.
    pub line: usize,
    /// Column of the first in characters, from 1.
    pub column: usize,
}

/// `file:line:column`.
impl std::fmt::Display for Spot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// The spot of a place; a place that no source has (none should) is the start of the first.
pub(super) fn spot(sources: &[SourceFile], place: Place) -> Spot {
    let Some(source) = sources.get(place.file as usize) else {
        return Spot { file: "".into(), span: 0..0, line: 1, column: 1 };
    };
    let text = &source.text;
    let start = floor(text, place.start as usize);
    let end = floor(text, place.end as usize).max(start);
    let before = &text[..start];
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    Spot {
        file: source.name.clone(),
        span: start..end,
        line: before.bytes().filter(|&octet| octet == b'\n').count() + 1,
        column: before[line_start..].chars().count() + 1,
    }
}

/// The start of the character that the octet `at` belongs to, at most the text's end.
fn floor(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}
