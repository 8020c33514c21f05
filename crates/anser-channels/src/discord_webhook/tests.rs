//! Mentions and what they allow, embeds, settings, threads and answers.

use std::time::Duration;

use http::HeaderMap;
use proptest::prelude::*;

use super::*;
use crate::kit::dialect::tests::{hostile, text_means_itself};
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
        "https://discordapp.com/api/v10/webhooks/1/t?wait=true"
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

proptest! {
    #[test]
    fn text_is_never_markup(text in hostile()) {
        text_means_itself(&dialect::MARKDOWN, &text)?;
        text_means_itself(&dialect::TEXT, &text)?;
    }
}
