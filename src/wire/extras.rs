//! Options of a reply that help and yield: cookies, keepalive, NSID, the text of an extended error, padding. Off the path that nearly every
//! query takes; that one is [`Reply::finish`].
//!
//! None of them ever pushes a record out: they share the octets that the records left. The most needed comes first. A client that holds a
//! cookie of ours may throw away what comes without one (RFC 7873 §5.3), so the cookie comes even before the extended error; padding takes
//! what is left at last.

use std::fmt;

use super::edns::{Ede, Edns, OPT_OCTETS, OPTION_COOKIE, OPTION_KEEPALIVE, OPTION_NSID, OPTION_PADDING};
use super::reply::{Closing, Reply};
use crate::limits::{COOKIE_OCTETS, EDE_TEXT_OCTETS_MAX, PADDING_BLOCK_OCTETS};

/// What a query asks to be told beside its answer, by the options that it has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wants(u8);

impl Wants {
    /// Which node answers (RFC 5001 §2.1).
    pub const NSID: Self = Self(1);
    /// How long an idle connection is kept (RFC 7828 §3.2.1).
    pub const KEEPALIVE: Self = Self(2);
    /// A reply whose length tells little (RFC 7830 §4).
    pub const PADDING: Self = Self(4);
    /// A cookie (RFC 7873 §5.2).
    pub const COOKIE: Self = Self(8);

    /// Whether it asks for anything.
    #[must_use]
    #[inline]
    pub const fn is_any(self) -> bool {
        self.0 != 0
    }

    /// Whether it asks for this.
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Adds one.
    pub(super) const fn insert(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

/// What a reply tells beside its answer, where there is room.
#[derive(Clone, Copy, Debug, Default)]
pub struct Extras<'a> {
    /// The whole cookie, the client's part first.
    pub cookie: Option<[u8; COOKIE_OCTETS]>,
    /// How long an idle connection is kept, in units of 100 milliseconds (RFC 7828 §3.1).
    pub keepalive: Option<u16>,
    /// What the node calls itself; empty: nothing.
    pub nsid: &'a [u8],
    /// What the extended error says to people; empty: nothing. Goes with the error or not at all.
    pub text: Text,
    /// Whether the length is made a multiple of [`PADDING_BLOCK_OCTETS`].
    pub padding: bool,
}

/// A short text in place: UTF-8, cut at the end of a character where it would be longer than [`EDE_TEXT_OCTETS_MAX`] octets.
#[derive(Clone, Copy)]
pub struct Text {
    /// The octets, valid up to `len`.
    octets: [u8; EDE_TEXT_OCTETS_MAX],
    /// How many there are.
    len: u8,
}

impl Text {
    /// Nothing.
    pub const EMPTY: Self = Self { octets: [0; EDE_TEXT_OCTETS_MAX], len: 0 };

    /// From what is formatted, without allocation.
    #[must_use]
    pub fn of(text: fmt::Arguments<'_>) -> Self {
        let mut written = Self::EMPTY;
        // An error is a text that was cut.
        let _ = fmt::Write::write_fmt(&mut written, text);
        written
    }

    /// Its octets.
    #[must_use]
    pub fn octets(&self) -> &[u8] {
        &self.octets[..usize::from(self.len)]
    }
}

impl Default for Text {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        String::from_utf8_lossy(self.octets()).fmt(f)
    }
}

impl fmt::Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let start = usize::from(self.len);
        let mut fits = text.len().min(EDE_TEXT_OCTETS_MAX - start);
        while !text.is_char_boundary(fits) {
            fits -= 1;
        }
        self.octets[start..start + fits].copy_from_slice(&text.as_bytes()[..fits]);
        self.len += u8::try_from(fits).map_err(|_| fmt::Error)?;
        if fits == text.len() { Ok(()) } else { Err(fmt::Error) }
    }
}

/// Octets of an option's code and length.
const OPTION_HEAD_OCTETS: usize = 4;

/// Octets that are left for options.
struct Room(usize);

