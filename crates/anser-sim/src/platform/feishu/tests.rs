//! The robot's table of codes, its signature and its windows, from known answers.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::trial::Trial;
use super::super::{Breach, Platform};
use super::*;

fn text(said: &str) -> Value {
    json!({"msg_type": "text", "content": {"text": said}})
}

fn signed(trial: &Trial, seconds: i64) -> Value {
    let secret = trial.robot.secret.as_deref().unwrap();
    let sign = hmac_base64(&format!("{seconds}\n{secret}"), "");
    let mut body = text("hi");
    body["timestamp"] = seconds.to_string().into();
    body["sign"] = sign.into();
    body
}

/// Vectors `feishu.webhook.sign/1599360473` and `/1700000000`.
#[test]
fn the_sign_is_that_of_the_guide() {
    for (time, secret, sign) in [
        (
            "1599360473",
            "demo",
            "l1N0gAcBjdwBvGm1xMjOF0XSyaLRpR7tuO5dHfhAYc8=",
        ),
        (
            "1700000000",
            "SECabc123",
            "UqhI0v4zAkSwI4hNYBuHQvnrAqshA0UaeBGHCUMPX70=",
        ),
    ] {
        assert_eq!(hmac_base64(&format!("{time}\n{secret}"), ""), sign);
        let mut trial = Trial::of(Platform::Feishu);
        trial.robot.secret = Some(secret.to_owned());
        trial.now = Timestamp::from_millis(time.parse::<i64>().unwrap() * 1000);
        let mut body = text("hi");
        body["timestamp"] = time.into();
        body["sign"] = sign.into();
        assert_eq!(trial.post(&body).value()["code"], 0);
    }
}

#[test]
fn success_is_the_whole_legacy_body() {
    let mut trial = Trial::unsigned(Platform::Feishu);
    let answer = trial.post(&text("hi <at user_id=\"all\">all</at>"));
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.said(),
        r#"{"code":0,"msg":"success","data":{},"StatusCode":0,"StatusMessage":"success","Extra":null}"#
    );
    assert_eq!(trial.letters[0].kind, "text");
    assert_eq!(trial.letters[0].text, "hi <at user_id=\"all\">all</at>");
}

#[test]
fn a_signature_is_asked_for_and_holds_an_hour() {
    let mut trial = Trial::of(Platform::Feishu);
    let now = trial.now.seconds();
    let refused = trial.post(&text("hi"));
    assert_eq!(
        refused.said(),
        r#"{"code":19021,"msg":"sign match fail or timestamp is not within one hour from current time","data":{}}"#
    );
    assert_eq!(refused.status, 200, "a refusal inside HTTP 200");
    for (seconds, code) in [
        (now - 3600, 0),
        (now - 3601, 19021),
        (now + 3600, 0),
        (now + 3601, 19021),
    ] {
        let body = signed(&trial, seconds);
        assert_eq!(trial.post(&body).value()["code"], code, "{seconds}");
    }
    let mut forged = signed(&trial, now);
    forged["sign"] = "AAAA".into();
    assert_eq!(trial.post(&forged).value()["code"], 19021);
    assert!(
        trial
            .breaches
            .iter()
            .all(|breach| *breach == Breach::Credentials)
    );
}

#[test]
fn five_a_second_and_a_hundred_a_minute() {
    let mut trial = Trial::unsigned(Platform::Feishu);
    for _ in 0..5 {
        assert_eq!(trial.post(&text("hi")).value()["code"], 0);
    }
    let refused = trial.post(&text("hi"));
    assert_eq!(
        (refused.status, &refused.value()["code"]),
        (200, &json!(11232))
    );
    trial.advance(Duration::from_secs(1));
    for _ in 0..95 {
        trial.advance(Duration::from_millis(250));
        assert_eq!(trial.post(&text("hi")).value()["code"], 0);
    }
    trial.advance(Duration::from_secs(1));
    assert_eq!(trial.post(&text("hi")).value()["code"], 11232);
    trial.advance(Duration::from_secs(60));
    assert_eq!(trial.post(&text("hi")).value()["code"], 0);
    assert_eq!(trial.breaches, [Breach::Rate, Breach::Rate]);
}

#[test]
fn token_keyword_and_size_are_checked() {
    let mut trial = Trial::unsigned(Platform::Feishu);
    assert_eq!(
        trial
            .post_to("/open-apis/bot/v2/hook/other", &text("hi"))
            .value()["code"],
        19001
    );
    trial.robot.keywords = vec!["Alarm".to_owned()];
    assert_eq!(trial.post(&text("hi")).value()["code"], 19024);
    assert_eq!(trial.post(&text("Alarm: hi")).value()["code"], 0);
    let edge = BODY_MAX - text("Alarm").to_string().len();
    assert_eq!(
        trial
            .post(&text(&format!("Alarm{}", "x".repeat(edge))))
            .value()["code"],
        0
    );
    let large = trial.post(&text(&format!("Alarm{}", "x".repeat(edge + 1))));
    assert_eq!((large.status, &large.value()["code"]), (400, &json!(9499)));
    assert_eq!(trial.breaches.last(), Some(&Breach::Size));
    assert_eq!(trial.post_to("/other", &text("hi")).status, 404);
}

#[test]
fn every_type_is_taken_whole_and_not_in_part() {
    let post = |nodes: Value| json!({"msg_type": "post", "content": {"post": {"zh_cn": {"title": "T", "content": nodes}}}});
    let cases = [
        (
            post(
                json!([[{"tag": "text", "text": "a "}, {"tag": "a", "text": "l", "href": "https://e.com"}, {"tag": "at", "user_id": "ou_x"}]]),
            ),
            true,
        ),
        (post(json!([[{"tag": "img", "image_key": "img_x"}]])), true),
        (post(json!([[{"tag": "blink", "text": "a"}]])), false),
        (
            post(json!([{"tag": "text", "text": "no paragraph"}])),
            false,
        ),
        (
            json!({"msg_type": "post", "content": {"zh_cn": {"content": []}}}),
            false,
        ),
        (
            json!({"msg_type": "image", "content": {"image_key": "img_v3_x"}}),
            true,
        ),
        (
            json!({"msg_type": "image", "content": {"image_key": "https://e.com/a.png"}}),
            false,
        ),
        (
            json!({"msg_type": "share_chat", "content": {"share_chat_id": "oc_x"}}),
            true,
        ),
        (
            json!({"msg_type": "interactive", "card": {"schema": "2.0", "body": {"elements": [{"tag": "markdown", "content": "**b**"}]}}}),
            true,
        ),
        (
            json!({"msg_type": "interactive", "card": {"elements": [{"tag": "markdown", "content": "**b**"}]}}),
            true,
        ),
        (
            json!({"msg_type": "interactive", "content": {"elements": []}}),
            false,
        ),
        (
            json!({"msg_type": "interactive", "card": {"schema": "2.0", "elements": []}}),
            false,
        ),
        (json!({"msg_type": "text", "content": "hi"}), false),
        (
            json!({"msg_type": "file", "content": {"file_key": "file_x"}}),
            false,
        ),
        (json!([]), false),
    ];
    for (body, whole) in cases {
        let mut trial = Trial::unsigned(Platform::Feishu);
        let code = &trial.post(&body).value()["code"];
        assert_eq!(*code == 0, whole, "{body}: {code}");
    }
}
