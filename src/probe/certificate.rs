//! What a certificate that was shown says of its own end. rustls verifies it and does not tell.

use crate::units::Moment;

/// When a certificate ends (RFC 5280 §4.1.2.5, `notAfter`); `None` when these octets are none, which the handshake would have found.
pub(super) fn end_of(certificate: &[u8]) -> Option<Moment> {
    let (_, certificate) = x509_parser::parse_x509_certificate(certificate).ok()?;
    // Before 1970 is as over as it can be.
    let seconds = u64::try_from(certificate.validity().not_after.timestamp()).unwrap_or(0);
    Some(Moment(seconds.saturating_mul(1_000)))
}
