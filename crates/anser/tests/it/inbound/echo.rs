//! The echo bot on other platforms: the same HTTP handler, each platform's own proof, event and way to answer.

use anser_core::clock::{Clock as _, SystemClock};
use anser_sim::{Platform, Received, Sim, SimOptions};
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use reqwest::Method;
use serde_json::{Value, json};

use super::{echo, hex};
use crate::harness::{Receiver, Server, ServerOptions, eventually};

/// What the platform posts: headers and body.
type Call = (Vec<(&'static str, String)>, Value);

/// A server with a channel `chat` to a stand-in, and the echo bot behind what comes in through it.
struct Stage {
    server: Server,
    sim: Sim,
    _bot: Receiver,
}

impl Stage {
    async fn set(platform: Platform, kind: &str, mut settings: Value) -> Self {
        let server = ServerOptions::default().start();
        let mut options = SimOptions::new(platform);
        options.limits = Vec::new();
        let sim = Sim::start(options).await.unwrap();
        let bot = Receiver::start().await;
        echo(&bot);
        let api = server.api();
        api.route("talk", "handler", &bot.url("/bot"), json!({}), json!({}))
            .await;
        settings["base_url"] = sim.base().into();
        let fast = json!({"per_second": 1000, "burst": 1000});
        let channel = json!({"name": "chat", "kind": kind, "settings": settings, "rate": fast, "target_rate": fast,
            "inbound": {"topic": "talk"}});
        api.make("/v1/channels", &channel).await;
        Self {
            server,
            sim,
            _bot: bot,
        }
    }

    /// What the stand-in has taken, once it is so much.
    async fn taken(&self, count: usize) -> Vec<Received> {
        let what = format!("{count} messages are on the platform");
        eventually(&what, || async {
            let messages = self.sim.messages();
            (messages.len() >= count).then_some(messages)
        })
        .await
    }

    async fn post(&self, (headers, body): Call) {
        let mut request = self.server.api().request(Method::POST, "/in/chat");
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let answer = request.body(body.to_string()).send().await.unwrap();
        let status = answer.status();
        let text = answer.text().await.unwrap();
        assert_eq!(status, 200, "{text}");
    }

    /// Somebody says hello, twice delivered; the one answer that the platform gets.
    async fn answered(&self, before: usize, call: Call) -> Received {
        self.post(call.clone()).await;
        let answer = self.taken(before + 1).await.remove(before);
        self.post(call).await;
        assert_eq!(answer.text, "you said hello");
        assert_eq!(self.sim.messages().len(), before + 1);
        answer
    }
}

fn signature(secret: &str, signed: &str) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    hmac::sign(&key, signed.as_bytes()).as_ref().to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn on_telegram_as_a_reply() {
    const CHAT: i64 = 1_001;
    let settings = json!({"token": Platform::Telegram.robot(1).token, "chat_id": CHAT.to_string(),
        "secret_token": "a_secret"});
    let stage = Stage::set(Platform::Telegram, "telegram-bot", settings).await;
    let update = json!({"update_id": 7, "message": {"message_id": 41, "date": 1_763_000_000, "text": "hello",
        "from": {"id": CHAT, "is_bot": false, "first_name": "Ann"},
        "chat": {"id": CHAT, "type": "private", "first_name": "Ann"}}});
    let secret = ("x-telegram-bot-api-secret-token", "a_secret".to_owned());
    let answer = stage.answered(0, (vec![secret], update)).await;
    assert_eq!(answer.conversation, CHAT.to_string());
    let body = answer.body["reply_parameters"].clone();
    let parameters = body.as_str().map_or(Ok(body.clone()), serde_json::from_str);
    assert_eq!(parameters.unwrap()["message_id"], 41, "{:#}", answer.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn on_whatsapp_as_a_reply_whose_way_is_reported() {
    const PERSON: &str = "15550001001";
    let number = Platform::WhatsApp.robot(1);
    let settings = json!({"phone_number_id": number.token, "access_token": number.secret, "app_secret": "s3cret",
        "verify_token": "vt"});
    let stage = Stage::set(Platform::WhatsApp, "whatsapp-cloud", settings).await;
    let signed = |value: Value| {
        let body = json!({"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": [
            {"field": "messages", "value": value}]}]});
        let signature = hex(&signature("s3cret", &body.to_string()));
        let header = ("x-hub-signature-256", format!("sha256={signature}"));
        (vec![header], body)
    };
    let metadata = json!({"display_phone_number": "15550001", "phone_number_id": number.token});
    let hello = json!({"messaging_product": "whatsapp", "metadata": metadata,
        "contacts": [{"profile": {"name": "Ann"}, "wa_id": PERSON}],
        "messages": [{"from": PERSON, "id": "wamid.HBgL001==", "timestamp": "1763000000", "type": "text",
            "text": {"body": "hello"}}]});
    let answer = stage.answered(0, signed(hello)).await;
    assert_eq!(answer.body["to"], PERSON);
    assert_eq!(answer.body["context"]["message_id"], "wamid.HBgL001==");

    let delivery = answer.body["biz_opaque_callback_data"]
        .as_str()
        .expect("our id goes along");
    for (number, status) in ["read", "delivered"].into_iter().enumerate() {
        let status = json!({"messaging_product": "whatsapp", "metadata": metadata,
            "statuses": [{"id": answer.id, "status": status, "timestamp": (1_763_000_010 + number).to_string(),
                "recipient_id": PERSON, "biz_opaque_callback_data": delivery}]});
        stage.post(signed(status)).await;
    }
    let (_, seen) = stage
        .server
        .api()
        .get(&format!("/v1/deliveries/{delivery}"))
        .await;
    assert_eq!(seen["reported"]["state"], "read", "{seen:#}");
    assert_eq!(seen["reported"]["at"], "2025-11-13T02:13:30.000Z");
    assert_eq!(seen["state"], "delivered");
    let (_, page) = stage.server.api().get("/v1/messages?type=chat.read").await;
    assert_eq!(
        page["items"].as_array().map(Vec::len),
        Some(1),
        "it is an event, too: {page:#}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn on_feishu_as_a_reply() {
    const CHAT: &str = "oc_e2e";
    let app = Platform::Feishu.app(1).expect("there are apps");
    let settings = json!({"app_id": app.token, "app_secret": app.secret, "receive_id": CHAT,
        "verification_token": "vt"});
    let stage = Stage::set(Platform::Feishu, "feishu-app", settings).await;
    // What the person answers is known to the stand-in.
    let root = json!({"header": {"to": ["chat"]}, "body": {"segments": [{"type": "text", "text": "root"}]}});
    stage.server.api().make("/v1/messages", &root).await;
    let root = stage.taken(1).await[0]
        .id
        .clone()
        .expect("Feishu tells an id");
    let event = json!({
        "schema": "2.0",
        "header": {"event_id": "ev_1", "token": "vt", "create_time": "1763000000123",
            "event_type": "im.message.receive_v1", "tenant_key": "tk", "app_id": app.token},
        "event": {
            "sender": {"sender_id": {"open_id": "ou_u1", "user_id": "u1"}, "sender_type": "user"},
            "message": {"message_id": root, "root_id": "", "parent_id": "", "create_time": "1763000000100",
                "chat_id": CHAT, "chat_type": "group", "message_type": "text", "content": "{\"text\":\"hello\"}"},
        },
    });
    let answer = stage.answered(1, (Vec::new(), event)).await;
    assert_eq!(answer.conversation, CHAT);
    assert_eq!(
        answer.body["receive_id"],
        Value::Null,
        "a reply names no chat: {:#}",
        answer.body
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn on_dingtalk_in_the_same_group() {
    const GROUP: &str = "cidE2eTest==";
    let app = Platform::DingTalk.app(1).expect("there are apps");
    let secret = app.secret.clone().expect("it has one");
    let settings = json!({"app_key": app.token, "app_secret": secret, "to": "user/ann"});
    let stage = Stage::set(Platform::DingTalk, "dingtalk-app", settings).await;
    let now = SystemClock::new().now().millis().to_string();
    let sign = BASE64.encode(signature(&secret, &format!("{now}\n{secret}")));
    let said = json!({
        "conversationId": GROUP, "conversationType": "2", "conversationTitle": "Team", "chatbotUserId": "$:LWCP_v1:$bot",
        "msgId": "msg1", "senderNick": "Ann", "senderStaffId": "ann", "senderId": "$:LWCP_v1:$ann", "isInAtList": true,
        "createAt": 1_763_000_000_000_i64, "robotCode": app.token, "msgtype": "text", "text": {"content": "hello"},
    });
    let headers = vec![("timestamp", now), ("sign", sign)];
    let answer = stage.answered(0, (headers, said)).await;
    assert_eq!(answer.conversation, GROUP);
}
