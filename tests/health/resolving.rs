//! Look-ups on the wire: a name server on loopback, the resolver, the controller's task.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;
use std::sync::{Arc, Mutex};

use aya_gslb::catalog::{AddressType, AddressTypes, EndpointId};
use aya_gslb::clock::{Clock, Hand};
use aya_gslb::control::{Found, Lookup};
use aya_gslb::probe::{NoMeter, Roots};
use aya_gslb::publish::{ControlHandle, Start, spawn};
use aya_gslb::resolve::schedule::Question;
use aya_gslb::resolve::{self, NameServers, Resolver};
use aya_gslb::world::{LookupFailure, World};
use hickory_proto::op::{Message, MessageType, OpCode, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, CNAME};
use hickory_proto::rr::{Name, RData, Record};
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

use crate::small::{Build, START, geo};

/// What a name server says: an RCODE and the records of its zone.
#[derive(Clone)]
struct Zone {
    rcode: ResponseCode,
    records: Vec<Record>,
}

/// A name server on loopback that says what it is told to say, and the task that it runs on.
struct Server {
    zone: Arc<Mutex<Zone>>,
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn record(owner: &str, ttl: u32, data: RData) -> Record {
    Record::from_rdata(Name::from_str(owner).unwrap(), ttl, data)
}

fn a(owner: &str, ttl: u32, last: u8) -> Record {
    record(owner, ttl, RData::A(A(Ipv4Addr::new(192, 0, 2, last))))
}

impl Server {
    async fn start(records: Vec<Record>) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let zone = Arc::new(Mutex::new(Zone { rcode: ResponseCode::NoError, records }));
        let told = Arc::clone(&zone);
        let task = tokio::spawn(async move {
            let mut octets = [0; 4_096];
            loop {
                let (len, client) = socket.recv_from(&mut octets).await.unwrap();
                let query = Message::from_vec(&octets[..len]).unwrap();
                let reply = told.lock().unwrap().answer(&query);
                socket.send_to(&reply.to_vec().unwrap(), client).await.unwrap();
            }
        });
        Self { zone, address, task }
    }

    fn say(&self, records: Vec<Record>) {
        self.zone.lock().unwrap().records = records;
    }

    fn fail(&self, rcode: ResponseCode) {
        self.zone.lock().unwrap().rcode = rcode;
    }
}

impl Zone {
    /// As a recursive resolver answers: the chain of CNAMEs, and what is at its end.
    fn answer(&self, query: &Message) -> Message {
        let question = query.queries[0].clone();
        let mut reply = Message::new(query.metadata.id, MessageType::Response, OpCode::Query);
        reply.metadata.recursion_desired = true;
        reply.metadata.recursion_available = true;
        reply.add_query(question.clone());
        reply.metadata.response_code = self.rcode;
        if self.rcode != ResponseCode::NoError {
            return reply;
        }
        let mut name = question.name().clone();
        while let Some(next) = self.records.iter().find_map(|record| match &record.data {
            RData::CNAME(target) if record.name == name => Some((record.clone(), target.0.clone())),
            _ => None,
        }) {
            reply.add_answer(next.0);
            name = next.1;
        }
        let of_type = self.records.iter().filter(|record| record.name == name && record.record_type() == question.query_type());
        reply.add_answers(of_type.cloned());
        if !self.records.iter().any(|record| record.name == name) {
            reply.metadata.response_code = ResponseCode::NXDomain;
        }
        reply
    }
}

async fn ask(server: SocketAddr, name: &str, of: AddressType) -> Result<Found, LookupFailure> {
    let resolver = Resolver::new(Clock::system(), &NameServers::Of(vec![server]));
    let Lookup { outcome, .. } = resolver.ask(&Question { name: name.parse().unwrap(), of }).await;
    outcome
}

