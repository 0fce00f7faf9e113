//! Records and services of whole zones.

use super::super::types::{A, DS, NS, SOA, TXT, type_name};
use super::super::{Built, Place, Problem, ServiceName, SoaSpec, build};
use super::{built, name, wrong, zone};
use crate::catalog::{AnswerKind, Content, Node, RrSet, ServiceId};

/// The node of a name.
fn node<'b>(built: &'b Built, text: &str) -> &'b Node {
    built.owners.node(built.owners.find(&name(text)).unwrap_or_else(|| panic!("{text} has no node")))
}

/// The RRsets of a name that is no service.
fn sets<'b>(built: &'b Built, text: &str) -> &'b [RrSet] {
    match &node(built, text).content {
        Content::Records(sets) | Content::Service { records: sets, .. } => sets,
        other => panic!("{text}: {other:?}"),
    }
}

/// A service of addresses.
fn service(text: &str, id: u32) -> ServiceName {
    ServiceName { name: name(text), id: ServiceId(id), kind: AnswerKind::Addresses, digest: 1, place: Place { file: 9, start: id, end: id + 1 } }
}

/// What is wrong with `example.com` of these records and services.
fn wrong_with(text: &str, services: Vec<ServiceName>) -> Vec<String> {
    let mut input = zone("example.com", &format!("@ NS ns1.example.net.\n@ NS ns2.example.net.\n{text}"));
    input.services = services;
    messages(&build(&[input]).problems.list)
}

/// The messages of problems.
fn messages(problems: &[Problem]) -> Vec<String> {
    problems.iter().map(|problem| problem.message.clone()).collect()
}

#[test]
fn a_zone_has_its_soa_its_servers_and_its_names_in_canonical_order() {
    let (built, problems) = built("www A 192.0.2.1\nb.a TXT x\nWWW AAAA ::1\n* A 192.0.2.2\n");
    assert_eq!(problems, Vec::<String>::new());
    let names: Vec<String> = built.owners.nodes().iter().map(|node| node.name.to_string()).collect();
    assert_eq!(names, ["example.com", "*.example.com", "a.example.com", "b.a.example.com", "www.example.com"]);
    let types: Vec<u16> = sets(&built, "example.com").iter().map(|set| set.rtype).collect();
    assert_eq!(types, [NS, SOA]);
    assert!(matches!(node(&built, "a.example.com").content, Content::Empty));
    assert_eq!(sets(&built, "www.example.com").len(), 2);
    let zone = &built.zones[0];
    assert_eq!(zone.ns.rdata.len(), 2);
    assert_eq!((zone.soa.ttl, zone.soa.minimum, zone.soa.negative_ttl()), (3600, 60, 60));
    assert!(zone.soa.rdata.starts_with(b"\x03ns1\x07example\x03net\0\x0ahostmaster\x07example\x03com\0"));
    assert_eq!(built.owners.node(zone.apex).name, zone.name);
}

#[test]
fn rfc4592_wildcards_are_known_to_their_parents() {
    let (built, _) = built("*.a A 192.0.2.1\n* TXT x\nx.*.a A 192.0.2.1\n");
    let star = |text: &str| node(&built, text).wildcard.map(|id| built.owners.node(id).name.to_string());
    assert_eq!(star("example.com").as_deref(), Some("*.example.com"));
    assert_eq!(star("a.example.com").as_deref(), Some("*.a.example.com"));
    assert_eq!(star("*.a.example.com"), None);
    assert_eq!(wrong("*.a NS x.example.net."), ["3:1 error: NS records at the wildcard *.a.example.com have no meaning (RFC 4592 §4.2)"]);
}

