//! Keeps what aliases were resolved to: the last good addresses, until better ones come or they are too old.
//!
//! A look-up that brings addresses replaces those of its type. One that does not changes nothing but what is told: a name server that is
//! gone must not take a service with it. Only [`ALIAS_KEPT_MS`] after they were found, addresses are let go.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use super::AliasState;
use crate::catalog::{AddressType, AddressTypes, AliasId, Aliased, Catalog, Endpoint, unusable};
use crate::limits::{ALIAS_FRESH_MAX_MS, ALIAS_FRESH_MIN_MS, ALIAS_KEPT_MS, ALIAS_LATE_MS, STEERED_ADDRESSES_MAX};
use crate::units::Moment;
use crate::world::{Held, LookupFailure, Resolved, Trouble};

/// One result of a look-up. A failed one is a value, not an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lookup {
    /// When it was complete.
    pub at: Moment,
    /// What it brought.
    pub outcome: Result<Found, LookupFailure>,
}

/// What a look-up brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The addresses, in any order.
    pub addresses: Box<[IpAddr]>,
    /// The smallest TTL of the records that led to them, in seconds.
    pub ttl_s: u32,
}

impl Found {
    /// Milliseconds for which the addresses are fresh: their TTL, within limits.
    #[must_use]
    pub fn fresh_ms(&self) -> u64 {
        (u64::from(self.ttl_s) * 1_000).clamp(ALIAS_FRESH_MIN_MS, ALIAS_FRESH_MAX_MS)
    }
}

/// Something about an alias is otherwise than before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AliasChange {
    /// The name.
    pub alias: Box<str>,
    /// The type of addresses.
    pub of: AddressType,
    /// What is otherwise.
    pub news: AliasNews,
    /// When.
    pub at: Moment,
}

/// What is otherwise about an alias.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AliasNews {
    /// It has these addresses now.
    Resolved(Box<[IpAddr]>),
    /// Look-ups fail; so many addresses are held.
    Failing(LookupFailure, usize),
    /// Look-ups bring the addresses that were held.
    Recovered,
    /// What was held is too old, and let go.
    LetGo,
    /// An address was found that no client can use.
    Unusable(IpAddr, &'static str),
}

impl AliasNews {
    /// Whether an operator should look.
    #[must_use]
    pub const fn is_trouble(&self) -> bool {
        matches!(self, Self::Failing(..) | Self::LetGo | Self::Unusable(..))
    }
}

/// As in `lb-1.example.net A: 192.0.2.1, 192.0.2.2`.
impl fmt::Display for AliasChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.alias, self.of.as_str(), self.news)
    }
}

impl fmt::Display for AliasNews {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Resolved(addresses) => {
                let words: Vec<String> = addresses.iter().map(ToString::to_string).collect();
                f.write_str(&words.join(", "))
            }
            Self::Failing(failure, 0) => write!(f, "not resolved: {failure}"),
            Self::Failing(failure, held) => write!(f, "not resolved: {failure}; the last {held} addresses are held"),
            Self::Recovered => f.write_str("resolved again, the addresses are as before"),
            Self::LetGo => f.write_str("the addresses that were held are too old, and let go"),
            Self::Unusable(address, why) => write!(f, "{address} is left out: {why}"),
        }
    }
}

/// What is known of all aliases of the present catalog.
#[derive(Debug, Default)]
pub(super) struct Aliases {
    /// By alias, in the order of [`AddressType::ALL`].
    known: Box<[[Known; 2]]>,
    /// By alias, what is to be published of it.
    rows: Vec<Arc<Resolved>>,
    /// What was published.
    table: Arc<[Arc<Resolved>]>,
    /// Whether the rows differ from that.
    changed: bool,
    /// For each alias of the epoch before, what it is now.
    carried: Box<[Option<AliasId>]>,
    /// When time alone may change something.
    deadline: Moment,
}

