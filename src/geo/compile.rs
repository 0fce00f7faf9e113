//! Compiles databases and catalog into a [`Geo`]: which facts make a difference to this catalog, and where they change.

use std::collections::{HashMap, HashSet};

use super::census::known_of;
use super::crowds;
use super::distance::{Point, UNKNOWN_RTT_US, on_grid};
use super::facts::{Facts, Merged};
use super::record::Code;
use super::special;
use super::steps::{Address, MAPPED, Steps, zip};
use super::table::Table;
use super::{ClientSets, Geo, GeoError, Locality, Source, SourceInfo};
use crate::catalog::{Catalog, ClientSet, ClientSetId, LatencyRow, Network, Selector};
use crate::limits::LOCALITIES_MAX;
use crate::units::Coordinates;

/// Steps of the grid in millionths of a degree: a quarter of a degree (28 km), and coarser ones for when that makes too many localities.
const GRID: [i32; 8] = [250_000, 500_000, 1_000_000, 2_000_000, 4_000_000, 9_000_000, 18_000_000, 45_000_000];
/// The value of the IPv4-mapped IPv6 addresses among the networks: a place of its own that nobody is at. IPv4's table answers for them.
const MAPPED_NETWORK: u32 = u32::MAX;

/// Compiles the geography of a catalog.
pub(super) fn compile(catalog: &Catalog, sources: &[Source]) -> Result<Geo, GeoError> {
    let merged = Merged::of(sources)?;
    let v4_networks = networks::<u32>(&catalog.networks, None);
    let v6_networks = networks::<u128>(&catalog.networks, Some((MAPPED, 96, MAPPED_NETWORK)));
    let latencies = by_specificity(&catalog.latencies);
    let (v4_special, v6_special) = (special::barriers_v4(), special::barriers_v6());
    for step in GRID {
        let mut places = Places::new(catalog, &latencies, &merged.facts, step);
        let Some(v4) = places.along(&merged.v4, &v4_networks, &v4_special) else { continue };
        let Some(v6) = places.along(&merged.v6, &v6_networks, &v6_special) else { continue };
        let (rtt, declared) = places.latency_matrix();
        return Ok(Geo {
            crowds: crowds::of(&v4, &places.localities),
            v4: Table::new(&v4.starts, &v4.places, &places.localities),
            v6: Table::new(&v6.starts, &v6.places, &places.localities),
            localities: places.localities.into(),
            rtt,
            declared,
            regions: catalog.regions.len(),
            sources: sources.iter().map(SourceInfo::of).collect(),
            known: known_of(&merged.v4, &merged.v6, |fact| merged.facts[fact as usize].country.is_some()),
        });
    }
    Err(GeoError::TooManyLocalities)
}

/// Ranges of addresses with their localities, neighbours merged.
pub(super) struct Ranges<A> {
    /// Where each starts.
    pub(super) starts: Vec<A>,
    /// Its locality.
    pub(super) places: Vec<u16>,
}

/// Where the operator's networks are: index + 1 by address.
fn networks<A: Address>(networks: &[Network], also: Option<(A, u8, u32)>) -> Steps<A> {
    let numbered = (1..).zip(networks).flat_map(|(number, network)| network.prefixes.iter().map(move |prefix| (prefix, number)));
    Steps::of_prefixes(numbered.filter_map(|(prefix, number)| A::of_prefix(prefix).map(|(address, len)| (address, len, number))).chain(also))
}

/// The declared latencies, the most specific first, else in the catalog's order.
fn by_specificity(rows: &[LatencyRow]) -> Vec<&LatencyRow> {
    let mut sorted: Vec<&LatencyRow> = rows.iter().collect();
    sorted.sort_by_key(|row| match &row.clients {
        Selector::Network(_) => 0,
        Selector::Subdivision(_) | Selector::Asn(_) => 1,
        Selector::Jurisdiction(name) if row.countries.iter().all(|country| country == name) => 2,
        Selector::Unknown => 2,
        Selector::Jurisdiction(_) => 3,
        Selector::Continent(_) => 4,
        Selector::Any => 5,
    });
    sorted
}

/// Declared round-trip times in microseconds, one for each region that any row names.
type Row = Box<[Option<u32>]>;

