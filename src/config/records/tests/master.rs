//! Master files as a whole (RFC 1035 §5).

use super::super::master::{confined, read};
use super::super::types::type_name;
use super::{master, name, shown};
use crate::limits::DIAGNOSTICS_MAX;

/// Records as `owner ttl type hex`.
fn records(text: &str) -> Vec<String> {
    let master = master(text);
    assert_eq!(master.problems.list, vec![], "{text}");
    master.records.iter().map(|record| format!("{} {} {}", record.owner, record.ttl, type_name(record.rtype))).collect()
}

/// Mistakes as `line:column error: message`.
fn mistakes(text: &str) -> Vec<String> {
    master(text).problems.list.iter().map(|problem| shown(problem, text)).collect()
}

#[test]
fn rfc1035_5_3_the_example_file_is_read() {
    let text = "\
$ORIGIN ISI.EDU.
@   IN  SOA     VENERA      Action\\.domains (
                                 20     ; SERIAL
                                 7200   ; REFRESH
                                 600    ; RETRY
                                 3600000; EXPIRE
                                 60)    ; MINIMUM

        NS      A.ISI.EDU.
        NS      VENERA
        MX      10      VENERA
        MX      20      VAXA

A       A       26.3.0.103

VENERA  A       10.1.0.52
        A       128.9.0.32
";
    assert_eq!(
        records(text),
        ["isi.edu 60 SOA", "isi.edu 60 NS", "isi.edu 60 NS", "isi.edu 60 MX", "isi.edu 60 MX", "a.isi.edu 60 A", "venera.isi.edu 60 A", "venera.isi.edu 60 A"]
    );
    let soa = &master(text).records[0].rdata;
    assert!(soa.starts_with(b"\x06venera\x03isi\x03edu\0\x0eaction.domains\x03isi\x03edu\0\0\0\0\x14"));
}

#[test]
fn ttl_and_class_come_in_any_order_and_are_carried_over() {
    let text = "a 60 IN A 192.0.2.1\n  IN 120 AAAA ::1\n  A 192.0.2.2\nb class1 1h30m A 192.0.2.3\n$TTL 5\nb A 192.0.2.4\nb 7 A 192.0.2.5\nb A 192.0.2.6\n";
    let ttls: Vec<u32> = master(text).records.iter().map(|record| record.ttl).collect();
    assert_eq!(ttls, [60, 120, 120, 5400, 5, 7, 5]);
}

#[test]
fn rfc2308_4_a_record_without_any_ttl_is_a_mistake() {
    assert_eq!(mistakes("a A 192.0.2.1\n"), ["1:3 error: this A record has no TTL"]);
    assert_eq!(mistakes("$TTL 1x\na 1 A 192.0.2.1"), ["1:6 error: a TTL is seconds, or as in `1h30m`, at most 2147483647 seconds (RFC 2181 §8)"]);
    assert_eq!(mistakes("a 2147483648 A 192.0.2.1").len(), 1);
}

