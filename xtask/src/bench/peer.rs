//! Node's `socket.io` server as a process of its own, beside which the live wires are measured: where Node.js and the
//! package that `cargo xtask ci` installs are there. Must not install anything itself.

use crate::bench::gateway;
use crate::cargo;
use anyhow::{Context, bail};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

const PROGRAM: &str = "xtask/src/bench/peer.mjs";
/// Where `cargo xtask ci` puts what comes from outside, a folder for each list of packages.
const EXTERNAL: &str = "target/external";
const PACKAGE: &str = "node_modules/socket.io/package.json";
const READY: &str = "listening on http://";

/// The server, running; it is killed when it is dropped.
#[derive(Debug)]
pub(crate) struct Peer {
    child: Child,
    address: SocketAddr,
}

/// The folder whose `node_modules` has it.
pub(crate) fn packages() -> Option<PathBuf> {
    let folders = std::fs::read_dir(cargo::root().join(EXTERNAL)).ok()?;
    let mut folders = folders.filter_map(|entry| Some(entry.ok()?.path()));
    folders.find(|folder| folder.join(PACKAGE).exists())
}

/// Which version of the package is there, and of Node.js.
pub(crate) fn version(packages: &Path) -> String {
    let text = std::fs::read(packages.join(PACKAGE)).unwrap_or_default();
    let package: serde_json::Value = serde_json::from_slice(&text).unwrap_or_default();
    let package = package["version"].as_str().unwrap_or("unknown");
    let node = cargo::read(Command::new("node").arg("--version")).unwrap_or_default();
    format!("socket.io {package} on Node.js {}", node.trim())
}

impl Peer {
    /// Starts it and waits until it listens.
    pub(crate) fn start(packages: &Path) -> anyhow::Result<Self> {
        let mut child = Command::new("node")
            .arg(cargo::root().join(PROGRAM))
            .arg(packages)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start node")?;
        let line = child.stdout.take().and_then(gateway::first_line);
        let address = line.and_then(|line| line.strip_prefix(READY)?.trim().parse().ok());
        let Some(address) = address else {
            // Nothing can be done about a process that cannot be killed.
            let _ = child.kill();
            let _ = child.wait();
            bail!("Node's socket.io server did not come up");
        };
        Ok(Self { child, address })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
