//! The service manager's side of `aya serve`: sockets that systemd has bound, and news for it (`sd_listen_fds(3)`, `sd_notify(3)`).
//!
//! Without a service manager all of this is nothing.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use listenfd::ListenFd;
use sd_notify::NotifyState;

use crate::server::Given;

/// Takes the sockets that the service manager hands over. To be called once, before there are threads: it takes their variables from the
/// environment, so that no child believes they are its own.
///
/// # Errors
/// When one is neither a bound UDP socket nor a TCP listener.
pub(super) fn sockets() -> io::Result<Given> {
    let (mut handed, mut given) = (ListenFd::from_env(), Given::default());
    for at in 0..handed.len() {
        // What is no datagram socket stays where it is, and is asked for again as a listener.
        let descriptor = match handed.take_udp_socket(at) {
            Ok(socket) => socket.map(OwnedFd::from),
            Err(_) => handed.take_tcp_listener(at)?.map(OwnedFd::from),
        };
        descriptor.into_iter().try_for_each(|descriptor| given.add(descriptor))?;
    }
    Ok(given)
}

/// Says that the node is ready, and what it does.
pub(super) fn tell_ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// Says that a reload begins; it ends with [`tell_ready`].
pub(super) fn tell_reloading() {
    let Ok(now) = NotifyState::monotonic_usec_now() else { return };
    tell(&[NotifyState::Reloading, now]);
}

/// Says that the node ends.
pub(super) fn tell_stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("draining")]);
}

/// Says that the node is alive.
pub(super) fn tell_alive() {
    tell(&[NotifyState::Watchdog]);
}

/// How often the service manager wants to hear that the node is alive, if it does: twice as often as it would lose patience.
pub(super) fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|patience| patience / 2).filter(|interval| !interval.is_zero())
}

/// Tells the service manager, if there is one.
fn tell(news: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(news) {
        tracing::warn!(%error, "the service manager could not be told");
    }
}
