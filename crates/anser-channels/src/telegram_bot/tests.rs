//! HTML, mentions, chats, replies, settings and answers.

mod changes;
mod media;

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::kit::content::{Block, Look, Run, text_runs};
use crate::kit::dialect::tests::hostile;
use crate::kit::testing::{
    check_refused, check_refused_urls, context, judge, message, of_url, rendered,
};

const TOKEN: &str = "123:AAhidden";

fn channel() -> Arc<dyn Channel> {
    TelegramBot
        .open(&json!({"token": TOKEN, "chat_id": "-5"}))
        .unwrap()
}

#[test]
fn text_mentions_nobody_and_mentions_do() {
    let mention = |id: &str| json!({"type": "mention", "kind": "user", "id": id, "name": "N&M"});
    let body = json!({"segments": [
        {"type": "text", "text": "@durov a@b.example <b>"}, mention("42"), mention("@tom_1"), mention("ou_x")
    ]});
    let (bodies, degraded) = rendered(&*channel(), &body, 0);
    assert_eq!(
        bodies[0]["text"],
        "@\u{200b}durov a@b.example &lt;b&gt;<a href=\"tg://user?id=42\">N&amp;M</a>@tom_1@\u{200b}N&amp;M"
    );
    assert_eq!(degraded, ["mention->text"]);
}

#[test]
fn cards_have_buttons() {
    let card = json!({"segments": [{"type": "card", "title": "T <1>", "sections": ["a **b** `c<d`"],
        "actions": [{"id": "a", "label": "Open", "kind": "url", "value": "https://a.example/?a=1&b=2"}]}]});
    let (bodies, _) = rendered(&*channel(), &card, 0);
    assert_eq!(
        bodies[0]["text"],
        "<b>T &lt;1&gt;</b>\n\na <b>b</b> <code>c&lt;d</code>"
    );
    assert_eq!(
        bodies[0]["reply_markup"]["inline_keyboard"],
        json!([[{"text": "Open", "url": "https://a.example/?a=1&b=2"}]])
    );
    let (bodies, _) = rendered(&*channel(), &card, 1);
    assert!(
        bodies[0]["text"]
            .as_str()
            .unwrap()
            .ends_with("<a href=\"https://a.example/?a=1&amp;b=2\">Open</a>")
    );
}

#[test]
fn the_chat_is_the_target_or_the_channels_own() {
    let mut message = message(&json!({"data": "hi"}));
    message.header.reply_to = Some("99".to_owned());
    let sent = |target: Option<&'static str>, step: usize| {
        let mut context = context(0);
        (context.target, context.step) = (target, step);
        let plan = channel().render(&message, &context)?;
        let request = channel()
            .request(&plan.steps[0], &message, &context)?
            .into_http()
            .unwrap();
        Ok::<Value, Problem>(serde_json::from_slice(&request.body).unwrap())
    };
    assert_eq!(
        sent(None, 0).unwrap(),
        json!({"chat_id": -5, "reply_parameters": {"message_id": 99, "allow_sending_without_reply": true}, "text": "hi"})
    );
    assert_eq!(
        sent(Some("-1007/3"), 1).unwrap(),
        json!({"chat_id": -1007, "message_thread_id": 3, "text": "hi"})
    );
    assert_eq!(sent(Some("@news"), 1).unwrap()["chat_id"], "@news");
    for bad in ["news", "@a b", "1/x", ""] {
        assert_eq!(
            sent(Some(bad), 0).unwrap_err().code,
            "invalid_target",
            "{bad}"
        );
    }
    let none = TelegramBot.open(&json!({"token": TOKEN})).unwrap();
    assert_eq!(
        none.render(&message, &context(0)).unwrap_err().code,
        "missing_target"
    );
}

#[test]
fn settings_are_checked() {
    #[rustfmt::skip]
    let table = [
        (json!({}), "invalid_field", "settings.token"),
        (json!({"token": "hidden"}), "invalid_secret", "settings.token"),
        (json!({"token": "12:hid den"}), "invalid_secret", "settings.token"),
        (json!({"token": TOKEN, "chat_id": "news"}), "invalid_target", "settings.chat_id"),
        (json!({"token": TOKEN, "base_url": "api.telegram.org"}), "invalid_url", "settings.base_url"),
    ];
    check_refused(&TelegramBot, &table);
    let own = TelegramBot
        .open(&json!({"token": TOKEN, "base_url": "http://127.0.0.1:8081/"}))
        .unwrap();
    assert_eq!(
        own.endpoint().unwrap().as_str(),
        "http://127.0.0.1:8081/bot123:AAhidden/sendMessage"
    );
}

