//! What is known of a client from all sources together: several databases, then the operator's networks over them.

use std::borrow::Cow;
use std::collections::HashMap;
use std::net::IpAddr;

use super::record::{Code, Record};
use super::steps::{Address, Steps, zip};
use super::{GeoError, Source};
use crate::catalog::{ClientSet, Network, Selector, known};
use crate::units::Coordinates;

/// What is known of a prefix, and which database names its country.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Facts<'a> {
    /// The country.
    pub(super) country: Option<Code>,
    /// The subdivision (ISO 3166-2), of that country.
    pub(super) subdivision: Option<&'a str>,
    /// The subdivision's English name.
    pub(super) subdivision_name: Option<&'a str>,
    /// The continent.
    pub(super) continent: Option<Code>,
    /// Where it is.
    pub(super) at: Option<Coordinates>,
    /// The autonomous system.
    pub(super) asn: Option<u32>,
    /// The operator's network that it is in.
    pub(super) network: Option<&'a Network>,
    /// Index of the database that names the country, or, where none does, of the first that says anything of the place.
    pub(super) source: Option<usize>,
}

impl<'a> Facts<'a> {
    /// What one database says.
    pub(super) fn of(record: &'a Record, source: usize) -> Self {
        Self {
            country: record.country,
            subdivision: record.subdivision.as_deref(),
            subdivision_name: record.subdivision_name.as_deref(),
            continent: record.continent,
            at: record.at,
            asn: record.asn,
            network: None,
            source: record.names_a_place().then_some(source),
        }
    }

    /// What is known when a later database adds what it says. The first that names a country decides on it; a later one adds what is
    /// missing if it names the same country, never a place in another one.
    fn and(mut self, other: &Self) -> Self {
        self.asn = self.asn.or(other.asn);
        if self.country.is_none() && (other.country.is_some() || self.source.is_none()) {
            return Self { asn: self.asn, ..*other };
        }
        if self.country == other.country {
            let same_part = self.subdivision.is_none() || other.subdivision.is_none() || self.subdivision == other.subdivision;
            self.at = self.at.or(if same_part { other.at } else { None });
            self.subdivision_name = self.subdivision_name.or(if same_part { other.subdivision_name } else { None });
            self.subdivision = self.subdivision.or(other.subdivision);
            self.continent = self.continent.or(other.continent);
        }
        self
    }

    /// What is known inside one of the operator's networks: what the operator told, and what the databases say as far as it agrees.
    pub(super) fn inside(mut self, network: &'a Network) -> Self {
        let part = network.subdivision.as_deref();
        let country = network.country.as_deref().or_else(|| part?.split('-').next()).and_then(Code::parse);
        if country.is_some() && country != self.country {
            self = Self { country, asn: self.asn, ..Self::default() };
        }
        if part.is_some() && part != self.subdivision {
            (self.subdivision, self.subdivision_name, self.at) = (part, None, None);
        }
        self.at = network.at.or(self.at);
        self.network = Some(network);
        self
    }

    /// The same with what the country itself tells: its continent and, where nothing finer is known, the centre of its population.
    pub(super) fn completed(mut self) -> Self {
        if let Some(country) = self.country.and_then(|code| known::country(code.as_str())) {
            self.continent = Code::parse(country.continent);
            self.at = self.at.or(country.at);
        }
        self
    }

    /// Whether clients with these facts are in the set. The facts are [completed](Self::completed).
    pub(super) fn are_in(&self, set: &ClientSet) -> bool {
        self.are_covered(&set.countries) || set.selectors.iter().any(|selector| self.are_named(selector))
    }

    /// Whether the country is among these, which are sorted.
    pub(super) fn are_covered(&self, countries: &[Box<str>]) -> bool {
        self.country.is_some_and(|code| countries.binary_search_by(|country| country.as_ref().cmp(code.as_str())).is_ok())
    }

