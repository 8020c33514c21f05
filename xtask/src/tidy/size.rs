//! Functions fit a screen and files fit a head. What was longer when the rule came may stay, and may only shrink.
//!
//! The exceptions live in `xtask/tidy-ratchet.txt`, one a line: `file PATH LINES` or `fn PATH::NAME LINES`. An entry that
//! is higher than the truth is a finding as well, so that a shortened function stays short.

use super::finding::Finding;
use super::tree::Tree;
use crate::cargo;
use anyhow::Context;
use std::collections::BTreeMap;

const RULE: &str = "size";
/// Lines of a function, from `fn` to the closing brace.
const FUNCTION_LINES_MAX: usize = 70;
/// Lines of a file.
const FILE_LINES_MAX: usize = 800;
/// Files with a tighter limit: the binary's entry only wires.
const TIGHTER_FILES: &[(&str, usize)] = &[("crates/anser/src/main.rs", 149)];
const RATCHET: &str = "xtask/tidy-ratchet.txt";

/// Everything that is longer than its limit is in the ratchet, with its exact length.
pub(crate) fn within_limits(tree: &Tree) -> Vec<Finding> {
    let (mut ratchet, mut findings) = read_ratchet(tree);
    for (key, long) in too_long(tree) {
        let (entry_line, entry) = ratchet.remove(&key).unwrap_or((0, long.limit));
        if long.lines > entry {
            let remedy = format!(
                "{key} has {} lines, at most {entry}: split it by what changes together",
                long.lines
            );
            findings.push(Finding::new(RULE, &long.path, long.line, remedy));
        } else if long.lines < entry {
            let remedy = format!("{key} has shrunk to {}: run `cargo xtask tidy`", long.lines);
            findings.push(Finding::new(RULE, RATCHET, entry_line, remedy));
        }
    }
    for (key, (line, _)) in ratchet {
        let remedy = format!("{key} is within its limit or gone: run `cargo xtask tidy`");
        findings.push(Finding::new(RULE, RATCHET, line, remedy));
    }
    findings
}

/// Lowers entries to the truth and drops those that are no longer needed. Never adds one.
pub(crate) fn tighten(tree: &Tree) -> anyhow::Result<()> {
    let Some(file) = tree.texts.iter().find(|file| file.path == RATCHET) else {
        return Ok(());
    };
    let tightened = tightened(tree, &file.text);
    if tightened != file.text {
        std::fs::write(cargo::root().join(RATCHET), tightened)
            .with_context(|| format!("cannot write {RATCHET}"))?;
    }
    Ok(())
}

pub(super) fn tightened(tree: &Tree, text: &str) -> String {
    let long = too_long(tree);
    let mut result = String::new();
    for line in text.lines() {
        let Some((key, entry)) = entry(line) else {
            result.push_str(&format!("{line}\n"));
            continue;
        };
        if let Some(long) = long.get(&key) {
            result.push_str(&format!("{key} {}\n", long.lines.min(entry)));
        }
    }
    result
}

struct Long {
    path: String,
    line: usize,
    lines: usize,
    limit: usize,
}

fn too_long(tree: &Tree) -> BTreeMap<String, Long> {
    let mut found: BTreeMap<String, Long> = BTreeMap::new();
    for file in &tree.rust {
        let tighter = TIGHTER_FILES.iter().find(|(path, _)| *path == file.path);
        let limit = tighter.map_or(FILE_LINES_MAX, |(_, limit)| *limit);
        if file.line_count > limit {
            let long = Long {
                path: file.path.clone(),
                line: 0,
                lines: file.line_count,
                limit,
            };
            found.insert(format!("file {}", file.path), long);
        }
        for function in &file.lexed.functions {
            let (line, lines) = (*function.lines.start(), function.lines.clone().count());
            let key = format!("fn {}::{}", file.path, function.name);
            let longest = found
                .get(&key)
                .map_or(FUNCTION_LINES_MAX, |long| long.lines);
            if lines > longest {
                found.insert(
                    key,
                    Long {
                        path: file.path.clone(),
                        line,
                        lines,
                        limit: FUNCTION_LINES_MAX,
                    },
                );
            }
        }
    }
    found
}

type Ratchet = BTreeMap<String, (usize, usize)>;

/// The entries with their line and value, and what is wrong with the file itself.
fn read_ratchet(tree: &Tree) -> (Ratchet, Vec<Finding>) {
    let mut ratchet = Ratchet::new();
    let mut findings = Vec::new();
    let text = tree
        .texts
        .iter()
        .find(|file| file.path == RATCHET)
        .map_or("", |file| file.text.as_str());
    for (index, line) in text.lines().enumerate() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match entry(line) {
            Some((key, lines)) => drop(ratchet.insert(key, (index + 1, lines))),
            None => findings.push(Finding::new(
                RULE,
                RATCHET,
                index + 1,
                "is no `file PATH LINES` or `fn PATH::NAME LINES`",
            )),
        }
    }
    (ratchet, findings)
}

fn entry(line: &str) -> Option<(String, usize)> {
    let (key, lines) = line.rsplit_once(' ')?;
    let known = key.starts_with("file ") || key.starts_with("fn ");
    if known {
        Some((key.to_owned(), lines.parse().ok()?))
    } else {
        None
    }
}
