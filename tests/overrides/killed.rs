//! A process that is killed at any moment: what it acknowledged is on the disk, and the file always loads.
//!
//! The test starts itself anew as the process that is killed. `AYA_KILLS=1000` makes it thorough.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use aya_gslb::clock::Clock;
use aya_gslb::control::overrides::{Clear, Overrides, Selector, Which, Wish};
use aya_gslb::state_file;

use crate::desk::act;
use crate::durable::{folder, start};
use crate::small::words;

/// Selectors of one endpoint that are told apart.
const SELECTORS: usize = 5;

fn selector(number: usize) -> String {
    let endpoints = ["aws-eu-west-1", "gcp-europe-west3", "aws-us-east-1"];
    format!("service:{} endpoint:{}", ["api", "shop"][number / 3], endpoints[number % 3]).parse::<Selector>().unwrap().to_string()
}

/// Sets and clears overrides without end; says what it tries, and what it was told is done.
fn write_for_ever(folder: &Path) -> ! {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(async {
        let control = start(Some(folder), Clock::system());
        let mut out = std::io::stdout();
        let known: Vec<String> = control.overrides().all.iter().map(|one| one.selector.to_string()).collect();
        let mut set: Vec<bool> = (0..SELECTORS).map(|number| known.contains(&selector(number))).collect();
        // The test harness has begun a line of its own.
        writeln!(out).unwrap();
        for round in 0_u64.. {
            let number = usize::try_from(round * 7 % 31).unwrap() % SELECTORS;
            let why = format!("{}-{round}", std::process::id());
            let clears = set[number] && round % 3 == 0;
            let (wish, what) = if clears {
                let which = Which::Selector(selector(number).parse().unwrap());
                (Wish::Clear(Clear { which, why: words(&why), who: words("bob") }), "-".to_owned())
            } else {
                let mut set = act(&selector(number), aya_gslb::control::overrides::Action::In);
                set.why = words(&why);
                (Wish::Set(set), why)
            };
            writeln!(out, "try {number} {what}").unwrap();
            control.wish(wish, false).await.unwrap();
            writeln!(out, "ack {number} {what}").unwrap();
            set[number] = !clears;
        }
    });
    unreachable!("there is no end to it")
}

/// What is known of a selector: what was acknowledged last, and what was tried after that.
#[derive(Clone, Debug, Default)]
struct Known {
    acknowledged: Option<String>,
    tried: Option<String>,
}

#[test]
fn nothing_that_was_acknowledged_is_lost_whenever_the_process_is_killed() {
    if let Some(folder) = std::env::var_os("AYA_KILLED_IN") {
        write_for_ever(Path::new(&folder));
    }
    let kills: u64 = std::env::var("AYA_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(40);
    let folder = folder("killed");
    let (mut known, mut acknowledged) = (BTreeMap::<usize, Known>::new(), 0_u64);
    let mut dice = 0x9e37_79b9_7f4a_7c15_u64;
    for kill in 0..kills {
        dice = dice.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        acknowledged += kill_one(&folder, dice >> 33, &mut known);
        let read = state_file::read::<Overrides>(&folder.join("overrides.state")).unwrap_or_else(|error| panic!("after kill {kill}: {error}"));
        let there: BTreeMap<String, String> = read.unwrap_or_default().all.iter().map(|one| (one.selector.to_string(), one.why.to_string())).collect();
        for (number, known) in &mut known {
            let is = there.get(&selector(*number)).cloned();
            let told = |what: &Option<String>| what.clone().filter(|what| what != "-");
            assert!(
                is == told(&known.acknowledged) || known.tried.is_some() && is == told(&known.tried),
                "after kill {kill} {number} is {is:?}, and should be {known:?}"
            );
            *known = Known { acknowledged: is.or(Some("-".to_owned())), tried: None };
        }
    }
    assert!(acknowledged > kills, "{acknowledged} acknowledged in {kills} lives: too few to prove anything");
    let trail = fs::read_to_string(folder.join("audit.jsonl")).unwrap();
    for known in known.values().filter_map(|known| known.acknowledged.as_ref()).filter(|why| *why != "-") {
        assert!(trail.contains(known.as_str()), "{known} is in force, and nobody answers for it");
    }
}

/// Lets a process write for a while, kills it, and takes in what it said. Returns how many overrides it was told are done.
fn kill_one(folder: &Path, dice: u64, known: &mut BTreeMap<usize, Known>) -> u64 {
    let name = "killed::nothing_that_was_acknowledged_is_lost_whenever_the_process_is_killed";
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture", "--test-threads=1"])
        .env("AYA_KILLED_IN", folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let stdout = child.stdout.take().unwrap();
    let (tell, told) = mpsc::channel();
    let reader = std::thread::spawn(move || BufReader::new(stdout).lines().map_while(Result::ok).for_each(|line| drop(tell.send(line))));
    let mut acknowledged = 0;
    let mut take = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        if let ["try" | "ack", number, what] = words[..] {
            let entry = known.entry(number.parse().unwrap()).or_default();
            if words[0] == "try" {
                entry.tried = Some(what.to_owned());
            } else {
                acknowledged += 1;
                *entry = Known { acknowledged: Some(what.to_owned()), tried: None };
            }
        }
    };
    // Some lines, and then some microseconds more: into the midst of writing.
    for _ in 0..3 + dice % 12 {
        match told.recv_timeout(Duration::from_secs(60)) {
            Ok(line) => take(&line),
            Err(error) => panic!("the process says nothing more: {error}"),
        }
    }
    if let Ok(line) = told.recv_timeout(Duration::from_micros(dice % 2_000)) {
        take(&line);
    }
    child.kill().unwrap();
    child.wait().unwrap();
    reader.join().unwrap();
    for line in told.try_iter() {
        take(&line);
    }
    acknowledged
}
