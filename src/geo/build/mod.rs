//! Makes a small database from large ones: as coarse as steering allows.
//!
//! A city database tells a place for each of a million towns; what steering needs is which region of a cloud is near. So countries that
//! lie around one region stay whole, larger ones are cut into their subdivisions, and a subdivision between two regions into squares: each
//! wherever the centre of the whole would send more than 5 % of its addresses to another region than their own place does. Centres are weighted
//! by addresses. The file is an ordinary MMDB in MaxMind's nested layout, for any reader.
//!
//! Invariants
//! - A prefix of the file never unites two countries, nor a country and what nobody knows: the law of a client is the databases'. Places of one
//!   country are told apart down to /24 and /48.
//! - The same databases make the same file, octet by octet.
//!
//! | source | what |
//! |---|---|
//! | MaxMind DB 2.0 | the file's format; nodes are shared where subtrees are equal, which readers that descend from the root cannot tell |

mod cut;
mod places;
mod write;

use super::facts::Merged;
use super::record::Code;
use super::{GeoError, Source};
use write::{About, Value};

/// The large countries: always told apart by subdivision.
pub const LARGE_COUNTRIES: [&str; 7] = ["AU", "BR", "CA", "CN", "IN", "RU", "US"];

/// Longest prefix of IPv4 below which places of one country are one.
const V4_LEN: u8 = 24;
/// Longest prefix of IPv6 below which places of one country are one.
const V6_LEN: u8 = 48;

/// What to make.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reduction {
    /// Countries that are told apart by subdivision whether or not steering gains by it.
    pub split: Vec<Code>,
    /// What the file says of itself, for people: source and attribution.
    pub description: String,
}

/// A database that was made.
#[derive(Clone, Debug)]
pub struct Reduced {
    /// The file.
    pub octets: Vec<u8>,
    /// What is in it.
    pub summary: Summary,
}

/// What is in a database that was made.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    /// When the oldest of its sources was built, in seconds since the Unix epoch.
    pub built: u64,
    /// Ranges of IPv4 addresses with one record.
    pub v4_ranges: usize,
    /// Ranges of IPv6 addresses with one record.
    pub v6_ranges: usize,
    /// Nodes of the search tree, equal subtrees counted once.
    pub nodes: usize,
    /// Distinct places.
    pub places: usize,
    /// Countries told apart by subdivision, sorted.
    pub split: Vec<Code>,
    /// For each cloud whose regions are known, by name: the share of IPv4 addresses, in millionths, whose nearest region is that of their place
    /// in the sources, or less than 50 km from it.
    pub kept: Vec<(&'static str, u32)>,
}

/// Makes a small database from large ones, the first in precedence first.
///
/// # Errors
/// [`GeoError::TooLarge`] when the databases have too many combinations of records, or the file would have more octets than an MMDB can.
pub fn reduce(sources: &[Source], wanted: &Reduction) -> Result<Reduced, GeoError> {
    let merged = Merged::of(sources)?;
    let weights = places::weights(&merged);
    let (places, kept) = places::choose(&merged.facts, &weights, &wanted.split);
    let law = |place: u32| places.list[place as usize].country;
    let place_of = |(start, fact): (_, u32)| (start, places.of_fact[fact as usize]);
    let v4 = cut::cut(merged.v4.iter().map(place_of), V4_LEN, law);
    let place_of = |(start, fact): (_, u32)| (start, places.of_fact[fact as usize]);
    let v6 = cut::cut(merged.v6.iter().map(place_of), V6_LEN, law);
    let built = sources.iter().map(|source| source.database.metadata().built).filter(|built| *built > 0).min().unwrap_or(0);
    let records: Vec<Value<'_>> = places.list.iter().map(places::Place::value).collect();
    let (octets, nodes) = write::write(&v4, &v6, &records, &About { kind: "Aya-City", built, description: &wanted.description })?;
    let known = |values: &mut dyn Iterator<Item = u32>| values.filter(|place| *place != 0).count();
    let summary = Summary {
        built,
        v4_ranges: known(&mut v4.iter().map(|(_, place)| place)),
        v6_ranges: known(&mut v6.iter().map(|(_, place)| place)),
        nodes,
        places: places.list.len() - 1,
        split: places.split,
        kept,
    };
    Ok(Reduced { octets, summary })
}
