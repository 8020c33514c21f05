//! Apps and numbers that send with credentials of their own, end to end: the real binary sends, a stand-in without rate limits
//! judges. What it took and counted is the evidence. Must not look into either.

mod dingtalk_app;
mod wecom_app;
mod whatsapp;

use anser_sim::{Fault, FaultKind, Limit, Platform, Received, Sim, SimOptions};
use serde_json::{Value, json};

use crate::harness::{Api, Server, ServerOptions, eventually};

/// A picture of one pixel, in base64.
const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==";
/// Its bytes.
const PNG_BYTES: u64 = 70;

/// A server with a channel `chat`, and the stand-in that it goes to.
struct Stage {
    _server: Server,
    api: Api,
    sim: Sim,
}

impl Stage {
    /// With a channel of that kind and these settings, which get the stand-in's address.
    async fn set(platform: Platform, kind: &str, settings: Value) -> Self {
        Self::with_limits(platform, kind, settings, Vec::new()).await
    }

    async fn with_limits(
        platform: Platform,
        kind: &str,
        mut settings: Value,
        limits: Vec<Limit>,
    ) -> Self {
        let server = ServerOptions::default().start();
        let api = server.api();
        let mut options = SimOptions::new(platform);
        options.limits = limits;
        let sim = Sim::start(options).await.unwrap();
        settings["base_url"] = sim.base().into();
        let rate = json!({"per_second": 1000, "burst": 1000});
        let channel = json!({"name": "chat", "kind": kind, "settings": settings, "rate": rate, "target_rate": rate});
        api.make("/v1/channels", &channel).await;
        Self {
            _server: server,
            api,
            sim,
        }
    }

    /// Sends an item to that address; answers its id.
    async fn publish(&self, to: &str, mut item: Value) -> String {
        item["header"]["to"] = json!([to]);
        let answer = self.api.make("/v1/messages", &item).await;
        answer["id"].as_str().expect("an id").to_owned()
    }

    async fn send(&self, to: &str, text: &str) -> String {
        self.publish(to, said(&json!([{"type": "text", "text": text}])))
            .await
    }

    async fn delivered(&self, id: &str) -> Value {
        self.api.delivery_in(id, "delivered").await
    }

    /// The error of the last attempt of a delivery that ended without success.
    async fn dead(&self, id: &str) -> String {
        let dead = self.api.delivery_in(id, "dead").await;
        let last = attempts(&dead).last().cloned().unwrap_or_default();
        last["error"].as_str().unwrap_or_default().to_owned()
    }

    /// A delivery once it was tried that often.
    async fn tried(&self, id: &str, times: usize) -> Value {
        eventually("it was tried", || async {
            let found = self.api.deliveries(id).await.into_iter().next()?;
            let path = format!("/v1/deliveries/{}", found["id"].as_str()?);
            let delivery = self.api.get(&path).await.1;
            (attempts(&delivery).len() >= times).then_some(delivery)
        })
        .await
    }

    fn fail(&self, kind: FaultKind, path: &str) {
        self.sim.fail(Fault::next(1, kind).on(path)).unwrap();
    }

    fn refuse(&self, code: &str, path: &str) {
        let code = code.to_owned();
        self.fail(FaultKind::Refuse { code }, path);
    }

    /// The newest message that was taken.
    fn newest(&self) -> Received {
        self.sim.messages().pop().expect("one was taken")
    }

    fn kinds(&self) -> Vec<String> {
        let messages = self.sim.messages().into_iter();
        messages.map(|message| message.kind).collect()
    }

    async fn check(&self) -> Value {
        let (status, check) = self.api.act("/v1/channels/chat/check").await;
        assert_eq!(status, 200, "{check}");
        check
    }

    /// Recalls a message, and waits until that many of what was taken are gone.
    async fn recall(&self, id: &str, gone: usize) {
        let path = format!("/v1/messages/{id}/recall");
        let (status, answer) = self.api.act(&path).await;
        assert_eq!(status, 200, "{answer}");
        eventually("it is taken back", || async {
            let messages = self.sim.messages();
            let recalled = messages.iter().filter(|taken| taken.recalled_at.is_some());
            (recalled.count() == gone).then_some(())
        })
        .await;
    }
}

/// An item of these segments.
fn said(segments: &Value) -> Value {
    json!({"header": {}, "body": {"segments": segments}})
}

/// An item that shows the picture and a document, with text before each.
fn with_files() -> Value {
    let mut item = said(
        &json!([{"type": "text", "text": "one"}, {"type": "image", "att": "p"},
        {"type": "text", "text": "two"}, {"type": "file", "att": "f"}]),
    );
    item["attachments"] = json!([{"id": "p", "name": "p.png", "media_type": "image/png", "source": {"inline": PNG}},
        {"id": "f", "name": "r.pdf", "media_type": "application/pdf", "source": {"inline": "JVBERi0xLjQK"}}]);
    item
}

/// The attempts of a delivery.
fn attempts(delivery: &Value) -> &[Value] {
    delivery["attempt_log"]
        .as_array()
        .map_or(&[], Vec::as_slice)
}

fn outcomes(delivery: &Value) -> Vec<&str> {
    let attempts = attempts(delivery).iter();
    attempts
        .filter_map(|attempt| attempt["outcome"].as_str())
        .collect()
}
