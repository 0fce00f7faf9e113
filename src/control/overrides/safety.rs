//! What operators may not do by accident: how many regions and endpoints are left to each class of clients, how many clients are moved, and how soon
//! after each other.
//!
//! A class of clients are those that the same residency rules bind. An endpoint *stands* for a class if it is lawful for it, has what the
//! service requires, is not down and has its addresses, and no override drains it, takes it out or leaves it no clients.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::{Move, Moved};
use crate::catalog::{Bits, Catalog, Families, RegionSet, ResidencyId, Safety, Service};
use crate::control::Refused;
use crate::geo::{ClientSets, Geo};
use crate::health::{Intent, Status};
use crate::limits::SAFETY_SPAN_MS_MAX;
use crate::steer::binds;
use crate::units::{Moment, Permille};
use crate::world::World;

/// A safety rule that would be broken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsafe {
    /// Some clients would have no endpoint left.
    #[error("it would take the last endpoint of {service} from a class of clients")]
    LastEndpoint {
        /// The service's owner name.
        service: Box<str>,
    },
    /// Some clients would have too few regions left.
    #[error("it would leave {left} of the {least} regions that `min-regions` wants {service} to keep for every class of clients")]
    FewRegions {
        /// The service's owner name.
        service: Box<str>,
        /// How many would be left.
        left: usize,
        /// How many are to be left.
        least: usize,
    },
    /// Clients were moved a moment ago.
    #[error("clients were moved {ago_s} s ago, and `gate` wants {gate_s} s in between")]
    Gate {
        /// Seconds since.
        ago_s: u64,
        /// Seconds that are to pass.
        gate_s: u64,
    },
    /// Clients will be moved in a moment.
    #[error("a drill that is announced moves clients in {in_s} s, and `gate` wants {gate_s} s in between")]
    Announced {
        /// Seconds until then.
        in_s: u64,
        /// Seconds that are to pass.
        gate_s: u64,
    },
    /// Too many clients would be moved.
    #[error("it would move {would} of all clients after {already} in the last {per_s} s, and `max-moved` allows {most}")]
    TooMuchMoved {
        /// Share that it would move.
        would: Permille,
        /// Share that was moved already.
        already: Permille,
        /// Share that may be moved.
        most: Permille,
        /// In so many seconds.
        per_s: u64,
    },
}

/// Classes of clients, as each service tells them apart.
struct Classes<'a> {
    /// What rules there are.
    catalog: &'a Catalog,
    /// The sets that clients of each place are in, none twice.
    sets: Vec<ClientSets>,
    /// For a list of rules, which of them bind together: a bit for each.
    known: HashMap<&'a [ResidencyId], Vec<Bits>>,
}

impl<'a> Classes<'a> {
    /// Of the clients of this geography, those of whom nothing is known included.
    fn new(catalog: &'a Catalog, geo: &Geo) -> Self {
        let sets: HashSet<ClientSets> = geo.localities().map(|(_, locality)| locality.sets).collect();
        Self { catalog, sets: sets.into_iter().collect(), known: HashMap::new() }
    }

    /// For each class of clients of a service, and each family of addresses that is decided by itself, the endpoints that are lawful for it and have what it requires.
    fn lawful(&mut self, service: &'a Service) -> impl Iterator<Item = Bits> {
        let (catalog, sets) = (self.catalog, &self.sets);
        let masks = self.known.entry(&service.residency).or_insert_with(|| {
            let rules = || service.residency.iter().map(|id| &catalog.residencies[id.index()]);
            let binding = |sets: &ClientSets| rules().enumerate().fold(0, |mask: Bits, (index, rule)| if binds(rule, sets) { mask | 1 << index } else { mask });
            sets.iter().map(binding).collect::<BTreeSet<Bits>>().into_iter().collect()
        });
        let lineup = &service.lineup;
        // Where each family of addresses is decided by itself, each must be left.
        let families = match service.families {
            Families::Together => [Bits::MAX, 0],
            Families::Separate => [lineup.v4, lineup.v6],
        };
        masks.iter().flat_map(move |mask| {
            let bound = lineup.lawful.iter().enumerate().filter(|(index, _)| mask >> index & 1 == 1);
            let lawful = bound.fold(lineup.all() & lineup.able, |left, (_, lawful)| left & lawful);
            families.into_iter().filter(|family| *family != 0).map(move |family| lawful & family)
        })
    }
}

/// The endpoints that no override keeps clients from: bits of a service's.
fn open(statuses: &[Status]) -> Bits {
    those(statuses, |status| !matches!(status.intent, Intent::Drain | Intent::Out) && status.share.0 > 0)
}

/// The endpoints that are not down, and have the addresses that they should have.
fn alive(statuses: &[Status]) -> Bits {
    those(statuses, |status| !status.is_down() && status.lacks.is_empty())
}

/// The endpoints of which something is true.
fn those(statuses: &[Status], is: impl Fn(&Status) -> bool) -> Bits {
    statuses.iter().enumerate().filter(|(_, status)| is(status)).fold(0, |bits, (index, _)| bits | 1 << index)
}

/// How many regions these endpoints of a service stand in.
fn regions(service: &Service, endpoints: Bits) -> usize {
    let rows = service.lineup.rows.iter().enumerate();
    let regions: RegionSet = rows.filter(|(index, _)| endpoints >> index & 1 == 1).map(|(_, row)| row.region).collect();
    regions.iter().count()
}

