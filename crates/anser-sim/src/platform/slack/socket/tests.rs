//! Tickets, envelopes, what comes again and when, and the end that is asked for.

use super::super::app;
use super::*;
use crate::Said;
use crate::platform::Platform;
use crate::platform::trial::Trial;

fn trial() -> Trial {
    let mut trial = Trial::of(Platform::Slack);
    trial.robot = app(1);
    trial
}

/// What `apps.connections.open` answers to that token.
fn asked(trial: &mut Trial, token: &str) -> Value {
    trial.authorization = Some(format!("Bearer {token}").parse().unwrap());
    trial.post_to(OPEN, &json!({})).value()
}

fn open(trial: &mut Trial, line: u64) -> Vec<Told> {
    let token = trial.robot.secret.clone().unwrap();
    let told = asked(trial, &token);
    let url = told["url"].as_str().unwrap().to_owned();
    trial.open(&url, line).unwrap();
    assert!(trial.open(&url, 99).is_err(), "a ticket is good once");
    trial.hears(line, Heard::Opened)
}

fn say(trial: &mut Trial, copies: usize) {
    let said = Said {
        chat: "C0000002001".to_owned(),
        text: "hello".to_owned(),
        ..Said::default()
    };
    trial.say(&said, copies);
}

fn frames(told: &[Told]) -> Vec<Value> {
    let frames = told.iter().filter_map(|told| match told {
        Told::Text(text) => Some(serde_json::from_str(text).unwrap()),
        _ => None,
    });
    frames.collect()
}

#[test]
fn only_an_app_level_token_is_told_an_address() {
    let mut trial = trial();
    let bot = trial.robot.token.clone();
    for (token, word) in [
        ("xapp-none", "invalid_auth"),
        (&bot, "not_allowed_token_type"),
    ] {
        assert_eq!(asked(&mut trial, token)["error"], word);
    }
    let hello = frames(&open(&mut trial, 1)).remove(0);
    assert_eq!(
        (&hello["type"], &hello["num_connections"]),
        (&json!("hello"), &json!(1))
    );
    assert_eq!(frames(&open(&mut trial, 2))[0]["num_connections"], 2);
    for line in 3..=10 {
        open(&mut trial, line);
    }
    let full = frames(&open(&mut trial, 11)).remove(0);
    assert_eq!(full["reason"], "too_many_websockets");
}

#[test]
fn an_envelope_comes_until_it_is_acknowledged_and_then_no_more() {
    let mut trial = trial();
    open(&mut trial, 1);
    say(&mut trial, 1);
    let first = frames(&trial.hears(1, Heard::Look)).remove(0);
    assert_eq!(first["payload"]["event"]["text"], "hello");
    assert_eq!(
        (&first["retry_attempt"], &first["retry_reason"]),
        (&json!(0), &json!(""))
    );
    assert!(frames(&trial.hears(1, Heard::Look)).is_empty());
    trial.advance(PATIENCE);
    assert!(frames(&trial.hears(1, Heard::Look)).is_empty());
    // The envelope of before is not that of now.
    assert!(
        trial
            .bot_says(1, &json!({"envelope_id": first["envelope_id"]}))
            .is_empty()
    );
    trial.advance(AGAIN[0]);
    let again = frames(&trial.hears(1, Heard::Look)).remove(0);
    assert_eq!(
        (&again["retry_attempt"], &again["retry_reason"]),
        (&json!(1), &json!("timeout"))
    );
    assert_eq!(again["payload"], first["payload"]);
    let taken = trial.bot_says(1, &json!({"envelope_id": again["envelope_id"]}));
    assert_eq!(taken, [Told::Taken]);
    trial.advance(AGAIN[2]);
    assert!(frames(&trial.hears(1, Heard::Look)).is_empty());
}

#[test]
fn what_a_lost_connection_had_comes_on_another_and_is_lost_in_the_end() {
    let mut trial = trial();
    open(&mut trial, 1);
    open(&mut trial, 2);
    say(&mut trial, 2);
    assert_eq!(frames(&trial.hears(1, Heard::Look)).len(), 2, "a copy");
    trial.hears(1, Heard::Gone);
    let again = frames(&trial.hears(2, Heard::Look));
    assert_eq!(again.len(), 2);
    assert_eq!(again[0]["retry_reason"], "connection_lost");
    let mut missed = 0;
    for _ in 0..20 {
        trial.advance(AGAIN[2]);
        let told = trial.hears(2, Heard::Look);
        missed += told.iter().filter(|told| **told == Told::Missed).count();
    }
    assert_eq!(missed, 2);
}

#[test]
fn a_connection_that_is_to_be_replaced_brings_nothing_new_and_is_closed() {
    let mut trial = trial();
    open(&mut trial, 1);
    let told = frames(&trial.hears(1, Heard::Refresh)).remove(0);
    assert_eq!(told["reason"], "refresh_requested");
    say(&mut trial, 1);
    assert!(frames(&trial.hears(1, Heard::Look)).is_empty());
    trial.advance(LEAVE);
    assert!(matches!(
        trial.hears(1, Heard::Look)[..],
        [Told::Close(1000, _)]
    ));
}
