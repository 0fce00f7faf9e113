//! What a database says of a prefix, in whichever layout it says so.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::subdivision::subdivision_code;
use crate::catalog::known;
use crate::units::Coordinates;

/// Two letters in upper case: a country (ISO 3166-1 alpha-2) or a continent.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code([u8; 2]);

impl Code {
    /// From two ASCII letters in any case; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text.as_bytes() {
            [one, two] if one.is_ascii_alphabetic() && two.is_ascii_alphabetic() => Some(Self([one.to_ascii_uppercase(), two.to_ascii_uppercase()])),
            _ => None,
        }
    }

    /// The letters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is known of a prefix. Everything may be missing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Record {
    /// The country. Codes that name none (`ZZ`, `EU`, `AP`, `A1`) count as missing, and so does the country of registration: the law
    /// asks where the client is, not where its provider signed.
    pub country: Option<Code>,
    /// The subdivision (ISO 3166-2), for instance `US-CA`, where the database gives its code or, in large countries, its name.
    pub subdivision: Option<Box<str>>,
    /// The subdivision's English name, where the database spells it out.
    pub subdivision_name: Option<Box<str>>,
    /// The continent.
    pub continent: Option<Code>,
    /// Where it is.
    pub at: Option<Coordinates>,
    /// The autonomous system that announces it.
    pub asn: Option<u32>,
}

impl Record {
    /// Whether it says where the prefix is.
    #[must_use]
    pub fn names_a_place(&self) -> bool {
        self.country.is_some() || self.continent.is_some() || self.at.is_some()
    }
}

/// A record as it stands in the file: nested (MaxMind) or flat (IPtoASN, DB-IP, IPinfo). Unknown fields are passed over.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Raw<'a> {
    /// `{ iso_code }`, or a name or a code.
    #[serde(borrow)]
    country: Field<'a>,
    /// A code.
    #[serde(borrow)]
    country_code: Field<'a>,
    /// `{ code }`, or a name.
    #[serde(borrow)]
    continent: Field<'a>,
    /// A code.
    #[serde(borrow)]
    continent_code: Field<'a>,
    /// `[{ iso_code }, …]`, the largest first.
    #[serde(borrow)]
    subdivisions: Field<'a>,
    /// A name or a code.
    #[serde(borrow)]
    state1: Field<'a>,
    /// `{ latitude, longitude }`.
    #[serde(borrow)]
    location: Field<'a>,
    /// Degrees.
    #[serde(borrow, alias = "lat")]
    latitude: Field<'a>,
    /// Degrees.
    #[serde(borrow, alias = "lng")]
    longitude: Field<'a>,
    /// A number.
    #[serde(borrow)]
    autonomous_system_number: Field<'a>,
    /// A number, or `AS` and a number.
    #[serde(borrow)]
    asn: Field<'a>,
    /// `{ autonomous_system_number }`.
    #[serde(borrow)]
    traits: Field<'a>,
}

impl Raw<'_> {
    /// What it tells.
    pub(super) fn record(&self) -> Record {
        let code = |text: Option<&str>| text.and_then(Code::parse);
        let country = code(self.country.code)
            .or_else(|| code(self.country_code.text))
            .or_else(|| code(self.country.text))
            .filter(|code| known::country(code.as_str()).is_some());
        let subdivision = self.subdivisions.code.or(self.state1.text);
        let name = self.subdivisions.name.or(self.state1.text).filter(|name| name.len() > 3);
        let place = self.location.latitude.zip(self.location.longitude).or(self.latitude.degrees().zip(self.longitude.degrees()));
        Record {
            country,
            subdivision: country.zip(subdivision).and_then(|(country, part)| subdivision_code(country, part)),
            subdivision_name: country.and(name).map(Into::into),
            continent: code(self.continent.code).or_else(|| code(self.continent_code.text)).or_else(|| code(self.continent.text)),
            at: place.and_then(|(latitude, longitude)| Coordinates::from_degrees(latitude, longitude)),
            asn: self.autonomous_system_number.asn().or_else(|| self.asn.asn()).or(self.traits.asn),
        }
    }
}

/// A field of whatever type: what may be wanted of it is kept, the rest is passed over.
#[derive(Clone, Copy, Default)]
struct Field<'a> {
    /// It is this text.
    text: Option<&'a str>,
    /// It is this number.
    number: Option<f64>,
    /// It is a map with this `iso_code` or `code`.
    code: Option<&'a str>,
    /// It is a map with `names`, and this is the English one.
    name: Option<&'a str>,
    /// It is a map with this `latitude`.
    latitude: Option<f64>,
    /// It is a map with this `longitude`.
    longitude: Option<f64>,
    /// It is a map with this `autonomous_system_number`.
    asn: Option<u32>,
}

impl Field<'_> {
    /// Degrees, from a number or a text.
    fn degrees(&self) -> Option<f64> {
        self.number.or_else(|| self.text?.parse().ok())
    }

    /// An autonomous system's number, from a number or a text, with or without `AS` in front. 0 is none (RFC 7607).
    fn asn(&self) -> Option<u32> {
        let digits = self.text.map(|text| text.trim_start_matches("AS"));
        let number = match digits {
            Some(digits) => digits.parse().ok(),
            None => self.number.and_then(whole),
        };
        number.filter(|asn| *asn != 0)
    }
}

/// A number as 32 bits, if it is whole and fits.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is checked first")]
fn whole(number: f64) -> Option<u32> {
    ((0.0..=f64::from(u32::MAX)).contains(&number) && libm::trunc(number).to_bits() == number.to_bits()).then_some(number as u32)
}

impl<'de: 'a, 'a> Deserialize<'de> for Field<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FieldVisitor)
    }
}

/// Reads a [`Field`].
struct FieldVisitor;

impl<'de> Visitor<'de> for FieldVisitor {
    type Value = Field<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Field { text: Some(text), ..Field::default() })
    }

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(Field::default())
    }

    fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
        Ok(Field { number: Some(number), ..Field::default() })
    }

    fn visit_f32<E>(self, number: f32) -> Result<Self::Value, E> {
        Ok(Field { number: Some(f64::from(number)), ..Field::default() })
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Field { number: u32::try_from(number).ok().map(f64::from), ..Field::default() })
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Field { number: i32::try_from(number).ok().map(f64::from), ..Field::default() })
    }

    fn visit_u128<E>(self, _: u128) -> Result<Self::Value, E> {
        Ok(Field::default())
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Field::default())
    }

    fn visit_bytes<E>(self, _: &[u8]) -> Result<Self::Value, E> {
        Ok(Field::default())
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
        let mut field = Field::default();
        while let Some(key) = map.next_key::<&str>()? {
            match key {
                "iso_code" | "code" => field.code = map.next_value::<Field>()?.text,
                "names" => field.name = map.next_value::<Field>()?.name,
                "en" => field.name = map.next_value::<Field>()?.text,
                "latitude" => field.latitude = map.next_value::<Field>()?.degrees(),
                "longitude" => field.longitude = map.next_value::<Field>()?.degrees(),
                "autonomous_system_number" => field.asn = map.next_value::<Field>()?.asn(),
                _ => _ = map.next_value::<IgnoredAny>()?,
            }
        }
        Ok(field)
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut seq: S) -> Result<Self::Value, S::Error> {
        let first = seq.next_element::<Field>()?;
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(first.unwrap_or_default())
    }
}
