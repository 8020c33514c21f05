//! What the tests behind the feature `external` need from outside: a Python with the packages that judge our signatures,
//! CloudEvents and OpenAPI document.
//!
//! It prepares a virtual environment once per requirements file and installs nothing into the machine, except Python
//! itself where that is missing and we may.

use crate::cargo;
use anyhow::{Context, bail};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The feature that turns those tests on.
pub(crate) const FEATURE: &str = "external";
/// Tells the tests which Python to call: an absolute path.
pub(crate) const PYTHON_VARIABLE: &str = "ANSER_EXTERNAL_PYTHON";
const REQUIREMENTS: &str = "crates/anser/tests/external/requirements.txt";
/// Written last, so that an interrupted installation is started again.
const STAMP: &str = "complete";
/// Tried in turn: the one in the path may be built without `venv` although the system's has it.
const PYTHONS: [&str; 2] = ["python3", "/usr/bin/python3"];

/// Makes sure the packages are there and returns the Python that has them.
pub(crate) fn prepare() -> anyhow::Result<PathBuf> {
    let root = cargo::root();
    let requirements = root.join(REQUIREMENTS);
    let text =
        std::fs::read(&requirements).with_context(|| format!("cannot read {REQUIREMENTS}"))?;
    let folder = root.join("target/external").join(folder_name(&text));
    let python = folder.join("bin/python");
    if folder.join(STAMP).exists() && python.exists() {
        println!("current: {}", folder.display());
        return Ok(python);
    }
    if folder.exists() {
        std::fs::remove_dir_all(&folder)
            .with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    create(&folder)?;
    let mut install = Command::new(&python);
    install.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-input",
        "--disable-pip-version-check",
        "-r",
    ]);
    cargo::run(install.arg(&requirements))?;
    std::fs::write(folder.join(STAMP), b"")
        .context("cannot write the stamp of the virtual environment")?;
    Ok(python)
}

/// Named after the content, so that another branch's requirements get a folder of their own.
fn folder_name(requirements: &[u8]) -> String {
    let digest = Sha256::digest(requirements);
    let mut name = String::from("venv-");
    for byte in digest.iter().take(6) {
        name.push_str(&format!("{byte:02x}"));
    }
    name
}

fn create(folder: &Path) -> anyhow::Result<()> {
    let Err(first) = create_with_any(folder) else {
        return Ok(());
    };
    println!("{first:#}");
    if !is_root() {
        bail!(
            "the tests behind the feature `{FEATURE}` need Python 3 with its `venv` module: install it \
             (Debian: apt-get install python3 python3-venv), or pass --skip-external"
        );
    }
    cargo::run(Command::new("apt-get").args(["update", "-q"]))?;
    let packages = [
        "install",
        "-y",
        "-q",
        "--no-install-recommends",
        "python3",
        "python3-venv",
    ];
    cargo::run(
        Command::new("apt-get")
            .args(packages)
            .env("DEBIAN_FRONTEND", "noninteractive"),
    )?;
    create_with_any(folder)
}

fn create_with_any(folder: &Path) -> anyhow::Result<()> {
    let mut failures = Vec::new();
    for python in PYTHONS {
        match cargo::run(
            Command::new(python)
                .args(["-m", "venv", "--clear"])
                .arg(folder),
        ) {
            Ok(()) => return Ok(()),
            Err(error) => failures.push(format!("{error:#}")),
        }
    }
    bail!(
        "no Python here can make a virtual environment: {}",
        failures.join("; ")
    )
}

fn is_root() -> bool {
    cargo::read(Command::new("id").arg("-u")).is_ok_and(|text| text.trim() == "0")
}

#[cfg(test)]
mod tests {
    use super::folder_name;

    #[test]
    fn another_requirements_file_gets_another_folder() {
        assert_eq!(folder_name(b""), "venv-e3b0c44298fc");
        assert_ne!(folder_name(b"a==1\n"), folder_name(b"a==2\n"));
    }
}
