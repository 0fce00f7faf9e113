//! The house rules of `ARCHITECTURE.md` that a compiler does not hold, read off the sources as text.
#![allow(clippy::unwrap_used, reason = "a test that cannot read the sources has failed")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// What may stand at the top of the repository, beside dot-files and what `.gitignore` names.
const TOP_LEVEL: &[&str] = &[
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "docker-compose.yml",
    "geoip",
    "scripts",
    "src",
    "tests",
    "zones",
];

/// Longest source file, in lines.
const LINES_MAX: usize = 600;

#[test]
fn rooms_import_only_what_the_table_allows() {
    let table = import_table();
    let mut wrong = Vec::new();
    for (path, code) in sources() {
        let room = room_of(&path);
        if room == "lib" {
            continue;
        }
        let Some(row) = table.get(&room) else {
            wrong.push(format!("{}: no row for the room `{room}`", path.display()));
            continue;
        };
        for import in imports(&code) {
            if import != room && !row.may_import.contains(&import) {
                wrong.push(format!("{}: `{room}` may not import `{import}`", path.display()));
            }
        }
        let is_root = path.ends_with("mod.rs") && path.components().count() == 3 || path.components().count() == 2;
        if is_root && code.lines().any(|line| line.starts_with("use super::")) {
            wrong.push(format!("{}: rooms name each other by `crate::`", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_table_allows_nothing_that_no_room_does() {
    let mut used: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (path, code) in sources() {
        used.entry(room_of(&path)).or_default().extend(imports(&code));
    }
    let mut idle = Vec::new();
    for (room, row) in import_table() {
        let used = used.get(&room).cloned().unwrap_or_default();
        idle.extend(row.may_import.difference(&used).map(|import| format!("`{room}` may import `{import}`, and does not")));
    }
    assert!(idle.is_empty(), "{}", idle.join("\n"));
}

#[test]
fn every_room_has_a_row_and_every_row_a_room() {
    let rooms: BTreeSet<String> = sources().iter().map(|(path, _)| room_of(path)).filter(|room| room != "lib").collect();
    let rows: BTreeSet<String> = import_table().into_keys().collect();
    assert_eq!(rooms, rows, "left: rooms under src/, right: rows of the import table in ARCHITECTURE.md");
}

#[test]
fn no_two_rooms_import_each_other() {
    let table = import_table();
    let mut left: BTreeMap<&str, BTreeSet<&str>> =
        table.iter().map(|(room, row)| (room.as_str(), row.may_import.iter().map(String::as_str).collect())).collect();
    while !left.is_empty() {
        let ground: Vec<&str> = left.iter().filter(|(_, imports)| imports.is_empty()).map(|(room, _)| *room).collect();
        assert!(!ground.is_empty(), "the table has a cycle among: {:?}", left.keys().collect::<Vec<_>>());
        for room in ground {
            left.remove(room);
            for imports in left.values_mut() {
                imports.remove(room);
            }
        }
    }
}

#[test]
fn pure_rooms_touch_nothing_outside() {
    const NEVER: &[&str] =
        &["std::time", "TcpStream", "TcpListener", "UdpSocket", "ToSocketAddrs", "std::thread", "std::process", "std::env", "tokio::", "tracing::", "println!"];
    let table = import_table();
    let mut wrong = Vec::new();
    for (path, code) in sources() {
        let Some(row) = table.get(&room_of(&path)) else { continue };
        let files: &[&str] = if row.storey == "pure" { &["std::fs", "std::io::", "std::path"] } else { &[] };
        if row.storey == "edge" {
            continue;
        }
        for word in NEVER.iter().chain(files) {
            if code.contains(word) {
                wrong.push(format!("{}: a room of the storey `{}` says `{word}`", path.display(), row.storey));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn only_the_clock_reads_the_time() {
    let readers = files_that_say(&["Instant::now", "SystemTime::now", "Timestamp::now", "Zoned::now"]);
    let wrong: Vec<_> = readers.into_iter().filter(|path| !path.ends_with("src/clock.rs")).collect();
    assert!(wrong.is_empty(), "these read the time, and only src/clock.rs may: {wrong:?}");
}

#[test]
fn only_the_batch_file_is_unsafe() {
    let users = files_that_say(&["unsafe {", "unsafe fn", "unsafe impl", "unsafe extern"]);
    let wrong: Vec<_> = users.into_iter().filter(|path| !path.ends_with("src/server/batch.rs")).collect();
    assert!(wrong.is_empty(), "these are unsafe, and only src/server/batch.rs may be: {wrong:?}");
}

#[test]
fn what_is_ranked_is_never_a_float() {
    let wrong: Vec<_> = files_that_say(&["f32", "f64"]).into_iter().filter(|path| path.starts_with("src/steer")).collect();
    assert!(wrong.is_empty(), "steering counts in integers: {wrong:?}");
}

#[test]
fn every_limit_is_told_and_used() {
    let limits = fs::read_to_string(root().join("src/limits.rs")).unwrap();
    let elsewhere: String = sources().into_iter().filter(|(path, _)| !path.ends_with("limits.rs")).map(|(_, code)| code).collect();
    let (mut seen, mut wrong, mut before) = (0, Vec::new(), "");
    for line in limits.lines() {
        if let Some(rest) = line.strip_prefix("pub const ") {
            let name = rest.split(':').next().unwrap();
            seen += 1;
            if !before.starts_with("/// ") {
                wrong.push(format!("{name} has no words of its own"));
            }
            if !says(&elsewhere, name) && limits.matches(name).count() < 2 {
                wrong.push(format!("{name} limits nothing"));
            }
        }
        before = line;
    }
    assert!(seen > 0 && wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_file_is_longer_than_a_reader_stands() {
    let long: Vec<String> = text_files(&["rs"])
        .into_iter()
        .map(|(path, text)| (path, text.lines().count()))
        .filter(|(_, lines)| *lines > LINES_MAX)
        .map(|(path, lines)| format!("{}: {lines} lines", path.display()))
        .collect();
    assert!(long.is_empty(), "{}", long.join("\n"));
}

#[test]
fn nothing_is_left_for_later() {
    let words = ["TO DO", "FIX ME", "X X X", "to do!(", "un implemented!(", "#[ig nore", "d bg!("].map(|word| word.replacen(' ', "", 2));
    let words = [words.as_slice(), &["Place holder.".replace(' ', "")]].concat();
    assert_nothing_says(&["rs", "toml", "md", "sh", ""], &words);
}

#[test]
fn nothing_speaks_of_how_it_was_made() {
    let mut words = vec!["/wo rk/".replace(' ', "")];
    words.extend((0..10).map(|digit| format!("iss ue {digit}").replacen(' ', "", 1)));
    words.extend((0..10).map(|digit| format!("iss ue #{digit}").replacen(' ', "", 1)));
    assert_nothing_says(&["rs", "toml", "md", "sh", "tsv", ""], &words);
}

#[test]
fn the_top_level_holds_what_it_should() {
    let ignored = fs::read_to_string(root().join(".gitignore")).unwrap();
    let ignored: Vec<&str> = ignored.lines().filter_map(|line| line.strip_prefix('/')).collect();
    let names = fs::read_dir(root()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let wrong: Vec<String> = names.filter(|name| !name.starts_with('.') && !TOP_LEVEL.contains(&name.as_str()) && !ignored.contains(&name.as_str())).collect();
    assert!(wrong.is_empty(), "does not belong at the top: {wrong:?}");
}

#[test]
fn every_dependency_says_what_it_is_for() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let mut section = "";
    let mut wrong = Vec::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            section = line;
        } else if section.contains("dependencies]") && line.contains(" = ") && !line.trim_start().starts_with('#') && !line.contains(" # ") {
            wrong.push(line);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn scripts_can_be_run_and_say_what_they_are_for() {
    let mut wrong = Vec::new();
    for entry in fs::read_dir(root().join("scripts")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let mut lines = text.lines();
        if !lines.next().unwrap_or_default().starts_with("#!/usr/bin/env ") {
            wrong.push(format!("{}: the first line is no `#!/usr/bin/env …`", path.display()));
        }
        if !lines.next().unwrap_or_default().starts_with(['#', '"']) {
            wrong.push(format!("{}: the second line does not say what it is for", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

//--- The import table

/// A row of the import table.
struct Row {
    /// `pure`, `files` or `edge`.
    storey: String,
    /// Rooms that it may import.
    may_import: BTreeSet<String>,
}

/// The import table of `ARCHITECTURE.md`: room → row.
fn import_table() -> BTreeMap<String, Row> {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let rows = text.lines().skip_while(|line| !line.starts_with("| room ")).skip(2).take_while(|line| line.starts_with('|'));
    let table: BTreeMap<String, Row> = rows
        .map(|line| {
            let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
            let [room, storey, may_import] = cells[..] else { panic!("the import table has three columns: {line}") };
            assert!(["pure", "files", "edge"].contains(&storey), "the storey is pure, files or edge: {line}");
            let may_import = may_import.split_whitespace().filter(|word| *word != "–").map(|word| word.trim_matches('`').to_owned()).collect();
            (room.trim_matches('`').to_owned(), Row { storey: storey.to_owned(), may_import })
        })
        .collect();
    assert!(table.len() > 10, "the import table of ARCHITECTURE.md was not found");
    for (room, row) in &table {
        for import in &row.may_import {
            let import = table.get(import).unwrap_or_else(|| panic!("`{room}` may import `{import}`, which has no row"));
            assert!(row.storey != "pure" || import.storey == "pure", "the pure room `{room}` may import a room that is not pure");
        }
    }
    table
}

/// Rooms that the code names by a path from the crate's root.
fn imports(code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for path in ["crate::", "aya_gslb::"] {
        for (at, _) in code.match_indices(path) {
            let before = code[..at].chars().next_back();
            if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '$') {
                continue;
            }
            let rest = &code[at + path.len()..];
            if let Some(group) = rest.strip_prefix('{') {
                found.extend(group_heads(group));
            } else {
                found.insert(word_at(rest));
            }
        }
    }
    found.retain(|room| room.chars().next().is_some_and(char::is_lowercase));
    found
}

/// First segments of the paths of a `{…}` group, up to its closing brace.
fn group_heads(group: &str) -> Vec<String> {
    let (mut depth, mut heads, mut is_head) = (1, Vec::new(), true);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => is_head = true,
            c if is_head && c.is_alphabetic() => {
                heads.push(word_at(&group[at..]));
                is_head = false;
            }
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    heads
}

//--- Reading the sources

/// Where the repository is.
fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The room of a file under `src/`: the first name of its path.
fn room_of(path: &Path) -> String {
    let first = path.components().nth(1).unwrap().as_os_str().to_str().unwrap();
    first.trim_end_matches(".rs").to_owned()
}

/// The sources under `src/`, by path from the root: without comments, and without modules for tests.
fn sources() -> Vec<(PathBuf, String)> {
    let all = text_files(&["rs"]);
    let own = all.into_iter().filter(|(path, _)| path.starts_with("src") && !path.ends_with("tests.rs") && !path.iter().any(|part| part == "tests"));
    own.map(|(path, text)| (path, code_of(&text))).collect()
}

/// A source without comments and without what follows the first inline module for tests (tests stand last).
fn code_of(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let is_module = |line: &&str| line.starts_with("mod ") && line.ends_with('{');
    let is_tests = |at: usize| lines[at] == "#[cfg(test)]" && lines[at + 1..].iter().find(|line| !line.starts_with("#[")).is_some_and(is_module);
    let end = (0..lines.len()).find(|at| is_tests(*at)).unwrap_or(lines.len());
    let mut code = String::new();
    for line in &lines[..end] {
        let comment = line.match_indices("//").map(|(at, _)| at).find(|at| line[..*at].matches('"').count() % 2 == 0);
        code.push_str(&line[..comment.unwrap_or(line.len())]);
        code.push('\n');
    }
    code
}

/// Sources under `src/` that say any of the words as code.
fn files_that_say(words: &[&str]) -> Vec<PathBuf> {
    sources().into_iter().filter(|(_, code)| words.iter().any(|word| says(code, word))).map(|(path, _)| path).collect()
}

/// Fails if a text file with one of the extensions says any of the words.
fn assert_nothing_says(extensions: &[&str], words: &[String]) {
    let mut wrong = Vec::new();
    for (path, text) in text_files(extensions) {
        for (number, line) in text.lines().enumerate() {
            if let Some(word) = words.iter().find(|word| says(line, word)) {
                wrong.push(format!("{}:{}: {word}", path.display(), number + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Whether the text says the word, not merely as a part of a longer one.
fn says(text: &str, word: &str) -> bool {
    let joins = |c: char| c.is_alphanumeric() || c == '_';
    let starts = word.chars().next().is_some_and(joins);
    let ends = word.chars().next_back().is_some_and(joins);
    text.match_indices(word).any(|(at, _)| {
        let before = text[..at].chars().next_back().is_some_and(joins);
        let after = text[at + word.len()..].chars().next().is_some_and(joins);
        !(starts && before || ends && after)
    })
}

/// The identifier at the start of the text.
fn word_at(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// Text files of the repository with one of the extensions (the empty one: none), by path from the root.
fn text_files(extensions: &[&str]) -> Vec<(PathBuf, String)> {
    let (mut found, mut folders) = (Vec::new(), vec![root()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let entry = entry.unwrap();
            let (path, name) = (entry.path(), entry.file_name().into_string().unwrap());
            if ["target", "state", ".git", "corpus", "artifacts"].contains(&name.as_str()) {
                continue;
            }
            if entry.file_type().unwrap().is_dir() {
                folders.push(path);
            } else if extensions.contains(&path.extension().map_or("", |extension| extension.to_str().unwrap()))
                && let Ok(text) = fs::read_to_string(&path)
            {
                found.push((path.strip_prefix(root()).unwrap().to_owned(), text));
            }
        }
    }
    found.sort();
    found
}
