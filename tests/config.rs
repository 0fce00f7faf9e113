//! Zones as operators write them: what loads, and what is told of every mistake.
//!
//! A case is a TOML file of `tests/config/good` or `bad`; lines `#--- NAME` begin further files of the case. Beside each bad one stands what
//! is told of it, to the letter; `UPDATE_EXPECT=1 cargo test --test config` rewrites that.
#![allow(clippy::unwrap_used, clippy::missing_docs_in_private_items, reason = "a test that cannot read its files has failed")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use aya_gslb::catalog::{ClientSet, Selector};
use aya_gslb::cli::draw::draw;
use aya_gslb::config::keys::SECTIONS;
use aya_gslb::config::{Code, Failure, Loaded, MayRun, SourceFile, compile, compile_for, load, load_for};

/// The files of a case: what stands before the first `#---` is called like the case.
fn sources(name: &str, text: &str) -> Vec<SourceFile> {
    let mut parts = text.split("\n#--- ");
    let first = SourceFile { name: name.into(), text: parts.next().unwrap().into() };
    let others = parts.map(|part| {
        let (name, text) = part.split_once('\n').unwrap();
        SourceFile { name: name.trim().into(), text: text.into() }
    });
    std::iter::once(first).chain(others).collect()
}

/// Compiles a case that nothing is run of; what does not end in `.toml` is a master file.
fn compile_case(name: &str, text: &str) -> Result<Loaded, Failure> {
    compile_case_for(name, text, MayRun::Unrun)
}

/// Compiles a case for a node that may run this.
fn compile_case_for(name: &str, text: &str, may_run: MayRun) -> Result<Loaded, Failure> {
    let (tomls, masters): (Vec<_>, Vec<_>) = sources(name, text).into_iter().partition(|source| source.name.ends_with(".toml"));
    let fetch = |_asking: &str, path: &str| {
        let found = masters.iter().find(|source| *source.name == *path);
        found.map(|source| (path.to_owned(), source.text.to_string())).ok_or_else(|| "no such file".to_owned())
    };
    compile_for(tomls, &fetch, may_run)
}

/// The cases of a folder, by name.
fn cases(folder: &str) -> Vec<(PathBuf, String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config").join(folder);
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    paths.sort();
    let case = |path: PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        (path, name, text)
    };
    paths.into_iter().map(case).collect()
}

/// What is told of a case.
fn told(outcome: Result<Loaded, Failure>) -> (Vec<Code>, String) {
    let (diagnostics, more, sources) = match outcome {
        Ok(loaded) => (loaded.lints, loaded.more, loaded.sources),
        Err(failure) => (failure.diagnostics, failure.more, failure.sources),
    };
    let mut drawn: Vec<String> = diagnostics.iter().map(|diagnostic| draw(diagnostic, &sources, false)).collect();
    if more > 0 {
        drawn.push(format!("and {more} more"));
    }
    (diagnostics.iter().map(|diagnostic| diagnostic.code).collect(), drawn.join("\n\n") + "\n")
}

