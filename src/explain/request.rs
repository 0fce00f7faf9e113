//! Questions as people put them: names, clients, regions in words.

use std::net::IpAddr;

use super::{Explanation, Question, explain, with_regions_down};
use crate::catalog::{Content, Name, NameError, RegionId, RegionSet, ServiceId, ZoneId, glob};
use crate::near::{Hints, or_near};
use crate::steer::Family;
use crate::world::World;

/// A question as people put it, on a command line or in an URL.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The owner name.
    pub name: &'a str,
    /// The client: an address, or a prefix as in `192.0.2.0/24`.
    pub client: &'a str,
    /// The type, in any case; absent it is `A`.
    pub qtype: Option<&'a str>,
    /// Regions taken as down: names, globs with `*`, or `cloud:NAME`, separated by commas.
    pub down: &'a str,
}

/// Why a question has no explanation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// The name does not read.
    #[error("{0:?} is no name: {1}")]
    BadName(String, #[source] NameError),
    /// The client does not read.
    #[error("{0:?} is neither an address nor a prefix such as 192.0.2.0/24")]
    BadClient(String),
    /// The type is none that a service answers.
    #[error("{0:?} is not steered: ask for A, AAAA, HTTPS, CNAME or ANY")]
    BadType(String),
    /// No region is meant.
    #[error(transparent)]
    NoSuchRegion(#[from] NoSuchRegion),
    /// The name is ours, and nothing is steered there.
    #[error("{name} is not steered{}", or_near(.near.as_deref()))]
    NotSteered {
        /// The name.
        name: Name,
        /// The service that was probably meant.
        near: Option<String>,
    },
    /// No zone holds the name.
    #[error("{name} is in no zone here{}", or_near(.near.as_deref()))]
    NotOurs {
        /// The name.
        name: Name,
        /// The service that was probably meant.
        near: Option<String>,
    },
}

/// No region is meant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no region is called {word:?}{}", or_near(.near.as_deref()))]
pub struct NoSuchRegion {
    /// What should have been one.
    word: String,
    /// The one that was probably meant.
    near: Option<String>,
}

/// Explains what people ask.
///
/// # Errors
/// [`RequestError`] when the question does not read or asks for nothing that is steered.
pub fn explain_request(request: &Request<'_>, world: &World) -> Result<Explanation, RequestError> {
    let name: Name = request.name.parse().map_err(|error| RequestError::BadName(request.name.to_owned(), error))?;
    let (address, source_len) = parse_client(request.client).ok_or_else(|| RequestError::BadClient(request.client.to_owned()))?;
    let family = match request.qtype.map(str::to_ascii_uppercase).as_deref() {
        None | Some("A") => Family::V4,
        Some("AAAA") => Family::V6,
        Some("HTTPS" | "CNAME" | "ANY") => Family::Any,
        Some(other) => return Err(RequestError::BadType(other.to_owned())),
    };
    let catalog = &world.catalog;
    let near = || catalog.service_nearly_called(request.name);
    let service = match find(&name, world) {
        Named::Service(service) => service,
        Named::Static(_) => return Err(RequestError::NotSteered { name, near: near() }),
        Named::NotOurs => catalog.service_called(request.name).ok_or_else(|| RequestError::NotOurs { name, near: near() })?,
    };
    let question = Question { service, family, address, source_len };
    let mut down = RegionSet::NONE;
    for word in request.down.split(',').map(str::trim).filter(|word| !word.is_empty()) {
        regions_named(world, word)?.iter().for_each(|region| down.insert(region));
    }
    Ok(if down.is_empty() { explain(&question, world) } else { explain(&question, &with_regions_down(world, &down)) })
}

/// An address with all its bits, or a prefix.
fn parse_client(text: &str) -> Option<(IpAddr, u8)> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some((address, if address.is_ipv4() { 32 } else { 128 }));
    }
    let prefix: ipnet::IpNet = text.parse().ok()?;
    Some((prefix.network(), prefix.prefix_len()))
}

/// The regions that a word names: one region, or all that a glob with `*` matches, or `cloud:NAME`.
///
/// # Errors
/// [`NoSuchRegion`] when there is none.
pub fn regions_named(world: &World, word: &str) -> Result<RegionSet, NoSuchRegion> {
    let regions = || (0_u16..).map(RegionId).zip(&world.catalog.regions);
    let meant: RegionSet = match word.strip_prefix("cloud:") {
        Some(cloud) => regions().filter(|(_, region)| region.cloud.as_ref() == cloud).map(|(id, _)| id).collect(),
        None => regions().filter(|(_, region)| glob(word, &region.name)).map(|(id, _)| id).collect(),
    };
    if !meant.is_empty() {
        return Ok(meant);
    }
    let hints = Hints::default();
    let near = match word.strip_prefix("cloud:") {
        Some(cloud) => hints.nearest(cloud, regions().map(|(_, region)| &*region.cloud)).map(|cloud| format!("cloud:{cloud}")),
        None => hints.nearest(word, regions().map(|(_, region)| &*region.name)).map(str::to_owned),
    };
    Err(NoSuchRegion { word: word.to_owned(), near })
}

/// What a name is, when it is asked to be explained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named {
    /// A service: it can be explained.
    Service(ServiceId),
    /// A name of ours with static records, or below one: nothing is steered there.
    Static(ZoneId),
    /// No zone of ours holds it.
    NotOurs,
}

/// What `name` is: an exact service, a service by wildcard, a static name, or not ours.
#[must_use]
pub fn find(name: &Name, world: &World) -> Named {
    let catalog = &world.catalog;
    if let Some(service) = catalog.service_named(name) {
        return Named::Service(service);
    }
    let mut ancestor = Some(name.clone());
    while let Some(candidate) = ancestor {
        if let Some(node) = catalog.owners.find(&candidate) {
            let node = catalog.owners.node(node);
            let source = if candidate == *name { None } else { node.wildcard };
            return match source.map(|id| &catalog.owners.node(id).content) {
                Some(Content::Service { service, .. }) => Named::Service(*service),
                _ => Named::Static(node.zone),
            };
        }
        ancestor = candidate.parent();
    }
    Named::NotOurs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_an_address_or_a_prefix() {
        assert_eq!(parse_client("192.0.2.1"), Some(([192, 0, 2, 1].into(), 32)));
        assert_eq!(parse_client("192.0.2.1/24"), Some(([192, 0, 2, 0].into(), 24)));
        assert_eq!(parse_client("2001:db8::/32").map(|(_, len)| len), Some(32));
        for wrong in ["", "192.0.2.0/33", "192.0.2", "2001:db8::/129", "192.0.2.0/", "192.0.2.0/-1"] {
            assert_eq!(parse_client(wrong), None, "{wrong}");
        }
    }
}
