//! What people write, and how the platforms tell a bot of it: the check of the URL, what comes again and when, what is
//! lost, and the page.

use axum::routing::post;
use http::HeaderMap;
use std::collections::VecDeque;
use std::sync::Mutex;

use super::*;
use crate::{Callback, Said, Secrets};

/// What a bot was sent, and the statuses that it answers before its 200s.
#[derive(Default)]
struct Seen {
    posts: Mutex<Vec<(HeaderMap, Value)>>,
    statuses: Mutex<VecDeque<u16>>,
}

/// A bot that answers the challenge, and notes the rest.
struct Bot {
    url: String,
    seen: Arc<Seen>,
    _task: JoinSet<()>,
}

impl Bot {
    async fn answering(statuses: &[u16]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/in/bot", listener.local_addr().unwrap());
        let seen = Arc::new(Seen::default());
        seen.statuses.lock().unwrap().extend(statuses);
        let noted = Arc::clone(&seen);
        let take = move |headers: HeaderMap, body: String| {
            let value: Value = serde_json::from_str(&body).unwrap();
            let status = if value["challenge"].is_string() {
                200
            } else {
                noted.posts.lock().unwrap().push((headers, value));
                let next = noted.statuses.lock().unwrap().pop_front();
                next.unwrap_or(200)
            };
            async move { (http::StatusCode::from_u16(status).unwrap(), body) }
        };
        let router = Router::new().route("/in/bot", post(take));
        let mut task = JoinSet::new();
        task.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self {
            url,
            seen,
            _task: task,
        }
    }

    /// What came, once it is so much.
    async fn posts(&self, count: usize) -> Vec<(HeaderMap, Value)> {
        let mut looks = tokio::time::interval(Duration::from_millis(5));
        let wait = async {
            loop {
                looks.tick().await;
                let posts = self.seen.posts.lock().unwrap().clone();
                if posts.len() >= count {
                    return posts;
                }
            }
        };
        let found = tokio::time::timeout(Duration::from_secs(30), wait).await;
        found.expect("the events come")
    }
}

async fn talking(platform: Platform, bot: &Bot, secrets: Secrets) -> (Sim, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::at(Timestamp::from_millis(1_700_000_000_000)));
    let mut options = SimOptions::new(platform);
    options.clock = Arc::clone(&clock) as Arc<dyn Clock>;
    options.callback = Some(Callback::new(&bot.url, secrets).unwrap());
    (Sim::start(options).await.unwrap(), clock)
}

fn hello(platform: Platform) -> Said {
    Said {
        chat: platform.talks(&platform.chats())[0].clone(),
        name: "Tom".to_owned(),
        text: "hello".to_owned(),
        reply_to: None,
        file: None,
    }
}

#[tokio::test]
async fn what_is_not_taken_comes_again_after_the_platforms_delays_and_is_lost_at_last() {
    let bot = Bot::answering(&[500; 9]).await;
    let secrets = Secrets {
        key: None,
        token: Some("t".to_owned()),
    };
    let (sim, clock) = talking(Platform::Feishu, &bot, secrets).await;
    let id = sim.say(&hello(Platform::Feishu)).unwrap();
    for (number, seconds) in [15, 300, 3_600, 21_600].into_iter().enumerate() {
        bot.posts(number + 1).await;
        let mut looks = tokio::time::interval(Duration::from_millis(5));
        // It is put aside before the time goes on.
        while !sim.house.inside().outbox.waits() {
            looks.tick().await;
        }
        clock.advance(Duration::from_secs(seconds - 1));
        assert!(sim.house.due().is_none(), "not before its time");
        clock.advance(Duration::from_secs(1));
    }
    let posts = bot.posts(5).await;
    let mut looks = tokio::time::interval(Duration::from_millis(5));
    while sim.counters().events_lost == 0 {
        looks.tick().await;
    }
    assert_eq!(posts.len(), 5);
    for (_, event) in &posts {
        assert_eq!(event, &posts[0].1);
    }
    let event = &posts[0].1;
    assert_eq!(event["event"]["message"]["message_id"], json!(id));
    assert_eq!(event["header"]["token"], "t");
    assert_eq!((sim.counters().posts, sim.counters().events), (5, 0));
}

#[tokio::test]
async fn slack_says_why_it_comes_again_and_can_be_told_not_to() {
    let bot = Bot::answering(&[503]).await;
    let secrets = Platform::Slack.secrets();
    let (sim, clock) = talking(Platform::Slack, &bot, secrets).await;
    sim.say(&hello(Platform::Slack)).unwrap();
    bot.posts(1).await;
    let mut looks = tokio::time::interval(Duration::from_millis(5));
    while !sim.house.inside().outbox.waits() {
        looks.tick().await;
    }
    clock.advance(Duration::from_secs(1));
    let posts = bot.posts(2).await;
    let (first, second) = (&posts[0].0, &posts[1].0);
    assert!(first.get("x-slack-retry-num").is_none());
    assert_eq!(second["x-slack-retry-num"], "1");
    assert_eq!(second["x-slack-retry-reason"], "http_error");
    assert_ne!(
        first["x-slack-signature"], second["x-slack-signature"],
        "it is signed with its own time"
    );
}

