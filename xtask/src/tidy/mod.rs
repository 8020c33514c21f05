//! The house rules that no compiler and no linter knows, each a function from the tree to its findings.
//!
//! A rule here needs no build: it reads the sources and `cargo metadata`. The same rules run as a test of this crate, so
//! `cargo test` alone tells whether the tree is healthy.

mod crates;
mod finding;
mod lexed;
mod markers;
mod modules;
mod paths;
mod platforms;
mod purity;
mod size;
#[cfg(test)]
mod tests;
mod text;
mod tree;

use crate::generate;
use anyhow::bail;
use finding::Finding;
use tree::Tree;

type Rule = fn(&Tree) -> Vec<Finding>;

/// Every rule. To add one: write the function, name it here, and give it a bad and a good snippet in `tests`.
const RULES: &[Rule] = &[
    crates::dependency_table,
    crates::banned_dependencies,
    crates::inherited_lints,
    crates::one_integration_binary,
    platforms::platform_names,
    purity::pure_code,
    modules::no_loops,
    size::within_limits,
    markers::attributes,
    markers::unfinished_code,
    markers::sleeping_tests,
    text::file_headers,
    text::file_names,
    text::unfinished_comments,
    text::machine_paths,
    text::registry_hosts,
];

/// `cargo xtask tidy`: tightens the ratchet, or with `check` looks at the generated files as well; then the rules.
pub(crate) fn run(check: bool) -> anyhow::Result<()> {
    if !check {
        size::tighten(&Tree::read()?)?;
    }
    check_tree()?;
    if check { generate::run(true) } else { Ok(()) }
}

/// Prints what the rules find in the tree and fails when that is anything.
pub(crate) fn check_tree() -> anyhow::Result<()> {
    let findings = findings(&Tree::read()?);
    for finding in &findings {
        println!("{finding}");
    }
    if !findings.is_empty() {
        bail!("{} findings", findings.len());
    }
    println!("tidy: {} rules, no findings", RULES.len());
    Ok(())
}

/// What all rules find, by place.
fn findings(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for rule in RULES {
        findings.extend(rule(tree));
    }
    findings.extend(tree.unreadable.iter().cloned());
    findings.sort();
    findings
}
