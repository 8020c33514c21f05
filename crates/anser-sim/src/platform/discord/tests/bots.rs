//! Bots: tokens, messages and their windows, nonces, replies, pings, files, changes; and files of webhooks.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method};
use serde_json::{Value, json};

use super::super::super::trial::{BASE, Trial, part};
use super::super::super::{Breach, Platform};
use super::*;

const MESSAGES: &str = "/api/v10/channels/1000000000000000001/messages";

impl Trial {
    /// With a bot, and its token.
    fn of_bot() -> Self {
        let mut trial = Self::of(Platform::Discord);
        trial.robot = Platform::Discord.app(1).unwrap();
        let token = format!("Bot {}", trial.robot.token);
        trial.authorization = Some(HeaderValue::try_from(token).unwrap());
        trial
    }

    fn asks(&mut self, method: Method, target: &str, body: &Value) -> Answer {
        self.send(method, target, "application/json", body.to_string().into())
    }

    /// Posts a message, which must be taken; answers it.
    fn posts(&mut self, body: &Value) -> Value {
        self.advance(Duration::from_secs(1));
        let answer = self.post_to(MESSAGES, body);
        assert_eq!(answer.status, 200, "{}", answer.said());
        answer.value()
    }

    fn code(&mut self, method: Method, target: &str, body: &Value) -> (u16, i64) {
        self.advance(Duration::from_secs(1));
        let answer = self.asks(method, target, body);
        (answer.status, answer.value()["code"].as_i64().unwrap())
    }
}

fn form(payload: &Value, files: &[(&str, &[u8])]) -> Vec<crate::intake::Part> {
    let named = |(place, (name, bytes)): (usize, &(&str, &[u8]))| {
        part(&format!("files[{place}]"), Some(name), bytes)
    };
    let mut parts = vec![part("payload_json", None, payload.to_string().as_bytes())];
    parts.extend(files.iter().enumerate().map(named));
    parts
}

#[test]
fn a_token_says_who_asks() {
    let mut trial = Trial::of_bot();
    let told = trial.send(Method::GET, "/api/v10/users/@me", "", Bytes::new());
    let me = told.value();
    assert_eq!(
        (&me["id"], &me["bot"]),
        (&json!("1200000000000000001"), &json!(true))
    );
    assert_eq!(told.header("via"), Some("1.1 google"));
    let app = trial.send(
        Method::GET,
        "/api/v10/oauth2/applications/@me",
        "",
        Bytes::new(),
    );
    assert_eq!(app.value()["id"], me["id"]);
    for wrong in [None, Some("Bot none"), Some("Bearer x")] {
        trial.authorization = wrong.map(HeaderValue::from_static);
        let refused = trial.post_to(MESSAGES, &json!({"content": "hi"}));
        assert_eq!(
            (refused.status, &refused.value()["code"]),
            (401, &json!(0)),
            "{wrong:?}"
        );
    }
    assert_eq!(trial.breaches, [Breach::Credentials; 3]);
    assert!(trial.letters.is_empty());
}

#[test]
fn every_kind_of_request_to_a_channel_has_a_window_and_the_bot_one_for_all() {
    let mut trial = Trial::of_bot();
    let hi = json!({"content": "hi"});
    let mut last = Value::Null;
    for remaining in ["4", "3", "2", "1", "0"] {
        let answer = trial.post_to(MESSAGES, &hi);
        assert_eq!(answer.header("x-ratelimit-remaining"), Some(remaining));
        last = answer.value();
    }
    let refused = trial.post_to(MESSAGES, &hi);
    assert_eq!(
        refused.said(),
        r#"{"message":"You are being rate limited.","retry_after":5.0,"global":false}"#
    );
    let message = format!("{MESSAGES}/{}", last["id"].as_str().unwrap());
    let edited = trial.asks(Method::PATCH, &message, &hi);
    assert_eq!(
        (edited.status, edited.header("x-ratelimit-remaining")),
        (200, Some("4"))
    );
    assert_ne!(
        edited.header("x-ratelimit-bucket"),
        refused.header("x-ratelimit-bucket")
    );
    trial.advance(Duration::from_secs(5));
    for _ in 0..50 {
        assert_eq!(
            trial
                .send(Method::GET, "/api/v10/users/@me", "", Bytes::new())
                .status,
            200
        );
    }
    let refused = trial.post_to(MESSAGES, &hi);
    assert_eq!(
        (refused.status, &refused.value()["global"]),
        (429, &json!(true))
    );
    assert_eq!(refused.header("x-ratelimit-scope"), Some("global"));
    assert_eq!(trial.breaches, [Breach::Rate; 2]);
}

