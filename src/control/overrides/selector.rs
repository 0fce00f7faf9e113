//! Which endpoints are meant: words that must all match, by names that survive a reload.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::catalog::{Catalog, EndpointId, RegionId, RegionSet, Service, glob};
use crate::limits::{SELECTOR_OCTETS_MAX, SELECTOR_WORDS_MAX};
use crate::near::{Hints, or_near};

/// Words such as `cloud:aws` and `service:api`, of which an endpoint must match every one. `*` stands for any text.
///
/// Two selectors of the same words are equal, in whatever order they were written.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Selector {
    /// The words, sorted, none twice; at least one.
    words: Box<[Word]>,
}

/// One word.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Word {
    /// What it looks at.
    field: Field,
    /// What that must match.
    pattern: Box<str>,
}

/// What a word looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Field {
    /// The region's cloud.
    Cloud,
    /// The region's name.
    Region,
    /// The zone's apex.
    Zone,
    /// The service's label, or its owner name.
    Service,
    /// The endpoint's key.
    Endpoint,
}

impl Field {
    /// All of them.
    const ALL: [Self; 5] = [Self::Cloud, Self::Region, Self::Zone, Self::Service, Self::Endpoint];

    /// As it is written.
    const fn as_str(self) -> &'static str {
        match self {
            Self::Cloud => "cloud",
            Self::Region => "region",
            Self::Zone => "zone",
            Self::Service => "service",
            Self::Endpoint => "endpoint",
        }
    }
}

/// Why a text is no [`Selector`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelectorError {
    /// It has no words: nobody means everything by saying nothing.
    #[error("the selector is empty: write for instance cloud:aws or service:api region:gcp-*")]
    Empty,
    /// It is too long.
    #[error("the selector is longer than {SELECTOR_OCTETS_MAX} octets or has more than {SELECTOR_WORDS_MAX} words")]
    TooLong,
    /// A word does not say what it looks at.
    #[error("{0:?} does not say what it looks at: write for instance region:{0}")]
    Bare(Box<str>),
    /// A word looks at nothing that there is.
    #[error("{word:?} is not what endpoints have: they have cloud, region, zone, service, endpoint{}", .hint.as_ref().map(|hint| format!("; {hint}")).unwrap_or_default())]
    Unknown {
        /// What it looks at.
        word: Box<str>,
        /// What was probably meant.
        hint: Option<Box<str>>,
    },
    /// A word has nothing after the colon.
    #[error("{0:?} says no name; {0}* is any")]
    NoPattern(Box<str>),
    /// A word has characters that no name has.
    #[error("{0:?} has characters that no name has")]
    BadPattern(Box<str>),
}

impl FromStr for Selector {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Self, SelectorError> {
        if text.len() > SELECTOR_OCTETS_MAX {
            return Err(SelectorError::TooLong);
        }
        let mut words = Vec::new();
        for word in text.split_ascii_whitespace() {
            let (field, pattern) = word.split_once(':').ok_or_else(|| SelectorError::Bare(word.into()))?;
            let known = Field::ALL.into_iter().find(|known| known.as_str() == field);
            let field = known.ok_or_else(|| {
                let hint = Hints::default().did_you_mean(field, Field::ALL.map(Field::as_str));
                SelectorError::Unknown { word: field.into(), hint: hint.map(Into::into) }
            })?;
            if pattern.is_empty() {
                return Err(SelectorError::NoPattern(word.into()));
            }
            if !pattern.bytes().all(|octet| octet.is_ascii_graphic() && !matches!(octet, b'"' | b':' | b',')) {
                return Err(SelectorError::BadPattern(word.into()));
            }
            // Names of DNS know no case, and the catalog has them in lower case.
            let pattern = match field {
                Field::Zone | Field::Service => pattern.strip_suffix('.').filter(|rest| !rest.is_empty()).unwrap_or(pattern).to_ascii_lowercase(),
                _ => pattern.to_owned(),
            };
            words.push(Word { field, pattern: pattern.into() });
        }
        words.sort();
        words.dedup();
        match words.len() {
            0 => Err(SelectorError::Empty),
            1..=SELECTOR_WORDS_MAX => Ok(Self { words: words.into() }),
            _ => Err(SelectorError::TooLong),
        }
    }
}

/// As it is read.
impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, word) in self.words.iter().enumerate() {
            let space = if index == 0 { "" } else { " " };
            write!(f, "{space}{}:{}", word.field.as_str(), word.pattern)?;
        }
        Ok(())
    }
}

impl TryFrom<String> for Selector {
    type Error = SelectorError;

    fn try_from(text: String) -> Result<Self, SelectorError> {
        text.parse()
    }
}

