//! Chats of Feishu, Slack and Telegram that are linked by a bridge, end to end: people write on the stand-ins, and what they
//! write, answer, edit and take back is in the other chats as well, once, also when the server is killed meanwhile.

mod guide;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anser_core::Timestamp;
use anser_core::clock::{Clock, SystemClock};
use anser_sim::{Amended, Callback, Platform, Received, Said, Sim, SimOptions};
use serde_json::{Value, json};

use crate::harness::{Server, ServerOptions, eventually};

/// The platforms, each with the name that people know it by; a channel is called as the platform is.
const PLATFORMS: [(Platform, &str); 3] = [
    (Platform::Feishu, "Feishu"),
    (Platform::Slack, "Slack"),
    (Platform::Telegram, "Telegram"),
];
const FEISHU: usize = 0;
const SLACK: usize = 1;
const TELEGRAM: usize = 2;

/// The machine's time of day, and a time for delays that jumps.
struct Jumping {
    real: SystemClock,
    ahead: AtomicU64,
}

impl Clock for Jumping {
    fn now(&self) -> Timestamp {
        self.real.now()
    }

    fn monotonic(&self) -> Duration {
        self.real.monotonic() + Duration::from_secs(self.ahead.load(Ordering::Relaxed))
    }
}

/// A platform that calls the server back.
struct Side {
    sim: Sim,
    chat: String,
    settings: Value,
}

impl Side {
    async fn start(platform: Platform, server: &Server, clock: Arc<Jumping>) -> Self {
        let secrets = platform.secrets();
        let app = platform.app(1).unwrap_or_else(|| platform.robot(1));
        let mut settings = match platform {
            Platform::Slack => json!({"token": app.token, "signing_secret": secrets.key}),
            Platform::Telegram => json!({"token": app.token, "secret_token": secrets.token}),
            _ => json!({"app_id": app.token, "app_secret": app.secret, "encrypt_key": secrets.key,
                "verification_token": secrets.token}),
        };
        let url = format!("{}/in/{}", server.base(), platform.name());
        let mut options = SimOptions::new(platform);
        options.limits = Vec::new();
        options.clock = clock;
        options.callback = Some(Callback::new(&url, secrets).unwrap().duplicated());
        let chat = platform.talks(&options.chats)[0].clone();
        let sim = Sim::start(options).await.unwrap();
        settings["base_url"] = match platform {
            Platform::Slack => format!("{}/api", sim.base()),
            _ => sim.base().to_owned(),
        }
        .into();
        Self {
            sim,
            chat,
            settings,
        }
    }

    fn say(&self, text: &str, reply_to: Option<&str>) -> String {
        let said = Said {
            chat: self.chat.clone(),
            name: "Ann".to_owned(),
            text: text.to_owned(),
            reply_to: reply_to.map(str::to_owned),
            ..Said::default()
        };
        self.sim.say(&said).unwrap()
    }

    fn amend(&self, id: &str, text: Option<&str>) {
        let amended = Amended {
            chat: self.chat.clone(),
            id: id.to_owned(),
            text: text.map(str::to_owned),
        };
        self.sim.amend(&amended).unwrap();
    }

    /// What the bot wrote.
    fn copies(&self) -> Vec<Received> {
        let mut copies = self.sim.messages();
        copies.retain(|message| message.from.is_none());
        for copy in &mut copies {
            copy.text = plain(&copy.text);
            for edit in &mut copy.edits {
                edit.text = plain(&edit.text);
            }
        }
        copies
    }

    /// The only message of the bot whose text ends so, once it is there.
    async fn copy(&self, text: &str) -> Received {
        let what = format!("there is a copy of {text}");
        let found = eventually(&what, || async {
            let mut copies = self.copies();
            copies.retain(|copy| copy.text.ends_with(text));
            (!copies.is_empty()).then_some(copies)
        });
        let mut found = found.await;
        assert_eq!(found.len(), 1, "{found:#?}");
        found.remove(0)
    }

    /// Waits until a copy says this instead.
    async fn changed(&self, id: Option<&String>, text: &str) {
        let what = format!("a copy says {text}");
        eventually(&what, || async {
            let mut copies = self.copies().into_iter();
            let copy = copies.find(|copy| copy.id.as_ref() == id)?;
            copy.edits.last()?.text.ends_with(text).then_some(())
        })
        .await;
    }

    async fn taken_back(&self, id: Option<&String>) {
        eventually("a copy is taken back", || async {
            let mut copies = self.copies().into_iter();
            let copy = copies.find(|copy| copy.id.as_ref() == id)?;
            copy.recalled_at.map(drop)
        })
        .await;
    }
}

/// A server between three platforms.
struct Stage {
    server: Server,
    sides: Vec<Side>,
    clock: Arc<Jumping>,
}

