//! Overrides that outlive the process, and the trail of who made them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use aya_gslb::catalog::ProbeSpec;
use aya_gslb::clock::{Clock, Hand};
use aya_gslb::control::overrides::{Action, Clear, Overrides, Which, Wish};
use aya_gslb::health::{Intent, Observation};
use aya_gslb::limits::PROPOSALS_QUEUED_MAX;
use aya_gslb::probe::{Meter, Roots};
use aya_gslb::publish::{ControlHandle, NotGranted, Start, spawn};
use aya_gslb::resolve::{self, NameServers};
use aya_gslb::state_file;
use aya_gslb::units::{Moment, Permille};

use crate::desk::{ZONE, act, drain};
use crate::small::{HOUR, START, loaded, words};

/// Counts nothing.
struct Deaf;

impl Meter for Deaf {
    fn probed(&self, _spec: &ProbeSpec, _observation: &Observation) {}

    fn dropped(&self) {}
}

/// A folder of this test's own, empty.
pub(crate) fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("overrides-{name}"));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// A controller's task that keeps overrides in this folder, at this moment.
pub(crate) fn start(folder: Option<&Path>, clock: Clock) -> ControlHandle {
    start_on(ZONE, None, folder, clock)
}

/// The same of this zone, with the file of its health, if it has one.
fn start_on(toml: &str, state: Option<&Path>, folder: Option<&Path>, clock: Clock) -> ControlHandle {
    let (catalog, geo) = loaded(toml);
    let (state, overrides) = (state.map(Path::to_owned), folder.map(Path::to_owned));
    spawn(Start {
        catalog,
        geo,
        clock,
        state,
        overrides,
        roots: Roots::of_system(),
        commands: None,
        seed: 1,
        meter: Arc::new(Deaf),
        name_servers: NameServers::Of(Vec::new()),
        lookups: Arc::new(resolve::NoMeter),
        drills: Arc::new(aya_gslb::publish::NoDrillMeter),
    })
}

fn started(folder: Option<&Path>) -> (ControlHandle, Hand) {
    let (clock, hand) = Clock::by_hand(START);
    (start(folder, clock), hand)
}

fn drained(control: &ControlHandle) -> usize {
    control.worlds().load().statuses.of.iter().filter(|status| status.intent == Intent::Drain).count()
}

/// What the trail tells: what, who, why.
fn trail(folder: &Path) -> Vec<[String; 3]> {
    let text = fs::read_to_string(folder.join("audit.jsonl")).unwrap();
    let entries = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    entries.map(|entry| ["what", "who", "why"].map(|key| entry[key].as_str().unwrap_or("-").to_owned())).collect()
}

#[tokio::test]
async fn what_is_granted_is_in_the_world_and_in_that_of_the_next_process() {
    let folder = folder("restart");
    let (control, _hand) = started(Some(&folder));
    let granted = control.wish(Wish::Set(drain("cloud:aws")), false).await.unwrap();
    assert_eq!((drained(&control), granted.generation), (4, control.worlds().load().generation));
    control.stop().await;
    let (control, _hand) = started(Some(&folder));
    assert_eq!((drained(&control), control.lost_overrides()), (4, false));
    assert_eq!(control.overrides().all, granted.proposal.next.all);
    control.stop().await;
}

#[tokio::test]
async fn without_a_folder_nothing_is_granted_and_who_would_move_is_told_all_the_same() {
    let (control, _hand) = started(None);
    assert!(matches!(control.wish(Wish::Set(drain("cloud:aws")), false).await, Err(NotGranted::NoFolder)));
    assert_eq!(control.wish(Wish::Set(drain("cloud:aws")), true).await.unwrap().proposal.moved.endpoints, 4);
    assert_eq!(drained(&control), 0);
}

#[tokio::test]
async fn a_dry_run_changes_nothing_and_leaves_no_trail() {
    let folder = folder("dry");
    let (control, _hand) = started(Some(&folder));
    control.wish(Wish::Set(drain("cloud:aws")), true).await.unwrap();
    control.wish(Wish::Set(drain("cloud:azure")), true).await.unwrap_err();
    assert_eq!((drained(&control), fs::read_dir(&folder).unwrap().count()), (0, 0));
}

