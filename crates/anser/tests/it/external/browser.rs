//! A real browser, Debian's Chromium, driven by npm `playwright-core`: a scenario is a script of `tests/external/browser`, which
//! opens pages and tells what it saw; the test serves it, does what it asks for in the middle, such as killing the server,
//! and judges what it tells. When a scenario fails, the test says why, with all consoles and where the screenshots are.

use std::io::{Read as _, Seek as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::script;
use super::sdk::folder;

/// Chromium's program: an absolute path.
const CHROMIUM: &str = "ANSER_EXTERNAL_CHROMIUM";

/// Runs a scenario: gives it `asked`, answers each thing that it asks for, and returns what it told at its end. The script has
/// time limits of its own for everything that it waits for.
pub(super) async fn scenario(
    name: &str,
    asked: &Value,
    mut answer: impl AsyncFnMut(&Value) -> Value,
) -> Value {
    let mut running = Running::start(name).await;
    running.say(asked).await;
    while let Some(mut line) = running.hear().await {
        if let Some(told) = line.get_mut("told") {
            let told = told.take();
            running.end().await;
            return told;
        }
        let answered = answer(&line["ask"]).await;
        running.say(&answered).await;
    }
    let said = running.end().await;
    panic!("{name} told nothing: {said}");
}

struct Running {
    name: String,
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    /// What it says beside.
    errors: std::fs::File,
}

impl Running {
    async fn start(name: &str) -> Self {
        let errors = tempfile::tempfile().unwrap();
        let mut child = Command::new("node")
            .arg(script("browser").join(format!("{name}.mjs")))
            .arg(folder("ANSER_EXTERNAL_NODE"))
            .arg(folder(CHROMIUM))
            .arg(screenshots().await)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(errors.try_clone().unwrap())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        Self {
            name: name.to_owned(),
            input: child.stdin.take().unwrap(),
            output: BufReader::new(child.stdout.take().unwrap()),
            child,
            errors,
        }
    }

    async fn say(&mut self, value: &Value) {
        // A script that has failed reads no more; what it told is what matters.
        drop(self.input.write_all(format!("{value}\n").as_bytes()).await);
    }

    async fn hear(&mut self) -> Option<Value> {
        let mut line = String::new();
        let read = self.output.read_line(&mut line).await.unwrap();
        (read > 0).then(|| {
            serde_json::from_str(&line)
                .unwrap_or_else(|error| panic!("{}: {error}: {line}", self.name))
        })
    }

    /// Waits for the end, which must be a success; answers what it said beside.
    async fn end(mut self) -> String {
        let status = self.child.wait().await.unwrap();
        self.errors.rewind().unwrap();
        let mut said = String::new();
        self.errors.read_to_string(&mut said).unwrap();
        assert!(status.success(), "{}: {said}", self.name);
        said
    }
}

/// Where screenshots of failed scenarios go.
async fn screenshots() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("browser");
    tokio::fs::create_dir_all(&folder).await.unwrap();
    folder
}
