//! The house has floors: every module imports only what stands below it.

use std::fs;
use std::path::{Path, PathBuf};

/// The floors from the ground up. A module imports lower floors, and within its own those to its left; so the order is
/// total, and there can be no cycle. `lib.rs` stands on top and imports all.
const FLOORS: [&[&str]; 7] = [
    &["order", "id", "digest", "when", "value", "schema"],
    &["entity", "children"],
    &["lineage", "diff", "tree", "patch"],
    &["log", "store"],
    &["history"],
    &["registry"],
    &["error"],
];

#[test]
fn every_module_imports_only_what_stands_below_it() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut broken = Vec::new();
    for file in rust_files(&source) {
        let name = file.strip_prefix(&source).expect("it was found there").display().to_string();
        let text = fs::read_to_string(&file).expect("a source file is text");
        broken.extend(violations(&name.replace('\\', "/"), &text));
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn every_module_has_its_floor() {
    let front = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).expect("it is there");
    let private = |line| str::strip_prefix(line, "pub ").unwrap_or(line);
    let mut modules: Vec<&str> =
        front.lines().filter_map(|line| private(line).strip_prefix("mod ")?.strip_suffix(';')).collect();
    let mut floors = FLOORS.concat();
    modules.sort_unstable();
    floors.sort_unstable();
    assert_eq!(modules, floors, "lib.rs and the table of floors name the same modules");
}

#[test]
fn what_breaks_the_rule_is_found() {
    check("log.rs", "use crate::id::EntityId;", "");
    check("history/read.rs", "use crate::lineage::Ix;\nuse super::Store;", "");
    check("history/read.rs", "use crate::history::Store;", "");
    check("entity/mod.rs", "pub mod inline { use super::Cell; }", "");
    check("children/sequence/mod.rs", "use super::Child;", "");
    check("diff/walk.rs", "// use crate::registry::Registry;\nlet text = \"crate::registry\";", "");
    check("diff/walk.rs", "/// See [`x`](crate::registry::Registry).\n", "");
    check("order.rs", "#[cfg(test)]\nmod tests { use super::fewest_moves; use crate::registry::Registry; }", "");
    check("order.rs", "#[cfg(test)]\nmod tests;\n\nuse std::fmt;", "");
    check("lib.rs", "pub use crate::registry::Registry; use crate::Child;", "");

    check("id.rs", "use crate::value::Value;", "id.rs:1: `id` imports `value`, which does not stand below it");
    check(
        "lineage/mod.rs",
        "use std::fmt;\nuse crate::diff::Walk;",
        "lineage/mod.rs:2: `lineage` imports `diff`, which does not stand below it",
    );
    check(
        "diff/walk.rs",
        "fn f() { crate::registry::run() }",
        "diff/walk.rs:1: `diff` imports `registry`, which does not stand below it",
    );
    check(
        "log.rs",
        "use crate::{id::EntityId, history::{Store, Info}};",
        "log.rs:1: `log` imports `history`, which does not stand below it",
    );
    check(
        "log.rs",
        "use crate::EntityId;",
        "log.rs:1: `crate::EntityId` names no module: import it from where it stands",
    );
    check(
        "log.rs",
        "use crate::{Value, when::Position};",
        "log.rs:1: `crate::Value` names no module: import it from where it stands",
    );
    check("log.rs", "use super::id::EntityId;", "log.rs:1: `super` climbs out of `log`");
    check(
        "entity/mod.rs",
        "pub mod inline { use super::super::id::Id; }",
        "entity/mod.rs:1: `super` climbs out of `entity`",
    );
    check("history/read.rs", "\n\nuse super::super::log::Log;", "history/read.rs:3: `super` climbs out of `history`");
    check(
        "order.rs",
        "#[cfg(test)]\nmod tests { use super::f; }\nuse crate::log::Log;",
        "order.rs:3: `order` imports `log`, which does not stand below it",
    );
    check("attic.rs", "use crate::id::EntityId;", "attic.rs: `attic` has no floor: give it one in tests/floors.rs");
}

fn check(file: &str, text: &str, expected: &str) {
    assert_eq!(violations(file, text).join("\n"), expected, "{file}: {text}");
}

