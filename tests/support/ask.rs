//! Writes queries octet by octet, so that they can be wrong in every way, and reads replies with hickory-proto.

use std::net::{IpAddr, Ipv4Addr};

use aya_gslb::answer::{Ask, Outcome, Policy, Scratch, Transport, answer};
use aya_gslb::catalog::Name;
use aya_gslb::units::Moment;
use aya_gslb::world::World;
use hickory_proto::op::Message;
use hickory_proto::rr::Record;
use hickory_proto::rr::rdata::opt::{EdnsCode, EdnsOption};

/// A resolver that no network of the world names.
pub const RESOLVER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 250));

/// A query. Fields are the defaults of a plain one until changed.
#[derive(Clone, Debug)]
pub struct Query {
    pub id: u16,
    /// The third and fourth octet of the header.
    pub flags: u16,
    pub name: Vec<u8>,
    pub qtype: u16,
    pub qclass: u16,
    /// OPT: owner, UDP size, extended RCODE, version and flags, options.
    pub opt: Option<(u16, u32, Vec<u8>)>,
    pub source: IpAddr,
    pub transport: Transport,
    /// When it comes.
    pub now: Moment,
}

/// A query for a name in presentation format.
pub fn query(name: &str, qtype: u16) -> Query {
    let mut wire = Vec::new();
    for label in name.parse::<Name>().unwrap().labels() {
        wire.push(u8::try_from(label.len()).unwrap());
        wire.extend_from_slice(label);
    }
    wire.push(0);
    Query { id: 0x1a2b, flags: 0, name: wire, qtype, qclass: 1, opt: None, source: RESOLVER, transport: Transport::Udp, now: Moment(1_000_000) }
}

impl Query {
    pub fn edns(mut self) -> Self {
        self.opt.get_or_insert((1232, 0, Vec::new()));
        self
    }

    pub fn udp_size(self, size: u16) -> Self {
        let mut with = self.edns();
        with.opt.as_mut().unwrap().0 = size;
        with
    }

    /// Version, extended RCODE and flags of OPT.
    pub fn edns_flags(self, flags: u32) -> Self {
        let mut with = self.edns();
        with.opt.as_mut().unwrap().1 = flags;
        with
    }

    pub fn option(self, code: u16, data: &[u8]) -> Self {
        let mut with = self.edns();
        let options = &mut with.opt.as_mut().unwrap().2;
        options.extend_from_slice(&code.to_be_bytes());
        options.extend_from_slice(&u16::try_from(data.len()).unwrap().to_be_bytes());
        options.extend_from_slice(data);
        with
    }

    /// A subnet as a resolver writes it: only the octets that SOURCE needs, no bits beyond it.
    pub fn subnet(self, prefix: &str) -> Self {
        self.option(8, &subnet(prefix, 0))
    }

    pub fn from(mut self, source: &str) -> Self {
        self.source = source.parse().unwrap();
        self
    }

    pub fn tcp(self) -> Self {
        self.over(Transport::Tcp)
    }

    pub fn over(mut self, transport: Transport) -> Self {
        self.transport = transport;
        self
    }

    /// When it comes, in seconds since the Unix epoch.
    pub fn at(mut self, seconds: u64) -> Self {
        self.now = Moment(seconds * 1_000);
        self
    }

    pub fn flags(mut self, flags: u16) -> Self {
        self.flags = flags;
        self
    }

    pub fn class(mut self, qclass: u16) -> Self {
        self.qclass = qclass;
        self
    }

    /// The question section.
    pub fn question(&self) -> Vec<u8> {
        [&self.name[..], &self.qtype.to_be_bytes(), &self.qclass.to_be_bytes()].concat()
    }

    /// OPT as a record.
    pub fn opt(&self) -> Vec<u8> {
        let Some((size, ttl, options)) = &self.opt else { return Vec::new() };
        let len = u16::try_from(options.len()).unwrap();
        [&[0, 0, 41], &size.to_be_bytes()[..], &ttl.to_be_bytes(), &len.to_be_bytes(), options].concat()
    }

    pub fn octets(&self) -> Vec<u8> {
        let additional = u16::from(self.opt.is_some());
        [header(self.id, self.flags, [1, 0, 0, additional]), self.question(), self.opt()].concat()
    }

    /// Asks a world, with cold cells.
    pub fn ask(&self, world: &World) -> Reply {
        self.ask_by(&Policy::default(), world)
    }

    /// Asks a node whose operator wants something of every reply.
    pub fn ask_by(&self, policy: &Policy, world: &World) -> Reply {
        reply_to(&self.octets(), &Ask { source: self.source, transport: self.transport, now: self.now, policy }, world)
    }
}

