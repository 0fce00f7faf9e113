//! SVCB and HTTPS (RFC 9460), the test vectors of its appendix D among them.

use super::super::{parse_params, parse_rdata};
use super::name;

/// The RDATA, or the message.
fn data(text: &str) -> Result<Vec<u8>, String> {
    parse_rdata("SVCB", text, &name("example.com")).map(|(_, rdata)| rdata.into_vec()).map_err(|error| error.message)
}

/// foo.example.com in wire format.
const FOO_COM: &[u8] = b"\x03foo\x07example\x03com\0";
/// foo.example.org in wire format.
const FOO_ORG: &[u8] = b"\x03foo\x07example\x03org\0";

#[test]
fn rfc9460_appendix_d_good_vectors() {
    let cases: &[(&str, Vec<u8>)] = &[
        ("0 foo.example.com.", [b"\0\0", FOO_COM].concat()),
        ("1 .", b"\0\x01\0".to_vec()),
        ("16 foo.example.com. port=53", [b"\0\x10", FOO_COM, b"\0\x03\0\x02\0\x35"].concat()),
        ("1 foo.example.com. key667=hello", [b"\0\x01", FOO_COM, b"\x02\x9b\0\x05hello"].concat()),
        (r#"1 foo.example.com. key667="hello\210qoo""#, [b"\0\x01", FOO_COM, b"\x02\x9b\0\x09hello\xd2qoo"].concat()),
        (
            r#"1 foo.example.com. ipv6hint="2001:db8::1,2001:db8::53:1""#,
            [b"\0\x01", FOO_COM, b"\0\x06\0\x20\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\x53\0\x01"].concat(),
        ),
        (
            r#"1 example.com. ipv6hint="2001:db8:122:344::192.0.2.33""#,
            b"\0\x01\x07example\x03com\0\0\x06\0\x10\x20\x01\x0d\xb8\x01\x22\x03\x44\0\0\0\0\xc0\0\x02\x21".to_vec(),
        ),
        (
            "16 foo.example.org. (\n alpn=h2,h3-19 mandatory=ipv4hint,alpn ipv4hint=192.0.2.1 )",
            [b"\0\x10", FOO_ORG, b"\0\0\0\x04\0\x01\0\x04\0\x01\0\x09\x02h2\x05h3-19\0\x04\0\x04\xc0\0\x02\x01"].concat(),
        ),
        (r#"16 foo.example.org. alpn="f\\\\oo\\,bar,h2""#, [b"\0\x10", FOO_ORG, br"", b"\0\x01\0\x0c\x08f\\oo,bar\x02h2"].concat()),
        (r"16 foo.example.org. alpn=f\\\092oo\092,bar,h2", [b"\0\x10", FOO_ORG, b"\0\x01\0\x0c\x08f\\oo,bar\x02h2"].concat()),
    ];
    for (text, octets) in cases {
        let plain = text.replace(['(', ')', '\n'], " ");
        assert_eq!(data(&plain).as_ref(), Ok(octets), "{text}");
    }
}

#[test]
fn rfc9460_appendix_d_3_failures() {
    let cases = [
        ("1 foo.example.com. key123=abc key123=def", "`key123` is given twice"),
        ("1 foo.example.com. mandatory", "`` in `mandatory` is no parameter known here"),
        ("1 foo.example.com. alpn", "`alpn` is a list of identifiers, none of them empty"),
        ("1 foo.example.com. port", "`port` is a number from 0 to 65535"),
        ("1 foo.example.com. ipv4hint", "`` in `ipv4hint` is no IPv4 address"),
        ("1 foo.example.com. ipv6hint", "`` in `ipv6hint` is no IPv6 address"),
        ("1 foo.example.com. no-default-alpn=abc", "`no-default-alpn` has no value"),
        ("1 foo.example.com. mandatory=key123", "`key123` is mandatory, but not given (RFC 9460 §8)"),
        ("1 foo.example.com. mandatory=mandatory", "`mandatory` is a list of distinct keys, itself not among them"),
        ("1 foo.example.com. mandatory=key123,key123 key123=abc", "`mandatory` is a list of distinct keys, itself not among them"),
    ];
    for (text, message) in cases {
        assert_eq!(data(text), Err(message.to_owned()), "{text}");
    }
}

#[test]
fn rules_among_parameters_hold() {
    for text in [
        "0 foo. alpn=h2",
        "1 . no-default-alpn",
        "1 . alpn=",
        "1 . alpn=h2,,h3",
        "1 . alpn=h2\\",
        "1 . alpn=\"h",
        "1 . alpn=\"",
        "1 . alpn=a\"b\"",
        "1 . port=65536",
        "1 . port=+1",
        "1 . port=\\053",
        "1 . ech=AAAA",
        "1 . key65535=a",
        "1 . key01=a",
        "1 . key3=a",
        "1 . ALPN=h2",
        "1 . dohpath=x",
        "1 . ohttp=1",
        "1 . =",
        "1 . key",
        "1",
        "65536 .",
        r"\# 6 000100 00030000 ",
        r"\# 11 000100 00030002 0035 0001",
        r"\# 15 000100 00030002 0035 00030002 0035",
        r"\# 3 000140",
    ] {
        assert!(data(text).is_err(), "{text}: {:?}", data(text));
    }
    for text in ["1 . no-default-alpn alpn=h2", "1 . key3=\\000\\053", "1 . ech=AAQAAAAA", "1 . dohpath=/dns-query{?dns} alpn=h2", "1 . ohttp", r"\# 3 000100"]
    {
        assert!(data(text).is_ok(), "{text}: {:?}", data(text));
    }
}

#[test]
fn targets_are_relative_to_the_origin() {
    assert_eq!(data("1 foo"), Ok([b"\0\x01", FOO_COM].concat()));
    assert_eq!(data("1 @ port=53"), Ok(b"\0\x01\x07example\x03com\0\0\x03\0\x02\0\x35".to_vec()));
}

#[test]
fn parameters_alone_come_sorted() {
    let params = parse_params("port=8443 alpn=h3,h2").expect("they are fine");
    assert_eq!(params, vec![(1, b"\x02h3\x02h2"[..].into()), (3, b"\x20\xfb"[..].into())]);
    assert_eq!(parse_params(""), Ok(vec![]));
    assert!(parse_params("no-default-alpn").is_err());
}
