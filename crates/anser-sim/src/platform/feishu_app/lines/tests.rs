//! Addresses, tickets, pings, parts, and what comes again.

use super::super::app;
use super::*;
use crate::Said;
use crate::platform::Platform;
use crate::platform::trial::Trial;

fn trial() -> Trial {
    let mut trial = Trial::of(Platform::Feishu);
    trial.robot = app(1);
    trial
}

fn address(trial: &mut Trial) -> Value {
    let ask = json!({"AppID": trial.robot.token, "AppSecret": trial.robot.secret});
    trial.post_to(ADDRESS, &ask).value()
}

/// A connection of the number 1.
fn connected() -> Trial {
    let mut trial = trial();
    let told = address(&mut trial);
    trial
        .open(told["data"]["URL"].as_str().unwrap(), 1)
        .unwrap();
    trial
}

fn say(trial: &mut Trial, text: &str, copies: usize) -> String {
    let said = Said {
        chat: super::super::TALKS[0].to_owned(),
        name: "Ann".to_owned(),
        text: text.to_owned(),
        ..Said::default()
    };
    trial.say(&said, copies)
}

fn frames(told: &[Told]) -> Vec<Frame> {
    let frames = told.iter().filter_map(|told| match told {
        Told::Binary(bytes) => Some(Frame::decode(bytes.clone()).unwrap()),
        _ => None,
    });
    frames.collect()
}

fn answer(frame: &Frame, code: u16) -> Heard {
    let mut frame = frame.clone();
    frame.payload = Some(json!({"code": code}).to_string().into_bytes());
    Heard::Binary(frame.encode_to_vec().into())
}

#[test]
fn an_address_is_for_who_has_the_secret_and_good_once() {
    let mut trial = trial();
    let wrong = json!({"AppID": trial.robot.token, "AppSecret": "x"});
    assert_eq!(trial.post_to(ADDRESS, &wrong).value()["code"], 514);
    let told = address(&mut trial);
    assert_eq!(told["data"]["ClientConfig"]["PingInterval"], 2);
    let url = told["data"]["URL"].as_str().unwrap();
    assert!(url.contains("service_id=33554678"), "{url}");
    trial.open(url, 1).unwrap();
    let refused = trial.open(url, 2).unwrap_err();
    assert_eq!(refused.header("handshake-status"), Some("514"));
    for line in 2..=50 {
        let told = address(&mut trial);
        trial
            .open(told["data"]["URL"].as_str().unwrap(), line)
            .unwrap();
    }
    assert_eq!(address(&mut trial)["code"], 1_000_040_350);
    trial.hears(7, Heard::Gone);
    assert_eq!(address(&mut trial)["code"], 0);
}

#[test]
fn a_ping_is_answered_with_the_configuration() {
    let mut trial = connected();
    let ping = Frame::of(0, &[("type", "ping")], b"");
    let told = trial.hears(1, Heard::Binary(ping.encode_to_vec().into()));
    let pong = frames(&told).remove(0);
    assert_eq!(pong.header("type"), "pong");
    let config: Value = serde_json::from_slice(&pong.payload.unwrap()).unwrap();
    assert_eq!(config["ReconnectCount"], -1);
    for bad in [Heard::Text(String::new()), Heard::Binary(vec![0xff].into())] {
        assert!(matches!(trial.hears(1, bad)[..], [Told::Close(..)]));
    }
    assert!(matches!(
        trial.hears(1, Heard::Refresh)[..],
        [Told::Close(1001, _)]
    ));
}

#[test]
fn an_event_comes_in_parts_until_it_is_taken() {
    let mut trial = connected();
    say(&mut trial, &"long ".repeat(400), 1);
    let told = trial.hears(1, Heard::Look);
    let parts = frames(&told);
    assert!(parts.len() > 2, "{}", parts.len());
    assert_eq!(parts[0].header("sum"), parts.len().to_string());
    let whole: Vec<u8> = parts
        .iter()
        .flat_map(|part| part.payload.clone().unwrap())
        .collect();
    let event: Value = serde_json::from_slice(&whole).unwrap();
    assert_eq!(event["header"]["event_type"], "im.message.receive_v1");
    assert!(trial.hears(1, Heard::Look).is_empty(), "it is sent once");
    let last = parts.last().unwrap();
    assert!(trial.hears(1, answer(last, 500)).is_empty());
    trial.advance(AGAIN[0]);
    let again = frames(&trial.hears(1, Heard::Look));
    assert_eq!(again.len(), parts.len());
    assert_ne!(again[0].header("message_id"), parts[0].header("message_id"));
    let last = again.last().unwrap();
    assert_eq!(trial.hears(1, answer(last, 200)), [Told::Taken]);
    assert!(trial.hears(1, answer(last, 200)).is_empty());
}

#[test]
fn what_a_lost_connection_did_not_answer_comes_on_another() {
    let mut trial = connected();
    say(&mut trial, "hello", 2);
    let told = trial.hears(1, Heard::Look);
    assert_eq!(told.iter().filter(|told| **told == Told::Sent).count(), 2);
    trial.hears(1, Heard::Gone);
    let place = address(&mut trial);
    trial
        .open(place["data"]["URL"].as_str().unwrap(), 2)
        .unwrap();
    assert!(trial.hears(2, Heard::Opened).is_empty());
    trial.advance(AGAIN[0]);
    assert_eq!(frames(&trial.hears(2, Heard::Look)).len(), 2);
    // Nobody answers.
    for delay in AGAIN.iter().skip(1).chain([&PATIENCE]) {
        trial.advance(PATIENCE + *delay);
        trial.hears(2, Heard::Look);
        trial.advance(*delay);
        trial.hears(2, Heard::Look);
    }
    trial.advance(PATIENCE);
    assert!(trial.hears(2, Heard::Look).is_empty());
}
