//! Writes a reply into a given buffer: header, question copied bit for bit, whole RRsets, and OPT in the room kept for it.
//!
//! An RRset goes in whole or not at all (RFC 2181 §9). What the reply cannot do without is *needed*: when it does not fit, TC is set and
//! nothing more is added. What merely helps is *offered*: when it does not fit, it stays out silently.

use super::edns::{Ede, Edns, OPT_OCTETS, OPTION_ECS, OPTION_EDE};
use super::query::QUESTION_START;
use super::{Envelope, Lowered, Rcode, class, rtype};
use crate::limits::{STEERED_ADDRESSES_MAX, UDP_REPLY_MAX};

/// A reply that is being written.
#[derive(Debug)]
pub struct Reply<'a> {
    /// The buffer, as long as the reply may be.
    pub(super) octets: &'a mut [u8],
    /// What the query gives to its reply.
    pub(super) envelope: &'a Envelope<'a>,
    /// Where the next octet goes.
    pub(super) at: usize,
    /// Where records must end: what follows is kept for OPT.
    room: usize,
    /// Records by section.
    pub(super) counts: [u16; 3],
    /// Whether something needed did not fit.
    truncated: bool,
}

/// Where a record goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// Answer.
    Answer,
    /// Authority.
    Authority,
    /// Additional.
    Additional,
}

/// An owner name: some labels, then what QNAME ends with, as a pointer into the question (RFC 1035 §4.1.4).
#[derive(Clone, Copy, Debug)]
pub struct Owner<'a> {
    /// The labels that QNAME does not have; mostly none.
    head: &'a [u8],
    /// Where in QNAME the rest begins.
    tail: u8,
}

impl<'a> Owner<'a> {
    /// QNAME itself, in the case in which it was asked.
    pub const QNAME: Owner<'static> = Owner { head: &[], tail: 0 };

    /// The shortest form of a name: lower-case wire octets.
    #[must_use]
    pub fn of(name: &'a [u8], qname: &Lowered) -> Self {
        let mut at = 0;
        loop {
            let (head, rest) = name.split_at(at);
            if let Some(tail) = qname.start_of(rest) {
                return Self { head, tail };
            }
            match rest.first() {
                Some(&len) if len != 0 && usize::from(len) < rest.len() => at += 1 + usize::from(len),
                // Not a name; every QNAME ends in the root, so that every name ends in something QNAME has.
                _ => return Owner::QNAME,
            }
        }
    }
}

/// What is told beside the records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Closing {
    /// RCODE.
    pub rcode: Rcode,
    /// AA.
    pub authoritative: bool,
    /// SCOPE PREFIX-LENGTH, if the query had a subnet.
    pub scope: u8,
    /// An extended error, if the query had an OPT and if it fits.
    pub ede: Option<Ede>,
}

