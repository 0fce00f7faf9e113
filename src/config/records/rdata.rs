//! The text of one record's data → RDATA in wire format, uncompressed, names in lower case.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::Range;

use hickory_proto::rr::{RData, RecordType};
use hickory_proto::serialize::binary::{BinDecoder, Restrict};

use super::lex::{Entries, Syntax, Word, unescape};
use super::types::{self, Field, fields, refusal, type_code, type_name};
use super::{svcb, types::TXT};
use crate::catalog::Name;

/// Why a text is no record data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RdataError {
    /// Octets of the text that are wrong.
    pub span: Range<usize>,
    /// What is wrong, without a final dot.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

impl RdataError {
    /// A mistake at `span`.
    pub(super) fn new(span: Range<usize>, message: impl Into<String>) -> Self {
        Self { span, message: message.into(), help: None }
    }

    /// With a hint.
    pub(super) fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }
}

/// Reads record data as TOML gives it: a mnemonic (or `TYPE123`) and the text of the data, names relative to `origin`.
///
/// There are neither comments nor parentheses. TXT and SPF data that does not begin with a quote is taken as it stands, blanks and all,
/// and cut into strings of 255 octets; data that does is a list of quoted strings as in a master file.
///
/// # Errors
/// The first mistake in `text`.
pub fn parse_rdata(rtype: &str, text: &str, origin: &Name) -> Result<(u16, Box<[u8]>), RdataError> {
    let code = type_code(rtype).ok_or_else(|| unknown_type(0..text.len(), rtype))?;
    if matches!(code, TXT | types::SPF) && !text.trim_start().starts_with(['"', '\\']) {
        return plain_text(text).map(|rdata| (code, rdata));
    }
    let mut words = Vec::new();
    for entry in Entries::new(text, Syntax::Value) {
        words.extend(entry?.words);
    }
    encode(code, &mut Words { text, left: &words, origin, whole: 0..text.len() }).map(|rdata| (code, rdata))
}

/// The mistake of a type that nobody knows.
pub(super) fn unknown_type(span: Range<usize>, rtype: &str) -> RdataError {
    let error = RdataError::new(span, format!("`{rtype}` is no record type known here"));
    match rtype.to_ascii_uppercase().as_str() {
        "ALIAS" | "ANAME" => error.help("an HTTPS record in AliasMode (`HTTPS 0 target.`) or a service does this at an apex"),
        _ => error.help("other types are written by number, as in `TYPE65280 \\# 2 abcd` (RFC 3597)"),
    }
}

/// Text as it stands → character-strings.
fn plain_text(text: &str) -> Result<Box<[u8]>, RdataError> {
    if text.len() > 60_000 {
        return Err(RdataError::new(0..text.len(), "this text does not fit a DNS message"));
    }
    let mut rdata = Vec::with_capacity(text.len() + 1 + text.len() / 255);
    if text.is_empty() {
        rdata.push(0);
    }
    for chunk in text.as_bytes().chunks(255) {
        push_text(&mut rdata, chunk);
    }
    Ok(rdata.into())
}

/// Appends a character-string of at most 255 octets.
fn push_text(rdata: &mut Vec<u8>, text: &[u8]) {
    rdata.push(u8::try_from(text.len()).expect("callers hold a character-string to 255 octets"));
    rdata.extend_from_slice(text);
}

/// The words of a record's data, read one by one.
pub(super) struct Words<'t> {
    /// The text that they are of.
    pub(super) text: &'t str,
    /// Those not yet read.
    pub(super) left: &'t [Word],
    /// Where relative names are.
    pub(super) origin: &'t Name,
    /// What is blamed for a missing word.
    pub(super) whole: Range<usize>,
}