#[test]
fn a_nonce_that_shall_be_unique_makes_one_message() {
    let mut trial = Trial::of_bot();
    let once = json!({"content": "hi", "nonce": "n1", "enforce_nonce": true});
    let first = trial.posts(&once);
    assert_eq!(first["nonce"], "n1");
    assert_eq!(trial.posts(&once)["id"], first["id"]);
    let loose = json!({"content": "hi", "nonce": "n1"});
    assert_ne!(
        trial.posts(&loose)["id"],
        first["id"],
        "it is not asked to be unique"
    );
    assert_eq!(trial.letters.len(), 2);
    trial.advance(Duration::from_secs(180));
    assert_ne!(
        trial.posts(&once)["id"],
        first["id"],
        "minutes later it is forgotten"
    );
    let long = json!({"content": "hi", "nonce": "x".repeat(26)});
    assert_eq!(trial.code(Method::POST, MESSAGES, &long), (400, 50_035));
}

#[test]
fn replies_name_a_message_that_is_there_or_say_that_it_need_not_be() {
    let mut trial = Trial::of_bot();
    let question = trial.posts(&json!({"content": "question"}));
    let reply = |id: &Value, fails: bool| json!({"content": "answer", "message_reference": {"message_id": id, "fail_if_not_exists": fails}});
    let answer = trial.posts(&reply(&question["id"], true));
    assert_eq!(
        (&answer["type"], &answer["referenced_message"]["id"]),
        (&json!(19), &question["id"])
    );
    let gone = json!("1234567890123456789");
    assert_eq!(
        trial.code(Method::POST, MESSAGES, &reply(&gone, true)),
        (400, 50_035)
    );
    let alone = trial.posts(&reply(&gone, false));
    assert_eq!(
        (&alone["type"], alone.get("message_reference")),
        (&json!(0), None)
    );
}

#[test]
fn only_what_is_allowed_is_pinged() {
    let mut trial = Trial::of_bot();
    let content = "<@11> <@!12> <@&13> @everyone `<@14>`";
    let all = trial.posts(&json!({"content": content}));
    let ids = |message: &Value| -> Vec<Value> {
        let mentions = message["mentions"].as_array().unwrap().iter();
        mentions.map(|user| user["id"].clone()).collect()
    };
    assert_eq!(
        (ids(&all), &all["mention_everyone"]),
        (vec![json!("11"), json!("12")], &json!(true))
    );
    assert_eq!(all["mention_roles"], json!(["13"]));
    let some = trial.posts(
        &json!({"content": content, "allowed_mentions": {"parse": ["roles"], "users": ["12"]}}),
    );
    assert_eq!(
        (ids(&some), &some["mention_everyone"]),
        (vec![json!("12")], &json!(false))
    );
    let none = trial.posts(&json!({"content": content, "allowed_mentions": {"parse": []}}));
    assert_eq!((ids(&none), &none["mention_roles"]), (vec![], &json!([])));
    for wrong in [
        json!({"parse": ["users"], "users": ["11"]}),
        json!({"parse": ["all"]}),
    ] {
        let body = json!({"content": "hi", "allowed_mentions": wrong});
        assert_eq!(
            trial.code(Method::POST, MESSAGES, &body),
            (400, 50_035),
            "{wrong}"
        );
    }
}

