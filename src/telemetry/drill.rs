//! What workers have answered of the services of a drill.

use std::collections::BTreeMap;

use super::tally::About;
use super::{DRILL_WISHES, DRILLS, Telemetry, WISH_OUTCOMES, Wished, counter};
use crate::catalog::ServiceId;
use crate::control::drills::Answers;
use crate::steer::Reason;
use crate::world::World;

/// How drills end, as a label.
const ENDS: [&str; 2] = ["ended", "aborted"];

impl Telemetry {
    /// What workers have counted so far of the services of the drill of this world, since its catalog is in force; `None` without a drill.
    #[must_use]
    pub fn drill_answers(&self, world: &World) -> Option<Answers> {
        let drill = world.drill.as_ref()?;
        let ledgers = self.ledgers.load();
        let ledger = ledgers.iter().find(|ledger| ledger.is_of(&world.catalog))?;
        let (mut named, mut answers): (BTreeMap<ServiceId, u64>, Answers) = (BTreeMap::new(), Answers::default());
        ledger.read(|subject, count| {
            let (service, reason) = match subject.about() {
                About::Endpoint(id, reason) => {
                    let Some(service) = world.catalog.endpoints.get(id.index()).map(|endpoint| endpoint.service) else { return };
                    if drill.touches(id) {
                        *named.entry(service).or_default() += count;
                    }
                    (service, reason)
                }
                About::Service(service, reason) => (service, reason),
                About::NotOurs | About::Zone(_) => return,
            };
            if drill.touches_service(service) {
                answers.all += count;
                if is_wanting(reason) {
                    answers.wanting += count;
                }
            }
        });
        answers.named = named.into_iter().collect();
        Some(answers)
    }

    /// Counts a drill that is over.
    pub fn count_drill(&self, aborted: bool) {
        counter(&self.lasting, &DRILLS, &[ENDS[usize::from(aborted)]]).increment(1);
    }

    /// Counts a request for a drill, or for the end of one.
    pub fn count_drill_wish(&self, outcome: Wished) {
        counter(&self.lasting, &DRILL_WISHES, &[WISH_OUTCOMES[outcome as usize]]).increment(1);
    }

    /// Registers what is counted of drills, so that a rate can be taken of the first.
    pub(super) fn register_drills(&self) {
        for end in ENDS {
            counter(&self.lasting, &DRILLS, &[end]).increment(0);
        }
        for outcome in WISH_OUTCOMES {
            counter(&self.lasting, &DRILL_WISHES, &[outcome]).increment(0);
        }
    }
}

/// Whether an answer of this reason was given for want of anything that is up.
fn is_wanting(reason: u8) -> bool {
    matches!(Reason::ALL.get(usize::from(reason)), Some(Reason::AsIfUp | Reason::LastResort | Reason::AllDown))
}
