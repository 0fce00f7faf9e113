//! Ordinary records: from master files (RFC 1035 §5) and from TOML to the catalog's zones and owner names.
//!
//! Edge storey, but pure itself: texts come in, and what `$INCLUDE` names is fetched by the caller. Every mistake is reported with its
//! place; a bad record never hides the next one.
//!
//! | file | what it does |
//! |---|---|
//! | `master` | a master file → records |
//! | `rdata`, `svcb`, `types` | the text of one record's data → RDATA |
//! | `lex` | words, quotes, parentheses, comments, escapes |
//! | `owners`, `content`, `refer`, `soa` | records and services of all zones → [`crate::catalog::OwnerNames`] and [`crate::catalog::Zone`]s |
//!
//! Why not hickory-proto's parser of text: version 0.26.3 gets `\DDD` wrong, undoes no escapes outside quotes, takes `@` in RDATA
//! for a mistake and SVCB targets for absolute, reads no DS, and gives no places. Its decoder of RDATA judges what was read here, so that both
//! engines can serve whatever `check` lets pass.
//!
//! | RFC | status |
//! |---|---|
//! | RFC 1035 §5 | master files: done; `$GENERATE` (not of the RFC) refused |
//! | RFC 2308 §4 | `$TTL`: done |
//! | RFC 3597 §5 | unknown types and `\#`: done |
//! | RFC 9460 §2.1, §2.2, §8, appendix A | SVCB and HTTPS: done |
//! | RFC 2181 §5.2, §8, §10.1, §10.3 | one TTL a set, largest TTL, CNAME alone, NS and MX targets: done |
//! | RFC 4592 §4.2 | no NS, no DNAME at wildcards: done |

mod content;
mod lex;
pub mod master;
mod owners;
mod rdata;
mod refer;
mod soa;
mod svcb;
mod types;

#[cfg(test)]
mod tests;

pub use owners::{Built, ServiceName, ZoneInput, build};
pub(in crate::config) use rdata::base64;
pub use rdata::{RdataError, parse_rdata};
pub use soa::SoaSpec;
pub use svcb::{SvcParams, parse_params};
pub use types::{type_code, type_name};

use crate::catalog::Name;
use crate::limits::DIAGNOSTICS_MAX;

/// Where something was written: octets `start..end` of a file. What the number of the file means is the caller's affair.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Number of the file.
    pub file: u32,
    /// First octet.
    pub start: u32,
    /// One past the last octet.
    pub end: u32,
}

impl Place {
    /// The octets `span` of `file`.
    #[must_use]
    pub fn new(file: u32, span: std::ops::Range<usize>) -> Self {
        let fit = |octet: usize| u32::try_from(octet).unwrap_or(u32::MAX);
        Self { file, start: fit(span.start), end: fit(span.end) }
    }
}

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The catalog cannot be built.
    Error,
    /// It can, but somebody should look.
    Lint,
}

/// A mistake or an oddity, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// How bad.
    pub severity: Severity,
    /// Where.
    pub place: Place,
    /// What is wrong, without a final dot.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
    /// Another place that has to do with it, and what is there.
    pub related: Option<(Place, &'static str)>,
}

impl Problem {
    /// An error.
    pub fn error(place: Place, message: impl Into<String>) -> Self {
        Self { severity: Severity::Error, place, message: message.into(), help: None, related: None }
    }

    /// A lint.
    pub fn lint(place: Place, message: impl Into<String>) -> Self {
        Self { severity: Severity::Lint, ..Self::error(place, message) }
    }

    /// With a hint.
    #[must_use]
    pub fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }

    /// With another place.
    #[must_use]
    pub fn related(self, place: Place, what: &'static str) -> Self {
        Self { related: Some((place, what)), ..self }
    }
}

/// Problems of one reading, at most [`DIAGNOSTICS_MAX`] errors and as many lints; the rest is counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems {
    /// Those that are listed.
    pub list: Vec<Problem>,
    /// Errors among those listed.
    pub errors: usize,
    /// How many more there were.
    pub unlisted: usize,
}

impl Problems {
    /// Adds one.
    pub fn push(&mut self, problem: Problem) {
        let is_error = problem.severity == Severity::Error;
        let alike = if is_error { self.errors } else { self.list.len() - self.errors };
        if alike >= DIAGNOSTICS_MAX {
            self.unlisted += 1;
            return;
        }
        self.errors += usize::from(is_error);
        self.list.push(problem);
    }
}

/// One record as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaticRecord {
    /// Its owner.
    pub owner: Name,
    /// TYPE code.
    pub rtype: u16,
    /// TTL in seconds, at most 2³¹ − 1.
    pub ttl: u32,
    /// RDATA, uncompressed; names in it in lower case.
    pub rdata: Box<[u8]>,
    /// Where it stands.
    pub place: Place,
}

impl StaticRecord {
    /// An A or AAAA record.
    #[must_use]
    pub fn address(owner: Name, address: std::net::IpAddr, ttl: u32, place: Place) -> Self {
        let (rtype, rdata): (u16, Box<[u8]>) = match address {
            std::net::IpAddr::V4(a) => (types::A, Box::new(a.octets())),
            std::net::IpAddr::V6(a) => (types::AAAA, Box::new(a.octets())),
        };
        Self { owner, rtype, ttl, rdata, place }
    }

    /// An NS record.
    #[must_use]
    pub fn ns(owner: Name, host: &Name, ttl: u32, place: Place) -> Self {
        Self { owner, rtype: types::NS, ttl, rdata: host.wire().into(), place }
    }
}
