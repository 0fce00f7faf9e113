//! What of probes and look-ups is counted.

use std::sync::Arc;

use crate::catalog::ProbeSpec;
use crate::control::Lookup;
use crate::health::Observation;
use crate::probe::Meter;
use crate::resolve;
use crate::telemetry::Telemetry;

/// Counts what probes and look-ups do.
pub(super) struct ProbeMeter(pub(super) Arc<Telemetry>);

impl Meter for ProbeMeter {
    fn probed(&self, spec: &ProbeSpec, observation: &Observation) {
        self.0.count_probe(spec, observation);
    }

    fn dropped(&self) {
        self.0.count_dropped(1);
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
