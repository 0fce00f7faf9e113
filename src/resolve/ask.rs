//! One look-up, from question to result.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use hickory_resolver::proto::serialize::binary::BinDecodable;

use super::schedule::Question;
use crate::catalog::AddressType;
use crate::clock::Clock;
use crate::control::{Found, Lookup};
use crate::limits::{ALIAS_LOOKUP_MS, ALIAS_QUERY_MS, PROBE_WORDS_MAX};
use crate::world::LookupFailure;

/// Whom names are asked of: recursive resolvers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum NameServers {
    /// Those of the system (`/etc/resolv.conf`).
    #[default]
    System,
    /// These.
    Of(Vec<SocketAddr>),
}

/// Makes single look-ups. Cheap to clone.
#[derive(Clone)]
pub struct Resolver {
    /// Tells when a look-up was complete.
    clock: Clock,
    /// The one that asks, or why there is none.
    resolver: Result<TokioResolver, LookupFailure>,
}

impl Resolver {
    /// A resolver that asks these name servers. The system's are read now; if they cannot be, each look-up fails and says why.
    #[must_use]
    pub fn new(clock: Clock, servers: &NameServers) -> Self {
        Self { clock, resolver: build(servers).map_err(|error| LookupFailure::Other(words(&format!("no name servers: {error}")))) }
    }

    /// Asks once. Takes no longer than [`ALIAS_LOOKUP_MS`].
    pub async fn ask(&self, question: &Question) -> Lookup {
        let outcome = match &self.resolver {
            Ok(resolver) => tokio::time::timeout(Duration::from_millis(ALIAS_LOOKUP_MS), ask_unbounded(resolver, question)).await,
            Err(failure) => Ok(Err(failure.clone())),
        };
        Lookup { at: self.clock.now(), outcome: outcome.unwrap_or(Err(LookupFailure::TimedOut)) }
    }
}

/// Makes the one that asks.
fn build(servers: &NameServers) -> Result<TokioResolver, NetError> {
    let mut builder = match servers {
        NameServers::System => TokioResolver::builder_tokio()?,
        NameServers::Of(addresses) => {
            let servers = addresses.iter().map(server).collect();
            TokioResolver::builder_with_config(ResolverConfig::from_name_servers(servers), TokioRuntimeProvider::default())
        }
    };
    let options: &mut ResolverOpts = builder.options_mut();
    // What was found is kept by the controller, and looked up anew at the end of its TTL: anything kept here would be older than it seems.
    options.cache_size = 0;
    // The chain to the addresses has TTLs, too.
    options.preserve_intermediates = true;
    options.use_hosts_file = ResolveHosts::Never;
    options.timeout = Duration::from_millis(ALIAS_QUERY_MS);
    options.attempts = 1;
    options.try_tcp_on_error = true;
    options.edns0 = true;
    options.case_randomization = true;
    builder.build()
}

/// A name server, asked over UDP, and over TCP where that does not do.
fn server(address: &SocketAddr) -> NameServerConfig {
    let mut connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()];
    for connection in &mut connections {
        connection.port = address.port();
    }
    NameServerConfig::new(address.ip(), true, connections.into())
}

/// Asks, for as long as it takes.
async fn ask_unbounded(resolver: &TokioResolver, question: &Question) -> Result<Found, LookupFailure> {
    let mut name = Name::from_bytes(question.name.wire()).map_err(|error| LookupFailure::Other(words(&error)))?;
    // A whole name: no search list is tried.
    name.set_fqdn(true);
    let rtype = match question.of {
        AddressType::A => RecordType::A,
        AddressType::Aaaa => RecordType::AAAA,
    };
    let lookup = resolver.lookup(name, rtype).await.map_err(|error| failure_of(&error))?;
    let address = |data: &RData| match data {
        RData::A(address) => Some(IpAddr::V4(address.0)),
        RData::AAAA(address) => Some(IpAddr::V6(address.0)),
        _ => None,
    };
    let addresses: Box<[IpAddr]> = lookup.answers().iter().filter_map(|record| address(&record.data)).filter(|address| question.of.holds(*address)).collect();
    if addresses.is_empty() {
        return Err(LookupFailure::NoAddress);
    }
    Ok(Found { addresses, ttl_s: lookup.answers().iter().map(|record| record.ttl).min().unwrap_or(0) })
}

/// What an error of the resolver says of the name.
fn failure_of(error: &NetError) -> LookupFailure {
    let negative = |rcode: ResponseCode| match rcode {
        ResponseCode::NXDomain => LookupFailure::NoSuchName,
        ResponseCode::NoError => LookupFailure::NoAddress,
        other => LookupFailure::Refused(words(&rcode_word(other))),
    };
    match error {
        NetError::Dns(DnsError::NoRecordsFound(none)) => negative(none.response_code),
        NetError::Dns(DnsError::ResponseCode(rcode)) => negative(*rcode),
        NetError::Timeout => LookupFailure::TimedOut,
        other => LookupFailure::Other(words(other)),
    }
}

/// An RCODE as operators know it.
fn rcode_word(rcode: ResponseCode) -> String {
    match rcode {
        ResponseCode::ServFail => "SERVFAIL".into(),
        ResponseCode::Refused => "REFUSED".into(),
        ResponseCode::FormErr => "FORMERR".into(),
        ResponseCode::NotImp => "NOTIMP".into(),
        other => format!("RCODE {}", u16::from(other)),
    }
}

/// A library's words, cut to [`PROBE_WORDS_MAX`] characters.
fn words(text: &impl ToString) -> Box<str> {
    text.to_string().chars().take(PROBE_WORDS_MAX).collect::<String>().into()
}
