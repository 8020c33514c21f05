//! Official clients of chat platforms, unchanged, against the stand-ins that `anser sim` runs: PyPI `lark-oapi` and
//! `python-telegram-bot`, npm `@larksuiteoapi/node-sdk`; those of Slack and Discord are beside it. What their users see is what
//! the stand-in's own books say.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use super::{python, script, shown};
use crate::harness::Api;

/// The chat that the clients write to.
const CHAT: &str = "oc_sdk";

/// What `cargo xtask ci` put in a folder of its own.
pub(super) fn folder(variable: &str) -> PathBuf {
    std::env::var_os(variable)
        .map(PathBuf::from)
        .unwrap_or_else(|| panic!("{variable} is not set: run `cargo xtask ci`"))
}

/// A running `anser sim`; killed when it is dropped.
pub(super) struct Running {
    child: Child,
    pub(super) told: Value,
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Running {
    pub(super) fn start(platform: &str) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_anser"))
            .args(["sim", platform, "--output", "json"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let stdout = child.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        let told = serde_json::from_str(&line).unwrap();
        Self { child, told }
    }

    /// What it has below `/_sim`.
    pub(super) async fn asked(&self, what: &str) -> Value {
        let page = Api::new(self.told["page"].as_str().unwrap(), None);
        let (status, answer) = page.get(&format!("/_sim/{what}")).await;
        assert_eq!(status, 200, "{answer}");
        answer
    }
}

/// Runs a client; answers what it told on its last line.
pub(super) fn run(command: &mut Command, input: &Value) -> Value {
    let mut child = command
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let text = input.to_string();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", shown(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    serde_json::from_str(text.lines().last().unwrap()).unwrap()
}

pub(super) fn in_python(name: &str, input: &Value) -> Value {
    let mut command = Command::new(python());
    command
        .arg(script(name))
        .env("PYTHONPATH", folder("ANSER_EXTERNAL_SDKS"));
    run(&mut command, input)
}

fn in_node(name: &str, input: &Value) -> Value {
    let mut command = Command::new("node");
    command.arg(script(name)).arg(folder("ANSER_EXTERNAL_NODE"));
    run(&mut command, input)
}

/// What the client was told of its app, with the chat that it shall write to.
fn app(sim: &Running) -> Value {
    let told = &sim.told;
    json!({"base_url": told["base_url"], "app_id": told["app_id"], "app_secret": told["app_secret"], "chat": CHAT})
}

/// What a client of Feishu was told is what the stand-in has written down.
async fn check_feishu(sim: &Running, told: &Value) {
    let messages = sim.asked("messages").await;
    let messages = messages["messages"].as_array().unwrap();
    let kinds = ["text", "image", "file", "interactive", "reply"];
    assert_eq!(messages.len(), kinds.len(), "{messages:#?}");
    for (message, kind) in messages.iter().zip(kinds) {
        assert_eq!(message["id"], told[kind], "{message:#}");
        assert_eq!(message["conversation"], CHAT);
    }
    let [text, image, file, card, reply] = &messages[..] else {
        panic!("{messages:#?}")
    };
    assert_eq!(
        (&text["text"], &reply["text"]),
        (&json!("hello"), &json!("answer"))
    );
    assert_eq!(text["edits"][0]["text"], "edited");
    assert_eq!(card["edits"][0]["text"], "second");
    assert_eq!(image["uploads"], json!([told["image_key"]]));
    assert_eq!(file["uploads"], json!([told["file_key"]]));
    assert!(file["recalled_at"].is_string(), "{file:#}");
    assert_eq!(told["recalled_again"], json!([false, 230_011]));
    assert_eq!(told["unknown_key"], json!([false, 230_001]));
    let uploads = sim.asked("uploads").await;
    assert_eq!(uploads["uploads"][1]["name"], "r.pdf", "{uploads:#}");
    let counters = sim.asked("counters").await;
    assert_eq!(counters["rate_violations"], 0, "{counters:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn lark_oapi_uploads_sends_answers_edits_and_recalls() {
    let sim = Running::start("feishu");
    let told = in_python("sdk_lark.py", &app(&sim));
    assert_eq!(told["wrong_secret"], 10_014);
    check_feishu(&sim, &told).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn larksuiteoapi_node_sdk_uploads_sends_answers_edits_and_recalls() {
    let sim = Running::start("feishu");
    let told = in_node("sdk_lark.mjs", &app(&sim));
    check_feishu(&sim, &told).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn python_telegram_bot_uploads_sends_edits_and_deletes() {
    let sim = Running::start("telegram");
    let asked = json!({"base_url": sim.told["base_url"], "token": sim.told["token"], "chats": sim.told["chats"]});
    let told = in_python("sdk_telegram.py", &asked);
    assert_eq!(told["username"], "anser_sim_bot");
    let messages = sim.asked("messages").await;
    let [text, photo, document] = &messages["messages"].as_array().unwrap()[..] else {
        panic!("{messages:#}")
    };
    let known = [(text, "text"), (photo, "photo"), (document, "document")];
    for (message, name) in known {
        assert_eq!(message["id"], told[name], "{message:#}");
    }
    assert_eq!(text["edits"][0]["text"], "edited");
    assert_eq!(photo["edits"][0]["text"], "another");
    assert!(document["recalled_at"].is_string(), "{document:#}");
    let keys = json!([photo["uploads"][0], document["uploads"][0]]);
    assert_eq!(keys, told["file_ids"]);
    let unchanged = told["unchanged"].as_str().unwrap();
    assert!(
        unchanged.starts_with("Message is not modified"),
        "{unchanged}"
    );
    assert_eq!(told["wrong_token"], "InvalidToken");
}
