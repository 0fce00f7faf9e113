//! Who would move: clients are drawn, and decided for in both worlds by the very code that answers.
//!
//! The one place that knows how many clients there are and where. Until that is told, every place that the geography tells apart, and every
//! service, counts the same.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use crate::catalog::{EndpointId, ServiceId};
use crate::geo::{LocalityId, Place};
use crate::limits::{MOVED_CLIENTS, MOVED_LOCALITIES, MOVED_SERVICES, MOVED_SERVICES_TOLD, V4_HASHED_MAX};
use crate::steer::{Ask, Client, Decision, Family, Silent, Verdict, decide};
use crate::units::Permille;
use crate::world::World;

/// Who would move from one world to another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// Share of all clients of all services.
    pub clients: Permille,
    /// Endpoints whose status would be another.
    pub endpoints: usize,
    /// Services that have such endpoints.
    pub services: usize,
    /// Those of whose clients most would move, [`MOVED_SERVICES_TOLD`] at most.
    pub told: Vec<ServiceMoved>,
}

/// Whose clients of a service would move, and where to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceMoved {
    /// The service's owner name.
    pub service: Box<str>,
    /// Share of its clients.
    pub clients: Permille,
    /// From where to where; the most clients first.
    pub ways: Vec<Way>,
}

/// Clients of a service that would go from one endpoint to another. An endpoint is absent where there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way {
    /// Where they go now.
    pub from: Option<Box<str>>,
    /// Where they would go.
    pub to: Option<Box<str>>,
    /// Share of the service's clients.
    pub clients: Permille,
}

/// Tells who would move between two worlds of one catalog and geography: a deterministic sample of places, services and clients.
#[must_use]
pub fn moved(before: &World, after: &World) -> Moved {
    let catalog = &before.catalog;
    let differs = |id: &ServiceId| before.statuses_of(catalog.service(*id)) != after.statuses_of(catalog.service(*id));
    let touched: Vec<ServiceId> = (0..).map(ServiceId).take(catalog.services.len()).filter(differs).collect();
    let endpoints = before.statuses.of.iter().zip(&after.statuses.of).filter(|(was, is)| was != is).count();
    let places: Vec<LocalityId> = every(before.geo.localities().map(|(id, _)| id).collect(), MOVED_LOCALITIES);
    let asked = every(touched.clone(), MOVED_SERVICES);
    let drawn = places.len() * MOVED_CLIENTS as usize;
    let (mut told, mut sum) = (Vec::new(), 0);
    for id in &asked {
        let ways = ways(*id, &places, before, after);
        let gone: usize = ways.values().sum();
        sum += gone;
        if gone > 0 {
            let name = |endpoint: Option<EndpointId>| endpoint.map(|id| catalog.endpoint(id).name.clone());
            let way = |((from, to), count)| Way { from: name(from), to: name(to), clients: share(count, drawn) };
            let mut ways: Vec<Way> = ways.into_iter().map(way).collect();
            ways.sort_by(|one, other| other.clients.cmp(&one.clients).then_with(|| (&one.from, &one.to).cmp(&(&other.from, &other.to))));
            told.push(ServiceMoved { service: catalog.service(*id).name.to_string().into(), clients: share(gone, drawn), ways });
        }
    }
    told.sort_by(|one, other| other.clients.cmp(&one.clients).then_with(|| one.service.cmp(&other.service)));
    told.truncate(MOVED_SERVICES_TOLD);
    // The services that were asked stand for all that are touched; of the others nobody moves.
    let clients = share(sum * touched.len(), drawn * asked.len() * catalog.services.len());
    Moved { clients, endpoints, services: touched.len(), told }
}

/// How many drawn clients of a service go from where to where.
fn ways(service: ServiceId, places: &[LocalityId], before: &World, after: &World) -> BTreeMap<(Option<EndpointId>, Option<EndpointId>), usize> {
    let mut ways = BTreeMap::new();
    for &locality in places {
        // Where a drawn address is has nothing to do with the place that it stands for.
        let place = Place { locality, leaf: V4_HASHED_MAX, wide: false };
        let drawn = |number: u32| {
            let bits = number.wrapping_mul(0x9e_3779).wrapping_add(u32::from(locality.0)) << 8;
            let mut client = Client::at(Ipv4Addr::from_bits(bits).into(), V4_HASHED_MAX, &before.geo);
            client.place = place;
            client
        };
        let ask = Ask { service, client: drawn(0), family: Family::Any };
        let (was, is) = (decide(&ask, before, &mut Silent), decide(&ask, after, &mut Silent));
        for number in 0..MOVED_CLIENTS {
            let client = drawn(number);
            let first = |decision: &Decision, world: &World| {
                let chosen = decision.choose(&client, world);
                if chosen.verdict == Verdict::Serve { chosen.endpoints().first().copied() } else { None }
            };
            let (from, to) = (first(&was, before), first(&is, after));
            if from != to {
                *ways.entry((from, to)).or_default() += 1;
            }
        }
    }
    ways
}

/// At most so many of a list, evenly.
fn every<T: Copy>(all: Vec<T>, most: usize) -> Vec<T> {
    if all.len() <= most { all } else { (0..most).map(|index| all[index * all.len() / most]).collect() }
}

/// A part of a whole; what is moved at all is never told as nothing.
fn share(part: usize, whole: usize) -> Permille {
    match (part, whole) {
        (0, _) | (_, 0) => Permille(0),
        _ => Permille(u16::try_from((part as u128 * 1_000).div_ceil(whole as u128)).unwrap_or(1_000).min(1_000)),
    }
}
