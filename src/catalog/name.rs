//! A domain name as the catalog keeps it: uncompressed wire format in lower case.

use std::fmt;
use std::str::FromStr;

use crate::limits::{LABEL_OCTETS_MAX, LABELS_MAX, NAME_OCTETS_MAX};

/// An absolute domain name in uncompressed wire format, ASCII letters in lower case, 1 to 255 octets (RFC 1035 §3.1, RFC 4343 §3).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Box<[u8]>);

/// Why a text or octets are no name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// A label is empty, as in `a..b`.
    #[error("a label is empty")]
    EmptyLabel,
    /// A label has more than 63 octets.
    #[error("a label is longer than 63 octets")]
    LabelTooLong,
    /// The whole is longer than 255 octets.
    #[error("the name is longer than 255 octets")]
    NameTooLong,
    /// A `\` is not followed by a character or by three decimal digits up to 255.
    #[error("an escape is neither \\X nor \\DDD")]
    BadEscape,
    /// Octets that are not one uncompressed name.
    #[error("these octets are no uncompressed name")]
    BadWire,
}

impl Name {
    /// The root.
    #[must_use]
    pub fn root() -> Self {
        Self(Box::new([0]))
    }

    /// From uncompressed wire octets, in any case.
    ///
    /// # Errors
    /// [`NameError::BadWire`] unless `wire` is exactly one uncompressed name.
    pub fn from_wire(wire: &[u8]) -> Result<Self, NameError> {
        let mut at = 0;
        loop {
            let len = usize::from(*wire.get(at).ok_or(NameError::BadWire)?);
            if len > LABEL_OCTETS_MAX {
                return Err(NameError::BadWire);
            }
            at += 1 + len;
            if len == 0 {
                break;
            }
        }
        if at != wire.len() || at > NAME_OCTETS_MAX {
            return Err(NameError::BadWire);
        }
        Ok(Self(wire.to_ascii_lowercase().into()))
    }

    /// The wire octets, lower case, root label included.
    #[must_use]
    pub fn wire(&self) -> &[u8] {
        &self.0
    }

    /// Whether this is the root.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.0.len() == 1
    }

    /// Number of labels, the root not counted.
    #[must_use]
    pub fn label_count(&self) -> usize {
        self.labels().count()
    }

    /// The labels from the left, the root not among them.
    pub fn labels(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = &self.0[..];
        std::iter::from_fn(move || {
            let (&len, after) = rest.split_first()?;
            if len == 0 {
                return None;
            }
            let (label, tail) = after.split_at(usize::from(len));
            rest = tail;
            Some(label)
        })
    }

    /// The name without its leftmost label; `None` for the root.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        let len = usize::from(self.0[0]);
        (len > 0).then(|| Self(self.0[1 + len..].into()))
    }

    /// Whether this name is `ancestor` or below it.
    #[must_use]
    pub fn is_within(&self, ancestor: &Self) -> bool {
        let mut rest = &self.0[..];
        while rest.len() > ancestor.0.len() {
            rest = &rest[1 + usize::from(rest[0])..];
        }
        rest == &ancestor.0[..]
    }

    /// Whether the leftmost label is `*` (RFC 4592 §2.1.1).
    #[must_use]
    pub fn is_wildcard(&self) -> bool {
        self.0.starts_with(b"\x01*")
    }

    /// `label` put in front of this name.
    ///
    /// # Errors
    /// [`NameError`] when the label is empty or too long, or the whole gets too long.
    pub fn child(&self, label: &[u8]) -> Result<Self, NameError> {
        let len = u8::try_from(label.len()).map_err(|_| NameError::LabelTooLong)?;
        if len == 0 {
            return Err(NameError::EmptyLabel);
        }
        if usize::from(len) > LABEL_OCTETS_MAX {
            return Err(NameError::LabelTooLong);
        }
        if 1 + label.len() + self.0.len() > NAME_OCTETS_MAX {
            return Err(NameError::NameTooLong);
        }
        let mut wire = Vec::with_capacity(1 + label.len() + self.0.len());
        wire.push(len);
        wire.extend(label.iter().map(u8::to_ascii_lowercase));
        wire.extend_from_slice(&self.0);
        Ok(Self(wire.into()))
    }

    /// From presentation format, relative to `origin` unless it ends with a dot; `@` is the origin itself (RFC 1035 §5.1).
    ///
    /// # Errors
    /// [`NameError`], as the text fails.
    pub fn parse(text: &str, origin: &Self) -> Result<Self, NameError> {
        if text == "@" {
            return Ok(origin.clone());
        }
        if text == "." {
            return Ok(Self::root());
        }
        let (labels, absolute) = split_labels(text)?;
        let mut name = if absolute { Self::root() } else { origin.clone() };
        if labels.len() > LABELS_MAX {
            return Err(NameError::NameTooLong);
        }
        for label in labels.iter().rev() {
            name = name.child(label)?;
        }
        Ok(name)
    }
}