#[test]
fn every_mistake_is_reported_and_good_records_survive() {
    let text = "\
$TTL 300
www     A     192.0.2.300
        AAAA  2001:db8::g
mail    MX    mail 10
ok      A     192.0.2.1
x..y    A     192.0.2.1
        TXT   \"of a bad owner\"
what    WKS   1
ch      CH    TXT  version
$GENERATE 1-9 a$ A 192.0.2.$
sig     RRSIG A 13 3
dn      DNAME other
open    TXT   \"never closed
mx      MX    10 mail extra
short   SRV   1 2 3
long    A     ( 192.0.2.1
";
    assert_eq!(
        mistakes(text),
        [
            "2:15 error: this should be an IPv4 address",
            "3:15 error: this should be an IPv6 address",
            "4:15 error: this should be a number from 0 to 65535",
            "6:1 error: a label is empty",
            "8:9 error: `WKS` is no record type known here",
            "9:9 error: only class IN is served, not CH",
            "10:1 error: `$GENERATE` is not supported",
            "11:9 error: RRSIG cannot be given: signatures and denials are made when answers are signed, never read from a file",
            "12:9 error: DNAME cannot be given: DNAME is not supported",
            "13:15 error: this quote is never closed",
            "14:23 error: MX data ends before this",
            "15:9 error: a domain name is missing at the end",
            "16:15 error: this parenthesis is never closed",
        ]
    );
    assert_eq!(master(text).records.len(), 1);
}

#[test]
fn the_first_record_needs_an_owner() {
    assert_eq!(mistakes(" 60 A 192.0.2.1"), ["1:2 error: the first record of a file needs an owner"]);
    assert_eq!(mistakes("a 60 IN\n"), ["1:1 error: a record needs a type and data"]);
}

#[test]
fn types_may_be_owners_and_owners_may_be_escaped() {
    assert_eq!(records("a 1 A 192.0.2.1\nmx 1 A 192.0.2.1\n\\$ttl 1 A 192.0.2.1\n@ 1 MX 0 @\n* 1 A 192.0.2.1\n").len(), 5);
    assert_eq!(records("a\\.b 1 A 192.0.2.1")[0], "a\\.b.example.com 1 A");
}

#[test]
fn line_ends_of_every_kind_and_a_missing_last_one_are_taken() {
    assert_eq!(records("a 1 A 192.0.2.1\r\n  A 192.0.2.2\r\n\r\n;c\r\nb 1 A 192.0.2.1"), ["a.example.com 1 A", "a.example.com 1 A", "b.example.com 1 A"]);
}

#[test]
fn include_reads_another_file_with_its_own_origin_and_gives_the_owner_back() {
    let mut asked = Vec::new();
    let text = "top 60 A 192.0.2.1\n$INCLUDE \"sub/hosts\" sub\n  A 192.0.2.2\nlast A 192.0.2.3\n";
    let out = read(7, text, &name("example.com"), None, &mut |from, path| {
        asked.push((from, path.to_owned()));
        Ok((8, "  A 192.0.2.9\nhost A 192.0.2.8\n$ORIGIN elsewhere.\n".to_owned()))
    });
    assert_eq!(out.problems.list, vec![]);
    let owners: Vec<String> = out.records.iter().map(|record| format!("{} {}", record.place.file, record.owner)).collect();
    assert_eq!(owners, ["7 top.example.com", "8 top.example.com", "8 host.sub.example.com", "7 top.example.com", "7 last.example.com"]);
    assert_eq!(asked, [(7, "sub/hosts".to_owned())]);
}

#[test]
fn includes_neither_circle_nor_dig_without_end() {
    let circle = read(0, "$INCLUDE self\n", &name("example.com"), None, &mut |_, _| Ok((0, "$INCLUDE self\n".to_owned())));
    assert_eq!(circle.problems.list.len(), 1);
    let mut next = 0;
    let deep = read(0, "$INCLUDE a\n$INCLUDE a\n", &name("example.com"), None, &mut |_, _| {
        next += 1;
        Ok((next, "$INCLUDE a\n".to_owned()))
    });
    assert_eq!(deep.problems.list.len(), 2);
    assert_eq!(next, 14);
    let refused = read(0, "$INCLUDE ../etc/passwd", &name("example.com"), None, &mut |_, _| Err("it is outside the zones' folder".to_owned()));
    assert_eq!(refused.problems.list[0].message, "`../etc/passwd` cannot be included: it is outside the zones' folder");
}

#[test]
fn included_paths_stay_within_the_zones_folder() {
    assert_eq!(confined("", "a.zone").as_deref(), Some("a.zone"));
    assert_eq!(confined("sub", "../a.zone").as_deref(), Some("a.zone"));
    assert_eq!(confined("sub", "./b//c").as_deref(), Some("sub/b/c"));
    for path in ["/etc/passwd", "../../a", "..", "", ".", "c:\\x", "a\\b", "a\0"] {
        assert_eq!(confined("sub", path).filter(|found| !found.starts_with("sub")), None, "{path}");
    }
    assert_eq!(confined("", ".."), None);
    assert_eq!(confined("", "sub/../../x"), None);
}

#[test]
fn mistakes_without_end_are_counted_not_kept() {
    let out = master(&"x\n".repeat(DIAGNOSTICS_MAX + 5));
    assert_eq!((out.problems.list.len(), out.problems.unlisted), (DIAGNOSTICS_MAX, 5));
}
