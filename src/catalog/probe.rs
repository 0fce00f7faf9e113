//! Probes: what is asked of whom, how often, and what counts as success.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::{AddressType, Name};
use crate::units::Permille;

/// What is asked of a target, how often, and how it is judged. Identical ones are one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProbeSpec {
    /// Where it is asked.
    pub target: ProbeTarget,
    /// What is asked and expected.
    pub kind: ProbeKind,
    /// Milliseconds from one probe to the next while nothing changes.
    pub interval_ms: u32,
    /// Milliseconds after which an unanswered probe has failed.
    pub timeout_ms: u32,
    /// Failures in a row that make it down.
    pub fall: u8,
    /// Successes in a row that make it up again.
    pub rise: u8,
    /// An answer slower than this many milliseconds makes it `degraded`; 0 never does.
    pub slow_ms: u32,
    /// When its own past makes it `degraded`; `None` never does.
    pub baseline: Option<BaselineSpec>,
}

/// When an endpoint is degraded against its own past.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BaselineSpec {
    /// The recent median must be beyond the usual one by so many median absolute deviations, 1 to 100.
    pub deviations: u8,
    /// For so many milliseconds.
    pub dwell_ms: u32,
    /// Or this share of recent probes must have failed, though never `fall` in a row.
    pub errors: Permille,
    /// Answers that must be known before slowness is judged.
    pub samples: u16,
}

/// Six deviations are some four standard ones of figures that wander normally, and an endpoint in trouble is far beyond; a sample of five
/// minutes knows nothing of the day, but enough to tell trouble from noise.
impl Default for BaselineSpec {
    fn default() -> Self {
        Self { deviations: 6, dwell_ms: 30_000, errors: Permille(200), samples: 64 }
    }
}

impl ProbeSpec {
    /// The family of addresses that it speaks for, if it speaks for one alone: that of the address that is asked. What is told of the endpoint as a
    /// whole (a heartbeat), or asked of whatever addresses it has, speaks for both.
    #[must_use]
    pub fn family(&self) -> Option<AddressType> {
        match &self.target.host {
            _ if matches!(self.kind, ProbeKind::Push(_)) => None,
            ProbeHost::Address(IpAddr::V4(_)) => Some(AddressType::A),
            ProbeHost::Address(IpAddr::V6(_)) => Some(AddressType::Aaaa),
            ProbeHost::AliasOf(_, of) => Some(*of),
            ProbeHost::Alias(_) => None,
        }
    }
}

/// Where a probe goes: an address of the endpoint, its alias, or what `probe-at` says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProbeTarget {
    /// The host.
    pub host: ProbeHost,
    /// The port.
    pub port: u16,
}

/// The host of a probe.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProbeHost {
    /// An address.
    Address(IpAddr),
    /// The addresses that an alias was resolved to, in turn.
    Alias(Name),
    /// Those of one family.
    AliasOf(Name, AddressType),
}

impl ProbeTarget {
    /// Of what is not asked at all: a heartbeat comes by itself.
    pub const NOBODY: Self = Self { host: ProbeHost::Address(IpAddr::V4(Ipv4Addr::UNSPECIFIED)), port: 0 };
}

impl ProbeHost {
    /// The alias whose addresses are asked.
    #[must_use]
    pub const fn alias(&self) -> Option<&Name> {
        match self {
            Self::Address(_) => None,
            Self::Alias(name) | Self::AliasOf(name, _) => Some(name),
        }
    }
}

impl From<IpAddr> for ProbeHost {
    fn from(address: IpAddr) -> Self {
        Self::Address(address)
    }
}

/// As in `192.0.2.1:443`, `[2001:db8::1]:443`, `lb.example.net:443`.
impl fmt::Display for ProbeTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            ProbeHost::Address(address) => SocketAddr::new(*address, self.port).fmt(f),
            ProbeHost::Alias(name) => write!(f, "{name}:{}", self.port),
            ProbeHost::AliasOf(name, of) => write!(f, "{name}:{} ({})", self.port, of.as_str()),
        }
    }
}