/// What is known of the addresses of one type.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Known {
    /// The last good ones, sorted.
    addresses: Box<[IpAddr]>,
    /// When they were found last.
    found: Moment,
    /// Until when nobody need look again.
    fresh_until: Moment,
    /// Why they are not fresh.
    trouble: Option<(LookupFailure, Moment)>,
    /// Whether anybody has looked in this process.
    asked: bool,
    /// Addresses that the last look-up brought and no client can use.
    unusable: Box<[IpAddr]>,
}

/// What taking in a look-up did.
#[derive(Debug, Default)]
pub(super) struct Taken {
    /// What is otherwise.
    pub(super) news: Vec<AliasNews>,
    /// Addresses that were left out.
    pub(super) unusable: u32,
}

impl Aliases {
    /// Those of a catalog, of which nothing is known yet; somebody looks from now on.
    pub(super) fn of(catalog: &Catalog, now: Moment) -> Self {
        let unknown = Known { fresh_until: now, ..Known::default() };
        let mut aliases = Self { known: catalog.aliases.iter().map(|_| [unknown.clone(), unknown.clone()]).collect(), deadline: now, ..Self::default() };
        aliases.rows = vec![Arc::default(); aliases.known.len()];
        aliases.table = aliases.rows.as_slice().into();
        aliases
    }

    /// Whether what is to be published is not what was.
    pub(super) const fn has_changed(&self) -> bool {
        self.changed
    }

    /// What is published from now on.
    pub(super) fn publish(&mut self) -> Arc<[Arc<Resolved>]> {
        if std::mem::take(&mut self.changed) {
            self.table = self.rows.as_slice().into();
        }
        Arc::clone(&self.table)
    }

    /// How many questions were never asked in this process.
    pub(super) fn unasked(&self, catalog: &Catalog) -> usize {
        self.questions(catalog).filter(|(_, _, known)| !known.asked).count()
    }

    /// Whether everything that is to be asked of an alias was asked, and brought nothing.
    pub(super) fn is_in_vain(&self, catalog: &Catalog, id: AliasId) -> bool {
        let types = catalog.alias(id).types;
        types.iter().all(|of| self.known[id.index()][place(of)].asked && self.known[id.index()][place(of)].addresses.is_empty())
    }

    /// Takes over what is known across a reload, by names.
    pub(super) fn carry(&mut self, old: &Catalog, new: &Catalog, now: Moment) {
        let mut next = Self::of(new, now);
        next.carried = old.aliases.iter().map(|alias| new.alias_named(&alias.name)).collect();
        for (before, after) in next.carried.iter().enumerate() {
            let Some(after) = after else { continue };
            for of in new.alias(*after).types.iter().filter(|of| old.aliases[before].types.has(*of)) {
                next.known[after.index()][place(of)] = std::mem::take(&mut self.known[before][place(of)]);
            }
        }
        for index in 0..next.rows.len() {
            next.rows[index] = Arc::new(next.view(index));
        }
        next.changed = true;
        *self = next;
    }

    /// The alias of this epoch that an alias of the epoch before is.
    pub(super) fn carried(&self, before: AliasId) -> Option<AliasId> {
        self.carried.get(before.index()).copied().flatten()
    }

    /// Takes in a look-up of an alias of this epoch.
    pub(super) fn take(&mut self, id: AliasId, of: AddressType, lookup: &Lookup) -> Taken {
        let mut taken = Taken::default();
        let Some(known) = self.known.get_mut(id.index()).map(|pair| &mut pair[place(of)]) else { return taken };
        known.asked = true;
        match &lookup.outcome {
            Ok(found) => known.find(of, found, lookup.at, &mut taken),
            Err(failure) => known.fail(failure.clone(), lookup.at, &mut taken),
        }
        self.deadline = self.deadline.min(known.deadline());
        self.refresh(id);
        taken
    }

