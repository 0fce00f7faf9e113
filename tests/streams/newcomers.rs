//! Connections that are held against the node keep no newcomer out (RFC 9210 §4).

use std::io::Write;
use std::net::{IpAddr, TcpStream};
use std::sync::Arc;

use aya_gslb::limits;
use rustls::ClientConfig;
use rustls::version::{TLS12, TLS13};

use crate::client::{LOCALHOST, Served, connect, framed, hello, serve, sources, trusting};
use crate::support::{A, ask::query};

/// Newcomers that must all be served.
const NEWCOMERS: usize = 10;

/// Holds so many connections open, from these addresses, after each has sent this.
fn hold(served: &Served, tls: bool, count: usize, sources: impl Iterator<Item = IpAddr>, sent: &[u8]) -> Vec<TcpStream> {
    let server = if tls { served.tls() } else { served.tcp() };
    let open = |source| {
        let mut stream = connect(source, server);
        stream.write_all(sent).unwrap();
        stream
    };
    sources.take(count).map(open).collect()
}

/// Every newcomer is served, from an address that holds connections and from one that does not.
fn assert_newcomers_are_served(served: &Served, tls: Option<&Arc<ClientConfig>>) {
    for source in [LOCALHOST, "127.99.0.1".parse().unwrap()] {
        let got_in = (0..NEWCOMERS).filter(|_| served.serves(source, tls)).count();
        assert_eq!(got_in, NEWCOMERS, "from {source}");
    }
}

#[test]
fn two_hundred_half_open_and_two_hundred_slow_connections_keep_no_newcomer_out() {
    let served = serve("newcomers-tcp");
    for tls in [None, Some(trusting(&served.certificate, &["dot"], &[&TLS13, &TLS12]))] {
        let is_tls = tls.is_some();
        let whole = tls.as_ref().map_or_else(|| framed(&query("api.example.com", A).octets()), hello);
        let slow = &whole[..whole.len() / 2];
        let one = || std::iter::repeat(LOCALHOST);
        let mut held = hold(&served, is_tls, 200, one(), &[]);
        held.extend(hold(&served, is_tls, 200, one(), slow));
        assert_newcomers_are_served(&served, tls.as_ref());
        held.extend(hold(&served, is_tls, 200, sources(), &[]));
        held.extend(hold(&served, is_tls, 200, sources(), slow));
        assert_newcomers_are_served(&served, tls.as_ref());
        drop(held);
    }
    for word in ["tcp", "tls"] {
        let evicted = served.metric(&format!(r#"aya_connections_evicted_total{{transport="{word}"}}"#));
        assert!(evicted >= 100, "one address keeps its share at most: {evicted} over {word}");
    }
}

#[test]
fn more_silent_connections_than_there_are_seats_keep_no_newcomer_out() {
    let served = serve("newcomers-many");
    let many = limits::TCP_CONNECTIONS_MAX + 200;
    for (tls, word) in [(None, "tcp"), (Some(trusting(&served.certificate, &["dot"], &[&TLS13])), "tls")] {
        let held = hold(&served, tls.is_some(), many, sources(), &[]);
        assert_newcomers_are_served(&served, tls.as_ref());
        let open = served.metric(&format!(r#"aya_connections{{transport="{word}"}}"#));
        assert!(open <= limits::TCP_CONNECTIONS_MAX as u64 + 1, "{open} over {word}");
        drop(held);
    }
}

#[test]
fn connections_that_are_evicted_are_told_and_those_that_ask_are_not_evicted() {
    let served = serve("newcomers-told");
    let octets = framed(&query("api.example.com", A).octets());
    let mut busy = connect(LOCALHOST, served.tcp());
    let mut held = Vec::new();
    for _ in 0..3 * limits::TCP_CONNECTIONS_PER_PREFIX_MAX {
        held.push(connect(LOCALHOST, served.tcp()));
        busy.write_all(&octets).unwrap();
        let mut len = [0; 2];
        std::io::Read::read_exact(&mut busy, &mut len).unwrap();
        let mut reply = vec![0; usize::from(u16::from_be_bytes(len))];
        std::io::Read::read_exact(&mut busy, &mut reply).unwrap();
    }
    let first = &mut held[0];
    assert_eq!(std::io::Read::read(first, &mut [0; 1]).unwrap_or(0), 0);
}
