//! Reads a query in place: the twelve octets of the header, one question, and OPT. Work grows with the message's length, whatever
//! its counts claim.

use super::edns::Edns;
use super::{Lowered, Rcode, Wants, name, rtype};

/// What a message is.
#[derive(Clone, Copy, Debug)]
pub enum Parsed<'a> {
    /// Nothing that may be answered: shorter than a header, or itself a reply (RFC 1035 §4.1.1). Answering could start a loop.
    Silent,
    /// Not a query that can be answered, but its sender is told so.
    Broken {
        /// What the reply needs.
        envelope: Envelope<'a>,
        /// FORMERR, NOTIMP or BADVERS.
        rcode: Rcode,
    },
    /// No question, and a cookie: a client that wants one, or wants to know whether the one that it has is good (RFC 7873 §5.4).
    Cookie {
        /// What the reply needs.
        envelope: Envelope<'a>,
    },
    /// A query.
    Query {
        /// What the reply needs.
        envelope: Envelope<'a>,
        /// What is asked.
        question: Question<'a>,
    },
}

/// What every reply copies from its query, whatever the query says otherwise.
#[derive(Clone, Copy, Debug, Default)]
pub struct Envelope<'a> {
    /// ID.
    pub id: u16,
    /// OPCODE, 0 to 15.
    pub opcode: u8,
    /// RD.
    pub recursion_desired: bool,
    /// The question section bit for bit, if it is one question that can be read; else empty.
    pub question: &'a [u8],
    /// OPT, as far as it could be read. Without it, the reply has none (RFC 6891 §7).
    pub edns: Option<Edns<'a>>,
}

/// The question.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// QNAME: uncompressed wire octets in the case in which it was asked.
    pub name: &'a [u8],
    /// QTYPE.
    pub qtype: u16,
    /// QCLASS.
    pub qclass: u16,
}

/// Where the question section begins: behind the header.
pub const QUESTION_START: usize = 12;

/// Reads a message. Octets behind the last record that the header counts are ignored. AA, TC, RA, Z, AD, CD and RCODE of a query mean
/// nothing to an authoritative server and are not looked at. `name` takes in QNAME.
#[must_use]
pub fn parse<'m>(message: &'m [u8], name: &mut Lowered) -> Parsed<'m> {
    let Some(&[id_high, id_low, flags, _, ref counts @ ..]) = message.first_chunk::<QUESTION_START>() else { return Parsed::Silent };
    if flags & 0x80 != 0 {
        return Parsed::Silent;
    }
    let mut envelope =
        Envelope { id: u16::from_be_bytes([id_high, id_low]), opcode: flags >> 3 & 0x0f, recursion_desired: flags & 1 != 0, ..Envelope::default() };
    let read = read_sections(message, *counts, &mut envelope, name);
    let rcode = match read {
        _ if envelope.opcode != 0 => Rcode::NOTIMP,
        Ok(question) => return Parsed::Query { envelope, question },
        Err(ASKS_NOTHING) if envelope.edns.as_ref().is_some_and(|edns| edns.wants.has(Wants::COOKIE)) => return Parsed::Cookie { envelope },
        Err(ASKS_NOTHING) => Rcode::FORMERR,
        Err(rcode) => rcode,
    };
    // A subnet is echoed only where the query as a whole was understood; so is what else it asks to be told.
    if let Some(edns) = &mut envelope.edns {
        (edns.ecs, edns.wants, edns.cookie) = (None, Wants::default(), &[]);
    }
    Parsed::Broken { envelope, rcode }
}

/// What the sections come to when all is in order and there is no question.
const ASKS_NOTHING: Rcode = Rcode::NOERROR;

/// What is asked for, beside the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// QTYPE.
    pub qtype: u16,
    /// QCLASS.
    pub qclass: u16,
}

