//! Every scenario of `tests/scenarios` on virtual time: what it expects holds, again and again the same.
//!
//! `aya simulate tests/scenarios/NAME.toml` tells each as a story.
#![cfg(feature = "serve")]
#![allow(clippy::unwrap_used, clippy::missing_docs_in_private_items, reason = "a test may panic, and its names are sentences")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use aya_gslb::config::scenario::{ScenarioFile, read_scenario};
use aya_gslb::demand::{Clients, Recorded};
use aya_gslb::geo::Geo;
use aya_gslb::simulate::{Expectation, Expected, Ground, Happening, How, Report, Scenario, Target, What, run};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios")
}

fn load(path: &Path) -> (Scenario, Vec<Ground>) {
    let ScenarioFile { scenario, catalogs, .. } = read_scenario(path).unwrap_or_else(|failure| panic!("{failure}"));
    let ground = |catalog| Ground { geo: Arc::new(Geo::without_databases(&catalog)), catalog: Arc::new(catalog) };
    (scenario, catalogs.into_iter().map(ground).collect())
}

fn play(name: &str, seed: u64) -> Report {
    let (scenario, grounds) = load(&folder().join(name));
    run(&scenario, &grounds, seed, &mut |_| {}).unwrap()
}

fn simulate(arguments: &[&str]) -> (String, String, Option<i32>) {
    let output = Command::new(env!("CARGO_BIN_EXE_aya")).arg("simulate").args(arguments).current_dir(folder()).output().unwrap();
    (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap(), output.status.code())
}

/// Writes a scenario beside the others' zones, for as long as a test runs.
struct Written(PathBuf);

impl Written {
    fn new(name: &str, text: &str) -> Self {
        let path = std::env::temp_dir().join(format!("aya-{name}-{}.toml", std::process::id()));
        std::fs::write(&path, text.replace("WORLD", &folder().join("world").display().to_string())).unwrap();
        Self(path)
    }

