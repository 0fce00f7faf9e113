//! Who is connected to one worker, in the order of their last activity, and who has to go when it is full.
//!
//! Two lists run through the same table, one of everybody and one of each client prefix, the most idle first. Seating, touching, leaving
//! and telling the most idle to go take the same few steps however many there are: a flood of newcomers costs no more for each than a
//! single one.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Waker};

use super::crowd::{Crowd, Prefix};

/// What is to become of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server) enum Fate {
    /// It goes on.
    Stay,
    /// The node stops: what is on its way is answered, then it ends.
    LastCall,
    /// It has to go.
    Go,
}

/// One connection's place.
#[derive(Debug)]
pub(in crate::server) struct Seat {
    /// Whose.
    prefix: Prefix,
    /// Where it stands in the table; `None` once it has left or was told to go.
    index: Cell<Option<usize>>,
    /// What is to become of it.
    fate: Cell<Fate>,
    /// Wakes its task.
    waker: RefCell<Option<Waker>>,
}

impl Seat {
    /// What is to become of it; the task is woken when that changes.
    pub(in crate::server) fn fate(&self, context: &Context<'_>) -> Fate {
        let mut waker = self.waker.borrow_mut();
        if !waker.as_ref().is_some_and(|waker| waker.will_wake(context.waker())) {
            *waker = Some(context.waker().clone());
        }
        self.fate.get()
    }

    /// Tells it.
    fn tell(&self, fate: Fate) {
        self.fate.set(fate);
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }
}

/// The lists that run through the table.
#[derive(Clone, Copy, Debug)]
enum Order {
    /// Of everybody.
    All,
    /// Of the connections of one prefix.
    Kin,
}

/// A place in the table.
#[derive(Debug)]
struct Entry {
    /// Whose it is.
    seat: Rc<Seat>,
    /// Its neighbours in each list: before, after.
    links: [[Option<usize>; 2]; 2],
}

/// A list through the table, the most idle first.
#[derive(Debug, Default)]
struct Chain {
    /// The most idle, and the one that was active last.
    ends: [Option<usize>; 2],
}

/// The places; those that are free are listed beside it.
#[derive(Debug, Default)]
struct Table {
    /// By index.
    entries: Vec<Option<Entry>>,
    /// Indices of those that are free.
    free: Vec<usize>,
}

impl Table {
    /// The links of an entry in one list.
    fn links(&mut self, index: usize, order: Order) -> Option<&mut [Option<usize>; 2]> {
        self.entries.get_mut(index)?.as_mut().map(|entry| &mut entry.links[order as usize])
    }

    /// Puts a seat into a free place.
    fn put(&mut self, seat: Rc<Seat>) -> usize {
        let entry = Some(Entry { seat, links: [[None; 2]; 2] });
        if let Some(index) = self.free.pop() {
            self.entries[index] = entry;
            index
        } else {
            self.entries.push(entry);
            self.entries.len() - 1
        }
    }

    /// Takes a seat out of its place.
    fn take(&mut self, index: usize) {
        self.entries[index] = None;
        self.free.push(index);
    }
}

impl Chain {
    /// Adds an entry as the one that was active last.
    fn push(&mut self, table: &mut Table, index: usize, order: Order) {
        let [_, last] = self.ends;
        if let Some(links) = table.links(index, order) {
            *links = [last, None];
        }
        match last.and_then(|last| table.links(last, order)) {
            Some([_, after]) => *after = Some(index),
            None => self.ends[0] = Some(index),
        }
        self.ends[1] = Some(index);
    }

    /// Takes an entry out.
    fn remove(&mut self, table: &mut Table, index: usize, order: Order) {
        let Some(&mut [before, after]) = table.links(index, order) else { return };
        match before.and_then(|before| table.links(before, order)) {
            Some([_, link]) => *link = after,
            None => self.ends[0] = after,
        }
        match after.and_then(|after| table.links(after, order)) {
            Some([link, _]) => *link = before,
            None => self.ends[1] = before,
        }
    }
}

