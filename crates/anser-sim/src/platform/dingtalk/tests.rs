//! The robot's table of codes, its signature and its penalty, from known answers.

use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::super::trial::{NOW, Trial};
use super::super::{Breach, Platform};
use super::*;

fn text(said: &str) -> Value {
    json!({"msgtype": "text", "text": {"content": said}})
}

fn errcode(answer: &Answer) -> i64 {
    assert_eq!(answer.status, 200, "every refusal is inside HTTP 200");
    answer.value()["errcode"].as_i64().unwrap()
}

fn signed(trial: &Trial, millis: i64) -> String {
    let secret = trial.robot.secret.as_deref().unwrap();
    let sign = hmac_base64(secret, &format!("{millis}\n{secret}"));
    let sign = utf8_percent_encode(&sign, NON_ALPHANUMERIC);
    let token = &trial.robot.token;
    format!("{SEND}?access_token={token}&timestamp={millis}&sign={sign}")
}

/// Vectors `dingtalk.webhook.sign/1700000000000` and `/1577262236757`.
#[test]
fn the_sign_is_that_of_the_documents() {
    for (time, secret, sign) in [
        (
            "1700000000000",
            "SECabc123",
            "N5P09a4%2Bp1AMJIJWnIvQd2Yxw9%2Bfu%2FoEBnPrjCcsLXk%3D",
        ),
        (
            "1577262236757",
            "this is secret",
            "hmPWwU%2B7lVdm3ZZz0r9tSfx0L4Q26jWOZr9%2BGs6EZQM%3D",
        ),
    ] {
        let mut trial = Trial::of(Platform::DingTalk);
        trial.robot.secret = Some(secret.to_owned());
        trial.now = Timestamp::from_millis(time.parse().unwrap());
        let token = trial.robot.token.clone();
        let target = format!("{SEND}?access_token={token}&timestamp={time}&sign={sign}");
        let answer = trial.post_to(&target, &text("hi"));
        assert_eq!(answer.said(), r#"{"errcode":0,"errmsg":"ok"}"#);
        let twice = target.replace('%', "%25");
        assert_eq!(
            errcode(&trial.post_to(&twice, &text("hi"))),
            310_000,
            "encoded twice"
        );
    }
}

#[test]
fn a_signature_is_asked_for_and_holds_an_hour() {
    let mut trial = Trial::of(Platform::DingTalk);
    let refused = trial.post(&text("hi"));
    assert!(
        refused
            .said()
            .starts_with(r#"{"errcode":310000,"errmsg":"description:机器人发送签名不匹配;"#)
    );
    let hour = 3_600_000;
    for (millis, code) in [
        (NOW - hour, 0),
        (NOW - hour - 1, 310_000),
        (NOW + hour, 0),
        (NOW + hour + 1, 310_000),
        (NOW / 1000, 310_000),
    ] {
        let target = signed(&trial, millis);
        assert_eq!(
            errcode(&trial.post_to(&target, &text("hi"))),
            code,
            "{millis}"
        );
    }
    assert!(
        trial
            .breaches
            .iter()
            .all(|breach| *breach == Breach::Credentials)
    );
}

#[test]
fn twenty_a_minute_then_nothing_for_ten_minutes() {
    let mut trial = Trial::unsigned(Platform::DingTalk);
    for _ in 0..20 {
        assert_eq!(errcode(&trial.post(&text("hi"))), 0);
        trial.advance(Duration::from_secs(2));
    }
    let refused = trial.post(&text("hi"));
    assert_eq!(
        refused.said(),
        r#"{"errcode":130101,"errmsg":"send too fast, exceed 20 times per minute","status":1111,"punish":"deny","wait":5}"#
    );
    trial.advance(Duration::from_secs(599));
    assert_eq!(errcode(&trial.post(&text("hi"))), 130_101);
    trial.advance(Duration::from_secs(1));
    assert_eq!(errcode(&trial.post(&text("hi"))), 0);
    assert_eq!(trial.breaches, [Breach::Rate, Breach::Rate]);
}

#[test]
fn token_keyword_size_and_media_type_are_checked() {
    let mut trial = Trial::unsigned(Platform::DingTalk);
    assert_eq!(
        errcode(&trial.post_to("/robot/send?access_token=x", &text("hi"))),
        300_001
    );
    trial.robot.keywords = vec!["Alarm".to_owned()];
    let refused = trial.post(&text("hi"));
    assert!(refused.said().contains("关键词不匹配"));
    assert_eq!(errcode(&trial.post(&text("Alarm"))), 0);
    assert_eq!(errcode(&trial.post(&text(&"Alarm".repeat(5000)))), 460_101);
    let path = trial.platform.path(&trial.robot);
    let body = text("Alarm").to_string();
    let answer = trial.send(http::Method::POST, &path, "text/plain", body.into());
    assert_eq!(errcode(&answer), 43_004);
    let answer = trial.send(
        http::Method::POST,
        &path,
        "application/json; charset=utf-8",
        "{".into(),
    );
    assert_eq!(errcode(&answer), 40_035);
}

#[test]
fn every_type_is_taken_whole_and_not_in_part() {
    let cases = [
        (
            json!({"msgtype": "link", "link": {"title": "T", "text": "x", "picUrl": "", "messageUrl": "https://e.com"}}),
            0,
        ),
        (
            json!({"msgtype": "link", "link": {"title": "T", "text": "x"}}),
            40_035,
        ),
        (
            json!({"msgtype": "markdown", "markdown": {"title": "p", "text": "#### T"}, "at": {"atMobiles": ["13800000000"]}}),
            0,
        ),
        (
            json!({"msgtype": "markdown", "markdown": {"text": "#### T"}}),
            40_035,
        ),
        (
            json!({"msgtype": "actionCard", "actionCard": {"title": "T", "text": "md", "singleTitle": "Open", "singleURL": "https://e.com"}}),
            0,
        ),
        (
            json!({"msgtype": "actionCard", "actionCard": {"title": "T", "text": "md", "btnOrientation": "1", "btns": [{"title": "A", "actionURL": "https://e.com/a"}]}}),
            0,
        ),
        (
            json!({"msgtype": "actionCard", "actionCard": {"title": "T", "text": "md"}}),
            40_035,
        ),
        (
            json!({"msgtype": "feedCard", "feedCard": {"links": [{"title": "T", "messageURL": "https://e.com", "picURL": "https://e.com/p.png"}]}}),
            0,
        ),
        (
            json!({"msgtype": "feedCard", "feedCard": {"links": []}}),
            40_035,
        ),
        (json!({"msgtype": "text", "text": {"content": ""}}), 40_035),
        (json!({"msgtype": "video"}), 400_105),
        (json!({}), 40_035),
    ];
    for (body, code) in cases {
        let mut trial = Trial::unsigned(Platform::DingTalk);
        assert_eq!(errcode(&trial.post(&body)), code, "{body}");
    }
}
