//! Commands as probes: what exit codes say, what they are told, and that nothing of them is left behind.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use aya_gslb::catalog::{ProbeKind, ProbeOf, ProbeSpec};
use aya_gslb::clock::Clock;
use aya_gslb::health::{ProbeFailure, ProbeOutcome, ProbeWarning};
use aya_gslb::limits::PROBE_WORDS_MAX;
use aya_gslb::probe::{Commands, Prober, Roots};

use crate::small::tcp;

/// A folder of scripts, removed with it.
struct Scripts(PathBuf);

impl Scripts {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("aya-commands-{name}-{}", std::process::id()));
        fs::create_dir_all(folder.join("allowed")).unwrap();
        Self(folder)
    }

    fn allowed(&self) -> PathBuf {
        self.0.join("allowed")
    }

    fn write(&self, name: &str, body: &str) -> PathBuf {
        let path = self.0.join(name);
        // Written aside and moved: a process that is started meanwhile by another test may have it open for writing otherwise.
        let draft = self.0.join("draft");
        fs::write(&draft, format!("#!/bin/sh\n{body}\n")).unwrap();
        fs::set_permissions(&draft, fs::Permissions::from_mode(0o700)).unwrap();
        fs::rename(&draft, &path).unwrap();
        path
    }

    async fn run(&self, path: &Path, args: &[&str], timeout_ms: u32) -> ProbeOutcome {
        run(Some(Commands::of(&self.allowed()).unwrap()), path, args, timeout_ms).await
    }
}