#[test]
fn files_ride_along_and_can_be_got_back() {
    let mut trial = Trial::of_bot();
    let payload = json!({"content": "two files", "attachments": [{"id": 1, "filename": "b c.txt", "description": "d"}, {"id": "0"}]});
    let answer = trial.upload(
        MESSAGES,
        form(&payload, &[("a.png", b"\x89PNG"), ("b", b"bytes")]),
    );
    assert_eq!(answer.status, 200, "{}", answer.said());
    let shown = answer.value();
    let names = ["a.png", "b c.txt"];
    for (place, name) in names.into_iter().enumerate() {
        assert_eq!(shown["attachments"][place]["filename"], name);
    }
    assert_eq!(shown["attachments"][1]["description"], "d");
    assert_eq!(
        (&*trial.letters[0].kind, trial.letters[0].uploads.len()),
        ("files", 2)
    );
    let url = shown["attachments"][1]["url"].as_str().unwrap();
    let path = url.strip_prefix(BASE).unwrap().replace("%20", " ");
    assert_eq!(
        trial.send(Method::GET, &path, "", Bytes::new()).said(),
        "bytes"
    );

    let unknown = form(&json!({"attachments": [{"id": 7}]}), &[("a", b"1")]);
    let refused = trial.upload(MESSAGES, unknown);
    assert_eq!(
        refused.value()["errors"]["attachments"]["0"]["_errors"][0]["code"],
        "ATTACHMENT_NOT_FOUND"
    );
    let mut large = form(&json!({}), &[("a", b"1")]);
    large[1].content.size = (10 << 20) + 1;
    let refused = trial.upload(MESSAGES, large);
    assert_eq!(
        (refused.status, &refused.value()["code"]),
        (413, &json!(40_005))
    );
    let eleven = vec![("a", &b"1"[..]); 11];
    assert_eq!(
        trial.upload(MESSAGES, form(&json!({}), &eleven)).value()["code"],
        30_015
    );
}

#[test]
fn an_edit_changes_what_it_names_and_files_as_it_lists_them() {
    let mut trial = Trial::of_bot();
    let answer = trial
        .upload(
            MESSAGES,
            form(&json!({"content": "old"}), &[("a", b"1"), ("b", b"2")]),
        )
        .value();
    let message = format!("{MESSAGES}/{}", answer["id"].as_str().unwrap());
    let edited = trial
        .asks(Method::PATCH, &message, &json!({"content": "new"}))
        .value();
    assert_eq!(
        (
            &edited["content"],
            edited["attachments"].as_array().unwrap().len()
        ),
        (&json!("new"), 2)
    );
    assert!(edited["edited_timestamp"].is_string());
    let keeps = json!({"content": null, "attachments": [{"id": edited["attachments"][1]["id"]}, {"id": 0, "filename": "c"}]});
    let edited = trial
        .send_form(Method::PATCH, &message, form(&keeps, &[("x", b"3")]))
        .value();
    let attachments = edited["attachments"].as_array().unwrap();
    let names = attachments
        .iter()
        .filter_map(|shown| shown["filename"].as_str());
    let names: Vec<&str> = names.collect();
    assert_eq!((&edited["content"], names), (&json!(""), vec!["b", "c"]));
    assert_eq!(trial.changes[1].uploads.len(), 2);
    let nothing = json!({"content": "", "attachments": []});
    assert_eq!(trial.code(Method::PATCH, &message, &nothing), (400, 50_006));
    assert_eq!(
        trial.asks(Method::GET, &message, &json!({})).value()["id"],
        answer["id"]
    );
    let gone = trial.asks(Method::DELETE, &message, &json!({}));
    assert_eq!((gone.status, gone.said()), (204, ""));
    assert_eq!(trial.gone[0].id, answer["id"].as_str().unwrap());
    assert_eq!(
        trial.code(Method::DELETE, &message, &json!({})),
        (404, 10_008)
    );
}

