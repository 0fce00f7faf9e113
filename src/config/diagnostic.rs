//! Mistakes and doubts about what was written, each with its place and a hint.

use std::cell::{Cell, RefCell};
use std::fmt;

use super::MayRun;
use super::source::{Place, SourceFile, Spot, spot};
use crate::limits::DIAGNOSTICS_MAX;
use crate::near::Hints;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The files are not loaded.
    Error,
    /// They are, but somebody should look.
    Lint,
}

/// The word that stands before the message.
impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Lint => "lint",
        })
    }
}

/// Declares [`Code`]: variant, its written form, its severity, whether it may follow from a syntax error elsewhere.
macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $text:literal, $severity:ident, $follows:literal;)*) => {
        /// What kind of finding it is. Stable words, for `--json` and for searching.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code { $($(#[$doc])* $variant,)* }

        impl Code {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The code as it is written.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// How bad it is.
            #[must_use]
            pub const fn severity(self) -> Severity {
                match self { $(Self::$variant => Severity::$severity,)* }
            }

            /// Whether it may be only the consequence of another mistake, by which something declared was not seen: such errors are held back
            /// behind syntax errors, such lints behind any error.
            #[must_use]
            pub const fn follows(self) -> bool {
                match self { $(Self::$variant => $follows,)* }
            }
        }
    };
}

codes! {
    /// A file or folder cannot be read.
    Unreadable = "unreadable", Error, false;
    /// The text is no TOML.
    Syntax = "syntax", Error, false;
    /// A limit of `limits.rs` is exceeded.
    TooMany = "too-many", Error, false;
    /// A key that nobody reads.
    UnknownKey = "unknown-key", Error, false;
    /// A value of the wrong type, form or range.
    WrongValue = "wrong-value", Error, false;
    /// A key that must be there is not.
    MissingKey = "missing-key", Error, true;
    /// The same thing is declared twice.
    Duplicate = "duplicate", Error, false;
    /// Two keys that exclude each other.
    Conflict = "conflict", Error, false;
    /// A text that is no domain name, or one outside its zone.
    BadName = "bad-name", Error, false;
    /// A record that does not read, or may not stand where it does.
    BadRecord = "bad-record", Error, false;
    /// A word that names neither clients nor regions.
    BadSelector = "bad-selector", Error, true;
    /// A region that is neither declared nor known.
    UnknownRegion = "unknown-region", Error, true;
    /// A country code that ISO 3166-1 does not have.
    UnknownCountry = "unknown-country", Error, false;
    /// A jurisdiction that is neither declared nor known.
    UnknownJurisdiction = "unknown-jurisdiction", Error, true;
    /// A network that is not declared.
    UnknownNetwork = "unknown-network", Error, true;
    /// A residency rule that is not declared.
    UnknownResidency = "unknown-residency", Error, true;
    /// A probe template that is not declared.
    UnknownProbe = "unknown-probe", Error, true;
    /// A command that the node may not run.
    ExecRefused = "exec-refused", Error, false;
    /// Something that an endpoint depends on and that is not there.
    UnknownDependency = "unknown-dependency", Error, true;
    /// Services that depend on each other in a circle.
    DependencyCycle = "dependency-cycle", Error, false;
    /// An endpoint that the service does not have.
    UnknownEndpoint = "unknown-endpoint", Error, true;
    /// A selector that matches no region.
    NoSuchRegions = "no-such-regions", Error, true;
    /// No file defines a zone.
    NoZone = "no-zone", Error, true;
    /// A service without endpoints.
    NoEndpoints = "no-endpoints", Error, true;
    /// An endpoint without addresses and without a canonical name.
    NoAddress = "no-address", Error, true;
    /// Addresses and canonical names in one service.
    MixedAnswers = "mixed-answers", Error, true;
    /// A `cname` service at the apex, or with something that canonical names cannot have.
    CnameMisplaced = "cname-misplaced", Error, false;
    /// Endpoints of one service with different address families.
    MixedFamilies = "mixed-families", Error, true;
    /// More addresses in one answer than fit.
    AnswerTooLarge = "answer-too-large", Error, false;
    /// An endpoint that stands in no tier.
    NoTier = "no-tier", Error, true;
    /// A price that decides and is not known.
    MissingPrice = "missing-price", Error, true;
    /// Residency rules that leave some client nobody.
    ResidencyLeavesNobody = "residency-leaves-nobody", Error, true;
    /// A probe that could not work as written.
    BadProbe = "bad-probe", Error, false;

    /// A geo rule all of whose clients an earlier one takes, or whose regions hold no endpoint.
    IdleGeoRule = "idle-geo-rule", Lint, true;
    /// An endpoint that no client can ever get.
    UnreachableEndpoint = "unreachable-endpoint", Lint, true;
    /// A tier that no client can ever get.
    UnreachableTier = "unreachable-tier", Lint, true;
    /// A region that no service uses.
    UnusedRegion = "unused-region", Lint, true;
    /// A residency rule that binds no service.
    UnusedResidency = "unused-residency", Lint, true;
    /// A probe template that nothing uses.
    UnusedProbe = "unused-probe", Lint, true;
    /// A service whose endpoints are never measured.
    NoProbes = "no-probes", Lint, true;
    /// An endpoint that its service's probes cannot ask.
    Unprobed = "unprobed", Lint, true;
    /// A TTL of zero.
    TtlZero = "ttl-zero", Lint, false;
    /// A steered answer that caches keep for more than a minute.
    TtlLong = "ttl-long", Lint, false;
    /// A record, or the lack of one, that is allowed and probably not meant.
    OddRecord = "odd-record", Lint, true;
    /// Negative answers that caches keep for more than a minute.
    NegativeTtlLong = "negative-ttl-long", Lint, false;
}

