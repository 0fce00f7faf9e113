//! Reads an ordinary master file (RFC 1035 §5): logical records one by one, so that every mistake is found.

use std::ops::Range;

use super::lex::{Entries, Entry, Syntax, Word};
use super::rdata::{RdataError, Words, encode, parse_seconds, read_name, unknown_type};
use super::types::{SOA, type_code, type_name};
use super::{Place, Problem, Problems, StaticRecord};
use crate::catalog::Name;
use crate::limits::{INCLUDE_DEPTH_MAX, MASTER_FILE_OCTETS_MAX};

/// Fetches what `$INCLUDE` names: the number of the including file and the path as written → the number of the file and its text, or why
/// not. It decides which paths are allowed; [`confined`] helps.
pub type Include<'i> = dyn FnMut(u32, &str) -> Result<(u32, String), String> + 'i;

/// What a file gave.
#[derive(Clone, Debug, Default)]
pub struct Master {
    /// Its records, in order, those of included files among them.
    pub records: Vec<StaticRecord>,
    /// Its mistakes.
    pub problems: Problems,
}

/// Reads the master file number `file`.
///
/// Relative names are relative to `origin` until `$ORIGIN` says otherwise. A record without a TTL takes `$TTL`, else the last TTL
/// stated, else `default_ttl`, else, from the SOA on, the SOA's MINIMUM (RFC 1035 §5.1, RFC 2308 §4).
pub fn read(file: u32, text: &str, origin: &Name, default_ttl: Option<u32>, include: &mut Include<'_>) -> Master {
    let mut reader = Reader {
        include,
        stack: Vec::new(),
        octets_left: MASTER_FILE_OCTETS_MAX,
        ttl_default: None,
        ttl_last: None,
        ttl_given: default_ttl,
        out: Master::default(),
    };
    reader.file(file, text, origin, &Owner::None, Place::new(file, 0..0));
    reader.out
}

/// A path below the folder of zones that `path`, written in a file of the folder `folder` (itself relative to the zones' folder, with `/`),
/// names; `None` when it would leave the zones' folder or is absolute.
#[must_use]
pub fn confined(folder: &str, path: &str) -> Option<String> {
    if path.starts_with(['/', '\\']) || path.contains([':', '\0', '\\']) {
        return None;
    }
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            _ => parts.push(part),
        }
    }
    (!parts.is_empty()).then(|| parts.join("/"))
}

/// The owner that the next record inherits.
#[derive(Clone, Debug)]
enum Owner {
    /// None was stated yet.
    None,
    /// The last one was no name, which has been reported.
    Bad,
    /// This one.
    Name(Name),
}

/// The state of reading.
struct Reader<'i, 'f> {
    /// Fetches included files.
    include: &'i mut Include<'f>,
    /// Files being read, outermost first.
    stack: Vec<u32>,
    /// Octets that may still be read, of all files together.
    octets_left: u64,
    /// `$TTL`.
    ttl_default: Option<u32>,
    /// The last TTL stated.
    ttl_last: Option<u32>,
    /// What the caller gave, or the SOA's MINIMUM.
    ttl_given: Option<u32>,
    /// What has been read.
    out: Master,
}

impl Reader<'_, '_> {
    /// Reads one file. `from` is the directive that asked for it.
    fn file(&mut self, file: u32, text: &str, origin: &Name, owner: &Owner, from: Place) {
        let octets = text.len() as u64;
        if octets > self.octets_left {
            let message = format!("master files are read up to {MASTER_FILE_OCTETS_MAX} octets, included ones among them");
            self.out.problems.push(Problem::error(from, message));
            return;
        }
        self.octets_left -= octets;
        self.stack.push(file);
        let mut scope = Scope { file, text, origin: origin.clone(), owner: owner.clone() };
        for entry in Entries::new(text, Syntax::Master) {
            let result = entry.and_then(|entry| self.entry(&mut scope, &entry));
            if let Err(error) = result {
                self.report(file, error);
            }
        }
        self.stack.pop();
    }

    /// Notes a mistake.
    fn report(&mut self, file: u32, error: RdataError) {
        let problem = Problem::error(Place::new(file, error.span), error.message);
        self.out.problems.push(Problem { help: error.help, ..problem });
    }

    /// Reads one logical line.
    fn entry(&mut self, scope: &mut Scope<'_>, entry: &Entry) -> Result<(), RdataError> {
        let Some((first, rest)) = entry.words.split_first() else { return Ok(()) };
        if !entry.blank && first.raw(scope.text).starts_with(b"$") {
            return self.directive(scope, first, rest);
        }
        if entry.blank {
            return self.record(scope, &entry.words, first.span.clone());
        }
        let owner = scope.name(first);
        scope.owner = owner.as_ref().map_or(Owner::Bad, |name| Owner::Name(name.clone()));
        if let Err(error) = owner {
            self.report(scope.file, error);
        }
        self.record(scope, rest, first.span.clone())
    }

