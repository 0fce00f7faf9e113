//! What operators may not do by accident.

use crate::units::Permille;

/// Rules that bind operators' overrides and reloads, never the removal of an endpoint that is down. Beside these it always holds that no
/// class of clients loses its last endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Safety {
    /// Regions that a service keeps for every class of clients; 0 asks for none.
    pub min_regions: u8,
    /// Milliseconds from one move of clients to the next; 0 asks for none.
    pub gate_ms: u32,
    /// How many clients may be moved, if that is limited.
    pub moved: Option<MovedMax>,
}

impl Safety {
    /// Whether it says how many clients may be moved, or how soon after each other.
    #[must_use]
    pub const fn sets_a_pace(&self) -> bool {
        self.gate_ms > 0 || self.moved.is_some()
    }
}

/// How many clients overrides, drills, releases of tiers and reloads may move in a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MovedMax {
    /// Share of all clients.
    pub share: Permille,
    /// Milliseconds within which it counts.
    pub per_ms: u32,
}
