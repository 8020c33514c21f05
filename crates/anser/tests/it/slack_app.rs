//! An app of Slack, end to end: the real binary calls the Web API with the bot's token, the stand-in judges. What it took and
//! counted is the evidence.

use std::sync::Arc;
use std::time::Duration;

use anser_core::Timestamp;
use anser_core::clock::{Clock, ManualClock};
use anser_core::resource::Rate;
use anser_sim::{Fault, FaultKind, Platform, Received, Sim, SimOptions};
use serde_json::{Value, json};

use crate::harness::{Api, Server, ServerOptions, anser, eventually};

/// What the stand-in's bot is in, the same where only administrators write, and a person with the id of the conversation.
const CHANNEL: &str = "C0000002001";
const CLOSED: &str = "C0000003001";
const PERSON: &str = "U0000001001";
const CONVERSATION: &str = "D0000001001";
/// A picture of one pixel, in base64.
const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==";

/// A server with the channel `slack`, and the stand-in that it goes to.
struct Stage {
    _server: Server,
    api: Api,
    sim: Sim,
}

fn token() -> String {
    Platform::Slack.app(1).expect("there are apps").token
}

fn settings(sim: &Sim, token: &str) -> Value {
    json!({"token": token, "channel": CHANNEL, "base_url": format!("{}/api", sim.base())})
}

