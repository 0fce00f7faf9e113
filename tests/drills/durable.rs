//! Drills that outlive the process: their file, the trail, and the reports.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aya_gslb::catalog::ProbeSpec;
use aya_gslb::clock::{Clock, Hand};
use aya_gslb::control::drills::{Abort, Drills, Plays, Run, Wish};
use aya_gslb::health::Observation;
use aya_gslb::limits::DRILL_REPORTS_MAX;
use aya_gslb::probe::{Meter, Roots};
use aya_gslb::publish::{ControlHandle, NoDrillMeter, NotGranted, Shelf, Start, spawn};
use aya_gslb::resolve::{self, NameServers};
use aya_gslb::state_file;
use aya_gslb::units::Moment;

use crate::desk::{ZONE, play};
use crate::small::{MINUTE, START, loaded, words};

/// Counts nothing.
struct Deaf;

impl Meter for Deaf {
    fn probed(&self, _spec: &ProbeSpec, _observation: &Observation) {}
}

/// A folder of this test's own, empty.
pub(crate) fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("drills-{name}"));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// A zone that nobody probes: what is drilled is drained.
pub(crate) fn unprobed() -> String {
    ZONE.replace("probe = \"region\"\n", "probe = []\n")
}

/// A controller's task that keeps drills in this folder.
fn start(folder: Option<&Path>, clock: Clock) -> ControlHandle {
    let (catalog, geo) = loaded(&unprobed());
    spawn(Start {
        catalog,
        geo,
        clock,
        state: None,
        overrides: folder.map(Path::to_owned),
        roots: Roots::of_system(),
        commands: None,
        seed: 1,
        meter: Arc::new(Deaf),
        name_servers: NameServers::Of(Vec::new()),
        lookups: Arc::new(resolve::NoMeter),
        drills: Arc::new(NoDrillMeter),
    })
}

fn started(folder: Option<&Path>, at: Moment) -> (ControlHandle, Hand) {
    let (clock, hand) = Clock::by_hand(at);
    (start(folder, clock), hand)
}

fn drain() -> Run {
    play("service:shop region:aws-us-east-1", Plays::Drain)
}

/// Waits until worlds have no drill any more.
async fn until_over(control: &ControlHandle) {
    while control.drills().now.is_some() {
        tokio::task::yield_now().await;
    }
}

fn kept(folder: &Path) -> Drills {
    state_file::read(&folder.join("drill.state")).unwrap().unwrap()
}

fn trail(folder: &Path) -> Vec<String> {
    let text = fs::read_to_string(folder.join("audit.jsonl")).unwrap();
    let word = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["what"].as_str().unwrap().to_owned();
    text.lines().map(word).collect()
}

#[tokio::test]
async fn what_is_granted_is_on_the_disk_in_the_trail_and_in_the_world() {
    let folder = folder("granted");
    let (control, _hand) = started(Some(&folder), START);
    let drilled = control.drill(Wish::Run(drain()), false).await.unwrap();
    assert!(control.worlds().load().generation >= drilled.generation);
    assert!(control.worlds().load().drill.as_ref().unwrap().running);
    assert_eq!((kept(&folder).now.unwrap().drill, trail(&folder)), (drilled.proposal.drill, vec!["drill-run".to_owned()]));
    let refused = control.drill(Wish::Run(drain()), false).await.unwrap_err();
    assert!(refused.to_string().contains("one at a time"), "{refused}");
    assert_eq!(trail(&folder), ["drill-run", "drill-refused"]);
    control.stop().await;
}

#[tokio::test]
async fn without_a_state_folder_nothing_is_played() {
    let (control, _hand) = started(None, START);
    assert!(control.drill(Wish::Run(drain()), true).await.is_ok(), "a dry run");
    assert!(matches!(control.drill(Wish::Run(drain()), false).await, Err(NotGranted::NoFolder)));
    assert!(control.worlds().load().drill.is_none());
}

