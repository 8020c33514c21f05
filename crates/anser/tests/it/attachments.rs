//! Attachments, edits and recalls on chat platforms, end to end: the real binary uploads, changes and takes back, the
//! stand-in judges. What it took is the evidence.

use anser_sim::{Platform, Received, Sim, SimOptions};
use serde_json::{Value, json};

use crate::harness::{Api, Server, ServerOptions, eventually};

/// A picture of one pixel, in base64.
const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==";
/// Nothing listens there.
const NOWHERE: &str = "https://nowhere.invalid/report.pdf";

/// A server with a channel `chat`, and the stand-in that it goes to.
struct Stage {
    _server: Server,
    api: Api,
    sim: Sim,
}

impl Stage {
    /// A Feishu app, or a Telegram bot.
    async fn set(platform: Platform) -> Self {
        let server = ServerOptions::default().start();
        let api = server.api();
        let mut options = SimOptions::new(platform);
        options.limits = Vec::new();
        let sim = Sim::start(options).await.unwrap();
        let (kind, settings) = match platform {
            Platform::Telegram => {
                let token = sim.robots()[0].token.clone();
                let settings = json!({"token": token, "chat_id": "1001", "base_url": sim.base()});
                ("telegram-bot", settings)
            }
            _ => {
                let app = platform.app(1).expect("it has apps");
                let settings = json!({"app_id": app.token, "app_secret": app.secret, "receive_id": "oc_e2e",
                    "base_url": sim.base()});
                ("feishu-app", settings)
            }
        };
        let rate = json!({"per_second": 1000, "burst": 1000});
        let channel = json!({"name": "chat", "kind": kind, "settings": settings, "rate": rate});
        api.make("/v1/channels", &channel).await;
        Self {
            _server: server,
            api,
            sim,
        }
    }

    async fn send(&self, segments: Value, attachments: Value) -> String {
        let item = json!({"header": {"to": ["chat"]}, "body": {"segments": segments}, "attachments": attachments});
        let answer = self.api.make("/v1/messages", &item).await;
        answer["id"].as_str().expect("an id").to_owned()
    }

    /// The messages that can be seen, oldest first, once they are as wanted.
    async fn seen(&self, what: &str, wanted: impl Fn(&[Received]) -> bool) -> Vec<Received> {
        eventually(what, || async {
            let all = self.sim.messages().into_iter();
            let seen: Vec<_> = all
                .filter(|message| message.recalled_at.is_none())
                .collect();
            wanted(&seen).then_some(seen)
        })
        .await
    }
}

