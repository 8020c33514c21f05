//! The webhook's answers, headers, limits of embeds, and the ban; bots are in `bots`.

mod bots;

use std::time::Duration;

use serde_json::{Value, json};

use super::super::trial::{NOW, Trial};
use super::super::{Breach, Platform};
use super::*;

fn content(said: &str) -> Value {
    json!({"content": said, "allowed_mentions": {"parse": []}})
}

fn waiting(trial: &Trial) -> String {
    format!("/api/v10/webhooks/{}?wait=true", trial.robot.token)
}

#[test]
fn who_waits_is_shown_the_message() {
    let mut trial = Trial::of(Platform::Discord);
    let answer = trial.post(&content("hi"));
    assert_eq!((answer.status, answer.said()), (204, ""));
    let target = waiting(&trial);
    let answer = trial.post_to(&target, &content("hi"));
    assert_eq!(answer.status, 200);
    let shown = answer.value();
    assert_eq!(shown["content"], "hi");
    let id: i64 = shown["id"].as_str().unwrap().parse().unwrap();
    assert_eq!((id >> ID_TIME_SHIFT) + EPOCH_MS, NOW);
    assert_eq!(trial.letters[1].id.as_deref(), shown["id"].as_str());
    let thread = format!("{target}&thread_id=42");
    let shown = trial.post_to(&thread, &content("hi")).value();
    assert_eq!(shown["channel_id"], "42");
    assert_eq!(trial.letters[2].conversation, "42");
}

#[test]
fn every_answer_tells_the_window() {
    let mut trial = Trial::of(Platform::Discord);
    let target = waiting(&trial);
    for remaining in ["4", "3", "2", "1", "0"] {
        let answer = trial.post_to(&target, &content("hi"));
        assert_eq!(answer.header("x-ratelimit-limit"), Some("5"));
        assert_eq!(answer.header("x-ratelimit-remaining"), Some(remaining));
        assert_eq!(answer.header("via"), Some("1.1 google"));
        trial.advance(Duration::from_millis(100));
    }
    let refused = trial.post_to(&target, &content("hi"));
    assert_eq!(
        (refused.status, refused.said()),
        (
            429,
            r#"{"message":"You are being rate limited.","retry_after":1.5,"global":false}"#
        )
    );
    assert_eq!(refused.header("retry-after"), Some("2"));
    assert_eq!(refused.header("x-ratelimit-scope"), Some("user"));
    assert_eq!(refused.header("x-ratelimit-reset-after"), Some("1.500"));
    assert_eq!(refused.header("x-ratelimit-reset"), Some("1700000002.000"));
    trial.advance(Duration::from_millis(1500));
    assert_eq!(trial.post_to(&target, &content("hi")).status, 200);
    assert_eq!(trial.breaches, [Breach::Rate]);
}

#[test]
fn what_is_not_known_has_its_code() {
    let mut trial = Trial::of(Platform::Discord);
    let code = |answer: &Answer| (answer.status, answer.value()["code"].as_i64().unwrap());
    assert_eq!(
        code(&trial.post_to("/api/webhooks/1/x", &content("hi"))),
        (404, 10_015)
    );
    let id = trial.robot.token.split('/').next().unwrap().to_owned();
    assert_eq!(
        code(&trial.post_to(&format!("/api/webhooks/{id}/x"), &content("hi"))),
        (401, 50_027)
    );
    assert_eq!(code(&trial.post(&json!({"content": " "}))), (400, 50_006));
    assert_eq!(code(&trial.post_to("/api/v10/users", &json!({}))), (404, 0));
    let path = trial.platform.path(&trial.robot);
    assert_eq!(
        code(&trial.send(http::Method::POST, &path, "application/json", "{".into())),
        (400, 50_109)
    );
    let shown = trial.send(http::Method::GET, &path, "", Bytes::new());
    assert_eq!((shown.status, &shown.value()["id"]), (200, &json!(id)));
}

#[test]
fn what_is_too_long_is_told_where() {
    let mut trial = Trial::of(Platform::Discord);
    assert_eq!(trial.post(&content(&"你".repeat(2000))).status, 204);
    let refused = trial.post(&content(&"x".repeat(2001)));
    assert_eq!(
        refused.said(),
        r#"{"message":"Invalid Form Body","code":50035,"errors":{"content":{"_errors":[{"code":"BASE_TYPE_MAX_LENGTH","message":"Must be 2000 or fewer in length."}]}}}"#
    );
    let embed = |description: usize, field: usize| json!({"description": "x".repeat(description), "fields": [{"name": "n", "value": "x".repeat(field)}]});
    let refused = trial.post(&json!({"embeds": [embed(1, 1), embed(1, 1025)]}));
    let errors = &refused.value()["errors"];
    assert_eq!(
        errors["embeds"]["1"]["fields"]["0"]["value"]["_errors"][0]["code"],
        "BASE_TYPE_MAX_LENGTH"
    );
    let refused = trial.post(&json!({"embeds": [embed(4096, 1), embed(1902, 1)]}));
    let errors = &refused.value()["errors"];
    assert_eq!(
        errors["embeds"]["_errors"][0]["code"],
        "MAX_EMBED_SIZE_EXCEEDED"
    );
    assert_eq!(
        trial.post(&json!({"embeds": vec![embed(1, 1); 11]})).status,
        400
    );
    assert_eq!(trial.breaches, [Breach::Size; 4]);
    trial.advance(Duration::from_secs(2));
    assert_eq!(
        trial
            .post(&json!({"embeds": [embed(4096, 1), embed(1899, 1)]}))
            .status,
        204
    );
}

#[test]
fn whoever_goes_on_is_banned_without_the_platforms_headers() {
    let mut trial = Trial::of(Platform::Discord);
    let id = trial.robot.token.split('/').next().unwrap().to_owned();
    let wrong = format!("/api/webhooks/{id}/x");
    for _ in 0..BAN_AFTER {
        assert_eq!(trial.post_to(&wrong, &json!({})).status, 401);
    }
    let banned = trial.post(&content("hi"));
    assert_eq!((banned.status, banned.header("via")), (429, None));
    trial.advance(BAN_WINDOW);
    assert_eq!(trial.post(&content("hi")).status, 204);
}