impl<'a> Reply<'a> {
    /// Begins a reply of at most `limit` octets. `None` when not even header, question and OPT fit, which takes a buffer of less than 512.
    #[must_use]
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "measured: on the way of every query")]
    pub fn start(octets: &'a mut [u8], limit: usize, envelope: &'a Envelope<'a>) -> Option<Self> {
        let end = limit.min(octets.len());
        let opt = envelope.edns.as_ref().map_or(0, |edns| OPT_OCTETS + edns.ecs.as_ref().map_or(0, super::Ecs::option_octets));
        let room = end.checked_sub(opt)?;
        let at = QUESTION_START + envelope.question.len();
        let octets = octets.get_mut(..end)?;
        copy(octets.get_mut(..room)?.get_mut(QUESTION_START..at)?, envelope.question);
        Some(Self { octets, envelope, at, room, counts: [0; 3], truncated: false })
    }

    /// Adds an RRset that the reply cannot do without. Returns the number of its records, 0 if it did not fit.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "measured: a call for each RRset costs more than the RRset")]
    pub fn need(&mut self, section: Section, write: impl FnOnce(&mut Set<'_>)) -> u16 {
        self.add(section, write).unwrap_or_else(|()| {
            self.truncated = true;
            0
        })
    }

    /// Adds an RRset that helps. Returns the number of its records, 0 if it did not fit.
    #[inline]
    pub fn offer(&mut self, section: Section, write: impl FnOnce(&mut Set<'_>)) -> u16 {
        self.add(section, write).unwrap_or(0)
    }

    /// Adds an RRset of one address of QNAME that the reply cannot do without: as [`Reply::need`]. Returns whether it fitted.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "measured: on the way of nearly every query")]
    pub fn need_address<const N: usize>(&mut self, rtype: u16, ttl: u32, address: [u8; N]) -> bool {
        if self.truncated {
            return false;
        }
        let mut set = self.begin();
        set.address(rtype, ttl, address);
        let end = set.end();
        self.truncated = self.take(Section::Answer, end).is_err();
        !self.truncated
    }

    /// Adds an RRset, or takes all of it back.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "measured: a call for each RRset costs more than the RRset")]
    fn add(&mut self, section: Section, write: impl FnOnce(&mut Set<'_>)) -> Result<u16, ()> {
        if self.truncated {
            return Ok(0);
        }
        let mut set = self.begin();
        write(&mut set);
        let end = set.end();
        self.take(section, end)
    }

    /// Begins an RRset.
    #[inline]
    fn begin(&mut self) -> Set<'_> {
        Set { octets: &mut self.octets[..self.room], start: self.at, at: self.at, records: 0, overflow: false }
    }

    /// Takes an RRset in that was written, if it fitted. Returns the number of its records.
    #[inline]
    fn take(&mut self, section: Section, end: Option<(usize, u16)>) -> Result<u16, ()> {
        let (at, records) = end.ok_or(())?;
        self.at = at;
        self.counts[section as usize] += records;
        Ok(records)
    }

    /// Takes back all records and sets TC: the client is to ask again over TCP.
    pub fn truncate(&mut self) {
        self.at = QUESTION_START + self.envelope.question.len();
        self.counts = [0; 3];
        self.truncated = true;
    }

    /// Whether something needed did not fit.
    #[must_use]
    pub fn is_truncated(&self) -> bool {
        self.truncated
    }

    /// Writes header and OPT. Returns the octets of the whole.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "measured: every reply is finished in one place")]
    pub fn finish(mut self, closing: Closing) -> usize {
        if let Some(edns) = &self.envelope.edns {
            self.write_opt(edns, closing);
        }
        self.write_header(closing)
    }

    /// Writes the header. Returns the octets of the whole.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "measured: every reply is finished in one place")]
    pub(super) fn write_header(&mut self, closing: Closing) -> usize {
        let opcode = self.envelope.opcode << 3;
        let flags = 0x80 | opcode | u8::from(closing.authoritative) << 2 | u8::from(self.truncated) << 1 | u8::from(self.envelope.recursion_desired);
        let head = u32::from(self.envelope.id) << 16 | u32::from(flags) << 8 | u32::from(closing.rcode.0 & 0x0f);
        let [an, ns, ar] = self.counts.map(u64::from);
        let questions = u64::from(!self.envelope.question.is_empty());
        let counts = questions << 48 | an << 32 | ns << 16 | ar;
        if let Some((head_place, counts_place)) = self.octets.first_chunk_mut::<QUESTION_START>().map(|place| place.split_at_mut(4)) {
            head_place.copy_from_slice(&head.to_be_bytes());
            counts_place.copy_from_slice(&counts.to_be_bytes());
        }
        self.at
    }

    /// Writes OPT (RFC 6891 §6.1.2) into the room that was kept for it.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "measured: every reply is finished in one place")]
    pub(super) fn write_opt(&mut self, edns: &Edns<'_>, closing: Closing) {
        let ecs = edns.ecs.as_ref().map_or(&[][..], |ecs| ecs.data);
        let ecs_octets = if ecs.is_empty() { 0 } else { 4 + ecs.len() };
        let ede = closing.ede.filter(|_| self.octets.len() - self.at - OPT_OCTETS - ecs_octets >= Ede::OCTETS);
        let len = ecs_octets + ede.map_or(0, |_| Ede::OCTETS);
        // Root, TYPE, CLASS, the extended RCODE, version 0, DO; then Z and RDLENGTH.
        let head = OPT_TYPE_AND_CLASS | u64::from(closing.rcode.0 >> 4) << 16 | u64::from(edns.dnssec_ok) << 7;
        let Some((place, rest)) = self.octets.get_mut(self.at..).and_then(|room| room.split_first_chunk_mut::<OPT_OCTETS>()) else { return };
        #[expect(clippy::cast_possible_truncation, reason = "a subnet has at most 20 octets")]
        let [l0, l1, l2] = [0, 0, len as u8];
        let [h0, h1, h2, h3, h4, h5, h6, h7] = head.to_be_bytes();
        *place = [h0, h1, h2, h3, h4, h5, h6, h7, l0, l1, l2];
        self.at += OPT_OCTETS;
        self.counts[Section::Additional as usize] += 1;
        if let Some((option, rest)) = rest.split_first_chunk_mut::<4>()
            && let Some(data) = rest.get_mut(..ecs.len())
            && !ecs.is_empty()
        {
            #[expect(clippy::cast_possible_truncation, reason = "a subnet has at most 20 octets")]
            let head = u32::from(OPTION_ECS) << 16 | ecs.len() as u32;
            *option = head.to_be_bytes();
            copy(data, ecs);
            if let Some([.., scope]) = data.first_chunk_mut::<4>() {
                *scope = closing.scope;
            }
            self.at += ecs_octets;
        }
        if let Some(ede) = ede {
            self.write_ede(ede);
        }
    }

    /// Writes an extended error behind the other options.
    #[cold]
    fn write_ede(&mut self, Ede(info): Ede) {
        let [code_high, code_low] = OPTION_EDE.to_be_bytes();
        let [info_high, info_low] = info.to_be_bytes();
        let mut set = Set { octets: self.octets, start: self.at, at: self.at, records: 0, overflow: false };
        set.put(&[code_high, code_low, 0, 2, info_high, info_low]);
        self.at = set.at;
    }
}

/// An RRset that is being written.
#[derive(Debug)]
pub struct Set<'r> {
    /// The reply, up to where records must end.
    octets: &'r mut [u8],
    /// Where the set begins.
    start: usize,
    /// Where the next octet goes.
    at: usize,
    /// Records so far.
    records: u16,
    /// Whether something did not fit: the set is taken back.
    overflow: bool,
}

