//! Any text as files of zones, written as the cases of `tests/config` are: they compile or are refused, and it says where; it never panics.
//! What compiles can be served: the order of files does not show, it has a geography, and every name of it is answered, to whomever asks,
//! with everything up and with everything down.
#![no_main]

#[path = "../../support/mod.rs"]
mod support;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use aya_gslb::answer::{Ask, Outcome, Policy, Scratch, Transport, answer};
use aya_gslb::catalog::{Catalog, Content, Name, RrSet, Service, WhenAllDown, WhenNoneLeft};
use aya_gslb::config::{Diagnostic, SourceFile, compile};
use aya_gslb::geo::Geo;
use aya_gslb::health::Status;
use aya_gslb::units::Moment;
use aya_gslb::world::World;
use hickory_proto::op::Message;
use libfuzzer_sys::fuzz_target;
use support::{A, AAAA, ANY, CNAME, HTTPS, NS, SOA, TXT};

/// Files of an input that are read; more would only be slow.
const FILES_MOST: usize = 8;
/// Names of a catalog that are asked.
const NAMES_MOST: usize = 32;

fuzz_target!(|text: &str| {
    let mut parts = text.split("\n#--- ");
    let mut tomls = vec![parts.next().unwrap_or_default()];
    let mut masters = Vec::new();
    for (name, text) in parts.filter_map(|part| part.split_once('\n')).take(FILES_MOST) {
        if name.trim_end().ends_with(".toml") { tomls.push(text) } else { masters.push((name.trim(), text)) }
    }
    // A master file that the input lacks is the input itself.
    let fetch = |_asking: &str, path: &str| {
        let found = masters.iter().find(|(name, _)| *name == path);
        Ok((format!("masters/{path}"), found.map_or(text, |(_, text)| text).to_owned()))
    };
    let files = |order: Box<dyn Iterator<Item = &&str> + '_>| {
        order.zip(10..).map(|(text, index)| SourceFile { name: format!("{index}.toml").into(), text: (*text).into() }).collect()
    };
    match compile(files(Box::new(tomls.iter())), &fetch) {
        Ok(loaded) => {
            judge_places(&loaded.lints, &loaded.sources);
            let backward = compile(files(Box::new(tomls.iter().rev())), &fetch).expect("the order of files does not decide");
            assert_eq!(loaded.catalog.digest, backward.catalog.digest, "the order of files does not show");
            judge_catalog(loaded.catalog);
        }
        Err(failure) => {
            assert!(!failure.diagnostics.is_empty() && !failure.to_string().is_empty(), "a refusal says why");
            judge_places(&failure.diagnostics, &failure.sources);
        }
    }
});

/// What is told stands somewhere.
fn judge_places(diagnostics: &[Diagnostic], sources: &[SourceFile]) {
    for spot in diagnostics.iter().filter_map(|diagnostic| diagnostic.spot.as_ref()) {
        let source = sources.iter().find(|source| source.name == spot.file).expect("a spot is in a file that was read");
        assert!(spot.line >= 1 && spot.column >= 1);
        assert!(source.text.get(spot.span.clone()).is_some(), "the span lies within the text");
    }
}

