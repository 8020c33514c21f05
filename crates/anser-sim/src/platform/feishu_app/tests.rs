//! Tokens, messages, replies, keys and the table of codes.

mod changes;
mod media;

use std::time::Duration;

use bytes::Bytes;
use http::HeaderValue;

use super::super::Platform;
use super::super::trial::Trial;
use super::messages::{KEY_LIFE, RICH_BYTES_MAX};
use super::*;

fn trial() -> Trial {
    let mut trial = Trial::of(Platform::Feishu);
    trial.robot = app(1);
    trial
}

fn token(trial: &mut Trial) -> Value {
    let ask = json!({"app_id": trial.robot.token, "app_secret": trial.robot.secret});
    trial.post_to(TENANT_TOKEN, &ask).value()
}

/// Has the robot of the trial ask with a token of its own from now on.
fn authorize(trial: &mut Trial) {
    let given = token(trial);
    bear(trial, &given);
}

fn bear(trial: &mut Trial, given: &Value) {
    let bearer = format!("Bearer {}", given["tenant_access_token"].as_str().unwrap());
    trial.authorization = Some(HeaderValue::try_from(bearer).unwrap());
}

fn authorized() -> Trial {
    let mut trial = trial();
    authorize(&mut trial);
    trial
}

fn message(kind: &str, content: &Value, key: &str) -> Value {
    json!({"receive_id": "oc_1", "msg_type": kind, "content": content.to_string(), "uuid": key})
}

fn hi(key: &str) -> Value {
    message("text", &json!({"text": "hi"}), key)
}

fn send(trial: &mut Trial, body: &Value) -> Value {
    let target = format!("{MESSAGES}?receive_id_type=chat_id");
    trial.post_to(&target, body).value()
}

#[test]
fn a_token_is_given_again_until_its_last_half_hour() {
    let mut trial = trial();
    let first = token(&mut trial);
    assert_eq!(
        (&first["code"], &first["expire"]),
        (&json!(0), &json!(7200))
    );
    trial.advance(TOKEN_LIFE - TOKEN_AGAIN);
    let again = token(&mut trial);
    assert_eq!(again["tenant_access_token"], first["tenant_access_token"]);
    assert_eq!(again["expire"], 1800);
    trial.advance(Duration::from_secs(1));
    let next = token(&mut trial);
    assert_ne!(next["tenant_access_token"], first["tenant_access_token"]);
    for given in [&first, &next] {
        bear(&mut trial, given);
        assert_eq!(send(&mut trial, &hi(""))["code"], 0, "both are valid");
    }
    let ask = json!({"app_id": trial.robot.token, "app_secret": trial.robot.secret});
    let both = trial.post_to(APP_TOKEN, &ask).value();
    assert_eq!(both["app_access_token"], next["tenant_access_token"]);
    trial.robot.secret = Some("another".to_owned());
    let ask = json!({"app_id": trial.robot.token, "app_secret": "wrong"});
    assert_eq!(trial.post_to(TENANT_TOKEN, &ask).value()["code"], 10014);
    assert_eq!(
        trial.post_to(TENANT_TOKEN, &json!({})).value()["code"],
        10003
    );
}

#[test]
fn a_message_needs_a_valid_token() {
    let mut trial = trial();
    assert_eq!(send(&mut trial, &hi(""))["code"], 99_991_661);
    trial.authorization = Some(HeaderValue::from_static("Bearer t-other"));
    assert_eq!(send(&mut trial, &hi(""))["code"], 99_991_663);
    let mut trial = authorized();
    assert_eq!(send(&mut trial, &hi(""))["code"], 0);
    trial.advance(TOKEN_LIFE);
    assert_eq!(send(&mut trial, &hi(""))["code"], 99_991_663);
}

#[test]
fn one_key_makes_one_message_within_an_hour() {
    let mut trial = authorized();
    let first = send(&mut trial, &hi("k1"));
    assert_eq!(send(&mut trial, &hi("k1")), first);
    let other = send(&mut trial, &hi("k2"));
    assert_ne!(other["data"]["message_id"], first["data"]["message_id"]);
    assert_eq!(trial.letters.len(), 2);
    trial.advance(KEY_LIFE);
    send(&mut trial, &hi("k1"));
    assert_eq!(trial.letters.len(), 3);
    assert_eq!(send(&mut trial, &hi(&"k".repeat(51)))["code"], 230_001);
}

