//! Other files: what of the old catalog lives on in the new one, and whether the new one is taken at all.

use std::sync::Arc;

use super::{Controller, Users, dependants, first_round_ms, fresh_ms_max};
use crate::catalog::{Catalog, EndpointId};
use crate::control::overrides::{Intents, Move, refuse_reload, remember};
use crate::control::reload::Reload;
use crate::control::roster::{self, Carried};
use crate::control::{Effects, Plan, Refused};
use crate::geo::Geo;
use crate::health::{Health, Status, Tracker};
use crate::limits::{MOVES_MAX, SAFETY_SPAN_MS_MAX};
use crate::units::{Moment, Permille};
use crate::world::{Statuses, World};

/// What reloads moved, for safety rules.
#[derive(Debug, Default)]
pub(super) struct Paces {
    /// When and how many, earliest first, as far back as a rule may look.
    moves: Vec<Move>,
    /// The digests of the catalogs before those that moved clients, and when: the way back to each is open, in this process, as far back as a rule may look.
    back: Vec<(u64, Moment)>,
}

impl Paces {
    /// When reloads moved clients and how many, earliest first.
    pub(super) fn moves(&self) -> &[Move] {
        &self.moves
    }

    /// Remembers that a reload moved clients from one catalog to another.
    fn note(&mut self, moved: Move, from: u64, to: u64) {
        self.moves.retain(|known| is_recent(known.at, moved.at));
        remember(&mut self.moves, moved);
        self.back.retain(|(_, at)| is_recent(*at, moved.at));
        match self.back.iter().position(|(digest, _)| *digest == to) {
            // Back and forth again is no way back.
            Some(index) => self.back.truncate(index),
            None if self.back.len() < MOVES_MAX => self.back.push((from, moved.at)),
            None => {}
        }
    }

    /// Whether this catalog was in force, and left by what a rule may still look at.
    fn is_back(&self, digest: u64, now: Moment) -> bool {
        self.back.iter().any(|(known, at)| *known == digest && is_recent(*at, now))
    }

    /// Takes in what another process remembers.
    pub(super) fn learn(&mut self, moves: &[Move], now: Moment) {
        // A wall clock that was set back does not hold up the next move for longer than the rule says.
        let others = moves.iter().map(|moved| Move { at: moved.at.min(now), ..*moved });
        let mut all: Vec<Move> = others.filter(|moved| is_recent(moved.at, now) && !self.moves.contains(moved)).chain(self.moves.iter().copied()).collect();
        all.sort_by_key(|moved| moved.at);
        self.moves.clear();
        for moved in all {
            remember(&mut self.moves, moved);
        }
    }
}

/// Whether a rule may still look at it.
fn is_recent(at: Moment, now: Moment) -> bool {
    now.millis_since(at) <= u64::from(SAFETY_SPAN_MS_MAX)
}

impl Controller {
    /// Replaces the catalog, keeping by names what is known.
    pub(super) fn reload(&mut self, catalog: Arc<Catalog>, geo: Arc<Geo>, allow_shrink: bool, now: Moment, effects: &mut Effects) {
        let intents = self.intents.linked(&catalog, now);
        let Carried { endpoints, changed, probes } = roster::carried(&self.catalog, &catalog);
        let namesake = |id: EndpointId| endpoints[id.index()].or(changed[id.index()]);
        if !allow_shrink && let Some(refused) = self.refuse((&catalog, &geo), &intents, &namesake) {
            effects.refusal = Some(refused);
            return;
        }
        let statuses = endpoints.iter().map(|from| from.map_or(Status::UNMEASURED, |id| self.statuses[id.index()]));
        let mut statuses: Vec<Status> = statuses.collect();
        let latches = self.latches.clone().carried((&self.catalog, &self.statuses), (&catalog, &mut statuses), namesake);
        match self.pace((&catalog, &geo), &statuses, &namesake, now) {
            Ok(Permille(0)) => {}
            Ok(share) => {
                self.paces.note(Move { at: now, share }, self.catalog.digest, catalog.digest);
                self.write_soon(now, effects);
            }
            Err(refused) => {
                effects.refusal = Some(refused);
                return;
            }
        }
        let mut trackers = vec![Tracker::default(); catalog.probes.len()].into_boxed_slice();
        let mut fresh = vec![true; catalog.probes.len()];
        let mut asked = vec![false; catalog.probes.len()].into_boxed_slice();
        for (before, after) in probes.iter().enumerate() {
            let Some(after) = after else { continue };
            trackers[after.index()] = std::mem::take(&mut self.trackers[before]);
            fresh[after.index()] = false;
            asked[after.index()] = self.first_round.as_ref().is_some_and(|round| round.asked[before]);
        }
        self.latches = latches;
        let before = endpoints.iter().zip(&changed).map(|(same, other)| same.or(*other).map_or(Health::Unknown, |id| self.statuses[id.index()].published()));
        let before: Vec<Health> = before.collect();

        self.epoch += 1;
        self.intents = intents;
        self.trackers = trackers;
        self.users = Users::of_probes(&catalog);
        self.dependants = dependants(&catalog);
        self.doubt = self.doubt.carried(&catalog, &probes);
        self.expected = self.expected.carried(&catalog, &probes, now);
        self.aliases.carry(&self.catalog, &catalog, now);
        self.aliased = Users::of_aliases(&catalog);
        self.carried = probes;
        self.statuses = statuses;
        self.watch = std::mem::take(&mut self.watch).carried(&endpoints);
        self.versions = vec![self.world.generation + 1; catalog.services.len()];
        self.situations.forget();
        self.evidence = None;
        self.touched = true;
        self.unsaved = true;
        if fresh.contains(&true) {
            self.fresh_until = self.fresh_until.max(now.plus_millis(first_round_ms(&catalog) + fresh_ms_max(&catalog)));
        }
        if let Some(round) = &mut self.first_round {
            round.left = asked.iter().filter(|&&asked| !asked).count();
            round.asked = asked;
        }
        effects.plan = Some(Plan { epoch: self.epoch, catalog: Arc::clone(&catalog), fresh: fresh.into() });
        self.spill.carry(&catalog, &geo, endpoints.iter().map(|from| from.map(EndpointId::index)));
        (self.catalog, self.geo) = (catalog, geo);
        let known = std::mem::take(&mut self.carried);
        self.restage(&known, &endpoints, now, effects);
        self.carried = known;
        self.judge_all(&before, now, effects);
    }

