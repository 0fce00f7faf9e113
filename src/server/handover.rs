//! One process hands its sockets over to the next, and no query is lost: the sockets live on, with whatever waits in them.
//!
//! Both processes are given the same path. Who is first listens there, on a Unix socket that only its own user can write to; who comes
//! later connects to it.
//!
//! ```text
//! old                                     new
//! ─────────────────────────────────────────────────────────────────────────────────
//! answers                                 loads its files (a mistake ends it here)
//!            ◄── connects
//!            ──► "AYA2", how many, keys of QUIC, the sockets (SCM_RIGHTS)
//! answers                                 probes, until it is ready
//! answers                                 answers, too: both read the same sockets
//!            ◄── "T": taken
//! drains, ends                            answers, and listens at the path for the next
//!            ──► end of the stream: gone
//!                                         ends the QUIC connections that it left
//! ```
//!
//! Invariants
//! - Until the new process says that it has taken over, the old one goes on. If the new one ends before, nothing has happened.
//! - A socket is never closed: at any moment at least one process reads it.
//!
//! Connections are not handed over. Those of TCP, TLS and HTTPS end as in any drain, with what is under way answered; nothing that belongs to them
//! can come to the new process. Those of QUIC end in the same way, but while both read one socket, a datagram may come to the process that does not
//! know its connection: it passes it over, and is sent again (RFC 9002 §6.2). How the new process ends those that are left: [`super::doq::Lineage`].

use std::fs::{self, Permissions};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::doq::Legacy;
use super::{Given, batch};
use crate::limits::{HANDOVER_MS, HANDOVER_SOCKETS_MAX};

/// What the old process says first, so that a later one can say something else.
const GREETING: [u8; 4] = *b"AYA2";
/// What the new process says when it answers.
const TAKEN: u8 = b'T';

/// Why sockets cannot be handed over.
#[derive(Debug, thiserror::Error)]
#[error("cannot {doing} at {}", path.display())]
pub struct HandoverError {
    /// `take sockets over` or `offer sockets`.
    doing: &'static str,
    /// The path that both processes know.
    path: PathBuf,
    /// The system's word.
    source: io::Error,
}

/// The process before this one, which still answers.
#[derive(Debug)]
pub struct Predecessor {
    /// To it.
    stream: UnixStream,
    /// What it leaves.
    legacy: Legacy,
}

impl Predecessor {
    /// What it leaves of its QUIC connections.
    #[must_use]
    pub const fn legacy(&self) -> Legacy {
        self.legacy
    }

    /// Tells it that its sockets are answered on: it drains and ends.
    ///
    /// # Errors
    /// When it is gone, in which case there is nothing to tell.
    pub fn relieve(mut self) -> io::Result<Leaving> {
        self.stream.write_all(&[TAKEN])?;
        Ok(Leaving(self.stream))
    }
}

/// The process before this one, which drains.
#[derive(Debug)]
pub struct Leaving(UnixStream);

impl Leaving {
    /// Waits until it has ended. To be called inside of a runtime with IO.
    pub async fn gone(self) {
        let Ok(mut stream) = self.0.set_nonblocking(true).and_then(|()| tokio::net::UnixStream::from_std(self.0)) else { return };
        // It says nothing more; an error is as good an end.
        let _ = tokio::io::AsyncReadExt::read_u8(&mut stream).await;
    }
}

