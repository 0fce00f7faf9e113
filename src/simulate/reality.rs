//! How endpoints really are, and what a prober would see of them.

use std::collections::HashMap;

use super::{How, What};
use crate::catalog::{Catalog, EndpointId, ProbeId, ProbeKind, ProbeSpec};
use crate::geo::Random;
use crate::health::{ProbeFailure, ProbeOutcome, ProbeWarning};
use crate::units::{Micros, Moment};

/// Milliseconds that a refusal takes.
const REFUSAL_MS: u64 = 1;
/// Milliseconds that an answer of an endpoint that is well takes at least, and how many it may take more.
const ANSWER_MS: (u64, usize) = (5, 25);

/// How every endpoint of a catalog is.
#[derive(Debug)]
pub(super) struct Reality {
    /// By endpoint.
    conditions: Vec<Condition>,
    /// What happened so far, so that endpoints of other zones are as those of the same name and place.
    past: Vec<(Moment, What)>,
    /// For each probe the endpoints that it asks.
    asked: Vec<Vec<EndpointId>>,
    /// The numbers of the probes.
    probes: HashMap<ProbeSpec, usize>,
    /// Which of them are references.
    references: Vec<bool>,
    /// What the node's way to its references loses.
    way: Way,
}

/// What is the matter with an endpoint.
#[derive(Clone, Copy, Debug)]
struct Condition {
    /// It is down.
    down: Option<How>,
    /// It answers later by so many milliseconds.
    slow_ms: u64,
    /// When its certificate ends, if that is known.
    expires: Option<Moment>,
    /// So many of a thousand probes are never answered.
    lossy: u16,
    /// It comes and goes.
    flap: Option<Flap>,
    /// What the node's way to it loses.
    way: Way,
}

/// It is well.
impl Default for Condition {
    fn default() -> Self {
        Self { down: None, slow_ms: 0, expires: None, lossy: 0, flap: None, way: Way::OPEN }
    }
}

/// What the node's own network does to what it asks.
#[derive(Clone, Copy, Debug)]
struct Way {
    /// Until when it loses anything.
    until: Moment,
    /// So many of a thousand probes.
    loses: u16,
}

impl Way {
    /// Nothing is lost.
    const OPEN: Self = Self { until: Moment(0), loses: 0 };

    /// Whether a probe that drew this lot of a thousand is lost.
    fn takes(&self, lot: usize, now: Moment) -> bool {
        now < self.until && lot < usize::from(self.loses)
    }
}

/// Comes and goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flap {
    /// Since when.
    pub since: Moment,
    /// Until when.
    pub until: Moment,
    /// There for so many milliseconds.
    pub up_ms: u64,
    /// Gone for so many.
    pub down_ms: u64,
}

impl Flap {
    /// Whether it is gone.
    fn is_down(&self, now: Moment) -> bool {
        now < self.until && now.millis_since(self.since) % (self.up_ms + self.down_ms).max(1) < self.down_ms
    }

    /// When it comes or goes next; `None` when that is over.
    pub(super) fn next(&self, now: Moment) -> Option<Moment> {
        if now >= self.until {
            return None;
        }
        let phase = now.millis_since(self.since) % (self.up_ms + self.down_ms).max(1);
        let left = if phase < self.down_ms { self.down_ms - phase } else { self.up_ms + self.down_ms - phase };
        Some(now.plus_millis(left.max(1)).min(self.until))
    }
}

impl Reality {
    /// Everybody is well.
    pub(super) fn new(catalog: &Catalog) -> Self {
        let mut asked = vec![Vec::new(); catalog.probes.len()];
        for (endpoint, id) in catalog.endpoints.iter().zip((0..).map(EndpointId)) {
            for probe in &endpoint.probes {
                asked[probe.index()].push(id);
            }
        }
        Self {
            conditions: vec![Condition::default(); catalog.endpoints.len()],
            past: Vec::new(),
            asked,
            probes: catalog.probes.iter().cloned().zip(0..).collect(),
            references: (0..).map(ProbeId).take(catalog.probes.len()).map(|probe| catalog.references.contains(&probe)).collect(),
            way: Way::OPEN,
        }
    }

    /// The same misfortunes over another catalog.
    pub(super) fn over(&self, catalog: &Catalog) -> Self {
        let mut reality = Self::new(catalog);
        for (at, what) in &self.past {
            reality.happen(catalog, what, *at);
        }
        reality
    }