/// What makes a locality.
#[derive(PartialEq, Eq, Hash)]
struct Key {
    /// The sets of clients.
    sets: ClientSets,
    /// Number of the declared latencies' row.
    row: u32,
    /// The country, so that a place is never called by another's name.
    country: Option<Code>,
    /// The cell of the grid.
    at: Option<Coordinates>,
}

/// The facts that sets and latencies consult, without the place.
#[derive(PartialEq, Eq, Hash)]
struct Consulted<'a> {
    /// The country.
    country: Option<Code>,
    /// The continent: the country tells it, or the database where no country is known.
    continent: Option<Code>,
    /// The subdivision, where a selector names it.
    subdivision: Option<&'a str>,
    /// The autonomous system, where a selector names it.
    asn: Option<u32>,
    /// The network, where a selector names it.
    network: Option<&'a str>,
}

/// Interns localities.
struct Places<'a> {
    /// The catalog that consults.
    catalog: &'a Catalog,
    /// Declared latencies in order of precedence.
    latencies: &'a [&'a LatencyRow],
    /// Facts by number.
    facts: &'a [Facts<'a>],
    /// Step of the grid.
    step: i32,
    /// Every selector that stands anywhere: what is consulted.
    selectors: HashSet<&'a Selector>,
    /// Sets and row of what was consulted.
    classes: HashMap<Consulted<'a>, (ClientSets, u32)>,
    /// Rows of declared latencies by number.
    rows: Vec<Row>,
    /// Number of a row.
    row_numbers: HashMap<Row, u32>,
    /// Localities by number.
    localities: Vec<Locality>,
    /// Number of the row of each.
    row_of: Vec<u32>,
    /// Number of a locality.
    numbers: HashMap<Key, u16>,
    /// Localities of facts outside every network; `None` where not asked yet.
    outside: Vec<Option<u16>>,
    /// Localities of facts in networks.
    inside: HashMap<(u32, u32), u16>,
}

