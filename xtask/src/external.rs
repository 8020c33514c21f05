//! What the tests behind the feature `external` need from outside: a Python with the packages that judge our signatures,
//! CloudEvents and OpenAPI document, Tencent CMQ's SDKs, chat platforms' SDKs for Python and Node.js, Prometheus
//! Alertmanager, Chromium and curl.
//!
//! It prepares each folder once per requirements file and installs nothing into the machine, except Python, Node.js and
//! those programs where one is missing and we may.

use crate::cargo;
use anyhow::{Context, bail};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The feature that turns those tests on.
pub(crate) const FEATURE: &str = "external";
/// Tells the tests which Python to call: an absolute path.
const PYTHON_VARIABLE: &str = "ANSER_EXTERNAL_PYTHON";
const FOLDER: &str = "crates/anser/tests/external";
const REQUIREMENTS: &str = "requirements.txt";
/// Packages that hide each other when they are installed together: where each lies, by the variable that says so, and a
/// file that is there when they are.
const APART: [(&str, &str, &str); 4] = [
    ("ANSER_EXTERNAL_CMQ_QCLOUD", "cmq_qcloud.txt", CMQ),
    ("ANSER_EXTERNAL_CMQ_ABMN", "cmq_abmn.txt", CMQ),
    ("ANSER_EXTERNAL_SDKS", "sdks.txt", "lark_oapi/client.py"),
    ("ANSER_EXTERNAL_LIVE", "live.txt", "socketio/client.py"),
];
const CMQ: &str = "cmq/account.py";
/// Packages for Node.js: the variable, what pins them, what asks for them, and a file that is there when they are.
const NODE_VARIABLE: &str = "ANSER_EXTERNAL_NODE";
const NODE_LOCK: &str = "node/package-lock.json";
const NODE_PACKAGE: &str = "node/package.json";
const NODE_SDK: &str = "node_modules/@larksuiteoapi/node-sdk/package.json";
/// Programs that tests run, by their names in the path, and Debian's packages of each. Screenshots need a font.
const PROGRAMS: [(&str, &[&str]); 3] = [
    ("prometheus-alertmanager", &["prometheus-alertmanager"]),
    (CHROMIUM, &["chromium", "fonts-dejavu-core"]),
    ("curl", &["curl"]),
];
/// The browser, which its driver wants as an absolute path, and the variable that says it.
const CHROMIUM: &str = "chromium";
const CHROMIUM_VARIABLE: &str = "ANSER_EXTERNAL_CHROMIUM";
/// The variables as a shell reads them.
const EXPORTS: &str = "target/external/exports";
/// What must be there, or the folder is made again: a link to a Python that is gone is not.
const PYTHON: &str = "bin/python";
/// Written last, so that an interrupted installation is started again.
const STAMP: &str = "complete";
/// Tried in turn: the one in the path may be built without `venv` although the system's has it.
const PYTHONS: [&str; 2] = ["python3", "/usr/bin/python3"];

/// Makes sure the packages are there and returns the variables by which the tests find them.
pub(crate) fn prepare() -> anyhow::Result<Vec<(&'static str, PathBuf)>> {
    let environment = prepared(REQUIREMENTS, "venv", PYTHON, |folder, requirements| {
        create(folder)?;
        install(&folder.join(PYTHON), &[], requirements)
    })?;
    let python = environment.join(PYTHON);
    let mut variables = vec![(PYTHON_VARIABLE, python.clone())];
    for (variable, name, proof) in APART {
        let packages = prepared(name, "packages", proof, |folder, requirements| {
            let target = folder.to_string_lossy();
            install(&python, &["--target", &target], requirements)
        })?;
        variables.push((variable, packages));
    }
    let node = prepared(NODE_LOCK, "node", NODE_SDK, install_node)?;
    variables.push((NODE_VARIABLE, node));
    for (program, packages) in PROGRAMS {
        have(program, packages)?;
    }
    variables.push((CHROMIUM_VARIABLE, in_path(CHROMIUM)?));
    write_exports(&variables)?;
    Ok(variables)
}

