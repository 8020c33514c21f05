//! RabbitMQ as Debian packages it, as a process of its own on a folder of its own: installed when that was asked for and
//! is possible, started on free ports, stopped and killed with everything it started.

use crate::bench::amqp::Channel;
use crate::bench::clock::Clock;
use crate::bench::process;
use crate::cargo;
use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Debian's wrapper beside it would change the user and forget the environment.
const PROGRAM: &str = "/usr/lib/rabbitmq/bin/rabbitmq-server";
const PACKAGE: &str = "rabbitmq-server";
const START_LIMIT: Duration = Duration::from_secs(60);
const STOP_LIMIT: Duration = Duration::from_secs(20);
const LOOK: Duration = Duration::from_millis(100);
const LOG_LINES_SHOWN: usize = 10;

/// Whether it is there, after an attempt to install it where that is allowed.
pub(crate) fn available(may_install: bool) -> anyhow::Result<bool> {
    if Path::new(PROGRAM).exists() {
        return Ok(true);
    }
    let root = cargo::read(Command::new("id").arg("-u")).is_ok_and(|text| text.trim() == "0");
    if !may_install || !root || cargo::read(Command::new("apt-get").arg("--version")).is_err() {
        return Ok(false);
    }
    for arguments in [
        &["update", "-q"][..],
        &["install", "-y", "-q", "--no-install-recommends", PACKAGE],
    ] {
        let mut command = Command::new("apt-get");
        // As if in single-user mode: the package's own service is not started.
        command
            .args(arguments)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .env("RUNLEVEL", "1");
        cargo::run(&mut command)?;
    }
    Ok(Path::new(PROGRAM).exists())
}

/// Which version is installed.
pub(crate) fn version() -> String {
    let mut query = Command::new("dpkg-query");
    query.args(["--show", "--showformat=${Version}", PACKAGE]);
    cargo::read(&mut query).unwrap_or_else(|_| "of an unknown version".to_owned())
}

/// A running broker.
#[derive(Debug)]
pub(crate) struct Rabbit {
    child: Child,
    address: SocketAddr,
    epmd_port: u16,
    pid_file: PathBuf,
    log: PathBuf,
}

impl Rabbit {
    /// Starts it on `folder` and waits until it takes connections.
    pub(crate) async fn start(folder: &Path) -> anyhow::Result<Self> {
        let [port, distribution, epmd] = free_ports()?;
        for (name, text) in [("plugins", "[]."), ("rabbitmq.conf", ""), ("env", "")] {
            std::fs::write(folder.join(name), text)
                .with_context(|| format!("cannot write RabbitMQ's {name}"))?;
        }
        let log = folder.join("rabbitmq.out");
        let output = std::fs::File::create(&log).context("cannot make RabbitMQ's log")?;
        let mut command = Command::new(PROGRAM);
        for (name, value) in [
            ("RABBITMQ_NODE_PORT", port),
            ("RABBITMQ_DIST_PORT", distribution),
            ("ERL_EPMD_PORT", epmd),
        ] {
            command.env(name, value.to_string());
        }
        for (name, file) in [
            ("HOME", ""),
            ("RABBITMQ_MNESIA_BASE", "data"),
            ("RABBITMQ_LOG_BASE", "log"),
            ("RABBITMQ_PID_FILE", "pid"),
            ("RABBITMQ_ENABLED_PLUGINS_FILE", "plugins"),
            ("RABBITMQ_CONFIG_FILE", "rabbitmq"),
            ("RABBITMQ_CONF_ENV_FILE", "env"),
        ] {
            command.env(name, folder.join(file));
        }
        command
            .env("RABBITMQ_NODENAME", format!("anser-bench-{port}@localhost"))
            .env("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1")
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            // It may be told to end while it still believes that a machine lives.
            .env("ERL_EPMD_RELAXED_COMMAND_CHECK", "1")
            .stdin(Stdio::null())
            .stdout(output.try_clone().context("cannot share RabbitMQ's log")?)
            .stderr(output);
        let child = command.spawn().context("cannot start RabbitMQ")?;
        let mut rabbit = Self {
            child,
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
            epmd_port: epmd,
            pid_file: folder.join("pid"),
            log,
        };
        rabbit.wait_until_up().await?;
        Ok(rabbit)
    }

    async fn wait_until_up(&mut self) -> anyhow::Result<()> {
        let clock = Clock::start();
        while clock.elapsed() < START_LIMIT {
            if self.child.try_wait()?.is_some() {
                break;
            }
            if Channel::open(self.address).await.is_ok() {
                return Ok(());
            }
            tokio::time::sleep(LOOK).await;
        }
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let last = lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..].join("\n");
        bail!("RabbitMQ did not come up: {last}");
    }

    /// Where it takes connections.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The process of its virtual machine, which does all the work.
    pub(crate) fn pid(&self) -> anyhow::Result<u32> {
        let text = std::fs::read_to_string(&self.pid_file).context("RabbitMQ wrote no pid")?;
        text.trim()
            .parse()
            .context("RabbitMQ's pid is not a number")
    }

    /// Resident memory in MiB.
    pub(crate) fn resident_mib(&self) -> anyhow::Result<f64> {
        Ok(process::resident(self.pid()?)? as f64 / 1024.0 / 1024.0)
    }

    /// Stops it in good order.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        kill_process(Pid::from_child(&self.child), Signal::TERM)
            .context("cannot signal RabbitMQ")?;
        let clock = Clock::start();
        while clock.elapsed() < STOP_LIMIT {
            if self.child.try_wait()?.is_some() {
                return Ok(());
            }
            tokio::time::sleep(LOOK).await;
        }
        bail!("RabbitMQ did not stop within {} s", STOP_LIMIT.as_secs());
    }
}

impl Drop for Rabbit {
    fn drop(&mut self) {
        // What has ended by itself needs nothing: the wrapper is still our child if it runs, and its own child with it.
        if matches!(self.child.try_wait(), Ok(None)) {
            let machine = self.pid().ok().and_then(|pid| i32::try_from(pid).ok());
            if let Some(machine) = machine.and_then(Pid::from_raw) {
                let _ = kill_process(machine, Signal::KILL);
            }
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        // The port mapper it started stays otherwise; on this port there is no other's.
        let _ = Command::new("epmd")
            .args(["-port", &self.epmd_port.to_string(), "-kill"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
    }
}

/// Three ports nobody listens on.
fn free_ports() -> anyhow::Result<[u16; 3]> {
    let mut held = Vec::new();
    let mut ports = [0; 3];
    for port in &mut ports {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port")?;
        *port = listener.local_addr()?.port();
        held.push(listener);
    }
    Ok(ports)
}