/// One finding, for people and programs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// What kind.
    pub code: Code,
    /// One sentence without a full stop.
    pub message: String,
    /// Where, unless it is about no file's text.
    pub spot: Option<Spot>,
    /// What is to be said at that very place; may be empty.
    pub label: String,
    /// What to do about it.
    pub help: Option<String>,
    /// Another place that matters, and why.
    pub related: Option<(Spot, String)>,
}

impl Diagnostic {
    /// How bad it is.
    #[must_use]
    pub const fn severity(&self) -> Severity {
        self.code.severity()
    }
}

/// In one line, for logs: `zones/a.toml:3:1: error: … [unknown-key]`.
impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(spot) = &self.spot {
            write!(f, "{spot}: ")?;
        }
        write!(f, "{}: {}", self.severity(), self.message)?;
        if !self.label.is_empty() {
            write!(f, ": {}", self.label)?;
        }
        if let Some(help) = &self.help {
            write!(f, "; {help}")?;
        }
        write!(f, " [{}]", self.code.as_str())
    }
}

/// A finding while the sources are being read.
#[derive(Clone, Debug)]
pub(super) struct Finding {
    /// What kind.
    code: Code,
    /// Where.
    place: Option<Place>,
    /// One sentence.
    message: String,
    /// What is to be said at the place.
    label: String,
    /// What to do.
    help: Option<String>,
    /// Another place that matters.
    related: Option<(Place, String)>,
}

impl Finding {
    /// A finding at a place.
    pub(super) fn at(code: Code, place: Place, message: impl Into<String>) -> Self {
        Self { code, place: Some(place), message: message.into(), label: String::new(), help: None, related: None }
    }

    /// A finding about no place.
    pub(super) fn nowhere(code: Code, message: impl Into<String>) -> Self {
        Self { code, place: None, message: message.into(), label: String::new(), help: None, related: None }
    }

    /// With a label at the place.
    pub(super) fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// With a hint.
    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// With a hint, if there is one.
    pub(super) fn maybe_help(mut self, help: Option<String>) -> Self {
        self.help = help.or(self.help);
        self
    }

    /// With another place that matters.
    pub(super) fn related(mut self, place: Place, label: impl Into<String>) -> Self {
        self.related = Some((place, label.into()));
        self
    }
}

/// Most findings that are kept before they are sorted and cut to [`DIAGNOSTICS_MAX`].
const KEPT_MAX: usize = 50 * DIAGNOSTICS_MAX;

/// The findings of one load, in the order in which they were made.
#[derive(Debug, Default)]
pub(super) struct Findings {
    /// Those kept.
    kept: RefCell<Vec<Finding>>,
    /// How many were not.
    dropped: Cell<usize>,
    /// Whether there was a syntax error.
    syntax: Cell<bool>,
    /// Whether there was any error.
    error: Cell<bool>,
    /// Finds what was probably meant.
    pub(super) hints: Hints,
    /// What the files may have run.
    pub(super) may_run: MayRun,
}

impl Findings {
    /// None yet, of files that may have this run.
    pub(super) fn of(may_run: MayRun) -> Self {
        Self { may_run, ..Self::default() }
    }

    /// Adds one.
    pub(super) fn add(&self, finding: Finding) {
        self.syntax.set(self.syntax.get() || matches!(finding.code, Code::Syntax | Code::Unreadable));
        self.error.set(self.error.get() || finding.code.severity() == Severity::Error);
        let mut kept = self.kept.borrow_mut();
        if kept.len() < KEPT_MAX {
            kept.push(finding);
        } else {
            self.dropped.set(self.dropped.get() + 1);
        }
    }

    /// Counts findings that somebody else has dropped.
    pub(super) fn count_more(&self, more: usize) {
        self.dropped.set(self.dropped.get() + more);
    }

    /// Whether anything found is an error.
    pub(super) fn has_error(&self) -> bool {
        self.error.get()
    }

    /// Whether there was a syntax error, so that what seems to be missing may only not have been seen.
    pub(super) fn has_syntax_error(&self) -> bool {
        self.syntax.get()
    }

    /// Sorted by place, errors that may follow from a syntax error left out, cut to [`DIAGNOSTICS_MAX`]; and how many were cut.
    pub(super) fn finish(self, sources: &[SourceFile]) -> (Vec<Diagnostic>, usize) {
        let mut kept = self.kept.into_inner();
        let hold_back = |severity| if severity == Severity::Error { self.syntax.get() } else { self.error.get() };
        kept.retain(|finding| !(finding.code.follows() && hold_back(finding.code.severity())));
        kept.sort_by(|one, other| (one.place, one.code, &one.message, &one.label).cmp(&(other.place, other.code, &other.message, &other.label)));
        // One syntax error makes several on its line: the first is the one.
        let line = |finding: &Finding| finding.place.map(|place| (place.file, spot(sources, place).line));
        kept.dedup_by(|next, first| next.code == Code::Syntax && first.code == Code::Syntax && line(next) == line(first));
        let more = self.dropped.get() + kept.len().saturating_sub(DIAGNOSTICS_MAX);
        // Errors come first when not all fit: a lint must not hide why nothing was loaded.
        if kept.len() > DIAGNOSTICS_MAX {
            kept.sort_by_key(|finding| finding.code.severity());
            kept.truncate(DIAGNOSTICS_MAX);
        }
        let diagnostics = kept.into_iter().map(|finding| Diagnostic {
            code: finding.code,
            message: finding.message,
            spot: finding.place.map(|place| spot(sources, place)),
            label: finding.label,
            help: finding.help,
            related: finding.related.map(|(place, label)| (spot(sources, place), label)),
        });
        (diagnostics.collect(), more)
    }
}
