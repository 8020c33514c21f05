//! Forms, ways, settings, tokens and the table of codes; requests against those of the official client.

mod changes;
mod media;

use std::time::Duration;

use anser_core::channel::{HttpRequest, HttpResponse, Token};
use anser_core::id::{DeliveryId, Num};
use http::{HeaderMap, StatusCode};
use proptest::prelude::*;

use super::*;
use crate::kit::content::{Block, Look, text_runs};
use crate::kit::dialect::tests::hostile;
use crate::kit::testing::{
    check_codes, check_refused, check_refused_urls, context, judge, judge_with, message, of_url,
};

const LIMITED: Duration = Duration::from_secs(5);

fn settings() -> Value {
    json!({"app_id": "cli_x", "app_secret": "s", "receive_id": "oc_c1"})
}

fn channel() -> Arc<dyn Channel> {
    FeishuApp.open(&settings()).unwrap()
}

fn rendered(body: &Value, rung: u8) -> (Vec<Value>, Vec<String>) {
    crate::kit::testing::rendered(&*channel(), body, rung)
}

/// The request of the first step.
fn request(message: &Message, context: &Context<'_>) -> HttpRequest {
    let channel = channel();
    let plan = channel.render(message, context).unwrap();
    channel
        .request(&plan.steps[0], message, context)
        .unwrap()
        .into_http()
        .unwrap()
}

fn body(request: &HttpRequest) -> Value {
    serde_json::from_slice(&request.body).unwrap()
}

fn answer(status: u16, body: &str) -> Exchange {
    Ok(HttpResponse {
        status: StatusCode::from_u16(status).unwrap(),
        headers: HeaderMap::new(),
        body: body.to_owned().into(),
    })
}

/// As the official client for Python, 1.7.5, sends it.
#[test]
fn a_text_as_the_official_client_sends_it() {
    let token = Token::new("t-sim".to_owned(), LIMITED).unwrap();
    let context = Context {
        token: Some(&token),
        ..context(0)
    };
    let request = request(&message(&json!({"data": "hi"})), &context);
    assert_eq!(
        request.url.as_str(),
        "https://open.feishu.cn/open-apis/im/v1/messages?receive_id_type=chat_id"
    );
    assert_eq!(request.headers["authorization"], "Bearer t-sim");
    assert!(request.headers["authorization"].is_sensitive());
    assert_eq!(
        request.headers["content-type"],
        "application/json; charset=utf-8"
    );
    let mut sent = body(&request);
    let key = sent["uuid"].take();
    assert_eq!(key.as_str().map(str::len), Some(25));
    assert_eq!(
        sent,
        json!({"receive_id": "oc_c1", "msg_type": "text", "content": "{\"text\":\"hi\"}", "uuid": null})
    );
}