/// The next process, which has taken over. It learns that this one has ended when this is dropped, or not even that was possible.
#[derive(Debug)]
pub struct Successor(#[expect(dead_code, reason = "held open, and closed by the system if need be")] tokio::net::UnixStream);

/// Asks whoever listens at `path` for its sockets; `None` if nobody does.
///
/// # Errors
/// When somebody listens, but does not speak as an Aya does.
pub fn take_over(path: &Path) -> Result<Option<(Predecessor, Given)>, HandoverError> {
    let failed = |source| HandoverError { doing: "take sockets over", path: path.to_owned(), source };
    match UnixStream::connect(path) {
        Ok(stream) => receive(stream).map(Some).map_err(failed),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => Ok(None),
        Err(error) => Err(failed(error)),
    }
}

/// Receives what the old process sends.
fn receive(mut stream: UnixStream) -> io::Result<(Predecessor, Given)> {
    stream.set_read_timeout(Some(Duration::from_millis(HANDOVER_MS)))?;
    stream.set_write_timeout(Some(Duration::from_millis(HANDOVER_MS)))?;
    let (mut greeting, mut count) = ([0; 4], [0; 4]);
    stream.read_exact(&mut greeting)?;
    stream.read_exact(&mut count)?;
    let count = usize::try_from(u32::from_be_bytes(count)).unwrap_or(usize::MAX);
    let mut legacy = [0; Legacy::OCTETS];
    if greeting != GREETING || count > HANDOVER_SOCKETS_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "what listens there does not speak as this version does"));
    }
    stream.read_exact(&mut legacy)?;
    let (mut given, mut received) = (Given::default(), 0);
    while received < count {
        let descriptors = batch::receive_descriptors(&stream)?;
        received += descriptors.len();
        descriptors.into_iter().try_for_each(|descriptor| given.add(descriptor))?;
    }
    Ok((Predecessor { stream, legacy: Legacy::of(&legacy) }, given))
}

/// Sockets that the next process may have.
#[derive(Debug)]
pub struct Offer {
    /// Where it asks for them.
    listener: tokio::net::UnixListener,
    /// The sockets.
    sockets: Vec<OwnedFd>,
    /// What is left of QUIC connections.
    legacy: Legacy,
}

impl Offer {
    /// Listens at `path`, in the place of whoever did. To be called inside of a runtime with IO.
    ///
    /// # Errors
    /// When the path cannot be listened at.
    pub fn new(path: &Path, sockets: Vec<OwnedFd>, legacy: Legacy) -> Result<Self, HandoverError> {
        let failed = |source| HandoverError { doing: "offer sockets", path: path.to_owned(), source };
        let listener = listen(path).and_then(tokio::net::UnixListener::from_std).map_err(failed)?;
        Ok(Self { listener, sockets, legacy })
    }

    /// Gives the sockets to whoever asks; returns when one of them has taken over. What is returned is to be kept until all is drained.
    /// `followed` is told before somebody gets them, who will read this node's files next, and when that one has ended without having taken over.
    pub async fn taken(self, followed: impl Fn(bool)) -> Successor {
        let legacy = self.legacy;
        let sockets = std::sync::Arc::new(self.sockets);
        loop {
            let Ok((stream, _)) = self.listener.accept().await else {
                tokio::time::sleep(Duration::from_millis(HANDOVER_MS)).await;
                continue;
            };
            followed(true);
            let sockets = std::sync::Arc::clone(&sockets);
            let gave = tokio::task::spawn_blocking(move || give(stream.into_std()?, &sockets, &legacy)).await;
            let stream = match gave {
                Ok(Ok(stream)) => stream,
                Ok(Err(error)) => {
                    tracing::warn!(%error, "the sockets were not handed over");
                    followed(false);
                    continue;
                }
                Err(_) => {
                    followed(false);
                    continue;
                }
            };
            tracing::info!("a new process has the sockets, too; answering until it has taken over");
            if let Some(successor) = taken_by(stream).await {
                return successor;
            }
            tracing::warn!("the new process has ended before it took over; answering as before");
            followed(false);
        }
    }
}

/// Sends the sockets.
fn give(mut stream: UnixStream, sockets: &[OwnedFd], legacy: &Legacy) -> io::Result<UnixStream> {
    stream.set_nonblocking(false)?;
    stream.set_write_timeout(Some(Duration::from_millis(HANDOVER_MS)))?;
    let count = u32::try_from(sockets.len()).map_err(io::Error::other)?;
    stream.write_all(&GREETING)?;
    stream.write_all(&count.to_be_bytes())?;
    stream.write_all(&legacy.octets())?;
    for some in sockets.chunks(batch::DESCRIPTORS_AT_ONCE) {
        let some: Vec<_> = some.iter().map(AsFd::as_fd).collect();
        batch::send_descriptors(&stream, &some)?;
    }
    Ok(stream)
}