/// For a shell, where one test is run by hand.
fn write_exports(variables: &[(&str, PathBuf)]) -> anyhow::Result<()> {
    let mut text = String::new();
    for (name, path) in variables {
        text.push_str(&format!("export {name}='{}'\n", path.display()));
    }
    std::fs::write(cargo::root().join(EXPORTS), text)
        .with_context(|| format!("cannot write {EXPORTS}"))
}

/// The folder of a requirements file, filled by `fill` unless it is complete and has the file `proof`.
fn prepared(
    name: &str,
    kind: &str,
    proof: &str,
    fill: impl FnOnce(&Path, &Path) -> anyhow::Result<()>,
) -> anyhow::Result<PathBuf> {
    let requirements = cargo::root().join(FOLDER).join(name);
    let text = std::fs::read(&requirements).with_context(|| format!("cannot read {name}"))?;
    let folder = cargo::root()
        .join("target/external")
        .join(folder_name(kind, &text));
    if folder.join(STAMP).exists() && folder.join(proof).exists() {
        println!("current: {}", folder.display());
        return Ok(folder);
    }
    if folder.exists() {
        std::fs::remove_dir_all(&folder)
            .with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    fill(&folder, &requirements)?;
    std::fs::write(folder.join(STAMP), b"")
        .with_context(|| format!("cannot write the stamp of {}", folder.display()))?;
    Ok(folder)
}

fn install(python: &Path, options: &[&str], requirements: &Path) -> anyhow::Result<()> {
    let pip = [
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-input",
        "--disable-pip-version-check",
    ];
    let mut command = Command::new(python);
    command.args(pip).args(options).arg("-r").arg(requirements);
    cargo::run(&mut command)
}

/// No package runs a script of its own: none of ours needs one.
fn install_node(folder: &Path, lock: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder)?;
    let package = cargo::root().join(FOLDER).join(NODE_PACKAGE);
    for (from, name) in [(lock, "package-lock.json"), (&package, "package.json")] {
        std::fs::copy(from, folder.join(name))
            .with_context(|| format!("cannot copy {}", from.display()))?;
    }
    if cargo::read(Command::new("npm").arg("--version")).is_err() && is_root() {
        install_system(&["nodejs", "npm"])?;
    }
    let mut command = Command::new("npm");
    command.args([
        "ci",
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
        "--loglevel=error",
    ]);
    cargo::run(command.current_dir(folder)).context(
        "the tests behind the feature `external` need Node.js with npm: install it (Debian: apt-get install nodejs npm), \
         or pass --skip-external",
    )
}

/// Tests start it themselves.
fn have(program: &str, packages: &[&str]) -> anyhow::Result<()> {
    let asked = || cargo::read(Command::new(program).arg("--version"));
    if asked().is_err() && is_root() {
        install_system(packages)?;
    }
    asked().map(drop).with_context(|| {
        format!(
            "the tests behind the feature `{FEATURE}` need {program}: install it (Debian: apt-get install {}), or pass \
             --skip-external",
            packages.join(" ")
        )
    })
}

/// Where a program is that is there.
fn in_path(program: &str) -> anyhow::Result<PathBuf> {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&folders)
        .map(|folder| folder.join(program))
        .find(|path| path.is_file())
        .with_context(|| format!("{program} is in no folder of PATH"))
}

/// Named after the content, so that another branch's requirements get a folder of their own.
fn folder_name(kind: &str, requirements: &[u8]) -> String {
    let digest = Sha256::digest(requirements);
    let mut name = format!("{kind}-");
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
    install_system(&["python3", "python3-venv"])?;
    create_with_any(folder)
}

/// Packages of the system, as the Debian release has them.
fn install_system(packages: &[&str]) -> anyhow::Result<()> {
    cargo::run(Command::new("apt-get").args(["update", "-q"]))?;
    let options = ["install", "-y", "-q", "--no-install-recommends"];
    cargo::run(
        Command::new("apt-get")
            .args(options)
            .args(packages)
            .env("DEBIAN_FRONTEND", "noninteractive"),
    )
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
        assert_eq!(folder_name("venv", b""), "venv-e3b0c44298fc");
        assert_ne!(
            folder_name("venv", b"a==1\n"),
            folder_name("venv", b"a==2\n")
        );
    }
}