/// Reads a query as nearly every query is: one question, and OPT or nothing else. The name is glanced at only ([`Lowered::glance`]), so that
/// what this returns holds if the catalog has that name. `None` says nothing of the message but that [`parse`] has to read it; what was filled
/// in then means nothing.
#[inline(never)]
pub fn glance<'m>(message: &'m [u8], name: &mut Lowered, envelope: &mut Envelope<'m>) -> Option<Wanted> {
    let &[id_high, id_low, flags, _, ref counts @ ..] = message.first_chunk::<QUESTION_START>()?;
    let counts = u64::from_be_bytes(*counts);
    // A query of opcode 0; one question, no record but one in the additional section.
    if flags & 0xf8 != 0 || counts >> 1 != 1 << 47 {
        return None;
    }
    envelope.id = u16::from_be_bytes([id_high, id_low]);
    envelope.recursion_desired = flags & 1 != 0;
    let end = name.glance(message, QUESTION_START)?;
    let (&[type_high, type_low, class_high, class_low], rest) = message.get(end..)?.split_first_chunk()?;
    envelope.question = message.get(QUESTION_START..end + 4)?;
    let wanted = Wanted { qtype: u16::from_be_bytes([type_high, type_low]), qclass: u16::from_be_bytes([class_high, class_low]) };
    if counts & 1 == 0 {
        return Some(wanted);
    }
    let (&[root, t0, t1, c0, c1, l0, l1, l2, l3, r0, r1], rest) = rest.split_first_chunk()?;
    if root != 0 || u16::from_be_bytes([t0, t1]) != rtype::OPT {
        return None;
    }
    let rdata = rest.get(..usize::from(u16::from_be_bytes([r0, r1])))?;
    let ttl = u32::from_be_bytes([l0, l1, l2, l3]);
    envelope.edns.insert(Edns::of(u16::from_be_bytes([c0, c1]), ttl)).read(ttl, rdata).ok()?;
    Some(wanted)
}

impl<'a> Envelope<'a> {
    /// The question, where it is one and asks for this.
    #[must_use]
    pub fn question(&self, wanted: Wanted) -> Question<'a> {
        let name = self.question.get(..self.question.len().saturating_sub(4)).unwrap_or_default();
        Question { name, qtype: wanted.qtype, qclass: wanted.qclass }
    }
}

/// Reads what follows the header. Fills in the envelope as far as it gets, so that even a refusal has its question and its OPT.
fn read_sections<'a>(message: &'a [u8], counts: [u8; 8], envelope: &mut Envelope<'a>, name: &mut Lowered) -> Result<Question<'a>, Rcode> {
    let [q0, q1, a0, a1, n0, n1, r0, r1] = counts;
    let (questions, additional) = (u16::from_be_bytes([q0, q1]), u16::from_be_bytes([r0, r1]));
    let (answers, authorities) = (u16::from_be_bytes([a0, a1]), u16::from_be_bytes([n0, n1]));
    let mut at = QUESTION_START;
    let mut question = Err(Rcode::FORMERR);
    let mut left = questions;
    while left > 0 {
        left -= 1;
        let (read, end) = read_question(message, at, name)?;
        question = Ok(read);
        at = end;
    }
    if questions == 1 {
        envelope.question = &message[QUESTION_START..at];
    } else {
        // RFC 9619 §4. What follows is still read: if there is an OPT, the refusal has one as well.
        question = Err(if questions == 0 { ASKS_NOTHING } else { Rcode::FORMERR });
    }
    let mut left = u32::from(answers) + u32::from(authorities);
    while left > 0 {
        left -= 1;
        let (record, end) = read_record(message, at)?;
        if record.rtype == rtype::OPT {
            return Err(Rcode::FORMERR);
        }
        at = end;
    }
    let mut left = additional;
    while left > 0 {
        left -= 1;
        let (record, end) = read_record(message, at)?;
        at = end;
        if record.rtype == rtype::OPT {
            if envelope.edns.is_some() || !record.at_root {
                // RFC 6891 §6.1.1: one OPT, owned by the root.
                return Err(Rcode::FORMERR);
            }
            let edns = envelope.edns.insert(Edns::of(record.class, record.ttl));
            edns.read(record.ttl, record.rdata)?;
        }
    }
    question
}

