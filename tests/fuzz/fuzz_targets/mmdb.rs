//! Octets → database → geography. Nothing panics, nothing runs away with time or memory, and the leaves around what is asked are honest:
//! both ends of a leaf are in its locality, and its parent is not.
#![no_main]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use aya_gslb::catalog::{Catalog, ClientSet, Network, Selector};
use aya_gslb::geo::{Geo, Mmdb, Source, lookup};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| {
    let Ok(database) = Mmdb::read(octets) else { return };
    let sources = [Source { name: "fuzz.mmdb".into(), database }];
    let catalog = catalog();
    let Ok(geo) = Geo::compile(&catalog, &sources) else { return };
    let mut random = octets.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, octet| (hash ^ u64::from(*octet)).wrapping_mul(0x0100_0000_01b3));
    for _ in 0..16 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        judge(&catalog, &sources, &geo, Ipv4Addr::from_bits((random >> 32) as u32).into());
        judge(&catalog, &sources, &geo, Ipv6Addr::from_bits(u128::from(random) << (random % 64)).into());
    }
});

/// The leaf around an address has one locality and is the shortest prefix that has.
fn judge(catalog: &Catalog, sources: &[Source], geo: &Geo, address: IpAddr) {
    let located = geo.locate(address, u8::MAX);
    let told = lookup(catalog, sources, geo, address);
    assert_eq!(told.locality, located.locality);
    assert_eq!(told.country.is_none(), located.sets.has(ClientSet::UNKNOWN), "{address}: {told:?}");
    assert_eq!(geo.locate(told.leaf.network(), u8::MAX).locality, told.locality);
    assert_eq!(geo.locate(told.leaf.broadcast(), u8::MAX).locality, told.locality);
    assert!(!geo.locate(address, told.leaf.prefix_len()).wide);
    assert!(told.leaf.supernet().is_none_or(|parent| geo.locate(address, parent.prefix_len()).wide));
}

/// A small catalog that consults countries, an autonomous system, a subdivision and a network.
fn catalog() -> Catalog {
    let set = |selectors: &[Selector], countries: &[&str]| ClientSet {
        selectors: selectors.into(),
        countries: countries.iter().map(|code| (*code).into()).collect(),
    };
    let office = Network {
        name: "office".into(),
        prefixes: ["198.51.100.16/28", "2001:db8:1::5/128"].map(|prefix| prefix.parse().expect("a prefix")).into(),
        country: Some("CH".into()),
        subdivision: None,
        at: None,
    };
    Catalog {
        client_sets: [
            set(&[Selector::Unknown], &[]),
            set(&[Selector::Jurisdiction("EU".into())], &["DE", "FR"]),
            set(&[Selector::Subdivision("US-CA".into()), Selector::Asn(64500)], &[]),
            set(&[Selector::Network("office".into())], &[]),
        ]
        .into(),
        networks: [office].into(),
        ..Catalog::default()
    }
}