impl Drop for Scripts {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

async fn run(commands: Option<Commands>, path: &Path, args: &[&str], timeout_ms: u32) -> ProbeOutcome {
    let of = ProbeOf { service: "api.example.com".into(), endpoint: "east".into(), region: "aws-us-east-1".into() };
    let kind = ProbeKind::Exec { command: path.to_str().unwrap().into(), args: args.iter().map(|&arg| arg.into()).collect(), of: of.into() };
    let prober = Prober::new(Clock::system(), Roots::of_certificates([]).unwrap()).with_commands(commands);
    prober.ask(&ProbeSpec { kind, timeout_ms, ..tcp(7) }, "192.0.2.7".parse().unwrap()).await.outcome
}

#[tokio::test]
async fn exit_codes_say_what_they_say_of_plugins_of_nagios() {
    let scripts = Scripts::new("codes");
    let script = scripts.write("allowed/code", "[ -n \"$2\" ] && echo \"$2\"; exit $1");
    let said = |text: &str| ProbeFailure::Said(text.into());
    for (args, expected) in [
        (["0", "fine"], ProbeOutcome::Passed),
        (["1", "queue of 90"], ProbeOutcome::Warned(ProbeWarning::Said("queue of 90".into()))),
        (["2", "no cart"], ProbeOutcome::Failed(said("no cart"))),
        (["3", "no login"], ProbeOutcome::Failed(ProbeFailure::NotAsked("no login".into()))),
        (["77", ""], ProbeOutcome::Failed(said("exit status: 77"))),
    ] {
        assert_eq!(scripts.run(&script, &args, 20_000).await, expected, "{args:?}");
    }
    let killed = scripts.write("allowed/killed", "kill -9 $$");
    assert_eq!(scripts.run(&killed, &[], 20_000).await, ProbeOutcome::Failed(said("signal: 9 (SIGKILL)")));
}

#[tokio::test]
async fn a_command_is_told_whom_it_is_about_and_nothing_else() {
    let scripts = Scripts::new("environment");
    let script = scripts.write("allowed/env", "/usr/bin/env | grep -v '^PWD=\\|^SHLVL=\\|^_=' | sort | tr '\\n' ' '; exit 1");
    let ProbeOutcome::Warned(ProbeWarning::Said(told)) = scripts.run(&script, &["a b", "$HOME"], 9_000).await else { panic!("it exits with 1") };
    let expected = "AYA_ADDRESS=192.0.2.7 AYA_ENDPOINT=east AYA_PORT=443 AYA_REGION=aws-us-east-1 AYA_SERVICE=api.example.com AYA_TIMEOUT_MS=9000 ";
    assert!(told.starts_with(expected) && told.ends_with("LANG=C.UTF-8 PATH=/usr/local/bin:/usr/bin:/bin"), "{told}");
    let place = scripts.write("allowed/place", "pwd; exit 2");
    let folder = scripts.allowed().canonicalize().unwrap();
    assert_eq!(scripts.run(&place, &[], 9_000).await, ProbeOutcome::Failed(ProbeFailure::Said(folder.to_str().unwrap().into())));
    let args = scripts.write("allowed/args", "echo \"$#:$1:$2\"; exit 2");
    assert_eq!(scripts.run(&args, &["a b", "$HOME;id"], 9_000).await, ProbeOutcome::Failed(ProbeFailure::Said("2:a b:$HOME;id".into())));
}

#[tokio::test]
async fn what_it_prints_is_kept_to_a_line_and_read_to_its_end() {
    let scripts = Scripts::new("output");
    let loud = scripts.write("allowed/loud", "echo; head -c 3000000 /dev/zero | tr '\\0' x; head -c 3000000 /dev/zero >&2; exit 2");
    let ProbeOutcome::Failed(ProbeFailure::Said(told)) = scripts.run(&loud, &[], 20_000).await else { panic!("it exits with 2") };
    assert_eq!(&*told, "x".repeat(PROBE_WORDS_MAX));
    let quiet = scripts.write("allowed/quiet", "printf 'oh\\033[31mno\\n' >&2; exit 2");
    let ProbeOutcome::Failed(ProbeFailure::Said(told)) = scripts.run(&quiet, &[], 20_000).await else { panic!("it exits with 2") };
    assert_eq!(&*told, "oh\u{fffd}[31mno", "what goes to standard error is told where nothing else is, without control characters");
}

/// Whether any process has this word among its arguments.
fn is_running(word: &str) -> bool {
    let processes = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    processes
        .filter_map(|process| fs::read(process.path().join("cmdline")).ok())
        .any(|line| line.split(|octet| *octet == 0).any(|part| part == word.as_bytes()))
}

#[tokio::test]
async fn a_command_that_takes_too_long_is_killed_with_all_that_it_started() {
    let scripts = Scripts::new("children");
    let script = scripts.write("allowed/slow", "sleep 4711.25 & sleep 4711.25");
    assert_eq!(scripts.run(&script, &[], 300).await, ProbeOutcome::Failed(ProbeFailure::TimedOut));
    while is_running("4711.25") {
        tokio::task::yield_now().await;
    }
    let leaving = scripts.write("allowed/leaving", "sleep 4712.25 & exit 0");
    assert_eq!(scripts.run(&leaving, &[], 20_000).await, ProbeOutcome::Passed, "who is left behind, with its output open, is not waited for");
    while is_running("4712.25") {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn nothing_outside_of_the_folder_is_run_whatever_the_zones_say() {
    let scripts = Scripts::new("outside");
    let outside = scripts.write("outside", "touch \"$1\"; exit 0");
    let link = scripts.allowed().join("link");
    symlink(&outside, &link).unwrap();
    let mark = scripts.0.join("mark");
    let mark = mark.to_str().unwrap();
    for (commands, path) in [
        (None, outside.clone()),
        (Some(Commands::of(&scripts.allowed()).unwrap()), outside.clone()),
        (Some(Commands::of(&scripts.allowed()).unwrap()), link),
        (Some(Commands::of(&scripts.allowed()).unwrap()), scripts.allowed().join("nothing")),
        (Some(Commands::of(&scripts.allowed()).unwrap()), scripts.allowed()),
    ] {
        let outcome = run(commands, &path, &[mark], 20_000).await;
        assert!(matches!(outcome, ProbeOutcome::Failed(ProbeFailure::NotAsked(_))), "{}: {outcome:?}", path.display());
    }
    assert!(!Path::new(mark).exists());
    assert!(Commands::of(&scripts.0.join("nowhere")).is_err());
}
