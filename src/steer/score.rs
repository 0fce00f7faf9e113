//! The score: integer microseconds of latency-equivalent, lower is better, each term a line of a bill.
//!
//! `score = rtt + price + load + penalty + bias`

use super::decision::Bits;
use super::eligible::Eligible;
use super::{Ask, Step, Witness};
use crate::catalog::{Endpoint, EndpointId, Load, Service};
use crate::health::Status;
use crate::limits::ENDPOINTS_PER_SERVICE_MAX;
use crate::units::{Micros, Permille};
use crate::world::World;

/// The field with what each endpoint of it costs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ranked {
    /// Who may be answered.
    pub(super) eligible: Eligible,
    /// Score by index within the service; of endpoints in the field, and of missing ones, whose recovery may matter. What a curious witness made score
    /// besides is never read.
    pub(super) scores: [i64; ENDPOINTS_PER_SERVICE_MAX],
}

/// Scores every endpoint of the field. Missing ones are scored, too: the choice asks whether their recovery would change it.
pub(super) fn rank<W: Witness>(ask: &Ask, world: &World, eligible: Eligible, witness: &mut W) -> Ranked {
    let service = world.catalog.service(ask.service);
    let rtt = world.geo.rtt_row(ask.client.located.locality);
    let mut ranked = Ranked { eligible, scores: [0; ENDPOINTS_PER_SERVICE_MAX] };
    let mut rest = if W::CURIOUS { every(service) } else { eligible.field | eligible.missing };
    while rest != 0 {
        let index = rest.trailing_zeros();
        rest &= rest - 1;
        let id = EndpointId(service.endpoints.start + index);
        let endpoint = world.catalog.endpoint(id);
        let bill = Bill::of(endpoint, service, world.status(id), Micros(i64::from(rtt[endpoint.region.index()])));
        ranked.scores[index as usize % ENDPOINTS_PER_SERVICE_MAX] = bill.total().0;
        witness.see(bill.step(id));
    }
    ranked
}

/// The bits of all endpoints of the service.
fn every(service: &Service) -> Bits {
    let count = service.endpoints.len().min(ENDPOINTS_PER_SERVICE_MAX);
    if count == 0 { 0 } else { Bits::MAX >> (ENDPOINTS_PER_SERVICE_MAX - count) }
}

/// The terms of one endpoint's score.
#[derive(Clone, Copy, Debug)]
struct Bill {
    /// Round-trip time.
    rtt: Micros,
    /// Price of the requests.
    price: Micros,
    /// Nearness to capacity.
    load: Micros,
    /// Degraded health, a cold region.
    penalty: Micros,
    /// The operator's.
    bias: Micros,
}

impl Bill {
    /// Makes out the bill.
    #[inline]
    fn of(endpoint: &Endpoint, service: &Service, status: &Status, rtt: Micros) -> Self {
        let degraded = if status.is_degraded() { service.degraded_penalty } else { Micros::ZERO };
        Self { rtt, price: endpoint.price.micros, load: load_term(status.load, service.load), penalty: status.penalty.plus(degraded), bias: endpoint.bias }
    }

    /// The sum, held at the ends of the range.
    #[inline]
    fn total(&self) -> Micros {
        self.rtt.plus(self.price).plus(self.load).plus(self.penalty).plus(self.bias)
    }

    /// As a witness sees it.
    fn step(&self, endpoint: EndpointId) -> Step {
        Step::Scored { endpoint, rtt: self.rtt, price: self.price, load: self.load, penalty: self.penalty, bias: self.bias, total: self.total() }
    }
}

/// What load costs: nothing up to the target, then with the square of the excess, `at_capacity` at the whole capacity.
#[inline]
fn load_term(load: Permille, terms: Load) -> Micros {
    let over = i64::from(load.0.saturating_sub(terms.target.0));
    if over == 0 {
        return Micros::ZERO;
    }
    let span = i64::from(Permille::WHOLE.0.saturating_sub(terms.target.0)).max(1);
    Micros(terms.at_capacity.0.saturating_mul(over * over) / (span * span))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TERMS: Load = Load { target: Permille(700), at_capacity: Micros(90_000) };

    #[test]
    fn load_costs_nothing_up_to_the_target_and_rises_convexly_beyond() {
        let cost = |load| load_term(Permille(load), TERMS).0;
        assert_eq!((cost(0), cost(700)), (0, 0));
        assert_eq!((cost(800), cost(900), cost(1000)), (10_000, 40_000, 90_000));
        assert_eq!(cost(1300), 360_000, "overload costs ever more");
    }

    #[test]
    fn load_never_overflows_and_a_target_of_the_whole_divides_by_nothing() {
        let steep = Load { target: Permille(1000), at_capacity: Micros(1_000_000_000) };
        assert!(load_term(Permille(u16::MAX), steep).0 > 0);
    }
}
