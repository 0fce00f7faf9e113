//! What QUIC connections leave behind when their process has gone: the means to tell their clients at once.
//!
//! A connection lives in the process that shook hands. When that process ends it says so; but if that is lost, or it died, the datagrams of its clients
//! come to the next process, which knows nothing of them, and silence would leave a client waiting until its idle time-out. So each process
//! leaves two keys to the next: of its stateless resets (RFC 9000 §10.3), and of the connection IDs that it made. By these a process tells
//! whose a datagram is that belongs to no connection that it has:
//!
//! | whose ID | what is said |
//! |---|---|
//! | its own: of a worker that died, or of a connection long closed | a reset |
//! | of the process before, which still reads the same socket | nothing: that one may answer what the client sends again |
//! | of the process before, which has gone | a reset |
//! | anybody else's | nothing |
//!
//! Invariant: nobody is ever sent a reset of a connection that is alive (RFC 9000 §21.11). The process before does not have the key of the next one's
//! IDs, and each listening address has IDs of its own, so that no other can be asked about them.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use quinn::crypto::{CryptoError, HmacKey};
use quinn::{ConnectionId, ConnectionIdGenerator, EndpointConfig};
use quinn_proto::InvalidCid;
use rustls::crypto::aws_lc_rs::{cipher_suite, default_provider};
use rustls::crypto::tls13::{Hkdf, OkmBlock};
use siphasher::sip::SipHasher24;

/// Octets of the key of resets: as many as HMAC with SHA-256 has (RFC 2104 §3).
const RESET_KEY_OCTETS: usize = 32;
/// Octets of the key of connection IDs, of SipHash-2-4.
const ID_KEY_OCTETS: usize = 16;
/// Octets of what a connection ID has of chance, and of what proves it.
const HALF_OCTETS: usize = 4;

/// What one process leaves to the next. Secret: who has it can end the connections of others.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Legacy {
    /// Makes stateless resets; the same from process to process.
    resets: [u8; RESET_KEY_OCTETS],
    /// Proves connection IDs; each process has its own.
    ids: [u8; ID_KEY_OCTETS],
}

impl Legacy {
    /// Octets of it.
    pub const OCTETS: usize = RESET_KEY_OCTETS + ID_KEY_OCTETS;

    /// As octets.
    pub fn octets(&self) -> [u8; Self::OCTETS] {
        let mut octets = [0; Self::OCTETS];
        octets[..RESET_KEY_OCTETS].copy_from_slice(&self.resets);
        octets[RESET_KEY_OCTETS..].copy_from_slice(&self.ids);
        octets
    }

    /// Of such octets.
    pub fn of(octets: &[u8; Self::OCTETS]) -> Self {
        let mut legacy = Self { resets: [0; RESET_KEY_OCTETS], ids: [0; ID_KEY_OCTETS] };
        legacy.resets.copy_from_slice(&octets[..RESET_KEY_OCTETS]);
        legacy.ids.copy_from_slice(&octets[RESET_KEY_OCTETS..]);
        legacy
    }
}

impl fmt::Debug for Legacy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Legacy")
    }
}

/// The keys of this process, and what it knows of the one before.
#[derive(Clone, Debug)]
pub struct Lineage {
    /// The keys of this process.
    own: Legacy,
    /// The keys of the one before.
    before: Option<Legacy>,
    /// Whether that one has gone.
    is_alone: Arc<AtomicBool>,
}

impl Lineage {
    /// Of a process with nobody before it, or after one that left this.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn after(before: Option<Legacy>) -> io::Result<Self> {
        let mut octets = [0; Legacy::OCTETS];
        default_provider().secure_random.fill(&mut octets).map_err(|_| io::Error::other("there is no randomness"))?;
        let mut own = Legacy::of(&octets);
        if let Some(before) = before {
            own.resets = before.resets;
        }
        Ok(Self { own, before, is_alone: Arc::new(AtomicBool::new(false)) })
    }

    /// What it leaves to the next process.
    #[must_use]
    pub const fn legacy(&self) -> Legacy {
        self.own
    }

    /// The process before has gone: its connections are ended.
    pub fn be_alone(&self) {
        self.is_alone.store(true, Ordering::Relaxed);
    }

    /// What the endpoint that listens on this address is told.
    pub(super) fn endpoint_config(&self, address: SocketAddr) -> EndpointConfig {
        let mut config = EndpointConfig::new(Arc::new(Resets::new(&self.own)));
        let (lineage, hash) = (self.clone(), RandomState::new());
        config.cid_generator(move || Box::new(Ids { lineage: lineage.clone(), address, hash: hash.clone(), made: 0 }));
        config
    }
}

/// Makes the tokens of stateless resets: HMAC-SHA256 of the connection ID (RFC 9000 §10.3.2).
struct Resets {
    /// The key.
    key: OkmBlock,
    /// Signs with it.
    hmac: &'static dyn Hkdf,
}

impl Resets {
    /// With these keys.
    fn new(keys: &Legacy) -> Self {
        let suite = cipher_suite::TLS13_AES_128_GCM_SHA256.tls13().expect("it is one of TLS 1.3");
        Self { key: OkmBlock::new(&keys.resets), hmac: suite.hkdf_provider }
    }
}

impl HmacKey for Resets {
    fn sign(&self, data: &[u8], signature: &mut [u8]) {
        signature.copy_from_slice(self.hmac.hmac_sign(&self.key, data).as_ref());
    }

    fn signature_len(&self) -> usize {
        32
    }

