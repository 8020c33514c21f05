//! Which crate may use which, from `cargo metadata`: the table of the design, and what follows from it.
//!
//! A crate exists here only where a direction must be impossible to reverse, so an edge that is not in the table is
//! never "just this once".

use super::finding::Finding;
use super::tree::Tree;
use crate::cargo::{Dependency, Package};

/// The crates from the bottom up, each with those of ours it may use. `anser-gateway` takes the contract implementations
/// from `anser-channels` only through the registry; the design's table knows the edge to them from the other side.
const MAY_USE: &[(&str, &[&str])] = &[
    ("anser-core", &[]),
    ("anser-store", &["anser-core"]),
    ("anser-channels", &["anser-core"]),
    (
        "anser-gateway",
        &["anser-core", "anser-store", "anser-channels"],
    ),
    (
        "anser-edge",
        &["anser-core", "anser-gateway", "anser-channels"],
    ),
    ("anser-sim", &["anser-core"]),
    ("anser-client", &["anser-core"]),
    (
        "anser",
        &[
            "anser-core",
            "anser-store",
            "anser-channels",
            "anser-gateway",
            "anser-edge",
            "anser-sim",
            "anser-client",
        ],
    ),
    ("xtask", &[]),
];

/// Crates without I/O, and what would bring it in.
const WITHOUT_IO: &[&str] = &["anser-core", "anser-channels"];
const IO_DEPENDENCIES: &[&str] = &[
    "tokio",
    "hyper",
    "hyper-util",
    "reqwest",
    "rusqlite",
    "socket2",
    "mio",
    "rustix",
    "rand",
    "getrandom",
    "fastrand",
    "axum",
    "tokio-rustls",
];

/// The only integration test binary of a crate: each further one is another link.
const INTEGRATION_BINARY: &str = "it";

/// Every edge between our crates is in the table.
pub(crate) fn dependency_table(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in &tree.packages {
        let Some((_, allowed)) = MAY_USE.iter().find(|(name, _)| *name == package.name) else {
            let remedy = "no row in the table of crates: add one there and in the design, with the reason in docs/adr";
            findings.push(Finding::new("crate-table", &manifest(package), 0, remedy));
            continue;
        };
        for dependency in &package.dependencies {
            let name = dependency.name.as_str();
            if is_ours(name) && !allowed.contains(&name) && !is_test_of_lower(package, dependency) {
                let remedy = format!(
                    "{} must not use {name}; it may use [{}]",
                    package.name,
                    allowed.join(", ")
                );
                findings.push(Finding::new("crate-table", &manifest(package), 0, remedy));
            }
        }
    }
    findings
}

/// Crates without I/O do not link a crate that does it, not even for a type.
pub(crate) fn banned_dependencies(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in &tree.packages {
        for dependency in &package.dependencies {
            let name = dependency.name.as_str();
            let linked = dependency.kind.as_deref() != Some("dev");
            if linked
                && WITHOUT_IO.contains(&package.name.as_str())
                && IO_DEPENDENCIES.contains(&name)
            {
                let remedy = format!(
                    "{} does no I/O: {name} belongs into a crate above it",
                    package.name
                );
                findings.push(Finding::new("no-io-crate", &manifest(package), 0, remedy));
            }
        }
    }
    findings
}

/// Every crate takes the workspace's lints; a fuzz crate is a workspace of its own and cannot.
pub(crate) fn inherited_lints(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in &tree.texts {
        let is_member = file.path.ends_with("/Cargo.toml")
            && file.text.contains("[package]")
            && !file.text.contains("[workspace]");
        if is_member && !file.text.contains("[lints]\nworkspace = true") {
            let remedy = "add `[lints]` with `workspace = true`";
            findings.push(Finding::new("lints", &file.path, 0, remedy));
        }
    }
    findings
}

/// One integration binary a crate.
pub(crate) fn one_integration_binary(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in &tree.packages {
        for target in &package.targets {
            if target.kind.iter().any(|kind| kind == "test") && target.name != INTEGRATION_BINARY {
                let remedy = format!(
                    "test binary `{}`: make it a module of tests/it/main.rs",
                    target.name
                );
                findings.push(Finding::new(
                    "one-test-binary",
                    &manifest(package),
                    0,
                    remedy,
                ));
            }
        }
    }
    findings
}

fn is_ours(name: &str) -> bool {
    MAY_USE.iter().any(|(ours, _)| *ours == name)
}

/// Tests may use every crate below their own, whatever the table says of the crate itself: a test of the doors wants a
/// store behind them. Never one above, as that would be a loop.
fn is_test_of_lower(package: &Package, dependency: &Dependency) -> bool {
    let height = |name: &str| MAY_USE.iter().position(|(ours, _)| *ours == name);
    dependency.kind.as_deref() == Some("dev") && height(&dependency.name) < height(&package.name)
}

fn manifest(package: &Package) -> String {
    let folder = package
        .manifest_path
        .parent()
        .and_then(|folder| folder.file_name());
    let folder = folder
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    if package.name == "xtask" {
        format!("{folder}/Cargo.toml")
    } else {
        format!("crates/{folder}/Cargo.toml")
    }
}
