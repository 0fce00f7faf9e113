//! Query + world → reply, in the order of RFC 1034 §4.3.2. Every transport goes through [`answer`].
//!
//! Pure: bytes in, length out, 0 = silence. No lock, no allocation, no log line.
//!
//! | RFC | what | state |
//! |---|---|---|
//! | RFC 1034 | §4.3.2 the order of steps; §4.2.1 referrals | done |
//! | RFC 2308 | §2, §3, §5 NXDOMAIN, NODATA and the SOA with them | done |
//! | RFC 4592 | §3.3.1 wildcards | done |
//! | RFC 7871 | §7.2.1 what is echoed, and which SCOPE | done |
//! | RFC 8020 | nothing exists below a name that does not | done |
//! | RFC 8482 | §4.1 ANY gets one RRset | done |
//! | RFC 9460 | §4.1, §7.3 HTTPS, its hints from the same decision | done |
//! | RFC 9471 | glue of name servers inside the delegation is needed | done |
//! | RFC 7873, 9018 | §5.2, §5.4; §4 server cookies | done |
//! | RFC 8914 | §2 extended errors that say why | done |
//! | RFC 4035 | signatures | later |

mod client;
mod cookies;
mod extras;
mod policy;
mod quick;
mod records;
mod steered;
mod why;

pub use cookies::{Cookie, CookieSecrets};
pub use extras::answer_limited;
pub use policy::Policy;

use std::net::IpAddr;

use crate::catalog::{Content, EndpointId, Node, ServiceId, ZoneId};
use crate::limits::{TCP_MESSAGE_MAX, UDP_REPLY_MAX, UDP_REPLY_PLAIN};
use crate::steer::{Cells, Reason};
use crate::units::Moment;
use crate::wire::{Closing, Ede, Edns, Envelope, Lowered, Parsed, Question, Rcode, Reply, class, glance, parse, rtype};
use crate::world::World;

/// Answers one query. `reply` is as long as the transport allows at most; it should have room for 512 octets at least.
pub fn answer(query: &[u8], ask: &Ask<'_>, world: &World, scratch: &mut Scratch, reply: &mut [u8]) -> Outcome {
    // Nearly every query is of one form, and asks for a name that there is.
    let mut envelope = Envelope::default();
    if let Some(wanted) = glance(query, &mut scratch.name, &mut envelope)
        && let Some(found) = world.catalog.owners.find_folded(scratch.name.hash(), scratch.name.octets())
    {
        if let Some(outcome) = quick::answer(ask, world, wanted, &envelope, found, &scratch.cells, reply) {
            return outcome;
        }
        let asked = Asked { ask, world, question: envelope.question(wanted), envelope: &envelope };
        return answer_at(world.catalog.owners.node(found.node), &asked, scratch, reply);
    }
    answer_any(query, ask, world, scratch, reply)
}

/// Has the memory fetched that answering this query will most likely need, and does nothing else; what is returned means nothing. Of a batch of queries,
/// each may be elsewhere in the geography's megabytes: read beforehand, one after the other, their places come at the same time instead of each when it is
/// waited for.
///
/// Looks only at queries that end with the option that nearly every resolver sends, an IPv4 subnet of 24 bits.
#[inline]
#[must_use]
pub fn foresee(query: &[u8], world: &World) -> u32 {
    match query.last_chunk() {
        Some(&[0, 8, 0, 7, 0, 1, 24, 0, a, b, c]) => world.geo.touch_v4(u32::from_be_bytes([a, b, c, 0])),
        _ => 0,
    }
}

/// Answers a query for a name that there is.
#[inline(never)]
fn answer_at<'a>(node: &'a Node, asked: &Asked<'a>, scratch: &'a mut Scratch, reply: &'a mut [u8]) -> Outcome {
    if let Some(outcome) = quick::answer_chosen(asked, node, &mut scratch.cells, reply) {
        return outcome;
    }
    let Some(mut turn) = Turn::start(asked, scratch, reply) else { return Outcome::SILENCE };
    let said = turn.look_up(Some(node));
    turn.close(said)
}

