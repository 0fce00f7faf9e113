//! Who may do what: bearer tokens, of which only hashes are stored.
//!
//! ```toml
//! [[token]]
//! name = "anna"
//! role = "operator"
//! sha256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
//! ```
//!
//! A token is 256 random bits, so that its plain SHA-256 may lie in a file: nobody finds it by trying, and a slow hash, which passwords need, would
//! only be a way to keep the node busy.
//!
//! | RFC | what | state |
//! |---|---|---|
//! | 6750 §2.1 | the `Authorization` header; neither form nor query, which end up in logs | done |
//! | 6750 §3 | `WWW-Authenticate` with `invalid_token`, `insufficient_scope` | done |

use std::collections::BTreeSet;
use std::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::limits::{ADMIN_PRESENTED_OCTETS_MAX, ADMIN_TOKEN_NAME_OCTETS_MAX, ADMIN_TOKEN_OCTETS, ADMIN_TOKENS_MAX};

/// What tokens begin with, so that people and scanners of leaked secrets know them for what they are.
const PREFIX: &str = "aya_";

/// What somebody may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// See everything, change nothing.
    Viewer,
    /// Report loads, and see nothing: for endpoints themselves.
    Reporter,
    /// Everything.
    Operator,
}

impl Role {
    /// Whether who has this role may do what needs that one.
    #[must_use]
    pub const fn may(self, needed: Self) -> bool {
        matches!((self, needed), (Self::Operator, _) | (Self::Viewer, Self::Viewer) | (Self::Reporter, Self::Reporter))
    }

    /// As it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Reporter => "reporter",
            Self::Operator => "operator",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for Role {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Viewer, Self::Reporter, Self::Operator].into_iter().find(|role| role.as_str() == text).ok_or("neither viewer nor reporter nor operator")
    }
}

/// The SHA-256 of a token.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// Of a token.
    fn of(token: &str) -> Self {
        let mut octets = [0; 32];
        octets.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
        Self(octets)
    }

    /// Reads 64 hexadecimal digits.
    fn parse(text: &str) -> Option<Self> {
        let mut octets = [0; 32];
        if text.len() != 64 || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        for (octet, at) in octets.iter_mut().zip((0..).step_by(2)) {
            *octet = u8::from_str_radix(&text[at..at + 2], 16).ok()?;
        }
        Some(Self(octets))
    }
}

/// Nobody needs to see it.
impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fingerprint(…)")
    }
}

/// Octets in hexadecimal digits.
fn hex(octets: &[u8]) -> String {
    octets.iter().fold(String::with_capacity(2 * octets.len()), |mut text, octet| {
        text.push_str(&format!("{octet:02x}"));
        text
    })
}

/// Whoever a token is of.
#[derive(Clone, Debug)]
pub struct Holder {
    /// Its name, which stands in the audit trail.
    pub name: Box<str>,
    /// What it may do.
    pub role: Role,
    /// The hash of the token.
    fingerprint: Fingerprint,
}

/// All tokens that count.
#[derive(Clone, Debug, Default)]
pub struct Tokens(Box<[Holder]>);

/// What is wrong with a file of tokens. Never quotes it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{what}", place(*.at))]
pub struct TokensError {
    /// Line and column, 1 first, where that is known.
    pub at: Option<(usize, usize)>,
    /// What is wrong.
    pub what: String,
}

/// A place for people.
fn place(at: Option<(usize, usize)>) -> String {
    at.map(|(line, column)| format!("line {line}, column {column}: ")).unwrap_or_default()
}

/// The file as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    /// Its tables.
    #[serde(default)]
    token: Vec<toml::Spanned<Row>>,
}

/// One table of the file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    /// Who.
    name: String,
    /// What that may do.
    role: Role,
    /// Hash of the token.
    sha256: String,
}