    /// Replaces the geography.
    pub(super) fn change_geography(&mut self, geo: Arc<Geo>, digest: u64, effects: &mut Effects) {
        if digest != self.catalog.digest {
            effects.refusal = Some(Refused::OtherCatalog);
            return;
        }
        if let Some(refused) = roster::refuse_losing(&self.geo, &geo) {
            effects.refusal = Some(refused);
            return;
        }
        self.spill.carry(&self.catalog, &geo, (0..self.catalog.endpoints.len()).map(Some));
        self.geo = geo;
        self.versions.fill(self.world.generation + 1);
        self.situations.forget();
        self.touched = true;
    }

    /// Refuses a catalog or a geography that has lost too much, overrides counted.
    fn refuse(&self, (catalog, geo): (&Catalog, &Geo), intents: &Intents, namesakes: &dyn Fn(EndpointId) -> Option<EndpointId>) -> Option<Refused> {
        let intended = || {
            let ids = (0..).map(EndpointId).take(catalog.endpoints.len());
            ids.map(|id| {
                let mut status = namesakes(id).map_or(Status::UNMEASURED, |known| self.statuses[known.index()]);
                intents.mark(id, &mut status);
                status
            })
        };
        let shrunk = roster::refuse_shrinking(&self.catalog, catalog).or_else(|| roster::refuse_losing(&self.geo, geo));
        shrunk.or_else(|| refuse_reload((&self.catalog, &self.geo, &self.statuses), (catalog, geo, &intended().collect::<Vec<_>>())))
    }

    /// How many clients a reload moves at will, if `[safety]` lets it; `statuses` are those that would be, of endpoints that go on.
    fn pace(
        &self,
        (catalog, geo): (&Arc<Catalog>, &Arc<Geo>),
        statuses: &[Status],
        namesakes: &dyn Fn(EndpointId) -> Option<EndpointId>,
        now: Moment,
    ) -> Result<Permille, Refused> {
        if !self.catalog.safety.sets_a_pace() && !catalog.safety.sets_a_pace() {
            return Ok(Permille(0));
        }
        let before = World {
            catalog: Arc::clone(&self.catalog),
            geo: Arc::clone(&self.geo),
            statuses: Statuses { of: self.statuses.as_slice().into(), ..self.world.statuses.clone() },
            drill: self.stage.rehearsal().cloned(),
            ..World::unmeasured(self.world.generation, Arc::default(), Arc::default())
        };
        let overrides = self.overrides().in_force(now);
        let reload = Reload { before, overrides: &overrides, catalog, geo, statuses, namesakes };
        let moved = reload.moved();
        // Whoever sees trouble and puts the old files back is not held up; what that moves is remembered like any other.
        if self.paces.is_back(catalog.digest, now) {
            return Ok(moved);
        }
        let refused = reload.refuse(moved, [&overrides.moves, &self.drills().moves, self.paces.moves()], now);
        refused.map_or(Ok(moved), Err)
    }
}
