//! The record types that have a text format here, and what their fields are.

use std::borrow::Cow;

/// A (RFC 1035 §3.4.1).
pub(super) const A: u16 = 1;
/// NS (RFC 1035 §3.3.11).
pub(super) const NS: u16 = 2;
/// CNAME (RFC 1035 §3.3.1).
pub(super) const CNAME: u16 = 5;
/// SOA (RFC 1035 §3.3.13).
pub(super) const SOA: u16 = 6;
/// MX (RFC 1035 §3.3.9).
pub(super) const MX: u16 = 15;
/// TXT (RFC 1035 §3.3.14).
pub(super) const TXT: u16 = 16;
/// AAAA (RFC 3596 §2.1).
pub(super) const AAAA: u16 = 28;
/// SRV (RFC 2782).
pub(super) const SRV: u16 = 33;
/// DNAME (RFC 6672).
pub(super) const DNAME: u16 = 39;
/// DS (RFC 4034 §5).
pub(super) const DS: u16 = 43;
/// SSHFP (RFC 4255).
pub(super) const SSHFP: u16 = 44;
/// TLSA (RFC 6698).
pub(super) const TLSA: u16 = 52;
/// SMIMEA (RFC 8162).
pub(super) const SMIMEA: u16 = 53;
/// CDS (RFC 7344).
pub(super) const CDS: u16 = 59;
/// SVCB (RFC 9460).
pub(super) const SVCB: u16 = 64;
/// HTTPS (RFC 9460).
pub(super) const HTTPS: u16 = 65;
/// SPF (RFC 7208 §3.1, obsolete).
pub(super) const SPF: u16 = 99;

/// One field of a record's data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    /// 0 to 255.
    U8,
    /// 0 to 65,535.
    U16,
    /// 0 to 2³² − 1.
    U32,
    /// Seconds, or with units as in `1h30m`; at most 2³¹ − 1.
    Seconds,
    /// An IPv4 address.
    V4,
    /// An IPv6 address.
    V6,
    /// A domain name.
    Name,
    /// One character-string (RFC 1035 §3.3), at most 255 octets.
    Text,
    /// One or more character-strings, to the end.
    Texts,
    /// One word to the end of the RDATA, without a length.
    Rest,
    /// A property tag: letters and digits behind a length (RFC 8659 §4.1).
    Tag,
    /// Hexadecimal to the end.
    Hex,
    /// Base 64 to the end.
    Base64,
    /// SvcParams to the end.
    Params,
}

use Field::{Base64, Hex, Params, Rest, Seconds, Tag, Text, Texts, U8, U16, U32, V4, V6};

/// Mnemonic, code, fields; by code. A type without a field list is known by name only: its data is written as RFC 3597 says.
const TYPES: &[(&str, u16, &[Field])] = &[
    ("A", A, &[V4]),
    ("NS", NS, &[Field::Name]),
    ("CNAME", CNAME, &[Field::Name]),
    ("SOA", SOA, &[Field::Name, Field::Name, U32, Seconds, Seconds, Seconds, Seconds]),
    ("PTR", 12, &[Field::Name]),
    ("HINFO", 13, &[Text, Text]),
    ("MX", MX, &[U16, Field::Name]),
    ("TXT", TXT, &[Texts]),
    ("RP", 17, &[Field::Name, Field::Name]),
    ("AFSDB", 18, &[U16, Field::Name]),
    ("AAAA", AAAA, &[V6]),
    ("LOC", 29, &[]),
    ("SRV", SRV, &[U16, U16, U16, Field::Name]),
    ("NAPTR", 35, &[U16, U16, Text, Text, Text, Field::Name]),
    ("CERT", 37, &[U16, U16, U8, Base64]),
    ("DNAME", DNAME, &[Field::Name]),
    ("APL", 42, &[]),
    ("DS", DS, &[U16, U8, U8, Hex]),
    ("SSHFP", SSHFP, &[U8, U8, Hex]),
    ("IPSECKEY", 45, &[]),
    ("RRSIG", 46, &[]),
    ("NSEC", 47, &[]),
    ("DNSKEY", 48, &[U16, U8, U8, Base64]),
    ("DHCID", 49, &[Base64]),
    ("NSEC3", 50, &[]),
    ("NSEC3PARAM", 51, &[]),
    ("TLSA", TLSA, &[U8, U8, U8, Hex]),
    ("SMIMEA", SMIMEA, &[U8, U8, U8, Hex]),
    ("HIP", 55, &[]),
    ("CDS", CDS, &[U16, U8, U8, Hex]),
    ("CDNSKEY", 60, &[U16, U8, U8, Base64]),
    ("OPENPGPKEY", 61, &[Base64]),
    ("CSYNC", 62, &[]),
    ("ZONEMD", 63, &[]),
    ("SVCB", SVCB, &[U16, Field::Name, Params]),
    ("HTTPS", HTTPS, &[U16, Field::Name, Params]),
    ("SPF", SPF, &[Texts]),
    ("EUI48", 108, &[]),
    ("EUI64", 109, &[]),
    ("URI", 256, &[U16, U16, Rest]),
    ("CAA", 257, &[U8, Tag, Rest]),
];

/// The code of a type's mnemonic or of `TYPE123` (RFC 3597 §5), in any case.
#[must_use]
pub fn type_code(text: &str) -> Option<u16> {
    if let Some((_, code, _)) = TYPES.iter().find(|(name, ..)| name.eq_ignore_ascii_case(text)) {
        return Some(*code);
    }
    let number = text.get(4..).filter(|_| text.as_bytes()[..4].eq_ignore_ascii_case(b"TYPE"))?;
    if !number.bytes().all(|octet| octet.is_ascii_digit()) {
        return None;
    }
    number.parse().ok()
}

/// The mnemonic of a type, or `TYPE123`.
#[must_use]
pub fn type_name(code: u16) -> Cow<'static, str> {
    match TYPES.binary_search_by_key(&code, |entry| entry.1) {
        Ok(at) => Cow::Borrowed(TYPES[at].0),
        Err(_) => Cow::Owned(format!("TYPE{code}")),
    }
}

/// The fields of a type's data; empty when it has no text format here.
pub(super) fn fields(code: u16) -> &'static [Field] {
    TYPES.binary_search_by_key(&code, |entry| entry.1).map_or(&[], |at| TYPES[at].2)
}

/// Why records of this type cannot be given, if they cannot.
pub(super) fn refusal(code: u16) -> Option<&'static str> {
    match code {
        DNAME => Some("DNAME is not supported"),
        46 | 47 | 50 | 51 => Some("signatures and denials are made when answers are signed, never read from a file"),
        3 | 4 => Some("MD and MF are obsolete"),
        0 | 41 | 128..=255 => Some("this type is a question or a part of the protocol, never data"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order_and_names_go_both_ways() {
        assert!(TYPES.windows(2).all(|pair| pair[0].1 < pair[1].1));
        for (name, code, _) in TYPES {
            assert_eq!(type_code(&name.to_lowercase()), Some(*code));
            assert_eq!(type_name(*code), *name);
        }
    }

    #[test]
    fn rfc3597_5_unknown_types_are_called_by_number() {
        assert_eq!(type_code("TYPE65280"), Some(65280));
        assert_eq!(type_code("type1"), Some(1));
        assert_eq!(type_code("TYPE65536"), None);
        assert_eq!(type_code("TYPE+1"), None);
        assert_eq!(type_code("TYPE"), None);
        assert_eq!(type_code("tyé"), None);
        assert_eq!(type_name(65280), "TYPE65280");
    }
}
