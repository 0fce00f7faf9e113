//! Which places there are: countries, subdivisions, and squares of subdivisions, as coarse as steering allows.

use std::collections::BTreeMap;

use super::write::Value;
use crate::catalog::known;
use crate::geo::distance::Point;
use crate::geo::facts::{Facts, Merged};
use crate::geo::record::Code;
use crate::units::Coordinates;

/// A place is told apart further when the nearest region changes for more than this share of it, in either family.
const MISPLACED_MOST: f64 = 0.05;
/// … unless it has less than this share of its country's addresses.
const LEAST_SHARE: f64 = 0.001;
/// Regions nearer to each other than this are as good as one.
const SAME_REGION_M: u32 = 50_000;
/// Sides of the squares that a subdivision is told apart by, in millionths of a degree, the coarsest first.
const SQUARES: [i32; 6] = [8_000_000, 4_000_000, 2_000_000, 1_000_000, 500_000, 250_000];

/// The places of a database.
pub(super) struct Places {
    /// By number. The first is nowhere.
    pub(super) list: Vec<Place>,
    /// Number of the place of each fact.
    pub(super) of_fact: Vec<u32>,
    /// Countries told apart by subdivision, sorted.
    pub(super) split: Vec<Code>,
}

/// A place.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Place {
    /// Its country.
    pub(super) country: Option<Code>,
    /// Its continent.
    continent: Option<Code>,
    /// The code of its subdivision behind the country's: `CA` of `US-CA`.
    part_code: Option<String>,
    /// The name of its subdivision.
    part_name: Option<String>,
    /// The centre of its addresses.
    at: Option<Coordinates>,
}

impl Place {
    /// As MaxMind nests it.
    pub(super) fn value(&self) -> Value<'_> {
        let mut fields = Vec::new();
        if let Some(continent) = &self.continent {
            fields.push(("continent", Value::Map(vec![("code", Value::Text(continent.as_str()))])));
        }
        if let Some(country) = &self.country {
            fields.push(("country", Value::Map(vec![("iso_code", Value::Text(country.as_str()))])));
        }
        if let Some(at) = self.at {
            let (latitude, longitude) = at.degrees();
            fields.push(("location", Value::Map(vec![("latitude", Value::Double(latitude)), ("longitude", Value::Double(longitude))])));
        }
        let code = self.part_code.iter().map(|code| ("iso_code", Value::Text(code)));
        let name = self.part_name.iter().map(|name| ("names", Value::Map(vec![("en", Value::Text(name))])));
        let part: Vec<_> = code.chain(name).collect();
        if !part.is_empty() {
            fields.push(("subdivisions", Value::List(vec![Value::Map(part)])));
        }
        Value::Map(fields)
    }
}

/// How much of each family is somewhere: addresses of IPv4, ranges of IPv6 (of whose addresses nearly all are in the few largest ranges).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Weight([f64; 2]);

impl Weight {
    /// For centres: a range of IPv6 is as much as an address of IPv4, so that it weighs only where there is no IPv4.
    fn sum(self) -> f64 {
        self.0[0] + self.0[1]
    }

    /// Whether it is more than a share of the whole, in either family.
    fn is_more_than(self, share: f64, whole: Self) -> [bool; 2] {
        [self.0[0] > share * whole.0[0], self.0[1] > share * whole.0[1]]
    }

    /// The weight of several sites.
    fn of<'a>(sites: impl IntoIterator<Item = &'a &'a Site>) -> Self {
        sites.into_iter().fold(Self::default(), |sum, site| Self([sum.0[0] + site.weight.0[0], sum.0[1] + site.weight.0[1]]))
    }
}

/// How much of each family each fact has.
pub(super) fn weights(merged: &Merged<'_>) -> Vec<Weight> {
    let mut weights = vec![Weight::default(); merged.facts.len()];
    let mut steps = merged.v4.iter().peekable();
    while let Some((start, fact)) = steps.next() {
        let end = steps.peek().map_or(1 << 32, |(next, _)| u64::from(*next));
        weights[fact as usize].0[0] += f64::from(u32::try_from(end - u64::from(start)).unwrap_or(u32::MAX));
    }
    for (_, fact) in merged.v6.iter() {
        weights[fact as usize].0[1] += 1.0;
    }
    weights
}

