//! Tickets, what is subscribed to, pings, the end that is asked for, and what comes again.

use super::super::{TALKS, app};
use super::*;
use crate::Said;
use crate::platform::Platform;
use crate::platform::trial::Trial;

fn trial() -> Trial {
    let mut trial = Trial::of(Platform::DingTalk);
    trial.robot = app(1);
    trial
}

fn ask(trial: &mut Trial, secret: &str, subscriptions: &Value) -> Answer {
    let body = json!({"clientId": trial.robot.token, "clientSecret": secret, "subscriptions": subscriptions, "ua": "test"});
    trial.post_to(OPEN, &body)
}

fn open(trial: &mut Trial, line: u64, topic: &str) {
    let secret = trial.robot.secret.clone().unwrap();
    let subscriptions =
        json!([{"type": "EVENT", "topic": "*"}, {"type": "CALLBACK", "topic": topic}]);
    let told = ask(trial, &secret, &subscriptions).value();
    let text = |name: &str| told[name].as_str().unwrap().to_owned();
    let target = format!("{}?ticket={}", text("endpoint"), text("ticket"));
    trial.open(&target, line).unwrap();
    assert_eq!(trial.open(&target, 99).unwrap_err().status, 401);
}

fn say(trial: &mut Trial, chat: &str, text: &str, reply_to: Option<String>) -> String {
    let said = Said {
        chat: chat.to_owned(),
        name: "Ann".to_owned(),
        text: text.to_owned(),
        reply_to,
        file: None,
    };
    trial.say(&said, 1)
}

/// The frames that are said.
fn frames(told: &[Told]) -> Vec<Value> {
    let frames = told.iter().filter_map(|told| match told {
        Told::Text(text) => Some(serde_json::from_str(text).unwrap()),
        _ => None,
    });
    frames.collect()
}

fn data(frame: &Value) -> Value {
    serde_json::from_str(frame["data"].as_str().unwrap()).unwrap()
}

fn answer(frame: &Value, code: u16) -> Value {
    json!({"code": code, "headers": {"messageId": frame["headers"]["messageId"]}, "message": "OK", "data": "{}"})
}

#[test]
fn a_stream_is_for_who_has_the_secret_and_subscribes() {
    let mut trial = trial();
    let some = json!([{"type": "EVENT", "topic": "*"}]);
    let refused = ask(&mut trial, "x", &some);
    assert_eq!(
        (refused.status, &refused.value()["code"]),
        (401, &json!("authFailed"))
    );
    let secret = trial.robot.secret.clone().unwrap();
    assert_eq!(ask(&mut trial, &secret, &json!([])).status, 400);
    open(&mut trial, 1, ROBOT);
}

#[test]
fn what_is_said_comes_to_who_asked_for_it_until_it_is_taken() {
    let mut trial = trial();
    open(&mut trial, 1, "/v1.0/graph/api/invoke");
    open(&mut trial, 2, ROBOT);
    let first = say(&mut trial, TALKS[0], "@Anser hi", None);
    assert!(trial.hears(1, Heard::Look).is_empty());
    let told = trial.hears(2, Heard::Look);
    assert_eq!(told.last(), Some(&Told::Sent));
    let frame = frames(&told).remove(0);
    assert_eq!(frame["headers"]["topic"], ROBOT);
    let message = data(&frame);
    assert_eq!(message["msgId"], json!(first));
    assert_eq!(
        (&message["conversationType"], &message["isInAtList"]),
        (&json!("2"), &json!(true))
    );
    assert_eq!(message["text"]["content"], " hi");
    assert!(trial.bot_says(2, &answer(&frame, 500)).is_empty());
    trial.advance(Duration::from_secs(1));
    let again = frames(&trial.hears(2, Heard::Look)).remove(0);
    assert_eq!(data(&again)["msgId"], json!(first));
    assert_eq!(trial.bot_says(2, &answer(&again, 200)), [Told::Taken]);

    say(&mut trial, TALKS[0], "more", Some(first.clone()));
    say(&mut trial, TALKS[1], "alone", None);
    let told = frames(&trial.hears(2, Heard::Look));
    assert_eq!(data(&told[0])["text"]["repliedMsg"]["msgId"], json!(first));
    let alone = data(&told[1]);
    assert_eq!(
        (&alone["conversationType"], &alone["senderStaffId"]),
        (&json!("1"), &json!(TALKS[1]))
    );
}

#[test]
fn the_platform_pings_and_asks_for_another_connection() {
    let mut trial = trial();
    open(&mut trial, 1, ROBOT);
    trial.advance(PING_EVERY);
    let ping = frames(&trial.hears(1, Heard::Look)).remove(0);
    assert_eq!(
        (&ping["type"], &ping["headers"]["topic"]),
        (&json!("SYSTEM"), &json!("ping"))
    );
    assert!(trial.bot_says(1, &answer(&ping, 200)).is_empty());
    let told = frames(&trial.hears(1, Heard::Refresh)).remove(0);
    assert_eq!(told["headers"]["topic"], "disconnect");
    say(&mut trial, TALKS[0], "hi", None);
    assert!(
        trial.hears(1, Heard::Look).is_empty(),
        "nothing more comes on it"
    );
    open(&mut trial, 2, ROBOT);
    assert_eq!(frames(&trial.hears(2, Heard::Opened)).len(), 1);
    trial.advance(LEAVE_AFTER);
    assert!(matches!(
        trial.hears(1, Heard::Look)[..],
        [Told::Close(1000, _)]
    ));
    assert!(matches!(
        trial.hears(2, Heard::Binary(vec![1].into()))[..],
        [Told::Close(1003, _)]
    ));
}
