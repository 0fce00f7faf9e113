//! What came of a scenario: plain data, for people and programs.

use serde::Serialize;

/// What came of one run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// How long it lasted, in milliseconds.
    pub length_ms: u64,
    /// Worlds that were published.
    pub worlds: u64,
    /// Probes that were made.
    pub probes: u64,
    /// What happened and what was done about it, in its order.
    pub timeline: Vec<Entry>,
    /// Entries that the timeline has no room for.
    pub more: u64,
    /// What came of everything that went down.
    pub failures: Vec<Failure>,
    /// The highest loads, by service and endpoint; those that have a capacity and a demand.
    pub loads: Vec<Load>,
    /// The most moves of one client in an hour, in thousandths; and of which service.
    pub moves_per_hour: u64,
    /// Whose clients those are.
    pub most_moved: Option<Box<str>>,
    /// What was expected and did not hold.
    pub breaches: Vec<Breach>,
}

/// A line of the timeline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Entry {
    /// When, in milliseconds from the start.
    pub at_ms: u64,
    /// `event`, `health`, `tier`, `moved` or `stale`.
    pub kind: &'static str,
    /// What, for people.
    pub text: String,
}

/// What came of something that went down. Times are milliseconds from then.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Failure {
    /// When it went down, in milliseconds from the start.
    pub at_ms: u64,
    /// What, for people.
    pub what: String,
    /// Until the first probe failed.
    pub detected_ms: Option<u64>,
    /// Until a world said of all its endpoints that they are down; it is decided and published at the same moment.
    pub published_ms: Option<u64>,
    /// Until the last answer with one of its endpoints to somebody to whom another could be given; `None` when there was none.
    pub last_wrong_ms: Option<u64>,
    /// Until the last of these answers has left the caches that keep to its TTL.
    pub tail_ms: Option<u64>,
    /// Whether it was still answered when the scenario, or the failure, ended.
    pub unfinished: bool,
    /// The largest share of the clients of one service that was given it meanwhile, in millionths.
    pub wrong_ppm: u64,
    /// Where its clients went.
    pub flows: Vec<Flow>,
}

/// Clients that moved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Flow {
    /// Of which service.
    pub service: Box<str>,
    /// From which region.
    pub from: Box<str>,
    /// To which; `no answer` where they have none.
    pub to: Box<str>,
    /// Their share of the service's clients, in millionths.
    pub ppm: u64,
}

/// How full an endpoint became, in thousandths of its capacity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Load {
    /// `SERVICE/ENDPOINT`.
    pub endpoint: String,
    /// The highest load.
    pub peak: u64,
    /// When it came to that, in milliseconds from the start.
    pub at_ms: u64,
    /// The highest load that lasted until something else happened, or for longer than the settling time.
    pub settled: u64,
}

/// Something that was expected and did not hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Breach {
    /// The expectation, as it was written.
    pub expectation: Box<str>,
    /// When it did not hold first, in milliseconds from the start.
    pub at_ms: u64,
    /// For whom, and what was instead.
    pub who: String,
    /// How many times it did not hold.
    pub times: u64,
}

impl Report {
    /// Takes note of a breach: the first of an expectation is told, further ones are counted.
    pub(super) fn breach(&mut self, expectation: &str, at_ms: u64, who: impl FnOnce() -> String) {
        match self.breaches.iter_mut().find(|breach| *breach.expectation == *expectation) {
            Some(breach) => breach.times += 1,
            None => self.breaches.push(Breach { expectation: expectation.into(), at_ms, who: who(), times: 1 }),
        }
    }
}
