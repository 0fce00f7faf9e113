//! How much a database knows, by continent, and whether what is to replace it knows far less.
//!
//! Counted once, when a database is read: prefixes as the file cuts them, and the addresses behind them. A truncated download or a paid
//! file's expired sample opens and reads like any other; what gives it away is that most of the world has gone.

use std::collections::BTreeMap;
use std::fmt;

use super::Geo;
use super::record::Record;
use super::steps::Steps;
use crate::catalog::known;
use crate::limits::GEOIP_AGE_DAYS_MAX;
use crate::units::Moment;

/// The continents, as databases and the list of countries write them; the last stands for prefixes of which none is known.
pub const CONTINENTS: [&str; 8] = ["AF", "AN", "AS", "EU", "NA", "OC", "SA", UNKNOWN];
/// Milliseconds of a day.
const DAY_MS: u64 = 86_400_000;
/// The continent of prefixes that none is known of.
const UNKNOWN: &str = "unknown";

/// How many addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    /// Of IPv4.
    pub v4: u64,
    /// Of IPv6.
    pub v6: u128,
}

impl Extent {
    /// IPv6 in /48s, the size of a site (RFC 6177 §2), rounded down.
    #[must_use]
    pub fn v6_sites(&self) -> u64 {
        u64::try_from(self.v6 >> 80).unwrap_or(u64::MAX)
    }

    /// Adds others.
    fn add(&mut self, other: Self) {
        self.v4 += other.v4;
        self.v6 = self.v6.saturating_add(other.v6);
    }
}

/// What a database knows of one continent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Prefixes, as the file cuts them.
    pub networks: u64,
    /// Addresses.
    pub extent: Extent,
}

/// What a database knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// In the order of [`CONTINENTS`].
    by_continent: [Count; CONTINENTS.len()],
    /// Addresses whose country is known.
    pub known: Extent,
}

impl Census {
    /// Counts. `networks` are the prefixes of each record, by number; what is behind number 0 is in no prefix.
    pub(super) fn of(v4: &Steps<u32>, v6: &Steps<u128>, records: &[Record], networks: &[u64]) -> Self {
        let mut extents = vec![Extent::default(); records.len()];
        for (addresses, number) in v4.sizes() {
            extents[number as usize].add(Extent { v4: u64::try_from(addresses).unwrap_or(u64::MAX), v6: 0 });
        }
        for (addresses, number) in v6.sizes() {
            extents[number as usize].add(Extent { v4: 0, v6: addresses });
        }
        extents[0] = Extent::default();
        let mut census = Self::default();
        for ((record, extent), networks) in records.iter().zip(extents).zip(networks) {
            let count = &mut census.by_continent[continent_of(record)];
            count.networks += networks;
            count.extent.add(extent);
            if record.country.is_some() {
                census.known.add(extent);
            }
        }
        census
    }

    /// Every continent with what is known of it.
    pub fn continents(&self) -> impl Iterator<Item = (&'static str, &Count)> {
        CONTINENTS.into_iter().zip(&self.by_continent)
    }
}

/// Index of a record's continent: its country's, else the one that it names itself.
fn continent_of(record: &Record) -> usize {
    let of_country = record.country.and_then(|code| known::country(code.as_str())).map(|country| country.continent);
    let named = of_country.or(record.continent.as_ref().map(super::Code::as_str));
    named.and_then(|named| CONTINENTS.iter().position(|continent| *continent == named)).unwrap_or(CONTINENTS.len() - 1)
}

/// Addresses whose country is known by step functions over facts.
pub(super) fn known_of(v4: &Steps<u32>, v6: &Steps<u128>, is_known: impl Fn(u32) -> bool) -> Extent {
    let v4 = v4.sizes().filter(|(_, value)| is_known(*value)).map(|(addresses, _)| u64::try_from(addresses).unwrap_or(u64::MAX));
    let v6 = v6.sizes().filter(|(_, value)| is_known(*value)).map(|(addresses, _)| addresses);
    Extent { v4: v4.sum(), v6: v6.fold(0, u128::saturating_add) }
}