impl<'t> Words<'t> {
    /// The next word, if there is one.
    pub(super) fn take(&mut self) -> Option<&'t Word> {
        let (word, rest) = self.left.split_first()?;
        self.left = rest;
        Some(word)
    }

    /// The next word, called `what` if it is missing.
    fn need(&mut self, what: &str) -> Result<&'t Word, RdataError> {
        self.take().ok_or_else(|| RdataError::new(self.whole.clone(), format!("{what} is missing at the end")))
    }

    /// A word as it was written, for numbers and addresses: quotes have no place in them.
    fn bare(&self, word: &Word, what: &str) -> Result<&'t str, RdataError> {
        if word.has_quotes {
            return Err(RdataError::new(word.span.clone(), format!("{what} stands without quotes")));
        }
        Ok(&self.text[word.span.clone()])
    }

    /// A whole number.
    fn number<N: TryFrom<u32>>(&mut self, max: u32) -> Result<N, RdataError> {
        let what = format!("a number from 0 to {max}");
        let word = self.need(&what)?;
        let text = self.bare(word, &what)?;
        let digits = !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit());
        let number = digits.then(|| text.parse::<u32>().ok()).flatten().filter(|&number| number <= max);
        number.and_then(|number| N::try_from(number).ok()).ok_or_else(|| RdataError::new(word.span.clone(), format!("this should be {what}")))
    }

    /// A name.
    fn name(&mut self) -> Result<Name, RdataError> {
        let word = self.need("a domain name")?;
        let text = self.bare(word, "a domain name")?;
        let plain = text.trim_end_matches('.');
        if plain.parse::<Ipv4Addr>().is_ok() || plain.parse::<Ipv6Addr>().is_ok() {
            return Err(RdataError::new(word.span.clone(), "a domain name belongs here, not an address")
                .help("give the address an A or AAAA record of its own and write that record's name here"));
        }
        read_name(text, word.span.clone(), self.origin)
    }

    /// The octets of a character-string, at most `max` of them.
    fn text(&mut self, what: &str, max: usize) -> Result<Vec<u8>, RdataError> {
        let word = self.need(what)?;
        if word.has_quotes && !word.quoted {
            return Err(
                RdataError::new(word.span.clone(), "a quote stands within a word").help("put the whole word in quotes, and write `\\\"` for a quote in it")
            );
        }
        let octets = unescape(word.raw(self.text)).ok_or_else(|| bad_escape(word.span.clone()))?;
        if octets.len() > max {
            let error = RdataError::new(word.span.clone(), format!("{what} of {} octets is longer than {max}", octets.len()));
            return Err(if max == 255 { error.help("cut it into several quoted strings; resolvers' users join them") } else { error });
        }
        Ok(octets)
    }

    /// All words to the end, joined, each judged by `decode`.
    fn joined(&mut self, what: &str, decode: impl Fn(&str) -> Option<Vec<u8>>) -> Result<Vec<u8>, RdataError> {
        let first = self.need(what)?;
        let mut span = first.span.clone();
        let mut text = self.bare(first, what)?.to_owned();
        while let Some(word) = self.take() {
            text.push_str(self.bare(word, what)?);
            span.end = word.span.end;
        }
        decode(&text).ok_or_else(|| RdataError::new(span, format!("this should be {what}")))
    }
}

/// Reads a name in presentation format.
pub(super) fn read_name(text: &str, span: Range<usize>, origin: &Name) -> Result<Name, RdataError> {
    if !text.is_ascii() {
        return Err(RdataError::new(span, "a name has a sign that is not ASCII").help("write the label in its `xn--` form, or the octets as `\\DDD`"));
    }
    Name::parse(text, origin).map_err(|error| RdataError::new(span, error.to_string()))
}

/// The mistake of a bad escape.
pub(super) fn bad_escape(span: Range<usize>) -> RdataError {
    RdataError::new(span, "an escape is neither \\X nor \\DDD up to \\255")
}

/// Reads the data of a record of type `code`.
pub(super) fn encode(code: u16, words: &mut Words<'_>) -> Result<Box<[u8]>, RdataError> {
    if let Some(reason) = refusal(code) {
        return Err(RdataError::new(words.whole.clone(), format!("{} cannot be given: {reason}", type_name(code))));
    }
    let whole = words.left.first().zip(words.left.last()).map_or(words.whole.clone(), |(first, last)| first.span.start..last.span.end);
    let generic = words.left.first().is_some_and(|word| word.raw(words.text) == br"\#");
    let rdata = if generic { generic_data(code, words)? } else { known_data(code, words)? };
    if let Some(word) = words.take() {
        return Err(RdataError::new(word.span.clone(), format!("{} data ends before this", type_name(code))));
    }
    if rdata.len() > usize::from(u16::MAX) {
        return Err(RdataError::new(whole, "the data is longer than 65,535 octets"));
    }
    verify(code, &rdata).map_err(|message| RdataError::new(whole, message))?;
    Ok(rdata.into())
}

/// Reads data in the format of its type.
fn known_data(code: u16, words: &mut Words<'_>) -> Result<Vec<u8>, RdataError> {
    let format = fields(code);
    if format.is_empty() {
        return Err(RdataError::new(words.whole.clone(), format!("{} data has no text format here", type_name(code)))
            .help("write its octets as RFC 3597 says: `\\# 2 abcd`"));
    }
    let mut rdata = Vec::new();
    for field in format {
        push_field(*field, words, &mut rdata)?;
    }
    Ok(rdata)
}

