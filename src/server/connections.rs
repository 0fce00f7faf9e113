//! Who is connected to one worker, and who has to go when it is full.

use std::cell::Cell;
use std::collections::HashMap;
use std::net::IpAddr;
use std::rc::Rc;

use tokio::sync::Notify;

use crate::units::Moment;

/// How many connections there may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Caps {
    /// In all.
    pub(super) total: usize,
    /// Of one client prefix.
    pub(super) per_prefix: usize,
}

/// A client prefix as the caps know it: /32 of IPv4, /56 of IPv6 (RFC 9210 §4; a household has a /56).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Prefix(u128);

impl Prefix {
    /// The prefix that this client is in.
    fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self(address.to_ipv6_mapped().to_bits()),
            IpAddr::V6(address) => Self(address.to_bits() & (u128::MAX << (128 - 56))),
        }
    }
}

/// One connection's place.
#[derive(Debug)]
pub(super) struct Seat {
    /// Whose.
    prefix: Prefix,
    /// When it last sent a whole message, or came.
    active: Cell<Moment>,
    /// Where it stands in the list; `None` once it has left or was evicted.
    index: Cell<Option<usize>>,
    /// Tells it to go.
    gone: Notify,
}

impl Seat {
    /// It sent a whole message.
    pub(super) fn touch(&self, now: Moment) {
        self.active.set(now);
    }

    /// Waits until it has to go.
    pub(super) async fn evicted(&self) {
        self.gone.notified().await;
    }
}

/// All connections of one worker.
#[derive(Debug)]
pub(super) struct Connections {
    /// The caps.
    caps: Caps,
    /// Everybody, in no order.
    seats: Vec<Rc<Seat>>,
    /// How many of each prefix.
    by_prefix: HashMap<Prefix, usize>,
}

impl Connections {
    /// Nobody.
    pub(super) fn new(caps: Caps) -> Self {
        Self { caps, seats: Vec::new(), by_prefix: HashMap::new() }
    }

    /// How many.
    pub(super) fn len(&self) -> usize {
        self.seats.len()
    }

    /// Whether nobody is connected.
    pub(super) fn is_empty(&self) -> bool {
        self.seats.is_empty()
    }

    /// Seats a newcomer, and says how many had to go for it.
    pub(super) fn seat(&mut self, address: IpAddr, now: Moment) -> (Rc<Seat>, usize) {
        let prefix = Prefix::of(address);
        let mut evicted = 0;
        if self.by_prefix.get(&prefix).is_some_and(|&held| held >= self.caps.per_prefix) {
            evicted += usize::from(self.evict(|seat| seat.prefix == prefix));
        }
        if self.seats.len() >= self.caps.total {
            evicted += usize::from(self.evict_most_idle());
        }
        let seat = Rc::new(Seat { prefix, active: Cell::new(now), index: Cell::new(Some(self.seats.len())), gone: Notify::new() });
        self.seats.push(Rc::clone(&seat));
        *self.by_prefix.entry(prefix).or_default() += 1;
        (seat, evicted)
    }

    /// Tells the most idle of all to go; `false` when there is nobody.
    pub(super) fn evict_most_idle(&mut self) -> bool {
        self.evict(|_| true)
    }

    /// Frees a seat; nothing happens when it was freed before.
    pub(super) fn leave(&mut self, seat: &Seat) {
        let Some(index) = seat.index.take() else { return };
        self.seats.swap_remove(index);
        if let Some(moved) = self.seats.get(index) {
            moved.index.set(Some(index));
        }
        if let Some(held) = self.by_prefix.get_mut(&seat.prefix) {
            *held -= 1;
            if *held == 0 {
                self.by_prefix.remove(&seat.prefix);
            }
        }
    }

    /// Tells the most idle of these to go.
    fn evict(&mut self, of: impl Fn(&Seat) -> bool) -> bool {
        let Some(seat) = self.seats.iter().filter(|seat| of(seat)).min_by_key(|seat| seat.active.get()).cloned() else { return false };
        self.leave(&seat);
        seat.gone.notify_one();
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    #[test]
    fn at_the_cap_the_most_idle_goes_and_the_newcomer_stays() {
        let mut connections = Connections::new(Caps { total: 2, per_prefix: 2 });
        let (first, _) = connections.seat(address(1), Moment(1));
        let (second, _) = connections.seat(address(2), Moment(2));
        first.touch(Moment(3));
        let (third, evicted) = connections.seat(address(3), Moment(4));
        assert_eq!((evicted, connections.len()), (1, 2));
        assert!(second.index.get().is_none());
        assert!(first.index.get().is_some() && third.index.get().is_some());
        connections.leave(&second);
        assert_eq!(connections.len(), 2, "who was told to go leaves no second time");
    }

    #[test]
    fn one_prefix_at_its_cap_costs_only_its_own() {
        let mut connections = Connections::new(Caps { total: 10, per_prefix: 2 });
        let (other, _) = connections.seat(address(9), Moment(0));
        let mut flood: Vec<_> = (1..=5).map(|at| connections.seat(address(1), Moment(at)).0).collect();
        assert_eq!(connections.len(), 3);
        assert!(other.index.get().is_some());
        flood.retain(|seat| seat.index.get().is_some());
        assert_eq!(flood.len(), 2);
        for seat in flood {
            connections.leave(&seat);
        }
        assert_eq!((connections.len(), connections.by_prefix.len()), (1, 1));
    }

    #[test]
    fn an_ipv6_household_is_one_client() {
        let prefix = |text: &str| Prefix::of(text.parse().unwrap());
        assert_eq!(prefix("2001:db8:0:aa00::1"), prefix("2001:db8:0:aaff::2"));
        assert_ne!(prefix("2001:db8:0:aa00::1"), prefix("2001:db8:0:ab00::1"));
        assert_ne!(prefix("192.0.2.1"), prefix("192.0.2.2"));
    }
}