#[test]
fn every_mistake_is_told_with_place_and_hint_as_written_beside_it() {
    let update = std::env::var_os("UPDATE_EXPECT").is_some();
    let mut wrong = Vec::new();
    for (path, name, text) in cases("bad") {
        let (codes, told) = told(compile_case_for(&name, &text, MayRun::Nothing));
        assert!(!codes.is_empty(), "{name} is in the folder of bad cases and nothing is told of it");
        let expected_path = path.with_extension("txt");
        if update {
            std::fs::write(&expected_path, &told).unwrap();
        }
        let expected = std::fs::read_to_string(&expected_path).unwrap_or_default();
        if expected != told {
            wrong.push(format!("--- {name}: expected\n{expected}\n--- {name}: told\n{told}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_code_has_a_bad_case() {
    let seen: BTreeSet<Code> = cases("bad").into_iter().flat_map(|(_, name, text)| told(compile_case_for(&name, &text, MayRun::Nothing)).0).collect();
    // Only a disk has files that cannot be read at all.
    let missing: Vec<&str> = Code::ALL.iter().filter(|&&code| code != Code::Unreadable && !seen.contains(&code)).map(|code| code.as_str()).collect();
    assert!(missing.is_empty(), "no case in tests/config/bad for {missing:?}");
}

#[test]
fn good_cases_load_without_a_lint() {
    for (_, name, text) in cases("good") {
        let (_, told) = told(compile_case(&name, &text));
        assert_eq!(told, "\n", "{name}");
    }
}

#[test]
fn zones_of_the_demo_load_without_a_lint() {
    let (codes, told) = told(load(&["zones"]));
    assert_eq!(codes, [], "{told}");
    let catalog = load(&["zones"]).unwrap().catalog;
    assert_eq!((catalog.zones.len(), catalog.services.len(), catalog.regions.len()), (1, 6, 16));
    assert_eq!(catalog.probes.len(), 16, "identical probes of several services are one");
    assert_eq!(catalog.client_sets[ClientSet::UNKNOWN.index()].selectors[..], [Selector::Unknown]);
}

#[test]
fn order_of_files_never_shows_in_the_digest() {
    for (_, name, text) in cases("good") {
        let forward = compile_case(&name, &text).unwrap().catalog;
        let mut parts = sources(&name, &text);
        parts.reverse();
        // The same files under names that sort the other way round.
        let count = parts.len();
        let renamed: Vec<String> = parts
            .iter()
            .enumerate()
            .map(
                |(index, part)| {
                    if part.name.ends_with(".toml") { format!("{:03}.toml\n{}", count - index, part.text) } else { format!("{}\n{}", part.name, part.text) }
                },
            )
            .collect();
        let backward = compile_case("zzz.toml", &format!("\n#--- {}", renamed.join("\n#--- "))).unwrap().catalog;
        assert_eq!(forward.digest, backward.digest, "{name}");
        assert_ne!(forward.digest, 0);
    }
}

#[test]
fn a_changed_word_changes_the_digest() {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config/good/small.toml")).unwrap();
    let digest = |text: &str| compile_case("small.toml", text).unwrap().catalog.digest;
    for (old, new) in [("192.0.2.10", "192.0.2.11"), ("30s", "29s"), ("ns2", "ns3"), ("/healthz", "/health")] {
        assert!(text.contains(old));
        assert_ne!(digest(&text), digest(&text.replace(old, new)), "{old} -> {new}");
    }
    assert_eq!(digest(&text), digest(&format!("# a remark\n{text}")));
}

/// The reference with every key.
fn reference() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("zones/reference/example.toml")).unwrap()
}

#[test]
fn reference_loads_and_its_marked_lines_are_the_defaults() {
    let text = reference();
    let (marked, plain): (Vec<&str>, Vec<&str>) = text.lines().partition(|line| line.contains("# default:"));
    assert!(marked.len() > 30);
    let files = |text: &str| format!("{text}\n#--- static.zone\n$TTL 1h\nother IN A 192.0.2.26\n");
    let full = compile_case("example.toml", &files(&text)).unwrap_or_else(|failure| panic!("{failure}"));
    let bare = compile_case("example.toml", &files(&plain.join("\n"))).unwrap_or_else(|failure| panic!("{failure}"));
    assert_eq!(full.catalog.digest, bare.catalog.digest, "a line marked as default says something else than holds without it");
    for line in marked {
        let (key, value) = line.split_once(" = ").unwrap();
        let value = value.split("  ").next().unwrap().trim().trim_matches('"');
        let keys = SECTIONS.iter().flat_map(|section| section.keys).filter(|known| known.name == key.trim());
        let defaults: Vec<&str> = keys.map(|known| known.default).filter(|default| !default.is_empty()).collect();
        let prose = defaults.iter().any(|default| default.contains(' ') && !default.ends_with("ms"));
        assert!(prose || defaults.contains(&value) || key.trim() == "ttl" || key.trim() == "cloud", "{line}: keys.rs says {defaults:?}");
    }
}

#[test]
fn reference_has_every_key() {
    let text = reference();
    for section in SECTIONS {
        for key in section.keys {
            let written =
                [format!("{} = ", key.name), format!("[{}", key.name), format!(".{}]", key.name), format!(".{}.", key.name), format!("{}.", key.name)];
            assert!(written.iter().any(|form| text.contains(form)), "the reference lacks `{}` of [{}]", key.name, section.path);
        }
    }
}

#[test]
fn the_example_of_inference_loads_without_a_lint() {
    let (codes, told) = told(load(&["zones/reference/inference.toml"]));
    assert_eq!(codes, [], "{told}");
}

#[test]
fn commands_are_run_only_from_the_folder_that_is_allowed() {
    let folder = std::env::temp_dir().join(format!("aya-check-exec-{}", std::process::id()));
    let (commands, zones) = (folder.join("commands"), folder.join("zones"));
    std::fs::create_dir_all(&commands).unwrap();
    std::fs::create_dir_all(&zones).unwrap();
    std::fs::write(commands.join("inside"), "").unwrap();
    std::fs::write(folder.join("outside"), "").unwrap();
    std::os::unix::fs::symlink(folder.join("outside"), commands.join("link")).unwrap();
    let codes_of = |command: &Path, may_run: MayRun| {
        let zone =
            "zone = \"example.com\"\n[ns]\nns1 = [\"192.0.2.53\"]\nns2 = [\"198.51.100.53\"]\n[service.api.endpoint.aws-eu-west-1]\na = [\"192.0.2.1\"]\n";
        std::fs::write(zones.join("zone.toml"), format!("{zone}[service.api.probe.exec]\ncommand = {command:?}\n")).unwrap();
        told(load_for(&[&zones], may_run)).0
    };
    let allowed = || MayRun::Folder(commands.clone());
    assert_eq!(codes_of(&commands.join("inside"), allowed()), []);
    assert_eq!(codes_of(&commands.join("inside"), MayRun::Nothing), [Code::ExecRefused]);
    assert_eq!(codes_of(&commands.join("inside"), MayRun::Unrun), []);
    for wrong in [folder.join("outside"), commands.join("link"), commands.join("nothing"), "/bin/true".into()] {
        assert_eq!(codes_of(&wrong, allowed()), [Code::ExecRefused], "{}", wrong.display());
    }
    assert_eq!(codes_of(&commands.join("../outside"), allowed()), [Code::BadProbe], "a path is what it says");
    let _ = std::fs::remove_dir_all(&folder);
}

#[test]
fn a_folder_that_is_not_there_is_told_and_nothing_else() {
    let failure = load(&["zones/nowhere"]).unwrap_err();
    assert_eq!(failure.diagnostics.iter().map(|diagnostic| diagnostic.code).collect::<Vec<_>>(), [Code::Unreadable]);
    assert!(failure.to_string().contains("zones/nowhere"), "{failure}");
}

#[test]
fn more_mistakes_than_are_listed_are_counted() {
    let zone = "zone = \"example.com\"\n".to_owned();
    let text = (0..500).fold(zone, |text, index| text + &format!("nonsense-{index} = 1\n"));
    let failure = compile_case("many.toml", &text).unwrap_err();
    assert_eq!((failure.diagnostics.len(), failure.more), (200, 301), "500 unknown keys and a zone without name servers");
}

/// What `aya check` prints and exits with.
fn check(arguments: &[&str]) -> (String, Option<i32>) {
    let output = Command::new(env!("CARGO_BIN_EXE_aya")).arg("check").args(arguments).env_remove("AYA_ZONES").output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    (String::from_utf8(output.stdout).unwrap(), output.status.code())
}

#[test]
fn aya_check_exits_with_0_for_good_1_for_lints_2_for_errors() {
    assert_eq!(check(&["--zones", "zones"]), ("1 zone, 6 services, 38 endpoints in 16 regions, 16 probes: all is well\n".into(), Some(0)));
    let (told, code) = check(&["tests/config/bad/one-name-server.toml"]);
    assert!(told.starts_with("lint[odd-record]: zone example.com has only one name server\n --> tests/config/bad/one-name-server.toml:1:8\n"), "{told}");
    assert_eq!((code, told.lines().last()), (Some(1), Some("1 zone, 0 services, 0 endpoints in 0 regions, 0 probes: 2 lints")));
    let (told, code) = check(&["tests/config/bad/no-zone.toml"]);
    assert_eq!((code, told.lines().last()), (Some(2), Some("nothing can be served: 1 error, 0 lints")));
    assert_eq!(check(&["zones/nowhere"]).1, Some(2));
}

#[test]
fn aya_check_json_says_the_same() {
    let (told, code) = check(&["--json", "tests/config/bad/unknown-key.toml"]);
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!((code, &told["errors"], &told["catalog"]), (Some(2), &4.into(), &serde_json::Value::Null));
    let first = &told["diagnostics"][0];
    assert_eq!((&first["code"], &first["severity"], &first["help"]), (&"unknown-key".into(), &"error".into(), &"did you mean \"ttl\"?".into()));
    assert_eq!((&first["place"]["line"], &first["place"]["column"]), (&9.into(), &1.into()));
    let (told, code) = check(&["--json"]);
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!((code, &told["catalog"]["endpoints"], &told["diagnostics"]), (Some(0), &38.into(), &serde_json::json!([])));
}

/// A stream of numbers that looks random (xorshift64*).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        usize::try_from(self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33).unwrap() % bound
    }
}

