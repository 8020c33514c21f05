//! The gateway as a process of its own: started on a folder, asked what it costs, stopped, killed. It is killed when it
//! is dropped, so that no run leaves one behind.

use crate::bench::clock::Clock;
use crate::bench::process;
use anyhow::{Context, bail};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// A start with a million deliveries waiting has to be within this; the target is 5 s.
const START_LIMIT: Duration = Duration::from_secs(60);
/// The gateway's own limit is 20 s.
const STOP_LIMIT: Duration = Duration::from_secs(30);
const STOP_LOOK: Duration = Duration::from_millis(20);
const READY: &str = "listening on http://";
const LOG_LINES_SHOWN: usize = 10;

/// A running gateway.
#[derive(Debug)]
pub(crate) struct Gateway {
    child: Child,
    address: SocketAddr,
    start: Duration,
}

impl Gateway {
    /// Starts it in developer mode on `folder` and waits until it listens.
    pub(crate) fn start(binary: &Path, folder: &Path) -> anyhow::Result<Self> {
        Self::start_with(binary, folder, &[])
    }

    /// The same with settings of its own, by their names in the environment.
    pub(crate) fn start_with(
        binary: &Path,
        folder: &Path,
        settings: &[(&str, String)],
    ) -> anyhow::Result<Self> {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot make {}", folder.display()))?;
        let log = folder.join("gateway.log");
        let errors = std::fs::File::create(&log).context("cannot make the gateway's log")?;
        let mut command = Command::new(binary);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("ANSER_") {
                command.env_remove(name);
            }
        }
        command.args(["serve", "--dev", "--listen", "127.0.0.1:0", "--data"]);
        command.arg(folder.join("data"));
        command.envs(settings.iter().map(|(name, value)| (name, value)));
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(errors);
        let clock = Clock::start();
        let mut child = command
            .spawn()
            .with_context(|| format!("cannot start {}", binary.display()))?;
        let line = child.stdout.take().and_then(first_line);
        let start = clock.elapsed();
        let address = line.and_then(|line| line.strip_prefix(READY)?.trim().parse().ok());
        let Some(address) = address else {
            // Nothing can be done about a process that cannot be killed.
            let _ = child.kill();
            let _ = child.wait();
            bail!("the gateway did not come up: {}", last_lines(&log));
        };
        Ok(Self {
            child,
            address,
            start,
        })
    }

    /// Where its API is.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// From its creation to its line that it listens.
    pub(crate) fn start_time(&self) -> Duration {
        self.start
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Resident memory in MiB.
    pub(crate) fn resident_mib(&self) -> anyhow::Result<f64> {
        Ok(process::resident(self.pid())? as f64 / 1024.0 / 1024.0)
    }

    /// SIGTERM, and waits for the end; says how long that took.
    pub(crate) async fn stop(mut self) -> anyhow::Result<Duration> {
        let clock = Clock::start();
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)
            .context("cannot signal the gateway")?;
        while clock.elapsed() < STOP_LIMIT {
            if self.child.try_wait()?.is_some() {
                return Ok(clock.elapsed());
            }
            tokio::time::sleep(STOP_LOOK).await;
        }
        bail!("the gateway did not stop within {} s", STOP_LIMIT.as_secs());
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The first line, read on a thread of its own, which also keeps the pipe empty until the gateway ends.
pub(crate) fn first_line(stdout: ChildStdout) -> Option<String> {
    let (send, lines) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            // Nobody listens after the first.
            let _ = send.send(line);
        }
    });
    lines.recv_timeout(START_LIMIT).ok()
}

fn last_lines(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..].join("\n")
}

/// A folder of its own that is removed when it is dropped.
#[derive(Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// Makes it, empty.
    pub(crate) fn create(path: PathBuf) -> anyhow::Result<Self> {
        if path.exists() {
            std::fs::remove_dir_all(&path)
                .with_context(|| format!("cannot empty {}", path.display()))?;
        }
        std::fs::create_dir_all(&path)
            .with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Self(path))
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // The next run empties it otherwise.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
