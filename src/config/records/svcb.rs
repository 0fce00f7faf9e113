//! SvcParams of SVCB and HTTPS records (RFC 9460): their text, their order, and the rules that hold among them.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::lex::{Entries, Syntax, Word, unescape};
use super::rdata::{RdataError, Words, bad_escape, base64};
use crate::catalog::Name;

/// `mandatory`.
const MANDATORY: u16 = 0;
/// `alpn`.
const ALPN: u16 = 1;
/// `no-default-alpn`.
const NO_DEFAULT_ALPN: u16 = 2;
/// `port`.
const PORT: u16 = 3;
/// `ipv4hint`.
const IPV4_HINT: u16 = 4;
/// `ech` (RFC 9848).
const ECH: u16 = 5;
/// `ipv6hint`.
const IPV6_HINT: u16 = 6;
/// `dohpath` (RFC 9461).
const DOHPATH: u16 = 7;
/// `ohttp` (RFC 9540).
const OHTTP: u16 = 8;
/// `tls-supported-groups`.
const TLS_SUPPORTED_GROUPS: u16 = 9;

/// Names of SvcParamKeys, by number (RFC 9460 §14.3.2 and the registry).
const KEYS: [&str; 10] = ["mandatory", "alpn", "no-default-alpn", "port", "ipv4hint", "ech", "ipv6hint", "dohpath", "ohttp", "tls-supported-groups"];

/// SvcParams by key, each with its value in wire format.
pub type SvcParams = Vec<(u16, Box<[u8]>)>;

/// Reads SvcParams as in `alpn=h2,h3 port=8443`: sorted by key, unique, consistent.
///
/// # Errors
/// The first mistake in `text`.
pub fn parse_params(text: &str) -> Result<SvcParams, RdataError> {
    let mut words = Vec::new();
    for entry in Entries::new(text, Syntax::Value) {
        words.extend(entry?.words);
    }
    let origin = Name::root();
    let params = params(&mut Words { text, left: &words, origin: &origin, whole: 0..text.len() })?;
    check(1, &params).map_err(|message| RdataError::new(0..text.len(), message))?;
    Ok(params)
}

/// Reads SvcParams to the end → wire format, sorted.
pub(super) fn read_params(words: &mut Words<'_>) -> Result<Vec<u8>, RdataError> {
    let mut wire = Vec::new();
    for (key, value) in params(words)? {
        wire.extend(key.to_be_bytes());
        wire.extend(u16::try_from(value.len()).map_err(|_| RdataError::new(words.whole.clone(), "a parameter is longer than 65,535 octets"))?.to_be_bytes());
        wire.extend(value);
    }
    Ok(wire)
}

/// Reads SvcParams to the end, sorted by key; a key twice is a mistake (RFC 9460 §2.1).
fn params(words: &mut Words<'_>) -> Result<SvcParams, RdataError> {
    let mut params = SvcParams::new();
    while let Some(word) = words.take() {
        let (key, value) = param(words.text, word)?;
        match params.binary_search_by_key(&key, |entry| entry.0) {
            Ok(_) => return Err(RdataError::new(word.span.clone(), format!("`{}` is given twice", key_name(key)))),
            Err(at) => params.insert(at, (key, value)),
        }
    }
    Ok(params)
}

/// Reads `key` or `key=value`.
fn param(text: &str, word: &Word) -> Result<(u16, Box<[u8]>), RdataError> {
    let fail = |message: String| RdataError::new(word.span.clone(), message);
    let raw = word.raw(text);
    let (name, value) = match raw.iter().position(|&octet| octet == b'=') {
        Some(at) => (&raw[..at], Some(&raw[at + 1..])),
        None => (raw, None),
    };
    let name = str::from_utf8(name).unwrap_or("?");
    let key = key_code(name).ok_or_else(|| {
        fail(format!("`{name}` is no parameter known here")).help(format!("known are {}, and any by number as in `key65280=text`", KEYS.join(", ")))
    })?;
    let octets = match value {
        // A quoted value is quoted wholly (RFC 9460 appendix A: `char-string`).
        Some(value) if value.contains(&b'"') && !is_quoted(value) => return Err(fail("a quote stands within the value".to_owned())),
        Some(value) => unescape(value).ok_or_else(|| bad_escape(word.span.clone()))?,
        None => Vec::new(),
    };
    let simple = !matches!(key, ALPN | DOHPATH) && KEYS.contains(&name);
    if simple && value.is_some_and(|value| value.contains(&b'\\')) {
        return Err(fail(format!("the value of `{name}` has no escapes")));
    }
    let wire = if name.starts_with("key") { octets } else { value_wire(key, &octets).map_err(fail)? };
    judge(key, &wire).map_err(fail)?;
    Ok((key, wire.into()))
}