#[test]
fn a_delegation_keeps_its_glue_and_nothing_else() {
    let text = "sub NS ns.sub\nsub NS sub\nsub DS 1 8 2 00000000000000000000000000000000000000000000000000000000000000aa\nsub A 192.0.2.1\nns.sub A 192.0.2.2\nx.y.sub A 192.0.2.3\n";
    let (built, problems) = built(text);
    assert_eq!(problems, Vec::<String>::new());
    let Content::Cut { ns, ds, glue } = &node(&built, "sub.example.com").content else { panic!("no cut") };
    assert_eq!((ns.rdata.len(), ds.as_ref().map(|set| set.rtype), glue.len()), (2, Some(DS), 1));
    let hosts: Vec<String> = ns.additional.iter().map(|id| built.owners.node(*id).name.to_string()).collect();
    assert_eq!(hosts, ["sub.example.com", "ns.sub.example.com"]);
    let cut = built.owners.find(&name("sub.example.com")).expect("it exists");
    for below in ["ns.sub.example.com", "y.sub.example.com", "x.y.sub.example.com"] {
        let Content::BelowCut { cut: above, .. } = node(&built, below).content else { panic!("{below}") };
        assert_eq!(above, cut);
    }
}

#[test]
fn what_does_not_belong_at_or_below_a_cut_is_reported() {
    assert_eq!(
        wrong("sub NS ns.example.net.\nsub TXT x\nmail.sub MX 0 .\nz.sub CNAME x.\n"),
        [
            "4:1 error: sub.example.com TXT stands at a zone cut: the name belongs to the servers of its NS records",
            "5:1 error: mail.sub.example.com MX is below the zone cut at sub.example.com: only A and AAAA for its name servers may stand there",
            "6:1 error: z.sub.example.com CNAME is below the zone cut at sub.example.com: only A and AAAA for its name servers may stand there",
        ]
    );
    assert_eq!(wrong("sub NS ns.sub\n"), ["3:1 error: the name server ns.sub.example.com is within sub.example.com itself and has no glue"]);
    let lone = wrong(
        "x DS 1 8 2 00000000000000000000000000000000000000000000000000000000000000aa\n@ DS 1 8 2 00000000000000000000000000000000000000000000000000000000000000aa\n",
    );
    assert_eq!(lone, ["3:1 error: x.example.com has a DS record, but no NS records", "4:1 error: example.com DS stands at the apex of its own zone"]);
    assert_eq!(
        wrong_with("sub NS ns.example.net.\n", vec![service("api.sub.example.com", 0), service("sub.example.com", 1)]),
        ["sub.example.com NS would delegate the name of a service".to_owned(),]
    );
    assert_eq!(
        wrong_with("sub NS ns.example.net.\n", vec![service("api.sub.example.com", 0)]),
        ["service api.sub.example.com is below the zone cut at sub.example.com, where another server answers"]
    );
}

#[test]
fn rfc2181_10_1_a_cname_stands_alone() {
    assert_eq!(
        wrong("a CNAME x.\na TXT y\nb CNAME x.\nb CNAME y.\n@ CNAME x.\n"),
        [
            "4:1 error: a.example.com TXT cannot stand beside a CNAME (RFC 2181 §10.1)",
            "6:1 error: b.example.com has two CNAMEs (RFC 2181 §10.1)",
            "7:1 error: a CNAME cannot stand at the apex example.com, beside SOA and NS (RFC 1034 §3.6.2)",
        ]
    );
    assert_eq!(wrong("a CNAME b\nb CNAME a\nc CNAME d\n").len(), 3);
    assert_eq!(wrong("a CNAME a"), ["3:1 error: the alias a.example.com leads back to itself"]);
}

