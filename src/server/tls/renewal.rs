//! Notices that the certificate's files have changed, and takes the new certificate into use.
//!
//! Whatever renews certificates writes chain and key one after the other, replaces symbolic links, or copies over a network. So files
//! are looked at every [`limits::CERTIFICATE_LOOK_MS`], read when they have stayed as they are from one look to the next, and each content is
//! complained about once.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Weak;
use std::time::Duration;

use super::files::moment;
use super::{CertificateFiles, Certificates, Renewed};
use crate::clock::Clock;
use crate::limits;
use crate::telemetry::{Reloaded, Telemetry};
use crate::units::Moment;

/// Reads the certificate's files again, uses what they hold, and tells what came of it: in the log and in the metrics.
pub fn renew(certificates: &Certificates, telemetry: &Telemetry, now: Moment) {
    match certificates.renew(now) {
        Ok(Renewed::Other(validity)) => {
            telemetry.count_certificate(Reloaded::Applied);
            tracing::info!(file = %certificates.files().chain.display(), until = moment(validity.until), "a renewed certificate is in use");
        }
        Ok(Renewed::Same(_)) => {}
        Err(error) => {
            telemetry.count_certificate(Reloaded::Refused);
            let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
            tracing::error!("the certificate was not renewed, the old one is in use as before: {error}{cause}");
        }
    }
    telemetry.set_certificate_end(certificates.validity().until);
}

/// Looks after the certificate for as long as the node lives: renews it when its files change, and warns when it should have been renewed.
pub async fn watch(certificates: Weak<Certificates>, telemetry: Weak<Telemetry>, clock: Clock) {
    let mut attention = Attention::UNREAD;
    let mut warned = None;
    while let (Some(certificates), Some(telemetry)) = (certificates.upgrade(), telemetry.upgrade()) {
        let now = clock.now();
        // They were read at the start already; once more shows what changed since, if anything did.
        if attention.is_due(seen(certificates.files())) {
            renew(&certificates, &telemetry, now);
        }
        telemetry.set_certificate_end(certificates.validity().until);
        warn_of_end(&certificates, now, &mut warned);
        drop((certificates, telemetry));
        tokio::time::sleep(Duration::from_millis(limits::CERTIFICATE_LOOK_MS)).await;
    }
}

/// Warns, once in [`limits::CERTIFICATE_WARN_MS`], of a certificate that is not valid, or not for long.
pub fn warn_of_end(certificates: &Certificates, now: Moment, warned: &mut Option<Moment>) {
    let validity = certificates.validity();
    let is_well = validity.holds(now) && !validity.is_ending(now);
    if is_well || warned.is_some_and(|warned| now.millis_since(warned) < limits::CERTIFICATE_WARN_MS) {
        return;
    }
    *warned = Some(now);
    let (file, from, until) = (certificates.files().chain.display(), moment(validity.from), moment(validity.until));
    if validity.holds(now) {
        tracing::warn!(%file, until, "the certificate ends soon and was not renewed");
    } else {
        tracing::error!(%file, from, until, "the certificate is not valid: clients that verify it are refused by it");
    }
}

/// A certificate's files as they are now.
fn seen(files: &CertificateFiles) -> Seen {
    Seen::of([Some(&files.chain), Some(&files.key), None, None])
}

/// Files that are looked at together.
const FILES: usize = 4;

/// What the system says of some files: whatever was written, renamed or linked anew differs in it. `None` for one that is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen([Option<[i64; 4]>; FILES]);

impl Seen {
    /// As the files are now.
    #[must_use]
    pub fn of(files: [Option<&Path>; FILES]) -> Self {
        let of = |path: &Path| {
            let told = fs::metadata(path).ok()?;
            // The time of the last change, which no program can set, and what else tells one file from another.
            Some([told.ctime(), told.ctime_nsec(), told.ino().cast_signed(), told.len().cast_signed()])
        };
        Self(files.map(|path| path.and_then(of)))
    }
}

/// Decides when files are to be read: once after each change, and not while they change.
#[derive(Clone, Copy, Debug)]
pub struct Attention {
    /// As they were when they were last read.
    read: Seen,
    /// As they were at the last look.
    last: Seen,
}

impl Attention {
    /// Nothing is known of them.
    pub const UNREAD: Self = Self { read: Seen([None; FILES]), last: Seen([None; FILES]) };

    /// Whether they are to be read now.
    pub fn is_due(&mut self, seen: Seen) -> bool {
        let settled = seen == std::mem::replace(&mut self.last, seen);
        let due = settled && seen != self.read;
        if due {
            self.read = seen;
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Files whose chain is this one.
    fn seen(chain: i64) -> Seen {
        Seen([Some([chain; 4]), None, None, None])
    }

    #[test]
    fn files_are_read_once_they_have_stayed_as_they_are_and_once_only() {
        let mut attention = Attention::UNREAD;
        let looks = [1, 1, 1, 2, 3, 3, 3, 1, 1];
        let due: Vec<bool> = looks.map(|chain| attention.is_due(seen(chain))).into();
        assert_eq!(due, [false, true, false, false, false, true, false, false, true]);
    }

    #[test]
    fn a_file_that_is_gone_for_a_moment_is_nothing_to_read() {
        let mut attention = Attention { read: seen(1), last: seen(1) };
        assert!(!attention.is_due(Seen([None; FILES])) && !attention.is_due(seen(1)) && !attention.is_due(seen(1)));
    }
}
