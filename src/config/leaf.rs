//! Values without parts: texts, numbers, quantities, addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ipnet::IpNet;
use toml::de::DeValue;

use super::quantity;
use super::walk::{Leaf, Wrong, text};
use crate::catalog::StatusRange;
use crate::units::{Coordinates, MicroUsd, Micros, Permille, Ttl};

/// A text of at least one character, without control characters.
impl Leaf for Box<str> {
    const EXPECTED: &'static str = "a text";

    fn read(value: &DeValue<'_>) -> Result<Self, Wrong> {
        let text = text(value)?;
        if text.is_empty() {
            return Err(Wrong::What("this is empty".into()));
        }
        if text.contains(char::is_control) {
            return Err(Wrong::What("this has control characters".into()));
        }
        Ok(text.as_ref().into())
    }
}

/// Any text.
pub(super) struct Text(pub(super) Box<str>);

impl Leaf for Text {
    const EXPECTED: &'static str = "a text";

    fn read(value: &DeValue<'_>) -> Result<Self, Wrong> {
        Ok(Self(text(value)?.as_ref().into()))
    }
}

impl Leaf for bool {
    const EXPECTED: &'static str = "true or false";

    fn read(value: &DeValue<'_>) -> Result<Self, Wrong> {
        match value {
            DeValue::Boolean(value) => Ok(*value),
            _ => Err(Wrong::Kind),
        }
    }
}

impl Leaf for i64 {
    const EXPECTED: &'static str = "a whole number";

    fn read(value: &DeValue<'_>) -> Result<Self, Wrong> {
        match value {
            DeValue::Integer(value) => Self::from_str_radix(value.as_str(), value.radix()).map_err(|_| Wrong::What("too large".into())),
            _ => Err(Wrong::Kind),
        }
    }
}

/// A number of degrees.
pub(super) struct Degrees(pub(super) f64);

impl Leaf for Degrees {
    const EXPECTED: &'static str = "a number of degrees";

    fn read(value: &DeValue<'_>) -> Result<Self, Wrong> {
        let digits = match value {
            DeValue::Integer(value) if value.radix() == 10 => value.as_str(),
            DeValue::Float(value) => value.as_str(),
            _ => return Err(Wrong::Kind),
        };
        match digits.parse::<f64>() {
            Ok(degrees) if degrees.is_finite() => Ok(Self(degrees)),
            _ => Err(Wrong::What("no number of degrees".into())),
        }
    }
}

/// A place on the globe.
impl Leaf for Coordinates {
    const EXPECTED: &'static str = "a place as [latitude, longitude] in degrees, such as [50.11, 8.68]";

    fn read(value: &DeValue<'_>) -> Result<Self, Wrong> {
        let DeValue::Array(array) = value else { return Err(Wrong::Kind) };
        let degrees = |index: usize| array.get(index).map(|element| Degrees::read(element.get_ref()));
        match (degrees(0), degrees(1), array.len()) {
            (Some(Ok(latitude)), Some(Ok(longitude)), 2) => {
                Self::from_degrees(latitude.0, longitude.0).ok_or_else(|| Wrong::What("latitude is from -90 to 90, longitude from -180 to 180".into()))
            }
            _ => Err(Wrong::What("not two numbers".into())),
        }
    }
}

