//! What a worker of connections answers at: its hold on the world and on the policy, decisions that still hold, room for one reply.

use std::net::IpAddr;
use std::sync::Arc;

use super::{Edge, Panicked, Policies, answer_or_silence};
use crate::answer::{Ask, Outcome, Scratch};
use crate::clock::Clock;
use crate::limits;
use crate::publish::Reader;
use crate::telemetry::tally::Counters;

/// The desk of one thread; never borrowed across an await.
pub(super) struct Desk {
    /// The hold on the world.
    reader: Reader,
    /// Where the policy stands.
    policies: Policies,
    /// Tells the time.
    clock: Clock,
    /// What is counted.
    counters: Counters,
    /// Decisions that still hold.
    scratch: Scratch,
    /// Room for the largest reply.
    reply: Box<[u8]>,
}

impl Desk {
    /// For queries that come by the transport of these counters.
    pub(super) fn new(edge: &Edge, counters: Counters) -> Self {
        Self {
            reader: edge.worlds.reader(),
            policies: Arc::clone(&edge.policy),
            clock: edge.clock.clone(),
            counters,
            scratch: Scratch::default(),
            reply: vec![0; limits::TCP_MESSAGE_MAX].into(),
        }
    }

    /// Lets go of a world that was replaced, so that the writer can free it: to be called at least every [`limits::WORKER_WAKE_MS`].
    pub(super) fn look(&mut self) {
        self.reader.world();
    }

    /// Answers one message. An empty reply is silence.
    pub(super) fn answer(&mut self, query: &[u8], source: IpAddr) -> Result<(&[u8], Outcome), Panicked> {
        let world = self.reader.world();
        let policy = self.policies.load();
        let ask = Ask { source, transport: self.counters.tally.transport, now: self.clock.now(), policy: &policy };
        let outcome = answer_or_silence(query, &ask, world, &mut self.scratch, &mut self.reply).inspect_err(|_| self.counters.tally.count_panic())?;
        self.counters.open(world).record(&outcome);
        Ok((&self.reply[..outcome.len], outcome))
    }
}