    /// Lets something happen to endpoints.
    pub(super) fn happen(&mut self, catalog: &Catalog, what: &What, now: Moment) {
        type Change<'a> = Box<dyn Fn(&mut Condition) + 'a>;
        let (target, change): (_, Change<'_>) = match what {
            What::Down { target, how } => (target, Box::new(|condition| condition.down = Some(*how))),
            What::Up(target) => (target, Box::new(|condition| *condition = Condition::default())),
            What::Slow { target, by_ms } => (target, Box::new(|condition| condition.slow_ms = *by_ms)),
            What::Certificate { target, ends_in_ms } => (target, Box::new(move |condition| condition.expires = Some(now.plus_millis(*ends_in_ms)))),
            What::Lossy { target, share } => (target, Box::new(|condition| condition.lossy = share.0)),
            What::Flap { target, .. } => (target, Box::new(move |condition| condition.flap = flap(what, now))),
            What::Cut { target, share, references, for_ms } => {
                let way = Way { until: now.plus_millis(*for_ms), loses: share.0 };
                if *references {
                    self.way = way;
                }
                (target, Box::new(move |condition| condition.way = way))
            }
            What::Surge { .. } | What::Failback { .. } | What::Reload(_) | What::Restart | What::Stale { .. } => return,
        };
        for id in target.endpoints(catalog) {
            change(&mut self.conditions[id.index()]);
        }
        self.past.push((now, what.clone()));
    }

    /// Whether an endpoint answers nobody.
    pub(super) fn is_down(&self, id: EndpointId, now: Moment) -> bool {
        let condition = &self.conditions[id.index()];
        condition.down.is_some() || condition.flap.is_some_and(|flap| flap.is_down(now))
    }

    /// The endpoints that a probe asks.
    pub(super) fn asked(&self, probe: usize) -> &[EndpointId] {
        self.asked.get(probe).map_or(&[], Vec::as_slice)
    }

    /// What comes of a probe that begins now, after how many milliseconds, and the time that it would measure.
    pub(super) fn outcome(&self, spec: &ProbeSpec, now: Moment, random: &mut Random) -> (ProbeOutcome, u64, Micros) {
        let probe = self.probes.get(spec).copied().unwrap_or(usize::MAX);
        let timeout = u64::from(spec.timeout_ms);
        let after = |outcome, ms: u64| (outcome, ms, Micros::from_millis(i64::try_from(ms).unwrap_or(i64::MAX)));
        let timed_out = || after(ProbeOutcome::Failed(ProbeFailure::TimedOut), timeout);
        // Drawn in any case, so that a draw more or less never shifts all that follow.
        let (takes, lots) = (ANSWER_MS.0 + random.below(ANSWER_MS.1 + 1) as u64, random.below(1_000_000));
        // What the way loses has nothing to do with what endpoints leave unanswered.
        let (lot, of_way) = (lots / 1000, lots % 1000);
        let conditions = || self.asked(probe).iter().map(|id| &self.conditions[id.index()]);
        let is_reference = self.references.get(probe).copied().unwrap_or(false);
        if is_reference && self.way.takes(of_way, now) || conditions().any(|condition| condition.way.takes(of_way, now)) {
            return timed_out();
        }
        if conditions().any(|condition| matches!(condition.down, Some(How::BlackHole))) {
            return timed_out();
        }
        if self.asked(probe).iter().any(|id| self.is_down(*id, now)) {
            return after(ProbeOutcome::Failed(ProbeFailure::Refused), REFUSAL_MS.min(timeout));
        }
        let takes = takes + conditions().map(|condition| condition.slow_ms).max().unwrap_or(0);
        if takes >= timeout || conditions().any(|condition| lot < usize::from(condition.lossy)) {
            return timed_out();
        }
        if let Some(outcome) = conditions().filter_map(|condition| condition.expires).min().and_then(|end| shown(spec, end, now)) {
            return after(outcome, takes);
        }
        let is_slow = spec.slow_ms > 0 && takes > u64::from(spec.slow_ms);
        after(if is_slow { ProbeOutcome::Slow } else { ProbeOutcome::Passed }, takes)
    }
}