    fn verify(&self, data: &[u8], signature: &[u8]) -> Result<(), CryptoError> {
        // Nothing that comes is ever verified with it.
        if self.hmac.hmac_sign(&self.key, data).as_ref() == signature { Ok(()) } else { Err(CryptoError) }
    }
}

/// Makes connection IDs of eight octets: four of chance, so that nobody can tell which are one connection's (RFC 9000 §5.1), and four that prove
/// that this process made them.
struct Ids {
    /// The keys.
    lineage: Lineage,
    /// Where its endpoint listens.
    address: SocketAddr,
    /// The source of chance, under keys of its own.
    hash: RandomState,
    /// How many were made.
    made: u64,
}

impl Ids {
    /// What proves an ID that these keys made for this address.
    fn proof(&self, keys: &Legacy, chance: [u8; HALF_OCTETS]) -> [u8; HALF_OCTETS] {
        let address = match self.address.ip() {
            IpAddr::V4(address) => address.to_ipv6_mapped(),
            IpAddr::V6(address) => address,
        };
        let mut proven = [0; HALF_OCTETS + 16 + 2];
        proven[..HALF_OCTETS].copy_from_slice(&chance);
        proven[HALF_OCTETS..HALF_OCTETS + 16].copy_from_slice(&address.octets());
        proven[HALF_OCTETS + 16..].copy_from_slice(&self.address.port().to_be_bytes());
        half(SipHasher24::new_with_key(&keys.ids).hash(&proven))
    }
}

/// As much of a hash as has room in an ID.
fn half(hash: u64) -> [u8; HALF_OCTETS] {
    let [half @ .., _, _, _, _] = hash.to_be_bytes();
    half
}

impl ConnectionIdGenerator for Ids {
    fn generate_cid(&mut self) -> ConnectionId {
        self.made += 1;
        let chance = half(self.hash.hash_one(self.made));
        ConnectionId::new(&[chance, self.proof(&self.lineage.own, chance)].concat())
    }

    fn validate(&self, id: &ConnectionId) -> Result<(), InvalidCid> {
        let Some((chance, proof)) = id.split_first_chunk() else { return Err(InvalidCid) };
        let is_of = |keys: &Legacy| self.proof(keys, *chance) == *proof;
        let is_orphan = || self.lineage.is_alone.load(Ordering::Relaxed) && self.lineage.before.as_ref().is_some_and(is_of);
        if is_of(&self.lineage.own) || is_orphan() { Ok(()) } else { Err(InvalidCid) }
    }

    fn cid_len(&self) -> usize {
        2 * HALF_OCTETS
    }

    fn cid_lifetime(&self) -> Option<Duration> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(lineage: &Lineage, address: &str) -> Ids {
        Ids { lineage: lineage.clone(), address: address.parse().unwrap(), hash: RandomState::new(), made: 0 }
    }

    #[test]
    fn ids_of_the_process_before_are_known_once_it_has_gone_and_those_of_the_next_one_never() {
        const AT: &str = "192.0.2.53:853";
        let first = Lineage::after(None).unwrap();
        let next = Lineage::after(Some(first.legacy())).unwrap();
        let (mut of_first, mut of_next) = (ids(&first, AT), ids(&next, AT));
        let (old, new) = (of_first.generate_cid(), of_next.generate_cid());
        assert!(of_first.validate(&old).is_ok() && of_first.validate(&new).is_err());
        assert!(of_next.validate(&new).is_ok() && of_next.validate(&old).is_err(), "its process may still answer");
        next.be_alone();
        assert!(of_next.validate(&old).is_ok());
        let last = Lineage::after(Some(next.legacy())).unwrap();
        last.be_alone();
        assert!(ids(&last, AT).validate(&new).is_ok() && ids(&last, AT).validate(&old).is_err(), "its connections ended long ago");
    }

    #[test]
    fn rfc9000_21_11_no_other_address_knows_an_id_and_noise_is_none() {
        let lineage = Lineage::after(None).unwrap();
        let mut ids = [ids(&lineage, "192.0.2.53:853"), ids(&lineage, "192.0.2.54:853"), ids(&lineage, "192.0.2.53:8853"), ids(&lineage, "[2001:db8::53]:853")];
        for made in 0..ids.len() {
            let id = ids[made].generate_cid();
            let knowing: Vec<usize> = (0..ids.len()).filter(|at| ids[*at].validate(&id).is_ok()).collect();
            assert_eq!(knowing, [made]);
        }
        for noise in [&[7; 8][..], &[], &[1], &[0; 7], &[0; 9], &[0xff; 20]] {
            assert!(ids[0].validate(&ConnectionId::new(noise)).is_err(), "{noise:?}");
        }
        assert_ne!(ids[0].generate_cid(), ids[0].generate_cid());
    }

    #[test]
    fn rfc9000_10_3_2_resets_are_the_same_from_process_to_process_and_nobody_elses() {
        let token = |lineage: &Lineage| {
            let (resets, mut token) = (Resets::new(&lineage.legacy()), [0; 32]);
            resets.sign(b"ID", &mut token);
            assert!(resets.verify(b"ID", &token).is_ok() && resets.verify(b"id", &token).is_err());
            token
        };
        let first = Lineage::after(None).unwrap();
        let next = Lineage::after(Some(Legacy::of(&first.legacy().octets()))).unwrap();
        assert_eq!(token(&first), token(&next));
        assert_ne!(token(&first), token(&Lineage::after(None).unwrap()));
        assert_eq!(format!("{first:?}"), "Lineage { own: Legacy, before: None, is_alone: false }", "no secret is ever told");
    }
}