impl Stage {
    async fn set(platforms: &[(Platform, &str)]) -> Self {
        let server = ServerOptions::default().start();
        let clock = Arc::new(Jumping {
            real: SystemClock::new(),
            ahead: AtomicU64::new(0),
        });
        let api = server.api();
        api.make("/v1/topics", &json!({"name": "talk"})).await;
        let mut sides = Vec::new();
        for (platform, _) in platforms {
            let side = Side::start(*platform, &server, Arc::clone(&clock)).await;
            let kind = match platform {
                Platform::Slack => "slack-app",
                Platform::Telegram => "telegram-bot",
                _ => "feishu-app",
            };
            let fast = json!({"per_second": 1000, "burst": 1000});
            let channel = json!({"name": platform.name(), "kind": kind, "settings": side.settings, "rate": fast,
                "target_rate": fast, "inbound": {"topic": "talk"}});
            api.make("/v1/channels", &channel).await;
            sides.push(side);
        }
        let stage = Self {
            server,
            sides,
            clock,
        };
        stage.bridge("all").await;
        stage
    }

    fn addresses(&self) -> Vec<String> {
        let sides = self.sides.iter().zip(PLATFORMS);
        sides
            .map(|(side, (platform, _))| format!("{}/{}", platform.name(), side.chat))
            .collect()
    }

    async fn bridge(&self, name: &str) {
        let bridge = json!({"name": name, "bridge": {"chats": self.addresses()}});
        let path = "/v1/topics/talk/subscriptions";
        let made = self.server.api().make(path, &bridge).await;
        assert_eq!(made["bridge"]["chats"], json!(self.addresses()));
        assert_eq!(made["bridge"]["names"], "prefix");
    }

    /// Waits until a chat has one copy of each message, which says what was said last.
    async fn says_all(&self, side: &Side, said: &[(String, String)]) {
        let what = "everything is copied, and says what was said last";
        eventually(what, || async {
            self.clock.ahead.fetch_add(1, Ordering::Relaxed);
            let copies = side.copies().into_iter();
            let shown: Vec<String> = copies
                .map(|copy| match copy.edits.last() {
                    Some(edit) => edit.text.clone(),
                    None => copy.text,
                })
                .collect();
            let of = |text: &str| shown.iter().filter(|shown| shown.ends_with(text)).count();
            said.iter().all(|(_, text)| of(text) == 1).then_some(())
        })
        .await;
    }

    /// The deliveries of the bridge, once none is unfinished.
    async fn finished(&self) -> Vec<Value> {
        let path = "/v1/deliveries?subscription=talk/all&limit=500";
        eventually("every delivery has ended", || async {
            let (status, page) = self.server.api().get(path).await;
            assert_eq!(status, 200, "{page}");
            let rows = page["items"].as_array().unwrap().clone();
            let mut open = rows.iter().filter(|row| row["ended_at"].is_null());
            open.next().is_none().then_some(rows)
        })
        .await
    }
}

/// A text as people read it: the stand-ins part it where its look changes.
fn plain(text: &str) -> String {
    text.replace('\n', "")
}