/// Whether the value is within one pair of quotes.
fn is_quoted(value: &[u8]) -> bool {
    let Some((b'"', rest)) = value.split_first() else { return false };
    let mut at = 0;
    while at < rest.len() {
        match rest[at] {
            b'\\' => at += 2,
            b'"' => return at + 1 == rest.len(),
            _ => at += 1,
        }
    }
    false
}

/// The number of a key's name or of `keyNNNNN`.
fn key_code(name: &str) -> Option<u16> {
    if let Some(at) = KEYS.iter().position(|known| *known == name) {
        return u16::try_from(at).ok();
    }
    let number = name.strip_prefix("key")?;
    let canonical = number == "0" || (!number.starts_with('0') && number.bytes().all(|octet| octet.is_ascii_digit()));
    number.parse().ok().filter(|&code: &u16| canonical && code != u16::MAX)
}

/// The name of a key.
fn key_name(key: u16) -> String {
    KEYS.get(usize::from(key)).map_or_else(|| format!("key{key}"), |name| (*name).to_owned())
}

/// A value, its escapes undone, → wire format.
fn value_wire(key: u16, octets: &[u8]) -> Result<Vec<u8>, String> {
    let text = || str::from_utf8(octets).map_err(|_| format!("the value of `{}` is not text", key_name(key)));
    let mut wire = Vec::new();
    match key {
        MANDATORY => {
            let mut keys = Vec::new();
            for name in text()?.split(',') {
                keys.push(key_code(name).ok_or_else(|| format!("`{name}` in `mandatory` is no parameter known here"))?);
            }
            keys.sort_unstable();
            wire.extend(keys.into_iter().flat_map(u16::to_be_bytes));
        }
        ALPN => {
            for id in split_list(octets)? {
                let len = u8::try_from(id.len()).map_err(|_| "an ALPN identifier is longer than 255 octets".to_owned())?;
                wire.push(len);
                wire.extend(id);
            }
        }
        PORT => {
            let text = text()?;
            let digits = text.bytes().all(|octet| octet.is_ascii_digit());
            let port: u16 = text.parse().ok().filter(|_| digits).ok_or("`port` is a number from 0 to 65535")?;
            wire.extend(port.to_be_bytes());
        }
        IPV4_HINT => {
            for address in text()?.split(',') {
                wire.extend(address.parse::<Ipv4Addr>().map_err(|_| format!("`{address}` in `ipv4hint` is no IPv4 address"))?.octets());
            }
        }
        IPV6_HINT => {
            for address in text()?.split(',') {
                wire.extend(address.parse::<Ipv6Addr>().map_err(|_| format!("`{address}` in `ipv6hint` is no IPv6 address"))?.octets());
            }
        }
        ECH => wire = base64(text()?).ok_or("`ech` is an ECHConfigList in base 64")?,
        TLS_SUPPORTED_GROUPS => {
            for group in text()?.split(',') {
                let group: u16 = group.parse().map_err(|_| "`tls-supported-groups` lists numbers from 0 to 65535")?;
                wire.extend(group.to_be_bytes());
            }
        }
        _ => wire = octets.to_vec(),
    }
    Ok(wire)
}

/// Splits a comma-separated list whose items may have `\,` and `\\` (RFC 9460 appendix A.1).
fn split_list(octets: &[u8]) -> Result<Vec<Vec<u8>>, String> {
    let mut items = vec![Vec::new()];
    let mut escaped = false;
    for &octet in octets {
        let item = items.last_mut().expect("it begins with one item and only grows");
        match octet {
            b',' | b'\\' if escaped => {
                item.push(octet);
                escaped = false;
            }
            _ if escaped => return Err("in a list, a backslash stands before `,` or `\\` only".to_owned()),
            b'\\' => escaped = true,
            b',' => items.push(Vec::new()),
            _ => item.push(octet),
        }
    }
    if escaped {
        return Err("nothing follows the last backslash".to_owned());
    }
    Ok(items)
}