/// What is asked and what counts as success.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProbeKind {
    /// An HTTP request, over TLS or not.
    Http {
        /// Over TLS.
        tls: bool,
        /// Method, upper case.
        method: Box<str>,
        /// Path and query, beginning with `/`.
        path: Box<str>,
        /// Host header and server name; by default the service's name.
        host: Box<str>,
        /// Further headers, in order.
        headers: Box<[(Box<str>, Box<str>)]>,
        /// Body of the request, if any.
        body: Option<Box<str>>,
        /// Statuses that count as success.
        statuses: Box<[StatusRange]>,
        /// Text that the first 64 KiB of the body must have.
        contains: Option<Box<str>>,
        /// JSON pointers (RFC 6901) and the JSON value, as compact text, that must stand there.
        json: Box<[(Box<str>, Box<str>)]>,
        /// Milliseconds from the start to the first octet of the response's body, of one without a body to its head, after which it is `degraded`; 0 is
        /// no limit but the time-out.
        first_byte_ms: u32,
        /// Whether the certificate is verified.
        verify: bool,
        /// Seconds before the end of its certificate from which on it is `degraded`; 0 never is.
        expiry_warning_s: u32,
        /// Whether the connection is kept for the next time. Then a server that has stopped accepting is noticed later.
        keep_alive: bool,
    },
    /// A TCP connection.
    Tcp,
    /// A TLS handshake.
    Tls {
        /// Server name that is asked for and that the certificate must have.
        host: Box<str>,
        /// Whether the certificate is verified.
        verify: bool,
        /// Seconds before the end of its certificate from which on it is `degraded`; 0 never is.
        expiry_warning_s: u32,
    },
    /// A DNS query over UDP, and again over TCP when the reply is truncated.
    Dns {
        /// The name that is asked for.
        name: Name,
        /// The type that is asked for.
        rtype: u16,
        /// The RCODE that the reply must have.
        rcode: u16,
        /// Record data, uncompressed, each of which an answer of that type must have.
        answers: Box<[Box<[u8]>]>,
        /// Records of that type that the answer must have at least.
        at_least: u8,
        /// Whether the reply must be authoritative (AA).
        authoritative: bool,
        /// Whether recursion is desired (RD): of a resolver.
        recursion: bool,
    },
    /// A command of the operator's.
    Exec {
        /// Its path, absolute.
        command: Box<str>,
        /// Its arguments.
        args: Box<[Box<str>]>,
        /// What it is told of whom it is to judge.
        of: Box<ProbeOf>,
    },
    /// Nothing is asked: the endpoint tells by itself, at least once in an interval.
    Push(Box<ProbeOf>),
}

impl ProbeKind {
    /// The word for it, as the files have it.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Http { tls: false, .. } => "http",
            Self::Http { tls: true, .. } => "https",
            Self::Tcp => "tcp",
            Self::Tls { .. } => "tls",
            Self::Dns { .. } => "dns",
            Self::Exec { .. } => "exec",
            Self::Push(_) => "push",
        }
    }

    /// Whether its connection is kept from one time to the next.
    #[must_use]
    pub const fn is_kept(&self) -> bool {
        matches!(self, Self::Http { keep_alive: true, .. })
    }

    /// Seconds before the end of a certificate from which on it is `degraded`; 0 never is.
    #[must_use]
    pub const fn expiry_warning_s(&self) -> u32 {
        match self {
            Self::Http { tls: true, expiry_warning_s, .. } | Self::Tls { expiry_warning_s, .. } => *expiry_warning_s,
            _ => 0,
        }
    }
}

/// The endpoint that a probe is of, by its names, where these are a part of what is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProbeOf {
    /// The service's owner name.
    pub service: Box<str>,
    /// The endpoint's key.
    pub endpoint: Box<str>,
    /// Its region.
    pub region: Box<str>,
}

/// HTTP statuses from `first` to `last`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StatusRange {
    /// The lowest, 100 to 599.
    pub first: u16,
    /// The highest, 100 to 599.
    pub last: u16,
}