/// Waits until the new process has taken over; `None` if it has ended.
async fn taken_by(stream: UnixStream) -> Option<Successor> {
    let mut stream = stream.set_nonblocking(true).and_then(|()| tokio::net::UnixStream::from_std(stream)).ok()?;
    let said = tokio::io::AsyncReadExt::read_u8(&mut stream).await.ok()?;
    (said == TAKEN).then_some(Successor(stream))
}

/// Listens at a path that only this user may write to. The socket is made beside it and renamed into place, so that at no moment
/// anybody else can connect, or nobody listens.
fn listen(path: &Path) -> io::Result<UnixListener> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}", std::process::id()));
    let beside = PathBuf::from(beside);
    let _ = fs::remove_file(&beside);
    let listener = UnixListener::bind(&beside)?;
    fs::set_permissions(&beside, Permissions::from_mode(0o600))?;
    listener.set_nonblocking(true)?;
    fs::rename(&beside, path)?;
    Ok(listener)
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener, UdpSocket};

    use super::*;
    use crate::server::doq::Lineage;

    /// A path of its own.
    fn path(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("aya-handover-{name}-{}", std::process::id()))
    }

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
    }

    #[test]
    fn where_nobody_listens_nothing_is_taken_over() {
        assert!(take_over(&path("nobody")).unwrap().is_none());
        let stale = path("stale");
        drop(UnixListener::bind(&stale).unwrap());
        assert!(take_over(&stale).unwrap().is_none());
        fs::remove_file(stale).unwrap();
    }

    #[test]
    fn sockets_are_handed_over_with_what_waits_in_them_and_the_old_process_learns_when_it_may_go() {
        let (path, runtime) = (path("whole"), runtime());
        let udp: Vec<UdpSocket> = (0..70).map(|_| UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap()).collect();
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let (last, of_tcp) = (udp[69].local_addr().unwrap(), tcp.local_addr().unwrap());
        UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().send_to(b"waiting", last).unwrap();
        let sockets = udp.into_iter().map(OwnedFd::from).chain([tcp.into()]).collect();
        let legacy = Lineage::after(None).unwrap().legacy();
        let offer = runtime.block_on(async { Offer::new(&path, sockets, legacy).unwrap() });
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let (tell, told) = std::sync::mpsc::channel();
        let taken = runtime.spawn(offer.taken(move |is_followed| tell.send(is_followed).unwrap()));

        // One that gives up changes nothing.
        drop(take_over(&path).unwrap().unwrap());
        assert_eq!((told.recv(), told.recv()), (Ok(true), Ok(false)));
        let (predecessor, mut given) = take_over(&path).unwrap().unwrap();
        assert_eq!(given.addresses().len(), 71);
        let socket = given.take_udp(last).pop().unwrap();
        assert_eq!(socket.recv(&mut [0; 16]).unwrap(), b"waiting".len());
        assert_eq!(given.take_tcp(of_tcp).len(), 1);
        assert!(!taken.is_finished() && predecessor.legacy() == legacy);
        assert_eq!(told.recv(), Ok(true), "and the one that has the sockets now is known");
        let leaving = predecessor.relieve().unwrap();
        let successor = runtime.block_on(taken).unwrap();
        let gone = runtime.spawn(leaving.gone());
        assert!(!gone.is_finished());
        drop(successor);
        runtime.block_on(gone).unwrap();
        fs::remove_file(path).unwrap();
    }

    #[test]
    fn who_does_not_speak_as_an_aya_does_is_not_believed() {
        for words in [b"HTTP/1.1 200 OK\r\n".as_slice(), b"AYA2\xff\xff\xff\xff", b"AYA"] {
            let path = path(&format!("stranger-{}", words.len()));
            let listener = UnixListener::bind(&path).unwrap();
            let stranger = std::thread::spawn(move || listener.accept().unwrap().0.write_all(words).unwrap());
            let error = take_over(&path).unwrap_err();
            assert_eq!(error.to_string(), format!("cannot take sockets over at {}", path.display()));
            stranger.join().unwrap();
            fs::remove_file(path).unwrap();
        }
    }
}