/// The regions of one cloud.
struct Cloud {
    /// Its name.
    name: &'static str,
    /// Where each is.
    regions: Vec<Point>,
    /// Of two regions, whether they are apart; row by row.
    apart: Vec<bool>,
}

impl Cloud {
    /// The clouds whose regions are known, by name.
    fn known() -> Vec<Self> {
        let mut clouds: BTreeMap<&'static str, Vec<Point>> = BTreeMap::new();
        for region in known::cloud_regions() {
            clouds.entry(region.cloud).or_default().push(Point::of(region.at));
        }
        let cloud = |(name, regions): (_, Vec<Point>)| {
            let apart = regions.iter().flat_map(|one| regions.iter().map(|other| one.metres_to(*other) > SAME_REGION_M)).collect();
            Self { name, regions, apart }
        };
        clouds.into_iter().map(cloud).collect()
    }

    /// The region nearest to a place; of equals the first.
    fn nearest(&self, to: Point) -> u16 {
        let mut best = (0, f64::MIN);
        for (index, region) in (0..).zip(&self.regions) {
            let nearness = region.nearness(to);
            if nearness > best.1 {
                best = (index, nearness);
            }
        }
        best.0
    }

    /// What of these sites has another nearest region than a centre has. `index` is the cloud's own.
    fn misplaced(&self, index: usize, centre: Point, sites: &[&Site]) -> Weight {
        let chosen = self.nearest(centre);
        let is_misplaced = |site: &&&Site| site.at.as_ref().is_some_and(|(_, _, nearest)| self.are_apart(nearest[index], chosen));
        Weight::of(sites.iter().filter(is_misplaced))
    }

    /// Whether two regions are apart.
    fn are_apart(&self, one: u16, other: u16) -> bool {
        self.apart[usize::from(one) * self.regions.len() + usize::from(other)]
    }
}

/// A fact as a point with a weight.
struct Site {
    /// Number of the fact.
    fact: usize,
    /// How much is there.
    weight: Weight,
    /// Where it is, with the nearest region of each cloud.
    at: Option<(Coordinates, Point, Box<[u16]>)>,
}

/// Chooses.
struct Chooser<'a> {
    /// The regions that count.
    clouds: &'a [Cloud],
    /// What was chosen.
    places: Places,
    /// For each cloud, the IPv4 addresses with coordinates, and those whose nearest region is kept.
    kept: Vec<(f64, f64)>,
}

/// The places of these facts, and for each cloud the share of IPv4 addresses, in millionths, that keep their nearest region. Countries of `split` are
/// told apart by subdivision in any case.
pub(super) fn choose(facts: &[Facts<'_>], weights: &[Weight], split: &[Code]) -> (Places, Vec<(&'static str, u32)>) {
    let clouds = Cloud::known();
    let mut countries: BTreeMap<(Option<Code>, Option<Code>), Vec<Site>> = BTreeMap::new();
    for (fact, (about, weight)) in facts.iter().zip(weights).enumerate() {
        let continent = about.country.and_then(|code| known::country(code.as_str())).map_or(about.continent, |known| Code::parse(known.continent));
        if about.country.is_none() && continent.is_none() && about.at.is_none() {
            continue;
        }
        let at = about.at.map(|at| {
            let point = Point::of(at);
            (at, point, clouds.iter().map(|cloud| cloud.nearest(point)).collect())
        });
        countries.entry((about.country, continent)).or_default().push(Site { fact, weight: *weight, at });
    }
    let places = Places { list: vec![Place::default()], of_fact: vec![0; facts.len()], split: Vec::new() };
    let mut chooser = Chooser { clouds: &clouds, places, kept: vec![(0.0, 0.0); clouds.len()] };
    for ((country, continent), sites) in countries {
        chooser.country(Place { country, continent, ..Place::default() }, &sites, facts, split);
    }
    let kept = clouds.iter().zip(&chooser.kept).map(|(cloud, (all, kept))| (cloud.name, millionths(*kept, *all))).collect();
    (chooser.places, kept)
}

/// A share in millionths; of nothing it is all.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share is between 0 and 1")]
fn millionths(part: f64, whole: f64) -> u32 {
    if whole > 0.0 { libm::round(part / whole * 1e6) as u32 } else { 1_000_000 }
}