/// What a file imports that it may not. Tests may import anything.
fn violations(file: &str, text: &str) -> Vec<String> {
    let mut path: Vec<&str> = file.trim_end_matches(".rs").split('/').collect();
    if path.last() == Some(&"mod") {
        path.pop();
    }
    if file == "lib.rs" || path.contains(&"tests") {
        return Vec::new();
    }
    let module = path[0];
    let Some(height) = height(module) else {
        return vec![format!("{file}: `{module}` has no floor: give it one in tests/floors.rs")];
    };
    let mut found = Vec::new();
    let code = &without_tests(&without_comments_and_texts(text));
    for (at, line) in code.match_indices("crate::").map(|(at, _)| (at, line_of(code, at))) {
        if code[..at].ends_with(is_of_name) {
            continue;
        }
        for name in roots(&code[at + "crate::".len()..]) {
            match self::height(&name) {
                None => found
                    .push(format!("{file}:{line}: `crate::{name}` names no module: import it from where it stands")),
                Some(other) if other > height => {
                    found.push(format!("{file}:{line}: `{module}` imports `{name}`, which does not stand below it"))
                }
                Some(_) => {}
            }
        }
    }
    for (at, _) in code.match_indices("super::") {
        let before = code[..at].trim_end_matches("super::");
        let chain = (at - before.len()) / "super::".len() + 1;
        if !before.ends_with(is_of_name) && chain >= path.len() + inner_modules(before) {
            found.push(format!("{file}:{}: `super` climbs out of `{module}`", line_of(code, at)));
        }
    }
    found
}

/// How high a module stands: the number of modules below it and to its left.
fn height(module: &str) -> Option<usize> {
    FLOORS.concat().iter().position(|known| *known == module)
}

fn is_of_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn line_of(code: &str, at: usize) -> usize {
    code[..at].matches('\n').count() + 1
}

/// The first names of a path, or of each path of a group.
fn roots(path: &str) -> Vec<String> {
    let name = |path: &str| path.trim().chars().take_while(|c| is_of_name(*c)).collect::<String>();
    let Some(group) = path.strip_prefix('{') else { return vec![name(path)] };
    let (mut depth, mut start, mut names) = (0, 0, Vec::new());
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                names.push(name(&group[start..at]));
                start = at + 1;
                if c == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

/// How many inline modules are open at the end of this code.
fn inner_modules(code: &str) -> usize {
    let mut open = Vec::new();
    for (at, c) in code.char_indices() {
        match c {
            '{' => {
                let mut words = code[..at].rsplit([';', '}', '{']).next().unwrap_or_default().split_whitespace().rev();
                open.push(words.nth(1) == Some("mod"));
            }
            '}' => drop(open.pop()),
            _ => {}
        }
    }
    open.into_iter().filter(|is_module| *is_module).count()
}

/// The code with its lines, but for the items that are compiled for tests alone.
fn without_tests(code: &str) -> String {
    let mut parts = code.split("#[cfg(test)]");
    let mut kept = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (mut depth, mut end) = (0, part.len());
        for (at, c) in part.char_indices() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            if depth == 0 && (c == ';' || c == '}') {
                end = at + 1;
                break;
            }
        }
        kept.extend(part[..end].chars().filter(|c| *c == '\n'));
        kept.push_str(&part[end..]);
    }
    kept
}

/// The code with its lines, but for comments and what stands in quotes.
fn without_comments_and_texts(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    let skip = |code: &mut String, rest: &mut &str, length: usize| {
        code.extend(rest[..length].chars().filter(|c| *c == '\n'));
        *rest = &rest[length..];
    };
    while let Some(c) = rest.chars().next() {
        let raw = rest.strip_prefix('r').map(|rest| rest.len() - rest.trim_start_matches('#').len());
        let raw = raw.filter(|hashes| rest[1 + hashes..].starts_with('"') && !code.ends_with(is_of_name));
        if rest.starts_with("//") {
            let end = rest.find('\n').unwrap_or(rest.len());
            skip(&mut code, &mut rest, end);
        } else if rest.starts_with("/*") {
            let end = rest.find("*/").map_or(rest.len(), |at| at + 2);
            skip(&mut code, &mut rest, end);
        } else if let Some(hashes) = raw {
            let close = format!("\"{}", "#".repeat(hashes));
            let start = hashes + 2;
            let end = rest[start..].find(&close).map_or(rest.len(), |at| start + at + close.len());
            skip(&mut code, &mut rest, end);
        } else if c == '"' {
            let mut escaped = false;
            let end = rest[1..].find(|c| {
                let ends = c == '"' && !escaped;
                escaped = c == '\\' && !escaped;
                ends
            });
            let end = end.map_or(rest.len(), |at| at + 2);
            skip(&mut code, &mut rest, end);
        } else if let Some(length) = char_literal(rest) {
            skip(&mut code, &mut rest, length);
        } else {
            code.push(c);
            rest = &rest[c.len_utf8()..];
        }
    }
    code
}

/// The length of the character in quotes that this begins with: a lifetime is none.
fn char_literal(rest: &str) -> Option<usize> {
    let inner = rest.strip_prefix('\'')?;
    if inner.starts_with('\\') {
        return inner[2..].find('\'').map(|at| at + 4);
    }
    let length = inner.chars().next()?.len_utf8();
    inner[length..].starts_with('\'').then_some(length + 2)
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder of sources").map(|entry| entry.expect("it is readable").path()) {
        if entry.is_dir() {
            files.extend(rust_files(&entry));
        } else if entry.extension().is_some_and(|extension| extension == "rs") {
            files.push(entry);
        }
    }
    files.sort();
    files
}
