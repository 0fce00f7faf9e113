//! What of probes, look-ups and drills is counted, and what drills are told of counts.

use std::sync::Arc;
use std::time::Duration;

use crate::catalog::ProbeSpec;
use crate::control::Lookup;
use crate::control::drills::Answers;
use crate::health::Observation;
use crate::limits;
use crate::probe::Meter;
use crate::publish::DrillMeter;
use crate::resolve;
use crate::telemetry::Telemetry;
use crate::world::World;

/// Counts what probes, look-ups and drills do.
pub(super) struct ProbeMeter(pub(super) Arc<Telemetry>);

impl Meter for ProbeMeter {
    fn probed(&self, spec: &ProbeSpec, observation: &Observation) {
        self.0.count_probe(spec, observation);
    }

    fn dropped(&self) {
        self.0.count_dropped(1);
    }
}

impl DrillMeter for ProbeMeter {
    fn answers(&self, world: &World) -> Option<Answers> {
        self.0.drill_answers(world)
    }

    fn over(&self, aborted: bool) {
        self.0.count_drill(aborted);
    }
}

impl resolve::Meter for ProbeMeter {
    fn looked_up(&self, lookup: &Lookup) {
        self.0.count_lookup(lookup);
    }

    fn dropped(&self) {
        self.0.count_dropped(1);
    }

    fn unusable(&self, addresses: u32) {
        self.0.count_unusable(addresses);
    }
}

/// Folds histogram samples now and then, so that they do not pile up where nobody scrapes.
pub(super) async fn keep_up(telemetry: std::sync::Weak<Telemetry>) {
    while let Some(telemetry) = telemetry.upgrade() {
        telemetry.upkeep();
        drop(telemetry);
        tokio::time::sleep(Duration::from_millis(limits::TELEMETRY_UPKEEP_MS)).await;
    }
}
