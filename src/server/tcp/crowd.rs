//! How many are connected to all workers of one transport: shared counts, without a lock.
//!
//! Each connection is counted when it comes and when it goes, by relaxed additions; nothing is done per query. The counts of prefixes
//! stand in two rows of fixed size, and a prefix has the lower of its two: never too few, and too many only where others share both of
//! its places, which nobody can arrange without knowing the keys of this process. Two workers that let in at the same moment may both see
//! the last free seat, so that the caps are exceeded by less than the number of workers.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Places of one row, a power of two; several for each connection there may be.
const PLACES: usize = 4_096;

const _: () = assert!(PLACES.is_power_of_two() && PLACES >= 4 * crate::limits::TCP_CONNECTIONS_MAX);

/// How many connections there may be.
#[derive(Clone, Copy, Debug)]
pub(in crate::server) struct Caps {
    /// In all.
    pub(in crate::server) total: usize,
    /// Of one client prefix.
    pub(in crate::server) per_prefix: usize,
}

/// A client prefix as the caps know it: /32 of IPv4, /56 of IPv6 (RFC 9210 §4; a household has a /56).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::server) struct Prefix(u128);

impl Prefix {
    /// The prefix that this client is in.
    pub(in crate::server) fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self(address.to_ipv6_mapped().to_bits()),
            IpAddr::V6(address) => Self(address.to_bits() & (u128::MAX << (128 - 56))),
        }
    }
}

/// Everybody who is connected to one transport.
#[derive(Debug)]
pub(in crate::server) struct Crowd {
    /// The caps.
    caps: Caps,
    /// How many in all.
    total: AtomicUsize,
    /// How many by prefix.
    rows: [Row; 2],
}

/// One way to count by prefix.
#[derive(Debug)]
struct Row {
    /// Where a prefix is counted.
    hash: RandomState,
    /// The counts.
    places: Box<[AtomicUsize]>,
}

impl Row {
    /// All zero, under keys of its own.
    fn new() -> Self {
        Self { hash: RandomState::new(), places: (0..PLACES).map(|_| AtomicUsize::new(0)).collect() }
    }

    /// The place of a prefix.
    #[expect(clippy::cast_possible_truncation, reason = "the lower bits of the hash are the index")]
    fn place(&self, prefix: Prefix) -> &AtomicUsize {
        &self.places[self.hash.hash_one(prefix) as usize % PLACES]
    }
}

impl Crowd {
    /// Nobody.
    pub(in crate::server) fn new(caps: Caps) -> Self {
        Self { caps, total: AtomicUsize::new(0), rows: [Row::new(), Row::new()] }
    }

    /// Counts one who came.
    pub(in crate::server) fn enter(&self, prefix: Prefix) {
        self.total.fetch_add(1, Ordering::Relaxed);
        for row in &self.rows {
            row.place(prefix).fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Counts one who went.
    pub(in crate::server) fn leave(&self, prefix: Prefix) {
        self.total.fetch_sub(1, Ordering::Relaxed);
        for row in &self.rows {
            row.place(prefix).fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Whether there is no seat left.
    pub(in crate::server) fn is_full(&self) -> bool {
        self.total.load(Ordering::Relaxed) >= self.caps.total
    }

    /// Whether there is no seat left for a client of this prefix.
    pub(in crate::server) fn is_full_of(&self, prefix: Prefix) -> bool {
        self.rows.iter().all(|row| row.place(prefix).load(Ordering::Relaxed) >= self.caps.per_prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_household_is_one_client() {
        let prefix = |text: &str| Prefix::of(text.parse().unwrap());
        assert_eq!(prefix("2001:db8:0:aa00::1"), prefix("2001:db8:0:aaff::2"));
        assert_ne!(prefix("2001:db8:0:aa00::1"), prefix("2001:db8:0:ab00::1"));
        assert_ne!(prefix("192.0.2.1"), prefix("192.0.2.2"));
    }

    #[test]
    fn who_came_and_went_leaves_no_trace_and_a_thousand_others_fill_nobodys_share() {
        let crowd = Crowd::new(Caps { total: 1_000, per_prefix: 50 });
        let others: Vec<Prefix> = (0..1_000_u32).map(|number| Prefix::of(IpAddr::from(number.to_be_bytes()))).collect();
        let client = Prefix::of("192.0.2.1".parse().unwrap());
        for &other in &others {
            crowd.enter(other);
        }
        assert!(crowd.is_full() && !crowd.is_full_of(client));
        for &other in &others {
            crowd.leave(other);
        }
        for seat in 0..50 {
            assert!(!crowd.is_full_of(client), "{seat}");
            crowd.enter(client);
        }
        assert!(crowd.is_full_of(client) && !crowd.is_full());
    }
}
