//! A bot of Discord, end to end, and a webhook's files: the real binary writes, the stand-in judges. What it took and counted
//! is the evidence.

use std::time::Duration;

use anser_sim::{Fault, FaultKind, Platform, Received, Sim, SimOptions};
use serde_json::{Value, json};

use crate::harness::{Api, Server, ServerOptions, anser, eventually};

/// What the stand-in's bot may write to, where it may not, and a person.
const CHANNEL: &str = "1000000000000000001";
const CLOSED: &str = "1000000000000000002";
const PERSON: &str = "1000000000000001001";
/// A picture of one pixel, in base64.
const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==";

/// A server with the channels `bot` and `webhook`, and the stand-in that they go to.
struct Stage {
    _server: Server,
    api: Api,
    sim: Sim,
}

fn token() -> String {
    Platform::Discord.app(1).expect("there are bots").token
}

impl Stage {
    /// With the platform's rates on both sides, or none on either: windows have tests of their own.
    async fn set(is_fast: bool) -> Self {
        let server = ServerOptions::default().start();
        let api = server.api();
        let mut options = SimOptions::new(Platform::Discord);
        if is_fast {
            options.limits = Vec::new();
        }
        let sim = Sim::start(options).await.unwrap();
        let hook = format!("https://discord.com/api/webhooks/{}", sim.robots()[0].token);
        for (name, kind, settings) in [
            (
                "bot",
                "discord-bot",
                json!({"token": token(), "channel_id": CHANNEL, "base_url": sim.base()}),
            ),
            (
                "webhook",
                "discord-webhook",
                json!({"webhook_url": hook, "base_url": sim.base()}),
            ),
        ] {
            let mut channel = json!({"name": name, "kind": kind, "settings": settings});
            if is_fast {
                let rate = json!({"per_second": 1000, "burst": 1000});
                channel["rate"] = rate.clone();
                channel["target_rate"] = rate;
            }
            api.make("/v1/channels", &channel).await;
        }
        Self {
            _server: server,
            api,
            sim,
        }
    }

    async fn publish(&self, to: &str, item: Value) -> String {
        let mut item = item;
        item["header"]["to"] = json!([to]);
        let answer = self.api.make("/v1/messages", &item).await;
        answer["id"].as_str().expect("an id").to_owned()
    }

    async fn send(&self, to: &str, text: &str) -> String {
        self.publish(to, said(text)).await
    }

    async fn delivered(&self, id: &str) -> Value {
        self.api.delivery_in(id, "delivered").await
    }

