//! A stand-in of a chat platform as a process of its own: `anser sim`, without rate limits. Killed when it is dropped.

use crate::bench::connection::Connection;
use crate::bench::gateway::first_line;
use crate::bench::process;
use anyhow::{Context, bail};
use serde::Deserialize;
use serde_json::Value;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A running stand-in.
#[derive(Debug)]
pub(crate) struct StandIn {
    child: Child,
    told: Value,
    address: SocketAddr,
    connection: Connection,
}

/// What it has counted, as far as it matters here.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub(crate) struct Counted {
    /// Connections, ours among them.
    pub(crate) connections: u64,
    /// Requests to the platform's API.
    pub(crate) requests: u64,
    /// Messages taken.
    pub(crate) accepted: u64,
}

impl StandIn {
    /// Starts it.
    pub(crate) async fn start(binary: &Path, platform: &str) -> anyhow::Result<Self> {
        let mut child = Command::new(binary)
            .args(["sim", platform, "--unlimited", "--output", "json"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", binary.display()))?;
        let line = child.stdout.take().and_then(first_line);
        match Self::connect(line.as_deref()).await {
            Ok((told, address, connection)) => Ok(Self {
                child,
                told,
                address,
                connection,
            }),
            Err(error) => {
                // Nothing can be done about a process that cannot be killed.
                let _ = child.kill();
                let _ = child.wait();
                Err(error)
            }
        }
    }

    async fn connect(line: Option<&str>) -> anyhow::Result<(Value, SocketAddr, Connection)> {
        let line = line.context("the stand-in did not come up")?;
        let told: Value = serde_json::from_str(line).context("the stand-in told no JSON")?;
        let base = told["base_url"].as_str().unwrap_or_default();
        let address = base.strip_prefix("http://").unwrap_or_default();
        let address: SocketAddr = address.parse().context("the stand-in has no address")?;
        let connection = Connection::open(address).await?;
        Ok((told, address, connection))
    }

    /// What it told of itself under this name, such as an app's secret.
    pub(crate) fn told(&self, name: &str) -> anyhow::Result<&str> {
        let value = self.told[name].as_str();
        value.with_context(|| format!("the stand-in told no {name}"))
    }

    /// User and system time until now.
    pub(crate) fn cpu(&self) -> anyhow::Result<Duration> {
        process::cpu(self.child.id())
    }

    /// What it has counted until now.
    pub(crate) async fn counted(&mut self) -> anyhow::Result<Counted> {
        let request = format!(
            "GET /_sim/counters HTTP/1.1\r\nhost: {}\r\n\r\n",
            self.address
        );
        let answer = self.connection.exchange(request.as_bytes()).await?;
        if answer.status()? != 200 {
            bail!(
                "the stand-in does not tell what it counted: {}",
                answer.text()
            );
        }
        serde_json::from_slice(answer.body()).context("the stand-in's counters are no JSON")
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