/// All connections of one worker.
#[derive(Debug)]
pub(in crate::server) struct Connections {
    /// Those of all workers.
    crowd: Arc<Crowd>,
    /// The places.
    table: Table,
    /// Everybody.
    all: Chain,
    /// By prefix.
    kin: HashMap<Prefix, Chain>,
    /// How many.
    len: usize,
}

impl Connections {
    /// Nobody.
    pub(in crate::server) fn new(crowd: Arc<Crowd>) -> Self {
        Self { crowd, table: Table::default(), all: Chain::default(), kin: HashMap::new(), len: 0 }
    }

    /// How many.
    pub(in crate::server) fn len(&self) -> usize {
        self.len
    }

    /// Whether nobody is connected.
    pub(in crate::server) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Seats a newcomer, and says how many had to go for it. Where other workers hold all that there is, nobody goes: a newcomer is seated
    /// in any case.
    pub(in crate::server) fn seat(&mut self, address: IpAddr) -> (Rc<Seat>, usize) {
        let prefix = Prefix::of(address);
        let mut evicted = 0;
        if self.crowd.is_full_of(prefix) {
            let most_idle = self.kin.get(&prefix).and_then(|kin| kin.ends[0]);
            evicted += usize::from(self.evict(most_idle));
        }
        if self.crowd.is_full() {
            evicted += usize::from(self.evict_most_idle());
        }
        let seat = Rc::new(Seat { prefix, index: Cell::new(None), fate: Cell::new(Fate::Stay), waker: RefCell::new(None) });
        let index = self.table.put(Rc::clone(&seat));
        seat.index.set(Some(index));
        self.all.push(&mut self.table, index, Order::All);
        self.kin.entry(prefix).or_default().push(&mut self.table, index, Order::Kin);
        self.crowd.enter(prefix);
        self.len += 1;
        (seat, evicted)
    }

    /// It sent a whole message: it is the last to go now.
    pub(in crate::server) fn touch(&mut self, seat: &Seat) {
        let Some(index) = seat.index.get() else { return };
        if self.all.ends[1] == Some(index) {
            // The last of all is the last of its kin.
            return;
        }
        self.all.remove(&mut self.table, index, Order::All);
        self.all.push(&mut self.table, index, Order::All);
        if let Some(kin) = self.kin.get_mut(&seat.prefix) {
            kin.remove(&mut self.table, index, Order::Kin);
            kin.push(&mut self.table, index, Order::Kin);
        }
    }

    /// Tells the most idle of all to go; `false` when there is nobody.
    pub(in crate::server) fn evict_most_idle(&mut self) -> bool {
        self.evict(self.all.ends[0])
    }

    /// Frees a seat; nothing happens when it was freed before.
    pub(in crate::server) fn leave(&mut self, seat: &Seat) {
        let Some(index) = seat.index.take() else { return };
        self.all.remove(&mut self.table, index, Order::All);
        if let Some(kin) = self.kin.get_mut(&seat.prefix) {
            kin.remove(&mut self.table, index, Order::Kin);
            if kin.ends[0].is_none() {
                self.kin.remove(&seat.prefix);
            }
        }
        self.table.take(index);
        self.crowd.leave(seat.prefix);
        self.len -= 1;
    }

    /// Tells everybody that the node stops.
    pub(in crate::server) fn call_last(&self) {
        for entry in self.table.entries.iter().flatten() {
            entry.seat.tell(Fate::LastCall);
        }
    }

