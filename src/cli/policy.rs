//! What the operator of a node wants of it beside the zones: its name, cookies, limits, who may ask why. Read at start, and files again at
//! each reload.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use clap::Args;
use ipnet::IpNet;

use crate::answer::{CookieSecrets, Policy};
use crate::limits::{COOKIE_FILE_OCTETS_MAX, NSID_OCTETS_MAX};
use crate::server::{RateLimits, RateWord, loopback};

/// The flags for it.
#[derive(Debug, Args)]
pub(super) struct PolicyArgs {
    /// What the node calls itself to who asks (NSID): its place, not its secrets.
    #[arg(long, env = "AYA_NSID", value_name = "NAME", value_parser = nsid)]
    nsid: Option<String>,
    /// File with the secret of DNS cookies, the same on all nodes of one address; without it, each process has its own.
    #[arg(long, env = "AYA_COOKIE_SECRET_FILE", value_name = "FILE")]
    cookie_secret: Option<PathBuf>,
    /// Limit of UDP replies a second to a /24 or /56, by class (positive, negative, refused, error): CLASS=RATE, CLASS=RATE:log to count only,
    /// CLASS=off, or "off" for all; by default positive=200:log,negative=200:log,refused=20,error=20.
    #[arg(long, env = "AYA_RRL", value_name = "CLASS=RATE", value_delimiter = ',')]
    rrl: Vec<RateWord>,
    /// Of so many limited replies one is sent truncated, so that honest clients come back over TCP; 0: none.
    #[arg(long, env = "AYA_RRL_SLIP", value_name = "N", default_value_t = RateLimits::default().slip)]
    rrl_slip: u8,
    /// Prefixes that are never limited; may be given several times.
    #[arg(long, env = "AYA_RRL_EXEMPT", value_name = "PREFIX", value_delimiter = ',', default_values = ["127.0.0.0/8", "::1/128"])]
    rrl_exempt: Vec<IpNet>,
    /// Prefixes that may ask for TXT of _why.SERVICE, or "off"; may be given several times.
    #[arg(long, env = "AYA_WHY_NETWORKS", value_name = "PREFIX", value_delimiter = ',', default_values = ["127.0.0.0/8", "::1/128"], value_parser = prefix_or_off)]
    why_networks: Vec<PrefixOrOff>,
}

/// A prefix, or nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct PrefixOrOff(Option<IpNet>);

/// Reads a prefix, or `off`.
fn prefix_or_off(text: &str) -> Result<PrefixOrOff, String> {
    match text {
        "off" => Ok(PrefixOrOff(None)),
        _ => text.parse().map(|prefix| PrefixOrOff(Some(prefix))).map_err(|_| "neither a prefix such as 192.0.2.0/24 nor \"off\"".to_owned()),
    }
}

/// Reads what a node calls itself.
fn nsid(text: &str) -> Result<String, String> {
    match text.len() {
        1..=NSID_OCTETS_MAX => Ok(text.to_owned()),
        _ => Err(format!("1 to {NSID_OCTETS_MAX} octets")),
    }
}

impl PolicyArgs {
    /// What they mean.
    pub(super) fn wishes(&self) -> Wishes {
        Wishes {
            nsid: self.nsid.as_deref().unwrap_or_default().as_bytes().into(),
            cookie_secret: self.cookie_secret.clone(),
            why_networks: self.why_networks.iter().filter_map(|prefix| prefix.0).collect(),
        }
    }

    /// The limits that they mean.
    pub(super) fn rates(&self) -> RateLimits {
        let mut rates = RateLimits { slip: self.rrl_slip, exempt: self.rrl_exempt.as_slice().into(), ..RateLimits::default() };
        for word in &self.rrl {
            rates.set(*word);
        }
        rates
    }
}

/// What a policy is made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wishes {
    /// What the node calls itself; empty: nothing.
    pub nsid: Box<[u8]>,
    /// The file of the secret of cookies; without one, the process has its own.
    pub cookie_secret: Option<PathBuf>,
    /// Who may ask why.
    pub why_networks: Box<[IpNet]>,
}

impl Default for Wishes {
    /// No name, a secret of its own, and who is on this machine may ask why.
    fn default() -> Self {
        Self { nsid: Box::default(), cookie_secret: None, why_networks: loopback() }
    }
}

/// Why there is no secret of cookies. The secret is not told.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The file cannot be read.
    #[error("cannot read the secret of cookies from {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's word.
        source: io::Error,
    },
    /// It is no such file.
    #[error("{} is no file of cookie secrets: {why}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// The system gives no random numbers.
    #[error("the system gives no random numbers for a secret of cookies")]
    Random,
}

impl Wishes {
    /// The policy by these wishes: reads files anew. A secret that the process made itself is kept from the policy `before`.
    ///
    /// # Errors
    /// [`SecretError`] for a file that cannot be used.
    pub fn policy(&self, before: Option<&Policy>) -> Result<Policy, SecretError> {
        let kept = before.and_then(|policy| policy.cookies.clone());
        let cookies = match (&self.cookie_secret, kept) {
            (Some(path), _) => read_secrets(path)?,
            (None, Some(kept)) => kept,
            (None, None) => CookieSecrets::new(random()?, None),
        };
        Ok(Policy { nsid: self.nsid.clone(), cookies: Some(cookies), why_networks: self.why_networks.clone(), ..Policy::default() })
    }
}