/// Splits presentation format into labels, escapes undone; says whether the text ended with a dot.
fn split_labels(text: &str) -> Result<(Vec<Vec<u8>>, bool), NameError> {
    let octets = text.as_bytes();
    let mut labels = Vec::new();
    let mut label = Vec::new();
    let mut at = 0;
    let mut absolute = false;
    while at < octets.len() {
        match octets[at] {
            b'.' => {
                if label.is_empty() {
                    return Err(NameError::EmptyLabel);
                }
                labels.push(std::mem::take(&mut label));
                absolute = at + 1 == octets.len();
                at += 1;
            }
            b'\\' => match &octets[at + 1..] {
                [a @ b'0'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', ..] => {
                    let value = u32::from(a - b'0') * 100 + u32::from(b - b'0') * 10 + u32::from(c - b'0');
                    label.push(u8::try_from(value).map_err(|_| NameError::BadEscape)?);
                    at += 4;
                }
                [b'0'..=b'9', ..] | [] => return Err(NameError::BadEscape),
                [other, ..] => {
                    label.push(*other);
                    at += 2;
                }
            },
            octet => {
                label.push(octet);
                at += 1;
            }
        }
    }
    if !label.is_empty() {
        labels.push(label);
    }
    if labels.is_empty() {
        return Err(NameError::EmptyLabel);
    }
    Ok((labels, absolute))
}

/// Reads a name as absolute, with or without the final dot.
impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::parse(text, &Self::root())
    }
}

/// Presentation format without the final dot (the root is `.`); octets that are not plain are escaped (RFC 4343 §2.1).
impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_root() {
            return f.write_str(".");
        }
        for (index, label) in self.labels().enumerate() {
            if index > 0 {
                f.write_str(".")?;
            }
            for &octet in label {
                match octet {
                    b'.' | b'\\' | b'"' | b';' | b'@' | b'$' | b'(' | b')' => write!(f, "\\{}", char::from(octet))?,
                    0x21..=0x7e => write!(f, "{}", char::from(octet))?,
                    _ => write!(f, "\\{octet:03}")?,
                }
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Name({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presentation_format_round_trips_through_escapes() {
        for text in ["api.gslb.example.com", ".", "*.x", r"a\.b.c", r"\000\255.x", r"a\\b"] {
            let name: Name = text.parse().expect(text);
            assert_eq!(name.to_string(), text);
            assert_eq!(Name::from_wire(name.wire()), Ok(name));
        }
    }

    #[test]
    fn relative_names_end_in_their_origin_and_absolute_ones_do_not() {
        let origin: Name = "example.com".parse().expect("a name");
        assert_eq!(Name::parse("www", &origin).map(|n| n.to_string()), Ok("www.example.com".into()));
        assert_eq!(Name::parse("www.", &origin).map(|n| n.to_string()), Ok("www".into()));
        assert_eq!(Name::parse("@", &origin), Ok(origin));
    }

    #[test]
    fn rfc1035_2_3_4_limits_hold() {
        let label = "a".repeat(63);
        let longest = format!("{label}.{label}.{label}.{}", "a".repeat(61));
        assert_eq!(longest.parse::<Name>().map(|n| n.wire().len()), Ok(255));
        assert_eq!(format!("{longest}a").parse::<Name>(), Err(NameError::NameTooLong));
        assert_eq!("a".repeat(64).parse::<Name>(), Err(NameError::LabelTooLong));
        assert_eq!("a..b".parse::<Name>(), Err(NameError::EmptyLabel));
        assert_eq!(r"a\25".parse::<Name>(), Err(NameError::BadEscape));
    }

    #[test]
    fn a_name_is_within_itself_and_its_ancestors_only() {
        let name = |text: &str| text.parse::<Name>().expect(text);
        assert!(name("a.b.c").is_within(&name("b.c")));
        assert!(name("b.c").is_within(&name("b.c")));
        assert!(!name("ab.c").is_within(&name("b.c")));
        assert!(name("b.c").is_within(&Name::root()));
    }
}