impl<'a> Places<'a> {
    /// Only the unknown place, number 0.
    fn new(catalog: &'a Catalog, latencies: &'a [&'a LatencyRow], facts: &'a [Facts<'a>], step: i32) -> Self {
        let in_sets = catalog.client_sets.iter().flat_map(|set| &set.selectors);
        let mut places = Self {
            catalog,
            latencies,
            facts,
            step,
            selectors: in_sets.chain(latencies.iter().map(|row| &row.clients)).collect(),
            classes: HashMap::new(),
            rows: Vec::new(),
            row_numbers: HashMap::new(),
            localities: Vec::new(),
            row_of: Vec::new(),
            numbers: HashMap::new(),
            outside: vec![None; facts.len()],
            inside: HashMap::new(),
        };
        let unknown = places.intern(Facts::default());
        debug_assert_eq!(unknown, Some(0), "the first locality");
        places
    }

    /// The localities along the address space: the databases' facts, the operator's networks over them, neighbours of
    /// the same locality merged unless one of `barriers` is between. `None` when there are too many localities.
    fn along<A: Address>(&mut self, facts: &Steps<A>, networks: &Steps<A>, barriers: &Steps<A>) -> Option<Ranges<A>> {
        let mut ranges = Ranges { starts: Vec::new(), places: Vec::new() };
        let networks = zip(networks.iter(), barriers.iter()).map(|(start, network, _)| (start, network));
        for (start, fact, network) in zip(facts.iter(), networks) {
            let place = self.place(fact, network)?;
            if ranges.places.last() != Some(&place) || barriers.has_start(start) {
                ranges.starts.push(start);
                ranges.places.push(place);
            }
        }
        Some(ranges)
    }

    /// The locality of facts in a network, 0 being none.
    fn place(&mut self, fact: u32, network: u32) -> Option<u16> {
        let facts = self.facts[fact as usize];
        match network {
            MAPPED_NETWORK => Some(0),
            0 => {
                if self.outside[fact as usize].is_none() {
                    self.outside[fact as usize] = Some(self.intern(facts)?);
                }
                self.outside[fact as usize]
            }
            _ => {
                if !self.inside.contains_key(&(fact, network)) {
                    let place = self.intern(facts.inside(&self.catalog.networks[network as usize - 1]))?;
                    self.inside.insert((fact, network), place);
                }
                self.inside.get(&(fact, network)).copied()
            }
        }
    }

    /// The number of the locality with these facts; `None` when there are too many.
    fn intern(&mut self, facts: Facts<'a>) -> Option<u16> {
        let facts = facts.completed();
        let (sets, row) = self.class(&facts);
        let key = Key { sets, row, country: facts.country, at: facts.at.map(|at| on_grid(at, self.step)) };
        if let Some(number) = self.numbers.get(&key) {
            let label = &mut self.localities[usize::from(*number)].label;
            if **label != *facts.label() {
                *label = facts.wide_label();
            }
            return Some(*number);
        }
        if self.localities.len() == LOCALITIES_MAX {
            return None;
        }
        let number = u16::try_from(self.localities.len()).expect("fewer than LOCALITIES_MAX, which 16 bits count");
        self.localities.push(Locality { sets, country: facts.country, at: key.at, label: facts.label() });
        self.row_of.push(row);
        self.numbers.insert(key, number);
        Some(number)
    }

    /// The sets that clients with these facts are in, and the number of their row of declared latencies.
    fn class(&mut self, facts: &Facts<'a>) -> (ClientSets, u32) {
        let consulted = Consulted {
            country: facts.country,
            continent: facts.continent,
            subdivision: facts.subdivision.filter(|code| self.selectors.contains(&Selector::Subdivision((*code).into()))),
            asn: facts.asn.filter(|asn| self.selectors.contains(&Selector::Asn(*asn))),
            network: facts.network.map(|network| &*network.name).filter(|name| self.selectors.contains(&Selector::Network((*name).into()))),
        };
        if let Some(class) = self.classes.get(&consulted) {
            return *class;
        }
        let class = (self.sets(facts), self.row(facts));
        self.classes.insert(consulted, class);
        class
    }

    /// The sets that clients with these facts are in.
    fn sets(&self, facts: &Facts<'_>) -> ClientSets {
        let mut sets = ClientSets::NONE;
        for (number, set) in (0..=u8::MAX).zip(&self.catalog.client_sets) {
            if facts.are_in(set) {
                sets.insert(ClientSetId(number));
            }
        }
        if facts.country.is_none() {
            sets.insert(ClientSet::UNKNOWN);
        }
        sets
    }

    /// The number of the row of latencies declared for clients with these facts: for each region, what the first row in order of
    /// precedence says that names both.
    fn row(&mut self, facts: &Facts<'_>) -> u32 {
        let mut row: Row = vec![None; self.catalog.regions.len()].into();
        for declared in self.latencies {
            if facts.are_named(&declared.clients) || facts.are_covered(&declared.countries) {
                for (region, rtt) in &declared.regions {
                    let entry = &mut row[region.index()];
                    *entry = entry.or(Some(u32::try_from(rtt.0.max(0)).unwrap_or(u32::MAX)));
                }
            }
        }
        let next = u32::try_from(self.rows.len()).expect("no more rows than localities");
        *self.row_numbers.entry(row).or_insert_with_key(|row| {
            self.rows.push(row.clone());
            next
        })
    }

    /// The matrix of round-trip times in microseconds, locality by locality, and a bit for each that is declared.
    fn latency_matrix(&self) -> (Box<[u32]>, Box<[u64]>) {
        let regions: Vec<Point> = self.catalog.regions.iter().map(|region| Point::of(region.at)).collect();
        let mut rtt = Vec::with_capacity(self.localities.len() * regions.len());
        let mut declared = vec![0; (self.localities.len() * regions.len()).div_ceil(64)];
        for (locality, row) in self.localities.iter().zip(&self.row_of) {
            let from = locality.at.map(Point::of);
            for (region, told) in regions.iter().zip(&self.rows[*row as usize]) {
                if told.is_some() {
                    declared[rtt.len() / 64] |= 1 << (rtt.len() % 64);
                }
                let estimate = || from.map_or(UNKNOWN_RTT_US, |from| from.rtt_to(*region));
                rtt.push(told.unwrap_or_else(estimate));
            }
        }
        (rtt.into(), declared.into())
    }
}
