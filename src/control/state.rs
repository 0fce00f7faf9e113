//! What outlives the process: health by names, so that a restart does not forget who was down.
//!
//! Plain data; `state_file` reads and writes it. Keys are stable: adding one is compatible, renaming one is not.

use std::hash::{Hash, Hasher};
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::overrides::Move;
use crate::catalog::{AddressType, Alias, Catalog, Endpoint, ProbeSpec};
use crate::health::Health;

/// Everything that is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct State {
    /// When it was taken, in milliseconds since the Unix epoch.
    pub saved: u64,
    /// Endpoints of which something is known, in the catalog's order.
    pub endpoints: Vec<EndpointState>,
    /// Aliases that were resolved, in the catalog's order.
    #[serde(default)]
    pub aliases: Vec<AliasState>,
    /// Services with tiers that were left and not released since, in the catalog's order.
    #[serde(default)]
    pub failback: Vec<FailbackState>,
    /// When reloads moved clients and how many, earliest first, as far back as a safety rule may look.
    #[serde(default)]
    pub moves: Vec<Move>,
}

/// What is kept of the tiers of a service. They are known by their endpoints: a reload may number them anew.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct FailbackState {
    /// The service's owner name.
    pub service: Box<str>,
    /// The endpoints of tiers that were left.
    pub latched: Vec<Box<str>>,
    /// The others.
    pub others: Vec<Box<str>>,
}

/// What is kept of an alias.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct AliasState {
    /// Its name.
    pub name: Box<str>,
    /// The type of the addresses.
    #[serde(rename = "type")]
    pub of: AddressType,
    /// The addresses.
    pub addresses: Box<[IpAddr]>,
    /// When they were found, in milliseconds since the Unix epoch.
    pub found: u64,
}

/// What is kept of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct EndpointState {
    /// The service's owner name.
    pub service: Box<str>,
    /// The endpoint's key.
    pub endpoint: Box<str>,
    /// [`addresses_digest`] of what it answered with. If that is another by now, nothing is restored.
    pub addresses: u64,
    /// Its probes, those that were measured.
    pub probes: Vec<ProbeState>,
}

/// What is kept of a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ProbeState {
    /// [`spec_digest`] of what was asked. If no probe has it by now, nothing is restored.
    pub spec: u64,
    /// The verdict.
    pub health: Health,
    /// When the last evidence for it was observed, in milliseconds since the Unix epoch.
    pub observed: u64,
}

/// Tells specifications apart across processes: the same on every run.
#[must_use]
pub fn spec_digest(spec: &ProbeSpec) -> u64 {
    digest(spec)
}

/// Tells apart what an endpoint answers with.
#[must_use]
pub fn addresses_digest(catalog: &Catalog, endpoint: &Endpoint) -> u64 {
    let written = (&endpoint.a, &endpoint.aaaa, &endpoint.cname);
    match alias_of(catalog, endpoint) {
        None => digest(&written),
        Some(alias) => digest(&(written, &alias.name)),
    }
}

/// The alias of an endpoint.
pub(super) fn alias_of<'c>(catalog: &'c Catalog, endpoint: &Endpoint) -> Option<&'c Alias> {
    endpoint.alias.map(|alias| catalog.alias(alias.id))
}

/// FNV-1a over what the value hashes: std's own hasher does not promise to stay the same from release to release.
fn digest(value: &impl Hash) -> u64 {
    let mut hasher = Fnv(0xcbf2_9ce4_8422_2325);
    value.hash(&mut hasher);
    hasher.finish()
}

/// Its running sum.
struct Fnv(u64);

impl Hasher for Fnv {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, octets: &[u8]) {
        for &octet in octets {
            self.0 = (self.0 ^ u64::from(octet)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}
