//! Whose place counts: the client's subnet if the query has one that says something, else the resolver's address (RFC 7871 §7.1, §11.3).

use std::net::IpAddr;

use super::Asked;
use crate::steer::Client;

impl Asked<'_> {
    /// Finds out whom to decide for. Sets `scope` where the subnet was not used: otherwise SCOPE comes from the decision.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "measured: what it returns would be copied on the way of nearly every query")]
    pub(super) fn client(&self, scope: &mut Option<u8>) -> Client {
        let Some(ecs) = self.envelope.edns.as_ref().and_then(|edns| edns.ecs.as_ref()) else { return self.resolver() };
        if ecs.source == 0 {
            // The client does not want to be told apart (§7.1.2); it is answered all the same (§7.5).
            *scope = Some(0);
            return self.resolver();
        }
        let client = Client::at(ecs.address, ecs.source, &self.world.geo);
        // An operator's own network may well be a private one; any other private address says nothing.
        if client.place.says_nothing(ecs.address, ecs.source) {
            *scope = Some(client.place.leaf);
            return self.resolver();
        }
        client
    }

    /// The resolver as the client. Its IPv4 address may come as an IPv4-mapped one from a socket that serves both families.
    #[inline(never)]
    fn resolver(&self) -> Client {
        let source = self.ask.source.to_canonical();
        let len = match source {
            IpAddr::V4(_) => 32,
            IpAddr::V6(_) => 128,
        };
        Client::at(source, len, &self.world.geo)
    }
}