/// Answers whatever comes in.
#[inline(never)]
fn answer_any(query: &[u8], ask: &Ask<'_>, world: &World, scratch: &mut Scratch, reply: &mut [u8]) -> Outcome {
    match parse(query, &mut scratch.name) {
        Parsed::Silent => Outcome::SILENCE,
        Parsed::Broken { envelope, rcode } => refuse_broken(&envelope, rcode, ask, reply),
        Parsed::Cookie { envelope } => extras::answer_cookie(&envelope, ask, reply),
        Parsed::Query { envelope, question } => {
            let asked = Asked { ask, world, question, envelope: &envelope };
            let Some(mut turn) = Turn::start(&asked, scratch, reply) else { return Outcome::SILENCE };
            let said = turn.look_up(None);
            turn.close(said)
        }
    }
}

/// One query as it was read, and what it may know.
#[derive(Clone, Copy)]
struct Asked<'a> {
    /// Where it came from.
    ask: &'a Ask<'a>,
    /// What it may know.
    world: &'a World,
    /// What it asks.
    question: Question<'a>,
    /// What its reply copies.
    envelope: &'a Envelope<'a>,
}

/// One query on its way to its reply.
struct Turn<'a> {
    /// Where it came from.
    ask: &'a Ask<'a>,
    /// What it may know.
    world: &'a World,
    /// What it asks.
    question: Question<'a>,
    /// What its reply copies.
    envelope: &'a Envelope<'a>,
    /// QNAME in lower case.
    name: &'a Lowered,
    /// Decisions that still hold.
    cells: &'a mut Cells,
    /// The reply so far.
    reply: Reply<'a>,
}

impl<'a> Turn<'a> {
    /// Begins. `None` when not even header, question and OPT fit.
    fn start(asked: &Asked<'a>, scratch: &'a mut Scratch, reply: &'a mut [u8]) -> Option<Self> {
        let &Asked { ask, world, question, envelope } = asked;
        let reply = Reply::start(reply, reply_max(ask, envelope.edns.as_ref()), envelope)?;
        Some(Self { ask, world, question, envelope, name: &scratch.name, cells: &mut scratch.cells, reply })
    }

    /// Finds what the reply says: RFC 1034 §4.3.2. Step 1 is gone, there is no recursion; so is step 4, there is no cache. `found` is QNAME's
    /// node, where it is known.
    fn look_up(&mut self, found: Option<&'a Node>) -> Said {
        if let Some(refusal) = self.refuse_what_no_zone_has() {
            return refusal;
        }
        // Step 2: the nearest zone, and with it the node where the way down to QNAME ends.
        let Some((node, exact)) = found.map(|node| (node, true)).or_else(|| self.way_down()) else { return self.refuse_what_is_not_ours() };
        let asks_parent = exact && self.question.qtype == rtype::DS;
        let said = match &node.content {
            // Step 3b: it ends at a zone cut. The parent side answers for DS alone.
            Content::Cut { ds, .. } if asks_parent => self.records(node.zone, ds.as_slice()),
            Content::Cut { .. } => self.refer(node),
            Content::BelowCut { cut, .. } => self.refer(self.world.catalog.owners.node(*cut)),
            _ if asks_parent && self.is_apex(node) => self.delegation_signer(node),
            // Step 3a: it ends at QNAME.
            _ if exact => self.content(node),
            // It ends above, and nothing but an explanation could be there.
            _ if self.asks_why() => self.why(node.zone).unwrap_or_else(|| self.above(node)),
            // Step 3c: it ends above.
            _ => self.above(node),
        };
        // Steps 5 and 6, the additional section, were taken with the RRsets that want it.
        Said { zone: Some(node.zone), ..said }
    }