/// Judges one value in wire format.
fn judge(key: u16, wire: &[u8]) -> Result<(), String> {
    let fine = match key {
        MANDATORY => {
            let keys: Vec<&[u8]> = wire.chunks(2).collect();
            !wire.is_empty() && wire.len().is_multiple_of(2) && keys.windows(2).all(|pair| pair[0] < pair[1]) && keys.first() != Some(&&[0, 0][..])
        }
        ALPN => {
            let mut rest = wire;
            while let Some((&len, after)) = rest.split_first() {
                match after.split_at_checked(usize::from(len)) {
                    Some((_, tail)) if len > 0 => rest = tail,
                    _ => return Err("`alpn` is a list of identifiers, none of them empty".to_owned()),
                }
            }
            !wire.is_empty()
        }
        NO_DEFAULT_ALPN | OHTTP => wire.is_empty(),
        PORT => wire.len() == 2,
        IPV4_HINT => !wire.is_empty() && wire.len().is_multiple_of(4),
        IPV6_HINT => !wire.is_empty() && wire.len().is_multiple_of(16),
        ECH => wire.len() > 2 && usize::from(u16::from_be_bytes([wire[0], wire[1]])) == wire.len() - 2,
        DOHPATH => str::from_utf8(wire).is_ok_and(|path| path.starts_with('/') && path.contains("dns")),
        TLS_SUPPORTED_GROUPS => !wire.is_empty() && wire.len().is_multiple_of(2),
        u16::MAX => false,
        _ => true,
    };
    fine.then_some(()).ok_or_else(|| match key {
        MANDATORY => "`mandatory` is a list of distinct keys, itself not among them".to_owned(),
        NO_DEFAULT_ALPN | OHTTP => format!("`{}` has no value", key_name(key)),
        ECH => "`ech` is an ECHConfigList: two octets of length, then so many octets".to_owned(),
        DOHPATH => "`dohpath` is a path template with the variable `dns`, as in `/dns-query{?dns}`".to_owned(),
        u16::MAX => "key65535 is reserved".to_owned(),
        _ => format!("the value of `{}` is empty or has a wrong length", key_name(key)),
    })
}

/// Judges the params among each other (RFC 9460 §2.4.1, §2.4.3, §7.1.1, §8).
fn check(priority: u16, params: &[(u16, Box<[u8]>)]) -> Result<(), String> {
    if priority == 0 && !params.is_empty() {
        return Err("a record with priority 0 (AliasMode) has no parameters (RFC 9460 §2.4.2)".to_owned());
    }
    let has = |key: u16| params.iter().any(|entry| entry.0 == key);
    if has(NO_DEFAULT_ALPN) && !has(ALPN) {
        return Err("`no-default-alpn` needs `alpn` (RFC 9460 §7.1.1)".to_owned());
    }
    let mandatory = params.iter().find(|entry| entry.0 == MANDATORY);
    for pair in mandatory.iter().flat_map(|entry| entry.1.chunks_exact(2)) {
        let key = u16::from_be_bytes([pair[0], pair[1]]);
        if !has(key) {
            return Err(format!("`{}` is mandatory, but not given (RFC 9460 §8)", key_name(key)));
        }
    }
    Ok(())
}

/// Judges whole RDATA of an SVCB or HTTPS record (RFC 9460 §2.2).
pub(super) fn validate(rdata: &[u8]) -> Result<(), String> {
    let cut = || "the data ends within a field".to_owned();
    let (priority, mut rest) = rdata.split_first_chunk::<2>().ok_or_else(cut)?;
    while let Some((&len, after)) = rest.split_first() {
        rest = after.get(usize::from(len)..).ok_or_else(cut)?;
        if len == 0 {
            break;
        }
    }
    let mut params = SvcParams::new();
    while !rest.is_empty() {
        let (key, after) = rest.split_first_chunk::<2>().ok_or_else(cut)?;
        let (len, after) = after.split_first_chunk::<2>().ok_or_else(cut)?;
        let (value, after) = after.split_at_checked(usize::from(u16::from_be_bytes(*len))).ok_or_else(cut)?;
        let key = u16::from_be_bytes(*key);
        if params.last().is_some_and(|last| last.0 >= key) {
            return Err("the keys of parameters ascend and none comes twice (RFC 9460 §2.2)".to_owned());
        }
        judge(key, value)?;
        params.push((key, value.into()));
        rest = after;
    }
    check(u16::from_be_bytes(*priority), &params)
}
