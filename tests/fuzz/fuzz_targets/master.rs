//! Master file, record data and SvcParams → records → owner names. Nothing panics, every place is within its text, and what was read can
//! be served: hickory-proto decodes it and writes the same octets, and it reads the same when written as RFC 3597 says.
#![no_main]

use aya_gslb::catalog::{AnswerKind, Content, Name, ServiceId};
use aya_gslb::config::records::{Place, Problem, ServiceName, Severity, StaticRecord, ZoneInput, build, master, parse_params, parse_rdata};
use hickory_proto::rr::{RData, RecordType};
use hickory_proto::serialize::binary::{BinDecoder, BinEncodable, BinEncoder, NameEncoding, Restrict};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let origin: Name = "example.com".parse().expect("a name");
    let (text, included) = text.split_once('\u{1}').unwrap_or((text, "inc 5 A 192.0.2.9\n"));
    let texts = [text, included];
    let out = master::read(0, text, &origin, Some(60), &mut |_, path| match master::confined("", path) {
        Some(_) => Ok((1, included.to_owned())),
        None => Err("it is outside".to_owned()),
    });
    out.problems.list.iter().for_each(|problem| judge_place(problem, &texts));
    out.records.iter().for_each(judge_record);
    judge_zones(&origin, out.records, &texts);

    if let Some((rtype, data)) = text.split_once(' ') {
        if let Err(error) = parse_rdata(rtype, data, &origin) {
            assert!(data.get(error.span).is_some());
        }
        if let Ok(params) = parse_params(data) {
            assert!(params.windows(2).all(|pair| pair[0].0 < pair[1].0));
        }
    }
});

/// A problem stands within its text, between characters.
fn judge_place(problem: &Problem, texts: &[&str]) {
    let Place { file, start, end } = problem.place;
    assert!(texts[file as usize].get(start as usize..end as usize).is_some(), "{problem:?}");
}

/// A record can be served and written again.
fn judge_record(record: &StaticRecord) {
    assert!(record.ttl <= i32::MAX.unsigned_abs());
    let length = u16::try_from(record.rdata.len()).expect("RDATA has at most 65,535 octets");
    let data = RData::read(&mut BinDecoder::new(&record.rdata), RecordType::from(record.rtype), Restrict::new(length)).expect("hickory decodes it");
    let mut octets = Vec::new();
    let mut encoder = BinEncoder::new(&mut octets);
    encoder.set_name_encoding(NameEncoding::Uncompressed);
    data.emit(&mut encoder).expect("hickory encodes it");
    assert_eq!(octets, *record.rdata, "{record:?}");

    let hex: String = record.rdata.iter().map(|octet| format!("{octet:02x}")).collect();
    let again = parse_rdata(&format!("TYPE{}", record.rtype), &format!("\\# {length} {hex}"), &record.owner);
    assert_eq!(again, Ok((record.rtype, record.rdata.clone())));
}

/// Zones are built of anything; without errors, every owner is found, and what stands there fits its neighbours.
fn judge_zones(origin: &Name, records: Vec<StaticRecord>, texts: &[&str]) {
    let child = origin.child(b"child").expect("a short name");
    let service =
        |label: &[u8], id, kind| ServiceName { name: origin.child(label).expect("a short name"), id: ServiceId(id), kind, digest: 1, place: Place::default() };
    let mut parent = ZoneInput { name: origin.clone(), place: Place::default(), soa: None, records, services: Vec::new() };
    parent.services = vec![service(b"api", 0, AnswerKind::Addresses), service(b"www", 1, AnswerKind::Cname)];
    let owners: Vec<Name> = parent.records.iter().map(|record| record.owner.clone()).collect();
    let child = ZoneInput {
        name: child.clone(),
        place: Place::default(),
        soa: None,
        records: vec![StaticRecord::ns(child, &Name::root(), 60, Place::default())],
        services: Vec::new(),
    };
    let built = build(&[parent, child]);
    built.problems.list.iter().for_each(|problem| judge_place(problem, texts));
    assert!(built.owners.nodes().is_sorted_by(|a, b| a.zone <= b.zone));
    for node in built.owners.nodes() {
        let found = built.owners.find(&node.name).expect("every node is found by its name");
        assert!(std::ptr::eq(built.owners.node(found), node));
        if let Content::BelowCut { cut, .. } = &node.content {
            let cut = built.owners.node(*cut);
            assert!(matches!(cut.content, Content::Cut { .. }) && node.name.is_within(&cut.name) && node.name != cut.name);
        }
        if let Some(wildcard) = node.wildcard {
            assert_eq!(built.owners.node(wildcard).name.parent().as_ref(), Some(&node.name));
        }
        let apex = &built.zones[node.zone.index()].name;
        let above = node.name.parent().filter(|_| node.name != *apex);
        assert!(above.is_none_or(|above| built.owners.find(&above).is_some()), "{node:?} has no parent");
    }
    if built.problems.list.iter().all(|problem| problem.severity == Severity::Lint) {
        assert!(owners.iter().all(|owner| built.owners.find(owner).is_some() || owner.labels().any(|label| label == b"child")));
        assert!(built.zones.iter().all(|zone| zone.soa.rdata.len() > 20 && !zone.ns.rdata.is_empty()));
    }
}