#[test]
fn channels_that_are_not_there_or_closed_are_told() {
    let mut trial = Trial::of_bot();
    let hi = json!({"content": "hi"});
    let at = |channel: &str| format!("/api/v10/channels/{channel}/messages");
    for (channel, code) in [
        ("1000000000000000009", (404, 10_003)),
        ("1000000000000000002", (403, 50_013)),
        ("general", (400, 50_035)),
    ] {
        assert_eq!(
            trial.code(Method::POST, &at(channel), &hi),
            code,
            "{channel}"
        );
    }
    assert_eq!(
        trial.code(Method::POST, MESSAGES, &json!({})),
        (400, 50_006)
    );
    assert_eq!(
        trial.code(Method::POST, MESSAGES, &json!([])),
        (400, 50_109)
    );
    assert_eq!(trial.code(Method::PUT, MESSAGES, &hi), (405, 0));
    assert_eq!(trial.code(Method::GET, "/api/v10/guilds", &hi), (404, 0));
    let person = json!({"recipient_id": "1000000000000001001"});
    let opened = trial
        .post_to("/api/v10/users/@me/channels", &person)
        .value();
    let channel = opened["id"].as_str().unwrap();
    assert_eq!(
        trial.post_to(&at(channel), &hi).value()["channel_id"],
        channel
    );
    let nobody = json!({"recipient_id": "1"});
    assert_eq!(
        trial.code(Method::POST, "/api/v10/users/@me/channels", &nobody),
        (400, 50_033)
    );
}

#[test]
fn buttons_and_addresses_are_looked_into() {
    let mut trial = Trial::of_bot();
    let rows = |button: Value| json!({"content": "t", "components": [{"type": 1, "components": [button]}]});
    trial.posts(&rows(
        json!({"type": 2, "style": 5, "label": "x".repeat(80), "url": "https://a.example"}),
    ));
    for wrong in [
        rows(json!({"type": 2, "style": 5, "label": "no address"})),
        rows(json!({"type": 2, "style": 5, "label": "x".repeat(81), "url": "https://a.example"})),
        json!({"content": "t", "components": [{"type": 1, "components": []}]}),
        json!({"embeds": [{"title": "t", "image": {"url": "javascript:alert(1)"}}]}),
    ] {
        assert_eq!(
            trial.code(Method::POST, MESSAGES, &wrong),
            (400, 50_035),
            "{wrong}"
        );
    }
    trial.posts(&json!({"embeds": [{"title": "t", "image": {"url": "attachment://a.png"}}]}));
}

#[test]
fn what_a_webhook_posted_is_its_own_to_change() {
    let mut trial = Trial::of(Platform::Discord);
    let path = format!("/api/v10/webhooks/{}", trial.robot.token);
    let waiting = format!("{path}?wait=true");
    let posted = trial
        .upload(
            &waiting,
            form(&json!({"content": "with a file"}), &[("a.txt", b"abc")]),
        )
        .value();
    assert_eq!(posted["attachments"][0]["size"], 3);
    let message = format!("{path}/messages/{}", posted["id"].as_str().unwrap());
    let edited = trial.asks(
        Method::PATCH,
        &message,
        &json!({"content": "new", "attachments": []}),
    );
    assert_eq!(
        (edited.status, &edited.value()["attachments"]),
        (200, &json!([]))
    );
    let in_thread = format!("{message}?thread_id=42");
    assert_eq!(
        trial.code(Method::PATCH, &in_thread, &json!({"content": "x"})),
        (404, 10_008)
    );
    assert_eq!(trial.asks(Method::DELETE, &message, &json!({})).status, 204);
    assert_eq!(trial.gone[0].conversation, trial.robot.token);
    assert_eq!(trial.code(Method::GET, &message, &json!({})), (404, 10_008));
    assert_eq!(trial.code(Method::PUT, &message, &json!({})), (405, 0));
    let once = json!({"content": "hi", "nonce": "n", "enforce_nonce": true});
    trial.advance(Duration::from_secs(2));
    let (first, second) = (
        trial.post_to(&waiting, &once).value(),
        trial.post_to(&waiting, &once).value(),
    );
    assert_ne!(first["id"], second["id"], "webhooks have no nonces");
}
