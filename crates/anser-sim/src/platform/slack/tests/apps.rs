//! Apps: tokens, messages and their windows, threads, changes and files.

use std::time::Duration;

use bytes::Bytes;
use http::HeaderValue;
use serde_json::{Value, json};

use super::super::super::trial::{BASE, Trial, part};
use super::super::super::{Breach, Platform};
use super::*;

const CHANNEL: &str = "C0000002001";
const PERSON: &str = "U0000001001";

impl Trial {
    /// With an app of the workspace, and its token.
    fn of_app() -> Self {
        let mut trial = Self::of(Platform::Slack);
        trial.robot = Platform::Slack.app(1).unwrap();
        let bearer = format!("Bearer {}", trial.robot.token);
        trial.authorization = Some(HeaderValue::try_from(bearer).unwrap());
        trial
    }

    /// Calls a method as the documents recommend it: JSON with its character set.
    fn api(&mut self, method: &str, arguments: &Value) -> Value {
        let target = format!("/api/{method}");
        let media = "application/json; charset=utf-8";
        let answer = self.send(Method::POST, &target, media, arguments.to_string().into());
        assert_eq!(answer.status, 200, "{method} {arguments}");
        answer.value()
    }

    fn says(&mut self, text: &str) -> String {
        let told = self.api(
            "chat.postMessage",
            &json!({"channel": CHANNEL, "text": text}),
        );
        assert_eq!(told["ok"], true, "{told}");
        told["ts"].as_str().unwrap().to_owned()
    }

    fn error(&mut self, method: &str, arguments: &Value) -> String {
        let told = self.api(method, arguments);
        assert_eq!(told["ok"], false, "{told}");
        told["error"].as_str().unwrap().to_owned()
    }

    /// Announces a file and brings its bytes; answers its id.
    fn file(&mut self, name: &str, bytes: &[u8]) -> String {
        let asked = format!(
            "/api/files.getUploadURLExternal?filename={name}&length={}",
            bytes.len()
        );
        let told = self.send(Method::GET, &asked, "", Bytes::new()).value();
        let url = told["upload_url"].as_str().unwrap().to_owned();
        let target = url.strip_prefix(BASE).unwrap();
        assert_eq!(self.upload(target, vec![part("", None, bytes)]).status, 200);
        told["file_id"].as_str().unwrap().to_owned()
    }
}

#[test]
fn a_token_is_asked_for_and_looked_at() {
    let mut trial = Trial::of_app();
    let about = trial.api("auth.test", &json!({}));
    assert_eq!(
        (&about["ok"], &about["user"]),
        (&json!(true), &json!("anser_sim"))
    );
    let token = trial.robot.token.clone();
    trial.authorization = None;
    assert_eq!(trial.error("auth.test", &json!({})), "not_authed");
    let form = format!("token={token}");
    let media = "application/x-www-form-urlencoded";
    let told = trial.send(Method::POST, "/api/auth.test", media, form.into());
    assert_eq!(told.value()["ok"], true);
    trial.authorization = Some(HeaderValue::from_static("Bearer xoxb-wrong"));
    assert_eq!(trial.error("auth.test", &json!({})), "invalid_auth");
    assert_eq!(trial.breaches, [Breach::Credentials; 2]);
    let posted = trial.post_to(&format!("/services/{token}"), &json!({"text": "hi"}));
    assert_eq!(told_of(&posted), (404, "no_service"));
}

fn told_of(answer: &Answer) -> (u16, &str) {
    (answer.status, answer.said())
}

#[test]
fn a_success_tells_where_and_when_and_repeats_the_message() {
    let mut trial = Trial::of_app();
    let told = trial.api(
        "chat.postMessage",
        &json!({"channel": CHANNEL, "text": "*hi*", "thread_ts": "1699999999.000001"}),
    );
    let ts = told["ts"].as_str().unwrap();
    assert_eq!(
        (&told["channel"], ts),
        (&json!(CHANNEL), "1700000000.000001")
    );
    let message = &told["message"];
    assert_eq!(
        (&message["text"], &message["thread_ts"]),
        (&json!("*hi*"), &json!("1699999999.000001"))
    );
    let letter = &trial.letters[0];
    assert_eq!(
        (&*letter.conversation, letter.id.as_deref()),
        (CHANNEL, Some(ts))
    );
    for (named, id) in [
        ("#operations", CHANNEL),
        ("operations", CHANNEL),
        (PERSON, "D0000001001"),
    ] {
        let told = trial.api("chat.postMessage", &json!({"channel": named, "text": "hi"}));
        assert_eq!(told["channel"], id, "{told}");
    }
    let opened = trial.api("conversations.open", &json!({"users": PERSON}));
    assert_eq!(opened["channel"]["id"], "D0000001001");
}

