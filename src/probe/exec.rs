//! A command of the operator's, and what its exit code says.
//!
//! | exit code | what it says (as plugins of Nagios have it) |
//! |---|---|
//! | 0 | passed |
//! | 1 | degraded |
//! | 3 | it could not tell: no evidence, what was known holds |
//! | any other, or a signal | failed |
//!
//! The first line of what it prints is the reason. It has no shell, no input, and no environment but what is told here. It is a process group of its own,
//! which is killed when it ends, or when its time is over: nothing is left behind but what takes itself out of the group on purpose.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;

use super::asking::{Answer, words};
use crate::catalog::{ProbeKind, ProbeOf};
use crate::health::{ProbeFailure, ProbeWarning};
use crate::limits::EXEC_OUTPUT_OCTETS_MAX;

/// Where commands are looked for that a script runs.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// The folder whose commands may be run.
#[derive(Clone, Debug)]
pub struct Commands(Arc<Path>);

impl Commands {
    /// Those of this folder, and of the folders in it.
    ///
    /// # Errors
    /// The system's, when there is no such folder.
    pub fn of(folder: &Path) -> io::Result<Self> {
        folder.canonicalize().map(|folder| Self(folder.into()))
    }

    /// The file that a path leads to, if it may be run: links must not lead out of the folder.
    fn find(&self, command: &str) -> Result<PathBuf, String> {
        let file = Path::new(command).canonicalize().map_err(|error| format!("{command}: {error}"))?;
        if file.starts_with(&self.0) { Ok(file) } else { Err(format!("{command} is outside of {}, whose commands alone may be run", self.0.display())) }
    }
}

/// Runs the command. `kind` is [`ProbeKind::Exec`]. When the future is dropped, the command is killed.
pub(super) async fn ask(commands: Option<&Commands>, target: SocketAddr, kind: &ProbeKind, timeout_ms: u32) -> Result<Answer, ProbeFailure> {
    let ProbeKind::Exec { command, args, of } = kind else {
        return Err(ProbeFailure::NotAsked("no command".into()));
    };
    // Asked anew each time: what a file of zones may name is the operator's of the node to say, whoever loaded it.
    let commands = commands.ok_or_else(|| ProbeFailure::NotAsked("no folder of commands is allowed (--allow-exec)".into()))?;
    let not_run = |why: &dyn ToString| ProbeFailure::NotAsked(words(&why.to_string()));
    let file = commands.find(command).map_err(|why| not_run(&why))?;
    let mut command = Command::new(file);
    command.args(args.iter().map(AsRef::as_ref)).current_dir(&*commands.0);
    surround(&mut command, target, of, timeout_ms);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0).kill_on_drop(true);
    let mut child = command.spawn().map_err(|error| not_run(&error))?;
    // After the child, hence dropped before it: while nobody has waited for the leader, its number is nobody else's.
    let mut group = Group::of(child.id());
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let wait = async {
        let status = child.wait().await;
        group.kill();
        status
    };
    let (status, out, err) = tokio::join!(wait, first_line(out), first_line(err));
    let said = if out.is_empty() { err } else { out };
    judge(status.map_err(|error| not_run(&error))?, said)
}

/// Gives it the only environment that it has.
fn surround(command: &mut Command, target: SocketAddr, of: &ProbeOf, timeout_ms: u32) {
    command.env_clear().env("PATH", PATH).env("LANG", "C.UTF-8");
    command.env("AYA_SERVICE", &*of.service).env("AYA_ENDPOINT", &*of.endpoint).env("AYA_REGION", &*of.region);
    command.env("AYA_ADDRESS", target.ip().to_string()).env("AYA_TIMEOUT_MS", timeout_ms.to_string());
    if target.port() != 0 {
        command.env("AYA_PORT", target.port().to_string());
    }
}

/// What an exit says.
fn judge(status: ExitStatus, said: Box<str>) -> Result<Answer, ProbeFailure> {
    match status.code() {
        Some(0) => Ok(Answer::default()),
        Some(1) => Ok(Answer { warning: Some(ProbeWarning::Said(said)), expires: None }),
        Some(3) => Err(ProbeFailure::NotAsked(if said.is_empty() { "the command could not tell".into() } else { said })),
        Some(_) if !said.is_empty() => Err(ProbeFailure::Said(said)),
        _ => Err(ProbeFailure::Said(status.to_string().into())),
    }
}

/// The first line of what is printed, as far as it is kept. All is read, so that nobody waits for room in a pipe.
async fn first_line(stream: Option<impl AsyncRead + Unpin>) -> Box<str> {
    let Some(mut stream) = stream else { return Box::default() };
    let (mut kept, mut chunk) = (Vec::new(), [0; 1_024]);
    while let Ok(len @ 1..) = stream.read(&mut chunk).await {
        let room = EXEC_OUTPUT_OCTETS_MAX - kept.len();
        kept.extend_from_slice(&chunk[..len.min(room)]);
    }
    let text = String::from_utf8_lossy(&kept);
    let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    words(&line.replace(char::is_control, "\u{fffd}"))
}

/// A process group that is to be no more.
#[derive(Debug)]
struct Group(Option<Pid>);

impl Group {
    /// Of the process that leads it.
    fn of(leader: Option<u32>) -> Self {
        Self(leader.and_then(|leader| i32::try_from(leader).ok()).and_then(Pid::from_raw))
    }

    /// Kills whoever is left in it. That nobody is, is no error.
    fn kill(&mut self) {
        if let Some(leader) = self.0.take() {
            let _ = kill_process_group(leader, Signal::KILL);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}