/// Reads the secrets of a file. That others can read them, too, is logged.
fn read_secrets(path: &Path) -> Result<CookieSecrets, SecretError> {
    let failed = |source| SecretError::Read { path: path.to_owned(), source };
    let wrong = |why: &str| SecretError::Content { path: path.to_owned(), why: why.to_owned() };
    let file = File::open(path).map_err(failed)?;
    warn_if_open_to_others(path, &file);
    let mut text = Vec::new();
    file.take(COOKIE_FILE_OCTETS_MAX + 1).read_to_end(&mut text).map_err(failed)?;
    if text.len() as u64 > COOKIE_FILE_OCTETS_MAX {
        return Err(wrong("it is too long"));
    }
    let text = String::from_utf8(text).map_err(|_| wrong("it is no text"))?;
    CookieSecrets::parse(&text).map_err(|why| wrong(&why))
}

/// Whether somebody beside its owner may read the file.
fn warn_if_open_to_others(path: &Path, file: &File) {
    use std::os::unix::fs::PermissionsExt as _;

    /// Read and write of group and others.
    const OTHERS: u32 = 0o066;
    if file.metadata().is_ok_and(|metadata| metadata.permissions().mode() & OTHERS != 0) {
        tracing::warn!(file = %path.display(), "the secret of cookies can be read or written by others than its owner: chmod 600");
    }
}

/// A secret that nobody knows.
fn random() -> Result<[u8; 16], SecretError> {
    let mut octets = [0; 16];
    rustls::crypto::aws_lc_rs::default_provider().secure_random.fill(&mut octets).map_err(|_| SecretError::Random)?;
    Ok(octets)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::server::Mode;

    /// What a command line of its own would be.
    #[derive(Debug, Parser)]
    struct Line {
        /// The flags.
        #[command(flatten)]
        policy: PolicyArgs,
    }

    fn line(words: &[&str]) -> Result<PolicyArgs, clap::Error> {
        Line::try_parse_from(["aya"].iter().chain(words)).map(|line| line.policy)
    }

    #[test]
    fn without_flags_a_node_is_as_the_program_makes_it() {
        let flags = line(&[]).unwrap();
        assert_eq!((flags.wishes(), flags.rates()), (Wishes::default(), RateLimits::default()));
    }

    #[test]
    fn the_help_says_the_rates_that_are() {
        let said: Vec<RateWord> = "positive=200:log,negative=200:log,refused=20,error=20".split(',').map(|word| word.parse().unwrap()).collect();
        let mut rates = RateLimits::default();
        rates.set(RateWord::Off);
        for word in said {
            rates.set(word);
        }
        assert_eq!(rates, RateLimits::default());
    }

    #[test]
    fn one_flag_for_each_thing() {
        let flags =
            line(&["--nsid", "fra-2", "--rrl", "refused=5,positive=off", "--rrl-slip", "0", "--rrl-exempt", "192.0.2.0/24", "--why-networks", "off"]).unwrap();
        assert_eq!((&*flags.wishes().nsid, flags.wishes().why_networks.len()), (b"fra-2".as_slice(), 0));
        let rates = flags.rates();
        assert_eq!((rates.rules[0].mode, rates.rules[1].mode, rates.rules[2].per_second, rates.slip, rates.exempt.len()), (Mode::Off, Mode::Log, 5, 0, 1));
        for wrong in [["--nsid", ""], ["--rrl", "on"], ["--rrl-exempt", "here"], ["--why-networks", "all"], ["--rrl-slip", "300"]] {
            assert!(line(&wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_secret_of_ones_own_is_random_and_outlives_a_reload() {
        let wishes = Wishes::default();
        let (first, second) = (wishes.policy(None).unwrap(), wishes.policy(None).unwrap());
        assert_ne!(first.cookies, second.cookies);
        assert_eq!(wishes.policy(Some(&first)).unwrap(), first);
    }

    #[test]
    fn a_file_is_read_anew_for_each_policy_and_a_broken_one_is_told_by_name() {
        let path = std::env::temp_dir().join(format!("aya-cookie-secret-{}", std::process::id()));
        let wishes = Wishes { cookie_secret: Some(path.clone()), ..Wishes::default() };
        std::fs::write(&path, "e5e973e5a6b2a43f48e7dc849e37bfcf\n").unwrap();
        let first = wishes.policy(None).unwrap();
        std::fs::write(&path, "445536bcd2513298075a5d379663c962\ne5e973e5a6b2a43f48e7dc849e37bfcf\n").unwrap();
        assert_ne!(wishes.policy(Some(&first)).unwrap().cookies, first.cookies);
        for (broken, why) in [("secret".to_owned(), "32 hexadecimal digits"), ("# ".repeat(3_000), "too long")] {
            std::fs::write(&path, broken).unwrap();
            let error = wishes.policy(Some(&first)).unwrap_err().to_string();
            assert!(error.contains(why) && error.contains("aya-cookie-secret"), "{error}");
        }
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(wishes.policy(Some(&first)), Err(SecretError::Read { .. })));
    }
}