impl Set<'_> {
    /// Where it ends, and its records; `None` when something did not fit.
    #[inline]
    const fn end(&self) -> Option<(usize, u16)> {
        if self.overflow { None } else { Some((self.at, self.records)) }
    }

    /// Adds a record.
    #[inline]
    pub fn record(&mut self, owner: Owner<'_>, rtype: u16, ttl: u32, rdata: &[u8]) {
        self.record_with(owner, rtype, ttl, |set| set.put_slice(rdata));
    }

    /// Adds a record whose RDATA is written in place.
    #[inline]
    pub fn record_with(&mut self, owner: Owner<'_>, rtype: u16, ttl: u32, rdata: impl FnOnce(&mut Self)) {
        self.put_slice(owner.head);
        self.put(&head(owner.tail, rtype, ttl, 0));
        let start = self.at;
        rdata(self);
        match (u16::try_from(self.at - start), self.octets.get_mut(start.wrapping_sub(2)..start)) {
            (Ok(len), Some(place)) if !self.overflow => place.copy_from_slice(&len.to_be_bytes()),
            _ => self.overflow = true,
        }
        self.records += 1;
    }

    /// Adds an address of QNAME, unless the set has it or is as long as a steered one may be.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "measured: on the way of nearly every query")]
    pub fn address<const N: usize>(&mut self, rtype: u16, ttl: u32, address: [u8; N]) {
        if usize::from(self.records) >= STEERED_ADDRESSES_MAX {
            return;
        }
        if self.records > 0 && self.has_address(&address) {
            return;
        }
        #[expect(clippy::cast_possible_truncation, reason = "an address has 4 or 16 octets")]
        let head = head(Owner::QNAME.tail, rtype, ttl, N as u16);
        let place = self.octets.get_mut(self.at..).and_then(|room| room.get_mut(..HEAD_OCTETS + N));
        match place.and_then(|place| place.split_first_chunk_mut()) {
            Some((place, rest)) => {
                *place = head;
                rest.copy_from_slice(&address);
                self.at += HEAD_OCTETS + N;
                self.records += 1;
            }
            None => self.overflow = true,
        }
    }

    /// Whether one of the records, all of addresses so far, is of this one.
    #[inline(never)]
    fn has_address<const N: usize>(&self, address: &[u8; N]) -> bool {
        let set = self.octets.get(self.start..self.at).unwrap_or_default();
        set.chunks_exact(HEAD_OCTETS + N).any(|record| record[HEAD_OCTETS..] == *address)
    }

    /// Puts octets of a known number.
    #[inline]
    pub fn put<const N: usize>(&mut self, octets: &[u8; N]) {
        match self.octets.get_mut(self.at..).and_then(|room| room.first_chunk_mut()) {
            Some(place) => {
                *place = *octets;
                self.at += N;
            }
            None => self.overflow = true,
        }
    }

    /// Puts octets.
    #[inline]
    pub fn put_slice(&mut self, octets: &[u8]) {
        match self.octets.get_mut(self.at..).and_then(|room| room.get_mut(..octets.len())) {
            Some(place) => {
                copy(place, octets);
                self.at += octets.len();
            }
            None => self.overflow = true,
        }
    }
}