/// Reads one field.
fn push_field(field: Field, words: &mut Words<'_>, rdata: &mut Vec<u8>) -> Result<(), RdataError> {
    match field {
        Field::U8 => rdata.push(words.number(u32::from(u8::MAX))?),
        Field::U16 => rdata.extend(words.number::<u16>(u32::from(u16::MAX))?.to_be_bytes()),
        Field::U32 => rdata.extend(words.number::<u32>(u32::MAX)?.to_be_bytes()),
        Field::Seconds => {
            let word = words.need("a time in seconds")?;
            let seconds = parse_seconds(words.bare(word, "a time")?)
                .ok_or_else(|| RdataError::new(word.span.clone(), "this should be a time in seconds, or as in `1h30m`, at most 2147483647 seconds"))?;
            rdata.extend(seconds.to_be_bytes());
        }
        Field::V4 => {
            let word = words.need("an IPv4 address")?;
            let address: Ipv4Addr =
                words.bare(word, "an address")?.parse().map_err(|_| RdataError::new(word.span.clone(), "this should be an IPv4 address"))?;
            rdata.extend(address.octets());
        }
        Field::V6 => {
            let word = words.need("an IPv6 address")?;
            let address: Ipv6Addr =
                words.bare(word, "an address")?.parse().map_err(|_| RdataError::new(word.span.clone(), "this should be an IPv6 address"))?;
            rdata.extend(address.octets());
        }
        Field::Name => rdata.extend_from_slice(words.name()?.wire()),
        Field::Text => push_text(rdata, &words.text("a string", 255)?),
        Field::Texts => {
            push_text(rdata, &words.text("a string", 255)?);
            while !words.left.is_empty() {
                push_text(rdata, &words.text("a string", 255)?);
            }
        }
        Field::Rest => rdata.extend(words.text("a value", usize::from(u16::MAX))?),
        Field::Tag => {
            let word = words.need("a tag")?;
            let tag = words.bare(word, "a tag")?;
            if tag.len() > 255 || !tag.bytes().all(|octet| octet.is_ascii_alphanumeric()) {
                return Err(RdataError::new(word.span.clone(), "a tag has letters and digits only, as in `issue`"));
            }
            push_text(rdata, tag.as_bytes());
        }
        Field::Hex => rdata.extend(words.joined("hexadecimal digits in pairs", hex)?),
        Field::Base64 => rdata.extend(words.joined("base 64", base64)?),
        Field::Params => rdata.extend(svcb::read_params(words)?),
    }
    Ok(())
}

/// Reads `\# length hex` (RFC 3597 §5).
fn generic_data(code: u16, words: &mut Words<'_>) -> Result<Vec<u8>, RdataError> {
    words.take();
    let length: u16 = words.number(u32::from(u16::MAX))?;
    let octets = if words.left.is_empty() && length == 0 { Vec::new() } else { words.joined("hexadecimal digits in pairs", hex)? };
    if octets.len() != usize::from(length) {
        return Err(RdataError::new(words.whole.clone(), format!("the data has {} octets, but its length says {length}", octets.len())));
    }
    canonical(code, &octets).ok_or_else(|| RdataError::new(words.whole.clone(), format!("these octets are no {} data", type_name(code))))
}

/// Walks over RDATA field by field; what each field is goes to `visit`. `None` when the octets are not the type's fields.
fn walk<'d>(code: u16, rdata: &'d [u8], mut visit: impl FnMut(Field, &'d [u8])) -> Option<()> {
    let format = fields(code);
    let mut rest = rdata;
    for &field in format {
        let len = match field {
            Field::U8 => 1,
            Field::U16 => 2,
            Field::U32 | Field::Seconds | Field::V4 => 4,
            Field::V6 => 16,
            Field::Name => name_len(rest)?,
            Field::Text | Field::Tag => 1 + usize::from(*rest.first()?),
            Field::Texts => {
                let mut len = 0;
                while len == 0 || len < rest.len() {
                    len += 1 + usize::from(*rest.get(len)?);
                }
                len
            }
            Field::Rest | Field::Hex | Field::Base64 | Field::Params => rest.len(),
        };
        let (data, after) = rest.split_at_checked(len)?;
        visit(field, data);
        rest = after;
    }
    (format.is_empty() || rest.is_empty()).then_some(())
}

/// Octets of the uncompressed name that `wire` begins with.
fn name_len(wire: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let len = usize::from(*wire.get(at)?);
        at += 1 + len;
        if len > crate::limits::LABEL_OCTETS_MAX || at > crate::limits::NAME_OCTETS_MAX {
            return None;
        }
        if len == 0 {
            return Some(at);
        }
    }
}

