//! Who would move, told for operators: the client mix, decided for in both worlds by the very code that answers.
//!
//! Clients are where addresses are. Every service counts the same, for nobody tells how many clients each has.

use crate::catalog::{EndpointId, ServiceId};
use crate::demand::{Mix, moves};
use crate::limits::{MOVED_SERVICES, MOVED_SERVICES_TOLD};
use crate::steer::ALL_CLIENTS;
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

/// Tells who would move between two worlds of one catalog and geography, from a part of the services where there are many.
#[must_use]
pub fn moved(before: &World, after: &World) -> Moved {
    let catalog = &before.catalog;
    let differs = |id: &ServiceId| before.statuses_of(catalog.service(*id)) != after.statuses_of(catalog.service(*id));
    let touched: Vec<ServiceId> = (0..).map(ServiceId).take(catalog.services.len()).filter(differs).collect();
    let endpoints = before.statuses.of.iter().zip(&after.statuses.of).filter(|(was, is)| was != is).count();
    let mix = Mix::of_addresses(&before.geo);
    let asked: Vec<ServiceId> = every(&touched, MOVED_SERVICES).copied().collect();
    let (mut told, mut sum) = (Vec::new(), 0);
    for id in &asked {
        let moves = moves(*id, before, after, &mix);
        let gone: u128 = moves.values().map(|share| u128::from(*share)).sum();
        sum += gone;
        if gone > 0 {
            let name = |endpoint: Option<EndpointId>| endpoint.map(|id| catalog.endpoint(id).name.clone());
            let way = |((from, to), part): (_, u64)| Way { from: name(from), to: name(to), clients: share(part.into(), 1) };
            let mut ways: Vec<Way> = moves.into_iter().map(way).collect();
            ways.sort_by(|one, other| other.clients.cmp(&one.clients).then_with(|| (&one.from, &one.to).cmp(&(&other.from, &other.to))));
            told.push(ServiceMoved { service: catalog.service(*id).name.to_string().into(), clients: share(gone, 1), ways });
        }
    }
    told.sort_by(|one, other| other.clients.cmp(&one.clients).then_with(|| one.service.cmp(&other.service)));
    told.truncate(MOVED_SERVICES_TOLD);
    // The services that were asked stand for all that are touched; of the others nobody moves.
    let clients = share(sum * touched.len() as u128, asked.len() * catalog.services.len());
    Moved { clients, endpoints, services: touched.len(), told }
}

/// At most so many of a list, evenly.
pub(in crate::control) fn every<T>(all: &[T], most: usize) -> impl Iterator<Item = &T> {
    let asked = all.len().min(most);
    (0..asked).map(move |index| &all[index * all.len() / asked])
}

/// A part of the clients of so many services, in thousandths; what is moved at all is never told as nothing.
pub(in crate::control) fn share(part: u128, services: usize) -> Permille {
    let whole = u128::from(ALL_CLIENTS) * services as u128;
    // Shares are rounded down on the way, so a few units less than the whole are the whole.
    let thousandths = (part * 1_000 + whole / 100_000) / whole.max(1);
    match part {
        0 => Permille(0),
        _ => Permille(u16::try_from(thousandths.clamp(1, 1_000)).unwrap_or(1_000)),
    }
}
