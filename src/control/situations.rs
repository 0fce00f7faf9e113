//! Tells services apart by what their decisions depend on, so that those that are alike share what was decided.
//!
//! A service's *situation* is its profile and the statuses of its endpoints: with the catalog's rules and the geography, all that a decision
//! reads beside the client. Each new one gets a number that no other ever has. Workers keep their decisions under that number: when a region
//! goes down, that is decided once for each place, and not once for each service.

use std::collections::HashMap;

use crate::catalog::{Catalog, ServiceId};
use crate::health::Status;
use crate::limits::SITUATIONS_MAX;
use crate::world::Statuses;

/// Those that are known.
#[derive(Debug, Default)]
pub struct Situations {
    /// Their numbers, by profile and by the statuses of the endpoints.
    known: HashMap<u32, HashMap<Box<[Status]>, u64>>,
    /// How many are known.
    count: usize,
    /// The highest number that was ever given.
    last: u64,
}

impl Situations {
    /// Nothing that was known means anything any more: the catalog or the geography is another. Numbers are not given again.
    pub fn forget(&mut self) {
        self.known.clear();
        self.count = 0;
    }

    /// Says in which situation each service is whose inputs change with this generation.
    pub fn tell(&mut self, catalog: &Catalog, generation: u64, statuses: &mut Statuses) {
        if statuses.situations.len() != catalog.services.len() {
            statuses.situations = vec![0; catalog.services.len()].into();
        }
        let services = statuses.versions.iter().zip(&mut statuses.situations).zip(&catalog.services).zip((0..).map(ServiceId));
        for (((_, situation), service), id) in services.filter(|(((version, _), _), _)| **version == generation) {
            let own = &statuses.of[service.endpoints.start as usize..service.endpoints.end as usize];
            *situation = self.number(catalog, id, own);
        }
    }

    /// The situation of a service whose endpoints have these statuses; 0 where no other service could ever be in it.
    fn number(&mut self, catalog: &Catalog, service: ServiceId, statuses: &[Status]) -> u64 {
        let Some(profile) = catalog.profiles.shared(service) else { return 0 };
        if let Some(number) = self.known.get(&profile).and_then(|known| known.get(statuses)) {
            return *number;
        }
        if self.count >= SITUATIONS_MAX {
            // What was told keeps its number, and its meaning; only who comes to it later gets another.
            self.forget();
        }
        self.last += 1;
        self.count += 1;
        self.known.entry(profile).or_default().insert(statuses.into(), self.last);
        self.last
    }
}