fn kinds(messages: &[Received]) -> Vec<&str> {
    messages
        .iter()
        .map(|message| message.kind.as_str())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_and_files_are_uploaded_and_shown_in_their_place() {
    for (platform, wanted) in [
        (Platform::Feishu, ["text", "image", "text", "file"]),
        (
            Platform::Telegram,
            ["sendMessage", "sendPhoto", "sendMessage", "sendDocument"],
        ),
    ] {
        let stage = Stage::set(platform).await;
        let segments = json!([{"type": "text", "text": "one"}, {"type": "image", "att": "p"},
            {"type": "text", "text": "two"}, {"type": "file", "att": "f"}]);
        let attachments = json!([{"id": "p", "name": "p.png", "media_type": "image/png", "source": {"inline": PNG}},
            {"id": "f", "name": "報告 \"1\".csv", "media_type": "text/csv", "source": {"inline": "YSxiCg=="}}]);
        let id = stage.send(segments, attachments).await;
        let delivery = stage.api.delivery_in(&id, "delivered").await;
        let messages = stage.sim.messages();
        assert_eq!(kinds(&messages), wanted, "{delivery:#}");
        let uploads = stage.sim.uploads();
        let sizes: Vec<u64> = uploads.iter().map(|upload| upload.size).collect();
        assert_eq!(sizes, [70, 4], "{uploads:?}");
        assert_eq!(uploads[1].content().unwrap().as_ref(), b"a,b\n");
        assert_eq!(uploads[1].name.as_deref(), Some("報告 _1_.csv"));
        for (message, upload) in [(&messages[1], &uploads[0]), (&messages[3], &uploads[1])] {
            assert_eq!(message.uploads, [upload.key.as_str()], "{message:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_fetched_goes_as_a_link_in_its_place() {
    for platform in [Platform::Feishu, Platform::Telegram] {
        let stage = Stage::set(platform).await;
        let segments = json!([{"type": "text", "text": "one"}, {"type": "file", "att": "f"},
            {"type": "card", "title": "two", "sections": ["s"]}]);
        // A type that Telegram does not fetch by itself.
        let attachments = json!([{"id": "f", "name": "r.csv", "media_type": "text/csv", "source": {"url": NOWHERE}}]);
        let id = stage.send(segments, attachments).await;
        let delivery = stage.api.delivery_in(&id, "delivered").await;
        let all: String = stage
            .sim
            .messages()
            .iter()
            .map(|message| message.body.to_string())
            .collect();
        let places = ["one", NOWHERE, "two"].map(|part| all.find(part));
        assert!(
            places.iter().all(Option::is_some) && places.is_sorted(),
            "{all}"
        );
        let attempts = delivery["attempt_log"].as_array().unwrap();
        let degraded = &attempts.last().unwrap()["degraded"];
        assert!(degraded.to_string().contains("file->link"), "{delivery:#}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_edited_and_taken_back() {
    for platform in [Platform::Feishu, Platform::Telegram] {
        let stage = Stage::set(platform).await;
        let segments = json!([{"type": "text", "text": "old"}, {"type": "image", "att": "p"}, {"type": "text", "text": "tail"}]);
        let attachments = json!([{"id": "p", "name": "p.png", "media_type": "image/png", "source": {"inline": PNG}}]);
        let id = stage.send(segments, attachments).await;
        stage.api.delivery_in(&id, "delivered").await;
        assert_eq!(stage.sim.messages().len(), 3);
        let path = format!("/v1/messages/{id}");
        let edit = json!({"body": {"segments": [{"type": "text", "text": "new"}]}});
        let (status, answer) = stage.api.patch(&path, &edit).await;
        assert_eq!(status, 200, "{answer}");
        let seen = stage.seen("one part is left", |seen| seen.len() == 1).await;
        let edits = &seen[0].edits;
        assert_eq!(edits.len(), 1, "{seen:?}");
        assert!(edits[0].body.to_string().contains("new"), "{edits:?}");
        let (status, answer) = stage.api.act(&format!("{path}/recall")).await;
        assert_eq!(status, 200, "{answer}");
        stage.seen("nothing is left", <[Received]>::is_empty).await;
    }
}

/// Bytes of no pattern that a compressor or a repeated block could hide.
fn noise(size: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend(state.to_le_bytes());
    }
    bytes.truncate(size);
    bytes
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_goes_from_its_upload_to_the_platform_unchanged() {
    use base64::Engine as _;
    use sha2::Digest as _;

    let stage = Stage::set(Platform::Telegram).await;
    let api = &stage.api;
    let bytes = noise(20 * 1024 * 1024 + 7);
    let hash = sha2::Sha256::digest(&bytes);
    let digest = |hash: &[u8]| {
        let text = base64::engine::general_purpose::STANDARD.encode(hash);
        format!("sha-256=:{text}:")
    };
    let upload = |digest: String| {
        let request = api.request(reqwest::Method::POST, "/v1/blobs");
        let request = request.header("content-digest", digest);
        api.try_send(request.body(bytes.clone()))
    };
    let (status, problem) = upload(digest(&[7; 32])).await.unwrap();
    assert_eq!(
        (status, &problem["code"]),
        (422, &json!("integrity")),
        "{problem}"
    );
    let unknown = json!({"header": {"to": ["chat"]}, "body": {"segments": [{"type": "file", "att": "f"}]},
        "attachments": [{"id": "f", "name": "a.bin", "source": {"blob": hex(&hash)}}]});
    let (status, problem) = api.post("/v1/messages", &unknown).await;
    assert_eq!(
        (status, &problem["code"]),
        (422, &json!("unknown_blob")),
        "{problem}"
    );

    let (status, blob) = upload(digest(&hash)).await.unwrap();
    assert_eq!(status, 201, "{blob}");
    assert_eq!(blob, json!({"hash": hex(&hash), "size": bytes.len()}));
    let id = stage
        .send(
            unknown["body"]["segments"].clone(),
            unknown["attachments"].clone(),
        )
        .await;
    api.delivery_in(&id, "delivered").await;
    let taken = stage.sim.uploads();
    assert_eq!(taken.len(), 1);
    assert_eq!(taken[0].sha256, hex(&hash));

    let path = format!("/v1/blobs/{}", hex(&hash));
    let request = api.request(reqwest::Method::GET, &path);
    let answer = request.header("range", "bytes=5-9").send().await.unwrap();
    assert_eq!(answer.status(), 206);
    let range = format!("bytes 5-9/{}", bytes.len());
    assert_eq!(answer.headers()["content-range"], range.as_str());
    assert_eq!(answer.bytes().await.unwrap(), &bytes[5..10]);
    let request = api.request(reqwest::Method::GET, &path);
    let answer = request.send().await.unwrap();
    assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
    assert!(answer.bytes().await.unwrap() == bytes, "the blob as it was");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_platform_cannot_take_is_sent_as_a_signed_link() {
    let server = ServerOptions::default()
        .set("public_url", "https://files.example/anser")
        .start();
    let api = server.api();
    let sim = Sim::start(SimOptions::new(Platform::Feishu)).await.unwrap();
    let app = Platform::Feishu.app(1).expect("it has apps");
    // More than Feishu takes.
    let bytes = noise(31 * 1024 * 1024);
    let request = api.request(reqwest::Method::POST, "/v1/blobs");
    let (status, blob) = api.try_send(request.body(bytes.clone())).await.unwrap();
    assert_eq!(status, 201, "{blob}");
    let settings = json!({"app_id": app.token, "app_secret": app.secret, "receive_id": "oc_e2e", "base_url": sim.base()});
    let channel = json!({"name": "chat", "kind": "feishu-app", "settings": settings});
    api.make("/v1/channels", &channel).await;
    let item = json!({"header": {"to": ["chat"]}, "body": {"segments": [{"type": "file", "att": "f"}]},
        "attachments": [{"id": "f", "name": "big report.bin", "source": {"blob": blob["hash"]}}]});
    let id = api.make("/v1/messages", &item).await["id"].clone();
    api.delivery_in(id.as_str().unwrap(), "delivered").await;
    assert!(sim.uploads().is_empty());
    let message = sim.messages()[0].body.to_string();
    let from = message
        .find("https://files.example/anser/b/")
        .expect(&message);
    let link: String = message[from..]
        .chars()
        .take_while(|c| !"\"\\ )".contains(*c))
        .collect();
    let path = link.strip_prefix("https://files.example/anser").unwrap();
    let answer = api
        .request(reqwest::Method::GET, path)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200, "{link}");
    let disposition = answer.headers()["content-disposition"].to_str().unwrap();
    assert!(disposition.contains("big"), "{disposition}");
    assert!(answer.bytes().await.unwrap() == bytes, "the blob as it was");
    let forged = path.replace("expires=1", "expires=2");
    let (status, problem) = api.get(&forged).await;
    assert_eq!(status, 403, "{problem}");
}