/// More than half of what was known of one family is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// The database; `None` for all of them together.
    pub database: Option<Box<str>>,
    /// What is counted.
    pub unit: &'static str,
    /// How many there were.
    pub before: u64,
    /// How many there are.
    pub after: u64,
}

/// As in `dbip-places.mmdb knows the country of 1203 IPv4 addresses, and of 3551234 before`.
impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.database {
            Some(name) => write!(f, "{name} knows")?,
            None => f.write_str("all databases together know")?,
        }
        write!(f, " the country of {} {}, and of {} before", self.after, self.unit, self.before)
    }
}

/// What a geography lost of the one before: addresses of IPv4 or /48s of IPv6 whose country is known, where fewer than half are left, by all
/// databases together and by those of the same name. A file that came or went counts in the whole only, so that one may be renamed; what knew
/// nothing has nothing to lose.
#[must_use]
pub fn losses(before: &Geo, after: &Geo) -> Vec<Loss> {
    let mut losses = Vec::new();
    let mut compare = |database: Option<&str>, before: Extent, after: Extent| {
        let families = [("IPv4 addresses", before.v4, after.v4), ("/48s of IPv6", before.v6_sites(), after.v6_sites())];
        let lost = families.into_iter().filter(|(_, before, after)| *after < before.div_ceil(2));
        losses.extend(lost.map(|(unit, before, after)| Loss { database: database.map(Into::into), unit, before, after }));
    };
    compare(None, before.known, after.known);
    let (before, after) = (by_name(before), by_name(after));
    for (name, extent) in before {
        if let Some(now) = after.get(name) {
            compare(Some(name), extent, *now);
        }
    }
    losses
}

/// What the databases of each name know.
fn by_name(geo: &Geo) -> BTreeMap<&str, Extent> {
    let mut extents: BTreeMap<&str, Extent> = BTreeMap::new();
    for source in geo.sources() {
        extents.entry(&source.name).or_default().add(source.census.known);
    }
    extents
}

impl super::Metadata {
    /// Milliseconds since it was built; `None` when the file has no date.
    #[must_use]
    pub fn age_ms(&self, now: Moment) -> Option<u64> {
        (self.built > 0).then(|| now.millis_since(Moment(self.built.saturating_mul(1000))))
    }

    /// Whether it is so old that it misplaces clients: by more than [`GEOIP_AGE_DAYS_MAX`] days.
    #[must_use]
    pub fn is_old(&self, now: Moment) -> bool {
        self.age_ms(now).is_some_and(|age| age > GEOIP_AGE_DAYS_MAX * DAY_MS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Catalog;
    use crate::geo::{Code, Metadata, Mmdb, Source};

    fn record(country: Option<&str>, continent: Option<&str>) -> Record {
        Record { country: country.and_then(Code::parse), continent: continent.and_then(Code::parse), ..Record::default() }
    }

    fn source(name: &str, prefixes: &[(&str, Option<&str>)]) -> Source {
        let prefixes = prefixes.iter().map(|(prefix, country)| (prefix.parse().unwrap(), record(*country, None)));
        Source { name: name.into(), database: Mmdb::from_prefixes("test", prefixes).unwrap() }
    }

    fn geo(sources: &[Source]) -> Geo {
        Geo::compile(&Catalog::default(), sources).unwrap()
    }

    fn count_of<'a>(census: &'a Census, continent: &str) -> &'a Count {
        census.continents().find(|(name, _)| *name == continent).unwrap().1
    }

