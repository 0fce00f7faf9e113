//! Crowds: how many addresses are at each place, for what is told of "the clients" without knowing who asks.
//!
//! Addresses are no clients, but they are what a database knows of them: forecasts, previews and the spill of load take them as the client mix where
//! nothing better is declared.

use std::net::{IpAddr, Ipv4Addr};

use super::compile::Ranges;
use super::record::Code;
use super::{Locality, LocalityId};
use crate::limits::CROWDS_MAX;

/// The addresses of one place, or of the small places of a country.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crowd {
    /// One of them.
    pub at: Ipv4Addr,
    /// Where they are.
    pub locality: LocalityId,
    /// In which country; `None` only where no country of any address is known.
    pub country: Option<Code>,
    /// How many IPv4 addresses they have.
    pub addresses: u64,
}

/// Counts addresses by place: the [`CROWDS_MAX`] largest by themselves, smaller ones with the largest of their country, and where a country has none,
/// with the largest of all.
pub(super) fn of(ranges: &Ranges<u32>, localities: &[Locality]) -> Box<[Crowd]> {
    let mut by_place: Vec<Option<(Crowd, u64)>> = vec![None; localities.len()];
    let ends = ranges.starts.iter().skip(1).map(|start| start - 1).chain([u32::MAX]);
    for ((start, end), place) in ranges.starts.iter().zip(ends).zip(&ranges.places) {
        let locality = &localities[usize::from(*place)];
        let at = Ipv4Addr::from_bits(*start);
        if super::is_special(IpAddr::V4(at), 32) {
            continue;
        }
        let addresses = u64::from(end - start) + 1;
        let fresh = Crowd { at, locality: LocalityId(*place), country: locality.country, addresses: 0 };
        let (crowd, largest) = by_place[usize::from(*place)].get_or_insert((fresh, 0));
        crowd.addresses += addresses;
        if addresses > *largest {
            (crowd.at, *largest) = (at, addresses);
        }
    }
    let mut crowds: Vec<Crowd> = by_place.into_iter().flatten().map(|(crowd, _)| crowd).collect();
    if crowds.iter().any(|crowd| crowd.country.is_some()) {
        crowds.retain(|crowd| crowd.country.is_some());
    }
    crowds.sort_unstable_by_key(|crowd| (std::cmp::Reverse(crowd.addresses), crowd.at));
    let small = crowds.split_off(crowds.len().min(CROWDS_MAX));
    for crowd in small {
        let host = crowds.iter().position(|large| large.country == crowd.country).unwrap_or(0);
        crowds[host].addresses += crowd.addresses;
    }
    crowds.into()
}