#[test]
fn replies_go_to_what_exists() {
    let mut trial = authorized();
    let sent = send(&mut trial, &hi(""));
    let id = sent["data"]["message_id"].as_str().unwrap().to_owned();
    let reply = json!({"msg_type": "text", "content": "{\"text\":\"r\"}", "reply_in_thread": true});
    let path = format!("{MESSAGES}/{id}/reply");
    let answer = trial.post_to(&path, &reply).value();
    assert_eq!(answer["data"]["parent_id"], id);
    assert!(answer["data"]["thread_id"].is_string());
    assert_eq!(trial.letters[1].conversation, "oc_1");
    let recalled = trial.send(
        Method::DELETE,
        &format!("{MESSAGES}/{id}"),
        "application/json",
        Bytes::new(),
    );
    assert_eq!(recalled.value()["code"], 0);
    assert_eq!(trial.post_to(&path, &reply).value()["code"], 230_011);
    let unknown = format!("{MESSAGES}/om_1/reply");
    assert_eq!(trial.post_to(&unknown, &reply).value()["code"], 230_001);
}

#[test]
fn five_a_second_to_a_chat_and_fifty_of_the_app() {
    let mut trial = authorized();
    for _ in 0..5 {
        assert_eq!(send(&mut trial, &hi(""))["code"], 0);
    }
    assert_eq!(send(&mut trial, &hi(""))["code"], 230_020);
    for chat in 0..45 {
        let mut body = hi("");
        body["receive_id"] = format!("oc_other{chat}").into();
        assert_eq!(send(&mut trial, &body)["code"], 0);
    }
    let mut body = hi("");
    body["receive_id"] = "oc_last".into();
    let answer = trial.post_to(&format!("{MESSAGES}?receive_id_type=chat_id"), &body);
    assert_eq!(
        (answer.status, &answer.value()["code"]),
        (429, &json!(99_991_400))
    );
    assert_eq!(answer.header("x-ogw-ratelimit-reset"), Some("1"));
    assert_eq!(trial.breaches, [Breach::Rate, Breach::Rate]);
}

#[test]
fn content_is_checked_by_its_type() {
    let card =
        json!({"schema": "2.0", "body": {"elements": [{"tag": "markdown", "content": "b"}]}});
    let post = json!({"zh_cn": {"content": [[{"tag": "text", "text": "x"}]]}});
    for (kind, content, code) in [
        ("text", json!({"text": "t"}), 0),
        ("text", json!({}), 230_001),
        ("post", post.clone(), 0),
        ("post", json!({"post": post}), 230_001),
        ("interactive", card, 0),
        (
            "interactive",
            json!({"type": "card", "data": {"card_id": "7"}}),
            0,
        ),
        ("interactive", json!({}), 230_001),
        ("image", json!({"image_key": "img_1"}), 230_001),
        ("image", json!({"image_key": "x"}), 230_001),
        ("file", json!({"file_key": "file_1"}), 230_001),
        ("sticker", json!({"file_key": "file_1"}), 0),
        ("share_chat", json!({"chat_id": "oc_1"}), 0),
        ("share_user", json!({"user_id": "ou_1"}), 0),
        ("system", json!({"type": "divider"}), 0),
        ("video", json!({}), 230_001),
    ] {
        let mut trial = authorized();
        let answer = send(&mut trial, &message(kind, &content, ""));
        assert_eq!(answer["code"], code, "{kind} {content}");
    }
    let mut trial = authorized();
    let mut not_a_string = hi("");
    not_a_string["content"] = json!({"text": "t"});
    assert_eq!(send(&mut trial, &not_a_string)["code"], 230_001);
    let long =
        json!({"zh_cn": {"content": [[{"tag": "text", "text": "x".repeat(RICH_BYTES_MAX)}]]}});
    assert_eq!(
        send(&mut trial, &message("post", &long, ""))["code"],
        230_025
    );
    for (id_type, code) in [
        ("open_id", 230_001),
        ("email", 230_001),
        ("x", 230_001),
        ("user_id", 0),
    ] {
        let target = format!("{MESSAGES}?receive_id_type={id_type}");
        assert_eq!(
            trial.post_to(&target, &hi("")).value()["code"],
            code,
            "{id_type}"
        );
    }
}