/// What a change of a service's statuses would break, if anything.
fn broken<'a>(classes: &mut Classes<'a>, service: &'a Service, before: &[Status], after: &[Status]) -> Option<Unsafe> {
    let least = usize::from(classes.catalog.safety.min_regions);
    let name = || service.name.to_string().into();
    let out = |statuses: &[Status]| those(statuses, |status| status.intent == Intent::Out);
    let (alive, was_open, is_open) = (alive(before) & alive(after), open(before), open(after));
    let (was_in, is_in) = (!out(before), !out(after));
    let mut few = None;
    for lawful in classes.lawful(service) {
        let (was, is) = (lawful & alive & was_open, lawful & alive & is_open);
        // What is out gives no answer even when everything is down, so it must not be the last, whatever the probes say.
        if was != 0 && is == 0 || lawful & was_in != 0 && lawful & is_in == 0 {
            return Some(Unsafe::LastEndpoint { service: name() });
        }
        let left = regions(service, is);
        if left < least && left < regions(service, was) {
            few = few.or_else(|| Some(Unsafe::FewRegions { service: name(), left, least }));
        }
    }
    few
}

/// When clients were moved, by whatever, as far back as a rule may look: earliest first.
pub(in crate::control) fn earlier(some: &[Move], others: &[Move], now: Moment) -> Vec<Move> {
    let is_recent = |moved: &Move| now.millis_since(moved.at) <= u64::from(SAFETY_SPAN_MS_MAX);
    let mut all: Vec<Move> = some.iter().chain(others).copied().filter(is_recent).collect();
    all.sort_by_key(|moved| moved.at);
    all
}

/// Every safety rule that a change breaks, the gravest first.
pub(in crate::control) fn unsafe_of(before: &World, after: &World, moved: &Moved, earlier: &[Move], now: Moment) -> Vec<Unsafe> {
    let catalog: &Catalog = &before.catalog;
    let mut classes = Classes::new(catalog, &before.geo);
    let mut found: Vec<Unsafe> = Vec::new();
    for service in &catalog.services {
        let (was, is) = (before.statuses_of(service), after.statuses_of(service));
        if was != is {
            found.extend(broken(&mut classes, service, was, is));
        }
        // One of a kind is enough for an operator, and for the audit.
        if found.len() >= 8 {
            break;
        }
    }
    found.sort_by_key(|rule| !matches!(rule, Unsafe::LastEndpoint { .. }));
    found.extend(pace(&catalog.safety, moved.clients, earlier, now));
    found
}

/// Every safety rule about how many clients are moved and how soon after each other that a move breaks.
pub(in crate::control) fn pace(safety: &Safety, clients: Permille, earlier: &[Move], now: Moment) -> Vec<Unsafe> {
    let mut found = Vec::new();
    if clients == Permille(0) {
        return found;
    }
    let gate_ms = u64::from(safety.gate_ms);
    let gate_s = gate_ms / 1_000;
    let past = earlier.iter().rev().find(|moved| moved.at <= now).map(|moved| now.millis_since(moved.at));
    let ahead = earlier.iter().find(|moved| moved.at > now).map(|moved| moved.at.millis_since(now));
    let closed = past.filter(|ago| *ago < gate_ms).map(|ago| Unsafe::Gate { ago_s: ago / 1_000, gate_s });
    found.extend(closed.or_else(|| ahead.filter(|ahead| *ahead < gate_ms).map(|ahead| Unsafe::Announced { in_s: ahead.div_ceil(1_000), gate_s })));
    if let Some(most) = &safety.moved {
        let per_ms = u64::from(most.per_ms);
        // What is announced counts like what is past, from as far off.
        let counted = earlier.iter().filter(|moved| now.0.abs_diff(moved.at.0) < per_ms);
        let already = Permille(counted.fold(0, |sum: u16, moved| sum.saturating_add(moved.share.0)));
        if already.0.saturating_add(clients.0) > most.share.0 {
            found.push(Unsafe::TooMuchMoved { would: clients, already, most: most.share, per_s: per_ms / 1_000 });
        }
    }
    found
}

/// Refuses a catalog with which fewer regions stand for a class of clients than `[safety]` asks for, before or after, or with which the overrides in force
/// leave a class to nobody. What was so before is no reason, nor is that something is gone which was down. `old` and `new` come with their statuses;
/// those of `new` have the overrides in them, and the health of their namesakes.
pub(in crate::control) fn refuse_reload(old: (&Catalog, &Geo, &[Status]), new: (&Catalog, &Geo, &[Status])) -> Option<Refused> {
    // A rule is loosened by a reload of its own.
    let least = usize::from(old.0.safety.min_regions.max(new.0.safety.min_regions));
    let is_overridden = |statuses: &[Status]| statuses.iter().any(|status| status.intent != Intent::None || status.share.0 < 1_000);
    if least == 0 && !is_overridden(new.2) {
        return None;
    }
    let own = |statuses: &'_ [Status], service: &Service| statuses[service.endpoints.start as usize..service.endpoints.end as usize].to_vec();
    let (mut old_classes, mut new_classes) = (Classes::new(old.0, old.1), Classes::new(new.0, new.1));
    for service in &new.0.services {
        let Some(earlier) = old.0.service_named(&service.name).map(|id| old.0.service(id)) else { continue };
        let (was, is) = (own(old.2, earlier), own(new.2, service));
        let mut before = |endpoints: Bits| old_classes.lawful(earlier).map(|lawful| regions(earlier, lawful & endpoints)).min().unwrap_or(0);
        let mut after = |endpoints: Bits| new_classes.lawful(service).map(|lawful| regions(service, lawful & endpoints)).min().unwrap_or(0);
        let refused = |left: usize| Some(Refused::LeavesFewRegions { service: service.name.to_string().into(), left, least: least.max(1) });
        if is_overridden(&is) && after(open(&is)) == 0 && before(open(&was)) > 0 {
            return refused(0);
        }
        let left = after(open(&is) & alive(&is));
        if left < least && left < before(open(&was) & alive(&was)) {
            return refused(left);
        }
    }
    None
}