impl From<Selector> for String {
    fn from(selector: Selector) -> Self {
        selector.to_string()
    }
}

impl Selector {
    /// The endpoints of a catalog that match every word, ascending.
    #[must_use]
    pub fn endpoints(&self, catalog: &Catalog) -> Box<[EndpointId]> {
        select(&self.words, catalog)
    }

    /// Why nothing matches, for people, with the name that was probably meant. To be asked when nothing does.
    #[must_use]
    pub fn why_nothing(&self, catalog: &Catalog) -> String {
        let Some(wrong) = self.words.iter().find(|word| select(std::slice::from_ref(word), catalog).is_empty()) else {
            return "each word matches something, and no endpoint matches all of them".to_owned();
        };
        let hints = Hints::default();
        let near = match wrong.field {
            Field::Cloud => hints.nearest(&wrong.pattern, catalog.regions.iter().map(|region| &*region.cloud)).map(str::to_owned),
            Field::Region => hints.nearest(&wrong.pattern, catalog.regions.iter().map(|region| &*region.name)).map(str::to_owned),
            Field::Endpoint => hints.nearest(&wrong.pattern, catalog.endpoints.iter().map(|endpoint| &*endpoint.name)).map(str::to_owned),
            Field::Zone => {
                let names: Vec<String> = catalog.zones.iter().map(|zone| zone.name.to_string()).collect();
                hints.nearest(&wrong.pattern, names.iter().map(String::as_str)).map(str::to_owned)
            }
            Field::Service => catalog.service_nearly_called(&wrong.pattern),
        };
        let field = wrong.field.as_str();
        let near = near.map(|near| format!("{field}:{near}"));
        format!("no endpoint has {field}:{}{}", wrong.pattern, or_near(near.as_deref()))
    }
}

/// The endpoints that match every one of some words. Regions, zones and services are looked at once each, not once for each endpoint.
fn select(words: &[Word], catalog: &Catalog) -> Box<[EndpointId]> {
    let of = |field: Field| words.iter().filter(move |word| word.field == field).map(|word| &*word.pattern);
    let all = |field: Field, text: &str| of(field).all(|pattern| glob(pattern, text));
    let has = |field: Field| of(field).next().is_some();
    let regions: Option<RegionSet> = (has(Field::Cloud) || has(Field::Region)).then(|| {
        let fits = catalog.regions.iter().zip((0..).map(RegionId));
        fits.filter(|(region, _)| all(Field::Cloud, &region.cloud) && all(Field::Region, &region.name)).map(|(_, id)| id).collect()
    });
    let zones: Vec<bool> = catalog.zones.iter().map(|zone| !has(Field::Zone) || all(Field::Zone, &zone.name.to_string())).collect();
    let (by_service, by_endpoint) = (has(Field::Service), has(Field::Endpoint));
    let is_named = |service: &Service| {
        !by_service || {
            let name = service.name.to_string();
            of(Field::Service).all(|pattern| glob(pattern, &service.label) || glob(pattern, &name))
        }
    };
    let mut found = Vec::new();
    for service in &catalog.services {
        if !zones.get(service.zone.index()).copied().unwrap_or(false) || !is_named(service) {
            continue;
        }
        for (id, endpoint) in catalog.endpoints_of(service) {
            if regions.as_ref().is_none_or(|regions| regions.has(endpoint.region)) && (!by_endpoint || all(Field::Endpoint, &endpoint.name)) {
                found.push(id);
            }
        }
    }
    found.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_in_any_order_are_one_selector() {
        let selector: Selector = " service:API.  region:gcp-* service:api ".parse().unwrap();
        assert_eq!(selector.to_string(), "region:gcp-* service:api");
        assert_eq!("service:api region:gcp-*".parse(), Ok(selector));
    }

    #[test]
    fn what_is_wrong_with_a_selector_is_told() {
        let told = |text: &str| text.parse::<Selector>().unwrap_err().to_string();
        assert!(told("  ").contains("empty"));
        assert!(told("aws").contains("write for instance region:aws"));
        assert!(told("regoin:aws").contains("did you mean \"region\"?"));
        assert!(told("tag:sovereign").contains("they have cloud, region, zone, service, endpoint"));
        assert!(told("cloud:").contains("cloud:* is any"));
        assert!(told("cloud:é").contains("characters that no name has"));
        assert!(told(&"cloud:a ".repeat(100)).contains("longer than"));
        assert!(told("cloud:1 cloud:2 cloud:3 cloud:4 cloud:5 cloud:6 cloud:7 cloud:8 cloud:9").contains("more than 8 words"));
    }
}
