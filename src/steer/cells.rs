//! Decisions that still hold: a fixed-size table for each worker.

use super::{Ask, Chosen, Silent, decide};
use crate::world::World;

/// A worker's cells, keyed by service, locality and family.
#[derive(Debug, Default)]
pub struct Cells {}

impl Cells {
    /// What this client gets: from a cell that still holds, or decided now.
    pub fn choose(&mut self, ask: &Ask, world: &World) -> Chosen {
        decide(ask, world, &mut Silent).choose(&ask.client)
    }
}
