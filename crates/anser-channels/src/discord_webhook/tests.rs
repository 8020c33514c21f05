//! Mentions and what they allow, embeds, settings, threads and answers.

use std::time::Duration;

use http::HeaderMap;

use super::*;
use crate::kit::testing::{
    check_refused, check_refused_urls, context, judge, judge_with, message, of_url, rendered,
};

const HOOK: &str = "https://discord.com/api/webhooks/123/tok_en-1";

fn channel() -> Arc<dyn Channel> {
    DiscordWebhook.open(&json!({"webhook_url": HOOK})).unwrap()
}

#[test]
fn only_what_is_mentioned_may_ping() {
    let mention =
        |kind: &str, id: &str| json!({"type": "mention", "kind": kind, "id": id, "name": "N"});
    let body = json!({"segments": [
        {"type": "text", "text": "@everyone <@99> "}, mention("user", "12"), mention("role", "34"), mention("channel", "56"),
        mention("user", "ou_x")
    ]});
    let (bodies, degraded) = rendered(&*channel(), &body, 0);
    assert_eq!(
        bodies[0]["content"],
        "@everyone \\<@99\\> <@12><@&34><#56>@N"
    );
    assert_eq!(
        bodies[0]["allowed_mentions"],
        json!({"parse": [], "users": ["12"], "roles": ["34"]})
    );
    assert_eq!(degraded, ["mention->text"]);
    let (bodies, _) = rendered(
        &*channel(),
        &json!({"segments": [{"type": "mention", "kind": "here"}]}),
        0,
    );
    assert_eq!(bodies[0]["allowed_mentions"]["parse"], json!(["everyone"]));
    let native = json!({"segments": [{"type": "text", "text": "t"}], "override": {"discord": {"content": "@everyone"}}});
    let (bodies, _) = rendered(&*channel(), &native, 0);
    assert_eq!(
        bodies[0],
        json!({"content": "@everyone", "allowed_mentions": {"parse": []}})
    );
}

#[test]
fn a_card_too_large_for_an_embed_is_split() {
    let card =
        |text: String| json!({"segments": [{"type": "card", "title": "T", "sections": [text]}]});
    let (bodies, _) = rendered(&*channel(), &card("x ".repeat(1_000)), 0);
    assert_eq!(
        (bodies.len(), bodies[0]["embeds"][0]["title"].as_str()),
        (1, Some("T"))
    );
    let (bodies, degraded) = rendered(&*channel(), &card("x ".repeat(4_000)), 0);
    assert!(bodies.len() > 3);
    assert_eq!(degraded, ["card->markdown"]);
}

#[test]
fn settings_are_checked() {
    #[rustfmt::skip]
    let table = [
        (json!({}), "invalid_field", "settings.webhook_url"),
        (json!({"webhook_url": "https://a.example/api/webhooks/1/hidden"}), "wrong_host", "settings.webhook_url"),
        (json!({"webhook_url": "https://discord.com/api/webhooks/hidden"}), "invalid_url", "settings.webhook_url"),
        (json!({"webhook_url": "https://discord.com/api/webhooks/x/hidden"}), "invalid_url", "settings.webhook_url"),
        (json!({"webhook_url": "https://discord.com/api/v9/channels/1/hidden"}), "invalid_url", "settings.webhook_url"),
        (json!({"webhook_url": HOOK, "username": "Discord"}), "invalid_field", "settings.username"),
        (json!({"webhook_url": HOOK, "avatar_url": "http://a.example"}), "invalid_url", "settings.avatar_url"),
    ];
    check_refused(&DiscordWebhook, &table);
    let old = json!({"webhook_url": "https://discordapp.com/api/v8/webhooks/1/t"});
    let channel = DiscordWebhook.open(&old).unwrap();
    assert_eq!(
        channel.endpoint().unwrap().as_str(),
        "https://discordapp.com/api/v10/webhooks/1/t"
    );
}

#[test]
fn a_target_is_a_thread() {
    let named = json!({"webhook_url": HOOK, "username": "N"});
    let channel = DiscordWebhook.open(&named).unwrap();
    let message = message(&json!({"data": "hi"}));
    let mut context = context(0);
    context.target = Some("77");
    let plan = channel.render(&message, &context).unwrap();
    let request = channel
        .request(&plan.steps[0], &message, &context)
        .unwrap()
        .into_http()
        .unwrap();
    assert!(
        request
            .url
            .as_str()
            .ends_with("/webhooks/123/tok_en-1?wait=true&thread_id=77")
    );
    assert!(
        request
            .body
            .windows(14)
            .any(|part| part == b"\"username\":\"N\"")
    );
    context.target = Some("general");
    assert_eq!(
        channel.render(&message, &context).unwrap_err().code,
        "invalid_target"
    );
}

#[test]
fn urls_stand_for_settings() {
    let wanted = json!({"webhook_url": "https://discord.com/api/webhooks/12/To-k"});
    assert_eq!(of_url(&DiscordWebhook, "discord://12/To-k"), (wanted, None));
    check_refused_urls(
        &DiscordWebhook,
        &["discord://12", "discord://1/2/3", "discord://1/2?x=1"],
    );
}

