//! Server cookies (RFC 7873 §5.2, made as RFC 9018 §4 says, so that all nodes of one address make and know the same).
//!
//! A cookie of ours proves that its client received a reply at the address that it asks from. It proves nothing else, and nobody needs one:
//! without it, a query is answered as ever; only a source over its limit is asked for one.

use std::fmt;
use std::net::IpAddr;

use siphasher::sip::SipHasher24;

use crate::limits::{COOKIE_AGE_MAX_S, COOKIE_AHEAD_MAX_S, COOKIE_OCTETS, COOKIE_RENEW_S, COOKIE_SECRETS_MAX};
use crate::units::Moment;

/// What a query's cookie proves of its source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cookie {
    /// It has none, or the node takes none.
    #[default]
    None,
    /// It has the client's part, and no part of ours that is good: nothing is proven yet.
    Offered,
    /// It has a good one: the source is its own.
    Good,
}

/// What server cookies are made and checked with: the same on all nodes of one address. Not shown by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct CookieSecrets {
    /// Makes cookies, and checks them.
    active: [u8; 16],
    /// Checks them as well, while secrets roll over: the one before, or the one to come (RFC 9018 §5).
    other: Option<[u8; 16]>,
}

impl fmt::Debug for CookieSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CookieSecrets({})", if self.other.is_some() { "two" } else { "one" })
    }
}

/// Octets of the client's part.
const CLIENT_OCTETS: usize = 8;
/// The version of server cookies that RFC 9018 §4.1 defines.
const VERSION: u8 = 1;

impl CookieSecrets {
    /// With an active secret, and perhaps another that is good as well.
    #[must_use]
    pub const fn new(active: [u8; 16], other: Option<[u8; 16]>) -> Self {
        Self { active, other }
    }

    /// Reads the words of a file: a secret of 32 hexadecimal digits a line, the active one first. Empty lines and lines that begin with `#`
    /// are left out.
    ///
    /// # Errors
    /// What is wrong, for people, without the secret.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut secrets = [None; COOKIE_SECRETS_MAX];
        let mut count = 0;
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let place = secrets.get_mut(count).ok_or_else(|| format!("line {number}: more than {COOKIE_SECRETS_MAX} secrets"))?;
            *place = Some(read_hex(line).ok_or_else(|| format!("line {number}: a secret is 32 hexadecimal digits"))?);
            count += 1;
        }
        match secrets {
            [Some(active), other] => Ok(Self { active, other }),
            _ => Err("there is no secret in it".to_owned()),
        }
    }

    /// Judges the cookie of a query from `source` (8 or 16 to 40 octets), and makes the one that goes back: the same while it is young, else a
    /// new one (RFC 9018 §4.3).
    #[must_use]
    pub fn judge(&self, cookie: &[u8], source: IpAddr, now: Moment) -> (Cookie, [u8; COOKIE_OCTETS]) {
        let seconds = seconds(now);
        let source = source.to_canonical();
        if let Ok(cookie) = <[u8; COOKIE_OCTETS]>::try_from(cookie)
            && cookie[CLIENT_OCTETS] == VERSION
        {
            let by = |secret: &[u8; 16]| cookie[16..] == hash(secret, &cookie, source);
            let by_active = by(&self.active);
            if let (Some(age), true) = (age(&cookie, seconds), by_active || self.other.as_ref().is_some_and(by)) {
                let is_young = by_active && age <= COOKIE_RENEW_S;
                return (Cookie::Good, if is_young { cookie } else { self.make(&cookie, source, seconds) });
            }
        }
        (Cookie::Offered, self.make(cookie, source, seconds))
    }

    /// Makes a cookie for the client's part that `cookie` begins with.
    fn make(&self, cookie: &[u8], source: IpAddr, seconds: u32) -> [u8; COOKIE_OCTETS] {
        let mut made = [0; COOKIE_OCTETS];
        for (place, octet) in made.iter_mut().zip(cookie.iter().take(CLIENT_OCTETS)) {
            *place = *octet;
        }
        made[CLIENT_OCTETS] = VERSION;
        made[12..16].copy_from_slice(&seconds.to_be_bytes());
        let hash = hash(&self.active, &made, source);
        made[16..].copy_from_slice(&hash);
        made
    }
}

