//! Whether a reply is right. Every reply is held against its query; one in sixteen is read in full by hickory-proto as well.

use std::collections::BTreeMap;
use std::net::IpAddr;

use hickory_proto::op::Message;
use hickory_proto::rr::RData;
use hickory_proto::rr::rdata::opt::{EdnsCode, EdnsOption};

use crate::options::Options;
use crate::queries::Subnet;

/// One reply of so many is read in full.
const FULL_EVERY: u64 = 16;

/// What can be wrong with a reply. The order is that of [`WORDS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// Shorter than a header and the question.
    Short,
    /// QR is not set, the opcode is another, or it is truncated.
    Flags,
    /// Not the question that was asked, octet by octet.
    Question,
    /// Another RCODE than is expected.
    Rcode,
    /// Fewer answers than are expected.
    Answers,
    /// The client's subnet does not come back as it was sent (RFC 7871 §7.2.1).
    Subnet,
    /// It cannot be decoded.
    Undecodable,
    /// Its records are not of the name and type that were asked, or an address is none of those expected.
    Records,
}

/// The kinds of wrong replies, as they are reported.
pub(crate) const WORDS: [&str; 8] = ["short", "flags", "question", "rcode", "answers", "subnet", "undecodable", "records"];

/// What a reply is held against, and what was seen in those read in full.
pub(crate) struct Checker {
    /// Expected RCODE.
    rcode: u8,
    /// Fewest answers.
    answers: u16,
    /// Whether a bare echo will do: the kernel's floor.
    echo: bool,
    /// Whether a reply may leave the subnet out.
    subnet_ignored: bool,
    /// The asked type.
    qtype: u16,
    /// Addresses that an answer may have; empty for any.
    addresses: Vec<IpAddr>,
    /// Replies seen.
    seen: u64,
    /// Replies read in full.
    pub(crate) full: u64,
    /// How often each address was in a reply read in full.
    pub(crate) tally: BTreeMap<IpAddr, u64>,
}

impl Checker {
    /// Expects what the options say.
    pub(crate) fn new(options: &Options) -> Self {
        Self {
            rcode: options.rcode,
            answers: options.answers,
            echo: options.echo,
            subnet_ignored: options.subnet_ignored,
            qtype: options.qtype,
            addresses: options.addresses.clone(),
            seen: 0,
            full: 0,
            tally: BTreeMap::new(),
        }
    }

    /// Judges a reply to a query with this question and subnet.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn check(&mut self, reply: &[u8], question: &[u8], subnet: Option<&Subnet>) -> Result<(), Wrong> {
        let end = 12 + question.len();
        if reply.len() < end {
            return Err(Wrong::Short);
        }
        // QR set, the opcode QUERY, not truncated; AA and RD are what they are.
        if reply[2] & 0b1111_1010 != 0b1000_0000 {
            return Err(Wrong::Flags);
        }
        if reply[4..6] != [0, 1] || reply[12..end] != *question {
            return Err(Wrong::Question);
        }
        if self.echo {
            return Ok(());
        }
        if reply[3] & 0x0f != self.rcode {
            return Err(Wrong::Rcode);
        }
        if u16::from_be_bytes([reply[6], reply[7]]) < self.answers {
            return Err(Wrong::Answers);
        }
        if let Some(subnet) = subnet
            && !self.subnet_ignored
            && !echoes(reply, end, subnet)
        {
            return Err(Wrong::Subnet);
        }
        self.seen += 1;
        if self.seen.is_multiple_of(FULL_EVERY) { self.check_in_full(reply) } else { Ok(()) }
    }

    /// Reads the whole reply.
    fn check_in_full(&mut self, reply: &[u8]) -> Result<(), Wrong> {
        let message = Message::from_vec(reply).map_err(|_| Wrong::Undecodable)?;
        let Some(asked) = message.queries.first() else { return Err(Wrong::Question) };
        for record in &message.answers {
            let address = match &record.data {
                RData::A(a) => IpAddr::V4(a.0),
                RData::AAAA(aaaa) => IpAddr::V6(aaaa.0),
                _ => continue,
            };
            let belongs = record.name == *asked.name() && u16::from(record.record_type()) == self.qtype && record.ttl > 0;
            if !belongs || !self.addresses.is_empty() && !self.addresses.contains(&address) {
                return Err(Wrong::Records);
            }
            *self.tally.entry(address).or_default() += 1;
        }
        let subnet = message.edns.as_ref().and_then(|edns| edns.option(EdnsCode::Subnet));
        if let Some(EdnsOption::Subnet(subnet)) = subnet
            && subnet.scope_prefix() > if subnet.addr().is_ipv4() { 32 } else { 128 }
        {
            return Err(Wrong::Subnet);
        }
        self.full += 1;
        Ok(())
    }
}

/// Whether the OPT of a reply has the subnet with all but SCOPE as it was sent. `at` is where the question ends.
fn echoes(reply: &[u8], at: usize, subnet: &Subnet) -> bool {
    subnet_of(reply, at).is_some_and(|data| {
        let sent = subnet.data();
        data.len() == sent.len() && data[..3] == sent[..3] && data[4..] == sent[4..]
    })
}

/// The data of the subnet option of a reply.
fn subnet_of(reply: &[u8], mut at: usize) -> Option<&[u8]> {
    let word = |at: usize| Some(usize::from(u16::from_be_bytes([*reply.get(at)?, *reply.get(at + 1)?])));
    for _ in 0..word(6)? + word(8)? + word(10)? {
        at = after_name(reply, at)?;
        let (kind, len) = (word(at)?, word(at + 8)?);
        let data = reply.get(at + 10..at + 10 + len)?;
        at += 10 + len;
        if kind != 41 {
            continue;
        }
        let mut options = data;
        while let [a, b, c, d, rest @ ..] = options {
            let (code, len) = (u16::from_be_bytes([*a, *b]), usize::from(u16::from_be_bytes([*c, *d])));
            if code == 8 {
                return rest.get(..len).filter(|data| data.len() >= 4);
            }
            options = rest.get(len..)?;
        }
    }
    None
}

/// Where a name ends that begins here.
fn after_name(reply: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match usize::from(*reply.get(at)?) {
            0 => return Some(at + 1),
            0xc0.. => return Some(at + 2),
            len => at += 1 + len,
        }
    }
}
