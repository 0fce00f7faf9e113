//! The score: integer microseconds of latency-equivalent, lower is better, each term a line of a bill.
//!
//! `score = rtt + price + load + penalty + bias`
//!
//! Every term is within ± [`SCORE_TERM_MAX`], so sums never overflow.

use super::eligible::Eligible;
use super::{Ask, Step, Witness};
use crate::catalog::{EndpointId, Load, Row, Service};
use crate::health::Status;
use crate::limits::{ENDPOINTS_PER_SERVICE_MAX, SCORE_TERM_MAX};
use crate::units::{Micros, Permille};
use crate::world::World;

/// The field with what each endpoint of it costs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ranked {
    /// Who may be answered.
    pub(super) eligible: Eligible,
    /// Score by index within the service; of endpoints in the field, and of missing and moving ones, which may matter. What a curious witness
    /// made score besides is never read.
    pub(super) scores: [i64; ENDPOINTS_PER_SERVICE_MAX],
}

impl Ranked {
    /// With nothing scored yet.
    #[inline]
    pub(super) const fn of(eligible: Eligible) -> Self {
        Self { eligible, scores: [0; ENDPOINTS_PER_SERVICE_MAX] }
    }
}

/// Scores every endpoint of the field. Missing and moving ones are scored, too: the choice asks whether they might change it.
#[inline]
pub(super) fn rank<W: Witness>(ask: &Ask, world: &World, ranked: &mut Ranked, witness: &mut W) {
    let service = world.catalog.service(ask.service);
    let rtt = world.geo.rtt_row(ask.client.place.locality);
    let statuses = world.statuses_of(service);
    let wanted = if W::CURIOUS { service.lineup.all() } else { ranked.eligible.field | ranked.eligible.missing | ranked.eligible.moving };
    let rows = service.lineup.rows.iter().zip(statuses).zip(&mut ranked.scores);
    for (index, ((row, status), score)) in (0_u32..).zip(rows) {
        if wanted >> index & 1 == 0 {
            continue;
        }
        let rtt = i64::from(rtt[row.region.index()]);
        *score = rtt + row.cost + dynamic(service, status);
        if W::CURIOUS {
            witness.see(bill(EndpointId(service.endpoints.start + index), row, rtt, *score, world));
        }
    }
}

/// The terms that change with the status: load and penalties.
#[inline]
fn dynamic(service: &Service, status: &Status) -> i64 {
    if status.load <= service.load.target && status.penalty == Micros::ZERO && !status.is_degraded() {
        return 0;
    }
    load_term(status.load, service.load).0 + penalty(service, status)
}

/// Degraded health, a cold region.
fn penalty(service: &Service, status: &Status) -> i64 {
    let degraded = if status.is_degraded() { service.degraded_penalty.0 } else { 0 };
    status.penalty.0.saturating_add(degraded).clamp(-SCORE_TERM_MAX, SCORE_TERM_MAX)
}

/// What load costs: nothing up to the target, then with the square of the excess, `at_capacity` at the whole capacity.
fn load_term(load: Permille, terms: Load) -> Micros {
    let over = i64::from(load.0.saturating_sub(terms.target.0));
    if over == 0 {
        return Micros::ZERO;
    }
    let span = i64::from(Permille::WHOLE.0.saturating_sub(terms.target.0)).max(1);
    Micros((terms.at_capacity.0.saturating_mul(over * over) / (span * span)).clamp(-SCORE_TERM_MAX, SCORE_TERM_MAX))
}

/// The terms of a score, told apart for a witness.
#[cold]
fn bill(endpoint: EndpointId, row: &Row, rtt: i64, total: i64, world: &World) -> Step {
    let (status, written) = (world.status(endpoint), world.catalog.endpoint(endpoint));
    let service = world.catalog.service(written.service);
    let penalty = penalty(service, status);
    // Price and bias are one number in the row; what the price does not explain is bias.
    let price = written.price.micros.0.clamp(-SCORE_TERM_MAX, SCORE_TERM_MAX);
    Step::Scored {
        endpoint,
        rtt: Micros(rtt),
        price: Micros(price),
        load: Micros(total - rtt - row.cost - penalty),
        penalty: Micros(penalty),
        bias: Micros(row.cost - price),
        total: Micros(total),
    }
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
