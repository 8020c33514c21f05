//! The webhook's answers, limits of blocks and its window; apps are in `apps`.

mod apps;

use std::time::Duration;

use serde_json::{Value, json};

use super::super::trial::Trial;
use super::super::{Breach, Platform};
use super::*;

fn told(answer: &Answer) -> (u16, &str) {
    (answer.status, answer.said())
}

#[test]
fn success_is_a_text() {
    let mut trial = Trial::of(Platform::Slack);
    assert_eq!(told(&trial.post(&json!({"text": "hi"}))), (200, "ok"));
    let path = trial.platform.path(&trial.robot);
    let form = "payload=%7B%22text%22%3A%22hi%22%7D";
    let answer = trial.send(
        Method::POST,
        &path,
        "application/x-www-form-urlencoded",
        form.into(),
    );
    assert_eq!(told(&answer), (200, "ok"));
    assert_eq!(trial.letters[1].text, "hi");
}

#[test]
fn what_is_not_known_is_told_in_a_word() {
    let mut trial = Trial::of(Platform::Slack);
    let text = json!({"text": "hi"});
    assert_eq!(
        told(&trial.post_to("/services/T/B/X", &text)),
        (404, "no_service")
    );
    let near = format!("/services/{}x", trial.robot.token);
    assert_eq!(told(&trial.post_to(&near, &text)), (403, "invalid_token"));
    assert_eq!(told(&trial.post(&json!([]))), (400, "invalid_payload"));
    assert_eq!(told(&trial.post(&json!({"text": ""}))), (400, "no_text"));
    for (code, status) in [
        ("channel_is_archived", 410),
        ("rollup_error", 500),
        ("action_prohibited", 403),
    ] {
        assert_eq!(
            told(&Slack::default().refusal(code, Duration::ZERO)),
            (status, code)
        );
    }
}

#[test]
fn one_a_second_and_three_at_once() {
    let mut trial = Trial::of(Platform::Slack);
    let text = json!({"text": "hi"});
    for _ in 0..3 {
        assert_eq!(trial.post(&text).status, 200);
    }
    let refused = trial.post(&text);
    assert_eq!(
        told(&refused),
        (429, r#"{"ok":false,"error":"ratelimited"}"#)
    );
    assert_eq!(refused.header("retry-after"), Some("1"));
    for _ in 0..10 {
        trial.advance(Duration::from_secs(1));
        assert_eq!(trial.post(&text).status, 200);
        assert_eq!(trial.post(&text).status, 429);
    }
    assert!(trial.breaches.iter().all(|breach| *breach == Breach::Rate));
}

#[test]
fn blocks_have_their_limits() {
    let section =
        |length| json!({"type": "section", "text": {"type": "mrkdwn", "text": "x".repeat(length)}});
    let header = |length| json!({"type": "header", "text": {"type": "plain_text", "text": "x".repeat(length)}});
    let buttons = |count| json!({"type": "actions", "elements": vec![json!({"type": "button", "text": {"type": "plain_text", "text": "A"}, "url": "https://e.com"}); count]});
    let blocks = |blocks: Vec<Value>| json!({"text": "t", "blocks": blocks});
    for (body, expected) in [
        (
            blocks(vec![
                section(3000),
                header(150),
                buttons(25),
                json!({"type": "divider"}),
            ]),
            "ok",
        ),
        (blocks(vec![section(3001)]), "invalid_blocks"),
        (blocks(vec![header(151)]), "invalid_blocks"),
        (blocks(vec![buttons(26)]), "invalid_blocks"),
        (blocks(vec![json!({"type": "divider"}); 50]), "ok"),
        (
            blocks(vec![json!({"type": "divider"}); 51]),
            "invalid_blocks",
        ),
        (blocks(vec![json!({"type": "blink"})]), "invalid_blocks"),
        (
            blocks(vec![
                json!({"type": "image", "image_url": "https://e.com/a.png", "alt_text": "a"}),
            ]),
            "ok",
        ),
        (
            blocks(vec![
                json!({"type": "image", "image_url": "https://e.com/a.png"}),
            ]),
            "invalid_blocks",
        ),
        (
            blocks(vec![
                json!({"type": "markdown", "text": "x".repeat(6000)});
                2
            ]),
            "ok",
        ),
        (
            blocks(vec![
                json!({"type": "markdown", "text": "x".repeat(6001)});
                2
            ]),
            "msg_blocks_too_long",
        ),
        (json!({"text": "t", "blocks": {}}), "invalid_blocks_format"),
        (json!({"text": "x".repeat(40_000)}), "ok"),
        (json!({"text": "x".repeat(40_001)}), "msg_too_long"),
    ] {
        let mut trial = Trial::of(Platform::Slack);
        assert_eq!(trial.post(&body).said(), expected, "{body}");
    }
}

#[test]
fn rich_text_and_attachments_are_looked_into() {
    let rich = |element: Value| json!({"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": [element]}]});
    let list = json!({"type": "rich_text", "elements": [{"type": "rich_text_list", "style": "bullet",
        "elements": [{"type": "rich_text_section", "elements": [{"type": "text", "text": "a"}]}]}]});
    for (block, expected) in [
        (rich(json!({"type": "text", "text": "<!channel>"})), "ok"),
        (rich(json!({"type": "user", "user_id": "U1"})), "ok"),
        (rich(json!({"type": "broadcast", "range": "here"})), "ok"),
        (list, "ok"),
        (rich(json!({"type": "text", "text": ""})), "invalid_blocks"),
        (rich(json!({"type": "user"})), "invalid_blocks"),
        (
            rich(json!({"type": "broadcast", "range": "all"})),
            "invalid_blocks",
        ),
        (
            json!({"type": "rich_text", "elements": [{"type": "text", "text": "a"}]}),
            "invalid_blocks",
        ),
    ] {
        let mut trial = Trial::of(Platform::Slack);
        assert_eq!(
            trial.post(&json!({"blocks": [block]})).said(),
            expected,
            "{block}"
        );
        let attached = json!({"text": "t", "attachments": [{"blocks": [block]}]});
        assert_eq!(trial.post(&attached).said(), expected, "{block}");
    }
}
