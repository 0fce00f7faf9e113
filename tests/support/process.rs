//! `aya serve` as a process of its own.
#![allow(dead_code, unreachable_pub, reason = "a workshop of tests: each crate uses a part of it")]

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// Longer than anything takes that a process is going to say at all.
const PATIENCE: Duration = Duration::from_secs(60);

/// A process, with its log lines as they come. It is killed when this goes.
pub struct Process {
    child: Child,
    log: mpsc::Receiver<String>,
}

impl Process {
    /// What serves these zones, with more arguments.
    pub fn command(zones: &Path, more: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_aya"));
        command.args(["serve", "--log-format", "json", "--geoip", "geoip", "--zones"]).arg(zones).args(more);
        command.stderr(Stdio::piped()).stdin(Stdio::null());
        command
    }

    pub fn start(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let (tell, log) = mpsc::channel();
        thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| tell.send(line)));
        Self { child, log }
    }

    /// Waits for a log line with this text.
    pub fn wait_for(&self, text: &str) -> String {
        loop {
            let line = self.log.recv_timeout(PATIENCE).unwrap_or_else(|error| panic!("no {text:?}: {error}"));
            if line.contains(text) {
                return line;
            }
        }
    }

    pub fn signal(&self, signal: &str) {
        assert!(Command::new("sh").args(["-c", &format!("kill -{signal} {}", self.child.id())]).status().unwrap().success());
    }

    /// How it exits.
    pub fn exit_code(&mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }

    pub fn assert_ends_well(&mut self) {
        self.wait_for("stopped");
        assert_eq!(self.exit_code(), Some(0));
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The address that the log line `serving` names for a transport.
pub fn address(serving: &str, transport: &str) -> SocketAddr {
    let rest = serving.split(&format!(r#""{transport}":""#)).nth(1).unwrap_or_else(|| panic!("no {transport} in {serving}"));
    rest.split('"').next().unwrap().parse().unwrap()
}