#[test]
fn rfc2181_10_3_hosts_of_ns_and_mx_are_no_aliases_and_exist() {
    assert_eq!(
        wrong(
            "al CNAME x.\n@ NS al\n@ NS gone\n@ NS bare\nbare TXT x\n@ MX 1 al\n@ MX 2 gone\n_x._tcp SRV 1 1 1 al\nh HTTPS 1 gone\nnull MX 0 .\nok MX 1 x.w\n*.w A 192.0.2.1\n"
        ),
        [
            "4:1 error: the name server al.example.com of example.com is an alias (RFC 2181 §10.3)",
            "5:1 error: the name server gone.example.com of example.com has no address here",
            "6:1 error: the name server bare.example.com of example.com has no address here",
            "8:1 lint: example.com MX names al.example.com, which is an alias (RFC 2181 §10.3)",
            "9:1 lint: example.com MX names gone.example.com, which does not exist",
            "10:1 lint: _x._tcp.example.com SRV names al.example.com, which is an alias (RFC 2181 §10.3)",
            "11:1 lint: h.example.com HTTPS names gone.example.com, which does not exist",
        ]
    );
}

#[test]
fn rfc7505_3_and_rfc9460_2_4_1_what_must_stand_alone_is_seen() {
    assert_eq!(
        wrong("a MX 0 .\na MX 1 m.example.net.\nb HTTPS 1 .\nb HTTPS 0 x.example.net.\nb A 192.0.2.1\n"),
        [
            "3:1 error: a.example.com MX says that no mail is taken, beside other MX records (RFC 7505 §3)",
            "5:1 lint: b.example.com HTTPS has an alias (priority 0) beside other records, which clients then ignore (RFC 9460 §2.4.1)",
        ]
    );
    assert_eq!(
        wrong_with("@ NS api\n", vec![service("api.example.com", 0)]),
        ["the name server api.example.com of example.com is a service: its address is another for each client"]
    );
}

#[test]
fn duplicates_and_differing_ttls_are_seen_and_the_smallest_ttl_holds() {
    let (built, problems) = built("a 300 A 192.0.2.2\na 60 A 192.0.2.1\na 300 A 192.0.2.2\nz 0 A 192.0.2.1\n");
    assert_eq!(
        problems,
        [
            "3:1 lint: a.example.com A has TTLs that differ; the smallest, 60 s, holds for all (RFC 2181 §5.2)",
            "5:1 lint: a.example.com A is given twice with the same data",
            "6:1 lint: z.example.com A has TTL 0: no resolver keeps it, and some mistake it for an error",
        ]
    );
    let set = &sets(&built, "a.example.com")[0];
    assert_eq!((set.ttl, set.rdata.len()), (60, 2));
    assert!(set.rdata[0] < set.rdata[1]);
}

#[test]
fn names_outside_the_zone_and_forgotten_dots_are_seen() {
    assert_eq!(
        wrong("x.example.org. A 192.0.2.1\nwww.example.com A 192.0.2.1\n@ MX 1 mail.example.com\n"),
        [
            "3:1 error: x.example.org A is not within the zone example.com",
            "4:1 lint: www.example.com.example.com has the zone's name twice",
            "5:1 lint: example.com MX names mail.example.com.example.com, which does not exist",
            "5:1 lint: example.com MX names mail.example.com.example.com, which has the zone's name twice",
        ]
    );
}

#[test]
fn a_service_shares_its_name_with_what_is_not_steered() {
    let mut input = zone("example.com", "@ NS ns1.example.net.\n@ NS ns2.example.net.\napi TXT x\napi CAA 0 issue a\n@ MX 1 api\nalias CNAME api\n");
    input.services = vec![service("api.example.com", 0), service("*.wild.example.com", 1), service("example.com", 2)];
    let built = build(&[input]);
    assert_eq!(built.problems.list, vec![]);
    let Content::Service { service, records } = &node(&built, "api.example.com").content else { panic!("no service") };
    assert_eq!((*service, records.len()), (ServiceId(0), 2));
    assert!(node(&built, "wild.example.com").wildcard.is_some());
    let types: Vec<_> = sets(&built, "example.com").iter().map(|set| type_name(set.rtype)).collect();
    assert_eq!(types, ["NS", "SOA", "MX"]);
    let mx = &sets(&built, "example.com")[2];
    assert_eq!(mx.additional.len(), 1);
}

