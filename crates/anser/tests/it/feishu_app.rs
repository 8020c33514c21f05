//! An app of Feishu, end to end: the real binary sends with the app's token, the stand-in judges. What it took and counted
//! is the evidence.

use std::process::{Child, Command, Stdio};

use anser_sim::{Fault, FaultKind, Platform, Robot, Sim, SimOptions};
use serde_json::{Value, json};

use crate::harness::{Api, Server, ServerOptions, anser};

const CHAT: &str = "oc_e2e";

/// A server with the channel `feishu`, and the stand-in that it goes to.
struct Stage {
    _server: Server,
    api: Api,
    sim: Sim,
}

/// The app that every stand-in has.
fn app() -> Robot {
    Platform::Feishu.app(1).expect("there are apps")
}

fn settings(sim: &Sim, secret: &str) -> Value {
    json!({"app_id": app().token, "app_secret": secret, "receive_id": CHAT, "base_url": sim.base()})
}

fn secret() -> String {
    app().secret.expect("it has one")
}

impl Stage {
    async fn with_secret(secret: &str) -> Self {
        let server = ServerOptions::default().start();
        let api = server.api();
        let sim = Sim::start(SimOptions::new(Platform::Feishu)).await.unwrap();
        let channel = json!({"name": "feishu", "kind": "feishu-app", "settings": settings(&sim, secret),
            "rate": {"per_second": 4, "burst": 1}});
        api.make("/v1/channels", &channel).await;
        Self {
            _server: server,
            api,
            sim,
        }
    }

    async fn set() -> Self {
        Self::with_secret(&secret()).await
    }

    /// Sends a text, with this header beside its address; answers its id.
    async fn send(&self, text: &str, header: Value) -> String {
        let mut item = json!({"header": {"to": ["feishu"]}, "body": {"segments": [{"type": "text", "text": text}]}});
        if let (Some(into), Value::Object(header)) = (item["header"].as_object_mut(), header) {
            into.extend(header);
        }
        self.publish(&item).await
    }

    async fn publish(&self, item: &Value) -> String {
        let answer = self.api.make("/v1/messages", item).await;
        answer["id"].as_str().expect("an id").to_owned()
    }

    async fn delivered(&self, id: &str) -> Value {
        self.api.delivery_in(id, "delivered").await
    }

    fn fail(&self, kind: FaultKind) {
        self.sim.fail(Fault::next(1, kind)).unwrap();
    }

    fn refuse(&self, code: &str) {
        let code = code.to_owned();
        self.fail(FaultKind::Refuse { code });
    }
}

/// The attempts of a delivery.
fn attempts(delivery: &Value) -> &[Value] {
    delivery["attempt_log"]
        .as_array()
        .map_or(&[], Vec::as_slice)
}