/// What the message answers, as the platform is told.
fn answered(copy: &Received) -> Value {
    let parameters = copy.body["reply_parameters"].clone();
    let parameters = parameters
        .as_str()
        .map_or(Ok(parameters.clone()), serde_json::from_str);
    match (&copy.body["thread_ts"], parameters.unwrap()) {
        (Value::String(ts), _) => ts.as_str().into(),
        (_, Value::Object(members)) => members["message_id"].to_string().into(),
        _ => Value::Null,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_people_write_is_in_every_chat_with_their_names_and_answers_stand_where_they_belong() {
    let stage = Stage::set(&PLATFORMS).await;
    let [feishu, slack, telegram] = &stage.sides[..] else {
        panic!("there are three sides")
    };
    let first = feishu.say("from Feishu <&>", None);
    for side in [slack, telegram] {
        let copy = side.copy("from Feishu <&>").await;
        assert!(copy.text.starts_with("Ann (Feishu): "), "{}", copy.text);
        assert_eq!(answered(&copy), Value::Null);
    }
    // Somebody answers the copy on Slack, and somebody that answer's copy on Telegram.
    let below = slack.copy("from Feishu <&>").await.id.unwrap();
    slack.say("an answer", Some(&below));
    let on_feishu = feishu.copy("an answer").await;
    assert!(
        on_feishu.text.starts_with("Ann (Slack): "),
        "{}",
        on_feishu.text
    );
    let on_telegram = telegram.copy("an answer").await;
    let root = telegram.copy("from Feishu <&>").await.id;
    assert_eq!(answered(&on_telegram), json!(root));
    telegram.say("one more", on_telegram.id.as_deref());
    let more = slack.copy("one more").await;
    assert!(more.text.contains("Ann (Telegram): "), "{}", more.text);
    assert_eq!(
        answered(&more),
        json!(below),
        "below the first of the thread"
    );
    // The stand-in of Feishu takes replies at the message's own address, and tells them apart by that.
    let replies: Vec<Value> = feishu
        .copies()
        .iter()
        .map(|copy| copy.body["receive_id"].clone())
        .collect();
    assert_eq!(replies, [Value::Null, Value::Null]);
    assert_eq!(feishu.copies().len(), 2);
    assert_ne!(Some(first), on_feishu.id);
    let rows = stage.finished().await;
    assert_eq!(rows.len(), 6);
    for row in rows {
        assert_eq!(
            (&row["state"], &row["subscription"]),
            (&json!("delivered"), &json!("all"))
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn edits_and_recalls_go_where_the_message_went() {
    let stage = Stage::set(&PLATFORMS).await;
    let slack = &stage.sides[SLACK];
    let id = slack.say("a first try", None);
    let mut copies = Vec::new();
    for side in [FEISHU, TELEGRAM] {
        copies.push((side, stage.sides[side].copy("a first try").await.id));
    }
    slack.amend(&id, Some("a second try"));
    for (side, id) in &copies {
        stage.sides[*side]
            .changed(id.as_ref(), "Ann (Slack): a second try")
            .await;
    }
    slack.amend(&id, None);
    for (side, id) in &copies {
        stage.sides[*side].taken_back(id.as_ref()).await;
    }
    // Who edits on Telegram edits everywhere, and who takes back on Feishu too.
    let id = stage.sides[TELEGRAM].say("old", None);
    let copy = slack.copy("old").await.id;
    stage.sides[TELEGRAM].amend(&id, Some("new"));
    slack.changed(copy.as_ref(), "Ann (Telegram): new").await;
    let id = stage.sides[FEISHU].say("oops", None);
    let copy = slack.copy("oops").await.id;
    stage.sides[FEISHU].amend(&id, None);
    slack.taken_back(copy.as_ref()).await;
    stage.finished().await;
    for side in &stage.sides {
        let counters = side.sim.counters();
        assert_eq!(counters.content_violations, 0, "{counters:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_bridges_over_the_same_chats_write_once_and_never_to_and_fro() {
    let stage = Stage::set(&PLATFORMS).await;
    stage.bridge("again").await;
    for (number, side) in stage.sides.iter().enumerate() {
        side.say(&format!("number {number}"), None);
    }
    for (number, _) in stage.sides.iter().enumerate() {
        for (other, side) in stage.sides.iter().enumerate() {
            if other != number {
                side.copy(&format!("number {number}")).await;
            }
        }
    }
    stage.finished().await;
    for side in &stage.sides {
        assert_eq!(side.copies().len(), 2);
    }
}

/// What is killed between a copy and its record may be sent twice where a platform cannot tell a repeat; Feishu can.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_when_the_server_is_killed() {
    const ROUNDS: usize = 4;
    const MESSAGES: usize = 15;
    let stage = Stage::set(&PLATFORMS[..2]).await;
    let address = stage
        .server
        .base()
        .strip_prefix("http://")
        .unwrap()
        .to_owned();
    let Stage {
        mut server,
        sides,
        clock,
    } = stage;
    let mut said = Vec::new();
    for round in 0..ROUNDS {
        let before = sides[FEISHU].copies().len();
        for number in 0..MESSAGES {
            let text = format!("message {round}.{number}!");
            let id = sides[SLACK].say(
                &text,
                said.last().map(|(id, _): &(String, String)| id.as_str()),
            );
            said.push((id, text));
        }
        eventually("some are copied", || async {
            (sides[FEISHU].copies().len() > before + round).then_some(())
        })
        .await;
        let options = server.kill().await;
        for (id, text) in said.iter_mut().skip(round * MESSAGES).take(3) {
            *text = text.replace('!', "?");
            sides[SLACK].amend(id, Some(text));
        }
        server = options.listen_on(&address).start();
    }
    let stage = Stage {
        server,
        sides,
        clock,
    };
    let feishu = &stage.sides[FEISHU];
    stage.says_all(feishu, &said).await;
    let texts: Vec<String> = feishu.copies().into_iter().map(|copy| copy.text).collect();
    assert_eq!(texts.len(), said.len(), "{texts:#?}");
    stage.finished().await;
}

#[test]
fn a_bridge_is_made_by_the_command_line() {
    let server = Server::start();
    server.anser(&["topic", "create", "talk"]).ok();
    let chats = ["red", "blue"];
    for chat in chats {
        let arguments = [
            "channel",
            "create",
            chat,
            "--kind",
            "telegram-bot",
            "--set",
            "token=1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        ];
        server.anser(&arguments).ok();
    }
    let create = ["subscription", "create", "talk", "bridge"];
    let two = ["--bridge", "red/-1", "--bridge", "blue/-2"];
    server.anser(&[&create[..], &two[..]].concat()).ok();
    let listed = server.anser(&["subscription", "list"]).ok();
    assert!(listed.contains("red/-1, blue/-2"), "{listed}");
    let one = server.anser(&[&create[..], &["--bridge", "red/-1"][..]].concat());
    assert_ne!(one.code, 0);
    let wrong = [
        "subscription",
        "create",
        "talk",
        "b",
        "--bridge",
        "red/-1,green/-3",
    ];
    let ran = server.anser(&wrong);
    assert!(ran.stderr.contains("bridge.chats[1]"), "{}", ran.stderr);
}
