//! Descriptors: how many the process may have, and what that leaves for connections.
//!
//! Many systems start a process with a limit of 1,024 that it may raise itself; a node does. Where it may not, the caps on connections
//! are lower, so that probes, files and the admin API always find a descriptor.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::limits;

/// Raises the limit to [`limits::DESCRIPTORS_WANTED`], or as far as the system lets this process.
pub fn raise_limit() {
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.map_or(limits::DESCRIPTORS_WANTED, |maximum| maximum.min(limits::DESCRIPTORS_WANTED));
    if limit.current.is_some_and(|current| current < wanted) {
        // If the system changes its mind, the limit is what it was, and the caps follow from that.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum: limit.maximum });
    }
}

/// Connections that one transport may hold.
pub(super) fn connections_max() -> usize {
    let descriptors = getrlimit(Resource::Nofile).current.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    (descriptors / limits::DESCRIPTORS_FRACTION).clamp(1, limits::TCP_CONNECTIONS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_transports_leave_half_of_the_descriptors_and_find_their_caps_where_the_system_allows_them() {
        raise_limit();
        let limit = getrlimit(Resource::Nofile);
        let current = limit.current.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap());
        assert!(connections_max() >= 1 && 4 * connections_max() <= current / 2);
        if limit.maximum.is_none_or(|maximum| maximum >= limits::DESCRIPTORS_WANTED) {
            assert_eq!(connections_max(), limits::TCP_CONNECTIONS_MAX);
        }
    }
}
