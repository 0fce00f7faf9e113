//! Databases as vendors lay them out, and files that are broken. `make.py` wrote the small ones.

use super::*;
use aya_gslb::geo::GeoError;

const NESTED: &[u8] = include_bytes!("nested-city.mmdb");
const FLAT: &[u8] = include_bytes!("flat-city-ipv4.mmdb");
const ASN: &[u8] = include_bytes!("asn.mmdb");
const NOTHING: &[u8] = include_bytes!("nothing.mmdb");

fn at(latitude: f64, longitude: f64) -> Option<Coordinates> {
    Coordinates::from_degrees(latitude, longitude)
}

#[test]
fn nested_records_are_read() {
    let database = Mmdb::read(NESTED).unwrap();
    let california = Record {
        country: Code::parse("US"),
        subdivision: Some("US-CA".into()),
        subdivision_name: Some("a name".into()),
        continent: Code::parse("NA"),
        at: at(37.7749, -122.4194),
        asn: None,
    };
    assert_eq!(database.record(ip("198.51.100.7")), Some(&california));
    assert_eq!(database.record(ip("2001:db8:1::7")), Some(&california));
    assert_eq!(database.record(ip("203.0.113.7")).unwrap().subdivision.as_deref(), Some("DE-BE"));
    assert_eq!(database.record(ip("203.0.113.128")), None);
    assert_eq!(&*database.metadata().kind, "GeoLite2-City");
    assert_eq!((database.metadata().networks, database.metadata().records), (4, 3));
}

#[test]
fn the_country_of_registration_is_not_where_the_client_is() {
    let database = Mmdb::read(NESTED).unwrap();
    let registered_only = database.record(ip("192.0.2.7")).unwrap();
    assert_eq!((registered_only.country, registered_only.continent), (None, Code::parse("EU")));
    let geo = Geo::compile(&catalog(Vec::new()), &[Source { name: "city".into(), database }]).unwrap();
    let located = geo.locate(ip("192.0.2.7"), 32);
    assert!(located.sets.has(ClientSet::UNKNOWN));
    assert_eq!(&*geo.locality(located.locality).label, "continent:EU");
}

#[test]
fn flat_records_are_read() {
    let database = Mmdb::read(FLAT).unwrap();
    let san_francisco = database.record(ip("198.51.100.7")).unwrap();
    assert_eq!((san_francisco.country, san_francisco.at), (Code::parse("US"), at(37.7749, -122.4194)));
    assert_eq!(san_francisco.subdivision.as_deref(), Some("US-CA"), "by its name");
    assert_eq!(san_francisco.subdivision_name.as_deref(), Some("California"));
    let sao_paulo = database.record(ip("203.0.113.7")).unwrap();
    assert_eq!((sao_paulo.country, sao_paulo.at), (Code::parse("BR"), at(-23.55, -46.63)), "lower case, and degrees written as text");
    assert_eq!(sao_paulo.subdivision.as_deref(), Some("BR-SP"), "by its code");
    assert_eq!(database.record(ip("192.0.2.7")), None, "ZZ is no country");
}

#[test]
fn autonomous_systems_are_read_as_numbers_and_as_text() {
    let database = Mmdb::read(ASN).unwrap();
    assert_eq!(database.record(ip("198.51.101.7")).unwrap().asn, Some(64500));
    assert_eq!(database.record(ip("2001:db8::7")).unwrap().asn, Some(64500));
    let both = database.record(ip("203.0.113.7")).unwrap();
    assert_eq!((both.asn, both.country, both.continent), (Some(64501), Code::parse("DE"), Code::parse("EU")));
}

#[test]
fn families_may_stand_in_files_of_their_own() {
    let sources = [FLAT, NESTED, ASN].map(|octets| Source { name: "one of three".into(), database: Mmdb::read(octets).unwrap() });
    let geo = Geo::compile(&catalog(Vec::new()), &sources).unwrap();
    assert_eq!(geo.locate(ip("198.51.100.7"), 32).sets, sets_of(&[2, 3, 4, 6]));
    assert_eq!(geo.locate(ip("2001:db8:1::7"), 128).sets, sets_of(&[2, 3, 4, 6]));
}

#[test]
fn a_database_of_something_else_is_refused() {
    let error = Mmdb::read(NOTHING).unwrap_err();
    assert_eq!(error.to_string(), "the database (Proxy) names no country, no coordinates and no autonomous system of any prefix");
}

#[test]
fn a_file_with_any_part_missing_is_refused_or_whole() {
    let whole = Mmdb::read(NESTED).unwrap();
    for end in 0..NESTED.len() {
        if let Ok(database) = Mmdb::read(&NESTED[..end]) {
            assert_eq!(database.record(ip("198.51.100.7")), whole.record(ip("198.51.100.7")), "cut at {end}");
        }
    }
}

#[test]
fn a_file_with_any_octet_changed_is_read_or_refused() {
    let mut octets = FLAT.to_vec();
    let mut read = 0;
    for place in 0..octets.len() {
        for mask in [0x01, 0x80, 0xff] {
            octets[place] ^= mask;
            if let Ok(database) = Mmdb::read(&octets) {
                _ = database.record(ip("198.51.100.7"));
                read += 1;
            }
            octets[place] ^= mask;
        }
    }
    assert!(read > 0, "a changed name of a city is none of our business");
}

#[test]
fn branches_that_share_nodes_are_refused_and_not_walked_forever() {
    // Both sides of each of 100 nodes lead to the next: 2^100 leaves in 600 octets.
    let mut octets = Vec::new();
    for node in 1..=100_u32 {
        let next = if node == 100 { 100 + 16 } else { node };
        octets.extend_from_slice(&next.to_be_bytes()[1..]);
        octets.extend_from_slice(&next.to_be_bytes()[1..]);
    }
    octets.extend_from_slice(&[0; 16]);
    octets.extend_from_slice(b"\xe1\x4ccountry_code\x42DE");
    octets.extend_from_slice(b"\xab\xcd\xefMaxMind.com\xe9");
    octets.extend_from_slice(b"\x5bbinary_format_major_version\xa1\x02\x5bbinary_format_minor_version\xa0");
    octets.extend_from_slice(b"\x4bbuild_epoch\x00\x02\x4ddatabase_type\x41x\x4bdescription\xe0\x4aip_version\xa1\x06");
    octets.extend_from_slice(b"\x49languages\x00\x04\x4anode_count\xc1\x64\x4brecord_size\xa1\x18");
    assert!(matches!(Mmdb::read(&octets), Err(GeoError::NoTree)), "{:?}", Mmdb::read(&octets).map(|_| ()));
}