impl Stage {
    /// With the platform's rates on both sides, or none on either: windows have tests of their own.
    async fn set(is_fast: bool) -> Self {
        let server = ServerOptions::default().start();
        let api = server.api();
        let mut options = SimOptions::new(Platform::Slack);
        let mut channel = json!({"name": "slack", "kind": "slack-app"});
        if is_fast {
            options.limits = Vec::new();
            let rate = json!({"per_second": 1000, "burst": 1000});
            channel["rate"] = rate.clone();
            channel["target_rate"] = rate;
        }
        let sim = Sim::start(options).await.unwrap();
        channel["settings"] = settings(&sim, &token());
        api.make("/v1/channels", &channel).await;
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

    fn fail(&self, kind: FaultKind, path: &str) {
        self.sim.fail(Fault::next(1, kind).on(path)).unwrap();
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

/// What a message is known by: its channel and time.
fn id(message: &Received) -> String {
    let ts = message.id.as_deref().expect("Slack tells an id");
    format!("{}:{ts}", message.conversation)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_form_is_slacks_own_and_what_a_text_says_is_no_markup() {
    let stage = Stage::set(true).await;
    for body in [
        json!({"segments": [{"type": "text", "text": "<!channel> *not bold* & <@U1>"},
            {"type": "mention", "kind": "user", "id": "U0ANN1234", "name": "Ann"}]}),
        json!({"segments": [{"type": "markdown", "text": "# Title\n\n**bold** [link](https://a.example)"}]}),
        json!({"segments": [{"type": "card", "title": "Order 42", "sections": ["Total 9.90"],
            "actions": [{"id": "open", "label": "Open", "kind": "url", "value": "https://shop.example/o/42"}]}]}),
        json!({"segments": [{"type": "raw", "platform": "slack-app", "payload": {"text": "raw", "unfurl_links": false}}]}),
    ] {
        let id_of = stage
            .publish("slack", json!({"header": {}, "body": body}))
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
    let [text, markdown, card, raw] = bodies.as_slice() else {
        panic!("{bodies:#?}")
    };
    let text = text.to_string();
    assert!(
        text.contains(r#"{"type":"user","user_id":"U0ANN1234"}"#),
        "{text}"
    );
    assert!(!text.contains(r#""type":"broadcast""#), "{text}");
    assert!(
        markdown.to_string().contains("https://a.example"),
        "{markdown}"
    );
    assert_eq!(card["blocks"][0]["type"], "header", "{card}");
    assert!(
        card.to_string().contains("https://shop.example/o/42"),
        "{card}"
    );
    assert_eq!(raw["unfurl_links"], false, "{raw}");
    let counters = stage.sim.counters();
    assert_eq!(
        (counters.requests, counters.accepted),
        (4, 4),
        "{counters:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_go_into_the_thread_below_their_message() {
    let stage = Stage::set(true).await;
    let delivery = stage
        .delivered(&stage.send("slack", "question").await)
        .await;
    let question = platform_ids(&delivery)[0].as_str().unwrap().to_owned();
    let ts = question.split_once(':').unwrap().1;
    let mut answer = said("answer");
    answer["header"]["reply_to"] = question.clone().into();
    stage.delivered(&stage.publish("slack", answer).await).await;
    stage
        .delivered(
            &stage
                .send(&format!("slack/{CHANNEL}/{ts}"), "by its address")
                .await,
        )
        .await;
    stage
        .delivered(&stage.send(&format!("slack/{PERSON}"), "in private").await)
        .await;
    let messages = stage.sim.messages();
    let places: Vec<(&str, Option<&str>)> = messages
        .iter()
        .map(|message| (&*message.conversation, message.body["thread_ts"].as_str()))
        .collect();
    assert_eq!(
        places,
        [
            (CHANNEL, None),
            (CHANNEL, Some(ts)),
            (CHANNEL, Some(ts)),
            (CONVERSATION, None)
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_and_files_are_uploaded_and_shown_in_their_place() {
    let stage = Stage::set(true).await;
    let item = json!({"header": {}, "body": {"segments": [{"type": "text", "text": "one"},
            {"type": "image", "att": "p", "alt": "A pixel"}, {"type": "text", "text": "two"}, {"type": "file", "att": "f"}]},
        "attachments": [{"id": "p", "name": "p.png", "media_type": "image/png", "source": {"inline": PNG}},
            {"id": "f", "name": "報告 \"1\".csv", "media_type": "text/csv", "source": {"inline": "YSxiCg=="}}]});
    let delivery = stage.delivered(&stage.publish("slack", item).await).await;
    let messages = stage.sim.messages();
    let kinds: Vec<&str> = messages.iter().map(|message| &*message.kind).collect();
    assert_eq!(kinds, ["text", "file", "text", "file"], "{delivery:#}");
    let uploads = stage.sim.uploads();
    let sizes: Vec<u64> = uploads.iter().map(|upload| upload.size).collect();
    assert_eq!(sizes, [70, 4], "{uploads:?}");
    assert_eq!(uploads[1].content().unwrap().as_ref(), b"a,b\n");
    for (message, upload) in [(&messages[1], &uploads[0]), (&messages[3], &uploads[1])] {
        assert_eq!(message.uploads, [upload.key.as_str()], "{message:?}");
        assert_eq!(message.conversation, CHANNEL);
    }
    let ids = platform_ids(&delivery);
    let wanted = json!([
        id(&messages[0]),
        uploads[0].key,
        id(&messages[2]),
        uploads[1].key
    ]);
    assert_eq!(*ids, wanted, "{delivery:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_edited_and_taken_back_with_its_file() {
    let stage = Stage::set(true).await;
    let item = json!({"header": {}, "body": {"segments": [{"type": "text", "text": "old"}, {"type": "image", "att": "p"},
            {"type": "text", "text": "tail"}]},
        "attachments": [{"id": "p", "name": "p.png", "media_type": "image/png", "source": {"inline": PNG}}]});
    let message = stage.publish("slack", item).await;
    stage.delivered(&message).await;
    assert_eq!(stage.sim.messages().len(), 3);
    let path = format!("/v1/messages/{message}");
    let edit = json!({"body": {"segments": [{"type": "card", "title": "new", "sections": ["s"]}]}});
    let (status, answer) = stage.api.patch(&path, &edit).await;
    assert_eq!(status, 200, "{answer}");
    let seen = stage.seen("one part is left", |seen| seen.len() == 1).await;
    assert_eq!(seen[0].edits.len(), 1, "{seen:?}");
    assert_eq!(
        seen[0].edits[0].body["blocks"][0]["type"], "header",
        "{seen:?}"
    );
    let (status, answer) = stage.api.act(&format!("{path}/recall")).await;
    assert_eq!(status, 200, "{answer}");
    stage.seen("nothing is left", <[Received]>::is_empty).await;
    let counters = stage.sim.counters();
    assert!(counters.refused.is_empty(), "{counters:?}");
}

/// A word in an answer of HTTP 200, and what it is for the delivery.
const REFUSALS: [(&str, &str); 7] = [
    ("invalid_auth", "rejected"),
    ("channel_not_found", "rejected"),
    ("not_in_channel", "rejected"),
    ("missing_scope", "rejected"),
    ("internal_error", "retry"),
    ("fatal_error", "retry"),
    ("ratelimited", "limited"),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_never_a_delivery() {
    let stage = Stage::set(true).await;
    for (word, outcome) in REFUSALS {
        let before = stage.sim.messages().len();
        let code = word.to_owned();
        stage.fail(FaultKind::Refuse { code }, "/api/");
        let id = stage.send("slack", word).await;
        if outcome == "rejected" {
            let delivery = stage.api.delivery_in(&id, "dead").await;
            assert_eq!(outcomes(&delivery), [outcome], "{delivery:#}");
            let error = attempts(&delivery)[0]["error"].as_str().unwrap();
            assert!(error.contains(word), "{error}");
            assert_eq!(stage.sim.messages().len(), before, "{word}");
            continue;
        }
        let delivery = stage.delivered(&id).await;
        assert_eq!(outcomes(&delivery), [outcome, "delivered"], "{delivery:#}");
        assert_eq!(
            attempts(&delivery)[1].get("possible_duplicate"),
            None,
            "it was refused"
        );
        assert_eq!(stage.sim.messages().len(), before + 1, "{word}");
    }
    for (to, word) in [
        (format!("slack/{CLOSED}"), "restricted_action"),
        ("slack/C0000009999".to_owned(), "channel_not_found"),
    ] {
        let delivery = stage
            .api
            .delivery_in(&stage.send(&to, "hi").await, "dead")
            .await;
        let error = attempts(&delivery)[0]["error"].as_str().unwrap();
        assert!(error.contains(word), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_an_unknown_outcome_and_the_next_attempt_is_marked() {
    let stage = Stage::set(true).await;
    stage.fail(FaultKind::DropAfterAccept, "/api/chat.postMessage");
    let id = stage.send("slack", "twice").await;
    let delivery = stage.delivered(&id).await;
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
    assert_eq!(
        stage.sim.messages().len(),
        2,
        "Slack knows no message again"
    );
    // The address and the bytes of a file can be sent again, and nobody sees it; a file is shown once.
    stage.sim.heal();
    let before = stage.sim.messages().len();
    for (path, marked) in [
        ("/api/files.getUploadURLExternal", false),
        ("/upload/v1/", false),
        ("/api/files.completeUploadExternal", true),
    ] {
        stage.fail(FaultKind::DropAfterAccept, path);
        let item = json!({"header": {}, "body": {"segments": [{"type": "file", "att": "f"}]},
            "attachments": [{"id": "f", "name": "r.csv", "source": {"inline": "YSxiCg=="}}]});
        let id = stage.publish("slack", item).await;
        let delivery = stage.delivered(&id).await;
        let last = attempts(&delivery).last().unwrap();
        assert_eq!(
            last["possible_duplicate"].is_string(),
            marked,
            "{path}: {delivery:#}"
        );
    }
    let shown = stage.sim.messages().split_off(before);
    let uploads: Vec<&String> = shown.iter().flat_map(|message| &message.uploads).collect();
    assert_eq!((shown.len(), uploads.len()), (3, 3), "{shown:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_by_url_needs_no_server() {
    let sim = Sim::start(SimOptions::new(Platform::Slack)).await.unwrap();
    for (target, place) in [(CHANNEL, CHANNEL), (PERSON, CONVERSATION)] {
        let to = format!(
            "slack-app://{}/{target}?base_url={}/api",
            token(),
            sim.base()
        );
        assert_eq!(
            anser(&["send", "--to", &to, "hi"]).ok(),
            "slack-app: delivered\n"
        );
        assert_eq!(sim.messages().pop().unwrap().conversation, place);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_are_checked_without_a_message() {
    let stage = Stage::set(true).await;
    let (status, check) = stage.api.act("/v1/channels/slack/check").await;
    assert_eq!((status, &check["ok"]), (200, &json!(true)), "{check}");
    let change = json!({"settings": settings(&stage.sim, "xoxb-1-2-wrong")});
    let (status, shown) = stage.api.patch("/v1/channels/slack", &change).await;
    assert_eq!(status, 200, "{shown}");
    assert!(!shown.to_string().contains("wrong"), "{shown}");
    let (_, check) = stage.api.act("/v1/channels/slack/check").await;
    assert_eq!(check["outcome"], "rejected", "{check}");
    assert!(
        check["error"].as_str().unwrap().contains("invalid_auth"),
        "{check}"
    );
    assert!(stage.sim.messages().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn many_messages_take_their_turns_in_the_platforms_windows() {
    let stage = Stage::set(false).await;
    let texts = ["first", "second", "third", "fourth", "fifth"];
    let mut last = String::new();
    for text in texts {
        last = stage.send("slack", text).await;
    }
    stage.delivered(&last).await;
    let came: Vec<String> = stage
        .sim
        .messages()
        .into_iter()
        .map(|message| message.text)
        .collect();
    assert_eq!(came, texts);
    let counters = stage.sim.counters();
    assert_eq!(
        (counters.requests, counters.rate_violations),
        (5, 0),
        "{counters:?}"
    );
}

/// The moments in this time at which a bucket of this rate lets something go, when more is always waiting.
fn departures(rate: &Rate, time: Duration) -> Vec<Duration> {
    let pause = Duration::from_secs_f64(1.0 / rate.per_second);
    let mut moments = vec![Duration::ZERO; rate.burst as usize];
    let mut at = pause;
    while at < time {
        moments.push(at);
        at += pause;
    }
    moments
}

#[tokio::test(flavor = "multi_thread")]
async fn both_of_the_channels_rates_are_within_the_platforms_windows() {
    let registry = anser_channels::registry();
    let mut manifests = registry.iter().map(|kind| kind.manifest());
    let manifest = manifests
        .find(|manifest| manifest.kind == "slack-app")
        .unwrap();
    let one = |_: usize| CHANNEL.to_owned();
    let many = |number: usize| format!("C{:010}", number % 50);
    let named: [(Rate, &dyn Fn(usize) -> String); 2] = [
        (manifest.target_rate.unwrap(), &one),
        (manifest.rate.unwrap(), &many),
    ];
    for (rate, channel) in named {
        let clock = Arc::new(ManualClock::at(Timestamp::from_millis(1_700_000_000_000)));
        let mut options = SimOptions::new(Platform::Slack);
        options.clock = Arc::clone(&clock) as Arc<dyn Clock>;
        let group = options.chats[1].clone();
        options.chats.extend((0..50).map(|id| anser_sim::Chat {
            id,
            ..group.clone()
        }));
        let sim = Sim::start(options).await.unwrap();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let url = format!("{}/api/chat.postMessage", sim.base());
        let mut before = Duration::ZERO;
        for (number, at) in departures(&rate, Duration::from_secs(130))
            .into_iter()
            .enumerate()
        {
            clock.advance(at - before);
            before = at;
            let body = json!({"channel": channel(number), "text": "hi"});
            let request = client.post(&url).bearer_auth(token()).json(&body);
            request.send().await.unwrap();
        }
        let counters = sim.counters();
        assert!(counters.accepted > 100, "{counters:?}");
        assert_eq!(counters.rate_violations, 0, "{rate:?}: {counters:?}");
    }
}