impl Room {
    /// Takes so many, if they are there.
    fn take(&mut self, octets: usize) -> bool {
        let fits = octets <= self.0;
        self.0 -= if fits { octets } else { 0 };
        fits
    }
}

impl Reply<'_> {
    /// As [`Reply::finish`], with whatever of the extras has room beside the records. Without an OPT in the query there are none.
    #[cold]
    pub fn finish_with(mut self, closing: Closing, extras: &Extras<'_>) -> usize {
        if let Some(edns) = &self.envelope.edns {
            self.write_opt_with(edns, closing, extras);
        }
        self.write_header(closing)
    }

    /// Writes OPT and behind it the extras.
    fn write_opt_with(&mut self, edns: &Edns<'_>, mut closing: Closing, extras: &Extras<'_>) {
        let start = self.at;
        let fixed = OPT_OCTETS + edns.ecs.as_ref().map_or(0, super::Ecs::option_octets);
        let mut room = Room(self.octets.len().saturating_sub(start + fixed));
        let cookie = extras.cookie.filter(|_| room.take(OPTION_HEAD_OCTETS + COOKIE_OCTETS));
        closing.ede = closing.ede.filter(|_| room.take(Ede::OCTETS));
        let keepalive = extras.keepalive.filter(|_| room.take(OPTION_HEAD_OCTETS + 2));
        let nsid = Some(extras.nsid).filter(|nsid| !nsid.is_empty() && room.take(OPTION_HEAD_OCTETS + nsid.len()));
        let text = Some(extras.text.octets()).filter(|text| closing.ede.is_some() && room.take(text.len())).unwrap_or_default();

        self.write_opt(edns, closing);
        if !text.is_empty() {
            // The extended error is the last option so far: its text makes it longer.
            self.append(text);
            let len = self.at - text.len() - 4;
            self.patch(len, 2 + text.len());
        }
        if let Some(cookie) = cookie {
            self.append_option(OPTION_COOKIE, &cookie);
        }
        if let Some(tenths) = keepalive {
            self.append_option(OPTION_KEEPALIVE, &tenths.to_be_bytes());
        }
        if let Some(nsid) = nsid {
            self.append_option(OPTION_NSID, nsid);
        }
        if extras.padding {
            self.pad();
        }
        self.patch(start + OPT_OCTETS - 2, self.at - start - OPT_OCTETS);
    }

    /// Makes the length a multiple of the block, or the longest that is allowed if that is less (RFC 8467 §4.1).
    fn pad(&mut self) {
        let least = self.at + OPTION_HEAD_OCTETS;
        let len = least.next_multiple_of(PADDING_BLOCK_OCTETS).min(self.octets.len());
        // RDLENGTH has 16 bits, and so has the whole message.
        if let Some(zeros) = len.checked_sub(least) {
            self.append_option(OPTION_PADDING, &[]);
            self.patch(self.at - 2, zeros);
            self.octets[self.at..len].fill(0);
            self.at = len;
        }
    }

    /// Appends an option for which there is room.
    fn append_option(&mut self, code: u16, data: &[u8]) {
        self.append(&code.to_be_bytes());
        self.append(&[0, 0]);
        self.patch(self.at - 2, data.len());
        self.append(data);
    }

    /// Appends octets for which there is room; without it, they stay out.
    fn append(&mut self, octets: &[u8]) {
        if let Some(place) = self.octets.get_mut(self.at..self.at + octets.len()) {
            place.copy_from_slice(octets);
            self.at += octets.len();
        }
    }

    /// Writes a length of 16 bits at a place.
    fn patch(&mut self, at: usize, len: usize) {
        if let (Ok(len), Some(place)) = (u16::try_from(len), self.octets.get_mut(at..at + 2)) {
            place.copy_from_slice(&len.to_be_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_characters() {
        let long = "ä".repeat(EDE_TEXT_OCTETS_MAX);
        let text = Text::of(format_args!("x{long}"));
        assert!(text.octets().len() >= EDE_TEXT_OCTETS_MAX - 1);
        assert!(std::str::from_utf8(text.octets()).is_ok());
        assert_eq!(Text::of(format_args!("{} s", 40)).octets(), b"40 s");
    }
}