#[test]
fn a_service_does_not_share_what_it_answers_itself() {
    assert_eq!(
        wrong_with("api A 192.0.2.1\napi AAAA ::1\napi HTTPS 1 .\napi TXT x\n", vec![service("api.example.com", 0)]),
        [
            "api.example.com A is answered by the service of that name",
            "api.example.com AAAA is answered by the service of that name",
            "api.example.com HTTPS is answered by the service of that name"
        ]
    );
    assert_eq!(wrong_with("api CNAME x.\n", vec![service("api.example.com", 0)]), ["api.example.com CNAME cannot stand beside a CNAME (RFC 2181 §10.1)"]);
    let cname = |text: &str| ServiceName { kind: AnswerKind::Cname, ..service(text, 0) };
    assert_eq!(wrong_with("www TXT x\n", vec![cname("www.example.com")]), ["www.example.com TXT cannot stand beside a CNAME (RFC 2181 §10.1)"]);
    assert_eq!(wrong_with("", vec![cname("example.com")]), ["a cname service cannot stand at the apex example.com, beside SOA and NS (RFC 1034 §3.6.2)"]);
    assert_eq!(wrong_with("@ NS www\n", vec![cname("www.example.com")]), ["the name server www.example.com of example.com is an alias (RFC 2181 §10.3)"]);
    assert_eq!(wrong_with("", vec![service("a.example.com", 0), service("a.example.com", 1)]), ["service a.example.com is defined twice"]);
    assert_eq!(wrong_with("", vec![service("a.example.org", 0)]), ["a.example.org service is not within the zone example.com"]);
}

#[test]
fn a_child_zone_held_here_answers_for_itself() {
    let parent = zone(
        "example.com",
        "@ NS ns1.example.net.\n@ NS ns2.example.net.\nb.a NS ns.b.a\nb.a DS 1 8 2 00000000000000000000000000000000000000000000000000000000000000aa\nns.b.a A 192.0.2.1\n",
    );
    let child = zone("b.a.example.com", "@ NS ns\n@ NS ns1.example.net.\nns A 192.0.2.1\n");
    let out = build(&[parent.clone(), child.clone()]);
    assert_eq!(out.problems.list, vec![]);
    assert!(matches!(node(&out, "a.example.com").content, Content::Empty));
    assert_eq!(node(&out, "a.example.com").zone.0, 0);
    let types: Vec<_> = sets(&out, "b.a.example.com").iter().map(|set| set.rtype).collect();
    assert_eq!(types, [NS, SOA, DS]);
    assert_eq!(node(&out, "ns.b.a.example.com").zone.0, 1);
    assert_eq!(out.zones[1].ns.additional.len(), 1);

    let mut stray = parent;
    stray.records.extend(zone("example.com", "b.a TXT x\nw.b.a CNAME x.\n").records);
    stray.services = vec![service("s.b.a.example.com", 0)];
    assert_eq!(
        messages(&build(&[stray, child.clone()]).problems.list),
        [
            "b.a.example.com TXT belongs to the zone b.a.example.com, which stands here too",
            "w.b.a.example.com CNAME belongs to the zone b.a.example.com, which stands here too",
            "service s.b.a.example.com belongs to the zone b.a.example.com, which stands here too"
        ]
    );
    assert_eq!(messages(&build(&[child.clone(), child]).problems.list)[0], "zone b.a.example.com is defined twice");
}