    /// Whether the selector names them, unions of countries left aside: those stand in [`ClientSet::countries`].
    pub(super) fn are_named(&self, selector: &Selector) -> bool {
        match selector {
            Selector::Unknown => self.country.is_none(),
            Selector::Any => true,
            Selector::Jurisdiction(name) => self.country.is_some_and(|code| code.as_str() == name.as_ref()),
            Selector::Subdivision(code) => self.subdivision == Some(code),
            Selector::Continent(name) => self.continent.is_some_and(|code| code.as_str() == name.as_ref()),
            Selector::Asn(asn) => self.asn == Some(*asn),
            Selector::Network(name) => self.network.is_some_and(|network| network.name == *name),
        }
    }

    /// Names the place for people: the network, else the subdivision, else the country.
    pub(super) fn label(&self) -> Box<str> {
        match (self.network, self.subdivision) {
            (Some(network), _) => format!("network:{}", network.name).into(),
            (None, Some(subdivision)) => subdivision.into(),
            (None, None) => match (self.country, self.subdivision_name) {
                (Some(country), Some(name)) => format!("{country} ({name})").into(),
                _ => self.wide_label(),
            },
        }
    }

    /// Names the country, for a place that holds several networks or subdivisions.
    pub(super) fn wide_label(&self) -> Box<str> {
        match (self.country, self.continent) {
            (Some(country), _) => country.as_str().into(),
            (None, Some(continent)) => format!("continent:{continent}").into(),
            (None, None) => "unknown".into(),
        }
    }
}

/// All databases as one.
pub(super) struct Merged<'a> {
    /// Number of the facts by IPv4 address.
    pub(super) v4: Cow<'a, Steps<u32>>,
    /// The same for IPv6.
    pub(super) v6: Cow<'a, Steps<u128>>,
    /// Facts by number. The first are empty.
    pub(super) facts: Vec<Facts<'a>>,
}

impl<'a> Merged<'a> {
    /// Lays the databases over each other.
    pub(super) fn of(sources: &'a [Source]) -> Result<Self, GeoError> {
        let mut merged = Self { v4: Cow::Owned(Steps::new()), v6: Cow::Owned(Steps::new()), facts: vec![Facts::default()] };
        for (index, source) in sources.iter().enumerate() {
            let database = &source.database;
            let facts = database.records.iter().map(|record| Facts::of(record, index)).collect();
            if index == 0 {
                merged = Self { v4: Cow::Borrowed(&database.v4), v6: Cow::Borrowed(&database.v6), facts };
            } else {
                merged = merged.and(&Self { v4: Cow::Borrowed(&database.v4), v6: Cow::Borrowed(&database.v6), facts })?;
            }
        }
        Ok(merged)
    }

    /// Lays a later database under.
    fn and(&self, other: &Self) -> Result<Self, GeoError> {
        let mut pairs = Pairs { numbers: HashMap::from([((0, 0), 0)]), facts: vec![Facts::default()] };
        let v4 = pairs.combine(&self.v4, &other.v4, self, other)?;
        let v6 = pairs.combine(&self.v6, &other.v6, self, other)?;
        Ok(Self { v4: Cow::Owned(v4), v6: Cow::Owned(v6), facts: pairs.facts })
    }
}

/// Combinations of two databases' facts.
struct Pairs<'a> {
    /// Number of a combination.
    numbers: HashMap<(u32, u32), u32>,
    /// Facts by number.
    facts: Vec<Facts<'a>>,
}

impl<'a> Pairs<'a> {
    /// Both step functions as one over combinations.
    fn combine<A: Address>(&mut self, left: &Steps<A>, right: &Steps<A>, one: &Merged<'a>, other: &Merged<'a>) -> Result<Steps<A>, GeoError> {
        let mut steps = Steps::new();
        for (start, left, right) in zip(left.iter(), right.iter()) {
            let next = u32::try_from(self.facts.len()).map_err(|_| GeoError::TooLarge)?;
            let number = *self.numbers.entry((left, right)).or_insert_with(|| {
                self.facts.push(one.facts[left as usize].and(&other.facts[right as usize]));
                next
            });
            steps.push(start, number);
        }
        Ok(steps)
    }
}

/// What all databases say of an address.
pub(super) fn of_address(sources: &[Source], address: IpAddr) -> Facts<'_> {
    let records = sources.iter().enumerate().filter_map(|(index, source)| source.database.record(address).map(|record| Facts::of(record, index)));
    records.reduce(|facts, other| facts.and(&other)).unwrap_or_default()
}
