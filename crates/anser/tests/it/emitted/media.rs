//! Files that people send to a bot: fetched from the platform when they are wanted, kept, and the same bytes; and what
//! is said when they are not to be had.

use std::collections::HashSet;

use anser_sim::{Platform, Said, SaidFile, Sim, SimOptions};
use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;
use serde_json::{Value, json};

use super::Stage;
use crate::blobs_cli::memory_peak;
use crate::harness::{ServerOptions, eventually};

/// How a picture begins.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";

/// A picture of so many bytes, no two of whose pieces are alike.
fn picture(length: usize) -> Bytes {
    let numbers = (0_u32..).flat_map(u32::to_be_bytes);
    PNG.iter().copied().chain(numbers).take(length).collect()
}

fn hash(bytes: &[u8]) -> String {
    let hash = digest(&SHA256, bytes);
    hash.as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

impl Stage {
    /// Somebody sends a file; the message that comes in of it.
    async fn send(&self, file: SaidFile) -> Value {
        let api = self.server.api();
        let ids = |page: &Value| -> HashSet<String> {
            let items = page["items"].as_array().cloned().unwrap_or_default();
            let id = |item: &Value| item["message"]["header"]["id"].as_str().map(str::to_owned);
            items.iter().filter_map(id).collect()
        };
        let (_, before) = api.get("/v1/messages?topic=talk").await;
        let before = ids(&before);
        let said = Said {
            chat: self.chat.clone(),
            file: Some(file),
            ..Said::default()
        };
        self.sim.say(&said).unwrap();
        eventually("the message has come in", || async {
            let (_, page) = api.get("/v1/messages?topic=talk").await;
            let items = page["items"].as_array().cloned().unwrap_or_default();
            items
                .into_iter()
                .find(|item| {
                    let id = item["message"]["header"]["id"].as_str();
                    id.is_some_and(|id| !before.contains(id))
                })
                .map(|item| item["message"].clone())
        })
        .await
    }

    async fn send_picture(&self, bytes: &Bytes) -> Value {
        let file = SaidFile {
            name: "a picture.png".to_owned(),
            media_type: "image/png".to_owned(),
            bytes: bytes.clone(),
        };
        self.send(file).await
    }

    /// Asks for a file of a message.
    async fn fetch(&self, message: &Value, place: &str) -> (u16, Value) {
        let id = message["header"]["id"].as_str().unwrap();
        let path = format!("/v1/messages/{id}/media/{place}/fetch");
        self.server.api().act(&path).await
    }

    /// Asks for it in vain: the status, the code and the detail.
    async fn refused(&self, message: &Value, place: &str) -> (u16, String, String) {
        let (status, problem) = self.fetch(message, place).await;
        let text = |name: &str| problem[name].as_str().unwrap_or_default().to_owned();
        (status, text("code"), text("detail"))
    }
}

/// A picture is on its topic by its key, and its bytes are here once they were asked for.
async fn gives(platform: Platform) {
    let stage = Stage::set(platform, platform.secrets(), true).await;
    let api = stage.server.api();
    let bytes = picture(300_000);
    let message = stage.send_picture(&bytes).await;
    let key = &message["header"]["ext"]["x-media"][0];
    assert_eq!(key["kind"], "image", "{message:#}");

    let (status, fetched) = stage.fetch(&message, "0").await;
    assert_eq!(
        (status, &fetched["duplicate"]),
        (200, &json!(false)),
        "{fetched:#}"
    );
    let attachment = &fetched["attachment"];
    assert_eq!(attachment["sha256"], hash(&bytes));
    assert_eq!(attachment["size"], bytes.len());
    assert_eq!(attachment["source"]["blob"], hash(&bytes));
    let blob = api.request(reqwest::Method::GET, &format!("/v1/blobs/{}", hash(&bytes)));
    assert_eq!(blob.send().await.unwrap().bytes().await.unwrap(), bytes);

    let asked = stage.sim.counters().requests;
    let (_, again) = stage.fetch(&message, "0").await;
    assert_eq!(
        again,
        json!({"id": fetched["id"], "duplicate": true, "attachment": attachment})
    );
    assert_eq!(
        stage.sim.counters().requests,
        asked,
        "nothing is asked of the platform again"
    );

    let id = message["header"]["id"].as_str().unwrap();
    let (_, shown) = api.get(&format!("/v1/messages/{id}")).await;
    assert_eq!(shown["fetched"], json!([fetched["id"]]));
    let (_, kept) = api
        .get(&format!("/v1/messages/{}", fetched["id"].as_str().unwrap()))
        .await;
    let header = &kept["message"]["header"];
    assert_eq!(
        (&header["type"], &header["target_id"]),
        (&json!("message.fetched"), &json!(id))
    );

    // It can be sent on as it is.
    let chat = &message["header"]["conversation"]["id"];
    let on = json!({"header": {"to": [chat]}, "attachments": [attachment],
        "body": {"segments": [{"type": "image", "att": attachment["id"]}]}});
    api.make("/v1/messages", &on).await;
    let back = eventually("the picture is back on the platform", || async {
        stage
            .sim
            .uploads()
            .into_iter()
            .find(|upload| upload.number == 2)
    });
    assert_eq!(back.await.sha256, hash(&bytes));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_of_feishu_is_fetched_when_it_is_wanted() {
    gives(Platform::Feishu).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_of_slack_is_fetched_when_it_is_wanted() {
    gives(Platform::Slack).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_of_telegram_is_fetched_when_it_is_wanted() {
    gives(Platform::Telegram).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_of_whatsapp_is_fetched_when_it_is_wanted() {
    gives(Platform::WhatsApp).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_of_wecom_is_fetched_when_it_is_wanted() {
    gives(Platform::WeCom).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_puts_a_file_where_it_is_told() {
    let platform = Platform::Feishu;
    let stage = Stage::set(platform, platform.secrets(), false).await;
    let bytes = Bytes::from_static(b"{\"a\": \"file of JSON is a file\"}");
    let file = SaidFile {
        name: "a.json".to_owned(),
        media_type: "application/json".to_owned(),
        bytes: bytes.clone(),
    };
    let message = stage.send(file).await;
    let id = message["header"]["id"].as_str().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let shown = stage.server.anser(&["message", "fetch", id]).ok();
    assert!(
        shown.contains("a.json") && shown.contains("application/json"),
        "{shown}"
    );
    let written = stage
        .server
        .anser(&["message", "fetch", id, "--out", out.to_str().unwrap()]);
    assert!(written.ok().contains(&bytes.len().to_string()));
    assert_eq!(std::fs::read(out).unwrap(), bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_to_be_had_is_told_with_its_reason() {
    let platform = Platform::Telegram;
    let stage = Stage::set(platform, platform.secrets(), false).await;
    let large = stage.send_picture(&picture(21 << 20)).await;
    let (status, code, detail) = stage.refused(&large, "0").await;
    assert_eq!((status, code.as_str()), (409, "media_refused"));
    assert!(
        detail.contains("file is too big") && detail.contains("20 MB"),
        "{detail}"
    );

    let message = stage.send_picture(&picture(100)).await;
    for place in ["1", "-1", "x"] {
        let (status, code, _) = stage.refused(&message, place).await;
        assert_eq!((status, code.as_str()), (404, "media_not_found"), "{place}");
    }
    let text = stage.server.api();
    stage.say("hello", None);
    let hello = eventually("the text has come in", || async {
        let (_, page) = text.get("/v1/messages?topic=talk&limit=1").await;
        let message = page["items"][0]["message"].clone();
        (message["body"]["fallback"] == "hello").then_some(message)
    });
    let (status, code, _) = stage.refused(&hello.await, "0").await;
    assert_eq!((status, code.as_str()), (404, "media_not_found"));

    // Who publishes keys makes nobody ask a platform for them.
    let forged = json!({"header": {"ext": {"x-media": [{"kind": "image", "key": "k"}]}},
        "body": {"segments": [{"type": "text", "text": "forged"}]}});
    let forged = text.make("/v1/topics/talk/messages", &forged).await;
    let forged = json!({"header": {"id": forged["id"]}});
    let (status, code, _) = stage.refused(&forged, "0").await;
    assert_eq!((status, code.as_str()), (404, "media_not_found"));

    // The platform forgets.
    let address = stage.sim.address();
    let Stage {
        server,
        sim,
        bot,
        clock,
        chat,
    } = stage;
    drop(sim);
    let mut options = SimOptions::new(platform);
    options.listen = address;
    let sim = eventually("its port is free", || async {
        Sim::start(options.clone()).await.ok()
    });
    let sim = sim.await;
    let stage = Stage {
        server,
        sim,
        bot,
        clock,
        chat,
    };
    let (status, code, detail) = stage.refused(&message, "0").await;
    assert_eq!((status, code.as_str()), (404, "media_gone"), "{detail}");
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_that_are_not_good_are_told() {
    let platform = Platform::Slack;
    let stage = Stage::set(platform, platform.secrets(), false).await;
    let message = stage.send_picture(&picture(100)).await;
    let api = stage.server.api();
    let wrong = json!({"settings": {"token": "xoxb-wrong"}});
    let (status, answer) = api.patch("/v1/channels/bot", &wrong).await;
    assert_eq!(status, 200, "{answer}");
    let (status, code, detail) = stage.refused(&message, "0").await;
    assert_eq!((status, code.as_str()), (409, "media_refused"));
    assert!(detail.contains("files:read"), "{detail}");
    assert!(!detail.contains("xoxb-"), "{detail}");
    api.delete("/v1/topics/talk/subscriptions/handler").await;
    assert_eq!(api.delete("/v1/channels/bot").await.0, 204);
    let (status, code, _) = stage.refused(&message, "0").await;
    assert_eq!((status, code.as_str()), (409, "channel_gone"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_larger_than_blobs_may_be_is_refused_and_leaves_nothing() {
    let platform = Platform::Slack;
    let server = ServerOptions::default().set("limits__blob_bytes_max", "100000");
    let stage = Stage::set_on(&server, platform, platform.secrets(), false).await;
    let fits = picture(100_000);
    let message = stage.send_picture(&fits).await;
    assert_eq!(stage.fetch(&message, "0").await.0, 200);
    let large = picture(100_001);
    let message = stage.send_picture(&large).await;
    let (status, code, _) = stage.refused(&message, "0").await;
    assert_eq!((status, code.as_str()), (413, "too_large"));
    let (status, _) = stage
        .server
        .api()
        .get(&format!("/v1/blobs/{}", hash(&large)))
        .await;
    assert_eq!(status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_file_passes_with_little_memory() {
    let platform = Platform::Slack;
    let stage = Stage::set(platform, platform.secrets(), false).await;
    let bytes = picture(60 << 20);
    let message = stage.send_picture(&bytes).await;
    let before = memory_peak(&stage.server);
    let (status, fetched) = stage.fetch(&message, "0").await;
    assert_eq!(status, 200, "{fetched}");
    assert_eq!(fetched["attachment"]["sha256"], hash(&bytes));
    let more = memory_peak(&stage.server) - before;
    assert!(more < 30 * 1024, "it took {more} KiB");
}
