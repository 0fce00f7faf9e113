//! What a node needs for the encrypted transports: the certificate, and sockets of TLS, HTTPS and QUIC.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use super::{Options, StartError};
use crate::server::doq::Lineage;
use crate::server::tls::Certificates;
use crate::server::{self, BoundDatagrams, BoundStreams, Edge, Given, Server};
use crate::telemetry::Telemetry;

/// The sockets of the encrypted transports, bound.
#[derive(Debug)]
pub(super) struct Encrypted {
    /// Of TLS.
    tls: Vec<BoundStreams>,
    /// Of HTTPS.
    https: Vec<BoundStreams>,
    /// Of QUIC.
    quic: Vec<BoundDatagrams>,
}

impl Encrypted {
    /// Takes what is given of what is wanted, and binds the rest.
    pub(super) fn bind(options: &Options, given: &mut Given) -> Result<Self, StartError> {
        let workers = options.workers.max(1);
        Ok(Self {
            tls: server::bind_streams(&options.listen_tls, workers, "TLS", given)?,
            https: server::bind_streams(&options.listen_https, workers, "HTTPS", given)?,
            quic: server::bind_datagrams(&options.listen_quic, "QUIC", given)?,
        })
    }

    /// Workers that they get.
    pub(super) fn workers(&self) -> usize {
        server::workers_of_streams(&self.tls) + server::workers_of_streams(&self.https) + self.quic.len()
    }

    /// The addresses of TLS, HTTPS and QUIC.
    pub(super) fn addresses(&self) -> [Vec<SocketAddr>; 3] {
        let streams = |bound: &[BoundStreams]| bound.iter().map(|bound| bound.address).collect();
        [streams(&self.tls), streams(&self.https), self.quic.iter().map(|bound| bound.address).collect()]
    }

    /// Starts the workers of all that was bound.
    pub(super) fn start(
        self,
        server: &mut Server,
        path: &str,
        certificates: &Certificates,
        lineage: &Lineage,
        edge: &Edge,
        telemetry: &Telemetry,
    ) -> io::Result<()> {
        server.start_tls(self.tls, certificates, edge, telemetry)?;
        server.start_https(self.https, path, certificates, edge, telemetry)?;
        server.start_quic(self.quic, certificates, lineage, edge, telemetry)
    }

    /// All of them, as another process can have them.
    pub(super) fn share(&self) -> io::Result<Vec<OwnedFd>> {
        let streams = self.tls.iter().chain(&self.https).map(BoundStreams::share).collect::<io::Result<Vec<_>>>()?;
        let datagrams = self.quic.iter().map(BoundDatagrams::share).collect::<io::Result<Vec<_>>>()?;
        Ok(streams.into_iter().flatten().chain(datagrams).collect())
    }
}

/// Loads the certificate, if there is to be one.
pub(super) fn load_certificate(options: &Options) -> Result<Option<Arc<Certificates>>, StartError> {
    let Some(files) = &options.certificate else {
        let wanted = [(&options.listen_tls, "TLS"), (&options.listen_https, "HTTPS"), (&options.listen_quic, "QUIC")];
        let first = wanted.iter().find_map(|(listen, transport)| listen.first().map(|&address| (address, *transport)));
        return first.map_or(Ok(None), |(address, transport)| Err(StartError::NoCertificate(address, transport)));
    };
    Ok(Some(Certificates::load(files.clone())?))
}
