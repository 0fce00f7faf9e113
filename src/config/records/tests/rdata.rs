//! The data of one record.

use hickory_proto::rr::{RData, RecordType};
use hickory_proto::serialize::binary::{BinEncodable, BinEncoder, NameEncoding};

use super::super::rdata::parse_seconds;
use super::super::{parse_rdata, type_code};
use super::name;

/// The RDATA, or the message.
fn data(rtype: &str, text: &str) -> Result<Vec<u8>, String> {
    parse_rdata(rtype, text, &name("example.com")).map(|(_, rdata)| rdata.into_vec()).map_err(|error| error.message)
}

#[test]
fn every_format_gives_the_octets_that_its_rfc_says() {
    let cases: &[(&str, &str, &[u8])] = &[
        ("A", "192.0.2.1", b"\xc0\0\x02\x01"),
        ("aaaa", "2001:db8::1", b"\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01"),
        ("NS", "NS1", b"\x03ns1\x07example\x03com\0"),
        ("CNAME", "other.", b"\x05other\0"),
        ("PTR", "@", b"\x07example\x03com\0"),
        ("MX", "10 mail.", b"\0\x0a\x04mail\0"),
        ("MX", "0 .", b"\0\0\0"),
        ("SRV", "1 2 443 a.", b"\0\x01\0\x02\x01\xbb\x01a\0"),
        ("SOA", "a. b. 1 2h 3 1d 60", b"\x01a\0\x01b\0\0\0\0\x01\0\0\x1c\x20\0\0\0\x03\0\x01\x51\x80\0\0\0\x3c"),
        ("CAA", "0 issue letsencrypt.org", b"\0\x05issueletsencrypt.org"),
        ("CAA", "128 issue \";\"", b"\x80\x05issue;"),
        ("CAA", "0 iodef mailto:a@example.com", b"\0\x05iodefmailto:a@example.com"),
        ("HINFO", "PC-Intel-700mhz \"Red Hat\"", b"\x0fPC-Intel-700mhz\x07Red Hat"),
        ("NAPTR", "100 50 \"s\" \"http+I2L\" \"\" _http._tcp.", b"\0\x64\0\x32\x01s\x08http+I2L\0\x05_http\x04_tcp\0"),
        ("SSHFP", "4 9 abcd", b"\x04\x09\xab\xcd"),
        (
            "DS",
            "60485 5 1 2BB183AF5F22588179A53B0A 98631FAD1A292118",
            b"\xec\x45\x05\x01\x2b\xb1\x83\xaf\x5f\x22\x58\x81\x79\xa5\x3b\x0a\x98\x63\x1f\xad\x1a\x29\x21\x18",
        ),
        ("CDS", "0 0 0 00", b"\0\0\0\0\0"),
        ("CDNSKEY", "0 3 0 AA==", b"\0\0\x03\0\0"),
        ("DNSKEY", "257 3 13 AQID", b"\x01\x01\x03\x0d\x01\x02\x03"),
        ("TLSA", "3 1 0 abCD", b"\x03\x01\0\xab\xcd"),
        ("URI", "10 1 \"https://a/\"", b"\0\x0a\0\x01https://a/"),
        ("TYPE65280", "\\# 3 abc def", b"\xab\xcd\xef"),
        ("TYPE65280", "\\# 0", b""),
        ("A", "\\# 4 C0000201", b"\xc0\0\x02\x01"),
        ("TYPE15", "\\# 8 000a044D41494C00", b"\0\x0a\x04mail\0"),
        ("TYPE1", "192.0.2.1", b"\xc0\0\x02\x01"),
    ];
    for (rtype, text, octets) in cases {
        assert_eq!(data(rtype, text).as_deref(), Ok(*octets), "{rtype} {text}");
    }
}