/// Every name is answered.
fn judge_catalog(catalog: Catalog) {
    let geo = Geo::compile(&catalog, &[]).expect("few places are told apart");
    let mut world = World::unmeasured(1, Arc::new(catalog), Arc::new(geo));
    let catalog = Arc::clone(&world.catalog);
    let sources: BTreeSet<IpAddr> =
        catalog.networks.iter().flat_map(|network| &network.prefixes).map(ipnet::IpNet::addr).take(3).chain([support::ask::RESOLVER]).collect();
    for status in [Status::UNMEASURED, Status::UP, support::DOWN] {
        world.generation += 1;
        world.statuses.of.fill(status);
        world.statuses.versions.fill(world.generation);
        let mut asker = Asker { world: &world, scratch: Scratch::with_cells(64), reply: vec![0; 65_535], octets: Vec::new() };
        for node in catalog.owners.nodes().iter().take(NAMES_MOST) {
            for &source in &sources {
                match &node.content {
                    Content::Service { service, records } => {
                        let may_fail = may_fail(catalog.service(*service));
                        for qtype in [A, AAAA, HTTPS, ANY, CNAME] {
                            let (outcome, _) = asker.ask(&node.name, qtype, source);
                            assert!(outcome.rcode == 0 || outcome.rcode == 2 && may_fail, "{} {qtype}: {outcome:?}", node.name);
                        }
                        records.iter().for_each(|set| asker.judge_set(&node.name, set, source));
                    }
                    Content::Records(records) => {
                        records.iter().for_each(|set| asker.judge_set(&node.name, set, source));
                        assert_eq!(asker.ask(&node.name, ANY, source).0.rcode, 0);
                    }
                    Content::Empty => assert!(asker.ask(&node.name, TXT, source).1.answers.is_empty()),
                    Content::Cut { .. } | Content::BelowCut { .. } => {
                        let (_, referral) = asker.ask(&node.name, A, source);
                        assert!(referral.answers.is_empty() && !referral.metadata.authoritative);
                        assert!(referral.authorities.iter().all(|record| u16::from(record.record_type()) == NS), "{}: {referral:?}", node.name);
                    }
                }
                if let Ok(name) = node.name.child(b"no-such-name") {
                    asker.ask(&name, A, source);
                }
            }
        }
        for zone in &catalog.zones {
            assert_eq!(asker.ask(&zone.name, SOA, support::ask::RESOLVER).1.answers.len(), 1, "{}", zone.name);
            assert!(!asker.ask(&zone.name, NS, support::ask::RESOLVER).1.answers.is_empty(), "{}", zone.name);
        }
    }
}

/// Whether the operator wants SERVFAIL in some case.
fn may_fail(service: &Service) -> bool {
    service.when_none_left == WhenNoneLeft::Servfail || service.when_all_down == WhenAllDown::Servfail
}

/// Asks one world, and keeps what asking takes.
struct Asker<'w> {
    world: &'w World,
    scratch: Scratch,
    reply: Vec<u8>,
    octets: Vec<u8>,
}

impl Asker<'_> {
    /// Asks by UDP, then by TCP: the reply by TCP is whole, and both can be read.
    fn ask(&mut self, name: &Name, qtype: u16, source: IpAddr) -> (Outcome, Message) {
        self.octets.clear();
        self.octets.extend_from_slice(&[7, 7, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1]);
        self.octets.extend_from_slice(name.wire());
        self.octets.extend_from_slice(&qtype.to_be_bytes());
        self.octets.extend_from_slice(&[0, 1, 0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]);
        let [udp, tcp] = [Transport::Udp, Transport::Tcp].map(|transport| {
            let ask = Ask { source, transport, now: Moment(1), policy: &Policy::default() };
            let outcome = answer(&self.octets, &ask, self.world, &mut self.scratch, &mut self.reply);
            assert!(outcome.len <= if transport == Transport::Udp { 1232 } else { 65_535 });
            let message = Message::from_vec(&self.reply[..outcome.len]).expect("hickory-proto reads every reply");
            (outcome, message)
        });
        assert_eq!(udp.0.rcode, tcp.0.rcode, "{name} {qtype}: the transport does not decide");
        assert!(!tcp.0.truncated, "{name} {qtype}: TCP has room");
        tcp
    }

    /// A static RRset is answered whole.
    fn judge_set(&mut self, name: &Name, set: &RrSet, source: IpAddr) {
        let (outcome, message) = self.ask(name, set.rtype, source);
        assert_eq!((outcome.rcode, message.answers.len()), (0, set.rdata.len()), "{name} {}", set.rtype);
    }
}