#[test]
fn who_names_no_character_set_is_warned() {
    let mut trial = Trial::of_app();
    let told = trial
        .post(&json!({"channel": CHANNEL, "text": "hi"}))
        .value();
    assert_eq!(
        (&told["ok"], &told["warning"]),
        (&json!(true), &json!("missing_charset"))
    );
    assert_eq!(
        told["response_metadata"]["warnings"],
        json!(["missing_charset"])
    );
}

#[test]
fn refusals_are_a_word_in_a_success_of_http() {
    let mut trial = Trial::of_app();
    let long = "x".repeat(40_001);
    let section = json!([{"type": "divider"}, {"type": "section"}]);
    for (arguments, word) in [
        (json!({"text": "hi"}), "invalid_arguments"),
        (
            json!({"channel": "C0000009999", "text": "hi"}),
            "channel_not_found",
        ),
        (
            json!({"channel": "C0000003001", "text": "hi"}),
            "restricted_action_read_only_channel",
        ),
        (json!({"channel": CHANNEL}), "no_text"),
        (json!({"channel": CHANNEL, "text": long}), "msg_too_long"),
        (
            json!({"channel": CHANNEL, "text": "t", "blocks": section}),
            "invalid_blocks",
        ),
        (
            json!({"channel": CHANNEL, "text": "t", "blocks": "[{"}),
            "invalid_blocks_format",
        ),
        (
            json!({"channel": CHANNEL, "text": "t", "thread_ts": "now"}),
            "invalid_thread_ts",
        ),
        (
            json!({"channel": CHANNEL, "text": "t", "metadata": {}}),
            "invalid_metadata_format",
        ),
        (
            json!({"channel": CHANNEL, "text": "t", "markdown_text": "t"}),
            "markdown_text_conflict",
        ),
    ] {
        trial.advance(Duration::from_secs(1));
        assert_eq!(
            trial.error("chat.postMessage", &arguments),
            word,
            "{arguments:.80}"
        );
    }
    assert_eq!(trial.error("chat.unknown", &json!({})), "unknown_method");
    assert!(trial.letters.is_empty());
    trial.advance(Duration::from_secs(5));
    let told = trial.api(
        "chat.postMessage",
        &json!({"channel": CHANNEL, "text": "t", "blocks": section}),
    );
    let place = told["response_metadata"]["messages"][0].as_str().unwrap();
    assert!(place.contains("[json-pointer:/blocks/1]"), "{place}");
    let answer = trial.send(
        Method::POST,
        "/api/auth.test",
        "application/json",
        "{".into(),
    );
    assert_eq!(answer.value()["error"], "invalid_json");
}

#[test]
fn a_channel_takes_one_message_a_second_and_three_at_once() {
    let mut trial = Trial::of_app();
    let hi = |channel: &str| json!({"channel": channel, "text": "hi"});
    for _ in 0..3 {
        trial.says("hi");
    }
    let refused = trial.post(&hi(CHANNEL));
    assert_eq!(
        (refused.status, &refused.value()["error"]),
        (429, &json!("ratelimited"))
    );
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(
        trial.api("chat.postMessage", &hi(PERSON))["ok"],
        true,
        "another is not touched"
    );
    trial.advance(Duration::from_secs(1));
    trial.says("hi");
    assert_eq!(trial.post(&hi(CHANNEL)).status, 429);
    assert_eq!(trial.breaches, [Breach::Rate; 2]);
    assert!(
        trial.exceeded.iter().all(|chat| chat.ends_with(CHANNEL)),
        "{:?}",
        trial.exceeded
    );
}

#[test]
fn methods_of_tier_3_take_fifty_a_minute() {
    let mut trial = Trial::of_app();
    let ts = trial.says("first");
    let target = "/api/chat.update";
    let edit = json!({"channel": CHANNEL, "ts": ts, "text": "again"});
    for _ in 0..50 {
        assert_eq!(trial.post_to(target, &edit).status, 200);
    }
    let refused = trial.post_to(target, &edit);
    assert_eq!(
        (refused.status, refused.header("retry-after")),
        (429, Some("60"))
    );
    assert_eq!(trial.api("auth.test", &json!({}))["ok"], true);
}

