//! The writer's end and the workers' ends of the world.

use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};

use crate::world::World;

/// Where the world is published.
#[derive(Debug)]
pub struct Worlds(ArcSwap<World>);

impl Worlds {
    /// Publishes a first world.
    #[must_use]
    pub fn new(world: Arc<World>) -> Self {
        Self(ArcSwap::new(world))
    }

    /// The world as it is now.
    #[inline]
    pub fn load(&self) -> Guard<Arc<World>> {
        self.0.load()
    }
}
