//! What the README says of keys and commands is what the program knows: written from it, and compared.
//!
//! `UPDATE_EXPECT=1 cargo test --test readme` rewrites both.
#![allow(clippy::unwrap_used, reason = "a test that cannot read its files has failed")]

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;

use aya_gslb::config::keys::{SECTIONS, Section};
use aya_gslb::config::{self, SourceFile, scenario};
use aya_gslb::telemetry::METRICS;

#[test]
fn zone_reference_has_every_key_with_its_default() {
    assert_section_is("reference", &reference_of(SECTIONS));
}

#[test]
fn scenario_reference_has_every_key_with_its_default() {
    assert_section_is("scenario", &reference_of(scenario::keys::SECTIONS));
}

/// The tables of sections.
fn reference_of(sections: &[&Section]) -> String {
    let mut text = String::new();
    for section in sections {
        let header = if section.path.is_empty() { String::new() } else { format!("**`{}`** ", section.path) };
        writeln!(text, "\n{header}{}\n\n| key | form | default | meaning |\n|---|---|---|---|", section.about).unwrap();
        for key in section.keys {
            let default = if key.default.is_empty() { "–" } else { key.default };
            let cells = [key.name, key.form, default, key.about].map(|cell| cell.replace('|', "\\|"));
            writeln!(text, "| `{}` | {} | {} | {} |", cells[0], cells[1], cells[2], cells[3]).unwrap();
        }
    }
    text
}

#[test]
fn smallest_zone_loads_and_there_is_nothing_to_say_about_it() {
    let readme = std::fs::read_to_string(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let text = readme.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    let source = SourceFile { name: "README.md".into(), text: text.into() };
    let loaded = config::compile(vec![source], &|_, path| Err(format!("{path} is not there"))).unwrap();
    assert_eq!((loaded.catalog.zones.len(), loaded.catalog.services.len(), loaded.catalog.endpoints.len()), (1, 1, 2));
    assert!(loaded.lints.is_empty(), "{:?}", loaded.lints);
}

#[test]
fn scenario_of_the_readme_is_one() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let readme = std::fs::read_to_string(root.join("README.md")).unwrap();
    let text = readme.split("```toml\n").map(|block| block.split("```").next().unwrap()).find(|block| block.contains("[[event]]")).unwrap();
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("readme-scenario.toml");
    std::fs::write(&path, text.replace("\"zones\"", &format!("{:?}", root.join("zones")))).unwrap();
    let file = scenario::read_scenario(&path).unwrap_or_else(|failure| panic!("{failure}"));
    assert_eq!((file.scenario.happenings.len(), file.scenario.expectations.len(), file.catalogs.len()), (2, 3, 1));
}

#[test]
fn metrics_are_those_of_the_program() {
    let mut text = String::from("\n| metric | labels | what it says |\n|---|---|---|\n");
    for metric in METRICS {
        let labels: Vec<String> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        writeln!(text, "| `{}` | {} | {} |", metric.name, labels.join(" "), metric.help).unwrap();
    }
    assert_section_is("metrics", &text);
}

#[test]
fn commands_are_those_of_the_program() {
    let mut text = String::new();
    let help = help_of(&[]);
    let verbs = help.lines().skip_while(|line| !line.starts_with("Commands:")).skip(1).take_while(|line| !line.trim().is_empty());
    for verb in verbs.filter_map(|line| line.split_whitespace().next()).filter(|verb| *verb != "help") {
        let help = help_of(&[verb]);
        let lines: Vec<&str> = help.lines().map(str::trim_end).filter(|line| !line.contains("-h, --help") && !line.contains("-V, --version")).collect();
        writeln!(text, "\n```text\n{}\n```", lines.join("\n").trim_end_matches("Options:").trim_end()).unwrap();
    }
    assert_section_is("commands", &text);
}

/// What `aya … --help` prints.
fn help_of(verbs: &[&str]) -> String {
    let mut aya = Command::new(env!("CARGO_BIN_EXE_aya"));
    for (variable, _) in std::env::vars_os().filter(|(variable, _)| variable.to_string_lossy().starts_with("AYA_")) {
        aya.env_remove(variable);
    }
    let output = aya.args(verbs).arg("-h").env("COLUMNS", "140").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Holds that the README has this text between its marks of that name; writes it there if `UPDATE_EXPECT` is set.
fn assert_section_is(name: &str, expected: &str) {
    // The tests run side by side, and each may rewrite its section.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _held = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = std::fs::read_to_string(&path).unwrap();
    let begin = readme.find(&format!("<!-- {name}: begin")).unwrap();
    let begin = begin + readme[begin..].find("-->\n").unwrap() + "-->\n".len();
    let end = begin + readme[begin..].find(&format!("<!-- {name}: end -->")).unwrap();
    let expected = format!("{}\n", expected.trim_end());
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(&path, format!("{}{expected}{}", &readme[..begin], &readme[end..])).unwrap();
        return;
    }
    assert_eq!(&readme[begin..end], expected, "the README's {name} is not what the program knows; UPDATE_EXPECT=1 rewrites it");
}