#[test]
fn urls_stand_for_settings() {
    let wanted = (json!({"token": "123:AAx"}), Some("-5".to_owned()));
    assert_eq!(of_url(&TelegramBot, "telegram://123/AAx/-5"), wanted);
    assert_eq!(of_url(&TelegramBot, "tgram://123%3AAAx/-5"), wanted);
    check_refused_urls(
        &TelegramBot,
        &[
            "telegram://123",
            "telegram://123/AAx",
            "telegram://x/y/1",
            "telegram://123/AAx/chat",
        ],
    );
}

#[test]
fn answers() {
    let text = json!({"data": "hi"});
    let class = |status: u16, answer: &str| {
        format!("{:?}", judge(&*channel(), &text, status, answer).class())
    };
    let error = |code: i64, text: &str| {
        json!({"ok": false, "error_code": code, "description": text}).to_string()
    };
    for (status, answer, wanted) in [
        (400, error(400, "Bad Request: chat not found"), "Rejected"),
        (
            400,
            error(400, "Bad Request: can't parse entities: x"),
            "Degrade",
        ),
        (
            400,
            error(400, "Bad Request: BUTTON_URL_INVALID"),
            "Degrade",
        ),
        (401, error(401, "Unauthorized"), "Rejected"),
        (
            403,
            error(403, "Forbidden: bot was blocked by the user"),
            "Rejected",
        ),
        (500, error(500, "Internal"), "Retry"),
        (200, error(400, "chat not found"), "Rejected"),
        (200, String::new(), "Unknown"),
        (200, "{}".to_owned(), "Unknown"),
        (200, "{\"ok\":tr".to_owned(), "Unknown"),
        (502, "<html>".to_owned(), "Retry"),
    ] {
        assert_eq!(class(status, &answer), wanted, "{status} {answer}");
    }
    let platform_id = Some("17".to_owned());
    for whole in [
        r#"{"ok":true,"result":{"message_id":17,"date":1,"te"#,
        r#"{"ok":true,"result":{"date":1,"message_id":17}}"#,
    ] {
        assert_eq!(
            judge(&*channel(), &text, 200, whole),
            Outcome::Delivered {
                platform_id: platform_id.clone()
            }
        );
    }
    let limited = r#"{"ok":false,"error_code":429,"description":"Too Many Requests: retry after 7","parameters":{"retry_after":7}}"#;
    let wait = Duration::from_secs(7);
    assert_eq!(
        judge(&*channel(), &text, 429, limited),
        Outcome::TargetLimited { wait }
    );
    let moved = r#"{"ok":false,"error_code":400,"description":"group chat was upgraded","parameters":{"migrate_to_chat_id":-1009}}"#;
    assert!(
        matches!(judge(&*channel(), &text, 400, moved), Outcome::Rejected { text, .. } if text.contains("-1009"))
    );
}

proptest! {
    #[test]
    fn text_is_never_markup(text in hostile()) {
        let blocks = [Block::paragraph(text_runs(&text, Look::PLAIN)), Block::Code { lang: String::new(), text: text.clone() }];
        let html = dialect::HTML.write(&blocks);
        let html = html.replace("<pre><code>", "").replace("</code></pre>", "");
        prop_assert!(!html.contains(['<', '>']), "{html}");
        // In a link a name is a part of the link.
        let mut runs = text_runs(&text, Look::PLAIN);
        runs.retain(|run| !matches!(run, Run::Link { .. }));
        let plain = dialect::TEXT.write(&[Block::paragraph(runs)]);
        let mut before = ' ';
        let letters: Vec<char> = plain.chars().collect();
        for (place, c) in letters.iter().enumerate() {
            let mentions = *c == '@'
                && !(before.is_alphanumeric() || before == '_')
                && letters.get(place + 1).is_some_and(char::is_ascii_alphanumeric);
            prop_assert!(!mentions, "{plain}");
            before = *c;
        }
    }
}