impl Chooser<'_> {
    /// A country: whole, or told apart.
    fn country(&mut self, whole: Place, sites: &[Site], facts: &[Facts<'_>], split: &[Code]) {
        let sites: Vec<&Site> = sites.iter().collect();
        let whole_weight = Weight::of(&sites);
        let is_split = whole.country.is_some_and(|country| split.contains(&country)) || self.is_too_coarse(&sites, Weight::default());
        if !is_split {
            self.place(whole, &sites);
            return;
        }
        self.places.split.extend(whole.country);
        let mut parts: BTreeMap<(Option<&str>, Option<&str>), Vec<&Site>> = BTreeMap::new();
        for site in sites {
            let about = &facts[site.fact];
            // A subdivision with a code may be spelt in several ways.
            let name = if about.subdivision.is_some() { None } else { about.subdivision_name };
            parts.entry((about.subdivision, name)).or_default().push(site);
        }
        for ((code, name), sites) in parts {
            let name = name.or_else(|| heaviest(&sites).and_then(|site| facts[site.fact].subdivision_name));
            let part_code = code.and_then(|code| code.split_once('-')).map(|(_, code)| code.to_owned());
            let part = Place { part_code, part_name: name.map(Into::into), ..whole.clone() };
            self.part(&part, &sites, &SQUARES, whole_weight);
        }
    }

    /// A subdivision, or a square of one, of a country of this weight: whole, or in smaller squares.
    fn part(&mut self, part: &Place, sites: &[&Site], squares: &[i32], country: Weight) {
        let Some((side, smaller)) = squares.split_first().filter(|_| self.is_too_coarse(sites, country)) else {
            self.place(part.clone(), sites);
            return;
        };
        let mut inside: BTreeMap<Option<(i32, i32)>, Vec<&Site>> = BTreeMap::new();
        for site in sites {
            let square = site.at.as_ref().map(|(at, _, _)| (at.latitude.div_euclid(*side), at.longitude.div_euclid(*side)));
            inside.entry(square).or_default().push(site);
        }
        for sites in inside.values() {
            self.part(part, sites, smaller, country);
        }
    }

    /// Whether one place for all of these sites would misplace too much of them: for some cloud and family more than [`MISPLACED_MOST`] of
    /// them and [`LEAST_SHARE`] of their country.
    fn is_too_coarse(&self, sites: &[&Site], country: Weight) -> bool {
        let Some((_, centre)) = centre(sites) else { return false };
        let whole = Weight::of(sites);
        self.clouds.iter().enumerate().any(|(index, cloud)| {
            let misplaced = cloud.misplaced(index, centre, sites);
            let (much_of_it, enough_of_all) = (misplaced.is_more_than(MISPLACED_MOST, whole), misplaced.is_more_than(LEAST_SHARE, country));
            (much_of_it[0] && enough_of_all[0]) || (much_of_it[1] && enough_of_all[1])
        })
    }

    /// One place for all of these sites.
    fn place(&mut self, place: Place, sites: &[&Site]) {
        let found = centre(sites);
        if let Some((_, point)) = found {
            let [located, _] = Weight::of(sites.iter().filter(|site| site.at.is_some())).0;
            for (index, cloud) in self.clouds.iter().enumerate() {
                let [misplaced, _] = cloud.misplaced(index, point, sites).0;
                self.kept[index].0 += located;
                self.kept[index].1 += located - misplaced;
            }
        }
        let number = u32::try_from(self.places.list.len()).expect("no more places than facts");
        self.places.list.push(Place { at: found.map(|(at, _)| at), ..place });
        for site in sites {
            self.places.of_fact[site.fact] = number;
        }
    }
}

/// The site with the most addresses; of equals the first.
fn heaviest<'a>(sites: &[&'a Site]) -> Option<&'a Site> {
    sites.iter().copied().reduce(|most, site| if site.weight.sum() > most.weight.sum() { site } else { most })
}