#[tokio::test]
async fn people_write_by_the_form_and_not_from_another_site() {
    let sim = sim(Platform::Telegram).await;
    let (status, form) = get(&sim, "/_sim/say?chat=1001&reply_to=%22%3E%3Cscript%3E").await;
    assert_eq!(status, 200);
    assert!(form.contains("value=\"1001\""), "{form}");
    assert!(!form.contains("<script"), "{form}");
    let url = format!("{}/_sim/say", sim.base());
    let fields = [
        ("chat", "1001"),
        ("name", "Ann <b>"),
        ("text", "hi & hello"),
    ];
    let body = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(fields)
        .finish();
    let request = |site: &str| {
        client()
            .post(&url)
            .header("content-type", "application/x-www-form-urlencoded")
            .header("sec-fetch-site", site)
            .body(body.clone())
            .send()
    };
    assert_eq!(request("cross-site").await.unwrap().status(), 403);
    assert!(sim.messages().is_empty());
    let page = request("same-origin").await.unwrap().text().await.unwrap();
    assert!(page.contains("Ann &lt;b&gt; writes"), "{page}");
    assert!(
        page.contains("Events go to the bots that are connected"),
        "{page}"
    );
    let messages = sim.messages();
    assert_eq!(messages[0].from.as_deref(), Some("Ann <b>"));
    assert_eq!(messages[0].body["message"]["text"], "hi & hello");
    assert_eq!((sim.counters().said, sim.counters().accepted), (1, 0));
}

#[tokio::test]
async fn what_nobody_can_write_is_told() {
    for platform in Platform::ALL {
        let sim = sim(platform).await;
        let chats = platform.talks(&platform.chats());
        let said = Said {
            chat: chats.first().cloned().unwrap_or_default(),
            text: "hi".to_owned(),
            ..Said::default()
        };
        assert_eq!(
            sim.say(&said).is_ok(),
            !chats.is_empty(),
            "{}",
            platform.name()
        );
        let elsewhere = Said {
            chat: "nowhere".to_owned(),
            ..said.clone()
        };
        assert!(sim.say(&elsewhere).is_err());
        let reply = Said {
            reply_to: Some("99".to_owned()),
            ..said.clone()
        };
        assert!(sim.say(&reply).is_err());
        let silent = Said {
            text: String::new(),
            ..said
        };
        assert!(sim.say(&silent).is_err());
    }
    let (status, told) = {
        let sim = sim(Platform::Slack).await;
        let said = json!({"chat": "C0000003001", "text": "hi"});
        post_json(&sim, &said).await
    };
    assert_eq!(status, 400, "{told}");
    assert!(told.contains("closed"), "{told}");
}

async fn post_json(sim: &Sim, said: &Value) -> (u16, String) {
    super::post(sim, "/_sim/say", said).await.unwrap()
}

#[test]
fn a_callback_is_an_address_of_http() {
    for bad in [
        "",
        "bot",
        "https://bot.example/",
        "ftp://bot.example/",
        "/in/bot",
    ] {
        assert!(Callback::new(bad, Secrets::default()).is_err(), "{bad}");
    }
}

#[tokio::test]
async fn the_bot_is_mentioned_and_answered_in_the_platforms_own_form() {
    let heard = |sim: &Sim| sim.messages().pop().unwrap().body;
    let say = |sim: &Sim, platform: Platform, text: &str, reply_to: Option<String>| {
        let said = Said {
            text: text.to_owned(),
            reply_to,
            ..hello(platform)
        };
        sim.say(&said).unwrap()
    };
    let feishu = sim(Platform::Feishu).await;
    let root = say(&feishu, Platform::Feishu, "@Anser hi", None);
    let message = heard(&feishu)["event"]["message"].take();
    assert_eq!(
        message["content"],
        json!({"text": "@_user_1 hi"}).to_string()
    );
    let bot = &message["mentions"][0];
    assert_eq!(
        (&bot["key"], &bot["mentioned_type"]),
        (&json!("@_user_1"), &json!("bot"))
    );
    let second = say(&feishu, Platform::Feishu, "b", Some(root.clone()));
    say(&feishu, Platform::Feishu, "c", Some(second.clone()));
    let message = heard(&feishu)["event"]["message"].take();
    assert_eq!(
        (&message["root_id"], &message["parent_id"]),
        (&json!(root), &json!(second))
    );

    let slack = sim(Platform::Slack).await;
    let root = say(&slack, Platform::Slack, "@anser_sim a<b", None);
    assert_eq!(heard(&slack)["event"]["text"], "<@U0000000007> a&lt;b");
    let second = say(&slack, Platform::Slack, "b", Some(root.clone()));
    say(&slack, Platform::Slack, "c", Some(second));
    assert_eq!(heard(&slack)["event"]["thread_ts"], json!(root));

    let telegram = sim(Platform::Telegram).await;
    let root = say(&telegram, Platform::Telegram, "😀 @anser_sim_bot", None);
    let entity = heard(&telegram)["message"]["entities"][0].take();
    assert_eq!(
        entity,
        json!({"type": "mention", "offset": 3, "length": 14})
    );
    say(&telegram, Platform::Telegram, "b", Some(root.clone()));
    let answered = heard(&telegram)["message"]["reply_to_message"]["message_id"].to_string();
    assert_eq!(answered, root);
}
