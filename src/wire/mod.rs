//! DNS messages as octets: reading queries in place, writing replies into a given buffer.
//!
//! Pure, the ground floor beside `catalog`. Octets come from anybody, so nothing here panics, allocates, or does more work than the
//! message is long; what is not understood is a value ([`Parsed`]), never an error that somebody might log.
//!
//! | RFC | what | state |
//! |---|---|---|
//! | RFC 1035 | §4.1 header, question, resource records; §4.1.4 pointers | done |
//! | RFC 2181 | §9 TC drops whole RRsets; §11 any octet in a label | done |
//! | RFC 3225 | §3 DO is copied | done |
//! | RFC 6891 | §6.1 OPT, §6.2.3 to §6.2.5 sizes | done |
//! | RFC 7871 | §6 the option, §7.1.2 and §7.2.1 what is malformed and what is echoed | done |
//! | RFC 8484 | §5.1 how long a reply may be kept | done |
//! | RFC 5001 | §2.1 NSID is told to who asks | done |
//! | RFC 7828 | §3.1 edns-tcp-keepalive | done |
//! | RFC 7830, 8467 | §3, §4.1 padding in blocks of 468 octets | done |
//! | RFC 7873 | §4, §5.2.2 the option and its lengths; §5.4 a cookie and no question | done |
//! | RFC 8914 | §2 extended errors with text; codes 0, 3, 14, 18, 20, 21, 30 | done |
//! | RFC 9619 | §4 QDCOUNT is 1 | done |

pub mod edns;
pub mod extras;
pub mod freshness;
pub mod name;
pub mod query;
pub mod reply;

pub use edns::{Ecs, Ede, Edns};
pub use extras::{Extras, Text, Wants};
pub use freshness::freshness;
pub use name::Lowered;
pub use query::{Envelope, Parsed, Question, Wanted, glance, has_option, parse};
pub use reply::{Closing, Owner, Reply, Section, Set};

/// RCODE, the extended bits included (RFC 6891 §6.1.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Rcode(pub u16);

impl Rcode {
    /// No error.
    pub const NOERROR: Self = Self(0);
    /// The query is malformed.
    pub const FORMERR: Self = Self(1);
    /// The server cannot answer.
    pub const SERVFAIL: Self = Self(2);
    /// The name does not exist.
    pub const NXDOMAIN: Self = Self(3);
    /// The kind of query is not supported.
    pub const NOTIMP: Self = Self(4);
    /// The server will not answer.
    pub const REFUSED: Self = Self(5);
    /// The EDNS version is not supported (RFC 6891 §9).
    pub const BADVERS: Self = Self(16);
    /// The source sends too much, and could prove itself by its cookie (RFC 7873 §8).
    pub const BADCOOKIE: Self = Self(23);
}

/// TYPE and QTYPE codes that mean something to us.
pub mod rtype {
    /// IPv4 address (RFC 1035 §3.4.1).
    pub const A: u16 = 1;
    /// Name server (RFC 1035 §3.3.11).
    pub const NS: u16 = 2;
    /// Canonical name (RFC 1035 §3.3.1).
    pub const CNAME: u16 = 5;
    /// Start of authority (RFC 1035 §3.3.13).
    pub const SOA: u16 = 6;
    /// Text (RFC 1035 §3.3.14).
    pub const TXT: u16 = 16;
    /// IPv6 address (RFC 3596 §2.1).
    pub const AAAA: u16 = 28;
    /// EDNS (RFC 6891 §6.1.1); never asked for.
    pub const OPT: u16 = 41;
    /// Delegation signer (RFC 4034 §5).
    pub const DS: u16 = 43;
    /// HTTPS service binding (RFC 9460 §9).
    pub const HTTPS: u16 = 65;
    /// "This name does not exist" in NSEC bitmaps (RFC 9824 §3.4); must not be asked for.
    pub const NXNAME: u16 = 128;
    /// Transaction signature (RFC 8945 §4.2); never asked for.
    pub const TSIG: u16 = 250;
    /// Incremental zone transfer (RFC 1995).
    pub const IXFR: u16 = 251;
    /// Zone transfer (RFC 5936).
    pub const AXFR: u16 = 252;
    /// Any type (RFC 8482).
    pub const ANY: u16 = 255;
}

/// CLASS codes.
pub mod class {
    /// The Internet (RFC 1035 §3.2.4).
    pub const IN: u16 = 1;
}