/// What a certificate that ends at a moment makes of a probe that sees it; nothing while that is far.
fn shown(spec: &ProbeSpec, end: Moment, now: Moment) -> Option<ProbeOutcome> {
    let verify = match &spec.kind {
        ProbeKind::Http { tls: true, verify, .. } | ProbeKind::Tls { verify, .. } => *verify,
        _ => return None,
    };
    if verify && now > end {
        return Some(ProbeOutcome::Failed(ProbeFailure::Tls("the certificate has expired".into())));
    }
    let warning_ms = u64::from(spec.kind.expiry_warning_s()) * 1_000;
    (warning_ms > 0 && now.plus_millis(warning_ms) > end).then_some(ProbeOutcome::Warned(ProbeWarning::Expires(end)))
}

/// The flapping that begins now.
pub(super) fn flap(what: &What, now: Moment) -> Option<Flap> {
    let What::Flap { up_ms, down_ms, for_ms, .. } = what else { return None };
    Some(Flap { since: now, until: now.plus_millis(*for_ms), up_ms: *up_ms, down_ms: *down_ms })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{SourceFile, compile};
    use crate::simulate::Target;
    use crate::units::Permille;

    const ZONE: &str = r#"
zone = "example.com"
[ns]
ns1 = ["192.0.2.53"]
ns2 = ["198.51.100.53"]
[vantage]
reference = ["192.0.2.251:53"]
[service.api.probe.tcp]
port = 443
[service.api.endpoint.frankfurt]
region = "gcp-europe-west3"
a = ["192.0.2.1"]
[service.api.endpoint.ireland]
region = "aws-eu-west-1"
a = ["192.0.2.2"]
"#;

    /// How many of ten thousand probes of the reference, of Frankfurt and of Ireland nobody answers from this moment on.
    fn lost(catalog: &Catalog, reality: &Reality, now: Moment) -> [usize; 3] {
        let asking = |id: u32| &catalog.probes[catalog.endpoints[id as usize].probes[0].index()];
        let reference = &catalog.probes[catalog.references[0].index()];
        [reference, asking(0), asking(1)].map(|spec| {
            let mut random = Random::new(1);
            let outcomes = (0..10_000).map(|_| reality.outcome(spec, now, &mut random).0);
            outcomes.filter(|outcome| matches!(outcome, ProbeOutcome::Failed(ProbeFailure::TimedOut))).count()
        })
    }

    #[test]
    fn a_lossy_vantage_loses_a_share_of_what_it_asks_for_a_while_and_clients_lose_nothing() {
        let source = SourceFile { name: "zone".into(), text: ZONE.into() };
        let catalog = compile(vec![source], &|_, _| Err("no master files here".into())).expect("it reads").catalog;
        let (start, target) = (Moment(1_000_000), Target::Endpoint("frankfurt".into()));
        let play = |share, references| {
            let mut reality = Reality::new(&catalog);
            reality.happen(&catalog, &What::Cut { target: target.clone(), share: Permille(share), references, for_ms: 60_000 }, start);
            assert!((0..2).all(|id| !reality.is_down(EndpointId(id), start)), "clients reach all of them");
            [lost(&catalog, &reality, start), lost(&catalog, &reality, start.plus_millis(60_000))]
        };
        let [[reference, frankfurt, ireland], after] = play(200, true);
        assert!((1_900..2_100).contains(&reference) && (1_900..2_100).contains(&frankfurt) && ireland == 0, "{reference} {frankfurt} {ireland}");
        assert_eq!(after, [0; 3]);
        assert_eq!(play(1_000, false)[0], [0, 10_000, 0]);
    }

    #[test]
    fn what_the_way_loses_comes_on_top_of_what_endpoints_leave_unanswered() {
        let source = SourceFile { name: "zone".into(), text: ZONE.into() };
        let catalog = compile(vec![source], &|_, _| Err("no master files here".into())).expect("it reads").catalog;
        let (now, target) = (Moment(1_000_000), Target::Region("*".into()));
        let mut reality = Reality::new(&catalog);
        reality.happen(&catalog, &What::Lossy { target: target.clone(), share: Permille(500) }, now);
        reality.happen(&catalog, &What::Cut { target, share: Permille(500), references: false, for_ms: 1_000 }, now);
        let [_, frankfurt, _] = lost(&catalog, &reality, now);
        assert!((7_400..7_600).contains(&frankfurt), "three quarters: {frankfurt}");
    }
}