/// Whether a message has an option of this code (RFC 6891 §6.1.2), for transports that forbid one. What cannot be read has none: whether the
/// message is in order is for [`parse`] to say.
#[must_use]
pub fn has_option(message: &[u8], code: u16) -> bool {
    find_option(message, code).is_some()
}

/// The data of the first option of this code.
fn find_option(message: &[u8], code: u16) -> Option<&[u8]> {
    let &[_, _, _, _, q0, q1, a0, a1, n0, n1, r0, r1] = message.first_chunk::<QUESTION_START>()?;
    let mut at = QUESTION_START;
    for _ in 0..u16::from_be_bytes([q0, q1]) {
        at = name::end(message, at)? + 4;
    }
    for _ in 0..u32::from(u16::from_be_bytes([a0, a1])) + u32::from(u16::from_be_bytes([n0, n1])) {
        (_, at) = read_record(message, at).ok()?;
    }
    for _ in 0..u16::from_be_bytes([r0, r1]) {
        let (record, end) = read_record(message, at).ok()?;
        at = end;
        let mut options = if record.rtype == rtype::OPT { record.rdata } else { &[] };
        while let Some((&[c0, c1, l0, l1], rest)) = options.split_first_chunk() {
            let (data, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes([l0, l1])))?;
            if u16::from_be_bytes([c0, c1]) == code {
                return Some(data);
            }
            options = rest;
        }
    }
    None
}

/// The question that begins at `at`, and its end.
#[inline]
fn read_question<'m>(message: &'m [u8], at: usize, name: &mut Lowered) -> Result<(Question<'m>, usize), Rcode> {
    let end = name.read(message, at).ok_or(Rcode::FORMERR)?;
    let &[type_high, type_low, class_high, class_low] = message[end..].first_chunk().ok_or(Rcode::FORMERR)?;
    let question = Question { name: &message[at..end], qtype: u16::from_be_bytes([type_high, type_low]), qclass: u16::from_be_bytes([class_high, class_low]) };
    Ok((question, end + 4))
}

/// A resource record of a query, its owner reduced to what matters here.
struct Record<'a> {
    /// Whether the owner is the root.
    at_root: bool,
    /// TYPE.
    rtype: u16,
    /// CLASS.
    class: u16,
    /// TTL.
    ttl: u32,
    /// RDATA.
    rdata: &'a [u8],
}

/// The record that begins at `at`, and its end.
#[inline]
fn read_record(message: &[u8], at: usize) -> Result<(Record<'_>, usize), Rcode> {
    let end = if message.get(at) == Some(&0) { at + 1 } else { name::end(message, at).ok_or(Rcode::FORMERR)? };
    let (&[t0, t1, c0, c1, l0, l1, l2, l3, r0, r1], rest) = message[end..].split_first_chunk().ok_or(Rcode::FORMERR)?;
    let len = usize::from(u16::from_be_bytes([r0, r1]));
    let record = Record {
        at_root: message[at] == 0,
        rtype: u16::from_be_bytes([t0, t1]),
        class: u16::from_be_bytes([c0, c1]),
        ttl: u32::from_be_bytes([l0, l1, l2, l3]),
        rdata: rest.get(..len).ok_or(Rcode::FORMERR)?,
    };
    Ok((record, end + 10 + len))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_is_found_wherever_it_stands_and_in_nothing_that_is_cut_off() {
        // A question for the root, and an OPT with the options 3 and 11.
        let mut message = vec![0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 1, 0, 1];
        message.extend([0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 10, 0, 3, 0, 2, 7, 7, 0, 11, 0, 0]);
        assert!(has_option(&message, 11) && has_option(&message, 3) && !has_option(&message, 10));
        for len in 0..message.len() {
            assert!(!has_option(&message[..len], 11), "{len}");
        }
        let mut elsewhere = message.clone();
        elsewhere[19] = 16;
        assert!(!has_option(&elsewhere, 11), "what stands in another record is none");
        // Counts that claim more than there is.
        message[6] = 0xff;
        assert!(!has_option(&message, 11));
    }
}