    /// Answers for a QNAME below the last node on its way: a wildcard there stands in for QNAME, or QNAME does not exist.
    #[inline]
    fn above(&mut self, node: &'a Node) -> Said {
        match node.wildcard {
            Some(wildcard) => self.content(self.world.catalog.owners.node(wildcard)),
            None => self.negative(node.zone, Rcode::NXDOMAIN, None),
        }
    }

    /// The deepest node at or above QNAME, and whether it is QNAME itself.
    fn way_down(&self) -> Option<(&'a Node, bool)> {
        match self.world.catalog.owners.find_hashed(self.name.hash(), self.name.octets()) {
            Some(node) => Some((node, true)),
            None => self.nearest_above().map(|node| (node, false)),
        }
    }

    /// The deepest node above QNAME.
    #[cold]
    fn nearest_above(&self) -> Option<&'a Node> {
        let owners = &self.world.catalog.owners;
        self.name.ancestors(owners.depth()).find_map(|(octets, hash)| owners.find_hashed(hash, octets))
    }

    /// Answers with what stands at a node, in the name of QNAME.
    fn content(&mut self, node: &'a Node) -> Said {
        match &node.content {
            Content::Service { service, records } => self.service(node.zone, *service, records),
            Content::Records(records) => self.records(node.zone, records),
            // A wildcard that is a zone cut means nothing (RFC 4592 §4.2).
            Content::Empty | Content::Cut { .. } | Content::BelowCut { .. } => self.negative(node.zone, Rcode::NOERROR, None),
        }
    }

    /// Whether a node is its zone's apex.
    fn is_apex(&self, node: &Node) -> bool {
        self.world.catalog.zones.get(node.zone.index()).is_some_and(|zone| zone.name == node.name)
    }

    /// What no zone has, whatever its name: other classes, transfers, types that stand for something else.
    #[inline]
    fn refuse_what_no_zone_has(&self) -> Option<Said> {
        match (self.question.qclass, self.question.qtype) {
            (class::IN, rtype::IXFR | rtype::AXFR) => Some(Said::refused(Ede::PROHIBITED)),
            (class::IN, rtype::OPT | rtype::NXNAME | rtype::TSIG) => {
                Some(Said { rcode: Rcode::FORMERR, ede: Some(Ede::INVALID_QUERY_TYPE), ..Said::default() })
            }
            (class::IN, _) => None,
            _ => Some(Said::refused(Ede::NOT_AUTHORITATIVE)),
        }
    }

    /// Refuses a name that is in no zone. A node without any zone has not begun.
    #[cold]
    fn refuse_what_is_not_ours(&self) -> Said {
        Said::refused(if self.world.catalog.zones.is_empty() { Ede::NOT_READY } else { Ede::NOT_AUTHORITATIVE })
    }

    /// Finishes the reply.
    fn close(self, said: Said) -> Outcome {
        if self.envelope.edns.as_ref().is_some_and(|edns| edns.wants.is_any() || said.ede.is_some()) {
            return self.close_with_extras(said);
        }
        let truncated = self.reply.is_truncated();
        let closing = Closing { rcode: said.rcode, authoritative: said.authoritative, scope: said.scope, ede: said.ede };
        let len = self.reply.finish(closing);
        Outcome { len, rcode: said.rcode.0, truncated, zone: said.zone, steered: said.steered, ..Outcome::SILENCE }
    }
}

/// What a reply says beside its records, and what is counted of it.
#[derive(Clone, Copy, Debug, Default)]
struct Said {
    /// RCODE.
    rcode: Rcode,
    /// AA.
    authoritative: bool,
    /// SCOPE PREFIX-LENGTH.
    scope: u8,
    /// An extended error.
    ede: Option<Ede>,
    /// The zone that QNAME is in.
    zone: Option<ZoneId>,
    /// What was steered.
    steered: Option<Steered>,
}

impl Said {
    /// An authoritative answer that is the same for every client.
    const AUTHORITATIVE: Self = Self { rcode: Rcode::NOERROR, authoritative: true, scope: 0, ede: None, zone: None, steered: None };

