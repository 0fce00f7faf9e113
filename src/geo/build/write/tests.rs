//! Files are read back by the reader of the format's makers and by ours.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use maxminddb::Reader;
use serde::Deserialize;

use super::*;
use crate::geo::Mmdb;

/// Numbers that are the same in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 ^ self.0 >> 29
    }

    fn below(&mut self, end: u64) -> u64 {
        (self.next() >> 16) % end
    }
}

/// A value that tells its number, in a field that our reader knows.
fn value(number: u32) -> Value<'static> {
    Value::Map(vec![("asn", Value::U32(number)), ("note", Value::List(vec![Value::U16(7), Value::Double(0.5), Value::U64(1 << 40)]))])
}

/// The number that the makers' reader finds at an address.
fn number_at(reader: &Reader<&[u8]>, address: IpAddr) -> u32 {
    #[derive(Deserialize)]
    struct Row {
        asn: u32,
        note: (u16, f64, u64),
    }
    let row = reader.lookup(address).unwrap().decode::<Row>().unwrap();
    row.map_or(0, |row| {
        assert_eq!((row.note.0, row.note.1.to_bits(), row.note.2), (7, 0.5_f64.to_bits(), 1 << 40));
        row.asn
    })
}

/// Writes steps with as many values as they name.
fn written(v4: &Steps<u32>, v6: &Steps<u128>) -> Vec<u8> {
    let most = v4.iter().map(|(_, value)| value).chain(v6.iter().map(|(_, value)| value)).max().unwrap();
    let records: Vec<Value<'_>> = (0..=most).map(value).collect();
    write(v4, v6, &records, &About { kind: "Test", built: 1_700_000_000, description: "made for a test" }).unwrap().0
}

/// Random steps of one family: values of `kinds` kinds, few bits of an address in use, so that subtrees repeat.
fn steps<A: Address>(random: &mut Random, count: u64, kinds: u64, address: impl Fn(u64) -> A) -> Steps<A> {
    let mut starts: Vec<A> = (0..count).map(|_| address(random.next())).collect();
    starts.sort_unstable();
    let mut steps = Steps::new();
    for start in starts {
        steps.push(start, u32::try_from(random.below(kinds)).unwrap());
    }
    steps
}

#[test]
fn what_is_written_is_read_back_at_every_boundary_of_random_files() {
    for seed in 0..40 {
        let mut random = Random(seed);
        let (count, kinds) = (1 + random.below(200), 1 + random.below(5));
        let v4 = steps(&mut random, count, kinds, |random| (u32::try_from(random >> 32).unwrap()) & 0xff0f_0fff);
        let v6 = steps(&mut random, count, kinds, |random| (0x2001_u128 << 112) | u128::from(random) << [0, 48][usize::from(random % 2 == 0)]);
        let octets = written(&v4, &v6);
        let reader = Reader::from_source(octets.as_slice()).unwrap();
        for (start, value) in v4.iter() {
            assert_eq!(number_at(&reader, Ipv4Addr::from_bits(start).into()), value);
            if let Some(before) = start.checked_sub(1) {
                assert_eq!(number_at(&reader, Ipv4Addr::from_bits(before).into()), v4.at(before));
            }
        }
        for (start, value) in v6.iter().filter(|(start, _)| *start >> 32 != 0) {
            assert_eq!(number_at(&reader, Ipv6Addr::from_bits(start).into()), value);
            assert_eq!(number_at(&reader, Ipv6Addr::from_bits(start - 1).into()), v6.at(start - 1));
        }
        if v4.iter().any(|(_, value)| value != 0) || v6.iter().any(|(_, value)| value != 0) {
            let ours = Mmdb::read(&octets).unwrap();
            for (start, value) in v4.iter() {
                assert_eq!(ours.record(Ipv4Addr::from_bits(start).into()).and_then(|record| record.asn).unwrap_or(0), value);
            }
        }
    }
}

#[test]
fn mapped_addresses_lead_to_ipv4() {
    let v4 = Steps::of_prefixes([(0xc000_0200, 24, 5)]);
    let octets = written(&v4, &Steps::new());
    let reader = Reader::from_source(octets.as_slice()).unwrap();
    assert_eq!(number_at(&reader, "::ffff:192.0.2.1".parse().unwrap()), 5);
    assert_eq!(number_at(&reader, "::ffff:192.0.3.1".parse().unwrap()), 0);
    assert_eq!(number_at(&reader, "2001:db8::".parse().unwrap()), 0);
}

#[test]
fn one_value_everywhere_is_a_file_too() {
    let v4 = Steps::of_prefixes([(0, 0, 1)]);
    let v6 = Steps::of_prefixes([(0, 0, 1)]);
    let octets = written(&v4, &v6);
    let reader = Reader::from_source(octets.as_slice()).unwrap();
    for address in ["0.0.0.0", "255.255.255.255", "::", "ffff::"] {
        assert_eq!(number_at(&reader, address.parse().unwrap()), 1, "{address}");
    }
}

#[test]
fn equal_subtrees_are_written_once() {
    let same = |count: u32| Steps::of_prefixes((0..count).map(|index| (index << 24 | 0x0080_0000, 9, 1 + index % 2)));
    assert_eq!(written(&same(4), &Steps::new()).len(), written(&same(128), &Steps::new()).len(), "a level more for each one less that is empty");
}

#[test]
fn sizes_and_numbers_take_as_few_octets_as_the_format_allows() {
    let octets = |value: Value<'_>| {
        let mut out = Vec::new();
        value.put(&mut out);
        out
    };
    assert_eq!(octets(Value::U16(0)), [0xa0]);
    assert_eq!(octets(Value::U64(0x0102)), [0x02, 0x02, 0x01, 0x02]);
    assert_eq!(octets(Value::Text("no"))[..], [0x42, b'n', b'o']);
    let long = |len: usize| octets(Value::Text(&"x".repeat(len)));
    assert_eq!(long(28)[0], 0x5c);
    assert_eq!(long(29)[..2], [0x5d, 0]);
    assert_eq!(long(284)[..2], [0x5d, 255]);
    assert_eq!(long(285)[..3], [0x5e, 0, 0]);
    assert_eq!(long(1285)[..3], [0x5e, 0x03, 0xe8]);
}

#[test]
fn all_three_sizes_of_records_are_read() {
    let values = [(24, 0x00ab_cdef_u64, 0x0012_3456_u64), (28, 0x0abc_def0, 0x0123_4567), (32, 0xabcd_ef01, 0x1234_5678)];
    for (bits, left, right) in values {
        let mut out = Vec::new();
        put_node(&mut out, bits, left, right);
        assert_eq!(out.len() * 4, usize::from(bits));
        let whole = |octets: &[u8]| octets.iter().fold(0_u64, |sum, octet| sum << 8 | u64::from(*octet));
        let read = match bits {
            28 => (u64::from(out[3] >> 4) << 24 | whole(&out[..3]), u64::from(out[3] & 15) << 24 | whole(&out[4..])),
            _ => (whole(&out[..out.len() / 2]), whole(&out[out.len() / 2..])),
        };
        assert_eq!(read, (left, right), "{bits}");
    }
}