/// Implements [`Leaf`] for quantities: a text that a function of [`quantity`] reads.
macro_rules! quantities {
    ($($(#[$doc:meta])* $type:ident($inner:ty), $read:path, $expected:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) struct $type(pub(super) $inner);

        impl Leaf for $type {
            const EXPECTED: &'static str = $expected;

            fn read(value: &DeValue<'_>) -> Result<Self, Wrong> {
                $read(text(value)?).map(Self).map_err(Wrong::What)
            }
        }
    )*};
}

quantities! {
    /// A duration in whole milliseconds.
    Millis(u32), quantity::millis, "a duration with its unit, such as \"5s\"";
    /// A latency, possibly negative.
    Signed(Micros), quantity::time, "a duration with its unit, such as \"2 ms\"";
    /// A latency.
    Latency(Micros), latency, "a duration with its unit, such as \"2 ms\"";
    /// A time to live.
    Seconds(Ttl), quantity::ttl, "a TTL with its unit, such as \"30s\"";
    /// An amount of data.
    Octets(u64), quantity::data, "an amount of data with its unit, such as \"50 kB\"";
    /// A rate.
    Rate(u64), quantity::rate, "a rate with its unit, such as \"4000 rps\"";
    /// Money.
    Money(MicroUsd), quantity::money, "money with its currency, such as \"0.085 USD\"";
    /// A share.
    Share(Permille), quantity::share, "a share, such as \"80%\"";
    /// A share of any size, in thousandths.
    Ratio(u32), quantity::ratio, "a share of any size, such as \"150%\"";
    /// A difference from the whole, in thousandths.
    Deviation(i32), quantity::deviation, "a difference, such as \"30%\" or \"-20%\"";
}

/// A latency that is not negative.
fn latency(text: &str) -> Result<Micros, String> {
    quantity::time(text).and_then(|micros| if micros.0 < 0 { Err("must not be negative".into()) } else { Ok(micros) })
}

/// Implements [`Leaf`] for types that read themselves from a text.
macro_rules! parsed {
    ($($type:ty, $expected:literal, $wrong:literal;)*) => {$(
        impl Leaf for $type {
            const EXPECTED: &'static str = $expected;

            fn read(value: &DeValue<'_>) -> Result<Self, Wrong> {
                text(value)?.parse().map_err(|_| Wrong::What($wrong.into()))
            }
        }
    )*};
}

parsed! {
    Ipv4Addr, "an IPv4 address", "no IPv4 address";
    Ipv6Addr, "an IPv6 address", "no IPv6 address";
    IpAddr, "an IP address", "no IP address";
}

/// A prefix, or an address that stands for the prefix of itself. Bits behind the length must be zero.
impl Leaf for IpNet {
    const EXPECTED: &'static str = "a prefix such as \"192.0.2.0/24\"";

    fn read(value: &DeValue<'_>) -> Result<Self, Wrong> {
        prefix(text(value)?).map_err(Wrong::What)
    }
}

/// Reads a prefix, or an address, which is one of its full length; or what is wrong with it.
pub(super) fn prefix(text: &str) -> Result<IpNet, String> {
    let prefix = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)).map_err(|_| "no prefix".to_owned())?;
    if prefix != prefix.trunc() {
        return Err(format!("has bits behind its length; did you mean \"{}\"?", prefix.trunc()));
    }
    Ok(prefix)
}

/// Where a probe goes: an address, with or without a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ProbeAt {
    /// The address.
    pub(super) address: IpAddr,
    /// The port, if told.
    pub(super) port: Option<u16>,
}

impl Leaf for ProbeAt {
    const EXPECTED: &'static str = "an address, or address and port such as \"10.0.0.30:8080\" or \"[2001:db8::30]:8080\"";

    fn read(value: &DeValue<'_>) -> Result<Self, Wrong> {
        let text = text(value)?;
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self { address, port: None });
        }
        match text.parse::<SocketAddr>() {
            Ok(socket) if socket.port() != 0 => Ok(Self { address: socket.ip(), port: Some(socket.port()) }),
            _ => Err(Wrong::What("neither an address nor an address and a port".into())),
        }
    }
}

/// Seconds before the end of a certificate; 0 stands for never, which is written `off`.
pub(super) struct ExpiryWarning(pub(super) u32);

impl Leaf for ExpiryWarning {
    const EXPECTED: &'static str = "a duration in whole seconds such as \"14d\", or \"off\"";

    fn read(value: &DeValue<'_>) -> Result<Self, Wrong> {
        match &**text(value)? {
            "off" => Ok(Self(0)),
            written => quantity::ttl(written).map(|seconds| Self(seconds.0)).map_err(Wrong::What),
        }
    }
}

/// A status or a range of them: 200, "200", "200-299".
impl Leaf for StatusRange {
    const EXPECTED: &'static str = "a status such as 200 or a range such as \"200-299\"";

    fn read(value: &DeValue<'_>) -> Result<Self, Wrong> {
        let wrong = || Wrong::What("statuses are from 100 to 599".into());
        let status = |text: &str| text.trim().parse::<u16>().ok().filter(|status| (100..=599).contains(status)).ok_or_else(wrong);
        let (first, last) = match value {
            DeValue::Integer(number) if number.radix() == 10 => (status(number.as_str())?, status(number.as_str())?),
            DeValue::String(range) => match range.split_once('-') {
                Some((first, last)) => (status(first)?, status(last)?),
                None => (status(range)?, status(range)?),
            },
            _ => return Err(Wrong::Kind),
        };
        if first > last {
            return Err(Wrong::What("the range ends before it begins".into()));
        }
        Ok(Self { first, last })
    }
}
