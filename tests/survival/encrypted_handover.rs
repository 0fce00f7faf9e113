//! A change of processes as clients of TLS, HTTPS and QUIC see it. Connections are not handed over: who held one to the old process is told at once
//! that it has ended, and whoever comes again is answered.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use hyper::Version;
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Connection, ConnectionError, Endpoint};
use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::encrypted::{Made, NAME, certificate, client};
use crate::http::{self, Http};
use crate::process::{Process, address};
use crate::support::A;
use crate::support::ask::{Query, query};
use crate::{Finish, Folder, ZONE, answers, soon};

/// How a client asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Over {
    Tls,
    Https(Version),
    Quic,
}

/// A node on every transport, and what its clients need.
struct Site {
    folder: Folder,
    made: Made,
}

/// Where a node answers.
#[derive(Clone, Copy)]
struct At {
    tls: SocketAddr,
    https: SocketAddr,
    quic: SocketAddr,
}

impl Site {
    fn new(name: &str, zone: &str) -> Self {
        Self { folder: Folder::with(name, zone), made: certificate(name) }
    }

    /// The next process; the first on any port.
    fn serve(&self, at: Option<At>) -> Process {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let [tls, https, quic] = at.map_or([any; 3], |at| [at.tls, at.https, at.quic]).map(|address| address.to_string());
        let [chain, key, path] = [&self.made.files.chain, &self.made.files.key, &self.folder.0.join("handover.sock")].map(|path| path.display().to_string());
        let listen = ["--listen", "127.0.0.1:0", "--listen-tls", &tls, "--listen-https", &https, "--listen-quic", &quic];
        let more = ["--workers", "2", "--admin", "off", "--tls-cert", &chain, "--tls-key", &key, "--handover", &path];
        Process::start(Process::command(&self.folder.zones(), &[&listen[..], &more].concat()))
    }

    /// The first process.
    fn first(&self) -> (Process, At) {
        let process = self.serve(None);
        let serving = process.wait_for("\"serving\"");
        let [tls, https, quic] = ["tls", "https", "quic"].map(|transport| address(&serving, transport));
        (process, At { tls, https, quic })
    }
}

/// A connection that one query after the other is asked on.
enum Asking {
    Tls(Box<TlsStream<TcpStream>>),
    Https(Http),
    Quic(Connection),
}

impl Asking {
    /// `None` when the node ends it before it begins.
    async fn connect(over: Over, at: At, certificate: &CertificateDer<'static>) -> Option<Self> {
        Some(match over {
            Over::Tls => Self::Tls(Box::new(soon(http::connect(at.tls, certificate, &[b"dot"])).await.ok()?)),
            Over::Https(version) => Self::Https(Http::try_connect(at.https, certificate, version).await.ok()?),
            Over::Quic => {
                let mut endpoint = Endpoint::client((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
                let tls = QuicClientConfig::try_from(client(certificate, &[b"doq"])).unwrap();
                endpoint.set_default_client_config(ClientConfig::new(Arc::new(tls)));
                let connection = soon(endpoint.connect(at.quic, NAME).unwrap()).await.ok()?;
                Self::Quic(connection)
            }
        })
    }

    /// The answers to one query; `None` when the node has ended the connection.
    async fn ask(&mut self) -> Option<Vec<String>> {
        let query = Query { id: 0, ..query("api.test.example", A) }.octets();
        let framed = [&u16::try_from(query.len()).unwrap().to_be_bytes(), &query[..]].concat();
        match self {
            Self::Tls(stream) => {
                stream.write_all(&framed).await.ok()?;
                let mut reply = vec![0; usize::from(soon(stream.read_u16()).await.ok()?)];
                soon(stream.read_exact(&mut reply)).await.expect("a reply is whole");
                Some(answers(&reply))
            }
            Self::Https(http) => {
                let got = http.try_send(&http::get(&query)).await.ok()?;
                assert!(got.is_dns(), "{got:?}");
                Some(answers(&got.body))
            }
            Self::Quic(connection) => {
                let (mut send, mut receive) = soon(connection.open_bi()).await.ok()?;
                send.write_all(&framed).await.ok()?;
                send.finish().ok()?;
                let reply = soon(receive.read_to_end(70_000)).await.ok()?;
                Some(answers(&reply[2..]))
            }
        }
    }
}

/// Runs a client.
fn run<T>(client: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(client)
}

#[test]
fn a_node_that_is_replaced_under_load_answers_everybody_over_tls_https_and_quic_who_comes_again() {
    const HANDOVERS: usize = 2;
    let site = Site::new("handover-encrypted", ZONE);
    let (mut old, at) = site.first();
    let (done, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    let hammer = async |over: Over| {
        let (mut asking, mut ended) = (None, 0);
        while !done.load(Ordering::Relaxed) {
            if asking.is_none() {
                asking = Asking::connect(over, at, &site.made.certificate).await;
            }
            let told = match &mut asking {
                Some(asking) => asking.ask().await,
                None => None,
            };
            if let Some(told) = told {
                assert_eq!(told, ["192.0.2.10"], "{over:?}");
                answered.fetch_add(1, Ordering::Relaxed);
            } else {
                (asking, ended) = (None, ended + 1);
            }
        }
        // One that was open, and at most one that came to a worker which was about to stop.
        assert!((1..=2 * HANDOVERS).contains(&ended), "{over:?} lost its connection {ended} times");
    };
    thread::scope(|scope| {
        let finish = Finish(&done);
        let clients = [Over::Tls, Over::Https(Version::HTTP_11), Over::Https(Version::HTTP_2), Over::Quic].map(|over| {
            let hammer = &hammer;
            scope.spawn(move || run(hammer(over)))
        });
        let some_more = || {
            let so_far = answered.load(Ordering::Relaxed);
            while answered.load(Ordering::Relaxed) < so_far + 200 && !clients.iter().any(thread::ScopedJoinHandle::is_finished) {
                thread::yield_now();
            }
        };
        for _ in 0..HANDOVERS {
            some_more();
            let new = site.serve(Some(at));
            new.wait_for("\"serving\"");
            old.wait_for("another process has taken over");
            old.assert_ends_well();
            old = new;
            some_more();
        }
        drop(finish);
        for client in clients {
            client.join().unwrap();
        }
    });
    old.signal("TERM");
    old.assert_ends_well();
}

#[test]
fn rfc9000_10_3_quic_connections_of_a_process_that_died_are_reset_by_the_next_one() {
    // A web service that never answers: the next process probes it for as long as it takes before it takes over.
    let web = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let zone = format!("{ZONE}probe-at = \"{}\"\n[service.api.probe.http]\npath = \"/healthz\"\n", web.local_addr().unwrap());
    let site = Site::new("handover-reset", &zone);
    let (old, at) = site.first();
    run(async {
        let mut asking = Asking::connect(Over::Quic, at, &site.made.certificate).await.unwrap();
        assert_eq!(asking.ask().await.unwrap(), ["192.0.2.10"]);
        let new = site.serve(Some(at));
        old.wait_for("a new process has the sockets");
        old.signal("KILL");
        new.wait_for("\"serving\"");
        assert_eq!(asking.ask().await, None);
        let Asking::Quic(connection) = &asking else { unreachable!() };
        assert_eq!(connection.close_reason(), Some(ConnectionError::Reset), "rather than a time-out");
        let mut again = Asking::connect(Over::Quic, at, &site.made.certificate).await.unwrap();
        assert_eq!(again.ask().await.unwrap(), ["192.0.2.10"]);
    });
}