/// Copies some octets: there are few of them, and a call would cost more. The last ones are copied as a whole word, too, so that there is no
/// rest. Both are equally long.
#[inline(always)]
#[expect(clippy::inline_always, reason = "measured: on the way of every query")]
fn copy(place: &mut [u8], octets: &[u8]) {
    if place.len() < 16 {
        return copy_few(place, octets);
    }
    if place.len() > 32 {
        return place.copy_from_slice(octets);
    }
    if let (Some(first_place), Some(first)) = (place.first_chunk_mut::<16>(), octets.first_chunk::<16>()) {
        *first_place = *first;
    }
    if let (Some(last_place), Some(last)) = (place.last_chunk_mut::<16>(), octets.last_chunk::<16>()) {
        *last_place = *last;
    }
}

/// Copies fewer than sixteen octets.
#[inline(always)]
#[expect(clippy::inline_always, reason = "measured: on the way of nearly every query")]
fn copy_few(place: &mut [u8], octets: &[u8]) {
    if let (Some(first_place), Some(first)) = (place.first_chunk_mut::<8>(), octets.first_chunk::<8>()) {
        *first_place = *first;
        if let (Some(last_place), Some(last)) = (place.last_chunk_mut::<8>(), octets.last_chunk::<8>()) {
            *last_place = *last;
        }
    } else if let (Some(first_place), Some(first)) = (place.first_chunk_mut::<4>(), octets.first_chunk::<4>()) {
        *first_place = *first;
        if let (Some(last_place), Some(last)) = (place.last_chunk_mut::<4>(), octets.last_chunk::<4>()) {
            *last_place = *last;
        }
    } else {
        for (place, octet) in place.iter_mut().zip(octets) {
            *place = *octet;
        }
    }
}

/// TYPE and CLASS of our OPT, where they stand in its first eight octets; CLASS is our size (RFC 6891 §6.1.2).
const OPT_TYPE_AND_CLASS: u64 = (rtype::OPT as u64) << 40 | (UDP_REPLY_MAX as u64) << 24;

/// Octets of a record's head: pointer, TYPE, CLASS, TTL, RDLENGTH.
const HEAD_OCTETS: usize = 12;

/// A record's head, its owner a pointer to `tail` in QNAME.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "the question begins at 12")]
fn head(tail: u8, rtype: u16, ttl: u32, rdlength: u16) -> [u8; HEAD_OCTETS] {
    let [p0, p1] = (0xc000 | (QUESTION_START as u16 + u16::from(tail))).to_be_bytes();
    let [t0, t1] = rtype.to_be_bytes();
    let [c0, c1] = class::IN.to_be_bytes();
    let [l0, l1, l2, l3] = ttl.to_be_bytes();
    let [r0, r1] = rdlength.to_be_bytes();
    [p0, p1, t0, t1, c0, c1, l0, l1, l2, l3, r0, r1]
}