impl Tokens {
    /// Reads the text of a file.
    ///
    /// # Errors
    /// [`TokensError`]: the first mistake, with its place. A file without tokens is one: nobody could do anything.
    pub fn parse(text: &str) -> Result<Self, TokensError> {
        let place = |span: Option<std::ops::Range<usize>>| {
            let before = text.get(..span?.start)?;
            Some((before.matches('\n').count() + 1, before.chars().rev().take_while(|c| *c != '\n').count() + 1))
        };
        let file: File = toml::from_str(text).map_err(|error| TokensError { at: place(error.span()), what: error.message().to_owned() })?;
        let (mut names, mut known, mut holders) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
        for row in file.token {
            let span = row.span();
            let wrong = |what: String| Err(TokensError { at: place(Some(span.clone())), what });
            let Row { name, role, sha256 } = row.into_inner();
            if let Err(what) = check_name(&name) {
                return wrong(what);
            }
            let Some(fingerprint) = Fingerprint::parse(&sha256) else {
                let hint = if sha256.starts_with(PREFIX) { ": it looks like the token itself, which is secret; make another" } else { "" };
                return wrong(format!("`sha256` of {name} is no SHA-256 in 64 hexadecimal digits, as `aya token new` prints it{hint}"));
            };
            if !known.insert(fingerprint) {
                return wrong(format!("{name} has the token of somebody else"));
            }
            if !names.insert(name.clone()) {
                return wrong(format!("{name} has two tokens: names tell people apart in the audit trail"));
            }
            holders.push(Holder { name: name.into(), role, fingerprint });
        }
        match holders.len() {
            0 => Err(TokensError { at: None, what: "there is no token in it: `aya token new` makes one".to_owned() }),
            len if len > ADMIN_TOKENS_MAX => Err(TokensError { at: None, what: format!("it has more than {ADMIN_TOKENS_MAX} tokens") }),
            _ => Ok(Self(holders.into())),
        }
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whose token this is.
    ///
    /// Hashes are compared, each in constant time, and always all of them. How long it takes could at most tell something of a hash, of which nobody
    /// chooses the octets without having the token; this costs nothing more, and needs no such argument.
    #[must_use]
    pub fn holder(&self, presented: &str) -> Option<&Holder> {
        if presented.len() > ADMIN_PRESENTED_OCTETS_MAX {
            return None;
        }
        let fingerprint = Fingerprint::of(presented);
        self.0.iter().fold(None, |found, holder| {
            let is_it = verify_slices_are_equal(&holder.fingerprint.0, &fingerprint.0).is_ok();
            if is_it { Some(holder) } else { found }
        })
    }
}

/// Whether a name can stand in a log, a trail and a file as it is.
///
/// # Errors
/// What is wrong with it.
pub fn check_name(name: &str) -> Result<(), String> {
    let stands = |octet: u8| octet.is_ascii_alphanumeric() || b"._@-".contains(&octet);
    if name.is_empty() || name.len() > ADMIN_TOKEN_NAME_OCTETS_MAX || !name.bytes().all(stands) {
        return Err(format!("a token's name is 1 to {ADMIN_TOKEN_NAME_OCTETS_MAX} letters, digits and ._@-"));
    }
    Ok(())
}

/// A token that nobody has yet.
pub struct NewToken {
    /// What its holder presents.
    pub secret: String,
    /// What stands in the file.
    pub row: String,
}

impl NewToken {
    /// Makes one. The name is one that [`check_name`] takes.
    ///
    /// # Errors
    /// The system has no randomness.
    pub fn make(name: &str, role: Role) -> Result<Self, &'static str> {
        let mut octets = [0; ADMIN_TOKEN_OCTETS];
        aws_lc_rs::rand::fill(&mut octets).map_err(|_| "the system has no randomness")?;
        let secret = format!("{PREFIX}{}", hex(&octets));
        let row = format!("[[token]]\nname = \"{name}\"\nrole = \"{role}\"\nsha256 = \"{}\"\n", hex(&Fingerprint::of(&secret).0));
        Ok(Self { secret, row })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is wrong with a file.
    fn error(text: &str) -> String {
        Tokens::parse(text).unwrap_err().to_string()
    }

