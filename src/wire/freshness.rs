//! How long a reply may be kept by whoever keeps it as a whole, as a cache of HTTP responses does (RFC 8484 §5.1).

use super::query::QUESTION_START;
use super::{Rcode, name, rtype};

/// How long a reply stays fresh, in seconds: the smallest TTL of its answer section; without one, that of its authority section, where an SOA
/// counts with its MINIMUM if that is less (RFC 2308 §5). `None` when it must not be kept at all: it is an error, it is truncated, it
/// has no TTL, or it is no reply that can be read.
#[must_use]
pub fn freshness(reply: &[u8]) -> Option<u32> {
    let &[_, _, flags, codes, q0, q1, a0, a1, n0, n1, ..] = reply.first_chunk::<QUESTION_START>()?;
    let is_truncated = flags & 0x02 != 0;
    if is_truncated || ![Rcode::NOERROR, Rcode::NXDOMAIN].contains(&Rcode(u16::from(codes & 0x0f))) {
        return None;
    }
    let mut at = QUESTION_START;
    for _ in 0..u16::from_be_bytes([q0, q1]) {
        at = name::end(reply, at)? + 4;
    }
    let (answers, authorities) = (u16::from_be_bytes([a0, a1]), u16::from_be_bytes([n0, n1]));
    let records = if answers > 0 { answers } else { authorities };
    let mut smallest = None;
    for _ in 0..records {
        let (ttl, end) = lifetime(reply, at, answers == 0)?;
        smallest = Some(smallest.map_or(ttl, |smallest: u32| smallest.min(ttl)));
        at = end;
    }
    smallest
}

/// How long the record that begins at `at` may be kept, and its end. A SOA that is no answer says how long nothing is kept.
fn lifetime(reply: &[u8], at: usize, is_negative: bool) -> Option<(u32, usize)> {
    let start = name::end(reply, at)?;
    let (&[t0, t1, _, _, l0, l1, l2, l3, r0, r1], rest) = reply.get(start..)?.split_first_chunk()?;
    let len = usize::from(u16::from_be_bytes([r0, r1]));
    let rdata = rest.get(..len)?;
    let ttl = u32::from_be_bytes([l0, l1, l2, l3]);
    let lifetime = match rdata.last_chunk() {
        // MINIMUM is the last field (RFC 1035 §3.3.13).
        Some(&minimum) if is_negative && u16::from_be_bytes([t0, t1]) == rtype::SOA => ttl.min(u32::from_be_bytes(minimum)),
        _ => ttl,
    };
    Some((lifetime, start + 10 + len))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A reply to a question for the root, with records of the root: type, TTL and RDATA.
    fn reply(rcode: u8, answers: &[(u16, u32, &[u8])], authorities: &[(u16, u32, &[u8])]) -> Vec<u8> {
        let count = |records: &[_]| u8::try_from(records.len()).unwrap();
        let mut octets = vec![0, 0, 0x84, rcode, 0, 1, 0, count(answers), 0, count(authorities), 0, 0, 0, 0, 1, 0, 1];
        for (rtype, ttl, rdata) in answers.iter().chain(authorities) {
            octets.push(0);
            octets.extend(rtype.to_be_bytes());
            octets.extend([0, 1]);
            octets.extend(ttl.to_be_bytes());
            octets.extend(u16::try_from(rdata.len()).unwrap().to_be_bytes());
            octets.extend(*rdata);
        }
        octets
    }

    #[test]
    fn rfc8484_5_1_the_smallest_ttl_of_the_answer_counts_and_no_other() {
        let octets = reply(0, &[(1, 60, &[1; 4]), (1, 20, &[2; 4]), (1, 40, &[3; 4])], &[(2, 5, &[0])]);
        assert_eq!(freshness(&octets), Some(20));
    }

    #[test]
    fn rfc2308_5_a_negative_reply_is_kept_as_long_as_ttl_and_minimum_of_its_soa_allow() {
        let soa = |minimum: u32| [&[0; 18][..], &minimum.to_be_bytes()].concat();
        for (ttl, minimum, expected) in [(300, 60, 60), (60, 300, 60), (0, 300, 0)] {
            assert_eq!(freshness(&reply(3, &[], &[(rtype::SOA, ttl, &soa(minimum))])), Some(expected));
        }
        let asked_for = reply(0, &[(rtype::SOA, 300, &soa(60))], &[]);
        assert_eq!(freshness(&asked_for), Some(300), "a SOA that is the answer is like any other");
    }

    #[test]
    fn a_referral_is_kept_as_long_as_its_name_servers() {
        assert_eq!(freshness(&reply(0, &[], &[(2, 3_600, &[0]), (43, 900, &[0; 8])])), Some(900));
    }

    #[test]
    fn errors_and_what_has_no_ttl_are_not_kept() {
        for rcode in [1, 2, 4, 5, 7] {
            assert_eq!(freshness(&reply(rcode, &[(1, 60, &[1; 4])], &[])), None, "{rcode}");
        }
        assert_eq!(freshness(&reply(0, &[], &[])), None);
        let mut truncated = reply(0, &[(1, 60, &[1; 4])], &[]);
        truncated[2] |= 2;
        assert_eq!(freshness(&truncated), None);
    }

    #[test]
    fn a_reply_that_is_cut_off_anywhere_is_not_kept() {
        let whole = reply(0, &[(1, 60, &[1; 4]), (rtype::SOA, 20, &[2; 22])], &[]);
        for len in 0..whole.len() {
            assert_eq!(freshness(&whole[..len]), None, "{len}");
        }
        assert_eq!(freshness(&whole), Some(20));
    }
}
