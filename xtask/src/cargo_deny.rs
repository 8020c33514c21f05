//! Licences, banned crates and sources, judged by `cargo deny` in one pinned version that this module installs.
//!
//! It never asks for advisories: their database is fetched from outside, and a test that fails because of what somebody
//! else published today says nothing about the change at hand.

use crate::cargo;
use std::path::PathBuf;
use std::process::Command;

/// The version whose answers we trust; its configuration format changes between versions.
const VERSION: &str = "0.20.2";

/// Fails when a dependency has a licence, a name or a source that `deny.toml` does not let in.
pub(crate) fn check() -> anyhow::Result<()> {
    let program = installed()?;
    let mut command = Command::new(program);
    command
        .current_dir(cargo::root())
        .args(["--locked", "check", "--hide-inclusion-graph"]);
    cargo::run(command.args(["licenses", "bans", "sources"]))
}

/// The pinned program: from the path, from an earlier run, or built now.
fn installed() -> anyhow::Result<PathBuf> {
    let tools = cargo::root().join("target/tools");
    let ours = tools.join("bin/cargo-deny");
    for program in [PathBuf::from("cargo-deny"), ours.clone()] {
        if cargo::read(Command::new(&program).arg("--version")).is_ok_and(|text| is_pinned(&text)) {
            return Ok(program);
        }
    }
    println!("installing cargo-deny {VERSION} into target/tools; this takes minutes, once");
    // Unoptimised: its check takes a second either way, but an optimised build takes five times as long.
    let mut install = cargo::cargo(&[
        "install", "--quiet", "--locked", "--debug", "--force", "--root",
    ]);
    install.arg(&tools).arg(format!("cargo-deny@{VERSION}"));
    // A target folder of its own: sharing ours would evict what the other steps have built.
    install.env("CARGO_TARGET_DIR", cargo::root().join("target/tools-build"));
    cargo::run(install.env("CARGO_PROFILE_DEV_DEBUG", "0"))?;
    Ok(ours)
}

fn is_pinned(version_line: &str) -> bool {
    version_line.split_whitespace().nth(1) == Some(VERSION)
}

#[cfg(test)]
mod tests {
    use super::is_pinned;

    #[test]
    fn only_the_pinned_version_is_taken() {
        assert!(is_pinned("cargo-deny 0.20.2\n"));
        assert!(!is_pinned("cargo-deny 0.20.20\n"));
        assert!(!is_pinned(""));
    }
}