    /// Tells this one to go.
    fn evict(&mut self, index: Option<usize>) -> bool {
        let Some(seat) = index.and_then(|index| Some(Rc::clone(&self.table.entries.get(index)?.as_ref()?.seat))) else { return false };
        self.leave(&seat);
        seat.tell(Fate::Go);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::super::crowd::Caps;
    use super::*;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    fn connections(total: usize, per_prefix: usize) -> Connections {
        Connections::new(Arc::new(Crowd::new(Caps { total, per_prefix })))
    }

    fn is_seated(seat: &Seat) -> bool {
        assert_eq!(seat.index.get().is_none(), seat.fate.get() == Fate::Go);
        seat.index.get().is_some()
    }

    #[test]
    fn rfc9210_4_at_the_cap_the_most_idle_goes_and_the_newcomer_stays() {
        let mut connections = connections(2, 2);
        let (first, _) = connections.seat(address(1));
        let (second, _) = connections.seat(address(2));
        connections.touch(&first);
        let (third, evicted) = connections.seat(address(3));
        assert_eq!((evicted, connections.len()), (1, 2));
        assert!(is_seated(&first) && !is_seated(&second) && is_seated(&third));
        connections.leave(&second);
        assert_eq!(connections.len(), 2, "who was told to go leaves no second time");
    }

    #[test]
    fn rfc9210_4_one_prefix_at_its_cap_costs_only_its_own() {
        let mut connections = connections(10, 2);
        let (other, _) = connections.seat(address(9));
        let mut flood: Vec<_> = (1..=5).map(|_| connections.seat(address(1)).0).collect();
        assert_eq!(connections.len(), 3);
        assert!(is_seated(&other));
        flood.retain(|seat| is_seated(seat));
        assert_eq!(flood.len(), 2);
        for seat in flood {
            connections.leave(&seat);
        }
        assert_eq!((connections.len(), connections.kin.len()), (1, 1));
    }

    #[test]
    fn caps_hold_over_all_workers_and_a_newcomer_is_seated_where_nobody_can_go() {
        let crowd = Arc::new(Crowd::new(Caps { total: 4, per_prefix: 2 }));
        let [mut one, mut two] = [0, 1].map(|_| Connections::new(Arc::clone(&crowd)));
        let held: Vec<_> = (1..=4).map(|last| one.seat(address(last)).0).collect();
        let (newcomer, evicted) = two.seat(address(5));
        assert_eq!((evicted, two.len()), (0, 1), "this worker has nobody to send away");
        let (_, evicted) = two.seat(address(6));
        assert_eq!((evicted, two.len(), is_seated(&newcomer)), (1, 1, false), "now it has, and the caps are exceeded by no more");
        let (_, evicted) = one.seat(address(7));
        assert_eq!((evicted, one.len(), is_seated(&held[0])), (1, 4, false));
    }

    #[test]
    fn the_order_is_that_of_the_last_activity_whatever_came_and_went_before() {
        let mut connections = connections(1_000, 1_000);
        let mut model: Vec<Rc<Seat>> = Vec::new();
        let mut number = 1_u64;
        for turn in 0..20_000 {
            // Knuth's MMIX constants.
            number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let pick = usize::try_from(number >> 33).unwrap();
            match pick % 4 {
                0 => model.push(connections.seat(address(u8::try_from(pick % 7).unwrap())).0),
                1 if !model.is_empty() => {
                    let seat = model.remove(pick % model.len());
                    connections.touch(&seat);
                    model.push(seat);
                }
                2 if !model.is_empty() => {
                    let seat = model.remove(pick % model.len());
                    connections.leave(&seat);
                }
                _ if turn % 3 == 0 && !model.is_empty() => {
                    assert!(connections.evict_most_idle());
                    assert!(!is_seated(&model.remove(0)));
                }
                _ => {}
            }
            assert_eq!(connections.len(), model.len());
        }
        while !model.is_empty() {
            let prefix = model[0].prefix;
            assert_eq!(connections.kin[&prefix].ends[0], model[0].index.get(), "the most idle of all is the most idle of its kin");
            assert!(connections.evict_most_idle());
            assert!(!is_seated(&model.remove(0)));
        }
        assert!(connections.is_empty() && connections.kin.is_empty() && !connections.evict_most_idle());
    }
}