    /// REFUSED.
    fn refused(ede: Ede) -> Self {
        Self { rcode: Rcode::REFUSED, ede: Some(ede), ..Self::default() }
    }
}

/// Tells the sender of something that is no query why it gets no answer.
#[cold]
fn refuse_broken(envelope: &Envelope<'_>, rcode: Rcode, ask: &Ask<'_>, reply: &mut [u8]) -> Outcome {
    let Some(reply) = Reply::start(reply, reply_max(ask, envelope.edns.as_ref()), envelope) else { return Outcome::SILENCE };
    let ede = (rcode == Rcode::NOTIMP).then_some(Ede::NOT_SUPPORTED);
    let len = reply.finish(Closing { rcode, ede, ..Closing::default() });
    Outcome { len, rcode: rcode.0, ..Outcome::SILENCE }
}

/// How long the reply may be, in octets.
#[inline]
fn reply_max(ask: &Ask<'_>, edns: Option<&Edns<'_>>) -> usize {
    match (ask.transport, edns) {
        (Transport::Udp, None) => UDP_REPLY_PLAIN,
        (Transport::Udp, Some(edns)) => edns.reply_max().min(UDP_REPLY_MAX),
        (Transport::Tcp | Transport::Tls | Transport::Https | Transport::Quic, _) => TCP_MESSAGE_MAX,
    }
}

/// What is known of a query beside its octets.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// The address that it came from.
    pub source: IpAddr,
    /// How it came.
    pub transport: Transport,
    /// When.
    pub now: Moment,
    /// What the node's operator wants of every reply.
    pub policy: &'a Policy,
}

/// How a query came. It decides how long a reply may be and which options are allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// UDP: at most the client's size, at most [`crate::limits::UDP_REPLY_MAX`].
    Udp,
    /// TCP, without the length prefix.
    Tcp,
    /// TLS over TCP (RFC 7858), without the length prefix.
    Tls,
    /// HTTPS (RFC 8484): a body.
    Https,
    /// QUIC (RFC 9250): a stream, without the length prefix.
    Quic,
}

impl Transport {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Udp, Self::Tcp, Self::Tls, Self::Https, Self::Quic];

    /// Its name in labels.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Https => "https",
            Self::Quic => "quic",
        }
    }

    /// Whether nobody on the way can read or write along.
    #[must_use]
    pub const fn is_encrypted(self) -> bool {
        matches!(self, Self::Tls | Self::Https | Self::Quic)
    }
}

/// What a worker keeps from query to query.
#[derive(Debug, Default)]
pub struct Scratch {
    /// Decisions that still hold.
    pub cells: Cells,
    /// The name that is being looked up.
    name: Lowered,
}

impl Scratch {
    /// With a table of so many cells instead of [`crate::limits::CELLS`]: where few queries are answered, or memory is short.
    #[must_use]
    pub fn with_cells(cells: usize) -> Self {
        Self { cells: Cells::with_capacity(cells), name: Lowered::default() }
    }
}

/// What came of a query, for counting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Octets of the reply; 0: send nothing.
    pub len: usize,
    /// RCODE, the extended bits included (RFC 6891 §6.1.3).
    pub rcode: u16,
    /// Whether TC was set.
    pub truncated: bool,
    /// The zone that the QNAME is in.
    pub zone: Option<ZoneId>,
    /// What was steered, if anything was.
    pub steered: Option<Steered>,
    /// What the query's cookie proves of its source.
    pub cookie: Cookie,
    /// Whether the reply tells the client to count on [`Policy::keepalive_ms`] of idle time on its connection.
    pub keepalive: bool,
}

impl Outcome {
    /// Nothing is sent.
    pub const SILENCE: Self = Self { len: 0, rcode: 0, truncated: false, zone: None, steered: None, cookie: Cookie::None, keepalive: false };
}

/// The steered part of an outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Steered {
    /// The service.
    pub service: ServiceId,
    /// The first endpoint of the answer, if one was given.
    pub endpoint: Option<EndpointId>,
    /// Why this one.
    pub reason: Reason,
}