    #[test]
    fn networks_and_addresses_are_counted_by_continent_and_none_twice() {
        let prefixes = [
            ("192.0.2.0/24", record(Some("DE"), None)),
            ("192.0.2.128/25", record(Some("US"), Some("EU"))),
            ("2001:db8::/47", record(Some("FR"), None)),
            ("2001:db8:2::/49", record(None, Some("AS"))),
            ("2001:db8:2:8000::/49", record(None, Some("XX"))),
        ];
        let database = Mmdb::from_prefixes("test", prefixes.map(|(prefix, record)| (prefix.parse().unwrap(), record))).unwrap();
        let census = database.census();
        assert_eq!(*count_of(census, "EU"), Count { networks: 2, extent: Extent { v4: 128, v6: 2 << 80 } });
        assert_eq!(*count_of(census, "NA"), Count { networks: 1, extent: Extent { v4: 128, v6: 0 } });
        assert_eq!(count_of(census, "AS").extent, Extent { v4: 0, v6: 1 << 79 });
        assert_eq!(count_of(census, UNKNOWN).extent, Extent { v4: 0, v6: 1 << 79 });
        assert_eq!((census.known.v4, census.known.v6_sites()), (256, 2));
        assert_eq!(census.continents().map(|(_, count)| count.networks).sum::<u64>(), database.metadata().networks);
    }

    #[test]
    fn half_may_go_and_one_address_more_may_not() {
        let before = geo(&[source("a.mmdb", &[("192.0.2.0/24", Some("DE"))])]);
        assert_eq!(losses(&before, &geo(&[source("a.mmdb", &[("192.0.2.0/25", Some("US"))])])), []);
        let less = geo(&[source("a.mmdb", &[("192.0.2.0/26", Some("DE")), ("192.0.2.64/27", Some("DE")), ("192.0.2.128/25", None)])]);
        let told: Vec<String> = losses(&before, &less).iter().map(ToString::to_string).collect();
        let expected = "know the country of 96 IPv4 addresses, and of 256 before";
        assert_eq!(told, [format!("all databases together {expected}"), format!("a.mmdb {}", expected.replace("know ", "knows "))]);
        assert_eq!(losses(&less, &before), [], "more is no loss");
    }

    #[test]
    fn families_are_compared_apart() {
        let both = geo(&[source("a.mmdb", &[("192.0.2.0/24", Some("DE")), ("2001:db8::/32", Some("DE"))])]);
        let one = geo(&[source("a.mmdb", &[("192.0.0.0/16", Some("DE"))])]);
        assert_eq!(losses(&both, &one).iter().map(|loss| (loss.unit, loss.before, loss.after)).collect::<Vec<_>>(), [("/48s of IPv6", 65_536, 0); 2]);
    }

    #[test]
    fn a_file_may_be_renamed_and_one_that_another_makes_up_for_may_not_shrink_all_the_same() {
        let old = geo(&[source("a.mmdb", &[("192.0.2.0/24", Some("DE"))])]);
        let renamed = geo(&[source("b.mmdb", &[("192.0.2.0/24", Some("DE"))])]);
        assert_eq!(losses(&old, &renamed), []);
        let hidden = geo(&[source("a.mmdb", &[("192.0.2.0/30", Some("DE"))]), source("b.mmdb", &[("192.0.2.0/24", Some("DE"))])]);
        assert_eq!(losses(&old, &hidden).iter().map(|loss| loss.database.as_deref()).collect::<Vec<_>>(), [Some("a.mmdb")]);
    }

    #[test]
    fn what_knew_nothing_has_nothing_to_lose() {
        let numbers = geo(&[source("asn.mmdb", &[("192.0.2.0/24", None)])]);
        assert_eq!(losses(&numbers, &geo(&[])), []);
        assert_eq!(losses(&geo(&[]), &numbers), []);
    }

    #[test]
    fn a_file_without_a_date_has_no_age() {
        let built = |built| Metadata { built, ..Metadata::default() };
        assert_eq!(built(0).age_ms(Moment(5_000)), None);
        assert_eq!(built(3).age_ms(Moment(5_000)), Some(2_000));
        assert_eq!(built(9).age_ms(Moment(5_000)), Some(0), "a date to come is no age");
    }
}