#[tokio::test]
async fn a_drill_goes_on_over_a_restart_ends_by_itself_and_is_reported_by_whoever_sees_it() {
    let folder = folder("restart");
    let (first, _hand) = started(Some(&folder), START);
    first.drill(Wish::Run(drain()), false).await.unwrap();
    first.stop().await;
    let (second, hand) = started(Some(&folder), START.plus_millis(MINUTE / 2));
    assert!(second.worlds().load().drill.as_ref().unwrap().running, "in the first world of the next process");
    // Who answers has begun to look at the clock.
    second.drill(Wish::Run(drain()), true).await.unwrap_err();
    hand.move_to(START.plus_millis(MINUTE));
    until_over(&second).await;
    second.stop().await;
    let report = Shelf::new(&folder).read(1).unwrap().unwrap();
    assert_eq!((report.restarts, report.played_ms, report.aborted, report.recovery_ms.is_some()), (1, MINUTE, false, true));
    assert!(fs::read_to_string(folder.join("drills/drill-000001.md")).unwrap().starts_with("# Drill 1: drain "));
    assert_eq!((kept(&folder).now, kept(&folder).last), (None, 1));
    assert_eq!(trail(&folder), ["drill-run", "drill-over"]);
    let (third, _hand) = started(Some(&folder), START.plus_millis(2 * MINUTE));
    assert!(third.worlds().load().drill.is_none());
    third.stop().await;
}

#[tokio::test]
async fn a_drill_that_ended_while_no_process_ran_is_reported_by_the_next() {
    let folder = folder("ended");
    let (first, _hand) = started(Some(&folder), START);
    first.drill(Wish::Run(drain()), false).await.unwrap();
    first.stop().await;
    let (second, _hand) = started(Some(&folder), START.plus_millis(10 * MINUTE));
    assert!(second.worlds().load().drill.is_none());
    second.stop().await;
    assert_eq!(Shelf::new(&folder).numbers().unwrap(), [1]);
}

#[tokio::test]
async fn an_abort_is_written_before_it_is_acknowledged() {
    let folder = folder("abort");
    let (control, _hand) = started(Some(&folder), START);
    control.drill(Wish::Run(drain()), false).await.unwrap();
    let abort = Wish::Abort(Abort { id: Some(1), why: words("enough"), who: words("bob") });
    control.drill(abort.clone(), false).await.unwrap();
    assert!(control.worlds().load().drill.is_none());
    assert!(kept(&folder).current().is_none(), "no process would go on with it");
    assert!(control.drill(abort, false).await.unwrap_err().to_string().contains("no drill 1 under way"));
    control.stop().await;
    let report = Shelf::new(&folder).read(1).unwrap().unwrap();
    assert_eq!((report.aborted, report.ceased.as_str()), (true, "aborted by bob: enough"));
}

#[tokio::test]
async fn a_file_that_is_not_whole_is_set_aside_and_plays_nothing() {
    let folder = folder("broken");
    fs::write(folder.join("drill.state"), "aya-drill 1 0\n{}\n").unwrap();
    let (control, _hand) = started(Some(&folder), START);
    assert!(control.worlds().load().drill.is_none());
    assert!(folder.join("drill.state.broken").exists());
    control.stop().await;
}

#[tokio::test]
async fn the_trail_comes_first_and_what_cannot_be_written_is_not_played() {
    let folder = folder("unwritable");
    fs::create_dir(folder.join("audit.jsonl")).unwrap();
    let (control, _hand) = started(Some(&folder), START);
    assert!(matches!(control.drill(Wish::Run(drain()), false).await, Err(NotGranted::Audit { .. })));
    assert!(control.worlds().load().drill.is_none() && !folder.join("drill.state").exists());
    control.stop().await;
}

#[test]
fn so_many_reports_are_kept_and_the_oldest_goes() {
    let folder = folder("shelf");
    let mut desk = crate::desk::Desk::new(ZONE);
    desk.run(&drain());
    desk.abort();
    let report = aya_gslb::control::drills::report(desk.over().unwrap(), desk.world());
    let shelf = Shelf::new(&folder);
    for id in 1..=DRILL_REPORTS_MAX as u64 + 2 {
        shelf.keep(&aya_gslb::control::drills::Report { id, ..report.clone() }).unwrap();
    }
    let numbers = shelf.numbers().unwrap();
    assert_eq!((numbers.len(), numbers[0], shelf.read(1).unwrap()), (DRILL_REPORTS_MAX, 3, None));
    assert_eq!(fs::read_dir(folder.join("drills")).unwrap().count(), 2 * DRILL_REPORTS_MAX);
}