/// A text in which some words are exchanged for those of another; once in a while a piece is lost, moved or put in, too.
fn mutated(text: &str, other: &str, numbers: &mut Numbers) -> String {
    let split = |text: &str| text.split_inclusive(|character: char| !character.is_alphanumeric()).map(str::to_owned).collect::<Vec<_>>();
    let (mut pieces, foreign) = (split(text), split(other));
    for _ in 0..=numbers.below(5) {
        let (at, from) = (numbers.below(pieces.len()), &foreign[numbers.below(foreign.len())]);
        match numbers.below(24) {
            0 => pieces.insert(at, from.clone()),
            1 => pieces[at].clear(),
            2 => pieces.swap(at, at / 2),
            3 => pieces.insert(at, ["\"", "-", "9999999999999999999", "[", "}", "\\", "é", "\0", "*", "\n[[service]]\n", "= {"][from.len() % 11].into()),
            _ => {
                let is_word = |piece: &str| piece.chars().count() > 1;
                let end = pieces[at].char_indices().next_back().map_or(0, |(end, _)| end);
                let word = from.char_indices().next_back().map_or("", |(end, _)| &from[..end]);
                if is_word(&pieces[at]) && !word.is_empty() {
                    pieces[at].replace_range(..end, word);
                }
            }
        }
    }
    pieces.concat()
}

