//! The world, as its writer publishes it and workers take it.

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

/// A worker's own hold on the world. It holds the one that it saw last: call [`Reader::world`] at least every
/// [`crate::limits::WORKER_WAKE_MS`], so that old worlds can be freed.
#[derive(Clone, Debug)]
pub struct Reader(Cache<Arc<ArcSwap<World>>, Arc<World>>);

impl Reader {
    /// The present world.
    #[inline]
    pub fn world(&mut self) -> &Arc<World> {
        self.0.load()
    }
}

/// The writer's end.
#[derive(Debug)]
pub struct Publisher {
    /// Shared with every [`Worlds`].
    swap: Arc<ArcSwap<World>>,
    /// Worlds that were replaced, and that somebody may still hold.
    retired: Vec<Arc<World>>,
}

impl Publisher {
    /// Publishes a first world.
    #[must_use]
    pub fn new(first: Arc<World>) -> Self {
        Self { swap: Arc::new(ArcSwap::new(first)), retired: Vec::new() }
    }

    /// A workers' end.
    #[must_use]
    pub fn worlds(&self) -> Worlds {
        Worlds(Arc::clone(&self.swap))
    }

    /// Publishes a world if it is newer than the present one, and says whether it was.
    pub fn publish(&mut self, world: Arc<World>) -> bool {
        let is_newer = world.generation > self.swap.load().generation;
        if is_newer {
            self.retired.push(self.swap.swap(world));
            self.reclaim();
        }
        is_newer
    }

    /// Frees the replaced worlds that nobody else holds any more. Returns how many are still held.
    pub fn reclaim(&mut self) -> usize {
        // Nobody can take hold of a retired world anew, so a count of one stays one.
        self.retired.retain(|world| Arc::strong_count(world) > 1);
        self.retired.len()
    }
}