    fn fail(&self, kind: FaultKind) {
        self.sim.fail(Fault::next(1, kind)).unwrap();
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

fn said(text: &str) -> Value {
    json!({"header": {}, "body": {"segments": [{"type": "text", "text": text}]}})
}

/// A text, with a picture and a file at hand.
fn with_files() -> Value {
    json!({"header": {}, "body": {"segments": [{"type": "text", "text": "see"}, {"type": "image", "att": "p", "alt": "A pixel"},
            {"type": "file", "att": "f"}]},
        "attachments": [{"id": "p", "name": "p.png", "media_type": "image/png", "source": {"inline": PNG}},
            {"id": "f", "name": "報告 1.csv", "media_type": "text/csv", "source": {"inline": "YSxiCg=="}}]})
}

fn attempts(delivery: &Value) -> &[Value] {
    delivery["attempt_log"]
        .as_array()
        .map_or(&[], Vec::as_slice)
}

fn outcomes(delivery: &Value) -> Vec<&str> {
    let outcomes = attempts(delivery).iter();
    outcomes
        .filter_map(|attempt| attempt["outcome"].as_str())
        .collect()
}

/// What a delivery is known by on the platform.
fn platform_ids(delivery: &Value) -> &Value {
    &attempts(delivery).last().expect("an attempt")["platform_ids"]
}

/// What a bot's message is known by: its channel and its id.
fn id(message: &Received) -> String {
    let id = message.id.as_deref().expect("Discord tells an id");
    format!("{}:{id}", message.conversation)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_form_is_discords_own_and_only_mentions_may_ping() {
    let stage = Stage::set(true).await;
    for body in [
        json!({"segments": [{"type": "text", "text": "@everyone *not bold* <@11>"},
            {"type": "mention", "kind": "user", "id": "12", "name": "Ann"}]}),
        json!({"segments": [{"type": "markdown", "text": "**bold** [link](https://a.example)"}]}),
        json!({"segments": [{"type": "card", "title": "Order 42", "sections": ["Total 9.90"],
            "actions": [{"id": "open", "label": "Open", "kind": "url", "value": "https://shop.example/o/42"}]}]}),
    ] {
        let id_of = stage
            .publish("bot", json!({"header": {}, "body": body}))
            .await;
        let delivery = stage.delivered(&id_of).await;
        let newest = stage.sim.messages().pop().unwrap();
        assert_eq!(
            platform_ids(&delivery),
            &json!([id(&newest)]),
            "{delivery:#}"
        );
    }
    let bodies: Vec<Value> = stage
        .sim
        .messages()
        .into_iter()
        .map(|message| message.body)
        .collect();
    let [text, markdown, card] = bodies.as_slice() else {
        panic!("{bodies:#?}")
    };
    assert_eq!(text["allowed_mentions"]["users"], json!(["12"]), "{text}");
    assert!(
        text["content"].as_str().unwrap().contains("<@12>"),
        "{text}"
    );
    assert!(
        !text["content"].as_str().unwrap().contains("<@11>"),
        "{text}"
    );
    for body in &bodies {
        assert!(
            !body["allowed_mentions"].to_string().contains("everyone"),
            "{body}"
        );
        assert_eq!(body["enforce_nonce"], true, "{body}");
    }
    assert_eq!(
        markdown["content"], "**bold** [link](https://a.example/)",
        "{markdown}"
    );
    assert_eq!(card["embeds"][0]["title"], "Order 42", "{card}");
    assert_eq!(
        card["components"][0]["components"][0]["url"], "https://shop.example/o/42",
        "{card}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_name_their_message_and_people_are_written_to_in_private() {
    let stage = Stage::set(true).await;
    let delivery = stage.delivered(&stage.send("bot", "question").await).await;
    let question = platform_ids(&delivery)[0].as_str().unwrap().to_owned();
    let mut answer = said("answer");
    answer["header"]["reply_to"] = question.clone().into();
    stage.delivered(&stage.publish("bot", answer).await).await;
    let mut gone = said("to what is gone");
    gone["header"]["reply_to"] = format!("{CHANNEL}:1234567890123456789").into();
    stage.delivered(&stage.publish("bot", gone).await).await;
    let delivery = stage
        .delivered(
            &stage
                .send(&format!("bot/user/{PERSON}"), "in private")
                .await,
        )
        .await;
    let messages = stage.sim.messages();
    let (_, message) = question.split_once(':').unwrap();
    assert_eq!(messages[1].body["message_reference"]["message_id"], message);
    assert_eq!(messages.len(), 4, "an answer to what is gone stands alone");
    assert_ne!(messages[3].conversation, CHANNEL);
    let ids = platform_ids(&delivery).as_array().unwrap();
    assert_eq!(
        ids.last().unwrap(),
        &json!(id(&messages[3])),
        "{delivery:#}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn files_ride_along_with_their_text() {
    let stage = Stage::set(true).await;
    for channel in ["bot", "webhook"] {
        let before = stage.sim.uploads().len();
        let delivery = stage
            .delivered(&stage.publish(channel, with_files()).await)
            .await;
        let message = stage.sim.messages().pop().unwrap();
        let uploads = stage.sim.uploads().split_off(before);
        let [picture, file] = uploads.as_slice() else {
            panic!("{uploads:#?}")
        };
        assert_eq!(
            (picture.size, file.content().unwrap().as_ref()),
            (70, &b"a,b\n"[..])
        );
        assert_eq!(file.name.as_deref(), Some("報告 1.csv"), "{channel}");
        assert_eq!(message.uploads, [&*picture.key, &*file.key], "{delivery:#}");
        assert!(message.body["content"].as_str().unwrap().contains("see"));
        assert_eq!(message.body["attachments"][0]["description"], "A pixel");
        assert_eq!(
            platform_ids(&delivery).as_array().unwrap().len(),
            1,
            "{delivery:#}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_are_edited_and_taken_back_with_their_files() {
    let stage = Stage::set(true).await;
    for channel in ["bot", "webhook"] {
        let message = stage.publish(channel, with_files()).await;
        stage.delivered(&message).await;
        let path = format!("/v1/messages/{message}");
        let edit = json!({"body": {"segments": [{"type": "text", "text": "new"}]}});
        let (status, answer) = stage.api.patch(&path, &edit).await;
        assert_eq!(status, 200, "{answer}");
        let edited = |seen: &[Received]| seen.len() == 1 && seen[0].edits.len() == 1;
        let seen = stage.seen("the message is edited", edited).await;
        let now = &seen[0].edits[0];
        assert_eq!(
            (&now.body["content"], now.uploads.len()),
            (&json!("new"), 0),
            "{now:?}"
        );
        let (status, answer) = stage.api.act(&format!("{path}/recall")).await;
        assert_eq!(status, 200, "{answer}");
        stage.seen("nothing is left", <[Received]>::is_empty).await;
    }
    let counters = stage.sim.counters();
    assert!(counters.refused.is_empty(), "{counters:?}");
}

/// A code, and what it is for a bot's delivery.
const REFUSALS: [(&str, &str); 6] = [
    ("401", "rejected"),
    ("10003", "rejected"),
    ("50001", "rejected"),
    ("50007", "rejected"),
    ("130000", "retry"),
    ("ratelimited", "limited"),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_never_a_delivery() {
    let stage = Stage::set(true).await;
    for (code, outcome) in REFUSALS {
        let before = stage.sim.messages().len();
        stage.fail(FaultKind::Refuse {
            code: code.to_owned(),
        });
        let id = stage.send("bot", code).await;
        if outcome == "rejected" {
            let delivery = stage.api.delivery_in(&id, "dead").await;
            assert_eq!(outcomes(&delivery), [outcome], "{delivery:#}");
            assert_eq!(stage.sim.messages().len(), before, "{code}");
            continue;
        }
        let delivery = stage.delivered(&id).await;
        assert_eq!(outcomes(&delivery), [outcome, "delivered"], "{delivery:#}");
        assert_eq!(stage.sim.messages().len(), before + 1, "{code}");
    }
    for (channel, code) in [(CLOSED, "50013"), ("1000000000000000009", "10003")] {
        let id = stage.send(&format!("bot/{channel}"), "hi").await;
        let delivery = stage.api.delivery_in(&id, "dead").await;
        let error = attempts(&delivery)[0]["error"].as_str().unwrap();
        assert!(error.contains(code), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_whose_answer_was_lost_appears_once() {
    let stage = Stage::set(true).await;
    for item in [said("once"), with_files()] {
        let before = stage.sim.messages().len();
        stage.fail(FaultKind::DropAfterAccept);
        let delivery = stage.delivered(&stage.publish("bot", item).await).await;
        assert_eq!(
            outcomes(&delivery),
            ["unknown", "delivered"],
            "{delivery:#}"
        );
        let messages = stage.sim.messages();
        assert_eq!(messages.len(), before + 1, "{delivery:#}");
        assert_eq!(platform_ids(&delivery), &json!([id(&messages[before])]));
    }
    // A webhook has no nonces: the second is marked.
    stage.fail(FaultKind::DropAfterAccept);
    let before = stage.sim.messages().len();
    let delivery = stage.delivered(&stage.send("webhook", "twice").await).await;
    assert_eq!(
        outcomes(&delivery),
        ["unknown", "delivered"],
        "{delivery:#}"
    );
    assert_eq!(
        attempts(&delivery)[1]["possible_duplicate"],
        "unknown",
        "{delivery:#}"
    );
    assert_eq!(stage.sim.messages().len(), before + 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_by_url_needs_no_server() {
    let sim = Sim::start(SimOptions::new(Platform::Discord))
        .await
        .unwrap();
    for target in [CHANNEL.to_owned(), format!("user/{PERSON}")] {
        let to = format!("discord-bot://{}/{target}?base_url={}", token(), sim.base());
        assert_eq!(
            anser(&["send", "--to", &to, "same"]).ok(),
            "discord-bot: delivered\n"
        );
    }
    let messages = sim.messages();
    assert_eq!(messages[0].conversation, CHANNEL);
    assert_eq!(messages.len(), 2, "{messages:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_are_checked_without_a_message() {
    let stage = Stage::set(true).await;
    for channel in ["bot", "webhook"] {
        let (status, check) = stage
            .api
            .act(&format!("/v1/channels/{channel}/check"))
            .await;
        assert_eq!((status, &check["ok"]), (200, &json!(true)), "{check}");
    }
    let settings =
        json!({"token": "wrong.token", "channel_id": CHANNEL, "base_url": stage.sim.base()});
    let (status, shown) = stage
        .api
        .patch("/v1/channels/bot", &json!({"settings": settings}))
        .await;
    assert_eq!(status, 200, "{shown}");
    let (_, check) = stage.api.act("/v1/channels/bot/check").await;
    assert_eq!(
        (&check["ok"], &check["outcome"]),
        (&json!(false), &json!("rejected")),
        "{check}"
    );
    assert!(stage.sim.messages().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn many_messages_take_their_turns_in_the_platforms_windows() {
    let stage = Stage::set(false).await;
    let texts = [
        "first", "second", "third", "fourth", "fifth", "sixth", "seventh",
    ];
    let mut last = String::new();
    for text in texts {
        last = stage.send("bot", text).await;
    }
    stage.delivered(&last).await;
    let messages = stage.sim.messages();
    let came: Vec<&str> = messages.iter().map(|message| &*message.text).collect();
    assert_eq!(came, texts);
    let took = messages[6].at.since(messages[0].at);
    assert!(took >= Duration::from_secs(5), "{took:?}");
    let counters = stage.sim.counters();
    assert_eq!(
        (counters.requests, counters.rate_violations),
        (7, 0),
        "{counters:?}"
    );
}