#[tokio::test]
async fn a_file_that_is_not_whole_is_set_aside_and_the_node_starts_without() {
    let folder = folder("broken");
    let path = folder.join("overrides.state");
    let (control, _hand) = started(Some(&folder));
    control.wish(Wish::Set(drain("cloud:aws")), false).await.unwrap();
    control.stop().await;
    let mut octets = fs::read(&path).unwrap();
    let middle = octets.len() / 2;
    octets[middle] ^= 1;
    fs::write(&path, &octets).unwrap();
    let (control, _hand) = started(Some(&folder));
    assert_eq!((drained(&control), control.lost_overrides(), path.exists()), (0, true, false));
    assert_eq!(fs::read(folder.join("overrides.state.broken")).unwrap(), octets, "somebody may want to look at it");
    control.wish(Wish::Set(drain("cloud:aws")), false).await.unwrap();
    assert_eq!(drained(&control), 4);
}

#[tokio::test]
async fn overrides_that_nobody_can_have_made_are_never_believed() {
    let folder = folder("unsound");
    let (control, _hand) = started(Some(&folder));
    let right = control.wish(Wish::Set(act("cloud:aws", Action::Weight(Permille(1)))), false).await.unwrap().proposal.next;
    control.stop().await;
    let mut unsound: Vec<Overrides> = vec![right.clone(); 4];
    unsound[0].all[0].action = Action::Weight(Permille(u16::MAX));
    unsound[1].all[0].expires = Moment(u64::MAX);
    unsound[2].last = 0;
    unsound[3].all.push(right.all[0].clone());
    for overrides in unsound {
        state_file::write(&folder.join("overrides.state"), &overrides).unwrap();
        let (control, _hand) = started(Some(&folder));
        assert!(control.lost_overrides() && control.overrides().all.is_empty(), "{overrides:?}");
    }
}

#[tokio::test]
async fn the_trail_tells_what_was_set_forced_refused_cleared_and_expired_and_by_whom() {
    let folder = folder("trail");
    let (control, hand) = started(Some(&folder));
    control.wish(Wish::Set(drain("service:shop cloud:aws")), false).await.unwrap();
    let mut set = act("service:api region:*eu*", Action::Out);
    control.wish(Wish::Set(set.clone()), false).await.unwrap_err();
    set.force = Some(words("the law has changed"));
    control.wish(Wish::Set(set), false).await.unwrap();
    let clear = Clear { which: Which::Selector("service:api".parse().unwrap()), why: words("done"), who: words("bob") };
    control.wish(Wish::Clear(clear), false).await.unwrap();
    let mut intents = control.intents();
    hand.move_to(START.plus_millis(4 * HOUR));
    assert_eq!(intents.recv().await.unwrap().to, None);
    control.stop().await;
    let told = trail(&folder);
    let told: Vec<[&str; 3]> = told.iter().map(|entry| entry.each_ref().map(String::as_str)).collect();
    let anna = |what| [what, "anna", "maintenance"];
    assert_eq!(told, [anna("set"), anna("refused"), anna("forced"), ["cleared", "bob", "done"], ["expired", "-", "maintenance"]]);
    let text = fs::read_to_string(folder.join("audit.jsonl")).unwrap();
    assert!(text.contains("it would take the last endpoint of api.gslb.example.com") && text.contains("forced: the law has changed"), "{text}");
}

