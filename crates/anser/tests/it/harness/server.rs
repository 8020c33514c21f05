//! The real binary: started on a free port, stopped, killed, started again on the same data; and its other commands.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::mpsc;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::{Api, DEADLINE, eventually};

/// A command that ran to its end.
#[derive(Debug)]
pub(crate) struct Ran {
    /// Its exit code.
    pub(crate) code: i32,
    /// Its standard output.
    pub(crate) stdout: String,
    /// Its standard error.
    pub(crate) stderr: String,
}

impl Ran {
    /// Standard output of a command that must have succeeded.
    pub(crate) fn ok(self) -> String {
        assert_eq!(
            self.code, 0,
            "stdout: {}\nstderr: {}",
            self.stdout, self.stderr
        );
        self.stdout
    }

    /// Standard output as JSON, of a command that must have succeeded.
    pub(crate) fn json(self) -> serde_json::Value {
        let text = self.ok();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }
}

/// A command line, without anything of the caller's environment that would change what it does.
pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_anser"));
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if name.starts_with("ANSER_") || name.to_lowercase().ends_with("_proxy") {
            command.env_remove(&*name);
        }
    }
    command
        .args(arguments)
        .env("NO_COLOR", "1")
        .env("TZ", "UTC");
    command
}

/// Runs a command to its end.
pub(crate) fn anser(arguments: &[&str]) -> Ran {
    run(&mut command(arguments))
}

fn run(command: &mut Command) -> Ran {
    let output = command.stdin(Stdio::null()).output().unwrap();
    Ran {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// How a server is started.
#[derive(Clone)]
pub(crate) struct ServerOptions {
    folder: Arc<TempDir>,
    listen: Option<String>,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    key: Option<String>,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            folder: Arc::new(tempfile::tempdir().unwrap()),
            listen: Some("127.0.0.1:0".to_owned()),
            arguments: vec!["--dev".to_owned()],
            environment: Vec::new(),
            key: None,
        }
    }
}

impl ServerOptions {
    /// Listens where the settings say, instead of on a free port.
    pub(crate) fn without_listen(mut self) -> Self {
        self.listen = None;
        self
    }

    /// Listens there, where one that was killed did.
    pub(crate) fn listen_on(mut self, address: &str) -> Self {
        self.listen = Some(address.to_owned());
        self
    }

    /// Keys are asked for, and `key` is the first admin key, unless it is empty. Webhooks to loopback are allowed.
    pub(crate) fn with_key(mut self, key: &str) -> Self {
        self.arguments.retain(|argument| argument != "--dev");
        self.key = Some(key.to_owned());
        self.environment
            .push(("ANSER_ADMIN_KEY".to_owned(), key.to_owned()));
        self.set("guard__allow", "[\"127.0.0.0/8\"]")
    }

    /// A setting, by the name it has in the environment behind `ANSER_`, such as `shutdown__limit_seconds`.
    pub(crate) fn set(mut self, name: &str, value: &str) -> Self {
        let name = format!("ANSER_{}", name.to_uppercase());
        self.environment.push((name, value.to_owned()));
        self
    }

    /// The data folder.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The command that serves with these options.
    pub(crate) fn command(&self) -> Command {
        let mut command = command(&["serve", "--data"]);
        command.arg(self.data()).args(&self.arguments);
        if let Some(address) = &self.listen {
            command.args(["--listen", address]);
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs `serve` where it is expected to end by itself.
    pub(crate) fn run(&self) -> Ran {
        run(&mut self.command())
    }

    /// Starts a server and waits until it is ready.
    pub(crate) fn start(&self) -> Server {
        let log = self.folder.path().join("server.log");
        let errors = std::fs::File::options()
            .create(true)
            .append(true)
            .open(&log)
            .unwrap();
        let mut child = self
            .command()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(errors)
            .spawn()
            .unwrap();
        let lines = lines(child.stdout.take().unwrap());
        let mut server = Server {
            child,
            options: self.clone(),
            base: String::new(),
            log,
            lines,
        };
        let line = server.lines.recv_timeout(DEADLINE);
        let line = line.unwrap_or_else(|_| panic!("not ready: {}", server.log()));
        let base = line.strip_prefix("listening on ");
        server.base = base
            .unwrap_or_else(|| panic!("no address: {line}"))
            .to_owned();
        server
    }
}

/// Standard output line by line, read on a thread so that the process never waits for its reader.
fn lines(stdout: std::process::ChildStdout) -> mpsc::Receiver<String> {
    let (send, lines) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if send.send(line).is_err() {
                return;
            }
        }
    });
    lines
}

/// A running server; killed when it is dropped.
pub(crate) struct Server {
    child: Child,
    options: ServerOptions,
    base: String,
    log: PathBuf,
    lines: mpsc::Receiver<String>,
}

impl Server {
    /// A server in developer mode on fresh data.
    pub(crate) fn start() -> Self {
        ServerOptions::default().start()
    }

    /// Its address, such as `http://127.0.0.1:1234`.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// Its data folder.
    pub(crate) fn data(&self) -> PathBuf {
        self.options.data()
    }

    /// Its process.
    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Its API, with the admin key where there is one.
    pub(crate) fn api(&self) -> Api {
        Api::new(&self.base, self.options.key.as_deref())
    }

    /// What it has logged since it was first started on this data.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Lines on standard output beyond the first.
    pub(crate) fn further_lines(&self) -> Vec<String> {
        self.lines.try_iter().collect()
    }

    /// A client command for this server.
    pub(crate) fn client(&self, arguments: &[&str]) -> Command {
        let mut command = command(arguments);
        command.env("ANSER_SERVER", &self.base);
        if let Some(key) = &self.options.key {
            command.env("ANSER_KEY", key);
        }
        command
    }

    /// Runs a client command to its end.
    pub(crate) fn anser(&self, arguments: &[&str]) -> Ran {
        run(&mut self.client(arguments))
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// Waits until it has ended.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let child = std::cell::RefCell::new(&mut self.child);
        eventually("the server ends", || async {
            child.borrow_mut().try_wait().unwrap()
        })
        .await
    }

    /// SIGTERM, and waits for the end.
    pub(crate) async fn stop(mut self) -> (ExitStatus, ServerOptions) {
        self.signal(Signal::TERM);
        let status = self.ended().await;
        (status, self.options.clone())
    }

    /// SIGKILL, and waits for the end. The options start it again on the same data.
    pub(crate) async fn kill(mut self) -> ServerOptions {
        self.signal(Signal::KILL);
        self.ended().await;
        self.options.clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
        if std::thread::panicking() {
            eprintln!("log of the server:\n{}", tail(&self.log));
        }
    }
}

fn tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(100)..].join("\n")
}
