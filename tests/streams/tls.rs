//! DNS over TLS (RFC 7858): handshakes, names, leave-taking, and certificates that are renewed in service.

use std::io::{ErrorKind, Read, Write};
use std::sync::Arc;

use rustls::version::{TLS12, TLS13};
use rustls::{AlertDescription, ClientConfig};

use crate::client::{LOCALHOST, Served, connect, framed, secure, serve, trusting};
use crate::made::{Made, write};
use crate::support::{A, ask::query};

/// Why hands cannot be shaken; `None` if they can.
fn refusal(served: &Served, config: &Arc<ClientConfig>) -> Option<rustls::Error> {
    let mut stream = connect(LOCALHOST, served.tls());
    let mut client = secure(stream.try_clone().unwrap(), config).conn;
    let shaken = client.complete_io(&mut stream);
    shaken.err().map(|error| error.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>()).unwrap_or_else(|| panic!("{error}")).clone())
}

#[test]
fn rfc7858_3_2_the_name_dot_is_agreed_on_none_is_taken_and_another_is_refused() {
    let served = serve("tls-names");
    for version in [&TLS13, &TLS12] {
        for (names, agreed) in [(&["dot"][..], Some(&b"dot"[..])), (&["h2", "dot"], Some(b"dot")), (&[], None)] {
            let config = trusting(&served.certificate, names, &[version]);
            let mut stream = secure(connect(LOCALHOST, served.tls()), &config);
            stream.write_all(&framed(&query("api.example.com", A).octets())).unwrap();
            stream.read_exact(&mut [0; 2]).unwrap();
            assert_eq!((stream.conn.alpn_protocol(), stream.conn.protocol_version()), (agreed, Some(version.version)), "{names:?}");
            assert!(served.serves(LOCALHOST, Some(&config)), "{names:?}");
        }
        let config = trusting(&served.certificate, &["h2", "doq"], &[version]);
        assert_eq!(refusal(&served, &config), Some(rustls::Error::AlertReceived(AlertDescription::NoApplicationProtocol)));
    }
}

#[test]
fn rfc8446_6_1_the_node_takes_leave_with_a_close_notify() {
    let served = serve("tls-leave");
    let config = trusting(&served.certificate, &["dot"], &[&TLS13]);
    // A length below that of a header ends the connection after earlier answers.
    let mut stream = secure(connect(LOCALHOST, served.tls()), &config);
    stream.write_all(&[framed(&query("api.example.com", A).octets()), vec![0, 3]].concat()).unwrap();
    let mut said = Vec::new();
    let read = stream.read_to_end(&mut said);
    assert!(read.is_ok(), "an end without a close_notify is an error here: {read:?}");
    assert!(said.len() > 40);
}

#[test]
fn rfc7858_3_4_a_session_is_resumed_by_its_ticket() {
    let served = serve("tls-tickets");
    for version in [&TLS13, &TLS12] {
        let config = trusting(&served.certificate, &["dot"], &[version]);
        let kinds: Vec<_> = (0..2)
            .map(|_| {
                let mut stream = secure(connect(LOCALHOST, served.tls()), &config);
                stream.write_all(&framed(&query("api.example.com", A).octets())).unwrap();
                stream.read_exact(&mut [0; 2]).unwrap();
                stream.conn.handshake_kind()
            })
            .collect();
        assert_eq!(kinds, [Some(rustls::HandshakeKind::Full), Some(rustls::HandshakeKind::Resumed)], "{version:?}");
    }
}

#[test]
fn a_renewed_certificate_is_used_without_a_restart_and_connections_that_are_open_go_on() {
    let served = serve("tls-renewed");
    let renewed = Made::until(4_000);
    let [old, new] = [&served.certificate, &renewed].map(|made| trusting(made, &["dot"], &[&TLS13, &TLS12]));
    let octets = framed(&query("api.example.com", A).octets());
    let mut open = secure(connect(LOCALHOST, served.tls()), &old);
    let mut ask = || {
        open.write_all(&octets).unwrap();
        let mut len = [0; 2];
        open.read_exact(&mut len).unwrap();
        open.read_exact(&mut vec![0; usize::from(u16::from_be_bytes(len))]).unwrap();
    };
    ask();
    let renewals = |outcome: &str| served.metric(&format!(r#"aya_tls_certificate_renewals_total{{outcome="{outcome}"}}"#));
    let ends = || served.metric("aya_tls_certificate_expiry_timestamp_seconds");
    assert_eq!((renewals("applied"), renewals("refused"), ends()), (0, 0, 32_503_680_000));

    // Broken: told to reload, the node keeps the old one.
    write(&served.folder, &renewed.certificate, &served.certificate.key);
    served.node.reload().unwrap();
    assert!(served.serves(LOCALHOST, Some(&old)) && refusal(&served, &new).is_some());
    assert!(renewals("refused") >= 1 && renewals("applied") == 0);

    // Whole: nobody tells it, it finds out.
    renewed.write(&served.folder);
    while refusal(&served, &new).is_some() {}
    assert!(served.serves(LOCALHOST, Some(&new)));
    // A client that has no ticket, since a session that is resumed shows no certificate.
    assert!(refusal(&served, &trusting(&served.certificate, &["dot"], &[&TLS13])).is_some());
    assert_eq!((renewals("applied"), ends()), (1, 64_060_588_800));
    ask();
}

#[test]
fn without_a_certificate_an_encrypted_transport_is_refused_and_a_port_in_use_is_an_error() {
    use aya_gslb::cli::node::{Node, Options, StartError};
    let served = serve("tls-start");
    let any = "127.0.0.1:0".parse().unwrap();
    let load = || {
        let world = crate::support::world();
        Ok(aya_gslb::cli::load::Loaded { catalog: world.catalog, geo: world.geo, lints: Vec::new() })
    };
    let options = Options::new(aya_gslb::cli::load::Content::Made(Arc::new(load)), vec![any]);
    let error = Node::start(Options { listen_tls: vec![served.tls()], ..options.clone() }).unwrap_err();
    assert!(matches!(error, StartError::NoCertificate(address, "TLS") if address == served.tls()), "{error}");
    let certificate = Some(served.certificate.write(&served.folder));
    let error = Node::start(Options { listen_tls: vec![served.tls()], certificate, ..options }).unwrap_err();
    assert!(matches!(&error, StartError::Bind(bind) if bind.source.kind() == ErrorKind::AddrInUse && bind.transport == "TLS"), "{error}");
}