    #[test]
    fn a_new_token_is_found_by_its_row_and_no_other_is() {
        let (anna, agent) = (NewToken::make("anna", Role::Operator).unwrap(), NewToken::make("agent-1", Role::Reporter).unwrap());
        let tokens = Tokens::parse(&format!("# ours\n{}\n{}", anna.row, agent.row)).unwrap();
        let found = |secret: &str| tokens.holder(secret).map(|holder| (holder.name.to_string(), holder.role));
        assert_eq!(found(&anna.secret), Some(("anna".to_owned(), Role::Operator)));
        assert_eq!(found(&agent.secret), Some(("agent-1".to_owned(), Role::Reporter)));
        assert_eq!((anna.secret.len(), anna.secret == agent.secret), (PREFIX.len() + 2 * ADMIN_TOKEN_OCTETS, false));
        let stored = anna.row.lines().last().unwrap().trim_start_matches("sha256 = ").trim_matches('"');
        for other in ["", "aya_", &anna.secret[1..], &anna.secret.to_uppercase(), stored, &"a".repeat(1 << 20)] {
            assert_eq!(found(other), None);
        }
        assert!(!format!("{tokens:?}").contains(stored), "a hash is shown to nobody either");
    }

    #[test]
    fn an_empty_text_hashes_as_sha_256_does() {
        assert_eq!(hex(&Fingerprint::of("").0), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }

    #[test]
    fn every_mistake_of_a_file_is_told_with_its_place_and_without_its_text() {
        let row = |name: &str, role: &str, sha256: &str| format!("[[token]]\nname = \"{name}\"\nrole = \"{role}\"\nsha256 = \"{sha256}\"\n");
        let (one, other) = ("0".repeat(64), "1".repeat(64));
        assert!(error("").contains("there is no token in it"));
        assert!(error("[[token]]\nname = ").starts_with("line 2, column "), "{}", error("[[token]]\nname = "));
        assert!(
            error("[[token]]\nname = \"a\"\nrole = \"boss\"\n").starts_with("line 3, column 8: unknown variant"),
            "{}",
            error("[[token]]\nname = \"a\"\nrole = \"boss\"\n")
        );
        assert!(error(&format!("{}\nnmae = 1", row("a", "viewer", &one))).contains("unknown field `nmae`"));
        assert!(error(&row("a b", "viewer", &one)).contains("a token's name is 1 to 64 letters"));
        assert!(error(&format!("{}{}", row("a", "viewer", &one), row("a", "viewer", &other))).contains("line 5, column 1: a has two tokens"));
        assert!(error(&format!("{}{}", row("a", "viewer", &one), row("b", "viewer", &one))).contains("b has the token of somebody else"));
        let leaked = NewToken::make("a", Role::Viewer).unwrap().secret;
        let told = error(&row("a", "viewer", &leaked));
        assert!(told.contains("it looks like the token itself") && !told.contains(&leaked), "{told}");
        let many: String = (0..=ADMIN_TOKENS_MAX).map(|number| row(&format!("a{number}"), "viewer", &format!("{number:064x}"))).collect();
        assert!(error(&many).contains("more than 256 tokens"));
    }

    #[test]
    fn a_viewer_sees_a_reporter_reports_and_an_operator_does_everything() {
        let roles = [Role::Viewer, Role::Reporter, Role::Operator];
        let may = |role: Role| roles.map(|needed| role.may(needed));
        assert_eq!(may(Role::Viewer), [true, false, false]);
        assert_eq!(may(Role::Reporter), [false, true, false]);
        assert_eq!(may(Role::Operator), [true; 3]);
        assert!(roles.iter().all(|role| role.to_string().parse() == Ok(*role)));
    }
}