    fn run(&self, arguments: &[&str]) -> (String, String, Option<i32>) {
        let path = self.0.display().to_string();
        simulate(&[&[path.as_str()], arguments].concat())
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn every_scenario_of_the_library_holds_with_several_seeds() {
    let mut broken = Vec::new();
    let mut names: Vec<PathBuf> = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    names.sort();
    assert!(names.len() >= 21, "{names:?}");
    for path in names {
        let (scenario, grounds) = load(&path);
        assert!(!scenario.expectations.is_empty(), "{} expects nothing", path.display());
        for seed in 1..=3 {
            let report = run(&scenario, &grounds, seed, &mut |_| {}).unwrap();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            broken.extend(report.breaches.iter().map(|breach| format!("{name}, seed {seed}: {} at {} ms: {}", breach.expectation, breach.at_ms, breach.who)));
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn a_seed_gives_the_same_story_and_another_one_another() {
    let [first, again, other] = [7, 7, 8].map(|seed| play("brown-out.toml", seed));
    assert_eq!(first, again);
    assert_ne!(first.timeline, other.timeline);
}

#[test]
fn who_dies_is_told_with_what_was_done_and_where_its_clients_went() {
    let report = play("region-refuses.toml", 1);
    let [failure] = &*report.failures else { panic!("{:?}", report.failures) };
    let (detected, published, last, tail) =
        (failure.detected_ms.unwrap(), failure.published_ms.unwrap(), failure.last_wrong_ms.unwrap(), failure.tail_ms.unwrap());
    assert!(detected < published && last <= published && tail > last, "{failure:?}");
    assert!(!failure.unfinished && failure.wrong_ppm >= 400_000, "half of the clients are German: {failure:?}");
    let bank: Vec<_> = failure.flows.iter().filter(|flow| &*flow.service == "bank.example.com").collect();
    assert_eq!(bank.iter().map(|flow| (&*flow.from, &*flow.to, flow.ppm)).collect::<Vec<_>>(), [("gcp-europe-west3", "aws-eu-west-1", 500_000)]);
}

#[test]
fn nobody_is_wrongly_given_what_is_down_when_everything_is() {
    let report = play("everything-down.toml", 2);
    assert_eq!(report.failures[0].last_wrong_ms, None, "{:?}", report.failures);
}

#[test]
fn a_restart_moves_nobody_and_forgets_nothing() {
    let report = play("node-restarts.toml", 3);
    let after: Vec<_> = report.timeline.iter().filter(|entry| entry.at_ms >= 180_000 && entry.kind == "moved").collect();
    assert!(after.is_empty(), "{after:?}");
    let last = report.failures[0].last_wrong_ms.unwrap();
    assert!(last < 7_200, "nobody was given the dead region after the restart: {last}");
}

#[test]
fn a_prober_that_stands_still_is_told_and_moves_nobody() {
    let report = play("stale-prober.toml", 1);
    let stale: Vec<u64> = report.timeline.iter().filter(|entry| entry.kind == "stale").map(|entry| entry.at_ms / 1000).collect();
    assert!(matches!(*stale, [60..=80, 240..=241]), "three intervals and a time-out after the last observation, until the next: {stale:?}");
    let moved = report.timeline.iter().find(|entry| entry.kind == "moved").unwrap();
    assert!(moved.at_ms >= 240_000, "{moved:?}");
    assert!(report.failures[0].last_wrong_ms.unwrap() >= 120_000, "{:?}", report.failures);
}

#[test]
fn a_node_that_cannot_reach_a_region_differs_from_the_others_only_for_as_long_and_never_against_the_law() {
    let (cut_off, grounds) = load(&folder().join("split-view.toml"));
    let mut other = cut_off.clone();
    other.happenings = cut_off.happenings.iter().filter(|happening| !matches!(happening.what, What::Cut { .. })).cloned().collect();
    // What the node that is not cut off answers all the time is what both answer before and after.
    let answers = |at_ms, region: &str| {
        let what = Expected::Answers { service: "shop".into(), client: "20.0.0.1".parse().unwrap(), region: region.into(), at_ms };
        Expectation { text: format!("{region} at {at_ms}").into(), what }
    };
    let lawful = |expectation: &&Expectation| matches!(expectation.what, Expected::Residency | Expected::NeverEmpty);
    other.expectations =
        cut_off.expectations.iter().filter(lawful).cloned().chain([59_000, 90_000, 600_000].map(|at| answers(at, "gcp-europe-west3"))).collect();
    for seed in 1..=3 {
        let [cut_off, other] = [&cut_off, &other].map(|scenario| run(scenario, &grounds, seed, &mut |_| {}).unwrap());
        assert_eq!((&cut_off.breaches, &other.breaches), (&vec![], &vec![]), "seed {seed}");
        let moved = |report: &Report| report.timeline.iter().filter(|entry| entry.kind == "moved").map(|entry| entry.at_ms).collect::<Vec<u64>>();
        assert_eq!(moved(&other), Vec::<u64>::new(), "seed {seed}");
        let moved = moved(&cut_off);
        assert!(!moved.is_empty() && moved.iter().all(|at| (60_000..=480_000).contains(at)), "seed {seed}: {moved:?}");
    }
}

#[test]
fn a_node_that_is_cut_off_from_everything_says_that_it_doubts_itself() {
    let report = play("node-cut-off.toml", 2);
    let told: Vec<u64> = report.timeline.iter().filter(|entry| entry.kind == "stale").map(|entry| entry.at_ms / 1_000).collect();
    assert!(matches!(*told, [60..=70, 300..=308]), "from when all is silent until the first answer: {told:?}");
    assert!(!report.timeline.iter().any(|entry| entry.kind == "health" && entry.at_ms > 60_000), "{:?}", report.timeline);
}

#[test]
fn a_node_that_loses_a_share_of_what_it_asks_finds_trouble_only_meanwhile() {
    let (lossy, grounds) = load(&folder().join("lossy-vantage.toml"));
    let mut well = lossy.clone();
    well.happenings = Box::default();
    for seed in 1..=3 {
        let [lossy, well] = [&lossy, &well].map(|scenario| run(scenario, &grounds, seed, &mut |_| {}).unwrap());
        let changes = |report: &Report| report.timeline.iter().filter(|entry| entry.kind == "health").map(|entry| entry.at_ms).collect::<Vec<u64>>();
        assert_eq!(changes(&well), Vec::<u64>::new(), "seed {seed}");
        let changes = changes(&lossy);
        assert!(!changes.is_empty() && changes.iter().all(|at| (60_000..=480_000).contains(at)), "seed {seed}: {changes:?}");
        assert_eq!(lossy.failures, [], "clients reach everything");
    }
}

#[test]
fn clients_that_were_recorded_weigh_as_they_were() {
    let (recorded, grounds) = load(&folder().join("recorded-clients.toml"));
    let mut others = recorded.clone();
    others.clients = Clients::Addresses;
    assert_eq!(run(&recorded, &grounds, 1, &mut |_| {}).unwrap().breaches, []);
    let broken = run(&others, &grounds, 1, &mut |_| {}).unwrap().breaches;
    assert!(broken.iter().any(|breach| breach.who.starts_with("api.example.com/frankfurt is at 8")), "half of the addresses are German: {broken:?}");
}

#[test]
fn resolvers_move_as_a_whole() {
    let (mut few, grounds) = load(&folder().join("few-resolvers.toml"));
    few.expectations = Box::default();
    let lost = |clients: &Clients, endpoint: &str| {
        let mut scenario = Scenario { clients: clients.clone(), ..few.clone() };
        let target = Target::Endpoint(endpoint.into());
        scenario.happenings = [Happening { at_ms: 60_000, what: What::Down { target, how: How::Refused } }].into();
        let report = run(&scenario, &grounds, 1, &mut |_| {}).unwrap();
        (report.failures[0].flows.iter().map(|flow| flow.ppm).sum::<u64>(), report.moves_per_hour)
    };
    let everywhere = Clients::Recorded([Recorded { prefix: "0.0.0.0/0".parse().unwrap(), weight: 1 }].into());
    // Of four resolvers with 40, 30, 20 and 10 % each endpoint has whole ones, and all of them move at once; clients who are spread move by weight.
    let moved = |clients: &Clients| ["frankfurt", "ireland", "virginia"].map(|endpoint| lost(clients, endpoint));
    assert_eq!(moved(&few.clients), [(300_000, 1_000), (700_000, 1_000), (0, 0)]);
    let spread = moved(&everywhere);
    assert_eq!(spread.map(|(clients, _)| clients), [450_000, 450_000, 100_000]);
    assert!(spread.iter().all(|(clients, moves)| moves.abs_diff(clients / 1_000) <= 1), "{spread:?}");
}

#[test]
fn a_tier_that_was_left_tells_so_and_what_released_it() {
    let report = play("manual-failback.toml", 1);
    let told: Vec<(u64, &str)> = report.timeline.iter().filter(|entry| entry.kind == "tier").map(|entry| (entry.at_ms / 60_000, entry.text.as_str())).collect();
    assert_eq!(
        told,
        [
            (1, "db.example.com: tier 1 was left for tier 2, and waits from now on until it is released"),
            (10, "db.example.com: tier 1 was released (as the scenario says)")
        ]
    );
    let again = play("manual-failback-again.toml", 1);
    let told: Vec<&str> = again.timeline.iter().filter(|entry| entry.kind == "tier").map(|entry| entry.text.as_str()).collect();
    assert_eq!(
        told[1..],
        [
            "db.example.com: tier 1 is used again, since no other has enough",
            "db.example.com: tier 2 was left for tier 1, and waits from now on until it is released"
        ]
    );
}

#[test]
fn a_certificate_that_ends_degrades_two_weeks_before_and_is_told_with_its_end() {
    let report = play("certificate-expires.toml", 1);
    let health: Vec<(u64, &str)> = report.timeline.iter().filter(|entry| entry.kind == "health").map(|entry| (entry.at_ms / 60_000, &*entry.text)).collect();
    let changes: Vec<u64> = health.iter().map(|(minute, _)| *minute).collect();
    assert_eq!(changes, [6, 20, 30], "{health:?}");
    assert!(health[0].1.contains("up → degraded") && health[0].1.contains("the certificate ends at "), "{health:?}");
    assert!(health[2].1.contains("→ down") && health[2].1.contains("the certificate has expired"), "{health:?}");
}

#[test]
fn a_day_of_probes_is_played_whole() {
    let text = "zones = \"WORLD\"\nfor = \"24h\"\n[[event]]\nat = \"12h\"\ndown = \"region:aws-*\"\n[[expect]]\nnever-empty = true\n";
    let written = Written::new("day", text);
    let (scenario, grounds) = load(&written.0);
    let report = run(&scenario, &grounds, 1, &mut |_| {}).unwrap();
    // Eight probes at five seconds and four at one, less a tenth at most.
    assert!((430_000..=560_000).contains(&report.probes), "{}", report.probes);
    assert_eq!(report.breaches, []);
}

#[test]
fn a_broken_expectation_is_told_with_when_and_for_whom_and_exits_with_1() {
    let text = "zones = \"WORLD\"\nfor = \"2min\"\n[demand]\nwrong-by = \"60%\"\n[[event]]\nat = \"30s\"\ndown = \"region:gcp-europe-west3\"\n\
                [[expect]]\nrto = \"<= 1s\"\n[[expect]]\nmax-load = \"<= 100%\"\n[[expect]]\nmoves-per-client = \"<= 0.5\"\n\
                [[expect]]\nanswers = { service = \"bank\", client = \"20.0.0.1\", region = \"aws-us-east-1\", at = \"1min\" }\n";
    let (out, error, code) = Written::new("broken", text).run(&[]);
    assert_eq!((error.as_str(), code), ("", Some(1)), "{out}");
    for told in [
        "BROKEN rto <= 1s: at 31.000 s: region:gcp-europe-west3 refuses connections: it was still answered after",
        "BROKEN max-load <= 100% after 10.000 s: at ",
        "BROKEN moves-per-client <= 0.5: at ",
        "BROKEN bank answers 20.0.0.1 with aws-us-east-1 at 60.000 s: at 60.000 s: bank.example.com answers aws-eu-west-1",
    ] {
        assert!(out.contains(told), "{told}\n{out}");
    }
}

#[test]
fn several_seeds_are_told_by_median_and_worst() {
    let (out, _, code) = simulate(&["region-refuses.toml", "--seeds", "4"]);
    assert_eq!(code, Some(0), "{out}");
    assert!(out.contains("4 seeds from 1") && out.contains("last wrong    median ") && out.contains(", worst "), "{out}");
    let (json, _, code) = simulate(&["region-refuses.toml", "--seeds", "2", "--seed", "5", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((json["runs"][1]["seed"].as_u64(), json["runs"].as_array().unwrap().len(), code), (Some(6), 2, Some(0)));
    assert!(json["runs"][0]["failures"][0]["last-wrong-ms"].is_u64(), "{json}");
}

#[test]
fn every_mistake_of_a_scenario_is_told_with_its_place() {
    let text = "zones = \"WORLD\"\nfor = \"0s\"\nstep = \"1ms\"\nseeds = 3\n[clients]\nXX = 1\nDE = -1\n[demand]\nservice = { apo = \"10 rps\", api = \"ten\" }\n\
                [[event]]\nat = \"1s\"\ndown = \"region:gcp-europe-wset3\"\nup = \"region:*\"\n[[event]]\nat = \"1s\"\n[[event]]\nat = \"1s\"\nup = \"Frankfurt\"\n\
                [[event]]\nat = \"1s\"\ndown = \"region:gcp-europe-wset3\"\n[[event]]\nat = \"1s\"\nflap = { what = \"cloud:azuer\", up = \"0s\", down = \"1s\", for = \"1s\" }\n\
                [[event]]\nat = \"1s\"\nrestart = false\n[[event]]\nat = \"1s\"\nstale = \"1s\"\nhow = \"refused\"\n\
                [[expect]]\nrto = \"15s\"\n[[expect]]\nresidency = \"broken\"\n[[expect]]\nnever-empty = true\nafter = \"1s\"\n\
                [[expect]]\nmax-load = \"<= 90\"\n";
    let (out, error, code) = Written::new("mistakes", text).run(&[]);
    assert_eq!((out.as_str(), code), ("", Some(2)), "{error}");
    for told in [
        "`for` must be more than zero",
        "`step` must be from 10 ms to 1 min",
        "unknown key `seeds`",
        "did you mean \"seed\"?",
        "there is no country \"XX\"",
        "a weight must be a whole number",
        "no service is called \"apo\"",
        "did you mean \"api\"?",
        "`api` must be a rate",
        "event 1 has both `down` and `up`",
        "event 2 says nothing that is known",
        "neither region:, cloud: nor endpoint:",
        "no endpoint of the zones is meant by \"region:gcp-europe-wset3\"",
        "did you mean \"gcp-europe-west3\"?",
        "no endpoint of the zones is meant by \"cloud:azuer\"",
        "`up` must be more than zero",
        "`restart` can only be true",
        "only what is `down` is so in some way",
        "does not begin with \"<=\"",
        "`residency` must be one of \"never-broken\"",
        "only `max-load` counts after a while",
        "the unit is missing",
    ] {
        assert!(error.contains(told), "{told}\n{error}");
    }
    assert!(error.contains(".toml:2:7"), "{error}");
}

#[test]
fn every_mistake_of_recorded_clients_is_told_with_its_place() {
    let recording = Written::new("mix", "20.0.0.0/9 12\n20.128.0.1/10 5\n20.192.0.0/10\n");
    let file = recording.0.file_name().unwrap().to_string_lossy().into_owned();
    let written = Written::new("recorded", &format!("zones = \"WORLD\"\nfor = \"1min\"\nclients = \"{file}\"\n[[expect]]\nresidency = \"broken\"\n"));
    let (out, error, code) = written.run(&[]);
    assert_eq!((out.as_str(), code), ("", Some(2)), "{error}");
    for told in [
        "a line must begin with a prefix",
        &format!("{file}:2:1"),
        "did you mean \"20.128.0.0/10\"?",
        "20.192.0.0/10 has no weight",
        &format!("{file}:3:1"),
        "`residency` must be one of",
    ] {
        assert!(error.contains(told), "{told}\n{error}");
    }
    let (_, error, code) = Written::new("unrecorded", "zones = \"WORLD\"\nfor = \"1min\"\nclients = \"nowhere.csv\"\n").run(&[]);
    assert!(error.contains("nowhere.csv cannot be read") && error.contains(".toml:3:11") && code == Some(2), "{error}");
    let (_, error, code) = Written::new("numbered", "zones = \"WORLD\"\nfor = \"1min\"\nclients = 5\n").run(&[]);
    assert!(error.contains("`clients` must be a table of countries or the path of a recording") && error.contains(".toml:3:11") && code == Some(2), "{error}");
}

#[test]
fn what_cannot_be_read_is_an_error() {
    let (_, error, code) = simulate(&["nowhere.toml"]);
    assert!(error.contains("nowhere.toml cannot be read") && code == Some(2), "{error}");
    let (_, error, code) = Written::new("zones", "zones = \"nowhere\"\nfor = \"1s\"\n").run(&[]);
    assert!(error.contains("nowhere cannot be read") && code == Some(2), "{error}");
    let (_, error, code) = Written::new("nobody", "zones = \"WORLD\"\nfor = \"1s\"\n[clients]\nFR = 1\n").run(&[]);
    assert!(error.contains("knows no address of any client") && code == Some(2), "{error}");
}
