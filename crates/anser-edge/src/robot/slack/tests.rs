//! Blocks and attachments as their builders make them, and what is refused.

use anser_core::Timestamp;
use http::{HeaderMap, Method};
use serde_json::json;

use super::*;

fn told(body: &str, media_type: &str) -> Result<Told, Fault> {
    let mut headers = HeaderMap::new();
    headers.insert("content-type", media_type.parse().unwrap());
    read(&Posted {
        method: &Method::POST,
        rest: "",
        query: "",
        headers: &headers,
        body: body.as_bytes(),
        now: Timestamp::from_millis(0),
    })
}

fn segments(body: &Value) -> Value {
    let told = told(&body.to_string(), "application/json").unwrap();
    told.item.body.segments.unwrap().into()
}

#[test]
fn text_comes_as_json_and_in_a_form() {
    let expected = json!([{"type": "text", "text": "a+b"}]);
    assert_eq!(segments(&json!({"text": "a+b"})), expected);
    let form = told(
        "payload=%7B%22text%22%3A%22a%2Bb%22%7D",
        "application/x-www-form-urlencoded",
    );
    assert_eq!(
        Value::from(form.unwrap().item.body.segments.unwrap()),
        expected
    );
}

#[test]
fn blocks_are_shown_and_their_text_is_not() {
    let body = json!({"text": "for notifications", "blocks": [
        {"type": "header", "text": {"type": "plain_text", "text": "Deploy"}},
        {"type": "section", "text": {"type": "mrkdwn", "text": "*v1* is out"},
         "accessory": {"type": "button", "text": {"type": "plain_text", "text": "See"}, "url": "https://e.com/v1"}},
        {"type": "divider"},
        {"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": [
            {"type": "user", "user_id": "U1"}, {"type": "text", "text": " hi", "style": {"bold": true}}]}]},
    ]});
    assert_eq!(
        segments(&body),
        json!([
            {"type": "text", "text": "Deploy", "style": ["bold"]}, {"type": "break"},
            {"type": "text", "text": "v1", "style": ["bold"]}, {"type": "text", "text": " is out"}, {"type": "break"},
            {"type": "link", "url": "https://e.com/v1", "title": "See"}, {"type": "break"},
            {"type": "divider"}, {"type": "break"},
            {"type": "mention", "kind": "user", "id": "U1"}, {"type": "text", "text": " hi", "style": ["bold"]},
        ])
    );
}

#[test]
fn an_attachment_of_the_old_form_is_a_card() {
    let body = json!({"attachments": [{"color": "danger", "title": "Down", "title_link": "https://e.com/1",
        "text": "*db1* is down", "fields": [{"title": "Zone", "value": "cn-7", "short": true}], "footer": "probe"}]});
    assert_eq!(
        segments(&body),
        json!([{"type": "card", "title": "Down", "level": "error", "sections": ["**db1** is down"],
            "fields": [{"name": "Zone", "value": "cn-7", "short": true}],
            "actions": [{"id": "link1", "label": "Open", "kind": "url", "value": "https://e.com/1"}],
            "footer": "probe"}])
    );
}

#[test]
fn the_refusals_are_the_words_that_clients_compare() {
    for (body, word) in [
        ("{}", "no_text"),
        ("{", "invalid_payload"),
        ("[]", "invalid_payload"),
        (r#"{"text": "x", "blocks": {}}"#, "invalid_blocks_format"),
    ] {
        let fault = told(body, "application/json").unwrap_err();
        assert_eq!(refused(&fault).body, word, "{body}");
    }
}