#[tokio::test]
async fn a_chain_of_cnames_is_followed_and_its_smallest_ttl_counts() {
    let server = Server::start(vec![
        record("lb.example.net.", 20, RData::CNAME(CNAME(Name::from_str("pool.example.org.").unwrap()))),
        a("pool.example.org.", 300, 1),
        a("pool.example.org.", 300, 2),
        record("pool.example.org.", 7, RData::AAAA(AAAA(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)))),
    ])
    .await;
    let mut found = ask(server.address, "lb.example.net", AddressType::A).await.unwrap();
    found.addresses.sort_unstable();
    assert_eq!(found, Found { addresses: ["192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap()].into(), ttl_s: 20 });
    let found = ask(server.address, "lb.example.net", AddressType::Aaaa).await.unwrap();
    assert_eq!(found, Found { addresses: ["2001:db8::1".parse().unwrap()].into(), ttl_s: 7 });
}

#[tokio::test]
async fn every_way_in_which_a_look_up_fails_is_told_apart() {
    let server = Server::start(vec![a("lb.example.net.", 60, 1)]).await;
    assert_eq!(ask(server.address, "other.example.net", AddressType::A).await, Err(LookupFailure::NoSuchName));
    assert_eq!(ask(server.address, "lb.example.net", AddressType::Aaaa).await, Err(LookupFailure::NoAddress));
    for (rcode, word) in [(ResponseCode::ServFail, "SERVFAIL"), (ResponseCode::Refused, "REFUSED")] {
        server.fail(rcode);
        assert_eq!(ask(server.address, "lb.example.net", AddressType::A).await, Err(LookupFailure::Refused(word.into())));
    }
    assert!(matches!(
        Resolver::new(Clock::system(), &NameServers::Of(Vec::new()))
            .ask(&Question { name: "lb.example.net".parse().unwrap(), of: AddressType::A })
            .await
            .outcome,
        Err(LookupFailure::Other(_))
    ));
}

#[tokio::test]
async fn nothing_is_kept_between_two_look_ups() {
    let server = Server::start(vec![a("lb.example.net.", 3_600, 1)]).await;
    let resolver = Resolver::new(Clock::system(), &NameServers::Of(vec![server.address]));
    let question = Question { name: "lb.example.net".parse().unwrap(), of: AddressType::A };
    for last in [1, 2, 3] {
        server.say(vec![a("lb.example.net.", 3_600, last)]);
        let found = resolver.ask(&question).await.outcome.unwrap();
        assert_eq!((found.addresses[0], found.ttl_s), (Ipv4Addr::new(192, 0, 2, last).into(), 3_600));
    }
}

/// A controller's task whose one alias is looked up with this server, and whose clock is moved by hand.
fn start(server: SocketAddr) -> (ControlHandle, Hand) {
    let types = AddressTypes { a: true, aaaa: false };
    let catalog = Build::default().zone("example.com").service("api").aliased("east", "lb.example.net", types, &[]).finish();
    let (clock, hand) = Clock::by_hand(START);
    let handle = spawn(Start {
        overrides: None,
        catalog,
        geo: geo(),
        clock,
        state: None,
        roots: Roots::of_certificates([]).unwrap(),
        commands: None,
        seed: 1,
        meter: Arc::new(NoMeter),
        name_servers: NameServers::Of(vec![server]),
        lookups: Arc::new(resolve::NoMeter),
        drills: Arc::new(aya_gslb::publish::NoDrillMeter),
    });
    (handle, hand)
}

/// Waits for a world that is so; the controller's task publishes it when a look-up is complete.
async fn until(handle: &ControlHandle, is_so: impl Fn(&World) -> bool) -> Arc<World> {
    loop {
        let world = handle.worlds().load();
        if is_so(&world) {
            return world;
        }
        tokio::task::yield_now().await;
    }
}

fn given(world: &World) -> Vec<String> {
    world.addresses(world.catalog.endpoint(EndpointId(0))).a.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn an_alias_is_looked_up_at_the_start_and_again_at_the_end_of_its_ttl() {
    let server = Server::start(vec![a("lb.example.net.", 60, 1)]).await;
    let (handle, hand) = start(server.address);
    until(&handle, |world| given(world) == ["192.0.2.1"]).await;
    assert!(handle.ready().wait_for(|ready| *ready).await.is_ok(), "nothing else is waited for");
    server.say(vec![a("lb.example.net.", 60, 2), a("lb.example.net.", 60, 3)]);
    hand.move_to(START.plus_millis(60_000));
    until(&handle, |world| given(world) == ["192.0.2.2", "192.0.2.3"]).await;
    server.fail(ResponseCode::ServFail);
    hand.move_to(START.plus_millis(120_000));
    let world = until(&handle, |world| world.status(EndpointId(0)).moving).await;
    assert_eq!(given(&world), ["192.0.2.2", "192.0.2.3"], "the last good ones are held");
    handle.stop().await;
}
