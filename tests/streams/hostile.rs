//! Hostile inputs over TCP and TLS leave the node alive and right: whatever is sent, what is whole in it is answered as `answer()` answers it,
//! octet by octet, and the next client is served.

use std::io::{Read, Write};
use std::net::{IpAddr, TcpStream};
use std::sync::Arc;
use std::thread;

use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ClientConnection, StreamOwned};

use crate::client::{LOCALHOST, Served, answered, connect, exchange, framed, hello, secure, serve, trusting};
use crate::support::ask::{header, query};
use crate::support::{A, AAAA};

/// A case: what it is, and what is sent.
type Case = (String, Vec<u8>);

/// A query that is plain and right.
fn plain() -> Vec<u8> {
    query("api.example.com", A).octets()
}

/// A message with a header of these counts and this behind it.
fn message(counts: [u16; 4], rest: &[u8]) -> Vec<u8> {
    framed(&[&header(7, 0, counts)[..], rest].concat())
}

/// A question for this name, as octets.
fn named(name: &[u8]) -> Vec<u8> {
    message([1, 0, 0, 0], &[name, &[0, 1, 0, 1]].concat())
}

/// So many octets that mean nothing, the same for each seed.
fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut number = seed;
    // Knuth's MMIX constants; the upper bits are what is good of it.
    std::iter::repeat_with(|| {
        number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        number.to_be_bytes()[0]
    })
    .take(len)
    .collect()
}

/// Framing that is cut, empty, too short or too long.
fn bad_frames() -> Vec<Case> {
    let query = framed(&plain());
    let mut largest = plain();
    largest.resize(65_535, 0xff);
    let mut cases = vec![
        ("nothing at all".into(), vec![]),
        ("half a length".into(), vec![0]),
        ("a length and nothing".into(), vec![0, 12]),
        ("the largest length and ten octets".into(), [&[0xff, 0xff][..], &[0; 10]].concat()),
        ("a message that is cut".into(), query[..query.len() - 1].to_vec()),
        ("a message behind one octet too many".into(), [&[0][..], &query].concat()),
        ("two messages, the second cut".into(), [&query[..], &query[..20]].concat()),
        ("a message, eleven octets, a message".into(), [&query[..], &framed(&[0; 11]), &query].concat()),
        ("65,535 octets of ones".into(), framed(&vec![0xff; 65_535])),
        ("65,535 octets of zeros".into(), framed(&vec![0; 65_535])),
        ("a query and 65,000 octets behind it in one message".into(), framed(&largest)),
        ("three of the largest messages".into(), [framed(&largest), framed(&vec![0; 65_535]), framed(&largest)].concat()),
        ("a hundred responses".into(), framed(&header(7, 0x8000, [0; 4])).repeat(100)),
        ("responses and queries by turns".into(), [framed(&header(7, 0x8000, [0; 4])), query.clone()].concat().repeat(50)),
        ("headers alone".into(), framed(&header(7, 0, [0; 4])).repeat(50)),
    ];
    cases.extend((0..12).map(|len| (format!("a length of {len}, then a query"), [&framed(&vec![0; len])[..], &query].concat())));
    cases
}

