//! The bot's methods, descriptions and windows.

mod changes;
mod files;

use std::time::Duration;

use serde_json::{Value, json};

use super::super::trial::Trial;
use super::super::{Breach, Platform};
use super::*;

const PRIVATE: i64 = 1_001;
const GROUP: i64 = -1_001_000_000_001;

impl Trial {
    fn call(&mut self, method: &str, body: &Value) -> Answer {
        let target = format!("/bot{}/{method}", self.robot.token);
        // Each in its own second, apart from where the windows are tried.
        self.advance(Duration::from_secs(1));
        self.post_to(&target, body)
    }
}

fn described(answer: &Answer) -> String {
    let value = answer.value();
    assert_eq!(
        (&value["ok"], &value["error_code"]),
        (&json!(false), &json!(answer.status))
    );
    value["description"].as_str().unwrap().to_owned()
}

fn text(said: &str) -> Value {
    json!({"chat_id": PRIVATE, "text": said})
}

#[test]
fn a_message_comes_back_with_its_id() {
    let mut trial = Trial::of(Platform::Telegram);
    let answer = trial.call(
        "sendMessage",
        &json!({"chat_id": "1001", "text": "<b>x</b> &amp; y", "parse_mode": "HTML"}),
    );
    let result = &answer.value()["result"];
    assert_eq!(result["message_id"], 1);
    assert_eq!(result["text"], "x & y");
    assert_eq!(
        result["chat"],
        json!({"id": PRIVATE, "first_name": "Tom", "username": "tom", "type": "private"})
    );
    assert_eq!(trial.letters[0].id.as_deref(), Some("1"));
    let named = trial.call("sendMessage", &json!({"chat_id": "@news", "text": "x"}));
    assert_eq!(named.value()["result"]["message_id"], 2);
    let threaded = trial.call(
        "sendMessage",
        &json!({"chat_id": GROUP, "text": "x", "message_thread_id": 3}),
    );
    assert_eq!(threaded.status, 200);
    assert_eq!(trial.letters[2].conversation, format!("{GROUP}/3"));
}

/// The form that python-telegram-bot 22.8 really sent, with chat and message that exist here.
#[test]
fn forms_are_taken_with_json_inside() {
    let mut trial = Trial::of(Platform::Telegram);
    trial.call("sendMessage", &text("first"));
    trial.advance(Duration::from_secs(1));
    let form = "chat_id=1001&text=hi+%2Ax%2A&disable_notification=true&parse_mode=MarkdownV2&reply_markup=%7B%22inline_keyboard%22%3A+%5B%5B%7B%22callback_data%22%3A+%22k%22%2C+%22text%22%3A+%22ok%22%7D%5D%5D%7D&reply_parameters=%7B%22message_id%22%3A+1%7D";
    let target = format!("/bot{}/sendMessage", trial.robot.token);
    let answer = trial.send(
        http::Method::POST,
        &target,
        "application/x-www-form-urlencoded",
        form.into(),
    );
    assert_eq!(answer.value()["result"]["text"], "hi x");
}

#[test]
fn windows_of_chat_group_and_bot() {
    let mut trial = Trial::of(Platform::Telegram);
    let target = format!("/bot{}/sendMessage", trial.robot.token);
    assert_eq!(trial.post_to(&target, &text("a")).status, 200);
    let refused = trial.post_to(&target, &text("b"));
    assert_eq!(
        refused.said(),
        r#"{"ok":false,"error_code":429,"description":"Too Many Requests: retry after 1","parameters":{"retry_after":1}}"#
    );
    for _ in 0..20 {
        let group = json!({"chat_id": GROUP, "text": "x"});
        assert_eq!(trial.post_to(&target, &group).status, 200);
        trial.advance(Duration::from_secs(1));
    }
    let refused = trial.post_to(&target, &json!({"chat_id": GROUP, "text": "x"}));
    assert_eq!(refused.value()["parameters"]["retry_after"], 40);
    assert_eq!(trial.breaches, [Breach::Rate, Breach::Rate]);
}

