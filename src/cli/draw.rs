//! Draws diagnostics for people, as rustc draws them, and writes them for programs.

use std::ops::Range;

use annotate_snippets::{Annotation, AnnotationKind, Level, Renderer, Snippet};
use serde_json::{Value, json};

use crate::config::{Diagnostic, Severity, SourceFile, Spot};

/// How many lines may lie between two places for both to stand in one excerpt.
const EXCERPT_LINES_MAX: usize = 12;

/// Draws one diagnostic with an excerpt of its source. In colour for terminals.
#[must_use]
pub fn draw(diagnostic: &Diagnostic, sources: &[SourceFile], colour: bool) -> String {
    let level = match diagnostic.severity() {
        Severity::Error => Level::ERROR,
        Severity::Lint => Level::WARNING.with_name("lint"),
    };
    let mut group = level.primary_title(&diagnostic.message).id(diagnostic.code.as_str()).elements([] as [Snippet<'_, Annotation<'_>>; 0]);
    let excerpt = diagnostic.spot.as_ref().and_then(|spot| Excerpt::around(spot, diagnostic.related.as_ref().map(|related| &related.0), sources));
    if let (Some(excerpt), Some(spot)) = (&excerpt, &diagnostic.spot) {
        let mut snippet = Snippet::source(excerpt.text).line_start(excerpt.line).path(&*spot.file);
        let primary = AnnotationKind::Primary.span(excerpt.span(spot));
        snippet = snippet.annotation(if diagnostic.label.is_empty() { primary } else { primary.label(&diagnostic.label) });
        if let Some((related, label)) = diagnostic.related.as_ref().filter(|_| excerpt.has_related) {
            snippet = snippet.annotation(AnnotationKind::Context.span(excerpt.span(related)).label(label));
        }
        group = group.element(snippet);
    } else if !diagnostic.label.is_empty() {
        group = group.element(Level::NOTE.message(&diagnostic.label));
    }
    if let Some((related, label)) = diagnostic.related.as_ref().filter(|_| !excerpt.as_ref().is_some_and(|excerpt| excerpt.has_related)) {
        group = group.element(Level::NOTE.message(format!("{label}: {related}")));
    }
    if let Some(help) = &diagnostic.help {
        group = group.element(Level::HELP.message(help));
    }
    let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
    renderer.render(&[group])
}

/// The lines of a source that a diagnostic is drawn over: few, so that drawing costs nothing however long the file is.
struct Excerpt<'s> {
    /// The lines.
    text: &'s str,
    /// Octet of the source at which they begin.
    start: usize,
    /// Number of the first.
    line: usize,
    /// Whether the related place lies within.
    has_related: bool,
}

impl<'s> Excerpt<'s> {
    /// Around a place, and the related one if that is near.
    fn around(spot: &Spot, related: Option<&Spot>, sources: &'s [SourceFile]) -> Option<Self> {
        let text: &str = &sources.iter().find(|source| source.name == spot.file)?.text;
        let near = related.filter(|related| related.file == spot.file && related.line.abs_diff(spot.line) <= EXCERPT_LINES_MAX);
        let first = near.map_or(spot, |near| if near.span.start < spot.span.start { near } else { spot });
        let last = near.map_or(spot.span.start, |near| near.span.start.max(spot.span.start));
        let start = text[..first.span.start].rfind('\n').map_or(0, |at| at + 1);
        let end = text[last..].find('\n').map_or(text.len(), |at| last + at);
        Some(Self { text: &text[start..end], start, line: first.line, has_related: near.is_some() })
    }

    /// A place within the excerpt, its first line only.
    fn span(&self, spot: &Spot) -> Range<usize> {
        let start = spot.span.start - self.start;
        let line_end = self.text[start..].find('\n').map_or(self.text.len(), |at| start + at);
        start..(spot.span.end.max(spot.span.start) - self.start).min(line_end)
    }
}

/// One diagnostic as JSON.
#[must_use]
pub fn as_json(diagnostic: &Diagnostic) -> Value {
    let spot = |spot: &Spot| json!({ "file": spot.file, "line": spot.line, "column": spot.column, "start": spot.span.start, "end": spot.span.end });
    json!({
        "severity": diagnostic.severity().to_string(),
        "code": diagnostic.code.as_str(),
        "message": diagnostic.message,
        "label": diagnostic.label,
        "place": diagnostic.spot.as_ref().map(spot),
        "help": diagnostic.help,
        "related": diagnostic.related.as_ref().map(|(place, label)| json!({ "label": label, "place": spot(place) })),
    })
}