#[tokio::test]
async fn what_cannot_be_written_is_not_granted_and_changes_nothing() {
    let folder = folder("gone");
    let (control, _hand) = started(Some(&folder));
    fs::remove_dir_all(&folder).unwrap();
    assert!(matches!(control.wish(Wish::Set(drain("cloud:aws")), false).await, Err(NotGranted::Audit { .. })));
    fs::create_dir_all(folder.join("overrides.state")).unwrap();
    assert!(matches!(control.wish(Wish::Set(drain("cloud:aws")), false).await, Err(NotGranted::Write(_))), "a folder stands where the file should");
    assert_eq!((drained(&control), control.worlds().load().generation), (0, 1));
    assert_eq!(trail(&folder).iter().map(|entry| entry[0].clone()).collect::<Vec<_>>(), ["set", "failed"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_hangs_holds_up_nobody_else_and_few_wait_for_it() {
    let folder = folder("hangs");
    let (control, _hand) = started(Some(&folder));
    let path = folder.join("overrides.state");
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    let wishing = |selector: &str| {
        let (control, wish) = (control.clone(), Wish::Set(drain(selector)));
        async move { control.wish(wish, false).await }
    };
    // Reading a pipe that nobody writes to does not come back.
    let hanging = tokio::spawn(wishing("service:shop cloud:aws"));
    let (catalog, geo) = loaded(ZONE);
    let reloaded = control.reload(catalog, geo, false).await;
    assert!(reloaded.is_ok(), "the controller goes on: {reloaded:?}");
    let mut waiting: Vec<_> = (0..PROPOSALS_QUEUED_MAX + 2).map(|_| Box::pin(wishing("service:shop region:gcp-*"))).collect();
    let mut busy = 0;
    for wish in &mut waiting {
        // Polled once: it is in the queue, or there is no room.
        if let std::task::Poll::Ready(outcome) = std::future::poll_fn(|context| std::task::Poll::Ready(wish.as_mut().poll(context))).await {
            assert!(matches!(outcome, Err(NotGranted::Busy)));
            busy += 1;
        }
    }
    assert!((1..=2).contains(&busy), "{busy} were told to come again");
    drop(waiting);
    // Whoever writes nothing ends the reading.
    tokio::task::spawn_blocking(move || drop(fs::OpenOptions::new().write(true).open(path).unwrap())).await.unwrap();
    assert!(hanging.await.unwrap().is_ok());
    control.stop().await;
    assert!(control.overrides().all.iter().any(|one| one.selector.to_string() == "cloud:aws service:shop"));
}

#[tokio::test]
async fn a_file_that_another_process_wrote_meanwhile_is_read_again_and_never_overwritten() {
    let folder = folder("handover");
    let (old, _old_hand) = started(Some(&folder));
    let (new, _new_hand) = started(Some(&folder));
    old.wish(Wish::Set(drain("service:shop cloud:aws")), false).await.unwrap();
    old.stop().await;
    new.wish(Wish::Set(drain("service:api region:gcp-*")), false).await.unwrap();
    assert_eq!(new.overrides().all.iter().map(|one| one.id).collect::<Vec<_>>(), [1, 2]);
    let (last, _hand) = started(Some(&folder));
    assert_eq!((drained(&new), drained(&last)), (3, 3));
    new.wish(Wish::Set(drain("service:api region:aws-us-*")), false).await.unwrap();
    let mut intents = last.intents();
    last.read_overrides().await;
    assert_eq!(&*intents.recv().await.unwrap().endpoint.endpoint, "aws-us-east-1");
}

#[tokio::test]
async fn what_a_reload_moved_in_the_process_before_is_known_to_the_one_that_follows() {
    let folder = folder("moved");
    let state = folder.join("health.state");
    let gated = format!("{ZONE}[safety]\ngate = \"10m\"\n");
    let (clock, _hand) = Clock::by_hand(START);
    let [old, new] = [(); 2].map(|()| start_on(&gated, Some(&state), Some(&folder), clock.clone()));
    let (catalog, geo) = loaded(&gated.replace("[service.shop.endpoint.gcp-europe-west3]\n", "[service.shop.endpoint.gcp-europe-west3]\nweight = 0\n"));
    old.reload(catalog, geo, false).await.unwrap();
    old.stop().await;
    let wish = || Wish::Set(drain("service:shop region:aws-us-*"));
    assert!(new.wish(wish(), true).await.is_ok(), "nobody has told it");
    new.read_overrides().await;
    let refused = loop {
        // What was asked for before is still being read.
        match new.wish(wish(), true).await {
            Ok(_) => tokio::task::yield_now().await,
            Err(refused) => break refused.to_string(),
        }
    };
    assert!(refused.starts_with("clients were moved 0 s ago, and `gate` wants 600 s"), "{refused}");
}