/// Seconds since the Unix epoch, in the 32 bits that a cookie has for them.
#[expect(clippy::cast_possible_truncation, reason = "RFC 9018 §4.3: serial number arithmetic")]
const fn seconds(now: Moment) -> u32 {
    (now.0 / 1_000) as u32
}

/// How old a cookie is, in seconds, 0 for one that is ahead of our clock; `None` when it is too old or too far ahead.
fn age(cookie: &[u8; COOKIE_OCTETS], seconds: u32) -> Option<u32> {
    let stamped = u32::from_be_bytes([cookie[12], cookie[13], cookie[14], cookie[15]]);
    let (age, ahead) = (seconds.wrapping_sub(stamped), stamped.wrapping_sub(seconds));
    if ahead <= COOKIE_AHEAD_MAX_S { Some(0) } else { (age <= COOKIE_AGE_MAX_S).then_some(age) }
}

/// The last eight octets of a cookie: SipHash-2-4 of all before, and of the client's address (RFC 9018 §4.4).
fn hash(secret: &[u8; 16], cookie: &[u8; COOKIE_OCTETS], source: IpAddr) -> [u8; 8] {
    let mut hashed = [0; 32];
    hashed[..16].copy_from_slice(&cookie[..16]);
    let len = match source {
        IpAddr::V4(address) => {
            hashed[16..20].copy_from_slice(&address.octets());
            20
        }
        IpAddr::V6(address) => {
            hashed[16..].copy_from_slice(&address.octets());
            32
        }
    };
    SipHasher24::new_with_key(secret).hash(&hashed[..len]).to_le_bytes()
}

/// 32 hexadecimal digits.
fn read_hex(text: &str) -> Option<[u8; 16]> {
    let mut octets = [0; 16];
    if text.len() != 32 {
        return None;
    }
    for (pair, place) in text.as_bytes().chunks_exact(2).zip(&mut octets) {
        let digit = |octet: u8| char::from(octet).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        *place = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(octets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_the_active_secret_first_and_perhaps_another() {
        let one = "000102030405060708090a0b0c0d0e0f";
        let active = std::array::from_fn(|at| u8::try_from(at).unwrap());
        assert_eq!(CookieSecrets::parse(one), Ok(CookieSecrets::new(active, None)));
        let two = format!("# active\n{one}\n\n# until tomorrow\n{}\n", "FF".repeat(16));
        assert_eq!(CookieSecrets::parse(&two), Ok(CookieSecrets::new(active, Some([255; 16]))));
    }

    #[test]
    fn a_broken_file_is_told_without_its_secret() {
        for (text, why) in [
            ("", "there is no secret in it"),
            ("# nothing", "there is no secret in it"),
            ("e5e973e5a6b2a43f", "line 1: a secret is 32 hexadecimal digits"),
            ("\n+5e973e5a6b2a43f48e7dc849e37bfcf", "line 2: a secret is 32 hexadecimal digits"),
        ] {
            assert_eq!(CookieSecrets::parse(text), Err(why.to_owned()));
        }
        let three = "e5e973e5a6b2a43f48e7dc849e37bfcf\n".repeat(3);
        assert_eq!(CookieSecrets::parse(&three), Err("line 3: more than 2 secrets".to_owned()));
    }

    #[test]
    fn secrets_are_not_shown() {
        let secrets = CookieSecrets::new([0xab; 16], Some([0xcd; 16]));
        assert_eq!(format!("{secrets:?}"), "CookieSecrets(two)");
    }
}