#[test]
fn answers() {
    let text = json!({"data": "hi"});
    let class = |status: u16, answer: &str| {
        format!("{:?}", judge(&*channel(), &text, status, answer).class())
    };
    #[rustfmt::skip]
    let table = [
        (204, "", "Delivered"), (200, "{", "Delivered"),
        (404, "{\"code\":10015}", "Rejected"), (404, "{\"code\":10003}", "Rejected"), (403, "{\"code\":50013}", "Rejected"),
        (400, "{\"code\":50006}", "Rejected"), (400, "{\"code\":50035}", "Degrade"), (413, "{\"code\":40005}", "Degrade"),
        (404, "<html>", "Retry"), (502, "", "Retry"),
    ];
    for (status, answer, wanted) in table {
        assert_eq!(class(status, answer), wanted, "{status} {answer}");
    }
    let platform_id = Some("42".to_owned());
    assert_eq!(
        judge(&*channel(), &text, 200, r#"{"id":"42"}"#),
        Outcome::Delivered { platform_id }
    );
    let wait = Duration::from_millis(640);
    let body = r#"{"message":"You are being rate limited.","retry_after":0.64,"global":false}"#;
    assert_eq!(
        judge(&*channel(), &text, 429, body),
        Outcome::Limited { wait }
    );
    let banned = judge(&*channel(), &text, 429, "error code: 1015");
    assert_eq!(
        banned,
        Outcome::Limited {
            wait: Duration::from_secs(3_600)
        }
    );
    let via = HeaderMap::from_iter([
        (http::header::VIA, "1.1 google".parse().unwrap()),
        (http::header::RETRY_AFTER, "7".parse().unwrap()),
    ]);
    let limited = judge_with(&*channel(), &text, 429, via, "");
    assert_eq!(
        limited,
        Outcome::Limited {
            wait: Duration::from_secs(7)
        }
    );
}

#[test]
fn what_was_sent_is_edited_and_recalled_in_its_thread() {
    let channel = channel();
    let message = message(&json!({"data": "new"}));
    let mut context = context(0);
    context.target = Some("77");
    let sent = ["42".to_owned(), "43".to_owned()];
    let plan = channel.edit(&message, &sent, &context).unwrap();
    let requests: Vec<_> = plan
        .steps
        .iter()
        .map(|step| {
            let request = channel.request(step, &message, &context).unwrap();
            let request = request.into_http().unwrap();
            (request.method.to_string(), request.url.to_string())
        })
        .collect();
    let address = |id: &str| {
        format!("https://discord.com/api/v10/webhooks/123/tok_en-1/messages/{id}?thread_id=77")
    };
    assert_eq!(
        requests,
        [
            ("PATCH".to_owned(), address("42")),
            ("DELETE".to_owned(), address("43"))
        ]
    );
    let request = channel.request(&plan.steps[0], &message, &context).unwrap();
    let body: Value = serde_json::from_slice(&request.into_http().unwrap().body).unwrap();
    assert_eq!(
        (&body["content"], &body["embeds"], &body["attachments"]),
        (&json!("new"), &json!([]), &json!([]))
    );
    let bad = channel
        .recall(&message, &["x/../y".to_owned()], &context)
        .unwrap();
    let problem = channel
        .request(&bad.steps[0], &message, &context)
        .unwrap_err();
    assert_eq!(problem.code, "invalid_platform_id");
}

#[test]
fn a_file_goes_with_the_text_and_the_webhooks_name() {
    let named = json!({"webhook_url": HOOK, "username": "N"});
    let channel = DiscordWebhook.open(&named).unwrap();
    let mut message = message(
        &json!({"segments": [{"type": "text", "text": "see"}, {"type": "file", "att": "f"}]}),
    );
    let file = json!({"id": "f", "name": "a.txt", "size": 3, "source": {"inline": "YWJj"}});
    message.attachments = vec![serde_json::from_value(file).unwrap()];
    let plan = channel.render(&message, &context(0)).unwrap();
    assert_eq!(plan.steps.len(), 1);
    let Request::Upload(upload) = channel
        .request(&plan.steps[0], &message, &context(0))
        .unwrap()
    else {
        panic!("no upload");
    };
    assert!(
        upload
            .url
            .as_str()
            .ends_with("/webhooks/123/tok_en-1?wait=true")
    );
    let head = format!("{:?}", upload.body[0]);
    for wanted in [
        "payload_json",
        "\\\"username\\\":\\\"N\\\"",
        "files[0]",
        "a.txt",
    ] {
        assert!(head.contains(wanted), "{wanted}: {head}");
    }
}

#[test]
fn the_webhook_says_who_it_is() {
    let channel = channel();
    let check = channel.credential_check().unwrap();
    let request = check.request(&context(0)).unwrap().into_http().unwrap();
    assert_eq!(
        (request.method.as_str(), request.url.as_str()),
        ("GET", "https://discord.com/api/v10/webhooks/123/tok_en-1")
    );
    let answer = |status: u16, body: &str| {
        Ok(anser_core::channel::HttpResponse {
            status: http::StatusCode::from_u16(status).unwrap(),
            headers: HeaderMap::new(),
            body: body.to_owned().into(),
        })
    };
    let good = answer(
        200,
        r#"{"id":"123","name":"Orders","channel_id":"9","token":"hidden"}"#,
    );
    assert_eq!(
        check.read(&good, &context(0)).unwrap(),
        "Orders in channel 9"
    );
    let gone = answer(404, r#"{"message":"Unknown Webhook","code":10015}"#);
    let Outcome::Rejected { text, .. } = check.read(&gone, &context(0)).unwrap_err() else {
        panic!("not refused");
    };
    assert!(text.contains("make another"), "{text}");
}