/// The centre of sites by their weight, to a ten-thousandth of a degree; `None` when none has coordinates, or they are all around the globe.
fn centre(sites: &[&Site]) -> Option<(Coordinates, Point)> {
    let points = sites.iter().filter_map(|site| site.at.as_ref().map(|(_, point, _)| (*point, site.weight.sum().max(f64::MIN_POSITIVE))));
    let at = Point::centre(points)?;
    Some((at, Point::of(at)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geo::{Mmdb, Record, Source};

    /// A prefix's country, subdivision and coordinates.
    type Row<'a> = (&'a str, &'a str, &'a str, f64, f64);

    /// The places of a database with these prefixes.
    fn places(rows: &[Row<'_>], split: &[&str]) -> (Places, Vec<(&'static str, u32)>) {
        let record = |(prefix, country, name, latitude, longitude): &Row<'_>| {
            let subdivision = crate::geo::subdivision::subdivision_code(Code::parse(country).unwrap(), name);
            let at = Coordinates::from_degrees(*latitude, *longitude);
            let record = Record { country: Code::parse(country), subdivision, subdivision_name: Some((*name).into()), at, ..Record::default() };
            (prefix.parse().unwrap(), record)
        };
        let database = Mmdb::from_prefixes("test", rows.iter().map(record)).unwrap();
        let sources = [Source { name: "test".into(), database }];
        let merged = Merged::of(&sources).unwrap();
        let split: Vec<Code> = split.iter().map(|code| Code::parse(code).unwrap()).collect();
        choose(&merged.facts, &weights(&merged), &split)
    }

    /// The names and centres of the places.
    fn told(places: &Places) -> Vec<(String, (f64, f64))> {
        let name = |place: &Place| place.part_name.clone().unwrap_or_else(|| place.country.unwrap().to_string());
        places.list[1..].iter().map(|place| (name(place), place.at.unwrap().degrees())).collect()
    }

    #[test]
    fn a_country_around_one_region_is_one_place_at_the_centre_of_its_addresses() {
        let portugal =
            [("192.0.2.0/25", "PT", "Lisbon", 38.0, -9.0), ("192.0.2.128/26", "PT", "Porto", 41.0, -9.0), ("192.0.2.192/26", "PT", "Porto", 41.0, -9.0)];
        let (found, kept) = places(&portugal, &[]);
        assert_eq!(found.split, []);
        let [(name, (latitude, longitude))] = &told(&found)[..] else { panic!("one place") };
        assert_eq!(name, "PT");
        assert!((latitude - 39.5).abs() < 0.01 && (longitude + 9.0).abs() < 0.01, "{latitude} {longitude}");
        assert!(kept.iter().all(|(_, share)| *share == 1_000_000), "{kept:?}");
    }

    #[test]
    fn a_country_between_regions_is_told_apart_by_subdivision() {
        let canada = [("192.0.2.0/25", "CA", "Quebec", 45.5, -73.6), ("192.0.2.128/25", "CA", "Alberta", 51.0, -114.0)];
        let (found, _) = places(&canada, &[]);
        assert_eq!(found.split, [Code::parse("CA").unwrap()]);
        assert_eq!(told(&found), [("Alberta".to_owned(), (51.0, -114.0)), ("Quebec".to_owned(), (45.5, -73.6))]);
        assert_eq!(found.list[1].part_code.as_deref(), Some("AB"));
    }

    #[test]
    fn a_subdivision_between_regions_is_told_apart_by_squares_and_keeps_its_name() {
        let ontario = [("192.0.2.0/25", "CA", "Ontario", 45.4, -75.7), ("192.0.2.128/25", "CA", "Ontario", 49.8, -94.5)];
        let (found, _) = places(&ontario, &[]);
        assert_eq!(told(&found).iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["Ontario", "Ontario"]);
        assert!(found.list[1..].iter().all(|place| place.part_code.as_deref() == Some("ON")));
    }

    #[test]
    fn few_addresses_far_away_tell_nothing_apart() {
        let rows = [("192.0.2.0/24", "CA", "Quebec", 45.5, -73.6), ("198.51.100.0/32", "CA", "Alberta", 51.0, -114.0)];
        assert_eq!(told(&places(&rows, &[]).0).len(), 1, "1 of 257 addresses");
        assert_eq!(told(&places(&rows, &["CA"]).0).len(), 2, "unless it is wanted");
    }

    #[test]
    fn spellings_of_a_subdivision_with_a_code_are_one() {
        let rows = [("192.0.2.0/25", "RU", "Tyumen Oblast", 57.0, 65.5), ("192.0.2.128/26", "RU", "Tyumen’ Oblast", 57.0, 65.5)];
        assert_eq!(told(&places(&rows, &["RU"]).0), [("Tyumen Oblast".to_owned(), (57.0, 65.5))], "called as most are");
    }
}