    /// Does what time alone makes due. Returns what is otherwise.
    pub(super) fn expire(&mut self, catalog: &Catalog, now: Moment) -> Vec<(AliasId, AddressType, AliasNews)> {
        let mut news = Vec::new();
        if now < self.deadline {
            return news;
        }
        self.deadline = Moment(u64::MAX);
        for (id, alias) in (0..).map(AliasId).zip(&catalog.aliases) {
            for of in alias.types.iter() {
                let known = &mut self.known[id.index()][place(of)];
                let before = news.len();
                known.expire(now, |what| news.push((id, of, what)));
                self.deadline = self.deadline.min(known.deadline());
                if news.len() > before {
                    self.refresh(id);
                }
            }
        }
        news
    }

    /// The types that an endpoint should have addresses of, and has none.
    pub(super) fn lacks(&self, endpoint: &Endpoint) -> AddressTypes {
        let lacks = |alias: Aliased| alias.types.iter().filter(|of| self.rows[alias.id.index()].lacks(*of)).fold(AddressTypes::NONE, AddressTypes::with);
        endpoint.alias.map_or(AddressTypes::NONE, lacks)
    }

    /// Whether the addresses of an endpoint are not fresh.
    pub(super) fn is_moving(&self, endpoint: &Endpoint) -> bool {
        endpoint.alias.is_some_and(|alias| alias.types.iter().any(|of| self.known[alias.id.index()][place(of)].is_moving()))
    }

    /// What is worth keeping beyond the process.
    pub(super) fn state(&self, catalog: &Catalog) -> Vec<AliasState> {
        let kept = self.questions(catalog).filter(|(_, _, known)| !known.addresses.is_empty());
        kept.map(|(id, of, known)| AliasState { name: catalog.alias(id).name.to_string().into(), of, addresses: known.addresses.clone(), found: known.found.0 })
            .collect()
    }

    /// Takes in what an earlier process found, unless that is too old, or something is known already.
    pub(super) fn restore(&mut self, catalog: &Catalog, kept: &[AliasState], now: Moment) {
        for state in kept {
            let Some(id) = state.name.parse().ok().and_then(|name| catalog.alias_named(&name)) else { continue };
            // A wall clock that was set back between the processes makes no news of the future.
            let found = Moment(state.found).min(now);
            let known = &mut self.known[id.index()][place(state.of)];
            if !catalog.alias(id).types.has(state.of) || known.asked || now.millis_since(found) > ALIAS_KEPT_MS {
                continue;
            }
            known.addresses = usable(state.of, &state.addresses).0;
            // They are as fresh as any until somebody had the time to look again.
            (known.found, known.fresh_until) = (found, now);
            self.refresh(id);
        }
        self.deadline = now;
    }

    /// Everything that is to be looked up.
    fn questions<'s>(&'s self, catalog: &'s Catalog) -> impl Iterator<Item = (AliasId, AddressType, &'s Known)> {
        let aliases = (0..).map(AliasId).zip(&catalog.aliases).zip(&self.known);
        aliases.flat_map(|((id, alias), known)| alias.types.iter().map(move |of| (id, of, &known[place(of)])))
    }

    /// Has what is known of an alias published, if that is anything new.
    fn refresh(&mut self, id: AliasId) {
        let view = self.view(id.index());
        if *self.rows[id.index()] != view {
            self.rows[id.index()] = Arc::new(view);
            self.changed = true;
        }
    }

    /// What is published of an alias.
    fn view(&self, index: usize) -> Resolved {
        let [a, aaaa] = &self.known[index];
        let v4 = |address: &IpAddr| if let IpAddr::V4(address) = address { Some(*address) } else { None };
        let v6 = |address: &IpAddr| if let IpAddr::V6(address) = address { Some(*address) } else { None };
        let (a_list, aaaa_list): (Box<[Ipv4Addr]>, Box<[Ipv6Addr]>) =
            (a.addresses.iter().filter_map(v4).collect(), aaaa.addresses.iter().filter_map(v6).collect());
        Resolved { a: Held { addresses: a_list, trouble: a.told() }, aaaa: Held { addresses: aaaa_list, trouble: aaaa.told() } }
    }
}