#[test]
fn txt_of_toml_is_the_text_itself_unless_it_begins_with_a_quote() {
    assert_eq!(data("TXT", "v=spf1 -all"), Ok(b"\x0bv=spf1 -all".to_vec()));
    assert_eq!(data("TXT", "v=DMARC1; p=none"), Ok(b"\x10v=DMARC1; p=none".to_vec()));
    assert_eq!(data("TXT", "\"a b\" \"c\""), Ok(b"\x03a b\x01c".to_vec()));
    assert_eq!(data("TXT", ""), Ok(b"\0".to_vec()));
    let long = data("TXT", &"x".repeat(300)).expect("long text is cut");
    assert_eq!((long.len(), long[0], long[256]), (302, 255, 45));
    assert!(data("TXT", &format!("\"{}\"", "x".repeat(256))).is_err());
    assert_eq!(data("TXT", r#""\200\"""#), Ok(b"\x02\xc8\"".to_vec()));
}

#[test]
fn wrong_data_is_refused_with_a_reason() {
    let cases = [
        ("A", "2001:db8::1", "this should be an IPv4 address"),
        ("A", "", "an IPv4 address is missing at the end"),
        ("A", "192.0.2.1 192.0.2.2", "A data ends before this"),
        ("A", "192.0.2.01", "this should be an IPv4 address"),
        ("MX", "10 192.0.2.1", "a domain name belongs here, not an address"),
        ("NS", "2001:db8::1", "a domain name belongs here, not an address"),
        ("MX", "-1 a", "this should be a number from 0 to 65535"),
        ("MX", "+1 a", "this should be a number from 0 to 65535"),
        ("MX", "10 m\u{fc}nchen.de.", "a name has a sign that is not ASCII"),
        ("CNAME", "\"a\"", "a domain name stands without quotes"),
        ("CAA", "0 is-sue x", "a tag has letters and digits only, as in `issue`"),
        ("CAA", "256 issue x", "this should be a number from 0 to 255"),
        ("DS", "1 8 2 abcd", "a digest of type 2 has 32 octets, not 2"),
        ("SSHFP", "1 1 abcd", "a digest of type 1 has 20 octets, not 2"),
        ("TLSA", "3 1 1 abcd", "a digest of type 1 has 32 octets, not 2"),
        ("DNSKEY", "257 3 13 AQI", "this should be base 64"),
        ("A", "\\# 3 c00002", "these octets are no A data"),
        ("MX", "\\# 4 0000c000", "these octets are no MX data"),
        ("TYPE9999", "abcd", "TYPE9999 data has no text format here"),
        ("TYPE9999", "\\# 2 ab", "the data has 1 octets, but its length says 2"),
        ("LOC", "51 30 N", "LOC data has no text format here"),
        ("OPT", "x", "`OPT` is no record type known here"),
        ("TYPE41", "\\# 0", "TYPE41 cannot be given: this type is a question or a part of the protocol, never data"),
        ("TYPE255", "\\# 0", "TYPE255 cannot be given: this type is a question or a part of the protocol, never data"),
        ("NSEC3PARAM", "1 0 0 -", "NSEC3PARAM cannot be given: signatures and denials are made when answers are signed, never read from a file"),
        ("SRV", "1 2 3 a\"b\"", "a domain name stands without quotes"),
        ("HINFO", "a\"b\" c", "a quote stands within a word"),
        ("TXT", "\"a", "this quote is never closed"),
        ("TXT", "\"\\256\"", "an escape is neither \\X nor \\DDD up to \\255"),
    ];
    for (rtype, text, message) in cases {
        assert_eq!(data(rtype, text), Err(message.to_owned()), "{rtype} {text}");
    }
}

#[test]
fn times_have_units_and_an_upper_end() {
    assert_eq!(parse_seconds("1w2d3h4m5s"), Some(604_800 + 2 * 86_400 + 3 * 3600 + 4 * 60 + 5));
    assert_eq!(parse_seconds("2147483647"), Some(2_147_483_647));
    for text in ["", "s", "1h30", "2147483648", "1x", "-1", "99999999999999999999", "9999999999999999w"] {
        assert_eq!(parse_seconds(text), None, "{text}");
    }
}

#[test]
fn hickory_reads_the_same_from_plain_texts() {
    let cases = [
        ("A", "192.0.2.1"),
        ("AAAA", "2001:db8::1"),
        ("NS", "ns1.example.com."),
        ("CNAME", "a.example.com."),
        ("MX", "10 mail.example.com."),
        ("SRV", "1 2 443 a.example.com."),
        ("SOA", "a.example.com. b.example.com. 1 7200 3 86400 60"),
        ("TXT", "\"a b\" \"c\""),
        ("CAA", "0 issue \"letsencrypt.org\""),
        ("CAA", "128 iodef \"mailto:a@example.com\""),
        ("HINFO", "PC Linux"),
        ("NAPTR", "100 50 \"s\" \"http\" \"\" _http._tcp.example.com."),
        ("SSHFP", "4 2 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"),
        ("TLSA", "3 1 1 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"),
        ("OPENPGPKEY", "AQID"),
        ("HTTPS", "1 . alpn=h2,h3 port=8443 ipv4hint=192.0.2.1"),
        ("SVCB", "0 a.example.com."),
    ];
    for (rtype, text) in cases {
        let Ok(ours) = data(rtype, text) else { panic!("{rtype} {text}: {:?}", data(rtype, text)) };
        let theirs = RData::try_from_str(RecordType::from(type_code(rtype).expect("known")), text).expect("hickory reads it");
        let mut octets = Vec::new();
        let mut encoder = BinEncoder::new(&mut octets);
        encoder.set_name_encoding(NameEncoding::UncompressedLowercase);
        theirs.emit(&mut encoder).expect("hickory writes it");
        assert_eq!(ours, octets, "{rtype} {text}");
    }
}