#[test]
fn messages_are_changed_and_deleted_by_who_wrote_them() {
    let mut trial = Trial::of_app();
    let blocks = json!([{"type": "divider"}]);
    let told = trial.api(
        "chat.postMessage",
        &json!({"channel": CHANNEL, "text": "old", "blocks": blocks}),
    );
    let at = |ts: &Value| json!({"channel": CHANNEL, "ts": ts});
    let with = |mut arguments: Value, more: Value| {
        arguments
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        arguments
    };
    let ts = told["ts"].clone();
    let told = trial.api(
        "chat.update",
        &with(
            at(&ts),
            json!({"blocks": [{"type": "divider"}, {"type": "divider"}]}),
        ),
    );
    assert_eq!(
        (
            &told["text"],
            told["message"]["blocks"].as_array().unwrap().len()
        ),
        (&json!("old"), 2)
    );
    let told = trial.api("chat.update", &with(at(&ts), json!({"text": "new"})));
    assert_eq!(
        (&told["text"], told["message"].get("blocks")),
        (&json!("new"), None)
    );
    assert_eq!(trial.changes[1].text, "new");
    assert_eq!(trial.error("chat.update", &at(&ts)), "no_text");
    let person = json!({"channel": PERSON, "ts": ts, "text": "new"});
    assert_eq!(
        trial.error("chat.update", &person),
        "channel_not_found",
        "an id of a conversation is asked for"
    );
    let none = with(at(&json!("1.000000")), json!({"text": "new"}));
    assert_eq!(trial.error("chat.update", &none), "message_not_found");
    assert_eq!(trial.api("chat.delete", &at(&ts))["ok"], true);
    assert_eq!(trial.gone[0].id, ts.as_str().unwrap());
    assert_eq!(trial.error("chat.delete", &at(&ts)), "message_not_found");
}

#[test]
fn a_file_is_announced_brought_shown_and_deleted() {
    let mut trial = Trial::of_app();
    let id = trial.file("a.png", b"\x89PNG....");
    assert_eq!(trial.shelf.get(&id).unwrap().name.as_deref(), Some("a.png"));
    assert_eq!(
        trial.error("files.info", &json!({"file": id})),
        "file_not_found",
        "it is not complete"
    );
    let shown = json!({"files": [{"id": id, "title": "A"}], "channel_id": CHANNEL, "initial_comment": "look"});
    let told = trial.api("files.completeUploadExternal", &shown);
    assert_eq!(
        (&told["files"][0]["id"], &told["files"][0]["title"]),
        (&json!(id), &json!("A"))
    );
    let letter = &trial.letters[0];
    assert_eq!(
        (&*letter.kind, &*letter.text, &letter.uploads),
        ("file", "look", &vec![id.clone()])
    );
    assert_eq!(
        trial.error("files.completeUploadExternal", &shown),
        "file_not_found",
        "once is enough"
    );
    assert_eq!(
        trial.api("files.info", &json!({"file": id}))["file"]["filetype"],
        "png"
    );
    let file = json!({"channel": CHANNEL, "ts": trial.letters[0].id, "text": "a text"});
    assert_eq!(trial.error("chat.update", &file), "cant_update_message");
    assert_eq!(trial.api("files.delete", &json!({"file": id}))["ok"], true);
    assert_eq!(Some(&trial.gone[0].id), trial.letters[0].id.as_ref());
    assert_eq!(
        trial.error("files.delete", &json!({"file": id})),
        "file_deleted"
    );
}

#[test]
fn files_are_held_to_what_was_announced() {
    let mut trial = Trial::of_app();
    let ask = |length: &str| json!({"filename": "a", "length": length});
    let method = "files.getUploadURLExternal";
    assert_eq!(trial.error(method, &ask("0")), "missing_argument");
    assert_eq!(trial.error(method, &ask("many")), "invalid_arguments");
    assert_eq!(
        trial.error(method, &ask("1000000001")),
        "file_upload_size_restricted"
    );
    let told = trial.api(method, &ask("4"));
    let target = told["upload_url"]
        .as_str()
        .unwrap()
        .strip_prefix(BASE)
        .unwrap()
        .to_owned();
    let unready = json!({"files": [{"id": told["file_id"]}]});
    assert_eq!(
        trial.error("files.completeUploadExternal", &unready),
        "file_not_found"
    );
    assert_eq!(
        trial.upload(&target, vec![part("", None, b"12345")]).status,
        400
    );
    assert_eq!(
        trial
            .upload(&target, vec![part("filename", Some("a"), b"1234")])
            .status,
        200
    );
    let told = trial.api("files.completeUploadExternal", &unready);
    assert_eq!(
        (&told["ok"], trial.letters.len()),
        (&json!(true), 0),
        "nobody sees it yet"
    );
    let again = trial.upload(&target, vec![part("", None, b"1234")]);
    assert_eq!(again.status, 404, "the file is complete");
}
