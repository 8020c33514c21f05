//! Rules on plain text: how files begin and what they are called, comments that promise work, and what names a machine
//! that is not the reader's.
//!
//! The words it looks for are put together from pieces, so that it does not find itself.

use super::finding::Finding;
use super::tree::{TextFile, Tree};

/// Where files go to become 1,600 lines long.
const VAGUE_NAMES: &[&str] = &[
    "types", "util", "utils", "common", "helper", "helpers", "misc",
];
const PROMISES: [&str; 3] = [
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("X", "XX"),
];
/// Written by people who plan, in files whose readers want what is.
const CODE_ENDINGS: &[&str] = &[
    ".rs", ".toml", ".sh", ".py", ".sql", ".html", ".js", ".css", "/run",
];
const MACHINE_PATHS: [&str; 4] = [
    concat!("/wo", "rk/"),
    concat!("/ro", "ot/"),
    concat!("/tmp/bash", "_jobs"),
    concat!("/tmp/an", "ser/"),
];
const REGISTRY_HOSTS: [&str; 10] = [
    concat!("index.cra", "tes.io"),
    concat!("static.cra", "tes.io"),
    concat!("://cra", "tes.io"),
    concat!("py", "pi.org"),
    concat!("python", "hosted.org"),
    concat!("registry.np", "mjs.org"),
    concat!("proxy.go", "lang.org"),
    concat!("ruby", "gems.org"),
    concat!("deb.deb", "ian.org"),
    concat!("registry-1.doc", "ker.io"),
];
/// Settings that name a registry of one machine's, in the files of the package managers.
const REGISTRY_SETTINGS: [&str; 5] = [
    concat!("--index", "-url"),
    concat!("--extra-index", "-url"),
    concat!("--find", "-links"),
    concat!("[sour", "ce."),
    concat!("[regis", "tries"),
];
/// The only source a lock file names.
const CRATES_INDEX: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Every Rust file opens with what it is for.
pub(crate) fn file_headers(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in &tree.texts {
        if file.path.ends_with(".rs") && !file.text.starts_with("//! ") {
            let remedy = "begin with `//!`: what the file is for, and what it must not do";
            findings.push(Finding::new("header", &file.path, 1, remedy));
        }
    }
    findings
}

/// Files are named after what changes together.
pub(crate) fn file_names(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in &tree.rust {
        let stem = file.path.strip_suffix(".rs").unwrap_or(&file.path);
        if let Some(name) = stem.split('/').find(|part| VAGUE_NAMES.contains(part)) {
            let remedy = format!("`{name}` says nothing: name the file after the concept it holds");
            findings.push(Finding::new("vague-name", &file.path, 0, remedy));
        }
    }
    findings
}

/// Comments do not promise work.
pub(crate) fn unfinished_comments(tree: &Tree) -> Vec<Finding> {
    let is_code = |path: &str| CODE_ENDINGS.iter().any(|ending| path.ends_with(ending));
    find_lines(tree, "unfinished", is_code, |line| {
        let word = PROMISES.into_iter().find(|word| has_word(line, word))?;
        Some(format!(
            "`{word}`: do it now, or open an issue and say here what is"
        ))
    })
}

/// No folder of the machine it was written on.
pub(crate) fn machine_paths(tree: &Tree) -> Vec<Finding> {
    find_lines(
        tree,
        "machine-path",
        |_| true,
        |line| {
            let path = MACHINE_PATHS
                .into_iter()
                .find(|path| begins_somewhere(line, path))?;
            Some(format!(
                "`{path}…` exists on one machine only: take it from a setting, or make it relative"
            ))
        },
    )
}

/// No registry by its address: package managers know theirs, and a mirror's address is nobody else's.
pub(crate) fn registry_hosts(tree: &Tree) -> Vec<Finding> {
    let remedy = |host: &str| {
        format!("`{host}` names a package registry: leave it to the package manager's own settings")
    };
    let mut findings = find_lines(
        tree,
        "registry-host",
        |_| true,
        |line| {
            REGISTRY_HOSTS
                .into_iter()
                .find(|host| line.contains(host))
                .map(remedy)
        },
    );
    let is_setting = |path: &str| path.ends_with("requirements.txt") || path.starts_with(".cargo/");
    findings.extend(find_lines(tree, "registry-host", is_setting, |line| {
        REGISTRY_SETTINGS
            .into_iter()
            .find(|setting| line.contains(setting))
            .map(remedy)
    }));
    findings.extend(find_lines(
        tree,
        "registry-host",
        |path| path.ends_with("Cargo.lock"),
        |line| {
            let source = line.strip_prefix("source = \"")?.strip_suffix('"')?;
            if source == CRATES_INDEX {
                None
            } else {
                Some(remedy(source))
            }
        },
    ));
    findings
}

/// Asks `judge` about every line of the files that `wanted` picks by path.
fn find_lines(
    tree: &Tree,
    rule: &'static str,
    wanted: impl Fn(&str) -> bool,
    judge: impl Fn(&str) -> Option<String>,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for TextFile { path, text } in tree.texts.iter().filter(|file| wanted(&file.path)) {
        for (index, line) in text.lines().enumerate() {
            if let Some(remedy) = judge(line) {
                findings.push(Finding::new(rule, path, index + 1, remedy));
            }
        }
    }
    findings
}

fn has_word(line: &str, word: &str) -> bool {
    line.split(|c: char| !c.is_alphanumeric())
        .any(|part| part == word)
}

/// Whether `path` stands in the line without anything before it: the end of an address is no path.
fn begins_somewhere(line: &str, path: &str) -> bool {
    line.match_indices(path).any(|(at, _)| {
        !line[..at].ends_with(|c: char| c.is_alphanumeric() || "._-~*{}<>/".contains(c))
    })
}