#[test]
fn a_zone_needs_name_servers_and_one_soa() {
    assert_eq!(messages(&build(&[zone("example.com", "www A 192.0.2.1\n")]).problems.list), ["zone example.com has no name servers".to_owned()]);
    assert_eq!(messages(&build(&[zone("example.com", "@ NS a.example.net.\n")]).problems.list), ["zone example.com has only one name server"]);
    assert_eq!(wrong("@ SOA a. b. 1 2 3 4 5\n@ SOA a. b. 2 2 3 4 5\nx SOA a. b. 1 2 3 4 5\n").len(), 2);
    let mut twice = zone("example.com", "@ NS a.example.net.\n@ NS b.example.net.\n@ SOA a. b. 1 2 3 4 5\n");
    twice.soa = Some(SoaSpec::default());
    assert_eq!(messages(&build(&[twice]).problems.list), ["zone example.com has an SOA record as well"]);
}

#[test]
fn a_serial_is_taken_as_written_or_derived_from_all_content() {
    let serial = |text: &str, services: Vec<ServiceName>| {
        let mut input = zone("example.com", &format!("@ NS ns1.example.net.\n@ NS ns2.example.net.\n{text}"));
        input.services = services;
        build(&[input]).zones[0].soa.serial
    };
    assert_eq!(serial("@ SOA a. b. 7 2 3 4 5\n", vec![]), 7);
    let one = serial("a A 192.0.2.1\nb TXT x\n", vec![]);
    assert_eq!(one, serial("b TXT x\na A 192.0.2.1\n", vec![]));
    assert_ne!(one, 0);
    assert_ne!(one, serial("a A 192.0.2.2\nb TXT x\n", vec![]));
    assert_ne!(one, serial("a 301 A 192.0.2.1\nb TXT x\n", vec![]));
    assert_ne!(one, serial("a A 192.0.2.1\nb TXT x\n", vec![service("api.example.com", 0)]));
    let digested = |digest| serial("", vec![ServiceName { digest, ..service("api.example.com", 0) }]);
    assert_ne!(digested(1), digested(2));
    assert_ne!(serial("@ SOA a. b. 0 2 3 4 5\n", vec![]), 0);
}

#[test]
fn the_order_of_records_never_matters() {
    let text = "b.a TXT x\na MX 1 mail\nmail A 192.0.2.1\nmail 60 A 192.0.2.2\nsub NS ns.sub\nns.sub A 192.0.2.3\n*.w CNAME mail\n";
    let mut input = zone("example.com", &format!("@ NS ns1.example.net.\n@ NS ns2.example.net.\n{text}"));
    let forward = build(std::slice::from_ref(&input));
    input.records.reverse();
    let backward = build(&[input]);
    assert_eq!(format!("{forward:?}"), format!("{backward:?}"));
}

#[test]
fn too_large_a_set_is_refused() {
    let mut input = zone("example.com", "@ NS ns1.example.net.\n@ NS ns2.example.net.\n");
    let datum = |n: u8| [&[255_u8][..], &[n; 255]].concat().repeat(20).into_boxed_slice();
    for n in 0..13 {
        input.records.push(super::super::StaticRecord { owner: name("big.example.com"), rtype: TXT, ttl: 60, rdata: datum(n), place: Place::default() });
    }
    assert_eq!(messages(&build(&[input]).problems.list), ["big.example.com TXT is too large a set: it does not fit any DNS message"]);
}

#[test]
fn names_by_the_hundred_thousand_are_all_found() {
    let mut input = zone("example.com", "@ NS ns1.example.net.\n@ NS ns2.example.net.\n");
    for n in 0..100_000_u32 {
        let owner = name(&format!("host{n}.rack{}.example.com", n % 500));
        input.records.push(super::super::StaticRecord { owner, rtype: A, ttl: 60, rdata: n.to_be_bytes().into(), place: Place::default() });
    }
    let built = build(&[input]);
    assert_eq!(built.problems.list, vec![]);
    assert_eq!(built.owners.nodes().len(), 100_501);
    for n in (0..100_000_u32).step_by(997) {
        assert_eq!(*sets(&built, &format!("host{n}.rack{}.example.com", n % 500))[0].rdata[0], n.to_be_bytes());
    }
    assert!(built.owners.find(&name("rack500.example.com")).is_none());
}