/// The data of a subnet option.
pub fn subnet(prefix: &str, scope: u8) -> Vec<u8> {
    let prefix: ipnet::IpNet = prefix.parse().unwrap();
    let (family, octets) = match prefix.network() {
        IpAddr::V4(address) => (1, address.octets().to_vec()),
        IpAddr::V6(address) => (2, address.octets().to_vec()),
    };
    [&[0, family, prefix.prefix_len(), scope], &octets[..usize::from(prefix.prefix_len()).div_ceil(8)]].concat()
}

pub fn header(id: u16, flags: u16, counts: [u16; 4]) -> Vec<u8> {
    [id, flags].iter().chain(&counts).flat_map(|word| word.to_be_bytes()).collect()
}

/// Sends octets, whatever they are.
pub fn send(world: &World, octets: &[u8], source: IpAddr, transport: Transport) -> Reply {
    reply_to(octets, &Ask { source, transport, now: Moment(1_000_000), policy: &Policy::default() }, world)
}

/// The reply, written where octets of earlier ones stand.
pub fn reply_to(octets: &[u8], ask: &Ask<'_>, world: &World) -> Reply {
    let mut buffer = vec![0xaa; 65_535];
    let outcome = answer(octets, ask, world, &mut Scratch::with_cells(2), &mut buffer);
    buffer.truncate(outcome.len);
    Reply { outcome, octets: buffer }
}

/// A reply as it came.
#[derive(Debug)]
pub struct Reply {
    pub outcome: Outcome,
    pub octets: Vec<u8>,
}

impl Reply {
    pub fn message(&self) -> Message {
        Message::from_vec(&self.octets).unwrap()
    }

    pub fn is_silence(&self) -> bool {
        self.octets.is_empty()
    }

    /// RCODE as an RFC names it.
    pub fn rcode(&self) -> &'static str {
        match u16::from(self.message().metadata.response_code) {
            0 => "NOERROR",
            1 => "FORMERR",
            2 => "SERVFAIL",
            3 => "NXDOMAIN",
            4 => "NOTIMP",
            5 => "REFUSED",
            16 => "BADVERS",
            23 => "BADCOOKIE",
            other => panic!("{other}"),
        }
    }

    /// The third and fourth octet of the header.
    pub fn flags(&self) -> u16 {
        u16::from_be_bytes([self.octets[2], self.octets[3]])
    }

    pub fn is_authoritative(&self) -> bool {
        self.flags() & 0x0400 != 0
    }

    pub fn is_truncated(&self) -> bool {
        self.flags() & 0x0200 != 0
    }

    /// QDCOUNT, ANCOUNT, NSCOUNT, ARCOUNT.
    pub fn counts(&self) -> [u16; 4] {
        [4, 6, 8, 10].map(|at| u16::from_be_bytes([self.octets[at], self.octets[at + 1]]))
    }

    pub fn answers(&self) -> Vec<String> {
        self.message().answers.iter().map(show).collect()
    }

    pub fn authorities(&self) -> Vec<String> {
        self.message().authorities.iter().map(show).collect()
    }

    /// The additional section without OPT.
    pub fn additionals(&self) -> Vec<String> {
        self.message().additionals.iter().map(show).collect()
    }

    pub fn has_opt(&self) -> bool {
        self.message().edns.is_some()
    }

    /// Codes of the options.
    pub fn options(&self) -> Vec<u16> {
        self.message().edns.map(|edns| edns.options().as_ref().iter().map(|(code, _)| u16::from(*code)).collect()).unwrap_or_default()
    }

    /// The subnet that is echoed: address, SOURCE, SCOPE.
    pub fn subnet(&self) -> Option<(IpAddr, u8, u8)> {
        let edns = self.message().edns?;
        match edns.option(EdnsCode::Subnet)? {
            EdnsOption::Subnet(subnet) => Some((subnet.addr(), subnet.source_prefix(), subnet.scope_prefix())),
            other => panic!("{other:?}"),
        }
    }

    pub fn scope(&self) -> Option<u8> {
        self.subnet().map(|(_, _, scope)| scope)
    }

    /// The data of an option.
    pub fn option(&self, code: u16) -> Option<Vec<u8>> {
        let edns = self.message().edns?;
        let options = edns.options().as_ref().iter().filter(|(other, _)| u16::from(*other) == code);
        let data: Vec<Vec<u8>> = options.map(|(_, option)| Vec::try_from(option).unwrap()).collect();
        assert!(data.len() <= 1, "an option comes once: {data:?}");
        data.into_iter().next()
    }

    /// INFO-CODE of the extended error.
    pub fn ede(&self) -> Option<u16> {
        self.option(15).map(|data| u16::from_be_bytes([data[0], data[1]]))
    }

    /// EXTRA-TEXT of the extended error.
    pub fn ede_text(&self) -> Option<String> {
        self.option(15).map(|data| String::from_utf8(data[2..].to_vec()).unwrap())
    }
}

/// A record as `owner TTL TYPE RDATA`.
fn show(record: &Record) -> String {
    format!("{} {} {} {}", record.name, record.ttl, record.record_type(), record.data)
}