/// Other protocols, and noise.
fn strangers() -> Vec<Case> {
    let mut cases: Vec<Case> = vec![
        ("HTTP/1.1".into(), b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n".to_vec()),
        ("HTTP/2".into(), b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec()),
        ("SSH".into(), b"SSH-2.0-OpenSSH_9.9\r\n".to_vec()),
        ("SMTP".into(), b"EHLO localhost\r\n".to_vec()),
        ("SSLv2".into(), [&[0x80, 0x2e, 1, 0, 2, 0, 0x15, 0, 0, 0, 0x10][..], &[7; 35]].concat()),
    ];
    cases.extend((0..8).map(|seed| (format!("noise {seed}"), noise(seed, 3_000))));
    cases
}

/// Whole messages that are malformed, or ask what is not to be had.
fn bad_messages() -> Vec<Case> {
    let question = query("api.example.com", A).question();
    let with = |rest: &[u8]| message([1, 0, 0, 1], &[&question[..], rest].concat());
    let long = [&[63][..], &[b'a'; 63]].concat().repeat(5);
    let owned = |(name, octets): (&str, Vec<u8>)| (name.to_owned(), octets);
    [
        ("NOTIFY", framed(&header(7, 0x2000, [1, 0, 0, 0]))),
        ("UPDATE", framed(&header(7, 0x2800, [1, 0, 0, 0]))),
        ("opcode 15", framed(&header(7, 0x7800, [0; 4]))),
        ("two questions", message([2, 0, 0, 0], &question.repeat(2))),
        ("65,535 questions", message([65_535, 0, 0, 0], &question)),
        ("65,535 of everything", message([65_535; 4], &question)),
        ("65,535 answers that are not there", message([1, 65_535, 0, 0], &question)),
        ("a name that points at itself", named(&[0xc0, 12])),
        ("a name that points forward", named(&[0xc0, 40])),
        ("two names that point at each other", named(&[0xc0, 14, 0xc0, 12])),
        ("a label of type 0x40", named(&[0x41, 0])),
        ("a label of type 0x80", named(&[0x81, 0])),
        ("a name without an end", named(&[3, b'a', b'b', b'c'])),
        ("a name of more than 255 octets", named(&[&long[..], &[0]].concat())),
        ("no type", message([1, 0, 0, 0], &[0])),
        ("no class", message([1, 0, 0, 0], &[0, 0, 1])),
        ("class ANY", framed(&query("api.example.com", A).class(255).octets())),
        ("AXFR", framed(&query("example.com", 252).octets())),
        ("IXFR", framed(&query("example.com", 251).octets())),
        ("two OPTs", message([1, 0, 0, 2], &[&question[..], &query(".", A).edns().opt().repeat(2)].concat())),
        ("OPT of another owner", with(&[&[1, b'x'][..], &query(".", A).edns().opt()].concat())),
        ("OPT of version 1", framed(&query("api.example.com", A).edns_flags(1 << 16).octets())),
        ("OPT that is cut", with(&query(".", A).edns().opt()[..8])),
        ("OPT longer than the message", with(&[0, 0, 41, 4, 208, 0, 0, 0, 0, 0xff, 0xff])),
        ("an option longer than OPT", with(&[0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 4, 0, 8, 0, 9])),
        ("a subnet of family 3", framed(&query("api.example.com", A).option(8, &[0, 3, 24, 0, 1, 2, 3]).octets())),
        ("a subnet with bits beyond its length", framed(&query("api.example.com", A).option(8, &[0, 1, 8, 0, 1, 2]).octets())),
        ("a cookie of seven octets", framed(&query("api.example.com", A).option(10, &[1; 7]).octets())),
        ("a thousand options", framed(&(0..1_000).fold(query("api.example.com", A), |query, _| query.option(65_001, b"x")).octets())),
        ("keepalive with a time", framed(&query("api.example.com", A).option(11, &[0, 9]).octets())),
        ("padding of 60,000 octets", framed(&query("api.example.com", A).option(12, &vec![0; 60_000]).octets())),
    ]
    .map(owned)
    .into()
}

/// What is right to say to all of this: the answer to each whole message up to the first length below that of a header.
fn right(input: &[u8], source: IpAddr, tls: bool) -> Vec<u8> {
    let mut said = Vec::new();
    let mut rest = input;
    while let Some((len, behind)) = rest.split_first_chunk::<2>() {
        let len = usize::from(u16::from_be_bytes(*len));
        let (true, Some(message)) = (len >= 12, behind.get(..len)) else { break };
        said.extend(answered(message, source, tls).iter().flat_map(|reply| framed(reply)));
        rest = &behind[len..];
    }
    said
}

/// Nothing is left of the hostile: no panic, no connection, and the next is served.
fn assert_alive_and_right(served: &Served, tls: Option<&Arc<ClientConfig>>, after: &str) {
    assert!(served.serves(LOCALHOST, tls), "{after}");
    let word = if tls.is_some() { "tls" } else { "tcp" };
    assert_eq!(served.metric(&format!(r#"aya_answer_panics_total{{transport="{word}"}}"#)), 0, "{after}");
}

#[test]
fn hostile_messages_are_answered_rightly_or_end_the_connection_over_tcp_and_tls() {
    let served = serve("hostile-messages");
    let config = trusting(&served.certificate, &["dot"], &[&TLS13]);
    let cases = [bad_frames(), strangers(), bad_messages()].concat();
    assert!(cases.len() >= 70, "{}", cases.len());
    for (what, octets) in cases {
        let said = exchange(&mut connect(LOCALHOST, served.tcp()), &octets);
        assert_eq!(said, right(&octets, LOCALHOST, false), "{what}, over TCP");
        let said = exchange(&mut secure(connect(LOCALHOST, served.tls()), &config), &octets);
        assert_eq!(said, right(&octets, LOCALHOST, true), "{what}, over TLS");
        assert_alive_and_right(&served, None, &what);
        assert_alive_and_right(&served, Some(&config), &what);
    }
}

#[test]
fn messages_cut_into_single_octets_are_answered_as_whole_ones() {
    let served = serve("hostile-octets");
    let config = trusting(&served.certificate, &["dot"], &[&TLS12]);
    let octets = framed(&query("huge.example.com", 16).octets()).repeat(3);
    let send = |stream: &mut dyn Write| octets.iter().for_each(|octet| stream.write_all(&[*octet]).and_then(|()| stream.flush()).unwrap());
    let mut plain = connect(LOCALHOST, served.tcp());
    plain.set_nodelay(true).unwrap();
    send(&mut plain);
    assert_eq!(exchange(&mut plain, &[]), right(&octets, LOCALHOST, false));
    let mut secured = secure(connect(LOCALHOST, served.tls()), &config);
    send(&mut secured);
    assert_eq!(exchange(&mut secured, &[]), right(&octets, LOCALHOST, true));
}

#[test]
fn ten_thousand_queries_in_one_write_are_all_answered_in_their_order() {
    let served = serve("hostile-pipelined");
    let mut octets = Vec::new();
    for id in 0..10_000 {
        let mut one = query("api.example.com", if id % 2 == 0 { A } else { AAAA });
        one.id = id;
        octets.extend(framed(&one.octets()));
    }
    let mut stream = connect(LOCALHOST, served.tcp());
    let mut sending = stream.try_clone().unwrap();
    let expected = right(&octets, LOCALHOST, false);
    thread::scope(|scope| {
        scope.spawn(move || exchange_only(&mut sending, &octets));
        let mut said = Vec::new();
        stream.read_to_end(&mut said).unwrap();
        assert!(said == expected, "{} octets of {}", said.len(), expected.len());
    });
}

/// Sends all, and the end of input.
fn exchange_only(stream: &mut TcpStream, octets: &[u8]) {
    stream.write_all(octets).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
}

#[test]
fn who_never_reads_is_cut_off_and_keeps_nobody_else_waiting() {
    let served = serve("hostile-deaf");
    let config = trusting(&served.certificate, &["dot"], &[&TLS13]);
    let octets = framed(&query("huge.example.com", 16).octets()).repeat(1_000);
    let mut plain: Vec<TcpStream> = (0..5).map(|_| connect(LOCALHOST, served.tcp())).collect();
    let mut secured: Vec<StreamOwned<ClientConnection, TcpStream>> = (0..5).map(|_| secure(connect(LOCALHOST, served.tls()), &config)).collect();
    thread::scope(|scope| {
        let deaf = plain.iter_mut().map(|stream| stream as &mut (dyn Write + Send)).chain(secured.iter_mut().map(|stream| stream as _));
        // Each writes until the node has had enough of it: the error is the end that is waited for.
        let deaf: Vec<_> = deaf.map(|stream| scope.spawn(|| std::iter::repeat_with(|| stream.write_all(&octets)).find_map(Result::err).unwrap())).collect();
        while !deaf.iter().all(thread::ScopedJoinHandle::is_finished) {
            assert_alive_and_right(&served, None, "while others do not read");
            assert_alive_and_right(&served, Some(&config), "while others do not read");
        }
        for deaf in deaf {
            let kind = deaf.join().unwrap().kind();
            assert!(!matches!(kind, std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut), "{kind}");
        }
    });
}

/// Records of TLS that are out of place, cut or damaged.
fn bad_records(hello: &[u8]) -> Vec<Case> {
    let record = |kind: u8, version: [u8; 2], body: &[u8]| [&[kind, version[0], version[1]][..], &framed(body)].concat();
    let body = &hello[5..];
    let mut cases: Vec<Case> = vec![
        ("a plain query".into(), framed(&plain())),
        ("an empty handshake record".into(), record(22, [3, 1], &[])),
        ("a record longer than any".into(), [&[22, 3, 1, 0xff, 0xff][..], &[1; 1_000]].concat()),
        ("a thousand empty records".into(), record(22, [3, 3], &[]).repeat(1_000)),
        ("close_notify first".into(), record(21, [3, 3], &[1, 0])),
        ("a fatal alert first".into(), record(21, [3, 3], &[2, 40])),
        ("a thousand warnings".into(), record(21, [3, 3], &[1, 90]).repeat(1_000)),
        ("application data first".into(), record(23, [3, 3], &framed(&plain()))),
        ("change_cipher_spec first".into(), record(20, [3, 3], &[1])),
        ("a hundred change_cipher_specs".into(), record(20, [3, 3], &[1]).repeat(100)),
        ("heartbeat".into(), record(24, [3, 3], &[1, 0xff, 0xff])),
        ("a record of kind 99".into(), record(99, [3, 3], &[0; 10])),
        ("SSL 3.0".into(), record(22, [3, 0], &[&[1, 0, 0, 38, 3, 0][..], &[9; 32], &[0, 0, 2, 0, 10, 1, 0]].concat())),
        ("TLS 1.0".into(), record(22, [3, 1], &[&[1, 0, 0, 41, 3, 1][..], &[9; 32], &[0, 0, 2, 0, 47, 1, 0]].concat())),
        ("TLS 1.1".into(), record(22, [3, 2], &[&[1, 0, 0, 41, 3, 2][..], &[9; 32], &[0, 0, 2, 0, 47, 1, 0]].concat())),
        ("a server hello".into(), record(22, [3, 3], &[&[2][..], &body[1..]].concat())),
        ("a finished first".into(), record(22, [3, 3], &[&[20, 0, 0, 12][..], &[1; 12]].concat())),
        ("key updates before any key".into(), record(22, [3, 3], &[24, 0, 0, 1, 1]).repeat(50)),
        ("a hello of 16 MiB, announced".into(), record(22, [3, 1], &[&[1, 0xff, 0xff, 0xff][..], &[3; 500]].concat())),
        ("two hellos".into(), hello.repeat(2)),
        ("a hello and a plain query".into(), [hello, &framed(&plain())].concat()),
        ("a hello in records of one octet".into(), body.iter().flat_map(|octet| record(22, [3, 1], &[*octet])).collect()),
    ];
    cases.extend((1..=8).map(|part| (format!("{part} eighths of a hello"), hello[..hello.len() * part / 8].to_vec())));
    cases.extend((0..24).map(|place| {
        let mut damaged = hello.to_vec();
        damaged[5 + place * (hello.len() - 6) / 24] ^= 0xff;
        (format!("a hello that is damaged in {place} parts of 24"), damaged)
    }));
    cases.extend(strangers());
    cases
}

#[test]
fn hostile_records_end_the_connection_without_a_word_of_dns() {
    let served = serve("hostile-records");
    for version in [&TLS13, &TLS12] {
        let config = trusting(&served.certificate, &["dot"], &[version]);
        let cases = bad_records(&hello(&config));
        assert!(cases.len() >= 60, "{}", cases.len());
        for (what, octets) in cases {
            let said = exchange(&mut connect(LOCALHOST, served.tls()), &octets);
            // Handshake records, change_cipher_spec and alerts; application data of TLS 1.3 is what is encrypted of the handshake.
            assert!(said.is_empty() || (20..=23).contains(&said[0]), "{what}: {said:?}");
            assert!(!said.windows(3).any(|part| part == b"api"), "{what}");
            assert_alive_and_right(&served, Some(&config), &what);
        }
    }
    assert!(served.metric(r#"aya_tls_handshakes_failed_total{transport="tls"}"#) >= 100);
}

#[test]
fn connections_that_are_reset_or_damaged_after_the_handshake_are_forgotten() {
    let served = serve("hostile-resets");
    for version in [&TLS13, &TLS12] {
        let config = trusting(&served.certificate, &["dot"], &[version]);
        for turn in 0..40 {
            let mut stream = secure(connect(LOCALHOST, served.tls()), &config);
            stream.write_all(&framed(&plain())).unwrap();
            stream.read_exact(&mut [0; 2]).unwrap();
            match turn % 4 {
                // A hello in the clear: renegotiation as an attacker in the middle would splice it in (RFC 5746 §1).
                0 => drop(exchange(&mut stream.sock, &hello(&config))),
                1 => drop(exchange(&mut stream.sock, &[23, 3, 3, 0, 40].iter().chain(&[0xaa; 40]).copied().collect::<Vec<u8>>())),
                2 => socket2::SockRef::from(&stream.sock).set_linger(Some(std::time::Duration::ZERO)).unwrap(),
                _ => drop(stream.sock.shutdown(std::net::Shutdown::Both)),
            }
        }
        for _ in 0..40 {
            let stream = connect(LOCALHOST, served.tcp());
            (&stream).write_all(&framed(&plain())[..9]).unwrap();
            socket2::SockRef::from(&stream).set_linger(Some(std::time::Duration::ZERO)).unwrap();
        }
        assert_alive_and_right(&served, Some(&config), "resets");
        assert_alive_and_right(&served, None, "resets");
    }
    // They leave no seat taken behind; what is still open is about to be closed.
    for series in [r#"aya_connections{transport="tcp"}"#, r#"aya_connections{transport="tls"}"#] {
        while served.metric(series) > 0 {}
    }
    assert_eq!(served.metric(r#"aya_connections_evicted_total{transport="tcp"}"#), 0);
}
