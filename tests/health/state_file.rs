//! The file in which health outlives the process.

use std::fs;
use std::path::PathBuf;

use aya_gslb::catalog::AddressType;
use aya_gslb::control::overrides::Move;
use aya_gslb::control::{AliasState, EndpointState, FailbackState, ProbeState, State};
use aya_gslb::health::Health;
use aya_gslb::state_file::{self, StateFileError};
use aya_gslb::units::{Moment, Permille};

/// A folder of this test's own, empty.
pub(crate) fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("health-{name}"));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

fn state() -> State {
    let probe = ProbeState { spec: u64::MAX, health: Health::Down, observed: 1_700_000_000_000 };
    let endpoint = EndpointState { service: "api.example.com".into(), endpoint: "east".into(), addresses: 7, probes: vec![probe] };
    let addresses = ["192.0.2.1", "192.0.2.2"].map(|address| address.parse().unwrap()).into();
    let alias = AliasState { name: "lb.example.net".into(), of: AddressType::A, addresses, found: 1_700_000_000_000 };
    let failback = FailbackState { service: "api.example.com".into(), latched: vec!["east".into()], others: vec!["west".into()] };
    State {
        saved: 1_700_000_000_001,
        endpoints: vec![endpoint],
        aliases: vec![alias],
        failback: vec![failback],
        moves: vec![Move { at: Moment(1_700_000_000_000), share: Permille(250) }],
    }
}

#[test]
fn what_is_written_is_read_again_and_nothing_is_left_beside_it() {
    let folder = folder("round-trip");
    let path = folder.join("state");
    assert_eq!(state_file::read::<State>(&path).unwrap(), None, "no file yet");
    state_file::write(&path, &State::default()).unwrap();
    state_file::write(&path, &state()).unwrap();
    assert_eq!(state_file::read::<State>(&path).unwrap(), Some(state()));
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
}

#[test]
fn a_file_of_before_there_were_aliases_is_read_as_one_without() {
    let state: State = serde_json::from_str(r#"{"saved":1,"endpoints":[]}"#).unwrap();
    assert_eq!(state, State { saved: 1, ..State::default() });
}

#[test]
fn a_file_cut_off_anywhere_or_with_any_octet_changed_is_broken_and_never_believed() {
    let path = folder("torn").join("state");
    state_file::write(&path, &state()).unwrap();
    let whole = fs::read(&path).unwrap();
    let is_broken = |octets: &[u8]| {
        fs::write(&path, octets).unwrap();
        matches!(state_file::read::<State>(&path), Err(StateFileError::Broken { .. }))
    };
    for cut in 0..whole.len() {
        assert!(is_broken(&whole[..cut]), "cut at {cut}");
    }
    for at in 0..whole.len() {
        let mut altered = whole.clone();
        altered[at] ^= 0x01;
        assert!(is_broken(&altered), "altered at {at}");
    }
    assert!(is_broken(b"\xff\xfe"));
}

#[test]
fn a_folder_that_does_not_exist_is_an_error_that_names_the_file() {
    let path = folder("absent").join("no/such/state");
    let error = state_file::write(&path, &state()).unwrap_err();
    assert!(error.to_string().contains("no/such/state"), "{error}");
}