#[test]
fn a_token_as_the_official_client_asks_for_it() {
    let channel = channel();
    let issuer = channel.token_issuer().unwrap();
    let request = issuer.request();
    assert_eq!(
        request.url.as_str(),
        "https://open.feishu.cn/open-apis/auth/v3/tenant_access_token/internal"
    );
    assert_eq!(request.method, Method::POST);
    assert_eq!(
        body(&request),
        json!({"app_id": "cli_x", "app_secret": "s"})
    );
    let read = |status, body: &str| issuer.read(&answer(status, body), &context(0));
    let good = r#"{"code":0,"msg":"ok","tenant_access_token":"t-1","expire":7200}"#;
    let token = read(200, good).unwrap();
    assert_eq!(
        (token.value(), token.lifetime()),
        ("t-1", Duration::from_secs(7_200))
    );
    let refused = read(200, r#"{"code":10014,"msg":"app secret invalid"}"#).unwrap_err();
    let Outcome::Rejected { code, text } = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(code, "10014");
    assert!(text.contains("app secret invalid") && text.contains("settings.app_secret"));
    for (status, body) in [
        (503, ""),
        (200, r#"{"code":0,"msg":"ok"}"#),
        (200, r#"{"code":0,"tenant_access_token":"a b","expire":1}"#),
    ] {
        assert!(matches!(read(status, body), Err(Outcome::Retry { .. })));
    }
    let limited = read(400, r#"{"code":99991400,"msg":"slow down"}"#).unwrap_err();
    assert_eq!(limited, Outcome::Limited { wait: LIMITED });
}

#[test]
fn the_plainest_form_that_shows_all() {
    for (segment, msg_type) in [
        (json!({"type": "text", "text": "hi"}), "text"),
        (json!({"type": "mention", "kind": "all"}), "text"),
        (
            json!({"type": "link", "url": "https://a.example", "title": "t"}),
            "post",
        ),
        (json!({"type": "markdown", "text": "**b**"}), "post"),
        (json!({"type": "code", "text": "x"}), "post"),
        (json!({"type": "card", "title": "t"}), "interactive"),
    ] {
        let (bodies, _) = rendered(&json!({"segments": [segment]}), 0);
        assert_eq!(bodies[0]["msg_type"], msg_type, "{segment}");
    }
}

#[test]
fn a_post_has_styles_code_and_rules() {
    let markdown = "# H\n\na **b** *i* ~~s~~ `c`\n\n- x\n- y\n\n> q\n\n---\n\n```go\ncode\n```";
    let (bodies, _) = rendered(
        &json!({"segments": [{"type": "markdown", "text": markdown}, {"type": "mention", "kind": "user", "id": "ou_1"}]}),
        0,
    );
    let text = |text: &str, styles: &[&str]| {
        let mut node = json!({"tag": "text", "text": text});
        if !styles.is_empty() {
            node["style"] = json!(styles);
        }
        node
    };
    let blank = || text(" ", &[]);
    assert_eq!(
        bodies[0]["content"]["zh_cn"]["content"],
        json!([
            [text("H", &["bold"])],
            [
                text("a ", &[]),
                text("b", &["bold"]),
                blank(),
                text("i", &["italic"]),
                blank(),
                text("s", &["lineThrough"]),
                blank(),
                text("c", &[])
            ],
            [text("- ", &[]), text("x", &[])],
            [text("- ", &[]), text("y", &[])],
            [text("> ", &[]), text("q", &[])],
            [{"tag": "hr"}],
            [{"tag": "code_block", "language": "GO", "text": "code"}],
            [{"tag": "at", "user_id": "ou_1"}]
        ])
    );
}

#[test]
fn every_type_that_needs_no_upload_goes_by_override() {
    for (msg_type, content) in [
        ("text", json!({"text": "t"})),
        (
            "post",
            json!({"zh_cn": {"content": [[{"tag": "md", "text": "**b**"}]]}}),
        ),
        ("image", json!({"image_key": "img_1"})),
        ("file", json!({"file_key": "file_1"})),
        ("audio", json!({"file_key": "file_1"})),
        ("sticker", json!({"file_key": "file_1"})),
        ("media", json!({"file_key": "file_1", "image_key": "img_1"})),
        ("share_chat", json!({"chat_id": "oc_1"})),
        ("share_user", json!({"user_id": "ou_1"})),
        (
            "interactive",
            json!({"type": "template", "data": {"template_id": "AAq1", "template_variable": {}}}),
        ),
        (
            "system",
            json!({"type": "divider", "params": {"divider_text": {"text": "t"}}}),
        ),
    ] {
        let native = json!({"msg_type": msg_type, "content": content});
        let body_of = |content: Value| body(&request(&message(&content), &context(0)));
        for sent in [
            body_of(json!({"segments": [{"type": "raw", "platform": KIND, "payload": native}]})),
            body_of(
                json!({"segments": [{"type": "text", "text": "t"}], "override": {KIND: native}}),
            ),
        ] {
            assert_eq!(sent["msg_type"], msg_type);
            let text = sent["content"].as_str().expect("a string of JSON");
            assert_eq!(serde_json::from_str::<Value>(text).unwrap(), content);
            assert_eq!(sent["receive_id"], "oc_c1");
        }
    }
    // A content that is a string already stays as it is; whom it goes to is not the payload's matter.
    let native =
        json!({"msg_type": "text", "content": "{\"text\":\"t\"}", "receive_id": "oc_other"});
    let body = json!({"segments": [{"type": "raw", "platform": KIND, "payload": native}]});
    let sent = self::body(&request(&message(&body), &context(0)));
    assert_eq!(
        (&sent["content"], &sent["receive_id"]),
        (&native["content"], &json!("oc_c1"))
    );
}

#[test]
fn the_target_tells_its_kind() {
    for (target, id_type, id) in [
        ("oc_1", "chat_id", "oc_1"),
        ("chat/oc_1", "chat_id", "oc_1"),
        ("ou_1", "open_id", "ou_1"),
        ("user/ou_1", "open_id", "ou_1"),
        ("on_1", "union_id", "on_1"),
        ("tom@a.example", "email", "tom@a.example"),
        ("4d7a3c6g", "user_id", "4d7a3c6g"),
    ] {
        let context = Context {
            target: Some(target),
            ..context(0)
        };
        let request = request(&message(&json!({"data": "hi"})), &context);
        let query = format!("receive_id_type={id_type}");
        assert_eq!(request.url.query(), Some(query.as_str()));
        assert_eq!(body(&request)["receive_id"], id);
    }
    let hi = message(&json!({"data": "hi"}));
    for bad in ["oc_1/x", "a b", "chat/", "<at>"] {
        let context = Context {
            target: Some(bad),
            ..context(0)
        };
        let problem = channel().render(&hi, &context).unwrap_err();
        assert_eq!(problem.code, "invalid_target", "{bad}");
    }
    let nobody = json!({"app_id": "cli_x", "app_secret": "s"});
    let nobody = FeishuApp.open(&nobody).unwrap();
    let problem = nobody.render(&hi, &context(0)).unwrap_err();
    assert_eq!(problem.code, "missing_target");
}

/// A reply to `om_1`, with that header beside it.
fn reply(header: &Value) -> Message {
    let mut reply = message(&json!({"data": "hi"}));
    reply.header.reply_to = Some("om_1".to_owned());
    if let Some(conversation) = header.get("conversation") {
        reply.header.conversation = serde_json::from_value(conversation.clone()).unwrap();
    }
    if let Some(to) = header.get("to") {
        reply.header.to = serde_json::from_value(to.clone()).unwrap();
    }
    reply
}

#[test]
fn replies() {
    let path = |message: &Message, context: &Context<'_>| {
        let request = request(message, context);
        (request.url.path().to_owned(), body(&request))
    };
    let at = |target| Context {
        target: Some(target),
        ..context(0)
    };
    let plain = reply(&json!({}));
    let (sent_to, sent) = path(&plain, &context(0));
    assert_eq!(sent_to, "/open-apis/im/v1/messages/om_1/reply");
    assert_eq!(
        (&sent["reply_in_thread"], sent.get("receive_id")),
        (&json!(false), None)
    );
    let threaded = reply(&json!({"conversation": {"id": "ops/oc_c1", "thread": "omt_1"}}));
    assert_eq!(path(&threaded, &context(0)).1["reply_in_thread"], true);
    let of_chat = reply(&json!({"conversation": {"id": "ops/chat/oc_c1"}}));
    assert!(path(&of_chat, &context(0)).0.ends_with("/reply"));
    // Another chat, several receivers, and what is no message of Feishu.
    assert!(path(&of_chat, &at("oc_2")).0.ends_with("/messages"));
    let many = reply(&json!({"to": ["a/oc_1", "a/oc_2"]}));
    assert!(path(&many, &at("oc_1")).0.ends_with("/messages"));
    let mut other = reply(&json!({}));
    for id in ["019aacf0-7c00-7a31-9a4e-4b1f0c2d9e13", "om_", "om_1/../x"] {
        other.header.reply_to = Some(id.to_owned());
        assert!(path(&other, &context(0)).0.ends_with("/messages"), "{id}");
    }
}

#[test]
fn the_first_part_replies_and_all_parts_of_a_thread() {
    let long = json!({"segments": [{"type": "text", "text": "a".repeat(60_000)}, {"type": "text", "text": "b".repeat(60_000)},
        {"type": "text", "text": "c".repeat(60_000)}]});
    let mut long = message(&long);
    long.header.reply_to = Some("om_1".to_owned());
    let channel = channel();
    let parts = channel.render(&long, &context(0)).unwrap().steps;
    assert_eq!(parts.len(), 2);
    let url = |message: &Message, step: usize| {
        let plan = channel.render(message, &context(0)).unwrap();
        let context = Context { step, ..context(0) };
        let request = channel
            .request(&plan.steps[step], message, &context)
            .unwrap()
            .into_http()
            .unwrap();
        assert!(request.body.len() <= 150_000);
        request.url.path().to_owned()
    };
    assert!(url(&long, 0).ends_with("/om_1/reply"));
    assert!(url(&long, 1).ends_with("/messages"));
    long.header.conversation =
        serde_json::from_value(json!({"id": "ops/oc_c1", "thread": "omt_1"})).unwrap();
    assert!(url(&long, 1).ends_with("/om_1/reply"));
}

#[test]
fn what_was_to_be_answered_is_gone() {
    let gone = |rung| {
        let context = context(rung);
        let step = channel().render(&reply(&json!({})), &context).unwrap();
        let gone = answer(400, r#"{"code":230011,"msg":"recalled"}"#);
        channel().classify(&step.steps[0], &gone, &context)
    };
    assert!(matches!(gone(0), Outcome::Degrade { .. }));
    assert!(matches!(gone(1), Outcome::Rejected { .. }));
    let again = context(1);
    let plan = channel().render(&reply(&json!({})), &again).unwrap();
    assert_eq!(plan.degraded, ["reply->message"]);
    let request = request(&reply(&json!({})), &again);
    assert!(request.url.path().ends_with("/messages"));
    let problem = channel()
        .render(&reply(&json!({})), &context(2))
        .unwrap_err();
    assert_eq!(problem.code, "no_lower_form");
}

#[test]
fn down_the_ladder() {
    let body = json!({"segments": [{"type": "card", "title": "T", "sections": ["a **b**"]}], "override": {KIND: {"msg_type": "share_chat", "content": {}}}});
    for (rung, msg_type, degraded) in [
        (0, "share_chat", vec![]),
        (1, "interactive", vec!["override->card"]),
        (2, "post", vec!["card->post", "override->card"]),
        (
            3,
            "text",
            vec!["card->post", "override->card", "post->text"],
        ),
    ] {
        let (bodies, found) = rendered(&body, rung);
        assert_eq!(
            (bodies[0]["msg_type"].as_str(), found),
            (
                Some(msg_type),
                degraded.iter().map(|text| (*text).to_owned()).collect()
            )
        );
    }
}

#[test]
fn codes() {
    let table = [
        (0, "Delivered"),
        (99_991_400, "Limited"),
        (230_020, "Limited"),
        (99_991_661, "RefreshAuth"),
        (99_991_663, "RefreshAuth"),
        (99_991_664, "RefreshAuth"),
        (99_991_668, "RefreshAuth"),
        (99_991_677, "RefreshAuth"),
        (230_049, "Retry"),
        (99_991_672, "Rejected"),
        (230_001, "Rejected"),
        (230_002, "Rejected"),
        (230_006, "Rejected"),
        (230_013, "Rejected"),
        (230_017, "Rejected"),
        (230_018, "Rejected"),
        (230_035, "Rejected"),
        (230_022, "Rejected"),
        (230_025, "Rejected"),
        (230_027, "Rejected"),
        (230_028, "Rejected"),
        (230_050, "Rejected"),
        (4_711, "Rejected"),
    ];
    let text = json!({"data": "hi"});
    check_codes(&*channel(), &text, "code", &table);
    let card = json!({"segments": [{"type": "card", "title": "t"}]});
    let of_card = [
        (230_001, "Degrade"),
        (230_025, "Degrade"),
        (230_099, "Degrade"),
        (230_002, "Rejected"),
    ];
    check_codes(&*channel(), &card, "code", &of_card);
    let sent = r#"{"code":0,"msg":"success","data":{"message_id":"om_9"}}"#;
    assert_eq!(
        judge(&*channel(), &text, 200, sent),
        Outcome::Delivered {
            platform_id: Some("om_9".to_owned())
        }
    );
    // Refusals come with HTTP 400, and the pause in a header.
    let mut headers = HeaderMap::new();
    headers.insert("x-ogw-ratelimit-reset", HeaderValue::from_static("3"));
    for status in [400, 429] {
        assert_eq!(
            judge_with(
                &*channel(),
                &text,
                status,
                headers.clone(),
                r#"{"code":99991400}"#
            ),
            Outcome::Limited {
                wait: Duration::from_secs(3)
            }
        );
    }
}

#[test]
fn settings_are_checked() {
    let with = |name: &str, value: &str| {
        let mut settings = settings();
        settings[name] = value.into();
        settings
    };
    check_refused(
        &FeishuApp,
        &[
            (json!({}), "invalid_field", "settings.app_id"),
            (
                json!({"app_id": "cli_x"}),
                "invalid_field",
                "settings.app_secret",
            ),
            (with("app_id", "x"), "invalid_field", "settings.app_id"),
            (with("app_id", "cli_"), "invalid_field", "settings.app_id"),
            (
                with("app_secret", " hidden"),
                "invalid_secret",
                "settings.app_secret",
            ),
            (
                with("receive_id", "a b"),
                "invalid_target",
                "settings.receive_id",
            ),
            (with("base_url", "x"), "invalid_url", "settings.base_url"),
        ],
    );
    let moved = FeishuApp.open(&with("base_url", "http://127.0.0.1:9/sim/"));
    let request = moved.unwrap().token_issuer().unwrap().request();
    assert_eq!(
        request.url.as_str(),
        "http://127.0.0.1:9/sim/open-apis/auth/v3/tenant_access_token/internal"
    );
}

#[test]
fn urls_stand_for_settings() {
    let found = of_url(&FeishuApp, "feishu-app://cli_X/oc_1?app_secret=s%2F1");
    let wanted = json!({"app_id": "cli_X", "app_secret": "s/1"});
    assert_eq!(found, (wanted, Some("oc_1".to_owned())));
    let lark = of_url(&FeishuApp, "lark-app://cli_x/tom@a.example?app_secret=s").0;
    assert_eq!(lark["base_url"], "https://open.larksuite.com");
    check_refused_urls(
        &FeishuApp,
        &[
            "feishu-app://cli_x?app_secret=s",
            "feishu-app://x/oc_1?app_secret=s",
            "feishu-app://cli_x/oc_1",
            "feishu-app://cli_x/a%20b?app_secret=s",
            "feishu-app://cli_x/oc_1?app_secret=s&key=1",
        ],
    );
}

#[test]
fn the_key_is_the_same_for_a_retry() {
    let hi = message(&json!({"data": "hi"}));
    let key = |context: &Context<'_>| body(&request(&hi, context))["uuid"].clone();
    let retry = Context {
        attempt: 2,
        ..context(0)
    };
    let other = Context {
        delivery: DeliveryId::new(Num(8), 1),
        ..context(0)
    };
    assert_eq!(key(&context(0)), key(&retry));
    assert_ne!(key(&context(0)), key(&other));
}

proptest! {
    #[test]
    fn text_is_never_a_mention(text in hostile()) {
        let blocks = [Block::paragraph(text_runs(&text, Look::PLAIN)), Block::Code { lang: String::new(), text: text.clone() }];
        for line in post_form::lines(&blocks) {
            for node in line {
                prop_assert!(node["tag"] != "at");
                prop_assert!(!node.to_string().contains("<at"), "{node}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn no_request_is_too_long(text in hostile(), times in 1..400_usize) {
        let text: String = text.repeat(times).chars().take(40_000).collect();
        for segment in [json!({"type": "text", "text": text}), json!({"type": "text", "text": text, "style": ["bold"]}), json!({"type": "code", "text": text})] {
            let message = message(&json!({"segments": [segment]}));
            let Ok(plan) = channel().render(&message, &context(0)) else {
                continue;
            };
            for step in &plan.steps {
                let request = channel().request(step, &message, &context(0)).unwrap().into_http().unwrap();
                let most = if body(&request)["msg_type"] == "text" { 150_000 } else { 30_000 };
                prop_assert!(request.body.len() <= most, "{}", request.body.len());
            }
        }
    }
}
