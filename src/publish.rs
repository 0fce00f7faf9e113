//! The writer's end and the workers' ends of the world.

use std::sync::Arc;

use arc_swap::ArcSwap;
use arc_swap::cache::Cache;

use crate::world::World;

/// The workers' end: hands out the world. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Worlds(Arc<ArcSwap<World>>);

impl Worlds {
    /// A world that nobody will replace, for offline uses and tests.
    #[must_use]
    pub fn fixed(world: Arc<World>) -> Self {
        Self(Arc::new(ArcSwap::new(world)))
    }

    /// The present world.
    #[must_use]
    pub fn load(&self) -> Arc<World> {
        self.0.load_full()
    }

    /// A reader that looks with one atomic load whether the world is another, for a worker's loop.
    #[must_use]
    pub fn reader(&self) -> Reader {
        Reader(Cache::new(Arc::clone(&self.0)))
    }
}

/// A worker's own hold on the world.
#[derive(Clone, Debug)]
pub struct Reader(Cache<Arc<ArcSwap<World>>, Arc<World>>);

impl Reader {
    /// The present world.
    #[inline]
    pub fn world(&mut self) -> &Arc<World> {
        self.0.load()
    }
}
