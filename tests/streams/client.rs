//! A node over loopback, and clients of it, plain and over TLS, from whatever address of the loopback network.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use aya_gslb::cli::load::{Content, Loaded};
use aya_gslb::cli::node::{Node, Options};
use aya_gslb::server::tls::CertificateFiles;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion};
use socket2::{Domain, Socket, Type};

use crate::made::{Made, folder};
use crate::support;

/// Long enough for anything that is going to happen at all.
pub const PATIENCE: Duration = Duration::from_secs(20);
pub const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A node that serves the world of the data path's tests over TCP and TLS, and the certificate that it shows.
pub struct Served {
    pub node: Node,
    pub certificate: Made,
    pub folder: PathBuf,
}

/// Starts one.
pub fn serve(name: &str) -> Served {
    let make = || {
        let world = support::world();
        Ok(Loaded { catalog: world.catalog, geo: world.geo, lints: Vec::new() })
    };
    let (folder, certificate) = (folder(name), Made::until(3_000));
    let any = SocketAddr::new(LOCALHOST, 0);
    let options = Options::new(Content::Made(Arc::new(make)), vec![any]);
    let files: CertificateFiles = certificate.write(&folder);
    let node = Node::start(Options { certificate: Some(files), listen_tls: vec![any], admin: Some(any), workers: 2, ..options }).unwrap();
    Served { node, certificate, folder }
}

impl Served {
    pub fn tcp(&self) -> SocketAddr {
        self.node.addresses()[0]
    }

    pub fn tls(&self) -> SocketAddr {
        self.node.tls_addresses()[0]
    }

    /// The value of a series.
    pub fn metric(&self, series: &str) -> u64 {
        let mut stream = connect(LOCALHOST, self.node.admin_address().unwrap());
        stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let line = text.lines().find(|line| line.strip_prefix(series).is_some_and(|rest| rest.starts_with(' ')));
        line.unwrap_or_else(|| panic!("no {series} in\n{text}")).rsplit(' ').next().unwrap().parse().unwrap()
    }

    /// Whether a newcomer from this address gets the right answer, over TLS if there is a configuration.
    pub fn serves(&self, source: IpAddr, tls: Option<&Arc<ClientConfig>>) -> bool {
        let query = support::ask::query("api.example.com", support::A).octets();
        let expected = framed(&answered(&query, source, tls.is_some()).unwrap());
        let said = match tls {
            None => exchange(&mut connect(source, self.tcp()), &framed(&query)),
            Some(config) => exchange(&mut secure(connect(source, self.tls()), config), &framed(&query)),
        };
        said == expected
    }
}

/// What the node's very own code answers to this message; `None` is silence.
pub fn answered(query: &[u8], source: IpAddr, tls: bool) -> Option<Vec<u8>> {
    use aya_gslb::answer::Transport;
    thread_local!(static WORLD: aya_gslb::world::World = started_world());
    let transport = if tls { Transport::Tls } else { Transport::Tcp };
    let reply = WORLD.with(|world| support::ask::send(world, query, source, transport));
    (reply.outcome.len > 0).then_some(reply.octets)
}

/// The world as a node starts with it: nothing is measured, nothing taken out.
fn started_world() -> aya_gslb::world::World {
    let world = support::world();
    aya_gslb::world::World::unmeasured(1, world.catalog, world.geo)
}

/// A message behind its length.
pub fn framed(message: &[u8]) -> Vec<u8> {
    [&u16::try_from(message.len()).unwrap().to_be_bytes()[..], message].concat()
}

/// A patient connection from an address of the loopback network.
pub fn connect(source: IpAddr, server: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::for_address(server), Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::new(source, 0).into()).unwrap();
    socket.connect(&server.into()).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Addresses of the loopback network, each another.
pub fn sources() -> impl Iterator<Item = IpAddr> {
    (1_u32..).map(|number| IpAddr::from(Ipv4Addr::from_bits(0x7f01_0000 + number)))
}

/// A configuration of clients that trust one certificate, offer these names and speak these versions.
pub fn trusting(made: &Made, names: &[&str], versions: &[&'static SupportedProtocolVersion]) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(made.certificate.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(versions).unwrap();
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = names.iter().map(|name| name.as_bytes().to_vec()).collect();
    Arc::new(config)
}

/// TLS over a connection; hands are shaken with the first octet.
pub fn secure(stream: TcpStream, config: &Arc<ClientConfig>) -> StreamOwned<ClientConnection, TcpStream> {
    let name = ServerName::try_from("ns1.test.example").unwrap();
    StreamOwned::new(ClientConnection::new(Arc::clone(config), name).unwrap(), stream)
}

/// What a client of this configuration says first.
pub fn hello(config: &Arc<ClientConfig>) -> Vec<u8> {
    let name = ServerName::try_from("ns1.test.example").unwrap();
    let mut octets = Vec::new();
    ClientConnection::new(Arc::clone(config), name).unwrap().write_tls(&mut octets).unwrap();
    octets
}

/// A stream whose sending half can be closed.
pub trait HalfClose: Read + Write {
    fn half_close(&mut self);
}

impl HalfClose for TcpStream {
    fn half_close(&mut self) {
        // One that is closed already is half closed.
        let _ = self.shutdown(Shutdown::Write);
    }
}

impl HalfClose for StreamOwned<ClientConnection, TcpStream> {
    fn half_close(&mut self) {
        self.conn.send_close_notify();
        let _ = self.flush();
    }
}

/// Sends octets and the end of input, and reads until the node has closed. A reset is an end like any other.
pub fn exchange(stream: &mut impl HalfClose, octets: &[u8]) -> Vec<u8> {
    let mut said = Vec::new();
    let sent = stream.write_all(octets).and_then(|()| stream.flush());
    stream.half_close();
    let read = stream.read_to_end(&mut said);
    for result in [sent, read.map(|_| ())] {
        let kind = result.err().map(|error| error.kind());
        assert!(!matches!(kind, Some(ErrorKind::WouldBlock | ErrorKind::TimedOut)), "the node neither answered nor closed");
    }
    said
}