    /// Reads a record from its TTL, class or type on. `head` is blamed for what is missing.
    fn record(&mut self, scope: &Scope<'_>, words: &[Word], head: Range<usize>) -> Result<(), RdataError> {
        let (mut ttl, mut class) = (None, None);
        let mut words = words;
        let (rtype, type_word) = loop {
            let Some((word, rest)) = words.split_first() else {
                return Err(RdataError::new(head, "a record needs a type and data").help("as in `www 300 IN A 192.0.2.1`"));
            };
            words = rest;
            let text = &scope.text[word.span.clone()];
            if text.starts_with(|sign: char| sign.is_ascii_digit()) && ttl.is_none() {
                ttl = Some(read_ttl(text, word)?);
            } else if class.is_none() && is_class(text) {
                class = Some(read_class(text, word)?);
            } else {
                break (type_code(text).ok_or_else(|| unknown_type(word.span.clone(), text))?, word);
            }
        };
        let whole = type_word.span.start..words.last().map_or(type_word.span.end, |last| last.span.end);
        let rdata = encode(rtype, &mut Words { text: scope.text, left: words, origin: &scope.origin, whole })?;
        if rtype == SOA {
            let minimum = rdata.last_chunk::<4>().map(|octets| u32::from_be_bytes(*octets));
            self.ttl_given = self.ttl_given.or(minimum);
        }
        if ttl.is_some() {
            self.ttl_last = ttl;
        }
        let ttl = ttl.or(self.ttl_default).or(self.ttl_last).or(self.ttl_given).ok_or_else(|| {
            RdataError::new(type_word.span.clone(), format!("this {} record has no TTL", type_name(rtype))).help("write `$TTL 1h` at the top of the file")
        })?;
        let place = Place::new(scope.file, head.start..words.last().map_or(type_word.span.end, |last| last.span.end));
        match &scope.owner {
            Owner::Name(owner) => self.out.records.push(StaticRecord { owner: owner.clone(), rtype, ttl, rdata, place }),
            Owner::Bad => {}
            Owner::None => {
                return Err(RdataError::new(head, "the first record of a file needs an owner")
                    .help("a line that begins with white space belongs to the owner above it"));
            }
        }
        Ok(())
    }

    /// Obeys `$ORIGIN`, `$TTL`, `$INCLUDE`.
    fn directive(&mut self, scope: &mut Scope<'_>, directive: &Word, arguments: &[Word]) -> Result<(), RdataError> {
        let name = &scope.text[directive.span.clone()];
        let most = if name.eq_ignore_ascii_case("$INCLUDE") { 2 } else { 1 };
        let known = ["$ORIGIN", "$TTL", "$INCLUDE"].iter().any(|known| name.eq_ignore_ascii_case(known));
        if !known {
            let error = RdataError::new(directive.span.clone(), format!("`{name}` is not supported"));
            return Err(error.help("the directives are $ORIGIN, $TTL and $INCLUDE (RFC 1035 §5.1, RFC 2308 §4)"));
        }
        let first = arguments.first().ok_or_else(|| RdataError::new(directive.span.clone(), format!("`{name}` needs a value")))?;
        if let Some(surplus) = arguments.get(most) {
            return Err(RdataError::new(surplus.span.clone(), format!("`{name}` ends before this")));
        }
        if name.eq_ignore_ascii_case("$ORIGIN") {
            scope.origin = scope.name(first)?;
        } else if name.eq_ignore_ascii_case("$TTL") {
            self.ttl_default = Some(read_ttl(&scope.text[first.span.clone()], first)?);
        } else {
            let origin = arguments.get(1).map_or_else(|| Ok(scope.origin.clone()), |word| scope.name(word))?;
            self.include(scope, first, &origin)?;
        }
        Ok(())
    }

    /// Reads an included file. Neither its `$ORIGIN` nor its last owner reach back (RFC 1035 §5.1).
    fn include(&mut self, scope: &Scope<'_>, word: &Word, origin: &Name) -> Result<(), RdataError> {
        let fail = |message: String| RdataError::new(word.span.clone(), message);
        let path = super::lex::unescape(word.raw(scope.text)).and_then(|octets| String::from_utf8(octets).ok());
        let path = path.ok_or_else(|| fail("this is no path".to_owned()))?;
        if self.stack.len() >= INCLUDE_DEPTH_MAX {
            return Err(fail(format!("$INCLUDE nests more than {INCLUDE_DEPTH_MAX} files deep")));
        }
        let (file, text) = (self.include)(scope.file, &path).map_err(|reason| fail(format!("`{path}` cannot be included: {reason}")))?;
        if self.stack.contains(&file) {
            return Err(fail(format!("`{path}` includes itself")));
        }
        self.file(file, &text, origin, &scope.owner, Place::new(scope.file, word.span.clone()));
        Ok(())
    }
}

/// What holds within one file.
struct Scope<'t> {
    /// Its number.
    file: u32,
    /// Its text.
    text: &'t str,
    /// The origin.
    origin: Name,
    /// The last owner.
    owner: Owner,
}

impl Scope<'_> {
    /// Reads a name.
    fn name(&self, word: &Word) -> Result<Name, RdataError> {
        if word.has_quotes {
            return Err(RdataError::new(word.span.clone(), "a domain name stands without quotes"));
        }
        read_name(&self.text[word.span.clone()], word.span.clone(), &self.origin)
    }
}

/// Reads a TTL.
fn read_ttl(text: &str, word: &Word) -> Result<u32, RdataError> {
    parse_seconds(text).ok_or_else(|| RdataError::new(word.span.clone(), "a TTL is seconds, or as in `1h30m`, at most 2147483647 seconds (RFC 2181 §8)"))
}

/// Whether a word stands where a class may stand and is one.
fn is_class(text: &str) -> bool {
    let number = text.get(5..).filter(|_| text.as_bytes()[..5].eq_ignore_ascii_case(b"CLASS"));
    ["IN", "CH", "HS", "CS", "ANY", "NONE"].iter().any(|class| class.eq_ignore_ascii_case(text))
        || number.is_some_and(|number| !number.is_empty() && number.bytes().all(|octet| octet.is_ascii_digit()))
}

/// Reads a class: only IN is served.
fn read_class(text: &str, word: &Word) -> Result<(), RdataError> {
    if text.eq_ignore_ascii_case("IN") || text.eq_ignore_ascii_case("CLASS1") {
        return Ok(());
    }
    Err(RdataError::new(word.span.clone(), format!("only class IN is served, not {text}")))
}