impl Known {
    /// Takes in what was found.
    fn find(&mut self, of: AddressType, found: &Found, at: Moment, taken: &mut Taken) {
        let (addresses, unusable) = usable(of, &found.addresses);
        taken.unusable = u32::try_from(unusable.len()).unwrap_or(u32::MAX);
        let news = unusable.iter().filter(|(address, _)| !self.unusable.contains(address));
        taken.news.extend(news.map(|(address, why)| AliasNews::Unusable(*address, why)));
        self.unusable = unusable.into_iter().map(|(address, _)| address).collect();
        if addresses.is_empty() {
            let failure = if found.addresses.is_empty() { LookupFailure::NoAddress } else { LookupFailure::Unusable };
            return self.fail(failure, at, taken);
        }
        let was_in_trouble = self.trouble.take().is_some();
        (self.found, self.fresh_until) = (at, at.plus_millis(found.fresh_ms()));
        if addresses != self.addresses {
            self.addresses.clone_from(&addresses);
            taken.news.push(AliasNews::Resolved(addresses));
        } else if was_in_trouble {
            taken.news.push(AliasNews::Recovered);
        }
    }

    /// Takes in that nothing was found.
    fn fail(&mut self, failure: LookupFailure, at: Moment, taken: &mut Taken) {
        let known = self.trouble.take();
        if known.as_ref().is_none_or(|(before, _)| before.kind() != failure.kind()) {
            taken.news.push(AliasNews::Failing(failure.clone(), self.addresses.len()));
        }
        // Of a failure of one kind that goes on, the words that came first are kept: other ones would be a new world each time.
        self.trouble = Some(match known {
            Some((before, since)) if before.kind() == failure.kind() => (before, since),
            Some((_, since)) => (failure, since),
            None => (failure, at),
        });
    }

    /// Does what time alone makes due.
    fn expire(&mut self, now: Moment, mut tell: impl FnMut(AliasNews)) {
        if self.trouble.is_none() && now >= self.fresh_until.plus_millis(ALIAS_LATE_MS) {
            self.trouble = Some((LookupFailure::Late, now));
            tell(AliasNews::Failing(LookupFailure::Late, self.addresses.len()));
        }
        if !self.addresses.is_empty() && now > self.found.plus_millis(ALIAS_KEPT_MS) {
            self.addresses = Box::default();
            tell(AliasNews::LetGo);
        }
    }

    /// When time alone may change something.
    fn deadline(&self) -> Moment {
        let late = if self.trouble.is_none() { self.fresh_until.plus_millis(ALIAS_LATE_MS) } else { Moment(u64::MAX) };
        let gone = if self.addresses.is_empty() { Moment(u64::MAX) } else { self.found.plus_millis(ALIAS_KEPT_MS + 1) };
        late.min(gone)
    }

    /// Whether the addresses are not there, or not fresh.
    const fn is_moving(&self) -> bool {
        self.addresses.is_empty() || self.trouble.is_some()
    }

    /// The trouble as it is published.
    fn told(&self) -> Option<Trouble> {
        let (failure, since) = self.trouble.as_ref()?;
        Some(Trouble { failure: failure.clone(), since: *since, found: (!self.addresses.is_empty()).then_some(self.found) })
    }
}

/// The addresses of a type that may be given, sorted, each once, at most [`STEERED_ADDRESSES_MAX`]; and those that no client can use.
fn usable(of: AddressType, addresses: &[IpAddr]) -> (Box<[IpAddr]>, Vec<(IpAddr, &'static str)>) {
    let mut sorted: Vec<IpAddr> = addresses.iter().copied().filter(|address| of.holds(*address)).collect();
    sorted.sort_unstable();
    sorted.dedup();
    let mut left_out = Vec::new();
    sorted.retain(|&address| {
        left_out.extend(unusable(address).map(|why| (address, why)));
        unusable(address).is_none()
    });
    sorted.truncate(STEERED_ADDRESSES_MAX);
    left_out.truncate(STEERED_ADDRESSES_MAX);
    (sorted.into(), left_out)
}

/// The place of a type in a pair.
const fn place(of: AddressType) -> usize {
    match of {
        AddressType::A => 0,
        AddressType::Aaaa => 1,
    }
}