/// RDATA with its names in lower case; `None` when the octets are not what the type wants.
fn canonical(code: u16, rdata: &[u8]) -> Option<Vec<u8>> {
    let mut canonical = Vec::with_capacity(rdata.len());
    walk(code, rdata, |field, data| match field {
        Field::Name => canonical.extend(data.iter().map(u8::to_ascii_lowercase)),
        _ => canonical.extend_from_slice(data),
    })?;
    Some(if fields(code).is_empty() { rdata.to_vec() } else { canonical })
}

/// The first name in the RDATA of a known type: the host of NS, MX, SRV, SVCB and HTTPS, the target of CNAME.
pub(super) fn host(code: u16, rdata: &[u8]) -> Option<Name> {
    let mut host = None;
    walk(code, rdata, |field, data| {
        if field == Field::Name && host.is_none() {
            host = Name::from_wire(data).ok();
        }
    });
    host
}

/// Judges finished RDATA: lengths of digests, the rules of SvcParams, and whether hickory-proto can decode it, as the portable engine must.
fn verify(code: u16, rdata: &[u8]) -> Result<(), String> {
    let digest = match code {
        types::DS | types::CDS => Some((rdata.get(3), 4, &[(1, 20), (2, 32), (4, 48)][..])),
        types::SSHFP => Some((rdata.get(1), 2, &[(1, 20), (2, 32)][..])),
        types::TLSA | types::SMIMEA => Some((rdata.get(2), 3, &[(1, 32), (2, 64)][..])),
        _ => None,
    };
    if let Some((kind, before, lengths)) = digest {
        let len = rdata.len().saturating_sub(before);
        if let Some((kind, want)) = kind.and_then(|kind| lengths.iter().find(|(known, _)| known == kind))
            && len != *want
        {
            return Err(format!("a digest of type {kind} has {want} octets, not {len}"));
        }
    }
    if matches!(code, types::SVCB | types::HTTPS) {
        svcb::validate(rdata)?;
    }
    let length = u16::try_from(rdata.len()).map_err(|_| "the data is longer than 65,535 octets".to_owned())?;
    RData::read(&mut BinDecoder::new(rdata), RecordType::from(code), Restrict::new(length))
        .map(drop)
        .map_err(|error| format!("this is no {} data that can be served: {error}", type_name(code)))
}

/// Seconds, or a sum with units (`1w2d3h4m5s`, in any case); at most 2³¹ − 1 (RFC 2181 §8). `None` when the text is neither.
pub(super) fn parse_seconds(text: &str) -> Option<u32> {
    let mut total: u64 = 0;
    let mut number: Option<u64> = None;
    for octet in text.bytes() {
        let unit = match octet.to_ascii_lowercase() {
            digit @ b'0'..=b'9' => {
                number = Some(number.unwrap_or(0).checked_mul(10)?.checked_add(u64::from(digit - b'0'))?);
                continue;
            }
            b's' => 1,
            b'm' => 60,
            b'h' => 3600,
            b'd' => 86_400,
            b'w' => 604_800,
            _ => return None,
        };
        total = total.checked_add(number.take()?.checked_mul(unit)?)?;
    }
    let bare = text.bytes().all(|octet| octet.is_ascii_digit());
    match number {
        Some(number) if bare => total = number,
        Some(_) => return None,
        None if text.is_empty() => return None,
        None => {}
    }
    u32::try_from(total).ok().filter(|&seconds| seconds <= i32::MAX.unsigned_abs())
}

/// Octets of hexadecimal digits in pairs; `None` when it is not that, or empty.
fn hex(text: &str) -> Option<Vec<u8>> {
    if text.is_empty() || !text.len().is_multiple_of(2) {
        return None;
    }
    let digit = |octet: u8| char::from(octet).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    text.as_bytes().chunks_exact(2).map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect()
}

/// Octets of base 64 (RFC 4648 §4) with its padding; `None` when it is not that, or empty.
pub(in crate::config) fn base64(text: &str) -> Option<Vec<u8>> {
    let data = text.trim_end_matches('=');
    let padding = text.len() - data.len();
    if data.is_empty() || !text.len().is_multiple_of(4) || padding > 2 {
        return None;
    }
    let mut octets = Vec::with_capacity(data.len() * 3 / 4);
    let (mut bits, mut held) = (0_u32, 0_u32);
    for octet in data.bytes() {
        let value = match octet {
            b'A'..=b'Z' => octet - b'A',
            b'a'..=b'z' => octet - b'a' + 26,
            b'0'..=b'9' => octet - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = (bits << 6 | u32::from(value)) & 0xffff;
        held += 6;
        if held >= 8 {
            held -= 8;
            octets.push(u8::try_from(bits >> held & 0xff).ok()?);
        }
    }
    Some(octets)
}