#[test]
fn what_is_wrong_is_described() {
    let mut trial = Trial::of(Platform::Telegram);
    let wrong = trial.post_to("/bot1:AA/sendMessage", &text("x"));
    assert_eq!(
        (wrong.status, described(&wrong).as_str()),
        (401, "Unauthorized")
    );
    let unknown = trial.call("sendNothing", &json!({}));
    assert_eq!(
        (unknown.status, described(&unknown).as_str()),
        (404, "Not Found")
    );
    for (method, body, told) in [
        (
            "sendMessage",
            json!({"chat_id": 5, "text": "x"}),
            "chat not found",
        ),
        ("sendMessage", json!({"text": "x"}), "chat_id is empty"),
        ("sendMessage", text(" "), "message text is empty"),
        (
            "sendMessage",
            text(&"x".repeat(4097)),
            "message is too long",
        ),
        (
            "editMessageText",
            json!({"chat_id": PRIVATE, "message_id": 9, "text": "x"}),
            "message to edit not found",
        ),
        (
            "deleteMessage",
            json!({"chat_id": PRIVATE, "message_id": 9}),
            "message to delete not found",
        ),
        (
            "sendLocation",
            json!({"chat_id": PRIVATE, "latitude": 91, "longitude": 0}),
            "latitude and longitude must be non-empty",
        ),
        (
            "sendMediaGroup",
            json!({"chat_id": PRIVATE, "media": [{"media": "https://e.com/a.png"}]}),
            "expected from 2 to 10 media in an album",
        ),
        (
            "sendPhoto",
            json!({"chat_id": PRIVATE, "photo": "a.png"}),
            "wrong remote file identifier specified: Wrong string length",
        ),
    ] {
        let answer = trial.call(method, &body);
        assert_eq!(
            (answer.status, described(&answer)),
            (400, format!("Bad Request: {told}"))
        );
    }
    assert!(trial.letters.is_empty());
}

#[test]
fn what_hangs_on_a_message_is_checked_too() {
    let mut trial = Trial::of(Platform::Telegram);
    let unclosed = "can't parse entities: Can't find end tag corresponding to start tag \"b\"";
    let reserved = "can't parse entities: Character '>' is reserved and must be escaped with the preceding '\\'";
    let keyboard = json!({"inline_keyboard": [[{"text": "a", "callback_data": "x".repeat(65)}]]});
    for (member, value, told) in [
        ("parse_mode", json!("HTML"), unclosed),
        ("parse_mode", json!("MarkdownV2"), reserved),
        ("parse_mode", json!("rtf"), "unsupported parse_mode"),
        (
            "reply_parameters",
            json!({"message_id": 9}),
            "message to be replied not found",
        ),
        ("reply_markup", keyboard, "BUTTON_DATA_INVALID"),
    ] {
        let mut body = text("<b>a.b");
        body[member] = value;
        let answer = trial.call("sendMessage", &body);
        assert_eq!(
            (answer.status, described(&answer)),
            (400, format!("Bad Request: {told}"))
        );
    }
    let long =
        json!({"chat_id": PRIVATE, "photo": "https://e.com/a.png", "caption": "x".repeat(1025)});
    let answer = trial.call("sendPhoto", &long);
    assert_eq!(
        described(&answer),
        "Bad Request: message caption is too long"
    );
    assert!(trial.letters.is_empty());
}

#[test]
fn lengths_are_of_what_is_said_in_utf16() {
    let mut trial = Trial::of(Platform::Telegram);
    let tagged = format!("<b>{}</b>", "😀".repeat(2048));
    let answer = trial.call(
        "sendMessage",
        &json!({"chat_id": PRIVATE, "text": tagged, "parse_mode": "HTML"}),
    );
    assert_eq!(answer.status, 200);
    let answer = trial.call("sendMessage", &text(&"😀".repeat(2049)));
    assert_eq!(described(&answer), "Bad Request: message is too long");
}

#[test]
fn an_album_has_an_id_for_each() {
    let mut trial = Trial::of(Platform::Telegram);
    let media = vec![json!({"type": "photo", "media": "https://e.com/a.png"}); 3];
    let answer = trial.call(
        "sendMediaGroup",
        &json!({"chat_id": PRIVATE, "media": media}),
    );
    assert_eq!(answer.value()["result"][2]["message_id"], 3);
    assert_eq!(
        trial.call("getMe", &json!({})).value()["result"]["is_bot"],
        true
    );
}