#[test]
fn no_text_makes_it_panic_and_every_refusal_says_where() {
    let seed = std::env::var("AYA_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(0x5eed);
    let rounds = std::env::var("AYA_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(4_000);
    let mut numbers = Numbers(seed);
    let texts: Vec<String> = cases("good").into_iter().chain(cases("bad")).map(|(_, _, text)| text).filter(|text| text.len() < 4_000).collect();
    let mut linked = 0;
    for _ in 0..rounds {
        let (one, other) = (numbers.below(texts.len()), numbers.below(texts.len()));
        let text = mutated(&texts[one], &texts[other], &mut numbers).replace("\n#--- ", "\n# ");
        let fetch = |_asking: &str, path: &str| Ok((path.to_owned(), text.clone()));
        match compile(vec![SourceFile { name: "case.toml".into(), text: text.as_str().into() }], &fetch) {
            Ok(_) => linked += 1,
            Err(failure) => {
                assert!(!failure.diagnostics.is_empty(), "AYA_SEED={seed}: {text}");
                linked += usize::from(failure.diagnostics.iter().all(|diagnostic| diagnostic.code != Code::Syntax));
                for diagnostic in &failure.diagnostics {
                    assert!(!draw(diagnostic, &failure.sources, false).is_empty());
                }
            }
        }
    }
    assert!(linked > rounds / 10, "most texts were no TOML, so that little was linked: {linked} of {rounds}");
}