#[tokio::test(flavor = "multi_thread")]
async fn text_posts_cards_and_native_content_with_one_token() {
    let stage = Stage::set().await;
    let mut ids = Vec::new();
    for body in [
        json!({"segments": [{"type": "text", "text": "hello"}]}),
        json!({"segments": [{"type": "markdown", "text": "# Title\n\n**bold** [link](https://a.example)"}]}),
        json!({"segments": [{"type": "card", "title": "Card", "sections": ["s"]}]}),
        json!({"segments": [{"type": "raw", "platform": "feishu-app", "payload":
            {"msg_type": "sticker", "content": {"file_key": "file_1"}}}]}),
        json!({"segments": [{"type": "text", "text": "t"}], "override": {"feishu-app":
            {"msg_type": "share_user", "content": {"user_id": "ou_1"}}}}),
    ] {
        let item = json!({"header": {"to": ["feishu"]}, "body": body});
        ids.push(stage.publish(&item).await);
    }
    for id in &ids {
        let delivery = stage.delivered(id).await;
        let ids = &attempts(&delivery)[0]["platform_ids"];
        let known = stage.sim.messages();
        assert!(
            known.iter().any(|message| json!([message.id]) == *ids),
            "{delivery:#}"
        );
    }
    let mut kinds: Vec<String> = stage.sim.messages().into_iter().map(|m| m.kind).collect();
    kinds.sort_unstable();
    assert_eq!(
        kinds,
        ["interactive", "post", "share_user", "sticker", "text"]
    );
    let counters = stage.sim.counters();
    assert_eq!(counters.requests, 6, "one for the token: {counters:?}");
    assert_eq!(
        (counters.rate_violations, counters.content_violations),
        (0, 0)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_secret_is_told_and_the_right_one_is_used_at_once() {
    let stage = Stage::with_secret("wrong").await;
    let id = stage.send("refused", json!({})).await;
    let dead = stage.api.delivery_in(&id, "dead").await;
    let error = attempts(&dead)[0]["error"].as_str().unwrap();
    assert!(
        error.contains("10014")
            && error.contains("app secret invalid")
            && error.contains("settings.app_secret"),
        "{error}"
    );
    assert!(stage.sim.messages().is_empty());
    let change = json!({"settings": settings(&stage.sim, &secret())});
    let (status, shown) = stage.api.patch("/v1/channels/feishu", &change).await;
    assert_eq!(status, 200, "{shown}");
    assert!(!shown.to_string().contains(&secret()), "{shown}");
    let id = stage.send("taken", json!({})).await;
    let delivery = stage.delivered(&id).await;
    assert!(!delivery.to_string().contains("t-sim"), "{delivery:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_are_checked_without_a_message() {
    let stage = Stage::with_secret("wrong").await;
    let (status, check) = stage.api.act("/v1/channels/feishu/check").await;
    assert_eq!((status, &check["ok"]), (200, &json!(false)), "{check}");
    assert_eq!(check["outcome"], "rejected", "{check}");
    let error = check["error"].as_str().unwrap();
    assert!(error.contains("app secret invalid"), "{error}");
    let change = json!({"settings": settings(&stage.sim, &secret())});
    stage.api.patch("/v1/channels/feishu", &change).await;
    let (status, check) = stage.api.act("/v1/channels/feishu/check").await;
    assert_eq!((status, &check["ok"]), (200, &json!(true)), "{check}");
    assert!(!check.to_string().contains("t-sim"), "{check}");
    assert!(stage.sim.messages().is_empty());
    let id = stage.send("with the token of the check", json!({})).await;
    stage.delivered(&id).await;
    assert_eq!(
        stage.sim.counters().requests,
        3,
        "two for tokens, one for the message"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_token_is_renewed_within_the_attempt() {
    let stage = Stage::set().await;
    let id = stage.send("first", json!({})).await;
    stage.delivered(&id).await;
    stage.refuse("99991663");
    let id = stage.send("second", json!({})).await;
    let delivery = stage.delivered(&id).await;
    assert_eq!(attempts(&delivery).len(), 1, "{delivery:#}");
    let counters = stage.sim.counters();
    // The first: token, message. The second: refused, token, message.
    assert_eq!((counters.requests, counters.accepted), (5, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_whose_answer_was_lost_appears_once() {
    let stage = Stage::set().await;
    let id = stage.send("first", json!({})).await;
    stage.delivered(&id).await;
    stage.fail(FaultKind::DropAfterAccept);
    let id = stage.send("second", json!({})).await;
    let delivery = stage.delivered(&id).await;
    let outcomes: Vec<_> = attempts(&delivery)
        .iter()
        .map(|attempt| &attempt["outcome"])
        .collect();
    assert_eq!(outcomes, ["unknown", "delivered"], "{delivery:#}");
    assert_eq!(stage.sim.messages().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn replies_and_what_becomes_of_them_when_their_message_is_gone() {
    let stage = Stage::set().await;
    let id = stage.send("question", json!({})).await;
    stage.delivered(&id).await;
    let question = stage.sim.messages()[0].id.clone().unwrap();
    let id = stage
        .send(
            "answer",
            json!({"reply_to": question, "conversation": {"id": format!("feishu/{CHAT}"), "thread": "omt_1"}}),
        )
        .await;
    stage.delivered(&id).await;
    let answer = stage.sim.messages().remove(1);
    assert_eq!(answer.conversation, CHAT);
    assert_eq!(
        (
            &answer.body["reply_in_thread"],
            answer.body.get("receive_id")
        ),
        (&json!(true), None)
    );
    stage.refuse("230011");
    let id = stage.send("too late", json!({"reply_to": question})).await;
    let delivery = stage.delivered(&id).await;
    let last = attempts(&delivery).last().unwrap();
    assert_eq!(last["degraded"], json!(["reply->message"]), "{delivery:#}");
    assert_eq!(stage.sim.messages().remove(2).body["receive_id"], CHAT);
}

/// The stand-in as a program of its own, which ends with the test.
struct Running {
    child: Child,
    told: Value,
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn sim() -> Running {
    use std::io::{BufRead as _, BufReader};
    let mut child = Command::new(env!("CARGO_BIN_EXE_anser"))
        .args(["sim", "feishu", "--output", "json"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let stdout = child.stdout.take().unwrap();
    BufReader::new(stdout).read_line(&mut line).unwrap();
    let told = serde_json::from_str(&line).unwrap();
    Running { child, told }
}

#[test]
fn two_messages_by_url_are_two_messages() {
    let running = sim();
    let text = |name: &str| running.told[name].as_str().unwrap();
    let to = format!(
        "feishu-app://{}/{CHAT}?app_secret={}&base_url={}",
        text("app_id"),
        text("app_secret"),
        text("base_url")
    );
    for _ in 0..2 {
        let shown = anser(&["send", "--to", &to, "same"]).ok();
        assert_eq!(shown, "feishu-app: delivered\n");
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let page = Api::new(text("page"), None);
    let (_, listed) = runtime.block_on(page.get("/_sim/messages"));
    assert_eq!(listed["messages"].as_array().unwrap().len(), 2, "{listed}");
}
